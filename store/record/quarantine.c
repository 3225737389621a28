/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects are never changed, and only a collection deletes, so what is said of a
 * pack is a row of objects with numbers, of which the last counts: one of an even
 * number says that the pack is damaged, one of an odd number that it is whole
 * after all, as where a disk or a network lied for a while. Two checks that find
 * the same at once put the same name, and so say it once.
 *
 * That the number tells the two apart keeps a listing enough for a writer: it has
 * to open only what lets a pack out again, and there are few of these.
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

static int by_pack(const void *a, const void *b)
{
	return strcmp(((const struct quarantine_item *)a)->pack,
		      ((const struct quarantine_item *)b)->pack);
}

static int by_pack_and_number(const void *a, const void *b)
{
	uint32_t x = ((const struct quarantine_item *)a)->n;
	uint32_t y = ((const struct quarantine_item *)b)->n;
	int r = by_pack(a, b);

	return r ? r : x < y ? -1 : x > y;
}

void quarantine_list_sort(struct quarantine_list *l)
{
	size_t i, n = 0;

	if (l->n < 2)
		return;
	qsort(l->items, l->n, sizeof(*l->items), by_pack_and_number);
	for (i = 1; i < l->n; i++) {
		if (by_pack(&l->items[n], &l->items[i]) != 0)
			n++;
		if (n != i)
			l->items[n] = l->items[i];
	}
	l->n = n + 1;
}

const struct quarantine_item *
quarantine_list_find(const struct quarantine_list *l, const char *pack)
{
	struct quarantine_item key = { .n = 0 };
	size_t len = strlen(pack);

	if (l->n == 0 || len >= sizeof(key.pack))
		return NULL;
	memcpy(key.pack, pack, len);
	return bsearch(&key, l->items, l->n, sizeof(key), by_pack);
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
	json_t *doc = json_loadb(data, len, 0, NULL);
	bool ok = json_is_object(doc) && is_or_not(doc, "what", false) &&
		  is_or_not(doc, "by", false) &&
		  is_or_not(doc, "time_ns", true);

	json_decref(doc);
	return ok ? 0 : fail(-EBADMSG, "%s: authentic, but malformed", name);
}
