/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/collect/index_prints.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/crypt/crypt.h"
#include "store/index.h"

/* Half of a hash is enough to tell packs apart. */
#define PRINT_LEN 16

struct index_print {
	uint8_t name[PRINT_LEN], all[PRINT_LEN];
	uint32_t object;
};

int index_print_name(const struct index_pack *p, struct id *out)
{
	return crypt_sha256(p->name, strlen(p->name), out->b);
}

int index_print_all(const struct index_pack *p, struct id *out)
{
	AUTO_BUF struct buf all = BUF_INIT;
	int r;

	index_put_pack(&all, p->name, p->size, p->kind, p->epoch, p->salt,
		       p->dir, p->dir_len);
	r = buf_error(&all);
	return r < 0 ? r : crypt_sha256(all.data, all.len, out->b);
}

int index_prints_add(struct index_prints *e, const struct index_pack *p,
		     uint32_t object)
{
	struct id name, all;
	struct index_print *one;
	int r = index_print_name(p, &name);

	if (r == 0)
		r = index_print_all(p, &all);
	if (r < 0)
		return r;
	if (array_reserve(&e->items, &e->cap, e->n + 1) < 0)
		return -ENOMEM;
	one = &e->items[e->n++];
	memcpy(one->name, name.b, PRINT_LEN);
	memcpy(one->all, all.b, PRINT_LEN);
	one->object = object;
	return 0;
}

static int by_name(const void *a, const void *b)
{
	const struct index_print *x = a, *y = b;

	return memcmp(x->name, y->name, PRINT_LEN);
}

void index_prints_each_differing(struct index_prints *e,
				 void (*fn)(void *arg, uint32_t a, uint32_t b),
				 void *arg)
{
	size_t first, i, end;

	if (e->n < 2)
		return;
	qsort(e->items, e->n, sizeof(*e->items), by_name);
	for (first = 0; first < e->n; first = end) {
		const struct index_print *a = &e->items[first];
		const struct index_print *other = NULL;

		for (end = first; end < e->n && by_name(a, &e->items[end]) == 0;
		     end++)
			if (memcmp(a->all, e->items[end].all, PRINT_LEN) != 0)
				other = &e->items[end];
		/* None of those that tell of it is right beyond doubt. */
		for (i = first; i < end && other; i++)
			fn(arg, e->items[i].object,
			   memcmp(a->all, e->items[i].all, PRINT_LEN) != 0
				   ? a->object
				   : other->object);
	}
}

void index_prints_release(struct index_prints *e)
{
	free(e->items);
	*e = (struct index_prints){ .n = 0 };
}
