/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/noting.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "store/backend/backend.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/point.h"
#include "store/vault.h"

struct args {
	bool read_data, scrub, accept, folders;
	const char *subset;
	unsigned int threads;
};

static const struct option_row rows[] = {
	OPT_FLAG("read-data", 0, struct args, read_data,
		 "read, open and hash all that is stored"),
	OPT_STRING("read-data-subset", 0, "N/T|P%|SIZE", struct args, subset,
		   "the same of part N of T, of P percent, or of SIZE bytes of"
		   " the packs"),
	OPT_FLAG("scrub", 0, struct args, scrub,
		 "only compare the packs' bytes with their names; needs no"
		 " password"),
	OPT_FLAG("accept-rollback", 0, struct args, accept,
		 "first take the vault as it is now: what it had once and has"
		 " lost is not missed any more, and folders that it lacks are"
		 " made again"),
	OPT_FLAG(
		"make-folders", 0, struct args, folders,
		"first make folders again that a copy lacks because nothing was"
		" in them"),
	OPT_UINT("threads", 0, "N", struct args, threads,
		 "read N packs at a time (default: 2)"),
	OPT_END
};

/* "2/5", "10%", "2.5%" or "50G". */
static int parse_subset(struct context *ctx, const char *text,
			struct check_options *o)
{
	char *end;

	if (strchr(text, '/')) {
		o->subset = CHECK_PART;
		o->n = strtoul(text, &end, 10);
		o->of = *end == '/' ? strtoul(end + 1, &end, 10) : 0;
		if (!*end && o->n >= 1 && o->n <= o->of && o->of <= 1024 &&
		    strspn(text, "0123456789/") == strlen(text))
			return 0;
		return context_usage(ctx,
				     "--read-data-subset: \"%s\" is not a part"
				     " such as 1/5 (of at most 1024)",
				     text);
	}
	o->percent = strtod(text, &end);
	if (!strcmp(end, "%") && o->percent > 0 && o->percent <= 100) {
		o->subset = CHECK_PERCENT;
		return 0;
	}
	o->subset = CHECK_SIZE;
	if (options_size(text, &o->n) < 0)
		return context_usage(ctx,
				     "--read-data-subset: \"%s\" is neither"
				     " N/T nor P%% nor a size",
				     text);
	return 0;
}

static void tick(void *arg, const void *progress)
{
	const struct check_progress *p = progress;
	struct progress_state s = {
		.bytes_done = p->bytes_done,
		.bytes_total = p->bytes_total,
		.items_done = p->items_done,
		.items_total = p->items_total,
		.errors = p->damages,
		.current = p->phase,
	};

	progress_update(arg, &s);
}

/* ---- reporting ---- */

/* "web1/2026-...:files/etc/passwd"; appended with a NUL. */
static void place_name(const struct check_result *res,
		       const struct check_place *p, struct buf *out)
{
	char name[512];

	filter_name(res->points_list, p->point, name, sizeof(name));
	buf_printf(out, "%s%s%s", name, *p->path ? ":" : "", p->path);
	buf_put_u8(out, 0);
}

static void say_finding(const struct check_result *res,
			const struct check_finding *f)
{
	uint64_t i, shown = MIN(f->nplaces, (uint64_t)CHECK_PLACES_MAX);

	log_line(LOG_LEVEL_ERROR, "%s: %s", f->object, f->text);
	for (i = 0; i < MIN(f->nchunks, (uint64_t)CHECK_CHUNKS_MAX); i++) {
		char hex[2 * ID_LEN + 1];

		hex_encode(f->chunks[i].b, ID_LEN, hex);
		log_line(LOG_LEVEL_ERROR, "    chunk %s", hex);
	}
	if (f->nchunks > CHECK_CHUNKS_MAX)
		log_line(LOG_LEVEL_ERROR, "    %" PRIu64 " chunks in all",
			 f->nchunks);
	if (f->ncopies)
		log_line(LOG_LEVEL_ERROR,
			 "    %" PRIu64 " chunks that another"
			 " pack holds, too: nothing is lost with them",
			 f->ncopies);
	for (i = 0; i < shown; i++) {
		AUTO_BUF struct buf place = BUF_INIT;

		place_name(res, &f->places[i], &place);
		if (buf_error(&place) == 0)
			log_line(
				LOG_LEVEL_ERROR, "    hits %s%s",
				(char *)place.data,
				*f->places[i].path
					? ""
					: " (its tree; ls shows what is left)");
	}
	if (f->nplaces == 0 && res->points_list &&
	    !strncmp(f->object, "pack/", 5))
		log_line(LOG_LEVEL_ERROR, "    nothing that a point uses is"
					  " lost with it");
	if (f->nplaces > shown)
		log_line(LOG_LEVEL_ERROR, "    and %" PRIu64 " other places%s",
			 f->nplaces - shown, res->places_cut ? " or more" : "");
}

