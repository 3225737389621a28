/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/ledger.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/collect/register.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/kept.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/record/purge.h"
#include "store/vault.h"
#include "store/writer/window.h"

#define COMMIT_MAX (64u << 10)
#define VERDICT_MAX (64u << 10)

static const struct kept_kind commits = { .prefix = "commit/",
					  .type = OBJECT_COMMIT,
					  .max = COMMIT_MAX };
static const struct kept_kind verdicts = { .prefix = "purge/",
					   .type = OBJECT_PURGE,
					   .max = VERDICT_MAX };

/* ---- ids ---- */

static int by_id(const void *a, const void *b)
{
	return strcmp(a, b);
}

int hex_ids_add(struct hex_ids *l, const char *id)
{
	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	snprintf(l->items[l->n++], sizeof(*l->items), "%s", id);
	return 0;
}

void hex_ids_sort(struct hex_ids *l)
{
	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), by_id);
}

bool hex_ids_has(const struct hex_ids *l, const char *id)
{
	return l->n && bsearch(id, l->items, l->n, sizeof(*l->items), by_id);
}

void hex_ids_release(struct hex_ids *l)
{
	free(l->items);
	*l = (struct hex_ids){ .n = 0 };
}

/* ---- sessions ---- */

static int by_sid(const void *a, const void *b)
{
	return strcmp(((const struct ledger_row *)a)->sid,
		      ((const struct ledger_row *)b)->sid);
}

/* Sessions of the points of a list. */
static int rows_of_points(const struct point_list *l, struct ledger *out)
{
	size_t i;

	for (i = 0; l && i < l->n; i++) {
		const struct point *p = l->points[i];
		struct ledger_row *row;

		if (array_reserve(&out->rows, &out->cap, out->n + 1) < 0)
			return -ENOMEM;
		row = &out->rows[out->n++];
		*row = (struct ledger_row){ .point = p };
		memcpy(row->sid, p->session, sizeof(row->sid));
		memcpy(row->commit.point, p->id, sizeof(p->id));
	}
	if (out->n)
		qsort(out->rows, out->n, sizeof(*out->rows), by_sid);
	return 0;
}

static int read_commit(struct vault *v, const char *name, bool from_vault,
		       struct commit *out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = from_vault ? register_read(v, OBJECT_COMMIT, name, &plain)
			   : kept_read_once(v, &commits, name, &plain);

	return r < 0 ? r : commit_decode(plain.data, plain.len, name, out);
}

/* That a session made no point is believed only of the vault itself: what the local
 * database has may be of another copy of it, in which it was fenced off. */
static int read_row(struct vault *v, const char *name, struct ledger_row *out)
{
	int r;

	*out = (struct ledger_row){ .point = NULL };
	r = read_commit(v, name, false, &out->commit);
	if (r == 0 && !out->commit.point[0])
		r = read_commit(v, name, true, &out->commit);
	if (r == -ENOENT)
		return fail(-EIO,
			    "%s: was listed, and is not there: nothing is "
			    "deleted",
			    name);
	snprintf(out->sid, sizeof(out->sid), "%s",
		 name + strlen(commits.prefix));
	return r < 0 && r != -ENOMEM && r != -EINTR
		       ? fail(r,
			      "what was made of session %s cannot be read, so "
			      "that nothing can be deleted safely; see: "
			      "vmbackup check",
			      out->sid)
		       : r;
}

int ledger_read(struct vault *v, const struct point_list *l, struct ledger *out)
{
	struct ledger known = { .n = 0 };
	struct kept_wish names = { .n = 0 };
	struct ledger_row *rows = NULL;
	size_t i;
	int r = rows_of_points(l, &known);

	if (r == 0)
		r = kept_list(v, &commits, &names);
	kept_sort_wish(&names);
	if (r == 0) {
		rows = alloc_array(names.n + 1, sizeof(*rows));
		r = rows ? 0 : -ENOMEM;
	}
	for (i = 0; i < names.n && r == 0; i++) {
		const char *name = names.items[i].name;
		const struct ledger_row *row =
			ledger_find(&known, name + strlen(commits.prefix));

		if (row)
			rows[i] = *row;
		else
			r = read_row(v, name, &rows[i]);
	}
	ledger_release(&known);
	*out = (struct ledger){ .rows = rows, .n = r == 0 ? names.n : 0 };
	kept_release_wish(&names);
	return r;
}

