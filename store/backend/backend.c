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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/internal.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"

struct scheme {
	const char *name; /* what stands before the colon */
	int (*open)(const char *url, const char *rest, struct seam *seam,
		    bool create, struct backend **out);
};

static const struct scheme schemes[] = {
	{ "", backend_dir_open }, /* a path */
	{ "file", backend_dir_open },
};

/* Length of the scheme that @url begins with; 0 for a path. */
static size_t scheme_len(const char *url)
{
	size_t n = strspn(url, "abcdefghijklmnopqrstuvwxyz0123456789+.-");

	return url[n] == ':' ? n : 0;
}

static int open_any(const char *url, struct seam *seam, bool create,
		    struct backend **out)
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
			return schemes[i].open(url, rest, seam, create, out);
	return fail(
		-EINVAL,
		"vault %s: no backend is called '%.*s'; for a directory of that name write ./%s",
		url, (int)n, url, url);
}

int backend_open(const char *url, struct seam *seam, struct backend **out)
{
	return open_any(url, seam, false, out);
}

int backend_create(const char *url, struct seam *seam, struct backend **out)
{
	int r = open_any(url, seam, true, out);

	if (r < 0)
		return r;
	r = (*out)->ops->create(*out);
	if (r < 0) {
		backend_close(*out);
		*out = NULL;
	}
	return r;
}

void backend_close(struct backend *b)
{
	if (b)
		b->ops->close(b);
}

bool backend_name_valid(const char *name)
{
	size_t i;

	for (i = 0; name[i]; i++) {
		char c = name[i];
		char before = i > 0 ? name[i - 1] : '/';

		if (i == BACKEND_NAME_MAX)
			return false;
		/* A part is not empty, and no "..": none begins with a dot. */
		if ((c == '/' || c == '.') && before == '/')
			return false;
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') &&
		    !strchr("._-/", c))
			return false;
	}
	return i > 0 && name[i - 1] != '/';
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
	int r = check_name(b, name);

	if (r < 0)
		return r;
	r = b->ops->put(b, name, data, len);
	assert(r <= 0);
	return r;
}

int backend_get(struct backend *b, const char *name, uint64_t off, void *data,
		size_t len)
{
	int r = check_name(b, name);

	if (r < 0)
		return r;
	if (off > INT64_MAX || len > INT64_MAX - off)
		return fail(-EINVAL,
			    "vault %s: object %s: no object has bytes %" PRIu64
			    " to %zu more",
			    b->url, name, off, len);
	r = b->ops->get(b, name, off, data, len);
	assert(r <= 0);
	return r;
}

int backend_get_all(struct backend *b, const char *name, size_t max,
		    uint8_t **out, size_t *len_out)
{
	AUTO_FREE uint8_t *data = NULL;
	struct backend_info info;
	uint64_t size;
	int r;

	*out = NULL;
	r = backend_head(b, name, &info);
	if (r < 0)
		return r;
	size = info.size;
	if (size > max)
		return fail(
			-EFBIG,
			"vault %s: object %s has %" PRIu64
			" bytes where at most %zu make sense; run vmbackup check",
			b->url, name, size, max);
	data = malloc(size > 0 ? (size_t)size : 1);
	if (!data)
		return -ENOMEM;
	r = backend_get(b, name, 0, data, (size_t)size);
	if (r < 0)
		return r;
	*out = data;
	*len_out = (size_t)size;
	data = NULL;
	return 0;
}

int backend_head(struct backend *b, const char *name,
		 struct backend_info *info_out)
{
	int r = check_name(b, name);

	if (r < 0)
		return r;
	r = b->ops->head(b, name, info_out);
	assert(r <= 0);
	return r;
}

struct checked_listing {
	struct backend *b;
	const char *prefix;
	backend_list_fn *fn;
	void *arg;
};

/* What a store answers is checked before anybody builds a name from it. */
static int list_one(void *arg, const char *name,
		    const struct backend_info *info)
{
	struct checked_listing *l = arg;

	if (strncmp(name, l->prefix, strlen(l->prefix)) != 0 ||
	    !backend_name_valid(name))
		return fail(
			-EBADMSG,
			"vault %s: listing '%s' gave '%s', which is not an object of it",
			l->b->url, l->prefix, name);
	return l->fn(l->arg, name, info);
}

