/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A check beside others that write and collect, what it notes of packs in the
 * vault, and what it costs. */
#include "config.h"

#include "tests/unit/plant.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/collect/collect.h"
#include "store/format.h"
#include "store/record/digest.h"
#include "store/record/pack_list.h"
#include "store/record/quarantine.h"
#include "store/vault.h"
#include "store/writer/writer.h"

#define ID "0123456789abcdef0123456789abcdef"

static struct check_options quick,
	thorough = { .read_data = true, .by = "tester@host" };

/* A vault opened anew, as vmbackup check does it. */
static int check_again(struct plant *p, const struct check_options *o,
		       struct check_result *out)
{
	struct vault_options with = support_vault_options(p->backend, NULL);
	struct task task = { .stop = NULL };
	struct vault *v;
	int r;

	assert_ok(vault_open(&with, &v));
	r = check_run(v, o, &task, out);
	vault_close(v);
	return r;
}

/* How many damages it finds. */
static uint64_t damages(struct plant *p, const struct check_options *o)
{
	struct check_result found;
	uint64_t n;

	assert_ok(check_again(p, o, &found));
	n = found.damages;
	check_release(&found);
	return n;
}

static void begin(struct plant *p)
{
	support_log_capture();
	plant_init(p, 4 << 20);
}

/* A point with a file that holds @text. */
static void add_point(struct plant *p, const char *text)
{
	plant_begin(p);
	plant_file(p, "", "file", text);
	plant_commit(p, "web1", "2026-11-22T101500Z", NULL);
}

static bool is_pack(const char *name, uint8_t kind, struct backend *b)
{
	size_t len;

	return strncmp(name, "pack/", 5) == 0 &&
	       backend_mem_data(b, name, &len)[10] == kind;
}

/* The only pack of that kind. */
static void find_pack(struct plant *p, uint8_t kind, char out[OBJECT_NAME_MAX])
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(p->backend); i++) {
		const char *name = backend_mem_name(p->backend, i);

		if (is_pack(name, kind, p->backend) && ++n)
			snprintf(out, OBJECT_NAME_MAX, "%s", name);
	}
	assert_int_equal(n, 1);
}

static void flip(struct plant *p, const char *name, size_t at)
{
	size_t len;
	uint8_t *data = backend_mem_data(p->backend, name, &len);

	assert_non_null(data);
	assert_true(at < len);
	data[at] ^= 1;
}

static void put_box(struct plant *p, uint8_t type, const char *name,
		    const void *plain, size_t len)
{
	AUTO_BUF struct buf box = BUF_INIT;

	assert_ok(format_seal_box(vault_keyring(p->vault), NULL, NULL,
				  vault_seam(p->vault), type, name, NULL, 0,
				  plain, len, &box));
	assert_ok(backend_mem_set(p->backend, name, box.data, box.len));
}

/* A collection decided that this pack goes. */
static void sweep(struct plant *p, const char *object)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_list l = { .n = 0 };

	assert_ok(pack_list_add(&l, strrchr(object, '/') + 1));
	sweep_encode(&l, &plain);
	put_box(p, OBJECT_SWEEP, "sweep/" ID, plain.data, plain.len);
	pack_list_release(&l);
}

/* ---- beside others ---- */

/* What happens before the operation @op number @at. */
struct moment {
	struct plant *plant;
	enum backend_mem_op op;
	const char *prefix;
	unsigned int at, seen;
	bool inside;
	void (*happens)(struct moment *m);
	char packs[2][OBJECT_NAME_MAX];
	void *stash;
	size_t stash_len;
};

static int watch(void *arg, enum backend_mem_op op, const char *name)
{
	struct moment *m = arg;

	if (m->inside || op != m->op ||
	    strncmp(name, m->prefix, strlen(m->prefix)) != 0 ||
	    ++m->seen != m->at)
		return 0;
	m->inside = true;
	m->happens(m);
	m->inside = false;
	return 0;
}

static uint64_t damages_with(struct moment *m, const struct check_options *o)
{
	uint64_t n;

	m->seen = 0;
	backend_mem_watch(m->plant->backend, watch, m);
	n = damages(m->plant, o);
	backend_mem_watch(m->plant->backend, NULL, NULL);
	return n;
}

static void a_backup_ends(struct moment *m)
{
	char text[32];

	snprintf(text, sizeof(text), "moment %u", m->at);
	add_point(m->plant, text);
}

