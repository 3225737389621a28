/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The real world: the system calls as they are, with negative errnos. What
 * tests put in their place counts calls, lets them fail, and forgets what was
 * not synced. */
#include "config.h"

#include "store/base/seam.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int64_t sys_realtime_ns(struct seam *s)
{
	(void)s;
	return clock_ns(CLOCK_REALTIME);
}

static int64_t sys_monotonic_ns(struct seam *s)
{
	(void)s;
	return clock_ns(CLOCK_MONOTONIC);
}

static void sys_sleep_ns(struct seam *s, int64_t ns)
{
	struct timespec left = { .tv_sec = ns / 1000000000,
				 .tv_nsec = ns % 1000000000 };

	(void)s;
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static int sys_random(struct seam *s, void *out, size_t len)
{
	char *p = out;

	(void)s;
	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int result(int r)
{
	return r < 0 ? -errno : r;
}

static int sys_openat(struct seam *s, int dirfd, const char *path, int flags,
		      mode_t mode)
{
	(void)s;
	return result(openat(dirfd, path, flags, mode));
}

static ssize_t sys_pwrite(struct seam *s, int fd, const void *data, size_t len,
			  off_t off)
{
	ssize_t n = pwrite(fd, data, len, off);

	(void)s;
	return n < 0 ? -errno : n;
}

static int sys_ftruncate(struct seam *s, int fd, off_t len)
{
	(void)s;
	return result(ftruncate(fd, len));
}

static int sys_fdatasync(struct seam *s, int fd)
{
	(void)s;
	return result(fdatasync(fd));
}

static int sys_fsync(struct seam *s, int fd)
{
	(void)s;
	return result(fsync(fd));
}

static int sys_close(struct seam *s, int fd)
{
	(void)s;
	return result(close(fd));
}

static int sys_linkat(struct seam *s, int olddirfd, const char *oldpath,
		      int newdirfd, const char *newpath, int flags)
{
	(void)s;
	return result(linkat(olddirfd, oldpath, newdirfd, newpath, flags));
}

static int sys_renameat(struct seam *s, int olddirfd, const char *oldpath,
			int newdirfd, const char *newpath)
{
	(void)s;
	return result(renameat(olddirfd, oldpath, newdirfd, newpath));
}

static int sys_unlinkat(struct seam *s, int dirfd, const char *path, int flags)
{
	(void)s;
	return result(unlinkat(dirfd, path, flags));
}

static int sys_mkdirat(struct seam *s, int dirfd, const char *path, mode_t mode)
{
	(void)s;
	return result(mkdirat(dirfd, path, mode));
}

struct seam *seam_system(void)
{
	static const struct seam_ops ops = {
		.realtime_ns = sys_realtime_ns,
		.monotonic_ns = sys_monotonic_ns,
		.sleep_ns = sys_sleep_ns,
		.random = sys_random,
		.openat = sys_openat,
		.pwrite = sys_pwrite,
		.ftruncate = sys_ftruncate,
		.fdatasync = sys_fdatasync,
		.fsync = sys_fsync,
		.close = sys_close,
		.linkat = sys_linkat,
		.renameat = sys_renameat,
		.unlinkat = sys_unlinkat,
		.mkdirat = sys_mkdirat,
	};
	static struct seam seam = { &ops };

	return &seam;
}

int seam_pwrite_all(struct seam *s, int fd, const void *data, size_t len,
		    off_t off)
{
	const char *p = data;

	while (len > 0) {
		ssize_t n = s->ops->pwrite(s, fd, p, len, off);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EIO;
		p += n;
		len -= (size_t)n;
		off += n;
	}
	return 0;
}
