/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Images for the fuzz targets of fs/guest/: a filesystem of some MiB in a
 * corpus file of some KiB. pack_image.py makes one of an image.
 *
 *     8 bytes  "VMBIMG1\n"
 *     u64      size of the image in bytes (all little-endian)
 *     then runs, in order, each
 *     u32      number of its first sector (512 bytes)
 *     u16      number of sectors
 *     their bytes
 *
 * What no run holds is zeros and a hole. What does not begin with the magic is
 * the image itself.
 */
#ifndef TESTS_FUZZ_IMAGE_H
#define TESTS_FUZZ_IMAGE_H

#include "store/base/attrs.h"

#include <stdint.h>

struct blocks;

/* Never fails on the bytes: decoding ends at the first run that is wrong. The
 * bytes are copied. Return 0 or -ENOMEM. */
MUST_CHECK int fuzz_image(const uint8_t *data, size_t len, struct blocks **out);

/*
 * Open such an image with the reader of @type and walk it, bounded: attributes
 * of all kinds, the ends and holes of every file, every name looked up. What a
 * target of a reader calls. Return 0, always.
 */
int fuzz_guest(const char *type, const uint8_t *data, size_t len);

#endif
