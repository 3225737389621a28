/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is on a volume, and what that opens to in turn: a partition table in a
 * logical volume, what LUKS keeps. Members of arrays and of groups are noted,
 * to be put together once all have been met (discover.c). Whatever is wrong
 * becomes the reason of the volume that it concerns.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/guest.h"
#include "fs/guest/volumes/finder_internal.h"
#include "store/base/log.h"

#define TOO_DEEP "too many layers lie one in the other"

static const char *text_of(const struct buf *b)
{
	return b->len ? (const char *)b->data : "";
}

/* ---- what holds other volumes ---- */

static int identify_lvm(struct finder *f, size_t i, unsigned int depth)
{
	struct volume *v = &f->set->volumes[i];
	struct buf vg = BUF_INIT, why = BUF_INIT;
	int r = lvm_add(f->lvm, v->blocks, &vg, &why);

	f->lvm_depth = MAX(f->lvm_depth, depth + 1);
	buf_put_u8(&why, 0);
	buf_put_u8(&vg, 0);
	if (r == -ENOMEM || buf_error(&why) < 0 || buf_error(&vg) < 0)
		r = -ENOMEM;
	else if (r == -EEXIST)
		r = volume_set_reason(v, "a copy of an LVM2 physical volume "
					 "that was found before: its group is "
					 "read from the first one");
	else if (r < 0)
		r = volume_set_reason(
			v, "an LVM2 physical volume that is damaged: %s",
			text_of(&why));
	else if (vg.len > 1)
		r = volume_set_reason(v,
				      "an LVM2 physical volume of group "
				      "%.127s: its volumes are beside it",
				      text_of(&vg));
	else
		r = volume_set_reason(v, "an LVM2 physical volume that says "
					 "nothing of its group: where the "
					 "group is known, its volumes are "
					 "beside it");
	buf_release(&vg);
	buf_release(&why);
	return r;
}

/* Add what volume @i opens to as a volume of its own, named behind it. */
static int add_inner(struct finder *f, size_t i, const char *suffix,
		     struct blocks *inner, unsigned int depth)
{
	char name[VOLUME_NAME_MAX + 32];
	int n;

	snprintf(name, sizeof(name), "%.*s%s", VOLUME_NAME_MAX,
		 f->set->volumes[i].name, suffix);
	n = finder_add(f, name, inner);
	if (n < 0)
		return n == -ENOSPC ? 0 : n;
	return finder_identify(f, (size_t)n, depth + 1, true);
}

static int identify_luks(struct finder *f, size_t i, unsigned int depth,
			 const char *version)
{
	struct volume *v = &f->set->volumes[i];
	struct blocks *inner = NULL;
	struct buf why = BUF_INIT;
	int r;

	if (!f->keys || f->keys->n == 0)
		return volume_set_reason(
			v,
			"encrypted with LUKS%s: mount with -o "
			"lukskey=FILE, or give --luks-key-file",
			version);
	r = luks_open(v->blocks, f->keys, &f->tries, &why, &inner);
	buf_put_u8(&why, 0);
	if (r == 0)
		r = volume_set_reason(
			v,
			"encrypted with LUKS%s, and unlocked: what "
			"it holds is %s_crypt beside it",
			version, v->name);
	else if (r != -ENOMEM)
		r = volume_set_reason(v, "encrypted with LUKS%s: %s", version,
				      why.len > 1 ? text_of(&why)
						  : strerror(-r));
	if (r == 0 && inner)
		r = add_inner(f, i, "_crypt", inner, depth);
	blocks_put(inner);
	buf_release(&why);
	return r;
}

static int identify_md(struct finder *f, size_t i, unsigned int depth)
{
	struct volume *v = &f->set->volumes[i];
	struct buf why = BUF_INIT;
	int r = md_add(f->md, v->blocks, i, &why);

	f->md_depth = MAX(f->md_depth, depth + 1);
	buf_put_u8(&why, 0);
	if (r < 0 && r != -ENOMEM && why.len > 1)
		r = volume_set_reason(v, "%s", text_of(&why));
	else if (r < 0 && r != -ENOMEM)
		r = volume_set_error(v, r);
	buf_release(&why);
	return r; /* a member's reason comes with its array */
}

/* ---- what holds nothing that is read here ---- */

