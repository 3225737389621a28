/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What points reach, compared with a walk of the test's own that shares nothing and
 * passes over nothing; and that nothing is called dead when something could not be
 * read. Two backups of files, one with an extent map, and a disk.
 */
#include "config.h"

#include "tests/unit/reach.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backend/mem.h"
#include "store/base/idset.h"
#include "store/base/seam.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/content.h"
#include "store/entry.h"
#include "store/format.h"
#include "store/mark/mark.h"
#include "store/mark/packs.h"
#include "store/mark/prints.h"
#include "store/point.h"
#include "store/tree.h"

static struct backend *base; /* two points */

/* 20 islands: its extents go to a map. */
static void write_islands(const char *path, int seed)
{
	AUTO_CLOSE int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
	int i;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 40 * 65536), 0);
	for (i = seed; i < seed + 20; i++)
		assert_int_equal(
			pwrite(fd, &i, sizeof(i), (i - seed) * 2 * 65536), 4);
}

static int setup(void **state)
{
	const char *dir = support_path("%s/src", support_tmpdir_fast());
	struct vault_options o;
	char id[33];

	(void)state;
	support_log_capture();
	base = backend_mem_new();
	assert_non_null(base);
	o = vaults_options(NULL, base, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	vaults_make_source(dir);
	vaults_make_disk(dir);
	write_islands(support_path("%s/islands", dir), 0);
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	vaults_change_source(dir);
	vaults_change_disk(dir);
	write_islands(support_path("%s/islands", dir), 10);
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(base);
	return 0;
}

/* A copy of the vault, open, with its points. */
struct scene {
	struct backend *backend;
	struct vault *vault;
	struct point_list *points;
	struct mark *mark;
	/* Of the two: the one made of nothing, and the one whose parent that is.
	 * They may be of one second. */
	struct point *first, *second;
};

static void scene_open(struct scene *s)
{
	struct vault_options o = vaults_options(NULL, s->backend, NULL, NULL);

	assert_ok(vault_open(&o, &s->vault));
	assert_ok(vault_points(s->vault, &s->points));
	assert_ok(mark_new(s->vault, &s->mark));
}

static void scene_begin(struct scene *s)
{
	size_t i;

	memset(s, 0, sizeof(*s));
	s->backend = backend_mem_clone(base);
	assert_non_null(s->backend);
	scene_open(s);
	assert_int_equal(s->points->n, 2);
	i = s->points->points[0]->parent[0] ? 1 : 0;
	s->first = s->points->points[i];
	s->second = s->points->points[1 - i];
	assert_string_equal(s->second->parent, s->first->id);
}

static void scene_close(struct scene *s)
{
	mark_free(s->mark);
	point_list_put(s->points);
	vault_close(s->vault);
}

static void scene_end(struct scene *s)
{
	scene_close(s);
	backend_close(s->backend);
}

static void mark_all(struct scene *s)
{
	size_t i;

	for (i = 0; i < s->points->n; i++)
		assert_ok(mark_point(s->mark, s->points->points[i]));
}

/* ---- what packs hold, against that ---- */

struct comparison {
	struct scene *scene;
	struct reached reached;
	/* of the pack in hand */
	uint64_t live, dead, size;
	double live_bytes, dead_bytes;
	/* of all */
	size_t npacks, nwhole, ndead;
	struct idset held;
};

/* A chunk's bytes, reckoned in another way: plain bytes times the ratio of each
 * frame that they lie in. */
static double bytes_of(const struct pack_dir *d, const struct chunk_ref *c)
{
	double sum = 0;
	uint32_t left = c->len, off = c->off, frame;

	for (frame = c->frame; left > 0; frame++) {
		const struct frame *f = &d->frames[frame];
		uint32_t n = MIN(left, f->plen - off);

		sum += (double)n * (f->clen + CRYPT_TAG_LEN) / f->plen;
		left -= n;
		off = 0;
	}
	return sum;
}

static int compare_chunks(void *arg, const struct pack_found *p)
{
	struct comparison *c = arg;
	uint64_t frames = 0, chunks = 0;
	size_t i;

	assert_true(p->listed && p->readable);
	for (i = 0; i < p->dir.nframes; i++)
		frames += p->dir.frames[i].clen + CRYPT_TAG_LEN;
	for (i = 0; i < p->dir.nchunks; i++) {
		const struct chunk_ref *k = &p->dir.chunks[i];
		bool live = idset_has(&c->reached.ids, &k->id);

		assert_int_equal(mark_has(c->scene->mark, k->type, &k->id),
				 live);
		if (live)
			assert_true(idset_add(&c->held, &k->id) >= 0);
		chunks += packs_chunk_bytes(&p->dir, k);
		c->live += live;
		c->dead += !live;
		*(live ? &c->live_bytes : &c->dead_bytes) +=
			bytes_of(&p->dir, k);
	}
	/* No chunk was written twice, so none of a frame is left over. */
	assert_int_equal(chunks, frames);
	return 0;
}

static bool near(double a, double b, uint64_t n)
{
	return a - b <= (double)n && b - a <= (double)n;
}

static int count_pack(void *arg, const struct mark_pack *p)
{
	struct comparison *c = arg;

	assert_true(p->listed && p->readable);
	assert_true(p->kind == OBJECT_DATA_PACK || p->kind == OBJECT_TREE_PACK);
	assert_true(p->live_bytes + p->dead_bytes < p->size);
	c->live -= p->live_chunks;
	c->dead -= p->chunks - p->live_chunks;
	c->live_bytes -= (double)p->live_bytes;
	c->dead_bytes -= (double)p->dead_bytes;
	c->npacks++;
	c->nwhole += p->live_chunks == p->chunks;
	c->ndead += p->live_chunks == 0;
	return 0;
}

static void compare(struct comparison *c)
{
	uint64_t chunks;

	assert_ok(packs_each(c->scene->vault, NULL, compare_chunks, c));
	chunks = c->live + c->dead;
	assert_ok(mark_packs(c->scene->mark, count_pack, c));
	assert_int_equal(c->live, 0);
	assert_int_equal(c->dead, 0);
	assert_true(near(c->live_bytes, 0, chunks));
	assert_true(near(c->dead_bytes, 0, chunks));
	assert_int_equal(mark_chunks(c->scene->mark), c->reached.ids.n);
	assert_int_equal(c->held.n, c->reached.ids.n);
	assert_int_equal(mark_unheld(c->scene->mark), 0);
}

static void comparison_end(struct comparison *c)
{
	idset_release(&c->reached.ids);
	idset_release(&c->held);
}

static void as_by_brute_force(void **state)
{
	struct comparison c = { .scene = NULL };
	struct scene s;

	(void)state;
	scene_begin(&s);
	c.scene = &s;
	c.reached.vault = s.vault;
	/* The second alone: what only the first has is dead. */
	assert_ok(mark_point(s.mark, s.second));
	reach_point(&c.reached, s.second);
	assert_true(c.reached.any_map);
	compare(&c);
	assert_true(c.nwhole < c.npacks);
	/* Both, the second again: nothing is. */
	mark_all(&s);
	reach_point(&c.reached, s.first);
	c.nwhole = c.npacks = c.ndead = 0;
	c.live_bytes = c.dead_bytes = 0;
	compare(&c);
	assert_int_equal(c.nwhole, c.npacks);
	comparison_end(&c);
	scene_end(&s);
}

/* Without a point everything is dead. */
static void of_no_point(void **state)
{
	struct comparison c = { .scene = NULL };
	struct scene s;

	(void)state;
	scene_begin(&s);
	c.scene = &s;
	c.reached.vault = s.vault;
	compare(&c);
	assert_int_equal(c.ndead, c.npacks);
	assert_true(c.npacks >= 4);
	comparison_end(&c);
	scene_end(&s);
}

/* ---- what cannot be read ---- */

static int any_pack(void *arg, const struct mark_pack *p)
{
	(void)p;
	++*(size_t *)arg;
	return 0;
}

/* Nothing is dead by a mark that has an error. */
static void expect_useless(struct scene *s, int err)
{
	struct id id = { { 1 } };
	size_t n = 0;

	assert_result(mark_point(s->mark, s->first), err);
	assert_result(mark_packs(s->mark, any_pack, &n), err);
	assert_int_equal(n, 0);
	assert_true(mark_has(s->mark, CHUNK_DATA, &id));
	assert_true(mark_has(s->mark, CHUNK_NODE, &id));
}

/* The object of the pack that holds a chunk. */
static void find_object(struct scene *s, const struct id *id,
			char out[OBJECT_NAME_MAX], struct chunk_loc *loc)
{
	struct pack_row row;

	assert_ok(vault_refresh(s->vault));
	assert_ok(catalog_find_chunk(vault_catalog(s->vault), id, 0, loc));
	assert_ok(catalog_get_pack(vault_catalog(s->vault), loc->pack, &row,
				   NULL));
	assert_ok(format_pack_object_name(row.name, out));
}

static void of_a_node_that_is_damaged(void **state)
{
	char object[OBJECT_NAME_MAX];
	struct chunk_loc loc;
	struct scene s;
	uint8_t *data;
	size_t len, i;

	(void)state;
	scene_begin(&s);
	find_object(&s, &s.second->root, object, &loc);
	data = backend_mem_data(s.backend, object, &len);
	assert_non_null(data);
	/* One byte of each frame of a small pack. */
	for (i = FORMAT_HEADER_LEN; i < len - FORMAT_TRAILER_LEN; i += 16)
		data[i] ^= 1;
	assert_ok(mark_point(s.mark, s.first));
	assert_result(mark_point(s.mark, s.second), -EBADMSG);
	expect_useless(&s, -EBADMSG);
	scene_end(&s);
}

static void of_a_node_that_is_gone(void **state)
{
	char object[OBJECT_NAME_MAX];
	struct chunk_loc loc;
	struct scene s;

	(void)state;
	scene_begin(&s);
	find_object(&s, &s.second->root, object, &loc);
	assert_ok(backend_mem_remove(s.backend, object));
	assert_result(mark_point(s.mark, s.second), -EBADMSG);
	expect_useless(&s, -EBADMSG);
	scene_end(&s);
}

static void of_a_store_that_is_away(void **state)
{
	struct scene s;
	size_t n = 0;

	(void)state;
	scene_begin(&s);
	backend_mem_fail(s.backend, BACKEND_MEM_GET, "pack/", 1, -EHOSTUNREACH,
			 BACKEND_MEM_STICKY);
	assert_result(mark_point(s.mark, s.first), -EHOSTUNREACH);
	backend_mem_heal(s.backend);
	expect_useless(&s, -EHOSTUNREACH);
	scene_close(&s);
	/* It goes away while packs are listed. */
	scene_open(&s);
	mark_all(&s);
	backend_mem_fail(s.backend, BACKEND_MEM_LIST, "pack/", 1, -EHOSTUNREACH,
			 BACKEND_MEM_STICKY);
	assert_result(mark_packs(s.mark, any_pack, &n), -EHOSTUNREACH);
	assert_int_equal(n, 0);
	scene_end(&s);
}

static void that_is_stopped(void **state)
{
	const volatile bool stop = true;
	struct task task = { .stop = &stop };
	struct scene s;

	(void)state;
	scene_begin(&s);
	mark_set_task(s.mark, &task);
	assert_result(mark_point(s.mark, s.first), -EINTR);
	expect_useless(&s, -EINTR);
	scene_end(&s);
}

/* ---- packs ---- */

struct pack_sums {
	size_t n, listed, readable, dead;
	uint64_t live_chunks;
};

static int sum_pack(void *arg, const struct mark_pack *p)
{
	struct pack_sums *sums = arg;

	sums->n++;
	sums->listed += p->listed;
	sums->readable += p->readable;
	sums->dead += p->readable && p->live_chunks == 0;
	sums->live_chunks += p->live_chunks;
	return 0;
}

static void remove_all(struct backend *b, const char *prefix)
{
	size_t i = 0;

	while (i < backend_mem_nobjects(b)) {
		const char *name = backend_mem_name(b, i);

		if (strncmp(name, prefix, strlen(prefix)) != 0)
			i++;
		else
			assert_ok(backend_mem_remove(b, name));
	}
}

/* Packs that no index object names say themselves what is in them. */
static void without_an_index(void **state)
{
	struct pack_sums with = { .n = 0 }, without = { .n = 0 };
	struct scene s;

	(void)state;
	scene_begin(&s);
	mark_all(&s);
	assert_ok(mark_packs(s.mark, sum_pack, &with));
	scene_close(&s);
	remove_all(s.backend, "index/");
	scene_open(&s);
	assert_ok(mark_packs(s.mark, sum_pack, &without));
	assert_int_equal(without.n, with.n);
	assert_int_equal(without.readable, with.n);
	assert_int_equal(without.dead, with.n);
	mark_all(&s);
	memset(&without, 0, sizeof(without));
	assert_ok(mark_packs(s.mark, sum_pack, &without));
	assert_memory_equal(&without, &with, sizeof(with));
	assert_int_equal(mark_unheld(s.mark), 0);
	scene_end(&s);
}

static struct id first_chunk;

static int keep_first(void *arg, uint8_t type, const struct id *id,
		      uint64_t len)
{
	(void)arg;
	(void)len;
	if (type != CHUNK_DISK)
		return 0;
	first_chunk = *id;
	return -ECANCELED;
}

/* The pack of a disk's chunk is gone, cut, or cannot be understood. */
static void a_pack_that_is_missing(void **state)
{
	struct pack_sums sums = { .n = 0 };
	struct content_ref content;
	char object[OBJECT_NAME_MAX];
	struct chunk_loc loc;
	struct scene s;
	size_t n, len;

	(void)state;
	scene_begin(&s);
	content = point_disk_content(&s.first->disks[0]);
	assert_result(content_chunks(s.vault, &content, keep_first, NULL),
		      -ECANCELED);
	find_object(&s, &first_chunk, object, &loc);
	mark_all(&s);
	assert_int_equal(mark_unheld(s.mark), mark_chunks(s.mark));
	assert_ok(mark_packs(s.mark, sum_pack, &sums));
	assert_int_equal(mark_unheld(s.mark), 0);
	n = sums.n;
	/* Of another length than the index says. */
	assert_non_null(backend_mem_data(s.backend, object, &len));
	assert_ok(backend_mem_resize(s.backend, object, len - 1));
	memset(&sums, 0, sizeof(sums));
	assert_ok(mark_packs(s.mark, sum_pack, &sums));
	assert_int_equal(sums.n, n);
	assert_int_equal(sums.listed, n);
	assert_int_equal(sums.readable, n - 1);
	assert_int_equal(sums.dead, 0);
	assert_true(mark_unheld(s.mark) > 0);
	/* Not there. */
	assert_ok(backend_mem_remove(s.backend, object));
	memset(&sums, 0, sizeof(sums));
	assert_ok(mark_packs(s.mark, sum_pack, &sums));
	assert_int_equal(sums.n, n);
	assert_int_equal(sums.listed, n - 1);
	assert_true(mark_unheld(s.mark) > 0);
	scene_end(&s);
}

/* Two clients that begin with the same nothing write the same chunks. */
static void a_chunk_in_two_packs(void **state)
{
	const char *dir = support_path("%s/twice", support_tmpdir_fast());
	struct pack_sums sums = { .n = 0 };
	struct vault_options o;
	struct backend *other;
	struct scene s = { .vault = NULL };
	char id[33];
	size_t i, n;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	support_write(support_path("%s/file", dir), "twice", 5);
	s.backend = backend_mem_new();
	assert_non_null(s.backend);
	o = vaults_options(NULL, s.backend, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	other = backend_mem_clone(s.backend);
	assert_non_null(other);
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	o.backend = other;
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	/* As if the two sessions had run side by side. */
	n = backend_mem_nobjects(other);
	for (i = 0; i < n; i++) {
		const char *name = backend_mem_name(other, i);
		size_t len;
		uint8_t *data = backend_mem_data(other, name, &len);

		assert_non_null(data);
		if (!backend_mem_data(s.backend, name, &len)) {
			data = backend_mem_data(other, name, &len);
			assert_ok(backend_put(s.backend, name, data, len));
		}
	}
	backend_close(other);
	scene_open(&s);
	assert_int_equal(s.points->n, 2);
	assert_ok(mark_point(s.mark, s.points->points[1]));
	assert_ok(mark_packs(s.mark, sum_pack, &sums));
	/* Each copy of the data is live, and it counts once. */
	assert_true(sums.live_chunks > mark_chunks(s.mark));
	assert_int_equal(mark_unheld(s.mark), 0);
	scene_end(&s);
}

/* ---- prints ---- */

static struct id id_of(uint64_t n)
{
	struct id id;

	support_fill(n, id.b, sizeof(id.b));
	return id;
}

static void prints_in_bounds(void **state)
{
	enum { N = 300000 };
	static struct prints p;
	uint64_t bytes, i, strangers = 0;
	uint32_t *word;
	struct id id;

	(void)state;
	assert_ok(prints_init(&p, seam_system(), true));
	id = id_of(1);
	assert_false(prints_has(&p, prints_of(&p, &id)));
	assert_false(prints_hold(&p, prints_of(&p, &id)));
	assert_int_equal(prints_word(&p, prints_of(&p, &id)), 0);
	for (i = 0; i < N; i++) {
		id = id_of(i);
		assert_int_equal(prints_add(&p, prints_of(&p, &id), &word), 1);
		assert_int_equal(*word, 0);
		*word = (uint32_t)(i + 1);
		bytes = prints_memory(&p) - sizeof(p);
		if (i > PRINTS_PARTS * 1000)
			assert_true(bytes <= 13 * 3 / 2 * (i + 1));
	}
	assert_int_equal(p.n, N);
	for (i = 0; i < N; i++) {
		id = id_of(i);
		assert_true(prints_has(&p, prints_of(&p, &id)));
		assert_int_equal(prints_word(&p, prints_of(&p, &id)), i + 1);
		assert_int_equal(prints_add(&p, prints_of(&p, &id), NULL), 0);
		assert_true(prints_hold(&p, prints_of(&p, &id)));
		id = id_of(N + i);
		strangers += prints_has(&p, prints_of(&p, &id));
	}
	assert_int_equal(strangers, 0);
	assert_int_equal(p.held, N);
	prints_let_go(&p);
	assert_int_equal(p.held, 0);
	id = id_of(0);
	assert_true(prints_hold(&p, prints_of(&p, &id)));
	assert_true(prints_hold(&p, prints_of(&p, &id)));
	assert_int_equal(p.held, 1);
	prints_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_by_brute_force),
		cmocka_unit_test(of_no_point),
		cmocka_unit_test(of_a_node_that_is_damaged),
		cmocka_unit_test(of_a_node_that_is_gone),
		cmocka_unit_test(of_a_store_that_is_away),
		cmocka_unit_test(that_is_stopped),
		cmocka_unit_test(without_an_index),
		cmocka_unit_test(a_pack_that_is_missing),
		cmocka_unit_test(a_chunk_in_two_packs),
		cmocka_unit_test(prints_in_bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
