/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The bytes of packs: hash, directory, frames, chunks. A few threads, each with
 * one pack in memory.
 *
 * The hash alone says whether a pack is as it was written; a scrub, which has
 * no key, stops there. With the key each frame and each chunk is tried, for two
 * reasons: of a damaged pack most chunks can still be had, and only those that
 * cannot are lost; and a pack may be whole and yet wrong, where whoever wrote
 * it was.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/lock.h"
#include "store/base/pool.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/pack_read.h"
#include "store/vault.h"

/* A pack in memory, being checked. */
struct reading {
	struct check *check;
	struct check_pack *pack;
	char object[OBJECT_NAME_MAX];
	uint8_t *bytes; /* owned */
	size_t len;
	int finding; /* about it; -1: none yet */
	bool whole;
	struct pack_row row; /* as the index has it */
	struct seal_key key;
	struct pack_dir dir;
	uint8_t *in; /* a frame, sealed; owned */
	uint8_t *frame; /* the last frame opened, in plain; owned */
	size_t frame_no;
	int frame_result;
	struct check_bytes ranges[CHECK_RANGES_MAX]; /* that do not open */
	uint64_t nranges;
	uint8_t *chunk; /* a chunk of several frames; owned */
	uint8_t *opened; /* a byte for each frame; owned */
};

/* Say what is wrong with the pack; the first thing counts. */
PRINTF(2, 3)
static int wrong(struct reading *rd, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	rd->finding = check_found(rd->check, true, rd->object, "%s", text);
	if (rd->finding < 0)
		return rd->finding;
	pthread_mutex_lock(&rd->check->lock);
	rd->check->out->findings[rd->finding]->is_proven = true;
	pthread_mutex_unlock(&rd->check->lock);
	return 0;
}

/* ---- the directory ---- */

/* The pack's own directory, in plain. Return 0, -EBADMSG, -EOPNOTSUPP (its header
 * is that of a later version or epoch) or -ENOMEM. */
static int own_directory(struct reading *rd, struct buf *out)
{
	struct pack_ends ends;
	struct frame f;
	uint8_t *in;
	int r;

	if (rd->len < FORMAT_HEADER_LEN + CRYPT_TAG_LEN + FORMAT_TRAILER_LEN)
		return -EBADMSG;
	r = pack_open_ends(vault_keyring(rd->check->vault), rd->pack->name,
			   rd->bytes, rd->bytes + rd->len - FORMAT_TRAILER_LEN,
			   rd->len, &ends);
	if (r < 0)
		return r;
	rd->key = ends.key;
	explicit_bzero(&ends.key, sizeof(ends.key));
	f = ends.dir;
	in = malloc((size_t)f.clen + CRYPT_TAG_LEN);
	if (!in || buf_reserve(out, MAX(f.plen, 1u)) < 0) {
		free(in);
		return -ENOMEM;
	}
	/* The trailer adds up to the pack's length: this lies within. */
	memcpy(in, rd->bytes + f.off, (size_t)f.clen + CRYPT_TAG_LEN);
	r = format_open_frame(&rd->key, FORMAT_DIR_FRAME, &f, in, out->data);
	if (r == 0)
		out->len = f.plen;
	free(in);
	return r;
}

/* The index's word on the pack: its key and directory. -ENOENT: none. */
static int index_directory(struct reading *rd, struct buf *out)
{
	struct catalog *catalog = vault_catalog(rd->check->vault);
	char key_name[OBJECT_NAME_MAX];
	int64_t no;
	int r;

	r = catalog_pack_no(catalog, rd->pack->name, &no);
	if (r == 0)
		r = catalog_get_pack(catalog, no, &rd->row, out);
	if (r == 0)
		r = format_pack_key_name(rd->row.name, key_name);
	if (r == 0)
		r = keyring_seal_key(vault_keyring(rd->check->vault),
				     rd->row.kind, rd->row.epoch, key_name,
				     rd->row.salt, &rd->key);
	return r;
}

static int on_source(void *arg, const char *source)
{
	return strncmp(source, "index/", 6) == 0
		       ? backend_names_add(arg, source)
		       : 0;
}

/* The pack is as it was made, and says of itself other than the index does: it is
 * right. */
