/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session that writes: chunks into packs, then an index, then one point.
 *
 *     writer_begin    session/<sid> created; tomb/ then pack/ listed (only
 *                     chunks in packs seen there may be reused); packs of dead
 *                     sessions adopted
 *     writer_chunk... packs uploaded as they fill, each durable and checked
 *     writer_commit   last packs, index, point/<id>, then the register
 *                     commit/<sid>, read back: only then does the point exist
 *
 * Whoever creates commit/<sid> first decides; a writer that finds itself fenced
 * fails with -ECANCELED and what it uploaded serves the next run.
 */
#ifndef STORE_WRITER_WRITER_H
#define STORE_WRITER_WRITER_H

#include "store/base/attrs.h"
#include "store/base/id.h"

#include <stdbool.h>
#include <stdint.h>

struct packset;
struct point;
struct point_list;
struct vault;
struct writer;
struct pool;

struct writer_stats {
	uint64_t chunks_new, chunks_known;
	uint64_t bytes_new; /* plaintext of new chunks */
	uint64_t bytes_packed; /* of objects uploaded */
	uint64_t packs;
	uint64_t packs_adopted; /* of dead sessions, reused */
};

/* Whether a point that the session makes counts. Return 0, or -ENOKEY (the vault
 * demands signatures, and this machine has no signing key; said in words). */
MUST_CHECK int writer_may_commit(const struct writer *w);
/*
 * Begin a session in @v, which must outlive it. New chunks are compressed with
 * zstd at @level; 0 stores them as they are. What writer_chunk_take() is given
 * is compressed on the threads of @pool where it has room: the caller lends it
 * until writer_free(), and may run jobs of its own on it. NULL: all work of the
 * session, puts included, is done on the thread that brings it, in its order.
 * Return 0, or a negative errno said in words.
 */
MUST_CHECK int writer_begin(struct vault *v, int level, struct pool *pool,
			    struct writer **out);
/* The same for a collection, which stores what packs hold that it condemned, and
 * makes no point. */
MUST_CHECK int writer_begin_collect(struct vault *v, int level,
				    struct writer **out);
/* Compress chunks of disks at @level, and not at that of the session. To be called
 * before the first chunk. */
void writer_set_disk_level(struct writer *w, int level);
/* End the session, once the pool is idle; without a commit nothing becomes
 * visible. NULL is fine. */
void writer_free(struct writer *w);
const char *writer_session(const struct writer *w);
/* The points as they were listed once the session had begun: none of them was
 * purged before, so each may be relied on. Give back with point_list_put(). */
struct point_list *writer_points(struct writer *w);
struct vault *writer_vault(struct writer *w);
void writer_get_stats(struct writer *w, struct writer_stats *out);

/*
 * Is the chunk stored in this session, or in a pack that it may refer to?
 * @len 0: of whatever length, for a caller who does not know it. Return 1, 0
 * or a negative errno.
 */
MUST_CHECK int writer_has_chunk(struct writer *w, uint8_t type,
				const struct id *id, uint64_t len);
/*
 * Ask whether this session may take over what the point @p refers to without a
 * look at each chunk. It may where @p, which vault_points() gave after the
 * session had begun, names the index objects that it stands on, each of them
 * could be read, and each pack that they name was listed whole; never with a key that
 * reads nothing, to which the point may have been removed unseen. The new point
 * then stands on them too. For the thread that began the session.
 * Return 1, 0 or a negative errno.
 */
MUST_CHECK int writer_rely_on(struct writer *w, const struct point *p);

/*
 * Let others see that the session is alive, and what it has stored, where ten
 * minutes have passed since they last could: to be called often, by one thread.
 * May block. Return 0, or the error that the session failed with.
 */
int writer_tick(struct writer *w);

/*
 * Store a chunk, if it is new. @data is read before the call returns. May run
 * compression on this thread and may block on uploads (bounded memory).
 * Thread-safe.
 * Return 0 and the id, or the error that the session failed with.
 */
MUST_CHECK int writer_chunk(struct writer *w, uint8_t type, const void *data,
			    size_t len, struct id *out);
/* Store chunk @id, also where a pack of another session holds it, for a caller who does
 * not believe that one. Thread-safe. Return 0; -EBADMSG (@data is not what @id is the
 * name of; silent, nothing was stored); or the error that the session failed with. */
MUST_CHECK int writer_chunk_anew(struct writer *w, uint8_t type,
				 const struct id *id, const void *data,
				 size_t len);
/* As writer_chunk(), taking over @data (malloc'd): compression may run on another
 * thread. */
MUST_CHECK int writer_chunk_take(struct writer *w, uint8_t type, uint8_t *data,
				 size_t len, struct id *out);

/*
 * Wait until the pool is idle, then make everything durable and @p a point. Its
 * id, session, index, data_added and data_added_packed are filled in.
 * Return 0 only when the register was read back as ours; -ECANCELED: fenced; or
 * another negative errno, said in words: no point was made, or nobody answered
 * whether one was.
 */
MUST_CHECK int writer_commit(struct writer *w, struct point *p);

/*
 * Put an index object that names the packs of @packs, by their numbers in the local
 * database, as the pack itself or another index object does, and says that nobody
 * needs the @n index objects called @names ("<sid>-<n>") any more. The caller sees to
 * it that these are damaged or gone, and that each pack that they may have named is
 * among them. What the session has stored so far is named before. Return 0; -EFBIG (it
 * would be too long; silent, nothing was put); or a negative errno, said in words.
 */
MUST_CHECK int writer_supersede(struct writer *w, const struct packset *packs,
				char *const *names, size_t n);
/*
 * End the session without a point, and keep what it stored: all of it is made
 * durable and named in index objects, then the register says that there is no
 * point. Every later call but writer_free() fails. Return 0, or the error that
 * the session failed with, said in words.
 */
MUST_CHECK int writer_finish(struct writer *w);

/*
 * The session makes no point: say so in its register, so that nobody waits for
 * it, and its packs serve the next one at once, on whatever host. Every later
 * call but writer_free() fails. Not to be called after writer_commit()
 * succeeded. Where the store fails nothing is said: the session looks dead
 * then, and is taken for that after a day.
 */
void writer_abandon(struct writer *w);

#endif
