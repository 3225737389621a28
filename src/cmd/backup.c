/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/backup/backup.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "src/cmd/disk_args.h"
#include "src/scan/exclude.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/task.h"
#include "store/point.h"
#include "store/record/config.h"
#include "store/vault.h"

#define LEVEL_FAST 1
#define LEVEL_AUTO 3
/* A disk is cut at fixed places and into short frames, so that little of it is
 * found twice; a level that searches longer makes up for that. */
#define LEVEL_AUTO_DISK 6

struct args {
	const char *vm, *host, *parent, *time, *compression, *parity;
	struct string_list tags, excludes, iexcludes, exclude_files;
	bool exclude_caches, one_file_system, dry_run, skip_if_unchanged, force;
	unsigned int threads;
	struct disk_args disks;
};

static const struct option_row rows[] = {
	OPT_STRING("vm", 0, "VM", struct args, vm,
		   "the machine that the point is of (default: this host)"),
	DISK_ARGS_ROWS(struct args, disks),
	OPT_STRING("host", 'H', "NAME", struct args, host,
		   "the host to note in the point (VMBACKUP_HOST)"),
	OPT_LIST("tag", 0, "TAG[,TAG]...", struct args, tags,
		 "give the point a tag; may be repeated"),
	OPT_LIST("exclude", 'e', "PATTERN", struct args, excludes,
		 "leave out what matches; may be repeated"),
	OPT_LIST("iexclude", 0, "PATTERN", struct args, iexcludes,
		 "the same, upper and lower case alike"),
	OPT_LIST("exclude-file", 0, "FILE", struct args, exclude_files,
		 "read such patterns from FILE, one a line"),
	OPT_FLAG("exclude-caches", 0, struct args, exclude_caches,
		 "of directories with a CACHEDIR.TAG keep only that"),
	OPT_FLAG("one-file-system", 'x', struct args, one_file_system,
		 "do not enter other file systems"),
	OPT_FLAG("dry-run", 'n', struct args, dry_run,
		 "walk and read, but store nothing"),
	OPT_FLAG("skip-if-unchanged", 0, struct args, skip_if_unchanged,
		 "make no point where nothing changed"),
	OPT_FLAG("force", 'f', struct args, force,
		 "read every file and disk, changed or not"),
	OPT_STRING("parent", 0, "POINT", struct args, parent,
		   "compare with POINT (default: the machine's latest)"),
	OPT_STRING("time", 0, "TIME", struct args, time,
		   "date the point TIME instead of now"),
	OPT_STRING("compression", 0, "off|fast|auto|1..19", struct args,
		   compression,
		   "how hard to compress"
		   " (default: auto; VMBACKUP_COMPRESSION)"),
	OPT_STRING("parity", 0, "N%", struct args, parity,
		   "give new packs N % of parity, 0 to 50"
		   " (default: as the vault was made)"),
	OPT_UINT("threads", 0, "N", struct args, threads,
		 "compress on N threads (default: one a core)"),
	OPT_END
};

static int parse_level(struct context *ctx, const char *text, int *out,
		       int *disk_out)
{
	char *end;
	long n;

	if (!text)
		text = getenv("VMBACKUP_COMPRESSION");
	if (!text || !*text || !strcmp(text, "auto")) {
		*out = LEVEL_AUTO;
		*disk_out = LEVEL_AUTO_DISK;
		return 0;
	}
	if (!strcmp(text, "off") || !strcmp(text, "fast")) {
		*out = *disk_out = text[0] == 'o' ? 0 : LEVEL_FAST;
		return 0;
	}
	n = strtol(text, &end, 10);
	if (end == text || *end || n < 1 || n > 19)
		return context_usage(ctx,
				     "compression \"%s\" is none of off, fast,"
				     " auto, 1 to 19",
				     text);
	*out = *disk_out = (int)n;
	return 0;
}

