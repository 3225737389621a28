/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the namespace; for fs/ alone. */
#ifndef FS_VIEW_INTERNAL_H
#define FS_VIEW_INTERNAL_H

#include "fs/view.h"

#include <pthread.h>

#include "fs/roster.h"
#include "store/entry.h"

struct aheads;
struct bare;
struct leaf;
struct leaves;
struct parents;
struct volumes;
struct point_disk;

struct view {
	struct vault *vault; /* borrowed */
	const uint8_t *sipkey; /* borrowed from the vault */
	struct roster *roster; /* owned */
	struct leaves *leaves; /* owned */
	struct volumes *volumes; /* owned */
	struct parents *parents; /* owned; of directories in volumes */
	struct aheads *aheads; /* owned; of them, too */
	struct bare *bare; /* owned; of all inodes of volumes */
	uid_t uid; /* of what the view makes */
	gid_t gid;
	int64_t started_ns;
	pthread_mutex_t lock; /* protects what follows */
	bool refreshing; /* some thread lists the vault now */
	int64_t refreshed_ns; /* monotonic; when it was last listed */
};

/* ---- node numbers ---- */

enum node_kind_made {
	MADE_ROOT = 0, /* VIEW_ROOT */
	MADE_VMS,
	MADE_IDS,
	MADE_TAGS,
	MADE_HIDDEN, /* .vmbackupfs */
	MADE_VM, /* b: machine */
	MADE_LATEST, /* a: machine, b: the point that it led to */
	MADE_POINT, /* b: point */
	MADE_POINT_JSON, /* b: point */
	MADE_ID, /* b: point */
	MADE_TAG, /* b: tag */
	MADE_TAG_VM, /* a: tag, b: machine */
	MADE_TAG_POINT, /* a: tag, b: point */
	MADE_STATUS, /* b: milliseconds when it was looked up, so that no page
		      * of an older text is shown */
	MADE_STATS, /* b: the same */
	MADE_VERSION,
	MADE_DISKS, /* b: point */
	MADE_DISK, /* a: which of the point's, b: point */
	MADE_CONFIGS, /* b: point */
	MADE_CONFIG, /* a: which of the point's, b: point */
	MADE_VOLUMES, /* b: point */
	MADE_VOLUME_RAW, /* b: volume */
	MADE_VOLUME_WHY, /* b: volume */
	MADE_KINDS
};

static inline uint64_t node_made(enum node_kind_made kind, uint32_t a,
				 uint64_t b)
{
	return (uint64_t)kind << 54 | (uint64_t)a << 36 | b;
}

static inline bool node_is_entry(uint64_t node)
{
	return node >> 62 == 1;
}

static inline bool node_is_guest(uint64_t node)
{
	return node >> 62 == 2;
}

/* Return MADE_KINDS for what the view did not make. */
static inline enum node_kind_made node_kind(uint64_t node)
{
	uint64_t kind = node >> 54;

	if (node == VIEW_ROOT)
		return MADE_ROOT;
	return kind == 0 || kind >= MADE_KINDS ? MADE_KINDS
					       : (enum node_kind_made)kind;
}

static inline uint32_t node_a(uint64_t node)
{
	return node >> 36 & ROSTER_SERIAL_MAX;
}

static inline uint64_t node_b(uint64_t node)
{
	return node & ((UINT64_C(1) << 36) - 1);
}

static inline uint64_t node_entry(uint32_t point, uint64_t leaf, size_t slot)
{
	return UINT64_C(1) << 62 | (uint64_t)point << 44 | leaf << 10 | slot;
}

static inline uint32_t node_point(uint64_t node)
{
	return node >> 44 & ROSTER_SERIAL_MAX;
}

static inline uint64_t node_leaf(uint64_t node)
{
	return node >> 10 & ((UINT64_C(1) << 34) - 1);
}

static inline size_t node_slot(uint64_t node)
{
	return node & 1023;
}

static inline uint64_t node_guest(uint32_t volume, uint64_t guest)
{
	return UINT64_C(2) << 62 | (uint64_t)volume << 46 | guest;
}

