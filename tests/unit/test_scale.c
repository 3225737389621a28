/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a listing of a thousand points asks of the store, in numbers. The figures
 * of `make bench-scale` follow from these. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/backend/backend.h"
#include "store/backend/internal.h"
#include "store/backend/mem.h"
#include "store/base/array.h"
#include "store/base/seam.h"
#include "store/base/stop.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/check/check.h"
#include "store/format.h"
#include "store/point.h"
#include "store/point_internal.h"
#include "store/record/commit.h"
#include "store/record/note.h"
#include "store/vault.h"
#include "store/writer/forget.h"
#include "store/writer/note.h"
#include "store/writer/writer.h"
#include "tests/bench/crowd.h"
#include "tests/unit/catalog_fixture.h"
#include "tests/unit/vaults.h"

#define POINTS 1000
#define AT_ONCE 8

struct scale {
	struct backend *backend;
	char *cache;
	struct vault_options options;
	struct vault *vault;
	/* Reads of what is called so wait for one another. */
	const char *meets;
	pthread_mutex_t lock;
	pthread_cond_t met;
	unsigned int waiting;
	bool late;
};

static int setup(void **state)
{
	const struct crowd c = { .points = POINTS, .chunks = 1 };
	struct scale *s = calloc(1, sizeof(*s));
	char id[33];

	assert_non_null(s);
	support_log_capture();
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->met, NULL);
	s->backend = backend_mem_new();
	s->cache = strdup(support_path("%s/cache", support_tmpdir_fast()));
	support_remove(s->cache);
	s->options = vaults_options(NULL, s->backend, NULL, NULL);
	assert_ok(vault_create(&s->options, 0, id));
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(crowd_add(s->vault, &c));
	s->options.cache_dir = s->cache;
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scale *s = *state;

	vault_close(s->vault);
	backend_close(s->backend);
	support_remove(s->cache);
	pthread_cond_destroy(&s->met);
	pthread_mutex_destroy(&s->lock);
	free(s->cache);
	free(s);
	return 0;
}

/* A new process lists the points. */
static struct point_list *list_anew(struct scale *s)
{
	struct point_list *l;

	vault_close(s->vault);
	s->vault = NULL;
	backend_mem_reset_counts(s->backend);
	assert_ok(vault_open(&s->options, &s->vault));
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->ndamaged, 0);
	return l;
}

static uint64_t calls(struct scale *s, enum backend_mem_op op, const char *kind)
{
	struct backend_mem_counts n;

	backend_mem_get_counts(s->backend, kind, &n);
	return n.calls[op];
}

static void assert_same(const struct point_list *a, const struct point_list *b)
{
	size_t i;

	assert_int_equal(a->n, b->n);
	for (i = 0; i < a->n; i++) {
		AUTO_BUF struct buf x = BUF_INIT;
		AUTO_BUF struct buf y = BUF_INIT;

		assert_string_equal(a->names[i], b->names[i]);
		assert_ok(point_encode(a->points[i], false, &x));
		assert_ok(point_encode(b->points[i], false, &y));
		assert_int_equal(x.len, y.len);
		assert_memory_equal(x.data, y.data, x.len);
	}
}

/* Reads begin when so many others have begun. */
static int meet(void *arg, enum backend_mem_op op, const char *name)
{
	struct scale *s = arg;
	struct timespec end;

	if (op != BACKEND_MEM_GET ||
	    strncmp(name, s->meets, strlen(s->meets)) != 0)
		return 0;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 30;
	pthread_mutex_lock(&s->lock);
	if (++s->waiting == AT_ONCE)
		pthread_cond_broadcast(&s->met);
	while (s->waiting < AT_ONCE && !s->late)
		if (pthread_cond_timedwait(&s->met, &s->lock, &end) != 0)
			s->late = true;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static void each_object_is_read_once_and_many_at_once(void **state)
{
	struct scale *s = *state;
	struct point_list *l;

	s->meets = "point/";
	backend_mem_watch(s->backend, meet, s);
	l = list_anew(s);
	backend_mem_watch(s->backend, NULL, NULL);
	assert_false(s->late);
	assert_int_equal(l->n, POINTS);
	assert_int_equal(calls(s, BACKEND_MEM_LIST, "commit"), 1);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "commit"), POINTS);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "point"), POINTS);
	assert_int_equal(calls(s, BACKEND_MEM_HEAD, NULL), 0);
	point_list_put(l);
}

