/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/credentials.h"
#include "src/cli/keyfile.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/guarded.h"
#include "src/cmd/key_export.h"
#include "src/keys/key_label.h"
#include "src/keys/key_rotate.h"
#include "src/keys/key_sign.h"
#include "src/keys/key_trust.h"
#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/point.h"
#include "store/vault.h"

struct args {
	const char *new_password_file, *new_password_command, *new_key_file;
	const char *make_key_file, *host, *user, *label, *machine;
	unsigned int kdf_cost;
	bool put_only, any_machine;
	struct string_list with_key_files, with_password_files;
};

static const struct option_row rows[] = {
	OPT_STRING("new-password-file", 0, "FILE", struct args,
		   new_password_file,
		   "add, passwd: read the new password from"
		   " FILE (VMBACKUP_NEW_PASSWORD_FILE)"),
	OPT_STRING("new-password-command", 0, "COMMAND", struct args,
		   new_password_command,
		   "add, passwd: read it from what"
		   " COMMAND prints"),
	OPT_STRING("add-key-file", 0, "FILE", struct args, new_key_file,
		   "add, passwd: take a key file instead of a password"),
	OPT_STRING("new-key-file", 0, "FILE", struct args, make_key_file,
		   "add, passwd: make such a key file (it must not exist)"),
	OPT_STRING("host", 0, "NAME", struct args, host,
		   "add, passwd: note this host with the key"),
	OPT_STRING("user", 0, "NAME", struct args, user,
		   "add, passwd: note this user with the key"),
	OPT_STRING("label", 0, "TEXT", struct args, label,
		   "add, passwd: note this text with the key"),
	OPT_FLAG("put-only", 0, struct args, put_only,
		 "add: a key that adds points and reads none"),
	OPT_FLAG("any-machine", 0, struct args, any_machine,
		 "add: a put-only key adds points of any machine"),
	OPT_LIST("with-key-file", 0, "FILE", struct args, with_key_files,
		 "rotate: this key, too, is to open what comes (repeatable)"),
	OPT_LIST("with-password-file", 0, "FILE", struct args,
		 with_password_files, "rotate: the same of a password"),
	OPT_STRING("machine", 0, "VM", struct args, machine,
		   "trust: this machine alone (default: all); add: whose"
		   " points a put-only key adds"),
	OPT_UINT("kdf-cost", 0, "N", struct args, kdf_cost,
		 "scrypt with 2^N blocks of 1 KiB, 14 to 21 (default: 17)"),
	OPT_END
};

static int load_new(struct context *ctx, const struct args *a,
		    struct credential *out)
{
	struct credential_source source = {
		.password_file = a->new_password_file,
		.password_command = a->new_password_command,
		.key_file = a->new_key_file,
		.env = "VMBACKUP_NEW_",
		.confirm = true,
		.prompt = "new password: ",
		.remedy = "give --new-password-file, --new-password-command,"
			  " --add-key-file or --new-key-file, or set"
			  " VMBACKUP_NEW_PASSWORD_FILE",
	};

	memset(out, 0, sizeof(*out));
	if (a->make_key_file) {
		int r = guarded_check(ctx, a->make_key_file);

		return r < 0 ? r
			     : keyfile_make(ctx->seam, a->make_key_file,
					    &out->keyfile);
	}
	return credentials_load(&source, out);
}

static int report_result(struct context *ctx, const char *what,
			 const char *slot)
{
	json_t *o;

	if (!ctx->json) {
		printf("key %.8s %s\n", slot, what);
		return output_error();
	}
	o = output_message("summary");
	output_set_string(o, "action", what);
	output_set_string(o, "id", slot);
	return output_json(o);
}

/* Add a slot for the new credential, which stays with the caller. */
static int add_slot(struct context *ctx, const struct args *a, struct vault *v,
		    struct credential *c, char slot[33])
{
	const char *machine = a->machine ? a->machine : "";
	char *label;
	int r;

	r = load_new(ctx, a, c);
	if (r < 0)
		return r;
	label = key_label(ctx, a->host, a->user, a->label,
			  a->put_only ? machine : NULL);
	if (!label)
		return -ENOMEM;
	r = a->put_only
		    ? vault_key_add_put(v, c, a->kdf_cost, label, machine, slot)
		    : vault_key_add(v, c, a->kdf_cost, label, slot);
	free(label);
	if (r < 0 && a->make_key_file)
		unlink(a->make_key_file);
	return r;
}

static int key_add(struct context *ctx, const struct args *a, struct vault *v)
{
	struct credential c = { NULL, NULL };
	char slot[33];
	int r;

	r = add_slot(ctx, a, v, &c, slot);
	credentials_release(&c);
	return r < 0 ? r : report_result(ctx, "added", slot);
}

static void free_keys(struct key_info *keys, size_t n)
{
	while (n > 0)
		free(keys[--n].label);
	free(keys);
}

static const char *member(const json_t *label, const char *key)
{
	const char *text = json_string_value(json_object_get(label, key));

	return text ? text : "";
}

