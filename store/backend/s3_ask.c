/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request to S3: its lines, its signature, and what the answer means. */
#include "config.h"

#include "store/backend/s3_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/cloud.h"
#include "store/backend/s3_sign.h"
#include "store/backend/xml.h"
#include "store/base/hex.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/crypt.h"

/* What the store says of an error. */
struct s3_error {
	char code[64], region[S3_REGION_MAX];
};

static int on_error_element(void *arg, const char *parent, const char *name,
			    const char *text)
{
	struct s3_error *e = arg;

	if (strcmp(parent, "Error") == 0 && strcmp(name, "Code") == 0)
		snprintf(e->code, sizeof(e->code), "%.63s", text);
	if (strcmp(parent, "Error") == 0 && strcmp(name, "Region") == 0)
		snprintf(e->region, sizeof(e->region), "%.63s", text);
	return 0;
}

static void read_error(const struct http_answer *a, struct s3_error *out)
{
	memset(out, 0, sizeof(*out));
	/* A gateway's page is no answer of the store's: its status is all. */
	if (a->body.len &&
	    xml_parse(a->body.data, a->body.len, on_error_element, out) < 0)
		out->code[0] = '\0';
	if (a->region[0])
		snprintf(out->region, sizeof(out->region), "%.63s", a->region);
}

static void get_region(struct backend_s3 *s, char out[S3_REGION_MAX])
{
	SCOPED_LOCK(&s->lock);
	memcpy(out, s->place.region, S3_REGION_MAX);
}

/* Return whether it is another than that which a request was signed with. */
static bool set_region(struct backend_s3 *s, const char *region,
		       const struct s3_signed *was)
{
	if (!region[0] ||
	    strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-_") !=
		    strlen(region))
		return false;
	SCOPED_LOCK(&s->lock);
	snprintf(s->place.region, sizeof(s->place.region), "%.63s", region);
	return strcmp(was->region, region) != 0;
}

static bool set_clock(struct backend_s3 *s, const char *date,
		      const struct s3_signed *was)
{
	int64_t now = cloud_skew(&s->b, date, was->skew_s);

	if (now == was->skew_s)
		return false;
	atomic_store(&s->skew_s, now);
	return true;
}

/* The request's lines, which live until it is answered. */
struct s3_lines {
	struct buf url, path, authorization, host;
	char hash_line[100], time_line[40], token[4200], checksum[100],
		hash[S3_HASH_LEN + 1], time[S3_TIME_LEN + 1];
	struct s3_signed with;
};

static void release_lines(struct s3_lines *l)
{
	buf_release(&l->url);
	buf_release(&l->path);
	buf_release(&l->authorization);
	buf_release(&l->host);
	secret_wipe(l->token, sizeof(l->token));
}

static int hash_body(const struct s3_asking *q, char hex[S3_HASH_LEN + 1])
{
	uint8_t hash[CRYPT_SHA256_LEN];
	int r = crypt_sha256(q->body ? q->body : "", q->body_len, hash);

	hex_encode(hash, sizeof(hash), hex);
	return r;
}

static void put_path(const struct backend_s3 *s, const char *key,
		     struct buf *out)
{
	char root[128];

	s3_encode(s3_place_root(&s->place, root), "/", out);
	if (key) {
		s3_encode(s->place.prefix, "/", out);
		s3_encode(key, "/", out);
	}
	buf_put_u8(out, '\0');
}

static int sign(struct backend_s3 *s, const struct s3_asking *q,
		struct s3_lines *l)
{
	struct s3_header headers[S3_SIGNED_MAX];
	struct s3_signing x = { .method = q->method,
				.path = (const char *)l->path.data,
				.query = q->query ? q->query : "",
				.headers = headers,
				.payload_hash = l->hash,
				.time = l->time,
				.region = l->with.region,
				.id = s->keys.id,
				.secret = s->keys.secret->data,
				.secret_len = s->keys.secret->len };
	int r;

	headers[x.nheaders++] = (struct s3_header){ "host", s->place.host };
	if (q->checksum)
		headers[x.nheaders++] =
			(struct s3_header){ "x-amz-checksum-sha256",
					    q->checksum };
	headers[x.nheaders++] =
		(struct s3_header){ "x-amz-content-sha256", l->hash };
	headers[x.nheaders++] = (struct s3_header){ "x-amz-date", l->time };
	if (s->keys.token[0])
		headers[x.nheaders++] =
			(struct s3_header){ "x-amz-security-token",
					    s->keys.token };
	r = s3_sign(&x, &l->authorization);
	buf_put_u8(&l->authorization, '\0');
	return r < 0 ? r : buf_error(&l->authorization);
}

static int make_lines(struct backend_s3 *s, const struct s3_asking *q,
		      struct s3_lines *l, struct http_request *rq)
{
	struct seam *seam = s->b.options.seam;
	size_t n = 0;
	int r = hash_body(q, l->hash);

