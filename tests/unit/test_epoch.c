/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rotations of a vault's keys: who can open what, and what becomes of one that is
 * ended anywhere, or that two begin at once. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/bytes.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/epoch/epoch.h"
#include "store/epoch/rotate.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "tests/unit/vaults.h"

static struct secret *second_key(void)
{
	struct secret *s = secret_new(32);

	assert_non_null(s);
	memset(s->data, 0x5a, s->len);
	return s;
}

static int rotate_with(struct vault *v, const struct credential *own,
		       const struct credential *other)
{
	struct rotate_key keys[2] = { { .credential = own },
				      { .credential = other } };
	uint32_t epoch;

	return rotate_run(v, keys, other ? 2 : 1, 0, &epoch);
}

static int rotate(struct scene *s)
{
	return rotate_with(s->vault, &s->options.credential, NULL);
}

/* Nobody writes; the vault is opened with @key, NULL: that of the options. */
static int reopen_with(struct scene *s, const struct secret *key)
{
	struct vault_options o = s->options;

	if (key)
		o.credential = (struct credential){ .keyfile = key };
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	s->vault = NULL;
	support_log_clear();
	return vault_open(&o, &s->vault);
}

static int begin(struct scene *s)
{
	return writer_begin(s->vault, 1, s->pool, &s->writer);
}

/* Of how many objects below @prefix the header says @epoch. */
static size_t nof_epoch(struct scene *s, const char *prefix, uint32_t epoch)
{
	size_t i, n = 0, len;

	for (i = 0; i < backend_mem_nobjects(s->backend); i++) {
		const char *name = backend_mem_name(s->backend, i);
		const uint8_t *data = backend_mem_data(s->backend, name, &len);

		n += strncmp(name, prefix, strlen(prefix)) == 0 && len >= 16 &&
		     get_le32(data + 12) == epoch;
	}
	return n;
}

static void what_comes_is_of_the_new_epoch(void **state)
{
	struct scene *s = *state;
	struct id one = sessions_put(s, 1, 1000), again, two, three;
	struct point_list *l;

	assert_ok(sessions_commit(s));
	assert_ok(rotate(s));
	sessions_next(s);
	assert_int_equal(keyring_epoch(vault_keyring(s->vault)), 1);
	/* A chunk has the name that it had, so that it is not stored again. */
	again = sessions_put(s, 1, 1000);
	assert_memory_equal(&again, &one, sizeof(one));
	two = sessions_put(s, 2, 1000);
	assert_ok(sessions_commit(s));
	assert_int_equal(nof_epoch(s, "pack/", 0), 1);
	assert_int_equal(nof_epoch(s, "pack/", 1), 1);
	assert_int_equal(nof_epoch(s, "commit/", 1), 1);
	assert_int_equal(nof_epoch(s, "point/", 1), 1);
	assert_int_equal(nof_epoch(s, "session/", 1), 1);
	assert_int_equal(nof_epoch(s, "key/", 0), 0);
	/* And once more. */
	assert_ok(rotate(s));
	sessions_next(s);
	three = sessions_put(s, 3, 1000);
	assert_ok(sessions_commit(s));
	assert_ok(reopen_with(s, NULL));
	assert_int_equal(keyring_epoch(vault_keyring(s->vault)), 2);
	assert_int_equal(nof_epoch(s, "pack/", 2), 1);
	assert_int_equal(sessions_npoints(s), 3);
	assert_ok(sessions_reads(s, &one, 1, 1000));
	assert_ok(sessions_reads(s, &two, 2, 1000));
	assert_ok(sessions_reads(s, &three, 3, 1000));
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->ndamaged, 0);
	point_list_put(l);
	assert_int_equal(vaults_check(&s->options), 0);
	assert_int_equal(sessions_nobjects(s, "feature/"), 1);
	assert_int_equal(sessions_nobjects(s, "key/"), 1);
}

/* A password leaked, and its slot was removed. Whoever has it kept the slot, and
 * whatever else there was, and puts it back. */
