/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The operations of the backend in memory. */
#include "config.h"

#include "store/backend/mem_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/internal.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"

#define PAGE_NAMES 1000 /* as many as S3 lists at once */

static int mem_put(struct backend *b, const struct backend_call *c,
		   const char *name, const void *data, size_t len)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	struct mem_object *o;
	int r = mem_enter(m, c, BACKEND_MEM_PUT, name, &flags);
	int done = 0;

	if (flags & BACKEND_MEM_LIES)
		return 0;
	if (r < 0 && !(flags & BACKEND_MEM_LOST_REPLY))
		return mem_broken(m, r, "store", name);
	o = mem_object_new(name, data, len);
	if (!o)
		return -ENOMEM;
	{
		SCOPED_LOCK(&m->lock);
		if (mem_find(m, name)) {
			mem_object_free(o);
			done = -EEXIST;
		} else {
			done = mem_insert(m, o);
		}
		if (done == 0)
			mem_counts_of(m, name)->bytes_put += len;
	}
	return r < 0 ? mem_broken(m, r, "store", name) : done;
}

static int mem_replace(struct backend *b, const struct backend_call *c,
		       const char *name, const void *data, size_t len)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	int r = mem_enter(m, c, BACKEND_MEM_PUT, name, &flags);

	if (r < 0)
		return mem_broken(m, r, "replace", name);
	return backend_mem_set(b, name, data, len);
}

static int mem_get(struct backend *b, const struct backend_call *c,
		   const char *name, uint64_t off, void *data, size_t len)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	struct mem_object *o;
	uint64_t size;
	int r = mem_enter(m, c, BACKEND_MEM_GET, name, &flags);

	if (r < 0)
		return mem_broken(m, r, "read", name);
	{
		SCOPED_LOCK(&m->lock);
		o = mem_find(m, name);
		if (!o)
			return -ENOENT;
		size = o->len;
		if (off <= size && len <= size - off) {
			if (len)
				memcpy(data, o->data + off, len);
			mem_counts_of(m, name)->bytes_got += len;
			return 0;
		}
	}
	return fail(-EBADMSG,
		    "vault %s: object %s ends at byte %" PRIu64
		    " where %" PRIu64 " are needed: it was truncated",
		    b->url, name, size, off + len);
}

static int mem_head(struct backend *b, const struct backend_call *c,
		    const char *name, struct backend_info *info_out)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	struct mem_object *o;
	int r = mem_enter(m, c, BACKEND_MEM_HEAD, name, &flags);

	if (r < 0)
		return mem_broken(m, r, "look at", name);
	SCOPED_LOCK(&m->lock);
	o = mem_find(m, name);
	if (!o)
		return -ENOENT;
	*info_out = mem_object_info(o);
	return 0;
}

static int mem_get_all(struct backend *b, const struct backend_call *c,
		       const char *name, size_t max, uint8_t **out,
		       size_t *len_out)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	struct mem_object *o;
	size_t len;
	int r = mem_enter(m, c, BACKEND_MEM_GET, name, &flags);

	if (r < 0)
		return mem_broken(m, r, "read", name);
	{
		SCOPED_LOCK(&m->lock);
		o = mem_find(m, name);
		if (!o)
			return -ENOENT;
		len = o->len;
		if (len <= max) {
			*out = malloc(len ? len : 1);
			if (!*out)
				return -ENOMEM;
			if (len)
				memcpy(*out, o->data, len);
			*len_out = len;
			mem_counts_of(m, name)->bytes_got += len;
			return 0;
		}
	}
	return -EFBIG;
}

/*
 * What is left of a listing behind a page is fetched in two halves, at once
 * where there are threads for it. A token names the objects that its part lies
 * between: "AFTER UNTIL", and no UNTIL for the last.
 */
static int leave_rest(const struct backend_mem *m, size_t i, size_t end,
		      const char *until, struct backend_page *page)
{
	size_t middle = i + (end - i) / 2;
	char token[2 * (BACKEND_NAME_MAX + 1)];
	int r = 0;

	if (m->base.list_threads > 1 && middle > i) {
		snprintf(token, sizeof(token), "%s %s", m->objects[i - 1]->name,
			 m->objects[middle - 1]->name);
		r = backend_page_more(page, token);
		i = middle;
	}
	snprintf(token, sizeof(token), "%s %s", m->objects[i - 1]->name, until);
	return r == 0 ? backend_page_more(page, token) : r;
}

