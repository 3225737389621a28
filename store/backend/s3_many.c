/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What S3 does with many objects at once: deleting and listing. */
#include "config.h"

#include "store/backend/s3_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/cloud.h"
#include "store/backend/s3_sign.h"
#include "store/backend/xml.h"
#include "store/base/log.h"
#include "store/base/text.h"
#include "store/crypt/crypt.h"

#define PAGE_KEYS 1000
#define DELETE_MAX 1000

/* ---- many at once ---- */

struct s3_deleted {
	char code[64];
	bool is_result;
};

static int on_deleted(void *arg, const char *parent, const char *name,
		      const char *text)
{
	struct s3_deleted *d = arg;
	char *code = d->code;

	if (strcmp(parent, "Error") == 0 && strcmp(name, "Code") == 0 &&
	    strcmp(text, "NoSuchKey") != 0)
		snprintf(code, sizeof(d->code), "%.63s", text);
	if (!*parent && strcmp(name, "DeleteResult") == 0)
		d->is_result = true;
	return 0;
}

/* An answer of 200 may tell of errors. */
static int judge_deleted(struct backend *b, const struct http_answer *a)
{
	struct s3_deleted d = { .code = "" };
	const char *code = d.code;
	int r = xml_parse(a->body.data, a->body.len, on_deleted, &d);

	/* Some other document tells nothing of objects. */
	if (r == -EBADMSG || (r == 0 && !code[0] && !d.is_result))
		return -EAGAIN;
	if (r < 0 || !code[0])
		return r;
	if (strcmp(code, "AccessDenied") == 0)
		return fail(-EACCES,
			    "vault %s: the store refuses to delete: %s", b->url,
			    code);
	return strcmp(code, "InternalError") == 0 ||
			       strcmp(code, "SlowDown") == 0
		       ? -EAGAIN
		       : fail(-EIO, "vault %s: objects cannot be deleted: %s",
			      b->url, code);
}

static int delete_some(struct backend *b, const struct backend_call *c,
		       const char *const *names, size_t n)
{
	struct backend_s3 *s = s3_of(b);
	struct http_answer a = { .status = 0 };
	AUTO_BUF struct buf body = BUF_INIT;
	uint8_t hash[CRYPT_SHA256_LEN];
	AUTO_BUF struct buf checksum = BUF_INIT;
	struct s3_asking q = {
		.method = "POST", .query = "delete=", .max = CLOUD_ANSWER_MAX
	};
	size_t i;
	int r;

	buf_printf(&body, "<Delete><Quiet>true</Quiet>");
	for (i = 0; i < n; i++)
		buf_printf(&body, "<Object><Key>%s%s</Key></Object>",
			   s->place.prefix, names[i]);
	buf_printf(&body, "</Delete>");
	r = buf_error(&body);
	if (r == 0)
		r = crypt_sha256(body.data, body.len, hash);
	if (r < 0)
		return r;
	text_put_base64(&checksum, hash, sizeof(hash));
	buf_put_u8(&checksum, '\0');
	r = buf_error(&checksum);
	if (r < 0)
		return r;
	q.checksum = (const char *)checksum.data;
	q.body = body.data;
	q.body_len = body.len;
	r = s3_ask(s, c, &q, &a);
	if (r == 0)
		r = judge_deleted(b, &a);
	http_answer_release(&a);
	return r;
}

int s3_delete_many(struct backend *b, const struct backend_call *c,
		   const char *const *names, size_t n)
{
	size_t i;
	int r = 0, first = 0;

	for (i = 0; i < n; i += DELETE_MAX) {
		r = delete_some(b, c, names + i, MIN(n - i, DELETE_MAX));
		first = first ? first : r;
	}
	return first;
}

/* ---- listing ---- */

struct s3_page {
	struct backend_s3 *s;
	struct backend_page *page;
	char key[XML_TEXT_MAX + 1], time[64], token[XML_TEXT_MAX + 1];
	uint64_t size;
	bool has_key, has_size, is_cut, is_list, has_cut;
};

