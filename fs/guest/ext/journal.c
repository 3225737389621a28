/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One pass over the log. What a transaction says is gathered behind what
 * counts already, and counts itself once its commit block is found good;
 * where it is not, it is cut off again and the log ends there. Afterwards the
 * last word on each block is kept, unless it was revoked.
 */
#include "config.h"

#include "fs/guest/ext/journal.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

#include "fs/guest/ext/internal.h"
#include "store/base/array.h"
#include "store/base/bytes.h"

#define JOURNAL_MAGIC 0xc03b3998u
#define SUPER_LEN 1024
#define HEADER_LEN 12

enum block_type {
	TYPE_DESCRIPTOR = 1,
	TYPE_COMMIT = 2,
	TYPE_SUPER_V1 = 3,
	TYPE_SUPER_V2 = 4,
	TYPE_REVOKE = 5,
};

#define COMPAT_CHECKSUM 0x1u
#define INCOMPAT_REVOKE 0x1u
#define INCOMPAT_64BIT 0x2u
#define INCOMPAT_ASYNC_COMMIT 0x4u
#define INCOMPAT_CSUM_V2 0x8u
#define INCOMPAT_CSUM_V3 0x10u
#define INCOMPAT_FAST_COMMIT 0x20u
#define INCOMPAT_KNOWN 0x3fu

#define TAG_ESCAPE 0x1u
#define TAG_SAME_UUID 0x2u
#define TAG_LAST 0x8u

#define CHECKSUM_CRC32 1
#define FAST_COMMIT_BLOCKS 256 /* where the superblock says none */
#define FAST_COMMIT_HEAD 9 /* tag of the first of a run of them */
#define LOG_BLOCKS_MIN 1024

struct tag {
	uint64_t block;
	uint64_t at;
	uint32_t order; /* of all tags */
	uint32_t seq;
	bool escaped;
};

struct revoke {
	uint64_t block;
	uint32_t order, seq;
};

struct log {
	const struct journal_place *p;
	uint32_t first, end; /* log blocks [first, end) are the ring */
	uint32_t max; /* blocks of the journal */
	uint32_t compat, incompat;
	uint32_t seed; /* of checksums */
	uint32_t crc; /* of the transaction; COMPAT_CHECKSUM */
	uint32_t at, left; /* next block, and how many may come */
	uint32_t seq;
	struct tag *tags; /* owned */
	size_t ntags, tags_cap;
	struct revoke *revokes; /* owned */
	size_t nrevokes, revokes_cap;
	uint8_t *block, *data; /* owned; a block each */
	const char *bad; /* what is wrong with the transaction so far */
	const char *damage;
};

static uint32_t get_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return be32toh(v);
}

static uint16_t get_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return be16toh(v);
}

/* a <= b, on a circle */
static bool seq_le(uint32_t a, uint32_t b)
{
	return (int32_t)(b - a) >= 0;
}

static bool has_sums(const struct log *l)
{
	return l->incompat & (INCOMPAT_CSUM_V2 | INCOMPAT_CSUM_V3);
}

static int unusable(struct log *l, int r, const char *what)
{
	l->damage = what;
	return r;
}

/* Byte of journal block @n; -EBADMSG where it has none. */
static int place_of(const struct journal_place *p, uint32_t n, uint64_t *out)
{
	size_t low = 0, high = p->nruns;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		const struct journal_run *x = &p->runs[mid];

		if (n < x->log) {
			high = mid;
		} else if (n - x->log >= x->n) {
			low = mid + 1;
		} else {
			*out = x->at + (n - x->log) * p->block_size;
			return 0;
		}
	}
	return -EBADMSG;
}

static int read_at(const struct log *l, uint32_t n, uint8_t *out)
{
	uint64_t at;
	int r = place_of(l->p, n, &at);

	return r < 0 ? r : blocks_read(l->p->b, at, out, l->p->block_size);
}

/* The next block of the ring: 1, or 0 where all were seen. */
static int next_block(struct log *l, uint8_t *out, uint64_t *at)
{
	int r;

	if (l->left == 0)
		return 0;
	r = place_of(l->p, l->at, at);
	if (r == 0 && out)
		r = blocks_read(l->p->b, *at, out, l->p->block_size);
	if (r < 0)
		return r;
	l->left--;
	if (++l->at == l->end)
		l->at = l->first;
	return 1;
}

/* ---- checksums ---- */

