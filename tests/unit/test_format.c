/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/format.h"

static struct keyring *ring, *other_ring;

static struct keyring *new_ring(uint8_t byte, uint8_t vault)
{
	struct secret *master = secret_new(CRYPT_KEY_LEN);
	uint8_t id[VAULT_ID_LEN];
	struct keyring *k;

	assert_non_null(master);
	memset(master->data, byte, master->len);
	memset(id, vault, sizeof(id));
	assert_ok(keyring_new(master, id, &k));
	secret_free(master);
	return k;
}

static int setup(void **state)
{
	(void)state;
	support_log_capture();
	ring = new_ring(1, 1);
	other_ring = new_ring(1, 2); /* the same key, another vault */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	keyring_free(ring);
	keyring_free(other_ring);
	return 0;
}

/* ---- boxes ---- */

static void seal(const void *clear, size_t clear_len, const void *plain,
		 size_t plain_len, struct buf *out)
{
	assert_ok(format_seal_box(ring, NULL, NULL, seam_system(), OBJECT_POINT,
				  "point/1", clear, clear_len, plain, plain_len,
				  out));
}

static int open_box(const struct keyring *k, const void *data, size_t len,
		    uint8_t type, const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;

	support_log_clear();
	return format_read_box(k, data, len, type, name, &plain);
}

static void boxes_round_trip(void **state)
{
	static const size_t sizes[] = { 0, 1, 127, 128, 5000, 1000000 };
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (k = 0; k < 2; k++) {
			AUTO_BUF struct buf box = BUF_INIT;
			AUTO_BUF struct buf plain = BUF_INIT;
			uint8_t *data = calloc(1, sizes[i] + 1);
			struct box b;

			/* Noise, or what compresses. */
			if (k)
				support_fill(i, data, sizes[i]);
			seal("clear", 5, data, sizes[i], &box);
			assert_ok(format_parse_box(box.data, box.len,
						   OBJECT_POINT, "point/1",
						   &b));
			assert_int_equal(b.clear_len, 5);
			assert_memory_equal(b.clear, "clear", 5);
			assert_int_equal(b.codec, sizes[i] >= 128 && !k);
			assert_ok(format_read_box(ring, box.data, box.len,
						  OBJECT_POINT, "point/1",
						  &plain));
			assert_int_equal(plain.len, sizes[i]);
			if (sizes[i])
				assert_memory_equal(plain.data, data, sizes[i]);
			free(data);
		}
	}
}

static void boxes_of_equal_content_differ(void **state)
{
	AUTO_BUF struct buf a = BUF_INIT;
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	seal(NULL, 0, "same", 4, &a);
	seal(NULL, 0, "same", 4, &b);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.data + 32, b.data + 32, CRYPT_SALT_LEN);
	assert_memory_not_equal(a.data + FORMAT_BOX_LEN,
				b.data + FORMAT_BOX_LEN, 4);
}

static void boxes_truncated_and_extended(void **state)
{
	AUTO_BUF struct buf box = BUF_INIT;
	size_t len;

	(void)state;
	seal("clear", 5, "plain text", 10, &box);
	for (len = 0; len < box.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, box.data, len);
		assert_result(open_box(ring, copy, len, OBJECT_POINT,
				       "point/1"),
			      -EBADMSG);
		assert_said("point/1");
		free(copy);
	}
	buf_put_u8(&box, 0);
	assert_result(open_box(ring, box.data, box.len, OBJECT_POINT,
			       "point/1"),
		      -EBADMSG);
}

static void every_flipped_bit_of_a_box(void **state)
{
	AUTO_BUF struct buf box = BUF_INIT;
	size_t at, bit;
	int r;

	(void)state;
	seal("clear", 5, "plain text", 10, &box);
	for (at = 0; at < box.len; at++) {
		for (bit = 0; bit < 8; bit++) {
			box.data[at] ^= (uint8_t)(1 << bit);
			r = open_box(ring, box.data, box.len, OBJECT_POINT,
				     "point/1");
			/* A version or an epoch of later is told from damage. */
			if (r != -EBADMSG &&
			    !(r == -EOPNOTSUPP &&
			      (at == 8 || at == 9 || (at >= 12 && at < 16))))
				fail_msg("byte %zu, bit %zu: %d", at, bit, r);
			box.data[at] ^= (uint8_t)(1 << bit);
		}
	}
	assert_ok(open_box(ring, box.data, box.len, OBJECT_POINT, "point/1"));
}

