/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is in a container of Azure. */
#include "config.h"

#include "store/backend/azure_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/cloud.h"
#include "store/backend/s3_sign.h"
#include "store/backend/xml.h"
#include "store/base/log.h"

#define PAGE_BLOBS 5000

struct azure_page {
	struct backend_azure *s;
	struct backend_page *page;
	char name[XML_TEXT_MAX + 1], time[64], marker[XML_TEXT_MAX + 1];
	uint64_t size;
	bool has_name, has_size, is_list, has_marker;
};

static int take_name(struct azure_page *x)
{
	const char *prefix = x->s->place.prefix;
	struct backend_info info = { .size = x->size };
	int64_t seconds = http_date(x->time);

	info.stored_ns = info.placed_ns =
		seconds > 0 ? seconds * 1000000000 : 0;
	if (!x->has_name || !x->has_size || seconds <= 0 ||
	    strncmp(x->name, prefix, strlen(prefix)) != 0)
		return -EBADMSG;
	x->has_name = x->has_size = false;
	x->time[0] = '\0';
	return backend_page_add(x->page, x->name + strlen(prefix), &info);
}

static int on_listed(void *arg, const char *parent, const char *name,
		     const char *text)
{
	struct azure_page *x = arg;

	if (strcmp(parent, "Blob") == 0 && strcmp(name, "Name") == 0) {
		snprintf(x->name, sizeof(x->name), "%s", text);
		x->has_name = true;
	} else if (strcmp(parent, "Properties") == 0) {
		if (strcmp(name, "Content-Length") == 0)
			x->has_size = cloud_read_size(text, &x->size);
		else if (strcmp(name, "Last-Modified") == 0)
			snprintf(x->time, sizeof(x->time), "%.63s", text);
	} else if (strcmp(parent, "Blobs") == 0 && strcmp(name, "Blob") == 0) {
		return take_name(x);
	} else if (strcmp(parent, "EnumerationResults") == 0 &&
		   strcmp(name, "NextMarker") == 0) {
		x->has_marker = true;
		snprintf(x->marker, sizeof(x->marker), "%s", text);
	} else if (!*parent && strcmp(name, "EnumerationResults") == 0) {
		x->is_list = true;
	}
	return 0;
}

static int read_page(struct backend *b, const char *prefix, const char *token,
		     const struct http_answer *a, struct backend_page *page)
{
	struct azure_page *x = calloc(1, sizeof(*x));
	int r;

	if (!x)
		return -ENOMEM;
	x->s = azure_of(b);
	x->page = page;
	r = xml_parse(a->body.data, a->body.len, on_listed, x);
	/* Half a listing, or one that goes round in a circle, is none. */
	if (r == -EBADMSG || (r == 0 && !(x->is_list && x->has_marker)) ||
	    (r == 0 && x->marker[0] && token && strcmp(token, x->marker) == 0))
		r = fail(-EIO,
			 "vault %s: the store's listing of %s is malformed",
			 b->url, *prefix ? prefix : "the vault");
	if (r == 0 && x->marker[0])
		r = backend_page_more(page, x->marker);
	free(x);
	return r;
}

int azure_list(struct backend *b, const struct backend_call *c,
	       const char *prefix, const char *token, struct backend_page *page)
{
	struct backend_azure *s = azure_of(b);
	struct http_answer a = { .status = 0 };
	AUTO_BUF struct buf query = BUF_INIT;
	AUTO_BUF struct buf text = BUF_INIT;
	struct azure_asking q = { .method = "GET", .max = CLOUD_ANSWER_MAX };
	int r;

	buf_printf(&query, "comp=list");
	buf_printf(&text, "\ncomp:list");
	if (token) {
		buf_printf(&query, "&marker=");
		s3_encode(token, "", &query);
		buf_printf(&text, "\nmarker:%s", token);
	}
	buf_printf(&query, "&maxresults=%d&prefix=", PAGE_BLOBS);
	s3_encode(s->place.prefix, "", &query);
	s3_encode(prefix, "", &query);
	buf_printf(&query, "&restype=container");
	buf_put_u8(&query, '\0');
	buf_printf(&text, "\nmaxresults:%d\nprefix:%s%s\nrestype:container",
		   PAGE_BLOBS, s->place.prefix, prefix);
	buf_put_u8(&text, '\0');
	r = buf_error(&query);
	if (r == 0)
		r = buf_error(&text);
	q.query = (const char *)query.data;
	q.signed_query = (const char *)text.data;
	if (r == 0)
		r = azure_ask(s, c, &q, &a);
	if (r == -EFBIG)
		r = fail(-EIO, "vault %s: the store's listing is too long",
			 b->url);
	if (r == 0)
		r = read_page(b, prefix, token, &a, page);
	http_answer_release(&a);
	return r;
}
