/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What libcurl is told of a request, and what is taken of an answer. */
#include "config.h"

#include "store/backend/http_internal.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "store/base/log.h"

#define CONNECT_MS 10000L
#define LOW_SPEED_SECONDS 60L
#define BUFFER_BYTES (512L << 10)
#define IDLE_SECONDS 20L /* servers close connections that idle longer */
#define HEADERS_BYTES_MAX (64u << 10) /* of an answer, and of those before it */
#define EXPECT_MIN (1u << 20) /* bytes for which the server is asked first */

/* ---- an answer ---- */

static struct {
	const char *name;
	size_t at;
} const kept_headers[] = {
	{ "content-range", offsetof(struct http_answer, content_range) },
	{ "content-length", offsetof(struct http_answer, content_length) },
	{ "last-modified", offsetof(struct http_answer, last_modified) },
	{ "transfer-encoding",
	  offsetof(struct http_answer, transfer_encoding) },
	{ "etag", offsetof(struct http_answer, etag) },
	{ "date", offsetof(struct http_answer, date) },
	{ "x-amz-bucket-region", offsetof(struct http_answer, region) },
	{ "x-ms-error-code", offsetof(struct http_answer, error) },
	{ "retry-after", offsetof(struct http_answer, retry_after) },
};

static void clear_headers(struct http_answer *a)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kept_headers); i++)
		((char *)a + kept_headers[i].at)[0] = '\0';
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct job *j = arg;
	size_t len = size * n, name, i;
	char *colon, *out;

	j->header_bytes += MIN(len, HEADERS_BYTES_MAX);
	if (j->header_bytes > HEADERS_BYTES_MAX) {
		j->is_malformed = true;
		return 0;
	}
	/* A new answer begins: that before was to say that it will come. */
	if (len > 5 && strncasecmp(line, "HTTP/", 5) == 0)
		clear_headers(j->a);
	colon = memchr(line, ':', len);
	if (!colon)
		return len;
	name = (size_t)(colon - line);
	for (i = 0; i < ARRAY_SIZE(kept_headers); i++) {
		if (strlen(kept_headers[i].name) != name ||
		    strncasecmp(kept_headers[i].name, line, name) != 0)
			continue;
		out = (char *)j->a + kept_headers[i].at;
		for (name++; name < len && isspace((uint8_t)line[name]); name++)
			;
		while (len > name && isspace((uint8_t)line[len - 1]))
			len--;
		if (len - name >= HTTP_HEADER_MAX) {
			j->is_malformed = true;
			return 0;
		}
		memcpy(out, line + name, len - name);
		out[len - name] = '\0';
		return size * n;
	}
	return size * n;
}

static long status_of(const struct job *j)
{
	long status = 0;

	curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* Only what was asked for goes into the caller's memory; what a refusal says goes to
 * the answer. */
static bool goes_into(const struct job *j)
{
	long status = status_of(j);

	return j->rq->into && (status == 200 || status == 206);
}

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
	struct job *j = arg;
	size_t len = size * n;
	struct http_answer *a = j->a;

	if (goes_into(j)) {
		if (len > j->rq->into_len - a->into_len) {
			j->is_too_long = true;
			return 0;
		}
		memcpy((uint8_t *)j->rq->into + a->into_len, data, len);
		a->into_len += len;
		return len;
	}
	if (len > j->rq->max - MIN(a->body.len, j->rq->max)) {
		/* Of a gateway's page the status is enough. */
		if (status_of(j) > 299)
			j->is_cut = true;
		else
			j->is_too_long = true;
		return 0;
	}
	buf_put(&a->body, data, len);
	return buf_error(&a->body) < 0 ? 0 : len;
}

static size_t on_send(char *out, size_t size, size_t n, void *arg)
{
	struct job *j = arg;
	size_t len = MIN(size * n, j->rq->body_len - j->sent);

	if (len)
		memcpy(out, (const uint8_t *)j->rq->body + j->sent, len);
	j->sent += len;
	return len;
}

/* libcurl begins anew where a connection that it kept was closed by the server. */
static int on_seek(void *arg, curl_off_t off, int origin)
{
	struct job *j = arg;

	if (origin != SEEK_SET || off < 0 ||
	    (uint64_t)off > (uint64_t)j->rq->body_len)
		return CURL_SEEKFUNC_FAIL;
	j->sent = (size_t)off;
	return CURL_SEEKFUNC_OK;
}

/* ---- a request ---- */

#define SET(option, value)                                                     \
	(bad |= curl_easy_setopt(e, option, value) != CURLE_OK)

