/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/keys/key_rotate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/context.h"
#include "src/cli/credentials.h"
#include "src/cli/output.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/epoch/rotate.h"
#include "store/vault.h"

struct others {
	struct credential *items; /* owned, and what is in them */
	size_t n;
};

static void release_others(struct others *o)
{
	while (o->n > 0)
		credentials_release(&o->items[--o->n]);
	free(o->items);
}

static int load_others(const struct string_list *key_files,
		       const struct string_list *password_files,
		       struct others *out)
{
	size_t i;
	int r = 0;

	out->items = alloc_array(key_files->n + password_files->n + 1,
				 sizeof(*out->items));
	if (!out->items)
		return -ENOMEM;
	for (i = 0; i < key_files->n + password_files->n && r == 0; i++) {
		struct credential_source source = { .no_prompt = true };

		if (i < key_files->n)
			source.key_file = key_files->items[i];
		else
			source.password_file =
				password_files->items[i - key_files->n];
		memset(&out->items[i], 0, sizeof(out->items[i]));
		r = credentials_load(&source, &out->items[i]);
		out->n += r == 0;
	}
	return r;
}

static int rotate(struct context *ctx, struct vault *v,
		  const struct others *others, unsigned int log_n,
		  uint32_t *epoch_out)
{
	struct credential own = { NULL, NULL };
	struct rotate_key *keys = alloc_array(others->n + 1, sizeof(*keys));
	size_t i;
	int r = keys ? context_credential(ctx, &own) : -ENOMEM;

	if (r == 0) {
		memset(keys, 0, (others->n + 1) * sizeof(*keys));
		keys[0].credential = &own;
		for (i = 0; i < others->n; i++)
			keys[i + 1].credential = &others->items[i];
		r = rotate_run(v, keys, others->n + 1, log_n, epoch_out);
	}
	free(keys);
	return r;
}

/* Some other key may be needed by a machine that backs up tonight. */
static int say_which(struct context *ctx, struct vault *v, uint32_t epoch)
{
	struct key_info *keys = NULL;
	json_t *o = output_message("summary"), *old = json_array();
	size_t n = 0, i;
	int r = vault_key_list(v, &keys, &n);

	if (r == 0 && !ctx->json)
		printf("what is written from now on has keys of epoch %u\n",
		       epoch);
	for (i = 0; i < n; i++) {
		if (r == 0 && keys[i].epoch < epoch &&
		    (!strcmp(keys[i].kind, "passphrase") ||
		     !strcmp(keys[i].kind, "keyfile"))) {
			json_array_append_new(old, json_string(keys[i].slot));
			if (!ctx->json)
				printf("key %.8s opens only what was written "
				       "before: add it again with \"vmbackup "
				       "key add\", or remove it\n",
				       keys[i].slot);
		}
		free(keys[i].label);
	}
	free(keys);
	output_set_string(o, "action", "rotated");
	output_set_uint(o, "epoch", epoch);
	json_object_set_new(o, "old_keys", old);
	if (r == 0 && ctx->json)
		return output_json(o);
	json_decref(o);
	return r < 0 ? r : output_error();
}

int key_rotate(struct context *ctx, struct vault *v,
	       const struct string_list *key_files,
	       const struct string_list *password_files, unsigned int log_n)
{
	struct others others = { .n = 0 };
	uint32_t epoch = 0;
	int r = load_others(key_files, password_files, &others);

	if (r == 0)
		r = rotate(ctx, v, &others, log_n, &epoch);
	release_others(&others);
	return r < 0 ? r : say_which(ctx, v, epoch);
}
