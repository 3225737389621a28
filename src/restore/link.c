/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files with several names: where the first one was restored, until all of
 * them were met. A file is known by the source's device and inode.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "store/base/seam.h"

/* There may be millions that wait for their other names, so each takes no more
 * than it has to: 45 bytes, its name and its directory's key. */
struct first {
	struct first *next; /* in its bucket */
	uint64_t ino;
	uint32_t left; /* names to come; UINT32_MAX: that many or more */
	uint32_t dev;
	uint32_t key_len;
	uint8_t name_len;
	uint8_t bytes[]; /* name with a NUL, then the key of its directory */
};

struct restore_links {
	struct first **buckets; /* owned */
	size_t cap, n;
};

struct restore_links *restore_links_new(void)
{
	struct restore_links *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->cap = 256;
	l->buckets = alloc_array(l->cap, sizeof(*l->buckets));
	if (!l->buckets) {
		free(l);
		return NULL;
	}
	return l;
}

void restore_links_free(struct restore_links *l)
{
	struct first *f, *next;
	size_t i;

	if (!l)
		return;
	for (i = 0; i < l->cap; i++) {
		for (f = l->buckets[i]; f; f = next) {
			next = f->next;
			free(f);
		}
	}
	free(l->buckets);
	free(l);
}

static struct first **links_bucket(struct first **buckets, size_t cap,
				   uint64_t ino, uint32_t dev)
{
	uint64_t h = (ino ^ (uint64_t)dev << 48) * 0x9e3779b97f4a7c15u;

	return &buckets[(h >> 20) & (cap - 1)];
}

static void links_grow(struct restore_links *l)
{
	struct first **p, **to, *f;
	size_t cap = l->cap * 2, i;

	p = alloc_array(cap, sizeof(*p));
	if (!p)
		return; /* slower, not wrong */
	for (i = 0; i < l->cap; i++) {
		while ((f = l->buckets[i])) {
			l->buckets[i] = f->next;
			to = links_bucket(p, cap, f->ino, f->dev);
			f->next = *to;
			*to = f;
		}
	}
	free(l->buckets);
	l->buckets = p;
	l->cap = cap;
}

static struct first **first_find(struct restore_links *l, const struct entry *e)
{
	struct first **p = links_bucket(l->buckets, l->cap, e->ino, e->dev);

	while (*p && ((*p)->ino != e->ino || (*p)->dev != e->dev))
		p = &(*p)->next;
	return p;
}

int link_remember(struct restore *run, const uint8_t *dirkey, size_t dirkey_len,
		  const struct entry *e)
{
	struct restore_links *l = run->links;
	struct first *f, **p;

	p = first_find(l, e);
	if (*p) {
		/* The one before could not be linked to. */
		f = *p;
		*p = f->next;
		free(f);
		l->n--;
	}
	f = malloc(offsetof(struct first, bytes) + e->name_len + 1 +
		   dirkey_len);
	if (!f)
		return -ENOMEM;
	f->ino = e->ino;
	f->dev = e->dev;
	f->left = (uint32_t)MIN(e->nlink - 1, (uint64_t)UINT32_MAX);
	f->key_len = (uint32_t)dirkey_len;
	f->name_len = (uint8_t)e->name_len;
	memcpy(f->bytes, e->name, e->name_len);
	f->bytes[e->name_len] = '\0';
	if (dirkey_len)
		memcpy(f->bytes + e->name_len + 1, dirkey, dirkey_len);
	if (++l->n > l->cap)
		links_grow(l);
	p = links_bucket(l->buckets, l->cap, f->ino, f->dev);
	f->next = *p;
	*p = f;
	return 0;
}

static const char *first_name(const struct first *f)
{
	return (const char *)f->bytes;
}

static bool same_file(int fd_a, const char *a, int fd_b, const char *b)
{
	struct stat sa, sb;

	return fstatat(fd_a, a, &sa, AT_SYMLINK_NOFOLLOW) == 0 &&
	       fstatat(fd_b, b, &sb, AT_SYMLINK_NOFOLLOW) == 0 &&
	       sa.st_dev == sb.st_dev && sa.st_ino == sb.st_ino;
}

static int link_over(struct restore *run, int from, const struct first *f,
		     int to, const char *name, bool replace)
{
	struct seam *s = run->seam;
	char temp[TEMP_NAME_LEN];
	int r;

	if (!replace)
		return s->ops->linkat(s, from, first_name(f), to, name, 0);
	/* rename(2) of two names of one file leaves both. */
	if (same_file(from, first_name(f), to, name))
		return 0;
	temp_name(run, temp);
	r = s->ops->linkat(s, from, first_name(f), to, temp, 0);
	if (r < 0)
		return r;
	r = s->ops->renameat(s, to, temp, to, name);
	if (r < 0)
		(void)!s->ops->unlinkat(s, to, temp, 0);
	return r;
}

int link_try(struct restore *run, struct rdir *dir, const char *name,
	     const struct entry *e, bool replace)
{
	struct first **p = first_find(run->links, e), *f = *p;
	int from, r;

	if (!f)
		return 0;
	from = rdir_find(run, f->bytes + f->name_len + 1, f->key_len);
	if (from < 0)
		return from;
	r = link_over(run, from, f, dir->fd, name, replace);
	close(from);
	if (r < 0)
		return r;
	if (f->left < UINT32_MAX)
		f->left--;
	if (f->left == 0) {
		*p = f->next;
		free(f);
		run->links->n--;
	}
	return 1;
}