bool job_set_always(CURL *e, const char *ca_file, long low_speed)
{
	bool bad = false;

	SET(CURLOPT_NOSIGNAL, 1L);
	/* Or the loop, and with it all others, would wait for a name server. */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_HTTP_CONTENT_DECODING, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	/* With a directory of certificates each connection reads them all. */
	SET(CURLOPT_CAPATH, NULL);
	if (ca_file)
		SET(CURLOPT_CAINFO, ca_file);
	SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
	SET(CURLOPT_LOW_SPEED_LIMIT, low_speed);
	SET(CURLOPT_LOW_SPEED_TIME, LOW_SPEED_SECONDS);
	SET(CURLOPT_TCP_KEEPALIVE, 1L);
	SET(CURLOPT_MAXAGE_CONN, IDLE_SECONDS);
	SET(CURLOPT_BUFFERSIZE, BUFFER_BYTES);
	SET(CURLOPT_UPLOAD_BUFFERSIZE, BUFFER_BYTES);
	return bad;
}

/* Nothing on this machine is asked for by way of another, whatever http_proxy says. */
static bool is_here(const char *url)
{
	const char *host = strstr(url, "://");
	size_t len = host ? strcspn(host + 3, "/?") : 0;

	host = host ? host + 3 : url;
	if (len >= 5 && strncmp(host, "[::1]", 5) == 0)
		return true;
	len = MIN(len, strcspn(host, ":"));
	return (len == 9 && strncasecmp(host, "localhost", 9) == 0) ||
	       (strncmp(host, "127.", 4) == 0 &&
		strspn(host, "0123456789.") == len);
}

bool job_set_request(struct job *j)
{
	const struct http_request *rq = j->rq;
	CURL *e = j->easy;
	bool bad = false;

	SET(CURLOPT_URL, rq->url);
	if (is_here(rq->url))
		SET(CURLOPT_PROXY, "");
	SET(CURLOPT_PRIVATE, j);
	SET(CURLOPT_ERRORBUFFER, j->text);
	SET(CURLOPT_HTTPHEADER, j->headers);
	SET(CURLOPT_HEADERFUNCTION, on_header);
	SET(CURLOPT_HEADERDATA, j);
	SET(CURLOPT_WRITEFUNCTION, on_body);
	SET(CURLOPT_WRITEDATA, j);
	if (strcmp(rq->method, "HEAD") == 0) {
		SET(CURLOPT_NOBODY, 1L);
	} else if (rq->body || strcmp(rq->method, "PUT") == 0 ||
		   strcmp(rq->method, "POST") == 0) {
		SET(CURLOPT_UPLOAD, 1L);
		SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)rq->body_len);
		SET(CURLOPT_READFUNCTION, on_send);
		SET(CURLOPT_READDATA, j);
		SET(CURLOPT_SEEKFUNCTION, on_seek);
		SET(CURLOPT_SEEKDATA, j);
	}
	SET(CURLOPT_CUSTOMREQUEST, rq->method);
	return bad;
}

static bool add_header(struct job *j, const char *line)
{
	struct curl_slist *more = curl_slist_append(j->headers, line);

	j->headers = more ? more : j->headers;
	return more != NULL;
}

bool job_add_headers(struct job *j)
{
	size_t i;

	for (i = 0; i < HTTP_HEADERS_MAX && j->rq->headers[i]; i++)
		if (!add_header(j, j->rq->headers[i]))
			return false;
	/* One round trip, to be refused before a pack is sent. */
	return j->rq->body_len >= EXPECT_MIN || add_header(j, "Expect:");
}

static int error_of(const struct job *j, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OUT_OF_MEMORY:
		return -ENOMEM;
	case CURLE_OPERATION_TIMEDOUT:
		return -ETIMEDOUT;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_ISSUER_ERROR:
		return fail(-EHOSTUNREACH,
			    "the store's certificate cannot be trusted: %s",
			    j->text[0] ? j->text : curl_easy_strerror(code));
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		return fail(-EINVAL, "%s",
			    j->text[0] ? j->text : curl_easy_strerror(code));
	default:
		return -EAGAIN;
	}
}

/* A body that ends with the connection may have been cut off anywhere. */
static bool has_no_end(const struct job *j)
{
	long status = status_of(j);

	return status >= 200 && status <= 299 && status != 204 &&
	       strcmp(j->rq->method, "HEAD") != 0 && !j->a->content_length[0] &&
	       !j->a->transfer_encoding[0];
}

int job_result(const struct job *j, CURLcode code)
{
	if (j->is_cut) {
		buf_release(&j->a->body);
		return 0;
	}
	if (j->is_too_long)
		return -EFBIG;
	if (j->is_malformed)
		return fail(-EIO,
			    "the store's answer has a header of more "
			    "than %d bytes, or too many",
			    HTTP_HEADER_MAX);
	if (code == CURLE_WRITE_ERROR && buf_error(&j->a->body) < 0)
		return -ENOMEM;
	if (code == CURLE_PARTIAL_FILE || (code == CURLE_OK && has_no_end(j))) {
		j->a->is_short = true;
		return -EAGAIN;
	}
	return error_of(j, code);
}
