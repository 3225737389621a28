/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Index objects that a collection replaces: what they said is still said, and
 * whoever works on them meanwhile is not disturbed. */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/mem.h"
#include "store/catalog/catalog.h"
#include "store/collect/collect.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/record/pack_list.h"
#include "store/writer/writer.h"

#define SHARED 99 /* seed of what is in the pack of a point that goes */

/* A vault with two points that have a file in common. Nobody changes it: each test
 * has a copy, in which the first one is due. */
static struct backend *full;
static char due[33];

static void put_file(const char *dir, const char *name, uint64_t seed)
{
	static uint8_t data[40000];

	support_fill(seed, data, sizeof(data));
	support_write(support_path("%s/%s", dir, name), data, sizeof(data));
}

static void put_box(struct vault *v, struct backend *b, uint8_t type,
		    const char *name, const void *data, size_t len)
{
	AUTO_BUF struct buf box = BUF_INIT;

	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  type, name, NULL, 0, data, len, &box));
	assert_ok(backend_mem_set(b, name, box.data, box.len));
}

static void forget_point(struct backend *b, const char *id)
{
	static const char long_ago[] = "{\"time_ns\":1}";
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	char name[OBJECT_NAME_MAX];
	struct vault *v;

	snprintf(name, sizeof(name), "forget/%s-0", id);
	assert_ok(vault_open(&o, &v));
	put_box(v, b, OBJECT_FORGET, name, long_ago, strlen(long_ago));
	vault_close(v);
	assert_ok(backend_mem_set_time(b, name, 1));
}

