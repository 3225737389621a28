/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the programs share: the vault at hand, and exit codes. */
#include "config.h"

#include "src/cli/context.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/view.h"
#include "src/cli/credentials.h"
#include "src/cli/luks_keys.h"
#include "src/cli/signals.h"
#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/history/trust.h"
#include "store/point.h"

int context_usage(const struct context *ctx, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return fail(-EINVAL, "%s; see: vmbackup help%s%s", text,
		    ctx->verb ? " " : "", ctx->verb ? ctx->verb : "");
}

int context_exit_code(int r)
{
	if (r >= 0)
		return r;
	switch (-r) {
	case EINVAL:
		return EXIT_CODE_USAGE;
	case ENOMEDIUM:
		return EXIT_CODE_NO_VAULT;
	case ECANCELED:
		return EXIT_CODE_LOCKED;
	case EKEYREJECTED:
	case ENOKEY:
		return EXIT_CODE_KEY;
	case EBADMSG:
		return EXIT_CODE_DAMAGE;
	case EAGAIN:
	case ETIMEDOUT:
	case ECONNREFUSED:
	case ECONNRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return EXIT_CODE_UNREACHABLE;
	case ENOSPC:
	case EDQUOT:
		return EXIT_CODE_NO_SPACE;
	case EOPNOTSUPP:
		return EXIT_CODE_VERSION;
	case EREMCHG:
		return EXIT_CODE_ROLLBACK;
	case EINTR:
		return EXIT_CODE_INTERRUPTED;
	}
	return EXIT_CODE_FAILED;
}

/* The first line of a file, as a vault's place. */
static int url_from_file(const char *path, char **out)
{
	FILE *f = fopen(path, "re");
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;

	if (!f)
		return fail(-EINVAL, "%s: cannot read where the vault is: %s",
			    path, strerror(errno));
	n = getline(&line, &cap, f);
	fclose(f);
	while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r'))
		line[--n] = 0;
	if (n <= 0) {
		free(line);
		return fail(-EINVAL,
			    "%s: the first line is empty; it should"
			    " say where the vault is",
			    path);
	}
	*out = line;
	return 0;
}

