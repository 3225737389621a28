/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/ino.h"
#include "fs/place.h"
#include "fs/roster.h"
#include "fs/view.h"
#include "store/backend/mem.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"
#include "tests/unit/plant.h"

#define T1 "2026-11-22T101500Z"
#define T2 "2026-11-23T101500Z"
#define MANY 3000
#define BLOCK (256u << 10)

static struct plant plant;
static struct view *view;
static uint8_t block[BLOCK];

/* ---- the points that all cases look at ---- */

static void put_sparse(void)
{
	AUTO_BUF struct buf store = BUF_INIT;
	struct content_builder *b = content_builder_new(plant.writer);
	struct entry e = plant_entry(&plant, "sparse", S_IFREG | 0600);
	struct extent x[] = {
		{ .len = BLOCK, .type = EXTENT_DATA },
		{ .len = 1 << 20, .type = EXTENT_HOLE },
		{ .len = 5000, .type = EXTENT_DATA },
		{ .len = 100, .type = EXTENT_ZERO },
	};
	size_t i;

	assert_non_null(b);
	for (i = 0; i < ARRAY_SIZE(x); i++) {
		if (x[i].type == EXTENT_DATA)
			assert_ok(writer_chunk(plant.writer, CHUNK_DATA, block,
					       x[i].len, &x[i].id));
		assert_ok(content_builder_add(b, &x[i]));
		e.size += x[i].len;
	}
	assert_ok(content_builder_finish(b, &store));
	content_builder_free(b);
	e.content = store.data;
	e.content_len = (uint32_t)store.len;
	plant_put(&plant, "", &e);
}

static void put_xattrs(const char *name, size_t big)
{
	AUTO_BUF struct buf list = BUF_INIT, extra = BUF_INIT;
	static const struct entry_extra known = {
		.has_birth = true,
		.birth = { -1, 999999999 },
		.inode_flags = 0x80000070, /* i, a, d, and one of nobody */
		.project = 1000,
	};
	AUTO_FREE uint8_t *value = calloc(1, big + 1);
	struct entry e = plant_entry(&plant, name, S_IFREG | 0644);

	assert_non_null(value);
	memset(value, 'v', big);
	buf_put_varint(&list, 3);
	xattrs_put(&list, "security.capability", "\1\2", 2);
	xattrs_put(&list, "user.a", value, big);
	xattrs_put(&list, "user.empty", NULL, 0);
	assert_ok(buf_error(&list));
	e.flags = big > 1000 ? ENTRY_XATTRS_CHUNK : ENTRY_XATTRS;
	e.xattrs = list.data;
	e.xattrs_len = (uint32_t)list.len;
	entry_extra_put(&extra, &known);
	e.flags |= ENTRY_EXTRA;
	e.extra = extra.data;
	e.extra_len = (uint32_t)extra.len;
	if (e.flags & ENTRY_XATTRS_CHUNK)
		assert_ok(writer_chunk(plant.writer, CHUNK_XATTRS, list.data,
				       list.len, &e.xattrs_id));
	plant_put(&plant, "", &e);
}

/*
 * /: device empty/ hard1 hard2 link many/ plain sparse xbig xsmall
 * many/: 00000 ... 02999, inner/     many/inner/: deep
 */
static void make_point(const char *vm, const char *time, const char *tag,
		       const char *text)
{
	struct entry e;
	char name[16];
	int i;

	plant_begin(&plant);
	e = plant_entry(&plant, "device", S_IFBLK | 0660);
	e.rdev_major = 259;
	e.rdev_minor = 70000;
	plant_put(&plant, "", &e);
	plant_dir(&plant, "", "empty");
	for (i = 1; i <= 2; i++) {
		snprintf(name, sizeof(name), "hard%d", i);
		e = plant_entry(&plant, name, S_IFREG | 0644);
		e.nlink = 2;
		e.ino = 77;
		plant_put(&plant, "", &e);
	}
	plant_link(&plant, "", "link", "many/inner");
	plant_dir(&plant, "", "many");
	plant_file(&plant, "", "plain", text);
	put_sparse();
	put_xattrs("xbig", 5000);
	put_xattrs("xsmall", 3);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%05d", i);
		e = plant_entry(&plant, name, S_IFREG | 0644);
		plant_put(&plant, "many", &e);
	}
	plant_dir(&plant, "many", "inner");
	plant_file(&plant, "many/inner", "deep", "deep down");
	plant_commit(&plant, vm, time, tag);
}

