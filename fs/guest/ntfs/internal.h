/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of the NTFS reader share. They are the home of libntfs-3g;
 * nothing else includes its headers.
 *
 * The library opens records, finds attributes, decodes runlists and walks the
 * indexes of directories: all under one lock for each volume, for it knows no
 * threads. The bytes of files are read by us, without it and without a lock.
 */
#ifndef FS_GUEST_NTFS_INTERNAL_H
#define FS_GUEST_NTFS_INTERNAL_H

#include "fs/guest/guest.h"

#include <pthread.h>

/* The library's headers ask what its own configure found out. */
#define HAVE_ENDIAN_H 1
#define HAVE_STDARG_H 1
#define HAVE_STDDEF_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_TIME_H 1
#include <ntfs-3g/types.h>

#include <ntfs-3g/attrib.h>
#include <ntfs-3g/device.h>
#include <ntfs-3g/dir.h>
#include <ntfs-3g/inode.h>
#include <ntfs-3g/layout.h>
#include <ntfs-3g/volume.h>

/*
 * A node is the number of an MFT record in 32 bits, and above them as many
 * bits of the sequence number as there is room for: a name that leads to a
 * record which is another file by now is found out when it is used. Without
 * those bits (0) nothing is compared.
 *
 * Where the highest bit is set, the node is an alternate stream: of the same
 * record, the one of that number in the order of ntfs_streams_list().
 */
#define NTFS_SEQ_SHIFT 32
#define NTFS_SEQ_MASK 0x1fffu
#define NTFS_STREAM_NODE (UINT64_C(1) << 45)
#define NTFS_STREAM_SHIFT 33
#define NTFS_STREAMS_MAX 4096

#define NTFS_INDEX_BLOCK_MAX (2u << 20)
#define NTFS_REPARSE_MAX (16u << 10) /* as Windows has it */
#define NTFS_UNIT_MAX (1u << 20) /* bytes that are compressed as one */

struct ntfs {
	struct guest *g; /* borrowed */
	pthread_mutex_t lock; /* protects all below: the library's */
	struct blocks *meta; /* held: g->blocks through a cache */
	ntfs_volume *vol; /* owned */
	int err; /* of the last read that failed, already said; or 0 */
};

/* A record that is open; under the lock. */
struct ntfs_what {
	uint32_t type; /* S_IF* */
	uint64_t size;
	uint32_t major, minor;
	uint32_t tag; /* of its reparse point; 0 without one */
};

/* ---- device.c ---- */
/* Check the boot sector and start the library on n->meta. */
int ntfs_device_start(struct ntfs *n, struct buf *why);
void ntfs_device_stop(struct ntfs *n);
/* What the library's errno means: what a read said, or -ENOMEM, -ENOENT
 * (both silent), or -EBADMSG, said as the sentence of @what and @record. */
int ntfs_error(struct ntfs *n, const char *what, uint64_t record);

/* ---- state.c ---- */
/* Fill n->g->info. Under the lock. */
int ntfs_state_read(struct ntfs *n);

/* ---- inode.c ---- */
/* Open a node. Under the lock, as all that takes an ntfs_inode. -ENOENT:
 * there is none (silent). Close it with ntfs_inode_close(). */
int ntfs_node_open(struct ntfs *n, uint64_t node, ntfs_inode **out);
uint64_t ntfs_node_of(MFT_REF ref);
int ntfs_look(struct ntfs *n, ntfs_inode *ni, struct ntfs_what *out);
int ntfs_getattr(struct guest *g, uint64_t node, struct guest_attr *out);

/* ---- lookup.c ---- */
/*
 * Find @name in the directory @dir, whose index has blocks of @block bytes, by
 * that index. Return 0; -ENOENT (no such name; silent); -EAGAIN (not to be told
 * from the index, or it is damaged: read the whole directory; silent); or a
 * read error. Under the lock.
 */
int ntfs_dir_lookup(struct ntfs *n, ntfs_inode *dir, uint32_t block,
		    const char *name, size_t len, uint64_t *node_out);
/* As guest_ops->lookup; NAME:STREAM is found too. */
int ntfs_lookup(struct guest *g, uint64_t dir, const char *name, size_t len,
		uint64_t *node_out);

