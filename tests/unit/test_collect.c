/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A collection removes what was wished away long ago, and nothing else, whatever
 * fails on the way and whoever is at work beside it. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "store/collect/clock.h"
#include "store/collect/due.h"
#include "store/collect/ledger.h"
#include "store/collect/tomb.h"
#include "store/collect/wait.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/record/pack_list.h"
#include "store/record/quarantine.h"
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
	size_t before = sessions_nobjects(s, "heartbeat/");
	struct collect_clock c;

	assert_ok(clock_begin(s->vault, &c));
	assert_int_equal(sessions_nobjects(s, "heartbeat/"), before + 1);
	clock_end(&c);
	assert_int_equal(sessions_nobjects(s, "heartbeat/"), before);
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
	struct collect_clock c;
	int64_t now;

	assert_ok(clock_begin(s->vault, &c));
	clock_end(&c);
	now = c.least_ns;
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

/* The clock of the store jumps ten years ahead. */
static int jump_ahead(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;
	struct seam *seam = vault_seam(s->vault);

	if (op == BACKEND_MEM_HEAD && strncmp(name, "heartbeat/", 10) == 0)
		assert_ok(backend_mem_set_time(s->backend, name,
					       seam->ops->realtime_ns(seam) +
						       3650 * DAY));
	return 0;
}

static void no_clock_that_is_ahead_decides(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	wish(s, 0, LONG_AGO, 13);
	backend_mem_watch(s->backend, jump_ahead, s);
	assert_int_equal(ndue(s), 0);
	backend_mem_watch(s->backend, NULL, NULL);
	wish(s, 1, LONG_AGO, -3000);
	assert_int_equal(ndue(s), 0);
	put_of_point(s, OBJECT_PURGE, "purge", 1, KEPT);
	assert_ok(backend_mem_set_time(s->backend,
				       sessions_first_object(s, "forget/"),
				       store_now(s) - 15 * DAY));
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

/* It may be the one that gives the most time. */
static void an_unread_wish_keeps(void **state)
{
	struct scene *s = *state;
	struct judged_point j;

	assert_ok(sessions_commit(s));
	wish(s, 0, LONG_AGO, 15);
	wish(s, 1, "nonsense", 15);
	j = judge(s);
	assert_int_equal(j.due.n, 1);
	assert_int_equal(j.due.ndue, 0);
	assert_non_null(strstr(j.due.items[0].kept, "cannot be read"));
	/* Whoever brings the point back answers it, too. */
	assert_ok(forget_undo(s->vault, j.due.items[0].point, NULL));
	release(&j);
	assert_int_equal(sessions_nobjects(s, "purge/"), 2);
	wish(s, 2, LONG_AGO, 15);
	assert_int_equal(ndue(s), 1);
	/* Nobody removes one: that of the number 3 was lost. */
	wish(s, 4, LONG_AGO, 15);
	j = judge(s);
	assert_int_equal(j.due.ndue, 0);
	assert_ok(forget_undo(s->vault, j.due.items[0].point, NULL));
	release(&j);
	assert_int_equal(sessions_nobjects(s, "purge/"), 5);
	/* What anybody can put is answered, and ends no forgetting. */
	wish(s, 4294967294, "nonsense", 15);
	wish(s, 1999999999, "nonsense", 15);
	wish(s, 2000000000, LONG_AGO, 15);
	j = judge(s);
	assert_int_equal(j.due.ndue, 0);
	assert_ok(forget_undo(s->vault, j.due.items[0].point, NULL));
	release(&j);
	wish(s, 2000000001, LONG_AGO, 15);
	assert_int_equal(ndue(s), 1);
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
	unsigned int n;
	bool purged = false;

	assert_ok(sessions_commit(s));
	wish(s, 0, LONG_AGO, 15);
	wish(s, 10, LONG_AGO, 15);
	for (n = 9; n > 0; n--)
		wish(s, n, LONG_AGO, 15);
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

/* ---- tombs and sweeps ---- */

#define GID "0123456789abcdef0123456789abcdef"

/* The name of the @i-th pack, in the order of the listing. */
static const char *pack_at(struct scene *s, size_t i)
{
	size_t k;

	for (k = 0; k < backend_mem_nobjects(s->backend); k++) {
		const char *name = backend_mem_name(s->backend, k);

		if (strncmp(name, "pack/", 5) == 0 && i-- == 0)
			return strrchr(name, '/') + 1;
	}
	fail_msg("no such pack");
	return NULL;
}

/* Each with a point, and a pack. */
static struct pack_list make_packs(struct scene *s, size_t n)
{
	struct pack_list l = { .n = 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		sessions_put(s, i, 5000);
		assert_ok(sessions_commit(s));
		sessions_next(s);
	}
	writer_abandon(s->writer);
	assert_int_equal(sessions_nobjects(s, "pack/"), n);
	for (i = 0; i < n; i++)
		assert_ok(pack_list_add(&l, pack_at(s, i)));
	pack_list_sort(&l);
	support_log_clear();
	return l;
}

static void put_list(struct scene *s, uint8_t type, const char *name,
		     const struct pack_list *l)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_BUF struct buf box = BUF_INIT;

	if (type == OBJECT_TOMB)
		tomb_encode(l, &plain);
	else
		sweep_encode(l, &plain);
	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), type, name, NULL, 0,
				  plain.data, plain.len, &box));
	assert_ok(backend_put(s->backend, name, box.data, box.len));
}

