/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests that were read when no thread could serve them. */
#include "config.h"

#include <errno.h>
#include <linux/fuse.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/loop_internal.h"
#include "store/base/lock.h"

int aside_put(struct loop *l, const void *data, size_t len)
{
	struct aside *a = malloc(sizeof(*a) + len);

	if (!a)
		return -ENOMEM;
	a->next = NULL;
	a->len = len;
	memcpy(a->data, data, len);
	SCOPED_LOCK(&l->lock);
	*l->last = a;
	l->last = &a->next;
	l->naside++;
	return 0;
}

struct aside *aside_take(struct loop *l, uint64_t unique)
{
	struct aside **at, *a;

	SCOPED_LOCK(&l->lock);
	for (at = &l->first; (a = *at); at = &a->next) {
		const struct fuse_in_header *h = (const void *)a->data;

		if (unique != 0 && h->unique != unique)
			continue;
		*at = a->next;
		if (!*at)
			l->last = at;
		l->naside--;
		return a;
	}
	return NULL;
}
