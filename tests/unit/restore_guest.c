/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Volumes and a guest filesystem in the place of discover_volumes() and
 * guest_*(): each disk of a point holds one volume, vda1, with the model's
 * source. What is bad there gives no attributes, or, of a directory, only its
 * first entry.
 */
#include "config.h"

#include "tests/unit/restore_model.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest.h"
#include "fs/guest/volumes/discover.h"

static const char type[] = "model";

/* ---- volumes ---- */

int discover_volumes(const struct discover_disk *disks, size_t n,
		     const struct luks_keys *keys, struct volume_set **out)
{
	struct volume_set *s = calloc(1, sizeof(*s));

	(void)keys;
	*out = NULL;
	if (!s || n == 0)
		return -ENOMEM;
	s->volumes = calloc(1, sizeof(*s->volumes));
	s->n = s->volumes ? 1 : 0;
	*out = s;
	if (!s->volumes)
		return -ENOMEM;
	s->volumes->name = strdup("vda1");
	memcpy(s->volumes->type, type, sizeof(type));
	s->volumes->blocks = blocks_get(disks[0].blocks);
	return s->volumes->name ? 0 : -ENOMEM;
}

void volume_set_free(struct volume_set *s)
{
	if (s && s->n) {
		free(s->volumes->name);
		blocks_put(s->volumes->blocks);
		free(s->volumes);
	}
	free(s);
}

/* ---- the filesystem ---- */

int guest_open(const char *word, struct blocks *b, struct lru *memory,
	       struct buf *why, struct guest **out)
{
	struct guest *g = calloc(1, sizeof(*g));

	(void)word;
	(void)memory;
	(void)why;
	*out = g;
	if (!g)
		return -ENOMEM;
	g->blocks = blocks_get(b);
	g->root = model.source->file;
	return 0;
}

void guest_close(struct guest *g)
{
	if (g)
		blocks_put(g->blocks);
	free(g);
}

/* A file's number is that of its first name. */
static const struct node *node_of(uint64_t n)
{
	return &model.nodes[n - OUTSIDE_FILE - 1];
}

int guest_getattr(struct guest *g, uint64_t n, struct guest_attr *out)
{
	static const mode_t modes[] = {
		[FILE_KIND] = S_IFREG | 0644,
		[DIR_KIND] = S_IFDIR | 0755,
		[LINK_KIND] = S_IFLNK | 0777,
	};
	const struct node *x = node_of(n);
	size_t i;

	(void)g;
	if (x->bad && x->kind != DIR_KIND)
		return -EBADMSG;
	*out = (struct guest_attr){
		.node = n,
		.mode = modes[x->kind],
		.owned = true,
		.size = strlen(x->text),
	};
	for (i = 0; i < model.nsource; i++)
		out->nlink += model.nodes[i].file == n;
	return 0;
}

int guest_lookup(struct guest *g, uint64_t dir, const char *name, uint64_t *out)
{
	const struct node *x = node_find(node_of(dir), name);

	(void)g;
	if (!x)
		return -ENOENT;
	*out = x->file;
	return 0;
}

int guest_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		  guest_dir_fn *fn, void *arg)
{
	static const unsigned int types[] = {
		[FILE_KIND] = DT_REG,
		[DIR_KIND] = DT_DIR,
		[LINK_KIND] = DT_LNK,
	};
	const struct node *x = node_of(dir), *c;
	uint64_t i = 0;
	int r = 0;

	(void)g;
	if (x->kind != DIR_KIND)
		return -ENOTDIR;
	for (c = x->child; c && r == 0; c = c->next) {
		if (x->bad && i == 1)
			return -EBADMSG;
		if (++i > cookie)
			r = fn(arg, c->name, strlen(c->name), c->file,
			       types[c->kind], i);
	}
	return r < 0 ? r : x->bad && r == 0 ? -EBADMSG : 0;
}

int guest_readlink(struct guest *g, uint64_t n, struct buf *out)
{
	const struct node *x = node_of(n);

	(void)g;
	buf_put(out, x->text, strlen(x->text));
	return buf_error(out);
}

int guest_read(struct guest *g, uint64_t n, uint64_t off, void *out, size_t len,
	       size_t *out_len)
{
	const struct node *x = node_of(n);
	size_t size = strlen(x->text);

	(void)g;
	*out_len = off < size ? MIN(size - (size_t)off, len) : 0;
	memcpy(out, x->text + MIN((size_t)off, size), *out_len);
	return 0;
}

int guest_seek(struct guest *g, uint64_t n, uint64_t off, bool hole,
	       uint64_t *out)
{
	size_t size = strlen(node_of(n)->text);

	(void)g;
	if (off >= size)
		return -ENXIO;
	*out = hole ? size : off;
	return 0;
}

int guest_xattrs(struct guest *g, uint64_t n, struct buf *out)
{
	(void)g;
	(void)n;
	(void)out;
	return 0;
}

int guest_xattr_unlisted(struct guest *g, uint64_t n, const char *name,
			 struct buf *out)
{
	(void)g;
	(void)n;
	(void)name;
	(void)out;
	return -ENODATA;
}
