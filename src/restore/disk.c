/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One thread walks the disk's extents and deals them out in jobs; a pool
 * fetches, compares and writes. Ranges never overlap, so the order does not
 * matter; the first error ends it.
 */
#include "config.h"

#include "src/restore/disk.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/disk/target.h"
#include "src/restore/guard.h"
#include "store/base/bytes.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/base/seam.h"
#include "store/base/task.h"
#include "store/chunk.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"

#define JOB_EXTENTS 16
#define JOB_BYTES (4u << 20) /* a job is sent off when it has so many */
#define WIPE_BYTES (1u << 30)
#define THREADS_MAX 16

/* Extents for one thread, in order. */
struct job {
	struct disk_restore *run; /* borrowed */
	size_t n;
	uint64_t bytes;
	struct extent extents[JOB_EXTENTS];
};

struct disk_restore {
	struct vault *vault; /* borrowed, as what follows */
	const struct point_disk *disk;
	const struct restore_disk_options *o;
	struct disk_target *target; /* owned */
	struct seam *seam;
	struct task *task; /* its tick is the walking thread's */
	struct pool *pool; /* owned */
	struct job *job; /* being filled; owned; NULL: none */
	unsigned int threads;
	bool compare; /* the target may hold the right thing already */
	bool verifying; /* the second pass: nothing may differ */
	atomic_int failed; /* the first error */
	int64_t start_ns;
	pthread_mutex_t lock; /* protects progress */
	struct restore_disk_progress progress;
};

/* What one job did, added up at its end. */
struct tally {
	uint64_t done, written, same, zeroed, verified;
};

static void set_failed(struct disk_restore *run, int r)
{
	int none = 0;

	atomic_compare_exchange_strong(&run->failed, &none, r);
}

static void add_tally(struct disk_restore *run, const struct tally *t)
{
	pthread_mutex_lock(&run->lock);
	run->progress.bytes_done += t->done;
	run->progress.bytes_written += t->written;
	run->progress.bytes_same += t->same;
	run->progress.bytes_zeroed += t->zeroed;
	run->progress.bytes_verified += t->verified;
	pthread_mutex_unlock(&run->lock);
}

/* What is counted so far: threads go on counting. */
static struct restore_disk_progress progress_now(struct disk_restore *run)
{
	int64_t now = run->seam->ops->monotonic_ns(run->seam);

	SCOPED_LOCK(&run->lock);
	run->progress.seconds = (double)(now - run->start_ns) / 1e9;
	return run->progress;
}

static void tick(struct disk_restore *run)
{
	struct restore_disk_progress p;

	if (!run->task->tick)
		return;
	p = progress_now(run);
	task_tick(run->task, run->seam, &p);
}

/* Whether to go on: 0, -EINTR, or the first error of any thread. */
static int go_on(const struct disk_restore *run)
{
	return task_stopped(run->task) ? -EINTR : atomic_load(&run->failed);
}

/* ---- one extent ---- */

static int target_error(struct disk_restore *run, const char *what,
			uint64_t off, int r)
{
	if (r == -EINTR)
		return r;
	return fail(r, "%s: cannot be %s at byte %llu: %s", run->target->name,
		    what, (unsigned long long)off, strerror(-r));
}

static int differs(struct disk_restore *run, uint64_t off)
{
	return fail(-EBADMSG,
		    "%s: what was written at byte %llu reads back"
		    " otherwise: see to the disk (dmesg may know more), then"
		    " run it again with --delta",
		    run->target->name, (unsigned long long)off);
}

/* Does the target hold the chunk? 1, 0 or a negative errno. */
static int holds(struct disk_restore *run, const struct extent *e,
		 uint8_t *piece)
{
	struct disk_target *t = run->target;
	uint64_t start, end;
	struct id id;
	int r;

	/* Nothing but a hole need not be read. */
	r = disk_target_data(t, e->off, e->off + e->len, &start, &end);
	if (r == -ENXIO)
		return 0;
	r = disk_target_read(t, e->off, piece, (size_t)e->len);
	if (r < 0)
		return target_error(run, "read", e->off, r);
	r = keyring_id(vault_keyring(run->vault), CHUNK_DISK, piece,
		       (size_t)e->len, &id);
	return r < 0 ? r : id_equal(&id, &e->id);
}