static void a_removed_slot_opens_nothing_new(void **state)
{
	struct secret *leaked = second_key();
	struct credential c = { .keyfile = leaked };
	AUTO_FREE uint8_t *kept = NULL;
	struct scene *s = *state;
	char slot[33], name[OBJECT_NAME_MAX];
	struct id one = sessions_put(s, 1, 1000), two;
	const uint8_t *data;
	struct point_list *l;
	size_t len;

	assert_ok(sessions_commit(s));
	assert_ok(vault_key_add(s->vault, &c, 0, NULL, slot));
	snprintf(name, sizeof(name), "key/%s", slot);
	data = backend_mem_data(s->backend, name, &len);
	kept = malloc(len);
	assert_non_null(kept);
	memcpy(kept, data, len);
	assert_ok(vault_key_remove(s->vault, slot));
	assert_ok(rotate(s));
	sessions_next(s);
	two = sessions_put(s, 2, 1000);
	assert_ok(sessions_commit(s));
	assert_result(reopen_with(s, leaked), -EKEYREJECTED);
	assert_ok(backend_mem_set(s->backend, name, kept, len));
	assert_ok(reopen_with(s, leaked));
	assert_said("the vault's keys were rotated, and this key opens only "
		    "what was written before");
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, 1);
	point_list_put(l);
	assert_ok(sessions_reads(s, &one, 1, 1000));
	assert_true(sessions_reads(s, &two, 2, 1000) < 0);
	assert_said("sealed with keys of epoch 1");
	/* Nor does it write what others would read. */
	support_log_clear();
	assert_result(begin(s), -EKEYREJECTED);
	assert_said("nothing is written with it");
	assert_result(rotate_with(s->vault, &c, NULL), -EKEYREJECTED);
	secret_free(leaked);
}

/* The other key is given with the own one, and goes on; or it is not, and is added
 * later. */
static void others_go_on_where_their_keys_are_given(void **state)
{
	struct secret *key = second_key();
	struct credential c = { .keyfile = key }, none = { .keyfile = NULL };
	struct scene *s = *state;
	char slot[33];

	assert_ok(sessions_commit(s));
	/* Of one that opens nothing no slot is made. */
	none.keyfile = key;
	support_log_clear();
	assert_result(rotate_with(s->vault, &s->options.credential, &none),
		      -EKEYREJECTED);
	assert_int_equal(sessions_nobjects(s, "key/"), 1);
	assert_int_equal(sessions_nobjects(s, "epoch/"), 0);
	assert_ok(vault_key_add(s->vault, &c, 0, "{\"label\":\"web1\"}", slot));
	assert_ok(rotate_with(s->vault, &s->options.credential, &c));
	assert_int_equal(sessions_nobjects(s, "key/"), 2);
	assert_int_equal(nof_epoch(s, "key/", 1), 2);
	assert_ok(reopen_with(s, key));
	assert_string_equal(support_log_text(), "");
	assert_ok(begin(s));
	assert_ok(sessions_commit(s));
	/* This time it is left out. */
	assert_ok(reopen_with(s, NULL));
	assert_ok(rotate(s));
	assert_ok(reopen_with(s, key));
	assert_int_equal(sessions_npoints(s), 2);
	assert_result(begin(s), -EKEYREJECTED);
	assert_ok(reopen_with(s, NULL));
	assert_ok(vault_key_add(s->vault, &c, 0, NULL, slot));
	assert_ok(reopen_with(s, key));
	assert_string_equal(support_log_text(), "");
	assert_ok(begin(s));
	secret_free(key);
}

/* A backup that began before goes on to its end, and what it made counts. */
static void a_writer_that_runs_meanwhile(void **state)
{
	struct scene *s = *state;
	struct vault *admin;
	struct id one = sessions_put(s, 1, 1000);

	assert_ok(vault_open(&s->options, &admin));
	assert_ok(rotate_with(admin, &s->options.credential, NULL));
	vault_close(admin);
	(void)sessions_put(s, 2, 1000);
	assert_ok(sessions_commit(s));
	assert_ok(reopen_with(s, NULL));
	assert_int_equal(sessions_npoints(s), 1);
	assert_ok(sessions_reads(s, &one, 1, 1000));
	assert_ok(begin(s));
}

/* Index objects are merged whatever the epochs of the packs that they name are; those
 * that were superseded are deleted then. */
