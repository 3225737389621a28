/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files inside disks of two points.
 *
 * Both sides are walked together, directory by directory, in the order of
 * names. A file of the same size, mtime and ctime is taken to be the same: the
 * guest's kernel sets the ctime with each change. Where they differ, but not
 * the size, both are read. Volumes' own images (<name>.raw) are left out: the
 * disks stand for them.
 */
#include "config.h"

#include "src/cmd/diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "fs/view_sorted.h"
#include "store/base/log.h"
#include "store/point.h"

#define PIECE (1u << 20)

/* A directory on one of the sides, or on both (node 0: not there). */
struct pair {
	struct view_sorted a, b;
	size_t i, j; /* the next names */
	size_t path_len;
};

struct walk {
	struct diff *d;
	struct view *view;
	struct buf path; /* with a NUL, not counted */
	struct pair *pairs; /* owned */
	size_t n, cap;
	struct node_set seen_a, seen_b;
	uint8_t *piece; /* owned, two of PIECE */
};

static void failed(struct walk *w, const char *what, int r)
{
	log_warn("%s: %s: %s", (char *)w->path.data, what, strerror(-r));
	w->d->failures++;
}

static int set_path(struct walk *w, size_t dir_len, const char *name)
{
	w->path.len = dir_len;
	if (dir_len && *name)
		buf_put_u8(&w->path, '/');
	buf_put(&w->path, name, strlen(name));
	buf_put_u8(&w->path, 0);
	if (buf_error(&w->path) < 0)
		return -ENOMEM;
	w->path.len--;
	return 0;
}

/* ---- two entries ---- */

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static int read_whole(struct view *w, uint64_t node, uint64_t off, uint8_t *out,
		      size_t len)
{
	size_t done, got;
	int r;

	for (done = 0; done < len; done += got) {
		r = view_read(w, node, off + done, out + done, len - done,
			      &got);
		if (r < 0 || got == 0)
			return r < 0 ? r : -EIO;
	}
	return 0;
}

/* Where data is, at or behind @off; the end of the file where there is none. */
static int next_data(struct view *w, const struct view_attr *x, uint64_t off,
		     uint64_t *out)
{
	int r = view_seek(w, x->node, off, false, out);

	if (r == -ENXIO)
		*out = (uint64_t)x->st.st_size;
	return r == -ENXIO ? 0 : r;
}

/* Of one size. Return 1 (they differ), 0 or a negative errno. */
static int bytes_differ(struct walk *w, const struct view_attr *a,
			const struct view_attr *b)
{
	uint64_t size = (uint64_t)a->st.st_size, off = 0, x = 0, y = 0;
	int r = 0;

	while (off < size) {
		size_t n;

		/* Holes of both are passed over. */
		r = next_data(w->view, a, off, &x);
		if (r == 0)
			r = next_data(w->view, b, off, &y);
		off = MAX(off, MIN(x, y));
		if (r < 0 || off >= size)
			break;
		n = (size_t)MIN(size - off, (uint64_t)PIECE);
		r = read_whole(w->view, a->node, off, w->piece, n);
		if (r == 0)
			r = read_whole(w->view, b->node, off, w->piece + PIECE,
				       n);
		if (r == 0 && memcmp(w->piece, w->piece + PIECE, n) != 0)
			return 1;
		if (r < 0)
			break;
		off += n;
	}
	return r;
}

static int links_differ(struct walk *w, const struct view_attr *a,
			const struct view_attr *b)
{
	AUTO_BUF struct buf x = BUF_INIT, y = BUF_INIT;
	int r = view_readlink(w->view, a->node, &x);

	if (r == 0)
		r = view_readlink(w->view, b->node, &y);
	return r < 0 ? r
		     : x.len != y.len ||
			       (x.len && memcmp(x.data, y.data, x.len) != 0);
}

/* Names and values, one after the other. */
static int all_xattrs(struct view *v, uint64_t node, struct buf *out)
{
	AUTO_BUF struct buf names = BUF_INIT, value = BUF_INIT;
	int r = view_listxattr(v, node, &names);
	size_t at = 0, len;

	while (r == 0 && at < names.len) {
		const char *name = (const char *)names.data + at;

		len = strlen(name) + 1;
		buf_clear(&value);
		r = view_getxattr(v, node, name, &value);
		buf_put(out, name, len);
		buf_put_bytes(out, value.data, value.len);
		at += len;
	}
	return r < 0 ? r : buf_error(out);
}

