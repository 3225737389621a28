/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Entries come in the order of their places, so that those that stay can be given to
 * a builder as they come. Where a leaf is lost, entries of directories are lost with
 * it whose own entries lie elsewhere: so that these can be reached, a directory is
 * made up for each. The entry of a directory stands before all that is below it, so
 * the first run finds which are missing, and the second one puts them in.
 */
#include "config.h"

#include "store/repair/remake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/content.h"
#include "store/entry.h"
#include "store/format.h"
#include "store/point.h"
#include "store/repair/internal.h"
#include "store/tree.h"
#include "store/vault.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"

/* ---- chunks ---- */

/* The chunks of one file, disk or list of attributes. */
struct chunks {
	struct remake *m;
	bool lost;
};

static int note_node(struct remake *m, const struct id *id)
{
	if (m->writer || !m->clean)
		return 0;
	if (array_reserve(&m->nodes, &m->nodes_cap, m->nnodes + 1) < 0)
		return -ENOMEM;
	m->nodes[m->nnodes++] = *id;
	return 0;
}

/* Return 1 to leave out what is below a map's node. */
static int on_chunk(void *arg, uint8_t type, const struct id *id, uint64_t len)
{
	struct chunks *c = arg;
	int r = 0;

	if (c->m->relies)
		return 0;
	if (type == CHUNK_EXTENTS && c->m->clean && !c->m->writer) {
		if (idset_has(c->m->clean, id))
			return 1;
		r = note_node(c->m, id);
	}
	if (r == 0)
		r = survey_chunk(c->m->survey, c->m->writer, type, id, len);
	if (r < 0)
		return r;
	c->lost |= r == 0;
	/* What it names cannot be known, nor what it says used. */
	return r == 0 ? -ENODATA : 0;
}

/* Return 1, 0 (some of it is lost) or a negative errno. */
static int has_content(struct remake *m, struct content_ref ref)
{
	struct chunks c = { .m = m };
	bool before = log_hush(true);
	int r = m->relies
			? 0
			: content_chunks(m->survey->vault, &ref, on_chunk, &c);

	(void)log_hush(before);
	if (c.lost || backend_error_is_of_object(r))
		return 0;
	return r < 0 ? r : 1;
}

static int has_xattrs(struct remake *m, const struct entry *e)
{
	if (!(e->flags & ENTRY_XATTRS_CHUNK) || m->relies)
		return 1;
	return survey_chunk(m->survey, m->writer, CHUNK_XATTRS, &e->xattrs_id,
			    e->xattrs_len);
}

/* ---- directories ---- */

static int hash_dir(const uint8_t *key, size_t len, struct id *out)
{
	int r = crypt_sha256(key, len, out->b);

	out->b[0] |= 1; /* no member is all zeros */
	return r;
}

/* The directory with key @parent and @name is there. */
static int note_dir(struct remake *m, const uint8_t *parent, size_t parent_len,
		    const uint8_t *name, size_t name_len)
{
	AUTO_BUF struct buf key = BUF_INIT;
	struct id hash;
	int r;

	buf_put(&key, parent, parent_len);
	if (name_len)
		tree_key_push(&key, name, name_len);
	r = buf_error(&key);
	if (r == 0)
		r = hash_dir(key.data, key.len, &hash);
	return r < 0 ? r : MIN(idset_add(&m->dirs, &hash), 0);
}

static int add_lost_dir(struct remake *m, const struct buf *key,
			const uint8_t *name, size_t name_len)
{
	struct lost_dir *d;

	if (array_reserve(&m->lost_dirs, &m->lost_dirs_cap, m->nlost_dirs + 1) <
	    0)
		return -ENOMEM;
	d = &m->lost_dirs[m->nlost_dirs];
	d->key = malloc(key->len + name_len + 1);
	if (!d->key)
		return -ENOMEM;
	if (key->len)
		memcpy(d->key, key->data, key->len);
	if (name_len)
		memcpy(d->key + key->len, name, name_len);
	d->key_len = key->len;
	d->name_len = name_len;
	m->nlost_dirs++;
	return 0;
}

