/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a restore with --delete may do to a target, from what its backup was
 * told: a recursion over the source as it was, with the rules of vmbackup(1).
 * It knows nothing of trees, points or walks.
 */
#ifndef TESTS_UNIT_RESTORE_MODEL_H
#define TESTS_UNIT_RESTORE_MODEL_H

#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NODES_MAX 6000
#define TEXT_MAX_LEN 64
#define OUTSIDE_FILE 1 /* the file of outside/file; see struct node */

struct guard;

enum kind { NONE, FILE_KIND, DIR_KIND, LINK_KIND };

struct node {
	char name[16];
	char text[TEXT_MAX_LEN]; /* content, or where a link leads */
	enum kind kind;
	struct node *child, *next; /* by name */
	bool mount; /* source: not crossed with -x; target: mounted */
	bool source; /* of the backup */
	bool listed, walked, way; /* in the point; its entries, too; or a way */
	bool guarded, vault; /* target */
	/* Which file it is: names of one file share a number, and are marked. */
	unsigned int file;
	bool shared;
	const struct node *fs; /* directory in the target: where mounted */
	bool bad; /* in a volume: cannot be read */
};

/* A name that was printed, and which file it is. */
struct shown {
	uint64_t file;
	char path[256];
};

struct restore_model {
	struct node nodes[NODES_MAX];
	size_t n, nsource; /* the source's come first */
	uint64_t random;
	unsigned int serial;
	struct node *source; /* "/" */
	const char *patterns[3];
	size_t npatterns;
	bool one_fs, caches, known, incomplete;
	const char *spare; /* the restore's own pattern, or NULL */
	bool delete_extra, word, never;
	bool volume; /* the source is a filesystem in a disk */
	bool damage; /* something of the point cannot be read */
	struct node *first[NODES_MAX + 2]; /* restored, of each shared file */
	struct node *first_dir[NODES_MAX + 2]; /* and where */
	bool entered[NODES_MAX + 2]; /* directories of the source, by file */
	struct shown shown[NODES_MAX];
	size_t nshown;
	bool can_mount;
	const char *top, *target, *outside;
	char mounts[64][256]; /* made in the target, to be undone */
	size_t nmounts;
	struct buf notes;
	struct guard *guard;
};

extern struct restore_model model;

/* ---- chance ---- */

/* Return a number below @n, or whether something of @n percent happens; from
 * model.random. */
unsigned int model_below(unsigned int n);
bool model_percent(unsigned int n);

/* ---- nodes ---- */

#define MODEL_NAMES 6
extern const char *const model_names[MODEL_NAMES]; /* that entries have */

/* Return a new node, which the model owns. */
struct node *node_new(const char *name, enum kind kind);
/* Return the entry of that name, or NULL. @dir may be NULL. */
struct node *node_find(const struct node *dir, const char *name);
/* Add @x to the entries of @dir, by its name. */
void node_add(struct node *dir, struct node *x);
/* Choose what a file holds, or a link leads to; @who begins it. */
void node_fill(struct node *x, char who);
/* Whether @x or something below it is a source. */
bool node_leads(const struct node *x);
/* Make @x another name of the file of @as. */
void node_share(struct node *x, struct node *as);
/* Choose a kind for an entry at @depth. */
enum kind model_any_kind(unsigned int depth);

/* ---- the source ---- */

/* Give @dir entries, at @depth. */
void model_source(struct node *dir, unsigned int depth);
/* Make some of the files below names of others. */
void model_share(void);
/* Give some directories of @dir so many entries that the point's tree has
 * several nodes. */
void model_fill(struct node *dir);
/* Mark all below @x as shown by a volume; some of it can not be read where
 * the point is damaged. */
void model_show(struct node *x);
/* Make each entry below @dir a source, with a chance of @chance percent. */
void model_pick_sources(struct node *dir, unsigned int chance);
/* Mark what a backup takes of @x, at @path; @inside: its directory's entries
 * are taken. */
void model_backup(struct node *x, const char *path, bool inside);
/* The same for a point that does not say what it left out: it seems to have
 * seen all that is below a source. */
void model_forget(struct node *x, bool inside);

/* ---- the target ---- */

/* Do to @at what a restore of directory @from, at @path of the point, does.
 * @barred: nothing is deleted below; @made: by this restore. */
void model_restore(struct node *at, const struct node *from, const char *path,
		   bool barred, bool made);
/* Whether the restore's own pattern leaves @path of the point out. */
/* Is the target @at refused, since it is not where the directory @from of the
 * point, which is at @path there, belongs? */
bool model_refuses(const struct node *at, const struct node *from,
		   const char *path);
bool model_excludes(const char *path, bool is_dir);
/* Return the path at which @file was printed already, or NULL: it is noted that
 * this is @path. */
const char *model_shown(uint64_t file, const char *path);
/* Append a line for each entry below @dir, whose path is @path ("" first). */
void model_print(const struct node *dir, const char *path, struct buf *out);

#endif
