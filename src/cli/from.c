/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/from.h"

#include <errno.h>

#include "src/cli/context.h"
#include "src/cli/credentials.h"
#include "store/vault.h"

/* What opens it, while that is asked for. */
struct from {
	const struct from_args *args;
	const char *prompt;
	struct credential credential; /* owned */
};

bool from_is_given(const struct from_args *a)
{
	return a->key_file || a->password_file || a->password_command;
}

static int ask_from(void *arg, struct credential *out)
{
	struct from *from = arg;
	struct credential_source source = {
		.password_file = from->args->password_file,
		.password_command = from->args->password_command,
		.key_file = from->args->key_file,
		.env = "VMBACKUP_FROM_",
		.prompt = from->prompt,
		.remedy = "give --from-key-file, --from-password-file or"
			  " --from-password-command, or set"
			  " VMBACKUP_FROM_PASSWORD_FILE",
	};
	int r = credentials_load(&source, &from->credential);

	*out = from->credential;
	return r < 0 && r != -EINTR && r != -ENOMEM ? -ENOKEY : r;
}

int from_open(struct context *ctx, const char *url, const struct from_args *a,
	      const char *prompt, const struct vault_options *o,
	      struct vault **out)
{
	struct from from = { .args = a, .prompt = prompt };
	struct vault_options own = *o;
	int r;

	own.url = url;
	own.seam = ctx->seam;
	own.ask = ask_from;
	own.ask_arg = &from;
	r = vault_open(&own, out);
	credentials_release(&from.credential);
	return r == -ENOENT ? -ENOMEDIUM : r;
}