static void a_merged_index_of_two_epochs(void **state)
{
	struct scene *s = *state;
	struct id ids[70];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		if (i == ARRAY_SIZE(ids) / 2)
			assert_ok(rotate(s));
		if (i)
			sessions_next(s);
		ids[i] = sessions_put(s, i, 1000);
		assert_ok(sessions_commit(s));
	}
	writer_free(s->writer);
	s->writer = NULL;
	for (i = 0; i < backend_mem_nobjects(s->backend);) {
		const char *name = backend_mem_name(s->backend, i);
		size_t len = strlen(name);
		char in_use[INDEX_NAME_MAX];

		if (strncmp(name, "index/", 6) == 0 &&
		    strcmp(name + len - 2, ".m") != 0 &&
		    vault_index_superseding(s->vault, name + 6, in_use) == 0)
			assert_ok(backend_mem_remove(s->backend, name));
		else
			i++;
	}
	assert_true(sessions_nobjects(s, "index/") < 10);
	assert_ok(reopen_with(s, NULL));
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		assert_ok(sessions_reads(s, &ids[i], i, 1000));
	assert_string_equal(support_log_text(), "");
	assert_int_equal(vaults_check(&s->options), 0);
}

struct rival {
	struct scene *scene;
	struct vault *vault;
	struct credential credential;
	bool did;
};

static int rotate_meanwhile(void *arg, enum backend_mem_op op, const char *name)
{
	struct rival *r = arg;

	if (op != BACKEND_MEM_PUT || r->did || strcmp(name, "epoch/1") != 0)
		return 0;
	r->did = true;
	assert_ok(rotate_with(r->vault, &r->credential, NULL));
	return 0;
}

/* One is faster. The other one's key opens what it did before, and is added by
 * whoever has the new one. */
static void two_rotate_at_once(void **state)
{
	struct secret *key = second_key();
	struct scene *s = *state;
	struct rival rival = { .scene = s, .credential = { .keyfile = key } };
	struct vault_options o = s->options;
	char slot[33];

	assert_ok(sessions_commit(s));
	assert_ok(vault_key_add(s->vault, &rival.credential, 0, NULL, slot));
	o.credential = rival.credential;
	assert_ok(vault_open(&o, &rival.vault));
	backend_mem_watch(s->backend, rotate_meanwhile, &rival);
	assert_result(rotate(s), -EEXIST);
	backend_mem_watch(s->backend, NULL, NULL);
	assert_true(rival.did);
	assert_said("somebody else rotated the keys at this moment");
	vault_close(rival.vault);
	/* The slot that was for nothing is away. */
	assert_int_equal(sessions_nobjects(s, "key/"), 2);
	assert_ok(reopen_with(s, NULL));
	assert_int_equal(sessions_npoints(s), 1);
	assert_result(begin(s), -EKEYREJECTED);
	assert_ok(reopen_with(s, key));
	assert_ok(
		vault_key_add(s->vault, &s->options.credential, 0, NULL, slot));
	assert_ok(reopen_with(s, NULL));
	assert_ok(begin(s));
	secret_free(key);
}

/* Whatever call is the last that is done, or fails, or is done and not answered: the
 * vault opens, is written to, and rotates. */
static void ended_anywhere(void **state, unsigned int flags)
{
	static const enum backend_mem_op ops[] = { BACKEND_MEM_PUT,
						   BACKEND_MEM_DELETE };
	struct scene *s = *state;
	struct backend *first;
	struct id one = sessions_put(s, 1, 1000);
	unsigned int nth, failed = 1;
	size_t i;

	assert_ok(sessions_commit(s));
	first = s->backend;
	for (i = 0; i < ARRAY_SIZE(ops); i++) {
		for (nth = 1, failed = 1; failed; nth++) {
			s->backend = backend_mem_clone(first);
			assert_non_null(s->backend);
			s->options.backend = s->backend;
			assert_ok(reopen_with(s, NULL));
			backend_mem_fail(s->backend, ops[i], "", nth, -EIO,
					 flags);
			(void)!rotate(s);
			failed = backend_mem_failures(s->backend);
			backend_mem_heal(s->backend);
			assert_ok(reopen_with(s, NULL));
			assert_ok(sessions_reads(s, &one, 1, 1000));
			assert_ok(begin(s));
			assert_ok(sessions_commit(s));
			assert_int_equal(sessions_npoints(s), 2);
			assert_ok(rotate(s));
			assert_ok(reopen_with(s, NULL));
			assert_true(keyring_epoch(vault_keyring(s->vault)) > 0);
			assert_int_equal(sessions_npoints(s), 2);
			assert_ok(begin(s));
			writer_free(s->writer);
			s->writer = NULL;
			vault_close(s->vault);
			s->vault = NULL;
			backend_close(s->backend);
		}
		assert_true(nth > 2);
	}
	s->backend = s->options.backend = first;
}

