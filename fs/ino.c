/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/ino.h"

#include <string.h>

#include "store/base/bytes.h"
#include "store/crypt/siphash.h"
#include "store/entry.h"

#define INO_NO_MEMORY 2

static uint64_t clean(uint64_t h)
{
	h &= UINT64_MAX >> 1;
	return h < INO_MIN ? h + INO_MIN : h;
}

uint64_t ino_file(const uint8_t *key, struct buf *scratch,
		  const uint8_t *dirkey, size_t dirkey_len,
		  const struct entry *e)
{
	buf_clear(scratch);
	buf_put(scratch, dirkey, dirkey_len);
	buf_put_u8(scratch, 0);
	buf_put(scratch, e->raw, e->raw_len);
	if (buf_error(scratch) < 0)
		return INO_NO_MEMORY;
	return clean(siphash(key, scratch->data, scratch->len));
}

uint64_t ino_linked(const uint8_t *key, const uint8_t point[INO_POINT_LEN],
		    const struct entry *e)
{
	uint8_t raw[INO_POINT_LEN + 12];

	memcpy(raw, point, INO_POINT_LEN);
	put_le32(raw + INO_POINT_LEN, e->dev);
	put_le64(raw + INO_POINT_LEN + 4, e->ino);
	return clean(siphash(key, raw, sizeof(raw)));
}

uint64_t ino_dir(const uint8_t *key, struct buf *scratch,
		 const uint8_t point[INO_POINT_LEN], const uint8_t *dirkey,
		 size_t dirkey_len)
{
	buf_clear(scratch);
	buf_put(scratch, point, INO_POINT_LEN);
	buf_put(scratch, dirkey, dirkey_len);
	if (buf_error(scratch) < 0)
		return INO_NO_MEMORY;
	return clean(siphash(key, scratch->data, scratch->len));
}

uint64_t ino_guest(const uint8_t *key, const uint8_t point[INO_POINT_LEN],
		   const char *volume, uint64_t node)
{
	uint8_t raw[INO_POINT_LEN + 16 + ENTRY_NAME_MAX];
	size_t len = strnlen(volume, ENTRY_NAME_MAX);

	/* Ones where the others have a device's rank or a directory's key. */
	memcpy(raw, point, INO_POINT_LEN);
	put_le64(raw + INO_POINT_LEN, UINT64_MAX);
	put_le64(raw + INO_POINT_LEN + 8, node);
	memcpy(raw + INO_POINT_LEN + 16, volume, len);
	return clean(siphash(key, raw, INO_POINT_LEN + 16 + len));
}

uint64_t ino_made(const uint8_t *key, const char *label)
{
	return clean(siphash(key, label, strlen(label)));
}
