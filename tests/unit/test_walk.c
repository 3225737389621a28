/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The walk over the namespace, in trees and in a hostile guest filesystem that
 * is made up (fake_guests.h). */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "fs/view_sorted.h"
#include "fs/walk.h"
#include "store/vault.h"
#include "tests/unit/fake_guests.h"
#include "tests/unit/plant_disk.h"

#define POINT "vms/web1/2026-11-01T000000Z/"

static struct plant plant;
static struct view *view;
static uint8_t image[6 * FAKE_VOLUME];

static int set_up_group(void **state)
{
	(void)state;
	support_log_capture();
	support_fill(5, image, sizeof(image));
	plant_init(&plant, 16 << 20);
	plant_begin(&plant);
	plant_dir(&plant, "", "a");
	plant_file(&plant, "", "b", "b");
	plant_dir(&plant, "", "c");
	plant_dir(&plant, "a", "empty");
	plant_file(&plant, "a", "z", "z");
	plant_file(&plant, "c", "x", "x");
	plant_image(&plant, "vda", image, sizeof(image));
	plant_commit(&plant, "web1", "2026-11-01T000000Z", NULL);
	return 0;
}

static int tear_down_group(void **state)
{
	(void)state;
	plant_release(&plant);
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	support_log_clear();
	assert_ok(view_new(plant.vault, &view));
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	view_free(view);
	return 0;
}

static uint64_t at(const char *path)
{
	struct view_attr a;

	assert_ok(view_lookup_path(view, VIEW_ROOT, path, &a));
	return a.node;
}

/* What an entry must be, whatever the order. */
static void check_entry(const struct walk *w)
{
	const struct walk_entry *e = &w->entry;
	struct view_attr a;

	assert_int_equal(strlen(e->path), e->path_len);
	assert_string_equal(e->path + e->path_len - e->name_len, e->name);
	assert_int_equal(e->error, 0);
	assert_true(!e->attr == (w->order != WALK_AS_LISTED));
	assert_true(!e->mark == (w->order == WALK_AS_LISTED));
	if (e->damaged)
		return;
	assert_ok(view_getattr(view, e->node, &a));
	assert_int_equal(a.st.st_mode & S_IFMT, e->mode & S_IFMT);
	if (e->attr)
		assert_int_equal(a.st.st_ino, e->attr->st.st_ino);
}

/*
 * The events of a walk as text: "(a/e" entered, ")" left, "a/e " an entry,
 * "!a/e " refused. @skip is skipped as an entry, or when it is entered.
 */
static char *events(uint64_t node, const char *path, enum walk_order order,
		    const char *skip, enum walk_event skip_at,
		    uint64_t *failures_out)
{
	struct buf text = BUF_INIT;
	uint64_t rank = 0;
	struct walk w;
	int r;

	assert_ok(walk_begin(&w, view, order, path, node));
	while ((r = walk_next(&w)) > 0) {
		const struct walk_entry *e = &w.entry;

		if (r == WALK_ENTRY) {
			check_entry(&w);
			if (order == WALK_ENTRIES_FIRST && !skip)
				assert_int_equal(e->rank, rank++);
			buf_printf(&text, "%zu:%s ", e->depth, e->path);
		} else if (r == WALK_ENTER) {
			assert_true(!e->dir == (order == WALK_AS_LISTED));
			buf_printf(&text, "(%zu:%s ", e->depth, e->path);
		} else if (r == WALK_LEAVE) {
			buf_printf(&text, ")%zu:%s ", e->depth, e->path);
		} else {
			assert_true(e->error < 0);
			buf_printf(&text, "!%zu:%s ", e->depth, e->path);
		}
		if (skip && r == (int)skip_at && strcmp(e->path, skip) == 0)
			walk_skip(&w);
	}
	assert_int_equal(r, WALK_END);
	assert_int_equal(walk_next(&w), WALK_END);
	if (order == WALK_ENTRIES_FIRST && !skip)
		assert_int_equal(w.nranks, rank);
	*failures_out = w.failures;
	walk_release(&w);
	buf_put_u8(&text, 0);
	assert_ok(buf_error(&text));
	return (char *)text.data;
}

static void assert_events(const char *path, enum walk_order order,
			  const char *skip, enum walk_event skip_at,
			  const char *want)
{
	uint64_t failures;
	char *got = events(at(POINT "files"), path, order, skip, skip_at,
			   &failures);

	assert_string_equal(got, want);
	assert_int_equal(failures, 0);
	free(got);
}

#define BY_NAME                                                                \
	"(0: 1:a (1:a 2:a/empty (2:a/empty )2:a/empty 2:a/z )1:a 1:b 1:c "     \
	"(1:c 2:c/x )1:c )0: "

