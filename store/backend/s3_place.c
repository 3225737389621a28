/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/backend/s3_place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/cloud.h"
#include "store/base/log.h"
#include "store/base/secret.h"

#define BUCKET_MAX 63
#define PREFIX_MAX 512
#define FILE_MAX (64u << 10)
#define LINE_MAX_LEN 4352

/* ---- where ---- */

static int wrong(const char *url, const char *what)
{
	/* Somebody may have written a password or a token into it. */
	if (strpbrk(url, "?@"))
		url = "s3:...";

	return fail(-EINVAL,
		    "vault %s: %s; it is written s3:https://HOST/BUCKET/PREFIX "
		    "or s3://BUCKET/PREFIX",
		    url, what);
}

static bool is_bucket(const char *name)
{
	size_t len = strlen(name);

	return len >= 3 && len <= BUCKET_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == len;
}

/* A part of a key never begins with a dot, nor is it empty. */
static bool is_prefix(const char *text)
{
	return strlen(text) <= PREFIX_MAX && !strstr(text, "//") &&
	       !strstr(text, "/.") && text[0] != '.' && text[0] != '/' &&
	       strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "abcdefghijklmnopqrstuvwxyz0123456789-_./") ==
		       strlen(text);
}

/* BUCKET[/PREFIX] */
static int take_bucket(const char *url, const char *text, struct s3_place *out)
{
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text), plen;

	out->bucket = strndup(text, len);
	if (!out->bucket)
		return -ENOMEM;
	if (!is_bucket(out->bucket))
		return wrong(url, "that is no bucket's name");
	slash = slash ? slash + 1 : "";
	plen = strlen(slash);
	while (plen > 0 && slash[plen - 1] == '/')
		plen--;
	if (asprintf(&out->prefix, "%.*s%s", (int)MIN(plen, PREFIX_MAX + 1),
		     slash, plen ? "/" : "") < 0) {
		out->prefix = NULL;
		return -ENOMEM;
	}
	return is_prefix(out->prefix)
		       ? 0
		       : wrong(url, "that can be no prefix of keys");
}

/* http[s]://HOST[:PORT], of @len bytes; nothing that could be a password in it. */
static int take_endpoint(const char *url, const char *text, size_t len,
			 struct s3_place *out)
{
	size_t scheme = strncmp(text, "https://", 8) == 0  ? 8
			: strncmp(text, "http://", 7) == 0 ? 7
							   : 0;
	const char *allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			      "abcdefghijklmnopqrstuvwxyz0123456789.-:[]";

	if (!scheme || len <= scheme ||
	    strspn(text + scheme, allowed) < len - scheme)
		return wrong(url, "that is no server");
	out->endpoint = strndup(text, len);
	out->host = strndup(text + scheme, len - scheme);
	return out->endpoint && out->host ? 0 : -ENOMEM;
}

static int take_aws(const char *url, struct s3_place *out)
{
	const char *own = cloud_variable("AWS_ENDPOINT_URL_S3");

	if (!own)
		own = cloud_variable("AWS_ENDPOINT_URL");
	if (own) {
		size_t len = strlen(own);

		while (len > 0 && own[len - 1] == '/')
			len--;
		out->in_path = true;
		return take_endpoint(url, own, len, out);
	}
	/* A certificate is for one part of a name before AWS's. */
	out->in_path = strchr(out->bucket, '.') != NULL;
	if (asprintf(&out->host, "%s%ss3.%s.amazonaws.com",
		     out->in_path ? "" : out->bucket, out->in_path ? "" : ".",
		     out->region) < 0) {
		out->host = NULL;
		return -ENOMEM;
	}
	if (asprintf(&out->endpoint, "https://%s", out->host) < 0) {
		out->endpoint = NULL;
		return -ENOMEM;
	}
	return 0;
}

static int take_region(const char *url, struct s3_place *out)
{
	const char *region = cloud_variable("AWS_REGION");

	if (!region)
		region = cloud_variable("AWS_DEFAULT_REGION");
	if (!region)
		region = "us-east-1";
	if (strlen(region) >= sizeof(out->region) ||
	    strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-_") !=
		    strlen(region))
		return wrong(url, "AWS_REGION names no region");
	memcpy(out->region, region, strlen(region) + 1);
	return 0;
}

int s3_place_parse(const char *url, const char *rest, struct s3_place *out)
{
	const char *slash;
	int r;

	memset(out, 0, sizeof(*out));
	r = take_region(url, out);
	if (r == 0 && strncmp(rest, "http", 4) == 0 && strstr(rest, "://")) {
		slash = strchr(strstr(rest, "://") + 3, '/');
		if (!slash)
			return wrong(url, "it names no bucket");
		out->in_path = true;
		r = take_endpoint(url, rest, (size_t)(slash - rest), out);
		return r < 0 ? r : take_bucket(url, slash + 1, out);
	}
	if (r == 0)
		r = take_bucket(url,
				strncmp(rest, "//", 2) == 0 ? rest + 2 : rest,
				out);
	return r < 0 ? r : take_aws(url, out);
}

