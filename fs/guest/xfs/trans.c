/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Transactions, put together from the operations of the log's records. Several may be
 * on the way at a time; a region may go on in the next record.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/log_internal.h"
#include "store/base/array.h"
#include "store/base/bytes.h"

enum {
	OP_LEN = 12,
	OP_START = 1,
	OP_COMMIT = 2,
	OP_CONTINUE = 4, /* goes on in the next record */
	OP_CONTINUED = 8, /* went on from the last one */
	OP_END = 16,
	OP_UNMOUNT = 32,
	CLIENT_TRANSACTION = 0x69,
	CLIENT_LOG = 0xaa,
	HEADER_LEN = 16,
	HEADER_MAGIC = 0x5452414e, /* TRAN */
	REGIONS_MAX = 257, /* of an item */
	OPEN_MAX = 128,
	OVERHEAD = 64, /* of a region, for the bound */
};
#define BYTES_MAX (256u << 20)

static void trans_free(struct xfs_trans *t)
{
	size_t i;
	unsigned int j;

	for (i = 0; i < t->n; i++) {
		for (j = 0; j < t->items[i].n; j++)
			free(t->items[i].regions[j].data);
		free(t->items[i].regions);
	}
	free(t->items);
	free(t);
}

void xfs_gather_release(struct xfs_gather *g)
{
	struct xfs_trans *t;

	while ((t = g->open)) {
		g->open = t->next;
		trans_free(t);
	}
	g->nopen = 0;
}

/* The last item, or a new one where that is whole; NULL: no memory. */
static struct xfs_item *item_current(struct xfs_trans *t)
{
	struct xfs_item *p;

	if (t->n && t->items[t->n - 1].n < t->items[t->n - 1].total)
		return &t->items[t->n - 1];
	if (array_reserve(&t->items, &t->cap, t->n + 1) < 0)
		return NULL;
	p = &t->items[t->n];
	memset(p, 0, sizeof(*p));
	return p;
}

static int region_add(struct xfs_trans *t, const uint8_t *data, size_t len)
{
	struct xfs_item *item = item_current(t);
	struct xfs_region *to;
	unsigned int total;

	if (!item)
		return -ENOMEM;
	if (!item->total) {
		/* The first region of each kind begins with type and count. */
		total = len < 4 ? 0 : get_le16(data + 2);
		if (!total || total > REGIONS_MAX)
			return -EBADMSG;
		item->regions = alloc_array(total, sizeof(*item->regions));
		if (!item->regions)
			return -ENOMEM;
		t->bytes += total * sizeof(*item->regions);
		item->total = total;
		t->n++;
	}
	to = &item->regions[item->n];
	to->data = malloc(len);
	if (!to->data)
		return -ENOMEM;
	memcpy(to->data, data, len);
	to->len = len;
	item->n++;
	return 0;
}

/* More of the last region. */
static int region_extend(struct xfs_trans *t, const uint8_t *data, size_t len)
{
	struct xfs_region *to;
	struct xfs_item *item;
	uint8_t *p;

	if (!t->n)
		return -EBADMSG;
	item = &t->items[t->n - 1];
	to = &item->regions[item->n - 1];
	p = realloc(to->data, to->len + len);
	if (!p)
		return -ENOMEM;
	memcpy(p + to->len, data, len);
	to->data = p;
	to->len += len;
	return 0;
}

static int trans_add(struct xfs_gather *g, struct xfs_trans *t,
		     const uint8_t *data, size_t len, bool continued)
{
	size_t before;
	int r;

	if (!len)
		return 0;
	if (t->header_len < HEADER_LEN) {
		if (len > HEADER_LEN - t->header_len ||
		    (!t->header_len &&
		     (len < 4 || get_le32(data) != HEADER_MAGIC)))
			return -EBADMSG;
		t->header_len += len;
		return 0;
	}
	if (g->bytes > BYTES_MAX)
		return -EFBIG;
	before = t->bytes;
	t->bytes += len + (continued ? 0 : OVERHEAD);
	r = continued ? region_extend(t, data, len) : region_add(t, data, len);
	g->bytes += t->bytes - before;
	return r;
}

static int trans_commit(struct xfs_gather *g, struct xfs_trans *t)
{
	size_t i;

	for (i = 0; i < t->n; i++)
		if (t->items[i].n != t->items[i].total)
			return -EBADMSG;
	return g->fn(g->arg, t);
}

static void gather_drop(struct xfs_gather *g, struct xfs_trans **at)
{
	struct xfs_trans *t = *at;

	*at = t->next;
	g->nopen--;
	g->bytes -= t->bytes;
	trans_free(t);
}

static int gather_begin(struct xfs_gather *g, uint32_t tid, uint64_t lsn)
{
	struct xfs_trans *t;

	if (g->nopen >= OPEN_MAX)
		return -EFBIG;
	t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->tid = tid;
	t->lsn = lsn;
	t->next = g->open;
	g->open = t;
	g->nopen++;
	return 0;
}

static int gather_op(struct xfs_gather *g, uint64_t lsn, const uint8_t *op,
		     size_t len)
{
	uint32_t tid = be32(op);
	uint8_t flags = op[9];
	struct xfs_trans **at;
	int r;

	if (op[8] != CLIENT_TRANSACTION && op[8] != CLIENT_LOG)
		return -EBADMSG;
	for (at = &g->open; *at && (*at)->tid != tid;)
		at = &(*at)->next;
	/* What began before the tail is on the disk. */
	if (!*at)
		return flags & OP_START ? gather_begin(g, tid, lsn) : 0;
	flags &= (uint8_t)~OP_END;
	if (flags & OP_CONTINUED)
		flags &= (uint8_t)~OP_CONTINUE;
	switch (flags) {
	case 0:
	case OP_CONTINUE:
		return trans_add(g, *at, op + OP_LEN, len, false);
	case OP_CONTINUED:
		return trans_add(g, *at, op + OP_LEN, len, true);
	case OP_COMMIT:
		r = trans_commit(g, *at);
		gather_drop(g, at);
		return r;
	case OP_UNMOUNT:
		gather_drop(g, at);
		return 0;
	default:
		return -EBADMSG;
	}
}

int xfs_gather_record(struct xfs_gather *g, const struct xfs_record *rec)
{
	size_t off = 0, len;
	uint32_t n;
	int r;

	for (n = rec->nops; n; n--) {
		if (rec->len - off < OP_LEN)
			return -EBADMSG;
		len = be32(rec->ops + off + 4);
		if (len > rec->len - off - OP_LEN)
			return -EBADMSG;
		r = gather_op(g, rec->lsn, rec->ops + off, len);
		if (r)
			return r;
		off += OP_LEN + len;
	}
	return 0;
}
