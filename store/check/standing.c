/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which packs are there. Backups add packs while a check is at work, and
 * collections take packs away, so no listing is the last word: a pack is asked
 * for itself before it is said to be missing, and one that a collection
 * condemned may go, unless a point still needs it. A collection decides before
 * it deletes, so sweeps are read after a pack was found to be gone.
 *
 * Trees name chunks, and the database says by number in which packs they are. A
 * bit for each number tells of millions of chunks whether the pack is there.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/record/pack_list.h"
#include "store/vault.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct check_pack *)a)->name,
		      ((const struct check_pack *)b)->name);
}

int check_add_pack(struct check *c, const char *object, uint64_t size)
{
	const char *name = strrchr(object, '/') + 1;
	struct check_pack *p;

	if (array_reserve(&c->packs, &c->packs_cap, c->npacks + 1) < 0)
		return -ENOMEM;
	p = &c->packs[c->npacks++];
	memset(p, 0, sizeof(*p));
	memcpy(p->name, name, strlen(name));
	p->size = size;
	return 0;
}

void check_sort_packs(struct check *c)
{
	size_t i, n = 0;

	c->nsorted = c->npacks;
	if (c->npacks == 0)
		return;
	qsort(c->packs, c->npacks, sizeof(*c->packs), by_name);
	/* A listing may show what is put meanwhile twice. */
	for (i = 1; i < c->npacks; i++)
		if (by_name(&c->packs[n], &c->packs[i]) != 0 && ++n != i)
			c->packs[n] = c->packs[i];
	c->nsorted = c->npacks = n + 1;
}

struct check_pack *check_find_pack(struct check *c, const char *name)
{
	struct check_pack key;

	if (strlen(name) >= sizeof(key.name) || c->nsorted == 0)
		return NULL;
	memset(&key, 0, sizeof(key));
	memcpy(key.name, name, strlen(name));
	return bsearch(&key, c->packs, c->nsorted, sizeof(key), by_name);
}

/* ---- numbers ---- */

static int set_good(struct check *c, int64_t no, bool good)
{
	size_t len = c->good_len;
	uint8_t bit = (uint8_t)(1 << (no % 8));

	if (no < 0 || (!good && (uint64_t)no / 8 >= len))
		return 0;
	if (array_reserve(&c->good, &c->good_len, (size_t)no / 8 + 1) < 0)
		return -ENOMEM;
	memset(c->good + len, 0, c->good_len - len);
	if (good)
		c->good[no / 8] |= bit;
	else
		c->good[no / 8] &= (uint8_t)~bit;
	return 0;
}

static int mark_good(void *arg, const struct pack_row *row)
{
	struct check *c = arg;
	struct check_pack *p = check_find_pack(c, row->name);

	return p && !p->bad && p->size == row->size ? set_good(c, row->no, true)
						    : 0;
}

int check_mark_good(struct check *c)
{
	return catalog_packs(vault_catalog(c->vault), mark_good, c);
}

bool check_pack_good(const struct check *c, int64_t no)
{
	return no >= 0 && (uint64_t)no / 8 < c->good_len &&
	       (c->good[no / 8] >> (no % 8) & 1);
}

int check_pack_gone(struct check *c, const char *name)
{
	int64_t no;
	int r = catalog_pack_no(vault_catalog(c->vault), name, &no);

	if (r < 0 && r != -ENOENT)
		return r;
	SCOPED_LOCK(&c->lock);
	c->any_gone = true;
	return r == 0 ? set_good(c, no, false) : 0;
}

/* ---- asking ---- */

/* Of what the store says of a pack now, make a finding, unless it is there with
 * that size: 1; else 0 or a negative errno. */
static int judge(struct check *c, const char *object, uint64_t size,
		 const char *index)
{
	struct check_finding *f;
	struct backend_info info;
	int r = backend_head(c->backend, object, &info), n;

	if (r == 0 && info.size == size)
		return 1;
	if (r < 0 && r != -ENOENT && !backend_error_is_of_object(r))
		return r;
	if (r == 0)
		n = check_found(c, true, object,
				"%llu bytes long, but %llu by %s",
				(unsigned long long)info.size,
				(unsigned long long)size, index);
	else if (r == -ENOENT)
		n = check_found(c, true, object, "missing, but %s names it",
				index);
	else
		n = check_found(c, true, object, "cannot be read");
	if (n < 0)
		return n;
	f = c->out->findings[n];
	f->is_proven = true;
	f->is_gone = r == -ENOENT;
	f->is_whole_pack = true;
	return 0;
}

static int get_row(struct check *c, int64_t no, struct pack_row *row,
		   char object[OBJECT_NAME_MAX])
{
	int r = catalog_get_pack(vault_catalog(c->vault), no, row, NULL);

	return r < 0 ? r : format_pack_object_name(row->name, object);
}

static int ask(struct check *c, const struct pack_row *row, const char *object)
{
	int r = judge(c, object, row->size, "the index");

	if (r < 0)
		return r;
	if (r == 0)
		c->any_gone = true;
	return set_good(c, row->no, r == 1) < 0 ? -ENOMEM : r;
}

int check_pack_stands(struct check *c, int64_t no)
{
	char object[OBJECT_NAME_MAX];
	struct pack_row row;
	int r;

	if (check_pack_good(c, no))
		return 1;
	r = get_row(c, no, &row, object);
	if (r < 0)
		return r;
	/* Asked before. */
	return check_find(c, object) ? 0 : ask(c, &row, object);
}

