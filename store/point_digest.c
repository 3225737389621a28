/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Digests, read and made.
 *
 * One that supersedes others is longer than each of them, so the longest are read
 * first, a few at once, and then what none of them supersedes. A commit is looked
 * for among those that were listed and nowhere else, so that no digest can make a
 * point; it only saves to read the register and the point.
 *
 * A digest is made by a writer that knows of many decided sessions in none. Others
 * may have made one since, so it reads the digests first. It takes small ones into
 * the new one, where they are several: few are in use, whatever the number of
 * points.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/record/digest.h"
#include "store/vault_internal.h"

/* Fewer than so many are not worth a digest. */
#define WORTH 100
#define AT_ONCE 4 /* of DIGEST_MAX each */
#define OBJECT_MAX (DIGEST_MAX + (64u << 10))
/* A digest below this is small, and so many small ones are merged. */
#define SMALL (DIGEST_MAX / 2)
#define SMALL_MAX 8
/* A longer point is read from its own object. */
#define DOC_MAX (256u << 10)

/* ---- reading them ---- */

struct digest_ref {
	char name[OBJECT_NAME_MAX];
	uint64_t size;
	bool gone; /* another one supersedes it */
	struct vault *vault;
	struct buf plain;
	int error;
};

struct digest_reading {
	struct digest_ref *refs; /* owned */
	size_t n, cap;
	int (*entry)(void *arg, const struct digest_entry *e);
	/* Called for each that is in use, after its entries; may be NULL. */
	int (*read)(void *arg, const struct digest_ref *d);
	void *arg;
};

static int on_digest(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct digest_reading *g = arg;
	struct digest_ref *d;

	if (array_reserve(&g->refs, &g->cap, g->n + 1) < 0)
		return -ENOMEM;
	d = &g->refs[g->n++];
	memset(d, 0, sizeof(*d));
	snprintf(d->name, sizeof(d->name), "%s", name);
	d->size = info->size;
	return 0;
}

static int by_size(const void *a, const void *b)
{
	const struct digest_ref *x = a, *y = b;

	if (x->size != y->size)
		return x->size > y->size ? -1 : 1;
	return strcmp(x->name, y->name);
}

static int on_gone(void *arg, const char *name)
{
	struct digest_reading *g = arg;
	size_t i;

	for (i = 0; i < g->n; i++)
		if (strcmp(g->refs[i].name + strlen("digest/"), name) == 0)
			g->refs[i].gone = true;
	return 0;
}

static void fetch(void *arg)
{
	struct digest_ref *d = arg;
	uint8_t *raw = NULL;
	size_t len;

	d->error = vault_get_all(d->vault, d->name, OBJECT_MAX, &raw, &len);
	if (d->error == 0)
		d->error = format_read_box(d->vault->keyring, raw, len,
					   OBJECT_DIGEST, d->name, &d->plain);
	free(raw);
}

static int on_entry(void *arg, const struct digest_entry *e)
{
	const struct digest_reading *g = arg;

	return g->entry(g->arg, e);
}

/* Errors that are not for passing over. */
static bool is_end(int r)
{
	return r == -ENOMEM || r == -EINTR || r == -ECANCELED;
}

static int take(struct digest_reading *g, struct digest_ref *d)
{
	int r = d->error;

	if (d->gone)
		return 0;
	/* It may supersede itself as little as any other. */
	if (r == 0)
		r = digest_decode(d->plain.data, d->plain.len, d->name,
				  on_entry, on_gone, g);
	if (r == 0 && g->read)
		r = g->read(g->arg, d);
	return is_end(r) ? r : 0;
}

/* Read those from @i on that nothing known supersedes, a few at once. */
static int read_some(struct vault *v, struct digest_reading *g,
		     struct pool *pool, size_t *i)
{
	struct digest_ref *some[AT_ONCE];
	size_t n = 0, k;
	int r = 0;

	for (; *i < g->n && n < AT_ONCE; ++*i)
		if (!g->refs[*i].gone)
			some[n++] = &g->refs[*i];
	for (k = 0; k < n; k++) {
		some[k]->vault = v;
		pool_run(pool, fetch, some[k]);
	}
	pool_wait(pool);
	for (k = 0; k < n; k++) {
		if (r == 0)
			r = take(g, some[k]);
		buf_release(&some[k]->plain);
	}
	return r;
}

