/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A restore may write to several filesystems, since the target's mount points
 * are written into. Each is synced once at the end, and no other: a sync of
 * the whole machine waits for what is none of ours.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "store/base/log.h"

void sync_note(struct restore *run, int fd, dev_t dev)
{
	struct restore_sync *s = &run->sync;
	size_t i;
	int copy;

	for (i = 0; i < s->n; i++)
		if (s->items[i].dev == dev)
			return;
	copy = s->n < RESTORE_SYNC_MAX ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (copy < 0) {
		s->more = true;
		return;
	}
	s->items[s->n].dev = dev;
	s->items[s->n++].fd = copy;
}

int sync_all(struct restore *run)
{
	struct restore_sync *s = &run->sync;
	int r = 0;
	size_t i;

	if (run->o->dry_run)
		return 0;
	if (s->more)
		sync();
	for (i = 0; i < s->n; i++)
		if (syncfs(s->items[i].fd) < 0 && r == 0)
			r = -errno;
	return r < 0 ? fail(r, "target %s: not all is on disk: %s",
			    run->o->target, strerror(-r))
		     : 0;
}

void sync_release(struct restore *run)
{
	struct restore_sync *s = &run->sync;

	while (s->n > 0)
		close(s->items[--s->n].fd);
}
