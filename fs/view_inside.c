/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is in a volume: from node number to the guest filesystem's inode.
 * view_inside_list.c lists its directories.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "fs/attr.h"
#include "fs/bare.h"
#include "fs/guest/guest.h"
#include "fs/ino.h"
#include "fs/inside_internal.h"
#include "fs/parents.h"
#include "fs/view_internal.h"
#include "fs/volumes.h"
#include "store/base/log.h"

#define STATE_NAME "user.vmbackupfs.state"
#define NOTE_NAME "user.vmbackupfs.note"

void inside_leave(struct inside *p)
{
	volumes_leave(&p->lent);
}

static int enter_volume(struct inside *p, struct view *w, uint32_t volume)
{
	uint32_t point;
	int r;

	memset(p, 0, sizeof(*p));
	p->w = w;
	p->volume = volume;
	r = volumes_volume(w->volumes, volume, &point, &p->name);
	if (r == 0)
		r = roster_get_point(w->roster, point, &p->point);
	return r < 0 ? r : volumes_enter(w->volumes, volume, &p->lent);
}

int inside_enter(struct inside *p, struct view *w, uint64_t node)
{
	int r = enter_volume(p, w, node_volume(node));

	return r == -ENODATA ? -ESTALE : r;
}

int inside_error(int r)
{
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
	case -EISDIR:
	case -EINVAL:
	case -ENAMETOOLONG:
	case -ENODATA:
	case -ENXIO:
	case -ENOMEM:
	case -ESTALE:
	case -ECANCELED:
		return r;
	default:
		return r < 0 ? -EIO : r;
	}
}

/* ---- attributes ---- */

static bool is_type(mode_t mode)
{
	return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) ||
	       S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode) ||
	       S_ISSOCK(mode);
}

static struct timespec time_of(struct timestamp t)
{
	return (struct timespec){ .tv_sec = t.sec,
				  .tv_nsec = MIN(t.nsec, 999999999u) };
}

uint64_t inside_ino(const struct inside *p, uint64_t guest_node)
{
	return ino_guest(p->w->sipkey, p->point.id, p->name, guest_node);
}

/*
 * Files of a filesystem without owners and permissions (NTFS, FAT, ISO 9660
 * without Rock Ridge) are for whoever may read its disk, and nobody else: what
 * such a machine keeps from its users is not to be had by ours.
 */
static void keep_private(const struct view *w, struct stat *st)
{
	st->st_uid = w->uid;
	st->st_gid = w->gid;
	if (!S_ISLNK(st->st_mode))
		st->st_mode &= ~(mode_t)077;
}

static int fill_attr(const struct inside *p, uint64_t guest_node,
		     struct view_attr *out)
{
	struct stat *st = &out->st;
	struct guest_attr a = { .node = guest_node };
	int r = guest_getattr(p->lent.guest, guest_node, &a);

	memset(out, 0, sizeof(*out));
	if (r < 0)
		return inside_error(r);
	if (!is_type(a.mode) || a.size > GUEST_SIZE_MAX)
		return fail(-EIO,
			    "%s: inode %llu has no type or size that "
			    "can be",
			    p->name, (unsigned long long)guest_node);
	out->node = node_guest(p->volume, guest_node);
	out->immutable = p->lent.sure;
	if (a.bare && p->lent.sure)
		bare_note(p->w->bare, out->node);
	st->st_ino = inside_ino(p, guest_node);
	st->st_mode = a.mode;
	st->st_nlink = (nlink_t)a.nlink;
	st->st_uid = a.uid;
	st->st_gid = a.gid;
	out->stored = a.owned;
	if (!a.owned)
		keep_private(p->w, st);
	st->st_size = (off_t)a.size;
	st->st_blocks = (blkcnt_t)attr_sectors(a.allocated);
	st->st_blksize = 4096;
	if (S_ISREG(a.mode))
		st->st_blksize = ATTR_FILE_BLOCK;
	else if (S_ISDIR(a.mode))
		st->st_blksize = (blksize_t)attr_dir_block(a.size);
	else if (S_ISCHR(a.mode) || S_ISBLK(a.mode))
		st->st_rdev = makedev(a.rdev_major, a.rdev_minor);
	st->st_mtim = time_of(a.mtime);
	st->st_ctim = time_of(a.ctime);
	st->st_atim = time_of(a.atime);
	return 0;
}

