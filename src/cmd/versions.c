/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/place.h"
#include "fs/view.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "src/cmd/listing.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/vault.h"

/* One content and set of attributes of the path. */
struct version {
	struct view_attr attr;
	uint8_t content[16]; /* what its content is known by */
	bool timeless; /* its times are the point's */
	struct buf target; /* of a symbolic link */
	size_t *points; /* indexes into the list, newest first; owned */
	size_t npoints, cap;
};

struct versions {
	struct context *ctx;
	struct view *view;
	struct point_list *list;
	const char *path; /* "files/..." */
	struct version *versions; /* owned */
	size_t n, cap;
};

static void version_release(struct version *v)
{
	buf_release(&v->target);
	free(v->points);
}

static bool same_version(const struct version *a, const struct version *b)
{
	const struct stat *s = &a->attr.st, *t = &b->attr.st;

	return s->st_mode == t->st_mode && s->st_uid == t->st_uid &&
	       s->st_gid == t->st_gid && s->st_size == t->st_size &&
	       s->st_rdev == t->st_rdev &&
	       (a->timeless || (s->st_mtim.tv_sec == t->st_mtim.tv_sec &&
				s->st_mtim.tv_nsec == t->st_mtim.tv_nsec)) &&
	       !memcmp(a->content, b->content, sizeof(a->content)) &&
	       a->target.len == b->target.len &&
	       (a->target.len == 0 ||
		!memcmp(a->target.data, b->target.data, a->target.len));
}

/* Chunks tell content; in a disk's filesystem, the time that each change of a
 * file sets and that nobody can set otherwise. */
static int know_content(struct versions *h, struct version *v)
{
	const struct stat *st = &v->attr.st;
	int64_t changed[2] = { st->st_ctim.tv_sec, st->st_ctim.tv_nsec };
	int r = view_content_id(h->view, v->attr.node, v->content);

	if (r != -EINVAL)
		return r;
	_Static_assert(sizeof(changed) == sizeof(v->content), "16 bytes");
	memcpy(v->content, changed, sizeof(changed));
	return 0;
}

/* What the path was in point @i. Return 1, 0 (it was not there), or an error.*/
static int look_up(struct versions *h, size_t i, struct version *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	r = view_lookup_path(h->view,
			     view_point_node(h->view, h->list->points[i]),
			     h->path, &out->attr);
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	out->timeless = strncmp(h->path, "files", 5) != 0 &&
			!view_in_volume(out->attr.node);
	if (r == 0 && S_ISREG(out->attr.st.st_mode))
		r = know_content(h, out);
	else if (r == 0 && S_ISLNK(out->attr.st.st_mode))
		r = view_readlink(h->view, out->attr.node, &out->target);
	if (r < 0)
		buf_release(&out->target);
	return r < 0 ? r : 1;
}

static int add_point(struct version *v, size_t i)
{
	if (array_reserve(&v->points, &v->cap, v->npoints + 1) < 0)
		return -ENOMEM;
	v->points[v->npoints++] = i;
	return 0;
}

static int add(struct versions *h, size_t point, struct version *found)
{
	size_t i;

	for (i = 0; i < h->n; i++) {
		if (!same_version(&h->versions[i], found))
			continue;
		version_release(found);
		return add_point(&h->versions[i], point);
	}
	if (array_reserve(&h->versions, &h->cap, h->n + 1) < 0) {
		version_release(found);
		return -ENOMEM;
	}
	h->versions[h->n++] = *found;
	return add_point(&h->versions[h->n - 1], point);
}

static int collect_versions(struct versions *h, const char *vm)
{
	uint64_t failures = 0;
	size_t i;

	for (i = h->list->n; i-- > 0;) {
		struct version found;
		int r;

		if (vm && strcmp(h->list->points[i]->vm, vm) != 0)
			continue;
		r = look_up(h, i, &found);
		if (r == 1)
			r = add(h, i, &found);
		if (r == -EIO)
			failures++; /* said in words; other points may tell */
		else if (r < 0)
			return r;
	}
	return failures ? -EIO : 0;
}

