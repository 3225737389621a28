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
#include "fs/walk.h"
#include "store/base/log.h"
#include "store/point.h"

#define PIECE (1u << 20)

struct pair {
	struct diff *d;
	struct view *view;
	struct buf path; /* of what is compared; a NUL behind it */
	struct walk a, b;
	bool more_a, more_b; /* a.entry, b.entry are to be compared */
	uint8_t *piece; /* owned, two of PIECE */
};

static void failed(struct pair *p, const char *what, int r)
{
	log_warn("%s: %s: %s", (char *)p->path.data, what, strerror(-r));
	p->d->failures++;
}

static int set_path(struct pair *p, const char *path)
{
	buf_clear(&p->path);
	buf_put(&p->path, path, strlen(path));
	buf_put_u8(&p->path, 0);
	if (buf_error(&p->path) < 0)
		return -ENOMEM;
	p->path.len--;
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

/* Compare two files of one size. Return 1 (they differ), 0 or a negative
 * errno. */
static int bytes_differ(struct pair *p, const struct view_attr *a,
			const struct view_attr *b)
{
	uint64_t size = (uint64_t)a->st.st_size, off = 0, x = 0, y = 0;
	int r = 0;

	while (off < size) {
		size_t n;

		/* Holes of both are passed over. */
		r = next_data(p->view, a, off, &x);
		if (r == 0)
			r = next_data(p->view, b, off, &y);
		off = MAX(off, MIN(x, y));
		if (r < 0 || off >= size)
			break;
		n = (size_t)MIN(size - off, (uint64_t)PIECE);
		r = read_whole(p->view, a->node, off, p->piece, n);
		if (r == 0)
			r = read_whole(p->view, b->node, off, p->piece + PIECE,
				       n);
		if (r == 0 && memcmp(p->piece, p->piece + PIECE, n) != 0)
			return 1;
		if (r < 0)
			break;
		off += n;
	}
	return r;
}

static int links_differ(struct pair *p, const struct view_attr *a,
			const struct view_attr *b)
{
	AUTO_BUF struct buf x = BUF_INIT, y = BUF_INIT;
	int r = view_readlink(p->view, a->node, &x);

	if (r == 0)
		r = view_readlink(p->view, b->node, &y);
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

	while (r >= 0 && at < names.len) {
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

static int xattrs_differ(struct pair *p, const struct view_attr *a,
			 const struct view_attr *b)
{
	AUTO_BUF struct buf x = BUF_INIT, y = BUF_INIT;
	int r = all_xattrs(p->view, a->node, &x);

	if (r == 0)
		r = all_xattrs(p->view, b->node, &y);
	return r < 0 ? r
		     : x.len != y.len ||
			       (x.len && memcmp(x.data, y.data, x.len) != 0);
}

/* A modifier, 0, or a negative errno. */
static int compare(struct pair *p, const struct view_attr *a,
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
	if (S_ISREG(s->st_mode) && (touched || p->d->content))
		r = bytes_differ(p, a, b);
	else if (S_ISLNK(s->st_mode))
		r = links_differ(p, a, b);
	if (r != 0)
		return r < 0 ? r : 'M';
	if (s->st_mode != t->st_mode || s->st_uid != t->st_uid ||
	    s->st_gid != t->st_gid || !same_time(s->st_mtim, t->st_mtim) ||
	    (!S_ISDIR(s->st_mode) && s->st_nlink != t->st_nlink))
		return 'U';
	if (touched || p->d->content)
		r = xattrs_differ(p, a, b);
	return r <= 0 ? r : 'U';
}

static int report_result(struct pair *p, char modifier,
			 const struct view_attr *a, const struct view_attr *b)
{
	uint64_t before = a ? (uint64_t)a->st.st_size : 0;
	uint64_t after = b ? (uint64_t)b->st.st_size : 0;
	struct diff_change c = {
		.modifier = modifier,
		.path = &p->path,
		.before = a ? &before : NULL,
		.after = b ? &after : NULL,
		.mode = b ? b->st.st_mode : a->st.st_mode,
	};
	size_t len = p->path.len;
	int r;

	if (S_ISDIR(c.mode))
		buf_put_u8(&p->path, '/');
	r = buf_error(&p->path) < 0 ? -ENOMEM : diff_report_change(p->d, &c);
	p->path.len = len;
	return r;
}

/* ---- two walks ---- */

/* Go on to the next entry of one side. */
static int advance(struct walk *w, bool *more_out)
{
	int r;

	do
		r = walk_next(w);
	while (r > 0 && r != WALK_ENTRY);
	*more_out = r == WALK_ENTRY;
	return r < 0 ? r : 0;
}

/*
 * Which side is to be looked at: below 0: a, above 0: b, 0: both, of one name.
 * Both walk in the order of names, and a directory of one side alone is walked
 * while the other side waits above it. So the deeper entry comes first, and
 * entries of one depth are in the same directory.
 */
static int which(const struct pair *p)
{
	const struct walk_entry *x = &p->a.entry, *y = &p->b.entry;

	if (!p->more_a || !p->more_b)
		return p->more_a ? -1 : 1;
	if (x->depth != y->depth)
		return x->depth > y->depth ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* p->path is theirs; one of them may be NULL. */
static int visit(struct pair *p, const struct view_attr *a,
		 const struct view_attr *b)
{
	int m = !a ? '+' : !b ? '-' : compare(p, a, b);

	if (m == -ENOMEM)
		return m;
	if (m < 0)
		failed(p, "cannot be compared", m);
	return m > 0 ? report_result(p, (char)m, a, b) : 0;
}

/* Return 1 with its attributes, 0 where it is left out, or -ENOMEM. */
static int look(struct pair *p, const struct walk_entry *e,
		struct view_attr *out)
{
	int r = e->damaged ? -EIO : view_getattr(p->view, e->node, out);

	if (r == -ENOMEM)
		return r;
	if (r < 0) {
		failed(p, "cannot be read", r);
		return 0;
	}
	return view_in_volume(e->node) || S_ISDIR(e->mode);
}

static int compare_next(struct pair *p)
{
	int c = which(p), r;
	const struct walk_entry *x = c <= 0 ? &p->a.entry : NULL;
	const struct walk_entry *y = c >= 0 ? &p->b.entry : NULL;
	struct view_attr a, b;

	r = set_path(p, x ? x->path : y->path);
	if (r == 0)
		r = x ? look(p, x, &a) : 1;
	if (r == 1)
		r = y ? look(p, y, &b) : 1;
	if (r == 1) {
		r = visit(p, x ? &a : NULL, y ? &b : NULL);
	} else {
		if (x)
			walk_skip(&p->a);
		if (y)
			walk_skip(&p->b);
	}
	if (r == 0 && x)
		r = advance(&p->a, &p->more_a);
	if (r == 0 && y)
		r = advance(&p->b, &p->more_b);
	return r;
}

/* What is below the two, which have been compared themselves. */
static int compare_below(struct pair *p, const char *path,
			 const struct view_attr *a, const struct view_attr *b)
{
	int r = 0;

	if (a && S_ISDIR(a->st.st_mode)) {
		r = walk_begin(&p->a, p->view, WALK_BY_NAME, path, a->node);
		if (r == 0)
			r = advance(&p->a, &p->more_a);
	}
	if (r == 0 && b && S_ISDIR(b->st.st_mode)) {
		r = walk_begin(&p->b, p->view, WALK_BY_NAME, path, b->node);
		if (r == 0)
			r = advance(&p->b, &p->more_b);
	}
	while (r == 0 && (p->more_a || p->more_b))
		r = compare_next(p);
	return r;
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
static int look_up(struct view *w, const struct point *p, const char *path,
		   struct view_attr *out)
{
	int r = view_lookup_path(w, view_point_node(w, p), path, out);

	return r == 0 ? 1 : r == -ENOENT || r == -ENOTDIR ? 0 : r;
}

static int compare_from(struct pair *p, const struct point *a,
			const struct point *b, const char *path)
{
	struct view_attr x, y;
	int in_a = look_up(p->view, a, path, &x), in_b, r;

	if (in_a < 0)
		return in_a;
	in_b = look_up(p->view, b, path, &y);
	if (in_b < 0)
		return in_b;
	if (!in_a && !in_b)
		return fail(-ENOENT, "neither point has %s", path);
	if (same_disks(a, b))
		return 0;
	r = set_path(p, path);
	if (r == 0)
		r = visit(p, in_a ? &x : NULL, in_b ? &y : NULL);
	if (r == 0)
		r = compare_below(p, path, in_a ? &x : NULL, in_b ? &y : NULL);
	return r;
}

int diff_view(struct diff *d, struct view *v, const struct point *a,
	      const struct point *b, const char *path)
{
	struct pair w = { .d = d, .view = v };
	int r;

	w.piece = malloc(2 * (size_t)PIECE);
	r = w.piece ? compare_from(&w, a, b, path) : -ENOMEM;
	d->failures += w.a.failures + w.b.failures;
	walk_release(&w.a);
	walk_release(&w.b);
	free(w.piece);
	buf_release(&w.path);
	return r;
}