void ledger_release(struct ledger *l)
{
	free(l->rows);
	*l = (struct ledger){ .n = 0 };
}

const struct ledger_row *ledger_find(const struct ledger *l, const char *sid)
{
	struct ledger_row key = { .point = NULL };

	if (l->n == 0)
		return NULL;
	snprintf(key.sid, sizeof(key.sid), "%s", sid);
	return bsearch(&key, l->rows, l->n, sizeof(key), by_sid);
}

/* ---- points ---- */

/* Whoever may put objects can put a register that names the point of another. That
 * one stands by its own. */
static bool is_of_another(const struct ledger *l, const struct ledger_row *row,
			  const struct point *p,
			  const uint8_t hash[CRYPT_SHA256_LEN])
{
	const struct ledger_row *own = ledger_find(l, p->session);

	return own && own != row &&
	       strcmp(own->commit.point, row->commit.point) == 0 &&
	       strcmp(own->commit.point, p->id) == 0 &&
	       (own->point ||
		memcmp(own->commit.hash, hash, CRYPT_SHA256_LEN) == 0);
}

/* Of an object that could be opened: is it what the row names? */
static int judge_point(const struct ledger *l, const struct ledger_row *row,
		       const char *name, const struct point *p,
		       const uint8_t hash[CRYPT_SHA256_LEN])
{
	if (is_of_another(l, row, p, hash))
		return 0;
	if (memcmp(hash, row->commit.hash, CRYPT_SHA256_LEN) != 0)
		return fail(-EBADMSG,
			    "%s: damaged: it is not what commit/%s names", name,
			    row->sid);
	if (strcmp(p->session, row->sid) != 0)
		return fail(
			-EBADMSG,
			"%s: damaged: it is of another session than commit/%s",
			name, row->sid);
	return 0;
}

static int read_point(struct vault *v, const struct ledger *l,
		      const struct ledger_row *row, const char *name,
		      struct point **out)
{
	AUTO_FREE uint8_t *raw = NULL;
	AUTO_BUF struct buf plain = BUF_INIT;
	uint8_t hash[CRYPT_SHA256_LEN];
	size_t len;
	int r = vault_get_all(v, name, FORMAT_BOX_OBJECT_MAX, &raw, &len);

	if (r == -ENOENT)
		return fail(r, "%s: missing, but committed", name);
	if (r == 0)
		r = crypt_sha256(raw, len, hash);
	if (r == 0)
		r = format_read_box(vault_keyring(v), raw, len, OBJECT_POINT,
				    name, &plain);
	if (r == 0)
		r = point_decode(plain.data, plain.len, name, out);
	if (r < 0)
		return r;
	r = judge_point(l, row, name, *out, hash);
	if (r < 0) {
		point_free(*out);
		*out = NULL;
	}
	return r;
}

int ledger_point(struct vault *v, const struct ledger *l,
		 const struct ledger_row *row, struct point **out)
{
	char name[OBJECT_NAME_MAX];
	int r;

	*out = NULL;
	if (row->point) {
		*out = point_get((struct point *)row->point);
		return 0;
	}
	snprintf(name, sizeof(name), "point/%s", row->commit.point);
	r = read_point(v, l, row, name, out);
	return r < 0 && r != -ENOMEM && r != -EINTR
		       ? fail(r == -ENOENT ? -EBADMSG : r,
			      "what point %s needs cannot be known, so that "
			      "nothing can be deleted safely; see: vmbackup "
			      "check",
			      row->commit.point)
		       : r;
}

/* ---- registers that are lost ---- */

