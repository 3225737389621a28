/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What lies in the vault: names, sealed objects, commits, packs in indexes.
 *
 * The vault may change meanwhile: backups add to it, and a collector removes
 * from it. What was there when it was listed refers only to what was put before
 * it. So points are listed first, then the index is read, then packs are listed:
 * in this order nothing is missed that is just being written. An object that is
 * gone when it is opened is not damage; it is only when something that remains
 * refers to it.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/crypt/keyring.h"
#include "store/index.h"
#include "store/key/key.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/forget.h"
#include "store/record/purge.h"
#include "store/vault.h"

enum {
	/* So often index/ is listed anew where objects went away. */
	INDEX_LISTINGS_MAX = 10,
};

/* Kinds of objects, by the folder of their names. */
static const struct kind {
	const char *prefix;
	uint8_t type; /* of a box to open; 0: not looked into here */
} kinds[] = {
	{ "config", 0 }, /* opened with the vault */
	{ "config.copy", 0 }, /* compared with it, in config.c */
	{ "key/", 0 }, /* needs its own password; its form is checked */
	{ "pack/", 0 }, /* read when asked for, as the next */
	{ "parity/", 0 },
	{ "reserve/", 0 }, /* takes up room, and says nothing */
	{ "session/", OBJECT_SESSION },
	{ "index/", OBJECT_INDEX },
	{ "commit/", OBJECT_COMMIT },
	{ "point/", OBJECT_POINT },
	{ "purge/", OBJECT_PURGE },
	{ "tomb/", OBJECT_TOMB },
	{ "sweep/", OBJECT_SWEEP },
	{ "note/", OBJECT_NOTE },
	{ "machine/", OBJECT_MACHINE },
	{ "quarantine/", OBJECT_QUARANTINE },
	{ "feature/", OBJECT_FEATURE },
	{ "heartbeat/", OBJECT_HEARTBEAT },
	{ "digest/", OBJECT_DIGEST },
	{ "forget/", OBJECT_FORGET },
	{ "ledger/", 0 }, /* read by itself */
	{ "epoch/", OBJECT_EPOCH },
	{ "window/", OBJECT_WINDOW },
};

static const struct kind *kind_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		size_t len = strlen(kinds[i].prefix);

		if (!strncmp(name, kinds[i].prefix, len) &&
		    (kinds[i].prefix[len - 1] == '/' || !name[len]))
			return &kinds[i];
	}
	return NULL;
}

/* ---- the listing ---- */

static int report_stray(struct check *c, const char *name)
{
	int n;

	if (c->out->strays++ >= CHECK_STRAYS_MAX)
		return 0;
	n = check_found(c, false, name, "not an object of a vault");
	return MIN(n, 0);
}

static int add_listed(struct check *c, const char *name,
		      const struct backend_info *info)
{
	int r = check_add_pack(c, name, info->size);

	if (r == 0)
		c->packs[c->npacks - 1].placed_s =
			info->placed_ns / INT64_C(1000000000);
	return r;
}

static int on_pack(void *arg, const char *name, const struct backend_info *info)
{
	return name_is_object(name) ? add_listed(arg, name, info)
				    : report_stray(arg, name);
}

static int on_missing(void *arg, const char *folder)
{
	if (strcmp(folder, "pack") != 0)
		return 0;
	return MIN(check_found(arg, true, "pack/",
			       "the folder is missing, and all packs with it"),
		   0);
}

int check_list_packs(struct check *c)
{
	int r = backend_missing_folders(c->backend, on_missing, c);

	if (r == 0)
		r = backend_list(c->backend, "pack/", on_pack, c);
	check_sort_packs(c);
	return r;
}

int check_add_name(struct check *c, const char *name)
{
	c->out->objects++;
	buf_put(&c->names, name, strlen(name) + 1);
	return buf_error(&c->names);
}

static int on_index(void *arg, const char *name,
		    const struct backend_info *info)
{
	(void)info;
	return name_is_object(name) ? check_add_name(arg, name) : 0;
}

