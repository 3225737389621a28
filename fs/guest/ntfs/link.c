/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Symbolic links: Interix', WSL's, and Windows' reparse points.
 *
 * As ntfs-3g has them: a relative link keeps its target, '\' become '/'. An
 * absolute one (junctions are) that leads to something on this volume, found as
 * Windows would, whatever the case, is shown as that path from the
 * volume's root: "/Users". Others, on other drives and volumes, are shown as
 * "/.NTFS-3G/D:/path", which nothing answers to, and which says what it was.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/bytes.h"
#include "store/base/lock.h"
#include "store/base/log.h"

#define TAG_MOUNT_POINT 0xa0000003u
#define TAG_SYMLINK 0xa000000cu
#define TAG_LX_SYMLINK 0xa000001du
#define SYMLINK_RELATIVE 1u
#define ELSEWHERE "/.NTFS-3G/"
#define DEPTH_MAX 256

/* A path of Windows: UTF-16, little-endian, at any address. */
struct wpath {
	const uint8_t *p; /* borrowed */
	size_t n; /* units */
};

bool ntfs_tag_is_link(uint32_t tag)
{
	return tag == TAG_MOUNT_POINT || tag == TAG_SYMLINK ||
	       tag == TAG_LX_SYMLINK;
}

static uint16_t unit(const struct wpath *w, size_t i)
{
	return i < w->n ? get_le16(w->p + 2 * i) : 0;
}

static void skip(struct wpath *w, size_t n)
{
	w->p += 2 * n;
	w->n -= n;
}

static int link_damaged(const ntfs_inode *ni)
{
	return fail(-EBADMSG,
		    "NTFS: record %llu: a symbolic link that is "
		    "damaged",
		    (unsigned long long)ni->mft_no);
}

/* Append with '/' for '\'. */
static int put_slashed(struct buf *out, const struct wpath *w)
{
	size_t i = out->len;
	int r = ntfs_text_put(out, w->p, w->n);

	for (; !r && i < out->len; i++)
		if (out->data[i] == '\\')
			out->data[i] = '/';
	return r;
}

/*
 * Follow @w from the volume's root and append the names that there are, each
 * behind a '/'. A reparse point on the way ends the search, and the rest is kept
 * as it is. -ENOENT: there is no such thing.
 */
static int find_absolute(struct ntfs *n, struct wpath w, struct buf *out)
{
	AUTO_BUF struct buf name = BUF_INIT, true_name = BUF_INIT;
	uint64_t node = FILE_root;
	unsigned int depth;
	ntfs_inode *dir;
	size_t len;
	int r;

	for (depth = 0; w.n; depth++) {
		for (len = 0; len < w.n && unit(&w, len) != '\\';)
			len++;
		if (!len || len > UINT8_MAX || depth == DEPTH_MAX)
			return -ENOENT;
		buf_clear(&name);
		buf_put(&name, w.p, 2 * len);
		r = buf_error(&name);
		if (!r)
			r = ntfs_node_open(n, node, &dir);
		if (r < 0)
			return r;
		if (depth && dir->flags & FILE_ATTR_REPARSE_POINT) {
			ntfs_inode_close(dir);
			buf_put_u8(out, '/');
			return put_slashed(out, &w);
		}
		r = ntfs_dir_find(n, dir, (ntfschar *)name.data, len, &node,
				  &true_name);
		ntfs_inode_close(dir);
		if (r < 0)
			return r;
		buf_put_u8(out, '/');
		r = ntfs_text_put(out, true_name.data, true_name.len / 2);
		if (r < 0)
			return r;
		skip(&w, len);
		if (w.n == 1)
			buf_put_u8(out, '/'); /* a '\' at the end stays */
		if (w.n)
			skip(&w, 1);
	}
	return buf_error(out);
}

/* "X:\rest", "Volume{...}\" or, where @root, "\rest". */
static int put_absolute(struct ntfs *n, struct wpath w, bool root,
			struct buf *out)
{
	bool drive = unit(&w, 1) == ':' && unit(&w, 2) == '\\';
	struct wpath rest = w;
	size_t start = out->len;
	int r = -ENOENT;

