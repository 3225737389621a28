/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * "repair keys", and what opens a vault: its config twice, key slots, epochs. Nobody who
 * could open the vault is kept from it, whatever is mended, and by whom. That each
 * damage of one config is mended by the other test_corpus.c shows.
 */
#include "config.h"

#include "tests/unit/repairs.h"
#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/epoch/rotate.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/config.h"

static const char *const configs[] = { "config", "config.copy" };

static void close_scene(struct scene *s)
{
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	s->vault = NULL;
	support_log_clear();
	repair_said[0] = '\0';
}

static int reopen(struct scene *s)
{
	close_scene(s);
	return vault_open(&s->options, &s->vault);
}

static int rotate_vault(struct vault *v, const struct credential *c)
{
	struct rotate_key key = { .credential = c };
	uint32_t epoch;

	return rotate_run(v, &key, 1, 0, &epoch);
}

static int rotate(struct scene *s)
{
	return rotate_vault(s->vault, &s->options.credential);
}

static void flip(struct backend *b, const char *name, size_t at)
{
	size_t len;
	uint8_t *data = backend_mem_data(b, name, &len);

	assert_non_null(data);
	data[at < len ? at : len - 1] ^= 0x10;
}

static void assert_bytes(struct backend *a, struct backend *b, const char *name)
{
	size_t la, lb;
	const uint8_t *da = backend_mem_data(a, name, &la);
	const uint8_t *db = backend_mem_data(b, name, &lb);

	assert_non_null(da);
	assert_non_null(db);
	assert_int_equal(la, lb);
	assert_memory_equal(da, db, la);
}

/* Mend the vault: a dry run changes nothing, and says as much as the real one does, and
 * a second one finds nothing. Return how much was mended. */
static uint64_t mend(struct scene *s, uint64_t left)
{
	struct backend *before = backend_mem_clone(s->backend);
	struct repair_result dry, res;

	assert_non_null(before);
	close_scene(s);
	assert_ok(repair_run(s->backend, repair_keys, false, NULL, &dry));
	assert_true(backends_are_same(before, s->backend));
	assert_ok(repair_run(s->backend, repair_keys, true, NULL, &res));
	assert_int_equal(dry.repaired, res.repaired);
	assert_int_equal(dry.left, left);
	assert_int_equal(res.left, left);
	assert_ok(repair_run(s->backend, repair_keys, true, NULL, &dry));
	assert_int_equal(dry.repaired, 0);
	backend_close(before);
	return res.repaired;
}

/* The same by what @from has. */
static int mend_from(struct scene *s, struct backend *from, bool apply,
		     struct repair_result *out)
{
	struct vault_options o = vaults_options(NULL, from, NULL, NULL);
	struct repair_options ro = { .apply = apply };
	struct vault *v;
	int r;

	*out = (struct repair_result){ .repaired = 0 };
	assert_ok(vault_open(&o, &v));
	r = repair_keys_from(s->backend, v, &ro, out);
	vault_close(v);
	return r;
}

/* ---- config ---- */

/* Vaults of before have none, and one whose maker died there. */
static void a_vault_without_a_copy(void **state)
{
	struct scene *s = *state;
	struct backend *first;
	char id[33];

	assert_ok(sessions_commit(s));
	first = backend_mem_clone(s->backend);
	assert_non_null(first);
	assert_ok(backend_mem_remove(s->backend, "config.copy"));
	assert_ok(reopen(s));
	assert_string_equal(support_log_text(), "");
	assert_int_equal(vaults_check(&s->options), 0);
	assert_int_equal(mend(s, 0), 1);
	assert_true(backends_are_same(first, s->backend));
	/* Nobody makes another vault where one lost its config. */
	assert_ok(backend_mem_remove(s->backend, "config"));
	assert_result(vault_create(&s->options, 0, id), -EEXIST);
	assert_int_equal(sessions_nobjects(s, "config"), 1);
	assert_int_equal(mend(s, 0), 1);
	backend_close(first);
}

/* The one that is damaged is passed over with a word, and the vault is written to. */
static void a_vault_is_used_by_its_copy(void **state)
{
	struct scene *s = *state;

	flip(s->backend, "config", 17); /* in the vault's id */
	assert_ok(reopen(s));
	assert_said("its config is damaged, and the vault was opened by the "
		    "second copy");
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	assert_ok(sessions_commit(s));
	assert_int_equal(sessions_npoints(s), 1);
	assert_int_equal(judge(s->backend, "config", NULL), NAMED);
	assert_int_equal(mend(s, 0), 1);
	assert_ok(reopen(s));
	assert_string_equal(support_log_text(), "");
}

