/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/check/damage.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "store/base/buf.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/check/check.h"
#include "store/point.h"

void damage_progress(void *arg, const void *progress)
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

static void point_name(const struct check_result *res,
		       const struct check_place *p, char *out, size_t size)
{
	const struct point_list *l = res->points_list;

	snprintf(out, size, "%s/%s", l->points[p->point]->vm,
		 l->names[p->point]);
}

/* "web1/2026-...:files/etc/passwd"; appended with a NUL. */
static void place_name(const struct check_result *res,
		       const struct check_place *p, struct buf *out)
{
	char name[512];

	point_name(res, p, name, sizeof(name));
	buf_printf(out, "%s%s%s", name, *p->path ? ":" : "", p->path);
	buf_put_u8(out, 0);
}

/* ---- what to do ---- */

#define NEXT_LEN 128

/*
 * The command that mends it, as far as one does, in the @out of NEXT_LEN bytes. Return
 * false where none is known: the text says what can be done.
 */
static bool next_command(const struct check_finding *f, char *out)
{
	static const struct {
		const char *folder, *command;
	} commands[] = {
		{ "pack/", "vmbackup repair packs --apply" },
		{ "index/", "vmbackup repair index --apply" },
		{ "point/", "vmbackup repair points --from COPY --apply" },
		{ "commit/", "vmbackup repair points --from COPY --apply" },
		{ "ledger/", "vmbackup check --budget 1m" },
	};
	const char *slash = strchr(f->object, '/');
	size_t i;

	/* A folder that is gone is told with what to do. */
	if (!f->damage || !slash)
		return false;
	/* A disk that is not what was read: that no copy mends. */
	if (strncmp(f->object, "point/", 6) == 0 && f->nplaces > 0)
		return false;
	if (strncmp(f->object, "key/", 4) == 0 && slash[1]) {
		snprintf(out, NEXT_LEN, "vmbackup key remove %.8s", slash + 1);
		return true;
	}
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (strncmp(f->object, commands[i].folder,
			    strlen(commands[i].folder)) == 0 &&
		    (slash[1] || strcmp(commands[i].folder, "index/") == 0)) {
			snprintf(out, NEXT_LEN, "%s", commands[i].command);
			return true;
		}
	return false;
}

/* ---- findings ---- */

static void say_finding(const struct check_result *res,
			const struct check_finding *f)
{
	uint64_t i, shown = f->nkept;
	char next[NEXT_LEN];

	log_line(LOG_LEVEL_ERROR, "%s: %s", f->object, f->text);
	for (i = 0; i < MIN(f->nranges, (uint64_t)CHECK_RANGES_MAX); i++)
		log_line(LOG_LEVEL_ERROR,
			 "    bytes %" PRIu64 " to %" PRIu64 " of it",
			 f->ranges[i].off,
			 f->ranges[i].off + f->ranges[i].len - 1);
	if (f->nranges > CHECK_RANGES_MAX)
		log_line(LOG_LEVEL_ERROR, "    %" PRIu64 " such ranges in all",
			 f->nranges);
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
		log_line(LOG_LEVEL_ERROR,
			 "    and %" PRIu64 " other places%s, of %" PRIu64
			 " points%s in all; --limit shows more",
			 f->nplaces - shown, res->places_cut ? " or more" : "",
			 f->npoints, res->places_cut ? " or more" : "");
	if (next_command(f, next))
		log_line(LOG_LEVEL_ERROR, "    next: %s", next);
}

static json_t *ranges_json(const struct check_finding *f)
{
	json_t *all = json_array();
	uint64_t i;

	for (i = 0; i < MIN(f->nranges, (uint64_t)CHECK_RANGES_MAX); i++) {
		json_t *one = json_object();

		output_set_uint(one, "offset", f->ranges[i].off);
		output_set_uint(one, "length", f->ranges[i].len);
		json_array_append_new(all, one);
	}
	return all;
}

