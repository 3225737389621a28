/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key slots: damaged and hostile ones, and two who remove them. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/key/key.h"
#include "store/vault.h"
#include "tests/unit/vaults.h"

/* A vault that two key files open. */
struct scene {
	struct backend *backend;
	struct vault *one, *two;
	struct secret *second;
	char slot_one[33], slot_two[33];
};

static void current(struct vault *v, char slot[33])
{
	struct key_info *keys;
	size_t n, found = 0;

	assert_ok(vault_key_list(v, &keys, &n));
	for (size_t i = 0; i < n; i++) {
		if (keys[i].current && found++ == 0)
			memcpy(slot, keys[i].slot, 33);
		free(keys[i].label);
	}
	free(keys);
	assert_int_equal(found, 1);
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct vault_options o;
	char id[33];

	support_log_capture();
	assert_non_null(s);
	s->backend = backend_mem_new();
	assert_non_null(s->backend);
	o = vaults_options(NULL, s->backend, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vault_open(&o, &s->one));
	current(s->one, s->slot_one);
	s->second = secret_new(32);
	assert_non_null(s->second);
	memset(s->second->data, 0x5a, 32);
	o.credential = (struct credential){ .keyfile = s->second };
	assert_ok(vault_key_add(s->one, &o.credential, 0, NULL, s->slot_two));
	assert_ok(vault_open(&o, &s->two));
	support_log_clear();
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	vault_close(s->one);
	vault_close(s->two);
	secret_free(s->second);
	backend_close(s->backend);
	free(s);
	return 0;
}

static bool has_slot(struct scene *s, const char *slot)
{
	char name[OBJECT_NAME_MAX];
	size_t len;

	snprintf(name, sizeof(name), "key/%s", slot);
	return backend_mem_data(s->backend, name, &len) != NULL;
}

static int open_with(struct scene *s, const struct secret *keyfile)
{
	struct vault_options o = vaults_options(NULL, s->backend, NULL, NULL);
	struct vault *v;
	int r;

	if (keyfile)
		o.credential = (struct credential){ .keyfile = keyfile };
	r = vault_open(&o, &v);
	vault_close(v);
	return r;
}

/* Who removes whose key while the other looks. */
struct rival {
	struct scene *scene;
	bool did;
};

/* Just before the first deletion the other one's is done. */
static int remove_meanwhile(void *arg, enum backend_mem_op op, const char *name)
{
	struct rival *r = arg;

	(void)name;
	if (op != BACKEND_MEM_DELETE || r->did)
		return 0;
	r->did = true;
	assert_ok(vault_key_remove(r->scene->two, r->scene->slot_one));
	return 0;
}

static void two_remove_each_other(void **state)
{
	struct scene *s = *state;
	struct rival rival = { .scene = s };

	backend_mem_watch(s->backend, remove_meanwhile, &rival);
	assert_result(vault_key_remove(s->one, s->slot_two), -ECANCELED);
	backend_mem_watch(s->backend, NULL, NULL);
	assert_true(rival.did);
	assert_said("somebody removed the key in use at the same moment; it "
		    "was put back");
	/* One way in is left, the one that was put back. */
	assert_true(has_slot(s, s->slot_one));
	assert_ok(open_with(s, NULL));
}

static void the_one_in_use_stays(void **state)
{
	struct scene *s = *state;

	assert_result(vault_key_remove(s->one, s->slot_one), -EPERM);
	assert_ok(vault_key_remove(s->one, s->slot_two));
	assert_false(has_slot(s, s->slot_two));
	assert_result(open_with(s, s->second), -EKEYREJECTED);
	assert_ok(open_with(s, NULL));
}

/* Whether the own slot is there cannot be seen: putting it tells, or it is said that
 * the other one is gone. */
