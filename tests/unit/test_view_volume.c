/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The namespace of volumes, over a guest filesystem that is made up
 * (fake_guests.h). */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/view.h"
#include "fs/volumes.h"
#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/base/stop.h"
#include "store/vault_internal.h"
#include "tests/unit/fake_guests.h"
#include "tests/unit/plant_disk.h"

#define NSEC INT64_C(1000000000)
#define POINTS 40
#define VOLUMES "vms/web1/2026-11-01T000000Z/volumes"
#define SIZE (6 * FAKE_VOLUME)

static struct plant plant;
static struct view *view;
static uint8_t image[SIZE];

static int group_setup(void **state)
{
	char time[32];
	int i;

	(void)state;
	support_log_capture();
	support_fill(5, image, sizeof(image));
	memset(image + FAKE_VOLUME / 2, 0, FAKE_VOLUME / 2);
	plant_init(&plant, 16 << 20);
	for (i = 0; i < POINTS; i++) {
		plant_begin(&plant);
		plant_image(&plant, "vda", image, SIZE);
		snprintf(time, sizeof(time), "2026-11-%02dT%02d0000Z",
			 1 + i / 24, i % 24);
		plant_commit(&plant, "web1", time, NULL);
	}
	return 0;
}

static int group_teardown(void **state)
{
	(void)state;
	plant_release(&plant);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	support_log_clear();
	assert_ok(view_new(plant.vault, &view));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	fake.hold = false;
	view_free(view);
	assert_int_equal(fake.open, 0);
	return 0;
}

static struct view_attr at(const char *path)
{
	struct view_attr a;

	assert_ok(view_lookup_path(view, VIEW_ROOT, path, &a));
	return a;
}

static struct view_attr in(const char *path)
{
	struct view_attr a = at(VOLUMES);

	assert_ok(view_lookup_path(view, a.node, path, &a));
	return a;
}

static int look(const char *path)
{
	struct view_attr a = at(VOLUMES);

	return view_lookup_path(view, a.node, path, &a);
}

/* ---- listing ---- */

struct names {
	struct buf text;
	uint64_t last;
	size_t n, max, damaged;
};

static int add_name(void *arg, const char *name, size_t len,
		    const struct view_attr *a, uint64_t cookie)
{
	struct names *l = arg;
	struct view_attr again;

	if (l->max && l->n == l->max)
		return 1;
	assert_true(cookie >= 3 && cookie <= INT64_MAX);
	assert_int_not_equal(a->st.st_ino, 0);
	if (a->damaged) {
		l->damaged++;
		assert_true(view_getattr(view, a->node, &again) < 0);
	} else {
		assert_ok(view_getattr(view, a->node, &again));
		assert_int_equal(a->st.st_ino, again.st.st_ino);
	}
	buf_put(&l->text, name, len);
	buf_put_u8(&l->text, ' ');
	l->last = cookie;
	l->n++;
	return 0;
}

static char *list(uint64_t node, size_t step)
{
	struct names l = { BUF_INIT, 0, 0, step, 0 };

	do {
		l.n = 0;
		assert_ok(view_readdir(view, node, l.last, add_name, &l));
	} while (step && l.n > 0);
	buf_put_u8(&l.text, 0);
	assert_ok(buf_error(&l.text));
	return (char *)l.text.data;
}

/* What is listed in volumes/, where all is well. */
#define ALL                                                                    \
	"vda1 vda2 vda2.raw vda3.unreadable vda3.raw vda4.unreadable "         \
	"vda4.raw vda5 vda5.raw vda1.raw vda1.raw.raw "

static void shows_volumes(void **state)
{
	char *text;
	size_t step;

	(void)state;
	for (step = 0; step < 4; step++) {
		text = list(at(VOLUMES).node, step);
		assert_string_equal(text, ALL);
		free(text);
	}
	assert_int_equal(fake.finds, 1);
	assert_int_equal(fake.opens, 5); /* vda4 has a reason */
	assert_result(look("vda3"), -ENOENT);
	assert_result(look("vda1.unreadable"), -ENOENT);
	assert_result(look("vda9"), -ENOENT);
	assert_result(look("vda9.raw"), -ENOENT);
	assert_true(S_ISDIR(in("vda1.raw").st.st_mode));
	assert_int_equal(fake.opens, 5); /* what was found is remembered */
}

