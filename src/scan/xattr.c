/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Extended attributes of an entry, read whole.
 *
 * There is no listxattrat(2) before Linux 6.13, and a file that is not to be
 * opened (a device, a link) has no descriptor that flistxattr(2) takes:
 * "/proc/self/fd/<directory>/<name>" names it without another walk of its path.
 */
#include "config.h"

#include "src/scan/scan.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store/entry.h"

/* An open file, or a path. */
struct xattr_place {
	int fd; /* -1: @path */
	const char *path;
	bool follow; /* the last component of the path */
};

static ssize_t place_list(const struct xattr_place *p, char *list, size_t len)
{
	ssize_t n;

	if (p->fd >= 0)
		n = flistxattr(p->fd, list, len);
	else if (p->follow)
		n = listxattr(p->path, list, len);
	else
		n = llistxattr(p->path, list, len);
	return n < 0 ? -errno : n;
}

static ssize_t place_get(const struct xattr_place *p, const char *name,
			 void *value, size_t len)
{
	ssize_t n;

	if (p->fd >= 0)
		n = fgetxattr(p->fd, name, value, len);
	else if (p->follow)
		n = getxattr(p->path, name, value, len);
	else
		n = lgetxattr(p->path, name, value, len);
	return n < 0 ? -errno : n;
}

/*
 * Call the one or the other with a growing buffer until the answer fits;
 * @name NULL: the list of names. Its length is in out->len.
 */
static int place_read(const struct xattr_place *p, const char *name,
		      struct buf *out)
{
	size_t want = 256;
	ssize_t n;
	int r;

	for (;;) {
		buf_clear(out);
		r = buf_reserve(out, want);
		if (r < 0)
			return r;
		if (name)
			n = place_get(p, name, out->data, out->cap);
		else
			n = place_list(p, (char *)out->data, out->cap);
		if (n >= 0)
			break;
		if (n != -ERANGE)
			return (int)n;
		want = out->cap * 4;
		if (want > ENTRY_XATTRS_MAX * 4)
			return -E2BIG;
	}
	out->len = (size_t)n;
	return 0;
}

static int name_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Pointers into @list, sorted; the caller frees *out. */
static int names_sort(const struct buf *list, const char ***out, size_t *n_out)
{
	const char *p = (const char *)list->data, *end = p + list->len;
	const char **v;
	size_t n = 0;

	for (; p < end; p += strnlen(p, (size_t)(end - p)) + 1)
		n++;
	v = alloc_array(n, sizeof(*v));
	if (!v)
		return -ENOMEM;
	n = 0;
	for (p = (const char *)list->data; p < end; p += strlen(p) + 1)
		v[n++] = p;
	qsort(v, n, sizeof(*v), name_compare);
	*out = v;
	*n_out = n;
	return 0;
}

static bool is_acl(const char *name)
{
	return strcmp(name, "system.posix_acl_access") == 0 ||
	       strcmp(name, "system.posix_acl_default") == 0;
}

static void lose(struct scan_xattr_loss *loss, const char *name, int error)
{
	if (loss->n++ > 0)
		return;
	loss->error = error;
	snprintf(loss->name, sizeof(loss->name), "%s", name);
}

/* Read @name and append it to @body. Nothing that a reader of the point would
 * refuse gets in. */
static int put_value(const struct xattr_place *p, const char *name,
		     struct buf *value, struct buf *body)
{
	size_t before = body->len;
	int r = place_read(p, name, value);

	if (r < 0)
		return r;
	if (value->len > XATTR_SIZE_MAX || !*name ||
	    strlen(name) > ENTRY_NAME_MAX)
		return -E2BIG;
	xattrs_put(body, name, value->data, value->len);
	r = buf_error(body);
	if (r == 0 && body->len > ENTRY_XATTRS_MAX - 16) {
		body->len = before;
		r = -E2BIG;
	}
	return r;
}

/* One that cannot be had does not take the others with it. */
static int read_values(const struct xattr_place *p, const struct buf *list,
		       struct buf *out, bool *has_acl,
		       struct scan_xattr_loss *loss)
{
	AUTO_BUF struct buf value = BUF_INIT, body = BUF_INIT;
	const char **names = NULL;
	uint64_t count = 0;
	size_t i, n;
	int r;

	r = names_sort(list, &names, &n);
	for (i = 0; r == 0 && i < n; i++) {
		if (i > 0 && strcmp(names[i - 1], names[i]) == 0)
			continue; /* some filesystems list one twice */
		r = put_value(p, names[i], &value, &body);
		if (r == 0) {
			*has_acl = *has_acl || is_acl(names[i]);
			count++;
		} else if (r != -ENOMEM) {
			if (r != -ENODATA) /* gone meanwhile */
				lose(loss, names[i], r);
			r = 0;
		}
	}
	free(names);
	if (r < 0 || count == 0)
		return r;
	buf_put_varint(out, count);
	buf_put(out, body.data, body.len);
	return buf_error(out);
}

static int read_all(const struct xattr_place *p, struct buf *out, bool *has_acl,
		    struct scan_xattr_loss *loss)
{
	char small[1024];
	AUTO_BUF struct buf list = BUF_INIT;
	ssize_t n;
	int r = 0;

	*has_acl = false;
	loss->n = 0;
	/* Most entries have none: one call, no memory. */
	n = place_list(p, small, sizeof(small));
	if (n == 0 || n == -EOPNOTSUPP || n == -ENOSYS)
		return 0;
	if (n > 0) {
		buf_put(&list, small, (size_t)n);
		r = buf_error(&list);
	} else {
		r = n == -ERANGE ? place_read(p, NULL, &list) : (int)n;
	}
	if (r == 0)
		return read_values(p, &list, out, has_acl, loss);
	if (r != -ENOMEM) {
		lose(loss, "", r);
		r = 0;
	}
	return r;
}

int scan_xattrs(const struct scan_item *item, struct buf *out, bool *has_acl,
		struct scan_xattr_loss *loss)
{
	char path[64 + ENTRY_NAME_MAX];
	struct xattr_place p = { .fd = -1,
				 .path = item->path,
				 .follow = item->followed };

	int r;

	if (item->dirfd < 0)
		return read_all(&p, out, has_acl, loss);
	snprintf(path, sizeof(path), "/proc/self/fd/%d/%.*s", item->dirfd,
		 ENTRY_NAME_MAX, item->name);
	p.path = path;
	r = read_all(&p, out, has_acl, loss);
	/* Without /proc there is the path, where it is short enough. */
	if (r == 0 && loss->n > 0 && loss->error == -ENOENT &&
	    access("/proc/self/fd", F_OK) < 0) {
		p.path = item->path;
		r = read_all(&p, out, has_acl, loss);
	}
	return r;
}

int scan_fd_xattrs(int fd, struct buf *out, bool *has_acl,
		   struct scan_xattr_loss *loss)
{
	struct xattr_place p = { .fd = fd };

	return read_all(&p, out, has_acl, loss);
}
