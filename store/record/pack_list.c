/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both objects hold the same: a number of names and the names, ascending. They
 * are binary and not JSON, for a large collection condemns 100,000 packs, and
 * each writer reads them all before its first byte.
 */
#include "config.h"

#include "store/record/pack_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/log.h"

enum { SWEEP_DELETES = 1, SWEEP_ABORTED = 2 };

void pack_list_release(struct pack_list *l)
{
	free(l->names);
	memset(l, 0, sizeof(*l));
}

int pack_list_add(struct pack_list *l, const char *name)
{
	if (!name_is_pack(name, NULL))
		return -EINVAL;
	if (array_reserve(&l->names, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	memcpy(l->names[l->n++], name, strlen(name) + 1);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

void pack_list_sort(struct pack_list *l)
{
	size_t i, n = 0;

	if (l->n < 2)
		return;
	qsort(l->names, l->n, sizeof(*l->names), by_name);
	for (i = 1; i < l->n; i++)
		if (strcmp(l->names[n], l->names[i]) != 0 && ++n != i)
			memcpy(l->names[n], l->names[i], sizeof(*l->names));
	l->n = n + 1;
}

bool pack_list_has(const struct pack_list *l, const char *name)
{
	return l->n > 0 && bsearch(name, l->names, l->n, sizeof(*l->names),
				   by_name) != NULL;
}

void tomb_encode(const struct pack_list *l, struct buf *out)
{
	size_t i;

	buf_put_varint(out, l->n);
	for (i = 0; i < l->n; i++)
		buf_put_bytes(out, l->names[i], strlen(l->names[i]));
}

/* One name, which has to come after those of this object, from @first on. */
static int get_name(struct reader *r, size_t first, struct pack_list *out)
{
	char name[PACK_NAME_MAX];
	const uint8_t *p;
	size_t len = 0;
	int err;

	p = reader_bytes(r, PACK_NAME_MAX - 1, &len);
	if (!p || memchr(p, '\0', len))
		return -EBADMSG;
	memcpy(name, p, len);
	name[len] = '\0';
	if (out->n > first && strcmp(out->names[out->n - 1], name) >= 0)
		return -EBADMSG;
	err = pack_list_add(out, name);
	return err == -EINVAL ? -EBADMSG : err;
}

static int get_list(struct reader *r, const char *name, struct pack_list *out)
{
	size_t first = out->n;
	uint64_t n = reader_varint_max(r, PACK_LIST_MAX);
	int err = 0;

	for (; n > 0 && err == 0 && !r->bad; n--)
		err = get_name(r, first, out);
	if (err == 0 && !reader_done(r))
		err = -EBADMSG;
	if (err == -EBADMSG)
		(void)fail(err, "%s: authentic, but malformed", name);
	return err;
}

int tomb_decode(const void *data, size_t len, const char *name,
		struct pack_list *out)
{
	struct reader r;

	reader_init(&r, data, len);
	return get_list(&r, name, out);
}

void sweep_encode(const struct pack_list *l, struct buf *out)
{
	static const struct pack_list none = { 0 };

	buf_put_u8(out, l ? SWEEP_DELETES : SWEEP_ABORTED);
	tomb_encode(l ? l : &none, out);
}

int sweep_decode(const void *data, size_t len, const char *name,
		 bool *aborted_out, struct pack_list *out)
{
	size_t before = out->n;
	struct reader r;
	uint8_t verdict;
	int err;

	reader_init(&r, data, len);
	verdict = reader_u8(&r);
	if (verdict != SWEEP_DELETES && verdict != SWEEP_ABORTED)
		return fail(-EBADMSG, "%s: authentic, but malformed", name);
	err = get_list(&r, name, out);
	if (err == 0 && verdict == SWEEP_ABORTED && out->n != before)
		err = fail(-EBADMSG,
			   "%s: authentic, but malformed: it was aborted and "
			   "names packs",
			   name);
	*aborted_out = verdict == SWEEP_ABORTED;
	return err;
}
