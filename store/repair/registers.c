/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Registers of sessions that are gone, and that a digest still tells of: to the byte, so
 * that later commits which name them by their hash name the same.
 *
 * A register makes a point. So none is put but where the point is there, with the hash
 * that the register has, and of that session; or where the session made none. Digests
 * that do not say the same are not believed, and no session that may still be at work is
 * decided here.
 */
#include "config.h"

#include "store/repair/registers.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/digest.h"
#include "store/repair/internal.h"
#include "store/vault.h"
#include "store/writer/sealed.h"

struct lost_register {
	char sid[NAME_HEX + 1];
	char point[NAME_HEX + 1]; /* "": it made none */
	uint8_t hash[COMMIT_HASH_LEN];
	struct buf plain;
	bool in_doubt; /* digests do not say the same */
};

struct search {
	struct vault *vault; /* borrowed */
	struct backend_names there; /* commit/, sorted */
	struct lost_register *lost; /* owned */
	size_t n, cap;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What the register of an entry has to be; empty where the digest does not tell. */
static void plain_of(const struct digest_entry *e, struct buf *out)
{
	if (e->reg)
		buf_put(out, e->reg, e->reg_len);
	else if (!e->commit.point[0])
		commit_encode_fenced(e->sid, out);
}

static bool is_same(const struct lost_register *l, const struct buf *plain)
{
	return l->plain.len == plain->len &&
	       (plain->len == 0 ||
		memcmp(l->plain.data, plain->data, plain->len) == 0);
}

static int add_lost(struct search *s, const struct digest_entry *e)
{
	struct digest_entry full = *e;
	struct lost_register *l;
	int r = digest_entry_decode(&full);

	/* One that says nothing hides no others. */
	if (r < 0)
		return r == -EBADMSG ? 0 : r;
	if (array_reserve(&s->lost, &s->cap, s->n + 1) < 0)
		return -ENOMEM;
	l = &s->lost[s->n++];
	*l = (struct lost_register){ .plain = BUF_INIT };
	memcpy(l->sid, full.sid, sizeof(l->sid));
	memcpy(l->point, full.commit.point, sizeof(l->point));
	memcpy(l->hash, full.commit.hash, sizeof(l->hash));
	plain_of(e, &l->plain);
	return buf_error(&l->plain);
}

static int on_entry(void *arg, const struct digest_entry *e)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char text[OBJECT_NAME_MAX];
	const char *name = text;
	struct search *s = arg;
	size_t i;

	snprintf(text, sizeof(text), "commit/%s", e->sid);
	if (s->there.n && bsearch(&name, s->there.list, s->there.n,
				  sizeof(*s->there.list), by_text))
		return 0;
	for (i = 0; i < s->n; i++) {
		if (strcmp(s->lost[i].sid, e->sid) != 0)
			continue;
		plain_of(e, &plain);
		if (buf_error(&plain) < 0)
			return -ENOMEM;
		s->lost[i].in_doubt |= !is_same(&s->lost[i], &plain);
		return 0;
	}
	return add_lost(s, e);
}

/* Open an object that is a box. Return 0; 1 (there is none, or it cannot be read) or
 * another negative errno. */
static int open_box(struct vault *v, uint8_t type, const char *name,
		    uint8_t hash[CRYPT_SHA256_LEN], struct buf *out)
{
	AUTO_FREE uint8_t *raw = NULL;
	bool before = log_hush(true);
	size_t len;
	int r = vault_get_all(v, name, FORMAT_BOX_OBJECT_MAX, &raw, &len);

	if (r == 0)
		r = crypt_sha256(raw, len, hash);
	if (r == 0)
		r = format_read_box(vault_keyring(v), raw, len, type, name,
				    out);
	(void)log_hush(before);
	return r == -ENOENT || r == -EOPNOTSUPP || backend_error_is_of_object(r)
		       ? 1
		       : r;
}

static int read_digest(struct search *s, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	uint8_t hash[CRYPT_SHA256_LEN];
	bool before;
	int r = open_box(s->vault, OBJECT_DIGEST, name, hash, &plain);

	if (r != 0)
		return MIN(r, 0);
	before = log_hush(true);
	r = digest_decode(plain.data, plain.len, name, on_entry, NULL, s);
	(void)log_hush(before);
	return r == -EBADMSG ? 0 : r;
}

