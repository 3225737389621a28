/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The readers behind one face: picks the one for a type, keeps the files and
 * directories used last, and stands between callers and what an image says:
 * names, nodes and sizes that cannot be do not come through here.
 *
 * No lock is held while a reader works. Two threads that miss the same thing
 * both load it, and one of the two is kept.
 */
#include "config.h"

#include "fs/guest/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest_internal.h"
#include "fs/guest/map.h"
#include "store/base/log.h"
#include "store/base/seam.h"

static const struct guest_ops *reader_of(const char *type)
{
	const struct guest_reader *r;

	for (r = guest_readers; r->type; r++)
		if (strcmp(r->type, type) == 0)
			return r->ops;
	return NULL;
}

bool guest_knows(const char *type)
{
	return reader_of(type) != NULL;
}

/* ---- files ---- */

void guest_file_init(struct guest_file *f, const struct guest_file_ops *ops,
		     uint64_t size, size_t memory)
{
	f->ops = ops;
	f->size = size;
	f->memory = memory;
	atomic_init(&f->refs, 1);
}

static void file_get(void *object)
{
	struct guest_file *f = object;

	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
}

static void file_put(void *object)
{
	struct guest_file *f = object;

	if (f &&
	    atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) == 1)
		f->ops->free(f);
}

const struct lru_ops guest_file_lru = { .get = file_get, .put = file_put };

/* The file of a node, held for the caller. */
static int file_open(struct guest *g, uint64_t node, struct guest_file **out)
{
	struct guest_file *f;
	int r;

	*out = NULL;
	if (node == 0 || node >= GUEST_NODE_MAX)
		return -ENOENT;
	f = lru_get(&g->common->files, node, 0);
	if (!f) {
		r = g->ops->file(g, node, &f);
		if (r < 0)
			return r;
		if (f->size > GUEST_SIZE_MAX) {
			file_put(f);
			return fail(-EBADMSG,
				    "%s: inode %llu: its size cannot "
				    "be",
				    g->ops->name, (unsigned long long)node);
		}
		lru_add(&g->common->files, node, 0, f, f->memory);
	}
	*out = f;
	return 0;
}

int guest_read(struct guest *g, uint64_t node, uint64_t off, void *out,
	       size_t len, size_t *out_len)
{
	struct guest_file *f;
	int r;

	*out_len = 0;
	r = file_open(g, node, &f);
	if (r < 0)
		return r;
	if (off < f->size && len > 0) {
		len = (size_t)MIN((uint64_t)len, f->size - off);
		r = f->ops->read(f, off, out, len);
		if (r == 0)
			*out_len = len;
	}
	file_put(f);
	return r;
}

int guest_seek(struct guest *g, uint64_t node, uint64_t off, bool hole,
	       uint64_t *out)
{
	struct guest_file *f;
	uint64_t at = off;
	int r;

	r = file_open(g, node, &f);
	if (r < 0)
		return r;
	if (off >= f->size)
		r = -ENXIO;
	else if (f->ops->seek)
		r = f->ops->seek(f, off, hole, &at);
	else if (hole)
		at = f->size;
	if (r == 0 && at >= f->size && !hole)
		r = -ENXIO;
	if (r == 0)
		*out = MIN(at, f->size);
	file_put(f);
	return r;
}

/* ---- opening ---- */

static int common_new(struct lru *memory, struct guest_common **out)
{
	struct guest_common *c = calloc(1, sizeof(*c));
	struct seam *seam = seam_system();
	int r;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	r = seam->ops->random(seam, c->sipkey, sizeof(c->sipkey));
	if (r < 0) {
		free(c);
		return r;
	}
	pthread_mutex_init(&c->lock, NULL);
	lru_part_init(&c->files, memory, &guest_file_lru);
	lru_part_init(&c->dirs, memory, &guest_dir_lru);
	lru_part_init(&c->windows, memory, &map_window_lru);
	*out = c;
	return 0;
}

