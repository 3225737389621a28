/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A node that was passed over because of another's print would take all below it
 * from the living. So which nodes were entered is known by their ids. The set of
 * them is in parts, so that only one of these has to be copied when it grows.
 */
#include "config.h"

#include "store/mark/mark.h"

#include <errno.h>

#include "store/base/idset.h"
#include "store/format.h"
#include "store/mark/packs.h"
#include "store/mark/prints.h"
#include "store/mark/walk.h"
#include "store/vault.h"

#define NODE_PARTS 64

struct mark {
	struct vault *vault; /* borrowed */
	struct task *task; /* borrowed; may be NULL */
	struct walk *walk; /* owned */
	struct walk_visitor visitor;
	struct idset nodes[NODE_PARTS];
	struct prints live; /* all chunks, nodes too */
	int error; /* the first */
};

/* The set chooses slots by the first bytes of an id. */
static size_t part_of(const struct id *id)
{
	return id->b[ID_LEN - 1] % NODE_PARTS;
}

static int on_node(void *arg, const struct id *id)
{
	struct mark *m = arg;
	int r = idset_add(&m->nodes[part_of(id)], id), added = 0;

	if (r == 1)
		added = prints_add(&m->live, prints_of(&m->live, id), NULL);
	return added < 0 ? added : r;
}

static int on_chunks(void *arg, const uint64_t *prints, size_t n)
{
	struct mark *m = arg;
	size_t i;
	int r = 0;

	for (i = 0; i < n && r >= 0; i++)
		r = prints_add(&m->live, prints[i], NULL);
	return MIN(r, 0);
}

int mark_new(struct vault *v, struct mark **out)
{
	struct mark *m = calloc(1, sizeof(*m));
	int r;

	*out = NULL;
	if (!m)
		return -ENOMEM;
	m->vault = v;
	m->visitor = (struct walk_visitor){ on_node, on_chunks, m, &m->live };
	r = prints_init(&m->live, vault_seam(v), false);
	if (r == 0)
		r = walk_new(v, &m->visitor, &m->walk);
	if (r < 0) {
		mark_free(m);
		return r;
	}
	*out = m;
	return 0;
}

void mark_free(struct mark *m)
{
	size_t i;

	if (!m)
		return;
	walk_free(m->walk);
	for (i = 0; i < NODE_PARTS; i++)
		idset_release(&m->nodes[i]);
	prints_release(&m->live);
	free(m);
}

void mark_set_task(struct mark *m, struct task *task)
{
	m->task = task;
}

int mark_point(struct mark *m, const struct point *p)
{
	if (m->error == 0)
		m->error = walk_point(m->walk, p, m->task);
	return m->error;
}

static bool is_node(uint8_t type)
{
	return type == CHUNK_NODE || type == CHUNK_EXTENTS;
}

bool mark_has(const struct mark *m, uint8_t type, const struct id *id)
{
	if (m->error < 0)
		return true;
	return is_node(type) ? idset_has(&m->nodes[part_of(id)], id)
			     : prints_has(&m->live, prints_of(&m->live, id));
}

/* ---- packs ---- */

struct pack_count {
	struct mark *mark;
	int (*fn)(void *arg, const struct mark_pack *p);
	void *arg;
};

static void count_chunk(struct mark *m, const struct pack_found *found,
			const struct chunk_ref *c, struct mark_pack *p)
{
	bool live = mark_has(m, c->type, &c->id);
	uint64_t bytes = packs_chunk_bytes(&found->dir, c);

	p->chunks++;
	p->live_chunks += live;
	*(live ? &p->live_bytes : &p->dead_bytes) += bytes;
	if (live && found->listed)
		prints_hold(&m->live, prints_of(&m->live, &c->id));
}

static int on_pack(void *arg, const struct pack_found *found)
{
	struct pack_count *count = arg;
	struct mark_pack p = { .name = found->name,
			       .size = found->size,
			       .kind = found->kind,
			       .epoch = found->epoch,
			       .listed = found->listed,
			       .readable = found->readable };
	size_t i;

	for (i = 0; i < found->dir.nchunks; i++)
		count_chunk(count->mark, found, &found->dir.chunks[i], &p);
	return count->fn(count->arg, &p);
}

int mark_packs(struct mark *m, int (*fn)(void *arg, const struct mark_pack *p),
	       void *arg)
{
	struct pack_count count = { m, fn, arg };

	if (m->error < 0)
		return m->error;
	prints_let_go(&m->live);
	return packs_each(m->vault, m->task, on_pack, &count);
}

uint64_t mark_unheld(const struct mark *m)
{
	return m->live.n - m->live.held;
}

uint64_t mark_chunks(const struct mark *m)
{
	return m->live.n;
}

uint64_t mark_memory(const struct mark *m)
{
	uint64_t bytes = prints_memory(&m->live) + sizeof(*m);
	size_t i;

	for (i = 0; i < NODE_PARTS; i++)
		bytes += m->nodes[i].cap * sizeof(struct id);
	return bytes;
}
