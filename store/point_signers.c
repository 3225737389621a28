/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who signed the points, and whether he may: what the commits say, against what this
 * machine remembers of signers (store/history/trust.h).
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/epoch/rotate.h"
#include "store/history/history.h"
#include "store/vault_internal.h"

/* ---- who signed ---- */

const char *point_signature_word(enum point_signature s)
{
	static const char *const words[] = {
		[POINT_UNSIGNED] = "unsigned",
		[POINT_SIGNED] = "unknown",
		[POINT_SIGNED_TRUSTED] = "trusted",
		[POINT_SIGNED_BY_ANOTHER] = "another",
		[POINT_SIGNED_REVOKED] = "revoked",
		[POINT_SIGNED_ELSEWHERE] = "elsewhere",
	};

	return words[s];
}

/* The commit of a session where it is signed, or NULL. */
static const struct known_commit *signed_commit(const struct point_objects *o,
						const char *session)
{
	const struct kept_set *s = &o->commits;
	const struct known_commit *c = NULL;
	char name[OBJECT_NAME_MAX];
	size_t at;

	snprintf(name, sizeof(name), "%s%s", point_kept_commits.prefix,
		 session);
	at = kept_find(s, name);
	if (at < s->n && strcmp(s->items[at].name, name) == 0)
		c = s->items[at].value;
	return c && c->is_signed ? c : NULL;
}

/* ---- what was signed before its key was revoked ---- */

static size_t find_commit(const struct point_objects *o, const char *sid)
{
	const struct kept_set *s = &o->commits;
	char name[OBJECT_NAME_MAX];
	size_t at;

	snprintf(name, sizeof(name), "%s%.32s", point_kept_commits.prefix, sid);
	at = kept_find(s, name);
	return at < s->n && strcmp(s->items[at].name, name) == 0 ? at : s->n;
}

/* Marks what commits follow; each is put on the stack once. */
struct below {
	const struct point_objects *objects;
	bool *mark; /* owned */
	size_t *stack; /* owned */
	size_t depth;
};

static int below_init(struct below *b, const struct point_objects *o)
{
	b->objects = o;
	b->depth = 0;
	b->mark = calloc(o->commits.n + 1, sizeof(*b->mark));
	b->stack = alloc_array(o->commits.n + 1, sizeof(*b->stack));
	return b->mark && b->stack ? 0 : -ENOMEM;
}

static void below_release(struct below *b)
{
	free(b->mark);
	free(b->stack);
}

static void below_mark(struct below *b, size_t at)
{
	if (at == b->objects->commits.n || b->mark[at])
		return;
	b->mark[at] = true;
	b->stack[b->depth++] = at;
}

static void below_follow(struct below *b, const struct known_commit *c)
{
	char sid[NAME_HEX + 1];
	size_t i;

	for (i = 0; c && i < get_le16(c->nrefs); i++) {
		/* One that could not be read may have been anybody's. */
		if (!c->refs[i].has_hash)
			continue;
		hex_encode(c->refs[i].sid, COMMIT_SID_LEN, sid);
		below_mark(b, find_commit(b->objects, sid));
	}
}

static void below_run(struct below *b)
{
	while (b->depth > 0)
		below_follow(
			b,
			b->objects->commits.items[b->stack[--b->depth]].value);
}

int point_mark_settled(struct vault *v, bool **mark_out)
{
	size_t i, n;
	const char *const *settled = history_settled(v->history, &n);
	struct below b;
	int r = below_init(&b, &v->objects);

	for (i = 0; i < n && r == 0; i++)
		below_mark(&b, find_commit(&v->objects,
					   settled[i] + strlen("settled ")));
	if (r == 0)
		below_run(&b);
	*mark_out = r == 0 ? b.mark : NULL;
	if (r == 0)
		b.mark = NULL;
	below_release(&b);
	return r;
}

static bool is_by(const struct known_commit *c, const uint8_t *key)
{
	return c && c->is_signed && memcmp(c->signer, key, SIGN_KEY_LEN) == 0;
}

static int add_kept(struct vault *v, const char *sid)
{
	if (array_reserve(&v->kept, &v->kept_cap, v->nkept + 1) < 0)
		return -ENOMEM;
	/* The name of an object that was listed is well formed. */
	if (hex_decode(sid, COMMIT_SID_LEN, v->kept[v->nkept]) == 0)
		v->nkept++;
	return 0;
}

static int by_sid(const void *a, const void *b)
{
	return memcmp(a, b, COMMIT_SID_LEN);
}

