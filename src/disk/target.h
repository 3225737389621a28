/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a disk is written to: a raw file, a block device, or an image of
 * another format. Reads, writes and zeroing may run on several threads at once,
 * on ranges that do not overlap.
 */
#ifndef SRC_DISK_TARGET_H
#define SRC_DISK_TARGET_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct disk_target;
struct image_format;
struct seam;

struct disk_target_ops {
	/* Return 0 or a negative errno, silent; all of @len or an error. */
	int (*read)(struct disk_target *t, uint64_t off, void *out, size_t len);
	int (*write)(struct disk_target *t, uint64_t off, const void *data,
		     size_t len);
	/* Let the range read as zeros, allocating nothing where possible. */
	int (*zero)(struct disk_target *t, uint64_t off, uint64_t len);
	/* The next range at or behind @off that may hold something else than
	 * zeros, up to @end. -ENXIO: none. */
	int (*data)(struct disk_target *t, uint64_t off, uint64_t end,
		    uint64_t *start_out, uint64_t *end_out);
	/* Make what was written durable, and let reads come from the disk. */
	int (*settle)(struct disk_target *t);
	/* Make all of it durable, and, for a file, give it its name. */
	int (*finish)(struct disk_target *t);
	void (*free)(struct disk_target *t);
};

struct disk_target {
	const struct disk_target_ops *ops;
	const char *name; /* for messages; borrowed */
	bool fresh; /* made now: all of it reads as zeros */
};

struct disk_target_options {
	const char *to;
	uint64_t size; /* that is to be written */
	bool delta, force, dry_run;
	bool keep_end; /* of a device that is larger */
	struct seam *seam;
	const char *format; /* "raw", "qcow2" or "vhd"; NULL: nobody said */
	/* Of images alone: */
	const char *disk; /* its name, for messages; outlives the target */
	unsigned int threads;
	const volatile bool *stop;
};

#define DISK_TARGET_PARTIAL ".vmbackup-partial"

/* A raw file or a block device (target_raw.c). *resumed_out: something
 * that an earlier run left is there, and goes for delta. Errors as
 * restore_disk(), said in words. */
MUST_CHECK int disk_target_raw(const struct disk_target_options *o,
			       bool *resumed_out, struct disk_target **out);
/* An image file (target_image.c); the same. */
MUST_CHECK int disk_target_image(const struct disk_target_options *o,
				 bool *resumed_out, struct disk_target **out);

/* ---- for the kinds ---- */

/* Make a new image at @path, where nothing is yet, for its owner alone. Return 0
 * or a negative errno, said in words: then there is no file. */
MUST_CHECK int disk_image_create(struct seam *s, const char *path,
				 const struct image_format *format,
				 uint64_t size);

/* May a file be written, seeing that it is there or not? Return 0 or a
 * negative errno, said in words. */
MUST_CHECK int disk_target_allowed(const struct disk_target_options *o,
				   bool there);
/* Give a whole, synced file its name, durably. Silent. */
MUST_CHECK int disk_target_place(struct seam *s, const char *partial,
				 const char *to, bool replace);

#endif
