/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file of exFAT is a set of slots: the file itself (attributes, times), its
 * stream (length, first cluster), its name in pieces of 15 units, and what
 * vendors add; with a checksum over all of them.
 */
#include "config.h"

#include "fs/guest/fat/exfat_internal.h"

#include <errno.h>
#include <string.h>

#include "fs/guest/calendar.h"
#include "store/base/bytes.h"

#define SECONDARY_MIN 2
#define SECONDARY_MAX 18
#define PIECE_UNITS 15

static uint16_t set_sum(uint16_t sum, const uint8_t *slot, bool first)
{
	unsigned int i;

	for (i = 0; i < SLOT_LEN; i++)
		/* The checksum itself is not of what is summed. */
		if (!first || (i != 2 && i != 3))
			sum = (uint16_t)(((uint32_t)sum << 15 | sum >> 1) +
					 slot[i]);
	return sum;
}

static void set_stream(struct exfat_set *set, const uint8_t *slot)
{
	set->contiguous = slot[1] & 2;
	set->name_len = slot[3];
	set->valid = get_le64(slot + 8);
	set->first = get_le32(slot + 20);
	set->size = get_le64(slot + 24);
}

static void set_piece(struct exfat_set *set, const uint8_t *slot,
		      unsigned int *units)
{
	unsigned int i;

	for (i = 0; i < PIECE_UNITS && *units < EXFAT_NAME_UNITS; i++)
		set->name[(*units)++] = get_le16(slot + 2 + 2 * i);
}

int exfat_set_read(struct slots *s, const uint8_t *file, struct exfat_set *out)
{
	unsigned int n = file[1], i, units = 0;
	const uint8_t *slot;
	uint16_t sum, want;
	uint64_t pos;
	int r;

	memset(out, 0, sizeof(*out));
	memcpy(out->file, file, SLOT_LEN);
	out->attrs = get_le16(file + 4);
	want = get_le16(file + 2);
	sum = set_sum(0, file, true);
	if (n < SECONDARY_MIN || n > SECONDARY_MAX)
		return -EBADMSG;
	for (i = 0; i < n; i++) {
		r = slots_next(s, &slot, &pos);
		if (r < 0)
			return r;
		if (r == 0)
			return -EBADMSG;
		/* Something else begins: this one is not whole. */
		if ((slot[0] & EXFAT_SECONDARY) != EXFAT_SECONDARY ||
		    (i == 0) != (slot[0] == EXFAT_STREAM)) {
			slots_unget(s);
			return -EBADMSG;
		}
		sum = set_sum(sum, slot, false);
		if (i == 0)
			set_stream(out, slot);
		else if (slot[0] == EXFAT_NAME)
			set_piece(out, slot, &units);
	}
	if (!out->name_len || out->name_len > units)
		return -EBADMSG;
	out->sum_ok = sum == want || exfat_trusts_checksums;
	return 0;
}

/* @hundredths: up to 199, on top of the even seconds; @zone: in quarters of an
 * hour, where its highest bit is set. */
static struct timestamp set_time(uint32_t stamp, unsigned int hundredths,
				 uint8_t zone)
{
	uint32_t date = stamp >> 16, time = stamp & 0xffff;
	struct timestamp t = { 0, 0 };
	int quarters = zone & 0x7f;

	t.sec = calendar_seconds(1980u + (date >> 9), date >> 5 & 15,
				 MAX(date & 31u, 1u), time >> 11,
				 time >> 5 & 63, (time & 31u) * 2);
	hundredths = MIN(hundredths, 199u);
	t.sec += hundredths / 100;
	t.nsec = hundredths % 100 * 10000000;
	if (quarters >= 64)
		quarters -= 128;
	if (zone & 0x80)
		t.sec -= quarters * 15 * 60;
	return t;
}

struct timestamp exfat_mtime(const struct exfat_set *set)
{
	return set_time(get_le32(set->file + 12), set->file[21], set->file[23]);
}

struct timestamp exfat_atime(const struct exfat_set *set)
{
	return set_time(get_le32(set->file + 16), 0, set->file[24]);
}