/* Registers are listed after digests: of what these tell they stood there before. */
static int find_lost(struct search *s)
{
	AUTO_NAMES struct backend_names digests = { NULL, 0, 0 };
	struct backend *b = vault_backend(s->vault);
	size_t i;
	int r = backend_list_names(b, "digest/", &digests);

	if (r == 0)
		r = backend_list_names(b, "commit/", &s->there);
	for (i = 0; i < digests.n && r == 0; i++)
		r = read_digest(s, digests.list[i]);
	return r;
}

/* ---- is it proven? ---- */

/* What speaks against it, NULL where nothing does, to *why. Return 0 or a negative
 * errno. */
static int judge_point(struct search *s, const struct lost_register *l,
		       const char **why)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	uint8_t hash[CRYPT_SHA256_LEN];
	char name[OBJECT_NAME_MAX];
	struct point *p = NULL;
	bool before = log_hush(true);
	int r;

	snprintf(name, sizeof(name), "point/%s", l->point);
	r = open_box(s->vault, OBJECT_POINT, name, hash, &plain);
	if (r == 0 && memcmp(hash, l->hash, sizeof(hash)) != 0)
		r = 1;
	if (r == 0)
		r = point_decode(plain.data, plain.len, name, &p);
	(void)log_hush(before);
	if (r == 1 || r == -EBADMSG ||
	    (r == 0 && strcmp(p->session, l->sid) != 0))
		*why = "its point is not there as it was committed: take both "
		       "from a copy of the vault (--from)";
	point_free(p);
	return r == -EBADMSG ? 0 : MIN(r, 0);
}

static int judge(struct search *s, const struct lost_register *l,
		 const char **why)
{
	struct backend_info info;
	char name[OBJECT_NAME_MAX];
	int r;

	*why = NULL;
	if (l->in_doubt)
		*why = "digests do not say the same of it: bring it back from "
		       "a copy of the vault";
	else if (l->plain.len == 0)
		*why = "no digest has its bytes: bring it back from a copy of "
		       "the vault (--from)";
	if (*why)
		return 0;
	snprintf(name, sizeof(name), "session/%s", l->sid);
	r = backend_head(vault_backend(s->vault), name, &info);
	if (r == 0 && !l->point[0])
		*why = "its session may still be at work";
	if (r < 0 && r != -ENOENT)
		return r;
	return l->point[0] ? judge_point(s, l, why) : 0;
}

/* ---- putting it back ---- */

static int mend(struct search *s, const struct lost_register *l,
		const struct repair_options *o, struct repair_result *out)
{
	char name[OBJECT_NAME_MAX];
	const char *why;
	int r = judge(s, l, &why);

	snprintf(name, sizeof(name), "commit/%s", l->sid);
	if (r == 0 && why) {
		repair_say(o, out, REPAIR_LEFT, name, "was gone, and %s", why);
		return 0;
	}
	if (r == 0 && o->apply)
		r = sealed_ensure(s->vault, OBJECT_COMMIT, name, &l->plain);
	if (r == 0)
		repair_say(
			o, out, o->apply ? REPAIR_DONE : REPAIR_WOULD, name,
			o->apply
				? "was gone; it is put again, as a digest has it"
				: "was gone; it can be put again, as a digest has "
				  "it");
	return r;
}

/* Registers that are gone are what is put back here; all else keeps writers away. */
static int may_write(struct vault *v)
{
	char *const *folders;

	if (vault_lost(v) && vault_missing_folders(v, &folders) == 0)
		return 0;
	return vault_may_write(v);
}

int repair_registers(struct vault *v, const struct repair_options *o,
		     struct repair_result *out)
{
	struct search s = { .vault = v };
	size_t i;
	int r = find_lost(&s);

	if (r == 0 && s.n > 0 && o->apply)
		r = may_write(v);
	for (i = 0; i < s.n && r == 0; i++)
		r = mend(&s, &s.lost[i], o, out);
	for (i = 0; i < s.n; i++)
		buf_release(&s.lost[i].plain);
	free(s.lost);
	backend_names_release(&s.there);
	return r;
}
