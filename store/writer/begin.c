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

static int on_tomb(void *arg, const char *name, uint64_t size)
{
	struct pack_listing *l = arg;

	(void)name;
	(void)size;
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

static int on_pack(void *arg, const char *object, uint64_t size)
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
		return note_unknown(l, name, size);
	if (r == 0)
		r = catalog_get_pack(vault_catalog(l->writer->vault), no, &row,
				     NULL);
	if (r < 0)
		return r;
	if (row.size != size) {
		log_warn("%s: damaged: %llu bytes long, not %llu; nothing new "
			 "will refer to it",
			 object, (unsigned long long)size,
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

/*
 * Being listed proves neither that a pack is whole nor that it is still there
 * after a power cut: its writer may have died before its last fsync. To put it
 * again settles both: where it stands, -EEXIST is as durable as success.
 */
static int settle(struct writer *w, const char *name, uint64_t size)
{
	uint8_t want[CRYPT_SHA256_LEN], hash[CRYPT_SHA256_LEN];
	char object[OBJECT_NAME_MAX];
	uint8_t *data = NULL;
	size_t len = 0;
	int r = format_pack_object_name(name, object);

	if (r == 0 && size > FORMAT_PACK_MAX)
		r = -EBADMSG;
	if (r == 0)
		r = format_pack_hash(name, want);
	if (r == 0)
		r = vault_get_all(w->vault, object, FORMAT_PACK_MAX, &data,
				  &len);
	if (r == 0)
		r = crypt_sha256(data, len, hash);
	if (r == 0 && memcmp(hash, want, sizeof(hash)) != 0)
		r = fail(-EBADMSG,
			 "%s: damaged, and of a backup that was not "
			 "finished: left alone",
			 object);
	if (r == 0)
		r = backend_put(vault_backend(w->vault), object, data, len);
	free(data);
	return r == -EEXIST ? 0 : r;
}

/* ---- indexes of sessions that made no point ---- */

/* The sessions of all points, sorted. */
struct sessions {
	const char **ids; /* owned, not what they point to */
	size_t n;
	char (*indexes)[OBJECT_NAME_MAX]; /* of others; owned */
	size_t nindexes, cap;
};

static int by_id(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int on_source(void *arg, const char *source)
{
	struct sessions *s = arg;
	char sid[POINT_ID_HEX + 1];
	const char *key = sid;

	if (strncmp(source, "index/", 6) != 0 ||
	    strlen(source) >= OBJECT_NAME_MAX)
		return 0;
	snprintf(sid, sizeof(sid), "%s", source + 6);
	if (s->n && bsearch(&key, s->ids, s->n, sizeof(*s->ids), by_id))
		return 0;
	if (array_reserve(&s->indexes, &s->cap, s->nindexes + 1) < 0)
		return -ENOMEM;
	strncpy(s->indexes[s->nindexes++], source, OBJECT_NAME_MAX);
	return 0;
}

static int settle_index(struct writer *w, const char *name)
{
	struct catalog *c = vault_catalog(w->vault);
	AUTO_BUF struct buf none = BUF_INIT;
	char note[OBJECT_NAME_MAX + 8];
	uint8_t *data = NULL;
	size_t len = 0;
	int r;

	snprintf(note, sizeof(note), "settled/%s", name);
	r = catalog_get_object(c, note, &none);
	if (r != -ENOENT)
		return r;
	r = vault_get_all(w->vault, name,
			  FORMAT_BOX_MAX + FORMAT_CLEAR_MAX + 4096, &data,
			  &len);
	if (r == 0)
		r = backend_put(vault_backend(w->vault), name, data, len);
	free(data);
	/* Gone meanwhile: then so is what it says. */
	if (r == -ENOENT)
		return catalog_drop_source(c, name);
	return r == 0 || r == -EEXIST ? catalog_put_object(c, note, "", 0) : r;
}

/*
 * What holds for packs holds for indexes: that of a session without a point may
 * be gone after a power cut, and then nobody knows what is in its packs. A
 * point's own were durable before its commit was made.
 */
static int settle_indexes(struct writer *w)
{
	struct sessions s = { 0 };
	struct point_list *l;
	size_t i;
	int r = vault_points(w->vault, &l);

	if (r < 0)
		return r;
	s.ids = alloc_array(l->n + 1, sizeof(*s.ids));
	if (!s.ids)
		r = -ENOMEM;
	for (i = 0; i < l->n && r == 0; i++)
		s.ids[s.n++] = l->points[i]->session;
	if (r == 0) {
		qsort(s.ids, s.n, sizeof(*s.ids), by_id);
		r = catalog_sources(vault_catalog(w->vault), on_source, &s);
	}
	for (i = 0; i < s.nindexes && r == 0; i++)
		r = settle_index(w, s.indexes[i]);
	free(s.ids);
	free(s.indexes);
	point_list_put(l);
	return r;
}

/* A pack that some session uploaded and no index names. */
static int adopt(struct writer *w, const char *name, uint64_t size)
{
	int64_t no;
	int r = settle(w, name, size);

	if (r == 0)
		r = writer_adopt_pack(w, name, size);

	/* Its session may have died while a disk filled: not ours to judge. */
	if (r == -EBADMSG || r == -ENOENT || r == -EOPNOTSUPP)
		return 0;
	if (r == 0)
		r = catalog_pack_no(vault_catalog(w->vault), name, &no);
	if (r == 0)
		r = writer_mark_usable(w, no);
	if (r == 0)
		w->stats.packs_adopted++;
	return r;
}

/* Packs known from their own directories alone must be named by our index. */
static int index_source(void *arg, const char *source)
{
	struct pack_listing *l = arg;

	if (strncmp(source, "pack/", 5) != 0)
		return 0;
	return note_unknown(l, strrchr(source, '/') + 1, 0);
}

static int index_one(struct writer *w, const char *name)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	struct catalog *c = vault_catalog(w->vault);
	struct pack_dir decoded = { 0 };
	struct pack_row row;
	int64_t no;
	int r = catalog_pack_no(c, name, &no);

	if (r < 0 || !writer_pack_usable(w, no))
		return r == -ENOENT ? 0 : r;
	r = catalog_get_pack(c, no, &row, &dir);
	if (r == 0)
		r = format_get_dir(dir.data, dir.len, name, false, &decoded);
	if (r == 0)
		r = writer_index_pack(w, row.name, row.size, row.kind, row.salt,
				      &dir, decoded.nchunks);
	format_release_dir(&decoded);
	return r;
}

static int index_adopted(struct writer *w)
{
	struct pack_listing l = { .writer = w };
	size_t i;
	int r = catalog_sources(vault_catalog(w->vault), index_source, &l);

	for (i = 0; i < l.n && r == 0; i++)
		r = index_one(w, l.unknown[i].name);
	free(l.unknown);
	return r;
}

int writer_list(struct writer *w)
{
	struct pack_listing l = { .writer = w };
	size_t i;
	int r = settle_indexes(w);

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
		r = adopt(w, l.unknown[i].name, l.unknown[i].size);
	if (r == 0)
		r = index_adopted(w);
	free(l.unknown);
	return r;
}
