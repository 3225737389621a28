/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories. Names and inode numbers that cannot be do not come through here,
 * whatever an image says.
 *
 * For the formats whose directories are lists, names are looked up here, too:
 * the entries of the directories used last stand in hash tables with their
 * names whole, so that no choice of names gives a wrong answer, and, as the
 * hash is keyed, none a slow one.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/guest_internal.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/stop.h"
#include "store/crypt/siphash.h"

/* ---- what is passed over ---- */

/* Return whether that is news. */
static bool note_spoiled(struct guest_common *c, uint64_t dir)
{
	int r = 0;

	SCOPED_LOCK(&c->lock);
	if (!atomic_load(&c->all_spoiled))
		r = c->spoiled.n < GUEST_SPOILED_MAX
			    ? node_set_add(&c->spoiled, dir)
			    : -ENOMEM;
	if (r < 0)
		atomic_store(&c->all_spoiled, true);
	atomic_store(&c->any_spoiled, true);
	return r != 0;
}

static bool is_spoiled(struct guest_common *c, uint64_t dir)
{
	if (!atomic_load_explicit(&c->any_spoiled, memory_order_acquire))
		return false;
	SCOPED_LOCK(&c->lock);
	return atomic_load(&c->all_spoiled) || node_set_has(&c->spoiled, dir);
}

void guest_dir_spoil(struct guest *g, uint64_t dir, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	/* A request that is to end makes good things look damaged. */
	if (stop_asked() || !note_spoiled(g->common, dir))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_warn("%s: directory %llu: %s: what is damaged is left out, and its "
		 "listing ends with an error",
		 g->ops->name, (unsigned long long)dir, text);
}

/* ---- listing ---- */

struct checked_listing {
	struct guest *g;
	uint64_t dir;
	guest_dir_fn *fn;
	void *arg;
};

static int guard_entry(void *arg, const char *name, size_t len, uint64_t node,
		       unsigned int type, uint64_t cookie)
{
	struct checked_listing *guard = arg;

	if (stop_asked())
		return -ECANCELED;
	if (!entry_name_ok(name, len) || node == 0 || node >= GUEST_NODE_MAX ||
	    cookie == 0 || cookie > INT64_MAX) {
		guest_dir_spoil(guard->g, guard->dir,
				"an entry with a name or inode number that "
				"cannot be");
		return 0;
	}
	return guard->fn(guard->arg, name, len, node, type, cookie);
}

int guest_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		  guest_dir_fn *fn, void *arg)
{
	struct checked_listing guard = {
		.g = g, .dir = dir, .fn = fn, .arg = arg
	};
	int r;

	if (dir == 0 || dir >= GUEST_NODE_MAX)
		return -ENOENT;
	r = g->ops->readdir(g, dir, cookie, guard_entry, &guard);
	if (r == 0 && stop_asked())
		return -ECANCELED;
	return r == 0 && is_spoiled(g->common, dir) ? -EBADMSG : r;
}

/* ---- looking up ---- */

struct slot {
	uint64_t node; /* 0: free */
	uint32_t hash; /* the upper half */
	uint32_t name; /* in names: a byte of length, then the name */
};

struct guest_dir {
	atomic_uint refs;
	int missing; /* what a name that is not here gets */
	size_t nslots; /* a power of two; a quarter of them is free */
	struct slot *slots; /* owned */
	struct buf names;
};

static void dir_get(void *object)
{
	struct guest_dir *d = object;

	atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
}

static void dir_put(void *object)
{
	struct guest_dir *d = object;

	if (!d ||
	    atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) != 1)
		return;
	buf_release(&d->names);
	free(d->slots);
	free(d);
}

const struct lru_ops guest_dir_lru = { .get = dir_get, .put = dir_put };

/* Loading: names come first, and one pass over them fills the table. */
struct dir_load {
	struct buf names;
	struct buf nodes; /* 8 bytes each */
	uint64_t n;
};

static int load_entry(void *arg, const char *name, size_t len, uint64_t node,
		      unsigned int type, uint64_t cookie)
{
	struct dir_load *l = arg;

	(void)type;
	(void)cookie;
	if (++l->n > GUEST_DIR_ENTRIES || l->names.len > GUEST_DIR_NAMES)
		return -E2BIG;
	buf_put_u8(&l->names, (uint8_t)len);
	buf_put(&l->names, name, len);
	buf_put(&l->nodes, &node, sizeof(node));
	return l->names.failed || l->nodes.failed ? -ENOMEM : 0;
}

/* The slot of a name, or the free one where it would be. */
static struct slot *find_slot(const struct guest_dir *d, uint64_t hash,
			      const void *name, size_t len)
{
	size_t i = (size_t)hash & (d->nslots - 1);

	while (d->slots[i].node) {
		struct slot *s = &d->slots[i];
		const uint8_t *at = d->names.data + s->name;

		if (s->hash == hash >> 32 && at[0] == len &&
		    memcmp(at + 1, name, len) == 0)
			return s;
		i = (i + 1) & (d->nslots - 1);
	}
	return &d->slots[i];
}