static int setup(void **state)
{
	(void)state;
	support_log_capture();
	support_fill(3, block, sizeof(block));
	plant_init(&plant, 16 << 20);
	make_point("web1", T1, "nightly", "first");
	make_point("web1", T2, NULL, "second");
	make_point("db", T2, "nightly", "first");
	assert_ok(view_new(plant.vault, &view));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	view_free(view);
	plant_release(&plant);
	return 0;
}

static struct view_attr at(const char *path)
{
	struct view_attr a;

	assert_ok(view_lookup_path(view, VIEW_ROOT, path, &a));
	return a;
}

/* Below files/ of a point. */
static struct view_attr in(const char *point, const char *path)
{
	struct view_attr a = at(point);

	assert_ok(view_lookup_path(view, a.node, "files", &a));
	assert_ok(view_lookup_path(view, a.node, path, &a));
	return a;
}

#define W1 "vms/web1/" T1
#define W2 "vms/web1/" T2

/* ---- listing ---- */

struct names {
	struct buf text; /* "a b c " */
	uint64_t last; /* cookie */
	size_t n, max; /* 0: all */
};

static int add_name(void *arg, const char *name, size_t len,
		    const struct view_attr *a, uint64_t cookie)
{
	struct names *l = arg;

	if (l->max && l->n == l->max)
		return 1;
	assert_int_not_equal(a->st.st_mode, 0);
	assert_true(cookie >= 3);
	buf_put(&l->text, name, len);
	buf_put_u8(&l->text, ' ');
	l->last = cookie;
	l->n++;
	return 0;
}

/* All names, asked for @step at a time. */
static char *list(uint64_t node, size_t step)
{
	struct names l = { BUF_INIT, 0, 0, step };

	do {
		l.n = 0;
		assert_ok(view_readdir(view, node, l.last, add_name, &l));
	} while (step && l.n > 0);
	buf_put_u8(&l.text, 0);
	assert_ok(buf_error(&l.text));
	return (char *)l.text.data;
}

static void assert_list(const char *path, const char *names)
{
	char *got = list(at(path).node, 0);

	assert_string_equal(got, names);
	free(got);
	got = list(at(path).node, 1);
	assert_string_equal(got, names);
	free(got);
}

static void assert_target(const char *path, const char *target)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct view_attr a = at(path);

	assert_true(S_ISLNK(a.st.st_mode));
	assert_ok(view_readlink(view, a.node, &text));
	assert_int_equal(text.len, strlen(target));
	assert_memory_equal(text.data, target, text.len);
	assert_int_equal(a.st.st_size, text.len);
}

static void shows_the_layout(void **state)
{
	struct view_attr a;

	(void)state;
	assert_list("", "vms ids tags ");
	assert_list("vms", "db web1 ");
	assert_list("vms/web1", "latest " T1 " " T2 " ");
	assert_list(W1, "point.json files ");
	assert_list("tags", "nightly ");
	assert_list("tags/nightly", "db web1 ");
	assert_list("tags/nightly/web1", T1 " ");
	assert_list(".vmbackupfs", "status.json stats version ");
	assert_target("vms/web1/latest", T2);
	assert_target("tags/nightly/web1/" T1, "../../../vms/web1/" T1);
	assert_result(view_lookup_path(view, VIEW_ROOT, "tags/nightly/web1/" T2,
				       &a),
		      -ENOENT);
	assert_result(view_lookup_path(view, VIEW_ROOT, "vms/web2", &a),
		      -ENOENT);
	assert_result(view_lookup_path(view, VIEW_ROOT, W1 "/disks", &a),
		      -ENOENT);
	assert_result(view_lookup_path(view, VIEW_ROOT, W1 "/point.json/x", &a),
		      -ENOTDIR);
	assert_int_equal(at("").st.st_mode, S_IFDIR | 0555);
	assert_int_equal(at(W1).st.st_mtim.tv_sec, 1795342500);
	assert_int_equal(at(W1 "/point.json").st.st_mode, S_IFREG | 0400);
	assert_false(at(W1).immutable);
	assert_true(at(W1 "/point.json").immutable);
}

/* A list of points that have these ids and nothing else that matters. */
static struct point_list *list_of(const char *const *ids, size_t n,
				  uint64_t generation)
{
	struct point_list *l = calloc(1, sizeof(*l));
	size_t i;

	assert_non_null(l);
	l->refs = 1;
	l->generation = generation;
	l->n = n;
	l->points = calloc(n, sizeof(*l->points));
	l->names = calloc(n, sizeof(*l->names));
	assert_non_null(l->points);
	assert_non_null(l->names);
	for (i = 0; i < n; i++) {
		l->points[i] = point_new();
		assert_non_null(l->points[i]);
		snprintf(l->points[i]->id, sizeof(l->points[i]->id), "%s",
			 ids[i]);
		l->points[i]->vm = strdup("m");
		snprintf(l->names[i], sizeof(l->names[i]), "n%.32s", ids[i]);
	}
	return l;
}

