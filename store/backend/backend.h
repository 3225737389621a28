/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where objects live: names to bytes, nothing else.
 *
 * Seven operations; a backend is a table of them. Callers use only the wrappers
 * below, which check names and ranges and the answers of the table. A name is
 * relative, '/'-separated, of the characters [a-z0-9._-], at most 200 long.
 * All operations may block and are safe from any thread.
 */
#ifndef STORE_BACKEND_BACKEND_H
#define STORE_BACKEND_BACKEND_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct seam;
struct backend;

#define BACKEND_NAME_MAX 200

/* What is known of an object without reading it. */
struct backend_info {
	uint64_t size; /* bytes */
	/* When it was stored, in nanoseconds since 1970, by the clock of the
	 * store and not by that of who put it. */
	int64_t stored_ns;
};

/* Called for each object found. Return 0 to go on; anything else ends the
 * listing and is what backend_list() returns. */
typedef int backend_list_fn(void *arg, const char *name,
			    const struct backend_info *info);

struct backend_ops {
	int (*put)(struct backend *b, const char *name, const void *data,
		   size_t len);
	int (*get)(struct backend *b, const char *name, uint64_t off,
		   void *data, size_t len);
	int (*head)(struct backend *b, const char *name,
		    struct backend_info *info_out);
	int (*list)(struct backend *b, const char *prefix, backend_list_fn *fn,
		    void *arg);
	int (*sync)(struct backend *b, const char *name);
	int (*delete)(struct backend *b, const char *name);
	int (*probe)(struct backend *b);
	/* Make room for a new vault: -EEXIST where one is already. */
	int (*create)(struct backend *b);
	void (*close)(struct backend *b);
};

/* All backends have this, and embed it first. */
struct backend {
	const struct backend_ops *ops;
	char *url; /* owned; for messages */
};

/*
 * Open the backend that @url names: a path, or scheme:rest. Nothing is
 * created and nothing is checked but that the place exists (local: that the
 * directory can be opened). @seam is borrowed until backend_close().
 * Return 0, -ENOENT (no such place), -EINVAL (unknown scheme) or another
 * negative errno, said in words.
 */
MUST_CHECK int backend_open(const char *url, struct seam *seam,
			    struct backend **out);
/* Make the place for a vault that is about to be made (one directory, whose
 * parent must exist) and open it. Return 0, -EEXIST (it is not empty), or as
 * backend_open(). */
MUST_CHECK int backend_create(const char *url, struct seam *seam,
			      struct backend **out);
/* Close it and free it. NULL is fine. */
void backend_close(struct backend *b);

/*
 * Store @data under @name, if nothing is there. On 0 the object is durable
 * and whole; on an error but -EEXIST it is absent, or (a lost reply) whole.
 * Return 0, -EEXIST (it is there: somebody else made it, or this very call did
 * and repeated itself when the answer was lost), -ENOSPC, -EDQUOT, -EROFS, -EACCES
 * or another negative errno. -EEXIST is silent, the rest said in words.
 */
MUST_CHECK int backend_put(struct backend *b, const char *name,
			   const void *data, size_t len);
/*
 * Read exactly @len bytes at @off.
 * Return 0, -ENOENT (no such object; silent), -EBADMSG (the object ends before
 * that; said in words) or another negative errno (said in words).
 */
MUST_CHECK int backend_get(struct backend *b, const char *name, uint64_t off,
			   void *data, size_t len);
/* Read a whole object into memory that the caller frees. Return 0, -EFBIG (it
 * is longer than @max), or as backend_get(). */
MUST_CHECK int backend_get_all(struct backend *b, const char *name, size_t max,
			       uint8_t **out, size_t *len_out);
/* Say how long an object is, and since when it is there. Return 0, -ENOENT
 * (silent) or another negative errno. */
MUST_CHECK int backend_head(struct backend *b, const char *name,
			    struct backend_info *info_out);
/*
 * Call @fn for every object whose name begins with @prefix (which ends in '/'
 * or is ""), in any order. Unfinished uploads are not objects.
 * Return 0, @fn's answer, or a negative errno: any error while listing is an
 * error, never the end of the list. A prefix under which nothing was ever put
 * is an empty list.
 */
MUST_CHECK int backend_list(struct backend *b, const char *prefix,
			    backend_list_fn *fn, void *arg);
/*
 * Make durable what stands under @name, whoever put it: he may have died
 * before his own promise was kept, so that a power cut could still take the
 * object away. What is not there is never made anew, for a name that somebody
 * deleted must not come back. A store that answers only when an object is
 * durable has nothing to do but to look whether it is there.
 * Return 0, -ENOENT (no such object; silent) or another negative errno, said in
 * words.
 */
MUST_CHECK int backend_sync(struct backend *b, const char *name);
/* Delete an object, durably. Return 0, -ENOENT (silent) or another negative
 * errno. */
MUST_CHECK int backend_delete(struct backend *b, const char *name);
/* Try whether the place really gives create-if-absent, range reads,
 * read-after-write listing and delete. Return 0 or the negative errno said in
 * words; leaves nothing behind. */
MUST_CHECK int backend_probe(struct backend *b);

/* In memory, with injected faults: the tests' backend. See mem.h. */

#endif
