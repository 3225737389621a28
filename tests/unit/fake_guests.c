/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/fake_guests.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest.h"
#include "fs/guest/volumes/discover.h"
#include "store/base/log.h"

struct fake fake;

/* ---- volumes ---- */

static const char *const names[] = { "vda1", "vda2", "vda3",
				     "vda4", "vda5", "vda1.raw" };

static int fill(struct volume *v, struct blocks *disk, size_t i)
{
	int r;

	if (i < ARRAY_SIZE(names))
		v->name = strdup(names[i]);
	else if (asprintf(&v->name, "x%zu", i - ARRAY_SIZE(names)) < 0)
		v->name = NULL;
	if (!v->name)
		return -ENOMEM;
	snprintf(v->type, sizeof(v->type), "%.31s", v->name);
	if (fake.two_types && strcmp(v->name, "vda3") == 0)
		snprintf(v->others[0], sizeof(v->others[0]), "vda2");
	if (strcmp(v->name, "vda4") == 0)
		v->reason = strdup("swap space");
	r = blocks_slice(disk, FAKE_VOLUME * MIN(i, (size_t)5), FAKE_VOLUME,
			 &v->blocks);
	return r;
}

/* As the real one does where a disk cannot be read. */
static int find_nothing(struct volume_set *s, struct blocks *disk)
{
	s->volumes = calloc(1, sizeof(*s->volumes));
	if (!s->volumes)
		return -ENOMEM;
	s->n = 1;
	s->volumes[0].name = strdup("vda");
	s->volumes[0].reason = strdup("it cannot be read");
	s->volumes[0].blocks = blocks_get(disk);
	return s->volumes[0].name && s->volumes[0].reason ? 0 : -ENOMEM;
}

int discover_volumes(const struct discover_disk *disks, size_t n,
		     const struct luks_keys *keys, struct volume_set **out)
{
	struct volume_set *s;
	uint8_t first[1];
	size_t i;
	int r = fake.fail_find;

	fake.finds++;
	fake.keys = keys ? keys->n : 0;
	*out = NULL;
	if (r < 0)
		return fail(r, "finding fails as told");
	if (n == 0)
		return -EINVAL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	if (fake.probe && blocks_read(disks[0].blocks, 0, first, 1) < 0 &&
	    !fake.overlook) {
		r = find_nothing(s, disks[0].blocks);
		*out = r < 0 ? NULL : s;
		return r;
	}
	s->n = fake.good ? 2 : ARRAY_SIZE(names) + fake.extra;
	s->cut = fake.cut;
	s->volumes = calloc(s->n, sizeof(*s->volumes));
	if (!s->volumes)
		r = -ENOMEM;
	for (i = 0; i < s->n && r == 0; i++)
		r = fill(&s->volumes[i], disks[0].blocks, i);
	if (r < 0)
		volume_set_free(s);
	else
		*out = s;
	return r;
}

void volume_set_free(struct volume_set *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; s->volumes && i < s->n; i++) {
		free(s->volumes[i].name);
		free(s->volumes[i].reason);
		blocks_put(s->volumes[i].blocks);
	}
	free(s->volumes);
	free(s);
}

/* ---- a filesystem ---- */

static int refuse(const char *type, struct buf *why)
{
	if (strcmp(type, "vda3") == 0) {
		buf_printf(why, "its superblock is nonsense");
		return fail(-EBADMSG, "fake: nonsense");
	}
	if (strcmp(type, "vda5") == 0 && fake.fail_open < 0)
		return fail(fake.fail_open, "opening fails as told");
	return 0;
}

int guest_open(const char *type, struct blocks *b, struct lru *memory,
	       struct buf *why, struct guest **out)
{
	unsigned int now, most;
	struct guest *g;
	int r;

	(void)memory;
	*out = NULL;
	fake.opens++;
	while (fake.hold)
		sched_yield();
	r = refuse(type, why);
	if (r < 0)
		return r;
	g = calloc(1, sizeof(*g));
	if (!g)
		return -ENOMEM;
	g->blocks = blocks_get(b);
	g->root = 2;
	g->held = fake.held;
	if (strcmp(type, "vda2") == 0) {
		strncpy(g->info.state,
			fake.state ? fake.state : "log-not-replayed",
			sizeof(g->info.state) - 1);
		strncpy(g->info.note, "as of its last checkpoint",
			sizeof(g->info.note) - 1);
	} else if (strcmp(type, "vda1") == 0) {
		strncpy(g->info.note, "worth knowing",
			sizeof(g->info.note) - 1);
	}
	now = ++fake.open;
	for (most = fake.most; now > most && !atomic_compare_exchange_weak(
						     &fake.most, &most, now);)
		;
	*out = g;
	return 0;
}

void guest_close(struct guest *g)
{
	if (!g)
		return;
	fake.closes++;
	fake.open--;
	blocks_put(g->blocks);
	free(g);
}

int guest_getattr(struct guest *g, uint64_t node, struct guest_attr *out)
{
	static const mode_t modes[] = {
		[2] = S_IFDIR | 0755,
		[3] = S_IFREG | 04755,
		[4] = S_IFDIR | 01777,
		[7] = S_IFLNK | 0777,
		[8] = S_IFREG | 0644,
		[9] = S_IFBLK | 0660,
		[10] = 0,
	};

	fake.getattrs++;
	if (atomic_exchange(&fake.last, node) > node)
		fake.back++;
	if (node == 5)
		return fail(-EBADMSG, "fake: inode 5 is damaged");
	if (node < 2 || node == 6 || (node > 10 && node < 1000) ||
	    (node >= 1000 + FAKE_MANY && node < FAKE_CHAIN))
		return -ENOENT;
	*out = (struct guest_attr){
		.node = node,
		.mode = node >= FAKE_CHAIN ? S_IFDIR | 0755
			: node >= 1000	   ? S_IFREG | 0600
					   : modes[node],
		.owned = node != 8,
		.bare = fake.scattered && node >= 1000,
		.uid = 70000,
		.gid = 70001,
		.nlink = node == 3 ? 2 : 1,
		.size = node == 3 ? g->blocks->size : 0,
		.allocated = node == 3 ? 4096 : 0,
		.rdev_major = 259,
		.rdev_minor = 70000,
		.mtime = { -5, 999999999 },
		.ctime = { INT64_C(1) << 33, 1 },
		.atime = { 0, UINT32_MAX },
	};
	return 0;
}

