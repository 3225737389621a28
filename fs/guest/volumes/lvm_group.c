/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The logical volumes of a group: segments one behind the other, each of one
 * range of a physical volume, or dealt over several in stripes. What needs
 * more than addresses (thin, cache, raid, snapshots) says so.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/lvm_group_internal.h"

#define SECTOR 512u
#define EXTENT_MAX (UINT64_C(1) << 31) /* sectors */
#define COUNT_MAX (UINT64_C(1) << 40) /* extents */
#define SEGMENTS_MAX 4096
#define STRIPES_MAX 128
#define PVS_MAX 1024 /* of a group */

/* "AbCd-..." without its dashes. False where it is none. */
static bool plain_id(const char *text, char *out)
{
	size_t n = 0;

	for (; *text; text++) {
		if (*text == '-')
			continue;
		if (n == LVM_ID_LEN)
			return false;
		out[n++] = *text;
	}
	out[n] = '\0';
	return n == LVM_ID_LEN;
}

/* The group is the first section of the text. */
int lvm_group_init(struct lvm_group *g)
{
	const struct lvm_text *t = &g->text;
	uint64_t sectors, n = 0;
	uint32_t i, pv;

	for (i = t->nodes[0].child; i; i = t->nodes[i].next)
		if (t->nodes[i].kind == LVM_SECTION)
			break;
	if (!i)
		return -EBADMSG;
	g->node = i;
	g->name = t->nodes[i].key;
	if (!plain_id(lvm_text_string(t, i, "id"), g->id) ||
	    !lvm_text_number(t, i, "seqno", 0, INT64_MAX, &g->seqno) ||
	    !lvm_text_number(t, i, "extent_size", 1, EXTENT_MAX, &sectors))
		return -EBADMSG;
	g->extent = sectors * SECTOR;
	pv = lvm_text_find(t, i, "physical_volumes", LVM_SECTION);
	for (pv = pv ? t->nodes[pv].child : 0; pv; pv = t->nodes[pv].next)
		n++;
	return n <= PVS_MAX ? 0 : -EBADMSG;
}

/* Parts under construction; the ranges of all lie in one array. */
struct build {
	struct blocks_part parts[SEGMENTS_MAX];
	uint64_t starts[SEGMENTS_MAX]; /* extents */
	size_t n;
	struct blocks_stripe *ranges; /* owned */
	size_t nranges, cap;
	struct buf why; /* why it cannot be had */
};

/* Where a physical volume's extent @extent lies. */
static int find_extent(const struct lvm_set *s, const struct lvm_group *g,
		       const char *pv, uint64_t extent,
		       struct blocks_stripe *out, struct buf *why)
{
	const struct lvm_text *t = &g->text;
	uint32_t pvs =
		lvm_text_find(t, g->node, "physical_volumes", LVM_SECTION);
	uint32_t node = pvs ? lvm_text_find(t, pvs, pv, LVM_SECTION) : 0;
	char id[LVM_ID_LEN + 1];
	uint64_t start;

	if (!node) {
		buf_printf(why,
			   "a logical volume built of others (%.100s): "
			   "use the .raw file of the disk",
			   pv);
		return -EOPNOTSUPP;
	}
	if (!plain_id(lvm_text_string(t, node, "id"), id) ||
	    !lvm_text_number(t, node, "pe_start", 0, INT64_MAX / SECTOR,
			     &start))
		return -EBADMSG;
	out->b = lvm_pv(s, id);
	if (!out->b) {
		buf_printf(why,
			   "a logical volume whose physical volume %.100s "
			   "(last seen as %.100s) is on none of the disks of "
			   "this point",
			   pv, lvm_text_string(t, node, "device"));
		return -EOPNOTSUPP;
	}
	if (extent > (INT64_MAX - start * SECTOR) / g->extent)
		return -EBADMSG;
	out->off = start * SECTOR + extent * g->extent;
	return 0;
}

/* The pairs of "stripes". */
static int add_stripes(const struct lvm_set *s, const struct lvm_group *g,
		       uint32_t segment, struct build *b, uint64_t count)
{
	const struct lvm_text *t = &g->text;
	uint32_t i = lvm_text_find(t, segment, "stripes", LVM_ARRAY);
	uint64_t n;
	int r;

	i = i ? t->nodes[i].child : 0;
	for (n = 0; n < count; n++) {
		uint32_t extent = i ? t->nodes[i].next : 0;

		if (!extent || t->nodes[i].kind != LVM_STRING ||
		    t->nodes[extent].kind != LVM_NUMBER ||
		    t->nodes[extent].number < 0)
			return -EBADMSG;
		if (b->nranges == b->cap) {
			size_t cap = b->cap ? b->cap * 2 : 16;
			struct blocks_stripe *grown =
				realloc(b->ranges, cap * sizeof(*grown));

			if (!grown)
				return -ENOMEM;
			b->ranges = grown;
			b->cap = cap;
		}
		r = find_extent(s, g, t->nodes[i].text,
				(uint64_t)t->nodes[extent].number,
				&b->ranges[b->nranges], &b->why);
		if (r < 0)
			return r;
		b->nranges++;
		i = t->nodes[extent].next;
	}
	return 0;
}

