/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Index objects of any length come into the local database whole, or not at all,
 * and take little memory on their way. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/mem.h"
#include "store/base/bytes.h"
#include "store/base/task.h"
#include "store/base/zip.h"
#include "store/catalog/catalog.h"
#include "store/check/check.h"
#include "store/format.h"
#include "store/index.h"
#include "store/vault.h"
#include "store/vault_internal.h"

#define SID "00112233445566778899aabbccddeeff"
#define INDEX "index/" SID "-0"
#define CHUNKS 1000 /* in a pack */

static struct id id_of(uint64_t n, bool random)
{
	struct id id = { { 0 } };

	if (random)
		support_fill(n, id.b, sizeof(id.b));
	put_le64(id.b, n * UINT64_C(0x9e3779b97f4a7c15) + 1);
	return id;
}

/* The directory of a pack of @n chunks, all in frames of 4096. */
static void put_dir(struct buf *out, uint64_t first, size_t n, bool random)
{
	size_t nframes = (n + 4095) / 4096, i;
	struct frame *frames = calloc(nframes, sizeof(*frames));
	struct chunk_ref *chunks = calloc(n, sizeof(*chunks));
	struct pack_dir dir = { .frames = frames,
				.nframes = nframes,
				.chunks = chunks,
				.nchunks = n };

	assert_true(frames && chunks);
	for (i = 0; i < nframes; i++)
		frames[i].clen = frames[i].plen = 65536;
	for (i = 0; i < n; i++) {
		chunks[i].id = id_of(first + i, random);
		chunks[i].type = CHUNK_DATA;
		chunks[i].len = 16;
		chunks[i].frame = (uint32_t)(i / 4096);
		chunks[i].off = (uint32_t)(i % 4096 * 16);
	}
	format_put_dir(out, &dir);
	assert_ok(buf_error(out));
	format_release_dir(&dir);
}

/* An index object's plaintext, of packs that are nowhere. */
static void put_index(struct buf *out, size_t npacks, size_t chunks,
		      bool random)
{
	static const uint8_t salt[CRYPT_SALT_LEN];
	size_t i;

	buf_put_varint(out, npacks);
	for (i = 0; i < npacks; i++) {
		AUTO_BUF struct buf dir = BUF_INIT;
		char name[PACK_NAME_MAX];

		put_dir(&dir, i * chunks, chunks, random);
		snprintf(name, sizeof(name), SID "-%zu-%064zx", i, i);
		index_put_pack(out, name, 1 << 20, OBJECT_DATA_PACK, 0, salt,
			       dir.data, dir.len);
	}
	buf_put_varint(out, 1);
	buf_put_bytes(out, SID "-7", strlen(SID "-7"));
	assert_ok(buf_error(out));
}

static void put_object(struct scene *s, const struct buf *plain)
{
	AUTO_BUF struct buf box = BUF_INIT;

	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), OBJECT_INDEX, INDEX,
				  NULL, 0, plain->data, plain->len, &box));
	assert_ok(backend_mem_set(s->backend, INDEX, box.data, box.len));
}

static int count_pack(void *arg, const struct pack_row *row)
{
	(void)row;
	++*(size_t *)arg;
	return 0;
}

static size_t npacks(struct scene *s)
{
	size_t n = 0;

	assert_ok(catalog_packs(vault_catalog(s->vault), count_pack, &n));
	return n;
}

/* Every chunk is found, where it is. */
static void assert_imported(struct scene *s, size_t packs, size_t chunks,
			    bool random)
{
	struct catalog *c = vault_catalog(s->vault);
	AUTO_BUF struct buf gone = BUF_INIT;
	struct chunk_loc loc;
	size_t i;

	assert_int_equal(catalog_has_source(c, INDEX), 1);
	assert_int_equal(npacks(s), packs);
	for (i = 0; i < packs * chunks; i += 37) {
		struct id id = id_of(i, random);

		assert_ok(catalog_find_chunk(c, &id, 0, &loc));
		assert_int_equal(loc.off, i % chunks % 4096 * 16);
	}
	assert_ok(catalog_get_object(c, "superseded/" INDEX, &gone));
	assert_int_equal(gone.len, strlen(SID "-7\n"));
}

/* Of @packs packs; @kept: how long what is kept may be. */
static void import(struct scene *s, size_t packs, bool random, size_t kept)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	size_t usual = box_pieces_kept_max;

	put_index(&plain, packs, CHUNKS, random);
	put_object(s, &plain);
	box_pieces_kept_max = kept;
	assert_ok(index_import_long(s->vault, INDEX, false));
	assert_imported(s, packs, CHUNKS, random);
	/* It changes nothing. */
	assert_ok(index_import_long(s->vault, INDEX, false));
	assert_ok(index_import_long(s->vault, INDEX, true));
	box_pieces_kept_max = usual;
	assert_imported(s, packs, CHUNKS, random);
}

static void short_ones(void **state)
{
	import(*state, 3, true, 17 << 20);
}

/* In several transactions, and decompressed in pieces. */
static void more_than_is_kept_at_once(void **state)
{
	import(*state, 130, false, 17 << 20);
}

