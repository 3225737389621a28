/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What Windows keeps of a file and Linux has no place for, as attributes that
 * are not listed, with the names and the forms of ntfs-3g, so that what copies
 * them from one of its mounts to another can take them from here:
 *
 *   system.ntfs_acl            the security descriptor, self-relative
 *   system.ntfs_attrib         the attributes (read-only, hidden, ...)
 *   system.ntfs_times          when it was made, written, read, changed
 *   system.ntfs_crtime         the first of these times
 *   system.ntfs_dos_name       its 8.3 name
 *   system.ntfs_object_id      the object id and, behind it, its birth ids
 *   system.ntfs_reparse_data   the reparse point
 *   system.ntfs_ea             the extended attributes of OS/2's kind
 *   system.ntfs_efsinfo        what opens a file encrypted by Windows
 *
 * Numbers are in the byte order of this machine; _attrib_be, _times_be and
 * _crtime_be are the same with the highest byte first.
 *
 * The library's function for the descriptor makes one up where it cannot read
 * the one that is there, so that is read here, from the file $Secure: its index
 * $SII tells for each number where the descriptor stands in its stream $SDS.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <string.h>

#include <ntfs-3g/index.h>
#include <ntfs-3g/security.h>

#include "store/base/bytes.h"
#include "store/base/lock.h"
#include "store/base/log.h"

#define PREFIX "system.ntfs_"
#define SDS_HEAD                                                               \
	20 /* le32 hash, le32 number, le64 offset, le32 length of all */
#define DESCRIPTOR_MIN 20
#define OBJECT_ID_LEN 16
#define BIRTH_LEN 56 /* le64 the object's record, then three ids */

static ntfschar name_sii[] = { const_cpu_to_le16('$'), const_cpu_to_le16('S'),
			       const_cpu_to_le16('I'), const_cpu_to_le16('I') };
static ntfschar name_sds[] = { const_cpu_to_le16('$'), const_cpu_to_le16('S'),
			       const_cpu_to_le16('D'), const_cpu_to_le16('S') };
static ntfschar name_o[] = { const_cpu_to_le16('$'), const_cpu_to_le16('O') };
static ntfschar name_efs[] = { const_cpu_to_le16('$'), const_cpu_to_le16('E'),
			       const_cpu_to_le16('F'), const_cpu_to_le16('S') };

/* A whole attribute, appended. */
static int put_attr(struct ntfs *n, ntfs_inode *ni, ATTR_TYPES type,
		    ntfschar *name, uint32_t name_len, struct buf *out)
{
	int r = ntfs_data_bytes(n, ni, type, name, name_len, GUEST_XATTR_MAX,
				out);

	return r == -ENOENT ? -ENODATA : r;
}

/*
 * May the library search this index? It compares keys by the rule that the index
 * names: that of file names reads a name behind a key of four bytes, and with
 * that of plain bytes entries may be empty, so that the next one is the same one
 * again. The rules of numbers demand keys of equal lengths. Return 0, -ENOENT or
 * -EBADMSG (both silent), or a read error.
 */
static int check_index(struct ntfs *n, ntfs_inode *ni, ntfschar *name,
		       uint32_t name_len, COLLATION_RULES rule)
{
	AUTO_BUF struct buf root = BUF_INIT;
	uint32_t block;
	int r = ntfs_data_bytes(n, ni, AT_INDEX_ROOT, name, name_len,
				n->vol->mft_record_size, &root);

	if (r < 0)
		return r == -EFBIG ? -EBADMSG : r;
	if (root.len < 32 || get_le32(root.data + 4) != le32_to_cpu(rule))
		return -EBADMSG;
	block = get_le32(root.data + 8);
	return block < 512 || block > NTFS_INDEX_BLOCK_MAX ||
			       (block & (block - 1))
		       ? -EBADMSG
		       : 0;
}

/*
 * Find what index @name of @ni has for a key: @len bytes to @out. Return 0,
 * -ENOENT (silent), or an error.
 */
