/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Superblocks of Linux MD RAID: version 1, which lies at the begin of a member,
 * 4 KiB behind it or near its end, and the older 0.90, at the end. The formats
 * are those of include/uapi/linux/raid/md_p.h. Nothing of a superblock is
 * believed whose checksum is wrong.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/md_internal.h"
#include "store/base/array.h"
#include "store/base/bytes.h"

#define MAGIC 0xa92b4efcu
#define SECTOR 512u
#define SUPER_LEN 4096u
#define SUPER_1_HEAD 256u /* the roles are behind it */
#define SUPER_0_RESERVED 65536u /* at the end of a member */
#define SUPER_0_DISKS 27u

enum features {
	FEATURE_RECOVERY_OFFSET = 1 << 1,
	FEATURE_RESHAPE = 1 << 2,
	FEATURE_REPLACEMENT = 1 << 4,
};

/* What a member of 0.90 is, in its descriptor. */
enum disk_states {
	DISK_FAULTY = 1 << 0,
	DISK_ACTIVE = 1 << 1,
	DISK_SYNC = 1 << 2
};

/* ---- version 1 ---- */

/* The sum over the superblock, with the field of the sum itself taken as 0. */
static uint32_t sum_words(const uint8_t *s, size_t len, size_t field)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i + 4 <= len; i += 4)
		if (i != field)
			sum += get_le32(s + i);
	if (len - i == 2)
		sum += get_le16(s + i);
	return (uint32_t)sum + (uint32_t)(sum >> 32);
}

/* Return 0, -EBADMSG (damaged) or -ENOMEM. */
static int decode_1(const uint8_t *s, uint64_t size, struct md_member *out)
{
	uint32_t features = get_le32(s + 8), n = get_le32(s + 220), i;

	if (n > MD_DEVICES_MAX ||
	    sum_words(s, SUPER_1_HEAD + 2 * n, 216) != get_le32(s + 216))
		return -EBADMSG;
	memcpy(out->uuid, s + 16, sizeof(out->uuid));
	out->level = (int32_t)get_le32(s + 72);
	out->layout = get_le32(s + 76);
	out->size = get_le64(s + 80);
	out->chunk = get_le32(s + 88);
	out->raid_disks = get_le32(s + 92);
	out->data_off = get_le64(s + 128);
	out->data_len = get_le64(s + 136);
	out->number = get_le32(s + 160);
	out->events = get_le64(s + 200);
	out->reshaping = features & FEATURE_RESHAPE;
	out->recovering = features & FEATURE_RECOVERY_OFFSET;
	out->replacement = features & FEATURE_REPLACEMENT;
	if (out->data_off > size / SECTOR ||
	    out->data_len > size / SECTOR - out->data_off)
		return -EBADMSG;
	out->roles = alloc_array(n + 1, sizeof(*out->roles));
	if (!out->roles)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		out->roles[i] = get_le16(s + SUPER_1_HEAD + 2 * i);
	out->nroles = n;
	return 0;
}

/* Return 0, -ENOENT (there is none of this version), or an error. */
static int read_1(struct blocks *b, uint8_t *s, struct md_member *out)
{
	uint64_t sectors = b->size / SECTOR;
	uint64_t places[] = {
		0, 4096,
		sectors < 16 ? 0 : ((sectors - 16) & ~(uint64_t)7) * SECTOR
	};
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i] > b->size)
			continue;
		memset(s, 0, SUPER_LEN);
		r = blocks_read(b, places[i], s,
				(size_t)MIN((uint64_t)SUPER_LEN,
					    b->size - places[i]));
		if (r < 0)
			return r;
		if (get_le32(s) == MAGIC && get_le32(s + 4) == 1 &&
		    get_le64(s + 144) == places[i] / SECTOR)
			return decode_1(s, b->size, out);
	}
	return -ENOENT;
}

/* ---- version 0.90 ---- */