static int index_lied(struct reading *rd)
{
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	size_t i;
	int r = catalog_pack_sources(vault_catalog(rd->check->vault),
				     rd->row.no, on_source, &names);

	for (i = 0; i < names.n && r == 0; i++)
		r = check_found_lie(rd->check, names.list[i], rd->pack->name);
	if (r == 0)
		r = vault_settle_pack(rd->check->vault, rd->pack->name);
	return MIN(r, 0);
}

/* Its bytes are those of its name, so it is no damage that this program cannot
 * read it: it may have been written under a later epoch. */
static int of_newer(struct reading *rd)
{
	return MIN(check_found(rd->check, true, rd->object,
			       "needs a newer vmbackup to be read"),
		   0);
}

static bool says_the_same(const struct reading *rd, const struct buf *own,
			  const struct seal_key *own_key,
			  const struct buf *indexed)
{
	return rd->row.size == rd->len && own->len == indexed->len &&
	       memcmp(own->data, indexed->data, own->len) == 0 &&
	       memcmp(own_key, &rd->key, sizeof(rd->key)) == 0;
}

/* Load the directory: the index's where there is one, for it may still tell
 * what a damaged pack held; but of a pack that is whole, its own. */
static int load_directory(struct reading *rd)
{
	AUTO_BUF struct buf own = BUF_INIT;
	AUTO_BUF struct buf indexed = BUF_INIT;
	struct seal_key own_key;
	int own_result, r;

	own_result = own_directory(rd, &own);
	if (own_result == -ENOMEM)
		return -ENOMEM;
	own_key = rd->key;
	r = index_directory(rd, &indexed);
	if (r < 0 && r != -ENOENT)
		return r;
	if (own_result == -EOPNOTSUPP && r == -ENOENT && rd->finding < 0)
		return of_newer(rd);
	if (own_result < 0) {
		int err = wrong(rd, "its header or directory is damaged");

		if (err < 0)
			return err;
		if (r == -ENOENT)
			return 0; /* nobody knows what was in it */
	} else if (r == 0 && rd->finding < 0 &&
		   !says_the_same(rd, &own, &own_key, &indexed)) {
		rd->key = own_key;
		r = index_lied(rd);
		if (r < 0)
			return r;
		r = -ENOENT; /* of no use */
	} else if (r == 0 && (own.len != indexed.len ||
			      memcmp(own.data, indexed.data, own.len) != 0)) {
		r = wrong(rd, "its directory is not what the index says");
		if (r < 0)
			return r;
	}
	explicit_bzero(&own_key, sizeof(own_key));
	r = r == 0 ? format_get_dir(indexed.data, indexed.len, rd->object,
				    false, &rd->dir)
		   : format_get_dir(own.data, own.len, rd->object, false,
				    &rd->dir);
	if (r == -EBADMSG)
		r = wrong(rd, "its directory is malformed");
	return r;
}

/* ---- frames and chunks ---- */

static void note_range(struct reading *rd, uint64_t off, uint64_t len)
{
	struct check_bytes *last;

	last = rd->nranges ? &rd->ranges[MIN(rd->nranges,
					     (uint64_t)CHECK_RANGES_MAX) -
					 1]
			   : NULL;
	/* A frame is opened once more for another chunk, and neighbours are one
	 * range. */
	if (last && off >= last->off && off < last->off + last->len)
		return;
	if (last && off == last->off + last->len) {
		last->len += len;
		return;
	}
	if (rd->nranges < CHECK_RANGES_MAX)
		rd->ranges[rd->nranges] = (struct check_bytes){ off, len };
	rd->nranges++;
}

/* What is known of the pack goes to the finding about it. */
static int keep_ranges(struct reading *rd)
{
	struct check *c = rd->check;
	struct check_finding *f;

	if (rd->finding < 0 || !rd->nranges)
		return 0;
	SCOPED_LOCK(&c->lock);
	f = c->out->findings[rd->finding];
	free(f->ranges);
	f->ranges = malloc(sizeof(rd->ranges));
	if (!f->ranges)
		return -ENOMEM;
	memcpy(f->ranges, rd->ranges, sizeof(rd->ranges));
	f->nranges = rd->nranges;
	return 0;
}

