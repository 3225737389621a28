/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each session leaves an index object, and each reader has to list and fetch
 * them all. A session that finds many small ones, once its point is made, merges
 * them: a new object says what they say, and which ones it supersedes, so that
 * nobody needs them any more. They stay: to delete is the business of a
 * collection.
 *
 * What is merged comes from the objects themselves, and not from the local
 * database, which is no evidence. An object goes into one merged object as a
 * whole; one that cannot be read stays as it is.
 */
#include "config.h"

#include "store/writer/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/index.h"
#include "store/vault.h"

/* More small ones than these are merged. */
#define SMALL_MAX 64

struct small_indexes {
	const struct vault *vault; /* borrowed */
	char (*names)[OBJECT_NAME_MAX]; /* owned */
	size_t n, cap;
};

struct index_merge {
	struct writer *writer;
	struct buf packs; /* of the object being made */
	size_t npacks, nmerged;
	struct idset have; /* hashes of the packs in it */
	char (*gone)[INDEX_NAME_MAX]; /* what it supersedes; owned */
	size_t ngone, gone_cap;
};

static int on_index(void *arg, const char *name,
		    const struct backend_info *info)
{
	struct small_indexes *l = arg;

	if (info->size >= FORMAT_INDEX_TARGET ||
	    strlen(name) >= OBJECT_NAME_MAX || !index_name_ok(name + 6) ||
	    !vault_is_own(l->vault, name + 6))
		return 0;
	if (array_reserve(&l->names, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	memcpy(l->names[l->n++], name, strlen(name) + 1);
	return 0;
}

/* Keep those that are in use: others are superseded, or cannot be read. */
static int drop_unused(struct writer *w, struct small_indexes *l)
{
	size_t i, n = 0;
	int r = 0;

	for (i = 0; i < l->n && r >= 0; i++) {
		r = catalog_has_source(vault_catalog(w->vault), l->names[i]);
		if (r == 1)
			memmove(l->names[n++], l->names[i], OBJECT_NAME_MAX);
	}
	l->n = n;
	return MIN(r, 0);
}

static int add_pack(void *arg, const struct index_pack *p)
{
	struct index_merge *m = arg;
	struct id hash;
	int r = format_pack_hash(p->name, hash.b);

	if (r == 0)
		r = idset_add(&m->have, &hash);
	if (r <= 0)
		return r;
	index_put_pack(&m->packs, p->name, p->size, p->kind, p->epoch, p->salt,
		       p->dir, p->dir_len);
	m->npacks++;
	return buf_error(&m->packs);
}

static int add_gone(void *arg, const char *name)
{
	struct index_merge *m = arg;

	if (array_reserve(&m->gone, &m->gone_cap, m->ngone + 1) < 0)
		return -ENOMEM;
	snprintf(m->gone[m->ngone++], INDEX_NAME_MAX, "%s", name);
	return 0;
}

/* Begin another object. */
static void reset(struct index_merge *m)
{
	buf_release(&m->packs);
	idset_release(&m->have);
	m->npacks = m->nmerged = m->ngone = 0;
}

/* To merge one alone would be for nothing. */
static int put_merged(struct index_merge *m)
{
	struct writer *w = m->writer;
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	/* The oldest names are the first, and may go. */
	size_t i = m->ngone > INDEX_SUPERSEDED_MAX
			   ? m->ngone - INDEX_SUPERSEDED_MAX
			   : 0;
	int r = 0;

	if (m->nmerged > 1) {
		buf_put_varint(&plain, m->npacks);
		buf_put(&plain, m->packs.data, m->packs.len);
		buf_put_varint(&plain, m->ngone - i);
		for (; i < m->ngone; i++)
			buf_put_bytes(&plain, m->gone[i], strlen(m->gone[i]));
		snprintf(name, sizeof(name), "index/%s-%u.m", w->sid,
			 w->next_index++);
		r = writer_put_box(w, OBJECT_INDEX, name, &plain, NULL);
	}
	reset(m);
	return r;
}

/* What is too long stays as it is. */
static int begin_one(void *arg, uint64_t len)
{
	struct index_merge *m = arg;

	if (len > INDEX_MERGED_MAX / 2)
		return 1;
	return m->packs.len + len > INDEX_MERGED_MAX - (4u << 20)
		       ? put_merged(m)
		       : 0;
}

static int merge_one(struct index_merge *m, const char *name)
{
	const struct index_visitor visitor = {
		.begin = begin_one, .pack = add_pack, .gone = add_gone, .arg = m
	};
	int r = index_read_sure(m->writer->vault, name, &visitor);

	if (r == 0)
		r = add_gone(m, name + 6);
	m->nmerged += r == 0;
	return backend_error_is_of_object(r) || r == -ENOENT || r == -EOPNOTSUPP
		       ? 0
		       : MIN(r, 0);
}

static int merge_all(struct writer *w, const struct small_indexes *l)
{
	struct index_merge m = { .writer = w };
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++)
		r = merge_one(&m, l->names[i]);
	if (r == 0)
		r = put_merged(&m);
	reset(&m);
	free(m.gone);
	/* Reading it back checks it. */
	return r == 0 ? vault_refresh(w->vault) : r;
}

static int count_index(void *arg, const char *source)
{
	*(size_t *)arg += strncmp(source, "index/", 6) == 0;
	return 0;
}

void writer_merge_indexes(struct writer *w)
{
	struct small_indexes l = { .vault = w->vault };
	size_t in_use = 0;
	int r = catalog_sources(vault_catalog(w->vault), count_index, &in_use);

	if (r == 0 && in_use > SMALL_MAX)
		r = vault_list(w->vault, "index/", on_index, &l);
	if (r == 0)
		r = drop_unused(w, &l);
	if (r == 0 && l.n > SMALL_MAX)
		r = merge_all(w, &l);
	if (r < 0)
		log_warn("the point is made, but index objects could not be "
			 "merged: the next backup tries again");
	free(l.names);
}
