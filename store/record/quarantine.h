/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which packs were found damaged, and which of them were found whole again
 * later: quarantine/<pack>, quarantine/<pack>-1, quarantine/<pack>-2, ...; see
 * vmbackup-vault(5).
 */
#ifndef STORE_RECORD_QUARANTINE_H
#define STORE_RECORD_QUARANTINE_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/name.h"

#include <stdbool.h>
#include <stdint.h>

/* What was found of a pack, once. */
struct quarantine_item {
	char pack[PACK_NAME_MAX];
	uint32_t n;
};

struct quarantine_list {
	/* Owned. Once sorted: by pack, the highest number of each first. */
	struct quarantine_item *items;
	size_t n, cap;
};

/* Does the object of number @n say that its pack is whole, and not that it is
 * damaged? Nobody believes either who has not opened it: anybody can put a file of
 * that name. */
static inline bool quarantine_is_lifted(uint32_t n)
{
	return n % 2 == 1;
}

/* The name of the object of number @n about @pack. */
void quarantine_name(const char *pack, uint32_t n, char out[OBJECT_NAME_MAX]);
/* Add what the object called @name says. Return 0, -EINVAL (no such name) or
 * -ENOMEM. */
MUST_CHECK int quarantine_list_add(struct quarantine_list *l, const char *name);
/* Order the list. */
void quarantine_list_sort(struct quarantine_list *l);
/* Return the first item of the sorted list about @pack, or l->n. */
size_t quarantine_list_find(const struct quarantine_list *l, const char *pack);
/* Return the first item behind number @i that is about another pack, or l->n. */
size_t quarantine_list_next(const struct quarantine_list *l, size_t i);
/* Free the items and empty the list. */
void quarantine_list_release(struct quarantine_list *l);

/* Append the plaintext of such an object: @what was found, as a text for
 * people, by whom ("root@web1"; may be NULL), and when. Return 0 or -ENOMEM. */
MUST_CHECK int quarantine_encode(const char *what, const char *by,
				 int64_t time_ns, struct buf *out);
/* Look whether the plaintext of the object called @name has the right form.
 * Return 0, -EBADMSG (said in words) or -ENOMEM. */
MUST_CHECK int quarantine_decode(const void *data, size_t len,
				 const char *name);

#endif
