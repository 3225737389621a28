/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Alternate streams: as extended attributes "user.NAME", and as files
 * FILE:NAME, which are found by name and not listed. What is longer than an
 * attribute may be, or encrypted, is said in the log and left out of the
 * attributes; that is no reason for the others to be missing.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/lock.h"
#include "store/base/log.h"

#define PREFIX "user."

/* CompactOS keeps a file's content there: no stream of the user's. */
static const uint8_t wof_name[] = "W\0o\0f\0C\0o\0m\0p\0r\0e\0s\0s\0e\0d\0"
				  "D\0a\0t\0a";

/* Append a struct ntfs_stream for each. */
static int streams_list(struct ntfs *n, ntfs_inode *ni, struct buf *out)
{
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);
	const ATTR_RECORD *a;
	struct ntfs_stream s;
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
		    ++count > NTFS_STREAMS_MAX) {
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

int ntfs_stream_find(struct ntfs *n, ntfs_inode *ni, const char *name,
		     size_t len, uint64_t *node_out)
{
	AUTO_BUF struct buf list = BUF_INIT, text = BUF_INIT;
	const struct ntfs_stream *s;
	size_t i;
	int r = streams_list(n, ni, &list);

	for (i = 0; r == 0 && i < list.len / sizeof(*s); i++) {
		s = (const struct ntfs_stream *)list.data + i;
		buf_clear(&text);
		r = ntfs_text_put(&text, s->name, s->len);
		if (r == 0 && text.len == len &&
		    memcmp(text.data, name, len) == 0) {
			*node_out = NTFS_STREAM_NODE | ni->mft_no |
				    (uint64_t)i << NTFS_STREAM_SHIFT;
			return 0;
		}
	}
	return r < 0 ? r : -ENOENT;
}

int ntfs_stream_get(struct ntfs *n, ntfs_inode *ni, uint64_t node,
		    struct ntfs_stream *out)
{
	size_t i = (node & ~NTFS_STREAM_NODE) >> NTFS_STREAM_SHIFT;
	AUTO_BUF struct buf list = BUF_INIT;
	int r = streams_list(n, ni, &list);

	if (r == 0 && i >= list.len / sizeof(*out))
		r = -ENOENT;
	if (r == 0)
		memcpy(out, list.data + i * sizeof(*out), sizeof(*out));
	return r;
}

/* Append the value. Return 1 where it was left out. */
static int stream_read(struct ntfs *n, ntfs_inode *ni, struct ntfs_stream *s,
		       const struct buf *name, struct buf *out)
{
	int r;

	if (name->len > GUEST_NAME_MAX || memchr(name->data, '\0', name->len))
		r = -ENAMETOOLONG;
	else
		r = ntfs_data_bytes(n, ni, AT_DATA, s->name, s->len,
				    GUEST_XATTR_MAX, out);
	if (r == -EFBIG || r == -ENAMETOOLONG) {
		log_warn("NTFS: record %llu: a stream is left out of its "
			 "attributes: its %s too long for one%s",
			 (unsigned long long)ni->mft_no,
			 r == -EFBIG ? "content is" : "name is",
			 r == -EFBIG ? "; FILE:STREAM reads it" : "");
		return 1;
	}
	return r == -EIO && !n->err ? 1 : r;
}

int ntfs_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn, void *arg)
{
	AUTO_BUF struct buf list = BUF_INIT, name = BUF_INIT, value = BUF_INIT;
	struct ntfs *n = g->state;
	struct ntfs_stream *s;
	size_t i, total = 0;
	bool some = false;
	ntfs_inode *ni;
	int r;

	if (node & NTFS_STREAM_NODE)
		return 0;
	/* @fn gathers them; it does not come back to us. */
	SCOPED_LOCK(&n->lock);
	r = ntfs_node_open(n, node, &ni);
	if (r < 0)
		return r;
	r = streams_list(n, ni, &list);
	for (i = 0; !r && i < list.len / sizeof(*s); i++) {
		s = (struct ntfs_stream *)list.data + i;
		buf_clear(&name);
		buf_clear(&value);
		buf_put(&name, PREFIX, strlen(PREFIX));
		r = ntfs_text_put(&name, s->name, s->len);
		if (!r)
			r = stream_read(n, ni, s, &name, &value);
		if (r == 1) {
			some = true;
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
	return r == 0 && some ? 1 : r;
}
