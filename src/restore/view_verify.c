/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The second pass of --verify over what is no tree: what was written is read
 * again and compared with what it was made from.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/view.h"
#include "src/restore/view_internal.h"
#include "store/base/log.h"

static bool has_bit(const struct restore *run, uint64_t rank)
{
	return rank < run->nwritten &&
	       (run->written[rank / 8] & 1u << rank % 8);
}

static int verify_at(struct restore *run, const struct vent *x, int dirfd,
		     const char *name, uint8_t *piece)
{
	AUTO_CLOSE int fd = -1;
	struct entry e;
	struct stat st;

	vent_entry(x, &e);
	fd = openat(dirfd, name,
		    O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != e.size)
		return -EUCLEAN;
	/* It was synced: let what is read come from the disk. */
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	RESTORE_COUNT(run, verified_bytes, e.size);
	return vent_verify(run, x, fd, piece);
}

static int verify_one(struct restore *run, const char *path, uint64_t node,
		      int dirfd, uint8_t *piece)
{
	const char *slash = strrchr(path, '/');
	struct ref ref = { .leaf = NULL };
	int r = dirfd < 0 ? dirfd : view_ref(run, path, node, &ref);

	if (r == 0)
		r = verify_at(run, ref.vent, dirfd, slash ? slash + 1 : path,
			      piece);
	ref_put(&ref);
	if (r == -ENOMEM || restore_stopped(run) < 0)
		return r == -ENOMEM ? r : restore_stopped(run);
	if (r == 0) {
		RESTORE_COUNT(run, verified, 1);
		return 0;
	}
	log_warn("%s: what was restored is not what the point holds: %s", path,
		 r == -EUCLEAN ? "its content differs" : strerror(-r));
	restore_error(run, r);
	return 0;
}

/* The directory that is being compared. It is opened when something in it was
 * written, once. */
struct written_dir {
	int fd; /* owned; negative: not opened, or why it cannot be */
	bool tried;
};

static void close_dir(struct written_dir *d)
{
	if (d->fd >= 0)
		close(d->fd);
	*d = (struct written_dir){ .fd = -1 };
}

static int open_dir(struct restore *run, struct written_dir *d)
{
	if (!d->tried)
		d->fd = rdir_find(run, run->key.data, run->key.len);
	d->tried = true;
	return d->fd;
}

static int verify_entry(struct restore *run, struct walk *w,
			struct written_dir *d, uint8_t *piece)
{
	const struct walk_entry *e = &w->entry;
	int r = 0;

	if (!has_bit(run, e->rank))
		walk_skip(w);
	else if (S_ISREG(e->mode))
		r = verify_one(run, e->path, e->node, open_dir(run, d), piece);
	restore_tick(run);
	return r;
}

/* The run's key is that of the directory whose entries come. */
static int take_event(struct restore *run, struct walk *w,
		      enum walk_event event, struct written_dir *d,
		      uint8_t *piece)
{
	const struct walk_entry *e = &w->entry;

	if (event == WALK_ENTRY)
		return verify_entry(run, w, d, piece);
	if (event != WALK_ENTER && event != WALK_LEAVE)
		return 0;
	close_dir(d);
	if (e->depth == 0)
		return 0;
	if (event == WALK_ENTER)
		tree_key_push(&run->key, e->name, e->name_len);
	else
		tree_key_pop(&run->key);
	return buf_error(&run->key);
}

static int verify_walk(struct restore *run, uint8_t *piece)
{
	struct written_dir d = { .fd = -1 };
	struct walk w;
	int r = walk_begin(&w, run->o->view, WALK_ENTRIES_FIRST, run->o->path,
			   run->o->node);

	while (r == 0 && (r = walk_next(&w)) > 0)
		r = take_event(run, &w, (enum walk_event)r, &d, piece);
	close_dir(&d);
	walk_release(&w);
	return r;
}

int restore_view_verify(struct restore *run)
{
	AUTO_FREE uint8_t *piece = NULL;
	struct view_attr a;
	int r;

	if (!run->written)
		return 0;
	piece = malloc(2 * (size_t)RESTORE_PIECE);
	r = piece ? view_getattr(run->o->view, run->o->node, &a) : -ENOMEM;
	if (r < 0)
		return r;
	if (S_ISDIR(a.st.st_mode))
		return verify_walk(run, piece);
	if (S_ISREG(a.st.st_mode) && has_bit(run, 0))
		return verify_one(run, run->o->path, run->o->node, run->target,
				  piece);
	return 0;
}
