/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Another vault calls its chunks otherwise, for the names are made with its key. But
 * bytes are bytes: those of files, of disks and of lists of attributes have the same
 * chunk in both, where both cut files at the same places (init --copy-chunker-from)
 * and disks anyway. Nodes name chunks, and so are others. What has the length of
 * something that is lost is read, and named as it would be here.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/chunk.h"
#include "store/crypt/keyring.h"
#include "store/repair/internal.h"
#include "store/vault.h"

static int by_ours(const void *a, const void *b)
{
	return memcmp(((const struct from_chunk *)a)->ours.b,
		      ((const struct from_chunk *)b)->ours.b, ID_LEN);
}

bool from_is_copy(const struct survey *s)
{
	return strcmp(vault_id_hex(s->vault), vault_id_hex(s->o->from)) == 0;
}

const struct id *from_theirs(const struct survey *s, const struct id *ours)
{
	const struct from_chunk key = { .ours = *ours };
	const struct from_chunk *c;

	if (from_is_copy(s))
		return ours;
	if (s->nfrom == 0)
		return NULL;
	c = bsearch(&key, s->from, s->nfrom, sizeof(key), by_ours);
	return c ? &c->theirs : NULL;
}

static int try_chunk(struct survey *s, const struct chunk_ref *ref)
{
	AUTO_BUF struct buf data = BUF_INIT;
	struct from_chunk c = { .theirs = ref->id };
	bool before;
	int r;

	if (!chunk_type_is_data(ref->type) && ref->type != CHUNK_XATTRS)
		return 0;
	if (!survey_lost_length(s, ref->len))
		return 0;
	before = log_hush(true);
	r = chunk_read_all(s->o->from, ref->type, &ref->id, &data);
	(void)log_hush(before);
	if (r < 0)
		return backend_error_is_of_object(r) ? 0 : r;
	r = keyring_id(vault_keyring(s->vault), ref->type, data.data, data.len,
		       &c.ours);
	if (r < 0 || !idset_has(&s->lost, &c.ours))
		return r;
	if (array_reserve(&s->from, &s->from_cap, s->nfrom + 1) < 0)
		return -ENOMEM;
	s->from[s->nfrom++] = c;
	return 0;
}

struct from_pack {
	int64_t after, no;
};

static int next_pack(void *arg, const struct pack_row *row)
{
	struct from_pack *p = arg;

	if (row->no <= p->after)
		return 0;
	p->no = row->no;
	return 1;
}

static int try_pack(struct survey *s, int64_t no)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_dir dir = { .nchunks = 0 };
	struct pack_row row;
	size_t i;
	int r = catalog_get_pack(vault_catalog(s->o->from), no, &row, &plain);

	if (r == 0)
		r = format_get_dir(plain.data, plain.len, row.name, false,
				   &dir);
	for (i = 0; i < dir.nchunks && r == 0; i++)
		r = task_stopped(s->task) ? -EINTR
					  : try_chunk(s, &dir.chunks[i]);
	format_release_dir(&dir);
	return r == -EBADMSG || r == -ENOENT ? 0 : r;
}

int from_find(struct survey *s)
{
	struct from_pack p = { .after = 0 };
	int r = 1;

	while (r == 1 && s->nfrom < s->lost.n) {
		r = catalog_packs(vault_catalog(s->o->from), next_pack, &p);
		if (r != 1)
			break;
		p.after = p.no;
		r = try_pack(s, p.no);
		r = r == 0 ? 1 : r;
	}
	if (s->nfrom)
		qsort(s->from, s->nfrom, sizeof(*s->from), by_ours);
	return MIN(r, 0);
}