static int add_segment(const struct lvm_set *s, const struct lvm_group *g,
		       uint32_t segment, struct build *b)
{
	const struct lvm_text *t = &g->text;
	const char *type = lvm_text_string(t, segment, "type");
	uint64_t start, count, stripes, size = 0;
	struct blocks_part *p = &b->parts[b->n];

	if (strcmp(type, "striped") != 0 && strcmp(type, "linear") != 0) {
		buf_printf(&b->why,
			   "a logical volume of type %.60s: only "
			   "linear and striped ones are read: use the .raw "
			   "file of the disk",
			   type[0] ? type : "?");
		return -EOPNOTSUPP;
	}
	if (b->n == SEGMENTS_MAX ||
	    !lvm_text_number(t, segment, "start_extent", 0, COUNT_MAX,
			     &start) ||
	    !lvm_text_number(t, segment, "extent_count", 1, COUNT_MAX,
			     &count) ||
	    !lvm_text_number(t, segment, "stripe_count", 1, STRIPES_MAX,
			     &stripes) ||
	    count > INT64_MAX / g->extent)
		return -EBADMSG;
	if (stripes > 1 &&
	    !lvm_text_number(t, segment, "stripe_size", 1, EXTENT_MAX, &size))
		return -EBADMSG;
	b->starts[b->n] = start;
	p->len = count * g->extent;
	p->stripe = size * SECTOR;
	p->nranges = (size_t)stripes;
	b->n++;
	return add_stripes(s, g, segment, b, stripes);
}

/* The segments are in order, and nothing lies between them. */
static int join(const struct lvm_group *g, struct build *b, struct blocks **out)
{
	uint64_t extents = 0;
	size_t i, range = 0;

	for (i = 0; i < b->n; i++) {
		if (b->starts[i] != extents)
			return -EBADMSG;
		extents += b->parts[i].len / g->extent;
		if (extents > INT64_MAX / g->extent)
			return -EBADMSG;
		b->parts[i].ranges = b->ranges + range;
		range += b->parts[i].nranges;
	}
	return blocks_join(b->parts, b->n, out);
}

/* Return 0, -ENOMEM, or another error and the reason in b->why. */
static int build(const struct lvm_set *s, const struct lvm_group *g,
		 uint32_t lv, struct build *b, struct blocks **out)
{
	const struct lvm_text *t = &g->text;
	uint64_t count = 0, i;
	char key[32];
	uint32_t node;
	int r = 0;

	if (!lvm_text_number(t, lv, "segment_count", 1, SEGMENTS_MAX, &count))
		r = -EBADMSG;
	for (i = 0; i < count && r == 0; i++) {
		snprintf(key, sizeof(key), "segment%u", (unsigned int)i + 1);
		node = lvm_text_find(t, lv, key, LVM_SECTION);
		r = node ? add_segment(s, g, node, b) : -EBADMSG;
	}
	if (r == 0)
		r = join(g, b, out);
	if (r == -ERANGE) {
		buf_printf(&b->why, "a logical volume that reaches past the "
				    "end of its physical volume");
	} else if (r < 0 && b->why.len == 0) {
		buf_printf(&b->why, "a logical volume whose description is "
				    "damaged");
	}
	return r;
}

static int each_of_group(const struct lvm_set *s, const struct lvm_group *g,
			 struct build *b, lvm_fn *fn, void *arg)
{
	const struct lvm_text *t = &g->text;
	uint32_t i = lvm_text_find(t, g->node, "logical_volumes", LVM_SECTION);
	struct blocks *blocks;
	int r = 0;

	for (i = i ? t->nodes[i].child : 0; i && r == 0; i = t->nodes[i].next) {
		if (t->nodes[i].kind != LVM_SECTION ||
		    !lvm_text_has(t, i, "status", "VISIBLE"))
			continue; /* parts of others are not shown */
		b->n = b->nranges = 0;
		buf_clear(&b->why);
		blocks = NULL;
		r = build(s, g, i, b, &blocks);
		buf_put_u8(&b->why, 0);
		if (r == -ENOMEM || buf_error(&b->why) < 0) {
			blocks_put(blocks);
			return -ENOMEM;
		}
		r = fn(arg, g->name, t->nodes[i].key, blocks,
		       r < 0 ? (const char *)b->why.data : NULL);
		blocks_put(blocks);
	}
	return r;
}

int lvm_each(struct lvm_set *s, lvm_fn *fn, void *arg)
{
	struct build *b = calloc(1, sizeof(*b));
	size_t i;
	int r = 0;

	if (!b)
		return -ENOMEM;
	for (i = 0; i < s->ngroups && r == 0; i++)
		r = each_of_group(s, &s->groups[i], b, fn, arg);
	free(b->ranges);
	buf_release(&b->why);
	free(b);
	return r;
}
