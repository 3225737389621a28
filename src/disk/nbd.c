/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * NBD exports: with nbd_write.c the only user of libnbd.
 *
 * A connection serves one thread at a time; a read is cut into requests that
 * are all in flight at once. Where the server says that several connections see
 * the same, there is one for each reading thread. What a failed connection had
 * in flight may still be written to by its handle, so it is closed before
 * anything else.
 */
#include "config.h"

#include "src/disk/nbd_internal.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/disk/nbd_lib.h"
#include "src/disk/qemu.h"
#include "store/base/buf.h"
#include "store/base/lock.h"
#include "store/base/log.h"

static bool stopped(const struct nbd *n)
{
	return n->stop && *n->stop;
}

/* ---- connections ---- */

struct nbd_handle *nbd_conn_get(struct nbd *n)
{
	SCOPED_LOCK(&n->lock);
	while (n->nidle == 0)
		pthread_cond_wait(&n->freed, &n->lock);
	return n->idle[--n->nidle];
}

void nbd_conn_put(struct nbd *n, struct nbd_handle *h, int r)
{
	if (r < 0) {
		nbd_close(h);
		h = NULL;
		if (r != -EINTR)
			atomic_store(&n->failed, true);
	}
	SCOPED_LOCK(&n->lock);
	n->idle[n->nidle++] = h;
	pthread_cond_signal(&n->freed);
}

static int wait_connected(struct nbd *n, struct nbd_handle *h,
			  unsigned int polls)
{
	while (!nbd_aio_is_ready(h)) {
		int r;

		if (stopped(n))
			return -EINTR;
		if (nbd_aio_is_dead(h) || nbd_aio_is_closed(h))
			return -EIO;
		r = nbd_poll(h, POLL_MS);
		if (r < 0)
			return -EIO;
		if (r == 0 && --polls == 0)
			return -ETIMEDOUT;
	}
	return 0;
}

static int begin_connect(struct nbd *n, struct nbd_handle *h)
{
	int r = nbd_add_meta_context(h, ALLOCATION);

	if (r == 0 && n->bitmap)
		r = nbd_add_meta_context(h, n->bitmap);
	if (r == 0)
		r = nbd_set_pread_initialize(h, false);
	if (r == 0)
		r = n->path ? nbd_aio_connect_unix(h, n->path)
			    : nbd_aio_connect_uri(h, n->d.source);
	return r < 0 ? -EIO : 0;
}

/* The reason of a failure is libnbd's last, of this thread. */
static int connect_one(struct nbd *n, unsigned int polls,
		       struct nbd_handle **out)
{
	struct nbd_handle *h = nbd_create();
	int r = h ? begin_connect(n, h) : -ENOMEM;

	if (r == 0)
		r = wait_connected(n, h, polls);
	if (r < 0) {
		nbd_close(h);
		h = NULL;
	}
	*out = h;
	return r;
}

const char *nbd_reason(int r)
{
	const char *text = nbd_get_error();

	return r == -ETIMEDOUT ? "no answer" : text ? text : "it ended";
}

/* ---- reading ---- */

int nbd_await(struct nbd *n, struct nbd_handle *h, int64_t cookie)
{
	unsigned int polls = ANSWER_POLLS;

	for (;;) {
		int r = nbd_aio_command_completed(h, (uint64_t)cookie);

		if (r != 0)
			return r < 0 ? -EIO : 0;
		if (stopped(n))
			return -EINTR;
		r = nbd_poll(h, POLL_MS);
		if (r < 0)
			return -EIO;
		if (r == 0 && --polls == 0)
			return -ETIMEDOUT;
	}
}

struct flight {
	uint64_t off;
	int64_t cookie;
};

/* Up to REQUESTS_MAX requests; @bad is where it went wrong. */
static int read_flight(struct nbd *n, struct nbd_handle *h, uint64_t off,
		       uint8_t *out, size_t len, uint64_t *bad)
{
	struct flight f[REQUESTS_MAX];
	size_t nf = 0, i;
	int r = 0;

	while (len > 0) {
		size_t part = MIN(len, (size_t)REQUEST);

		f[nf].off = *bad = off;
		f[nf].cookie = nbd_aio_pread(h, out, part, off,
					     NBD_NULL_COMPLETION, 0);
		if (f[nf].cookie < 0)
			return -EIO;
		nf++;
		off += part;
		out += part;
		len -= part;
	}
	for (i = 0; i < nf && r == 0; i++) {
		*bad = f[i].off;
		r = nbd_await(n, h, f[i].cookie);
	}
	return r;
}

