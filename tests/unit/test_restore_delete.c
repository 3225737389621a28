/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random restores with --delete onto random targets, against a model of what
 * may go.
 *
 * Each run makes a source (never on disk), what a backup of it takes (several
 * sources, patterns, caches, mount points that are not crossed), plants that as
 * a point, or shows it as a filesystem in a disk of one, makes a target that
 * resembles it, with mounts, vaults, a key, names of one file and links out of
 * it, and restores. The model is a recursion over the source as it was, with
 * the rules of vmbackup(1), and knows nothing of trees or walks: it says what
 * the target must look like then, entry by entry. What lies outside must be as
 * it was, and a dry run before must change nothing and say the same lines.
 *
 * Where something of the point is damaged, an entry is as it was or as the
 * model says, and nothing was deleted behind the first thing that is lost.
 *
 * RESTORE_RUNS and RESTORE_SEED choose how many runs and which.
 */
#include "config.h"

#include "tests/unit/plant.h"
#include "tests/unit/plant_disk.h"
#include "tests/unit/restore_damage.h"
#include "tests/unit/restore_model.h"
#include "tests/unit/restore_target.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/view.h"
#include "src/restore/guard.h"
#include "src/restore/restore.h"
#include "src/scan/exclude.h"
#include "store/base/buf.h"
#include "store/base/task.h"
#include "store/vault.h"

#define RUNS 300
#define VAULT_RUNS 50 /* a vault gets slower with its points */

static void note_source(struct point *p, const char *path)
{
	p->sources = realloc(p->sources, (p->nsources + 1) * sizeof(char *));
	assert_non_null(p->sources);
	p->sources[p->nsources++] = strdup(path);
}

static void note_mount(struct point_left_out *l, const char *path)
{
	size_t i = l->nmounts++;

	l->mounts = realloc(l->mounts, l->nmounts * sizeof(char *));
	assert_non_null(l->mounts);
	for (; i > 0 && strcmp(l->mounts[i - 1], path) > 0; i--)
		l->mounts[i] = l->mounts[i - 1];
	l->mounts[i] = strdup(path);
}

static void plant_shared(struct plant *p, const char *path,
			 const struct node *x)
{
	AUTO_BUF struct buf store = BUF_INIT;
	struct entry e = plant_entry(p, x->name, S_IFREG | 0644);
	size_t i;

	e.ino = 1000000 + x->file;
	for (i = 0, e.nlink = 0; i < model.nsource; i++)
		e.nlink += model.nodes[i].file == x->file;
	plant_content(p, &e, x->text, strlen(x->text), &store);
	plant_put(p, path, &e);
}

static void plant_below(struct plant *p, const struct node *dir,
			const char *path)
{
	const struct node *c;
	char sub[256];

	if (dir->source)
		note_source(p->point, path[0] ? path : "/");
	for (c = dir->child; c; c = c->next) {
		if (!c->listed)
			continue;
		if (c->kind == DIR_KIND)
			plant_dir(p, path, c->name);
		else if (c->kind == LINK_KIND)
			plant_link(p, path, c->name, c->text);
		else if (c->shared)
			plant_shared(p, path, c);
		else
			plant_file(p, path, c->name, c->text);
	}
	for (c = dir->child; c; c = c->next) {
		snprintf(sub, sizeof(sub), "%s/%s", path, c->name);
		if (c->listed && c->kind == DIR_KIND) {
			if (c->mount && !c->way && !c->source)
				note_mount(&p->point->left_out, sub);
			plant_below(p, c, sub);
		} else if (c->source) {
			note_source(p->point, sub);
		}
	}
}

static const uint8_t image[PLANT_CELL];

static void plant_point(struct plant *p, unsigned int nth)
{
	struct point_left_out *l;
	char time[40];
	size_t i;

	plant_begin(p);
	l = &p->point->left_out;
	l->known = model.known;
	if (model.volume)
		plant_image(p, "vda", image, sizeof(image));
	else
		plant_below(p, model.source, "");
	if (model.known) {
		l->one_file_system = model.one_fs;
		l->caches = model.caches;
		l->patterns = calloc(3, sizeof(*l->patterns));
		for (i = 0; i < model.npatterns; i++)
			l->patterns[i].text = strdup(model.patterns[i]);
		l->npatterns = model.npatterns;
	}
	p->point->incomplete = model.incomplete;
	snprintf(time, sizeof(time), "2026-11-22T00%02u%02uZ", nth / 60,
		 nth % 60);
	damage_prepare(p->backend);
	plant_commit(p, "web1", time, NULL);
	damage_do(p->backend);
}

