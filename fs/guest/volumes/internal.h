/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What discover.c and the parsers of tables, groups and keys share. */
#ifndef FS_GUEST_VOLUMES_INTERNAL_H
#define FS_GUEST_VOLUMES_INTERNAL_H

#include "fs/guest/volumes/discover.h"
#include "store/base/buf.h"

#include <inttypes.h>
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
/* And there the bytes of [@off, @end), which is in @b. */
MUST_CHECK int probe_copy(struct blocks *b, int fd, uint64_t off, uint64_t end);

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
/* Its work. Return 0, or -EOPNOTSUPP (too much; what is, in @why). */
MUST_CHECK int luks_work(const struct luks_kdf *k, struct buf *why,
			 uint64_t *out);
/* The most iterations of the digests in a LUKS2 header's JSON, as json-c prints
 * it: pretty, strings escaped. All that are in it where the digests do not stand
 * out; 0 where there are none, UINT32_MAX for what is no number or more. */
MUST_CHECK uint64_t luks_digest_iterations(const char *json);

/* What the tries on all headers of one machine share. */
struct luks_tries {
	uint64_t left; /* work */
	size_t first; /* the key that opened the last: it is tried first */
};
/* Unlock, within bounds of work and memory. Return 0, or a negative errno and
 * the reason in @why. */
MUST_CHECK int luks_open(struct blocks *b, const struct luks_keys *keys,
			 struct luks_tries *tries, struct buf *why,
			 struct blocks **out);

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