/* How many packs a take-over deletes; it has to succeed. */
static size_t taken_over(struct scene *s)
{
	struct swept_tombs swept = { .n = 0 };
	struct collect_clock c;
	size_t n;

	assert_ok(clock_begin(s->vault, &c));
	assert_ok(tomb_take_over(s->vault, &c, &swept));
	assert_ok(tomb_finish(s->vault, &c, &swept));
	clock_end(&c);
	n = swept.packs.n;
	swept_tombs_release(&swept);
	assert_int_equal(sessions_nobjects(s, "tomb/"), 0);
	return n;
}

static int take_over(struct scene *s)
{
	struct swept_tombs swept = { .n = 0 };
	struct collect_clock c;
	int r;

	assert_ok(clock_begin(s->vault, &c));
	r = tomb_take_over(s->vault, &c, &swept);
	if (r == 0)
		r = tomb_finish(s->vault, &c, &swept);
	clock_end(&c);
	swept_tombs_release(&swept);
	return r;
}

static void what_the_dead_left_is_ended(void **state)
{
	struct scene *s = *state;
	struct pack_list l = make_packs(s, 2), one = { .n = 0 };
	char finding[OBJECT_NAME_MAX];

	/* Before he decided: nothing is deleted, by him neither. */
	put_list(s, OBJECT_TOMB, "tomb/" GID, &l);
	assert_int_equal(taken_over(s), 0);
	assert_int_equal(sessions_nobjects(s, "pack/"), 2);
	assert_int_equal(sessions_nobjects(s, "sweep/"), 1);
	/* After that: what he decided is done. */
	put_list(s, OBJECT_TOMB, "tomb/" GID, &l);
	assert_int_equal(taken_over(s), 0);
	put_list(s, OBJECT_TOMB, "tomb/" GID "-1", &l);
	assert_ok(pack_list_add(&one, l.names[1]));
	put_list(s, OBJECT_SWEEP, "sweep/" GID "-1", &one);
	quarantine_name(l.names[1], 0, finding);
	sessions_put_text(s, OBJECT_QUARANTINE, finding, "{}");
	quarantine_name(l.names[0], 1, finding);
	sessions_put_text(s, OBJECT_QUARANTINE, finding, "{}");
	assert_int_equal(taken_over(s), 1);
	assert_int_equal(sessions_nobjects(s, "pack/"), 1);
	assert_string_equal(pack_at(s, 0), l.names[0]);
	assert_int_equal(sessions_nobjects(s, "quarantine/"), 1);
	assert_string_equal(sessions_first_object(s, "quarantine/"), finding);
	/* Or was done, but for the last step. */
	put_list(s, OBJECT_TOMB, "tomb/" GID "-1", &l);
	assert_int_equal(taken_over(s), 1);
	assert_int_equal(sessions_nobjects(s, "sweep/"), 2);
	pack_list_release(&l);
	pack_list_release(&one);
}