	if (drive || root) {
		skip(&rest, drive ? 3 : 1);
		if (rest.n)
			r = find_absolute(n, rest, out);
		if (r != -ENOENT && r != -EBADMSG)
			return r;
		out->len = start;
	}
	if (root) {
		r = put_slashed(out, &w);
	} else {
		if (!drive && w.n > 1 && unit(&w, w.n - 1) == '\\')
			w.n--; /* Volume{...} */
		buf_put(out, ELSEWHERE, strlen(ELSEWHERE));
		start = out->len;
		r = put_slashed(out, &w);
		if (!r && drive && out->data[start] >= 'a' &&
		    out->data[start] <= 'z')
			out->data[start] = (uint8_t)(out->data[start] - 32);
	}
	return r ? r : buf_error(out);
}

/*
 * le32 tag, le16 length of what is behind the 8 bytes of head, le16; then
 * le16 offset and length of the path, the same of the one to print (and,
 * of a symbolic link, le32 flags), and what they are in.
 */
static int reparse_target(struct ntfs *n, ntfs_inode *ni,
			  const struct buf *data, struct buf *out)
{
	uint32_t tag = get_le32(data->data);
	size_t head = tag == TAG_SYMLINK ? 20 : 16, off, len;
	struct wpath w;

	if (data->len < head)
		return link_damaged(ni);
	off = get_le16(data->data + 8);
	len = get_le16(data->data + 10);
	if (off > data->len - head || len > data->len - head - off || len < 2)
		return link_damaged(ni);
	w.p = data->data + head + off;
	w.n = len / 2;
	if (unit(&w, 0) == '\\' &&
	    (unit(&w, 1) == '?' || unit(&w, 1) == '\\') && unit(&w, 2) == '?' &&
	    unit(&w, 3) == '\\') {
		skip(&w, 4);
		return put_absolute(n, w, false, out);
	}
	if (unit(&w, 1) == ':' && unit(&w, 2) == '\\')
		return put_absolute(n, w, false, out);
	if (unit(&w, 0) == '\\')
		return put_absolute(n, w, true, out);
	return put_slashed(out, &w);
}

static int wsl_target(ntfs_inode *ni, const struct buf *data, struct buf *out)
{
	if (data->len <= 12 || get_le32(data->data + 8) != 2)
		return link_damaged(ni);
	buf_put(out, data->data + 12, data->len - 12);
	return buf_error(out);
}

static int target_read(struct ntfs *n, ntfs_inode *ni, uint32_t tag,
		       struct buf *out)
{
	AUTO_BUF struct buf data = BUF_INIT;
	int r;

	if (!tag)
		r = ntfs_data_bytes(n, ni, AT_DATA, AT_UNNAMED, 0, 8 + 2 * 4096,
				    &data);
	else
		r = ntfs_data_bytes(n, ni, AT_REPARSE_POINT, NULL, 0,
				    NTFS_REPARSE_MAX, &data);
	if (r == -ENOENT || r == -EFBIG || (!r && data.len < 8))
		return link_damaged(ni);
	if (r < 0)
		return r;
	if (!tag)
		return ntfs_text_put(out, data.data + 8, (data.len - 8) / 2);
	return tag == TAG_LX_SYMLINK ? wsl_target(ni, &data, out)
				     : reparse_target(n, ni, &data, out);
}

int ntfs_link_target(struct ntfs *n, ntfs_inode *ni, uint32_t tag,
		     struct buf *out)
{
	size_t start = out->len, len;
	int r;

	r = target_read(n, ni, tag, out);
	len = out->len - start;
	if (!r && (!len || len > GUEST_TARGET_MAX ||
		   memchr(out->data + start, '\0', len)))
		r = link_damaged(ni);
	if (r < 0)
		out->len = start;
	return r;
}

int ntfs_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	struct ntfs *n = g->state;
	struct ntfs_what what;
	ntfs_inode *ni;
	int r;

	if (node & NTFS_STREAM_NODE)
		return -EINVAL;
	SCOPED_LOCK(&n->lock);
	r = ntfs_node_open(n, node, &ni);
	if (r < 0)
		return r;
	r = ntfs_look(n, ni, &what);
	if (!r && what.type != S_IFLNK)
		r = -EINVAL;
	if (!r)
		r = ntfs_link_target(n, ni, what.tag, out);
	ntfs_inode_close(ni);
	return r;
}
