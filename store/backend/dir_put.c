/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How an object gets into a local directory, and stays there.
 *
 * It is durable when its bytes are (fdatasync before it has a name), when its
 * name is (fsync of its folder), and when so are the names of all folders
 * above it. Whoever makes a folder, makes its name durable before he uses it;
 * but he may have died in between, so every process does it once for itself.
 */
#include "config.h"

#include "store/backend/dir_internal.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"

#define TMP_NAME_LEN (sizeof(DIR_TMP_PREFIX) + 2 * DIR_TMP_RANDOM)
/* Folders vanish while one works in them (another process's probe ends) and
 * filesystems turn out to lack something; both are soon settled. */
#define PUT_ATTEMPTS 100

/* ---- folders ---- */

int dir_sync_folder(struct backend_dir *d, int fd)
{
	int r = dir_seam(d)->ops->fsync(dir_seam(d), fd);

	/* A filesystem that cannot sync a folder: nothing is left to be asked
	 * of it. */
	if (r == -EINVAL || r == -EOPNOTSUPP)
		return 0;
	/* The kernel reports a failed write once. The next sync of the same
	 * folder may say yes, and would be wrong. */
	if (r < 0)
		atomic_store(&d->unsure, true);
	return r;
}

void dir_names_release(struct dir_names *names)
{
	while (names->n > 0)
		free(names->name[--names->n]);
	free(names->name);
}

static bool is_noted(struct backend_dir *d, const struct dir_names *names,
		     const char *path, size_t len)
{
	size_t i;

	SCOPED_LOCK(&d->lock);
	for (i = 0; i < names->n; i++)
		if (strncmp(names->name[i], path, len) == 0 &&
		    !names->name[i][len])
			return true;
	return false;
}

/* Forgetting one (no memory) costs an fsync or a look, nothing else. */
static void note_name(struct backend_dir *d, struct dir_names *names,
		      const char *path, size_t len)
{
	char *copy;

	if (is_noted(d, names, path, len))
		return;
	copy = strndup(path, len);
	SCOPED_LOCK(&d->lock);
	if (copy &&
	    array_reserve(&names->name, &names->cap, names->n + 1) == 0) {
		names->name[names->n++] = copy;
		copy = NULL;
	}
	free(copy);
}

static void names_add(struct dir_names *names, const char *prefix, size_t len,
		      const char *part)
{
	if (array_reserve(&names->name, &names->cap, names->n + 1) < 0)
		return;
	if (asprintf(&names->name[names->n], "%.*s%s", (int)len, prefix,
		     part) >= 0)
		names->n++;
}

/*
 * Make the names of the folders in @fd durable: all those that are there now,
 * for one fsync covers them. Whoever made one may have died before his own
 * fsync, so that being there proves nothing. @path and @len: the name of @fd,
 * with its slash.
 */
static int settle(struct backend_dir *d, int fd, const char *path, size_t len)
{
	CLEANUP(dir_names_release) struct dir_names names = { .n = 0 };
	int copy = openat(fd, ".", O_RDONLY | DIR_FOLDER);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *e;
	size_t i;
	int r;

	if (!dir && copy >= 0)
		close(copy);
	while (dir && (e = readdir(dir)))
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			names_add(&names, path, len, e->d_name);
	if (dir)
		closedir(dir);
	r = dir_sync_folder(d, fd);
	for (i = 0; r == 0 && i < names.n; i++)
		note_name(d, &d->durable, names.name[i], strlen(names.name[i]));
	return r;
}

/* Enter the folder @part of @fd, with @make made where it is missing, its name
 * durable. @path up to @len is its name in the vault. */
static int enter(struct backend_dir *d, int fd, const char *part, bool make,
		 const char *path, size_t len)
{
	int child = openat(fd, part, O_RDONLY | DIR_FOLDER);
	bool made = false;
	int r;

	/* A new one would hide that what was in the old one is lost. */
	if (child < 0 && errno == ENOENT && make && dir_had(d, path, len))
		return fail(-EIO,
			    "vault %s: the folder %.*s was there, and is not "
			    "any more",
			    d->base.url, (int)len, path);
	if (child < 0 && errno == ENOENT && make) {
		r = dir_seam(d)->ops->mkdirat(dir_seam(d), fd, part, 0700);
		if (r < 0 && r != -EEXIST)
			return r;
		made = true;
		child = openat(fd, part, O_RDONLY | DIR_FOLDER);
		if (child >= 0 && r == 0)
			dir_share_folder(d, fd, child);
	}
	if (child < 0)
		return -errno;
	if (!made && is_noted(d, &d->durable, path, len))
		return child;
	r = settle(d, fd, path, len - strlen(part));
	if (r < 0) {
		close(child);
		return r;
	}
	note_name(d, &d->durable, path, len);
	return child;
}

