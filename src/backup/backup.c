/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Disks and config files have their own files (disk.c, machine.c).
 * Of trees, one thread walks the sources and the parent's tree side by side, in the same
 * order. What did not change takes the parent's content without being
 * opened; other files go to readers in batches. Entries stand in a ring until
 * their turn and reach the tree in order.
 */
#include "config.h"

#include "src/backup/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "src/backup/disk.h"
#include "src/backup/left_out.h"
#include "src/backup/links.h"
#include "src/scan/scan.h"
#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"

#define TICK_NS 200000000
/* A file whose time of change is this close before the parent's scan may have
 * changed again within one tick of the filesystem's clock. */
#define RACY_NS 20000000
#define RACY_COARSE_NS 2000000000
#define DEVS_MAX 256

struct run {
	struct backup b;
	struct scan *scan;
	struct links *links;
	struct tree_builder *tree; /* NULL: dry run */
	struct slot *ring; /* BACKUP_RING of them */
	size_t head, count; /* the oldest, and how many */
	struct batch *batch; /* being filled */
	struct backup_dir *dir; /* of the last item; held */
	size_t dirs_open, dirs_max; /* descriptors of directories */
	struct point_list *points;
	const struct point *parent; /* in points; of the tree */
	const struct point *machine; /* the same; of the disks */
	struct backup_disks disks;
	struct cursor old; /* in the parent's tree */
	bool old_end, old_met; /* old stands at an entry that was met */
	bool differs; /* something below the sources is not as in the parent */
	dev_t devs[DEVS_MAX];
	uint32_t ndevs;
	bool has_acl;
	uint64_t tree_files, tree_bytes;
	struct backup_progress p;
	int64_t start_ns, next_tick;
	void (*tick)(void *arg, const struct backup_progress *p);
	void *arg;
	const volatile bool *stop;
};

/* ---- directories and slots ---- */

static void dir_put(struct backup_dir *d)
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

static int dir_enter(struct run *r, const struct scan_item *it)
{
	struct backup_dir *d = r->dir;
	const char *slash;

	if (d && tree_compare(d->key.data, d->key.len, NULL, 0, it->dirkey,
			      it->dirkey_len, NULL, 0) == 0)
		return 0;
	dir_put(d);
	r->dir = d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->refs = 1;
	d->fd = -1;
	d->nopen = &r->dirs_open;
	buf_put(&d->key, it->dirkey, it->dirkey_len);
	slash = strrchr(it->path, '/');
	if (slash && slash != it->path)
		buf_put(&d->path, it->path, (size_t)(slash - it->path));
	else
		buf_put_u8(&d->path, '/');
	buf_put_u8(&d->path, 0);
	return buf_error(&d->key) < 0 || buf_error(&d->path) < 0 ? -ENOMEM : 0;
}

static void slot_reset(struct slot *s)
{
	dir_put(s->dir);
	s->dir = NULL;
	buf_clear(&s->name);
	buf_clear(&s->xattrs);
	buf_clear(&s->target);
	buf_clear(&s->content);
	buf_clear(&s->was);
	buf_clear(&s->was_xattrs);
	s->has_acl = s->partial = s->unchanged = s->again = s->link_follows =
		false;
	s->link = NULL;
	s->ahead = 0;
	memset(&s->entry, 0, sizeof(s->entry));
}

static void ring_free(struct run *r)
{
	size_t i;

	for (i = 0; r->ring && i < BACKUP_RING; i++) {
		struct slot *s = &r->ring[i];

		dir_put(s->dir);
		buf_release(&s->name);
		buf_release(&s->xattrs);
		buf_release(&s->target);
		buf_release(&s->content);
		buf_release(&s->was);
		buf_release(&s->was_xattrs);
	}
	free(r->ring);
}

/* ---- from slots to the tree ---- */

static uint32_t dev_rank(struct run *r, dev_t dev)
{
	uint32_t i;

	for (i = 0; i < r->ndevs; i++)
		if (r->devs[i] == dev)
			return i;
	if (r->ndevs < DEVS_MAX)
		r->devs[r->ndevs++] = dev;
	return i;
}