/* What a program that is too old cannot judge it leaves alone, and writes nothing. */
static void a_config_that_may_be_newer(void **state)
{
	struct scene *s = *state;
	size_t len;

	assert_ok(sessions_commit(s));
	backend_mem_data(s->backend, "config", &len)[8] = 2;
	flip(s->backend, "config", 70);
	assert_ok(reopen(s));
	assert_int_equal(sessions_npoints(s), 1);
	assert_result(writer_begin(s->vault, 1, s->pool, &s->writer), -EBADMSG);
	assert_said("of a newer vmbackup");
	assert_int_equal(mend(s, 1), 0);
	/* Nor the copy. */
	flip(s->backend, "config", 70);
	backend_mem_data(s->backend, "config", &len)[8] = 1;
	backend_mem_data(s->backend, "config.copy", &len)[8] = 2;
	flip(s->backend, "config.copy", 70);
	assert_int_equal(mend(s, 1), 0);
	assert_ok(reopen(s));
	assert_string_equal(support_log_text(), "");
}

/* Somebody who has the key, or an earlier one of the vault, demands that programs know
 * more than the copy says: that is believed. */
static void another_config_by_who_has_the_key(void **state)
{
	struct feature_words words = { .read = 0 };
	struct scene *s = *state;
	AUTO_BUF struct buf box = BUF_INIT;
	uint8_t clear[FEATURES_LEN];

	assert_ok(sessions_commit(s));
	features_encode(&words, clear);
	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), OBJECT_CONFIG, "config",
				  clear, sizeof(clear), "{\"format\":1}", 12,
				  &box));
	assert_ok(
		backend_mem_set(s->backend, "config.copy", box.data, box.len));
	assert_ok(reopen(s));
	assert_string_equal(support_log_text(), "");
	assert_int_equal(judge(s->backend, "config.copy", NULL), NAMED);
	assert_int_equal(mend(s, 1), 0);
	words.read = 0x80;
	features_encode(&words, clear);
	assert_ok(reopen(s));
	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), OBJECT_CONFIG, "config",
				  clear, sizeof(clear), "{\"format\":1}", 12,
				  &box));
	assert_ok(backend_mem_set(s->backend, "config", box.data, box.len));
	assert_result(reopen(s), -EOPNOTSUPP);
}

/* Both are lost: the keys of a copy, or a copy of the keys, open the vault again, if it
 * is of this vault; and no other config becomes its own. */
static void both_configs_are_lost(void **state)
{
	struct scene *s = *state, *other = NULL;
	struct repair_result res;
	struct backend *from;
	void *pointer = NULL;
	size_t way, i;

	assert_ok(sessions_commit(s));
	from = backend_mem_clone(s->backend);
	assert_non_null(from);
	assert_ok(sessions_setup(&pointer));
	other = pointer;
	for (way = 0; way < 3; way++) {
		for (i = 0; i < ARRAY_SIZE(configs); i++) {
			if (way == 0)
				assert_ok(backend_mem_remove(s->backend,
							     configs[i]));
			else
				flip(s->backend, configs[i],
				     way == 1 ? 17 : 1000);
		}
		assert_true(reopen(s) < 0);
		assert_result(mend_from(s, other->backend, true, &res),
			      -EINVAL);
		assert_int_equal(res.repaired, 0);
		assert_ok(mend_from(s, from, false, &res));
		assert_int_equal(res.repaired, 2);
		assert_false(vault_opens(s->backend));
		assert_ok(mend_from(s, from, true, &res));
		assert_int_equal(res.repaired, 2);
		assert_true(backends_are_same(from, s->backend));
		assert_ok(mend_from(s, from, true, &res));
		assert_int_equal(res.repaired, 0);
	}
	(void)sessions_teardown(&pointer);
	backend_close(from);
}

/* ---- slots ---- */

/* What opened the copy is put back where it is damaged, not where it is gone; another's
 * is only told. */
static void slots_are_never_fewer(void **state)
{
	struct scene *s = *state;
	struct secret *key = secret_new(32);
	struct credential c = { .keyfile = key };
	struct repair_result res;
	struct backend *from;
	char own[64], slot[33], theirs[64];

	assert_non_null(key);
	memset(key->data, 7, key->len);
	assert_ok(sessions_commit(s));
	snprintf(own, sizeof(own), "key/%s", vault_slot(s->vault));
	assert_ok(vault_key_add(s->vault, &c, 0, NULL, slot));
	snprintf(theirs, sizeof(theirs), "key/%s", slot);
	from = backend_mem_clone(s->backend);
	assert_non_null(from);
	assert_ok(backend_mem_resize(s->backend, theirs, 100));
	assert_int_equal(mend(s, 1), 0);
	assert_non_null(strstr(repair_said, theirs));
	assert_ok(mend_from(s, from, true, &res));
	assert_int_equal(res.repaired, 0);
	/* With the own one, all that open it are damaged. */
	flip(s->backend, own, 1000);
	assert_false(vault_opens(s->backend));
	assert_ok(mend_from(s, from, true, &res));
	assert_int_equal(res.repaired, 1);
	assert_true(vault_opens(s->backend));
	assert_bytes(from, s->backend, own);
	assert_ok(backend_mem_remove(s->backend, own));
	assert_ok(mend_from(s, from, true, &res));
	assert_int_equal(res.repaired, 0);
	assert_int_equal(sessions_nobjects(s, "key/"), 1);
	backend_close(from);
	secret_free(key);
	close_scene(s);
}