static void boxes_out_of_place(void **state)
{
	AUTO_BUF struct buf box = BUF_INIT;
	AUTO_BUF struct buf plain = BUF_INIT;
	uint8_t base[32] = { 1 };
	struct box b;

	(void)state;
	seal(NULL, 0, "plain", 5, &box);
	assert_result(open_box(ring, box.data, box.len, OBJECT_COMMIT,
			       "point/1"),
		      -EBADMSG);
	assert_said("where type");
	assert_result(open_box(ring, box.data, box.len, OBJECT_POINT,
			       "point/2"),
		      -EBADMSG);
	assert_said("not sealed for this vault under this name");
	assert_result(open_box(other_ring, box.data, box.len, OBJECT_POINT,
			       "point/1"),
		      -EBADMSG);
	assert_said("another vault");
	/* Under a slot's key: silent, for others will be tried. */
	assert_ok(format_parse_box(box.data, box.len, OBJECT_POINT, "point/1",
				   &b));
	support_log_clear();
	assert_result(format_open_box(NULL, base, &b, "point/1", &plain),
		      -EKEYREJECTED);
	assert_string_equal(support_log_text(), "");
}

static void boxes_too_large(void **state)
{
	AUTO_BUF struct buf box = BUF_INIT;
	uint8_t *large = calloc(1, FORMAT_BOX_MAX + 1);

	(void)state;
	assert_result(format_seal_box(ring, NULL, NULL, seam_system(),
				      OBJECT_INDEX, "index/1", NULL, 0, large,
				      FORMAT_BOX_MAX + 1, &box),
		      -EMSGSIZE);
	assert_result(format_seal_box(ring, NULL, NULL, seam_system(),
				      OBJECT_INDEX, "index/1", large,
				      FORMAT_CLEAR_MAX + 1, NULL, 0, &box),
		      -EMSGSIZE);
	free(large);
}

/* ---- directories ---- */

static struct frame frames[] = {
	{ 96, 100, 1000, CODEC_ZSTD },
	{ 96 + 116, 1000, 1000, CODEC_RAW },
	{ 96 + 116 + 1016, 5, 7, CODEC_ZSTD },
};

static struct chunk_ref good_chunks[] = {
	{ { { 1 } }, 10, 0, 0, CHUNK_DATA },
	{ { { 2 } }, 990, 0, 10, CHUNK_DATA },
	{ { { 3 } }, 1007, 1, 0, CHUNK_NODE },
	{ { { 4 } }, 2007, 0, 0, CHUNK_NODE },
	{ { { 5 } }, 7, 2, 0, CHUNK_XATTRS },
};

static int dir_with(const struct chunk_ref *chunks, size_t n)
{
	struct pack_dir dir = { frames, ARRAY_SIZE(frames),
				(struct chunk_ref *)chunks, n };
	AUTO_BUF struct buf b = BUF_INIT;
	struct pack_dir back;
	int r;

	format_put_dir(&b, &dir);
	assert_ok(buf_error(&b));
	r = format_get_dir(b.data, b.len, "p", false, &back);
	if (r == 0)
		format_release_dir(&back);
	return r;
}

