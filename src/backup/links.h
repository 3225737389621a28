/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files with several names: the first name met is read, the others take what it
 * found. One thread.
 *
 * A file is remembered until all its names were met, and there may be millions
 * whose other names come last. So what the first name found is packed: of a
 * file of one chunk it takes 80 bytes, and the rest of the record 60.
 */
#ifndef SRC_BACKUP_LINKS_H
#define SRC_BACKUP_LINKS_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <sys/stat.h>

struct link;
struct links;

/* What the first name of a file found. */
struct link_found {
	bool failed; /* it could not be read; nothing else is set then */
	bool has_acl, partial;
	struct stat st; /* owner, permissions, size, links, mtime, ctime */
	struct buf xattrs, extra, content;
};

MUST_CHECK struct links *links_new(void);
void links_free(struct links *l);
/*
 * The file of @st, held once more; *first_out: it was not met before. NULL
 * when memory is out. There may be more names than st_nlink said: one made
 * meanwhile, a directory that is mounted twice.
 */
MUST_CHECK struct link *links_find(struct links *l, const struct stat *st,
				   bool *first_out);
/* Note what the first name found, once. Return 0 or -ENOMEM. */
MUST_CHECK int link_set(struct link *k, const struct link_found *f);
/* Tell what it found: the members of @f that it has are replaced, the buffers'
 * bytes too. Return 0 or -ENOMEM. */
MUST_CHECK int link_get(const struct link *k, struct link_found *f);
/* One name was added: give the file back; forgotten after the last one. */
void links_done(struct links *l, struct link *k);

#endif
