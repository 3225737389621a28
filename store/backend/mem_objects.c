/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects are kept in a sorted array of pointers; their bytes never move while
 * they live, so that a test may hold on to them.
 */
#include "config.h"

#include "store/backend/mem_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/seam.h"

void mem_object_free(struct mem_object *o)
{
	if (!o)
		return;
	free(o->name);
	free(o->data);
	free(o);
}

struct backend_info mem_object_info(const struct mem_object *o)
{
	return (struct backend_info){ .size = o->len,
				      .stored_ns = o->stored_ns };
}

struct mem_object *mem_object_new(const char *name, const void *data,
				  size_t len)
{
	struct mem_object *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->name = strdup(name);
	o->data = malloc(len ? len : 1);
	if (!o->name || !o->data) {
		mem_object_free(o);
		return NULL;
	}
	if (len)
		memcpy(o->data, data, len);
	o->len = len;
	o->stored_ns = seam_system()->ops->realtime_ns(seam_system());
	return o;
}

size_t mem_lower_bound(const struct backend_mem *m, const char *name)
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

struct mem_object *mem_find(const struct backend_mem *m, const char *name)
{
	size_t i = mem_lower_bound(m, name);

	return i < m->n && strcmp(m->objects[i]->name, name) == 0
		       ? m->objects[i]
		       : NULL;
}

int mem_insert(struct backend_mem *m, struct mem_object *o)
{
	size_t i;

	if (array_reserve(&m->objects, &m->cap, m->n + 1) < 0) {
		mem_object_free(o);
		return -ENOMEM;
	}
	i = mem_lower_bound(m, o->name);
	memmove(&m->objects[i + 1], &m->objects[i],
		(m->n - i) * sizeof(*m->objects));
	m->objects[i] = o;
	m->n++;
	return 0;
}

struct mem_object *mem_take(struct backend_mem *m, const char *name)
{
	size_t i = mem_lower_bound(m, name);
	struct mem_object *o = mem_find(m, name);

	if (!o)
		return NULL;
	m->n--;
	memmove(&m->objects[i], &m->objects[i + 1],
		(m->n - i) * sizeof(*m->objects));
	return o;
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
	struct mem_object *o;

	SCOPED_LOCK(&m->lock);
	o = mem_find(m, name);
	if (!o)
		return NULL;
	*len_out = o->len;
	return o->data;
}

int backend_mem_set(struct backend *b, const char *name, const void *data,
		    size_t len)
{
	struct backend_mem *m = mem_of(b);
	struct mem_object *o = mem_object_new(name, data, len);

	if (!o)
		return -ENOMEM;
	SCOPED_LOCK(&m->lock);
	mem_object_free(mem_take(m, name));
	return mem_insert(m, o);
}

int backend_mem_set_time(struct backend *b, const char *name, int64_t stored_ns)
{
	struct backend_mem *m = mem_of(b);
	struct mem_object *o;

	SCOPED_LOCK(&m->lock);
	o = mem_find(m, name);
	if (!o)
		return -ENOENT;
	o->stored_ns = stored_ns;
	return 0;
}

int backend_mem_resize(struct backend *b, const char *name, size_t len)
{
	struct backend_mem *m = mem_of(b);
	struct mem_object *o;
	uint8_t *data;

	SCOPED_LOCK(&m->lock);
	o = mem_find(m, name);
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
	struct mem_object *o;

	if (!name)
		return -ENOMEM;
	SCOPED_LOCK(&m->lock);
	o = mem_find(m, to) ? NULL : mem_take(m, from);
	if (!o) {
		free(name);
		return mem_find(m, to) ? -EEXIST : -ENOENT;
	}
	free(o->name);
	o->name = name;
	return mem_insert(m, o);
}

int backend_mem_remove(struct backend *b, const char *name)
{
	struct backend_mem *m = mem_of(b);
	struct mem_object *o;

	SCOPED_LOCK(&m->lock);
	o = mem_take(m, name);
	if (!o)
		return -ENOENT;
	mem_object_free(o);
	return 0;
}
