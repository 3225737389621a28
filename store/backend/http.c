/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A thread has a multi handle of libcurl's; whoever asks puts a request into a queue
 * and wakes it (curl_multi_wakeup() is the only call that other threads may make). An
 * easy handle serves one request after the other, so that what it has allocated, and
 * its connection, are used again.
 *
 * Bulk requests have a limit of their own, so that registers and listings never wait
 * behind packs. Where the store asks for patience the limit is halved; it grows by one
 * with as many answers as it is high.
 */
#include "config.h"

#include "store/backend/http.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <curl/curl.h>

#include "store/backend/http_internal.h"
#include "store/backend/internal.h"
#include "store/base/lock.h"
#include "store/base/secret.h"

#define BULK_MAX 8
#define CONTROL_MAX 16
#define CONNECTIONS (BULK_MAX + CONTROL_MAX)
/* How soon it is seen that a request shall end. */
#define LOOK_NS (INT64_C(50) * 1000000)

struct http {
	char *ca_file; /* owned; NULL: the system's */
	long low_speed;
	CURLM *multi; /* of the loop */
	pthread_t loop;
	bool has_loop;
	CURL *idle[CONNECTIONS]; /* of the loop; owned */
	size_t nidle;
	unsigned int bulk_limit, answers; /* of the loop */
	atomic_uint_fast64_t requests, sent, received, failures;
	pthread_cond_t done; /* some job is */
	pthread_mutex_t lock; /* protects what follows */
	struct job *first, *last; /* the queue */
	struct job *running[CONNECTIONS];
	bool ends;
};

/* ---- the loop ---- */

static CURL *take_easy(struct http *h)
{
	CURL *e = h->nidle ? h->idle[--h->nidle] : curl_easy_init();

	if (e && job_set_always(e, h->ca_file, h->low_speed)) {
		curl_easy_cleanup(e);
		e = NULL;
	}
	return e;
}

static void give_easy(struct http *h, CURL *e)
{
	curl_easy_reset(e);
	if (h->nidle < CONNECTIONS)
		h->idle[h->nidle++] = e;
	else
		curl_easy_cleanup(e);
}

static void finish(struct http *h, struct job *j, int result)
{
	struct curl_slist *line;
	size_t i;

	if (j->easy) {
		curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE,
				  &j->a->status);
		curl_multi_remove_handle(h->multi, j->easy);
		give_easy(h, j->easy);
		j->easy = NULL;
	}
	for (line = j->headers; line; line = line->next)
		secret_wipe(line->data, strlen(line->data));
	curl_slist_free_all(j->headers);
	j->headers = NULL;
	j->result = result;
	SCOPED_LOCK(&h->lock);
	for (i = 0; i < CONNECTIONS; i++)
		if (h->running[i] == j)
			h->running[i] = NULL;
	j->state = JOB_IS_DONE;
	pthread_cond_broadcast(&h->done);
}

static void adapt(struct http *h, long status)
{
	if (status == 429 || status == 503) {
		h->bulk_limit = MAX(1, h->bulk_limit / 2);
		h->answers = 0;
	} else if (++h->answers >= h->bulk_limit) {
		h->bulk_limit = MIN(BULK_MAX, h->bulk_limit + 1);
		h->answers = 0;
	}
}

static void end_job(struct http *h, struct job *j, CURLcode code)
{
	curl_off_t up = 0, down = 0;
	int r = job_result(j, code);
	long status = 0;

	curl_easy_getinfo(j->easy, CURLINFO_SIZE_UPLOAD_T, &up);
	curl_easy_getinfo(j->easy, CURLINFO_SIZE_DOWNLOAD_T, &down);
	atomic_fetch_add(&h->sent, (uint64_t)MAX(up, 0));
	atomic_fetch_add(&h->received, (uint64_t)MAX(down, 0));
	if (r < 0) {
		atomic_fetch_add(&h->failures, 1);
		snprintf(j->a->why, sizeof(j->a->why), "%.255s",
			 j->text[0] ? j->text : curl_easy_strerror(code));
	}
	curl_easy_getinfo(j->easy, CURLINFO_RESPONSE_CODE, &status);
	/* Then it is of the thread that waits, and may be gone. */
	finish(h, j, r);
	if (r == 0)
		adapt(h, status);
}

static void start_job(struct http *h, struct job *j)
{
	atomic_fetch_add(&h->requests, 1);
	j->easy = take_easy(h);
	if (!j->easy || !job_add_headers(j) || job_set_request(j) ||
	    curl_multi_add_handle(h->multi, j->easy) != CURLM_OK) {
		if (j->easy)
			curl_easy_cleanup(j->easy);
		j->easy = NULL;
		finish(h, j, -ENOMEM);
	}
}

/* The next that may run; with the lock. NULL: none. */
static struct job *next_job(struct http *h)
{
	unsigned int bulk = 0, control = 0;
	struct job **at, *before = NULL, *j;
	size_t i, room = CONNECTIONS;

	for (i = 0; i < CONNECTIONS; i++) {
		if (!h->running[i])
			room = i;
		else if (h->running[i]->rq->is_bulk)
			bulk++;
		else
			control++;
	}
	if (room == CONNECTIONS)
		return NULL;
	for (at = &h->first; (j = *at); before = j, at = &j->next)
		if (j->rq->is_bulk ? bulk < h->bulk_limit
				   : control < CONTROL_MAX)
			break;
	if (!j)
		return NULL;
	*at = j->next;
	if (h->last == j)
		h->last = before;
	j->state = JOB_RUNS;
	h->running[room] = j;
	return j;
}

