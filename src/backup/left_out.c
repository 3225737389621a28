/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A point has to stay readable whatever its backup was told, so both lists are
 * bounded. Where one would be longer, the sources themselves take the place of
 * both: that says less, but nothing false, as nothing below them may then be
 * taken for gone.
 */
#include "config.h"

#include "src/backup/left_out.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/scan/exclude.h"
#include "src/scan/scan.h"
#include "store/point.h"

/* What each list may hold; a point may have 16 MiB, and JSON needs up to six
 * bytes for one. */
#define LIST_MAX 50000
#define TEXT_MAX (1u << 20)
#define PATTERN_MAX 65535

static int compare_paths(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool patterns_fit(const struct exclude *x)
{
	const char *text;
	size_t i, all = 0;
	bool fold;

	for (i = 0; (text = exclude_pattern(x, i, &fold)); i++) {
		all += strlen(text);
		if (i == LIST_MAX || all > TEXT_MAX ||
		    strlen(text) > PATTERN_MAX)
			return false;
	}
	return true;
}

static int note_patterns(const struct exclude *x, struct point_left_out *out)
{
	struct point_pattern *p;
	const char *text;
	size_t n = 0;
	bool fold;

	while (exclude_pattern(x, n, &fold))
		n++;
	if (n == 0)
		return 0;
	out->patterns = alloc_array(n, sizeof(*out->patterns));
	if (!out->patterns)
		return -ENOMEM;
	while ((text = exclude_pattern(x, out->npatterns, &fold))) {
		p = &out->patterns[out->npatterns];
		p->ignore_case = fold;
		p->text = strdup(text);
		if (!p->text)
			return -ENOMEM;
		out->npatterns++;
	}
	return 0;
}

static bool mounts_fit(const char *const *paths, size_t n)
{
	size_t i, all = 0;

	for (i = 0; i < n && all <= TEXT_MAX; i++)
		all += strlen(paths[i]);
	return n <= LIST_MAX && all <= TEXT_MAX;
}

static int note_mounts(const char *const *paths, size_t n,
		       struct point_left_out *out)
{
	size_t i, kept = 0;

	if (n == 0)
		return 0;
	out->mounts = alloc_array(n, sizeof(*out->mounts));
	if (!out->mounts)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		out->mounts[i] = strdup(paths[i]);
		if (!out->mounts[i])
			return -ENOMEM;
		out->nmounts++;
	}
	qsort(out->mounts, n, sizeof(*out->mounts), compare_paths);
	/* One may have been met twice, with an automount in between. */
	for (i = 0; i < n; i++) {
		if (kept > 0 && !strcmp(out->mounts[kept - 1], out->mounts[i]))
			free(out->mounts[i]);
		else
			out->mounts[kept++] = out->mounts[i];
	}
	out->nmounts = kept;
	return 0;
}

int left_out_note(const struct backup_options *o, const struct scan *scan,
		  struct point_left_out *out)
{
	const char *const *mounts;
	size_t n;
	int r = 0;

	out->known = true;
	out->one_file_system = o->one_file_system;
	out->caches = o->exclude_caches;
	mounts = scan_left_out(scan, &n);
	if (mounts_fit(mounts, n) && (!o->exclude || patterns_fit(o->exclude)))
		r = o->exclude ? note_patterns(o->exclude, out) : 0;
	else
		mounts = scan_sources(scan, &n);
	return r < 0 ? r : note_mounts(mounts, n, out);
}
