/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A collection that died may have decided what is deleted, and whoever comes next does
 * it. But a sweep may have been put by anybody, or be that of another copy of the vault:
 * so what it deletes is held against what the points need now. That of a collection
 * never names anything that they need, for no point since may refer to its packs, unless
 * each chunk of it stands in another pack.
 */
#include "config.h"

#include <errno.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/collect/internal.h"
#include "store/format.h"
#include "store/mark/mark.h"
#include "store/vault.h"

int undone_forget_packs(struct cycle *c, const struct pack_list *gone)
{
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r = 0;

	for (i = 0; i < gone->n && r == 0; i++) {
		r = format_pack_object_name(gone->names[i], name);
		if (r == 0)
			r = catalog_drop_source(vault_catalog(c->vault), name);
	}
	return r;
}

/* Return whether it is there, listed or not: 1, 0 or a negative errno. */
static int is_there(struct vault *v, const char *pack)
{
	char name[OBJECT_NAME_MAX];
	struct backend_info info;
	int r = format_pack_object_name(pack, name);

	if (r == 0)
		r = backend_head(vault_backend(v), name, &info);
	return r == -ENOENT ? 0 : r < 0 ? r : 1;
}

static int refuse(const char *pack, const char *why)
{
	return fail(
		-EBADMSG,
		"a sweep deletes pack %s, %s: no collection has put that, "
		"and nothing is deleted; see: vmbackup check, and COLLECTION "
		"in vmbackup-vault(5)",
		pack, why);
}

struct undone {
	struct cycle *cycle;
	struct stand_ins *stand_ins; /* owned */
	struct pack_list seen; /* packs that were judged */
};

static int judge(const struct undone *u, const struct mark_pack *p)
{
	int r;

	if (!p->readable)
		return refuse(p->name, "of which nobody knows what is in it");
	if (!plan_is_decided(u->cycle, p->name))
		return refuse(p->name, "whose backup is not decided");
	r = plan_is_as_indexed(u->cycle, p);
	if (r == 0)
		return refuse(p->name,
			      "of which nobody can read what is in it");
	if (r < 0 || p->live_chunks == 0)
		return MIN(r, 0);
	r = repack_is_covered(u->cycle, u->stand_ins, p->name, p->live_chunks);
	return r == 0 ? refuse(p->name, "which points need") : MIN(r, 0);
}

static int on_pack(void *arg, const struct mark_pack *p)
{
	struct undone *u = arg;
	int r;

	clock_try_tick(&u->cycle->clock);
	if (!pack_list_has(&u->cycle->undone.packs, p->name))
		return 0;
	r = pack_list_add(&u->seen, p->name);
	if (r == 0)
		r = p->listed ? 1 : is_there(u->cycle->vault, p->name);
	return r == 1 ? judge(u, p) : r;
}

static void reset(void *arg)
{
	struct undone *u = arg;

	pack_list_release(&u->seen);
}

/* Those that nothing tells of have to be gone. */
static int check_unseen(struct undone *u)
{
	const struct pack_list *l = &u->cycle->undone.packs;
	size_t i;
	int r = 0;

	pack_list_sort(&u->seen);
	for (i = 0; i < l->n && r == 0; i++) {
		if (pack_list_has(&u->seen, l->names[i]))
			continue;
		r = is_there(u->cycle->vault, l->names[i]);
		if (r == 1)
			r = refuse(l->names[i], "which is not listed");
	}
	return r;
}

int undone_check(struct cycle *c)
{
	struct undone u = { .cycle = c };
	int r;

	if (c->undone.packs.n == 0)
		return 0;
	r = repack_stand_ins(c, &u.stand_ins);
	if (r == 0)
		r = plan_each_pack(c, on_pack, &u, reset);
	if (r == 0)
		r = check_unseen(&u);
	repack_free_stand_ins(u.stand_ins);
	pack_list_release(&u.seen);
	return r;
}

/* The mark of the plan leaves out what was due, and may have been protected since. */
static int mark_now(struct cycle *c)
{
	struct ledger now = { .n = 0 };
	int r = ledger_read(c->vault, c->list, &now);

	if (r == 0)
		r = plan_mark(c, &now, &c->purged);
	ledger_release(&now);
	return r;
}

int undone_finish(struct cycle *c)
{
	int r;

	if (c->undone.n == 0)
		return 0;
	r = mark_now(c);
	if (r == 0)
		r = undone_check(c);
	if (r == 0)
		r = tomb_finish(c->vault, &c->clock, &c->undone);
	if (r < 0)
		return r;
	c->out->taken_over = c->undone.packs.n;
	return undone_forget_packs(c, &c->undone.packs);
}
