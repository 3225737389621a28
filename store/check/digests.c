/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Do digests say what registers and points say? Readers believe a digest, where it
 * saves them reading very many of these, so that one which lies hides points, or shows
 * others; and one that tells of a register which is not there any more proves that it
 * is lost.
 *
 * What registers and points say is kept as hashes while they are opened, and digests
 * are opened last. What does not match is looked at itself: it may have come since.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/record/commit.h"
#include "store/record/digest.h"
#include "store/vault.h"

/* @what and its bytes as a key of a set. */
static int key_of(const char *what, const void *data, size_t len,
		  struct id *out)
{
	struct sha256 *h;
	int r = sha256_new(&h);

	if (r == 0)
		r = sha256_update(h, what, strlen(what) + 1);
	if (r == 0 && len)
		r = sha256_update(h, data, len);
	if (r == 0)
		r = sha256_finish(h, out->b);
	sha256_free(h);
	return r;
}

static int add_fact(struct check *c, const char *what, const void *data,
		    size_t len)
{
	struct id key;
	int r = key_of(what, data, len, &key);

	return r < 0 ? r : MIN(idset_add(&c->facts, &key), 0);
}

/* Return 1, 0 or a negative errno. */
static int is_fact(struct check *c, const char *what, const void *data,
		   size_t len)
{
	struct id key;
	int r = key_of(what, data, len, &key);

	return r < 0 ? r : idset_has(&c->facts, &key);
}

/* What a register comes to, however it is written. */
static void verdict_of(const struct commit *commit, const char *sid,
		       char what[OBJECT_NAME_MAX])
{
	snprintf(what, OBJECT_NAME_MAX, "%s %s",
		 commit->point[0] ? commit->point : "fenced", sid);
}

int check_note_fact(struct check *c, uint8_t type, const void *data, size_t len,
		    const char *name)
{
	struct commit commit = { .point = "" };
	char what[OBJECT_NAME_MAX];
	int r = 0;

	if (type != OBJECT_COMMIT && type != OBJECT_POINT)
		return 0;
	if (type == OBJECT_COMMIT) {
		r = commit_decode(data, len, name, &commit);
		verdict_of(&commit, name + strlen("commit/"), what);
		if (r == 0)
			r = add_fact(c, what, commit.hash,
				     commit.point[0] ? sizeof(commit.hash) : 0);
	}
	return r < 0 ? r : add_fact(c, name, data, len);
}

/* ---- digests ---- */

struct comparing {
	struct check *c;
	const char *digest;
};

static int found_lie(const struct comparing *x, const char *object)
{
	return MIN(
		check_found(x->c, true, x->digest,
			    "it tells of %s what that does not say: who "
			    "sees the vault for the first time does not see "
			    "points as they are; nothing is lost by it; run: "
			    "vmbackup prune, which makes digests anew",
			    object),
		0);
}

static int found_lost(const struct comparing *x, const struct digest_entry *e,
		      const char *name)
{
	return MIN(check_found(
			   x->c, true, name,
			   "the register is gone, which is never deleted; %s "
			   "tells that session %s %s%s; run: vmbackup repair "
			   "points, which makes it again",
			   x->digest, e->sid,
			   e->commit.point[0] ? "made point " : "made no point",
			   e->commit.point),
		   0);
}

/* Of what cannot be read another finding tells. */
static bool is_told(int r)
{
	return backend_error_is_of_object(r) || r == -EOPNOTSUPP;
}

/* Does the register of the entry's session say so? As it was when it was opened, or as
 * it is now. */
static int compare_register(const struct comparing *x,
			    const struct digest_entry *e)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX], what[OBJECT_NAME_MAX];
	size_t len = e->commit.point[0] ? sizeof(e->commit.hash) : 0;
	struct commit now;
	int r;

	snprintf(name, sizeof(name), "commit/%s", e->sid);
	verdict_of(&e->commit, e->sid, what);
	r = e->reg ? is_fact(x->c, name, e->reg, e->reg_len)
		   : is_fact(x->c, what, e->commit.hash, len);
	if (r != 0)
		return MIN(r, 0);
	r = check_open(x->c, OBJECT_COMMIT, name, &plain);
	if (r == 0)
		r = commit_decode(plain.data, plain.len, name, &now);
	if (r == -ENOENT)
		return found_lost(x, e, name);
	if (r < 0)
		return is_told(r) ? 0 : r;
	if (e->reg ? plain.len == e->reg_len &&
			     memcmp(plain.data, e->reg, e->reg_len) == 0
		   : strcmp(now.point, e->commit.point) == 0 &&
			     (!len ||
			      memcmp(now.hash, e->commit.hash, len) == 0))
		return 0;
	return found_lie(x, name);
}

/* The same of its point. One that is gone was removed, or another finding tells of
 * it. */
static int compare_point(const struct comparing *x,
			 const struct digest_entry *e)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "point/%s", e->commit.point);
	r = is_fact(x->c, name, e->point, e->point_len);
	if (r != 0)
		return MIN(r, 0);
	r = check_open(x->c, OBJECT_POINT, name, &plain);
	if (r < 0)
		return r == -ENOENT || is_told(r) ? 0 : r;
	return plain.len == e->point_len &&
			       memcmp(plain.data, e->point, plain.len) == 0
		       ? 0
		       : found_lie(x, name);
}

static int on_entry(void *arg, const struct digest_entry *e)
{
	const struct comparing *x = arg;
	struct digest_entry full = *e;
	int r = digest_entry_decode(&full);
	bool before;

	if (r < 0)
		return r;
	before = log_hush(true);
	r = compare_register(x, &full);
	if (r == 0 && full.commit.point[0])
		r = compare_point(x, &full);
	(void)log_hush(before);
	return r;
}

int check_digest(struct check *c, const char *name)
{
	struct comparing x = { c, name };
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = check_open(c, OBJECT_DIGEST, name, &plain);

	return r < 0 ? r
		     : digest_decode(plain.data, plain.len, name, on_entry,
				     NULL, &x);
}