/* Of one key that was revoked. */
static int find_kept_of(struct vault *v, const struct point_objects *o,
			const struct trust *t, const uint8_t *key)
{
	size_t prefix = strlen(point_kept_commits.prefix), i;
	struct below b;
	int r = below_init(&b, o);

	for (i = 0; i < t->n && r == 0; i++)
		if (t->rows[i].kind == TRUST_KEPT &&
		    memcmp(t->rows[i].key, key, SIGN_KEY_LEN) == 0)
			below_mark(&b, find_commit(o, t->rows[i].machine));
	if (r == 0)
		below_run(&b);
	for (i = 0; i < o->commits.n && r == 0; i++)
		if (b.mark[i] && is_by(o->commits.items[i].value, key))
			r = add_kept(v, o->commits.items[i].name + prefix);
	below_release(&b);
	return r;
}

int point_find_kept(struct vault *v, const struct point_objects *o)
{
	const struct trust *t = history_trust(v->history);
	size_t i;
	int r = 0;

	v->nkept = 0;
	for (i = 0; i < t->n && r == 0; i++)
		if (t->rows[i].kind == TRUST_TAKEN)
			r = find_kept_of(v, o, t, t->rows[i].key);
	if (v->nkept > 1)
		qsort(v->kept, v->nkept, sizeof(*v->kept), by_sid);
	return r;
}

static bool is_kept(const struct vault *v, const char *sid)
{
	uint8_t raw[COMMIT_SID_LEN];

	return v->nkept && hex_decode(sid, sizeof(raw), raw) == 0 &&
	       bsearch(raw, v->kept, v->nkept, sizeof(*v->kept), by_sid);
}

/* Remember of what @key signed the newest, which no other that it signed follows. */
static int keep_newest(struct vault *v, const uint8_t *key)
{
	const struct kept_set *s = &v->objects.commits;
	struct trust_row row = { .kind = TRUST_KEPT };
	struct below b;
	size_t i;
	int r = below_init(&b, &v->objects);

	memcpy(row.key, key, sizeof(row.key));
	for (i = 0; i < s->n && r == 0; i++)
		if (is_by(s->items[i].value, key))
			below_follow(&b, s->items[i].value);
	if (r == 0)
		below_run(&b);
	for (i = 0; i < s->n && r == 0; i++) {
		if (b.mark[i] || !is_by(s->items[i].value, key))
			continue;
		row.machine =
			s->items[i].name + strlen(point_kept_commits.prefix);
		r = history_add_trust(v->history, &row);
	}
	below_release(&b);
	return r;
}

/* ---- judging ---- */

static enum point_signature judge_commit(const struct vault *v,
					 const struct known_commit *c,
					 const char *sid, const char *machine)
{
	const struct trust *known = history_trust(v->history);
	enum trust_verdict t;

	if (!c)
		return POINT_UNSIGNED;
	if (strcmp(c->vault, v->id_hex) != 0)
		return POINT_SIGNED_ELSEWHERE;
	t = is_kept(v, sid) ? trust_judge_kept(known, c->signer, machine)
			    : trust_judge(known, c->signer, machine);
	if (t == TRUST_IS_REVOKED)
		return POINT_SIGNED_REVOKED;
	if (t == TRUST_IS_GIVEN ||
	    trust_judge(&v->trusted_now, c->signer, machine) == TRUST_IS_GIVEN)
		return POINT_SIGNED_TRUSTED;
	return t == TRUST_IS_ANOTHERS ? POINT_SIGNED_BY_ANOTHER : POINT_SIGNED;
}

enum point_signature point_judge_signature(const struct vault *v,
					   const struct point_objects *o,
					   const struct point *p,
					   const char *machine)
{
	return judge_commit(v, signed_commit(o, p->session), p->session,
			    machine);
}

/* What this machine signs itself is its own. */
static int trust_own_key(struct vault *v)
{
	struct trust_row row = { .kind = TRUST_GIVEN_ALL };
	struct secret *seed = NULL;
	int r = 0;

	if (v->has_own_key)
		return 0;
	v->has_own_key = true;
	/* What is wrong with it was said. */
	if (vault_signing_key(v, &seed) < 0 || !seed)
		return 0;
	r = sign_public(seed->data, row.key);
	secret_free(seed);
	return r < 0 ? r : trust_add(&v->trusted_now, &row);
}

bool point_demands_signatures(const struct vault *v)
{
	return (v->features.read & FEATURE_SIGNED) ||
	       trust_is_demanded(history_trust(v->history));
}

