/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The database is asked for all its packs, and the store for all it has; both are
 * sorted by name and merged. About 130 bytes of memory a pack, and one directory
 * at a time.
 */
#include "config.h"

#include "store/mark/packs.h"

#include <errno.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/pack_read.h"
#include "store/vault.h"

struct known_pack {
	char name[PACK_NAME_MAX];
	uint64_t size; /* as listed, or, where it was not, as indexed */
	int64_t no; /* the database's; 0: it does not know it */
	bool listed;
};

struct known_packs {
	struct known_pack *list; /* owned */
	size_t n, cap;
};

static int add(struct known_packs *k, const char *name, uint64_t size,
	       int64_t no, bool listed)
{
	struct known_pack *p;

	if (strlen(name) >= PACK_NAME_MAX)
		return 0; /* no pack's */
	if (array_reserve(&k->list, &k->cap, k->n + 1) < 0)
		return -ENOMEM;
	p = &k->list[k->n++];
	memset(p, 0, sizeof(*p));
	memcpy(p->name, name, strlen(name));
	p->size = size;
	p->no = no;
	p->listed = listed;
	return 0;
}

static int on_listed(void *arg, const char *object,
		     const struct backend_info *info)
{
	return add(arg, strrchr(object, '/') + 1, info->size, 0, true);
}

static int on_indexed(void *arg, const struct pack_row *row)
{
	return add(arg, row->name, row->size, row->no, false);
}

static int by_name(const void *a, const void *b)
{
	const struct known_pack *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	/* What was listed stands first. */
	return c ? c : (int)y->listed - (int)x->listed;
}

/* Make one of what was said of each pack. A listing may show one twice. */
static void unite(struct known_packs *k)
{
	size_t i, n = 0;

	if (k->n == 0)
		return;
	qsort(k->list, k->n, sizeof(*k->list), by_name);
	for (i = 1; i < k->n; i++) {
		if (strcmp(k->list[n].name, k->list[i].name) != 0)
			k->list[++n] = k->list[i];
		else if (k->list[i].no)
			k->list[n].no = k->list[i].no;
	}
	k->n = n + 1;
}

/* ---- one pack ---- */

/* Its row and directory, when they are as they were sealed. Return 0, -ESTALE (they
 * are not, or there are none any more) or another negative errno. */
static int get_row(struct vault *v, int64_t no, struct pack_row *row,
		   struct buf *dir)
{
	struct pack_row real;
	int r = catalog_get_pack(vault_catalog(v), no, row, dir);

	if (r < 0)
		return r == -ENOENT ? -ESTALE : r;
	real = *row;
	r = pack_row_seal(v, &real, dir->data, dir->len);
	if (r < 0)
		return r;
	if (crypt_equal(real.mac, row->mac, sizeof(real.mac)))
		return 0;
	r = catalog_drop_pack(vault_catalog(v), no);
	return r < 0 ? r : -ESTALE;
}

/* Ask the pack itself. Return as get_row(), or an error that is of the pack. */
static int ask(struct vault *v, const struct known_pack *p,
	       struct pack_row *row, struct buf *dir)
{
	int64_t no;
	int r = vault_import_pack(v, p->name, p->size);

	if (r == 0)
		r = catalog_pack_no(vault_catalog(v), p->name, &no);
	buf_clear(dir);
	return r < 0 ? r : get_row(v, no, row, dir);
}

static bool is_of_pack(int r)
{
	return backend_error_is_of_object(r) || r == -ENOENT || r == -ESTALE ||
	       r == -EOPNOTSUPP;
}

static int read_pack(struct vault *v, const struct known_pack *p,
		     struct pack_found *out)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	struct pack_row row = { .no = p->no };
	int r = p->no ? get_row(v, p->no, &row, &dir) : -ESTALE;

	if (r == -ESTALE && p->listed)
		r = ask(v, p, &row, &dir);
	if (r == 0) {
		out->kind = row.kind;
		out->epoch = row.epoch;
		out->readable = row.size == p->size;
		if (!out->readable)
			log_warn("pack %s: %llu bytes long, but %llu by the"
				 " index",
				 p->name, (unsigned long long)p->size,
				 (unsigned long long)row.size);
	}
	if (r == 0 && out->readable)
		r = format_get_dir(dir.data, dir.len, p->name, false,
				   &out->dir);
	if (r < 0)
		out->readable = false;
	return is_of_pack(r) ? 0 : r;
}

static int each(struct vault *v, const struct known_packs *k, struct task *task,
		int (*fn)(void *arg, const struct pack_found *p), void *arg)
{
	size_t i;
	int r = 0;

	for (i = 0; i < k->n && r == 0; i++) {
		const struct known_pack *p = &k->list[i];
		struct pack_found found = { .name = p->name,
					    .size = p->size,
					    .listed = p->listed };

		r = task && task_stopped(task) ? -EINTR
					       : read_pack(v, p, &found);
		if (r == 0)
			r = fn(arg, &found);
		format_release_dir(&found.dir);
	}
	return r;
}

int packs_each(struct vault *v, struct task *task,
	       int (*fn)(void *arg, const struct pack_found *p), void *arg)
{
	struct known_packs k = { .n = 0 };
	int r = vault_refresh(v);

	if (r == 0)
		r = vault_list(v, "pack/", on_listed, &k);
	if (r == 0)
		r = catalog_packs(vault_catalog(v), on_indexed, &k);
	if (r == 0) {
		unite(&k);
		r = each(v, &k, task, fn, arg);
	}
	free(k.list);
	return r;
}

uint64_t packs_chunk_bytes(const struct pack_dir *dir,
			   const struct chunk_ref *c)
{
	const struct frame *f = &dir->frames[c->frame];
	uint64_t bytes = f->clen + CRYPT_TAG_LEN, left;

	if (c->off + (uint64_t)c->len <= f->plen)
		return f->plen ? bytes * (c->off + (uint64_t)c->len) / f->plen -
					 bytes * c->off / f->plen
			       : 0;
	/* It begins with a frame and ends with one. */
	for (left = c->len - f->plen; left > 0; left -= f->plen) {
		f++;
		bytes += f->clen + CRYPT_TAG_LEN;
	}
	return bytes;
}
