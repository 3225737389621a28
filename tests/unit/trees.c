/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/trees.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"
#include "tests/unit/vaults.h"

/* ---- the oracle ---- */

int items_compare(const void *a, const void *b)
{
	const struct item *x = a, *y = b;

	return tree_compare(x->key, x->key_len, item_name(x), x->name_len,
			    y->key, y->key_len, item_name(y), y->name_len);
}

void items_add(struct items *s, const uint8_t *key, size_t key_len,
	       const void *name, size_t name_len, uint32_t value)
{
	struct item *i;

	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 256;
		s->list = reallocarray(s->list, s->cap, sizeof(*s->list));
		assert_non_null(s->list);
	}
	i = &s->list[s->n++];
	i->key = malloc(key_len + name_len + 1);
	assert_non_null(i->key);
	memcpy(i->key + key_len, name, name_len);
	if (key_len)
		memcpy(i->key, key, key_len);
	i->key_len = (uint16_t)key_len;
	i->name_len = (uint16_t)name_len;
	i->value = value;
}

void items_sort(struct items *s)
{
	size_t i, n = 0;

	if (s->n)
		qsort(s->list, s->n, sizeof(*s->list), items_compare);
	for (i = 0; i < s->n; i++) {
		if (n && items_compare(&s->list[n - 1], &s->list[i]) == 0)
			free(s->list[i].key);
		else
			s->list[n++] = s->list[i];
	}
	s->n = n;
}

void items_copy(struct items *to, const struct items *from)
{
	size_t i;

	memset(to, 0, sizeof(*to));
	for (i = 0; i < from->n; i++) {
		const struct item *x = &from->list[i];

		items_add(to, x->key, x->key_len, item_name(x), x->name_len,
			  x->value);
	}
}

void items_remove(struct items *s, size_t i)
{
	free(s->list[i].key);
	memmove(&s->list[i], &s->list[i + 1],
		(s->n - i - 1) * sizeof(*s->list));
	s->n--;
}

void items_release(struct items *s)
{
	while (s->n > 0)
		free(s->list[--s->n].key);
	free(s->list);
	memset(s, 0, sizeof(*s));
}

static uint64_t rng;

uint32_t trees_dice(uint32_t sides)
{
	rng = rng * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (uint32_t)(rng >> 33) % sides;
}

size_t trees_random_name(uint8_t *out)
{
	static const uint8_t hard[] = { 1, 2, 3, ' ', '.', 'a', 'b', 0xff };
	size_t n = trees_dice(50) ? 1 + trees_dice(8) : 1 + trees_dice(255), i;

	for (i = 0; i < n; i++) {
		out[i] = trees_dice(3) ? hard[trees_dice(sizeof(hard))]
				       : (uint8_t)(1 + trees_dice(255));
		if (out[i] == '/')
			out[i] = '0';
	}
	if (!entry_name_ok(out, n))
		out[0] = 'x';
	return n;
}

void items_random(struct items *s, size_t n, uint64_t seed)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	uint8_t name[256];

	rng = seed;
	memset(s, 0, sizeof(*s));
	items_add(s, NULL, 0, "", 0, 0);
	while (s->n < n) {
		size_t len = trees_random_name(name);

		items_add(s, dir.data, dir.len, name, len, trees_dice(1000000));
		/* Down, up, or on. */
		if (trees_dice(12) == 0 && dir.len < 2000)
			tree_key_push(&dir, name, len);
		else if (trees_dice(10) == 0)
			tree_key_pop(&dir);
	}
	items_sort(s);
}

struct entry items_entry(const struct item *i)
{
	return (struct entry){
		.name = item_name(i),
		.name_len = i->name_len,
		.mode = S_IFDIR | 0755,
		.nlink = 1,
		.mtime.sec = i->value,
		.ino = 7,
	};
}

/* ---- a vault to build in ---- */

int trees_setup(void **state)
{
	struct trees *s = calloc(1, sizeof(*s));
	char id[33];

	support_log_capture();
	s->backend = backend_mem_new();
	s->options = vaults_options(NULL, s->backend, NULL, NULL);
	assert_ok(vault_create(&s->options, 0, id));
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(writer_begin(s->vault, 1, NULL, &s->writer));
	*state = s;
	return 0;
}

int trees_teardown(void **state)
{
	struct trees *s = *state;

	writer_free(s->writer);
	vault_close(s->vault);
	backend_close(s->backend);
	free(s);
	return 0;
}

void trees_build(struct trees *s, const struct items *items, struct id *root)
{
	struct tree_builder *b = tree_builder_new(s->writer);
	uint64_t entries;
	size_t i;

	assert_non_null(b);
	for (i = 0; i < items->n; i++) {
		struct entry e = items_entry(&items->list[i]);

		assert_ok(tree_builder_add(b, items->list[i].key,
					   items->list[i].key_len, &e));
	}
	assert_ok(tree_builder_finish(b, root, &entries));
	assert_int_equal(entries, items->n);
	tree_builder_free(b);
}

uint64_t trees_nodes_written(struct trees *s)
{
	struct writer_stats stats;

	writer_get_stats(s->writer, &stats);
	return stats.chunks_new;
}

uint64_t trees_nodes_read(struct trees *s)
{
	struct vault_stats stats;

	vault_get_stats(s->vault, &stats);
	return stats.nodes_decoded;
}

void trees_reopen(struct trees *s)
{
	struct point *p = point_new();

	assert_non_null(p);
	p->vm = strdup("m");
	p->host = strdup("h");
	p->program = strdup("test");
	assert_ok(writer_commit(s->writer, p));
	point_free(p);
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(writer_begin(s->vault, 1, NULL, &s->writer));
}