static uint16_t role_0(const uint8_t *disk, uint32_t raid_disks)
{
	uint32_t role = get_le32(disk + 12), state = get_le32(disk + 16);

	if (state & DISK_FAULTY)
		return MD_ROLE_FAULTY;
	if ((state & (DISK_ACTIVE | DISK_SYNC)) != (DISK_ACTIVE | DISK_SYNC) ||
	    role >= raid_disks)
		return MD_ROLE_SPARE;
	return (uint16_t)role;
}

static int decode_0(const uint8_t *s, uint64_t place, struct md_member *out)
{
	uint32_t i;

	if (sum_words(s, SUPER_LEN, 38 * 4) != get_le32(s + 38 * 4))
		return -EBADMSG;
	memcpy(out->uuid, s + 5 * 4, 4);
	memcpy(out->uuid + 4, s + 13 * 4, 12);
	out->level = (int32_t)get_le32(s + 7 * 4);
	out->size = (uint64_t)get_le32(s + 8 * 4) * 2;
	out->raid_disks = get_le32(s + 10 * 4);
	out->layout = get_le32(s + 64 * 4);
	out->chunk = get_le32(s + 65 * 4) / SECTOR;
	out->events = get_le64(s + 39 * 4);
	out->data_len = place / SECTOR;
	out->number = get_le32(s + 992 * 4);
	out->reshaping = get_le32(s + 2 * 4) > 90;
	out->roles = alloc_array(SUPER_0_DISKS, sizeof(*out->roles));
	if (!out->roles)
		return -ENOMEM;
	for (i = 0; i < SUPER_0_DISKS; i++)
		out->roles[i] = role_0(s + (128 + 32 * i) * 4, out->raid_disks);
	out->nroles = SUPER_0_DISKS;
	/* The member speaks for itself where its number says nothing. */
	if (out->number >= SUPER_0_DISKS)
		return -EBADMSG;
	return 0;
}

static int read_0(struct blocks *b, uint8_t *s, struct md_member *out)
{
	uint64_t place = b->size & ~(uint64_t)(SUPER_0_RESERVED - 1);
	int r;

	if (place < SUPER_0_RESERVED)
		return -ENOENT;
	place -= SUPER_0_RESERVED;
	r = blocks_read(b, place, s, SUPER_LEN);
	if (r < 0)
		return r;
	if (get_le32(s) != MAGIC || get_le32(s + 4) != 0 ||
	    get_le32(s + 8) < 90 || get_le32(s + 8) > 91)
		return -ENOENT;
	return decode_0(s, place, out);
}

/* ---- the set ---- */

static void member_release(struct md_member *m)
{
	blocks_put(m->b);
	free(m->roles);
}

int md_new(struct md_set **out)
{
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void md_free(struct md_set *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->n; i++)
		member_release(&s->members[i]);
	free(s->members);
	free(s);
}

static int read_super(struct blocks *b, struct md_member *out)
{
	uint8_t *s = malloc(SUPER_LEN);
	int r;

	memset(out, 0, sizeof(*out));
	if (!s)
		return -ENOMEM;
	r = read_1(b, s, out);
	if (r == -ENOENT)
		r = read_0(b, s, out);
	free(s);
	return r;
}

int md_add(struct md_set *s, struct blocks *b, size_t tag, struct buf *why)
{
	struct md_member m;
	int r = read_super(b, &m);

	if (r == 0 && array_reserve(&s->members, &s->cap, s->n + 1) < 0)
		r = -ENOMEM;
	if (r == 0) {
		m.b = blocks_get(b);
		m.tag = tag;
		s->members[s->n++] = m;
		return 0;
	}
	free(m.roles);
	if (r == -ENOENT) {
		buf_printf(why, "a member of a RAID whose superblock is not "
				"one of Linux MD: use the .raw files");
		return -EOPNOTSUPP;
	}
	if (r == -EBADMSG)
		buf_printf(why, "a member of a Linux MD RAID: its superblock "
				"is damaged");
	return r;
}

int md_find(struct blocks *b)
{
	struct md_member m;
	int r = read_super(b, &m);

	free(m.roles);
	return r;
}
