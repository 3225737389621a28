/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Listing a local directory. An error is an error, never the end of the list:
 * what is missing in a listing may be taken for deleted.
 */
#include "config.h"

#include "store/backend/dir_internal.h"

#include <dirent.h>
#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/seam.h"

/* Of all kinds of objects but config, which lies beside them. */
const char *const dir_folders[] = {
	"commit",    "digest", "epoch", "feature", "forget",
	"heartbeat", "index",  "key",	"ledger",  "machine",
	"note",	     "pack",   "point", "purge",   "quarantine",
	"session",   "sweep",  "tomb",	NULL,
};

/* One folder is one page, and each folder in it a token: its name. */
struct folder_page {
	struct backend_dir *d;
	struct backend_page *page;
	char name[BACKEND_NAME_MAX + 2]; /* of the folder, then of an entry */
	size_t len; /* of the folder's */
};

/* Is the name, or the folder that it is in, one of a vault's? */
static bool is_ours(const char *name)
{
	size_t n = strcspn(name, "/"), i;

	for (i = 0; dir_folders[i]; i++)
		if (strlen(dir_folders[i]) == n &&
		    memcmp(dir_folders[i], name, n) == 0)
			return true;
	return false;
}

/* Is that the name of a vault's folder? Most kinds of objects lie side by side in
 * one, and packs in folders of two digits. */
static bool is_our_folder(const char *name)
{
	const char *rest = strchr(name, '/');

	if (!rest)
		return is_ours(name);
	return strncmp(name, "pack/", strlen("pack/")) == 0 &&
	       strlen(rest + 1) == 2 &&
	       strspn(rest + 1, "0123456789abcdef") == 2;
}

/* Can there be objects in a folder of that name? Nothing is known of those of
 * other kinds. */
static bool may_hold_objects(const char *name)
{
	return is_our_folder(name) || !strchr(name, '/') || !is_ours(name);
}

/* One entry of @fd, whose name in the vault is l->name. */
static int add_entry(struct folder_page *l, int fd, const struct dirent *e)
{
	struct backend_info info = { .size = 0 };
	const char *leaf = e->d_name;
	mode_t mode;
	int r;

	if (l->page->plain && e->d_type == DT_REG && !is_our_folder(l->name))
		return backend_page_add(l->page, l->name, &info);
	r = dir_look(fd, leaf, &mode, &info);
	if (r < 0) {
		/* Deleted since: then it is not there. */
		return r == -ENOENT ? 0 : dir_fail(l->d, r, "look at", l->name);
	}
	if (S_ISDIR(mode) && may_hold_objects(l->name)) {
		memcpy(l->name + strlen(l->name), "/", 2);
		return backend_page_more(l->page, l->name);
	}
	/* What is in the folder that belongs there would be taken for lost. */
	if (!S_ISDIR(mode) && is_our_folder(l->name))
		return dir_not_an_object(l->d, l->name);
	/* It may stand where an object belongs, and shall not be taken for
	 * nothing. */
	if (!S_ISREG(mode))
		info.size = 0;
	return backend_page_add(l->page, l->name, &info);
}

/* What no object can be called is none: lost+found, an unnamed file's
 * stand-in. */
static int add_name(struct folder_page *l, int fd, const struct dirent *e)
{
	const char *leaf = e->d_name;
	size_t n = strlen(leaf);

	if (l->len + n > BACKEND_NAME_MAX)
		return 0;
	memcpy(l->name + l->len, leaf, n + 1);
	return backend_name_valid(l->name) ? add_entry(l, fd, e) : 0;
}

/* Read the folder @fd, which this closes. */
static int read_folder(struct folder_page *l, const struct backend_call *c,
		       int fd)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	size_t n = 0;
	int r = 0;

	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0) {
		errno = 0;
		e = readdir(dir);
		l->name[l->len] = '\0';
		if (!e && errno)
			r = dir_fail(l->d, -errno, "list",
				     l->len ? l->name : "it");
		if (!e)
			break;
		r = add_name(l, fd, e);
		/* To ask for the time takes as long as a name does. */
		if (r == 0 && ++n % 64 == 0)
			r = backend_call_over(c);
	}
	closedir(dir);
	return r;
}

/* Somebody else's folder that cannot be read hides no object: it is listed
 * itself, for whoever wants to know of it. */
static int add_foreign(struct folder_page *l)
{
	struct backend_info info = { .size = 0 };

	l->name[l->len - 1] = '\0';
	return backend_page_add(l->page, l->name, &info);
}

int dir_list_page(struct backend *b, const struct backend_call *c,
		  const char *prefix, const char *token,
		  struct backend_page *page)
{
	struct backend_dir *d = dir_of(b);
	const char *path = token ? token : prefix;
	struct folder_page l = { .d = d, .page = page, .len = strlen(path) };
	const char *leaf = NULL;
	AUTO_CLOSE int folder = dir_open_folder(d, path, &leaf);
	struct stat st;
	int fd = -1, r;