/* Open the folder that @name lies in for writing; see enter(). */
static int enter_folder(struct backend_dir *d, const char *name, bool make,
			const char **leaf_out)
{
	int fd = openat(d->root, ".", O_RDONLY | DIR_FOLDER);
	const char *p = name, *slash;

	if (fd < 0)
		return -errno;
	while ((slash = strchr(p, '/'))) {
		char part[BACKEND_NAME_MAX + 1];
		int child;

		snprintf(part, sizeof(part), "%.*s", (int)(slash - p), p);
		child = enter(d, fd, part, make, name, (size_t)(slash - name));
		close(fd);
		if (child < 0)
			return child;
		fd = child;
		p = slash + 1;
	}
	*leaf_out = p;
	return fd;
}

/* ---- put ---- */

/* @tmp becomes the name, or "" where there is no file. */
static int new_named_file(struct backend_dir *d, int folder,
			  char tmp[TMP_NAME_LEN])
{
	struct seam *s = dir_seam(d);
	uint8_t random[DIR_TMP_RANDOM];
	int r;

	tmp[0] = '\0';
	r = s->ops->random(s, random, sizeof(random));
	if (r < 0)
		return r;
	memcpy(tmp, DIR_TMP_PREFIX, sizeof(DIR_TMP_PREFIX));
	hex_encode(random, sizeof(random), tmp + strlen(DIR_TMP_PREFIX));
	r = s->ops->openat(s, folder, tmp,
			   O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW | O_CLOEXEC,
			   0600);
	if (r < 0)
		tmp[0] = '\0';
	else
		dir_share_file(folder, r);
	return r;
}