/* A sweep that somebody else puts is not that of a collection. */
static int decide_first(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;
	struct pack_list l = { .n = 0 };

	if (op != BACKEND_MEM_PUT || strcmp(name, "sweep/" GID) != 0)
		return 0;
	backend_mem_watch(s->backend, NULL, NULL);
	assert_ok(pack_list_add(&l, pack_at(s, 0)));
	assert_ok(pack_list_add(&l, pack_at(s, 1)));
	pack_list_sort(&l);
	put_list(s, OBJECT_SWEEP, name, &l);
	pack_list_release(&l);
	return 0;
}

static void who_did_not_condemn_decides_nothing(void **state)
{
	struct scene *s = *state;
	struct pack_list l = make_packs(s, 2), one = { .n = 0 },
			 out = { .n = 0 };

	/* It names more than the tomb. */
	assert_ok(pack_list_add(&one, l.names[0]));
	put_list(s, OBJECT_TOMB, "tomb/" GID, &one);
	put_list(s, OBJECT_SWEEP, "sweep/" GID, &l);
	assert_result(take_over(s), -EBADMSG);
	assert_said("which its tomb does not name");
	assert_int_equal(sessions_nobjects(s, "pack/"), 2);
	assert_int_equal(sessions_nobjects(s, "tomb/"), 1);
	assert_ok(backend_mem_remove(s->backend, "tomb/" GID));
	assert_ok(backend_mem_remove(s->backend, "sweep/" GID));
	/* It stands in the place of the own one. */
	assert_ok(tomb_put(s->vault, GID, &l));
	backend_mem_watch(s->backend, decide_first, s);
	assert_result(tomb_decide(s->vault, GID, &l, &one, &out), -EBADMSG);
	assert_said("was put by somebody else");
	assert_int_equal(out.n, 0);
	pack_list_release(&l);
	pack_list_release(&one);
	pack_list_release(&out);
}

static void what_cannot_be_read_is_left(void **state)
{
	struct scene *s = *state;
	struct pack_list l = make_packs(s, 1);
	const char *const broken[] = { "", "nonsense", "\2\1" };
	size_t i;

	put_list(s, OBJECT_TOMB, "tomb/" GID, &l);
	for (i = 0; i < ARRAY_SIZE(broken); i++) {
		sessions_put_text(s, OBJECT_SWEEP, "sweep/" GID, broken[i]);
		/* Another beside it is ended all the same. */
		put_list(s, OBJECT_TOMB, "tomb/" GID "-1", &l);
		assert_ok(take_over(s));
		assert_said("what was decided on tomb/" GID " cannot be read");
		assert_int_equal(sessions_nobjects(s, "pack/"), 1);
		assert_int_equal(sessions_nobjects(s, "tomb/"), 1);
		assert_string_equal(sessions_first_object(s, "tomb/"),
				    "tomb/" GID);
		assert_ok(backend_mem_remove(s->backend, "sweep/" GID));
	}
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "tomb/", 1, -EACCES, 0);
	assert_result(take_over(s), -EACCES);
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "sweep/", 1, -EACCES, 0);
	assert_result(take_over(s), -EACCES);
	/* The reply of the register is lost, and then nobody answers. */
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "sweep/", 2, -EACCES, 0);
	assert_result(take_over(s), -EACCES);
	assert_int_equal(sessions_nobjects(s, "tomb/"), 1);
	assert_int_equal(sessions_nobjects(s, "pack/"), 1);
	assert_int_equal(taken_over(s), 0);
	pack_list_release(&l);
}

