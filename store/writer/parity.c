/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parity of the packs of a session. It is put behind the pack, so that there is none
 * without its pack but where somebody deleted that; a session that dies in between
 * leaves a pack without, which "repair parity" finds.
 */
#include "config.h"

#include "store/parity/parity.h"

#include <errno.h>

#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/crypt/keyring.h"
#include "store/vault.h"
#include "store/writer/internal.h"

int writer_put_parity(struct writer *w, const struct pack *p)
{
	unsigned int percent = vault_parity(w->vault);
	AUTO_BUF struct buf object = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int r;

	if (percent == 0)
		return 0;
	r = parity_object_name(p->name, 0, name);
	if (r == 0)
		r = parity_make(p->name, p->bytes.data, p->bytes.len, percent,
				keyring_vault_id(vault_keyring(w->vault)),
				&object);
	if (r == -EINVAL)
		return fail(r, "parity of %u %% cannot be made: give 1 to %d",
			    percent, PARITY_PERCENT_MAX);
	if (r == 0)
		r = writer_put(w, name, object.data, object.len);
	if (r == 0) {
		SCOPED_LOCK(&w->lock);
		w->stats.bytes_packed += object.len;
	}
	return r;
}
