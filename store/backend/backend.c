/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table of schemes, and the wrappers that check names, ranges and answers
 * so that no backend has to, and none can get it wrong on its own.
 */
#include "config.h"

#include "store/backend/backend.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/azure.h"
#include "store/backend/internal.h"
#include "store/backend/s3.h"
#include "store/base/log.h"
#include "store/base/stop.h"

struct scheme {
	const char *name; /* what stands before the colon */
	int (*open)(const char *url, const char *rest,
		    const struct backend_options *o, bool create,
		    struct backend **out);
};

static const struct scheme schemes[] = {
	{ "", backend_dir_open }, /* a path */
	{ "file", backend_dir_open },
	{ "s3", backend_s3_open },
	{ "azure", backend_azure_open },
};

/* Length of the scheme that @url begins with; 0 for a path. */
static size_t scheme_len(const char *url)
{
	size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789+.-");

	return url[n] == ':' ? n : 0;
}

static int open_any(const char *url, const struct backend_options *o,
		    bool create, struct backend **out)
{
	size_t n = scheme_len(url);
	const char *rest = n > 0 ? url + n + 1 : url;
	size_t i;

	*out = NULL;
	if (!*rest)
		return fail(-EINVAL, "vault '%s': a directory is missing here",
			    url);
	for (i = 0; i < ARRAY_SIZE(schemes); i++)
		if (strlen(schemes[i].name) == n &&
		    strncmp(schemes[i].name, url, n) == 0)
			return schemes[i].open(url, rest, o, create, out);
	return fail(
		-EINVAL,
		"vault %s: no backend is called '%.*s'; for a directory of that name write ./%s",
		url, (int)n, url, url);
}

const char *backend_path(const char *url)
{
	size_t n = scheme_len(url);

	if (n == 0)
		return url;
	return n == 4 && strncmp(url, "file", 4) == 0 ? url + 5 : NULL;
}

int backend_open(const char *url, const struct backend_options *o,
		 struct backend **out)
{
	return open_any(url, o, false, out);
}

int backend_create(const char *url, const struct backend_options *o,
		   struct backend **out)
{
	int r = open_any(url, o, true, out);

	if (r < 0)
		return r;
	r = (*out)->ops->create(*out);
	if (r < 0) {
		backend_close(*out);
		*out = NULL;
	}
	return r;
}

bool backend_take_stamp(struct backend *b, const char *prefix,
			struct backend_stamp *out)
{
	memset(out, 0, sizeof(*out));
	return b->ops->stamp && b->ops->stamp(b, prefix, out);
}

int backend_missing_folders(struct backend *b,
			    int (*fn)(void *arg, const char *folder), void *arg)
{
	return b->ops->missing_folders ? b->ops->missing_folders(b, fn, arg)
				       : 0;
}

int backend_make_folders(struct backend *b)
{
	return b->ops->make_folders ? b->ops->make_folders(b) : 0;
}

void backend_close(struct backend *b)
{
	if (b)
		b->ops->close(b);
}

const char *backend_url(const struct backend *b)
{
	return b->url;
}

bool backend_error_is_of_object(int err)
{
	return err == -EBADMSG || err == -EIO || err == -EPERM;
}

/* What may stand in a name: 1 anywhere, 2 not where a part begins. */
static const uint8_t name_characters[256] = {
	['0' ... '9'] = 1, ['a' ... 'z'] = 1, ['-'] = 1,
	['_'] = 1,	   ['.'] = 2,	      ['/'] = 2,
};

bool backend_name_valid(const char *name)
{
	size_t i, len = strnlen(name, BACKEND_NAME_MAX + 1);

	if (len == 0 || len > BACKEND_NAME_MAX)
		return false;
	for (i = 0; i < len; i++) {
		uint8_t kind = name_characters[(uint8_t)name[i]];

		if (kind == 1)
			continue;
		/* A part is not empty, and no "..": none begins with a dot. */
		if (kind == 0 || i == 0 || name[i - 1] == '/')
			return false;
	}
	return name[len - 1] != '/';
}

static int check_name(const struct backend *b, const char *name)
{
	if (backend_name_valid(name))
		return 0;
	return fail(-EINVAL, "vault %s: '%s' cannot be an object's name",
		    b->url, name);
}

int backend_put(struct backend *b, const char *name, const void *data,
		size_t len)
{
	struct backend_trial t = backend_begin(b, "store", name);
	int r = check_name(b, name);

	if (r < 0)
		return r;
	do
		r = b->ops->put(b, &t.call, name, data, len);
	while (backend_try_again(&t, &r));
	assert(r <= 0);
	return r;
}

