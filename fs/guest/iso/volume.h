/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The volume descriptors of ISO 9660. */
#ifndef FS_GUEST_ISO_VOLUME_H
#define FS_GUEST_ISO_VOLUME_H

#include "fs/guest/iso/internal.h"

/* Find them, and decide which names are shown: sets all of @iso that reading
 * takes, from meta on. Return 0, -EBADMSG (@why says why) or what reading
 * returned. */
MUST_CHECK int iso_volume_open(struct iso *iso, struct guest_info *info,
			       struct buf *why);

#endif
