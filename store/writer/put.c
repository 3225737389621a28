/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a session puts its objects. Each has a name that nobody else can have,
 * for the session's random id is in it: one that is there already was put by
 * this session, whose first answer was lost on the way. NFS sends a link()
 * again and then hears of its own, and so does whoever repeats a conditional
 * PUT. It is asked about, never guessed. Only its register may be another's.
 */
#include "config.h"

#include "store/writer/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/vault.h"

/* Is the object @name that is there already ours, byte for byte? */
static int read_back(struct vault *v, const char *name, const void *data,
		     size_t len)
{
	uint8_t *there = NULL;
	size_t there_len = 0;
	int r = vault_get_all(v, name, len, &there, &there_len);

	if (r == -ENOENT)
		r = fail(-EIO, "%s: was there already, and is gone", name);
	if (r == 0 && (there_len != len || memcmp(there, data, len) != 0))
		r = -EEXIST;
	free(there);
	return r;
}

int writer_put(struct writer *w, const char *name, const void *data, size_t len)
{
	struct vault *v = w->vault;
	int r = backend_put(vault_backend(v), name, data, len);

	/* A register is read by who wants to know what it says. */
	if (r != -EEXIST || strncmp(name, "commit/", 7) == 0)
		return r;
	r = read_back(v, name, data, len);
	if (r == -EEXIST)
		return fail(r,
			    "%s: is there already, and is not what this backup "
			    "put: run it again",
			    name);
	return r;
}

int writer_put_box(struct writer *w, uint8_t type, const char *name,
		   const struct buf *plain, uint8_t *hash)
{
	struct vault *v = w->vault;
	AUTO_BUF struct buf box = BUF_INIT;
	int r = buf_error(plain);

	if (r == 0)
		r = format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				    type, name, NULL, 0, plain->data,
				    plain->len, &box);
	if (r == 0 && hash)
		r = crypt_sha256(box.data, box.len, hash);
	if (r == 0)
		r = writer_put(w, name, box.data, box.len);
	if (r == 0) {
		SCOPED_LOCK(&w->lock);
		w->stats.bytes_packed += box.len;
	}
	return r;
}
