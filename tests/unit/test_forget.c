/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Wishes to remove points, their answers, and what a reader makes of both. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "src/forget/guard.h"
#include "src/retain/policy.h"
#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/record/note.h"
#include "store/record/purge.h"
#include "store/vault.h"
#include "store/writer/forget.h"
#include "store/writer/note.h"

#define DAY FORGET_DAY_NS
#define PURGED "{\"verdict\":\"PURGED\"}"
#define KEPT "{\"verdict\":\"KEPT\"}"

static const struct forget_wish some_wish = { .window_ns = 14 * DAY,
					      .reason = "old",
					      .by = "root@web1" };

/* ---- the object ---- */

static void decoded_as(const char *text, int64_t time_ns, int64_t until_ns)
{
	struct forget f;

	assert_ok(forget_decode(text, strlen(text), "f", &f));
	assert_int_equal(f.time_ns, time_ns);
	assert_int_equal(f.until_ns, until_ns);
	forget_release(&f);
}

static void what_is_written_is_read(void **state)
{
	char by[] = "root@web1", reason[] = "too old";
	struct forget f = { 5, 5 + 30 * DAY, by, reason }, again;
	AUTO_BUF struct buf b = BUF_INIT;
	size_t len;

	(void)state;
	support_log_capture();
	assert_ok(forget_encode(&f, &b));
	assert_ok(forget_decode(b.data, b.len, "f", &again));
	assert_int_equal(again.time_ns, 5);
	assert_int_equal(again.until_ns, 5 + 30 * DAY);
	assert_string_equal(again.by, "root@web1");
	assert_string_equal(again.reason, "too old");
	forget_release(&again);
	for (len = 0; len < b.len; len++)
		assert_result(forget_decode(b.data, len, "f", &again),
			      -EBADMSG);
	/* Who wished it is not worth failing for. */
	by[0] = '\n';
	buf_clear(&b);
	assert_ok(forget_encode(&f, &b));
	assert_ok(forget_decode(b.data, b.len, "f", &again));
	assert_null(again.by);
	forget_release(&again);
	/* But why is what somebody asked for. */
	reason[1] = '\n';
	assert_result(forget_encode(&f, &b), -EINVAL);
	reason[1] = 'o';
	f.until_ns = 5 + 14 * DAY - 1;
	assert_result(forget_encode(&f, &b), -EINVAL);
	f.until_ns = 5 + 180 * DAY + 1;
	assert_result(forget_encode(&f, &b), -EINVAL);
}

/* Nobody writes a wish that takes effect at once, or never. */
static void the_window_has_bounds(void **state)
{
	static const char *const wrong[] = {
		"",
		"[]",
		"{}",
		"{\"time_ns\":\"now\"}",
		"{\"time_ns\":1,\"until_ns\":1.5}",
		"{\"time_ns\":1,\"by\":7}",
		"{\"time_ns\":1,\"reason\":\"a\\u001b[2J\"}",
		"{\"time_ns\":1,\"reason\":\"a\\u0000b\"}",
	};
	struct forget f;
	size_t i;

	(void)state;
	decoded_as("{\"time_ns\":1}", 1, 1 + 14 * DAY);
	decoded_as("{\"time_ns\":1,\"until_ns\":2}", 1, 1 + 14 * DAY);
	decoded_as("{\"time_ns\":1,\"until_ns\":-9223372036854775808}", 1,
		   1 + 14 * DAY);
	decoded_as("{\"time_ns\":1,\"until_ns\":9223372036854775807}", 1,
		   1 + 180 * DAY);
	decoded_as("{\"time_ns\":9223372036854775807}", INT64_MAX, INT64_MAX);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_result(forget_decode(wrong[i], strlen(wrong[i]), "f",
					    &f),
			      -EBADMSG);
}