int inside_attr(struct view *w, uint64_t node, struct view_attr *out)
{
	AUTO_INSIDE struct inside p;
	int r = inside_enter(&p, w, node);

	return r < 0 ? r : fill_attr(&p, node_in_guest(node), out);
}

int inside_named(const struct inside *p, uint64_t guest_node, const char *name,
		 struct view_attr *out)
{
	int r = fill_attr(p, guest_node, out);

	if (r == -ENOENT)
		return fail(-EIO,
			    "%s: \"%s\" leads to inode %llu, which does "
			    "not exist",
			    p->name, name, (unsigned long long)guest_node);
	return r;
}

int inside_top(struct view *w, uint32_t volume, struct view_attr *out)
{
	AUTO_INSIDE struct inside p;
	int r = enter_volume(&p, w, volume);

	return r < 0 ? r : inside_named(&p, p.lent.guest->root, "/", out);
}

int inside_find(struct view *w, uint64_t parent, const char *name,
		struct view_attr *out)
{
	AUTO_INSIDE struct inside p;
	uint64_t child;
	int r = inside_enter(&p, w, parent);

	if (r < 0)
		return r;
	if (!entry_name_ok(name, strlen(name)))
		return -ENOENT;
	r = guest_lookup(p.lent.guest, node_in_guest(parent), name, &child);
	if (r < 0)
		return inside_error(r);
	r = inside_named(&p, child, name, out);
	if (r == 0 && S_ISDIR(out->st.st_mode))
		parents_note(w->parents, out->node, parent);
	return r;
}

int inside_parent(struct view *w, uint64_t node, struct view_attr *out)
{
	AUTO_INSIDE struct inside p;
	uint64_t parent;
	int r = inside_enter(&p, w, node);

	if (r < 0)
		return r;
	if (node_in_guest(node) == p.lent.guest->root)
		return made_attr(w, node_made(MADE_VOLUMES, 0, p.point.serial),
				 out);
	r = parents_find(w->parents, node, &parent);
	return r < 0 ? r : fill_attr(&p, node_in_guest(parent), out);
}

/* ---- what inodes hold ---- */

int inside_link(struct view *w, uint64_t node, struct buf *out)
{
	AUTO_INSIDE struct inside p;
	int r = inside_enter(&p, w, node);

	if (r < 0)
		return r;
	return inside_error(
		guest_readlink(p.lent.guest, node_in_guest(node), out));
}

int inside_read(struct view *w, uint64_t node, uint64_t off, void *out,
		size_t len, size_t *out_len)
{
	AUTO_INSIDE struct inside p;
	int r = inside_enter(&p, w, node);

	if (r < 0)
		return r;
	return inside_error(guest_read(p.lent.guest, node_in_guest(node), off,
				       out, len, out_len));
}

int inside_hole(struct view *w, uint64_t node, uint64_t off, bool hole,
		uint64_t *out)
{
	AUTO_INSIDE struct inside p;
	int r = inside_enter(&p, w, node);

	if (r < 0)
		return r;
	return inside_error(
		guest_seek(p.lent.guest, node_in_guest(node), off, hole, out));
}

/* ---- extended attributes ---- */

/* Return the value of an attribute that the top of a volume has besides its
 * own, or NULL: the state, and the note, which a whole filesystem may have
 * too. */
static const char *own_value(const struct inside *p, uint64_t guest_node,
			     const char *name)
{
	const struct guest *g = p->lent.guest;

	if (guest_node != g->root)
		return NULL;
	if (strcmp(name, STATE_NAME) == 0 && g->info.state[0])
		return g->info.state;
	if (strcmp(name, NOTE_NAME) == 0 && g->info.note[0])
		return g->info.note;
	return NULL;
}

