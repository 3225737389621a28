/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sources of a scan as a tree of their components.
 *
 * It makes one walk of several sources: common parents appear once, a source
 * given twice is one, and a source below another one is found on the way.
 */
#include "config.h"

#include "src/scan/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/log.h"

static void node_free(struct source_node *n)
{
	struct source_node *next;

	while (n) {
		node_free(n->child);
		next = n->next;
		free(n->name);
		free(n);
		n = next;
	}
}

static struct source_node *node_new(const char *name, size_t len)
{
	struct source_node *n = calloc(1, sizeof(*n));

	if (n)
		n->name = strndup(name, len);
	if (n && !n->name) {
		free(n);
		n = NULL;
	}
	return n;
}

/* The child of that name, made where there is none. */
static struct source_node *source_child(struct source_node *parent,
					const char *name, size_t len)
{
	struct source_node **at = &parent->child, *n;
	int c = 1;

	for (; *at; at = &(*at)->next) {
		c = strncmp((*at)->name, name, len);
		if (c == 0 && (*at)->name[len] != '\0')
			c = 1;
		if (c >= 0)
			break;
	}
	if (*at && c == 0)
		return *at;
	n = node_new(name, len);
	if (!n)
		return NULL;
	n->next = *at;
	*at = n;
	return n;
}

/*
 * ".." is taken back by name. Behind a symbolic link that would be another
 * place than the kernel's, so it is refused there.
 */
static int clean_parent(struct buf *out, const char *source)
{
	struct stat st;

	buf_put_u8(out, '\0');
	if (buf_error(out) < 0)
		return -ENOMEM;
	out->len--;
	if (out->len == 0)
		return 0; /* "/.." is "/" */
	if (lstat((const char *)out->data, &st) == 0 && S_ISLNK(st.st_mode))
		return fail(-EINVAL,
			    "source %s: \"..\" stands behind the "
			    "symbolic link %s; name the place without it",
			    source, (const char *)out->data);
	while (out->len > 0 && out->data[out->len - 1] != '/')
		out->len--;
	if (out->len > 0)
		out->len--;
	return 0;
}

/* Append the cleaned components of @path, each behind a '/'. */
static int clean_append(struct buf *out, const char *path, const char *source)
{
	size_t len;
	int r;

	for (;;) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0)
			return buf_error(out);
		if (len == 2 && memcmp(path, "..", 2) == 0) {
			r = clean_parent(out, source);
			if (r < 0)
				return r;
		} else if (len > SCAN_NAME_MAX) {
			return fail(-ENAMETOOLONG,
				    "source %s: a name in it is "
				    "longer than 255 bytes",
				    source);
		} else if (len != 1 || path[0] != '.') {
			buf_put_u8(out, '/');
			buf_put(out, path, len);
		}
		path += len;
	}
}

static int source_clean(const char *source, char **out)
{
	AUTO_BUF struct buf b = BUF_INIT;
	AUTO_FREE char *cwd = NULL;
	int r = 0;

	if (source[0] == '\0')
		return fail(-EINVAL, "a source is empty; name a file or "
				     "directory");
	if (source[0] != '/') {
		cwd = getcwd(NULL, 0);
		if (!cwd)
			return fail(-errno,
				    "source %s: the current directory "
				    "is not known: %s; give an absolute path",
				    source, strerror(errno));
		r = clean_append(&b, cwd, source);
	}
	if (r == 0)
		r = clean_append(&b, source, source);
	if (r < 0)
		return r;
	*out = b.len ? strndup((const char *)b.data, b.len) : strdup("/");
	return *out ? 0 : -ENOMEM;
}

/* Does it end in "/" or "/."? What it leads to is meant then, as by the
 * kernel, tar and rsync. */
static bool wants_target(const char *source)
{
	size_t len = strlen(source);

	if (len > 1 && source[len - 1] == '.' && source[len - 2] == '/')
		len--;
	return len > 1 && source[len - 1] == '/';
}

static int node_add(struct source_node *top, const char *path, bool follow)
{
	struct source_node *n = top;
	size_t len;

	for (;;) {
		path += strspn(path, "/");
		len = strcspn(path, "/");
		if (len == 0)
			break;
		n = source_child(n, path, len);
		if (!n)
			return -ENOMEM;
		path += len;
	}
	n->source = true;
	n->follow = n->follow || follow;
	return 0;
}

