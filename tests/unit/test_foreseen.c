/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What vmbackup-vault(5) foresees and nobody writes yet: a program of today does
 * with it as that page says. (Slots of roles are in test_key_slots.c.) */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/mem.h"
#include "store/base/hex.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/vault.h"
#include "store/writer/writer.h"
#include "tests/unit/vaults.h"

/* Another client opens the vault; nobody writes yet. */
static int reopen(struct scene *s)
{
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	support_log_clear();
	return vault_open(&s->options, &s->vault);
}

/* Make an object one of a later epoch, whose salt is a public key. */
static void to_later_epoch(struct scene *s, const char *name)
{
	AUTO_FREE uint8_t *copy = NULL;
	const uint8_t *data;
	size_t len;

	data = backend_mem_data(s->backend, name, &len);
	assert_non_null(data);
	copy = malloc(len);
	assert_non_null(copy);
	memcpy(copy, data, len);
	copy[12] = 1;
	memset(copy + 32, 0x5a, 32);
	assert_ok(backend_mem_set(s->backend, name, copy, len));
}

/* Two points of two sessions; the names of the first one's objects. */
struct first {
	char point[OBJECT_NAME_MAX], index[OBJECT_NAME_MAX];
	char commit[OBJECT_NAME_MAX], pack[OBJECT_NAME_MAX];
	struct id id;
};

static void make_two(struct scene *s, struct first *f)
{
	f->id = sessions_put(s, 1, 1000);
	assert_ok(sessions_commit(s));
	snprintf(f->point, sizeof(f->point), "%s",
		 sessions_first_object(s, "point/"));
	snprintf(f->index, sizeof(f->index), "%s",
		 sessions_first_object(s, "index/"));
	snprintf(f->commit, sizeof(f->commit), "%s",
		 sessions_first_object(s, "commit/"));
	snprintf(f->pack, sizeof(f->pack), "%s",
		 sessions_first_object(s, "pack/"));
	sessions_next(s);
	(void)sessions_put(s, 2, 1000);
	assert_ok(sessions_commit(s));
}

static void assert_newer(void)
{
	assert_said("sealed with keys of epoch 1");
	assert_said("or a newer vmbackup");
	assert_null(strstr(support_log_text(), "damaged"));
}

/* The register says that it was committed so. */
static void recommit(struct scene *s, const struct first *f)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *sid = f->commit + strlen("commit/");
	struct commit c = { .point = "" };
	size_t len;
	const uint8_t *data = backend_mem_data(s->backend, f->point, &len);

	snprintf(c.point, sizeof(c.point), "%s", f->point + strlen("point/"));
	assert_ok(crypt_sha256(data, len, c.hash));
	commit_encode(&c, sid, &text);
	buf_put_u8(&text, 0);
	assert_ok(buf_error(&text));
	assert_ok(backend_mem_remove(s->backend, f->commit));
	sessions_put_text(s, OBJECT_COMMIT, f->commit, (char *)text.data);
}

static void a_point_of_a_later_epoch(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	struct first f;

	make_two(s, &f);
	to_later_epoch(s, f.point);
	recommit(s, &f);
	assert_ok(reopen(s));
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, 1);
	assert_int_equal(l->ndamaged, 1);
	point_list_put(l);
	assert_newer();
}

static void an_index_of_a_later_epoch(void **state)
{
	struct scene *s = *state;
	struct first f;

	make_two(s, &f);
	to_later_epoch(s, f.index);
	assert_ok(reopen(s));
	assert_int_equal(sessions_npoints(s), 2);
	/* The pack itself says what that index did. */
	assert_ok(sessions_reads(s, &f.id, 1, 1000));
	assert_newer();
}

static void a_pack_of_a_later_epoch(void **state)
{
	size_t n;
	struct scene *s = *state;
	struct first f;

	make_two(s, &f);
	to_later_epoch(s, f.index);
	to_later_epoch(s, f.pack);
	assert_ok(reopen(s));
	assert_int_equal(sessions_npoints(s), 2);
	assert_true(sessions_reads(s, &f.id, 1, 1000) < 0);
	assert_newer();
	/* It is stored anew where it is needed, and nothing is removed. */
	n = sessions_nobjects(s, "pack/");
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	f.id = sessions_put(s, 1, 1000);
	assert_ok(sessions_commit(s));
	assert_true(sessions_nobjects(s, "pack/") >= n);
}

/* As a program that knows the epoch would have stored it. */
static void move_to_later_epoch(struct scene *s, const char *pack)
{
	uint8_t hash[CRYPT_SHA256_LEN];
	char hex[2 * CRYPT_SHA256_LEN + 1], name[OBJECT_NAME_MAX];
	size_t len;
	const uint8_t *data;

	to_later_epoch(s, pack);
	data = backend_mem_data(s->backend, pack, &len);
	assert_ok(crypt_sha256(data, len, hash));
	hex_encode(hash, sizeof(hash), hex);
	snprintf(name, sizeof(name), "pack/%.2s/%.*s%s", hex,
		 (int)(strlen(pack) - 8 - 2 * sizeof(hash)), pack + 8, hex);
	assert_ok(backend_mem_set(s->backend, name, data, len));
	assert_ok(backend_mem_remove(s->backend, pack));
}

static void check_calls_nothing_newer_damaged(void **state)
{
	struct scene *s = *state;
	struct first f;

	make_two(s, &f);
	to_later_epoch(s, f.index);
	move_to_later_epoch(s, f.pack);
	assert_ok(reopen(s));
	assert_true(vaults_check(&s->options) > 0);
	assert_newer();
	assert_int_equal(sessions_nobjects(s, "quarantine/"), 0);
}

static void a_vault_of_a_later_epoch(void **state)
{
	struct scene *s = *state;

	to_later_epoch(s, "config");
	to_later_epoch(s, "config.copy");
	assert_result(reopen(s), -EOPNOTSUPP);
	assert_newer();
}

#define WITH_SCENE(test)                                                       \
	cmocka_unit_test_setup_teardown(test, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_SCENE(a_point_of_a_later_epoch),
		WITH_SCENE(an_index_of_a_later_epoch),
		WITH_SCENE(a_pack_of_a_later_epoch),
		WITH_SCENE(check_calls_nothing_newer_damaged),
		WITH_SCENE(a_vault_of_a_later_epoch),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