int view_volume_top(struct view *w, uint64_t node, uint64_t *out)
{
	AUTO_INSIDE struct inside p = { .w = NULL };
	int r = node_is_guest(node) ? inside_enter(&p, w, node) : -EINVAL;

	if (r == 0)
		*out = node_guest(p.volume, p.lent.guest->root);
	return r;
}

bool view_same_volume(uint64_t a, uint64_t b)
{
	return node_is_guest(a) && node_is_guest(b) &&
	       node_volume(a) == node_volume(b);
}

int view_volume_state(struct view *w, uint64_t node, struct buf *out)
{
	AUTO_INSIDE struct inside p = { .w = NULL };
	const char *state;
	int r = node_is_guest(node) ? inside_enter(&p, w, node) : -EINVAL;

	if (r < 0)
		return r;
	state = p.lent.guest->info.state;
	buf_put(out, state, strlen(state));
	return buf_error(out);
}

/* The list of an inode, in @store. Return 0, 1 (some are left out) or a negative
 * errno. */
static int load_list(const struct inside *p, uint64_t guest_node,
		     struct buf *store, struct reader *list, uint64_t *n)
{
	int r = 0;

	*n = 0;
	if (!bare_has(p->w->bare, node_guest(p->volume, guest_node)))
		r = guest_xattrs(p->lent.guest, guest_node, store);
	if (r < 0)
		return inside_error(r);
	if (store->len == 0)
		return r;
	if (xattrs_check(store->data, store->len) < 0)
		return fail(-EIO,
			    "%s: inode %llu: malformed extended "
			    "attributes",
			    p->name, (unsigned long long)guest_node);
	*n = xattrs_begin(list, store->data, store->len);
	return r;
}

int inside_xattr(struct view *w, uint64_t node, const char *name,
		 struct buf *out)
{
	AUTO_INSIDE struct inside p;
	AUTO_BUF struct buf store = BUF_INIT;
	const char *own;
	struct reader list;
	uint64_t n;
	int r = inside_enter(&p, w, node);

	if (r < 0)
		return r;
	own = own_value(&p, node_in_guest(node), name);
	if (own) {
		buf_put(out, own, strlen(own));
		return buf_error(out);
	}
	if (bare_has(w->bare, node))
		return -ENODATA;
	r = guest_xattr_unlisted(p.lent.guest, node_in_guest(node), name, out);
	if (r != -ENODATA)
		return inside_error(r);
	r = load_list(&p, node_in_guest(node), &store, &list, &n);
	return r < 0 ? r : list_xattr(&list, n, name, out);
}

int inside_xattrs(struct view *w, uint64_t node, struct buf *out)
{
	static const char *const names[] = { STATE_NAME, NOTE_NAME };
	AUTO_INSIDE struct inside p;
	AUTO_BUF struct buf store = BUF_INIT, value = BUF_INIT;
	uint64_t n, guest_node = node_in_guest(node);
	struct reader list;
	size_t i;
	int r = inside_enter(&p, w, node), e;

	if (r == 0)
		r = load_list(&p, guest_node, &store, &list, &n);
	if (r < 0)
		return r;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct reader again = list;

		/* A guest that has one of that name: it comes below. */
		if (own_value(&p, guest_node, names[i]) &&
		    list_xattr(&again, n, names[i], &value) == -ENODATA)
			buf_put(out, names[i], strlen(names[i]) + 1);
	}
	e = list_xattrs(&list, n, out);
	return e < 0 ? e : r;
}

/* ---- words ---- */

void inside_describe(struct view *w, uint64_t node, struct buf *out)
{
	char machine[ROSTER_NAME_MAX];
	struct roster_point p;
	const char *name;
	uint32_t point;
	int64_t changed;

	if (volumes_volume(w->volumes, node_volume(node), &point, &name) == 0 &&
	    roster_get_point(w->roster, point, &p) == 0 &&
	    roster_machine(w->roster, p.machine, machine, &changed) == 0)
		buf_printf(out, "%s/%s:volumes/%s (inode %llu)", machine,
			   p.name, name,
			   (unsigned long long)node_in_guest(node));
	else
		buf_printf(out, "node %#llx", (unsigned long long)node);
}