static int on_object(void *arg, const char *name,
		     const struct backend_info *info)
{
	const struct kind *k = kind_of(name);
	struct check *c = arg;

	if (strncmp(name, "probe/", 6) == 0)
		return MIN(check_found(c, false, name,
				       "left by a prune that was killed, or is "
				       "at work; one that begins an hour later "
				       "deletes it"),
			   0);
	if (!k || !name_is_object(name))
		return report_stray(c, name);
	/* Those that came since name packs that may not be listed. */
	if (k->type == OBJECT_INDEX)
		return 0;
	if (k->type || strcmp(k->prefix, "key/") == 0) {
		if (k->type == OBJECT_QUARANTINE &&
		    quarantine_list_add(&c->quarantine, name) == -ENOMEM)
			return -ENOMEM;
		if (k->type == OBJECT_WINDOW)
			c->window_ns =
				MAX(c->window_ns, forget_window_of(name));
		if (k->type == OBJECT_FORGET &&
		    check_add_wish(c, name, info->stored_ns) < 0)
			return -ENOMEM;
		return check_add_name(c, name);
	}
	c->out->objects++;
	if (strcmp(k->prefix, "parity/") == 0)
		return check_add_parity(c, name, info->size);
	return strcmp(k->prefix, "pack/") == 0 ? add_listed(c, name, info) : 0;
}

static int list_objects(struct check *c)
{
	int r = backend_list(c->backend, "index/", on_index, c);

	if (r == 0)
		r = backend_list(c->backend, "", on_object, c);
	check_sort_packs(c);
	quarantine_list_sort(&c->quarantine);
	return r == 0 ? check_match_parity(c) : r;
}

/* ---- sealed objects ---- */

/* A slot's own password is not known here. That its clear text makes sense is
 * all that can be told without. */
static int check_slot(struct check *c, const char *name, const uint8_t *raw,
		      size_t len)
{
	struct key_info info = { .label = NULL };
	int r = -EBADMSG, n;
	uint64_t cost;

	if (strlen(name) == 4 + 32)
		r = key_describe(raw, len, name + 4, &info, &cost);
	free(info.label);
	if (r == -EBADMSG || r == -EOPNOTSUPP) {
		n = check_found(c, true, name, "%s",
				r == -EBADMSG ? "a damaged key slot"
					      : NEWER_OR_DAMAGED);
		return n < 0 ? n : 0;
	}
	/* What a newer program put may be made otherwise. */
	if (r == 0 && strcmp(info.kind, "unknown") != 0 &&
	    memcmp(raw + 16, keyring_vault_id(vault_keyring(c->vault)),
		   VAULT_ID_LEN) != 0) {
		n = check_found(c, true, name,
				"a key slot of another vault, which opens "
				"nothing here; run: vmbackup key remove %.8s",
				name + 4);
		return MIN(n, 0);
	}
	return r;
}

int check_open(struct check *c, uint8_t type, const char *name, struct buf *out)
{
	AUTO_FREE uint8_t *raw = NULL;
	size_t len;
	int r = vault_get_all(c->vault, name, FORMAT_BOX_OBJECT_MAX, &raw,
			      &len);

	if (r == 0 && type)
		return format_read_box(vault_keyring(c->vault), raw, len, type,
				       name, out);
	if (r == 0)
		buf_put(out, raw, len);
	return r < 0 ? r : buf_error(out);
}

struct id check_key_of(const char *hex)
{
	struct id key = { .b = { 0 } };

	(void)!hex_decode(hex, NAME_HEX / 2, key.b);
	key.b[NAME_HEX / 2] = 1; /* no key is all zeros */
	return key;
}

/* Points that a register names are not without a commit, though they may have
 * come after the points were listed. */
static int note_commit(struct check *c, const void *data, size_t len,
		       const char *name)
{
	struct commit commit;
	struct id key;
	int r = commit_decode(data, len, name, &commit);

	if (r < 0 || !commit.point[0])
		return r;
	key = check_key_of(commit.point);
	r = MIN(idset_add(&c->committed, &key), 0);
	return r < 0 ? r : check_claim(c, name, commit.point);
}

static int note_verdict(struct check *c, const void *data, size_t len,
			const char *name)
{
	bool purged;
	int r = purge_decode(data, len, name, &purged);

	return r == 0 && purged ? check_add_removal(c, name) : r;
}