/* Cut the last component off @key, and put it into @name as it was. */
static void pop_name(struct buf *key, struct buf *name)
{
	size_t i = key->len;

	tree_key_pop(key);
	buf_clear(name);
	for (size_t k = key->len; k + 1 < i; k++) {
		uint8_t c = key->data[k];

		if (c == 2 && k + 2 < i)
			c = key->data[++k] - 1;
		buf_put_u8(name, c);
	}
}

/* Note each directory on the way to the one of that key that is not there. */
static int find_lost_dirs(struct remake *m, const uint8_t *dir, size_t len)
{
	AUTO_BUF struct buf key = BUF_INIT;
	AUTO_BUF struct buf name = BUF_INIT;
	bool top = false;
	int r = 0;

	buf_put(&key, dir, len);
	while (r == 0 && !top) {
		struct id hash;

		r = buf_error(&key);
		if (r == 0)
			r = hash_dir(key.data, key.len, &hash);
		if (r == 0)
			r = idset_add(&m->dirs, &hash);
		if (r <= 0)
			return r; /* it is there, and so are those above */
		top = key.len == 0;
		pop_name(&key, &name);
		r = buf_error(&name);
		if (r == 0)
			r = add_lost_dir(m, &key, name.data, name.len);
	}
	return r;
}

static int by_place(const void *a, const void *b)
{
	const struct lost_dir *x = a, *y = b;

	return tree_compare(x->key, x->key_len, x->key + x->key_len,
			    x->name_len, y->key, y->key_len,
			    y->key + y->key_len, y->name_len);
}

static int put_entry(struct remake *m, const uint8_t *key, size_t len,
		     const struct entry *e)
{
	m->entries++;
	if (S_ISREG(e->mode)) {
		m->files++;
		m->bytes += e->size;
	}
	return m->writer ? tree_builder_add(m->builder, key, len, e) : 0;
}

/* Nobody knows whose it was: it is root's, and nobody else's business. */
static int put_lost_dir(struct remake *m, const struct lost_dir *d)
{
	struct entry e = { .name = d->key + d->key_len,
			   .name_len = (uint32_t)d->name_len,
			   .flags = ENTRY_PARTIAL,
			   .mode = S_IFDIR | 0700,
			   .nlink = 1,
			   .mtime.sec = m->point->time_ns / 1000000000,
			   .ctime.sec = m->point->time_ns / 1000000000 };

	return put_entry(m, d->key, d->key_len, &e);
}

/* Put in those that stand before that place, or all with @key NULL. */
static int put_lost_dirs(struct remake *m, const uint8_t *key, size_t len,
			 const struct entry *e)
{
	int r = 0;

	while (r == 0 && m->writer && m->next_dir < m->nlost_dirs) {
		const struct lost_dir *d = &m->lost_dirs[m->next_dir];

		if (e && tree_compare(d->key, d->key_len, d->key + d->key_len,
				      d->name_len, key, len, e->name,
				      e->name_len) > 0)
			break;
		m->next_dir++;
		r = put_lost_dir(m, d);
	}
	return r;
}

/* ---- entries ---- */

static int path_of(const uint8_t *key, size_t len, const struct entry *e,
		   struct buf *out)
{
	tree_key_path(out, key, len);
	if (len > 0 && e->name_len)
		buf_put_u8(out, '/');
	buf_put(out, e->name, e->name_len);
	buf_put_u8(out, 0);
	return buf_error(out);
}

static int say_left_out(struct remake *m, const char *folder, const char *path)
{
	AUTO_BUF struct buf text = BUF_INIT;

	if (!m->left_out || m->writer)
		return 0;
	buf_printf(&text, "%s%s", folder, path);
	buf_put_u8(&text, 0);
	if (buf_error(&text) < 0)
		return -ENOMEM;
	m->left_out(m->left_out_arg, (const char *)text.data);
	return 0;
}

