/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a writing session; private to store/writer. */
#ifndef STORE_WRITER_INTERNAL_H
#define STORE_WRITER_INTERNAL_H

#include "store/writer/writer.h"

#include <pthread.h>

#include "store/base/idset.h"
#include "store/format.h"
#include "store/index.h"
#include "store/writer/pack.h"
#include "store/writer/packset.h"

struct secret;
struct zip;

/* A pack in which a chunk was found. The database may give it another number
 * meanwhile, but it has no other name. */
struct used_pack {
	int64_t no;
	char name[PACK_NAME_MAX];
	bool there; /* it is still listed */
};

/* An index object is closed with this many packs or chunks, or as it reaches
 * FORMAT_INDEX_TARGET; until then their chunks are in memory, then in the
 * database. */
#define WRITER_INDEX_PACKS 128
#define WRITER_INDEX_CHUNKS 50000
/* And so long after its first pack was named in it, however few there are: what
 * an index object names is found by everybody, also when this session dies. */
#define WRITER_INDEX_NS (INT64_C(600) * 1000000000)
/* Packs on their way at once, and full ones that may wait: with the open ones
 * that is what memory holds. */
#define WRITER_UPLOADS 4
#define WRITER_UPLOADS_WAIT 1

struct writer {
	struct vault *vault; /* borrowed */
	char sid[33];
	int level, disk_level;
	struct pool *pool; /* compression; the caller's; NULL: none */
	struct pool *uploads; /* owned; NULL: puts are made in line */

	pthread_mutex_t lock; /* protects everything below */
	/* chunks of this session not yet in the database */
	struct idset claimed;
	struct pack *open[2]; /* data, trees; owned */
	unsigned int next_pack, next_index, next_digest;
	struct buf index; /* packs that no index object names yet */
	size_t nindex, index_chunks;
	int64_t index_ns; /* monotonic: when the first of them was */
	bool flushing; /* somebody writes an index object */
	pthread_cond_t flushed; /* its end */
	/* Packs that were seen, whole, in a listing of this session's, or that
	 * are its own; those of them that new chunks may be found in; and those
	 * in which one was. */
	struct packset whole, usable, used;
	struct used_pack *used_list; /* what is in used; owned */
	size_t nused, used_cap;
	/* Those that a collection deleted: nobody misses them. */
	struct packset swept;
	int error; /* the first that hit any thread: the session is lost */
	struct writer_stats stats;
	struct zip **zips; /* idle compressors; owned */
	size_t nzips, zips_cap;

	/* When a heartbeat was last put, monotonic, and how many; for the thread
	 * that calls writer_tick(). */
	int64_t beat_ns;
	unsigned int nbeats;
	/* The index objects that the point stands on; owned. For the thread that
	 * begins and commits. */
	char (*stand)[INDEX_NAME_MAX];
	size_t nstand, stand_cap;
	struct secret *signer; /* of the point; owned; NULL: it is not signed */
	struct point_list
		*points; /* as listed when the session had begun; held */
};

/* Remember the first error that hit any thread. Return @err. */
int writer_fail(struct writer *w, int err);
int writer_error(struct writer *w);
/* Whether a chunk may be referred to because this pack holds it;
 * writer_use_pack() is for who does: 1, 0 or a negative errno. */
bool writer_pack_usable(struct writer *w, int64_t no);
MUST_CHECK int writer_use_pack(struct writer *w, int64_t no);
/* Mark a pack as whole; and as usable. Return 0 or -ENOMEM. */
MUST_CHECK int writer_mark_whole(struct writer *w, int64_t no);
MUST_CHECK int writer_mark_usable(struct writer *w, int64_t no);
/* Say in @p which index objects it stands on, once all are written. Return 0 or
 * a negative errno. */
MUST_CHECK int writer_note_stand(struct writer *w, struct point *p);
/*
 * Make a pack that was listed, and that no index speaks of, one that the
 * session may refer to. One that is damaged or cannot be read is passed over.
 * Return 0 or -ENOMEM.
 */
MUST_CHECK int writer_adopt_pack(struct writer *w, const char *name,
				 uint64_t size);
/* Whether a session has ended, as far as can be told; its newest pack was stored
 * at @newest_ns. Where that cannot be found out it has not. */
bool writer_is_dead(struct writer *w, const char *sid, int64_t newest_ns);
/* Look whether the session was decided by somebody else. Return 0 (not that one
 * could see) or -ECANCELED, said in words. */
