/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records of the MFT: what they are. */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/bytes.h"
#include "store/base/lock.h"
#include "store/base/log.h"

#define TAG_AF_UNIX 0x80000023u
#define TAG_LX_FIFO 0x80000024u
#define TAG_LX_CHR 0x80000025u
#define TAG_LX_BLK 0x80000026u
#define EA_MAX (64u << 10)
#define EPOCH_1601 INT64_C(11644473600) /* seconds before 1970 */
#define UNITS_SECOND INT64_C(10000000)

uint64_t ntfs_node_of(MFT_REF ref)
{
	return (MREF(ref) & UINT32_MAX) |
	       (uint64_t)(MSEQNO(ref) & NTFS_SEQ_MASK) << NTFS_SEQ_SHIFT;
}

static int node_gone(uint64_t record, unsigned int seq)
{
	if (!seq)
		return -ENOENT;
	return fail(-EBADMSG,
		    "NTFS: a name leads to record %llu, which is "
		    "not its file any more: the directory is older or newer "
		    "than the file table",
		    (unsigned long long)record);
}

int ntfs_node_open(struct ntfs *n, uint64_t node, ntfs_inode **out)
{
	unsigned int seq = (node >> NTFS_SEQ_SHIFT) & NTFS_SEQ_MASK;
	uint64_t record = node & UINT32_MAX;
	ntfs_inode *ni;
	bool wrong;

	if (node & NTFS_STREAM_NODE)
		seq = 0; /* the file was found by a node of its own */

	*out = NULL;
	n->err = 0;
	if (record < FILE_first_user && record != FILE_root)
		return -ENOENT;
	if (n->vol->mft_na->initialized_size < 0 ||
	    record >= (uint64_t)n->vol->mft_na->initialized_size >>
		    n->vol->mft_record_size_bits)
		return node_gone(record, seq);
	errno = 0;
	ni = ntfs_inode_open(n->vol, record);
	if (!ni && errno == ENOENT && !n->err)
		return node_gone(record, seq);
	if (!ni)
		return ntfs_error(n, "damaged", record);
	wrong = ni->mrec->base_mft_record ||
		(seq && (le16_to_cpu(ni->mrec->sequence_number) &
			 NTFS_SEQ_MASK) != seq);
	if (wrong) {
		ntfs_inode_close(ni);
		return node_gone(record, seq);
	}
	*out = ni;
	return 0;
}

static struct timestamp time_of(ntfs_time when)
{
	int64_t t = sle64_to_cpu(when);
	int64_t sec = t / UNITS_SECOND, rest = t % UNITS_SECOND;

	if (rest < 0) {
		rest += UNITS_SECOND;
		sec--;
	}
	return (struct timestamp){ sec - EPOCH_1601, (uint32_t)rest * 100 };
}

/* Names but the 8.3 ones. */
static uint64_t count_links(ntfs_inode *ni)
{
	ntfs_attr_search_ctx *ctx = ntfs_attr_get_search_ctx(ni, NULL);
	uint64_t links = 0;
	const uint8_t *p;

	if (!ctx)
		return 1;
	while (links < UINT16_MAX &&
	       !ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0,
				 NULL, 0, ctx)) {
		p = (const uint8_t *)ctx->attr +
		    le16_to_cpu(ctx->attr->value_offset);
		if (ctx->attr->non_resident ||
		    le32_to_cpu(ctx->attr->value_length) <
			    offsetof(FILE_NAME_ATTR, file_name))
			break;
		if (p[offsetof(FILE_NAME_ATTR, file_name_type)] !=
		    FILE_NAME_DOS)
			links++;
	}
	ntfs_attr_put_search_ctx(ctx);
	return links ? links : 1;
}

/* WSL keeps the numbers of a device in the attribute $LXDEV of OS/2's kind:
 * le32 next, u8 flags, u8 name length, le16 value length, name, NUL, value. */
