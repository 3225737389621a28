/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a session puts its objects. Each has a name that nobody else can have,
 * for the session's random id is in it. Only its register may be another's.
 */
#include "config.h"

#include "store/writer/internal.h"

#include <string.h>

#include "store/backend/backend.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/vault.h"

int writer_put(struct writer *w, const char *name, const void *data, size_t len)
{
	struct backend *b = vault_backend(w->vault);

	/* A register is read by who wants to know what it says. */
	if (strncmp(name, "commit/", 7) == 0)
		return backend_put(b, name, data, len);
	return backend_put_own(b, name, data, len);
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
