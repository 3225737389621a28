/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a check tells: findings, the chunks that are lost with them, and how far
 * it is. An object has one finding, for once it is damaged all that follows
 * from it would be said again and again; the first word on it stands. A finding
 * is found by a table of hashes, keyed at random, since it is the vault's store
 * that chooses names.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/crypt/siphash.h"

void check_finding_free(struct check_finding *f)
{
	size_t i;

	if (!f)
		return;
	for (i = 0; i < f->nkept; i++)
		free(f->places[i].path);
	free(f->places);
	free(f->chunks);
	free(f->ranges);
	free(f->object);
	free(f->text);
	free(f);
}

/* ---- by object ---- */

static size_t *slot_of(const struct check *c, bool damage, const char *object)
{
	size_t i = (size_t)siphash(c->hash_key, object, strlen(object));

	for (;; i++) {
		size_t *slot = &c->slots[i & (c->nslots - 1)];
		const struct check_finding *f;

		if (*slot == 0)
			return slot;
		f = c->out->findings[*slot - 1];
		if (f->damage == damage && strcmp(f->object, object) == 0)
			return slot;
	}
}

static int grow_slots(struct check *c)
{
	size_t n = c->nslots ? 2 * c->nslots : 64, i;
	size_t *old = c->slots;

	c->slots = alloc_array(n, sizeof(*c->slots));
	if (!c->slots) {
		c->slots = old;
		return -ENOMEM;
	}
	free(old);
	c->nslots = n;
	for (i = 0; i < c->out->nfindings; i++) {
		const struct check_finding *f = c->out->findings[i];

		*slot_of(c, f->damage, f->object) = i + 1;
	}
	return 0;
}

static int finding_new(struct check *c, bool damage, const char *object,
		       char *text)
{
	struct check_result *out = c->out;
	struct check_finding *f = calloc(1, sizeof(*f));
	int r = array_reserve(&out->findings, &c->findings_cap,
			      out->nfindings + 1);

	if (f) {
		f->damage = damage;
		f->text = text;
		f->object = strdup(object);
	} else {
		free(text);
	}
	if (!f || r < 0 || !f->object) {
		check_finding_free(f);
		return -ENOMEM;
	}
	out->findings[out->nfindings] = f;
	out->damages += damage;
	*slot_of(c, damage, object) = ++out->nfindings;
	return (int)out->nfindings - 1;
}

int check_found(struct check *c, bool damage, const char *object,
		const char *fmt, ...)
{
	size_t *slot;
	char *text;
	va_list ap;
	int n;

	SCOPED_LOCK(&c->lock);
	if (2 * (c->out->nfindings + 1) > c->nslots && grow_slots(c) < 0)
		return -ENOMEM;
	slot = slot_of(c, damage, object);
	if (*slot)
		return (int)*slot - 1;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	return finding_new(c, damage, object, text);
}

struct check_finding *check_find(struct check *c, const char *object)
{
	size_t i;

	SCOPED_LOCK(&c->lock);
	i = c->nslots ? *slot_of(c, true, object) : 0;
	return i ? c->out->findings[i - 1] : NULL;
}

void check_drop_findings(struct check *c)
{
	struct check_result *out = c->out;
	size_t i, n = 0;

	for (i = 0; i < out->nfindings; i++) {
		struct check_finding *f = out->findings[i];

		if (f->is_known && !f->is_void) {
			out->damages -= f->damage;
			f->damage = false;
		}
		if (f->is_void) {
			out->damages -= f->damage;
			check_finding_free(f);
		} else {
			out->findings[n++] = f;
		}
	}
	out->nfindings = n;
	free(c->slots);
	c->slots = NULL;
	c->nslots = 0;
}

/* ---- chunks ---- */

int check_lost(struct check *c, int n, const struct id *id)
{
	int r;

	if (n < 0)
		return n;
	SCOPED_LOCK(&c->lock);
	r = idset_add(&c->bad, id);
	if (r != 1)
		return r;
	if (array_reserve(&c->bad_chunks, &c->bad_cap, c->nbad + 1) < 0)
		return -ENOMEM;
	c->bad_chunks[c->nbad].id = *id;
	c->bad_chunks[c->nbad++].finding = (size_t)n;
	return 0;
}

int check_tick(struct check *c)
{
	if (task_stopped(c->task))
		return -EINTR;
	/* Threads that read packs find damage meanwhile. */
	pthread_mutex_lock(&c->lock);
	c->progress.damages = c->out->damages;
	pthread_mutex_unlock(&c->lock);
	task_tick(c->task, c->seam, &c->progress);
	return 0;
}
