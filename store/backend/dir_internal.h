/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The local directory backend, shared among its files: dir.c opens,
 * reads and deletes, dir_put.c writes, dir_list.c lists.
 */
#ifndef STORE_BACKEND_DIR_INTERNAL_H
#define STORE_BACKEND_DIR_INTERNAL_H

#include "store/backend/internal.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "store/backend/fdcache.h"

/* How folders are opened: no symbolic link is followed. */
#define DIR_FOLDER (O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* A stand-in for an unnamed file: this, and so many random bytes in digits. */
#define DIR_TMP_PREFIX ".tmp-"
#define DIR_TMP_RANDOM 16

/* Names of folders, without the last slash. */
struct dir_names {
	char **name; /* owned, and so is each */
	size_t n, cap;
};

struct backend_dir {
	struct backend base;
	int root; /* O_PATH */
	bool made; /* the vault's directory, by this process */
	uint32_t had; /* those of dir_folders that were there at the opening */
	atomic_bool no_tmpfile; /* the filesystem has no unnamed files */
	atomic_bool unsure; /* the sync of a folder failed: no more puts */
	struct fdcache fds; /* of packs */
	pthread_mutex_t lock; /* protects all below */
	/* Folders whose own name has been made durable by this process. Only
	 * an empty "probe" is ever removed, and nothing in it need last. */
	struct dir_names durable;
	struct dir_names swept; /* of what killed writers left */
};

static inline struct backend_dir *dir_of(struct backend *b)
{
	return container_of(b, struct backend_dir, base);
}

static inline struct seam *dir_seam(struct backend_dir *d)
{
	return d->base.options.seam;
}

/* What to do about @err. */
const char *dir_advice(int err);
/*
 * What the system's @err means of a backend: a file server that is restarted
 * or slow is one of the moment, and one that is away is not there. */
int dir_errno(int err);
/* Say "cannot @what @name" with what to do next, and return dir_errno(@err);
 * what is of the moment is not said. */
int dir_fail(const struct backend_dir *d, int err, const char *what,
	     const char *name);
/* Something else stands where an object belongs: -EBADMSG, said in words. */
int dir_not_an_object(const struct backend_dir *d, const char *name);
/* The errors of opening that mean that. */
bool dir_is_misfit(int err);
/*
 * Open (O_PATH) the folder that @name lies in; @leaf_out is what remains.
 * Return the descriptor or a negative errno, silent.
 */
MUST_CHECK int dir_open_folder(struct backend_dir *d, const char *name,
			       const char **leaf_out);

/* Look at @leaf in a folder: what it is, and what there is to say of it as an object.
 * Return 0 or a negative errno, silent. */
MUST_CHECK int dir_look(int folder, const char *leaf, mode_t *mode_out,
			struct backend_info *out);
/* Open an object for reading. Return the descriptor, -ENOENT (silent) or
 * another negative errno, said in words. */
MUST_CHECK int dir_open_object(struct backend_dir *d, const char *name);

/* ---- dir_put.c ---- */

/* fsync of a folder. Return 0 or a negative errno, silent. */
MUST_CHECK int dir_sync_folder(struct backend_dir *d, int fd);
void dir_names_release(struct dir_names *names);
int dir_replace(struct backend *b, const struct backend_call *c,
		const char *name, const void *data, size_t len);
int dir_put(struct backend *b, const struct backend_call *c, const char *name,
	    const void *data, size_t len);
int dir_sync(struct backend *b, const struct backend_call *c, const char *name);
/* Make the folders of a new vault, durable. As ops->create. */
int dir_make_folders(struct backend_dir *d);

/* ---- dir_rights.c ---- */

/* Is @err the kernel's word that this user may not? */
bool dir_is_refusal(int err);
/* Say which right "@what @name" takes, and return @err. */
int dir_refused(const struct backend_dir *d, int err, const char *what,
		const char *name);
/* As ops->may_delete. */
int dir_may_delete(struct backend *b, const char *prefix);
/* The same of putting another object in @name's place: where that is refused, so is
 * taking away the stand-in of the new one. Return 0 or as backend_may_delete(). */
int dir_may_replace(struct backend_dir *d, const char *name);
/* Let the new file @fd in @folder be read by those who may list the folder, and be
 * the folder's owner's where root made it. */
void dir_share_file(int folder, int fd);
/* The same of a new folder, which gets the permissions of pack/. */
void dir_share_folder(struct backend_dir *d, int folder, int fd);

/* ---- dir_sweep.c ---- */

/* Remove from @folder what killed writers left. @file was made there just now:
 * its time is the time. */
void dir_sweep(struct backend_dir *d, int folder, int file);

/* ---- dir_mount.c ---- */

/* What a folder is mounted from. */
struct dir_mount {
	char type[64]; /* as in /proc/self/mountinfo: "nfs4", "fuse.sshfs" */
	char *options; /* of the mount, and then of the filesystem; owned */
};
/* Return 0, or a negative errno, silent: nothing is known then. */
MUST_CHECK int dir_mount_of(int fd, struct dir_mount *out);
/* Return what may be wrong with a mount, in words that follow "which", or NULL. */
const char *dir_mount_lag(const char *type, const char *options);
/* As ops->may_lag. */
bool dir_may_lag(struct backend *b, char why[BACKEND_LAG_MAX]);

/* ---- dir_list.c ---- */

/* The folders of a new vault but those in pack/; NULL ends them. */
extern const char *const dir_folders[];
/* Find out which of them are there, for dir_had(). */
void dir_note_folders(struct backend_dir *d);
/* Was the folder that the first @len bytes of @path name one of them? */
bool dir_had(const struct backend_dir *d, const char *path, size_t len);

int dir_list_page(struct backend *b, const struct backend_call *c,
		  const char *prefix, const char *token,
		  struct backend_page *page);
/* As ops->stamp. */
bool dir_stamp(struct backend *b, const char *prefix,
	       struct backend_stamp *out);
/* As ops->missing_folders. */
int dir_missing_folders(struct backend *b,
			int (*fn)(void *arg, const char *folder), void *arg);
/* Return 0, -EEXIST (somebody's files are there) or another negative errno,
 * said in words. */
MUST_CHECK int dir_check_empty(struct backend_dir *d);

#endif