/* The tags of all --tag options, cut at commas; owned by @list. */
static int split_tags(struct context *ctx, const struct string_list *from,
		      struct string_list *list)
{
	size_t i;

	for (i = 0; i < from->n; i++) {
		const char *p = from->items[i];

		do {
			size_t len = strcspn(p, ",");
			char *tag = strndup(p, len);

			if (!tag || string_list_add(list, tag) < 0) {
				free(tag);
				return -ENOMEM;
			}
			if (!point_name_ok(tag))
				return context_usage(
					ctx, "\"%s\" cannot be a tag", tag);
			p += len;
		} while (*p++ == ',');
	}
	return 0;
}

static void free_tags(struct string_list *list)
{
	size_t i;

	for (i = 0; i < list->n; i++)
		free((char *)list->items[i]);
	free(list->items);
}

static int add_patterns(struct exclude *x, const struct args *a)
{
	/* Nothing has begun: a signal ends the wait for a pipe's writer. */
	bool watched = signals_watch(false);
	size_t i;
	int r = 0;

	for (i = 0; i < a->excludes.n && r == 0; i++)
		r = exclude_add(x, a->excludes.items[i], false);
	for (i = 0; i < a->iexcludes.n && r == 0; i++)
		r = exclude_add(x, a->iexcludes.items[i], true);
	for (i = 0; i < a->exclude_files.n && r == 0; i++)
		r = exclude_add_file(x, a->exclude_files.items[i], false);
	signals_watch(watched);
	return r;
}

static int fill(struct context *ctx, const struct args *a,
		struct backup_options *o)
{
	const char *host = getenv("VMBACKUP_HOST");
	int64_t now = ctx->seam->ops->realtime_ns(ctx->seam);
	unsigned int percent;

	o->vm = a->vm;
	o->host = a->host ? a->host : host && *host ? host : NULL;
	o->exclude_caches = a->exclude_caches;
	o->one_file_system = a->one_file_system;
	o->dry_run = a->dry_run;
	o->skip_if_unchanged = a->skip_if_unchanged;
	o->force = a->force;
	o->parent = a->parent;
	o->threads = a->threads;
	if (a->vm && !point_name_ok(a->vm))
		return context_usage(ctx, "\"%s\" cannot be a machine's name",
				     a->vm);
	if (a->parity &&
	    options_percent(a->parity, CONFIG_PARITY_MAX, &percent) < 0)
		return context_usage(ctx, "--parity: from 0%% to 50%%");
	if (a->time && options_time(a->time, now, &o->time_ns) < 0)
		return context_usage(ctx, "--time: \"%s\" is not a time",
				     a->time);
	return parse_level(ctx, a->compression, &o->level, &o->disk_level);
}

static void tick(void *arg, const void *progress)
{
	const struct backup_progress *p = progress;
	struct progress_state s = {
		.bytes_done = p->bytes_done + p->bytes_ahead,
		.bytes_total = p->total_bytes,
		.items_done = p->entries,
		.items_total = p->total_entries,
		.errors = p->errors,
		.current = p->current,
	};

	/* An estimate that was passed is none. */
	if (s.bytes_done > s.bytes_total || s.items_done > s.items_total)
		s.bytes_total = s.items_total = 0;
	progress_update(arg, &s);
}

static json_t *disks_json(const struct disk_set *d)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < d->ndisks; i++) {
		const struct backup_disk_result *x = &d->results[i];
		json_t *o = json_object();

		output_set_string(o, "name", d->disks[i].name);
		output_set_string(o, "source", d->disks[i].source);
		output_set_string(o, "format", x->format);
		output_set_uint(o, "size", x->size);
		output_set_uint(o, "used", x->used);
		output_set_uint(o, "read", x->read);
		output_set_uint(o, "reused", x->reused);
		json_array_append_new(list, o);
	}
	return list;
}