static int xattrs_differ(struct walk *w, const struct view_attr *a,
			 const struct view_attr *b)
{
	AUTO_BUF struct buf x = BUF_INIT, y = BUF_INIT;
	int r = all_xattrs(w->view, a->node, &x);

	if (r == 0)
		r = all_xattrs(w->view, b->node, &y);
	return r < 0 ? r
		     : x.len != y.len ||
			       (x.len && memcmp(x.data, y.data, x.len) != 0);
}

/* A modifier, 0, or a negative errno. */
static int compare(struct walk *w, const struct view_attr *a,
		   const struct view_attr *b)
{
	const struct stat *s = &a->st, *t = &b->st;
	bool touched = !same_time(s->st_mtim, t->st_mtim) ||
		       !same_time(s->st_ctim, t->st_ctim);
	int r = 0;

	if ((s->st_mode ^ t->st_mode) & S_IFMT)
		return 'T';
	/* What is above the volumes is not of the machine. */
	if (!view_in_volume(a->node) || !view_in_volume(b->node))
		return 0;
	if (S_ISREG(s->st_mode) && s->st_size != t->st_size)
		return 'M';
	if (s->st_rdev != t->st_rdev)
		return 'M';
	if (S_ISREG(s->st_mode) && (touched || w->d->content))
		r = bytes_differ(w, a, b);
	else if (S_ISLNK(s->st_mode))
		r = links_differ(w, a, b);
	if (r != 0)
		return r < 0 ? r : 'M';
	if (s->st_mode != t->st_mode || s->st_uid != t->st_uid ||
	    s->st_gid != t->st_gid || !same_time(s->st_mtim, t->st_mtim) ||
	    (!S_ISDIR(s->st_mode) && s->st_nlink != t->st_nlink))
		return 'U';
	if (touched || w->d->content)
		r = xattrs_differ(w, a, b);
	return r <= 0 ? r : 'U';
}

static int report(struct walk *w, char modifier, const struct view_attr *a,
		  const struct view_attr *b)
{
	uint64_t before = a ? (uint64_t)a->st.st_size : 0;
	uint64_t after = b ? (uint64_t)b->st.st_size : 0;
	struct diff_change c = {
		.modifier = modifier,
		.path = &w->path,
		.before = a ? &before : NULL,
		.after = b ? &after : NULL,
		.mode = b ? b->st.st_mode : a->st.st_mode,
	};
	size_t len = w->path.len;
	int r;

	if (S_ISDIR(c.mode))
		buf_put_u8(&w->path, '/');
	r = buf_error(&w->path) < 0 ? -ENOMEM : diff_change(w->d, &c);
	w->path.len = len;
	return r;
}

/* ---- directories ---- */

static int read_side(struct walk *w, struct view_sorted *d,
		     struct node_set *seen, uint64_t node)
{
	int r = node_set_add(seen, node);

	if (r == 0) {
		failed(w, "a directory that stands elsewhere too", -ELOOP);
		return 0;
	}
	if (r == 1)
		r = view_sorted_read(d, w->view, node, (char *)w->path.data);
	if (r == 0 && d->lost)
		w->d->failures++;
	if (r < 0 && r != -ENOMEM) {
		failed(w, "this directory cannot be read", r);
		r = 0;
	}
	return r;
}

/* Go into a directory of one or both sides. */
static int push(struct walk *w, const struct view_attr *a,
		const struct view_attr *b)
{
	struct pair *p;
	int r = 0;

	if (w->n >= VIEW_DEPTH_MAX) {
		failed(w, "not entered", -ELOOP);
		return 0;
	}
	if (w->n == w->cap) {
		size_t cap = w->cap ? 2 * w->cap : 32;

		p = reallocarray(w->pairs, cap, sizeof(*p));
		if (!p)
			return -ENOMEM;
		w->pairs = p;
		w->cap = cap;
	}
	p = &w->pairs[w->n++];
	memset(p, 0, sizeof(*p));
	p->path_len = w->path.len;
	if (a && S_ISDIR(a->st.st_mode))
		r = read_side(w, &p->a, &w->seen_a, a->node);
	if (r == 0 && b && S_ISDIR(b->st.st_mode))
		r = read_side(w, &p->b, &w->seen_b, b->node);
	return r;
}