static void the_look_for_the_own_slot_fails(void **state)
{
	struct scene *s = *state;
	struct credential c = { .keyfile = s->second };

	backend_mem_fail(s->backend, BACKEND_MEM_HEAD, "key/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	assert_ok(vault_key_remove(s->one, s->slot_two));
	assert_false(has_slot(s, s->slot_two));
	assert_true(has_slot(s, s->slot_one));
	assert_ok(vault_key_add(s->one, &c, 0, NULL, s->slot_two));
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "key/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	support_log_clear();
	assert_result(vault_key_remove(s->one, s->slot_two), -EIO);
	assert_said("was removed; whether the key in use");
	assert_false(has_slot(s, s->slot_two));
	backend_mem_heal(s->backend);
}

/* ---- damage of every kind ---- */

enum damage {
	NO_MARK,
	EMPTY,
	SHORT,
	LONG,
	CUT,
	NO_TEXT,
	COST,
	SALT,
	SEAL,
	FOREIGN,
	UNREADABLE,
	DAMAGES
};

/* A slot that the scene's first key file opens, made of this clear text or sealed
 * for this vault, and then changed. */
static void make_damaged(struct scene *s, enum damage kind, const char *slot,
			 struct buf *box)
{
	static const char *const clears[DAMAGES] = {
		[NO_TEXT] = "{\"kdf\":",
		[COST] = "{\"kdf\":\"scrypt\",\"log_n\":63,\"r\":8,\"p\":1,"
			 "\"info\":{}}",
		[SALT] = "{\"kdf\":\"keyfile\",\"salt\":\"00\",\"info\":{}}",
	};
	const struct keyring *k = vault_keyring(s->one);
	struct vault_options o = vaults_options(NULL, s->backend, NULL, NULL);
	static const uint8_t kek[CRYPT_KEY_LEN] = { 1 };
	static const uint8_t zeros[KEY_SLOT_MAX] = { 0 };
	uint8_t id[VAULT_ID_LEN];
	char name[OBJECT_NAME_MAX];

	memcpy(id, keyring_vault_id(k), sizeof(id));
	id[0] ^= kind == FOREIGN;
	snprintf(name, sizeof(name), "key/%s", slot);
	if (clears[kind])
		assert_ok(format_seal_box(NULL, kek, id, seam_system(),
					  OBJECT_KEY, name, clears[kind],
					  strlen(clears[kind]), "x", 1, box));
	else
		assert_ok(key_seal(keyring_master(k), 0, id, seam_system(),
				   slot, &o.credential, 0, NULL, box));
	if (kind == NO_MARK)
		box->data[0] ^= 1;
	if (kind == SEAL)
		box->data[box->len - 1] ^= 1;
	if (kind == LONG)
		buf_put(box, zeros, sizeof(zeros));
	assert_ok(buf_error(box));
	if (kind == EMPTY || kind == SHORT || kind == CUT)
		box->len = kind == CUT ? box->len - 1 : kind == SHORT;
}

/* What lies before the sound slot, by name and by age, and what lies behind it. */
static const char *const around[] = {
	"00000000000000000000000000000000",
	"ffffffffffffffffffffffffffffffff",
};

static void put_damaged(struct scene *s, enum damage kind)
{
	char name[OBJECT_NAME_MAX];

	for (int i = 0; i < 2; i++) {
		AUTO_BUF struct buf box = BUF_INIT;

		make_damaged(s, kind, around[i], &box);
		snprintf(name, sizeof(name), "key/%s", around[i]);
		assert_ok(backend_mem_set(s->backend, name, box.data, box.len));
		assert_ok(backend_mem_set_time(s->backend, name,
					       i ? INT64_MAX : 1));
		if (kind == UNREADABLE)
			backend_mem_fail(s->backend, BACKEND_MEM_GET, name, 1,
					 -EIO, BACKEND_MEM_STICKY);
	}
}

/* How many are said to be of this kind, of as many as there must be. */
static size_t count_kind(struct scene *s, const char *kind, size_t expected)
{
	struct key_info *keys;
	size_t n, count = 0;

	assert_ok(vault_key_list(s->one, &keys, &n));
	assert_int_equal(n, expected);
	for (size_t i = 0; i < n; i++) {
		count += strcmp(keys[i].kind, kind) == 0;
		free(keys[i].label);
	}
	free(keys);
	return count;
}

static void a_damaged_slot_hides_no_other(void **state)
{
	struct scene *s = *state;

	assert_ok(vault_key_remove(s->one, s->slot_two));
	for (int kind = 0; kind < DAMAGES; kind++) {
		put_damaged(s, (enum damage)kind);
		assert_ok(open_with(s, NULL));
		/* A seal is looked at by who has the key alone. */
		assert_int_equal(count_kind(s,
					    kind == FOREIGN ? "foreign"
					    : kind == SEAL  ? "keyfile"
							    : "damaged",
					    3),
				 kind == SEAL ? 3 : 2);
		/* No key file is "wrong" while one cannot be tried. */
		if (kind != FOREIGN && kind != SEAL)
			assert_result(open_with(s, s->second),
				      kind == UNREADABLE ? -EIO : -EBADMSG);
		for (int i = 0; i < 2; i++) {
			assert_ok(vault_key_remove(s->one, around[i]));
			assert_false(has_slot(s, around[i]));
		}
		backend_mem_heal(s->backend);
		assert_ok(open_with(s, NULL));
	}
}

/* Nobody opens it, but for who tries costs @log_n and @p. */
static void put_slot(struct scene *s, unsigned int number, const char *kdf,
		     unsigned int log_n, unsigned int p)
{
	static const uint8_t kek[CRYPT_KEY_LEN] = { 1 };
	static const uint8_t vault_id[VAULT_ID_LEN] = { 0 };
	AUTO_BUF struct buf box = BUF_INIT;
	char name[OBJECT_NAME_MAX], clear[512];

	snprintf(name, sizeof(name), "key/%032x", number);
	snprintf(clear, sizeof(clear),
		 "{\"kdf\":\"%s\",\"log_n\":%u,\"r\":8,\"p\":%u,\"salt\":"
		 "\"%064d\",\"info\":{}}",
		 kdf, log_n, p, 0);
	assert_ok(format_seal_box(NULL, kek, vault_id, seam_system(),
				  OBJECT_KEY, name, clear, strlen(clear), "x",
				  1, &box));
	assert_ok(backend_mem_set(s->backend, name, box.data, box.len));
}

/* All of them would take an hour and 2 GiB. They lie before the honest one, by
 * name and by age. */
static void expensive_slots_are_tried_last(void **state)
{
	struct scene *s = *state;
	const char slot[] = "ffffffffffffffffffffffffffffffff";
	struct secret *password = secret_new(4);
	struct credential c = { .passphrase = password };
	struct vault_options o = vaults_options(NULL, s->backend, NULL, NULL);
	AUTO_BUF struct buf box = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	struct vault *v;

	assert_non_null(password);
	memcpy(password->data, "word", 4);
	for (unsigned int i = 0; i < 100; i++)
		put_slot(s, i, "scrypt", 21, 4);
	assert_ok(key_seal(keyring_master(vault_keyring(s->one)), 0,
			   keyring_vault_id(vault_keyring(s->one)),
			   seam_system(), slot, &c, 14, NULL, &box));
	snprintf(name, sizeof(name), "key/%s", slot);
	assert_ok(backend_mem_set(s->backend, name, box.data, box.len));
	assert_ok(backend_mem_set_time(s->backend, name, INT64_MAX));
	o.credential = c;
	assert_ok(vault_open(&o, &v));
	vault_close(v);
	/* A wrong password is not tried on them without end. */
	password->data[0] = 'W';
	support_log_clear();
	assert_result(vault_open(&o, &v), -E2BIG);
	assert_said("not tried");
	secret_free(password);
}

/* Put a copy of a slot with this in its header: what it says is not looked at. */
static void put_newer(struct scene *s, char digit, size_t at)
{
	char name[OBJECT_NAME_MAX];
	AUTO_FREE uint8_t *copy = NULL;
	const uint8_t *data;
	size_t len;

	snprintf(name, sizeof(name), "key/%s", s->slot_one);
	data = backend_mem_data(s->backend, name, &len);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, data, len);
	copy[at] = 2;
	memset(name + strlen("key/"), digit, 32);
	assert_ok(backend_put(s->backend, name, copy, len));
}

