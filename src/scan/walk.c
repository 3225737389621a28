/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The reading thread of a scan.
 *
 * Depth first with a stack of its own. A directory's entries are all handed
 * out before the first of its subdirectories is opened; what stays on the
 * stack are the names of those subdirectories. Every directory is opened
 * relative to its parent, so a path may be longer than PATH_MAX. Only the last
 * SCAN_OPEN_LEVELS levels keep their descriptor; one further up is
 * opened again, from the nearest one that is, when the walk comes back to it,
 * and must then be the same directory.
 */
#include "config.h"

#include "src/scan/internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "src/scan/exclude.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/tree.h"

/* What is wanted below a directory. */
enum walk_want {
	WANT_NONE,
	WANT_SOURCES, /* only what leads to sources */
	WANT_ALL,
};

/* A subdirectory still to be walked. */
struct walk_sub {
	uint32_t off; /* of its name in walk_level.names */
	uint16_t len;
	uint8_t want;
	bool follow; /* a parent of a source may be a symbolic link */
	const struct source_node *node; /* borrowed; NULL: no source here */
};

struct walk_level {
	struct scan_dir *dir; /* referenced; NULL: closed meanwhile */
	struct walk_sub *subs; /* owned */
	size_t nsubs, cap, next;
	struct buf names;
	size_t key_len, path_len; /* of this directory, in the walk's */
	dev_t dev, fs; /* @fs: the one not to leave */
	ino_t ino;
	uint8_t want;
	bool follow;
	bool cache; /* only the tag, and what leads to sources */
	const struct source_node *node;
};

struct walk {
	struct scan_queue *queue; /* borrowed */
	const struct exclude *exclude; /* borrowed; NULL: none */
	bool exclude_caches, one_file_system;
	const struct source_node *top; /* borrowed */
	struct stat *skip; /* owned */
	size_t nskip;
	size_t batch_dirs, open_levels;
	struct scan_batch *batch;
	struct walk_level *levels; /* owned */
	size_t nlevels, cap;
	struct buf key, path; /* of the directory being walked */
	struct dir_list list;
	char **left; /* owned; directories that were not entered */
	size_t nleft, left_cap;
};

/* ---- handing out ---- */

static int batch_flush(struct walk *w)
{
	if (w->batch)
		queue_put(w->queue);
	w->batch = queue_begin(w->queue);
	return w->batch ? 0 : -ECANCELED;
}

