/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the transactions of the log change. A buffer that was given up is not
 * touched by what was logged of it before; blocks that carry a sequence number are not
 * taken back behind it. What only matters to free space, quotas and the counts
 * of sharing is carried along or passed over: no reader looks there.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/log_internal.h"
#include "store/base/bytes.h"

enum item_type {
	ITEM_EFI = 0x1236, /* the first of the known ones */
	ITEM_INODE = 0x123b,
	ITEM_BUFFER = 0x123c,
	ITEM_ICREATE = 0x123f,
	ITEM_BMAP = 0x1244, /* a change of a file's extents to come */
	ITEM_BMAP_DONE = 0x1245,
	ITEM_ATTR = 0x1246, /* the same of an attribute */
	ITEM_ATTR_DONE = 0x1247,
	ITEM_EXCHANGE = 0x1248, /* of two files' extents */
	ITEM_EXCHANGE_DONE = 0x1249,
	ITEM_LAST = 0x124f,
};

enum {
	BUFFER_INODES = 1,
	BUFFER_CANCEL = 2,
	BUFFER_QUOTA = 4 | 8 | 16,
	BUFFER_HEADER = 24,
	BUFFER_BLOCKS_MAX = 128, /* 64 KiB */
	PIECE = 128, /* bytes for each bit */
	BUCKETS = 1 << 14,
	CANCELS_MAX = 1 << 20,
	INTENTS_MAX = 1 << 16,
};

struct xfs_cancel {
	struct xfs_cancel *next;
	uint64_t blkno;
	uint32_t len;
	uint32_t times;
};

/* The description of a logged buffer. */
struct buffer {
	uint16_t flags;
	uint32_t len; /* of 512 bytes */
	uint64_t blkno;
	const uint8_t *bits;
	size_t nbits;
};

void xfs_replay_release(struct xfs_replay *p)
{
	struct xfs_cancel *c;
	size_t i;

	for (i = 0; p->cancels && i < BUCKETS; i++)
		while ((c = p->cancels[i])) {
			p->cancels[i] = c->next;
			free(c);
		}
	free(p->cancels);
	free(p->intents);
	p->cancels = NULL;
	p->intents = NULL;
}

/* ---- buffers that were given up ---- */

static struct xfs_cancel **cancel_find(struct xfs_replay *p, uint64_t blkno,
				       uint32_t len)
{
	struct xfs_cancel **at;

	at = &p->cancels[(blkno * UINT64_C(0x9e3779b97f4a7c15)) >> 40 &
			 (BUCKETS - 1)];
	while (*at && ((*at)->blkno != blkno || (*at)->len != len))
		at = &(*at)->next;
	return at;
}

static int cancel_add(struct xfs_replay *p, const struct buffer *b)
{
	struct xfs_cancel **at, *c;

	if (!p->cancels)
		p->cancels = alloc_array(BUCKETS, sizeof(*p->cancels));
	if (!p->cancels)
		return -ENOMEM;
	at = cancel_find(p, b->blkno, b->len);
	if (*at) {
		(*at)->times++;
		return 0;
	}
	if (p->ncancels++ >= CANCELS_MAX)
		return -EFBIG;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	c->blkno = b->blkno;
	c->len = b->len;
	c->times = 1;
	*at = c;
	return 0;
}

bool xfs_replay_cancelled(struct xfs_replay *p, uint64_t blkno, uint32_t len,
			  bool done)
{
	struct xfs_cancel *c;

	if (!p->cancels)
		return false;
	c = *cancel_find(p, blkno, len);
	if (!c || !c->times)
		return false;
	if (done)
		c->times--;
	return true;
}

/* ---- buffers ---- */

static unsigned int item_type(const struct xfs_item *item)
{
	return get_le16(item->regions[0].data);
}