int point_remember_demand(struct vault *v)
{
	const struct trust_row row = { .kind = TRUST_DEMANDED };
	int r = trust_own_key(v);

	if (!(v->features.read & FEATURE_SIGNED)) {
		if (vault_is_news(v, "signer demanded"))
			log_line(LOG_LEVEL_ERROR,
				 "vault %s: it demanded that its points be "
				 "signed, and does not any more: somebody "
				 "removed the object below feature/ that said "
				 "so; it is demanded all the same",
				 backend_url(v->backend));
		return r;
	}
	if (r < 0 || trust_is_demanded(history_trust(v->history)))
		return r;
	r = history_add_trust(v->history, &row);
	return r == -ENOMEM ? r : 0; /* said */
}

/* ---- who signs ---- */

/* Points of one machine. */
struct signers {
	struct vault *vault;
	const char *machine;
	const struct point *last, *last_trusted;
	bool last_unsigned;
	const struct known_commit
		*open; /* nobody knows who may, and this did */
	bool has_several; /* and others did */
};

static const char *put_name(const struct signers *s, const struct point *p,
			    char out[POINT_NAME_MAX + POINT_NAME_LEN])
{
	char name[POINT_NAME_LEN];

	point_put_name(p, 0, name);
	snprintf(out, POINT_NAME_MAX + POINT_NAME_LEN, "%s/%s", s->machine,
		 name);
	return out;
}

static void say_signer(const struct signers *s, const struct point *p,
		       const struct known_commit *c, enum point_signature is)
{
	char name[POINT_NAME_MAX + POINT_NAME_LEN], hex[TRUST_KEY_HEX + 1];
	char once[POINT_NAME_MAX + TRUST_KEY_HEX + 16];

	hex_encode(c->signer, sizeof(c->signer), hex);
	snprintf(once, sizeof(once), "signer %s %s", hex, s->machine);
	if (!vault_is_news(s->vault, once))
		return;
	put_name(s, p, name);
	if (is == POINT_SIGNED_BY_ANOTHER)
		log_line(LOG_LEVEL_ERROR,
			 "vault %s: THE SIGNER OF %s HAS CHANGED: the point %s "
			 "was signed with the key %s, which may not sign for "
			 "this machine: somebody who has the vault's key may "
			 "have made it; if it is right, say: vmbackup key "
			 "trust %s --machine %s",
			 backend_url(s->vault->backend), s->machine, name, hex,
			 hex, s->machine);
	else if (is == POINT_SIGNED_REVOKED)
		log_line(LOG_LEVEL_ERROR,
			 "vault %s: the point %s was signed with the key %s, "
			 "which was revoked",
			 backend_url(s->vault->backend), name, hex);
	else
		log_line(LOG_LEVEL_ERROR,
			 "vault %s: the point %s was signed for another vault, "
			 "and put into this one by somebody",
			 backend_url(s->vault->backend), name);
}

static void meet_point(struct signers *s, const struct point *p,
		       const struct known_commit *c)
{
	enum point_signature is =
		judge_commit(s->vault, c, p->session, s->machine);

	s->last = p;
	s->last_unsigned = is == POINT_UNSIGNED;
	if (is == POINT_SIGNED_TRUSTED)
		s->last_trusted = p;
	if (is == POINT_SIGNED && !s->open)
		s->open = c;
	else if (is == POINT_SIGNED)
		s->has_several |= memcmp(s->open->signer, c->signer,
					 sizeof(c->signer)) != 0;
	if (is > POINT_SIGNED_TRUSTED)
		say_signer(s, p, c, is);
}

/* All points of a machine were met. */
static int end_machine(const struct signers *s)
{
	struct trust_row row = { .kind = TRUST_FIRST, .machine = s->machine };
	char name[POINT_NAME_MAX + POINT_NAME_LEN], hex[TRUST_KEY_HEX + 1];
	char once[POINT_NAME_MAX + 16];
	int r;

	snprintf(once, sizeof(once), "unsigned %s", s->machine);
	if (s->last_trusted && s->last_unsigned &&
	    vault_is_news(s->vault, once))
		log_warn("the point %s is not signed, though its machine has "
			 "signed before: somebody who has the vault's key may "
			 "have made it",
			 put_name(s, s->last, name));
	if (!s->open)
		return 0;
	snprintf(once, sizeof(once), "signers %s", s->machine);
	if (s->has_several) {
		if (vault_is_news(s->vault, once))
			log_warn("several keys sign for %s, and it is not "
				 "known which of them may: see vmbackup points "
				 "--json, and say: vmbackup key trust KEY "
				 "--machine %s",
				 s->machine, s->machine);
		return 0;
	}
	/* Nor is the first one believed where signatures are demanded. */
	if (point_demands_signatures(s->vault))
		return 0;
	memcpy(row.key, s->open->signer, sizeof(row.key));
	r = history_add_trust(s->vault->history, &row);
	hex_encode(row.key, sizeof(row.key), hex);
	if (r == 0)
		log_warn("%s signs its points with the key %s, which is seen "
			 "here for the first time and trusted from now on",
			 s->machine, hex);
	/* Where it cannot be remembered it is not trusted. */
	return r == -ENOMEM ? r : 0;
}