static void long_ones(void **state)
{
	import(*state, 130, false, 100000);
}

/* A directory that has no room where others wait. */
static void one_large_pack(void **state)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct scene *s = *state;

	put_index(&plain, 2, 130000, false);
	put_object(s, &plain);
	assert_ok(index_import_long(s->vault, INDEX, false));
	assert_imported(s, 2, 130000, false);
}

static int append(void *arg, const void *data, size_t len)
{
	buf_put(arg, data, len);
	return buf_error(arg);
}

/* Whatever is in it, all of it is given, and each time. */
static void any_plaintext(void **state)
{
	static const size_t lens[] = { 0, 1, 99999, 1 << 20, 2500000 };
	AUTO_FREE uint8_t *random = malloc(2500000);
	struct scene *s = *state;
	size_t i, j, usual = box_pieces_kept_max;

	assert_non_null(random);
	support_fill(1, random, 2500000);
	for (i = 0; i < 2 * ARRAY_SIZE(lens); i++) {
		struct buf plain = { random, lens[i / 2], 2500000, false };
		AUTO_BUF struct buf got = BUF_INIT;
		struct box_pieces *b;

		put_object(s, &plain);
		box_pieces_kept_max = i & 1 ? 10 : usual;
		assert_ok(box_pieces_open(s->vault, OBJECT_INDEX, INDEX, &b));
		assert_int_equal(box_pieces_len(b), plain.len);
		for (j = 0; j < 2; j++) {
			buf_clear(&got);
			assert_ok(box_pieces_read(b, append, &got));
			assert_int_equal(got.len, plain.len);
			if (plain.len)
				assert_memory_equal(got.data, random, got.len);
		}
		box_pieces_free(b);
	}
	box_pieces_kept_max = usual;
}

/* ---- what is wrong with one ---- */

static int no_piece(void *arg, const void *data, size_t len)
{
	(void)data;
	*(size_t *)arg += len;
	return 0;
}

static void damage_is_seen_before_anything_is_given(void **state)
{
	static const size_t back[] = { 1, 16, 17, 700000, 1500000 };
	AUTO_BUF struct buf plain = BUF_INIT;
	struct scene *s = *state;
	size_t i, j, len, usual = box_pieces_kept_max;
	struct box_pieces *b;
	uint8_t *data;

	put_index(&plain, 60, CHUNKS, true);
	put_object(s, &plain);
	data = backend_mem_data(s->backend, INDEX, &len);
	for (j = 0; j < 2; j++) {
		box_pieces_kept_max = j ? 100000 : usual;
		for (i = 0; i < ARRAY_SIZE(back); i++) {
			data[len - back[i]] ^= 4;
			assert_result(box_pieces_open(s->vault, OBJECT_INDEX,
						      INDEX, &b),
				      -EBADMSG);
			data[len - back[i]] ^= 4;
		}
		assert_result(index_import_long(s->vault, "index/none", false),
			      -ENOENT);
	}
	box_pieces_kept_max = usual;
	assert_int_equal(npacks(s), 0);
}

/* What a store shows later is compared with what was sealed. */
static void a_store_that_changes_its_mind(void **state)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct scene *s = *state;
	size_t len, given = 0, usual = box_pieces_kept_max;
	struct box_pieces *b;
	uint8_t *data;

	put_index(&plain, 60, CHUNKS, true);
	put_object(s, &plain);
	data = backend_mem_data(s->backend, INDEX, &len);
	box_pieces_kept_max = 100000;
	assert_ok(box_pieces_open(s->vault, OBJECT_INDEX, INDEX, &b));
	/* In the second block of two. */
	data[len - 100] ^= 1;
	assert_result(box_pieces_read(b, no_piece, &given), -EBADMSG);
	assert_in_range(given, 1 << 20, plain.len - 1);
	data[len - 100] ^= 1;
	given = 0;
	assert_ok(box_pieces_read(b, no_piece, &given));
	assert_int_equal(given, plain.len);
	box_pieces_free(b);
	box_pieces_kept_max = usual;
}

/* Authentic, and wrong in its last byte. */
static void malformed_ones_bring_nothing(void **state)
{
	struct scene *s = *state;
	size_t i;

	for (i = 0; i < 4; i++) {
		AUTO_BUF struct buf plain = BUF_INIT;

		put_index(&plain, i & 1 ? 3 : 130, CHUNKS, false);
		if (i & 2)
			plain.len--;
		else
			buf_put_u8(&plain, 0);
		put_object(s, &plain);
		support_log_clear();
		assert_result(index_import_long(s->vault, INDEX, false),
			      -EBADMSG);
		assert_said("malformed");
		assert_int_equal(npacks(s), 0);
	}
}

