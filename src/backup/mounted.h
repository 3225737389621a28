/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Vaults that are mounted on this machine. */
#ifndef SRC_BACKUP_MOUNTED_H
#define SRC_BACKUP_MOUNTED_H

#include "store/base/attrs.h"

#include <sys/types.h>

/* Put the devices of at most @max mounted vaults into @out and return how many
 * there are; 0 where the kernel does not say (no /proc). */
size_t mounted_vaults(dev_t *out, size_t max);

#endif
