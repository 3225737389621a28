/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ring is the main thread's. A slot that is pending belongs to the reader
 * that has its batch, until the reader sets another state; the release and the
 * acquire of that atomic are what passes the slot's content over.
 *
 * The main thread sleeps only where it has nothing else to do: the ring is
 * full, or too many directories are open, or the scan has ended. Before it
 * sleeps it submits the batch that it is filling, which may hold the very slot
 * that it waits for.
 */
#include "config.h"

#include "src/backup/slots.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "src/backup/internal.h"
#include "src/backup/links.h"
#include "src/scan/scan.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/tree.h"

/* ---- directories ---- */

static void slot_dir_put(struct slot_dir *d)
{
	if (!d || --d->refs > 0)
		return;
	buf_release(&d->key);
	buf_release(&d->path);
	if (d->fd >= 0) {
		close(d->fd);
		--*d->nopen;
	}
	free(d);
}

/* Make s->dir the directory that @it stands in. Most items share it with the
 * one before. */
static int enter_dir(struct slots *s, const struct scan_item *it)
{
	struct slot_dir *d = s->dir;
	const char *slash;

	if (d && tree_compare(d->key.data, d->key.len, NULL, 0, it->dirkey,
			      it->dirkey_len, NULL, 0) == 0)
		return 0;
	slot_dir_put(d);
	s->dir = d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->refs = 1;
	d->fd = -1;
	d->nopen = &s->dirs_open;
	buf_put(&d->key, it->dirkey, it->dirkey_len);
	slash = strrchr(it->path, '/');
	if (slash && slash != it->path)
		buf_put(&d->path, it->path, (size_t)(slash - it->path));
	else
		buf_put_u8(&d->path, '/');
	buf_put_u8(&d->path, 0);
	return buf_error(&d->key) < 0 || buf_error(&d->path) < 0 ? -ENOMEM : 0;
}

/* Keep the slot's directory open until its file has been read. */
static int keep_dir(struct slots *s, struct slot *slot,
		    const struct scan_item *it)
{
	int err = 0;

	if (slot->dir->fd >= 0)
		return 0;
	/* Where too many are kept, let the slots before this one go first. */
	if (s->dirs_open >= s->dirs_max) {
		atomic_store(&slot->state, SLOT_PENDING);
		err = slots_drain(s, 1);
	}
	if (err < 0)
		return err;
	slot->dir->fd = fcntl(it->dirfd, F_DUPFD_CLOEXEC, 0);
	if (slot->dir->fd < 0)
		return fail(-errno, "%s: cannot keep its directory open: %s",
			    it->path, strerror(errno));
	s->dirs_open++;
	return 0;
}

/* ---- the ring ---- */

/* Make a slot as new; its buffers keep their memory. */
static void slot_reset(struct slot *s)
{
	slot_dir_put(s->dir);
	s->dir = NULL;
	buf_clear(&s->name);
	buf_clear(&s->xattrs);
	buf_clear(&s->extra);
	buf_clear(&s->target);
	buf_clear(&s->content);
	buf_clear(&s->was);
	buf_clear(&s->was_xattrs);
	buf_clear(&s->was_extra);
	s->has_acl = s->partial = s->unchanged = s->again = s->link_follows =
		false;
	s->link = NULL;
	s->ahead = 0;
	memset(&s->entry, 0, sizeof(s->entry));
}

static void slot_release(struct slot *s)
{
	slot_dir_put(s->dir);
	buf_release(&s->name);
	buf_release(&s->xattrs);
	buf_release(&s->extra);
	buf_release(&s->target);
	buf_release(&s->content);
	buf_release(&s->was);
	buf_release(&s->was_xattrs);
	buf_release(&s->was_extra);
}

