/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Arrays of Linux MD RAID. The input is superblocks, one a member, each behind
 * a byte that is odd for version 0.90 and a length of two bytes. What a fuzzer
 * would not meet is put right: magic, place and checksum.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/internal.h"
#include "store/base/bytes.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MEMBERS_MAX 12
#define MEMBER_LEN (192u << 10)
#define SUPER_LEN 4096u

static uint32_t sum_of(uint8_t *s, size_t len, size_t field)
{
	uint64_t sum = 0;
	size_t i;

	put_le32(s + field, 0);
	for (i = 0; i + 4 <= len; i += 4)
		sum += get_le32(s + i);
	if (len - i == 2)
		sum += get_le16(s + i);
	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

static void seal(uint8_t *s, bool old)
{
	put_le32(s, 0xa92b4efc);
	put_le32(s + 4, !old);
	if (old) {
		put_le32(s + 8, 90 + s[8] % 2);
		put_le32(s + 38 * 4, sum_of(s, SUPER_LEN, 38 * 4));
		return;
	}
	put_le64(s + 144, 8);
	put_le32(s + 220, get_le32(s + 220) % 1921);
	put_le32(s + 216, sum_of(s, 256 + 2 * get_le32(s + 220), 216));
}

static void add(struct md_set *s, const uint8_t *data, size_t len, bool old,
		size_t tag)
{
	uint8_t *member = calloc(1, MEMBER_LEN);
	uint8_t *super = member + (old ? MEMBER_LEN - 65536 : 4096);
	struct buf why = BUF_INIT;
	struct blocks *b = NULL;

	if (!member)
		return;
	if (len)
		memcpy(super, data, MIN(len, (size_t)SUPER_LEN));
	seal(super, old);
	if (blocks_memory(member, MEMBER_LEN, MEMBER_LEN, &b) == 0)
		(void)!md_add(s, b, tag, &why);
	blocks_put(b);
	buf_release(&why);
	free(member);
}

static int take(void *arg, const struct md_array *a)
{
	size_t *left = arg;
	uint8_t out[512];

	if (a->nparts == 0 || a->nparts > *left || a->named >= MEMBERS_MAX ||
	    !a->blocks != !!a->why[0])
		abort();
	*left -= a->nparts;
	if (!a->blocks)
		return 0;
	if (a->blocks->size > (uint64_t)MEMBERS_MAX * MEMBER_LEN)
		abort(); /* more than there is */
	if (a->blocks->size >= sizeof(out) &&
	    (blocks_read(a->blocks, 0, out, sizeof(out)) < 0 ||
	     blocks_read(a->blocks, a->blocks->size - sizeof(out), out,
			 sizeof(out)) < 0))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	size_t n, left = 0;
	struct md_set *s;

	fuzz_quiet();
	if (md_new(&s) < 0)
		return 0;
	while (len >= 3 && left < MEMBERS_MAX) {
		n = MIN((size_t)get_le16(data + 1), len - 3);
		add(s, data + 3, n, data[0] & 1, left++);
		data += 3 + n;
		len -= 3 + n;
	}
	(void)!md_each(s, take, &left);
	md_free(s);
	return 0;
}
