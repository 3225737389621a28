/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is on it: libblkid, which reads descriptors only, gets a sparse file in
 * memory with the first and last bytes, where superblocks are. Some formats
 * keep what tells them from others further inside, at a place that their first
 * sector names: these bytes are in the file too.
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
#include "store/base/bytes.h"
#include "store/base/log.h"

/* VMFS has its superblock 2 MiB behind the begin. */
#define HEAD (((uint64_t)2 << 20) + ((uint64_t)64 << 10))
#define TAIL ((uint64_t)2 << 20)
#define PIECE ((size_t)64 << 10)

static bool all_zero(const uint8_t *p, size_t len)
{
	return len == 0 || (p[0] == 0 && memcmp(p, p + 1, len - 1) == 0);
}

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

/* Note a further type that a reader may try. */
static void add_other(struct probe *out, const char *type)
{
	size_t i;

	if (strcmp(out->type, type) == 0)
		return;
	for (i = 0; i < PROBE_OTHERS; i++) {
		if (strcmp(out->others[i], type) == 0)
			return;
		if (!out->others[i][0]) {
			snprintf(out->others[i], sizeof(out->others[i]), "%s",
				 type);
			return;
		}
	}
}

/*
 * Two signatures: something is left of a filesystem that was there before.
 * Which of the two that is the signatures do not tell. The first that there is
 * a reader for is tried first.
 */
static void take_several(blkid_probe pr, struct probe *out)
{
	struct probe one, found = { .type = "" };

	blkid_reset_probe(pr);
	while (blkid_do_probe(pr) == 0) {
		take_all(pr, &one);
		if (!one.type[0])
			continue;
		if (!found.type[0] ||
		    (!guest_knows(found.type) && guest_knows(one.type))) {
			found = one;
			continue;
		}
		if (guest_knows(one.type))
			add_other(&found, one.type);
	}
	*out = found;
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

/* ---- what lies further inside ---- */

#define FAR_LEN 8192u /* four records of the MFT, or a header of BitLocker */

/* The byte behind @clusters of the boot sector @s of NTFS, or of Vista. */
static uint64_t cluster_place(const uint8_t *s, uint64_t clusters)
{
	uint32_t per = s[13], sector = get_le16(s + 11);

	/* Over 128 it is a negative power of two. */
	if (per > 128)
		per = 1u << MIN(256 - per, 31u);
	if (per && clusters > UINT64_MAX / per / MAX(sector, 1u))
		return 0;
	return clusters * per * sector;
}

/*
 * Where else a boot sector says that there is something by which libblkid knows
 * the format: the MFT of NTFS, which Windows puts at 3 GiB, and the metadata of
 * BitLocker (util-linux, libblkid/src/superblocks/{ntfs,bitlocker}.c). 0:
 * nowhere.
 */
static uint64_t far_place(const uint8_t *s)
{
	static const uint8_t to_go[] = { 0x3b, 0xd6, 0x67, 0x49, 0x29, 0x2e,
					 0xd8, 0x4a, 0x83, 0x99, 0xf6, 0xa3,
					 0x39, 0xe3, 0xd0, 0x01 };

	if (memcmp(s + 3, "NTFS    ", 8) == 0)
		return cluster_place(s, get_le64(s + 48));
	if (memcmp(s, "\xeb\x52\x90-FVE-FS-", 11) == 0)
		return cluster_place(s, get_le64(s + 56));
	if (memcmp(s + 3, "-FVE-FS-", 8) == 0)
		return get_le64(s + 176);
	if (memcmp(s + 3, "MSWIN4.1", 8) == 0 &&
	    memcmp(s + 424, to_go, sizeof(to_go)) == 0)
		return get_le64(s + 440);
	return 0;
}

static int copy_far(struct blocks *b, int fd)
{
	uint8_t s[512];
	uint64_t at;
	int r = blocks_read(b, 0, s, sizeof(s));

	if (r < 0)
		return r;
	at = far_place(s);
	if (at == 0 || at >= b->size)
		return 0;
	return probe_copy(b, fd, at, at + MIN((uint64_t)FAR_LEN, b->size - at));
}

/* Why nothing was found, as far as can be told. */
static const char *words_of(struct blocks *b)
{
	static const uint64_t places[] = { 0, 64, 512 };
	uint8_t s[4];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(places); i++)
		if (blocks_read(b, places[i], s, sizeof(s)) == 0 &&
		    get_le32(s) == 0x82564557)
			return "a BSD disklabel: its slices are not read: use "
			       "the .raw file beside it";
	return "no filesystem that is known was found";
}

static int probe_fd(int fd, struct probe *out)
{
	blkid_probe pr = blkid_new_probe();
	int found, r = -EIO;

	if (!pr)
		return -ENOMEM;
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
		take_several(pr, out);
	if (strcmp(out->type, "udf") == 0)
		try_iso(pr, out);
	r = 0;
out:
	blkid_free_probe(pr);
	return r;
}

int probe_blocks(struct blocks *b, struct probe *out)
{
	int fd, r;

	memset(out, 0, sizeof(*out));
	out->words = "no filesystem that is known was found";
	if (b->size < 512)
		return 0;
	r = probe_memfd(b, HEAD, TAIL, &fd);
	if (r < 0)
		return r;
	r = copy_far(b, fd);
	if (r == 0)
		r = probe_fd(fd, out);
	close(fd);
	if (r == 0 && !out->type[0])
		out->words = words_of(b);
	return r;
}
