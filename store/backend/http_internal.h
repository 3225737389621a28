/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request on its way; private to store/backend/http*.c. */
#ifndef STORE_BACKEND_HTTP_INTERNAL_H
#define STORE_BACKEND_HTTP_INTERNAL_H

#include "store/backend/http.h"

#include <curl/curl.h>

enum job_state { JOB_WAITS, JOB_RUNS, JOB_IS_DONE };

/* A request on its way; of the thread that asks, which waits for its end. */
struct job {
	const struct http_request *rq;
	struct http_answer *a;
	struct job *next; /* in the queue */
	CURL *easy; /* while it runs */
	struct curl_slist *headers;
	size_t sent; /* of the body */
	bool is_cancelled; /* protected by the lock of struct http, as state */
	enum job_state state;
	size_t header_bytes;
	/* The body: of a good answer, and of a refusal. */
	bool is_too_long, is_cut;
	bool is_malformed;
	int result;
	char text[CURL_ERROR_SIZE];
};

/* What is the same for all requests; what is of one; and its headers. Return whether
 * something failed; job_add_headers() whether nothing did. */
bool job_set_always(CURL *e, const char *ca_file, long low_speed);
bool job_set_request(struct job *j);
bool job_add_headers(struct job *j);
/* What became of it, as http_run() returns it. */
int job_result(const struct job *j, CURLcode code);

#endif
