/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A collection removes what was wished away long ago, and nothing else, whatever
 * fails on the way and whoever is at work beside it. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/collect/clock.h"
#include "store/collect/due.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/vault.h"
#include "store/writer/forget.h"
#include "store/writer/note.h"

#define DAY FORGET_DAY_NS
#define PURGED "{\"verdict\":\"PURGED\"}"
#define KEPT "{\"verdict\":\"KEPT\"}"
#define LONG_AGO "{\"time_ns\":1}"

/* ---- what is due ---- */

/* The time by the clock of the store. */
static int64_t store_now(struct scene *s)
{
	struct collect_clock c;

	assert_ok(clock_begin(s->vault, &c));
	clock_end(&c);
	assert_int_equal(sessions_nobjects(s, "heartbeat/"), 0);
	return c.now_ns;
}

/* Somebody wished the only point away, and the vault received that @days ago. */
static void wish(struct scene *s, unsigned int n, const char *text,
		 int64_t days)
{
	const char *point = sessions_first_object(s, "point/") + 6;
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "forget/%s-%u", point, n);
	sessions_put_text(s, OBJECT_FORGET, name, text);
	assert_ok(backend_mem_set_time(s->backend, name,
				       store_now(s) - days * DAY));
}

static void put_of_point(struct scene *s, uint8_t type, const char *folder,
			 unsigned int n, const char *text)
{
	const char *point = sessions_first_object(s, "point/") + 6;
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "%s/%s-%u", folder, point, n);
	sessions_put_text(s, type, name, text);
}

/* The only point, if it is forgotten, and whether it is due. */
struct judged_point {
	struct point_list *list;
	struct due_list due;
};

static struct judged_point judge(struct scene *s)
{
	struct judged_point j;
	int64_t now = store_now(s);

	vault_show_forgotten(s->vault);
	assert_ok(vault_points(s->vault, &j.list));
	assert_int_equal(j.list->n, 1);
	assert_ok(due_list_make(s->vault, j.list, now, &j.due));
	return j;
}

static void release(struct judged_point *j)
{
	due_list_release(&j->due);
	point_list_put(j->list);
}

static size_t ndue(struct scene *s)
{
	struct judged_point j = judge(s);
	size_t n = j.due.ndue;

	release(&j);
	return n;
}

static void the_clock_is_the_stores(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	assert_int_equal(ndue(s), 0);
	wish(s, 0, LONG_AGO, 15);
	assert_int_equal(ndue(s), 1);
	/* Whatever the wish says, the vault received it just now. */
	wish(s, 1, LONG_AGO, 13);
	assert_int_equal(ndue(s), 0);
	put_of_point(s, OBJECT_PURGE, "purge", 1, KEPT);
	assert_int_equal(ndue(s), 1);
	/* And of all wishes the latest counts. */
	wish(s, 2, "{\"time_ns\":9000000000000000000}", 15);
	assert_int_equal(ndue(s), 0);
	put_of_point(s, OBJECT_PURGE, "purge", 2, KEPT);
	assert_int_equal(ndue(s), 1);
}

static void what_may_be_protected_stays(void **state)
{
	struct scene *s = *state;
	struct judged_point j;

	assert_ok(sessions_commit(s));
	wish(s, 0, LONG_AGO, 15);
	j = judge(s);
	assert_int_equal(j.due.ndue, 1);
	assert_ok(note_point(s->vault, j.due.items[0].point, NOTE_PROTECT, NULL,
			     NULL));
	release(&j);
	j = judge(s);
	assert_int_equal(j.due.ndue, 0);
	assert_int_equal(j.due.n, 1);
	assert_string_equal(j.due.items[0].kept, "it is protected");
	assert_ok(note_point(s->vault, j.due.items[0].point, NOTE_UNPROTECT,
			     NULL, NULL));
	release(&j);
	assert_int_equal(ndue(s), 1);
	/* One that cannot be read, and one that is missing, may say so. */
	put_of_point(s, OBJECT_NOTE, "note", 2, "nonsense");
	assert_int_equal(ndue(s), 0);
	put_of_point(s, OBJECT_NOTE, "note", 3, "{\"kind\":\"unprotect\"}");
	assert_int_equal(ndue(s), 1);
	put_of_point(s, OBJECT_NOTE, "note", 5,
		     "{\"kind\":\"text\",\"text\":\"x\"}");
	assert_int_equal(ndue(s), 0);
}