/* An object and what it says; @at: where its name begins in check.names. */
static int check_contents(struct check *c, const struct kind *k, size_t at)
{
	const char *name = (const char *)c->names.data + at;
	AUTO_BUF struct buf plain = BUF_INIT;
	int r;

	if (k->type == OBJECT_INDEX)
		return check_read_index(c, at);
	if (k->type == OBJECT_DIGEST)
		return c->has_facts ? check_digest(c, name) : 0;
	r = check_open(c, k->type, name, &plain);
	if (r < 0)
		return r;
	if (!k->type)
		return check_slot(c, name, plain.data, plain.len);
	r = check_record(k->type, plain.data, plain.len, name);
	if (r == 0)
		r = check_note_fact(c, k->type, plain.data, plain.len, name);
	if (r == 0 && k->type == OBJECT_COMMIT)
		r = note_commit(c, plain.data, plain.len, name);
	if (r == 0 && k->type == OBJECT_PURGE)
		r = note_verdict(c, plain.data, plain.len, name);
	return r;
}

static int check_object(struct check *c, size_t at)
{
	const char *name = (const char *)c->names.data + at;
	const struct kind *k = kind_of(name);
	int r = check_contents(c, k, at), n;

	if (r == -ENOENT) {
		/* It went away meanwhile: sessions and keys may. What an index
		 * object said stands in one that was put before it went. */
		c->index_gone |= k->type == OBJECT_INDEX;
		return 0;
	}
	if (r == -EBADMSG && k->type == OBJECT_INDEX &&
	    check_index_superseded(c, name))
		return MIN(check_found(c, false, name,
				       "damaged, and nobody needs it: another "
				       "index object supersedes it"),
			   0);
	if (backend_error_is_of_object(r) || r == -EOPNOTSUPP) {
		n = check_found(c, true, name, "%s%s",
				r == -EIO || r == -EPERM ? "cannot be read"
				: r == -EOPNOTSUPP	 ? NEWER_OR_DAMAGED
							 : "damaged",
				check_what_is_lost(k->type));
		r = MIN(n, 0);
	}
	return r;
}

/* ---- points ---- */

static bool misses_note(const struct point_list *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (l->points[i]->has_missing_note)
			return true;
	return false;
}

/* A point that went away while it was looked for was purged, and a note that
 * was put while they were listed may not have been among them: ask twice. */
static int list_points(struct check *c)
{
	struct point_list **l = &c->out->points_list;
	int r;

	vault_distrust_digests(c->vault);
	/* What was forgotten can be brought back: it has to be whole. */
	vault_show_forgotten(c->vault);
	vault_show_untrusted(c->vault);
	r = vault_points(c->vault, l);
	if (r == 0 && ((*l)->ndamaged > 0 || misses_note(*l))) {
		point_list_put(*l);
		r = vault_points(c->vault, l);
	}
	if (r == 0)
		c->out->points = (*l)->n;
	return r < 0 ? r : check_sort_points(c);
}

/* A missing note is damage, for nobody can say what it said; once a later one has
 * said whether the point is protected, nothing hangs on it any more. */
static int report_notes(struct check *c)
{
	const struct point_list *l = c->out->points_list;
	char object[OBJECT_NAME_MAX];
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r >= 0; i++) {
		const struct point *p = l->points[i];

		if (!p->has_missing_note)
			continue;
		snprintf(object, sizeof(object), "note/%s-%u", p->id,
			 p->missing_note);
		r = check_found(c, !p->missing_is_settled, object,
				p->missing_is_settled
					? "a note that was put is missing"
					: "a note that was put is missing, and "
					  "may be one that protects the point: "
					  "it counts as protected until you "
					  "note --protect or --unprotect");
	}
	return MIN(r, 0);
}

/* One that is unsigned, or whose signer nobody knows, may be as it has to be. */
static int report_signers(struct check *c)
{
	static const char *const texts[] = {
		[POINT_UNSIGNED] = "is not signed, as this vault demands",
		[POINT_SIGNED] =
			"is signed with a key that is not known to sign "
			"for its machine, as this vault demands: see "
			"vmbackup key trust",
		[POINT_SIGNED_BY_ANOTHER] =
			"is signed with a key that may not sign for its "
			"machine: somebody made it in its name, or the "
			"machine has a new key: see vmbackup key trust",
		[POINT_SIGNED_REVOKED] =
			"is signed with a key that was revoked",
		[POINT_SIGNED_ELSEWHERE] =
			"was signed for another vault, and put here",
	};
	const struct point_list *l = c->out->points_list;
	char object[OBJECT_NAME_MAX];
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r >= 0; i++) {
		enum point_signature s = point_list_signature(l, i);

		if (s <= POINT_SIGNED_TRUSTED && !l->points[i]->is_untrusted)
			continue;
		snprintf(object, sizeof(object), "commit/%s",
			 l->points[i]->session);
		r = check_found(c, true, object, "the point %s/%s %s",
				l->points[i]->vm, l->names[i], texts[s]);
	}
	return MIN(r, 0);
}

