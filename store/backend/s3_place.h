/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a vault in a bucket is, and who asks there.
 *
 *     s3:https://HOST[:PORT]/BUCKET[/PREFIX]   a server that speaks S3
 *     s3://BUCKET[/PREFIX], s3:BUCKET[/PREFIX] AWS, or what AWS_ENDPOINT_URL names
 *
 * The region is that of AWS_REGION or AWS_DEFAULT_REGION, or what the server says it is.
 * Keys come from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or from
 * the profile AWS_PROFILE ("default") of the file AWS_SHARED_CREDENTIALS_FILE
 * (~/.aws/credentials), as with AWS's own programs.
 */
#ifndef STORE_BACKEND_S3_PLACE_H
#define STORE_BACKEND_S3_PLACE_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct secret;

#define S3_REGION_MAX 64

struct s3_place {
	char *endpoint; /* "https://host:port", owned */
	char *host; /* as a request's header has it, owned */
	char *bucket; /* owned */
	char *prefix; /* with a slash behind it where it is not ""; owned */
	/* The bucket is a part of the path, and not of the host's name. */
	bool in_path;
	char region[S3_REGION_MAX];
};

/* Take @rest of "s3:REST" apart; @url is for messages. Return 0, -EINVAL (said in
 * words) or -ENOMEM. */
MUST_CHECK int s3_place_parse(const char *url, const char *rest,
			      struct s3_place *out);
void s3_place_release(struct s3_place *p);
/* What stands before a key in a path: "/" or "/bucket/". */
const char *s3_place_root(const struct s3_place *p, char out[128]);

struct s3_keys {
	char id[256];
	struct secret *secret; /* owned */
	char token[4096]; /* "": none */
};

/* Find the keys. Return 0 or -ENOKEY, said in words, or -ENOMEM. */
MUST_CHECK int s3_keys_find(struct s3_keys *out);
void s3_keys_release(struct s3_keys *k);

#endif