static int on_session(void *arg, const char *name,
		      const struct backend_info *info)
{
	(void)info;
	return hex_ids_add(arg, name + strlen("session/"));
}

static int on_point(void *arg, const char *name,
		    const struct backend_info *info)
{
	(void)info;
	return hex_ids_add(arg, name + strlen("point/"));
}

/* Read which session a point is of. Return 1, 0 (it cannot be read, and may be
 * anybody's garbage) or a negative errno. */
static int read_session(struct vault *v, const char *name,
			char out[NAME_HEX + 1])
{
	AUTO_BUF struct buf plain = BUF_INIT;
	bool before = log_hush(true);
	struct point *p = NULL;
	int r = register_read(v, OBJECT_POINT, name, &plain);

	if (r == 0)
		r = point_decode(plain.data, plain.len, name, &p);
	(void)log_hush(before);
	if (r == 0)
		snprintf(out, NAME_HEX + 1, "%s", p->session);
	point_free(p);
	if (r == -ENOENT || r == -EOPNOTSUPP || backend_error_is_of_object(r))
		return 0;
	return r < 0 ? r : 1;
}

/* What a session says of itself is deleted once its register stands. So a point is
 * of one that is open, or that is decided; otherwise the register was there. */
static int check_point(struct vault *v, const struct ledger *l,
		       const struct hex_ids *open, const char *id)
{
	char name[OBJECT_NAME_MAX], sid[NAME_HEX + 1];
	struct backend_info info;
	int r;

	snprintf(name, sizeof(name), "point/%s", id);
	r = read_session(v, name, sid);
	if (r <= 0 || ledger_find(l, sid) || hex_ids_has(open, sid))
		return MIN(r, 0);
	/* It may have been decided since they were listed. */
	snprintf(name, sizeof(name), "commit/%s", sid);
	r = backend_head(vault_backend(v), name, &info);
	return r != -ENOENT ? r
			    : fail(-EREMCHG,
				   "point/%s: its session has no register any "
				   "more, %s, which is never deleted: nothing "
				   "is deleted from a vault that has lost one; "
				   "bring it back from a copy",
				   id, name);
}

int ledger_check_lost(struct vault *v, const struct ledger *l,
		      const struct hex_ids *purged)
{
	struct hex_ids points = { .n = 0 }, open = { .n = 0 };
	struct hex_ids known = { .n = 0 };
	size_t i;
	int r = vault_list_plain(v, "point/", on_point, &points);

	if (r == 0)
		r = vault_list_plain(v, "session/", on_session, &open);
	hex_ids_sort(&open);
	for (i = 0; i < l->n && r == 0; i++)
		if (l->rows[i].commit.point[0])
			r = hex_ids_add(&known, l->rows[i].commit.point);
	hex_ids_sort(&known);
	for (i = 0; i < points.n && r == 0; i++)
		if (!hex_ids_has(&known, points.items[i]) &&
		    !hex_ids_has(purged, points.items[i]))
			r = check_point(v, l, &open, points.items[i]);
	hex_ids_release(&known);
	hex_ids_release(&points);
	hex_ids_release(&open);
	return r;
}

/* ---- verdicts ---- */

static bool is_of_object(int r)
{
	return backend_error_is_of_object(r) || r == -EOPNOTSUPP ||
	       r == -ENOENT;
}

static int read_verdict(struct vault *v, const char *name, bool from_vault,
			bool *purged_out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = from_vault ? register_read(v, OBJECT_PURGE, name, &plain)
			   : kept_read_once(v, &verdicts, name, &plain);

	if (r == 0)
		r = purge_decode(plain.data, plain.len, name, purged_out);
	/* As if it stayed. */
	if (is_of_object(r))
		*purged_out = false;
	return is_of_object(r) ? 0 : r;
}

/* Wishes, or verdicts on them. */
struct stored_item {
	char id[NAME_HEX + 1]; /* of the point */
	uint32_t n;
	int64_t stored_ns;
};