/* The name of an id in ids/. */
static const char *link_of(struct roster *r, const char *id,
			   struct roster_point *p)
{
	uint32_t serial;

	assert_ok(roster_find_id(r, id, &serial));
	assert_ok(roster_get_point(r, serial, p));
	return p->link;
}

static void links_of_ids_that_begin_alike(void **state)
{
	static const char *const ids[] = {
		"0123456700000000000000000000000b",
		"ffffffff00000000000000000000000c",
		"0123456700000000000000000000000a",
		"0123456700000000000000000000000c",
	};
	struct roster *r = roster_new();
	struct roster_point p;

	(void)state;
	assert_non_null(r);
	assert_int_equal(roster_update(r, list_of(ids, 2, 1), 0), 1);
	assert_string_equal(link_of(r, ids[0], &p), "01234567");
	/* Those that come later leave the first one its name. */
	assert_int_equal(roster_update(r, list_of(ids, 4, 2), 0), 1);
	assert_string_equal(link_of(r, ids[0], &p), "01234567");
	assert_string_equal(link_of(r, ids[1], &p), "ffffffff");
	assert_string_equal(link_of(r, ids[2], &p), ids[2]);
	assert_string_equal(link_of(r, ids[3], &p), ids[3]);
	roster_free(r);
}

static void links_ids(void **state)
{
	struct point_list *l = view_points(view);
	char path[64], target[64];
	size_t i;

	(void)state;
	assert_int_equal(l->n, 3);
	for (i = 0; i < l->n; i++) {
		snprintf(path, sizeof(path), "ids/%.8s", l->points[i]->id);
		snprintf(target, sizeof(target), "../vms/%s/%s",
			 l->points[i]->vm, l->names[i]);
		assert_target(path, target);
		snprintf(path, sizeof(path), "vms/%s/%s", l->points[i]->vm,
			 l->names[i]);
		assert_int_equal(at(path).node,
				 view_point_node(view, l->points[i]));
	}
	point_list_put(l);
}

static void lists_trees_from_any_cookie(void **state)
{
	static const size_t steps[] = { 1, 7, 100, 1000 };
	uint64_t top = in(W1, "").node, many = in(W1, "many").node;
	char *all, *got;
	size_t i;

	(void)state;
	all = list(top, 0);
	assert_string_equal(all, "device empty hard1 hard2 link many plain "
				 "sparse xbig xsmall ");
	free(all);
	got = list(in(W1, "empty").node, 0);
	assert_string_equal(got, "");
	free(got);
	got = list(in(W1, "many/inner").node, 0);
	assert_string_equal(got, "deep ");
	free(got);
	all = list(many, 0);
	assert_int_equal(strlen(all), MANY * 6 + 6);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		got = list(many, steps[i]);
		assert_string_equal(got, all);
		free(got);
	}
	free(all);
}

static int stop(void *arg, const char *name, size_t len,
		const struct view_attr *a, uint64_t cookie)
{
	(void)name;
	(void)len;
	(void)a;
	(void)cookie;
	++*(int *)arg;
	return 0;
}

static void survives_foreign_cookies(void **state)
{
	static const uint64_t cookies[] = {
		4, 12, 3012, 3013, 3014, 100000, UINT64_MAX >> 1, UINT64_MAX
	};
	uint64_t inner = in(W1, "many/inner").node;
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cookies); i++) {
		n = 0;
		assert_ok(view_readdir(view, inner, cookies[i], stop, &n));
		assert_true(n <= 1);
		n = 0;
		assert_ok(view_readdir(view, at("vms").node, cookies[i], stop,
				       &n));
		assert_true(n <= 1);
	}
}

/* What a listing says of an entry is what a lookup says. */
struct check {
	uint64_t dir;
	int n;
};

static int check_row(void *arg, const char *name, size_t len,
		     const struct view_attr *a, uint64_t cookie)
{
	struct check *c = arg;
	char text[256] = "";
	struct view_attr b;

	(void)cookie;
	memcpy(text, name, len);
	assert_ok(view_lookup(view, c->dir, text, &b));
	assert_int_equal(a->node, b.node);
	assert_memory_equal(&a->st, &b.st, sizeof(b.st));
	assert_int_equal(a->immutable, b.immutable);
	assert_ok(view_getattr(view, a->node, &b));
	assert_memory_equal(&a->st, &b.st, sizeof(b.st));
	c->n++;
	return 0;
}

