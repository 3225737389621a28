/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The namespace: which part of it a node is in, and what the parts share.
 * view_made.c holds what the view makes (with view_made_dir.c, view_saved.c and
 * view_volumes.c), view_files.c and view_files_read.c the entries of trees,
 * view_inside.c what is in volumes.
 */
#include "config.h"

#include "fs/view.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/ahead.h"
#include "fs/bare.h"
#include "fs/leaves.h"
#include "fs/parents.h"
#include "fs/view_internal.h"
#include "fs/volumes.h"
#include "store/base/hex.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/crypt/sign.h"
#include "store/point.h"
#include "store/vault.h"

int view_new(struct vault *v, struct view **out)
{
	struct view *w;
	int r;

	*out = NULL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	w->vault = v;
	w->sipkey = keyring_sipkey(vault_keyring(v));
	w->uid = getuid();
	w->gid = getgid();
	w->started_ns = vault_seam(v)->ops->monotonic_ns(vault_seam(v));
	w->roster = roster_new();
	w->leaves = leaves_new();
	w->parents = parents_new();
	w->aheads = aheads_new();
	w->bare = bare_new();
	if (w->roster)
		w->volumes = volumes_new(v, w->roster);
	r = w->volumes && w->leaves && w->parents && w->aheads && w->bare
		    ? view_refresh(w)
		    : -ENOMEM;
	if (r < 0)
		goto err;
	*out = w;
	return 0;
err:
	view_free(w);
	return r;
}