static json_t *version_json(struct versions *h, const struct version *v)
{
	json_t *o = json_object(), *points = json_array();
	char name[512];
	size_t i;

	if (listing_json(o, h->view, h->path, strlen(h->path), &v->attr) < 0) {
		json_decref(o);
		json_decref(points);
		return NULL;
	}
	for (i = 0; i < v->npoints; i++) {
		json_t *one = json_object();
		size_t n = v->points[i];

		filter_name(h->list, n, name, sizeof(name));
		output_set_string(one, "point", name);
		output_set_string(one, "point_id", h->list->points[n]->id);
		output_set_time(one, "time", h->list->points[n]->time_ns);
		json_array_append_new(points, one);
	}
	json_object_set_new(o, "points", points);
	return o;
}

static int print_json(struct versions *h)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < h->n; i++) {
		json_t *o = version_json(h, &h->versions[i]);

		if (!o) {
			json_decref(array);
			return -EIO;
		}
		json_array_append_new(array, o);
	}
	return output_json(array);
}

static int print_table(struct versions *h)
{
	static const char *const titles[] = { "Modified", "Size", "Mode",
					      "Points", "Newest" };
	struct table *t = table_new(ARRAY_SIZE(titles), 1 << 1 | 1 << 3);
	char time[OUTPUT_TIME_LEN], mode[OUTPUT_MODE_LEN], name[512];
	size_t i;
	int r;

	if (!t)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(titles); i++)
		table_cell(t, "%s", titles[i]);
	table_line(t);
	for (i = 0; i < h->n; i++) {
		const struct stat *st = &h->versions[i].attr.st;

		filter_name(h->list, h->versions[i].points[0], name,
			    sizeof(name));
		table_cell(t, "%s",
			   output_short_time(st->st_mtim.tv_sec, time));
		table_cell(t, "%jd", (intmax_t)st->st_size);
		table_cell(t, "%s", output_mode(st->st_mode, mode));
		table_cell(t, "%zu", h->versions[i].npoints);
		table_cell(t, "%s:%s", name, h->path);
	}
	r = table_print(t);
	table_free(t);
	return r;
}

/* "VM:PATH", or "PATH" of all machines. A path with '/' in front is one of the
 * machine itself, so it is below files/. */
static int parse(struct versions *h, const char *text, const char **vm,
		 char **path)
{
	AUTO_FREE char *whole = NULL;
	const char *rest;

	*vm = NULL;
	rest = place_machine(h->list, text, vm);
	if (rest)
		text = rest;
	if (asprintf(&whole, "%s%s", text[0] == '/' ? "files" : "", text) < 0) {
		whole = NULL;
		return -ENOMEM;
	}
	*path = place_clean_path(whole);
	return *path ? 0 : -ENOMEM;
}

static int run_versions(struct context *ctx, void *args, int argc, char **argv)
{
	struct versions h = { .ctx = ctx };
	char *path = NULL;
	struct vault *v;
	const char *vm;
	int r, damage;
	size_t i;

	(void)args;
	if (argc != 1)
		return context_usage(ctx, "versions of what? say VM:PATH");
	r = context_open_view(ctx, &v, &h.view);
	if (r < 0)
		return r;
	h.list = view_points(h.view);
	r = parse(&h, argv[0], &vm, &path);
	h.path = path;
	damage = r == 0 ? collect_versions(&h, vm) : r;
	if (damage < 0 && damage != -EIO)
		r = damage;
	else if (h.n == 0 && damage == 0 &&
		 (h.list->ndamaged > 0 || h.list->lacks_commits))
		r = fail(-EBADMSG,
			 "%s is in no point%s%s that can be read, but not all "
			 "points can; see \"vmbackup check\"",
			 path, vm ? " of " : "", vm ? vm : "");
	else if (h.n == 0 && damage == 0)
		r = fail(-ENOENT, "%s is in no point%s%s", path,
			 vm ? " of " : "", vm ? vm : "");
	else
		r = ctx->json ? print_json(&h) : print_table(&h);
	if (r == 0)
		r = damage;
	r = context_read_error(v, r);
	for (i = 0; i < h.n; i++)
		version_release(&h.versions[i]);
	free(h.versions);
	free(path);
	point_list_put(h.list);
	view_free(h.view);
	vault_close(v);
	return r;
}

const struct command cmd_versions = {
	.name = "versions",
	.operands = "[VM:]PATH",
	.summary = "list every distinct version of one path, newest first",
	.help = "PATH is as in the mount (files/etc/passwd) or, with a '/' in"
		" front, as it was on the machine (/etc/passwd). Without a"
		" machine all machines are looked at.",
	.run = run_versions,
};