static int put_xattrs(struct run *r, struct slot *s)
{
	struct entry *e = &s->entry;
	int err = 0;

	if (s->unchanged && (e->flags & ENTRY_XATTRS_CHUNK))
		return 0; /* the parent's chunk */
	e->flags =
		(s->has_acl ? ENTRY_ACL : 0) | (s->partial ? ENTRY_PARTIAL : 0);
	e->xattrs_len = (uint32_t)s->xattrs.len;
	if (s->xattrs.len == 0)
		return 0;
	if (s->xattrs.len <= ENTRY_XATTR_INLINE_MAX) {
		e->flags |= ENTRY_XATTRS;
		e->xattrs = s->xattrs.data;
	} else if (s->xattrs.len > ENTRY_XATTRS_MAX) {
		backup_complain(&r->b, s,
				"its extended attributes are too "
				"long and are left out",
				0);
		e->xattrs_len = 0;
		e->flags = ENTRY_PARTIAL;
	} else {
		e->flags |= ENTRY_XATTRS_CHUNK;
		err = writer_chunk(r->b.writer, CHUNK_XATTRS, s->xattrs.data,
				   s->xattrs.len, &e->xattrs_id);
	}
	return err;
}

static void fill_entry(struct run *r, struct slot *s)
{
	struct entry *e = &s->entry;
	const struct stat *st = &s->st;

	e->name = s->name.data;
	e->name_len = (uint32_t)s->name.len;
	e->mode = st->st_mode;
	e->uid = st->st_uid;
	e->gid = st->st_gid;
	e->nlink = st->st_nlink;
	e->size = (uint64_t)st->st_size;
	e->mtime.sec = st->st_mtim.tv_sec;
	e->mtime.nsec = (uint32_t)st->st_mtim.tv_nsec;
	e->ctime.sec = st->st_ctim.tv_sec;
	e->ctime.nsec = (uint32_t)st->st_ctim.tv_nsec;
	e->ino = st->st_ino;
	e->dev = dev_rank(r, st->st_dev);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		e->rdev_major = major(st->st_rdev);
		e->rdev_minor = minor(st->st_rdev);
	}
	e->target = s->target.data;
	e->target_len = (uint32_t)s->target.len;
	e->content = s->content.data;
	e->content_len = (uint32_t)s->content.len;
}

static int copy_buf(struct buf *to, const struct buf *from)
{
	buf_clear(to);
	buf_put(to, from->data, from->len);
	return buf_error(to);
}

