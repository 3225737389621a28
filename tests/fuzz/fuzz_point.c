/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Points. What the decoder takes the encoder must be able to write, and that
 * must read back as the same point; and so must what the local database keeps.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/point.h"
#include "store/point_internal.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool good)
{
	if (!good)
		abort();
}

static void try_time(const uint8_t *data, size_t len)
{
	char name[POINT_TIME_LEN];
	int64_t t, again;
	char text[32] = "";

	memcpy(text, data, MIN(len, sizeof(text) - 1));
	if (point_parse_time(text, &t) < 0)
		return;
	point_time_name(t, name);
	check(point_parse_time(name, &again) == 0 && t == again);
}

static void try_encode(const struct point *p, bool pretty)
{
	AUTO_BUF struct buf first = BUF_INIT;
	AUTO_BUF struct buf second = BUF_INIT;
	struct point *q;
	int r;

	r = point_encode(p, pretty, &first);
	/* Escapes may make a document of nearly 16 MiB longer. */
	if (r == -EMSGSIZE)
		return;
	check(r == 0);
	check(point_decode(first.data, first.len, "again", &q) == 0);
	check(point_encode(q, pretty, &second) == 0);
	check(first.len == second.len &&
	      memcmp(first.data, second.data, first.len) == 0);
	point_free(q);
}

static void try_copy(const struct point *p)
{
	AUTO_BUF struct buf first = BUF_INIT;
	AUTO_BUF struct buf second = BUF_INIT;
	struct point *q;

	check(point_copy(p, &q) == 0);
	check(strcmp(p->machine, q->machine) == 0);
	if (point_encode(p, false, &first) == 0) {
		check(point_encode(q, false, &second) == 0);
		check(first.len == second.len &&
		      memcmp(first.data, second.data, first.len) == 0);
	}
	point_free(q);
}

/* Bytes that nobody packed are refused, or make some point. */
static void try_unpack(const uint8_t *data, size_t len)
{
	struct reader r;
	struct point *p;

	reader_init(&r, data, len);
	if (point_unpack(&r, &p) == 0)
		point_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct point *p;

	fuzz_quiet();
	try_time(data, len);
	try_unpack(data, len);
	if (point_decode(data, len, "fuzz", &p) < 0)
		return 0;
	try_encode(p, false);
	try_encode(p, true);
	try_copy(p);
	point_free(p);
	return 0;
}