static void a_verdict_says_what_it_says(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	bool purged = true;

	(void)state;
	assert_ok(purge_encode(false, "p", "root@web1", 1, &b));
	assert_ok(purge_decode(b.data, b.len, "v", &purged));
	assert_false(purged);
	buf_clear(&b);
	assert_ok(purge_encode(true, "p", NULL, 1, &b));
	assert_ok(purge_decode(b.data, b.len, "v", &purged));
	assert_true(purged);
}

/* ---- in a vault ---- */

/* The one point of the vault, in a list that shows what was forgotten. */
static const struct point *the_point(struct scene *s, struct point_list **list)
{
	vault_show_forgotten(s->vault);
	assert_ok(vault_points(s->vault, list));
	assert_int_equal((*list)->n, 1);
	return (*list)->points[0];
}

static int forget_it(struct scene *s)
{
	struct point_list *l;
	const struct point *p = the_point(s, &l);
	int r = forget_points(s->vault, &p, 1, &some_wish, NULL);

	point_list_put(l);
	return r;
}

static int undo_it(struct scene *s)
{
	struct point_list *l;
	const struct point *p = the_point(s, &l);
	int r = forget_undo(s->vault, p, "root@web1");

	point_list_put(l);
	return r;
}

static size_t nopen(struct scene *s)
{
	struct point_list *l;
	size_t n = the_point(s, &l)->nopen_forgets;

	point_list_put(l);
	return n;
}

static void put_of(struct scene *s, uint8_t type, const char *folder,
		   unsigned int n, const char *text)
{
	const char *point = sessions_first_object(s, "point/") + 6;
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "%s/%s-%u", folder, point, n);
	sessions_put_text(s, type, name, text);
}

/* That a wish was answered is known from the answer, though the wish be lost. */
static void a_lost_wish_leaves_its_number(void **state)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct scene *s = *state;
	struct point_list *l;

	assert_ok(sessions_commit(s));
	assert_ok(purge_encode(false, sessions_first_object(s, "point/") + 6,
			       NULL, 1, &b));
	buf_put_u8(&b, 0);
	put_of(s, OBJECT_PURGE, "purge", 0, (const char *)b.data);
	assert_int_equal(the_point(s, &l)->next_forget, 1);
	point_list_put(l);
	assert_ok(forget_it(s));
	assert_int_equal(nopen(s), 1);
}

static void no_later_wish_shortens_the_window(void **state)
{
	struct scene *s = *state;
	struct point_list *l;

	assert_ok(sessions_commit(s));
	put_of(s, OBJECT_FORGET, "forget", 0,
	       "{\"time_ns\":1000,\"until_ns\":15552000000001000}");
	put_of(s, OBJECT_FORGET, "forget", 1, "{\"time_ns\":2000}");
	assert_int_equal(the_point(s, &l)->until_ns, 1000 + 180 * DAY);
	point_list_put(l);
}

static void a_forgotten_point_is_not_listed(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	const struct point *p;
	char id[POINT_ID_HEX + 1];
	size_t at;

	assert_ok(sessions_commit(s));
	assert_ok(vault_points(s->vault, &l));
	p = l->points[0];
	memcpy(id, p->id, sizeof(id));
	assert_ok(forget_points(s->vault, &p, 1, &some_wish, NULL));
	point_list_put(l);
	assert_int_equal(sessions_npoints(s), 0);
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->nforgotten, 1);
	assert_string_equal(l->forgotten[0]->id, id);
	assert_result(point_find(l, id, &at), -ENOENT);
	assert_said("was forgotten");
	point_list_put(l);
	/* Another client sees it so, and the same one, once it asks. */
	sessions_next(s);
	assert_int_equal(sessions_npoints(s), 0);
	p = the_point(s, &l);
	assert_int_equal(p->nopen_forgets, 1);
	assert_int_equal(p->until_ns - p->forgotten_ns, 14 * DAY);
	assert_string_equal(p->forget_reason, "old");
	assert_int_equal(p->next_forget, 1);
	point_list_put(l);
	assert_ok(undo_it(s));
	sessions_next(s);
	assert_int_equal(sessions_npoints(s), 1);
	/* Nothing was deleted on the way. */
	assert_int_equal(sessions_nobjects(s, "forget/"), 1);
	assert_int_equal(sessions_nobjects(s, "purge/"), 1);
}