	l->with.skew_s = atomic_load(&s->skew_s);
	s3_time(seam->ops->realtime_ns(seam) / 1000000000 + l->with.skew_s,
		l->time);
	get_region(s, l->with.region);
	put_path(s, q->key, &l->path);
	buf_printf(&l->url, "%s%s%s%s", s->place.endpoint,
		   (const char *)(l->path.data ? l->path.data : (uint8_t *)""),
		   q->query && *q->query ? "?" : "", q->query ? q->query : "");
	buf_put_u8(&l->url, '\0');
	/* libcurl's own would lack the port where it is the usual one. */
	buf_printf(&l->host, "Host: %s", s->place.host);
	buf_put_u8(&l->host, '\0');
	if (r == 0)
		r = buf_error(&l->host);
	if (r == 0)
		r = buf_error(&l->path);
	if (r == 0)
		r = buf_error(&l->url);
	if (r == 0)
		r = sign(s, q, l);
	if (r < 0)
		return r;
	snprintf(l->hash_line, sizeof(l->hash_line), "x-amz-content-sha256: %s",
		 l->hash);
	snprintf(l->time_line, sizeof(l->time_line), "x-amz-date: %s", l->time);
	rq->method = q->method;
	rq->url = (const char *)l->url.data;
	rq->headers[n++] = (const char *)l->authorization.data;
	rq->headers[n++] = (const char *)l->host.data;
	rq->headers[n++] = l->hash_line;
	rq->headers[n++] = l->time_line;
	rq->headers[n++] = "Content-Type:";
	if (s->keys.token[0]) {
		snprintf(l->token, sizeof(l->token), "x-amz-security-token: %s",
			 s->keys.token);
		rq->headers[n++] = l->token;
	}
	if (q->checksum) {
		snprintf(l->checksum, sizeof(l->checksum),
			 "x-amz-checksum-sha256: %s", q->checksum);
		rq->headers[n++] = l->checksum;
	}
	if (q->extra)
		rq->headers[n++] = q->extra;
	rq->body = q->body;
	rq->body_len = q->body_len;
	rq->into = q->into;
	rq->into_len = q->into_len;
	rq->max = MAX(q->max, CLOUD_ERROR_MAX);
	rq->is_bulk = q->body_len >= CLOUD_BULK_MIN ||
		      q->into_len >= CLOUD_BULK_MIN || q->max >= CLOUD_BULK_MIN;
	return 0;
}

int s3_ask_once(struct backend_s3 *s, const struct backend_call *c,
		const struct s3_asking *q, struct http_answer *a,
		struct s3_signed *was)
{
	struct s3_lines *l = calloc(1, sizeof(*l));
	struct http_request rq = { .method = NULL };
	int r = l ? make_lines(s, q, l, &rq) : -ENOMEM;

	if (r == 0)
		r = http_run(s->http, c, &rq, a);
	if (l) {
		*was = l->with;
		release_lines(l);
	}
	free(l);
	return r;
}

static bool is_reading(const struct s3_asking *q)
{
	return strcmp(q->method, "GET") == 0 || strcmp(q->method, "HEAD") == 0;
}

/* What an answer other than the wanted one means. */
int s3_refuse(struct backend_s3 *s, const struct backend_call *c,
	      const struct s3_asking *q, const struct http_answer *a)
{
	const char *url = s->b.url, *key = q->key ? q->key : "the bucket";
	struct s3_error e;

	read_error(a, &e);
	switch (a->status) {
	case 404:
		/* Only of what says so it is known that it is absent; of HEAD it
		 * is asked once more. */
		if (q->key && (strcmp(e.code, "NoSuchKey") == 0 ||
			       strcmp(q->method, "HEAD") == 0))
			return -ENOENT;
		if (strcmp(e.code, "NoSuchBucket") == 0)
			return fail(-EHOSTUNREACH,
				    "vault %s: there is no bucket %s", url,
				    s->place.bucket);
		break;
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return cloud_be_patient(c, a);
	case 412:
		if (strcmp(q->method, "PUT") == 0 &&
		    strcmp(e.code, "PreconditionFailed") == 0)
			return -EEXIST;
		/* It was cut off, or is another's: asked again the store says. */
		if (!e.code[0])
			return -EAGAIN;
		break;
	case 409:
		/* Somebody else is just putting it, or deletes it. */
		return -EAGAIN;
	case 400:
		if (strcmp(e.code, "RequestTimeout") == 0)
			return -EAGAIN;
		break;
	case 401:
	case 403:
		return fail(-EACCES, "vault %s: the store refuses to %s %s: %s",
			    url, is_reading(q) ? "show" : "change", key,
			    e.code[0] ? e.code : "no reason is given");
	case 405:
	case 501:
		return fail(-EOPNOTSUPP,
			    "vault %s: the store cannot do this with %s: %s",
			    url, key, e.code);
	case 507:
		return fail(-ENOSPC, "vault %s: the store is full", url);
	}
	return fail(-EIO, "vault %s: %s: the store answers %ld %s", url, key,
		    a->status, e.code);
}

/* Is it the clock, or the region, so that the next try may be right? */
bool s3_is_corrected(struct backend_s3 *s, const struct http_answer *a,
		     const struct s3_signed *was)
{
	struct s3_error e;

	if (a->status != 403 && a->status != 400 && a->status != 301)
		return false;
	read_error(a, &e);
	/* The answer to HEAD tells no reason. */
	if (a->status == 403)
		return (!e.code[0] ||
			strcmp(e.code, "RequestTimeTooSkewed") == 0) &&
		       set_clock(s, a->date, was);
	return set_region(s, e.region, was);
}

/* Ask; any answer but 2xx is an error. */
int s3_ask(struct backend_s3 *s, const struct backend_call *c,
	   const struct s3_asking *q, struct http_answer *a)
{
	struct s3_signed was;
	int r = s3_ask_once(s, c, q, a, &was), tries;

	for (tries = 0; r == 0 && tries < 3 && s3_is_corrected(s, a, &was);
	     tries++) {
		http_answer_release(a);
		memset(a, 0, sizeof(*a));
		r = s3_ask_once(s, c, q, a, &was);
	}
	if (r == 0 && (a->status < 200 || a->status > 299))
		r = s3_refuse(s, c, q, a);
	return r;
}
