/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What changes a vault and is no backup (test_crash.c) or change of keys, in a
 * directory: it is killed before and after each call that changes something there, and
 * each of them fails in each way. Nothing of any point is lost by it, check finds no
 * damage, who was told of a success has one, and whoever runs it again comes to the end
 * that it would have come to.
 *
 * With SOAK=1 each of these happens at each call; else at most calls one of them does.
 */
#include "config.h"

#include "tests/unit/repairs.h"
#include "tests/unit/seam_fault.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backend/names.h"
#include "store/base/task.h"
#include "store/collect/collect.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/repair/rewrite.h"
#include "store/writer/forget.h"
#include "store/writer/note.h"

#define POINTS 3

/* The vaults to begin with: directories. */
enum base {
	PLAIN, /* three points */
	FORGOTTEN, /* the first of them is */
	DUE, /* so long ago that it may be collected */
	DAMAGED, /* a pack, an index object and a point's object are */
	BASES
};

static const char *root, *dir;
static const char *bases[BASES];
static char ids[POINTS][33], sessions[POINTS][NAME_HEX + 1];
static uint8_t digests[POINTS][CRYPT_SHA256_LEN];

/* ---- the vaults ---- */

static struct vault_options options(const char *url, struct seam *seam)
{
	return vaults_options(url, NULL, seam, NULL);
}

static const struct point *find(const struct point_list *l, const char *id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->id, id) == 0)
			return l->points[i];
	return NULL;
}

static void put_source(size_t version)
{
	uint8_t noise[20000];

	support_fill(version, noise, sizeof(noise));
	if (version > 0)
		support_remove(support_path("%s/noise%zu", dir, version - 1));
	support_write(support_path("%s/noise%zu", dir, version), noise,
		      sizeof(noise));
	support_write(support_path("%s/sub/small", dir), noise, 100 + version);
}

static void make_plain(void)
{
	struct vault_options o = options(bases[PLAIN], NULL);
	struct point_list *l;
	struct vault *v;
	char id[33];
	size_t i;

	o.parity = 5;
	assert_ok(vault_create(&o, 0, id));
	for (i = 0; i < POINTS; i++) {
		put_source(i);
		assert_ok(vaults_open_and_backup(&o, dir, ids[i]));
	}
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	for (i = 0; i < POINTS; i++) {
		const struct point *p = find(l, ids[i]);

		assert_non_null(p);
		memcpy(sessions[i], p->session, sizeof(sessions[i]));
		assert_ok(vaults_digest(v, p, dir, digests[i]));
	}
	point_list_put(l);
	vault_close(v);
}

static const char *wish_name(void)
{
	return support_path("forget/%s-0", ids[0]);
}

/* The wish stands there since 1970, which a copy of the vault does not tell. */
static void age_wish(const char *vault)
{
	const struct timespec then[2] = { { 1, 0 }, { 1, 0 } };

	assert_int_equal(utimensat(AT_FDCWD,
				   support_path("%s/%s", vault, wish_name()),
				   then, 0),
			 0);
}

/* Somebody wished the first point away. */
static void forget_first(const char *vault)
{
	static const char text[] = "{\"time_ns\":1}";
	struct vault_options o = options(vault, NULL);
	AUTO_BUF struct buf box = BUF_INIT;
	const char *name = wish_name();
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_FORGET, name, NULL, 0, text,
				  strlen(text), &box));
	assert_ok(backend_put(vault_backend(v), name, box.data, box.len));
	vault_close(v);
}

static void flip_middle(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(pread(fd, &byte, 1, st.st_size / 2), 1);
	byte ^= 1;
	assert_int_equal(pwrite(fd, &byte, 1, st.st_size / 2), 1);
}

/* What only the second point has is lost, a pack of the first is damaged and has
 * parity, one of the third has none, and an index object cannot be read. */
