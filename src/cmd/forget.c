/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * forget and undelete. A policy is applied to a list of points, and what it says is
 * printed, and then done: a dry run differs in the last step and in nothing else.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/noting.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "src/forget/always.h"
#include "src/forget/freed.h"
#include "src/forget/guard.h"
#include "src/forget/judged.h"
#include "src/forget/report.h"
#include "src/forget/request.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/vault.h"
#include "store/writer/forget.h"
#include "store/writer/note.h"

struct args {
	struct request_args asked;
	struct point_filter filter;
	bool dry_run;
};

static const struct option_row rows[] = {
	OPT_STRING("keep-last", 'l', "N", struct args, asked.counts[KEEP_LAST],
		   "keep the last N points"),
	OPT_STRING("keep-hourly", 'H', "N", struct args,
		   asked.counts[KEEP_HOURLY],
		   "keep the last point of each of the last N hours"),
	OPT_STRING("keep-daily", 'd', "N", struct args,
		   asked.counts[KEEP_DAILY], "the same for days"),
	OPT_STRING("keep-weekly", 'w', "N", struct args,
		   asked.counts[KEEP_WEEKLY],
		   "the same for weeks, which begin on Monday"),
	OPT_STRING("keep-monthly", 'm', "N", struct args,
		   asked.counts[KEEP_MONTHLY], "the same for months"),
	OPT_STRING("keep-yearly", 'y', "N", struct args,
		   asked.counts[KEEP_YEARLY], "the same for years"),
	OPT_STRING("keep-within", 0, "TIME", struct args,
		   asked.within[KEEP_LAST],
		   "keep what is not older than the newest point by more"),
	OPT_STRING("keep-within-hourly", 0, "TIME", struct args,
		   asked.within[KEEP_HOURLY], "of that, one an hour"),
	OPT_STRING("keep-within-daily", 0, "TIME", struct args,
		   asked.within[KEEP_DAILY], "one a day"),
	OPT_STRING("keep-within-weekly", 0, "TIME", struct args,
		   asked.within[KEEP_WEEKLY], "one a week"),
	OPT_STRING("keep-within-monthly", 0, "TIME", struct args,
		   asked.within[KEEP_MONTHLY], "one a month"),
	OPT_STRING("keep-within-yearly", 0, "TIME", struct args,
		   asked.within[KEEP_YEARLY], "one a year"),
	OPT_LIST("keep-tag", 0, "TAG[,TAG]...", struct args, asked.tags,
		 "keep points with all these tags; may be repeated: any"),
	OPT_STRING("keep", 0, "TIME", struct args, asked.keep,
		   "let no policy forget the POINTs for so long from now"),
	OPT_STRING("group-by", 'g', "machine,host,tags,paths", struct args,
		   asked.group_by, "what is a series (machine,paths)"),
	OPT_LIST("vm", 0, "VM", struct args, filter.vms,
		 "only points of machine VM; may be repeated"),
	OPT_LIST("tag", 0, "TAG[,TAG]...", struct args, filter.tags,
		 "only points with all these tags; may be repeated: any"),
	OPT_LIST("host", 0, "NAME", struct args, filter.hosts,
		 "only points made on host NAME; may be repeated"),
	OPT_STRING("undelete-window", 0, "TIME", struct args, asked.window,
		   "how long undelete works: 14d, the default, to 180d"),
	OPT_FLAG(
		"always", 0, struct args, asked.always,
		"that window is for all points of the vault, and cannot be made"
		" shorter again"),
	OPT_STRING("reason", 0, "TEXT", struct args, asked.reason,
		   "note why, for people"),
	OPT_FLAG("dry-run", 'n', struct args, dry_run,
		 "print what would be forgotten and freed, and do nothing"),
	OPT_FLAG("unsafe-allow-remove-all", 0, struct args, asked.remove_all,
		 "let all points of a machine go"),
	OPT_END
};

/* ---- forgetting ---- */

/* By the later of this machine's clock and the vault's. */
static int64_t now_for(struct context *ctx, const struct forget_wish *wish)
{
	return MAX(ctx->seam->ops->realtime_ns(ctx->seam), wish->vault_ns);
}

