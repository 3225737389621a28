/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Both the scan and the parent's tree come in the order of tree keys, so one
 * cursor that only moves forward finds the counterpart of each item.
 *
 * A file is taken for unchanged by its stat alone, the change time among it,
 * which no program can set. That stamp has the grain of the filesystem's clock:
 * what was changed just before the parent's scan looked may have been changed
 * again within the same tick. Such files are looked at again (racy, git calls
 * them).
 */
#include "config.h"

#include "src/backup/parent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/backup/disk.h"
#include "src/backup/internal.h"
#include "src/scan/scan.h"
#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/writer.h"

/* The grain of stamps: a tick of the kernel's clock, or, where stamps have no
 * part of a second, two seconds, as FAT has. */
#define RACY_NS 20000000
#define RACY_COARSE_NS 2000000000

/* ---- which one ---- */

static bool same_sources(const struct point *p, const char *const *sources,
			 size_t n)
{
	size_t i;

	if (p->nsources != n)
		return false;
	for (i = 0; i < n; i++)
		if (strcmp(p->sources[i], sources[i]) != 0)
			return false;
	return true;
}

static int choose_named(struct parent *p, const char *name)
{
	const struct backup *b = p->backup;
	size_t i;
	int err = point_find(b->points, name, &i);

	if (err < 0)
		return err;
	if (b->points->points[i]->verdict_unknown)
		return fail(-EBADMSG,
			    "%s: whether it was purged cannot be read: it is "
			    "no parent",
			    name);
	if (b->points->points[i]->is_untrusted)
		return fail(-EBADMSG,
			    "%s: it lacks a signature that this vault demands: "
			    "it is no parent",
			    name);
	if (!vault_is_own(b->vault, b->points->points[i]->session))
		return fail(-EPERM,
			    "%s: it was made with a key that reads nothing: "
			    "nothing is taken over from it on trust",
			    name);
	p->machine = b->points->points[i];
	if (b->scan && p->machine->has_tree)
		p->tree = p->machine;
	return 0;
}

/* The points of the machine, and when their commits were stored. */
struct made {
	const struct point *point;
	int64_t stored_ns; /* 0: not known */
	/* It was signed by somebody who may not do that for the machine: what is
	 * taken over from it would be signed here. */
	bool is_of_stranger;
};

struct points_made {
	struct made *list; /* owned */
	size_t n;
};

static int by_session(const void *a, const void *b)
{
	return strcmp(((const struct made *)a)->point->session,
		      ((const struct made *)b)->point->session);
}

static int by_stored(const void *a, const void *b)
{
	const struct made *x = a, *y = b;

	if (x->stored_ns != y->stored_ns)
		return x->stored_ns < y->stored_ns ? -1 : 1;
	return x->point->time_ns < y->point->time_ns ? -1 : 1;
}

static int find_session(const void *key, const void *made)
{
	return strcmp(key, ((const struct made *)made)->point->session);
}

static int on_commit(void *arg, const char *name,
		     const struct backend_info *info)
{
	struct points_made *h = arg;
	struct made *made = bsearch(name + strlen("commit/"), h->list, h->n,
				    sizeof(*h->list), find_session);

	if (made)
		made->stored_ns = info->stored_ns;
	return 0;
}

/* The machine's points come in the order of their times. Where the last of them is
 * still to come, somebody's clock was wrong, and the store knows the order. */
static int order_points(const struct backup *b, const char *vm,
			struct points_made *h)
{
	struct seam *s = vault_seam(b->vault);
	int64_t now_ns = s->ops->realtime_ns(s);
	size_t i;
	int r;

	h->list = alloc_array(b->points->n + 1, sizeof(*h->list));
	if (!h->list)
		return -ENOMEM;
	for (i = 0; i < b->points->n; i++)
		if (strcmp(b->points->points[i]->vm, vm) == 0)
			h->list[h->n++] = (struct made){
				.point = b->points->points[i],
				.is_of_stranger =
					point_list_signature(b->points, i) >
					POINT_SIGNED_TRUSTED,
			};
	if (h->n < 2 || h->list[h->n - 1].point->time_ns <= now_ns)
		return 0;
	qsort(h->list, h->n, sizeof(*h->list), by_session);
	r = vault_list(b->vault, "commit/", on_commit, h);
	qsort(h->list, h->n, sizeof(*h->list), by_stored);
	return r;
}

static int choose_latest(struct parent *p, const char *vm)
{
	const struct backup *b = p->backup;
	const struct backup_options *o = b->options;
	const char *const *sources = NULL;
	struct points_made h = { .n = 0 };
	size_t i, n = 0;
	int r = order_points(b, vm, &h);

	if (b->scan)
		sources = scan_sources(b->scan, &n);
	for (i = 0; i < h.n && r == 0; i++) {
		const struct point *x = h.list[i].point;

		/* What may have been purged may be gone. */
		if (x->verdict_unknown || x->is_untrusted ||
		    h.list[i].is_of_stranger ||
		    !vault_is_own(b->vault, x->session))
			continue;
		if (b->scan && x->has_tree && same_sources(x, sources, n))
			p->tree = x;
		/* What hints call unchanged is so since the last disks. */
		if (x->ndisks > 0 || (o->ndisks == 0 && x->nconfigs > 0))
			p->machine = x;
	}
	free(h.list);
	return r;
}

/* Ask once of each point whether what it refers to is there. */
static int choose_trust(struct parent *p)
{
	struct writer *w = p->backup->writer;
	int tree = p->tree && w ? writer_rely_on(w, p->tree) : 0,
	    machine = tree;

	if (tree >= 0 && p->machine != p->tree)
		machine = p->machine && w ? writer_rely_on(w, p->machine) : 0;
	p->trust_tree = tree > 0;
	p->trust_machine = machine > 0;
	return MIN(MIN(tree, machine), 0);
}

