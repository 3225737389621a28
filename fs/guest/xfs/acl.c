/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * POSIX ACLs of XFS: a count, then entries of tag, id and permissions, big-endian;
 * and as getxattr(2) has them: version 2, then tag, permissions and id, little-endian.
 */
#include "config.h"

#include <errno.h>

#include "fs/guest/xfs/internal.h"

enum { ACL_VERSION = 2, ACL_USER = 0x02, ACL_GROUP = 0x08, ACL_ENTRY = 12 };

int xfs_acl_decode(const uint8_t *p, size_t len, struct buf *out)
{
	uint32_t n, tag;

	if (len < 4)
		return -EBADMSG;
	n = be32(p);
	if (n > (len - 4) / ACL_ENTRY)
		return -EBADMSG;
	buf_put_le32(out, ACL_VERSION);
	for (p += 4; n; n--, p += ACL_ENTRY) {
		tag = be32(p);
		buf_put_le16(out, (uint16_t)tag);
		buf_put_le16(out, be16(p + 8));
		buf_put_le32(out, tag == ACL_USER || tag == ACL_GROUP
					  ? be32(p + 4)
					  : UINT32_MAX);
	}
	return buf_error(out);
}
