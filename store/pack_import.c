/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is in packs, on its way into the local database: from index objects, or
 * from the packs themselves.
 *
 * An index object may be long, and what it says longer than memory should be for
 * it. So it is decoded as it is decompressed, and the directories in it are
 * imported a few megabytes at a time. One that is malformed brings nothing into
 * the database: it is gone through twice, unless all of it could be kept the
 * first time, which is the rule.
 *
 * A pack carries its own directory, sealed under its own name, so it can be
 * believed where no index object speaks of it: index objects spare readers to
 * open each pack, and nothing depends on them alone.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/cache.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/index.h"
#include "store/pack_read.h"

/* ---- long index objects ---- */

/* Bytes of directories that are kept for the next transaction. */
#define PENDING_MAX (4u << 20)
/* And packs, whose directories may be next to nothing. */
#define PENDING_PACKS (8u << 10)

/* The packs of one index object, on their way into the database. */
struct long_import {
	struct vault *vault; /* borrowed */
	const char *name; /* of the index object; borrowed */
	/* Where they go; owned. NULL: they are looked at, and kept. */
	struct source_import *into;
	bool too_long; /* not all could be kept */
	struct catalog_pack *packs; /* owned */
	size_t n, cap;
	struct buf dirs; /* their directories; never more than was reserved */
	/* the index objects that it supersedes, a line each */
	struct buf superseded;
};

static void import_release(struct long_import *im)
{
	source_import_free(im->into);
	free(im->packs);
	buf_release(&im->dirs);
	buf_release(&im->superseded);
}

/* Keep nothing. */
static void import_clear(struct long_import *im)
{
	im->n = 0;
	buf_clear(&im->dirs);
	buf_clear(&im->superseded);
}

static int import_kept(struct long_import *im, bool last)
{
	int r = source_import_add(im->into, im->packs, im->n, last);

	im->n = 0;
	buf_clear(&im->dirs);
	return r;
}

static int make_row(struct vault *v, const struct index_pack *p,
		    struct catalog_pack *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->row.name, p->name, sizeof(out->row.name));
	memcpy(out->row.salt, p->salt, CRYPT_SALT_LEN);
	out->row.size = p->size;
	out->row.kind = p->kind;
	out->row.epoch = p->epoch;
	out->dir = p->dir;
	out->dir_len = p->dir_len;
	return pack_row_seal(v, &out->row, out->dir, out->dir_len);
}

static int keep_pack(struct long_import *im, const struct catalog_pack *c)
{
	struct catalog_pack *kept;

	if (array_reserve(&im->packs, &im->cap, im->n + 1) < 0)
		return -ENOMEM;
	kept = &im->packs[im->n++];
	*kept = *c;
	/* There is room for it, so what is there already stays where it is. */
	kept->dir = im->dirs.data + im->dirs.len;
	buf_put(&im->dirs, c->dir, c->dir_len);
	return buf_error(&im->dirs);
}

static int on_index_pack(void *arg, const struct index_pack *p)
{
	struct long_import *im = arg;
	bool fits = p->dir_len <= im->dirs.cap - im->dirs.len &&
		    im->n < PENDING_PACKS;
	struct catalog_pack c;
	int r = im->into ? 0 : format_check_dir(p->dir, p->dir_len, p->name);

	if (r == 0)
		r = index_may_name(im->vault, im->name, p->name, p->epoch);
	if (r == 0 && !fits && im->into)
		r = import_kept(im, false);
	im->too_long = im->too_long || (!fits && !im->into);
	if (r != 0 || im->too_long)
		return r;
	r = make_row(im->vault, p, &c);
	if (r < 0)
		return r;
	/* One that has no room even where nothing else is goes in by itself. */
	return p->dir_len <= im->dirs.cap - im->dirs.len
		       ? keep_pack(im, &c)
		       : source_import_add(im->into, &c, 1, false);
}

static int on_superseded(void *arg, const char *name)
{
	struct long_import *im = arg;
	int r = index_may_name(im->vault, im->name, name, 0);

	if (r < 0)
		return r;
	buf_printf(&im->superseded, "%s\n", name);
	return buf_error(&im->superseded);
}

/* Go through all of it. */
static int decode(struct long_import *im, struct box_pieces *box,
		  const char *name)
{
	const struct index_visitor visitor = { .pack = on_index_pack,
					       .gone = on_superseded,
					       .arg = im };

	im->name = name;
	return index_read_box(box, name, &visitor);
}

/* What a source supersedes is put before the source: whoever finds that finds
 * this. */
static int put_superseded(struct long_import *im, const char *source)
{
	char note[INDEX_NOTE_MAX];

	index_note_name(source, note);
	return im->superseded.len ? catalog_put_object(im->vault->catalog, note,
						       im->superseded.data,
						       im->superseded.len)
				  : 0;
}

/* All that was decoded, when all of it is well-formed. Return as
 * source_import_add(). */
