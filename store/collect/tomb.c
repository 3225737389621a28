/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/tomb.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/collect/clock.h"
#include "store/collect/internal.h"
#include "store/collect/register.h"
#include "store/format.h"
#include "store/kept.h"
#include "store/record/pack_prints.h"
#include "store/record/quarantine.h"
#include "store/vault.h"
#include "store/writer/session.h"

/* So many packs are deleted with one call. */
#define BATCH 1000
/* A pack that is listed though it was deleted is looked for again so often, a
 * second later each time. */
#define LOOKS 30

size_t tomb_max = PACK_LIST_MAX;

/* ---- the parts of a collection ---- */

static size_t nparts(const struct pack_list *l)
{
	return l->n / tomb_max + (l->n % tomb_max != 0);
}

static void put_suffix(const char *gid, size_t k, char out[TOMB_SUFFIX_MAX])
{
	if (k == 0)
		snprintf(out, TOMB_SUFFIX_MAX, "%s", gid);
	else
		snprintf(out, TOMB_SUFFIX_MAX, "%s-%zu", gid, k);
}

/* The clear text: the prints of those that writers stored that read nothing. */
static void put_prints(struct vault *v, const struct pack_list *l,
		       struct buf *out)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (!vault_is_own(v, l->names[i]))
			pack_print_encode(l->names[i], out);
}

/* Copy those of part @k of @l that are in @only, or all where that is NULL. */
static int take_part(const struct pack_list *l, size_t k,
		     const struct pack_list *only, struct pack_list *out)
{
	size_t i, end = MIN(l->n, (k + 1) * tomb_max);
	int r = 0;

	for (i = k * tomb_max; i < end && r == 0; i++)
		if (!only || pack_list_has(only, l->names[i]))
			r = pack_list_add(out, l->names[i]);
	return r;
}

int tomb_put(struct vault *v, const char *gid, const struct pack_list *l)
{
	char suffix[TOMB_SUFFIX_MAX], name[OBJECT_NAME_MAX];
	size_t k;
	int r = 0;

	for (k = 0; k < nparts(l) && r == 0; k++) {
		AUTO_BUF struct buf clear = BUF_INIT;
		AUTO_BUF struct buf plain = BUF_INIT;
		struct pack_list part = { .n = 0 };

		put_suffix(gid, k, suffix);
		snprintf(name, sizeof(name), "tomb/%s", suffix);
		r = take_part(l, k, NULL, &part);
		if (r == 0) {
			tomb_encode(&part, &plain);
			put_prints(v, &part, &clear);
			r = register_put_own(v, OBJECT_TOMB, name, &clear,
					     &plain);
		}
		pack_list_release(&part);
	}
	return r;
}

/* ---- the verdict ---- */

/* Decide, and read what stands then: @deletes, or that nothing is deleted where it
 * is NULL. Nobody else has anything to decide here but that nothing is. Return 1 where
 * nothing is, 0 or a negative errno. */
static int decide(struct vault *v, const char *suffix,
		  const struct pack_list *deletes, struct pack_list *out)
{
	AUTO_BUF struct buf clear = BUF_INIT;
	AUTO_BUF struct buf mine = BUF_INIT;
	AUTO_BUF struct buf stands = BUF_INIT;
	struct pack_list l = { .n = 0 };
	char name[OBJECT_NAME_MAX];
	bool aborted = true;
	size_t i;
	int r;

	snprintf(name, sizeof(name), "sweep/%s", suffix);
	/* A sweep of nothing says that nothing is deleted. */
	sweep_encode(deletes && deletes->n ? deletes : NULL, &mine);
	if (deletes)
		put_prints(v, deletes, &clear);
	r = register_put(v, OBJECT_SWEEP, name, &clear, &mine, &stands);
	if (r == 0)
		r = sweep_decode(stands.data, stands.len, name, &aborted, &l);
	if (r == 0 && !aborted &&
	    (stands.len != mine.len ||
	     memcmp(stands.data, mine.data, mine.len) != 0))
		r = fail(-EBADMSG,
			 "%s: was put by somebody else, and deletes what this "
			 "collection did not decide: nothing is deleted; see: "
			 "vmbackup check",
			 name);
	for (i = 0; i < l.n && r == 0; i++)
		r = pack_list_add(out, l.names[i]);
	pack_list_release(&l);
	return r == 0 ? aborted : r;
}