static int find_entry(struct ntfs *n, ntfs_inode *ni, ntfschar *name,
		      uint32_t name_len, const void *key, int key_len,
		      uint8_t *out, size_t len)
{
	COLLATION_RULES rule =
		key_len == 4 ? COLLATION_NTOFS_ULONG : COLLATION_NTOFS_ULONGS;
	ntfs_index_context *x;
	const uint8_t *entry;
	size_t at;
	int r = check_index(n, ni, name, name_len, rule);

	if (r < 0)
		return r;
	x = ntfs_index_ctx_get(ni, name, name_len);
	if (!x)
		return -ENOMEM;
	errno = 0;
	if (ntfs_index_lookup(key, key_len, x)) {
		r = ntfs_error(n, "one of its indexes is damaged", ni->mft_no);
	} else {
		/* le16 where the data begin, le16 their length; le16 at 8 is
		 * the length of all. */
		entry = (const uint8_t *)x->entry;
		at = get_le16(entry);
		if (get_le16(entry + 2) < len || at + len > get_le16(entry + 8))
			r = -EBADMSG;
		else
			memcpy(out, entry + at, len);
	}
	ntfs_index_ctx_put(x);
	return r;
}

/* ---- the security descriptor ---- */

/* Read at @off of the stream $SDS. */
static int read_sds(struct ntfs *n, ntfs_inode *secure, uint64_t off,
		    uint8_t *out, size_t len)
{
	struct guest_file *f;
	int r = ntfs_data_open(n, secure, AT_DATA, name_sds, 4, &f);

	if (r < 0)
		return r;
	if (off > f->size || len > f->size - off)
		r = -EBADMSG;
	else
		r = f->ops->read(f, off, out, len);
	f->ops->free(f);
	return r;
}

/* Append descriptor @id of the volume. -EBADMSG: silent. */
static int put_shared(struct ntfs *n, ntfs_inode *secure, le32 id,
		      struct buf *out)
{
	uint8_t head[SDS_HEAD], again[SDS_HEAD];
	uint32_t len;
	int r = find_entry(n, secure, name_sii, 4, &id, sizeof(id), head,
			   SDS_HEAD);

	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	len = get_le32(head + 16);
	if (get_le32(head + 4) != le32_to_cpu(id) ||
	    len < SDS_HEAD + DESCRIPTOR_MIN || len - SDS_HEAD > GUEST_XATTR_MAX)
		return -EBADMSG;
	len -= SDS_HEAD;
	r = buf_reserve(out, len);
	if (r == 0)
		r = read_sds(n, secure, get_le64(head + 8), again, SDS_HEAD);
	if (r == 0 && memcmp(head, again, SDS_HEAD) != 0)
		r = -EBADMSG;
	if (r == 0)
		r = read_sds(n, secure, get_le64(head + 8) + SDS_HEAD,
			     out->data + out->len, len);
	if (r == 0)
		out->len += len;
	return r;
}

static int put_acl(struct ntfs *n, ntfs_inode *ni, struct buf *out)
{
	ntfs_inode *secure;
	int r;

	if (!test_nino_flag(ni, v3_Extensions) || !ni->security_id)
		return put_attr(n, ni, AT_SECURITY_DESCRIPTOR, NULL, 0, out);
	errno = 0;
	secure = ntfs_inode_open(n->vol, FILE_Secure);
	if (!secure)
		return ntfs_error(n, "damaged", FILE_Secure);
	r = put_shared(n, secure, ni->security_id, out);
	ntfs_inode_close(secure);
	if (r == -EBADMSG)
		return fail(r,
			    "NTFS: record %llu: its security descriptor %u "
			    "is not to be found",
			    (unsigned long long)ni->mft_no,
			    le32_to_cpu(ni->security_id));
	return r;
}

/* ---- the object id ---- */

/* The volume that the object is from, its id there, and a domain: the index $O
 * of the file $ObjId has them, which stands in the directory $Extend. */
static int find_birth_ids(struct ntfs *n, const uint8_t *id, uint8_t *out)
{
	uint32_t block = n->vol->indx_record_size;
	ntfs_inode *extend, *ids = NULL;
	uint64_t node;
	int r = -ENOENT;

	errno = 0;
	extend = ntfs_inode_open(n->vol, FILE_Extend);
	if (!extend)
		return ntfs_error(n, "damaged", FILE_Extend);
	if (extend->mrec->flags & MFT_RECORD_IS_DIRECTORY)
		r = ntfs_dir_lookup(n, extend, block, "$ObjId", 6, &node);
	ntfs_inode_close(extend);
	if (r == 0)
		r = ntfs_node_open(n, node, &ids);
	if (r == 0)
		r = find_entry(n, ids, name_o, 2, id, OBJECT_ID_LEN, out,
			       BIRTH_LEN);
	if (ids)
		ntfs_inode_close(ids);
	return r;
}