/* Keys are encoded as in a URL, for XML cannot have all bytes. */
static int take_key(struct s3_page *x)
{
	const char *prefix = x->s->place.prefix;
	struct backend_info info = { .size = x->size,
				     .stored_ns = cloud_iso_time(x->time) };

	info.placed_ns = info.stored_ns;
	if (!x->has_key || !x->has_size || info.stored_ns <= 0 ||
	    !cloud_url_decode(x->key) ||
	    strncmp(x->key, prefix, strlen(prefix)) != 0)
		return -EBADMSG;
	x->has_key = x->has_size = false;
	x->time[0] = '\0';
	return backend_page_add(x->page, x->key + strlen(prefix), &info);
}

static int on_listed(void *arg, const char *parent, const char *name,
		     const char *text)
{
	struct s3_page *x = arg;

	if (strcmp(parent, "Contents") == 0) {
		if (strcmp(name, "Key") == 0) {
			snprintf(x->key, sizeof(x->key), "%s", text);
			x->has_key = true;
		} else if (strcmp(name, "Size") == 0) {
			x->has_size = cloud_read_size(text, &x->size);
		} else if (strcmp(name, "LastModified") == 0) {
			snprintf(x->time, sizeof(x->time), "%.63s", text);
		}
		return 0;
	}
	if (strcmp(name, "ListBucketResult") == 0 && !*parent)
		x->is_list = true;
	if (strcmp(parent, "ListBucketResult") != 0)
		return 0;
	if (strcmp(name, "Contents") == 0)
		return take_key(x);
	if (strcmp(name, "IsTruncated") == 0) {
		x->is_cut = strcmp(text, "true") == 0;
		x->has_cut = x->is_cut || strcmp(text, "false") == 0;
	} else if (strcmp(name, "NextContinuationToken") == 0) {
		snprintf(x->token, sizeof(x->token), "%s", text);
	}
	return 0;
}

static int read_page(struct backend *b, const char *prefix, const char *token,
		     const struct http_answer *a, struct backend_page *page)
{
	struct s3_page *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->s = s3_of(b);
	x->page = page;
	r = xml_parse(a->body.data, a->body.len, on_listed, x);
	/* Half a listing, or one that goes round in a circle, is none. */
	if (r == -EBADMSG || (r == 0 && !(x->is_list && x->has_cut)) ||
	    (r == 0 && x->is_cut &&
	     (!x->token[0] || (token && strcmp(token, x->token) == 0))))
		r = fail(-EIO,
			 "vault %s: the store's listing of %s is malformed",
			 b->url, *prefix ? prefix : "the vault");
	if (r == 0 && x->is_cut)
		r = backend_page_more(page, x->token);
	free(x);
	return r;
}

int s3_list(struct backend *b, const struct backend_call *c, const char *prefix,
	    const char *token, struct backend_page *page)
{
	struct backend_s3 *s = s3_of(b);
	struct http_answer a = { .status = 0 };
	AUTO_BUF struct buf query = BUF_INIT;
	struct s3_asking q = { .method = "GET", .max = CLOUD_ANSWER_MAX };
	int r;

	if (token) {
		buf_printf(&query, "continuation-token=");
		s3_encode(token, "", &query);
		buf_put_u8(&query, '&');
	}
	buf_printf(&query, "encoding-type=url&list-type=2&max-keys=%d&prefix=",
		   PAGE_KEYS);
	s3_encode(s->place.prefix, "", &query);
	s3_encode(prefix, "", &query);
	buf_put_u8(&query, '\0');
	r = buf_error(&query);
	q.query = (const char *)query.data;
	if (r == 0)
		r = s3_ask(s, c, &q, &a);
	if (r == -EFBIG)
		r = fail(-EIO, "vault %s: the store's listing is too long",
			 b->url);
	if (r == 0)
		r = read_page(b, prefix, token, &a, page);
	http_answer_release(&a);
	return r;
}
