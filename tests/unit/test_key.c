/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h" /* before cmocka, whose fail() is a macro */

#include <cmocka.h>

#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/format.h"
#include "store/key/key.h"

#define SLOT "0123456789abcdef0123456789abcdef"
#define SALT "0909090909090909090909090909090909090909090909090909090909090909"
#define INFO "{\"host\":\"web1\",\"label\":\"first\"}"

static struct secret *master, *pass, *file, *other, *empty;
static struct credential by_pass, by_file;
static uint8_t vault_id[VAULT_ID_LEN];
static int said; /* sentences since it was last set to 0 */

static void count_sentence(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
	said++;
}

static struct secret *secret_of(const char *text)
{
	struct secret *s = secret_new(strlen(text));

	assert_non_null(s);
	memcpy(s->data, text, strlen(text));
	return s;
}

static int setup(void **state)
{
	int i;

	(void)state;
	log_set(LOG_LEVEL_ERROR, count_sentence, NULL);
	master = secret_new(CRYPT_KEY_LEN);
	for (i = 0; i < CRYPT_KEY_LEN; i++)
		master->data[i] = (uint8_t)i;
	for (i = 0; i < VAULT_ID_LEN; i++)
		vault_id[i] = (uint8_t)(0xa0 + i);
	pass = secret_of("correct horse");
	file = secret_of("key file\n");
	other = secret_of("incorrect horse");
	empty = secret_new(0);
	by_pass.passphrase = pass;
	by_file.keyfile = file;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	secret_free(master);
	secret_free(pass);
	secret_free(file);
	secret_free(other);
	secret_free(empty);
	return 0;
}

static int seal(const struct credential *c, const char *info, struct buf *out)
{
	return key_seal(master, 0, vault_id, seam_system(), SLOT, c, 14, info,
			out);
}

/* Open, and look at what came out where that went well. */
static int open_slot(const void *data, size_t len, const char *slot,
		     const struct credential *c)
{
	uint8_t id[VAULT_ID_LEN] = { 0 };
	struct secret *out = (void *)&id;
	bool is_put = true;
	int r;

	said = 0;
	r = key_open(data, len, slot, c, &out, &is_put, id);
	if (r < 0) {
		assert_null(out);
		return r;
	}
	assert_false(is_put);
	assert_int_equal(out->len, CRYPT_KEY_LEN);
	assert_memory_equal(out->data, master->data, CRYPT_KEY_LEN);
	assert_memory_equal(id, vault_id, VAULT_ID_LEN);
	assert_int_equal(said, 0);
	secret_free(out);
	return 0;
}

/* A box around a clear text, well-formed but sealed by nobody. */
static void box_around(const char *clear, struct buf *out)
{
	struct object_header h = { .type = OBJECT_KEY };
	uint8_t head[FORMAT_BOX_LEN] = { 0 };
	uint8_t tail[CRYPT_KEY_LEN + CRYPT_TAG_LEN] = { 0 };

	format_put_header(head, &h);
	put_le32(head + 96, (uint32_t)strlen(clear));
	put_le32(head + 100, CRYPT_KEY_LEN);
	put_le32(head + 104, CRYPT_KEY_LEN);
	buf_clear(out);
	buf_put(out, head, sizeof(head));
	buf_put(out, clear, strlen(clear));
	buf_put(out, tail, sizeof(tail));
	assert_int_equal(buf_error(out), 0);
}

static void put_hex(struct buf *out, const char *text)
{
	uint8_t raw[256];

	assert_int_equal(hex_decode(text, strlen(text) / 2, raw), 0);
	buf_put(out, raw, strlen(text) / 2);
}

/* ---- slots that another program made (tests/fuzz/corpus_key.py) ---- */

#define HEAD                                                                   \
	"766d6261636b75700100020000000000a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"     \
	"0606060606060606060606060606060606060606060606060606060606060606"

static void test_opens_a_foreign_keyfile_slot(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	put_hex(&b, HEAD "016b2664e476376ce5e73d3d11b2c15a"
			 "6884dd4e40dc2c1876f1c46a90bb1799"
			 "82000000200000002000000000000000");
	buf_printf(&b, "{\"kdf\":\"keyfile\",\"salt\":\"" SALT "\","
		       "\"info\":" INFO "}");
	put_hex(&b, "48b6634158d3cb088df6056cc9b12039f2d910ef07918cae"
		    "e6315539c43d5d9fb538c02a91b6d299b585582fc41894a5");
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_file), 0);
}

