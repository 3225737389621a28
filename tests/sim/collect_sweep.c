/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a collector does once it is decided: its own sweep, or another's. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/idset.h"
#include "store/format.h"
#include "store/index.h"
#include "store/vault.h"
#include "tests/sim/collect.h"

#define ATTEMPTS 3

static int delete_pack(struct cycle *c, const char *name)
{
	char object[OBJECT_NAME_MAX];
	int r = format_pack_object_name(name, object), i;

	for (i = 0; i < ATTEMPTS; i++) {
		r = backend_delete(vault_backend(c->vault), object);
		if (r == 0 || r == -ENOENT)
			return 0;
	}
	return r;
}

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	(void)info;
	return pack_list_has(arg, strrchr(object, '/') + 1) ? -EAGAIN : 0;
}

int cycle_delete_packs(struct cycle *c, const struct pack_list *l)
{
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++)
		r = delete_pack(c, l->names[i]);
	return r < 0 ? r
		     : backend_list_plain(vault_backend(c->vault), "pack/",
					  on_pack, (void *)(uintptr_t)l);
}

/* ---- others' cycles ---- */

static int finish(struct cycle *c, const char *tomb)
{
	AUTO_BUF struct buf plain = BUF_INIT, there = BUF_INIT;
	struct pack_list packs = { .n = 0 };
	char name[OBJECT_NAME_MAX];
	bool aborted;
	int r;

	snprintf(name, sizeof(name), "sweep/%.32s", tomb + 5);
	sweep_encode(NULL, &plain);
	r = cycle_decide(c, OBJECT_SWEEP, name, &plain, &there);
	if (r == 0)
		r = sweep_decode(there.data, there.len, name, &aborted, &packs);
	if (r == 0)
		r = cycle_delete_packs(c, &packs);
	pack_list_release(&packs);
	if (r == 0)
		r = backend_delete(vault_backend(c->vault), tomb);
	return r == -ENOENT ? 0 : r;
}

/* How old a tomb is does not matter; it is a question of manners. */
int cycle_take_over(struct cycle *c)
{
	AUTO_NAMES struct backend_names tombs = { NULL, 0, 0 };
	size_t i;
	int r = backend_list_names(vault_backend(c->vault), "tomb/", &tombs);

	for (i = 0; i < tombs.n && r == 0; i++)
		if (!sim.current || sim_dice(2))
			r = finish(c, tombs.list[i]);
	return r;
}

/* ---- the index ---- */

struct rewrite {
	struct cycle *cycle;
	struct buf packs;
	size_t npacks;
	struct idset have; /* hashes of the packs in it */
	struct backend_names gone; /* what the new object supersedes */
};

static int on_entry(void *arg, const struct index_pack *p)
{
	struct rewrite *w = arg;
	struct id hash;
	int r = format_pack_hash(p->name, hash.b);

	if (r == 0)
		r = pack_list_has(&w->cycle->doomed, p->name)
			    ? 0
			    : idset_add(&w->have, &hash);
	if (r <= 0)
		return r;
	index_put_pack(&w->packs, p->name, p->size, p->kind, p->epoch, p->salt,
		       p->dir, p->dir_len);
	w->npacks++;
	return buf_error(&w->packs);
}

static int on_gone(void *arg, const char *name)
{
	struct rewrite *w = arg;

	return backend_names_add(&w->gone, name);
}

static int read_index(struct rewrite *w, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = cycle_read(w->cycle, OBJECT_INDEX, name, &plain);

	if (r == 0)
		r = index_decode(plain.data, plain.len, name, on_entry, on_gone,
				 w);
	return r < 0 ? r : backend_names_add(&w->gone, name + 6);
}

static int put_index(struct rewrite *w)
{
	AUTO_BUF struct buf plain = BUF_INIT, there = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r;

	buf_put_varint(&plain, w->npacks);
	if (w->npacks > 0)
		buf_put(&plain, w->packs.data, w->packs.len);
	buf_put_varint(&plain, w->gone.n);
	for (i = 0; i < w->gone.n; i++)
		buf_put_bytes(&plain, w->gone.list[i], strlen(w->gone.list[i]));
	snprintf(name, sizeof(name), "index/%s-0.m", w->cycle->gid);
	r = cycle_decide(w->cycle, OBJECT_INDEX, name, &plain, &there);
	return r;
}

/* Only those that were read into the new object. */
static int delete_indexes(struct cycle *c, const struct backend_names *l)
{
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++) {
		r = backend_delete(vault_backend(c->vault), l->list[i]);
		if (r == -ENOENT)
			r = 0;
	}
	return r;
}

int cycle_rewrite_index(struct cycle *c)
{
	AUTO_NAMES struct backend_names listed = { NULL, 0, 0 };
	struct rewrite w = { .cycle = c };
	size_t i;
	int r = backend_list_names(vault_backend(c->vault), "index/", &listed);

	for (i = 0; i < listed.n && r == 0; i++)
		r = read_index(&w, listed.list[i]);
	if (r == 0)
		r = put_index(&w);
	if (r == 0)
		r = delete_indexes(c, &listed);
	buf_release(&w.packs);
	idset_release(&w.have);
	backend_names_release(&w.gone);
	/* Somebody else was quicker: the next cycle does it. */
	return r == -ENOENT ? 0 : r;
}
