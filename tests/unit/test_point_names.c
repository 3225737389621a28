/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What points and machines are called when they were renamed, and their notes. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/mem.h"
#include "store/base/text.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/note.h"

#define OTHER "11111111111111111111111111111111"
#define OTHER_TOO "22222222222222222222222222222222"

static struct point_list *list(struct scene *s)
{
	struct point_list *l;

	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->ndamaged, 0);
	return l;
}

/* A point of a machine called @vm, of id @machine. */
static void commit(struct scene *s, const char *vm, const char *machine)
{
	static int64_t time_s = 1000000;
	struct point *p = point_new();

	assert_non_null(p);
	p->time_ns = ++time_s * 1000000000;
	p->vm = strdup(vm);
	p->host = strdup("h");
	p->program = strdup("test");
	snprintf(p->machine, sizeof(p->machine), "%s", machine);
	assert_ok(writer_commit(s->writer, p));
	point_free(p);
	sessions_next(s);
}

/* The points of machines called @vm. */
static size_t count(const struct point_list *l, const char *vm)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		n += strcmp(l->points[i]->vm, vm) == 0;
	return n;
}

static void two_machines_of_one_name(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	char id[NAME_HEX + 1];

	commit(s, "web", "");
	commit(s, "old", OTHER);
	/* Somebody renames, just as another machine takes the name. */
	sessions_put_text(s, OBJECT_MACHINE, "machine/" OTHER "-0",
			  "{\"kind\":\"name\",\"text\":\"web\"}");
	l = list(s);
	assert_int_equal(count(l, "web"), 1);
	assert_int_equal(count(l, "web~11111111"), 1);
	assert_said("two machines are called web");
	/* Either can be renamed, and backed up, by the name that is shown. */
	assert_ok(note_machine_of(l, "web~11111111", id));
	assert_string_equal(id, OTHER);
	assert_ok(note_rename(s->vault, l, "web~11111111", "db", NULL));
	point_list_put(l);
	l = list(s);
	assert_int_equal(count(l, "web"), 1);
	assert_int_equal(count(l, "db"), 1);
	assert_string_equal(l->points[0]->named, "old");
	assert_result(note_rename(s->vault, l, "db", "web", NULL), -EEXIST);
	point_list_put(l);
}

/* The name that parts two machines is text, and no third machine's. */
static void parted_names(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	char name[256] = "a";
	size_t i;

	for (i = 0; i < 120; i++)
		memcpy(&name[1 + 2 * i], "\xc3\xa9", 2);
	commit(s, name, "");
	commit(s, name, OTHER);
	commit(s, "web", "");
	commit(s, "web", OTHER_TOO);
	commit(s, "web~22222222", "");
	l = list(s);
	for (i = 0; i < l->n; i++)
		assert_true(text_is_plain(l->points[i]->vm,
					  strlen(l->points[i]->vm)));
	assert_int_equal(count(l, name), 1);
	assert_int_equal(count(l, "web"), 1);
	assert_int_equal(count(l, "web~22222222"), 1);
	assert_int_equal(count(l, "web~" OTHER_TOO), 1);
	point_list_put(l);
}

static void ids_of_new_machines(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	char natural[NAME_HEX + 1], id[NAME_HEX + 1];

	assert_ok(point_machine_of("web", 0, natural));
	l = list(s);
	assert_ok(note_machine_of(l, "web", id));
	assert_string_equal(id, natural);
	point_list_put(l);
	commit(s, "web", "");
	l = list(s);
	assert_string_equal(l->points[0]->machine, natural);
	assert_ok(note_rename(s->vault, l, "web", "shop", "me"));
	point_list_put(l);
	l = list(s);
	assert_ok(note_machine_of(l, "shop", id));
	assert_string_equal(id, natural);
	/* The name is free, its id is not. */
	assert_ok(note_machine_of(l, "web", id));
	assert_string_not_equal(id, natural);
	/* All who begin at once agree on the next one. */
	assert_ok(point_machine_of("web", 1, natural));
	assert_string_equal(id, natural);
	point_list_put(l);
	commit(s, "web", id);
	l = list(s);
	assert_ok(note_rename(s->vault, l, "web", "shop2", "me"));
	point_list_put(l);
	l = list(s);
	assert_ok(note_machine_of(l, "web", id));
	assert_ok(point_machine_of("web", 2, natural));
	assert_string_equal(id, natural);
	/* Nobody new ends as the second machine of a name. */
	assert_result(note_machine_of(l, "web~0123abcd", id), -EINVAL);
	assert_result(note_machine_of(l, "web~" OTHER, id), -EINVAL);
	assert_result(note_rename(s->vault, l, "shop", "web~0123abcd", NULL),
		      -EINVAL);
	assert_ok(note_machine_of(l, "web~0123abcde", id));
	assert_ok(note_machine_of(l, "web~0123ABCD", id));
	point_list_put(l);
}