static size_t find_end(const struct backend_mem *m, const char *prefix,
		       const char *until, size_t i)
{
	size_t len = strlen(prefix);

	while (i < m->n && strncmp(m->objects[i]->name, prefix, len) == 0 &&
	       (!*until || strcmp(m->objects[i]->name, until) <= 0))
		i++;
	return i;
}

static int fill_page(const struct backend_mem *m, const char *prefix,
		     const char *token, struct backend_page *page)
{
	char after[BACKEND_NAME_MAX + 1] = "";
	const char *until = "";
	size_t i, end;
	int r = 0;

	if (token) {
		until = strchr(token, ' ') + 1;
		snprintf(after, sizeof(after), "%.*s", (int)(until - 1 - token),
			 token);
	}
	i = mem_lower_bound(m, token ? after : prefix);
	if (token && i < m->n && strcmp(m->objects[i]->name, after) == 0)
		i++;
	end = find_end(m, prefix, until, i);
	for (; r == 0 && i < end; i++) {
		const struct mem_object *o = m->objects[i];
		struct backend_info info = mem_object_info(o);

		if (page->n == m->weather.page_names)
			return leave_rest(m, i, end, until, page);
		r = backend_page_add(page, o->name, &info);
	}
	return r;
}

static int mem_list(struct backend *b, const struct backend_call *c,
		    const char *prefix, const char *token,
		    struct backend_page *page)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	int r = mem_enter(m, c, BACKEND_MEM_LIST, prefix, &flags);

	if (r < 0)
		return mem_broken(m, r, "list", prefix);
	SCOPED_LOCK(&m->lock);
	r = fill_page(m, prefix, token, page);
	if (r == 0)
		mem_shuffle(m, page);
	return r;
}

static int mem_sync(struct backend *b, const struct backend_call *c,
		    const char *name)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	int r = mem_enter(m, c, BACKEND_MEM_SYNC, name, &flags);

	if (r < 0)
		return mem_broken(m, r, "sync", name);
	SCOPED_LOCK(&m->lock);
	return mem_find(m, name) ? 0 : -ENOENT;
}

static int mem_delete(struct backend *b, const struct backend_call *c,
		      const char *name)
{
	struct backend_mem *m = mem_of(b);
	unsigned int flags;
	int r = mem_enter(m, c, BACKEND_MEM_DELETE, name, &flags);
	int done;

	if (r < 0 && !(flags & BACKEND_MEM_LOST_REPLY))
		return mem_broken(m, r, "delete", name);
	done = backend_mem_remove(b, name);
	return r < 0 ? mem_broken(m, r, "delete", name) : done;
}

static int mem_probe(struct backend *b)
{
	return backend_probe_all(b, b);
}

static bool mem_may_lag(struct backend *b, char why[BACKEND_LAG_MAX])
{
	snprintf(why, BACKEND_LAG_MAX, "a test says so");
	return mem_of(b)->may_lag;
}

void backend_mem_set_lag(struct backend *b, bool may_lag)
{
	mem_of(b)->may_lag = may_lag;
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
		mem_object_free(m->objects[i]);
	free(m->objects);
	pthread_cond_destroy(&m->released);
	pthread_mutex_destroy(&m->lock);
	backend_release(b);
	free(m);
}

static const struct backend_ops mem_ops = {
	.may_lag = mem_may_lag,
	.put = mem_put,
	.replace = mem_replace,
	.get = mem_get,
	.get_all = mem_get_all,
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
	/* Tests have no time to wait. */
	static const struct backend_options patience = { .timeout_ns =
								 300000000,
							 .pause_ns = 100000 };
	struct backend_mem *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->released, NULL);
	m->weather.page_names = PAGE_NAMES;
	if (backend_init(&m->base, &mem_ops, "memory", &patience) == 0)
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