static int setup(void **state)
{
	struct vault_options o;
	char id[33];
	size_t i;

	(void)state;
	support_log_capture();
	full = backend_mem_new();
	assert_non_null(full);
	o = vaults_options(NULL, full, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	for (i = 0; i < 2; i++) {
		const char *dir =
			support_path("%s/%zu", support_tmpdir_fast(), i);

		assert_int_equal(mkdir(dir, 0755), 0);
		put_file(dir, "own", i + 1);
		put_file(dir, "shared", SHARED);
		assert_ok(vaults_open_and_backup(&o, dir, i ? id : due));
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(full);
	return 0;
}

static struct backend *copy(void)
{
	struct backend *b = backend_mem_clone(full);

	assert_non_null(b);
	forget_point(b, due);
	support_log_clear();
	return b;
}

/* ---- beside a backup ---- */

static int say_yes(void *arg, const struct collect_plan *plan)
{
	struct collect_options *o = arg;

	o->yes_remove = (int64_t)plan->nremoved;
	return 0;
}

static int collect(struct vault *v, struct collect_result *out)
{
	struct collect_options o = { .yes_remove = -1,
				     .max_unused = 100,
				     .by = "root@web1" };

	o.on_plan = say_yes;
	o.arg = &o;
	return collect_run(v, &o, out);
}

/* The chunk is there: nothing is stored. */
static void find_shared(struct writer *w)
{
	static uint8_t data[40000];
	struct writer_stats stats;
	struct id id;

	support_fill(SHARED, data, sizeof(data));
	assert_ok(writer_chunk(w, CHUNK_DATA, data, sizeof(data), &id));
	writer_get_stats(w, &stats);
	assert_int_equal(stats.bytes_new, 0);
}

static void commit(struct writer *w)
{
	struct point *p = point_new();

	assert_non_null(p);
	p->vm = strdup("web");
	p->host = strdup("web1");
	p->program = strdup("test");
	assert_ok(writer_commit(w, p));
	point_free(p);
}

/* Two processes with one database. */
struct pair {
	struct backend *b;
	struct vault *collector, *backup;
	struct writer *writer;
};

/* A collection died when it was to replace index objects, and a backup began. */
static struct pair begin_pair(const char *cache)
{
	struct pair p = { .b = copy() };
	struct vault_options o =
		vaults_options(NULL, p.b, NULL,
			       support_path("%s/%s", support_tmpdir(), cache));
	struct collect_result result;

	assert_ok(vault_open(&o, &p.collector));
	vault_show_forgotten(p.collector);
	backend_mem_fail(p.b, BACKEND_MEM_PUT, "index/", 1, -EIO,
			 BACKEND_MEM_STICKY);
	assert_result(collect(p.collector, &result), -EIO);
	backend_mem_heal(p.b);
	assert_ok(vault_open(&o, &p.backup));
	assert_ok(writer_begin(p.backup, 1, NULL, &p.writer));
	find_shared(p.writer);
	return p;
}

static void end_pair(struct pair *p)
{
	struct vault_options o = vaults_options(NULL, p->b, NULL, NULL);

	commit(p->writer);
	writer_free(p->writer);
	vault_close(p->backup);
	vault_close(p->collector);
	assert_int_equal(vaults_check(&o), 0);
	backend_close(p->b);
}

/* A listing that began before the new object was there need not show the old one. */
static int miss(void *arg, enum backend_mem_op op, const char *name)
{
	struct pair *p = arg;

	if (op == BACKEND_MEM_DELETE && strncmp(name, "index/", 6) == 0)
		assert_ok(catalog_drop_source(vault_catalog(p->backup), name));
	return 0;
}

/* What it found it still finds, and so does its commit. */
static void a_backup_goes_on(void **state)
{
	struct pair p = begin_pair("beside");
	struct collect_result result;

	(void)state;
	backend_mem_watch(p.b, miss, &p);
	assert_ok(collect(p.collector, &result));
	backend_mem_watch(p.b, NULL, NULL);
	assert_int_equal(result.index_new, 1);
	find_shared(p.writer);
	end_pair(&p);
}

/* The same where another client replaced them, and this machine reads it. */
static void a_refresh_beside_keeps_numbers(void **state)
{
	struct pair p = begin_pair("refreshed");
	struct vault_options o = vaults_options(NULL, p.b, NULL, NULL);
	struct collect_result result;
	struct vault *other;

	(void)state;
	assert_ok(vault_open(&o, &other));
	vault_show_forgotten(other);
	assert_ok(collect(other, &result));
	assert_int_equal(result.index_new, 1);
	vault_close(other);
	assert_ok(vault_refresh(p.collector));
	find_shared(p.writer);
	end_pair(&p);
}

static int add_source(void *arg, const char *source)
{
	char(*names)[OBJECT_NAME_MAX] = arg;
	size_t i = 0;

	if (strncmp(source, "index/", 6) != 0)
		return 0;
	while (names[i][0])
		i++;
	assert_in_range(i, 0, 7);
	snprintf(names[i], sizeof(names[i]), "%s", source);
	return 0;
}

/* Where all rows are made anew, packs are found by their names. */
static void a_pack_is_known_by_name(void **state)
{
	static char names[9][OBJECT_NAME_MAX];
	struct pair p = begin_pair("anew");
	struct catalog *c = vault_catalog(p.collector);
	size_t i;

	(void)state;
	assert_ok(catalog_sources(c, add_source, names));
	for (i = 0; names[i][0]; i++)
		assert_ok(catalog_drop_source(c, names[i]));
	assert_int_equal(i, 2);
	end_pair(&p);
}

/* ---- what others wrote ---- */

#define FORGED "index/ffffffffffffffffffffffffffffffff-0"

/* An index object that says what the honest ones say, but hides a chunk that is not
 * needed in a pack that is. */
struct forgery {
	struct id hidden;
	struct buf packs, gone;
	uint64_t npacks, ngone;
	size_t nhidden;
	bool only_these; /* leave other packs out, but for those of trees */
	bool leaves_out; /* leave the pack out, and do not hide the chunk */
	struct pack_list left;
};

static int forge_pack(void *arg, const struct index_pack *p)
{
	struct forgery *f = arg;
	AUTO_BUF struct buf dir = BUF_INIT;
	uint8_t *at;

	buf_put(&dir, p->dir, p->dir_len);
	at = memmem(dir.data, dir.len, f->hidden.b, ID_LEN);
	if (f->only_these && !at && p->kind != OBJECT_TREE_PACK)
		return 0;
	if (at) {
		at[0] ^= 1;
		f->nhidden++;
	}
	if (at && f->leaves_out)
		return pack_list_add(&f->left, p->name);
	index_put_pack(&f->packs, p->name, p->size, p->kind, p->epoch, p->salt,
		       dir.data, dir.len);
	f->npacks++;
	return buf_error(&f->packs);
}

static void read_honest(struct vault *v, struct forgery *f)
{
	static char names[9][OBJECT_NAME_MAX];
	size_t i;

	memset(names, 0, sizeof(names));
	assert_ok(catalog_sources(vault_catalog(v), add_source, names));
	for (i = 0; names[i][0]; i++) {
		const struct index_visitor visitor = { .pack = forge_pack,
						       .arg = f };

		assert_ok(index_read(v, names[i], &visitor));
		buf_put_bytes(&f->gone, names[i] + 6, strlen(names[i]) - 6);
		f->ngone++;
	}
	assert_int_equal(f->nhidden, 1);
}

/* Put it, and run a collection that has to replace index objects. */
static void collect_beside(struct backend *b, const char *name, bool leaves_out)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	bool merged = name[strlen(name) - 1] == 'm';
	struct forgery f = { .only_these = !merged, .leaves_out = leaves_out };
	AUTO_BUF struct buf plain = BUF_INIT;
	static uint8_t data[40000];
	struct collect_result result;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(vault_refresh(v));
	support_fill(1, data, sizeof(data));
	assert_ok(keyring_id(vault_keyring(v), CHUNK_DATA, data, sizeof(data),
			     &f.hidden));
	read_honest(v, &f);
	buf_put_varint(&plain, f.npacks);
	buf_put(&plain, f.packs.data, f.packs.len);
	if (merged) {
		buf_put_varint(&plain, f.ngone);
		buf_put(&plain, f.gone.data, f.gone.len);
	}
	put_box(v, b, OBJECT_INDEX, name, plain.data, plain.len);
	if (leaves_out) {
		buf_release(&plain);
		sweep_encode(&f.left, &plain);
		put_box(v, b, OBJECT_SWEEP,
			"sweep/ffffffffffffffffffffffffffffffff", plain.data,
			plain.len);
	}
	pack_list_release(&f.left);
	buf_release(&f.packs);
	buf_release(&f.gone);
	vault_close(v);
	assert_ok(vault_open(&o, &v));
	vault_show_forgotten(v);
	assert_ok(collect(v, &result));
	vault_close(v);
}

/* The index object of the point that goes, which names the pack that stays. */
static bool stands(struct backend *b, const char *name)
{
	size_t len;

	return backend_mem_data(b, name, &len) != NULL;
}

static void find_first(struct backend *b, char out[OBJECT_NAME_MAX])
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct point_list *l;
	struct vault *v;
	size_t i;

	out[0] = '\0';
	assert_ok(vault_open(&o, &v));
	vault_show_forgotten(v);
	assert_ok(vault_points(v, &l));
	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->id, due) == 0)
			snprintf(out, OBJECT_NAME_MAX, "index/%s-0",
				 l->points[i]->session);
	point_list_put(l);
	vault_close(v);
	assert_true(stands(b, out));
}

