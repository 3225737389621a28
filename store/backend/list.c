/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A listing, page by page. Stores give the names of a large vault in parts, and
 * each part is a round trip. A page says what follows it, in one token or in
 * several that can be fetched at once: a directory has one for each folder, a
 * store of objects can split what is left at the names that packs begin with.
 * Pages come in waves, and are handed on between them, on the caller's thread.
 * A page that fails for the moment is fetched again, before any of it was
 * handed on, so that no name comes twice.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/internal.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/base/stop.h"

#define WAVE_MAX 64 /* pages at once */

static _Thread_local const struct backend *listing_of_thread;

bool backend_is_listing(const struct backend *b)
{
	return listing_of_thread == b;
}

/* ---- pages ---- */

static int put_text(struct backend_page *page, const char *text, size_t *at_out)
{
	*at_out = page->text.len;
	buf_put(&page->text, text, strlen(text) + 1);
	return buf_error(&page->text);
}

int backend_page_add(struct backend_page *page, const char *name,
		     const struct backend_info *info)
{
	struct backend_found *f;

	if (array_reserve(&page->found, &page->cap, page->n + 1) < 0)
		return -ENOMEM;
	f = &page->found[page->n];
	if (put_text(page, name, &f->name) < 0)
		return -ENOMEM;
	f->info = *info;
	page->n++;
	return 0;
}

int backend_page_more(struct backend_page *page, const char *token)
{
	if (array_reserve(&page->tokens, &page->tokens_cap, page->ntokens + 1) <
		    0 ||
	    put_text(page, token, &page->tokens[page->ntokens]) < 0)
		return -ENOMEM;
	page->ntokens++;
	return 0;
}

void backend_page_release(struct backend_page *page)
{
	free(page->found);
	free(page->tokens);
	buf_release(&page->text);
	memset(page, 0, sizeof(*page));
}

/* ---- waves ---- */

struct page_job {
	struct listing *listing; /* borrowed */
	char *token; /* owned; NULL: the first page */
	struct backend_page page;
	int err;
};

struct listing {
	struct backend *b;
	const char *prefix;
	backend_list_fn *fn;
	void *arg;
	struct stop *obeys; /* the caller's, for the threads that fetch */
	bool plain; /* names alone are asked for */
	struct pool *pool; /* owned; NULL: pages come one at a time */
	char **tokens; /* owned, and so is each: pages to be fetched */
	size_t n, cap;
	/* A listing that goes round in a circle, however long, comes back to the
	 * token that is kept: it is another after twice as many each time. */
	char *kept; /* owned; NULL: none yet */
	size_t ntokens, next_kept;
};

static void fetch(void *arg)
{
	struct page_job *job = arg;
	struct backend *b = job->listing->b;
	struct backend_trial t = backend_begin(b, "list", job->listing->prefix);

	t.call.obeys = job->listing->obeys;
	do {
		backend_page_release(&job->page);
		job->page.plain = job->listing->plain;
		job->err = b->ops->list(b, &t.call, job->listing->prefix,
					job->token, &job->page);
	} while (backend_try_again(&t, &job->err));
}

/* What a store answers is checked before anybody builds a name from it. */
static int hand_on(struct listing *l, const struct backend_page *page)
{
	const struct backend *before = listing_of_thread;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < page->n; i++) {
		const struct backend_found *f = &page->found[i];
		const char *name = (const char *)page->text.data + f->name;

		if (strncmp(name, l->prefix, strlen(l->prefix)) != 0 ||
		    !backend_name_valid(name))
			return fail(
				-EBADMSG,
				"vault %s: listing '%s' gave '%s', which is not an object of it",
				l->b->url, l->prefix, name);
		listing_of_thread = l->b;
		r = l->fn(l->arg, name, &f->info);
		listing_of_thread = before;
	}
	return r;
}

