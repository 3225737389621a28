/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The volumes that were found so far: their names, reasons and marks. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/finder_internal.h"
#include "store/base/array.h"
#include "store/base/log.h"

void volume_set_free(struct volume_set *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->n; i++) {
		free(s->volumes[i].name);
		free(s->volumes[i].reason);
		blocks_put(s->volumes[i].blocks);
	}
	free(s->volumes);
	free(s);
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcmp(s + len - n, end) == 0;
}

/* Is this the name of a volume already, or one that a volume's other files
 * have? */
static bool taken(const struct finder *f, const char *name)
{
	size_t i;

	if (ends_with(name, ".raw") || ends_with(name, ".unreadable"))
		return true;
	for (i = 0; i < f->set->n; i++)
		if (strcmp(f->set->volumes[i].name, name) == 0)
			return true;
	return false;
}

static char *unique_name(const struct finder *f, const char *wanted)
{
	char name[VOLUME_NAME_MAX + 16];
	unsigned int n = 1;
	char *p;

	snprintf(name, sizeof(name), "%.*s", VOLUME_NAME_MAX, wanted);
	do {
		for (p = name; *p; p++)
			if (*p == '/' || (unsigned char)*p < 0x20)
				*p = '_';
		if (!taken(f, name))
			return strdup(name);
		snprintf(name, sizeof(name), "%.*s-%u", VOLUME_NAME_MAX, wanted,
			 ++n);
	} while (n <= VOLUMES_MAX + 1);
	return NULL;
}

int finder_add(struct finder *f, const char *name, struct blocks *b)
{
	struct volume_set *s = f->set;

	if (s->n == VOLUMES_MAX) {
		if (!f->full)
			log_warn("more than %d volumes: the rest is not shown",
				 VOLUMES_MAX);
		f->full = s->cut = true;
		return -ENOSPC;
	}
	if (array_reserve(&s->volumes, &f->cap, s->n + 1) < 0)
		return -ENOMEM;
	memset(&s->volumes[s->n], 0, sizeof(s->volumes[s->n]));
	s->volumes[s->n].name = unique_name(f, name);
	if (!s->volumes[s->n].name)
		return -ENOMEM;
	s->volumes[s->n].blocks = blocks_get(b);
	return (int)s->n++;
}

int volume_set_reason(struct volume *v, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	free(v->reason);
	v->reason = strdup(text);
	return v->reason ? 0 : -ENOMEM;
}

int volume_set_error(struct volume *v, int r)
{
	return volume_set_reason(v,
				 "it cannot be read where it says what it is: "
				 "%s",
				 r == -EBADMSG ? "it is damaged in the vault"
					       : strerror(-r));
}

void volume_mark(struct volume *v, const char *state, const char *note)
{
	if (v->state[0])
		return;
	snprintf(v->state, sizeof(v->state), "%s", state);
	snprintf(v->note, sizeof(v->note), "%s", note);
}

void partition_name(const char *name, unsigned int number, char *out,
		    size_t size)
{
	size_t n = strlen(name);

	snprintf(out, size, "%.*s%s%u", VOLUME_NAME_MAX, name,
		 n && isdigit((unsigned char)name[n - 1]) ? "p" : "", number);
}