static bool has_signed(const struct point_objects *o)
{
	const struct known_commit *c;
	size_t i;

	for (i = 0; i < o->commits.n; i++) {
		c = o->commits.items[i].value;
		if (c && c->is_signed)
			return true;
	}
	return false;
}

/* Machines follow one another in a list, and each one's points by their times. */
static int meet_signers(struct vault *v, const struct point_objects *o,
			const struct point_list *l)
{
	struct signers s = { .vault = v };
	size_t i;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++) {
		const struct point *p = l->points[i];

		if (!s.machine || strcmp(s.machine, p->vm) != 0) {
			r = s.machine ? end_machine(&s) : 0;
			s = (struct signers){ .vault = v, .machine = p->vm };
		}
		meet_point(&s, p, signed_commit(o, p->session));
	}
	return r == 0 && s.machine ? end_machine(&s) : r;
}

int point_judge_signers(struct vault *v, const struct point_objects *o,
			struct point_list *l)
{
	size_t i;
	int r = 0;

	if (has_signed(o)) {
		r = trust_own_key(v);
		if (r == 0)
			r = meet_signers(v, o, l);
		l->signatures = calloc(l->n + 1, 1);
		if (r == 0 && !l->signatures)
			r = -ENOMEM;
		for (i = 0; i < l->n && r == 0; i++)
			l->signatures[i] = (uint8_t)point_judge_signature(
				v, o, l->points[i], l->points[i]->vm);
	}
	v->trust_rows = history_trust(v->history)->n;
	return r;
}

/* ---- of whoever asks ---- */

enum point_signature vault_signature(struct vault *v, const struct point *p,
				     uint8_t *key_out)
{
	const struct known_commit *c;
	enum point_signature found;

	point_listing_begin(v);
	c = signed_commit(&v->objects, p->session);
	found = judge_commit(v, c, p->session, p->vm);
	if (c)
		memcpy(key_out, c->signer, sizeof(c->signer));
	point_listing_end(v);
	return found;
}

bool vault_demands_signatures(struct vault *v)
{
	bool demands;

	point_listing_begin(v);
	demands = point_demands_signatures(v);
	point_listing_end(v);
	return demands;
}

int vault_demand_signatures(struct vault *v)
{
	static const struct feature_words words = {
		FEATURE_SIGNED, FEATURE_SIGNED, FEATURE_SIGNED, FEATURE_SIGNED
	};
	int r = v->features.read & FEATURE_SIGNED
			? 0
			: rotate_put_feature(v, &words);

	if (r == 0)
		r = vault_read_features(v);
	point_listing_begin(v);
	v->is_list_old = true;
	point_listing_end(v);
	return r;
}

int vault_trust_now(struct vault *v, const uint8_t *key)
{
	struct trust_row row = { .kind = TRUST_GIVEN_ALL };

	memcpy(row.key, key, sizeof(row.key));
	return trust_add(&v->trusted_now, &row);
}

static int remember_trust(struct vault *v, const struct trust_row *row)
{
	const struct trust *t = history_trust(v->history);
	int r;

	if (row->kind != TRUST_TAKEN &&
	    trust_judge(t, row->key, row->machine ? row->machine : "") ==
		    TRUST_IS_REVOKED)
		return fail(-EEXIST, "this key was revoked, which cannot be "
				     "taken back");
	r = row->kind == TRUST_TAKEN ? keep_newest(v, row->key) : 0;
	if (r == 0)
		r = history_add_trust(v->history, row);
	return r == -ENOENT ? fail(r, "there is no place where that could be "
				      "remembered: set VMBACKUP_STATE_DIR")
			    : r;
}

int vault_trust(struct vault *v, const uint8_t *key, const char *machine,
		bool revoke)
{
	struct trust_row row = { .kind = revoke	   ? TRUST_TAKEN
					 : machine ? TRUST_GIVEN
						   : TRUST_GIVEN_ALL,
				 .machine = revoke ? NULL : machine };
	int r;

	memcpy(row.key, key, sizeof(row.key));
	point_listing_begin(v);
	r = remember_trust(v, &row);
	point_listing_end(v);
	return r;
}

int vault_each_signer(struct vault *v,
		      int (*fn)(void *arg, const struct trust *t), void *arg)
{
	int r;

	point_listing_begin(v);
	r = fn(arg, history_trust(v->history));
	point_listing_end(v);
	return r;
}
