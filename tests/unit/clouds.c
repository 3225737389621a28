/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/clouds.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/backend/http.h"
#include "store/backend/internal.h"
#include "store/backend/names.h"
#include "store/base/seam.h"

static const struct cloud *cloud;
static pid_t server;
static char endpoint[64], url[128];
static struct http *faults; /* to tell the server of faults */
static struct backend *b;

/* ---- the server ---- */

static void start_server(void)
{
	const char *dir = getenv("srcdir");
	char path[512], port[16] = "";
	const char *argv[12] = { "python3", path };
	size_t len = 0, i;
	int pipes[2];
	ssize_t n;

	snprintf(path, sizeof(path), "%s/tests/servers/%s",
		 dir && *dir ? dir : ".", cloud->script);
	for (i = 0; cloud->arguments[i]; i++)
		argv[2 + i] = cloud->arguments[i];
	assert_int_equal(pipe(pipes), 0);
	server = fork();
	assert_true(server >= 0);
	if (server == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		(void)dup2(pipes[1], 1);
		(void)close(pipes[0]);
		execvp("python3", (char *const *)argv);
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
	snprintf(url, sizeof(url), "%s:%s%s", cloud->scheme, endpoint,
		 cloud->place);
}

static struct backend_options options(void)
{
	/* All that is tried again is over soon. */
	return (struct backend_options){ .timeout_ns = INT64_C(20000000000),
					 .pause_ns = 1000000 };
}

const char *clouds_url(void)
{
	return url;
}

struct backend_options clouds_options(void)
{
	return options();
}

void clouds_start(const struct cloud *c)
{
	const struct http_options h = { .ca_file = NULL };
	struct backend_options o = options();

	cloud = c;
	/* What is on this machine is not asked for elsewhere. */
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	support_log_capture();
	start_server();
	assert_ok(http_new(&h, &faults));
	assert_ok(backend_create(url, &o, &b));
}

void clouds_stop(void)
{
	backend_close(b);
	http_free(faults);
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
	}
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
	assert_int_equal(nrequests(), cloud->requests_to_delete_10);
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
		"\"do\":\"status\",\"status\":503,\"code\":\"SlowDown\"",
		"\"do\":\"status\",\"status\":504",
		"\"do\":\"status\",\"status\":408",
		"\"do\":\"status\",\"status\":429",
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
	set_fault("[{\"match\":\"POST|DELETE\",\"do\":\"lost\"}]");
	assert_ok(backend_delete_many(b, names, 1));
	set_fault("[{\"match\":\"POST\",\"do\":\"error200\"}]");
	assert_ok(backend_delete_many(b, names, 1));
	set_fault("[]");
}

/* What else answers in the store's place is neither a success nor damage. */
static void what_is_no_answer_of_the_store_is_not_believed(void **state)
{
	static const char *const others[] = { "page", "gateway", "unbounded",
					      "range" };
	const char *names[1] = { "pack/y" };
	char json[256], got[sizeof(text)];
	struct backend_info info;
	uint8_t *all;
	size_t i, len;

	(void)state;
	assert_ok(backend_put(b, "pack/x", text, sizeof(text)));
	for (i = 0; i < ARRAY_SIZE(others); i++) {
		snprintf(json, sizeof(json),
			 "[{\"match\":\".*\",\"times\":2,\"do\":\"%s\"}]",
			 others[i]);
		set_fault(json);
		assert_ok(backend_get(b, "pack/x", 0, got, sizeof(text)));
		assert_string_equal(got, text);
		set_fault(json);
		assert_ok(backend_get_all(b, "pack/x", 1000, &all, &len));
		assert_int_equal(len, sizeof(text));
		free(all);
		set_fault(json);
		assert_ok(backend_put_own(b, "pack/y", text, sizeof(text)));
		set_fault("[]");
		assert_ok(backend_head(b, "pack/y", &info));
		assert_int_equal(info.size, sizeof(text));
		set_fault(json);
		assert_ok(backend_delete_many(b, names, 1));
		set_fault("[]");
		assert_result(backend_head(b, "pack/y", &info), -ENOENT);
	}
	set_fault("[{\"match\":\"GET\",\"do\":\"headers\"}]");
	assert_result(backend_get(b, "pack/x", 0, got, 1), -EIO);
	set_fault("[]");
	assert_ok(backend_delete(b, "pack/x"));
}