/* Backed up by the name that is shown, a machine is not a renamed one. */
static void the_shown_name_is_no_doubt(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	char id[NAME_HEX + 1];

	commit(s, "web", "");
	commit(s, "web", OTHER);
	commit(s, "web~11111111", OTHER);
	l = list(s);
	assert_int_equal(count(l, "web"), 1);
	assert_int_equal(count(l, "web~11111111"), 2);
	assert_ok(note_machine_of(l, "new", id));
	point_list_put(l);
}

static void notes_in_order(void **state)
{
	struct scene *s = *state;
	struct point_list *l, *same;
	char text[16];
	int i;

	commit(s, "web", "");
	l = list(s);
	/* Nobody looks in between: each finds its number taken. */
	for (i = 0; i < 12; i++) {
		snprintf(text, sizeof(text), "%d", i);
		assert_ok(note_point(s->vault, l->points[0], NOTE_TEXT, text,
				     NULL));
	}
	assert_ok(note_point(s->vault, l->points[0], NOTE_PROTECT, NULL, "x"));
	assert_result(note_point(s->vault, l->points[0], NOTE_TAG, "", NULL),
		      -EINVAL);
	assert_int_equal(l->points[0]->nnotes, 0);
	point_list_put(l);
	l = list(s);
	assert_int_equal(l->points[0]->nnotes, 13);
	for (i = 0; i < 12; i++)
		assert_int_equal(strtol(l->points[0]->notes[i].text, NULL, 10),
				 i);
	assert_true(l->points[0]->is_protected);
	same = list(s);
	assert_ptr_equal(same, l);
	point_list_put(same);
	point_list_put(l);
}

/* What two machines were called is lost: they are two all the same, and nobody is
 * taken for a new one. */
static void lost_names(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	char natural[NAME_HEX + 1], id[NAME_HEX + 1];

	assert_ok(point_machine_of("web", 0, natural));
	commit(s, "web", OTHER);
	commit(s, "zoo", OTHER);
	commit(s, "web", "");
	l = list(s);
	assert_int_equal(count(l, "zoo"), 2);
	assert_int_equal(count(l, "web"), 1);
	assert_said("is lost or cannot be read: it is shown as zoo");
	assert_ok(note_machine_of(l, "web", id));
	assert_string_equal(id, natural);
	assert_ok(note_machine_of(l, "zoo", id));
	assert_string_equal(id, OTHER);
	assert_result(note_machine_of(l, "new", id), -EBADMSG);
	assert_result(note_rename(s->vault, l, "zoo", "web", NULL), -EEXIST);
	assert_result(note_rename(s->vault, l, "web", "web", NULL), -EEXIST);
	assert_ok(note_rename(s->vault, l, "zoo", "zoo", NULL));
	point_list_put(l);
	l = list(s);
	assert_int_equal(count(l, "zoo"), 2);
	assert_ok(note_machine_of(l, "new", id));
	point_list_put(l);
}

/* A name that cannot be read is one that is not known. */
static void damaged_names(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	char id[NAME_HEX + 1];

	commit(s, "web", OTHER);
	assert_ok(backend_put(s->backend, "machine/" OTHER "-0", "xx", 2));
	/* A machine that has no point stops nobody. */
	assert_ok(backend_put(s->backend,
			      "machine/22222222222222222222222222222222-0",
			      "xx", 2));
	assert_ok(backend_put(s->backend, "machine/" OTHER "-4294967294", "xx",
			      2));
	l = list(s);
	assert_int_equal(l->nmachines, 2);
	assert_true(l->machines[0].in_doubt);
	assert_false(l->machines[1].in_doubt);
	assert_int_equal(l->machines[0].next, 1);
	assert_result(note_machine_of(l, "shop", id), -EBADMSG);
	assert_said("rename web NAME");
	assert_ok(note_machine_of(l, "web", id));
	assert_string_equal(id, OTHER);
	assert_ok(note_rename(s->vault, l, "web", "shop", NULL));
	point_list_put(l);
	l = list(s);
	assert_int_equal(count(l, "shop"), 1);
	assert_false(l->machines[0].in_doubt);
	assert_ok(note_rename(s->vault, l, "shop", "db", NULL));
	assert_ok(note_machine_of(l, "web", id));
	assert_string_not_equal(id, OTHER);
	point_list_put(l);
}

/* Put a note on the point @id. */
static void put_note(struct scene *s, const char *id, unsigned int n,
		     const char *json)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "note/%s-%u", id, n);
	sessions_put_text(s, OBJECT_NOTE, name, json);
}

