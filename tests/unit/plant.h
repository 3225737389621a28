/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A vault in memory, and points in it that are made entry by entry: what a
 * backup would write, without files to back up. */
#ifndef TESTS_UNIT_PLANT_H
#define TESTS_UNIT_PLANT_H

#include "store/entry.h"
#include "store/point.h"

#include <sys/types.h>

struct backend;
struct tree_builder;
struct vault;
struct writer;

struct plant {
	struct backend *backend;
	struct vault *vault;
	struct writer *writer; /* between begin and commit */
	struct tree_builder *tree;
	struct point *point; /* the one that is being made */
	uint64_t ino; /* of the last entry made */
	bool has_acl;
};

void plant_init(struct plant *p, uint64_t cache_size);
void plant_release(struct plant *p);
/* Begin a point. Its top directory ("/") is there. */
void plant_begin(struct plant *p);
/* A plain entry, to be changed and put: mode as given, one link, owner 1:2,
 * times of 2020, a new inode number. @name is borrowed. */
struct entry plant_entry(struct plant *p, const char *name, mode_t mode);
/* Put it into directory @dir ("", "a/b"). Entries come in the tree's order:
 * all of a directory by name, then its subdirectories. */
void plant_put(struct plant *p, const char *dir, const struct entry *e);
void plant_dir(struct plant *p, const char *dir, const char *name);
/* A regular file that holds @text. */
void plant_file(struct plant *p, const char *dir, const char *name,
		const char *text);
void plant_link(struct plant *p, const char *dir, const char *name,
		const char *target);
/* Make @data the content of @e; the encoding goes to @store. */
void plant_content(struct plant *p, struct entry *e, const void *data,
		   size_t len, struct buf *store);
/* The point exists. @time as in its name; @tag may be NULL. */
void plant_commit(struct plant *p, const char *vm, const char *time,
		  const char *tag);

#endif
