/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a session may refer to. Only packs seen in a listing made after the
 * session object was created, and after the tombs were listed: a collector
 * that condemns a pack puts its tomb first and then waits for every session
 * it finds, so whoever saw a condemned pack is decided before it goes.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/internal.h"

bool writer_pack_usable(struct writer *w, int64_t no)
{
	SCOPED_LOCK(&w->lock);
	return no >= 0 && (uint64_t)no / 8 < w->usable_len &&
	       (w->usable[no / 8] >> (no % 8) & 1);
}

int writer_mark_usable(struct writer *w, int64_t no)
{
	size_t want = (size_t)no / 8 + 1, len;

	SCOPED_LOCK(&w->lock);
	len = w->usable_len;
	if (array_reserve(&w->usable, &w->usable_len, want) < 0)
		return -ENOMEM;
	memset(w->usable + len, 0, w->usable_len - len);
	w->usable[no / 8] |= (uint8_t)(1 << (no % 8));
	return 0;
}

bool writer_intact(struct writer *w)
{
	return w->intact;
}

/* Packs that were listed but that the database does not know. */
struct unknown {
	char name[PACK_NAME_MAX];
	uint64_t size;
};

struct pack_listing {
	struct writer *writer;
	struct unknown *unknown; /* owned */
	size_t n, cap;
	size_t tombs;
};

static int on_tomb(void *arg, const char *name, const struct backend_info *info)
{
	struct pack_listing *l = arg;

	(void)name;
	(void)info;
	l->tombs++;
	return 0;
}

static int note_unknown(struct pack_listing *l, const char *name, uint64_t size)
{
	if (array_reserve(&l->unknown, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	memcpy(l->unknown[l->n].name, name, strlen(name) + 1);
	l->unknown[l->n++].size = size;
	return 0;
}

static void avoid_name(char out[OBJECT_NAME_MAX], const char *name)
{
	snprintf(out, OBJECT_NAME_MAX, "damaged/%s", name);
}

int writer_avoid_pack(struct catalog *c, const char *name)
{
	char note[OBJECT_NAME_MAX];

	avoid_name(note, name);
	return catalog_put_object(c, note, "", 0);
}

static bool is_avoided(struct catalog *c, const char *name)
{
	AUTO_BUF struct buf none = BUF_INIT;
	char note[OBJECT_NAME_MAX];

	avoid_name(note, name);
	return catalog_get_object(c, note, &none) == 0;
}

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	struct pack_listing *l = arg;
	const char *name = strrchr(object, '/') + 1;
	char expected[OBJECT_NAME_MAX];
	struct pack_row row;
	int64_t no;
	int r;

	if (strlen(name) >= PACK_NAME_MAX ||
	    format_pack_object_name(name, expected) < 0 ||
	    strcmp(object, expected) != 0) {
		log_warn("%s: not a pack's name: left alone", object);
		return 0;
	}
	r = catalog_pack_no(vault_catalog(l->writer->vault), name, &no);
	if (r == -ENOENT)
		return note_unknown(l, name, info->size);
	if (r == 0)
		r = catalog_get_pack(vault_catalog(l->writer->vault), no, &row,
				     NULL);
	if (r < 0)
		return r;
	if (row.size != info->size) {
		log_warn("%s: damaged: %llu bytes long, not %llu; nothing new "
			 "will refer to it",
			 object, (unsigned long long)info->size,
			 (unsigned long long)row.size);
		return 0;
	}
	if (is_avoided(vault_catalog(l->writer->vault), name))
		return 0;
	return writer_mark_usable(l->writer, no);
}

static int check_intact(void *arg, const struct pack_row *row)
{
	struct writer *w = arg;

	if (!writer_pack_usable(w, row->no)) {
		log_warn("pack/%s: missing or damaged; what it held is stored "
			 "again where the source still has it",
			 row->name);
		w->intact = false;
	}
	return 0;
}

int writer_list(struct writer *w)
{
	struct pack_listing l = { .writer = w };
	size_t i;
	int r = writer_settle_indexes(w);

	if (r == 0)
		r = backend_list(vault_backend(w->vault), "tomb/", on_tomb, &l);
	/* While something is being collected, refer to nothing old: it
	 * costs space, never safety. */
	if (r == 0 && l.tombs == 0)
		r = backend_list(vault_backend(w->vault), "pack/", on_pack, &l);
	w->intact = r == 0 && l.tombs == 0;
	if (r == 0 && l.tombs == 0)
		r = catalog_packs(vault_catalog(w->vault), check_intact, w);
	for (i = 0; i < l.n && r == 0; i++)
		r = writer_adopt_pack(w, l.unknown[i].name, l.unknown[i].size);
	if (r == 0)
		r = writer_index_adopted(w);
	free(l.unknown);
	return r;
}
