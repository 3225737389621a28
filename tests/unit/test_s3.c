/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The backend of S3, against a strict server of the tests' own (tests/servers/s3.py), in
 * good weather and in bad; its signatures against published ones; and its documents. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/http.h"
#include "store/backend/internal.h"
#include "store/backend/names.h"
#include "store/backend/s3_place.h"
#include "store/backend/s3_sign.h"
#include "store/backend/xml.h"
#include "store/base/buf.h"
#include "store/base/seam.h"
#include "store/base/secret.h"

#define ID "AKIDEXAMPLE"
#define SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define REGION "eu-test-1" /* which nobody told the client */

static pid_t server;
static char endpoint[64], url[128];
static struct http *faults; /* to tell the server of faults */
static struct backend *b;

/* ---- the server ---- */

static void start_server(void)
{
	const char *dir = getenv("srcdir");
	char path[512], port[16] = "";
	size_t len = 0;
	int pipes[2];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/tests/servers/s3.py",
		 dir && *dir ? dir : ".");
	assert_int_equal(pipe(pipes), 0);
	server = fork();
	assert_true(server >= 0);
	if (server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(pipes[1], 1);
		(void)close(pipes[0]);
		execlp("python3", "python3", path, ID, SECRET, "--page", "3",
		       "--region", REGION, NULL);
		_exit(127);
	}
	(void)close(pipes[1]);
	/* It may come in parts. */
	while (len < sizeof(port) - 1 && !strchr(port, '\n') &&
	       (n = read(pipes[0], port + len, sizeof(port) - 1 - len)) > 0)
		len += (size_t)n;
	(void)close(pipes[0]);
	assert_non_null(strchr(port, '\n'));
	*strchr(port, '\n') = '\0';
	snprintf(endpoint, sizeof(endpoint), "http://127.0.0.1:%s", port);
	snprintf(url, sizeof(url), "s3:%s/bucket/some/prefix", endpoint);
}

static struct backend_options options(void)
{
	/* All that is tried again is over soon. */
	return (struct backend_options){ .timeout_ns = INT64_C(20000000000),
					 .pause_ns = 1000000 };
}

static int setup(void **state)
{
	const struct http_options h = { .ca_file = NULL };
	struct backend_options o = options();

	(void)state;
	support_log_capture();
	setenv("AWS_ACCESS_KEY_ID", ID, 1);
	setenv("AWS_SECRET_ACCESS_KEY", SECRET, 1);
	unsetenv("AWS_SESSION_TOKEN");
	unsetenv("AWS_REGION");
	unsetenv("AWS_DEFAULT_REGION");
	unsetenv("AWS_ENDPOINT_URL");
	start_server();
	assert_ok(http_new(&h, &faults));
	assert_ok(backend_create(url, &o, &b));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(b);
	http_free(faults);
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
	return 0;
}

/* Ask the server itself. */
static void tell(const char *method, const char *path, const char *body,
		 struct http_answer *a)
{
	struct backend_trial t = backend_begin(b, "tell", "");
	char at[128];
	const struct http_request rq = { .method = method,
					 .url = at,
					 .body = body,
					 .body_len = body ? strlen(body) : 0,
					 .max = 1u << 20 };

	snprintf(at, sizeof(at), "%s%s", endpoint, path);
	assert_ok(http_run(faults, &t.call, &rq, a));
	assert_int_equal(a->status, 200);
}

static void set_fault(const char *json)
{
	struct http_answer a = { .status = 0 };

	tell("PUT", "/_faults", json, &a);
	http_answer_release(&a);
}

/* How many requests there were since it was asked last. */
static size_t nrequests(void)
{
	struct http_answer a = { .status = 0 };
	size_t i, n = 0;

	tell("GET", "/_log", NULL, &a);
	for (i = 0; i < a.body.len; i++)
		n += a.body.data[i] == '\n';
	http_answer_release(&a);
	return n;
}

/* ---- good weather ---- */

static const char text[] = "what was put is what is there";