static int finding_json(const struct check_result *res,
			const struct check_finding *f)
{
	json_t *o = output_message(f->damage ? "damage" : "info");
	json_t *chunks = json_array(), *places = json_array();
	uint64_t i;

	output_set_string(o, "object", f->object);
	output_set_string(o, "text", f->text);
	for (i = 0; i < MIN(f->nchunks, (uint64_t)CHECK_CHUNKS_MAX); i++) {
		char hex[2 * ID_LEN + 1];

		hex_encode(f->chunks[i].b, ID_LEN, hex);
		json_array_append_new(chunks, json_string(hex));
	}
	for (i = 0; i < MIN(f->nplaces, (uint64_t)CHECK_PLACES_MAX); i++) {
		const struct check_place *p = &f->places[i];
		json_t *one = json_object();
		char name[512];

		filter_name(res->points_list, p->point, name, sizeof(name));
		output_set_string(one, "point", name);
		output_set_string(one, "point_id",
				  res->points_list->points[p->point]->id);
		output_set_bytes(one, "path", p->path, strlen(p->path));
		json_array_append_new(places, one);
	}
	json_object_set_new(o, "chunks", chunks);
	output_set_uint(o, "chunk_count", f->nchunks);
	output_set_uint(o, "chunks_with_copy", f->ncopies);
	json_object_set_new(o, "places", places);
	output_set_uint(o, "place_count", f->nplaces);
	return output_json(o);
}

static int summary_json(const struct check_result *res)
{
	json_t *o = output_message("summary"), *broken = json_array();
	size_t i;

	for (i = 0; i < res->nfindings; i++)
		if (res->findings[i]->damage &&
		    !strncmp(res->findings[i]->object, "pack/", 5))
			json_array_append_new(
				broken, json_string(res->findings[i]->object));
	output_set_uint(o, "num_errors", res->damages);
	json_object_set_new(o, "broken_packs", broken);
	output_set_uint(o, "objects", res->objects);
	output_set_uint(o, "points", res->points);
	output_set_uint(o, "packs", res->packs);
	output_set_uint(o, "tree_nodes", res->nodes);
	output_set_uint(o, "files", res->files);
	output_set_uint(o, "chunk_references", res->chunks);
	output_set_uint(o, "packs_read", res->packs_read);
	output_set_uint(o, "bytes_read", res->bytes_read);
	output_set_uint(o, "points_uncommitted", res->uncommitted);
	output_set_uint(o, "packs_unreferenced", res->unreferenced);
	output_set_uint(o, "bytes_unreferenced", res->unreferenced_bytes);
	output_set_uint(o, "packs_in_quarantine", res->in_quarantine);
	output_set_uint(o, "packs_put_into_quarantine", res->quarantined);
	output_set_uint(o, "packs_let_out_of_quarantine", res->released);
	return output_json(o);
}

static void say_quarantine(const struct check_result *res)
{
	if (res->released)
		printf("packs let out of quarantine %" PRIu64 ": all of them"
		       " was read and is whole\n",
		       res->released);
	if (res->in_quarantine)
		printf("packs in quarantine %" PRIu64 ", of them new %" PRIu64
		       ": backups refer to none of them;\nwhat they held is"
		       " stored anew where the sources still have it\n",
		       res->in_quarantine, res->quarantined);
}

