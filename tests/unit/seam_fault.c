/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/seam_fault.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "store/base/lock.h"

static struct seam_fault *fault_of(struct seam *s)
{
	return container_of(s, struct seam_fault, seam);
}

static void die(void)
{
	kill(getpid(), SIGKILL);
	/* Not reached: nobody survives that, and nothing may follow. */
	_exit(127);
}

/* Count a call; what is to happen at it. */
static enum seam_fault_action begin(struct seam_fault *f,
				    enum seam_fault_call call, int *err_out)
{
	enum seam_fault_action action = SEAM_FAULT_NONE;

	{
		SCOPED_LOCK(&f->lock);
		f->calls_of[call]++;
		if (f->only && !(f->only & 1u << call))
			return SEAM_FAULT_NONE;
		f->calls++;
		if (f->at &&
		    (f->calls == f->at || (f->sticky && f->calls > f->at))) {
			action = f->action;
			f->hits++;
			f->hit = call;
		}
		*err_out = f->err;
	}
	if (action == SEAM_FAULT_KILL_BEFORE)
		die();
	return action;
}

static ssize_t end(enum seam_fault_action action, int err, ssize_t r)
{
	if (action == SEAM_FAULT_KILL_AFTER)
		die();
	return action == SEAM_FAULT_FAIL_AFTER && r >= 0 ? err : r;
}

/* The body of every wrapper: @f, @err and @action are its own. */
#define FAULT(call, expr)                                                      \
	struct seam_fault *f = fault_of(s);                                    \
	struct seam *next = f->next;                                           \
	int err = 0;                                                           \
	enum seam_fault_action action = begin(f, call, &err);                  \
                                                                               \
	if (action == SEAM_FAULT_FAIL)                                         \
		return err;                                                    \
	return (int)end(action, err, expr)

