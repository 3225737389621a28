/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which points there are: commit/<sid> says so. A commit names its point and
 * the hash of the point's object. Both are small and immutable: once
 * authenticated they are kept in the local database.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/commit.h"
#include "store/point.h"
#include "store/purge.h"
#include "store/vault_internal.h"

#define POINT_OBJECT_MAX (16u << 20)
#define COMMIT_OBJECT_MAX (64u << 10)
#define PURGE_OBJECT_MAX (64u << 10)

struct point_list *point_list_get(struct point_list *l)
{
	__atomic_add_fetch(&l->refs, 1, __ATOMIC_RELAXED);
	return l;
}

void point_list_put(struct point_list *l)
{
	size_t i;

	if (!l || __atomic_sub_fetch(&l->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (i = 0; i < l->n; i++)
		point_free(l->points[i]);
	free(l->points);
	free(l->names);
	free(l->damaged);
	free(l);
}

/* A box's plaintext, from the database or, authenticated, from the vault.
 * @raw_hash: of the stored object, checked when not NULL. */
static int read_object(struct vault *v, const char *name, uint8_t type,
		       size_t max, const uint8_t *raw_hash, struct buf *out)
{
	uint8_t hash[CRYPT_SHA256_LEN];
	uint8_t *raw = NULL;
	size_t len;
	int r = catalog_get_object(v->catalog, name, out);

	if (r != -ENOENT)
		return r;
	r = vault_get_all(v, name, max, &raw, &len);
	if (r == 0 && raw_hash) {
		r = crypt_sha256(raw, len, hash);
		if (r == 0 && memcmp(hash, raw_hash, sizeof(hash)) != 0)
			r = fail(-EBADMSG,
				 "%s: damaged: not the object that "
				 "was committed",
				 name);
	}
	if (r == 0)
		r = format_read_box(v->keyring, raw, len, type, name, out);
	if (r == 0)
		(void)!catalog_put_object(v->catalog, name, out->data,
					  out->len);
	free(raw);
	return r;
}

/* ---- building a list ---- */

/* What is known of a point that somebody wished to remove. */
struct purge_verdict {
	char point[POINT_ID_HEX + 1];
	bool purged; /* false: it cannot be read */
};

struct build {
	struct vault *vault;
	struct point_list *list;
	size_t cap, dcap;
	char (*commits)[OBJECT_NAME_MAX];
	size_t ncommits, ccap;
	char (*purges)[OBJECT_NAME_MAX];
	size_t npurges, pcap;
	struct purge_verdict *verdicts; /* sorted by point */
	size_t nverdicts, vcap;
};

static int note_damaged(struct build *b, const char *id)
{
	struct point_list *l = b->list;

	if (array_reserve(&l->damaged, &b->dcap, l->ndamaged + 1) < 0)
		return -ENOMEM;
	memset(l->damaged[l->ndamaged], 0, POINT_ID_HEX + 1);
	strncpy(l->damaged[l->ndamaged++], id, POINT_ID_HEX);
	return 0;
}

static int add_point(struct build *b, struct point *p)
{
	struct point_list *l = b->list;

	if (array_reserve(&l->points, &b->cap, l->n + 1) < 0)
		return -ENOMEM;
	l->points[l->n++] = p;
	return 0;
}

/* What must not hide the other points: a damaged object (a flipped bit can
 * make its version a later one, too), or one on a bad sector. */
static bool is_damage(int r)
{
	return r == -EBADMSG || r == -EOPNOTSUPP || r == -EIO;
}

/* ---- purged points ---- */

static int on_purge(void *arg, const char *name,
		    const struct backend_info *info)
{
	struct build *b = arg;

	(void)info;
	if (array_reserve(&b->purges, &b->pcap, b->npurges + 1) < 0)
		return -ENOMEM;
	snprintf(b->purges[b->npurges++], OBJECT_NAME_MAX, "%s", name);
	return 0;
}

static int read_verdict(struct build *b, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct purge_verdict v = { .purged = false };
	bool purged;
	int r;

	if (purge_parse_name(name, v.point) < 0)
		return 0; /* not a name of ours: readers pass it over */
	r = read_object(b->vault, name, OBJECT_PURGE, PURGE_OBJECT_MAX, NULL,
			&plain);
	if (r == 0)
		r = purge_decode(plain.data, plain.len, name, &purged);
	if (r == 0 && !purged)
		return 0;
	if (r < 0 && r != -ENOENT && !is_damage(r))
		return r;
	v.purged = r == 0;
	if (array_reserve(&b->verdicts, &b->vcap, b->nverdicts + 1) < 0)
		return -ENOMEM;
	b->verdicts[b->nverdicts++] = v;
	return 0;
}

/* Of several verdicts on a point the one that says PURGED comes first. */
static int by_point(const void *a, const void *b)
{
	const struct purge_verdict *x = a, *y = b;
	int c = strcmp(x->point, y->point);

	return c ? c : (int)y->purged - (int)x->purged;
}

static int read_verdicts(struct build *b)
{
	size_t i, n = 0;
	int r = backend_list(b->vault->backend, "purge/", on_purge, b);

	for (i = 0; i < b->npurges && r == 0; i++)
		r = read_verdict(b, b->purges[i]);
	if (r < 0 || b->nverdicts == 0)
		return r;
	qsort(b->verdicts, b->nverdicts, sizeof(*b->verdicts), by_point);
	for (i = 1; i < b->nverdicts; i++)
		if (strcmp(b->verdicts[n].point, b->verdicts[i].point) != 0)
			b->verdicts[++n] = b->verdicts[i];
	b->nverdicts = n + 1;
	return 0;
}

static int find_point(const void *key, const void *item)
{
	return strcmp(key, ((const struct purge_verdict *)item)->point);
}

static const struct purge_verdict *verdict_on(const struct build *b,
					      const char *point)
{
	return b->nverdicts ? bsearch(point, b->verdicts, b->nverdicts,
				      sizeof(*b->verdicts), find_point)
			    : NULL;
}

/* ---- points ---- */

/* One commit: its point into the list, or among the damaged. */
static int add_commit(struct build *b, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	const struct purge_verdict *verdict;
	struct point *p = NULL;
	struct commit c;
	char object[OBJECT_NAME_MAX];
	int r;

	r = read_object(b->vault, name, OBJECT_COMMIT, COMMIT_OBJECT_MAX, NULL,
			&plain);
	if (r == 0)
		r = commit_decode(plain.data, plain.len, name, &c);
	/* Of a register that cannot be read the session is all that is known. */
	if (is_damage(r) || r == -ENOENT)
		return note_damaged(b, name + strlen("commit/"));
	if (r < 0 || c.point[0] == '\0')
		return r;
	verdict = verdict_on(b, c.point);
	if (verdict && verdict->purged)
		return 0;
	snprintf(object, sizeof(object), "point/%s", c.point);
	buf_clear(&plain);
	r = read_object(b->vault, object, OBJECT_POINT, POINT_OBJECT_MAX,
			c.hash, &plain);
	/* The commit was made after its point: a point that is missing now was
	 * there. */
	if (r == -ENOENT)
		r = fail(-EBADMSG, "%s: missing, but committed", object);
	if (r == 0)
		r = point_decode(plain.data, plain.len, object, &p);
	if (r == 0 && strcmp(p->id, c.point) != 0)
		r = fail(-EBADMSG, "%s: holds another point", object);
	if (r == 0) {
		p->verdict_unknown = verdict != NULL;
		r = add_point(b, p);
	}
	if (r < 0)
		point_free(p);
	return is_damage(r) ? note_damaged(b, c.point) : r;
}

static int on_commit(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct build *b = arg;

	(void)info;
	if (array_reserve(&b->commits, &b->ccap, b->ncommits + 1) < 0)
		return -ENOMEM;
	snprintf(b->commits[b->ncommits++], OBJECT_NAME_MAX, "%s", name);
	return 0;
}

static int by_place(const void *a, const void *b)
{
	const struct point *x = *(struct point *const *)a;
	const struct point *y = *(struct point *const *)b;
	int c = strcmp(x->vm, y->vm);

	if (c == 0)
		c = x->time_ns < y->time_ns ? -1 : x->time_ns > y->time_ns;
	return c ? c : strcmp(x->id, y->id);
}

/* The end of the points from @i on that have a machine and second in common. */
static size_t second_end(const struct point_list *l, size_t i)
{
	char time[POINT_TIME_LEN], other[POINT_TIME_LEN];
	size_t j = i;

	point_time_name(l->points[i]->time_ns, time);
	do
		if (++j < l->n)
			point_time_name(l->points[j]->time_ns, other);
	while (j < l->n && strcmp(l->points[i]->vm, l->points[j]->vm) == 0 &&
	       strcmp(time, other) == 0);
	return j;
}

/*
 * A point is named by its time. Where two of a machine have one second, none of
 * them is: which of them came first nobody knows for sure, and a name that had
 * led to one of them would lead to another one later.
 */
static int name_points(struct point_list *l)
{
	size_t i, j, end;

	l->names = alloc_array(l->n, sizeof(*l->names));
	if (!l->names)
		return -ENOMEM;
	for (i = 0; i < l->n; i = end) {
		char time[POINT_TIME_LEN];
		int digits = 8;

		point_time_name(l->points[i]->time_ns, time);
		end = second_end(l, i);
		/* They are sorted by their ids. */
		for (j = i + 1; j < end; j++)
			if (strncmp(l->points[j]->id, l->points[j - 1]->id,
				    8) == 0)
				digits = POINT_ID_HEX;
		for (j = i; j < end; j++)
			point_put_name(l->points[j], end - i > 1 ? digits : 0,
				       l->names[j]);
	}
	return 0;
}

/* The same commits give the same list. */
static bool same_points(const struct point_list *a, const struct point_list *b)
{
	size_t i;

	if (!a || a->n != b->n || a->ndamaged != b->ndamaged)
		return false;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->points[i]->id, b->points[i]->id) != 0 ||
		    a->points[i]->verdict_unknown !=
			    b->points[i]->verdict_unknown)
			return false;
	return true;
}

