/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The index objects of a session. Packs are named in them once they are
 * durable, and from then on the database answers for what they hold.
 *
 * One is closed well before any bound of the format, whatever the chunks are
 * like: an index object that is too large to be put takes the session with it,
 * and every session after it that adopts the same packs.
 */
#include "config.h"

#include "store/writer/internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/index.h"
#include "store/vault.h"

/* In an index object, beside the directory: the name and its length, size,
 * kind, epoch, salt, the directory's length; and, once, the number of packs. */
#define PACK_ENTRY_MAX (PACK_NAME_MAX + 8 + 1 + 4 + CRYPT_SALT_LEN + 10 + 10)

/* From now on the database answers for them, and the set of claimed ids stays
 * as small as what is not indexed yet. */
static int forget_chunks(struct writer *w, const struct index_pack *p)
{
	struct pack_dir dir;
	size_t i;
	int r = format_get_dir(p->dir, p->dir_len, p->name, false, &dir);

	if (r < 0)
		return r;
	pthread_mutex_lock(&w->lock);
	for (i = 0; i < dir.nchunks; i++)
		idset_remove(&w->claimed, &dir.chunks[i].id);
	pthread_mutex_unlock(&w->lock);
	format_release_dir(&dir);
	return 0;
}

/* Packs of ours, now in the database: their chunks need not be remembered. */
static int own_pack(void *arg, const struct index_pack *p)
{
	struct writer *w = arg;
	char source[OBJECT_NAME_MAX];
	int64_t no;
	int r = catalog_pack_no(vault_catalog(w->vault), p->name, &no);

	if (r == 0)
		r = writer_mark_usable(w, no);
	if (r == 0)
		r = format_pack_object_name(p->name, source);
	if (r == 0)
		r = forget_chunks(w, p);
	if (r == 0)
		r = catalog_drop_source(vault_catalog(w->vault), source);
	return r == -ENOENT ? 0 : r;
}

static int flush(struct writer *w, const struct buf *packs, size_t n)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	unsigned int number;
	int r;

	pthread_mutex_lock(&w->lock);
	number = w->next_index++;
	pthread_mutex_unlock(&w->lock);
	buf_put_varint(&plain, n);
	buf_put(&plain, packs->data, packs->len);
	assert(plain.len <= FORMAT_BOX_MAX);
	snprintf(name, sizeof(name), "index/%s-%u", w->sid, number);
	/* A backup that was fenced off had better end now than in hours. */
	r = writer_check_fenced(w);
	if (r == 0)
		r = writer_put_box(w, OBJECT_INDEX, name, &plain, NULL);
	/*
	 * Reading it back checks it, and moves its chunks to the database. Of
	 * others nothing is asked: what they named since this session began, it
	 * may not refer to.
	 */
	if (r == 0) {
		r = vault_import_index(w->vault, name);
		if (r == -ENOENT || backend_error_is_of_object(r))
			r = fail(-EIO, "%s: written, but cannot be read back",
				 name);
	}
	if (r == 0)
		r = index_decode(plain.data, plain.len, name, own_pack, NULL,
				 w);
	return r;
}

static int64_t monotonic_ns(const struct writer *w)
{
	struct seam *seam = vault_seam(w->vault);

	return seam->ops->monotonic_ns(seam);
}

/* Is it time to close the index, or will it be with @more bytes? The caller
 * holds the lock. */
static bool index_is_full(const struct writer *w, size_t more)
{
	return w->nindex > 0 &&
	       (w->nindex >= WRITER_INDEX_PACKS ||
		w->index_chunks >= WRITER_INDEX_CHUNKS ||
		w->index.len + more > FORMAT_INDEX_TARGET ||
		monotonic_ns(w) - w->index_ns >= WRITER_INDEX_NS);
}

/*
 * Write the index if it is full, or with @all whatever there is. It is taken
 * off the session before, so that other threads go on naming packs in the next
 * one; who finds that full as well waits for the first to be written.
 */
static int flush_if(struct writer *w, bool all, size_t more)
{
	struct buf packs = BUF_INIT;
	size_t n = 0;
	int r;

	pthread_mutex_lock(&w->lock);
	while (w->flushing)
		pthread_cond_wait(&w->flushed, &w->lock);
	if (all || index_is_full(w, more)) {
		packs = w->index;
		n = w->nindex;
		w->index = (struct buf)BUF_INIT;
		w->nindex = w->index_chunks = 0;
	}
	w->flushing = n > 0;
	pthread_mutex_unlock(&w->lock);
	if (n == 0)
		return 0;
	r = flush(w, &packs, n);
	buf_release(&packs);
	pthread_mutex_lock(&w->lock);
	w->flushing = false;
	pthread_cond_broadcast(&w->flushed);
	pthread_mutex_unlock(&w->lock);
	return r;
}

int writer_flush_index(struct writer *w)
{
	return flush_if(w, true, 0);
}

int writer_flush_due(struct writer *w)
{
	return flush_if(w, false, 0);
}

/* A pack of an older version may have a directory that is larger than an index
 * object should be: it gets one of its own, which is within the format's
 * bounds. */
int writer_index_pack(struct writer *w, const char *name, uint64_t size,
		      uint8_t kind, uint32_t epoch, const uint8_t *salt,
		      const struct buf *dir, size_t nchunks)
{
	size_t more = PACK_ENTRY_MAX + dir->len;
	bool put = false;
	int r = 0;

	while (r == 0 && !put) {
		r = flush_if(w, false, more);
		pthread_mutex_lock(&w->lock);
		/* Others may have named theirs since. */
		put = r == 0 && !index_is_full(w, more);
		if (put) {
			index_put_pack(&w->index, name, size, kind, epoch, salt,
				       dir->data, dir->len);
			if (w->nindex++ == 0)
				w->index_ns = monotonic_ns(w);
			w->index_chunks += nchunks;
			r = buf_error(&w->index);
		}
		pthread_mutex_unlock(&w->lock);
	}
	return r == 0 ? flush_if(w, false, 0) : r;
}