/* One that supersedes others has to say all that they say, not just name their
 * packs. */
static void what_is_superseded_falsely_stays(void **state)
{
	struct backend *b = copy();
	char first[OBJECT_NAME_MAX];

	(void)state;
	find_first(b, first);
	collect_beside(b, FORGED ".m", false);
	assert_true(stands(b, first));
	assert_said("do not say the same of a pack");
	backend_close(b);
}

/* Nor does a sweep that names a pack which is still there excuse an object that does
 * not. */
static void what_is_left_out_falsely_stays(void **state)
{
	struct backend *b = copy();
	char first[OBJECT_NAME_MAX];

	(void)state;
	find_first(b, first);
	collect_beside(b, FORGED ".m", true);
	assert_true(stands(b, first));
	backend_close(b);
}

/* Where two differ, neither is read into another one. */
static void what_differs_stays(void **state)
{
	struct backend *b = copy();
	char first[OBJECT_NAME_MAX];

	(void)state;
	find_first(b, first);
	collect_beside(b, FORGED, false);
	assert_true(stands(b, first));
	assert_true(stands(b, FORGED));
	assert_said("do not say the same of a pack");
	backend_close(b);
}

/* Whether the vault's index names a pack. */
struct search {
	const char *pack;
	bool found;
};

static int look_for(void *arg, const struct index_pack *p)
{
	struct search *s = arg;

	s->found |= strcmp(s->pack, p->name) == 0;
	return 0;
}

