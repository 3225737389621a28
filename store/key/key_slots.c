/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whoever can write to the store can put slots there that ask for 2 GiB of
 * memory and half a minute each. So the slot that opened last time is tried
 * first, then the cheap ones, and what all of them may cost is bounded. An
 * honest vault has a few slots of the usual cost and notices none of this.
 *
 * Nor does it matter how many objects lie there that are no slots: the one that
 * opened last time is asked for by its name before anything is listed, and what
 * cannot be a slot does not count. Where there are too many even so, the oldest
 * are looked at, for the vault's own were there first.
 *
 * A slot that cannot be read may be the very one that the password is for. So
 * its error is kept, and told when no other slot opens.
 */
#include "config.h"

#include "store/key/key_slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/crypt/put_keys.h"
#include "store/epoch/epoch.h"
#include "store/format.h"
#include "store/key/key.h"
#include "store/vault.h"

/* So many objects are read in search of slots. */
#define READS_MAX (16 * KEY_SLOTS_MAX)

struct listed {
	char name[33];
	uint64_t size;
	int64_t stored_ns;
};

struct listing {
	struct listed *items;
	size_t n, cap;
};

void key_slot_release(struct key_slot *slot)
{
	free(slot->raw);
	free(slot->info.label);
	memset(slot, 0, sizeof(*slot));
}

