/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of objects, and what the small ones hold. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/name.h"
#include "store/record/commit.h"
#include "store/record/note.h"
#include "store/record/pack_list.h"
#include "store/record/quarantine.h"

#define SID "00112233445566778899aabbccddeeff"
#define HASH "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f"
#define PACK_A SID "-0-" HASH
#define PACK_B SID "-1-" HASH

static void test_numbered(void **state)
{
	static const char *const wrong[] = {
		"note/" SID,
		"note/" SID "-",
		"note/" SID "-01",
		"note/" SID "-1x",
		"note/" SID "-1.m",
		"note/" SID "-4294967296",
		"tomb/" SID "-1",
		"note/" SID "_1",
		"note/0" SID "-1",
		"note/-" SID "-1",
		"note/",
		"not",
		"note/" SID "-+1",
		"note/" SID "- 1",
	};
	char hex[NAME_HEX + 1];
	uint32_t n = 7;

	(void)state;
	assert_true(name_numbered("note/" SID "-0", "note/", hex, &n));
	assert_string_equal(hex, SID);
	assert_int_equal(n, 0);
	assert_true(name_numbered("note/" SID "-4294967295", "note/", hex, &n));
	assert_int_equal(n, UINT32_MAX);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(name_numbered(wrong[i], "note/", hex, NULL));
}

static void test_pack_names(void **state)
{
	size_t end;

	(void)state;
	assert_true(name_is_pack(PACK_A, &end));
	assert_int_equal(end, 34);
	assert_true(name_is_pack(SID "-4294967295-" HASH, NULL));
	assert_false(name_is_pack(SID "-00-" HASH, NULL));
	assert_false(name_is_pack(SID "-4294967296-" HASH, NULL));
	assert_false(name_is_pack(SID "-0-" HASH "0", NULL));
	assert_false(name_is_pack(SID "-0-", NULL));
	assert_false(name_is_pack(SID "--" HASH, NULL));
	assert_false(name_is_pack("", NULL));
	assert_true(name_is_hex(SID));
	assert_false(name_is_hex(SID "0"));
	assert_false(name_is_hex("0011"));
}

static void test_object_names(void **state)
{
	static const char *const right[] = {
		"config",
		"key/" SID,
		"session/" SID,
		"pack/00/" PACK_A,
		"index/" SID "-0",
		"index/" SID "-7.m",
		"point/" SID,
		"commit/" SID,
		"purge/" SID "-10",
		"tomb/" SID,
		"tomb/" SID "-1",
		"sweep/" SID,
		"sweep/" SID "-0",
		"quarantine/" PACK_A,
		"quarantine/" PACK_A "-1",
		"quarantine/" PACK_A "-4294967295",
		"note/" SID "-0",
		"feature/0",
		"feature/4294967295",
		"heartbeat/" SID "-0",
		"digest/" SID "-0",
		"ledger/" SID "-0",
		"forget/" SID "-0",
		"machine/" SID "-0",
		"epoch/1",
		"window/30",
	};
	static const char *const wrong[] = {
		"",
		"config/",
		"config2",
		"key",
		"key/",
		"key/desktop.ini",
		"key/" SID "0",
		"tomb/readme",
		"tomb/" SID "-",
		"tomb/" SID "/x",
		"sweep/1",
		"key/" SID "-0",
		"session/" SID "/x",
		"pack/" PACK_A,
		"pack/01/" PACK_A,
		"pack/00/",
		"pack/0",
		"pack/00/" SID,
		"index/" SID,
		"index/" SID "-00",
		"index/" SID "-0.m.m",
		"index/" SID ".m",
		"quarantine/00/" PACK_A,
		"quarantine/" PACK_A "-0",
		"quarantine/" PACK_A "-01",
		"quarantine/" PACK_A "-4294967296",
		"quarantine/" PACK_A "-",
		"quarantine/" PACK_A "-1-1",
		"quarantine/" PACK_A "-1.m",
		"quarantine/" SID "-1",
		"feature/",
		"feature/00",
		"feature/4294967296",
		"feature/1x",
		"window/",
		"probe/" SID,
		"later/" SID,
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(right); i++)
		assert_true(name_is_object(right[i]));
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_false(name_is_object(wrong[i]));
}

static void test_list(void **state)
{
	struct pack_list l = { 0 };

	(void)state;
	assert_false(pack_list_has(&l, PACK_A));
	assert_result(pack_list_add(&l, "pack/" PACK_A), -EINVAL);
	assert_ok(pack_list_add(&l, PACK_B));
	assert_ok(pack_list_add(&l, PACK_A));
	assert_ok(pack_list_add(&l, PACK_B));
	pack_list_sort(&l);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.names[0], PACK_A);
	assert_string_equal(l.names[1], PACK_B);
	assert_true(pack_list_has(&l, PACK_B));
	assert_false(pack_list_has(&l, SID "-2-" HASH));
	pack_list_release(&l);
}

