/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What would a power cut leave? A seam that records, and a model that answers.
 *
 * Every call is carried out in a real directory (but for fsync and fdatasync:
 * the machine is not going to fail) and recorded. Afterwards any state that a
 * power cut might have left at any moment can be made, as files in a new
 * directory or as calls of a function. The model is what POSIX promises:
 *
 *  - a file's bytes last when an fdatasync or fsync of it followed the writes;
 *    until then each block of them may be there, be zeros, be garbage or be
 *    missing from the end;
 *  - a name (of a file or a directory) lasts when an fsync of the directory
 *    that it is in followed; until then it may be there or not, each on its
 *    own, and so may one that was removed be gone or not;
 *  - what lies in a directory whose own name is lost, is lost.
 *
 *     c = seam_crash_new(root, NULL);
 *     backend_open(vault_below_root, seam_crash_seam(c), &b);
 *     backend_put(b, ...); seam_crash_mark(c, 1);
 *     for (cut = 0; cut <= seam_crash_length(c); cut++) {
 *             seam_crash_materialise(c, cut, state, new_directory);
 *             (look; seam_crash_marked(c, cut, 1): the put had returned)
 *     }
 *
 * What @root holds when recording begins lasts. What changes without passing
 * the seam is not seen. Stack a seam_fault on it (seam_fault_init(&f,
 * seam_crash_seam(c))) to see what an error and then a power cut leave.
 *
 * Recording is safe from any thread; the rest is for one, after it.
 */
#ifndef TESTS_UNIT_SEAM_CRASH_H
#define TESTS_UNIT_SEAM_CRASH_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct seam;
struct seam_crash;

/* @root: an absolute path of a directory on a filesystem of its own use; all
 * in it is read now. @next carries the calls out; NULL is seam_system(). Both
 * are borrowed. Never NULL: it ends the test when memory is out. */
struct seam_crash *seam_crash_new(const char *root, struct seam *next);
void seam_crash_free(struct seam_crash *c);
struct seam *seam_crash_seam(struct seam_crash *c);

/* How many events were recorded. A cut @k lets the first k happen. */
size_t seam_crash_length(struct seam_crash *c);
/* Event @i in words, for a failed test's report; good until the next call. */
const char *seam_crash_describe(struct seam_crash *c, size_t i);
/* Remember that the test has come here: an operation has returned, say. */
void seam_crash_mark(struct seam_crash *c, int id);
/* Had @id been marked before @cut? */
bool seam_crash_marked(struct seam_crash *c, size_t cut, int id);

/* ---- ablation: is each sync needed? ---- */

enum seam_crash_kind {
	/* fdatasync or fsync of a file does nothing. */
	SEAM_CRASH_DATA = 1 << 0,
	/* fsync of a directory does not make its files' names last... */
	SEAM_CRASH_FILE_NAMES = 1 << 1,
	/* ...nor the names of directories in it... */
	SEAM_CRASH_DIR_NAMES = 1 << 2,
	/* ...nor that names are gone. */
	SEAM_CRASH_REMOVALS = 1 << 3,
};

/* Play as if these syncs were not there, or'ed; 0: all are. */
void seam_crash_ignore(struct seam_crash *c, unsigned int kinds);
/* How many calls of fsync and fdatasync were recorded. */
size_t seam_crash_nsyncs(struct seam_crash *c);
/* Play as if the @n-th (from 1) were not there; 0: all are. */
void seam_crash_ignore_sync(struct seam_crash *c, size_t n);
/* The event's number of the @n-th, for seam_crash_describe(). */
size_t seam_crash_sync_event(struct seam_crash *c, size_t n);

/* ---- states ---- */

enum seam_crash_how {
	SEAM_CRASH_DROP_ALL, /* nothing that was not synced is there */
	SEAM_CRASH_KEEP_ALL, /* all is, as after a kill -9 */
	SEAM_CRASH_KEEP_NAMES, /* all names, but unsynced bytes are missing */
	SEAM_CRASH_SEEDED, /* each block and name on its own, by the seed */
};

struct seam_crash_state {
	enum seam_crash_how how;
	uint64_t seed;
};

/* State 0, 1 and 2 are the extreme ones, all from 3 are seeded. */
static inline struct seam_crash_state seam_crash_nth_state(unsigned int n)
{
	return (struct seam_crash_state){ n < 3 ? (enum seam_crash_how)n
						: SEAM_CRASH_SEEDED,
					  n };
}

/*
 * Called for everything that is left, a directory before what is in it. @path
 * is relative to the root; @data is NULL for a directory. What it returns but 0
 * ends the visit.
 */
typedef int seam_crash_fn(void *arg, const char *path, const uint8_t *data,
			  size_t len);
/* Return 0, or what @fn returned. */
int seam_crash_visit(struct seam_crash *c, size_t cut,
		     struct seam_crash_state state, seam_crash_fn *fn,
		     void *arg);
/* Make the state's files and directories in @out, an empty directory. */
MUST_CHECK int seam_crash_materialise(struct seam_crash *c, size_t cut,
				      struct seam_crash_state state,
				      const char *out);
/*
 * Make the state's files below @folder (relative to the root; "" is the root)
 * objects of @out, an empty backend_mem. What cannot be an object's name is
 * skipped. Faster than files, and the same to a vault.
 */
MUST_CHECK int seam_crash_to_mem(struct seam_crash *c, size_t cut,
				 struct seam_crash_state state,
				 const char *folder, struct backend *out);

#endif
