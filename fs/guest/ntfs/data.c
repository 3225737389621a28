/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of an attribute: the library decodes its runlist, once; reading is
 * ours, from the blocks themselves.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "fs/guest/map.h"
#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/log.h"

#define RUNS_MAX (1u << 20) /* of a compressed file: 24 MiB of memory */

#define TAG_DEDUP 0x80000013u
#define TAG_WOF 0x80000017u
#define TAG_CLOUD 0x9000001au
#define TAG_CLOUD_MASK 0xffff0fffu
/* Its content is not on this disk: offline, or fetched when opened or read. */
#define FLAGS_ELSEWHERE 0x00441000u

static int data_damaged(const ntfs_inode *ni, const char *what)
{
	return fail(-EBADMSG, "NTFS: record %llu: %s",
		    (unsigned long long)ni->mft_no, what);
}

static int open_resident(struct ntfs *n, ntfs_attr *na, struct guest_file **out)
{
	size_t len = (size_t)na->data_size;
	uint8_t *data;
	int r;

	if (na->data_size > (s64)n->vol->mft_record_size)
		return data_damaged(na->ni, "an attribute is longer than it");
	data = malloc(len ? len : 1);
	if (!data)
		return -ENOMEM;
	errno = EIO;
	if (len && ntfs_attr_pread(na, 0, (s64)len, data) != (s64)len)
		r = ntfs_error(n, "an attribute cannot be read",
			       na->ni->mft_no);
	else
		r = map_memory_file(data, len, len, out);
	free(data);
	return r;
}

/* The next run of a runlist, checked; @at is UINT64_MAX for a hole. Return 1,
 * 0 at the end, or -EBADMSG (silent). */
static int run_get(const struct ntfs *n, const runlist_element *rl,
		   uint64_t expect, struct ntfs_run *out)
{
	unsigned int bits = n->vol->cluster_size_bits;
	uint64_t max = GUEST_SIZE_MAX >> bits;

	if (!rl || !rl->length)
		return 0;
	if (rl->vcn < 0 || rl->length < 0 || (uint64_t)rl->vcn > max ||
	    (uint64_t)rl->length > max || (uint64_t)rl->vcn << bits != expect ||
	    (rl->lcn < 0 && rl->lcn != LCN_HOLE) ||
	    (rl->lcn >= 0 && (rl->lcn > n->vol->nr_clusters ||
			      rl->length > n->vol->nr_clusters - rl->lcn)))
		return -EBADMSG;
	out->off = expect;
	out->len = (uint64_t)rl->length << bits;
	out->at = rl->lcn < 0 ? UINT64_MAX : (uint64_t)rl->lcn << bits;
	if (out->off + out->len > GUEST_SIZE_MAX)
		return -EBADMSG;
	return 1;
}

/* What is behind the initialized size reads as zeros. */
static int map_run(struct map *m, const struct ntfs_run *run, uint64_t init)
{
	uint64_t written;
	int r = 0;

	if (run->at == UINT64_MAX)
		return 0;
	written = run->off >= init	       ? 0
		  : init - run->off < run->len ? init - run->off
					       : run->len;
	if (written)
		r = map_add(m, run->off, written, run->at, false);
	if (!r && written < run->len)
		r = map_add(m, run->off + written, run->len - written,
			    run->at + written, true);
	return r;
}

/* Of an attribute whose whole list of runs is there. Return what is not
 * negative, or an error, said. */
static int walk_runs(const struct ntfs *n, const ntfs_attr *na, struct map *m)
{
	const runlist_element *rl = na->rl;
	struct ntfs_run run;
	uint64_t end = 0;
	int r = 0, more;

	while (r == 0 && (more = run_get(n, rl++, end, &run)) != 0) {
		r = more;
		if (more > 0) {
			end = run.off + run.len;
			r = map_run(m, &run, (uint64_t)na->initialized_size);
		}
	}
	if (r == 0 && end < (uint64_t)na->data_size)
		r = -EBADMSG;
	return r == -EBADMSG ? data_damaged(na->ni, "its list of clusters is "
						    "damaged")
			     : r;
}

