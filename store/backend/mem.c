/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects are kept in a sorted array of pointers; their bytes never move while
 * they live, so that a test may hold on to them.
 */
#include "config.h"

#include "store/backend/mem.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/internal.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"

#define FAULTS 16
#define KINDS 16

struct object {
	char *name; /* owned */
	uint8_t *data; /* owned */
	size_t len;
};

struct fault {
	enum backend_mem_op op;
	char prefix[BACKEND_NAME_MAX + 1];
	unsigned int left; /* calls until it happens; 0: none is set here */
	int err;
	unsigned int flags;
};

struct kind {
	char name[BACKEND_NAME_MAX + 1];
	struct backend_mem_counts counts;
};

struct backend_mem {
	struct backend base;
	backend_mem_watch_fn *watch;
	void *watch_arg; /* borrowed */
	pthread_mutex_t lock; /* protects all below */
	struct object **objects; /* owned, and so is each; sorted by name */
	size_t n, cap;
	struct fault faults[FAULTS];
	unsigned int failures;
	struct kind kinds[KINDS];
	size_t nkinds; /* names that find no room count in the last one */
};

static struct backend_mem *mem_of(struct backend *b)
{
	return container_of(b, struct backend_mem, base);
}

/* ---- objects; the caller holds the lock ---- */

static void object_free(struct object *o)
{
	if (!o)
		return;
	free(o->name);
	free(o->data);
	free(o);
}

static struct object *object_new(const char *name, const void *data, size_t len)
{
	struct object *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->name = strdup(name);
	o->data = malloc(len ? len : 1);
	if (!o->name || !o->data) {
		object_free(o);
		return NULL;
	}
	if (len)
		memcpy(o->data, data, len);
	o->len = len;
	return o;
}

