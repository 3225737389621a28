/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Makes one recovery point of paths, disks and config files: scan, compare with the parent, read what changed, commit. */
#ifndef SRC_BACKUP_BACKUP_H
#define SRC_BACKUP_BACKUP_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct exclude;
struct task;
struct vault;

struct backup_disk {
	const char
		*name; /* a point's name for it, see backup_member_name_ok() */
	const char *source; /* src/disk/source.h */
	const char *map; /* disk_map.h; NULL: none */
	const char *image_key; /* src/disk/source.h; NULL: none */
};

struct backup_disk_result {
	uint64_t size;
	uint64_t used; /* neither hole nor zeros; in a dry run: allocated */
	uint64_t read; /* bytes read from the source */
	uint64_t reused; /* taken over from the parent point, unread */
	char format[16];
};

struct backup_config {
	const char *name; /* as a disk's */
	const char *path;
};

struct backup_options {
	const char *vm; /* NULL: the host's name */
	const char *host; /* NULL: the host's name */
	const char *const *sources;
	int nsources;
	const char *const *tags;
	int ntags;
	const struct backup_disk *disks; /* no name twice */
	size_t ndisks;
	const char *const *backing; /* where images may refer to */
	size_t nbacking;
	struct backup_disk_result
		*disk_results; /* one a disk; NULL: not wanted */
	const char *
		bitmap; /* of the changed blocks, in each disk's source; NULL: none */
	const char *
		next_bitmap; /* that begins with this point; NULL: bitmap, where it is there */
	const struct backup_config *configs; /* no name twice */
	size_t nconfigs;
	const struct exclude *exclude;
	bool exclude_caches, one_file_system;
	bool dry_run; /* walk and compare, open and store nothing */
	bool skip_if_unchanged; /* no point where all below the sources is as in the parent */
	bool force; /* read every file, whatever the parent says */
	const char *
		parent; /* a point's name; NULL: the machine's latest with the same sources */
	int level, disk_level; /* zstd's, for trees and files, and for disks */
	unsigned int threads; /* 0: one a core */
	int64_t time_ns; /* of the point; 0: now */
};

/* Counters, as they grow. */
struct backup_progress {
	uint64_t files_new, files_changed, files_unmodified;
	uint64_t dirs, others;
	uint64_t entries; /* walked so far */
	uint64_t bytes_done; /* of regular files passed, read or not */
	uint64_t bytes_ahead; /* read, of files that are not yet passed */
	uint64_t bytes_read;
	uint64_t bytes_new; /* plaintext of new chunks */
	uint64_t bytes_packed;
	uint64_t errors;
	uint64_t total_entries,
		total_bytes; /* of the parent, as an estimate, and of the disks; 0: unknown */
	uint64_t disks, configs; /* done */
	uint64_t disk_bytes; /* of disks passed, read or not */
	uint64_t disk_used; /* neither hole nor zeros */
	double seconds;
	char current[256]; /* a path */
};

struct backup_result {
	struct backup_progress progress;
	char point_id[33]; /* "" where none was made */
	char point_name[320]; /* "<vm>/<time>", as point_list has it */
	bool skipped; /* --skip-if-unchanged, and it was */
	uint64_t packs_adopted;
};

/* May a disk or config file be called that? */
bool backup_member_name_ok(const char *name);
/*
 * Make a point as @o says. @task is told of a struct backup_progress.
 * Files that cannot be read or that change meanwhile are said in words, counted
 * in progress.errors, and mark the point as incomplete.
 * Return 0 (the point is durable, or it was a dry run, or nothing changed and
 * none was wanted), -EINTR (the task was asked to stop) or another negative
 * errno, said in words: then no point was made.
 */
MUST_CHECK int backup_run(struct vault *v, const struct backup_options *o,
			  struct task *task, struct backup_result *out);

#endif