int disk_device_read(struct disk_device *d, uint64_t off, void *out, size_t len)
{
	struct nbd *n = nbd_of(d);
	struct nbd_handle *h = nbd_conn_get(n);
	uint8_t *p = out;
	uint64_t bad = off;
	int r = h ? 0 : -EIO;

	nbd_check_range(d, off, len);
	while (len > 0 && r == 0) {
		size_t part = MIN(len, (size_t)REQUEST * REQUESTS_MAX);

		r = read_flight(n, h, off, p, part, &bad);
		off += part;
		p += part;
		len -= part;
	}
	if (r < 0 && r != -EINTR)
		r = fail(-EIO,
			 "disk %s: cannot read %s at byte %" PRIu64 ": %s",
			 d->name, d->source, bad,
			 h ? nbd_reason(r) : "the connection is lost");
	nbd_conn_put(n, h, r);
	return r;
}

/* ---- block status ---- */

static int take_status(void *arg, const char *context, uint64_t off,
		       uint32_t *entries, size_t nentries, int *error)
{
	struct nbd *n = arg;
	struct status *t = NULL;
	size_t i;

	if (n->alloc.context && !strcmp(context, n->alloc.context))
		t = &n->alloc;
	else if (n->dirty.context && !strcmp(context, n->dirty.context))
		t = &n->dirty;
	if (!t)
		return 0;
	*error = EPROTO;
	if (t->answered || off != n->status_off || nentries < 2)
		return -1;
	for (i = 0; i + 1 < nentries; i += 2)
		if (entries[i] == 0)
			return -1;
	t->entries = alloc_array(nentries, sizeof(*entries));
	if (!t->entries) {
		*error = ENOMEM;
		return -1;
	}
	memcpy(t->entries, entries, nentries * sizeof(*entries));
	t->n = nentries / 2;
	t->answered = true;
	*error = 0;
	return 0;
}

static void status_clear(struct status *t)
{
	free(t->entries);
	t->entries = NULL;
	t->n = t->pos = 0;
	t->answered = false;
}

int nbd_ask_status(struct nbd *n, uint64_t off, uint64_t len)
{
	nbd_extent_callback fn = { .callback = take_status, .user_data = n };
	struct nbd_handle *h = nbd_conn_get(n);
	int64_t cookie;
	int r = -EIO;

	status_clear(&n->alloc);
	status_clear(&n->dirty);
	n->status_off = off;
	if (h) {
		cookie = nbd_aio_block_status(h, MIN(len, STATUS_MAX), off, fn,
					      NBD_NULL_COMPLETION, 0);
		r = cookie < 0 ? -EIO : nbd_await(n, h, cookie);
	}
	if (r < 0 && r != -EINTR)
		r = fail(-EIO,
			 "disk %s: %s does not tell what is allocated "
			 "at byte %" PRIu64 ": %s",
			 n->d.name, n->d.source, off,
			 h ? nbd_reason(r) : "the connection is lost");
	nbd_conn_put(n, h, r);
	return r;
}

/* The pair that a context is at; false where it says nothing (more). */
static bool current(const struct status *t, uint32_t *len, uint32_t *flags)
{
	if (t->pos >= t->n)
		return false;
	*len = t->entries[2 * t->pos];
	*flags = t->entries[2 * t->pos + 1];
	return true;
}

static void advance(struct status *t, uint32_t len)
{
	if (t->pos < t->n) {
		t->entries[2 * t->pos] -= len;
		if (t->entries[2 * t->pos] == 0)
			t->pos++;
	}
}

bool nbd_next_extent(struct nbd *n, struct disk_extent *out)
{
	uint32_t alen = 0, aflags = 0, dlen = 0, dflags = 1, len;
	bool a = current(&n->alloc, &alen, &aflags);
	bool d = current(&n->dirty, &dlen, &dflags);

	/* A context that stopped before the other is asked again. */
	if ((n->alloc.answered && !a) || (n->dirty.answered && !d) ||
	    (!a && !d))
		return false;
	len = a && d ? MIN(alen, dlen) : a ? alen : dlen;
	*out = (struct disk_extent){ .off = n->status_off, .len = len };
	if (aflags & LIBNBD_STATE_ZERO)
		out->state = aflags & LIBNBD_STATE_HOLE ? DISK_HOLE : DISK_ZERO;
	out->same = d && dflags == 0;
	advance(&n->alloc, len);
	advance(&n->dirty, len);
	n->status_off += len;
	return true;
}

int disk_device_extent(struct disk_device *d, uint64_t off,
		       struct disk_extent *out)
{
	struct nbd *n = nbd_of(d);
	int r = 0;

	nbd_check_range(d, off, 1);
	*out = (struct disk_extent){ .off = off, .len = d->size - off };
	if (!n->alloc.context && !n->dirty.context)
		return 0;
	if (off == n->status_off && nbd_next_extent(n, out))
		return 0;
	r = nbd_ask_status(n, off, d->size - off);
	/* No context answered: it is data then. */
	if (r == 0 && !nbd_next_extent(n, out))
		out->len = MIN(out->len, (uint64_t)REQUEST);
	return r;
}