int vault_points(struct vault *v, struct point_list **out)
{
	struct build b = { .vault = v };
	size_t i;
	int r;

	*out = NULL;
	b.list = calloc(1, sizeof(*b.list));
	if (!b.list)
		return -ENOMEM;
	b.list->refs = 1;
	r = backend_list(v->backend, "commit/", on_commit, &b);
	/* Verdicts are listed last: what was purged before is known then, and
	 * its point is not looked for. */
	if (r == 0)
		r = read_verdicts(&b);
	atomic_fetch_add(&v->lists, 1);
	for (i = 0; i < b.ncommits && r == 0; i++)
		r = add_commit(&b, b.commits[i]);
	if (r == 0 && b.list->n)
		qsort(b.list->points, b.list->n, sizeof(*b.list->points),
		      by_place);
	if (r == 0)
		r = name_points(b.list);
	free(b.commits);
	free(b.purges);
	free(b.verdicts);
	if (r < 0) {
		point_list_put(b.list);
		return r;
	}
	/* Whoever still uses the old list keeps it: lists do not change, they are
	 * replaced. */
	pthread_mutex_lock(&v->lock);
	if (same_points(v->points, b.list)) {
		*out = point_list_get(v->points);
	} else {
		struct point_list *old = v->points;

		b.list->generation = old ? old->generation + 1 : 1;
		v->points = b.list;
		b.list = old;
		*out = point_list_get(v->points);
	}
	pthread_mutex_unlock(&v->lock);
	point_list_put(b.list);
	return 0;
}
