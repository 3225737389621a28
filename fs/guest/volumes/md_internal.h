/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What md.c, which reads superblocks, and md_array.c, which puts the members
 * of an array together, share. */
#ifndef FS_GUEST_VOLUMES_MD_INTERNAL_H
#define FS_GUEST_VOLUMES_MD_INTERNAL_H

#include "fs/guest/volumes/internal.h"

#define MD_DEVICES_MAX 1920 /* that a superblock of 4 KiB has room for */

/* Roles that are no places in the array. */
#define MD_ROLE_SPARE 0xffffu
#define MD_ROLE_FAULTY 0xfffeu
#define MD_ROLE_JOURNAL 0xfffdu

/* What the superblock of one member says. Lengths are sectors of 512 bytes. */
struct md_member {
	struct blocks *b; /* held */
	size_t tag; /* the caller's */
	uint8_t uuid[16]; /* of the array */
	int32_t level;
	uint32_t layout, chunk, raid_disks;
	uint64_t size; /* of each member that the array uses; 0: all there is */
	uint64_t data_off, data_len; /* where this member's data lie */
	uint64_t events; /* grows with every change of the array's state */
	bool reshaping; /* the array is being made into one of another form */
	bool recovering; /* this member does not hold all of its data yet */
	bool replacement; /* it stands in for a member that is still there */
	uint32_t number; /* of this member: which of the roles is its own */
	uint16_t *roles; /* of all members by number; owned */
	uint32_t nroles;
};

struct md_set {
	struct md_member *members; /* owned */
	size_t n, cap;
};

#endif