static int report_json(const struct args *a, const struct disk_set *d,
		       const struct backup_result *b)
{
	const struct backup_progress *p = &b->progress;
	json_t *o = output_message("summary");

	if (a->dry_run)
		output_set_bool(o, "dry_run", true);
	output_set_uint(o, "files_new", p->files_new);
	output_set_uint(o, "files_changed", p->files_changed);
	output_set_uint(o, "files_unmodified", p->files_unmodified);
	output_set_uint(o, "dirs_processed", p->dirs);
	output_set_uint(o, "others_processed", p->others);
	output_set_uint(o, "data_added", p->bytes_new);
	output_set_uint(o, "data_added_packed", p->bytes_packed);
	output_set_uint(o, "data_read", p->bytes_read);
	output_set_uint(o, "packs_adopted", b->packs_adopted);
	output_set_uint(o, "total_files_processed",
			p->files_new + p->files_changed + p->files_unmodified);
	output_set_uint(o, "total_entries_processed", p->entries);
	if (d->ndisks)
		json_object_set_new(o, "disks", disks_json(d));
	if (d->nconfigs)
		output_set_uint(o, "configs_processed", p->configs);
	output_set_uint(o, "total_bytes_processed", p->bytes_done);
	json_object_set_new(o, "total_duration", json_real(p->seconds));
	output_set_uint(o, "error_count", p->errors);
	output_set_bool(o, "skipped", b->skipped);
	if (b->point_id[0]) {
		output_set_string(o, "snapshot_id", b->point_id);
		output_set_string(o, "point_id", b->point_id);
		output_set_string(o, "point", b->point_name);
	}
	return output_json(o);
}

static void print_disks(const struct disk_set *d, bool dry_run)
{
	char size[OUTPUT_SIZE_LEN], used[OUTPUT_SIZE_LEN];
	char kept[OUTPUT_SIZE_LEN];
	size_t i;

	for (i = 0; i < d->ndisks; i++) {
		const struct backup_disk_result *x = &d->results[i];

		fputs("Disk:     ", stdout);
		output_name(stdout, d->disks[i].name, strlen(d->disks[i].name));
		printf(": %s %s of %s", output_size(x->used, used),
		       dry_run ? "allocated" : "used",
		       output_size(x->size, size));
		if (x->reused)
			printf(", %s taken over unread",
			       output_size(x->reused, kept));
		putchar('\n');
	}
}

static int report_result(struct context *ctx, const struct args *a,
			 const struct disk_set *d, int npaths,
			 const struct backup_result *b)
{
	const struct backup_progress *p = &b->progress;
	char size[OUTPUT_SIZE_LEN], packed[OUTPUT_SIZE_LEN];
	char time[OUTPUT_DURATION_LEN];

	if (ctx->json)
		return report_json(a, d, b);
	if (!ctx->quiet) {
		print_disks(d, a->dry_run);
		if (d->nconfigs)
			printf("Config:   %zu file%s\n", d->nconfigs,
			       d->nconfigs == 1 ? "" : "s");
	}
	if (!ctx->quiet && npaths > 0) {
		printf("Files:    %" PRIu64 " new, %" PRIu64
		       " changed, %" PRIu64 " unmodified\n",
		       p->files_new, p->files_changed, p->files_unmodified);
		printf("Others:   %" PRIu64 " directories, %" PRIu64 " other\n",
		       p->dirs, p->others);
	}
	if (!ctx->quiet) {
		printf("Added:    %s (%s stored)\n",
		       output_size(p->bytes_new, size),
		       output_size(p->bytes_packed, packed));
		printf("Passed:   %" PRIu64 " entries, %s, in %s\n", p->entries,
		       output_size(p->bytes_done, size),
		       output_duration(p->seconds, time));
	}
	if (a->dry_run)
		printf("dry run: nothing was stored\n");
	else if (b->skipped)
		printf("nothing changed: no point was made\n");
	else
		printf("point %.8s made: %s\n", b->point_id, b->point_name);
	if (p->errors)
		log_warn("%" PRIu64 " files or directories could not be read"
			 " whole%s",
			 p->errors,
			 b->point_id[0] ? "; the point is marked incomplete"
					: "");
	return output_error();
}