static inline uint32_t node_volume(uint64_t node)
{
	return node >> 46 & 0xffff;
}

static inline uint64_t node_in_guest(uint64_t node)
{
	return node & ((UINT64_C(1) << 46) - 1);
}

/* ---- entries of trees (view_files.c, view_files_read.c) ---- */

/* An entry that a node number names. */
struct spot {
	struct leaf *leaf; /* held */
	struct entry e; /* borrowed from the leaf, as dirkey */
	const uint8_t *dirkey;
	size_t dirkey_len;
	uint32_t point; /* 0: of any */
	uint32_t hint; /* a point that has the leaf */
};
void spot_release(struct spot *s);
#define AUTO_SPOT CLEANUP(spot_release)
MUST_CHECK int spot_load(struct view *w, uint64_t node, struct spot *out);
/* Append the key of the directory that the spot is. Ask buf_error(). */
void spot_key(const struct spot *s, struct buf *key);

/* Look up the top of a point's tree. -ENOENT: it has none. */
MUST_CHECK int files_top(struct view *w, const struct roster_point *p,
			 struct view_attr *out);
MUST_CHECK int files_find(struct view *w, uint64_t parent, const char *name,
			  struct view_attr *out);
MUST_CHECK int files_attr(struct view *w, uint64_t node, struct view_attr *out);
MUST_CHECK int files_extra(struct view *w, uint64_t node,
			   struct entry_extra *out);
MUST_CHECK int files_parent(struct view *w, uint64_t node,
			    struct view_attr *out);
MUST_CHECK int files_list(struct view *w, uint64_t node, uint64_t cookie,
			  view_dir_fn *fn, void *arg);
/* Append "web1/<time>:files/<path>". */
void files_describe(struct view *w, uint64_t node, struct buf *out);

MUST_CHECK int files_link(struct view *w, uint64_t node, struct buf *out);
MUST_CHECK int files_read(struct view *w, uint64_t node, uint64_t off,
			  void *out, size_t len, size_t *out_len);
MUST_CHECK int files_hole(struct view *w, uint64_t node, uint64_t off,
			  bool hole, uint64_t *out);
MUST_CHECK int files_xattr(struct view *w, uint64_t node, const char *name,
			   struct buf *out);
MUST_CHECK int files_xattrs(struct view *w, uint64_t node, struct buf *out);

/* Append the value of an attribute in an encoded list (store/entry.h), or all
 * names in it. -ENODATA: there is no such attribute. */
MUST_CHECK int list_xattr(struct reader *list, uint64_t n, const char *name,
			  struct buf *out);
MUST_CHECK int list_xattrs(struct reader *list, uint64_t n, struct buf *out);

/* ---- what the view makes (view_made.c, view_made_dir.c) ---- */

/* Append its path from the top of the mount. -ESTALE: there is no such node. */
MUST_CHECK int made_path(struct view *w, uint64_t node, struct buf *out);
MUST_CHECK int made_find(struct view *w, uint64_t parent, const char *name,
			 struct view_attr *out);
MUST_CHECK int made_attr(struct view *w, uint64_t node, struct view_attr *out);
MUST_CHECK int made_parent(struct view *w, uint64_t node,
			   struct view_attr *out);
MUST_CHECK int made_list(struct view *w, uint64_t node, uint64_t cookie,
			 view_dir_fn *fn, void *arg);
MUST_CHECK int made_link(struct view *w, uint64_t node, struct buf *out);
/* Append the whole text of a file. */
MUST_CHECK int made_text(struct view *w, uint64_t node, struct buf *out);
void made_describe(struct view *w, uint64_t node, struct buf *out);
/* Look up the point that a node belongs to. -ENODATA: it belongs to none, or to
 * any. */
MUST_CHECK int view_node_point(struct view *w, uint64_t node,
			       struct roster_point *out);

/* ---- disks/ and config/ of a point (view_saved.c) ---- */

