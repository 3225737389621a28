/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directories: the library's walk over the index, in pieces. Each piece is
 * gathered under the lock and told without it. A cookie is the position of
 * an entry as the library counts (its offset in the index root, or behind
 * those in the index blocks) and one more, where it goes on behind that entry.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "store/base/bytes.h"
#include "store/base/lock.h"
#include "store/base/log.h"

#define PIECE_BYTES (128u << 10)
#define FIRST_POS 2 /* behind the library's own "." and ".." */

/* An entry gathered: 8 node, 8 cookie, 1 type, 1 length, the name. */
#define ENTRY_HEAD 18

struct gather {
	struct guest *g;
	uint64_t dir;
	struct buf out;
	s64 from; /* position of the first entry that is wanted */
	s64 last; /* position of the last entry */
	bool full;
	bool bad; /* the index goes backwards */
};

static unsigned int type_of(unsigned int dt)
{
	switch (dt) {
	case NTFS_DT_DIR:
		return DT_DIR;
	case NTFS_DT_REG:
		return DT_REG;
	default:
		return DT_UNKNOWN; /* reparse points and what may be special */
	}
}

/* The filesystem's own files, and the top itself, stand in the top. */
static bool is_hidden(const struct gather *g, const ntfschar *name,
		      int name_len, MFT_REF ref)
{
	return MREF(ref) < FILE_first_user && g->dir == g->g->root &&
	       name_len > 0 &&
	       (le16_to_cpu(name[0]) == '$' || MREF(ref) == FILE_root);
}

static int gather_entry(void *arg, const ntfschar *name, const int name_len,
			const int name_type, const s64 pos, const MFT_REF ref,
			const unsigned int dt)
{
	struct gather *g = arg;
	char text[GUEST_NAME_MAX + 1];
	size_t len;

	if (g->out.len >= PIECE_BYTES) {
		g->full = true;
		g->from = pos;
		return 1;
	}
	if (pos <= g->last || name_len < 0 || name_len > UINT8_MAX) {
		g->bad = true;
		return 1;
	}
	g->last = pos;
	if (pos < g->from || name_type == FILE_NAME_DOS ||
	    is_hidden(g, name, name_len, ref))
		return 0;
	if (MREF(ref) < FILE_first_user || MREF(ref) > UINT32_MAX) {
		guest_dir_spoil(g->g, g->dir,
				"a name leads to record %llu, which cannot be",
				(unsigned long long)MREF(ref));
		return 0;
	}
	len = ntfs_text_name(name, (uint8_t)name_len, MREF(ref), text);
	buf_put_le64(&g->out, ntfs_node_of(ref));
	buf_put_le64(&g->out, (uint64_t)pos + 1);
	buf_put_u8(&g->out, (uint8_t)type_of(dt));
	buf_put_u8(&g->out, (uint8_t)len);
	buf_put(&g->out, text, len);
	return g->out.failed ? 1 : 0;
}

static int index_damaged(const ntfs_inode *ni)
{
	return fail(-EBADMSG,
		    "NTFS: record %llu: its directory index is "
		    "damaged",
		    (unsigned long long)ni->mft_no);
}

/* The size of the blocks of a directory's index, from its root. */
static int index_block(struct ntfs *n, ntfs_inode *ni, uint32_t *out)
{
	AUTO_BUF struct buf root = BUF_INIT;
	int r;

	r = ntfs_data_bytes(n, ni, AT_INDEX_ROOT, NTFS_INDEX_I30, 4,
			    n->vol->mft_record_size, &root);
	if (r == -ENOENT || r == -EFBIG || (!r && root.len < 32))
		return index_damaged(ni);
	if (r < 0)
		return r;
	*out = get_le32(root.data + 8);
	if (*out < 512 || *out > NTFS_INDEX_BLOCK_MAX || *out & (*out - 1))
		return index_damaged(ni);
	return 0;
}

/* The library looks for blocks in use as long as the bitmap says it is: let
 * it be no longer than the index, and that no longer than the volume. */
static int index_check(struct ntfs *n, ntfs_inode *ni, uint32_t *block_out)
{
	int64_t index = 0, bits = 0;
	ntfs_attr *na;
	int r;

	r = index_block(n, ni, block_out);
	if (r < 0)
		return r;
	errno = 0;
	na = ntfs_attr_open(ni, AT_INDEX_ALLOCATION, NTFS_INDEX_I30, 4);
	if (na) {
		index = na->data_size;
		ntfs_attr_close(na);
		na = ntfs_attr_open(ni, AT_BITMAP, NTFS_INDEX_I30, 4);
		if (na)
			bits = na->data_size;
		ntfs_attr_close(na);
	} else if (errno != ENOENT) {
		return ntfs_error(n, "its directory index is damaged",
				  ni->mft_no);
	}
	if (index < 0 || (uint64_t)index > n->meta->size || bits < 0 ||
	    bits > index / 512 / 8 + 64)
		return index_damaged(ni);
	return 0;
}

int ntfs_dir_open(struct ntfs *n, uint64_t dir, ntfs_inode **out,
		  uint32_t *block_out)
{
	struct ntfs_what what;
	int r;

	*out = NULL;
	if (dir & NTFS_STREAM_NODE)
		return -ENOTDIR;
	r = ntfs_node_open(n, dir, out);
	if (r < 0)
		return r;
	r = ntfs_look(n, *out, &what);
	if (!r && what.type != S_IFDIR)
		r = -ENOTDIR;
	if (!r)
		r = index_check(n, *out, block_out);
	if (r < 0) {
		ntfs_inode_close(*out);
		*out = NULL;
	}
	return r;
}

