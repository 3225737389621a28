/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a vault demands of programs, from the start and added later. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <string.h>

#include "store/backend/mem.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/config.h"
#include "store/vault.h"
#include "store/writer/note.h"
#include "store/writer/writer.h"

/* What HKDF of another program (Python's hmac) makes of a secret. */
#define GEAR_0 UINT64_C(0xdf139326fce2074c)

/* Put feature/<n>, which demands that. */
static void demand(struct scene *s, int n, struct feature_words f)
{
	AUTO_BUF struct buf box = BUF_INIT;
	uint8_t clear[FEATURES_LEN];
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "feature/%d", n);
	features_encode(&f, clear);
	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), OBJECT_FEATURE, name,
				  clear, sizeof(clear), "{}", 2, &box));
	assert_ok(backend_put(s->backend, name, box.data, box.len));
}

/* Open the vault anew; nobody writes yet. */
static int reopen(struct scene *s)
{
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	support_log_clear();
	return vault_open(&s->options, &s->vault);
}

static int begin(struct scene *s)
{
	return writer_begin(s->vault, 1, s->pool, &s->writer);
}

/* Nothing of it may be written to, all of it is read. */
static void assert_read_only(struct scene *s, int err)
{
	size_t n = backend_mem_nobjects(s->backend);
	struct point_list *l;

	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, 1);
	assert_result(begin(s), err);
	assert_result(note_point(s->vault, l->points[0], NOTE_TEXT, "x", "me"),
		      err);
	assert_result(note_rename(s->vault, l, "m", "n", "me"), err);
	assert_int_equal(backend_mem_nobjects(s->backend), n);
	point_list_put(l);
}

static void words_that_are_known(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	/* What collectors and repairers must know is nothing to a backup. */
	demand(s, 0, (struct feature_words){ .read = 0 });
	demand(s, 7, (struct feature_words){ .collect = 1, .repair = 8 });
	assert_ok(reopen(s));
	assert_ok(begin(s));
	assert_string_equal(support_log_text(), "");
}

static void a_word_that_readers_must_know(void **state)
{
	struct scene *s = *state;

	demand(s, 0, (struct feature_words){ .read = 0 });
	demand(s, 3, (struct feature_words){ .read = 1u << 31 });
	assert_result(reopen(s), -EOPNOTSUPP);
	assert_said("needs a newer vmbackup to be read");
}

static void a_word_that_writers_must_know(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	demand(s, 0, (struct feature_words){ .write = 8 });
	assert_ok(reopen(s));
	assert_string_equal(support_log_text(), "");
	assert_read_only(s, -EOPNOTSUPP);
	assert_said("needs a newer vmbackup to be written to");
}

/* Each byte of it: what it demanded is not known, or it is as it was. */
static void a_damaged_one_keeps_from_writing(void **state)
{
	struct scene *s = *state;
	const uint8_t *data;
	uint8_t *bad;
	size_t len, at;

	assert_ok(sessions_commit(s));
	demand(s, 0, (struct feature_words){ .read = 0 });
	data = backend_mem_data(s->backend, "feature/0", &len);
	bad = malloc(len);
	assert_non_null(bad);
	for (at = 0; at < len; at++) {
		memcpy(bad, data, len);
		bad[at] ^= 1;
		assert_ok(backend_mem_remove(s->backend, "feature/0"));
		assert_ok(backend_put(s->backend, "feature/0", bad, len));
		assert_ok(reopen(s));
		assert_said("feature/0");
		assert_said("nothing is written to it");
		if (at % 16 == 0)
			assert_read_only(s, -EBADMSG);
		bad[at] ^= 1;
		assert_ok(backend_mem_remove(s->backend, "feature/0"));
		assert_ok(backend_put(s->backend, "feature/0", bad, len));
		data = backend_mem_data(s->backend, "feature/0", &len);
	}
	free(bad);
	assert_ok(reopen(s));
	assert_ok(begin(s));
}

static void what_cannot_be_listed_is_not_taken_for_nothing(void **state)
{
	struct scene *s = *state;

	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "feature/", 1,
			 -EHOSTUNREACH, 0);
	assert_result(reopen(s), -EHOSTUNREACH);
}

static void config_is_what_was_encoded(void **state)
{
	static const char *const bad[] = {
		"",
		"{}",
		"[]",
		"{\"format\":0}",
		"{\"format\":\"1\"}",
		"{\"format\":1,\"chunker\":\"\"}",
		"{\"format\":1,\"chunker\":1}",
		"{\"format\":1,\"chunker\":\"0011\"}",
	};
	struct config_doc c = { .created_ns = 5, .has_chunker = true }, again;
	AUTO_BUF struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	support_fill(1, c.chunker, sizeof(c.chunker));
	config_encode(&c, &b);
	assert_ok(buf_error(&b));
	assert_ok(config_decode(b.data, b.len, &again));
	assert_int_equal(again.created_ns, 5);
	assert_true(again.has_chunker);
	assert_memory_equal(again.chunker, c.chunker, sizeof(c.chunker));
	assert_ok(config_decode("{\"format\":1,\"more\":[]}", 22, &again));
	assert_false(again.has_chunker);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_result(config_decode(bad[i], strlen(bad[i]), &again),
			      -EBADMSG);
	assert_result(config_decode("{\"format\":2}", 12, &again), -EOPNOTSUPP);
}