static void damage(const char *vault)
{
	struct vault_options o = options(vault, NULL);
	AUTO_NAMES struct backend_names packs = { NULL, 0, 0 };
	AUTO_NAMES struct backend_names parity = { NULL, 0, 0 };
	AUTO_NAMES struct backend_names index = { NULL, 0, 0 };
	struct vault *v;
	size_t i;

	assert_ok(vault_open(&o, &v));
	assert_ok(backend_list_names(vault_backend(v), "pack/", &packs));
	assert_ok(backend_list_names(vault_backend(v), "parity/", &parity));
	assert_ok(backend_list_names(vault_backend(v), "index/", &index));
	for (i = 0; i < packs.n; i++) {
		const char *file = support_path("%s/%s", vault, packs.list[i]);
		size_t len;
		AUTO_FREE uint8_t *data = support_read(file, &len);

		assert_non_null(data);
		if (data[10] == OBJECT_TREE_PACK)
			continue;
		if (strstr(packs.list[i], sessions[1]))
			support_remove(file);
		else if (strstr(packs.list[i], sessions[0]))
			flip_middle(file);
	}
	for (i = 0; i < parity.n; i++)
		if (!strstr(parity.list[i], sessions[0]))
			support_remove(
				support_path("%s/%s", vault, parity.list[i]));
	for (i = 0; i < index.n; i++)
		if (strstr(index.list[i], sessions[2]))
			flip_middle(
				support_path("%s/%s", vault, index.list[i]));
	vault_close(v);
}

static int setup(void **state)
{
	static const char *const names[BASES] = { "plain", "forgotten", "due",
						  "damaged" };
	size_t i;

	(void)state;
	support_log_capture();
	root = support_tmpdir_fast();
	dir = support_path("%s/src", root);
	/* Who is killed leaves its private database there. */
	assert_int_equal(setenv("TMPDIR", support_path("%s/tmp", root), 1), 0);
	assert_int_equal(mkdir(getenv("TMPDIR"), 0755), 0);
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(support_path("%s/sub", dir), 0755), 0);
	for (i = 0; i < BASES; i++) {
		bases[i] = support_path("%s/%s", root, names[i]);
		if (i == PLAIN)
			make_plain();
		else
			vaults_copy(bases[PLAIN], bases[i]);
	}
	forget_first(bases[FORGOTTEN]);
	forget_first(bases[DUE]);
	damage(bases[DAMAGED]);
	return 0;
}

/* ---- verbs ---- */

struct verb {
	const char *name;
	enum base base;
	/* As a command does it, @l having forgotten points, too. */
	int (*run)(struct vault *v, const struct point_list *l);
	/* Whether that is done. */
	bool (*is_done)(const char *vault, const struct point_list *l);
	unsigned long calls; /* there are that many at the least */
	unsigned int share; /* of them one in so many is tried */
};

static int run_forget(struct vault *v, const struct point_list *l)
{
	const struct forget_wish wish = { .window_ns = FORGET_WINDOW_MIN_NS };
	const struct point *p = find(l, ids[0]);

	return p->nopen_forgets ? 0 : forget_points(v, &p, 1, &wish, NULL);
}

static bool is_forgotten(const char *vault, const struct point_list *l)
{
	(void)vault;
	return find(l, ids[0])->nopen_forgets > 0;
}

static int run_undelete(struct vault *v, const struct point_list *l)
{
	return forget_undo(v, find(l, ids[0]), NULL);
}

static bool is_kept(const char *vault, const struct point_list *l)
{
	return !is_forgotten(vault, l);
}

static int run_note(struct vault *v, const struct point_list *l)
{
	static const struct note_wish wishes[] = { { NOTE_PROTECT, NULL },
						   { NOTE_TAG, "good" } };
	const struct point *p = find(l, ids[1]);

	return note_points(v, &p, 1, wishes, ARRAY_SIZE(wishes), NULL);
}

static bool is_noted(const char *vault, const struct point_list *l)
{
	const struct point *p = find(l, ids[1]);

	(void)vault;
	return p->is_protected && p->ntags == 1;
}

/* Whoever is asked how much may go says yes. */
static int on_plan(void *arg, const struct collect_plan *plan)
{
	struct collect_options *o = arg;

	o->yes_remove = (int64_t)plan->nremoved;
	return 0;
}