static void list_and_lookup_agree(void **state)
{
	static const char *const dirs[] = { "",
					    "vms",
					    "vms/web1",
					    "ids",
					    W1,
					    "tags",
					    "tags/nightly",
					    "tags/nightly/web1",
					    W1 "/files",
					    W2 "/files/many" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		struct check c = { at(dirs[i]).node, 0 };

		assert_ok(view_readdir(view, c.dir, 0, check_row, &c));
		assert_true(c.n > 0);
	}
}

/* ---- attributes and identity ---- */

static void shows_attributes(void **state)
{
	struct stat st = in(W1, "device").st;

	(void)state;
	assert_int_equal(st.st_mode, S_IFBLK | 0660);
	assert_int_equal(major(st.st_rdev), 259);
	assert_int_equal(minor(st.st_rdev), 70000);
	st = in(W1, "plain").st;
	assert_int_equal(st.st_mode, S_IFREG | 0644);
	assert_int_equal(st.st_uid, 1);
	assert_int_equal(st.st_gid, 2);
	assert_int_equal(st.st_size, 5);
	assert_int_equal(st.st_blocks, 1);
	assert_int_equal(st.st_mtim.tv_sec, 1577836800);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
	assert_int_equal(st.st_ctim.tv_sec, 1577836801);
	assert_int_equal(st.st_atim.tv_sec, 1577836800);
	st = in(W1, "sparse").st;
	assert_int_equal(st.st_size, BLOCK + (1 << 20) + 5100);
	assert_int_equal(st.st_blocks, (BLOCK + 5000 + 511) / 512);
	st = in(W1, "link").st;
	assert_int_equal(st.st_size, 10);
	assert_int_equal(st.st_blocks, 0);
	assert_int_equal(in(W1, "").st.st_mode, S_IFDIR | 0755);
	assert_true(in(W1, "plain").immutable);
}

static void gives_inode_numbers_by_identity(void **state)
{
	(void)state;
	/* Unchanged: one file. Changed: another. */
	assert_int_equal(in(W1, "many/00007").st.st_ino,
			 in(W2, "many/00007").st.st_ino);
	assert_int_equal(in(W1, "link").st.st_ino, in(W2, "link").st.st_ino);
	assert_int_not_equal(in(W1, "plain").st.st_ino,
			     in(W2, "plain").st.st_ino);
	assert_int_not_equal(in(W1, "many/00007").st.st_ino,
			     in(W1, "many/00008").st.st_ino);
	/* Links: one file within a point, never with another's. */
	assert_int_equal(in(W1, "hard1").st.st_ino, in(W1, "hard2").st.st_ino);
	assert_int_not_equal(in(W1, "hard1").st.st_ino,
			     in(W2, "hard1").st.st_ino);
	/* Directories: never. */
	assert_int_not_equal(in(W1, "many").st.st_ino,
			     in(W2, "many").st.st_ino);
	assert_int_not_equal(in(W1, "").st.st_ino, in(W1, "many").st.st_ino);
	assert_true(in(W1, "many").st.st_ino >= INO_MIN);
	assert_true(in(W1, "plain").st.st_ino >> 63 == 0);
	assert_int_equal(at("").st.st_ino, VIEW_ROOT);
}

static void shares_nodes_of_shared_leaves(void **state)
{
	(void)state;
	/* The last leaf is the same in both points. */
	assert_int_equal(in(W1, "many/02990").node, in(W2, "many/02990").node);
	assert_int_not_equal(in(W1, "many").node, in(W2, "many").node);
	assert_int_not_equal(in(W1, "hard1").node, in(W2, "hard1").node);
	assert_int_not_equal(in(W1, "plain").node, in(W2, "plain").node);
}

static void refuses_nodes_it_never_gave(void **state)
{
	static const uint64_t nodes[] = {
		0,
		2,
		4096,
		UINT64_C(1) << 54 | 5,
		UINT64_C(1) << 62 | 1023,
		UINT64_C(1) << 62 | UINT64_C(1) << 40,
		UINT64_C(3) << 62,
		UINT64_C(200) << 54,
		UINT64_C(5) << 54 | 99,
		UINT64_MAX,
	};
	struct view_attr a;
	uint8_t c;
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		int r = view_getattr(view, nodes[i], &a);

		/* A made directory without parameters does not look at them. */
		assert_true(r == -ESTALE || S_ISDIR(a.st.st_mode));
		assert_true(view_read(view, nodes[i], 0, &c, 1, &n) < 0);
		assert_true(view_lookup(view, nodes[i], "x", &a) < 0);
	}
}

/* ---- contents ---- */

