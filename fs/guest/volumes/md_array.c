/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The arrays of Linux MD RAID, out of the members that were found.
 *
 * A member may be there and yet hold nothing of use: a spare, one that was
 * thrown out months ago, or one that is just being rebuilt. The member with
 * the most events knows best which of them that are: what its superblock says
 * counts for all. A member one event behind is as good, for the kernel writes
 * the superblocks one after the other.
 *
 * Mirrors, linear ones, RAID0 and RAID10 with near copies are ranges of their
 * members, one behind the other or dealt in chunks. RAID4, 5 and 6 are not
 * read.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/md_internal.h"

#define SECTOR 512u
#define LEVEL_LINEAR (-1)
#define RAID0_LAYOUT_ALTERNATE 2
#define NEAR_MASK 0xffu
#define FAR_SHIFT 8

struct array {
	const struct md_set *set;
	const struct md_member *fresh; /* with the most events */
	const struct md_member **slots; /* by role; NULL: missing; owned */
	struct md_part *parts; /* of all members; owned */
	size_t nparts;
	uint32_t nin_use; /* roles that the freshest member knows as good */
	uint32_t nfilled; /* of them that are here */
	struct buf why, note;
};

/* ---- who is who ---- */

static uint32_t role_of(const struct array *a, const struct md_member *m)
{
	return m->number < a->fresh->nroles ? a->fresh->roles[m->number]
					    : MD_ROLE_SPARE;
}

static bool same_form(const struct md_member *a, const struct md_member *b)
{
	return a->level == b->level && a->layout == b->layout &&
	       a->chunk == b->chunk && a->raid_disks == b->raid_disks;
}

/* Why a member is not used, or NULL where it is, in the place @role. */
static const char *why_not(const struct array *a, const struct md_member *m,
			   uint32_t role)
{
	if (role == MD_ROLE_JOURNAL)
		return "the journal of a Linux MD RAID: it holds no files";
	if (m->events + 1 < a->fresh->events || role == MD_ROLE_FAULTY)
		return "a member of a Linux MD RAID that was left behind: the "
		       "array went on without it, so what it holds is old";
	if (role >= a->fresh->raid_disks)
		return "a spare of a Linux MD RAID: it holds none of the "
		       "array's data";
	if (m->recovering || m->replacement)
		return "a member of a Linux MD RAID that was being rebuilt: it "
		       "does not hold all of the data";
	if (!same_form(a->fresh, m))
		return "a member of a Linux MD RAID whose superblock does not "
		       "go with those of the others";
	if (a->slots[role])
		return "a copy of another member of its Linux MD RAID, which "
		       "is used in its place";
	return NULL;
}

static void count_in_use(struct array *a)
{
	uint32_t i, j;

	for (i = 0; i < a->fresh->raid_disks; i++)
		for (j = 0; j < a->fresh->nroles; j++)
			if (a->fresh->roles[j] == i) {
				a->nin_use++;
				break;
			}
}

/* Put the members of the array that @first belongs to in their places. */
static int gather_members(struct array *a, size_t first)
{
	const struct md_set *s = a->set;
	bool possible;
	size_t i;

	a->fresh = &s->members[first];
	for (i = first; i < s->n; i++)
		if (memcmp(s->members[i].uuid, s->members[first].uuid, 16) ==
			    0 &&
		    s->members[i].events > a->fresh->events)
			a->fresh = &s->members[i];
	possible = a->fresh->raid_disks > 0 &&
		   a->fresh->raid_disks <= MD_DEVICES_MAX;
	if (possible)
		a->slots = alloc_array(a->fresh->raid_disks, sizeof(*a->slots));
	if (possible && !a->slots)
		return -ENOMEM;
	for (i = first; i < s->n; i++) {
		const struct md_member *m = &s->members[i];
		struct md_part *p = &a->parts[a->nparts];
		uint32_t role;

		if (memcmp(m->uuid, a->fresh->uuid, 16) != 0)
			continue;
		role = role_of(a, m);
		p->tag = m->tag;
		p->why = possible ? why_not(a, m, role) : NULL;
		a->nparts++;
		if (!possible || p->why)
			continue;
		a->slots[role] = m;
		a->nfilled++;
	}
	if (!possible)
		return -EBADMSG;
	count_in_use(a);
	return 0;
}

/* ---- the levels ---- */

