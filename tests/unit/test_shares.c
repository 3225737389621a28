/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who holds what, against a count that asks of each chunk each point. Seven points
 * of three machines share files in several ways, and some have tags. Each has
 * attributes that are a chunk.
 */
#include "config.h"

#include "tests/unit/plant.h"
#include "tests/unit/reach.h"

#include <sys/stat.h>

#include "store/entry.h"
#include "store/format.h"
#include "store/mark/packs.h"
#include "store/mark/shares.h"
#include "store/vault.h"
#include "store/writer/writer.h"

#define POINTS 7

/* The machine, files and tags of each: bits. */
static const struct made {
	const char *vm;
	unsigned int files, tags;
} made[POINTS] = {
	{ "a", 0x003f, 1 }, { "a", 0x007f, 0 }, { "a", 0x00f0, 3 },
	{ "b", 0x0f80, 2 }, { "b", 0x0f80, 2 }, { "b", 0x1f00, 3 },
	{ "c", 0xe001, 0 },
};

struct scene {
	struct plant plant;
	struct point_list *points;
	struct reached reached[POINTS]; /* by each point */
};

/* A file whose attributes are too long for its entry, other ones for each machine. */
static void put_xattrs(struct plant *p, const char *vm)
{
	AUTO_BUF struct buf list = BUF_INIT;
	struct entry e = plant_entry(p, "x", S_IFREG | 0644);
	char value[3000];

	memset(value, vm[0], sizeof(value));
	buf_put_varint(&list, 1);
	xattrs_put(&list, "user.long", value, sizeof(value));
	assert_ok(buf_error(&list));
	assert_ok(writer_chunk(p->writer, CHUNK_XATTRS, list.data, list.len,
			       &e.xattrs_id));
	e.xattrs_len = (uint32_t)list.len;
	e.flags = ENTRY_XATTRS_CHUNK;
	plant_put(p, "", &e);
}

static void make_point(struct plant *p, size_t n)
{
	char name[16], text[64], time[POINT_TIME_LEN + 1];
	unsigned int i;

	plant_begin(p);
	for (i = 0; i < 16; i++) {
		if (!(made[n].files >> i & 1))
			continue;
		snprintf(name, sizeof(name), "%x", i);
		snprintf(text, sizeof(text), "%x and what follows it", i);
		plant_file(p, "", name, text);
	}
	put_xattrs(p, made[n].vm);
	snprintf(time, sizeof(time), "2026-11-22T10150%zuZ", n);
	plant_commit(p, made[n].vm, time, NULL);
}

static void scene_begin(struct scene *s)
{
	size_t i;

	support_log_capture();
	memset(s, 0, sizeof(*s));
	plant_init(&s->plant, 4 << 20);
	for (i = 0; i < POINTS; i++)
		make_point(&s->plant, i);
	assert_ok(vault_points(s->plant.vault, &s->points));
	assert_int_equal(s->points->n, POINTS);
	for (i = 0; i < POINTS; i++) {
		const struct point *p = s->points->points[i];

		/* They are sorted by machine, then time, as they were made. */
		assert_string_equal(p->vm, made[i].vm);
		s->reached[i].vault = s->plant.vault;
		reach_point(&s->reached[i], p);
		assert_true(s->reached[i].any_xattrs);
	}
}

static void scene_end(struct scene *s)
{
	size_t i;

	for (i = 0; i < POINTS; i++)
		idset_release(&s->reached[i].ids);
	point_list_put(s->points);
	plant_release(&s->plant);
}

/* ---- what it should be, and what it is ---- */

#define GROUPS 8

struct sums {
	uint64_t only[GROUPS], held[GROUPS]; /* bytes */
	uint64_t packs[GROUPS], pack_bytes[GROUPS]; /* with it alone */
	uint64_t dead, chunks;
};

struct count {
	struct scene *scene;
	const uint64_t *groups; /* of each point */
	struct sums sums;
};

static bool holds(const struct scene *s, size_t point, const struct id *id)
{
	return idset_has(&s->reached[point].ids, id);
}

/* Ask each point whether it has the chunk, and whether it is of the group. */
static int count_by_force(void *arg, const struct pack_found *p)
{
	struct count *c = arg;
	bool goes[GROUPS], any[GROUPS] = { false };
	size_t i, g, n;

	assert_true(p->listed && p->readable);
	memset(goes, true, sizeof(goes));
	for (i = 0; i < p->dir.nchunks; i++) {
		const struct chunk_ref *k = &p->dir.chunks[i];
		uint64_t bytes = packs_chunk_bytes(&p->dir, k), dead = bytes;

		c->sums.chunks++;
		for (g = 0; g < GROUPS; g++) {
			bool in = false, out = false;

			for (n = 0; n < POINTS; n++) {
				if (!holds(c->scene, n, &k->id))
					continue;
				dead = 0;
				in |= c->groups[n] >> g & 1;
				out |= !(c->groups[n] >> g & 1);
			}
			c->sums.only[g] += in && !out ? bytes : 0;
			c->sums.held[g] += in ? bytes : 0;
			goes[g] &= !out;
			any[g] |= in;
		}
		c->sums.dead += dead;
	}
	for (g = 0; g < GROUPS; g++) {
		c->sums.packs[g] += goes[g] && any[g];
		c->sums.pack_bytes[g] += goes[g] && any[g] ? p->size : 0;
	}
	return 0;
}