static int buffer_decode(const struct xfs_item *item, struct buffer *out)
{
	const struct xfs_region *r = &item->regions[0];
	const uint8_t *p = r->data;
	uint32_t words;

	if (r->len < 20)
		return -EBADMSG;
	out->flags = get_le16(p + 4);
	out->len = get_le16(p + 6);
	out->blkno = get_le64(p + 8);
	words = get_le32(p + 16);
	if (out->len > BUFFER_BLOCKS_MAX || out->blkno >= UINT64_C(1) << 53 ||
	    words > (r->len - 20) / 4)
		return -EBADMSG;
	out->bits = p + 20;
	out->nbits = MIN((size_t)words * 32, out->len * LOG_BLOCK / PIECE);
	return 0;
}

static bool bit_set(const struct buffer *b, size_t i)
{
	return i < b->nbits && get_le32(b->bits + i / 32 * 4) >> i % 32 & 1;
}

/* Where a block of version 5 has its sequence number and the UUID. */
static bool lsn_at(const uint8_t *p, size_t *lsn, size_t *uuid)
{
	static const struct {
		uint32_t magic;
		uint16_t lsn, uuid;
	} kinds[] = {
		{ 0x41423342, 24, 32 }, /* AB3B: free space by place */
		{ 0x41423343, 24, 32 }, /* AB3C: by size */
		{ 0x524d4233, 24, 32 }, /* RMB3: owners */
		{ 0x52334643, 24, 32 }, /* R3FC: sharing */
		{ 0x49414233, 24, 32 }, /* IAB3: inodes */
		{ 0x46494233, 24, 32 }, /* FIB3: free inodes */
		{ 0x424d4133, 32, 40 }, /* BMA3: extents of a file */
		{ 0x58414746, 208, 64 }, /* XAGF */
		{ 0x5841464c, 24, 8 }, /* XAFL */
		{ 0x58414749, 320, 296 }, /* XAGI */
		{ 0x58534c4d, 48, 16 }, /* XSLM: a link's target */
		{ 0x58444233, 16, 24 }, /* XDB3, XDD3, XDF3: directories */
		{ 0x58444433, 16, 24 },	  { 0x58444633, 16, 24 },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (be32(p) != kinds[i].magic)
			continue;
		*lsn = kinds[i].lsn;
		*uuid = kinds[i].uuid;
		return true;
	}
	switch (be16(p + 8)) {
	case XFS_DIR3_LEAF1:
	case XFS_DIR3_LEAFN:
	case XFS_DA3_NODE:
	case XFS_ATTR3_LEAF:
		*lsn = 24;
		*uuid = 32;
		return true;
	default:
		return false;
	}
}

/* Is what the volume has there as new as transaction @lsn, or newer? */
static int buffer_newer(struct xfs_replay *p, const struct buffer *b,
			uint64_t lsn, bool *out)
{
	uint8_t head[LOG_BLOCK];
	const uint8_t *uuid = p->sb->meta_uuid;
	size_t at = 0, id = 0;
	uint64_t have;
	int r;

	*out = false;
	if (!p->sb->v5)
		return 0;
	r = xfs_overlay_read(p->overlay, b->blkno * LOG_BLOCK, head,
			     sizeof(head));
	if (r < 0)
		return r;
	if (be32(head) == XFS_SB_MAGIC) {
		at = 240;
		id = 32;
		uuid = p->sb->uuid;
	} else if (!lsn_at(head, &at, &id)) {
		return 0;
	}
	have = be64(head + at);
	*out = have && have != UINT64_MAX && have >= lsn &&
	       memcmp(head + id, uuid, XFS_UUID_LEN) == 0;
	return 0;
}

/* The changed pieces follow each other as regions, each of one or several. */
static int buffer_write(struct xfs_replay *p, const struct xfs_item *item,
			const struct buffer *b)
{
	const struct xfs_region *from;
	unsigned int region = 1;
	size_t i = 0, n;
	int r;

	while (i < b->nbits) {
		if (!bit_set(b, i)) {
			i++;
			continue;
		}
		if (region >= item->n)
			return -EBADMSG;
		from = &item->regions[region++];
		for (n = 0; bit_set(b, i + n);)
			n++;
		n = MIN(n, from->len / PIECE);
		if (!n)
			return -EBADMSG;
		r = xfs_overlay_write(p->overlay,
				      b->blkno * LOG_BLOCK + i * PIECE,
				      from->data, n * PIECE);
		if (r < 0)
			return r;
		i += n;
	}
	return 0;
}

