/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/place.h"
#include "fs/view.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "src/cmd/guarded.h"
#include "src/cmd/restore_disk.h"
#include "src/restore/guard.h"
#include "src/restore/restore.h"
#include "src/scan/exclude.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/vault.h"

struct args {
	const char *target, *overwrite;
	const char *to, *disks_to, *format;
	struct string_list excludes, iexcludes, exclude_files;
	struct string_list includes, iincludes, include_files;
	bool delete_extra, delete_incomplete, dry_run, verify, delta, keep_end;
	bool no_verify;
	unsigned int threads;
};

static const struct option_row rows[] = {
	OPT_STRING("target", 't', "DIR", struct args, target,
		   "the directory to restore into; made if need be"),
	OPT_STRING("to", 0, "FILE|DEVICE", struct args, to,
		   "of POINT:disks/NAME.raw: the image file or block device"),
	OPT_STRING("disks-to", 0, "DIR", struct args, disks_to,
		   "write all disks and config files of the point into DIR"),
	OPT_STRING("format", 0, "raw|qcow2|vhd", struct args, format,
		   "of disks' image files (default: raw)"),
	OPT_FLAG("delta", 0, struct args, delta,
		 "bring the disk that is there to the point's state: write"
		 " only what differs"),
	OPT_FLAG("keep-end", 0, struct args, keep_end,
		 "of a device that is larger than the disk: leave its end as"
		 " it is"),
	OPT_STRING(
		"overwrite", 0, "always|if-changed|if-newer|never", struct args,
		overwrite,
		"what to do with files that are there (default: always; disks:"
		" never)"),
	OPT_FLAG("delete", 0, struct args, delete_extra,
		 "remove what the restored directories surely did not hold"),
	OPT_FLAG("delete-incomplete", 0, struct args, delete_incomplete,
		 "the same, even of a point that may lack what was there"),
	OPT_FLAG("dry-run", 'n', struct args, dry_run,
		 "change nothing; with -v say what would be done"),
	OPT_FLAG("verify", 0, struct args, verify,
		 "read what was written again and compare it"),
	OPT_FLAG("no-verify", 0, struct args, no_verify,
		 "do not compare the chunks that are read with their names"),
	OPT_LIST("include", 'i', "PATTERN", struct args, includes,
		 "restore only what matches, and all below; may be repeated"),
	OPT_LIST("iinclude", 0, "PATTERN", struct args, iincludes,
		 "the same, upper and lower case alike"),
	OPT_LIST("include-file", 0, "FILE", struct args, include_files,
		 "read such patterns from FILE, one a line"),
	OPT_LIST("exclude", 'e', "PATTERN", struct args, excludes,
		 "leave out what matches; may be repeated"),
	OPT_LIST("iexclude", 0, "PATTERN", struct args, iexcludes,
		 "the same, upper and lower case alike"),
	OPT_LIST("exclude-file", 0, "FILE", struct args, exclude_files,
		 "read such patterns from FILE, one a line"),
	OPT_UINT("threads", 0, "N", struct args, threads,
		 "write on N threads (default: one a core, at most 16)"),
	OPT_END
};

/* What restore_run() reports to. */
struct watch {
	struct context *ctx;
	struct progress *progress;
};

static int parse_overwrite(struct context *ctx, const char *text,
			   enum restore_overwrite *out)
{
	static const char *const names[] = { "always", "if-changed", "if-newer",
					     "never" };
	size_t i;

	*out = RESTORE_ALWAYS;
	if (!text)
		return 0;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (enum restore_overwrite)i;
			return 0;
		}
	}
	return context_usage(ctx,
			     "--overwrite: \"%s\" is none of always,"
			     " if-changed, if-newer, never",
			     text);
}

/* Patterns of all three kinds; *out stays NULL where there are none. */
static int patterns(const struct string_list *plain,
		    const struct string_list *folded,
		    const struct string_list *files, struct exclude **out)
{
	bool watched;
	size_t i;
	int r = 0;

	*out = NULL;
	if (plain->n + folded->n + files->n == 0)
		return 0;
	*out = exclude_new();
	if (!*out)
		return -ENOMEM;
	for (i = 0; i < plain->n && r == 0; i++)
		r = exclude_add(*out, plain->items[i], false);
	for (i = 0; i < folded->n && r == 0; i++)
		r = exclude_add(*out, folded->items[i], true);
	/* Nothing has begun: a signal ends the wait for a pipe's writer. */
	watched = signals_watch(false);
	for (i = 0; i < files->n && r == 0; i++)
		r = exclude_add_file(*out, files->items[i], false);
	signals_watch(watched);
	return r;
}

/*
 * What of the point is restored. A whole point stands for its tree, and so does
 * what is below files/: @path_out is a path in the tree then. Everything else is
 * read through the view: @path_out is a path in the point.
 */
