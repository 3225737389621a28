/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What volumes.c and the parsers of tables, groups and keys share. */
#ifndef FS_GUEST_VOLUMES_INTERNAL_H
#define FS_GUEST_VOLUMES_INTERNAL_H

#include "fs/guest/volumes.h"
#include "store/base/buf.h"

#include <stdbool.h>

/* ---- partition tables ---- */

#define TABLE_MAX 512 /* partitions; more are not looked at */

struct partition {
	unsigned int number;
	uint64_t off, len; /* bytes; as the table says, not checked */
};
struct table {
	struct partition parts[TABLE_MAX];
	size_t n;
	bool protective; /* an MBR that says there is a GPT */
};

/* Return 0; -ENOENT (no such table; silent); -EBADMSG (there is one, damaged;
 * said); or the error of a read. */
MUST_CHECK int gpt_read(struct blocks *b, struct table *out); /* gpt.c */
MUST_CHECK int mbr_read(struct blocks *b, struct table *out); /* mbr.c */

/* ---- what is on it (probe.c) ---- */

struct probe {
	char type[32];
	char label[256];
	char uuid[64];
	char version[32];
};
/* Nothing known is type "". Return 0 or a negative errno. */
MUST_CHECK int probe_blocks(struct blocks *b, struct probe *out);
/* A sparse memfd of @b's size with its first @head and last @tail bytes. */
MUST_CHECK int probe_memfd(struct blocks *b, uint64_t head, uint64_t tail,
			   int *fd_out);

/* ---- LUKS (luks.c) ---- */

/* Unlock. Return 0, or a negative errno and the reason in @why. */
MUST_CHECK int luks_open(struct blocks *b, const struct luks_keys *keys,
			 struct buf *why, struct blocks **out);

/* ---- MD RAID (md.c) ---- */

/* The data of a member that holds all of it. Return 0, or a negative errno and the
 * reason in @why. */
MUST_CHECK int md_open(struct blocks *b, struct buf *why, struct blocks **out);

/* ---- LVM2 (lvm.c) ---- */

struct lvm_set;
/* A logical volume that was found: @blocks (borrowed) or NULL, and @why. */
typedef int lvm_fn(void *arg, const char *vg, const char *lv,
		   struct blocks *blocks, const char *why);
MUST_CHECK int lvm_new(struct lvm_set **out);
void lvm_free(struct lvm_set *s);
/* A physical volume, which is held. @vg_out: its group's name, appended, or
 * nothing. Return 0, -ENOMEM, or -EBADMSG (damaged; the reason in @why). */
MUST_CHECK int lvm_add(struct lvm_set *s, struct blocks *b, struct buf *vg_out,
		       struct buf *why);
/* All volumes of all groups. Return 0, -ENOMEM or what @fn returned. */
MUST_CHECK int lvm_each(struct lvm_set *s, lvm_fn *fn, void *arg);

#endif
