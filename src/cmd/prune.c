/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/noting.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/collect/collect.h"
#include "store/mark/walk.h"
#include "store/point.h"
#include "store/vault.h"

struct args {
	bool dry_run, single_writer, reseal;
	const char *wait, *yes_remove, *max_unused, *max_repack;
};

static const struct option_row rows[] = {
	OPT_FLAG("dry-run", 'n', struct args, dry_run,
		 "print what would be removed, and remove nothing"),
	OPT_STRING("wait", 'w', "TIME", struct args, wait,
		   "wait so long for backups that are at work (default: until"
		   " they end)"),
	OPT_STRING("max-unused", 0, "LIMIT", struct args, max_unused,
		   "rewrite packs until what nothing needs is at most so much,"
		   " as in 5% (the default), 200M or 0; unlimited rewrites"
		   " none"),
	OPT_STRING("max-repack", 0, "SIZE", struct args, max_repack,
		   "rewrite at most so many bytes of packs"),
	OPT_FLAG("reseal", 0, struct args, reseal,
		 "rewrite packs whose keys are of before a rotation, with the"
		 " newest: 1 GiB of them, or what --max-repack says"),
	OPT_STRING("yes-remove", 0, "N", struct args, yes_remove,
		   "remove so many points and packs, although that is more than"
		   " 30 % of what is there"),
	OPT_FLAG("single-writer", 0, struct args, single_writer,
		 "nobody else writes to the vault: prune also where what others"
		 " store may be seen late, as with sshfs or SMB"),
	OPT_END
};

/* So many bytes of packs are sealed anew each time, unless something else is said. */
#define RESEAL (UINT64_C(1) << 30)

/* Of those that were waited for, who was said. */
#define SAID_MAX 64

struct pruning {
	struct context *ctx;
	const struct args *args;
	struct progress *progress;
	char said[SAID_MAX][POINT_ID_HEX + 1];
	size_t nsaid;
};

/* ---- before ---- */

static void when(int64_t time_ns, char out[OUTPUT_TIME_LEN])
{
	(void)output_short_time(time_ns / 1000000000, out);
}

/* The points that go, or those that stay for now. */
static int print_points(const struct collect_plan *plan, bool due)
{
	struct table *t = table_new(4, 0);
	char name[512], time[OUTPUT_TIME_LEN];
	size_t i, n = 0;
	int r = 0;

	if (!t)
		return -ENOMEM;
	table_cell(t, "Id");
	table_cell(t, "Point");
	table_cell(t, "%s", due ? "Due since" : "Due");
	table_cell(t, "%s", due ? "" : "Stays because");
	table_line(t);
	for (i = 0; i < plan->due->n; i++) {
		const struct due_point *d = &plan->due->items[i];

		if (d->is_due != due)
			continue;
		filter_name(plan->points, d->index, name, sizeof(name));
		when(d->due_ns, time);
		table_cell(t, "%.8s", d->point->id);
		table_cell(t, "%s", name);
		table_cell(t, "%s", time);
		table_cell(t, "%s", d->kept ? d->kept : "");
		n++;
	}
	if (n > 0) {
		printf("%zu forgotten point%s %s:\n", n, n == 1 ? "" : "s",
		       due	? n == 1 ? "goes" : "go"
		       : n == 1 ? "stays for now"
				: "stay for now");
		r = table_print(t);
		printf("\n");
	}
	table_free(t);
	return r;
}

