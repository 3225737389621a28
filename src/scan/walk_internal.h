/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reading thread of a scan, shared by the files that it is made of:
 *
 *     walk.c          the thread: down into one subdirectory after the other
 *     walk_level.c    the stack of directories on the way down
 *     walk_entry.c    the entries of one directory, and which are wanted
 */
#ifndef SRC_SCAN_WALK_INTERNAL_H
#define SRC_SCAN_WALK_INTERNAL_H

#include "src/scan/internal.h"

/* What is wanted below a directory. */
enum walk_want {
	WANT_NONE,
	WANT_SOURCES, /* only what leads to sources */
	WANT_ALL,
};

/* A subdirectory still to be walked. */
struct walk_sub {
	uint32_t off; /* of its name in walk_level.names */
	uint16_t len;
	uint8_t want; /* enum walk_want */
	bool follow; /* a parent of a source may be a symbolic link */
	const struct source_node *node; /* borrowed; NULL: no source here */
};

/* A directory on the way down. */
struct walk_level {
	struct scan_dir *dir; /* referenced; NULL: closed meanwhile */
	struct walk_sub *subs; /* owned */
	size_t nsubs, cap, next;
	struct buf names; /* of subs */
	size_t key_len, path_len; /* of this directory, in the walk's */
	dev_t dev;
	ino_t ino;
	dev_t fs; /* the filesystem not to leave: that of the source */
	uint8_t want; /* enum walk_want */
	bool follow; /* it may have been reached by a symbolic link */
	bool cache; /* only the tag, and what leads to sources */
	const struct source_node *node; /* borrowed; NULL: no source here */
};

/* The thread's own. */
struct scan_walk {
	struct scan_queue *queue; /* borrowed */
	const struct exclude *exclude; /* borrowed; NULL: none */
	bool exclude_caches, one_file_system;
	const struct source_node *top; /* borrowed */
	struct stat *skip; /* owned */
	size_t nskip;
	dev_t *apart; /* owned; see struct scan_options */
	size_t napart;
	/* directories that may be open: of a batch, and on the way down */
	size_t batch_dirs, open_levels;
	struct scan_batch *batch; /* being filled; borrowed; NULL: none */
	struct walk_level *levels; /* owned */
	size_t nlevels, cap;
	struct buf key, path; /* of the directory being walked */
	struct dir_list list; /* of the directory being walked */
	char **left; /* owned; directories that were not entered */
	size_t nleft, left_cap;
};

/* ---- entries ---- */

/*
 * Make a place for the entry @name of @d (NULL: "/" itself) in the batch. The
 * caller fills in the rest; it is good until the next call.
 * Return 0, -ECANCELED (the caller of the scan stopped) or -ENOMEM.
 */
MUST_CHECK int walk_rec_new(struct scan_walk *w, struct scan_dir *d,
			    const char *name, size_t len,
			    struct scan_rec **out);
/*
 * Report that directory @name, whose parent has the first @key_len and
 * @path_len bytes of the walk's key and path, was not read, or not wholly.
 * Return as above.
 */
MUST_CHECK int walk_put_dir_error(struct scan_walk *w, size_t key_len,
				  size_t path_len, const char *name, size_t len,
				  int error);
/* Hand out the names in w->list, which are those of @lev, and those of sources
 * there, whether they were read or not; note the subdirectories that are to be
 * walked. Return as above. */
MUST_CHECK int walk_put_entries(struct scan_walk *w, struct walk_level *lev);
/* Whether @st is a directory never to be walked. */
bool walk_is_skipped(const struct scan_walk *w, const struct stat *st);
/* Remember that the directory @name of the one being walked ("": that one) is
 * not entered. Return 0 or -ENOMEM. */
MUST_CHECK int walk_leave_out(struct scan_walk *w, const char *name);

/* ---- levels ---- */

void walk_level_release(struct walk_level *lev);
/*
 * Open the directory @name of @parent (NULL: of nothing, "/") that @lev is to
 * be; the walk's key and path are already its own.
 * Return 0, 1 (it is not to be walked after all) or a negative errno.
 */
MUST_CHECK int walk_level_open(struct scan_walk *w,
			       const struct walk_level *parent,
			       const char *name, struct walk_level *lev);
/* Put @lev on the stack, which takes it over, after failure too; another one
 * further up may be closed for it. Return 0 or -ENOMEM. */
MUST_CHECK int walk_level_push(struct scan_walk *w, struct walk_level *lev);
/* Make sure that the top of the stack is open. Return 0, -ESTALE (it is another
 * directory now) or another negative errno. */
MUST_CHECK int walk_level_need(struct scan_walk *w);
/* The name of level @i, which is not 0, with a NUL. */
void walk_level_name(const struct scan_walk *w, size_t i,
		     char out[SCAN_NAME_MAX + 1]);

#endif