static int read_digests(struct vault *v, struct digest_reading *g)
{
	struct pool *pool = NULL;
	size_t i = 0;
	int r = vault_list(v, "digest/", on_digest, g);

	if (r == 0 && g->n) {
		qsort(g->refs, g->n, sizeof(*g->refs), by_size);
		pool = pool_new(AT_ONCE, AT_ONCE);
		r = pool ? 0 : -ENOMEM;
	}
	while (r == 0 && i < g->n)
		r = read_some(v, g, pool, &i);
	pool_free(pool);
	free(g->refs);
	return is_end(r) ? r : 0;
}

/* ---- what they say of points ---- */

struct gathering {
	const struct kept_wish *wanted;
	struct point_objects *objects;
	struct kept_set commits, points; /* what is added */
};

static bool is_wanted(const struct gathering *g, const char *name)
{
	size_t low = 0, high = g->wanted->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int c = strcmp(g->wanted->items[mid].name, name);

		if (c == 0)
			return true;
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return false;
}

/* Add what an entry says of a point, unless it is malformed: then the point is
 * read itself, and whatever is wrong with it is said of it. */
static int gather_point(struct gathering *g, const struct digest_entry *e,
			const char *id)
{
	char name[OBJECT_NAME_MAX];
	struct point *p;
	int r;

	snprintf(name, sizeof(name), "point/%s", id);
	if (kept_has(&g->objects->points, name))
		return 0;
	r = point_decode(e->point, e->point_len, name, &p);
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	if (strcmp(p->id, id) != 0 || strcmp(p->session, e->sid) != 0) {
		point_free(p);
		return 0;
	}
	r = kept_append(&g->points, name, p);
	if (r < 0)
		point_free(p);
	return r;
}

/* What a register says; NULL where it is malformed, and read itself. A session that
 * was fenced has none in a digest. */
static int take_session(const struct digest_entry *e, const char *name,
			struct known_commit **out)
{
	int r = 0;

	if (e->reg)
		r = known_commit_decode(e->reg, e->reg_len, name, out);
	else
		*out = calloc(1, sizeof(**out));
	if (!*out && r == 0)
		r = -ENOMEM;
	if (e->reg && *out && !(*out)->commit.point[0]) {
		free(*out);
		*out = NULL;
	}
	return r == -EBADMSG ? 0 : r;
}

static int gather_session(void *arg, const struct digest_entry *e)
{
	struct gathering *g = arg;
	char name[OBJECT_NAME_MAX];
	struct known_commit *c;
	int r;

	snprintf(name, sizeof(name), "commit/%s", e->sid);
	if (!is_wanted(g, name) || kept_has(&g->objects->commits, name))
		return 0;
	/* What it follows is in the register, which is read itself. */
	if (!e->reg && e->commit.point[0])
		return gather_point(g, e, e->commit.point);
	r = take_session(e, name, &c);
	if (r < 0 || !c)
		return r;
	c->digested = true;
	r = kept_append(&g->commits, name, c);
	if (r < 0)
		free(c);
	else if (c->commit.point[0])
		r = gather_point(g, e, c->commit.point);
	return r;
}

/* Is it worth to look for digests? What the database has is not fetched. */
static int count_missing(struct vault *v, const struct kept_wish *wanted,
			 const struct kept_set *have)
{
	size_t i, n = 0, first = 0;

	for (i = 0; i < wanted->n; i++)
		if (!kept_has(have, wanted->items[i].name) && n++ == 0)
			first = i;
	if (n <= WORTH)
		return 0;
	return kept_is_local(v, wanted->items[first].name) ? 0 : 1;
}

int point_digests_gather(struct vault *v, const struct kept_wish *wanted,
			 struct point_objects *o)
{
	struct gathering g = { .wanted = wanted, .objects = o };
	struct digest_reading reading = { .entry = gather_session, .arg = &g };
	int r = 0;

	if (!v->no_digests)
		r = count_missing(v, wanted, &o->commits);
	if (r == 1)
		r = read_digests(v, &reading);
	if (r == 0)
		r = kept_join(&point_kept_commits, &o->commits, &g.commits);
	if (r == 0)
		r = kept_join(&point_kept_points, &o->points, &g.points);
	kept_release(&point_kept_commits, &g.commits);
	kept_release(&point_kept_points, &g.points);
	return r;
}

/* ---- making them ---- */