static void common_free(struct guest_common *c)
{
	if (!c)
		return;
	lru_part_release(&c->files);
	lru_part_release(&c->dirs);
	lru_part_release(&c->windows);
	node_set_release(&c->spoiled);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void guest_close(struct guest *g)
{
	if (!g)
		return;
	common_free(g->common); /* the files, before what they read through */
	g->ops->close(g);
	blocks_put(g->blocks);
	free(g);
}

static void end_string(char *s, size_t size)
{
	s[size - 1] = '\0';
}

/* What a reader that did not say why could have meant. */
static void say_why(struct buf *why, const char *type, int r)
{
	if (why->len > 0)
		return;
	if (r == -EBADMSG)
		buf_printf(why, "the %s filesystem is damaged", type);
	else if (r == -EOPNOTSUPP)
		buf_printf(why,
			   "the %s filesystem uses what vmbackupfs has "
			   "no reader for",
			   type);
	else
		buf_printf(why, "the %s filesystem cannot be opened: %s", type,
			   strerror(-r));
}

/*
 * Whatever the format, the top of a filesystem is a directory. A symbolic link
 * there would lead whoever enters the volume to a place of the host.
 */
static int check_top(struct guest *g, struct buf *why)
{
	struct guest_attr a;

	if (g->root == 0 || g->root >= GUEST_NODE_MAX)
		return -EBADMSG;
	/* A top that is damaged is told of when somebody looks at it. */
	if (guest_getattr(g, g->root, &a) < 0 || S_ISDIR(a.mode))
		return 0;
	buf_printf(why, "the top of the filesystem is not a directory");
	return -EBADMSG;
}

int guest_open(const char *type, struct blocks *b, struct lru *memory,
	       struct buf *why, struct guest **out)
{
	const struct guest_ops *ops = reader_of(type);
	struct guest *g;
	int r;

	*out = NULL;
	if (!ops) {
		buf_printf(why,
			   "a %s filesystem: vmbackupfs has no reader "
			   "for it: use the .raw file beside it",
			   type);
		return -EOPNOTSUPP;
	}
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->ops = ops;
	g->blocks = blocks_get(b);
	g->memory = memory;
	r = common_new(memory, &g->common);
	if (r == 0)
		r = ops->open(g, why);
	if (r == 0)
		r = check_top(g, why);
	if (r < 0) {
		say_why(why, type, r);
		guest_close(g);
		return r;
	}
	end_string(g->info.type, sizeof(g->info.type));
	end_string(g->info.label, sizeof(g->info.label));
	end_string(g->info.uuid, sizeof(g->info.uuid));
	end_string(g->info.state, sizeof(g->info.state));
	end_string(g->info.note, sizeof(g->info.note));
	*out = g;
	return 0;
}

/* ---- inodes ---- */

static bool attr_ok(const struct guest_attr *a)
{
	switch (a->mode & S_IFMT) {
	case S_IFREG:
	case S_IFDIR:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return false;
	}
	return a->size <= GUEST_SIZE_MAX && a->atime.nsec < 1000000000 &&
	       a->mtime.nsec < 1000000000 && a->ctime.nsec < 1000000000;
}

int guest_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	int r;

	if (node == 0 || node >= GUEST_NODE_MAX)
		return -ENOENT;
	memset(out, 0, sizeof(*out));
	r = g->ops->getattr(g, node, out);
	if (r < 0)
		return r;
	out->node = node;
	if (!attr_ok(out))
		return fail(-EBADMSG,
			    "%s: inode %llu: its type, size or times "
			    "cannot be",
			    g->ops->name, (unsigned long long)node);
	out->mode &= S_IFMT | 07777;
	return 0;
}

int guest_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	size_t before = out->len, len;
	int r;

	if (node == 0 || node >= GUEST_NODE_MAX)
		return -ENOENT;
	r = g->ops->readlink(g, node, out);
	if (r == 0)
		r = buf_error(out);
	len = out->len - before;
	if (r == 0 && (len == 0 || len > GUEST_TARGET_MAX ||
		       memchr(out->data + before, '\0', len)))
		r = fail(-EBADMSG,
			 "%s: inode %llu: the target of the symbolic "
			 "link cannot be",
			 g->ops->name, (unsigned long long)node);
	if (r < 0)
		out->len = before;
	return r;
}
