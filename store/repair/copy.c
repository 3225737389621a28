/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Points whose own objects are damaged or gone, and that a copy of the vault still
 * has. Objects never change, so the copy's is the same one where it can be proven:
 * a point is that whose SHA-256 its register has, to the byte, and a register is one
 * that opens under this vault's own key and name, says that a point was made, which
 * only that session can have said, and names by its hash a point that is here, or
 * that it brings along.
 *
 * A copy may have gone ways of its own since it was made. So nothing is taken of it
 * of which nothing is here, or only a verdict that it was removed; and no register
 * that says that a session was fenced: it might have been there alone.
 *
 * A damaged object is replaced in its place, in one step; the point stands before its
 * register does.
 */
#include "config.h"

#include "store/repair/copy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/purge.h"
#include "store/repair/internal.h"
#include "store/repair/repair.h"
#include "store/vault.h"

struct copying {
	struct vault *vault; /* borrowed, as the next three */
	const struct repair_options *o;
	struct task *task;
	struct repair_result *out;
	struct backend_names whole; /* registers of points that are listed */
	struct backend_names verdicts; /* purge/ */
};

/* An object as it is stored. */
struct stored {
	uint8_t *bytes; /* owned */
	size_t len;
	int r; /* 0, -ENOENT, -EBADMSG (damaged), or another error of reading */
};

static void stored_release(struct stored *s)
{
	free(s->bytes);
	s->bytes = NULL;
}

/* ---- reading ---- */

/* Return 0, with s->r, or an error that concerns more than the object. */
static int load(struct vault *v, const char *name, struct stored *s)
{
	bool before = log_hush(true);

	s->r = vault_get_all(v, name, FORMAT_BOX_OBJECT_MAX, &s->bytes,
			     &s->len);
	(void)log_hush(before);
	return s->r == 0 || s->r == -ENOENT || backend_error_is_of_object(s->r)
		       ? 0
		       : s->r;
}

/* Read a register from @from, with this vault's keys. As load(). */
static int load_commit(struct copying *c, struct vault *from, const char *name,
		       struct stored *s, struct commit *out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	bool before;
	int r = load(from, name, s);

	if (r < 0 || s->r < 0)
		return r;
	before = log_hush(true);
	r = format_read_box(vault_keyring(c->vault), s->bytes, s->len,
			    OBJECT_COMMIT, name, &plain);
	if (r == 0)
		r = commit_decode(plain.data, plain.len, name, out);
	(void)log_hush(before);
	if (r < 0 && r != -EBADMSG && r != -EOPNOTSUPP)
		return r;
	s->r = r;
	return 0;
}

/* Read a point from @from, and look whether it is what was committed. */
static int load_point(struct vault *from, const struct commit *commit,
		      const char *name, struct stored *s)
{
	uint8_t got[CRYPT_SHA256_LEN];
	int r = load(from, name, s);

	if (r < 0 || s->r < 0)
		return r;
	r = crypt_sha256(s->bytes, s->len, got);
	if (r == 0 && memcmp(got, commit->hash, sizeof(got)) != 0)
		s->r = -EBADMSG;
	return r;
}

/* Was the point removed, or may it have been? 1, 0 or a negative errno. */
static int is_purged(struct copying *c, const char *point)
{
	char prefix[OBJECT_NAME_MAX];
	size_t i, len;
	int r = 0;

	snprintf(prefix, sizeof(prefix), "purge/%s-", point);
	len = strlen(prefix);
	for (i = 0; i < c->verdicts.n && r == 0; i++) {
		AUTO_BUF struct buf plain = BUF_INIT;
		const char *name = c->verdicts.list[i];
		struct stored s = { .r = 0 };
		bool purged = true, before;

		if (strncmp(name, prefix, len) != 0)
			continue;
		r = load(c->vault, name, &s);
		before = log_hush(true);
		if (r == 0 && s.r == 0 &&
		    format_read_box(vault_keyring(c->vault), s.bytes, s.len,
				    OBJECT_PURGE, name, &plain) == 0)
			(void)!purge_decode(plain.data, plain.len, name,
					    &purged);
		(void)log_hush(before);
		stored_release(&s);
		r = r == 0 ? purged : r;
	}
	return r;
}

/* ---- putting ---- */

/* Put what the copy has in place of what is here, which is damaged or gone. */
static int put(struct copying *c, const char *name, const struct stored *here,
	       const struct stored *there)
{
	int r = 0;

	if (c->o->apply && here->r == -ENOENT)
		r = backend_put_own(vault_backend(c->vault), name, there->bytes,
				    there->len);
	else if (c->o->apply)
		r = backend_replace(vault_backend(c->vault), name, there->bytes,
				    there->len);
	if (r < 0)
		return r == -EEXIST ? 0 : r; /* said: others are there now */
	repair_say(c->o, c->out, c->o->apply ? REPAIR_DONE : REPAIR_WOULD, name,
		   "%s; the other vault has the same object, %s",
		   here->r == -ENOENT ? "was gone" : "was damaged",
		   c->o->apply ? "which is put back" : "which can be put back");
	return 0;
}

