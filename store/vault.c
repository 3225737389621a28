/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ground that all who read a vault stand on: counted reads from its
 * backend, and what belongs to it. It is made, opened and closed in
 * vault_open.c, which knows all of what stands on this.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>

#include "store/backend/backend.h"
#include "store/base/cache.h"
#include "store/base/log.h"

int vault_get(struct vault *v, const char *name, uint64_t off, void *data,
	      size_t len)
{
	atomic_fetch_add(&v->gets, 1);
	atomic_fetch_add(&v->get_bytes, len);
	return backend_get(v->backend, name, off, data, len);
}

int vault_get_all(struct vault *v, const char *name, size_t max, uint8_t **out,
		  size_t *len_out)
{
	int r = backend_get_all(v->backend, name, max, out, len_out);

	atomic_fetch_add(&v->gets, 1);
	if (r == 0)
		atomic_fetch_add(&v->get_bytes, *len_out);
	if (r == -EFBIG)
		r = fail(-EBADMSG, "%s: damaged: far too long", name);
	return r;
}

const char *vault_url(const struct vault *v)
{
	return backend_url(v->backend);
}

const char *vault_id_hex(const struct vault *v)
{
	return v->id_hex;
}

struct backend *vault_backend(struct vault *v)
{
	return v->backend;
}

struct catalog *vault_catalog(struct vault *v)
{
	return v->catalog;
}

const struct keyring *vault_keyring(const struct vault *v)
{
	return v->keyring;
}

struct seam *vault_seam(struct vault *v)
{
	return v->seam;
}

void vault_get_stats(struct vault *v, struct vault_stats *out)
{
	struct cache_stats frames, nodes, packs;

	cache_get_stats(v->frames, &frames);
	cache_get_stats(v->nodes, &nodes);
	cache_get_stats(v->packs, &packs);
	out->gets = atomic_load(&v->gets);
	out->get_bytes = atomic_load(&v->get_bytes);
	out->frames_decoded = frames.loads;
	out->frame_hits = frames.hits;
	out->nodes_decoded = nodes.loads;
	out->node_hits = nodes.hits;
	out->cache_bytes = frames.bytes + nodes.bytes + packs.bytes;
	out->cache_limit = frames.limit + nodes.limit + packs.limit;
	out->damage = atomic_load(&v->damage);
}
