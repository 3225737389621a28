/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rock Ridge: entries of two letters in the system use area of each record,
 * which may continue elsewhere (CE), and there again.
 */
#include "config.h"

#include "fs/guest/iso/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

#define CONTINUATIONS_MAX 64 /* a target of 4095 bytes needs about 20 */

/* Where an area goes on. */
struct next {
	uint64_t pos;
	uint32_t len; /* 0: nowhere */
};

#define IS(entry, a, b) ((entry)[0] == (a) && (entry)[1] == (b))

static void rock_attrs(const uint8_t *e, unsigned int len, struct rock *out)
{
	if (len < 36)
		return;
	out->attrs = true;
	out->mode = get_le32(e + 4);
	out->nlink = get_le32(e + 12);
	out->uid = get_le32(e + 20);
	out->gid = get_le32(e + 28);
}

static void rock_device(const uint8_t *e, unsigned int len, struct rock *out)
{
	uint32_t high, low;

	if (len < 20)
		return;
	high = get_le32(e + 4);
	low = get_le32(e + 12);
	out->device = true;
	/*
	 * Most writers put the dev_t of Linux into both halves, so that high is
	 * 0; some put the major number into one, the minor into the other.
	 */
	out->dev_major = high ? high : major((dev_t)low);
	out->dev_minor = high ? low : minor((dev_t)low);
}

static void rock_times(const uint8_t *e, unsigned int len, struct rock *out)
{
	unsigned int i, size = e[4] & 0x80 ? 17 : 7, at = 5;
	struct timestamp t;

	for (i = 0; i < 7; i++) {
		if (!(e[4] & 1u << i))
			continue;
		if (at + size > len)
			return;
		t = size == 7 ? iso_time_short(e + at) : iso_time_long(e + at);
		at += size;
		/* Creation, modification, access, attributes, ... */
		if (i == 0 || i == 3)
			out->ctime = t;
		else if (i == 1)
			out->mtime = t;
		else if (i == 2)
			out->atime = t;
		out->times = true;
	}
}

static void rock_name(const uint8_t *e, unsigned int len, struct rock *out)
{
	unsigned int n = len - 5;

	/* 2 and 4: the directory itself, the one above. */
	if (out->name_done || e[4] & 6)
		return;
	if (n > GUEST_NAME_MAX - out->name_len) {
		out->named = false; /* too long: the record's own will do */
		out->name_done = true;
		return;
	}
	memcpy(out->name + out->name_len, e + 5, n);
	out->name_len += n;
	out->name[out->name_len] = '\0';
	out->named = true;
	out->name_done = !(e[4] & 1);
}

/* @len bytes more of the target. */
static void target_put(struct rock *out, const void *data, size_t len)
{
	if (len > GUEST_TARGET_MAX - out->target_len) {
		out->target_bad = true;
		return;
	}
	out->target_len += len;
	if (out->target)
		buf_put(out->target, data, len);
}

static void rock_target(const uint8_t *e, unsigned int len, struct rock *out)
{
	unsigned int at = 5, n, flags;

	while (!out->target_done && len - at >= 2) {
		flags = e[at];
		n = e[at + 1];
		at += 2;
		if (n > len - at) {
			out->target_bad = true;
			return;
		}
		/* A component that continues the one before has no "/". */
		if (!out->target_joins)
			target_put(out, "/", 1);
		out->target_joins = flags & 1;
		if (flags & 2) {
			target_put(out, ".", 1);
		} else if (flags & 4) {
			target_put(out, "..", 2);
		} else if (flags & 8) {
			target_put(out, "/", 1);
			out->target_joins = true;
		} else {
			target_put(out, e + at, n);
		}
		at += n;
	}
	out->target_done = !(e[4] & 1);
}

