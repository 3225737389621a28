/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/place.h"
#include "fs/view.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/diff.h"
#include "src/cmd/filter.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"

struct args {
	bool metadata, content;
};

static const struct option_row rows[] = {
	OPT_FLAG("metadata", 0, struct args, metadata,
		 "show what changed in owner, mode, times or attributes only"),
	OPT_FLAG("content", 0, struct args, content,
		 "in volumes: read files of equal size and times too, and"
		 " compare them"),
	OPT_END
};

/* Does the entry stand at the path asked for, or below it? */
static bool in_place(const struct diff *d, const uint8_t *key, size_t len,
		     const struct entry *e)
{
	const struct buf *dir = &d->place_dir, *place = &d->place_key;

	if (!d->place_name)
		return true;
	if (len >= place->len && !memcmp(key, place->data, place->len))
		return true;
	return len == dir->len && (len == 0 || !memcmp(key, dir->data, len)) &&
	       e->name_len == strlen(d->place_name) &&
	       !memcmp(e->name, d->place_name, e->name_len);
}

static bool same_bytes(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && (a_len == 0 || !memcmp(a, b, a_len));
}

/* Of an entry without any of it nothing is known; and when a file was made
 * says no more than that it was made anew. */
static bool same_extra(const struct entry *a, const struct entry *b)
{
	struct entry_extra x, y;

	if (!(a->flags & b->flags & ENTRY_EXTRA))
		return true;
	entry_extra_get(a, &x);
	entry_extra_get(b, &y);
	return x.inode_flags == y.inode_flags && x.project == y.project;
}

static bool same_metadata(const struct entry *a, const struct entry *b)
{
	bool xattrs;

	if ((a->flags ^ b->flags) & (ENTRY_XATTRS | ENTRY_XATTRS_CHUNK))
		return false;
	xattrs = a->flags & ENTRY_XATTRS_CHUNK
			 ? id_equal(&a->xattrs_id, &b->xattrs_id)
			 : same_bytes(a->xattrs, a->xattrs ? a->xattrs_len : 0,
				      b->xattrs, b->xattrs ? b->xattrs_len : 0);
	return xattrs && same_extra(a, b) && a->mode == b->mode &&
	       a->uid == b->uid && a->gid == b->gid && a->nlink == b->nlink &&
	       a->mtime.sec == b->mtime.sec && a->mtime.nsec == b->mtime.nsec;
}

/* '+', '-', 'T' type, 'M' content, 'U' metadata, 0 nothing that counts. */
static char modifier(const struct entry *a, const struct entry *b)
{
	if (!a)
		return '+';
	if (!b)
		return '-';
	if ((a->mode ^ b->mode) & S_IFMT)
		return 'T';
	if (!same_bytes(a->content, a->content_len, b->content,
			b->content_len) ||
	    (S_ISREG(a->mode) && a->size != b->size) ||
	    !same_bytes(a->target, a->target_len, b->target, b->target_len) ||
	    a->rdev_major != b->rdev_major || a->rdev_minor != b->rdev_minor)
		return 'M';
	return same_metadata(a, b) ? 0 : 'U';
}

/* "files/etc/passwd", as "POINT:" takes it. */
static int make_path(struct buf *out, const uint8_t *key, size_t key_len,
		     const struct entry *e)
{
	buf_put(out, "files", 5);
	tree_key_path(out, key, key_len);
	if (e->name_len && out->len && out->data[out->len - 1] != '/')
		buf_put_u8(out, '/');
	buf_put(out, e->name, e->name_len);
	if (S_ISDIR(e->mode) && e->name_len)
		buf_put_u8(out, '/');
	return buf_error(out);
}

static int on_change(void *arg, const uint8_t *key, size_t key_len,
		     const struct entry *a, const struct entry *b)
{
	struct buf path AUTO_BUF = BUF_INIT;
	const struct entry *e = b ? b : a;
	struct diff_change c;
	struct diff *d = arg;
	char m = modifier(a, b);
	int r;

	if (!m || !in_place(d, key, key_len, e))
		return 0;
	r = make_path(&path, key, key_len, e);
	if (r < 0)
		return r;
	c = (struct diff_change){ .modifier = m, .path = &path };
	if (a)
		c.before = &a->size;
	if (b)
		c.after = &b->size;
	c.mode = e->mode;
	return diff_report_change(d, &c);
}

static void set_counts(json_t *o, const char *key, const struct diff_counts *c)
{
	json_t *one = json_object();

	output_set_uint(one, "files", c->files);
	output_set_uint(one, "dirs", c->dirs);
	output_set_uint(one, "others", c->others);
	output_set_uint(one, "bytes", c->bytes);
	json_object_set_new(o, key, one);
}

