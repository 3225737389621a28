/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The walk of a restore.
 *
 * In the order of the tree, a directory's entries come together, and what its
 * subdirectories hold comes behind them, in the order of their names. So a
 * level of the walk remembers the names of its subdirectories and works them
 * off: the next one that has entries is stepped into; those passed over are
 * empty. What stands in the tree below something that is no directory is
 * damage and is not restored.
 */
#include "config.h"

#include "src/restore/restore.h"

#include <errno.h>
#include <fcntl.h>
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

#define TICK_NS 200000000

/* ---- reports ---- */

int restore_error(struct restore *run, int r)
{
	int none = 0;

	pthread_mutex_lock(&run->lock);
	run->progress.errors++;
	if (r == -EBADMSG)
		run->progress.damage = true;
	pthread_mutex_unlock(&run->lock);
	if (r == -ENOSPC || r == -EDQUOT || r == -EROFS || r == -ENOMEM)
		atomic_compare_exchange_strong(&run->fatal, &none, r);
	return r;
}

int restore_stopped(struct restore *run)
{
	int fatal = atomic_load(&run->fatal);

	if (fatal)
		return fatal;
	return run->stop && *run->stop ? -EINTR : 0;
}

const char *restore_path(struct buf *out, const struct ref *ref)
{
	const uint8_t *key;
	struct entry e;
	size_t len;

	if (ref->vent)
		return vent_path(ref->vent);
	ref_entry(ref, &e);
	key = leaf_dirkey(ref->leaf, ref->slot, &len);
	buf_clear(out);
	tree_key_path(out, key, len);
	if (len > 0)
		buf_put_u8(out, '/');
	buf_put(out, e.name, e.name_len);
	buf_put_u8(out, '\0');
	return buf_error(out) < 0 ? "(no memory)" : (const char *)out->data;
}

void restore_tick(struct restore *run, bool force)
{
	int64_t now = run->seam->ops->monotonic_ns(run->seam);
	struct restore_progress p;

	if (!run->tick || (!force && now - run->tick_ns < TICK_NS))
		return;
	run->tick_ns = now;
	pthread_mutex_lock(&run->lock);
	p = run->progress;
	pthread_mutex_unlock(&run->lock);
	p.seconds = (double)(now - run->start_ns) / 1e9;
	run->tick(run->arg, &p);
}

/* Put the path of @name (NULL: of the directory) into @out. */
static const char *path_of(struct restore *run, const char *name,
			   struct buf *out)
{
	buf_clear(out);
	buf_put(out, run->path.data, run->path.len);
	if (name || run->path.len == 0)
		buf_put_u8(out, '/');
	if (name)
		buf_put(out, name, strlen(name));
	buf_put_u8(out, '\0');
	return buf_error(out) < 0 ? "(no memory)" : (const char *)out->data;
}

void restore_note(struct restore *run, const char *action, const char *name,
		  uint64_t size)
{
	AUTO_BUF struct buf path = BUF_INIT;

	if (run->o->note)
		run->o->note(run->arg, action, path_of(run, name, &path), size);
}

/* ---- entries ---- */

enum sub_state restore_state(struct restore *run, const char *name, bool is_dir)
{
	const struct restore_options *o = run->o;
	AUTO_BUF struct buf path = BUF_INIT;
	const char *p;

	if (!o->exclude && !o->include)
		return SUB_WANTED;
	p = path_of(run, name, &path);
	if (o->exclude && exclude_match(o->exclude, p, is_dir))
		return SUB_LEFT_OUT;
	if (!o->include || level_top(run)->wanted ||
	    exclude_match(o->include, p, is_dir))
		return SUB_WANTED;
	return is_dir ? SUB_PASSED : SUB_LEFT_OUT;
}

static int walk_entry(struct restore *run, const struct cursor *c)
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

void restore_walk_tick(struct restore *run)
{
	AUTO_BUF struct buf path = BUF_INIT;
	const char *p;

	if (run->progress.entries % 64 != 0 || !run->tick)
		return;
	p = path_of(run, NULL, &path);
	pthread_mutex_lock(&run->lock);
	strncpy(run->progress.current, p, sizeof(run->progress.current) - 1);
	pthread_mutex_unlock(&run->lock);
	restore_tick(run, false);
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
			r = walk_entry(run, &c);
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
			level_top(run)->there.n = 0;
		e = level_leave(run);
		r = r ? r : e;
	}
	return r;
}

/* ---- begin and end ---- */

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

static int flush_target(struct restore *run)
{
	if (run->o->dry_run || run->target < 0)
		return 0;
	if (run->other_fs)
		sync();
	if (syncfs(run->target) < 0)
		return fail(-errno, "target %s: not all is on disk: %s",
			    run->o->target, strerror(errno));
	return 0;
}

static int run_walk(struct restore *run)
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
		run->levels[0].wanted = true;
		r = walk_entry(run, &c);
	}
out:
	cursor_release(&c);
	return r;
}

static void run_release(struct restore *run)
{
	while (run->nlevels > 0)
		level_release(&run->levels[--run->nlevels]);
	jobs_release(run);
	free(run->levels);
	restore_links_free(run->links);
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
	run->tick_ns = run->start_ns;
	pthread_mutex_init(&run->lock, NULL);
	pthread_cond_init(&run->changed, NULL);
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
static void tell_incomplete(struct restore *run, const struct point *p)
{
	if (!p->incomplete)
		return;
	log_warn("the point is incomplete: %" PRIu64 " things could not be"
		 " read, or changed, when it was made",
		 p->errors);
	if (!run->o->delete_incomplete)
		restore_keep(run, "what the backup could not read is not in the"
				  " point; --delete-incomplete deletes it");
}

int restore_run(struct vault *v, const struct point *p,
		const struct restore_options *o,
		void (*tick)(void *arg, const struct restore_progress *p),
		void *arg, const volatile bool *stop,
		struct restore_progress *out)
{
	struct vault_stats stats;
	struct restore *run;
	int r;

	memset(out, 0, sizeof(*out));
	if (!o->view && !p->has_tree)
		return fail(-ENOENT, "this point has no files");
	run = calloc(1, sizeof(*run));
	if (!run)
		return -ENOMEM;
	run->vault = v;
	run->o = o;
	run->seam = vault_seam(v);
	run->stop = stop;
	run->tick = tick;
	run->arg = arg;
	r = run_init(run, p);
	if (r == 0) {
		tell_incomplete(run, p);
		r = o->view ? restore_view_walk(run) : run_walk(run);
	}
	if (run->pool)
		jobs_wait(run);
	/* Levels hold directories that are to be finished before the sync. */
	while (run->nlevels > 0)
		level_release(&run->levels[--run->nlevels]);
	if (r == 0)
		r = restore_stopped(run);
	if (r == 0)
		r = flush_target(run);
	if (r == 0 && run->written)
		r = o->view ? restore_view_verify(run) : restore_verify(run);
	if (r < 0 && r == atomic_load(&run->fatal))
		r = fail(r, "the restore into %s ended early: %s", o->target,
			 strerror(-r));
	if (o->view && run->progress.errors) {
		vault_stats(v, &stats);
		run->progress.damage |= stats.damage > 0;
	}
	restore_tick(run, true);
	run->progress.seconds =
		(double)(run->seam->ops->monotonic_ns(run->seam) -
			 run->start_ns) /
		1e9;
	*out = run->progress;
	run_release(run);
	free(run);
	return r;
}
