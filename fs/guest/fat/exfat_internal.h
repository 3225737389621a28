/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the exFAT reader share. */
#ifndef FS_GUEST_FAT_EXFAT_INTERNAL_H
#define FS_GUEST_FAT_EXFAT_INTERNAL_H

#include "fs/guest/fat/clusters.h"

/*
 * For the fuzz target alone, set before any thread runs: take checksums for
 * right, so that mutated bytes get past them.
 */
extern bool exfat_trusts_checksums;

struct exfat {
	struct clusters c;
	uint32_t root_cluster;
};

/* Find the boot region, the main one or its copy. Return 0, -EBADMSG,
 * -EOPNOTSUPP (why is in @why) or what reading returned. */
MUST_CHECK int exfat_boot(struct exfat *e, uint64_t blocks,
			  struct guest_info *info, struct buf *why);

enum exfat_slots {
	EXFAT_END = 0x00,
	EXFAT_BENIGN = 0x20, /* this bit: who does not know it may pass it */
	EXFAT_IN_USE = 0x80,
	EXFAT_BITMAP = 0x81,
	EXFAT_UPCASE = 0x82,
	EXFAT_LABEL = 0x83,
	EXFAT_FILE = 0x85,
	EXFAT_STREAM = 0xc0,
	EXFAT_NAME = 0xc1,
	EXFAT_SECONDARY = 0xc0, /* these bits: of a secondary one in use */
};
enum exfat_attrs {
	EXFAT_READ_ONLY = 1 << 0,
	EXFAT_DIRECTORY = 1 << 4,
};
#define EXFAT_NAME_UNITS 255

/* The slots of one file, decoded. */
struct exfat_set {
	uint8_t file[SLOT_LEN]; /* the first of them */
	uint16_t attrs;
	bool contiguous;
	bool sum_ok;
	uint32_t first; /* cluster; 0: none */
	uint64_t size, valid;
	unsigned int name_len; /* units */
	uint16_t name[EXFAT_NAME_UNITS];
};
/*
 * Read the set whose first slot, @file, just came from @s. Return 0; -EBADMSG
 * (it is not whole; silent), with @s behind what belongs to it; or what reading
 * returned. A checksum that does not fit is told in sum_ok only.
 */
MUST_CHECK int exfat_set_read(struct slots *s, const uint8_t *file,
			      struct exfat_set *out);
/* Modification and access. */
struct timestamp exfat_mtime(const struct exfat_set *set);
struct timestamp exfat_atime(const struct exfat_set *set);

#endif
