/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finding the volumes of points. */
#include "config.h"

#include "fs/volumes_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/disk_blocks.h"
#include "fs/guest/lru.h"
#include "fs/roster.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/base/stop.h"
#include "store/entry.h"
#include "store/point.h"
#include "store/vault.h"

/* How soon a set is found anew that was found while reads failed: later each
 * time, for what is damaged mostly stays so. */
#define RETRY_MIN_NS INT64_C(1000000000)
#define RETRY_MAX_NS INT64_C(60000000000)

struct volumes *volumes_new(struct vault *v, struct roster *r)
{
	struct volumes *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->memory = lru_new(VOLUMES_MEMORY);
	if (!m->memory) {
		free(m);
		return NULL;
	}
	pthread_mutex_init(&m->trying, NULL);
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->done, NULL);
	m->vault = v;
	m->roster = r;
	return m;
}

static void free_keys(struct volumes *m)
{
	while (m->nkeys > 0)
		secret_free(m->keys[--m->nkeys]);
	free(m->keys);
	m->keys = NULL;
}

static void free_set(struct point_volumes *x)
{
	while (x->ndisks > 0)
		blocks_put(x->disks[--x->ndisks]);
	free(x->disks);
	volume_set_free(x->set);
	free(x->serials);
	free(x);
}

void volumes_free(struct volumes *m)
{
	if (!m)
		return;
	volumes_trim(m, true);
	while (m->sets) {
		struct point_volumes *x = m->sets;

		m->sets = x->next;
		free_set(x);
	}
	while (m->nrows > 0) {
		struct row *row = m->rows[--m->nrows];

		free(row->name);
		free(row->why);
		free(row->why_now);
		free(row);
	}
	free(m->rows);
	free_keys(m);
	lru_free(m->memory);
	pthread_cond_destroy(&m->done);
	pthread_mutex_destroy(&m->trying);
	pthread_mutex_destroy(&m->lock);
	free(m);
}

int volumes_set_keys(struct volumes *m, struct secret *const *keys, size_t n)
{
	free_keys(m);
	m->keys = alloc_array(n + 1, sizeof(struct secret *));
	if (!m->keys)
		return -ENOMEM;
	while (m->nkeys < n) {
		const struct secret *from = keys[m->nkeys];
		struct secret *key = secret_new(from->len);

		if (!key)
			return -ENOMEM;
		memcpy(key->data, from->data, from->len);
		m->keys[m->nkeys++] = key;
	}
	return 0;
}

/* ---- finding ---- */

int volumes_error(int r)
{
	switch (r) {
	case -ENOENT:
	case -ENOMEM:
	case -ESTALE:
		return r;
	default:
		return r < 0 ? -EIO : r;
	}
}

uint64_t point_volumes_failures(const struct point_volumes *x)
{
	uint64_t n = 0;
	size_t i;

	for (i = 0; i < x->ndisks; i++)
		n += disk_blocks_failures(x->disks[i]);
	return n;
}

int64_t volumes_now_ns(const struct volumes *m)
{
	struct seam *seam = vault_seam(m->vault);

	return seam->ops->realtime_ns(seam);
}

static int64_t monotonic_ns(const struct volumes *m)
{
	struct seam *seam = vault_seam(m->vault);

	return seam->ops->monotonic_ns(seam);
}

static int find_in(struct volumes *m, const struct point *p,
		   struct point_volumes *x)
{
	struct luks_keys keys = { (const struct secret *const *)m->keys,
				  m->nkeys, &m->trying };
	struct discover_disk *disks =
		alloc_array(p->ndisks + 1, sizeof(*disks));
	size_t i;
	int r = 0;

	x->disks = alloc_array(p->ndisks + 1, sizeof(*x->disks));
	if (!disks || !x->disks)
		r = -ENOMEM;
	for (i = 0; i < p->ndisks && r == 0; i++) {
		r = disk_blocks_new(m->vault, &p->disks[i], &x->disks[i]);
		if (r < 0)
			break;
		x->ndisks++;
		disks[i].name = p->disks[i].name;
		disks[i].sector = p->disks[i].sector;
		disks[i].blocks = x->disks[i];
	}
	if (r == 0)
		r = discover_volumes(disks, p->ndisks, &keys, &x->set);
	free(disks);
	return r;
}

/* What is found serves all who look, so the end of one request, who happens to
 * be the first, does not end it. The bounds of discover.c do. */
static int load(struct volumes *m, struct point_volumes *x)
{
	STOP_SHIELD;
	const struct point *p;
	struct point_list *l;
	int r = roster_hold(m->roster, x->point, &l, &p);

	if (r < 0)
		return r;
	r = find_in(m, p, x);
	point_list_put(l);
	x->sure = point_volumes_failures(x) == 0;
	x->found_ns = monotonic_ns(m);
	return r < 0 ? r : volumes_number(m, x);
}

/* With the lock held, as below: take @x out of the list. */
static void unlist(struct volumes *m, struct point_volumes *x)
{
	struct point_volumes **at = &m->sets;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
	x->listed = false;
	m->nsets--;
}

