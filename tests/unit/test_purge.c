/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Points that were removed are not there any more, for readers and writers. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/vault.h"

#define SOME_ID "0123456789abcdef0123456789abcdef"

/* Decide on the only point of a vault. */
static void decide(struct scene *s, unsigned int n, const char *text)
{
	const char *point = sessions_first_object(s, "point/") + 6;
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "purge/%s-%u", point, n);
	if (strstr(text, "PURGED"))
		sessions_put_removal(s, name);
	else
		sessions_put_text(s, OBJECT_PURGE, name, text);
}

static void a_purged_point_is_gone(void **state)
{
	struct scene *s = *state;
	struct point_list *old, *new;
	char id[POINT_ID_HEX + 1];
	int64_t when_ns;

	assert_ok(sessions_commit(s));
	assert_ok(vault_points(s->vault, &old));
	assert_int_equal(old->n, 1);
	decide(s, 0, "{\"verdict\":\"PURGED\"}");
	assert_ok(vault_points(s->vault, &new));
	assert_int_equal(new->n, 0);
	assert_int_equal(new->ndamaged, 0);
	assert_true(new->generation > old->generation);
	point_list_put(old);
	point_list_put(new);
	/* Who looks for it is told. */
	assert_int_equal(vault_find_removed(s->vault, "", id, &when_ns), 1);
	assert_string_equal(id, sessions_first_object(s, "point/") + 6);
	assert_true(when_ns > 0);
	id[0] ^= 1;
	assert_int_equal(vault_find_removed(s->vault, id, id, &when_ns), 0);
	/* Its object may go, and is missed by nobody. */
	assert_ok(backend_mem_remove(s->backend,
				     sessions_first_object(s, "point/")));
	sessions_next(s);
	support_log_clear();
	assert_int_equal(sessions_npoints(s), 0);
	assert_string_equal(support_log_text(), "");
}

static void a_kept_point_stays(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	decide(s, 0, "{\"verdict\":\"KEPT\"}");
	assert_int_equal(sessions_npoints(s), 1);
	/* Somebody wished again, and got it. */
	decide(s, 1, "{\"verdict\":\"PURGED\"}");
	decide(s, 2, "{\"verdict\":\"KEPT\"}");
	assert_int_equal(sessions_npoints(s), 0);
}

/* It hides nothing, but what it is on is not to be relied upon. */
static void a_verdict_that_cannot_be_read(void **state)
{
	struct scene *s = *state;
	struct point_list *l;

	assert_ok(sessions_commit(s));
	decide(s, 0, "{\"verdict\":\"PERHAPS\"}");
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, 1);
	assert_true(l->points[0]->verdict_unknown);
	point_list_put(l);
	assert_said("malformed");
	/* One that can be read decides all the same. */
	decide(s, 1, "{\"verdict\":\"PURGED\"}");
	assert_int_equal(sessions_npoints(s), 0);
	/* Nor is one that is listed, and not there, no verdict. */
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "purge/", 1, -ENOENT,
			 BACKEND_MEM_STICKY);
	sessions_next(s);
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, 1);
	assert_true(l->points[0]->verdict_unknown);
	assert_int_equal(writer_rely_on(s->writer, l->points[0]), 0);
	point_list_put(l);
	backend_mem_heal(s->backend);
	assert_int_equal(sessions_npoints(s), 0);
	/* An error of the listing is no empty list. */
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "purge/", 1,
			 -EHOSTUNREACH, 0);
	assert_result(vault_points(s->vault, &l), -EHOSTUNREACH);
}

/* Make a check, and tell how much damage it finds: none, or one object's, whose
 * finding has @words in it. */
static uint64_t damages(struct scene *s, const char *object, const char *words)
{
	struct check_options o = { .read_data = false };
	struct task task = { .stop = NULL };
	struct check_result result;
	uint64_t n;

	assert_ok(check_run(s->vault, &o, &task, &result));
	n = result.damages;
	if (n > 0) {
		assert_int_equal(result.nfindings, 1);
		assert_string_equal(result.findings[0]->object, object);
		assert_non_null(strstr(result.findings[0]->text, words));
	}
	check_release(&result);
	return n;
}

/* Of all that is said of points and packs, a check finds what is damaged, and
 * what is sealed but means nothing. */
