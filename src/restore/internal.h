/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of this room share.
 *
 *     restore.c      restore_run(): the beginning and the end
 *     run.c          reports: errors, progress, what was done
 *     tree.c         the walk over a tree
 *     skip.c         the way past what cannot be read of a tree
 *     view.c         the walk over what is no tree: volumes, config files
 *     view_file.c    its entries and their content
 *     levels.c       the directories that the walk is in
 *     dir.c          directories are made, opened and finished
 *     aim.c          whether the target is where the directory belongs
 *     seen.c         what the point has seen of a directory
 *     guard.c        what is never touched: the vault, keys, the cache
 *     extras.c       what the point does not have is found in the target
 *     delete.c       and removed
 *     vault_shape.c  whether a directory is, or was, a vault
 *     file.c         entries that are no directories are written
 *     jobs.c         the pool that writes regular files
 *     attr.c         owner, extended attributes, mode, times
 *     flags.c        flags of chattr(1), projects
 *     link.c         files with several names
 *     ref.c          an entry, of whichever walk
 *     sync.c         what was written is put on disk
 *     verify.c       the second pass: a tree's files are read again
 *     view_verify.c  the second pass over what is no tree
 *
 * One thread walks, in order, and decides; it makes directories and everything
 * small. Regular files are written by a pool, in jobs of neighbours. A
 * directory is counted: by its level of the walk and by each file that is
 * still to be written into it. Whoever lets go of it last sets its attributes.
 */
#ifndef SRC_RESTORE_INTERNAL_H
#define SRC_RESTORE_INTERNAL_H

#include "src/restore/restore.h"
#include "src/scan/dir_list.h"
#include "store/base/buf.h"
#include "store/base/id.h"
#include "store/base/task.h"
#include "store/entry.h"
#include "store/tree.h"

#include <pthread.h>
#include <stdatomic.h>

#define RESTORE_PIECE (1u << 20) /* read and written at once */
#define RESTORE_JOB_ITEMS 32
#define RESTORE_JOB_DIRS 8
#define RESTORE_THREADS_MAX 16
#define RESTORE_OPEN_LEVELS 64

struct exclude;
struct restore_links;
struct vent;
struct view_attr;

/* One entry of what is restored: of a tree, or else of the namespace. */
struct ref {
	struct leaf *leaf; /* NULL: vent */
	size_t slot;
	struct vent *vent;
};

/* What the point has seen of a directory (seen.c). */
struct seen {
	bool taken; /* it is not only on the way to a source */
	bool whole; /* all that it held is in the point */
	bool source; /* the backup was told to take it */
};

struct rdir {
	struct restore *run; /* borrowed */
	atomic_int refs;
	int fd; /* owned; -1: closed meanwhile, or absent */
	bool absent; /* dry run: it would be made */
	bool made; /* by us: it holds nothing that we did not write */
	bool replaced; /* what stood there; or, in a dry run, would be */
	bool finish; /* set its attributes at the end */
	bool barred; /* it is, or is below, where nothing is ever deleted */
	bool deletes; /* what the point lacks is removed from it */
	const char *guarded; /* what it belongs to, which is left alone; NULL */
	bool told; /* that something of the point is not written into it */
	bool read_only; /* its filesystem, or what of it is mounted there */
	dev_t dev;
	ino_t ino;
	struct ref ref; /* held; its entry; empty: it has none */
};

/* One regular file to be written. */
struct item {
	struct rdir *dir; /* referenced */
	struct ref ref; /* held */
	uint64_t rank;
	bool replace; /* something stands there */
	bool attrs_only; /* and its content is right */
	const char
		*action; /* what to tell the caller once it is done; static */
};

struct job {
	struct job *next; /* among the idle ones */
	struct restore *run;
	uint8_t *piece; /* owned, RESTORE_PIECE */
	size_t n, ndirs;
	uint64_t bytes;
	struct item items[RESTORE_JOB_ITEMS];
};

enum sub_state {
	SUB_WANTED, /* and all below, but for excludes */
	SUB_PASSED, /* something below may be wanted */
	SUB_LEFT_OUT,
};

