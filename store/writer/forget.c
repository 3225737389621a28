/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who takes a wish back and who carries it out put the same name, a register, and
 * the first decides. So an answer whose fate is not known is looked up, and what
 * stands there counts, whoever put it.
 */
#include "config.h"

#include "store/writer/forget.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/record/purge.h"
#include "store/vault.h"
#include "store/writer/note.h"
#include "store/writer/sealed.h"
#include "store/writer/window.h"

#define VERDICT_MAX (64u << 10)
/* An answer that failed, and left none, is tried so often. */
#define ATTEMPTS 3

static int64_t now_ns(struct vault *v)
{
	struct seam *s = vault_seam(v);

	return s->ops->realtime_ns(s);
}

static int make_wish(struct vault *v, const struct forget_wish *wish,
		     struct buf *out)
{
	struct forget f = { .time_ns = MAX(now_ns(v), wish->vault_ns) };
	int r = -EINVAL;

	if (wish->reason && !forget_text_ok(wish->reason))
		return fail(r,
			    "a reason is a plain text of one line and at most "
			    "%d bytes",
			    FORGET_TEXT_MAX);
	if (wish->by)
		f.by = strdup(wish->by);
	if (wish->reason)
		f.reason = strdup(wish->reason);
	if ((wish->by && !f.by) || (wish->reason && !f.reason))
		r = -ENOMEM;
	else if (!__builtin_add_overflow(f.time_ns, wish->window_ns,
					 &f.until_ns))
		r = forget_encode(&f, out);
	forget_release(&f);
	if (r == -EINVAL)
		return fail(r, "a point can be brought back for 14 to 180 "
			       "days, never for less or more");
	return r;
}

static int check_verdict(const struct point *p)
{
	if (!p->verdict_unknown)
		return 0;
	return fail(
		-EBADMSG,
		"whether point %s was removed cannot be read, for something "
		"is wrong with an object purge/%s-*: it can be neither "
		"forgotten nor brought back before that is mended; run: "
		"vmbackup check",
		p->id, p->id);
}

int forget_check(struct vault *v, const struct point *const *points, size_t n)
{
	size_t i;
	int r = vault_may_write(v);

	for (i = 0; i < n && r == 0; i++) {
		r = check_verdict(points[i]);
		if (r == 0 && points[i]->is_protected)
			r = fail(-EPERM,
				 "point %s is protected, or one of its notes "
				 "cannot be read and may say so; run: "
				 "vmbackup unprotect %s",
				 points[i]->id, points[i]->id);
	}
	return r;
}

int forget_points(struct vault *v, const struct point *const *points, size_t n,
		  const struct forget_wish *wish, uint32_t *numbers_out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	uint32_t number;
	size_t i;
	struct forget_wish longer = *wish;
	int64_t floor_ns;
	int r = forget_check(v, points, n);

	if (r == 0)
		r = window_floor(v, &floor_ns);
	if (r < 0)
		return r;
	if (wish->window_ns >= FORGET_WINDOW_MIN_NS)
		longer.window_ns = MAX(wish->window_ns, floor_ns);
	r = make_wish(v, &longer, &plain);
	for (i = 0; i < n && r == 0; i++) {
		number = points[i]->next_forget;
		r = note_put_object(v, OBJECT_FORGET, "forget/", points[i]->id,
				    &number, &plain);
		if (r == 0 && numbers_out)
			numbers_out[i] = number - 1;
	}
	if (r < 0 && i > 1)
		(void)fail(r, "the first %zu of %zu points were forgotten",
			   i - 1, n);
	return r;
}

/* ---- bringing back ---- */

/* What does the register say? Return 0, -ENOENT or another negative errno. */
static int read_verdict(struct vault *v, const char *name, bool *purged_out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_FREE uint8_t *raw = NULL;
	size_t len;
	int r = vault_get_all(v, name, VERDICT_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(vault_keyring(v), raw, len, OBJECT_PURGE,
				    name, &plain);
	return r < 0 ? r
		     : purge_decode(plain.data, plain.len, name, purged_out);
}

static int answer(struct vault *v, const struct point *p, uint32_t number,
		  const struct buf *plain)
{
	char name[OBJECT_NAME_MAX];
	int put = 0, r = -ENOENT, i;
	bool purged = false;

	snprintf(name, sizeof(name), "purge/%s-%u", p->id, number);
	for (i = 0; i < ATTEMPTS && r == -ENOENT; i++) {
		put = sealed_put(v, OBJECT_PURGE, name, plain);
		r = read_verdict(v, name, &purged);
	}
	if (r == 0 && purged)
		return fail(-EALREADY,
			    "point %s was removed: it is too late to bring it "
			    "back",
			    p->id);
	/* It stands, and nobody has promised that it will. */
	if (r == 0 && put < 0)
		r = backend_sync(vault_backend(v), name);
	if (r == 0)
		return 0;
	return fail(
		put < 0 && put != -EEXIST ? put
		: r == -ENOENT		  ? -EIO
					  : r,
		"whether point %s was brought back is not known, for nobody "
		"answered whether %s stands; run the command again",
		p->id, name);
}

int forget_undo(struct vault *v, const struct point *p, const char *by)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	size_t i;
	int r = check_verdict(p);

	if (r == 0)
		r = vault_may_write(v);
	if (r == 0)
		r = purge_encode(false, p->id, by, now_ns(v), &plain);
	for (i = 0; i < p->nopen_forgets && r == 0; i++)
		r = answer(v, p, p->open_forgets[i], &plain);
	/* Somebody else may be able to read these. */
	for (i = 0; i < p->nunread_forgets && r == 0; i++)
		r = answer(v, p, p->unread_forgets[i], &plain);
	return r;
}

int forget_take_back(struct vault *v, const struct point *p, uint32_t number,
		     const char *by)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = purge_encode(false, p->id, by, now_ns(v), &plain);

	return r < 0 ? r : answer(v, p, number, &plain);
}

/* ---- when the vault received its points ---- */

struct receipt {
	const char *sid; /* borrowed from the point */
	int64_t *out;
};

struct receipts {
	struct receipt *items; /* owned; sorted */
	size_t n;
	int64_t newest;
};

static int by_sid(const void *a, const void *b)
{
	return strcmp(((const struct receipt *)a)->sid,
		      ((const struct receipt *)b)->sid);
}

static int on_commit(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct receipts *all = arg;
	const struct receipt key = { .sid = name + strlen("commit/") };
	const struct receipt *found =
		all->n ? bsearch(&key, all->items, all->n, sizeof(key), by_sid)
		       : NULL;

	all->newest = MAX(all->newest, info->stored_ns);
	if (found)
		*found->out = info->stored_ns;
	return 0;
}

static int make_receipts(const struct point_list *l, int64_t *out,
			 struct receipts *all)
{
	size_t i;

	all->items = alloc_array(l->n + 1, sizeof(*all->items));
	if (!all->items)
		return -ENOMEM;
	for (i = 0; i < l->n; i++) {
		out[i] = 0;
		all->items[i] =
			(struct receipt){ l->points[i]->session, &out[i] };
	}
	all->n = l->n;
	qsort(all->items, all->n, sizeof(*all->items), by_sid);
	return 0;
}

int forget_stored_times(struct vault *v, const struct point_list *l,
			int64_t *out, int64_t *newest_out)
{
	struct receipts all = { .n = 0 };
	int r = out ? make_receipts(l, out, &all) : 0;

	if (r == 0)
		r = vault_list(v, "commit/", on_commit, &all);
	free(all.items);
	*newest_out = all.newest;
	return r;
}