/* It was looked at before. */
static void set_parity(const struct args *a, struct vault *v)
{
	unsigned int percent;

	if (a->parity &&
	    options_percent(a->parity, CONFIG_PARITY_MAX, &percent) == 0)
		vault_set_parity(v, percent);
}

static void set_disks(struct backup_options *o, const struct disk_args *args,
		      struct disk_set *disks)
{
	o->disks = disks->disks;
	o->ndisks = disks->ndisks;
	o->disk_results = disks->results;
	o->bitmap = args->bitmap;
	o->next_bitmap = args->next_bitmap;
	o->backing = args->backing.items;
	o->nbacking = args->backing.n;
	o->configs = disks->configs;
	o->nconfigs = disks->nconfigs;
}

static int run_backup(struct context *ctx, void *args, int argc, char **argv)
{
	struct args *a = args;
	struct backup_options o = { .sources = (const char *const *)argv,
				    .nsources = argc };
	struct backup_result result = { .skipped = false };
	struct task task = { .stop = signals_stop(), .tick = tick };
	struct progress *progress = NULL;
	struct string_list tags = { .items = NULL };
	struct disk_set disks = { .ndisks = 0 };
	struct exclude *exclude = NULL;
	struct vault *v = NULL;
	int r;

	/* It might be left out because a point that is about to go has it all. */
	if (ctx->forgotten)
		return context_usage(ctx,
				     "--forgotten is for who looks: no "
				     "backup builds on what was forgotten");
	if (argc == 0 && !a->disks.disks.n && !a->disks.configs.n)
		return context_usage(ctx,
				     "what shall be backed up? give a path or"
				     " a disk");
	r = disk_args_parse(ctx, &a->disks, &disks);
	if (r == 0)
		r = fill(ctx, a, &o);
	if (r == 0)
		r = split_tags(ctx, &a->tags, &tags);
	if (r < 0)
		goto out;
	o.tags = tags.items;
	o.ntags = (int)tags.n;
	set_disks(&o, &a->disks, &disks);
	r = -ENOMEM;
	exclude = exclude_new();
	if (!exclude)
		goto out;
	o.exclude = exclude;
	r = add_patterns(exclude, a);
	if (r == 0)
		r = context_open_vault_to_add(ctx, &v);
	if (r < 0)
		goto out;
	set_parity(a, v);
	progress = progress_new(ctx, "files");
	task.arg = progress;
	r = backup_run(v, &o, &task, &result);
	progress_free(progress);
	if (r == 0)
		r = report_result(ctx, a, &disks, argc, &result);
	if (r == 0 && result.progress.errors)
		r = EXIT_CODE_PARTIAL;
out:
	vault_close(v);
	exclude_free(exclude);
	free_tags(&tags);
	disk_set_release(&disks);
	return r;
}

const struct command cmd_backup = {
	.name = "backup",
	.operands = "[PATH]...",
	.summary = "make a recovery point of files, directories and disks",
	.help = "What did not change since the parent point is not opened. A"
		" point becomes visible whole, at the end; a backup that was"
		" interrupted leaves what it uploaded for the next one. Exit"
		" code 3: the point was made, but something could not be read."
		"\nA disk's SOURCE is a raw file, a block device, an image"
		" that qemu-nbd reads, or an NBD URI. Put raw:, qcow2:, vhd:,"
		" vhdx:, vmdk: and so on in front to say what a file is: only"
		" a qcow2 that needs no other file and is called .qcow2 is"
		" recognised, since a guest can make its own raw disk look"
		" like any image.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_backup,
	.flags = COMMAND_STOPS,
};