/* Each wish has an answer of its own. */
static void two_wishes_take_two_answers(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	put_of(s, OBJECT_FORGET, "forget", 0, "{\"time_ns\":3}");
	put_of(s, OBJECT_FORGET, "forget", 1, "{\"time_ns\":1}");
	assert_int_equal(nopen(s), 2);
	put_of(s, OBJECT_PURGE, "purge", 1, KEPT);
	assert_int_equal(nopen(s), 1);
	assert_ok(undo_it(s));
	assert_int_equal(nopen(s), 0);
	assert_int_equal(sessions_nobjects(s, "purge/"), 2);
	/* A wish that was answered before it was made would be none. */
	put_of(s, OBJECT_PURGE, "purge", 7, KEPT);
	assert_ok(forget_it(s));
	assert_int_equal(nopen(s), 1);
	put_of(s, OBJECT_PURGE, "purge", 8, PURGED);
	assert_int_equal(sessions_npoints(s), 0);
}

static void damage_forgets_nothing(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	put_of(s, OBJECT_FORGET, "forget", 0, "{\"time_ns\":\"x\"}");
	assert_int_equal(nopen(s), 0);
	assert_said("malformed");
	put_of(s, OBJECT_FORGET, "forget", 1, "{\"time_ns\":1}");
	assert_int_equal(nopen(s), 1);
	/* It may be the answer to the wish. */
	put_of(s, OBJECT_PURGE, "purge", 0, "{\"verdict\":\"PERHAPS\"}");
	assert_int_equal(nopen(s), 0);
	/* And one more wish would say nothing more. */
	assert_result(forget_it(s), -EBADMSG);
	assert_said("whether point");
	assert_int_equal(sessions_nobjects(s, "forget/"), 2);
	assert_result(undo_it(s), -EBADMSG);
	/* An error of the listing is no empty list. */
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "forget/", 1,
			 -EHOSTUNREACH, 0);
	{
		struct point_list *l;

		assert_result(vault_points(s->vault, &l), -EHOSTUNREACH);
	}
}

/* A collector may be faster. */
static int purge_first(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;

	if (op != BACKEND_MEM_PUT || strncmp(name, "purge/", 6) != 0)
		return 0;
	backend_mem_watch(s->backend, NULL, NULL);
	put_of(s, OBJECT_PURGE, "purge", 0, PURGED);
	return 0;
}

static void too_late_is_said(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	assert_ok(forget_it(s));
	backend_mem_watch(s->backend, purge_first, s);
	assert_result(undo_it(s), -EALREADY);
	assert_said("too late");
	assert_int_equal(sessions_npoints(s), 0);
}

/* Whatever becomes of the reply, what stands there is what is said. */
static void replies_get_lost(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "forget/", 1, -EIO, 0);
	assert_result(forget_it(s), -EIO);
	assert_int_equal(nopen(s), 0);
	assert_ok(forget_it(s));
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "purge/", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	assert_ok(undo_it(s));
	assert_int_equal(nopen(s), 0);
	assert_ok(forget_it(s));
	/* Once is no time: it is tried again. */
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "purge/", 1, -EIO, 0);
	assert_ok(undo_it(s));
	assert_ok(forget_it(s));
	support_log_clear();
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "purge/", 1, -ETIMEDOUT,
			 BACKEND_MEM_STICKY);
	assert_result(undo_it(s), -ETIMEDOUT);
	assert_said("is not known");
	backend_mem_heal(s->backend);
	support_log_clear();
	/* It went through, as the next look tells. */
	assert_int_equal(nopen(s), 0);
	assert_ok(forget_it(s));
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "purge/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	assert_result(undo_it(s), -EIO);
	backend_mem_heal(s->backend);
	assert_int_equal(nopen(s), 1);
	assert_ok(undo_it(s));
}

