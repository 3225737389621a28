/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A point made anew without what should never have been stored: its machine, time,
 * tags, disks and the notes that hold for it, too, are those of the old one, which
 * stays. What was left out is deleted by a collection once no point has it any more.
 */
#ifndef STORE_REPAIR_REWRITE_H
#define STORE_REPAIR_REWRITE_H

#include "store/base/attrs.h"
#include "store/point.h"

struct task;

struct rewrite_options {
	bool apply; /* else it is a dry run */
	int level, disk_level; /* of compression, as writer_begin() */
	const char *tag; /* for the new point, too; may be NULL; borrowed */
	const char *by; /* who does it, "root@web1"; may be NULL; borrowed */
	/* Is an absolute path to be left out, and, of a directory, all below it? */
	bool (*excludes)(void *arg, const char *path, bool is_dir);
	void *excludes_arg;
	/* What that goes by, to be noted in the point; borrowed. */
	const struct point_pattern *patterns;
	size_t npatterns;
	/* Called with each path that is left out, "files/etc/shadow"; of a
	 * directory with its own and all below it. May be NULL. */
	void (*left_out)(void *arg, const char *path);
	void *left_out_arg;
};

struct rewrite_result {
	uint64_t excluded; /* entries; 0: the point is as it should be */
	uint64_t excluded_bytes; /* of files among them, as they were */
	char id[POINT_ID_HEX + 1]; /* of the new point, "" where none is made */
	bool was_made; /* by an earlier run that ended behind that */
};

/*
 * Make a point of @p, which is of a list. Return 0; -EBADMSG (something of @p is
 * lost: repair_points() comes first); -EINTR; or another negative errno; said in
 * words.
 */
MUST_CHECK int rewrite_point(struct vault *v, const struct point *p,
			     const struct rewrite_options *o, struct task *task,
			     struct rewrite_result *out);

#endif