static int put_object_id(struct ntfs *n, ntfs_inode *ni, struct buf *out)
{
	size_t before = out->len;
	uint8_t birth[BIRTH_LEN];
	int r = put_attr(n, ni, AT_OBJECT_ID, NULL, 0, out);

	/* Where it is in no index, it has no more than the id. */
	if (r == 0 && out->len - before == OBJECT_ID_LEN) {
		r = find_birth_ids(n, out->data + before, birth);
		if (r == 0)
			buf_put(out, birth + 8, sizeof(birth) - 8);
		else if (r == -ENOENT || r == -EAGAIN || r == -EBADMSG)
			r = 0;
	}
	return r;
}

/* ---- the others ---- */

/* Put numbers of @each bytes in the order that has the highest byte first. */
static void put_numbers(struct buf *out, uint8_t *p, size_t len, size_t each,
			bool big)
{
	size_t i;

	for (i = 0; i < len; i++) {
		size_t at = i - i % each;
		bool turn = big == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__);

		buf_put_u8(out, p[turn ? at + each - 1 - i % each : i]);
	}
}

static int put_attrib(ntfs_inode *ni, bool big, struct buf *out)
{
	uint8_t value[4];

	if (ntfs_get_ntfs_attrib(ni, (char *)value, sizeof(value)) !=
	    (int)sizeof(value))
		return -ENODATA;
	put_numbers(out, value, sizeof(value), 4, big);
	return 0;
}

static int put_times(ntfs_inode *ni, size_t count, bool big, struct buf *out)
{
	uint8_t value[32];
	int got;

	got = ntfs_inode_get_times(ni, (char *)value, sizeof(value));
	if (got < (int)(8 * count))
		return -ENODATA;
	put_numbers(out, value, 8 * count, 8, big);
	return 0;
}

static int put_dos_name(struct ntfs *n, ntfs_inode *ni, struct buf *out)
{
	ntfs_attr_search_ctx *x;
	const uint8_t *p;
	uint32_t len;
	int r = -ENODATA;

	if (ni->mft_no == FILE_root)
		return r; /* it is called "." */
	x = ntfs_attr_get_search_ctx(ni, NULL);
	if (!x)
		return -ENOMEM;
	while (r == -ENODATA &&
	       !ntfs_attr_lookup(AT_FILE_NAME, AT_UNNAMED, 0, CASE_SENSITIVE, 0,
				 NULL, 0, x)) {
		p = (const uint8_t *)x->attr +
		    le16_to_cpu(x->attr->value_offset);
		len = le32_to_cpu(x->attr->value_length);
		if (x->attr->non_resident || len < 66 || 66 + 2u * p[64] > len)
			break;
		if (p[65] & FILE_NAME_DOS)
			r = ntfs_text_put(out, p + 66, p[64]);
	}
	ntfs_attr_put_search_ctx(x);
	return r == -ENODATA && n->err ? n->err : r;
}

static int put_value(struct ntfs *n, ntfs_inode *ni, const char *name,
		     struct buf *out)
{
	if (!strcmp(name, "acl"))
		return put_acl(n, ni, out);
	if (!strcmp(name, "attrib") || !strcmp(name, "attrib_be"))
		return put_attrib(ni, name[6] != '\0', out);
	if (!strcmp(name, "times") || !strcmp(name, "times_be"))
		return put_times(ni, 4, name[5] != '\0', out);
	if (!strcmp(name, "crtime") || !strcmp(name, "crtime_be"))
		return put_times(ni, 1, name[6] != '\0', out);
	if (!strcmp(name, "dos_name"))
		return put_dos_name(n, ni, out);
	if (!strcmp(name, "object_id"))
		return put_object_id(n, ni, out);
	if (!strcmp(name, "reparse_data"))
		return put_attr(n, ni, AT_REPARSE_POINT, NULL, 0, out);
	if (!strcmp(name, "ea"))
		return put_attr(n, ni, AT_EA, NULL, 0, out);
	if (!strcmp(name, "efsinfo"))
		return put_attr(n, ni, AT_LOGGED_UTILITY_STREAM, name_efs, 4,
				out);
	return -ENODATA;
}

int ntfs_xattr(struct guest *g, uint64_t node, const char *name,
	       struct buf *out)
{
	struct ntfs *n = g->state;
	ntfs_inode *ni;
	int r;

	if (strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
	    (node & NTFS_STREAM_NODE))
		return -ENODATA;
	SCOPED_LOCK(&n->lock);
	r = ntfs_node_open(n, node, &ni);
	if (r < 0)
		return r;
	r = put_value(n, ni, name + strlen(PREFIX), out);
	ntfs_inode_close(ni);
	return r;
}
