/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See sessions.h. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/pool.h"
#include "store/chunk.h"
#include "store/format.h"
#include "store/point.h"
#include "tests/unit/vaults.h"

int sessions_setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	char id[33];

	support_log_capture();
	support_log_clear();
	s->pool = pool_new(2, 8);
	assert_non_null(s->pool);
	s->backend = backend_mem_new();
	s->options = vaults_options(NULL, s->backend, NULL, NULL);
	assert_ok(vault_create(&s->options, 0, id));
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	*state = s;
	return 0;
}

int sessions_teardown(void **state)
{
	struct scene *s = *state;

	writer_free(s->writer);
	pool_free(s->pool);
	vault_close(s->vault);
	backend_close(s->backend);
	free(s);
	return 0;
}

/* Another client, with an empty database, begins to write. */
void sessions_next(struct scene *s)
{
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
}

struct id sessions_put(struct scene *s, uint64_t seed, size_t len)
{
	AUTO_FREE uint8_t *data = malloc(len);
	struct id id;

	assert_non_null(data);
	support_fill(seed, data, len);
	assert_ok(writer_chunk(s->writer, CHUNK_DATA, data, len, &id));
	return id;
}

int sessions_reads(struct scene *s, const struct id *id, uint64_t seed,
		   size_t len)
{
	AUTO_FREE uint8_t *want = malloc(len);
	AUTO_FREE uint8_t *got = malloc(len);
	int r;

	assert_non_null(want);
	assert_non_null(got);
	support_fill(seed, want, len);
	r = chunk_read(s->vault, CHUNK_DATA, id, (uint32_t)len, 0,
		       (uint32_t)len, got);
	if (r == 0)
		assert_memory_equal(got, want, len);
	return r;
}

int sessions_commit(struct scene *s)
{
	struct point *p = point_new();
	int r;

	assert_non_null(p);
	p->vm = strdup("m");
	p->host = strdup("h");
	p->program = strdup("test");
	r = writer_commit(s->writer, p);
	point_free(p);
	return r;
}

size_t sessions_npoints(struct scene *s)
{
	struct point_list *l;
	size_t n;

	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->ndamaged, 0);
	n = l->n;
	point_list_put(l);
	return n;
}

size_t sessions_nobjects(struct scene *s, const char *prefix)
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(s->backend); i++)
		n += strncmp(backend_mem_name(s->backend, i), prefix,
			     strlen(prefix)) == 0;
	return n;
}

const char *sessions_first_object(struct scene *s, const char *prefix)
{
	size_t i;

	for (i = 0; i < backend_mem_nobjects(s->backend); i++) {
		const char *name = backend_mem_name(s->backend, i);

		if (strncmp(name, prefix, strlen(prefix)) == 0)
			return name;
	}
	fail_msg("no object %s", prefix);
	return NULL;
}

void sessions_age(struct scene *s)
{
	struct backend_info info;
	size_t i;

	for (i = 0; i < backend_mem_nobjects(s->backend); i++) {
		const char *name = backend_mem_name(s->backend, i);

		assert_ok(backend_head(s->backend, name, &info));
		assert_ok(backend_mem_set_time(
			s->backend, name,
			info.stored_ns - INT64_C(48) * 3600 * 1000000000));
	}
}

void sessions_put_text(struct scene *s, uint8_t type, const char *name,
		       const char *text)
{
	AUTO_BUF struct buf box = BUF_INIT;

	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), type, name, NULL, 0,
				  text, strlen(text), &box));
	assert_ok(backend_put(s->backend, name, box.data, box.len));
}

void sessions_put_removal(struct scene *s, const char *name)
{
	char wish[OBJECT_NAME_MAX];
	size_t len;

	snprintf(wish, sizeof(wish), "forget/%s", name + strlen("purge/"));
	if (!backend_mem_data(s->backend, wish, &len))
		sessions_put_text(
			s, OBJECT_FORGET, wish,
			"{\"by\":\"x\",\"time_ns\":1,\"until_ns\":1}");
	sessions_put_text(s, OBJECT_PURGE, name, "{\"verdict\":\"PURGED\"}");
}

struct writer_stats sessions_stats(struct scene *s)
{
	struct writer_stats st;

	writer_get_stats(s->writer, &st);
	return st;
}
