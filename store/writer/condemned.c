/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A collection first puts a tomb that names the packs it condemns, then waits
 * for every session that it finds. Who lists tombs, reads them, and only then
 * lists packs, either sees the tomb or is waited for. A tomb that is gone when
 * it is read has done its work, or was given up: its packs are no longer listed,
 * or are as good as others.
 *
 * Sweeps are the registers of what was deleted. They stay, for a put that the
 * network delayed can bring a deleted name back, and a collector that slept may
 * delete it a second time. They are read after the tombs, lest a collection that
 * ends meanwhile is missed, and kept in the local database.
 */
#include "config.h"

#include "store/writer/condemned.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/record/quarantine.h"
#include "store/vault.h"

struct listed_names {
	char (*list)[OBJECT_NAME_MAX]; /* owned */
	size_t n, cap;
};

static int on_name(void *arg, const char *name, const struct backend_info *info)
{
	struct listed_names *l = arg;

	(void)info;
	if (strlen(name) >= OBJECT_NAME_MAX)
		return 0;
	if (array_reserve(&l->list, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	memcpy(l->list[l->n++], name, strlen(name) + 1);
	return 0;
}

/* The plaintext of a box, from the vault. */
static int read_record(struct vault *v, const char *name, uint8_t type,
		       struct buf *out)
{
	uint8_t *raw = NULL;
	size_t len;
	int r = vault_get_all(v, name, FORMAT_BOX_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(vault_keyring(v), raw, len, type, name,
				    out);
	free(raw);
	return r;
}

static int read_tomb(struct vault *v, const char *name, struct condemned *c)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = read_record(v, name, OBJECT_TOMB, &plain);

	return r < 0 ? r : tomb_decode(plain.data, plain.len, name, &c->tombs);
}

static int decode_sweep(const struct buf *plain, const char *name,
			struct condemned *c)
{
	bool aborted;

	return sweep_decode(plain->data, plain->len, name, &aborted, &c->swept);
}

static int decode_lifted(const struct buf *plain, const char *name,
			 struct condemned *c)
{
	(void)c;
	return quarantine_decode(plain->data, plain->len, name);
}

/* Read what never changes and does not go: it is fetched once. */
static int read_once(struct vault *v, const char *name, uint8_t type,
		     int (*decode)(const struct buf *plain, const char *name,
				   struct condemned *c),
		     struct condemned *c)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = catalog_get_object(vault_catalog(v), name, &plain);
	bool kept = r == 0;

	if (r == -ENOENT)
		r = read_record(v, name, type, &plain);
	if (r == 0)
		r = decode(&plain, name, c);
	if (r == 0 && !kept)
		(void)!catalog_put_object(vault_catalog(v), name, plain.data,
					  plain.len);
	return r;
}

static int read_sweep(struct vault *v, const char *name, struct condemned *c)
{
	return read_once(v, name, OBJECT_SWEEP, decode_sweep, c);
}

/* Is it about one object, and not about all that follow? */
static bool goes_on(int r)
{
	return r != -ENOMEM && r != -ENOTRECOVERABLE && r != -EINTR;
}

/* Read all that is called so. What cannot be read may condemn anything. */
static int read_each(struct vault *v, const char *prefix,
		     int (*read)(struct vault *v, const char *name,
				 struct condemned *c),
		     struct condemned *c)
{
	struct listed_names names = { .n = 0 };
	size_t i;
	int r = vault_list(v, prefix, on_name, &names);

	for (i = 0; i < names.n && r == 0; i++) {
		r = read(v, names.list[i], c);
		if (!goes_on(r))
			break;
		if (r < 0 && r != -ENOENT)
			c->all = true;
		r = 0;
	}
	free(names.list);
	return r;
}

static int on_quarantine(void *arg, const char *name,
			 const struct backend_info *info)
{
	(void)info;
	return quarantine_list_add(arg, name);
}

/* What forbids a pack counts by its name; what allows it again is opened. */
static int read_quarantine(struct vault *v, struct condemned *c)
{
	struct quarantine_list l = { .n = 0 };
	char name[OBJECT_NAME_MAX];
	size_t i;
	int r = vault_list(v, "quarantine/", on_quarantine, &l);

	quarantine_list_sort(&l);
	for (i = 0; i < l.n && r == 0; i++) {
		const struct quarantine_item *item = &l.items[i];
		int lifted = -ENOENT;

		quarantine_name(item->pack, item->n, name);
		if (quarantine_is_lifted(item->n))
			lifted = read_once(v, name, OBJECT_QUARANTINE,
					   decode_lifted, c);
		if (!goes_on(lifted))
			r = lifted;
		else if (lifted < 0)
			r = pack_list_add(&c->quarantined, item->pack);
	}
	quarantine_list_release(&l);
	return r;
}

int condemned_read(struct vault *v, struct condemned *out)
{
	struct condemned *c = out;
	int r = read_each(v, "tomb/", read_tomb, c);

	if (r == 0)
		r = read_each(v, "sweep/", read_sweep, c);
	if (r == 0)
		r = read_quarantine(v, c);
	if (c->all)
		log_warn("what a collection deletes cannot be read: this "
			 "backup stores everything anew that it reads");
	pack_list_sort(&c->tombs);
	pack_list_sort(&c->swept);
	pack_list_sort(&c->quarantined);
	return r;
}

void condemned_release(struct condemned *c)
{
	pack_list_release(&c->tombs);
	pack_list_release(&c->swept);
	pack_list_release(&c->quarantined);
}

bool condemned_has(const struct condemned *c, const char *name)
{
	return c->all || pack_list_has(&c->tombs, name) ||
	       pack_list_has(&c->swept, name) ||
	       pack_list_has(&c->quarantined, name);
}