static void objects_are_put_and_read(void **state)
{
	char got[sizeof(text)] = { 0 };
	struct backend_info info;
	uint8_t *all;
	size_t len;

	(void)state;
	assert_ok(backend_put(b, "point/one", text, sizeof(text)));
	assert_result(backend_put(b, "point/one", "other", 5), -EEXIST);
	assert_ok(backend_put_own(b, "point/one", text, sizeof(text)));
	assert_result(backend_put_own(b, "point/one", "other", 5), -EEXIST);
	assert_ok(backend_get(b, "point/one", 5, got, 3));
	assert_memory_equal(got, text + 5, 3);
	assert_ok(backend_get(b, "point/one", 0, got, sizeof(text)));
	assert_string_equal(got, text);
	assert_result(backend_get(b, "point/one", 10, got, sizeof(text)),
		      -EBADMSG);
	assert_result(backend_get(b, "point/one", 1000, got, 1), -EBADMSG);
	assert_ok(backend_get(b, "point/one", 0, got, 0));
	assert_ok(backend_get_all(b, "point/one", 1000, &all, &len));
	assert_int_equal(len, sizeof(text));
	free(all);
	assert_result(backend_get_all(b, "point/one", 3, &all, &len), -EFBIG);
	assert_ok(backend_head(b, "point/one", &info));
	assert_int_equal(info.size, sizeof(text));
	assert_true(info.stored_ns > 0);
	assert_ok(backend_sync(b, "point/one"));
	assert_ok(backend_replace(b, "point/one", "new", 3));
	assert_ok(backend_get(b, "point/one", 0, got, 3));
	assert_memory_equal(got, "new", 3);
	assert_ok(backend_put(b, "point/empty", "", 0));
	assert_ok(backend_get_all(b, "point/empty", 10, &all, &len));
	assert_int_equal(len, 0);
	free(all);
	assert_ok(backend_delete(b, "point/empty"));
	assert_result(backend_head(b, "point/empty", &info), -ENOENT);
	assert_result(backend_get_all(b, "point/none", 10, &all, &len),
		      -ENOENT);
	assert_result(backend_get(b, "point/none", 0, got, 1), -ENOENT);
	assert_result(backend_sync(b, "point/none"), -ENOENT);
	assert_ok(backend_delete(b, "point/one"));
	assert_ok(backend_probe(b));
}

static void all_pages_are_listed(void **state)
{
	const char *names[10];
	char text_of[10][32];
	AUTO_NAMES struct backend_names found = { NULL, 0, 0 };
	AUTO_NAMES struct backend_names none = { NULL, 0, 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 10; i++) {
		snprintf(text_of[i], sizeof(text_of[i]), "index/%zu", i);
		names[i] = text_of[i];
		assert_ok(backend_put(b, names[i], "x", 1));
	}
	assert_ok(backend_put(b, "indexes/no", "x", 1));
	(void)nrequests();
	assert_ok(backend_list_names(b, "index/", &found));
	assert_int_equal(nrequests(), 4);
	assert_int_equal(found.n, 10);
	for (i = 0; i < 10; i++)
		assert_string_equal(found.list[i], names[i]);
	assert_ok(backend_delete_many(b, names, 10));
	assert_int_equal(nrequests(), 1);
	assert_ok(backend_list_names(b, "index/", &none));
	assert_int_equal(none.n, 0);
	assert_ok(backend_delete(b, "indexes/no"));
}

/* Many put one name at once: one of them wins. */
static void *race(void *arg)
{
	static const char *const who[] = { "0", "1", "2", "3",
					   "4", "5", "6", "7" };
	size_t *me = arg;
	int r = backend_put(b, "commit/race", who[*me], 1);

	assert_true(r == 0 || r == -EEXIST);
	*me = r == 0;
	return NULL;
}

static void one_of_many_wins(void **state)
{
	pthread_t threads[8];
	size_t won[8], i, round, n;

	(void)state;
	for (round = 0; round < 20; round++) {
		for (i = 0; i < 8; i++) {
			won[i] = i;
			assert_int_equal(pthread_create(&threads[i], NULL, race,
							&won[i]),
					 0);
		}
		for (i = n = 0; i < 8; i++) {
			pthread_join(threads[i], NULL);
			n += won[i];
		}
		assert_int_equal(n, 1);
		assert_ok(backend_delete(b, "commit/race"));
	}
}

/* ---- bad weather ---- */

