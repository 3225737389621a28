/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk behind a server of NBD: one that somebody runs, or a qemu-nbd of our
 * own, by which images of all formats are read and written. Sources read from
 * such a device, targets write to one.
 *
 * All functions say in words what failed, with the disk's name, and return
 * -EINTR once the stop flag is set, which is silent.
 */
#ifndef SRC_DISK_DEVICE_H
#define SRC_DISK_DEVICE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk_extent;
struct image_policy;
struct image_format;

struct disk_device_options {
	const char
		*name; /* of the disk, for messages; must outlive the device */
	const char *source; /* an NBD URI; of an image its path */
	const char *bitmap; /* of the changed blocks; NULL: none */
	unsigned int threads; /* that will read or write at a time */
	const volatile bool *stop; /* may be NULL; must outlive the device */
};

struct disk_device {
	const char *name; /* of the disk; borrowed */
	char *source; /* owned */
	uint64_t size;
	uint32_t sector; /* logical; a power of two, 512 to 65536 */
	uint32_t granule; /* reads are multiples of it, but for the last */
	bool has_bitmap; /* disk_extent.same means something */
	bool writable;
	bool damaged; /* an image of which something is missing; said */
};

/* Connect to the server at an NBD URI, to read. A bitmap that is not there is a
 * warning: has_bitmap is then false. Return 0 or a negative errno. */
MUST_CHECK int disk_device_open_uri(const struct disk_device_options *o,
				    struct disk_device **out);
/*
 * Serve the image that @fd is open on, and what it needs (chain.h), by a confined
 * qemu-nbd. @fd stays the caller's. Return 0, -ENOENT (qemu-nbd is not
 * installed), an error of image_chain_open(), or another negative errno.
 */
MUST_CHECK int disk_device_open_image(const struct disk_device_options *o,
				      int fd, const struct image_format *format,
				      const struct image_policy *policy,
				      bool writable, struct disk_device **out);
/* Of a writable image: closed by qemu-nbd when this returns. NULL is fine. */
void disk_device_close(struct disk_device *d);

/* What is at @off < size, to be asked for in growing order by one thread. What
 * is written afterwards is not seen: that is what disk_device_data() is for. */
MUST_CHECK int disk_device_extent(struct disk_device *d, uint64_t off,
				  struct disk_extent *out);
/*
 * Find the next range at or behind @off, up to @end, that may hold something
 * else than zeros; what was written is seen. One thread at a time.
 * Return 0, -ENXIO (there is none; silent) or another negative errno.
 */
MUST_CHECK int disk_device_data(struct disk_device *d, uint64_t off,
				uint64_t end, uint64_t *start_out,
				uint64_t *end_out);
/* Read, write, zero all of [@off, @off + @len), which must lie in the disk. From
 * any thread, several at a time, on ranges that do not overlap. */
MUST_CHECK int disk_device_read(struct disk_device *d, uint64_t off, void *out,
				size_t len);
MUST_CHECK int disk_device_write(struct disk_device *d, uint64_t off,
				 const void *data, size_t len);
MUST_CHECK int disk_device_zero(struct disk_device *d, uint64_t off,
				uint64_t len);
/* Make what was written durable, as far as the server promises it. */
MUST_CHECK int disk_device_flush(struct disk_device *d);

#endif