static void test_opens_a_foreign_passphrase_slot(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	put_hex(&b, HEAD "d6cdde3591ecc18d3ca76a173729cc59"
			 "460e7fd8fb650fc43d8ce981984e1108"
			 "98000000200000002000000000000000");
	buf_printf(&b, "{\"kdf\":\"scrypt\",\"log_n\":14,\"r\":8,\"p\":1,"
		       "\"salt\":\"" SALT "\",\"info\":" INFO "}");
	put_hex(&b, "8d59fbd70f7cbc3a14ba11c362dfbb25109e1c985a937d52"
		    "cb9639ba6733d086c95305eda49765ccf55a0c03988bcd63");
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_pass), 0);
}

/* ---- sealing and opening ---- */

static void test_round_trip(void **state)
{
	AUTO_BUF struct buf a = BUF_INIT;
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(seal(&by_pass, INFO, &a), 0);
	assert_true(a.len <= KEY_SLOT_MAX);
	assert_int_equal(open_slot(a.data, a.len, SLOT, &by_pass), 0);
	assert_int_equal(seal(&by_file, NULL, &a), 0);
	assert_int_equal(open_slot(a.data, a.len, SLOT, &by_file), 0);
	/* a second one of the same has other salts and another seal */
	assert_int_equal(seal(&by_file, NULL, &b), 0);
	assert_int_equal(a.len, b.len);
	assert_memory_not_equal(a.data + 32, b.data + 32, 64);
	assert_memory_not_equal(a.data + a.len - 48, b.data + b.len - 48, 48);
}

static void test_rejected_in_silence(void **state)
{
	struct credential wrong_pass = { .passphrase = other };
	struct credential wrong_file = { .keyfile = other };
	struct credential none = { NULL, NULL };
	AUTO_BUF struct buf p = BUF_INIT;
	AUTO_BUF struct buf f = BUF_INIT;

	(void)state;
	assert_int_equal(seal(&by_pass, NULL, &p), 0);
	assert_int_equal(seal(&by_file, NULL, &f), 0);
	assert_int_equal(open_slot(p.data, p.len, SLOT, &wrong_pass),
			 -EKEYREJECTED);
	assert_int_equal(said, 0);
	assert_int_equal(open_slot(f.data, f.len, SLOT, &wrong_file),
			 -EKEYREJECTED);
	assert_int_equal(said, 0);
	/* of another kind */
	assert_int_equal(open_slot(p.data, p.len, SLOT, &by_file),
			 -EKEYREJECTED);
	assert_int_equal(open_slot(f.data, f.len, SLOT, &by_pass),
			 -EKEYREJECTED);
	assert_int_equal(open_slot(f.data, f.len, SLOT, &none), -EKEYREJECTED);
	assert_int_equal(said, 0);
	/* under another slot's name */
	assert_int_equal(open_slot(f.data, f.len,
				   "0123456789abcdef0123456789abcdee",
				   &by_file),
			 -EKEYREJECTED);
	assert_int_equal(said, 0);
}

static void test_default_cost(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct box box;

	(void)state;
	assert_int_equal(key_seal(master, 0, vault_id, seam_system(), SLOT,
				  &by_pass, 0, NULL, &b),
			 0);
	assert_int_equal(
		format_parse_box(b.data, b.len, OBJECT_KEY, "key/x", &box), 0);
	assert_memory_equal(box.clear,
			    "{\"kdf\":\"scrypt\",\"log_n\":17,"
			    "\"r\":8,\"p\":1,\"salt\":\"",
			    46);
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_pass), 0);
}

static uint64_t cost; /* of the slot that was described last */

static void test_describe(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct key_info info;

	(void)state;
	assert_int_equal(seal(&by_file, INFO, &b), 0);
	assert_int_equal(key_describe(b.data, b.len, SLOT, &info, &cost), 0);
	assert_string_equal(info.slot, SLOT);
	assert_string_equal(info.kind, "keyfile");
	assert_int_equal(cost, 0);
	assert_string_equal(info.label, INFO);
	assert_false(info.current);
	free(info.label);
	assert_int_equal(seal(&by_pass, NULL, &b), 0);
	assert_int_equal(key_describe(b.data, b.len, SLOT, &info, &cost), 0);
	assert_string_equal(info.kind, "passphrase");
	assert_true(cost >= 1u << 14);
	assert_string_equal(info.label, "{}");
	free(info.label);
}

static void test_describe_is_safe_to_print(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct key_info info;
	const char *p;

	(void)state;
	assert_int_equal(
		seal(&by_file, "{\"label\":\"\\u001b[2J\xc3\xa9\"}", &b), 0);
	assert_int_equal(key_describe(b.data, b.len, SLOT, &info, &cost), 0);
	for (p = info.label; *p; p++)
		assert_in_range(*p, ' ', '~');
	free(info.label);
}