static void pop(struct walk *w)
{
	struct pair *p = &w->pairs[--w->n];

	view_sorted_release(&p->a);
	view_sorted_release(&p->b);
}

/* w->path is theirs; one of them may be NULL. */
static int visit(struct walk *w, const struct view_attr *a,
		 const struct view_attr *b)
{
	int m = !a ? '+' : !b ? '-' : compare(w, a, b), r = 0;

	if (m == -ENOMEM)
		return m;
	if (m < 0)
		failed(w, "cannot be compared", m);
	else if (m > 0)
		r = report(w, (char)m, a, b);
	if (r == 0 &&
	    ((a && S_ISDIR(a->st.st_mode)) || (b && S_ISDIR(b->st.st_mode))))
		r = push(w, a, b);
	return r;
}

/* Return 1 with its attributes, 0 where it is left out, or -ENOMEM. */
static int look(struct walk *w, const struct view_name *n,
		struct view_attr *out)
{
	int r = n->damaged ? -EIO : view_getattr(w->view, n->node, out);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		failed(w, "cannot be read", r);
		return 0;
	}
	return view_in_volume(n->node) || S_ISDIR(n->mode);
}

/* The next name of the directory on top. */
static int step(struct walk *w)
{
	struct pair *p = &w->pairs[w->n - 1];
	const struct view_name *x = p->i < p->a.n ? &p->a.names[p->i] : NULL;
	const struct view_name *y = p->j < p->b.n ? &p->b.names[p->j] : NULL;
	struct view_attr a, b;
	int c, r;

	if (!x && !y) {
		pop(w);
		return 0;
	}
	c = !x	 ? 1
	    : !y ? -1
		 : strcmp(view_sorted_name(&p->a, x),
			  view_sorted_name(&p->b, y));
	p->i += c <= 0;
	p->j += c >= 0;
	r = set_path(w, p->path_len,
		     c <= 0 ? view_sorted_name(&p->a, x)
			    : view_sorted_name(&p->b, y));
	if (r == 0)
		r = c <= 0 ? look(w, x, &a) : 1;
	if (r == 1)
		r = c >= 0 ? look(w, y, &b) : 1;
	return r == 1 ? visit(w, c <= 0 ? &a : NULL, c >= 0 ? &b : NULL) : r;
}

/* ---- begin ---- */

/* Do the points have the same disks? Then they have the same files in them. */
static bool same_disks(const struct point *a, const struct point *b)
{
	size_t i;

	if (a->ndisks != b->ndisks)
		return false;
	for (i = 0; i < a->ndisks; i++) {
		const struct point_disk *x = &a->disks[i], *y = &b->disks[i];

		if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
		    x->content_len != y->content_len ||
		    memcmp(x->content, y->content, x->content_len) != 0)
			return false;
	}
	return true;
}

/* Return 1, 0 (it is not there) or a negative errno. */
static int find(struct view *w, const struct point *p, const char *path,
		struct view_attr *out)
{
	int r = view_lookup_path(w, view_point_node(w, p), path, out);

	return r == 0 ? 1 : r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

static int compare_from(struct walk *w, const struct point *a,
			const struct point *b, const char *path)
{
	struct view_attr x, y;
	int in_a = find(w->view, a, path, &x), in_b, r;

	if (in_a < 0)
		return in_a;
	in_b = find(w->view, b, path, &y);
	if (in_b < 0)
		return in_b;
	if (!in_a && !in_b)
		return fail(-ENOENT, "neither point has %s", path);
	if (same_disks(a, b))
		return 0;
	r = set_path(w, 0, path);
	if (r == 0)
		r = visit(w, in_a ? &x : NULL, in_b ? &y : NULL);
	while (r == 0 && w->n > 0)
		r = step(w);
	return r;
}

int diff_view(struct diff *d, struct view *v, const struct point *a,
	      const struct point *b, const char *path)
{
	struct walk w = { .d = d, .view = v };
	int r;

	w.piece = malloc(2 * (size_t)PIECE);
	r = w.piece ? compare_from(&w, a, b, path) : -ENOMEM;
	while (w.n > 0)
		pop(&w);
	free(w.pairs);
	free(w.piece);
	buf_release(&w.path);
	node_set_release(&w.seen_a);
	node_set_release(&w.seen_b);
	return r;
}