static int wsl_device(struct ntfs *n, ntfs_inode *ni, struct ntfs_what *out)
{
	AUTO_BUF struct buf ea = BUF_INIT;
	size_t off = 0, next, name_len;
	const uint8_t *p;
	int r;

	r = ntfs_data_bytes(n, ni, AT_EA, NULL, 0, EA_MAX, &ea);
	if (r < 0)
		return r == -ENOENT || r == -EFBIG ? 0 : r;
	while (ea.len - off >= 8) {
		p = ea.data + off;
		next = get_le32(p);
		name_len = p[5];
		if (ea.len - off >= 8 + name_len + 1 + 8 && name_len == 6 &&
		    !memcmp(p + 8, "$LXDEV", 6) && get_le16(p + 6) == 8) {
			out->major = get_le32(p + 8 + 7);
			out->minor = get_le32(p + 8 + 11);
			break;
		}
		if (!next || next > ea.len - off)
			break;
		off += next;
	}
	return 0;
}

static int look_reparse(struct ntfs *n, ntfs_inode *ni, struct ntfs_what *out)
{
	AUTO_BUF struct buf data = BUF_INIT;
	int r;

	r = ntfs_data_bytes(n, ni, AT_REPARSE_POINT, NULL, 0, NTFS_REPARSE_MAX,
			    &data);
	if (r == -ENOENT)
		return 0;
	if (r == -EFBIG || (!r && data.len < 8))
		return fail(-EBADMSG,
			    "NTFS: record %llu: its reparse point is "
			    "damaged",
			    (unsigned long long)ni->mft_no);
	if (r < 0)
		return r;
	out->tag = get_le32(data.data);
	switch (out->tag) {
	case TAG_AF_UNIX:
		out->type = S_IFSOCK;
		return 0;
	case TAG_LX_FIFO:
		out->type = S_IFIFO;
		return 0;
	case TAG_LX_CHR:
		out->type = S_IFCHR;
		return wsl_device(n, ni, out);
	case TAG_LX_BLK:
		out->type = S_IFBLK;
		return wsl_device(n, ni, out);
	default:
		if (ntfs_tag_is_link(out->tag))
			out->type = S_IFLNK;
		return 0;
	}
}

/* Interix (and ntfs-3g) keep special files in small ones of the system. */
static int look_interix(struct ntfs *n, ntfs_inode *ni, struct ntfs_what *out)
{
	AUTO_BUF struct buf data = BUF_INIT;
	int r;

	if (out->size <= 1 && !(ni->flags & FILE_ATTR_HIDDEN)) {
		out->type = out->size ? S_IFSOCK : S_IFIFO;
		return 0;
	}
	if (out->size <= 8 || out->size > 8 + 2 * 4096)
		return 0;
	r = ntfs_data_bytes(n, ni, AT_DATA, AT_UNNAMED, 0, 8 + 2 * 4096, &data);
	if (r == -ENOMEM)
		return r;
	if (r < 0 || data.len <= 8)
		return 0; /* told when it is read */
	if (!memcmp(data.data, "IntxLNK\1", 8)) {
		out->type = S_IFLNK;
	} else if (data.len == 24 && (!memcmp(data.data, "IntxCHR", 8) ||
				      !memcmp(data.data, "IntxBLK", 8))) {
		out->type = data.data[4] == 'C' ? S_IFCHR : S_IFBLK;
		out->major = get_le32(data.data + 8);
		out->minor = get_le32(data.data + 16);
	}
	return 0;
}

