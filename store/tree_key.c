/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Directory keys, and the order of a tree.
 *
 * The order is that of a walk: a directory's entries by their names, then all
 * that is below the first of its subdirectories, and so on. Comparing bytes
 * gives it, because a component ends with a byte 1, which is less than any byte
 * of a name: names have no byte 0, and their bytes 1 and 2 are escaped. So
 * "a" and what is below it stand before "a!", as they do in a walk.
 */
#include "config.h"

#include "store/tree.h"

#include <errno.h>
#include <string.h>

void tree_key_push(struct buf *key, const void *name, size_t len)
{
	const uint8_t *p = name;
	size_t i;

	for (i = 0; i < len; i++) {
		if (p[i] == 1 || p[i] == 2) {
			buf_put_u8(key, 2);
			buf_put_u8(key, p[i] + 1);
		} else {
			buf_put_u8(key, p[i]);
		}
	}
	buf_put_u8(key, 1);
}

void tree_key_pop(struct buf *key)
{
	if (key->len > 0)
		key->len--;
	while (key->len > 0 && key->data[key->len - 1] != 1)
		key->len--;
}

void tree_key_path(struct buf *out, const uint8_t *key, size_t len)
{
	size_t i;

	buf_put_u8(out, '/');
	for (i = 0; i < len; i++) {
		if (key[i] == 1 && i + 1 < len)
			buf_put_u8(out, '/');
		else if (key[i] == 2 && i + 1 < len)
			buf_put_u8(out, key[++i] - 1);
		else if (key[i] != 1)
			buf_put_u8(out, key[i]);
	}
	buf_put_u8(out, 0);
	if (out->len > 0)
		out->len--;
}

int tree_path_key(struct buf *key, const char *path)
{
	while (*path) {
		size_t n = strcspn(path, "/");

		if (n == 2 && path[0] == '.' && path[1] == '.')
			return -EINVAL;
		if (n > ENTRY_NAME_MAX)
			return -EINVAL;
		if (n > 0 && !(n == 1 && path[0] == '.'))
			tree_key_push(key, path, n);
		path += n;
		path += *path == '/';
	}
	return buf_error(key);
}

static int compare(const uint8_t *a, size_t a_len, const uint8_t *b,
		   size_t b_len)
{
	size_t n = MIN(a_len, b_len);
	int c = n ? memcmp(a, b, n) : 0;

	return c ? c : a_len < b_len ? -1 : a_len > b_len;
}

/*
 * Directory keys compare as bytes: where one is the beginning of the other,
 * the shorter is the directory above, and its entries (a byte 0 and a name)
 * come before all that is below it.
 */
int tree_compare(const uint8_t *key_a, size_t key_a_len, const uint8_t *name_a,
		 size_t name_a_len, const uint8_t *key_b, size_t key_b_len,
		 const uint8_t *name_b, size_t name_b_len)
{
	int c = compare(key_a, key_a_len, key_b, key_b_len);

	return c ? c : compare(name_a, name_a_len, name_b, name_b_len);
}

bool tree_key_ok(const uint8_t *key, size_t len)
{
	uint8_t name[ENTRY_NAME_MAX];
	size_t i, n = 0;

	for (i = 0; i < len; i++) {
		uint8_t c = key[i];

		if (c == 1) {
			if (!entry_name_ok(name, n))
				return false;
			n = 0;
			continue;
		}
		if (c == 2) {
			if (++i == len || (key[i] != 2 && key[i] != 3))
				return false;
			c = key[i] - 1;
		}
		if (n == sizeof(name))
			return false;
		name[n++] = c;
	}
	return n == 0;
}
