/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Index objects that cannot be read, or are gone, are superseded by one that names
 * all packs that they may have named, so that readers need not ask the packs, and
 * points that stand on them stand on this one.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/catalog/catalog.h"
#include "store/index.h"
#include "store/vault.h"
#include "store/writer/internal.h"

static int put_pack(struct writer *w, int64_t no, struct buf *out)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	struct pack_row row;
	int r = catalog_get_pack(vault_catalog(w->vault), no, &row, &dir);

	if (r < 0)
		return r;
	index_put_pack(out, row.name, row.size, row.kind, row.epoch, row.salt,
		       dir.data, dir.len);
	if (out->len > INDEX_MERGED_MAX)
		return -EFBIG;
	return buf_error(out);
}

static int encode(struct writer *w, const struct packset *packs,
		  char *const *names, size_t n, struct buf *out)
{
	AUTO_BUF struct buf entries = BUF_INIT;
	uint64_t npacks = 0;
	int64_t no;
	size_t i;
	int r = 0;

	for (no = packset_next(packs, 0); no >= 0 && r == 0;
	     no = packset_next(packs, no + 1)) {
		r = put_pack(w, no, &entries);
		npacks++;
	}
	if (r < 0)
		return r;
	buf_put_varint(out, npacks);
	buf_put(out, entries.data, entries.len);
	buf_put_varint(out, n);
	for (i = 0; i < n; i++)
		buf_put_bytes(out, names[i], strlen(names[i]));
	return buf_error(out);
}

int writer_supersede(struct writer *w, const struct packset *packs,
		     char *const *names, size_t n)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int r = n > INDEX_SUPERSEDED_MAX ? -EFBIG : 0;

	if (r == 0)
		r = encode(w, packs, names, n, &plain);
	if (r == -EFBIG)
		return r;
	if (r == 0)
		r = writer_drain(w);
	if (r == 0)
		r = writer_flush_index(w);
	if (r < 0)
		return writer_fail(w, r);
	snprintf(name, sizeof(name), "index/%s-%u.m", w->sid, w->next_index++);
	r = writer_put_box(w, OBJECT_INDEX, name, &plain, NULL);
	/* Reading it back checks it. */
	if (r == 0)
		r = vault_import_index(w->vault, name);
	return r < 0 ? writer_fail(w, r) : 0;
}
