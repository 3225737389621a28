/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The device that libntfs-3g reads: our blocks. It can do nothing but read.
 *
 * The library is started on it with ntfs_volume_startup(), which loads the
 * MFT and no more: what ntfs_device_mount() would do beyond ($Bitmap, $Secure,
 * $AttrDef, the mirror equal to the MFT) is not needed to read files, and an
 * image of a running machine need not pass it.
 */
#include "config.h"

#include "fs/guest/ntfs/internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <ntfs-3g/logging.h>

#include "store/base/bytes.h"
#include "store/base/log.h"

#define BOOT_LEN 512
#define OFFSET_MAX ((int64_t)1 << 62)

/* The seek position is of no use: all reads of the library say where. */
static int device_open(struct ntfs_device *dev, int flags)
{
	(void)flags;
	if (NDevOpen(dev)) {
		errno = EBUSY;
		return -1;
	}
	NDevSetOpen(dev);
	NDevSetReadOnly(dev);
	return 0;
}

static int device_close(struct ntfs_device *dev)
{
	NDevClearOpen(dev);
	return 0;
}

static s64 device_seek(struct ntfs_device *dev, s64 offset, int whence)
{
	(void)dev;
	if (whence != SEEK_SET || offset < 0 || offset > OFFSET_MAX) {
		errno = EINVAL;
		return -1;
	}
	return offset;
}

static s64 device_read(struct ntfs_device *dev, void *out, s64 len)
{
	(void)dev;
	(void)out;
	(void)len;
	errno = EOPNOTSUPP;
	return -1;
}

static s64 device_write(struct ntfs_device *dev, const void *data, s64 len)
{
	(void)dev;
	(void)data;
	(void)len;
	errno = EROFS;
	return -1;
}

static s64 device_pwrite(struct ntfs_device *dev, const void *data, s64 len,
			 s64 off)
{
	(void)off;
	return device_write(dev, data, len);
}

static s64 device_pread(struct ntfs_device *dev, void *out, s64 len, s64 off)
{
	struct ntfs *n = dev->d_private;
	uint64_t size = n->meta->size;
	int r;

	if (len < 0 || off < 0) {
		errno = EINVAL;
		return -1;
	}
	if ((uint64_t)off >= size)
		return 0;
	if ((uint64_t)len > size - (uint64_t)off)
		len = (s64)(size - (uint64_t)off);
	r = blocks_read(n->meta, (uint64_t)off, out, (size_t)len);
	if (r < 0) {
		n->err = r;
		errno = EIO;
		return -1;
	}
	return len;
}

static int device_sync(struct ntfs_device *dev)
{
	(void)dev;
	return 0;
}

static int device_stat(struct ntfs_device *dev, struct stat *out)
{
	struct ntfs *n = dev->d_private;

	memset(out, 0, sizeof(*out));
	out->st_mode = S_IFREG | 0400;
	out->st_size = (off_t)n->meta->size;
	return 0;
}

static int device_ioctl(struct ntfs_device *dev, unsigned long request,
			void *arg)
{
	(void)dev;
	(void)request;
	(void)arg;
	errno = EOPNOTSUPP;
	return -1;
}

/* Not const, for so the library wants it; nobody writes to it. */
static struct ntfs_device_operations device_ops = {
	.open = device_open,
	.close = device_close,
	.seek = device_seek,
	.read = device_read,
	.write = device_write,
	.pread = device_pread,
	.pwrite = device_pwrite,
	.sync = device_sync,
	.stat = device_stat,
	.ioctl = device_ioctl,
};

/* What the library has to say is for those who look for its mistakes: what
 * users need, we say ourselves. */
static __attribute__((format(printf, 6, 0))) int
library_says(const char *function, const char *file, int line, u32 level,
	     void *data, const char *format, va_list args)
{
	char text[400];
	int n, saved = errno;

	(void)file;
	(void)line;
	(void)level;
	(void)data;
	n = vsnprintf(text, sizeof(text), format, args);
	if (n > 0 && text[strlen(text) - 1] == '\n')
		text[strlen(text) - 1] = '\0';
	log_debug("libntfs-3g: %s: %s", function ? function : "", text);
	errno = saved;
	return n;
}