/* Whether whoever made the slot says that its key adds points and reads none. */
static bool is_put_only(const json_t *label)
{
	return strcmp(member(label, "role"), "put-only") == 0;
}

static int print_keys_json(struct vault *v, const struct key_info *keys,
			   size_t n)
{
	json_t *array = json_array();
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		json_t *o = json_object();
		json_t *label = keys[i].label
					? json_loads(keys[i].label, 0, NULL)
					: NULL;

		/* The label's members first: they are not authenticated and
		 * must not hide ours. */
		if (json_is_object(label))
			json_object_update(o, label);
		output_set_string(o, "id", keys[i].slot);
		output_set_string(o, "kind", keys[i].kind);
		output_set_bool(o, "put_only", is_put_only(label));
		output_set_uint(o, "epoch", keys[i].epoch);
		output_set_bool(o, "current", keys[i].current);
		json_decref(label);
		json_array_append_new(array, o);
	}
	r = key_trust_json(v, array);
	if (r == 0)
		return output_json(array);
	json_decref(array);
	return r;
}

static int print_keys(const struct vault *v, const struct key_info *keys,
		      size_t n)
{
	static const char *const titles[] = { "",	 "Id",	 "Kind",
					      "Created", "User", "Host",
					      "Label",	 "Epoch" };
	struct table *t = table_new(ARRAY_SIZE(titles), 0);
	size_t i;
	int r;

	if (!t)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(titles); i++)
		table_cell(t, "%s", titles[i]);
	table_line(t);
	for (i = 0; i < n; i++) {
		json_t *label = keys[i].label
					? json_loads(keys[i].label, 0, NULL)
					: NULL;

		table_cell(t, "%s", keys[i].current ? "*" : "");
		table_cell(t, "%.8s", keys[i].slot);
		table_cell(t, "%s%s", is_put_only(label) ? "put-only, " : "",
			   keys[i].kind);
		table_cell(t, "%s", member(label, "created"));
		table_cell(t, "%s", member(label, "user"));
		table_cell(t, "%s", member(label, "host"));
		table_cell(t, "%s", member(label, "label"));
		table_cell(t, "%u", keys[i].epoch);
		json_decref(label);
	}
	r = table_print(t);
	if (r == 0 && vault_newest_epoch(v))
		printf("\nwhat is written has keys of epoch %u; those of an "
		       "earlier one open only what was written before\n",
		       vault_newest_epoch(v));
	table_free(t);
	return r;
}

static int key_list(struct context *ctx, struct vault *v)
{
	struct key_info *keys = NULL;
	size_t n = 0;
	int r;

	r = vault_key_list(v, &keys, &n);
	if (r == 0)
		r = ctx->json ? print_keys_json(v, keys, n)
			      : print_keys(v, keys, n);
	if (r == 0 && !ctx->json)
		r = key_trust_print(v);
	free_keys(keys, n);
	return r;
}

static int current_slot(struct vault *v, char slot[33])
{
	struct key_info *keys = NULL;
	size_t n = 0, i;
	int r;

	r = vault_key_list(v, &keys, &n);
	if (r < 0)
		return r;
	r = -ENOENT;
	for (i = 0; i < n; i++) {
		if (!keys[i].current)
			continue;
		memcpy(slot, keys[i].slot, 33);
		r = 0;
	}
	free_keys(keys, n);
	return r;
}

/* A new slot, then, opened with that, the old one away: at no moment is there
 * no way in. The new password may be the one in use, which opens the old slot, too;
 * so the slot is named. */
static int key_passwd(struct context *ctx, const struct args *a,
		      struct vault **v)
{
	char old[33], slot[33];
	struct vault_options o = { .seam = ctx->seam, .slot = slot };
	int r;

	r = current_slot(*v, old);
	if (r < 0)
		return fail(r, "the key in use is not among the vault's keys");
	r = add_slot(ctx, a, *v, &o.credential, slot);
	if (r == 0)
		r = context_vault_url(ctx, &o.url);
	if (r == 0)
		r = context_cache_dir(ctx, &o.cache_dir);
	if (r == 0) {
		vault_close(*v);
		*v = NULL;
		r = vault_open(&o, v);
	}
	credentials_release(&o.credential);
	if (r == 0)
		r = vault_key_remove(*v, old);
	if (r < 0)
		return r;
	return report_result(ctx, "replaces the old one", slot);
}

static bool is_of_signer(const char *what)
{
	return strcmp(what, "trust") == 0 || strcmp(what, "revoke") == 0;
}

static bool replaces_slots(const char *what)
{
	return strcmp(what, "remove") == 0 || strcmp(what, "passwd") == 0 ||
	       strcmp(what, "rotate") == 0;
}

