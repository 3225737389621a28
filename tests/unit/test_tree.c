/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Trees against an oracle in memory: what is built is found, in order, with
 * its rank; the same entries give the same tree; few nodes are written and
 * read. Entries are made up: no filesystem is involved.
 */
#include "config.h"

#include "tests/unit/trees.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/chunk.h"
#include "store/format.h"
#include "store/node.h"
#include "store/tree.h"
#include "store/vault.h"
#include "store/vault_internal.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"

/* ---- keys ---- */

static void keys_and_paths(void **state)
{
	static const char *const paths[] = { "/",	    "/a",
					     "/a/b",	    "/\x01/\x02\x01",
					     "/\xff/.../ ", "/a\x02" };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		AUTO_BUF struct buf key = BUF_INIT;
		AUTO_BUF struct buf path = BUF_INIT;

		assert_ok(tree_path_key(&key, paths[i]));
		tree_key_path(&path, key.data, key.len);
		assert_ok(buf_error(&path));
		assert_string_equal((char *)path.data, paths[i]);
		assert_int_equal(path.len, strlen(paths[i]));
	}
}

static void paths_are_cleaned_or_refused(void **state)
{
	AUTO_BUF struct buf a = BUF_INIT;
	AUTO_BUF struct buf b = BUF_INIT;
	char name[300];

	(void)state;
	assert_ok(tree_path_key(&a, "//a/./b//"));
	assert_ok(tree_path_key(&b, "a/b"));
	assert_int_equal(a.len, b.len);
	assert_memory_equal(a.data, b.data, a.len);
	tree_key_pop(&a);
	assert_int_equal(a.len, 2);
	tree_key_pop(&a);
	tree_key_pop(&a);
	assert_int_equal(a.len, 0);
	assert_result(tree_path_key(&a, "/a/../b"), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[256] = '\0';
	assert_result(tree_path_key(&a, name), -EINVAL);
	name[255] = '\0';
	assert_ok(tree_path_key(&a, name));
}

/* "a/x" before "a.b/x" before what the bytes 0, 1 and 2 in names would mix. */
static void order_is_by_directory_then_name(void **state)
{
	static const struct {
		const char *dir, *name;
	} sorted[] = {
		{ "/", "a" },	    { "/", "a.b" },	{ "/", "z" },
		{ "/\x01", "a" },   { "/\x01/b", "a" }, { "/\x02", "a" },
		{ "/a", "b" },	    { "/a", "c" },	{ "/a/b", "a" },
		{ "/a/\xff", "a" }, { "/a\x01", "a" },	{ "/a\x02", "a" },
		{ "/a.b", "a" },    { "/b", "" },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sorted); i++) {
		for (k = 0; k < ARRAY_SIZE(sorted); k++) {
			AUTO_BUF struct buf a = BUF_INIT;
			AUTO_BUF struct buf b = BUF_INIT;
			int c;

			assert_ok(tree_path_key(&a, sorted[i].dir));
			assert_ok(tree_path_key(&b, sorted[k].dir));
			c = tree_compare(a.data, a.len,
					 (const uint8_t *)sorted[i].name,
					 strlen(sorted[i].name), b.data, b.len,
					 (const uint8_t *)sorted[k].name,
					 strlen(sorted[k].name));
			assert_true((c < 0) == (i < k));
			assert_true((c > 0) == (i > k));
		}
	}
}

/* ---- reading ---- */

static void assert_at(const struct cursor *c, const struct items *items,
		      size_t i)
{
	const struct item *want = &items->list[i];
	struct entry e;
	size_t len;
	const uint8_t *key = cursor_dirkey(c, &len);

	cursor_entry(c, &e);
	assert_int_equal(c->rank, i);
	assert_int_equal(c->total, items->n);
	assert_int_equal(tree_compare(key, len, e.name, e.name_len, want->key,
				      want->key_len, item_name(want),
				      want->name_len),
			 0);
	assert_int_equal(e.mtime.sec, want->value);
}