/* A pack that is listed after it was deleted keeps the tomb. */
static void the_tomb_goes_last(void **state)
{
	struct scene *s = *state;
	struct pack_list l = make_packs(s, 1);

	put_list(s, OBJECT_TOMB, "tomb/" GID, &l);
	put_list(s, OBJECT_SWEEP, "sweep/" GID, &l);
	backend_mem_fail(s->backend, BACKEND_MEM_DELETE, "pack/", 1, -EIO, 0);
	assert_result(take_over(s), -EIO);
	assert_int_equal(sessions_nobjects(s, "tomb/"), 1);
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "pack/", 1, -EIO, 0);
	assert_result(take_over(s), -EIO);
	assert_int_equal(sessions_nobjects(s, "tomb/"), 1);
	assert_int_equal(sessions_nobjects(s, "pack/"), 0);
	assert_int_equal(taken_over(s), 1);
	pack_list_release(&l);
}

static void who_is_alive_is_not_disturbed(void **state)
{
	static const char alive[] =
		"{\"time_ns\":1,\"host\":\"far away\",\"pid\":7}";
	struct scene *s = *state;
	struct pack_list l = make_packs(s, 1);

	put_list(s, OBJECT_TOMB, "tomb/" GID, &l);
	sessions_put_text(s, OBJECT_HEARTBEAT, "heartbeat/" GID "-3", alive);
	assert_result(take_over(s), -EBUSY);
	assert_said("another collection is at work (host far away, process 7)");
	assert_int_equal(sessions_nobjects(s, "sweep/"), 0);
	/* A day later nobody has heard of him. */
	assert_ok(backend_mem_set_time(s->backend, "heartbeat/" GID "-3",
				       store_now(s) - DAY));
	assert_int_equal(taken_over(s), 0);
	assert_int_equal(sessions_nobjects(s, "sweep/"), 1);
	/* Nor is it a sign of life that a clock was ahead. */
	assert_ok(backend_mem_remove(s->backend, "sweep/" GID));
	put_list(s, OBJECT_TOMB, "tomb/" GID, &l);
	assert_ok(backend_mem_set_time(s->backend, "heartbeat/" GID "-3",
				       store_now(s) + DAY));
	assert_int_equal(taken_over(s), 0);
	assert_int_equal(sessions_nobjects(s, "sweep/"), 1);
	pack_list_release(&l);
}

/* Somebody else gives the collection up. */
static int abort_first(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;

	if (op != BACKEND_MEM_PUT || strcmp(name, "sweep/" GID) != 0)
		return 0;
	backend_mem_watch(s->backend, NULL, NULL);
	put_list(s, OBJECT_SWEEP, name, NULL);
	return 0;
}

static void the_first_sweep_decides(void **state)
{
	struct scene *s = *state;
	struct pack_list l = make_packs(s, 3), d = { .n = 0 }, out = { .n = 0 };
	struct collect_clock c;

	/* Each tomb names one. */
	tomb_max = 1;
	assert_ok(tomb_put(s->vault, GID, &l));
	assert_int_equal(sessions_nobjects(s, "tomb/"), 3);
	assert_ok(pack_list_add(&d, l.names[0]));
	assert_ok(pack_list_add(&d, l.names[2]));
	backend_mem_watch(s->backend, abort_first, s);
	assert_result(tomb_decide(s->vault, GID, &l, &d, &out), -ECANCELED);
	assert_int_equal(out.n, 1);
	assert_string_equal(out.names[0], l.names[2]);
	assert_int_equal(sessions_nobjects(s, "sweep/"), 3);
	assert_ok(clock_begin(s->vault, &c));
	assert_ok(tomb_sweep(s->vault, &c, &out));
	clock_end(&c);
	assert_ok(tomb_remove(s->vault, GID, &l));
	assert_int_equal(sessions_nobjects(s, "pack/"), 2);
	assert_int_equal(sessions_nobjects(s, "tomb/"), 0);
	tomb_max = PACK_LIST_MAX;
	pack_list_release(&l);
	pack_list_release(&d);
	pack_list_release(&out);
}

