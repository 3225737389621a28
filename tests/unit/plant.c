/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/plant.h"
#include "tests/unit/support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/mem.h"
#include "store/content.h"
#include "store/format.h"
#include "store/tree.h"
#include "store/vault.h"
#include "store/writer/content_build.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"

#define TIME_2020 1577836800
#define SCRYPT_LOG_N 14 /* the least that is allowed */

void plant_init(struct plant *p, uint64_t cache_size)
{
	struct vault_options o;
	char id[33];

	memset(p, 0, sizeof(*p));
	p->backend = backend_mem_new();
	assert_non_null(p->backend);
	o = support_vault_options(p->backend, NULL);
	o.cache_size = cache_size;
	assert_ok(vault_create(&o, SCRYPT_LOG_N, id));
	assert_ok(vault_open(&o, &p->vault));
}

void plant_release(struct plant *p)
{
	tree_builder_free(p->tree);
	writer_free(p->writer);
	point_free(p->point);
	vault_close(p->vault);
	backend_close(p->backend);
}

void plant_begin(struct plant *p)
{
	struct entry top;

	assert_ok(writer_begin(p->vault, 1, NULL, &p->writer));
	p->tree = tree_builder_new(p->writer);
	p->point = point_new();
	assert_non_null(p->tree);
	assert_non_null(p->point);
	p->has_acl = false;
	p->ino = 1;
	top = plant_entry(p, "", S_IFDIR | 0755);
	plant_put(p, "", &top);
}

struct entry plant_entry(struct plant *p, const char *name, mode_t mode)
{
	static const uint8_t nothing[1];

	return (struct entry){
		.name = (const uint8_t *)name,
		.name_len = (uint32_t)strlen(name),
		.mode = mode,
		.uid = 1,
		.gid = 2,
		.nlink = S_ISDIR(mode) ? 2 : 1,
		.size = S_ISDIR(mode) ? 4096 : 0,
		.mtime = { TIME_2020, 123456789 },
		.ctime = { TIME_2020 + 1, 5 },
		.ino = ++p->ino,
		.content = S_ISREG(mode) ? nothing : NULL,
		.content_len = S_ISREG(mode),
	};
}

void plant_put(struct plant *p, const char *dir, const struct entry *e)
{
	AUTO_BUF struct buf key = BUF_INIT;

	assert_ok(tree_path_key(&key, dir));
	assert_ok(tree_builder_add(p->tree, key.data, key.len, e));
	p->point->bytes += S_ISREG(e->mode) ? e->size : 0;
	p->point->files += S_ISREG(e->mode);
}

void plant_dir(struct plant *p, const char *dir, const char *name)
{
	struct entry e = plant_entry(p, name, S_IFDIR | 0755);

	plant_put(p, dir, &e);
}

void plant_content(struct plant *p, struct entry *e, const void *data,
		   size_t len, struct buf *store)
{
	struct content_builder *b = content_builder_new(p->writer);
	struct extent x = { .len = len, .type = EXTENT_DATA };

	assert_non_null(b);
	if (len > 0) {
		assert_ok(
			writer_chunk(p->writer, CHUNK_DATA, data, len, &x.id));
		assert_ok(content_builder_add(b, &x));
	}
	assert_ok(content_builder_finish(b, store));
	content_builder_free(b);
	e->content = store->data;
	e->content_len = (uint32_t)store->len;
	e->size = len;
}

void plant_file(struct plant *p, const char *dir, const char *name,
		const char *text)
{
	AUTO_BUF struct buf store = BUF_INIT;
	struct entry e = plant_entry(p, name, S_IFREG | 0644);

	plant_content(p, &e, text, strlen(text), &store);
	plant_put(p, dir, &e);
}

void plant_link(struct plant *p, const char *dir, const char *name,
		const char *target)
{
	struct entry e = plant_entry(p, name, S_IFLNK | 0777);

	e.target = (const uint8_t *)target;
	e.target_len = (uint32_t)strlen(target);
	e.size = e.target_len;
	plant_put(p, dir, &e);
}

void plant_commit(struct plant *p, const char *vm, const char *time,
		  const char *tag)
{
	struct point *t = p->point;

	assert_ok(tree_builder_finish(p->tree, &t->root, &t->entries));
	tree_builder_free(p->tree);
	p->tree = NULL;
	t->has_tree = true;
	t->has_acl = p->has_acl;
	t->vm = strdup(vm);
	t->host = strdup("host");
	t->program = strdup("test");
	assert_ok(point_parse_time(time, &t->time_ns));
	if (tag) {
		t->tags = calloc(1, sizeof(*t->tags));
		assert_non_null(t->tags);
		t->tags[t->ntags++] = strdup(tag);
	}
	assert_ok(writer_commit(p->writer, t));
	writer_free(p->writer);
	p->writer = NULL;
	point_free(t);
	p->point = NULL;
}
