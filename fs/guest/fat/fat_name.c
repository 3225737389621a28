/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of FAT: short ones in code page 437, long ones in UTF-16. */
#include "config.h"

#include "fs/guest/fat/fat_internal.h"

#include <string.h>

#include "fs/guest/utf16.h"
#include "store/base/bytes.h"

#define PIECE_UNITS 13
#define PIECES_MAX 20
#define LONG_UNITS_MAX 255

/* Code page 437 from 0x80 on: what Linux takes where nothing is said. */
static const uint16_t cp437[128] = {
	0x00c7, 0x00fc, 0x00e9, 0x00e2, 0x00e4, 0x00e0, 0x00e5, 0x00e7, 0x00ea,
	0x00eb, 0x00e8, 0x00ef, 0x00ee, 0x00ec, 0x00c4, 0x00c5, 0x00c9, 0x00e6,
	0x00c6, 0x00f4, 0x00f6, 0x00f2, 0x00fb, 0x00f9, 0x00ff, 0x00d6, 0x00dc,
	0x00a2, 0x00a3, 0x00a5, 0x20a7, 0x0192, 0x00e1, 0x00ed, 0x00f3, 0x00fa,
	0x00f1, 0x00d1, 0x00aa, 0x00ba, 0x00bf, 0x2310, 0x00ac, 0x00bd, 0x00bc,
	0x00a1, 0x00ab, 0x00bb, 0x2591, 0x2592, 0x2593, 0x2502, 0x2524, 0x2561,
	0x2562, 0x2556, 0x2555, 0x2563, 0x2551, 0x2557, 0x255d, 0x255c, 0x255b,
	0x2510, 0x2514, 0x2534, 0x252c, 0x251c, 0x2500, 0x253c, 0x255e, 0x255f,
	0x255a, 0x2554, 0x2569, 0x2566, 0x2560, 0x2550, 0x256c, 0x2567, 0x2568,
	0x2564, 0x2565, 0x2559, 0x2558, 0x2552, 0x2553, 0x256b, 0x256a, 0x2518,
	0x250c, 0x2588, 0x2584, 0x258c, 0x2590, 0x2580, 0x03b1, 0x00df, 0x0393,
	0x03c0, 0x03a3, 0x03c3, 0x00b5, 0x03c4, 0x03a6, 0x0398, 0x03a9, 0x03b4,
	0x221e, 0x03c6, 0x03b5, 0x2229, 0x2261, 0x00b1, 0x2265, 0x2264, 0x2320,
	0x2321, 0x00f7, 0x2248, 0x00b0, 0x2219, 0x00b7, 0x221a, 0x207f, 0x00b2,
	0x25a0, 0x00a0,
};

/* The capital letters of the code page, and the small ones that go with
 * them. */
static const uint8_t cp437_small[][2] = {
	{ 0x80, 0x87 }, { 0x8e, 0x84 }, { 0x8f, 0x86 }, { 0x90, 0x82 },
	{ 0x92, 0x91 }, { 0x99, 0x94 }, { 0x9a, 0x81 }, { 0xa5, 0xa4 },
};

static uint8_t oem_lower(uint8_t c)
{
	size_t i;

	if (c >= 'A' && c <= 'Z')
		return (uint8_t)(c + 32);
	for (i = 0; i < ARRAY_SIZE(cp437_small); i++)
		if (cp437_small[i][0] == c)
			return cp437_small[i][1];
	return c;
}

static uint16_t oem_unit(uint8_t c)
{
	return c < 0x80 ? c : cp437[c - 0x80];
}

void fat_long_clear(struct fat_long *l)
{
	l->pieces = 0;
	l->left = 0;
	l->any = false;
}

void fat_long_add(struct fat_long *l, const uint8_t *slot)
{
	static const uint8_t places[PIECE_UNITS] = { 1,	 3,  5,	 7,  9,	 14, 16,
						     18, 20, 22, 24, 28, 30 };
	unsigned int n = slot[0] & 0x3f, i;

	l->any = true;
	if (slot[0] & 0x40) {
		l->pieces = l->left = 0;
		if (n < 1 || n > PIECES_MAX)
			return;
		l->pieces = n;
		l->left = n;
		l->sum = slot[13];
	}
	if (!l->pieces || slot[0] & 0x80 || n != l->left ||
	    slot[13] != l->sum) {
		l->pieces = l->left = 0;
		return;
	}
	l->left--;
	for (i = 0; i < PIECE_UNITS; i++)
		l->units[l->left * PIECE_UNITS + i] =
			get_le16(slot + places[i]);
}

static uint8_t short_sum(const uint8_t *slot)
{
	unsigned int sum = 0, i;

	for (i = 0; i < 11; i++)
		sum = ((sum & 1) << 7 | (sum & 0xff) >> 1) + slot[i];
	return (uint8_t)sum;
}

bool fat_long_is_broken(const struct fat_long *l, const uint8_t *slot)
{
	return l->any && (!l->pieces || l->left || l->sum != short_sum(slot));
}

/* The length, or 0: no long name that could be shown. */
static size_t long_name(const struct fat_long *l, const uint8_t *slot,
			char *out)
{
	size_t max = l->pieces * (size_t)PIECE_UNITS, n = 0, used, len;

	if (!l->any || fat_long_is_broken(l, slot))
		return 0;
	while (n < max && l->units[n])
		n++;
	if (n > LONG_UNITS_MAX)
		return 0;
	len = utf16_put(l->units, n, out, GUEST_NAME_MAX, &used);
	if (used < n || !entry_name_ok(out, len))
		return 0;
	out[len] = '\0';
	return len;
}

/* One of the two parts of a short name: without the blanks at its end. */
static size_t short_part(const uint8_t *part, size_t len, bool lower,
			 uint16_t *units)
{
	size_t i;

	while (len && part[len - 1] == ' ')
		len--;
	for (i = 0; i < len; i++)
		units[i] = oem_unit(lower ? oem_lower(part[i]) : part[i]);
	return len;
}

size_t fat_name(const struct fat_long *l, const uint8_t *slot, char *out)
{
	uint8_t raw[11];
	uint16_t units[12];
	size_t len = long_name(l, slot, out), n, ext;

	if (len)
		return len;
	memcpy(raw, slot, sizeof(raw));
	/* 0xe5 is what deleted ones begin with. */
	if (raw[0] == 0x05)
		raw[0] = FAT_DELETED;
	/* Windows NT's bits: that part is in small letters. */
	n = short_part(raw, 8, slot[12] & 0x08, units);
	ext = short_part(raw + 8, 3, slot[12] & 0x10, units + n + 1);
	if (ext) {
		units[n] = '.';
		n += 1 + ext;
	}
	return utf16_name(units, n, 0, out);
}

void fat_label(const uint8_t label[11], char *out, size_t cap)
{
	uint16_t units[11];
	size_t n, used, len;

	n = short_part(label, 11, false, units);
	len = utf16_put(units, n, out, cap - 1, &used);
	out[len] = '\0';
}
