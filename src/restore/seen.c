/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the point has seen of a directory. Only where it has seen all of it does
 * an entry that the point lacks mean that there was none.
 *
 * A tree begins at "/", but the backup took only what its sources name: of the
 * directories on the way to a source it took nothing but the way. Below a source
 * it left out what patterns said, what caches hold, and mount points that were
 * not to be crossed; all of that stands in the point (point.h). The rules here
 * are those of the scan (src/scan/walk.c), run the other way.
 *
 * What is no tree is a filesystem in a disk: its directories are whole. The
 * directories that the namespace makes itself (the lists of disks, of volumes)
 * say only what the point has, not what may stand beside it.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/restore/internal.h"
#include "src/scan/dir_list.h"
#include "src/scan/exclude.h"
#include "store/base/log.h"
#include "store/content.h"
#include "store/point.h"

static bool is_source(const struct point *p, const char *path)
{
	size_t i;

	for (i = 0; i < p->nsources; i++)
		if (strcmp(p->sources[i], path) == 0)
			return true;
	return false;
}

static int compare_path(const void *key, const void *item)
{
	return strcmp(key, *(char *const *)item);
}

/* Not entered, or not wholly, when the point was made. */
static bool is_mount(const struct point *p, const char *path)
{
	return p->left_out.nmounts > 0 &&
	       bsearch(path, p->left_out.mounts, p->left_out.nmounts,
		       sizeof(*p->left_out.mounts), compare_path);
}

/* Of a cache the backup took only the tag, and what leads to sources below. A
 * tag that cannot be read may be one. */
static bool is_left_cache(const struct restore *run, const char *path)
{
	static const char name[] = DIR_CACHE_TAG, sig[] = DIR_CACHE_SIGNATURE;
	AUTO_BUF struct buf key = BUF_INIT;
	struct cursor c = { .leaf = NULL };
	struct content_ref content;
	char text[sizeof(sig) - 1];
	struct entry e;
	int r;

	if (!run->point->left_out.caches)
		return false;
	r = tree_path_key(&key, path);
	if (r == 0)
		r = tree_lookup(run->vault, &run->root, key.data, key.len, name,
				sizeof(name) - 1, &c);
	if (r == -ENOENT)
		return false;
	if (r == 0) {
		cursor_entry(&c, &e);
		if (!S_ISREG(e.mode) || e.size < sizeof(text)) {
			cursor_release(&c);
			return false;
		}
		content = entry_content(&e);
		r = content_read(run->vault, &content, 0, text, sizeof(text));
	}
	cursor_release(&c);
	return r < 0 || memcmp(text, sig, sizeof(text)) == 0;
}

bool seen_left_out(const struct restore *run, const char *path, bool is_dir)
{
	return run->left_out && exclude_match(run->left_out, path, is_dir);
}

struct seen seen_below(const struct restore *run, struct seen above,
		       const char *path)
{
	const struct point *p = run->point;
	struct seen s = { .source = false };

	if (run->o->view) {
		s.taken = above.whole || (strncmp(path, "/volumes/", 9) == 0 &&
					  path[9] != '\0');
		s.whole = s.taken;
		return s;
	}
	s.source = is_source(p, path);
	s.taken = s.source || (above.whole && !seen_left_out(run, path, true));
	s.whole = s.taken && !is_mount(p, path) && !is_left_cache(run, path);
	return s;
}

struct seen seen_at(const struct restore *run, const char *path)
{
	AUTO_FREE char *part = strdup(path);
	struct seen s = { .taken = false };
	char *end = part;

	if (!part)
		return s;
	s = seen_below(run, s, "/");
	while (*end) {
		char c;

		end += strspn(end, "/");
		if (!*end)
			break;
		end += strcspn(end, "/");
		c = *end;
		*end = '\0';
		s = seen_below(run, s, part);
		*end = c;
	}
	return s;
}

int seen_init(struct restore *run)
{
	const struct point_left_out *l = &run->point->left_out;
	size_t i;
	int r = 0;

	if (run->o->view || l->npatterns == 0)
		return 0;
	run->left_out = exclude_new();
	if (!run->left_out)
		return -ENOMEM;
	for (i = 0; i < l->npatterns && r == 0; i++)
		r = exclude_add(run->left_out, l->patterns[i].text,
				l->patterns[i].ignore_case);
	if (r < 0 && r != -ENOMEM) {
		restore_keep(run, "a pattern that the point has is not known "
				  "here, so what it left out is not known");
		r = 0;
	}
	return r;
}