MUST_CHECK int writer_check_fenced(struct writer *w);
/* Look whether each pack in which a chunk was found is still listed, and under
 * which number the database has it now. Return 0 or a negative errno, said in
 * words. */
MUST_CHECK int writer_check_used(struct writer *w);
/* Decide the session for point @p, whose object has that hash. @own_out:
 * COMMIT_HASH_LEN, the hash of the register's plaintext. Return 0, -ECANCELED (fenced)
 * or another negative errno, said in words. */
MUST_CHECK int writer_put_register(struct writer *w, const struct point *p,
				   const uint8_t *point_hash, uint8_t *own_out);
/* Decide the session so that it makes no point, if that can be done. */
void writer_put_fenced(struct writer *w);
/* Merge the vault's small index objects, where there are many, once the session
 * is decided. What fails is said, and harms nothing. */
void writer_merge_indexes(struct writer *w);
/* In digest.c: once the point is made, make digests of points that are in none,
 * where there are many. */
void writer_put_digests(struct writer *w);
/* Name all adopted packs in this session's index. Return 0 or a negative
 * errno. */
MUST_CHECK int writer_index_adopted(struct writer *w);
/* Make durable what indexes of sessions without a point say; what cannot be is
 * forgotten. Return 0 or a negative errno. */
MUST_CHECK int writer_settle_indexes(struct writer *w);
/*
 * An object that only would have spared work failed with @err: go on without
 * it, and let it alone for a day where it is the object's fault. Return 0, or
 * -ENOMEM where that is @err.
 */
MUST_CHECK int writer_pass_over(struct writer *w, const char *object, int err);
/* Whether @object was passed over within the last day. */
bool writer_was_unusable(struct writer *w, const char *object);
/* Create the session object, list tombs and packs, adopt what no index
 * names. */
MUST_CHECK int writer_list(struct writer *w);
/*
 * Put an object of this session; where it is there already with the same
 * bytes, that is a success. Return 0, -EEXIST (other bytes, said in words; of a
 * register whatever bytes, in silence) or another negative errno.
 */
MUST_CHECK int writer_put(struct writer *w, const char *name, const void *data,
			  size_t len);
/* In parity.c: make and put the parity of a pack that is durable, where the vault is to
 * have any. Return 0 or a negative errno, said in words. */
MUST_CHECK int writer_put_parity(struct writer *w, const struct pack *p);
/* Seal @plain and put it under @name; the object's hash to @hash, which may be
 * NULL. Return 0 or a negative errno. */
MUST_CHECK int writer_put_box(struct writer *w, uint8_t type, const char *name,
			      const struct buf *plain, uint8_t *hash);
/* Name a durable pack with its @nchunks chunks in the next index object, and
 * write that one when it is full. Safe from any thread. Return 0 or a negative
 * errno. */
MUST_CHECK int writer_index_pack(struct writer *w, const char *name,
				 uint64_t size, uint8_t kind, uint32_t epoch,
				 const uint8_t *salt, const struct buf *dir,
				 size_t nchunks);
/* Write the index object of what is pending, if anything is, and import it. */
MUST_CHECK int writer_flush_index(struct writer *w);
/* The same, if it is time. */
MUST_CHECK int writer_flush_due(struct writer *w);
/* Hand frames to the open pack of their kind; uploads it when full. */
MUST_CHECK int writer_append(struct writer *w, uint8_t type,
			     const struct packed_frame *frames, size_t nframes,
			     const struct chunk_ref *chunks, size_t nchunks);
/* Upload the open packs and wait for all uploads. */
MUST_CHECK int writer_drain(struct writer *w);

/* The way of a chunk, in its steps; each returns the session's error. */

/* Give a chunk its name. Return 0, -EMSGSIZE or -EIO. */
MUST_CHECK int writer_name_chunk(struct writer *w, uint8_t type,
				 const void *data, size_t len, struct id *out);
/* Claim a chunk for the caller to store. Return 1, 0 (it is there, or somebody
 * else stores it) or a negative errno. */
MUST_CHECK int writer_claim(struct writer *w, uint8_t type, const struct id *id,
			    size_t len);
/* Cut a claimed chunk into frames and append them to a pack. */
MUST_CHECK int writer_store(struct writer *w, uint8_t type, const struct id *id,
			    const uint8_t *data, size_t len);
/* Borrow an idle compressor, or a new one, for chunks of @type; NULL without
 * memory. Give it back with writer_put_zip(), which takes NULL. */
MUST_CHECK struct zip *writer_get_zip(struct writer *w, uint8_t type);
void writer_put_zip(struct writer *w, struct zip *z);

#endif