static int print_outcome(struct context *ctx, size_t n, const struct args *a,
			 const struct forget_wish *wish,
			 const struct freed *freed)
{
	int64_t until = MIN(now_for(ctx, wish), INT64_MAX - wish->window_ns) +
			wish->window_ns;
	char time[OUTPUT_TIME_LEN];

	if (ctx->json || ctx->quiet)
		return 0;
	printf("\n%zu point%s %s\n", n, n == 1 ? "" : "s",
	       a->dry_run ? "would be forgotten" : "forgotten");
	if (n > 0)
		printf("until %s \"vmbackup undelete\" brings %s back\n",
		       output_short_time(until / 1000000000, time),
		       n == 1 ? "it" : "them");
	if (a->dry_run)
		freed_print(freed);
	return output_error();
}

/* Forget them, unless it is a dry run. */
static int forget_all(struct context *ctx, struct vault *v,
		      const struct point *const *points, size_t n,
		      const struct args *a, struct request *request,
		      const struct freed *freed)
{
	char by[NOTING_BY_MAX];
	int r = forget_check(v, points, n);

	request->wish.by = noting_by(by);
	if (r == 0 && !a->dry_run)
		r = guard_forget(v, points, n, &request->wish,
				 a->asked.remove_all);
	return r < 0 ? r : print_outcome(ctx, n, a, &request->wish, freed);
}

static int forget_judged(struct context *ctx, struct vault *v,
			 const struct judged *j, const struct args *a,
			 struct request *request)
{
	AUTO_FREE const struct point **gone =
		alloc_array(j->n + 1, sizeof(*gone));
	struct freed freed = { .is_known = false };
	size_t i, n = 0;
	int r;

	if (!gone)
		return -ENOMEM;
	for (i = 0; i < j->n; i++) {
		size_t k = j->order[i];

		if (!j->verdicts[k].reasons)
			gone[n++] = j->list->points[j->index[k]];
	}
	/* Nobody is told that something goes which cannot go. */
	r = forget_check(v, gone, n);
	if (r == 0 && a->dry_run)
		r = freed_count(ctx, v, gone, n, &freed);
	if (r == 0 && ctx->json)
		r = report_print_json(j, &request->policy,
				      a->dry_run ? &freed : NULL);
	else if (r == 0 && !ctx->quiet)
		r = report_print(j, &request->policy);
	/* What goes is said before it goes. */
	if (r == 0)
		r = output_flush();
	return r < 0 ? r : forget_all(ctx, v, gone, n, a, request, &freed);
}

/* Whoever mistypes a name would be told that nothing had to go. */
static int check_machines(const struct point_list *l,
			  const struct string_list *vms)
{
	size_t i, k;

	for (i = 0; i < vms->n; i++) {
		for (k = 0; k < l->n; k++)
			if (strcmp(l->points[k]->vm, vms->items[i]) == 0)
				break;
		if (k == l->n)
			return fail(-ENOENT,
				    "no machine called \"%s\" has a point that "
				    "is listed: nothing is forgotten",
				    vms->items[i]);
	}
	return 0;
}

/* Leave out what cannot be judged. Return of how many points @wanted it is so. */
static size_t leave_out(const struct point_list *l, bool *wanted)
{
	size_t i, n = 0;

	for (i = 0; i < l->n; i++)
		if (wanted[i] && l->points[i]->verdict_unknown) {
			log_line(LOG_LEVEL_ERROR,
				 "whether point %s was removed cannot be read: "
				 "it stays; see \"vmbackup check\"",
				 l->points[i]->id);
			wanted[i] = false;
			n++;
		}
	return n;
}

static int run_policy(struct context *ctx, struct vault *v,
		      const struct point_list *l, const struct args *a,
		      struct request *request)
{
	struct judged j = { .n = 0 };
	bool *wanted = NULL;
	size_t nleft = 0;
	int r = check_machines(l, &a->filter.vms);

