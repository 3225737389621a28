/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a point stands on.
 *
 * A backup takes over most of its parent unseen, for to look for millions of
 * chunks that are there is most of the work. That all packs which the local
 * database knows are there proves nothing: a pack whose index object is gone, or
 * cannot be read, is missed by nobody. So a point names the index objects that
 * name its packs, and whoever takes it for a parent has to have read each of
 * them, and to have seen each pack that they name.
 *
 * A point's list is its session's own index objects, those of the points that
 * the session relied on, and one for each older pack in which a chunk was found.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/index.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/internal.h"

#define PREFIX "index/"
#define PREFIX_LEN (sizeof(PREFIX) - 1)

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Keep the list sorted: it is asked for each pack. */
static int stand_on(struct writer *w, const char *name)
{
	size_t low = 0, high = w->nstand;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(name, w->stand[mid]);

		if (c == 0)
			return 0;
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	if (array_reserve(&w->stand, &w->stand_cap, w->nstand + 1) < 0)
		return -ENOMEM;
	memmove(w->stand[low + 1], w->stand[low],
		(w->nstand - low) * sizeof(*w->stand));
	snprintf(w->stand[low], sizeof(w->stand[low]), "%s", name);
	w->nstand++;
	return 0;
}

static bool stands_on(const struct writer *w, const char *name)
{
	return w->nstand &&
	       bsearch(name, w->stand, w->nstand, sizeof(*w->stand), by_text);
}

/* ---- relying on a point ---- */

/* Return 0, or 1 to end the search: one is missing. */
static int is_lost(void *arg, int64_t no)
{
	struct writer *w = arg;

	SCOPED_LOCK(&w->lock);
	return !packset_has(&w->whole, no) && !packset_has(&w->swept, no);
}

/* Whether an index object, or the one that supersedes it, was read, and each
 * pack that it names was listed: 0, 1 or -ENOENT; its name to @out. */
static int check_index(struct writer *w, const char *name,
		       char out[INDEX_NAME_MAX])
{
	char source[OBJECT_NAME_MAX];
	int r;

	snprintf(out, INDEX_NAME_MAX, "%s", name);
	snprintf(source, sizeof(source), PREFIX "%s", name);
	r = catalog_source_packs(vault_catalog(w->vault), source, is_lost, w);
	if (r != -ENOENT)
		return r;
	r = vault_index_superseding(w->vault, name, out);
	if (r < 0)
		return r;
	snprintf(source, sizeof(source), PREFIX "%s", out);
	return catalog_source_packs(vault_catalog(w->vault), source, is_lost,
				    w);
}

int writer_rely_on(struct writer *w, const struct point *p)
{
	char(*names)[INDEX_NAME_MAX];
	size_t i;
	int r = 0;

	if (!p->has_index || p->verdict_unknown || p->has_unwished_verdict)
		return 0;
	/* Who reads nothing does not know that a point was removed for ever, nor where
	 * that is which was in packs that went: each chunk has to be asked for. */
	if (vault_is_put_only(w->vault))
		return 0;
	names = alloc_array(p->nindex, sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (i = 0; i < p->nindex && r == 0; i++)
		r = check_index(w, p->index[i], names[i]);
	for (i = 0; i < p->nindex && r == 0; i++)
		r = stand_on(w, names[i]);
	free(names);
	if (r == 0)
		return 1;
	return r == 1 || r == -ENOENT ? 0 : r;
}

/* ---- what the new point stands on ---- */

/* The index objects that name a pack. */
struct naming {
	const struct writer *writer;
	bool done; /* the point stands on one of them already */
	char name[INDEX_NAME_MAX]; /* one of them; "" where there is none */
};

static int on_naming(void *arg, const char *source)
{
	struct naming *n = arg;

	if (strncmp(source, PREFIX, PREFIX_LEN) != 0 ||
	    !index_name_ok(source + PREFIX_LEN))
		return 0;
	if (stands_on(n->writer, source + PREFIX_LEN)) {
		n->done = true;
		return 1;
	}
	snprintf(n->name, sizeof(n->name), "%s", source + PREFIX_LEN);
	return 0;
}

/* Return 1, 0 (nothing names the pack any more) or a negative errno. */
static int stand_on_pack(struct writer *w, int64_t no)
{
	struct naming n = { .writer = w };
	int r = catalog_pack_sources(vault_catalog(w->vault), no, on_naming,
				     &n);

	if (r < 0 || n.done)
		return r < 0 ? r : 1;
	if (n.name[0] == '\0')
		return 0;
	r = stand_on(w, n.name);
	return r < 0 ? r : 1;
}

static int64_t next_used(struct writer *w, int64_t no)
{
	SCOPED_LOCK(&w->lock);
	return packset_next(&w->used, no);
}

static int copy_stand(struct writer *w, struct point *p)
{
	p->index = alloc_array(w->nstand, sizeof(*p->index));
	if (!p->index)
		return -ENOMEM;
	for (; p->nindex < w->nstand; p->nindex++) {
		p->index[p->nindex] = strdup(w->stand[p->nindex]);
		if (!p->index[p->nindex])
			return -ENOMEM;
	}
	p->has_index = true;
	return 0;
}

int writer_note_stand(struct writer *w, struct point *p)
{
	char name[INDEX_NAME_MAX];
	unsigned int i;
	int64_t no;
	int r = 0;

	for (i = 0; i < w->next_index && r == 0; i++) {
		snprintf(name, sizeof(name), "%s-%u", w->sid, i);
		r = stand_on(w, name);
	}
	if (r < 0)
		return r;
	for (no = next_used(w, 0); no >= 0; no = next_used(w, no + 1)) {
		r = stand_on_pack(w, no);
		if (r <= 0)
			return r; /* a point without the list is looked at */
	}
	return w->nstand <= POINT_INDEX_MAX ? copy_stand(w, p) : 0;
}
