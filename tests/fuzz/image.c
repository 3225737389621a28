/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/fuzz/image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest.h"
#include "fs/guest/lru.h"
#include "store/base/bytes.h"
#include "tests/fuzz/quiet.h"

#define MAGIC "VMBIMG1\n"
#define SECTOR 512u
#define ENTRIES_MAX 2000
#define DEPTH_MAX 64
#define ENDS ((size_t)4096)
#define SEEKS_MAX 64

struct run {
	uint64_t off; /* of the image, in bytes */
	uint64_t len;
	const uint8_t *data; /* in image.bytes */
};

struct image {
	struct blocks b;
	struct run *runs; /* owned; in order, apart */
	size_t n;
	uint8_t *bytes; /* owned: the input */
};

/* The first run that ends behind @off. */
static size_t run_at(const struct image *m, uint64_t off)
{
	size_t low = 0, high = m->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (m->runs[mid].off + m->runs[mid].len > off)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

static int image_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct image *m = container_of(b, struct image, b);
	uint8_t *to = out;
	size_t i;

	memset(out, 0, len);
	for (i = run_at(m, off); i < m->n; i++) {
		const struct run *x = &m->runs[i];
		uint64_t from = MAX(off, x->off);
		uint64_t end = MIN(off + len, x->off + x->len);

		if (x->off >= off + len)
			break;
		memcpy(to + (from - off), x->data + (from - x->off),
		       (size_t)(end - from));
	}
	return 0;
}

static int image_seek(struct blocks *b, uint64_t off, bool hole, uint64_t *out)
{
	struct image *m = container_of(b, struct image, b);
	size_t i = run_at(m, off);

	if (!hole) {
		if (i == m->n)
			return -ENXIO;
		*out = MAX(off, m->runs[i].off);
		return 0;
	}
	for (; i < m->n && m->runs[i].off <= off; i++)
		off = m->runs[i].off + m->runs[i].len;
	*out = off;
	return 0;
}

static void image_free(struct blocks *b)
{
	struct image *m = container_of(b, struct image, b);

	free(m->runs);
	free(m->bytes);
	free(m);
}

static const struct blocks_ops image_ops = {
	.read = image_read,
	.seek = image_seek,
	.free = image_free,
};

/* Take the runs at @data, as many as are right. */
static void take_runs(struct image *m, const uint8_t *data, size_t len)
{
	uint64_t end = 0, off;
	uint64_t bytes;

	while (len >= 6) {
		off = (uint64_t)get_le32(data) * SECTOR;
		bytes = (uint64_t)get_le16(data + 4) * SECTOR;
		data += 6;
		len -= 6;
		/* A cut run counts as far as it is there. */
		bytes = MIN(bytes, (uint64_t)len);
		if (bytes == 0 || off < end || off >= m->b.size)
			return;
		m->runs[m->n].off = off;
		m->runs[m->n].len = MIN(bytes, m->b.size - off);
		m->runs[m->n++].data = data;
		end = off + bytes;
		data += bytes;
		len -= (size_t)bytes;
	}
}

int fuzz_image(const uint8_t *data, size_t len, struct blocks **out)
{
	uint64_t size = len;
	struct image *m;

	*out = NULL;
	if (len < 16 || memcmp(data, MAGIC, 8) != 0)
		return blocks_memory(data, len, size, out);
	size = MIN(get_le64(data + 8), GUEST_SIZE_MAX);
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	blocks_init(&m->b, &image_ops, size);
	m->bytes = malloc(len);
	m->runs = alloc_array(len / 7 + 1, sizeof(*m->runs));
	if (!m->bytes || !m->runs) {
		image_free(&m->b);
		return -ENOMEM;
	}
	memcpy(m->bytes, data, len);
	take_runs(m, m->bytes + 16, len - 16);
	*out = &m->b;
	return 0;
}

/* ---- the walk ---- */

struct item {
	uint64_t node;
	char name[GUEST_NAME_MAX + 1];
};

struct walk {
	struct guest *g;
	size_t entries; /* met so far */
};

struct list {
	struct walk *w;
	struct item *items; /* owned */
	size_t n;
	uint64_t cookie;
};