static int reason_of_type(struct volume *v)
{
	static const struct {
		const char *type, *reason;
	} known[] = {
		{ "swap", "swap space: it holds no files" },
		{ "swsuspend", "a suspended system's memory: it holds no "
			       "files" },
		{ "BitLocker", "encrypted with BitLocker, which vmbackupfs "
			       "does not open: use the .raw file beside it" },
		{ "zfs_member", "a member of a ZFS pool: vmbackupfs has no "
				"reader for it: use the .raw file beside it" },
		{ "DM_snapshot_cow", "the changes of a device-mapper snapshot: "
				     "they hold no files by themselves" },
		{ "drbd", "a device of DRBD with its metadata at its end: "
			  "vmbackupfs does not read it: use the .raw file "
			  "beside it" },
		{ "bcache", "a device of bcache: vmbackupfs does not read it: "
			    "use the .raw file beside it" },
		{ "isw_raid_member", "a member of an Intel RAID: vmbackupfs "
				     "does not put it together: use the .raw "
				     "files" },
		{ "ddf_raid_member", "a member of a DDF RAID: vmbackupfs does "
				     "not put it together: use the .raw "
				     "files" },
		{ "VMFS", "a VMFS datastore: vmbackupfs has no reader for it: "
			  "use the .raw file beside it" },
		{ "VMFS_volume_member", "a part of a VMFS datastore: "
					"vmbackupfs has no reader for it: use "
					"the .raw file beside it" },
		{ "LVM1_member", "a physical volume of LVM1, which vmbackupfs "
				 "does not read: use the .raw file beside "
				 "it" },
		{ "jbd", "the journal of an ext4 filesystem on another "
			 "device: it holds no files" },
		{ "xfs_external_log", "the log of an XFS filesystem on another "
				      "device: it holds no files" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(known); i++)
		if (strcmp(known[i].type, v->type) == 0)
			return volume_set_reason(v, "%s", known[i].reason);
	return volume_set_reason(
		v,
		"a %s filesystem: vmbackupfs has no reader for "
		"it: use the .raw file beside it",
		v->type);
}

/* ---- partitions ---- */

static int add_partition(struct finder *f, const char *name,
			 struct blocks *disk, const struct partition *p,
			 unsigned int depth)
{
	uint64_t size = disk->size, off = MIN(p->off, size);
	uint64_t len = MIN(p->len, size - off);
	char own[VOLUME_NAME_MAX + 32];
	struct volume *v;
	struct blocks *b;
	int r, i;

	r = blocks_slice(disk, off, len, &b);
	if (r < 0)
		return r;
	partition_name(name, p->number, own, sizeof(own));
	i = finder_add(f, own, b);
	blocks_put(b);
	if (i < 0)
		return i == -ENOSPC ? 0 : i;
	v = &f->set->volumes[i];
	if (off == size && p->len)
		return volume_set_reason(v, "the partition lies behind the end "
					    "of the disk");
	/* Where it is cut the reader decides what it can still do. */
	r = finder_identify(f, (size_t)i, depth, false);
	v = &f->set->volumes[i]; /* the array may have grown */
	if (r < 0 || v->type[0])
		return r;
	if (len < p->len)
		return volume_set_reason(v, "the partition reaches past the "
					    "end of the disk, and no "
					    "filesystem that is known was "
					    "found");
	return p->what ? volume_set_reason(v, "%s", p->what) : 0;
}

int finder_add_partitions(struct finder *f, const char *name,
			  struct blocks *disk, const struct table *t,
			  unsigned int depth)
{
	size_t i;
	int r = 0;

	f->set->cut |= t->cut;
	for (i = 0; i < t->n && r == 0; i++)
		r = add_partition(f, name, disk, &t->parts[i], depth);
	return r;
}

/* ---- a volume ---- */

int finder_identify_as(struct finder *f, size_t i, unsigned int depth,
		       const struct probe *p)
{
	struct volume *v = &f->set->volumes[i];
	size_t n;

	snprintf(v->type, sizeof(v->type), "%s", p->type);
	snprintf(v->label, sizeof(v->label), "%s", p->label);
	snprintf(v->uuid, sizeof(v->uuid), "%s", p->uuid);
	for (n = 0; n < PROBE_OTHERS; n++)
		snprintf(v->others[n], sizeof(v->others[n]), "%s",
			 p->others[n]);
	if (!p->type[0])
		return volume_set_reason(v, "%s", p->words);
	if (guest_knows(p->type))
		return 0;
	if (depth >= NEST_MAX && (strcmp(p->type, "LVM2_member") == 0 ||
				  strcmp(p->type, "crypto_LUKS") == 0 ||
				  strcmp(p->type, "linux_raid_member") == 0))
		return volume_set_reason(v, "%s", TOO_DEEP);
	if (strcmp(p->type, "LVM2_member") == 0)
		return identify_lvm(f, i, depth);
	if (strcmp(p->type, "crypto_LUKS") == 0)
		return identify_luks(f, i, depth, p->version);
	if (strcmp(p->type, "linux_raid_member") == 0)
		return identify_md(f, i, depth);
	return reason_of_type(v);
}

/* A volume that is a disk of a machine in the machine, or of an array of whole
 * disks. */
static int identify_table(struct finder *f, size_t i, unsigned int depth,
			  const struct probe *p, const struct table *t)
{
	struct blocks *b = f->set->volumes[i].blocks;
	char name[VOLUME_NAME_MAX + 32];
	int r;

	snprintf(name, sizeof(name), "%.*s", VOLUME_NAME_MAX,
		 f->set->volumes[i].name);
	if (p->type[0])
		r = finder_identify_as(f, i, depth, p);
	else if (depth >= NEST_MAX)
		r = volume_set_reason(&f->set->volumes[i], "%s", TOO_DEEP);
	else
		r = volume_set_reason(&f->set->volumes[i],
				      "a disk with a partition table: its "
				      "partitions are beside it");
	if (r < 0 || depth >= NEST_MAX)
		return r;
	return finder_add_partitions(f, name, b, t, depth + 1);
}

int finder_identify(struct finder *f, size_t i, unsigned int depth, bool tables)
{
	struct volume *v = &f->set->volumes[i];
	enum table_kind kind = TABLE_NONE;
	struct table *t = NULL;
	struct probe p;
	int r;

	if (tables) {
		t = calloc(1, sizeof(*t));
		r = t ? table_read(v->blocks, 0, t, &p, &kind) : -ENOMEM;
	} else {
		r = probe_blocks(v->blocks, &p);
	}
	if (r < 0 && r != -ENOMEM)
		r = volume_set_error(v, r);
	else if (r == 0 && kind == TABLE_DAMAGED)
		r = volume_set_reason(v, "%s", TABLE_DAMAGED_WORDS);
	else if (r == 0 && kind == TABLE_NONE)
		r = finder_identify_as(f, i, depth, &p);
	else if (r == 0)
		r = identify_table(f, i, depth, &p, t);
	free(t);
	return r;
}