static const char *nth_object(struct scale *s, const char *prefix, size_t nth)
{
	size_t i;

	for (i = 0; i < backend_mem_nobjects(s->backend); i++) {
		const char *name = backend_mem_name(s->backend, i);

		if (strncmp(name, prefix, strlen(prefix)) == 0 && nth-- == 0)
			return name;
	}
	return NULL;
}

static int add_source(void *arg, const char *source)
{
	++*(size_t *)arg;
	return strncmp(source, "index/", 6) == 0 ? 0 : -EINVAL;
}

static size_t count_sources(struct scale *s)
{
	size_t n = 0;

	assert_ok(catalog_sources(vault_catalog(s->vault), add_source, &n));
	return n;
}

/* Likewise, and none is missing; nor is one when another process has dropped what
 * this one had imported, or when it is gone from the store. */
static void index_objects_are_read_many_at_once(void **state)
{
	struct scale *s = *state;
	char name[OBJECT_NAME_MAX];

	s->meets = "index/";
	backend_mem_watch(s->backend, meet, s);
	point_list_put(list_anew(s));
	assert_ok(vault_refresh(s->vault));
	backend_mem_watch(s->backend, NULL, NULL);
	assert_false(s->late);
	assert_int_equal(count_sources(s), POINTS);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "index"), POINTS);
	snprintf(name, sizeof(name), "%s", nth_object(s, "index/", 7));
	assert_ok(catalog_drop_source(vault_catalog(s->vault), name));
	backend_mem_reset_counts(s->backend);
	assert_ok(vault_refresh(s->vault));
	assert_int_equal(calls(s, BACKEND_MEM_GET, "index"), 1);
	assert_int_equal(count_sources(s), POINTS);
	assert_ok(backend_mem_remove(s->backend, name));
	assert_ok(vault_refresh(s->vault));
	assert_int_equal(count_sources(s), POINTS - 1);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "index"), 1);
}

/* Also where most are known already, and it is not known how long the others are. */
static void new_index_objects_are_read_many_at_once(void **state)
{
	struct scale *s = *state;
	size_t i;

	point_list_put(list_anew(s));
	assert_ok(vault_refresh(s->vault));
	for (i = 0; i < AT_ONCE; i++)
		assert_ok(catalog_drop_source(vault_catalog(s->vault),
					      nth_object(s, "index/", i)));
	s->meets = "index/";
	backend_mem_watch(s->backend, meet, s);
	assert_ok(vault_refresh(s->vault));
	backend_mem_watch(s->backend, NULL, NULL);
	assert_false(s->late);
	assert_int_equal(count_sources(s), POINTS);
}

#define LATE "index/00000000000000000000000000000000-0"

struct late_import {
	struct scale *scale;
	struct vault *other; /* of the same local database */
	unsigned int pages;
};

/* When a page of the listing was handed out, another process puts and imports what
 * would have been in it. */
static int import_late(void *arg, enum backend_mem_op op, const char *name)
{
	struct late_import *late = arg;

	if (op != BACKEND_MEM_LIST || strcmp(name, "index/") != 0 ||
	    ++late->pages != 2)
		return 0;
	assert_ok(backend_mem_set(late->scale->backend, LATE, "", 0));
	assert_ok(catalog_import(vault_catalog(late->other), LATE, NULL, 0));
	return 0;
}

/* What another process imports while one lists is not taken for gone. */
static void what_is_imported_meanwhile_stays(void **state)
{
	const struct backend_mem_weather pages = { .page_names = 100 };
	struct scale *s = *state;
	struct late_import late = { .scale = s };

	point_list_put(list_anew(s));
	assert_ok(vault_refresh(s->vault));
	assert_ok(vault_open(&s->options, &late.other));
	/* Something is new, so that the names are looked at. */
	assert_ok(crowd_add(late.other,
			    &(struct crowd){ .points = 1, .chunks = 1 }));
	backend_mem_set_weather(s->backend, &pages);
	backend_mem_watch(s->backend, import_late, &late);
	assert_ok(vault_refresh(s->vault));
	backend_mem_watch(s->backend, NULL, NULL);
	assert_true(late.pages > 2);
	assert_int_equal(catalog_has_source(vault_catalog(s->vault), LATE), 1);
	vault_close(late.other);
}

/* When a page of packs was handed out, another process puts a pack that would have
 * been in it, and imports what is in that. */
