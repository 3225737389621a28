/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a map holds is a window of its file: all of it, or, where that is in
 * too many pieces, one of many of the same length. A window is a list of where
 * something begins, either bytes of the blocks or a hole; what was never
 * written is a hole too. It can have no more pieces than it has units, which
 * bounds it whatever an image says.
 */
#include "config.h"

#include "fs/guest/map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/guest_internal.h"
#include "store/base/log.h"

#define HOLE UINT64_MAX /* in range.at */
#define NONE UINT64_MAX
#define ODD_MAX 8 /* ranges of a window that begin within a unit */

/* Up to where the next one begins, or the window ends. */
struct range {
	uint64_t off; /* of the file */
	uint64_t at; /* of the blocks, or HOLE */
};

/* Immutable, and counted. */
struct window {
	atomic_uint refs;
	uint64_t end;
	uint64_t next; /* where data begin at or behind the end, or NONE */
	size_t n; /* at least 1 where it is not empty */
	struct range ranges[]; /* the first one begins where the window does */
};

/* Ranges as they come. */
struct map {
	struct blocks *b; /* held */
	uint64_t size; /* of the file */
	uint64_t from, to; /* what is wanted of it */
	size_t most; /* ranges */
	bool full; /* more came */
	uint64_t came; /* the end of the last range that came */
	uint64_t known; /* up to here ranges tell */
	uint64_t next; /* as in struct window */
	struct range *ranges; /* owned */
	size_t n, cap;
};

static void map_begin(struct map *m, struct blocks *b, uint64_t size,
		      uint64_t from, uint64_t to, size_t most)
{
	memset(m, 0, sizeof(*m));
	m->b = blocks_get(b);
	m->size = size;
	m->from = m->known = from;
	m->to = to;
	m->most = most;
	m->next = NONE;
}

static void map_end(struct map *m)
{
	blocks_put(m->b);
	free(m->ranges);
}

struct map *map_new(struct blocks *b, uint64_t size)
{
	struct map *m = malloc(sizeof(*m));

	if (m)
		map_begin(m, b, size, 0, size, MAP_RANGES_MAX);
	return m;
}

void map_free(struct map *m)
{
	if (!m)
		return;
	map_end(m);
	free(m);
}

uint64_t map_from(const struct map *m)
{
	return m->from;
}

/* What begins at @off. Return 1 where there is no room for it. */
static int push(struct map *m, uint64_t off, uint64_t at)
{
	size_t cap = m->cap ? m->cap * 2 : 4;
	struct range *ranges;

	if (m->n == m->most) {
		m->full = true;
		return 1;
	}
	if (m->n == m->cap) {
		ranges = reallocarray(m->ranges, cap, sizeof(*ranges));
		if (!ranges)
			return -ENOMEM;
		m->ranges = ranges;
		m->cap = cap;
	}
	m->ranges[m->n++] = (struct range){ .off = off, .at = at };
	return 0;
}

/* Does a range that begins at @off, @at continue the last one? */
static bool continues(const struct map *m, uint64_t off, uint64_t at)
{
	const struct range *last = m->n ? &m->ranges[m->n - 1] : NULL;

	return last && m->known == off && last->at != HOLE &&
	       last->at + (off - last->off) == at;
}

int map_add(struct map *m, uint64_t off, uint64_t len, uint64_t at,
	    bool unwritten)
{
	uint64_t end, start;
	int r = 0;

	if (off < m->came || len > UINT64_MAX - off || at > m->b->size ||
	    len > m->b->size - at)
		return -EBADMSG;
	if (m->full)
		return 1;
	m->came = end = off + len;
	if (unwritten || len == 0 || end <= m->from || off >= m->size)
		return 0;
	if (off >= m->to) {
		m->next = off;
		return 1;
	}
	start = MAX(off, m->from);
	at += start - off;
	if (start > m->known)
		r = push(m, m->known, HOLE);
	if (r == 0 && !continues(m, start, at))
		r = push(m, start, at);
	m->known = MIN(end, m->to);
	if (r == 0 && end > m->to && m->to < m->size) {
		m->next = m->to;
		r = 1;
	}
	return r;
}

