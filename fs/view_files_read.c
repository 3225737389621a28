/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What entries hold: bytes, links, extended attributes, and what names them. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/view_internal.h"
#include "fs/volumes.h"
#include "store/base/log.h"
#include "store/chunk.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/vault.h"

int files_link(struct view *w, uint64_t node, struct buf *out)
{
	AUTO_SPOT struct spot s = { 0 };
	int r = spot_load(w, node, &s);

	if (r < 0)
		return r;
	if (!S_ISLNK(s.e.mode))
		return -EINVAL;
	buf_put(out, s.e.target, s.e.target_len);
	return buf_error(out);
}

static int load_file(struct view *w, uint64_t node, struct spot *s)
{
	int r = spot_load(w, node, s);

	if (r < 0)
		return r;
	if (S_ISDIR(s->e.mode))
		return -EISDIR;
	return S_ISREG(s->e.mode) ? 0 : -EINVAL;
}

int files_read(struct view *w, uint64_t node, uint64_t off, void *out,
	       size_t len, size_t *out_len)
{
	AUTO_SPOT struct spot s = { 0 };
	struct content_ref content;
	int r = load_file(w, node, &s);

	if (r < 0)
		return r;
	if (off >= s.e.size)
		len = 0;
	else
		len = (size_t)MIN((uint64_t)len, s.e.size - off);
	content = entry_content(&s.e);
	if (len > 0)
		r = content_read(w->vault, &content, off, out, len);
	if (r == 0)
		*out_len = len;
	return r;
}

int files_hole(struct view *w, uint64_t node, uint64_t off, bool hole,
	       uint64_t *out)
{
	AUTO_SPOT struct spot s = { 0 };
	struct content_ref content;
	int r = load_file(w, node, &s);

	if (r < 0)
		return r;
	if (off >= s.e.size)
		return -ENXIO;
	content = entry_content(&s.e);
	return content_seek(w->vault, &content, off, hole, out);
}

/* ---- extended attributes ---- */

/* The list of an entry, in the entry or in a chunk (then in @store). */
static int load_xattrs(struct view *w, const struct entry *e, struct buf *store,
		       struct reader *r_out, uint64_t *n_out)
{
	const uint8_t *list = e->xattrs;
	int r;

	*n_out = 0;
	if (!(e->flags & (ENTRY_XATTRS | ENTRY_XATTRS_CHUNK)))
		return 0;
	if (e->flags & ENTRY_XATTRS_CHUNK) {
		if (e->xattrs_len > ENTRY_XATTRS_MAX)
			return -EBADMSG;
		if (buf_reserve(store, e->xattrs_len) < 0)
			return -ENOMEM;
		r = chunk_read(w->vault, CHUNK_XATTRS, &e->xattrs_id,
			       e->xattrs_len, 0, e->xattrs_len, store->data);
		if (r < 0)
			return r;
		list = store->data;
		r = xattrs_check(list, e->xattrs_len);
		if (r < 0)
			return fail(r, "a list of extended attributes is "
				       "malformed");
	}
	*n_out = xattrs_begin(r_out, list, e->xattrs_len);
	return 0;
}

int list_xattr(struct reader *list, uint64_t n, const char *name,
	       struct buf *out)
{
	size_t len = strlen(name);
	struct xattr x;

	while (n-- > 0 && xattrs_next(list, &x))
		if (x.name_len == len && memcmp(x.name, name, len) == 0) {
			buf_put(out, x.value, x.value_len);
			return buf_error(out);
		}
	return -ENODATA;
}

int list_xattrs(struct reader *list, uint64_t n, struct buf *out)
{
	struct xattr x;

	while (n-- > 0 && xattrs_next(list, &x)) {
		buf_put(out, x.name, x.name_len);
		buf_put_u8(out, 0);
	}
	return buf_error(out);
}

/* What is no attribute of the source, but known of it. By name only, so that
 * copies stay clean. */
static int extra_xattr(const struct entry *e, const char *name, struct buf *out)
{
	static const char prefix[] = "user.vmbackupfs.";
	size_t len = sizeof(prefix) - 1, before = out->len;
	struct entry_extra x;

	if (strncmp(name, prefix, len) != 0)
		return -ENODATA;
	name += len;
	entry_extra_get(e, &x);
	if (strcmp(name, "btime") == 0 && x.has_birth)
		attr_put_time(out, &x.birth);
	else if (strcmp(name, "flags") == 0)
		attr_put_flags(out, x.inode_flags);
	else if (strcmp(name, "project") == 0 && x.project)
		buf_printf(out, "%u", x.project);
	if (buf_error(out) < 0)
		return -ENOMEM;
	return out->len > before ? 0 : -ENODATA;
}