/* What of a point that was committed is here, and what is there? */
struct pair {
	struct stored commit, their_commit, point, their_point;
};

static void pair_release(struct pair *p)
{
	stored_release(&p->commit);
	stored_release(&p->their_commit);
	stored_release(&p->point);
	stored_release(&p->their_point);
}

/* @commit is believed but for the point, which proves it. */
static int mend(struct copying *c, struct pair *p, const char *name,
		const struct commit *commit)
{
	char point[OBJECT_NAME_MAX];
	int r;

	snprintf(point, sizeof(point), "point/%s", commit->point);
	r = load_point(c->vault, commit, point, &p->point);
	if (r < 0 || (p->point.r == 0 && p->commit.r == 0))
		return r;
	if (p->commit.r == -ENOENT && p->point.r == -ENOENT) {
		repair_say(
			c->o, c->out, REPAIR_NOTED, name,
			"is in the other vault and not here, nor is its point: "
			"nobody can tell whether it ever was");
		return 0;
	}
	if (p->point.r < 0) {
		r = load_point(c->o->from, commit, point, &p->their_point);
		if (r < 0)
			return r;
		if (p->their_point.r < 0) {
			repair_say(
				c->o, c->out, REPAIR_LEFT, point,
				"is damaged or gone, in the other vault, too");
			return 0;
		}
		r = put(c, point, &p->point, &p->their_point);
	}
	return r == 0 && p->commit.r < 0
		       ? put(c, name, &p->commit, &p->their_commit)
		       : r;
}

/* A register that the copy has, of a session without a point that is listed here. */
static int look_at(struct copying *c, const char *name)
{
	struct commit commit = { .point = "" };
	struct pair p = { .commit.r = 0 };
	int r = load_commit(c, c->vault, name, &p.commit, &commit);

	if (r == 0 && p.commit.r < 0)
		r = load_commit(c, c->o->from, name, &p.their_commit, &commit);
	if (r == 0 && p.commit.r == -EOPNOTSUPP)
		repair_say(c->o, c->out, REPAIR_LEFT, name,
			   "needs a newer vmbackup, or is damaged");
	else if (r == 0 && p.their_commit.r == 0 && commit.point[0]) {
		r = is_purged(c, commit.point);
		r = r == 0 ? mend(c, &p, name, &commit) : MIN(r, 0);
	}
	pair_release(&p);
	return r;
}

/* ---- in all ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_whole(struct copying *c)
{
	struct point_list *l = NULL;
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r;

	/* What was forgotten is a point, too; and nothing but the objects counts. */
	vault_distrust_digests(c->vault);
	vault_show_forgotten(c->vault);
	r = vault_points(c->vault, &l);
	for (i = 0; r == 0 && i < l->n; i++) {
		snprintf(name, sizeof(name), "commit/%s",
			 l->points[i]->session);
		r = backend_names_add(&c->whole, name);
	}
	point_list_put(l);
	if (c->whole.n)
		qsort(c->whole.list, c->whole.n, sizeof(*c->whole.list),
		      by_text);
	return r;
}

static bool is_whole(const struct copying *c, const char *name)
{
	return c->whole.n && bsearch(&name, c->whole.list, c->whole.n,
				     sizeof(*c->whole.list), by_text);
}

/* Registers that are gone are what is put back here; all else keeps writers away. */
static int may_write(struct copying *c)
{
	char *const *folders;

	if (vault_lost(c->vault) &&
	    vault_missing_folders(c->vault, &folders) == 0)
		return 0;
	return vault_may_write(c->vault);
}

int copy_points(struct vault *v, const struct repair_options *o,
		struct task *task, struct repair_result *out)
{
	struct copying c = { .vault = v, .o = o, .task = task, .out = out };
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	size_t i;
	int r = 0;

	if (strcmp(vault_id_hex(v), vault_id_hex(o->from)) != 0)
		r = fail(-EINVAL,
			 "vault %s is no copy of %s: the objects of points are "
			 "taken from nothing else",
			 vault_url(o->from), vault_url(v));
	if (r == 0)
		r = list_whole(&c);
	if (r == 0 && o->apply)
		r = may_write(&c);
	if (r == 0)
		r = backend_list_names(vault_backend(v), "purge/", &c.verdicts);
	if (r == 0)
		r = backend_list_names(vault_backend(o->from), "commit/",
				       &names);
	for (i = 0; i < names.n && r == 0; i++) {
		if (task_stopped(task))
			r = -EINTR;
		else if (name_is_object(names.list[i]) &&
			 !is_whole(&c, names.list[i]))
			r = look_at(&c, names.list[i]);
	}
	backend_names_release(&c.whole);
	backend_names_release(&c.verdicts);
	return r;
}
