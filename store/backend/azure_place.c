/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/backend/azure_place.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/cloud.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/base/text.h"

#define PREFIX_MAX 512
#define ACCOUNT_MAX 63
/* The account of Azurite, whose key is published. */
#define LOCAL_ACCOUNT "devstoreaccount1"
#define LOCAL_KEY                                                              \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/"      \
	"K1SZFPTOtr/KBHBeksoGMGw=="

static int wrong(const char *url, const char *what)
{
	/* Somebody may have written a password or a token into it. */
	if (strpbrk(url, "?@"))
		url = "azure:...";

	return fail(-EINVAL,
		    "vault %s: %s; it is written "
		    "azure:https://ACCOUNT.blob.core.windows.net/CONTAINER/"
		    "PREFIX or azure:CONTAINER/PREFIX",
		    url, what);
}

static bool is_name(const char *text, size_t len, size_t min)
{
	return len >= min && len <= ACCOUNT_MAX &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") >= len;
}

static int set(char **out, const char *text, size_t len)
{
	free(*out);
	*out = strndup(text, len);
	return *out ? 0 : -ENOMEM;
}

/* CONTAINER[/PREFIX] */
static int take_container(const char *url, const char *text,
			  struct azure_place *out)
{
	size_t len = strcspn(text, "/"), plen;
	const char *prefix = text[len] ? text + len + 1 : "";