int ntfs_look(struct ntfs *n, ntfs_inode *ni, struct ntfs_what *out)
{
	bool dir = ni->mrec->flags & MFT_RECORD_IS_DIRECTORY;
	int r = 0;

	memset(out, 0, sizeof(*out));
	out->type = dir ? S_IFDIR : S_IFREG;
	if (ni->data_size < 0 || (uint64_t)ni->data_size > GUEST_SIZE_MAX)
		return fail(-EBADMSG, "NTFS: record %llu: its size is damaged",
			    (unsigned long long)ni->mft_no);
	out->size = dir ? 0 : (uint64_t)ni->data_size;
	if (ni->flags & FILE_ATTR_REPARSE_POINT)
		r = look_reparse(n, ni, out);
	else if (!dir && (ni->flags & FILE_ATTR_SYSTEM))
		r = look_interix(n, ni, out);
	return r;
}

/* As st_size and st_blocks of a directory: its index. */
static void dir_size(ntfs_inode *ni, struct guest_attr *out)
{
	ntfs_attr *na =
		ntfs_attr_open(ni, AT_INDEX_ALLOCATION, NTFS_INDEX_I30, 4);

	if (!na)
		return;
	if (na->data_size > 0 && (uint64_t)na->data_size <= GUEST_SIZE_MAX)
		out->size = (uint64_t)na->data_size;
	out->allocated = out->size;
	ntfs_attr_close(na);
}

/* A stream has the times of its file, and a size of its own. */
static int stream_fill(struct ntfs *n, ntfs_inode *ni, struct guest_attr *out)
{
	struct ntfs_stream s;
	ntfs_attr *na;
	int r = ntfs_stream_get(n, ni, out->node, &s);

	if (r < 0)
		return r;
	errno = 0;
	na = ntfs_attr_open(ni, AT_DATA, s.name, s.len);
	if (!na)
		return ntfs_error(n, "a stream is damaged", ni->mft_no);
	out->mode = S_IFREG | 0777;
	out->nlink = 1;
	if (na->data_size < 0 || (uint64_t)na->data_size > GUEST_SIZE_MAX)
		r = fail(-EBADMSG,
			 "NTFS: record %llu: the size of a stream is damaged",
			 (unsigned long long)ni->mft_no);
	else
		out->size = (uint64_t)na->data_size;
	if (na->allocated_size > 0 &&
	    (uint64_t)na->allocated_size <= n->meta->size)
		out->allocated = (uint64_t)na->allocated_size;
	ntfs_attr_close(na);
	return r;
}

static int attr_fill(struct ntfs *n, ntfs_inode *ni, struct guest_attr *out)
{
	AUTO_BUF struct buf target = BUF_INIT;
	struct ntfs_what what;
	int r;

	out->atime = time_of(ni->last_access_time);
	out->mtime = time_of(ni->last_data_change_time);
	out->ctime = time_of(ni->last_mft_change_time);
	if (out->node & NTFS_STREAM_NODE)
		return stream_fill(n, ni, out);
	r = ntfs_look(n, ni, &what);
	if (r < 0)
		return r;
	out->mode = what.type | 0777;
	out->nlink = what.type == S_IFDIR ? 1 : count_links(ni);
	out->rdev_major = what.major;
	out->rdev_minor = what.minor;
	if (what.type == S_IFDIR) {
		dir_size(ni, out);
	} else if (what.type == S_IFREG) {
		out->size = what.size;
		if (ni->allocated_size > 0 &&
		    (uint64_t)ni->allocated_size <= n->meta->size)
			out->allocated = (uint64_t)ni->allocated_size;
	} else if (what.type == S_IFLNK) {
		r = ntfs_link_target(n, ni, what.tag, &target);
		if (r == -ENOMEM)
			return r;
		out->size = r < 0 ? 0 : target.len; /* readlink() says why */
	}
	return 0;
}

int ntfs_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	struct ntfs *n = g->state;
	ntfs_inode *ni;
	int r;

	SCOPED_LOCK(&n->lock);
	r = ntfs_node_open(n, node, &ni);
	if (r < 0)
		return r;
	memset(out, 0, sizeof(*out));
	out->node = node;
	r = attr_fill(n, ni, out);
	ntfs_inode_close(ni);
	return r;
}