/* Over the block with the four bytes at @off taken as zeros. */
static bool sum_ok(const struct log *l, const uint8_t *p, size_t off)
{
	static const uint8_t zero[4];
	uint32_t sum;

	sum = ext_crc32c(l->seed, p, off);
	sum = ext_crc32c(sum, zero, sizeof(zero));
	sum = ext_crc32c(sum, p + off + 4, l->p->block_size - off - 4);
	return sum == get_be32(p + off);
}

static bool data_ok(const struct log *l, const uint8_t *tag)
{
	uint8_t seq[4];
	uint32_t be = htobe32(l->seq), sum;

	memcpy(seq, &be, sizeof(seq));
	sum = ext_crc32c(l->seed, seq, sizeof(seq));
	sum = ext_crc32c(sum, l->data, l->p->block_size);
	if (l->incompat & INCOMPAT_CSUM_V3)
		return sum == get_be32(tag + 12);
	return (sum & 0xffff) == get_be16(tag + 4);
}

static bool commit_ok(const struct log *l, const uint8_t *p)
{
	unsigned int type = p[12], size = p[13];
	uint32_t found = get_be32(p + 16);

	if (has_sums(l))
		return sum_ok(l, p, 16);
	if (!(l->compat & COMPAT_CHECKSUM) || (!type && !size && !found))
		return true;
	return type == CHECKSUM_CRC32 && size == 4 && found == l->crc;
}

/* ---- one block ---- */

static int add_tag(struct log *l, uint64_t block, uint64_t at, bool escaped)
{
	int r;

	if (l->ntags >= JOURNAL_TAGS_MAX)
		return unusable(l, -EFBIG, "it holds over 4 million blocks");
	r = array_reserve(&l->tags, &l->tags_cap, l->ntags + 1);
	if (r < 0)
		return r;
	l->tags[l->ntags] = (struct tag){ .block = block,
					  .at = at,
					  .order = (uint32_t)l->ntags,
					  .seq = l->seq,
					  .escaped = escaped };
	l->ntags++;
	return 0;
}

static int add_revoke(struct log *l, uint64_t block)
{
	int r;

	if (l->nrevokes >= JOURNAL_REVOKES_MAX)
		return unusable(l, -EFBIG, "it revokes over 4 million blocks");
	r = array_reserve(&l->revokes, &l->revokes_cap, l->nrevokes + 1);
	if (r < 0)
		return r;
	l->revokes[l->nrevokes] = (struct revoke){
		.block = block, .order = (uint32_t)l->nrevokes, .seq = l->seq
	};
	l->nrevokes++;
	return 0;
}

static size_t tag_len(const struct log *l)
{
	size_t n = 8;

	if (l->incompat & INCOMPAT_CSUM_V3)
		return 16;
	if (l->incompat & INCOMPAT_CSUM_V2)
		n += 2;
	if (l->incompat & INCOMPAT_64BIT)
		n += 4;
	return n;
}

/* The data block of one tag. Return 1, or 0 where the ring is used up. */
static int take_tag(struct log *l, const uint8_t *tag, uint32_t flags)
{
	bool crc = l->compat & COMPAT_CHECKSUM;
	uint64_t block = get_be32(tag), at;
	bool need = has_sums(l) || crc;
	int r;

	if (l->incompat & INCOMPAT_64BIT)
		block |= (uint64_t)get_be32(tag + 8) << 32;
	r = next_block(l, need ? l->data : NULL, &at);
	if (r <= 0)
		return r;
	if (has_sums(l) && !data_ok(l, tag))
		l->bad = "a block in it does not match its checksum";
	if (crc)
		l->crc = ext_crc32_be(l->crc, l->data, l->p->block_size);
	if (block >= l->p->fs_blocks) {
		l->bad = "a block in it is for none of the filesystem";
		return 1;
	}
	r = add_tag(l, block, at, flags & TAG_ESCAPE);
	return r < 0 ? r : 1;
}

static int take_tags(struct log *l)
{
	size_t len = tag_len(l), end = l->p->block_size, off = HEADER_LEN;
	uint32_t flags;
	int r;

	if (has_sums(l)) {
		end -= 4;
		if (!sum_ok(l, l->block, end)) {
			l->bad = "a descriptor in it does not match its "
				 "checksum";
			return 1;
		}
	}
	if (l->compat & COMPAT_CHECKSUM)
		l->crc = ext_crc32_be(l->crc, l->block, l->p->block_size);
	while (off + len <= end) {
		const uint8_t *tag = l->block + off;

		flags = l->incompat & INCOMPAT_CSUM_V3 ? get_be32(tag + 4)
						       : get_be16(tag + 6);
		r = take_tag(l, tag, flags);
		if (r <= 0)
			return r;
		off += len;
		if (!(flags & TAG_SAME_UUID))
			off += 16;
		if (flags & TAG_LAST)
			break;
	}
	return 1;
}