static void assert_read(uint64_t node, uint64_t off, size_t len,
			const uint8_t *whole, size_t size)
{
	AUTO_FREE uint8_t *got = malloc(len + 1);
	size_t n = 12345, want;

	assert_non_null(got);
	want = off < size ? MIN(len, size - (size_t)off) : 0;
	assert_ok(view_read(view, node, off, got, len, &n));
	assert_int_equal(n, want);
	assert_memory_equal(got, whole + (want ? off : 0), want);
}

static void reads_ranges(void **state)
{
	uint64_t node = in(W1, "sparse").node;
	size_t size = BLOCK + (1 << 20) + 5100, i;
	AUTO_FREE uint8_t *whole = calloc(1, size);
	static const uint64_t offs[] = { 0,
					 1,
					 65535,
					 65536,
					 BLOCK - 1,
					 BLOCK,
					 BLOCK + 70000,
					 BLOCK + (1 << 20) - 3,
					 BLOCK + (1 << 20) + 4999 };

	(void)state;
	assert_non_null(whole);
	memcpy(whole, block, BLOCK);
	memcpy(whole + BLOCK + (1 << 20), block, 5000);
	for (i = 0; i < ARRAY_SIZE(offs); i++) {
		assert_read(node, offs[i], 1, whole, size);
		assert_read(node, offs[i], 4096, whole, size);
		assert_read(node, offs[i], size, whole, size);
	}
	assert_read(node, size, 1, whole, size);
	assert_read(node, UINT64_MAX - 5, 10, whole, size);
	assert_read(in(W2, "plain").node, 0, 100, (const uint8_t *)"second", 6);
	assert_read(in(W2, "many/00001").node, 0, 100, whole, 0);
}

static void refuses_to_read_what_is_no_file(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;
	uint64_t off;
	size_t n;
	char c;

	(void)state;
	assert_result(view_read(view, in(W1, "many").node, 0, &c, 1, &n),
		      -EISDIR);
	assert_result(view_read(view, in(W1, "link").node, 0, &c, 1, &n),
		      -EINVAL);
	assert_result(view_read(view, at("vms").node, 0, &c, 1, &n), -EISDIR);
	assert_result(view_readlink(view, in(W1, "plain").node, &text),
		      -EINVAL);
	assert_result(view_readlink(view, at("vms").node, &text), -EINVAL);
	assert_result(view_seek(view, in(W1, "many").node, 0, true, &off),
		      -EISDIR);
}

static void seeks_holes(void **state)
{
	uint64_t node = in(W1, "sparse").node, off = 0;
	uint64_t size = BLOCK + (1 << 20) + 5100;

	(void)state;
	assert_ok(view_seek(view, node, 5, true, &off));
	assert_int_equal(off, BLOCK);
	assert_ok(view_seek(view, node, BLOCK, false, &off));
	assert_int_equal(off, BLOCK + (1 << 20));
	assert_ok(view_seek(view, node, 9, false, &off));
	assert_int_equal(off, 9);
	assert_result(view_seek(view, node, size, true, &off), -ENXIO);
	node = at(W1 "/point.json").node;
	assert_ok(view_seek(view, node, 1, false, &off));
	assert_int_equal(off, 1);
	assert_result(view_seek(view, node, 1 << 20, false, &off), -ENXIO);
}

static void shows_texts(void **state)
{
	static const char *const paths[] = { W1 "/point.json",
					     ".vmbackupfs/status.json",
					     ".vmbackupfs/stats",
					     ".vmbackupfs/version" };
	char text[8192];
	size_t i, n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		struct view_attr a = at(paths[i]);

		assert_ok(view_read(view, a.node, 0, text, sizeof(text), &n));
		assert_true(n > 0);
		assert_int_equal(text[n - 1], '\n');
		assert_int_equal(n, a.st.st_size);
	}
}

/* Numbers grow between a look at the size and a read, and a terminal shows a
 * line for a line. */
static void statistics_keep_their_size(void **state)
{
	struct view_attr a = at(".vmbackupfs/stats");
	struct view_attr file = in(W1, "sparse");
	char text[8192], *line;
	size_t i, n;

	(void)state;
	for (i = 0; i < 2000; i++)
		assert_ok(view_read(view, file.node, 0, text, 100, &n));
	assert_ok(view_read(view, a.node, 0, text, sizeof(text) - 1, &n));
	assert_int_equal(n, a.st.st_size);
	text[n] = '\0';
	for (i = 0, line = text; *line; i++, line += n) {
		n = strcspn(line, "\n") + 1;
		assert_true(n <= 80);
		assert_true(line[0] != ' ');
	}
	assert_int_equal(i, 11);
}

/* ---- extended attributes ---- */

static void assert_xattr(uint64_t node, const char *name, const void *value,
			 size_t len)
{
	AUTO_BUF struct buf got = BUF_INIT;

	assert_ok(view_getxattr(view, node, name, &got));
	assert_int_equal(got.len, len);
	if (len > 0)
		assert_memory_equal(got.data, value, len);
}

