/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The index. Packs say themselves what is in them, so an index object that is lost
 * is no loss: a session takes over what is named by none, as each backup does, and
 * names it. But readers would try a damaged object again and again, and backups
 * look at each chunk of points that stand on it: so it is superseded.
 *
 * Whoever supersedes an object says that he names all that it named, and nobody
 * knows that of one that cannot be read. It may have named the packs of its own
 * session, and those of sessions that did not name theirs themselves; where one is
 * of those that others were merged into, any. All of these are named, where they are
 * not too many. Should one of them be gone that nobody remembers, a chunk of some
 * point would be missing; so nothing is superseded where a point misses any.
 */
#include "config.h"

#include "store/repair/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/index.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/writer.h"

struct index_repair {
	struct survey *s;
	char **gone; /* index objects that are damaged or missing; owned */
	size_t ngone, gone_cap;
	bool any_merged; /* among them */
	uint64_t unnamed; /* packs of sessions that ended */
	struct packset named; /* what the new object is to name */
};

static bool is_merged(const char *name)
{
	return strcmp(name + strlen(name) - 2, ".m") == 0;
}

static bool is_gone(const struct index_repair *x, const char *name)
{
	size_t i;

	for (i = 0; i < x->ngone; i++)
		if (strcmp(x->gone[i], name) == 0)
			return true;
	return false;
}

static int add_gone(struct index_repair *x, const char *name)
{
	if (is_gone(x, name))
		return 0;
	if (array_reserve(&x->gone, &x->gone_cap, x->ngone + 1) < 0)
		return -ENOMEM;
	x->gone[x->ngone] = strdup(name);
	if (!x->gone[x->ngone])
		return -ENOMEM;
	x->any_merged |= is_merged(name);
	x->ngone++;
	return 0;
}

/* ---- what there is ---- */

/* Is the object of that name imported, or superseded by one that is to stay? 1, 0 or a
 * negative errno. */
static int stands(struct index_repair *x, const char *name)
{
	char object[OBJECT_NAME_MAX], other[INDEX_NAME_MAX];
	int r;

	snprintf(object, sizeof(object), "index/%s", name);
	r = catalog_has_source(vault_catalog(x->s->vault), object);
	if (r == 0)
		r = vault_index_superseding(x->s->vault, name, other);
	else
		return r;
	if (r == 0)
		return !is_gone(x, other);
	return r == -ENOENT ? 0 : r;
}

/* One that is there, and that nobody could import: why? */
static int look_at(struct index_repair *x, const char *object)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_FREE uint8_t *raw = NULL;
	struct vault *v = x->s->vault;
	size_t len;
	int r = vault_get_all(v, object, FORMAT_BOX_OBJECT_MAX, &raw, &len);

	if (r == 0)
		r = format_read_box(vault_keyring(v), raw, len, OBJECT_INDEX,
				    object, &plain);
	/* What opens is malformed, or its import failed for another reason. */
	if (r == -EBADMSG || r == 0)
		return add_gone(x, object + strlen("index/"));
	if (r == -EOPNOTSUPP || backend_error_is_of_object(r))
		repair_say(x->s->o, x->s->out, REPAIR_LEFT, object,
			   r == -EOPNOTSUPP
				   ? "needs a newer vmbackup, or is damaged"
				   : "cannot be read: it may come back, and is "
				     "left alone");
	return r == -ENOENT || r == -EOPNOTSUPP || backend_error_is_of_object(r)
		       ? 0
		       : r;
}

static int find_damaged(struct index_repair *x)
{
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	size_t i;
	int r = backend_list_names(vault_backend(x->s->vault), "index/",
				   &names);

	for (i = 0; i < names.n && r == 0; i++) {
		const char *name = names.list[i] + strlen("index/");

		if (!index_name_ok(name))
			continue;
		r = stands(x, name);
		r = r == 0 ? look_at(x, names.list[i]) : MIN(r, 0);
	}
	return r;
}

/* Those that say of packs what is not so. */
static int find_untrue(struct index_repair *x)
{
	const struct check_result *res = &x->s->check;
	size_t i;
	int r = 0;

	for (i = 0; i < res->nfindings && r == 0; i++) {
		const struct check_finding *f = res->findings[i];

		if (f->damage && f->is_untrue && index_name_ok(f->object + 6))
			r = add_gone(x, f->object + 6);
	}
	return r;
}

