/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/writer/packset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"

void packset_release(struct packset *s)
{
	free(s->bits);
	*s = (struct packset){ NULL, 0 };
}

static int reserve(struct packset *s, int64_t no)
{
	size_t old = s->len;

	if (array_reserve(&s->bits, &s->len, (size_t)no / 8 + 1) < 0)
		return -ENOMEM;
	memset(s->bits + old, 0, s->len - old);
	return 0;
}

int packset_add(struct packset *s, int64_t no)
{
	int r = reserve(s, no);

	if (r == 0)
		s->bits[no / 8] |= (uint8_t)(1 << (no % 8));
	return r;
}

bool packset_has(const struct packset *s, int64_t no)
{
	return no >= 0 && (uint64_t)no / 8 < s->len &&
	       (s->bits[no / 8] >> (no % 8) & 1);
}

void packset_remove(struct packset *s, int64_t no)
{
	if (packset_has(s, no))
		s->bits[no / 8] &= (uint8_t) ~(1 << (no % 8));
}

int64_t packset_next(const struct packset *s, int64_t no)
{
	for (; no >= 0 && (uint64_t)no / 8 < s->len; no++) {
		if (s->bits[no / 8] == 0)
			no |= 7;
		else if (packset_has(s, no))
			return no;
	}
	return -1;
}