/* ---- damage ---- */

static void test_truncated(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct key_info info;
	size_t cut;

	(void)state;
	assert_int_equal(seal(&by_file, INFO, &b), 0);
	for (cut = 0; cut < b.len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		assert_non_null(exact);
		memcpy(exact, b.data, cut);
		assert_int_equal(open_slot(exact, cut, SLOT, &by_file),
				 -EBADMSG);
		assert_true(said > 0);
		assert_int_equal(key_describe(exact, cut, SLOT, &info, &cost),
				 -EBADMSG);
		assert_null(info.label);
		free(exact);
	}
	buf_put_u8(&b, 0); /* one byte more */
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_file), -EBADMSG);
}

static void test_every_byte_counts(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	assert_int_equal(seal(&by_file, INFO, &b), 0);
	for (i = 0; i < b.len; i++) {
		int r;

		b.data[i] ^= 1;
		r = open_slot(b.data, b.len, SLOT, &by_file);
		assert_true(r == -EBADMSG || r == -EKEYREJECTED ||
			    r == -EOPNOTSUPP);
		/* What is newer says nothing, but for a newer format. */
		if (r != -EOPNOTSUPP)
			assert_int_equal(said > 0, r == -EBADMSG);
		b.data[i] ^= 1;
	}
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_file), 0);
}

static void test_newer_things(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct key_info info;

	(void)state;
	box_around("{\"kdf\":\"x25519\",\"info\":{\"a\":1}}", &b);
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_file), -EOPNOTSUPP);
	assert_int_equal(said, 0);
	/* it can be listed, and then removed */
	assert_int_equal(key_describe(b.data, b.len, SLOT, &info, &cost), 0);
	assert_string_equal(info.kind, "unknown");
	assert_string_equal(info.label, "{\"a\":1}");
	free(info.label);
	put_le16(b.data + 8, FORMAT_VERSION + 1);
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_file), -EOPNOTSUPP);
}

#define SCRYPT(log_n, r, p)                                                    \
	"{\"kdf\":\"scrypt\",\"log_n\":" log_n ",\"r\":" r ",\"p\":" p         \
	",\"salt\":\"" SALT "\",\"info\":{}}"
#define BY_FILE(salt) "{\"kdf\":\"keyfile\",\"salt\":" salt ",\"info\":{}}"

static void test_clear_text_out_of_bounds(void **state)
{
	static const char *const bad[] = {
		SCRYPT("13", "8", "1"),
		SCRYPT("22", "8", "1"),
		SCRYPT("-1", "8", "1"),
		SCRYPT("14.0", "8", "1"),
		SCRYPT("\"14\"", "8", "1"),
		SCRYPT("4294967310", "8", "1"),
		SCRYPT("99999999999999999999", "8", "1"),
		SCRYPT("14", "7", "1"),
		SCRYPT("14", "1073741824", "1"),
		SCRYPT("14", "8", "0"),
		SCRYPT("14", "8", "5"),
		SCRYPT("14", "8", "null"),
		SCRYPT("true", "8", "1"),
		"{\"kdf\":\"scrypt\",\"r\":8,\"p\":1,\"salt\":\"" SALT
		"\",\"info\":{}}",
		BY_FILE("\"09\""),
		BY_FILE("\"" SALT "00\""),
		BY_FILE("7"),
		BY_FILE("\"A909090909090909090909090909090909090909"
			"090909090909090909090909\""),
		"{\"kdf\":\"keyfile\",\"info\":{}}",
		"{\"kdf\":\"keyfile\",\"salt\":\"" SALT "\"}",
		"{\"kdf\":\"keyfile\",\"salt\":\"" SALT "\",\"info\":[]}",
		"{\"kdf\":\"keyfile\",\"kdf\":\"keyfile\",\"salt\":\"" SALT
		"\",\"info\":{}}",
		"{\"kdf\":7,\"info\":{}}",
		"{\"info\":{}}",
		"[]",
		"7",
		"",
		"{",
		BY_FILE("\"" SALT "\"") "x",
	};
	AUTO_BUF struct buf b = BUF_INIT;
	struct key_info info;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		box_around(bad[i], &b);
		assert_int_equal(open_slot(b.data, b.len, SLOT, &by_pass),
				 -EBADMSG);
		assert_int_equal(said, 1);
		assert_int_equal(key_describe(b.data, b.len, SLOT, &info,
					      &cost),
				 -EBADMSG);
	}
	/* and within bounds it is only the seal that is wrong */
	box_around(SCRYPT("14", "8", "1"), &b);
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_pass),
			 -EKEYREJECTED);
	box_around(BY_FILE("\"" SALT "\""), &b);
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_file),
			 -EKEYREJECTED);
}

