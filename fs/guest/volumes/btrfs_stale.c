/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Devices of one btrfs filesystem. A device that was pulled out of a mirror, or
 * failed, keeps all that it had: read by itself it is the filesystem of months
 * ago. The kernel goes by the generation in the superblocks, which grows with
 * every transaction; so is it done here, over all volumes of the machine.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/finder_internal.h"
#include "store/base/bytes.h"

/* The superblock, as far as is needed (fs/btrfs/ of Linux, struct
 * btrfs_super_block and btrfs_dev_item). */
#define SUPER_PLACE 65536u
#define SUPER_LEN 4096u
#define SUPER_FSID 32
#define SUPER_GENERATION 72
#define SUPER_DEVICES 136
#define SUPER_DEV_UUID 267

struct device {
	bool is; /* a device of btrfs whose superblock could be read */
	uint8_t fsid[16], uuid[16];
	uint64_t generation, ndevices;
};

static void read_device(struct volume *v, uint8_t *s, struct device *out)
{
	if (strcmp(v->type, "btrfs") != 0 ||
	    blocks_read(v->blocks, SUPER_PLACE, s, SUPER_LEN) < 0)
		return;
	out->is = true;
	memcpy(out->fsid, s + SUPER_FSID, 16);
	memcpy(out->uuid, s + SUPER_DEV_UUID, 16);
	out->generation = get_le64(s + SUPER_GENERATION);
	out->ndevices = get_le64(s + SUPER_DEVICES);
}

/* Mark volume @i by what the other devices of its filesystem say. */
static void judge(struct volume_set *set, const struct device *all, size_t i)
{
	const struct device *d = &all[i], *newest = d;
	uint64_t found = 1;
	char note[256];
	size_t j, at = i;

	for (j = 0; j < set->n; j++) {
		/* A copy of the whole device is another filesystem. */
		if (j == i || !all[j].is ||
		    memcmp(all[j].fsid, d->fsid, 16) != 0 ||
		    memcmp(all[j].uuid, d->uuid, 16) == 0)
			continue;
		found++;
		if (all[j].generation > newest->generation) {
			newest = &all[j];
			at = j;
		}
	}
	if (newest != d) {
		snprintf(note, sizeof(note),
			 "a device of a btrfs filesystem that was left behind: "
			 "it is of generation %" PRIu64 ", and %.80s is of "
			 "%" PRIu64,
			 d->generation, set->volumes[at].name,
			 newest->generation);
		volume_mark(&set->volumes[i], "stale", note);
	} else if (d->ndevices > found) {
		snprintf(note, sizeof(note),
			 "%" PRIu64 " of the %" PRIu64 " devices of this btrfs "
			 "filesystem are in this point: where it went on "
			 "without this one, what is shown is old",
			 found, d->ndevices);
		volume_mark(&set->volumes[i], "devices-missing", note);
	}
}

int btrfs_mark_stale(struct volume_set *set)
{
	struct device *all = alloc_array(set->n + 1, sizeof(*all));
	uint8_t *s = malloc(SUPER_LEN);
	size_t i;
	int r = all && s ? 0 : -ENOMEM;

	for (i = 0; i < set->n && r == 0; i++)
		read_device(&set->volumes[i], s, &all[i]);
	for (i = 0; i < set->n && r == 0; i++)
		if (all[i].is)
			judge(set, all, i);
	free(all);
	free(s);
	return r;
}
