/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cmd/listing.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/attr.h"
#include "fs/view.h"
#include "src/cli/output.h"
#include "store/entry.h"
#include "store/point.h"

void listing_point_name(struct view *w, const struct point *p, struct buf *out)
{
	struct point_list *l = view_points(w);
	size_t i;

	for (i = 0; i < l->n; i++)
		if (!strcmp(l->points[i]->id, p->id))
			break;
	if (i < l->n)
		buf_printf(out, "%s/%s", p->vm, l->names[i]);
	else
		buf_printf(out, "%s", p->id);
	point_list_put(l);
}

/* What stat(2) does not tell, where it is known. */
static int set_extra(json_t *o, struct view *w, uint64_t node)
{
	struct buf flags AUTO_BUF = BUF_INIT;
	char text[OUTPUT_TIME_LEN];
	struct entry_extra x;
	int r = view_extra(w, node, &x);

	if (r < 0)
		return r;
	if (x.has_birth)
		output_set_string(o, "btime",
				  output_timespec(x.birth.sec, x.birth.nsec,
						  text));
	attr_put_flags(&flags, x.inode_flags);
	if (flags.len > 0)
		output_set_bytes(o, "flags", flags.data, flags.len);
	if (x.project)
		output_set_uint(o, "project", x.project);
	return buf_error(&flags);
}

int listing_json(json_t *o, struct view *w, const char *path, size_t path_len,
		 const struct view_attr *attr)
{
	const struct stat *st = &attr->st;
	const char *slash = memrchr(path, '/', path_len);
	const char *name = slash ? slash + 1 : path;
	struct buf target AUTO_BUF = BUF_INIT;
	char text[OUTPUT_TIME_LEN];
	int r;

	output_set_bytes(o, "name", name, (size_t)(path + path_len - name));
	output_set_string(o, "type", output_type(st->st_mode));
	output_set_bytes(o, "path", path, path_len);
	output_set_uint(o, "uid", st->st_uid);
	output_set_uint(o, "gid", st->st_gid);
	output_set_uint(o, "size", (uint64_t)st->st_size);
	output_set_uint(o, "blocks", (uint64_t)st->st_blocks);
	output_set_uint(o, "mode", st->st_mode);
	output_set_string(o, "permissions", output_mode(st->st_mode, text));
	output_set_string(o, "mtime",
			  output_timespec(st->st_mtim.tv_sec,
					  (uint32_t)st->st_mtim.tv_nsec, text));
	output_set_string(o, "ctime",
			  output_timespec(st->st_ctim.tv_sec,
					  (uint32_t)st->st_ctim.tv_nsec, text));
	output_set_uint(o, "inode", st->st_ino);
	output_set_uint(o, "links", st->st_nlink);
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)) {
		output_set_uint(o, "major", major(st->st_rdev));
		output_set_uint(o, "minor", minor(st->st_rdev));
	}
	r = set_extra(o, w, attr->node);
	if (r < 0 || !S_ISLNK(st->st_mode))
		return r;
	r = view_readlink(w, attr->node, &target);
	if (r < 0)
		return r;
	output_set_bytes(o, "linktarget", target.data, target.len);
	return 0;
}

int listing_long(struct view *w, const char *path, size_t path_len,
		 const struct view_attr *attr)
{
	const struct stat *st = &attr->st;
	struct buf target AUTO_BUF = BUF_INIT;
	char mode[OUTPUT_MODE_LEN], time[OUTPUT_TIME_LEN], size[32];
	int r = 0;

	if (S_ISLNK(st->st_mode))
		r = view_readlink(w, attr->node, &target);
	if (r < 0)
		return r;
	if (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode))
		snprintf(size, sizeof(size), "%u,%u", major(st->st_rdev),
			 minor(st->st_rdev));
	else
		snprintf(size, sizeof(size), "%jd", (intmax_t)st->st_size);
	printf("%s %3ju %5ju %5ju %12s %s ", output_mode(st->st_mode, mode),
	       (uintmax_t)st->st_nlink, (uintmax_t)st->st_uid,
	       (uintmax_t)st->st_gid, size,
	       output_short_time(st->st_mtim.tv_sec, time));
	output_name(stdout, path, path_len);
	if (S_ISLNK(st->st_mode)) {
		fputs(" -> ", stdout);
		output_name(stdout, target.data, target.len);
	}
	fputc('\n', stdout);
	return output_error();
}
