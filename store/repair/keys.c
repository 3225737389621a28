/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What opens the vault. All that is put here is what was there before, byte for byte, or
 * what follows from the keys in use; so that whoever could open the vault still can.
 * Config and its copy are mended one after the other, the second once the first is
 * durable.
 *
 * A slot of which the password is not known cannot be made anew, for nobody but its
 * owner has that. So the others are told, with what can be done.
 */
#include "config.h"

#include "store/repair/repair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/seam.h"
#include "store/config/pair.h"
#include "store/crypt/keyring.h"
#include "store/epoch/epoch.h"
#include "store/epoch/rotate.h"
#include "store/format.h"
#include "store/key/key.h"
#include "store/key/key_slots.h"
#include "store/repair/internal.h"
#include "store/vault.h"

struct mending {
	struct backend
		*backend; /* of the vault to mend; borrowed, as the next */
	struct vault *known; /* that vault, or one that has what it lacks */
	const struct keyring *keys;
	const struct repair_options *o;
	struct repair_result *out;
};

static enum repair_verdict done(const struct mending *m)
{
	return m->o->apply ? REPAIR_DONE : REPAIR_WOULD;
}

/* Read what is there, without a word. */
static int load(const struct mending *m, const char *name, uint8_t **raw,
		size_t *len)
{
	bool before = log_hush(true);
	int r = backend_get_all(m->backend, name, CONFIG_MAX, raw, len);

	(void)log_hush(before);
	if (r < 0)
		*raw = NULL;
	return r;
}

/* ---- config ---- */

/* Whether the error of reading an object says that it may be put anew. One that only
 * this user may not read is not damaged. */
static bool is_mendable(int r)
{
	return r == 0 || r == -ENOENT || r == -EFBIG || r == -EBADMSG ||
	       r == -EIO;
}

static int put_config(const struct mending *m, const char *name, int found)
{
	const struct buf *good = vault_config(m->known);
	int r = 0;

	if (m->o->apply)
		r = config_mend(m->backend, name, found != -ENOENT, good->data,
				good->len);
	if (r < 0)
		return r;
	repair_say(m->o, m->out, done(m), name, "%s, and is %s from %s",
		   found == -ENOENT ? "was gone" : "was damaged",
		   m->o->apply ? "put back" : "to be put back",
		   vault_backend(m->known) != m->backend ? "the copy"
		   : strcmp(name, CONFIG_NAME) == 0	 ? CONFIG_COPY_NAME
							 : CONFIG_NAME);
	return 0;
}

/* One of the two: as it should be? */
static int mend_config(const struct mending *m, const char *name)
{
	const struct buf *good = vault_config(m->known);
	AUTO_FREE uint8_t *raw = NULL;
	enum config_verdict verdict = CONFIG_DAMAGED;
	size_t len = 0;
	int r = load(m, name, &raw, &len);

	if (r == 0 && len == good->len && memcmp(raw, good->data, len) == 0)
		/* Whoever put it may have died before it was durable. */
		return m->o->apply ? backend_sync(m->backend, name) : 0;
	if (r == -EPERM) {
		repair_say(m->o, m->out, REPAIR_LEFT, name,
			   "may not be read by this user");
		return 0;
	}
	if (!is_mendable(r))
		return fail(r, "%s: cannot be read: %s", name, strerror(-r));
	if (r == 0)
		verdict = config_judge(m->keys, raw, len);
	if (verdict == CONFIG_DAMAGED)
		return put_config(m, name, r);
	repair_say(
		m->o, m->out, REPAIR_LEFT, name, "%s",
		verdict == CONFIG_RIGHT
			? "authentic, and not the same as the other: somebody who "
			  "has the vault's key made one of the two; compare them "
			  "with a copy that \"key export\" made"
			: "damaged, or of a newer vmbackup: nobody can tell; put "
			  "it back from a copy that \"key export\" made");
	return 0;
}

/* First the one by which the vault opens. */
static int mend_configs(const struct mending *m, bool copy_first)
{
	int r = mend_config(m, copy_first ? CONFIG_COPY_NAME : CONFIG_NAME);

	return r < 0 ? r
		     : mend_config(m,
				   copy_first ? CONFIG_NAME : CONFIG_COPY_NAME);
}

/* ---- what bears an epoch out ---- */

/* Objects of sessions, which only those seal whose epoch was borne out. */
static const struct {
	const char *prefix;
	uint8_t type;
} witnesses[] = {
	{ "session/", OBJECT_SESSION },
	{ "commit/", OBJECT_COMMIT },
	{ "point/", OBJECT_POINT },
	{ "heartbeat/", OBJECT_HEARTBEAT },
};

struct testimony {
	bool ours; /* some object of that epoch opens with the keys */
	bool others; /* and some does not */
};