static void test_master_of_another_length(void **state)
{
	static const size_t lens[] = { 0, 31, 33 };
	AUTO_BUF struct buf b = BUF_INIT;
	uint8_t salt[CRYPT_SALT_LEN], kek[CRYPT_KEY_LEN], plain[33] = { 0 };
	const char *clear = BY_FILE("\"" SALT "\"");
	size_t i;

	(void)state;
	memset(salt, 9, sizeof(salt));
	assert_int_equal(crypt_keyfile_kek(file->data, file->len, salt, kek),
			 0);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		assert_int_equal(
			format_seal_box(NULL, kek, vault_id, seam_system(),
					OBJECT_KEY, "key/" SLOT, clear,
					strlen(clear), plain, lens[i], &b),
			0);
		assert_int_equal(open_slot(b.data, b.len, SLOT, &by_file),
				 -EOPNOTSUPP);
		assert_int_equal(said, 0);
	}
}

static void test_too_long(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	AUTO_BUF struct buf info = BUF_INIT;
	AUTO_BUF struct buf clear = BUF_INIT;
	struct key_info described;

	(void)state;
	buf_printf(&info, "{\"label\":\"%0*d\"}", (int)KEY_SLOT_MAX - 200, 0);
	buf_put_u8(&info, 0);
	said = 0;
	assert_int_equal(seal(&by_file, (char *)info.data, &b), -EMSGSIZE);
	assert_true(said > 0);
	assert_int_equal(b.len, 0);
	/* nor is one read that is whole but for that */
	buf_printf(&clear,
		   "{\"kdf\":\"keyfile\",\"salt\":\"" SALT "\","
		   "\"info\":%s}",
		   (char *)info.data);
	assert_true(clear.len <= FORMAT_CLEAR_MAX);
	buf_put_u8(&clear, 0);
	box_around((char *)clear.data, &b);
	assert_true(b.len > KEY_SLOT_MAX);
	assert_int_equal(open_slot(b.data, b.len, SLOT, &by_file), -EBADMSG);
	assert_int_equal(said, 1);
	assert_int_equal(key_describe(b.data, b.len, SLOT, &described, &cost),
			 -EBADMSG);
}

/* ---- what sealing refuses ---- */

static int no_random(struct seam *s, void *out, size_t len)
{
	(void)s;
	(void)out;
	(void)len;
	return -ENOSYS;
}

static void test_seal_refuses(void **state)
{
	static const struct seam_ops ops = { .random = no_random };
	struct seam broken = { &ops };
	struct credential none = { NULL, NULL };
	struct credential both = { pass, file };
	struct credential no_pass = { .passphrase = empty };
	struct credential no_file = { .keyfile = empty };
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	said = 0;
	assert_int_equal(seal(&none, NULL, &b), -EINVAL);
	assert_int_equal(seal(&both, NULL, &b), -EINVAL);
	assert_int_equal(seal(&no_pass, NULL, &b), -EINVAL);
	assert_int_equal(seal(&no_file, NULL, &b), -EINVAL);
	assert_int_equal(seal(&by_file, "[]", &b), -EINVAL);
	assert_int_equal(seal(&by_file, "{", &b), -EINVAL);
	assert_int_equal(key_seal(master, 0, vault_id, seam_system(), SLOT,
				  &by_pass, 13, NULL, &b),
			 -EINVAL);
	assert_int_equal(key_seal(master, 0, vault_id, seam_system(), SLOT,
				  &by_pass, 22, NULL, &b),
			 -EINVAL);
	assert_int_equal(said, 8);
	assert_int_equal(key_seal(master, 0, vault_id, &broken, SLOT, &by_file,
				  14, NULL, &b),
			 -ENOSYS);
	assert_int_equal(said, 9);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_opens_a_foreign_keyfile_slot),
		cmocka_unit_test(test_opens_a_foreign_passphrase_slot),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_rejected_in_silence),
		cmocka_unit_test(test_default_cost),
		cmocka_unit_test(test_describe),
		cmocka_unit_test(test_describe_is_safe_to_print),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_every_byte_counts),
		cmocka_unit_test(test_newer_things),
		cmocka_unit_test(test_clear_text_out_of_bounds),
		cmocka_unit_test(test_master_of_another_length),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_seal_refuses),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
