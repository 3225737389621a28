/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What discover.c and the parsers of tables, groups and keys share. */
#ifndef FS_GUEST_VOLUMES_INTERNAL_H
#define FS_GUEST_VOLUMES_INTERNAL_H

#include "fs/guest/volumes/discover.h"
#include "store/base/buf.h"

#include <inttypes.h>
#include <stdbool.h>

/* ---- what is on it (probe.c) ---- */

#define PROBE_OTHERS VOLUME_OTHERS

struct probe {
	char type[32]; /* "": nothing known, and @words is the reason */
	char label[256];
	char uuid[64];
	char version[32];
	/* Further types whose signatures are there too: what is left of a
	 * filesystem that was there before. Only those that a reader knows. */
	char others[PROBE_OTHERS][32];
	const char *words;
};
/* Return 0 or a negative errno. */
MUST_CHECK int probe_blocks(struct blocks *b, struct probe *out);
/* Make a sparse memfd of @b's size that holds its first @head and its last
 * @tail bytes. */
MUST_CHECK int probe_memfd(struct blocks *b, uint64_t head, uint64_t tail,
			   int *fd_out);
/* Copy the bytes [@off, @end) of @b to the same place of such a memfd; those
 * that are zero need not be. Both lie in @b. */
MUST_CHECK int probe_copy(struct blocks *b, int fd, uint64_t off, uint64_t end);

/* ---- partition tables ---- */

#define TABLE_MAX 512 /* partitions; more are not looked at */

struct partition {
	unsigned int number;
	uint64_t off, len; /* bytes; as the table says, not checked */
	/* Why nothing that is known is found in it, where the partition's type
	 * tells; else NULL. */
	const char *what;
};
struct table {
	struct partition parts[TABLE_MAX];
	size_t n;
	bool protective; /* an MBR that says there is a GPT */
	bool cut; /* there are, or were, more: said */
};

/* @sector is the disk's, in bytes; 0: not known, and taken for 512. Return 0;
 * -ENOENT (no such table; silent); -EBADMSG (there is one, damaged; said); or
 * the error of a read. */
MUST_CHECK int gpt_read(struct blocks *b, uint32_t sector,
			struct table *out); /* gpt.c */
MUST_CHECK int mbr_read(struct blocks *b, uint32_t sector,
			struct table *out); /* mbr.c */

/* What of a disk counts: itself, or its partitions. */
enum table_kind {
	TABLE_NONE, /* itself: what the probe tells */
	TABLE_DAMAGED, /* neither: its table is damaged */
	TABLE_ONLY, /* its partitions */
	TABLE_BESIDE, /* both */
};
#define TABLE_DAMAGED_WORDS                                                    \
	"its GUID partition table is damaged or cut off, and so is the copy"

/* Look for tables on @b, and probe it where it matters what else is on it.
 * Return 0 or a negative errno. */
MUST_CHECK int table_read(struct blocks *b, uint32_t sector, struct table *t,
			  struct probe *probe_out,
			  enum table_kind *out); /* table.c */

/* ---- LUKS (luks.c, luks_work.c) ---- */

/* What one try of a key on a slot may cost, in the unit that luks_work.c
 * explains: 16 passes of Argon2 over 1 GiB, or 33 million iterations of PBKDF2
 * with SHA-256 for a key of 64 bytes. cryptsetup's own choice, two seconds of
 * the machine it ran on, is half of it where that was a fast one. */
#define LUKS_WORK_MAX ((uint64_t)1 << 26)
/* All tries on a header: that, and half of it more for each key given. */
#define LUKS_WORK_KEY ((uint64_t)1 << 25)
/* All headers of a machine: what so many may cost. */
#define LUKS_WORK_HEADERS 4