void s3_place_release(struct s3_place *p)
{
	free(p->endpoint);
	free(p->host);
	free(p->bucket);
	free(p->prefix);
	memset(p, 0, sizeof(*p));
}

const char *s3_place_root(const struct s3_place *p, char out[128])
{
	snprintf(out, 128, "/%s%s", p->in_path ? p->bucket : "",
		 p->in_path ? "/" : "");
	return out;
}

/* ---- who ---- */

static int take_secret(const char *text, size_t len, struct s3_keys *out)
{
	secret_free(out->secret);
	out->secret = secret_new(len);
	if (!out->secret)
		return -ENOMEM;
	memcpy(out->secret->data, text, len);
	return 0;
}

static bool take_text(char *out, size_t size, const char *text)
{
	if (strlen(text) >= size)
		return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static int from_environment(struct s3_keys *out)
{
	const char *id = cloud_variable("AWS_ACCESS_KEY_ID");
	const char *secret = cloud_variable("AWS_SECRET_ACCESS_KEY");
	const char *token = cloud_variable("AWS_SESSION_TOKEN");

	if (!id || !secret)
		return -ENOENT;
	if (!take_text(out->id, sizeof(out->id), id) ||
	    !take_text(out->token, sizeof(out->token), token ? token : ""))
		return -ENOENT;
	return take_secret(secret, strlen(secret), out);
}

/* A line of the profile: "name = value". */
static int take_line(char *line, struct s3_keys *out)
{
	char *value = strchr(line, '='), *end;

	if (!value)
		return 0;
	for (end = value; end > line && strchr(" \t", end[-1]); end--)
		;
	*value++ = '\0';
	*end = '\0';
	value += strspn(value, " \t");
	if (strcmp(line, "aws_access_key_id") == 0)
		return take_text(out->id, sizeof(out->id), value) ? 0 : -ENOENT;
	if (strcmp(line, "aws_session_token") == 0)
		return take_text(out->token, sizeof(out->token), value)
			       ? 0
			       : -ENOENT;
	return strcmp(line, "aws_secret_access_key") == 0
		       ? take_secret(value, strlen(value), out)
		       : 0;
}

static int take_profile(char *text, const char *profile, struct s3_keys *out)
{
	char wanted[280], *save = NULL, *line;
	bool inside = false;
	size_t len;
	int r = 0;

	snprintf(wanted, sizeof(wanted), "[%.255s]", profile);
	for (line = strtok_r(text, "\n", &save); line && r == 0;
	     line = strtok_r(NULL, "\n", &save)) {
		line += strspn(line, " \t");
		len = strlen(line);
		while (len > 0 && strchr(" \t\r", line[len - 1]))
			line[--len] = '\0';
		if (*line == '[')
			inside = strcmp(line, wanted) == 0;
		else if (inside && *line != '#' && *line != ';')
			r = take_line(line, out);
	}
	return r < 0 ? r : out->id[0] && out->secret ? 0 : -ENOENT;
}

static int from_file(struct s3_keys *out)
{
	const char *path = cloud_variable("AWS_SHARED_CREDENTIALS_FILE");
	const char *home = cloud_variable("HOME"),
		   *profile = cloud_variable("AWS_PROFILE");
	struct secret *text;
	AUTO_FREE char *own = NULL;
	AUTO_CLOSE int fd = -1;
	ssize_t n;
	int r;

	if (!path && (!home || asprintf(&own, "%s/.aws/credentials", home) < 0))
		return -ENOENT;
	fd = open(path ? path : own, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -ENOENT;
	text = secret_new(FILE_MAX + 1);
	if (!text)
		return -ENOMEM;
	n = read(fd, text->data, FILE_MAX);
	r = n > 0 && !memchr(text->data, '\0', (size_t)n) ? 0 : -ENOENT;
	if (r == 0)
		r = take_profile((char *)text->data,
				 profile ? profile : "default", out);
	secret_free(text);
	return r;
}

int s3_keys_find(struct s3_keys *out)
{
	int r;

	memset(out, 0, sizeof(*out));
	r = from_environment(out);
	if (r == -ENOENT)
		r = from_file(out);
	if (r < 0)
		s3_keys_release(out);
	if (r == -ENOENT)
		return fail(-ENOKEY,
			    "there are no keys for S3: set AWS_ACCESS_KEY_ID "
			    "and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE with a "
			    "profile of ~/.aws/credentials");
	return r;
}

void s3_keys_release(struct s3_keys *k)
{
	secret_free(k->secret);
	secret_wipe(k, sizeof(*k));
}
