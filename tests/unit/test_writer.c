/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions: what is stored once, what may be reused, and who decides. */
#include "config.h"

#include "tests/unit/sessions.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/bytes.h"
#include "store/base/pool.h"
#include "store/base/seam.h"
#include "store/chunk.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/bundle.h"
#include "store/writer/session.h"
#include "store/writer/writer.h"
#include "tests/unit/seam_fault.h"

/* ---- chunks ---- */

static void chunks_of_all_sizes(void **state)
{
	static const size_t sizes[] = {
		1,	2,	127,	128,	65535,	 65536,		  65537,
		131071, 131072, 131073, 262144, 1000001, FORMAT_CHUNK_MAX
	};
	struct scene *s = *state;
	struct id ids[ARRAY_SIZE(sizes)];
	uint8_t piece[100];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		ids[i] = sessions_put(s, i, sizes[i]);
	assert_ok(sessions_commit(s));
	sessions_next(s);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		assert_ok(sessions_reads(s, &ids[i], i, sizes[i]));
	/* A piece over an edge of frames. */
	assert_ok(chunk_read(s->vault, CHUNK_DATA, &ids[11], 1000001,
			     131072 - 50, sizeof(piece), piece));
	/* Asked for as what it is not. */
	support_log_clear();
	assert_result(chunk_read(s->vault, CHUNK_DATA, &ids[0], 2, 0, 2, piece),
		      -EBADMSG);
	assert_result(chunk_read(s->vault, CHUNK_NODE, &ids[0], 1, 0, 1, piece),
		      -EBADMSG);
	assert_result(chunk_read(s->vault, CHUNK_DATA, &ids[1], 2, 1, 2, piece),
		      -EBADMSG);
	assert_said("damaged");
}

static void chunks_that_cannot_be(void **state)
{
	struct scene *s = *state;
	uint8_t *data = calloc(1, FORMAT_CHUNK_MAX + 1);
	struct id id;

	assert_non_null(data);
	assert_result(writer_chunk(s->writer, CHUNK_DATA, data, 0, &id),
		      -EMSGSIZE);
	assert_result(writer_chunk(s->writer, CHUNK_DATA, data,
				   FORMAT_CHUNK_MAX + 1, &id),
		      -EMSGSIZE);
	free(data);
}

static void stored_once_in_a_session(void **state)
{
	struct scene *s = *state;
	struct id a = sessions_put(s, 1, 5000), b = sessions_put(s, 1, 5000),
		  c = sessions_put(s, 2, 5000);
	AUTO_FREE uint8_t *data = malloc(5000);
	struct id node;

	assert_true(id_equal(&a, &b));
	assert_false(id_equal(&a, &c));
	/* The same bytes as something else are something else. */
	support_fill(1, data, 5000);
	assert_ok(writer_chunk(s->writer, CHUNK_NODE, data, 5000, &node));
	assert_false(id_equal(&a, &node));
	assert_int_equal(sessions_stats(s).chunks_new, 3);
	assert_int_equal(sessions_stats(s).chunks_known, 1);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &a, 5000), 1);
	assert_ok(sessions_commit(s));
	assert_int_equal(sessions_nobjects(s, "pack/"), 2); /* data, trees */
}

/* Chunks of one type and of the other take turns with the same compressor. */
static void disks_have_a_level_of_their_own(void **state)
{
	static const uint8_t types[] = { CHUNK_DATA, CHUNK_DISK, CHUNK_DATA };
	struct scene *s = *state;
	static uint8_t data[60000];
	struct id id;
	size_t i;

	writer_set_disk_level(s->writer, 0);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		memset(data, (int)i + 1, sizeof(data));
		assert_ok(writer_chunk(s->writer, types[i], data, sizeof(data),
				       &id));
	}
	assert_ok(sessions_commit(s));
	/* That of the disk, as it is, and hardly more. */
	assert_in_range(sessions_stats(s).bytes_packed, 60000, 70000);
}