/* Append the name of a MADE_DISK or MADE_CONFIG. */
MUST_CHECK int saved_name(struct view *w, uint64_t node, struct buf *out);
/* Set size, blocks and block size. */
MUST_CHECK int saved_size(struct view *w, uint64_t node, struct stat *st);
MUST_CHECK int saved_read(struct view *w, uint64_t node, uint64_t off,
			  void *out, size_t len, size_t *out_len);
MUST_CHECK int saved_seek(struct view *w, uint64_t node, uint64_t off,
			  bool hole, uint64_t *out);
/* Append its content as it is stored. */
MUST_CHECK int saved_content(struct view *w, uint64_t node, struct buf *out);
/* Look up a name in a MADE_DISKS or MADE_CONFIGS; or the node behind a cookie
 * there, with -ENOENT at the end. */
MUST_CHECK int saved_find(struct view *w, uint64_t dir, const char *name,
			  uint64_t *out);
MUST_CHECK int saved_next(struct view *w, uint64_t dir, uint64_t *cookie,
			  uint64_t *out);

/* ---- volumes/ of a point (view_volumes.c) ---- */

/* Append what a MADE_VOLUME_RAW or MADE_VOLUME_WHY is called in volumes/, and
 * tell whose volumes/ that is. */
MUST_CHECK int volume_name(struct view *w, uint64_t node, uint32_t *point_out,
			   struct buf *out);
/* Set size, blocks and block size. */
MUST_CHECK int volume_raw_size(struct view *w, uint64_t node, struct stat *st);
MUST_CHECK int volume_raw_read(struct view *w, uint64_t node, uint64_t off,
			       void *out, size_t len, size_t *out_len);
MUST_CHECK int volume_raw_seek(struct view *w, uint64_t node, uint64_t off,
			       bool hole, uint64_t *out);
/* Append the text of a MADE_VOLUME_WHY. */
MUST_CHECK int volume_why(struct view *w, uint64_t node, struct buf *out);
/* Look up, or list, what is in a MADE_VOLUMES. */
MUST_CHECK int volume_find(struct view *w, uint64_t dir, const char *name,
			   struct view_attr *out);
MUST_CHECK int volume_list(struct view *w, uint64_t dir, uint64_t cookie,
			   view_dir_fn *fn, void *arg);

/* ---- what is in a volume (view_inside.c, view_inside_list.c) ---- */

/* Look up the top of a volume. -ENODATA: it is not readable (volumes_why()). */
MUST_CHECK int inside_top(struct view *w, uint32_t volume,
			  struct view_attr *out);
MUST_CHECK int inside_attr(struct view *w, uint64_t node,
			   struct view_attr *out);
MUST_CHECK int inside_find(struct view *w, uint64_t parent, const char *name,
			   struct view_attr *out);
MUST_CHECK int inside_parent(struct view *w, uint64_t node,
			     struct view_attr *out);
MUST_CHECK int inside_list(struct view *w, uint64_t node, uint64_t cookie,
			   view_dir_fn *fn, void *arg);
MUST_CHECK int inside_names(struct view *w, uint64_t node, uint64_t cookie,
			    view_dir_fn *fn, void *arg);
MUST_CHECK int inside_link(struct view *w, uint64_t node, struct buf *out);
MUST_CHECK int inside_read(struct view *w, uint64_t node, uint64_t off,
			   void *out, size_t len, size_t *out_len);
MUST_CHECK int inside_hole(struct view *w, uint64_t node, uint64_t off,
			   bool hole, uint64_t *out);
MUST_CHECK int inside_xattr(struct view *w, uint64_t node, const char *name,
			    struct buf *out);
MUST_CHECK int inside_xattrs(struct view *w, uint64_t node, struct buf *out);
/* Append "web1/<time>:volumes/vda1 (inode 12)". */
void inside_describe(struct view *w, uint64_t node, struct buf *out);

/* ---- .vmbackupfs (view_status.c) ---- */

/* Append a text whose length stays as its numbers grow, since it is made anew for
 * each look. */
MUST_CHECK int status_json(struct view *w, struct buf *out);
MUST_CHECK int status_stats(struct view *w, struct buf *out);

#endif