/* Some notes are lost: what they said is not known, and the next is the last
 * word all the same. */
static void lost_notes(void **state)
{
	struct scene *s = *state;
	struct point_list *l;
	struct point *p;
	char id[NAME_HEX + 1], name[OBJECT_NAME_MAX];

	commit(s, "web", "");
	l = list(s);
	memcpy(id, l->points[0]->id, sizeof(id));
	point_list_put(l);
	put_note(s, id, 2, "{\"kind\":\"unprotect\"}");
	l = list(s);
	p = l->points[0];
	assert_false(p->is_protected);
	assert_true(p->has_missing_note);
	assert_true(p->missing_is_settled);
	assert_int_equal(p->missing_note, 0);
	assert_ok(note_point(s->vault, p, NOTE_PROTECT, NULL, NULL));
	point_list_put(l);
	l = list(s);
	assert_true(l->points[0]->is_protected);
	assert_ok(
		note_point(s->vault, l->points[0], NOTE_UNPROTECT, NULL, NULL));
	point_list_put(l);
	l = list(s);
	assert_false(l->points[0]->is_protected);
	point_list_put(l);
	/* 5 may have been a word that protects. */
	put_note(s, id, 6, "{\"kind\":\"text\",\"text\":\"x\"}");
	l = list(s);
	p = l->points[0];
	assert_true(p->is_protected);
	assert_true(p->has_missing_note);
	assert_false(p->missing_is_settled);
	/* Garbage under the greatest number does not end all noting. */
	snprintf(name, sizeof(name), "note/%s-4294967294", id);
	assert_ok(backend_put(s->backend, name, "xx", 2));
	point_list_put(l);
	l = list(s);
	assert_true(l->points[0]->is_protected);
	assert_int_equal(l->points[0]->next_note, 7);
	point_list_put(l);
}

/* Many notes at once take one put each; where one is wrong, none is put. */
static void many_at_once(void **state)
{
	struct scene *s = *state;
	struct note_wish wishes[20];
	struct backend_mem_counts before, after;
	struct point_list *l;
	size_t i;

	commit(s, "web", "");
	l = list(s);
	for (i = 0; i < ARRAY_SIZE(wishes); i++)
		wishes[i] = (struct note_wish){ NOTE_TEXT, "x" };
	wishes[19] = (struct note_wish){ NOTE_TAG, "a/b" };
	assert_result(note_points(s->vault,
				  (const struct point *const *)l->points, 1,
				  wishes, ARRAY_SIZE(wishes), NULL),
		      -EINVAL);
	assert_int_equal(sessions_nobjects(s, "note/"), 0);
	wishes[19].text = "b";
	backend_mem_get_counts(s->backend, "note", &before);
	assert_ok(note_points(s->vault, (const struct point *const *)l->points,
			      1, wishes, ARRAY_SIZE(wishes), NULL));
	backend_mem_get_counts(s->backend, "note", &after);
	assert_int_equal(after.calls[BACKEND_MEM_PUT] -
				 before.calls[BACKEND_MEM_PUT],
			 ARRAY_SIZE(wishes));
	point_list_put(l);
}

/* The reply to a note is lost: it is not noted twice. */
static void a_lost_reply(void **state)
{
	struct scene *s = *state;
	struct point_list *l;

	commit(s, "web", "");
	l = list(s);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "note/", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	assert_ok(note_point(s->vault, l->points[0], NOTE_TEXT, "once", NULL));
	assert_int_equal(sessions_nobjects(s, "note/"), 1);
	/* And nobody can look whether it was noted: it is not noted again. */
	point_list_put(l);
	l = list(s);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "note/", 1, -ETIMEDOUT,
			 BACKEND_MEM_LOST_REPLY);
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "note/", 1, -ETIMEDOUT,
			 BACKEND_MEM_STICKY);
	assert_result(note_point(s->vault, l->points[0], NOTE_TEXT, "twice",
				 NULL),
		      -ETIMEDOUT);
	backend_mem_heal(s->backend);
	assert_int_equal(sessions_nobjects(s, "note/"), 2);
	point_list_put(l);
}

int main(void)
{
#define CASE(test)                                                             \
	cmocka_unit_test_setup_teardown(test, sessions_setup, sessions_teardown)
	const struct CMUnitTest tests[] = {
		CASE(two_machines_of_one_name),
		CASE(parted_names),
		CASE(ids_of_new_machines),
		CASE(the_shown_name_is_no_doubt),
		CASE(notes_in_order),
		CASE(lost_names),
		CASE(damaged_names),
		CASE(lost_notes),
		CASE(many_at_once),
		CASE(a_lost_reply),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
