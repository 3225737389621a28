/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a program was told: which vault, which key, which cache, in which form
 * it speaks. main fills a context from the command line, the environment adds
 * what is missing, and context_open_vault() makes a vault of it. The verbs,
 * the mount helper and nbdkit's plugin share it.
 *
 * A call returns 0 or a negative errno that has been said in words and that
 * context_exit_code() turns into the exit code. All usage errors are -EINVAL,
 * said in words with context_usage().
 */
#ifndef SRC_CLI_CONTEXT_H
#define SRC_CLI_CONTEXT_H

#include "src/cli/options.h"
#include "store/base/attrs.h"
#include "store/vault.h"

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct seam;
struct vault;
struct view;

/* An unknown code means failure. */
enum exit_code {
	EXIT_CODE_OK = 0,
	EXIT_CODE_FAILED = 1,
	EXIT_CODE_USAGE = 2, /* command line, environment */
	EXIT_CODE_PARTIAL = 3, /* done, but some source data was unreadable,
				* or some of it was not restored or removed */
	EXIT_CODE_NO_VAULT = 10,
	EXIT_CODE_LOCKED = 11, /* fenced by a collector */
	EXIT_CODE_KEY = 12, /* wrong password or key, or none at hand */
	EXIT_CODE_DAMAGE = 13,
	EXIT_CODE_UNREACHABLE = 14,
	EXIT_CODE_NO_SPACE = 15,
	EXIT_CODE_VERSION = 16, /* a format that is newer than this program */
	EXIT_CODE_ROLLBACK = 17, /* the vault lacks what was seen in it */
	EXIT_CODE_INTERRUPTED = 130,
};

/* What a program gets from its command line. */
struct context {
	/* From the command line or the environment; borrowed, may be NULL. */
	const char *repository;
	const char *repository_file;
	const char *password_file;
	const char *password_command;
	const char *key_file;
	const char *cache_dir;
	struct string_list luks_key_files;
	struct string_list trusted; /* signing keys, 64 digits each */
	bool no_cache;
	bool forgotten; /* points that were forgotten are listed, too */
	bool untrusted; /* and such as lack a signature that is demanded */
	bool no_verify; /* chunks are taken as they are */
	bool no_lock; /* accepted: readers take no locks */
	bool json;
	bool no_color;
	unsigned int quiet;
	unsigned int verbose;
	bool version;

	const char *verb; /* for the messages; NULL: none */
	struct seam *seam;
	char *url; /* owned; see context_vault_url() */
	char *cache; /* owned; see context_cache_dir() */
	char *state; /* owned; see context_state_dir() */
	/* what opened the vault; owned, see context_credential() */
	struct credential credential;
};

/* Say what is wrong with the command line and where help is; -EINVAL. */
PRINTF(2, 3)
int context_usage(const struct context *ctx, const char *fmt, ...);
/* The exit code of a verb's return value. */
int context_exit_code(int r);

/*
 * Where the vault is: --repo, --repository-file, the environment.
 * Return 0, or -EINVAL, said in words. @out is owned by @ctx.
 */
MUST_CHECK int context_vault_url(struct context *ctx, const char **out);
/* The folder that holds the caches of vaults, or NULL (none is wanted, or
 * there is no home); owned by @ctx. Return 0 or -ENOMEM. */
MUST_CHECK int context_cache_dir(struct context *ctx, const char **out);
/* The directory, by its whole path, where it is remembered what was seen of
 * vaults, or NULL (there is no home); owned by @ctx. Return 0 or a negative
 * errno, said in words. */
MUST_CHECK int context_state_dir(struct context *ctx, const char **out);
/*
 * The credential that the command line, the environment or a person at the
 * terminal gives, as vault_options' ask; @ctx is a struct context. It is loaded
 * once and kept until context_forget_credential(). Return 0; -ENOKEY (there is
 * none, or what should give it did not), -EINTR or -ENOMEM; said in words.
 */
MUST_CHECK int context_credential(void *ctx, struct credential *out);
/* Wipe it. */
void context_forget_credential(struct context *ctx);
/* Open the place that the vault is in, and nothing of what is there. Return 0,
 * -ENOMEDIUM (there is no such place) or as backend_open(). */
MUST_CHECK int context_open_backend(struct context *ctx, struct backend **out);
/*
 * Open the vault as @o says, whose url, seam, stop, cache_dir, state_dir and, where it is not
 * set, ask are filled in. Then forget the credential, or have it once more from
 * context_credential(); also after an error. Errors are those of
 * context_open_vault().
 */
MUST_CHECK int context_open_vault_with(struct context *ctx,
				       struct vault_options *o,
				       struct vault **out);
/*
 * Find the credentials and open the vault. Close it with vault_close().
 * Return 0; -ENOMEDIUM (there is no vault); -EKEYREJECTED, -ENOKEY; or as
 * vault_open(); all said in words.
 */
MUST_CHECK int context_open_vault(struct context *ctx, struct vault **out);
/* The same, without its index, which is read when a chunk is looked for: for
 * verbs that may get on with points alone. */
MUST_CHECK int context_open_vault_only(struct context *ctx, struct vault **out);
/* The same again, for verbs that need not read points: a key that adds points and reads
 * none will do. */
MUST_CHECK int context_open_vault_to_add(struct context *ctx,
					 struct vault **out);
/* The same as context_open_vault(), and the namespace on it. Free the view, then close the vault. */
MUST_CHECK int context_open_view(struct context *ctx, struct vault **v_out,
				 struct view **out);
/*
 * What a read that returned @r should end as, so that the exit code says so: -EIO
 * becomes -EBADMSG where the vault met damage, and 0 becomes EXIT_CODE_DAMAGE where
 * a latest point was taken while others could not be read, or where the vault lacks
 * the folder that says which points there are. Others pass.
 */
int context_read_error(struct vault *v, int r);

#endif
