/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"

void words_release(struct words *w)
{
	buf_release(&w->text);
	free(w->at);
	free(w->places);
	memset(w, 0, sizeof(*w));
}

/* FNV-1a. (Fowler, Noll, Vo: The FNV non-cryptographic hash, 64 bits.) */
static uint64_t hash(const char *word)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *word; word++)
		h = (h ^ (uint8_t)*word) * UINT64_C(0x100000001b3);
	return h;
}

static const char *word_of(const struct words *w, size_t i)
{
	return (const char *)w->text.data + w->at[i];
}

/* The place of a word, or the free one where it would be. */
static size_t *find_place(const struct words *w, const char *word)
{
	size_t i = hash(word) & (w->nplaces - 1);

	while (w->places[i] && strcmp(word_of(w, w->places[i] - 1), word) != 0)
		i = (i + 1) & (w->nplaces - 1);
	return &w->places[i];
}

/* At most half of the places are taken. */
static int make_room(struct words *w)
{
	size_t i, n = w->nplaces ? 2 * w->nplaces : 64;

	if (w->n < w->nplaces / 2)
		return 0;
	free(w->places);
	w->nplaces = 0;
	w->places = alloc_array(n, sizeof(*w->places));
	if (!w->places)
		return -ENOMEM;
	w->nplaces = n;
	for (i = 0; i < w->n; i++)
		*find_place(w, word_of(w, i)) = i + 1;
	return 0;
}

int words_add(struct words *w, const char *word, size_t *out)
{
	size_t *place, at = w->text.len;

	if (make_room(w) < 0 || array_reserve(&w->at, &w->cap, w->n + 1) < 0)
		return -ENOMEM;
	place = find_place(w, word);
	if (*place == 0) {
		buf_put(&w->text, word, strlen(word) + 1);
		if (buf_error(&w->text) < 0)
			return -ENOMEM;
		w->at[w->n++] = at;
		*place = w->n;
	}
	*out = *place - 1;
	return 0;
}