static int import_pack_late(void *arg, enum backend_mem_op op, const char *name)
{
	struct catalog_pack pack = { .row = { .kind = OBJECT_DATA_PACK } };
	AUTO_BUF struct buf dir = BUF_INIT;
	struct late_import *late = arg;

	if (op != BACKEND_MEM_LIST || strncmp(name, "pack/", 5) != 0 ||
	    ++late->pages != 2)
		return 0;
	catalog_fixture_make_dir(1, &dir);
	snprintf(pack.row.name, sizeof(pack.row.name), "%032d-%064d", 0, 0);
	pack.row.size = 4096;
	pack.dir = dir.data;
	pack.dir_len = dir.len;
	assert_ok(catalog_import(vault_catalog(late->other), LATE, &pack, 1));
	return 0;
}

/* Nor is a pack missed that another process put while one lists. */
static void what_is_put_meanwhile_is_not_missed(void **state)
{
	const struct backend_mem_weather pages = { .page_names = 100 };
	struct scale *s = *state;
	struct late_import late = { .scale = s };
	struct writer *w;

	point_list_put(list_anew(s));
	assert_ok(vault_refresh(s->vault));
	assert_ok(vault_open(&s->options, &late.other));
	backend_mem_set_weather(s->backend, &pages);
	backend_mem_watch(s->backend, import_pack_late, &late);
	support_log_clear();
	assert_ok(writer_begin(s->vault, 1, NULL, &w));
	backend_mem_watch(s->backend, NULL, NULL);
	assert_true(late.pages > 2);
	assert_null(strstr(support_log_text(), "missing"));
	writer_abandon(w);
	writer_free(w);
	vault_close(late.other);
}

/* Exchange an index object for one that is damaged, or the other way about. */
static void exchange(struct scale *s, const char *name, struct buf *other)
{
	AUTO_BUF struct buf was = BUF_INIT;
	size_t len;
	const uint8_t *data = backend_mem_data(s->backend, name, &len);

	buf_put(&was, data, len);
	if (other->len == 0)
		buf_put(other, "garbage", 7);
	assert_ok(backend_mem_set(s->backend, name, other->data, other->len));
	buf_clear(other);
	buf_put(other, was.data, was.len);
	assert_ok(buf_error(other));
}

/* Where one index object is healed and another breaks, as many are broken as
 * before, but not the same. */
static void another_broken_index_object_is_noticed(void **state)
{
	struct scale *s = *state;
	AUTO_BUF struct buf first = BUF_INIT;
	AUTO_BUF struct buf second = BUF_INIT;
	char names[2][OBJECT_NAME_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		snprintf(names[i], sizeof(names[i]), "%s",
			 nth_object(s, "index/", i));
	exchange(s, names[0], &first);
	point_list_put(list_anew(s));
	assert_ok(vault_refresh(s->vault));
	assert_said("packs are asked themselves");
	assert_true(calls(s, BACKEND_MEM_GET, "pack") > 0);
	exchange(s, names[0], &first);
	exchange(s, names[1], &second);
	assert_ok(catalog_drop_source(vault_catalog(s->vault), names[1]));
	backend_mem_reset_counts(s->backend);
	support_log_clear();
	assert_ok(vault_refresh(s->vault));
	assert_said("packs are asked themselves");
	backend_mem_reset_counts(s->backend);
	assert_ok(vault_refresh(s->vault));
	assert_int_equal(calls(s, BACKEND_MEM_GET, "pack"), 0);
}

/* What is damaged is said, however much lies about that is no object. */
static void strays_silence_nothing(void **state)
{
	struct scale *s = *state;
	struct point_list *l;
	char name[OBJECT_NAME_MAX];
	size_t i;

	for (i = 0; i < 1200; i++) {
		snprintf(name, sizeof(name), "commit/stray-%zu", i);
		assert_ok(backend_mem_set(s->backend, name, "", 0));
	}
	snprintf(name, sizeof(name), "%s", nth_object(s, "point/", 5));
	assert_ok(backend_mem_remove(s->backend, name));
	vault_close(s->vault);
	s->vault = NULL;
	assert_ok(vault_open(&s->options, &s->vault));
	support_log_clear();
	assert_ok(vault_points(s->vault, &l));
	assert_int_equal(l->ndamaged, 1);
	point_list_put(l);
	assert_said("missing, but committed");
}

/* That a point was forgotten makes its session none that died: its index objects
 * are as durable as ever. */
static void forgotten_points_have_settled(void **state)
{
	const struct forget_wish wish = { .window_ns = INT64_C(20) * 86400 *
						       1000000000 };
	struct scale *s = *state;
	struct point_list *l = list_anew(s);
	struct writer *w;

	assert_ok(forget_points(s->vault,
				(const struct point *const *)l->points, 3,
				&wish, NULL));
	point_list_put(l);
	point_list_put(list_anew(s));
	assert_ok(vault_refresh(s->vault));
	backend_mem_reset_counts(s->backend);
	assert_ok(writer_begin(s->vault, 1, NULL, &w));
	assert_int_equal(calls(s, BACKEND_MEM_SYNC, "index"), 0);
	writer_abandon(w);
	writer_free(w);
}

/* What the database has of each point for itself. */
static void drop_rows(struct scale *s, const struct point_list *l)
{
	char name[64];
	size_t i;

	for (i = 0; i < l->n; i++) {
		snprintf(name, sizeof(name), "point/%s", l->points[i]->id);
		assert_ok(catalog_drop_object(vault_catalog(s->vault), name));
		snprintf(name, sizeof(name), "commit/%s",
			 l->points[i]->session);
		assert_ok(catalog_drop_object(vault_catalog(s->vault), name));
	}
}

static void a_second_process_reads_no_point(void **state)
{
	struct scale *s = *state;
	struct point_list *cold = list_anew(s), *warm;

	/* Not from the store, and not one by one from the database either. */
	drop_rows(s, cold);
	warm = list_anew(s);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "commit"), 0);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "point"), 0);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "index"), 0);
	/* The index, commits, wishes to forget, verdicts, notes, machines, keys;
	 * epochs twice. */
	assert_in_range(calls(s, BACKEND_MEM_LIST, NULL), 1, 10);
	assert_same(cold, warm);
	point_list_put(cold);
	point_list_put(warm);
}

