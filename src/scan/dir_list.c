/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One directory: opened, and its names, sorted by their bytes.
 *
 * getdents64 into one large buffer; names go back to back into one block, and
 * what is sorted are 16-byte records that begin with the name's first eight
 * bytes as a number: most comparisons end there.
 */
#include "config.h"

#include "src/scan/internal.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/array.h"

void dir_list_release(struct dir_list *l)
{
	free(l->names);
	free(l->text);
	free(l->buf);
	memset(l, 0, sizeof(*l));
}

/* Keep the memory of ordinary directories, not that of a huge one. */
void dir_list_clear(struct dir_list *l)
{
	if (l->cap > 65536) {
		free(l->names);
		l->names = NULL;
		l->cap = 0;
	}
	if (l->text_cap > (1u << 20)) {
		free(l->text);
		l->text = NULL;
		l->text_cap = 0;
	}
	l->n = 0;
	l->text_len = 0;
}

static uint64_t name_prefix(const char *name, size_t len)
{
	uint64_t v = 0;

	memcpy(&v, name, len < sizeof(v) ? len : sizeof(v));
	return be64toh(v);
}

int dir_list_add(struct dir_list *l, const char *name, size_t len, uint8_t type)
{
	struct dir_name *n;
	int r;

	if (l->text_len > UINT32_MAX - 65536)
		return -EOVERFLOW;
	r = array_reserve(&l->names, &l->cap, l->n + 1);
	if (r == 0)
		r = array_reserve(&l->text, &l->text_cap,
				  l->text_len + len + 1);
	if (r < 0)
		return r;
	n = &l->names[l->n++];
	n->prefix = name_prefix(name, len);
	n->off = (uint32_t)l->text_len;
	n->len = (uint16_t)len;
	n->type = type;
	memcpy(l->text + l->text_len, name, len);
	l->text[l->text_len + len] = '\0';
	l->text_len += len + 1;
	return 0;
}

static int name_compare(const void *va, const void *vb, void *text)
{
	const struct dir_name *a = va, *b = vb;

	if (a->prefix != b->prefix)
		return a->prefix < b->prefix ? -1 : 1;
	/* Names hold no NUL, so strcmp orders them as memcmp would. */
	return strcmp((const char *)text + a->off, (const char *)text + b->off);
}

/* Sorted by qsort_r(3), which takes as much memory again: a megabyte. */
#define SORT_PART 65536
/* More parts than any but a made-up order leads to. */
#define SORT_DEPTH 40

static struct dir_name middle(const struct dir_name *v, size_t n, char *text)
{
	const struct dir_name *a = v, *b = v + n / 2, *c = v + n - 1, *swap;

	if (name_compare(a, b, text) > 0)
		swap = a, a = b, b = swap;
	if (name_compare(b, c, text) > 0)
		b = name_compare(a, c, text) > 0 ? a : c;
	return *b;
}

/* Hoare's: none of the names before the place returned is greater than any from
 * there on, and neither part is empty. */
static size_t cut_in_two(struct dir_name *v, size_t n, char *text)
{
	struct dir_name x = middle(v, n, text), swap;
	size_t i = 0, j = n;

	for (;; i++) {
		while (name_compare(&v[i], &x, text) < 0)
			i++;
		do
			j--;
		while (name_compare(&v[j], &x, text) > 0);
		if (i >= j)
			return j + 1;
		swap = v[i];
		v[i] = v[j];
		v[j] = swap;
	}
}

/* Millions of names are cut into parts in place. */
static void sort_parts(struct dir_name *v, size_t n, char *text,
		       unsigned int depth)
{
	while (n > SORT_PART && depth-- > 0) {
		size_t at = cut_in_two(v, n, text);

		sort_parts(v, at, text, depth);
		v += at;
		n -= at;
	}
	qsort_r(v, n, sizeof(*v), name_compare, text);
}

void dir_list_sort(struct dir_list *l)
{
	struct dir_name *v = l->names, x;
	size_t i, j;

	if (l->n > 24) {
		sort_parts(v, l->n, l->text, SORT_DEPTH);
		return;
	}
	for (i = 1; i < l->n; i++) {
		x = v[i];
		for (j = i; j > 0; j--) {
			if (name_compare(&v[j - 1], &x, l->text) <= 0)
				break;
			v[j] = v[j - 1];
		}
		v[j] = x;
	}
}

static bool is_dot(const char *name)
{
	return name[0] == '.' &&
	       (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

static int list_take(struct dir_list *l, ssize_t n)
{
	const struct dirent64 *d;
	ssize_t pos;
	size_t len;
	int r;

	for (pos = 0; pos < n; pos += d->d_reclen) {
		d = (const struct dirent64 *)(const void *)(l->buf + pos);
		if (is_dot(d->d_name))
			continue;
		len = strnlen(d->d_name,
			      d->d_reclen - offsetof(struct dirent64, d_name));
		r = dir_list_add(l, d->d_name, len, d->d_type);
		if (r < 0)
			return r;
	}
	return 0;
}

int dir_list_read(struct dir_list *l, int fd)
{
	ssize_t n;
	int r = 0;

	if (!l->buf) {
		l->buf = malloc(DIR_LIST_GETDENTS_LEN);
		if (!l->buf)
			return -ENOMEM;
	}
	for (;;) {
		n = getdents64(fd, l->buf, DIR_LIST_GETDENTS_LEN);
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		r = list_take(l, n);
		if (r < 0)
			break;
	}
	dir_list_sort(l);
	return r;
}

bool dir_has_cache_tag(int fd)
{
	static const char sig[] = DIR_CACHE_SIGNATURE;
	char text[sizeof(sig) - 1];
	struct stat st;
	AUTO_CLOSE int tag = -1;

	tag = openat(fd, DIR_CACHE_TAG,
		     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (tag < 0 || fstat(tag, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	return pread(tag, text, sizeof(text), 0) == (ssize_t)sizeof(text) &&
	       memcmp(text, sig, sizeof(text)) == 0;
}

int dir_open_quiet(int at, const char *name, int flags)
{
	int fd;

	flags |= O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC;
	fd = openat(at, name, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = openat(at, name, flags);
	return fd;
}

/* ---- directories that entries stand in ---- */

struct scan_dir *scan_dir_new(int fd, const void *key, size_t key_len,
			      const void *path, size_t path_len)
{
	struct scan_dir *d = malloc(sizeof(*d) + key_len + path_len + 1);

	if (!d)
		return NULL;
	atomic_init(&d->refs, 1);
	d->fd = fd;
	d->key_len = key_len;
	d->path_len = path_len;
	d->key = (uint8_t *)(d + 1);
	d->path = (char *)d->key + key_len;
	if (key_len)
		memcpy(d->key, key, key_len);
	if (path_len)
		memcpy(d->path, path, path_len);
	d->path[path_len] = '\0';
	return d;
}

void scan_dir_put(struct scan_dir *d)
{
	if (!d || atomic_fetch_sub(&d->refs, 1) != 1)
		return;
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}
