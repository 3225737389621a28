/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * GUID partition tables (UEFI specification 2.10, chapter 5). The table at the
 * disk's begin counts; where it is damaged, the one at its end. The bytes of a
 * disk do not say how large its sectors are: what the caller knows is tried
 * first, then 512 and 4096.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/crc32.h"
#include "fs/guest/volumes/internal.h"
#include "store/base/bytes.h"
#include "store/base/log.h"

#define SECTOR_MAX 4096
#define HEADER_MIN 92
#define ENTRY_MIN 128
#define ENTRY_MAX 4096
#define TABLE_BYTES_MAX (4u << 20)

struct header {
	uint64_t entries; /* byte offset of the array */
	uint32_t count;
	uint32_t entry_size;
	uint32_t entries_crc;
};

/* Return 0, -ENOENT (no header here), -EBADMSG or a read's error. */
static int read_header(struct blocks *b, uint64_t lba, size_t sector,
		       struct header *h)
{
	uint8_t s[SECTOR_MAX];
	uint32_t size, crc;
	int r = blocks_read(b, lba * sector, s, sector);

	if (r == -ERANGE)
		return -ENOENT;
	if (r < 0)
		return r;
	if (memcmp(s, "EFI PART", 8) != 0)
		return -ENOENT;
	size = get_le32(s + 12);
	crc = get_le32(s + 16);
	if (size < HEADER_MIN || size > sector)
		return -EBADMSG;
	put_le32(s + 16, 0);
	if (crc32_ieee(s, size) != crc || get_le64(s + 24) != lba)
		return -EBADMSG;
	h->entries = get_le64(s + 72);
	h->count = get_le32(s + 80);
	h->entry_size = get_le32(s + 84);
	h->entries_crc = get_le32(s + 88);
	if (h->entry_size < ENTRY_MIN || h->entry_size > ENTRY_MAX ||
	    h->entry_size % 8 != 0 ||
	    h->count > TABLE_BYTES_MAX / h->entry_size ||
	    h->entries > b->size / sector)
		return -EBADMSG;
	h->entries *= sector;
	return 0;
}

/* What a partition of a type is, where no filesystem is found in it. */
static const struct {
	uint8_t type[16];
	const char *words;
} kinds[] = {
	{ { 0xa0, 0x60, 0x9b, 0xaf, 0x31, 0x14, 0x62, 0x4f, 0xbc, 0x68, 0x33,
	    0x11, 0x71, 0x4a, 0x69, 0xad },
	  "a part of a Windows dynamic disk: vmbackupfs does not put it "
	  "together: use the .raw file of the disk" },
	{ { 0xaa, 0xc8, 0x08, 0x58, 0x8f, 0x7e, 0xe0, 0x42, 0x85, 0xd2, 0xe1,
	    0xe9, 0x04, 0x34, 0xcf, 0xb3 },
	  "the database of Windows dynamic disks: it holds no files" },
	{ { 0x8f, 0xaf, 0x5c, 0xe7, 0x80, 0xf6, 0xee, 0x4c, 0xaf, 0xa3, 0xb0,
	    0x01, 0xe5, 0x6e, 0xfc, 0x2d },
	  "a part of Windows Storage Spaces: vmbackupfs does not put it "
	  "together: use the .raw file of the disk" },
	{ { 0x16, 0xe3, 0xc9, 0xe3, 0x5c, 0x0b, 0xb8, 0x4d, 0x81, 0x7d, 0xf9,
	    0x2d, 0xf0, 0x02, 0x15, 0xae },
	  "space that Windows reserves: it holds no files" },
	{ { 0x48, 0x61, 0x68, 0x21, 0x49, 0x64, 0x6f, 0x6e, 0x74, 0x4e, 0x65,
	    0x65, 0x64, 0x45, 0x46, 0x49 },
	  "the boot loader's space: it holds no files" },
};

static const char *words_of(const uint8_t *type)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (memcmp(kinds[i].type, type, 16) == 0)
			return kinds[i].words;
	return NULL;
}

static void add_entry(struct table *out, const uint8_t *e, unsigned int number,
		      size_t sector)
{
	static const uint8_t unused[16];
	uint64_t first = get_le64(e + 32), last = get_le64(e + 40);
	struct partition *p;

	if (memcmp(e, unused, 16) == 0 || last < first ||
	    last >= UINT64_MAX / sector)
		return;
	if (out->n == TABLE_MAX) {
		log_warn("GPT: more than %d partitions: the rest is not shown",
			 TABLE_MAX);
		out->cut = true;
		return;
	}
	p = &out->parts[out->n++];
	memset(p, 0, sizeof(*p));
	p->number = number;
	p->off = first * sector;
	p->len = (last - first + 1) * sector;
	p->what = words_of(e);
}

static int read_table(struct blocks *b, uint64_t lba, size_t sector,
		      struct table *out)
{
	struct header h;
	uint8_t *entries;
	size_t len;
	uint32_t i;
	int r;

	out->n = 0;
	out->cut = false;
	r = read_header(b, lba, sector, &h);
	if (r < 0)
		return r;
	len = (size_t)h.count * h.entry_size;
	entries = malloc(len ? len : 1);
	if (!entries)
		return -ENOMEM;
	r = blocks_read(b, h.entries, entries, len);
	if (r == -ERANGE ||
	    (r == 0 && crc32_ieee(entries, len) != h.entries_crc))
		r = -EBADMSG;
	for (i = 0; i < h.count && r == 0 && !out->cut; i++)
		add_entry(out, entries + (size_t)i * h.entry_size, i + 1,
			  sector);
	free(entries);
	return r;
}

int gpt_read(struct blocks *b, uint32_t sector, struct table *out)
{
	const size_t sectors[] = { sector == 4096 ? 4096 : 512,
				   sector == 4096 ? 512 : 4096 };
	int worst = -ENOENT;
	size_t i;
	int r;

	out->protective = false;
	for (i = 0; i < ARRAY_SIZE(sectors); i++) {
		r = read_table(b, 1, sectors[i], out);
		if (r == 0 || r == -ENOMEM)
			return r;
		if (r != -ENOENT)
			worst = r;
	}
	for (i = 0; i < ARRAY_SIZE(sectors); i++) {
		if (b->size < sectors[i] * 3)
			continue;
		r = read_table(b, b->size / sectors[i] - 1, sectors[i], out);
		if (r == 0) {
			log_warn("GPT: the table at the disk's begin is "
				 "damaged: the copy at its end is used");
			return 0;
		}
		if (r != -ENOENT && worst == -ENOENT)
			worst = r;
	}
	out->n = 0;
	if (worst == -EBADMSG)
		return fail(-EBADMSG,
			    "GPT: the table and its copy are damaged");
	return worst;
}
