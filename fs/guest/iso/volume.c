/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/iso/volume.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/guest/utf16.h"
#include "store/base/bytes.h"
#include "store/base/text.h"

#define FIRST_SECTOR 16
#define DESCRIPTORS_MAX 64
#define LABEL_OFF 40
#define LABEL_LEN 32
#define ROOT_OFF 156

enum descriptors { PRIMARY = 1, SUPPLEMENTARY = 2, TERMINATOR = 255 };

struct volume_descriptors {
	bool found, joliet;
	uint8_t primary[ISO_SECTOR], supplementary[ISO_SECTOR];
};

static int volume_bad(struct buf *why, const char *text)
{
	buf_printf(why, "%s", text);
	return -EBADMSG;
}

/* The escape sequences of the three levels of UCS-2. */
static bool is_joliet(const uint8_t *d)
{
	return d[88] == '%' && d[89] == '/' &&
	       (d[90] == '@' || d[90] == 'C' || d[90] == 'E');
}

static int volume_find(struct iso *iso, struct volume_descriptors *set)
{
	uint8_t d[ISO_SECTOR];
	unsigned int i;
	int r;

	for (i = 0; i < DESCRIPTORS_MAX; i++) {
		r = blocks_read(iso->meta,
				(uint64_t)(FIRST_SECTOR + i) * ISO_SECTOR, d,
				sizeof(d));
		if (r == -ERANGE)
			break;
		if (r < 0)
			return r;
		if (memcmp(d + 1, "CD001", 5) != 0 || d[0] == TERMINATOR)
			break;
		if (d[0] == PRIMARY && !set->found) {
			memcpy(set->primary, d, sizeof(d));
			set->found = true;
		} else if (d[0] == SUPPLEMENTARY && is_joliet(d) &&
			   !set->joliet) {
			memcpy(set->supplementary, d, sizeof(d));
			set->joliet = true;
		}
	}
	return 0;
}

/* The root that @d names; its "." record to @dot. Return 0, -EBADMSG or what
 * reading returned. */
static int volume_root(struct iso *iso, const uint8_t *d,
		       struct iso_record *dot)
{
	struct iso_record root;
	int r;

	iso->block = get_le16(d + 128);
	if (iso->block != 512 && iso->block != 1024 && iso->block != 2048)
		return -EBADMSG;
	r = iso_record_get(iso, 0, d + ROOT_OFF, ISO_RECORD_MIN, &root);
	if (r < 0 || !root.len)
		return -EBADMSG;
	iso->root = ISO_NODE(root.at);
	r = iso_record_read(iso, root.at, dot);
	if (r < 0)
		return r;
	return !iso->root || !dot->len || !iso_record_is_dot(dot) ||
			       dot->at != root.at
		       ? -EBADMSG
		       : 0;
}

static void volume_label(const struct iso *iso, const uint8_t *d,
			 struct guest_info *info)
{
	uint16_t units[LABEL_LEN / 2];
	size_t n, used;
	struct buf text = BUF_INIT;
	char *out = info->label;

	if (iso->names == ISO_JOLIET) {
		for (n = 0; n < ARRAY_SIZE(units); n++)
			units[n] = (uint16_t)(d[LABEL_OFF + 2 * n] << 8 |
					      d[LABEL_OFF + 2 * n + 1]);
		while (n && (units[n - 1] == ' ' || !units[n - 1]))
			n--;
		n = utf16_put(units, n, out, sizeof(info->label) - 1, &used);
		out[n] = '\0';
		return;
	}
	n = LABEL_LEN;
	while (n && (d[LABEL_OFF + n - 1] == ' ' || !d[LABEL_OFF + n - 1]))
		n--;
	text_put_plain(&text, d + LABEL_OFF, n);
	snprintf(out, sizeof(info->label), "%.*s", (int)text.len,
		 text.len ? (const char *)text.data : "");
	buf_release(&text);
}

/* As libblkid has it: when the volume was changed last, or made. */
static void volume_uuid(const uint8_t *d, struct guest_info *info)
{
	const uint8_t *t = d + 830;
	size_t i;

	if (memcmp(t, "0000", 4) == 0 || !t[0])
		t = d + 813;
	for (i = 0; i < 16; i++)
		if (t[i] < '0' || t[i] > '9')
			return;
	snprintf(info->uuid, sizeof(info->uuid),
		 "%.4s-%.2s-%.2s-%.2s-%.2s-%.2s-%.2s", t, t + 4, t + 6, t + 8,
		 t + 10, t + 12, t + 14);
}

int iso_volume_open(struct iso *iso, struct guest_info *info, struct buf *why)
{
	struct volume_descriptors set = { .found = false };
	const uint8_t *d = set.primary;
	struct iso_record dot;
	int r;

	r = volume_find(iso, &set);
	if (r < 0)
		return r;
	if (!set.found)
		return volume_bad(why, "it has no primary volume descriptor");
	r = volume_root(iso, set.primary, &dot);
	if (r == 0)
		r = rock_probe(iso, &dot);
	/* Even where the plain tree is damaged, this one may be whole. */
	if ((r == 0 || r == -EBADMSG) && iso->names == ISO_PLAIN &&
	    set.joliet) {
		d = set.supplementary;
		iso->names = ISO_JOLIET;
		r = volume_root(iso, d, &dot);
	}
	if (r == -EBADMSG)
		return volume_bad(why, "its root directory is damaged");
	if (r < 0)
		return r;
	info->block_size = iso->block;
	volume_label(iso, d, info);
	volume_uuid(set.primary, info);
	return 0;
}