static int import_decoded(struct long_import *im, struct box_pieces *box,
			  const char *name, bool again)
{
	int r;

	source_import_free(im->into);
	r = source_import_begin(im->vault->catalog, name, again, &im->into);
	if (r == 0 && im->too_long) {
		im->too_long = false;
		import_clear(im);
		r = decode(im, box, name);
	}
	if (r == 0)
		r = put_superseded(im, name);
	return r == 0 ? import_kept(im, true) : r;
}

int index_import_long(struct vault *v, const char *name, bool again)
{
	struct long_import im = { .vault = v };
	struct box_pieces *box;
	int r = box_pieces_open(v, OBJECT_INDEX, name, &box);

	if (r < 0)
		return r;
	r = buf_reserve(&im.dirs, (size_t)MIN(box_pieces_len(box) + 1,
					      (uint64_t)PENDING_MAX));
	if (r == 0)
		r = decode(&im, box, name);
	while (r == 0 || r == 1) {
		r = import_decoded(&im, box, name, again);
		if (r == 0)
			break;
		/* Somebody has dropped what was there of it. */
		im.too_long = true;
	}
	import_release(&im);
	box_pieces_free(box);
	return r;
}

/* ---- packs themselves ---- */

/* Fetch the two ends of a pack. */
static int read_ends(struct vault *v, const char *name, const char *object,
		     uint64_t size, struct pack_ends *out)
{
	uint8_t head[FORMAT_HEADER_LEN], tail[FORMAT_TRAILER_LEN];
	int r;

	if (size < FORMAT_HEADER_LEN + CRYPT_TAG_LEN + FORMAT_TRAILER_LEN ||
	    size > FORMAT_PACK_MAX)
		return fail(-EBADMSG, "%s: damaged: %llu bytes long", object,
			    (unsigned long long)size);
	r = vault_get(v, object, 0, head, sizeof(head));
	if (r == 0)
		r = vault_get(v, object, size - sizeof(tail), tail,
			      sizeof(tail));
	if (r == 0)
		r = pack_open_ends(vault_keyring(v), name, head, tail, size,
				   out);
	return r;
}

/* Fetch and open the directory, in plain to @out. */
static int read_dir(struct vault *v, const char *object,
		    const struct pack_ends *ends, struct buf *out)
{
	const struct frame *f = &ends->dir;
	size_t len = (size_t)f->clen + CRYPT_TAG_LEN;
	uint8_t *in = malloc(len);
	int r = in ? buf_reserve(out, MAX(f->plen, 1u)) : -ENOMEM;

	if (r == 0)
		r = vault_get(v, object, f->off, in, len);
	if (r == 0) {
		r = format_open_frame(&ends->key, FORMAT_DIR_FRAME, f, in,
				      out->data);
		if (r == -EBADMSG)
			(void)fail(r,
				   "%s: damaged: its directory does not "
				   "match its seal",
				   object);
	}
	if (r == 0)
		out->len = f->plen;
	free(in);
	return r;
}

/* What is known of the pack becomes what it says itself. */
static int import_pack(struct vault *v, const char *name, const char *object,
		       uint64_t size, const struct pack_ends *ends,
		       const struct buf *plain)
{
	struct catalog_pack c = { .dir = plain->data, .dir_len = plain->len };
	int r = format_check_dir(plain->data, plain->len, name);

	if (r < 0)
		return r;
	memcpy(c.row.name, name, strlen(name) + 1);
	memcpy(c.row.salt, ends->salt, CRYPT_SALT_LEN);
	c.row.size = size;
	c.row.kind = ends->kind;
	c.row.epoch = ends->epoch;
	r = pack_row_seal(v, &c.row, c.dir, c.dir_len);
	if (r == 0)
		r = catalog_import_again(vault_catalog(v), object, &c, 1);
	return r;
}

int vault_import_pack(struct vault *v, const char *name, uint64_t size)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char object[OBJECT_NAME_MAX];
	struct pack_ends ends = { .kind = 0 };
	int r;

	if (format_pack_object_name(name, object) < 0)
		return fail(-EBADMSG, "pack/%s: not a pack's name", name);
	r = read_ends(v, name, object, size, &ends);
	if (r == 0)
		r = read_dir(v, object, &ends, &plain);
	if (r == 0)
		r = import_pack(v, name, object, size, &ends, &plain);
	explicit_bzero(&ends.key, sizeof(ends.key));
	return r;
}

int vault_settle_pack(struct vault *v, const char *name)
{
	char object[OBJECT_NAME_MAX];
	struct backend_info info;
	bool before;
	int r = format_pack_object_name(name, object);

	if (r == 0)
		r = backend_head(v->backend, object, &info);
	if (r == 0) {
		/* Whether it is damaged is not what was asked. */
		before = log_hush(true);
		r = vault_import_pack(v, name, info.size);
		(void)log_hush(before);
	}
	if (r == 0) {
		/* What was made of it before may be of what was not so. */
		cache_clear(v->packs);
		return 1;
	}
	return r == -ENOENT || r == -EOPNOTSUPP || backend_error_is_of_object(r)
		       ? 0
		       : r;
}