static void what_is_new_is_read_alone(void **state)
{
	const struct crowd more = { .points = 3, .chunks = 1 };
	struct scale *s = *state;
	struct point_list *l = list_anew(s);

	point_list_put(l);
	assert_ok(crowd_add(s->vault, &more));
	l = list_anew(s);
	assert_int_equal(l->n, POINTS + more.points);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "point"), more.points);
	point_list_put(l);
	l = list_anew(s);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "point"), 0);
	point_list_put(l);
}

static void a_damaged_snapshot_is_none(void **state)
{
	static const struct kept_kind *const kinds[] = { &point_kept_points,
							 &point_kept_commits };
	struct scale *s = *state;
	struct point_list *cold = list_anew(s), *warm;
	char name[OBJECT_NAME_MAX];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		AUTO_BUF struct buf b = BUF_INIT;
		struct catalog *c = vault_catalog(s->vault);

		snprintf(name, sizeof(name), "snapshot/%s%u", kinds[i]->prefix,
			 kinds[i]->version);
		assert_ok(catalog_get_object(c, name, &b));
		b.data[b.len / 2] ^= 1;
		assert_ok(catalog_put_object(c, name, b.data, b.len));
	}
	warm = list_anew(s);
	assert_same(cold, warm);
	point_list_put(cold);
	point_list_put(warm);
}

/* A point of the snapshot, of which there is more to say now. */
static void notes_and_names_are_of_points_in_the_snapshot(void **state)
{
	struct scale *s = *state;
	struct point_list *cold = list_anew(s), *warm;
	const struct point *p = cold->points[0];
	size_t at;

	assert_ok(note_point(s->vault, p, NOTE_TAG, "kept", NULL));
	assert_ok(note_point(s->vault, p, NOTE_PROTECT, NULL, NULL));
	warm = list_anew(s);
	assert_ok(point_find(warm, p->id, &at));
	assert_true(warm->points[at]->is_protected);
	assert_int_equal(warm->points[at]->ntags, 1);
	assert_string_equal(warm->points[at]->tags[0], "kept");
	assert_int_equal(calls(s, BACKEND_MEM_GET, "point"), 0);
	point_list_put(cold);
	point_list_put(warm);
}

/* ---- digests ---- */

/* A backup of nothing, which leaves what backups leave. */
static struct point *back_up_point(struct vault *v)
{
	struct writer *w;
	struct point *p = point_new();

	assert_non_null(p);
	p->vm = strdup("m");
	p->host = strdup("h");
	p->program = strdup("test");
	assert_ok(writer_begin(v, 1, NULL, &w));
	assert_ok(writer_commit(w, p));
	writer_free(w);
	return p;
}

static void back_up(struct scale *s)
{
	point_free(back_up_point(s->vault));
}

