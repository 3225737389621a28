/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where objects live: names to bytes, nothing else.
 *
 * A backend is a table of a few operations (store/backend/internal.h). Callers
 * use only the functions below, which check names and ranges and the answers
 * of the table, and try again what failed for the moment. A name is relative,
 * '/'-separated, of the characters [a-z0-9._-], at most 200 long. All may block
 * and are safe from any thread.
 *
 * What the errors mean, of whatever backend:
 *
 *     -ENOENT         there is no such object; silent
 *     -EBADMSG        the object is damaged: it ends too early, or something
 *                     else stands in its place
 *     -EIO            this one object cannot be read or stored, such as for a
 *                     bad sector; others may be, all the same
 *     -ETIMEDOUT      the store gave no answer in all the time that it had
 *     -EAGAIN         the store did nothing but ask to come back later
 *     -EHOSTUNREACH   the store is not there: no network, a dead mount
 *     -EACCES, -EPERM, -EROFS   the store refuses it
 *     -ENOSPC, -EDQUOT          the store is full
 *     -ECANCELED      nobody waits for the request that the thread serves any
 *                     more (store/base/stop.h)
 *     -EINTR          the options' stop was set
 *     -ENOMEM         as always; silent
 *
 * All but -ENOENT, -EEXIST, -ENOMEM, -ECANCELED and -EINTR have been said in
 * words. Nobody may infer from -EIO or an error further down that an object is
 * absent, and only -EBADMSG and -EIO are about one object alone.
 */
#ifndef STORE_BACKEND_BACKEND_H
#define STORE_BACKEND_BACKEND_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct seam;
struct secret;

#define BACKEND_NAME_MAX 200

/* Who asks, for stores that want to know. A part that a store has no use for
 * is NULL; all are borrowed until the next call of the function that gave
 * them. */
struct backend_credential {
	const char *id; /* the name of an account or of an access key */
	const struct secret *key;
	const char *token; /* of a session */
};

/* Zero it: everything has a default. */
struct backend_options {
	struct seam *seam; /* borrowed until backend_close(); NULL: system's */
	/* How long one call may take, with all that is tried again in it; 0:
	 * ten minutes. What a system call waits for in the kernel, as with a
	 * hard mount of NFS, cannot be ended. */
	int64_t timeout_ns;
	/* The pause before the first repetition; each one later is twice as
	 * long, up to 100 times this. 0: a tenth of a second. */
	int64_t pause_ns;
	/* Set by whoever wants an end: calls that wait end with -EINTR. May be
	 * NULL; borrowed until backend_close(). */
	const volatile bool *stop;
	/*
	 * Asked whenever a store wants credentials, and again when it says that
	 * they have expired; from any thread, but never by two at once. They
	 * do not stand in the URL, which is shown in messages and in lists of
	 * processes. It returns 0 or a negative errno, said in words. NULL:
	 * there are none.
	 */
	int (*credential)(void *arg, struct backend_credential *out);
	void *credential_arg;
};

/* What is known of an object without reading it. */
struct backend_info {
	uint64_t size; /* bytes */
	/* When it was stored, in nanoseconds since 1970, by the clock of the
	 * store and not by that of who put it. */
	int64_t stored_ns;
	/* When it came to be where it is, by the same clock: a copy keeps the times
	 * of what it was made of, but not this one. 0: the store does not tell. */
	int64_t placed_ns;
};

/* Called for each object found. Return 0 to go on; anything else ends the
 * listing and is what backend_list() returns. It must not call any function
 * below on the same backend: collect first. */
typedef int backend_list_fn(void *arg, const char *name,
			    const struct backend_info *info);

/*
 * Open the backend that @url names: a path, or scheme:rest. Nothing is
 * created and nothing is checked but that the place exists (local: that the
 * directory can be opened). @o is copied; NULL: all defaults.
 * Return 0, -ENOENT (no such place), -EINVAL (unknown scheme) or another
 * negative errno, said in words.
 */
MUST_CHECK int backend_open(const char *url, const struct backend_options *o,
			    struct backend **out);
/* Make the place for a vault that is about to be made (one directory, whose
 * parent must exist) and open it. Return 0, -EEXIST (it is not empty), or as
 * backend_open(). */
MUST_CHECK int backend_create(const char *url, const struct backend_options *o,
			      struct backend **out);
/* Return the local directory that @url names, in @url's memory, or NULL: the
 * vault is elsewhere. Nothing is looked at. */
const char *backend_path(const char *url);
/* Close it and free it. NULL is fine. */
void backend_close(struct backend *b);
/* What it was opened as, for messages; borrowed. */
const char *backend_url(const struct backend *b);

/* Is @err about one object alone, so that others may be looked at all the same?
 * That is -EBADMSG, -EIO, and -EPERM: this one may not be read by who asks, which
 * does not say that it is damaged. Where nothing may be read it is -EACCES. */
bool backend_error_is_of_object(int err);

/*
 * Store @data under @name, if nothing is there. On 0 the object is durable
 * and whole; on an error but -EEXIST it is absent, or (a lost reply) whole.
 * Return 0, -EEXIST (it is there: somebody else made it, or this very call did
 * and repeated itself when the answer was lost; silent) or another negative
 * errno. For registers, which several may want to make: whoever hears -EEXIST
 * reads what it says.
 */
MUST_CHECK int backend_put(struct backend *b, const char *name,
			   const void *data, size_t len);
/*
 * The same for a name that nobody else can have, such as one with random bytes
 * or with a hash of the object in it. What is there already was put by this
 * client, whose first answer was lost on the way: NFS sends a link() again and
 * hears of its own, and so does whoever repeats a put. It is asked about, never
 * guessed.
 * Return 0 when the object is there with these very bytes, durable; -EEXIST when
 * others are there (said in words); or as backend_put().
 */
