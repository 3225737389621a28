/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes the files of a point into a directory.
 *
 * Nothing is ever followed out of the target: each name is opened below its
 * own parent, and a symbolic link where a directory should stand is replaced or
 * left alone, never walked through. A file appears under its name when it is
 * whole. Directories get their owner, mode and times when everything in them
 * is done.
 */
#ifndef SRC_RESTORE_RESTORE_H
#define SRC_RESTORE_RESTORE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

struct exclude;
struct guard;
struct point;
struct task;
struct view;
struct vault;

/* What happens to what is there already. A directory is never replaced by
 * another one: entries join. */
enum restore_overwrite {
	RESTORE_ALWAYS,
	RESTORE_IF_CHANGED, /* regular files of the same size and mtime keep
			     * their content; attributes are restored */
	RESTORE_IF_NEWER, /* only where the point's mtime is newer */
	RESTORE_NEVER,
};

struct restore_options {
	/* In the tree: "/" for all of it. A directory's entries go into the
	 * target, which gets the directory's attributes; anything else goes
	 * there under its name. "/" and directories that are only on the way to
	 * a source give a directory that exists no attributes. */
	const char *path;
	/* NULL: a tree's. Else what is restored is @node of the namespace, at
	 * @path in the point ("/volumes/vda1/etc"). */
	struct view *view;
	uint64_t node;
	const char *target; /* made with its parents where it is not there */
	enum restore_overwrite overwrite;
	/* Remove what a restored directory did not hold, where the point has
	 * seen that it did not (delete.c says where that is). Once something
	 * of the point could not be read, nothing more: who knows what it was.
	 */
	bool delete_extra;
	/* Even where the point is incomplete and lacks what the backup could
	 * not read, was made by a version that did not note what it left out,
	 * or a volume is marked with a state. */
	bool delete_incomplete;
	bool dry_run;
	bool verify; /* afterwards read all that was written and compare */
	const struct exclude *exclude; /* NULL: none; by paths in the tree */
	const struct exclude *include; /* NULL: all; what matches, and below */
	const struct guard *guard; /* what is never touched; may be NULL */
	unsigned int threads; /* 0: one a core */
	/* Called with @note_arg from this thread for each thing that was done,
	 * or would be; files come in the order in which they are written. May
	 * be NULL. @action:
	 * "restored", "updated", "unchanged", "skipped", "deleted", "kept"
	 * (would have been deleted); @path is of the tree, and of these two in
	 * the target. */
	void (*note)(void *arg, const char *action, const char *path,
		     uint64_t size);
	void *note_arg;
};

struct restore_progress {
	uint64_t entries; /* met so far */
	uint64_t files, dirs, others; /* restored; @others: with links */
	uint64_t unchanged, skipped, deleted;
	uint64_t kept; /* would have been deleted; see delete_extra */
	uint64_t bytes_done; /* of regular files, written or kept */
	uint64_t bytes_written; /* without holes */
	uint64_t errors;
	uint64_t owners; /* left to who runs this, who is not root */
	uint64_t attributes; /* that only root may set */
	/* of files whose flags or project the target cannot keep */
	uint64_t flags;
	uint64_t verified, verified_bytes;
	uint64_t total_entries, total_bytes; /* 0: unknown */
	bool damage; /* among the errors is damage of the vault */
	double seconds;
	char current[256]; /* a path */
};

/*
 * Restore from point @p. @task ticks with a struct restore_progress, from this
 * thread. What could not be restored is said in words and counted in
 * out->errors. With 0, all that was written is on disk.
 * Return 0, -EINTR (@task was stopped), -ENOENT (no such path), -ENOSPC or
 * another negative errno that ended it early, said in words.
 */
MUST_CHECK int restore_run(struct vault *v, const struct point *p,
			   const struct restore_options *o, struct task *task,
			   struct restore_progress *out);

#endif