/* Whoever has made a point asks for others by one listing, and reads none. */
static void others_are_noticed_by_one_listing(void **state)
{
	struct scale *s = *state;
	struct point *mine;

	back_up(s);
	mine = back_up_point(s->vault);
	backend_mem_reset_counts(s->backend);
	assert_result(vault_is_last_point(s->vault, mine), 1);
	/* Of two pages. */
	assert_int_equal(calls(s, BACKEND_MEM_LIST, NULL), 2);
	assert_int_equal(calls(s, BACKEND_MEM_GET, NULL), 0);
	point_free(mine);
	mine = back_up_point(s->vault);
	assert_ok(crowd_add(s->vault, &(struct crowd){ .points = 1 }));
	assert_result(vault_is_last_point(s->vault, mine), 0);
	point_free(mine);
}

/* What was found before a listing failed is not forgotten with it. */
static void a_failed_listing_hides_nothing(void **state)
{
	static const char *const later[] = { "forget/", "purge/", "note/",
					     "machine/" };
	struct scale *s = *state;
	struct point_list *l;
	struct vault *other;
	size_t i, n;

	assert_ok(crowd_add(s->vault, &(struct crowd){ .points = 1 }));
	l = list_anew(s);
	n = l->n;
	point_list_put(l);
	for (i = 0; i < ARRAY_SIZE(later); i++) {
		assert_ok(vault_open(&s->options, &other));
		assert_ok(crowd_add(other, &(struct crowd){ .points = 1 }));
		vault_close(other);
		backend_mem_fail(s->backend, BACKEND_MEM_LIST, later[i], 1,
				 -EIO, 0);
		assert_result(vault_points(s->vault, &l), -EIO);
		assert_ok(vault_points(s->vault, &l));
		assert_int_equal(l->n, n + i + 1);
		point_list_put(l);
	}
}

struct waiting {
	struct vault *vault;
	struct stop stop;
	int r;
};

static void *wait_for_points(void *arg)
{
	struct waiting *w = arg;
	struct stop *before = stop_obey(&w->stop);
	struct point_list *l;

	w->r = vault_points(w->vault, &l);
	if (w->r == 0)
		point_list_put(l);
	(void)stop_obey(before);
	return NULL;
}

static void *wait_for_index(void *arg)
{
	struct waiting *w = arg;
	struct stop *before = stop_obey(&w->stop);

	w->r = vault_refresh(w->vault);
	(void)stop_obey(before);
	return NULL;
}

/* Other threads fetch for the one that waits: when that is to end, they are. */
static void an_interrupted_wait_ends(void **state)
{
	static const struct {
		void *(*wait)(void *arg);
		const char *prefix;
	} rows[] = { { wait_for_index, "index/" },
		     { wait_for_points, "commit/" } };
	struct scale *s = *state;
	pthread_t thread;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct waiting w = { .stop = { .serving = 1 } };
		struct vault_options o = s->options;

		o.index_later = true;
		o.cache_dir = NULL;
		assert_ok(vault_open(&o, &w.vault));
		backend_mem_set_patience(s->backend, INT64_MAX / 2, NULL);
		backend_mem_fail(s->backend, BACKEND_MEM_GET, rows[i].prefix, 1,
				 0, BACKEND_MEM_HANGS | BACKEND_MEM_STICKY);
		assert_int_equal(
			pthread_create(&thread, NULL, rows[i].wait, &w), 0);
		while (backend_mem_hanging(s->backend) == 0)
			sched_yield();
		atomic_store(&w.stop.asked, 1);
		pthread_join(thread, NULL);
		assert_result(w.r, -ECANCELED);
		backend_mem_heal(s->backend);
		assert_ok(vault_refresh(w.vault));
		vault_close(w.vault);
	}
}

static void forget_local(struct scale *s)
{
	vault_close(s->vault);
	s->vault = NULL;
	support_remove(s->cache);
}

static struct point_list *list_cold(struct scale *s)
{
	forget_local(s);
	return list_anew(s);
}

/* Put a box of the vault, with JSON @text in it. */
static void put_text(struct scale *s, uint8_t type, const char *name,
		     const char *text)
{
	AUTO_BUF struct buf box = BUF_INIT;

	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), type, name, NULL, 0,
				  text, strlen(text), &box));
	assert_ok(backend_put(s->backend, name, box.data, box.len));
}

/* A committed point whose plaintext is @plain, which is none. */
static void put_no_point(struct scale *s, size_t nth, const struct buf *plain)
{
	AUTO_BUF struct buf box = BUF_INIT;
	AUTO_BUF struct buf text = BUF_INIT;
	char name[OBJECT_NAME_MAX], sid[NAME_HEX + 1];
	struct commit c;

	snprintf(sid, sizeof(sid), "%032zx", nth + 1);
	memcpy(c.point, sid, sizeof(sid));
	snprintf(name, sizeof(name), "point/%s", sid);
	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), OBJECT_POINT, name,
				  NULL, 0, plain->data, plain->len, &box));
	assert_ok(backend_put(s->backend, name, box.data, box.len));
	assert_ok(crypt_sha256(box.data, box.len, c.hash));
	commit_encode(&c, sid, &text);
	buf_put_u8(&text, 0);
	assert_ok(buf_error(&text));
	snprintf(name, sizeof(name), "commit/%s", sid);
	put_text(s, OBJECT_COMMIT, name, (const char *)text.data);
}