/* The first item that is not before a place. */
static size_t oracle_seek(const struct items *items, const struct item *place)
{
	size_t lo = 0, hi = items->n;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (items_compare(&items->list[mid], place) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void read_back(struct trees *s, const struct items *items,
		      const struct id *root)
{
	struct cursor c = { 0 };
	uint8_t name[256];
	size_t i, k;
	int r;

	/* One after the other. */
	r = tree_at(s->vault, root, 0, &c);
	for (i = 0; r == 0; i++) {
		assert_true(i < items->n);
		assert_at(&c, items, i);
		r = cursor_next(&c);
	}
	assert_result(r, -ENOENT);
	assert_int_equal(i, items->n);
	assert_result(tree_at(s->vault, root, items->n, &c), -ENOENT);
	assert_result(tree_at(s->vault, root, UINT64_MAX, &c), -ENOENT);
	/* Here and there. */
	for (k = 0; items->n && k < 300; k++) {
		const struct item *it;

		i = trees_dice((uint32_t)items->n);
		it = &items->list[i];
		assert_ok(tree_at(s->vault, root, i, &c));
		assert_at(&c, items, i);
		assert_ok(tree_lookup(s->vault, root, it->key, it->key_len,
				      item_name(it), it->name_len, &c));
		assert_at(&c, items, i);
	}
	/* What need not be there. */
	for (k = 0; k < 300; k++) {
		struct item place = { .name_len = (uint16_t)trees_random_name(
					      name) };
		const struct item *near =
			items->n ? &items->list[trees_dice((uint32_t)items->n)]
				 : NULL;
		static uint8_t key[TREE_KEY_MAX + 256];

		place.key_len = near ? near->key_len : 0;
		if (place.key_len)
			memcpy(key, near->key, place.key_len);
		memcpy(key + place.key_len, name, place.name_len);
		place.key = key;
		i = oracle_seek(items, &place);
		r = tree_seek(s->vault, root, key, place.key_len, name,
			      place.name_len, &c);
		assert_result(r, i < items->n ? 0 : -ENOENT);
		if (r == 0)
			assert_at(&c, items, i);
		r = tree_lookup(s->vault, root, key, place.key_len, name,
				place.name_len, &c);
		assert_result(r, i < items->n && items_compare(&items->list[i],
							       &place) == 0
					 ? 0
					 : -ENOENT);
	}
	cursor_release(&c);
}

static void built_and_read(void **state)
{
	static const size_t sizes[] = {
		0,   1,	  2,	63,   64,   65,	  255,
		256, 257, 1000, 1024, 1025, 5000, 100000
	};
	struct trees *s = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct items items = { 0 };
		struct id root;

		if (sizes[i])
			items_random(&items, sizes[i], i + 1);
		trees_build(s, &items, &root);
		trees_reopen(s);
		read_back(s, &items, &root);
		items_release(&items);
	}
}

/* Directories whose own keys are long: nodes end by size, too. */
static void long_keys(void **state)
{
	struct trees *s = *state;
	AUTO_BUF struct buf dir = BUF_INIT;
	struct items items = { 0 };
	uint8_t name[255];
	struct id root;
	size_t i;

	memset(name, 'l', sizeof(name));
	items_add(&items, NULL, 0, "", 0, 1);
	for (i = 0; i < 250; i++) {
		items_add(&items, dir.data, dir.len, name, sizeof(name), 2);
		tree_key_push(&dir, name, sizeof(name));
	}
	items_sort(&items);
	trees_build(s, &items, &root);
	trees_reopen(s);
	read_back(s, &items, &root);
	items_release(&items);
}

static void out_of_order_is_refused(void **state)
{
	struct trees *s = *state;
	struct tree_builder *b = tree_builder_new(s->writer);
	struct item one = { (uint8_t *)strdup("b"), 0, 1, 0 };
	struct entry e = items_entry(&one);

	assert_non_null(b);
	assert_ok(tree_builder_add(b, NULL, 0, &e));
	assert_result(tree_builder_add(b, NULL, 0, &e), -EINVAL);
	one.key[0] = 'a';
	assert_result(tree_builder_add(b, NULL, 0, &e), -EINVAL);
	one.key[0] = 'c';
	assert_ok(tree_builder_add(b, NULL, 0, &e));
	assert_ok(tree_builder_add(b, (const uint8_t *)"b\1", 2, &e));
	assert_result(tree_builder_add(b, (const uint8_t *)"a\1", 2, &e),
		      -EINVAL);
	tree_builder_free(b);
	free(one.key);
}

/* One entry that readers refuse would take a whole leaf with it. */
static void what_nobody_would_read_is_refused(void **state)
{
	static const uint8_t huge[] = { 1,    1,    0x81, 0x80, 0x80, 0x80,
					0x80, 0x80, 0x80, 0x80, 0x40, 1 };
	struct trees *s = *state;
	struct tree_builder *b = tree_builder_new(s->writer);
	struct item one = { (uint8_t *)strdup("b"), 0, 1, 0 };
	struct entry e = items_entry(&one), bad;
	struct id root, same;
	uint64_t n;

	assert_non_null(b);
	bad = e;
	bad.size = (UINT64_C(1) << 62) + 1; /* of one hole */
	bad.content = huge;
	bad.content_len = sizeof(huge);
	assert_result(tree_builder_add(b, (const uint8_t *)"a\1", 2, &bad),
		      -EBADMSG);
	bad = e;
	bad.mode = 0644;
	assert_result(tree_builder_add(b, NULL, 0, &bad), -EBADMSG);
	bad = e;
	bad.mtime.nsec = 1000000000;
	assert_result(tree_builder_add(b, NULL, 0, &bad), -EBADMSG);
	/* It is as if they had never come. */
	assert_ok(tree_builder_add(b, NULL, 0, &e));
	assert_ok(tree_builder_finish(b, &root, &n));
	assert_int_equal(n, 1);
	tree_builder_free(b);
	b = tree_builder_new(s->writer);
	assert_non_null(b);
	assert_ok(tree_builder_add(b, NULL, 0, &e));
	assert_ok(tree_builder_finish(b, &same, &n));
	assert_true(id_equal(&root, &same));
	tree_builder_free(b);
	free(one.key);
}

/* ---- what changes cost ---- */

#define HEIGHT 4 /* of 100,000 entries, at the most */

static void same_entries_same_root(void **state)
{
	struct trees *s = *state;
	struct items items;
	struct id a, b;
	uint64_t before;

	items_random(&items, 20000, 3);
	trees_build(s, &items, &a);
	before = trees_nodes_written(s);
	trees_build(s, &items, &b);
	assert_true(id_equal(&a, &b));
	assert_int_equal(trees_nodes_written(s), before);
	items_release(&items);
}

static void an_attribute_moves_no_boundary(void **state)
{
	struct trees *s = *state;
	struct items items;
	struct id a, b;
	size_t i;

	items_random(&items, 100000, 4);
	trees_build(s, &items, &a);
	for (i = 0; i < 20; i++) {
		uint64_t before = trees_nodes_written(s);

		items.list[trees_dice((uint32_t)items.n)].value += 1000000;
		trees_build(s, &items, &b);
		assert_false(id_equal(&a, &b));
		assert_true(trees_nodes_written(s) - before <= HEIGHT);
		a = b;
	}
	items_release(&items);
}

static void few_entries_few_nodes(void **state)
{
	struct trees *s = *state;
	struct items items;
	struct id root, back;
	uint64_t before;
	size_t i, at;
	struct item gone;

	items_random(&items, 100000, 5);
	trees_build(s, &items, &root);
	for (i = 0; i < 20; i++) {
		at = 1 + trees_dice((uint32_t)items.n - 1);
		gone = items.list[at];
		memmove(&items.list[at], &items.list[at + 1],
			(items.n - at - 1) * sizeof(gone));
		items.n--;
		before = trees_nodes_written(s);
		trees_build(s, &items, &back);
		/* On each level the node, and until boundaries meet again a
		 * neighbour or a few. */
		assert_true(trees_nodes_written(s) - before <= 4 * HEIGHT);
		/* And back: the same tree as if nothing had been. */
		memmove(&items.list[at + 1], &items.list[at],
			(items.n - at) * sizeof(gone));
		items.list[at] = gone;
		items.n++;
		before = trees_nodes_written(s);
		trees_build(s, &items, &back);
		assert_true(id_equal(&root, &back));
		assert_int_equal(trees_nodes_written(s), before);
	}
	items_release(&items);
}

/* ---- a million entries ---- */

static int count_nodes(void *arg, const struct id *id, struct leaf *leaf,
		       int error)
{
	size_t *counts = arg;

	(void)id;
	assert_int_equal(error, 0);
	counts[0]++;
	counts[1] += leaf ? leaf_count(leaf) : 0;
	return 0;
}

/* 1,000 directories of @each files, and one file's value. */
static void build_large(struct trees *s, unsigned int each, unsigned int odd,
			struct id *root, uint64_t *entries)
{
	struct tree_builder *b = tree_builder_new(s->writer);
	AUTO_BUF struct buf dir = BUF_INIT;
	struct entry e = { .name = (const uint8_t *)"",
			   .mode = S_IFDIR | 0755,
			   .nlink = 1 };
	unsigned int i, k;
	char name[32];

	assert_non_null(b);
	assert_ok(tree_builder_add(b, NULL, 0, &e));
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%03u", i);
		e.name = (uint8_t *)name;
		e.name_len = 4;
		assert_ok(tree_builder_add(b, NULL, 0, &e));
	}
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "d%03u", i);
		buf_clear(&dir);
		tree_key_push(&dir, name, 4);
		for (k = 0; k < each; k++) {
			snprintf(name, sizeof(name), "file-%05u", k);
			e.name_len = 10;
			e.mode = S_IFIFO | 0644;
			e.ino = i * each + k;
			e.mtime.sec = i * each + k == odd ? 1 : 0;
			assert_ok(tree_builder_add(b, dir.data, dir.len, &e));
		}
	}
	assert_ok(tree_builder_finish(b, root, entries));
	tree_builder_free(b);
}

