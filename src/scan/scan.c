/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The calls of a scan: they empty the batches that the reading thread fills
 * (walk.c), in the order in which it fills them.
 */
#include "config.h"

#include "src/scan/scan.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/scan/internal.h"
#include "store/base/log.h"

static int threads_start(struct scan *s)
{
	sigset_t all, old;
	int r;

	/* Signals are for the threads that wait for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&s->reader, NULL, scan_walk_run, s->walk);
	s->has_reader = r == 0;
	/* With two cores, reader and caller are enough. */
	if (r == 0 && sysconf(_SC_NPROCESSORS_ONLN) > 2)
		s->has_helper = pthread_create(&s->helper, NULL, queue_help,
					       &s->queue) == 0;
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return fail(-r, "the scan: no thread: %s", strerror(r));
	return 0;
}

int scan_open(const struct scan_options *o, struct scan **out)
{
	struct scan *s;
	int r;

	*out = NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	r = queue_init(&s->queue);
	if (r == 0)
		r = source_set_init(&s->sources, o->sources, o->nsources);
	if (r == 0)
		r = scan_walk_new(s, o, &s->walk);
	if (r == 0)
		r = threads_start(s);
	if (r < 0)
		goto err;
	*out = s;
	return 0;
err:
	scan_close(s);
	return r;
}

void scan_close(struct scan *s)
{
	if (!s)
		return;
	queue_stop(&s->queue);
	if (s->has_helper)
		pthread_join(s->helper, NULL);
	if (s->has_reader)
		pthread_join(s->reader, NULL);
	scan_walk_free(s->walk);
	queue_release(&s->queue);
	source_set_release(&s->sources);
	buf_release(&s->path);
	free(s);
}

/* The item's absolute path. Most items share their directory with the last. */
static int item_path(struct scan *s, const struct scan_rec *rec,
		     const char *name)
{
	struct buf *b = &s->path;

	if (rec->dir != s->path_dir || !rec->dir) {
		buf_clear(b);
		if (rec->dir)
			buf_put(b, rec->dir->path, rec->dir->path_len);
		buf_put_u8(b, '/');
		s->path_dir = rec->dir;
		s->path_dir_len = b->len;
	}
	b->len = s->path_dir_len;
	buf_put(b, name, rec->name_len + 1);
	return buf_error(b);
}

int scan_next(struct scan *s, struct scan_item *out)
{
	const struct scan_rec *rec;
	int r;

	while (!s->batch || s->next == s->batch->nrecs) {
		if (s->ended)
			return s->error;
		s->path_dir = NULL; /* its memory may be used again */
		if (s->batch)
			queue_give_back(&s->queue);
		s->next = 0;
		s->batch = queue_take(&s->queue, &s->error);
		s->ended = !s->batch;
	}
	rec = &s->batch->recs[s->next++];
	out->dirkey = rec->dir ? rec->dir->key : (const uint8_t *)"";
	out->dirkey_len = rec->dir ? rec->dir->key_len : 0;
	out->name = (const char *)s->batch->names.data + rec->name_off;
	out->name_len = rec->name_len;
	out->st = rec->st;
	out->dirfd = rec->dir ? rec->dir->fd : -1;
	out->error = rec->error;
	out->followed = rec->followed;
	out->unreachable = rec->unreachable;
	r = item_path(s, rec, out->name);
	if (r < 0)
		return r;
	out->path = (const char *)s->path.data;
	return 1;
}

const char *const *scan_sources(const struct scan *s, size_t *n_out)
{
	*n_out = s->sources.npaths;
	return (const char *const *)s->sources.paths;
}

const char *const *scan_left_out(const struct scan *s, size_t *n_out)
{
	return scan_walk_left_out(s->walk, n_out);
}