/* ---- dir.c ---- */
/* Open a directory and check its index, the size of whose blocks is *block_out
 * then. -ENOTDIR. Under the lock; close *out with ntfs_inode_close(). */
int ntfs_dir_open(struct ntfs *n, uint64_t dir, ntfs_inode **out,
		  uint32_t *block_out);
int ntfs_dir_read(struct guest *g, uint64_t dir, uint64_t cookie,
		  guest_dir_fn *fn, void *arg);
/* The entry of @dir that Windows would take for @name (@len units): its true
 * name in @out as UTF-16. -ENOENT. Under the lock. */
int ntfs_dir_find(struct ntfs *n, ntfs_inode *dir, const ntfschar *name,
		  size_t len, uint64_t *node_out, struct buf *out);

/* ---- link.c ---- */
/* The target of a symbolic link of any kind, appended. Under the lock. */
int ntfs_link_target(struct ntfs *n, ntfs_inode *ni, uint32_t tag,
		     struct buf *out);
int ntfs_readlink(struct guest *g, uint64_t node, struct buf *out);
/* Is it a tag that we show as a symbolic link? */
bool ntfs_tag_is_link(uint32_t tag);

/* ---- data.c ---- */
/* An attribute as a file. -ENOENT: there is none (silent); -EFBIG: it is in
 * more pieces than MAP_RANGES_MAX. Under the lock; the file lives on without
 * it. */
int ntfs_data_open(struct ntfs *n, ntfs_inode *ni, ATTR_TYPES type,
		   ntfschar *name, uint32_t name_len, struct guest_file **out);
/* The bytes of a small one, appended. -EFBIG: longer than @max (silent). */
int ntfs_data_bytes(struct ntfs *n, ntfs_inode *ni, ATTR_TYPES type,
		    ntfschar *name, uint32_t name_len, size_t max,
		    struct buf *out);
int ntfs_file(struct guest *g, uint64_t node, struct guest_file **out);

/* ---- compress.c ---- */
struct ntfs_run {
	uint64_t off; /* in the file; all in bytes */
	uint64_t len;
	uint64_t at; /* in the volume */
};
/* A compressed file. @runs is taken over, whatever the outcome. */
int ntfs_compressed_file(struct blocks *b, struct ntfs_run *runs, size_t n,
			 uint32_t unit, uint64_t size, uint64_t initialized,
			 uint64_t record, struct guest_file **out);
/* LZNT1: fill @out; what the input does not reach is zeros. -EBADMSG
 * (silent). */
int ntfs_decompress_unit(const uint8_t *in, size_t in_len, uint8_t *out,
			 size_t out_len);

/* ---- stream.c ---- */
struct ntfs_stream {
	ntfschar name[UINT8_MAX];
	uint8_t len; /* units */
};
/* Find the stream of @ni that is called @name. -ENOENT (silent). Under the
 * lock. */
int ntfs_stream_find(struct ntfs *n, ntfs_inode *ni, const char *name,
		     size_t len, uint64_t *node_out);
/* The stream that is @node, of its record @ni. -ENOENT (silent). Under the
 * lock. */
int ntfs_stream_get(struct ntfs *n, ntfs_inode *ni, uint64_t node,
		    struct ntfs_stream *out);
int ntfs_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn, void *arg);

/* ---- metadata.c ---- */
/* As guest_ops->xattr: what Windows keeps of a file, under the names that
 * ntfs-3g gives it. */
int ntfs_xattr(struct guest *g, uint64_t node, const char *name,
	       struct buf *out);

/* ---- text.c ---- */
/* The reverse of ntfs_text_put(): a name in UTF-8 as at most UINT8_MAX units.
 * False: it is no such name. */
bool ntfs_text_units(const char *name, size_t len, ntfschar *out,
		     uint32_t *n_out);
/* UTF-16 at any address as UTF-8 (utf16.h), appended. Return 0 or -ENOMEM. */
int ntfs_text_put(struct buf *out, const void *units, size_t n);
/* A name, and a NUL behind; one over GUEST_NAME_MAX is cut and ends in @tag.
 * @out has room for GUEST_NAME_MAX + 1. Return its length. */
size_t ntfs_text_name(const void *units, uint8_t n, uint64_t tag, char *out);

#endif