/* Whatever is listed before and after, nothing of it is accused. */
static void beside_a_backup(void **state)
{
	struct plant p;
	struct moment m = { .plant = &p,
			    .op = BACKEND_MEM_LIST,
			    .prefix = "",
			    .happens = a_backup_ends };
	struct backend_mem_counts counts;
	unsigned int n = 0;

	(void)state;
	begin(&p);
	add_point(&p, "first");
	for (m.at = 1; m.at == 1 || n == m.at - 1; m.at++) {
		backend_mem_reset_counts(p.backend);
		assert_int_equal(damages_with(&m, &thorough), 0);
		/* In the right order no pack has to be asked for. */
		backend_mem_get_counts(p.backend, "pack", &counts);
		assert_int_equal(counts.calls[BACKEND_MEM_HEAD], 0);
		n = m.seen;
		if (n >= m.at)
			n = m.at;
	}
	assert_true(m.at > 6);
	plant_release(&p);
}

static void a_pack_hides(struct moment *m)
{
	struct backend *b = m->plant->backend;
	uint8_t *data;

	find_pack(m->plant, OBJECT_DATA_PACK, m->packs[0]);
	data = backend_mem_data(b, m->packs[0], &m->stash_len);
	m->stash = malloc(m->stash_len);
	assert_non_null(m->stash);
	memcpy(m->stash, data, m->stash_len);
	assert_ok(backend_mem_remove(b, m->packs[0]));
}

static int watch_hiding(void *arg, enum backend_mem_op op, const char *name)
{
	struct moment *m = arg;

	if (op == BACKEND_MEM_LIST && name[0] == '\0' && !m->stash) {
		a_pack_hides(m);
	} else if (op != BACKEND_MEM_LIST && m->stash) {
		assert_ok(backend_mem_set(m->plant->backend, m->packs[0],
					  m->stash, m->stash_len));
		free(m->stash);
		m->stash = NULL;
		backend_mem_watch(m->plant->backend, NULL, NULL);
	}
	return 0;
}

/* A listing that lags behind: the pack is asked for itself. */
static void a_pack_that_was_not_listed(void **state)
{
	struct plant p;
	struct moment m = { .plant = &p };
	struct check_result found;

	(void)state;
	begin(&p);
	add_point(&p, "first");
	backend_mem_watch(p.backend, watch_hiding, &m);
	assert_ok(check_again(&p, &thorough, &found));
	assert_true(m.packs[0][0] && !m.stash);
	assert_int_equal(found.damages, 0);
	assert_int_equal(found.packs, 2);
	assert_int_equal(found.packs_read, 2);
	check_release(&found);
	plant_release(&p);
}

/* The pack of a session that made no point: no point needs it. */
static void make_waste(struct plant *p, char out[OBJECT_NAME_MAX])
{
	struct writer *w;
	struct id id;
	struct point *point = point_new();

	assert_ok(writer_begin(p->vault, 1, NULL, &w));
	assert_ok(writer_chunk(w, CHUNK_DATA, "waste", 5, &id));
	point->vm = strdup("web2");
	point->host = strdup("h");
	point->program = strdup("test");
	assert_ok(writer_commit(w, point));
	point_free(point);
	writer_free(w);
	find_pack(p, OBJECT_DATA_PACK, out);
}

static void the_waste_is_swept(struct moment *m)
{
	sweep(m->plant, m->packs[0]);
	assert_ok(backend_mem_remove(m->plant->backend, m->packs[0]));
}

static void the_waste_is_lost(struct moment *m)
{
	assert_ok(backend_mem_remove(m->plant->backend, m->packs[0]));
}

/* Before anything is listed, or when the pack is read. */
static void a_pack_that_is_swept(void **state)
{
	static void (*const happens[])(
		struct moment * m) = { the_waste_is_swept, the_waste_is_lost };
	unsigned int i, late;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct plant p;
		struct moment m = { .plant = &p,
				    .at = 1,
				    .happens = happens[i % 2] };

		late = i / 2;
		m.op = late ? BACKEND_MEM_GET : BACKEND_MEM_LIST;
		m.prefix = late ? "pack/" : "commit/";
		begin(&p);
		make_waste(&p, m.packs[0]);
		assert_int_equal(damages_with(&m, &thorough), i % 2);
		assert_true(m.seen >= 1);
		plant_release(&p);
	}
}