int check_pack_asked(struct check *c, int64_t no,
		     char object_out[OBJECT_NAME_MAX])
{
	struct check_finding *f;
	struct pack_row row;
	int r = get_row(c, no, &row, object_out);

	if (r < 0)
		return r;
	f = check_find(c, object_out);
	return f ? !f->is_whole_pack : ask(c, &row, object_out);
}

/* ---- what collections condemned ---- */

static int by_suspect(const void *a, const void *b)
{
	return strcmp(((const struct check_suspect *)a)->name,
		      ((const struct check_suspect *)b)->name);
}

int check_add_suspect(struct check *c, const char *name, uint64_t size,
		      size_t index)
{
	struct check_suspect *s;

	if (array_reserve(&c->suspects, &c->suspects_cap, c->nsuspects + 1) < 0)
		return -ENOMEM;
	s = &c->suspects[c->nsuspects++];
	memset(s, 0, sizeof(*s));
	memcpy(s->name, name, strlen(name));
	s->size = size;
	s->index = index;
	return 0;
}

static void mark_condemned(struct check *c, const struct pack_list *l)
{
	struct check_suspect key, *s;
	size_t i;

	for (i = 0; i < l->n; i++) {
		memcpy(key.name, l->names[i], sizeof(key.name));
		s = bsearch(&key, c->suspects, c->nsuspects, sizeof(key),
			    by_suspect);
		/* Two index objects may name one pack. */
		while (s && s > c->suspects && by_suspect(s - 1, &key) == 0)
			s--;
		for (; s && s < c->suspects + c->nsuspects &&
		       by_suspect(s, &key) == 0;
		     s++)
			s->condemned = true;
	}
}

/* One tomb or sweep. What cannot be read condemns nothing here: it has a finding
 * of its own. */
static int read_condemned(struct check *c, uint8_t type, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_list l = { .n = 0 };
	bool aborted;
	int r = check_open(c, type, name, &plain);

	if (r == 0)
		r = type == OBJECT_TOMB
			    ? tomb_decode(plain.data, plain.len, name, &l)
			    : sweep_decode(plain.data, plain.len, name,
					   &aborted, &l);
	if (r == 0)
		mark_condemned(c, &l);
	pack_list_release(&l);
	return r == -ENOENT || backend_error_is_of_object(r) || r == -EOPNOTSUPP
		       ? 0
		       : r;
}

static int read_all_condemned(struct check *c, uint8_t type, const char *prefix)
{
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	size_t i;
	int r = backend_list_names(c->backend, prefix, &names);

	for (i = 0; i < names.n && r == 0; i++)
		r = read_condemned(c, type, names.list[i]);
	return r;
}

/* Of the suspects, tell those that tombs and sweeps name. */
static int judge_suspects(struct check *c)
{
	int r;

	if (c->nsuspects == 0)
		return 0;
	qsort(c->suspects, c->nsuspects, sizeof(*c->suspects), by_suspect);
	/* A tomb goes only after its sweep is there. */
	r = read_all_condemned(c, OBJECT_TOMB, "tomb/");
	return r < 0 ? r : read_all_condemned(c, OBJECT_SWEEP, "sweep/");
}

/* Return 0 or a negative errno. */
static int ask_suspect(struct check *c, const struct check_suspect *s)
{
	const char *index = (const char *)c->names.data + s->index;
	char object[OBJECT_NAME_MAX];
	struct check_pack *p;
	int r = format_pack_object_name(s->name, object);

	if (r < 0)
		return r;
	r = judge(c, object, s->size, index);
	if (r < 0)
		return r;
	p = check_find_pack(c, s->name);
	if (p) {
		p->indexed = true;
		if (r == 1)
			p->size = s->size;
		else
			p->bad = true;
	} else if (r == 1) {
		r = check_add_pack(c, object, s->size);
		if (r < 0)
			return r;
		c->packs[c->npacks - 1].indexed = true;
	}
	return r == 1 ? 0 : check_pack_gone(c, s->name);
}

int check_suspects(struct check *c)
{
	size_t i;
	int r = judge_suspects(c);

	for (i = 0; i < c->nsuspects && r == 0; i++) {
		struct check_pack *p = check_find_pack(c, c->suspects[i].name);

		/* It was asked itself, and it is the index object that is wrong. */
		if (p && pack_list_has(&c->settled, p->name)) {
			p->indexed = true;
			continue;
		}
		/* Nobody asks for it but old index objects. */
		if (c->suspects[i].condemned && !p)
			continue;
		r = ask_suspect(c, &c->suspects[i]);
		if (r == 0)
			r = check_tick(c);
	}
	check_sort_packs(c);
	return r;
}

int check_condemned(struct check *c)
{
	char object[OBJECT_NAME_MAX];
	struct check_finding *f;
	size_t i;
	int r = 0;

	c->nsuspects = 0;
	for (i = 0; i < c->out->nfindings && r == 0; i++) {
		f = c->out->findings[i];
		if (f->is_gone)
			r = check_add_suspect(c, strrchr(f->object, '/') + 1, 0,
					      0);
	}
	if (r == 0)
		r = judge_suspects(c);
	for (i = 0; i < c->nsuspects && r == 0; i++) {
		if (!c->suspects[i].condemned)
			continue;
		r = format_pack_object_name(c->suspects[i].name, object);
		f = r == 0 ? check_find(c, object) : NULL;
		if (f)
			f->is_only_if_used = true;
	}
	return r;
}