	/* A removed folder reads as an empty one; an empty vault it is not. */
	if (fstat(d->root, &st) == 0 && st.st_nlink == 0)
		return fail(-EIO, "vault %s: its directory has been removed",
			    b->url);
	memcpy(l.name, path, l.len + 1);
	r = folder;
	if (folder >= 0) {
		fd = openat(folder, ".", O_RDONLY | DIR_FOLDER);
		r = fd < 0 ? -errno : 0;
	}
	if (r == -ENOENT)
		return 0;
	if (r < 0 && token && !is_ours(path))
		return add_foreign(&l);
	if (dir_is_misfit(r))
		return dir_not_an_object(d, path);
	if (r < 0)
		return dir_fail(d, r, "list", l.len ? path : "it");
	return read_folder(&l, c, fd);
}

/* ---- stamps ---- */

/* The coarsest grain of times that there is. */
#define GRAIN_NS INT64_C(2000000000)

/*
 * Filesystems of this kernel alone, where each change of a folder sets its times.
 * What a network or another program serves may be answered from a cache that is
 * minutes old.
 */
static bool is_local(int fd)
{
	static const unsigned long kinds[] = {
		EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
		F2FS_SUPER_MAGIC, TMPFS_MAGIC,
	};
	struct statfs fs;
	size_t i;

	if (fstatfs(fd, &fs) < 0)
		return false;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((unsigned long)fs.f_type == kinds[i])
			return true;
	return false;
}

static int64_t in_ns(const struct timespec *ts)
{
	return (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
}

/* A program can set the one time of a folder as it likes, but not the other. */
bool dir_stamp(struct backend *b, const char *prefix, struct backend_stamp *out)
{
	struct backend_dir *d = dir_of(b);
	int64_t now = dir_seam(d)->ops->realtime_ns(dir_seam(d));
	const char *leaf = NULL;
	AUTO_CLOSE int folder = dir_open_folder(d, prefix, &leaf);
	int64_t changed;
	struct stat st;

	if (folder < 0 || fstat(folder, &st) < 0 || st.st_nlink == 0 ||
	    !is_local(folder))
		return false;
	changed = in_ns(&st.st_ctim);
	out->words[0] = st.st_dev;
	out->words[1] = st.st_ino;
	out->words[2] = (uint64_t)in_ns(&st.st_mtim);
	out->words[3] = (uint64_t)changed;
	out->words[4] = (uint64_t)st.st_size;
	return changed <= now - GRAIN_NS;
}

void dir_note_folders(struct backend_dir *d)
{
	struct stat st;
	size_t i;

	for (i = 0; dir_folders[i]; i++)
		if (fstatat(d->root, dir_folders[i], &st,
			    AT_SYMLINK_NOFOLLOW) == 0)
			d->had |= UINT32_C(1) << i;
}

bool dir_had(const struct backend_dir *d, const char *path, size_t len)
{
	size_t i;

	for (i = 0; dir_folders[i]; i++)
		if (strlen(dir_folders[i]) == len &&
		    memcmp(dir_folders[i], path, len) == 0)
			return d->had >> i & 1;
	return false;
}

/* What stands in a folder's place is found by whoever lists that. */
int dir_missing_folders(struct backend *b,
			int (*fn)(void *arg, const char *folder), void *arg)
{
	struct backend_dir *d = dir_of(b);
	struct stat st;
	size_t i;
	int r = 0;

	for (i = 0; dir_folders[i] && r == 0; i++) {
		if (fstatat(d->root, dir_folders[i], &st,
			    AT_SYMLINK_NOFOLLOW) == 0)
			continue;
		r = errno == ENOENT
			    ? fn(arg, dir_folders[i])
			    : dir_fail(d, -errno, "look at", dir_folders[i]);
	}
	return r;
}

static int refuse_object(void *arg, const char *name,
			 const struct backend_info *info)
{
	const struct backend_dir *d = arg;

	(void)info;
	/* A key of nothing, or what was tried out: an interrupted create leaves
	 * them, before there is anything else. */
	if (strncmp(name, "key/", strlen("key/")) == 0 ||
	    strncmp(name, "probe/", strlen("probe/")) == 0)
		return 0;
	return fail(
		-EEXIST,
		"vault %s: the directory is not empty: it has %s; choose a new or an empty one",
		d->base.url, name);
}

/*
 * Is the directory without anybody's files? A new filesystem's lost+found is
 * nobody's, and folders without an object are what a killed create leaves.
 */
int dir_check_empty(struct backend_dir *d)
{
	int fd = openat(d->root, ".", O_RDONLY | DIR_FOLDER);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!dir) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return dir_fail(d, r, "list", "it");
	}
	while (r == 0) {
		size_t i;

		errno = 0;
		e = readdir(dir);
		if (!e && errno)
			r = dir_fail(d, -errno, "list", "it");
		if (!e)
			break;
		for (i = 0; dir_folders[i]; i++)
			if (strcmp(e->d_name, dir_folders[i]) == 0)
				break;
		if (!dir_folders[i] && strcmp(e->d_name, ".") != 0 &&
		    strcmp(e->d_name, "..") != 0 &&
		    strcmp(e->d_name, "lost+found") != 0 &&
		    strcmp(e->d_name, "probe") != 0)
			r = refuse_object(d, e->d_name, NULL);
	}
	closedir(dir);
	return r < 0 ? r : backend_list(&d->base, "", refuse_object, d);
}
