/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names in the items of directories and of extended attributes. All of
 * them have one form: a key, the transaction that wrote it, two lengths, a
 * type, then the name and, with attributes, its value. Names whose hashes are
 * equal follow one another in one item.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>

int btrfs_name_next(struct reader *r, struct btrfs_name *out)
{
	const uint8_t *key;

	if (reader_left(r) == 0)
		return 0;
	key = reader_get(r, BTRFS_KEY_LEN);
	reader_le64(r); /* of which transaction */
	out->value_len = reader_le16(r);
	out->name_len = reader_le16(r);
	out->type = reader_u8(r);
	out->name = reader_get(r, out->name_len);
	out->value = reader_get(r, out->value_len);
	if (r->bad || out->name_len == 0 || out->name_len > GUEST_NAME_MAX)
		return -EBADMSG;
	btrfs_key_get(key, &out->location);
	return 1;
}