static void an_unknown_verdict_removes_nothing(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	wish(s, 0, LONG_AGO, 15);
	wish(s, 1, LONG_AGO, 15);
	put_of_point(s, OBJECT_PURGE, "purge", 0, "{\"verdict\":\"PERHAPS\"}");
	assert_int_equal(ndue(s), 0);
	/* A listing that fails is no empty one. */
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "forget/", 1,
			 -EHOSTUNREACH, 0);
	{
		struct point_list *l;

		assert_result(vault_points(s->vault, &l), -EHOSTUNREACH);
	}
}

/* ---- the verdict ---- */

static int purge(struct scene *s, bool *purged_out)
{
	struct judged_point j = judge(s);
	int r;

	assert_int_equal(j.due.ndue, 1);
	r = due_purge(s->vault, j.due.items[0].point, "root@web1", purged_out);
	release(&j);
	return r;
}

static void the_last_wish_is_answered(void **state)
{
	struct scene *s = *state;
	bool purged = false;

	assert_ok(sessions_commit(s));
	wish(s, 0, LONG_AGO, 15);
	wish(s, 10, LONG_AGO, 15);
	wish(s, 9, LONG_AGO, 15);
	assert_ok(purge(s, &purged));
	assert_true(purged);
	assert_int_equal(sessions_nobjects(s, "purge/"), 1);
	assert_non_null(strstr(sessions_first_object(s, "purge/"), "-10"));
	assert_int_equal(sessions_npoints(s), 0);
}

/* Somebody brings the point back at that very moment. */
static int keep_first(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;

	if (op != BACKEND_MEM_PUT || strncmp(name, "purge/", 6) != 0)
		return 0;
	backend_mem_watch(s->backend, NULL, NULL);
	put_of_point(s, OBJECT_PURGE, "purge", 0, KEPT);
	return 0;
}

static void who_is_first_decides(void **state)
{
	struct scene *s = *state;
	bool purged = true;

	assert_ok(sessions_commit(s));
	wish(s, 0, LONG_AGO, 15);
	backend_mem_watch(s->backend, keep_first, s);
	assert_ok(purge(s, &purged));
	assert_false(purged);
	assert_int_equal(sessions_npoints(s), 1);
	/* What stands there and cannot be read is no answer. */
	wish(s, 1, LONG_AGO, 15);
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "purge/", 1, -ETIMEDOUT,
			 BACKEND_MEM_STICKY);
	assert_result(purge(s, &purged), -ETIMEDOUT);
	backend_mem_heal(s->backend);
	assert_int_equal(sessions_npoints(s), 0);
}

static void replies_get_lost(void **state)
{
	struct scene *s = *state;
	bool purged = false;

	assert_ok(sessions_commit(s));
	wish(s, 0, LONG_AGO, 15);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "purge/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	assert_result(purge(s, &purged), -EIO);
	backend_mem_heal(s->backend);
	assert_int_equal(sessions_npoints(s), 1);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "purge/", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	assert_ok(purge(s, &purged));
	assert_true(purged);
	assert_int_equal(sessions_npoints(s), 0);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_clock_is_the_stores),
		CASE(what_may_be_protected_stays),
		CASE(an_unknown_verdict_removes_nothing),
		CASE(the_last_wish_is_answered),
		CASE(who_is_first_decides),
		CASE(replies_get_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
