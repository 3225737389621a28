/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The entries of one directory.
 *
 * They go into the batch in the order of their names, each with as little as
 * is needed of it now: what is no directory by its type is examined later, by
 * whoever has time (queue.c). A directory is examined at once, for that decides
 * whether it is to be walked. What a pattern leaves out is not touched at all,
 * so that it cannot fail.
 */
#include "config.h"

#include "src/scan/walk_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "src/scan/exclude.h"
#include "store/base/array.h"
#include "store/base/log.h"

/* ---- batches ---- */

static int batch_flush(struct scan_walk *w)
{
	if (w->batch)
		queue_put(w->queue);
	w->batch = queue_begin(w->queue);
	return w->batch ? 0 : -ECANCELED;
}

int walk_rec_new(struct scan_walk *w, struct scan_dir *d, const char *name,
		 size_t len, struct scan_rec **out)
{
	struct scan_batch *b = w->batch;
	struct scan_rec *rec;
	int r;

	if (!b || b->nrecs == SCAN_BATCH_RECS ||
	    (d && b->ndirs >= w->batch_dirs && b->dirs[b->ndirs - 1] != d)) {
		r = batch_flush(w);
		if (r < 0)
			return r;
		b = w->batch;
	}
	if (d && (b->ndirs == 0 || b->dirs[b->ndirs - 1] != d)) {
		atomic_fetch_add(&d->refs, 1);
		b->dirs[b->ndirs++] = d;
	}
	rec = &b->recs[b->nrecs];
	rec->dir = d;
	rec->name_off = (uint32_t)b->names.len;
	rec->name_len = (uint32_t)len;
	rec->followed = false;
	rec->unreachable = false;
	rec->pending = false;
	rec->error = 0;
	buf_put(&b->names, name, len);
	buf_put_u8(&b->names, '\0');
	if (buf_error(&b->names) < 0)
		return -ENOMEM;
	b->nrecs++;
	*out = rec;
	return 0;
}

int walk_put_dir_error(struct scan_walk *w, size_t key_len, size_t path_len,
		       const char *name, size_t len, int error)
{
	struct scan_dir *d = NULL;
	struct scan_rec *rec;
	int r;

	if (len > 0) {
		d = scan_dir_new(-1, w->key.data, key_len, w->path.data,
				 path_len);
		if (!d)
			return -ENOMEM;
	}
	r = walk_rec_new(w, d, name, len, &rec);
	if (r == 0) {
		memset(&rec->st, 0, sizeof(rec->st));
		rec->st.st_mode = S_IFDIR;
		rec->error = error;
	}
	scan_dir_put(d);
	return r;
}

/* ---- one directory's entries ---- */

static bool is_excluded(struct scan_walk *w, const char *name, size_t len,
			bool is_dir)
{
	size_t path_len = w->path.len;
	bool yes;

	if (!w->exclude)
		return false;
	buf_put_u8(&w->path, '/');
	buf_put(&w->path, name, len + 1);
	yes = buf_error(&w->path) == 0 &&
	      exclude_match(w->exclude, (const char *)w->path.data, is_dir);
	w->path.len = path_len;
	return yes;
}

bool walk_is_skipped(const struct scan_walk *w, const struct stat *st)
{
	size_t i;

	for (i = 0; i < w->nskip; i++)
		if (w->skip[i].st_ino == st->st_ino &&
		    w->skip[i].st_dev == st->st_dev)
			return true;
	return false;
}

/* Whether @st is where a filesystem begins that is not entered. */
static bool is_apart(const struct scan_walk *w, const struct walk_level *lev,
		     const struct stat *st)
{
	size_t i;

	for (i = 0; st->st_dev != lev->dev && i < w->napart; i++)
		if (w->apart[i] == st->st_dev)
			return true;
	return false;
}

/*
 * What is wanted below directory @st, an entry of @lev. Set *left_out where
 * less is wanted than all of a source for a reason that is not a pattern's.
 */
static enum walk_want want_below(const struct scan_walk *w,
				 const struct walk_level *lev,
				 const struct stat *st,
				 const struct source_node *node, bool excluded,
				 bool *left_out)
{
	enum walk_want some = node ? WANT_SOURCES : WANT_NONE;

	*left_out = walk_is_skipped(w, st);
	if (*left_out)
		return WANT_NONE;
	if (node && node->source)
		return WANT_ALL;
	if (lev->want != WANT_ALL || excluded)
		return some;
	*left_out = (w->one_file_system && st->st_dev != lev->fs) ||
		    is_apart(w, lev, st);
	return *left_out ? some : WANT_ALL;
}

int walk_leave_out(struct scan_walk *w, const char *name)
{
	char *path;

	if (array_reserve(&w->left, &w->left_cap, w->nleft + 1) < 0)
		return -ENOMEM;
	if (asprintf(&path, "%.*s%s%s", (int)w->path.len,
		     w->path.len ? (char *)w->path.data : "",
		     *name || !w->path.len ? "/" : "", name) < 0)
		return -ENOMEM;
	w->left[w->nleft++] = path;
	return 0;
}