/* The index of the first object whose name is not before @name. */
static size_t lower_bound(const struct backend_mem *m, const char *name)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (strcmp(m->objects[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct object *find(const struct backend_mem *m, const char *name)
{
	size_t i = lower_bound(m, name);

	return i < m->n && strcmp(m->objects[i]->name, name) == 0
		       ? m->objects[i]
		       : NULL;
}

/* Takes over @o, whose name must be new; on no memory it frees it. */
static int insert(struct backend_mem *m, struct object *o)
{
	size_t i;

	if (array_reserve(&m->objects, &m->cap, m->n + 1) < 0) {
		object_free(o);
		return -ENOMEM;
	}
	i = lower_bound(m, o->name);
	memmove(&m->objects[i + 1], &m->objects[i],
		(m->n - i) * sizeof(*m->objects));
	m->objects[i] = o;
	m->n++;
	return 0;
}

static struct object *take(struct backend_mem *m, const char *name)
{
	size_t i = lower_bound(m, name);
	struct object *o = find(m, name);

	if (!o)
		return NULL;
	m->n--;
	memmove(&m->objects[i], &m->objects[i + 1],
		(m->n - i) * sizeof(*m->objects));
	return o;
}

/* ---- counts and faults ---- */

/* The caller holds the lock. */
static struct backend_mem_counts *counts_of(struct backend_mem *m,
					    const char *name)
{
	size_t len = strcspn(name, "/");
	size_t i;

	for (i = 0; i < m->nkinds; i++)
		if (strlen(m->kinds[i].name) == len &&
		    memcmp(m->kinds[i].name, name, len) == 0)
			return &m->kinds[i].counts;
	if (m->nkinds == KINDS)
		return &m->kinds[KINDS - 1].counts;
	snprintf(m->kinds[i].name, sizeof(m->kinds[i].name), "%.*s", (int)len,
		 name);
	m->nkinds++;
	return &m->kinds[i].counts;
}

/*
 * What every operation begins with: the watcher, the count, the faults.
 * Return 0, or how it is to fail and with what flags.
 */
static int enter(struct backend_mem *m, enum backend_mem_op op,
		 const char *name, unsigned int *flags_out)
{
	int r = m->watch ? m->watch(m->watch_arg, op, name) : 0;
	size_t i;

	*flags_out = 0;
	SCOPED_LOCK(&m->lock);
	counts_of(m, name)->calls[op]++;
	for (i = 0; r == 0 && i < FAULTS; i++) {
		struct fault *f = &m->faults[i];

		if (f->left == 0 || f->op != op ||
		    strncmp(name, f->prefix, strlen(f->prefix)) != 0)
			continue;
		if (f->left > 1) {
			f->left--;
			continue;
		}
		if (!(f->flags & BACKEND_MEM_STICKY))
			f->left = 0;
		*flags_out = f->flags;
		m->failures++;
		r = f->err;
	}
	return r;
}

static int broken(const struct backend_mem *m, int err, const char *what,
		  const char *name)
{
	if (err == -EEXIST || err == -ENOENT)
		return err;
	return fail(err, "vault %s: cannot %s %s: %s", m->base.url, what, name,
		    strerror(-err));
}

void backend_mem_fail(struct backend *b, enum backend_mem_op op,
		      const char *prefix, unsigned int nth, int err,
		      unsigned int flags)
{
	struct backend_mem *m = mem_of(b);
	size_t i;

	assert(nth > 0 && err <= 0);
	SCOPED_LOCK(&m->lock);
	for (i = 0; i < FAULTS && m->faults[i].left; i++)
		;
	assert(i < FAULTS);
	m->faults[i].op = op;
	snprintf(m->faults[i].prefix, sizeof(m->faults[i].prefix), "%s",
		 prefix);
	m->faults[i].left = nth;
	m->faults[i].err = err;
	m->faults[i].flags = flags;
}

void backend_mem_heal(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	memset(m->faults, 0, sizeof(m->faults));
}

unsigned int backend_mem_failures(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	return m->failures;
}

void backend_mem_watch(struct backend *b, backend_mem_watch_fn *fn, void *arg)
{
	struct backend_mem *m = mem_of(b);

	m->watch = fn;
	m->watch_arg = arg;
}

void backend_mem_get_counts(struct backend *b, const char *kind,
			    struct backend_mem_counts *out)
{
	struct backend_mem *m = mem_of(b);
	size_t i, op;

	memset(out, 0, sizeof(*out));
	SCOPED_LOCK(&m->lock);
	for (i = 0; i < m->nkinds; i++) {
		const struct backend_mem_counts *c = &m->kinds[i].counts;

		if (kind && strcmp(kind, m->kinds[i].name) != 0)
			continue;
		for (op = 0; op < BACKEND_MEM_OPS; op++)
			out->calls[op] += c->calls[op];
		out->bytes_put += c->bytes_put;
		out->bytes_got += c->bytes_got;
	}
}

void backend_mem_reset_counts(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	memset(m->kinds, 0, sizeof(m->kinds));
	m->nkinds = 0;
}

/* ---- the operations ---- */

static int mem_put(struct backend *b, const char *name, const void *data,
		   size_t len)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	struct object *o;
	int r = enter(m, BACKEND_MEM_PUT, name, &flags);
	int done = 0;

	if (flags & BACKEND_MEM_LIES)
		return 0;
	if (r < 0 && !(flags & BACKEND_MEM_LOST_REPLY))
		return broken(m, r, "store", name);
	o = object_new(name, data, len);
	if (!o)
		return -ENOMEM;
	{
		SCOPED_LOCK(&m->lock);
		if (find(m, name)) {
			object_free(o);
			done = -EEXIST;
		} else {
			done = insert(m, o);
		}
		if (done == 0)
			counts_of(m, name)->bytes_put += len;
	}
	return r < 0 ? broken(m, r, "store", name) : done;
}

static int mem_get(struct backend *b, const char *name, uint64_t off,
		   void *data, size_t len)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	struct object *o;
	uint64_t size;
	int r = enter(m, BACKEND_MEM_GET, name, &flags);

	if (r < 0)
		return broken(m, r, "read", name);
	{
		SCOPED_LOCK(&m->lock);
		o = find(m, name);
		if (!o)
			return -ENOENT;
		size = o->len;
		if (off <= size && len <= size - off) {
			if (len)
				memcpy(data, o->data + off, len);
			counts_of(m, name)->bytes_got += len;
			return 0;
		}
	}
	return fail(-EBADMSG,
		    "vault %s: object %s ends at byte %" PRIu64
		    " where %" PRIu64 " are needed: it was truncated",
		    b->url, name, size, off + len);
}

static int mem_head(struct backend *b, const char *name, uint64_t *size_out)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	struct object *o;
	int r = enter(m, BACKEND_MEM_HEAD, name, &flags);

	if (r < 0)
		return broken(m, r, "look at", name);
	SCOPED_LOCK(&m->lock);
	o = find(m, name);
	if (!o)
		return -ENOENT;
	*size_out = o->len;
	return 0;
}

/* @fn may use the backend: the list is copied before. */
static int mem_list(struct backend *b, const char *prefix, backend_list_fn *fn,
		    void *arg)
{
	struct backend_mem *m = mem_of(b);
	struct found {
		char name[BACKEND_NAME_MAX + 1];
		uint64_t size;
	};
	AUTO_FREE struct found *found = NULL;
	size_t len = strlen(prefix);
	size_t i, n = 0;
	unsigned int flags;
	int r = enter(m, BACKEND_MEM_LIST, prefix, &flags);

	if (r < 0)
		return broken(m, r, "list", prefix);
	{
		SCOPED_LOCK(&m->lock);
		found = alloc_array(m->n + 1, sizeof(*found));
		if (!found)
			return -ENOMEM;
		for (i = lower_bound(m, prefix); i < m->n; i++) {
			const struct object *o = m->objects[i];

			if (strncmp(o->name, prefix, len) != 0)
				break;
			snprintf(found[n].name, sizeof(found[n].name), "%s",
				 o->name);
			found[n++].size = o->len;
		}
	}
	for (i = 0; r == 0 && i < n; i++)
		r = fn(arg, found[i].name, found[i].size);
	return r;
}

