/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Index objects: which packs there are and what is in them; and their way
 * into the database. Plaintext of index/<sid>-<n>:
 *
 *     varint packs; each: varint length, name "<sid>-<n>-<sha256>",
 *                         u64 size, u8 kind, 32 salt,
 *                         varint length, the pack's directory in plain
 */
#include "config.h"

#include "store/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/vault_internal.h"

void index_put_pack(struct buf *out, const char *name, uint64_t size,
		    uint8_t kind, const uint8_t *salt, const uint8_t *dir,
		    size_t dir_len)
{
	buf_put_bytes(out, name, strlen(name));
	buf_put_le64(out, size);
	buf_put_u8(out, kind);
	buf_put(out, salt, CRYPT_SALT_LEN);
	buf_put_bytes(out, dir, dir_len);
}

int index_decode(const void *data, size_t len, const char *name,
		 int (*fn)(void *arg, const struct index_pack *p), void *arg)
{
	struct reader r;
	uint64_t i, n;
	int err = 0;

	reader_init(&r, data, len);
	n = reader_varint_max(&r, len / 100 + 1);
	for (i = 0; i < n && !r.bad && err == 0; i++) {
		char object[OBJECT_NAME_MAX];
		struct index_pack p;
		const uint8_t *s;
		size_t slen;

		s = reader_bytes(&r, PACK_NAME_MAX - 1, &slen);
		p.size = reader_le64(&r);
		p.kind = reader_u8(&r);
		p.salt = reader_get(&r, CRYPT_SALT_LEN);
		p.dir = reader_bytes(&r, FORMAT_DIR_MAX, &p.dir_len);
		if (r.bad)
			break;
		memcpy(p.name, s, slen);
		p.name[slen] = '\0';
		if (strlen(p.name) != slen ||
		    format_pack_object_name(p.name, object) < 0 ||
		    (p.kind != OBJECT_DATA_PACK &&
		     p.kind != OBJECT_TREE_PACK) ||
		    p.size > FORMAT_PACK_MAX)
			r.bad = true;
		else
			err = fn(arg, &p);
	}
	if (err != 0)
		return err;
	if (!reader_done(&r))
		return fail(-EBADMSG, "%s: authentic, but malformed", name);
	return 0;
}

struct import {
	struct catalog_pack *packs;
	struct pack_dir *dirs;
	size_t n, cap;
};

static int import_pack(void *arg, const struct index_pack *p)
{
	struct import *im = arg;
	struct catalog_pack *c;
	int r;

	if (im->n == im->cap) {
		size_t cap = im->cap ? 2 * im->cap : 64;
		void *packs, *dirs;

		packs = reallocarray(im->packs, cap, sizeof(*im->packs));
		if (!packs)
			return -ENOMEM;
		im->packs = packs;
		dirs = reallocarray(im->dirs, cap, sizeof(*im->dirs));
		if (!dirs)
			return -ENOMEM;
		im->dirs = dirs;
		im->cap = cap;
	}
	r = format_get_dir(p->dir, p->dir_len, p->name, false,
			   &im->dirs[im->n]);
	if (r < 0)
		return r;
	c = &im->packs[im->n++];
	memset(c, 0, sizeof(*c));
	memcpy(c->row.name, p->name, sizeof(c->row.name));
	memcpy(c->row.salt, p->salt, CRYPT_SALT_LEN);
	c->row.size = p->size;
	c->row.kind = p->kind;
	c->dir = p->dir;
	c->dir_len = p->dir_len;
	return 0;
}

static int import_run(struct vault *v, const char *source, struct import *im)
{
	size_t i;

	/* The array of directories may have moved while it grew. */
	for (i = 0; i < im->n; i++)
		im->packs[i].decoded = &im->dirs[i];
	return catalog_import(v->catalog, source, im->packs, im->n);
}

static void import_release(struct import *im)
{
	size_t i;

	for (i = 0; i < im->n; i++)
		format_release_dir(&im->dirs[i]);
	free(im->packs);
	free(im->dirs);
}