static void has_xattrs(void **state)
{
	static const char names[] = "security.capability\0user.a\0user.empty";
	static const char *const files[] = { "xsmall", "xbig" };
	AUTO_BUF struct buf got = BUF_INIT;
	uint8_t big[5000];
	size_t i;

	(void)state;
	memset(big, 'v', sizeof(big));
	for (i = 0; i < 2; i++) {
		uint64_t node = in(W1, files[i]).node;

		assert_xattr(node, "user.a", big, i ? sizeof(big) : 3);
		assert_xattr(node, "security.capability", "\1\2", 2);
		assert_xattr(node, "user.empty", NULL, 0);
		assert_xattr(node, "user.vmbackupfs.btime", "-0.000000001", 12);
		assert_xattr(node, "user.vmbackupfs.flags", "iad", 3);
		assert_xattr(node, "user.vmbackupfs.project", "1000", 4);
		assert_result(view_getxattr(view, node, "user.vmbackupfs.",
					    &got),
			      -ENODATA);
		assert_result(view_getxattr(view, node, "user.b", &got),
			      -ENODATA);
		assert_result(view_getxattr(view, node, "user.", &got),
			      -ENODATA);
		buf_clear(&got);
		assert_ok(view_listxattr(view, node, &got));
		assert_int_equal(got.len, sizeof(names));
		assert_memory_equal(got.data, names, sizeof(names));
	}
	assert_result(view_getxattr(view, in(W1, "plain").node,
				    "user.vmbackupfs.btime", &got),
		      -ENODATA);
	assert_result(view_getxattr(view, in(W1, "plain").node,
				    "user.vmbackupfs.flags", &got),
		      -ENODATA);
	buf_clear(&got);
	assert_ok(view_listxattr(view, in(W1, "plain").node, &got));
	assert_ok(view_listxattr(view, at("vms").node, &got));
	assert_int_equal(got.len, 0);
	assert_false(view_has_acl(view));
}

static void has_own_xattrs_by_name(void **state)
{
	AUTO_BUF struct buf a = BUF_INIT, b = BUF_INIT, c = BUF_INIT;
	const char *id = "user.vmbackup.content_id";

	(void)state;
	assert_xattr(in(W1, "many").node, "user.vmbackup.point", "web1/" T1,
		     23);
	assert_xattr(in(W1, "many").node, "user.vmbackup.vm", "web1", 4);
	assert_result(view_getxattr(view, in(W1, "plain").node,
				    "user.vmbackup.point", &a),
		      -ENODATA);
	assert_result(view_getxattr(view, in(W1, "many").node, id, &a),
		      -ENODATA);
	assert_ok(view_getxattr(view, in(W1, "plain").node, id, &a));
	assert_ok(view_getxattr(view, in(W2, "plain").node, id, &b));
	assert_ok(view_getxattr(view, in("vms/db/" T2, "plain").node, id, &c));
	assert_int_equal(a.len, 32);
	assert_memory_not_equal(a.data, b.data, 32);
	assert_memory_equal(a.data, c.data, 32);
}

/* ---- words ---- */

static int resolve(const char *text, struct view_attr *out)
{
	struct place place;
	int r = place_find(view, text, &place, out);

	place_release(&place);
	return r;
}

static void assert_resolves(const char *spec, uint64_t node)
{
	struct view_attr a;

	assert_ok(resolve(spec, &a));
	assert_int_equal(a.node, node);
}

static void resolves_what_people_type(void **state)
{
	struct view_attr a;

	(void)state;
	assert_resolves("web1/latest", at(W2).node);
	assert_resolves("web1/" T1, at(W1).node);
	assert_resolves("web1/latest:", at(W2).node);
	assert_resolves("web1/latest~1:files", in(W1, "").node);
	assert_resolves("web1/latest:files/many/inner/deep",
			in(W2, "many/inner/deep").node);
	assert_resolves("web1/latest:/files//many/./inner/",
			in(W2, "many/inner").node);
	assert_resolves("web1/2026-11-22T10:15:00Z:files/plain",
			in(W1, "plain").node);
	assert_resolves("web1/2026-11-22T10:15:00Z", at(W1).node);
	support_log_clear();
	assert_result(resolve("web1/latest:files/none", &a), -ENOENT);
	assert_said("web1/" T2 " has no files/none");
	assert_result(resolve("web1/latest:files/plain/x", &a), -ENOENT);
	assert_result(resolve("web9/latest", &a), -ENOENT);
	assert_result(resolve("web1/latest:files/many/../plain", &a), -ENOENT);
}

