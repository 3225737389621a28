/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cmd/filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/vault.h"

static bool in_list(const struct string_list *list, const char *text)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		if (!strcmp(list->items[i], text))
			return true;
	return list->n == 0;
}

static bool has_tag(const struct point *p, const char *tag, size_t len)
{
	size_t i;

	for (i = 0; i < p->ntags; i++)
		if (strlen(p->tags[i]) == len && !memcmp(p->tags[i], tag, len))
			return true;
	return false;
}

/* All tags of a list with commas. */
static bool has_tags(const struct point *p, const char *tags)
{
	for (;;) {
		size_t len = strcspn(tags, ",");

		if (!has_tag(p, tags, len))
			return false;
		if (!tags[len])
			return true;
		tags += len + 1;
	}
}

static bool tags_match(const struct point_filter *f, const struct point *p)
{
	size_t i;

	for (i = 0; i < f->tags.n; i++)
		if (has_tags(p, f->tags.items[i]))
			return true;
	return f->tags.n == 0;
}

int point_filter_apply(const struct point_filter *f, const struct point_list *l,
		       bool **out)
{
	bool *wanted = calloc(l->n + 1, sizeof(*wanted));
	size_t i, n = 0;

	*out = wanted;
	if (!wanted)
		return -ENOMEM;
	/* From the back: a machine's newest point is its last. */
	for (i = l->n; i-- > 0;) {
		const struct point *p = l->points[i];

		if (i + 1 == l->n || strcmp(p->vm, l->points[i + 1]->vm) != 0)
			n = 0;
		if (!in_list(&f->vms, p->vm) || !in_list(&f->hosts, p->host) ||
		    !tags_match(f, p))
			continue;
		/* One that was forgotten is no latest. */
		if (point_is_aside(p) && f->latest > 0)
			continue;
		wanted[i] = f->latest == 0 || n < f->latest;
		n++;
	}
	return 0;
}

void filter_name(const struct point_list *l, size_t i, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", l->points[i]->vm, l->names[i]);
}

void filter_root_hex(const struct point *p, char *out)
{
	hex_encode(p->root.b, ID_LEN, out);
}

int filter_find_points(struct vault *v, struct point_list *l, int argc,
		       char **argv, bool writes, const struct point **out,
		       size_t *n_out)
{
	AUTO_FREE bool *is_named = alloc_array(l->n, sizeof(*is_named));
	size_t at;
	int i, r;

	*n_out = 0;
	if (!is_named)
		return -ENOMEM;
	for (i = 0; i < argc; i++) {
		r = point_find(l, argv[i], &at);
		if (r == 0 && writes && vault_latest_in_doubt(v))
			r = fail(-EBADMSG,
				 "%s: a note cannot be taken back: name the "
				 "point by its time",
				 argv[i]);
		if (r < 0)
			return r;
		if (!is_named[at])
			out[(*n_out)++] = l->points[at];
		is_named[at] = true;
	}
	return 0;
}