/* A subdirectory whose turn has not come. */
struct sub {
	size_t off; /* of its name in level.names */
	uint16_t len;
	uint8_t state;
};

/* A directory on the way down. */
struct level {
	struct rdir *dir; /* referenced; NULL: not made yet */
	bool wanted; /* itself, not only something below */
	struct seen seen;
	bool failed; /* said already; nothing below is tried */
	struct ref ref; /* held; its entry */
	size_t key_len, path_len; /* of the run's key and path */
	struct sub *subs; /* owned */
	size_t nsubs, cap, next;
	struct buf names;
	struct dir_list there; /* --delete: what the target holds */
	size_t there_next, nextras; /* of there: the next, and those before */
	struct buf unlisted; /* names of the point that are there, but not in
			      * there */
	bool listed;
};

#define RESTORE_SYNC_MAX 16

/* The filesystems that were written to, which are synced at the end. */
struct restore_sync {
	struct {
		dev_t dev;
		int fd; /* owned */
	} items[RESTORE_SYNC_MAX];
	size_t n;
	bool more; /* than there is room for */
};

struct restore {
	struct vault *vault; /* borrowed, as are the next four */
	const struct restore_options *o;
	const struct point *point;
	struct seam *seam;
	struct task *task;
	struct id root;
	struct buf key, path; /* of the directory being walked */
	size_t base_len; /* of the key that the target stands for */
	struct level *levels; /* owned */
	size_t nlevels, cap;
	int target; /* owned */
	uid_t euid;
	bool is_root;
	bool keeps; /* nothing more is deleted; the walk's */
	struct exclude *left_out; /* owned; the point's patterns, or NULL */
	struct restore_links *links; /* owned */
	uint8_t *written; /* owned; a bit for each rank; NULL: no verify */
	uint64_t nwritten; /* ranks that it has room for */
	struct pool *pool; /* owned */
	uint64_t token; /* random, for temporary names */
	atomic_uint temp_no;
	atomic_bool no_tmpfile;
	atomic_int fatal; /* what ends it all */
	struct restore_sync sync; /* the walk's */
	struct job *own; /* the walk's own, for what it writes itself */
	struct job *job; /* being filled; NULL: none */
	int64_t start_ns;
	pthread_mutex_t lock; /* protects all below */
	pthread_cond_t changed;
	struct job *idle; /* owned */
	unsigned int running;
	struct told *told, **told_last; /* owned; see restore_note_done() */
	struct restore_progress progress;
};

/* ---- reports (run.c) ---- */

/* Count one more error. @r -EBADMSG marks damage; a target that is full or
 * read-only ends the run. Return @r. */
int restore_error(struct restore *run, int r);
/* The same of what was met in the directory open at @fd, which need not be on
 * the target's own filesystem: one that is mounted below it may be full or
 * read-only alone. */
int restore_error_at(struct restore *run, int fd, int r);
/* Whether nothing can be written to the directory open at @fd: its filesystem,
 * mount or subvolume is read-only. */
bool dir_is_read_only(int fd);
/* Should the run end? Return 0, or the negative errno that it ends with. */
int restore_stopped(struct restore *run);
/* Seconds since the run began. */
double restore_seconds(struct restore *run);
/* Tell the caller how far the run is, if that is due. */
void restore_tick(struct restore *run);
/* The same from a walk, now and then, with the path where it is. */
void restore_walk_tick(struct restore *run);
/* Return the path of an entry in the point, with a NUL, in @out's memory. */
const char *restore_path(struct buf *out, const struct ref *ref);
/* The same of @name in the directory being walked; NULL: of the directory
 * itself. For the walk's thread. */
const char *restore_path_of(const struct restore *run, const char *name,
			    struct buf *out);
/* Return where @path of the tree is in the target. For the walk's thread. */
const char *restore_target_path(const struct restore *run, const char *path,
				struct buf *out);
/* Tell the caller that @action was done with @name, in the directory being
 * walked; NULL: with the directory itself. For the walk's thread. */
void restore_note(struct restore *run, const char *action, const char *name,
		  uint64_t size);