static int print_plan(const struct collect_plan *plan)
{
	char a[OUTPUT_SIZE_LEN], b[OUTPUT_SIZE_LEN];
	int r = print_points(plan, true);

	if (r == 0)
		r = print_points(plan, false);
	if (r < 0)
		return r;
	if (plan->is_idle) {
		printf("nothing is due: %zu points, %zu packs (%s) stay\n",
		       plan->npoints, plan->npacks,
		       output_size(plan->bytes, a));
		return output_error();
	}
	if (plan->npurged)
		printf("%zu points were removed before, and what only they "
		       "need goes now\n",
		       plan->npurged);
	printf("%zu of %zu packs hold nothing that is needed (%s of %s)\n",
	       plan->ndead, plan->npacks, output_size(plan->dead_bytes, a),
	       output_size(plan->bytes, b));
	if (plan->nrepacked)
		printf("%zu packs are rewritten: %s of them are needed, and %s "
		       "are not\n",
		       plan->nrepacked, output_size(plan->repack_live_bytes, a),
		       output_size(plan->repack_dead_bytes, b));
	if (plan->nold)
		printf("%zu packs (%s) have keys of before a rotation: %zu of "
		       "them are rewritten now\n",
		       plan->nold, output_size(plan->old_bytes, a),
		       plan->nresealed);
	if (plan->waste_bytes)
		printf("%s that nothing needs stay in packs with what is "
		       "needed\n",
		       output_size(plan->waste_bytes, a));
	if (plan->nbusy)
		printf("%zu packs may be those of a backup that is at work: "
		       "they stay\n",
		       plan->nbusy);
	if (plan->nunknown)
		printf("%zu packs cannot be read, and stay; see \"vmbackup "
		       "check\"\n",
		       plan->nunknown);
	return output_error();
}

static void add_points(json_t *o, const struct collect_plan *plan)
{
	json_t *go = json_array(), *stay = json_array();
	char name[512];
	size_t i;

	for (i = 0; i < plan->due->n; i++) {
		const struct due_point *d = &plan->due->items[i];
		json_t *one = json_object();

		filter_name(plan->points, d->index, name, sizeof(name));
		output_set_string(one, "id", d->point->id);
		output_set_string(one, "point", name);
		output_set_time(one, "due", d->due_ns);
		if (d->kept)
			output_set_string(one, "kept", d->kept);
		json_array_append_new(d->is_due ? go : stay, one);
	}
	json_object_set_new(o, "remove", go);
	json_object_set_new(o, "not_due", stay);
}

static int print_plan_json(const struct collect_plan *plan, bool dry_run)
{
	json_t *o = output_message("plan");

	output_set_bool(o, "dry_run", dry_run);
	output_set_bool(o, "nothing_due", plan->is_idle);
	add_points(o, plan);
	output_set_uint(o, "points", plan->npoints);
	output_set_uint(o, "points_removed_before", plan->npurged);
	output_set_uint(o, "packs", plan->npacks);
	output_set_uint(o, "bytes", plan->bytes);
	output_set_uint(o, "packs_to_remove", plan->ndead);
	output_set_uint(o, "bytes_to_free", plan->dead_bytes);
	output_set_uint(o, "packs_to_rewrite", plan->nrepacked);
	output_set_uint(o, "bytes_to_rewrite", plan->repack_live_bytes);
	output_set_uint(o, "bytes_to_free_by_that", plan->repack_dead_bytes);
	output_set_uint(o, "bytes_unused_in_packs", plan->waste_bytes);
	output_set_uint(o, "packs_of_old_epochs", plan->nold);
	output_set_uint(o, "bytes_of_old_epochs", plan->old_bytes);
	output_set_uint(o, "packs_to_reseal", plan->nresealed);
	output_set_uint(o, "bytes_to_reseal", plan->resealed_bytes);
	output_set_uint(o, "packs_of_backups_at_work", plan->nbusy);
	output_set_uint(o, "packs_unreadable", plan->nunknown);
	output_set_uint(o, "remove_count", plan->nremoved);
	output_set_bool(o, "needs_yes_remove", plan->is_much);
	return output_json(o);
}

static int on_plan(void *arg, const struct collect_plan *plan)
{
	struct pruning *p = arg;
	int r = 0;

	progress_clear(p->progress);
	if (p->ctx->json)
		r = print_plan_json(plan, p->args->dry_run);
	else if (!p->ctx->quiet)
		r = print_plan(plan);
	if (r == 0 && p->args->dry_run && plan->is_much && !p->ctx->json &&
	    !p->ctx->quiet)
		printf("that is more than 30 %% of what is there: it goes with "
		       "--yes-remove %zu\n",
		       plan->nremoved);
	/* Whoever waits sees for what. */
	return r == 0 ? output_flush() : r;
}

