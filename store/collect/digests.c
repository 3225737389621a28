/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Digests repeat what registers and points say, and so they would keep what was removed.
 * One that tells of a point which is gone for good, or says what its registers do not
 * say, is written anew without that, and goes once the new one stands; and so does one
 * that others supersede, where these tell of all that it tells of. The registers stay.
 *
 * What cannot be compared stays as it is: it may be the last that tells of it. One that
 * cannot be read is left alone. A writer that puts a digest meanwhile loses nothing by
 * it, for only what was read here goes.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/hex.h"
#include "store/base/idset.h"
#include "store/base/log.h"
#include "store/collect/internal.h"
#include "store/collect/register.h"
#include "store/format.h"
#include "store/kept.h"
#include "store/record/digest.h"
#include "store/vault.h"

static const struct kept_kind commits = { .prefix = "commit/",
					  .type = OBJECT_COMMIT,
					  .max = 64u << 10 };
static const struct kept_kind points = { .prefix = "point/",
					 .type = OBJECT_POINT,
					 .max = 16u << 20 };

struct one_digest {
	const char *name; /* borrowed */
	bool is_read, is_gone; /* another one supersedes it */
};

struct tidying {
	struct cycle *cycle;
	struct one_digest *all; /* owned; by name */
	size_t n;
	struct idset told; /* sessions that those in use tell of */
	struct backend_names *out;
	/* Of the one at hand: */
	struct buf entries; /* that stay */
	uint64_t nentries, ndropped;
	struct buf gone; /* names that it supersedes and that are there */
	uint64_t ngone;
	bool is_covered; /* others tell of all that stays */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct one_digest *)a)->name,
		      ((const struct one_digest *)b)->name);
}

static struct one_digest *find(struct tidying *t, const char *digest)
{
	char name[OBJECT_NAME_MAX];
	struct one_digest key = { .name = name };

	snprintf(name, sizeof(name), "digest/%s", digest);
	return t->n ? bsearch(&key, t->all, t->n, sizeof(*t->all), by_name)
		    : NULL;
}

/* ---- is an entry to stay? ---- */

static bool is_of_object(int r)
{
	return r == -ENOENT || r == -EOPNOTSUPP ||
	       backend_error_is_of_object(r);
}

/* Does an object say just that? Return 1 (also where it cannot be read), 0 or a negative
 * errno. */
static int says(struct tidying *t, const struct kept_kind *kind,
		const char *name, const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	bool before = log_hush(true);
	int r = kept_read(t->cycle->vault, kind, name, NULL, &plain);

	(void)log_hush(before);
	if (is_of_object(r))
		return 1;
	if (r < 0)
		return r;
	return plain.len == len &&
	       (len == 0 || memcmp(plain.data, data, len) == 0);
}

/* Of one whose register is decoded. Return as stays(). */
static int full_stays(struct tidying *t, const struct digest_entry *e)
{
	const struct ledger_row *row = ledger_find(&t->cycle->ledger, e->sid);
	char name[OBJECT_NAME_MAX];
	int r = 1;

	if (e->commit.point[0] &&
	    hex_ids_has(&t->cycle->purged, e->commit.point))
		return 0;
	/* It was decided since, or its register is lost. */
	if (!row)
		return 1;
	if (strcmp(row->commit.point, e->commit.point) != 0)
		return 0;
	if (!e->commit.point[0])
		return 1;
	if (e->reg) {
		snprintf(name, sizeof(name), "commit/%s", e->sid);
		r = says(t, &commits, name, e->reg, e->reg_len);
	}
	if (r != 1)
		return r;
	snprintf(name, sizeof(name), "point/%s", e->commit.point);
	return says(t, &points, name, e->point, e->point_len);
}

/* Return 1, 0 or a negative errno. */
static int stays(struct tidying *t, const struct digest_entry *e)
{
	struct digest_entry full = *e;
	int r = digest_entry_decode(&full);

	/* No register says nothing. */
	if (r == -EBADMSG)
		return 0;
	return r < 0 ? r : full_stays(t, &full);
}

/* A session's id as a key of a set. */
static struct id key_of(const char *sid)
{
	struct id key = { .b = { 0 } };

	(void)!hex_decode(sid, NAME_HEX / 2, key.b);
	key.b[NAME_HEX / 2] = 1; /* no key is all zeros */
	return key;
}

/* ---- reading one ---- */

static int note_gone(void *arg, const char *name)
{
	struct one_digest *d = find(arg, name);

	if (d)
		d->is_gone = true;
	return 0;
}

