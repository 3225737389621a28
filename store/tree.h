/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A tree: the files of one source as a content-addressed ordered map, a
 * Merkle search tree whose node boundaries follow from the keys alone.
 *
 * Key order. A directory has a key: for each component of its path, the name
 * (byte 1 written as 2 2, byte 2 as 2 3) and a byte 1; the top has the empty
 * key. An entry's place is its directory's key, a byte 0, its name. So the
 * entries of a directory are neighbours in the order of their names, its
 * subdirectories' entries follow in the same order, and a walk is one scan. The
 * top itself is the first entry: empty key, empty name.
 *
 * A node is a chunk (CHUNK_NODE):
 *
 *     u8 'L', varint runs; each: varint length, directory key,
 *                                varint entries (not 0); each an entry
 *                                (entry.h)
 *     u8 'I', u8 level (1..), varint children (1..); each:
 *             varint length, key of the child's last entry (directory key,
 *                            0, name),
 *             varint entries below, 32 id
 *
 * Boundaries. The h of a key is SipHash-2-4 under the vault's key. A leaf ends
 * behind the entry that is its 1024th; or, from its 64th on, behind an entry
 * with (h & 511) == 0, or, from its 256th on, (h & 63) == 0. Inner nodes: the
 * same with the children's last keys and h >> (9 * level), at 64, 128 and 1024.
 * A node also ends where its keys pass 256 KiB. Attributes never move a
 * boundary: an update writes the changed leaves and their ancestors.
 *
 * Inner nodes carry counts: the rank of an entry in its tree is a stable
 * directory cookie.
 */
#ifndef STORE_TREE_H
#define STORE_TREE_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"
#include "store/entry.h"

#include <stdbool.h>

struct vault;

/* ---- keys ---- */

#define TREE_KEY_MAX (64u << 10)
/* Is that the key of some path below the top: escapes whole, each component a
 * name that may stand in a directory? */
bool tree_key_ok(const uint8_t *key, size_t len);
/* Append component @name to directory key @key. */
void tree_key_push(struct buf *key, const void *name, size_t len);
/* Remove the last component; the empty key stays. */
void tree_key_pop(struct buf *key);
/* Append the directory's path, "/" for the top, else "/a/b", with a NUL that is
 * not counted. Ask buf_error(). Of a malformed key it gives what can be read. */
void tree_key_path(struct buf *out, const uint8_t *key, size_t len);
/* Append the key of a directory path ("/", "/a/b", "a/b/"); "." and empty
 * components are dropped. Return 0, -EINVAL ("..", or a name too long) or
 * -ENOMEM. */
MUST_CHECK int tree_path_key(struct buf *key, const char *path);
/* Compare two places in the order of the tree. Return <0, 0 or >0. */
int tree_compare(const uint8_t *key_a, size_t key_a_len, const uint8_t *name_a,
		 size_t name_a_len, const uint8_t *key_b, size_t key_b_len,
		 const uint8_t *name_b, size_t name_b_len);

/* ---- reading ---- */

/* A leaf in memory, decoded and checked; shared and counted. */
struct leaf;
struct leaf *leaf_get(struct leaf *l);
void leaf_put(struct leaf *l);
size_t leaf_count(const struct leaf *l);
const struct id *leaf_id(const struct leaf *l);
/* Read entry number @slot; it borrows from the leaf while that is held. */
void leaf_entry(const struct leaf *l, size_t slot, struct entry *out);
/* Return the key of the directory that entry @slot stands in, borrowed. */
const uint8_t *leaf_dirkey(const struct leaf *l, size_t slot, size_t *len_out);
/* Return one past the last slot, in this leaf, of the directory that @slot
 * stands in. */
size_t leaf_run_end(const struct leaf *l, size_t slot);
/* Fetch a leaf by id through the cache, held. Return 0, -EBADMSG or -EIO, said
 * in words. */
MUST_CHECK int leaf_load(struct vault *v, const struct id *id,
			 struct leaf **out);

/* A place in a tree. Zero it before first use; release it after. */
struct cursor {
	struct leaf *leaf; /* held; NULL: past the end */
	size_t slot;
	uint64_t rank; /* of the entry in the whole tree */
	struct vault *vault; /* borrowed */
	struct id root;
	uint64_t total; /* entries in the tree */
};
void cursor_release(struct cursor *c);

/*
 * All three put @c at an entry. They may block and fetch the nodes on the path
 * only.
 * Return 0; -ENOENT (tree_lookup: no such entry; tree_seek: all entries come
 * before; tree_at: rank past the end; silent); -EBADMSG or -EIO, said in words.
 */
MUST_CHECK int tree_lookup(struct vault *v, const struct id *root,
			   const uint8_t *dirkey, size_t dirkey_len,
			   const void *name, size_t name_len, struct cursor *c);
/* Find the first entry at or behind that place. */
MUST_CHECK int tree_seek(struct vault *v, const struct id *root,
			 const uint8_t *dirkey, size_t dirkey_len,
			 const void *name, size_t name_len, struct cursor *c);
MUST_CHECK int tree_at(struct vault *v, const struct id *root, uint64_t rank,
		       struct cursor *c);
/* Step to the next entry. Return 0, -ENOENT at the end, -EBADMSG or -EIO. */
MUST_CHECK int cursor_next(struct cursor *c);
void cursor_entry(const struct cursor *c, struct entry *out);
const uint8_t *cursor_dirkey(const struct cursor *c, size_t *len_out);

/*
 * Report the differences of two trees to @fn, in the order of keys; nodes are
 * read in proportion to the changes. @a or @b is NULL where the entry is only on
 * the other side; an entry whose stored bytes are equal on both is not reported.
 * Return 0, what @fn returned, -EBADMSG or -EIO.
 */
typedef int tree_diff_fn(void *arg, const uint8_t *dirkey, size_t dirkey_len,
			 const struct entry *a, const struct entry *b);
MUST_CHECK int tree_diff(struct vault *v, const struct id *a,
			 const struct id *b, tree_diff_fn *fn, void *arg);

/* Call @fn for every node of a tree, parents before children, leaves with
 * @leaf set. @fn returning 1 for an inner node skips what is below; negative
 * ends the walk. A node that cannot be read is handed to @fn with @error set
 * and the walk goes on. */
typedef int tree_node_fn(void *arg, const struct id *id, struct leaf *leaf,
			 int error);
MUST_CHECK int tree_nodes(struct vault *v, const struct id *root,
			  tree_node_fn *fn, void *arg);

#endif