/* The same of an entry that was written just now, by any thread: the caller is
 * told of it by the walk's, with the next note or in restore_tell(). */
void restore_note_done(struct restore *run, const char *action,
		       const struct ref *ref, uint64_t size);
/* Tell what there is to tell by now. For the walk's thread. */
void restore_tell(struct restore *run);
/* Return what the patterns say of an entry of the directory being walked. */
enum sub_state restore_state(struct restore *run, const char *name,
			     bool is_dir);
#define RESTORE_COUNT(run, field, n)                                           \
	do {                                                                   \
		pthread_mutex_lock(&(run)->lock);                              \
		(run)->progress.field += (n);                                  \
		pthread_mutex_unlock(&(run)->lock);                            \
	} while (0)

/* ---- the walk over a tree (tree.c) ---- */

MUST_CHECK int restore_tree_walk(struct restore *run);

/* ---- levels (levels.c) ---- */

struct level *level_top(struct restore *run);
void level_release(struct level *lev);
/* Remember subdirectory @name of the top. */
MUST_CHECK int level_add_sub(struct restore *run, const char *name, size_t len,
			     enum sub_state state);
/*
 * Make the directory of the entry at @c the top. Return 0; 1 where its entries
 * are not wanted, with the cursor put behind them; or a negative errno.
 */
MUST_CHECK int level_step_to(struct restore *run, struct cursor *c);
bool key_starts_with(const uint8_t *key, size_t len, const struct buf *with);
/* The name that begins at @key; the bytes it takes, with its end, or 0. */
size_t key_name(const uint8_t *key, size_t len, char out[ENTRY_NAME_MAX + 1],
		size_t *out_len);

/* Room for levels, and the first of them. */
MUST_CHECK int levels_init(struct restore *run);
/* Step into directory @name, whose entry is @ref (which is held, not taken). */
MUST_CHECK int level_enter(struct restore *run, const struct ref *ref,
			   const char *name, size_t len, enum sub_state state);
/* The end of a directory. */
MUST_CHECK int level_leave(struct restore *run);

/* ---- entries of both kinds (ref.c) ---- */

static inline bool ref_is(const struct ref *ref)
{
	return ref->leaf || ref->vent;
}

/* Held once more. */
struct ref ref_get(const struct ref *ref);
void ref_put(struct ref *ref);
/* Borrowed while the ref is held. Of a vent: without target and extended
 * attributes. */
void ref_entry(const struct ref *ref, struct entry *out);
/* The same, whole; @mem keeps what was read for it. Return 0 or a negative
 * errno, said in words; @out is then all that could be read. */
MUST_CHECK int ref_load(struct restore *run, const struct ref *ref,
			struct buf *mem, struct entry *out);

/* ---- directories (dir.c) ---- */

/* Level 0: open the target, making it. @ref is the entry that is restored
 * (@whole: the top of the tree). Return 0 or a negative errno, said in
 * words. */
MUST_CHECK int level_open_target(struct restore *run, const struct ref *ref,
				 bool whole);
/* Make or open again what is needed to write into level @i. Return 0, or a
 * negative errno (said in words and counted: it and what is below is lost). */
MUST_CHECK int level_need(struct restore *run, size_t i);
/* Far above, only what is being written to stays open. */
void level_relax(struct restore *run);
/* @dir belongs to what is guarded: count an error and say it, once for each
 * directory. Return -ECANCELED. */
int guarded_refuse(struct restore *run, struct rdir *dir);
struct rdir *rdir_get(struct rdir *d);
void rdir_put(struct rdir *d);
/* Open the directory of @key below the target. Return it or a negative
 * errno. */
MUST_CHECK int rdir_find(struct restore *run, const uint8_t *key, size_t len);

/* ---- the target (aim.c) ---- */

/*
 * With --delete: does the target, whose level is open and listed, look as if the
 * directory of the point belonged somewhere else, so that what the point has
 * never seen would go? Return 0, or a negative errno, said in words.
 */
MUST_CHECK int restore_aim(struct restore *run);

/* ---- what the point has seen (seen.c) ---- */

