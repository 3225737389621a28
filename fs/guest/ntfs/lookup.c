/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Finding a name by the index of its directory, a B+tree of names in the order
 * of their letters, whatever their case. Names that differ in nothing but case
 * stand beside one another, so all that are equal so far are looked at.
 *
 * The library's own search follows what the index says without an end, so the
 * walk is ours: it goes no deeper than an index can be, reads no more blocks
 * than the index has, and leaves a name that it cannot find for sure to the
 * caller, who reads the whole directory.
 *
 * An entry: le64 record, le16 length, le16 length of the key, le16 flags; from
 * byte 16 on the key, which is the name's attribute; and in the last 8 bytes the
 * block with the names before it, where it has one.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ntfs-3g/unistr.h>

#include "store/base/bytes.h"
#include "store/base/lock.h"

#define DEPTH_MAX 16 /* blocks one below the other */
#define ENTRY_HEAD 16
#define ENTRY_HAS_CHILD 1u
#define ENTRY_IS_LAST 2u /* it has no name */
#define KEY_NAME_LEN 64 /* offsets in the key */
#define KEY_NAME_TYPE 65
#define KEY_NAME 66
#define INDEX_MIN (64u << 10) /* a shorter one is read whole and remembered */

struct search {
	struct ntfs *n;
	ntfs_attr *na; /* owned; the blocks of the index; NULL: it has none */
	const char *text; /* borrowed; as it was asked for */
	size_t text_len;
	ntfschar name[UINT8_MAX];
	uint32_t len; /* units */
	uint32_t block; /* bytes of a block */
	uint64_t left; /* blocks that may still be read */
	uint64_t node; /* found; 0: not yet */
};

static int search_block(struct search *s, uint64_t vcn, unsigned int depth);

/* Is this entry, whose name is equal but for case, the one? */
static bool is_it(struct search *s, const uint8_t *entry)
{
	const uint8_t *key = entry + ENTRY_HEAD;
	char text[GUEST_NAME_MAX + 1];
	MFT_REF ref = get_le64(entry);

	if (key[KEY_NAME_TYPE] == FILE_NAME_DOS ||
	    MREF(ref) < FILE_first_user || MREF(ref) > UINT32_MAX ||
	    ntfs_text_name(key + KEY_NAME, key[KEY_NAME_LEN], MREF(ref),
			   text) != s->text_len ||
	    memcmp(text, s->text, s->text_len) != 0)
		return false;
	s->node = ntfs_node_of(ref);
	return true;
}

/* Compare an entry with the name: below 0, 0 or above. */
static int compare(const struct search *s, const uint8_t *entry)
{
	const uint8_t *key = entry + ENTRY_HEAD;
	ntfschar name[UINT8_MAX];

	memcpy(name, key + KEY_NAME, 2u * key[KEY_NAME_LEN]);
	return ntfs_names_full_collate(name, key[KEY_NAME_LEN], s->name, s->len,
				       IGNORE_CASE, s->n->vol->upcase,
				       s->n->vol->upcase_len);
}

/* Does the entry of @len bytes hold all that its flags say? */
static bool entry_ok(const uint8_t *entry, size_t len, unsigned int flags)
{
	size_t room = len - ENTRY_HEAD, key = get_le16(entry + 10);

	if (flags & ENTRY_HAS_CHILD) {
		if (room < 8)
			return false;
		room -= 8;
	}
	if (flags & ENTRY_IS_LAST)
		return true;
	return key <= room && key >= KEY_NAME &&
	       KEY_NAME + 2u * entry[ENTRY_HEAD + KEY_NAME_LEN] <= key;
}

/* The entries of one block or of the root. Return 1 (found), 0 (not there) or a
 * negative errno. */
static int search_entries(struct search *s, const uint8_t *p,
			  const uint8_t *end, unsigned int depth)
{
	unsigned int flags;
	int order, r;
	size_t len;

	for (;; p += len) {
		if (end - p < ENTRY_HEAD)
			return -EAGAIN;
		len = get_le16(p + 8);
		flags = get_le16(p + 12);
		if (len < ENTRY_HEAD || len % 8 || len > (size_t)(end - p) ||
		    !entry_ok(p, len, flags))
			return -EAGAIN;
		order = flags & ENTRY_IS_LAST ? 1 : compare(s, p);
		if (order >= 0 && (flags & ENTRY_HAS_CHILD)) {
			r = search_block(s, get_le64(p + len - 8), depth + 1);
			if (r)
				return r;
		}
		if (order > 0)
			return 0;
		if (order == 0 && is_it(s, p))
			return 1;
	}
}

/* The header of a node is at @head: le32 where its entries begin, le32 where
 * they end, both counted from there. @len bytes are there. */
