/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The volumes that were seen, by serial. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/lru.h"
#include "fs/volumes_internal.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/entry.h"

/* The longest of what is put behind a volume's name: ".unreadable". */
#define SUFFIX_MAX 11

struct row *volumes_row(struct volumes *m, uint32_t serial)
{
	return serial >= 1 && serial <= m->nrows ? m->rows[serial - 1] : NULL;
}

static int add_row(struct volumes *m, const struct point_volumes *x,
		   const char *name, uint32_t *out)
{
	struct row *row;

	if (m->nrows == VOLUMES_SERIAL_MAX)
		return fail(-EOVERFLOW,
			    "more than %u volumes were seen since "
			    "the mount: mount anew",
			    VOLUMES_SERIAL_MAX);
	if (array_reserve(&m->rows, &m->cap, m->nrows + 1) < 0)
		return -ENOMEM;
	row = calloc(1, sizeof(*row));
	if (!row)
		return -ENOMEM;
	row->point = x->point;
	row->unsure = !x->sure;
	row->name = strdup(name);
	if (!row->name) {
		free(row);
		return -ENOMEM;
	}
	m->rows[m->nrows++] = row;
	*out = (uint32_t)m->nrows;
	return 0;
}

/* With the lock held: keep the reason that came with a volume. One that was
 * found while reads failed is only for now. */
static int keep_reason(struct row *row, const struct volume *v)
{
	char *why = NULL;

	if (v->reason && !row->why) {
		why = strdup(v->reason);
		if (!why)
			return -ENOMEM;
	}
	if (row->unsure) {
		free(row->why_now);
		row->why_now = NULL;
		row->error = 0;
		row->attempts = 0;
	}
	if (why && !row->unsure) {
		row->why = why;
	} else if (why) {
		row->why_now = why;
		row->error = -EIO;
	}
	return 0;
}

/* With the lock held: find the serial that this name has in such sets of the
 * point, or give it a new one. */
static int number(struct volumes *m, const struct volume *v,
		  const struct point_volumes *x, int64_t now_ns, uint32_t *out)
{
	struct row *row;
	size_t i;
	int r = 0;

	for (i = 0; i < m->nrows && *out == 0; i++)
		if (m->rows[i]->point == x->point &&
		    m->rows[i]->unsure == !x->sure &&
		    strcmp(m->rows[i]->name, v->name) == 0)
			*out = (uint32_t)i + 1;
	if (*out == 0)
		r = add_row(m, x, v->name, out);
	if (r < 0)
		return r;
	row = m->rows[*out - 1];
	if (row->unsure)
		row->changed_ns = now_ns;
	row->gone = false;
	return keep_reason(row, v);
}

/*
 * With the lock held.
 * What was found of a point while reads failed may not be there at all, and its
 * filesystem may have been that of an array's member which was left behind:
 * whoever has it may finish with it, and nobody else gets it.
 */
static void doubt_rows(struct volumes *m, uint32_t point, int64_t now_ns)
{
	size_t i;

	for (i = 0; i < m->nrows; i++) {
		struct row *row = m->rows[i];

		if (row->point != point || !row->unsure || row->gone)
			continue;
		row->gone = true;
		row->changed_ns = now_ns;
		row->opened = NULL;
	}
}

static bool can_be_shown(const struct volume *v)
{
	size_t len = strlen(v->name);

	return entry_name_ok(v->name, len) &&
	       len <= ENTRY_NAME_MAX - SUFFIX_MAX;
}

static int number_set(struct volumes *m, struct point_volumes *x,
		      int64_t now_ns)
{
	size_t i;
	int r = 0;

	SCOPED_LOCK(&m->lock);
	doubt_rows(m, x->point, now_ns);
	for (i = 0; i < x->set->n && r == 0; i++)
		if (can_be_shown(&x->set->volumes[i]))
			r = number(m, &x->set->volumes[i], x, now_ns,
				   &x->serials[i]);
	return r;
}

int volumes_number(struct volumes *m, struct point_volumes *x)
{
	size_t i;
	int r;

	x->serials = alloc_array(x->set->n + 1, sizeof(*x->serials));
	if (!x->serials)
		return -ENOMEM;
	for (i = 0; i < x->set->n; i++)
		if (!can_be_shown(&x->set->volumes[i]))
			log_warn("volume \"%s\": a name that cannot be shown; "
				 "left out",
				 x->set->volumes[i].name);
	r = number_set(m, x, volumes_now_ns(m));
	volumes_trim(m, false); /* what was doubted */
	return r;
}

/* ---- by serial ---- */

int volumes_volume(struct volumes *m, uint32_t serial, uint32_t *point_out,
		   const char **name_out)
{
	const struct row *row;

	SCOPED_LOCK(&m->lock);
	row = volumes_row(m, serial);
	if (!row)
		return -ESTALE;
	*point_out = row->point;
	*name_out = row->name;
	return 0;
}

/* With the lock held: will what is shown of it never change? */
static bool is_settled(const struct row *row)
{
	if (row->gone)
		return true;
	return !row->unsure &&
	       (row->why || (row->attempts > 0 && row->error == 0));
}

bool volumes_settled(struct volumes *m, uint32_t point, int64_t *changed_ns_out)
{
	bool any = false, all = true;
	size_t i;

	*changed_ns_out = 0;
	SCOPED_LOCK(&m->lock);
	for (i = 0; i < m->nrows; i++) {
		const struct row *row = m->rows[i];

		if (row->point != point)
			continue;
		any = any || !row->gone;
		all = all && is_settled(row);
		*changed_ns_out = MAX(*changed_ns_out, row->changed_ns);
	}
	return any && all;
}

bool volumes_is_sure(struct volumes *m, uint32_t serial)
{
	const struct row *row;

	SCOPED_LOCK(&m->lock);
	row = volumes_row(m, serial);
	return row && !row->unsure && !row->gone;
}

void volumes_get_stats(struct volumes *m, struct volumes_stats *out)
{
	size_t i;

	memset(out, 0, sizeof(*out));
	out->memory = lru_bytes(m->memory);
	SCOPED_LOCK(&m->lock);
	out->open = m->nguests;
	for (i = 0; i < m->nrows; i++) {
		out->known += !m->rows[i]->gone;
		out->unreadable += m->rows[i]->why != NULL;
		out->marked += m->rows[i]->marked;
	}
}
