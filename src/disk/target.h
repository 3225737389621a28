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

/* What the functions below do, for one kind; they check for all of them. */
struct disk_target_ops {
	int (*read)(struct disk_target *t, uint64_t off, void *out, size_t len);
	int (*write)(struct disk_target *t, uint64_t off, const void *data,
		     size_t len);
	int (*zero)(struct disk_target *t, uint64_t off, uint64_t len);
	int (*data)(struct disk_target *t, uint64_t off, uint64_t end,
		    uint64_t *start_out, uint64_t *end_out);
	int (*settle)(struct disk_target *t);
	int (*finish)(struct disk_target *t);
	void (*free)(struct disk_target *t);
};

struct disk_target {
	const struct disk_target_ops *ops;
	const char *name; /* for messages; borrowed */
	uint64_t size; /* of the disk that is written */
	bool fresh; /* made now: all of it reads as zeros */
};

struct disk_target_options {
	const char *to;
	uint64_t size; /* that is to be written */
	bool delta, force, dry_run;
	bool keep_end; /* of a device that is larger */
	struct seam *seam;
	const char *format; /* "raw", "qcow2" or "vhd"; NULL: nobody said */
	/* For images alone: */
	const char *disk; /* its name, for messages; outlives the target */
	unsigned int threads;
	const volatile bool *stop;
};

#define DISK_TARGET_PARTIAL ".vmbackup-partial"
#define DISK_TARGET_DRAFT ".new" /* behind that: an image that is being made */

/*
 * Open a raw file or a block device (target_raw.c). *resumed_out says that
 * something an earlier run left is there: it goes through delta. Errors are those
 * of restore_disk(), said in words.
 */
MUST_CHECK int disk_target_raw(const struct disk_target_options *o,
			       bool *resumed_out, struct disk_target **out);
/* Open or make an image file (target_image.c), likewise. */
MUST_CHECK int disk_target_image(const struct disk_target_options *o,
				 bool *resumed_out, struct disk_target **out);

/* Read or write all of [@off, @off + @len), which must lie in the disk. Return 0
 * or a negative errno, silent. */
MUST_CHECK int disk_target_read(struct disk_target *t, uint64_t off, void *out,
				size_t len);
MUST_CHECK int disk_target_write(struct disk_target *t, uint64_t off,
				 const void *data, size_t len);
/* Let the range read as zeros, allocating nothing where that can be. */
MUST_CHECK int disk_target_zero(struct disk_target *t, uint64_t off,
				uint64_t len);
/* Find the next range at or behind @off, up to @end, that may hold something
 * else than zeros. Return 0, -ENXIO (there is none) or another negative errno,
 * silent. */
MUST_CHECK int disk_target_data(struct disk_target *t, uint64_t off,
				uint64_t end, uint64_t *start_out,
				uint64_t *end_out);
/* Make what was written durable, and let reads come from the disk. Silent. */
MUST_CHECK int disk_target_settle(struct disk_target *t);
/* Make all of it durable, and give a file its name. Silent. */
MUST_CHECK int disk_target_finish(struct disk_target *t);
/* NULL is fine. */
void disk_target_free(struct disk_target *t);

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
/*
 * May what @fd is open on, which was found at @path, be gone on with, as what an
 * earlier run of ours left? In a directory of several people it may be somebody
 * else's, who would read the disk there or change it; or another name of a file
 * that is not to be touched.
 * Return 0, -EEXIST (it may not) or another negative errno, said in words.
 */
MUST_CHECK int disk_target_is_ours(struct seam *s, int fd, const char *path);
/* Give a whole, synced file its name, durably. Silent. */
MUST_CHECK int disk_target_place(struct seam *s, const char *partial,
				 const char *to, bool replace);

#endif
