/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <stdlib.h>
#include <string.h>

#include "store/base/idset.h"

static struct id id_of(uint64_t n)
{
	struct id id;

	support_fill(n, id.b, sizeof(id.b));
	return id;
}

static void empty(void **state)
{
	struct idset s = { 0 };
	struct id a = id_of(1);

	(void)state;
	assert_false(idset_has(&s, &a));
	idset_remove(&s, &a);
	assert_int_equal(idset_add(&s, &a), 1);
	assert_int_equal(idset_add(&s, &a), 0);
	assert_true(idset_has(&s, &a));
	idset_remove(&s, &a);
	assert_false(idset_has(&s, &a));
	assert_int_equal(s.n, 0);
	idset_release(&s);
	idset_release(&s);
}

/* Ids that all want the same place, or ones next to it. */
static struct id crowded(unsigned int n)
{
	struct id id = id_of(n);

	memset(id.b, 0, 8);
	id.b[0] = (uint8_t)(250 + n % 8);
	return id;
}

static void against_an_array(struct id (*make)(unsigned int n),
			     unsigned int ids, unsigned int steps)
{
	bool *in = calloc(ids, sizeof(*in));
	struct idset s = { 0 };
	unsigned int i, k;
	uint64_t rng = 1;
	size_t n = 0;

	assert_non_null(in);
	for (i = 0; i < steps; i++) {
		struct id id;

		rng = rng * UINT64_C(6364136223846793005) + 1;
		k = (unsigned int)(rng >> 33) % ids;
		id = make(k);
		if (rng >> 62 < 2) {
			assert_int_equal(idset_add(&s, &id), !in[k]);
			n += !in[k];
			in[k] = true;
		} else if (rng >> 62 == 2) {
			idset_remove(&s, &id);
			n -= in[k];
			in[k] = false;
		}
		assert_true(idset_has(&s, &id) == in[k]);
		assert_int_equal(s.n, n);
	}
	for (k = 0; k < ids; k++) {
		struct id id = make(k);

		assert_true(idset_has(&s, &id) == in[k]);
	}
	idset_release(&s);
	free(in);
}

static struct id spread(unsigned int n)
{
	return id_of(n);
}

static void random_ids(void **state)
{
	(void)state;
	against_an_array(spread, 50000, 300000);
}

static void crowded_ids(void **state)
{
	(void)state;
	against_an_array(crowded, 400, 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty),
		cmocka_unit_test(random_ids),
		cmocka_unit_test(crowded_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