/* The gear of the scene's vault, as a sum. */
static uint64_t gear_of(struct scene *s)
{
	const uint64_t *gear = keyring_gear(vault_keyring(s->vault));
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < 256; i++)
		sum = sum * 31 + gear[i];
	return sum;
}

/* Put another config, and its copy, with the words of the old one. */
static void replace_config(struct scene *s, const char *text)
{
	static const char *const both[] = { "config", "config.copy" };
	static const uint8_t none[FEATURES_LEN];
	AUTO_BUF struct buf box = BUF_INIT;
	size_t i;

	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), OBJECT_CONFIG, "config",
				  none, sizeof(none), text, strlen(text),
				  &box));
	for (i = 0; i < ARRAY_SIZE(both); i++)
		assert_ok(backend_mem_set(s->backend, both[i], box.data,
					  box.len));
}

static void a_new_vault_may_cut_like_another(void **state)
{
	struct scene *s = *state;
	struct backend *b = backend_mem_new();
	struct vault_options o = s->options;
	uint8_t chunker[CHUNKER_LEN];
	struct vault *v;
	char id[33];

	assert_non_null(b);
	o.backend = b;
	assert_ok(vault_chunker(s->vault, chunker));
	o.chunker = chunker;
	assert_ok(vault_create(&o, 0, id));
	o.chunker = NULL;
	assert_ok(vault_open(&o, &v));
	assert_memory_equal(keyring_gear(vault_keyring(v)),
			    keyring_gear(vault_keyring(s->vault)), 2048);
	/* And nothing else is the same. */
	assert_memory_not_equal(keyring_vault_id(vault_keyring(v)),
				keyring_vault_id(vault_keyring(s->vault)),
				VAULT_ID_LEN);
	assert_memory_not_equal(keyring_master(vault_keyring(v))->data,
				keyring_master(vault_keyring(s->vault))->data,
				CRYPT_KEY_LEN);
	vault_close(v);
	backend_close(b);
	/* An old one has nothing to give. */
	replace_config(s, "{\"format\":1,\"created_ns\":1}");
	assert_ok(reopen(s));
	support_log_clear();
	assert_result(vault_chunker(s->vault, chunker), -ENODATA);
	assert_said("no other can cut alike");
}

static void the_chunker_has_a_secret_of_its_own(void **state)
{
	struct scene *s = *state;
	const struct keyring *k = vault_keyring(s->vault);
	struct keyring *plain;
	uint64_t fresh = gear_of(s), old;
	char text[200];

	/* A new vault's follows from its own, not from the master key. */
	assert_ok(keyring_new(keyring_master(k), keyring_vault_id(k), &plain));
	assert_memory_not_equal(keyring_gear(plain), keyring_gear(k), 2048);
	assert_memory_equal(keyring_sipkey(plain), keyring_sipkey(k), 16);
	keyring_free(plain);
	assert_ok(reopen(s));
	assert_int_equal(gear_of(s), fresh);
	/* One without is as it always was. */
	replace_config(s, "{\"format\":1,\"created_ns\":1}");
	assert_ok(reopen(s));
	old = gear_of(s);
	k = vault_keyring(s->vault);
	assert_ok(keyring_new(keyring_master(k), keyring_vault_id(k), &plain));
	assert_memory_equal(keyring_gear(plain), keyring_gear(k), 2048);
	keyring_free(plain);
	assert_true(old != fresh);
	/* The first value of the gear of 32 bytes 0x11, by another program. */
	memset(text, 0, sizeof(text));
	snprintf(text, sizeof(text), "{\"format\":1,\"chunker\":\"");
	memset(text + strlen(text), '1', 64);
	snprintf(text + strlen(text), 3, "\"}");
	replace_config(s, text);
	assert_ok(reopen(s));
	assert_true(keyring_gear(vault_keyring(s->vault))[0] == GEAR_0);
	/* One that is not understood is not taken for none. */
	replace_config(s, "{\"format\":1,\"chunker\":\"11\"}");
	assert_result(reopen(s), -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(words_that_are_known,
						sessions_setup,
						sessions_teardown),
		cmocka_unit_test_setup_teardown(a_word_that_readers_must_know,
						sessions_setup,
						sessions_teardown),
		cmocka_unit_test_setup_teardown(a_word_that_writers_must_know,
						sessions_setup,
						sessions_teardown),
		cmocka_unit_test_setup_teardown(
			a_damaged_one_keeps_from_writing, sessions_setup,
			sessions_teardown),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_listed_is_not_taken_for_nothing,
			sessions_setup, sessions_teardown),
		cmocka_unit_test(config_is_what_was_encoded),
		cmocka_unit_test_setup_teardown(
			the_chunker_has_a_secret_of_its_own, sessions_setup,
			sessions_teardown),
		cmocka_unit_test_setup_teardown(
			a_new_vault_may_cut_like_another, sessions_setup,
			sessions_teardown),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
