/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a writer that reads nothing learns of tombs and sweeps: the clear text of each
 * has the prints of the packs in it that such writers stored. Nobody has sealed that for
 * him, and whoever changes it can make him store again what is there, or do what he
 * could do to the packs themselves.
 */
#include "config.h"

#include "store/writer/condemned.h"

#include <errno.h>
#include <stdio.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/record/quarantine.h"
#include "store/vault.h"

/* What the local database keeps of a sweep, for they stay for ever. */
#define KEPT_PREFIX "put-seen/"

static int fetch(struct vault *v, uint8_t type, const char *name,
		 struct buf *out)
{
	AUTO_FREE uint8_t *raw = NULL;
	struct box box;
	size_t len;
	int r = vault_get_all(v, name, FORMAT_BOX_OBJECT_MAX, &raw, &len);

	if (r == 0)
		r = format_parse_box(raw, len, type, name, &box);
	if (r < 0)
		return r;
	buf_put(out, box.clear, box.clear_len);
	return buf_error(out);
}

static int read_prints(struct vault *v, uint8_t type, const char *name,
		       struct condemned *c)
{
	AUTO_BUF struct buf clear = BUF_INIT;
	char kept[OBJECT_NAME_MAX + sizeof(KEPT_PREFIX)];
	int r = -ENOENT;

	snprintf(kept, sizeof(kept), KEPT_PREFIX "%s", name);
	if (type == OBJECT_SWEEP)
		r = catalog_get_object(vault_catalog(v), kept, &clear);
	if (r == -ENOENT) {
		r = fetch(v, type, name, &clear);
		if (r == 0 && type == OBJECT_SWEEP)
			r = catalog_put_object(vault_catalog(v), kept,
					       clear.data, clear.len);
	}
	return r < 0 ? r : pack_prints_decode(&c->swept, clear.data, clear.len);
}

static int read_each(struct vault *v, const char *prefix, uint8_t type,
		     struct condemned *c)
{
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	size_t i;
	int r = backend_list_names(vault_backend(v), prefix, &names);

	for (i = 0; i < names.n && r == 0; i++) {
		if (!name_is_object(names.list[i]))
			continue;
		r = read_prints(v, type, names.list[i], c);
		/* A tomb that is gone has done its work; what cannot be read may
		 * condemn anything. */
		if (r == -ENOENT || r == -EOPNOTSUPP ||
		    backend_error_is_of_object(r)) {
			c->all |= r != -ENOENT;
			r = 0;
		}
	}
	return r;
}

static int on_quarantine(void *arg, const char *name,
			 const struct backend_info *info)
{
	struct condemned *c = arg;
	char pack[PACK_NAME_MAX];
	uint32_t n;

	(void)info;
	return name_quarantine(name, pack, &n)
		       ? pack_list_add(&c->quarantined, pack)
		       : 0;
}

int condemned_read_put(struct vault *v, struct condemned *c)
{
	int r = read_each(v, "tomb/", OBJECT_TOMB, c);

	if (r == 0)
		r = read_each(v, "sweep/", OBJECT_SWEEP, c);
	/* Whether it was lifted he cannot tell: the pack is not used again. */
	if (r == 0)
		r = backend_list_plain(vault_backend(v), "quarantine/",
				       on_quarantine, c);
	pack_prints_sort(&c->swept);
	return r;
}