int tomb_decide(struct vault *v, const char *gid, const struct pack_list *l,
		const struct pack_list *deletes, struct pack_list *out)
{
	bool is_lost = false;
	char suffix[TOMB_SUFFIX_MAX];
	size_t k;
	int r = 0;

	for (k = 0; k < nparts(l) && r >= 0; k++) {
		struct pack_list part = { .n = 0 };

		put_suffix(gid, k, suffix);
		r = deletes ? take_part(l, k, deletes, &part) : 0;
		if (r == 0)
			r = decide(v, suffix, &part, out);
		is_lost |= r == 1 && part.n > 0;
		pack_list_release(&part);
	}
	pack_list_sort(out);
	if (r >= 0 && is_lost)
		r = fail(-ECANCELED,
			 "this collection was taken for dead and given up by "
			 "another: what it condemned stays; run it again");
	return MIN(r, 0);
}

/* ---- deleting ---- */

static int delete_names(struct vault *v, struct collect_clock *c,
			char (*names)[OBJECT_NAME_MAX], size_t n)
{
	const char *batch[BATCH];
	size_t i, m;
	int r = 0;

	for (i = 0; i < n && r == 0; i += m) {
		for (m = 0; m < BATCH && i + m < n; m++)
			batch[m] = names[i + m];
		r = backend_delete_many(vault_backend(v), batch, m);
		clock_try_tick(c);
	}
	return r;
}

static int delete_packs(struct vault *v, struct collect_clock *c,
			const struct pack_list *l)
{
	char(*names)[OBJECT_NAME_MAX] = alloc_array(l->n + 1, sizeof(*names));
	size_t i;
	int r = names ? 0 : -ENOMEM;

	for (i = 0; i < l->n && r == 0; i++)
		r = format_pack_object_name(l->names[i], names[i]);
	if (r == 0)
		r = delete_names(v, c, names, l->n);
	free(names);
	return r;
}

struct leftover {
	const struct pack_list *deleted;
	size_t n;
};

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	struct leftover *l = arg;

	(void)info;
	l->n += pack_list_has(l->deleted, strrchr(object, '/') + 1);
	return 0;
}

/* The tomb may go only when nobody can see one of them any more. */
static int confirm(struct vault *v, struct collect_clock *c,
		   const struct pack_list *l)
{
	struct seam *seam = vault_seam(v);
	struct leftover left = { l, 1 };
	int i, r = 0;

	for (i = 0; i < LOOKS && r == 0 && left.n > 0; i++) {
		if (i > 0)
			seam->ops->sleep_ns(seam, 1000000000);
		left.n = 0;
		r = vault_list_plain(v, "pack/", on_pack, &left);
		if (r == 0 && left.n > 0)
			r = delete_packs(v, c, l);
	}
	if (r == 0 && left.n > 0)
		r = fail(-EIO,
			 "%zu packs are listed still, though they were "
			 "deleted: the next collection goes on with them",
			 left.n);
	return r;
}

/* What was found of a pack that is gone. */
struct findings {
	const struct pack_list *deleted;
	char (*names)[OBJECT_NAME_MAX]; /* owned */
	size_t n, cap;
};

static int on_finding(void *arg, const char *name,
		      const struct backend_info *info)
{
	struct findings *f = arg;
	char pack[PACK_NAME_MAX];
	uint32_t n;

	(void)info;
	if (!name_quarantine(name, pack, &n) ||
	    !pack_list_has(f->deleted, pack))
		return 0;
	if (array_reserve(&f->names, &f->cap, f->n + 1) < 0)
		return -ENOMEM;
	memcpy(f->names[f->n++], name, strlen(name) + 1);
	return 0;
}

static int delete_findings(struct vault *v, struct collect_clock *c,
			   const struct pack_list *l)
{
	struct findings f = { .deleted = l };
	int r = vault_list_plain(v, "quarantine/", on_finding, &f);

	if (r == 0)
		r = delete_names(v, c, f.names, f.n);
	free(f.names);
	return r;
}

