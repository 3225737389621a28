/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The directories on the way down, and the way from one to another. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/restore/internal.h"
#include "store/base/array.h"
#include "store/base/log.h"

struct level *level_top(struct restore *run)
{
	return &run->levels[run->nlevels - 1];
}

void level_release(struct level *lev)
{
	rdir_put(lev->dir);
	ref_put(&lev->ref);
	free(lev->subs);
	buf_release(&lev->names);
	dir_list_release(&lev->there);
	buf_release(&lev->unlisted);
	memset(lev, 0, sizeof(*lev));
}

int levels_init(struct restore *run)
{
	struct level *lev;

	if (array_reserve(&run->levels, &run->cap, 32) < 0)
		return -ENOMEM;
	run->nlevels = 1;
	lev = &run->levels[0];
	memset(lev, 0, sizeof(*lev));
	lev->wanted = !run->o->include;
	lev->seen = seen_at(run, (const char *)run->path.data);
	lev->key_len = run->key.len;
	lev->path_len = run->path.len;
	return 0;
}

int level_enter(struct restore *run, const struct ref *ref, const char *name,
		size_t len, enum sub_state state)
{
	struct level *lev;

	extras_end(run);
	if (array_reserve(&run->levels, &run->cap, run->nlevels + 1) < 0)
		return -ENOMEM;
	tree_key_push(&run->key, name, len);
	buf_put_u8(&run->path, '/');
	buf_put(&run->path, name, len);
	buf_put_u8(&run->path, '\0'); /* for messages; not counted */
	if (buf_error(&run->path) < 0 || buf_error(&run->key) < 0)
		return -ENOMEM;
	run->path.len--;
	lev = &run->levels[run->nlevels++];
	memset(lev, 0, sizeof(*lev));
	lev->ref = ref_get(ref);
	lev->wanted = state == SUB_WANTED;
	lev->seen = seen_below(run, lev[-1].seen, (char *)run->path.data);
	lev->failed = lev[-1].failed;
	lev->key_len = run->key.len;
	lev->path_len = run->path.len;
	level_relax(run);
	if (!lev->wanted || lev->failed ||
	    level_need(run, run->nlevels - 1) < 0)
		return 0;
	lev = level_top(run);
	if (lev->dir->guarded)
		RESTORE_COUNT(run, skipped, 1);
	restore_note(run,
		     lev->dir->guarded	  ? "skipped"
		     : lev->dir->replaced ? "updated"
					  : "restored",
		     NULL, 0);
	return 0;
}

static int level_push(struct restore *run, const char *name, size_t len,
		      enum sub_state state)
{
	struct cursor c = { .leaf = NULL };
	struct ref ref = { .vent = NULL };
	int r = tree_lookup(run->vault, &run->root, run->key.data, run->key.len,
			    name, len, &c);

	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	ref.leaf = c.leaf;
	ref.slot = c.slot;
	r = level_enter(run, &ref, name, len, state);
	cursor_release(&c);
	return r;
}

static int level_pass(struct restore *run, const char *name, size_t len);

/* The end of a directory: what is left in it is empty or not of the point. */
int level_leave(struct restore *run)
{
	struct level *lev = level_top(run);
	int r;

	r = level_pass(run, NULL, 0);
	lev = level_top(run);
	extras_end(run);
	level_release(lev);
	run->nlevels--;
	if (run->nlevels > 0) {
		run->key.len = level_top(run)->key_len;
		run->path.len = level_top(run)->path_len;
		if (run->path.data)
			run->path.data[run->path.len] = '\0';
	}
	return r;
}

