/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests to a store over HTTP, with libcurl. One thread moves all bytes, so that
 * connections are shared and kept; whoever asks waits for his answer, and can be ended.
 * A request is tried once: store/backend/call.c tries again.
 *
 * No redirect is followed, for what was signed is for one host. Certificates are
 * verified. Nothing of a request's headers is ever said, for they hold secrets.
 */
#ifndef STORE_BACKEND_HTTP_H
#define STORE_BACKEND_HTTP_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct backend_call;
struct http;
struct seam;

/* An answer's header that is longer is no answer. */
#define HTTP_HEADER_MAX 1024
#define HTTP_HEADERS_MAX 24 /* of a request */

struct http_request {
	const char *method; /* "GET" */
	const char *url; /* as it was signed: nothing in it is changed */
	const char
		*headers[HTTP_HEADERS_MAX]; /* "name: value"; NULL ends them */
	const void *body; /* NULL: none */
	size_t body_len;
	/* Where the answer of 200 or 206 goes, if it is just so long; NULL: to
	 * the answer's body. */
	void *into;
	size_t into_len;
	size_t max; /* bytes that the answer's body may have */
	/* Packs and the like: they wait where others go first. */
	bool is_bulk;
};

/* What came back. Zero it; release it whatever was returned. */
struct http_answer {
	long status;
	struct buf body; /* unless it went into the caller's memory; bounded */
	size_t into_len; /* so many bytes went there */
	bool is_short; /* it ended before its length */
	/* Headers; "" where there is none. */
	char content_range[HTTP_HEADER_MAX], content_length[HTTP_HEADER_MAX];
	char last_modified[HTTP_HEADER_MAX], date[HTTP_HEADER_MAX];
	char region[HTTP_HEADER_MAX]; /* x-amz-bucket-region */
	char error[HTTP_HEADER_MAX]; /* x-ms-error-code */
	char retry_after[HTTP_HEADER_MAX];
	char transfer_encoding[HTTP_HEADER_MAX], etag[HTTP_HEADER_MAX];
	/* Why there is no answer, a part of a sentence; "" where there is. */
	char why[256];
};

struct http_options {
	const char *ca_file; /* of certificates; NULL: the system's */
	/* Bytes a second below which a transfer is given up after a minute; 0: 1024 */
	long low_speed;
};

/* Requests and bytes so far. */
struct http_stats {
	uint64_t requests, sent, received, failures;
};

/* @o is copied. Return 0, -ENOMEM or another negative errno, said in words. */
MUST_CHECK int http_new(const struct http_options *o, struct http **out);
/* Nobody waits for an answer any more. NULL is fine. */
void http_free(struct http *h);
/*
 * Ask, and wait for the whole answer, whatever its status. Return 0; -EAGAIN (no
 * connection, or it broke: @a->why) or -ETIMEDOUT, both silent; -EHOSTUNREACH (the
 * store's certificate is not one that may be trusted, said in words); -EFBIG (a good
 * answer is longer than it may be, silent; of a longer refusal there is no body); -EIO
 * (it is malformed, said in words); what backend_call_over() says; or -ENOMEM.
 */
MUST_CHECK int http_run(struct http *h, const struct backend_call *c,
			const struct http_request *rq, struct http_answer *a);
/* The time that a header tells ("Date"), in seconds since 1970, or -1: it is none. */
int64_t http_date(const char *text);
void http_answer_release(struct http_answer *a);
void http_get_stats(struct http *h, struct http_stats *out);

#endif