static void test_tomb(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct pack_list l = { 0 }, back = { 0 };

	(void)state;
	tomb_encode(&l, &b);
	assert_ok(buf_error(&b));
	assert_ok(tomb_decode(b.data, b.len, "tomb/x", &back));
	assert_int_equal(back.n, 0);
	assert_ok(pack_list_add(&l, PACK_A));
	assert_ok(pack_list_add(&l, PACK_B));
	buf_clear(&b);
	tomb_encode(&l, &b);
	assert_ok(tomb_decode(b.data, b.len, "tomb/x", &back));
	assert_int_equal(back.n, 2);
	/* Two tombs add up. */
	assert_ok(tomb_decode(b.data, b.len, "tomb/x", &back));
	assert_int_equal(back.n, 4);
	pack_list_release(&back);
	/* Any part of it is malformed, and so is more. */
	for (size_t i = 0; i < b.len; i++) {
		assert_result(tomb_decode(b.data, i, "tomb/x", &back),
			      -EBADMSG);
		pack_list_release(&back);
	}
	assert_said("tomb/x: authentic, but malformed");
	buf_put_u8(&b, 0);
	assert_result(tomb_decode(b.data, b.len, "tomb/x", &back), -EBADMSG);
	pack_list_release(&back);
	pack_list_release(&l);
}

static void test_tomb_order(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct pack_list back = { 0 };

	(void)state;
	buf_put_varint(&b, 2);
	buf_put_bytes(&b, PACK_B, strlen(PACK_B));
	buf_put_bytes(&b, PACK_A, strlen(PACK_A));
	assert_result(tomb_decode(b.data, b.len, "t", &back), -EBADMSG);
	pack_list_release(&back);
	buf_clear(&b);
	buf_put_varint(&b, (uint64_t)PACK_LIST_MAX + 1);
	assert_result(tomb_decode(b.data, b.len, "t", &back), -EBADMSG);
	assert_int_equal(back.n, 0);
}

static void test_sweep(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct pack_list l = { 0 }, back = { 0 };
	bool aborted;

	(void)state;
	assert_ok(pack_list_add(&l, PACK_A));
	sweep_encode(&l, &b);
	assert_ok(sweep_decode(b.data, b.len, "s", &aborted, &back));
	assert_false(aborted);
	assert_int_equal(back.n, 1);
	pack_list_release(&back);
	b.data[0] = 2; /* aborted, with packs */
	assert_result(sweep_decode(b.data, b.len, "s", &aborted, &back),
		      -EBADMSG);
	pack_list_release(&back);
	b.data[0] = 3;
	assert_result(sweep_decode(b.data, b.len, "s", &aborted, &back),
		      -EBADMSG);
	buf_clear(&b);
	sweep_encode(NULL, &b);
	assert_ok(sweep_decode(b.data, b.len, "s", &aborted, &back));
	assert_true(aborted);
	assert_int_equal(back.n, 0);
	pack_list_release(&l);
}

static void test_note(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct note n;

	(void)state;
	assert_ok(note_encode(NOTE_TAG, "gold", "root@web1", 42, &b));
	assert_ok(note_decode(b.data, b.len, "note/x", &n));
	assert_int_equal(n.kind, NOTE_TAG);
	assert_string_equal(n.word, "tag");
	assert_string_equal(n.text, "gold");
	assert_string_equal(n.by, "root@web1");
	assert_int_equal(n.time_ns, 42);
	note_release(&n);
	buf_clear(&b);
	assert_ok(note_encode(NOTE_PROTECT, NULL, NULL, -1, &b));
	assert_ok(note_decode(b.data, b.len, "note/x", &n));
	assert_int_equal(n.kind, NOTE_PROTECT);
	assert_null(n.text);
	assert_null(n.by);
	assert_int_equal(n.time_ns, -1);
	note_release(&n);
}

static void test_note_refused(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	char *long_text = malloc(NOTE_TEXT_MAX + 2);

	(void)state;
	assert_non_null(long_text);
	memset(long_text, 'x', NOTE_TEXT_MAX + 1);
	long_text[NOTE_TEXT_MAX + 1] = '\0';
	assert_result(note_encode(NOTE_TEXT, NULL, NULL, 0, &b), -EINVAL);
	assert_result(note_encode(NOTE_NAME, "", NULL, 0, &b), -EINVAL);
	assert_result(note_encode(NOTE_TEXT, "a\nb", NULL, 0, &b), -EINVAL);
	assert_result(note_encode(NOTE_TEXT, "\xff", NULL, 0, &b), -EINVAL);
	assert_result(note_encode(NOTE_TEXT, long_text, NULL, 0, &b), -EINVAL);
	assert_result(note_encode(NOTE_OTHER, "x", NULL, 0, &b), -EINVAL);
	long_text[NOTE_TEXT_MAX] = '\0';
	assert_ok(note_encode(NOTE_TEXT, long_text, NULL, 0, &b));
	free(long_text);
}

