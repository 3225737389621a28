/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a disk is read from. One face for all kinds:
 *
 *     PATH             a raw disk in a file, with its holes, or a block device;
 *                      or a plain qcow2 image whose name says so
 *     raw:PATH         a raw disk, whatever its bytes look like
 *     qcow2:PATH ...   an image, of the format that the word names (format.h)
 *     nbd://..., nbd+unix://..., ...         an NBD export
 *
 * The bytes of a raw disk are its guest's to write, the beginning of an image
 * among them. So what a file looks like decides nothing by itself: a file
 * without a word in front that looks like an image is neither read as that nor
 * as raw, but asked about, unless it is a qcow2 that needs no other file and its
 * name ends so, which no guest can choose; a block device is raw unless a word
 * says otherwise. A caller who knows what a disk was before sees it by the
 * format (disk_source.recognised).
 */
#ifndef SRC_DISK_SOURCE_H
#define SRC_DISK_SOURCE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct image_policy;

enum disk_state {
	DISK_DATA, /* must be read */
	DISK_HOLE, /* reads as zeros, takes no space */
	DISK_ZERO, /* reads as zeros, takes space */
};

struct disk_extent {
	uint64_t off, len;
	enum disk_state state;
	bool same; /* a dirty bitmap says: not written to since it was made */
};

struct disk_source_options {
	const char *name; /* of the disk, for messages */
	const char *source; /* as above */
	const char *bitmap; /* of the changed blocks; NULL: none */
	const char
		*image_key; /* a file with encrypted images' secret, or NULL */
	const char *const
		*backing; /* where images may refer to; --allow-backing */
	size_t nbacking;
	unsigned int threads; /* that will read at a time */
	const volatile bool *stop; /* reads end with -EINTR; may be NULL */
};

struct disk_source;

/* What the functions below do, for one kind; they check for all of them. */
struct disk_source_ops {
	int (*extent)(struct disk_source *s, uint64_t off,
		      struct disk_extent *out);
	int (*read)(struct disk_source *s, uint64_t off, void *out, size_t len);
	void (*prefetch)(struct disk_source *s, uint64_t off,
			 size_t len); /* may be NULL */
	int (*finish)(struct disk_source *s); /* may be NULL */
	void (*close)(struct disk_source *s);
};

/* The first member of each kind's own struct. */
struct disk_source {
	const struct disk_source_ops *ops;
	const char *name; /* of the disk; borrowed */
	char *source; /* for people; owned */
	const char *format; /* "raw", "qcow2", ...; "nbd"; a constant */
	bool recognised; /* nobody said the format: a file's bytes did */
	uint64_t size;
	uint32_t sector; /* logical; a power of two, 512 to 65536 */
	uint32_t granule; /* reads are multiples of it, but for the last */
	bool has_bitmap; /* disk_extent.same means something */
};

/* The path in a source, behind the word that says its format; all of it where
 * there is none, or where it is an NBD URI. */
const char *disk_source_path(const char *source);
/*
 * Open it. Return 0; -EPERM (a file that must be asked about), -EINVAL (a
 * source of no kind there is), -EINTR or another negative errno, said in words
 * with the disk's name. A bitmap that is not there is a warning: has_bitmap is
 * then false. @o's name must outlive it.
 */
MUST_CHECK int disk_source_open(const struct disk_source_options *o,
				struct disk_source **out);
/* NULL is fine. */
void disk_source_close(struct disk_source *s);
/*
 * What is at @off < size: an extent that begins there, as long as it goes, or
 * as the source tells. For one thread at a time. Return 0, -EINTR or a negative
 * errno, said in words.
 */
MUST_CHECK int disk_source_extent(struct disk_source *s, uint64_t off,
				  struct disk_extent *out);
/* Read all of [@off, @off + @len), which lies in the disk. From any thread,
 * several at a time. Return 0, -EINTR or a negative errno, said in words with
 * the offset. */
MUST_CHECK int disk_source_read(struct disk_source *s, uint64_t off, void *out,
				size_t len);
/* Say that the range will be read soon. */
void disk_source_prefetch(struct disk_source *s, uint64_t off, size_t len);
/*
 * All was read: is it the whole disk, of one moment? Return 0; 1: it was written
 * to meanwhile, or it is an image of which something is missing (said in words); or a negative errno (another size; gone), said in words.
 */
MUST_CHECK int disk_source_finish(struct disk_source *s);

/* ---- the kinds; each in a file of its name ---- */

/* @fd is open on @path, a file or a block device, and is taken over. */
MUST_CHECK int disk_source_file(const struct disk_source_options *o, int fd,
				const char *path, struct disk_source **out);
/* The server that the URI o->source names. */
MUST_CHECK int disk_source_nbd(const struct disk_source_options *o,
			       struct disk_source **out);
struct image_format;
/* The image at @path, which @fd is open on; @fd stays the caller's. */
MUST_CHECK int disk_source_image(const struct disk_source_options *o, int fd,
				 const char *path,
				 const struct image_format *format,
				 struct disk_source **out);

#endif
