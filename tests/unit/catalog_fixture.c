/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/catalog_fixture.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/support.h"

#define CHUNKS 50

const uint8_t catalog_fixture_vault[VAULT_ID_LEN] = "vault-of-tests-a";

struct id catalog_fixture_chunk_id(uint32_t pack, uint32_t chunk)
{
	struct id id;

	support_fill(chunk == CATALOG_FIXTURE_SHARED
			     ? 0
			     : ((uint64_t)pack << 16) + chunk + 1,
		     id.b, ID_LEN);
	return id;
}

static uint32_t chunk_len(uint32_t pack, uint32_t chunk)
{
	return 100 + (pack * 7 + chunk) % 1000;
}

void catalog_fixture_make_dir(uint32_t n, struct buf *out)
{
	struct chunk_ref chunks[CHUNKS + 1];
	struct frame frame = { .codec = CODEC_RAW };
	struct pack_dir dir = { &frame, 1, chunks, CHUNKS + 1 };
	uint32_t i, off = 0;

	for (i = 0; i <= CHUNKS; i++) {
		uint32_t c = i < CHUNKS ? i : CATALOG_FIXTURE_SHARED;

		chunks[i].id = catalog_fixture_chunk_id(n, c);
		chunks[i].len = i < CHUNKS ? chunk_len(n, i) : 500;
		chunks[i].frame = 0;
		chunks[i].off = off;
		chunks[i].type = CHUNK_DATA;
		off += chunks[i].len;
	}
	frame.plen = off;
	frame.clen = off;
	format_put_dir(out, &dir);
	assert_ok(buf_error(out));
}

static void pack_name(uint32_t n, char *out)
{
	snprintf(out, PACK_NAME_MAX, "pack-%08u", n);
}

int catalog_fixture_import(struct catalog *c, const char *source,
			   uint32_t first, uint32_t end)
{
	struct catalog_pack packs[64] = { 0 };
	struct buf raw[64] = { 0 };
	uint32_t i, n = end - first;
	int r;

	for (i = 0; i < n; i++) {
		struct pack_row *row = &packs[i].row;

		catalog_fixture_make_dir(first + i, &raw[i]);
		pack_name(first + i, row->name);
		row->size = 4096 + first + i;
		row->kind = OBJECT_DATA_PACK;
		memset(row->salt, (int)(first + i), sizeof(row->salt));
		packs[i].dir = raw[i].data;
		packs[i].dir_len = raw[i].len;
	}
	r = catalog_import(c, source, packs, n);
	for (i = 0; i < n; i++)
		buf_release(&raw[i]);
	return r;
}

int catalog_fixture_probe(struct catalog *c, uint32_t n)
{
	char name[PACK_NAME_MAX];
	struct chunk_loc loc;
	struct pack_row row;
	int64_t no = 0;
	uint32_t i;
	int there, r;

	pack_name(n, name);
	there = catalog_pack_no(c, name, &no);
	if (there != 0 && there != -ENOENT)
		return there;
	for (i = 0; i < CHUNKS; i++) {
		struct id id = catalog_fixture_chunk_id(n, i);

		r = catalog_find_chunk(c, &id, 0, &loc);
		if (r != there)
			return r == -ENOTRECOVERABLE ? r : -1;
		if (r == 0 && (loc.pack != no || loc.len != chunk_len(n, i) ||
			       loc.frame != 0 || loc.type != CHUNK_DATA))
			return -1;
	}
	if (there != 0)
		return 1;
	r = catalog_get_pack(c, no, &row, NULL);
	if (r != 0)
		return r;
	return row.no == no && strcmp(row.name, name) == 0 &&
			       row.size == 4096 + n
		       ? 0
		       : -1;
}

struct catalog *catalog_fixture_open(const char *dir)
{
	struct catalog *c;

	assert_ok(catalog_open(dir, catalog_fixture_vault, &c));
	assert_string_equal(catalog_dir(c), dir);
	return c;
}

const char *catalog_fixture_dir(void)
{
	static int n;

	return support_path("%s/cache-%d", support_tmpdir_fast(), n++);
}

int catalog_fixture_setup(void **state)
{
	(void)state;
	support_log_capture();
	support_log_clear();
	return 0;
}
