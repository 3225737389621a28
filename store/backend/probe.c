/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Does a place keep the word that a vault is built on? What it promises is
 * tried, on one object.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/backend/internal.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"

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
static int probe_object(struct backend *b, struct backend *other,
			const char *name)
{
	static const char first[] = "the first writer wins";
	static const char second[] = "the second one is refused";
	char got[sizeof(first)] = { 0 };
	struct backend_info info = { .size = 0 };
	int r;

	/* What the other one knows of the place is older than the object. */
	r = other == b ? 0 : probe_list(other, name, false, 0);
	if (r < 0)
		return r;
	r = backend_put_own(b, name, first, sizeof(first));
	if (r == -EEXIST)
		return probe_failed(b, "a name never used before is taken");
	if (r < 0)
		return r;
	r = backend_put(other, name, second, sizeof(second));
	if (r == 0)
		return probe_failed(b, "a second object took the first's name");
	if (r != -EEXIST)
		return r;
	r = probe_list(other, name, true, sizeof(first));
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

int backend_probe_all(struct backend *b, struct backend *other)
{
	struct seam *seam = b->options.seam;
	uint8_t random[16];
	char name[sizeof("probe/") + 2 * sizeof(random)] = "probe/";
	struct backend_info info;
	int r, d;

	r = seam->ops->random(seam, random, sizeof(random));
	if (r < 0)
		return fail(r, "no random bytes from the kernel: %s",
			    strerror(-r));
	hex_encode(random, sizeof(random), name + strlen("probe/"));
	r = probe_object(b, other, name);
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
	r = backend_head(other, name, &info);
	if (r == 0)
		return probe_failed(b, "a deleted object is still there");
	if (r != -ENOENT)
		return r;
	return probe_list(other, name, false, 0);
}
