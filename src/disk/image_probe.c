/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an image file is, by its first and last bytes. Only what is needed to
 * choose who reads it: qemu-nbd looks closer.
 */
#include "config.h"

#include "src/disk/source.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/bytes.h"

#define HEAD (64u << 10)
#define FOOTER 512
#define QCOW2_BACKING 8 /* be64: where its name is; 0: none */
#define QCOW2_INCOMPATIBLE 72 /* be64, from version 3 on */
#define QCOW2_EXTERNAL_DATA 4
#define VHD_SIZE 48 /* be64: current size */
#define VHD_TYPE 60 /* be32 */
#define VHD_FIXED 2
#define VHD_DIFFERENCING 4

static uint64_t be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | *p++;
	return v;
}

static int read_at(int fd, uint64_t off, void *out, size_t len, size_t *got)
{
	ssize_t n;

	do
		n = pread(fd, out, len, (off_t)off);
	while (n < 0 && errno == EINTR);
	*got = n < 0 ? 0 : (size_t)n;
	return n < 0 ? -errno : 0;
}

static bool starts(const uint8_t *head, size_t len, const void *magic, size_t n)
{
	return len >= n && memcmp(head, magic, n) == 0;
}

static bool qcow2_chained(const uint8_t *head, size_t len)
{
	if (len < QCOW2_INCOMPATIBLE + 8)
		return true; /* not to be trusted */
	return be(head + QCOW2_BACKING, 8) != 0 ||
	       (be(head + 4, 4) >= 3 &&
		(be(head + QCOW2_INCOMPATIBLE, 8) & QCOW2_EXTERNAL_DATA));
}

static bool is_fixed_vhd(const uint8_t *footer, uint64_t size)
{
	return memcmp(footer, "conectix", 8) == 0 &&
	       be(footer + VHD_TYPE, 4) == VHD_FIXED &&
	       be(footer + VHD_SIZE, 8) == size - FOOTER;
}

static const char *by_head(const uint8_t *head, size_t len, bool *chained)
{
	static const char text[] = "# Disk DescriptorFile";
	static const char parent[] = "parentFileNameHint";

	if (starts(head, len, "QFI\xfb", 4)) {
		*chained = qcow2_chained(head, len);
		return "qcow2";
	}
	if (starts(head, len, "conectix", 8)) {
		*chained = len < VHD_TYPE + 4 ||
			   be(head + VHD_TYPE, 4) == VHD_DIFFERENCING;
		return "vpc";
	}
	if (starts(head, len, "vhdxfile", 8))
		return "vhdx";
	if (starts(head, len, "KDMV", 4)) {
		*chained = memmem(head, len, parent, sizeof(parent) - 1);
		return "vmdk";
	}
	if (starts(head, len, text, sizeof(text) - 1)) {
		*chained = true; /* the data lie in other files */
		return "vmdk";
	}
	return NULL;
}

int disk_image_probe(int fd, const char **format_out, bool *chained_out)
{
	uint8_t head[HEAD], footer[FOOTER];
	const char *found;
	struct stat st;
	size_t len;
	int r;

	*format_out = "raw";
	*chained_out = false;
	if (fstat(fd, &st) < 0)
		return -errno;
	r = read_at(fd, 0, head, sizeof(head), &len);
	if (r < 0)
		return r;
	found = by_head(head, len, chained_out);
	if (found) {
		*format_out = found;
		return 0;
	}
	if (st.st_size <= FOOTER)
		return 0;
	r = read_at(fd, (uint64_t)st.st_size - FOOTER, footer, sizeof(footer),
		    &len);
	if (r == 0 && len == FOOTER &&
	    is_fixed_vhd(footer, (uint64_t)st.st_size))
		*format_out = "vpc";
	return r;
}
