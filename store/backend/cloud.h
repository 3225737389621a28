/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What backends of object stores have in common; private to store/backend. */
#ifndef STORE_BACKEND_CLOUD_H
#define STORE_BACKEND_CLOUD_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct backend;
struct backend_call;
struct backend_info;
struct http_answer;

/* As long as an object is that waits where others go first; and a page of a listing. */
#define CLOUD_BULK_MIN (256u << 10)
#define CLOUD_ANSWER_MAX (8u << 20)
#define CLOUD_ERROR_MAX (64u << 10)

/* Wait as long as the answer says, a minute at most. Return -EAGAIN, or what
 * backend_call_over() says. */
int cloud_be_patient(const struct backend_call *c, const struct http_answer *a);
/* "2013-05-24T00:00:00.000Z" in nanoseconds since 1970; 0: it is no time. */
int64_t cloud_iso_time(const char *text);
/* Return whether @text is a number of bytes that an object may have. */
bool cloud_read_size(const char *text, uint64_t *out);
/* In place. Return whether it was encoded as in a URL, without a zero byte. */
bool cloud_url_decode(char *text);
/* Read how long an object is, and since when it is there. Return 0 or -EIO, said in
 * words. */
MUST_CHECK int cloud_read_info(const struct backend *b, const char *name,
			       const struct http_answer *a,
			       struct backend_info *out);
/* Say that an object ends before byte @need. Return -EBADMSG. */
int cloud_truncated(const struct backend *b, const char *name, uint64_t need);
/* Judge the answer to a request for a part of an object, of @len bytes at @off, that
 * went into the caller's memory. @r: what the request returned. Return 0, -EAGAIN (it
 * is not what was asked for, silent) or another negative errno, said in words. */
MUST_CHECK int cloud_judge_part(const struct backend *b, const char *name,
				const struct http_answer *a, uint64_t off,
				size_t len, int r);
/* Take the whole object that an answer has over, for the caller of backend_get_all().
 * @r: what the request returned. Return as that, or -EAGAIN: the answer is not the
 * store's. */
MUST_CHECK int cloud_take_all(struct http_answer *a, size_t max, int r,
			      uint8_t **out, size_t *len_out);
/* Return 0 where nothing is listed, -EEXIST, said in words, or as backend_list(). */
MUST_CHECK int cloud_check_empty(struct backend *b);
/* A variable of the environment; NULL where there is none, or nothing in it. */
const char *cloud_variable(const char *name);
/* What the clock of the store is ahead, in seconds, where that is a matter of minutes
 * more than @skew_s; else @skew_s. */
int64_t cloud_skew(const struct backend *b, const char *date, int64_t skew_s);

#endif
