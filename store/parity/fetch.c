/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading what can be read. A disk that cannot read a sector says that of a whole
 * request, so a request that fails is halved until it is a block; what fails then is
 * left at zeros, and the checksums tell that it is lost.
 */
#include "config.h"

#include "store/parity/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"

static int read_part(struct backend *b, const char *name, uint64_t off,
		     uint8_t *out, size_t len)
{
	int r = backend_get(b, name, off, out, len);
	size_t half;

	if (!backend_error_is_of_object(r))
		return r;
	memset(out, 0, len);
	if (len <= PARITY_BLOCK || r == -EPERM)
		return 0;
	half = (len / 2 + PARITY_BLOCK - 1) / PARITY_BLOCK * PARITY_BLOCK;
	r = read_part(b, name, off, out, half);
	return r < 0 ? r
		     : read_part(b, name, off + half, out + half, len - half);
}

/* Return 0 (also where parts of it are zeros that are not in it), -ENOENT, -EBADMSG (it
 * is too long) or another negative errno. */
static int read_object(struct backend *b, const char *name, size_t max,
		       uint8_t **out, size_t *len_out)
{
	struct backend_info info;
	int r = backend_get_all(b, name, max, out, len_out);

	if (r == -EFBIG)
		return -EBADMSG;
	if (!backend_error_is_of_object(r))
		return r;
	r = backend_head(b, name, &info);
	if (r < 0 || info.size > max)
		return r < 0 ? r : -EBADMSG;
	*len_out = (size_t)info.size;
	*out = malloc(*len_out + 1);
	if (!*out)
		return -ENOMEM;
	r = *len_out > 0 ? read_part(b, name, 0, *out, *len_out) : 0;
	if (r < 0) {
		free(*out);
		*out = NULL;
	}
	return r;
}

/* Keep what is better in @out. */
static void keep_better(struct parity_mended *out, struct parity_mended *m)
{
	if (out->bytes && !m->is_proven && m->nmade <= out->nmade) {
		parity_release(m);
		return;
	}
	parity_release(out);
	*out = *m;
}

/* What could be read of the pack itself; owned. */
struct raw {
	uint8_t *data;
	size_t len;
	bool is_read, is_gone;
};

static int read_pack(struct backend *b, const char *pack, struct raw *out)
{
	char parity[OBJECT_NAME_MAX], object[OBJECT_NAME_MAX];
	int r = parity_object_name(pack, 0, parity);

	if (r < 0 || out->is_read)
		return r;
	/* They lie in folders of the same names. */
	snprintf(object, sizeof(object), "pack/%.190s",
		 parity + strlen("parity/"));
	r = read_object(b, object, PARITY_PACK_MAX, &out->data, &out->len);
	out->is_read = r == 0;
	return r;
}

/* Try the object of number @n. Return 0 (it was there), -ENOENT (it was not, or the pack
 * is not) or another negative errno. */
static int try_object(struct backend *b, const char *pack, uint32_t n,
		      struct raw *raw, struct parity_mended *out)
{
	AUTO_FREE uint8_t *object = NULL;
	char name[OBJECT_NAME_MAX];
	struct parity_mended m;
	size_t len;
	int r = parity_object_name(pack, n, name);

	if (r == 0)
		r = read_object(b, name, PARITY_OBJECT_MAX, &object, &len);
	/* Where there is no parity nobody reads a pack for it. */
	if (r == 0) {
		r = read_pack(b, pack, raw);
		raw->is_gone = r == -ENOENT;
	}
	if (r == 0)
		r = parity_mend(pack, raw->data, raw->len, object, len, &m);
	if (r == 0)
		keep_better(out, &m);
	return r;
}

static int fetch(struct backend *b, const char *pack, struct parity_mended *out)
{
	struct raw raw = { .data = NULL };
	int r = 0, found = -ENOENT;
	uint32_t n;

	/* One of a lower number may have been lost altogether. */
	for (n = 0; n <= PARITY_NUMBER_MAX && r == 0 && !out->is_proven; n++) {
		r = try_object(b, pack, n, &raw, out);
		if (r == 0 || r == -EBADMSG) {
			found = out->bytes ? 0 : -EBADMSG;
			r = 0;
		}
		if (r == -ENOENT && !raw.is_gone)
			r = 0;
	}
	free(raw.data);
	return r == 0 ? found : r;
}

int parity_fetch(struct backend *b, const char *pack, struct parity_mended *out)
{
	bool before = log_hush(true);
	int r;

	*out = (struct parity_mended){ .len = 0 };
	r = fetch(b, pack, out);
	(void)log_hush(before);
	if (r < 0)
		parity_release(out);
	return r;
}