int tomb_sweep(struct vault *v, struct collect_clock *c,
	       const struct pack_list *deletes)
{
	int r;

	if (deletes->n == 0)
		return 0;
	r = delete_packs(v, c, deletes);
	if (r == 0)
		r = confirm(v, c, deletes);
	if (r == 0)
		r = parity_delete(v, deletes);
	return r == 0 ? delete_findings(v, c, deletes) : r;
}

static int remove_tomb(struct vault *v, const char *suffix)
{
	char name[OBJECT_NAME_MAX];
	int r;

	snprintf(name, sizeof(name), "tomb/%s", suffix);
	r = backend_delete(vault_backend(v), name);
	return r == -ENOENT ? 0 : r;
}

int tomb_remove(struct vault *v, const char *gid, const struct pack_list *l)
{
	char suffix[TOMB_SUFFIX_MAX];
	size_t k;
	int r = 0;

	for (k = 0; k < nparts(l) && r == 0; k++) {
		put_suffix(gid, k, suffix);
		r = remove_tomb(v, suffix);
	}
	return r;
}

/* ---- those of others ---- */

struct last_beat {
	const char *gid;
	int64_t now_ns;
	char name[OBJECT_NAME_MAX]; /* "": none */
	int64_t stored_ns;
};

static int on_beat(void *arg, const char *name, const struct backend_info *info)
{
	struct last_beat *b = arg;
	char gid[NAME_HEX + 1];

	if (name_numbered(name, "heartbeat/", gid, NULL) &&
	    strcmp(gid, b->gid) == 0 &&
	    info->stored_ns - b->now_ns <= CLOCK_LEASE_NS &&
	    (!b->name[0] || info->stored_ns > b->stored_ns)) {
		snprintf(b->name, sizeof(b->name), "%s", name);
		b->stored_ns = info->stored_ns;
	}
	return 0;
}

/* Whether the collection is at work, which is a matter of politeness alone. Return
 * -EBUSY, said in words, 0 or another negative errno. */
static int check_gone(struct vault *v, const struct collect_clock *c,
		      const char *gid)
{
	struct last_beat b = { .gid = gid, .now_ns = c->now_ns };
	AUTO_BUF struct buf plain = BUF_INIT;
	struct session_info s = { .pid = 0 };
	int r = vault_list(v, "heartbeat/", on_beat, &b);

	if (r < 0 || !b.name[0] || c->now_ns - b.stored_ns > CLOCK_LEASE_NS)
		return r;
	r = register_read(v, OBJECT_HEARTBEAT, b.name, &plain);
	if (r == 0)
		r = session_decode(plain.data, plain.len, b.name, &s);
	if (r < 0 && r != -EBADMSG && r != -ENOENT)
		return r;
	if (r == 0 && session_process_ended(&s))
		return 0;
	return fail(-EBUSY,
		    "another collection is at work (host %s, process %lld): "
		    "wait until it ends; where it died it is given up an hour "
		    "after its last sign of life",
		    s.host[0] ? s.host : "unknown", (long long)s.pid);
}

static bool is_unreadable(int r)
{
	return backend_error_is_of_object(r) || r == -EOPNOTSUPP;
}

/* Read what was decided on a tomb; where nothing was, and whoever would is gone, decide
 * that nothing is deleted. Return 0, 1 (it cannot be read) or a negative errno. */
static int read_sweep(struct vault *v, const struct collect_clock *c,
		      const char *suffix, bool *aborted_out,
		      struct pack_list *out)
{
	AUTO_BUF struct buf mine = BUF_INIT;
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX], gid[NAME_HEX + 1];
	int r;

	snprintf(gid, sizeof(gid), "%.32s", suffix);
	snprintf(name, sizeof(name), "sweep/%s", suffix);
	r = register_read(v, OBJECT_SWEEP, name, &plain);
	if (r == -ENOENT) {
		r = check_gone(v, c, gid);
		sweep_encode(NULL, &mine);
		/* Which of both stands is read back. */
		if (r == 0)
			r = register_put(v, OBJECT_SWEEP, name, NULL, &mine,
					 &plain);
	} else if (is_unreadable(r))
		return 1;
	if (r == 0) {
		r = sweep_decode(plain.data, plain.len, name, aborted_out, out);
		r = is_unreadable(r) ? 1 : r;
	}
	pack_list_sort(out);
	return r;
}