static void test_note_decoding(void **state)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"{}",
		"{\"kind\":5}",
		"{\"kind\":\"\"}",
		"{\"kind\":\"tag\"}",
		"{\"kind\":\"tag\",\"text\":7}",
		"{\"kind\":\"protect\",\"time_ns\":\"now\"}",
		"{\"kind\":\"text\",\"text\":\"a\\u001b[2J\"}",
		"{\"kind\":\"0123456789012345678901234567890123\"}",
	};
	struct note n;
	const char *text = "{\"kind\":\"burned\",\"text\":\"to a disc\","
			   "\"colour\":[1,2]}";

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_result(note_decode(wrong[i], strlen(wrong[i]), "n", &n),
			      -EBADMSG);
	assert_ok(note_decode(text, strlen(text), "n", &n));
	assert_int_equal(n.kind, NOTE_OTHER);
	assert_string_equal(n.word, "burned");
	assert_string_equal(n.text, "to a disc");
	note_release(&n);
}

static void test_commit(void **state)
{
	static const char *const wrong[] = {
		"{\"decision\":\"COMMIT\",\"point\":\"" SID
		"\",\"point_sha256\":\"" HASH "\"}",
		"{\"decision\":\"FENCED\",\"session\":\"" SID "0\"}",
	};
	struct commit c = { .point = SID }, back;
	AUTO_BUF struct buf b = BUF_INIT;

	(void)state;
	commit_encode(&c, SID, &b);
	assert_ok(commit_decode(b.data, b.len, "commit/" SID, &back));
	assert_string_equal(back.point, SID);
	/* A register of another session is none of this one. */
	assert_result(commit_decode(b.data, b.len, "commit/1" SID, &back),
		      -EBADMSG);
	buf_clear(&b);
	commit_encode_fenced(SID, &b);
	assert_ok(commit_decode(b.data, b.len, "commit/" SID, &back));
	assert_string_equal(back.point, "");
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_result(commit_decode(wrong[i], strlen(wrong[i]),
					    "commit/" SID, &back),
			      -EBADMSG);
}

static void add(struct quarantine_list *l, const char *pack, uint32_t n)
{
	char name[OBJECT_NAME_MAX];

	quarantine_name(pack, n, name);
	assert_true(name_is_object(name));
	assert_ok(quarantine_list_add(l, name));
}

static void test_quarantine(void **state)
{
	struct quarantine_list l = { .n = 0 };
	AUTO_BUF struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	quarantine_list_sort(&l);
	assert_int_equal(quarantine_list_find(&l, PACK_A), 0);
	add(&l, PACK_B, 9);
	add(&l, PACK_A, 2);
	add(&l, PACK_B, 10);
	add(&l, PACK_A, 0);
	add(&l, PACK_A, 1);
	add(&l, PACK_B, 0);
	assert_result(quarantine_list_add(&l, "quarantine/x"), -EINVAL);
	quarantine_list_sort(&l);
	assert_int_equal(l.n, 6);
	i = quarantine_list_find(&l, PACK_A);
	assert_int_equal(l.items[i].n, 2);
	i = quarantine_list_next(&l, i);
	assert_int_equal(i, quarantine_list_find(&l, PACK_B));
	assert_int_equal(l.items[i].n, 10);
	assert_int_equal(quarantine_list_next(&l, i), l.n);
	assert_int_equal(quarantine_list_find(&l, SID), l.n);
	quarantine_list_release(&l);
	assert_false(quarantine_is_lifted(0));
	assert_true(quarantine_is_lifted(1));

	assert_ok(quarantine_encode("missing", "root@web1", 5, &b));
	assert_ok(quarantine_decode(b.data, b.len, "q"));
	buf_clear(&b);
	assert_ok(quarantine_encode("missing", NULL, 5, &b));
	assert_ok(quarantine_decode(b.data, b.len, "q"));
	assert_ok(quarantine_decode("{}", 2, "q"));
	assert_result(quarantine_decode("", 0, "q"), -EBADMSG);
	assert_result(quarantine_decode("[]", 2, "q"), -EBADMSG);
	assert_result(quarantine_decode("{\"what\":1}", 10, "q"), -EBADMSG);
	assert_result(quarantine_decode("{\"by\":{}}", 9, "q"), -EBADMSG);
	assert_result(quarantine_decode("{\"time_ns\":\"\"}", 14, "q"),
		      -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbered),
		cmocka_unit_test(test_pack_names),
		cmocka_unit_test(test_object_names),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_quarantine),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_tomb),
		cmocka_unit_test(test_tomb_order),
		cmocka_unit_test(test_sweep),
		cmocka_unit_test(test_note),
		cmocka_unit_test(test_note_refused),
		cmocka_unit_test(test_note_decoding),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