MUST_CHECK int backend_put_own(struct backend *b, const char *name,
			       const void *data, size_t len);
/*
 * Read exactly @len bytes at @off.
 * Return 0, -ENOENT, -EBADMSG (the object ends before that) or another negative
 * errno.
 */
MUST_CHECK int backend_get(struct backend *b, const char *name, uint64_t off,
			   void *data, size_t len);
/* Read a whole object, with one request, into memory that the caller frees.
 * Return 0, -EFBIG (it is longer than @max: silent, for the caller knows whether
 * that is wrong), or as backend_get(). */
MUST_CHECK int backend_get_all(struct backend *b, const char *name, size_t max,
			       uint8_t **out, size_t *len_out);
/* Say how long an object is, and since when it is there. Return 0, -ENOENT or
 * another negative errno. */
MUST_CHECK int backend_head(struct backend *b, const char *name,
			    struct backend_info *info_out);
/*
 * Call @fn on this thread for every object whose name begins with @prefix
 * (which ends in '/' or is ""), in any order. Unfinished uploads are not
 * objects. What is put or deleted meanwhile may be listed or not. What is no
 * plain file but stands where one belongs is listed with size 0: it hides none
 * of the others, and reading it fails with -EBADMSG.
 * Return 0, @fn's answer, or a negative errno: any error while listing is an
 * error, never the end of the list. A prefix under which nothing was ever put
 * is an empty list.
 */
MUST_CHECK int backend_list(struct backend *b, const char *prefix,
			    backend_list_fn *fn, void *arg);
/* The same for whoever wants names alone: what @fn is told besides them means
 * nothing, so that a store which has to ask for that of each object need not. */
MUST_CHECK int backend_list_plain(struct backend *b, const char *prefix,
				  backend_list_fn *fn, void *arg);
/* What tells one state of a folder from another. Zero it. */
struct backend_stamp {
	uint64_t words[8];
};
/*
 * Take a stamp of the folder @prefix ("commit/"), whose objects lie in it side by
 * side: to be taken before it is listed. A later one that is the same proves that
 * nothing was put there or deleted since, so that the listing would find what it
 * found. What is in an object it does not tell.
 * Return false where nothing can be told: the store has no such thing, as those
 * that are reached by a network, or the folder changed so recently that the grain
 * of its times might hide another change.
 */
MUST_CHECK bool backend_take_stamp(struct backend *b, const char *prefix,
				   struct backend_stamp *out);
/*
 * Make durable what stands under @name, whoever put it: he may have died
 * before his own promise was kept, so that a power cut could still take the
 * object away. What is not there is never made anew, for a name that somebody
 * deleted must not come back. A store that answers only when an object is
 * durable has nothing to do but to look whether it is there.
 * Return 0, -ENOENT or another negative errno.
 */
MUST_CHECK int backend_sync(struct backend *b, const char *name);
/*
 * Put @data in the place of an object that is there and damaged, in one step, durably:
 * whoever reads finds the one or the other. Objects never change, so this is for who
 * can prove that the object was these very bytes.
 * Return 0, -EOPNOTSUPP (the store cannot do that) or another negative errno.
 */
MUST_CHECK int backend_replace(struct backend *b, const char *name,
			       const void *data, size_t len);
/* Delete an object, durably, also where somebody else just did. Return 0, -ENOENT (a
 * store may say 0 of what was not there) or another negative errno. */
MUST_CHECK int backend_delete(struct backend *b, const char *name);
/* Delete @n objects, durably, with as few requests as may be; one that is not
 * there is none to delete. Return 0 when all are gone, or a negative errno when
 * some may be there; all were tried. */
MUST_CHECK int backend_delete_many(struct backend *b, const char *const *names,
				   size_t n);
/*
 * Call @fn with the name of each folder that a store makes for a new vault and that
 * is not there any more. What was in it is lost, and no listing tells: one that
 * is not there is empty. Vaults that were made before there were all of today's
 * kinds of objects may lack folders and nothing else. A store without folders
 * lacks none. @fn is called as by backend_list().
 * Return 0, @fn's answer, or a negative errno, said in words.
 */
MUST_CHECK int backend_missing_folders(struct backend *b,
				       int (*fn)(void *arg, const char *folder),
				       void *arg);
/* Make them again, empty and durable. Return 0 or a negative errno, said in
 * words. */
MUST_CHECK int backend_make_folders(struct backend *b);
/* Try whether the place really gives create-if-absent, range reads,
 * read-after-write listing and delete. Return 0 or the negative errno said in
 * words; leaves nothing behind. */
MUST_CHECK int backend_probe(struct backend *b);
/*
 * Whether who runs this may delete what others put under @prefix ("index/"), as far as
 * that is seen without trying it: what would be refused in the middle had better not
 * be begun.
 * Return 0 (yes, or nobody can tell), or -EACCES, -EPERM or -EROFS, said in words.
 */
MUST_CHECK int backend_may_delete(struct backend *b, const char *prefix);
#define BACKEND_LAG_MAX 320
/*
 * Whether what other clients put, or delete, may be seen late here, by what kind of
 * place it is: a probe by one client cannot tell. @why gets a part of a sentence, as in
 * "it is mounted by fuse.sshfs, which ...". A collection beside other writers relies on
 * it that nothing is. What is not known is not said to be so.
 */
MUST_CHECK bool backend_may_lag(struct backend *b, char why[BACKEND_LAG_MAX]);

/* In memory, with injected faults: the tests' backend. See mem.h. */

#endif