/* Of a later format, of keys of a later epoch, and such that give something else
 * than the master key to whoever has just this key file. Slots that open in order
 * of their names: these are tried first. */
static void slots_of_newer_programs(void **state)
{
	struct credential c = { 0 };
	struct scene *s = *state;
	AUTO_BUF struct buf role = BUF_INIT;
	struct secret *part = secret_new(48);
	const char slot[] = "00000000000000000000000000000000";

	assert_non_null(part);
	put_newer(s, '1', 8);
	put_newer(s, '2', 12);
	c.keyfile = s->second;
	assert_ok(key_seal(part, 0, keyring_vault_id(vault_keyring(s->one)),
			   seam_system(), slot, &c, 0, NULL, &role));
	assert_ok(backend_put(s->backend,
			      "key/00000000000000000000000000000000", role.data,
			      role.len));
	support_log_clear();
	assert_ok(open_with(s, NULL));
	assert_ok(open_with(s, s->second));
	assert_string_equal(support_log_text(), "");
	/* Where nothing else opens, that is said. */
	assert_ok(vault_key_remove(s->one, s->slot_two));
	support_log_clear();
	assert_result(open_with(s, s->second), -EKEYREJECTED);
	assert_said("some key slots are of a kind that only a newer vmbackup");
	secret_free(part);
}

