/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whoever can write to the store can put slots there that ask for 2 GiB of
 * memory and half a minute each. So the slot that opened last time is tried
 * first, then the cheap ones, and what all of them may cost is bounded. An
 * honest vault has a few slots of the usual cost and notices none of this.
 *
 * A slot that cannot be read may be the very one that the password is for. So
 * its error is kept, and told when no other slot opens.
 */
#include "config.h"

#include "store/key_slots.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/secret.h"
#include "store/format.h"
#include "store/key.h"

struct listing {
	struct key_slots *slots;
	size_t cap;
	size_t more; /* slots beyond KEY_SLOTS_MAX */
};

void key_slots_release(struct key_slots *s)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		free(s->slots[i].raw);
		free(s->slots[i].info.label);
	}
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

static int on_slot(void *arg, const char *name, const struct backend_info *info)
{
	struct listing *l = arg;
	struct key_slot *slot;

	if (l->slots->n == KEY_SLOTS_MAX) {
		l->more++;
		return 0;
	}
	if (array_reserve(&l->slots->slots, &l->cap, l->slots->n + 1) < 0)
		return -ENOMEM;
	slot = &l->slots->slots[l->slots->n++];
	memset(slot, 0, sizeof(*slot));
	memcpy(slot->name, name + strlen("key/"), sizeof(slot->name));
	slot->len = info->size <= KEY_SLOT_MAX ? (size_t)info->size : 0;
	return 0;
}

/* Is it of a later format, or of keys of a later epoch? Another slot may open all
 * the same, so that this is no error, and nothing is said. */
static bool is_newer(const struct key_slot *slot)
{
	return slot->len >= 16 && memcmp(slot->raw, "vmbackup", 8) == 0 &&
	       (get_le16(slot->raw + 8) > FORMAT_VERSION ||
		get_le32(slot->raw + 12) != 0);
}

static int read_slot(struct vault *v, struct key_slot *slot)
{
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "key/%s", slot->name);
	r = vault_get_all(v, name, KEY_SLOT_MAX, &slot->raw, &slot->len);
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
	memcpy(slot->info.slot, slot->name, sizeof(slot->name));
	slot->error = r;
	if (r < 0)
		snprintf(slot->info.kind, sizeof(slot->info.kind), "damaged");
	return 0;
}

static int by_cost(const void *a, const void *b)
{
	const struct key_slot *x = a, *y = b;

	if (x->cost != y->cost)
		return x->cost < y->cost ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* A slot that went between the listing and the look at it was removed. */
static void drop_gone(struct key_slots *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->n; i++)
		if (s->slots[i].error != -ENOENT)
			s->slots[n++] = s->slots[i];
	s->n = n;
}

int key_slots_read(struct vault *v, struct key_slots *out)
{
	struct listing l = { .slots = out };
	size_t i;
	int r;

	memset(out, 0, sizeof(*out));
	r = vault_list(v, "key/", on_slot, &l);
	for (i = 0; i < out->n && r == 0; i++)
		r = read_slot(v, &out->slots[i]);
	if (r < 0) {
		key_slots_release(out);
		return r;
	}
	if (l.more)
		log_warn("the vault has %zu key slots, of which only %d are "
			 "looked at: remove those that nobody needs",
			 l.more + KEY_SLOTS_MAX, KEY_SLOTS_MAX);
	drop_gone(out);
	if (out->n)
		qsort(out->slots, out->n, sizeof(*out->slots), by_cost);
	return 0;
}

/* ---- opening ---- */

struct search {
	const struct credential *credential;
	const uint8_t *vault_id;
	struct secret *master;
	uint64_t work; /* of scrypt, so far */
	int error; /* of the last slot that could not be tried */
	bool newer; /* some slot is of a kind that is not known */
	bool tried; /* some slot is of the kind of the credential */
};

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
	uint8_t id[VAULT_ID_LEN];
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
	r = key_open(slot->raw, slot->len, slot->name, u->credential,
		     &u->master, id);
	if (r == 0 && memcmp(id, u->vault_id, sizeof(id)) != 0) {
		secret_free(u->master);
		u->master = NULL;
		r = fail(-EBADMSG, "key/%s: a key slot of another vault",
			 slot->name);
	}
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

int key_slots_open(const struct key_slots *s, const char *first,
		   const struct credential *c, const uint8_t *vault_id,
		   const char *url, const struct key_slot **out,
		   struct secret **master_out)
{
	struct search u = { .credential = c, .vault_id = vault_id };
	const struct key_slot *found = NULL;
	size_t i;

	for (i = 0; i < s->n && !found; i++)
		if (strcmp(s->slots[i].name, first) == 0 &&
		    try_slot(&u, &s->slots[i]))
			found = &s->slots[i];
	for (i = 0; i < s->n && !found; i++)
		if (strcmp(s->slots[i].name, first) != 0 &&
		    try_slot(&u, &s->slots[i]))
			found = &s->slots[i];
	if (!found)
		return not_opened(&u, url, s->n > 0);
	*out = found;
	*master_out = u.master;
	return 0;
}