static int report_points(struct check *c)
{
	const struct point_list *l = c->out->points_list;
	char object[OBJECT_NAME_MAX];
	struct backend_info info;
	struct id key;
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r >= 0; i++) {
		key = check_key_of(l->points[i]->id);
		r = idset_add(&c->committed, &key);
	}
	for (i = 0; i < l->ndamaged && r >= 0; i++) {
		/* The id is the point's, or, where that is not known, its
		 * commit's. */
		snprintf(object, sizeof(object), "commit/%s", l->damaged[i]);
		if (backend_head(c->backend, object, &info) < 0)
			snprintf(object, sizeof(object), "point/%s",
				 l->damaged[i]);
		r = check_found(c, true, object,
				"a point is lost: what was committed is"
				" missing or damaged");
		key = check_key_of(l->damaged[i]);
		if (r >= 0)
			r = idset_add(&c->committed, &key);
	}
	return MIN(r, 0);
}

/* Points that were stored, but not committed. */
static int report_uncommitted(struct check *c)
{
	const char *name = (const char *)c->names.data;
	const char *end = name + c->names.len;
	int n = 0;

	for (; name < end && n >= 0; name += strlen(name) + 1) {
		struct id key;

		if (strncmp(name, "point/", 6) != 0)
			continue;
		key = check_key_of(name + 6);
		if (idset_has(&c->committed, &key))
			continue;
		c->out->uncommitted++;
		n = check_found(c, false, name,
				"no commit names it: its backup died just"
				" before the end, or is at work, or the commit"
				" is gone");
	}
	return MIN(n, 0);
}

/* Open those whose names begin at *@at in check.names and behind it. */
static int open_from(struct check *c, size_t *at)
{
	int r = 0;

	c->progress.items_total = c->out->objects - c->npacks;
	while (*at < c->names.len && r == 0) {
		r = check_object(c, *at);
		*at += strlen((const char *)c->names.data + *at) + 1;
		c->progress.items_done++;
		if (r == 0)
			r = check_tick(c);
	}
	return r;
}

/* They are compared with what was opened before. */
static int open_digests(struct check *c)
{
	const char *name = (const char *)c->names.data;
	const char *end = name + c->names.len;
	int r = 0;

	c->has_facts = true;
	for (; name < end && r == 0; name += strlen(name) + 1)
		if (strncmp(name, "digest/", 7) == 0)
			r = check_object(
				c,
				(size_t)(name - (const char *)c->names.data));
	return r;
}

static int open_objects(struct check *c)
{
	unsigned int listings = 0;
	size_t at = 0;
	int r = open_from(c, &at);

	while (r == 0 && c->index_gone) {
		if (++listings > INDEX_LISTINGS_MAX)
			return fail(-EAGAIN,
				    "index/: %u times one of the objects was "
				    "replaced before it was read; run vmbackup "
				    "check again",
				    listings);
		c->index_gone = false;
		r = check_list_new_indexes(c);
		if (r == 0)
			r = open_from(c, &at);
	}
	return r < 0 ? r : open_digests(c);
}

int check_objects(struct check *c)
{
	int r;

	c->progress.phase = "objects";
	r = check_folders(c);
	if (r == 0)
		r = list_points(c);
	if (r == 0)
		r = vault_refresh(c->vault);
	if (r == 0)
		r = check_make_up_for_indexes(c);
	if (r == 0)
		r = list_objects(c);
	if (r == 0)
		r = check_make_up_for_packs(c);
	if (r == 0)
		r = open_objects(c);
	if (r == 0)
		r = check_disputes(c);
	if (r == 0)
		r = check_suspects(c);
	if (r == 0)
		r = check_removals(c);
	if (r == 0)
		r = check_mark_good(c);
	if (r == 0)
		r = report_points(c);
	if (r == 0)
		r = report_signers(c);
	if (r == 0)
		r = report_notes(c);
	if (r == 0)
		r = report_uncommitted(c);
	if (r == 0)
		r = check_unindexed(c);
	return r;
}