static int summary_text(struct context *ctx, const struct args *a,
			const struct check_result *res)
{
	char size[OUTPUT_SIZE_LEN];

	if (!ctx->quiet) {
		if (!a->scrub)
			printf("points %" PRIu64 ", tree nodes %" PRIu64
			       ", files %" PRIu64
			       ", references to chunks %" PRIu64 "\n",
			       res->points, res->nodes, res->files,
			       res->chunks);
		printf("packs %" PRIu64 ", of them read %" PRIu64 " (%s)\n",
		       res->packs, res->packs_read,
		       output_size(res->bytes_read, size));
		if (res->unreferenced)
			printf("packs that no index names %" PRIu64 " (%s):"
			       " of a backup that died or is at work, or of an"
			       " index object that is gone\n",
			       res->unreferenced,
			       output_size(res->unreferenced_bytes, size));
	}
	if (res->strays && !ctx->quiet)
		printf("things that are no objects of a vault %" PRIu64
		       ": left alone (-v names these)\n",
		       res->strays);
	say_quarantine(res);
	if (res->uncommitted)
		printf("points that no commit names %" PRIu64 ": of a backup"
		       " that died at its end, or is at work;\nor their"
		       " commits are gone\n",
		       res->uncommitted);
	if (res->damages == 0) {
		printf("no damage found\n");
		return output_error();
	}
	printf("%" PRIu64 " object%s damaged\n\n", res->damages,
	       res->damages == 1 ? "" : "s");
	if (a->scrub)
		printf("next: vmbackup check --read-data names the points and"
		       " files that are hit\n");
	else
		printf("next: back up the machines again from here (vmbackup"
		       " backup): what they still\nhave of it is stored anew,"
		       " and serves the older points, too. What is not named\n"
		       "above can be restored.\n");
	return output_error();
}

static int report_result(struct context *ctx, const struct args *a,
			 const struct check_result *res)
{
	size_t i;
	int r = 0;

	for (i = 0; i < res->nfindings && r == 0; i++) {
		const struct check_finding *f = res->findings[i];

		if (ctx->json)
			r = finding_json(res, f);
		else if (f->damage)
			say_finding(res, f);
		else
			log_info("%s: %s", f->object, f->text);
	}
	if (r == 0)
		r = ctx->json ? summary_json(res) : summary_text(ctx, a, res);
	return r;
}

/* ---- running ---- */

/* Words that were held back and turn out to be why it could not go on. */
static void say_why(int r)
{
	char why[1024];

	if (r == -EINTR || !*output_last_error())
		return;
	snprintf(why, sizeof(why), "%s", output_last_error());
	log_line(LOG_LEVEL_ERROR, "%s", why);
}

static int scrub_run(struct context *ctx, struct backend *b,
		     const struct check_options *o, struct task *task,
		     struct check_result *res)
{
	int r;

	output_hold(true);
	r = check_scrub(b, ctx->seam, o, task, res);
	output_hold(false);
	if (r < 0)
		say_why(r);
	return r;
}

static int scrub(struct context *ctx, const struct check_options *o,
		 struct task *task, struct check_result *res)
{
	struct backend *b;
	struct backend_info info;
	int r = context_open_backend(ctx, &b);

	if (r < 0)
		return r;
	r = backend_head(b, "config", &info);
	if (r == -ENOENT)
		r = fail(-ENOMEDIUM, "%s: there is no vault here",
			 backend_url(b));
	if (r == 0)
		r = scrub_run(ctx, b, o, task, res);
	backend_close(b);
	return r;
}

static int make_folders(struct vault *v)
{
	char *const *folders;
	size_t n = vault_missing_folders(v, &folders);
	int r = vault_make_folders(v);

	if (r == 0 && n > 0)
		log_warn("%zu folder%s that %s gone %s made again, empty", n,
			 n == 1 ? "" : "s", n == 1 ? "is" : "are",
			 n == 1 ? "was" : "were");
	return r;
}

/* In these there is something in each vault that has a point. */
static bool is_never_empty(const char *folder)
{
	static const char *const full[] = { "commit", "index", "key",
					    "pack",   "point", "session" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(full); i++)
		if (strcmp(full[i], folder) == 0)
			return true;
	return false;
}

/* Folders that a copy lacks because they were empty, as far as anybody can tell: the
 * points are listed, and nothing that was seen is gone. */