	if (r == 0)
		r = point_filter_apply(&a->filter, l, &wanted);
	if (r == 0)
		nleft = leave_out(l, wanted) + l->ndamaged;
	if (r == 0)
		r = judged_make(v, l, &request->policy, wanted,
				ctx->seam->ops->realtime_ns(ctx->seam), &j);
	/* Errors, and not warnings: --quiet does not hide them. */
	if (r == 0 && l->ndamaged > 0)
		log_line(LOG_LEVEL_ERROR,
			 "%zu point%s cannot be read, and stay%s; see "
			 "\"vmbackup check\"",
			 l->ndamaged, l->ndamaged == 1 ? "" : "s",
			 l->ndamaged == 1 ? "s" : "");
	request->wish.vault_ns = j.vault_ns;
	if (r == 0)
		r = forget_judged(ctx, v, &j, a, request);
	judged_release(&j);
	free(wanted);
	return r == 0 && nleft > 0 ? EXIT_CODE_DAMAGE : r;
}

/* ---- points that are named ---- */

static int print_named(struct context *ctx, const char *what,
		       const struct point *const *points, size_t n,
		       bool is_dry_run)
{
	json_t *o;
	size_t i;
	int r = 0;

	for (i = 0; ctx->json && i < n && r == 0; i++) {
		o = output_message(what);
		output_set_string(o, "id", points[i]->id);
		output_set_bool(o, "dry_run", is_dry_run);
		r = output_json(o);
	}
	return r;
}

static int print_freed(const struct freed *freed)
{
	json_t *o = output_message("freed");

	json_object_set_new(o, "freed", freed_json(freed));
	return output_json(o);
}

static int keep_named(struct context *ctx, struct vault *v,
		      const struct point *const *points, size_t n,
		      const struct args *a, const struct request *request)
{
	int64_t keep_ns = request->keep_ns, until;
	char text[OUTPUT_TIME_LEN], by[NOTING_BY_MAX];
	struct note_wish wish = { NOTE_KEEP, text };
	int r = vault_may_write(v);

	if (r < 0)
		return r;
	if (__builtin_add_overflow(now_for(ctx, &request->wish), keep_ns,
				   &until) ||
	    until > INT64_MAX - 999999999)
		return context_usage(ctx,
				     "--keep %s: so far in time nothing is",
				     a->asked.keep);
	/* Whole seconds: not before. But no time at all is over by any clock. */
	until = keep_ns > 0 ? until + 999999999 : 0;
	output_time(until - until % 1000000000, text);
	if (!a->dry_run)
		r = note_points(v, points, n, &wish, 1, noting_by(by));
	if (r == 0)
		r = print_named(ctx, "kept", points, n, a->dry_run);
	if (r < 0 || ctx->json || ctx->quiet)
		return r;
	printf("%zu point%s ", n, n == 1 ? "" : "s");
	if (keep_ns > 0)
		printf("%s until %s\n", a->dry_run ? "would be kept" : "kept",
		       text);
	else
		printf("%s kept no longer\n", a->dry_run ? "would be"
					      : n == 1	 ? "is"
							 : "are");
	return output_error();
}

static int run_named(struct context *ctx, struct vault *v, struct point_list *l,
		     const struct args *a, int argc, char **argv,
		     struct request *request)
{
	AUTO_FREE const struct point **points =
		alloc_array((size_t)argc, sizeof(*points));
	struct freed freed = { .is_known = false };
	size_t n = 0;
	int r;

	if (!points)
		return -ENOMEM;
	r = filter_find_points(v, l, argc, argv, true, points, &n);
	if (r < 0)
		return r;
	r = forget_stored_times(v, l, NULL, &request->wish.vault_ns);
	if (r < 0)
		return r;
	if (request->keep_ns >= 0)
		return keep_named(ctx, v, points, n, a, request);
	if (!a->asked.remove_all)
		r = guard_last(l, points, n);
	if (r == 0 && a->dry_run)
		r = freed_count(ctx, v, points, n, &freed);
	if (r == 0)
		r = forget_all(ctx, v, points, n, a, request, &freed);
	if (r == 0)
		r = print_named(ctx, "forgotten", points, n, a->dry_run);
	return r == 0 && a->dry_run && ctx->json ? print_freed(&freed) : r;
}