/* Whoever has a key can make points that are stored in a few bytes and are very long
 * in plain: they are not all held at once. */
static void long_points_are_read_one_by_one(void **state)
{
	struct scale *s = *state;
	AUTO_BUF struct buf plain = BUF_INIT;
	struct point_list *l;
	size_t i, before, peak;

	assert_ok(buf_reserve(&plain, 15 << 20));
	plain.len = 15 << 20;
	memset(plain.data, ' ', plain.len);
	for (i = 0; i < 40; i++)
		put_no_point(s, i, &plain);
	buf_release(&plain);
	vault_close(s->vault);
	s->vault = NULL;
	assert_ok(vault_open(&s->options, &s->vault));
	support_memory_reset_peak();
	before = support_memory();
	assert_ok(vault_points(s->vault, &l));
	peak = support_memory_peak() - before;
	assert_int_equal(l->n, POINTS);
	assert_int_equal(l->ndamaged, 40);
	point_list_put(l);
	if (!HAS_SHADOW_MEMORY)
		assert_in_range(peak, 0, 100 << 20);
}

static void a_digest_saves_the_reading(void **state)
{
	struct scale *s = *state;
	struct point_list *loose = list_anew(s), *cold, *warm;

	point_list_put(loose);
	back_up(s);
	assert_non_null(nth_object(s, "digest/", 0));
	assert_null(nth_object(s, "digest/", 1));
	warm = list_anew(s);
	cold = list_cold(s);
	assert_int_equal(cold->n, POINTS + 1);
	/* All but the point that was made with the digest. */
	assert_int_equal(calls(s, BACKEND_MEM_GET, "digest"), 1);
	assert_in_range(calls(s, BACKEND_MEM_GET, "commit"), 0, 1);
	assert_in_range(calls(s, BACKEND_MEM_GET, "point"), 0, 1);
	/* Index objects are merged, into few. */
	assert_in_range(calls(s, BACKEND_MEM_GET, "index"), 1, 8);
	/* Two pages each of commits and index objects; epochs twice. */
	assert_in_range(calls(s, BACKEND_MEM_LIST, NULL), 1, 13);
	assert_same(warm, cold);
	/* The next backup finds none to make, on this machine and on another. */
	back_up(s);
	forget_local(s);
	point_list_put(cold);
	cold = list_anew(s);
	back_up(s);
	assert_null(nth_object(s, "digest/", 1));
	point_list_put(warm);
	point_list_put(cold);
}

/* Also by who was the one to make the digest. */
static void what_is_in_digests_is_remembered(void **state)
{
	struct scale *s = *state;

	point_list_put(list_anew(s));
	back_up(s);
	assert_non_null(nth_object(s, "digest/", 0));
	point_list_put(list_anew(s));
	backend_mem_reset_counts(s->backend);
	back_up(s);
	assert_int_equal(calls(s, BACKEND_MEM_GET, "digest"), 0);
}

static void a_damaged_digest_is_passed_over(void **state)
{
	struct scale *s = *state;
	struct point_list *good, *cold;
	const char *name;
	uint8_t *data;
	size_t len;

	back_up(s);
	good = list_cold(s);
	name = nth_object(s, "digest/", 0);
	data = backend_mem_data(s->backend, name, &len);
	data[len / 2] ^= 1;
	support_log_clear();
	cold = list_cold(s);
	assert_said(name);
	assert_in_range(calls(s, BACKEND_MEM_GET, "point"), POINTS, POINTS + 1);
	assert_same(good, cold);
	point_list_put(good);
	point_list_put(cold);
}

/* The registers are the truth: what they do not say is not there. */
static void a_digest_makes_no_point(void **state)
{
	struct scale *s = *state;
	struct point_list *l;
	char id[POINT_ID_HEX + 1], name[64];
	size_t at;

	back_up(s);
	l = list_cold(s);
	/* The first one is of the backup that made the digest. */
	memcpy(id, l->points[1]->id, sizeof(id));
	snprintf(name, sizeof(name), "commit/%s", l->points[1]->session);
	assert_ok(backend_mem_remove(s->backend, name));
	point_list_put(l);
	l = list_cold(s);
	assert_int_equal(l->n, POINTS);
	assert_result(point_find(l, id, &at), -ENOENT);
	point_list_put(l);
}