static int sub_add(struct walk_level *lev, const char *name, size_t len,
		   const struct source_node *node, enum walk_want want,
		   bool follow)
{
	struct walk_sub *sub;

	if (array_reserve(&lev->subs, &lev->cap, lev->nsubs + 1) < 0)
		return -ENOMEM;
	sub = &lev->subs[lev->nsubs++];
	sub->off = (uint32_t)lev->names.len;
	sub->len = (uint16_t)len;
	sub->node = node;
	sub->want = (uint8_t)want;
	sub->follow = follow;
	buf_put(&lev->names, name, len + 1);
	return buf_error(&lev->names);
}

/*
 * Whether @name, which cannot be examined, is on another filesystem than its
 * source. Asked for nothing else, even one whose server is dead or that lets
 * nobody in has an answer.
 */
static bool is_elsewhere(const struct walk_level *lev, const char *name)
{
	struct statx st;

	return statx(lev->dir->fd, name,
		     AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		     0, &st) == 0 &&
	       makedev(st.stx_dev_major, st.stx_dev_minor) != lev->fs;
}

/* A mount point that is not to be entered needs no answer. Return true where
 * @rec is one, and is made up from the directory above. */
static bool make_up(const struct scan_walk *w, const struct walk_level *lev,
		    const char *name, struct scan_rec *rec)
{
	if (!w->one_file_system || lev->want != WANT_ALL ||
	    !is_elsewhere(lev, name) || fstat(lev->dir->fd, &rec->st) < 0)
		return false;
	log_warn("%.*s/%s: another filesystem is mounted there that does not "
		 "answer; its directory is stored empty",
		 (int)w->path.len, (char *)w->path.data, name);
	rec->st.st_mode = S_IFDIR | 0755;
	rec->st.st_ino = 0;
	rec->st.st_nlink = 2;
	rec->error = 0;
	rec->unreachable = true;
	return true;
}

/* Find out now what @rec is; where it cannot be known, why. */
static void examine(const struct scan_walk *w, const struct walk_level *lev,
		    const char *name, bool is_source, struct scan_rec *rec)
{
	if (rec->name_len > SCAN_NAME_MAX)
		rec->error = -ENAMETOOLONG;
	else if (fstatat(lev->dir->fd, name, &rec->st,
			 rec->followed ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		rec->error = -errno;
	if (rec->error == 0 || (!is_source && make_up(w, lev, name, rec)))
		return;
	memset(&rec->st, 0, sizeof(rec->st));
}

static int put_entry(struct scan_walk *w, struct walk_level *lev,
		     const char *name, size_t len, uint8_t type,
		     const struct source_node *node)
{
	bool excluded = false, left_out, asked = lev->want != WANT_ALL;
	enum walk_want want;
	struct scan_rec *rec;
	int r;

	/* By the type that the directory knows: what is left out is not
	 * touched, so that it cannot fail. */
	if (!asked && type != DT_UNKNOWN) {
		excluded = is_excluded(w, name, len, type == DT_DIR);
		if (excluded && !node)
			return 0;
		asked = true;
	}
	r = walk_rec_new(w, lev->dir, name, len, &rec);
	if (r < 0)
		return r;
	if (type != DT_DIR && type != DT_UNKNOWN && !node &&
	    len <= SCAN_NAME_MAX) {
		rec->pending = true;
		return 0;
	}
	rec->followed =
		lev->want != WANT_ALL && (!node->source || node->follow);
	examine(w, lev, name, node != NULL, rec);
	if (!asked) {
		excluded = is_excluded(w, name, len, S_ISDIR(rec->st.st_mode));
		if (excluded && !node) {
			w->batch->nrecs--;
			return 0;
		}
	}
	if (rec->unreachable)
		return walk_leave_out(w, name);
	if (!S_ISDIR(rec->st.st_mode))
		return 0;
	want = want_below(w, lev, &rec->st, node, excluded || lev->cache,
			  &left_out);
	if (left_out)
		r = walk_leave_out(w, name);
	if (r < 0 || want == WANT_NONE)
		return r;
	return sub_add(lev, name, len, node, want, rec->followed);
}

static bool has_cache_tag(const struct scan_walk *w,
			  const struct walk_level *lev)
{
	size_t a = 0, b = w->list.n, m;
	int c;

	if (!w->exclude_caches || lev->want != WANT_ALL)
		return false;
	while (a < b) {
		m = a + (b - a) / 2;
		c = strcmp(w->list.text + w->list.names[m].off, "CACHEDIR.TAG");
		if (c == 0)
			return dir_has_cache_tag(lev->dir->fd);
		if (c < 0)
			a = m + 1;
		else
			b = m;
	}
	return false;
}

int walk_put_entries(struct scan_walk *w, struct walk_level *lev)
{
	const struct source_node *child = lev->node ? lev->node->child : NULL;
	const struct dir_name *n;
	const char *name;
	size_t i = 0;
	int c, r = 0;

	lev->cache = has_cache_tag(w, lev);
	while (r == 0 && (i < w->list.n || child)) {
		n = i < w->list.n ? &w->list.names[i] : NULL;
		name = n ? w->list.text + n->off : NULL;
		c = !child ? -1 : !n ? 1 : strcmp(name, child->name);
		if (c >= 0) {
			r = put_entry(w, lev, child->name, strlen(child->name),
				      c == 0 ? n->type : DT_UNKNOWN, child);
			child = child->next;
		} else if (!lev->cache || strcmp(name, "CACHEDIR.TAG") == 0) {
			r = put_entry(w, lev, name, n->len, n->type, NULL);
		}
		i += c <= 0;
	}
	return r;
}
