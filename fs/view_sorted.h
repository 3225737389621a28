/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A directory of the namespace, whole and in the order of its names' bytes, for
 * those that compare or replace: a filesystem in a disk lists its names in an
 * order of its own.
 */
#ifndef FS_VIEW_SORTED_H
#define FS_VIEW_SORTED_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct view;

#define VIEW_DIR_MAX (64u << 20) /* names */

struct view_name {
	uint64_t node;
	uint64_t off; /* of the name, with its NUL, in text */
	uint32_t mode; /* type alone where it is damaged */
	uint16_t len;
	bool damaged : 1;
	bool skipped : 1; /* a walk does not enter it */
	uint8_t mark; /* of the caller of a walk */
};

struct view_sorted {
	struct view_name *names; /* owned */
	size_t n, cap;
	struct buf text;
	uint64_t lost; /* names twice, names that cannot be, the unread rest */
};

/* Read all of @node into @d, which is empty. If something of it is lost, that is
 * counted, and said in words with @path. Return 0 or a negative errno (-EIO:
 * nothing could be read). */
MUST_CHECK int view_sorted_read(struct view_sorted *d, struct view *w,
				uint64_t node, const char *path);
void view_sorted_release(struct view_sorted *d);

static inline const char *view_sorted_name(const struct view_sorted *d,
					   const struct view_name *n)
{
	return (const char *)d->text.data + n->off;
}

#endif