static bool is_indexed(struct vault *v, const char *pack)
{
	static char names[9][OBJECT_NAME_MAX];
	struct search s = { .pack = pack };
	const struct index_visitor visitor = { .pack = look_for, .arg = &s };
	size_t i;

	memset(names, 0, sizeof(names));
	assert_ok(vault_refresh(v));
	assert_ok(catalog_sources(vault_catalog(v), add_source, names));
	for (i = 0; names[i][0]; i++)
		assert_ok(index_read(v, names[i], &visitor));
	return s.found;
}

static int add_listed(void *arg, const char *object,
		      const struct backend_info *info)
{
	(void)info;
	return pack_list_add(arg, strrchr(object, '/') + 1);
}

/* Hides packs from a listing, once the collection has deleted what it decided on. */
struct lag {
	struct backend *b;
	const struct pack_list *packs;
	enum { BEFORE, DELETED, HIDDEN, AFTER } stage;
};

static void hide(struct lag *l, bool hidden)
{
	char object[OBJECT_NAME_MAX], away[OBJECT_NAME_MAX];
	size_t i;
	int r;

	for (i = 0; i < l->packs->n; i++) {
		assert_ok(format_pack_object_name(l->packs->names[i], object));
		snprintf(away, sizeof(away), "away/%s", l->packs->names[i]);
		r = backend_mem_rename(l->b, hidden ? object : away,
				       hidden ? away : object);
		assert_true(r == 0 || r == -ENOENT);
	}
}

static int lag(void *arg, enum backend_mem_op op, const char *name)
{
	struct lag *l = arg;

	if (l->stage == BEFORE && op == BACKEND_MEM_DELETE &&
	    strncmp(name, "tomb/", 5) == 0) {
		l->stage = DELETED;
	} else if (l->stage == DELETED && op == BACKEND_MEM_LIST &&
		   strncmp(name, "pack/", 5) == 0) {
		hide(l, true);
		l->stage = HIDDEN;
	} else if (l->stage == HIDDEN && op == BACKEND_MEM_PUT) {
		hide(l, false);
		l->stage = AFTER;
	}
	return 0;
}

/* Put a sweep, as anybody may who can put objects, which deletes all packs, and
 * collect. What stands then is in the index. */
static void collect_after_false_sweep(bool lags)
{
	struct backend *b = copy();
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct pack_list before = { .n = 0 }, after = { .n = 0 };
	struct lag l = { .b = b, .packs = &before };
	AUTO_BUF struct buf plain = BUF_INIT;
	struct collect_result result;
	struct vault *v;
	size_t i;

	assert_ok(vault_open(&o, &v));
	vault_show_forgotten(v);
	assert_ok(vault_list_plain(v, "pack/", add_listed, &before));
	pack_list_sort(&before);
	sweep_encode(&before, &plain);
	put_box(v, b, OBJECT_SWEEP, "sweep/ffffffffffffffffffffffffffffffff",
		plain.data, plain.len);
	if (lags)
		backend_mem_watch(b, lag, &l);
	assert_ok(collect(v, &result));
	backend_mem_watch(b, NULL, NULL);
	assert_int_equal(l.stage, lags ? AFTER : BEFORE);
	assert_int_equal(result.index_new, 1);
	assert_ok(vault_list_plain(v, "pack/", add_listed, &after));
	assert_in_range(after.n, 1, before.n - 1);
	for (i = 0; i < after.n; i++)
		assert_true(is_indexed(v, after.names[i]));
	vault_close(v);
	pack_list_release(&before);
	pack_list_release(&after);
	backend_close(b);
}

static void a_false_sweep_takes_nothing_from_the_index(void **state)
{
	(void)state;
	collect_after_false_sweep(false);
	collect_after_false_sweep(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backup_goes_on),
		cmocka_unit_test(a_refresh_beside_keeps_numbers),
		cmocka_unit_test(a_pack_is_known_by_name),
		cmocka_unit_test(what_is_superseded_falsely_stays),
		cmocka_unit_test(what_differs_stays),
		cmocka_unit_test(what_is_left_out_falsely_stays),
		cmocka_unit_test(a_false_sweep_takes_nothing_from_the_index),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
