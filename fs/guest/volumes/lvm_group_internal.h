/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What lvm.c and lvm_group.c share. */
#ifndef FS_GUEST_VOLUMES_LVM_GROUP_INTERNAL_H
#define FS_GUEST_VOLUMES_LVM_GROUP_INTERNAL_H

#include "fs/guest/volumes/internal.h"
#include "fs/guest/volumes/lvm_internal.h"

#define LVM_ID_LEN 32

struct lvm_pv {
	char id[LVM_ID_LEN + 1];
	struct blocks *b; /* held */
};

/* A volume group, by its newest description. */
struct lvm_group {
	struct lvm_text text;
	uint32_t node; /* its section */
	const char *name; /* in the text */
	char id[LVM_ID_LEN + 1];
	uint64_t seqno;
	uint64_t extent; /* bytes */
};

struct lvm_set {
	struct lvm_pv *pvs; /* owned */
	size_t npvs, pvs_cap;
	struct lvm_group *groups; /* owned */
	size_t ngroups, groups_cap;
};

/* Find the physical volume of that id, which is borrowed. NULL: it is
 * missing. */
struct blocks *lvm_find_pv(const struct lvm_set *s, const char *id);
/* Fill in the rest of @g from its text. Return 0 or -EBADMSG. */
MUST_CHECK int lvm_group_init(struct lvm_group *g);

#endif