static int ask_object(const struct mending *m, uint8_t type, const char *name,
		      uint32_t epoch, struct testimony *t)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_FREE uint8_t *raw = NULL;
	uint8_t header[FORMAT_HEADER_LEN];
	bool before = log_hush(true);
	size_t len;
	int r = backend_get(m->backend, name, 0, header, sizeof(header));

	/* After a later rotation it was another's, or this slot were not of use. */
	t->others |= r == 0 && get_le32(header + 12) > epoch;
	if (r == 0 && get_le32(header + 12) == epoch) {
		r = backend_get_all(m->backend, name, FORMAT_BOX_OBJECT_MAX,
				    &raw, &len);
		if (r == 0)
			r = format_read_box(m->keys, raw, len, type, name,
					    &plain);
		t->ours |= r == 0;
		t->others |= r == -EBADMSG;
	}
	(void)log_hush(before);
	return r == -ENOENT || r == -EFBIG || r == -EOPNOTSUPP ||
			       backend_error_is_of_object(r)
		       ? 0
		       : r;
}

static int hear(const struct mending *m, uint32_t epoch, struct testimony *t)
{
	size_t i, n;
	int r = 0;

	memset(t, 0, sizeof(*t));
	for (i = 0; i < ARRAY_SIZE(witnesses) && r == 0 && !t->ours; i++) {
		AUTO_NAMES struct backend_names names = { NULL, 0, 0 };

		r = backend_list_names(m->backend, witnesses[i].prefix, &names);
		for (n = 0; n < names.n && r == 0 && !t->ours; n++)
			if (name_is_object(names.list[n]))
				r = ask_object(m, witnesses[i].type,
					       names.list[n], epoch, t);
	}
	return r;
}

/* ---- epochs ---- */

/* What is wrong with epoch/<n>? Return 0 (nothing), -ENOENT, -EBADMSG (damaged, or of
 * other keys), -EOPNOTSUPP or another negative errno. */
static int ask_epoch(const struct mending *m, uint32_t n)
{
	bool before = log_hush(true);
	int r = epoch_check(m->backend, m->keys, n);

	(void)log_hush(before);
	return r == -EKEYREJECTED || r == -EIO ? -EBADMSG : r;
}

static int put_epoch(const struct mending *m, uint32_t n, const char *name,
		     int found)
{
	AUTO_BUF struct buf box = BUF_INIT;
	int r = epoch_seal(m->keys, vault_seam(m->known), n, &box);

	if (r == 0 && m->o->apply)
		r = found == -ENOENT
			    ? backend_put(m->backend, name, box.data, box.len)
			    : config_mend(m->backend, name, true, box.data,
					  box.len);
	/* Somebody else put it, or the answer was lost: who was it? */
	if (r == -EEXIST && ask_epoch(m, n) == 0)
		r = 0;
	if (r < 0)
		return fail(r, "%s: cannot be put: %s", name, strerror(-r));
	repair_say(m->o, m->out, done(m), name,
		   "%s, and is %s anew from the keys in use",
		   found == -ENOENT ? "was gone" : "was damaged",
		   m->o->apply ? "made" : "to be made");
	return 0;
}

/*
 * May what bears out the newest of the keys in use be made anew? An epoch of which
 * something was sealed with them was borne out once. Where nothing was, an object that
 * is gone may not have been there yet, and to put it is what the rotation would have
 * done next; but not where others have sealed something in an epoch of that number.
 */
static int may_bear_out(const struct mending *m, uint32_t n, int found,
			bool *out)
{
	struct testimony t = { false, false };
	int r = 0;

	*out = !vault_epoch_is_unproven(m->known);
	if (*out)
		return 0;
	r = hear(m, n, &t);
	*out = t.ours || (found == -ENOENT && !t.others);
	return r;
}

static int mend_epoch(const struct mending *m, uint32_t n)
{
	char name[OBJECT_NAME_MAX];
	bool may = false;
	int found = ask_epoch(m, n), r = 0;

	snprintf(name, sizeof(name), "epoch/%u", n);
	if (found == 0)
		return 0;
	if (found == -EPERM || found == -EOPNOTSUPP) {
		repair_say(m->o, m->out, REPAIR_LEFT, name,
			   found == -EPERM ? "may not be read by this user"
					   : "damaged, or of a newer vmbackup");
		return 0;
	}
	if (found != -ENOENT && found != -EBADMSG)
		return fail(found, "%s: cannot be read: %s", name,
			    strerror(-found));
	/* A slot holds the keys of all epochs before its own: they are as right as
	 * that is. */
	r = may_bear_out(m, keyring_epoch(m->keys), found, &may);
	if (r == 0 && may)
		return put_epoch(m, n, name, found);
	if (r == 0)
		repair_say(
			m->o, m->out, REPAIR_LEFT, name,
			"%s, and nothing proves that the key in use, of epoch %u, "
			"is of this vault: the rotation was not finished, or "
			"somebody else was faster; put it back from a copy that "
			"\"key export\" made, or have your key added by somebody "
			"who can write",
			found == -ENOENT ? "is gone"
					 : "is damaged, or of other "
					   "keys",
			keyring_epoch(m->keys));
	return r;
}

/* The newest first, for it bears out the others. */
static int mend_epochs(const struct mending *m)
{
	uint32_t n;
	int r = 0;

	for (n = keyring_epoch(m->keys); n > 0 && r == 0; n--)
		r = mend_epoch(m, n);
	return r;
}

