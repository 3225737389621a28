/* SPDX-License-Identifier: GPL-3.0-or-later */
/* make_golden DIR: make the vault of tests/golden in DIR, a new directory. */
#include "config.h"

#include "tests/unit/golden.h"

#include <stdlib.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/seam.h"

static const char *dir;

static void make(void **state)
{
	struct backend *mem = backend_mem_new(), *b;
	size_t i, len;

	(void)state;
	assert_non_null(mem);
	golden_make(mem);
	assert_ok(backend_create(dir, WITH_SEAM(seam_system()), &b));
	for (i = 0; i < backend_mem_nobjects(mem); i++) {
		const char *name = backend_mem_name(mem, i);
		const uint8_t *data = backend_mem_data(mem, name, &len);

		assert_ok(backend_put(b, name, data, len));
	}
	backend_close(mem);
	backend_close(b);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(make) };

	if (argc != 2) {
		fprintf(stderr, "usage: make_golden DIR\n");
		return 2;
	}
	dir = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