/* ---- what was seen ---- */

static void remove_commit(struct scale *s, const struct point *p)
{
	char name[64];

	snprintf(name, sizeof(name), "commit/%s", p->session);
	assert_ok(backend_mem_remove(s->backend, name));
}

/* A new process finds that something is missing, or that nothing is. */
static void assert_lost(struct scale *s, bool is_lost)
{
	point_list_put(list_anew(s));
	assert_int_equal(vault_lost(s->vault) > 0, is_lost);
}

/* Also where nothing has changed since it was said, and the next process begins with
 * what this one has kept. */
static void what_does_not_fit_is_said_each_time(void **state)
{
	struct scale *s = *state;
	struct point_list *l = list_anew(s);

	assert_lost(s, false);
	remove_commit(s, l->points[POINTS / 2]);
	for (int i = 0; i < 4; i++)
		assert_lost(s, true);
	point_list_put(l);
}

/* What was compared is not compared again, but whatever changes is. */
static void what_was_compared_is_missed_all_the_same(void **state)
{
	struct scale *s = *state;
	char *dir = strdup(support_path("%s/state", support_tmpdir_fast()));
	struct point *first, *last;
	char note[64];

	support_remove(dir);
	s->options.state_dir = dir;
	point_list_put(list_anew(s));
	first = back_up_point(s->vault);
	for (int i = 0; i < 3; i++)
		assert_lost(s, false);
	/* Noted without reading what was noted before. */
	last = back_up_point(s->vault);
	assert_lost(s, false);
	assert_lost(s, false);
	remove_commit(s, last);
	assert_lost(s, true);
	assert_lost(s, true);
	assert_ok(vault_accept_rollback(s->vault));
	assert_lost(s, false);
	assert_lost(s, false);
	/* Only the file tells of this one. */
	snprintf(note, sizeof(note), "note/%s-0", first->id);
	vault_remember_note(s->vault, note);
	put_text(s, OBJECT_NOTE, note, "{\"kind\":\"text\",\"text\":\"x\"}");
	assert_lost(s, false);
	assert_lost(s, false);
	assert_ok(backend_mem_remove(s->backend, note));
	assert_lost(s, true);
	point_free(first);
	point_free(last);
	support_remove(dir);
	free(dir);
}

/* check looks at each object, whatever digests say. */
static void check_misses_what_is_in_a_digest_alone(void **state)
{
	const struct check_options o = { .threads = 1 };
	struct task task = { .stop = NULL };
	struct scale *s = *state;
	struct point_list *l;
	struct check_result out;
	char name[64];
	bool found = false;
	size_t i;

	back_up(s);
	l = list_cold(s);
	snprintf(name, sizeof(name), "point/%s", l->points[1]->id);
	assert_ok(backend_mem_remove(s->backend, name));
	point_list_put(l);
	l = list_cold(s);
	assert_int_equal(l->n, POINTS + 1);
	point_list_put(l);
	forget_local(s);
	assert_ok(vault_open(&s->options, &s->vault));
	(void)!check_run(s->vault, &o, &task, &out);
	for (i = 0; i < out.nfindings; i++)
		found |= strcmp(out.findings[i]->object, name) == 0;
	check_release(&out);
	assert_true(found);
}

/* Many backups later, few digests are in use, and none tells of what is gone. */
static void small_digests_are_merged(void **state)
{
	const struct crowd more = { .points = 101, .chunks = 1 };
	struct scale *s = *state;
	struct point_list *l;
	char name[64];
	size_t i;

	for (i = 0; i < 12; i++) {
		back_up(s);
		assert_ok(crowd_add(s->vault, &more));
		l = list_anew(s);
		if (i == 0) {
			snprintf(name, sizeof(name), "forget/%s-0",
				 l->points[0]->id);
			put_text(s, OBJECT_FORGET, name,
				 "{\"by\":\"x\",\"time_ns\":1,"
				 "\"until_ns\":1}");
			snprintf(name, sizeof(name), "purge/%s-0",
				 l->points[0]->id);
			put_text(s, OBJECT_PURGE, name,
				 "{\"verdict\":\"PURGED\"}");
		}
		point_list_put(l);
	}
	back_up(s);
	assert_non_null(nth_object(s, "digest/", 12));
	l = list_cold(s);
	assert_int_equal(l->n, POINTS - 1 + 12 * more.points + 13);
	/* Not those that were merged, but for what was fetched beside them. */
	assert_in_range(calls(s, BACKEND_MEM_GET, "digest"), 1, 8);
	assert_in_range(calls(s, BACKEND_MEM_GET, "commit"), 0, 101);
	point_list_put(l);
}

