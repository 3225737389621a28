/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The index objects of sessions that made no point.
 *
 * What holds for their packs holds for these: one that is listed may be gone
 * after a power cut, for its writer may have died before its last fsync, and
 * then nobody knows what is in its packs. A point's own were durable before its
 * commit was made.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/internal.h"

/* The index objects of other sessions than those of points. */
struct unsettled {
	struct vault *vault; /* borrowed */
	char (*indexes)[OBJECT_NAME_MAX]; /* owned */
	size_t n, cap;
};

static int on_source(void *arg, const char *source)
{
	struct unsettled *u = arg;
	char sid[POINT_ID_HEX + 1];

	if (strncmp(source, "index/", 6) != 0 ||
	    strlen(source) >= OBJECT_NAME_MAX)
		return 0;
	snprintf(sid, sizeof(sid), "%s", source + 6);
	if (vault_has_committed(u->vault, sid))
		return 0;
	if (array_reserve(&u->indexes, &u->cap, u->n + 1) < 0)
		return -ENOMEM;
	strncpy(u->indexes[u->n++], source, OBJECT_NAME_MAX);
	return 0;
}

static int settle_index(struct writer *w, const char *name)
{
	struct catalog *c = vault_catalog(w->vault);
	AUTO_BUF struct buf none = BUF_INIT;
	char note[OBJECT_NAME_MAX + 8];
	int r;

	snprintf(note, sizeof(note), "settled/%s", name);
	r = catalog_get_object(c, note, &none);
	if (r != -ENOENT)
		return r;
	r = backend_sync(vault_backend(w->vault), name);
	if (r == 0)
		return catalog_put_object(c, note, "", 0);
	/* Gone meanwhile, or it may go: then so may what it says. Its packs are
	 * looked at one by one, as if it had never been. */
	r = writer_pass_over(w, name, r);
	return r == 0 ? catalog_drop_source(c, name) : r;
}

int writer_settle_indexes(struct writer *w)
{
	struct unsettled u = { .vault = w->vault };
	size_t i;
	int r = vault_points_judged(w->vault, &w->points);

	if (r == 0)
		r = catalog_sources(vault_catalog(w->vault), on_source, &u);
	for (i = 0; i < u.n && r == 0; i++)
		r = settle_index(w, u.indexes[i]);
	free(u.indexes);
	return r;
}
