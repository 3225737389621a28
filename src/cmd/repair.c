/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/check/damage.h"
#include "src/cli/from.h"
#include "src/cli/noting.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "src/keys/key_repair.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/record/config.h"
#include "store/repair/repair.h"
#include "store/vault.h"

struct args {
	bool apply, dry_run, read_data;
	const char *from;
	struct from_args from_args;
	const char *parity;
};

static const struct option_row rows[] = {
	OPT_FLAG("apply", 0, struct args, apply,
		 "repair; without it only what would be done is printed"),
	OPT_FLAG("dry-run", 'n', struct args, dry_run,
		 "only print, which is the default"),
	OPT_FLAG("read-data", 0, struct args, read_data,
		 "first read all packs, as check --read-data does"),
	OPT_STRING("parity", 0, "N%", struct args, parity,
		   "parity: N % of each pack, 1 to 50 (default: as the vault"
		   " was made)"),
	OPT_STRING("from", 0, "VAULT", struct args, from,
		   "packs, points and keys: take what is lost from VAULT, such"
		   " as a copy; keys: or from a file that key export made"),
	FROM_ROWS(struct args, from_args),
	OPT_END
};

/* As backup's. */
#define LEVEL 3
#define LEVEL_DISK 6

/* ---- telling ---- */

static void say(void *arg, enum repair_verdict verdict, const char *object,
		const char *text)
{
	static const char *const words[] = {
		[REPAIR_NOTED] = "noted",
		[REPAIR_WOULD] = "would repair",
		[REPAIR_DONE] = "repaired",
		[REPAIR_LEFT] = "left",
	};
	const struct context *ctx = arg;
	json_t *o;

	if (!ctx->json) {
		if (verdict == REPAIR_LEFT || !ctx->quiet)
			printf("%s: %s: %s\n", words[verdict], object, text);
		return;
	}
	o = output_message("repair");
	output_set_string(o, "verdict", words[verdict]);
	output_set_string(o, "object", object);
	output_set_string(o, "text", text);
	(void)!output_json(o);
}

static int summary_json(const struct args *a, const struct repair_result *res)
{
	json_t *o = output_message("summary");

	output_set_bool(o, "dry_run", !a->apply);
	output_set_uint(o, "repaired", res->repaired);
	output_set_uint(o, "left", res->left);
	output_set_uint(o, "chunks", res->chunks);
	output_set_uint(o, "bytes", res->bytes);
	output_set_uint(o, "chunks_from", res->chunks_from);
	output_set_uint(o, "chunks_lost", res->chunks_lost);
	return output_json(o);
}

static int summary_text(struct context *ctx, const struct args *a,
			const struct repair_result *res)
{
	char size[OUTPUT_SIZE_LEN];

	if (res->chunks && !ctx->quiet)
		printf("chunks %s anew %" PRIu64 " (%s), of them from the other"
		       " vault %" PRIu64 "\n",
		       a->apply ? "stored" : "to be stored", res->chunks,
		       output_size(res->bytes, size), res->chunks_from);
	if (res->chunks_lost)
		printf("chunks that are lost %" PRIu64 "\n", res->chunks_lost);
	if (res->repaired == 0 && res->left == 0)
		printf("nothing to repair\n");
	else if (!a->apply && res->repaired)
		printf("nothing was changed: --apply does it\n");
	return output_error();
}

/* ---- running ---- */

typedef int repair_fn(struct vault *v, const struct repair_options *o,
		      struct task *task, struct repair_result *out);

static const struct kind {
	const char *name;
	repair_fn *run;
	bool reads, takes; /* it knows --read-data, --from */
} kinds[] = {
	{ "index", repair_index, false, false },
	{ "packs", repair_packs, true, true },
	{ "points", repair_points, true, true },
	{ "parity", repair_parity, true, false },
	{ "keys", repair_keys, false, true },
};