static void assert_same(unsigned int run, const char *what, struct buf *got,
			struct buf *want)
{
	buf_put_u8(got, '\0');
	buf_put_u8(want, '\0');
	if (strcmp((char *)got->data, (char *)want->data) != 0)
		fail_msg("run %u (volume %d, damage %d, known %d, caches %d, "
			 "one_fs %d, incomplete %d, delete %d, word %d, never "
			 "%d, patterns %s %s %s, spare %s): %s: got\n%swanted\n"
			 "%slines\n%.*s",
			 run, model.volume, model.damage, model.known,
			 model.caches, model.one_fs, model.incomplete,
			 model.delete_extra, model.word, model.never,
			 model.npatterns > 0 ? model.patterns[0] : "-",
			 model.npatterns > 1 ? model.patterns[1] : "-",
			 model.npatterns > 2 ? model.patterns[2] : "-",
			 model.spare ? model.spare : "-", what,
			 (char *)got->data, (char *)want->data,
			 (int)model.notes.len, (char *)model.notes.data);
	got->len--;
	want->len--;
}

/* ---- runs ---- */

static void choose(void)
{
	static const char *const patterns[] = { "b",  "*.x",	   "/a/b",
						"c/", "!/a/b/d.x", "!d.x",
						"/b" };
	size_t i;

	model.n = 0;
	model.nmounts = 0;
	memset(model.first, 0, sizeof(model.first));
	memset(model.entered, 0, sizeof(model.entered));
	model.volume = model_percent(12);
	model.damage = model_percent(model.volume ? 30 : 4);
	model.one_fs = model_percent(40);
	model.caches = model_percent(40);
	model.known = model_percent(90);
	model.incomplete = model_percent(10);
	model.npatterns = model_below(4);
	for (i = 0; i < model.npatterns; i++)
		model.patterns[i] = patterns[model_below(ARRAY_SIZE(patterns))];
	model.spare = model_percent(25) ? patterns[model_below(4)] : NULL;
	model.delete_extra = model_percent(90);
	model.word = model.delete_extra && model_percent(20);
	model.never = model_percent(10);
	model.source = node_new("", DIR_KIND);
	model_source(model.source, 0);
	if (!model.damage)
		model_share();
	else if (!model.volume)
		model_fill(model.source);
	model.nsource = model.n;
	if (model.volume) {
		model_show(model.source);
		return;
	}
	if (model_percent(20))
		model.source->source = true;
	model_pick_sources(model.source, model.source->source ? 3 : 15);
	if (!node_leads(model.source))
		model.source->source = true;
	model_backup(model.source, "/", false);
}

/* A directory of the point, mostly the top. */
static const struct node *choose_start(char *path, size_t len)
{
	const struct node *s = model.source, *c;

	snprintf(path, len, "/");
	while (model_percent(40)) {
		for (c = s->child; c; c = c->next)
			if (c->listed && c->kind == DIR_KIND &&
			    model_percent(60))
				break;
		if (!c)
			break;
		snprintf(path + strlen(path), len - strlen(path), "%s%s",
			 path[1] ? "/" : "", c->name);
		s = c;
	}
	return s;
}

