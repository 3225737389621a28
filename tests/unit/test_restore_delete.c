/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Random restores with --delete onto random targets, against a model of what
 * may go.
 *
 * Each run makes a source (never on disk), what a backup of it takes (several
 * sources, patterns, caches, mount points that are not crossed), plants that as
 * a point, makes a target that resembles it, with mounts, vaults, a key and
 * links out of it, and restores. The model is a recursion over the source as it
 * was, with the rules of vmbackup(1), and knows nothing of trees or walks: it
 * says what the target must look like then, entry by entry. What lies outside
 * must be as it was, and a dry run before must change nothing and say the same
 * lines. RESTORE_RUNS and RESTORE_SEED choose how many runs and which.
 */
#include "config.h"

#include "tests/unit/plant.h"
#include "tests/unit/restore_model.h"
#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

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

static void plant_point(struct plant *p, unsigned int nth)
{
	struct point_left_out *l;
	char time[40];
	size_t i;

	plant_begin(p);
	l = &p->point->left_out;
	l->known = model.known;
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
	plant_commit(p, "web1", time, NULL);
}

/* ---- the target ---- */

static struct node *grow_target(const struct node *like, const char *path,
				unsigned int depth);

static void add_mount(const char *from, const char *type, const char *path)
{
	assert_ok(mount(from, path, type, type ? 0 : MS_BIND, NULL));
	assert_true(model.nmounts < ARRAY_SIZE(model.mounts));
	snprintf(model.mounts[model.nmounts++], sizeof(model.mounts[0]), "%s",
		 path);
}

static void guard(const char *path)
{
	assert_ok(guard_add(model.guard, path, "the vault"));
}

static void mark_guarded(struct node *x)
{
	if (x->kind == DIR_KIND)
		x->guarded = true;
	for (x = x->child; x; x = x->next)
		mark_guarded(x);
}

/* A directory that looks like a vault; its name is @x's. */
static void make_vault(struct node *x, const char *path)
{
	static const char *const dirs[] = { "commit", "pack", "point" };
	struct node *c;
	char sub[300];
	size_t i;

	x->vault = true;
	if (!node_find(x, "config")) {
		c = node_new("config", FILE_KIND);
		node_fill(c, 't');
		node_add(x, c);
		snprintf(sub, sizeof(sub), "%s/config", path);
		support_write(sub, c->text, strlen(c->text));
	}
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		node_add(x, node_new(dirs[i], DIR_KIND));
		snprintf(sub, sizeof(sub), "%s/%s", path, dirs[i]);
		assert_ok(mkdir(sub, 0755));
	}
}

static void make_dir(struct node *x, const struct node *like, const char *path,
		     unsigned int depth)
{
	assert_ok(mkdir(path, 0755));
	if (model.can_mount && depth > 0 && model.nmounts < 3 &&
	    model_percent(6)) {
		x->mount = true;
		add_mount("none", "tmpfs", path);
	}
	x->child = grow_target(like, path, depth + 1)->child;
	if (depth == 0 || !model_percent(10))
		return;
	if (model_percent(60))
		make_vault(x, path);
	if (!x->vault || model_percent(60)) {
		mark_guarded(x);
		guard(path);
	}
}

static void make_other(struct node *x, const char *path)
{
	char other[300];

	node_fill(x, 't');
	if (x->kind == LINK_KIND) {
		assert_ok(symlink(x->text, path));
		return;
	}
	support_write(path, x->text, strlen(x->text));
	if (model.can_mount && model.nmounts < 3 && model_percent(2)) {
		snprintf(other, sizeof(other), "%s/bound%zu", model.outside,
			 model.nmounts);
		support_write(other, x->text, strlen(x->text));
		add_mount(other, NULL, path);
		x->mount = true;
	} else if (model_percent(4)) {
		x->guarded = true;
		guard(path);
	}
}

/* Return a directory whose entries resemble those of @like (may be NULL), and
 * make them in @path. */
static struct node *grow_target(const struct node *like, const char *path,
				unsigned int depth)
{
	struct node *dir = node_new("", DIR_KIND);
	char sub[256];
	size_t i;

	for (i = 0; i < MODEL_NAMES; i++) {
		const struct node *was = node_find(like, model_names[i]);
		struct node *x;

		if (!model_percent(was ? 70 : i == 0 ? 5 : depth > 3 ? 10 : 30))
			continue;
		x = node_new(model_names[i], was && model_percent(85)
						     ? was->kind
						     : model_any_kind(depth));
		snprintf(sub, sizeof(sub), "%s/%s", path, x->name);
		if (x->kind == DIR_KIND)
			make_dir(x, was && was->kind == DIR_KIND ? was : NULL,
				 sub, depth);
		else
			make_other(x, sub);
		node_add(dir, x);
	}
	return dir;
}