/* Is a directory on the way to that key left out, or it itself? */
static int is_excluded_dir(struct remake *m, const uint8_t *key, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		AUTO_BUF struct buf path = BUF_INIT;

		if (key[i] == 2) {
			i++;
			continue;
		}
		if (key[i] != 1)
			continue;
		tree_key_path(&path, key, i + 1);
		if (buf_error(&path) < 0)
			return -ENOMEM;
		if (m->excludes(m->excludes_arg, (const char *)path.data, true))
			return 1;
	}
	return 0;
}

static int enter_dir(struct remake *m, const uint8_t *key, size_t len)
{
	int r = 0;

	if (m->has_dir && m->dir.len == len &&
	    (len == 0 || memcmp(m->dir.data, key, len) == 0))
		return 0;
	m->has_dir = true;
	m->dir_asked = false;
	buf_clear(&m->dir);
	buf_put(&m->dir, key, len);
	r = buf_error(&m->dir);
	if (r == 0 && m->excludes) {
		r = is_excluded_dir(m, key, len);
		m->dir_excluded = r > 0;
		r = MIN(r, 0);
	}
	return r;
}

static int is_excluded(struct remake *m, const uint8_t *key, size_t len,
		       const struct entry *e)
{
	AUTO_BUF struct buf path = BUF_INIT;

	if (!m->excludes || e->name_len == 0)
		return 0;
	if (m->dir_excluded)
		return 1;
	if (path_of(key, len, e, &path) < 0)
		return -ENOMEM;
	return m->excludes(m->excludes_arg, (const char *)path.data,
			   S_ISDIR(e->mode));
}

static int count_lost(struct remake *m, const uint8_t *key, size_t len,
		      const struct entry *e)
{
	AUTO_BUF struct buf path = BUF_INIT;

	m->lost++;
	if (path_of(key, len, e, &path) < 0)
		return -ENOMEM;
	return say_left_out(m, "files", (const char *)path.data);
}

static int leave_out(struct remake *m, const uint8_t *key, size_t len,
		     const struct entry *e)
{
	AUTO_BUF struct buf path = BUF_INIT;

	m->excluded++;
	if (S_ISREG(e->mode))
		m->excluded_bytes += e->size;
	if (path_of(key, len, e, &path) < 0)
		return -ENOMEM;
	return say_left_out(m, "files", (const char *)path.data);
}

/* One that is to be there, as far as it can be had. */
static int keep_entry(struct remake *m, const uint8_t *key, size_t len,
		      struct entry *e)
{
	int r = has_xattrs(m, e);

	if (r == 0) {
		e->flags &= (uint8_t) ~(ENTRY_XATTRS_CHUNK | ENTRY_ACL);
		e->flags |= ENTRY_PARTIAL;
		r = count_lost(m, key, len, e);
		r = r == 0 ? 1 : r;
	}
	if (r == 1 && S_ISREG(e->mode)) {
		r = has_content(m, entry_content(e));
		if (r == 0)
			return count_lost(m, key, len, e);
	}
	if (r < 0)
		return r;
	/* The top stands in itself. */
	if (e->name_len && !m->dir_asked)
		r = find_lost_dirs(m, key, len);
	else
		r = 0;
	m->dir_asked = e->name_len > 0;
	if (r == 0 && S_ISDIR(e->mode))
		r = note_dir(m, key, len, e->name, e->name_len);
	if (r == 0)
		r = put_lost_dirs(m, key, len, e);
	return r == 0 ? put_entry(m, key, len, e) : r;
}

static int take_entry(struct remake *m, const struct leaf *leaf, size_t slot)
{
	const uint8_t *key;
	struct entry e;
	size_t len;
	int r;

	leaf_entry(leaf, slot, &e);
	key = leaf_dirkey(leaf, slot, &len);
	r = enter_dir(m, key, len);
	if (r == 0)
		r = is_excluded(m, key, len, &e);
	if (r == 1)
		return leave_out(m, key, len, &e);
	return r < 0 ? r : keep_entry(m, key, len, &e);
}

