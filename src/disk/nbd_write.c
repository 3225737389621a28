/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing to an NBD export: to a qemu-nbd of our own. Unlike for a source,
 * what was asked about allocation is never remembered, since it changes.
 */
#include "config.h"

#include "src/disk/nbd_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "src/disk/nbd_lib.h"
#include "store/base/log.h"

#define ZERO_MAX (UINT64_C(1) << 30) /* in one request */

static int write_error(struct nbd *n, struct nbd_handle *h, const char *what,
		       uint64_t off, int r)
{
	if (r == -EINTR)
		return r;
	return fail(h && nbd_get_errno() == ENOSPC ? -ENOSPC : -EIO,
		    "disk %s: %s cannot be %s at byte %" PRIu64 ": %s",
		    n->d.name, n->d.source, what, off,
		    h ? nbd_reason(r) : "the connection is lost");
}

static int write_part(struct nbd *n, struct nbd_handle *h, uint64_t off,
		      const uint8_t *p, size_t len)
{
	int64_t cookies[REQUESTS_MAX];
	size_t nc = 0, i;
	int r = 0;

	for (; len > 0 && nc < REQUESTS_MAX; nc++) {
		size_t part = MIN(len, (size_t)REQUEST);

		cookies[nc] =
			nbd_aio_pwrite(h, p, part, off, NBD_NULL_COMPLETION, 0);
		if (cookies[nc] < 0)
			return -EIO;
		off += part;
		p += part;
		len -= part;
	}
	for (i = 0; i < nc && r == 0; i++)
		r = nbd_await(n, h, cookies[i]);
	return r;
}

int disk_device_write(struct disk_device *d, uint64_t off, const void *data,
		      size_t len)
{
	struct nbd *n = nbd_of(d);
	struct nbd_handle *h = nbd_conn_get(n);
	const uint8_t *p = data;
	int r = h ? 0 : -EIO;

	assert(d->writable);
	nbd_check_range(d, off, len);
	while (r == 0 && len > 0) {
		size_t part = MIN(len, (size_t)REQUEST * REQUESTS_MAX);

		r = write_part(n, h, off, p, part);
		off += part;
		p += part;
		len -= part;
	}
	if (r < 0)
		r = write_error(n, h, "written", off, r);
	nbd_conn_put(n, h, r);
	return r;
}

static int zero_part(struct nbd *n, struct nbd_handle *h, uint64_t off,
		     uint64_t len)
{
	static const uint8_t zeros[REQUEST];
	int64_t cookie;

	if (nbd_can_zero(h) <= 0)
		return write_part(n, h, off, zeros, (size_t)len);
	cookie = nbd_aio_zero(h, len, off, NBD_NULL_COMPLETION, 0);
	return cookie < 0 ? -EIO : nbd_await(n, h, cookie);
}

int disk_device_zero(struct disk_device *d, uint64_t off, uint64_t len)
{
	struct nbd *n = nbd_of(d);
	struct nbd_handle *h = nbd_conn_get(n);
	uint64_t max = h && nbd_can_zero(h) > 0 ? ZERO_MAX : REQUEST;
	int r = h ? 0 : -EIO;

	assert(d->writable);
	nbd_check_range(d, off, len);
	while (r == 0 && len > 0) {
		uint64_t part = MIN(len, max);

		r = zero_part(n, h, off, part);
		off += part;
		len -= part;
	}
	if (r < 0)
		r = write_error(n, h, "zeroed", off, r);
	nbd_conn_put(n, h, r);
	return r;
}

int disk_device_flush(struct disk_device *d)
{
	struct nbd *n = nbd_of(d);
	struct nbd_handle *h = nbd_conn_get(n);
	int64_t cookie = -1;
	int r = h ? 0 : -EIO;

	if (h && nbd_can_flush(h) > 0) {
		cookie = nbd_aio_flush(h, NBD_NULL_COMPLETION, 0);
		r = cookie < 0 ? -EIO : nbd_await(n, h, cookie);
	}
	if (r < 0)
		r = write_error(n, h, "flushed", 0, r);
	nbd_conn_put(n, h, r);
	return r;
}

int disk_device_data(struct disk_device *d, uint64_t off, uint64_t end,
		     uint64_t *start_out, uint64_t *end_out)
{
	struct nbd *n = nbd_of(d);
	struct disk_extent e;
	int r;

	assert(end <= d->size);
	*start_out = off;
	*end_out = end;
	while (n->alloc.context && off < end) {
		r = nbd_ask_status(n, off, end - off);
		if (r < 0)
			return r;
		while (off < end && nbd_next_extent(n, &e)) {
			*start_out = off;
			off += MIN(e.len, end - off);
			if (e.state == DISK_DATA) {
				*end_out = off;
				return 0;
			}
		}
		if (off == *start_out && off < end)
			return 0; /* it says nothing: all may be data */
		*start_out = off;
	}
	return off < end ? 0 : -ENXIO;
}
