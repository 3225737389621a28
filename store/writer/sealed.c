/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/writer/sealed.h"

#include <errno.h>

#include "store/backend/backend.h"
#include "store/format.h"
#include "store/vault.h"

int sealed_put(struct vault *v, uint8_t type, const char *name,
	       const struct buf *plain)
{
	AUTO_BUF struct buf box = BUF_INIT;
	int r = buf_error(plain);

	if (r == 0)
		r = format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				    type, name, NULL, 0, plain->data,
				    plain->len, &box);
	return r < 0 ? r
		     : backend_put(vault_backend(v), name, box.data, box.len);
}

int sealed_ensure(struct vault *v, uint8_t type, const char *name,
		  const struct buf *plain)
{
	int r = sealed_put(v, type, name, plain);

	return r == -EEXIST ? backend_sync(vault_backend(v), name) : r;
}