static void finds_only_what_is_asked_for(void **state)
{
	(void)state;
	(void)at(VOLUMES);
	assert_int_equal(fake.finds, 0);
	(void)in("vda2.raw");
	assert_int_equal(fake.finds, 1);
	assert_int_equal(fake.opens, 0);
	(void)in("vda2/dir");
	assert_int_equal(fake.opens, 1);
}

static void says_why_not(void **state)
{
	struct view_attr a = in("vda3.unreadable");
	char text[200];
	size_t n;

	(void)state;
	assert_ok(view_read(view, a.node, 0, text, sizeof(text), &n));
	assert_int_equal(n, a.st.st_size);
	assert_memory_equal(text, "its superblock is nonsense\n", n);
	assert_int_equal(a.st.st_mode, S_IFREG | 0444);
	assert_true(a.immutable);
	a = in("vda4.unreadable");
	assert_ok(view_read(view, a.node, 0, text, sizeof(text), &n));
	assert_memory_equal(text, "swap space\n", n);
	assert_int_equal(fake.opens, 1);
}

/* A read of the vault that fails is no property of the volume. */
static void tries_again_where_reading_failed(void **state)
{
	struct view_attr a;
	char text[200];
	size_t n;

	(void)state;
	fake.fail_open = -EIO;
	assert_result(look("vda5"), -EIO);
	assert_said("opening fails as told");
	a = in("vda5.unreadable");
	assert_false(a.immutable);
	assert_ok(view_read(view, a.node, 0, text, sizeof(text), &n));
	assert_true(n > 10 && text[n - 1] == '\n');
	fake.fail_open = 0;
	assert_true(S_ISDIR(in("vda5").st.st_mode));
	assert_result(look("vda5.unreadable"), -ENOENT);

	fake.fail_find = -EIO;
	assert_result(look("vda5"), 0); /* found before */
	view_free(view);
	assert_ok(view_new(plant.vault, &view));
	support_log_clear();
	assert_result(look("vda5"), -EIO);
	assert_said("finding fails as told");
	assert_said("/volumes");
	fake.fail_find = 0;
	assert_result(look("vda5"), 0);
}

/* ---- what passes ---- */

/* A clock that the test sets. */
static struct clock {
	struct seam seam;
	struct seam_ops ops;
	int64_t now_ns;
} test_clock;

static int64_t clock_now(struct seam *s)
{
	(void)s;
	return ++test_clock.now_ns;
}

static void use_clock(struct vault *v)
{
	test_clock.ops = *seam_system()->ops;
	test_clock.ops.monotonic_ns = clock_now;
	test_clock.ops.realtime_ns = clock_now;
	test_clock.seam.ops = &test_clock.ops;
	test_clock.now_ns = INT64_C(2000000000) * NSEC; /* after the point */
	v->seam = &test_clock.seam;
}

static struct timespec time_of_volumes(bool *settled)
{
	struct view_attr a = at(VOLUMES);

	*settled = a.immutable;
	assert_int_equal(view_is_settled(view, a.node), a.immutable);
	return a.st.st_mtim;
}

static bool is_later(struct timespec a, struct timespec b)
{
	return a.tv_sec > b.tv_sec ||
	       (a.tv_sec == b.tv_sec && a.tv_nsec > b.tv_nsec);
}

static void expect_listed(const char *want)
{
	char *text = list(at(VOLUMES).node, 0);

	assert_string_equal(text, want);
	free(text);
}

/*
 * The vault cannot be reached for a moment: what was found then, and what was
 * not, is found anew when somebody looks a moment later; and until that has
 * worked nobody is told that something is so for ever.
 */
