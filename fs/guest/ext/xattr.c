/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Extended attributes: those behind the inode's fields, those in a block of
 * their own, and values that are inodes (ea_inode). One of those in the inode,
 * "system.data", is the rest of a file that is kept inline.
 */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

#define XATTR_MAGIC 0xea020000u
#define HEADER_LEN 32 /* of a block of attributes */
#define HEADER_SUM 16
#define ENTRY_LEN 16 /* without the name */
#define INDEX_SYSTEM 7

/* ACLs: on disk version 1, as getxattr(2) gives them version 2. */
#define ACL_USER 0x02
#define ACL_GROUP 0x08
#define ACL_ENTRIES_MAX 4096

struct ext_xattr {
	unsigned int index; /* stands for the prefix of the name */
	const uint8_t *name;
	size_t name_len;
	const uint8_t *value;
	size_t len;
	uint32_t ino; /* not 0: the value is there, @value NULL */
};
/* Not 0 ends the walk. */
typedef int each_fn(void *arg, const struct ext_xattr *x);

static int bad(const struct ext_inode *i, const char *what)
{
	return fail(-EBADMSG, "ext: inode %" PRIu32 ": %s", i->ino, what);
}

/* Entries begin at @first of @len bytes; places of values count from @base. */
static int each(const struct ext_inode *i, const uint8_t *first, size_t len,
		const uint8_t *base, size_t base_len, each_fn *fn, void *arg)
{
	size_t off = 0, n, at;
	int r;

	while (off + 4 <= len && get_le32(first + off) != 0) {
		const uint8_t *p = first + off;
		struct ext_xattr x = { 0 };

		if (len - off < ENTRY_LEN || len - off - ENTRY_LEN < p[0])
			return bad(i, "its extended attributes are damaged");
		n = ENTRY_LEN + p[0];
		x.index = p[1];
		x.name = p + ENTRY_LEN;
		x.name_len = p[0];
		x.ino = get_le32(p + 4);
		x.len = get_le32(p + 8);
		at = get_le16(p + 2);
		if (x.len > GUEST_XATTR_MAX)
			return bad(i, "an extended attribute is too long");
		if (!x.ino) {
			if (x.len && (at > base_len || x.len > base_len - at))
				return bad(i, "an extended attribute is "
					      "outside of its block");
			x.value = x.len ? base + at : base;
		}
		r = fn(arg, &x);
		if (r)
			return r;
		off += (n + 3) & ~(size_t)3;
	}
	return 0;
}

static bool has_own(const struct ext_inode *i)
{
	return i->extra_len >= 8 && get_le32(i->extra) == XATTR_MAGIC;
}

static int each_in_inode(const struct ext_inode *i, each_fn *fn, void *arg)
{
	const uint8_t *first = i->extra + 4;

	if (!has_own(i))
		return 0;
	return each(i, first, i->extra_len - 4, first, i->extra_len - 4, fn,
		    arg);
}

bool ext_xattr_none(const struct ext_inode *i)
{
	return !has_own(i) && !i->acl_block;
}

static int read_block(const struct ext *e, const struct ext_inode *i,
		      uint8_t *buf)
{
	static const uint8_t zero[4];
	size_t size = e->super.block_size;
	uint8_t le[8];
	uint32_t sum;
	int r;

	if (!ext_blocks_ok(e, i->acl_block, 1))
		return bad(i, "its attributes are outside of the filesystem");
	r = ext_block_read(e, i->acl_block, buf);
	if (r < 0)
		return r;
	if (get_le32(buf) != XATTR_MAGIC || get_le32(buf + 8) != 1)
		return bad(i, "its block of attributes is damaged");
	if (!e->super.checksums)
		return 0;
	put_le64(le, i->acl_block);
	sum = ext_crc32c(e->super.csum_seed, le, sizeof(le));
	sum = ext_crc32c(sum, buf, HEADER_SUM);
	sum = ext_crc32c(sum, zero, sizeof(zero));
	sum = ext_crc32c(sum, buf + HEADER_SUM + 4, size - HEADER_SUM - 4);
	if (sum != get_le32(buf + HEADER_SUM))
		return bad(i, "the checksum of its attributes does not match");
	return 0;
}

static int each_in_block(const struct ext *e, const struct ext_inode *i,
			 each_fn *fn, void *arg)
{
	size_t size = e->super.block_size;
	uint8_t *buf;
	int r;

	if (!i->acl_block)
		return 0;
	buf = malloc(size);
	if (!buf)
		return -ENOMEM;
	r = read_block(e, i, buf);
	if (r == 0)
		r = each(i, buf + HEADER_LEN, size - HEADER_LEN, buf, size, fn,
			 arg);
	free(buf);
	return r;
}

/* ---- to the caller ---- */

struct hand_over {
	const struct ext *e;
	const struct ext_inode *i;
	guest_xattr_fn *fn;
	void *arg;
	size_t total;
	bool in_block; /* what the inode has too is passed over */
};

