/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A session, from its first object to its commit. The order in which objects
 * become durable is all that keeps a vault whole when a writer dies:
 *
 *     packs, then the index that names them, then the point, then its commit
 *
 * At each moment what is there refers only to what was there before it. Death
 * before the commit leaves objects that nobody refers to; the next session
 * adopts the packs among them.
 *
 * An error hits the whole session, for a chunk that was claimed and is not
 * stored would be missing from whatever refers to it. It is remembered, every
 * later call returns it, and no commit follows.
 */
#include "config.h"

#include "store/writer/writer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/base/zip.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/vault.h"
#include "store/writer/internal.h"
#include "store/writer/session.h"

int writer_fail(struct writer *w, int err)
{
	SCOPED_LOCK(&w->lock);
	if (w->error == 0)
		w->error = err;
	return err;
}

int writer_error(struct writer *w)
{
	SCOPED_LOCK(&w->lock);
	return w->error;
}

static int create_session(struct writer *w, const char *kind)
{
	struct seam *seam = vault_seam(w->vault);
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int r = keyring_new_sid(vault_keyring(w->vault), seam, w->sid);

	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "session/%s", w->sid);
	r = session_encode(w->sid, kind, seam->ops->realtime_ns(seam), &plain);
	if (r == 0)
		r = writer_put_box(w, OBJECT_SESSION, name, &plain, NULL);
	/* What it says of this host is no part of what the point adds. */
	w->stats.bytes_packed = 0;
	return r;
}

static int begin(struct vault *v, const char *kind, int level,
		 struct pool *pool, struct writer **out)
{
	struct point_list *before = NULL;
	struct writer *w;
	int r;

	*out = NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->flushed, NULL);
	w->vault = v;
	w->level = w->disk_level = level;
	w->pool = pool;
	w->beat_ns = vault_seam(v)->ops->monotonic_ns(vault_seam(v));
	if (pool)
		w->uploads = pool_new(WRITER_UPLOADS, WRITER_UPLOADS_WAIT);
	r = pool && !w->uploads ? -ENOMEM : 0;
	/*
	 * Before the session, for nothing is written to a vault that went back.
	 * What is a point then is one later, too, for registers stay; what may
	 * be relied on is asked when the session has begun (writer_list()).
	 */
	if (r == 0)
		r = vault_points(v, &before);
	point_list_put(before);
	if (r == 0)
		r = vault_may_write(v);
	if (r == 0)
		r = vault_signing_key(v, &w->signer);
	if (r == 0)
		r = create_session(w, kind);
	if (r == 0)
		r = vault_refresh(v);
	if (r == 0)
		r = writer_list(w);
	if (r < 0) {
		writer_free(w);
		return r;
	}
	*out = w;
	return 0;
}

int writer_may_commit(const struct writer *w)
{
	if (w->signer || !vault_demands_signatures(w->vault))
		return 0;
	return fail(-ENOKEY,
		    "%s: the points of this vault have to be signed, and this "
		    "machine has no signing key: see vmbackup key sign-new",
		    vault_url(w->vault));
}

int writer_begin(struct vault *v, int level, struct pool *pool,
		 struct writer **out)
{
	return begin(v, "backup", level, pool, out);
}

int writer_begin_collect(struct vault *v, int level, struct writer **out)
{
	return begin(v, "collect", level, NULL, out);
}

void writer_set_disk_level(struct writer *w, int level)
{
	w->disk_level = level;
}

/* Jobs of this session among the pool's hold a pointer to it. */
static void wait_for_jobs(struct writer *w)
{
	if (w->pool)
		pool_wait(w->pool);
}