/* What is over the bound, to be freed without the lock; NULL: nothing. */
static struct point_volumes *take_oldest(struct volumes *m)
{
	struct point_volumes *x, *oldest = NULL;

	if (m->nsets <= VOLUMES_SETS_MAX)
		return NULL;
	for (x = m->sets; x; x = x->next)
		if (x->refs == 0 && (!oldest || x->used < oldest->used))
			oldest = x;
	if (oldest)
		unlist(m, oldest);
	return oldest;
}

static struct point_volumes *find_set(struct volumes *m, uint32_t point)
{
	struct point_volumes *x;

	for (x = m->sets; x; x = x->next)
		if (x->point == point)
			break;
	return x;
}

/* A set for this thread to load. */
static struct point_volumes *add_set(struct volumes *m, uint32_t point)
{
	struct point_volumes *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->volumes = m;
	x->point = point;
	x->loading = true;
	x->listed = true;
	x->next = m->sets;
	m->sets = x;
	m->nsets++;
	return x;
}

/* Was it found while reads failed, some time ago? */
static bool is_due(const struct volumes *m, const struct point_volumes *x)
{
	return !x->loading && !x->sure &&
	       monotonic_ns(m) - x->found_ns >= x->retry_ns;
}

/* Take hold of the point's set. *mine_out: this thread has to load it.
 * *old_out: a set that nobody holds any more, to be freed. */
static struct point_volumes *hold_set(struct volumes *m, uint32_t point,
				      bool *mine_out,
				      struct point_volumes **old_out)
{
	int64_t retry_ns = RETRY_MIN_NS;
	struct point_volumes *x;

	SCOPED_LOCK(&m->lock);
	x = find_set(m, point);
	if (x && is_due(m, x)) {
		retry_ns = MIN(2 * x->retry_ns, RETRY_MAX_NS);
		unlist(m, x);
		*old_out = x->refs == 0 ? x : NULL;
		x = NULL;
	}
	*mine_out = !x;
	if (!x) {
		x = add_set(m, point);
		if (!x)
			return NULL;
		x->retry_ns = retry_ns;
	}
	x->refs++;
	x->used = ++m->clock;
	while (!*mine_out && x->loading)
		pthread_cond_wait(&m->done, &m->lock);
	return x;
}

static void loaded(struct volumes *m, struct point_volumes *x, int r)
{
	SCOPED_LOCK(&m->lock);
	x->error = volumes_error(r);
	x->loading = false;
	if (r < 0)
		unlist(m, x); /* whoever comes next tries again */
	pthread_cond_broadcast(&m->done);
}

int volumes_get(struct volumes *m, uint32_t point, struct point_volumes **out)
{
	struct point_volumes *x, *old = NULL;
	bool mine;
	int r;

	*out = NULL;
	x = hold_set(m, point, &mine, &old);
	if (old)
		free_set(old);
	if (!x)
		return -ENOMEM;
	if (mine)
		loaded(m, x, load(m, x));
	r = x->error;
	if (r < 0)
		point_volumes_put(x);
	else
		*out = x;
	return r;
}

void point_volumes_put(struct point_volumes *x)
{
	struct point_volumes *old = NULL;
	struct volumes *m;

	if (!x)
		return;
	m = x->volumes;
	pthread_mutex_lock(&m->lock);
	x->refs--;
	if (!x->listed && x->refs == 0)
		old = x;
	else
		old = take_oldest(m);
	pthread_mutex_unlock(&m->lock);
	if (old)
		free_set(old);
}

void point_volumes_put_ptr(struct point_volumes **x)
{
	point_volumes_put(*x);
}

size_t point_volumes_count(const struct point_volumes *x)
{
	return x->set->n;
}

const char *point_volumes_name(const struct point_volumes *x, size_t i,
			       uint32_t *serial)
{
	*serial = x->serials[i];
	return x->set->volumes[i].name;
}

bool point_volumes_whole(const struct point_volumes *x)
{
	return !x->set->cut;
}

int point_volumes_find(const struct point_volumes *x, const char *name,
		       uint32_t *serial)
{
	size_t i;

	for (i = 0; i < x->set->n; i++)
		if (x->serials[i] > 0 &&
		    strcmp(x->set->volumes[i].name, name) == 0) {
			*serial = x->serials[i];
			return 0;
		}
	return x->sure && !x->set->cut ? -ENOENT : -EIO;
}

/* ---- by serial ---- */

int volumes_blocks(struct volumes *m, uint32_t serial, struct blocks **out)
{
	AUTO_POINT_VOLUMES struct point_volumes *x = NULL;
	const char *name;
	uint32_t point;
	size_t i;
	int r = volumes_volume(m, serial, &point, &name);

	if (r == 0)
		r = volumes_get(m, point, &x);
	if (r < 0)
		return r;
	for (i = 0; i < x->set->n; i++)
		if (x->serials[i] == serial) {
			*out = blocks_get(x->set->volumes[i].blocks);
			return 0;
		}
	return x->sure ? -ESTALE : -EIO;
}
