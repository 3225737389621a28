/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * DOS partition tables: four entries in sector 0, and the chain of extended
 * ones: in each link the first entry is a logical partition, counted from the
 * link, the second is the next link, counted from the first link.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/guest/volumes/internal.h"
#include "store/base/bytes.h"
#include "store/base/log.h"

#define SECTOR 512u /* what of one holds a table, however long it is */
#define LOGICAL_MAX 256

struct partition_entry {
	uint8_t status, type;
	uint64_t start, count; /* sectors */
};

static bool is_extended(uint8_t type)
{
	return type == 0x05 || type == 0x0f || type == 0x85;
}

/* A table's numbers count sectors of @sector bytes. */
struct disk {
	struct blocks *b;
	uint32_t sector;
};

/* Return 0, -ENOENT (no table here) or a read's error. */
static int read_sector(const struct disk *d, uint64_t lba,
		       struct partition_entry out[4])
{
	uint8_t s[SECTOR];
	size_t i;
	int r = blocks_read(d->b, lba * d->sector, s, SECTOR);

	if (r == -ERANGE)
		return -ENOENT;
	if (r < 0)
		return r;
	if (s[510] != 0x55 || s[511] != 0xaa)
		return -ENOENT;
	for (i = 0; i < 4; i++) {
		const uint8_t *e = s + 446 + i * 16;

		out[i].status = e[0];
		out[i].type = e[4];
		out[i].start = get_le32(e + 8);
		out[i].count = get_le32(e + 12);
	}
	return 0;
}

/* What a partition of that type is, where no filesystem is found in it. */
static const char *words_of(uint8_t type)
{
	switch (type) {
	case 0x42:
		return "a part of a Windows dynamic disk: vmbackupfs does not "
		       "put it together: use the .raw file of the disk";
	case 0xa5:
	case 0xa6:
	case 0xa9:
		return "a partition with a BSD disklabel: its slices are not "
		       "read: use the .raw file beside it";
	case 0xbf:
		return "a Solaris partition: its slices are not read: use the "
		       ".raw file beside it";
	case 0x41:
		return "a PReP boot partition: it holds no files";
	default:
		return NULL;
	}
}

static void add(const struct disk *d, struct table *out, unsigned int number,
		const struct partition_entry *e, uint64_t from)
{
	struct partition *p;

	if (out->n == TABLE_MAX) {
		log_warn("MBR: more than %d partitions: the rest is not shown",
			 TABLE_MAX);
		out->cut = true;
		return;
	}
	p = &out->parts[out->n++];
	memset(p, 0, sizeof(*p));
	p->number = number;
	p->off = (from + e->start) * d->sector;
	p->len = e->count * d->sector;
	p->what = words_of(e->type);
}

/* Was this link met before? */
static bool met(const uint64_t *links, size_t n, uint64_t lba)
{
	while (n--)
		if (links[n] == lba)
			return true;
	return false;
}

/* A chain that breaks ends there: what came before stands. */
static void read_logical(const struct disk *d, uint64_t base,
			 unsigned int *number, struct table *out)
{
	uint64_t links[LOGICAL_MAX], lba = base;
	struct partition_entry e[4];
	size_t n = 0, i;

	while (!out->cut) {
		if (n == LOGICAL_MAX || met(links, n, lba) ||
		    read_sector(d, lba, e) < 0) {
			log_warn("MBR: the chain of logical partitions is "
				 "damaged behind partition %u",
				 *number - 1);
			out->cut = true;
			return;
		}
		links[n++] = lba;
		for (i = 0; i < 4; i++)
			if (e[i].type && e[i].count && !is_extended(e[i].type))
				add(d, out, (*number)++, &e[i], lba);
		for (i = 0; i < 4; i++)
			if (is_extended(e[i].type) && e[i].count)
				break;
		if (i == 4)
			return;
		lba = base + e[i].start;
	}
}

int mbr_read(struct blocks *b, uint32_t sector, struct table *out)
{
	const struct disk d = { b, sector ? sector : SECTOR };
	unsigned int number = 5;
	struct partition_entry e[4];
	size_t i;
	int r;

	out->n = 0;
	out->protective = out->cut = false;
	r = read_sector(&d, 0, e);
	if (r < 0)
		return r;
	/* The boot sector of a filesystem has code where entries would be. */
	for (i = 0; i < 4; i++)
		if ((e[i].status & 0x7f) ||
		    (e[i].type && e[i].count &&
		     (e[i].start == 0 || e[i].start >= b->size / d.sector) &&
		     e[i].type != 0xee))
			return -ENOENT;
	for (i = 0; i < 4; i++) {
		if (!e[i].type || !e[i].count)
			continue;
		if (e[i].type == 0xee)
			out->protective = true;
		else if (!is_extended(e[i].type))
			add(&d, out, (unsigned int)i + 1, &e[i], 0);
	}
	for (i = 0; i < 4; i++)
		if (is_extended(e[i].type) && e[i].count)
			read_logical(&d, e[i].start, &number, out);
	return out->n || out->protective ? 0 : -ENOENT;
}