/* May the session take over the last point unseen? */
static int relies(struct scene *s)
{
	struct point_list *l;
	int r;

	assert_ok(vault_points(s->vault, &l));
	assert_true(l->n > 0);
	r = writer_rely_on(s->writer, l->points[l->n - 1]);
	point_list_put(l);
	return r;
}

static void stored_once_over_sessions(void **state)
{
	struct scene *s = *state;
	struct id a = sessions_put(s, 1, 5000);
	size_t packs;

	assert_ok(sessions_commit(s));
	packs = sessions_nobjects(s, "pack/");
	sessions_next(s);
	assert_int_equal(relies(s), 1);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &a, 5000), 1);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &a, 5001), 0);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_NODE, &a, 5000), 0);
	sessions_put(s, 1, 5000);
	assert_int_equal(sessions_stats(s).chunks_new, 0);
	assert_ok(sessions_commit(s));
	assert_int_equal(sessions_nobjects(s, "pack/"), packs);
	assert_int_equal(sessions_nobjects(s, "index/"), 1);
	assert_int_equal(sessions_npoints(s), 2);
	assert_ok(sessions_reads(s, &a, 1, 5000));
}

static void small_chunks_share_a_frame(void **state)
{
	struct scene *s = *state;
	struct bundle *b = bundle_new(s->writer);
	struct vault_stats st;
	struct id ids[100];
	uint8_t data[1000];
	size_t i;

	assert_non_null(b);
	for (i = 0; i < 100; i++) {
		support_fill(i, data, sizeof(data));
		assert_ok(
			bundle_add(b, CHUNK_DATA, data, sizeof(data), &ids[i]));
	}
	assert_ok(bundle_flush(b));
	assert_ok(bundle_flush(b));
	bundle_free(b);
	assert_ok(sessions_commit(s));
	sessions_next(s);
	for (i = 0; i < 100; i++)
		assert_ok(sessions_reads(s, &ids[i], i, sizeof(data)));
	vault_get_stats(s->vault, &st);
	assert_int_equal(st.frames_decoded, 1);
	assert_int_equal(st.frame_hits, 99);
}

static void full_packs_go_at_once(void **state)
{
	struct scene *s = *state;
	uint64_t i, n = FORMAT_PACK_TARGET / 1000000 + 2;
	struct id id = sessions_put(s, 0, 1000000);

	for (i = 1; i < n; i++)
		sessions_put(s, i, 1000000);
	assert_ok(sessions_commit(s));
	assert_int_equal(sessions_nobjects(s, "pack/"), 2);
	assert_int_equal(sessions_stats(s).packs, 2);
	assert_ok(sessions_reads(s, &id, 0, 1000000));
}

/* ---- order ---- */

struct order {
	char log[4096];
};

static int note_order(void *arg, enum backend_mem_op op, const char *name)
{
	struct order *o = arg;
	size_t n = strlen(o->log);

	if (op == BACKEND_MEM_PUT || op == BACKEND_MEM_LIST)
		snprintf(o->log + n, sizeof(o->log) - n, "%s %.*s;",
			 op == BACKEND_MEM_PUT ? "put" : "list",
			 (int)strcspn(name, "/"), name);
	return 0;
}

/* What the protocol stands on: the session before verdicts, these and tombs
 * before packs; packs, index, point, register. And each is listed once, but for
 * verdicts, whatever is known when a session begins. */
static void order_of_objects(void **state)
{
	struct scene *s = *state;
	struct order o = { "" };

	writer_free(s->writer);
	backend_mem_watch(s->backend, note_order, &o);
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	sessions_put(s, 1, 500);
	assert_ok(sessions_commit(s));
	backend_mem_watch(s->backend, NULL, NULL);
	assert_string_equal(
		o.log,
		"list commit;list forget;list purge;list note;list machine;"
		"put session;list index;list purge;list tomb;"
		"list sweep;list quarantine;list pack;put pack;"
		"put index;put point;put commit;");
}

/* ---- what may be reused ---- */

