/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Parity goes after its pack. What an older program left, which knew of none, goes
 * later: parity whose pack a sweep deletes, and is not there. Parity whose pack is gone
 * without a sweep stays, for that pack was lost, and may be brought back.
 */
#include "config.h"

#include "store/parity/parity.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/collect/internal.h"
#include "store/vault.h"
#include "store/writer/condemned.h"

struct parity_names {
	const struct pack_list *of; /* borrowed; NULL: of all */
	struct parity_name {
		char object[OBJECT_NAME_MAX];
		char pack[PACK_NAME_MAX];
	} * items; /* owned */
	size_t n, cap;
};

static int on_parity(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct parity_names *l = arg;
	struct parity_name *p;
	char pack[PACK_NAME_MAX];
	uint32_t n;

	(void)info;
	if (!name_parity(name, pack, &n) ||
	    (l->of && !pack_list_has(l->of, pack)))
		return 0;
	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	p = &l->items[l->n++];
	memcpy(p->object, name, strlen(name) + 1);
	memcpy(p->pack, pack, strlen(pack) + 1);
	return 0;
}

static int delete_all(struct vault *v, const struct parity_names *l)
{
	const char **names = alloc_array(l->n + 1, sizeof(*names));
	size_t i;
	int r = names ? 0 : -ENOMEM;

	for (i = 0; i < l->n && r == 0; i++)
		names[i] = l->items[i].object;
	for (i = 0; i < l->n && r == 0; i += 1000)
		r = backend_delete_many(vault_backend(v), names + i,
					MIN(l->n - i, (size_t)1000));
	free(names);
	return r;
}

int parity_delete(struct vault *v, const struct pack_list *packs)
{
	struct parity_names l = { .of = packs };
	int r = vault_list_plain(v, "parity/", on_parity, &l);

	if (r == 0)
		r = delete_all(v, &l);
	free(l.items);
	return r;
}

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	(void)info;
	return pack_list_add(arg, strrchr(object, '/') + 1);
}

/* Keep of @l what a sweep deletes the pack of, and has none now. */
static int judge(struct vault *v, struct parity_names *l)
{
	struct condemned c = { .all = false };
	struct pack_list there = { .n = 0 };
	size_t i, n = 0;
	/* A pack is put before its parity, so that one which is not listed now
	 * was not there when its parity was listed. */
	int r = vault_list_plain(v, "pack/", on_pack, &there);

	pack_list_sort(&there);
	if (r == 0)
		r = condemned_read_sweeps(v, &c);
	for (i = 0; i < l->n && r == 0; i++) {
		if (!pack_prints_has(&c.swept, l->items[i].pack) ||
		    pack_list_has(&there, l->items[i].pack))
			continue;
		if (n++ != i)
			l->items[n - 1] = l->items[i];
	}
	l->n = n;
	pack_list_release(&there);
	condemned_release(&c);
	return r;
}

int parity_delete_left(struct vault *v, size_t *n_out)
{
	struct parity_names l = { .of = NULL };
	int r = vault_list_plain(v, "parity/", on_parity, &l);

	if (r == 0 && l.n > 0)
		r = judge(v, &l);
	if (r == 0)
		r = delete_all(v, &l);
	*n_out = r == 0 ? l.n : 0;
	free(l.items);
	return r;
}
