/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a check tells: findings, the chunks that are lost with them, and how far
 * it is. An object has one finding, for once it is damaged all that follows
 * from it would be said again and again; the first word on it stands.
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

void check_finding_free(struct check_finding *f)
{
	size_t i;

	if (!f)
		return;
	for (i = 0; i < CHECK_PLACES_MAX; i++)
		free(f->places[i].path);
	free(f->object);
	free(f->text);
	free(f);
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
	return (int)out->nfindings++;
}

int check_found(struct check *c, bool damage, const char *object,
		const char *fmt, ...)
{
	struct check_result *out = c->out;
	char *text;
	va_list ap;
	size_t i;
	int n;

	SCOPED_LOCK(&c->lock);
	/* One finding an object: the first one says it. */
	for (i = 0; i < out->nfindings; i++)
		if (!strcmp(out->findings[i]->object, object) &&
		    out->findings[i]->damage == damage)
			return (int)i;
	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return -ENOMEM;
	return finding_new(c, damage, object, text);
}

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
