/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files: their extents are looked up in the subvolume's tree at each read, so
 * an open file costs next to nothing however many it has. What lies between
 * them is a hole, as are those without an address.
 */
#include "config.h"

#include "fs/guest/btrfs/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "store/base/log.h"

struct file {
	struct guest_file f;
	struct btrfs *fs; /* borrowed: outlives it */
	const struct btrfs_subvol *subvol; /* borrowed from fs */
	uint64_t objectid;
	bool summed;
};

enum extent_offsets {
	EXTENT_RAM = 8,
	EXTENT_COMPRESSION = 16,
	EXTENT_ENCRYPTION = 17,
	EXTENT_ENCODING = 18,
	EXTENT_TYPE = 20,
	EXTENT_INLINE = 21,
	EXTENT_DISK = 21,
	EXTENT_DISK_LEN = 29,
	EXTENT_OFF = 37,
	EXTENT_LEN = 45,
	EXTENT_END = 53,
};

enum extent_types { TYPE_INLINE, TYPE_REGULAR, TYPE_PREALLOC };

struct btrfs_extent {
	uint64_t start, end; /* in the file */
	uint8_t type, compression;
	uint64_t ram; /* bytes, decompressed */
	uint64_t disk, disk_len; /* disk 0: a hole */
	uint64_t off; /* of start, in what is decompressed */
	const uint8_t *bytes; /* inline: borrowed from the cursor */
	size_t nbytes;
};

static int bad_extent(const struct file *f, uint64_t start)
{
	return fail(-EBADMSG,
		    "btrfs: the extent at %" PRIu64 " of inode %" PRIu64
		    " of subvolume %" PRIu64 " is malformed",
		    start, f->objectid, f->subvol->tree.id);
}

static bool inline_get(const struct btrfs_cursor *c, struct btrfs_extent *x)
{
	x->bytes = c->item + EXTENT_INLINE;
	x->nbytes = c->len - EXTENT_INLINE;
	if (x->start != 0 || x->ram > BTRFS_COMPRESSED_MAX ||
	    (x->compression == 0 && x->ram > x->nbytes))
		return false;
	x->end = x->ram;
	return true;
}

static bool regular_get(const struct btrfs *fs, const struct btrfs_cursor *c,
			struct btrfs_extent *x)
{
	uint64_t len, whole;

	if (c->len < EXTENT_END)
		return false;
	x->disk = get_le64(c->item + EXTENT_DISK);
	x->disk_len = get_le64(c->item + EXTENT_DISK_LEN);
	x->off = get_le64(c->item + EXTENT_OFF);
	len = get_le64(c->item + EXTENT_LEN);
	x->end = x->start + len;
	if (x->end < x->start || x->end > INT64_MAX)
		return false;
	if (x->disk == 0)
		return true;
	if (x->compression && (x->disk_len > BTRFS_COMPRESSED_MAX ||
			       x->ram > BTRFS_COMPRESSED_MAX))
		return false;
	whole = x->compression ? x->ram : x->disk_len;
	return x->disk % fs->sector == 0 && x->disk_len > 0 &&
	       x->disk_len % fs->sector == 0 && x->off <= whole &&
	       len <= whole - x->off && x->disk + x->disk_len >= x->disk;
}

static int extent_get(const struct file *f, const struct btrfs_cursor *c,
		      struct btrfs_extent *x)
{
	bool ok;

	memset(x, 0, sizeof(*x));
	x->start = c->key.offset;
	if (c->len < EXTENT_INLINE)
		return bad_extent(f, x->start);
	if (c->item[EXTENT_ENCRYPTION] || get_le16(c->item + EXTENT_ENCODING))
		return fail(-EOPNOTSUPP,
			    "btrfs: inode %" PRIu64 " of "
			    "subvolume %" PRIu64 " is encrypted",
			    f->objectid, f->subvol->tree.id);
	x->type = c->item[EXTENT_TYPE];
	x->compression = c->item[EXTENT_COMPRESSION];
	x->ram = get_le64(c->item + EXTENT_RAM);
	if (x->type == TYPE_INLINE)
		ok = inline_get(c, x);
	else
		ok = x->type <= TYPE_PREALLOC && regular_get(f->fs, c, x);
	return ok ? 0 : bad_extent(f, x->start);
}

/*
 * The extent at @off or, where there is none, the next one: the first whose
 * end is above @off. Return 1, 0 (no more) or a negative errno.
 */
static int extent_at(const struct file *f, uint64_t off, struct btrfs_cursor *c,
		     struct btrfs_extent *x)
{
	const struct btrfs_key key = { f->objectid, BTRFS_EXTENT_DATA, off };
	int r;

	r = btrfs_seek(f->fs, &f->subvol->tree, &key, true, c);
	if (r == 0) /* all of the tree is above it */
		return 0;
	for (; r > 0; r = btrfs_next(c)) {
		if (btrfs_key_cmp(&c->key, &key) > 0 &&
		    (c->key.objectid != f->objectid ||
		     c->key.type != BTRFS_EXTENT_DATA))
			return 0;
		if (c->key.objectid != f->objectid ||
		    c->key.type != BTRFS_EXTENT_DATA)
			continue;
		r = extent_get(f, c, x);
		if (r < 0)
			return r;
		if (x->end > off)
			return 1;
	}
	return r;
}

