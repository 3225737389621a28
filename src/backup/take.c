/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An item takes one of four ways into its slot. It is as in the parent, and
 * everything but its stat comes from there. It is no regular file: all there is
 * to know is had at once. It is one more name of a file that is being read. Or
 * it goes to the readers.
 */
#include "config.h"

#include "src/backup/take.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "src/backup/internal.h"
#include "src/scan/scan.h"
#include "store/base/log.h"

/* ---- as in the parent ---- */

static int take_unchanged(struct backup *b, struct slot *s,
			  const struct entry *e)
{
	s->unchanged = true;
	s->has_acl = (e->flags & ENTRY_ACL) != 0;
	if (e->flags & ENTRY_XATTRS)
		buf_put(&s->xattrs, e->xattrs, e->xattrs_len);
	if (e->flags & ENTRY_XATTRS_CHUNK) {
		s->entry.flags = e->flags;
		s->entry.xattrs_id = e->xattrs_id;
		s->entry.xattrs_len = e->xattrs_len;
	}
	/* As it is, with what only a later program can read. */
	buf_put(&s->extra, e->extra, e->extra_len);
	buf_put(&s->target, e->target, e->target_len);
	buf_put(&s->content, e->content, e->content_len);
	if (S_ISREG(s->st.st_mode))
		b->progress.files_unmodified++;
	return buf_error(&s->xattrs) < 0 || buf_error(&s->extra) < 0 ||
			       buf_error(&s->target) < 0 ||
			       buf_error(&s->content) < 0
		       ? -ENOMEM
		       : 0;
}

/* Keep what the parent has, for entries.c to compare with. */
static int keep_for_comparison(struct slot *s, const struct entry *e)
{
	s->again = true;
	s->was_ctime = s->st.st_ctim;
	buf_put(&s->was, e->content, e->content_len);
	buf_put(&s->was, e->target, e->target_len);
	if (e->flags & ENTRY_XATTRS)
		buf_put(&s->was_xattrs, e->xattrs, e->xattrs_len);
	buf_put(&s->was_extra, e->extra, e->extra_len);
	return buf_error(&s->was) < 0 || buf_error(&s->was_xattrs) < 0 ||
			       buf_error(&s->was_extra) < 0
		       ? -ENOMEM
		       : 0;
}

/* ---- no regular file ---- */

static int read_target(const struct scan_item *it, struct buf *out)
{
	ssize_t n;

	if (buf_reserve(out, ENTRY_TARGET_MAX + 1) < 0)
		return -ENOMEM;
	n = readlinkat(it->dirfd, it->name, (char *)out->data,
		       ENTRY_TARGET_MAX + 1);
	if (n < 0)
		return -errno;
	if (n == 0 || n > ENTRY_TARGET_MAX)
		return -ENAMETOOLONG;
	out->len = (size_t)n;
	return 0;
}

static int take_special(struct backup *b, struct slot *s,
			const struct scan_item *it)
{
	struct scan_xattr_loss loss;
	int err = S_ISLNK(s->st.st_mode) ? read_target(it, &s->target) : 0;

	if (err < 0 && err != -ENOMEM) {
		backup_complain(b, s, "its target cannot be read", err);
		atomic_store(&s->state, SLOT_DROPPED);
		return 0;
	}
	s->partial = it->unreachable;
	if (err < 0 || it->unreachable)
		return err;
	err = scan_xattrs(it, &s->xattrs, &s->has_acl, &loss);
	if (err < 0)
		return err;
	backup_complain_xattrs(b, s, &loss);
	return scan_extra(it, &s->extra);
}

/* ---- an item ---- */

static void take_error(struct backup *b, const struct scan_item *it)
{
	atomic_fetch_add(&b->errors, 1);
	(void)fail(it->error, "%s: %s: %s", it->path,
		   S_ISDIR(it->st.st_mode) ? "cannot be (wholly) read"
					   : "cannot be examined",
		   strerror(-it->error));
}

/* Is this a directory that a source lies in, and not a source or in one? */
static bool is_above(const struct scan *scan, const char *path)
{
	size_t i, n, len = strlen(path);
	const char *const *sources = scan_sources(scan, &n);

	for (i = 0; i < n; i++)
		if (strcmp(path, "/") == 0
			    ? strcmp(sources[i], "/") != 0
			    : strncmp(sources[i], path, len) == 0 &&
				      sources[i][len] == '/')
			return true;
	return false;
}

static void count_item(struct backup *b, const struct scan_item *it)
{
	if (S_ISDIR(it->st.st_mode))
		b->progress.dirs++;
	else if (!S_ISREG(it->st.st_mode))
		b->progress.others++;
}

/* It is not as in the parent, or there is none. */
static void count_changed(struct backup *b, const struct scan_item *it,
			  bool known)
{
	b->parent.differs |= !is_above(b->scan, it->path);
	if (S_ISREG(it->st.st_mode) && known)
		b->progress.files_changed++;
	else if (S_ISREG(it->st.st_mode))
		b->progress.files_new++;
}

static int take_item(struct backup *b, const struct scan_item *it)
{
	struct entry old;
	struct slot *s;
	bool known, same;
	int err;

	if (it->error) {
		take_error(b, it);
		return 0;
	}
	err = slots_push(&b->slots, it, &s);
	if (err < 0)
		return err;
	count_item(b, it);
	known = parent_find(&b->parent, it, &old);
	same = known && parent_looks_same(&it->st, &old);
	if (same && !b->options->force &&
	    !parent_is_racy(&b->parent, &it->st) &&
	    parent_has_content(&b->parent, &old))
		return take_unchanged(b, s, &old);
	if (same && b->writer && !is_above(b->scan, it->path))
		err = keep_for_comparison(s, &old);
	else
		count_changed(b, it, known);
	if (err < 0)
		return err;
	if (!S_ISREG(it->st.st_mode))
		return take_special(b, s, it);
	if (it->st.st_nlink > 1)
		return slots_read_linked(&b->slots, s, it);
	return slots_read(&b->slots, s, it);
}

int take_all(struct backup *b)
{
	struct scan_item it;
	int err;

	while ((err = scan_next(b->scan, &it)) == 1) {
		snprintf(b->progress.current, sizeof(b->progress.current), "%s",
			 it.path);
		err = take_item(b, &it);
		if (err == 0)
			err = slots_drain(&b->slots, SLOTS_MAX);
		if (err == 0 && task_stopped(b->task))
			err = -EINTR;
		if (err < 0)
			return err;
		backup_tick(b);
	}
	parent_end(&b->parent);
	return err < 0 ? err : slots_drain(&b->slots, 0);
}
