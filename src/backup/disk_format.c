/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The word and the path are told apart as sources do it: a disk that was given as
 * raw:FILE and now is given as FILE comes from the same source. */
#include "config.h"

#include "src/backup/disk_format.h"

#include <errno.h>
#include <string.h>

#include "src/backup/backup.h"
#include "src/disk/format.h"
#include "src/disk/source.h"
#include "store/base/log.h"
#include "store/point.h"

/* A point keeps the beginning of a long source; a word in front is not part of
 * where it lies. */
static bool is_same_source(const char *old, const char *now)
{
	const char *a = disk_source_path(old), *b = disk_source_path(now);
	size_t kept = POINT_SOURCE_MAX - (size_t)(a - old);

	return strncmp(a, b, kept) == 0;
}

static const char *word_of(const char *driver)
{
	const struct image_format *f =
		image_format_find(driver, strlen(driver));

	return f ? f->word : driver;
}

int disk_format_check(const struct point *machine, const struct backup_disk *o,
		      const struct disk_source *s)
{
	const struct point_disk *old =
		machine ? point_find_disk(machine, o->name) : NULL;

	if (!old || !s->recognised || !old->format || !old->source ||
	    strcmp(old->format, s->format) == 0 ||
	    !is_same_source(old->source, o->source))
		return 0;
	return fail(-EPERM,
		    "disk %s: %s was read as %s for the point before, and now"
		    " looks like %s: a guest can write that into its own disk."
		    " Say what it is: --disk %s=%s:%s or --disk %s=%s:%s",
		    o->name, o->source, word_of(old->format),
		    word_of(s->format), o->name, word_of(old->format),
		    o->source, o->name, word_of(s->format), o->source);
}