static void a_check_opens_records(void **state)
{
	static const struct {
		uint8_t type;
		const char *name;
		const char *words;
	} cases[] = {
		{ OBJECT_PURGE, "purge/" SOME_ID "-0", "was removed" },
		{ OBJECT_NOTE, "note/" SOME_ID "-0", "as protected" },
		{ OBJECT_MACHINE, "machine/" SOME_ID "-0", "damaged" },
		{ OBJECT_TOMB, "tomb/" SOME_ID, "which packs" },
		{ OBJECT_SWEEP, "sweep/" SOME_ID, "which packs" },
	};
	struct scene *s = *state;
	uint8_t *data;
	size_t len, i;

	assert_ok(sessions_commit(s));
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		sessions_put_text(s, cases[i].type, cases[i].name,
				  "{\"verdict\":\"PERHAPS\"}");
		assert_int_equal(damages(s, cases[i].name, cases[i].words), 1);
		assert_ok(backend_mem_remove(s->backend, cases[i].name));
	}
	sessions_put_text(s, OBJECT_PURGE, cases[0].name,
			  "{\"verdict\":\"KEPT\"}");
	assert_int_equal(damages(s, "", ""), 0);
	data = backend_mem_data(s->backend, cases[0].name, &len);
	data[len - 1] ^= 1;
	assert_int_equal(damages(s, cases[0].name, cases[0].words), 1);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

/* Who has the key can write such a thing; it is not what a session made. */
static void a_point_of_another_session(void **state)
{
	struct scene *s = *state;
	AUTO_BUF struct buf doc = BUF_INIT, text = BUF_INIT;
	struct commit c = { .point = SOME_ID };
	struct point_list *l;
	uint64_t generation = 0;
	struct point other;
	size_t len, i;
	uint8_t *box;

	assert_ok(sessions_commit(s));
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, 1);
	other = *l->points[0];
	memcpy(other.id, SOME_ID, sizeof(other.id));
	assert_ok(point_encode(&other, false, &doc));
	point_list_put(l);
	buf_put_u8(&doc, 0);
	sessions_put_text(s, OBJECT_POINT, "point/" SOME_ID,
			  (const char *)doc.data);
	box = backend_mem_data(s->backend, "point/" SOME_ID, &len);
	assert_ok(crypt_sha256(box, len, c.hash));
	commit_encode(&c, SOME_ID, &text);
	buf_put_u8(&text, 0);
	sessions_put_text(s, OBJECT_COMMIT, "commit/" SOME_ID,
			  (const char *)text.data);
	support_log_clear();
	for (i = 0; i < 2; i++) {
		assert_ok(vault_points(s->vault, &l));
		assert_int_equal(l->n, 1);
		assert_int_equal(l->ndamaged, 1);
		assert_string_equal(l->damaged[0], SOME_ID);
		if (i == 0)
			assert_said("point/" SOME_ID ": damaged: it is of "
				    "another session than commit/" SOME_ID);
		else
			assert_string_equal(support_log_text(), "");
		/* Nothing is new then, and no list is made anew. */
		assert_true(i == 0 || l->generation == generation);
		generation = l->generation;
		point_list_put(l);
		support_log_clear();
	}
}

static void flip(struct scene *s, const char *prefix)
{
	size_t len;
	uint8_t *data = backend_mem_data(
		s->backend, sessions_first_object(s, prefix), &len);

	data[len - 1] ^= 1;
}

/* However often it is looked at while the vault is open. */
static void damage_is_said_once(void **state)
{
	struct scene *s = *state;
	struct point_list *l;

	sessions_put(s, 1, 5000);
	assert_ok(sessions_commit(s));
	flip(s, "point/");
	flip(s, "index/");
	sessions_put_text(s, OBJECT_NOTE, "note/" SOME_ID "-0", "nonsense");
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	support_log_clear();
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->ndamaged, 1);
	point_list_put(l);
	assert_said("point/");
	assert_said("index/");
	assert_said("note/");
	support_log_clear();
	assert_ok(vault_refresh(s->vault));
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->ndamaged, 1);
	point_list_put(l);
	assert_string_equal(support_log_text(), "");
	/* What is wrong on the way is another matter. */
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "point/", 1,
			 -EHOSTUNREACH, BACKEND_MEM_STICKY);
	assert_result(vault_points(s->vault, &l), -EHOSTUNREACH);
	assert_said("cannot read point/");
	backend_mem_heal(s->backend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_purged_point_is_gone),
		CASE(a_kept_point_stays),
		CASE(a_verdict_that_cannot_be_read),
		CASE(a_check_opens_records),
		CASE(a_point_of_another_session),
		CASE(damage_is_said_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
