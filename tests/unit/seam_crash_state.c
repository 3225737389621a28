/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The model: events up to a cut are played; what was synced is settled, and for
 * the rest the state decides. A choice depends on the seed and on what it is
 * about, never on the order of asking: the same state is the same twice.
 */
#include "config.h"

#include "tests/unit/seam_crash_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backend/internal.h"
#include "store/backend/mem.h"

#define SECTOR 512

/* What is known of a directory at the cut. Names are borrowed. */
struct dir_state {
	struct entry *entries; /* owned; what lasts */
	size_t nentries;
	size_t *pending; /* owned; events not synced */
	size_t npending;
};

struct play {
	const struct seam_crash *c;
	size_t cut;
	struct seam_crash_state state;
	struct dir_state *dirs; /* owned; by inode */
	size_t *synced; /* owned; by inode: events before it are synced */
	seam_crash_fn *fn;
	void *arg;
	char path[PATH_MAX];
};

static uint64_t mix(uint64_t seed, uint64_t n)
{
	uint64_t z = seed * 0xd1342543de82ef95u + n * 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* ---- names ---- */

static void apply(struct dir_state *d, const struct event *e)
{
	size_t i;

	for (i = 0; i < d->nentries; i++)
		if (d->entries[i].hash == e->hash &&
		    strcmp(d->entries[i].name, e->name) == 0)
			break;
	if (e->type == EVENT_REMOVE) {
		if (i < d->nentries)
			d->entries[i] = d->entries[--d->nentries];
		return;
	}
	if (i == d->nentries) {
		d->entries = crash_grow(d->entries, d->nentries,
					sizeof(*d->entries));
		d->nentries++;
	}
	d->entries[i].name = e->name;
	d->entries[i].hash = e->hash;
	d->entries[i].inode = e->inode;
}

static unsigned int kind_of(const struct seam_crash *c, const struct event *e)
{
	if (e->type == EVENT_REMOVE)
		return SEAM_CRASH_REMOVALS;
	return c->inodes[e->inode].is_dir ? SEAM_CRASH_DIR_NAMES
					  : SEAM_CRASH_FILE_NAMES;
}

static void sync_dir(struct play *p, struct dir_state *d)
{
	size_t i, left = 0;

	for (i = 0; i < d->npending; i++) {
		const struct event *e = &p->c->events[d->pending[i]];

		if (p->c->ignored & kind_of(p->c, e))
			d->pending[left++] = d->pending[i];
		else
			apply(d, e);
	}
	d->npending = left;
}

/* Is the name's change @i, which was not synced, there all the same? */
static bool happens(const struct play *p, size_t i)
{
	const struct event *e = &p->c->events[i];

	switch (p->state.how) {
	case SEAM_CRASH_DROP_ALL:
		return false;
	case SEAM_CRASH_KEEP_ALL:
	case SEAM_CRASH_KEEP_NAMES:
		return true;
	default:
		/* A rename within a directory: both halves or none. */
		if (e->pair < 0 && e[-1].dir == e->dir)
			i--;
		return mix(p->state.seed, i) & 1;
	}
}

static void play_events(struct play *p)
{
	const struct seam_crash *c = p->c;
	size_t i, k, nsyncs = 0;

	for (i = 0; i < p->cut; i++) {
		const struct event *e = &c->events[i];
		struct dir_state *d;

		if (e->type == EVENT_ADD || e->type == EVENT_REMOVE) {
			d = &p->dirs[e->dir];
			d->pending = crash_grow(d->pending, d->npending,
						sizeof(*d->pending));
			d->pending[d->npending++] = i;
		}
		if (e->type != EVENT_SYNC || ++nsyncs == c->ignored_sync)
			continue;
		if (c->inodes[e->inode].is_dir)
			sync_dir(p, &p->dirs[e->inode]);
		else if (!(c->ignored & SEAM_CRASH_DATA))
			p->synced[e->inode] = i;
	}
	for (i = 0; i < c->ninodes; i++)
		for (k = 0; k < p->dirs[i].npending; k++)
			if (happens(p, p->dirs[i].pending[k]))
				apply(&p->dirs[i],
				      &c->events[p->dirs[i].pending[k]]);
}

/* ---- bytes ---- */

struct bytes {
	uint8_t *p; /* owned; NULL while len is 0 */
	size_t len;
};

static void resize(struct bytes *b, size_t len)
{
	uint8_t *p = realloc(b->p, len ? len : 1);

	if (!p)
		abort();
	if (len > b->len)
		memset(p + b->len, 0, len - b->len);
	b->p = p;
	b->len = len;
}

static void change(struct bytes *b, const struct event *e)
{
	if (e->type == EVENT_TRUNCATE) {
		resize(b, (size_t)e->off);
		return;
	}
	if (b->len < e->off + e->len)
		resize(b, (size_t)e->off + e->len);
	memcpy(b->p + e->off, e->data, e->len);
}

/* Between @old and @new, by the seed: @new becomes what is on the disk. */
static void tear(const struct bytes *old, struct bytes *new, uint64_t seed)
{
	unsigned int how = mix(seed, 0) % 6;
	size_t block = mix(seed, 1) & 1 ? SECTOR : 8 * SECTOR;
	size_t off, nblocks = (new->len + block - 1) / block;
	struct bytes was = { NULL, 0 };

	/* The old bytes at the new length: what has not arrived. */
	resize(&was, old->len);
	if (old->len)
		memcpy(was.p, old->p, old->len);
	if (how > 0)
		resize(&was, new->len);
	if (how == 2 && nblocks > 0)
		resize(new, (size_t)(mix(seed, 2) % nblocks) * block);
	if (how < 2) {
		/* 0: nothing arrived; 1: the length did. */
		resize(new, was.len);
		if (was.len)
			memcpy(new->p, was.p, was.len);
	}
	/* 3 is all of it; 4 and 5 are patchwork. */
	for (off = 0; how >= 4 && off < new->len; off += block) {
		size_t n = MIN(block, new->len - off), i;
		uint64_t dice = mix(seed, 16 + off);

		if (memcmp(new->p + off, was.p + off, n) == 0)
			continue;
		if (dice % 3 == 0)
			memcpy(new->p + off, was.p + off, n);
		else if (how == 5 && dice % 3 == 1)
			for (i = 0; i < n; i++)
				new->p[off + i] = (uint8_t)mix(dice, i);
	}
	free(was.p);
}

/* A file's bytes in this state; free p. */
static struct bytes file_bytes(const struct play *p, int inode)
{
	const struct inode *f = &p->c->inodes[inode];
	struct bytes old = { NULL, 0 }, new = { NULL, 0 };
	size_t i;

	resize(&old, f->len);
	if (f->len)
		memcpy(old.p, f->data, f->len);
	for (i = f->first; i && i - 1 < p->synced[inode];
	     i = p->c->events[i - 1].next)
		change(&old, &p->c->events[i - 1]);
	if (!i || i - 1 >= p->cut || p->state.how == SEAM_CRASH_DROP_ALL ||
	    p->state.how == SEAM_CRASH_KEEP_NAMES)
		return old;
	resize(&new, old.len);
	if (old.len)
		memcpy(new.p, old.p, old.len);
	for (; i && i - 1 < p->cut; i = p->c->events[i - 1].next)
		change(&new, &p->c->events[i - 1]);
	if (p->state.how == SEAM_CRASH_SEEDED)
		tear(&old, &new, mix(p->state.seed, ~(uint64_t)inode));
	free(old.p);
	return new;
}

/* ---- the walk ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct entry *)a)->name,
		      ((const struct entry *)b)->name);
}

/* @len: of the directory's own path, with its slash. */
static int walk(struct play *p, int inode, size_t len)
{
	struct dir_state *d = &p->dirs[inode];
	size_t i;
	int r = 0;

	if (d->nentries)
		qsort(d->entries, d->nentries, sizeof(*d->entries), by_name);
	for (i = 0; r == 0 && i < d->nentries; i++) {
		int child = d->entries[i].inode;
		size_t n = strlen(d->entries[i].name);

		if (len + n + 2 > sizeof(p->path))
			return -ENAMETOOLONG;
		memcpy(p->path + len, d->entries[i].name, n + 1);
		if (p->c->inodes[child].is_dir) {
			r = p->fn(p->arg, p->path, NULL, 0);
			p->path[len + n] = '/';
			if (r == 0)
				r = walk(p, child, len + n + 1);
		} else {
			struct bytes b = file_bytes(p, child);

			r = p->fn(p->arg, p->path, b.p, b.len);
			free(b.p);
		}
	}
	return r;
}

int seam_crash_visit(struct seam_crash *c, size_t cut,
		     struct seam_crash_state state, seam_crash_fn *fn,
		     void *arg)
{
	struct play *p = calloc(1, sizeof(*p));
	size_t i, k;
	int r;

	if (!p)
		return -ENOMEM;
	p->c = c;
	p->cut = MIN(cut, c->nevents);
	p->state = state;
	p->fn = fn;
	p->arg = arg;
	p->dirs = alloc_array(c->ninodes, sizeof(*p->dirs));
	p->synced = alloc_array(c->ninodes, sizeof(*p->synced));
	if (!p->dirs || !p->synced)
		abort();
	for (i = 0; i < c->ninodes; i++) {
		struct dir_state *d = &p->dirs[i];

		for (k = 0; k < c->inodes[i].nentries; k++) {
			d->entries =
				crash_grow(d->entries, k, sizeof(*d->entries));
			d->entries[k] = c->inodes[i].entries[k];
			d->nentries++;
		}
	}
	play_events(p);
	r = walk(p, 0, 0);
	for (i = 0; i < c->ninodes; i++) {
		free(p->dirs[i].entries);
		free(p->dirs[i].pending);
	}
	free(p->dirs);
	free(p->synced);
	free(p);
	return r;
}

/* ---- as files ---- */

static int make_one(void *arg, const char *path, const uint8_t *data,
		    size_t len)
{
	int root = *(int *)arg;
	AUTO_CLOSE int fd = -1;

	if (!data)
		return mkdirat(root, path, 0700) < 0 ? -errno : 0;
	fd = openat(root, path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	return seam_pwrite_all(seam_system(), fd, data, len, 0);
}

int seam_crash_materialise(struct seam_crash *c, size_t cut,
			   struct seam_crash_state state, const char *out)
{
	AUTO_CLOSE int fd = open(out, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return seam_crash_visit(c, cut, state, make_one, &fd);
}

/* ---- as objects ---- */

struct to_mem {
	const char *folder;
	struct backend *out;
};

static int put_one(void *arg, const char *path, const uint8_t *data, size_t len)
{
	const struct to_mem *t = arg;
	size_t n = strlen(t->folder);

	if (!data || strncmp(path, t->folder, n) != 0)
		return 0;
	path += n;
	if (n > 0 && *path++ != '/')
		return 0;
	if (!backend_name_valid(path))
		return 0;
	return backend_mem_set(t->out, path, data, len);
}

int seam_crash_to_mem(struct seam_crash *c, size_t cut,
		      struct seam_crash_state state, const char *folder,
		      struct backend *out)
{
	struct to_mem t = { folder, out };

	return seam_crash_visit(c, cut, state, put_one, &t);
}