static void note(void *arg, const char *action, const char *path, uint64_t size)
{
	char line[600];

	(void)arg;
	(void)size;
	snprintf(line, sizeof(line), "%s %s\n", action, path);
	buf_put(&model.notes, line, strlen(line));
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Files are told of in the order in which they are done, by several threads. */
static void sort_notes(void)
{
	AUTO_BUF struct buf sorted = BUF_INIT;
	char *lines[1000], *line, *rest = NULL;
	size_t i, n = 0;

	buf_put_u8(&model.notes, 0);
	for (line = strtok_r((char *)model.notes.data, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		assert_true(n < ARRAY_SIZE(lines));
		lines[n++] = line;
	}
	qsort(lines, n, sizeof(*lines), by_text);
	for (i = 0; i < n; i++)
		buf_printf(&sorted, "%s\n", lines[i]);
	buf_clear(&model.notes);
	buf_put(&model.notes, sorted.data, sorted.len);
}

/* The node of the namespace at @path of point @p. */
static struct view *open_volume(struct vault *v, const struct point *p,
				const char *path, uint64_t *node_out)
{
	struct view *view;
	struct view_attr a;

	assert_ok(view_new(v, &view));
	assert_ok(view_lookup_path(view, view_point_node(view, p), path, &a));
	*node_out = a.node;
	return view;
}

/* Return whether the target was refused, as it is to be with @refuses. */
static bool restore_once(struct plant *p, const struct point *point,
			 const char *path, bool refuses, bool dry_run)
{
	struct restore_options o = {
		.path = path,
		.target = model.target,
		.overwrite = model.never ? RESTORE_NEVER : RESTORE_ALWAYS,
		.delete_extra = model.delete_extra,
		.delete_incomplete = model.word,
		.dry_run = dry_run,
		.guard = model.guard,
		.threads = 1,
		.note = note,
	};
	struct exclude *x = NULL;
	struct restore_progress progress;
	struct task task = { 0 };
	int r;

	if (model.spare) {
		x = exclude_new();
		assert_ok(exclude_add(x, model.spare, false));
		o.exclude = x;
	}
	if (model.volume)
		o.view = open_volume(p->vault, point, path + 1, &o.node);
	buf_clear(&model.notes);
	r = restore_run(p->vault, point, &o, &task, &progress);
	sort_notes();
	if (!model.damage)
		assert_int_equal(r, refuses ? -EINVAL : 0);
	view_free(o.view);
	exclude_free(x);
	return r == -EINVAL;
}

/* A directory of the point, mostly the top, as a restore names it. */
static const struct node *choose_path(char *path, size_t len)
{
	const struct node *from;
	char start[200];

	from = choose_start(start, sizeof(start));
	if (model.volume)
		snprintf(path, len, "/volumes/vda1%s", start[1] ? start : "");
	else
		snprintf(path, len, "%s", start);
	return from;
}

/* What is there after a restore, and what was said. */
static void check_restored(struct plant *p, unsigned int run,
			   struct buf *before, struct node *at,
			   const struct node *from, const char *path)
{
	AUTO_BUF struct buf after = BUF_INIT;
	AUTO_BUF struct buf want = BUF_INIT;

	model_restore(at, from, path, false, false);
	target_print(model.target, &after);
	model_print(at, "", &want);
	if (model.damage)
		damage_check(p->vault, run, path, before, &after, &want);
	else
		assert_same(run, "after the restore", &after, &want);
}

static void one_run(struct plant *p, unsigned int nth, unsigned int run)
{
	AUTO_BUF struct buf before = BUF_INIT;
	AUTO_BUF struct buf after = BUF_INIT;
	AUTO_BUF struct buf out_before = BUF_INIT;
	AUTO_BUF struct buf out_after = BUF_INIT;
	AUTO_BUF struct buf said = BUF_INIT;
	const struct node *from;
	struct node *at;
	struct point_list *l;
	char path[256];
	bool refuses;

	support_log_clear();
	choose();
	plant_point(p, nth);
	assert_ok(vault_points(p->vault, &l));
	if (!model.known && !model.volume)
		model_forget(model.source, false);
	from = choose_path(path, sizeof(path));
	model.guard = guard_new();
	assert_ok(mkdir(model.target, 0755));
	at = target_grow(from, model.target);
	target_print(model.outside, &out_before);
	target_print(model.target, &before);
	model_print(at, "", &after);
	assert_same(run, "the target as it was made", &before, &after);
	refuses = model_refuses(at, from, path);
	restore_once(p, l->points[l->n - 1], path, refuses, true);
	buf_put(&said, model.notes.data, model.notes.len);
	buf_clear(&after);
	target_print(model.target, &after);
	assert_same(run, "after a dry run", &after, &before);
	refuses = restore_once(p, l->points[l->n - 1], path, refuses, false);
	assert_same(run, "lines of the dry and the real run", &model.notes,
		    &said);
	if (refuses) {
		buf_clear(&after);
		target_print(model.target, &after);
		assert_same(run, "a target that was refused", &after, &before);
	} else {
		check_restored(p, run, &before, at, from, path);
	}
	target_print(model.outside, &out_after);
	assert_same(run, "outside", &out_after, &out_before);
	target_remove();
	damage_undo(p->backend);
	point_list_put(l);
	guard_free(model.guard);
}

/* Said with each failure: RESTORE_SEED=SEED RESTORE_RUNS=1 repeats a run. */
static uint64_t number(const char *variable, uint64_t otherwise)
{
	const char *text = getenv(variable);

	return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void nothing_else_goes(void **state)
{
	uint64_t runs = number("RESTORE_RUNS", RUNS), seed, i;
	struct plant p;

	(void)state;
	seed = number("RESTORE_SEED", 1);
	plant_init(&p, 1 << 20);
	for (i = 0; i < runs; i++) {
		model.random = (seed + i) * UINT64_C(0x9e3779b97f4a7c15);
		model.serial = 0;
		if (i > 0 && i % VAULT_RUNS == 0) {
			plant_release(&p);
			plant_init(&p, 1 << 20);
		}
		one_run(&p, (unsigned int)(i % VAULT_RUNS),
			(unsigned int)(seed + i));
	}
	plant_release(&p);
	buf_release(&model.notes);
}

static int prepare(void **state)
{
	(void)state;
	model.can_mount =
		geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
		mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
	model.top = support_tmpdir_fast();
	model.target = support_path("%s/target", model.top);
	model.outside = support_path("%s/outside", model.top);
	assert_ok(mkdir(model.outside, 0755));
	assert_ok(mkdir(support_path("%s/dir", model.outside), 0755));
	support_write(support_path("%s/dir/mine", model.outside), "mine", 4);
	support_write(support_path("%s/file", model.outside), "mine", 4);
	support_log_capture();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_else_goes),
	};

	return cmocka_run_group_tests(tests, prepare, NULL);
}
