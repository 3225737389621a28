/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The seam to the world: everything that is not deterministic goes through it.
 *
 * Clocks, random bytes and the system calls that change files or directories.
 * The programs use seam_system(); tests hand in their own, which count the
 * calls, fail the nth, kill the process at the nth, or record what would
 * survive a power cut. HTTP joins here with the first backend that speaks it.
 *
 * Calls return 0, a descriptor or a count, or a negative errno; they never
 * touch errno's meaning otherwise. All are safe from any thread.
 */
#ifndef STORE_BASE_SEAM_H
#define STORE_BASE_SEAM_H

#include "store/base/attrs.h"

#include <stdint.h>
#include <sys/types.h>

struct seam;

struct seam_ops {
	/* Nanoseconds since 1970, UTC; may jump. */
	int64_t (*realtime_ns)(struct seam *s);
	/* Nanoseconds since some start; never goes back. */
	int64_t (*monotonic_ns)(struct seam *s);
	/* Wait that long, or a little longer. */
	void (*sleep_ns)(struct seam *s, int64_t ns);
	/* Fill @out from the kernel's generator. */
	int (*random)(struct seam *s, void *out, size_t len);
	/* As the system calls of the same names. */
	int (*openat)(struct seam *s, int dirfd, const char *path, int flags,
		      mode_t mode);
	ssize_t (*pwrite)(struct seam *s, int fd, const void *data, size_t len,
			  off_t off);
	int (*ftruncate)(struct seam *s, int fd, off_t len);
	int (*fdatasync)(struct seam *s, int fd);
	int (*fsync)(struct seam *s, int fd);
	int (*close)(struct seam *s, int fd);
	int (*linkat)(struct seam *s, int olddirfd, const char *oldpath,
		      int newdirfd, const char *newpath, int flags);
	int (*renameat)(struct seam *s, int olddirfd, const char *oldpath,
			int newdirfd, const char *newpath);
	int (*unlinkat)(struct seam *s, int dirfd, const char *path, int flags);
	int (*mkdirat)(struct seam *s, int dirfd, const char *path,
		       mode_t mode);
};

struct seam {
	const struct seam_ops *ops;
};

/* The real world. Never freed. */
struct seam *seam_system(void);

/* Write all of @data at @off, over short writes and EINTR.
 * Return 0, or the negative errno of the write that failed (-EIO for a write
 * of nothing). */
MUST_CHECK int seam_pwrite_all(struct seam *s, int fd, const void *data,
			       size_t len, off_t off);

#endif
