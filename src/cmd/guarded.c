/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cmd/guarded.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/context.h"
#include "src/restore/guard.h"
#include "store/backend/backend.h"
#include "store/base/log.h"

#define SECRET "a file with a key or password that is in use"

static int add_file(struct guard *g, const char *path)
{
	/* "-" is standard input. */
	return path && *path && strcmp(path, "-") != 0
		       ? guard_add(g, path, SECRET)
		       : 0;
}

/* What stands on the command line, and what the environment names: what of it
 * counts this time may be otherwise the next time. */
static int add_secrets(struct context *ctx, struct guard *g)
{
	static const char *const variables[] = { "VMBACKUP_KEY_FILE",
						 "VMBACKUP_PASSWORD_FILE",
						 "VMBACKUP_NEW_KEY_FILE",
						 "VMBACKUP_NEW_PASSWORD_FILE",
						 "VMBACKUP_LUKS_KEY_FILE" };
	size_t i;
	int r = add_file(g, ctx->key_file);

	if (r == 0)
		r = add_file(g, ctx->password_file);
	for (i = 0; i < ARRAY_SIZE(variables) && r == 0; i++)
		r = add_file(g, getenv(variables[i]));
	for (i = 0; i < ctx->luks_key_files.n && r == 0; i++)
		r = add_file(g, ctx->luks_key_files.items[i]);
	return r;
}

/* Keys that systemd handed over. */
static int add_credentials(struct guard *g)
{
	static const char *const names[] = { "key", "password" };
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	size_t i;
	int r = 0;

	for (i = 0; dir && i < ARRAY_SIZE(names) && r == 0; i++) {
		AUTO_FREE char *path = NULL;

		if (asprintf(&path, "%s/vmbackup.%s", dir, names[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = add_file(g, path);
	}
	return r;
}

/* The file that says where the vault is. */
static int add_repository_file(struct context *ctx, struct guard *g)
{
	const char *file = ctx->repository_file;

	if (!file)
		file = getenv("VMBACKUP_REPOSITORY_FILE");
	return file && *file ? guard_add(g, file,
					 "the file that says where the vault "
					 "is")
			     : 0;
}

int guarded_add(struct context *ctx, struct guard *g)
{
	const char *url, *path, *cache = NULL;
	int r = context_vault_url(ctx, &url);

	if (r < 0)
		return r;
	path = backend_path(url);
	r = path ? guard_add(g, path, "the vault") : 0;
	if (r == 0)
		r = context_cache_dir(ctx, &cache);
	if (r == 0 && cache)
		r = guard_add(g, cache, "the cache");
	if (r == 0)
		r = add_secrets(ctx, g);
	if (r == 0)
		r = add_repository_file(ctx, g);
	return r < 0 ? r : add_credentials(g);
}

int guarded_check(struct context *ctx, const char *path)
{
	struct guard *g = guard_new();
	const char *what = NULL;
	int r = g ? guarded_add(ctx, g) : -ENOMEM;

	if (r == 0)
		r = guard_find_file(g, path, &what);
	guard_free(g);
	if (r == 0 && what)
		r = fail(-EBUSY,
			 "%s: it is, or lies in, %s: name another place", path,
			 what);
	return r;
}