static int apply_buffer(struct xfs_replay *p, const struct xfs_trans *t,
			const struct xfs_item *item)
{
	struct buffer b;
	bool newer;
	int r;

	r = buffer_decode(item, &b);
	if (r < 0)
		return r;
	if (xfs_replay_cancelled(p, b.blkno, b.len, b.flags & BUFFER_CANCEL) ||
	    b.flags & BUFFER_CANCEL)
		return 0;
	/* Of inodes it is only the list of those without a name. */
	if (b.flags & (BUFFER_INODES | BUFFER_QUOTA))
		return 0;
	r = buffer_newer(p, &b, t->lsn, &newer);
	return r || newer ? r : buffer_write(p, item, &b);
}

/* ---- changes to come ---- */

static int intent(struct xfs_replay *p, const struct xfs_item *item, bool done)
{
	uint64_t id;
	size_t i;

	if (item->regions[0].len < 16)
		return -EBADMSG;
	id = get_le64(item->regions[0].data + 8);
	if (!done) {
		if (!p->intents)
			p->intents = alloc_array(INTENTS_MAX, sizeof(id));
		if (!p->intents)
			return -ENOMEM;
		if (p->nintents >= INTENTS_MAX)
			return -EFBIG;
		p->intents[p->nintents++] = id;
		return 0;
	}
	/* The one that began last is most often the one that is done. */
	for (i = p->nintents; i-- > 0;) {
		if (p->intents[i] != id)
			continue;
		p->intents[i] = p->intents[--p->nintents];
		break;
	}
	return 0;
}

/* ---- transactions ---- */

int xfs_replay_cancels(void *arg, struct xfs_trans *t)
{
	struct xfs_replay *p = arg;
	struct buffer b;
	size_t i;
	int r;

	for (i = 0; i < t->n; i++) {
		if (item_type(&t->items[i]) != ITEM_BUFFER)
			continue;
		r = buffer_decode(&t->items[i], &b);
		if (!r && b.flags & BUFFER_CANCEL)
			r = cancel_add(p, &b);
		if (r < 0)
			return r;
	}
	return 0;
}

static int apply_item(struct xfs_replay *p, struct xfs_trans *t,
		      const struct xfs_item *item)
{
	switch (item_type(item)) {
	case ITEM_BUFFER:
		return apply_buffer(p, t, item);
	case ITEM_INODE:
		return xfs_replay_inode(p, t, item);
	case ITEM_ICREATE:
		return xfs_replay_icreate(p, item);
	case ITEM_BMAP:
	case ITEM_ATTR:
	case ITEM_EXCHANGE:
		return intent(p, item, false);
	case ITEM_BMAP_DONE:
	case ITEM_ATTR_DONE:
	case ITEM_EXCHANGE_DONE:
		return intent(p, item, true);
	default:
		return item_type(item) < ITEM_EFI || item_type(item) > ITEM_LAST
			       ? -EOPNOTSUPP
			       : 0;
	}
}

/* In which turn an item of a transaction comes. */
static unsigned int turn_of(const struct xfs_item *item)
{
	struct buffer b;

	if (item_type(item) == ITEM_ICREATE)
		return 0;
	if (item_type(item) != ITEM_BUFFER || buffer_decode(item, &b) < 0)
		return 1;
	return b.flags & BUFFER_CANCEL ? 3 : b.flags & BUFFER_INODES ? 2 : 0;
}

int xfs_replay_apply(void *arg, struct xfs_trans *t)
{
	unsigned int turn;
	size_t i;
	int r;

	for (turn = 0; turn < 4; turn++)
		for (i = 0; i < t->n; i++) {
			if (turn_of(&t->items[i]) != turn)
				continue;
			r = apply_item(arg, t, &t->items[i]);
			if (r < 0)
				return r;
		}
	return 0;
}
