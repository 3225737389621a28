/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An NBD export that is open; for nbd.c, nbd_write.c and image.c alone. */
#ifndef SRC_DISK_NBD_INTERNAL_H
#define SRC_DISK_NBD_INTERNAL_H

#include "src/disk/device.h"
#include "src/disk/source.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>

struct image_chain;
struct nbd_handle;
struct qemu;

#define CONNS_MAX 17
#define REQUEST (256u << 10)
#define REQUESTS_MAX 16
/* The longest stretch that one block status request can name. */
#define STATUS_MAX UINT64_C(0xffff0000)
#define POLL_MS 250
#define ANSWER_POLLS 480 /* without a sign of life: two minutes */
#define CONNECT_POLLS 120
#define EXTRA_POLLS 12
#define ALLOCATION "base:allocation"
#define BITMAP "qemu:dirty-bitmap:"
#define SECTOR 512
#define GRANULE_MAX (256u << 10)

/* What a context said about the stretch that was asked about. */
struct status {
	const char *context; /* NULL: the server has it not */
	uint32_t *entries; /* owned; pairs of length and flags */
	size_t n, pos;
	bool answered;
};

struct nbd {
	struct disk_device d; /* must come first */
	const char
		*path; /* of the socket; borrowed; NULL: d.source is an URI */
	const volatile bool *stop; /* may be NULL */
	char *bitmap; /* the context's whole name; owned; NULL: none */
	pthread_mutex_t lock; /* protects idle, nidle */
	pthread_cond_t freed;
	struct nbd_handle *idle[CONNS_MAX]; /* owned; NULL: it failed */
	size_t nidle;
	struct status alloc, dirty; /* of the last request */
	uint64_t status_off; /* where they stand */
	/* Where the server is one of ours: */
	struct qemu *server; /* owned; NULL: the server is somebody else's */
	char dir[96]; /* private, with the socket; "": none */
	char socket[104];
	atomic_bool failed; /* a request did */
};

static inline struct nbd *nbd_of(struct disk_device *d)
{
	return container_of(d, struct nbd, d);
}

/* The caller's ranges are its own business, and never a server's. */
static inline void nbd_check_range(const struct disk_device *d, uint64_t off,
				   uint64_t len)
{
	assert(off <= d->size && len <= d->size - off);
}

/* An object that is not connected. NULL: no memory. */
struct nbd *nbd_new(const struct disk_device_options *o);
/* Connect it. Return 0, -EINTR, -ECONNREFUSED (to a socket of ours; silent) or
 * another negative errno, said in words. */
MUST_CHECK int nbd_connect(struct nbd *n, const struct disk_device_options *o);
/* Take a connection; waits for one. NULL where the one that came had failed. */
struct nbd_handle *nbd_conn_get(struct nbd *n);
/* Give it back; where @r, what became of its use, is an error, it is closed. */
void nbd_conn_put(struct nbd *n, struct nbd_handle *h, int r);
/* Wait until the request is answered. Return 0, -EINTR, -ETIMEDOUT or -EIO. */
MUST_CHECK int nbd_await(struct nbd *n, struct nbd_handle *h, int64_t cookie);
/* Words for the failure @r, the last of this thread. */
const char *nbd_reason(int r);
/* Ask what is allocated there. Return 0 or a negative errno, said in words. */
MUST_CHECK int nbd_ask_status(struct nbd *n, uint64_t off, uint64_t len);
/* The next of what the last answers say, both of them together. */
bool nbd_next_extent(struct nbd *n, struct disk_extent *out);

/*
 * Look whether something is missing of an image, or of those it lies on; what is
 * damaged is said in words (image_check.c). Return 0, -EINTR or another negative
 * errno.
 */
MUST_CHECK int image_check(const struct disk_device_options *o,
			   const struct image_chain *c, bool *damaged_out);

#endif
