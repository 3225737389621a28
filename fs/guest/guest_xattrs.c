/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Attributes as a reader tells them, made into the list of entry.h. */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/guest_internal.h"
#include "store/base/log.h"

#define XATTRS_COUNT_MAX (16u << 10) /* of one inode */

struct item {
	size_t name; /* in bytes: the name and its NUL, then the value */
	size_t name_len;
	size_t value_len;
};

struct collect {
	struct buf bytes;
	struct buf items; /* struct item */
	size_t n;
	size_t left_out;
};

static int collect_one(void *arg, const char *name, const void *value,
		       size_t len)
{
	struct collect *c = arg;
	struct item item;

	item.name_len = strnlen(name, ENTRY_NAME_MAX + 1);
	if (item.name_len == 0 || item.name_len > ENTRY_NAME_MAX ||
	    len > GUEST_XATTR_MAX || c->n >= XATTRS_COUNT_MAX ||
	    len + item.name_len + 1 > GUEST_XATTRS_MAX - c->bytes.len) {
		c->left_out++;
		return 0;
	}
	item.name = c->bytes.len;
	item.value_len = len;
	buf_put(&c->bytes, name, item.name_len + 1);
	buf_put(&c->bytes, value, len);
	buf_put(&c->items, &item, sizeof(item));
	c->n++;
	return c->bytes.failed || c->items.failed ? -ENOMEM : 0;
}

/* By name; of equal names the one that came first is first. */
static int compare_items(const void *a, const void *b, void *arg)
{
	const struct collect *c = arg;
	const struct item *x = a, *y = b;
	int r = strcmp((const char *)c->bytes.data + x->name,
		       (const char *)c->bytes.data + y->name);

	if (r != 0)
		return r;
	return x->name < y->name ? -1 : x->name > y->name;
}

/* Append the list, sorted, of each name the first. */
static int encode(struct collect *c, struct buf *out)
{
	struct item *items = (struct item *)(void *)c->items.data;
	size_t i, n = 0;

	qsort_r(items, c->n, sizeof(*items), compare_items, c);
	for (i = 0; i < c->n; i++) {
		const char *name = (const char *)c->bytes.data + items[i].name;

		if (n > 0 &&
		    strcmp((const char *)c->bytes.data + items[n - 1].name,
			   name) == 0)
			continue;
		items[n++] = items[i];
	}
	buf_put_varint(out, n);
	for (i = 0; i < n; i++) {
		const char *name = (const char *)c->bytes.data + items[i].name;

		xattrs_put(out, name, name + items[i].name_len + 1,
			   items[i].value_len);
	}
	return buf_error(out);
}

int guest_xattrs(struct guest *g, uint64_t node, struct buf *out)
{
	struct collect c = { .bytes = BUF_INIT, .items = BUF_INIT };
	bool some;
	int r;

	if (node == 0 || node >= GUEST_NODE_MAX)
		return -ENOENT;
	if (!g->ops->xattrs)
		return 0;
	r = g->ops->xattrs(g, node, collect_one, &c);
	if (r >= 0 && c.left_out)
		log_warn("%s: inode %llu: %zu extended attributes left out: "
			 "a name or value that cannot be, or too much of them",
			 g->ops->name, (unsigned long long)node, c.left_out);
	some = r > 0 || c.left_out > 0;
	if (r >= 0)
		r = c.n > 0 ? encode(&c, out) : 0;
	buf_release(&c.bytes);
	buf_release(&c.items);
	return r == 0 && some ? 1 : r;
}

int guest_xattr_unlisted(struct guest *g, uint64_t node, const char *name,
			 struct buf *out)
{
	size_t before = out->len;
	int r;

	if (node == 0 || node >= GUEST_NODE_MAX)
		return -ENOENT;
	if (!g->ops->xattr)
		return -ENODATA;
	r = g->ops->xattr(g, node, name, out);
	if (r == 0)
		r = buf_error(out);
	if (r == 0 && out->len - before > GUEST_XATTR_MAX)
		r = fail(-EBADMSG,
			 "%s: inode %llu: the attribute %s is too long",
			 g->ops->name, (unsigned long long)node, name);
	if (r < 0)
		out->len = before;
	return r;
}
