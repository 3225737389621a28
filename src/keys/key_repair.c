/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/keys/key_repair.h"

#include <errno.h>
#include <jansson.h>
#include <sys/stat.h>

#include "src/cli/context.h"
#include "src/cli/from.h"
#include "src/cli/signals.h"
#include "src/keys/key_copy.h"
#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/log.h"
#include "store/repair/repair.h"
#include "store/vault.h"

static int put_object(void *arg, const char *name, const uint8_t *data,
		      size_t len)
{
	int r = backend_put(arg, name, data, len);

	/* One that stands there twice is as it was the first time. */
	return r == -EEXIST ? 0 : r;
}

/* A vault that has nothing but what opens it: it is read as any other. */
static int load_file(const char *path, struct backend **out)
{
	json_error_t error;
	json_t *document = json_load_file(path, 0, &error);
	int r;

	*out = NULL;
	if (!document)
		return fail(-EINVAL, "%s: %s", path, error.text);
	*out = backend_mem_new();
	r = *out ? key_copy_read(document, path, put_object, *out) : -ENOMEM;
	json_decref(document);
	return r;
}

static bool is_file(const char *from)
{
	struct stat st;

	return stat(from, &st) == 0 && S_ISREG(st.st_mode);
}

/* @keys: what a file holds; NULL: @from is a vault. */
static int open_from(struct context *ctx, const char *from,
		     const struct from_args *a, struct backend *keys,
		     struct vault **out)
{
	struct vault_options o = { .url = from,
				   .seam = ctx->seam,
				   .stop = signals_stop(),
				   .backend = keys,
				   .index_later = true };

	if (from_is_given(a))
		return from_open(ctx, from, a,
				 "password for what to take from: ", &o, out);
	o.ask = context_credential;
	o.ask_arg = ctx;
	return vault_open(&o, out);
}

int key_repair_from(struct context *ctx, const char *from,
		    const struct from_args *a, const struct repair_options *o,
		    struct repair_result *out)
{
	struct backend *keys = NULL, *b = NULL;
	struct vault *known = NULL;
	int r = is_file(from) ? load_file(from, &keys) : 0;

	if (r == 0)
		r = open_from(ctx, from, a, keys, &known);
	if (r == 0)
		r = context_open_backend(ctx, &b);
	if (r == 0)
		r = repair_keys_from(b, known, o, out);
	vault_close(known);
	backend_close(keys);
	backend_close(b);
	return r;
}