int files_extra(struct view *w, uint64_t node, struct entry_extra *out)
{
	AUTO_SPOT struct spot s = { 0 };
	int r = spot_load(w, node, &s);

	if (r == 0)
		entry_extra_get(&s.e, out);
	return r;
}

int files_xattr(struct view *w, uint64_t node, const char *name,
		struct buf *out)
{
	AUTO_SPOT struct spot s = { 0 };
	AUTO_BUF struct buf store = BUF_INIT;
	struct reader list;
	uint64_t n;
	int r = spot_load(w, node, &s);

	if (r == 0)
		r = load_xattrs(w, &s.e, &store, &list, &n);
	if (r == 0)
		r = list_xattr(&list, n, name, out);
	return r == -ENODATA ? extra_xattr(&s.e, name, out) : r;
}

int files_xattrs(struct view *w, uint64_t node, struct buf *out)
{
	AUTO_SPOT struct spot s = { 0 };
	AUTO_BUF struct buf store = BUF_INIT;
	struct reader list;
	uint64_t n;
	int r = spot_load(w, node, &s);

	if (r == 0)
		r = load_xattrs(w, &s.e, &store, &list, &n);
	return r < 0 ? r : list_xattrs(&list, n, out);
}

/* ---- identity ---- */

#define CONTENT_ID_FILE 0xf0 /* not a chunk type: no chunk has such an id */
#define CONTENT_ID_LINK 0xf1

static int saved_id(struct view *w, uint64_t node, uint8_t out[16])
{
	AUTO_BUF struct buf content = BUF_INIT;
	struct id id;
	int r;

	if (node_is_guest(node) ||
	    (node_kind(node) != MADE_DISK && node_kind(node) != MADE_CONFIG))
		return -EINVAL;
	r = saved_content(w, node, &content);
	if (r == 0)
		r = keyring_id(vault_keyring(w->vault), CONTENT_ID_FILE,
			       content.data, content.len, &id);
	if (r == 0)
		memcpy(out, id.b, 16);
	return r;
}

int view_content_id(struct view *w, uint64_t node, uint8_t out[16])
{
	AUTO_SPOT struct spot s = { 0 };
	const struct keyring *k = vault_keyring(w->vault);
	struct id id;
	int r;

	if (!node_is_entry(node))
		return saved_id(w, node, out);
	r = spot_load(w, node, &s);
	if (r < 0)
		return r == -EBADMSG ? -EIO : r;
	if (S_ISREG(s.e.mode))
		r = keyring_id(k, CONTENT_ID_FILE, s.e.content, s.e.content_len,
			       &id);
	else if (S_ISLNK(s.e.mode))
		r = keyring_id(k, CONTENT_ID_LINK, s.e.target, s.e.target_len,
			       &id);
	else
		r = -EINVAL;
	if (r == 0)
		memcpy(out, id.b, 16);
	return r;
}

static uint32_t volume_point(struct view *w, uint32_t volume)
{
	const char *name;
	uint32_t point;

	return volumes_volume(w->volumes, volume, &point, &name) < 0 ? 0
								     : point;
}

static uint32_t made_point(struct view *w, uint64_t node)
{
	switch (node_kind(node)) {
	case MADE_POINT:
	case MADE_POINT_JSON:
	case MADE_DISKS:
	case MADE_DISK:
	case MADE_CONFIGS:
	case MADE_CONFIG:
	case MADE_VOLUMES:
		return (uint32_t)node_b(node);
	case MADE_VOLUME_RAW:
	case MADE_VOLUME_WHY:
		return volume_point(w, (uint32_t)node_b(node));
	default:
		return 0;
	}
}

int view_node_point(struct view *w, uint64_t node, struct roster_point *out)
{
	uint32_t serial = 0;

	if (node_is_entry(node))
		serial = node_point(node);
	else if (node_is_guest(node))
		serial = volume_point(w, node_volume(node));
	else
		serial = made_point(w, node);
	return serial ? roster_get_point(w->roster, serial, out) : -ENODATA;
}