static struct job *take_job(struct http *h)
{
	SCOPED_LOCK(&h->lock);
	return next_job(h);
}

static struct job *take_cancelled(struct http *h)
{
	size_t i;

	SCOPED_LOCK(&h->lock);
	for (i = 0; i < CONNECTIONS; i++)
		if (h->running[i] && h->running[i]->is_cancelled)
			return h->running[i];
	return NULL;
}

static bool is_ended(struct http *h)
{
	SCOPED_LOCK(&h->lock);
	return h->ends;
}

static void *serve(void *arg)
{
	struct http *h = arg;
	struct job *j;
	CURLMsg *m;
	int running, left;

	while (!is_ended(h)) {
		while ((j = take_cancelled(h)))
			finish(h, j, -ECANCELED);
		while ((j = take_job(h)))
			start_job(h, j);
		curl_multi_perform(h->multi, &running);
		while ((m = curl_multi_info_read(h->multi, &left))) {
			CURLcode code = m->data.result;

			if (m->msg != CURLMSG_DONE)
				continue;
			curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE,
					  (char **)&j);
			end_job(h, j, code);
		}
		while ((j = take_job(h)))
			start_job(h, j);
		curl_multi_poll(h->multi, NULL, 0, 1000, NULL);
	}
	return NULL;
}

/* ---- for those who ask ---- */

int http_new(const struct http_options *o, struct http **out)
{
	struct http *h = calloc(1, sizeof(*h));
	pthread_condattr_t attr;
	int r;

	*out = NULL;
	if (!h || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(h);
		return -ENOMEM;
	}
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->done, &attr);
	pthread_condattr_destroy(&attr);
	h->low_speed = o->low_speed ? o->low_speed : 1024;
	h->bulk_limit = BULK_MAX / 2;
	h->ca_file = o->ca_file ? strdup(o->ca_file) : NULL;
	h->multi = curl_multi_init();
	r = h->multi && !o->ca_file == !h->ca_file ? 0 : -ENOMEM;
	if (r == 0) {
		curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS,
				  (long)CONNECTIONS);
		curl_multi_setopt(h->multi, CURLMOPT_PIPELINING,
				  (long)CURLPIPE_NOTHING);
		r = -pthread_create(&h->loop, NULL, serve, h);
		h->has_loop = r == 0;
	}
	if (r < 0)
		http_free(h);
	else
		*out = h;
	return r;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	if (h->has_loop) {
		pthread_mutex_lock(&h->lock);
		h->ends = true;
		pthread_mutex_unlock(&h->lock);
		curl_multi_wakeup(h->multi);
		pthread_join(h->loop, NULL);
	}
	while (h->nidle > 0)
		curl_easy_cleanup(h->idle[--h->nidle]);
	curl_multi_cleanup(h->multi);
	free(h->ca_file);
	pthread_cond_destroy(&h->done);
	pthread_mutex_destroy(&h->lock);
	free(h);
	curl_global_cleanup();
}

static void submit(struct http *h, struct job *j)
{
	SCOPED_LOCK(&h->lock);
	if (h->last)
		h->last->next = j;
	else
		h->first = j;
	h->last = j;
}

/* Take it out of the queue, or have the loop end it; with the lock. */
static void cancel(struct http *h, struct job *j)
{
	struct job **at, *before = NULL;

	if (j->state == JOB_WAITS) {
		for (at = &h->first; *at != j; at = &(*at)->next)
			before = *at;
		*at = j->next;
		if (h->last == j)
			h->last = before;
		j->state = JOB_IS_DONE;
		j->result = -ECANCELED;
	}
	j->is_cancelled = true;
}

static void look_ahead(struct timespec *t)
{
	clock_gettime(CLOCK_MONOTONIC, t);
	t->tv_nsec += LOOK_NS;
	if (t->tv_nsec >= 1000000000) {
		t->tv_nsec -= 1000000000;
		t->tv_sec++;
	}
}

/* Until it is done, or shall end. Return why it shall, or 0. */
static int await(struct http *h, const struct backend_call *c, struct job *j)
{
	struct timespec t;
	int over = 0;

	SCOPED_LOCK(&h->lock);
	while (j->state != JOB_IS_DONE) {
		look_ahead(&t);
		pthread_cond_timedwait(&h->done, &h->lock, &t);
		if (over == 0 && j->state != JOB_IS_DONE) {
			over = backend_call_over(c);
			if (over < 0) {
				cancel(h, j);
				curl_multi_wakeup(h->multi);
			}
		}
	}
	return j->result == -ECANCELED ? over : 0;
}

int http_run(struct http *h, const struct backend_call *c,
	     const struct http_request *rq, struct http_answer *a)
{
	struct job j = { .rq = rq, .a = a };
	int over;

	submit(h, &j);
	curl_multi_wakeup(h->multi);
	over = await(h, c, &j);
	return over < 0 ? over : j.result;
}

int64_t http_date(const char *text)
{
	return *text ? (int64_t)curl_getdate(text, NULL) : -1;
}

void http_answer_release(struct http_answer *a)
{
	buf_release(&a->body);
}

void http_get_stats(struct http *h, struct http_stats *out)
{
	out->requests = atomic_load(&h->requests);
	out->sent = atomic_load(&h->sent);
	out->received = atomic_load(&h->received);
	out->failures = atomic_load(&h->failures);
}
