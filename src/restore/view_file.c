/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries of the namespace as those of a tree, and what they hold. A vent keeps
 * little; the target of a link and extended attributes are read when they are
 * needed, by the thread that needs them.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs/view.h"
#include "src/restore/internal.h"
#include "store/base/log.h"

#define XATTRS_MAX 4096 /* of one entry */

struct vent {
	atomic_int refs;
	uint64_t node;
	struct entry e; /* name: in path */
	char path[]; /* in the point */
};

int vent_new(const char *path, const struct view_attr *a, struct vent **out)
{
	const char *slash = strrchr(path, '/');
	size_t name = slash ? (size_t)(slash - path) + 1 : 0;
	size_t len = strlen(path);
	const struct stat *st = &a->st;
	struct vent *x = malloc(sizeof(*x) + len + 1);

	*out = NULL;
	if (!x)
		return -ENOMEM;
	atomic_init(&x->refs, 1);
	x->node = a->node;
	memcpy(x->path, path, len + 1);
	x->e = (struct entry){
		.name = (const uint8_t *)x->path + name,
		.name_len = (uint32_t)MIN(len - name, (size_t)ENTRY_NAME_MAX),
		.mode = st->st_mode,
		.uid = st->st_uid,
		.gid = st->st_gid,
		.nlink = S_ISDIR(st->st_mode) ? 1 : st->st_nlink,
		.size = (uint64_t)st->st_size,
		.mtime = { .sec = st->st_mtim.tv_sec,
			   .nsec = (uint32_t)st->st_mtim.tv_nsec },
		.ctime = { .sec = st->st_ctim.tv_sec,
			   .nsec = (uint32_t)st->st_ctim.tv_nsec },
		.ino = a->node,
	};
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		x->e.rdev_major = major(st->st_rdev);
		x->e.rdev_minor = minor(st->st_rdev);
	}
	*out = x;
	return 0;
}

struct vent *vent_get(struct vent *x)
{
	atomic_fetch_add(&x->refs, 1);
	return x;
}

void vent_put(struct vent *x)
{
	if (x && atomic_fetch_sub(&x->refs, 1) == 1)
		free(x);
}

void vent_entry(const struct vent *x, struct entry *out)
{
	*out = x->e;
}

const char *vent_path(const struct vent *x)
{
	return x->path;
}

/* ---- what is read late ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The mount's marks on the top of a volume are no attributes of the guest. */
static bool is_mark(const char *name)
{
	static const char prefix[] = "user.vmbackupfs.";

	return strncmp(name, prefix, sizeof(prefix) - 1) == 0;
}

/* Pointers to the names in @all; returns how many. */
static size_t pick_names(const struct buf *all, const char **names)
{
	const char *p = (const char *)all->data, *end = p + all->len;
	size_t n = 0, i, kept = 0;

	for (; p < end && n < XATTRS_MAX; p += strlen(p) + 1)
		if (*p && strlen(p) <= ENTRY_NAME_MAX && !is_mark(p))
			names[n++] = p;
	qsort(names, n, sizeof(*names), by_text);
	for (i = 0; i < n; i++)
		if (i == 0 || strcmp(names[i], names[i - 1]) != 0)
			names[kept++] = names[i];
	return kept;
}

/* Append the list of those that can be read. Return 0, or the negative errno
 * of the last that cannot. */
static int put_xattrs(struct view *w, uint64_t node, const char **names,
		      size_t n, struct buf *out)
{
	AUTO_BUF struct buf value = BUF_INIT;
	AUTO_BUF struct buf list = BUF_INIT;
	size_t i, kept = 0;
	int r = 0, e;

	for (i = 0; i < n && r != -ENOMEM; i++) {
		buf_clear(&value);
		e = view_getxattr(w, node, names[i], &value);
		if (e < 0) {
			r = e;
			continue;
		}
		xattrs_put(&list, names[i], value.data, value.len);
		kept++;
	}
	buf_put_varint(out, kept);
	buf_put(out, list.data, list.len);
	return buf_error(&list) < 0 || buf_error(out) < 0 ? -ENOMEM : r;
}

static int load_xattrs(struct view *w, const struct vent *x, struct buf *mem,
		       struct entry *e)
{
	AUTO_FREE const char **names = NULL;
	AUTO_BUF struct buf all = BUF_INIT;
	size_t n;
	int r = view_listxattr(w, x->node, &all), some = r > 0 ? -E2BIG : 0;

