/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The readers: a file's content, its extended attributes, and whether it held
 * still meanwhile.
 *
 * A file that changes while it is read gives a mixture that never was. It is
 * read again a few times; if it will not hold still it is stored as it was read
 * last, and that is said. Its entry is then marked as partial, so that the next
 * backup reads it again, however much it looks as it did: the times of a file
 * on a server tell nothing by our clock.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/backup/internal.h"
#include "src/backup/read_internal.h"
#include "src/scan/scan.h"
#include "store/base/log.h"
#include "store/content.h"
#include "store/writer/bundle.h"
#include "store/writer/cdc.h"
#include "store/writer/content_build.h"

/* How often a file that changes is read anew before it is taken as it is. */
#define ATTEMPTS 3

void backup_complain(struct backup *b, const struct slot *s, const char *what,
		     int err)
{
	const char *path = (const char *)s->dir->path.data;

	atomic_fetch_add(&b->errors, 1);
	(void)fail(err, "%s%s%.*s: %s%s%s", path,
		   path[1] && s->name.len ? "/" : "", (int)s->name.len,
		   (const char *)s->name.data, what, err ? ": " : "",
		   err ? strerror(-err) : "");
}

void backup_complain_xattrs(struct backup *b, struct slot *s,
			    const struct scan_xattr_loss *loss)
{
	bool full = loss->error == -E2BIG;
	char what[sizeof(loss->name) + 128];

	s->partial = loss->n > 0;
	if (loss->n == 0)
		return;
	if (loss->name[0] == '\0')
		snprintf(what, sizeof(what),
			 "its extended attributes cannot be read");
	else if (loss->n == 1)
		snprintf(what, sizeof(what), "its extended attribute %s %s",
			 loss->name,
			 full ? "is left out: over 8 MiB in all"
			      : "cannot be read");
	else
		snprintf(what, sizeof(what),
			 "%u of its extended attributes %s, the first %s",
			 loss->n,
			 full ? "are left out, over 8 MiB in all"
			      : "cannot be read",
			 loss->name);
	backup_complain(b, s, what, full ? 0 : loss->error);
}

static struct reading *reading_get(struct backup *b)
{
	struct reading *r;

	pthread_mutex_lock(&b->lock);
	r = b->idle;
	if (r)
		b->idle = r->next;
	pthread_mutex_unlock(&b->lock);
	if (r)
		return r;
	r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->backup = b;
	r->bundle = bundle_new(b->writer);
	r->builder = content_builder_new(b->writer);
	r->small = malloc(CDC_MIN + 1);
	if (r->bundle && r->builder && r->small)
		return r;
	bundle_free(r->bundle);
	content_builder_free(r->builder);
	free(r->small);
	free(r);
	return NULL;
}

static void reading_put(struct backup *b, struct reading *r)
{
	pthread_mutex_lock(&b->lock);
	r->next = b->idle;
	b->idle = r;
	pthread_mutex_unlock(&b->lock);
}

int backup_end_readers(struct backup *b)
{
	int r = 0;

	while (b->idle) {
		struct reading *i = b->idle;

		b->idle = i->next;
		if (r == 0)
			r = bundle_flush(i->bundle);
		bundle_free(i->bundle);
		content_builder_free(i->builder);
		free(i->small);
		free(i->large);
		free(i);
	}
	return r;
}

