/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The namespace of a vault: what the mount shows and the commands name.
 *
 *     /vms/<vm>/<time>/{point.json,files/...}   /vms/<vm>/latest -> <time>
 *     /vms/<vm>/<time>/{disks/<disk>.raw,config/<name>}
 *     /vms/<vm>/<time>/volumes/{<volume>/...,<volume>.raw,<volume>.unreadable}
 *     /ids/<id8> -> ../vms/<vm>/<time>           /tags/<tag>/<vm>/<time> -> ...
 *     /.vmbackupfs/{status.json,stats,version}   (not listed)
 *
 * Pure functions of node numbers: no FUSE, no state per open file. A node
 * number says where the thing is, so nothing is kept for names that were looked
 * up:
 *
 *     bits 63..62  0: made by the view     1: an entry of a tree
 *                  2: in a volume of a disk
 *     made:   61..54 kind   53..36 a   35..0 b (serials of machines, tags,
 *             points, volumes)
 *     entry:  61..44 point  43..10 leaf  9..0 slot
 *     volume: 61..46 volume  45..0 the guest filesystem's own node
 *
 * Serials of points, machines, tags, leaves and volumes live in tables of the
 * view and are never reused.
 * There are three identities (fs/ino.h): the node number (where), the inode
 * number shown (what), and the chunk ids (bytes). A regular file with one link
 * has point 0 in its node number: the same leaf of two points is one node, and
 * the kernel shares its pages. Directories and files with more links keep their
 * point.
 *
 * All functions are safe from any thread, may block on the vault, and return 0
 * or a negative errno: -ENOENT, -ENOTDIR, -EIO (damage, said in words with the
 * place), -ENOMEM...
 */
#ifndef FS_VIEW_H
#define FS_VIEW_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct vault;
struct view;
struct point;
struct point_list;
struct id;
struct secret;

#define VIEW_ROOT 1 /* the node number of the top; also FUSE's */

/* A node as callers see it. */
struct view_attr {
	uint64_t node;
	struct stat st;
	bool immutable; /* may be cached for ever */
	/* Owner, group and permissions are those of the source. Whatever else
	 * there is belongs to the user of this process, and to nobody else. */
	bool stored;
	/* The inode is damaged: its number and the type in st_mode are all that
	 * is known. Only listings of volumes have such. */
	bool damaged;
};

/* @v is borrowed until view_free(). Lists the points. */
MUST_CHECK int view_new(struct vault *v, struct view **out);
void view_free(struct view *w);
/* What opens LUKS volumes: passphrases and key files' bytes, copied; before
 * anything is looked at. Return 0 or -ENOMEM. */
MUST_CHECK int view_set_luks_keys(struct view *w, struct secret *const *keys,
				  size_t n);
struct vault *view_vault(struct view *w);
/* Look for new points. Return 1 when the list changed, 0 when not, or a
 * negative errno. */
MUST_CHECK int view_refresh(struct view *w);
/* The same, unless it was done less than @min_ns ago, or another thread is
 * doing it: then return 0. */
MUST_CHECK int view_refresh_after(struct view *w, int64_t min_ns);
/* An unknown name among points makes the view look for new ones, but not more
 * often than this. */
#define VIEW_REFRESH_MIN_NS INT64_C(1000000000)
/* Return the points as they are now; give them back with point_list_put(). */
struct point_list *view_points(struct view *w);
/* Has some point's tree an ACL? */
bool view_has_acl(struct view *w);
/* Is it in a volume? Whether something there has an ACL is not known before it
 * was looked at. */
bool view_in_volume(uint64_t node);

/* Do the names in this directory never change? Then what is not there never
 * will be. */
bool view_is_fixed(uint64_t dir);
/* Is a name that is not in this directory now never going to be there? In
 * volumes/ that is so only once everything in it could be read. */
bool view_is_settled(struct view *w, uint64_t dir);
/*
 * Can a node be looked at without the backend: a name in it (@name not NULL), its
 * rows (@rows), or its attributes and content? Then nothing that is done with it
 * blocks.
 */
bool view_at_hand(struct view *w, uint64_t node, const char *name, bool rows);
MUST_CHECK int view_lookup(struct view *w, uint64_t parent, const char *name,
			   struct view_attr *out);