/* Those that points stand on and that are not there. */
static int find_missing(struct index_repair *x)
{
	const struct point_list *l = x->s->check.points_list;
	size_t i, k;
	int r = 0;

	for (i = 0; i < l->n && r == 0; i++)
		for (k = 0; k < l->points[i]->nindex && r == 0; k++) {
			const char *name = l->points[i]->index[k];

			r = stands(x, name);
			r = r == 0 ? add_gone(x, name) : MIN(r, 0);
		}
	return r;
}

static int is_index(void *arg, const char *source)
{
	(void)arg;
	return strncmp(source, "index/", 6) == 0;
}

/* A session that has not ended names its packs itself. */
static int has_ended(struct index_repair *x, const char *pack)
{
	struct backend_info info;
	char object[OBJECT_NAME_MAX];
	int r;

	snprintf(object, sizeof(object), "commit/%.*s", NAME_HEX, pack);
	r = backend_head(vault_backend(x->s->vault), object, &info);
	if (r == 0)
		return 1;
	return r == -ENOENT || backend_error_is_of_object(r) ? 0 : r;
}

static int count_unnamed(struct index_repair *x, const char *pack)
{
	struct catalog *c = vault_catalog(x->s->vault);
	char object[OBJECT_NAME_MAX];
	int64_t no = 0;
	int known = catalog_pack_no(c, pack, &no), r = known;

	if (r == 0)
		r = catalog_pack_sources(c, no, is_index, NULL);
	if (r != 0 && known != -ENOENT)
		return MIN(r, 0);
	r = has_ended(x, pack);
	if (r <= 0)
		return r;
	if (known == 0 && !condemned_has(&x->s->condemned, pack)) {
		x->unnamed++;
		return 0;
	}
	(void)!format_pack_object_name(pack, object);
	repair_say(x->s->o, x->s->out, REPAIR_LEFT, object,
		   known == 0 ? "no index object names it, and it is damaged: "
				"see vmbackup repair packs"
			      : "no index object names it, and it does not say "
				"what is in it");
	return 0;
}

static int find_unnamed(struct index_repair *x)
{
	size_t i;
	int r = 0;

	for (i = 0; i < x->s->npacks && r == 0; i++)
		r = count_unnamed(x, x->s->packs[i].name);
	return r;
}

/* ---- what is to be superseded ---- */

/* Has some point lost anything, as far as the check could tell? */
static bool points_are_whole(const struct survey *s)
{
	size_t i;

	for (i = 0; i < s->check.nfindings; i++)
		if (s->check.findings[i]->damage &&
		    s->check.findings[i]->nplaces > 0)
			return false;
	return s->check.points_list->ndamaged == 0;
}

/* Of a pack's sources: does an index object of its own session name it, or one that
 * others were merged into? */
static int is_of_session(void *arg, const char *source)
{
	const char *sid = arg;

	return strncmp(source, "index/", 6) == 0 &&
	       (strncmp(source + 6, sid, NAME_HEX) == 0 || is_merged(source));
}

static bool session_lost_index(const struct index_repair *x, const char *sid)
{
	size_t i;

	for (i = 0; i < x->ngone; i++)
		if (strncmp(x->gone[i], sid, NAME_HEX) == 0)
			return true;
	return false;
}

struct pack_numbers {
	int64_t *list; /* owned */
	size_t n, cap;
};

static int on_row(void *arg, const struct pack_row *row)
{
	struct pack_numbers *l = arg;

	if (array_reserve(&l->list, &l->cap, l->n + 1) < 0)
		return -ENOMEM;
	l->list[l->n++] = row->no;
	return 0;
}

/* May one of those that are gone have named the pack? */
static int choose_pack(struct index_repair *x, int64_t no)
{
	struct catalog *c = vault_catalog(x->s->vault);
	struct pack_row row;
	int r = catalog_get_pack(c, no, &row, NULL);

	if (r < 0)
		return r;
	if (!x->any_merged && !session_lost_index(x, row.name))
		r = catalog_pack_sources(c, no, is_of_session, row.name);
	return r == 0 ? packset_add(&x->named, no) : MIN(r, 0);
}

