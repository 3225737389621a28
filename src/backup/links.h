/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files with several names: the first name met is read, the others take what it
 * found. One thread.
 */
#ifndef SRC_BACKUP_LINKS_H
#define SRC_BACKUP_LINKS_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <sys/stat.h>

struct links;

struct link {
	struct link *next; /* in its bucket */
	dev_t dev;
	ino_t ino;
	nlink_t left; /* names not in the tree yet, as far as is known */
	size_t held; /* slots that point here */
	/* the first name was added to the tree: what follows is set */
	bool known;
	bool failed; /* it could not be read */
	bool has_acl, partial;
	struct stat st;
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
/* One name was added: give the file back; forgotten after the last one. */
void links_done(struct links *l, struct link *k);

#endif
