/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
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
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/pack_read.h"

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

static int import_pack(struct vault *v, const char *name, const char *object,
		       uint64_t size, const struct pack_ends *ends,
		       const struct buf *plain)
{
	struct pack_dir dir;
	struct catalog_pack c = { .dir = plain->data, .dir_len = plain->len };
	int r = format_get_dir(plain->data, plain->len, name, false, &dir);

	if (r < 0)
		return r;
	format_release_dir(&dir);
	memcpy(c.row.name, name, strlen(name) + 1);
	memcpy(c.row.salt, ends->salt, CRYPT_SALT_LEN);
	c.row.size = size;
	c.row.kind = ends->kind;
	r = pack_row_seal(v, &c.row, c.dir, c.dir_len);
	if (r == 0)
		r = catalog_import(vault_catalog(v), object, &c, 1);
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

int vault_import_packs(struct vault *v, size_t *n_out)
{
	struct unnamed_packs u = { .n = 0 };
	size_t i, asked = 0;
	int64_t no;
	int r = vault_list(v, "pack/", on_pack, &u);

	for (i = 0; i < u.n && r == 0; i++) {
		r = catalog_pack_no(v->catalog, u.list[i].name, &no);
		if (r == -ENOENT) {
			r = vault_import_pack(v, u.list[i].name,
					      u.list[i].size);
			asked += r == 0;
		}
		/* It hides its own chunks alone. */
		if (backend_error_is_of_object(r) || r == -ENOENT ||
		    r == -EOPNOTSUPP)
			r = 0;
	}
	free(u.list);
	if (asked)
		log_warn("vault %s: %zu pack%s that no index object names said"
			 " what is in them",
			 vault_url(v), asked, asked == 1 ? "" : "s");
	*n_out = asked;
	return r;
}