/* What keeps old programs away. */
static int mend_feature(const struct mending *m)
{
	int r = 0;

	if (keyring_epoch(m->keys) == 0 || vault_demands_epochs(m->known))
		return 0;
	if (m->o->apply)
		r = rotate_demand(m->known);
	if (r == 0)
		repair_say(
			m->o, m->out, done(m), "feature/",
			"what keeps programs away that know of no epochs was "
			"gone, and is %s anew",
			m->o->apply ? "put" : "to be put");
	return r;
}

/* ---- slots ---- */

static void tell_slot(const struct mending *m, const struct key_slot *slot)
{
	const uint8_t *id = keyring_vault_id(m->keys);
	uint32_t newest = vault_newest_epoch(m->known);
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "key/%s", slot->name);
	if (slot->error)
		repair_say(
			m->o, m->out, REPAIR_LEFT, name,
			"damaged, and only who has its password could make it "
			"anew: put it back from a copy that \"key export\" made "
			"(key import), or add that key again (key add), and then "
			"run: vmbackup key remove %.8s",
			slot->name);
	else if (strcmp(slot->info.kind, "unknown") == 0)
		repair_say(m->o, m->out, REPAIR_NOTED, name,
			   "of a kind that is not known");
	else if (memcmp(slot->raw + 16, id, VAULT_ID_LEN) != 0)
		repair_say(
			m->o, m->out, REPAIR_NOTED, name,
			"of another vault: it opens nothing here; run: vmbackup "
			"key remove %.8s",
			slot->name);
	else if (slot->info.epoch > newest)
		repair_say(
			m->o, m->out, REPAIR_NOTED, name,
			"of a rotation that was not finished: it opens what was "
			"there before, if no other slot does");
	else if (slot->info.epoch < newest)
		repair_say(m->o, m->out, REPAIR_NOTED, name,
			   "opens only what was written before the keys were "
			   "rotated to epoch %u",
			   newest);
}

static int tell_slots(const struct mending *m)
{
	struct key_slots slots;
	size_t i;
	int r = key_slots_read(m->known, &slots);

	for (i = 0; r == 0 && i < slots.n; i++)
		tell_slot(m, &slots.slots[i]);
	if (r == 0)
		key_slots_release(&slots);
	return r;
}

/* The slot that opened the copy: the vault's, too? */
static int mend_slot(const struct mending *m)
{
	const struct buf *good = vault_slot_object(m->known);
	AUTO_FREE uint8_t *raw = NULL;
	char name[OBJECT_NAME_MAX];
	size_t len = 0;
	int r;

	snprintf(name, sizeof(name), "key/%s", vault_slot(m->known));
	r = load(m, name, &raw, &len);
	if (r == 0 && len == good->len && memcmp(raw, good->data, len) == 0)
		return 0;
	if (r == -ENOENT) {
		repair_say(
			m->o, m->out, REPAIR_NOTED, name,
			"is not in the vault: it was removed, or lost; \"key "
			"import\" puts it back");
		return 0;
	}
	if (!is_mendable(r))
		return fail(r, "%s: cannot be read: %s", name, strerror(-r));
	/* A slot's name is random, and what it holds never changes. */
	r = 0;
	if (m->o->apply)
		r = config_mend(m->backend, name, true, good->data, good->len);
	if (r == 0)
		repair_say(m->o, m->out, done(m), name,
			   "was damaged, and is %s from the copy",
			   m->o->apply ? "put back" : "to be put back");
	return r;
}

/* ---- all of it ---- */

int repair_keys(struct vault *v, const struct repair_options *o,
		struct task *task, struct repair_result *out)
{
	struct mending m = { vault_backend(v), v, vault_keyring(v), o, out };
	int r = mend_configs(&m, vault_config_is_hurt(v));

	(void)task;
	if (r == 0 && keyring_epoch(m.keys) > 0)
		r = vault_may_mend_keys(v);
	if (r == 0)
		r = mend_epochs(&m);
	if (r == 0)
		r = mend_feature(&m);
	return r < 0 ? r : tell_slots(&m);
}

/* Only what the vault holds itself proves that the keys of the copy are its own: a copy
 * may come from anywhere. */
static int prove_vault(const struct mending *m)
{
	uint32_t epoch = keyring_epoch(m->keys) + 1;
	struct testimony t = { false, false };
	int r = 0;

	while (r == 0 && epoch-- > 0 && !t.ours)
		r = hear(m, epoch, &t);
	if (r == 0 && !t.ours)
		r = fail(-EINVAL,
			 "%s holds nothing that the keys of %s open: it is a "
			 "copy of another vault, or nothing was backed up "
			 "here yet; nothing was changed",
			 backend_url(m->backend), vault_url(m->known));
	return r;
}

int repair_keys_from(struct backend *b, struct vault *from,
		     const struct repair_options *o, struct repair_result *out)
{
	struct mending m = { b, from, vault_keyring(from), o, out };
	int r = prove_vault(&m);

	if (r == 0)
		r = mend_configs(&m, true);
	if (r == 0)
		r = mend_slot(&m);
	return r < 0 ? r : mend_epochs(&m);
}