static void forgets_what_failed_reads_showed(void **state)
{
	struct timespec before, while_down, after;
	struct plant own;
	bool settled;

	(void)state;
	view_free(view);
	plant_init(&own, 0);
	plant_begin(&own);
	plant_image(&own, "vda", image, SIZE);
	plant_commit(&own, "web1", "2026-11-01T000000Z", NULL);
	assert_ok(view_new(own.vault, &view));
	use_clock(own.vault);
	fake.probe = true;

	before = time_of_volumes(&settled);
	assert_false(settled);
	backend_mem_fail(own.backend, BACKEND_MEM_GET, "pack", 1, -EIO,
			 BACKEND_MEM_STICKY);
	expect_listed("vda.unreadable vda.raw ");
	assert_false(in("vda.unreadable").immutable);
	assert_false(in("vda.raw").immutable);
	assert_result(look("vda1"), -EIO); /* nobody knows */
	while_down = time_of_volumes(&settled);
	assert_false(settled);
	assert_true(is_later(while_down, before));
	backend_mem_heal(own.backend);
	expect_listed("vda.unreadable vda.raw "); /* it is not hammered */
	assert_int_equal(fake.finds, 1);

	test_clock.now_ns += NSEC;
	assert_true(S_ISDIR(in("vda1").st.st_mode));
	assert_result(look("vda"), -ENOENT);
	assert_result(look("vda.unreadable"), -ENOENT);
	(void)time_of_volumes(&settled);
	assert_false(settled); /* the others may not open */
	expect_listed(ALL);
	after = time_of_volumes(&settled);
	assert_true(settled);
	assert_true(is_later(after, while_down));
	assert_true(in("vda1.raw.raw").immutable);
	assert_int_equal(fake.finds, 2);

	view_free(view);
	plant_release(&own);
	fake.probe = false;
	assert_ok(view_new(plant.vault, &view));
}

/* Let reads of @own's disk fail, and volumes be found all the same: so is a
 * mirror's old member where its newer one cannot be read. */
static void begin_unsure(struct plant *own)
{
	view_free(view);
	plant_init(own, 0);
	plant_begin(own);
	plant_image(own, "vda", image, SIZE);
	plant_commit(own, "web1", "2026-11-01T000000Z", NULL);
	assert_ok(view_new(own->vault, &view));
	use_clock(own->vault);
	fake.probe = fake.overlook = true;
	backend_mem_fail(own->backend, BACKEND_MEM_GET, "pack", 1, -EIO,
			 BACKEND_MEM_STICKY);
}

static void end_unsure(struct plant *own)
{
	view_free(view);
	plant_release(own);
	assert_ok(view_new(plant.vault, &view));
}

/* What was opened then may be another filesystem than the one that has the name
 * when all can be read. */
static void closes_what_failed_reads_led_to(void **state)
{
	struct view_attr then, now;
	struct plant own;

	(void)state;
	begin_unsure(&own);
	then = in("vda1/file");
	assert_false(then.immutable);
	assert_false(view_is_settled(view, in("vda1/dir").node));
	assert_false(in("vda1").immutable);
	/* They fail again: it is not to be trusted for longer. */
	test_clock.now_ns += NSEC;
	now = in("vda1/file");
	assert_int_equal(now.node, then.node);
	assert_int_equal(fake.opens, 2);
	assert_int_equal(fake.open, 1);

	backend_mem_heal(own.backend);
	test_clock.now_ns += 2 * NSEC;
	now = in("vda1/file");
	assert_int_not_equal(now.node, then.node);
	assert_true(now.immutable);
	assert_true(view_is_settled(view, in("vda1/dir").node));
	assert_int_equal(fake.opens, 3);
	assert_int_equal(fake.open, 1);
	assert_result(view_getattr(view, then.node, &now), -ESTALE);
	end_unsure(&own);
}

static void *look_into_vda1(void *arg)
{
	int *r = arg;

	*r = look("vda1/file");
	return NULL;
}

/* So with what is being opened while the volumes are found anew. */
static void does_not_keep_what_opens_too_late(void **state)
{
	struct plant own;
	pthread_t thread;
	int r = 1;

	(void)state;
	begin_unsure(&own);
	fake.hold = true;
	assert_int_equal(pthread_create(&thread, NULL, look_into_vda1, &r), 0);
	while (fake.opens == 0)
		sched_yield();
	backend_mem_heal(own.backend);
	test_clock.now_ns += NSEC;
	assert_ok(look("vda2.raw"));
	assert_int_equal(fake.finds, 2);
	fake.hold = false;
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_result(r, -ESTALE);
	assert_ok(look("vda1/file"));
	assert_int_equal(fake.opens, 2);
	assert_int_equal(fake.open, 1);
	end_unsure(&own);
}