int slots_init(struct slots *s, struct backup *b)
{
	struct rlimit files = { .rlim_cur = 1024 };

	s->backup = b;
	(void)getrlimit(RLIMIT_NOFILE, &files);
	s->dirs_max = MIN(files.rlim_cur / 4, (rlim_t)SLOTS_MAX);
	s->links = links_new();
	s->ring = alloc_array(SLOTS_MAX, sizeof(*s->ring));
	return s->links && s->ring ? 0 : -ENOMEM;
}

/* What no slot was taken from is memory that was never touched, megabytes of it
 * after a small backup, and is left so. */
void slots_release(struct slots *s)
{
	size_t i;

	for (i = 0; i < s->nused; i++)
		slot_release(&s->ring[i]);
	free(s->ring);
	slot_dir_put(s->dir);
	links_free(s->links);
	free(s->filling);
}

int slots_push(struct slots *s, const struct scan_item *it, struct slot **out)
{
	struct slot *slot;
	int err = enter_dir(s, it);

	if (err == 0 && s->count == SLOTS_MAX)
		err = slots_drain(s, SLOTS_MAX - 1);
	if (err < 0)
		return err;
	slot = &s->ring[(s->head + s->count) % SLOTS_MAX];
	s->nused = MAX(s->nused, (size_t)(slot - s->ring) + 1);
	slot->dir = s->dir;
	slot->dir->refs++;
	slot->st = it->st;
	buf_put(&slot->name, it->name, it->name_len);
	atomic_store(&slot->state, SLOT_READY);
	s->count++;
	*out = slot;
	return buf_error(&slot->name);
}

/* ---- reading ---- */

void slots_submit(struct slots *s)
{
	if (!s->filling)
		return;
	pool_run(s->backup->pool, backup_read_batch, s->filling);
	s->filling = NULL;
}

int slots_read(struct slots *s, struct slot *slot, const struct scan_item *it)
{
	struct batch *batch;
	int err;

	if (!s->backup->writer)
		return 0; /* in a dry run nothing is opened */
	err = keep_dir(s, slot, it);
	if (err < 0)
		return err;
	batch = s->filling;
	if (!batch) {
		s->filling = batch = calloc(1, sizeof(*batch));
		if (!batch)
			return -ENOMEM;
		batch->backup = s->backup;
	}
	atomic_store(&slot->state, SLOT_PENDING);
	batch->slots[batch->n++] = slot;
	batch->bytes += (uint64_t)slot->st.st_size;
	if (batch->n == BATCH_FILES || batch->bytes >= BATCH_BYTES)
		slots_submit(s);
	return 0;
}

int slots_read_linked(struct slots *s, struct slot *slot,
		      const struct scan_item *it)
{
	bool first;

	slot->link = links_find(s->links, &slot->st, &first);
	if (!slot->link)
		return -ENOMEM;
	slot->link_follows = !first;
	return first ? slots_read(s, slot, it) : 0;
}

/* Sleep until a reader has done a batch, for a second at most. */
static void await_reader(struct slots *s, const struct slot *slot)
{
	struct backup *b = s->backup;
	struct timespec until;

	slots_submit(s);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec++;
	pthread_mutex_lock(&b->lock);
	if (atomic_load(&slot->state) == SLOT_PENDING)
		pthread_cond_timedwait(&b->ready, &b->lock, &until);
	pthread_mutex_unlock(&b->lock);
}

int slots_drain(struct slots *s, size_t keep)
{
	struct backup *b = s->backup;
	int err;

	while (s->count > 0) {
		struct slot *slot = &s->ring[s->head];

		if (task_stopped(b->task))
			return -EINTR;
		if (atomic_load(&slot->state) == SLOT_PENDING) {
			if (s->count <= keep)
				break;
			await_reader(s, slot);
			backup_tick(b);
			continue;
		}
		err = entries_add(&b->entries, slot);
		atomic_fetch_sub(&b->bytes_ahead, slot->ahead);
		slot_reset(slot);
		s->head = (s->head + 1) % SLOTS_MAX;
		s->count--;
		if (err < 0)
			return err;
	}
	return atomic_load(&b->failed);
}