static int take_revokes(struct log *l)
{
	size_t each = l->incompat & INCOMPAT_64BIT ? 8 : 4;
	size_t end = l->p->block_size, used = get_be32(l->block + 12), off;
	int r;

	if (has_sums(l)) {
		end -= 4;
		if (!sum_ok(l, l->block, end)) {
			l->bad = "a revoke block in it does not match its "
				 "checksum";
			return 1;
		}
	}
	if (used > end || used < 16) {
		l->bad = "a revoke block in it is malformed";
		return 1;
	}
	for (off = 16; off + each <= used; off += each) {
		uint64_t block = get_be32(l->block + off);

		if (each == 8)
			block = block << 32 | get_be32(l->block + off + 4);
		r = add_revoke(l, block);
		if (r < 0)
			return r;
	}
	return 1;
}

/* Does the commit block in l->block make the transaction count? */
static int commit_counts(struct log *l)
{
	if (!commit_ok(l, l->block))
		return 0;
	if (!l->bad)
		return 1;
	if (!(l->incompat & INCOMPAT_ASYNC_COMMIT))
		l->damage = l->bad;
	return 0;
}

/*
 * One transaction. Return 1 where it counts, 0 where the log ends before it.
 *
 * What is wrong before a good commit block is damage: all was on the disk
 * before that block was (but not with asynchronous commits). Without one, it
 * is what a machine leaves that stops while it writes: nobody was told that
 * the transaction is there. So the commit block is looked for even so.
 */
static int transaction(struct log *l)
{
	uint64_t at;
	int r;

	l->crc = ~0u;
	l->bad = NULL;
	for (;;) {
		r = next_block(l, l->block, &at);
		if (r <= 0)
			return r;
		if (get_be32(l->block) != JOURNAL_MAGIC ||
		    get_be32(l->block + 8) != l->seq) {
			if (!l->bad)
				return 0;
			continue;
		}
		switch (get_be32(l->block + 4)) {
		case TYPE_DESCRIPTOR:
			r = take_tags(l);
			break;
		case TYPE_REVOKE:
			r = take_revokes(l);
			break;
		case TYPE_COMMIT:
			return commit_counts(l);
		default:
			return 0;
		}
		if (r <= 0)
			return r;
	}
}

/* ---- the end ---- */

