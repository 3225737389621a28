/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/noting.h"
#include "src/cli/output.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "src/forget/guard.h"
#include "src/scan/exclude.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/repair/rewrite.h"
#include "store/vault.h"
#include "store/writer/forget.h"

struct args {
	struct string_list excludes, iexcludes, exclude_files;
	bool dry_run, forget;
};

static const struct option_row rows[] = {
	OPT_LIST("exclude", 'e', "PATTERN", struct args, excludes,
		 "leave out what matches; may be repeated"),
	OPT_LIST("iexclude", 0, "PATTERN", struct args, iexcludes,
		 "the same, upper and lower case alike"),
	OPT_LIST("exclude-file", 0, "FILE", struct args, exclude_files,
		 "read such patterns from FILE, one a line"),
	OPT_FLAG("forget", 0, struct args, forget,
		 "forget the old points once the new ones are made"),
	OPT_FLAG("dry-run", 'n', struct args, dry_run,
		 "only print what would be left out"),
	OPT_END
};

/* As backup's. */
#define LEVEL 3
#define LEVEL_DISK 6

/* The tag of new points whose old ones stay. */
#define TAG "rewrite"

/* ---- patterns ---- */

struct unwanted {
	struct exclude *exclude; /* owned */
	struct point_pattern *list; /* owned, what it points to is borrowed */
	size_t n, cap;
};

static int load_patterns(const struct args *a, struct unwanted *p)
{
	const char *text;
	bool fold;
	size_t i;
	int r = 0;

	p->exclude = exclude_new();
	if (!p->exclude)
		return -ENOMEM;
	for (i = 0; i < a->excludes.n && r == 0; i++)
		r = exclude_add(p->exclude, a->excludes.items[i], false);
	for (i = 0; i < a->iexcludes.n && r == 0; i++)
		r = exclude_add(p->exclude, a->iexcludes.items[i], true);
	for (i = 0; i < a->exclude_files.n && r == 0; i++)
		r = exclude_add_file(p->exclude, a->exclude_files.items[i],
				     false);
	while (r == 0 && (text = exclude_pattern(p->exclude, p->n, &fold))) {
		if (array_reserve(&p->list, &p->cap, p->n + 1) < 0)
			return -ENOMEM;
		p->list[p->n++] = (struct point_pattern){ (char *)text, fold };
	}
	return r;
}

static bool is_excluded(void *arg, const char *path, bool is_dir)
{
	const struct unwanted *p = arg;

	return exclude_match(p->exclude, path, is_dir);
}

/* ---- telling ---- */

struct telling {
	struct context *ctx;
	const char *point; /* its id */
};

static void say_left_out(void *arg, const char *path)
{
	const struct telling *t = arg;
	json_t *o;

	if (!t->ctx->json) {
		if (t->ctx->verbose)
			printf("%.8s: left out %s\n", t->point, path);
		return;
	}
	if (!t->ctx->verbose)
		return;
	o = output_message("left_out");
	output_set_string(o, "id", t->point);
	output_set_bytes(o, "path", path, strlen(path));
	(void)!output_json(o);
}

static int print_result(struct context *ctx, const struct point *p,
			const struct args *a, const struct rewrite_result *res)
{
	char size[OUTPUT_SIZE_LEN];
	json_t *o;

	if (ctx->json) {
		o = output_message("rewritten");
		output_set_string(o, "id", p->id);
		output_set_bool(o, "dry_run", a->dry_run);
		output_set_uint(o, "entries_left_out", res->excluded);
		output_set_uint(o, "bytes_left_out", res->excluded_bytes);
		if (res->id[0])
			output_set_string(o, "new_id", res->id);
		return output_json(o);
	}
	if (ctx->quiet)
		return 0;
	if (res->excluded == 0)
		printf("point %.8s: nothing in it matches\n", p->id);
	else
		printf("point %.8s: %" PRIu64 " entries (%s) %s%.8s\n", p->id,
		       res->excluded, output_size(res->excluded_bytes, size),
		       a->dry_run      ? "would be left out"
		       : res->was_made ? "were left out before, in "
				       : "are left out in ",
		       res->id);
	return output_error();
}

