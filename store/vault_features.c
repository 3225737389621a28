/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What later versions, or rotations of keys, have added to a vault: programs have to know
 * of it before they read, write or collect. */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/crypt/keyring.h"
#include "store/epoch/epoch.h"

#define FEATURE_MAX (64u << 10)

static int may_read(const struct vault *v)
{
	if (v->features.read & ~FEATURES_READ)
		return fail(-EOPNOTSUPP,
			    "%s: this vault needs a newer "
			    "vmbackup to be read",
			    backend_url(v->backend));
	return 0;
}

/* Return 0, -EBADMSG and the like where it is of this object alone, or another
 * negative errno; all said in words. */
static int read_feature(struct vault *v, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_FREE uint8_t *raw = NULL;
	struct box box;
	size_t len;
	int r = vault_get_all(v, name, FEATURE_MAX, &raw, &len);

	if (r == -ENOENT)
		return fail(-EBADMSG, "%s: was there, and is gone", name);
	if (r == 0)
		r = format_parse_box(raw, len, OBJECT_FEATURE, name, &box);
	/* Only what is authentic demands anything; of who cannot tell, all does. */
	if (r == 0 && !vault_is_put_only(v))
		r = format_read_box(v->keyring, raw, len, OBJECT_FEATURE, name,
				    &plain);
	return r < 0 ? r
		     : features_decode(box.clear, box.clear_len, name,
				       &v->features);
}

/* Whoever rotates puts a feature first, which keys of epoch 0 open. Without it what lies
 * in epoch/ is no epoch: anybody can have put it, and would keep all from writing. */
static void judge_epochs(struct vault *v)
{
	uint32_t mine = keyring_vault_epoch(v->keyring);

	if (v->newest_epoch <= mine)
		return;
	if (mine == 0 && !v->features_damaged &&
	    !(v->features.write & FEATURE_EPOCHS)) {
		if (vault_is_news(v, "epoch/"))
			log_warn("%s: epoch/%u is of no rotation: somebody put "
				 "it; remove it",
				 backend_url(v->backend), v->newest_epoch);
		v->newest_epoch = mine;
	} else if (vault_is_news(v, "epoch/")) {
		log_warn("%s: the vault's keys were rotated, and this key "
			 "opens only what was written before",
			 backend_url(v->backend));
	}
}

int vault_read_features(struct vault *v)
{
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	size_t i;
	/* Somebody may have rotated the keys since: an epoch that is seen has its
	 * feature, which is listed after it. */
	int r = epoch_newest(v->backend, &v->newest_epoch);

	if (r == 0)
		r = backend_list_names(v->backend, "feature/", &names);
	for (i = 0; i < names.n && r == 0; i++) {
		if (!name_is_object(names.list[i]))
			continue;
		r = read_feature(v, names.list[i]);
		if (r == -EOPNOTSUPP || backend_error_is_of_object(r)) {
			v->features_damaged = true;
			r = 0;
		}
	}
	if (v->features_damaged)
		log_warn("%s: what later versions added to the vault cannot be "
			 "read: nothing is written to it",
			 backend_url(v->backend));
	if (r == 0)
		judge_epochs(v);
	return r < 0 ? r : may_read(v);
}
