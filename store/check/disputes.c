/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Index objects that do not say the same of a pack, or of which one says what is not so:
 * of a program that was wrong, or of somebody who has the key and wishes harm. The pack
 * itself has the last word, for its directory is sealed under its own name and its name
 * is the hash of all of it. So it is asked, the rest of the check goes by what it says,
 * and the object that says otherwise is reported, and not the pack.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/index.h"
#include "store/pack_read.h"
#include "store/vault.h"

int check_is_undisputed(struct check *c, const struct index_pack *p)
{
	struct catalog *catalog = vault_catalog(c->vault);
	struct pack_row row = { .size = p->size,
				.kind = p->kind,
				.epoch = p->epoch },
			known;
	int64_t no;
	int r = catalog_pack_no(catalog, p->name, &no);

	if (r == 0)
		r = catalog_get_pack(catalog, no, &known, NULL);
	if (r < 0)
		return r == -ENOENT ? 1 : r;
	memcpy(row.name, p->name, sizeof(row.name));
	memcpy(row.salt, p->salt, sizeof(row.salt));
	r = pack_row_seal(c->vault, &row, p->dir, p->dir_len);
	return r < 0 ? r : memcmp(row.mac, known.mac, sizeof(row.mac)) == 0;
}

int check_found_lie(struct check *c, const char *index, const char *pack)
{
	char other[INDEX_NAME_MAX];
	bool needed = !index_name_ok(index + 6) ||
		      vault_index_superseding(c->vault, index + 6, other) != 0;
	int n = check_found(c, needed, index,
			    "what it says about pack %s is not what the pack "
			    "says itself%s; run: vmbackup repair index",
			    pack,
			    needed ? ""
				   : ", and nobody needs it: another index "
				     "object supersedes it");

	if (n < 0)
		return n;
	SCOPED_LOCK(&c->lock);
	c->out->findings[n]->is_untrue = true;
	return 0;
}

/* Of a pack that was asked: does this object say the same? */
static int judge_pack(void *arg, const struct index_pack *p)
{
	struct check *c = arg;
	int r;

	if (!pack_list_has(&c->settled, p->name))
		return 0;
	r = check_is_undisputed(c, p);
	return r == 0 ? check_found_lie(c, c->judged, p->name) : MIN(r, 0);
}

static int judge_all(struct check *c)
{
	const struct index_visitor visitor = { .pack = judge_pack, .arg = c };
	const char *name = (const char *)c->names.data;
	const char *end = name + c->names.len;
	int r = 0;

	for (; name < end && r == 0; name += strlen(name) + 1) {
		if (strncmp(name, "index/", 6) != 0)
			continue;
		c->judged = name;
		r = index_read(c->vault, name, &visitor);
		/* It has a finding of its own. */
		if (r == -ENOENT || r == -EOPNOTSUPP ||
		    backend_error_is_of_object(r))
			r = 0;
		if (r == 0)
			r = check_tick(c);
	}
	return r;
}

int check_disputes(struct check *c)
{
	bool before;
	size_t i;
	int r = 0;

	pack_list_sort(&c->disputed);
	for (i = 0; i < c->disputed.n && r == 0; i++) {
		r = vault_settle_pack(c->vault, c->disputed.names[i]);
		if (r == 1)
			r = pack_list_add(&c->settled, c->disputed.names[i]);
	}
	pack_list_sort(&c->settled);
	if (r < 0 || c->settled.n == 0)
		return r;
	before = log_hush(true);
	r = judge_all(c);
	(void)log_hush(before);
	return r;
}