static int make_empty_folders(struct vault *v)
{
	char *const *folders;
	size_t i, n = vault_missing_folders(v, &folders);

	for (i = 0; i < n; i++)
		if (is_never_empty(folders[i]))
			return fail(-EREMCHG,
				    "%s: the folder %s is missing, which is "
				    "never empty: put it back with what was in "
				    "it, or accept the loss with: vmbackup "
				    "check --accept-rollback",
				    vault_url(v), folders[i]);
	if (vault_lost(v))
		return fail(-EREMCHG,
			    "%s: more is gone than empty folders: find out why,"
			    " and accept it with: vmbackup check "
			    "--accept-rollback",
			    vault_url(v));
	return make_folders(v);
}

/* Is there all that was seen? What is gone is said before all else is held
 * back. Return 0, EXIT_CODE_ROLLBACK, or a negative errno, said in words. */
static int look_back(struct vault *v, const struct args *a)
{
	bool accept = a->accept;
	struct point_list *l;
	uint64_t lost;
	int r = vault_points(v, &l);

	if (r < 0)
		return r;
	point_list_put(l);
	lost = vault_lost(v);
	if (accept)
		r = make_folders(v);
	else if (a->folders)
		r = make_empty_folders(v);
	if (r < 0)
		return r;
	if (!accept || lost == 0)
		return lost ? EXIT_CODE_ROLLBACK : 0;
	r = vault_accept_rollback(v);
	if (r == 0)
		log_warn("%" PRIu64 " records that are gone are not missed any "
			 "more",
			 lost);
	return r;
}

static int check_vault(struct context *ctx, const struct check_options *o,
		       const struct args *a, struct task *task,
		       struct check_result *res)
{
	int lost;
	bool no_cache = ctx->no_cache;
	struct vault *v;
	int r;

	/* Nothing is believed that is not in the vault itself. */
	ctx->no_cache = true;
	r = context_open_vault(ctx, &v);
	ctx->no_cache = no_cache;
	if (r < 0)
		return r;
	lost = look_back(v, a);
	if (lost < 0) {
		vault_close(v);
		return lost;
	}
	output_hold(true);
	r = check_run(v, o, task, res);
	output_hold(false);
	if (r < 0)
		say_why(r);
	if (res->quarantine_error)
		log_warn("vault %s: %s: what was found could not be noted in"
			 " it, so backups still refer to packs that are"
			 " damaged, and to none that came right",
			 vault_url(v), strerror(-res->quarantine_error));
	vault_close(v);
	return r < 0 ? r : lost;
}

static int run_check(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	char by[NOTING_BY_MAX];
	struct check_options o = { .read_data = a->read_data || a->subset,
				   .threads = a->threads,
				   .by = noting_by(by) };
	struct task task = { .stop = signals_stop(), .tick = tick };
	struct check_result res = { .damages = 0 };
	struct progress *progress;
	int r = 0;

	if (argc > 0)
		return context_usage(ctx, "\"%s\" is too much", argv[0]);
	if (a->threads > 64)
		return context_usage(ctx, "--threads: at most 64");
	if ((a->accept || a->folders) && a->scrub)
		return context_usage(ctx,
				     "--scrub looks at no points: %s"
				     " needs more",
				     a->accept ? "--accept-rollback"
					       : "--make-folders");
	if (a->subset)
		r = parse_subset(ctx, a->subset, &o);
	if (r < 0)
		return r;
	progress = progress_new(ctx, "items");
	task.arg = progress;
	r = a->scrub ? scrub(ctx, &o, &task, &res)
		     : check_vault(ctx, &o, a, &task, &res);
	progress_free(progress);
	if (r >= 0 || res.damages) {
		int reported = report_result(ctx, a, &res);

		r = r < 0 || reported == 0 ? r : reported;
	}
	if (r >= 0 && res.damages)
		r = EXIT_CODE_DAMAGE;
	check_release(&res);
	return r;
}

const struct command cmd_check = {
	.name = "check",
	.summary = "look for damage, and name what it hits",
	.help = "Without options: every object but the packs' data is read;"
		" all trees are walked, and every chunk that they name must be"
		" where the index says."
		" Exit code 13: something is damaged; 17: nothing is, but what"
		" the vault had once is gone.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_check,
	.flags = COMMAND_STOPS,
};