static void what_is_protected_stays(void **state)
{
	struct scene *s = *state;
	struct forget_wish short_one = some_wish;
	struct point_list *l;
	const struct point *p;

	assert_ok(sessions_commit(s));
	p = the_point(s, &l);
	assert_ok(note_point(s->vault, p, NOTE_PROTECT, NULL, NULL));
	assert_ok(note_point(s->vault, p, NOTE_KEEP, "2030-01-02T03:04:05Z",
			     NULL));
	assert_ok(note_point(s->vault, p, NOTE_SUSPICIOUS, NULL, NULL));
	assert_ok(note_point(s->vault, p, NOTE_VERIFIED, NULL, NULL));
	point_list_put(l);
	assert_result(forget_it(s), -EPERM);
	assert_int_equal(sessions_nobjects(s, "forget/"), 0);
	p = the_point(s, &l);
	assert_int_equal(p->keep_until_ns, INT64_C(1893553445) * 1000000000);
	assert_true(p->is_suspicious);
	assert_true(p->is_verified);
	assert_ok(note_point(s->vault, p, NOTE_TRUSTED, NULL, NULL));
	/* What is no time is no wish, and damages nothing. */
	assert_ok(note_point(s->vault, p, NOTE_KEEP, "for long", NULL));
	assert_ok(note_point(s->vault, p, NOTE_UNPROTECT, NULL, NULL));
	point_list_put(l);
	p = the_point(s, &l);
	assert_false(p->is_suspicious);
	assert_int_equal(p->keep_until_ns, INT64_C(1893553445) * 1000000000);
	short_one.window_ns--;
	assert_result(forget_points(s->vault, &p, 1, &short_one, NULL),
		      -EINVAL);
	short_one.window_ns++;
	short_one.reason = "two\nlines";
	assert_result(forget_points(s->vault, &p, 1, &short_one, NULL),
		      -EINVAL);
	assert_said("a reason is");
	point_list_put(l);
	assert_ok(forget_it(s));
}

/* ---- others are at work ---- */

struct rival {
	struct scene *scene;
	const struct point *point;
	uint8_t type;
	const char *folder, *text;
	const char *before; /* which wish; NULL: to forget */
	unsigned int number;
};

/* Somebody is done between the look at the points and the first wish. */
static int be_first(void *arg, enum backend_mem_op op, const char *name)
{
	struct rival *rival = arg;
	const char *before = rival->before ? rival->before : "forget/";
	char own[OBJECT_NAME_MAX];

	if (op != BACKEND_MEM_PUT || strncmp(name, before, strlen(before)) != 0)
		return 0;
	backend_mem_watch(rival->scene->backend, NULL, NULL);
	snprintf(own, sizeof(own), "%s/%s-%u", rival->folder, rival->point->id,
		 rival->number);
	sessions_put_text(rival->scene, rival->type, own, rival->text);
	return 0;
}

static size_t nlisted(struct scene *s)
{
	struct point_list *l;
	size_t i, n = 0;

	assert_ok(vault_points(s->vault, &l));
	for (i = 0; i < l->n; i++)
		n += l->points[i]->nopen_forgets == 0;
	point_list_put(l);
	return n;
}