/* Frame @no in plain, in rd->frame. */
static int open_frame(struct reading *rd, size_t no)
{
	const struct frame *f = &rd->dir.frames[no];
	size_t len = (size_t)f->clen + CRYPT_TAG_LEN;

	if (rd->opened[no] && rd->frame_no == no)
		return rd->frame_result;
	rd->frame_no = no;
	rd->opened[no] = 1;
	rd->frame_result = -EBADMSG;
	/* The directory's bounds are its own; the pack may have been cut. */
	if (f->off + len > rd->len) {
		note_range(rd, f->off, len);
		return -EBADMSG;
	}
	memcpy(rd->in, rd->bytes + f->off, len);
	rd->frame_result =
		format_open_frame(&rd->key, (uint32_t)no, f, rd->in, rd->frame);
	if (rd->frame_result == -EBADMSG)
		note_range(rd, f->off, len);
	return rd->frame_result;
}

/* Most chunks are a slice of one frame and are hashed where they lie; those of
 * several frames are put together first. */
static int check_chunk(struct reading *rd, const struct chunk_ref *ref)
{
	const uint8_t *data = NULL;
	uint64_t done = 0;
	struct id real;
	size_t no;
	int r = 0;

	/* format_get_dir() has checked that it lies in its frames. */
	for (no = ref->frame; r == 0 && done < ref->len; no++) {
		uint32_t plen = rd->dir.frames[no].plen;

		r = open_frame(rd, no);
		if (r == 0 && no == ref->frame && ref->len <= plen - ref->off) {
			data = rd->frame + ref->off;
			break;
		}
		if (r == 0)
			memcpy(rd->chunk + done, rd->frame,
			       MIN(plen, ref->len - done));
		done += plen;
		data = rd->chunk;
	}
	if (r == 0)
		r = keyring_id(vault_keyring(rd->check->vault), ref->type,
			       data ? data : rd->chunk, ref->len, &real);
	if (r == 0 && !id_equal(&real, &ref->id)) {
		r = wrong(rd, "holds chunks that are authentic but not those"
			      " of their names");
		return r < 0 ? r : check_lost(rd->check, rd->finding, &ref->id);
	}
	if (r == -EBADMSG) {
		r = wrong(rd, "bytes do not match their seal");
		return r < 0 ? r : check_lost(rd->check, rd->finding, &ref->id);
	}
	return r;
}

static int check_frames(struct reading *rd)
{
	size_t i, longest = 0;
	int r = 0;

	for (i = 0; i < rd->dir.nframes; i++)
		longest = MAX(longest, (size_t)rd->dir.frames[i].clen);
	rd->in = malloc(longest + CRYPT_TAG_LEN);
	rd->frame = malloc(FORMAT_FRAME_MAX);
	rd->chunk = malloc(FORMAT_CHUNK_MAX);
	rd->opened = calloc(rd->dir.nframes + 1, 1);
	if (!rd->in || !rd->frame || !rd->chunk || !rd->opened)
		return -ENOMEM;
	for (i = 0; i < rd->dir.nchunks && r == 0; i++)
		r = check_chunk(rd, &rd->dir.chunks[i]);
	/* Frames that no chunk lies in hold nothing, but were sealed, too. */
	for (i = 0; i < rd->dir.nframes && r == 0; i++) {
		if (rd->opened[i])
			continue;
		r = open_frame(rd, i);
		if (r == -EBADMSG)
			r = wrong(rd, "bytes do not match their seal");
	}
	return r;
}

static int check_hash(struct reading *rd)
{
	uint8_t want[CRYPT_SHA256_LEN], got[CRYPT_SHA256_LEN];
	int r;

	r = format_pack_hash(rd->pack->name, want);
	if (r == 0)
		r = crypt_sha256(rd->bytes, rd->len, got);
	if (r == 0 && memcmp(want, got, sizeof(got)) != 0)
		r = wrong(rd, "its bytes are not those it was made of"
			      " (SHA-256)");
	return r;
}

/* Not a byte of the pack can be had, for reason @err. */
static int unreadable(struct reading *rd, int err)
{
	struct check *c = rd->check;
	struct check_finding *f;
	int r;

	/* What concerns all packs says nothing about this one. */
	if (err != -ENOENT && err != -EFBIG && !backend_error_is_of_object(err))
		return err;
	if (err == -ENOENT && !rd->pack->indexed)
		return 0; /* collected meanwhile */
	r = wrong(rd, err == -ENOENT ? "missing" : "cannot be read");
	if (r < 0)
		return r;
	pthread_mutex_lock(&c->lock);
	f = c->out->findings[rd->finding];
	f->is_gone = err == -ENOENT;
	f->is_whole_pack = true;
	/* That it may not be read here says nothing about its bytes. */
	f->is_proven = err != -EPERM;
	pthread_mutex_unlock(&c->lock);
	return c->vault ? check_pack_gone(c, rd->pack->name) : 0;
}

