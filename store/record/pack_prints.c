/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/record/pack_prints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/record/pack_list.h"

/* FNV-1a of 64 bits (Fowler, Noll, Vo): names hold a SHA-256, and differ everywhere. */
static uint64_t print_of(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return h;
}

void pack_prints_release(struct pack_prints *p)
{
	free(p->items);
	memset(p, 0, sizeof(*p));
}

int pack_prints_add(struct pack_prints *p, const struct pack_list *l)
{
	size_t i;

	if (array_reserve(&p->items, &p->cap, p->n + l->n) < 0)
		return -ENOMEM;
	for (i = 0; i < l->n; i++)
		p->items[p->n++] = print_of(l->names[i]);
	return 0;
}

void pack_print_encode(const char *name, struct buf *out)
{
	buf_put_le64(out, print_of(name));
}

int pack_prints_decode(struct pack_prints *p, const void *data, size_t len)
{
	const uint8_t *at = data;
	size_t i, n = len / 8;

	if (len % 8 || n > PACK_PRINTS_MAX)
		return -EBADMSG;
	if (array_reserve(&p->items, &p->cap, p->n + n) < 0)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		p->items[p->n++] = get_le64(at + 8 * i);
	return 0;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

void pack_prints_sort(struct pack_prints *p)
{
	size_t i, n = 0;

	if (p->n < 2)
		return;
	qsort(p->items, p->n, sizeof(*p->items), by_value);
	for (i = 1; i < p->n; i++)
		if (p->items[n] != p->items[i])
			p->items[++n] = p->items[i];
	p->n = n + 1;
}

bool pack_prints_has(const struct pack_prints *p, const char *name)
{
	uint64_t print = print_of(name);

	return p->n > 0 && bsearch(&print, p->items, p->n, sizeof(*p->items),
				   by_value) != NULL;
}
