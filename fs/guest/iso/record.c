/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directory records of ISO 9660. */
#include "config.h"

#include "fs/guest/iso/internal.h"

#include <errno.h>
#include <string.h>

#include "fs/guest/calendar.h"
#include "fs/guest/utf16.h"
#include "store/base/bytes.h"

int iso_record_get(const struct iso *iso, uint64_t pos, const uint8_t *data,
		   size_t len, struct iso_record *out)
{
	unsigned int n = len ? data[0] : 0, used;

	out->pos = pos;
	out->len = n;
	if (!n)
		return 0;
	if (n < ISO_RECORD_MIN || n > len || data[32] > n - 33)
		return -EBADMSG;
	memcpy(out->raw, data, n);
	/* Behind an extended attribute record, if there is one. */
	out->at = ((uint64_t)get_le32(data + 2) + data[1]) * iso->block;
	out->size = get_le32(data + 10);
	memcpy(out->time, data + 18, sizeof(out->time));
	out->flags = data[25];
	out->interleaved = data[26] || data[27];
	out->name_len = data[32];
	/* The name is padded to an even length of the record. */
	used = 33 + out->name_len + !(out->name_len & 1);
	out->use = MIN(used, n);
	out->use_len = n - out->use;
	return 0;
}

int iso_record_read(const struct iso *iso, uint64_t pos, struct iso_record *out)
{
	uint64_t left = ISO_SECTOR - pos % ISO_SECTOR;
	uint8_t data[255];
	int r;

	if (pos >= iso->meta->size)
		return -EBADMSG;
	left = MIN(left, sizeof(data));
	left = MIN(left, iso->meta->size - pos);
	r = blocks_read(iso->meta, pos, data, left);
	if (r < 0)
		return r;
	return iso_record_get(iso, pos, data, left, out);
}

bool iso_record_is_dot(const struct iso_record *rec)
{
	return rec->name_len == 1 && rec->raw[33] <= 1;
}

int iso_node_record(const struct iso *iso, uint64_t node,
		    struct iso_record *out)
{
	int r = iso_record_read(iso, node * 2, out);

	if (r == -EBADMSG || (r == 0 && !out->len))
		return -ENOENT;
	if (r < 0)
		return r;
	/* A directory is its "." record, and nothing else is. */
	if (iso_record_is_dot(out) != !!(out->flags & ISO_DIRECTORY) ||
	    (iso_record_is_dot(out) &&
	     (out->raw[33] || ISO_NODE(out->at) != node)))
		return -ENOENT;
	return 0;
}

/* Is the end of the name, from @i on, ";" and digits? */
static bool is_version(const uint16_t *units, size_t n, size_t i)
{
	if (i == 0 || units[i] != ';' || i + 1 == n)
		return false;
	while (++i < n)
		if (units[i] < '0' || units[i] > '9')
			return false;
	return true;
}

size_t iso_record_name(const struct iso *iso, const struct iso_record *rec,
		       char *out)
{
	const uint8_t *name = rec->raw + 33;
	uint16_t units[222];
	size_t n = 0, i, len;

	if (iso->names == ISO_JOLIET) {
		for (; n < rec->name_len / 2; n++)
			units[n] =
				(uint16_t)(name[2 * n] << 8 | name[2 * n + 1]);
	} else {
		for (; n < rec->name_len; n++)
			units[n] = name[n];
	}
	for (i = n; i > 0; i--)
		if (is_version(units, n, i - 1))
			break;
	if (i > 0)
		n = i - 1;
	if (iso->names == ISO_JOLIET)
		return utf16_name(units, n, rec->pos, out);
	/* Names without an extension are written with the dot before it. */
	if (n > 1 && units[n - 1] == '.')
		n--;
	/* As written, whatever letters those are. */
	len = MIN(n, GUEST_NAME_MAX);
	memcpy(out, name, len);
	out[len] = '\0';
	return len;
}

/* @zone: in quarters of an hour east of UTC. */
static int64_t to_utc(int64_t sec, uint8_t zone)
{
	int quarters = zone < 128 ? zone : zone - 256;

	if (quarters < -52 || quarters > 52)
		quarters = 0;
	return sec - quarters * 15 * 60;
}

struct timestamp iso_time_short(const uint8_t *t)
{
	struct timestamp out = { 0, 0 };

	if (!t[1] && !t[2]) /* not given */
		return out;
	out.sec = to_utc(calendar_seconds(1900u + t[0], t[1], t[2], t[3], t[4],
					  t[5]),
			 t[6]);
	return out;
}

static unsigned int digits(const uint8_t *text, size_t len)
{
	unsigned int v = 0;

	while (len--) {
		if (*text < '0' || *text > '9')
			return 0;
		v = v * 10 + (*text++ - '0');
	}
	return v;
}

struct timestamp iso_time_long(const uint8_t *t)
{
	struct timestamp out = { 0, 0 };
	unsigned int year = digits(t, 4);

	if (!year)
		return out;
	out.sec = to_utc(calendar_seconds(year, digits(t + 4, 2),
					  digits(t + 6, 2), digits(t + 8, 2),
					  digits(t + 10, 2), digits(t + 12, 2)),
			 t[16]);
	out.nsec = digits(t + 14, 2) * 10000000;
	return out;
}