int vault_settle_disputes(struct vault *v)
{
	char(*names)[PACK_NAME_MAX];
	size_t n = catalog_take_disputed(v->catalog, &names), i;
	int r = 0;

	for (i = 0; i < n && r >= 0; i++)
		r = vault_settle_pack(v, names[i]);
	free(names);
	return MIN(r, 0);
}

int vault_read_pack_dir(struct vault *v, const char *name, uint64_t size,
			struct pack_dir *out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char object[OBJECT_NAME_MAX];
	struct pack_ends ends = { .kind = 0 };
	int r;

	if (format_pack_object_name(name, object) < 0)
		return fail(-EBADMSG, "pack/%s: not a pack's name", name);
	r = read_ends(v, name, object, size, &ends);
	if (r == 0)
		r = read_dir(v, object, &ends, &plain);
	if (r == 0)
		r = format_get_dir(plain.data, plain.len, name, false, out);
	explicit_bzero(&ends.key, sizeof(ends.key));
	return r;
}

/* ---- all that no index object names ---- */

struct unnamed_pack {
	char name[PACK_NAME_MAX];
	uint64_t size;
};

struct unnamed_packs {
	struct unnamed_pack *list; /* owned */
	size_t n, cap;
};

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	struct unnamed_packs *u = arg;
	const char *name = strrchr(object, '/') + 1;

	if (array_reserve(&u->list, &u->cap, u->n + 1) < 0)
		return -ENOMEM;
	memcpy(u->list[u->n].name, name, strlen(name) + 1);
	u->list[u->n++].size = info->size;
	return 0;
}

static int is_index(void *arg, const char *source)
{
	(void)arg;
	return strncmp(source, "index/", 6) == 0;
}

int pack_told_is_named(struct vault *v, const char *source)
{
	int64_t no;
	int r = catalog_pack_no(v->catalog, strrchr(source, '/') + 1, &no);

	if (r == -ENOENT)
		return 1;
	return r < 0 ? r : catalog_pack_sources(v->catalog, no, is_index, NULL);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct unnamed_pack *)a)->name,
		      ((const struct unnamed_pack *)b)->name);
}

static int on_told(void *arg, const char *source)
{
	return strncmp(source, "pack/", 5) == 0 ? backend_names_add(arg, source)
						: 0;
}

/* A pack that is gone says nothing any more. @told were known before all that there
 * are were listed. */
static int drop_told(struct vault *v, const struct backend_names *told,
		     struct unnamed_packs *u)
{
	size_t i;
	int r = 0;

	if (u->n)
		qsort(u->list, u->n, sizeof(*u->list), by_name);
	for (i = 0; i < told->n && r == 0; i++) {
		const char *name = strrchr(told->list[i], '/') + 1;
		struct unnamed_pack key;

		snprintf(key.name, sizeof(key.name), "%s", name);
		if (u->n == 0 ||
		    !bsearch(&key, u->list, u->n, sizeof(*u->list), by_name))
			r = catalog_drop_source(v->catalog, told->list[i]);
	}
	return r;
}

int vault_import_packs(struct vault *v, size_t *n_out)
{
	struct backend_names told = { .n = 0 };
	struct unnamed_packs u = { .n = 0 };
	/* That it opens nothing of later epochs was said of an old key at once, and
	 * not of each pack. */
	bool is_old = v->newest_epoch > keyring_epoch(v->keyring), before;
	size_t i, asked = 0;
	int64_t no;
	int r = catalog_sources(v->catalog, on_told, &told);

	if (r == 0)
		r = vault_list(v, "pack/", on_pack, &u);
	if (r == 0)
		r = vault_still_stands(v);
	if (r == 0 && !vault_lacks_folder(v, "pack"))
		r = drop_told(v, &told, &u);

	for (i = 0; i < u.n && r == 0; i++) {
		r = catalog_pack_no(v->catalog, u.list[i].name, &no);
		if (r == -ENOENT) {
			before = log_hush(is_old);
			r = vault_import_pack(v, u.list[i].name,
					      u.list[i].size);
			(void)log_hush(before);
			if (is_old)
				r = vault_say_way(v, u.list[i].name, r);
			asked += r == 0;
		}
		/* It hides its own chunks alone. */
		if (backend_error_is_of_object(r) || r == -ENOENT ||
		    r == -EOPNOTSUPP)
			r = 0;
	}
	backend_names_release(&told);
	free(u.list);
	if (asked)
		log_warn("vault %s: %zu pack%s that no index object names said"
			 " what is in them",
			 vault_url(v), asked, asked == 1 ? "" : "s");
	*n_out = asked;
	return r;
}
