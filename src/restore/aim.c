/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether the target of a restore with --delete is where the directory of the
 * point belongs. What is in /srv/www goes into the target itself, so that who
 * takes the target for the root, as other programs do, or is one level off,
 * would have all deleted that is there. Nothing of it would be an extra of
 * /srv/www: the point has never seen that directory.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/view.h"
#include "src/restore/internal.h"
#include "store/base/log.h"

/* The path that the directory had in its own filesystem, "" for the top; NULL:
 * it is none of a machine. */
static const char *own_path(const struct restore *run)
{
	static const char volumes[] = "/volumes/";
	const char *path = (const char *)run->path.data;

	if (!run->o->view)
		return path;
	if (strncmp(path, volumes, sizeof(volumes) - 1) != 0)
		return NULL;
	path = strchr(path + sizeof(volumes) - 1, '/');
	return path ? path : "";
}

/* Whether @dir is @path or above it. */
static bool is_above(const char *dir, const char *path)
{
	size_t len = strlen(dir);

	while (len > 0 && dir[len - 1] == '/')
		len--;
	return strncmp(dir, path, len) == 0 &&
	       (path[len] == '/' || path[len] == '\0');
}

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), n = strlen(end);

	return len >= n && strcmp(text + len - n, end) == 0;
}

/* Whether the directory of the point has @name; true, too, where that cannot
 * be read. */
static bool point_has(struct restore *run, const char *name, size_t len)
{
	AUTO_FREE char *copy = strndup(name, len);
	struct cursor c = { .leaf = NULL };
	struct view_attr a;
	int r;

	if (!copy)
		return true;
	if (run->o->view)
		return view_lookup(run->o->view, run->o->node, copy, &a) !=
		       -ENOENT;
	r = tree_lookup(run->vault, &run->root, run->key.data, run->key.len,
			copy, len, &c);
	cursor_release(&c);
	return r != -ENOENT;
}

/* Of "/srv/www" return "/www" or "/srv/www" where the target has that
 * directory, and the point has it not there; NULL: it has none. */
static const char *find_below(struct restore *run, int fd, const char *path)
{
	const char *p = path + strlen(path);
	struct stat st;

	while (p > path) {
		while (*--p != '/' && p > path)
			;
		if (fstatat(fd, p + 1, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    S_ISDIR(st.st_mode) &&
		    !point_has(run, p + 1, strcspn(p + 1, "/")))
			return p;
	}
	return NULL;
}

/* Whether something would go, and the target has nothing that the point has. */
static bool is_strange(struct restore *run, struct level *lev)
{
	bool some = false;
	size_t i;

	for (i = 0; i < lev->there.n; i++) {
		const struct dir_name *n = &lev->there.names[i];
		const char *name = lev->there.text + n->off;

		if (point_has(run, name, n->len))
			return false;
		/* What a new filesystem has. */
		some |= strcmp(name, "lost+found") != 0 &&
			!extra_is_spared(run, lev, n);
	}
	return some;
}

int restore_aim(struct restore *run)
{
	const char *target = run->o->target, *path = own_path(run), *below;
	struct level *lev = &run->levels[0];
	AUTO_FREE char *real = NULL;

	if (!run->o->delete_extra || run->keeps || lev->dir->made || !path)
		return 0;
	real = realpath(target, NULL);
	if (!real)
		return fail(-errno, "target %s: %s", target, strerror(errno));
	if (*path && strcmp(real, path) != 0 && is_above(real, path))
		return fail(-EINVAL,
			    "target %s: it lies above %s, and all else in it "
			    "would be deleted: what is in that directory goes "
			    "into the target itself, so say --target %s",
			    target, path, path);
	below = find_below(run, lev->dir->fd, path);
	if (below)
		return fail(-EINVAL,
			    "target %s: it has a directory %s, and all else in "
			    "it would be deleted: what is in %s goes into the "
			    "target itself, so say --target %s%s",
			    target, below + 1, path,
			    strcmp(real, "/") ? real : "", below);
	if (!lev->dir->deletes || (*path && ends_with(real, path)))
		return 0;
	if (is_strange(run, lev))
		return fail(-EINVAL,
			    "target %s: it has nothing in common with %s, and "
			    "all that it holds would be deleted: name another "
			    "target, or empty this one first",
			    target, *path ? path : "the top of the point");
	return 0;
}
