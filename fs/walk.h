/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A walk over the namespace, from a directory down: the only one that there is.
 *
 * It hands out events, one a call, so that the caller keeps the loop and two
 * walks can go along each other:
 *
 *     WALK_ENTER "a"   WALK_ENTRY "a/x"   WALK_ENTRY "a/y"   WALK_LEAVE "a"
 *
 * The top directory is entered and left, too. An entry comes before it is
 * entered, so that the caller can say walk_skip().
 *
 * A filesystem in a disk is hostile. Its directories may lead in circles, or to
 * one directory on very many ways, or be nested without an end. Therefore a
 * directory in a volume is entered once only, however many names it has, and
 * no directory deeper than WALK_DEPTH_MAX is. Everything else in the namespace
 * is a tree by construction.
 */
#ifndef FS_WALK_H
#define FS_WALK_H

#include "fs/guest/node_set.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct view;
struct view_attr;
struct view_sorted;
struct walk_level;

#define WALK_DEPTH_MAX 65536 /* directories in one another */

enum walk_order {
	/* In the order in which directories list their names, each directory
	 * followed by what it holds. Attributes come along. Memory grows with
	 * the depth, and by 16 bytes for each directory of a volume. */
	WALK_AS_LISTED,
	/* The same in the order of the names' bytes, so that two walks can be
	 * compared. A directory is held in memory while it is walked. */
	WALK_BY_NAME,
	/* By name, too, but all entries of a directory come first, and then,
	 * one after the other, the directories among them. */
	WALK_ENTRIES_FIRST,
};

enum walk_event {
	WALK_END, /* nothing is left */
	WALK_ENTRY, /* a name in the directory that was entered last */
	WALK_ENTER, /* a directory: its entries follow */
	WALK_LEAVE, /* the directory whose entries these were */
	WALK_REFUSED, /* a directory that is not entered, as said above */
};

/* What an event is about. The pointers are valid until the next event. */
struct walk_entry {
	const char *path; /* with a NUL behind it */
	size_t path_len;
	const char *name; /* the end of path; "" after WALK_LEAVE */
	size_t name_len;
	size_t depth; /* 0: the top directory, 1: a name in it */
	uint64_t node;
	uint32_t mode; /* of a damaged one and by name, its type alone */
	bool damaged; /* its inode is; it is never entered */
	/* WALK_AS_LISTED: the attributes of a WALK_ENTRY. Else NULL: ask
	 * view_getattr(). */
	const struct view_attr *attr;
	/* By name: entries are numbered from 0 in the order of directories and
	 * names. A second walk that enters the same directories gives the same
	 * numbers. */
	uint64_t rank;
	uint8_t *mark; /* by name: the caller's, kept until it was left; 0 */
	/* WALK_ENTER by name: the whole directory. */
	const struct view_sorted *dir;
	/* WALK_ENTER by name: 0, or why its entries are not all here.
	 * WALK_REFUSED: why. A negative errno. */
	int error;
};

struct walk {
	struct view *view; /* borrowed */
	enum walk_order order;
	/* Directories that could not be read whole, or were refused. Each was
	 * said in words. */
	uint64_t failures;
	uint64_t nranks; /* numbers given to entries so far */
	struct walk_entry entry; /* of the last event */
	/* The rest is the walk's own. */
	struct buf path; /* with a NUL behind it that does not count */
	struct walk_level *levels; /* owned */
	size_t nlevels, cap;
	struct node_set seen; /* directories of volumes */
	uint64_t next_dir; /* to be entered at the next call; 0: none */
	bool may_skip; /* the last event was an entry or a directory entered */
	bool entered; /* it was a directory entered */
};

/*
 * Begin at directory @node, whose path is @path: "" or a path that "/NAME" is
 * put behind. Return 0 or -ENOMEM. Release it in every case.
 */
MUST_CHECK int walk_begin(struct walk *w, struct view *view,
			  enum walk_order order, const char *path,
			  uint64_t node);
void walk_release(struct walk *w);

/*
 * Go on to the next event, and set w->entry. Directories that cannot be read do not end the walk:
 * that is said in words and counted.
 * Return an enum walk_event, or -ENOMEM. May block on the vault.
 */
MUST_CHECK int walk_next(struct walk *w);
/* After WALK_ENTRY: do not enter this directory. After WALK_ENTER: go on behind
 * it, without a WALK_LEAVE. */
void walk_skip(struct walk *w);

#endif
