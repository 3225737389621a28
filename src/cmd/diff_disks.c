/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Disks and config files of two points; and what is printed of a change. */
#include "config.h"

#include "src/cmd/diff.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "store/base/log.h"
#include "store/content.h"
#include "store/point.h"
#include "store/vault.h"

/* ---- one change ---- */

static void count(struct diff_counts *c, uint32_t mode, uint64_t size)
{
	if (S_ISDIR(mode)) {
		c->dirs++;
	} else if (S_ISREG(mode)) {
		c->files++;
		c->bytes += size;
	} else {
		c->others++;
	}
}

static int print_json(const struct diff_change *c)
{
	char text[2] = { c->modifier, 0 };
	json_t *o = output_message("change");

	output_set_bytes(o, "path", c->path->data, c->path->len);
	output_set_string(o, "modifier", text);
	if (c->before)
		output_set_uint(o, "size_before", *c->before);
	if (c->after)
		output_set_uint(o, "size_after", *c->after);
	if (c->changed)
		output_set_uint(o, "changed_bytes", *c->changed);
	return output_json(o);
}

int diff_report_change(struct diff *d, const struct diff_change *c)
{
	char size[OUTPUT_SIZE_LEN];

	switch (c->modifier) {
	case '+':
		count(&d->added, c->mode, *c->after);
		break;
	case '-':
		count(&d->removed, c->mode, *c->before);
		break;
	case 'M':
		d->changed_files++;
		break;
	case 'T':
		d->changed_types++;
		break;
	default:
		d->changed_metadata++;
		if (!d->metadata)
			return 0;
	}
	if (d->ctx->json)
		return print_json(c);
	printf("%c    ", c->modifier);
	output_name(stdout, c->path->data, c->path->len);
	if (c->changed)
		printf(" (%s differ)", output_size(*c->changed, size));
	putchar('\n');
	return output_error();
}

/* ---- two of the same kind ---- */

struct saved {
	const char *name;
	struct content_ref content;
};

static struct saved take(const struct point *p, bool disks, size_t i)
{
	const struct point_disk *d = disks ? &p->disks[i] : NULL;
	const struct point_config *c = disks ? NULL : &p->configs[i];

	return disks ? (struct saved){ d->name, point_disk_content(d) }
		     : (struct saved){ c->name, point_config_content(c) };
}

static bool same_content(const struct content_ref *a,
			 const struct content_ref *b)
{
	return a->size == b->size && a->len == b->len &&
	       memcmp(a->data, b->data, a->len) == 0;
}

/* What is there at @off; behind the end there is a hole. */
static int extent_at(struct vault *v, const struct saved *s, uint64_t off,
		     uint64_t end, struct extent *out)
{
	if (off < s->content.size)
		return content_find(v, &s->content, off, out);
	*out = (struct extent){ .off = off,
				.len = end - off,
				.type = EXTENT_HOLE };
	return 0;
}

static bool same_extent(const struct extent *a, const struct extent *b)
{
	if (a->type != EXTENT_DATA || b->type != EXTENT_DATA)
		return a->type != EXTENT_DATA && b->type != EXTENT_DATA;
	return a->off == b->off && a->len == b->len && id_equal(&a->id, &b->id);
}

/* Bytes in which they differ, as far as chunks tell. */
static int count_changed(struct vault *v, const struct saved *a,
			 const struct saved *b, uint64_t *out)
{
	uint64_t end = MAX(a->content.size, b->content.size), off = 0, next;
	struct extent x, y;
	int r = 0;

	for (*out = 0; r == 0 && off < end; off = next) {
		next = end;
		r = extent_at(v, a, off, end, &x);
		if (r == 0)
			r = extent_at(v, b, off, end, &y);
		if (r < 0)
			break;
		next = MIN(x.off + x.len, y.off + y.len);
		if (next <= off)
			return fail(-EBADMSG, "the content of %s is malformed",
				    a->name);
		if (!same_extent(&x, &y))
			*out += next - off;
	}
	return r;
}

static int compare(struct diff *d, struct vault *v, const struct saved *a,
		   const struct saved *b, bool disks)
{
	AUTO_BUF struct buf path = BUF_INIT;
	struct diff_change c = { .path = &path, .mode = S_IFREG };
	uint64_t changed = 0;
	int r;

	if (a && b && same_content(&a->content, &b->content))
		return 0;
	c.modifier = !a ? '+' : !b ? '-' : 'M';
	c.before = a ? &a->content.size : NULL;
	c.after = b ? &b->content.size : NULL;
	if (a && b && disks) {
		r = count_changed(v, a, b, &changed);
		if (r < 0)
			return r;
		c.changed = &changed;
		/* Chunks and holes may be laid out otherwise. */
		if (changed == 0 && a->content.size == b->content.size)
			return 0;
	}
	buf_printf(&path, "%s/%s%s", disks ? "disks" : "config",
		   a ? a->name : b->name, disks ? ".raw" : "");
	return buf_error(&path) < 0 ? -ENOMEM : diff_report_change(d, &c);
}

/* Is it among what @path says? */
static bool is_asked(const char *path, const struct saved *s, bool disks)
{
	const char *kind = disks ? "disks" : "config";
	size_t n = strlen(kind), len = strlen(s->name);

	if (!*path)
		return true;
	if (strncmp(path, kind, n) != 0)
		return false;
	if (!path[n])
		return true;
	path += n + 1;
	return strncmp(path, s->name, len) == 0 &&
	       strcmp(path + len, disks ? ".raw" : "") == 0;
}

static int compare_all(struct diff *d, struct vault *v, const struct point *a,
		       const struct point *b, bool disks, const char *path,
		       bool *found)
{
	size_t na = disks ? a->ndisks : a->nconfigs;
	size_t nb = disks ? b->ndisks : b->nconfigs;
	size_t i = 0, j = 0;
	int r = 0;

	while (r == 0 && (i < na || j < nb)) {
		struct saved x = { 0 }, y = { 0 };
		int c;

		if (i < na)
			x = take(a, disks, i);
		if (j < nb)
			y = take(b, disks, j);
		c = i == na ? 1 : j == nb ? -1 : strcmp(x.name, y.name);
		i += c <= 0;
		j += c >= 0;
		if (!is_asked(path, c <= 0 ? &x : &y, disks))
			continue;
		*found = true;
		r = compare(d, v, c <= 0 ? &x : NULL, c >= 0 ? &y : NULL,
			    disks);
	}
	return r;
}

int diff_disks(struct diff *d, struct vault *v, const struct point *a,
	       const struct point *b, const char *path)
{
	bool found = !strchr(path, '/');
	int r = compare_all(d, v, a, b, true, path, &found);

	if (r == 0)
		r = compare_all(d, v, a, b, false, path, &found);
	if (r == 0 && !found)
		return fail(-ENOENT, "neither point has %s", path);
	return r;
}
