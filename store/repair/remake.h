/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A point made anew from another one, without some of what is in it: what cannot be
 * had, or what is not wanted. Its tree is gone through once in the order of its keys,
 * in bounded memory, once to see what would become of it, once to make it.
 */
#ifndef STORE_REPAIR_REMAKE_H
#define STORE_REPAIR_REMAKE_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"
#include "store/base/idset.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point;
struct point_pattern;
struct survey;
struct tree_builder;
struct writer;

/* The place of a directory whose entry is lost. */
struct lost_dir {
	uint8_t *
		key; /* of the directory that it stands in, then its name; owned */
	size_t key_len, name_len;
};

struct remake {
	/* What the caller sets: */
	struct survey *survey; /* says which chunks can be had */
	const struct point *point; /* the old one */
	struct writer *writer; /* NULL: to see what would become of it */
	bool relies; /* the session may take over what the point has, unseen */
	/* Is an absolute path to be left out? NULL: none is. */
	bool (*excludes)(void *arg, const char *path, bool is_dir);
	void *excludes_arg;
	/* Nodes below which all can be had, or NULL; in them nothing is looked
	 * at. For who only looks. */
	const struct idset *clean;
	/* Called with each path that is not in the new point: "files/etc/passwd". */
	void (*left_out)(void *arg, const char *path);
	void *left_out_arg;

	/* What becomes of it: */
	struct id root; /* of the new tree, where there is a session */
	uint64_t entries, files, bytes; /* that are in it */
	uint64_t
		lost; /* files, disks, lists of attributes that cannot be had */
	uint64_t lost_nodes; /* with them an unknown number of entries */
	uint64_t excluded,
		excluded_bytes; /* entries; of the files among them */
	bool *drops_disk, *drops_config; /* owned; one for each */

	/* On the way: */
	struct tree_builder *builder; /* while the tree is made; owned */
	struct buf dir; /* the key of the directory at hand */
	bool has_dir; /* there is one */
	bool dir_excluded; /* it is left out, and all below it */
	bool dir_asked; /* whether it is there was asked */
	struct idset
		dirs; /* hashes of the keys of directories that are there */
	struct lost_dir *lost_dirs; /* owned; sorted when the tree is made */
	size_t nlost_dirs, lost_dirs_cap, next_dir;
	/* nodes that were met, for who wants to remember that they are clean */
	struct id *nodes; /* owned */
	size_t nnodes, nodes_cap;
};

/*
 * Go through the point. Without a writer, to see; with one, which has to follow on
 * the first in the same struct, to store its tree. Return 0 or a negative errno.
 */
MUST_CHECK int remake_run(struct remake *m);
/* Return whether the new point would lack something that cannot be had. */
static inline bool remake_is_hit(const struct remake *m)
{
	return m->lost > 0 || m->lost_nodes > 0;
}
/*
 * Commit the new point: with the tree and members as remake_run() made them, the
 * tag @tag (may be NULL) and the old one as parent. Where @patterns is not NULL, they
 * are noted as what was left out. Its id to @id_out. Return 0 or as writer_commit().
 */
MUST_CHECK int remake_commit(struct remake *m, const char *tag,
			     const struct point_pattern *patterns,
			     size_t npatterns, char *id_out);
void remake_release(struct remake *m);

#endif