/* Of a machine with two points somebody forgets the one and somebody the other. */
static void a_machine_keeps_a_point(void **state)
{
	struct scene *s = *state;
	struct rival rival = { .scene = s,
			       .type = OBJECT_FORGET,
			       .folder = "forget",
			       .text = "{\"time_ns\":1}" };
	struct point_list *l;

	assert_ok(sessions_commit(s));
	sessions_next(s);
	assert_ok(sessions_commit(s));
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->n, 2);
	rival.point = l->points[1];
	assert_ok(guard_last(l, (const struct point *const *)l->points, 1));
	assert_result(guard_last(l, (const struct point *const *)l->points, 2),
		      -EPERM);
	assert_ok(guard_last(l, (const struct point *const *)l->points, 0));
	backend_mem_watch(s->backend, be_first, &rival);
	assert_result(guard_forget(s->vault,
				   (const struct point *const *)l->points, 1,
				   &some_wish, false),
		      -EAGAIN);
	assert_said("would have none left");
	assert_int_equal(nlisted(s), 1);
	/* The other one's wish was not taken back. */
	assert_int_equal(sessions_nobjects(s, "forget/"), 2);
	assert_int_equal(sessions_nobjects(s, "purge/"), 1);
	point_list_put(l);
	assert_ok(vault_points(s->vault, &l));
	assert_ok(guard_forget(s->vault, (const struct point *const *)l->points,
			       1, &some_wish, true));
	assert_int_equal(nlisted(s), 0);
	point_list_put(l);
}

static void what_is_protected_meanwhile_stays(void **state)
{
	static const char *const notes[] = {
		"{\"kind\":\"protect\",\"time_ns\":1}",
		"{\"kind\":\"keep\",\"time_ns\":1,"
		"\"text\":\"2030-01-02T03:04:05Z\"}"
	};
	struct scene *s = *state;
	struct rival rival = { .scene = s,
			       .type = OBJECT_NOTE,
			       .folder = "note" };
	struct point_list *l;
	const struct point *p;
	size_t i;

	assert_ok(sessions_commit(s));
	for (i = 0; i < ARRAY_SIZE(notes); i++) {
		sessions_next(s);
		assert_ok(sessions_commit(s));
		assert_ok(vault_points(s->vault, &l));
		p = l->points[0];
		if (p->nnotes > 0)
			p = l->points[1];
		rival.point = p;
		rival.text = notes[i];
		backend_mem_watch(s->backend, be_first, &rival);
		assert_result(guard_forget(s->vault, &p, 1, &some_wish, true),
			      -EAGAIN);
		assert_said(i == 0 ? "was protected" : "was asked to stay");
		assert_int_equal(nlisted(s), 2 + i);
		point_list_put(l);
	}
	/* What cannot be looked at is not done. */
	assert_ok(vault_points(s->vault, &l));
	p = l->points[0]->is_protected ? l->points[1] : l->points[0];
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "forget/", 1,
			 -EHOSTUNREACH, 0);
	assert_result(guard_forget(s->vault, &p, 1, &some_wish, false),
		      -EHOSTUNREACH);
	assert_int_equal(nlisted(s), 3);
	point_list_put(l);
}

/* That a point is back is not said where somebody forgets it at the same time. */
static void what_is_forgotten_meanwhile_is_not_back(void **state)
{
	struct scene *s = *state;
	struct rival rival = { .scene = s,
			       .type = OBJECT_FORGET,
			       .folder = "forget",
			       .text = "{\"time_ns\":1}",
			       .before = "purge/",
			       .number = 1 };
	struct point_list *l;
	const struct point *p;

	assert_ok(sessions_commit(s));
	assert_ok(forget_it(s));
	vault_show_forgotten(s->vault);
	assert_ok(vault_points(s->vault, &l));
	p = l->points[0];
	rival.point = p;
	backend_mem_watch(s->backend, be_first, &rival);
	assert_result(guard_undelete(s->vault, &p, 1, NULL), -EAGAIN);
	assert_said("somebody else forgot");
	point_list_put(l);
	assert_ok(vault_points(s->vault, &l));
	p = l->points[0];
	assert_int_equal(p->nopen_forgets, 1);
	assert_ok(guard_undelete(s->vault, &p, 1, NULL));
	point_list_put(l);
	assert_int_equal(nlisted(s), 1);
}