static int choose_packs(struct index_repair *x)
{
	struct pack_numbers l = { .n = 0 };
	size_t i;
	int r = catalog_packs(vault_catalog(x->s->vault), on_row, &l);

	for (i = 0; i < l.n && r == 0; i++)
		r = choose_pack(x, l.list[i]);
	free(l.list);
	return r;
}

static void say_gone(struct index_repair *x, enum repair_verdict verdict,
		     const char *text)
{
	char object[OBJECT_NAME_MAX];
	size_t i;

	for (i = 0; i < x->ngone; i++) {
		snprintf(object, sizeof(object), "index/%s", x->gone[i]);
		repair_say(x->s->o, x->s->out, verdict, object, "%s", text);
	}
}

static int supersede(struct index_repair *x, struct writer *w)
{
	int r = choose_packs(x);

	if (r == 0)
		r = writer_supersede(w, &x->named, x->gone, x->ngone);
	if (r == -EFBIG) {
		say_gone(x, REPAIR_NOTED,
			 "is damaged or gone; what it said is in others, which "
			 "are too large to supersede it");
		return 0;
	}
	if (r == 0)
		say_gone(x, REPAIR_DONE,
			 "was damaged or gone, or said what is not so, and is "
			 "superseded");
	return r;
}

/* ---- doing it ---- */

static void say_unnamed(struct index_repair *x)
{
	if (x->unnamed)
		repair_say(
			x->s->o, x->s->out, survey_done(x->s), "index/",
			"packs that no index object named, and that %s: %llu",
			x->s->o->apply ? "are named" : "can be named",
			(unsigned long long)x->unnamed);
}

/* A session takes over what nobody names. */
static int apply(struct index_repair *x, bool supersedes)
{
	struct writer *w;
	int r = writer_begin(x->s->vault, x->s->o->level, NULL, &w);

	if (r < 0)
		return r;
	if (supersedes)
		r = supersede(x, w);
	if (r == 0)
		r = writer_finish(w);
	else
		writer_abandon(w);
	writer_free(w);
	if (r == 0)
		say_unnamed(x);
	return r;
}

static int repair(struct index_repair *x)
{
	bool whole = points_are_whole(x->s);
	bool supersedes = x->ngone > 0 && whole;

	if (x->ngone > 0 && !whole)
		say_gone(
			x, REPAIR_NOTED,
			"is damaged or gone; packs say what it said, and it is "
			"not superseded while points miss something: repair "
			"these first");
	if (x->s->o->apply)
		return supersedes || x->unnamed ? apply(x, supersedes) : 0;
	if (supersedes)
		say_gone(x, REPAIR_WOULD,
			 "is damaged or gone, and can be superseded");
	say_unnamed(x);
	return 0;
}

/*
 * Where a point misses something, the index may hide it, or say that it is where it is
 * not. So all packs are asked themselves, and after that it is known which index
 * objects lie.
 */
static int survey_index(struct survey *s, struct vault *v,
			const struct repair_options *o, struct task *task,
			struct repair_result *out)
{
	size_t i;
	int r = survey_make(s, v, o, task, out);

	if (r < 0 || points_are_whole(s))
		return r;
	for (i = 0; i < s->npacks && r >= 0; i++)
		r = task_stopped(task) ? -EINTR
				       : vault_settle_pack(v, s->packs[i].name);
	if (r < 0)
		return r;
	survey_release(s);
	return survey_make(s, v, o, task, out);
}

int repair_index(struct vault *v, const struct repair_options *o,
		 struct task *task, struct repair_result *out)
{
	struct survey s;
	struct index_repair x = { .s = &s };
	int r = survey_index(&s, v, o, task, out);

	if (r == 0)
		r = find_damaged(&x);
	if (r == 0)
		r = find_untrue(&x);
	if (r == 0)
		r = find_missing(&x);
	if (r == 0)
		r = find_unnamed(&x);
	if (r == 0)
		r = repair(&x);
	while (x.ngone > 0)
		free(x.gone[--x.ngone]);
	free(x.gone);
	packset_release(&x.named);
	survey_release(&s);
	return r;
}
