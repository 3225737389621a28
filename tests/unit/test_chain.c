/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What commits say of one another, judged: histories of many writers at once, made
 * by chance from a seed, have no flaw; those of two vaults that were joined, and
 * those that lack something, have just those that a plain search finds. */
#include "config.h"

#include "tests/unit/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/history/chain.h"

#define NODES 60
#define ROUNDS 500

struct world {
	size_t n;
	char sids[NODES][NAME_HEX + 1];
	uint8_t own[NODES][COMMIT_HASH_LEN];
	struct commit_ref refs[NODES][NODES];
	struct chain_node nodes[NODES];
	/* The commits that a session found when it began. */
	bool found[NODES][NODES];
	bool done[NODES];
	bool below[NODES][NODES]; /* what each follows */
};

static unsigned int seed;

static unsigned int chance(unsigned int n)
{
	seed = seed * 1103515245 + 12345;
	return (seed >> 16) % n;
}

static void name_node(struct world *w, size_t i)
{
	uint8_t raw[COMMIT_SID_LEN] = { (uint8_t)i, (uint8_t)chance(256) };

	hex_encode(raw, sizeof(raw), w->sids[i]);
	memset(w->own[i], (int)i + 1, sizeof(w->own[i]));
	w->nodes[i].sid = w->sids[i];
	w->nodes[i].own = w->own[i];
	w->nodes[i].refs = w->refs[i];
	w->nodes[i].is_told = true;
}

/* The session @i commits: it names the newest of what it found. */
static void commit(struct world *w, size_t i)
{
	size_t a, b;

	for (a = 0; a < w->n; a++) {
		bool newest = w->found[i][a];
		struct commit_ref *ref = &w->refs[i][w->nodes[i].nrefs];

		w->below[i][a] = w->found[i][a];
		for (b = 0; b < w->n && newest; b++)
			newest = !w->found[i][b] || !w->below[b][a];
		if (!newest)
			continue;
		assert_ok(hex_decode(w->sids[a], COMMIT_SID_LEN, ref->sid));
		memcpy(ref->hash, w->own[a], sizeof(ref->hash));
		ref->has_hash = 1;
		w->nodes[i].nrefs++;
	}
	w->done[i] = true;
}

/* Sessions begin and commit in any order, @writers at once; on two stores where
 * @apart says so, for the sessions from @from to @to. */
static void play(struct world *w, size_t writers, size_t from, size_t to)
{
	size_t open[NODES], nopen = 0, begun = 0, i, a;

	memset(w, 0, sizeof(*w));
	w->n = NODES;
	for (i = 0; i < NODES; i++)
		name_node(w, i);
	while (begun < NODES || nopen > 0) {
		if (begun < NODES && nopen < writers && chance(2)) {
			for (a = 0; a < begun; a++)
				w->found[begun][a] =
					w->done[a] &&
					(begun < from || begun >= to ||
					 a < from || a % 2 == begun % 2);
			open[nopen++] = begun++;
		} else if (nopen > 0) {
			i = chance((unsigned int)nopen);
			commit(w, open[i]);
			open[i] = open[--nopen];
		}
	}
}

/* Whether each of the two lacks what another one that it lacks follows. */
static bool lacks(const struct world *w, size_t x, size_t y)
{
	size_t a, b;

	for (a = 0; a < NODES; a++)
		for (b = 0; w->below[y][a] && b < NODES; b++)
			if (w->below[a][b] && !w->below[x][b])
				return true;
	return false;
}

static bool is_forked(const struct world *w)
{
	size_t x, y;

	for (x = 0; x < NODES; x++)
		for (y = 0; y < x; y++)
			if (lacks(w, x, y) && lacks(w, y, x))
				return true;
	return false;
}

static void judge(const struct world *w, struct chain *out)
{
	assert_ok(chain_judge(w->nodes, w->n, true, out));
}

static void honest_writers_have_no_flaw(void **state)
{
	static struct world w;
	unsigned int i;
	struct chain c;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		seed = i;
		play(&w, 1 + i % 12, 0, 0);
		assert_false(is_forked(&w));
		judge(&w, &c);
		assert_int_equal(c.nflaws, 0);
		assert_true(c.nheads > 0);
		chain_release(&c);
	}
}

static void what_was_joined_is_a_fork(void **state)
{
	static struct world w;
	size_t forked = 0, apart = 0;
	unsigned int i;
	struct chain c;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		size_t from = 10 + i % 20, to = from + i % 17;

		seed = i;
		play(&w, 1 + i % 5, from, to);
		judge(&w, &c);
		assert_int_equal(c.nflaws > 0, is_forked(&w));
		forked += c.nflaws > 0;
		apart += c.nflaws == 0;
		if (c.nflaws) {
			assert_int_equal(c.flaws[0].kind, CHAIN_FORKED);
			assert_true(c.flaws[0].at >= from);
			assert_true(c.flaws[0].by >= from &&
				    c.flaws[0].by < to);
		}
		chain_release(&c);
	}
	assert_true(forked > ROUNDS / 4);
	assert_true(apart > ROUNDS / 10);
}

