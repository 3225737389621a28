/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/cmd.h"
#include "src/output.h"
#include "src/points.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"

struct args {
	bool metadata;
};

static const struct option_row rows[] = {
	OPT_FLAG("metadata", 0, struct args, metadata,
		 "show what changed in owner, mode, times or attributes only"),
	OPT_END
};

struct counts {
	uint64_t files, dirs, others, bytes;
};

struct diff {
	struct cmd_context *ctx;
	bool metadata;
	struct buf place_dir; /* key of the directory that holds the path */
	struct buf place_key; /* key of the path, were it a directory */
	const char *place_name; /* its last component; NULL: everything */
	struct counts added, removed;
	uint64_t changed_files, changed_metadata, changed_types;
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

static bool same_metadata(const struct entry *a, const struct entry *b)
{
	bool xattrs;

	if ((a->flags ^ b->flags) & (ENTRY_XATTRS | ENTRY_XATTRS_CHUNK))
		return false;
	xattrs = a->flags & ENTRY_XATTRS_CHUNK
			 ? id_equal(&a->xattrs_id, &b->xattrs_id)
			 : same_bytes(a->xattrs, a->xattrs ? a->xattrs_len : 0,
				      b->xattrs, b->xattrs ? b->xattrs_len : 0);
	return xattrs && a->mode == b->mode && a->uid == b->uid &&
	       a->gid == b->gid && a->nlink == b->nlink &&
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

static void count(struct counts *c, const struct entry *e)
{
	if (S_ISDIR(e->mode)) {
		c->dirs++;
	} else if (S_ISREG(e->mode)) {
		c->files++;
		c->bytes += e->size;
	} else {
		c->others++;
	}
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

static int print_change(const struct diff *d, char m, const struct buf *path,
			const struct entry *a, const struct entry *b)
{
	char text[2] = { m, 0 };
	json_t *o;

	if (d->ctx->json) {
		o = output_message("change");
		output_set_bytes(o, "path", path->data, path->len);
		output_set_string(o, "modifier", text);
		if (a)
			output_set_uint(o, "size_before", a->size);
		if (b)
			output_set_uint(o, "size_after", b->size);
		return output_json(o);
	}
	printf("%c    ", m);
	output_name(stdout, path->data, path->len);
	putchar('\n');
	return output_error();
}

static int on_change(void *arg, const uint8_t *key, size_t key_len,
		     const struct entry *a, const struct entry *b)
{
	struct buf path AUTO_BUF = BUF_INIT;
	const struct entry *e = b ? b : a;
	struct diff *d = arg;
	char m = modifier(a, b);
	int r;

	if (!m || !in_place(d, key, key_len, e))
		return 0;
	if (m == 'U') {
		d->changed_metadata++;
		if (!d->metadata)
			return 0;
	}
	if (m == '+')
		count(&d->added, b);
	else if (m == '-')
		count(&d->removed, a);
	else if (m == 'M')
		d->changed_files++;
	else if (m == 'T')
		d->changed_types++;
	r = make_path(&path, key, key_len, e);
	if (r < 0)
		return r;
	return print_change(d, m, &path, a, b);
}

static void set_counts(json_t *o, const char *key, const struct counts *c)
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

/* Restrict to "files/..." or "/..." behind the colon. */
static int set_place(struct diff *d, char *path)
{
	char *slash;

	while (*path == '/')
		path++;
	if (!strncmp(path, "files", 5) && (path[5] == '/' || !path[5]))
		path += 5;
	else if (*path)
		return cmd_usage(d->ctx,
				 "diff compares files: say POINT or"
				 " POINT:files/PATH, not \"%s\"",
				 path);
	while (*path && path[strlen(path) - 1] == '/')
		path[strlen(path) - 1] = 0;
	slash = strrchr(path, '/');
	if (!slash)
		return 0;
	d->place_name = slash + 1;
	if (tree_path_key(&d->place_key, path) < 0)
		return cmd_usage(d->ctx, "\"%s\" cannot be a path", path);
	*slash = 0;
	return tree_path_key(&d->place_dir, path);
}

static int find_point(const struct point_list *l, const char *text, char *name,
		      size_t size, const struct point **out)
{
	size_t i;
	int r = point_find(l, text, &i);

	if (r < 0)
		return r;
	*out = l->points[i];
	points_name(l, i, name, size);
	if (!(*out)->has_tree)
		return fail(-ENOENT, "%s has no files to compare", name);
	return 0;
}

static int compare(struct diff *d, struct vault *v, char **argv)
{
	const struct point *a, *b;
	struct point_list *l;
	char a_name[512], b_name[512];
	int r;

	r = vault_points(v, &l);
	if (r < 0)
		return r;
	r = find_point(l, argv[0], a_name, sizeof(a_name), &a);
	if (r == 0)
		r = find_point(l, argv[1], b_name, sizeof(b_name), &b);
	if (r == 0)
		r = tree_diff(v, &a->root, &b->root, on_change, d);
	if (r == 0)
		r = print_summary(d, a_name, b_name);
	point_list_put(l);
	return r;
}

static int run(struct cmd_context *ctx, void *args, int argc, char **argv)
{
	struct diff d = { .ctx = ctx,
			  .metadata = ((struct args *)args)->metadata };
	char *paths[2] = { NULL, NULL }, *path;
	struct vault *v;
	int r = 0, i;

	if (argc != 2)
		return cmd_usage(ctx, "diff takes two points");
	for (i = 0; i < 2; i++) {
		paths[i] = strchr(argv[i], ':');
		if (paths[i])
			*paths[i]++ = 0;
	}
	if (paths[0] && paths[1] && strcmp(paths[0], paths[1]) != 0)
		return cmd_usage(ctx, "one path for both points");
	path = paths[0] ? paths[0] : paths[1];
	if (path)
		r = set_place(&d, path);
	if (r == 0)
		r = cmd_open_vault(ctx, &v);
	if (r == 0) {
		r = cmd_read_error(v, compare(&d, v, argv));
		vault_close(v);
	}
	buf_release(&d.place_dir);
	buf_release(&d.place_key);
	return r;
}

const struct command cmd_diff = {
	.name = "diff",
	.operands = "POINT[:PATH] POINT[:PATH]",
	.summary = "show what differs between the files of two points",
	.help = "Each line begins with + (new), - (removed), M (content"
		" changed), T (type changed) or, with --metadata, U (owner,"
		" mode, time, links or attributes changed). Unchanged parts of"
		" the trees are not read.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run,
};