static void add_sum(void *arg, const struct shares_sum *sum)
{
	struct sums *s = arg;
	size_t g;

	s->chunks += sum->chunks;
	s->dead += sum->all ? 0 : sum->bytes;
	for (g = 0; g < GROUPS; g++) {
		s->only[g] += sum->each >> g & 1 ? sum->bytes : 0;
		s->held[g] += sum->all >> g & 1 ? sum->bytes : 0;
	}
}

static int add_pack(void *arg, const struct shares_pack *p)
{
	struct sums *s = arg;
	size_t g;

	for (g = 0; g < GROUPS; g++) {
		s->packs[g] += p->each >> g & 1;
		s->pack_bytes[g] += p->each >> g & 1 ? p->size : 0;
	}
	return 0;
}

/* The points in this order, each of these groups. */
static void compare(struct scene *s, const uint64_t *groups, bool backwards)
{
	struct count force = { s, groups, { .chunks = 0 } };
	struct sums sums = { .chunks = 0 };
	struct shares *shares;
	uint64_t unread = 1;
	size_t i, k;

	assert_ok(packs_each(s->plant.vault, NULL, count_by_force, &force));
	assert_ok(shares_new(s->plant.vault, 0, &shares));
	for (i = 0; i < POINTS; i++) {
		k = backwards ? POINTS - 1 - i : i;
		assert_ok(
			shares_point(shares, s->points->points[k], groups[k]));
	}
	assert_ok(shares_packs(shares, add_pack, &sums, &unread));
	shares_each(shares, add_sum, &sums);
	shares_free(shares);
	assert_int_equal(unread, 0);
	assert_memory_equal(&sums, &force.sums, sizeof(sums));
}

static void by_machine_and_tag(void **state)
{
	uint64_t groups[POINTS];
	struct scene s;
	size_t i;

	(void)state;
	scene_begin(&s);
	for (i = 0; i < POINTS; i++)
		groups[i] = UINT64_C(1) << (made[i].vm[0] - 'a');
	compare(&s, groups, false);
	compare(&s, groups, true);
	for (i = 0; i < POINTS; i++)
		groups[i] = made[i].tags ? made[i].tags : 4;
	compare(&s, groups, false);
	compare(&s, groups, true);
	for (i = 0; i < POINTS; i++)
		groups[i] = UINT64_C(1) << i;
	compare(&s, groups, false);
	compare(&s, groups, true);
	scene_end(&s);
}

/* ---- many groups ---- */

struct many {
	uint64_t only[POINTS], packs[POINTS], shared;
};

static void add_many(void *arg, const struct shares_sum *sum)
{
	struct many *m = arg;

	if (sum->each & 1)
		m->only[sum->group] += sum->bytes;
	else
		m->shared += sum->bytes;
}

static int add_many_pack(void *arg, const struct shares_pack *p)
{
	struct many *m = arg;

	if (p->each & 1)
		m->packs[p->group]++;
	return 0;
}

static void by_point_of_many(void **state)
{
	struct count force = { .groups = NULL };
	uint64_t groups[POINTS], unread, only = 0, all = 0;
	struct many many = { .shared = 0 };
	struct shares *shares;
	struct scene s;
	size_t i;

	(void)state;
	scene_begin(&s);
	for (i = 0; i < POINTS; i++)
		groups[i] = UINT64_C(1) << i;
	force.scene = &s;
	force.groups = groups;
	assert_ok(packs_each(s.plant.vault, NULL, count_by_force, &force));
	assert_ok(shares_new(s.plant.vault, POINTS, &shares));
	for (i = 0; i < POINTS; i++)
		assert_ok(shares_point(shares, s.points->points[i], i));
	assert_ok(shares_packs(shares, add_many_pack, &many, &unread));
	shares_each(shares, add_many, &many);
	shares_free(shares);
	for (i = 0; i < POINTS; i++) {
		assert_int_equal(many.only[i], force.sums.only[i]);
		assert_int_equal(many.packs[i], force.sums.packs[i]);
		only += many.only[i];
		all += force.sums.packs[i];
	}
	assert_true(only > 0 && all > 0 && many.shared > 0);
	scene_end(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_machine_and_tag),
		cmocka_unit_test(by_point_of_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
