/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A vault in a bucket of S3, or of what speaks its protocol. An object of the vault is
 * an object there, put with one request: create-if-absent is "If-None-Match: *", which
 * the probe tries, for some servers overwrite all the same.
 *
 * Each operation asks once. What the store says of its clock and of the bucket's region
 * is remembered, and the request is made anew.
 */
#include "config.h"

#include "store/backend/s3.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/cloud.h"
#include "store/backend/s3_internal.h"
#include "store/base/log.h"

/* ---- operations ---- */

/* Something else may answer in the store's place, or the store say in an answer of 200
 * that it failed after all: then nothing is known. */
static int judge_put(const struct http_answer *a, int r)
{
	return r == -EFBIG || (r == 0 && (!a->etag[0] || a->body.len > 0))
		       ? -EAGAIN
		       : r;
}

static int s3_put(struct backend *b, const struct backend_call *c,
		  const char *name, const void *data, size_t len)
{
	struct http_answer a = { .status = 0 };
	const struct s3_asking q = { .method = "PUT",
				     .key = name,
				     .extra = "If-None-Match: *",
				     .body = len ? data : "",
				     .body_len = len };
	int r = s3_ask(s3_of(b), c, &q, &a);

	r = judge_put(&a, r);
	http_answer_release(&a);
	return r;
}

static int s3_replace(struct backend *b, const struct backend_call *c,
		      const char *name, const void *data, size_t len)
{
	struct http_answer a = { .status = 0 };
	const struct s3_asking q = { .method = "PUT",
				     .key = name,
				     .body = len ? data : "",
				     .body_len = len };
	int r = s3_ask(s3_of(b), c, &q, &a);

	r = judge_put(&a, r);
	http_answer_release(&a);
	return r;
}

static int s3_head(struct backend *b, const struct backend_call *c,
		   const char *name, struct backend_info *info_out);

static int s3_get(struct backend *b, const struct backend_call *c,
		  const char *name, uint64_t off, void *data, size_t len)
{
	struct http_answer a = { .status = 0 };
	struct backend_info info;
	char range[80];
	const struct s3_asking q = { .method = "GET",
				     .key = name,
				     .extra = range,
				     .into = data,
				     .into_len = len };
	int r;

	if (len == 0) {
		r = s3_head(b, c, name, &info);
		return r == 0 && info.size < off ? cloud_truncated(b, name, off)
						 : r;
	}
	snprintf(range, sizeof(range), "Range: bytes=%" PRIu64 "-%" PRIu64, off,
		 off + len - 1);
	r = s3_ask(s3_of(b), c, &q, &a);
	r = cloud_judge_part(b, name, &a, off, len, r);
	http_answer_release(&a);
	return r;
}

static int s3_get_all(struct backend *b, const struct backend_call *c,
		      const char *name, size_t max, uint8_t **out,
		      size_t *len_out)
{
	struct http_answer a = { .status = 0 };
	const struct s3_asking q = { .method = "GET", .key = name, .max = max };
	int r = s3_ask(s3_of(b), c, &q, &a);

	r = cloud_take_all(&a, max, r, out, len_out);
	http_answer_release(&a);
	return r;
}

/* The answer to HEAD has no body that could tell an object that is not there from a
 * bucket that is not. */
static int ask_what_lacks(struct backend *b, const struct backend_call *c,
			  const char *name)
{
	struct http_answer a = { .status = 0 };
	const struct s3_asking q = { .method = "GET",
				     .key = name,
				     .extra = "Range: bytes=0-0",
				     .max = 1 };
	int r = s3_ask(s3_of(b), c, &q, &a);

	http_answer_release(&a);
	/* It has come since, or is empty. */
	return r == 0 || r == -EFBIG ? -EAGAIN : r;
}