/* Whoever rotates needs the key that opened the vault once more. */
static int open_vault(struct context *ctx, const char *what, struct vault **out)
{
	struct vault_options o = { .index_later = true };
	int r;

	if (!strcmp(what, "rotate"))
		r = context_open_vault_with(ctx, &o, out);
	else if (!strcmp(what, "list"))
		r = context_open_vault_to_add(ctx, out);
	else
		r = context_open_vault_only(ctx, out);

	if (r == 0)
		r = vault_look_back(*out);
	/* Of signers each reader remembers his own. */
	if (r == 0 && strcmp(what, "list") != 0 && !is_of_signer(what))
		r = vault_may_write(*out);
	/* A new slot beside an old one that stays is not what was asked for. */
	if (r == 0 && replaces_slots(what))
		r = backend_may_delete(vault_backend(*out), "key/");
	return r;
}

static bool is_known(const char *what)
{
	static const char *const all[] = { "add",    "list",   "remove",
					   "passwd", "rotate", "trust",
					   "revoke", "demand" };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(all); i++)
		if (strcmp(what, all[i]) == 0)
			return true;
	return false;
}

/* Do @what with the open vault; @operand where it takes one. */
static int work(struct context *ctx, const struct args *a, const char *what,
		const char *operand, struct vault **v)
{
	int r;

	if (!strcmp(what, "rotate"))
		return key_rotate(ctx, *v, &a->with_key_files,
				  &a->with_password_files, a->kdf_cost);
	if (!strcmp(what, "add"))
		return key_add(ctx, a, *v);
	if (!strcmp(what, "list"))
		return key_list(ctx, *v);
	if (!strcmp(what, "passwd"))
		return key_passwd(ctx, a, v);
	if (!strcmp(what, "demand"))
		return key_demand(ctx, *v);
	if (is_of_signer(what))
		return key_trust(ctx, *v, operand, a->machine,
				 !strcmp(what, "revoke"));
	r = vault_key_remove(*v, operand);
	return r < 0 ? r : report_result(ctx, "removed", operand);
}

/* What is said of a key that adds points and reads none. */
static int check_put_only(const struct context *ctx, const struct args *a,
			  const char *what)
{
	if (a->put_only && strcmp(what, "add") != 0)
		return context_usage(ctx, "--put-only is for key add");
	if (a->any_machine && !a->put_only)
		return context_usage(ctx, "--any-machine is for --put-only");
	if (!a->put_only)
		return 0;
	if (!a->machine == !a->any_machine)
		return context_usage(ctx, "whose points may the key add? say"
					  " --machine VM or --any-machine");
	if (a->machine && !point_name_ok(a->machine))
		return context_usage(ctx, "\"%s\" cannot name a machine",
				     a->machine);
	return 0;
}

static int run_key(struct context *ctx, void *args, int argc, char **argv)
{
	const char *what = argc ? argv[0] : "";
	struct args *a = args;
	struct vault *v = NULL;
	bool takes_operand;
	int r;

	if (!strcmp(what, "sign-new"))
		return argc == 1 ? key_sign_new(ctx)
				 : context_usage(ctx, "too many operands");
	/* These work on sealed objects and need no password. */
	if (!strcmp(what, "export") || !strcmp(what, "import"))
		return key_export(ctx, argc, argv);
	takes_operand = !strcmp(what, "remove") || is_of_signer(what);
	if (!is_known(what))
		return context_usage(ctx,
				     "say key add, list, remove, passwd,"
				     " rotate, export, import, sign-new, trust,"
				     " revoke or demand");
	if (argc != (takes_operand ? 2 : 1))
		return takes_operand
			       ? context_usage(ctx, "which key? say key %s ID",
					       what)
			       : context_usage(ctx, "too many operands");
	if (a->kdf_cost && (a->kdf_cost < 14 || a->kdf_cost > 21))
		return context_usage(ctx, "--kdf-cost: from 14 to 21");
	r = check_put_only(ctx, a, what);
	if (r < 0)
		return r;
	r = open_vault(ctx, what, &v);
	if (r < 0) {
		vault_close(v);
		return r;
	}
	r = work(ctx, a, what, argv[1], &v);
	context_forget_credential(ctx);
	vault_close(v);
	return r;
}

const struct command cmd_key = {
	.name = "key",
	.operands = "WHAT [ID|FILE]",
	.summary = "manage the passwords and key files that open the vault",
	.help = "WHAT is add, list, passwd, remove, rotate, export, import,"
		" sign-new, trust, revoke or demand."
		" A vault opens with any of its keys. passwd replaces the one"
		" that is used. export writes a copy of all key slots, still"
		" sealed, to FILE; import puts back those that the vault has"
		" lost. remove takes the first digits of an ID. Removing a"
		" key does not help against someone who used it: rotate"
		" makes new keys for what is written from then on, which only"
		" the keys that are given to it, and those that are added"
		" later, open. add --put-only makes a key with which a"
		" machine makes its points and reads nothing of the vault."
		" sign-new makes the key with which this machine"
		" signs its points. trust remembers here that a signing key may"
		" sign for a machine, revoke that it may not any more. demand lets no point of"
		" the vault count that is not signed by one who may.",
	.words = "add list remove passwd rotate export import sign-new trust"
		 " revoke demand",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_key,
};