static int do_data(struct disk_restore *run, const struct extent *e,
		   uint8_t *piece, struct tally *t)
{
	int r = run->compare ? holds(run, e, piece) : 0;

	if (r < 0)
		return r;
	t->done += e->len;
	if (r == 1) {
		t->same += e->len;
		t->verified += e->len;
		return 0;
	}
	if (run->verifying)
		return differs(run, e->off);
	t->written += e->len;
	if (run->o->dry_run)
		return 0;
	r = chunk_read(run->vault, CHUNK_DISK, &e->id, (uint32_t)e->len, 0,
		       (uint32_t)e->len, piece);
	if (r < 0)
		return r;
	r = disk_target_write(run->target, e->off, piece, (size_t)e->len);
	return r < 0 ? target_error(run, "written", e->off, r) : 0;
}

/* A range that holds something where the disk has nothing. */
static int clear(struct disk_restore *run, uint64_t off, size_t len,
		 uint8_t *piece, struct tally *t)
{
	struct disk_target *target = run->target;
	int r = disk_target_read(target, off, piece, len);

	if (r < 0)
		return target_error(run, "read", off, r);
	if (bytes_are_zero(piece, len))
		return 0;
	if (run->verifying)
		return differs(run, off);
	t->zeroed += len;
	if (run->o->dry_run)
		return 0;
	r = disk_target_zero(target, off, len);
	return r < 0 ? target_error(run, "written", off, r) : 0;
}

/* A range of something that is overwritten whatever it holds. */
static int wipe(struct disk_restore *run, uint64_t off, uint64_t end,
		struct tally *t)
{
	int r = 0;

	while (r == 0 && off < end && !run->target->fresh) {
		uint64_t n = MIN(end - off, (uint64_t)WIPE_BYTES);

		r = disk_target_zero(run->target, off, n);
		if (r < 0)
			return target_error(run, "written", off, r);
		t->zeroed += n;
		off += n;
		r = go_on(run);
	}
	return r;
}

static int do_zeros(struct disk_restore *run, const struct extent *e,
		    uint8_t *piece, struct tally *t)
{
	uint64_t at = e->off, end = e->off + e->len, start, stop;
	struct disk_target *target = run->target;
	int r = 0;

	if (!run->compare)
		return wipe(run, at, end, t);
	while (r == 0 && at < end) {
		r = disk_target_data(target, at, end, &start, &stop);
		if (r < 0)
			return r == -ENXIO ? 0
					   : target_error(run, "read", at, r);
		for (at = start; r == 0 && at < stop;) {
			size_t n = (size_t)MIN(stop - at, (uint64_t)JOB_BYTES);

			r = clear(run, at, n, piece, t);
			at += n;
			if (r == 0)
				r = go_on(run);
		}
	}
	return r;
}

static void run_job(void *arg)
{
	struct job *j = arg;
	struct disk_restore *run = j->run;
	AUTO_FREE uint8_t *piece = malloc(JOB_BYTES);
	struct tally t = { 0 };
	size_t i;
	int r = piece ? 0 : -ENOMEM;

	for (i = 0; i < j->n && r == 0 && !atomic_load(&run->failed); i++) {
		const struct extent *e = &j->extents[i];

		r = task_stopped(run->task)  ? -EINTR
		    : e->type == EXTENT_DATA ? do_data(run, e, piece, &t)
					     : do_zeros(run, e, piece, &t);
	}
	add_tally(run, &t);
	if (r < 0)
		set_failed(run, r);
	free(j);
}

/* ---- the walk ---- */

static void submit(struct disk_restore *run)
{
	if (run->job)
		pool_run(run->pool, run_job, run->job);
	run->job = NULL;
}

static int deal(struct disk_restore *run, const struct extent *e)
{
	if (!run->job) {
		run->job = calloc(1, sizeof(*run->job));
		if (!run->job)
			return -ENOMEM;
		run->job->run = run;
	}
	run->job->extents[run->job->n++] = *e;
	run->job->bytes += e->len;
	if (run->job->n == JOB_EXTENTS || run->job->bytes >= JOB_BYTES)
		submit(run);
	tick(run);
	return go_on(run);
}