static int by_block_tag(const void *a, const void *b)
{
	const struct tag *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

static int by_block_revoke(const void *a, const void *b)
{
	const struct revoke *x = a, *y = b;

	if (x->block != y->block)
		return x->block < y->block ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* The last word on each block, without what was revoked since. */
static int settle(struct log *l, struct journal_log *out)
{
	size_t i, k = 0;

	if (l->ntags == 0)
		return 0;
	qsort(l->tags, l->ntags, sizeof(*l->tags), by_block_tag);
	if (l->nrevokes)
		qsort(l->revokes, l->nrevokes, sizeof(*l->revokes),
		      by_block_revoke);
	out->patches = alloc_array(l->ntags, sizeof(*out->patches));
	if (!out->patches)
		return -ENOMEM;
	for (i = 0; i < l->ntags; i++) {
		const struct tag *t = &l->tags[i];

		if (i + 1 < l->ntags && t[1].block == t->block)
			continue;
		while (k < l->nrevokes &&
		       (l->revokes[k].block < t->block ||
			(k + 1 < l->nrevokes &&
			 l->revokes[k].block == t->block &&
			 l->revokes[k + 1].block == t->block)))
			k++;
		if (k < l->nrevokes && l->revokes[k].block == t->block &&
		    seq_le(t->seq, l->revokes[k].seq))
			continue;
		out->patches[out->n++] = (struct journal_patch){
			.block = t->block, .at = t->at, .escaped = t->escaped
		};
	}
	return 0;
}

/* Does one of the first blocks behind the log begin a run of fast commits
 * that goes on from transaction l->seq? */
static int find_fast_commits(struct log *l, bool *out)
{
	uint32_t n;
	int r;

	*out = false;
	if (!(l->incompat & INCOMPAT_FAST_COMMIT))
		return 0;
	for (n = l->end; n < l->max && n <= l->end + 1 && !*out; n++) {
		r = read_at(l, n, l->data);
		if (r < 0)
			return r == -EBADMSG ? 0 : r;
		*out = get_le16(l->data) == FAST_COMMIT_HEAD &&
		       get_le32(l->data + 8) == l->seq;
	}
	return 0;
}

/* ---- the beginning ---- */

static int features(struct log *l, const uint8_t *s)
{
	static const uint8_t zero[4];
	uint32_t sum;

	if (get_be32(s + 4) == TYPE_SUPER_V1)
		return 0;
	l->compat = get_be32(s + 36);
	l->incompat = get_be32(s + 40);
	if (l->incompat & ~INCOMPAT_KNOWN)
		return unusable(l, -EOPNOTSUPP,
				"it has features that are not known here");
	if (!has_sums(l))
		return 0;
	if (s[80] != 4 /* crc32c */)
		return unusable(l, -EOPNOTSUPP,
				"its checksums are of a kind not known here");
	sum = ext_crc32c(~0u, s, 252);
	sum = ext_crc32c(sum, zero, 4);
	sum = ext_crc32c(sum, s + 256, SUPER_LEN - 256);
	if (sum != get_be32(s + 252))
		return unusable(l, -EBADMSG,
				"its superblock does not match its checksum");
	l->seed = ext_crc32c(~0u, s + 48, 16);
	return 0;
}

/* Return 1, or 0 where the log is empty. */
static int begin(struct log *l)
{
	const uint8_t *s = l->block;
	uint32_t type, fast = 0, start;
	int r = read_at(l, 0, l->block);

	if (r == -EBADMSG)
		return unusable(l, r, "it has no blocks");
	if (r < 0)
		return r;
	type = get_be32(s + 4);
	if (get_be32(s) != JOURNAL_MAGIC ||
	    (type != TYPE_SUPER_V1 && type != TYPE_SUPER_V2) ||
	    get_be32(s + 12) != l->p->block_size)
		return unusable(l, -EBADMSG, "it has no superblock");
	r = features(l, s);
	if (r < 0)
		return r;
	l->max = get_be32(s + 16);
	l->first = get_be32(s + 20);
	l->seq = get_be32(s + 24);
	start = get_be32(s + 28);
	if (l->incompat & INCOMPAT_FAST_COMMIT) {
		fast = get_be32(s + 84);
		fast = fast ? fast : FAST_COMMIT_BLOCKS;
	}
	l->end = l->max;
	if (l->max > fast && l->max - fast >= LOG_BLOCKS_MIN)
		l->end = l->max - fast;
	if (l->max > JOURNAL_BLOCKS_MAX)
		return unusable(l, -EFBIG, "it has over 10240000 blocks");
	if (l->first == 0 || l->first >= l->end)
		return unusable(l, -EBADMSG, "its superblock is malformed");
	if (start == 0)
		return 0;
	if (start < l->first || start >= l->end)
		return unusable(l, -EBADMSG, "its superblock is malformed");
	l->at = start;
	l->left = l->end - l->first;
	return 1;
}

static int replay_run(struct log *l, struct journal_log *out)
{
	size_t ntags, nrevokes;
	int r = begin(l);

	if (r < 0)
		return r;
	while (r > 0) {
		ntags = l->ntags;
		nrevokes = l->nrevokes;
		r = transaction(l);
		if (r == -EBADMSG) { /* no such block */
			l->damage = "a block of it is missing";
			r = 0;
		}
		if (r <= 0) {
			l->ntags = ntags;
			l->nrevokes = nrevokes;
			break;
		}
		l->seq++;
		out->ntransactions++;
	}
	if (r < 0)
		return r;
	r = find_fast_commits(l, &out->fast_commits);
	return r < 0 ? r : settle(l, out);
}

int journal_read(const struct journal_place *p, struct journal_log *out)
{
	struct log l = { .p = p };
	int r = -ENOMEM;

	*out = (struct journal_log){ 0 };
	l.block = malloc(p->block_size);
	l.data = malloc(p->block_size);
	if (l.block && l.data)
		r = replay_run(&l, out);
	out->damage = l.damage;
	free(l.block);
	free(l.data);
	free(l.tags);
	free(l.revokes);
	return r;
}

void journal_release(struct journal_log *l)
{
	free(l->patches);
	*l = (struct journal_log){ 0 };
}
