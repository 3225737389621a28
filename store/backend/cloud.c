/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/backend/cloud.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/backend/http.h"
#include "store/backend/internal.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"

#define WAIT_MAX_S 60
#define SKEW_MIN_S 300 /* of the 900 that stores bear */

int cloud_be_patient(const struct backend_call *c, const struct http_answer *a)
{
	struct seam *seam = c->b->options.seam;
	long wait_s = strtol(a->retry_after, NULL, 10);
	int64_t until = seam->ops->monotonic_ns(seam) +
			MIN(MAX(wait_s, 0L), WAIT_MAX_S) * INT64_C(1000000000);
	int over = 0;

	while (over == 0 && seam->ops->monotonic_ns(seam) < until) {
		seam->ops->sleep_ns(seam, INT64_C(50) * 1000000);
		over = backend_call_over(c);
	}
	return over < 0 ? over : -EAGAIN;
}

int64_t cloud_iso_time(const char *text)
{
	struct tm tm = { 0 };
	int end = 0;

	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon,
		   &tm.tm_mday, &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &end) != 6)
		return 0;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	return (int64_t)timegm(&tm) * 1000000000;
}

bool cloud_url_decode(char *text)
{
	char *out = text;
	uint8_t byte;

	for (; *text; text++) {
		if (*text != '%') {
			*out++ = *text;
			continue;
		}
		if (!text[1] || !text[2])
			return false;
		for (int i = 1; i < 3; i++)
			if (text[i] >= 'A' && text[i] <= 'F')
				text[i] += 'a' - 'A';
		if (hex_decode(text + 1, 1, &byte) < 0 || byte == 0)
			return false;
		*out++ = (char)byte;
		text += 2;
	}
	*out = '\0';
	return true;
}

bool cloud_read_size(const char *text, uint64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && !*end && !errno &&
	       *out <= INT64_MAX;
}

int cloud_read_info(const struct backend *b, const char *name,
		    const struct http_answer *a, struct backend_info *out)
{
	uint64_t size;

	if (!cloud_read_size(a->content_length, &size))
		return fail(-EIO,
			    "vault %s: the store does not tell how long %s is",
			    b->url, name);
	memset(out, 0, sizeof(*out));
	/* What is taken to be old may be deleted. */
	if (http_date(a->last_modified) < 0 || !a->etag[0])
		return fail(-EIO,
			    "vault %s: the store does not tell since when %s "
			    "is there",
			    b->url, name);
	out->size = size;
	out->stored_ns = http_date(a->last_modified) * 1000000000;
	out->placed_ns = out->stored_ns;
	return 0;
}

int cloud_truncated(const struct backend *b, const char *name, uint64_t need)
{
	return fail(-EBADMSG,
		    "vault %s: object %s ends before byte %" PRIu64
		    ": it was truncated",
		    b->url, name, need);
}

int cloud_judge_part(const struct backend *b, const char *name,
		     const struct http_answer *a, uint64_t off, size_t len,
		     int r)
{
	uint64_t first, last, total;

	if (a->status == 416)
		return cloud_truncated(b, name, off + len);
	if (r == -EFBIG)
		return fail(-EIO,
			    "vault %s: the store gives more of %s than was "
			    "asked for",
			    b->url, name);
	if (r < 0)
		return r;
	/* All of it, and not the part that was asked for. */
	if (a->status != 206 && off > 0)
		return fail(-EOPNOTSUPP,
			    "vault %s: the store gives no part of an object: "
			    "%s",
			    b->url, name);
	/* The end of the object, if the store says that it is; else it is but a
	 * bad answer. */
	if (a->status == 200)
		return !a->etag[0]	    ? -EAGAIN
		       : a->into_len != len ? cloud_truncated(b, name, len)
					    : 0;
	if (sscanf(a->content_range, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64,
		   &first, &last, &total) != 3 ||
	    a->status != 206 || first != off || last < first ||
	    last - first + 1 != a->into_len)
		return -EAGAIN;
	if (a->into_len == len)
		return 0;
	return total < off + len ? cloud_truncated(b, name, off + len)
				 : -EAGAIN;
}

int cloud_take_all(struct http_answer *a, size_t max, int r, uint8_t **out,
		   size_t *len_out)
{
	*out = NULL;
	if (r < 0)
		return r;
	if (a->status != 200 || !a->etag[0])
		return -EAGAIN;
	if (a->body.len > max)
		return -EFBIG;
	*out = a->body.data ? a->body.data : malloc(1);
	*len_out = a->body.len;
	a->body = (struct buf)BUF_INIT;
	return *out ? 0 : -ENOMEM;
}

static int find_any(void *arg, const char *name,
		    const struct backend_info *info)
{
	(void)arg;
	(void)name;
	(void)info;
	return 1;
}

int cloud_check_empty(struct backend *b)
{
	int r = backend_list_plain(b, "", find_any, NULL);

	return r == 1 ? fail(-EEXIST, "vault %s: there is something already",
			     b->url)
		      : r;
}

const char *cloud_variable(const char *name)
{
	const char *v = getenv(name);

	return v && *v ? v : NULL;
}

int64_t cloud_skew(const struct backend *b, const char *date, int64_t skew_s)
{
	struct seam *seam = b->options.seam;
	int64_t theirs = http_date(date),
		ours = seam->ops->realtime_ns(seam) / 1000000000;

	return theirs < 0 || llabs(theirs - ours - skew_s) < SKEW_MIN_S
		       ? skew_s
		       : theirs - ours;
}