static void assert_described(uint64_t node, const char *want)
{
	AUTO_BUF struct buf text = BUF_INIT;

	view_describe(view, node, &text);
	buf_put_u8(&text, 0);
	assert_ok(buf_error(&text));
	assert_string_equal((char *)text.data, want);
}

static void describes_nodes(void **state)
{
	(void)state;
	assert_described(in(W1, "many/inner").node,
			 "web1/" T1 ":files/many/inner");
	assert_described(in(W2, "plain").node, "web1/" T2 ":files/plain");
	assert_described(in(W1, "").node, "web1/" T1 ":files");
	assert_described(at(W1 "/point.json").node, W1 "/point.json");
}

/* ---- damage ---- */

static void damages_are_eio_and_named(void **state)
{
	uint64_t node = in(W2, "plain").node;
	struct backend_mem_counts counts;
	char text[8];
	size_t n = 99, i;

	(void)state;
	/* Nothing of the data is in memory yet; the tree is. */
	for (i = 0; i < backend_mem_nobjects(plant.backend); i++) {
		const char *name = backend_mem_name(plant.backend, i);
		size_t len;
		uint8_t *data = backend_mem_data(plant.backend, name, &len);

		if (strncmp(name, "pack/", 5) == 0)
			data[FORMAT_HEADER_LEN] ^= 1;
	}
	support_log_clear();
	assert_result(view_read(view, node, 0, text, 6, &n), -EIO);
	assert_int_equal(n, 99);
	assert_said("web1/" T2 ":files/plain");
	backend_mem_get_counts(plant.backend, NULL, &counts);
	assert_true(counts.calls[BACKEND_MEM_GET] > 0);
}

static void a_backend_that_fails_is_eio(void **state)
{
	uint64_t node = in(W2, "plain").node;
	char text[8];
	size_t n;

	(void)state;
	backend_mem_fail(plant.backend, BACKEND_MEM_GET, "pack/", 1,
			 -ECONNRESET, BACKEND_MEM_STICKY);
	assert_true(view_read(view, node, 0, text, 6, &n) < 0);
	backend_mem_heal(plant.backend);
	assert_ok(view_read(view, node, 0, text, 6, &n));
	assert_int_equal(n, 6);
}

/* ---- points that come while it is shown ---- */

static void finds_new_points(void **state)
{
	uint64_t web = at("vms/web1").node, old = at(W1).node;
	struct timespec before = at("vms/web1").st.st_mtim, after;
	struct names l = { BUF_INIT, 0, 0, 2 };

	(void)state;
	/* Half a listing... */
	assert_ok(view_readdir(view, web, 0, add_name, &l));
	assert_int_equal(l.n, 2);
	plant_begin(&plant);
	plant_commit(&plant, "web1", "2025-01-01T000000Z", NULL);
	plant_begin(&plant);
	plant_commit(&plant, "apple", T1, "new");
	assert_result(view_refresh(view), 1);
	assert_result(view_refresh(view), 0);
	/* ...goes on where it was; what is new comes at its end. */
	l.max = 0;
	assert_ok(view_readdir(view, web, l.last, add_name, &l));
	buf_put_u8(&l.text, 0);
	assert_string_equal((char *)l.text.data,
			    "latest " T1 " " T2 " 2025-01-01T000000Z ");
	buf_release(&l.text);
	assert_int_equal(at(W1).node, old);
	assert_list("vms", "db web1 apple ");
	assert_list("tags", "nightly new ");
	assert_target("vms/web1/latest", T2);
	assert_target("vms/apple/latest", T1);
	/* The kernel drops its copy of a listing by this. */
	after = at("vms/web1").st.st_mtim;
	assert_true(after.tv_sec != before.tv_sec ||
		    after.tv_nsec != before.tv_nsec);
}

