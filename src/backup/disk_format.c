/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Two sources are the same file where their paths say so, behind the word that
 * tells the format, or device and inode do. A path of another host may name
 * anything here; but the machine itself may move from one to another.
 */
#include "config.h"

#include "src/backup/disk_format.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "src/backup/backup.h"
#include "src/disk/format.h"
#include "src/disk/source.h"
#include "store/base/log.h"
#include "store/point.h"

/* The disk that is looked for. */
struct sought {
	const struct disk_past *was;
	const char *name, *source, *format;
	struct stat st; /* of the file; zeros where there is none */
};

/* One that was found, and when it was read. */
struct found {
	const struct point_disk *disk;
	int64_t time_ns;
};

/* A point keeps the beginning of a long source; a word in front is not part of
 * where it lies. */
static bool is_same_path(const char *old, const char *now)
{
	const char *a = disk_source_path(old), *b = disk_source_path(now);
	size_t kept = POINT_SOURCE_MAX - (size_t)(a - old);

	return strncmp(a, b, kept) == 0;
}

static bool is_same_file(const struct sought *k, const struct point *p,
			 const char *source)
{
	const char *path = disk_source_path(source);
	struct stat st;

	if (strcmp(p->vm, k->was->vm) == 0) {
		if (is_same_path(source, k->source))
			return true;
	} else if (strcmp(p->host, k->was->host) != 0 || *path != '/') {
		return false;
	}
	return k->st.st_ino != 0 && stat(path, &st) == 0 &&
	       st.st_ino == k->st.st_ino && st.st_dev == k->st.st_dev;
}

/* Find the latest disk, read after @after, that came from the file that is
 * sought, of the format that it has now (@same), or of another one. */
static void find_file(const struct sought *k, bool same, int64_t after,
		      struct found *out)
{
	const struct point_list *l = k->was->points;
	size_t i, n;

	for (i = 0; i < l->n; i++) {
		const struct point *p = l->points[i];

		for (n = 0; n < p->ndisks && p->time_ns > after; n++) {
			const struct point_disk *d = &p->disks[n];

			if (!d->format || !d->source ||
			    (strcmp(d->format, k->format) == 0) != same ||
			    !is_same_file(k, p, d->source))
				continue;
			*out = (struct found){ d, p->time_ns };
			after = p->time_ns;
		}
	}
}

/* The latest disk of the machine that is called so. */
static const struct point_disk *find_name(const struct sought *k)
{
	const struct point_list *l = k->was->points;
	const struct point_disk *found = NULL, *d;
	size_t i;

	/* The points of a machine are in the order of time. */
	for (i = 0; i < l->n; i++) {
		if (strcmp(l->points[i]->vm, k->was->vm) != 0)
			continue;
		d = point_find_disk(l->points[i], k->name);
		if (d && d->format)
			found = d;
	}
	return found;
}

/* Find the disk that was read as something else. NULL: there is none, or it is
 * known better since. */
static const struct point_disk *find_other(const struct sought *k)
{
	struct found other = { NULL, INT64_MIN }, same = { NULL, INT64_MIN };

	/* There is seldom one of another format: few files are looked at. */
	find_file(k, false, INT64_MIN, &other);
	if (!other.disk) {
		other.disk = find_name(k);
		if (!other.disk || strcmp(other.disk->format, "raw") != 0 ||
		    strcmp(k->format, "raw") == 0)
			return NULL;
	}
	find_file(k, true, other.time_ns, &same);
	return same.disk ? NULL : other.disk;
}

static const char *word_of(const char *driver)
{
	const struct image_format *f =
		image_format_find(driver, strlen(driver));

	return f ? f->word : driver;
}

int disk_format_check(const struct disk_past *was, const struct backup_disk *o,
		      const struct disk_source *s)
{
	struct sought k = {
		.was = was,
		.name = o->name,
		.source = o->source,
		.format = s->format,
	};
	const struct point_disk *old;

	if (!s->recognised)
		return 0;
	if (stat(disk_source_path(o->source), &k.st) < 0)
		k.st = (struct stat){ .st_ino = 0 };
	old = find_other(&k);
	if (!old)
		return 0;
	return fail(-EPERM,
		    "disk %s: it was read as %s for an earlier point (from"
		    " %s), and %s now looks like %s: a guest can write that"
		    " into its own disk. Say what it is: --disk %s=%s:%s or"
		    " --disk %s=%s:%s",
		    o->name, word_of(old->format),
		    old->source ? old->source : "a place that is not known",
		    o->source, word_of(s->format), o->name,
		    word_of(old->format), o->source, o->name,
		    word_of(s->format), o->source);
}