/* What a point needs is lost, whoever took it away. */
static void a_pack_that_is_swept_and_needed(void **state)
{
	struct check_result found;
	struct plant p;
	char pack[OBJECT_NAME_MAX];

	(void)state;
	begin(&p);
	add_point(&p, "first");
	find_pack(&p, OBJECT_DATA_PACK, pack);
	sweep(&p, pack);
	assert_ok(backend_mem_remove(p.backend, pack));
	assert_ok(check_again(&p, &quick, &found));
	assert_int_equal(found.damages, 1);
	assert_string_equal(found.findings[0]->object, pack);
	assert_int_equal(found.findings[0]->nplaces, 1);
	assert_string_equal(found.findings[0]->places[0].path, "files/file");
	check_release(&found);
	plant_release(&p);
}

static void the_point_is_purged(struct moment *m)
{
	static const char wish[] = "{\"by\":\"x\",\"time_ns\":1,"
				   "\"until_ns\":1}";
	static const char verdict[] = "{\"verdict\":\"PURGED\"}";
	struct point_list *l;
	char name[OBJECT_NAME_MAX];

	assert_ok(vault_points(m->plant->vault, &l));
	assert_int_equal(l->n, 1);
	snprintf(name, sizeof(name), "forget/%s-0", l->points[0]->id);
	put_box(m->plant, OBJECT_FORGET, name, wish, strlen(wish));
	snprintf(name, sizeof(name), "purge/%s-0", l->points[0]->id);
	put_box(m->plant, OBJECT_PURGE, name, verdict, strlen(verdict));
	snprintf(name, sizeof(name), "point/%s", l->points[0]->id);
	point_list_put(l);
	find_pack(m->plant, OBJECT_DATA_PACK, m->packs[0]);
	sweep(m->plant, m->packs[0]);
	assert_ok(backend_mem_remove(m->plant->backend, m->packs[0]));
	assert_ok(backend_mem_remove(m->plant->backend, name));
}

/* A point goes, and what only it needed, at each moment of the check. */
static void beside_a_collection(void **state)
{
	static const struct {
		enum backend_mem_op op;
		const char *prefix;
	} when[] = {
		{ BACKEND_MEM_LIST, "purge/" }, { BACKEND_MEM_GET, "point/" },
		{ BACKEND_MEM_LIST, "index/" }, { BACKEND_MEM_GET, "commit/" },
		{ BACKEND_MEM_GET, "pack/" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(when); i++) {
		struct plant p;
		struct moment m = { .plant = &p,
				    .op = when[i].op,
				    .prefix = when[i].prefix,
				    .at = 1,
				    .happens = the_point_is_purged };

		begin(&p);
		add_point(&p, "first");
		assert_int_equal(damages_with(&m, &thorough), 0);
		assert_true(m.seen >= 1);
		plant_release(&p);
	}
}

static int say_yes(void *arg, const struct collect_plan *plan)
{
	struct collect_options *o = arg;

	o->yes_remove = (int64_t)plan->nremoved;
	return 0;
}

/* The only point of web1 was forgotten long ago. */
static void forget_point(struct plant *p)
{
	static const char wish[] = "{\"time_ns\":1,\"until_ns\":2}";
	struct point_list *l;
	char name[OBJECT_NAME_MAX];
	size_t i;

	assert_ok(vault_points(p->vault, &l));
	for (i = 0; strcmp(l->points[i]->vm, "web1") != 0; i++)
		assert_true(i + 1 < l->n);
	snprintf(name, sizeof(name), "forget/%s-0", l->points[i]->id);
	point_list_put(l);
	put_box(p, OBJECT_FORGET, name, wish, strlen(wish));
	assert_ok(backend_mem_set_time(p->backend, name, 1));
}

static void the_index_is_rewritten(struct moment *m)
{
	struct vault_options with =
		support_vault_options(m->plant->backend, NULL);
	struct collect_options o = { .max_unused = 100, .by = "root@web2" };
	struct collect_result result;
	struct vault *v;

	o.on_plan = say_yes;
	o.arg = &o;
	assert_ok(vault_open(&with, &v));
	vault_show_forgotten(v);
	assert_ok(collect_run(v, &o, &result));
	/* The tree of the point that goes, and the waste. */
	assert_int_equal(result.packs, 2);
	assert_true(result.index_new == 1 && result.index_old > 1);
	vault_close(v);
}

/*
 * Before each listing and each reading of an index object: the objects that were
 * listed are replaced by one that was not, and packs go that nothing needs, but
 * which were stored with what a point needs.
 */
static void beside_one_that_rewrites_the_index(void **state)
{
	static const struct {
		enum backend_mem_op op;
		const char *prefix;
	} when[] = { { BACKEND_MEM_LIST, "" }, { BACKEND_MEM_GET, "index/" } };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(when); i++) {
		struct moment m = { .op = when[i].op,
				    .prefix = when[i].prefix,
				    .happens = the_index_is_rewritten };

		do {
			struct plant p;

			m.plant = &p;
			m.at++;
			begin(&p);
			make_waste(&p, m.packs[0]);
			add_point(&p, "shared");
			forget_point(&p);
			plant_begin(&p);
			plant_file(&p, "", "other", "shared");
			plant_commit(&p, "web3", "2026-11-23T101500Z", NULL);
			assert_int_equal(damages_with(&m, &quick), 0);
			plant_release(&p);
		} while (m.seen >= m.at);
		assert_true(m.at > 4);
	}
}

