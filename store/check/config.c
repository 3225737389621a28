/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The config by which the vault was opened is right, or it would not have been. The
 * other of the two has to hold the same bytes.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/config/pair.h"
#include "store/crypt/keyring.h"
#include "store/epoch/epoch.h"
#include "store/vault.h"

static int tell_copy(struct check *c, const struct config_object *copy)
{
	const struct buf *own = vault_config(c->vault);

	if (copy->error == -ENOENT)
		return check_found(
			c, false, CONFIG_COPY_NAME,
			"the vault's config has no second copy, by "
			"which it could be opened if that is "
			"damaged; run: vmbackup repair keys --apply");
	if (copy->raw && copy->len == own->len &&
	    memcmp(copy->raw, own->data, own->len) == 0)
		return 0;
	if (copy->raw && config_judge(vault_keyring(c->vault), copy->raw,
				      copy->len) == CONFIG_RIGHT)
		return check_found(c, true, CONFIG_COPY_NAME,
				   "authentic, and not the same as config: "
				   "somebody who has the vault's key made "
				   "one of the two");
	return check_found(c, true, CONFIG_COPY_NAME,
			   "%s: the vault could not be opened by it, if config "
			   "were damaged; run: vmbackup repair keys --apply",
			   copy->raw ? "damaged" : "cannot be read");
}

/* Of those that the key in use opens: each has to say what its slot says. */
static int check_epoch(struct check *c, uint32_t n)
{
	bool before = log_hush(true);
	char name[OBJECT_NAME_MAX];
	int r = epoch_check(c->backend, vault_keyring(c->vault), n);

	(void)log_hush(before);
	snprintf(name, sizeof(name), "epoch/%u", n);
	if (r == 0)
		return 0;
	if (r != -ENOENT && r != -EKEYREJECTED && r != -EOPNOTSUPP &&
	    !backend_error_is_of_object(r))
		return r;
	r = check_found(c, true, name,
			"%s, and nothing else bears out the keys that were "
			"made then; run: vmbackup repair keys --apply",
			r == -ENOENT	   ? "gone"
			: r == -EOPNOTSUPP ? NEWER_OR_DAMAGED
					   : "damaged");
	return MIN(r, 0);
}

int check_epochs(struct check *c)
{
	uint32_t n, newest = keyring_epoch(vault_keyring(c->vault));
	struct epoch_old old;
	int r = epoch_count_old(c->vault, &old);

	c->out->old_packs = old.packs;
	c->out->old_bytes = old.bytes;
	for (n = 1; n <= newest && r == 0; n++)
		r = check_epoch(c, n);
	return r;
}

int check_config(struct check *c)
{
	struct config_object copy = { .name = NULL };
	bool before;
	int r;

	if (vault_config_is_hurt(c->vault))
		return MIN(check_found(c, true, CONFIG_NAME,
				       "damaged or gone: the vault was opened "
				       "by its second copy; run: vmbackup "
				       "repair keys --apply"),
			   0);
	before = log_hush(true);
	r = config_load(c->vault, CONFIG_COPY_NAME, &copy);
	(void)log_hush(before);
	if (r == 0 || r == -ENOENT || r == -EOPNOTSUPP ||
	    backend_error_is_of_object(r))
		r = MIN(tell_copy(c, &copy), 0);
	config_release(&copy);
	return r;
}