static void a_call_fails(void **state)
{
	ended_anywhere(state, 0);
}

static void all_calls_fail_from_there_on(void **state)
{
	ended_anywhere(state, BACKEND_MEM_STICKY);
}

static void an_answer_is_lost(void **state)
{
	ended_anywhere(state, BACKEND_MEM_LOST_REPLY);
}

static void all_answers_are_lost_from_there_on(void **state)
{
	ended_anywhere(state, BACKEND_MEM_LOST_REPLY | BACKEND_MEM_STICKY);
}

/* Without epoch/1 nobody goes back to the keys of before. */
static void the_object_of_the_epoch_is_lost(void **state)
{
	AUTO_FREE uint8_t *kept = NULL;
	struct scene *s = *state;
	const uint8_t *data;
	size_t len, at;

	assert_ok(sessions_commit(s));
	assert_ok(rotate(s));
	data = backend_mem_data(s->backend, "epoch/1", &len);
	kept = malloc(len);
	assert_non_null(kept);
	memcpy(kept, data, len);
	assert_ok(backend_mem_remove(s->backend, "epoch/1"));
	assert_ok(reopen_with(s, NULL));
	assert_said("epoch/1 does not bear it out");
	assert_int_equal(sessions_npoints(s), 1);
	assert_result(begin(s), -EBADMSG);
	/* Each byte of it that is another is damage, or another epoch. */
	for (at = 0; at < len; at += at < 112 ? 1 : 7) {
		kept[at] ^= 1;
		assert_ok(backend_mem_set(s->backend, "epoch/1", kept, len));
		assert_ok(reopen_with(s, NULL));
		assert_int_equal(sessions_npoints(s), 1);
		assert_true(begin(s) < 0);
		kept[at] ^= 1;
	}
	assert_ok(backend_mem_set(s->backend, "epoch/1", kept, len));
	assert_ok(reopen_with(s, NULL));
	assert_ok(begin(s));
	/* Whatever else is called so ends writing, and no reading. */
	assert_ok(backend_mem_set(s->backend, "epoch/7", kept, len));
	assert_ok(reopen_with(s, NULL));
	assert_int_equal(sessions_npoints(s), 1);
	assert_result(begin(s), -EKEYREJECTED);
	assert_said("somebody put epoch/7: remove it");
	assert_ok(backend_delete(s->backend, "epoch/7"));
	assert_ok(reopen_with(s, NULL));
	assert_ok(begin(s));
}

/* Somebody who had the old key puts the vault of then back, with the slots of then:
 * what this machine writes he could read. */
/* Whoever may put objects, and has no key, keeps nobody from writing. */
static void what_nobody_rotated_to_is_no_epoch(void **state)
{
	struct scene *s = *state;
	struct id one;

	assert_ok(backend_put(s->backend, "epoch/1", "junk", 4));
	assert_ok(backend_put(s->backend, "epoch/7", "junk", 4));
	assert_ok(reopen_with(s, NULL));
	assert_said("epoch/7 is of no rotation");
	assert_null(strstr(support_log_text(), "were rotated"));
	assert_result(rotate(s), -EEXIST);
	assert_int_equal(sessions_nobjects(s, "feature/"), 0);
	assert_int_equal(sessions_nobjects(s, "key/"), 1);
	assert_ok(begin(s));
	one = sessions_put(s, 1, 1000);
	assert_ok(sessions_commit(s));
	assert_ok(sessions_reads(s, &one, 1, 1000));
	assert_ok(backend_delete(s->backend, "epoch/1"));
	assert_ok(backend_delete(s->backend, "epoch/7"));
	assert_ok(reopen_with(s, NULL));
	assert_ok(rotate(s));
	/* Now there are epochs, and who has keys of before cannot tell. */
	assert_ok(reopen_with(s, NULL));
	assert_ok(begin(s));
}

/* Nor does he keep anybody from reading, with slots that take all the time there is and
 * are said to be of a later epoch. */