/* The same where a filesystem does not open for such a reason. */
static void forgets_what_failed_to_open(void **state)
{
	struct timespec before, while_down, after;
	bool settled;

	(void)state;
	before = time_of_volumes(&settled);
	fake.fail_open = -EIO;
	expect_listed("vda1 vda2 vda2.raw vda3.unreadable vda3.raw "
		      "vda4.unreadable vda4.raw vda5.unreadable vda5.raw "
		      "vda1.raw vda1.raw.raw ");
	while_down = time_of_volumes(&settled);
	assert_false(settled);
	assert_true(is_later(while_down, before));
	fake.fail_open = 0;
	expect_listed(ALL);
	after = time_of_volumes(&settled);
	assert_true(settled);
	assert_true(is_later(after, while_down));
}

/* Two formats have left their signatures: the one that opens counts. */
static void tries_all_types(void **state)
{
	char text[64];
	struct buf state_word = BUF_INIT;

	(void)state;
	fake.two_types = true;
	assert_true(S_ISDIR(in("vda3").st.st_mode));
	assert_ok(view_getxattr(view, in("vda3").node, "user.vmbackupfs.state",
				&state_word));
	snprintf(text, sizeof(text), "%.*s", (int)state_word.len,
		 (char *)state_word.data);
	assert_string_equal(text, "log-not-replayed");
	buf_release(&state_word);
}

/* A request that was asked to end opens no further volumes for its listing. */
static void ends_when_asked(void **state)
{
	struct stop stop = { .serving = 3, .asked = 3 };
	struct names l = { BUF_INIT, 0, 0, 0, 0 };
	uint64_t dir = at(VOLUMES).node;

	(void)state;
	(void)stop_obey(&stop);
	assert_result(view_readdir(view, dir, 0, add_name, &l), -ECANCELED);
	(void)stop_obey(NULL);
	assert_int_equal(fake.opens, 0);
	buf_release(&l.text);
	/* But what was begun for all is done. */
	assert_int_equal(fake.finds, 1);
	expect_listed(ALL);
	assert_int_equal(fake.finds, 1);
}

/* ---- bytes of volumes ---- */

static void shows_raw_volumes(void **state)
{
	struct view_attr a = in("vda2.raw");
	static uint8_t got[FAKE_VOLUME + 1];
	uint64_t to;
	size_t n;

	(void)state;
	assert_int_equal(a.st.st_size, FAKE_VOLUME);
	assert_int_equal(a.st.st_mode, S_IFREG | 0400);
	assert_ok(view_read(view, a.node, 0, got, sizeof(got), &n));
	assert_int_equal(n, FAKE_VOLUME);
	assert_memory_equal(got, image + FAKE_VOLUME, n);
	assert_ok(view_read(view, a.node, FAKE_VOLUME, got, 1, &n));
	assert_int_equal(n, 0);
	a = in("vda1/file");
	assert_ok(view_seek(view, a.node, 0, true, &to));
	assert_int_equal(to, FAKE_VOLUME / 2);
	assert_result(view_seek(view, a.node, FAKE_VOLUME / 2, false, &to),
		      -ENXIO);
	assert_result(view_seek(view, in("vda2.raw").node, FAKE_VOLUME, true,
				&to),
		      -ENXIO);
}

/* ---- inodes ---- */