	if (r == -EOPNOTSUPP || r == -ENODATA)
		return 0;
	if (r < 0 || all.len == 0)
		return r < 0 ? r : some;
	names = alloc_array(XATTRS_MAX, sizeof(*names));
	if (!names)
		return -ENOMEM;
	n = pick_names(&all, names);
	if (n == 0)
		return some;
	r = put_xattrs(w, x->node, names, n, mem);
	if (r == -ENOMEM)
		return r;
	e->flags |= ENTRY_XATTRS;
	e->xattrs = mem->data;
	e->xattrs_len = (uint32_t)mem->len;
	return r < 0 ? r : some;
}

int vent_load(struct restore *run, const struct vent *x, struct buf *mem,
	      struct entry *e)
{
	struct view *w = run->o->view;
	AUTO_BUF struct buf target = BUF_INIT;
	uint8_t *copy = NULL;
	int r;

	buf_clear(mem);
	if (S_ISLNK(e->mode)) {
		r = view_readlink(w, x->node, &target);
		if (r == 0 &&
		    (target.len == 0 || target.len > ENTRY_TARGET_MAX))
			r = -ENAMETOOLONG;
		if (r < 0)
			return fail(r,
				    "%s: where this link leads cannot be"
				    " read: %s",
				    x->path, strerror(-r));
	}
	r = load_xattrs(w, x, mem, e);
	if (r < 0)
		log_warn(
			"%s: not all of its extended attributes can be read: %s",
			x->path, strerror(-r));
	/* Behind the list: the one buffer keeps both. */
	if (target.len > 0) {
		size_t len = mem->len;

		buf_put(mem, target.data, target.len);
		if (buf_error(mem) < 0)
			return -ENOMEM;
		copy = mem->data + len;
		e->xattrs = e->flags & ENTRY_XATTRS ? mem->data : NULL;
		e->target = copy;
		e->target_len = (uint32_t)target.len;
	}
	return r;
}

/* ---- content ---- */

static int read_piece(struct view *w, uint64_t node, uint64_t off, uint8_t *out,
		      size_t len)
{
	size_t got, done = 0;
	int r = 0;

	for (; r == 0 && done < len; done += got) {
		r = view_read(w, node, off + done, out + done, len - done,
			      &got);
		if (r == 0 && got == 0)
			r = -EIO;
		if (r < 0)
			got = 0;
	}
	return r;
}

/* The next stretch of data at or behind *off; -ENXIO: none. */
static int next_data(struct view *w, const struct vent *x, uint64_t *off,
		     uint64_t *end)
{
	uint64_t at = *off;
	int r;

	if (at >= x->e.size)
		return -ENXIO;
	r = view_seek(w, x->node, at, false, off);
	if (r == -EINVAL || r == -EOPNOTSUPP) {
		*off = at; /* it is data then */
		*end = x->e.size;
		return 0;
	}
	if (r < 0)
		return r;
	if (*off < at || *off >= x->e.size)
		return -ENXIO;
	r = view_seek(w, x->node, *off, true, end);
	*end = r == 0 ? MIN(*end, x->e.size) : x->e.size;
	if (r == 0 && *end <= *off)
		r = -EIO;
	return r == -ENXIO ? 0 : r;
}

int vent_pieces(struct restore *run, const struct vent *x, uint8_t *piece,
		int (*fn)(void *arg, uint64_t off, size_t len), void *arg)
{
	struct view *w = run->o->view;
	uint64_t off = 0, end;
	int r = 0;

	while (r == 0) {
		r = next_data(w, x, &off, &end);
		while (r == 0 && off < end) {
			size_t n =
				(size_t)MIN(end - off, (uint64_t)RESTORE_PIECE);

			r = read_piece(w, x->node, off, piece, n);
			if (r == 0)
				r = fn(arg, off, n);
			off += n;
		}
	}
	return r == -ENXIO ? 0 : r;
}

/* ---- verifying ---- */

struct comparing {
	struct restore *run;
	int fd;
	uint8_t *want, *got;
	uint64_t pos; /* so far it is the same */
};

static int compare_piece(void *arg, uint64_t off, size_t len)
{
	struct comparing *c = arg;
	int r = verify_zero_range(c->run, c->fd, c->got, c->pos, off - c->pos);

	if (r == 0)
		r = verify_read(c->fd, c->got, len, off);
	if (r == 0 && memcmp(c->got, c->want, len) != 0)
		r = -EUCLEAN;
	c->pos = off + len;
	return r < 0 ? r : restore_stopped(c->run);
}

int vent_verify(struct restore *run, const struct vent *x, int fd,
		uint8_t *piece)
{
	struct comparing c = { .run = run,
			       .fd = fd,
			       .want = piece,
			       .got = piece + RESTORE_PIECE };
	int r = vent_pieces(run, x, c.want, compare_piece, &c);

	return r < 0 ? r
		     : verify_zero_range(run, fd, c.got, c.pos,
					 x->e.size - c.pos);
}