static void slots_of_strangers_come_last(void **state)
{
	static const char usual[] = "\"log_n\":14";
	struct secret *password = second_key();
	struct credential c = { .passphrase = password };
	struct scene *s = *state;
	struct vault_options o = s->options;
	AUTO_FREE uint8_t *slot = NULL;
	char sid[33], name[OBJECT_NAME_MAX];
	struct vault *v;
	const uint8_t *data;
	uint8_t *at;
	size_t i, len;

	assert_ok(vault_key_add(s->vault, &c, 14, NULL, sid));
	snprintf(name, sizeof(name), "key/%s", sid);
	data = backend_mem_data(s->backend, name, &len);
	slot = malloc(len);
	assert_non_null(slot);
	memcpy(slot, data, len);
	put_le32(slot + 12, 7);
	at = memmem(slot, len, usual, strlen(usual));
	assert_non_null(at);
	memcpy(at, "\"log_n\":21", strlen(usual));
	for (i = 0; i < 5; i++) {
		snprintf(name, sizeof(name), "key/%032zx", i);
		assert_ok(backend_put(s->backend, name, slot, len));
	}
	assert_ok(backend_put(s->backend, "epoch/7", "junk", 4));
	o.credential = c;
	assert_ok(vault_open(&o, &v));
	vault_close(v);
	secret_free(password);
}

/* Nor with more cheap ones than there is time for: the vault's own were there first,
 * whatever the names are. */
static void many_cheap_slots_of_strangers_come_later(void **state)
{
	struct secret *password = second_key();
	struct credential c = { .passphrase = password };
	struct scene *s = *state;
	struct vault_options o = s->options;
	AUTO_FREE uint8_t *slot = NULL;
	char sid[33], name[OBJECT_NAME_MAX];
	struct vault *v;
	const uint8_t *at;
	size_t i, len;

	assert_ok(vault_key_add(s->vault, &c, 14, NULL, sid));
	snprintf(name, sizeof(name), "key/%s", sid);
	assert_ok(backend_mem_set_time(s->backend, name, 1000));
	at = backend_mem_data(s->backend, name, &len);
	slot = malloc(len);
	assert_non_null(slot);
	memcpy(slot, at, len);
	/* It opens with nothing, and that takes as long to find out. */
	slot[len - 1] ^= 1;
	for (i = 0; i < 512; i++) {
		snprintf(name, sizeof(name), "key/%032zx", i);
		assert_ok(backend_put(s->backend, name, slot, len));
		assert_ok(backend_mem_set_time(s->backend, name, 2000));
	}
	o.credential = c;
	support_log_clear();
	assert_ok(vault_open(&o, &v));
	assert_string_equal(vault_slot(v), sid);
	vault_close(v);
	secret_free(password);
}

static void a_vault_of_before_is_noticed(void **state)
{
	struct scene *s = *state;
	struct backend *before, *after;

	s->options.state_dir = support_tmpdir_fast();
	assert_ok(sessions_commit(s));
	before = backend_mem_clone(s->backend);
	assert_non_null(before);
	assert_ok(rotate(s));
	assert_ok(reopen_with(s, NULL));
	assert_ok(begin(s));
	after = s->backend;
	s->options.backend = before;
	assert_ok(reopen_with(s, NULL));
	support_log_clear();
	assert_result(begin(s), -EREMCHG);
	assert_said("this vault had keys of epoch 1");
	s->options.backend = after;
	assert_ok(reopen_with(s, NULL));
	assert_ok(begin(s));
	backend_close(before);
}

#define WITH_SCENE(test)                                                       \
	cmocka_unit_test_setup_teardown(test, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCENE(what_comes_is_of_the_new_epoch),
		WITH_SCENE(a_removed_slot_opens_nothing_new),
		WITH_SCENE(others_go_on_where_their_keys_are_given),
		WITH_SCENE(a_writer_that_runs_meanwhile),
		WITH_SCENE(a_merged_index_of_two_epochs),
		WITH_SCENE(two_rotate_at_once),
		WITH_SCENE(a_call_fails),
		WITH_SCENE(all_calls_fail_from_there_on),
		WITH_SCENE(an_answer_is_lost),
		WITH_SCENE(all_answers_are_lost_from_there_on),
		WITH_SCENE(the_object_of_the_epoch_is_lost),
		WITH_SCENE(what_nobody_rotated_to_is_no_epoch),
		WITH_SCENE(slots_of_strangers_come_last),
		WITH_SCENE(many_cheap_slots_of_strangers_come_later),
		WITH_SCENE(a_vault_of_before_is_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