/* One entry of @len >= 4 bytes. */
static void rock_entry(const struct iso *iso, const uint8_t *e,
		       unsigned int len, struct rock *out, struct next *next)
{
	if (IS(e, 'P', 'X')) {
		rock_attrs(e, len, out);
	} else if (IS(e, 'P', 'N')) {
		rock_device(e, len, out);
	} else if (IS(e, 'T', 'F') && len >= 5) {
		rock_times(e, len, out);
	} else if (IS(e, 'N', 'M') && len >= 5) {
		rock_name(e, len, out);
	} else if (IS(e, 'S', 'L') && len >= 5) {
		rock_target(e, len, out);
	} else if (IS(e, 'C', 'L') && len >= 12) {
		out->child = ISO_NODE((uint64_t)get_le32(e + 4) * iso->block);
	} else if (IS(e, 'R', 'E')) {
		out->relocated = true;
	} else if (IS(e, 'S', 'F')) {
		out->sparse = true;
	} else if (IS(e, 'Z', 'F')) {
		out->compressed = true;
	} else if (IS(e, 'C', 'E') && len >= 28) {
		next->pos = (uint64_t)get_le32(e + 4) * iso->block +
			    get_le32(e + 12);
		next->len = get_le32(e + 20);
	}
}

static void rock_area(const struct iso *iso, const uint8_t *area, size_t len,
		      struct rock *out, struct next *next)
{
	unsigned int n;

	next->len = 0;
	while (len >= 4) {
		n = area[2];
		if (n < 4 || n > len || IS(area, 'S', 'T'))
			return;
		rock_entry(iso, area, n, out, next);
		area += n;
		len -= n;
	}
}

/* Where the mark of the system use sharing protocol is in the root's record:
 * CD-ROM XA puts 14 bytes of its own before it. */
static unsigned int mark_place(const struct iso_record *root)
{
	const uint8_t *area = root->raw + root->use;

	return root->use_len >= 14 + 7 && !IS(area, 'S', 'P') ? 14 : 0;
}

int rock_read(const struct iso *iso, const struct iso_record *rec,
	      struct buf *target, struct rock *out)
{
	uint8_t area[ISO_SECTOR];
	unsigned int skip, i;
	struct next next;
	int r;

	memset(out, 0, sizeof(*out));
	out->target = target;
	out->target_joins = true;
	if (iso->names != ISO_ROCK)
		return 0;
	/* The record that says how much is to be skipped is not meant. */
	skip = ISO_NODE(rec->pos) == iso->root ? mark_place(rec) : iso->skip;
	skip = MIN(skip, rec->use_len);
	rock_area(iso, rec->raw + rec->use + skip, rec->use_len - skip, out,
		  &next);
	for (i = 0; next.len; i++) {
		if (i == CONTINUATIONS_MAX || next.len > sizeof(area))
			return fail(-EBADMSG,
				    "ISO 9660: the record at byte "
				    "%" PRIu64 " continues without "
				    "end",
				    rec->pos);
		r = blocks_read(iso->meta, next.pos, area, next.len);
		if (r < 0)
			return r == -ERANGE
				       ? fail(-EBADMSG,
					      "ISO 9660: the record at byte "
					      "%" PRIu64
					      " continues behind the "
					      "end of the image",
					      rec->pos)
				       : r;
		rock_area(iso, area, next.len, out, &next);
	}
	return 0;
}

int rock_read_node(const struct iso *iso, uint64_t node, struct buf *target,
		   struct iso_record *rec, struct rock *out)
{
	int r = iso_node_record(iso, node, rec);

	return r < 0 ? r : rock_read(iso, rec, target, out);
}

int rock_probe(struct iso *iso, const struct iso_record *root)
{
	const uint8_t *mark = root->raw + root->use + mark_place(root);
	struct rock rock;
	int r;

	if (root->raw + root->len - mark < 7 || !IS(mark, 'S', 'P') ||
	    mark[4] != 0xbe || mark[5] != 0xef)
		return 0;
	iso->skip = mark[6];
	iso->names = ISO_ROCK;
	r = rock_read(iso, root, NULL, &rock);
	/* Others share the system use too: it must say something of files. */
	if (r < 0 || !rock.attrs)
		iso->names = ISO_PLAIN;
	return r == -EBADMSG ? 0 : r;
}