struct name {
	const char *name;
	uint64_t node;
	unsigned int type;
};

static const struct name top[] = {
	{ "attrs", 8, DT_REG },	      { "bad", 5, DT_REG },
	{ "dangling", 6, DT_REG },    { "dir", 4, DT_DIR },
	{ "dev", 9, DT_BLK },	      { "file", 3, DT_REG },
	{ "hard", 3, DT_REG },	      { "link", 7, DT_LNK },
	{ "notype", 10, DT_UNKNOWN },
};

static const struct name good[] = {
	{ "dir", 4, DT_DIR },
	{ "file", 3, DT_REG },
};

static const struct name hostile[] = {
	{ "again", 4, DT_DIR },
	{ "chain", FAKE_CHAIN, DT_DIR },
	{ "top", 2, DT_DIR },
	{ "twin", FAKE_CHAIN, DT_DIR },
};

/* The inode of name @n in 4 dir. */
static uint64_t child(uint64_t n)
{
	return 1000 + (fake.scattered ? n * 1709 % FAKE_MANY : n);
}

int guest_lookup(struct guest *g, uint64_t dir, const char *name,
		 uint64_t *node_out)
{
	unsigned long n;
	char *end;
	size_t i;

	(void)g;
	if (dir == 4) {
		n = strtoul(name, &end, 10);
		*node_out = child(n);
		return strlen(name) == 5 && !*end && n < FAKE_MANY ? 0
								   : -ENOENT;
	}
	if (dir != 2)
		return dir < 11 || dir >= 1000 ? -ENOTDIR : -ENOENT;
	for (i = 0; i < ARRAY_SIZE(top); i++)
		if (strcmp(top[i].name, name) == 0) {
			*node_out = top[i].node;
			return 0;
		}
	return -ENOENT;
}

/* Cookies from 1, and the last ones as high as they may be. */
static uint64_t cookie_of(uint64_t i)
{
	return i < 1500 ? i + 1 : (UINT64_C(1) << 62) + i;
}

int guest_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		  guest_dir_fn *fn, void *arg)
{
	const struct name below = { "d", dir + 1, DT_DIR }, *few = NULL;
	uint64_t i, n = FAKE_MANY;
	char name[16];
	int r = 0;

	(void)g;
	if (dir != 2 && dir != 4 && dir < FAKE_CHAIN)
		return -ENOTDIR;
	if (dir >= FAKE_CHAIN) {
		few = &below;
		n = 1;
	} else if (dir == 2 && fake.good) {
		few = good;
		n = ARRAY_SIZE(good);
	} else if (dir == 2) {
		few = top;
		n = ARRAY_SIZE(top);
	} else if (fake.hostile) {
		few = hostile;
		n = ARRAY_SIZE(hostile);
	}
	for (i = 0; i < n && r == 0; i++) {
		if (cookie_of(i) <= cookie)
			continue;
		if (few) {
			r = fn(arg, few[i].name, strlen(few[i].name),
			       few[i].node, few[i].type, cookie_of(i));
			continue;
		}
		snprintf(name, sizeof(name), "%05u", (unsigned int)i);
		r = fn(arg, name, 5, child(i), DT_REG, cookie_of(i));
	}
	return r < 0 ? r : 0;
}

int guest_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	(void)g;
	if (node != 7)
		return -EINVAL;
	buf_put(out, "dir/00000", 9);
	return buf_error(out);
}

int guest_read(struct guest *g, uint64_t node, uint64_t off, void *out,
	       size_t len, size_t *out_len)
{
	if (node == 5)
		return fail(-EBADMSG, "fake: inode 5 is damaged");
	if (node == 2 || node == 4)
		return -EISDIR;
	if (node != 3) {
		*out_len = 0;
		return 0;
	}
	*out_len = off < g->blocks->size
			   ? (size_t)MIN(g->blocks->size - off, (uint64_t)len)
			   : 0;
	return *out_len ? blocks_read(g->blocks, off, out, *out_len) : 0;
}

int guest_seek(struct guest *g, uint64_t node, uint64_t off, bool hole,
	       uint64_t *out)
{
	if (node != 3)
		return -ENXIO;
	return blocks_seek(g->blocks, off, hole, out);
}

int guest_xattrs(struct guest *g, uint64_t node, struct buf *out)
{
	static const uint8_t acl[] = { 2, 0, 0, 0 };

	(void)g;
	fake.xattrs++;
	if (node == 3)
		return fake.left_out;
	if (node != 8)
		return 0;
	buf_put_varint(out, 2);
	xattrs_put(out, "system.posix_acl_access", acl, sizeof(acl));
	xattrs_put(out, "user.x", "value", 5);
	return buf_error(out);
}

int guest_xattr_unlisted(struct guest *g, uint64_t node, const char *name,
			 struct buf *out)
{
	(void)g;
	if (node != 8 || strcmp(name, "system.unlisted") != 0)
		return -ENODATA;
	buf_put(out, "hidden", 6);
	return buf_error(out);
}