static int finding_json(const struct check_result *res,
			const struct check_finding *f)
{
	json_t *o = output_message(f->damage ? "damage" : "info");
	json_t *chunks = json_array(), *places = json_array();
	char next[NEXT_LEN];
	uint64_t i;

	output_set_string(o, "object", f->object);
	output_set_string(o, "text", f->text);
	for (i = 0; i < MIN(f->nchunks, (uint64_t)CHECK_CHUNKS_MAX); i++) {
		char hex[2 * ID_LEN + 1];

		hex_encode(f->chunks[i].b, ID_LEN, hex);
		json_array_append_new(chunks, json_string(hex));
	}
	for (i = 0; i < f->nkept; i++) {
		const struct check_place *p = &f->places[i];
		json_t *one = json_object();
		char name[512];

		point_name(res, p, name, sizeof(name));
		output_set_string(one, "point", name);
		output_set_string(one, "point_id",
				  res->points_list->points[p->point]->id);
		output_set_bytes(one, "path", p->path, strlen(p->path));
		json_array_append_new(places, one);
	}
	json_object_set_new(o, "ranges", ranges_json(f));
	json_object_set_new(o, "chunks", chunks);
	output_set_uint(o, "chunk_count", f->nchunks);
	output_set_uint(o, "chunks_with_copy", f->ncopies);
	json_object_set_new(o, "places", places);
	output_set_uint(o, "place_count", f->nplaces);
	output_set_uint(o, "point_count", f->npoints);
	if (next_command(f, next))
		output_set_string(o, "next", next);
	return output_json(o);
}

/* Points of which something was lost, and nothing is any more. */
static int say_mended(const struct context *ctx, const struct check_result *res)
{
	const struct point_list *l = res->points_list;
	size_t i;
	int r = 0;

	for (i = 0; i < res->nmended && r == 0; i++) {
		size_t at = res->mended[i];
		json_t *o;

		if (!ctx->json) {
			printf("whole again: %s/%s\n", l->points[at]->vm,
			       l->names[at]);
			continue;
		}
		o = output_message("whole_again");
		json_object_set_new(o, "point",
				    json_sprintf("%s/%s", l->points[at]->vm,
						 l->names[at]));
		output_set_string(o, "point_id", l->points[at]->id);
		r = output_json(o);
	}
	return r;
}

/* ---- the ledger ---- */

static double percent(const struct check_coverage *v)
{
	return v->bytes ? 100.0 * (double)v->bytes_verified / (double)v->bytes
			: 100.0;
}

static json_t *coverage_json(const struct check_coverage *v)
{
	char time[OUTPUT_TIME_LEN];
	json_t *o = json_object();

	output_set_uint(o, "max_age_seconds", (uint64_t)v->age_s);
	output_set_uint(o, "bytes", v->bytes);
	output_set_uint(o, "bytes_verified", v->bytes_verified);
	json_object_set_new(o, "percent", json_real(percent(v)));
	output_set_uint(o, "packs_never_verified", v->never);
	output_set_uint(o, "bytes_never_verified", v->never_bytes);
	if (v->oldest_s) {
		output_set_string(o, "oldest",
				  output_timespec(v->oldest_s, 0, time));
		output_set_string(o, "oldest_pack", v->oldest);
		output_set_string(o, "oldest_by", v->oldest_by);
	}
	return o;
}

static void say_coverage(const struct check_result *res)
{
	const struct check_coverage *v = &res->coverage;
	char size[OUTPUT_SIZE_LEN], all[OUTPUT_SIZE_LEN];
	char time[OUTPUT_TIME_LEN];

	/* Nobody ever read anything, and nobody asked for it. */
	if (!v->oldest_s && !res->packs_read)
		return;
	printf("verified within %" PRId64 " %s: %.1f %% of the packs' bytes"
	       " (%s of %s)\n",
	       v->age_s % 86400 ? v->age_s / 3600 : v->age_s / 86400,
	       v->age_s % 86400 ? "hours" : "days", percent(v),
	       output_size(v->bytes_verified, size),
	       output_size(v->bytes, all));
	if (v->never)
		printf("never verified: %" PRIu64 " packs (%s)\n", v->never,
		       output_size(v->never_bytes, size));
	if (v->oldest_s)
		printf("verified longest ago: %s%s%s\n",
		       output_short_time(v->oldest_s, time),
		       *v->oldest_by ? ", by " : "", v->oldest_by);
	if (res->left)
		printf("the budget was over with %" PRIu64 " packs unread: the"
		       " next check goes on there\n",
		       res->left);
}