static void names_stay_with_their_points(void **state)
{
	uint64_t old = at(W2).node, node;
	struct point_list *l;
	struct view_attr a;
	char name[128];
	size_t i;

	(void)state;
	plant_begin(&plant);
	plant_commit(&plant, "web1", T2, NULL);
	assert_result(view_refresh(view), 1);
	assert_ok(view_lookup_path(view, VIEW_ROOT, W2, &a));
	assert_true(a.node == old);
	assert_result(view_lookup_path(view, VIEW_ROOT, W2 "-", &a), -ENOENT);
	/* The list names both by their ids; here the new one is. */
	l = view_points(view);
	for (i = 0; i < l->n; i++) {
		if (strncmp(l->names[i], T2 "-", strlen(T2) + 1) != 0)
			continue;
		snprintf(name, sizeof(name), "vms/web1/%s", l->names[i]);
		node = view_point_node(view, l->points[i]);
		if (node == old) {
			assert_result(view_lookup_path(view, VIEW_ROOT, name,
						       &a),
				      -ENOENT);
			snprintf(name, sizeof(name), "commit/%s",
				 l->points[i]->session);
			assert_ok(backend_mem_remove(plant.backend, name));
		} else {
			assert_ok(view_lookup_path(view, VIEW_ROOT, name, &a));
			assert_true(a.node == node);
		}
	}
	point_list_put(l);
	/* The old one is gone: nothing else takes its name. */
	assert_result(view_refresh(view), 1);
	assert_result(view_lookup_path(view, VIEW_ROOT, W2, &a), -ENOENT);
	plant_begin(&plant);
	plant_commit(&plant, "web1", T2, NULL);
	assert_result(view_refresh(view), 1);
	assert_result(view_lookup_path(view, VIEW_ROOT, W2, &a), -ENOENT);
}

/* A view that begins now has never shown the time alone. */
static void a_time_of_several_names_none(void **state)
{
	struct view_attr a;
	struct view *w;
	size_t i = 0;

	(void)state;
	plant_begin(&plant);
	plant_commit(&plant, "web1", T2, NULL);
	assert_ok(view_new(plant.vault, &w));
	assert_result(view_lookup_path(w, VIEW_ROOT, W2, &a), -ENOENT);
	support_log_capture();
	struct point_list *l = view_points(w);

	assert_result(point_find(l, "web1/" T2, &i), -EEXIST);
	assert_said("several points");
	point_list_put(l);
	view_free(w);
}

static uint64_t count_lists(void)
{
	struct backend_mem_counts counts;

	backend_mem_get_counts(plant.backend, NULL, &counts);
	return counts.calls[BACKEND_MEM_LIST];
}

static void looks_for_unknown_names_now_and_then(void **state)
{
	struct view_attr a;
	uint64_t before;
	int i;

	(void)state;
	assert_result(view_lookup_path(view, VIEW_ROOT, "vms/none", &a),
		      -ENOENT);
	before = count_lists();
	for (i = 0; i < 100; i++) {
		assert_result(view_lookup_path(view, VIEW_ROOT, "vms/none", &a),
			      -ENOENT);
		assert_result(view_lookup_path(view, VIEW_ROOT,
					       W1 "/files/none", &a),
			      -ENOENT);
	}
	/* A second may have passed, not more. */
	assert_true(count_lists() - before <= 4);
}

static void forgotten_points_are_gone(void **state)
{
	struct point_list *l = view_points(view);
	struct view_attr a;
	char name[64];

	(void)state;
	assert_string_equal(l->points[0]->vm, "db");
	snprintf(name, sizeof(name), "commit/%s", l->points[0]->session);
	point_list_put(l);
	assert_ok(backend_mem_remove(plant.backend, name));
	assert_result(view_refresh(view), 1);
	assert_list("vms", "web1 ");
	assert_list("tags/nightly", "web1 ");
	assert_result(view_lookup_path(view, VIEW_ROOT, "vms/db", &a), -ENOENT);
	assert_list("vms/web1", "latest " T1 " " T2 " ");
}

/* ---- an empty vault ---- */

static void shows_an_empty_vault(void **state)
{
	struct plant none;
	struct view *old = view;
	struct view_attr a;

	(void)state;
	plant_init(&none, 0);
	assert_ok(view_new(none.vault, &view));
	assert_list("", "vms ids tags ");
	assert_list("vms", "");
	assert_list("ids", "");
	assert_list("tags", "");
	assert_result(resolve("latest", &a), -ENOENT);
	view_free(view);
	view = old;
	plant_release(&none);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(shows_the_layout),
		T(links_ids),
		T(links_of_ids_that_begin_alike),
		T(lists_trees_from_any_cookie),
		T(survives_foreign_cookies),
		T(list_and_lookup_agree),
		T(shows_attributes),
		T(gives_inode_numbers_by_identity),
		T(shares_nodes_of_shared_leaves),
		T(refuses_nodes_it_never_gave),
		T(reads_ranges),
		T(refuses_to_read_what_is_no_file),
		T(seeks_holes),
		T(shows_texts),
		T(statistics_keep_their_size),
		T(has_xattrs),
		T(has_own_xattrs_by_name),
		T(resolves_what_people_type),
		T(describes_nodes),
		T(damages_are_eio_and_named),
		T(a_backend_that_fails_is_eio),
		T(finds_new_points),
		T(names_stay_with_their_points),
		T(a_time_of_several_names_none),
		T(looks_for_unknown_names_now_and_then),
		T(forgotten_points_are_gone),
		T(shows_an_empty_vault),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
