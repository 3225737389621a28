/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A slot holds what was found out about a file; an entry is what the vault
 * keeps of it. Between them stand three questions: is this one more name of a
 * file that was read under another (links.h), where do its extended attributes
 * go, and was there a need to look at it at all (compare_again()).
 */
#include "config.h"

#include "src/backup/entries.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "src/backup/internal.h"
#include "src/backup/links.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"

int entries_init(struct entries *e, struct backup *b)
{
	e->backup = b;
	if (!b->writer || !b->scan)
		return 0;
	e->tree = tree_builder_new(b->writer);
	return e->tree ? 0 : -ENOMEM;
}

void entries_release(struct entries *e)
{
	tree_builder_free(e->tree);
	owners_release(&e->owners);
	e->tree = NULL;
}

/* Devices have no lasting numbers: an entry says which one of the scan. */
static uint32_t dev_rank(struct entries *e, dev_t dev)
{
	uint32_t i;

	for (i = 0; i < e->ndevs; i++)
		if (e->devs[i] == dev)
			return i;
	if (e->ndevs < ENTRIES_DEVS_MAX)
		e->devs[e->ndevs++] = dev;
	return i;
}

static int put_xattrs(struct entries *e, struct slot *s)
{
	struct entry *x = &s->entry;

	if (s->unchanged && (x->flags & ENTRY_XATTRS_CHUNK))
		return 0; /* the parent's chunk */
	x->flags =
		(s->has_acl ? ENTRY_ACL : 0) | (s->partial ? ENTRY_PARTIAL : 0);
	x->xattrs_len = (uint32_t)s->xattrs.len;
	if (s->xattrs.len == 0)
		return 0;
	if (s->xattrs.len <= ENTRY_XATTR_INLINE_MAX) {
		x->flags |= ENTRY_XATTRS;
		x->xattrs = s->xattrs.data;
		return 0;
	}
	if (s->xattrs.len > ENTRY_XATTRS_MAX) {
		backup_complain(e->backup, s,
				"its extended attributes are too long and are "
				"left out",
				0);
		x->xattrs_len = 0;
		x->flags = ENTRY_PARTIAL;
		return 0;
	}
	/* In a chunk, nobody else looks at them before they are read back. */
	if (xattrs_check(s->xattrs.data, s->xattrs.len) < 0)
		return -EBADMSG;
	x->flags |= ENTRY_XATTRS_CHUNK;
	return writer_chunk(e->backup->writer, CHUNK_XATTRS, s->xattrs.data,
			    s->xattrs.len, &x->xattrs_id);
}

/* What is known beyond stat(2) needs no room but the entry's. */
static void put_extra(struct slot *s)
{
	struct entry *x = &s->entry;

	x->flags &= ~ENTRY_EXTRA;
	x->extra = s->extra.data;
	x->extra_len = (uint32_t)s->extra.len;
	if (s->extra.len > 0)
		x->flags |= ENTRY_EXTRA;
}

/* Of attributes that are the parent's, in a chunk, nobody looks at the ACLs. */
static int note_owners(struct entries *e, const struct slot *s)
{
	int err = owners_note(&e->owners, s->st.st_uid, s->st.st_gid);

	if (err == 0 && s->has_acl && s->xattrs.len > 0)
		err = owners_note_acls(&e->owners, s->xattrs.data,
				       s->xattrs.len);
	return err;
}

/* The bounds that readers of a point hold to (store/entry.h). No filesystem
 * has more; what a hostile one says must not spoil the point. */
static void bound_entry(struct entry *x)
{
	/* Of regular files the size is that of their content. */
	if (!S_ISREG(x->mode))
		x->size = MIN(x->size, CONTENT_SIZE_MAX);
	x->nlink = MIN(x->nlink, (uint64_t)UINT32_MAX);
	x->mtime.nsec = MIN(x->mtime.nsec, 999999999u);
	x->ctime.nsec = MIN(x->ctime.nsec, 999999999u);
}

