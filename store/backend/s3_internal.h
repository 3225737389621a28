/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the backend of S3; private to store/backend/s3*.c. */
#ifndef STORE_BACKEND_S3_INTERNAL_H
#define STORE_BACKEND_S3_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "store/backend/http.h"
#include "store/backend/internal.h"
#include "store/backend/s3_place.h"

struct backend_s3 {
	struct backend b;
	struct http *http; /* owned */
	struct s3_place
		place; /* owned; but for the region it does not change */
	struct s3_keys keys; /* owned */
	_Atomic int64_t skew_s; /* what is to be added to the clock here */
	pthread_mutex_t lock; /* protects place.region */
};

static inline struct backend_s3 *s3_of(struct backend *b)
{
	return (struct backend_s3 *)b;
}

/* What is asked. Zero it. */
struct s3_asking {
	const char *method;
	const char *key; /* without the prefix; NULL: the bucket itself */
	const char *query; /* encoded and sorted; NULL: "" */
	const char *extra; /* a header that is not signed: "Range: ..." */
	const char *checksum; /* base64, of the body; NULL: none */
	const void *body;
	size_t body_len;
	void *into;
	size_t into_len, max;
};

/* What a request was signed with, which another thread may have corrected since. */
struct s3_signed {
	int64_t skew_s;
	char region[S3_REGION_MAX];
};

/* ---- s3_ask.c ---- */

/* Ask once. Return as http_run(). */
MUST_CHECK int s3_ask_once(struct backend_s3 *s, const struct backend_call *c,
			   const struct s3_asking *q, struct http_answer *a,
			   struct s3_signed *was);
/* The same, and again where the answer was but to the clock or the region; any answer
 * but 2xx is an error, as backend_ops has them. Release @a whatever it returns. */
MUST_CHECK int s3_ask(struct backend_s3 *s, const struct backend_call *c,
		      const struct s3_asking *q, struct http_answer *a);
/* Is it the clock, or the region, so that the next try may be right? */
bool s3_is_corrected(struct backend_s3 *s, const struct http_answer *a,
		     const struct s3_signed *was);
/* What an answer other than the wanted one means. */
MUST_CHECK int s3_refuse(struct backend_s3 *s, const struct backend_call *c,
			 const struct s3_asking *q,
			 const struct http_answer *a);

/* ---- s3_many.c: as backend_ops ---- */

MUST_CHECK int s3_delete_many(struct backend *b, const struct backend_call *c,
			      const char *const *names, size_t n);
MUST_CHECK int s3_list(struct backend *b, const struct backend_call *c,
		       const char *prefix, const char *token,
		       struct backend_page *page);

#endif
