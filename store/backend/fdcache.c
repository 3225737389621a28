/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Open descriptors of objects that are read again and again. The table is small
 * and is searched from its beginning: comparing a few names costs less than the
 * system call that it saves.
 *
 * A descriptor that somebody holds is not closed. An object that is deleted
 * meanwhile loses its name in the table, so that nobody finds it any more, and
 * the last who holds it closes it.
 */
#include "config.h"

#include "store/backend/fdcache.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/base/lock.h"

void fdcache_init(struct fdcache *c)
{
	size_t i;

	memset(c, 0, sizeof(*c));
	pthread_mutex_init(&c->lock, NULL);
	for (i = 0; i < FDCACHE_SLOTS; i++)
		c->slots[i].fd = -1;
}

void fdcache_release(struct fdcache *c)
{
	size_t i;

	for (i = 0; i < FDCACHE_SLOTS; i++)
		if (c->slots[i].fd >= 0)
			close(c->slots[i].fd);
	pthread_mutex_destroy(&c->lock);
}

/* The caller holds the lock. */
static struct fdcache_slot *find(struct fdcache *c, const char *name)
{
	size_t i;

	for (i = 0; i < FDCACHE_SLOTS; i++)
		if (c->slots[i].fd >= 0 && strcmp(c->slots[i].name, name) == 0)
			return &c->slots[i];
	return NULL;
}

static struct fdcache_slot *hold(struct fdcache *c, struct fdcache_slot *slot)
{
	slot->refs++;
	slot->used = ++c->clock;
	return slot;
}

struct fdcache_slot *fdcache_get(struct fdcache *c, const char *name)
{
	struct fdcache_slot *slot;

	SCOPED_LOCK(&c->lock);
	slot = find(c, name);
	return slot ? hold(c, slot) : NULL;
}

/* A free slot, or the least recently used of those nobody holds. */
static struct fdcache_slot *pick(struct fdcache *c)
{
	struct fdcache_slot *best = NULL;
	size_t i;

	for (i = 0; i < FDCACHE_SLOTS; i++) {
		struct fdcache_slot *s = &c->slots[i];

		if (s->fd < 0)
			return s;
		if (s->refs == 0 && (!best || s->used < best->used))
			best = s;
	}
	return best;
}

struct fdcache_slot *fdcache_add(struct fdcache *c, const char *name, int fd)
{
	struct fdcache_slot *slot;
	int old = fd; /* what to close, once the lock is gone */

	{
		SCOPED_LOCK(&c->lock);
		slot = find(c, name);
		if (!slot) {
			slot = pick(c);
			if (!slot)
				return NULL;
			old = slot->fd;
			slot->fd = fd;
			snprintf(slot->name, sizeof(slot->name), "%s", name);
		}
		hold(c, slot);
	}
	if (old >= 0)
		close(old);
	return slot;
}

void fdcache_put(struct fdcache *c, struct fdcache_slot *slot)
{
	int old = -1;

	{
		SCOPED_LOCK(&c->lock);
		if (--slot->refs == 0 && !slot->name[0]) {
			old = slot->fd;
			slot->fd = -1;
		}
	}
	if (old >= 0)
		close(old);
}

void fdcache_drop(struct fdcache *c, const char *name)
{
	struct fdcache_slot *slot;
	int old = -1;

	{
		SCOPED_LOCK(&c->lock);
		slot = find(c, name);
		if (!slot)
			return;
		slot->name[0] = '\0';
		if (slot->refs == 0) {
			old = slot->fd;
			slot->fd = -1;
		}
	}
	if (old >= 0)
		close(old);
}