static void fill_entry(struct entries *e, struct slot *s)
{
	struct entry *x = &s->entry;
	const struct stat *st = &s->st;

	x->name = s->name.data;
	x->name_len = (uint32_t)s->name.len;
	x->mode = st->st_mode;
	x->uid = st->st_uid;
	x->gid = st->st_gid;
	x->nlink = st->st_nlink;
	x->size = (uint64_t)st->st_size;
	x->mtime.sec = st->st_mtim.tv_sec;
	x->mtime.nsec = (uint32_t)st->st_mtim.tv_nsec;
	x->ctime.sec = st->st_ctim.tv_sec;
	x->ctime.nsec = (uint32_t)st->st_ctim.tv_nsec;
	x->ino = st->st_ino;
	x->dev = dev_rank(e, st->st_dev);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		x->rdev_major = major(st->st_rdev);
		x->rdev_minor = minor(st->st_rdev);
	}
	x->target = s->target.data;
	x->target_len = (uint32_t)s->target.len;
	x->content = s->content.data;
	x->content_len = (uint32_t)s->content.len;
	bound_entry(x);
}

/* What the first name of a file found serves its other names. */
static int share_link(struct entries *e, struct slot *s)
{
	struct link_found f = { .has_acl = s->has_acl,
				.partial = s->partial,
				.st = s->st,
				.xattrs = s->xattrs,
				.extra = s->extra,
				.content = s->content };
	int err;

	if (!s->link_follows) {
		f.failed = atomic_load(&s->state) == SLOT_DROPPED;
		err = link_set(s->link, &f);
	} else {
		err = link_get(s->link, &f);
		s->st = f.st;
		s->has_acl = f.has_acl;
		s->partial = f.partial;
		s->xattrs = f.xattrs;
		s->extra = f.extra;
		s->content = f.content;
	}
	if (s->link_follows && f.failed) {
		backup_complain(e->backup, s,
				"cannot be read under its other name", 0);
		atomic_store(&s->state, SLOT_DROPPED);
	}
	links_done(e->backup->slots.links, s->link);
	s->link = NULL;
	return err;
}

static bool same_bytes(const struct buf *a, const struct buf *b)
{
	return a->len == b->len &&
	       (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

/* A file so new that it might have changed within a tick of the filesystem's
 * clock was looked at again. Only now is it known whether it had. That more is
 * known of it than an older program noted is no change. */
static void compare_again(struct entries *e, const struct slot *s)
{
	struct backup *b = e->backup;
	bool file = S_ISREG(s->st.st_mode);

	if (same_bytes(file ? &s->content : &s->target, &s->was) &&
	    same_bytes(&s->xattrs, &s->was_xattrs) &&
	    (s->was_extra.len == 0 || same_bytes(&s->extra, &s->was_extra)) &&
	    s->st.st_ctim.tv_sec == s->was_ctime.tv_sec &&
	    s->st.st_ctim.tv_nsec == s->was_ctime.tv_nsec) {
		b->progress.files_unmodified += file;
		return;
	}
	b->progress.files_changed += file;
	b->parent.differs = true;
}

static void count_entry(struct entries *e, const struct slot *s)
{
	struct backup_progress *p = &e->backup->progress;

	e->has_acl |= (s->entry.flags & ENTRY_ACL) != 0;
	if (S_ISREG(s->st.st_mode)) {
		e->files++;
		/* Sparse files may well be more together than there can be. */
		e->bytes = MIN(e->bytes + s->entry.size, (uint64_t)INT64_MAX);
		p->bytes_done =
			MIN(p->bytes_done + s->entry.size, (uint64_t)INT64_MAX);
	}
	p->entries++;
}

int entries_add(struct entries *e, struct slot *s)
{
	int err = s->link ? share_link(e, s) : 0;

	if (err < 0 || atomic_load(&s->state) != SLOT_READY)
		return err;
	fill_entry(e, s);
	if (s->again)
		compare_again(e, s);
	if (e->tree) {
		err = put_xattrs(e, s);
		put_extra(s);
		if (err == 0)
			err = tree_builder_add(e->tree, s->dir->key.data,
					       s->dir->key.len, &s->entry);
	}
	if (err == -EBADMSG) {
		backup_complain(e->backup, s,
				"what its filesystem says of it makes no sense",
				0);
		return 0;
	}
	count_entry(e, s);
	return err < 0 || !e->tree ? err : note_owners(e, s);
}

int entries_finish(struct entries *e, struct point *p)
{
	int err;

	if (!e->tree)
		return 0;
	err = tree_builder_finish(e->tree, &p->root, &p->entries);
	if (err < 0)
		return err;
	p->has_tree = true;
	p->files = e->files;
	p->bytes = e->bytes;
	p->has_acl = e->has_acl;
	return owners_put(&e->owners, p);
}