/* ---- quarantine ---- */

/* Whether the object of that number about a pack is there, and opens. */
static bool is_noted(struct plant *p, const char *pack, uint32_t n)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	uint8_t *data;
	size_t len;

	quarantine_name(strrchr(pack, '/') + 1, n, name);
	data = backend_mem_data(p->backend, name, &len);
	if (!data)
		return false;
	assert_ok(format_read_box(vault_keyring(p->vault), data, len,
				  OBJECT_QUARANTINE, name, &plain));
	assert_ok(quarantine_decode(plain.data, plain.len, name));
	return true;
}

static void expect(struct plant *p, const struct check_options *o,
		   uint64_t damaged, uint64_t quarantined, uint64_t released,
		   uint64_t in_quarantine)
{
	struct check_result found;

	assert_ok(check_again(p, o, &found));
	assert_int_equal(found.damages, damaged);
	assert_int_equal(found.quarantined, quarantined);
	assert_int_equal(found.released, released);
	assert_int_equal(found.in_quarantine, in_quarantine);
	assert_int_equal(found.quarantine_error, 0);
	check_release(&found);
}

static void in_and_out(void **state)
{
	char pack[OBJECT_NAME_MAX], name[OBJECT_NAME_MAX];
	struct plant p;

	(void)state;
	begin(&p);
	add_point(&p, "first");
	find_pack(&p, OBJECT_DATA_PACK, pack);
	expect(&p, &thorough, 0, 0, 0, 0);
	flip(&p, pack, 100);
	expect(&p, &quick, 0, 0, 0, 0);
	expect(&p, &thorough, 1, 1, 0, 1);
	assert_true(is_noted(&p, pack, 0));
	expect(&p, &thorough, 1, 0, 0, 1);
	/* What is in quarantine is read in any case. */
	expect(&p, &quick, 1, 0, 0, 1);
	flip(&p, pack, 100);
	expect(&p, &quick, 0, 0, 1, 0);
	assert_true(is_noted(&p, pack, 1));
	expect(&p, &thorough, 0, 0, 0, 0);
	flip(&p, pack, 100);
	expect(&p, &thorough, 1, 1, 0, 1);
	assert_true(is_noted(&p, pack, 2));
	flip(&p, pack, 100);
	expect(&p, &thorough, 0, 0, 1, 0);
	assert_true(is_noted(&p, pack, 3));
	/* What does not open lets nothing out; the next that does will. */
	quarantine_name(strrchr(pack, '/') + 1, 3, name);
	flip(&p, name, 130);
	expect(&p, &quick, 1, 0, 1, 0);
	assert_true(is_noted(&p, pack, 5));
	plant_release(&p);
}

/* The store's own word, or a pack read whole for what a tree lacked. */
static void without_reading_all(void **state)
{
	char pack[OBJECT_NAME_MAX];
	struct plant p;
	size_t len;

	(void)state;
	begin(&p);
	add_point(&p, "first");
	find_pack(&p, OBJECT_TREE_PACK, pack);
	flip(&p, pack, 100);
	expect(&p, &quick, 1, 1, 0, 1);
	flip(&p, pack, 100);
	find_pack(&p, OBJECT_DATA_PACK, pack);
	backend_mem_data(p.backend, pack, &len);
	assert_ok(backend_mem_resize(p.backend, pack, len - 1));
	expect(&p, &quick, 1, 1, 1, 1);
	assert_true(is_noted(&p, pack, 0));
	plant_release(&p);
}