int parent_init(struct parent *p, struct backup *b, const char *vm)
{
	int err = 0;

	p->backup = b;
	if (b->options->parent)
		err = choose_named(p, b->options->parent);
	else
		err = choose_latest(p, vm);
	if (err == 0)
		err = choose_trust(p);
	if (err < 0 || !p->tree)
		return err;
	b->progress.total_entries = p->tree->entries;
	b->progress.total_bytes += p->tree->bytes;
	err = tree_at(b->vault, &p->tree->root, 0, &p->at);
	p->ended = err == -ENOENT;
	if (err < 0 && err != -ENOENT) {
		log_warn("%s: the parent cannot be read: every file is read "
			 "anew",
			 p->tree->id);
		p->tree = NULL;
	}
	return 0;
}

void parent_release(struct parent *p)
{
	cursor_release(&p->at);
}

/* ---- side by side ---- */

bool parent_find(struct parent *p, const struct scan_item *it,
		 struct entry *out)
{
	int err, c;

	while (p->tree && !p->ended) {
		const uint8_t *key;
		size_t len;

		key = cursor_dirkey(&p->at, &len);
		cursor_entry(&p->at, out);
		c = tree_compare(key, len, out->name, out->name_len, it->dirkey,
				 it->dirkey_len, (const uint8_t *)it->name,
				 it->name_len);
		if (c >= 0) {
			p->met |= c == 0;
			return c == 0;
		}
		p->differs |= !p->met;
		p->met = false;
		err = cursor_next(&p->at);
		if (err < 0 && err != -ENOENT)
			log_warn("%s: the parent cannot be read to its end: "
				 "the rest of the files is read anew",
				 p->tree->id);
		p->ended = err < 0;
	}
	return false;
}

void parent_end(struct parent *p)
{
	if (p->ended || !p->tree)
		return;
	p->differs |= !p->met || cursor_next(&p->at) != -ENOENT;
	p->ended = true;
}

/* ---- comparing ---- */

bool parent_looks_same(const struct stat *st, const struct entry *e)
{
	return !(e->flags & ENTRY_PARTIAL) && e->mode == st->st_mode &&
	       e->uid == st->st_uid && e->gid == st->st_gid &&
	       e->ino == st->st_ino &&
	       (S_ISDIR(st->st_mode) || e->size == (uint64_t)st->st_size) &&
	       e->mtime.sec == st->st_mtim.tv_sec &&
	       e->mtime.nsec == (uint32_t)st->st_mtim.tv_nsec &&
	       e->ctime.sec == st->st_ctim.tv_sec &&
	       e->ctime.nsec == (uint32_t)st->st_ctim.tv_nsec;
}

bool parent_is_racy(const struct parent *p, const struct stat *st)
{
	int64_t margin = st->st_ctim.tv_nsec ? RACY_NS : RACY_COARSE_NS;
	int64_t sec = p->tree->scan_start_ns / 1000000000;

	/* Stamps may be of any year: compare seconds before nanoseconds. */
	if (st->st_ctim.tv_sec < sec - 3)
		return false;
	if (st->st_ctim.tv_sec > sec + 3)
		return true;
	return st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec >=
	       p->tree->scan_start_ns - margin;
}

static int chunk_there(void *arg, uint8_t type, const struct id *id,
		       uint64_t len)
{
	struct writer *w = arg;
	int found = writer_has_chunk(w, type, id, len);

	return found < 0 ? found : found ? 0 : -ENOENT;
}

bool parent_has_content(const struct parent *p, const struct entry *e)
{
	struct backup *b = p->backup;
	struct content_ref content = entry_content(e);

	if (p->trust_tree || !b->writer)
		return true;
	if ((e->flags & ENTRY_XATTRS_CHUNK) &&
	    chunk_there(b->writer, CHUNK_XATTRS, &e->xattrs_id, e->xattrs_len) <
		    0)
		return false;
	return !S_ISREG(e->mode) ||
	       content_chunks(b->vault, &content, chunk_there, b->writer) == 0;
}

bool parent_equals(const struct parent *p, const struct point *new)
{
	const struct backup *b = p->backup;
	const struct backup_options *o = b->options;
	const struct point *old = b->scan ? p->tree : p->machine;

	if (!old || new->errors > 0 || old->incomplete ||
	    old->has_tree != new->has_tree)
		return false;
	if ((o->ndisks || o->nconfigs) && p->machine != old)
		return false;
	if (!backup_same_disks(old, new))
		return false;
	return !new->has_tree || !p->differs ||
	       id_equal(&new->root, &old->root);
}

static bool is_listed(const struct point_list *l, const struct point *p)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->id, p->id) == 0)
			return !l->points[i]->verdict_unknown;
	return false;
}

/* Return 1, 0 or a negative errno. */
static int is_standing(const struct parent *p, const struct point_list *l,
		       const struct point *x)
{
	struct vault *v = p->backup->vault;
	int r;

	if (!x)
		return 1;
	if (!is_listed(l, x) || !vault_is_put_only(v))
		return is_listed(l, x);
	/* Of such a key, points that were forgotten are listed as any. */
	r = vault_is_touched(v, x->id);
	return r < 0 ? r : !r;
}

int parent_still_stands(const struct parent *p)
{
	struct point_list *l;
	int r = vault_points(p->backup->vault, &l);

	if (r < 0)
		return r;
	r = is_standing(p, l, p->tree);
	if (r == 1 && p->machine != p->tree)
		r = is_standing(p, l, p->machine);
	point_list_put(l);
	return r;
}
