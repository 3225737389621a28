/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/guest/readers.h"

#include "fs/guest/guest_internal.h"

const struct guest_reader guest_readers[] = {
	{ "btrfs", &guest_btrfs }, { "exfat", &guest_exfat },
	{ "ext2", &guest_ext },	   { "ext3", &guest_ext },
	{ "ext4", &guest_ext },	   { "iso9660", &guest_iso },
	{ "ntfs", &guest_ntfs },   { "vfat", &guest_fat },
	{ "xfs", &guest_xfs },	   { NULL, NULL },
};