/* Work off the subdirectories before @name (NULL: all): they hold nothing. */
static int level_pass(struct restore *run, const char *name, size_t len)
{
	struct level *lev;
	struct sub *sub;
	size_t n;
	int r = 0, c;

	while (r == 0 && level_top(run)->next < level_top(run)->nsubs) {
		lev = level_top(run);
		sub = &lev->subs[lev->next];
		if (name) {
			n = MIN((size_t)sub->len, len);
			c = memcmp(lev->names.data + sub->off, name, n);
			if (c > 0 || (c == 0 && sub->len >= len))
				break;
		}
		lev->next++;
		if (sub->state != SUB_WANTED || lev->failed)
			continue;
		r = level_push(run, (char *)lev->names.data + sub->off,
			       sub->len, SUB_WANTED);
		if (r == 0)
			r = level_leave(run);
	}
	return r;
}

int level_add_sub(struct restore *run, const char *name, size_t len,
		  enum sub_state state)
{
	struct level *lev = level_top(run);
	struct sub *sub;

	if (array_reserve(&lev->subs, &lev->cap, lev->nsubs + 1) < 0)
		return -ENOMEM;
	sub = &lev->subs[lev->nsubs++];
	sub->off = lev->names.len;
	sub->len = (uint16_t)len;
	sub->state = (uint8_t)state;
	buf_put(&lev->names, name, len);
	return buf_error(&lev->names);
}

/* ---- the way from directory to directory ---- */

bool key_starts_with(const uint8_t *key, size_t len, const struct buf *with)
{
	return len >= with->len &&
	       (with->len == 0 || memcmp(key, with->data, with->len) == 0);
}

size_t key_name(const uint8_t *key, size_t len, char out[ENTRY_NAME_MAX + 1],
		size_t *out_len)
{
	size_t i, n = 0;

	for (i = 0; i < len && key[i] != 1 && n < ENTRY_NAME_MAX; i++) {
		if (key[i] == 2 && i + 1 < len)
			out[n++] = (char)(key[++i] - 1);
		else
			out[n++] = (char)key[i];
	}
	out[n] = '\0';
	*out_len = n;
	return i < len && key[i] == 1 ? i + 1 : 0;
}

/* Put the cursor behind all that is below the top's subdirectory @name. */
static int skip_below(struct restore *run, const char *name, size_t len,
		      struct cursor *c)
{
	AUTO_BUF struct buf key = BUF_INIT;

	buf_put(&key, run->key.data, run->key.len);
	tree_key_push(&key, name, len);
	if (buf_error(&key) < 0)
		return -ENOMEM;
	key.data[key.len - 1]++; /* its end, 1: no key goes on with 2 alone */
	return tree_seek(run->vault, &run->root, key.data, key.len, "", 0, c);
}

int level_step_to(struct restore *run, struct cursor *c)
{
	char name[ENTRY_NAME_MAX + 1];
	const uint8_t *key;
	struct level *lev;
	size_t len, n;
	int r = 0, state;

	key = cursor_dirkey(c, &len);
	while (r == 0 && !key_starts_with(key, len, &run->key))
		r = level_leave(run);
	while (r == 0 && len > run->key.len) {
		if (key_name(key + run->key.len, len - run->key.len, name,
			     &n) == 0)
			return fail(-EBADMSG, "the tree has a malformed key");
		r = level_pass(run, name, n);
		if (r < 0)
			return r;
		lev = level_top(run);
		state = SUB_LEFT_OUT;
		if (lev->next < lev->nsubs && lev->subs[lev->next].len == n &&
		    memcmp(lev->names.data + lev->subs[lev->next].off, name,
			   n) == 0) {
			state = lev->subs[lev->next++].state;
		} else if (!lev->failed) {
			log_warn("%s/%s: the tree has entries below it, but "
				 "it is no directory",
				 run->path.len ? (char *)run->path.data : "",
				 name);
			restore_error(run, -EBADMSG);
			restore_keep(run, RESTORE_KEEP_LOST);
		}
		if (state == SUB_LEFT_OUT || lev->failed) {
			r = skip_below(run, name, n, c);
			return r < 0 ? r : 1;
		}
		r = level_push(run, name, n, state);
	}
	return r;
}