static void directories_round_trip(void **state)
{
	struct pack_dir dir = { frames, ARRAY_SIZE(frames), good_chunks,
				ARRAY_SIZE(good_chunks) };
	AUTO_BUF struct buf b = BUF_INIT;
	struct pack_dir back;
	size_t i, len;

	(void)state;
	format_put_dir(&b, &dir);
	assert_ok(format_get_dir(b.data, b.len, "p", false, &back));
	assert_int_equal(back.nframes, dir.nframes);
	assert_int_equal(back.nchunks, dir.nchunks);
	for (i = 0; i < dir.nframes; i++) {
		assert_int_equal(back.frames[i].off, frames[i].off);
		assert_int_equal(back.frames[i].clen, frames[i].clen);
		assert_int_equal(back.frames[i].plen, frames[i].plen);
		assert_int_equal(back.frames[i].codec, frames[i].codec);
	}
	for (i = 0; i < dir.nchunks; i++) {
		assert_true(id_equal(&back.chunks[i].id, &good_chunks[i].id));
		assert_int_equal(back.chunks[i].len, good_chunks[i].len);
		assert_int_equal(back.chunks[i].frame, good_chunks[i].frame);
		assert_int_equal(back.chunks[i].off, good_chunks[i].off);
		assert_int_equal(back.chunks[i].type, good_chunks[i].type);
	}
	format_release_dir(&back);
	assert_ok(format_get_dir(b.data, b.len, "p", true, &back));
	assert_int_equal(back.nframes, dir.nframes);
	assert_null(back.chunks);
	format_release_dir(&back);
	for (len = 0; len < b.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, b.data, len);
		assert_result(format_get_dir(copy, len, "p", false, &back),
			      -EBADMSG);
		free(copy);
	}
	buf_put_u8(&b, 0);
	assert_result(format_get_dir(b.data, b.len, "p", false, &back),
		      -EBADMSG);
}

static void chunks_that_do_not_fit(void **state)
{
	static const struct chunk_ref bad[] = {
		{ { { 1 } }, 0, 0, 0, CHUNK_DATA }, /* nothing */
		{ { { 1 } }, 1, 3, 0, CHUNK_DATA }, /* behind the last frame */
		{ { { 1 } }, 1001, 0, 0, CHUNK_DATA }, /* ends in a frame */
		{ { { 1 } }, 991, 0, 10, CHUNK_DATA }, /* passes its frame */
		{ { { 1 } }, 1990, 0, 10, CHUNK_DATA }, /* long, and a slice */
		{ { { 1 } }, 2008, 0, 0, CHUNK_DATA }, /* passes the pack */
		{ { { 1 } }, 1, 2, 7, CHUNK_DATA },
		{ { { 1 } }, FORMAT_CHUNK_MAX + 1, 0, 0, CHUNK_DATA },
		{ { { 1 } }, 1, 0, UINT32_MAX, CHUNK_DATA },
	};
	size_t i;

	(void)state;
	assert_ok(dir_with(good_chunks, ARRAY_SIZE(good_chunks)));
	assert_ok(dir_with(good_chunks, 0));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		if (dir_with(&bad[i], 1) != -EBADMSG)
			fail_msg("chunk %zu: accepted", i);
}

static void frames_that_cannot_be(void **state)
{
	static const struct frame bad[] = {
		{ 96, 10, 0, CODEC_ZSTD },
		{ 96, 10, 11, CODEC_RAW },
		{ 96, 10, 10, 2 },
		{ 96, 10, FORMAT_FRAME_MAX + 1, CODEC_ZSTD },
		{ 96, FORMAT_FRAME_MAX + 1, 10, CODEC_ZSTD },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct frame f = bad[i];
		struct pack_dir dir = { &f, 1, NULL, 0 }, back;
		AUTO_BUF struct buf b = BUF_INIT;

		format_put_dir(&b, &dir);
		if (format_get_dir(b.data, b.len, "p", true, &back) != -EBADMSG)
			fail_msg("frame %zu: accepted", i);
	}
}

/* Counts that would ask for more memory than the input is worth. */
static void huge_counts(void **state)
{
	static const uint8_t many[] = { 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0 };
	uint8_t chunks[] = { 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0 };
	struct pack_dir back;

	(void)state;
	assert_result(format_get_dir(many, sizeof(many), "p", false, &back),
		      -EBADMSG);
	assert_result(format_get_dir(chunks, sizeof(chunks), "p", false, &back),
		      -EBADMSG);
}