/* A place for the next entry, in directory @d. */
static int rec_new(struct walk *w, struct scan_dir *d, const char *name,
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

/*
 * Report that directory @name, whose parent has the first @key_len and
 * @path_len bytes of the walk's key and path, was not read, or not wholly.
 */
static int put_dir_error(struct walk *w, size_t key_len, size_t path_len,
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
	r = rec_new(w, d, name, len, &rec);
	if (r == 0) {
		memset(&rec->st, 0, sizeof(rec->st));
		rec->st.st_mode = S_IFDIR;
		rec->error = error;
	}
	scan_dir_put(d);
	return r;
}

/* ---- one directory's entries ---- */

static bool is_excluded(struct walk *w, const char *name, size_t len,
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

static bool is_skipped(const struct walk *w, const struct stat *st)
{
	size_t i;

	for (i = 0; i < w->nskip; i++)
		if (w->skip[i].st_ino == st->st_ino &&
		    w->skip[i].st_dev == st->st_dev)
			return true;
	return false;
}

/*
 * What is wanted below directory @st, an entry of @lev. Set *left_out where
 * less is wanted than all of a source for a reason that is not a pattern's.
 */
static enum walk_want want_below(const struct walk *w,
				 const struct walk_level *lev,
				 const struct stat *st,
				 const struct source_node *node, bool excluded,
				 bool *left_out)
{
	enum walk_want some = node ? WANT_SOURCES : WANT_NONE;

	*left_out = is_skipped(w, st);
	if (*left_out)
		return WANT_NONE;
	if (node && node->source)
		return WANT_ALL;
	if (lev->want != WANT_ALL || excluded)
		return some;
	*left_out = w->one_file_system && st->st_dev != lev->fs;
	return *left_out ? some : WANT_ALL;
}

/* Remember that the directory @name of the one being walked ("": that one) is
 * not entered. */
static int left_add(struct walk *w, const char *name)
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

static int put_entry(struct walk *w, struct walk_level *lev, const char *name,
		     size_t len, uint8_t type, const struct source_node *node)
{
	bool follow = lev->want != WANT_ALL && !node->source;
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
	r = rec_new(w, lev->dir, name, len, &rec);
	if (r < 0)
		return r;
	if (type != DT_DIR && type != DT_UNKNOWN && !node &&
	    len <= SCAN_NAME_MAX) {
		rec->pending = true;
		return 0;
	}
	if (len > SCAN_NAME_MAX)
		rec->error = -ENAMETOOLONG;
	else if (fstatat(lev->dir->fd, name, &rec->st,
			 follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0)
		rec->error = -errno;
	if (!asked) {
		excluded = is_excluded(w, name, len,
				       rec->error == 0 &&
					       S_ISDIR(rec->st.st_mode));
		if (excluded && !node) {
			w->batch->nrecs--;
			return 0;
		}
	}
	if (rec->error < 0) {
		memset(&rec->st, 0, sizeof(rec->st));
		return 0;
	}
	if (!S_ISDIR(rec->st.st_mode))
		return 0;
	want = want_below(w, lev, &rec->st, node, excluded || lev->cache,
			  &left_out);
	if (left_out)
		r = left_add(w, name);
	if (r < 0 || want == WANT_NONE)
		return r;
	return sub_add(lev, name, len, node, want, follow);
}

static bool has_cache_tag(const struct walk *w, const struct walk_level *lev)
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

/* The names read, and those of sources, whether they were read or not. */
static int put_entries(struct walk *w, struct walk_level *lev)
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

/* ---- levels ---- */

static void level_release(struct walk_level *lev)
{
	scan_dir_put(lev->dir);
	free(lev->subs);
	buf_release(&lev->names);
	memset(lev, 0, sizeof(*lev));
}

static void level_close(struct walk *w, size_t i)
{
	if (i == 0)
		return;
	scan_dir_put(w->levels[i].dir);
	w->levels[i].dir = NULL;
}

/* Hand out the entries of @lev, which becomes the top of the stack. */
static int level_push(struct walk *w, struct walk_level *lev)
{
	int r;

	r = array_reserve(&w->levels, &w->cap, w->nlevels + 1);
	if (r == 0)
		r = put_entries(w, lev);
	if (r < 0 || lev->nsubs == 0) {
		level_release(lev);
		return r;
	}
	w->levels[w->nlevels++] = *lev;
	if (w->nlevels > w->open_levels)
		level_close(w, w->nlevels - 1 - w->open_levels);
	return 0;
}

/* The name of level @i, with a NUL. */
static void level_name(const struct walk *w, size_t i,
		       char out[SCAN_NAME_MAX + 1])
{
	size_t from = w->levels[i - 1].path_len + 1;
	size_t len = w->levels[i].path_len - from;

	memcpy(out, w->path.data + from, len);
	out[len] = '\0';
}

static int level_reopen(struct walk *w, size_t i)
{
	struct walk_level *lev = &w->levels[i];
	char name[SCAN_NAME_MAX + 1];
	struct stat st;
	int fd;

	level_name(w, i, name);
	fd = openat(w->levels[i - 1].dir->fd, name,
		    O_PATH | O_DIRECTORY | O_CLOEXEC |
			    (lev->follow ? 0 : O_NOFOLLOW));
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0 || st.st_dev != lev->dev ||
	    st.st_ino != lev->ino) {
		close(fd);
		return -ESTALE;
	}
	lev->dir = scan_dir_new(fd, NULL, 0, NULL, 0);
	if (!lev->dir) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

/* Make sure that the top of the stack is open. */
static int level_need(struct walk *w)
{
	size_t top = w->nlevels - 1, i = top;
	int r;

	while (!w->levels[i].dir)
		i--;
	while (i < top) {
		r = level_reopen(w, ++i);
		if (r < 0)
			return r;
		if (i > w->open_levels)
			level_close(w, i - w->open_levels);
	}
	return 0;
}

/* Open the directory that @lev is to be. Return 1 where it is not to be
 * walked after all. */
static int level_open(struct walk *w, const struct walk_level *parent,
		      const char *name, struct walk_level *lev)
{
	int at = parent ? parent->dir->fd : AT_FDCWD;
	int flags = lev->follow ? 0 : O_NOFOLLOW;
	struct stat st;
	int fd, r;

	if (lev->want == WANT_ALL)
		fd = dir_open_quiet(at, name, flags);
	else
		fd = openat(at, name, flags | O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	lev->dev = st.st_dev;
	lev->ino = st.st_ino;
	if (!parent || (lev->node && lev->node->source))
		lev->fs = st.st_dev;
	else
		lev->fs = parent->fs;
	/* An automount may have come between: ask again. */
	if (is_skipped(w, &st) ||
	    (w->one_file_system && lev->want == WANT_ALL &&
	     lev->fs != st.st_dev)) {
		close(fd);
		r = left_add(w, "");
		return r < 0 ? r : 1;
	}
	lev->dir = scan_dir_new(fd, w->key.data, w->key.len, w->path.data,
				w->path.len);
	if (!lev->dir) {
		close(fd);
		return -ENOMEM;
	}
	return 0;
}

/* Step down into the next subdirectory of the top of the stack. */
static int walk_descend(struct walk *w)
{
	struct walk_level *top = &w->levels[w->nlevels - 1];
	struct walk_level lev = { .key_len = 0 };
	size_t key_len = top->key_len, path_len = top->path_len;
	const struct walk_sub *sub;
	const char *name;
	int r;

	w->key.len = key_len;
	w->path.len = path_len;
	r = level_need(w);
	if (r < 0) {
		char own[SCAN_NAME_MAX + 1];

		/* Not the directory it was: what is left in it is lost. */
		level_name(w, w->nlevels - 1, own);
		top->next = top->nsubs;
		return put_dir_error(w, top[-1].key_len, top[-1].path_len, own,
				     strlen(own), r);
	}
	sub = &top->subs[top->next++];
	name = (const char *)top->names.data + sub->off;
	lev.want = sub->want;
	lev.node = sub->node;
	lev.follow = sub->follow;
	dir_list_clear(&w->list);
	if (key_len + 2 * (size_t)sub->len + 2 + SCAN_NAME_MAX > TREE_KEY_MAX)
		return put_dir_error(w, key_len, path_len, name, sub->len,
				     -ENAMETOOLONG);
	tree_key_push(&w->key, name, sub->len);
	buf_put_u8(&w->path, '/');
	buf_put(&w->path, name, sub->len);
	if (buf_error(&w->key) < 0 || buf_error(&w->path) < 0)
		return -ENOMEM;
	lev.key_len = w->key.len;
	lev.path_len = w->path.len;
	r = level_open(w, top, name, &lev);
	if (r == 0 && lev.want == WANT_ALL)
		r = dir_list_read(&w->list, lev.dir->fd);
	if (r < 0)
		r = put_dir_error(w, key_len, path_len, name, sub->len, r);
	if (r < 0 || !lev.dir) {
		level_release(&lev);
		return r;
	}
	return level_push(w, &lev);
}

/* "/" itself, then its entries. */
static int walk_top(struct walk *w)
{
	struct walk_level lev = {
		.want = w->top->source ? WANT_ALL : WANT_SOURCES,
		.node = w->top,
	};
	struct scan_rec *rec;
	struct stat st;
	int r;

	r = rec_new(w, NULL, "", 0, &rec);
	if (r < 0)
		return r;
	if (stat("/", &st) < 0) {
		rec->error = -errno;
		memset(&rec->st, 0, sizeof(rec->st));
		return 0;
	}
	rec->st = st;
	if (is_skipped(w, &st))
		return left_add(w, "");
	r = level_open(w, NULL, "/", &lev);
	if (r == 0 && lev.want == WANT_ALL)
		r = dir_list_read(&w->list, lev.dir->fd);
	if (r < 0)
		r = put_dir_error(w, 0, 0, "", 0, r);
	if (r < 0 || !lev.dir) {
		level_release(&lev);
		return r;
	}
	return level_push(w, &lev);
}

/* ---- the thread ---- */

static int walk_all(struct walk *w)
{
	int r;

	r = walk_top(w);
	while (r == 0 && w->nlevels > 0) {
		struct walk_level *top = &w->levels[w->nlevels - 1];

		if (top->next < top->nsubs) {
			r = walk_descend(w);
		} else {
			level_release(top);
			w->nlevels--;
		}
	}
	return r;
}

void *walk_run(void *arg)
{
	struct walk *w = arg;
	int r = walk_all(w);

	if (w->batch)
		queue_put(w->queue);
	w->batch = NULL;
	queue_end(w->queue, r);
	return NULL;
}

/* Of the descriptors that a process may have, leave half to others. */
static void limits_set(struct walk *w)
{
	struct rlimit lim;

	w->batch_dirs = SCAN_BATCH_DIRS;
	w->open_levels = SCAN_OPEN_LEVELS;
	if (getrlimit(RLIMIT_NOFILE, &lim) < 0)
		return;
	w->batch_dirs = MIN(w->batch_dirs, lim.rlim_cur / 4 / SCAN_BATCHES);
	w->batch_dirs = MAX(w->batch_dirs, 1u);
	w->open_levels = MIN(w->open_levels, lim.rlim_cur / 4);
	w->open_levels = MAX(w->open_levels, 4u);
}

int walk_new(struct scan *s, const struct scan_options *o, struct walk **out)
{
	struct walk *w;

	*out = NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->queue = &s->queue;
	w->top = s->sources.top;
	if (o->exclude && !exclude_empty(o->exclude))
		w->exclude = o->exclude;
	w->exclude_caches = o->exclude_caches;
	w->one_file_system = o->one_file_system;
	limits_set(w);
	if (o->nskip > 0) {
		w->skip = alloc_array(o->nskip, sizeof(*w->skip));
		if (!w->skip) {
			walk_free(w);
			return -ENOMEM;
		}
		memcpy(w->skip, o->skip, o->nskip * sizeof(*w->skip));
		w->nskip = o->nskip;
	}
	*out = w;
	return 0;
}

const char *const *walk_left_out(const struct walk *w, size_t *n_out)
{
	*n_out = w->nleft;
	return (const char *const *)w->left;
}

void walk_free(struct walk *w)
{
	if (!w)
		return;
	while (w->nleft > 0)
		free(w->left[--w->nleft]);
	free(w->left);
	while (w->nlevels > 0)
		level_release(&w->levels[--w->nlevels]);
	free(w->levels);
	free(w->skip);
	dir_list_release(&w->list);
	buf_release(&w->key);
	buf_release(&w->path);
	free(w);
}