/* A session whose index cannot be written: as if killed before. */
static struct id die_with_packs(struct scene *s)
{
	struct id id = sessions_put(s, 1, 5000);

	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "index/", 1, -EIO, 0);
	assert_result(sessions_commit(s), -EIO);
	backend_mem_heal(s->backend);
	assert_int_equal(sessions_nobjects(s, "pack/"), 1);
	assert_int_equal(sessions_nobjects(s, "index/"), 0);
	assert_int_equal(sessions_npoints(s), 0);
	sessions_age(s);
	return id;
}

/* What a backup uploads while another runs is not read, nor named again. */
static void a_live_session_is_let_alone(void **state)
{
	struct scene *s = *state;
	struct backend_mem_counts counts;
	const char *pack;
	struct id id = die_with_packs(s);

	/* Its session began long ago, but it stored something just now. */
	pack = sessions_first_object(s, "pack/");
	assert_ok(backend_mem_set_time(
		s->backend, pack,
		seam_system()->ops->realtime_ns(seam_system())));
	backend_mem_reset_counts(s->backend);
	sessions_next(s);
	assert_int_equal(sessions_stats(s).packs_adopted, 0);
	backend_mem_get_counts(s->backend, "pack", &counts);
	assert_int_equal(counts.calls[BACKEND_MEM_GET], 0);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &id, 5000), 0);
	/* Once it is decided nobody waits for the store's clock. */
	{
		char name[OBJECT_NAME_MAX];

		snprintf(name, sizeof(name), "commit/%.32s",
			 strrchr(pack, '/') + 1);
		sessions_put_text(s, OBJECT_COMMIT, name,
				  "{\"decision\":\"FENCED\"}");
	}
	sessions_next(s);
	assert_int_equal(sessions_stats(s).packs_adopted, 1);
}

static int write_session(void *arg)
{
	AUTO_BUF struct buf b = BUF_INIT;

	if (session_encode("0", "backup", 1, &b) < 0)
		return 1;
	support_write(arg, b.data, b.len);
	return 0;
}

/* A process that is no more will upload nothing more. */
static void an_ended_process(void **state)
{
	char *path = (char *)support_path("%s/session", support_tmpdir());
	static const char odd[] = "{\"pid\":\"1\",\"host\":7}";
	AUTO_BUF struct buf own = BUF_INIT;
	AUTO_FREE uint8_t *other = NULL;
	struct session_info s;
	size_t len;

	(void)state;
	assert_ok(session_encode("0", "backup", 1, &own));
	assert_ok(session_decode(own.data, own.len, "session/0", &s));
	assert_int_equal(s.pid, getpid());
	assert_false(session_process_ended(&s));
	assert_int_equal(support_fork(write_session, path), 0);
	other = support_read(path, &len);
	assert_non_null(other);
	assert_ok(session_decode(other, len, "session/0", &s));
	assert_true(session_process_ended(&s));
	/* Of another host nothing is known. */
	s.host[0] ^= 1;
	assert_false(session_process_ended(&s));
	assert_result(session_decode("[]", 2, "session/0", &s), -EBADMSG);
	assert_ok(session_decode(odd, strlen(odd), "session/0", &s));
	assert_int_equal(s.pid, 0);
	assert_string_equal(s.host, "");
	assert_false(session_process_ended(&s));
}

static void a_dead_session_is_reused(void **state)
{
	struct scene *s = *state;
	struct id id = die_with_packs(s);

	sessions_next(s);
	assert_int_equal(sessions_stats(s).packs_adopted, 1);
	sessions_put(s, 1, 5000);
	assert_int_equal(sessions_stats(s).chunks_new, 0);
	assert_ok(sessions_commit(s));
	assert_int_equal(sessions_nobjects(s, "pack/"), 1);
	/* Now an index names it: nobody needs to adopt it again. */
	assert_int_equal(sessions_nobjects(s, "index/"), 1);
	sessions_next(s);
	assert_int_equal(sessions_stats(s).packs_adopted, 0);
	assert_ok(sessions_reads(s, &id, 1, 5000));
}

