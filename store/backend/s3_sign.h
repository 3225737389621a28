/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * AWS Signature Version 4 of S3's requests, in their Authorization header: see
 * "Authenticating Requests (AWS Signature Version 4)" in the API reference of Amazon S3.
 * That of libcurl 7.88 gets some requests wrong.
 */
#ifndef STORE_BACKEND_S3_SIGN_H
#define STORE_BACKEND_S3_SIGN_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdint.h>

#define S3_TIME_LEN 16 /* "20130524T000000Z" */
#define S3_HASH_LEN 64
#define S3_SIGNED_MAX 8

/* A header that is signed; the name in small letters. */
struct s3_header {
	const char *name, *value;
};

/* What is signed; all borrowed. */
struct s3_signing {
	const char *method;
	const char *path; /* encoded, as it is sent */
	const char *query; /* encoded and sorted, "name=value&..."; may be "" */
	const struct s3_header *headers; /* ascending by name, with "host" */
	size_t nheaders;
	const char *payload_hash; /* as x-amz-content-sha256 has it */
	const char *time; /* as x-amz-date has it */
	const char *region;
	const char *id; /* of the access key */
	const void *secret;
	size_t secret_len;
};

/* Append the Authorization header, "Authorization: ...". Ask buf_error(). Return 0,
 * -ENOMEM or -EIO. */
MUST_CHECK int s3_sign(const struct s3_signing *s, struct buf *out);
/* Write the time, in seconds since 1970, as x-amz-date has it, with its NUL. */
void s3_time(int64_t seconds, char out[S3_TIME_LEN + 1]);
/* Append @text, encoded for a URL: all but letters, digits, "-_.~" and those of
 * @also. */
void s3_encode(const char *text, const char *also, struct buf *out);

#endif
