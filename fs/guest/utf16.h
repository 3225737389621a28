/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names in UTF-16, as FAT, exFAT and Joliet keep them. A surrogate without its
 * other half becomes three bytes of its own kind (WTF-8): names that differ
 * stay different, and none is lost.
 */
#ifndef FS_GUEST_UTF16_H
#define FS_GUEST_UTF16_H

#include <stddef.h>
#include <stdint.h>

/* Write @units as UTF-8, whole characters while they fit into @cap bytes,
 * without NUL. Return how many bytes; *used_out: of how many units. */
size_t utf16_put(const uint16_t *units, size_t n, char *out, size_t cap,
		 size_t *used_out);
/*
 * The same to a name of at most GUEST_NAME_MAX bytes, and a NUL behind; one
 * that is too long is cut, and ends in "~" and @tag in hexadecimal, so that two
 * of them differ. @out has room for GUEST_NAME_MAX + 1. Return its length.
 */
size_t utf16_name(const uint16_t *units, size_t n, uint64_t tag, char *out);

#endif