/* The client that adopted dies as well; its database stays. */
static void adopted_twice(void **state)
{
	struct scene *s = *state;
	struct id id = die_with_packs(s);

	s->options.cache_dir = support_tmpdir();
	sessions_next(s);
	assert_int_equal(sessions_stats(s).packs_adopted, 1);
	sessions_next(s);
	sessions_put(s, 1, 5000);
	assert_int_equal(sessions_stats(s).chunks_new, 0);
	assert_ok(sessions_commit(s));
	assert_int_equal(sessions_nobjects(s, "index/"), 1);
	s->options.cache_dir = NULL;
	sessions_next(s);
	assert_ok(sessions_reads(s, &id, 1, 5000));
}

static void a_damaged_dead_pack_is_not(void **state)
{
	struct scene *s = *state;
	const char *name;
	uint8_t *data;
	size_t len;

	die_with_packs(s);
	name = sessions_first_object(s, "pack/");
	data = backend_mem_data(s->backend, name, &len);
	data[FORMAT_HEADER_LEN + 100] ^= 1;
	sessions_next(s);
	assert_int_equal(sessions_stats(s).packs_adopted, 0);
	sessions_put(s, 1, 5000);
	assert_int_equal(sessions_stats(s).chunks_new, 1);
	assert_ok(sessions_commit(s));
}

/* What lies on a bad sector, or is another user's, hides itself and stops
 * nobody; nor is it tried again by each session of this machine. */
static void an_unreadable_dead_pack_stops_nobody(void **state)
{
	static const int errors[] = { -EIO, -EACCES, -ESTALE, -ETIMEDOUT };
	struct scene *s = *state;
	struct backend_mem_counts before, after;
	size_t i;

	die_with_packs(s);
	backend_mem_set_patience(s->backend, 20 * 1000000, NULL);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		s->options.cache_dir = support_tmpdir();
		backend_mem_fail(s->backend, BACKEND_MEM_GET, "pack/", 1,
				 errors[i], BACKEND_MEM_STICKY);
		sessions_next(s);
		assert_int_equal(sessions_stats(s).packs_adopted, 0);
		assert_ok(sessions_commit(s));
		backend_mem_get_counts(s->backend, "pack", &before);
		support_log_clear();
		sessions_next(s);
		backend_mem_get_counts(s->backend, "pack", &after);
		/* A place that did not answer is asked again. */
		if (errors[i] == -ETIMEDOUT) {
			assert_int_not_equal(after.calls[BACKEND_MEM_GET],
					     before.calls[BACKEND_MEM_GET]);
		} else {
			assert_int_equal(after.calls[BACKEND_MEM_GET],
					 before.calls[BACKEND_MEM_GET]);
			assert_string_equal(support_log_text(), "");
		}
		backend_mem_heal(s->backend);
	}
	/* Another machine can read it. */
	s->options.cache_dir = NULL;
	sessions_next(s);
	assert_int_equal(sessions_stats(s).packs_adopted, 1);
	assert_ok(sessions_commit(s));
}

/* The same of an index object that cannot be made durable. */
static void an_unsure_dead_index_stops_nobody(void **state)
{
	struct scene *s = *state;
	struct id id = sessions_put(s, 1, 5000);

	s->options.cache_dir = support_tmpdir();
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "point/", 1, -EIO, 0);
	assert_result(sessions_commit(s), -EIO);
	backend_mem_heal(s->backend);
	sessions_age(s);
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	assert_ok(vault_open(&s->options, &s->vault));
	backend_mem_fail(s->backend, BACKEND_MEM_SYNC, "index/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	assert_ok(writer_begin(s->vault, 1, s->pool, &s->writer));
	/* Its packs are asked themselves. */
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &id, 5000), 1);
	backend_mem_heal(s->backend);
	assert_ok(sessions_commit(s));
	s->options.cache_dir = NULL;
	sessions_next(s);
	assert_ok(sessions_reads(s, &id, 1, 5000));
}

/* Where names were made durable, and what was asked of the name just then. */
struct vanishing {
	struct backend *backend;
	const char *prefix;
	char name[OBJECT_NAME_MAX];
};

static int vanish(void *arg, enum backend_mem_op op, const char *name)
{
	struct vanishing *v = arg;

	if (op != BACKEND_MEM_SYNC || v->name[0] ||
	    strncmp(name, v->prefix, strlen(v->prefix)) != 0)
		return 0;
	snprintf(v->name, sizeof(v->name), "%s", name);
	return backend_mem_remove(v->backend, name);
}

