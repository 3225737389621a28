/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Three identities, kept apart.
 *
 *   the node number   where a thing is: FUSE's handle for it (view.h)
 *   the inode number  what a thing is: st_ino, what programs compare
 *   the chunk ids     which bytes it holds
 *
 * A node number may never mean two things, so it is made of serials that are
 * not reused. An inode number is for the eyes of cp, rsync, tar, diff and
 * find: within one mount two names have the same one when, and only when, they
 * may be taken for the same file. So it is a keyed hash
 *
 *   - of directory key and entry as stored, for whatever has one link: an
 *     unchanged file has one number in all points, and "diff -r" of two points
 *     passes over it;
 *   - of point, source device and source inode, for what has more links: the
 *     names of one file agree within their point, and never with another
 *     point's, where the same inode may have held something else;
 *   - of point and directory key, for directories: what is below differs, so
 *     a directory is never the same in two points;
 *   - of point, volume and the guest filesystem's own inode, for what is in a
 *     volume of a disk.
 *
 * The number depends on the vault alone, so it survives a new mount. The top
 * bit is clear (programs that store ino_t signed), and numbers below 4096 are
 * left alone: 0 and 1 have meanings to too many programs.
 */
#ifndef FS_INO_H
#define FS_INO_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdint.h>

struct entry;

#define INO_POINT_LEN 16 /* bytes of a point's id */
#define INO_MIN 4096

/* In all of these @key is keyring_sipkey(). @scratch is used, and left dirty.
 * If memory runs out, the number is 2, one of the reserved ones. */

/* Return the number of an entry with one link, which stands in @dirkey. */
uint64_t ino_file(const uint8_t *key, struct buf *scratch,
		  const uint8_t *dirkey, size_t dirkey_len,
		  const struct entry *e);
/* Return the number of an entry with more links. */
uint64_t ino_linked(const uint8_t *key, const uint8_t point[INO_POINT_LEN],
		    const struct entry *e);
/* Return the number of the directory whose own key is @dirkey. */
uint64_t ino_dir(const uint8_t *key, struct buf *scratch,
		 const uint8_t point[INO_POINT_LEN], const uint8_t *dirkey,
		 size_t dirkey_len);
/* Return the number of inode @node of the filesystem in volume @volume. */
uint64_t ino_guest(const uint8_t *key, const uint8_t point[INO_POINT_LEN],
		   const char *volume, uint64_t node);
/* Return the number of something that the view makes; @label says what it is,
 * and for which machine or point. */
uint64_t ino_made(const uint8_t *key, const char *label);

#endif