/* The library's only global state. */
static void library_init(void)
{
	ntfs_log_set_handler(library_says);
	ntfs_log_set_levels(NTFS_LOG_LEVEL_WARNING | NTFS_LOG_LEVEL_ERROR |
			    NTFS_LOG_LEVEL_PERROR | NTFS_LOG_LEVEL_CRITICAL);
}

/* The length that a boot sector's signed byte says. 0: it cannot be. */
static uint64_t record_len(uint8_t code, uint64_t cluster)
{
	if (code < 0x80)
		return code * cluster;
	return 256 - code < 32 ? UINT64_C(1) << (256 - code) : 0;
}

static bool is_power(uint64_t v)
{
	return v && !(v & (v - 1));
}

/* The library believes more of the boot sector than is good for it. */
static int boot_check(struct ntfs *n, struct buf *why)
{
	uint64_t sector, cluster, record, index, sectors;
	uint8_t boot[BOOT_LEN];
	int r;

	if (n->meta->size < BOOT_LEN) {
		buf_printf(why, "too small for an NTFS filesystem");
		return -EBADMSG;
	}
	r = blocks_read(n->meta, 0, boot, sizeof(boot));
	if (r < 0)
		return r;
	if (memcmp(boot + 3, "NTFS    ", 8)) {
		buf_printf(why, "no NTFS boot sector");
		return -EBADMSG;
	}
	sector = get_le16(boot + 0x0b);
	cluster = boot[0x0d];
	cluster = cluster <= 0x80	? cluster * sector
		  : 256 - cluster <= 12 ? sector << (256 - cluster)
					: 0;
	record = record_len(boot[0x40], cluster);
	index = record_len(boot[0x44], cluster);
	sectors = get_le64(boot + 0x28);
	if (!is_power(sector) || sector < 512 || sector > 4096 ||
	    !is_power(cluster) || cluster > (2u << 20) || !is_power(record) ||
	    record < 512 || record > (64u << 10) || !is_power(index) ||
	    index < 512 || index > (2u << 20) || !sectors ||
	    sectors > (uint64_t)OFFSET_MAX / sector) {
		buf_printf(why, "the NTFS boot sector is damaged");
		return -EBADMSG;
	}
	if (sectors * sector > n->meta->size)
		log_warn("NTFS: the filesystem is of %llu bytes, what holds it "
			 "is %llu bytes long: files at its end cannot be read",
			 (unsigned long long)(sectors * sector),
			 (unsigned long long)n->meta->size);
	snprintf(n->g->info.uuid, sizeof(n->g->info.uuid), "%016llX",
		 (unsigned long long)get_le64(boot + 0x48));
	return 0;
}

int ntfs_device_start(struct ntfs *n, struct buf *why)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct ntfs_device *dev;
	int r;

	pthread_once(&once, library_init);
	r = blocks_cached(n->g->blocks, n->g->memory, &n->meta);
	if (r < 0)
		return r;
	r = boot_check(n, why);
	if (r < 0)
		return r;
	dev = ntfs_device_alloc("guest", 0, &device_ops, n);
	if (!dev)
		return -ENOMEM;
	errno = 0;
	n->vol = ntfs_volume_startup(dev, NTFS_MNT_RDONLY | NTFS_MNT_FORENSIC);
	if (n->vol)
		return 0;
	r = n->err ? n->err : errno == ENOMEM ? -ENOMEM : -EBADMSG;
	ntfs_device_free(dev);
	buf_printf(why, "the master file table of NTFS is damaged");
	return r;
}

void ntfs_device_stop(struct ntfs *n)
{
	if (n->vol)
		ntfs_umount(n->vol, TRUE);
	n->vol = NULL;
	blocks_put(n->meta);
	n->meta = NULL;
}

int ntfs_error(struct ntfs *n, const char *what, uint64_t record)
{
	int e = errno;

	if (n->err)
		return n->err;
	if (e == ENOMEM || e == ENOENT)
		return -e;
	return fail(-EBADMSG, "NTFS: record %llu: %s",
		    (unsigned long long)record, what);
}
