/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/keys/key_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/context.h"
#include "src/cli/keyfile.h"
#include "src/cli/output.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/sign.h"
#include "store/history/signer.h"

static int print_made(struct context *ctx, const char *path,
		      const uint8_t *seed)
{
	uint8_t key[SIGN_KEY_LEN];
	char hex[2 * SIGN_KEY_LEN + 1];
	int r = sign_public(seed, key);
	json_t *o;

	if (r < 0)
		return fail(r, "%s: OpenSSL makes no Ed25519 key of it", path);
	hex_encode(key, sizeof(key), hex);
	if (!ctx->json) {
		printf("signing key %s\n", hex);
		return output_error();
	}
	o = output_message("summary");
	output_set_string(o, "action", "made");
	output_set_string(o, "signer", hex);
	output_set_string(o, "file", path);
	return output_json(o);
}

/* Make the directories above @path, an absolute one. */
static int make_dirs(struct seam *seam, char *path)
{
	char *at;
	int r = 0;

	for (at = strchr(path + 1, '/'); at && r == 0;
	     at = strchr(at + 1, '/')) {
		*at = '\0';
		r = seam->ops->mkdirat(seam, AT_FDCWD, path, 0700);
		*at = '/';
		r = r == -EEXIST ? 0 : r;
	}
	return r;
}

int key_sign_new(struct context *ctx)
{
	struct seam *seam = ctx->seam;
	const struct secret *seed = NULL;
	AUTO_FREE char *path = NULL;
	const char *dir;
	int r = context_state_dir(ctx, &dir);

	if (r < 0)
		return r;
	if (!dir)
		return fail(-ENOENT, "there is no place for a signing key: set "
				     "VMBACKUP_STATE_DIR");
	if (asprintf(&path, "%s/" SIGNER_FILE, dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	r = make_dirs(seam, path);
	if (r < 0)
		return fail(r, "%s: %s", dir, strerror(-r));
	r = keyfile_make(seam, path, &seed);
	if (r == 0)
		r = print_made(ctx, path, seed->data);
	secret_free((struct secret *)seed);
	return r;
}