static int fill(struct guest_dir *d, const struct dir_load *l,
		const uint8_t *sipkey)
{
	size_t at = 0;
	uint64_t i;

	for (d->nslots = 4; d->nslots / 4 * 3 < l->n;)
		d->nslots *= 2;
	d->slots = alloc_array(d->nslots, sizeof(*d->slots));
	if (!d->slots)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		const uint8_t *name = d->names.data + at;
		uint64_t hash = siphash(sipkey, name + 1, name[0]);
		struct slot *s = find_slot(d, hash, name + 1, name[0]);

		if (!s->node) { /* of two with one name the first counts */
			memcpy(&s->node, l->nodes.data + i * 8, 8);
			s->hash = (uint32_t)(hash >> 32);
			s->name = (uint32_t)at;
		}
		at += 1u + name[0];
	}
	return 0;
}

/*
 * What a damaged directory had before the damage is remembered too: of other
 * names nobody knows whether they are there. Return 0, -E2BIG (too large to be
 * remembered) or another error.
 */
static int load_dir(struct guest *g, uint64_t dir, struct guest_dir **out)
{
	struct dir_load l = { .names = BUF_INIT, .nodes = BUF_INIT };
	struct guest_dir *d = calloc(1, sizeof(*d));
	int r = -ENOMEM;

	*out = NULL;
	if (!d)
		return r;
	atomic_init(&d->refs, 1);
	r = guest_readdir(g, dir, 0, load_entry, &l);
	/* A reader may have taken the end of the request for damage. */
	if (r == -EBADMSG && stop_asked())
		r = -ECANCELED;
	if (r == 0 || r == -EBADMSG) {
		d->missing = r == 0 ? -ENOENT : r;
		d->names = l.names;
		l.names = (struct buf)BUF_INIT;
		r = fill(d, &l, g->common->sipkey);
	}
	buf_release(&l.names);
	buf_release(&l.nodes);
	if (r < 0) {
		dir_put(d);
		return r;
	}
	lru_add(&g->common->dirs, dir, 0, d,
		sizeof(*d) + d->names.cap + d->nslots * sizeof(*d->slots));
	*out = d;
	return 0;
}

struct search {
	const char *name;
	size_t len;
	uint64_t node;
};

static int search_entry(void *arg, const char *name, size_t len, uint64_t node,
			unsigned int type, uint64_t cookie)
{
	struct search *s = arg;

	(void)type;
	(void)cookie;
	if (len != s->len || memcmp(name, s->name, len) != 0)
		return 0;
	s->node = node;
	return 1;
}

static int search_dir(struct guest *g, uint64_t dir, const char *name,
		      size_t len, uint64_t *node_out)
{
	struct search s = { .name = name, .len = len };
	int r = guest_readdir(g, dir, 0, search_entry, &s);

	if (r < 0)
		return r;
	if (r == 0)
		return -ENOENT;
	*node_out = s.node;
	return 0;
}

/* Look a name up for a reader that does not do it itself. */
static int lookup_in_list(struct guest *g, uint64_t dir, const char *name,
			  size_t len, uint64_t *node_out)
{
	struct guest_dir *d = lru_get(&g->common->dirs, dir, 0);
	const struct slot *s;
	int r;

	if (!d) {
		r = load_dir(g, dir, &d);
		/* What could not be read now may be readable the next time. */
		if (r == -E2BIG || r == -EIO)
			return search_dir(g, dir, name, len, node_out);
		if (r < 0)
			return r;
	}
	s = find_slot(d, siphash(g->common->sipkey, name, len), name, len);
	r = s->node ? 0 : d->missing;
	if (s->node)
		*node_out = s->node;
	dir_put(d);
	return r;
}

int guest_lookup(struct guest *g, uint64_t dir, const char *name,
		 uint64_t *node_out)
{
	size_t len = strnlen(name, GUEST_NAME_MAX + 1);
	uint64_t node;
	int r;

	if (len > GUEST_NAME_MAX)
		return -ENAMETOOLONG;
	if (dir == 0 || dir >= GUEST_NODE_MAX || !entry_name_ok(name, len))
		return -ENOENT;
	if (!g->ops->lookup)
		return lookup_in_list(g, dir, name, len, node_out);
	r = g->ops->lookup(g, dir, name, len, &node);
	if (r == -EAGAIN)
		return lookup_in_list(g, dir, name, len, node_out);
	if (r < 0)
		return r;
	if (node == 0 || node >= GUEST_NODE_MAX)
		return -EBADMSG; /* there is such a name: readdir says it */
	*node_out = node;
	return 0;
}