static int import_object(struct vault *v, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct import im = { 0 };
	uint8_t *raw = NULL;
	size_t len = 0;
	int r = vault_get_all(v, name, FORMAT_BOX_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(v->keyring, raw, len, OBJECT_INDEX, name,
				    &plain);
	if (r == 0)
		r = index_decode(plain.data, plain.len, name, import_pack, &im);
	if (r == 0)
		r = import_run(v, name, &im);
	import_release(&im);
	free(raw);
	return r;
}

/* ---- refresh ---- */

struct names {
	char **list;
	size_t n, cap;
};

static int names_add(struct names *names, const char *name)
{
	if (names->n == names->cap) {
		size_t cap = names->cap ? 2 * names->cap : 64;
		char **list = reallocarray(names->list, cap, sizeof(*list));

		if (!list)
			return -ENOMEM;
		names->list = list;
		names->cap = cap;
	}
	names->list[names->n] = strdup(name);
	return names->list[names->n++] ? 0 : -ENOMEM;
}

static void names_release(struct names *names)
{
	while (names->n > 0)
		free(names->list[--names->n]);
	free(names->list);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool names_has(const struct names *names, const char *name)
{
	return names->n && bsearch(&name, names->list, names->n,
				   sizeof(*names->list), by_text);
}

static int on_listed(void *arg, const char *name, uint64_t size)
{
	(void)size;
	return names_add(arg, name);
}

static int on_source(void *arg, const char *source)
{
	return names_add(arg, source);
}

/* Index objects that are gone take what only they knew with them. */
static int drop_gone(struct vault *v, const struct names *listed)
{
	struct names known = { 0 };
	size_t i;
	int r = catalog_sources(v->catalog, on_source, &known);

	for (i = 0; i < known.n && r == 0; i++)
		if (strncmp(known.list[i], "index/", 6) == 0 &&
		    !names_has(listed, known.list[i]))
			r = catalog_drop_source(v->catalog, known.list[i]);
	names_release(&known);
	return r;
}

int vault_refresh(struct vault *v)
{
	struct names listed = { 0 };
	uint64_t lists = atomic_load(&v->lists);
	int r, bad = 0;
	size_t i;

	r = backend_list(v->backend, "index/", on_listed, &listed);
	if (r == 0 && listed.n)
		qsort(listed.list, listed.n, sizeof(*listed.list), by_text);
	if (r == 0)
		r = drop_gone(v, &listed);
	for (i = 0; i < listed.n && r == 0; i++) {
		r = catalog_has_source(v->catalog, listed.list[i]);
		if (r == 0)
			r = import_object(v, listed.list[i]);
		/* An index object that is damaged (a flipped bit can make
		 * its version a later one, too) or lies on a bad sector
		 * hides its own packs alone. */
		if (r == -EBADMSG || r == -ENOENT || r == -EOPNOTSUPP ||
		    r == -EIO) {
			bad++;
			r = 0;
		}
		if (r > 0)
			r = 0;
	}
	if (bad)
		log_warn("%d index object%s could not be read; chunks only "
			 "they know of are missing",
			 bad, bad > 1 ? "s" : "");
	names_release(&listed);
	if (r == 0) {
		atomic_store(&v->refresh_lists, lists);
		atomic_store(&v->refresh_ns,
			     v->seam->ops->monotonic_ns(v->seam));
	}
	return r;
}

/* ---- packs without an index ---- */

int index_adopt_pack(struct vault *v, const char *name, uint64_t size)
{
	uint8_t head[FORMAT_HEADER_LEN], tail[FORMAT_TRAILER_LEN];
	char object[OBJECT_NAME_MAX], key_name[OBJECT_NAME_MAX];
	struct import im = { 0 };
	struct object_header h;
	struct pack_trailer t;
	struct seal_key key;
	struct frame f;
	uint8_t *in = NULL, *plain = NULL;
	struct index_pack p;
	int r;

	if (format_pack_object_name(name, object) < 0 ||
	    format_pack_key_name(name, key_name) < 0)
		return fail(-EBADMSG, "pack/%s: not a pack's name", name);
	if (size < FORMAT_HEADER_LEN + CRYPT_TAG_LEN + FORMAT_TRAILER_LEN ||
	    size > FORMAT_PACK_MAX)
		return fail(-EBADMSG, "%s: damaged: %llu bytes long", object,
			    (unsigned long long)size);
	r = vault_get(v, object, 0, head, sizeof(head));
	if (r == 0)
		r = vault_get(v, object, size - sizeof(tail), tail,
			      sizeof(tail));
	if (r == 0)
		r = format_get_header(head, sizeof(head), object, &h);
	if (r == 0)
		r = format_get_trailer(tail, size, object, &t);
	if (r < 0)
		return r;
	if ((h.type != OBJECT_DATA_PACK && h.type != OBJECT_TREE_PACK) ||
	    memcmp(h.vault_id, keyring_vault_id(v->keyring), VAULT_ID_LEN) != 0)
		return fail(-EBADMSG, "%s: not a pack of this vault", object);
	r = keyring_seal_key(v->keyring, h.type, key_name, h.salt, &key);
	if (r == 0 && !crypt_equal(key.commit, h.commit, CRYPT_COMMIT_LEN))
		r = fail(-EBADMSG,
			 "%s: damaged or misplaced: it is not sealed "
			 "for this vault under this name",
			 object);
	if (r < 0)
		return r;
	f = (struct frame){ t.dir_off, t.dir_clen, t.dir_plen, t.codec };
	in = malloc((size_t)f.clen + CRYPT_TAG_LEN);
	plain = malloc(f.plen ? f.plen : 1);
	r = in && plain ? vault_get(v, object, f.off, in,
				    (size_t)f.clen + CRYPT_TAG_LEN)
			: -ENOMEM;
	if (r == 0) {
		r = format_open_frame(&key, FORMAT_DIR_FRAME, &f, in, plain);
		if (r == -EBADMSG)
			(void)fail(r,
				   "%s: damaged: its directory does not "
				   "match its seal",
				   object);
	}
	if (r == 0) {
		memset(&p, 0, sizeof(p));
		memcpy(p.name, name, strlen(name) + 1);
		p.size = size;
		p.kind = h.type;
		p.salt = h.salt;
		p.dir = plain;
		p.dir_len = f.plen;
		r = import_pack(&im, &p);
	}
	if (r == 0)
		r = import_run(v, object, &im);
	import_release(&im);
	explicit_bzero(&key, sizeof(key));
	free(in);
	free(plain);
	return r;
}