/*
 * A collector deletes what a dead session left, between this session's look at
 * it and its reliance on it. The name does not come back: whoever was told to
 * delete it would take it from under a later session.
 */
static void a_deleted_name_stays_gone(void **state)
{
	static const char *const prefixes[] = { "pack/", "index/" };
	struct scene *s = *state;
	size_t i;

	s->options.cache_dir = support_tmpdir();
	die_with_packs(s);
	for (i = 0; i < ARRAY_SIZE(prefixes); i++) {
		struct vanishing v = { s->backend, prefixes[i], "" };
		size_t len;

		backend_mem_watch(s->backend, vanish, &v);
		sessions_next(s);
		backend_mem_watch(s->backend, NULL, NULL);
		assert_string_not_equal(v.name, "");
		assert_null(backend_mem_data(s->backend, v.name, &len));
		sessions_put(s, i, 5000);
		assert_int_equal(sessions_stats(s).chunks_new, 1);
		/* This one dies with an index and without a point. */
		backend_mem_fail(s->backend, BACKEND_MEM_PUT, "point/", 1, -EIO,
				 0);
		assert_result(sessions_commit(s), -EIO);
		backend_mem_heal(s->backend);
	}
}

static void assert_stored_again(struct scene *s, const struct id *id)
{
	support_log_clear();
	sessions_next(s);
	assert_int_equal(relies(s), 0);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, id, 5000), 0);
	sessions_put(s, 1, 5000);
	assert_int_equal(sessions_stats(s).chunks_new, 1);
	assert_ok(sessions_commit(s));
	assert_ok(sessions_reads(s, id, 1, 5000));
	sessions_next(s);
	assert_ok(sessions_reads(s, id, 1, 5000));
}

static void a_missing_pack_is_not_reused(void **state)
{
	struct scene *s = *state;
	struct id id = sessions_put(s, 1, 5000);

	assert_ok(sessions_commit(s));
	assert_ok(backend_mem_remove(s->backend,
				     sessions_first_object(s, "pack/")));
	assert_stored_again(s, &id);
	assert_said("missing; what it held");
}

static void a_truncated_pack_is_not_reused(void **state)
{
	struct scene *s = *state;
	struct id id = sessions_put(s, 1, 5000);

	assert_ok(sessions_commit(s));
	assert_ok(backend_mem_resize(s->backend,
				     sessions_first_object(s, "pack/"), 4000));
	assert_stored_again(s, &id);
	assert_said("bytes long, not");
}

/* A file that somebody put there is neither used nor harmful. */
static void strange_names_are_left_alone(void **state)
{
	struct scene *s = *state;

	assert_ok(sessions_commit(s));
	assert_ok(backend_mem_set(s->backend, "pack/00/readme.txt", "x", 1));
	assert_ok(backend_mem_set(s->backend, "pack/other", "x", 1));
	sessions_next(s);
	assert_said("pack/other is no object");
	assert_said("pack/00/readme.txt is no object");
	assert_int_equal(sessions_stats(s).packs_adopted, 0);
	assert_ok(sessions_commit(s));
}

/* ---- who decides ---- */

static void fence(struct scene *s)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "commit/%s", writer_session(s->writer));
	sessions_put_text(s, OBJECT_COMMIT, name, "{\"decision\":\"FENCED\"}");
}

static void a_fenced_session_makes_no_point(void **state)
{
	struct scene *s = *state;
	struct id id = sessions_put(s, 1, 5000);

	fence(s);
	support_log_clear();
	assert_result(sessions_commit(s), -ECANCELED);
	assert_said("fenced");
	assert_int_equal(sessions_npoints(s), 0);
	sessions_next(s);
	assert_int_equal(sessions_npoints(s), 0);
	/* What it uploaded serves the next run. */
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &id, 5000), 1);
	assert_ok(sessions_commit(s));
	assert_int_equal(sessions_npoints(s), 1);
}

