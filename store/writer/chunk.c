/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks on their way into packs: named, looked up, cut into frames,
 * compressed, appended. Whoever claims an id first stores it; all that comes
 * after refers to it, for references are by id and need no location.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/base/zip.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/vault.h"
#include "store/writer/internal.h"

struct zip *writer_get_zip(struct writer *w, uint8_t type)
{
	int level = type == CHUNK_DISK ? w->disk_level : w->level;
	struct zip *z = NULL;

	pthread_mutex_lock(&w->lock);
	if (w->nzips > 0)
		z = w->zips[--w->nzips];
	pthread_mutex_unlock(&w->lock);
	if (!z)
		return zip_new(level);
	zip_set_level(z, level);
	return z;
}

void writer_put_zip(struct writer *w, struct zip *z)
{
	if (!z)
		return;
	SCOPED_LOCK(&w->lock);
	if (array_reserve(&w->zips, &w->zips_cap, w->nzips + 1) < 0)
		zip_free(z);
	else
		w->zips[w->nzips++] = z;
}

/* Several packs may hold a chunk, and not each may be referred to: one may be
 * about to be collected, or damaged. Look at them until one is good. */
static int in_database(struct writer *w, uint8_t type, const struct id *id,
		       uint64_t len)
{
	struct chunk_loc loc = { 0 };
	bool none;
	int r;

	pthread_mutex_lock(&w->lock);
	none = w->usable.len == 0;
	pthread_mutex_unlock(&w->lock);
	if (none)
		return 0; /* the first backup: spare it the queries */
	for (;;) {
		r = catalog_find_chunk(vault_catalog(w->vault), id, loc.pack,
				       &loc);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		if (loc.type != type || (len != 0 && loc.len != len))
			continue;
		r = writer_use_pack(w, loc.pack);
		if (r != 0)
			return r;
	}
}

int writer_has_chunk(struct writer *w, uint8_t type, const struct id *id,
		     uint64_t len)
{
	bool claimed;

	pthread_mutex_lock(&w->lock);
	claimed = idset_has(&w->claimed, id);
	pthread_mutex_unlock(&w->lock);
	return claimed ? 1 : in_database(w, type, id, len);
}

/*
 * Two threads may find that a chunk is new at the same moment, and the database
 * is asked without the lock. So the set of claimed ids is asked twice: before,
 * to spare the query, and after, where adding to it decides who stores. What the
 * database says of packs counts unless @is_anew.
 */
static int claim(struct writer *w, uint8_t type, const struct id *id,
		 size_t len, bool is_anew)
{
	int r = writer_error(w);

	if (r < 0)
		return r;
	pthread_mutex_lock(&w->lock);
	r = idset_has(&w->claimed, id);
	if (r)
		w->stats.chunks_known++;
	pthread_mutex_unlock(&w->lock);
	if (r)
		return 0;
	r = is_anew ? 0 : in_database(w, type, id, len);
	if (r < 0)
		return writer_fail(w, r);
	SCOPED_LOCK(&w->lock);
	if (r == 0) {
		r = idset_add(&w->claimed, id);
		if (r < 0)
			return w->error = w->error ? w->error : r;
		if (r == 1) {
			w->stats.chunks_new++;
			w->stats.bytes_new += len;
			return 1;
		}
	}
	w->stats.chunks_known++;
	return 0;
}

int writer_claim(struct writer *w, uint8_t type, const struct id *id,
		 size_t len)
{
	return claim(w, type, id, len, false);
}

/*
 * Half of what a frame may hold where a read may want little of much: a 4 KiB
 * read in a large file costs one frame. Disks are read like that, too, but what
 * lies in them is many files, which compress better together.
 */
static size_t frame_size(uint8_t type, size_t len)
{
	return type == CHUNK_DATA && len > FORMAT_FRAME_MAX
		       ? FORMAT_FRAME_MAX / 2
		       : FORMAT_FRAME_MAX;
}

int writer_store(struct writer *w, uint8_t type, const struct id *id,
		 const uint8_t *data, size_t len)
{
	size_t max = frame_size(type, len);
	size_t nframes = (len + max - 1) / max, i, off;
	struct packed_frame *frames = alloc_array(nframes, sizeof(*frames));
	struct chunk_ref ref = { *id, (uint32_t)len, 0, 0, type };
	AUTO_BUF struct buf packed = BUF_INIT;
	struct zip *z = writer_get_zip(w, type);
	int r = frames && z ? 0 : -ENOMEM;

	for (i = 0; i < nframes && r == 0; i++)
		r = packed_frame_make(z, data + i * max,
				      MIN(max, len - i * max), &packed,
				      &frames[i]);
	writer_put_zip(w, z);
	for (i = 0, off = 0; i < nframes && r == 0; i++) {
		frames[i].data = packed.data + off;
		off += frames[i].clen;
	}
	if (r == 0)
		r = writer_append(w, type, frames, nframes, &ref, 1);
	free(frames);
	return r < 0 ? writer_fail(w, r) : 0;
}

int writer_name_chunk(struct writer *w, uint8_t type, const void *data,
		      size_t len, struct id *out)
{
	if (len == 0 || len > FORMAT_CHUNK_MAX)
		return fail(-EMSGSIZE, "a chunk of %zu bytes", len);
	return keyring_id(vault_keyring(w->vault), type, data, len, out);
}

int writer_chunk(struct writer *w, uint8_t type, const void *data, size_t len,
		 struct id *out)
{
	int r = writer_name_chunk(w, type, data, len, out);

	if (r == 0)
		r = writer_claim(w, type, out, len);
	return r > 0 ? writer_store(w, type, out, data, len) : r;
}

int writer_chunk_anew(struct writer *w, uint8_t type, const struct id *id,
		      const void *data, size_t len)
{
	struct id real;
	int r = writer_name_chunk(w, type, data, len, &real);

	if (r == 0 && !id_equal(&real, id))
		return -EBADMSG;
	if (r == 0)
		r = claim(w, type, id, len, true);
	return r > 0 ? writer_store(w, type, id, data, len) : r;
}

struct chunk_job {
	struct writer *writer;
	struct id id;
	uint8_t *data;
	size_t len;
	uint8_t type;
};

static void run_job(void *arg)
{
	struct chunk_job *j = arg;

	/* The error, if any, is the session's: the next call meets it. */
	(void)!writer_store(j->writer, j->type, &j->id, j->data, j->len);
	free(j->data);
	free(j);
}

/* Where the pool has no room its threads are busy enough: compressing here
 * slows the reader down to the pace of the rest, and bounds the memory. */
int writer_chunk_take(struct writer *w, uint8_t type, uint8_t *data, size_t len,
		      struct id *out)
{
	struct chunk_job *j;
	int r = writer_name_chunk(w, type, data, len, out);

	if (r == 0)
		r = writer_claim(w, type, out, len);
	if (r <= 0) {
		free(data);
		return r;
	}
	j = malloc(sizeof(*j));
	if (!j) {
		free(data);
		return writer_fail(w, -ENOMEM);
	}
	*j = (struct chunk_job){ w, *out, data, len, type };
	if (!w->pool || !pool_try(w->pool, run_job, j))
		run_job(j);
	return 0;
}