struct stored_items {
	const char *prefix;
	struct stored_item *items; /* owned; sorted by id and number */
	size_t n, cap;
};

static int on_item(void *arg, const char *name, const struct backend_info *info)
{
	struct stored_items *l = arg;
	struct stored_item *x;

	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	x = &l->items[l->n];
	if (name_numbered(name, l->prefix, x->id, &x->n)) {
		x->stored_ns = info->stored_ns;
		l->n++;
	}
	return 0;
}

static int by_item(const void *a, const void *b)
{
	const struct stored_item *x = a, *y = b;
	int c = strcmp(x->id, y->id);

	return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

static int list_items(struct vault *v, struct stored_items *out)
{
	int r = vault_list(v, out->prefix, on_item, out);

	if (out->n)
		qsort(out->items, out->n, sizeof(*out->items), by_item);
	return r;
}

/*
 * Whoever may put objects can put a verdict. It counts where the wish that it
 * answers has been in the vault for its time, in which nothing goes. Since when the
 * verdict stands does not matter: a store whose clock was set back, or a
 * copy whose objects are all of one time, would keep the point for ever. One whose
 * object is gone has gone already. Return what is wrong, or NULL.
 */
static const char *why_void(const struct stored_items *wishes,
			    const struct stored_item *verdict, bool is_there,
			    int64_t floor_ns, int64_t now_ns)
{
	const struct stored_item *wish =
		wishes->n ? bsearch(verdict, wishes->items, wishes->n,
				    sizeof(*wish), by_item)
			  : NULL;
	int64_t age_ns;

	if (!wish)
		return "nobody wished that";
	if (is_there &&
	    (__builtin_sub_overflow(now_ns, wish->stored_ns, &age_ns) ||
	     age_ns < floor_ns))
		return "the wish is younger than the time for which undelete "
		       "works in this vault";
	return NULL;
}

struct judging {
	struct hex_ids there; /* points that have an object */
	struct stored_items wishes;
	int64_t floor_ns, now_ns;
	struct hex_ids *out;
};

/* That a point whose object is there goes is believed only of the vault itself: the
 * local database may be of another copy of it, in which it was not brought back. */
static int judge(struct vault *v, const struct judging *j,
		 const struct stored_item *verdict)
{
	bool is_there = hex_ids_has(&j->there, verdict->id), purged = false;
	char name[OBJECT_NAME_MAX];
	const char *why;
	int r;

	snprintf(name, sizeof(name), "%s%s-%u", verdicts.prefix, verdict->id,
		 verdict->n);
	r = read_verdict(v, name, false, &purged);
	if (r == 0 && purged && is_there)
		r = read_verdict(v, name, true, &purged);
	if (r < 0 || !purged)
		return r;
	why = why_void(&j->wishes, verdict, is_there, j->floor_ns, j->now_ns);
	if (!why)
		return hex_ids_add(j->out, verdict->id);
	(void)fail(-EBADMSG,
		   "%s: says that the point was removed for ever, but %s: "
		   "nothing that it needs is deleted",
		   name, why);
	return 0;
}

int ledger_read_purged(struct vault *v, int64_t now_ns, struct hex_ids *out)
{
	struct stored_items found = { .prefix = verdicts.prefix };
	struct judging j = { .wishes = { .prefix = "forget/" },
			     .now_ns = now_ns,
			     .out = out };
	size_t i;
	/* A verdict is stored after its wish. */
	int r = list_items(v, &found);

	if (r == 0)
		r = window_floor(v, &j.floor_ns);
	if (r == 0)
		r = list_items(v, &j.wishes);
	if (r == 0)
		r = vault_list_plain(v, "point/", on_point, &j.there);
	hex_ids_sort(&j.there);
	for (i = 0; i < found.n && r == 0; i++)
		r = judge(v, &j, &found.items[i]);
	hex_ids_sort(out);
	hex_ids_release(&j.there);
	free(j.wishes.items);
	free(found.items);
	return r;
}