/* ---- windows ---- */

static void window_get(void *object)
{
	struct window *w = object;

	atomic_fetch_add_explicit(&w->refs, 1, memory_order_relaxed);
}

static void window_put(void *object)
{
	struct window *w = object;

	if (w &&
	    atomic_fetch_sub_explicit(&w->refs, 1, memory_order_acq_rel) == 1)
		free(w);
}

const struct lru_ops map_window_lru = { .get = window_get, .put = window_put };

static size_t window_bytes(const struct window *w)
{
	return sizeof(*w) + w->n * sizeof(*w->ranges);
}

/* What came, as a window; a hole at its end is told too. NULL: no memory. */
static struct window *window_new(const struct map *m)
{
	size_t n = m->n + (m->known < m->to);
	struct window *w = malloc(sizeof(*w) + n * sizeof(*w->ranges));

	if (!w)
		return NULL;
	atomic_init(&w->refs, 1);
	w->end = m->to;
	w->next = m->next;
	w->n = n;
	if (m->n)
		memcpy(w->ranges, m->ranges, m->n * sizeof(*w->ranges));
	if (n > m->n)
		w->ranges[m->n] = (struct range){ m->known, HOLE };
	return w;
}

/* Where range @i ends. */
static uint64_t range_end(const struct window *w, size_t i)
{
	return i + 1 < w->n ? w->ranges[i + 1].off : w->end;
}

/* The range in which @off is, which is in the window. */
static size_t range_at(const struct window *w, uint64_t off)
{
	size_t low = 0, high = w->n;

	while (high - low > 1) {
		size_t mid = low + (high - low) / 2;

		if (w->ranges[mid].off <= off)
			low = mid;
		else
			high = mid;
	}
	return low;
}

/* ---- files ---- */

struct mapped {
	struct guest_file f;
	struct blocks *b; /* held */
	struct window *whole; /* held; NULL where there are windows */
	struct guest *g; /* borrowed; it lives longer */
	uint64_t node;
	uint64_t span; /* bytes of a window */
	map_walk_fn *walk;
};

static int load_window(struct mapped *x, uint64_t from, struct window **out)
{
	uint64_t to = MIN(x->f.size, from + x->span);
	struct map m;
	int r;

	map_begin(&m, x->b, x->f.size, from, to, MAP_WINDOW + ODD_MAX);
	r = x->walk(x->g, x->node, &m);
	if (r >= 0 && m.full)
		r = fail(-EBADMSG,
			 "%s: inode %" PRIu64 ": it is in more pieces than it "
			 "has blocks",
			 x->g->ops->name, x->node);
	if (r >= 0) {
		*out = window_new(&m);
		r = *out ? 0 : -ENOMEM;
	}
	map_end(&m);
	return r;
}

/* The window in which @off is, held. */
static int window_at(struct mapped *x, uint64_t off, struct window **out)
{
	struct lru_part *kept;
	int r;

	*out = x->whole;
	if (x->whole) {
		window_get(x->whole);
		return 0;
	}
	kept = &x->g->common->windows;
	*out = lru_get(kept, x->node, off / x->span);
	if (*out)
		return 0;
	r = load_window(x, off / x->span * x->span, out);
	if (r == 0)
		lru_add(kept, x->node, off / x->span, *out, window_bytes(*out));
	return r;
}

/* @len bytes at @off, all in the window. */
static int window_read(const struct mapped *x, const struct window *w,
		       uint64_t off, uint8_t *out, size_t len)
{
	size_t i = range_at(w, off), n;
	int r = 0;

	for (; r == 0 && len > 0; i++) {
		n = (size_t)MIN(range_end(w, i) - off, (uint64_t)len);
		if (w->ranges[i].at == HOLE)
			memset(out, 0, n);
		else
			r = blocks_read(x->b,
					w->ranges[i].at +
						(off - w->ranges[i].off),
					out, n);
		out += n;
		off += n;
		len -= n;
	}
	return r;
}

