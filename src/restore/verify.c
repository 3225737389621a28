/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The second pass of --verify: every regular file that was written is read
 * from the disk again. Its data must hash to the names of its chunks, and the
 * rest of it must be zeros.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/vault.h"

struct verify {
	struct restore *run;
	uint8_t *data; /* owned, FORMAT_CHUNK_MAX */
	int dirfd; /* owned; of @key; negative errno: it cannot be opened */
	struct buf key;
	int fd; /* of the file */
};

int verify_read(int fd, void *data, size_t len, uint64_t off)
{
	uint8_t *out = data;
	ssize_t n;

	for (; len > 0; len -= (size_t)n) {
		n = pread(fd, out, len, (off_t)off);
		if (n < 0 && errno == EINTR) {
			n = 0;
			continue;
		}
		if (n <= 0)
			return n < 0 ? -errno : -EUCLEAN;
		out += n;
		off += (uint64_t)n;
	}
	return 0;
}

int verify_zero_range(struct restore *run, int fd, uint8_t *piece, uint64_t off,
		      uint64_t len)
{
	uint64_t end = off + len;
	off_t data;
	size_t n;
	int r = 0;

	while (r == 0 && off < end) {
		/* A hole need not be read. */
		data = lseek(fd, (off_t)off, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			return 0;
		if (data >= 0 && (uint64_t)data > off)
			off = (uint64_t)data;
		if (off >= end)
			return 0;
		n = (size_t)MIN(end - off, (uint64_t)RESTORE_PIECE);
		r = verify_read(fd, piece, n, off);
		if (r == 0 && !bytes_are_zero(piece, n))
			r = -EUCLEAN;
		if (r == 0)
			r = restore_stopped(run);
		off += n;
	}
	return r;
}

static int verify_extent(void *arg, const struct extent *e)
{
	struct verify *v = arg;
	struct id id;
	int r;

	if (e->type != EXTENT_DATA)
		return verify_zero_range(v->run, v->fd, v->data, e->off,
					 e->len);
	if (e->len > FORMAT_CHUNK_MAX)
		return -EBADMSG;
	r = verify_read(v->fd, v->data, (size_t)e->len, e->off);
	if (r == 0)
		r = keyring_id(vault_keyring(v->run->vault), CHUNK_DATA,
			       v->data, (size_t)e->len, &id);
	if (r == 0 && !id_equal(&id, &e->id))
		r = -EUCLEAN;
	return r < 0 ? r : restore_stopped(v->run);
}

static int verify_file(struct verify *v, const struct entry *e)
{
	struct content_ref content = entry_content(e);
	char name[ENTRY_NAME_MAX + 1];
	struct stat st;
	int r;

	if (v->dirfd < 0)
		return v->dirfd;
	memcpy(name, e->name, e->name_len);
	name[e->name_len] = '\0';
	v->fd = openat(v->dirfd, name,
		       O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
			       O_CLOEXEC);
	if (v->fd < 0)
		return -errno;
	r = fstat(v->fd, &st) < 0 ? -errno : 0;
	if (r == 0 && (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != e->size))
		r = -EUCLEAN;
	/* It was synced: let what is read come from the disk. */
	if (r == 0)
		(void)posix_fadvise(v->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (r == 0)
		r = content_walk(v->run->vault, &content, verify_extent, v);
	close(v->fd);
	return r;
}

/* Have the entry's directory open. */
static int verify_dir(struct verify *v, const struct cursor *c)
{
	const uint8_t *key;
	size_t len;

	key = cursor_dirkey(c, &len);
	if (v->dirfd >= 0 && len == v->key.len &&
	    (len == 0 || memcmp(key, v->key.data, len) == 0))
		return 0;
	if (v->dirfd >= 0)
		close(v->dirfd);
	v->dirfd = rdir_find(v->run, key, len);
	buf_clear(&v->key);
	buf_put(&v->key, key, len);
	return buf_error(&v->key);
}

static int verify_entry(struct verify *v, const struct cursor *c)
{
	struct ref ref = { .leaf = c->leaf, .slot = c->slot };
	AUTO_BUF struct buf path = BUF_INIT;
	struct restore *run = v->run;
	struct entry e;
	int r;

	cursor_entry(c, &e);
	r = verify_dir(v, c);
	if (r < 0)
		return r;
	r = verify_file(v, &e);
	if (r < 0 && restore_stopped(run) < 0)
		return restore_stopped(run);
	if (r < 0) {
		log_warn("%s: what was restored is not what the point holds: "
			 "%s",
			 restore_path(&path, &ref),
			 r == -EUCLEAN ? "its content differs" : strerror(-r));
		restore_error(run, r);
		return 0;
	}
	run->progress.verified++;
	run->progress.verified_bytes += e.size;
	return 0;
}

/* How many of these ranks were written? */
static uint64_t count_written(const struct restore *run, uint64_t rank,
			      uint64_t end)
{
	uint64_t n = 0;

	for (; rank < end && rank < run->nwritten; rank++)
		n += run->written[rank / 8] >> rank % 8 & 1;
	return n;
}

/* What was lost in the first pass already was said then. */
static int verify_next(struct verify *v, struct cursor *c)
{
	struct ref ref = { .leaf = c->leaf, .slot = c->slot };
	uint64_t rank = c->rank + 1, total = c->total, n;
	AUTO_BUF struct buf path = BUF_INIT;
	const char *last = "";
	int r;

	/* The next step may let go of the leaf. */
	if (c->slot + 1 == leaf_count(c->leaf))
		last = restore_path(&path, &ref);
	r = cursor_next(c);
	if (r != -EBADMSG && r != -EIO)
		return r;
	r = restore_skip(v->run, rank, total, c);
	n = count_written(v->run, rank, r == 0 ? c->rank : total);
	if (n > 0) {
		log_warn("%" PRIu64 " files behind %s were restored but cannot"
			 " be verified: the tree cannot be read there",
			 n, last);
		restore_error(v->run, -EBADMSG);
	}
	return r;
}

/* Is the cursor still in what was restored? */
static bool is_below(const struct restore *run, const struct cursor *c)
{
	const uint8_t *key;
	size_t len;

	key = cursor_dirkey(c, &len);
	return len >= run->base_len &&
	       (run->base_len == 0 ||
		memcmp(key, run->key.data, run->base_len) == 0);
}

int restore_verify(struct restore *run)
{
	struct verify v = { .run = run, .dirfd = -1 };
	struct cursor c = { .leaf = NULL };
	int r;

	v.data = malloc(FORMAT_CHUNK_MAX);
	if (!v.data)
		return -ENOMEM;
	r = tree_seek(run->vault, &run->root, run->key.data, run->base_len, "",
		      0, &c);
	while (r == 0 && is_below(run, &c)) {
		if (run->written[c.rank / 8] & 1u << c.rank % 8)
			r = verify_entry(&v, &c);
		restore_tick(run);
		if (r == 0)
			r = restore_stopped(run);
		if (r == 0)
			r = verify_next(&v, &c);
	}
	cursor_release(&c);
	if (v.dirfd >= 0)
		close(v.dirfd);
	buf_release(&v.key);
	free(v.data);
	return r == -ENOENT ? 0 : r;
}
