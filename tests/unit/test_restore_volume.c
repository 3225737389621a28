/* SPDX-License-Identifier: GPL-3.0-or-later */
/* restore --delete of what is in volumes, whose filesystem is made up
 * (fake_guests.h). */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "src/restore/restore.h"
#include "store/base/task.h"
#include "store/vault.h"
#include "tests/unit/fake_guests.h"
#include "tests/unit/plant_disk.h"

#define TIME "2026-11-01T000000Z"

static struct plant plant;
static struct view *view;
static char target[256];
static bool really; /* not only a dry run */
static uint64_t errors; /* of the last restore */
static uint8_t image[6 * FAKE_VOLUME];

static void put_dir(const char *below)
{
	AUTO_FREE char *path = NULL;

	assert_true(asprintf(&path, "%s%s", target, below) > 0);
	assert_ok(mkdir(path, 0700));
}

static int set_up_group(void **state)
{
	static const char *const dirs[] = { "/vda1", "/vda1/dir", "/vda2",
					    "/vda2/dir" };
	char extra[64];
	size_t i;

	(void)state;
	support_log_capture();
	support_fill(5, image, sizeof(image));
	plant_init(&plant, 16 << 20);
	plant_begin(&plant);
	plant_image(&plant, "vda", image, sizeof(image));
	plant_commit(&plant, "web1", TIME, NULL);
	snprintf(target, sizeof(target), "%s/target", support_tmpdir_fast());
	put_dir("");
	put_dir("/extra");
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		put_dir(dirs[i]);
		snprintf(extra, sizeof(extra), "%s/extra", dirs[i]);
		put_dir(extra);
	}
	put_dir("/vda1.raw");
	put_dir("/vda1.raw/aaa");
	put_dir("/vda1.raw/dir");
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
	fake.good = true;
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

/* A restore of what is at @path of the point with --delete, to what stands for
 * it in the target, would remove and spare so much. */
static void assert_deleted(const char *path, bool incomplete, unsigned int gone,
			   unsigned int kept)
{
	struct point_list *l = view_points(view);
	struct task task = { .stop = NULL };
	struct restore_progress p;
	AUTO_FREE char *to = NULL;
	struct view_attr a;
	struct restore_options o = {
		.path = path,
		.view = view,
		.delete_extra = true,
		.delete_incomplete = incomplete,
		.dry_run = true,
		.threads = 1,
	};

	assert_ok(view_lookup_path(view, view_point_node(view, l->points[0]),
				   path + 1, &a));
	assert_true(asprintf(&to, "%s%s", target, path + strlen("/volumes")) >
		    0);
	o.target = to;
	o.node = a.node;
	o.dry_run = !really;
	assert_ok(restore_run(plant.vault, l->points[0], &o, &task, &p));
	errors = p.errors;
	point_list_put(l);
	assert_int_equal(p.deleted, gone);
	assert_int_equal(p.kept, kept);
}

/* What is marked has not seen that a name is missing, whatever the mark, and
 * wherever the restore begins. */
static void test_marked(void **state)
{
	static const char *const states[] = {
		"checksum-mismatch",	"devices-missing", "log-not-replayed",
		"log-partly-replayed",	"merge-under-way", "needs-repair",
		"raid-members-missing", "stale",	   "truncated",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		fake.state = states[i];
		support_log_clear();
		view_free(view);
		assert_ok(view_new(plant.vault, &view));
		assert_deleted("/volumes/vda2", false, 0, 2);
		assert_said(states[i]);
		assert_deleted("/volumes/vda2", true, 2, 0);
	}
	assert_deleted("/volumes/vda2/dir", false, 0, 1);
	assert_deleted("/volumes/vda1", false, 2, 0);
	assert_deleted("/volumes/vda1/dir", false, 1, 0);
	assert_deleted("/volumes", false, 2, 2);
	assert_deleted("/volumes", true, 4, 0);
}

/* There were more volumes than can be shown: which is not known. */
static void test_cut_list(void **state)
{
	struct view_attr a;

	(void)state;
	fake.cut = true;
	fake.state = "";
	assert_deleted("/volumes", false, 0, 4);
	assert_said("not all of the point can be read");
	assert_result(view_lookup_path(view, VIEW_ROOT,
				       "vms/web1/" TIME "/volumes/none", &a),
		      -EIO);
	assert_deleted("/volumes/vda1", false, 2, 0);
}

/* A name may be damaged together with its inode: nothing goes before it. */
static void test_damaged_entry(void **state)
{
	(void)state;
	fake.good = false;
	assert_deleted("/volumes/vda1.raw", false, 0, 1);
	assert_said("not all of the point can be read");
}

/* What is left out of a file's attributes is not restored. */
static void test_left_out_attributes(void **state)
{
	(void)state;
	really = true;
	assert_deleted("/volumes/vda1/file", false, 0, 0);
	assert_int_equal(errors, 0);
	fake.left_out = true;
	assert_deleted("/volumes/vda1/file", false, 0, 0);
	assert_int_equal(errors, 1);
	really = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_marked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cut_list, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_left_out_attributes,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_damaged_entry, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, set_up_group, tear_down_group);
}