/* How many sectors of a member are the array's, in whole chunks. */
static uint64_t used_of(const struct array *a, const struct md_member *m)
{
	uint64_t len = m->data_len;

	/* Only where all are of one size does the superblock tell it. */
	if (m->level >= 1 && m->size)
		len = MIN(len, m->size);
	return a->fresh->chunk ? len - len % a->fresh->chunk : len;
}

static int missing(struct array *a)
{
	buf_printf(&a->why,
		   "a member of a Linux MD RAID of level %d of which %u of %u "
		   "members are in this point: that is not enough",
		   a->fresh->level, a->nfilled, a->fresh->raid_disks);
	return -EOPNOTSUPP;
}

static int open_mirror(struct array *a, const struct md_member **used,
		       struct blocks **out)
{
	uint64_t len;
	uint32_t i;

	for (i = 0; i < a->fresh->raid_disks; i++)
		if (a->slots[i])
			break;
	if (i == a->fresh->raid_disks)
		return missing(a);
	*used = a->slots[i];
	len = a->slots[i]->data_len;
	if (a->slots[i]->size)
		len = MIN(len, a->slots[i]->size);
	return blocks_slice(a->slots[i]->b, a->slots[i]->data_off * SECTOR,
			    len * SECTOR, out);
}

static int open_linear(struct array *a, struct blocks **out)
{
	uint32_t i, n = a->fresh->raid_disks;
	struct blocks_part *parts = alloc_array(n, sizeof(*parts));
	struct blocks_stripe *ranges = alloc_array(n, sizeof(*ranges));
	int r = parts && ranges ? 0 : -ENOMEM;

	for (i = 0; i < n && r == 0; i++) {
		const struct md_member *m = a->slots[i];

		if (!m) {
			r = missing(a);
			break;
		}
		ranges[i].b = m->b;
		ranges[i].off = m->data_off * SECTOR;
		parts[i].len = used_of(a, m) * SECTOR;
		parts[i].ranges = &ranges[i];
		parts[i].nranges = 1;
	}
	if (r == 0)
		r = blocks_join(parts, n, out);
	free(parts);
	free(ranges);
	return r;
}

/* One zone: a stripe over those of @from whose data reach behind @start. */
static uint64_t add_zone(const struct array *a,
			 const struct md_member *const *from, uint32_t n,
			 uint64_t start, struct blocks_part *part,
			 struct blocks_stripe *ranges)
{
	uint64_t end = UINT64_MAX;
	uint32_t i;

	part->ranges = ranges;
	part->nranges = 0;
	part->stripe = (uint64_t)a->fresh->chunk * SECTOR;
	for (i = 0; i < n; i++) {
		uint64_t used = used_of(a, from[i]);

		if (used <= start)
			continue;
		end = MIN(end, used);
		ranges[part->nranges].b = from[i]->b;
		ranges[part->nranges++].off =
			(from[i]->data_off + start) * SECTOR;
	}
	if (part->nranges == 0)
		return 0;
	part->len = (end - start) * SECTOR * part->nranges;
	return end;
}

/*
 * Deal chunks over @n members. Where they are not of one size, those that are
 * longer form further zones (drivers/md/raid0.c), as many as there are members
 * at most; kernels before 3.14 dealt these in another way.
 */
static int open_striped(struct array *a, const struct md_member *const *from,
			uint32_t n, struct blocks **out)
{
	struct blocks_part *parts = alloc_array(n, sizeof(*parts));
	struct blocks_stripe *ranges =
		alloc_array((size_t)n * n, sizeof(*ranges));
	uint64_t start = 0, end;
	uint32_t nparts = 0;
	int r = parts && ranges ? 0 : -ENOMEM;

	while (r == 0 && nparts < n) {
		end = add_zone(a, from, n, start, &parts[nparts],
			       ranges + (size_t)nparts * n);
		if (end == 0)
			break;
		if (parts[nparts].len / SECTOR / parts[nparts].nranges !=
		    end - start)
			r = -EBADMSG;
		start = end;
		nparts++;
	}
	if (r == 0 && nparts > 1 && a->fresh->level == 0 &&
	    a->fresh->layout != RAID0_LAYOUT_ALTERNATE) {
		buf_printf(&a->why, "a member of a Linux MD RAID0 of members "
				    "of several sizes, which does not say how "
				    "they are laid out: use the .raw files");
		r = -EOPNOTSUPP;
	}
	if (r == 0)
		r = blocks_join(parts, nparts, out);
	free(parts);
	free(ranges);
	return r;
}