static int run_forget(struct context *ctx, void *args, int argc, char **argv)
{
	struct request request = { .keep_ns = -1 };
	struct point_list *l = NULL;
	struct args *a = args;
	struct vault *v = NULL;
	int r;

	/* What was forgotten would be forgotten once more. */
	if (ctx->forgotten)
		return context_usage(ctx, "--forgotten is for who looks, and "
					  "not for who forgets");
	r = request_parse(ctx, &a->asked, argc > 0,
			  a->filter.vms.n || a->filter.tags.n ||
				  a->filter.hosts.n,
			  &request);
	if (r == 0)
		r = request_check_tags(ctx, "--tag", &a->filter.tags);
	if (r == 0)
		r = context_open_vault_only(ctx, &v);
	if (r == 0 && a->asked.always) {
		r = always_set(ctx, v, request.wish.window_ns, a->dry_run);
		goto out;
	}
	if (r == 0)
		r = always_apply(v, &request.wish);
	if (r == 0)
		r = context_read_error(v, vault_points(v, &l));
	if (r == 0)
		r = argc > 0 ? run_named(ctx, v, l, a, argc, argv, &request)
			     : run_policy(ctx, v, l, a, &request);
out:
	point_list_put(l);
	vault_close(v);
	request_release(&request);
	return r;
}

const struct command cmd_forget = {
	.name = "forget",
	.operands = "[POINT...]",
	.summary = "let go of points, by a policy or by name",
	.help = "What is forgotten is not listed any more, and can be brought"
		" back with undelete for 14 days at least. It is deleted only"
		" when the vault is collected after that.\n"
		"Days begin at midnight UTC. Points that are incomplete,"
		" suspicious or dated in the future make none go that is in"
		" less doubt; the last good and the last verified point of"
		" each machine stay.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_forget,
};

/* ---- undelete ---- */

static int print_undeleted(struct context *ctx, const struct point *p)
{
	bool was_forgotten = p->nopen_forgets + p->nunread_forgets > 0;
	json_t *o;

	if (ctx->json) {
		o = output_message("undeleted");
		output_set_string(o, "id", p->id);
		output_set_bool(o, "was_forgotten", was_forgotten);
		return output_json(o);
	}
	if (!ctx->quiet)
		printf("point %s %s\n", p->id,
		       was_forgotten ? "is back" : "was not forgotten");
	return 0;
}

/* Who brings a point back too late is told so. */
static int check_removed(struct vault *v, struct point_list *l, int argc,
			 char **argv)
{
	char id[POINT_ID_HEX + 1], when[POINT_TIME_LEN] = "";
	int64_t when_ns;
	size_t at;
	int i, r = 0;

	for (i = 0; i < argc && r == 0; i++) {
		bool before = log_hush(true);
		bool is_there = point_find(l, argv[i], &at) == 0;

		(void)log_hush(before);
		if (is_there || strlen(argv[i]) < 4)
			continue;
		r = vault_find_removed(v, argv[i], id, &when_ns);
		if (when_ns)
			point_time_name(when_ns, when);
		if (r == 1)
			r = fail(-EALREADY,
				 "point %s was removed for ever%s%s: it is too "
				 "late to bring it back",
				 id, when_ns ? " on " : "", when);
	}
	return r;
}

static int run_undelete(struct context *ctx, void *args, int argc, char **argv)
{
	AUTO_FREE const struct point **points = NULL;
	struct point_list *l = NULL;
	struct vault *v = NULL;
	char by[NOTING_BY_MAX];
	size_t i, n = 0;
	int r;

	(void)args;
	if (argc < 1)
		return context_usage(ctx, "which point? \"vmbackup --forgotten "
					  "points\" lists them");
	points = alloc_array((size_t)argc, sizeof(*points));
	if (!points)
		return -ENOMEM;
	ctx->forgotten = true;
	r = context_open_vault_only(ctx, &v);
	if (r == 0)
		r = context_read_error(v, vault_points(v, &l));
	if (r == 0)
		r = check_removed(v, l, argc, argv);
	if (r == 0)
		r = filter_find_points(v, l, argc, argv, true, points, &n);
	if (r == 0)
		r = guard_undelete(v, points, n, noting_by(by));
	for (i = 0; i < n && r == 0; i++)
		r = print_undeleted(ctx, points[i]);
	point_list_put(l);
	vault_close(v);
	return r;
}

const struct command cmd_undelete = {
	.name = "undelete",
	.operands = "POINT...",
	.summary = "bring back points that were forgotten",
	.help = "This works until the time is over that forget gave, and after"
		" that until the vault is collected.",
	.run = run_undelete,
};
