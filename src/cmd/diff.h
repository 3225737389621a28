/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the halves of "diff" share: diff.c (the verb; trees), diff_view.c
 * (the files inside disks), diff_disks.c (disks and config files).
 */
#ifndef SRC_CMD_DIFF_H
#define SRC_CMD_DIFF_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct context;
struct point;
struct vault;
struct view;

struct diff_counts {
	uint64_t files, dirs, others, bytes;
};

struct diff {
	struct context *ctx;
	bool metadata; /* report those that changed in nothing else */
	bool content; /* do not trust times */
	char a_name[512], b_name[512]; /* of the points */
	struct buf place_dir; /* key of the directory that holds the path */
	struct buf place_key; /* key of the path, were it a directory */
	const char *place_name; /* its last component; NULL: everything */
	struct diff_counts added, removed;
	uint64_t changed_files, changed_metadata, changed_types;
	uint64_t failures; /* things that could not be read */
};

/* '+', '-', 'T' type, 'M' content, 'U' metadata. */
struct diff_change {
	char modifier;
	const struct buf *path; /* "files/etc/passwd", as "POINT:" takes it */
	const uint64_t *before, *after; /* sizes; NULL: it is not there */
	const uint64_t *changed; /* bytes; NULL: unknown */
	uint32_t mode; /* of what is there */
};

/* Count and print it. Return 0 or a negative errno. */
MUST_CHECK int diff_report_change(struct diff *d, const struct diff_change *c);
/* Compare @path, "volumes" or below. The same; errors said in words. */
MUST_CHECK int diff_view(struct diff *d, struct view *w, const struct point *a,
			 const struct point *b, const char *path);
/* Compare "disks" or "disks/<name>.raw", "config" or "config/<name>", or, with
 * an empty path, all of them. */
MUST_CHECK int diff_disks(struct diff *d, struct vault *v,
			  const struct point *a, const struct point *b,
			  const char *path);

#endif
