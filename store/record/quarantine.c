/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects are never changed, and only a collection deletes, so what is said of a
 * pack is a row of objects with numbers, of which the last counts: one of an even
 * number says that the pack is damaged, one of an odd number that it is whole
 * after all, as where a disk or a network lied for a while. Two checks that find
 * the same at once put the same name, and so say it once.
 *
 * Somebody who has no key may put anything under such a name. That says nothing,
 * and the one before it counts.
 */
#include "config.h"

#include "store/record/quarantine.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/json.h"
#include "store/base/log.h"
#include "store/base/text.h"

#define FOLDER "quarantine/"

void quarantine_name(const char *pack, uint32_t n, char out[OBJECT_NAME_MAX])
{
	if (n == 0)
		snprintf(out, OBJECT_NAME_MAX, FOLDER "%s", pack);
	else
		snprintf(out, OBJECT_NAME_MAX, FOLDER "%s-%" PRIu32, pack, n);
}

int quarantine_list_add(struct quarantine_list *l, const char *name)
{
	struct quarantine_item item = { .n = 0 };

	if (!name_quarantine(name, item.pack, &item.n))
		return -EINVAL;
	if (array_reserve(&l->items, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	l->items[l->n++] = item;
	return 0;
}

static int by_pack_and_number(const void *a, const void *b)
{
	const struct quarantine_item *x = a, *y = b;
	int r = strcmp(x->pack, y->pack);

	return r ? r : x->n > y->n ? -1 : x->n < y->n;
}

void quarantine_list_sort(struct quarantine_list *l)
{
	if (l->n)
		qsort(l->items, l->n, sizeof(*l->items), by_pack_and_number);
}

size_t quarantine_list_find(const struct quarantine_list *l, const char *pack)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (strcmp(l->items[mid].pack, pack) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < l->n && strcmp(l->items[low].pack, pack) == 0 ? low : l->n;
}

size_t quarantine_list_next(const struct quarantine_list *l, size_t i)
{
	size_t next = i + 1;

	while (next < l->n &&
	       strcmp(l->items[i].pack, l->items[next].pack) == 0)
		next++;
	return next;
}

void quarantine_list_release(struct quarantine_list *l)
{
	free(l->items);
	memset(l, 0, sizeof(*l));
}

int quarantine_encode(const char *what, const char *by, int64_t time_ns,
		      struct buf *out)
{
	json_t *j = json_pack("{s:s*, s:s*, s:I}", "what", what, "by",
			      by && text_is_plain(by, strlen(by)) ? by : NULL,
			      "time_ns", (json_int_t)time_ns);
	char *json = j ? json_dumps(j, JSON_COMPACT) : NULL;

	json_decref(j);
	if (!json)
		return -ENOMEM;
	buf_put(out, json, strlen(json));
	free(json);
	return buf_error(out);
}

/* A member that is of that type, or not there. */
static bool is_or_not(const json_t *doc, const char *key, bool integer)
{
	const json_t *j = json_object_get(doc, key);

	return !j || (integer ? json_is_integer(j) : json_is_string(j));
}

int quarantine_decode(const void *data, size_t len, const char *name)
{
	json_t *doc;
	bool ok;

	if (json_text_read(data, len, 0, NULL, &doc) == -ENOMEM)
		return -ENOMEM;
	ok = json_is_object(doc) && is_or_not(doc, "what", false) &&
	     is_or_not(doc, "by", false) && is_or_not(doc, "time_ns", true);

	json_decref(doc);
	return ok ? 0 : fail(-EBADMSG, "%s: authentic, but malformed", name);
}
