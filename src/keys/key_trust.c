/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/keys/key_trust.h"

#include <errno.h>
#include <stdio.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/history/trust.h"
#include "store/point.h"

static int report_trust(struct context *ctx, const char *key,
			const char *machine, bool revoke)
{
	json_t *o;

	if (!ctx->json) {
		if (revoke)
			printf("signing key %s revoked\n", key);
		else
			printf("signing key %s may sign for %s\n", key,
			       machine ? machine : "all machines");
		return output_error();
	}
	o = output_message("summary");
	output_set_string(o, "action", revoke ? "revoked" : "trusted");
	output_set_string(o, "signer", key);
	if (machine)
		output_set_string(o, "machine", machine);
	return output_json(o);
}

int key_trust(struct context *ctx, struct vault *v, const char *key,
	      const char *machine, bool revoke)
{
	struct point_list *l = NULL;
	uint8_t raw[SIGN_KEY_LEN];
	int r;

	if (!trust_parse_key(key, raw))
		return context_usage(
			ctx,
			"\"%s\" is no signing key: it has %d "
			"digits, as \"vmbackup points --json\" and "
			"\"vmbackup key sign-new\" tell it",
			key, TRUST_KEY_HEX);
	if (machine && !point_name_ok(machine))
		return context_usage(ctx, "--machine: no name of a machine");
	/* What was signed before stays as good as it was. */
	r = revoke ? vault_points(v, &l) : 0;
	if (r == 0)
		r = vault_trust(v, raw, machine, revoke);
	point_list_put(l);
	return r < 0 ? r : report_trust(ctx, key, machine, revoke);
}

/* Whoever demands what he himself does not do locks himself out. */
static int may_demand(struct vault *v)
{
	struct secret *seed = NULL;
	int r = vault_signing_key(v, &seed);

	if (r == 0 && !seed)
		r = fail(-ENOKEY,
			 "this machine has no signing key, so it could "
			 "make no more points: see vmbackup key "
			 "sign-new");
	secret_free(seed);
	return r;
}

static int report_demand(struct context *ctx, const struct point_list *l)
{
	json_t *o;

	if (!ctx->json) {
		printf("the points of this vault have to be signed: %zu count, "
		       "%zu do not\n",
		       l->n, l->nuntrusted);
		return output_error();
	}
	o = output_message("summary");
	output_set_string(o, "action", "demanded");
	output_set_uint(o, "points", l->n);
	output_set_uint(o, "points_untrusted", l->nuntrusted);
	return output_json(o);
}

int key_demand(struct context *ctx, struct vault *v)
{
	struct point_list *l = NULL;
	int r = may_demand(v);

	if (r == 0)
		r = vault_demand_signatures(v);
	if (r == 0)
		r = vault_points(v, &l);
	if (r == 0)
		r = report_demand(ctx, l);
	point_list_put(l);
	return r;
}

static const char *const words[] = {
	[TRUST_FIRST] = "first",       [TRUST_GIVEN] = "trusted",
	[TRUST_GIVEN_ALL] = "trusted", [TRUST_TAKEN] = "revoked",
	[TRUST_KEPT] = "kept",	       [TRUST_DEMANDED] = "demanded",
};

static int print_rows(void *arg, const struct trust *t)
{
	struct table *table = arg;
	char hex[TRUST_KEY_HEX + 1];
	size_t i;

	for (i = 0; i < t->n; i++) {
		const struct trust_row *row = &t->rows[i];

		if (row->kind == TRUST_DEMANDED || row->kind == TRUST_KEPT)
			continue;
		hex_encode(row->key, sizeof(row->key), hex);
		table_cell(table, "%s", hex);
		table_cell(table, "%s", words[row->kind]);
		table_cell(table, "%s",
			   row->machine		      ? row->machine
			   : row->kind == TRUST_TAKEN ? ""
						      : "(all machines)");
	}
	return t->n > 0;
}

int key_trust_print(struct vault *v)
{
	struct table *t = table_new(3, 0);
	int r;

	if (!t)
		return -ENOMEM;
	table_cell(t, "Signing key");
	table_cell(t, "Trust");
	table_cell(t, "Machine");
	table_line(t);
	r = vault_each_signer(v, print_rows, t);
	if (r > 0) {
		printf("\n");
		r = table_print(t);
	}
	table_free(t);
	return r;
}

static int append_rows(void *arg, const struct trust *t)
{
	char hex[TRUST_KEY_HEX + 1];
	size_t i;

	for (i = 0; i < t->n; i++) {
		const struct trust_row *row = &t->rows[i];
		json_t *o;

		if (row->kind == TRUST_DEMANDED || row->kind == TRUST_KEPT)
			continue;
		o = json_object();
		hex_encode(row->key, sizeof(row->key), hex);
		output_set_string(o, "kind", "signer");
		output_set_string(o, "signer", hex);
		output_set_string(o, "trust", words[row->kind]);
		if (row->machine)
			output_set_string(o, "machine", row->machine);
		json_array_append_new(arg, o);
	}
	return 0;
}

int key_trust_json(struct vault *v, json_t *array)
{
	return vault_each_signer(v, append_rows, array);
}