static int search_node(struct search *s, const uint8_t *head, size_t len,
		       unsigned int depth)
{
	uint32_t first, end;

	if (len < 16)
		return -EAGAIN;
	first = get_le32(head);
	end = get_le32(head + 4);
	if (first > end || end > len || first % 8)
		return -EAGAIN;
	return search_entries(s, head + first, head + end, depth);
}

static int search_block(struct search *s, uint64_t vcn, unsigned int depth)
{
	/* Blocks smaller than a cluster are counted in sectors. */
	unsigned int bits = s->n->vol->cluster_size <= s->block
				    ? s->n->vol->cluster_size_bits
				    : 9;
	uint8_t *data;
	int r = -EAGAIN;

	if (!s->na || depth > DEPTH_MAX || s->left == 0 ||
	    vcn > (uint64_t)s->na->data_size >> bits)
		return -EAGAIN;
	s->left--;
	data = malloc(s->block);
	if (!data)
		return -ENOMEM;
	errno = 0;
	if (ntfs_attr_mst_pread(s->na, (s64)(vcn << bits), 1, s->block, data) !=
	    1)
		r = s->n->err ? s->n->err : errno == ENOMEM ? -ENOMEM : -EAGAIN;
	else if (!memcmp(data, "INDX", 4) && get_le64(data + 16) == vcn)
		r = search_node(s, data + 24, s->block - 24, depth);
	free(data);
	return r;
}

/* Return 1, 0 or a negative errno, as search_entries(). */
static int search_root(struct search *s, ntfs_inode *dir)
{
	AUTO_BUF struct buf root = BUF_INIT;
	int r = ntfs_data_bytes(s->n, dir, AT_INDEX_ROOT, NTFS_INDEX_I30, 4,
				s->n->vol->mft_record_size, &root);

	if (r == -ENOENT || r == -EFBIG || (r == 0 && root.len < 32))
		return -EAGAIN;
	return r < 0 ? r : search_node(s, root.data + 16, root.len - 16, 0);
}

int ntfs_dir_lookup(struct ntfs *n, ntfs_inode *dir, uint32_t block,
		    const char *name, size_t len, uint64_t *node_out)
{
	struct search s = { .n = n, .text = name, .text_len = len };
	int r;

	/* The longest may be cut ones, which stand in no index as they are. */
	if (len > GUEST_NAME_MAX - 4 ||
	    !ntfs_text_units(name, len, s.name, &s.len))
		return -EAGAIN;
	s.block = block;
	s.na = ntfs_attr_open(dir, AT_INDEX_ALLOCATION, NTFS_INDEX_I30, 4);
	if (s.na)
		s.left = (uint64_t)s.na->data_size / block;
	r = search_root(&s, dir);
	if (s.na)
		ntfs_attr_close(s.na);
	if (r > 0)
		*node_out = s.node;
	return r > 0 ? 0 : r == 0 ? -ENOENT : r;
}

/* Find NAME:STREAM. -ENOENT: there is none. */
static int find_stream(struct ntfs *n, ntfs_inode *dir, uint32_t block,
		       const char *name, size_t len, uint64_t *node_out)
{
	const char *colon = memrchr(name, ':', len);
	ntfs_inode *ni;
	uint64_t node;
	int r;

	if (!colon || colon == name)
		return -ENOENT;
	r = ntfs_dir_lookup(n, dir, block, name, (size_t)(colon - name), &node);
	if (r == 0)
		r = ntfs_node_open(n, node, &ni);
	if (r < 0)
		return r;
	r = ntfs_stream_find(n, ni, colon + 1, len - (size_t)(colon - name) - 1,
			     node_out);
	ntfs_inode_close(ni);
	return r;
}

int ntfs_lookup(struct guest *g, uint64_t dir, const char *name, size_t len,
		uint64_t *node_out)
{
	struct ntfs *n = g->state;
	bool colon = memchr(name, ':', len);
	ntfs_inode *ni;
	uint32_t block;
	ntfs_attr *na;
	int r;

	SCOPED_LOCK(&n->lock);
	r = ntfs_dir_open(n, dir, &ni, &block);
	if (r < 0)
		return r;
	na = ntfs_attr_open(ni, AT_INDEX_ALLOCATION, NTFS_INDEX_I30, 4);
	if (!colon && (!na || na->data_size < INDEX_MIN))
		r = -EAGAIN;
	if (na)
		ntfs_attr_close(na);
	if (r == 0)
		r = ntfs_dir_lookup(n, ni, block, name, len, node_out);
	/* A name may have a colon too, where it is not of Windows. */
	if (r == -ENOENT && colon)
		r = find_stream(n, ni, block, name, len, node_out);
	ntfs_inode_close(ni);
	return r;
}