static int open_raid0(struct array *a, struct blocks **out)
{
	uint32_t i;

	if (a->fresh->chunk == 0)
		return -EBADMSG;
	for (i = 0; i < a->fresh->raid_disks; i++)
		if (!a->slots[i])
			return missing(a);
	return open_striped(a, a->slots, a->fresh->raid_disks, out);
}

/* Each chunk lies on so many members one beside the other: a RAID0 over groups
 * of mirrors, where the number of members can be divided by that of copies. */
static int open_raid10(struct array *a, struct blocks **out)
{
	uint32_t n = a->fresh->raid_disks,
		 copies = a->fresh->layout & NEAR_MASK;
	const struct md_member **groups;
	uint32_t i;
	int r = 0;

	if (a->fresh->layout >> FAR_SHIFT != 1 || copies == 0 ||
	    n % copies != 0) {
		buf_printf(&a->why,
			   "a member of a Linux MD RAID10 of layout %#x: only "
			   "near copies are read: use the .raw files",
			   a->fresh->layout);
		return -EOPNOTSUPP;
	}
	if (a->fresh->chunk == 0 || a->fresh->size == 0)
		return -EBADMSG;
	groups = alloc_array(n, sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	for (i = 0; i < n; i++)
		if (!groups[i / copies])
			groups[i / copies] = a->slots[i];
	for (i = 0; i < n / copies && r == 0; i++)
		if (!groups[i])
			r = missing(a);
	if (r == 0)
		r = open_striped(a, groups, n / copies, out);
	free(groups);
	return r;
}

static int open_array(struct array *a, const struct md_member **used,
		      struct blocks **out)
{
	if (a->fresh->reshaping) {
		buf_printf(&a->why, "a member of a Linux MD RAID that was "
				    "being reshaped: use the .raw files");
		return -EOPNOTSUPP;
	}
	switch (a->fresh->level) {
	case LEVEL_LINEAR:
		return open_linear(a, out);
	case 0:
		return open_raid0(a, out);
	case 1:
		return open_mirror(a, used, out);
	case 10:
		return open_raid10(a, out);
	default:
		buf_printf(&a->why,
			   "a member of a Linux MD RAID of level %d, which is "
			   "not read: use the .raw files",
			   a->fresh->level);
		return -EOPNOTSUPP;
	}
}

/* ---- telling ---- */

/* The words of an error without any; what a member that is used is not. */
static int explain(struct array *a, int r)
{
	if (r < 0 && r != -ENOMEM && a->why.len == 0)
		buf_printf(&a->why, "a member of a Linux MD RAID whose "
				    "superblock is damaged");
	/* A member that was in use, and is not here, may hold newer data. */
	if (r == 0 && a->nfilled < a->nin_use)
		buf_printf(&a->note,
			   "%u of %u members of this Linux MD RAID are in this "
			   "point: where the array went on without them, what "
			   "is shown is old",
			   a->nfilled, a->nin_use);
	buf_put_u8(&a->why, 0);
	buf_put_u8(&a->note, 0);
	if (buf_error(&a->why) < 0 || buf_error(&a->note) < 0)
		return -ENOMEM;
	return r;
}

static int tell(struct array *a, size_t first, md_fn *fn, void *arg)
{
	const struct md_member *used = &a->set->members[first];
	struct blocks *blocks = NULL;
	struct md_array told;
	int r = gather_members(a, first);

	if (r == 0)
		r = open_array(a, &used, &blocks);
	r = explain(a, r);
	if (r == -ENOMEM) {
		blocks_put(blocks);
		return r;
	}
	told = (struct md_array){
		.blocks = blocks,
		.why = (const char *)a->why.data,
		.level = a->fresh->level,
		.note = (const char *)a->note.data,
		.named = used->tag,
		.parts = a->parts,
		.nparts = a->nparts,
	};
	r = fn(arg, &told);
	blocks_put(blocks);
	return r;
}

int md_each(const struct md_set *s, md_fn *fn, void *arg)
{
	size_t i, j;
	int r = 0;

	for (i = 0; i < s->n && r == 0; i++) {
		struct array a = { .set = s };

		for (j = 0; j < i; j++)
			if (memcmp(s->members[j].uuid, s->members[i].uuid,
				   16) == 0)
				break;
		if (j < i)
			continue; /* it was told with that one */
		a.parts = alloc_array(s->n, sizeof(*a.parts));
		r = a.parts ? tell(&a, i, fn, arg) : -ENOMEM;
		free(a.parts);
		free(a.slots);
		buf_release(&a.why);
		buf_release(&a.note);
	}
	return r;
}