struct digest_job {
	struct vault *vault;
	struct point_objects *objects;
	struct buf entries; /* of the digest being made */
	size_t nentries;
	struct known_commit **taken; /* owned; whose sessions are in it */
	size_t ntaken, taken_cap;
	char (*small)[OBJECT_NAME_MAX]; /* owned; digests to be merged */
	size_t nsmall, small_cap;
	char (*gone)[DIGEST_NAME_MAX]; /* owned */
	size_t ngone, gone_cap;
	int (*put)(void *arg, const struct buf *plain);
	void *arg;
};

/* The point of a commit, where it was read and is not to be gone. */
static const struct point *point_of(const struct point_objects *o,
				    const struct commit *c)
{
	char name[OBJECT_NAME_MAX];
	size_t i;

	snprintf(name, sizeof(name), "point/%s", c->point);
	i = kept_find(&o->points, name);
	return i < o->points.n && strcmp(o->points.items[i].name, name) == 0 &&
			       point_verdict_on(o, c->point) != POINT_PURGED
		       ? o->points.items[i].value
		       : NULL;
}

/* Is that the commit of a decided session that no digest tells of? */
static bool is_loose(const struct point_objects *o, const struct kept *item)
{
	const struct known_commit *c = item->value;

	return c && !c->digested &&
	       (!c->commit.point[0] || point_of(o, &c->commit));
}

static size_t count_loose(const struct point_objects *o)
{
	size_t i, n = 0;

	for (i = 0; i < o->commits.n; i++)
		n += is_loose(o, &o->commits.items[i]);
	return n;
}

static int note_digested(void *arg, const struct digest_entry *e)
{
	const struct digest_job *j = arg;
	const struct kept_set *s = &j->objects->commits;
	char name[OBJECT_NAME_MAX];
	size_t i;

	/* One that does not tell what a session follows saves nothing. */
	if (!e->reg && e->commit.point[0])
		return 0;
	snprintf(name, sizeof(name), "commit/%s", e->sid);
	i = kept_find(s, name);
	if (i < s->n && strcmp(s->items[i].name, name) == 0 &&
	    s->items[i].value)
		((struct known_commit *)s->items[i].value)->digested = true;
	return 0;
}

static int note_small(void *arg, const struct digest_ref *d)
{
	struct digest_job *j = arg;

	if (d->plain.len >= SMALL)
		return 0;
	if (array_reserve(&j->small, &j->small_cap, j->nsmall + 1) < 0)
		return -ENOMEM;
	memcpy(j->small[j->nsmall++], d->name, OBJECT_NAME_MAX);
	return 0;
}

/* Append the entry of one session; where its point is too long, none. */
static int add_session(struct digest_job *j, const struct kept *item)
{
	AUTO_BUF struct buf reg = BUF_INIT, doc = BUF_INIT;
	struct known_commit *c = item->value;
	struct digest_entry e = { .reg = NULL };
	char name[OBJECT_NAME_MAX];
	int r = 0;

	snprintf(e.sid, sizeof(e.sid), "%s", item->name + strlen("commit/"));
	snprintf(name, sizeof(name), "point/%s", c->commit.point);
	if (c->commit.point[0])
		r = kept_read(j->vault, &point_kept_points, name,
			      c->commit.hash, &doc);
	if (c->commit.point[0] && r == 0)
		r = kept_read(j->vault, &point_kept_commits, item->name, NULL,
			      &reg);
	if (r < 0)
		return is_end(r) ? r : 0;
	if (array_reserve(&j->taken, &j->taken_cap, j->ntaken + 1) < 0)
		return -ENOMEM;
	j->taken[j->ntaken++] = c;
	if (doc.len > DOC_MAX)
		return 0;
	e.reg = reg.data;
	e.reg_len = reg.len;
	e.point = doc.data;
	e.point_len = doc.len;
	digest_put(&j->entries, &e);
	j->nentries++;
	return buf_error(&j->entries);
}

static int copy_entry(void *arg, const struct digest_entry *e)
{
	struct digest_job *j = arg;
	char name[OBJECT_NAME_MAX];
	struct commit commit;

	/* That is told anew, of what there is. */
	if (!e->reg && e->commit.point[0])
		return 0;
	snprintf(name, sizeof(name), "commit/%s", e->sid);
	if (e->reg && commit_decode(e->reg, e->reg_len, name, &commit) < 0)
		return 0;
	/* What was removed is not told again. */
	if (e->reg &&
	    point_verdict_on(j->objects, commit.point) == POINT_PURGED)
		return 0;
	digest_put(&j->entries, e);
	j->nentries++;
	return buf_error(&j->entries);
}