/* That the store cannot be reached is said of no pack. */
static void a_store_that_is_away(void **state)
{
	static const int errors[] = { -EHOSTUNREACH, -EACCES };
	char pack[OBJECT_NAME_MAX];
	const char *prefixes[] = { pack, "pack/", "index/", "" };
	struct check_result found;
	struct plant p;
	size_t i, j, k;

	(void)state;
	begin(&p);
	add_point(&p, "first");
	find_pack(&p, OBJECT_DATA_PACK, pack);
	for (i = 0; i < ARRAY_SIZE(errors); i++) {
		for (j = 0; j < ARRAY_SIZE(prefixes); j++) {
			struct vault_options with =
				support_vault_options(p.backend, NULL);
			struct task task = { .stop = NULL };
			struct vault *v;

			assert_ok(vault_open(&with, &v));
			backend_mem_fail(p.backend, BACKEND_MEM_GET,
					 prefixes[j], 1, errors[i],
					 BACKEND_MEM_STICKY);
			assert_result(check_run(v, &thorough, &task, &found),
				      errors[i]);
			assert_int_equal(found.damages, 0);
			check_release(&found);
			backend_mem_heal(p.backend);
			vault_close(v);
		}
	}
	for (k = 0; k < backend_mem_nobjects(p.backend); k++)
		assert_int_not_equal(strncmp(backend_mem_name(p.backend, k),
					     "quarantine/", 11),
				     0);
	plant_release(&p);
}

static void no_right_to_write(void **state)
{
	struct check_result found;
	char pack[OBJECT_NAME_MAX];
	struct plant p;

	(void)state;
	begin(&p);
	add_point(&p, "first");
	find_pack(&p, OBJECT_DATA_PACK, pack);
	flip(&p, pack, 100);
	backend_mem_fail(p.backend, BACKEND_MEM_PUT, "", 1, -EROFS,
			 BACKEND_MEM_STICKY);
	assert_ok(check_again(&p, &thorough, &found));
	assert_int_equal(found.damages, 1);
	assert_int_equal(found.quarantined, 0);
	assert_int_equal(found.quarantine_error, -EROFS);
	check_release(&found);
	plant_release(&p);
}

/* ---- kinds of objects ---- */

/* A digest of one session, with this as its register. */
static void put_digest(struct plant *p, const char *name, const char *reg)
{
	const struct digest_entry e = { .sid = ID,
					.reg = (const uint8_t *)reg,
					.reg_len = strlen(reg) };
	AUTO_BUF struct buf plain = BUF_INIT;

	buf_put_varint(&plain, 1);
	digest_put(&plain, &e);
	buf_put_varint(&plain, 0);
	assert_ok(buf_error(&plain));
	put_box(p, OBJECT_DIGEST, name, plain.data, plain.len);
}

static void every_box_opens(void **state)
{
	static const struct {
		uint8_t type;
		const char *name, *text;
	} boxes[] = {
		{ OBJECT_HEARTBEAT, "heartbeat/" ID "-0", "{\"time_ns\":1}" },
		{ OBJECT_FORGET, "forget/" ID "-0", "{\"time_ns\":1}" },
		{ OBJECT_QUARANTINE,
		  "quarantine/" ID "-0-" ID "0123456789abcdef0123456789abcdef",
		  "{\"time_ns\":1}" },
		{ OBJECT_NOTE, "note/" ID "-0",
		  "{\"kind\":\"text\",\"text\":\"x\"}" },
		{ OBJECT_MACHINE, "machine/" ID "-0",
		  "{\"kind\":\"name\",\"text\":\"x\"}" },
	};
	struct plant p;
	size_t i;

	(void)state;
	begin(&p);
	for (i = 0; i < ARRAY_SIZE(boxes); i++) {
		put_box(&p, boxes[i].type, boxes[i].name, boxes[i].text,
			strlen(boxes[i].text));
		assert_int_equal(damages(&p, &quick), 0);
		flip(&p, boxes[i].name, 115);
		assert_int_equal(damages(&p, &quick), 1);
		flip(&p, boxes[i].name, 115);
		/* Authentic, and nonsense. */
		put_box(&p, boxes[i].type, boxes[i].name, "[]", 2);
		assert_int_equal(damages(&p, &quick), 1);
		put_box(&p, boxes[i].type, boxes[i].name, boxes[i].text,
			strlen(boxes[i].text));
	}
	assert_ok(backend_mem_set(p.backend, "feature/0", "x", 1));
	assert_ok(backend_mem_set(p.backend, "digest/" ID "-0", "x", 1));
	assert_int_equal(damages(&p, &quick), 2);
	/* A register in a digest that says nothing, and one that made no point. */
	put_digest(&p, "digest/" ID "-1", "[]");
	assert_int_equal(damages(&p, &quick), 3);
	put_digest(&p, "digest/" ID "-2",
		   "{\"decision\":\"FENCED\",\"session\":\"" ID "\"}");
	assert_int_equal(damages(&p, &quick), 4);
	plant_release(&p);
}