static int count_difference(void *arg, const uint8_t *key, size_t len,
			    const struct entry *a, const struct entry *b)
{
	(void)key;
	(void)len;
	assert_true(a && b);
	++*(size_t *)arg;
	return 0;
}

static void large_trees_are_read_lazily(void **state)
{
	struct trees *s = *state;
	unsigned int each = getenv("SOAK") ? 1000 : 200, i;
	uint64_t entries, before, height = 4;
	size_t counts[2] = { 0 }, found = 0;
	struct cursor c = { 0 };
	struct vault_stats stats;
	struct id root, other;

	build_large(s, each, UINT32_MAX, &root, &entries);
	assert_int_equal(entries, 1001 + 1000 * each);
	before = trees_nodes_written(s);
	build_large(s, each, 77 * each + 5, &other, &entries);
	assert_true(trees_nodes_written(s) - before <= height);
	trees_reopen(s);
	/* The top of the tree, and its first entries. */
	before = trees_nodes_read(s);
	assert_ok(tree_at(s->vault, &root, 0, &c));
	for (i = 0; i < 10; i++)
		assert_ok(cursor_next(&c));
	assert_true(trees_nodes_read(s) - before <= height);
	vault_get_stats(s->vault, &stats);
	assert_true(stats.gets <= 2 * height + 10);
	/* One file, far away: its path's nodes. */
	before = trees_nodes_read(s);
	assert_ok(tree_lookup(s->vault, &root, (const uint8_t *)"d900\1", 5,
			      "file-00100", 10, &c));
	assert_true(trees_nodes_read(s) - before <= height);
	cursor_release(&c);
	/* What differs, on both sides. */
	before = trees_nodes_read(s);
	assert_ok(tree_diff(s->vault, &root, &other, count_difference, &found));
	assert_int_equal(found, 1);
	assert_true(trees_nodes_read(s) - before <= 2 * height);
	/* All of it. */
	assert_ok(tree_nodes(s->vault, &root, count_nodes, counts));
	assert_int_equal(counts[1], entries);
	assert_true(counts[0] > entries / 1024 && counts[0] < entries / 150);
}