static void shows_a_guests_inodes(void **state)
{
	struct view_attr a = in("vda1/file"), b = in("vda1/hard");

	(void)state;
	assert_int_equal(a.node, b.node);
	assert_int_equal(a.st.st_ino, b.st.st_ino);
	assert_true(a.immutable);
	assert_int_equal(a.st.st_mode, S_IFREG | 04755);
	assert_int_equal(a.st.st_nlink, 2);
	assert_int_equal(a.st.st_uid, 70000);
	assert_int_equal(a.st.st_gid, 70001);
	assert_int_equal(a.st.st_size, FAKE_VOLUME);
	assert_int_equal(a.st.st_blocks, 8);
	assert_int_equal(a.st.st_mtim.tv_sec, -5);
	assert_int_equal(a.st.st_mtim.tv_nsec, 999999999);
	assert_true(a.st.st_ctim.tv_sec == INT64_C(1) << 33);
	assert_int_equal(a.st.st_atim.tv_nsec, 999999999);
	b = in("vda2/file");
	assert_int_not_equal(a.node, b.node);
	assert_int_not_equal(a.st.st_ino, b.st.st_ino);
	a = in("vda1/dev");
	assert_int_equal(a.st.st_rdev, makedev(259, 70000));
	a = in("vda1/dir");
	assert_true(view_is_fixed(a.node));
	assert_int_equal(a.st.st_mode, S_IFDIR | 01777);
}

/* The same inode of another point is another file. */
static void tells_points_apart(void **state)
{
	struct view_attr a = in("vda1/file"), b;

	(void)state;
	b = at("vms/web1/2026-11-01T010000Z/volumes/vda1/file");
	assert_int_not_equal(a.node, b.node);
	assert_int_not_equal(a.st.st_ino, b.st.st_ino);
	view_free(view);
	assert_ok(view_new(plant.vault, &view));
	/* A new mount that looks elsewhere first shows the same number. */
	(void)at("vms/web1/2026-11-01T010000Z/volumes/vda1/file");
	assert_int_equal(in("vda1/file").st.st_ino, a.st.st_ino);
}

static void lists_large_directories(void **state)
{
	static const size_t steps[] = { 0, 7, 32, 1000 };
	uint64_t dir = in("vda1/dir").node;
	char want[8];
	size_t i, k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(steps); k++) {
		char *text = list(dir, steps[k]), *p = text;

		for (i = 0; i < FAKE_MANY; i++, p += 6) {
			snprintf(want, sizeof(want), "%05zu ", i);
			assert_memory_equal(p, want, 6);
		}
		assert_string_equal(p, "");
		free(text);
	}
}

/* In pieces, as the kernel asks for it. */
struct piece {
	uint64_t node[20], cookie;
	size_t n, seen;
};

static int add_to_piece(void *arg, const char *name, size_t len,
			const struct view_attr *a, uint64_t cookie)
{
	struct piece *p = arg;
	char want[8];

	if (p->n == ARRAY_SIZE(p->node))
		return 1;
	snprintf(want, sizeof(want), "%05zu", p->seen++);
	assert_int_equal(len, 5);
	assert_memory_equal(name, want, 5);
	assert_true(S_ISREG(a->st.st_mode));
	p->node[p->n++] = a->node;
	p->cookie = cookie;
	return 0;
}

/*
 * However the names of a directory are ordered, each inode is read once, in the
 * order of the inodes but for few leaps back, and not again to find that it has
 * no attributes.
 */
static void reads_inodes_in_order(void **state)
{
	uint64_t dir = in("vda1/dir").node;
	AUTO_BUF struct buf value = BUF_INIT;
	struct piece p = { .n = 0 };
	size_t i;

	(void)state;
	fake.scattered = true;
	fake.getattrs = fake.back = 0;
	do {
		p.n = 0;
		assert_ok(view_readdir(view, dir, p.cookie, add_to_piece, &p));
		for (i = 0; i < p.n; i++)
			assert_result(view_getxattr(view, p.node[i], "user.x",
						    &value),
				      -ENODATA);
	} while (p.n > 0);
	assert_int_equal(p.seen, FAKE_MANY);
	assert_int_equal(fake.getattrs, FAKE_MANY);
	assert_true(fake.back < 10);
	assert_int_equal(fake.xattrs, 0);
}

