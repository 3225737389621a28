/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A filesystem that says what no proper one does, for backups to read:
 *
 *     odd_fs DIR [FUSE-OPTION]...
 *
 *     empty, short       say 0 and 3 bytes, hold 300,000
 *     tiny               says 0 bytes, holds 5
 *     no-seek, bad-seek  know nothing of holes, or talk nonsense about them
 *     attrs, attr-dir    have three attributes, the second cannot be read, and
 *                        list the last one twice
 *     huge, huge-dir     say that they have 2^63 - 1 bytes
 *     settling           changes at each read, until it is opened again
 *     plain              nothing is wrong with it
 *
 * All times are of 1970, and inode numbers stay as they are.
 */
#define FUSE_USE_VERSION 312

#include "config.h"

#include <errno.h>
#include <fuse.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define LONG_LEN 300000

struct odd_file {
	const char *name;
	off_t said, len;
	mode_t mode;
};

static const struct odd_file files[] = {
	{ "/empty", 0, LONG_LEN, S_IFREG | 0644 },
	{ "/short", 3, LONG_LEN, S_IFREG | 0644 },
	{ "/tiny", 0, 5, S_IFREG | 0644 },
	{ "/no-seek", LONG_LEN, LONG_LEN, S_IFREG | 0644 },
	{ "/bad-seek", LONG_LEN, LONG_LEN, S_IFREG | 0644 },
	{ "/attrs", 5, 5, S_IFREG | 0644 },
	{ "/attr-dir", 0, 0, S_IFDIR | 0755 },
	{ "/huge", INT64_MAX, 0, S_IFREG | 0644 },
	{ "/huge-dir", INT64_MAX, 0, S_IFDIR | 0755 },
	{ "/settling", 5, 5, S_IFREG | 0644 },
	{ "/plain", 5, 5, S_IFREG | 0644 },
};

/* Of "settling". */
static atomic_int opened, changes;

static const struct odd_file *find(const char *path)
{
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (strcmp(files[i].name, path) == 0)
			return &files[i];
	return NULL;
}

static int odd_getattr(const char *path, struct stat *st,
		       struct fuse_file_info *fi)
{
	const struct odd_file *f = find(path);

	(void)fi;
	memset(st, 0, sizeof(*st));
	st->st_ino = f ? (ino_t)(f - files + 2) : 1;
	st->st_nlink = 1;
	st->st_mode = f ? f->mode : S_IFDIR | 0755;
	st->st_size = f ? f->said : 0;
	if (!f && strcmp(path, "/") != 0)
		return -ENOENT;
	if (strcmp(path, "/settling") == 0)
		st->st_mtime = st->st_ctime = changes;
	return 0;
}

static int odd_readdir(const char *path, void *buf, fuse_fill_dir_t fill,
		       off_t off, struct fuse_file_info *fi,
		       enum fuse_readdir_flags flags)
{
	size_t i;

	(void)off;
	(void)fi;
	(void)flags;
	if (strcmp(path, "/") != 0)
		return 0;
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		fill(buf, files[i].name + 1, NULL, 0, 0);
	return 0;
}

static int odd_open(const char *path, struct fuse_file_info *fi)
{
	if (strcmp(path, "/settling") == 0)
		opened++;
	/* The kernel asks beyond the size that it knows. */
	fi->direct_io = 1;
	return 0;
}

/* Byte @i of every file. */
static char byte_at(off_t i)
{
	return (char)('a' + (i / 7 + i / 1001) % 26);
}

static int odd_read(const char *path, char *buf, size_t len, off_t off,
		    struct fuse_file_info *fi)
{
	const struct odd_file *f = find(path);
	size_t n = 0;

	(void)fi;
	for (; f && n < len && off + (off_t)n < f->len; n++)
		buf[n] = byte_at(off + (off_t)n);
	if (strcmp(path, "/settling") == 0 && n > 0) {
		buf[0] = (char)('0' + changes);
		changes += opened == 1;
	}
	return (int)n;
}

static off_t odd_lseek(const char *path, off_t off, int whence,
		       struct fuse_file_info *fi)
{
	(void)off;
	(void)whence;
	(void)fi;
	if (strcmp(path, "/bad-seek") == 0)
		return 0;
	return strcmp(path, "/no-seek") == 0 ? -EINVAL : -EOPNOTSUPP;
}

static int odd_listxattr(const char *path, char *list, size_t size)
{
	static const char names[] = "user.good\0user.bad\0user.last\0user.last";

	if (strncmp(path, "/attr", 5) != 0)
		return 0;
	if (size > 0 && size < sizeof(names))
		return -ERANGE;
	if (size > 0)
		memcpy(list, names, sizeof(names));
	return (int)sizeof(names);
}

static int odd_getxattr(const char *path, const char *name, char *value,
			size_t size)
{
	if (strncmp(path, "/attr", 5) != 0 || strncmp(name, "user.", 5) != 0)
		return -ENODATA;
	if (strcmp(name, "user.bad") == 0)
		return -EACCES;
	if (size > 0)
		value[0] = '1';
	return 1;
}

static void *odd_init(struct fuse_conn_info *conn, struct fuse_config *config)
{
	(void)conn;
	config->use_ino = 1;
	return NULL;
}

static const struct fuse_operations ops = {
	.init = odd_init,
	.getattr = odd_getattr,
	.readdir = odd_readdir,
	.open = odd_open,
	.read = odd_read,
	.lseek = odd_lseek,
	.listxattr = odd_listxattr,
	.getxattr = odd_getxattr,
};

int main(int argc, char **argv)
{
	return fuse_main(argc, argv, &ops, NULL);
}
