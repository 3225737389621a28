/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is a disk in use that is about to be written over? The kernel refuses a device
 * that is mounted, but neither a device nor a file that a machine runs on, nor a
 * file behind a loop device.
 */
#ifndef SRC_DISK_IN_USE_H
#define SRC_DISK_IN_USE_H

#include "store/base/attrs.h"

/*
 * Look whether somebody holds a lock in the file or device that @fd is open on,
 * as qemu does while it has an image open, or whether a loop device lies on it.
 * Return 0, or -EBUSY, said in words. That a lock or a loop device cannot be
 * asked for says nothing: then it is 0.
 */
MUST_CHECK int disk_in_use(int fd, const char *path);
/* The same of what stands at @path. Return also the negative errno of opening
 * it, said in words. */
MUST_CHECK int disk_in_use_at(const char *path);

#endif
