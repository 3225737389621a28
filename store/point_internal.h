/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The bounds of a point, which its own files share. */
#ifndef STORE_POINT_INTERNAL_H
#define STORE_POINT_INTERNAL_H

#include "store/point.h"

#define POINT_FORMAT 1
#define POINT_DOC_MAX (16u << 20)
#define POINT_DEPTH_MAX 32
#define POINT_TAGS_MAX 1000
#define POINT_SOURCES_MAX 100000
/* Of patterns, and of directories that were not entered. */
#define POINT_LEFT_OUT_MAX 100000
#define POINT_PATH_MAX 65535
#define POINT_TEXT_MAX 1024 /* of host, user, program */
/* A disk or config file has a shorter name, for the mount puts ".raw" or a
 * partition behind it. */
#define POINT_MEMBER_NAME_MAX 200

/* "2026-11-22T10:15:00Z" and NUL. */
#define POINT_RFC3339_LEN 21
void point_time_rfc3339(int64_t time_ns, char out[POINT_RFC3339_LEN]);

/* Whether @text begins with @len hexadecimal digits in small letters. */
bool point_hex_ok(const char *text, size_t len);
/* Sort the points of a new list and give them their names. Return 0 or -ENOMEM. */
MUST_CHECK int point_list_finish(struct point_list *l);
/* Sort the tags and drop the second of two alike. */
void point_sort_tags(struct point *p);
/* Return what is wrong with a point, in words; NULL where nothing is. */
const char *point_check(const struct point *p);

#endif