static int print_summary(const struct diff *d, const char *a, const char *b)
{
	char added[OUTPUT_SIZE_LEN], removed[OUTPUT_SIZE_LEN];
	json_t *o;

	if (d->ctx->json) {
		o = output_message("statistics");
		output_set_string(o, "source_snapshot", a);
		output_set_string(o, "target_snapshot", b);
		output_set_uint(o, "changed_files", d->changed_files);
		output_set_uint(o, "changed_metadata", d->changed_metadata);
		output_set_uint(o, "changed_types", d->changed_types);
		set_counts(o, "added", &d->added);
		set_counts(o, "removed", &d->removed);
		return output_json(o);
	}
	if (d->ctx->quiet)
		return 0;
	printf("\nFiles:    %5" PRIu64 " new, %5" PRIu64 " removed, %5" PRIu64
	       " changed\n",
	       d->added.files, d->removed.files, d->changed_files);
	printf("Dirs:     %5" PRIu64 " new, %5" PRIu64 " removed\n",
	       d->added.dirs, d->removed.dirs);
	printf("Others:   %5" PRIu64 " new, %5" PRIu64 " removed\n",
	       d->added.others, d->removed.others);
	printf("Metadata: %5" PRIu64 " changed, %5" PRIu64 " other types\n",
	       d->changed_metadata, d->changed_types);
	printf("  Added:   %s\n  Removed: %s\n",
	       output_size(d->added.bytes, added),
	       output_size(d->removed.bytes, removed));
	return output_error();
}

/* Restrict to "/..." in the trees. */
static int set_place(struct diff *d, const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = NULL;

	if (!slash)
		return 0;
	d->place_name = slash + 1;
	if (tree_path_key(&d->place_key, path) < 0)
		return context_usage(d->ctx, "\"%s\" cannot be a path", path);
	dir = strndup(path, (size_t)(slash - path));
	return dir ? tree_path_key(&d->place_dir, dir) : -ENOMEM;
}

/* All of the one tree that there is was added, or removed. */
static int report_tree(struct diff *d, struct vault *v, const struct point *p,
		       bool added)
{
	struct cursor c = { .leaf = NULL };
	int r = tree_seek(v, &p->root, NULL, 0, "", 0, &c);

	while (r == 0) {
		const uint8_t *key;
		struct entry e;
		size_t len;

		key = cursor_dirkey(&c, &len);
		cursor_entry(&c, &e);
		r = on_change(d, key, len, added ? NULL : &e,
			      added ? &e : NULL);
		if (r == 0)
			r = cursor_next(&c);
	}
	cursor_release(&c);
	return r == -ENOENT ? 0 : r;
}

static int compare_trees(struct diff *d, struct vault *v, const struct point *a,
			 const struct point *b, bool asked)
{
	if (a->has_tree && b->has_tree)
		return tree_diff(v, &a->root, &b->root, on_change, d);
	if (a->has_tree || b->has_tree)
		return report_tree(d, v, a->has_tree ? a : b, b->has_tree);
	if (asked)
		return fail(-ENOENT, "neither %s nor %s has files", d->a_name,
			    d->b_name);
	return 0;
}

/* What is at the path of @at in both points; of a whole point, all that points
 * hold themselves. */
static int compare_at(struct diff *d, struct vault *v, struct view *w,
		      const struct point *a, const struct point *b,
		      const struct place *at)
{
	int r;

	switch (at->kind) {
	case PLACE_FILES:
		r = set_place(d, at->path + strlen("files"));
		return r < 0 ? r : compare_trees(d, v, a, b, true);
	case PLACE_VOLUMES:
		return diff_view(d, w, a, b, at->path);
	case PLACE_DISKS:
	case PLACE_CONFIG:
		return diff_disks(d, v, a, b, at->path);
	case PLACE_POINT:
		r = compare_trees(d, v, a, b, false);
		return r < 0 ? r : diff_disks(d, v, a, b, "");
	default:
		return context_usage(d->ctx,
				     "diff compares files, volumes, disks"
				     " and config files: say POINT or"
				     " POINT:files/PATH, not \"%s\"",
				     at->path);
	}
}

/* A path is said once, for both points, or twice and the same. */
static int compare(struct diff *d, struct vault *v, struct view *w, char **argv)
{
	struct point_list *l = view_points(w);
	struct place a = { 0 }, b = { 0 };
	int r = place_parse(l, argv[0], &a);

	if (r == 0)
		r = place_parse(l, argv[1], &b);
	if (r == 0 && *a.path && *b.path && strcmp(a.path, b.path) != 0)
		r = context_usage(d->ctx, "one path for both points");
	if (r < 0)
		goto out;
	filter_name(l, a.index, d->a_name, sizeof(d->a_name));
	filter_name(l, b.index, d->b_name, sizeof(d->b_name));
	r = compare_at(d, v, w, a.point, b.point, *a.path ? &a : &b);
	if (r == 0)
		r = print_summary(d, d->a_name, d->b_name);
	if (r == 0 && d->failures)
		r = EXIT_CODE_PARTIAL;
out:
	place_release(&a);
	place_release(&b);
	point_list_put(l);
	return r;
}

static int run_diff(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	struct diff d = { .ctx = ctx,
			  .metadata = a->metadata,
			  .content = a->content };
	struct vault *v;
	struct view *w;
	int r;

	if (argc != 2)
		return context_usage(ctx, "diff takes two points");
	r = context_open_view(ctx, &v, &w);
	if (r == 0) {
		r = context_read_error(v, compare(&d, v, w, argv));
		view_free(w);
		vault_close(v);
	}
	buf_release(&d.place_dir);
	buf_release(&d.place_key);
	return r;
}

const struct command cmd_diff = {
	.name = "diff",
	.operands = "POINT[:PATH] POINT[:PATH]",
	.summary = "show what differs between two points",
	.help = "Each line begins with + (new), - (removed), M (content"
		" changed), T (type changed) or, with --metadata, U (owner,"
		" mode, time, links or attributes changed). Unchanged parts of"
		" the trees are not read. Two points are compared by their"
		" files, disks and config files;\nPOINT:volumes/NAME compares"
		" the files inside a disk.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_diff,
};