static int on_extent(void *arg, const struct extent *e)
{
	struct disk_restore *run = arg;

	if (e->type != EXTENT_DATA && run->target->fresh && !run->verifying)
		return go_on(run);
	if (e->type == EXTENT_DATA && e->len > JOB_BYTES)
		return fail(-EBADMSG,
			    "disk %s: a chunk of %llu bytes is longer"
			    " than any disk's",
			    run->disk->name, (unsigned long long)e->len);
	return deal(run, e);
}

static int pass(struct disk_restore *run)
{
	struct content_ref content = point_disk_content(run->disk);
	int r = content_walk(run->vault, &content, on_extent, run);

	submit(run);
	pool_wait(run->pool);
	tick(run);
	return atomic_load(&run->failed) ? atomic_load(&run->failed) : r;
}

/* Neither what is written to nor what it is called until it is whole may be of
 * what is guarded. */
static int check_guarded(const struct restore_disk_options *o)
{
	static const char *const ends[] = {
		"", DISK_TARGET_PARTIAL, DISK_TARGET_PARTIAL DISK_TARGET_DRAFT
	};
	const char *what = NULL;
	size_t i;
	int r;

	for (i = 0; i < ARRAY_SIZE(ends); i++) {
		AUTO_FREE char *path = NULL;

		if (asprintf(&path, "%s%s", o->to, ends[i]) < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = guard_find_file(o->guard, path, &what);
		if (r < 0)
			return r;
		if (what)
			return fail(-EBUSY,
				    "%s: it is, or lies in, %s: restore to"
				    " another place",
				    path, what);
	}
	return 0;
}

static int open_target(struct disk_restore *run)
{
	struct disk_target_options to = {
		.to = run->o->to,
		.size = run->disk->size,
		.format = run->o->format,
		.keep_end = run->o->keep_end,
		.delta = run->o->delta,
		.force = run->o->force,
		.dry_run = run->o->dry_run,
		.seam = run->seam,
		.disk = run->disk->name,
		.threads = run->threads,
		.stop = run->task->stop,
	};
	bool resumed = false;
	int r = check_guarded(run->o);

	if (r < 0)
		return r;
	if (run->o->format && strcmp(run->o->format, "raw") != 0) {
		r = disk_target_image(&to, &resumed, &run->target);
	} else {
		r = disk_target_raw(&to, &resumed, &run->target);
	}
	run->progress.resumed = resumed;
	run->compare = run->o->delta || resumed;
	return r;
}

static int run_all(struct disk_restore *run)
{
	int r = open_target(run);

	if (r == 0)
		r = pass(run);
	if (r < 0 || run->o->dry_run)
		return r;
	if (run->o->verify) {
		/* What is read again shall come from the disk. */
		r = disk_target_settle(run->target);
		if (r < 0)
			return target_error(run, "synced", 0, r);
		run->verifying = run->compare = true;
		r = pass(run);
	}
	if (r < 0)
		return r;
	r = disk_target_finish(run->target);
	return r < 0 ? fail(r, "%s: cannot be made durable under its name: %s",
			    run->o->to, strerror(-r))
		     : 0;
}

int restore_disk(struct vault *v, const struct point_disk *d,
		 const struct restore_disk_options *o, struct task *task,
		 struct restore_disk_progress *out)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int threads = o->threads ? o->threads : (unsigned int)cores;
	struct disk_restore run = {
		.vault = v,
		.disk = d,
		.o = o,
		.seam = vault_seam(v),
		.task = task,
		.progress = { .bytes_total =
				      d->used *
				      (o->verify && !o->dry_run ? 2 : 1) },
	};
	int r;

	if (cores < 1 && !o->threads)
		threads = 1;
	threads = MIN(threads, THREADS_MAX);
	run.threads = threads;
	run.start_ns = run.seam->ops->monotonic_ns(run.seam);
	pthread_mutex_init(&run.lock, NULL);
	run.pool = pool_new(threads, threads);
	r = run.pool ? run_all(&run) : -ENOMEM;
	*out = progress_now(&run);
	task_tick_now(task, out);
	pool_free(run.pool);
	disk_target_free(run.target);
	pthread_mutex_destroy(&run.lock);
	return r;
}