/* ---- damage ---- */

static void malformed_nodes(void **state)
{
	static const struct {
		const char *what;
		uint8_t b[64];
		size_t len;
	} t[] = {
		{ "nothing", { 0 }, 0 },
		{ "another kind", "X\0", 2 },
		{ "runs missing", "L\1", 2 },
		{ "bytes behind", "L\0\0", 3 },
		{ "an empty run", "L\1\0\0", 4 },
		{ "a key without its end", "L\1\1a\1", 5 },
		{ "inner without children", "I\1\0", 3 },
		{ "inner of level 0", "I\0\1\0", 4 },
		{ "inner of level 33", "I\41\1\0", 4 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		uint8_t *raw = malloc(t[i].len + 1);
		struct node *n;

		memcpy(raw, t[i].b, t[i].len);
		if (node_decode(NODE_LEAF, raw, t[i].len, &n) != -EBADMSG)
			fail_msg("%s: accepted", t[i].what);
		free(raw);
	}
}

/* A leaf of two runs, and an inner node: no beginning of them is one. */
static void nodes_truncated(void **state)
{
	struct trees *s = *state;
	struct items items;
	struct id root;
	AUTO_BUF struct buf raw = BUF_INIT;
	struct cursor c = { 0 };
	size_t len;
	int inner;

	items_random(&items, 3000, 9);
	trees_build(s, &items, &root);
	trees_reopen(s);
	assert_ok(tree_at(s->vault, &root, 0, &c));
	for (inner = 0; inner < 2; inner++) {
		buf_clear(&raw);
		assert_ok(chunk_read_all(s->vault, CHUNK_NODE,
					 inner ? &root : leaf_id(c.leaf),
					 &raw));
		for (len = 0; len <= raw.len; len += 1 + (len > 600) * 37) {
			uint8_t *copy = malloc(len + 1);
			struct node *n;
			int r;

			memcpy(copy, raw.data, len);
			r = node_decode(NODE_LEAF, copy, len, &n);
			assert_result(r, len == raw.len ? 0 : -EBADMSG);
			if (r == 0)
				node_free(n);
			else
				free(copy);
		}
	}
	cursor_release(&c);
	cursor_release(&c); /* once more does nothing */
	items_release(&items);
}

/* Of a tree in a damaged vault the rest can still be read, and the loss is
 * told of. */
static void a_lost_pack_is_an_error(void **state)
{
	struct trees *s = *state;
	struct cursor c = { 0 };
	struct items items;
	struct id root;
	size_t i;

	items_random(&items, 500, 10);
	trees_build(s, &items, &root);
	trees_reopen(s);
	for (i = 0; i < backend_mem_nobjects(s->backend);) {
		const char *name = backend_mem_name(s->backend, i);

		if (strncmp(name, "pack/", 5) == 0)
			assert_ok(backend_mem_remove(s->backend, name));
		else
			i++;
	}
	support_log_clear();
	assert_result(tree_at(s->vault, &root, 0, &c), -EBADMSG);
	assert_said("its pack is missing");
	assert_null(c.leaf);
	items_release(&items);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_paths),
		cmocka_unit_test(paths_are_cleaned_or_refused),
		cmocka_unit_test(order_is_by_directory_then_name),
		cmocka_unit_test_setup_teardown(built_and_read, trees_setup,
						trees_teardown),
		cmocka_unit_test_setup_teardown(long_keys, trees_setup,
						trees_teardown),
		cmocka_unit_test_setup_teardown(out_of_order_is_refused,
						trees_setup, trees_teardown),
		cmocka_unit_test_setup_teardown(
			what_nobody_would_read_is_refused, trees_setup,
			trees_teardown),
		cmocka_unit_test_setup_teardown(same_entries_same_root,
						trees_setup, trees_teardown),
		cmocka_unit_test_setup_teardown(an_attribute_moves_no_boundary,
						trees_setup, trees_teardown),
		cmocka_unit_test_setup_teardown(few_entries_few_nodes,
						trees_setup, trees_teardown),
		cmocka_unit_test_setup_teardown(large_trees_are_read_lazily,
						trees_setup, trees_teardown),
		cmocka_unit_test(malformed_nodes),
		cmocka_unit_test_setup_teardown(nodes_truncated, trees_setup,
						trees_teardown),
		cmocka_unit_test_setup_teardown(a_lost_pack_is_an_error,
						trees_setup, trees_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