	if (!is_name(text, len, 3))
		return wrong(url, "that is no container's name");
	plen = strlen(prefix);
	while (plen > 0 && prefix[plen - 1] == '/')
		plen--;
	if (plen > PREFIX_MAX || strstr(prefix, "//") || strstr(prefix, "/.") ||
	    prefix[0] == '.' ||
	    strspn(prefix,
		   "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		   "abcdefghijklmnopqrstuvwxyz0123456789-_./") < strlen(prefix))
		return wrong(url, "that can be no prefix of names");
	if (set(&out->container, text, len) < 0 ||
	    asprintf(&out->prefix, "%.*s%s", (int)plen, prefix,
		     plen ? "/" : "") < 0)
		return -ENOMEM;
	return 0;
}

/* http[s]://HOST[:PORT][/ACCOUNT]; where the rest begins to *@end. */
static int take_server(const char *url, const char *text,
		       struct azure_place *out, const char **end)
{
	size_t scheme = strncmp(text, "https://", 8) == 0  ? 8
			: strncmp(text, "http://", 7) == 0 ? 7
							   : 0;
	size_t host = strcspn(text + scheme, "/"), account;
	const char *at = text + scheme, *path = at + host;
	const char *dot = memchr(at, '.', host);
	bool is_azure = dot && strncmp(dot, ".blob.", 6) == 0;

	if (!scheme || !host ||
	    strspn(at, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]") < host)
		return wrong(url, "that is no server");
	path += *path == '/';
	account = is_azure ? (size_t)(dot - at) : strcspn(path, "/");
	if (!is_name(is_azure ? at : path, account, 3))
		return wrong(url, "it names no account");
	if (set(&out->account, is_azure ? at : path, account) < 0 ||
	    set(&out->endpoint, text, scheme + host) < 0)
		return -ENOMEM;
	if (!is_azure) {
		if (asprintf(&out->base, "/%s", out->account) < 0) {
			out->base = NULL;
			return -ENOMEM;
		}
		path += account;
		path += *path == '/';
	}
	*end = path;
	return 0;
}

/* ---- who ---- */

static int take_key(const char *text, size_t len, struct azure_place *out)
{
	AUTO_BUF struct buf key = BUF_INIT;
	int r = text_get_base64(&key, text, len);

	if (r == -EINVAL || (r == 0 && key.len == 0))
		r = fail(-ENOKEY, "the key of the storage account is not in "
				  "base64");
	secret_free(out->key);
	out->key = r == 0 ? secret_new(key.len) : NULL;
	if (r == 0 && !out->key)
		r = -ENOMEM;
	if (r == 0)
		memcpy(out->key->data, key.data, key.len);
	if (key.data)
		secret_wipe(key.data, key.len);
	return r;
}

static int take_token(const char *text, size_t len, struct azure_place *out)
{
	if (len > 0 && text[0] == '?') {
		text++;
		len--;
	}
	secret_free(out->token);
	out->token = secret_new(len + 1);
	if (!out->token)
		return -ENOMEM;
	memcpy(out->token->data, text, len);
	return 0;
}

/* "Name=value;Name=value"; a value may have further "=". */
static int take_pair(const char *url, const char *pair, size_t len,
		     struct azure_place *out)
{
	const char *value = memchr(pair, '=', len), *end;
	size_t name = value ? (size_t)(value - pair) : 0, n;
	AUTO_FREE char *text = NULL;

	if (!value)
		return 0;
	value++;
	n = len - name - 1;
	if (strncmp(pair, "AccountName=", name + 1) == 0 && !out->account)
		return is_name(value, n, 3)
			       ? set(&out->account, value, n)
			       : wrong(url, "the connection string names no "
					    "account");
	if (strncmp(pair, "AccountKey=", name + 1) == 0)
		return take_key(value, n, out);
	if (strncmp(pair, "SharedAccessSignature=", name + 1) == 0)
		return take_token(value, n, out);
	if (strncmp(pair, "BlobEndpoint=", name + 1) == 0 && !out->endpoint) {
		text = strndup(value, n);
		return text ? take_server(url, text, out, &end) : -ENOMEM;
	}
	return 0;
}

static int take_connection(const char *url, const char *text,
			   struct azure_place *out)
{
	int r = 0;

	while (*text && r == 0) {
		size_t len = strcspn(text, ";");

		r = take_pair(url, text, len, out);
		text += len + (text[len] == ';');
	}
	return r;
}

static int take_account(struct azure_place *out)
{
	const char *account = cloud_variable("AZURE_STORAGE_ACCOUNT");
	const char *key = cloud_variable("AZURE_STORAGE_KEY");
	const char *token = cloud_variable("AZURE_STORAGE_SAS_TOKEN");
	int r = 0;

	if (!account)
		account = cloud_variable("AZURE_ACCOUNT_NAME");
	if (!key)
		key = cloud_variable("AZURE_ACCOUNT_KEY");
	if (!token)
		token = cloud_variable("AZURE_ACCOUNT_SAS");
	if (account && !out->account)
		r = set(&out->account, account, strlen(account));
	if (r == 0 && key)
		r = take_key(key, strlen(key), out);
	else if (r == 0 && token)
		r = take_token(token, strlen(token), out);
	return r;
}

static int find_keys(const char *url, struct azure_place *out)
{
	const char *connection =
		cloud_variable("AZURE_STORAGE_CONNECTION_STRING");
	int r = connection ? take_connection(url, connection, out)
			   : take_account(out);

	if (r < 0)
		return r;
	if (!out->key && !out->token && out->account &&
	    strcmp(out->account, LOCAL_ACCOUNT) == 0)
		r = take_key(LOCAL_KEY, strlen(LOCAL_KEY), out);
	if (r < 0 || out->key || out->token)
		return r;
	return fail(-ENOKEY,
		    "there are no keys for Azure: set "
		    "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT "
		    "with AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN");
}

int azure_place_find(const char *url, const char *rest, struct azure_place *out)
{
	const char *container = rest;
	int r = 0;

	memset(out, 0, sizeof(*out));
	if (strstr(rest, "://"))
		r = take_server(url, rest, out, &container);
	if (r == 0)
		r = take_container(url, container, out);
	if (r == 0)
		r = find_keys(url, out);
	if (r == 0 && !out->account)
		return wrong(url, "no account is named");
	if (r == 0 && !out->endpoint &&
	    asprintf(&out->endpoint, "https://%s.blob.core.windows.net",
		     out->account) < 0) {
		out->endpoint = NULL;
		return -ENOMEM;
	}
	if (r == 0 && !out->base)
		r = set(&out->base, "", 0);
	return r;
}

void azure_place_release(struct azure_place *p)
{
	free(p->endpoint);
	free(p->base);
	free(p->account);
	free(p->container);
	free(p->prefix);
	secret_free(p->key);
	secret_free(p->token);
	memset(p, 0, sizeof(*p));
}