/* ---- doing it ---- */

static int rewrite_one(struct context *ctx, struct vault *v,
		       const struct point *p, const struct args *a,
		       struct unwanted *patterns, bool *is_other_out)
{
	char by[NOTING_BY_MAX];
	struct telling t = { ctx, p->id };
	struct rewrite_options o = { .apply = !a->dry_run,
				     .level = LEVEL,
				     .disk_level = LEVEL_DISK,
				     .tag = a->forget ? NULL : TAG,
				     .by = noting_by(by),
				     .excludes = is_excluded,
				     .excludes_arg = patterns,
				     .patterns = patterns->list,
				     .npatterns = patterns->n,
				     .left_out = say_left_out,
				     .left_out_arg = &t };
	struct task task = { .stop = signals_stop() };
	struct rewrite_result res;
	int r = rewrite_point(v, p, &o, &task, &res);

	*is_other_out = res.excluded > 0;
	return r < 0 ? r : print_result(ctx, p, a, &res);
}

/* The new ones are there, each machine has one. */
static int forget_old(struct vault *v, const struct point_list *l,
		      const struct point *const *points, size_t n)
{
	char by[NOTING_BY_MAX];
	struct forget_wish wish = { .window_ns = FORGET_WINDOW_MIN_NS,
				    .reason = "rewritten",
				    .by = noting_by(by) };
	int r = n ? forget_stored_times(v, l, NULL, &wish.vault_ns) : 0;

	if (r == 0 && n)
		r = guard_forget(v, points, n, &wish, false);
	return r;
}

static int rewrite_all(struct context *ctx, struct vault *v,
		       struct point_list *l, const struct args *a, int argc,
		       char **argv, struct unwanted *patterns)
{
	AUTO_FREE const struct point **points =
		alloc_array((size_t)argc, sizeof(*points));
	size_t i, n = 0, others = 0;
	int r = points ? filter_find_points(v, l, argc, argv, true, points, &n)
		       : -ENOMEM;

	/* What cannot be forgotten is told before anything is done. */
	if (r == 0 && a->forget)
		r = forget_check(v, points, n);
	else if (r == 0 && !a->dry_run)
		r = vault_may_write(v);
	for (i = 0; i < n && r == 0; i++) {
		bool is_other = false;

		r = rewrite_one(ctx, v, points[i], a, patterns, &is_other);
		if (r == 0 && is_other)
			points[others++] = points[i];
	}
	if (r == 0 && a->forget && !a->dry_run)
		r = forget_old(v, l, points, others);
	return r;
}

static int run_rewrite(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	struct unwanted patterns = { .n = 0 };
	struct point_list *l = NULL;
	struct vault *v = NULL;
	int r;

	if (argc == 0)
		return context_usage(ctx, "which points?");
	if (a->excludes.n + a->iexcludes.n + a->exclude_files.n == 0)
		return context_usage(ctx, "say what to leave out: --exclude"
					  " PATTERN");
	r = load_patterns(a, &patterns);
	if (r == 0)
		r = context_open_vault(ctx, &v);
	if (r == 0)
		r = context_read_error(v, vault_points(v, &l));
	if (r == 0)
		r = rewrite_all(ctx, v, l, a, argc, argv, &patterns);
	if (v && r < 0)
		r = context_read_error(v, r);
	point_list_put(l);
	vault_close(v);
	exclude_free(patterns.exclude);
	free(patterns.list);
	return r;
}

const struct command cmd_rewrite = {
	.name = "rewrite",
	.operands = "POINT...",
	.summary = "make points anew without what should not be in them",
	.help = "Of each POINT a new one is made without what matches: with"
		" its time, machine, tags, disks, and the notes that hold for"
		" it. Patterns are those of backup, against the files' absolute"
		" paths; disks are not looked into.\n"
		"The old points stay, and the new ones have the tag"
		" \"rewrite\", unless --forget is given. What was left out is"
		" deleted only when no point has it any more and the vault is"
		" collected.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_rewrite,
	.flags = COMMAND_STOPS,
};
