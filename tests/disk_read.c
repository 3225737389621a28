/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * disk_read VAULT KEYFILE POINT DISK OUT: write a disk of a point to a sparse
 * file, and check what vmbackup-vault(5) says about it: no extent of data crosses a
 * cell, the bytes in use, the digest. Prints "size SIZE used USED FORMAT DIGEST extents N",
 * DIGEST one of right, wrong, none. Uses nothing of what writes or restores disks.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/bytes.h"
#include "store/base/secret.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"

#define CELL (256u << 10)

struct reading {
	struct vault *vault;
	const struct point_disk *disk;
	struct sha256 *digest;
	int fd;
	uint64_t cell; /* its number, one more; 0: none yet */
	uint64_t used, extents;
	uint8_t bytes[CELL]; /* of the cell */
};

static int end_cell(struct reading *r)
{
	static const uint8_t zeros[CELL];
	uint64_t off = (r->cell - 1) * CELL;
	uint32_t len = (uint32_t)MIN((uint64_t)CELL, r->disk->size - off);
	uint8_t head[12];
	int err = 0;

	if (r->cell && memcmp(r->bytes, zeros, len) != 0) {
		put_le64(head, off);
		put_le32(head + 8, len);
		err = sha256_update(r->digest, head, sizeof(head));
		if (err == 0)
			err = sha256_update(r->digest, r->bytes, len);
	}
	memset(r->bytes, 0, sizeof(r->bytes));
	return err;
}

static int take(void *arg, const struct extent *e)
{
	struct reading *r = arg;
	struct content_ref content = point_disk_content(r->disk);
	uint64_t cell = e->off / CELL + 1;
	uint8_t *p = r->bytes + e->off % CELL;
	int err = 0;

	r->extents++;
	if (e->type != EXTENT_DATA)
		return 0;
	if ((e->off + e->len - 1) / CELL + 1 != cell) {
		fprintf(stderr, "data at %" PRIu64 " cross a cell\n", e->off);
		return -1;
	}
	if (cell != r->cell)
		err = end_cell(r);
	r->cell = cell;
	r->used += e->len;
	if (err == 0)
		err = content_read(r->vault, &content, e->off, p, e->len);
	if (err == 0 &&
	    pwrite(r->fd, p, e->len, (off_t)e->off) != (ssize_t)e->len)
		err = -1;
	return err;
}

static int read_disk(struct reading *r)
{
	const struct point_disk *d = r->disk;
	struct content_ref content = point_disk_content(d);
	uint8_t digest[CRYPT_SHA256_LEN];

	if (sha256_new(&r->digest) < 0 ||
	    content_walk(r->vault, &content, take, r) != 0 || end_cell(r) < 0 ||
	    sha256_finish(r->digest, digest) < 0)
		return 1;
	if (r->used != d->used) {
		fprintf(stderr, "used %" PRIu64 ", not %" PRIu64 "\n", r->used,
			d->used);
		return 1;
	}
	printf("size %" PRIu64 " used %" PRIu64 " %s %s extents %" PRIu64 "\n",
	       d->size, d->used, d->format,
	       !d->has_sha256				   ? "none"
	       : memcmp(digest, d->sha256, sizeof(digest)) ? "wrong"
							   : "right",
	       r->extents);
	return 0;
}

static struct secret *read_key(const char *path)
{
	struct secret *key = secret_new(64);
	FILE *f = fopen(path, "re");

	if (!key || !f || fread(key->data, 1, key->len, f) != key->len)
		return NULL;
	fclose(f);
	return key;
}

int main(int argc, char **argv)
{
	static struct reading r;
	struct vault_options o = { .url = argc == 6 ? argv[1] : NULL };
	struct point_list *l = NULL;
	struct secret *key;
	size_t i;
	int status = 2;

	if (argc != 6)
		return 2;
	key = read_key(argv[2]);
	o.credential.keyfile = key;
	if (!key || vault_open(&o, &r.vault) < 0)
		return 2;
	if (vault_points(r.vault, &l) == 0 && point_find(l, argv[3], &i) == 0)
		r.disk = point_find_disk(l->points[i], argv[4]);
	r.fd = open(argv[5], O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	if (r.disk && r.fd >= 0 && ftruncate(r.fd, (off_t)r.disk->size) == 0)
		status = read_disk(&r);
	sha256_free(r.digest);
	point_list_put(l);
	vault_close(r.vault);
	secret_free(key);
	return status;
}