static void a_lost_reply_is_read_back(void **state)
{
	struct scene *s = *state;
	struct pack_list l = make_packs(s, 1), out = { .n = 0 };

	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "tomb/", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	assert_ok(tomb_put(s->vault, GID, &l));
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "tomb/", 1, -EACCES,
			 BACKEND_MEM_STICKY);
	assert_result(tomb_put(s->vault, GID "0", &l), -EACCES);
	backend_mem_heal(s->backend);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "sweep/", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	assert_ok(tomb_decide(s->vault, GID, &l, &l, &out));
	assert_int_equal(out.n, 1);
	pack_list_release(&out);
	/* It was put, and nobody knows. */
	assert_ok(backend_mem_remove(s->backend, "sweep/" GID));
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "sweep/", 1, -ETIMEDOUT,
			 BACKEND_MEM_STICKY);
	assert_result(tomb_decide(s->vault, GID, &l, &l, &out), -ETIMEDOUT);
	backend_mem_heal(s->backend);
	assert_int_equal(out.n, 0);
	/* A store that lies is believed in nothing. */
	assert_ok(backend_mem_remove(s->backend, "sweep/" GID));
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "sweep/", 1, 0,
			 BACKEND_MEM_LIES | BACKEND_MEM_STICKY);
	assert_result(tomb_decide(s->vault, GID, &l, &l, &out), -EIO);
	backend_mem_heal(s->backend);
	pack_list_release(&l);
	pack_list_release(&out);
}

/* ---- sessions ---- */

static size_t nwaiting;

static void on_wait(void *arg, const struct collect_waiting *w)
{
	(void)arg;
	assert_true(w->since_ns > 0);
	nwaiting = w->n;
}

static int wait_for(struct scene *s, int64_t wait_ns, size_t *fenced_out)
{
	struct wait_options o = { .wait_ns = wait_ns, .on_wait = on_wait };
	struct hex_ids listed = { .n = 0 }, fenced = { .n = 0 };
	struct collect_clock c;
	int r;

	nwaiting = 0;
	assert_ok(clock_begin(s->vault, &c));
	r = wait_for_sessions(s->vault, &c, &o, &listed, &fenced);
	clock_end(&c);
	*fenced_out = fenced.n;
	assert_true(listed.n >= fenced.n);
	hex_ids_release(&listed);
	hex_ids_release(&fenced);
	return r;
}

/* It is decided while somebody waits for it. */
static int decide_it(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;
	char text[256];

	if (op != BACKEND_MEM_HEAD || strncmp(name, "commit/", 7) != 0 ||
	    nwaiting == 0)
		return 0;
	backend_mem_watch(s->backend, NULL, NULL);
	snprintf(text, sizeof(text), "{\"decision\":\"FENCED\"}");
	sessions_put_text(s, OBJECT_COMMIT, name, text);
	return 0;
}

static void the_living_are_waited_for(void **state)
{
	struct scene *s = *state;
	size_t fenced;

	assert_result(wait_for(s, 0, &fenced), -EBUSY);
	assert_int_equal(nwaiting, 1);
	assert_said("began before this collection");
	assert_int_equal(fenced, 0);
	assert_int_equal(sessions_nobjects(s, "commit/"), 0);
	backend_mem_watch(s->backend, decide_it, s);
	assert_ok(wait_for(s, -1, &fenced));
	assert_int_equal(nwaiting, 1);
	assert_int_equal(fenced, 0);
	/* One that cannot be asked about may be alive. */
	sessions_next(s);
	backend_mem_fail(s->backend, BACKEND_MEM_HEAD, "commit/", 1,
			 -EHOSTUNREACH, BACKEND_MEM_STICKY);
	assert_result(wait_for(s, -1, &fenced), -EHOSTUNREACH);
	backend_mem_heal(s->backend);
	backend_mem_fail(s->backend, BACKEND_MEM_LIST, "session/", 1,
			 -EHOSTUNREACH, 0);
	assert_result(wait_for(s, -1, &fenced), -EHOSTUNREACH);
}

/* Return the id of a process that is no more. */
static int nothing(void *arg)
{
	*(pid_t *)arg = getpid();
	return 0;
}