/* The one behind @x. As extent_at(). */
static int extent_next(const struct file *f, struct btrfs_cursor *c,
		       struct btrfs_extent *x)
{
	uint64_t end = x->end;
	int r = btrfs_next(c);

	if (r <= 0 || c->key.objectid != f->objectid ||
	    c->key.type != BTRFS_EXTENT_DATA)
		return MIN(r, 0);
	r = extent_get(f, c, x);
	if (r < 0)
		return r;
	/* An inline one ends where its sector does. */
	return x->start >= end && x->end > x->start ? 1
						    : bad_extent(f, x->start);
}

static int inline_read(const struct file *f, const struct btrfs_extent *x,
		       uint64_t off, void *out, size_t len)
{
	struct btrfs_block *b;
	int r;

	if (!x->compression) {
		memcpy(out, x->bytes + off, len);
		return 0;
	}
	/* Newer kernels compress the whole sector that the bytes stand in, so
	 * more than the extent's own length may come out. */
	b = btrfs_block_new(0, 0, MAX(x->ram, f->fs->sector));
	if (!b)
		return -ENOMEM;
	r = btrfs_inflate(f->fs, x->compression, x->bytes, x->nbytes, b);
	if (r == 0)
		memcpy(out, b->data + off, len);
	btrfs_block_put(b);
	return r;
}

/* Reads as zeros, and is no data to SEEK_DATA: preallocated ones too. */
static bool is_hole(const struct btrfs_extent *x)
{
	return x->type == TYPE_PREALLOC ||
	       (x->type == TYPE_REGULAR && x->disk == 0);
}

/* Bytes [@off, @off + @len) of the file, all of them in @x. */
static int extent_read(const struct file *f, const struct btrfs_extent *x,
		       uint64_t off, void *out, size_t len)
{
	uint64_t at = off - x->start + x->off;

	if (x->type == TYPE_INLINE)
		return inline_read(f, x, off, out, len);
	if (is_hole(x)) {
		memset(out, 0, len);
		return 0;
	}
	if (!x->compression)
		return btrfs_data_read(f->fs, x->disk + at, f->summed, out,
				       len);
	return btrfs_data_inflate(f->fs, x->disk, (uint32_t)x->disk_len,
				  x->compression, f->summed, (uint32_t)at, out,
				  len);
}

static int file_read(struct guest_file *gf, uint64_t off, void *out, size_t len)
{
	const struct file *f = container_of(gf, struct file, f);
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	uint8_t *p = out;
	struct btrfs_extent x;
	size_t n;
	int r, more;

	if (len == 0)
		return 0;
	more = extent_at(f, off, &c, &x);
	while (len > 0) {
		if (more < 0)
			return more;
		if (more == 0 || x.start > off) {
			n = more ? (size_t)MIN(len, x.start - off) : len;
			memset(p, 0, n);
		} else {
			n = (size_t)MIN(len, x.end - off);
			r = extent_read(f, &x, off, p, n);
			if (r < 0)
				return r;
		}
		p += n;
		off += n;
		len -= n;
		if (len > 0 && more && off >= x.end)
			more = extent_next(f, &c, &x);
	}
	return 0;
}

static int file_seek(struct guest_file *gf, uint64_t off, bool hole,
		     uint64_t *out)
{
	const struct file *f = container_of(gf, struct file, f);
	struct btrfs_cursor c AUTO_CURSOR = BTRFS_CURSOR_INIT;
	struct btrfs_extent x;
	int r;

	for (r = extent_at(f, off, &c, &x); r > 0; r = extent_next(f, &c, &x)) {
		if (x.start >= f->f.size)
			break;
		if (hole && (x.start > off || is_hole(&x)))
			goto found;
		if (!hole && !is_hole(&x)) {
			off = MAX(off, x.start);
			goto found;
		}
		off = x.end;
		if (x.type == TYPE_INLINE)
			off = (off + f->fs->sector - 1) &
			      -(uint64_t)f->fs->sector;
	}
	if (r < 0)
		return r;
	if (!hole)
		return -ENXIO;
found:
	*out = MIN(off, f->f.size);
	return 0;
}

static void file_free(struct guest_file *gf)
{
	free(container_of(gf, struct file, f));
}

static const struct guest_file_ops file_ops = {
	.read = file_read,
	.seek = file_seek,
	.free = file_free,
};

int btrfs_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	struct btrfs *fs = g->state;
	const struct btrfs_subvol *s;
	struct btrfs_inode i;
	struct file *f;
	uint64_t id;
	int r;

	*out = NULL;
	r = btrfs_inode_read_node(fs, node, &s, &id, &i);
	if (r < 0)
		return r;
	if (!S_ISREG(i.mode))
		return -EINVAL;
	f = calloc(1, sizeof(*f));
	if (!f)
		return -ENOMEM;
	f->fs = fs;
	f->subvol = s;
	f->objectid = id;
	f->summed = !(i.flags & BTRFS_INODE_NODATASUM);
	guest_file_init(&f->f, &file_ops, i.size, sizeof(*f));
	*out = &f->f;
	return 0;
}
