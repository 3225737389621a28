/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Listing a local directory. An error is an error, never the end of the list:
 * what is missing in a listing may be taken for deleted.
 */
#include "config.h"

#include "store/backend/dir_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/log.h"

const char *const dir_folders[] = { "commit", "index",	 "key", "pack",
				    "point",  "session", NULL };

struct dir_listing {
	struct backend_dir *d;
	backend_list_fn *fn;
	void *arg;
	char name[BACKEND_NAME_MAX + 2];
};

static int list_folder(struct dir_listing *l, int fd, size_t len);

/* One entry of @fd; its name in the vault is l->name, @len long. */
static int list_entry(struct dir_listing *l, int fd, const char *leaf,
		      size_t len)
{
	struct backend_info info;
	struct stat st;
	int r, child;

	if (fstatat(fd, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		r = -errno;
		/* Deleted since: then it is not there. */
		return r == -ENOENT ? 0 : dir_fail(l->d, r, "look at", l->name);
	}
	if (S_ISREG(st.st_mode)) {
		info = dir_info(&st);
		return l->fn(l->arg, l->name, &info);
	}
	if (!S_ISDIR(st.st_mode))
		return dir_not_an_object(l->d, l->name);
	child = openat(fd, leaf, O_RDONLY | DIR_FOLDER);
	if (child < 0) {
		r = -errno;
		return r == -ENOENT ? 0 : dir_fail(l->d, r, "list", l->name);
	}
	l->name[len] = '/';
	return list_folder(l, child, len + 1);
}

/* List @fd, which this closes; its name is the first @len of l->name. */
static int list_folder(struct dir_listing *l, int fd, size_t len)
{
	DIR *dir = fdopendir(fd);
	struct dirent *e;
	int r = 0;

	if (!dir) {
		close(fd);
		return -ENOMEM;
	}
	while (r == 0) {
		size_t n;

		errno = 0;
		e = readdir(dir);
		l->name[len] = '\0';
		if (!e && errno)
			r = dir_fail(l->d, -errno, "list",
				     len ? l->name : "it");
		if (!e)
			break;
		/* What no object can be called is none: lost+found, an unnamed
		 * file's stand-in. */
		n = strlen(e->d_name);
		if (len + n > BACKEND_NAME_MAX)
			continue;
		memcpy(l->name + len, e->d_name, n + 1);
		if (backend_name_valid(l->name))
			r = list_entry(l, fd, e->d_name, len + n);
	}
	closedir(dir);
	return r;
}

int dir_list_objects(struct backend *b, const char *prefix, backend_list_fn *fn,
		     void *arg)
{
	struct backend_dir *d = dir_of(b);
	struct dir_listing l = { .d = d, .fn = fn, .arg = arg };
	size_t len = strlen(prefix);
	const char *leaf = NULL;
	AUTO_CLOSE int folder = dir_open_folder(d, prefix, &leaf);
	struct stat st;
	int fd = -1, r;

	/* A removed folder reads as an empty one; an empty vault it is not. */
	if (fstat(d->root, &st) == 0 && st.st_nlink == 0)
		return fail(-EIO, "vault %s: its directory has been removed",
			    b->url);
	memcpy(l.name, prefix, len + 1);
	r = folder;
	if (folder >= 0) {
		fd = openat(folder, ".", O_RDONLY | DIR_FOLDER);
		r = fd < 0 ? -errno : 0;
	}
	if (r == -ENOENT)
		return 0;
	if (dir_is_misfit(r))
		return dir_not_an_object(d, prefix);
	if (r < 0)
		return dir_fail(d, r, "list", len ? prefix : "it");
	return list_folder(&l, fd, len);
}

static int refuse_object(void *arg, const char *name,
			 const struct backend_info *info)
{
	const struct backend_dir *d = arg;

	(void)info;
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
		    strcmp(e->d_name, "lost+found") != 0)
			r = refuse_object(d, e->d_name, NULL);
	}
	closedir(dir);
	return r < 0 ? r : dir_list_objects(&d->base, "", refuse_object, d);
}