static int run_prune(struct vault *v, const struct point_list *l)
{
	struct collect_options o = { .on_plan = on_plan,
				     .arg = &o,
				     .max_unused = 0 };
	struct collect_result result;

	(void)l;
	return collect_run(v, &o, &result);
}

/* A sign of life may be left, which goes an hour later. */
static bool is_pruned(const char *vault, const struct point_list *l)
{
	return l->n == POINTS - 1 && !find(l, ids[0]) &&
	       support_count(support_path("%s/tomb", vault)) == 0;
}

static bool is_small(void *arg, const char *path, bool is_dir)
{
	(void)arg;
	(void)is_dir;
	return strstr(path, "/sub/small") != NULL;
}

static int run_rewrite(struct vault *v, const struct point_list *l)
{
	const struct rewrite_options o = {
		.apply = true, .level = 1, .disk_level = 1, .excludes = is_small
	};
	struct task task = { .stop = NULL };
	struct rewrite_result result;

	return rewrite_point(v, find(l, ids[2]), &o, &task, &result);
}

static bool is_rewritten(const char *vault, const struct point_list *l)
{
	(void)vault;
	return l->n == POINTS + 1;
}

static int run_repair(struct vault *v, const struct point_list *l)
{
	static repair_fn *const repairs[] = { repair_packs, repair_index,
					      repair_points, repair_parity };
	const struct repair_options o = {
		.apply = true, .read_data = true, .level = 1, .disk_level = 1
	};
	struct task task = { .stop = NULL };
	struct repair_result result;
	size_t i;
	int r = 0;

	(void)l;
	for (i = 0; i < ARRAY_SIZE(repairs) && r == 0; i++)
		r = repairs[i](v, &o, &task, &result);
	return r;
}

/* The third one beside the second, and nothing is left to do. */
static bool is_repaired(const char *vault, const struct point_list *l)
{
	struct vault_options o = options(vault, NULL);
	static repair_fn *const repairs[] = { repair_packs, repair_index,
					      repair_points, repair_parity };
	const struct repair_options dry = { .read_data = true };
	struct task task = { .stop = NULL };
	struct repair_result result;
	uint64_t n = 0;
	struct vault *v;
	size_t i;

	assert_ok(vault_open(&o, &v));
	for (i = 0; i < ARRAY_SIZE(repairs); i++) {
		assert_ok(repairs[i](v, &dry, &task, &result));
		n += result.repaired;
	}
	vault_close(v);
	return n == 0 && l->n == POINTS + 1;
}

static const struct verb verbs[] = {
	{ "forget", PLAIN, run_forget, is_forgotten, 6, 1 },
	{ "undelete", FORGOTTEN, run_undelete, is_kept, 6, 1 },
	{ "protect, tag", PLAIN, run_note, is_noted, 12, 1 },
	{ "prune", DUE, run_prune, is_pruned, 60, 2 },
	{ "rewrite", PLAIN, run_rewrite, is_rewritten, 30, 2 },
	{ "repair", DAMAGED, run_repair, is_repaired, 60, 8 },
};

/* ---- faults ---- */

static const struct blow {
	const char *name;
	enum seam_fault_action action;
	int err;
	bool sticky;
	unsigned int only;
} blows[] = {
	{ "is killed before", SEAM_FAULT_KILL_BEFORE, 0, false, 0 },
	{ "is killed after", SEAM_FAULT_KILL_AFTER, 0, false, 0 },
	{ "has EIO at", SEAM_FAULT_FAIL, -EIO, false, 0 },
	{ "loses the reply of", SEAM_FAULT_FAIL_AFTER, -EIO, false, 0 },
	{ "has no space from", SEAM_FAULT_FAIL, -ENOSPC, true, 0 },
	{ "writes less at", SEAM_FAULT_SHORT, 0, false,
	  1 << SEAM_FAULT_PWRITE },
	{ "cannot sync at", SEAM_FAULT_FAIL, -EIO, false,
	  1 << SEAM_FAULT_FSYNC | 1 << SEAM_FAULT_FDATASYNC },
};

