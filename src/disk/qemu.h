/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A program of qemu's as a child of ours: qemu-img, which does one thing and
 * ends, or qemu-nbd, which serves.
 *
 * It is confined to the files that it is given (confine.h), dies with us however
 * we end, and writes what it has to say to a memory file.
 */
#ifndef SRC_DISK_QEMU_H
#define SRC_DISK_QEMU_H

#include "src/disk/confine.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdint.h>

struct qemu;

struct qemu_options {
	const char *program; /* "qemu-img" or "qemu-nbd", sought in PATH */
	char *const *argv; /* ends with NULL */
	/* What it may open, as /proc/self/fd/N: it inherits the descriptors
	 * under the numbers that they have here. */
	const struct confine_file *files;
	size_t nfiles;
	int listener; /* a socket, for LISTEN_FDS of systemd; -1: none */
	/* It is killed where it prints more bytes, and writes no larger file
	 * either; 0: no bound. */
	uint64_t output_max;
};

/* Start it. Return 0, -ENOENT (it is not installed) or another negative errno;
 * silent. */
MUST_CHECK int qemu_start(const struct qemu_options *o, struct qemu **out);
/* Wait until it ends. Return 0 if it did what it was told, or -EIO. */
MUST_CHECK int qemu_wait(struct qemu *q);
/* The same, but @stop (may be NULL) is looked at meanwhile. Return its exit
 * code, -EIO (something killed it) or -EINTR: it still runs. */
MUST_CHECK int qemu_wait_code(struct qemu *q, const volatile bool *stop);
/*
 * Append what became of it, and the last line that it printed, as part of a
 * sentence; it is given a moment to end. Return whether it has ended.
 */
bool qemu_explain(struct qemu *q, struct buf *out);
/* End it if it runs: at once, or where @gently when it has closed its files,
 * for which it has half a minute. Free @q; NULL is fine. */
void qemu_end(struct qemu *q, bool gently);

#endif