/* ---- in all ---- */

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
	output_set_uint(o, "packs_of_old_epochs", res->old_packs);
	output_set_uint(o, "bytes_of_old_epochs", res->old_bytes);
	output_set_uint(o, "packs_with_parity", res->parity_packs);
	output_set_uint(o, "bytes_of_parity", res->parity_bytes);
	output_set_uint(o, "parity_without_pack", res->parity_alone);
	output_set_uint(o, "parity_damaged", res->parity_damaged);
	output_set_uint(o, "packs_mended_by_parity", res->mendable);
	output_set_uint(o, "packs_in_quarantine", res->in_quarantine);
	output_set_uint(o, "packs_put_into_quarantine", res->quarantined);
	output_set_uint(o, "packs_let_out_of_quarantine", res->released);
	output_set_uint(o, "packs_left_by_budget", res->left);
	if (res->coverage.oldest_by)
		json_object_set_new(o, "coverage",
				    coverage_json(&res->coverage));
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

static void say_epochs(const struct check_result *res)
{
	char size[OUTPUT_SIZE_LEN];

	if (res->old_packs)
		printf("packs with keys of before a rotation %" PRIu64
		       " (%s): vmbackup prune --reseal rewrites them\n",
		       res->old_packs, output_size(res->old_bytes, size));
}

static void say_parity(const struct check_result *res)
{
	char size[OUTPUT_SIZE_LEN];

	if (!res->parity_packs && !res->parity_alone)
		return;
	printf("packs with parity %" PRIu64 " (%s)\n", res->parity_packs,
	       output_size(res->parity_bytes, size));
	if (res->packs > res->parity_packs)
		printf("packs without parity %" PRIu64
		       ": vmbackup repair parity makes it\n",
		       res->packs - res->parity_packs);
	if (res->parity_damaged)
		printf("parity that is damaged %" PRIu64
		       ": vmbackup repair parity --read-data makes it anew\n",
		       res->parity_damaged);
	if (res->parity_alone)
		printf("parity whose pack is not there %" PRIu64 ": the pack is"
		       " lost, or a backup put it just now\n",
		       res->parity_alone);
}

static void say_next(const struct check_result *res, bool is_scrub)
{
	if (res->mendable == res->damages)
		printf("next: vmbackup repair packs --apply stores all of it"
		       " anew, for parity mends it\n");
	else if (is_scrub)
		printf("next: vmbackup check --read-data names the points and"
		       " files that are hit\n");
	else
		printf("next: back up the machines again from here (vmbackup"
		       " backup): what they still\nhave of it is stored anew,"
		       " and serves the older points, too. What is not named\n"
		       "above can be restored.\n");
}

static int summary_text(struct context *ctx, const struct check_result *res,
			bool is_scrub)
{
	char size[OUTPUT_SIZE_LEN];

	if (!ctx->quiet) {
		if (!is_scrub)
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
	if (!ctx->quiet && res->coverage.oldest_by)
		say_coverage(res);
	if (res->strays && !ctx->quiet)
		printf("things that are no objects of a vault %" PRIu64
		       ": left alone (-v names these)\n",
		       res->strays);
	if (!ctx->quiet)
		say_parity(res);
	say_epochs(res);
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
	say_next(res, is_scrub);
	return output_error();
}

int damage_report(struct context *ctx, const struct check_result *res,
		  bool is_scrub)
{
	size_t i;
	int r = 0;

	for (i = 0; i < res->nfindings && r == 0; i++) {
		const struct check_finding *f = res->findings[i];

		if (ctx->json)
			r = finding_json(res, f);
		else if (f->damage)
			say_finding(res, f);
		else if (f->is_mended)
			printf("%s: %s\n", f->object, f->text);
		else
			log_info("%s: %s", f->object, f->text);
	}
	if (r == 0)
		r = say_mended(ctx, res);
	if (r == 0)
		r = ctx->json ? summary_json(res)
			      : summary_text(ctx, res, is_scrub);
	return r;
}
