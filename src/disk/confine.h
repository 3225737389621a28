/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a qemu program of ours may do to the host: open the files that it was
 * given and what its libraries need, and nothing else.
 *
 * qemu reads images that guests, or people who meant no good, have written. It
 * is told which files to open (chain.h), so that nothing should be left to
 * confine; this holds where that or qemu is mistaken. Files are kept from it by
 * Landlock (Linux 5.13), the network by a seccomp filter.
 */
#ifndef SRC_DISK_CONFINE_H
#define SRC_DISK_CONFINE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>

/* A file that may be opened, by any of its names. */
struct confine_file {
	int fd; /* borrowed */
	bool writable;
};

struct confinement {
	int ruleset; /* owned; -1: the kernel has no Landlock */
};

/* Whether the kernel can keep files from a process. */
bool confinement_available(void);
/*
 * Prepare it for @program, of which nothing has been started yet. Return 0, also
 * where only the network can be kept away, or a negative errno, silent. @out is
 * to be closed whatever is returned.
 */
MUST_CHECK int confinement_open(const char *program,
				const struct confine_file *files, size_t nfiles,
				struct confinement *out);
void confinement_close(struct confinement *c);
/*
 * Enter it, for good; for the process between fork and exec, since it takes no
 * lock and no memory. Return 0 or a negative errno.
 */
MUST_CHECK int confinement_enter(const struct confinement *c);

#endif