static void lists_names_without_inodes(void **state)
{
	uint64_t dir = in("vda1/dir").node;
	struct piece p = { .n = 0 };

	(void)state;
	fake.getattrs = 0;
	do {
		p.n = 0;
		assert_ok(
			view_readnames(view, dir, p.cookie, add_to_piece, &p));
	} while (p.n > 0);
	assert_int_equal(p.seen, FAKE_MANY);
	assert_int_equal(fake.getattrs, 0);
}

/* More listings than may wait, and some that end in the middle. */
static void lists_for_many_at_once(void **state)
{
	uint64_t dir = in("vda1/dir").node;
	struct piece p[9] = { { .n = 0 } };
	size_t i, k;

	(void)state;
	for (k = 0; k < 20; k++) {
		for (i = 0; i < ARRAY_SIZE(p) - k % 5; i++) {
			p[i].n = 0;
			assert_ok(view_readdir(view, dir, p[i].cookie,
					       add_to_piece, &p[i]));
			assert_int_equal(p[i].n, ARRAY_SIZE(p->node));
		}
	}
	for (i = 0; i < 5; i++)
		assert_int_equal(p[i].seen, 20 * ARRAY_SIZE(p->node));
}

static void damage_hides_nothing_else(void **state)
{
	struct names l = { BUF_INIT, 0, 0, 0, 0 };
	uint8_t out[16];
	size_t n;

	(void)state;
	assert_ok(view_readdir(view, in("vda1").node, 0, add_name, &l));
	buf_put_u8(&l.text, 0);
	assert_string_equal(
		(char *)l.text.data,
		"attrs bad dangling dir dev file hard link notype ");
	assert_int_equal(l.damaged, 3);
	buf_release(&l.text);
	support_log_clear();
	/* The name is there, so not -ENOENT. */
	assert_result(look("vda1/dangling"), -EIO);
	assert_said("web1/2026-11-01T000000Z:volumes/vda1 (inode 2)");
	assert_result(look("vda1/bad"), -EIO);
	assert_result(look("vda1/notype"), -EIO);
	assert_result(look("vda1/absent"), -ENOENT);
	assert_result(look("vda1/file/x"), -ENOTDIR);
	assert_result(look("vda1/.."), -ENOENT);
	assert_result(view_read(view, in("vda1/file").node + 2, 0, out, 1, &n),
		      -EIO);
	assert_said("(inode 5)");
	assert_result(view_read(view, in("vda1/dir").node, 0, out, 1, &n),
		      -EISDIR);
}

static void refuses_made_up_nodes(void **state)
{
	uint64_t node = in("vda1/file").node;
	struct view_attr a;

	(void)state;
	/* No such inode; no such volume; a volume that is not readable. */
	assert_result(view_getattr(view, node + 100, &a), -ENOENT);
	assert_result(view_getattr(view, node + (UINT64_C(500) << 46), &a),
		      -ESTALE);
	assert_result(view_getattr(view, node + (UINT64_C(2) << 46), &a),
		      -ESTALE);
	assert_result(view_getattr(view, UINT64_MAX, &a), -ESTALE);
	assert_result(view_getattr(view, UINT64_C(2) << 62, &a), -ESTALE);
}

static void follows_links(void **state)
{
	AUTO_BUF struct buf text = BUF_INIT;

	(void)state;
	assert_ok(view_readlink(view, in("vda1/link").node, &text));
	buf_put_u8(&text, 0);
	assert_string_equal((char *)text.data, "dir/00000");
	assert_result(view_readlink(view, in("vda1/dir").node, &text), -EINVAL);
}

/* ---- extended attributes ---- */

static int value_of(const char *path, const char *name, struct buf *out)
{
	buf_clear(out);
	return view_getxattr(view, in(path).node, name, out);
}

static void shows_xattrs(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	static const char want[] = "system.posix_acl_access\0user.x";

	(void)state;
	assert_ok(view_listxattr(view, in("vda1/attrs").node, &b));
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	assert_ok(value_of("vda1/attrs", "user.x", &b));
	assert_int_equal(b.len, 5);
	assert_ok(value_of("vda1/attrs", "system.posix_acl_access", &b));
	assert_int_equal(b.len, 4);
	assert_ok(value_of("vda1/attrs", "system.unlisted", &b));
	assert_memory_equal(b.data, "hidden", 6);
	assert_true(view_in_volume(in("vda1/attrs").node));
	assert_result(value_of("vda1/attrs", "user.y", &b), -ENODATA);
	assert_result(value_of("vda1/dir", "user.x", &b), -ENODATA);
	assert_ok(value_of("vda1/dir", "user.vmbackup.vm", &b));
	assert_memory_equal(b.data, "web1", 4);
	assert_result(value_of("vda1/file", "user.vmbackup.content_id", &b),
		      -ENODATA);
}