void view_free(struct view *w)
{
	if (!w)
		return;
	volumes_free(w->volumes);
	roster_free(w->roster);
	leaves_free(w->leaves);
	parents_free(w->parents);
	aheads_free(w->aheads);
	bare_free(w->bare);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

int view_set_luks_keys(struct view *w, struct secret *const *keys, size_t n)
{
	return volumes_set_keys(w->volumes, keys, n);
}

struct vault *view_vault(struct view *w)
{
	return w->vault;
}

struct point_list *view_points(struct view *w)
{
	return roster_list(w->roster);
}

bool view_has_acl(struct view *w)
{
	struct point_list *l = roster_list(w->roster);
	bool any = false;
	size_t i;

	for (i = 0; i < l->n && !any; i++)
		any = l->points[i]->has_acl;
	point_list_put(l);
	return any;
}

/* ---- new points ---- */

/* Begin a listing, unless another thread is at it, or it was done less than
 * @min_ns ago. */
static bool begin_refresh(struct view *w, int64_t min_ns)
{
	struct seam *seam = vault_seam(w->vault);
	int64_t now = seam->ops->monotonic_ns(seam);

	SCOPED_LOCK(&w->lock);
	if (w->refreshing || (min_ns > 0 && now - w->refreshed_ns < min_ns))
		return false;
	w->refreshing = true;
	return true;
}

static void end_refresh(struct view *w)
{
	struct seam *seam = vault_seam(w->vault);
	int64_t now = seam->ops->monotonic_ns(seam);

	SCOPED_LOCK(&w->lock);
	w->refreshing = false;
	w->refreshed_ns = now;
}

int view_refresh(struct view *w)
{
	return view_refresh_after(w, 0);
}

int view_refresh_after(struct view *w, int64_t min_ns)
{
	struct seam *seam = vault_seam(w->vault);
	struct point_list *list;
	int r;

	if (!begin_refresh(w, min_ns))
		return 0;
	r = vault_points(w->vault, &list);
	if (r == 0)
		r = roster_update(w->roster, list,
				  seam->ops->realtime_ns(seam));
	end_refresh(w);
	return r;
}

/* ---- nodes that the view makes ---- */

bool view_in_volume(uint64_t node)
{
	return node_is_guest(node);
}

bool view_is_fixed(uint64_t dir)
{
	enum node_kind_made kind = node_kind(dir);

	return node_is_entry(dir) || node_is_guest(dir) || kind == MADE_ROOT ||
	       kind == MADE_POINT || kind == MADE_HIDDEN ||
	       kind == MADE_DISKS || kind == MADE_CONFIGS ||
	       kind == MADE_VOLUMES;
}

bool view_is_settled(struct view *w, uint64_t dir)
{
	int64_t changed_ns;

	if (!view_is_fixed(dir))
		return false;
	if (node_is_guest(dir))
		return volumes_is_sure(w->volumes, node_volume(dir));
	return node_is_entry(dir) || node_kind(dir) != MADE_VOLUMES ||
	       volumes_settled(w->volumes, (uint32_t)node_b(dir), &changed_ns);
}

static int read_text(struct view *w, uint64_t node, uint64_t off, void *out,
		     size_t len, size_t *out_len)
{
	AUTO_BUF struct buf text = BUF_INIT;
	int r = made_text(w, node, &text);

	if (r < 0)
		return r;
	*out_len = off < text.len ? MIN(len, text.len - (size_t)off) : 0;
	if (*out_len > 0)
		memcpy(out, text.data + off, *out_len);
	return 0;
}

static int read_made(struct view *w, uint64_t node, uint64_t off, void *out,
		     size_t len, size_t *out_len)
{
	switch (node_kind(node)) {
	case MADE_DISK:
	case MADE_CONFIG:
		return saved_read(w, node, off, out, len, out_len);
	case MADE_VOLUME_RAW:
		return volume_raw_read(w, node, off, out, len, out_len);
	default:
		return read_text(w, node, off, out, len, out_len);
	}
}

static int seek_made(struct view *w, uint64_t node, uint64_t off, bool hole,
		     uint64_t *out)
{
	struct view_attr a;
	int r;

	switch (node_kind(node)) {
	case MADE_DISK:
	case MADE_CONFIG:
		return saved_seek(w, node, off, hole, out);
	case MADE_VOLUME_RAW:
		return volume_raw_seek(w, node, off, hole, out);
	default:
		break;
	}
	r = made_attr(w, node, &a);
	if (r < 0)
		return r;
	if (!S_ISREG(a.st.st_mode))
		return -EINVAL;
	if (off >= (uint64_t)a.st.st_size)
		return -ENXIO;
	*out = hole ? (uint64_t)a.st.st_size : off;
	return 0;
}

static int no_xattr(struct view *w, uint64_t node, const char *name,
		    struct buf *out)
{
	(void)w;
	(void)node;
	(void)name;
	(void)out;
	return -ENODATA;
}

static int no_xattrs(struct view *w, uint64_t node, struct buf *out)
{
	(void)w;
	(void)node;
	(void)out;
	return 0;
}

/* ---- the parts ---- */

/* What a part of the namespace can do: one function for each of view.h, with
 * the same contract. Damage is -EBADMSG or -EIO here; explain() adds whose. */
struct part {
	int (*find)(struct view *w, uint64_t parent, const char *name,
		    struct view_attr *out);
	int (*attr)(struct view *w, uint64_t node, struct view_attr *out);
	int (*parent)(struct view *w, uint64_t node, struct view_attr *out);
	int (*list)(struct view *w, uint64_t node, uint64_t cookie,
		    view_dir_fn *fn, void *arg);
	/* The same for less, with what view_readnames() gives. */
	int (*names)(struct view *w, uint64_t node, uint64_t cookie,
		     view_dir_fn *fn, void *arg);
	int (*link)(struct view *w, uint64_t node, struct buf *out);
	int (*read)(struct view *w, uint64_t node, uint64_t off, void *out,
		    size_t len, size_t *out_len);
	int (*seek)(struct view *w, uint64_t node, uint64_t off, bool hole,
		    uint64_t *out);
	int (*xattr)(struct view *w, uint64_t node, const char *name,
		     struct buf *out);
	int (*xattrs)(struct view *w, uint64_t node, struct buf *out);
	void (*describe)(struct view *w, uint64_t node, struct buf *out);
};

static const struct part made_part = {
	.find = made_find,
	.attr = made_attr,
	.parent = made_parent,
	.list = made_list,
	.names = made_list,
	.link = made_link,
	.read = read_made,
	.seek = seek_made,
	.xattr = no_xattr,
	.xattrs = no_xattrs,
	.describe = made_describe,
};

static const struct part files_part = {
	.find = files_find,
	.attr = files_attr,
	.parent = files_parent,
	.list = files_list,
	.names = files_list,
	.link = files_link,
	.read = files_read,
	.seek = files_hole,
	.xattr = files_xattr,
	.xattrs = files_xattrs,
	.describe = files_describe,
};

static const struct part inside_part = {
	.find = inside_find,
	.attr = inside_attr,
	.parent = inside_parent,
	.list = inside_list,
	.names = inside_names,
	.link = inside_link,
	.read = inside_read,
	.seek = inside_hole,
	.xattr = inside_xattr,
	.xattrs = inside_xattrs,
	.describe = inside_describe,
};

static const struct part *part_of(uint64_t node)
{
	if (node_is_entry(node))
		return &files_part;
	return node_is_guest(node) ? &inside_part : &made_part;
}

void view_describe(struct view *w, uint64_t node, struct buf *out)
{
	part_of(node)->describe(w, node, out);
}

/* Damage leaves the store as -EBADMSG, with its own words on what is damaged.
 * Here we know whose file it was. */
static int explain(struct view *w, uint64_t node, int r)
{
	AUTO_BUF struct buf place = BUF_INIT;

	if (r != -EBADMSG && r != -EIO)
		return r;
	view_describe(w, node, &place);
	buf_put_u8(&place, 0);
	return fail(-EIO, "%s: cannot be read",
		    buf_error(&place) < 0 ? "a file" : (char *)place.data);
}

int view_lookup(struct view *w, uint64_t parent, const char *name,
		struct view_attr *out)
{
	const struct part *part = part_of(parent);
	int r;

	if (strlen(name) > ENTRY_NAME_MAX)
		return -ENAMETOOLONG;
	r = part->find(w, parent, name, out);
	if (r == -ENOENT && !view_is_fixed(parent) &&
	    view_refresh_after(w, VIEW_REFRESH_MIN_NS) == 1)
		r = part->find(w, parent, name, out);
	return explain(w, parent, r);
}

int view_getattr(struct view *w, uint64_t node, struct view_attr *out)
{
	return explain(w, node, part_of(node)->attr(w, node, out));
}

int view_parent(struct view *w, uint64_t node, struct view_attr *out)
{
	return explain(w, node, part_of(node)->parent(w, node, out));
}

int view_readlink(struct view *w, uint64_t node, struct buf *out)
{
	return explain(w, node, part_of(node)->link(w, node, out));
}

int view_readdir(struct view *w, uint64_t node, uint64_t cookie,
		 view_dir_fn *fn, void *arg)
{
	return explain(w, node, part_of(node)->list(w, node, cookie, fn, arg));
}

int view_readnames(struct view *w, uint64_t node, uint64_t cookie,
		   view_dir_fn *fn, void *arg)
{
	return explain(w, node, part_of(node)->names(w, node, cookie, fn, arg));
}

int view_read(struct view *w, uint64_t node, uint64_t off, void *out,
	      size_t len, size_t *out_len)
{
	return explain(w, node,
		       part_of(node)->read(w, node, off, out, len, out_len));
}

int view_seek(struct view *w, uint64_t node, uint64_t off, bool hole,
	      uint64_t *out)
{
	return explain(w, node, part_of(node)->seek(w, node, off, hole, out));
}

int view_listxattr(struct view *w, uint64_t node, struct buf *out)
{
	return explain(w, node, part_of(node)->xattrs(w, node, out));
}

/* Attributes that no entry has: by name only, so that copies stay clean. */
static int forgotten_xattr(struct view *w, uint64_t node, struct buf *out)
{
	struct point_list *list;
	const struct point *point;
	char until[POINT_TIME_LEN];
	struct roster_point p;
	int r = view_node_point(w, node, &p);

	if (r == 0)
		r = roster_hold(w->roster, p.serial, &list, &point);
	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	point_time_name(point->until_ns, until);
	r = point->nopen_forgets > 0 ? 0 : -ENODATA;
	point_list_put(list);
	if (r == 0)
		buf_put(out, until, strlen(until));
	return r == 0 ? buf_error(out) : r;
}

/* The word for the signature of the point that a node is in, or the key. */
static int signature_xattr(struct view *w, uint64_t node, bool wants_key,
			   struct buf *out)
{
	uint8_t key[SIGN_KEY_LEN];
	char hex[2 * SIGN_KEY_LEN + 1];
	struct point_list *list;
	const struct point *point;
	enum point_signature s;
	struct roster_point p;
	const char *text;
	int r = view_node_point(w, node, &p);

	if (r == 0)
		r = roster_hold(w->roster, p.serial, &list, &point);
	if (r < 0)
		return r == -ENOENT ? -ENODATA : r;
	s = vault_signature(w->vault, point, key);
	point_list_put(list);
	if (wants_key && s == POINT_UNSIGNED)
		return -ENODATA;
	if (wants_key)
		hex_encode(key, sizeof(key), hex);
	text = wants_key ? hex : point_signature_word(s);
	buf_put(out, text, strlen(text));
	return buf_error(out);
}

static int own_xattr(struct view *w, uint64_t node, const char *name,
		     struct buf *out)
{
	struct roster_point p;
	char machine[ROSTER_NAME_MAX];
	uint8_t id[16];
	int64_t changed;
	int r, i;

	if (strcmp(name, "user.vmbackupfs.forgotten") == 0)
		return forgotten_xattr(w, node, out);
	if (strcmp(name, "user.vmbackupfs.signature") == 0)
		return signature_xattr(w, node, false, out);
	if (strcmp(name, "user.vmbackupfs.signer") == 0)
		return signature_xattr(w, node, true, out);
	if (strncmp(name, "user.vmbackup.", 14) != 0)
		return -ENODATA;
	name += 14;
	if (strcmp(name, "content_id") == 0) {
		r = view_content_id(w, node, id);
		if (r < 0)
			return r == -EINVAL ? -ENODATA : r;
		for (i = 0; i < 16; i++)
			buf_printf(out, "%02x", id[i]);
		return buf_error(out);
	}
	if (strcmp(name, "point") != 0 && strcmp(name, "vm") != 0)
		return -ENODATA;
	r = view_node_point(w, node, &p);
	if (r == 0)
		r = roster_machine(w->roster, p.machine, machine, &changed);
	if (r < 0)
		return r;
	buf_put(out, machine, strlen(machine));
	if (*name == 'p')
		buf_printf(out, "/%s", p.name);
	return buf_error(out);
}

int view_extra(struct view *w, uint64_t node, struct entry_extra *out)
{
	memset(out, 0, sizeof(*out));
	return node_is_entry(node) ? explain(w, node, files_extra(w, node, out))
				   : 0;
}

int view_getxattr(struct view *w, uint64_t node, const char *name,
		  struct buf *out)
{
	int r = part_of(node)->xattr(w, node, name, out);

	return r == -ENODATA ? own_xattr(w, node, name, out)
			     : explain(w, node, r);
}
