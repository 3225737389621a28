/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The object of a point that was made anew. */
#include "config.h"

#include "store/repair/remake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/point.h"
#include "store/writer/writer.h"

static int add_tag(const struct point *p, const char *tag, char **out)
{
	size_t i, n = 0;
	bool added = !tag;

	for (i = 0; i < p->ntags; i++) {
		if (!added && strcmp(p->tags[i], tag) > 0) {
			out[n++] = (char *)tag;
			added = true;
		}
		added |= tag && strcmp(p->tags[i], tag) == 0;
		out[n++] = p->tags[i];
	}
	if (!added)
		out[n++] = (char *)tag;
	return (int)n;
}

/* Parts of the new point that are other than those of the old one. */
struct parts {
	char **tags;
	struct point_disk *disks;
	struct point_config *configs;
	struct point_pattern *patterns;
};

static int parts_make(struct parts *x, const struct point *p, size_t npatterns)
{
	x->tags = alloc_array(p->ntags + 1, sizeof(*x->tags));
	x->disks = alloc_array(p->ndisks + 1, sizeof(*x->disks));
	x->configs = alloc_array(p->nconfigs + 1, sizeof(*x->configs));
	x->patterns = alloc_array(p->left_out.npatterns + npatterns + 1,
				  sizeof(*x->patterns));
	return x->tags && x->disks && x->configs && x->patterns ? 0 : -ENOMEM;
}

static void parts_release(struct parts *x)
{
	free(x->tags);
	free(x->disks);
	free(x->configs);
	free(x->patterns);
}

/* The new point borrows all from the old one, as far as it is the same. */
static void fill_point(const struct remake *m, struct parts *x, const char *tag,
		       const struct point_pattern *patterns, size_t npatterns,
		       struct point *out)
{
	const struct point *p = m->point;
	size_t i;

	*out = *p;
	out->vm = p->named ? p->named : p->vm;
	memcpy(out->parent, p->id, sizeof(out->parent));
	out->index = NULL;
	out->nindex = 0;
	out->has_index = false;
	out->ntags = (size_t)add_tag(p, tag, x->tags);
	out->tags = x->tags;
	out->disks = x->disks;
	out->configs = x->configs;
	out->ndisks = out->nconfigs = 0;
	for (i = 0; i < p->ndisks; i++)
		if (!m->drops_disk[i])
			x->disks[out->ndisks++] = p->disks[i];
	for (i = 0; i < p->nconfigs; i++)
		if (!m->drops_config[i])
			x->configs[out->nconfigs++] = p->configs[i];
	if (p->has_tree) {
		out->root = m->root;
		out->entries = m->entries;
		out->files = m->files;
		out->bytes = m->bytes;
	}
	out->incomplete |= remake_is_hit(m);
	out->errors += m->lost + m->lost_nodes;
	/* Where it is not known what was left out, it is not known now. */
	if (!p->left_out.known || !npatterns)
		return;
	out->left_out.patterns = x->patterns;
	for (i = 0; i < p->left_out.npatterns; i++)
		x->patterns[i] = p->left_out.patterns[i];
	for (i = 0; i < npatterns; i++)
		x->patterns[out->left_out.npatterns++] = patterns[i];
}

int remake_commit(struct remake *m, const char *tag,
		  const struct point_pattern *patterns, size_t npatterns,
		  char *id_out)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct parts x = { .tags = NULL };
	struct point draft, *p = NULL;
	int r = parts_make(&x, m->point, npatterns);

	if (r == 0) {
		fill_point(m, &x, tag, patterns, npatterns, &draft);
		r = point_encode(&draft, false, &plain);
	}
	/* A copy of its own, which the commit fills. */
	if (r == 0)
		r = point_decode(plain.data, plain.len, draft.id, &p);
	if (r == 0)
		r = writer_commit(m->writer, p);
	if (r == 0)
		memcpy(id_out, p->id, sizeof(p->id));
	point_free(p);
	parts_release(&x);
	return r;
}