static int read_pack(struct reading *rd)
{
	int r;

	r = backend_get_all(rd->check->backend, rd->object, FORMAT_PACK_MAX,
			    &rd->bytes, &rd->len);
	if (r == -ENOMEM)
		return r;
	if (r < 0)
		return unreadable(rd, r);
	r = check_hash(rd);
	if (r == 0 && rd->check->vault)
		r = load_directory(rd);
	if (r == 0 && rd->dir.nframes)
		r = check_frames(rd);
	if (r == 0)
		r = keep_ranges(rd);
	if (r == 0)
		rd->whole =
			rd->finding < 0 && !check_find(rd->check, rd->object);
	/* What is damaged tells nothing of its parity. */
	return r == 0 ? check_parity_of(rd->check, rd->pack,
					rd->finding < 0 ? rd->bytes : NULL,
					rd->len)
		      : r;
}

static void run_job(void *arg)
{
	struct reading *rd = arg;
	struct check *c = rd->check;
	int64_t now_ns;
	int r = 0;

	if (!task_stopped(c->task))
		r = read_pack(rd);
	/* A scrub has no ledger, and need not have a clock. */
	now_ns = c->vault ? c->seam->ops->realtime_ns(c->seam) : 0;
	pthread_mutex_lock(&c->lock);
	if (r == 0 && rd->whole) {
		rd->pack->whole = true;
		rd->pack->who = 0;
		rd->pack->verified_s = MAX(now_ns / 1000000000, 1);
	}
	c->packs_read++;
	c->bytes_read += rd->pack->size;
	if (r < 0 && c->error == 0)
		c->error = r;
	pthread_mutex_unlock(&c->lock);
	format_release_dir(&rd->dir);
	explicit_bzero(&rd->key, sizeof(rd->key));
	free(rd->bytes);
	free(rd->in);
	free(rd->frame);
	free(rd->chunk);
	free(rd->opened);
	free(rd);
}

/* ---- all of them ---- */

static int start_job(struct check *c, struct pool *pool, struct check_pack *p)
{
	struct reading *rd = calloc(1, sizeof(*rd));
	int r;

	if (!rd)
		return -ENOMEM;
	rd->check = c;
	rd->pack = p;
	rd->finding = -1;
	r = format_pack_object_name(rd->pack->name, rd->object);
	if (r < 0) {
		free(rd);
		return r;
	}
	pool_run(pool, run_job, rd);
	return 0;
}

/* Is there time for another pack? One is read in any case, or none ever would be. */
static bool is_over(const struct check *c, size_t done)
{
	return c->o->budget_ns && done > 0 &&
	       c->seam->ops->monotonic_ns(c->seam) - c->begun_ns >=
		       c->o->budget_ns;
}

static int read_packs(struct check *c, struct pool *pool,
		      struct check_pack *const *order, size_t n)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < n && !is_over(c, i); i++) {
		pthread_mutex_lock(&c->lock);
		c->progress.items_done = c->packs_read;
		c->progress.bytes_done = c->bytes_read;
		r = c->error;
		pthread_mutex_unlock(&c->lock);
		if (r == 0)
			r = check_tick(c);
		if (r == 0 && c->vault)
			r = check_ledger_tick(c);
		if (r == 0)
			r = start_job(c, pool, order[i]);
	}
	c->out->left += n - i;
	return r;
}

int check_packs(struct check *c)
{
	unsigned int threads = c->o->threads ? c->o->threads : 2;
	struct check_pack **order = alloc_array(c->npacks + 1, sizeof(*order));
	struct pool *pool = pool_new(threads, 1);
	int r = order && pool ? 0 : -ENOMEM;
	size_t i, n;

	for (n = 0; r == 0 && n < c->npacks; n++)
		order[n] = &c->packs[n];
	if (r == 0)
		r = check_select(c, order, &n);
	c->progress = (struct check_progress){ .phase = "packs" };
	for (i = 0; r == 0 && i < n; i++)
		c->progress.bytes_total += order[i]->size;
	c->progress.items_total = n;
	if (r == 0)
		r = read_packs(c, pool, order, n);
	pool_free(pool);
	if (r == 0)
		r = c->error;
	if (r == 0 && task_stopped(c->task))
		r = -EINTR;
	free(order);
	return r;
}