static void walks_in_three_orders(void **state)
{
	(void)state;
	/* A tree lists its names in order, directories among them. */
	assert_events("", WALK_AS_LISTED, NULL, WALK_END, BY_NAME);
	assert_events("", WALK_BY_NAME, NULL, WALK_END, BY_NAME);
	assert_events("/", WALK_ENTRIES_FIRST, NULL, WALK_END,
		      "(0:/ 1:/a 1:/b 1:/c (1:/a 2:/a/empty 2:/a/z "
		      "(2:/a/empty )2:/a/empty )1:/a (1:/c 2:/c/x )1:/c )0:/ ");
	assert_events("x/y", WALK_BY_NAME, "x/y/a", WALK_ENTRY,
		      "(0:x/y 1:x/y/a 1:x/y/b 1:x/y/c (1:x/y/c 2:x/y/c/x "
		      ")1:x/y/c )0:x/y ");
}

static void skips_directories(void **state)
{
	enum walk_order order;

	(void)state;
	for (order = WALK_AS_LISTED; order <= WALK_BY_NAME; order++) {
		assert_events("", order, "a", WALK_ENTRY,
			      "(0: 1:a 1:b 1:c (1:c 2:c/x )1:c )0: ");
		assert_events("", order, "a", WALK_ENTER,
			      "(0: 1:a (1:a 1:b 1:c (1:c 2:c/x )1:c )0: ");
		/* Nothing is below a file. */
		assert_events("", order, "b", WALK_ENTRY, BY_NAME);
		assert_events("", order, "", WALK_ENTER, "(0: ");
	}
	assert_events("", WALK_ENTRIES_FIRST, "a", WALK_ENTRY,
		      "(0: 1:a 1:b 1:c (1:c 2:c/x )1:c )0: ");
	assert_events("", WALK_ENTRIES_FIRST, "a", WALK_ENTER,
		      "(0: 1:a 1:b 1:c (1:a (1:c 2:c/x )1:c )0: ");
}

/* More names than a batch has, damage among them. */
static void walks_a_volume(void **state)
{
	uint64_t volume, n, damaged;
	enum walk_order order;
	struct walk w;
	int r;

	(void)state;
	volume = at(POINT "volumes/vda1");
	for (order = WALK_AS_LISTED; order <= WALK_ENTRIES_FIRST; order++) {
		n = damaged = 0;
		assert_ok(walk_begin(&w, view, order, "v", volume));
		while ((r = walk_next(&w)) > 0) {
			if (r != WALK_ENTRY)
				continue;
			check_entry(&w);
			n++;
			damaged += w.entry.damaged;
		}
		assert_int_equal(r, WALK_END);
		/* vda1's top has nine names; dir is one of them. */
		assert_int_equal(n, FAKE_MANY + 9);
		assert_int_equal(damaged, 3); /* bad, dangling, notype */
		assert_int_equal(w.failures, 0);
		walk_release(&w);
	}
}

/* Circles, directories with two names, and no end of depth: each walk ends,
 * with the same failures. */
static void withstands_hostile_directories(void **state)
{
	uint64_t volume, deepest;
	enum walk_order order;
	struct walk w;
	int r;

	(void)state;
	fake.hostile = true;
	volume = at(POINT "volumes/vda1");
	for (order = WALK_AS_LISTED; order <= WALK_ENTRIES_FIRST; order++) {
		deepest = 0;
		support_log_clear();
		assert_ok(walk_begin(&w, view, order, "v", volume));
		while ((r = walk_next(&w)) > 0)
			if (r == WALK_ENTER)
				deepest = MAX(deepest, w.entry.depth);
		assert_int_equal(r, WALK_END);
		assert_int_equal(deepest, WALK_DEPTH_MAX - 1);
		/* again, top, twin, and the end of the chain. */
		assert_int_equal(w.failures, 4);
		assert_said("v/dir/again: not entered");
		assert_said("v/dir/top: not entered");
		assert_said("v/dir/twin: not entered");
		assert_said("not entered, being deeper than");
		walk_release(&w);
	}
}

static void remembers_nodes(void **state)
{
	struct node_set s = { NULL, 0, 0 };
	uint64_t i;

	(void)state;
	for (i = 1; i <= 10000; i++)
		assert_int_equal(node_set_add(&s, i << 20 | 1), 1);
	for (i = 1; i <= 10000; i++)
		assert_int_equal(node_set_add(&s, i << 20 | 1), 0);
	assert_int_equal(node_set_add(&s, 1), 1);
	assert_int_equal(s.n, 10001);
	node_set_release(&s);
	assert_int_equal(node_set_add(&s, 1), 1);
	node_set_release(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(walks_in_three_orders, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(skips_directories, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(walks_a_volume, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(withstands_hostile_directories,
						set_up, tear_down),
		cmocka_unit_test(remembers_nodes),
	};

	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