static int load_runs(struct ntfs *n, ntfs_attr *na)
{
	errno = 0;
	if (ntfs_attr_map_whole_runlist(na) == 0)
		return 0;
	if (errno == ENOENT)
		errno = EIO;
	return ntfs_error(n, "its list of clusters is damaged", na->ni->mft_no);
}

/* A map_walk_fn, of the content of a file or of a stream. */
static int walk_node(struct guest *g, uint64_t node, struct map *m)
{
	struct ntfs *n = g->state;
	struct ntfs_stream s = { .len = 0 };
	ntfs_attr *na = NULL;
	ntfs_inode *ni;
	int r;

	SCOPED_LOCK(&n->lock);
	r = ntfs_node_open(n, node, &ni);
	if (r < 0)
		return r;
	if (node & NTFS_STREAM_NODE)
		r = ntfs_stream_get(n, ni, node, &s);
	errno = 0;
	if (r == 0)
		na = ntfs_attr_open(ni, AT_DATA, s.len ? s.name : AT_UNNAMED,
				    s.len);
	if (r == 0 && !na)
		r = ntfs_error(n, "an attribute is damaged", ni->mft_no);
	if (r == 0)
		r = load_runs(n, na);
	if (r == 0)
		r = walk_runs(n, na, m);
	if (na)
		ntfs_attr_close(na);
	ntfs_inode_close(ni);
	return r;
}

static int open_plain(struct ntfs *n, ntfs_attr *na, uint64_t node,
		      struct guest_file **out)
{
	struct map *m = map_new(n->g->blocks, (uint64_t)na->data_size);
	int r;

	if (!m)
		return -ENOMEM;
	r = walk_runs(n, na, m);
	if (r >= 0)
		r = map_file(m, n->g, node, n->vol->cluster_size,
			     node ? walk_node : NULL, out);
	if (r < 0)
		map_free(m);
	return r;
}

static int open_compressed(struct ntfs *n, ntfs_attr *na,
			   struct guest_file **out)
{
	struct ntfs_run run, *runs = NULL;
	uint64_t end = 0, size = (uint64_t)na->data_size;
	const runlist_element *rl;
	size_t count = 0, cap = 0;
	int r;

	if (na->compression_block_size < n->vol->cluster_size ||
	    na->compression_block_size > NTFS_UNIT_MAX ||
	    na->compression_block_size & (na->compression_block_size - 1))
		return data_damaged(na->ni, "its unit of compression is "
					    "damaged");
	for (rl = na->rl; (r = run_get(n, rl, end, &run)) > 0; rl++) {
		end = run.off + run.len;
		if (run.at == UINT64_MAX)
			continue;
		r = count < RUNS_MAX ? array_reserve(&runs, &cap, count + 1)
				     : -EFBIG;
		if (r < 0)
			break;
		runs[count++] = run;
	}
	if (!r && end < size)
		r = -EBADMSG;
	if (r < 0) {
		free(runs);
		return r == -EBADMSG
			       ? data_damaged(na->ni, "its list of "
						      "clusters is damaged")
			       : r;
	}
	return ntfs_compressed_file(n->g->blocks, runs, count,
				    na->compression_block_size, size,
				    (uint64_t)na->initialized_size,
				    na->ni->mft_no, out);
}

static int open_attr(struct ntfs *n, ntfs_attr *na, uint64_t node,
		     struct guest_file **out)
{
	unsigned int method =
		le16_to_cpu(na->data_flags & ATTR_COMPRESSION_MASK);
	int r;

	if (NAttrEncrypted(na) || (na->data_flags & ATTR_IS_ENCRYPTED))
		return fail(-EIO,
			    "NTFS: record %llu: encrypted by Windows "
			    "(EFS): only there can it be read",
			    (unsigned long long)na->ni->mft_no);
	if (na->data_size < 0 || na->initialized_size < 0 ||
	    (uint64_t)na->data_size > GUEST_SIZE_MAX ||
	    na->initialized_size > na->data_size)
		return data_damaged(na->ni, "the size of an attribute is "
					    "damaged");
	if (!NAttrNonResident(na))
		return open_resident(n, na, out);
	r = load_runs(n, na);
	if (r < 0)
		return r;
	if (!method)
		return open_plain(n, na, node, out);
	if (method == 1)
		return open_compressed(n, na, out);
	return fail(-EIO,
		    "NTFS: record %llu: compressed in a way that is not "
		    "known (%u)",
		    (unsigned long long)na->ni->mft_no, method);
}