/* Prepare the patterns that the point has. Return 0 or -ENOMEM. */
MUST_CHECK int seen_init(struct restore *run);
/* Return what the point has seen of directory @path, whose parent is @above. */
struct seen seen_below(const struct restore *run, struct seen above,
		       const char *path);
/* The same, from the top. */
struct seen seen_at(const struct restore *run, const char *path);
/* Whether the backup would have left @path out by its patterns. */
bool seen_left_out(const struct restore *run, const char *path, bool is_dir);

/* ---- removing (delete.c) ---- */

/*
 * Remove @name from @dir, the directory being walked, with all below that may
 * go; in a dry run, find out whether it would. What goes is told and counted.
 * Return 0 when it is gone, 1 where something of it must stay (said where it
 * is not the patterns that spare it), or a negative errno, said in words.
 */
MUST_CHECK int restore_remove(struct restore *run, const struct rdir *dir,
			      const char *name);
/* Whether nothing is to be deleted in the open directory of @lev, nor below,
 * whatever the point has seen. Says why, where that may surprise. */
bool delete_is_barred(struct restore *run, const struct level *lev);
/* Whether what the point lacks is to be removed from it. */
bool delete_applies(struct restore *run, const struct level *lev);
/* Whether @name in @dirfd ("": @dirfd itself) is where something is mounted. */
bool is_mount_point(int dirfd, const char *name);
/* ---- vaults of whomever (vault_shape.c) ---- */

/* Whether the directory open at @fd is a vault, or most probably what is left
 * of one. */
bool dir_is_vault(int fd);
/* The same of a directory that it lies in. */
bool dir_lies_in_vault(int fd);
/* Whether it holds objects of a vault; @list are its names. It looks at a few:
 * in a vault there is nothing else. */
bool dir_holds_objects(int fd, const struct dir_list *list);

/* From here on nothing is deleted; say so with @why, if anything was to be. */
void restore_keep(struct restore *run, const char *why);
#define RESTORE_KEEP_LOST "not all of the point can be read"
/* Whether a pattern of the backup or of this restore spares @path. */
bool delete_spares(const struct restore *run, const char *path, bool is_dir);

/* ---- what is not in the point (extras.c) ---- */

/* Whether @n, which stands in the directory of @lev, would stay if it were an
 * extra, by somebody's pattern. */
bool extra_is_spared(struct restore *run, const struct level *lev,
		     const struct dir_name *n);
/* Read what stands in the directory of @lev. */
MUST_CHECK int extras_begin(struct restore *run, struct level *lev);
/* The walk meets @name: what stands there and sorts before it is an extra. What
 * is between two names that were read one behind the other is surely not in the
 * point. */
void extras_before(struct restore *run, struct level *lev, const char *name);
/* All names of the top were met: remove the extras. Once for each directory,
 * before its first subdirectory; then it does nothing. */
void extras_end(struct restore *run);
/* Nothing that stands there is an extra. */
void extras_drop(struct level *lev);

/* ---- the end (sync.c) ---- */

/* Remember that the filesystem of @fd, whose device is @dev, is written to. */
void sync_note(struct restore *run, int fd, dev_t dev);
/* Put all that was written on disk. Return 0 or a negative errno, said. */
MUST_CHECK int sync_all(struct restore *run);
void sync_release(struct restore *run);

/* ---- damage of a tree (skip.c) ---- */

/*
 * The entry of rank @rank cannot be read. Put the cursor at the next one that
 * can, of @total. Return 0, -ENOENT (all the rest is lost) or a negative errno.
 */
MUST_CHECK int restore_skip(struct restore *run, uint64_t rank, uint64_t total,
			    struct cursor *c);

/* ---- entries (file.c) ---- */

/* Temporary names are of this length. */
#define TEMP_NAME_LEN 48
void temp_name(struct restore *run, char out[TEMP_NAME_LEN]);
/* Restore the entry, which is no directory, into @dir, that of run->key.
 * @rank: its bit of run->written. */
void entry_restore(struct restore *run, struct rdir *dir, const struct ref *ref,
		   uint64_t rank, const char *name);