static int choose_source(struct view *w, const char *text, struct place *place,
			 char **path_out, struct restore_options *o)
{
	bool in_tree;
	struct view_attr attr;
	int r = place_find(w, text, place, &attr);

	if (r < 0)
		return r;
	place_warn_of_signer(place);
	in_tree = place->kind == PLACE_POINT || place->kind == PLACE_FILES;
	if (!in_tree) {
		o->view = w;
		o->node = attr.node;
	}
	if (asprintf(path_out, "/%s", in_tree ? place->inside : place->path) <
	    0) {
		*path_out = NULL;
		return -ENOMEM;
	}
	o->path = *path_out;
	return 0;
}

static void tick(void *arg, const void *progress)
{
	const struct restore_progress *p = progress;
	const struct watch *w = arg;
	struct progress_state s = {
		.bytes_done = p->bytes_done,
		.bytes_total = p->total_bytes,
		.items_done = p->entries,
		.items_total = p->total_entries,
		.errors = p->errors,
		.current = p->current,
	};

	progress_update(w->progress, &s);
}

static void print_note(void *arg, const char *action, const char *path,
		       uint64_t size)
{
	const struct watch *w = arg;
	json_t *o;

	if (w->ctx->json) {
		o = output_message("verbose_status");
		output_set_string(o, "action", action);
		output_set_bytes(o, "item", path, strlen(path));
		output_set_uint(o, "size", size);
		(void)!output_json(o);
		return;
	}
	progress_clear(w->progress);
	printf("%-9s ", action);
	output_name(stdout, path, strlen(path));
	putchar('\n');
}

static int report_json(const struct args *a, const struct restore_progress *p)
{
	json_t *o = output_message("summary");

	if (a->dry_run)
		output_set_bool(o, "dry_run", true);
	output_set_uint(o, "total_entries", p->entries);
	output_set_uint(o, "files_restored", p->files);
	output_set_uint(o, "dirs_restored", p->dirs);
	output_set_uint(o, "others_restored", p->others);
	output_set_uint(o, "files_unchanged", p->unchanged);
	output_set_uint(o, "files_skipped", p->skipped);
	output_set_uint(o, "files_deleted", p->deleted);
	output_set_uint(o, "files_not_deleted", p->kept);
	output_set_uint(o, "bytes_restored", p->bytes_done);
	output_set_uint(o, "bytes_written", p->bytes_written);
	if (a->verify) {
		output_set_uint(o, "files_verified", p->verified);
		output_set_uint(o, "bytes_verified", p->verified_bytes);
	}
	output_set_uint(o, "owners_not_restored", p->owners);
	output_set_uint(o, "attributes_not_restored", p->attributes);
	output_set_uint(o, "flags_not_restored", p->flags);
	output_set_uint(o, "error_count", p->errors);
	json_object_set_new(o, "seconds_elapsed", json_real(p->seconds));
	return output_json(o);
}

static void report_text(const struct args *a, const struct restore_progress *p)
{
	char size[OUTPUT_SIZE_LEN], time[OUTPUT_DURATION_LEN];

	printf("%s %" PRIu64 " files, %" PRIu64 " directories, %" PRIu64
	       " other, %s, in %s\n",
	       a->dry_run ? "Would restore:" : "Restored:", p->files, p->dirs,
	       p->others, output_size(p->bytes_done, size),
	       output_duration(p->seconds, time));
	if (p->unchanged || p->skipped || p->deleted)
		printf("Kept:     %" PRIu64 " unchanged, %" PRIu64
		       " skipped; %" PRIu64 " deleted\n",
		       p->unchanged, p->skipped, p->deleted);
	if (a->verify && !a->dry_run)
		printf("Verified: %" PRIu64 " files, %s\n", p->verified,
		       output_size(p->verified_bytes, size));
}

static int report_result(struct context *ctx, const struct args *a,
			 const struct restore_progress *p)
{
	if (p->owners)
		log_warn("%" PRIu64 " owners were not restored, which only"
			 " root may do",
			 p->owners);
	if (p->attributes)
		log_warn("%" PRIu64 " attributes were not restored, which"
			 " only root may do",
			 p->attributes);
	if (p->flags)
		log_warn("%" PRIu64 " files did not get all their flags"
			 " (chattr) or their project back, which the target"
			 " cannot keep",
			 p->flags);
	if (p->errors)
		log_warn("%" PRIu64 " things could not be restored whole",
			 p->errors);
	if (p->kept)
		log_warn("%" PRIu64 " things that stand in the target were not"
			 " deleted",
			 p->kept);
	if (ctx->json)
		return report_json(a, p);
	if (!ctx->quiet)
		report_text(a, p);
	return output_error();
}