/* Take node @gone away. */
static void take(struct world *w, size_t gone)
{
	memmove(&w->nodes[gone], &w->nodes[gone + 1],
		(w->n - gone - 1) * sizeof(w->nodes[0]));
	w->n--;
}

static void what_is_named_is_missed(void **state)
{
	static struct world w;
	struct chain c;
	char sid[NAME_HEX + 1];

	(void)state;
	seed = 5;
	play(&w, 4, 0, 0);
	memcpy(sid, w.sids[20], sizeof(sid));
	take(&w, 20);
	judge(&w, &c);
	assert_int_equal(c.nflaws, 1);
	assert_int_equal(c.flaws[0].kind, CHAIN_REMOVED);
	assert_string_equal(c.flaws[0].sid, sid);
	assert_int_equal(c.flaws[0].at, CHAIN_NOWHERE);
	assert_true(c.flaws[0].by >= 20);
	chain_release(&c);
}

static void what_was_put_in_its_place_is_seen(void **state)
{
	static struct world w;
	static const uint8_t other[COMMIT_HASH_LEN] = { 77 };
	struct chain c;

	(void)state;
	seed = 6;
	play(&w, 4, 0, 0);
	w.nodes[20].own = other;
	judge(&w, &c);
	assert_int_equal(c.nflaws, 1);
	assert_int_equal(c.flaws[0].kind, CHAIN_REPLACED);
	assert_int_equal(c.flaws[0].at, 20);
	chain_release(&c);
	/* What could not be read is neither. */
	w.nodes[20].own = NULL;
	w.nodes[20].nrefs = 0;
	w.nodes[20].is_told = false;
	judge(&w, &c);
	assert_int_equal(c.nflaws, 0);
	chain_release(&c);
}

/* Those that were made after one that is damaged now follow by way of it what nobody
 * can see any more: that is no fork, whichever it is. */
static void what_is_damaged_later_is_no_fork(void **state)
{
	static struct world w;
	struct chain c;
	unsigned int i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		size_t bad = i % NODES;

		seed = i;
		play(&w, 1 + i % 4, 0, 0);
		w.nodes[bad].own = NULL;
		w.nodes[bad].nrefs = 0;
		w.nodes[bad].is_told = false;
		judge(&w, &c);
		assert_int_equal(c.nflaws, 0);
		chain_release(&c);
	}
}

/* A session that could not read one names it, and what only that one names. */
static void what_cannot_be_read_is_no_flaw(void **state)
{
	static struct world w;
	struct chain c;
	size_t i, k, round;

	(void)state;
	for (round = 0; round < 200; round++) {
		size_t last = NODES - 1, bad, n = 0;

		seed = (unsigned int)round * 31 + 7;
		play(&w, 1, 0, 0);
		/* One writer: a chain. The last one cannot read the one before it,
		 * and so takes the one before that for a newest, too. */
		bad = last - 1;
		for (i = bad - 1; i <= bad; i++, n++) {
			struct commit_ref *ref = &w.refs[last][n];

			assert_ok(hex_decode(w.sids[i], COMMIT_SID_LEN,
					     ref->sid));
			memcpy(ref->hash, w.own[i], sizeof(ref->hash));
			ref->has_hash = i != bad;
		}
		w.nodes[last].nrefs = n;
		judge(&w, &c);
		assert_int_equal(c.nflaws, 0);
		assert_int_equal(c.nheads, 1);
		chain_release(&c);
		/* Nobody misses what nobody could read. */
		for (k = bad; k < last; k++)
			take(&w, bad);
		judge(&w, &c);
		assert_int_equal(c.nflaws, 0);
		chain_release(&c);
	}
}

/* Hashes make no circles; what cannot be read then has none. */
static void a_circle_ends(void **state)
{
	static struct world w;
	struct chain c;

	(void)state;
	play(&w, 1, 0, 0);
	w.nodes[0].nrefs = 1;
	assert_ok(hex_decode(w.sids[9], COMMIT_SID_LEN, w.refs[0][0].sid));
	judge(&w, &c);
	assert_int_equal(c.nflaws, 1);
	assert_int_equal(c.flaws[0].kind, CHAIN_FORKED);
	chain_release(&c);
	w.n = 0;
	judge(&w, &c);
	assert_int_equal(c.nheads, 0);
	chain_release(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(honest_writers_have_no_flaw),
		cmocka_unit_test(what_was_joined_is_a_fork),
		cmocka_unit_test(what_is_named_is_missed),
		cmocka_unit_test(what_was_put_in_its_place_is_seen),
		cmocka_unit_test(what_is_damaged_later_is_no_fork),
		cmocka_unit_test(what_cannot_be_read_is_no_flaw),
		cmocka_unit_test(a_circle_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