int backend_list(struct backend *b, const char *prefix, backend_list_fn *fn,
		 void *arg)
{
	struct checked_listing l = { b, prefix, fn, arg };
	size_t len = strlen(prefix);
	char name[BACKEND_NAME_MAX + 1];

	if (len > 0) {
		if (len > BACKEND_NAME_MAX || prefix[len - 1] != '/')
			return fail(-EINVAL, "vault %s: cannot list '%s'",
				    b->url, prefix);
		memcpy(name, prefix, len - 1);
		name[len - 1] = '\0';
		if (!backend_name_valid(name))
			return fail(-EINVAL, "vault %s: cannot list '%s'",
				    b->url, prefix);
	}
	return b->ops->list(b, prefix, list_one, &l);
}

int backend_sync(struct backend *b, const char *name)
{
	int r = check_name(b, name);

	if (r < 0)
		return r;
	r = b->ops->sync(b, name);
	assert(r <= 0);
	return r;
}

int backend_delete(struct backend *b, const char *name)
{
	int r = check_name(b, name);

	if (r < 0)
		return r;
	r = b->ops->delete (b, name);
	assert(r <= 0);
	return r;
}

int backend_probe(struct backend *b)
{
	return b->ops->probe(b);
}

/* ---- the probe ---- */

struct name_search {
	const char *name;
	uint64_t size;
	bool found;
};

static int find_one(void *arg, const char *name,
		    const struct backend_info *info)
{
	struct name_search *f = arg;

	if (strcmp(name, f->name) == 0) {
		f->found = true;
		f->size = info->size;
	}
	return 0;
}

static int probe_failed(const struct backend *b, const char *what)
{
	return fail(
		-EIO,
		"vault %s: %s; a vault cannot be kept there safely: choose another filesystem or store",
		b->url, what);
}

static int probe_list(struct backend *b, const char *name, bool there,
		      uint64_t size)
{
	struct name_search f = { name, 0, false };
	int r = backend_list(b, "probe/", find_one, &f);

	if (r < 0)
		return r;
	if (f.found != there)
		return probe_failed(
			b, there ? "a new object is missing in the listing"
				 : "a deleted object is still listed");
	if (there && f.size != size)
		return probe_failed(b, "the listing has a wrong size");
	return 0;
}

/* Everything a vault is built on, tried on one object: the first put wins, and
 * what was put is listed, measured and read in part at once. */
static int probe_object(struct backend *b, const char *name)
{
	static const char first[] = "the first writer wins";
	static const char second[] = "the second one is refused";
	char got[sizeof(first)] = { 0 };
	struct backend_info info = { 0, 0 };
	int r;

	r = backend_put(b, name, first, sizeof(first));
	if (r == -EEXIST)
		return probe_failed(b, "a name never used before is taken");
	if (r < 0)
		return r;
	r = backend_put(b, name, second, sizeof(second));
	if (r == 0)
		return probe_failed(b, "a second object took the first's name");
	if (r != -EEXIST)
		return r;
	r = probe_list(b, name, true, sizeof(first));
	if (r < 0)
		return r;
	r = backend_head(b, name, &info);
	if (r == -ENOENT || (r == 0 && info.size != sizeof(first)))
		return probe_failed(b, "a new object's size is not known");
	if (r < 0)
		return r;
	r = backend_get(b, name, 4, got, sizeof(first) - 4);
	if (r == -ENOENT)
		return probe_failed(b, "a new object cannot be read");
	if (r < 0)
		return r;
	if (memcmp(got, first + 4, sizeof(first) - 4) != 0)
		return probe_failed(b, "a range read gives other bytes");
	return 0;
}

int backend_probe_all(struct backend *b, struct seam *seam)
{
	uint8_t random[16];
	char name[sizeof("probe/") + 2 * sizeof(random)] = "probe/";
	struct backend_info info;
	int r, d;

	r = seam->ops->random(seam, random, sizeof(random));
	if (r < 0)
		return fail(r, "no random bytes from the kernel: %s",
			    strerror(-r));
	hex_encode(random, sizeof(random), name + strlen("probe/"));
	r = probe_object(b, name);
	if (r < 0) {
		/* Where nothing came to be, there is nothing to take away. */
		if (backend_head(b, name, &info) == 0)
			d = backend_delete(b, name);
		return r;
	}
	d = backend_delete(b, name);
	if (d == -ENOENT)
		return probe_failed(b, "an object cannot be deleted");
	if (d < 0)
		return d;
	r = backend_head(b, name, &info);
	if (r == 0)
		return probe_failed(b, "a deleted object is still there");
	if (r != -ENOENT)
		return r;
	return probe_list(b, name, false, 0);
}
