/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The formats that there are; guest.c picks one by its name. */
#ifndef FS_GUEST_READERS_H
#define FS_GUEST_READERS_H

#include "fs/guest/guest.h"

extern const struct guest_ops guest_btrfs; /* btrfs/btrfs.c */
extern const struct guest_ops guest_exfat; /* fat/exfat.c */
extern const struct guest_ops guest_ext; /* ext/ext.c; ext2, ext3, ext4 */
extern const struct guest_ops guest_fat; /* fat/fat.c; FAT12, 16, 32 */
extern const struct guest_ops guest_iso; /* iso/iso.c; ISO 9660 */
extern const struct guest_ops guest_ntfs; /* ntfs/ntfs.c */
extern const struct guest_ops guest_xfs; /* xfs/xfs.c */

#endif
