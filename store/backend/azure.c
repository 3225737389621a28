/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A vault in a container of Azure Blob Storage. An object of the vault is a block blob,
 * put with one request, with "If-None-Match: *". Requests are signed with the account's
 * key ("Authorize with Shared Key" in the REST API's reference), or have the token of a
 * shared access signature behind their URL, which is never said.
 */
#include "config.h"

#include "store/backend/azure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/backend/azure_internal.h"
#include "store/backend/cloud.h"
#include "store/backend/s3_sign.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/base/text.h"
#include "store/crypt/crypt.h"

#define VERSION_LINE "x-ms-version:2021-12-02"

/* ---- a request ---- */

struct azure_lines {
	struct buf path, url, text, authorization;
	char date[64];
};

static void release_lines(struct azure_lines *l)
{
	buf_release(&l->path);
	if (l->url.data)
		secret_wipe(l->url.data, l->url.len);
	buf_release(&l->url);
	buf_release(&l->text);
	buf_release(&l->authorization);
}

/* As in RFC 1123, in English whatever the language of this process. */
static void put_date(int64_t seconds, char out[64])
{
	static const char days[][4] = { "Sun", "Mon", "Tue", "Wed",
					"Thu", "Fri", "Sat" };
	static const char months[][4] = { "Jan", "Feb", "Mar", "Apr",
					  "May", "Jun", "Jul", "Aug",
					  "Sep", "Oct", "Nov", "Dec" };
	time_t t = (time_t)seconds;
	struct tm tm = { 0 };

	(void)gmtime_r(&t, &tm);
	snprintf(out, 64, "x-ms-date:%s, %02d %s %04d %02d:%02d:%02d GMT",
		 days[tm.tm_wday], tm.tm_mday, months[tm.tm_mon],
		 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* What is signed: see the reference. Headers that are not sent are empty. */
static void put_text(const struct backend_azure *s,
		     const struct azure_asking *q, const struct azure_lines *l,
		     struct buf *out)
{
	buf_printf(out, "%s\n\n\n", q->method);
	if (q->body_len)
		buf_printf(out, "%zu", q->body_len);
	buf_printf(out, "\n\n\n\n\n\n%s\n\n\n", q->is_new ? "*" : "");
	if (q->body)
		buf_printf(out, "x-ms-blob-type:BlockBlob\n");
	buf_printf(out, "%s\n", l->date);
	if (q->range)
		buf_printf(out, "%s\n", q->range);
	buf_printf(out, VERSION_LINE "\n/%s%s%s", s->place.account,
		   (const char *)l->path.data,
		   q->signed_query ? q->signed_query : "");
}

static int sign(const struct backend_azure *s, const struct azure_asking *q,
		struct azure_lines *l)
{
	uint8_t mac[CRYPT_SHA256_LEN];
	int r;

	put_text(s, q, l, &l->text);
	r = buf_error(&l->text);
	if (r == 0)
		r = crypt_hmac(s->place.key->data, s->place.key->len,
			       l->text.data, l->text.len, mac);
	if (r < 0)
		return r;
	buf_printf(&l->authorization,
		   "Authorization: SharedKey %s:", s->place.account);
	text_put_base64(&l->authorization, mac, sizeof(mac));
	buf_put_u8(&l->authorization, '\0');
	return buf_error(&l->authorization);
}

static void put_url(const struct backend_azure *s, const struct azure_asking *q,
		    struct azure_lines *l)
{
	const char *mark = "?";

	buf_printf(&l->path, "%s/%s", s->place.base, s->place.container);
	if (q->name) {
		buf_put_u8(&l->path, '/');
		s3_encode(s->place.prefix, "/", &l->path);
		s3_encode(q->name, "/", &l->path);
	}
	buf_put_u8(&l->path, '\0');
	if (buf_error(&l->path) < 0)
		return;
	buf_printf(&l->url, "%s%s", s->place.endpoint,
		   (const char *)l->path.data);
	if (q->query) {
		buf_printf(&l->url, "?%s", q->query);
		mark = "&";
	}
	if (s->place.token)
		buf_printf(&l->url, "%s%s", mark,
			   (const char *)s->place.token->data);
	buf_put_u8(&l->url, '\0');
}

/* *@skew_s: what it was signed with, which another thread may have corrected since. */
static int ask_once(struct backend_azure *s, const struct backend_call *c,
		    const struct azure_asking *q, struct http_answer *a,
		    int64_t *skew_s)
{
	struct seam *seam = s->b.options.seam;
	struct azure_lines l = { .date = "" };
	struct http_request rq = { .method = q->method };
	size_t n = 0;
	int r;

	*skew_s = atomic_load(&s->skew_s);
	put_date(seam->ops->realtime_ns(seam) / 1000000000 + *skew_s, l.date);
	put_url(s, q, &l);
	r = buf_error(&l.path);
	if (r == 0)
		r = buf_error(&l.url);
	if (r == 0 && !s->place.token)
		r = sign(s, q, &l);
	rq.url = (const char *)l.url.data;
	rq.headers[n++] = VERSION_LINE;
	rq.headers[n++] = l.date;
	rq.headers[n++] = "Content-Type:";
	if (!s->place.token)
		rq.headers[n++] = (const char *)l.authorization.data;
	if (q->body)
		rq.headers[n++] = "x-ms-blob-type:BlockBlob";
	if (q->range)
		rq.headers[n++] = q->range;
	if (q->is_new)
		rq.headers[n++] = "If-None-Match: *";
	rq.body = q->body;
	rq.body_len = q->body_len;
	rq.into = q->into;
	rq.into_len = q->into_len;
	rq.max = MAX(q->max, CLOUD_ERROR_MAX);
	rq.is_bulk = q->body_len >= CLOUD_BULK_MIN ||
		     q->into_len >= CLOUD_BULK_MIN || q->max >= CLOUD_BULK_MIN;
	if (r == 0)
		r = http_run(s->http, c, &rq, a);
	release_lines(&l);
	return r;
}

static bool says(const struct http_answer *a, const char *code)
{
	return strcmp(a->error, code) == 0;
}

/* What an answer other than the wanted one means. The code is in a header, with HEAD,
 * too. */
static int refuse(struct backend_azure *s, const struct backend_call *c,
		  const struct azure_asking *q, const struct http_answer *a)
{
	const char *url = s->b.url;
	const char *name = q->name ? q->name : "the container";
	const char *code = a->error[0] ? a->error : "no reason is given";

	switch (a->status) {
	case 404:
		/* Only of what says so it is known that it is absent. */
		if (q->name && says(a, "BlobNotFound"))
			return -ENOENT;
		if (says(a, "ContainerNotFound"))
			return fail(-EHOSTUNREACH,
				    "vault %s: there is no container %s", url,
				    s->place.container);
		break;
	case 408:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return cloud_be_patient(c, a);
	case 412:
		/* Also said of a lease, which is none of ours. */
		if (q->is_new && says(a, "ConditionNotMet"))
			return -EEXIST;
		break;
	case 409:
		if (says(a, "BlobAlreadyExists"))
			return -EEXIST;
		if (says(a, "ContainerBeingDeleted") ||
		    says(a, "OperationTimedOut"))
			return -EAGAIN;
		break;
	case 401:
	case 403:
		return fail(-EACCES, "vault %s: the store refuses to %s %s: %s",
			    url,
			    strcmp(q->method, "GET") == 0 ||
					    strcmp(q->method, "HEAD") == 0
				    ? "show"
				    : "change",
			    name, code);
	case 405:
	case 501:
		return fail(-EOPNOTSUPP,
			    "vault %s: the store cannot do this with %s: %s",
			    url, name, code);
	case 507:
		return fail(-ENOSPC, "vault %s: the store is full", url);
	}
	return fail(-EIO, "vault %s: %s: the store answers %ld %s", url, name,
		    a->status, code);
}

/* A clock that is wrong makes a signature that is. */
static bool is_corrected(struct backend_azure *s, const struct http_answer *a,
			 int64_t before)
{
	int64_t now;

	if (a->status != 403 || !says(a, "AuthenticationFailed"))
		return false;
	now = cloud_skew(&s->b, a->date, before);
	if (now == before)
		return false;
	atomic_store(&s->skew_s, now);
	return true;
}

/* Ask; any answer but 2xx is an error. */
int azure_ask(struct backend_azure *s, const struct backend_call *c,
	      const struct azure_asking *q, struct http_answer *a)
{
	int64_t skew_s;
	int r = ask_once(s, c, q, a, &skew_s);

	if (r == 0 && is_corrected(s, a, skew_s)) {
		http_answer_release(a);
		memset(a, 0, sizeof(*a));
		r = ask_once(s, c, q, a, &skew_s);
	}
	if (r == 0 && (a->status < 200 || a->status > 299))
		r = refuse(s, c, q, a);
	return r;
}

/* ---- operations ---- */

static int azure_head(struct backend *b, const struct backend_call *c,
		      const char *name, struct backend_info *info_out)
{
	struct http_answer a = { .status = 0 };
	const struct azure_asking q = { .method = "HEAD", .name = name };
	int r = azure_ask(azure_of(b), c, &q, &a);

	if (r == 0)
		r = cloud_read_info(b, name, &a, info_out);
	http_answer_release(&a);
	return r;
}

static int put(struct backend *b, const struct backend_call *c,
	       const char *name, const void *data, size_t len, bool is_new)
{
	struct http_answer a = { .status = 0 };
	const struct azure_asking q = { .method = "PUT",
					.name = name,
					.is_new = is_new,
					.body = len ? data : "",
					.body_len = len };
	struct backend_info info;
	int r = azure_ask(azure_of(b), c, &q, &a);

	/* Something else may answer in the store's place: then nothing is known. */
	if (r == -EFBIG || (r == 0 && (a.status != 201 || !a.etag[0])))
		r = -EAGAIN;
	/* Whoever may create and not write hears nothing else of what is there. */
	if (r == -EACCES && is_new &&
	    says(&a, "AuthorizationPermissionMismatch") &&
	    azure_head(b, c, name, &info) == 0)
		r = -EEXIST;
	http_answer_release(&a);
	return r;
}

static int azure_put(struct backend *b, const struct backend_call *c,
		     const char *name, const void *data, size_t len)
{
	return put(b, c, name, data, len, true);
}

static int azure_replace(struct backend *b, const struct backend_call *c,
			 const char *name, const void *data, size_t len)
{
	return put(b, c, name, data, len, false);
}

static int azure_get(struct backend *b, const struct backend_call *c,
		     const char *name, uint64_t off, void *data, size_t len)
{
	struct http_answer a = { .status = 0 };
	struct backend_info info;
	char range[80];
	const struct azure_asking q = { .method = "GET",
					.name = name,
					.range = range,
					.into = data,
					.into_len = len };
	int r;

	if (len == 0) {
		r = azure_head(b, c, name, &info);
		return r == 0 && info.size < off ? cloud_truncated(b, name, off)
						 : r;
	}
	snprintf(range, sizeof(range), "x-ms-range:bytes=%" PRIu64 "-%" PRIu64,
		 off, off + len - 1);
	r = azure_ask(azure_of(b), c, &q, &a);
	r = cloud_judge_part(b, name, &a, off, len, r);
	http_answer_release(&a);
	return r;
}

static int azure_get_all(struct backend *b, const struct backend_call *c,
			 const char *name, size_t max, uint8_t **out,
			 size_t *len_out)
{
	struct http_answer a = { .status = 0 };
	const struct azure_asking q = { .method = "GET",
					.name = name,
					.max = max };
	int r = azure_ask(azure_of(b), c, &q, &a);

	r = cloud_take_all(&a, max, r, out, len_out);
	http_answer_release(&a);
	return r;
}

static int azure_sync(struct backend *b, const struct backend_call *c,
		      const char *name)
{
	struct backend_info info;

	return azure_head(b, c, name, &info);
}

static int azure_delete(struct backend *b, const struct backend_call *c,
			const char *name)
{
	struct http_answer a = { .status = 0 };
	const struct azure_asking q = { .method = "DELETE", .name = name };
	int r = azure_ask(azure_of(b), c, &q, &a);

	if (r == -EFBIG || (r == 0 && a.status != 202))
		r = -EAGAIN;
	http_answer_release(&a);
	/* libcurl asks again by itself where a connection that it had kept was
	 * closed: this may have been done by the first request. */
	return r == -ENOENT ? 0 : r;
}

/* ---- the place ---- */

static int azure_probe(struct backend *b)
{
	return backend_probe_all(b, b);
}

/* The container is made where there is none, and it is allowed. */
static int make_container(struct backend *b)
{
	struct backend_trial t = backend_begin(b, "make", "the container");
	const struct azure_asking q = { .method = "PUT",
					.query = "restype=container",
					.signed_query = "\nrestype:container" };
	struct http_answer a;
	int64_t skew_s;
	int r;

	do {
		memset(&a, 0, sizeof(a));
		r = ask_once(azure_of(b), &t.call, &q, &a, &skew_s);
		if (r == 0 && is_corrected(azure_of(b), &a, skew_s))
			r = -EAGAIN;
		if (r == 0 && (a.status >= 500 || a.status == 429))
			r = -EAGAIN;
		/* It is there already, or the token is for it alone. */
		if (r == 0 && a.status > 299 && a.status != 409 &&
		    a.status != 403)
			r = refuse(azure_of(b), &t.call, &q, &a);
		http_answer_release(&a);
	} while (backend_try_again(&t, &r));
	return r;
}

static int azure_create(struct backend *b)
{
	int r = make_container(b);

	return r < 0 ? r : cloud_check_empty(b);
}

static void azure_close(struct backend *b)
{
	struct backend_azure *s = azure_of(b);

	http_free(s->http);
	azure_place_release(&s->place);
	backend_release(b);
	free(s);
}

static const struct backend_ops azure_ops = {
	.put = azure_put,
	.replace = azure_replace,
	.get = azure_get,
	.get_all = azure_get_all,
	.head = azure_head,
	.list = azure_list,
	.sync = azure_sync,
	.delete = azure_delete,
	.probe = azure_probe,
	.create = azure_create,
	.close = azure_close,
};

int backend_azure_open(const char *url, const char *rest,
		       const struct backend_options *o, bool create,
		       struct backend **out)
{
	struct backend_azure *s = calloc(1, sizeof(*s));
	const struct http_options h = { .ca_file = getenv("SSL_CERT_FILE") };
	int r;

	(void)create;
	*out = NULL;
	if (!s)
		return -ENOMEM;
	r = backend_init(&s->b, &azure_ops, url, o);
	if (r == 0)
		r = azure_place_find(url, rest, &s->place);
	if (r == 0)
		r = http_new(&h, &s->http);
	if (r < 0)
		azure_close(&s->b);
	else
		*out = &s->b;
	return r;
}