static const struct kind *find_kind(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

static int check_usage(struct context *ctx, const struct args *a, int argc,
		       char **argv, const struct kind **out)
{
	unsigned int percent;

	if (argc != 1)
		return context_usage(
			ctx, "say what to repair: index, packs, points, parity"
			     " or keys");
	*out = find_kind(argv[0]);
	if (!*out)
		return context_usage(
			ctx,
			"\"%s\" is neither index nor packs nor points nor"
			" parity nor keys",
			argv[0]);
	if (a->apply && a->dry_run)
		return context_usage(ctx, "--apply and --dry-run exclude each"
					  " other");
	if (a->read_data && !(*out)->reads)
		return context_usage(ctx, "--read-data is for packs, points and"
					  " parity");
	if (a->parity &&
	    ((*out)->run != repair_parity ||
	     options_percent(a->parity, CONFIG_PARITY_MAX, &percent) < 0 ||
	     percent == 0))
		return context_usage(ctx, "--parity: from 1%% to 50%%, and only"
					  " with parity");
	if (a->from && !(*out)->takes)
		return context_usage(ctx,
				     "--from is for packs, points and keys");
	if (!a->from && from_is_given(&a->from_args))
		return context_usage(ctx, "the key of which vault? --from-..."
					  " goes with --from");
	return 0;
}

static int open_vaults(struct context *ctx, const struct args *a,
		       const struct kind *kind, struct vault **out,
		       struct vault **from_out)
{
	struct vault_options o = { .index_later = kind->run == repair_keys };
	struct vault_options other = { .stop = signals_stop() };
	bool no_cache = ctx->no_cache;
	int r;

	/* Nothing is believed that is not in the vault itself. */
	ctx->no_cache = true;
	r = context_open_vault_with(ctx, &o, out);
	ctx->no_cache = no_cache;
	context_forget_credential(ctx);
	if (r < 0 || !a->from || kind->run == repair_keys)
		return r;
	return from_open(ctx, a->from, &a->from_args,
			 "password for the vault to take from: ", &other,
			 from_out);
}

/* With --from, what opens the vault first: it may not open before. A dry run that found
 * something ends there. */
static int repair_opening(struct context *ctx, const struct args *a,
			  const struct repair_options *o,
			  struct repair_result *out, bool *goes_on)
{
	int r;

	*goes_on = true;
	if (!a->from)
		return 0;
	r = key_repair_from(ctx, a->from, &a->from_args, o, out);
	*goes_on = r == 0 && (o->apply || (!out->repaired && !out->left));
	return r;
}

static int repair(struct context *ctx, const struct args *a,
		  const struct kind *kind, struct task *task,
		  struct repair_result *out)
{
	struct vault *v = NULL, *from = NULL;
	char by[NOTING_BY_MAX];
	struct repair_options o = { .apply = a->apply,
				    .read_data = a->read_data,
				    .level = LEVEL,
				    .disk_level = LEVEL_DISK,
				    .by = noting_by(by),
				    .say = say,
				    .say_arg = ctx };
	bool goes_on = true;
	int r = 0;

	if (kind->run == repair_keys)
		r = repair_opening(ctx, a, &o, out, &goes_on);
	if (r == 0 && goes_on)
		r = open_vaults(ctx, a, kind, &v, &from);
	if (r < 0 || !goes_on) {
		context_forget_credential(ctx);
		vault_close(v);
		return r;
	}
	o.from = from;
	if (a->parity)
		(void)!options_percent(a->parity, CONFIG_PARITY_MAX, &o.parity);
	if (r == 0) {
		output_hold(true);
		r = kind->run(v, &o, task, out);
		output_hold(false);
		if (r < 0 && r != -EINTR && *output_last_error()) {
			char why[1024];

			snprintf(why, sizeof(why), "%s", output_last_error());
			log_line(LOG_LEVEL_ERROR, "%s", why);
		}
	}
	vault_close(from);
	vault_close(v);
	return r;
}

static int run_repair(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	struct task task = { .stop = signals_stop(), .tick = damage_progress };
	struct repair_result res = { .repaired = 0 };
	const struct kind *kind = NULL;
	struct progress *progress;
	int r = check_usage(ctx, a, argc, argv, &kind);

	if (r < 0)
		return r;
	progress = progress_new(ctx, "items");
	task.arg = progress;
	r = repair(ctx, a, kind, &task, &res);
	progress_free(progress);
	if (r < 0)
		return r;
	r = ctx->json ? summary_json(a, &res) : summary_text(ctx, a, &res);
	if (r == 0 && (res.left || (!a->apply && res.repaired)))
		r = EXIT_CODE_DAMAGE;
	return r;
}

const struct command cmd_repair = {
	.name = "repair",
	.operands = "index|packs|points|parity|keys",
	.summary = "store anew what check found damaged",
	.help = "Nothing is deleted, and what is there is not changed: new"
		" objects are put beside the damaged ones, and damaged ones"
		" only replaced by what they were. Without --apply"
		" only what would be done is printed.\n"
		"index: packs that no index object names are named, and index"
		" objects that are damaged or gone are superseded.\n"
		"packs: of packs that are damaged, what can still be read is"
		" stored anew, and they go into quarantine.\n"
		"points: beside points of which something is lost, new ones are"
		" made of all that can be had; the objects of points that are"
		" damaged or gone come from a copy of the vault (--from).\n"
		"parity: packs without parity get it, and with --read-data"
		" also those whose parity is damaged.\n"
		"keys: config and its copy are mended by each other, and"
		" what says that there are later epochs of keys by the key in"
		" use; with --from also what the vault does not open without."
		" Nobody's key is removed.\n"
		"Exit code 13: something is left that cannot be repaired, or"
		" a dry run found something to do.",
	.words = "index packs points parity keys",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_repair,
	.flags = COMMAND_STOPS,
};