/* Nor is half a listing. */
static void a_listing_lacks_nothing(void **state)
{
	static const char *const lacking[] = {
		"<IsTruncated>.*</IsTruncated>|<NextMarker>.*</NextMarker>",
		"<Last-?Modified>[^<]*</Last-?Modified>",
		"<(Size|Content-Length)>[^<]*</(Size|Content-Length)>",
	};
	AUTO_NAMES struct backend_names spaced = { NULL, 0, 0 };
	char json[256];
	size_t i;

	(void)state;
	assert_ok(backend_put(b, "pack/x", "x", 1));
	for (i = 0; i < ARRAY_SIZE(lacking); i++) {
		AUTO_NAMES struct backend_names found = { NULL, 0, 0 };

		snprintf(json, sizeof(json),
			 "[{\"match\":\".*\",\"do\":\"change\",\"from\":"
			 "\"%s\",\"to\":\"\"}]",
			 lacking[i]);
		set_fault(json);
		assert_result(backend_list_names(b, "pack/", &found), -EIO);
		assert_said("is malformed");
	}
	/* Space between elements is no text, however much there is. */
	set_fault("[{\"match\":\".*\",\"do\":\"spaces\"}]");
	assert_ok(backend_list_names(b, "pack/", &spaced));
	assert_int_equal(spaced.n, 1);
	set_fault("[]");
	assert_ok(backend_delete(b, "pack/x"));
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
		{ "\"status\":404,\"code\":\"ContainerNotFound\"",
		  -EHOSTUNREACH },
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
		/* Each store has its own word for it. */
		if (refusals[i].result == -EHOSTUNREACH &&
		    !strstr(refusals[i].fault, cloud->no_bucket))
			continue;
		AUTO_NAMES struct backend_names found = { NULL, 0, 0 };

		snprintf(
			json, sizeof(json),
			"[{\"match\":\".*\",\"times\":99,\"do\":\"status\",%s}]",
			refusals[i].fault);
		set_fault(json);
		support_log_clear();
		assert_result(backend_get(b, "pack/x", 0, got, 4),
			      refusals[i].result);
		assert_said(url);
		assert_null(strstr(support_log_text(), cloud->arguments[1]));
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
	AUTO_NAMES struct backend_names wheel = { NULL, 0, 0 };
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
	set_fault("[{\"match\":\"GET .*list\",\"do\":\"wheel\",\"times\":99}]");
	assert_result(backend_list_names(b, "pack/", &wheel), -EIO);
	assert_said("in a circle");
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
	char got[4], nowhere[128];
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
	snprintf(nowhere, sizeof(nowhere), "%s:http://127.0.0.1:1%s",
		 cloud->scheme, cloud->place);
	assert_ok(backend_open(nowhere, &o, &other));
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

/* Several that hear at once that their clock is wrong are all heard again. */
static void *get_late(void *arg)
{
	struct backend *other = arg;
	char got[1];

	return backend_get(other, "pack/late", 0, got, 1) == 0 ? NULL : arg;
}

static void all_are_corrected_at_once(void **state)
{
	struct late_seam s = { .ops = *seam_system()->ops };
	struct backend_options o = options();
	struct backend *other;
	pthread_t threads[4];
	void *failed;
	size_t i;

	(void)state;
	assert_ok(backend_put(b, "pack/late", "x", 1));
	s.seam.ops = &s.ops;
	s.ops.realtime_ns = late;
	o.seam = &s.seam;
	assert_ok(backend_open(url, &o, &other));
	/* All were sent before one is answered. */
	set_fault("[{\"match\":\"GET\",\"do\":\"stall\",\"seconds\":0.2,"
		  "\"times\":4}]");
	for (i = 0; i < 4; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, get_late, other), 0);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	set_fault("[]");
	backend_close(other);
	assert_ok(backend_delete(b, "pack/late"));
}

const struct CMUnitTest clouds_tests[CLOUDS_TESTS] = {
	cmocka_unit_test(objects_are_put_and_read),
	cmocka_unit_test(all_pages_are_listed),
	cmocka_unit_test(one_of_many_wins),
	cmocka_unit_test(what_passes_is_tried_again),
	cmocka_unit_test(a_lost_answer_is_asked_about),
	cmocka_unit_test(what_is_no_answer_of_the_store_is_not_believed),
	cmocka_unit_test(a_listing_lacks_nothing),
	cmocka_unit_test(refusals_are_told),
	cmocka_unit_test(answers_are_bounded),
	cmocka_unit_test(a_store_that_overwrites_is_refused),
	cmocka_unit_test(waiting_has_an_end),
	cmocka_unit_test(a_wrong_clock_is_corrected),
	cmocka_unit_test(all_are_corrected_at_once),
};