static void marks_a_volume(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	static const char want[] =
		"user.vmbackupfs.state\0user.vmbackupfs.note";

	(void)state;
	assert_ok(view_listxattr(view, in("vda2").node, &b));
	assert_int_equal(b.len, sizeof(want));
	assert_memory_equal(b.data, want, sizeof(want));
	assert_ok(value_of("vda2", "user.vmbackupfs.state", &b));
	buf_put_u8(&b, 0);
	assert_string_equal((char *)b.data, "log-not-replayed");
	assert_ok(value_of("vda2", "user.vmbackupfs.note", &b));
	assert_result(value_of("vda2/dir", "user.vmbackupfs.state", &b),
		      -ENODATA);
	assert_result(value_of("vda1", "user.vmbackupfs.state", &b), -ENODATA);
	assert_said("volumes/vda2 is marked log-not-replayed: as of its last");
	buf_clear(&b);
	/* A note alone is shown, too. */
	assert_ok(view_listxattr(view, in("vda1").node, &b));
	assert_int_equal(b.len, sizeof("user.vmbackupfs.note"));
	assert_memory_equal(b.data, "user.vmbackupfs.note", b.len);
}

/* ---- bounds ---- */

static void look_at_point(int i)
{
	char path[100];

	snprintf(path, sizeof(path),
		 "vms/web1/2026-11-%02dT%02d0000Z/volumes/vda1/file",
		 1 + i / 24, i % 24);
	(void)at(path);
}

static void keeps_few_open(void **state)
{
	struct view_attr first = in("vda1/file"), again;
	int i;

	(void)state;
	for (i = 0; i < POINTS; i++)
		look_at_point(i);
	assert_int_equal(fake.finds, POINTS);
	assert_int_equal(fake.opens, POINTS);
	assert_int_equal(fake.open, VOLUMES_GUESTS_MAX);
	assert_int_equal(fake.most, VOLUMES_GUESTS_MAX + 1);
	/* The node lives on, whatever was closed meanwhile. */
	assert_ok(view_getattr(view, first.node, &again));
	assert_int_equal(first.st.st_ino, again.st.st_ino);
	assert_int_equal(fake.opens, POINTS + 1);
	assert_int_equal(fake.finds, POINTS + 1);
	assert_int_equal(in("vda1/file").node, first.node);
	look_at_point(POINTS - 1); /* the newest are kept */
	assert_int_equal(fake.opens, POINTS + 1);
}

/* What large logs take is bounded too; one is open whatever it takes. */
static void keeps_fewer_open_with_logs(void **state)
{
	int i;

	(void)state;
	fake.held = VOLUMES_HELD_MAX / 4;
	for (i = 0; i < POINTS; i++)
		look_at_point(i);
	assert_int_equal(fake.opens, POINTS);
	assert_int_equal(fake.open, 4);
	assert_int_equal(fake.most, 5);
	fake.held = VOLUMES_HELD_MAX + 1;
	look_at_point(0);
	assert_int_equal(fake.open, 1);
	(void)in("vda1/file");
	(void)in("vda1/dir");
	look_at_point(0);
	assert_in_range(fake.opens, POINTS + 1, POINTS + 2);
}

static void shows_many_volumes(void **state)
{
	char *text, *p;
	size_t n = 0;

	(void)state;
	fake.extra = 200;
	text = list(at(VOLUMES).node, 0);
	for (p = text; (p = strstr(p, " x")); p++)
		n++;
	assert_int_equal(n, 400);
	free(text);
	assert_int_equal(fake.open, VOLUMES_GUESTS_MAX);
}

