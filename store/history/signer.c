/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/history/signer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/crypt/sign.h"
#include "store/record/commit.h"

/* What is signed is told from whatever else somebody signs with such a key. */
#define LABEL "vmbackupfs/1/commit"

static int read_seed(int fd, const char *path, struct secret **out)
{
	struct secret *seed = NULL;
	struct stat st;
	int r = 0;

	if (fstat(fd, &st) < 0)
		return fail(-errno, "%s: %s", path, strerror(errno));
	if (st.st_mode & (S_IRWXG | S_IRWXO))
		return fail(-EPERM,
			    "%s: others may read this key, with which they can "
			    "sign points in this machine's name; run: chmod "
			    "600 %s",
			    path, path);
	seed = secret_new(SIGN_SEED_LEN);
	if (!seed)
		return -ENOMEM;
	if (!S_ISREG(st.st_mode) || st.st_size != SIGN_SEED_LEN ||
	    read(fd, seed->data, SIGN_SEED_LEN) != SIGN_SEED_LEN)
		r = fail(-EBADMSG,
			 "%s: damaged: this is no signing key; remove it, and "
			 "make a new one with: vmbackup key sign-new",
			 path);
	if (r < 0)
		secret_free(seed);
	else
		*out = seed;
	return r;
}

int signer_load(const char *dir, struct secret **out)
{
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;

	*out = NULL;
	if (asprintf(&path, "%s/" SIGNER_FILE, dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	/* Somebody else's directory, of which the history is not known either:
	 * whoever may not look into it has no key there. */
	if (fd < 0 && errno == EACCES &&
	    faccessat(AT_FDCWD, dir, X_OK, AT_EACCESS) < 0) {
		log_warn("%s: cannot be looked into: the point is not signed",
			 dir);
		return 0;
	}
	if (fd < 0)
		return fail(-errno, "%s: %s", path, strerror(errno));
	return read_seed(fd, path, out);
}

int signer_sign(const struct secret *seed, struct buf *plain)
{
	uint8_t key[SIGN_KEY_LEN], sig[SIGN_LEN];
	AUTO_BUF struct buf text = BUF_INIT;
	size_t len;
	int r;

	commit_signed_part(plain, &len);
	buf_put(&text, LABEL, strlen(LABEL));
	buf_put(&text, plain->data, len);
	r = buf_error(&text);
	if (r == 0)
		r = sign_public(seed->data, key);
	if (r == 0)
		r = sign_make(seed->data, text.data, text.len, sig);
	if (r == 0)
		commit_put_sig(plain, key, sig);
	return r == 0 ? buf_error(plain) : r;
}

int signer_verify(const uint8_t *key, const void *data, size_t signed_len,
		  const uint8_t *sig)
{
	AUTO_BUF struct buf text = BUF_INIT;
	int r;

	buf_put(&text, LABEL, strlen(LABEL));
	buf_put(&text, data, signed_len);
	r = buf_error(&text);
	return r < 0 ? r : sign_verify(key, text.data, text.len, sig);
}