MUST_CHECK int view_getattr(struct view *w, uint64_t node,
			    struct view_attr *out);
/* The directory that a node stands in; the top stands in itself. Of a file with
 * several names it is one of its directories. -ESTALE where it is not known. */
MUST_CHECK int view_parent(struct view *w, uint64_t node,
			   struct view_attr *out);
/* Append the target, without a NUL. -EINVAL: it is no link. */
MUST_CHECK int view_readlink(struct view *w, uint64_t node, struct buf *out);
/*
 * Call @fn for the entries of a directory behind @cookie (0: from the start),
 * "." and ".." not among them. @cookie handed to @fn continues behind that
 * entry, in any later call, for ever (below a point). @attr->st is filled whole,
 * unless @attr->damaged. @fn returning 1 ends it with 0.
 */
typedef int view_dir_fn(void *arg, const char *name, size_t name_len,
			const struct view_attr *attr, uint64_t cookie);
MUST_CHECK int view_readdir(struct view *w, uint64_t node, uint64_t cookie,
			    view_dir_fn *fn, void *arg);
/* The same, but @attr has at least the node, the number of the inode and the
 * type: a volume's inodes need not be read for it. */
MUST_CHECK int view_readnames(struct view *w, uint64_t node, uint64_t cookie,
			      view_dir_fn *fn, void *arg);
/* Read up to @len bytes at @off; *out_len is less only at the end of the file.
 * Damage is -EIO, never short. */
MUST_CHECK int view_read(struct view *w, uint64_t node, uint64_t off, void *out,
			 size_t len, size_t *out_len);
/* Seek as lseek(2) does with SEEK_HOLE (@hole) or SEEK_DATA. -ENXIO: past the
 * end. */
MUST_CHECK int view_seek(struct view *w, uint64_t node, uint64_t off, bool hole,
			 uint64_t *out);
/* Append an attribute's value. -ENODATA: there is no such attribute. */
MUST_CHECK int view_getxattr(struct view *w, uint64_t node, const char *name,
			     struct buf *out);
struct entry_extra;
/* Fill @out with what is known of a node beyond its attributes (store/entry.h):
 * nothing, but for entries of trees. */
MUST_CHECK int view_extra(struct view *w, uint64_t node,
			  struct entry_extra *out);
/* Append the names of all attributes, each with its NUL. Return 0; 1, where some
 * of an inode in a volume are left out, which was said; or a negative errno. */
MUST_CHECK int view_listxattr(struct view *w, uint64_t node, struct buf *out);
/* The top of the volume that a node is in. Return 0; -EINVAL where it is in no
 * volume; or another negative errno. */
MUST_CHECK int view_volume_top(struct view *w, uint64_t node, uint64_t *out);
/* Are both nodes in one volume? */
bool view_same_volume(uint64_t a, uint64_t b);
/* Append the state (user.vmbackupfs.state) of the volume that a node is in, or
 * nothing where that is shown as the guest would see it. In a volume with a
 * state, that a name is missing does not prove that the guest had none. Return
 * 0; -EINVAL where the node is in no volume; or another negative errno. */
MUST_CHECK int view_volume_state(struct view *w, uint64_t node,
				 struct buf *out);
/* Append what a node is called in messages:
 * "web1/2026-11-22T101500Z:files/etc/passwd". */
void view_describe(struct view *w, uint64_t node, struct buf *out);

/* ---- for the commands; see also fs/place.h ---- */

/* Look up @path ("a/b/c"; "" is @from itself) below directory @from. Symbolic
 * links are not followed. Return as view_lookup(). */
MUST_CHECK int view_lookup_path(struct view *w, uint64_t from, const char *path,
				struct view_attr *out);
/* The node of the directory of @p, which is a point of the view; 0 where the
 * view has no such point. */
uint64_t view_point_node(struct view *w, const struct point *p);
/* Make 16 bytes that are equal for equal content, as far as its chunks tell.
 * Only entries of trees, disks and config files have them; -EINVAL for
 * others. */
MUST_CHECK int view_content_id(struct view *w, uint64_t node, uint8_t out[16]);

#endif