static void takes_keys(void **state)
{
	struct secret *keys[2];
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		keys[i] = secret_new(4);
		assert_non_null(keys[i]);
	}
	assert_ok(view_set_luks_keys(view, keys, 2));
	for (i = 0; i < 2; i++)
		secret_free(keys[i]);
	(void)in("vda1");
	assert_int_equal(fake.keys, 2);
}

/* ---- threads ---- */

#define THREADS 16

static atomic_uint failures, arrived;

static void *open_one(void *arg)
{
	struct view_attr a;

	(void)arg;
	arrived++;
	if (look("vda1/file") != 0 ||
	    view_lookup_path(view, VIEW_ROOT, VOLUMES "/vda1/dir/00007", &a) !=
		    0)
		failures++;
	return NULL;
}

static void one_opens_others_wait(void **state)
{
	pthread_t t[THREADS];
	int i;

	(void)state;
	failures = arrived = 0;
	fake.hold = true;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, open_one, NULL),
				 0);
	while (arrived < THREADS || fake.opens == 0)
		sched_yield();
	fake.hold = false;
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(failures, 0);
	assert_int_equal(fake.finds, 1);
	assert_int_equal(fake.opens, 1);
}

static int count_name(void *arg, const char *name, size_t len,
		      const struct view_attr *a, uint64_t cookie)
{
	(void)name;
	(void)len;
	(void)a;
	(void)cookie;
	++*(size_t *)arg;
	return 0;
}

static void *roam(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	uint8_t got[4096];
	int i;

	for (i = 0; i < 60; i++) {
		unsigned int k = seed * 7 + (unsigned int)i;
		const char *volume = k % 3 == 0	  ? "vda1"
				     : k % 3 == 1 ? "vda2"
						  : "vda5";
		size_t n = 0, off = k * 4099 % (FAKE_VOLUME - sizeof(got));
		struct view_attr a;
		char path[100];

		snprintf(path, sizeof(path),
			 "vms/web1/2026-11-%02uT%02u0000Z/volumes/%s",
			 1 + k % POINTS / 24, k % POINTS % 24, volume);
		if (view_lookup_path(view, VIEW_ROOT, path, &a) != 0 ||
		    view_readdir(view, a.node, 0, count_name, &n) != 0 ||
		    n != 9 || view_lookup_path(view, a.node, "file", &a) != 0 ||
		    view_read(view, a.node, off, got, sizeof(got), &n) != 0 ||
		    memcmp(got,
			   image + off + (k % 3 == 2 ? 4 : k % 3) * FAKE_VOLUME,
			   n) != 0)
			failures++;
	}
	return NULL;
}

static void many_look_everywhere(void **state)
{
	pthread_t t[THREADS];
	int i;

	(void)state;
	failures = 0;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, roam,
						(void *)(uintptr_t)i),
				 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_int_equal(failures, 0);
	assert_true(fake.open <= VOLUMES_GUESTS_MAX);
	assert_true(fake.most <= VOLUMES_GUESTS_MAX + THREADS);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(shows_volumes),
		CASE(finds_only_what_is_asked_for),
		CASE(says_why_not),
		CASE(tries_again_where_reading_failed),
		CASE(forgets_what_failed_reads_showed),
		CASE(closes_what_failed_reads_led_to),
		CASE(does_not_keep_what_opens_too_late),
		CASE(forgets_what_failed_to_open),
		CASE(tries_all_types),
		CASE(ends_when_asked),
		CASE(shows_raw_volumes),
		CASE(shows_a_guests_inodes),
		CASE(tells_points_apart),
		CASE(lists_large_directories),
		CASE(reads_inodes_in_order),
		CASE(lists_names_without_inodes),
		CASE(lists_for_many_at_once),
		CASE(damage_hides_nothing_else),
		CASE(refuses_made_up_nodes),
		CASE(follows_links),
		CASE(shows_xattrs),
		CASE(marks_a_volume),
		CASE(keeps_few_open),
		CASE(keeps_fewer_open_with_logs),
		CASE(shows_many_volumes),
		CASE(takes_keys),
		CASE(one_opens_others_wait),
		CASE(many_look_everywhere),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
