/* SPDX-License-Identifier: GPL-3.0-or-later */
/* check --read-data: a disk whose digest is not that of its bytes. */
#include "config.h"

#include "store/check/check.h"

#include <string.h>

#include "store/base/bytes.h"
#include "store/base/seam.h"
#include "store/base/task.h"
#include "store/crypt/crypt.h"
#include "store/vault.h"
#include "tests/unit/plant_disk.h"
#include "tests/unit/support.h"

#define SIZE (5 * PLANT_CELL + 4608)

static uint8_t image[SIZE];

/* The used cells, each behind its place and length. */
static void digest(struct point_disk *d)
{
	struct sha256 *h;
	uint8_t head[12];
	uint64_t off;
	uint32_t n;

	assert_int_equal(sha256_new(&h), 0);
	for (off = 0; off < SIZE; off += n) {
		n = (uint32_t)MIN(SIZE - off, (uint64_t)PLANT_CELL);
		if (off == 2 * PLANT_CELL)
			continue; /* zeros */
		put_le64(head, off);
		put_le32(head + 8, n);
		assert_int_equal(sha256_update(h, head, sizeof(head)), 0);
		assert_int_equal(sha256_update(h, image + off, n), 0);
	}
	assert_int_equal(sha256_finish(h, d->sha256), 0);
	sha256_free(h);
	d->has_sha256 = true;
}

/* Two disks of the same bytes; the digest of vdb is changed by @flip. */
static void run(uint8_t flip, bool read_data, struct plant *p,
		struct check_result *out)
{
	struct check_options o = { .read_data = read_data };
	struct task task = { .stop = NULL };

	support_log_capture();
	plant_init(p, 4 << 20);
	support_fill(4, image, sizeof(image));
	memset(image + 2 * PLANT_CELL, 0, PLANT_CELL);
	plant_begin(p);
	plant_image(p, "vda", image, SIZE);
	plant_image(p, "vdb", image, SIZE);
	digest(&p->point->disks[0]);
	digest(&p->point->disks[1]);
	p->point->disks[1].sha256[31] ^= flip;
	plant_commit(p, "web1", "2026-11-22T101500Z", NULL);
	assert_int_equal(check_run(p->vault, &o, &task, out), 0);
}

static void test_right(void **state)
{
	struct check_result found;
	struct plant p;

	(void)state;
	run(0, true, &p, &found);
	assert_int_equal(found.damages, 0);
	check_release(&found);
	plant_release(&p);
}

static void test_wrong(void **state)
{
	struct check_result found;
	const struct check_finding *f = NULL;
	struct plant p;
	size_t i;

	(void)state;
	run(1, true, &p, &found);
	assert_int_equal(found.damages, 1);
	for (i = 0; i < found.nfindings; i++)
		if (found.findings[i]->damage)
			f = found.findings[i];
	assert_non_null(f);
	assert_non_null(strstr(f->text, "disk vdb"));
	assert_int_equal(f->nplaces, 1);
	assert_string_equal(f->places[0].path, "disks/vdb.raw");
	check_release(&found);
	plant_release(&p);
}

static void test_structure_alone(void **state)
{
	struct check_result found;
	struct plant p;

	(void)state;
	run(1, false, &p, &found);
	assert_int_equal(found.damages, 0);
	check_release(&found);
	plant_release(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_right),
		cmocka_unit_test(test_wrong),
		cmocka_unit_test(test_structure_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
