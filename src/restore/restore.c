/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A restore from its beginning to its end: what it owns is made, one of the two
 * walks decides what is to be done, the pool does it, and only when all of it
 * is on disk does the run say that it is done.
 */
#include "config.h"

#include "src/restore/restore.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "src/scan/exclude.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/vault.h"

static void run_release(struct restore *run)
{
	while (run->nlevels > 0)
		level_release(&run->levels[--run->nlevels]);
	jobs_release(run);
	free(run->levels);
	restore_links_free(run->links);
	exclude_free(run->left_out);
	sync_release(run);
	free(run->written);
	buf_release(&run->key);
	buf_release(&run->path);
	if (run->target >= 0)
		close(run->target);
	pthread_cond_destroy(&run->changed);
	pthread_mutex_destroy(&run->lock);
}

static int run_init(struct restore *run, const struct point *p)
{
	int r;

	run->target = -1;
	run->euid = geteuid();
	run->is_root = run->euid == 0;
	run->root = p->root;
	run->start_ns = run->seam->ops->monotonic_ns(run->seam);
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->changed, NULL);
	run->told_last = &run->told;
	if (!run->o->view &&
	    strspn(run->o->path, "/.") == strlen(run->o->path)) {
		run->progress.total_entries = p->entries;
		run->progress.total_bytes = p->bytes;
	}
	r = run->seam->ops->random(run->seam, &run->token, sizeof(run->token));
	if (r < 0)
		return r;
	run->links = restore_links_new();
	return run->links ? jobs_init(run) : -ENOMEM;
}

/* What the backup could not read is not in the point, but it was there. */
static void tell_incomplete(struct restore *run)
{
	const struct point *p = run->point;

	if (!p->incomplete)
		return;
	log_warn("the point is incomplete: %" PRIu64 " things could not be"
		 " read, or changed, when it was made",
		 p->errors);
	if (!run->o->delete_incomplete)
		restore_keep(run, "what the backup could not read is not in the"
				  " point; --delete-incomplete deletes it");
}

/* What the backup was told to leave out is not in the point either; older
 * points do not even say what that was. */
static void tell_unknown(struct restore *run)
{
	if (!run->o->view && !run->point->left_out.known &&
	    !run->o->delete_incomplete)
		restore_keep(run,
			     "the point was made by a version that did not "
			     "note what it left out; --delete-incomplete "
			     "deletes that, too");
}

static int run_passes(struct restore *run)
{
	const struct restore_options *o = run->o;
	struct vault_stats stats;
	int r;

	tell_incomplete(run);
	tell_unknown(run);
	r = seen_init(run);
	if (r == 0)
		r = o->view ? restore_view_walk(run) : restore_tree_walk(run);
	jobs_wait(run);
	/* Levels hold directories that are to be finished before the sync. */
	while (run->nlevels > 0)
		level_release(&run->levels[--run->nlevels]);
	if (r == 0)
		r = restore_stopped(run);
	if (r == 0)
		r = sync_all(run);
	if (r == 0 && run->written)
		r = o->view ? restore_view_verify(run) : restore_verify(run);
	if (r < 0 && r == atomic_load(&run->fatal))
		r = fail(r, "the restore into %s ended early: %s", o->target,
			 strerror(-r));
	if (o->view && run->progress.errors) {
		vault_get_stats(run->vault, &stats);
		run->progress.damage |= stats.damage > 0;
	}
	return r;
}

int restore_run(struct vault *v, const struct point *p,
		const struct restore_options *o, struct task *task,
		struct restore_progress *out)
{
	struct restore *run;
	int r;

	memset(out, 0, sizeof(*out));
	if (!o->view && !p->has_tree)
		return fail(-ENOENT, "this point has no files%s",
			    p->ndisks ? "; --disks-to DIR restores its disks"
				      : "");
	run = calloc(1, sizeof(*run));
	if (!run)
		return -ENOMEM;
	run->vault = v;
	run->o = o;
	run->point = p;
	run->seam = vault_seam(v);
	run->task = task;
	r = run_init(run, p);
	if (r == 0)
		r = run_passes(run);
	run->progress.seconds = restore_seconds(run);
	task_tick_now(task, &run->progress);
	*out = run->progress;
	run_release(run);
	free(run);
	return r;
}