/* ---- meanwhile ---- */

static bool is_news(struct pruning *p, const char *sid)
{
	size_t i;

	for (i = 0; i < p->nsaid; i++)
		if (strcmp(p->said[i], sid) == 0)
			return false;
	if (p->nsaid == SAID_MAX)
		return false;
	snprintf(p->said[p->nsaid++], sizeof(p->said[0]), "%s", sid);
	return true;
}

static void on_wait(void *arg, const struct collect_waiting *w)
{
	struct pruning *p = arg;
	char since[OUTPUT_TIME_LEN], who[320];
	struct progress_state s = { .items_total = w->n, .current = who };

	when(w->since_ns, since);
	snprintf(who, sizeof(who), "waiting for a backup on %s (process %lld)",
		 w->host[0] ? w->host : "an unknown host", (long long)w->pid);
	if (is_news(p, w->sid))
		log_warn("%s that began at %s", who, since);
	progress_update(p->progress, &s);
}

static void tick(void *arg, const void *progress)
{
	const struct walk_progress *walked = progress;
	struct pruning *p = arg;
	struct progress_state s = { .items_done = walked->points,
				    .current = "looking for what is needed" };

	progress_update(p->progress, &s);
}

/* ---- after ---- */

/* What was written anew is as much less. */
static uint64_t bytes_freed(const struct collect_result *res)
{
	return res->bytes - MIN(res->bytes, res->repacked_bytes);
}

static int print_result(const struct collect_result *res)
{
	char a[OUTPUT_SIZE_LEN], b[OUTPUT_SIZE_LEN], c[OUTPUT_SIZE_LEN];

	if (res->ntaken_back)
		printf("%zu points were brought back meanwhile, and stay\n",
		       res->ntaken_back);
	if (res->fenced)
		printf("%zu sessions were dead, and are fenced off\n",
		       res->fenced);
	if (res->taken_over)
		printf("%zu packs went that a collection which died had "
		       "condemned\n",
		       res->taken_over);
	if (res->plan.is_idle && !res->purged && !res->packs)
		return output_error();
	printf("removed %zu point%s and %zu pack%s: %s freed (%s before, %s "
	       "now)\n",
	       res->purged, res->purged == 1 ? "" : "s", res->packs,
	       res->packs == 1 ? "" : "s", output_size(bytes_freed(res), a),
	       output_size(res->plan.bytes, b),
	       output_size(res->plan.bytes - bytes_freed(res), c));
	return output_error();
}

static int print_result_json(const struct collect_result *res)
{
	json_t *o = output_message("summary");

	output_set_uint(o, "points_removed", res->purged);
	output_set_uint(o, "points_brought_back", res->ntaken_back);
	output_set_uint(o, "packs_removed", res->packs);
	output_set_uint(o, "bytes_removed", res->bytes);
	output_set_uint(o, "bytes_rewritten", res->repacked_bytes);
	output_set_uint(o, "bytes_freed", bytes_freed(res));
	output_set_uint(o, "bytes_before", res->plan.bytes);
	output_set_uint(o, "bytes_after", res->plan.bytes - bytes_freed(res));
	output_set_uint(o, "sessions_fenced", res->fenced);
	output_set_uint(o, "packs_taken_over", res->taken_over);
	output_set_uint(o, "index_objects_replaced", res->index_old);
	output_set_uint(o, "index_objects_written", res->index_new);
	output_set_uint(o, "other_objects_removed", res->leftovers);
	return output_json(o);
}

/* What was done is said also where the rest failed. */
static int print_outcome(struct context *ctx, const struct collect_result *res)
{
	if (ctx->json)
		return print_result_json(res);
	return ctx->quiet ? 0 : print_result(res);
}

/* ---- running ---- */

