/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/view_sorted.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/entry.h"

static int keep(void *arg, const char *name, size_t len,
		const struct view_attr *a, uint64_t cookie)
{
	struct view_sorted *d = arg;

	(void)cookie;
	if (!entry_name_ok(name, len)) {
		d->lost++;
		return 0;
	}
	if (d->n == VIEW_DIR_MAX)
		return -EFBIG;
	if (array_reserve(&d->names, &d->cap, d->n + 1) < 0)
		return -ENOMEM;
	d->names[d->n++] = (struct view_name){
		.node = a->node,
		.off = d->text.len,
		.mode = a->st.st_mode,
		.len = (uint16_t)len,
		.damaged = a->damaged,
	};
	buf_put(&d->text, name, len);
	buf_put_u8(&d->text, '\0');
	return buf_error(&d->text);
}

static int by_name(const void *a, const void *b, void *text)
{
	const struct view_name *x = a, *y = b;
	int c = strcmp((char *)text + x->off, (char *)text + y->off);

	return c ? c : (x->off > y->off) - (x->off < y->off);
}

/* Where a directory lists a name twice, keep the first of them. */
static void drop_doubles(struct view_sorted *d)
{
	size_t i, n = d->n ? 1 : 0;

	for (i = 1; i < d->n; i++) {
		if (strcmp(view_sorted_name(d, &d->names[i]),
			   view_sorted_name(d, &d->names[n - 1])) == 0)
			d->lost++;
		else
			d->names[n++] = d->names[i];
	}
	d->n = n;
}

int view_sorted_read(struct view_sorted *d, struct view *w, uint64_t node,
		     const char *path)
{
	int r = view_readdir(w, node, 0, keep, d);

	if (r == -EFBIG)
		return fail(r, "%s: this directory has more than %u names",
			    path, VIEW_DIR_MAX);
	if (r == -EIO && d->n > 0) {
		d->lost++;
		r = 0;
	}
	if (r < 0)
		return r;
	if (d->n > 1)
		qsort_r(d->names, d->n, sizeof(*d->names), by_name,
			d->text.data);
	drop_doubles(d);
	if (d->lost)
		log_warn("%s: not all of this directory can be read, or is"
			 " usable",
			 path);
	return 0;
}

void view_sorted_release(struct view_sorted *d)
{
	free(d->names);
	buf_release(&d->text);
	memset(d, 0, sizeof(*d));
}