/* Stop the server of an image; where it ended by itself, say so. */
static void end_server(struct nbd *n)
{
	AUTO_BUF struct buf words = BUF_INIT;

	/* If it is well, the image is not, which was said. */
	if (atomic_load(&n->failed) && qemu_explain(n->server, &words))
		(void)fail(-EIO, "disk %s: %.*s", n->d.name, (int)words.len,
			   (const char *)words.data);
	/* What has an image open for reading has nothing to finish. */
	qemu_end(n->server, n->d.writable);
}

void disk_device_close(struct disk_device *d)
{
	struct nbd *n = d ? nbd_of(d) : NULL;
	size_t i;

	if (!n)
		return;
	for (i = 0; i < n->nidle; i++)
		nbd_close(n->idle[i]);
	if (n->server)
		end_server(n);
	if (n->dir[0]) {
		(void)unlink(n->socket);
		(void)rmdir(n->dir);
	}
	status_clear(&n->alloc);
	status_clear(&n->dirty);
	pthread_cond_destroy(&n->freed);
	pthread_mutex_destroy(&n->lock);
	free(n->bitmap);
	free(d->source);
	free(n);
}

/* ---- opening ---- */

static int examine(struct nbd *n, const struct disk_device_options *o)
{
	struct nbd_handle *h = n->idle[0];
	int64_t size = nbd_get_size(h);
	int64_t block = nbd_get_block_size(h, LIBNBD_SIZE_MINIMUM);

	if (size < 0)
		return fail(-EIO, "disk %s: %s does not tell its size: %s",
			    o->name, n->d.source, nbd_reason(-EIO));
	n->d.size = (uint64_t)size;
	if (block > GRANULE_MAX || (block > 0 && (block & (block - 1))))
		return fail(-EIO,
			    "disk %s: %s wants reads of %" PRId64
			    " bytes, which are not offered",
			    o->name, n->d.source, block);
	if (block > SECTOR)
		n->d.granule = (uint32_t)block;
	if (block > SECTOR && block <= 65536)
		n->d.sector = (uint32_t)block;
	if (nbd_can_meta_context(h, ALLOCATION) > 0)
		n->alloc.context = ALLOCATION;
	if (n->bitmap && nbd_can_meta_context(h, n->bitmap) > 0) {
		n->dirty.context = n->bitmap;
		n->d.has_bitmap = true;
	} else if (n->bitmap) {
		log_warn("disk %s: %s has no usable bitmap \"%s\": all of it "
			 "is read",
			 o->name, n->d.source, o->bitmap);
	}
	return 0;
}

/* Open one more connection for each reading thread, where that is safe. */
static void connect_more(struct nbd *n, unsigned int threads)
{
	struct nbd_handle *h;

	if (nbd_can_multi_conn(n->idle[0]) <= 0)
		return;
	while (n->nidle < MIN((size_t)threads + 1, (size_t)CONNS_MAX)) {
		if (connect_one(n, EXTRA_POLLS, &h) < 0)
			break;
		if (nbd_get_size(h) != (int64_t)n->d.size) {
			nbd_close(h);
			break;
		}
		n->idle[n->nidle++] = h;
	}
}

static int name_bitmap(struct nbd *n, const char *bitmap)
{
	AUTO_BUF struct buf context = BUF_INIT;

	buf_printf(&context, "%s%s%c", BITMAP, bitmap, 0);
	if (buf_error(&context) < 0)
		return -ENOMEM;
	n->bitmap = (char *)context.data;
	context = (struct buf)BUF_INIT;
	return 0;
}

struct nbd *nbd_new(const struct disk_device_options *o)
{
	struct nbd *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	pthread_mutex_init(&n->lock, NULL);
	pthread_cond_init(&n->freed, NULL);
	n->d = (struct disk_device){
		.name = o->name,
		.source = strdup(o->source),
		.sector = SECTOR,
		.granule = SECTOR,
	};
	n->stop = o->stop;
	if (n->d.source && (!o->bitmap || name_bitmap(n, o->bitmap) == 0))
		return n;
	disk_device_close(&n->d);
	return NULL;
}

int nbd_connect(struct nbd *n, const struct disk_device_options *o)
{
	int r = nbd_lib_load();

	if (r < 0)
		return r;
	r = connect_one(n, CONNECT_POLLS, &n->idle[0]);
	if (r == -EINTR)
		return r;
	if (r < 0 && n->path)
		return -ECONNREFUSED;
	if (r < 0)
		return fail(-EIO, "disk %s: cannot connect to %s: %s", o->name,
			    n->d.source, nbd_reason(r));
	n->nidle = 1;
	r = examine(n, o);
	if (r == 0)
		connect_more(n, o->threads);
	return r;
}

int disk_device_open_uri(const struct disk_device_options *o,
			 struct disk_device **out)
{
	struct nbd *n = nbd_new(o);
	int r = n ? nbd_connect(n, o) : -ENOMEM;

	*out = NULL;
	if (r == 0)
		*out = &n->d;
	else if (n)
		disk_device_close(&n->d);
	return r;
}
