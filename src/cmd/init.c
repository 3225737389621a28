/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/credentials.h"
#include "src/cli/from.h"
#include "src/cli/keyfile.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/guarded.h"
#include "src/keys/key_label.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/record/config.h"
#include "store/vault.h"

struct args {
	const char *new_key_file;
	unsigned int kdf_cost;
	const char *parity;
	const char *chunker_from;
	struct from_args from_args;
};

static const struct option_row rows[] = {
	OPT_STRING("new-key-file", 0, "FILE", struct args, new_key_file,
		   "make a key file (it must not exist) instead of taking a"
		   " password"),
	OPT_UINT("kdf-cost", 0, "N", struct args, kdf_cost,
		 "scrypt with 2^N blocks of 1 KiB, 14 to 21 (default: 17)"),
	OPT_STRING("parity", 0, "N%", struct args, parity,
		   "give each pack N % of parity, 1 to 50, that mends it"),
	OPT_STRING("copy-chunker-from", 0, "VAULT", struct args, chunker_from,
		   "cut files where VAULT cuts them"),
	FROM_ROWS(struct args, from_args),
	OPT_END
};

/* The secret by which that vault's chunker works. */
static int read_chunker(struct context *ctx, const struct args *a, uint8_t *out)
{
	const struct vault_options o = { .index_later = true };
	struct vault *v = NULL;
	int r = from_open(ctx, a->chunker_from, &a->from_args,
			  "password for the vault to cut like: ", &o, &v);

	if (r == 0)
		r = vault_chunker(v, out);
	vault_close(v);
	return r;
}

static int load(struct context *ctx, struct credential *out)
{
	struct credential_source source = {
		.password_file = ctx->password_file,
		.password_command = ctx->password_command,
		.key_file = ctx->key_file,
		.confirm = true,
		.prompt = "password for the new vault: ",
	};

	return credentials_load(&source, out);
}

static int report_result(struct context *ctx, const struct args *a,
			 const char *url, const char *id)
{
	json_t *o;

	if (ctx->json) {
		o = output_message("initialized");
		output_set_string(o, "id", id);
		output_set_string(o, "repository", url);
		if (a->new_key_file)
			output_set_string(o, "key_file", a->new_key_file);
		return output_json(o);
	}
	printf("vault %s made at %s\n", id, url);
	if (ctx->quiet)
		return 0;
	if (a->new_key_file)
		printf("\nIts key is in %s. Keep a copy elsewhere: without"
		       " it nothing in the\nvault can be read again.\n",
		       a->new_key_file);
	else
		printf("\nKeep the password or key file safe: without it"
		       " nothing in the vault can be\nread again.\n");
	printf("The vault's key slots are as precious; keep a copy of them"
	       " with\n    vmbackup -r %s key export FILE\n",
	       url);
	return 0;
}

static int check_usage(struct context *ctx, const struct args *a, int argc)
{
	if (argc > 1)
		return context_usage(ctx, "one vault at a time");
	if (argc == 1 && ctx->repository)
		return context_usage(ctx, "the vault is named twice");
	if (a->kdf_cost && (a->kdf_cost < 14 || a->kdf_cost > 21))
		return context_usage(ctx, "--kdf-cost: from 14 to 21");
	if (a->new_key_file && ctx->key_file)
		return context_usage(ctx,
				     "--key-file and --new-key-file exclude"
				     " each other");
	if (!a->chunker_from && from_is_given(&a->from_args))
		return context_usage(ctx, "the key of which vault? --from-..."
					  " goes with --copy-chunker-from");
	return 0;
}

static int make_vault(struct context *ctx, const struct args *a,
		      struct vault_options *o, char id[33])
{
	char *label;
	int r;

	if (a->new_key_file) {
		r = guarded_check(ctx, a->new_key_file);
		if (r == 0)
			r = keyfile_make(ctx->seam, a->new_key_file,
					 &o->credential.keyfile);
	} else {
		r = load(ctx, &o->credential);
	}
	if (r < 0)
		return r;
	label = key_label(ctx, NULL, NULL, NULL, NULL);
	o->label = label;
	r = label ? vault_create(o, a->kdf_cost, id) : -ENOMEM;
	free(label);
	credentials_release(&o->credential);
	/* A key of nothing only confuses. */
	if (r < 0 && a->new_key_file)
		unlink(a->new_key_file);
	return r;
}

static int run_init(struct context *ctx, void *args, int argc, char **argv)
{
	struct args *a = args;
	struct vault_options o = { .seam = ctx->seam };
	uint8_t chunker[CHUNKER_LEN];
	char id[33];
	int r = check_usage(ctx, a, argc);

	if (r < 0)
		return r;
	if (argc == 1)
		ctx->repository = argv[0];
	if (a->parity &&
	    (options_percent(a->parity, CONFIG_PARITY_MAX, &o.parity) < 0 ||
	     o.parity == 0))
		return context_usage(ctx, "--parity: from 1%% to 50%%");
	r = context_vault_url(ctx, &o.url);
	if (r == 0 && a->chunker_from) {
		r = read_chunker(ctx, a, chunker);
		o.chunker = chunker;
	}
	if (r == 0)
		r = make_vault(ctx, a, &o, id);
	secret_wipe(chunker, sizeof(chunker));
	return r < 0 ? r : report_result(ctx, a, o.url, id);
}

const struct command cmd_init = {
	.name = "init",
	.operands = "[VAULT]",
	.summary = "make a new vault",
	.help = "The password is asked for twice, or taken from where every"
		" verb takes it. A vault that exists is never touched.\n"
		"A vault that is to take copies of another's points stores them"
		" with what it has itself once only where it cuts files in the"
		" same places: --copy-chunker-from. The other is only read.\n"
		"--parity is for a store that may lose sectors and has no"
		" redundancy of its own.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_init,
};