static int mapped_read(struct guest_file *f, uint64_t off, void *out,
		       size_t len)
{
	struct mapped *x = container_of(f, struct mapped, f);
	struct window *w;
	uint8_t *to = out;
	size_t n;
	int r = 0;

	while (r == 0 && len > 0) {
		r = window_at(x, off, &w);
		if (r < 0)
			return r;
		n = (size_t)MIN(w->end - off, (uint64_t)len);
		r = window_read(x, w, off, to, n);
		window_put(w);
		to += n;
		off += n;
		len -= n;
	}
	return r;
}

/* Where in the window a hole or data begin at or behind @off; else its end. */
static uint64_t window_seek(const struct window *w, uint64_t off, bool hole)
{
	size_t i = range_at(w, off);

	while (i < w->n && (w->ranges[i].at == HOLE) != hole)
		off = range_end(w, i++);
	return off;
}

static int mapped_seek(struct guest_file *f, uint64_t off, bool hole,
		       uint64_t *out)
{
	struct mapped *x = container_of(f, struct mapped, f);
	uint64_t end, next;
	struct window *w;
	int r;

	do {
		r = window_at(x, off, &w);
		if (r < 0)
			return r;
		end = w->end;
		next = w->next;
		off = window_seek(w, off, hole);
		window_put(w);
		if (off < end)
			break;
		if (!hole && next == NONE)
			return -ENXIO;
		if (!hole)
			off = next;
	} while (off < f->size);
	*out = off;
	return 0;
}

static void mapped_free(struct guest_file *f)
{
	struct mapped *x = container_of(f, struct mapped, f);

	window_put(x->whole);
	blocks_put(x->b);
	free(x);
}

static const struct guest_file_ops mapped_ops = {
	.read = mapped_read,
	.seek = mapped_seek,
	.free = mapped_free,
};

int map_file(struct map *m, struct guest *g, uint64_t node, uint64_t unit,
	     map_walk_fn *walk, struct guest_file **out)
{
	struct mapped *x = calloc(1, sizeof(*x));

	*out = NULL;
	if (!x)
		return -ENOMEM;
	if (m->full && !walk) {
		free(x);
		return fail(-EFBIG, "%s: inode %" PRIu64 ": in too many pieces",
			    g->ops->name, node);
	}
	if (!m->full) {
		x->whole = window_new(m);
		if (!x->whole) {
			free(x);
			return -ENOMEM;
		}
	}
	x->g = g;
	x->node = node;
	x->span = unit * MAP_WINDOW;
	x->walk = walk;
	x->b = blocks_get(m->b);
	guest_file_init(&x->f, &mapped_ops, m->size,
			sizeof(*x) + (x->whole ? window_bytes(x->whole) : 0));
	map_free(m);
	*out = &x->f;
	return 0;
}

/* ---- bytes in memory ---- */

struct memory_file {
	struct guest_file f;
	size_t len; /* behind it are zeros */
	uint8_t data[];
};

static int memory_file_read(struct guest_file *f, uint64_t off, void *out,
			    size_t len)
{
	struct memory_file *m = container_of(f, struct memory_file, f);
	size_t have = off < m->len ? m->len - (size_t)off : 0;

	have = MIN(have, len);
	if (have)
		memcpy(out, m->data + off, have);
	memset((uint8_t *)out + have, 0, len - have);
	return 0;
}

static void memory_file_free(struct guest_file *f)
{
	free(container_of(f, struct memory_file, f));
}

static const struct guest_file_ops memory_file_ops = {
	.read = memory_file_read,
	.free = memory_file_free,
};

int map_memory_file(const void *data, size_t len, uint64_t size,
		    struct guest_file **out)
{
	struct memory_file *m;

	*out = NULL;
	len = (size_t)MIN((uint64_t)len, size);
	if (len > SIZE_MAX - sizeof(*m))
		return -ENOMEM;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -ENOMEM;
	guest_file_init(&m->f, &memory_file_ops, size, sizeof(*m) + len);
	m->len = len;
	if (len)
		memcpy(m->data, data, len);
	*out = &m->f;
	return 0;
}