static void kinds_of_newer_programs(void **state)
{
	struct scene *s = *state;

	put_slot(s, 1, "argon2id", 17, 1);
	assert_ok(open_with(s, NULL));
	assert_string_equal(support_log_text(), "");
	s->second->data[0] ^= 1;
	assert_result(open_with(s, s->second), -EKEYREJECTED);
	assert_said("some key slots are of a kind that only a newer vmbackup");
}

/* Garbage of anybody who may put there: of no slot's size, and of one. */
static void put_garbage(struct scene *s, unsigned int number, size_t len)
{
	static const uint8_t bytes[256] = { 0 };
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "key/%032x", number);
	assert_ok(backend_mem_set(s->backend, name, bytes, len));
}

/* However many objects lie there, the vault's own slots are found, and few words
 * are made of it. */
static void garbage_hides_no_slot(void **state)
{
	struct scene *s = *state;
	struct key_info *keys;
	size_t n, sound = 0;

	for (unsigned int i = 0; i < 3000; i++)
		put_garbage(s, i, i % 2 ? 1 : 256);
	assert_ok(open_with(s, NULL));
	assert_ok(open_with(s, s->second));
	assert_said("damaged, or no key slot; there are more of them");
	assert_true(strlen(support_log_text()) < 500);
	assert_ok(vault_key_list(s->one, &keys, &n));
	assert_int_equal(n, 3002);
	for (size_t i = 0; i < n; i++) {
		sound += strcmp(keys[i].kind, "keyfile") == 0;
		free(keys[i].label);
	}
	free(keys);
	assert_int_equal(sound, 2);
}

static int count_list(void *arg, enum backend_mem_op op, const char *name)
{
	size_t *n = arg;

	*n += op == BACKEND_MEM_LIST && strncmp(name, "key/", 4) == 0;
	return 0;
}

/* The slot that opened last time needs no listing, and where it went, the others
 * are found. */
static void the_last_slot_is_read_by_name(void **state)
{
	struct scene *s = *state;
	const char *dir = support_tmpdir();
	struct vault_options o = vaults_options(NULL, s->backend, NULL, dir);
	struct vault *v;
	size_t lists = 0;

	/* The first one makes the directory, the second one notes it there. */
	for (int i = 0; i < 2; i++) {
		assert_ok(vault_open(&o, &v));
		vault_close(v);
	}
	backend_mem_watch(s->backend, count_list, &lists);
	assert_ok(vault_open(&o, &v));
	vault_close(v);
	assert_int_equal(lists, 0);
	o.credential = (struct credential){ .keyfile = s->second };
	assert_ok(vault_open(&o, &v));
	vault_close(v);
	assert_int_equal(lists, 1);
	backend_mem_watch(s->backend, NULL, NULL);
	/* The hint names this one now, and it goes. */
	assert_ok(vault_key_remove(s->one, s->slot_two));
	assert_result(vault_open(&o, &v), -EKEYREJECTED);
	o = vaults_options(NULL, s->backend, NULL, dir);
	assert_ok(vault_open(&o, &v));
	vault_close(v);
}

int main(void)
{
#define WITH_SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCENE(two_remove_each_other),
		WITH_SCENE(the_one_in_use_stays),
		WITH_SCENE(the_look_for_the_own_slot_fails),
		WITH_SCENE(a_damaged_slot_hides_no_other),
		WITH_SCENE(expensive_slots_are_tried_last),
		WITH_SCENE(kinds_of_newer_programs),
		WITH_SCENE(slots_of_newer_programs),
		WITH_SCENE(garbage_hides_no_slot),
		WITH_SCENE(the_last_slot_is_read_by_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