static void the_dead_are_fenced_off(void **state)
{
	struct scene *s = *state;
	char text[512], host[256] = "";
	size_t fenced;
	pid_t *dead = mmap(NULL, sizeof(*dead), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(dead != MAP_FAILED);
	writer_abandon(s->writer);
	assert_int_equal(support_fork(nothing, dead), 0);
	assert_int_equal(gethostname(host, sizeof(host) - 1), 0);
	snprintf(text, sizeof(text), "{\"host\":\"%s\",\"pid\":%d}", host,
		 (int)*dead);
	munmap(dead, sizeof(*dead));
	sessions_put_text(s, OBJECT_SESSION, "session/" GID, text);
	assert_ok(wait_for(s, -1, &fenced));
	assert_int_equal(fenced, 1);
	assert_int_equal(nwaiting, 0);
	/* One far away was silent for a day, but for a heartbeat. */
	assert_ok(backend_mem_remove(s->backend, "commit/" GID));
	assert_ok(backend_mem_remove(s->backend, "session/" GID));
	sessions_put_text(s, OBJECT_SESSION, "session/" GID,
			  "{\"host\":\"far away\",\"pid\":1}");
	sessions_put_text(s, OBJECT_HEARTBEAT, "heartbeat/" GID "-0",
			  "{\"time_ns\":1}");
	assert_ok(backend_mem_set_time(s->backend, "session/" GID,
				       store_now(s) - 2 * DAY));
	assert_result(wait_for(s, 0, &fenced), -EBUSY);
	assert_int_equal(fenced, 0);
	assert_ok(backend_mem_set_time(s->backend, "heartbeat/" GID "-0",
				       store_now(s) - 2 * DAY));
	/* Whether the fence stands is not known. */
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "commit/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	assert_result(wait_for(s, -1, &fenced), -EIO);
	backend_mem_heal(s->backend);
	assert_ok(wait_for(s, -1, &fenced));
	assert_int_equal(fenced, 1);
	/* One whose clock was ahead has been silent since; one that has been
	 * heard of later has not. */
	assert_ok(backend_mem_remove(s->backend, "commit/" GID));
	assert_ok(backend_mem_set_time(s->backend, "session/" GID,
				       store_now(s) + 2 * DAY));
	sessions_put_text(s, OBJECT_HEARTBEAT, "heartbeat/" GID "-1",
			  "{\"time_ns\":1}");
	assert_result(wait_for(s, 0, &fenced), -EBUSY);
	assert_ok(backend_mem_set_time(s->backend, "heartbeat/" GID "-1",
				       store_now(s) + 2 * DAY));
	assert_ok(wait_for(s, -1, &fenced));
	assert_int_equal(fenced, 1);
}

/* It is decided once it was looked whether it is, and the point counts. */
static int commit_it(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;

	if (op == BACKEND_MEM_PUT && strcmp(name, "commit/" GID) == 0) {
		backend_mem_watch(s->backend, NULL, NULL);
		sessions_put_text(s, OBJECT_COMMIT, name,
				  "{\"decision\":\"COMMIT\"}");
	}
	return 0;
}

static void who_was_decided_is_not_fenced_off(void **state)
{
	struct scene *s = *state;
	size_t fenced;

	writer_abandon(s->writer);
	sessions_put_text(s, OBJECT_SESSION, "session/" GID,
			  "{\"host\":\"far away\",\"pid\":1}");
	assert_ok(backend_mem_set_time(s->backend, "session/" GID,
				       store_now(s) - 2 * DAY));
	backend_mem_watch(s->backend, commit_it, s);
	assert_ok(wait_for(s, -1, &fenced));
	assert_int_equal(fenced, 0);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_clock_is_the_stores),
		CASE(no_clock_that_is_ahead_decides),
		CASE(an_unread_wish_keeps),
		CASE(what_may_be_protected_stays),
		CASE(an_unknown_verdict_removes_nothing),
		CASE(the_last_wish_is_answered),
		CASE(who_is_first_decides),
		CASE(replies_get_lost),
		CASE(what_the_dead_left_is_ended),
		CASE(who_did_not_condemn_decides_nothing),
		CASE(what_cannot_be_read_is_left),
		CASE(the_tomb_goes_last),
		CASE(who_is_alive_is_not_disturbed),
		CASE(the_first_sweep_decides),
		CASE(a_lost_reply_is_read_back),
		CASE(the_living_are_waited_for),
		CASE(the_dead_are_fenced_off),
		CASE(who_was_decided_is_not_fenced_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
