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
#include "store/base/array.h"

#define SECTOR 512u
#define EXTENT_MAX (UINT64_C(1) << 31) /* sectors */
#define COUNT_MAX (UINT64_C(1) << 40) /* extents */
#define SEGMENTS_MAX 4096
#define STRIPES_MAX 128
#define PVS_MAX 1024 /* of a group */

struct blocks *lvm_find_pv(const struct lvm_set *s, const char *id)
{
	size_t i;

	for (i = 0; i < s->npvs; i++)
		if (strcmp(s->pvs[i].id, id) == 0)
			return s->pvs[i].b;
	return NULL;
}

/* Take the dashes out of an id such as "AbCd-...". Return false where it is no
 * id. */
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
struct assembly {
	struct blocks_part parts[SEGMENTS_MAX];
	uint64_t starts[SEGMENTS_MAX]; /* extents */
	size_t n;
	struct blocks_stripe *ranges; /* owned */
	size_t nranges, cap;
	struct buf why; /* why it cannot be had */
};

/* Find out where a physical volume's extent @extent lies. */
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
	out->b = lvm_find_pv(s, id);
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

/* Add the ranges that the pairs of "stripes" name. */
static int add_stripes(const struct lvm_set *s, const struct lvm_group *g,
		       uint32_t segment, struct assembly *b, uint64_t count)
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
		if (array_reserve(&b->ranges, &b->cap, b->nranges + 1) < 0)
			return -ENOMEM;
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
		       uint32_t segment, struct assembly *b)
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

/* Join the segments, which must be in order with nothing between them. */
static int join_segments(const struct lvm_group *g, struct assembly *b,
			 struct blocks **out)
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

/* Put together one logical volume. Return 0, -ENOMEM, or another error and the
 * reason in b->why. */
static int assemble(const struct lvm_set *s, const struct lvm_group *g,
		    uint32_t lv, struct assembly *b, struct blocks **out)
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
		r = join_segments(g, b, out);
	if (r == -ERANGE) {
		buf_printf(&b->why, "a logical volume that reaches past the "
				    "end of its physical volume");
	} else if (r < 0 && b->why.len == 0) {
		buf_printf(&b->why, "a logical volume whose description is "
				    "damaged");
	}
	return r;
}

/*
 * Is a snapshot being merged into @origin? Then the group has a hidden volume
 * of type "snapshot" that names a "merging_store" instead of its "cow_store",
 * and the machine sees the origin with the snapshot's blocks laid over it.
 */
static bool is_merging(const struct lvm_text *t, uint32_t volumes,
		       const char *origin)
{
	uint32_t i, segment;

	for (i = t->nodes[volumes].child; i; i = t->nodes[i].next) {
		if (t->nodes[i].kind != LVM_SECTION)
			continue;
		segment = lvm_text_find(t, i, "segment1", LVM_SECTION);
		if (segment &&
		    strcmp(lvm_text_string(t, segment, "type"), "snapshot") ==
			    0 &&
		    lvm_text_string(t, segment, "merging_store")[0] &&
		    strcmp(lvm_text_string(t, segment, "origin"), origin) == 0)
			return true;
	}
	return false;
}

/* Tell of the volume at @node, which is one of @volumes. */
static int tell(const struct lvm_set *s, const struct lvm_group *g,
		uint32_t volumes, uint32_t node, struct assembly *b, lvm_fn *fn,
		void *arg)
{
	const struct lvm_text *t = &g->text;
	struct lvm_volume v = { .vg = g->name,
				.lv = t->nodes[node].key,
				.note = "" };
	int r;

	b->n = b->nranges = 0;
	buf_clear(&b->why);
	r = assemble(s, g, node, b, &v.blocks);
	buf_put_u8(&b->why, 0);
	if (r == -ENOMEM || buf_error(&b->why) < 0) {
		blocks_put(v.blocks);
		return -ENOMEM;
	}
	if (r < 0)
		v.why = (const char *)b->why.data;
	else if (is_merging(t, volumes, v.lv))
		v.note = "a snapshot was being merged into this logical "
			 "volume: what is shown is without the blocks that "
			 "were not merged yet";
	r = fn(arg, &v);
	blocks_put(v.blocks);
	return r;
}

static int each_of_group(const struct lvm_set *s, const struct lvm_group *g,
			 struct assembly *b, lvm_fn *fn, void *arg)
{
	const struct lvm_text *t = &g->text;
	uint32_t volumes =
		lvm_text_find(t, g->node, "logical_volumes", LVM_SECTION);
	uint32_t i = volumes ? t->nodes[volumes].child : 0;
	int r = 0;

	/* Those that are not visible are parts of others. */
	for (; i && r == 0; i = t->nodes[i].next)
		if (t->nodes[i].kind == LVM_SECTION &&
		    lvm_text_has(t, i, "status", "VISIBLE"))
			r = tell(s, g, volumes, i, b, fn, arg);
	return r;
}

int lvm_each(const struct lvm_set *s, lvm_fn *fn, void *arg)
{
	struct assembly *b = calloc(1, sizeof(*b));
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