/* One that was fenced off learns it when it writes an index, not at its end. */
static void a_fenced_session_ends_early(void **state)
{
	struct scene *s = *state;
	uint8_t data[100] = "x";
	struct id id;
	uint32_t i;
	int r = 0;

	fence(s);
	for (i = 0; i < 100000 && r == 0; i++) {
		put_le32(data, i);
		r = writer_chunk(s->writer, CHUNK_NODE, data, sizeof(data),
				 &id);
	}
	assert_result(r, -ECANCELED);
	assert_int_equal(sessions_nobjects(s, "index/"), 0);
}

/* Somebody deletes a pack in which this session found a chunk. */
static void a_pack_that_goes_meanwhile(void **state)
{
	struct scene *s = *state;
	struct id id = sessions_put(s, 1, 5000);

	assert_ok(sessions_commit(s));
	sessions_next(s);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &id, 5000), 1);
	assert_ok(backend_mem_remove(s->backend,
				     sessions_first_object(s, "pack/")));
	support_log_clear();
	assert_result(sessions_commit(s), -EIO);
	assert_said("and is gone");
	assert_int_equal(sessions_npoints(s), 1);
}

/* Of so many packs each is missed likewise, by a listing; of few without one. */
static void one_of_many_packs_goes_meanwhile(void **state)
{
	struct scene *s = *state;
	struct backend_mem_counts n;
	struct id ids[20];
	uint32_t i;

	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		ids[i] = sessions_put(s, i + 1, 5000);
		assert_ok(sessions_commit(s));
		sessions_next(s);
	}
	backend_mem_reset_counts(s->backend);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &ids[0], 5000),
			 1);
	assert_ok(sessions_commit(s));
	backend_mem_get_counts(s->backend, "pack", &n);
	assert_int_equal(n.calls[BACKEND_MEM_LIST], 0);
	assert_int_equal(n.calls[BACKEND_MEM_HEAD], 1);
	sessions_next(s);
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA,
						  &ids[i], 5000),
				 1);
	assert_ok(backend_mem_remove(s->backend,
				     sessions_first_object(s, "pack/")));
	support_log_clear();
	assert_result(sessions_commit(s), -EIO);
	assert_said("and is gone");
}

static void a_long_session_has_a_pulse(void **state)
{
	static const int64_t minute = INT64_C(60) * 1000000000;
	struct scene *s = *state;
	struct seam_fault f;
	int i;

	seam_fault_init(&f, NULL);
	seam_fault_clock(&f, INT64_C(1000000000000000000), 0);
	s->options.seam = &f.seam;
	sessions_next(s);
	for (i = 1; i <= 35; i++) {
		seam_fault_clock(&f, INT64_C(1000000000000000000) + i * minute,
				 0);
		assert_ok(writer_tick(s->writer));
		assert_int_equal(sessions_nobjects(s, "heartbeat/"), i / 10);
	}
	assert_ok(sessions_commit(s));
	writer_free(s->writer);
	s->writer = NULL;
	vault_close(s->vault);
	s->options.seam = NULL;
	assert_ok(vault_open(&s->options, &s->vault));
	seam_fault_release(&f);
}

static void lost_replies(void **state)
{
	static const char *const kinds[] = { "pack/", "index/", "point/",
					     "commit/" };
	struct scene *s = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct id id = sessions_put(s, i, 5000);

		backend_mem_fail(s->backend, BACKEND_MEM_PUT, kinds[i], 1, -EIO,
				 BACKEND_MEM_LOST_REPLY);
		/* The register is asked, and made durable. */
		assert_result(sessions_commit(s), i == 3 ? 0 : -EIO);
		assert_int_equal(backend_mem_failures(s->backend), i + 1);
		sessions_age(s);
		sessions_next(s);
		assert_int_equal(sessions_npoints(s), i == 3);
		assert_int_equal(
			writer_has_chunk(s->writer, CHUNK_DATA, &id, 5000), 1);
		assert_ok(sessions_reads(s, &id, i, 5000));
	}
}

/* A put of the register that failed is tried again where none stands, and where
 * nobody answers whether one does, that is said. */