static int copy_gone(void *arg, const char *name)
{
	struct digest_job *j = arg;

	if (j->ngone == DIGEST_GONE_MAX)
		return 0;
	if (array_reserve(&j->gone, &j->gone_cap, j->ngone + 1) < 0)
		return -ENOMEM;
	snprintf(j->gone[j->ngone++], DIGEST_NAME_MAX, "%s", name);
	return 0;
}

/* Take small digests in, each as a whole, as long as there is room. */
static int add_small(struct digest_job *j)
{
	struct digest_ref d = { .vault = j->vault };
	int r = 0;

	while (j->nsmall > 0 && r == 0) {
		memcpy(d.name, j->small[--j->nsmall], sizeof(d.name));
		fetch(&d);
		if (d.error == 0 && d.plain.len + j->entries.len < DIGEST_MAX) {
			r = digest_decode(d.plain.data, d.plain.len, d.name,
					  copy_entry, copy_gone, j);
			if (r == 0)
				r = copy_gone(j, d.name + strlen("digest/"));
		}
		buf_release(&d.plain);
		if (is_end(d.error))
			r = d.error;
	}
	return r;
}

static int put_digest(struct digest_job *j)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	size_t i;
	int r;

	buf_put_varint(&plain, j->nentries);
	buf_put(&plain, j->entries.data, j->entries.len);
	buf_put_varint(&plain, j->ngone);
	for (i = 0; i < j->ngone; i++)
		buf_put_bytes(&plain, j->gone[i], strlen(j->gone[i]));
	r = buf_error(&plain);
	if (r == 0 && plain.len <= DIGEST_MAX && j->nentries)
		r = j->put(j->arg, &plain);
	for (i = 0; i < j->ntaken && r == 0; i++)
		j->taken[i]->digested = true;
	buf_clear(&j->entries);
	j->nentries = j->ntaken = j->ngone = 0;
	return r;
}

/* Room that is left for names, and for one point more. */
#define FULL (DIGEST_MAX - DOC_MAX - (256u << 10))

static int put_loose(struct digest_job *j)
{
	const struct kept_set *s = &j->objects->commits;
	size_t i;
	int r = 0;

	for (i = 0; i < s->n && r == 0; i++) {
		if (!is_loose(j->objects, &s->items[i]))
			continue;
		r = add_session(j, &s->items[i]);
		if (r == 0 && j->entries.len >= FULL)
			r = put_digest(j);
	}
	if (r == 0 && j->nsmall >= SMALL_MAX)
		r = add_small(j);
	return r == 0 && j->ntaken ? put_digest(j) : r;
}

static int make_digests(struct digest_job *j)
{
	struct digest_reading reading = {
		.entry = note_digested,
		.read = note_small,
		.arg = j,
	};
	int r;

	if (count_loose(j->objects) <= WORTH)
		return 0;
	r = read_digests(j->vault, &reading);
	if (r == 0 && count_loose(j->objects) > WORTH)
		r = put_loose(j);
	/* What was learned of digests is kept. */
	j->objects->commits.fresh += j->objects->commits.n + KEPT_FRESH_MAX;
	return r;
}

int vault_digest_points(struct vault *v,
			int (*put)(void *arg, const struct buf *plain),
			void *arg)
{
	struct digest_job j = { .vault = v, .put = put, .arg = arg };
	int r;

	point_listing_begin(v);
	j.objects = &v->objects;
	r = make_digests(&j);
	/* Whoever does not know which commits are in digests reads them all. */
	kept_save(v, &point_kept_commits, &v->objects.commits);
	point_listing_end(v);
	buf_release(&j.entries);
	free(j.taken);
	free(j.small);
	free(j.gone);
	return r;
}

void vault_distrust_digests(struct vault *v)
{
	struct point_objects *o = &v->objects;

	point_listing_begin(v);
	if (!v->no_digests) {
		v->no_digests = true;
		/* Nobody knows any more which of them a digest told of. */
		kept_release(&point_kept_commits, &o->commits);
		kept_release(&point_kept_points, &o->points);
		o->points_old = true;
		/* Nor whether what digests said of commits is so. */
		v->judged.is_known = false;
	}
	point_listing_end(v);
}