void writer_free(struct writer *w)
{
	size_t i;

	if (!w)
		return;
	wait_for_jobs(w);
	pool_free(w->uploads);
	for (i = 0; i < w->nzips; i++)
		zip_free(w->zips[i]);
	free(w->zips);
	for (i = 0; i < ARRAY_SIZE(w->open); i++)
		pack_free(w->open[i]);
	idset_release(&w->claimed);
	buf_release(&w->index);
	packset_release(&w->whole);
	packset_release(&w->usable);
	packset_release(&w->used);
	free(w->used_list);
	packset_release(&w->swept);
	free(w->stand);
	point_list_put(w->points);
	secret_free(w->signer);
	pthread_cond_destroy(&w->flushed);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

struct point_list *writer_points(struct writer *w)
{
	return point_list_get(w->points);
}

const char *writer_session(const struct writer *w)
{
	return w->sid;
}

struct vault *writer_vault(struct writer *w)
{
	return w->vault;
}

void writer_get_stats(struct writer *w, struct writer_stats *out)
{
	SCOPED_LOCK(&w->lock);
	*out = w->stats;
}

/* ---- packs ---- */

struct upload_job {
	struct writer *writer;
	struct pack *pack;
};

/* Number, seal and put a pack, then name it in the next index: never before it
 * is durable. */
static int upload(struct writer *w, struct pack *p)
{
	struct vault *v = w->vault;
	char object[OBJECT_NAME_MAX];
	unsigned int n;
	int r;

	pthread_mutex_lock(&w->lock);
	n = w->next_pack++;
	r = w->error;
	pthread_mutex_unlock(&w->lock);
	if (r == 0)
		r = pack_seal(p, vault_keyring(v), vault_seam(v), w->sid, n);
	if (r == 0)
		r = format_pack_object_name(p->name, object);
	if (r == 0)
		r = writer_put(w, object, p->bytes.data, p->bytes.len);
	if (r == 0)
		r = writer_put_parity(w, p);
	if (r == 0)
		r = writer_index_pack(w, p->name, p->bytes.len, p->kind,
				      p->epoch, p->salt, &p->plain_dir,
				      p->dir.nchunks);
	if (r == 0) {
		SCOPED_LOCK(&w->lock);
		w->stats.packs++;
		w->stats.bytes_packed += p->bytes.len;
	}
	return r;
}

/* Sealing a pack and putting it take turns on one thread of a few, so that some
 * packs are on their way while the next one fills: most of a put is waiting for
 * a disk or a network. */
static void run_upload(void *arg)
{
	struct upload_job *u = arg;
	int r = upload(u->writer, u->pack);

	if (r < 0)
		writer_fail(u->writer, r);
	pack_free(u->pack);
	free(u);
}

static int start_upload(struct writer *w, struct pack *p)
{
	struct upload_job *u = malloc(sizeof(*u));

	if (!u) {
		pack_free(p);
		return -ENOMEM;
	}
	*u = (struct upload_job){ w, p };
	if (w->uploads)
		pool_run(w->uploads, run_upload, u);
	else
		run_upload(u);
	return 0;
}

/* The lock is held while compressed bytes are copied into the pack, not while
 * a full one is sealed and put: that is another thread's. */
int writer_append(struct writer *w, uint8_t type,
		  const struct packed_frame *frames, size_t nframes,
		  const struct chunk_ref *chunks, size_t nchunks)
{
	struct pack **open = &w->open[chunk_type_is_data(type) ? 0 : 1];
	struct pack *full = NULL;
	int r;

	pthread_mutex_lock(&w->lock);
	r = w->error;
	if (r == 0 && !*open) {
		*open = pack_new(open == w->open ? OBJECT_DATA_PACK
						 : OBJECT_TREE_PACK);
		r = *open ? 0 : -ENOMEM;
	}
	if (r == 0)
		r = pack_append(*open, frames, nframes, chunks, nchunks);
	if (r == 0 && pack_full(*open)) {
		full = *open;
		*open = NULL;
	}
	pthread_mutex_unlock(&w->lock);
	return full ? start_upload(w, full) : r;
}

/* Packs that are not full go too; the pool is empty when this returns, so all
 * that was ever appended is durable, or the session has failed. */
int writer_drain(struct writer *w)
{
	size_t i;
	int r = 0;

	for (i = 0; i < ARRAY_SIZE(w->open) && r == 0; i++) {
		struct pack *p;

		pthread_mutex_lock(&w->lock);
		p = w->open[i];
		w->open[i] = NULL;
		pthread_mutex_unlock(&w->lock);
		if (p)
			r = start_upload(w, p);
	}
	if (w->uploads)
		pool_wait(w->uploads);
	return r < 0 ? r : writer_error(w);
}

/* ---- the commit ---- */

/* A point that readers would refuse is not committed. */
static int check_point(const struct buf *plain, const struct point *p)
{
	struct point *again;
	int r = point_decode(plain->data, plain->len, p->id, &again);

	if (r == 0)
		point_free(again);
	return r;
}

/*
 * The point's id is random, not a hash: a point that is written twice (once by
 * a session that died before its commit) is two points, of which one counts.
 */
int writer_commit(struct writer *w, struct point *p)
{
	struct seam *seam = vault_seam(w->vault);
	AUTO_BUF struct buf plain = BUF_INIT;
	uint8_t raw[16], hash[CRYPT_SHA256_LEN], own[COMMIT_HASH_LEN];
	char name[OBJECT_NAME_MAX];
	struct writer_stats stats;
	int r;

	wait_for_jobs(w);
	r = writer_drain(w);
	if (r == 0)
		r = writer_flush_index(w);
	if (r == 0)
		r = writer_check_used(w);
	if (r == 0)
		r = seam->ops->random(seam, raw, sizeof(raw));
	if (r < 0)
		return writer_fail(w, r);
	hex_encode(raw, sizeof(raw), p->id);
	memcpy(p->session, w->sid, sizeof(p->session));
	writer_get_stats(w, &stats);
	p->data_added = stats.bytes_new;
	p->data_added_packed = stats.bytes_packed;
	r = writer_note_stand(w, p);
	if (r == 0)
		r = point_encode(p, false, &plain);
	/* The index objects were read back as they were written. */
	if (r == 0)
		r = check_point(&plain, p);
	snprintf(name, sizeof(name), "point/%s", p->id);
	if (r == 0)
		r = writer_put_box(w, OBJECT_POINT, name, &plain, hash);
	if (r == 0)
		r = writer_put_register(w, p, hash, own);
	if (r < 0)
		return writer_fail(w, r);
	vault_remember(w->vault, p, own);
	writer_merge_indexes(w);
	writer_put_digests(w);
	return 0;
}

int writer_finish(struct writer *w)
{
	int r;

	wait_for_jobs(w);
	r = writer_drain(w);
	if (r == 0)
		r = writer_flush_index(w);
	if (r < 0)
		return writer_fail(w, r);
	/* Should that not get there, it looks dead, and what it named stands. */
	writer_put_fenced(w);
	(void)writer_fail(w, -ECANCELED);
	return 0;
}

void writer_abandon(struct writer *w)
{
	wait_for_jobs(w);
	/* What is on its way may serve the next session, too. */
	if (w->uploads)
		pool_wait(w->uploads);
	/* A store that failed is asked for nothing more. */
	if (writer_error(w) == 0)
		writer_put_fenced(w);
	(void)writer_fail(w, -ECANCELED);
}