static int fault_openat(struct seam *s, int dirfd, const char *path, int flags,
			mode_t mode)
{
	struct seam_fault *f = fault_of(s);
	enum seam_fault_action action = SEAM_FAULT_NONE;
	int err = 0, fd;

	if ((flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE)
		action = begin(f, SEAM_FAULT_OPENAT, &err);
	if (action == SEAM_FAULT_FAIL)
		return err;
	fd = f->next->ops->openat(f->next, dirfd, path, flags, mode);
	if (action == SEAM_FAULT_FAIL_AFTER && fd >= 0)
		f->next->ops->close(f->next, fd);
	return (int)end(action, err, fd);
}

static ssize_t fault_pwrite(struct seam *s, int fd, const void *data,
			    size_t len, off_t off)
{
	struct seam_fault *f = fault_of(s);
	int err = 0;
	enum seam_fault_action action = begin(f, SEAM_FAULT_PWRITE, &err);

	if (action == SEAM_FAULT_FAIL)
		return err;
	if (action == SEAM_FAULT_SHORT && len > 1)
		len = (len + 1) / 2;
	return end(action, err,
		   f->next->ops->pwrite(f->next, fd, data, len, off));
}

static int fault_ftruncate(struct seam *s, int fd, off_t len)
{
	FAULT(SEAM_FAULT_FTRUNCATE, next->ops->ftruncate(next, fd, len));
}

static int fault_fdatasync(struct seam *s, int fd)
{
	FAULT(SEAM_FAULT_FDATASYNC, next->ops->fdatasync(next, fd));
}

static int fault_fsync(struct seam *s, int fd)
{
	FAULT(SEAM_FAULT_FSYNC, next->ops->fsync(next, fd));
}

/* A failed close has closed all the same: that is Linux. */
static int fault_close(struct seam *s, int fd)
{
	struct seam_fault *f = fault_of(s);
	int err = 0, r;
	enum seam_fault_action action = begin(f, SEAM_FAULT_CLOSE, &err);

	r = f->next->ops->close(f->next, fd);
	return action == SEAM_FAULT_FAIL ? err : (int)end(action, err, r);
}

static int fault_linkat(struct seam *s, int olddirfd, const char *oldpath,
			int newdirfd, const char *newpath, int flags)
{
	FAULT(SEAM_FAULT_LINKAT, next->ops->linkat(next, olddirfd, oldpath,
						   newdirfd, newpath, flags));
}

static int fault_renameat(struct seam *s, int olddirfd, const char *oldpath,
			  int newdirfd, const char *newpath)
{
	FAULT(SEAM_FAULT_RENAMEAT,
	      next->ops->renameat(next, olddirfd, oldpath, newdirfd, newpath));
}

static int fault_unlinkat(struct seam *s, int dirfd, const char *path,
			  int flags)
{
	FAULT(SEAM_FAULT_UNLINKAT,
	      next->ops->unlinkat(next, dirfd, path, flags));
}

static int fault_mkdirat(struct seam *s, int dirfd, const char *path,
			 mode_t mode)
{
	FAULT(SEAM_FAULT_MKDIRAT, next->ops->mkdirat(next, dirfd, path, mode));
}

/* ---- clock and random ---- */

static bool own_clock(struct seam_fault *f, int64_t *out)
{
	SCOPED_LOCK(&f->lock);
	*out = f->now_ns;
	if (f->own_clock)
		f->now_ns += f->step_ns;
	return f->own_clock;
}

static int64_t fault_realtime_ns(struct seam *s)
{
	struct seam_fault *f = fault_of(s);
	int64_t now;

	return own_clock(f, &now) ? now : f->next->ops->realtime_ns(f->next);
}

static int64_t fault_monotonic_ns(struct seam *s)
{
	struct seam_fault *f = fault_of(s);
	int64_t now;

	return own_clock(f, &now) ? now : f->next->ops->monotonic_ns(f->next);
}

static void fault_sleep_ns(struct seam *s, int64_t ns)
{
	struct seam_fault *f = fault_of(s);
	bool own;

	{
		SCOPED_LOCK(&f->lock);
		own = f->own_clock;
		if (own)
			f->now_ns += ns;
	}
	if (!own)
		f->next->ops->sleep_ns(f->next, ns);
}

static int fault_random(struct seam *s, void *out, size_t len)
{
	struct seam_fault *f = fault_of(s);
	uint8_t *p = out;
	size_t i;

	if (!f->own_random)
		return f->next->ops->random(f->next, out, len);
	SCOPED_LOCK(&f->lock);
	for (i = 0; i < len; i++) {
		/* Knuth's MMIX generator; its high byte is good enough. */
		f->random =
			f->random * 6364136223846793005u + 1442695040888963407u;
		p[i] = (uint8_t)(f->random >> 56);
	}
	return 0;
}

/* ---- */

void seam_fault_init(struct seam_fault *f, struct seam *next)
{
	static const struct seam_ops ops = {
		.realtime_ns = fault_realtime_ns,
		.monotonic_ns = fault_monotonic_ns,
		.sleep_ns = fault_sleep_ns,
		.random = fault_random,
		.openat = fault_openat,
		.pwrite = fault_pwrite,
		.ftruncate = fault_ftruncate,
		.fdatasync = fault_fdatasync,
		.fsync = fault_fsync,
		.close = fault_close,
		.linkat = fault_linkat,
		.renameat = fault_renameat,
		.unlinkat = fault_unlinkat,
		.mkdirat = fault_mkdirat,
	};

	memset(f, 0, sizeof(*f));
	f->seam.ops = &ops;
	f->next = next ? next : seam_system();
	pthread_mutex_init(&f->lock, NULL);
}

void seam_fault_release(struct seam_fault *f)
{
	pthread_mutex_destroy(&f->lock);
}

void seam_fault_at(struct seam_fault *f, unsigned long n,
		   enum seam_fault_action action, int err, bool sticky)
{
	SCOPED_LOCK(&f->lock);
	f->calls = 0;
	memset(f->calls_of, 0, sizeof(f->calls_of));
	f->hits = 0;
	f->at = n;
	f->action = action;
	f->err = err;
	f->sticky = sticky;
}

void seam_fault_only(struct seam_fault *f, unsigned int calls)
{
	SCOPED_LOCK(&f->lock);
	f->only = calls;
}

void seam_fault_clock(struct seam_fault *f, int64_t now_ns, int64_t step_ns)
{
	SCOPED_LOCK(&f->lock);
	f->own_clock = true;
	f->now_ns = now_ns;
	f->step_ns = step_ns;
}

void seam_fault_random(struct seam_fault *f, uint64_t seed)
{
	SCOPED_LOCK(&f->lock);
	f->own_random = true;
	f->random = seed;
}

const char *seam_fault_name(enum seam_fault_call call)
{
	static const char *const names[SEAM_FAULT_CALLS] = {
		[SEAM_FAULT_OPENAT] = "openat",
		[SEAM_FAULT_PWRITE] = "pwrite",
		[SEAM_FAULT_FTRUNCATE] = "ftruncate",
		[SEAM_FAULT_FDATASYNC] = "fdatasync",
		[SEAM_FAULT_FSYNC] = "fsync",
		[SEAM_FAULT_CLOSE] = "close",
		[SEAM_FAULT_LINKAT] = "linkat",
		[SEAM_FAULT_RENAMEAT] = "renameat",
		[SEAM_FAULT_UNLINKAT] = "unlinkat",
		[SEAM_FAULT_MKDIRAT] = "mkdirat",
	};

	return names[call];
}