/* @tmp becomes "" for an unnamed file, else the name that must go again. */
static int new_file(struct backend_dir *d, int folder, char tmp[TMP_NAME_LEN])
{
	struct seam *s = dir_seam(d);
	int r;

	tmp[0] = '\0';
	if (!atomic_load(&d->no_tmpfile)) {
		r = s->ops->openat(s, folder, ".",
				   O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
		if (r >= 0)
			dir_share_file(folder, r);
		if (r != -EOPNOTSUPP && r != -EISDIR && r != -EINVAL)
			return r;
		atomic_store(&d->no_tmpfile, true);
	}
	return new_named_file(d, folder, tmp);
}

static int link_file(struct backend_dir *d, int folder, int fd, const char *tmp,
		     const char *leaf)
{
	struct seam *s = dir_seam(d);
	char path[32];
	int r;

	if (tmp[0]) {
		r = s->ops->linkat(s, folder, tmp, folder, leaf, 0);
	} else {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		r = s->ops->linkat(s, AT_FDCWD, path, folder, leaf,
				   AT_SYMLINK_FOLLOW);
		/* No /proc here: next time with a name. */
		if (r == -ENOENT)
			atomic_store(&d->no_tmpfile, true);
	}
	/* How filesystems say that they have no hard links. */
	return r == -EPERM ? -EOPNOTSUPP : r;
}

/* @leaf: the end of @name, which is in @folder. */
static int put_in(struct backend_dir *d, int folder, const char *name,
		  const char *leaf, const void *data, size_t len)
{
	size_t path_len = (size_t)(leaf - name);
	struct seam *s = dir_seam(d);
	char tmp[TMP_NAME_LEN];
	int fd, r, r2;

	fd = new_file(d, folder, tmp);
	if (fd < 0)
		return fd;
	/* After a failed sync the kernel takes the pages for clean: asking
	 * the same file again would get a wrong yes. So it is given up. */
	r = seam_pwrite_all(s, fd, data, len, 0);
	if (r == 0)
		r = s->ops->fdatasync(s, fd);
	if (r == 0)
		r = link_file(d, folder, fd, tmp, leaf);
	/* A leftover of this is no object; it does no harm. */
	if (tmp[0])
		s->ops->unlinkat(s, folder, tmp, 0);
	if (tmp[0] && !is_noted(d, &d->swept, name, path_len)) {
		note_name(d, &d->swept, name, path_len);
		dir_sweep(d, folder, fd);
	}
	/* The winner may have died before his fsync, and who is told -EEXIST
	 * acts on it: it must be true after a power cut, too. */
	if (r == 0 || r == -EEXIST) {
		r2 = dir_sync_folder(d, folder);
		if (r2 < 0)
			r = r2;
	}
	r2 = s->ops->close(s, fd);
	if (r == 0 && r2 < 0 && r2 != -EINTR)
		r = r2;
	return r;
}

static int refuse_unsure(const struct backend_dir *d, const char *name,
			 const char *what)
{
	return fail(
		-EIO,
		"vault %s: %s is not %s: an earlier sync of a folder failed, so that nothing can be promised any more; %s",
		d->base.url, name, what, dir_advice(-EIO));
}

int dir_put(struct backend *b, const struct backend_call *c, const char *name,
	    const void *data, size_t len)
{
	struct backend_dir *d = dir_of(b);
	int i, r = -ENOENT;

	(void)c;
	if (atomic_load(&d->unsure))
		return refuse_unsure(d, name, "stored");
	for (i = 0; i < PUT_ATTEMPTS && r == -ENOENT; i++) {
		const char *leaf = NULL;
		AUTO_CLOSE int folder = enter_folder(d, name, true, &leaf);

		r = folder;
		if (r >= 0)
			r = put_in(d, folder, name, leaf, data, len);
	}
	if (dir_is_misfit(r))
		return dir_not_an_object(d, name);
	return r == 0 || r == -EEXIST ? r : dir_fail(d, r, "store", name);
}

/* ---- replace ---- */

/* A file of a name of its own, that takes the place of @leaf. */
static int replace_in(struct backend_dir *d, int folder, const char *leaf,
		      const void *data, size_t len)
{
	struct seam *s = dir_seam(d);
	char tmp[TMP_NAME_LEN];
	int fd = new_named_file(d, folder, tmp), r, r2;

	if (fd < 0)
		return fd;
	r = seam_pwrite_all(s, fd, data, len, 0);
	if (r == 0)
		r = s->ops->fdatasync(s, fd);
	if (r == 0)
		r = s->ops->renameat(s, folder, tmp, folder, leaf);
	if (r < 0)
		s->ops->unlinkat(s, folder, tmp, 0);
	else
		r = dir_sync_folder(d, folder);
	r2 = s->ops->close(s, fd);
	return r == 0 && r2 < 0 && r2 != -EINTR ? r2 : r;
}

int dir_replace(struct backend *b, const struct backend_call *c,
		const char *name, const void *data, size_t len)
{
	struct backend_dir *d = dir_of(b);
	const char *leaf = NULL;
	AUTO_CLOSE int folder = -1;
	int r;

	(void)c;
	if (atomic_load(&d->unsure))
		return refuse_unsure(d, name, "stored");
	r = dir_may_replace(d, name);
	if (r < 0)
		return r;
	folder = enter_folder(d, name, true, &leaf);
	r = folder < 0 ? folder : replace_in(d, folder, leaf, data, len);
	fdcache_drop(&d->fds, name);
	return r < 0 ? dir_fail(d, r, "replace", name) : 0;
}

/* ---- sync ---- */

/* The bytes, then the name, then the names of the folders above: as a put, but
 * that nothing comes to be which was not there. */
int dir_sync(struct backend *b, const struct backend_call *c, const char *name)
{
	struct backend_dir *d = dir_of(b);
	const char *leaf = NULL;
	AUTO_CLOSE int fd = -1, folder = -1;
	struct stat st;
	int r;

	(void)c;
	if (atomic_load(&d->unsure))
		return refuse_unsure(d, name, "synced");
	fd = dir_open_object(d, name);
	if (fd < 0)
		return fd;
	r = dir_seam(d)->ops->fsync(dir_seam(d), fd);
	if (r == 0) {
		folder = enter_folder(d, name, false, &leaf);
		r = folder < 0 ? folder : dir_sync_folder(d, folder);
	}
	/* A name that was taken away meanwhile is gone, whatever was synced. */
	if (r == 0 && fstatat(folder, leaf, &st, AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	return r == 0 || r == -ENOENT ? r : dir_fail(d, r, "sync", name);
}

/* ---- create ---- */

static int make_folder(struct backend_dir *d, int fd, const char *name)
{
	int r = dir_seam(d)->ops->mkdirat(dir_seam(d), fd, name, 0700);
	AUTO_CLOSE int child =
		r == 0 ? openat(fd, name, O_RDONLY | DIR_FOLDER) : -1;

	if (child >= 0)
		dir_share_folder(d, fd, child);
	return r == -EEXIST ? 0 : r;
}

/* pack/00 to pack/ff. */
static int make_pack_folders(struct backend_dir *d, int root)
{
	AUTO_CLOSE int fd = openat(root, "pack", O_RDONLY | DIR_FOLDER);
	unsigned int i;
	int r = fd < 0 ? -errno : 0;

	for (i = 0; r == 0 && i < 256; i++) {
		char name[3];

		snprintf(name, sizeof(name), "%02x", i);
		r = make_folder(d, fd, name);
	}
	return r < 0 ? r : settle(d, fd, "pack/", strlen("pack/"));
}

int dir_make_folders(struct backend_dir *d)
{
	AUTO_CLOSE int fd = openat(d->root, ".", O_RDONLY | DIR_FOLDER);
	int r = fd < 0 ? -errno : 0;
	AUTO_CLOSE int parent = openat(d->root, "..", O_RDONLY | DIR_FOLDER);
	int parent_error = parent < 0 ? -errno : 0;
	size_t i;

	for (i = 0; r == 0 && dir_folders[i]; i++)
		r = make_folder(d, fd, dir_folders[i]);
	if (r == 0)
		r = make_pack_folders(d, fd);
	if (r == 0)
		r = settle(d, fd, "", 0);
	if (r < 0)
		return r;
	/* The vault's own name. Where the directory was there before and the
	 * one above it cannot be read, it is its maker's affair. */
	if (parent < 0)
		return d->made ? parent_error : 0;
	return dir_sync_folder(d, parent);
}