/* It is tried again, and then it is right. */
static void what_passes_is_tried_again(void **state)
{
	static const char *const passing[] = {
		"\"do\":\"reset\"",
		"\"do\":\"short\"",
		"\"do\":\"status\",\"status\":500",
		"\"do\":\"status\",\"status\":502",
		"\"do\":\"status\",\"status\":503,\"code\":\"SlowDown\","
		"\"retry_after\":0",
		"\"do\":\"status\",\"status\":504",
		"\"do\":\"status\",\"status\":408",
		"\"do\":\"status\",\"status\":429",
		"\"do\":\"status\",\"status\":409",
		"\"do\":\"status\",\"status\":400,\"code\":\"RequestTimeout\"",
	};
	char json[256], got[sizeof(text)];
	struct backend_info info;
	size_t i;

	(void)state;
	assert_ok(backend_put(b, "pack/x", text, sizeof(text)));
	for (i = 0; i < ARRAY_SIZE(passing); i++) {
		AUTO_NAMES struct backend_names found = { NULL, 0, 0 };

		snprintf(json, sizeof(json),
			 "[{\"match\":\".*\",\"times\":2,%s}]", passing[i]);
		set_fault(json);
		assert_ok(backend_get(b, "pack/x", 0, got, sizeof(text)));
		assert_string_equal(got, text);
		set_fault(json);
		assert_ok(backend_put(b, "pack/y", text, sizeof(text)));
		/* The answer to HEAD tells no reason. */
		if (!strstr(json, "RequestTimeout"))
			set_fault(json);
		assert_ok(backend_head(b, "pack/y", &info));
		assert_int_equal(info.size, sizeof(text));
		set_fault(json);
		assert_ok(backend_list_names(b, "pack/", &found));
		assert_int_equal(found.n, 2);
		set_fault(json);
		assert_ok(backend_delete(b, "pack/y"));
		set_fault("[]");
	}
	assert_ok(backend_delete(b, "pack/x"));
}

/* What was done, though nobody heard it, is found out. */
static void a_lost_answer_is_asked_about(void **state)
{
	static const char lost[] = "[{\"match\":\"PUT\",\"do\":\"lost\"}]";
	const char *names[1] = { "pack/lost" };

	(void)state;
	set_fault(lost);
	assert_ok(backend_put_own(b, "pack/lost", text, sizeof(text)));
	set_fault(lost);
	assert_result(backend_put(b, "commit/lost", text, sizeof(text)),
		      -EEXIST);
	set_fault("[{\"match\":\"DELETE\",\"do\":\"lost\"}]");
	assert_ok(backend_delete(b, "commit/lost"));
	set_fault("[{\"match\":\"POST\",\"do\":\"lost\"}]");
	assert_ok(backend_delete_many(b, names, 1));
	set_fault("[{\"match\":\"POST\",\"do\":\"error200\"}]");
	assert_ok(backend_delete_many(b, names, 1));
	set_fault("[]");
}

/* What does not pass ends it at once, in words, and is never an absence. */
static void refusals_are_told(void **state)
{
	static const struct {
		const char *fault;
		int result;
	} refusals[] = {
		{ "\"status\":403,\"code\":\"AccessDenied\"", -EACCES },
		{ "\"status\":401,\"code\":\"AccessDenied\"", -EACCES },
		{ "\"status\":404,\"code\":\"NoSuchBucket\"", -EHOSTUNREACH },
		{ "\"status\":404,\"code\":\"Gone Astray\"", -EIO },
		{ "\"status\":400,\"code\":\"InvalidRequest\"", -EIO },
		{ "\"status\":301,\"code\":\"PermanentRedirect\"", -EIO },
		{ "\"status\":302,\"code\":\"Found\"", -EIO },
		{ "\"status\":501,\"code\":\"NotImplemented\"", -EOPNOTSUPP },
		{ "\"status\":507,\"code\":\"Full\"", -ENOSPC },
	};
	char json[256], got[4];
	struct backend_info info;
	size_t i;

	(void)state;
	assert_ok(backend_put(b, "pack/x", text, sizeof(text)));
	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		AUTO_NAMES struct backend_names found = { NULL, 0, 0 };

		snprintf(
			json, sizeof(json),
			"[{\"match\":\".*\",\"times\":99,\"do\":\"status\",%s}]",
			refusals[i].fault);
		set_fault(json);
		support_log_clear();
		assert_result(backend_get(b, "pack/x", 0, got, 4),
			      refusals[i].result);
		assert_said("vault s3:");
		assert_null(strstr(support_log_text(), SECRET));
		assert_result(backend_put(b, "pack/z", text, 4),
			      refusals[i].result);
		assert_result(backend_list_names(b, "pack/", &found),
			      refusals[i].result);
		assert_true(backend_head(b, "pack/x", &info) < 0);
		assert_true(backend_head(b, "pack/none", &info) != -ENOENT);
		set_fault("[]");
	}
	assert_ok(backend_delete(b, "pack/x"));
}