static int restore_files(struct context *ctx, const struct args *a,
			 const char *spec, struct restore_options *o)
{
	struct restore_progress p = { .entries = 0 };
	struct watch watch = { .ctx = ctx };
	struct task task = {
		.stop = signals_stop(),
		.tick = tick,
		.arg = &watch,
	};
	struct place place = { 0 };
	AUTO_FREE char *path = NULL;
	struct guard *guard = NULL;
	struct vault *v;
	struct view *w;
	int r;

	r = context_open_view(ctx, &v, &w);
	if (r < 0)
		return r;
	guard = guard_new();
	r = guard ? choose_source(w, spec, &place, &path, o) : -ENOMEM;
	if (r == 0)
		r = guarded_add(ctx, guard);
	if (r < 0)
		goto out;
	o->guard = guard;
	if (ctx->verbose) {
		o->note = print_note;
		o->note_arg = &watch;
	}
	watch.progress = progress_new(ctx, "files");
	r = restore_run(v, place.point, o, &task, &p);
	progress_free(watch.progress);
	if (r == 0)
		r = report_result(ctx, a, &p);
	if (r == 0 && p.errors)
		r = p.damage ? EXIT_CODE_DAMAGE : EXIT_CODE_PARTIAL;
	else if (r == 0 && p.kept)
		r = EXIT_CODE_PARTIAL;
out:
	r = context_read_error(v, r);
	place_release(&place);
	guard_free(guard);
	view_free(w);
	vault_close(v);
	return r;
}

static int run_disks(struct context *ctx, const struct args *a,
		     const char *spec)
{
	struct restore_disk_args d = {
		.to = a->to,
		.disks_to = a->disks_to,
		.format = a->format,
		.delta = a->delta,
		.keep_end = a->keep_end,
		.dry_run = a->dry_run,
		.verify = a->verify,
		.threads = a->threads,
		.force = a->overwrite && strcmp(a->overwrite, "always") == 0,
	};
	size_t patterns = a->excludes.n + a->iexcludes.n + a->includes.n +
			  a->iincludes.n + a->exclude_files.n +
			  a->include_files.n;

	if (a->to && strcmp(a->to, "-") == 0)
		return context_usage(ctx, "--to takes a file or a device; see"
					  " also vmbackup cat");
	if (a->target || (a->to && a->disks_to))
		return context_usage(ctx,
				     "say one of --target, --to, --disks-to");
	if (patterns || a->delete_extra || a->delete_incomplete)
		return context_usage(ctx, "patterns and --delete are for files,"
					  " not for disks");
	if (a->overwrite && !d.force && strcmp(a->overwrite, "never") != 0)
		return context_usage(ctx, "--overwrite of a disk is always or"
					  " never; see also --delta");
	if (a->format && strcmp(a->format, "raw") != 0 &&
	    strcmp(a->format, "qcow2") != 0 && strcmp(a->format, "vhd") != 0)
		return context_usage(ctx,
				     "--format: \"%s\" is none of raw, qcow2,"
				     " vhd",
				     a->format);
	return cmd_restore_disks(ctx, &d, spec);
}

static int restore_verb(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	struct restore_options o = {
		.target = a->target,
		.delete_extra = a->delete_extra || a->delete_incomplete,
		.delete_incomplete = a->delete_incomplete,
		.dry_run = a->dry_run,
		.verify = a->verify,
		.threads = a->threads,
	};
	struct exclude *include = NULL, *exclude = NULL;
	int r;

	if (argc != 1)
		return context_usage(
			ctx, argc == 0
				     ? "restore what? say POINT or POINT:PATH"
				     : "restore takes one POINT or POINT:PATH");
	if (a->verify && a->no_verify)
		return context_usage(ctx, "say one of --verify, --no-verify");
	ctx->no_verify = a->no_verify;
	if ((a->to && *a->to) || (a->disks_to && *a->disks_to))
		return run_disks(ctx, a, argv[0]);
	if (a->delta || a->format || a->keep_end)
		return context_usage(ctx,
				     "--delta, --format and --keep-end are for"
				     " disks: say"
				     " --to or --disks-to");
	if (!a->target || !*a->target)
		return context_usage(ctx, "restore where to? say --target DIR");
	r = parse_overwrite(ctx, a->overwrite, &o.overwrite);
	if (r == 0)
		r = patterns(&a->includes, &a->iincludes, &a->include_files,
			     &include);
	if (r == 0)
		r = patterns(&a->excludes, &a->iexcludes, &a->exclude_files,
			     &exclude);
	o.include = include;
	o.exclude = exclude;
	if (r == 0)
		r = restore_files(ctx, a, argv[0], &o);
	exclude_free(include);
	exclude_free(exclude);
	return r;
}

const struct command cmd_restore = {
	.name = "restore",
	.operands = "POINT[:PATH]",
	.summary = "write the files of a point into a directory",
	.help = "A whole point goes below DIR under its absolute paths:"
		" DIR/etc/passwd. Of POINT:files/etc, what is in etc goes into"
		" DIR: DIR/passwd. Symbolic links in DIR are replaced or left"
		" alone, never followed.\n"
		"A disk goes to an image file that is made, or onto a block"
		" device, which must not be in use; an interrupted restore goes"
		" on where it is run again (onto a device: with --delta).\n"
		"Exit code 3: done, but not all could be restored or deleted;"
		" 13: because the vault is damaged.\n",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = restore_verb,
	.flags = COMMAND_STOPS,
};
