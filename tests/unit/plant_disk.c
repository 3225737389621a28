/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/plant_disk.h"
#include "tests/unit/support.h"

#include <stdlib.h>
#include <string.h>

#include "store/format.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"

static void put_data(struct plant *p, struct content_builder *b,
		     const uint8_t *data, uint64_t len)
{
	while (len > 0) {
		struct extent x = { .len = MIN(len, (uint64_t)PLANT_CELL),
				    .type = EXTENT_DATA };

		assert_ok(writer_chunk(p->writer, CHUNK_DISK, data,
				       (size_t)x.len, &x.id));
		assert_ok(content_builder_add(b, &x));
		data += x.len;
		len -= x.len;
	}
}

static struct point_disk *add_disk(struct point *t, const char *name)
{
	struct point_disk *d;

	t->disks = reallocarray(t->disks, t->ndisks + 1, sizeof(*t->disks));
	assert_non_null(t->disks);
	d = &t->disks[t->ndisks++];
	memset(d, 0, sizeof(*d));
	d->name = strdup(name);
	d->format = strdup("raw");
	d->source = strdup("/somewhere");
	d->sector = 512;
	return d;
}

void plant_disk(struct plant *p, const char *name, const struct plant_range *x,
		size_t n)
{
	AUTO_BUF struct buf store = BUF_INIT;
	struct content_builder *b = content_builder_new(p->writer);
	struct point_disk *d = add_disk(p->point, name);
	size_t i;

	assert_non_null(b);
	for (i = 0; i < n; i++) {
		struct extent e = { .len = x[i].len, .type = x[i].type };

		if (x[i].type == EXTENT_DATA) {
			put_data(p, b, x[i].data, x[i].len);
			d->used += x[i].len;
		} else {
			assert_ok(content_builder_add(b, &e));
		}
		d->size += x[i].len;
	}
	assert_ok(content_builder_finish(b, &store));
	content_builder_free(b);
	d->content = malloc(store.len);
	assert_non_null(d->content);
	memcpy(d->content, store.data, store.len);
	d->content_len = store.len;
	point_sort(p->point);
}

static bool is_zero(const uint8_t *data, size_t len)
{
	while (len > 0 && *data == 0) {
		data++;
		len--;
	}
	return len == 0;
}

void plant_image(struct plant *p, const char *name, const uint8_t *image,
		 size_t len)
{
	size_t n = (len + PLANT_CELL - 1) / PLANT_CELL, i;
	struct plant_range *x = calloc(n + 1, sizeof(*x));

	assert_non_null(x);
	for (i = 0; i < n; i++) {
		const uint8_t *data = image + i * PLANT_CELL;

		x[i].len = MIN(len - i * PLANT_CELL, (size_t)PLANT_CELL);
		x[i].data = data;
		x[i].type = is_zero(data, (size_t)x[i].len) ? EXTENT_HOLE
							    : EXTENT_DATA;
	}
	plant_disk(p, name, x, n);
	free(x);
}

void plant_config(struct plant *p, const char *name, const char *text)
{
	AUTO_BUF struct buf store = BUF_INIT;
	struct point *t = p->point;
	struct entry e = { .name_len = 0 };
	struct point_config *c;

	plant_content(p, &e, text, strlen(text), &store);
	t->configs =
		reallocarray(t->configs, t->nconfigs + 1, sizeof(*t->configs));
	assert_non_null(t->configs);
	c = &t->configs[t->nconfigs++];
	memset(c, 0, sizeof(*c));
	c->name = strdup(name);
	c->size = strlen(text);
	c->content = malloc(store.len);
	assert_non_null(c->content);
	memcpy(c->content, store.data, store.len);
	c->content_len = store.len;
	point_sort(t);
}
