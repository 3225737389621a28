/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Growing an array of structs, with its overflow checks in one place.
 *
 *     if (array_reserve(&list->items, &list->cap, list->n + 1) < 0)
 *             return -ENOMEM;
 *     list->items[list->n++] = item;
 *
 * The capacity at least doubles, so that appending costs a constant time on
 * average. New items are not initialised. On failure the array stays as it was.
 */
#ifndef STORE_BASE_ARRAY_H
#define STORE_BASE_ARRAY_H

#include "store/base/attrs.h"

#include <stddef.h>

/*
 * Make room for at least @n items in *@items, a pointer to an array of *@cap
 * items that free() would free, or NULL with *@cap 0.
 * Return 0, or -ENOMEM (no memory, or the size overflows).
 */
#define array_reserve(items, cap, n)                                           \
	array_reserve_sized((items), (cap), (n), sizeof(**(items)))

/* Do that for items of @size bytes; @items is the address of the pointer. */
MUST_CHECK int array_reserve_sized(void *items, size_t *cap, size_t n,
				   size_t size);

#endif
