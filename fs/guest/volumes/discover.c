/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The volumes of a machine, in rounds. First each disk is looked at: its table,
 * what is on each part (identify.c), and what that opens to. Members of arrays
 * and of volume groups are only noted then. When all disks have been seen, the
 * arrays are put together and looked at, then the groups, whose volumes may
 * hold such members again: these make the next round. The members of one round
 * never join those of another: a machine in a logical volume is a machine of
 * its own.
 *
 * Whatever is wrong becomes the reason of what it concerns.
 */
#include "config.h"

#include "fs/guest/volumes/discover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/finder_internal.h"
#include "store/base/log.h"

/* ---- disks ---- */

/* Add the whole of a disk as a volume; return its number or a negative errno.
 * -ENOSPC is no error to callers. */
static int add_whole(struct finder *f, const struct discover_disk *disk)
{
	return finder_add(f, disk->name, disk->blocks);
}

static int find_on_disk(struct finder *f, const struct discover_disk *disk,
			struct table *t)
{
	enum table_kind kind;
	struct probe p;
	int r = table_read(disk->blocks, disk->sector, t, &p, &kind), i;

	if (r == -ENOMEM)
		return r;
	if (r < 0 || kind != TABLE_ONLY) {
		i = add_whole(f, disk);
		if (i < 0)
			return i == -ENOSPC ? 0 : i;
		/* The other disks are none the worse for it. */
		if (r < 0)
			return volume_set_error(&f->set->volumes[i], r);
		if (kind == TABLE_DAMAGED)
			return volume_set_reason(&f->set->volumes[i], "%s",
						 TABLE_DAMAGED_WORDS);
		r = finder_identify_as(f, (size_t)i, 0, &p);
	}
	if (r == 0 && (kind == TABLE_ONLY || kind == TABLE_BESIDE))
		r = finder_add_partitions(f, disk->name, disk->blocks, t, 0);
	return r;
}

/* ---- arrays ---- */

static int explain_members(struct finder *f, const struct md_array *a,
			   const char *name)
{
	size_t i;
	int r = 0;

	for (i = 0; i < a->nparts && r == 0; i++) {
		struct volume *v = &f->set->volumes[a->parts[i].tag];

		if (a->parts[i].why)
			r = volume_set_reason(v, "%s%s%s", a->parts[i].why,
					      name ? ": see " : "",
					      name ? name : "");
		else if (!name)
			r = volume_set_reason(v, "%s", a->why);
		else if (a->level == 1)
			r = volume_set_reason(v,
					      "a member of a Linux MD mirror: "
					      "what it holds is %s beside it",
					      name);
		else
			r = volume_set_reason(v,
					      "a member of a Linux MD RAID: "
					      "what the array holds is %s "
					      "beside it",
					      name);
	}
	return r;
}

static int add_array(void *arg, const struct md_array *a)
{
	struct finder *f = arg;
	char name[VOLUME_NAME_MAX + 32];
	int i, r;

	if (!a->blocks)
		return explain_members(f, a, NULL);
	snprintf(name, sizeof(name), "%.*s_md", VOLUME_NAME_MAX,
		 f->set->volumes[a->named].name);
	i = finder_add(f, name, a->blocks);
	if (i == -ENOSPC)
		return explain_members(f, a,
				       "no volume, for there are too "
				       "many");
	if (i < 0)
		return i;
	if (a->note[0])
		volume_mark(&f->set->volumes[i], "raid-members-missing",
			    a->note);
	snprintf(name, sizeof(name), "%s", f->set->volumes[i].name);
	r = explain_members(f, a, name);
	return r < 0 ? r : finder_identify(f, (size_t)i, f->depth, true);
}

/* Put arrays together until no more members come out of them. */
static int find_arrays(struct finder *f)
{
	struct md_set *now;
	size_t before;
	int r = 0;

	do {
		before = f->set->n;
		now = f->md;
		f->md = NULL;
		f->depth = f->md_depth;
		f->md_depth = 0;
		r = md_new(&f->md);
		if (r == 0)
			r = md_each(now, add_array, f);
		md_free(now);
	} while (r == 0 && f->set->n > before);
	return r;
}

/* ---- groups ---- */

/* '-' doubled, as device-mapper writes it. */
static void put_doubled(struct buf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '-')
			buf_put_u8(out, '-');
		buf_put_u8(out, (uint8_t)*s);
	}
}

static int add_logical_as(struct finder *f, const struct lvm_volume *v,
			  const char *name, struct blocks *b)
{
	struct volume *to;
	int i = finder_add(f, name, b);

	if (i < 0)
		return i == -ENOSPC ? 0 : i;
	to = &f->set->volumes[i];
	if (v->why)
		return volume_set_reason(to, "%s", v->why);
	if (v->note[0])
		volume_mark(to, "merge-under-way", v->note);
	return finder_identify(f, (size_t)i, f->depth, true);
}

static int add_logical(void *arg, const struct lvm_volume *v)
{
	struct buf name = BUF_INIT;
	struct blocks *none = NULL;
	int r = 0;

	put_doubled(&name, v->vg);
	buf_put_u8(&name, '-');
	put_doubled(&name, v->lv);
	buf_put_u8(&name, 0);
	if (buf_error(&name) < 0)
		r = -ENOMEM;
	else if (!v->blocks)
		r = blocks_memory("", 0, 0, &none);
	if (r == 0)
		r = add_logical_as(arg, v, (char *)name.data,
				   v->blocks ? v->blocks : none);
	blocks_put(none);
	buf_release(&name);
	return r;
}

static int find_logical(struct finder *f)
{
	struct lvm_set *now = f->lvm;
	int r;

	f->lvm = NULL;
	f->depth = f->lvm_depth;
	f->lvm_depth = 0;
	r = lvm_new(&f->lvm);
	if (r == 0)
		r = lvm_each(now, add_logical, f);
	lvm_free(now);
	return r;
}

/* ---- all of it ---- */

static int find_all(struct finder *f, const struct discover_disk *disks,
		    size_t n, struct table *t)
{
	size_t i, before;
	int r = 0;

	for (i = 0; i < n && r == 0; i++)
		r = find_on_disk(f, &disks[i], t);
	/* Depth grows with each round, so that there are NEST_MAX of them. */
	do {
		before = f->set->n;
		if (r == 0)
			r = find_arrays(f);
		if (r == 0)
			r = find_logical(f);
	} while (r == 0 && f->set->n > before);
	return r < 0 ? r : btrfs_mark_stale(f->set);
}

int discover_volumes(const struct discover_disk *disks, size_t n,
		     const struct luks_keys *keys, struct volume_set **out)
{
	struct finder f = { .keys = keys };
	struct table *t = calloc(1, sizeof(*t));
	int r = -ENOMEM;

	*out = NULL;
	f.tries.left = LUKS_WORK_HEADERS *
		       (LUKS_WORK_MAX + LUKS_WORK_KEY * (keys ? keys->n : 0));
	f.set = calloc(1, sizeof(*f.set));
	if (f.set && t)
		r = lvm_new(&f.lvm);
	if (r == 0)
		r = md_new(&f.md);
	if (r == 0)
		r = find_all(&f, disks, n, t);
	lvm_free(f.lvm);
	md_free(f.md);
	free(t);
	if (r < 0) {
		volume_set_free(f.set);
		return r;
	}
	*out = f.set;
	return 0;
}
