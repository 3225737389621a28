/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writes a disk of a point to an image file or a block device.
 *
 * Only what the disk holds is fetched and written; holes and zeros stay holes,
 * or are made where the target has something else. With delta the target is
 * read first and only what differs is written: chunk by chunk, by the hash
 * that names it. That is also how an interrupted restore goes on: what is
 * there is proved, never believed.
 */
#ifndef SRC_RESTORE_DISK_H
#define SRC_RESTORE_DISK_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct guard;
struct point_disk;
struct task;
struct vault;

struct restore_disk_options {
	const char *to; /* a file that is made, or a block device */
	const char *format; /* of a file: "raw", "qcow2" or "vhd"; NULL: raw */
	bool delta; /* onto what is there */
	bool force; /* replace a file that is there */
	bool keep_end; /* leave what a larger device has behind the disk */
	bool dry_run; /* with delta: only compare */
	bool verify; /* afterwards read all of it again and compare */
	unsigned int threads; /* 0: one a core, at most 16 */
	const struct guard *guard; /* what is never touched; may be NULL */
};

struct restore_disk_progress {
	uint64_t bytes_done, bytes_total; /* of used bytes */
	uint64_t bytes_written;
	uint64_t bytes_same; /* were there already */
	uint64_t bytes_zeroed; /* held something where the disk has none */
	uint64_t bytes_verified;
	bool resumed; /* went on with what an earlier run left */
	double seconds;
};

/*
 * Restore @d. @task ticks with a struct restore_disk_progress, from this thread.
 * A file appears under its name when it is whole; until then it is
 * "<to>.vmbackup-partial", from which the next run goes on. With 0, all is on
 * disk.
 * Return 0; -EEXIST (the file is there), -EINVAL (what is there is not a disk of
 * that size), -EBUSY (what is there is mounted, locked by a running machine or
 * otherwise in use, or it is guarded), -ENOSPC (it is too small), -EINTR (@task was stopped), -EBADMSG (the vault is damaged, or
 * what was written reads back otherwise) or another negative errno; all but
 * -EINTR said in words.
 */
MUST_CHECK int restore_disk(struct vault *v, const struct point_disk *d,
			    const struct restore_disk_options *o,
			    struct task *task,
			    struct restore_disk_progress *out);

#endif
