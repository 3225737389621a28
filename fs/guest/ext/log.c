/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The journal of a filesystem that was not unmounted: its inode, its log, and
 * what users are told of both. */
#include "config.h"

#include "fs/guest/ext/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/guest/ext/overlay.h"
#include "store/base/array.h"
#include "store/base/log.h"

#define RUNS_MAX (1u << 20)

struct runs {
	const struct ext *e;
	struct journal_run *list; /* owned */
	size_t n, cap;
};

static int add_run(void *arg, uint64_t lblk, uint64_t pblk, uint64_t n,
		   bool unwritten)
{
	struct runs *s = arg;

	(void)unwritten; /* the kernel does not ask either */
	if (s->n >= RUNS_MAX)
		return -EFBIG;
	if (array_reserve(&s->list, &s->cap, s->n + 1) < 0)
		return -ENOMEM;
	s->list[s->n++] = (struct journal_run){
		.log = lblk, .n = n, .at = pblk * s->e->super.block_size
	};
	return 0;
}

static void tell(struct guest_info *info, const char *state, const char *note)
{
	snprintf(info->state, sizeof(info->state), "%s", state);
	snprintf(info->note, sizeof(info->note), "%s", note);
	log_warn("ext: %s", info->note);
}

static void tell_unread(struct guest_info *info, const char *why)
{
	char note[200];

	snprintf(note, sizeof(note),
		 "Its journal was not replayed (%s): what was written last may "
		 "be missing or torn.",
		 why);
	tell(info, "log-not-replayed", note);
}

static void tell_part(struct guest_info *info, const struct journal_log *log)
{
	char note[200];

	if (log->damage) {
		snprintf(note, sizeof(note),
			 "Its journal was replayed up to a damage (%s): what "
			 "was written last may be missing.",
			 log->damage);
		tell(info, "log-partly-replayed", note);
	} else if (log->fast_commits) {
		tell(info, "log-partly-replayed",
		     "Its journal was replayed but for fast commits, which are "
		     "not read here: what was synced in the last seconds may "
		     "be missing.");
	}
}

static int find_runs(const struct ext *e, struct runs *runs)
{
	struct ext_inode *i = malloc(sizeof(*i));
	int r;

	if (!i)
		return -ENOMEM;
	r = ext_inode_read_any(e, e->super.journal_ino, i);
	if (r == 0 && (!S_ISREG(i->mode) || (i->flags & EXT_FL_INLINE_DATA)))
		r = -EBADMSG;
	if (r == 0)
		r = ext_map_walk(e, i, 0, add_run, runs);
	free(i);
	return r;
}

int ext_log_replay(const struct ext *e, struct guest_info *info,
		   struct blocks **out, size_t *held_out)
{
	struct runs runs = { .e = e };
	struct journal_log log = { 0 };
	struct journal_place place;
	int r;

	*out = NULL;
	r = find_runs(e, &runs);
	if (r == -EBADMSG || r == -ENOENT || r == -EFBIG) {
		tell_unread(info, "its inode is damaged");
		r = 0;
		goto out;
	}
	if (r < 0)
		goto out;
	place = (struct journal_place){ .b = e->data,
					.runs = runs.list,
					.nruns = runs.n,
					.block_size = e->super.block_size,
					.fs_blocks = e->super.blocks_count };
	r = journal_read(&place, &log);
	if (r < 0 && log.damage) {
		tell_unread(info, log.damage);
		r = 0;
		goto out;
	}
	if (r < 0)
		goto out;
	tell_part(info, &log);
	*held_out = log.n * sizeof(*log.patches);
	if (log.n > 0)
		r = overlay_new(e->data, e->super.block_size, &log, out);
out:
	journal_release(&log);
	free(runs.list);
	return r;
}