static int keep_entry(void *arg, const struct digest_entry *e)
{
	struct tidying *t = arg;
	struct id key = key_of(e->sid);
	int r = stays(t, e);

	t->ndropped += r == 0;
	if (r != 1)
		return r;
	digest_put(&t->entries, e);
	t->nentries++;
	r = idset_add(&t->told, &key);
	return r < 0 ? r : buf_error(&t->entries);
}

static int keep_gone(void *arg, const char *name)
{
	struct tidying *t = arg;

	if (!find(t, name) || t->ngone == DIGEST_GONE_MAX - 1)
		return 0;
	buf_put_bytes(&t->gone, name, strlen(name));
	t->ngone++;
	return buf_error(&t->gone);
}

static int cover_entry(void *arg, const struct digest_entry *e)
{
	struct tidying *t = arg;
	struct id key = key_of(e->sid);
	int r = idset_has(&t->told, &key) ? 0 : stays(t, e);

	t->is_covered &= r != 1;
	return MIN(r, 0);
}

/* Decode one. Return 0, also where it cannot be read, or a negative errno; @ok_out (may
 * be NULL): whether it could. */
static int read_one(struct tidying *t, const char *name,
		    int (*entry)(void *arg, const struct digest_entry *e),
		    int (*gone)(void *arg, const char *name), bool *ok_out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	bool before = log_hush(true);
	int r = register_read(t->cycle->vault, OBJECT_DIGEST, name, &plain);

	if (r == 0)
		r = digest_decode(plain.data, plain.len, name, entry, gone, t);
	(void)log_hush(before);
	if (ok_out)
		*ok_out = r == 0;
	return is_of_object(r) ? 0 : r;
}

/* ---- writing one anew ---- */

static int put_anew(struct tidying *t, const char *old)
{
	struct cycle *c = t->cycle;
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];

	old += strlen("digest/");
	buf_put_varint(&plain, t->nentries);
	buf_put(&plain, t->entries.data, t->entries.len);
	buf_put_varint(&plain, t->ngone + 1);
	if (t->ngone)
		buf_put(&plain, t->gone.data, t->gone.len);
	buf_put_bytes(&plain, old, strlen(old));
	if (buf_error(&plain) < 0)
		return -ENOMEM;
	snprintf(name, sizeof(name), "digest/%s-%u", c->clock.gid,
		 c->next_digest++);
	return register_put_own(c->vault, OBJECT_DIGEST, name, NULL, &plain);
}

/* One that is in use. */
static int tidy_one(struct tidying *t, const struct one_digest *d)
{
	bool ok;
	int r;

	buf_clear(&t->entries);
	buf_clear(&t->gone);
	t->nentries = t->ndropped = t->ngone = 0;
	r = read_one(t, d->name, keep_entry, keep_gone, &ok);
	if (r < 0 || !ok || t->ndropped == 0)
		return r;
	if (t->nentries)
		r = put_anew(t, d->name);
	return r < 0 ? r : backend_names_add(t->out, d->name);
}

/* One that is superseded. */
static int judge_old(struct tidying *t, const struct one_digest *d)
{
	bool ok;
	int r;

	t->is_covered = true;
	r = read_one(t, d->name, cover_entry, NULL, &ok);
	return r == 0 && ok && t->is_covered
		       ? backend_names_add(t->out, d->name)
		       : r;
}

static int tidy_all(struct tidying *t)
{
	size_t i;
	int r = 0;

	for (i = 0; i < t->n && r == 0; i++)
		r = read_one(t, t->all[i].name, NULL, note_gone,
			     &t->all[i].is_read);
	for (i = 0; i < t->n && r == 0; i++)
		if (!t->all[i].is_gone && t->all[i].is_read)
			r = tidy_one(t, &t->all[i]);
	for (i = 0; i < t->n && r == 0; i++)
		if (t->all[i].is_gone && t->all[i].is_read)
			r = judge_old(t, &t->all[i]);
	return r;
}

int digests_tidy(struct cycle *c, struct backend_names *out)
{
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	struct tidying t = {
		.cycle = c, .entries = BUF_INIT, .gone = BUF_INIT, .out = out
	};
	char sid[NAME_HEX + 1];
	size_t i;
	int r = backend_list_names(vault_backend(c->vault), "digest/", &names);

	if (r == 0) {
		t.all = alloc_array(names.n + 1, sizeof(*t.all));
		r = t.all ? 0 : -ENOMEM;
	}
	for (i = 0; i < names.n && r == 0; i++)
		if (name_numbered(names.list[i], "digest/", sid, NULL))
			t.all[t.n++].name = names.list[i];
	if (r == 0)
		r = tidy_all(&t);
	buf_release(&t.entries);
	buf_release(&t.gone);
	idset_release(&t.told);
	free(t.all);
	return r;
}
