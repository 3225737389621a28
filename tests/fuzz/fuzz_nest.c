/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All volumes of a machine of one or two disks that are the same image
 * (image.h), or its two halves: tables, groups and arrays in one another. The
 * checksums of LVM's labels and metadata areas are put right, wherever they
 * stand, because a fuzzer would not meet them.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fs/guest/crc32.h"
#include "fs/guest/volumes/discover.h"
#include "store/base/bytes.h"
#include "tests/fuzz/image.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define IMAGE_MAX ((size_t)8 << 20)
#define CRC_INIT 0xf597a6cfu
#define SECTOR 512u

/* A metadata area at @at, whose text lies behind its header in one piece. */
static void seal_area(uint8_t *image, size_t size, size_t at)
{
	uint8_t *h = image + at;
	uint64_t off = get_le64(h + 40), len = get_le64(h + 48);

	if (off <= size - at && len <= size - at - off)
		put_le32(h + 56, crc32_raw(CRC_INIT, h + off, (size_t)len));
	put_le32(h, crc32_raw(CRC_INIT, h + 4, SECTOR - 4));
}

static void seal(uint8_t *image, size_t size)
{
	size_t at;

	for (at = 0; at + SECTOR <= size; at += SECTOR) {
		uint8_t *s = image + at;

		if (memcmp(s, "LABELONE", 8) == 0)
			put_le32(s + 16,
				 crc32_raw(CRC_INIT, s + 20, SECTOR - 20));
		else if (memcmp(s + 4, " LVM2 x[5A%r0N*>", 16) == 0)
			seal_area(image, size, at);
	}
}

/* The image, with its checksums put right. NULL: none. */
static uint8_t *load(const uint8_t *data, size_t len, size_t *size_out)
{
	uint8_t *image = NULL;
	struct blocks *b;

	if (fuzz_image(data, len, &b) < 0)
		return NULL;
	*size_out = (size_t)MIN(b->size, (uint64_t)IMAGE_MAX);
	image = malloc(*size_out + 1);
	if (image && blocks_read(b, 0, image, *size_out) < 0)
		abort();
	blocks_put(b);
	if (image)
		seal(image, *size_out);
	return image;
}

static void check(const struct volume_set *set)
{
	uint8_t out[SECTOR];
	size_t i, j;

	if (set->n > VOLUMES_MAX)
		abort();
	for (i = 0; i < set->n; i++) {
		const struct volume *v = &set->volumes[i];

		if (!v->name[0] || (!v->type[0] && !v->reason))
			abort();
		if (v->blocks->size >= sizeof(out))
			(void)!blocks_read(v->blocks,
					   v->blocks->size - sizeof(out), out,
					   sizeof(out));
		for (j = 0; j < i; j++)
			if (strcmp(set->volumes[j].name, v->name) == 0)
				abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct discover_disk d[2] = { { .name = "vda" }, { .name = "vdb" } };
	struct volume_set *set = NULL;
	uint8_t *image;
	size_t size, half;

	fuzz_quiet();
	image = load(data, len, &size);
	if (!image)
		return 0;
	half = size / 2 / SECTOR * SECTOR;
	if (blocks_memory(image, size, size, &d[0].blocks) == 0 &&
	    blocks_memory(image + half, size - half, size - half,
			  &d[1].blocks) == 0 &&
	    discover_volumes(d, 1 + len % 2, NULL, &set) == 0)
		check(set);
	volume_set_free(set);
	blocks_put(d[0].blocks);
	blocks_put(d[1].blocks);
	free(image);
	return 0;
}
