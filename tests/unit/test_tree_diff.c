/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What differs between two trees, against brute force. */
#include "config.h"

#include "tests/unit/trees.h"

#include <stdlib.h>
#include <string.h>

#include "store/tree.h"

struct differ {
	const struct items *a, *b;
	size_t i, k; /* what was passed */
	size_t found;
	size_t stop_at;
};

static void differ_skip(struct differ *d)
{
	while (d->i < d->a->n && d->k < d->b->n &&
	       items_compare(&d->a->list[d->i], &d->b->list[d->k]) == 0 &&
	       d->a->list[d->i].value == d->b->list[d->k].value) {
		d->i++;
		d->k++;
	}
}

/* The next difference must be what the oracle says is the next. */
static int on_difference(void *arg, const uint8_t *key, size_t len,
			 const struct entry *a, const struct entry *b)
{
	struct differ *d = arg;
	const struct entry *e = a ? a : b;
	const struct item *want;
	int c;

	differ_skip(d);
	assert_true(d->i < d->a->n || d->k < d->b->n);
	c = d->i == d->a->n ? 1
	    : d->k == d->b->n
		    ? -1
		    : items_compare(&d->a->list[d->i], &d->b->list[d->k]);
	want = c <= 0 ? &d->a->list[d->i] : &d->b->list[d->k];
	assert_true((a != NULL) == (c <= 0));
	assert_true((b != NULL) == (c >= 0));
	assert_int_equal(tree_compare(key, len, e->name, e->name_len, want->key,
				      want->key_len, item_name(want),
				      want->name_len),
			 0);
	if (a)
		assert_int_equal(a->mtime.sec, d->a->list[d->i].value);
	if (b)
		assert_int_equal(b->mtime.sec, d->b->list[d->k].value);
	d->i += c <= 0;
	d->k += c >= 0;
	d->found++;
	return d->found == d->stop_at ? 77 : 0;
}

static size_t assert_diff(struct trees *s, const struct items *a,
			  const struct id *root_a, const struct items *b,
			  const struct id *root_b)
{
	struct differ d = { .a = a, .b = b };

	assert_ok(tree_diff(s->vault, root_a, root_b, on_difference, &d));
	differ_skip(&d);
	assert_int_equal(d.i, a->n);
	assert_int_equal(d.k, b->n);
	return d.found;
}

/* Some values, some entries less, some more. */
static void edit(struct items *s, size_t changes, size_t removals,
		 size_t additions)
{
	uint8_t name[256];

	for (; changes && s->n; changes--)
		s->list[trees_dice((uint32_t)s->n)].value += 1000000;
	for (; removals && s->n; removals--)
		items_remove(s, trees_dice((uint32_t)s->n));
	for (; additions; additions--) {
		size_t at = s->n ? trees_dice((uint32_t)s->n) : 0;
		static uint8_t key[TREE_KEY_MAX + 256];
		size_t len = s->n ? s->list[at].key_len : 0;

		if (len)
			memcpy(key, s->list[at].key, len);
		items_add(s, key, len, name, trees_random_name(name), 5);
	}
	items_sort(s);
}

static void differences_against_brute_force(void **state)
{
	static const struct {
		size_t n, changes, removals, additions;
	} t[] = {
		{ 0, 0, 0, 0 },		 { 0, 0, 0, 1 },
		{ 1, 0, 1, 0 },		 { 0, 0, 0, 3000 },
		{ 3000, 0, 3000, 0 },	 { 64, 1, 1, 1 },
		{ 5000, 1, 0, 0 },	 { 5000, 0, 1, 0 },
		{ 5000, 0, 0, 1 },	 { 5000, 30, 30, 30 },
		{ 5000, 900, 900, 900 }, { 20000, 5, 15000, 0 },
		{ 2000, 5, 5, 30000 },	 { 30000, 3, 3, 3 },
	};
	struct trees *s = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct items a = { 0 }, b;
		struct id root_a, root_b;

		if (t[i].n)
			items_random(&a, t[i].n, 100 + i);
		items_copy(&b, &a);
		edit(&b, t[i].changes, t[i].removals, t[i].additions);
		trees_build(s, &a, &root_a);
		trees_build(s, &b, &root_b);
		trees_reopen(s);
		assert_diff(s, &a, &root_a, &b, &root_b);
		assert_diff(s, &b, &root_b, &a, &root_a);
		assert_int_equal(assert_diff(s, &a, &root_a, &a, &root_a), 0);
		items_release(&a);
		items_release(&b);
	}
}

static void a_difference_can_stop(void **state)
{
	struct trees *s = *state;
	struct differ d = { .stop_at = 2 };
	struct items a, b;
	struct id root_a, root_b;

	items_random(&a, 3000, 8);
	items_copy(&b, &a);
	edit(&b, 50, 0, 0);
	trees_build(s, &a, &root_a);
	trees_build(s, &b, &root_b);
	trees_reopen(s);
	d.a = &a;
	d.b = &b;
	assert_int_equal(
		tree_diff(s->vault, &root_a, &root_b, on_difference, &d), 77);
	assert_int_equal(d.found, 2);
	items_release(&a);
	items_release(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(differences_against_brute_force,
						trees_setup, trees_teardown),
		cmocka_unit_test_setup_teardown(a_difference_can_stop,
						trees_setup, trees_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