static int s3_head(struct backend *b, const struct backend_call *c,
		   const char *name, struct backend_info *info_out)
{
	struct http_answer a = { .status = 0 };
	const struct s3_asking q = { .method = "HEAD", .key = name };
	int r = s3_ask(s3_of(b), c, &q, &a);

	if (r == 0)
		r = cloud_read_info(b, name, &a, info_out);
	http_answer_release(&a);
	return r == -ENOENT ? ask_what_lacks(b, c, name) : r;
}

static int s3_sync(struct backend *b, const struct backend_call *c,
		   const char *name)
{
	struct backend_info info;

	return s3_head(b, c, name, &info);
}

static int s3_delete(struct backend *b, const struct backend_call *c,
		     const char *name)
{
	struct http_answer a = { .status = 0 };
	const struct s3_asking q = { .method = "DELETE", .key = name };
	int r = s3_ask(s3_of(b), c, &q, &a);

	if (r == -EFBIG)
		r = -EAGAIN;
	http_answer_release(&a);
	/* Most stores say so of what was not there; and libcurl asks again by
	 * itself where a connection that it had kept was closed. */
	return r == -ENOENT ? 0 : r;
}

/* ---- the place ---- */

static int s3_probe(struct backend *b)
{
	return backend_probe_all(b, b);
}

static int ask_bucket(struct backend *b, const char *method)
{
	struct backend_trial t = backend_begin(b, "look at", "the bucket");
	const struct s3_asking q = { .method = method };
	struct http_answer a;
	struct s3_signed was;
	long status;
	int r;

	do {
		memset(&a, 0, sizeof(a));
		r = s3_ask_once(s3_of(b), &t.call, &q, &a, &was);
		if (r == 0 && s3_is_corrected(s3_of(b), &a, &was))
			r = -EAGAIN;
		status = a.status;
		if (r == 0 && status >= 500)
			r = -EAGAIN;
		if (r == 0 && status > 299 && status != 404 && status != 409)
			r = s3_refuse(s3_of(b), &t.call, &q, &a);
		http_answer_release(&a);
	} while (backend_try_again(&t, &r));
	return r < 0 ? r : status == 404 ? -ENOENT : 0;
}

/* The bucket is made where there is none. */
static int s3_create(struct backend *b)
{
	int r = ask_bucket(b, "HEAD");

	if (r == -ENOENT)
		r = ask_bucket(b, "PUT");
	return r < 0 ? r : cloud_check_empty(b);
}

static void s3_close(struct backend *b)
{
	struct backend_s3 *s = s3_of(b);

	http_free(s->http);
	s3_keys_release(&s->keys);
	s3_place_release(&s->place);
	pthread_mutex_destroy(&s->lock);
	backend_release(b);
	free(s);
}

static const struct backend_ops s3_ops = {
	.put = s3_put,
	.replace = s3_replace,
	.get = s3_get,
	.get_all = s3_get_all,
	.head = s3_head,
	.list = s3_list,
	.sync = s3_sync,
	.delete = s3_delete,
	.delete_many = s3_delete_many,
	.probe = s3_probe,
	.create = s3_create,
	.close = s3_close,
};

int backend_s3_open(const char *url, const char *rest,
		    const struct backend_options *o, bool create,
		    struct backend **out)
{
	struct backend_s3 *s = calloc(1, sizeof(*s));
	struct http_options h = { .ca_file = NULL };
	int r;

	(void)create;
	*out = NULL;
	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	r = backend_init(&s->b, &s3_ops, url, o);
	if (r == 0)
		r = s3_place_parse(url, rest, &s->place);
	if (r == 0)
		r = s3_keys_find(&s->keys);
	if (r == 0) {
		h.ca_file = getenv("AWS_CA_BUNDLE");
		if (!h.ca_file)
			h.ca_file = getenv("SSL_CERT_FILE");
		r = http_new(&h, &s->http);
	}
	if (r < 0)
		s3_close(&s->b);
	else
		*out = &s->b;
	return r;
}
