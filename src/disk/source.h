/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a disk is read from. One face for all kinds:
 *
 *     PATH, raw:PATH        a raw file, with its holes, or a block device
 *     qcow2:PATH, vhd:, vhdx:, vmdk:, vdi:   an image that qemu-nbd serves; a regular
 *                           file is recognised without the word where that is safe
 *     nbd://, nbd+unix://, ...               an NBD export
 *
 * A file whose beginning says that it is an image may have been written by the
 * guest into its own raw disk. So an image that names other files (a backing
 * file) is only opened with its format in front, and a block device is raw unless
 * something else is said.
 */
#ifndef SRC_DISK_SOURCE_H
#define SRC_DISK_SOURCE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

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

struct disk_open {
	const char *name; /* of the disk, for messages */
	const char *source; /* as above */
	const char *bitmap; /* of the changed blocks; NULL: none */
	unsigned int threads; /* that will read at a time */
	const volatile bool *stop; /* reads end with -EINTR; may be NULL */
	bool writable; /* an image, which is then written to */
};

struct disk_source;

struct disk_ops {
	int (*extent)(struct disk_source *s, uint64_t off,
		      struct disk_extent *out);
	int (*read)(struct disk_source *s, uint64_t off, void *out, size_t len);
	void (*prefetch)(struct disk_source *s, uint64_t off, size_t len);
	int (*finish)(struct disk_source *s);
	/* Of images: what target.h says. Ranges that were asked about are
	 * asked about again: they may have been written to. */
	int (*data)(struct disk_source *s, uint64_t off, uint64_t end,
		    uint64_t *start_out, uint64_t *end_out);
	int (*write)(struct disk_source *s, uint64_t off, const void *data,
		     size_t len);
	int (*zero)(struct disk_source *s, uint64_t off, uint64_t len);
	int (*flush)(struct disk_source *s);
	void (*close)(struct disk_source *s);
};

/* The first member of each kind's own struct. */
struct disk_source {
	const struct disk_ops *ops;
	const char *name; /* of the disk; borrowed */
	char *source; /* for people; owned */
	const char *format; /* "raw", "qcow2", ...; "nbd"; a constant */
	uint64_t size;
	uint32_t sector; /* logical; a power of two, 512 to 65536 */
	uint32_t granule; /* reads are multiples of it, but for the last */
	bool has_bitmap; /* disk_extent.same means something */
};

/*
 * Return 0; -EINVAL (a source of no kind there is), -EINTR or another negative errno, said in words with
 * the disk's name. A bitmap that is not there is a warning: has_bitmap is then false.
 * @o's name must outlive it.
 */
MUST_CHECK int disk_open(const struct disk_open *o, struct disk_source **out);
/* NULL is fine. */
void disk_close(struct disk_source *s);
/*
 * What is at @off < size: an extent that begins there, as long as it goes (or as
 * the source tells). One thread at a time. Return 0, -EINTR or a negative errno, said in words.
 */
MUST_CHECK int disk_extent(struct disk_source *s, uint64_t off,
			   struct disk_extent *out);
/* Read all of [@off, @off + @len), which lies in the disk. From any thread, several at
 * a time. Return 0, -EINTR or a negative errno, said in words with the offset. */
MUST_CHECK int disk_read(struct disk_source *s, uint64_t off, void *out,
			 size_t len);
/* The range will be read soon. */
void disk_prefetch(struct disk_source *s, uint64_t off, size_t len);
/*
 * All was read: did it hold still? Return 0; 1: it was written to meanwhile (said in
 * words); or a negative errno (another size; gone), said in words.
 */
MUST_CHECK int disk_finish(struct disk_source *s);

/* ---- the kinds; each in a file of its name ---- */

MUST_CHECK int disk_file_open(const struct disk_open *o, const char *path,
			      struct disk_source **out);
MUST_CHECK int disk_nbd_open(const struct disk_open *o,
			     struct disk_source **out);
/* The server at a socket in the filesystem, which must outlive it. -ECONNREFUSED: it cannot be
 * connected to; silent. */
MUST_CHECK int disk_nbd_open_unix(const struct disk_open *o, const char *path,
				  const char *format, struct disk_source **out);
/* @format as qemu calls it. */
MUST_CHECK int disk_image_open(const struct disk_open *o, const char *path,
			       const char *format, struct disk_source **out);
/* Make a new image at @path. Return 0 or a negative errno, said in words. */
MUST_CHECK int disk_image_create(const char *path, const char *format,
				 uint64_t size);
/*
 * The format of an image file, by its content: a constant as qemu calls it, "raw"
 * where it is none. @chained: it names other files.
 * Return 0 or a negative errno (silent).
 */
MUST_CHECK int disk_image_probe(int fd, const char **format_out,
				bool *chained_out);

#endif