static int take(void *arg, const char *name, size_t len, uint64_t node,
		unsigned int type, uint64_t cookie)
{
	struct list *l = arg;
	struct item *grown;

	(void)type;
	if (l->w->entries >= ENTRIES_MAX)
		return 1;
	l->w->entries++;
	grown = realloc(l->items, (l->n + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	l->items = grown;
	l->items[l->n].node = node;
	memcpy(l->items[l->n].name, name, len);
	l->items[l->n++].name[len] = '\0';
	l->cookie = cookie;
	return 0;
}

static int stop(void *arg, const char *name, size_t len, uint64_t node,
		unsigned int type, uint64_t cookie)
{
	(void)arg, (void)name, (void)len, (void)node, (void)type, (void)cookie;
	return 1;
}

static void read_file(struct walk *w, uint64_t node, uint64_t size)
{
	uint8_t ends[ENDS];
	uint64_t at = 0;
	size_t n, i;

	if (guest_read(w->g, node, 0, ends, ENDS, &n) == 0 && n > ENDS)
		abort();
	if (size > ENDS &&
	    guest_read(w->g, node, size - ENDS + 1, ends, ENDS, &n) == 0 &&
	    n > ENDS)
		abort();
	for (i = 0; i < SEEKS_MAX; i++)
		if (guest_seek(w->g, node, at, i % 2 == 0, &at) < 0)
			break;
}

static void try_node(struct walk *w, uint64_t node, struct guest_attr *attr)
{
	static const char *const unlisted[] = {
		"system.ntfs_acl",	    "system.ntfs_attrib",
		"system.ntfs_times_be",	    "system.ntfs_dos_name",
		"system.ntfs_object_id",    "system.ntfs_ea",
		"system.ntfs_reparse_data", "system.ntfs_efsinfo",
	};
	struct buf text = BUF_INIT;
	int r = guest_getattr(w->g, node, attr);
	size_t i;

	(void)!guest_readlink(w->g, node, &text);
	buf_clear(&text);
	if (guest_xattrs(w->g, node, &text) == 0 && text.len > 0 &&
	    xattrs_check(text.data, text.len) < 0)
		abort();
	for (i = 0; i < ARRAY_SIZE(unlisted); i++) {
		buf_clear(&text);
		(void)!guest_xattr_unlisted(w->g, node, unlisted[i], &text);
	}
	buf_release(&text);
	/* Also what is no file: that must be told, not believed. */
	read_file(w, node, r == 0 ? attr->size : 0);
	if (r < 0)
		attr->mode = 0;
}

/* NTFS finds alternate streams so, and looks for the name by the index. */
static void look_stream(struct walk *w, uint64_t dir, const char *name)
{
	char stream[GUEST_NAME_MAX + 3];
	struct guest_attr attr;
	uint64_t node;

	snprintf(stream, sizeof(stream), "%s:s", name);
	if (guest_lookup(w->g, dir, stream, &node) == 0)
		try_node(w, node, &attr);
}

static void walk_dir(struct walk *w, uint64_t dir, int depth)
{
	struct list l = { .w = w };
	struct guest_attr attr;
	uint64_t node;
	size_t i;

	if (depth > DEPTH_MAX)
		return;
	(void)!guest_readdir(w->g, dir, 0, take, &l);
	if (l.cookie)
		(void)!guest_readdir(w->g, dir, l.cookie, stop, NULL);
	(void)!guest_lookup(w->g, dir, "no such name", &node);
	for (i = 0; i < l.n; i++) {
		(void)!guest_lookup(w->g, dir, l.items[i].name, &node);
		look_stream(w, dir, l.items[i].name);
		try_node(w, l.items[i].node, &attr);
		if (S_ISDIR(attr.mode))
			walk_dir(w, l.items[i].node, depth + 1);
	}
	free(l.items);
}

int fuzz_guest(const char *type, const uint8_t *data, size_t len)
{
	static const uint64_t odd[] = {
		1, 2, 3, 5, 12, 4096, 0xffffffff, GUEST_NODE_MAX - 1,
		/* The first stream of NTFS's records 64 and 65. */
		UINT64_C(1) << 45 | 64, UINT64_C(1) << 45 | 65
	};
	struct lru *memory = lru_new(8 << 20);
	struct buf why = BUF_INIT;
	struct walk w = { 0 };
	struct guest_attr attr;
	struct blocks *b;
	size_t i;

	fuzz_quiet();
	if (!memory || fuzz_image(data, len, &b) < 0) {
		lru_free(memory);
		return 0;
	}
	if (guest_open(type, b, memory, &why, &w.g) == 0) {
		try_node(&w, w.g->root, &attr);
		walk_dir(&w, w.g->root, 0);
		for (i = 0; i < ARRAY_SIZE(odd); i++) {
			try_node(&w, odd[i], &attr);
			(void)!guest_readdir(w.g, odd[i], 0, stop, NULL);
		}
	}
	guest_close(w.g);
	lru_free(memory);
	buf_release(&why);
	blocks_put(b);
	return 0;
}
