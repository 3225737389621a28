/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An NBD export that is open; for nbd.c and nbd_write.c alone. */
#ifndef SRC_DISK_NBD_INTERNAL_H
#define SRC_DISK_NBD_INTERNAL_H

#include "src/disk/source.h"

#include <pthread.h>

struct nbd_handle;

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
	struct disk_source s; /* must come first */
	const char *path; /* of the socket; NULL: s.source is an URI */
	const volatile bool *stop; /* may be NULL */
	char *bitmap; /* the context's whole name; owned; NULL: none */
	pthread_mutex_t lock; /* protects idle, nidle */
	pthread_cond_t freed;
	struct nbd_handle *idle[CONNS_MAX]; /* owned; NULL: it failed */
	size_t nidle;
	struct status alloc, dirty; /* of the last request */
	uint64_t status_off; /* where they stand */
};

static inline struct nbd *nbd_of(struct disk_source *s)
{
	return container_of(s, struct nbd, s);
}

/* NULL when the one that came failed. */
struct nbd_handle *nbd_conn_get(struct nbd *n);
/* Give it back, or NULL where it failed and was closed. */
void nbd_conn_put(struct nbd *n, struct nbd_handle *h);
/* Until the request is answered. Return 0, -EINTR, -ETIMEDOUT or -EIO. */
MUST_CHECK int nbd_await(struct nbd *n, struct nbd_handle *h, int64_t cookie);
/* Of the failure @r, for people. */
const char *nbd_reason(int r);
/* Ask what is allocated there. Return 0 or a negative errno, said in words. */
MUST_CHECK int nbd_ask_status(struct nbd *n, uint64_t off, uint64_t len);
/* The next of what the last answers say, both of them together. */
bool nbd_next_extent(struct nbd *n, struct disk_extent *out);

/* ---- nbd_write.c: struct disk_ops ---- */

MUST_CHECK int disk_nbd_data(struct disk_source *s, uint64_t off, uint64_t end,
			     uint64_t *start_out, uint64_t *end_out);
MUST_CHECK int disk_nbd_write(struct disk_source *s, uint64_t off,
			      const void *data, size_t len);
MUST_CHECK int disk_nbd_zero(struct disk_source *s, uint64_t off, uint64_t len);
MUST_CHECK int disk_nbd_flush(struct disk_source *s);

#endif
