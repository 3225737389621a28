/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/secret.h"

#define KEY_LEN 32

/* Make the name durable too. */
static int sync_folder(struct seam *seam, const char *path)
{
	char *copy = strdup(path);
	int fd, r;

	if (!copy)
		return -ENOMEM;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : seam->ops->fsync(seam, fd);
	if (fd >= 0)
		close(fd);
	free(copy);
	return r;
}

int keyfile_make(struct seam *seam, const char *path, const struct secret **out)
{
	struct secret *key = secret_new(KEY_LEN);
	int fd, r;

	*out = NULL;
	if (!key)
		return -ENOMEM;
	fd = seam->ops->openat(seam, AT_FDCWD, path,
			       O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0) {
		secret_free(key);
		if (fd == -EEXIST)
			return fail(fd, "%s exists; a new key needs a new file",
				    path);
		return fail(fd, "%s: cannot make it: %s", path, strerror(-fd));
	}
	r = seam->ops->random(seam, key->data, key->len);
	if (r == 0)
		r = seam_pwrite_all(seam, fd, key->data, key->len, 0);
	if (r == 0)
		r = seam->ops->fsync(seam, fd);
	seam->ops->close(seam, fd);
	if (r == 0)
		r = sync_folder(seam, path);
	if (r < 0) {
		secret_free(key);
		seam->ops->unlinkat(seam, AT_FDCWD, path, 0);
		return fail(r, "%s: cannot write the key: %s", path,
			    strerror(-r));
	}
	*out = key;
	return 0;
}
