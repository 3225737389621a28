/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/parity/reader.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/cache.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/parity/internal.h"

/* Mended blocks are kept up to this, and those of one pack in any case. */
#define KEPT_MAX (8u << 20)

/* What was mended of a pack. */
struct patches {
	uint64_t pack_len;
	size_t n; /* 0: nothing can be */
	uint32_t *blocks; /* their numbers, ascending; owned */
	uint8_t *bytes; /* n * PARITY_BLOCK; owned */
};

struct parity_reader {
	struct backend *backend; /* borrowed */
	struct cache *kept; /* by the pack's hash */
	pthread_mutex_t lock; /* protects what follows */
	pthread_cond_t idle;
	bool is_busy; /* a thread mends a pack */
};

static void patches_free(void *object)
{
	struct patches *p = object;

	if (!p)
		return;
	free(p->blocks);
	free(p->bytes);
	free(p);
}

struct parity_reader *parity_reader_new(struct backend *b)
{
	struct parity_reader *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->backend = b;
	p->kept = cache_new(KEPT_MAX, patches_free);
	if (!p->kept) {
		free(p);
		return NULL;
	}
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->idle, NULL);
	return p;
}

void parity_reader_free(struct parity_reader *p)
{
	if (!p)
		return;
	cache_free(p->kept);
	pthread_cond_destroy(&p->idle);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- mending ---- */

static void enter(struct parity_reader *p)
{
	SCOPED_LOCK(&p->lock);
	while (p->is_busy)
		pthread_cond_wait(&p->idle, &p->lock);
	p->is_busy = true;
}

static void leave(struct parity_reader *p)
{
	SCOPED_LOCK(&p->lock);
	p->is_busy = false;
	pthread_cond_signal(&p->idle);
}

static int keep(const struct parity_mended *m, struct patches *p)
{
	size_t i,
		nblocks = (size_t)((m->len + PARITY_BLOCK - 1) / PARITY_BLOCK);

	p->pack_len = m->len;
	p->blocks = alloc_array(m->nmade + 1, sizeof(*p->blocks));
	p->bytes = alloc_array(m->nmade + 1, PARITY_BLOCK);
	if (!p->blocks || !p->bytes)
		return -ENOMEM;
	for (i = 0; i < nblocks && p->n < m->nmade; i++) {
		if (!(m->made[i / 8] >> (i % 8) & 1))
			continue;
		p->blocks[p->n] = (uint32_t)i;
		memcpy(p->bytes + p->n++ * PARITY_BLOCK,
		       m->bytes + i * PARITY_BLOCK,
		       MIN(PARITY_BLOCK, m->len - i * PARITY_BLOCK));
	}
	return 0;
}

struct loading {
	struct parity_reader *reader;
	const char *pack;
};

static int load(void *arg, const struct cache_key *key, void **object_out,
		size_t *bytes_out)
{
	struct loading *l = arg;
	struct patches *p = calloc(1, sizeof(*p));
	struct parity_mended m;
	int r;

	(void)key;
	if (!p)
		return -ENOMEM;
	enter(l->reader);
	r = parity_fetch(l->reader->backend, l->pack, &m);
	if (r == 0)
		r = keep(&m, p);
	parity_release(&m);
	leave(l->reader);
	/* That there is none is worth keeping, too; that nobody answered is not. */
	if (r == -ENOENT || r == -EBADMSG)
		r = 0;
	if (r < 0) {
		patches_free(p);
		return r;
	}
	*object_out = p;
	*bytes_out = sizeof(*p) + p->n * (PARITY_BLOCK + sizeof(*p->blocks));
	return 0;
}

/* ---- reading ---- */

/* Is block @i one of those that were mended? */
static const uint8_t *find_block(const struct patches *p, uint64_t i)
{
	size_t low = 0, high = p->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (p->blocks[middle] == i)
			return p->bytes + middle * PARITY_BLOCK;
		if (p->blocks[middle] < i)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* Fill in what was mended of <off, len>; of the rest, read each block by itself where
 * @reads. Return 0 or a negative errno. */
static int patch(struct parity_reader *r, const struct patches *p,
		 const char *object, uint64_t off, uint8_t *data, size_t len,
		 bool reads)
{
	int err = 0;

	while (len > 0 && err == 0) {
		size_t skip = off % PARITY_BLOCK;
		size_t n = MIN(len, PARITY_BLOCK - skip);
		const uint8_t *block = find_block(p, off / PARITY_BLOCK);

		if (block)
			memcpy(data, block + skip, n);
		else if (reads)
			err = backend_get(r->backend, object, off, data, n);
		off += n;
		data += n;
		len -= n;
	}
	return err;
}

/* That nothing is mended just there does not mean that it cannot be read: the caller may
 * have asked for more at once. */
static int read_patched(struct parity_reader *p, const struct patches *patches,
			const char *pack, uint64_t off, uint8_t *data,
			size_t len)
{
	char name[OBJECT_NAME_MAX], object[OBJECT_NAME_MAX];
	int r;

	if (patches->n == 0 || off > patches->pack_len ||
	    len > patches->pack_len - off)
		return -EBADMSG;
	r = parity_object_name(pack, 0, name);
	if (r < 0)
		return r;
	snprintf(object, sizeof(object), "pack/%.190s",
		 name + strlen("parity/"));
	r = backend_get(p->backend, object, off, data, len);
	if (r < 0 && !backend_error_is_of_object(r))
		return r;
	return patch(p, patches, object, off, data, len, r < 0);
}

int parity_read(struct parity_reader *p, const char *pack, uint64_t off,
		void *data, size_t len)
{
	struct loading loading = { p, pack };
	struct cache_key key;
	bool before;
	void *object;
	int r;

	if (!parity_pack_hash(pack, key.b))
		return -EBADMSG;
	before = log_hush(true);
	r = cache_get(p->kept, &key, load, &loading, &object);
	if (r == 0) {
		r = read_patched(p, object, pack, off, data, len);
		cache_put(p->kept, &key);
	}
	(void)log_hush(before);
	return r;
}