static int look_for_circle(struct listing *l, const char *token)
{
	if (l->kept && strcmp(l->kept, token) == 0)
		return fail(-EIO,
			    "vault %s: the store's listing of %s is malformed: "
			    "it goes round in a circle",
			    l->b->url, *l->prefix ? l->prefix : "the vault");
	if (l->ntokens++ < l->next_kept)
		return 0;
	l->next_kept = 2 * l->ntokens;
	free(l->kept);
	l->kept = strdup(token);
	return l->kept ? 0 : -ENOMEM;
}

static int note_tokens(struct listing *l, const struct backend_page *page)
{
	size_t i;
	int r = 0;

	if (array_reserve(&l->tokens, &l->cap, l->n + page->ntokens) < 0)
		return -ENOMEM;
	for (i = 0; i < page->ntokens; i++) {
		l->tokens[l->n] =
			strdup((const char *)page->text.data + page->tokens[i]);
		if (!l->tokens[l->n])
			return -ENOMEM;
		l->n++;
		if (r == 0)
			r = look_for_circle(l, l->tokens[l->n - 1]);
	}
	return r;
}

/* Fetch @n pages, at once where that is worth a thread, and hand them on. */
static int run_wave(struct listing *l, struct page_job *jobs, size_t n)
{
	size_t i;
	int r = 0;

	if (n > 1 && l->b->list_threads > 1 && !l->pool)
		l->pool = pool_new(l->b->list_threads, WAVE_MAX);
	for (i = 0; i < n; i++) {
		if (l->pool)
			pool_run(l->pool, fetch, &jobs[i]);
		else
			fetch(&jobs[i]);
	}
	if (l->pool)
		pool_wait(l->pool);
	for (i = 0; i < n; i++) {
		if (r == 0)
			r = jobs[i].err;
		if (r == 0)
			r = hand_on(l, &jobs[i].page);
		if (r == 0)
			r = note_tokens(l, &jobs[i].page);
		backend_page_release(&jobs[i].page);
		free(jobs[i].token);
	}
	return r;
}

/* The next pages to fetch: as many as there are threads for, a few times over,
 * for some are shorter than others. */
static size_t take_wave(struct listing *l, struct page_job *jobs)
{
	size_t most = l->b->list_threads > 1 ? WAVE_MAX : 1;
	size_t n = MIN(l->n, most), i;

	for (i = 0; i < n; i++)
		jobs[i] = (struct page_job){ .listing = l,
					     .token = l->tokens[i] };
	l->n -= n;
	if (l->n > 0)
		memmove(l->tokens, l->tokens + n, l->n * sizeof(*l->tokens));
	return n;
}

static int check_prefix(const struct backend *b, const char *prefix)
{
	size_t len = strlen(prefix);
	char name[BACKEND_NAME_MAX + 1] = "";

	if (len == 0)
		return 0;
	if (len <= BACKEND_NAME_MAX && prefix[len - 1] == '/')
		memcpy(name, prefix, len - 1);
	if (backend_name_valid(name))
		return 0;
	return fail(-EINVAL, "vault %s: cannot list '%s'", b->url, prefix);
}

static int list_all(struct backend *b, const char *prefix, bool plain,
		    backend_list_fn *fn, void *arg)
{
	struct listing l = { .b = b,
			     .prefix = prefix,
			     .fn = fn,
			     .arg = arg,
			     .obeys = stop_of_thread,
			     .plain = plain };
	struct page_job jobs[WAVE_MAX] = { { .listing = &l } };
	size_t n = 1;
	int r = check_prefix(b, prefix);

	while (r == 0 && n > 0) {
		r = run_wave(&l, jobs, n);
		n = r == 0 ? take_wave(&l, jobs) : 0;
	}
	pool_free(l.pool);
	while (l.n > 0)
		free(l.tokens[--l.n]);
	free(l.tokens);
	free(l.kept);
	return r;
}

int backend_list(struct backend *b, const char *prefix, backend_list_fn *fn,
		 void *arg)
{
	return list_all(b, prefix, false, fn, arg);
}

int backend_list_plain(struct backend *b, const char *prefix,
		       backend_list_fn *fn, void *arg)
{
	return list_all(b, prefix, true, fn, arg);
}