/* @node: what the content is of, which may be read again where it lies in too
 * many pieces to be remembered; 0: nothing of that kind. */
static int data_open(struct ntfs *n, ntfs_inode *ni, ATTR_TYPES type,
		     ntfschar *name, uint32_t name_len, uint64_t node,
		     struct guest_file **out)
{
	ntfs_attr *na;
	int r;

	*out = NULL;
	errno = 0;
	na = ntfs_attr_open(ni, type, name, name_len);
	if (!na)
		return ntfs_error(n, "an attribute is damaged", ni->mft_no);
	r = open_attr(n, na, node, out);
	ntfs_attr_close(na);
	return r;
}

int ntfs_data_open(struct ntfs *n, ntfs_inode *ni, ATTR_TYPES type,
		   ntfschar *name, uint32_t name_len, struct guest_file **out)
{
	return data_open(n, ni, type, name, name_len, 0, out);
}

static void file_put(struct guest_file *f)
{
	if (f && atomic_fetch_sub(&f->refs, 1) == 1)
		f->ops->free(f);
}

int ntfs_data_bytes(struct ntfs *n, ntfs_inode *ni, ATTR_TYPES type,
		    ntfschar *name, uint32_t name_len, size_t max,
		    struct buf *out)
{
	struct guest_file *f;
	int r;

	r = ntfs_data_open(n, ni, type, name, name_len, &f);
	if (r < 0)
		return r;
	if (f->size > max)
		r = -EFBIG;
	else
		r = buf_reserve(out, (size_t)f->size);
	if (!r && f->size)
		r = f->ops->read(f, 0, out->data + out->len, (size_t)f->size);
	if (!r)
		out->len += (size_t)f->size;
	file_put(f);
	return r;
}

/* Where the unnamed stream of a file is not its content. */
static int elsewhere(const ntfs_inode *ni, uint32_t tag)
{
	unsigned long long record = ni->mft_no;

	if (!tag)
		return 0;
	if (tag == TAG_WOF)
		return fail(-EIO,
			    "NTFS: record %llu: compressed by Windows "
			    "(CompactOS): only there can it be read",
			    record);
	if (tag == TAG_DEDUP)
		return fail(-EIO,
			    "NTFS: record %llu: deduplicated by Windows "
			    "Server: only there can it be read",
			    record);
	if ((tag & TAG_CLOUD_MASK) == TAG_CLOUD &&
	    !(le32_to_cpu(ni->flags) & FLAGS_ELSEWHERE))
		return 0; /* of a cloud, and all here */
	return fail(-EIO,
		    "NTFS: record %llu: a reparse point (tag 0x%08x) "
		    "stands for its content, which is not here",
		    record, tag);
}

static int open_stream(struct ntfs *n, ntfs_inode *ni, uint64_t node,
		       struct guest_file **out)
{
	struct ntfs_stream s;
	int r = ntfs_stream_get(n, ni, node, &s);

	return r < 0 ? r : data_open(n, ni, AT_DATA, s.name, s.len, node, out);
}

static int open_content(struct ntfs *n, ntfs_inode *ni, uint64_t node,
			struct guest_file **out)
{
	struct ntfs_what what;
	int r = ntfs_look(n, ni, &what);

	if (!r && what.type != S_IFREG)
		r = -EINVAL;
	if (!r && what.size)
		r = elsewhere(ni, what.tag);
	if (!r)
		r = data_open(n, ni, AT_DATA, AT_UNNAMED, 0, node, out);
	return r == -ENOENT ? map_memory_file("", 0, 0, out) /* has none */
			    : r;
}

int ntfs_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	struct ntfs *n = g->state;
	ntfs_inode *ni;
	int r;

	*out = NULL;
	SCOPED_LOCK(&n->lock);
	r = ntfs_node_open(n, node, &ni);
	if (r < 0)
		return r;
	r = node & NTFS_STREAM_NODE ? open_stream(n, ni, node, out)
				    : open_content(n, ni, node, out);
	ntfs_inode_close(ni);
	return r;
}