/* ---- while nothing changes ---- */

static unsigned int nlists;
static struct backend_ops counting;
static const struct backend_ops *real_ops;

static int count_list(struct backend *b, const struct backend_call *c,
		      const char *prefix, const char *token,
		      struct backend_page *page)
{
	nlists++;
	return real_ops->list(b, c, prefix, token, page);
}

/* A clock that is ahead of what the filesystem's times say. */
static int64_t later_ns(struct seam *s)
{
	(void)s;
	return seam_system()->ops->realtime_ns(seam_system()) + 60000000000;
}

static int64_t earlier_ns(struct seam *s)
{
	return later_ns(s) - 120000000000;
}

static void look(struct vault *v, size_t points, bool lists)
{
	struct point_list *l;

	nlists = 0;
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, points);
	assert_int_equal(nlists != 0, lists);
	point_list_put(l);
}

/* A mount is looked at all the time. */
static void an_unchanged_folder_is_not_listed(void **state)
{
	const struct crowd few = { .points = 3, .chunks = 1 };
	const struct forget_wish wish = { .window_ns = INT64_C(20) * 86400 *
						       1000000000 };
	struct seam_ops ops = *seam_system()->ops;
	struct seam seam = { .ops = &ops };
	struct backend_options bo = { .seam = &seam };
	struct vault_options o;
	struct backend_stamp stamp;
	struct point_list *l;
	struct backend *b;
	struct vault *v;
	char id[33];

	(void)state;
	ops.realtime_ns = later_ns;
	assert_ok(backend_create(
		support_path("%s/vault", support_tmpdir_fast()), &bo, &b));
	o = vaults_options(NULL, b, &seam, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vault_open(&o, &v));
	assert_ok(crowd_add(v, &few));
	if (!backend_take_stamp(b, "commit/", &stamp))
		skip(); /* on what the network serves nothing can be told */
	real_ops = b->ops;
	counting = *real_ops;
	counting.list = count_list;
	b->ops = &counting;
	look(v, 3, true);
	look(v, 3, false);
	assert_ok(crowd_add(v, &few));
	look(v, 6, true);
	look(v, 6, false);
	/* What is said of a point comes into another folder. */
	assert_ok(vault_points(v, &l));
	assert_ok(note_point(v, l->points[0], NOTE_PROTECT, NULL, NULL));
	point_list_put(l);
	look(v, 6, true);
	look(v, 6, false);
	assert_ok(vault_points(v, &l));
	assert_ok(forget_points(v, (const struct point *const *)l->points + 1,
				1, &wish, NULL));
	point_list_put(l);
	look(v, 5, true);
	look(v, 5, false);
	/* As long as the times may hide a change all is listed. */
	ops.realtime_ns = earlier_ns;
	assert_ok(crowd_add(v, &few));
	look(v, 8, true);
	look(v, 8, true);
	b->ops = real_ops;
	vault_close(v);
	backend_close(b);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(each_object_is_read_once_and_many_at_once),
		CASE(index_objects_are_read_many_at_once),
		CASE(new_index_objects_are_read_many_at_once),
		CASE(what_is_imported_meanwhile_stays),
		CASE(what_is_put_meanwhile_is_not_missed),
		CASE(another_broken_index_object_is_noticed),
		CASE(strays_silence_nothing),
		CASE(forgotten_points_have_settled),
		CASE(a_second_process_reads_no_point),
		CASE(what_is_new_is_read_alone),
		CASE(a_damaged_snapshot_is_none),
		CASE(notes_and_names_are_of_points_in_the_snapshot),
		CASE(others_are_noticed_by_one_listing),
		CASE(a_failed_listing_hides_nothing),
		CASE(an_interrupted_wait_ends),
		CASE(long_points_are_read_one_by_one),
		CASE(a_digest_saves_the_reading),
		CASE(what_is_in_digests_is_remembered),
		CASE(a_damaged_digest_is_passed_over),
		CASE(a_digest_makes_no_point),
		CASE(what_does_not_fit_is_said_each_time),
		CASE(what_was_compared_is_missed_all_the_same),
		CASE(check_misses_what_is_in_a_digest_alone),
		CASE(small_digests_are_merged),
		cmocka_unit_test(an_unchanged_folder_is_not_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
