/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk of a restore over a tree.
 *
 * In the order of the tree a directory's entries come together, and what its
 * subdirectories hold comes behind them, in the order of their names. So a
 * level of the walk remembers the names of its subdirectories and works them
 * off: the next one that has entries is stepped into, and those that are passed
 * over are empty. What stands in the tree below something that is no directory
 * is damage and is not restored.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/restore/internal.h"
#include "store/base/log.h"

static int take_entry(struct restore *run, const struct cursor *c)
{
	char name[ENTRY_NAME_MAX + 1];
	struct ref ref = { .leaf = c->leaf, .slot = c->slot };
	enum sub_state state;
	struct entry e;

	cursor_entry(c, &e);
	memcpy(name, e.name, e.name_len);
	name[e.name_len] = '\0';
	if (e.name_len == 0)
		return 0; /* "/" itself: the first level */
	pthread_mutex_lock(&run->lock);
	run->progress.entries++;
	pthread_mutex_unlock(&run->lock);
	if (level_top(run)->failed)
		return 0;
	if (level_top(run)->listed) {
		if (level_need(run, run->nlevels - 1) < 0)
			return 0;
		extras_before(run, level_top(run), name);
	}
	state = restore_state(run, name, S_ISDIR(e.mode));
	if (S_ISDIR(e.mode))
		return level_add_sub(run, name, e.name_len, state);
	if (state == SUB_WANTED && level_need(run, run->nlevels - 1) == 0)
		entry_restore(run, level_top(run)->dir, &ref, c->rank, name);
	return 0;
}

static int walk_next(struct restore *run, struct cursor *c)
{
	uint64_t rank = c->rank + 1, total = c->total;
	int r = cursor_next(c);

	if (r != -EBADMSG && r != -EIO)
		return r;
	restore_error(run, -EBADMSG);
	restore_keep(run, RESTORE_KEEP_LOST);
	r = restore_skip(run, rank, total, c);
	if (r == 0)
		log_warn("entries of the tree are lost; the restore goes on "
			 "behind them");
	else if (r == -ENOENT)
		log_warn("the last entries of the tree are lost");
	return r;
}

static int walk_dir(struct restore *run)
{
	AUTO_BUF struct buf base = BUF_INIT;
	struct cursor c = { .leaf = NULL };
	const uint8_t *key;
	size_t len;
	int r;

	buf_put(&base, run->key.data, run->key.len);
	r = buf_error(&base);
	if (r == 0)
		r = tree_seek(run->vault, &run->root, base.data, base.len, "",
			      0, &c);
	while (r == 0) {
		r = restore_stopped(run);
		key = cursor_dirkey(&c, &len);
		if (r < 0 || !key_starts_with(key, len, &base))
			break;
		if (len != run->key.len ||
		    !key_starts_with(key, len, &run->key))
			r = level_step_to(run, &c);
		if (r == 1) {
			r = 0;
			continue;
		}
		if (r == 0)
			r = take_entry(run, &c);
		restore_walk_tick(run);
		if (r == 0)
			r = walk_next(run, &c);
	}
	if (r == -ENOENT)
		r = 0;
	cursor_release(&c);
	/* Finish what was begun, even after an error. */
	while (run->nlevels > 0) {
		int e;

		if (r < 0)
			level_top(run)->next = level_top(run)->nsubs;
		if (r < 0)
			extras_drop(level_top(run));
		e = level_leave(run);
		r = r ? r : e;
	}
	return r;
}

/* ---- where it begins ---- */

/* Split the path into key and path of the directory and a last name. */
static int split_path(struct restore *run, char name[ENTRY_NAME_MAX + 1],
		      size_t *name_len)
{
	AUTO_BUF struct buf key = BUF_INIT;
	size_t i = 0, n;
	int r;

	name[0] = '\0';
	*name_len = 0;
	r = tree_path_key(&key, run->o->path);
	if (r < 0)
		return fail(r, "%s: not a path in a point", run->o->path);
	while (i < key.len) {
		if (name[0]) {
			tree_key_push(&run->key, name, *name_len);
			buf_put_u8(&run->path, '/');
			buf_put(&run->path, name, *name_len);
		}
		n = key_name(key.data + i, key.len - i, name, name_len);
		if (n == 0)
			return -EINVAL;
		i += n;
	}
	return buf_error(&run->key) < 0 ? -ENOMEM : buf_error(&run->path);
}

/* The entry that the path names, and level 0 for the target. */
static int find_start(struct restore *run, struct cursor *c,
		      char name[ENTRY_NAME_MAX + 1], size_t *name_len)
{
	struct entry e;
	int r;

	r = split_path(run, name, name_len);
	if (r < 0)
		return r;
	r = tree_lookup(run->vault, &run->root, run->key.data, run->key.len,
			name, *name_len, c);
	if (r == -ENOENT)
		return fail(r, "the point has no %s", run->o->path);
	if (r < 0)
		return r;
	cursor_entry(c, &e);
	if (S_ISDIR(e.mode) && *name_len > 0) {
		tree_key_push(&run->key, name, *name_len);
		buf_put_u8(&run->path, '/');
		buf_put(&run->path, name, *name_len);
	}
	buf_put_u8(&run->path, '\0');
	if (buf_error(&run->path) < 0 || buf_error(&run->key) < 0)
		return -ENOMEM;
	run->path.len--;
	run->base_len = run->key.len;
	return levels_init(run);
}

int restore_tree_walk(struct restore *run)
{
	char name[ENTRY_NAME_MAX + 1];
	struct cursor c = { .leaf = NULL };
	struct ref ref = { .vent = NULL };
	struct entry e;
	size_t len;
	int r;

	r = find_start(run, &c, name, &len);
	if (r < 0)
		goto out;
	cursor_entry(&c, &e);
	ref.leaf = c.leaf;
	ref.slot = c.slot;
	r = level_open_target(run, &ref, len == 0);
	if (r == 0 && run->o->verify && !run->o->dry_run) {
		run->nwritten = c.total + 1;
		run->written = calloc(1, (size_t)(c.total / 8 + 1));
		r = run->written ? 0 : -ENOMEM;
	}
	if (r == 0 && S_ISDIR(e.mode)) {
		r = walk_dir(run);
	} else if (r == 0) {
		r = take_entry(run, &c);
	}
out:
	cursor_release(&c);
	return r;
}