static void the_store_tells_when(void **state)
{
	struct scene *s = *state;
	struct forget_wish late = some_wish;
	struct point_list *l;
	const struct point *p;
	int64_t stored = -1, newest = -1;

	assert_ok(sessions_commit(s));
	assert_ok(backend_mem_set_time(
		s->backend, sessions_first_object(s, "commit/"), 4711));
	p = the_point(s, &l);
	assert_ok(forget_stored_times(s->vault, l, &stored, &newest));
	assert_int_equal(stored, 4711);
	assert_int_equal(newest, 4711);
	newest = -1;
	assert_ok(forget_stored_times(s->vault, l, NULL, &newest));
	assert_int_equal(newest, 4711);
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "commit/", 1,
			 -EHOSTUNREACH, 0);
	assert_result(forget_stored_times(s->vault, l, &stored, &newest),
		      -EHOSTUNREACH);
	/* A clock that is behind ends the time to undelete no earlier. */
	late.vault_ns = INT64_C(4000000000) * 1000000000;
	assert_ok(forget_points(s->vault, &p, 1, &late, NULL));
	point_list_put(l);
	assert_int_equal(the_point(s, &l)->until_ns,
			 late.vault_ns + late.window_ns);
	point_list_put(l);
}

/* ---- what people type ---- */

static void policies_are_typed(void **state)
{
	static const char *const wrong[] = {
		"",    "7",  "6m",	     "d",	   "-1d",
		"1d ", "1s", "99999999999d", "1000000000y"
	};
	struct keep_verdict v = { .reasons = 1 << KEEP_LAST | KEEP_FOR_BURST |
					     1 << KEEP_MONTHLY,
				  .oldest = 1 << KEEP_MONTHLY };
	AUTO_BUF struct buf b = BUF_INIT;
	unsigned int groups;
	uint32_t count;
	int64_t ns;
	size_t i;

	(void)state;
	assert_ok(keep_parse_count("30", &count));
	assert_int_equal(count, 30);
	assert_ok(keep_parse_count("unlimited", &count));
	assert_int_equal(count, KEEP_UNLIMITED);
	assert_result(keep_parse_count("3d", &count), -EINVAL);
	assert_result(keep_parse_count("", &count), -EINVAL);
	assert_result(keep_parse_count("-2", &count), -EINVAL);
	assert_ok(keep_parse_duration("1y6mo2w3d4h", &ns));
	assert_int_equal(ns / (DAY / 24), 24 * (366 + 6 * 31 + 2 * 7 + 3) + 4);
	for (i = 0; i < ARRAY_SIZE(wrong); i++)
		assert_result(keep_parse_duration(wrong[i], &ns), -EINVAL);
	assert_ok(keep_parse_groups("host,tags", &groups));
	assert_int_equal(groups, KEEP_BY_HOST | KEEP_BY_TAGS);
	assert_ok(keep_parse_groups("", &groups));
	assert_int_equal(groups, 0);
	assert_result(keep_parse_groups("host,", &groups), 0);
	assert_result(keep_parse_groups("hosts", &groups), -EINVAL);
	keep_put_reasons(&v, &b);
	assert_int_equal(b.len, strlen("last, oldest monthly"));
	assert_memory_equal(b.data, "last, oldest monthly", b.len);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(the_window_has_bounds),
		cmocka_unit_test(a_verdict_says_what_it_says),
		CASE(a_forgotten_point_is_not_listed),
		CASE(a_lost_wish_leaves_its_number),
		CASE(no_later_wish_shortens_the_window),
		CASE(two_wishes_take_two_answers),
		CASE(damage_forgets_nothing),
		CASE(too_late_is_said),
		CASE(replies_get_lost),
		CASE(what_is_protected_stays),
		CASE(a_machine_keeps_a_point),
		CASE(what_is_protected_meanwhile_stays),
		CASE(what_is_forgotten_meanwhile_is_not_back),
		CASE(the_store_tells_when),
		cmocka_unit_test(policies_are_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
