/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The backend of Azure Blob Storage: what all object stores are tried with; places and
 * keys. */
#include "config.h"

#include "tests/unit/clouds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/azure_place.h"
#include "store/base/secret.h"

#define KEY "c2VjcmV0IG9mIHRoZSB0ZXN0cyBhbmQgb2Ygbm9ib2R5IGVsc2U="

static void forget_keys(void)
{
	static const char *const names[] = {
		"AZURE_STORAGE_CONNECTION_STRING",
		"AZURE_STORAGE_ACCOUNT",
		"AZURE_STORAGE_KEY",
		"AZURE_STORAGE_SAS_TOKEN",
		"AZURE_ACCOUNT_NAME",
		"AZURE_ACCOUNT_KEY",
		"AZURE_ACCOUNT_SAS",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		unsetenv(names[i]);
}

static int setup(void **state)
{
	static const struct cloud azure = {
		"azure.py",
		{ "account", KEY, "--page", "3" },
		"azure",
		"/account/container/some/prefix",
		"ContainerNotFound",
		10,
	};

	(void)state;
	forget_keys();
	setenv("AZURE_STORAGE_KEY", KEY, 1);
	clouds_start(&azure);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clouds_stop();
	return 0;
}

static void wrong_keys_are_refused(void **state)
{
	struct backend_options o = clouds_options();
	struct backend *other;
	char got[1];

	(void)state;
	setenv("AZURE_STORAGE_KEY", "YW5vdGhlcg==", 1);
	assert_ok(backend_open(clouds_url(), &o, &other));
	assert_result(backend_get(other, "pack/x", 0, got, 1), -EACCES);
	assert_said("AuthenticationFailed");
	backend_close(other);
	setenv("AZURE_STORAGE_KEY", KEY, 1);
}

static void places_are_told_apart(void **state)
{
	static const char *const wrong[] = {
		"https://account.blob.core.windows.net",
		"https://account.blob.core.windows.net/C",
		"https://user:pw@host/account/container",
		"http://host/account",
		"ftp://host/account/container",
		"container//x",
		"container/../x",
		"ab/x",
		"https://h.blob.core.windows.net/container?sv=1&sig=SECRET",
	};
	struct azure_place p;
	size_t i;

	(void)state;
	assert_ok(azure_place_find(
		"u", "https://account.blob.core.windows.net/container/a/b/",
		&p));
	assert_string_equal(p.endpoint,
			    "https://account.blob.core.windows.net");
	assert_string_equal(p.account, "account");
	assert_string_equal(p.base, "");
	assert_string_equal(p.prefix, "a/b/");
	azure_place_release(&p);
	assert_ok(azure_place_find("u", "http://h:1/account/container", &p));
	assert_string_equal(p.endpoint, "http://h:1");
	assert_string_equal(p.base, "/account");
	assert_string_equal(p.container, "container");
	assert_string_equal(p.prefix, "");
	azure_place_release(&p);
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_result(azure_place_find(wrong[i], wrong[i], &p),
			      -EINVAL);
		assert_null(strstr(support_log_text(), "SECRET"));
		assert_null(strstr(support_log_text(), "user:pw"));
		azure_place_release(&p);
	}
	/* An account alone is nowhere. */
	assert_result(azure_place_find("u", "container", &p), -EINVAL);
	azure_place_release(&p);
}

static void keys_come_from_many_places(void **state)
{
	static const char connection[] =
		"DefaultEndpointsProtocol=https;AccountName=named;"
		"AccountKey=" KEY ";EndpointSuffix=core.windows.net";
	static const char shared[] =
		"BlobEndpoint=http://h:1/named/;SharedAccessSignature=sv=1&sig=a=";
	struct azure_place p;

	(void)state;
	setenv("AZURE_STORAGE_CONNECTION_STRING", connection, 1);
	assert_ok(azure_place_find("u", "container/v", &p));
	assert_string_equal(p.endpoint, "https://named.blob.core.windows.net");
	assert_int_equal(p.key->len, 38);
	assert_memory_equal(p.key->data, "secret of the tests", 19);
	azure_place_release(&p);
	setenv("AZURE_STORAGE_CONNECTION_STRING", shared, 1);
	assert_ok(azure_place_find("u", "container/v", &p));
	assert_string_equal(p.endpoint, "http://h:1");
	assert_string_equal(p.base, "/named");
	assert_string_equal((const char *)p.token->data, "sv=1&sig=a=");
	azure_place_release(&p);
	forget_keys();
	setenv("AZURE_ACCOUNT_NAME", "other", 1);
	assert_result(azure_place_find("u", "container/v", &p), -ENOKEY);
	azure_place_release(&p);
	setenv("AZURE_ACCOUNT_SAS", "?sv=2", 1);
	assert_ok(azure_place_find("u", "container/v", &p));
	assert_string_equal((const char *)p.token->data, "sv=2");
	assert_string_equal(p.account, "other");
	azure_place_release(&p);
	forget_keys();
	setenv("AZURE_STORAGE_KEY", KEY, 1);
	setenv("AZURE_STORAGE_KEY", "not base64", 1);
	assert_result(azure_place_find("u", "http://h:1/account/container", &p),
		      -ENOKEY);
	azure_place_release(&p);
	setenv("AZURE_STORAGE_KEY", KEY, 1);
}

/* ---- all of them ---- */

#define OWN 3

int main(void)
{
	const struct CMUnitTest own[OWN] = {
		cmocka_unit_test(places_are_told_apart),
		cmocka_unit_test(keys_come_from_many_places),
		cmocka_unit_test(wrong_keys_are_refused),
	};
	struct CMUnitTest tests[OWN + CLOUDS_TESTS];

	memcpy(tests, own, sizeof(own));
	memcpy(tests + OWN, clouds_tests, sizeof(clouds_tests));
	return cmocka_run_group_tests(tests, setup, teardown);
}