/* ---- what there is ---- */

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void print_one(const char *full, const char *shown, enum kind *out,
		      struct buf *text)
{
	char line[600], content[TEXT_MAX_LEN] = "";
	struct stat st;
	ssize_t n = 0;
	int fd;

	assert_ok(lstat(full, &st));
	*out = S_ISDIR(st.st_mode)   ? DIR_KIND
	       : S_ISLNK(st.st_mode) ? LINK_KIND
				     : FILE_KIND;
	if (*out == LINK_KIND)
		n = readlink(full, content, sizeof(content) - 1);
	if (*out == FILE_KIND) {
		fd = open(full, O_RDONLY | O_CLOEXEC);
		n = read(fd, content, sizeof(content) - 1);
		close(fd);
	}
	content[MAX(n, 0)] = '\0';
	snprintf(line, sizeof(line), "%s %d %s\n", shown, *out, content);
	buf_put(text, line, strlen(line));
}

static void print_disk(const char *top, const char *path, struct buf *out)
{
	char sub[400], full[800];
	struct dirent **list;
	enum kind kind;
	int n, i;

	snprintf(full, sizeof(full), "%s%s", top, path);
	n = scandir(full, &list, not_dots, by_bytes);
	assert_true(n >= 0);
	for (i = 0; i < n; i++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, list[i]->d_name);
		snprintf(full, sizeof(full), "%s%s", top, sub);
		free(list[i]);
		print_one(full, sub, &kind, out);
		if (kind == DIR_KIND)
			print_disk(top, sub, out);
	}
	free(list);
}

static void assert_same(unsigned int run, const char *what, struct buf *got,
			struct buf *want)
{
	buf_put_u8(got, '\0');
	buf_put_u8(want, '\0');
	if (strcmp((char *)got->data, (char *)want->data) != 0)
		fail_msg("run %u (known %d, caches %d, one_fs %d, incomplete "
			 "%d, delete %d, word %d, never %d, patterns %s %s %s,"
			 " spare %s): %s: got\n%swanted\n%slines\n%.*s",
			 run, model.known, model.caches, model.one_fs,
			 model.incomplete, model.delete_extra, model.word,
			 model.never,
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

static void restore_once(struct plant *p, const char *path, bool dry_run)
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
	struct point_list *l;
	struct task task = { 0 };

	if (model.spare) {
		x = exclude_new();
		assert_ok(exclude_add(x, model.spare, false));
		o.exclude = x;
	}
	assert_ok(vault_points(p->vault, &l));
	buf_clear(&model.notes);
	assert_ok(restore_run(p->vault, l->points[l->n - 1], &o, &task,
			      &progress));
	point_list_put(l);
	exclude_free(x);
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
	char path[256];

	support_log_clear();
	choose();
	plant_point(p, nth);
	if (!model.known)
		model_forget(model.source, false);
	from = choose_start(path, sizeof(path));
	model.guard = guard_new();
	assert_ok(mkdir(model.target, 0755));
	at = grow_target(from, model.target, 0);
	print_disk(model.outside, "", &out_before);
	print_disk(model.target, "", &before);
	model_print(at, "", &after);
	assert_same(run, "the target as it was made", &before, &after);
	restore_once(p, path, true);
	buf_put(&said, model.notes.data, model.notes.len);
	buf_clear(&after);
	print_disk(model.target, "", &after);
	assert_same(run, "after a dry run", &after, &before);
	restore_once(p, path, false);
	assert_same(run, "lines of the dry and the real run", &model.notes,
		    &said);
	model_restore(at, from, path, false, false);
	buf_clear(&after);
	buf_clear(&before);
	print_disk(model.target, "", &after);
	model_print(at, "", &before);
	assert_same(run, "after the restore", &after, &before);
	print_disk(model.outside, "", &out_after);
	assert_same(run, "outside", &out_after, &out_before);
	while (model.nmounts > 0)
		assert_ok(umount2(model.mounts[--model.nmounts], MNT_DETACH));
	support_remove(model.target);
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