static int open_source(const struct slot *s)
{
	static const int flags =
		O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
	AUTO_BUF struct buf name = BUF_INIT;
	int fd;

	buf_put(&name, s->name.data, s->name.len);
	buf_put_u8(&name, 0);
	if (buf_error(&name) < 0)
		return -ENOMEM;
	fd = openat(s->dir->fd, (char *)name.data, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(s->dir->fd, (char *)name.data, flags);
	return fd < 0 ? -errno : fd;
}

static bool held_still(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_ino == b->st_ino &&
	       a->st_dev == b->st_dev &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec &&
	       a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

/*
 * Look at the file of @s once. Return 1 when it changed under it, else 0 or a
 * negative errno; *what then says what went wrong. *@now_out is what stat says
 * in the end.
 */
static int attempt(struct reading *r, struct slot *s, struct stat *now_out,
		   struct scan_xattr_loss *loss, const char **what)
{
	uint64_t len = 0;
	int err;

	buf_clear(&s->content);
	buf_clear(&s->xattrs);
	s->has_acl = false;
	atomic_fetch_sub(&r->backup->bytes_ahead, r->ahead);
	r->ahead = 0;
	*what = "is larger than the 2^62 bytes that a point can hold";
	err = (uint64_t)s->st.st_size > CONTENT_SIZE_MAX ? -EFBIG : 0;
	if (err == 0) {
		*what = "cannot be read";
		err = reading_content(r, &s->st, &len);
		if (err == -EFBIG)
			*what = "goes on over 1 GiB behind its size";
	}
	if (content_builder_finish(r->builder, &s->content) < 0)
		return -ENOMEM;
	if (err < 0 && fstat(r->fd, now_out) == 0 && !S_ISREG(now_out->st_mode))
		goto replaced;
	if (err < 0)
		return err;
	err = scan_fd_xattrs(r->fd, &s->xattrs, &s->has_acl, loss);
	if (err == -ENOMEM)
		return err;
	*what = "cannot be examined";
	if (fstat(r->fd, now_out) < 0)
		return -errno;
	if (!S_ISREG(now_out->st_mode))
		goto replaced;
	err = !held_still(&s->st, now_out) || len < (uint64_t)now_out->st_size;
	s->st = *now_out;
	s->st.st_size = (off_t)len;
	/* Removed meanwhile; in the point it has its name. */
	if (s->st.st_nlink == 0)
		s->st.st_nlink = 1;
	return err;
replaced:
	*what = "was replaced by something else while it was read";
	return -EAGAIN;
}

/* Read the file open at r->fd until it holds still. Return as attempt(). */
static int read_still(struct reading *r, struct slot *s, const char **what)
{
	struct scan_xattr_loss loss;
	struct stat now;
	int err = 0, i;

	for (i = 0; i < ATTEMPTS; i++) {
		err = attempt(r, s, &now, &loss, what);
		if (err <= 0 || i + 1 == ATTEMPTS)
			break;
		s->st.st_size = now.st_size;
	}
	if (err < 0)
		return err;
	backup_complain_xattrs(r->backup, s, &loss);
	return scan_fd_extra(r->fd, &s->extra) < 0 ? -ENOMEM : err;
}

static void read_file(struct reading *r, struct slot *s)
{
	struct backup *b = r->backup;
	const char *what = "cannot be opened";
	AUTO_CLOSE int fd = open_source(s);
	int err;

	r->fd = fd;
	err = fd < 0 ? fd : read_still(r, s, &what);
	if (fd == -ENOENT)
		what = "vanished before it was read";
	if (err > 0) {
		s->partial = true;
		backup_complain(b, s, "changed while it was read", 0);
	}
	if (err < 0 && atomic_load(&b->failed) == 0)
		backup_complain(b, s, what,
				err == -EAGAIN || err == -EFBIG ? 0 : err);
	s->ahead = r->ahead;
	r->ahead = 0;
	atomic_store(&s->state, err < 0 ? SLOT_DROPPED : SLOT_READY);
}

void backup_read_batch(void *arg)
{
	struct batch *batch = arg;
	struct backup *b = batch->backup;
	struct reading *r = reading_get(b);
	size_t i;

	if (!r)
		atomic_store(&b->failed, -ENOMEM);
	for (i = 0; i < batch->n; i++) {
		if (r && atomic_load(&b->failed) == 0)
			read_file(r, batch->slots[i]);
		else
			atomic_store(&batch->slots[i]->state, SLOT_DROPPED);
	}
	if (r)
		reading_put(b, r);
	free(batch);
	pthread_mutex_lock(&b->lock);
	pthread_cond_signal(&b->ready);
	pthread_mutex_unlock(&b->lock);
}