/* What the first name of a file found serves its other names. */
static int share_link(struct run *r, struct slot *s)
{
	struct link *k = s->link;
	int err = 0;

	if (!s->link_follows) {
		k->known = true;
		k->failed = atomic_load(&s->state) == SLOT_DROPPED;
		k->st = s->st;
		k->has_acl = s->has_acl;
		k->partial = s->partial;
		err = copy_buf(&k->xattrs, &s->xattrs);
		if (err == 0)
			err = copy_buf(&k->content, &s->content);
	} else if (k->failed) {
		backup_complain(&r->b, s,
				"cannot be read under its other "
				"name",
				0);
		atomic_store(&s->state, SLOT_DROPPED);
	} else {
		s->st = k->st;
		s->has_acl = k->has_acl;
		s->partial = k->partial;
		err = copy_buf(&s->xattrs, &k->xattrs);
		if (err == 0)
			err = copy_buf(&s->content, &k->content);
	}
	links_done(r->links, k);
	s->link = NULL;
	return err;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len &&
	       (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* What was looked at again: was there need to? */
static void compare_again(struct run *r, const struct slot *s)
{
	bool file = S_ISREG(s->st.st_mode);

	if (same_bytes(file ? &s->content : &s->target, &s->was) &&
	    same_bytes(&s->xattrs, &s->was_xattrs) &&
	    s->st.st_ctim.tv_sec == s->was_ctime.tv_sec &&
	    s->st.st_ctim.tv_nsec == s->was_ctime.tv_nsec) {
		r->p.files_unmodified += file;
		return;
	}
	r->p.files_changed += file;
	r->differs = true;
}

/* The oldest slot into the tree. */
static int add_head(struct run *r)
{
	struct slot *s = &r->ring[r->head];
	int err = s->link ? share_link(r, s) : 0;

	if (err == 0 && atomic_load(&s->state) == SLOT_READY) {
		fill_entry(r, s);
		if (s->again)
			compare_again(r, s);
		if (r->tree)
			err = put_xattrs(r, s);
		if (err == 0 && r->tree)
			err = tree_builder_add(r->tree, s->dir->key.data,
					       s->dir->key.len, &s->entry);
		r->has_acl |= (s->entry.flags & ENTRY_ACL) != 0;
		if (S_ISREG(s->st.st_mode)) {
			r->tree_files++;
			r->tree_bytes += s->entry.size;
			r->p.bytes_done += s->entry.size;
		}
		r->p.entries++;
	}
	atomic_fetch_sub(&r->b.bytes_ahead, s->ahead);
	slot_reset(s);
	r->head = (r->head + 1) % BACKUP_RING;
	r->count--;
	return err;
}

static void submit(struct run *r)
{
	if (!r->batch)
		return;
	pool_run(r->b.pool, backup_read_batch, r->batch);
	r->batch = NULL;
}

static void tick(struct run *r, bool force)
{
	struct seam *seam = vault_seam(r->b.vault);
	int64_t now = seam->ops->monotonic_ns(seam);
	struct writer_stats stats = { 0 };

	r->p.seconds = (double)(now - r->start_ns) / 1e9;
	if (!force && (!r->tick || now < r->next_tick))
		return;
	r->next_tick = now + TICK_NS;
	if (r->b.writer)
		writer_get_stats(r->b.writer, &stats);
	r->p.bytes_new = stats.bytes_new;
	r->p.bytes_packed = stats.bytes_packed;
	r->p.bytes_read = atomic_load(&r->b.bytes_read);
	r->p.bytes_ahead = atomic_load(&r->b.bytes_ahead);
	r->p.errors = atomic_load(&r->b.errors);
	if (r->tick)
		r->tick(r->arg, &r->p);
}

static void tick_of(struct backup *b)
{
	tick(container_of(b, struct run, b), false);
}

static bool stopped(const struct run *r)
{
	return r->stop && *r->stop;
}

/* Add what is ready; wait for the oldest until at most @keep are left. */
static int drain(struct run *r, size_t keep)
{
	int err;

	while (r->count > 0) {
		struct slot *s = &r->ring[r->head];

		if (stopped(r))
			return -EINTR;
		if (atomic_load(&s->state) == SLOT_PENDING) {
			struct timespec until;

			if (r->count <= keep)
				break;
			submit(r);
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_sec++;
			pthread_mutex_lock(&r->b.lock);
			if (atomic_load(&s->state) == SLOT_PENDING)
				pthread_cond_timedwait(&r->b.ready, &r->b.lock,
						       &until);
			pthread_mutex_unlock(&r->b.lock);
			tick(r, false);
			continue;
		}
		err = add_head(r);
		if (err < 0)
			return err;
	}
	return atomic_load(&r->b.failed);
}

/* ---- the parent ---- */

/*
 * Step the parent's cursor to the item's place. True: there is an entry. A
 * parent that is damaged from somewhere on costs reading files anew.
 */
static bool parent_entry(struct run *r, const struct scan_item *it,
			 struct entry *out)
{
	int err, c;

	while (!r->old_end) {
		const uint8_t *key;
		size_t len;

		key = cursor_dirkey(&r->old, &len);
		cursor_entry(&r->old, out);
		c = tree_compare(key, len, out->name, out->name_len, it->dirkey,
				 it->dirkey_len, (const uint8_t *)it->name,
				 it->name_len);
		if (c >= 0) {
			r->old_met |= c == 0;
			return c == 0;
		}
		r->differs |= !r->old_met;
		r->old_met = false;
		err = cursor_next(&r->old);
		if (err < 0 && err != -ENOENT)
			log_warn("%s: the parent cannot be read to its end: "
				 "the rest of the files is read anew",
				 r->parent->id);
		r->old_end = err < 0;
	}
	return false;
}

static bool racy(const struct run *r, const struct stat *st)
{
	int64_t margin = st->st_ctim.tv_nsec ? RACY_NS : RACY_COARSE_NS;
	int64_t sec = r->parent->scan_start_ns / 1000000000;

	if (st->st_ctim.tv_sec < sec - 3)
		return false;
	if (st->st_ctim.tv_sec > sec + 3)
		return true;
	return st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec >=
	       r->parent->scan_start_ns - margin;
}

static int chunk_there(void *arg, uint8_t type, const struct id *id,
		       uint64_t len)
{
	struct run *r = arg;
	int found = writer_has_chunk(r->b.writer, type, id, len);

	return found < 0 ? found : found ? 0 : -ENOENT;
}

/* Is all that the parent's entry refers to still in the vault? */
static bool content_there(struct run *r, const struct entry *e)
{
	struct content_ref content = entry_content(e);

	if (r->b.trust_parent || !r->b.writer)
		return true;
	if ((e->flags & ENTRY_XATTRS_CHUNK) &&
	    chunk_there(r, CHUNK_XATTRS, &e->xattrs_id, e->xattrs_len) < 0)
		return false;
	return !S_ISREG(e->mode) ||
	       content_chunks(r->b.vault, &content, chunk_there, r) == 0;
}

/* By all that stat says. */
static bool looks_same(const struct stat *st, const struct entry *e)
{
	return !(e->flags & ENTRY_PARTIAL) && e->mode == st->st_mode &&
	       e->uid == st->st_uid && e->gid == st->st_gid &&
	       e->ino == st->st_ino &&
	       (S_ISDIR(st->st_mode) || e->size == (uint64_t)st->st_size) &&
	       e->mtime.sec == st->st_mtim.tv_sec &&
	       e->mtime.nsec == (uint32_t)st->st_mtim.tv_nsec &&
	       e->ctime.sec == st->st_ctim.tv_sec &&
	       e->ctime.nsec == (uint32_t)st->st_ctim.tv_nsec;
}

static int take_unchanged(struct run *r, struct slot *s, const struct entry *e)
{
	s->unchanged = true;
	s->has_acl = (e->flags & ENTRY_ACL) != 0;
	if (e->flags & ENTRY_XATTRS)
		buf_put(&s->xattrs, e->xattrs, e->xattrs_len);
	if (e->flags & ENTRY_XATTRS_CHUNK) {
		s->entry.flags = e->flags;
		s->entry.xattrs_id = e->xattrs_id;
		s->entry.xattrs_len = e->xattrs_len;
	}
	buf_put(&s->target, e->target, e->target_len);
	buf_put(&s->content, e->content, e->content_len);
	if (S_ISREG(s->st.st_mode))
		r->p.files_unmodified++;
	atomic_store(&s->state, SLOT_READY);
	return buf_error(&s->xattrs) < 0 || buf_error(&s->target) < 0 ||
			       buf_error(&s->content) < 0
		       ? -ENOMEM
		       : 0;
}

/* For compare_again(). */
static int keep_for_comparison(struct slot *s, const struct entry *e)
{
	s->again = true;
	s->was_ctime = s->st.st_ctim;
	buf_put(&s->was, e->content, e->content_len);
	buf_put(&s->was, e->target, e->target_len);
	if (e->flags & ENTRY_XATTRS)
		buf_put(&s->was_xattrs, e->xattrs, e->xattrs_len);
	return buf_error(&s->was) < 0 || buf_error(&s->was_xattrs) < 0 ? -ENOMEM
								       : 0;
}

/* ---- what must be looked at ---- */

static int read_target(const struct scan_item *it, struct buf *out)
{
	ssize_t n;

	if (buf_reserve(out, ENTRY_TARGET_MAX + 1) < 0)
		return -ENOMEM;
	n = readlinkat(it->dirfd, it->name, (char *)out->data,
		       ENTRY_TARGET_MAX + 1);
	if (n < 0)
		return -errno;
	if (n == 0 || n > ENTRY_TARGET_MAX)
		return -ENAMETOOLONG;
	out->len = (size_t)n;
	return 0;
}

/* Not a regular file: all there is to know is known at once. */
static int take_special(struct run *r, struct slot *s,
			const struct scan_item *it)
{
	const char *what = "its target cannot be read";
	int err = S_ISLNK(s->st.st_mode) ? read_target(it, &s->target) : 0;

	if (err == 0) {
		what = "its extended attributes cannot be read";
		err = scan_xattrs(it, &s->xattrs, &s->has_acl);
	}
	if (err < 0 && err != -ENOMEM) {
		backup_complain(&r->b, s, what, err);
		/* Something without them is better than nothing. */
		buf_clear(&s->xattrs);
		s->has_acl = false;
		s->partial = s->target.len > 0 || !S_ISLNK(s->st.st_mode);
		atomic_store(&s->state, s->partial ? SLOT_READY : SLOT_DROPPED);
		return 0;
	}
	atomic_store(&s->state, SLOT_READY);
	return err;
}

/* Readers open files in the slot's directory when the scan has long left it. */
static int keep_dir(struct run *r, struct slot *s, const struct scan_item *it)
{
	int err = 0;

	if (s->dir->fd >= 0)
		return 0;
	/* Where too many are kept, let the slots before this one go first. */
	if (r->dirs_open >= r->dirs_max) {
		atomic_store(&s->state, SLOT_PENDING);
		err = drain(r, 1);
	}
	if (err < 0)
		return err;
	s->dir->fd = fcntl(it->dirfd, F_DUPFD_CLOEXEC, 0);
	if (s->dir->fd < 0)
		return fail(-errno, "%s: cannot keep its directory open: %s",
			    it->path, strerror(errno));
	r->dirs_open++;
	return 0;
}

static int take_file(struct run *r, struct slot *s, const struct scan_item *it)
{
	int err;

	if (!r->b.writer) {
		atomic_store(&s->state, SLOT_READY); /* dry run */
		return 0;
	}
	err = keep_dir(r, s, it);
	if (err < 0)
		return err;
	if (!r->batch) {
		r->batch = calloc(1, sizeof(*r->batch));
		if (!r->batch)
			return -ENOMEM;
		r->batch->backup = &r->b;
	}
	atomic_store(&s->state, SLOT_PENDING);
	r->batch->slots[r->batch->n++] = s;
	r->batch->bytes += (uint64_t)s->st.st_size;
	if (r->batch->n == BATCH_FILES || r->batch->bytes >= BATCH_BYTES)
		submit(r);
	return 0;
}

static int take_linked(struct run *r, struct slot *s,
		       const struct scan_item *it)
{
	bool first;

	s->link = links_find(r->links, &s->st, &first);
	if (!s->link)
		return -ENOMEM;
	s->link_follows = !first;
	if (first)
		return take_file(r, s, it);
	atomic_store(&s->state, SLOT_READY);
	return 0;
}

static int item_error(struct run *r, const struct scan_item *it)
{
	atomic_fetch_add(&r->b.errors, 1);
	(void)fail(it->error, "%s: %s: %s", it->path,
		   S_ISDIR(it->st.st_mode) ? "cannot be (wholly) read"
					   : "cannot be examined",
		   strerror(-it->error));
	return 0;
}

/* Is this a directory that a source lies in, and not a source or in one? */
static bool is_above(const struct run *r, const char *path)
{
	size_t i, n, len = strlen(path);
	const char *const *sources = scan_sources(r->scan, &n);

	for (i = 0; i < n; i++)
		if (strcmp(path, "/") == 0
			    ? strcmp(sources[i], "/") != 0
			    : strncmp(sources[i], path, len) == 0 &&
				      sources[i][len] == '/')
			return true;
	return false;
}

static int take(struct run *r, const struct scan_item *it)
{
	struct entry old;
	struct slot *s;
	bool known, same;
	int err;

	if (it->error)
		return item_error(r, it);
	err = dir_enter(r, it);
	if (err == 0 && r->count == BACKUP_RING)
		err = drain(r, BACKUP_RING - 1);
	if (err < 0)
		return err;
	s = &r->ring[(r->head + r->count) % BACKUP_RING];
	s->dir = r->dir;
	s->dir->refs++;
	s->st = it->st;
	buf_put(&s->name, it->name, it->name_len);
	atomic_store(&s->state, SLOT_READY);
	r->count++;
	if (buf_error(&s->name) < 0)
		return -ENOMEM;
	known = r->parent && parent_entry(r, it, &old);
	if (S_ISDIR(it->st.st_mode))
		r->p.dirs++;
	else if (!S_ISREG(it->st.st_mode))
		r->p.others++;
	same = known && looks_same(&it->st, &old);
	if (same && !r->b.options->force && !racy(r, &it->st) &&
	    content_there(r, &old))
		return take_unchanged(r, s, &old);
	if (same && r->b.writer && !is_above(r, it->path)) {
		err = keep_for_comparison(s, &old);
		if (err < 0)
			return err;
	} else {
		r->differs |= !is_above(r, it->path);
		if (S_ISREG(it->st.st_mode) && known)
			r->p.files_changed++;
		else if (S_ISREG(it->st.st_mode))
			r->p.files_new++;
	}
	if (!S_ISREG(it->st.st_mode))
		return take_special(r, s, it);
	if (it->st.st_nlink > 1)
		return take_linked(r, s, it);
	return take_file(r, s, it);
}

static int walk(struct run *r)
{
	struct scan_item it;
	int err;

	while ((err = scan_next(r->scan, &it)) == 1) {
		snprintf(r->p.current, sizeof(r->p.current), "%s", it.path);
		err = take(r, &it);
		if (err == 0)
			err = drain(r, BACKUP_RING);
		if (err == 0 && stopped(r))
			err = -EINTR;
		if (err < 0)
			return err;
		tick(r, false);
	}
	/* What the parent has behind the last entry is gone. */
	if (!r->old_end && r->parent) {
		r->differs |= !r->old_met || cursor_next(&r->old) != -ENOENT;
		r->old_end = true;
	}
	return err < 0 ? err : drain(r, 0);
}

/* ---- around it ---- */

static bool same_sources(const struct point *p, const char *const *sources,
			 size_t n)
{
	size_t i;

	if (p->nsources != n)
		return false;
	for (i = 0; i < n; i++)
		if (strcmp(p->sources[i], sources[i]) != 0)
			return false;
	return true;
}

static int choose_parent(struct run *r, const char *vm)
{
	const struct backup_options *o = r->b.options;
	const char *const *sources = NULL;
	size_t n = 0, i;
	int err;

	if (o->parent) {
		err = point_find(r->points, o->parent, &i);
		if (err < 0)
			return err;
		r->machine = r->points->points[i];
		if (r->scan && r->machine->has_tree)
			r->parent = r->machine;
		return 0;
	}
	if (r->scan)
		sources = scan_sources(r->scan, &n);
	for (i = 0; i < r->points->n; i++) {
		const struct point *p = r->points->points[i];

		if (strcmp(p->vm, vm) != 0)
			continue;
		if (r->scan && p->has_tree && same_sources(p, sources, n))
			r->parent = p;
		/* What hints call unchanged is so since the last disks. */
		if (p->ndisks > 0 || (o->ndisks == 0 && p->nconfigs > 0))
			r->machine = p;
	}
	return 0;
}

static int open_parent(struct run *r)
{
	int err;

	if (!r->parent)
		return 0;
	r->p.total_entries = r->parent->entries;
	r->p.total_bytes += r->parent->bytes;
	err = tree_at(r->b.vault, &r->parent->root, 0, &r->old);
	r->old_end = err == -ENOENT;
	if (err < 0 && err != -ENOENT) {
		log_warn("%s: the parent cannot be read: every file is read "
			 "anew",
			 r->parent->id);
		r->parent = NULL;
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **copy_list(const char *const *list, size_t n)
{
	char **copy = alloc_array(n, sizeof(*copy));
	size_t i;

	for (i = 0; copy && i < n; i++) {
		copy[i] = strdup(list[i]);
		if (!copy[i]) {
			while (i > 0)
				free(copy[--i]);
			free(copy);
			return NULL;
		}
	}
	return copy;
}

/* A second that no point of the machine has: names stay as they are given. */
static int64_t free_second(const struct run *r, const char *vm, int64_t time_ns)
{
	size_t i;

	time_ns -= time_ns % 1000000000;
	for (i = 0; i < r->points->n; i++) {
		const struct point *p = r->points->points[i];

		if (strcmp(p->vm, vm) == 0 && p->time_ns == time_ns)
			time_ns += 1000000000;
	}
	return time_ns;
}

static int describe(struct run *r, const char *vm, const char *host,
		    int64_t start, struct point *p)
{
	const struct backup_options *o = r->b.options;
	struct passwd *pw = getpwuid(geteuid());
	const struct point *parent = r->parent;
	const char *const *sources = NULL;

	if (r->scan)
		sources = scan_sources(r->scan, &p->nsources);
	if (!parent && !r->scan)
		parent = r->machine;
	p->vm = strdup(vm);
	p->host = strdup(host);
	p->user = strdup(pw ? pw->pw_name : "");
	p->program = strdup(PACKAGE_STRING);
	p->sources = copy_list(sources, p->nsources);
	p->tags = copy_list(o->tags, (size_t)o->ntags);
	if (!p->vm || !p->host || !p->user || !p->program || !p->sources ||
	    !p->tags)
		return -ENOMEM;
	p->ntags = (size_t)o->ntags;
	if (p->ntags)
		qsort(p->tags, p->ntags, sizeof(*p->tags), by_text);
	p->time_ns = free_second(r, vm, o->time_ns ? o->time_ns : start);
	p->scan_start_ns = start;
	if (parent)
		memcpy(p->parent, parent->id, sizeof(p->parent));
	return 0;
}

/* Is the new point as the one that it was compared with? */
static bool is_as_before(const struct run *r, const struct point *p)
{
	const struct backup_options *o = r->b.options;
	const struct point *old = r->scan ? r->parent : r->machine;

	if (!old || p->errors > 0 || old->incomplete ||
	    old->has_tree != p->has_tree)
		return false;
	if ((o->ndisks || o->nconfigs) && r->machine != old)
		return false;
	if (!backup_same_disks(old, p))
		return false;
	return !p->has_tree || !r->differs || id_equal(&p->root, &old->root);
}

static int commit(struct run *r, struct point *p, struct backup_result *out)
{
	char name[POINT_TIME_LEN];
	int err;

	if (r->tree) {
		err = tree_builder_finish(r->tree, &p->root, &p->entries);
		if (err == 0)
			err = left_out_note(r->b.options, r->scan,
					    &p->left_out);
		if (err < 0)
			return err;
		p->has_tree = true;
		p->files = r->tree_files;
		p->bytes = r->tree_bytes;
		p->has_acl = r->has_acl;
	}
	point_sort(p);
	p->errors = atomic_load(&r->b.errors);
	p->incomplete = p->errors > 0;
	if (r->b.options->skip_if_unchanged && is_as_before(r, p)) {
		out->skipped = true;
		return 0;
	}
	err = writer_commit(r->b.writer, p);
	if (err < 0)
		return err;
	memcpy(out->point_id, p->id, sizeof(out->point_id));
	point_time_name(p->time_ns, name);
	snprintf(out->point_name, sizeof(out->point_name), "%s/%s", p->vm,
		 name);
	return 0;
}

static void skip_stat(const char *path, struct stat *list, size_t *n)
{
	if (path && stat(path, &list[*n]) == 0)
		(*n)++;
}

static int open_scan(struct run *r)
{
	const struct backup_options *o = r->b.options;
	struct stat skip[2];
	struct scan_options so = {
		.sources = o->sources,
		.nsources = (size_t)o->nsources,
		.exclude = o->exclude,
		.exclude_caches = o->exclude_caches,
		.one_file_system = o->one_file_system,
		.skip = skip,
	};

	if (o->nsources == 0)
		return 0; /* disks alone */
	skip_stat(vault_url(r->b.vault), skip, &so.nskip);
	skip_stat(catalog_dir(vault_catalog(r->b.vault)), skip, &so.nskip);
	return scan_open(&so, &r->scan);
}

static int begin_session(struct run *r)
{
	const struct backup_options *o = r->b.options;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int n = o->threads  ? o->threads
			 : cores > 0 ? (unsigned int)cores
				     : 1;

	r->b.pool = pool_new(n, 4 * n);
	if (!r->b.pool)
		return -ENOMEM;
	return writer_begin(r->b.vault, o->level, r->b.pool, &r->b.writer);
}

static int begin(struct run *r, const char *vm)
{
	struct rlimit files = { .rlim_cur = 1024 };
	const struct backup_options *o = r->b.options;
	int err;

	pthread_mutex_init(&r->b.lock, NULL);
	pthread_cond_init(&r->b.ready, NULL);
	(void)getrlimit(RLIMIT_NOFILE, &files);
	r->dirs_max = MIN(files.rlim_cur / 4, (rlim_t)BACKUP_RING);
	r->links = links_new();
	r->ring = alloc_array(BACKUP_RING, sizeof(*r->ring));
	if (!r->links || !r->ring)
		return -ENOMEM;
	err = open_scan(r);
	if (err == 0 && !o->dry_run)
		err = begin_session(r);
	/* After the session began: a parent seen now is not being purged. */
	if (err == 0)
		err = vault_points(r->b.vault, &r->points);
	if (err == 0)
		err = choose_parent(r, vm);
	if (err == 0)
		err = open_parent(r);
	if (err == 0 && r->b.writer)
		r->b.trust_parent = writer_intact(r->b.writer);
	if (err == 0 && r->b.writer && r->scan) {
		r->tree = tree_builder_new(r->b.writer);
		err = r->tree ? 0 : -ENOMEM;
	}
	if (err == 0 && o->ndisks)
		err = backup_disks_open(&r->b, r->machine, &r->disks);
	return err;
}

/* Disks first: they are the machine at one moment, as near as can be. */
static int read_all(struct run *r, struct point *p)
{
	const struct backup_options *o = r->b.options;
	int err = 0;

	if (o->ndisks)
		err = backup_disks_read(&r->b, &r->disks, r->machine, p);
	if (err == 0 && o->nconfigs)
		err = backup_configs_read(&r->b, p);
	if (err == 0 && r->scan)
		err = walk(r);
	return err;
}

static int end_readers(struct run *r)
{
	if (r->b.writer) {
		submit(r);
		pool_wait(r->b.pool);
	}
	return backup_end_readers(&r->b);
}

static void release(struct run *r)
{
	(void)!end_readers(r);
	backup_disks_close(&r->disks);
	tree_builder_free(r->tree);
	writer_free(r->b.writer);
	pool_free(r->b.pool);
	cursor_release(&r->old);
	point_list_put(r->points);
	scan_close(r->scan);
	links_free(r->links);
	ring_free(r);
	dir_put(r->dir);
	pthread_cond_destroy(&r->b.ready);
	pthread_mutex_destroy(&r->b.lock);
	free(r);
}

int backup_run(struct vault *v, const struct backup_options *o,
	       void (*tick_fn)(void *arg, const struct backup_progress *p),
	       void *arg, const volatile bool *stop, struct backup_result *out)
{
	struct seam *seam = vault_seam(v);
	struct writer_stats stats = { 0 };
	char hostname[256] = "localhost";
	const char *vm, *host;
	struct point *p = point_new();
	struct run *r = calloc(1, sizeof(*r));
	int64_t start = seam->ops->realtime_ns(seam);
	int err;

	memset(out, 0, sizeof(*out));
	if (!p || !r) {
		point_free(p);
		free(r);
		return -ENOMEM;
	}
	(void)gethostname(hostname, sizeof(hostname) - 1);
	host = o->host ? o->host : hostname;
	vm = o->vm ? o->vm : host;
	r->b.options = o;
	r->b.vault = v;
	r->b.progress = &r->p;
	r->b.tick = tick_of;
	r->b.stop = stop;
	r->tick = tick_fn;
	r->arg = arg;
	r->stop = stop;
	r->start_ns = seam->ops->monotonic_ns(seam);
	err = point_name_ok(vm) ? begin(r, vm)
				: fail(-EINVAL,
				       "\"%s\" cannot name a machine: "
				       "1 to 255 bytes without '/'",
				       vm);
	if (err == 0)
		err = describe(r, vm, host, start, p);
	if (err == 0)
		err = read_all(r, p);
	if (err == 0)
		err = end_readers(r);
	if (err == 0 && stopped(r))
		err = -EINTR;
	if (err == 0 && r->b.writer)
		err = commit(r, p, out);
	tick(r, true);
	if (r->b.writer)
		writer_get_stats(r->b.writer, &stats);
	out->packs_adopted = stats.packs_adopted;
	out->progress = r->p;
	release(r);
	point_free(p);
	return err;
}