/* Open one more component on the way to a source. */
static int check_step(int at, const char *name, bool inside, const char *path)
{
	int fd;

	fd = openat(at, name,
		    O_PATH | O_DIRECTORY | O_CLOEXEC |
			    (inside ? O_NOFOLLOW : 0));
	if (fd >= 0)
		return fd;
	fd = -errno;
	if (inside && (fd == -ENOTDIR || fd == -ELOOP))
		return fail(-EINVAL,
			    "source %s: it passes through the "
			    "symbolic link %s, which another source holds as "
			    "a link; name its real path",
			    path, name);
	return fail(fd, "source %s: %s: %s", path, name, strerror(-fd));
}

/* The source ends in a symbolic link. Say what becomes of it. */
static int check_link(int at, const struct source_node *n, bool inside,
		      const char *source)
{
	struct stat st;

	if (!n->follow && !inside)
		log_warn("source %s: it is a symbolic link, which is stored as "
			 "such; write %s/ to store the directory that it leads "
			 "to",
			 source, source);
	if (!n->follow)
		return 0;
	if (inside)
		return fail(-EINVAL,
			    "source %s/: another source holds it as a symbolic "
			    "link; name its real path",
			    source);
	if (fstatat(at, n->name, &st, 0) < 0)
		return fail(-errno, "source %s/: %s", source, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return fail(-ENOTDIR,
			    "source %s/: it leads to something that is not a "
			    "directory",
			    source);
	return 0;
}

/*
 * Is the source there, and, where it lies below another one, will the walk of
 * that one come by?
 */
static int source_check(const struct source_node *top, const char *source)
{
	const char *path = source;
	const struct source_node *n = top;
	bool inside = top->source;
	struct stat st;
	AUTO_CLOSE int at = -1;
	int fd;

	at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return fail(-errno, "/: %s", strerror(errno));
	for (path++; *path; path += *path == '/') {
		size_t len = strcspn(path, "/");

		for (n = n->child; n; n = n->next)
			if (strncmp(n->name, path, len) == 0 && !n->name[len])
				break;
		path += len;
		if (!n)
			return -EINVAL;
		if (*path == '\0')
			break;
		fd = check_step(at, n->name, inside, source);
		if (fd < 0)
			return fd;
		close(at);
		at = fd;
		inside = inside || n->source;
	}
	if (n == top)
		return 0;
	if (fstatat(at, n->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return fail(-errno, "source %s: %s", source, strerror(errno));
	return S_ISLNK(st.st_mode) ? check_link(at, n, inside, source) : 0;
}

static int path_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void source_unique(struct source_set *set)
{
	size_t i, n = 0;

	qsort(set->paths, set->npaths, sizeof(*set->paths), path_compare);
	for (i = 0; i < set->npaths; i++) {
		if (n > 0 && strcmp(set->paths[n - 1], set->paths[i]) == 0)
			free(set->paths[i]);
		else
			set->paths[n++] = set->paths[i];
	}
	set->npaths = n;
}

int source_set_init(struct source_set *set, const char *const *paths,
		    size_t npaths)
{
	size_t i;
	int r = 0;

	memset(set, 0, sizeof(*set));
	if (npaths == 0)
		return fail(-EINVAL, "no source given; name at least one file "
				     "or directory");
	set->paths = alloc_array(npaths, sizeof(*set->paths));
	set->top = node_new("", 0);
	if (!set->paths || !set->top)
		return -ENOMEM;
	for (i = 0; i < npaths && r == 0; i++) {
		r = source_clean(paths[i], &set->paths[i]);
		if (r == 0)
			set->npaths++;
		if (r == 0)
			r = node_add(set->top, set->paths[i],
				     wants_target(paths[i]));
	}
	if (r == 0)
		source_unique(set);
	for (i = 0; i < set->npaths && r == 0; i++)
		r = source_check(set->top, set->paths[i]);
	return r;
}

void source_set_release(struct source_set *set)
{
	size_t i;

	for (i = 0; i < set->npaths; i++)
		free(set->paths[i]);
	free(set->paths);
	node_free(set->top);
	memset(set, 0, sizeof(*set));
}