/* ---- cost ---- */

#define MANY 30000

static double cpu_seconds(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Very many findings: that each is looked for among all would take minutes. */
static void many_findings(void **state)
{
	struct check_result found;
	char name[OBJECT_NAME_MAX];
	struct plant p;
	double begun;
	unsigned int i;

	(void)state;
	begin(&p);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "session/%032x", i);
		assert_ok(backend_mem_set(p.backend, name, "x", 1));
	}
	begun = cpu_seconds();
	assert_ok(check_again(&p, &quick, &found));
	assert_int_equal(found.damages, MANY);
	assert_true(cpu_seconds() - begun < 10);
	check_release(&found);
	plant_release(&p);
}

/* What dead sessions left is counted, and told of once. */
static void many_unreferenced_packs(void **state)
{
	struct check_result found;
	char name[OBJECT_NAME_MAX];
	struct plant p;
	unsigned int i;

	(void)state;
	begin(&p);
	for (i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "pack/00/%032x-0-%064x", i, i);
		assert_ok(backend_mem_set(p.backend, name, "pack", 4));
	}
	assert_ok(check_again(&p, &quick, &found));
	assert_int_equal(found.unreferenced, 1000);
	assert_int_equal(found.unreferenced_bytes, 4000);
	assert_int_equal(found.nfindings, 0);
	check_release(&found);
	plant_release(&p);
}

#define POINTS 100
#define FILES 3000

static uint64_t nodes_loaded(struct vault *v)
{
	struct vault_stats s;

	vault_get_stats(v, &s);
	return s.nodes_decoded + s.node_hits;
}

/* Points that share their trees, of which one file is lost: nodes that all of
 * them have are not walked for each of them. */
static void many_points_that_share(void **state)
{
	struct vault_options with;
	struct check_result found;
	struct task task = { .stop = NULL };
	struct plant p;
	char name[32], pack[OBJECT_NAME_MAX];
	struct vault *v;
	unsigned int i, j;
	uint64_t loads;

	(void)state;
	begin(&p);
	for (i = 0; i < POINTS; i++) {
		plant_begin(&p);
		for (j = 0; j < FILES; j++) {
			snprintf(name, sizeof(name), "file-%05u", j);
			plant_file(&p, "", name, j == 7 ? "lost" : "");
		}
		snprintf(name, sizeof(name), "2026-11-22T10%02u%02uZ", i / 60,
			 i % 60);
		plant_commit(&p, "web1", name, NULL);
	}
	find_pack(&p, OBJECT_DATA_PACK, pack);
	assert_ok(backend_mem_remove(p.backend, pack));
	with = support_vault_options(p.backend, NULL);
	assert_ok(vault_open(&with, &v));
	assert_ok(check_run(v, &quick, &task, &found));
	loads = nodes_loaded(v);
	assert_int_equal(found.points, POINTS);
	assert_int_equal(found.damages, 1);
	assert_int_equal(found.findings[0]->nplaces, CHECK_PLACES);
	assert_true(found.places_cut);
	assert_true(found.nodes > 5);
	/* The first walk loads the root for each point; the second the two
	 * nodes that lead to the file twenty times, and others once. */
	assert_in_range(loads, found.nodes,
			POINTS + 4 * found.nodes + 2 * CHECK_PLACES);
	check_release(&found);
	vault_close(v);
	plant_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(beside_a_backup),
		cmocka_unit_test(a_pack_that_was_not_listed),
		cmocka_unit_test(a_pack_that_is_swept),
		cmocka_unit_test(a_pack_that_is_swept_and_needed),
		cmocka_unit_test(beside_a_collection),
		cmocka_unit_test(beside_one_that_rewrites_the_index),
		cmocka_unit_test(in_and_out),
		cmocka_unit_test(without_reading_all),
		cmocka_unit_test(a_store_that_is_away),
		cmocka_unit_test(no_right_to_write),
		cmocka_unit_test(every_box_opens),
		cmocka_unit_test(many_findings),
		cmocka_unit_test(many_unreferenced_packs),
		cmocka_unit_test(many_points_that_share),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