static void trailers(void **state)
{
	struct pack_trailer t = { 1000, 50, 60, CODEC_ZSTD }, back;
	uint64_t size = 1000 + 50 + CRYPT_TAG_LEN + FORMAT_TRAILER_LEN;
	uint8_t raw[FORMAT_TRAILER_LEN];
	size_t at, bit, passed = 0;

	(void)state;
	format_put_trailer(raw, &t);
	assert_ok(format_get_trailer(raw, size, "p", &back));
	assert_int_equal(back.dir_off, 1000);
	assert_int_equal(back.dir_clen, 50);
	assert_int_equal(back.dir_plen, 60);
	assert_int_equal(back.codec, CODEC_ZSTD);
	assert_result(format_get_trailer(raw, size - 1, "p", &back), -EBADMSG);
	assert_result(format_get_trailer(raw, size + 1, "p", &back), -EBADMSG);
	for (at = 0; at < sizeof(raw); at++) {
		for (bit = 0; bit < 8; bit++) {
			raw[at] ^= (uint8_t)(1 << bit);
			if (format_get_trailer(raw, size, "p", &back) == 0)
				passed++;
			raw[at] ^= (uint8_t)(1 << bit);
		}
	}
	/* The plain length alone can be another: the seal binds it. */
	assert_true(passed <= 26);
	t.codec = CODEC_RAW;
	format_put_trailer(raw, &t);
	assert_result(format_get_trailer(raw, size, "p", &back), -EBADMSG);
	/* The directory before the header's end, or past the pack's. */
	t = (struct pack_trailer){ 95, 50, 50, CODEC_RAW };
	format_put_trailer(raw, &t);
	assert_result(format_get_trailer(raw, 95 + 90, "p", &back), -EBADMSG);
	t.dir_off = UINT64_MAX - 89;
	format_put_trailer(raw, &t);
	assert_result(format_get_trailer(raw, 0, "p", &back), -EBADMSG);
}

/* ---- names ---- */

#define SID "0123456789abcdef0123456789abcdef"
#define HASH SID SID

static void pack_names(void **state)
{
	static const char *const bad[] = {
		"",
		SID,
		SID "-1",
		SID "-1-",
		SID "--" HASH,
		SID "-x-" HASH,
		SID "-1-" SID,
		SID "-1-" HASH "0",
		SID "-12345678901-" HASH,
		"0123456789abcdeF0123456789abcdef-1-" HASH,
		"0123456789abcdeg0123456789abcdef-1-" HASH,
		SID "-1-" HASH "/",
		"/" SID "-1-" HASH,
	};
	char out[OBJECT_NAME_MAX];
	uint8_t hash[CRYPT_SHA256_LEN];
	size_t i;

	(void)state;
	assert_ok(format_pack_object_name(SID "-42-" HASH, out));
	assert_string_equal(out, "pack/01/" SID "-42-" HASH);
	assert_ok(format_pack_key_name(SID "-42-" HASH, out));
	assert_string_equal(out, "pack/" SID "-42");
	assert_ok(format_pack_hash(SID "-4294967295-" HASH, hash));
	assert_int_equal(hash[0], 0x01);
	assert_int_equal(hash[31], 0xef);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		if (format_pack_object_name(bad[i], out) != -EBADMSG ||
		    format_pack_key_name(bad[i], out) != -EBADMSG ||
		    format_pack_hash(bad[i], hash) != -EBADMSG)
			fail_msg("\"%s\" accepted", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(boxes_round_trip),
		cmocka_unit_test(boxes_of_equal_content_differ),
		cmocka_unit_test(boxes_truncated_and_extended),
		cmocka_unit_test(every_flipped_bit_of_a_box),
		cmocka_unit_test(boxes_out_of_place),
		cmocka_unit_test(boxes_too_large),
		cmocka_unit_test(directories_round_trip),
		cmocka_unit_test(chunks_that_do_not_fit),
		cmocka_unit_test(frames_that_cannot_be),
		cmocka_unit_test(huge_counts),
		cmocka_unit_test(trailers),
		cmocka_unit_test(pack_names),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