static void the_register_is_asked(void **state)
{
	struct scene *s = *state;

	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "commit/", 1, -EIO, 0);
	assert_ok(sessions_commit(s));
	assert_int_equal(sessions_npoints(s), 1);
	sessions_next(s);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "commit/", 1, -EIO,
			 BACKEND_MEM_LOST_REPLY);
	backend_mem_fail(s->backend, BACKEND_MEM_GET, "commit/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	support_log_clear();
	assert_result(sessions_commit(s), -EIO);
	assert_said("is not known");
	backend_mem_heal(s->backend);
	assert_int_equal(sessions_npoints(s), 2);
	/* Full is full: there is no point, and no doubt. */
	sessions_next(s);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "commit/", 1, -ENOSPC,
			 BACKEND_MEM_STICKY);
	support_log_clear();
	assert_result(sessions_commit(s), -ENOSPC);
	assert_null(strstr(support_log_text(), "not known"));
	backend_mem_heal(s->backend);
	assert_int_equal(sessions_npoints(s), 2);
	/* A lie: what it said is stored is not there. */
	sessions_next(s);
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "commit/", 1, 0,
			 BACKEND_MEM_LIES | BACKEND_MEM_STICKY);
	assert_result(sessions_commit(s), -EIO);
	assert_said("cannot be relied on");
}

/* NFS answers so where the reply to the first link() was lost, and an object
 * store where a conditional put was sent again. */
static void it_exists_because_we_made_it(void **state)
{
	static const char *const kinds[] = { "session/", "pack/", "index/",
					     "point/", "commit/" };
	struct scene *s = *state;
	struct id id;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		backend_mem_fail(s->backend, BACKEND_MEM_PUT, kinds[i], 1,
				 -EEXIST, BACKEND_MEM_LOST_REPLY);
	sessions_next(s);
	id = sessions_put(s, 1, 5000);
	assert_ok(sessions_commit(s));
	assert_int_equal(backend_mem_failures(s->backend), ARRAY_SIZE(kinds));
	sessions_next(s);
	assert_int_equal(sessions_npoints(s), 1);
	assert_ok(sessions_reads(s, &id, 1, 5000));
}

static int put_other(void *arg, enum backend_mem_op op, const char *name)
{
	struct scene *s = arg;

	if (op == BACKEND_MEM_PUT && strncmp(name, "index/", 6) == 0)
		assert_int_equal(backend_mem_set(s->backend, name, "x", 1), 0);
	return 0;
}

static void it_exists_and_is_not_ours(void **state)
{
	struct scene *s = *state;

	sessions_put(s, 1, 5000);
	backend_mem_watch(s->backend, put_other, s);
	support_log_clear();
	assert_result(sessions_commit(s), -EEXIST);
	backend_mem_watch(s->backend, NULL, NULL);
	assert_said("is there already");
	assert_int_equal(sessions_npoints(s), 0);
}

static void an_error_ends_the_session(void **state)
{
	struct scene *s = *state;
	uint8_t data[100] = "x";
	struct id id;
	int i, r = 0;

	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "pack/", 1, -ENOSPC,
			 BACKEND_MEM_STICKY);
	for (i = 0; i < 60 && r == 0; i++) {
		AUTO_FREE uint8_t *large = malloc(1000000);

		support_fill((uint64_t)i, large, 1000000);
		r = writer_chunk(s->writer, CHUNK_DATA, large, 1000000, &id);
	}
	assert_result(r, -ENOSPC);
	backend_mem_heal(s->backend);
	assert_result(writer_chunk(s->writer, CHUNK_DATA, data, sizeof(data),
				   &id),
		      -ENOSPC);
	assert_result(sessions_commit(s), -ENOSPC);
	assert_int_equal(sessions_npoints(s), 0);
}