/* Who puts a tomb has looked whether its packs may go, and nobody at others. Return 0, 1
 * (the tomb cannot be read), -ENOENT (it is gone: somebody else has ended this) or
 * another negative errno. */
static int check_part(struct vault *v, const char *suffix,
		      const struct pack_list *deletes)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_list l = { .n = 0 };
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r;

	snprintf(name, sizeof(name), "tomb/%s", suffix);
	r = register_read(v, OBJECT_TOMB, name, &plain);
	if (r == 0)
		r = tomb_decode(plain.data, plain.len, name, &l);
	r = is_unreadable(r) ? 1 : r;
	pack_list_sort(&l);
	for (i = 0; i < deletes->n && r == 0; i++)
		if (!pack_list_has(&l, deletes->names[i]))
			r = fail(-EBADMSG,
				 "sweep/%s: deletes pack %s, which its tomb "
				 "does not name: no collection has put that, "
				 "and nothing is deleted; see: vmbackup check",
				 suffix, deletes->names[i]);
	pack_list_release(&l);
	return r;
}

static int add_swept(struct swept_tombs *l, const char *suffix,
		     const struct pack_list *deletes)
{
	struct swept_tomb *t;
	size_t i;
	int r = 0;

	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	t = &l->items[l->n++];
	snprintf(t->suffix, sizeof(t->suffix), "%s", suffix);
	for (i = 0; i < deletes->n && r == 0; i++)
		r = pack_list_add(&l->packs, deletes->names[i]);
	return r;
}

/* What was decided cannot be known: writers use none of its packs as long as the tomb
 * stands, and this collection lets them alone as far as it can be read. */
static int leave(struct vault *v, const char *suffix, struct pack_list *out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	size_t before = out->n;
	int r;

	log_warn("what was decided on tomb/%s cannot be read: it stays, and so "
		 "do its packs; bring back tomb/%s and sweep/%s from a copy of "
		 "the vault, or, if no collection has put them, remove that "
		 "tomb",
		 suffix, suffix, suffix);
	snprintf(name, sizeof(name), "tomb/%s", suffix);
	r = register_read(v, OBJECT_TOMB, name, &plain);
	if (r == 0)
		r = tomb_decode(plain.data, plain.len, name, out);
	if (is_unreadable(r) || r == -ENOENT) {
		out->n = before;
		r = 0;
	}
	return r;
}

static int take_over(struct vault *v, const struct collect_clock *c,
		     const char *suffix, struct swept_tombs *out)
{
	struct pack_list deletes = { .n = 0 };
	bool aborted = false;
	int r = read_sweep(v, c, suffix, &aborted, &deletes);

	if (r == 0 && aborted)
		r = remove_tomb(v, suffix);
	else if (r == 0) {
		r = check_part(v, suffix, &deletes);
		if (r == 0)
			r = add_swept(out, suffix, &deletes);
		else if (r == -ENOENT)
			r = 0;
	}
	pack_list_release(&deletes);
	return r == 1 ? leave(v, suffix, &out->left) : r;
}

static int on_tomb(void *arg, const char *name, const struct backend_info *info)
{
	(void)info;
	return strlen(name) < TOMB_SUFFIX_MAX + strlen("tomb/")
		       ? kept_want(arg, name, NULL, NULL)
		       : 0;
}

int tomb_take_over(struct vault *v, const struct collect_clock *c,
		   struct swept_tombs *out)
{
	struct kept_wish names = { .n = 0 };
	size_t i;
	int r = vault_list_plain(v, "tomb/", on_tomb, &names);

	for (i = 0; i < names.n && r == 0; i++)
		r = take_over(v, c, names.items[i].name + strlen("tomb/"), out);
	pack_list_sort(&out->packs);
	pack_list_sort(&out->left);
	kept_release_wish(&names);
	return r;
}

int tomb_finish(struct vault *v, struct collect_clock *c,
		const struct swept_tombs *l)
{
	size_t i;
	int r = tomb_sweep(v, c, &l->packs);

	for (i = 0; i < l->n && r == 0; i++)
		r = remove_tomb(v, l->items[i].suffix);
	return r;
}

void swept_tombs_release(struct swept_tombs *l)
{
	free(l->items);
	pack_list_release(&l->packs);
	pack_list_release(&l->left);
	*l = (struct swept_tombs){ .n = 0 };
}