/* A frame that wants more memory than a reader has to have. */
static void wide_windows_are_refused(void **state)
{
	const size_t len = 9 << 20;
	AUTO_FREE uint8_t *plain = calloc(1, len);
	AUTO_FREE uint8_t *packed = malloc(zip_bound(len));
	struct zip *z = zip_new(22);
	struct unzip *u;
	const uint8_t *in = packed;
	size_t left, given;
	ssize_t n;

	(void)state;
	assert_true(plain && packed && z);
	n = zip_compress(z, plain, len, packed, zip_bound(len));
	assert_true(n > 0);
	left = (size_t)n;
	assert_ok(unzip_new(in, left, len, &u));
	assert_result(unzip_some(u, &in, &left, plain, 65536, &given),
		      -EBADMSG);
	unzip_free(u);
	assert_result(unzip_new(packed, (size_t)n, len + 1, &u), -EBADMSG);
	assert_result(unzip_new(plain, 100, len, &u), -EBADMSG);
	zip_free(z);
}

/* ---- pieces ---- */

struct tally {
	uint64_t sum; /* of all that was told, in its order */
	size_t packs, gone;
};

static int tally_pack(void *arg, const struct index_pack *p)
{
	struct tally *t = arg;
	size_t i;

	t->packs++;
	for (i = 0; i < p->dir_len; i++)
		t->sum = t->sum * 31 + p->dir[i];
	return 0;
}

static int tally_gone(void *arg, const char *name)
{
	struct tally *t = arg;

	t->gone++;
	for (; *name; name++)
		t->sum = t->sum * 31 + (uint8_t)*name;
	return 0;
}

static int decode_in_pieces(const struct buf *plain, size_t step,
			    struct tally *out)
{
	struct index_decoder d = {
		"index/test",
		plain->len,
		{ .pack = tally_pack, .gone = tally_gone, .arg = out },
		.seen = 0
	};
	size_t at, n;
	int r = 0;

	memset(out, 0, sizeof(*out));
	for (at = 0; at < plain->len && r == 0; at += n) {
		n = MIN(step, plain->len - at);
		r = index_decode_some(&d, plain->data + at, n);
	}
	index_decoder_release(&d);
	return r;
}

static void pieces_of_any_length_tell_the_same(void **state)
{
	static const size_t steps[] = { 1, 3, 37, 1000, 65536, 1 << 20 };
	AUTO_BUF struct buf plain = BUF_INIT;
	struct tally whole, t;
	size_t i;

	(void)state;
	put_index(&plain, 3, 100, true);
	memset(&whole, 0, sizeof(whole));
	assert_ok(index_decode(plain.data, plain.len, "index/test", tally_pack,
			       tally_gone, &whole));
	assert_int_equal(whole.packs, 3);
	assert_int_equal(whole.gone, 1);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		assert_ok(decode_in_pieces(&plain, steps[i], &t));
		assert_memory_equal(&t, &whole, sizeof(t));
	}
	plain.len--;
	for (i = 0; i < ARRAY_SIZE(steps); i++)
		assert_result(decode_in_pieces(&plain, steps[i], &t), -EBADMSG);
}

/* ---- memory ---- */

/* What a store in memory holds of the object does not count. */
static void import_in_little(struct scene *s, size_t packs, size_t chunks,
			     bool random)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	size_t before, peak;

	put_index(&plain, packs, chunks, random);
	put_object(s, &plain);
	buf_release(&plain);
	support_memory_reset_peak();
	before = support_memory();
	assert_ok(index_import_long(s->vault, INDEX, false));
	peak = support_memory_peak() - before;
	if (!HAS_SHADOW_MEMORY)
		assert_in_range(peak, 0, 20 << 20);
	assert_imported(s, packs, chunks, random);
}

/* Nor does who checks a vault hold it in memory. */
static void check_in_little(struct scene *s, size_t packs)
{
	struct task task = { .stop = NULL };
	struct check_options o = { .read_data = false };
	struct check_result res = { .damages = 0 };
	size_t before, peak;

	support_memory_reset_peak();
	before = support_memory();
	assert_ok(check_run(s->vault, &o, &task, &res));
	peak = support_memory_peak() - before;
	assert_int_equal(res.indexes, 1);
	/* All of it was read: each pack that it names is nowhere. */
	assert_int_equal(res.damages, packs);
	check_release(&res);
	if (!HAS_SHADOW_MEMORY)
		assert_in_range(peak, 0, 28 << 20);
}

/* More than a merged index object: 40 MB. */
static void takes_little_memory(void **state)
{
	import_in_little(*state, 50, 20000, true);
	check_in_little(*state, 50);
}

/* Nor do packs that hold next to nothing, of which there may be very many. */
static void many_packs_take_little_memory(void **state)
{
	import_in_little(*state, 100000, 1, false);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(short_ones),
		CASE(more_than_is_kept_at_once),
		CASE(long_ones),
		CASE(one_large_pack),
		CASE(any_plaintext),
		CASE(damage_is_seen_before_anything_is_given),
		CASE(a_store_that_changes_its_mind),
		CASE(malformed_ones_bring_nothing),
		cmocka_unit_test(wide_windows_are_refused),
		cmocka_unit_test(pieces_of_any_length_tell_the_same),
		CASE(takes_little_memory),
		CASE(many_packs_take_little_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