void key_slots_release(struct key_slots *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		key_slot_release(&s->slots[i]);
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

static int on_slot(void *arg, const char *name, const struct backend_info *info)
{
	struct listing *l = arg;
	struct listed *item;

	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	item = &l->items[l->n++];
	memcpy(item->name, name + strlen("key/"), sizeof(item->name));
	item->size = info->size;
	item->stored_ns = info->stored_ns;
	return 0;
}

static int by_age(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	if (x->stored_ns != y->stored_ns)
		return x->stored_ns < y->stored_ns ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* Is it of a later format? Another slot may open all the same, so that this is no
 * error, and nothing is said. */
static bool is_newer(const struct key_slot *slot)
{
	return slot->len >= 16 && memcmp(slot->raw, "vmbackup", 8) == 0 &&
	       get_le16(slot->raw + 8) > FORMAT_VERSION;
}

static void mark_damaged(struct key_slot *slot, int error)
{
	free(slot->raw);
	slot->raw = NULL;
	slot->error = error;
	memcpy(slot->info.slot, slot->name, sizeof(slot->name));
	snprintf(slot->info.kind, sizeof(slot->info.kind), "damaged");
}

/* Return 0, also where the slot's error says what is wrong with it, or a negative
 * errno. An object without the mark of a vault is -EBADMSG, and nothing was
 * said of it yet. */
static int read_slot(struct vault *v, struct key_slot *slot)
{
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "key/%s", slot->name);
	r = vault_get_all(v, name, KEY_SLOT_MAX, &slot->raw, &slot->len);
	if (r == 0 && (slot->len < FORMAT_BOX_LEN ||
		       memcmp(slot->raw, FORMAT_MAGIC, strlen(FORMAT_MAGIC)))) {
		mark_damaged(slot, -EBADMSG);
		return -EBADMSG;
	}
	if (r == 0 && is_newer(slot)) {
		snprintf(slot->info.kind, sizeof(slot->info.kind), "unknown");
		memcpy(slot->info.slot, slot->name, sizeof(slot->name));
		return 0;
	}
	if (r == 0)
		r = key_describe(slot->raw, slot->len, slot->name, &slot->info,
				 &slot->cost);
	/* A store that does not answer says nothing about a slot. */
	if (r < 0 && r != -ENOENT && r != -EOPNOTSUPP &&
	    !backend_error_is_of_object(r))
		return r;
	if (r < 0)
		mark_damaged(slot, r);
	return 0;
}

static int by_cost(const void *a, const void *b)
{
	const struct key_slot *x = a, *y = b;

	if (x->cost != y->cost)
		return x->cost < y->cost ? -1 : 1;
	return strcmp(x->name, y->name);
}

struct reading {
	struct key_slots *out;
	size_t cap;
	size_t nreads, ngood;
	size_t nothers; /* objects that are no slots */
	const char *other; /* the first of them; borrowed */
	size_t nleft; /* objects that were not looked at */
};

static int take_listed(struct vault *v, const struct listed *item,
		       struct reading *g)
{
	struct key_slot *slot;
	int r = -EBADMSG;

	if (array_reserve(&g->out->slots, &g->cap, g->out->n + 1) < 0)
		return -ENOMEM;
	slot = &g->out->slots[g->out->n];
	memset(slot, 0, sizeof(*slot));
	memcpy(slot->name, item->name, sizeof(slot->name));
	slot->stored_ns = item->stored_ns;
	if (item->size < FORMAT_BOX_LEN || item->size > KEY_SLOT_MAX) {
		mark_damaged(slot, -EBADMSG);
	} else if (g->ngood == KEY_SLOTS_MAX || g->nreads == READS_MAX) {
		g->nleft++;
		return 0;
	} else {
		g->nreads++;
		r = read_slot(v, slot);
	}
	if (r < 0 && slot->error == 0) {
		key_slot_release(slot);
		return r;
	}
	if (r < 0 && g->nothers++ == 0)
		g->other = item->name;
	/* One that went between the listing and the look was removed. */
	if (slot->error == -ENOENT)
		return 0;
	g->ngood += slot->error == 0;
	g->out->n++;
	return 0;
}

static void say_others(const struct reading *g)
{
	if (g->nothers)
		log_line(LOG_LEVEL_ERROR, "key/%s: damaged, or no key slot%s",
			 g->other,
			 g->nothers > 1 ? "; there are more of them" : "");
	if (g->nleft)
		log_warn("the vault has so many key slots that %zu are not "
			 "looked at: remove those that nobody needs",
			 g->nleft);
}

int key_slots_read(struct vault *v, struct key_slots *out)
{
	struct reading g = { .out = out };
	struct listing l = { .n = 0 };
	size_t i;
	int r;

	memset(out, 0, sizeof(*out));
	r = vault_list(v, "key/", on_slot, &l);
	if (r == 0 && l.n)
		qsort(l.items, l.n, sizeof(*l.items), by_age);
	for (i = 0; i < l.n && r == 0; i++)
		r = take_listed(v, &l.items[i], &g);
	if (r == 0)
		say_others(&g);
	free(l.items);
	if (r < 0)
		key_slots_release(out);
	else if (out->n)
		qsort(out->slots, out->n, sizeof(*out->slots), by_cost);
	return r;
}

/* ---- opening ---- */

struct search {
	const struct credential *credential;
	struct vault *vault;
	const uint8_t *vault_id;
	struct keyring *ring; /* what it opened */
	uint64_t work; /* of scrypt, so far */
	int error; /* of the last slot that could not be tried */
	bool newer; /* some slot is of a kind that is not known */
	bool tried; /* some slot is of the kind of the credential */
	/* What a slot opened that nothing bears out; NULL: none. */
	struct keyring *spare;
	const struct key_slot *spare_slot; /* borrowed */
};

/* The slot holds these keys: of an epoch that the vault has? Return 0,
 * -EKEYREJECTED (nothing bears that out, and others are to be tried), or another
 * negative errno. */
static int take_epoch(struct search *u, const struct key_slot *slot,
		      const struct secret *masters)
{
	struct keyring *k = NULL;
	int r = epoch_keyring(masters, slot->info.epoch, u->vault_id, &k);

	if (r == 0)
		r = epoch_prove(u->vault, k);
	if (r == 0) {
		u->ring = k;
		return 0;
	}
	if (k && !u->spare &&
	    (r == -ENOENT || r == -EKEYREJECTED || r == -EOPNOTSUPP ||
	     backend_error_is_of_object(r))) {
		u->spare = k;
		u->spare_slot = slot;
		return -EKEYREJECTED;
	}
	keyring_free(k);
	return r == -ENOENT ? -EKEYREJECTED : r;
}

/* The slot is of a writer that reads nothing; whether its epoch is one of the vault's
 * is told later, for it cannot prove that. */
static int take_put(struct search *u, const struct secret *s)
{
	struct put_keys keys;
	int r = put_keys_decode(s->data, s->len, &keys);

	if (r == 0)
		r = keyring_new_put(&keys, u->vault_id, &u->ring);
	secret_wipe(&keys, sizeof(keys));
	return r;
}

static void say_spare(const struct search *u)
{
	uint32_t epoch = keyring_epoch(u->spare);

	log_warn("%s: key slot %.8s is of epoch %u, and epoch/%u does not bear "
		 "it out: that object is lost or damaged, or a rotation was "
		 "not finished, or another was faster; what can be read is, "
		 "and nothing is written",
		 backend_url(vault_backend(u->vault)), u->spare_slot->name,
		 epoch, epoch);
}

/* Whether the slot may be tried at all. */
static bool is_affordable(struct search *u, const struct key_slot *slot)
{
	if (u->work + slot->cost <= KEY_WORK_MAX)
		return true;
	u->error = fail(-E2BIG,
			"key/%s: not tried: the passwords of the slots before "
			"it took too long; remove slots that nobody needs",
			slot->name);
	return false;
}

/* Return 1 when it opens, else 0. */
static int try_slot(struct search *u, const struct key_slot *slot)
{
	bool scrypt = strcmp(slot->info.kind, "passphrase") == 0;
	AUTO_SECRET struct secret *keys = NULL;
	uint8_t id[VAULT_ID_LEN];
	bool is_put;
	int r;

	if (slot->error < 0) {
		u->error = slot->error;
		return 0;
	}
	if (strcmp(slot->info.kind, "unknown") == 0) {
		u->newer = true;
		return 0;
	}
	if (!(scrypt ? u->credential->passphrase : u->credential->keyfile))
		return 0;
	u->tried = true;
	if (!is_affordable(u, slot))
		return 0;
	u->work += slot->cost;
	r = key_open(slot->raw, slot->len, slot->name, u->credential, &keys,
		     &is_put, id);
	if (r == 0 && memcmp(id, u->vault_id, sizeof(id)) != 0)
		r = fail(-EBADMSG, "key/%s: a key slot of another vault",
			 slot->name);
	if (r == 0)
		r = is_put ? take_put(u, keys) : take_epoch(u, slot, keys);
	if (r == -EOPNOTSUPP)
		u->newer = true;
	else if (r < 0 && r != -EKEYREJECTED)
		u->error = r;
	return r == 0;
}

static int not_opened(const struct search *u, const char *url, bool any)
{
	if (!any)
		return fail(-EBADMSG,
			    "%s: the vault lost its key slots, without which "
			    "no password opens it; put them back from a copy "
			    "that \"key export\" made: vmbackup -r %s key "
			    "import FILE",
			    url, url);
	if (u->error)
		return fail(u->error,
			    "%s: no readable key slot opens with this password "
			    "or key file",
			    url);
	if (!u->tried && !u->newer)
		return fail(-EKEYREJECTED,
			    "%s: none of its key slots takes a %s", url,
			    u->credential->passphrase ? "password"
						      : "key file");
	return fail(-EKEYREJECTED, "%s: wrong password or key file%s", url,
		    u->newer ? "; some key slots are of a kind that only a "
			       "newer vmbackup knows"
			     : "");
}

/* The slot of this name, without a listing, where it is of the newest epoch. Return
 * 1 when it opens, 0 when it does not or is not there, or a negative errno. */
static int open_first(struct vault *v, const char *first, uint32_t newest,
		      struct search *u, struct key_slot *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	if (strlen(first) != 32 || strspn(first, "0123456789abcdef") != 32)
		return 0;
	memcpy(out->name, first, sizeof(out->name));
	r = read_slot(v, out);
	if (r == 0 && out->error == 0 && out->info.epoch == newest)
		r = try_slot(u, out);
	if (r == 1)
		return r;
	/* What is wrong with the object is told when it is listed. */
	if (out->error < 0)
		r = 0;
	key_slot_release(out);
	return r;
}

static bool is_usual(const struct key_slot *slot)
{
	return slot->cost <= UINT64_C(1) << KEY_SCRYPT_LOG_N;
}

/* Those of the usual cost first, for anybody can put some, of whatever epoch, that take
 * all the time that there is. Of these, and of others that cost the same: the later
 * epoch first, and then the oldest, for many cheap ones take all the time, too, and the
 * vault's own were there before those of a stranger. What claims to be of an epoch that is not there yet comes last. */
static int by_epoch(const void *a, const void *b, void *arg)
{
	const struct key_slot *x = a, *y = b;
	uint32_t newest = *(const uint32_t *)arg;
	bool x_is_odd = x->info.epoch > newest,
	     y_is_odd = y->info.epoch > newest;

	if (x_is_odd != y_is_odd)
		return x_is_odd ? 1 : -1;
	if (!(is_usual(x) && is_usual(y)) && x->cost != y->cost)
		return x->cost < y->cost ? -1 : 1;
	if (x->info.epoch != y->info.epoch)
		return x->info.epoch > y->info.epoch ? -1 : 1;
	if (x->stored_ns != y->stored_ns)
		return x->stored_ns < y->stored_ns ? -1 : 1;
	return by_cost(a, b);
}

int key_slots_open(struct vault *v, const char *first,
		   const struct credential *c, const uint8_t *vault_id,
		   uint32_t newest, struct key_slot *out,
		   struct keyring **ring_out)
{
	struct search u = { .credential = c, .vault = v, .vault_id = vault_id };
	struct key_slots all;
	size_t i;
	int r = open_first(v, first, newest, &u, out);

	*ring_out = NULL;
	if (r != 0)
		goto out;
	/* It is to be tried with the others, which live as long as the search. */
	if (u.spare) {
		keyring_free(u.spare);
		u.spare = NULL;
		first = "";
	}
	r = key_slots_read(v, &all);
	if (r < 0)
		return r;
	if (all.n)
		qsort_r(all.slots, all.n, sizeof(*all.slots), by_epoch,
			&newest);
	for (i = 0; i < all.n && r == 0; i++) {
		/* It was tried, if it is not damaged. */
		if (strcmp(all.slots[i].name, first) == 0 &&
		    all.slots[i].error == 0 &&
		    all.slots[i].info.epoch == newest)
			continue;
		r = try_slot(&u, &all.slots[i]);
		if (r == 1) {
			*out = all.slots[i];
			memset(&all.slots[i], 0, sizeof(all.slots[i]));
		}
	}
	if (r == 0 && u.spare) {
		size_t at = (size_t)(u.spare_slot - all.slots);

		say_spare(&u);
		*out = all.slots[at];
		out->is_unproven = true;
		memset(&all.slots[at], 0, sizeof(all.slots[at]));
		u.ring = u.spare;
		u.spare = NULL;
		r = 1;
	}
	keyring_free(u.spare);
	if (r == 0)
		r = not_opened(&u, backend_url(vault_backend(v)), all.n > 0);
	key_slots_release(&all);
out:
	if (r < 0)
		return r;
	*ring_out = u.ring;
	return 0;
}