struct attempt {
	const struct verb *verb;
	const struct blow *blow; /* NULL: all goes well */
	unsigned long n; /* the call that it hits */
	const char *vault;
};

enum { UNHARMED, DONE, FAILED };

static int carry_out(void *arg)
{
	const struct attempt *a = arg;
	struct point_list *l = NULL;
	struct vault_options o;
	struct seam_fault f;
	struct vault *v;
	int r;

	seam_fault_init(&f, NULL);
	if (a->blow) {
		seam_fault_at(&f, a->n, a->blow->action, a->blow->err,
			      a->blow->sticky);
		seam_fault_only(&f, a->blow->only);
	}
	o = options(a->vault, &f.seam);
	r = vault_open(&o, &v);
	if (r == 0) {
		vault_show_forgotten(v);
		r = vault_points(v, &l);
		if (r == 0)
			r = a->verb->run(v, l);
		point_list_put(l);
		vault_close(v);
	}
	r = r < 0 ? FAILED : f.hits ? DONE : UNHARMED;
	seam_fault_release(&f);
	return r;
}

/* Each point is what it was, that was not meant to go, and was not lost before. */
static void assert_nothing_lost(const struct attempt *a, const char *when,
				bool is_done_wanted)
{
	struct vault_options o = options(a->vault, NULL);
	uint8_t got[CRYPT_SHA256_LEN];
	struct point_list *l;
	struct vault *v;
	size_t i;

	assert_ok(vault_open(&o, &v));
	vault_show_forgotten(v);
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->ndamaged, 0);
	for (i = 0; i < POINTS; i++) {
		const struct point *p = find(l, ids[i]);

		if ((!p && a->verb->run == run_prune && i == 0) ||
		    (a->verb->run == run_repair && i == 1))
			continue;
		if (!p || vaults_digest(v, p, dir, got) < 0 ||
		    memcmp(got, digests[i], sizeof(got)) != 0)
			fail_msg("%s %s call %lu: %s, point %zu is lost",
				 a->verb->name, a->blow->name, a->n, when, i);
	}
	if (is_done_wanted && !a->verb->is_done(a->vault, l))
		fail_msg("%s %s call %lu: %s, it is not done", a->verb->name,
			 a->blow->name, a->n, when);
	point_list_put(l);
	vault_close(v);
	if (a->verb->run != run_repair && vaults_check(&o) != 0)
		fail_msg("%s %s call %lu: %s, check finds damage",
			 a->verb->name, a->blow->name, a->n, when);
}

/* Return whether there was such a call. */
static bool try_at(struct attempt *a)
{
	struct attempt again = { .verb = a->verb };
	int r;

	a->vault = again.vault = support_path("%s/vault", root);
	support_remove(a->vault);
	vaults_copy(bases[a->verb->base], a->vault);
	if (a->verb->base == DUE)
		age_wish(a->vault);
	r = support_fork(carry_out, a);
	if (r == UNHARMED)
		return false;
	assert_true(r == DONE || r == FAILED || r == -SIGKILL);
	assert_nothing_lost(a, "behind it", r == DONE);
	if (support_fork(carry_out, &again) != UNHARMED)
		fail_msg("%s %s call %lu: the next run fails", a->verb->name,
			 a->blow->name, a->n);
	assert_nothing_lost(a, "behind the next run", true);
	return true;
}

static void each_call_fails(void **state)
{
	const char *only = getenv("ONLY");
	bool all = getenv("SOAK") != NULL;
	unsigned long step;
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		step = all ? 1 : ARRAY_SIZE(blows) * verbs[i].share;
		for (k = 0; k < ARRAY_SIZE(blows); k++) {
			struct attempt a = { &verbs[i], &blows[k],
					     1 + k * verbs[i].share % step,
					     NULL };

			if (only && strcmp(only, verbs[i].name) != 0)
				continue;
			while (try_at(&a))
				a.n += step;
			assert_true(blows[k].only ||
				    a.n + step > verbs[i].calls);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_call_fails),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