int backend_get(struct backend *b, const char *name, uint64_t off, void *data,
		size_t len)
{
	struct backend_trial t = backend_begin(b, "read", name);
	int r = check_name(b, name);

	if (r < 0)
		return r;
	if (off > INT64_MAX || len > INT64_MAX - off)
		return fail(-EINVAL,
			    "vault %s: object %s: no object has bytes %" PRIu64
			    " to %zu more",
			    b->url, name, off, len);
	do
		r = b->ops->get(b, &t.call, name, off, data, len);
	while (backend_try_again(&t, &r));
	assert(r <= 0);
	return r;
}

/* Is the object that is there already ours, byte for byte? */
static int compare(struct backend *b, const char *name, const void *data,
		   size_t len)
{
	AUTO_FREE uint8_t *there = NULL;
	struct backend_info info;
	size_t there_len = 0;
	int r = backend_head(b, name, &info);

	if (r == 0 && info.size == len)
		r = backend_get_all(b, name, len, &there, &there_len);
	if (r == -ENOENT)
		return fail(
			-EIO,
			"vault %s: %s was there already, and is gone; run it again",
			b->url, name);
	if (r < 0)
		return r;
	if (!there || there_len != len || memcmp(there, data, len) != 0)
		return fail(
			-EEXIST,
			"vault %s: %s is there already, and is not what was put; run it again",
			b->url, name);
	return 0;
}

int backend_put_own(struct backend *b, const char *name, const void *data,
		    size_t len)
{
	int r = backend_put(b, name, data, len);

	return r == -EEXIST ? compare(b, name, data, len) : r;
}

int backend_replace(struct backend *b, const char *name, const void *data,
		    size_t len)
{
	struct backend_trial t = backend_begin(b, "replace", name);
	int r = check_name(b, name);

	if (r == 0 && !b->ops->replace)
		r = fail(-EOPNOTSUPP,
			 "vault %s: %s cannot be replaced in such a store",
			 b->url, name);
	if (r < 0)
		return r;
	do
		r = b->ops->replace(b, &t.call, name, data, len);
	while (backend_try_again(&t, &r));
	assert(r <= 0);
	return r;
}

int backend_get_all(struct backend *b, const char *name, size_t max,
		    uint8_t **out, size_t *len_out)
{
	struct backend_trial t = backend_begin(b, "read", name);
	int r = check_name(b, name);

	*out = NULL;
	if (r < 0)
		return r;
	do
		r = b->ops->get_all(b, &t.call, name, max, out, len_out);
	while (backend_try_again(&t, &r));
	assert(r <= 0 && !*out == (r < 0));
	return r;
}

int backend_head(struct backend *b, const char *name,
		 struct backend_info *info_out)
{
	struct backend_trial t = backend_begin(b, "look at", name);
	int r = check_name(b, name);

	if (r < 0)
		return r;
	do
		r = b->ops->head(b, &t.call, name, info_out);
	while (backend_try_again(&t, &r));
	assert(r <= 0);
	return r;
}

int backend_sync(struct backend *b, const char *name)
{
	struct backend_trial t = backend_begin(b, "sync", name);
	int r = check_name(b, name);

	if (r < 0)
		return r;
	do
		r = b->ops->sync(b, &t.call, name);
	while (backend_try_again(&t, &r));
	assert(r <= 0);
	return r;
}

int backend_delete(struct backend *b, const char *name)
{
	struct backend_trial t = backend_begin(b, "delete", name);
	int r = check_name(b, name);

	if (r < 0)
		return r;
	do
		r = b->ops->delete (b, &t.call, name);
	while (backend_try_again(&t, &r));
	assert(r <= 0);
	/* It was there, and the first answer was lost on the way. */
	return r == -ENOENT && t.attempts > 0 ? 0 : r;
}

static int delete_each(struct backend *b, const char *const *names, size_t n)
{
	int r = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		int r2 = backend_delete(b, names[i]);

		if (r == 0 && r2 != -ENOENT)
			r = r2;
	}
	return r;
}

int backend_delete_many(struct backend *b, const char *const *names, size_t n)
{
	struct backend_trial t = backend_begin(b, "delete", "objects");
	size_t i;
	int r = 0;

	for (i = 0; i < n && r == 0; i++)
		r = check_name(b, names[i]);
	if (r < 0 || n == 0)
		return r;
	if (!b->ops->delete_many)
		return delete_each(b, names, n);
	do
		r = b->ops->delete_many(b, &t.call, names, n);
	while (backend_try_again(&t, &r));
	assert(r <= 0 && r != -ENOENT);
	return r;
}

int backend_probe(struct backend *b)
{
	return b->ops->probe(b);
}

int backend_may_delete(struct backend *b, const char *prefix)
{
	return b->ops->may_delete ? b->ops->may_delete(b, prefix) : 0;
}

bool backend_may_lag(struct backend *b, char why[BACKEND_LAG_MAX])
{
	return b->ops->may_lag && b->ops->may_lag(b, why);
}
