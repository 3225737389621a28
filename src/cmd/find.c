/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "fs/walk.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "src/cmd/listing.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/vault.h"

struct args {
	struct point_filter filter;
	struct string_list names, points;
	const char *type, *newer, *older, *size;
	bool ignore_case, is_long;
};

static const struct option_row rows[] = {
	OPT_LIST("name", 0, "PATTERN", struct args, names,
		 "names, or with a '/' paths, that match; may be repeated"),
	OPT_LIST("glob", 0, "PATTERN", struct args, names, "the same"),
	OPT_FLAG("ignore-case", 'i', struct args, ignore_case,
		 "upper and lower case alike"),
	OPT_STRING("type", 't', "f|d|l|b|c|p|s", struct args, type,
		   "only this type, as find(1) names it"),
	OPT_STRING("newer", 'N', "TIME", struct args, newer,
		   "modified at TIME or later; TIME may be an age, 7d"),
	OPT_STRING("older", 'O', "TIME", struct args, older,
		   "modified before TIME"),
	OPT_STRING("size", 0, "[+|-]SIZE", struct args, size,
		   "files of SIZE, or more, or less"),
	OPT_LIST("point", 0, "POINT", struct args, points,
		 "look in POINT only; may be repeated"),
	OPT_FLAG("long", 'l', struct args, is_long,
		 "mode, links, owner, size and time, too"),
	POINTS_FILTER_ROWS(struct args, filter),
	OPT_END
};

struct search {
	struct context *ctx;
	const struct args *args;
	char **patterns; /* borrowed: the operands */
	size_t npatterns;
	mode_t type; /* 0: any */
	int64_t newer_sec, older_sec;
	uint64_t size;
	char size_sign; /* '+', '-', '=', or 0: any */
	struct view *view;
	const char *point; /* name of the one that is walked */
	const char *point_id;
	uint64_t matches, failures;
};

/* "files/etc/x" and "volumes/vda1/etc/x" are "/etc/x" to the machine. */
static const char *path_inside(const char *path)
{
	const char *slash = strchr(path, '/'), *next = NULL;

	if (slash && strncmp(path, "volumes/", 8) == 0)
		next = strchr(slash + 1, '/');
	return next ? next : slash ? slash : path;
}

static bool glob_match(const struct search *f, const char *pattern,
		       const char *path, const char *name)
{
	int flags = f->args->ignore_case ? FNM_CASEFOLD : 0;

	if (!strchr(pattern, '/'))
		return fnmatch(pattern, name, flags) == 0;
	/* "/etc/x" is a path of the source or in a volume, "etc/x" any tail
	 * of one, as is "vda1/etc/x". */
	if (*pattern == '/')
		return fnmatch(pattern, path_inside(path),
			       flags | FNM_PATHNAME) == 0;
	for (path = strchr(path, '/'); path; path = strchr(path + 1, '/'))
		if (fnmatch(pattern, path + 1, flags | FNM_PATHNAME) == 0)
			return true;
	return false;
}

static bool name_matches(const struct search *f, const char *path, size_t len)
{
	const char *slash = memrchr(path, '/', len);
	const char *name = slash ? slash + 1 : path;
	size_t i;

	for (i = 0; i < f->npatterns; i++)
		if (glob_match(f, f->patterns[i], path, name))
			return true;
	for (i = 0; i < f->args->names.n; i++)
		if (glob_match(f, f->args->names.items[i], path, name))
			return true;
	return f->npatterns + f->args->names.n == 0;
}

static bool attr_matches(const struct search *f, const struct stat *st)
{
	uint64_t size = (uint64_t)st->st_size;

	if (f->type && (st->st_mode & S_IFMT) != f->type)
		return false;
	if (f->args->newer && st->st_mtim.tv_sec < f->newer_sec)
		return false;
	if (f->args->older && st->st_mtim.tv_sec >= f->older_sec)
		return false;
	if (!f->size_sign)
		return true;
	if (!S_ISREG(st->st_mode))
		return false;
	if (f->size_sign == '=')
		return size == f->size;
	return f->size_sign == '+' ? size > f->size : size < f->size;
}

static int print_match(struct search *f, const char *path, size_t len,
		       const struct view_attr *attr)
{
	struct buf full AUTO_BUF = BUF_INIT;
	json_t *o;
	int r;

	if (f->ctx->json) {
		o = output_message("match");
		output_set_string(o, "point", f->point);
		output_set_string(o, "point_id", f->point_id);
		r = listing_json(o, f->view, path, len, attr);
		if (r == 0)
			return output_json(o);
		json_decref(o);
		return r;
	}
	buf_printf(&full, "%s:", f->point);
	buf_put(&full, path, len);
	if (buf_error(&full) < 0)
		return -ENOMEM;
	if (f->args->is_long)
		return listing_long(f->view, (char *)full.data, full.len, attr);
	output_name(stdout, full.data, full.len);
	fputc('\n', stdout);
	return output_error();
}