/*
 * Where the library may be told to begin for the entry at @pos. It takes the
 * bits of the index' bitmap from the start of a byte, and so goes wrong where
 * it begins at a block that is not the first of eight.
 */
static s64 start_for(const struct ntfs *n, s64 pos, uint32_t block)
{
	s64 root = n->vol->mft_record_size;

	if (pos < root)
		return pos;
	return root + ((pos - root) & ~((s64)block * 8 - 1));
}

/* Gather a piece from g->from on. Return 1 where there is more, 0 at the
 * end; what was gathered before an error may be told. */
static int gather_piece(struct ntfs *n, uint64_t dir, struct gather *g)
{
	uint32_t block;
	ntfs_inode *ni;
	s64 pos;
	int r;

	SCOPED_LOCK(&n->lock);
	r = ntfs_dir_open(n, dir, &ni, &block);
	if (r < 0)
		return r;
	pos = start_for(n, g->from, block);
	g->last = pos - 1;
	errno = 0;
	r = ntfs_readdir(ni, &pos, g, gather_entry);
	ntfs_inode_close(ni);
	if (g->out.failed)
		return -ENOMEM;
	if (g->full)
		return 1;
	if (r || g->bad) {
		if (errno == ENOENT)
			errno = EIO;
		return ntfs_error(n, "its directory index is damaged",
				  dir & UINT32_MAX);
	}
	return 0;
}

static int tell(const struct buf *entries, guest_dir_fn *fn, void *arg)
{
	const uint8_t *p = entries->data, *end = p + entries->len;
	char name[GUEST_NAME_MAX + 1];
	size_t len;
	int r;

	for (; p < end; p += ENTRY_HEAD + len) {
		len = p[17];
		memcpy(name, p + ENTRY_HEAD, len);
		name[len] = '\0';
		r = fn(arg, name, len, get_le64(p), p[16], get_le64(p + 8));
		if (r)
			return r;
	}
	return 0;
}

int ntfs_dir_read(struct guest *g, uint64_t dir, uint64_t cookie,
		  guest_dir_fn *fn, void *arg)
{
	struct ntfs *n = g->state;
	struct gather gather = { .g = g, .dir = dir, .out = BUF_INIT };
	int r, told;

	if (cookie > INT64_MAX / 2)
		return 0;
	gather.from = cookie ? (s64)cookie : FIRST_POS;
	do {
		gather.full = false;
		buf_clear(&gather.out);
		r = gather_piece(n, dir, &gather);
		told = gather.out.len ? tell(&gather.out, fn, arg) : 0;
	} while (r > 0 && !told);
	buf_release(&gather.out);
	return told ? told : r;
}

/* ---- finding a name as Windows does ---- */

struct name_search {
	struct ntfs *n;
	const ntfschar *name; /* borrowed */
	size_t len;
	struct buf *out;
	uint64_t node; /* 0: not yet */
	s64 last;
	bool exact, bad;
};

static uint16_t upper(const struct ntfs *n, ntfschar c)
{
	uint16_t u = le16_to_cpu(c);

	return u < n->vol->upcase_len ? le16_to_cpu(n->vol->upcase[u]) : u;
}

static int find_entry(void *arg, const ntfschar *name, const int name_len,
		      const int name_type, const s64 pos, const MFT_REF ref,
		      const unsigned int dt)
{
	struct name_search *f = arg;
	size_t i;

	(void)dt;
	if (pos <= f->last) {
		f->bad = true;
		return 1;
	}
	f->last = pos;
	if (name_type == FILE_NAME_DOS || name_len < 0 ||
	    (size_t)name_len != f->len || MREF(ref) < FILE_first_user ||
	    MREF(ref) > UINT32_MAX)
		return 0;
	for (i = 0; i < f->len; i++)
		if (upper(f->n, name[i]) != upper(f->n, f->name[i]))
			return 0;
	/* Windows' own choice, where two differ in case alone, is the first;
	 * but one that is the very same is surely meant. */
	f->exact = !memcmp(name, f->name, 2 * f->len);
	if (f->node && !f->exact)
		return 0;
	f->node = ntfs_node_of(ref);
	buf_clear(f->out);
	buf_put(f->out, name, 2 * f->len);
	return f->exact;
}

int ntfs_dir_find(struct ntfs *n, ntfs_inode *dir, const ntfschar *name,
		  size_t len, uint64_t *node_out, struct buf *out)
{
	struct name_search f = { .n = n, .name = name, .len = len, .out = out };
	s64 pos = FIRST_POS;
	uint32_t block;
	int r;

	buf_clear(out);
	if (!(dir->mrec->flags & MFT_RECORD_IS_DIRECTORY) || !len)
		return -ENOENT;
	r = index_check(n, dir, &block);
	if (r < 0)
		return r;
	errno = 0;
	r = ntfs_readdir(dir, &pos, &f, find_entry);
	if (out->failed)
		return -ENOMEM;
	if (f.node) {
		*node_out = f.node;
		return 0;
	}
	if (r || f.bad) {
		if (errno == ENOENT)
			errno = EIO;
		return ntfs_error(n, "its directory index is damaged",
				  dir->mft_no);
	}
	return -ENOENT;
}
