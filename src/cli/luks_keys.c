/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/luks_keys.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view.h"
#include "src/cli/credentials.h"
#include "store/base/log.h"
#include "store/base/secret.h"

#define VARIABLE "VMBACKUP_LUKS_KEY_FILE"

struct luks_files {
	struct secret **keys; /* owned, each too; two for each file at most */
	size_t n;
};

static void luks_files_release(struct luks_files *l)
{
	while (l->n > 0)
		secret_free(l->keys[--l->n]);
	free(l->keys);
}

static int add_file(struct luks_files *l, const char *path)
{
	struct secret *whole, *line;
	int r = credentials_read_file(path, LUKS_KEY_MAX, &whole);

	if (r < 0)
		return r;
	l->keys[l->n++] = whole;
	if (whole->len == 0)
		return fail(-EINVAL, "%s: a key file that is empty", path);
	if (whole->data[whole->len - 1] != '\n' || whole->len == 1)
		return 0;
	line = secret_new(whole->len - 1);
	if (!line)
		return -ENOMEM;
	memcpy(line->data, whole->data, line->len);
	l->keys[l->n++] = line;
	return 0;
}

int luks_keys_give(struct view *w, const char *const *paths, size_t n)
{
	CLEANUP(luks_files_release) struct luks_files l = { .keys = NULL };
	const char *more = getenv(VARIABLE);
	size_t i;
	int r = 0;

	if (more && !*more)
		more = NULL;
	if (n == 0 && !more)
		return 0;
	l.keys = alloc_array(2 * n + 2, sizeof(struct secret *));
	if (!l.keys)
		return -ENOMEM;
	for (i = 0; i < n && r == 0; i++)
		r = add_file(&l, paths[i]);
	if (r == 0 && more)
		r = add_file(&l, more);
	return r < 0 ? r : view_set_luks_keys(w, l.keys, l.n);
}