/* One that makes no point says so, and the next one has its packs at once. */
static void an_abandoned_session(void **state)
{
	struct scene *s = *state;
	uint64_t i, n = FORMAT_PACK_TARGET / 1000000 + 2;
	struct id id = sessions_put(s, 0, 1000000), other;

	for (i = 1; i < n; i++)
		sessions_put(s, i, 1000000);
	writer_abandon(s->writer);
	assert_int_equal(sessions_nobjects(s, "commit/"), 1);
	assert_result(writer_chunk(s->writer, CHUNK_DATA, "x", 1, &other),
		      -ECANCELED);
	assert_result(sessions_commit(s), -ECANCELED);
	sessions_next(s);
	assert_int_equal(sessions_npoints(s), 0);
	assert_int_equal(sessions_stats(s).packs_adopted, 1);
	assert_int_equal(writer_has_chunk(s->writer, CHUNK_DATA, &id, 1000000),
			 1);
	/* Of one whose store has failed nobody knows. */
	backend_mem_fail(s->backend, BACKEND_MEM_PUT, "pack/", 1, -ENOSPC, 0);
	sessions_put(s, 1000, 1000);
	assert_result(sessions_commit(s), -ENOSPC);
	writer_abandon(s->writer);
	assert_int_equal(sessions_nobjects(s, "commit/"), 1);
}

/* ---- two at once ---- */

struct parallel {
	struct scene scene;
	pthread_t thread;
	uint64_t first;
	int result;
};

static void *write_many(void *arg)
{
	struct parallel *p = arg;
	uint64_t i;

	for (i = 0; i < 300 && p->result == 0; i++) {
		uint8_t data[2000];
		struct id id;

		support_fill(p->first + i, data, sizeof(data));
		p->result = writer_chunk(p->scene.writer, CHUNK_DATA, data,
					 sizeof(data), &id);
	}
	if (p->result == 0)
		p->result = sessions_commit(&p->scene);
	return NULL;
}

static void two_writers(void **state)
{
	struct scene *s = *state;
	struct parallel p[2] = { { .first = 0 }, { .first = 150 } };
	uint64_t i;

	for (i = 0; i < 2; i++) {
		p[i].scene = *s;
		assert_ok(
			writer_begin(s->vault, 1, s->pool, &p[i].scene.writer));
	}
	for (i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&p[i].thread, NULL, write_many,
						&p[i]),
				 0);
	for (i = 0; i < 2; i++) {
		pthread_join(p[i].thread, NULL);
		assert_ok(p[i].result);
		writer_free(p[i].scene.writer);
	}
	assert_int_equal(sessions_npoints(s), 2);
	sessions_next(s);
	for (i = 0; i < 450; i++) {
		struct id id = sessions_put(s, i, 2000);

		assert_ok(sessions_reads(s, &id, i, 2000));
	}
	assert_int_equal(sessions_stats(s).chunks_new, 0);
}

#define CASE(fn)                                                               \
	cmocka_unit_test_setup_teardown(fn, sessions_setup, sessions_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(chunks_of_all_sizes),
		CASE(chunks_that_cannot_be),
		CASE(stored_once_in_a_session),
		CASE(disks_have_a_level_of_their_own),
		CASE(stored_once_over_sessions),
		CASE(small_chunks_share_a_frame),
		CASE(full_packs_go_at_once),
		CASE(order_of_objects),
		CASE(a_live_session_is_let_alone),
		cmocka_unit_test(an_ended_process),
		CASE(a_dead_session_is_reused),
		CASE(adopted_twice),
		CASE(a_deleted_name_stays_gone),
		CASE(a_damaged_dead_pack_is_not),
		CASE(an_unreadable_dead_pack_stops_nobody),
		CASE(an_unsure_dead_index_stops_nobody),
		CASE(a_missing_pack_is_not_reused),
		CASE(a_truncated_pack_is_not_reused),
		CASE(strange_names_are_left_alone),
		CASE(a_fenced_session_makes_no_point),
		CASE(a_fenced_session_ends_early),
		CASE(a_pack_that_goes_meanwhile),
		CASE(one_of_many_packs_goes_meanwhile),
		CASE(a_long_session_has_a_pulse),
		CASE(the_register_is_asked),
		CASE(lost_replies),
		CASE(it_exists_because_we_made_it),
		CASE(it_exists_and_is_not_ours),
		CASE(an_error_ends_the_session),
		CASE(an_abandoned_session),
		CASE(two_writers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
