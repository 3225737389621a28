/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The backend of S3: what all object stores are tried with; its signatures against
 * published ones; places, keys and documents. */
#include "config.h"

#include "tests/unit/clouds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/s3_place.h"
#include "store/backend/s3_sign.h"
#include "store/backend/xml.h"
#include "store/base/buf.h"
#include "store/base/secret.h"

#define ID "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

static int setup(void **state)
{
	/* Nobody tells the client the region. */
	static const struct cloud s3 = {
		"s3.py",
		{ ID, SECRET, "--page", "3", "--region", "eu-test-1" },
		"s3",
		"/bucket/some/prefix",
		"NoSuchBucket",
		1,
	};

	(void)state;
	setenv("AWS_ACCESS_KEY_ID", ID, 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	unsetenv("AWS_ENDPOINT_URL");
	clouds_start(&s3);
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
	setenv("AWS_SECRET_ACCESS_KEY", "another", 1);
	assert_ok(backend_open(clouds_url(), &o, &other));
	assert_result(backend_get(other, "pack/x", 0, got, 1), -EACCES);
	assert_said("SignatureDoesNotMatch");
	backend_close(other);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
}

/* ---- places and keys ---- */

static void places_are_told_apart(void **state)
{
	static const char *const wrong[] = {
		"http://host",
		"http://host/",
		"http://user:pw@host/bucket",
		"ftp://host/bucket",
		"//B",
		"//bucket/../x",
		"//bucket//x",
		"//bucket/.x",
	};
	struct s3_place p;
	char root[128];
	size_t i;

	(void)state;
	assert_ok(s3_place_parse("u", "//bucket/a/b/", &p));
	assert_string_equal(p.endpoint,
			    "https://bucket.s3.us-east-1.amazonaws.com");
	assert_string_equal(p.prefix, "a/b/");
	assert_string_equal(s3_place_root(&p, root), "/");
	s3_place_release(&p);
	assert_ok(s3_place_parse("u", "https://h:9000/bucket", &p));
	assert_string_equal(p.host, "h:9000");
	assert_string_equal(p.prefix, "");
	assert_string_equal(s3_place_root(&p, root), "/bucket/");
	s3_place_release(&p);
	setenv("AWS_ENDPOINT_URL", "http://h:1/", 1);
	assert_ok(s3_place_parse("u", "bucket/v", &p));
	assert_string_equal(p.endpoint, "http://h:1");
	assert_true(p.in_path);
	s3_place_release(&p);
	unsetenv("AWS_ENDPOINT_URL");
	for (i = 0; i < ARRAY_SIZE(wrong); i++) {
		assert_result(s3_place_parse("u", wrong[i], &p), -EINVAL);
		s3_place_release(&p);
	}
}

static void keys_come_from_a_profile(void **state)
{
	static const char file[] = "# mine\n[default]\n"
				   "aws_access_key_id = A1\n"
				   "aws_secret_access_key=S1\n[other]\n"
				   "aws_access_key_id=A2\r\n"
				   "aws_secret_access_key = S2=x\r\n"
				   "aws_session_token = T2\r\n";
	const char *path = support_path("%s/credentials", support_tmpdir());
	struct s3_keys k;

	(void)state;
	support_write(path, file, sizeof(file) - 1);
	unsetenv("AWS_ACCESS_KEY_ID");
	setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
	unsetenv("AWS_PROFILE");
	assert_ok(s3_keys_find(&k));
	assert_string_equal(k.id, "A1");
	assert_string_equal(k.token, "");
	s3_keys_release(&k);
	setenv("AWS_PROFILE", "other", 1);
	assert_ok(s3_keys_find(&k));
	assert_string_equal(k.id, "A2");
	assert_memory_equal(k.secret->data, "S2=x", 4);
	assert_string_equal(k.token, "T2");
	s3_keys_release(&k);
	setenv("AWS_PROFILE", "none", 1);
	assert_result(s3_keys_find(&k), -ENOKEY);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere", 1);
	assert_result(s3_keys_find(&k), -ENOKEY);
	unsetenv("AWS_PROFILE");
	setenv("AWS_ACCESS_KEY_ID", ID, 1);
}

/* ---- signatures: the examples of Amazon's API reference ---- */

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static void assert_signs(const struct s3_signing *s, const char *signature)
{
	AUTO_BUF struct buf out = BUF_INIT;

	assert_ok(s3_sign(s, &out));
	buf_put_u8(&out, '\0');
	assert_non_null(strstr((const char *)out.data, signature));
}

static void signatures_are_as_published(void **state)
{
	static const struct s3_header get[] = {
		{ "host", "examplebucket.s3.amazonaws.com" },
		{ "range", "bytes=0-9" },
		{ "x-amz-content-sha256", EMPTY },
		{ "x-amz-date", "20130524T000000Z" },
	};
	static const struct s3_header plain[] = {
		{ "host", "examplebucket.s3.amazonaws.com" },
		{ "x-amz-content-sha256", EMPTY },
		{ "x-amz-date", "20130524T000000Z" },
	};
	struct s3_signing s = {
		.method = "GET",
		.path = "/test.txt",
		.query = "",
		.headers = get,
		.nheaders = ARRAY_SIZE(get),
		.payload_hash = EMPTY,
		.time = "20130524T000000Z",
		.region = "us-east-1",
		.id = "AKIAIOSFODNN7EXAMPLE",
		.secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
		.secret_len = 40,
	};
	char stamp[S3_TIME_LEN + 1];

	(void)state;
	assert_signs(&s, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd9103"
			 "9c6036bdb41");
	s.path = "/";
	s.query = "lifecycle=";
	s.headers = plain;
	s.nheaders = ARRAY_SIZE(plain);
	assert_signs(&s, "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200"
			 "a0136783543");
	s.query = "max-keys=2&prefix=J";
	assert_signs(&s, "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed57"
			 "11ef69dc6f7");
	s3_time(1369353600, stamp);
	assert_string_equal(stamp, "20130524T000000Z");
}

/* ---- documents ---- */

static int count_elements(void *arg, const char *parent, const char *name,
			  const char *content)
{
	(void)parent;
	(void)content;
	++*(size_t *)arg;
	return strcmp(name, "stop") == 0 ? 7 : 0;
}

static int parse(const char *document, size_t *n)
{
	*n = 0;
	return xml_parse(document, strlen(document), count_elements, n);
}

static void documents_are_bounded(void **state)
{
	static const char deep[] =
		"<a><a><a><a><a><a><a><a><a></a></a></a></a></a>"
		"</a></a></a></a>";
	static char longer[XML_TEXT_MAX + 100];
	size_t n;

	(void)state;
	assert_ok(parse("\xef\xbb\xbf<a:x xmlns:a='u'><b>t</b><c/></a:x>", &n));
	assert_int_equal(n, 3);
	assert_int_equal(parse("<a><stop/><b/></a>", &n), 7);
	assert_int_equal(n, 1);
	assert_result(parse("<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>", &n),
		      -EBADMSG);
	assert_int_equal(n, 0);
	assert_result(parse("<a><b></a>", &n), -EBADMSG);
	assert_result(parse("", &n), -EBADMSG);
	assert_result(parse(deep, &n), -EBADMSG);
	memset(longer, 'x', sizeof(longer) - 1);
	memcpy(longer, "<a>", 3);
	memcpy(longer + sizeof(longer) - 5, "</a>", 4);
	assert_result(parse(longer, &n), -EBADMSG);
}

/* ---- all of them ---- */

#define OWN 5

int main(void)
{
	const struct CMUnitTest own[OWN] = {
		cmocka_unit_test(signatures_are_as_published),
		cmocka_unit_test(documents_are_bounded),
		cmocka_unit_test(places_are_told_apart),
		cmocka_unit_test(keys_come_from_a_profile),
		cmocka_unit_test(wrong_keys_are_refused),
	};
	struct CMUnitTest tests[OWN + CLOUDS_TESTS];

	memcpy(tests, own, sizeof(own));
	memcpy(tests + OWN, clouds_tests, sizeof(clouds_tests));
	return cmocka_run_group_tests(tests, setup, teardown);
}
