/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/check/check.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/lock.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/check/internal.h"
#include "store/point.h"
#include "store/vault.h"

#define TICK_NS 100000000

/* ---- findings ---- */

static void finding_free(struct check_finding *f)
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
	struct check_finding **list, *f = calloc(1, sizeof(*f));

	list = reallocarray(out->findings, out->nfindings + 1, sizeof(*list));
	if (list)
		out->findings = list;
	if (f) {
		f->damage = damage;
		f->text = text;
		f->object = strdup(object);
	} else {
		free(text);
	}
	if (!f || !list || !f->object) {
		finding_free(f);
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
	if (c->nbad == c->bad_cap) {
		size_t cap = c->bad_cap ? 2 * c->bad_cap : 256;
		void *p = reallocarray(c->bad_chunks, cap,
				       sizeof(*c->bad_chunks));

		if (!p)
			return -ENOMEM;
		c->bad_chunks = p;
		c->bad_cap = cap;
	}
	c->bad_chunks[c->nbad].id = *id;
	c->bad_chunks[c->nbad++].finding = (size_t)n;
	return 0;
}

/* ---- progress ---- */

int check_tick(struct check *c)
{
	int64_t now;

	if (c->o->stop && *c->o->stop)
		return -EINTR;
	if (!c->o->tick)
		return 0;
	now = c->seam->ops->monotonic_ns(c->seam);
	if (now < c->next_tick_ns)
		return 0;
	c->next_tick_ns = now + TICK_NS;
	c->progress.damages = c->out->damages;
	c->o->tick(c->o->arg, &c->progress);
	return 0;
}

/* ---- the whole ---- */

static void init(struct check *c, const struct check_options *o,
		 struct check_result *out)
{
	memset(c, 0, sizeof(*c));
	memset(out, 0, sizeof(*out));
	pthread_mutex_init(&c->lock, NULL);
	c->o = o;
	c->out = out;
}

static int finish(struct check *c, int r)
{
	c->out->packs = c->npacks;
	c->out->packs_read = c->packs_read;
	c->out->bytes_read = c->bytes_read;
	idset_release(&c->seen);
	idset_release(&c->bad);
	free(c->packs);
	free(c->good);
	free(c->bad_chunks);
	pthread_mutex_destroy(&c->lock);
	return r;
}

int check_run(struct vault *v, const struct check_options *o,
	      struct check_result *out)
{
	struct check c;
	int r;

	init(&c, o, out);
	c.vault = v;
	c.backend = vault_backend(v);
	c.seam = vault_seam(v);
	r = check_objects(&c);
	if (r == 0)
		r = check_trees(&c);
	if (r == 0 && o->read_data)
		r = check_packs(&c);
	if (r == 0 && o->read_data && o->subset == CHECK_ALL)
		r = check_disks(&c);
	if (r == 0)
		r = check_users(&c);
	return finish(&c, r);
}

int check_scrub(struct backend *b, struct seam *seam,
		const struct check_options *o, struct check_result *out)
{
	struct check c;
	int r;

	init(&c, o, out);
	c.backend = b;
	c.seam = seam;
	r = check_list_packs(&c);
	if (r == 0)
		r = check_packs(&c);
	return finish(&c, r);
}

void check_release(struct check_result *out)
{
	size_t i;

	for (i = 0; i < out->nfindings; i++)
		finding_free(out->findings[i]);
	free(out->findings);
	point_list_put(out->points_list);
	memset(out, 0, sizeof(*out));
}
