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

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/format.h"
#include "store/kept.h"
#include "store/record/quarantine.h"
#include "store/vault.h"

static const struct kept_kind tombs = { .prefix = "tomb/",
					.type = OBJECT_TOMB,
					.max = FORMAT_BOX_OBJECT_MAX };
static const struct kept_kind sweeps = { .prefix = "sweep/",
					 .type = OBJECT_SWEEP,
					 .max = FORMAT_BOX_OBJECT_MAX };
static const struct kept_kind quarantines = { .prefix = "quarantine/",
					      .type = OBJECT_QUARANTINE,
					      .max = FORMAT_BOX_OBJECT_MAX };

/* Tombs go, so that they are not worth keeping. */
static int read_tomb(struct vault *v, const char *name, struct condemned *c)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	int r = kept_read(v, &tombs, name, NULL, &plain);

	return r < 0 ? r : tomb_decode(plain.data, plain.len, name, &c->tombs);
}

static int read_sweep(struct vault *v, const char *name, struct condemned *c)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_list l = { .n = 0 };
	bool aborted;
	int r = kept_read_once(v, &sweeps, name, &plain);

	if (r == 0)
		r = sweep_decode(plain.data, plain.len, name, &aborted, &l);
	if (r == 0)
		r = pack_prints_add(&c->swept, &l);
	pack_list_release(&l);
	return r;
}

/* Of one object; a flipped bit can make its version a later one. All else is an
 * error of the way there, and says nothing about what stands. */
static bool is_of_object(int r)
{
	return backend_error_is_of_object(r) || r == -EOPNOTSUPP ||
	       r == -ENOENT;
}

/* Read all that is called so. What cannot be read may condemn anything. */
static int read_each(struct vault *v, const struct kept_kind *kind,
		     int (*read)(struct vault *v, const char *name,
				 struct condemned *c),
		     struct condemned *c)
{
	struct kept_wish names = { .n = 0 };
	size_t i;
	int r = kept_list(v, kind, &names);

	for (i = 0; i < names.n && r == 0; i++) {
		r = read(v, names.items[i].name, c);
		if (!is_of_object(r))
			continue;
		c->all |= r != -ENOENT;
		r = 0;
	}
	kept_release_wish(&names);
	return r;
}

static int on_quarantine(void *arg, const char *name,
			 const struct backend_info *info)
{
	int r = quarantine_list_add(arg, name);

	(void)info;
	return r == -ENOMEM ? r : 0;
}

/*
 * Add the pack of item @i, the first about it, where that is in quarantine. What
 * does not open says nothing, for anybody may have put it. One that cannot be read
 * is not known to be that, and does not let the pack out.
 */
static int read_findings(struct vault *v, const struct quarantine_list *l,
			 size_t i, struct condemned *c)
{
	size_t end = quarantine_list_next(l, i);
	char name[OBJECT_NAME_MAX];

	for (; i < end; i++) {
		AUTO_BUF struct buf plain = BUF_INIT;
		const struct quarantine_item *item = &l->items[i];
		bool lifted = quarantine_is_lifted(item->n);
		int r;

		quarantine_name(item->pack, item->n, name);
		r = kept_read_once(v, &quarantines, name, &plain);
		if (r == 0)
			r = quarantine_decode(plain.data, plain.len, name);
		if (r < 0 && !is_of_object(r))
			return r;
		if (r == 0 && lifted)
			return 0;
		if (!lifted && r != -EBADMSG && r != -ENOENT)
			return pack_list_add(&c->quarantined, item->pack);
	}
	return 0;
}

static int read_quarantine(struct vault *v, struct condemned *c)
{
	struct quarantine_list l = { .n = 0 };
	size_t i;
	int r = vault_list_plain(v, "quarantine/", on_quarantine, &l);

	quarantine_list_sort(&l);
	for (i = 0; i < l.n && r == 0; i = quarantine_list_next(&l, i))
		r = read_findings(v, &l, i, c);
	quarantine_list_release(&l);
	return r;
}

int condemned_read_sweeps(struct vault *v, struct condemned *c)
{
	int r;

	pack_prints_release(&c->swept);
	if (vault_is_put_only(v))
		return condemned_read_put(v, c);
	r = read_each(v, &sweeps, read_sweep, c);
	pack_prints_sort(&c->swept);
	return r;
}

int condemned_read(struct vault *v, struct condemned *out)
{
	struct condemned *c = out;
	int r;

	if (vault_is_put_only(v)) {
		r = condemned_read_put(v, c);
	} else {
		r = read_each(v, &tombs, read_tomb, c);
		if (r == 0)
			r = condemned_read_sweeps(v, c);
		if (r == 0)
			r = read_quarantine(v, c);
	}
	if (c->all)
		log_warn("what a collection deletes cannot be read: this "
			 "backup stores everything anew that it reads");
	pack_list_sort(&c->tombs);
	pack_list_sort(&c->quarantined);
	return r;
}

void condemned_release(struct condemned *c)
{
	pack_list_release(&c->tombs);
	pack_prints_release(&c->swept);
	pack_list_release(&c->quarantined);
}

bool condemned_has(const struct condemned *c, const char *name)
{
	return c->all || pack_list_has(&c->tombs, name) ||
	       pack_prints_has(&c->swept, name) ||
	       pack_list_has(&c->quarantined, name);
}
