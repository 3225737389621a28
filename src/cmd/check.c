/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/check/damage.h"
#include "src/cli/noting.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "src/retain/policy.h"
#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/config/pair.h"
#include "store/point.h"
#include "store/vault.h"

struct args {
	bool read_data, scrub, accept, folders;
	const char *subset, *budget, *max_age;
	unsigned int threads, limit;
};

static const struct option_row rows[] = {
	OPT_FLAG("read-data", 0, struct args, read_data,
		 "read, open and hash all that is stored"),
	OPT_STRING("read-data-subset", 0, "N/T|P%|SIZE", struct args, subset,
		   "the same of part N of T, of P percent, or of SIZE bytes of"
		   " the packs"),
	OPT_STRING("budget", 0, "TIME|SIZE", struct args, budget,
		   "the same of what nobody has verified for longest, for 30m"
		   " in all, or 10G"),
	OPT_STRING("max-age", 0, "TIME", struct args, max_age,
		   "the same of what nobody has verified for 30d"),
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
	OPT_UINT("limit", 0, "N", struct args, limit,
		 "name at most N paths of what each damaged object hits"
		 " (default: 20, at most 200)"),
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

/* "30m", "2h", "90s" are times, and all else is a size: there a small m is no unit. */
static int parse_budget(struct context *ctx, const char *text,
			struct check_options *o)
{
	static const char units[] = "smh";
	static const int64_t seconds[] = { 1, 60, 3600 };
	size_t len = strspn(text, "0123456789");
	const char *unit = text[len] ? strchr(units, text[len]) : NULL;
	int64_t n = len > 0 && len < 9 ? strtoll(text, NULL, 10) : 0;

	if (n > 0 && unit && !text[len + 1]) {
		o->budget_ns = n * seconds[unit - units] * 1000000000;
		return 0;
	}
	if (unit || options_size(text, &o->budget_bytes) < 0 ||
	    o->budget_bytes == 0)
		return context_usage(ctx,
				     "--budget: \"%s\" is neither a time such"
				     " as 30m or 2h nor a size such as 10G",
				     text);
	return 0;
}

static int parse_age(struct context *ctx, const char *text,
		     struct check_options *o)
{
	int64_t ns;

	if (keep_parse_duration(text, &ns) < 0 || ns < 1000000000)
		return context_usage(ctx,
				     "--max-age: \"%s\" is not a time: say 36h,"
				     " 7d, 2w, 6mo (a month) or 1y",
				     text);
	o->max_age_s = ns / 1000000000;
	return 0;
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
	int r = context_open_backend(ctx, &b);

	if (r < 0)
		return r;
	r = config_head(b);
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
	if (res->ledger_error)
		log_warn("vault %s: %s: what was verified could not be noted in"
			 " it, so the next check does not know of it",
			 vault_url(v), strerror(-res->ledger_error));
	vault_close(v);
	return r < 0 ? r : lost;
}

static int run_check(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	char by[NOTING_BY_MAX];
	struct check_options o = { .read_data = a->read_data || a->subset ||
						a->budget || a->max_age,
				   .threads = a->threads,
				   .places = a->limit,
				   .by = noting_by(by) };
	struct task task = { .stop = signals_stop(), .tick = damage_progress };
	struct check_result res = { .damages = 0 };
	struct progress *progress;
	int r = 0;

	if (argc > 0)
		return context_usage(ctx, "\"%s\" is too much", argv[0]);
	if (a->threads > 64)
		return context_usage(ctx, "--threads: at most 64");
	if (a->limit > CHECK_PLACES_MAX)
		return context_usage(ctx, "--limit: at most %d",
				     CHECK_PLACES_MAX);
	if ((a->accept || a->folders) && a->scrub)
		return context_usage(ctx,
				     "--scrub looks at no points: %s"
				     " needs more",
				     a->accept ? "--accept-rollback"
					       : "--make-folders");
	if ((a->budget || a->max_age) && a->scrub)
		return context_usage(ctx, "--scrub has no key, and so cannot"
					  " read what was verified before");
	if (a->subset)
		r = parse_subset(ctx, a->subset, &o);
	if (r == 0 && a->budget)
		r = parse_budget(ctx, a->budget, &o);
	if (r == 0 && a->max_age)
		r = parse_age(ctx, a->max_age, &o);
	if (r < 0)
		return r;
	progress = progress_new(ctx, "items");
	task.arg = progress;
	r = a->scrub ? scrub(ctx, &o, &task, &res)
		     : check_vault(ctx, &o, a, &task, &res);
	progress_free(progress);
	if (r >= 0 || res.damages) {
		int reported = damage_report(ctx, &res, a->scrub);

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
