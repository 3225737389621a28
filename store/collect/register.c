/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/register.h"

#include <errno.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/collect/reserve.h"
#include "store/format.h"
#include "store/vault.h"

/* A put that failed, and left nothing, is tried so often. */
#define ATTEMPTS 3

int register_read(struct vault *v, uint8_t type, const char *name,
		  struct buf *out)
{
	AUTO_FREE uint8_t *raw = NULL;
	size_t len;
	int r = vault_get_all(v, name, FORMAT_BOX_OBJECT_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(vault_keyring(v), raw, len, type, name,
				    out);
	return r;
}

static int put_box(struct vault *v, const char *name, const struct buf *box,
		   bool is_own)
{
	struct backend *b = vault_backend(v);

	return is_own ? backend_put_own(b, name, box->data, box->len)
		      : backend_put(b, name, box->data, box->len);
}

static int put(struct vault *v, uint8_t type, const char *name,
	       const struct buf *clear, const struct buf *plain, bool is_own)
{
	AUTO_BUF struct buf box = BUF_INIT;
	int r = buf_error(plain);

	if (r == 0 && clear)
		r = buf_error(clear);
	if (r == 0)
		r = format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				    type, name, clear ? clear->data : NULL,
				    clear ? clear->len : 0, plain->data,
				    plain->len, &box);
	if (r < 0)
		return r;
	r = put_box(v, name, &box, is_own);
	if (reserve_is_full(r) && reserve_spend(v))
		r = put_box(v, name, &box, is_own);
	return r;
}

static int put_and_read(struct vault *v, uint8_t type, const char *name,
			const struct buf *clear, const struct buf *mine,
			bool is_own, struct buf *out)
{
	int wrote = 0, r = -ENOENT, i;

	for (i = 0; i < ATTEMPTS && r == -ENOENT; i++) {
		wrote = put(v, type, name, clear, mine, is_own);
		if (wrote == -ENOMEM || wrote == -EINTR)
			return wrote;
		r = register_read(v, type, name, out);
	}
	/* It stands, and nobody has promised that it will. */
	if (r == 0 && wrote < 0)
		r = backend_sync(vault_backend(v), name);
	if (r == 0)
		return 0;
	return fail(r != -ENOENT		    ? r
		    : wrote < 0 && wrote != -EEXIST ? wrote
						    : -EIO,
		    "%s: nobody answered whether it stands: nothing is deleted",
		    name);
}

int register_put(struct vault *v, uint8_t type, const char *name,
		 const struct buf *clear, const struct buf *mine,
		 struct buf *out)
{
	return put_and_read(v, type, name, clear, mine, false, out);
}

int register_put_own(struct vault *v, uint8_t type, const char *name,
		     const struct buf *clear, const struct buf *plain)
{
	AUTO_BUF struct buf there = BUF_INIT;
	int r = put_and_read(v, type, name, clear, plain, true, &there);

	if (r == 0 && (there.len != plain->len ||
		       memcmp(there.data, plain->data, plain->len) != 0))
		r = fail(-EIO,
			 "%s: what was stored is not what stands there: "
			 "nothing is deleted",
			 name);
	return r;
}