static int look(struct search *f, const struct walk_entry *e)
{
	f->failures += e->damaged;
	if (!attr_matches(f, &e->attr->st) ||
	    !name_matches(f, e->path, e->path_len))
		return 0;
	f->matches++;
	return print_match(f, e->path, e->path_len, e->attr);
}

static int find_below(struct search *f, const struct point *p,
		      const char *folder)
{
	struct view_attr attr;
	struct walk w;
	int r = view_lookup_path(f->view, view_point_node(f->view, p), folder,
				 &attr);

	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return r;
	r = walk_begin(&w, f->view, WALK_AS_LISTED, folder, attr.node);
	while (r == 0 && (r = walk_next(&w)) > 0)
		r = r == WALK_ENTRY ? look(f, &w.entry) : 0;
	f->failures += w.failures;
	walk_release(&w);
	return r;
}

static int find_in(struct search *f, const struct point_list *l, size_t i)
{
	static const char *const folders[] = { "files", "disks", "volumes",
					       "config" };
	char name[512];
	size_t k;
	int r = 0;

	filter_name(l, i, name, sizeof(name));
	f->point = name;
	f->point_id = l->points[i]->id;
	for (k = 0; k < ARRAY_SIZE(folders) && r == 0; k++)
		r = find_below(f, l->points[i], folders[k]);
	f->point = NULL;
	return r;
}

static int find_all(struct search *f, struct point_list *l)
{
	const struct string_list *points = &f->args->points;
	bool *wanted = NULL, *named = NULL;
	size_t i, n;
	int r;

	r = point_filter_apply(&f->args->filter, l, &wanted);
	if (r < 0)
		return r;
	named = calloc(l->n + 1, sizeof(*named));
	if (!named)
		r = -ENOMEM;
	for (i = 0; i < points->n && r == 0; i++) {
		r = point_find(l, points->items[i], &n);
		if (r == 0)
			named[n] = true;
	}
	/* Newest first: that is what most look for. */
	for (i = l->n; i-- > 0 && r == 0;)
		if (wanted[i] && (named[i] || points->n == 0))
			r = find_in(f, l, i);
	free(wanted);
	free(named);
	return r;
}

static int parse(struct search *f)
{
	static const char letters[] = "fdlbcps";
	static const mode_t types[] = { S_IFREG, S_IFDIR, S_IFLNK, S_IFBLK,
					S_IFCHR, S_IFIFO, S_IFSOCK };
	const struct args *a = f->args;
	int64_t now = f->ctx->seam->ops->realtime_ns(f->ctx->seam), ns;
	const char *p;

	if (a->type) {
		p = strchr(letters, a->type[0]);
		if (!p || !*p || a->type[1])
			return context_usage(f->ctx,
					     "--type: \"%s\" is not one of"
					     " f d l b c p s",
					     a->type);
		f->type = types[p - letters];
	}
	if (a->newer) {
		if (options_time(a->newer, now, &ns) < 0)
			return context_usage(f->ctx,
					     "--newer: \"%s\" is not a"
					     " time",
					     a->newer);
		f->newer_sec = ns / 1000000000;
	}
	if (a->older) {
		if (options_time(a->older, now, &ns) < 0)
			return context_usage(f->ctx,
					     "--older: \"%s\" is not a"
					     " time",
					     a->older);
		f->older_sec = ns / 1000000000;
	}
	if (a->size) {
		p = a->size;
		f->size_sign = *p == '+' || *p == '-' ? *p++ : '=';
		if (options_size(p, &f->size) < 0)
			return context_usage(f->ctx,
					     "--size: \"%s\" is not a"
					     " size",
					     a->size);
	}
	return 0;
}

static int run_find(struct context *ctx, void *args, int argc, char **argv)
{
	struct search f = { .ctx = ctx,
			    .args = args,
			    .patterns = argv,
			    .npatterns = (size_t)argc };
	struct point_list *l;
	struct vault *v;
	json_t *o;
	int r;

	r = parse(&f);
	if (r < 0)
		return r;
	r = context_open_view(ctx, &v, &f.view);
	if (r < 0)
		return r;
	l = view_points(f.view);
	r = find_all(&f, l);
	point_list_put(l);
	if (r == 0 && ctx->json) {
		o = output_message("summary");
		output_set_uint(o, "matches", f.matches);
		output_set_uint(o, "error_count", f.failures);
		r = output_json(o);
	}
	if (r == 0 && f.failures)
		r = -EIO;
	r = context_read_error(v, r);
	view_free(f.view);
	vault_close(v);
	return r;
}

const struct command cmd_find = {
	.name = "find",
	.operands = "[PATTERN]...",
	.summary = "find files by name, type, age and size in the points",
	.help = "A pattern is a shell glob. Without a '/' it is matched"
		" against the name; with one against the path, from its start"
		" where the pattern begins with '/'. Without patterns all"
		" names match. Looks into the trees of points and into the"
		" volumes of their disks, whose tops are \"/\" too. Prints"
		" POINT:PATH, the newest point first.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_find,
};
