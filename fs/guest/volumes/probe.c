/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is on it: libblkid, which reads descriptors only, gets a sparse file in
 * memory with the first and last bytes, where all superblocks are.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <blkid/blkid.h>

#include "fs/guest/guest.h"
#include "fs/guest/volumes/internal.h"
#include "store/base/log.h"

#define ENDS ((uint64_t)2 << 20)
#define PIECE ((size_t)64 << 10)

static bool all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

/* (But what is zero.) */
int probe_copy(struct blocks *b, int fd, uint64_t off, uint64_t end)
{
	uint8_t *piece = malloc(PIECE);
	int r = piece ? 0 : -ENOMEM;

	while (r == 0 && off < end) {
		uint64_t data = off;
		size_t n;

		r = blocks_seek(b, off, false, &data);
		if (r == -ENXIO || (r == 0 && data >= end)) {
			r = 0;
			break;
		}
		if (r < 0)
			break;
		off = data;
		n = (size_t)MIN((uint64_t)PIECE, end - off);
		r = blocks_read(b, off, piece, n);
		if (r == 0 && !all_zero(piece, n) &&
		    pwrite(fd, piece, n, (off_t)off) != (ssize_t)n)
			r = fail(-EIO, "probe: memory file: %s",
				 strerror(errno));
		off += n;
	}
	free(piece);
	return r;
}

int probe_memfd(struct blocks *b, uint64_t head, uint64_t tail, int *fd_out)
{
	int fd, r;

	*fd_out = -1;
	if (b->size > INT64_MAX)
		return -EFBIG;
	head = MIN(head, b->size);
	tail = MIN(tail, b->size - head);
	fd = memfd_create("vmbackupfs-probe", MFD_CLOEXEC);
	if (fd < 0)
		return fail(-errno, "probe: memfd_create: %s", strerror(errno));
	r = ftruncate(fd, (off_t)b->size) < 0 ? -errno : 0;
	if (r == 0)
		r = probe_copy(b, fd, 0, head);
	if (r == 0)
		r = probe_copy(b, fd, b->size - tail, b->size);
	if (r < 0) {
		close(fd);
		return r;
	}
	*fd_out = fd;
	return 0;
}

static void take(blkid_probe pr, const char *name, char *out, size_t size)
{
	const char *value;

	if (blkid_probe_lookup_value(pr, name, &value, NULL) == 0)
		snprintf(out, size, "%s", value);
}

static void take_all(blkid_probe pr, struct probe *out)
{
	memset(out, 0, sizeof(*out));
	take(pr, "TYPE", out->type, sizeof(out->type));
	take(pr, "LABEL", out->label, sizeof(out->label));
	take(pr, "UUID", out->uuid, sizeof(out->uuid));
	take(pr, "VERSION", out->version, sizeof(out->version));
}

/* Two signatures: the first that there is a reader for. */
static void take_first(blkid_probe pr, struct probe *out)
{
	struct probe one;

	blkid_reset_probe(pr);
	while (blkid_do_probe(pr) == 0) {
		take_all(pr, &one);
		if (!one.type[0] || (out->type[0] && !guest_knows(one.type)))
			continue;
		*out = one;
		if (guest_knows(one.type))
			return;
	}
}

/* A disc with both UDF and ISO 9660 is read as the latter. */
static void try_iso(blkid_probe pr, struct probe *out)
{
	static char iso[] = "iso9660";
	char *only[] = { iso, NULL };

	blkid_reset_probe(pr);
	if (blkid_probe_filter_superblocks_type(pr, BLKID_FLTR_ONLYIN, only) ==
		    0 &&
	    blkid_do_safeprobe(pr) == 0)
		take_all(pr, out);
}

int probe_blocks(struct blocks *b, struct probe *out)
{
	blkid_probe pr = NULL;
	int fd, r, found;

	memset(out, 0, sizeof(*out));
	if (b->size < 512)
		return 0;
	r = probe_memfd(b, ENDS, ENDS, &fd);
	if (r < 0)
		return r;
	pr = blkid_new_probe();
	r = -ENOMEM;
	if (!pr)
		goto out;
	r = -EIO;
	if (blkid_probe_set_device(pr, fd, 0, 0) < 0 ||
	    blkid_probe_enable_superblocks(pr, 1) < 0 ||
	    blkid_probe_set_superblocks_flags(
		    pr, BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID |
				BLKID_SUBLKS_TYPE | BLKID_SUBLKS_VERSION) < 0)
		goto out;
	found = blkid_do_safeprobe(pr);
	if (found == 0)
		take_all(pr, out);
	else if (found == -2)
		take_first(pr, out);
	if (strcmp(out->type, "udf") == 0)
		try_iso(pr, out);
	r = 0;
out:
	blkid_free_probe(pr);
	close(fd);
	return r;
}
