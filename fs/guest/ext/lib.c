/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libext2fs: it finds and judges the group descriptors in all their forms
 * (64bit, meta_bg, sparse_super2, checksums old and new), through an I/O
 * manager over struct blocks. What it knows is copied, and it is closed again:
 * the library may be used by one thread at a time, a reader by many.
 *
 * The one home of <ext2fs/...>.
 */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>

#include <ext2fs/ext2fs.h>

#include "store/base/log.h"

uint32_t ext_crc32c(uint32_t crc, const void *data, size_t len)
{
	return ext2fs_crc32c_le(crc, data, len);
}

uint32_t ext_crc32_be(uint32_t crc, const void *data, size_t len)
{
	return ext2fs_crc32_be(crc, data, len);
}

int ext_lib_hash(const struct ext_super *s, unsigned int version,
		 const char *name, size_t len, uint32_t *out)
{
	ext2_dirhash_t hash, minor;
	__u32 seed[4];

	if (version > EXT2_HASH_TEA)
		return -EAGAIN;
	/* The library has the unsigned kinds as versions of their own. */
	if (s->hash_unsigned)
		version += EXT2_HASH_LEGACY_UNSIGNED;
	memcpy(seed, s->hash_seed, sizeof(seed));
	if (ext2fs_dirhash2((int)version, name, (int)len, NULL, 0, seed, &hash,
			    &minor))
		return -EAGAIN;
	*out = hash & ~1u;
	/* The kernel keeps the highest value for the end of a directory. */
	if (*out == 0xfffffffe)
		*out = 0xfffffffc;
	return 0;
}

/* What a channel reads; it lives in ext_lib_tables(). */
struct source {
	struct blocks *b;
	int error; /* the first that reading met */
};

static io_manager manager(void);

/* The library hands over a name and nothing else: it is the address. */
static errcode_t lib_open(const char *name, int flags, io_channel *out)
{
	io_channel c;

	(void)flags;
	c = calloc(1, sizeof(*c));
	if (!c)
		return EXT2_ET_NO_MEMORY;
	c->magic = EXT2_ET_MAGIC_IO_CHANNEL;
	c->manager = manager();
	c->name = strdup("volume");
	if (!c->name) {
		free(c);
		return EXT2_ET_NO_MEMORY;
	}
	c->block_size = 1024;
	c->refcount = 1;
	c->private_data = (void *)(uintptr_t)strtoull(name, NULL, 16);
	*out = c;
	return 0;
}

static errcode_t lib_close(io_channel c)
{
	if (--c->refcount > 0)
		return 0;
	free(c->name);
	free(c);
	return 0;
}

static errcode_t lib_set_blksize(io_channel c, int size)
{
	if (size < 1024 || size > EXT_BLOCK_MAX)
		return EXT2_ET_INVALID_ARGUMENT;
	c->block_size = size;
	return 0;
}

/* A negative count is one of bytes. */
static errcode_t lib_read64(io_channel c, unsigned long long block, int count,
			    void *data)
{
	struct source *s = c->private_data;
	uint64_t off;
	size_t len;
	int r;

	len = count < 0 ? (size_t) - (int64_t)count
			: (size_t)count * (size_t)c->block_size;
	if (__builtin_mul_overflow(block, (uint64_t)c->block_size, &off))
		return EXT2_ET_SHORT_READ;
	r = blocks_read(s->b, off, data, len);
	if (r == -ERANGE)
		return EXT2_ET_SHORT_READ;
	if (r < 0 && !s->error)
		s->error = r;
	return r < 0 ? EIO : 0;
}

static errcode_t lib_read(io_channel c, unsigned long block, int count,
			  void *data)
{
	return lib_read64(c, block, count, data);
}

static errcode_t lib_write64(io_channel c, unsigned long long block, int count,
			     const void *data)
{
	(void)c;
	(void)block;
	(void)count;
	(void)data;
	return EXT2_ET_RO_FILSYS;
}

static errcode_t lib_write(io_channel c, unsigned long block, int count,
			   const void *data)
{
	return lib_write64(c, block, count, data);
}

static errcode_t lib_flush(io_channel c)
{
	(void)c;
	return 0;
}

static io_manager manager(void)
{
	static struct struct_io_manager m = {
		.magic = EXT2_ET_MAGIC_IO_MANAGER,
		.name = "blocks",
		.open = lib_open,
		.close = lib_close,
		.set_blksize = lib_set_blksize,
		.read_blk = lib_read,
		.write_blk = lib_write,
		.flush = lib_flush,
		.read_blk64 = lib_read64,
		.write_blk64 = lib_write64,
	};

	return &m;
}

/*
 * Return the block where the inodes of group @g begin, or 0 where it cannot be
 * right. A checksum of the descriptor that does not match is counted in
 * *suspects, and the descriptor is believed all the same, as the kernel does
 * where it only reads: each inode has a checksum of its own.
 */
static uint64_t table_of(ext2_filsys fs, const struct ext_super *s, dgrp_t g,
			 uint32_t *suspects)
{
	uint64_t at = ext2fs_inode_table_loc(fs, g);
	uint64_t n = ((uint64_t)s->inodes_per_group * s->inode_size +
		      s->block_size - 1) /
		     s->block_size;

	if (!ext2fs_group_desc_csum_verify(fs, g))
		++*suspects;
	if (at <= s->first_data_block || at >= s->blocks_count ||
	    n > s->blocks_count - at) {
		log_warn("ext: the descriptor of block group %u is damaged: "
			 "its inodes cannot be read",
			 (unsigned int)g);
		return 0;
	}
	return at;
}

static void library_init(void)
{
	initialize_ext2_error_table();
}

int ext_lib_tables(struct blocks *b, const struct ext_super *s, uint64_t **out,
		   uint32_t *suspects_out, struct buf *why)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct source source = { b, 0 };
	uint64_t *tables = NULL;
	ext2_filsys fs = NULL;
	char name[32];
	errcode_t err;
	dgrp_t g;
	int r;

	*out = NULL;
	*suspects_out = 0;
	pthread_once(&once, library_init);
	snprintf(name, sizeof(name), "%" PRIxPTR, (uintptr_t)&source);
	err = ext2fs_open2(name, NULL,
			   EXT2_FLAG_64BITS | EXT2_FLAG_SOFTSUPP_FEATURES, 0, 0,
			   manager(), &fs);
	if (err) {
		buf_printf(why, "ext: its block groups cannot be read: %s",
			   source.error ? strerror(-source.error)
					: error_message(err));
		if (source.error)
			return source.error;
		return err == EXT2_ET_NO_MEMORY || err == ENOMEM ? -ENOMEM
								 : -EBADMSG;
	}
	r = -EBADMSG;
	if (fs->group_desc_count != s->ngroups ||
	    fs->blocksize != s->block_size) {
		buf_printf(why, "ext: the number of its block groups is wrong");
		goto out;
	}
	r = -ENOMEM;
	tables = alloc_array(s->ngroups, sizeof(*tables));
	if (!tables)
		goto out;
	for (g = 0; g < s->ngroups; g++)
		tables[g] = table_of(fs, s, g, suspects_out);
	*out = tables;
	r = 0;
out:
	ext2fs_free(fs);
	return r;
}
