/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Alternate streams as extended attributes "user.NAME". What is longer than an
 * attribute may be, or encrypted, is said in the log and left out; that is no
 * reason for the others to be missing.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/lock.h"
#include "store/base/log.h"

#define STREAMS_MAX 4096
#define PREFIX "user."

/* CompactOS keeps a file's content there: no stream of the user's. */
static const uint8_t wof_name[] = "W\0o\0f\0C\0o\0m\0p\0r\0e\0s\0s\0e\0d\0"
				  "D\0a\0t\0a";

struct stream {
	ntfschar name[UINT8_MAX];
	uint8_t len; /* units */
};

/* Append a struct stream for each. */
static int streams_list(struct ntfs *n, ntfs_inode *ni, struct buf *out)
{
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);
	const ATTR_RECORD *a;
	struct stream s;
	size_t count = 0, off;

	if (!ctx)
		return -ENOMEM;
	errno = 0;
	while (!ntfs_attr_lookup(AT_DATA, NULL, 0, CASE_SENSITIVE, 0, NULL, 0,
				 ctx)) {
		a = ctx->attr;
		off = le16_to_cpu(a->name_offset);
		if (!a->name_length || (a->non_resident && a->lowest_vcn))
			continue; /* the file's own, or more of one */
		if (off + 2u * a->name_length > le32_to_cpu(a->length) ||
		    ++count > STREAMS_MAX) {
			errno = EIO;
			break;
		}
		memset(&s, 0, sizeof(s));
		s.len = a->name_length;
		memcpy(s.name, (const uint8_t *)a + off, 2u * s.len);
		if (2u * s.len != sizeof(wof_name) ||
		    memcmp(s.name, wof_name, sizeof(wof_name)))
			buf_put(out, &s, sizeof(s));
	}
	ntfs_attr_put_search_ctx(ctx);
	if (out->failed)
		return -ENOMEM;
	if (errno == ENOENT && !n->err)
		return 0;
	return ntfs_error(n, "its streams are damaged", ni->mft_no);
}

/* Append the value. Return 1 where it was left out. */
static int stream_read(struct ntfs *n, ntfs_inode *ni, struct stream *s,
		       const struct buf *name, struct buf *out)
{
	int r;

	if (name->len > GUEST_NAME_MAX || memchr(name->data, '\0', name->len))
		r = -ENAMETOOLONG;
	else
		r = ntfs_data_bytes(n, ni, AT_DATA, s->name, s->len,
				    GUEST_XATTR_MAX, out);
	if (r == -EFBIG || r == -ENAMETOOLONG) {
		log_warn("NTFS: record %llu: a stream is left out: its %s too "
			 "long for an attribute",
			 (unsigned long long)ni->mft_no,
			 r == -EFBIG ? "content is" : "name is");
		return 1;
	}
	return r == -EIO && !n->err ? 1 : r;
}

int ntfs_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn, void *arg)
{
	AUTO_BUF struct buf list = BUF_INIT, name = BUF_INIT, value = BUF_INIT;
	struct ntfs *n = g->state;
	struct stream *s;
	size_t i, total = 0;
	ntfs_inode *ni;
	int r;

	/* @fn gathers them; it does not come back to us. */
	SCOPED_LOCK(&n->lock);
	r = ntfs_node_open(n, node, &ni);
	if (r < 0)
		return r;
	r = streams_list(n, ni, &list);
	for (i = 0; !r && i < list.len / sizeof(*s); i++) {
		s = (struct stream *)list.data + i;
		buf_clear(&name);
		buf_clear(&value);
		buf_put(&name, PREFIX, strlen(PREFIX));
		r = ntfs_text_put(&name, s->name, s->len);
		if (!r)
			r = stream_read(n, ni, s, &name, &value);
		if (r == 1) {
			r = 0;
			continue;
		}
		total += name.len + value.len;
		if (!r && total > GUEST_XATTRS_MAX)
			r = fail(-E2BIG,
				 "NTFS: record %llu: its streams are "
				 "more than attributes may be",
				 (unsigned long long)ni->mft_no);
		buf_put_u8(&name, 0);
		if (!r)
			r = buf_error(&name);
		if (!r)
			r = fn(arg, (char *)name.data, value.data, value.len);
	}
	ntfs_inode_close(ni);
	return r;
}
