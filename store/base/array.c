/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/array.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define ARRAY_FIRST_CAP 8

int array_reserve_sized(void *items, size_t *cap, size_t n, size_t size)
{
	void *old, *new;
	size_t to;

	if (n <= *cap)
		return 0;
	if (n > PTRDIFF_MAX / size)
		return -ENOMEM;
	to = *cap > PTRDIFF_MAX / 2 ? n : MAX(n, 2 * *cap);
	to = MAX(to, ARRAY_FIRST_CAP);
	if (to > PTRDIFF_MAX / size)
		to = n;
	/* A pointer of any type is copied as bytes: void ** would alias it. */
	memcpy(&old, items, sizeof(old));
	new = reallocarray(old, to, size);
	if (!new)
		return -ENOMEM;
	memcpy(items, &new, sizeof(new));
	*cap = to;
	return 0;
}