/* Write it, in a job or in the walk. Return 0 or a negative errno, said and
 * counted. */
int item_write(struct restore *run, const struct item *it, uint8_t *piece);

/* ---- jobs (jobs.c) ---- */

/* Have a thread write it; what it refers to is held. */
void job_add(struct restore *run, const struct item *it, uint64_t size);
MUST_CHECK int jobs_init(struct restore *run);
void jobs_release(struct restore *run);
/* Send off what was gathered. */
void job_flush(struct restore *run);
/* Wait until nothing is running. */
void jobs_wait(struct restore *run);

/* ---- attributes (attr.c) ---- */

/*
 * Set what @e says on @fd; @opath: opened with O_PATH. Return 0 or the negative
 * errno of the first that failed and should not have; the others are set all
 * the same.
 */
MUST_CHECK int restore_attrs(struct restore *run, int fd, bool opath,
			     const struct entry *e);

/* ---- flags and projects (flags.c) ---- */

/* Give @fd, an empty file, those flags of @e that must be there before its
 * content. */
void restore_flags_empty(int fd, const struct entry *e);
/* Set the project and the flags of @e on @fd, but for those that
 * restore_seal() sets. Return 0, also where the filesystem does not know them,
 * or a negative errno, said in words. */
MUST_CHECK int restore_flags(struct restore *run, int fd,
			     const struct entry *e);
/* Make what @fd is of immutable, or let it be appended to alone, if @e is so:
 * the last that is done to it. A file of several names is left as it is.
 * Return as restore_flags(). */
MUST_CHECK int restore_seal(struct restore *run, int fd, const struct entry *e);
/* Undo what restore_seal() did, if @e says that it may have. Return true where
 * it had. */
bool restore_unseal(struct restore *run, int fd, const struct entry *e);

/* ---- names of one file (link.c) ---- */

MUST_CHECK struct restore_links *restore_links_new(void);
void restore_links_free(struct restore_links *l);
/* Make @name another name of the file of @e, if one was restored already.
 * Return 1 when done, 0 when this is the first, or a negative errno. */
MUST_CHECK int link_try(struct restore *run, struct rdir *dir, const char *name,
			const struct entry *e, bool replace);
/* Remember the first. */
MUST_CHECK int link_remember(struct restore *run, const uint8_t *dirkey,
			     size_t dirkey_len, const struct entry *e);

/* ---- the second pass (verify.c) ---- */

MUST_CHECK int restore_verify(struct restore *run);
/* Is [@off, @off + @len) of the file zeros? Return 0, -EUCLEAN or another
 * negative errno (silent). */
MUST_CHECK int verify_zero_range(struct restore *run, int fd, uint8_t *piece,
				 uint64_t off, uint64_t len);
MUST_CHECK int verify_read(int fd, void *out, size_t len, uint64_t off);

/* ---- what is no tree (view*.c) ---- */

MUST_CHECK int restore_view_walk(struct restore *run);
MUST_CHECK int restore_view_verify(struct restore *run);
/* An entry at @path, whose last part is its name. Return 0 or -ENOMEM. */
MUST_CHECK int vent_new(const char *path, const struct view_attr *a,
			struct vent **out);
struct vent *vent_get(struct vent *x);
void vent_put(struct vent *x);
void vent_entry(const struct vent *x, struct entry *out);
const char *vent_path(const struct vent *x);
MUST_CHECK int vent_load(struct restore *run, const struct vent *x,
			 struct buf *mem, struct entry *e);
/*
 * Call @fn for every piece of a file that has data, in order, of at most
 * RESTORE_PIECE, read into @piece; between them are holes.
 */
MUST_CHECK int vent_pieces(struct restore *run, const struct vent *x,
			   uint8_t *piece,
			   int (*fn)(void *arg, uint64_t off, size_t len),
			   void *arg);
/* Does the file at @fd hold what @x does? @piece: two of RESTORE_PIECE. As
 * verify_zero_range(). */
MUST_CHECK int vent_verify(struct restore *run, const struct vent *x, int fd,
			   uint8_t *piece);

#endif