/* ---- epochs ---- */

static void assert_writes(struct scene *s, uint32_t epoch)
{
	assert_ok(reopen(s));
	assert_string_equal(support_log_text(), "");
	assert_int_equal(keyring_epoch(vault_keyring(s->vault)), epoch);
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	assert_ok(sessions_commit(s));
	assert_int_equal(vaults_check(&s->options), 0);
}

/* What was sealed with the key in use proves it. */
static void objects_of_epochs_are_made_anew(void **state)
{
	static const char *const names[] = { "epoch/1", "epoch/2" };
	struct scene *s = *state;
	size_t i, at, len;

	assert_ok(sessions_commit(s));
	assert_ok(rotate(s));
	assert_writes(s, 1);
	assert_ok(rotate(s));
	assert_writes(s, 2);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		assert_non_null(backend_mem_data(s->backend, names[i], &len));
		for (at = 0; at < len; at += at < 112 ? 5 : 29) {
			flip(s->backend, names[i], at);
			assert_int_equal(mend(s, 0), 1);
			assert_writes(s, 2);
		}
		assert_ok(backend_mem_remove(s->backend, names[i]));
		assert_int_equal(mend(s, 0), 1);
		assert_writes(s, 2);
	}
	assert_ok(backend_mem_remove(s->backend, names[0]));
	assert_ok(backend_mem_remove(s->backend, names[1]));
	assert_ok(backend_mem_remove(s->backend,
				     sessions_first_object(s, "feature/")));
	assert_int_equal(mend(s, 0), 3);
	assert_writes(s, 2);
	assert_int_equal(sessions_nobjects(s, "feature/"), 1);
}

/* Nothing was sealed since. What is gone may not have been there: then the rotation is
 * finished. What is damaged may have been another's. */
static void an_epoch_that_nothing_proves(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	assert_ok(rotate(s));
	flip(s->backend, "epoch/1", 70);
	assert_int_equal(mend(s, 1), 0);
	assert_ok(backend_mem_remove(s->backend, "epoch/1"));
	assert_int_equal(mend(s, 0), 1);
	assert_writes(s, 1);
}

static int rotate_meanwhile(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;
	struct vault *v;

	if (op != BACKEND_MEM_PUT || strcmp(name, "epoch/1") != 0)
		return 0;
	backend_mem_watch(s->backend, NULL, NULL);
	assert_ok(vault_open(&s->options, &v));
	assert_ok(rotate_vault(v, &s->options.credential));
	vault_close(v);
	/* And here this one dies. */
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "epoch/", 1, -EIO, 0);
	return -EIO;
}

/* Of two that rotate the slower dies and leaves its slot. By that alone nobody takes the
 * epoch of the faster one for damaged, nor its place once it is lost. */
static void the_slot_of_who_was_slower(void **state)
{
	struct scene *s = *state;
	char slot[64];

	assert_ok(sessions_commit(s));
	backend_mem_watch(s->backend, rotate_meanwhile, s);
	assert_true(rotate(s) < 0);
	backend_mem_heal(s->backend);
	assert_writes(s, 1);
	assert_int_equal(sessions_nobjects(s, "key/"), 2);
	/* The faster one's slot is lost. */
	snprintf(slot, sizeof(slot), "key/%s", vault_slot(s->vault));
	assert_ok(backend_mem_remove(s->backend, slot));
	assert_ok(reopen(s));
	assert_said("epoch/1 does not bear it out");
	assert_int_equal(mend(s, 1), 0);
	assert_ok(backend_mem_remove(s->backend, "epoch/1"));
	assert_int_equal(mend(s, 1), 0);
}

#define WITH_SCENE(test)                                                       \
	cmocka_unit_test_setup_teardown(test, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCENE(a_vault_without_a_copy),
		WITH_SCENE(a_vault_is_used_by_its_copy),
		WITH_SCENE(a_config_that_may_be_newer),
		WITH_SCENE(another_config_by_who_has_the_key),
		WITH_SCENE(both_configs_are_lost),
		WITH_SCENE(slots_are_never_fewer),
		WITH_SCENE(objects_of_epochs_are_made_anew),
		WITH_SCENE(an_epoch_that_nothing_proves),
		WITH_SCENE(the_slot_of_who_was_slower),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