static int on_node(void *arg, const struct id *id, struct leaf *leaf, int error)
{
	struct remake *m = arg;
	size_t i;
	int r = task_stopped(m->survey->task) ? -EINTR : 0;

	if (error < 0 && !backend_error_is_of_object(error))
		return error;
	if (error < 0) {
		m->lost_nodes++;
		return 0;
	}
	if (r == 0 && m->clean && !m->writer) {
		if (idset_has(m->clean, id))
			return 1;
		r = note_node(m, id);
	}
	for (i = 0; leaf && r == 0 && i < leaf_count(leaf); i++)
		r = take_entry(m, leaf, i);
	return r;
}

static int take_tree(struct remake *m)
{
	bool before = log_hush(true);
	int r;

	if (m->writer) {
		m->builder = tree_builder_new(m->writer);
		if (!m->builder) {
			(void)log_hush(before);
			return -ENOMEM;
		}
	}
	r = tree_nodes(m->survey->vault, &m->point->root, on_node, m);
	if (r == 0)
		r = put_lost_dirs(m, NULL, 0, NULL);
	(void)log_hush(before);
	if (r == 0 && m->writer)
		r = tree_builder_finish(m->builder, &m->root, &m->entries);
	/* It may not outlive the session. */
	tree_builder_free(m->builder);
	m->builder = NULL;
	return r;
}

/* ---- disks and config files ---- */

static int take_member(struct remake *m, struct content_ref ref, bool *drops,
		       const char *folder, const char *name)
{
	int r = has_content(m, ref);

	*drops = r == 0;
	if (r != 0)
		return MIN(r, 0);
	m->lost++;
	return say_left_out(m, folder, name);
}

static int take_members(struct remake *m)
{
	const struct point *p = m->point;
	size_t i;
	int r = 0;

	if (!m->drops_disk)
		m->drops_disk = calloc(p->ndisks + 1, 1);
	if (!m->drops_config)
		m->drops_config = calloc(p->nconfigs + 1, 1);
	if (!m->drops_disk || !m->drops_config)
		return -ENOMEM;
	for (i = 0; i < p->ndisks && r == 0; i++)
		r = take_member(m, point_disk_content(&p->disks[i]),
				&m->drops_disk[i], "disks/", p->disks[i].name);
	for (i = 0; i < p->nconfigs && r == 0; i++)
		r = take_member(m, point_config_content(&p->configs[i]),
				&m->drops_config[i], "config/",
				p->configs[i].name);
	return r;
}

int remake_run(struct remake *m)
{
	uint64_t lost_nodes = m->lost_nodes;
	int r = 0;

	m->entries = m->files = m->bytes = 0;
	m->lost = m->lost_nodes = 0;
	m->excluded = m->excluded_bytes = 0;
	m->has_dir = m->dir_excluded = false;
	m->next_dir = m->nnodes = 0;
	if (m->nlost_dirs)
		qsort(m->lost_dirs, m->nlost_dirs, sizeof(*m->lost_dirs),
		      by_place);
	if (m->point->has_tree)
		r = take_tree(m);
	if (r == 0)
		r = take_members(m);
	/* Directories would be missing. */
	if (r == 0 && m->writer && m->lost_nodes != lost_nodes)
		r = fail(-EIO,
			 "point %s: what could be read a moment ago cannot be "
			 "read now: run it again",
			 m->point->id);
	return r;
}

void remake_release(struct remake *m)
{
	while (m->nlost_dirs > 0)
		free(m->lost_dirs[--m->nlost_dirs].key);
	free(m->lost_dirs);
	free(m->nodes);
	free(m->drops_disk);
	free(m->drops_config);
	buf_release(&m->dir);
	idset_release(&m->dirs);
}
