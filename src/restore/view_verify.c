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

static int verify_one(struct view_walk *w, const char *path, uint64_t node,
		      int dirfd, const char *name)
{
	struct restore *run = w->run;
	struct ref ref = { .leaf = NULL };
	int r = dirfd < 0 ? dirfd : view_walk_ref(run, path, node, &ref);

	if (r == 0)
		r = verify_at(run, ref.vent, dirfd, name, w->piece);
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

static int verify_files(struct view_walk *w)
{
	struct view_spot *s = &w->spots[w->n - 1];
	AUTO_BUF struct buf path = BUF_INIT;
	struct restore *run = w->run;
	AUTO_CLOSE int fd = -1;
	size_t i;
	int r = 0;

	for (i = 0; i < s->dir.n && r == 0; i++) {
		const struct view_name *n = &s->dir.names[i];
		const char *name = view_sorted_name(&s->dir, n);

		if (!S_ISREG(n->mode) || !has_bit(run, s->rank + i))
			continue;
		if (fd < 0)
			fd = rdir_find(run, run->key.data, run->key.len);
		r = view_walk_path(run, name, &path);
		if (r == 0)
			r = verify_one(w, (char *)path.data, n->node, fd, name);
		restore_tick(run);
	}
	return r;
}

static int verify_below(struct view_walk *w, const struct view_name *n)
{
	const char *name = view_sorted_name(&w->spots[w->n - 1].dir, n);
	struct restore *run = w->run;
	int r;

	tree_key_push(&run->key, name, n->len);
	buf_put_u8(&run->path, '/');
	buf_put(&run->path, name, (size_t)n->len + 1);
	if (buf_error(&run->path) < 0 || buf_error(&run->key) < 0)
		return -ENOMEM;
	run->path.len--;
	r = view_walk_push(w, n->node);
	return r < 0 ? r : verify_files(w);
}

static int verify_walk(struct view_walk *w)
{
	struct restore *run = w->run;
	int r = verify_files(w);

	while (r == 0 && w->n > 0) {
		struct view_spot *s = &w->spots[w->n - 1];

		run->key.len = s->key_len;
		run->path.len = s->path_len;
		run->path.data[run->path.len] = '\0';
		while (s->next < s->dir.n &&
		       (!S_ISDIR(s->dir.names[s->next].mode) ||
			!has_bit(run, s->rank + s->next)))
			s->next++;
		if (s->next == s->dir.n) {
			view_sorted_release(&s->dir);
			w->n--;
			continue;
		}
		s->next++;
		r = verify_below(w, &s->dir.names[s->next - 1]);
	}
	return r;
}

int restore_view_verify(struct restore *run)
{
	struct view_walk w = { .run = run };
	struct view_attr a;
	int r;

	if (!run->written)
		return 0;
	w.piece = malloc(2 * (size_t)RESTORE_PIECE);
	r = w.piece ? view_getattr(run->o->view, run->o->node, &a) : -ENOMEM;
	if (r == 0 && S_ISDIR(a.st.st_mode)) {
		r = view_walk_push(&w, run->o->node);
		if (r == 0)
			r = verify_walk(&w);
	} else if (r == 0 && S_ISREG(a.st.st_mode) && has_bit(run, 0)) {
		const char *slash = strrchr(run->o->path, '/');

		r = verify_one(&w, run->o->path, run->o->node, run->target,
			       slash ? slash + 1 : run->o->path);
	}
	view_walk_release(&w);
	return r;
}
