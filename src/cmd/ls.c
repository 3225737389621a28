/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/place.h"
#include "fs/view.h"
#include "fs/walk.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "src/cmd/listing.h"
#include "store/point.h"
#include "store/vault.h"

struct args {
	bool is_long, recursive, directory;
};

static const struct option_row rows[] = {
	OPT_FLAG("long", 'l', struct args, is_long,
		 "mode, links, owner, size and time, too"),
	OPT_FLAG("recursive", 'R', struct args, recursive,
		 "everything below, too"),
	OPT_FLAG("directory", 'd', struct args, directory,
		 "the directory itself, not what it holds"),
	OPT_END
};

struct listing {
	struct context *ctx;
	const struct args *args;
	struct view *view;
	const char *base; /* the path of what was named, as in struct place */
};

static int print_one(struct listing *l, const char *path, size_t path_len,
		     const struct view_attr *attr)
{
	struct buf full AUTO_BUF = BUF_INIT;
	json_t *o;
	int r;

	if (l->ctx->json) {
		/* The path is whole, as it goes behind "POINT:". */
		buf_put(&full, l->base, strlen(l->base));
		if (*l->base && path_len)
			buf_put_u8(&full, '/');
		buf_put(&full, path, path_len);
		o = output_message("node");
		r = listing_json(o, l->view, full.len ? (char *)full.data : "",
				 full.len, attr);
		if (r == 0)
			r = output_json(o);
		else
			json_decref(o);
	} else if (l->args->is_long) {
		r = listing_long(l->view, path, path_len, attr);
	} else {
		output_name(stdout, path, path_len);
		fputc('\n', stdout);
		r = output_error();
	}
	return r;
}

static int print_below(struct listing *l, uint64_t node)
{
	uint64_t failures = 0;
	struct walk w;
	int r = walk_begin(&w, l->view, WALK_AS_LISTED, "", node);

	while (r == 0 && (r = walk_next(&w)) > 0) {
		const struct walk_entry *e = &w.entry;

		if (r == WALK_ENTRY) {
			failures += e->damaged;
			r = print_one(l, e->path, e->path_len, e->attr);
			if (!l->args->recursive)
				walk_skip(&w);
		} else {
			r = 0;
		}
	}
	failures += w.failures;
	walk_release(&w);
	return r == 0 && failures ? -EIO : r;
}

static int list(struct listing *l, const char *spec)
{
	struct view_attr attr;
	struct place place;
	int r = place_find(l->view, spec, &place, &attr);

	if (r < 0)
		return r;
	l->base = place.path;
	if (!S_ISDIR(attr.st.st_mode) || l->args->directory) {
		const char *path = *l->base ? l->base : spec;
		size_t len = *l->base ? strlen(l->base) : place.point_len;

		if (l->ctx->json)
			len = 0;
		r = print_one(l, path, len, &attr);
	} else {
		r = print_below(l, attr.node);
	}
	place_release(&place);
	return r;
}

/* What is listed under a machine's name may be another's. */
static int report_names(struct vault *v)
{
	struct point_list *l;
	int r = vault_points(v, &l);

	if (r < 0)
		return r;
	r = filter_report_names(l);
	point_list_put(l);
	return r;
}

static int run_ls(struct context *ctx, void *args, int argc, char **argv)
{
	struct listing l = { .ctx = ctx, .args = args };
	struct point_filter all = { .latest = 0 };
	struct vault *v;
	int r, i;

	if (argc == 0)
		return filter_print(ctx, &all);
	r = context_open_view(ctx, &v, &l.view);
	if (r < 0)
		return r;
	for (i = 0; i < argc && r == 0; i++)
		r = list(&l, argv[i]);
	if (r == 0)
		r = report_names(v);
	r = context_read_error(v, r);
	view_free(l.view);
	vault_close(v);
	return r;
}

const struct command cmd_ls = {
	.name = "ls",
	.operands = "[POINT[:PATH]]...",
	.summary = "list what a point holds; without operands, the points",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_ls,
};