static int mem_sync(struct backend *b, const char *name)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	int r = enter(m, BACKEND_MEM_SYNC, name, &flags);

	if (r < 0)
		return broken(m, r, "sync", name);
	SCOPED_LOCK(&m->lock);
	return find(m, name) ? 0 : -ENOENT;
}

static int mem_delete(struct backend *b, const char *name)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	int r = enter(m, BACKEND_MEM_DELETE, name, &flags);
	int done;

	if (r < 0 && !(flags & BACKEND_MEM_LOST_REPLY))
		return broken(m, r, "delete", name);
	done = backend_mem_remove(b, name);
	return r < 0 ? broken(m, r, "delete", name) : done;
}

static int mem_probe(struct backend *b)
{
	return backend_probe_all(b, seam_system());
}

static int mem_create(struct backend *b)
{
	return backend_mem_nobjects(b) > 0 ? -EEXIST : 0;
}

static void mem_close(struct backend *b)
{
	struct backend_mem *m = mem_of(b);
	size_t i;

	for (i = 0; i < m->n; i++)
		object_free(m->objects[i]);
	free(m->objects);
	pthread_mutex_destroy(&m->lock);
	free(b->url);
	free(m);
}

static const struct backend_ops mem_ops = {
	.put = mem_put,
	.get = mem_get,
	.head = mem_head,
	.list = mem_list,
	.sync = mem_sync,
	.delete = mem_delete,
	.probe = mem_probe,
	.create = mem_create,
	.close = mem_close,
};

struct backend *backend_mem_new(void)
{
	struct backend_mem *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->base.ops = &mem_ops;
	m->base.url = strdup("memory");
	pthread_mutex_init(&m->lock, NULL);
	if (m->base.url)
		return &m->base;
	mem_close(&m->base);
	return NULL;
}

struct backend *backend_mem_clone(struct backend *b)
{
	struct backend_mem *m = mem_of(b);
	struct backend *out = backend_mem_new();
	size_t i;
	int r = 0;

	if (!out)
		return NULL;
	{
		SCOPED_LOCK(&m->lock);
		for (i = 0; r == 0 && i < m->n; i++)
			r = backend_mem_set(out, m->objects[i]->name,
					    m->objects[i]->data,
					    m->objects[i]->len);
	}
	if (r < 0) {
		mem_close(out);
		return NULL;
	}
	return out;
}

/* ---- behind everybody's back ---- */

size_t backend_mem_nobjects(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	return m->n;
}

const char *backend_mem_name(struct backend *b, size_t i)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	return i < m->n ? m->objects[i]->name : NULL;
}

uint8_t *backend_mem_data(struct backend *b, const char *name, size_t *len_out)
{
	struct backend_mem *m = mem_of(b);
	struct object *o;

	SCOPED_LOCK(&m->lock);
	o = find(m, name);
	if (!o)
		return NULL;
	*len_out = o->len;
	return o->data;
}

int backend_mem_set(struct backend *b, const char *name, const void *data,
		    size_t len)
{
	struct backend_mem *m = mem_of(b);
	struct object *o = object_new(name, data, len);

	if (!o)
		return -ENOMEM;
	SCOPED_LOCK(&m->lock);
	object_free(take(m, name));
	return insert(m, o);
}

int backend_mem_resize(struct backend *b, const char *name, size_t len)
{
	struct backend_mem *m = mem_of(b);
	struct object *o;
	uint8_t *data;

	SCOPED_LOCK(&m->lock);
	o = find(m, name);
	if (!o)
		return -ENOENT;
	data = realloc(o->data, len ? len : 1);
	if (!data)
		return -ENOMEM;
	if (len > o->len)
		memset(data + o->len, 0, len - o->len);
	o->data = data;
	o->len = len;
	return 0;
}

int backend_mem_rename(struct backend *b, const char *from, const char *to)
{
	struct backend_mem *m = mem_of(b);
	char *name = strdup(to);
	struct object *o;

	if (!name)
		return -ENOMEM;
	SCOPED_LOCK(&m->lock);
	o = find(m, to) ? NULL : take(m, from);
	if (!o) {
		free(name);
		return find(m, to) ? -EEXIST : -ENOENT;
	}
	free(o->name);
	o->name = name;
	return insert(m, o);
}

int backend_mem_remove(struct backend *b, const char *name)
{
	struct backend_mem *m = mem_of(b);
	struct object *o;

	SCOPED_LOCK(&m->lock);
	o = take(m, name);
	if (!o)
		return -ENOENT;
	object_free(o);
	return 0;
}