/* How a key is made of a passphrase. */
struct luks_kdf {
	const char *type; /* pbkdf2, argon2i, argon2id */
	const char *hash; /* of pbkdf2; NULL: one that is not known */
	uint64_t iterations; /* or passes; at most UINT32_MAX */
	uint32_t kib, threads; /* 0 for pbkdf2 */
	size_t key_len;
};
/* Tell how much work it is. Return 0, or -EOPNOTSUPP (it is too much; @why says
 * what is). */
MUST_CHECK int luks_work(const struct luks_kdf *k, struct buf *why,
			 uint64_t *out);
/* Return the most iterations of the digests in a LUKS2 header's JSON, as json-c
 * prints it: pretty, with strings escaped. Where the digests do not stand out
 * those of everything in it count. 0: there are none; UINT32_MAX: one is no
 * number, or more than that. */
MUST_CHECK uint64_t luks_digest_iterations(const char *json);

/* What the tries on all headers of one machine share. */
struct luks_tries {
	uint64_t left; /* work */
	size_t first; /* the key that opened the last: it is tried first */
};
/* Unlock @b, within bounds of work and memory. Return 0, or a negative errno and
 * the reason in @why. */
MUST_CHECK int luks_open(struct blocks *b, const struct luks_keys *keys,
			 struct luks_tries *tries, struct buf *why,
			 struct blocks **out);

/* ---- MD RAID (md.c, md_array.c) ---- */

struct md_set;
/* A member of an array that was found. */
struct md_part {
	size_t tag; /* as it was given */
	const char *why; /* why it is not used; NULL where it is */
};
struct md_array {
	struct blocks *blocks; /* what the array holds; NULL where it cannot be
				* had, for the reason in @why */
	const char *why;
	int level; /* -1: linear */
	const char *note; /* what is to be told of it; "" where nothing is */
	size_t named; /* the tag of the member that it is to be named after */
	const struct md_part *parts;
	size_t nparts;
};
/* All is borrowed from the caller. Return 0 to go on. */
typedef int md_fn(void *arg, const struct md_array *a);

MUST_CHECK int md_new(struct md_set **out);
void md_free(struct md_set *s); /* NULL is fine */
/* Add a member, which is held. Return 0; -ENOMEM; or another negative errno
 * and, where it is not the error of a read, the reason in @why. */
MUST_CHECK int md_add(struct md_set *s, struct blocks *b, size_t tag,
		      struct buf *why);
/* Tell of every array that has a member in @s. Return 0, -ENOMEM or what @fn
 * returned. */
MUST_CHECK int md_each(const struct md_set *s, md_fn *fn, void *arg);
/* Is there a superblock? Return 0, -ENOENT (none), or another negative errno
 * (it is damaged, or reading failed). */
MUST_CHECK int md_find(struct blocks *b);

/* ---- LVM2 (lvm.c, lvm_group.c) ---- */

struct lvm_set;
/* A logical volume that was found. All is borrowed from the caller. */
struct lvm_volume {
	const char *vg, *lv;
	struct blocks *blocks; /* NULL where it cannot be had, for the reason
				* in @why */
	const char *why;
	const char *note; /* what is to be told of it; "" where nothing is */
};
/* Return 0 to go on. */
typedef int lvm_fn(void *arg, const struct lvm_volume *v);
MUST_CHECK int lvm_new(struct lvm_set **out);
void lvm_free(struct lvm_set *s); /* NULL is fine */
/*
 * Add a physical volume, which is held. The name of its group is appended to
 * @vg_out where one of its metadata areas tells it. Return 0; -ENOMEM; -EEXIST
 * (there is one of that id: the first counts); or another negative errno and
 * the reason in @why.
 */
MUST_CHECK int lvm_add(struct lvm_set *s, struct blocks *b, struct buf *vg_out,
		       struct buf *why);
/* Tell of all volumes of all groups. @fn must not add to @s. Return 0, -ENOMEM
 * or what @fn returned. */
MUST_CHECK int lvm_each(const struct lvm_set *s, lvm_fn *fn, void *arg);

#endif