static const char *variable(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int context_vault_url(struct context *ctx, const char **out)
{
	const char *url = ctx->repository, *file = ctx->repository_file;
	int r;

	*out = NULL;
	if (ctx->url) {
		*out = ctx->url;
		return 0;
	}
	if (url && file)
		return context_usage(ctx, "--repo and --repository-file exclude"
					  " each other");
	if (!url && !file)
		url = variable("VMBACKUP_REPOSITORY");
	if (!url && !file)
		file = variable("VMBACKUP_REPOSITORY_FILE");
	if (url) {
		ctx->url = strdup(url);
		r = ctx->url ? 0 : -ENOMEM;
	} else if (file) {
		r = url_from_file(file, &ctx->url);
	} else {
		return context_usage(ctx,
				     "which vault? give --repo VAULT or set"
				     " VMBACKUP_REPOSITORY");
	}
	if (r < 0)
		return r;
	if (!*ctx->url)
		return context_usage(ctx, "the vault's name is empty");
	*out = ctx->url;
	return 0;
}

int context_cache_dir(struct context *ctx, const char **out)
{
	const char *dir = ctx->cache_dir, *home;
	int n;

	*out = NULL;
	if (ctx->no_cache)
		return 0;
	if (ctx->cache) {
		*out = ctx->cache;
		return 0;
	}
	if (!dir)
		dir = variable("VMBACKUP_CACHE_DIR");
	if (dir) {
		n = asprintf(&ctx->cache, "%s", dir);
	} else if ((dir = variable("XDG_CACHE_HOME")) && *dir == '/') {
		n = asprintf(&ctx->cache, "%s/vmbackup", dir);
	} else {
		home = variable("HOME");
		if (!home) {
			log_info("no home directory: the cache is not kept");
			return 0;
		}
		n = asprintf(&ctx->cache, "%s/.cache/vmbackup", home);
	}
	if (n < 0) {
		ctx->cache = NULL;
		return -ENOMEM;
	}
	*out = ctx->cache;
	return 0;
}

/* The caches may be deleted at any time; this is another place. */
int context_state_dir(struct context *ctx, const char **out)
{
	const char *dir = variable("VMBACKUP_STATE_DIR"), *home;
	AUTO_FREE char *here = NULL;
	int n;

	*out = ctx->state;
	if (ctx->state)
		return 0;
	if (dir && *dir != '/') {
		/* Daemons leave this directory. */
		here = realpath(".", NULL);
		if (!here)
			return fail(-errno, "this directory: %s",
				    strerror(errno));
		n = asprintf(&ctx->state, "%s/%s", here, dir);
	} else if (dir) {
		n = asprintf(&ctx->state, "%s", dir);
	} else if (geteuid() == 0) {
		n = asprintf(&ctx->state, "/var/lib/vmbackupfs");
	} else if ((dir = variable("XDG_STATE_HOME")) && *dir == '/') {
		n = asprintf(&ctx->state, "%s/vmbackupfs", dir);
	} else {
		home = variable("HOME");
		if (!home) {
			log_info("no home directory: it is not remembered what "
				 "was seen of the vault");
			return 0;
		}
		n = asprintf(&ctx->state, "%s/.local/state/vmbackupfs", home);
	}
	if (n < 0) {
		ctx->state = NULL;
		return -ENOMEM;
	}
	*out = ctx->state;
	return 0;
}

static int load_credential(struct context *ctx, struct credential *out)
{
	struct credential_source source = {
		.password_file = ctx->password_file,
		.password_command = ctx->password_command,
		.key_file = ctx->key_file,
	};
	int r = credentials_load(&source, out);

	switch (r) {
	case 0:
	case -EINTR:
	case -ENOMEM:
		return r;
	}
	return -ENOKEY; /* what should give it did not */
}

int context_credential(void *arg, struct credential *out)
{
	struct context *ctx = arg;
	int r = 0;

	if (!ctx->credential.passphrase && !ctx->credential.keyfile)
		r = load_credential(ctx, &ctx->credential);
	*out = ctx->credential;
	return r;
}

void context_forget_credential(struct context *ctx)
{
	credentials_release(&ctx->credential);
}

int context_open_backend(struct context *ctx, struct backend **out)
{
	struct backend_options o = { .seam = ctx->seam,
				     .stop = signals_stop() };
	const char *url;
	int r = context_vault_url(ctx, &url);

	*out = NULL;
	if (r == 0)
		r = backend_open(url, &o, out);
	return r == -ENOENT || r == -ENOTDIR ? -ENOMEDIUM : r;
}

/* Signers that are trusted this once. */
static int give_trusted(const struct context *ctx, struct vault *v)
{
	uint8_t key[SIGN_KEY_LEN];
	size_t i;
	int r = 0;

	for (i = 0; i < ctx->trusted.n && r == 0; i++)
		r = trust_parse_key(ctx->trusted.items[i], key)
			    ? vault_trust_now(v, key)
			    : context_usage(ctx,
					    "trust: \"%s\" is no signing key",
					    ctx->trusted.items[i]);
	return r;
}

int context_open_vault_with(struct context *ctx, struct vault_options *o,
			    struct vault **out)
{
	int r;

	*out = NULL;
	o->seam = ctx->seam;
	o->stop = signals_stop();
	o->no_verify |= ctx->no_verify;
	if (!o->ask) {
		o->ask = context_credential;
		o->ask_arg = ctx;
	}
	r = context_vault_url(ctx, &o->url);
	if (r == 0)
		r = context_cache_dir(ctx, &o->cache_dir);
	if (r == 0)
		r = context_state_dir(ctx, &o->state_dir);
	if (r == 0)
		r = vault_open(o, out);
	if (r == 0 && ctx->forgotten)
		vault_show_forgotten(*out);
	if (r == 0 && ctx->untrusted)
		vault_show_untrusted(*out);
	if (r == 0) {
		r = give_trusted(ctx, *out);
		if (r < 0) {
			vault_close(*out);
			*out = NULL;
		}
	}
	return r == -ENOENT ? -ENOMEDIUM : r;
}

int context_open_vault(struct context *ctx, struct vault **out)
{
	struct vault_options o = { .url = NULL };
	int r = context_open_vault_with(ctx, &o, out);

	context_forget_credential(ctx);
	return r;
}

int context_open_vault_only(struct context *ctx, struct vault **out)
{
	struct vault_options o = { .index_later = true };
	int r = context_open_vault_with(ctx, &o, out);

	context_forget_credential(ctx);
	return r;
}

int context_open_vault_to_add(struct context *ctx, struct vault **out)
{
	struct vault_options o = { .index_later = true, .only_adds = true };
	int r = context_open_vault_with(ctx, &o, out);

	context_forget_credential(ctx);
	return r;
}

int context_open_view(struct context *ctx, struct vault **v_out,
		      struct view **out)
{
	int r;

	*out = NULL;
	r = context_open_vault(ctx, v_out);
	if (r < 0)
		return r;
	r = view_new(*v_out, out);
	if (r == 0) {
		r = luks_keys_give(*out, ctx->luks_key_files.items,
				   ctx->luks_key_files.n);
		if (r < 0) {
			view_free(*out);
			*out = NULL;
		}
	}
	if (r < 0) {
		r = context_read_error(*v_out, r);
		vault_close(*v_out);
		*v_out = NULL;
	}
	return r;
}

int context_read_error(struct vault *v, int r)
{
	struct vault_stats stats;
	char *const *folders;
	size_t i;

	/* Points that are not seen are not to be taken for none. */
	for (i = vault_missing_folders(v, &folders); i > 0; i--)
		if ((r == 0 || r == -ENOENT) &&
		    strcmp(folders[i - 1], "commit") == 0)
			return EXIT_CODE_DAMAGE;
	/* What was done was done with another point than was meant, maybe. */
	if (r == 0 && vault_latest_in_doubt(v))
		return EXIT_CODE_DAMAGE;
	if (r != -EIO)
		return r;
	vault_get_stats(v, &stats);
	return stats.damage ? -EBADMSG : r;
}
