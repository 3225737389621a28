/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/backend/s3_sign.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/base/hex.h"
#include "store/base/secret.h"
#include "store/crypt/crypt.h"

#define ALGORITHM "AWS4-HMAC-SHA256"
#define SCOPE_END "s3/aws4_request"
#define DAY_LEN 8

void s3_time(int64_t seconds, char out[S3_TIME_LEN + 1])
{
	time_t t = (time_t)seconds;
	struct tm tm = { 0 };

	(void)gmtime_r(&t, &tm);
	if (strftime(out, S3_TIME_LEN + 1, "%Y%m%dT%H%M%SZ", &tm) !=
	    S3_TIME_LEN)
		out[0] = '\0';
}

void s3_encode(const char *text, const char *also, struct buf *out)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz"
				    "0123456789-_.~";

	for (; *text; text++) {
		if (strchr(plain, *text) || strchr(also, *text))
			buf_put_u8(out, (uint8_t)*text);
		else
			buf_printf(out, "%%%02X", (uint8_t)*text);
	}
}

static void put_names(const struct s3_signing *s, struct buf *out)
{
	size_t i;

	for (i = 0; i < s->nheaders; i++)
		buf_printf(out, "%s%s", i ? ";" : "", s->headers[i].name);
}

static void put_request(const struct s3_signing *s, struct buf *out)
{
	size_t i;

	buf_printf(out, "%s\n%s\n%s\n", s->method, s->path, s->query);
	for (i = 0; i < s->nheaders; i++)
		buf_printf(out, "%s:%s\n", s->headers[i].name,
			   s->headers[i].value);
	buf_printf(out, "\n");
	put_names(s, out);
	buf_printf(out, "\n%s", s->payload_hash);
}

/* The key follows from the secret, the day, the region and the service. */
static int derive(const struct s3_signing *s, uint8_t out[CRYPT_SHA256_LEN])
{
	const char *const steps[] = { s->region, "s3", "aws4_request" };
	struct secret *first = secret_new(4 + s->secret_len);
	size_t i;
	int r;

	if (!first)
		return -ENOMEM;
	memcpy(first->data, "AWS4", 4);
	memcpy(first->data + 4, s->secret, s->secret_len);
	r = crypt_hmac(first->data, first->len, s->time, DAY_LEN, out);
	secret_free(first);
	for (i = 0; i < ARRAY_SIZE(steps) && r == 0; i++)
		r = crypt_hmac(out, CRYPT_SHA256_LEN, steps[i],
			       strlen(steps[i]), out);
	return r;
}

int s3_sign(const struct s3_signing *s, struct buf *out)
{
	AUTO_BUF struct buf request = BUF_INIT;
	AUTO_BUF struct buf text = BUF_INIT;
	uint8_t hash[CRYPT_SHA256_LEN], key[CRYPT_SHA256_LEN];
	char hex[2 * CRYPT_SHA256_LEN + 1];
	int r;

	put_request(s, &request);
	r = buf_error(&request);
	if (r == 0)
		r = crypt_sha256(request.data, request.len, hash);
	if (r < 0)
		return r;
	hex_encode(hash, sizeof(hash), hex);
	buf_printf(&text, ALGORITHM "\n%s\n%.8s/%s/" SCOPE_END "\n%s", s->time,
		   s->time, s->region, hex);
	r = buf_error(&text);
	if (r == 0)
		r = derive(s, key);
	if (r == 0)
		r = crypt_hmac(key, sizeof(key), text.data, text.len, hash);
	secret_wipe(key, sizeof(key));
	if (r < 0)
		return r;
	hex_encode(hash, sizeof(hash), hex);
	buf_printf(out,
		   "Authorization: " ALGORITHM
		   " Credential=%s/%.8s/%s/" SCOPE_END ", SignedHeaders=",
		   s->id, s->time, s->region);
	put_names(s, out);
	buf_printf(out, ", Signature=%s", hex);
	return buf_error(out);
}