/* NULL: such attributes are not shown, as the kernel does not. */
static const char *prefix_of(const struct ext_xattr *x)
{
	switch (x->index) {
	case 1:
		return "user.";
	case 2:
		return x->name_len ? NULL : "system.posix_acl_access";
	case 3:
		return x->name_len ? NULL : "system.posix_acl_default";
	case 4:
		return "trusted.";
	case 6:
		return "security.";
	default:
		return NULL;
	}
}

static int acl_convert(const struct ext_inode *i, const uint8_t *p, size_t len,
		       struct buf *out)
{
	size_t off = 4, n;

	if (len < 4 || get_le32(p) != 1)
		return bad(i, "its ACL is of an unknown version");
	buf_put_le32(out, 2);
	for (n = 0; off < len; n++) {
		uint32_t id = UINT32_MAX;
		unsigned int tag;

		if (len - off < 4 || n >= ACL_ENTRIES_MAX)
			return bad(i, "its ACL is damaged");
		tag = get_le16(p + off);
		buf_put_le16(out, (uint16_t)tag);
		buf_put_le16(out, get_le16(p + off + 2));
		off += 4;
		if (tag == ACL_USER || tag == ACL_GROUP) {
			if (len - off < 4)
				return bad(i, "its ACL is damaged");
			id = get_le32(p + off);
			off += 4;
		}
		buf_put_le32(out, id);
	}
	return buf_error(out);
}

/* The value that inode @ino is. */
static int read_value(const struct ext *e, const struct ext_inode *i,
		      const struct ext_xattr *x, struct buf *out)
{
	struct ext_inode *v;
	int r;

	v = malloc(sizeof(*v));
	if (!v || buf_reserve(out, x->len ? x->len : 1) < 0) {
		free(v);
		return -ENOMEM;
	}
	r = ext_inode_read_any(e, x->ino, v);
	if (r == -ENOENT ||
	    (r == 0 && (!(v->flags & EXT_FL_EA_INODE) ||
			(v->flags & EXT_FL_INLINE_DATA) || v->size != x->len)))
		r = bad(i, "the inode of an extended attribute is none");
	if (r == 0)
		r = ext_map_read(e, v, out->data, x->len);
	if (r == 0)
		out->len = x->len;
	free(v);
	return r;
}

static int is_twin(void *arg, const struct ext_xattr *x)
{
	const struct ext_xattr *t = arg;

	return x->index == t->index && x->name_len == t->name_len &&
	       memcmp(x->name, t->name, x->name_len) == 0;
}

static int give_one(void *arg, const struct ext_xattr *x)
{
	struct buf value AUTO_BUF = BUF_INIT, acl AUTO_BUF = BUF_INIT;
	const char *prefix = prefix_of(x);
	struct hand_over *h = arg;
	struct ext_xattr t = *x;
	const uint8_t *p = x->value;
	size_t len = x->len;
	char name[32 + 256];
	int r = 0;

	if (!prefix || memchr(x->name, 0, x->name_len))
		return 0;
	h->total += x->name_len + x->len;
	if (h->total > GUEST_XATTRS_MAX)
		return bad(h->i, "it has too many extended attributes");
	if (h->in_block && each_in_inode(h->i, is_twin, &t) == 1)
		return 0;
	if (x->ino) {
		r = read_value(h->e, h->i, x, &value);
		p = value.data;
	}
	if (r == 0 && (x->index == 2 || x->index == 3)) {
		r = acl_convert(h->i, p, len, &acl);
		p = acl.data;
		len = acl.len;
	}
	if (r < 0)
		return r;
	snprintf(name, sizeof(name), "%s%.*s", prefix, (int)x->name_len,
		 (const char *)x->name);
	return h->fn(h->arg, name, p, len);
}

int ext_xattr_walk(const struct ext *e, const struct ext_inode *i,
		   guest_xattr_fn *fn, void *arg)
{
	struct hand_over h = { .e = e, .i = i, .fn = fn, .arg = arg };
	int r;

	r = each_in_inode(i, give_one, &h);
	if (r)
		return r;
	h.in_block = true;
	return each_in_block(e, i, give_one, &h);
}

/* ---- inline data ---- */

static int find_data(void *arg, const struct ext_xattr *x)
{
	struct ext_xattr *out = arg;

	if (x->index != INDEX_SYSTEM || x->name_len != 4 ||
	    memcmp(x->name, "data", 4) != 0 || x->ino)
		return 0;
	*out = *x;
	return 1;
}

int ext_xattr_inline(const struct ext *e, const struct ext_inode *i,
		     struct buf *out)
{
	struct ext_xattr x = { 0 };
	int r;

	(void)e;
	r = each_in_inode(i, find_data, &x);
	if (r < 0)
		return r;
	if (i->size > EXT_NBLOCKS_LEN + x.len)
		return bad(i, "its inline data are damaged");
	buf_put(out, i->block, (size_t)MIN(i->size, EXT_NBLOCKS_LEN));
	if (i->size > EXT_NBLOCKS_LEN)
		buf_put(out, x.value, (size_t)(i->size - EXT_NBLOCKS_LEN));
	return buf_error(out);
}