/* A bare number could mean either, unless it is 0. */
static int parse_unused(struct context *ctx, const char *text,
			struct collect_options *o)
{
	if (strcmp(text, "unlimited") == 0) {
		o->max_unused = 100;
		return 0;
	}
	if (strcmp(text, "0") == 0)
		return 0;
	if (strchr(text, '%') &&
	    options_percent(text, 100, &o->max_unused) == 0)
		return 0;
	if (text[strspn(text, "0123456789")] &&
	    options_size(text, &o->max_unused_bytes) == 0)
		return 0;
	return context_usage(
		ctx,
		"--max-unused: \"%s\" is neither a percentage such "
		"as 5%%, nor a size such as 200M, nor 0, nor "
		"\"unlimited\"",
		text);
}

static int parse_repack(struct context *ctx, const struct args *a,
			struct collect_options *o)
{
	int r = parse_unused(ctx, a->max_unused ? a->max_unused : "5%", o);

	if (r < 0)
		return r;
	if (a->max_repack && options_size(a->max_repack, &o->max_repack) < 0)
		return context_usage(ctx, "--max-repack: \"%s\" is not a size",
				     a->max_repack);
	/* Of nothing, nothing is rewritten; 0 would mean any. */
	if (a->max_repack && o->max_repack == 0)
		o->max_unused = 100;
	if (a->reseal)
		o->reseal = a->max_repack ? o->max_repack : RESEAL;
	return 0;
}

static int parse_args(struct context *ctx, const struct args *a,
		      struct collect_options *o)
{
	char *end;

	o->wait.wait_ns = -1;
	o->yes_remove = -1;
	if (a->wait && options_duration(a->wait, &o->wait.wait_ns) < 0)
		return context_usage(ctx,
				     "--wait: \"%s\" is not a time: say 90s, "
				     "15m, 36h or 7d",
				     a->wait);
	if (!a->yes_remove)
		return 0;
	errno = 0;
	o->yes_remove = strtoll(a->yes_remove, &end, 10);
	if (errno || *end || a->yes_remove[0] < '0' || a->yes_remove[0] > '9')
		return context_usage(ctx,
				     "--yes-remove: \"%s\" is not a number",
				     a->yes_remove);
	return 0;
}

static int prune(struct context *ctx, struct vault *v,
		 const struct collect_options *o)
{
	struct collect_result res;
	int r = collect_run(v, o, &res), said = 0;

	if (!o->is_dry_run && (r == 0 || res.purged || res.packs))
		said = print_outcome(ctx, &res);
	/* Others are at work: later it may succeed. */
	if (r == -EBUSY)
		return EXIT_CODE_LOCKED;
	return r == 0 ? said : r;
}

static int run_prune(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	struct pruning p = { .ctx = ctx, .args = a };
	struct task task = { .stop = signals_stop(), .tick = tick, .arg = &p };
	char by[NOTING_BY_MAX];
	struct collect_options o = { .is_dry_run = a->dry_run,
				     .is_single_writer = a->single_writer,
				     .by = noting_by(by),
				     .wait = { .stop = signals_stop(),
					       .on_wait = on_wait,
					       .arg = &p },
				     .task = &task,
				     .on_plan = on_plan,
				     .arg = &p };
	struct vault *v = NULL;
	int r;

	if (argc > 0)
		return context_usage(ctx, "\"%s\" is too much", argv[0]);
	r = parse_args(ctx, a, &o);
	ctx->forgotten = true;
	if (r == 0)
		r = parse_repack(ctx, a, &o);
	if (r == 0)
		r = context_open_vault(ctx, &v);
	if (r < 0)
		return r;
	p.progress = progress_new(ctx, "points");
	r = prune(ctx, v, &o);
	progress_free(p.progress);
	vault_close(v);
	return r;
}

const struct command cmd_prune = {
	.name = "prune",
	.aliases = "gc compact",
	.summary = "remove for ever what was forgotten long ago",
	.help = "Points go once they were forgotten for as long as undelete"
		" was to work, by the clock of the vault's store, and with them"
		" the packs that no other point needs. Backups and mounts may"
		" be at work.\n"
		"Exit code 11: backups were at work that may use what would go,"
		" for longer than --wait, or another prune is.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_prune,
	.flags = COMMAND_STOPS,
};