static void answers_are_bounded(void **state)
{
	char got[sizeof(text)];
	AUTO_NAMES struct backend_names found = { NULL, 0, 0 };
	size_t i;

	(void)state;
	for (i = 0; i < 5; i++) {
		char name[16];

		snprintf(name, sizeof(name), "pack/%zu", i);
		assert_ok(backend_put(b, name, text, sizeof(text)));
	}
	set_fault("[{\"match\":\"GET\",\"do\":\"long\"}]");
	assert_result(backend_get(b, "pack/0", 0, got, sizeof(text)), -EIO);
	set_fault("[{\"match\":\"GET .*list\",\"do\":\"circle\",\"times\":9}]");
	assert_result(backend_list_names(b, "pack/", &found), -EIO);
	assert_said("is malformed");
	set_fault("[{\"match\":\"GET .*list\",\"do\":\"error200\"}]");
	assert_result(backend_list_names(b, "pack/", &found), -EIO);
	set_fault("[]");
	for (i = 0; i < 5; i++) {
		char name[16];

		snprintf(name, sizeof(name), "pack/%zu", i);
		assert_ok(backend_delete(b, name));
	}
}

static void a_store_that_overwrites_is_refused(void **state)
{
	(void)state;
	set_fault("[{\"match\":\"PUT\",\"do\":\"overwrite\",\"times\":9}]");
	assert_result(backend_probe(b), -EIO);
	assert_said("took the first's name");
	set_fault("[]");
}

/* Nobody waits longer than he said, nor when he does not want to any more. */
static void waiting_has_an_end(void **state)
{
	struct backend_options o = options();
	struct seam *seam = seam_system();
	struct backend *other;
	volatile bool stop = true;
	char got[4];
	int64_t began;

	(void)state;
	assert_ok(backend_put(b, "pack/x", text, sizeof(text)));
	o.timeout_ns = INT64_C(300000000);
	assert_ok(backend_open(url, &o, &other));
	set_fault("[{\"match\":\"GET\",\"do\":\"stall\",\"seconds\":3,"
		  "\"times\":9}]");
	began = seam->ops->monotonic_ns(seam);
	assert_result(backend_get(other, "pack/x", 0, got, 4), -ETIMEDOUT);
	assert_true(seam->ops->monotonic_ns(seam) - began <
		    INT64_C(2000000000));
	backend_close(other);
	o = options();
	o.stop = &stop;
	assert_ok(backend_open(url, &o, &other));
	began = seam->ops->monotonic_ns(seam);
	assert_result(backend_get(other, "pack/x", 0, got, 4), -EINTR);
	assert_true(seam->ops->monotonic_ns(seam) - began <
		    INT64_C(2000000000));
	backend_close(other);
	set_fault("[]");
	/* Where nobody listens. */
	o = options();
	o.timeout_ns = INT64_C(300000000);
	assert_ok(backend_open("s3:http://127.0.0.1:1/bucket/v", &o, &other));
	assert_result(backend_get(other, "pack/x", 0, got, 4), -EAGAIN);
	backend_close(other);
	assert_ok(backend_delete(b, "pack/x"));
}

/* A clock that is wrong by an hour is corrected by the server's. */
struct late_seam {
	struct seam seam;
	struct seam_ops ops;
};

static int64_t late(struct seam *s)
{
	struct seam *real = seam_system();

	(void)s;
	return real->ops->realtime_ns(real) - INT64_C(3600000000000);
}

static void a_wrong_clock_is_corrected(void **state)
{
	struct late_seam s = { .ops = *seam_system()->ops };
	struct backend_options o = options();
	struct backend *other;

	(void)state;
	s.seam.ops = &s.ops;
	s.ops.realtime_ns = late;
	o.seam = &s.seam;
	assert_ok(backend_open(url, &o, &other));
	assert_ok(backend_put(other, "pack/late", "x", 1));
	(void)nrequests();
	assert_ok(backend_delete(other, "pack/late"));
	assert_int_equal(nrequests(), 1);
	backend_close(other);
}

static void wrong_keys_are_refused(void **state)
{
	struct backend_options o = options();
	struct backend *other;
	char got[1];

	(void)state;
	setenv("AWS_SECRET_ACCESS_KEY", "another", 1);
	assert_ok(backend_open(url, &o, &other));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signatures_are_as_published),
		cmocka_unit_test(documents_are_bounded),
		cmocka_unit_test(places_are_told_apart),
		cmocka_unit_test(keys_come_from_a_profile),
		cmocka_unit_test(objects_are_put_and_read),
		cmocka_unit_test(all_pages_are_listed),
		cmocka_unit_test(one_of_many_wins),
		cmocka_unit_test(what_passes_is_tried_again),
		cmocka_unit_test(a_lost_answer_is_asked_about),
		cmocka_unit_test(refusals_are_told),
		cmocka_unit_test(answers_are_bounded),
		cmocka_unit_test(a_store_that_overwrites_is_refused),
		cmocka_unit_test(waiting_has_an_end),
		cmocka_unit_test(a_wrong_clock_is_corrected),
		cmocka_unit_test(wrong_keys_are_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
