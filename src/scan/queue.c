/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Batches of entries on their way from the reader to the caller, and their
 * examination (fstatat), which is whoever's has nothing better to do.
 */
#include "config.h"

#include "src/scan/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/lock.h"

static void batch_clear(struct scan_batch *b)
{
	size_t i;

	for (i = 0; i < b->ndirs; i++)
		scan_dir_put(b->dirs[i]);
	b->ndirs = 0;
	b->nrecs = 0;
	buf_clear(&b->names);
}

int queue_init(struct scan_queue *q)
{
	size_t i;

	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->changed, NULL);
	for (i = 0; i < SCAN_BATCHES; i++) {
		q->ring[i] = calloc(1, sizeof(struct scan_batch));
		if (!q->ring[i])
			return -ENOMEM;
	}
	return 0;
}

void queue_release(struct scan_queue *q)
{
	size_t i;

	for (i = 0; i < SCAN_BATCHES && q->ring[i]; i++) {
		batch_clear(q->ring[i]);
		buf_release(&q->ring[i]->names);
		free(q->ring[i]);
		q->ring[i] = NULL;
	}
	pthread_cond_destroy(&q->changed);
	pthread_mutex_destroy(&q->lock);
}

static void batch_examine(struct scan_batch *b)
{
	const char *name;
	struct scan_rec *rec;

	for (rec = b->recs; rec < b->recs + b->nrecs; rec++) {
		if (!rec->pending)
			continue;
		name = (const char *)b->names.data + rec->name_off;
		rec->pending = false;
		if (fstatat(rec->dir->fd, name, &rec->st, AT_SYMLINK_NOFOLLOW) <
		    0)
			rec->error = -errno;
		else if (S_ISDIR(rec->st.st_mode))
			/* It was something else when its name was read, so
			 * nobody will walk it. */
			rec->error = -ESTALE;
		if (rec->error < 0)
			memset(&rec->st, 0, sizeof(rec->st));
	}
}

/* Examine one batch that waits for it. Called with the lock held; gives it
 * up meanwhile. False: there is none. */
static bool examine_one(struct scan_queue *q)
{
	uint64_t n;

	if (q->claimed == q->filled || q->stop)
		return false;
	n = q->claimed++ % SCAN_BATCHES;
	pthread_mutex_unlock(&q->lock);
	batch_examine(q->ring[n]);
	pthread_mutex_lock(&q->lock);
	q->ready[n] = true;
	pthread_cond_broadcast(&q->changed);
	return true;
}

struct scan_batch *queue_begin(struct scan_queue *q)
{
	SCOPED_LOCK(&q->lock);

	while (q->filled == q->released + SCAN_BATCHES && !q->stop)
		if (!examine_one(q))
			pthread_cond_wait(&q->changed, &q->lock);
	return q->stop ? NULL : q->ring[q->filled % SCAN_BATCHES];
}

void queue_put(struct scan_queue *q)
{
	SCOPED_LOCK(&q->lock);

	q->ready[q->filled++ % SCAN_BATCHES] = false;
	pthread_cond_broadcast(&q->changed);
}

void queue_end(struct scan_queue *q, int error)
{
	SCOPED_LOCK(&q->lock);

	q->ended = true;
	q->error = error;
	pthread_cond_broadcast(&q->changed);
}

struct scan_batch *queue_take(struct scan_queue *q, int *error)
{
	uint64_t n;

	SCOPED_LOCK(&q->lock);
	n = q->released % SCAN_BATCHES;
	for (;;) {
		if (q->released < q->claimed && q->ready[n])
			return q->ring[n];
		if (q->released == q->filled && q->ended) {
			*error = q->error;
			return NULL;
		}
		if (!examine_one(q))
			pthread_cond_wait(&q->changed, &q->lock);
	}
}

void queue_give_back(struct scan_queue *q)
{
	/* Nobody else looks at it until it is released. */
	batch_clear(q->ring[q->released % SCAN_BATCHES]);
	SCOPED_LOCK(&q->lock);
	q->released++;
	pthread_cond_broadcast(&q->changed);
}

void queue_stop(struct scan_queue *q)
{
	SCOPED_LOCK(&q->lock);

	q->stop = true;
	pthread_cond_broadcast(&q->changed);
}

void *queue_help(void *arg)
{
	struct scan_queue *q = arg;

	SCOPED_LOCK(&q->lock);
	while (!q->stop && !(q->ended && q->claimed == q->filled))
		if (!examine_one(q))
			pthread_cond_wait(&q->changed, &q->lock);
	return NULL;
}
