/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/restore_damage.h"
#include "tests/unit/restore_model.h"
#include "tests/unit/support.h"

#include <stdlib.h>
#include <string.h>

#include "store/backend/mem.h"
#include "store/format.h"
#include "store/point.h"
#include "store/tree.h"
#include "store/vault.h"

#define FLIPS_MAX 4

static struct {
	char *old[1000]; /* packs that were there */
	size_t nold;
	struct {
		char *name;
		size_t at;
	} flips[FLIPS_MAX];
	size_t nflips;
} state;

/* ---- doing it ---- */

static bool is_pack(const char *name)
{
	return strncmp(name, "pack/", 5) == 0;
}

void damage_prepare(struct backend *b)
{
	size_t i;

	for (i = 0; model.damage && i < backend_mem_nobjects(b); i++) {
		const char *name = backend_mem_name(b, i);

		assert_true(state.nold < ARRAY_SIZE(state.old));
		if (is_pack(name))
			state.old[state.nold++] = strdup(name);
	}
}

static bool is_old(const char *name)
{
	size_t i;

	for (i = 0; i < state.nold; i++)
		if (!strcmp(state.old[i], name))
			return true;
	return false;
}

void damage_do(struct backend *b)
{
	uint64_t random = model.random;
	size_t i, len;

	for (i = 0; model.damage && i < backend_mem_nobjects(b); i++) {
		const char *name = backend_mem_name(b, i);
		uint8_t *data = backend_mem_data(b, name, &len);
		unsigned int n = 1 + model_below(2);

		if (!is_pack(name) || is_old(name))
			continue;
		for (; n > 0 && state.nflips < FLIPS_MAX; n--) {
			size_t at = model_below((unsigned int)len);

			data[at] ^= 1;
			state.flips[state.nflips].name = strdup(name);
			state.flips[state.nflips++].at = at;
		}
	}
	while (state.nold > 0)
		free(state.old[--state.nold]);
	/* What was written depends on the runs before; what follows must not. */
	model.random = random;
}

void damage_undo(struct backend *b)
{
	size_t len;

	while (state.nflips > 0) {
		state.nflips--;
		backend_mem_data(b, state.flips[state.nflips].name,
				 &len)[state.flips[state.nflips].at] ^= 1;
		free(state.flips[state.nflips].name);
	}
}

/* ---- what is lost ---- */

/* A place in the order of the walk. */
struct place {
	char dir[256], name[16];
};

static int place_compare(const struct place *a, const struct place *b)
{
	AUTO_BUF struct buf ka = BUF_INIT;
	AUTO_BUF struct buf kb = BUF_INIT;

	assert_ok(tree_path_key(&ka, a->dir));
	assert_ok(tree_path_key(&kb, b->dir));
	return tree_compare(ka.data, ka.len, (const uint8_t *)a->name,
			    strlen(a->name), kb.data, kb.len,
			    (const uint8_t *)b->name, strlen(b->name));
}

struct search {
	struct vault *vault;
	const struct point *point;
	uint64_t rank; /* of the last entry that was passed */
	struct place lost; /* the first */
};

static bool is_lost(const struct search *s, const struct node *x)
{
	struct cursor c = { .leaf = NULL };
	int r;

	if (model.volume)
		return x->bad && x->kind != DIR_KIND;
	r = tree_at(s->vault, &s->point->root, s->rank, &c);
	cursor_release(&c);
	return r < 0;
}

/* In the order of a tree. A directory of a volume that cannot be read is lost
 * from its beginning. What the restore leaves out, or cannot enter in the
 * target, it need not read: the model has been where it goes. */
static bool search_below(struct search *s, const struct node *dir,
			 const char *path)
{
	const struct node *c;
	char sub[256];

	snprintf(s->lost.dir, sizeof(s->lost.dir), "%s", path);
	s->lost.name[0] = '\0';
	if (dir->bad && model.entered[dir->file])
		return true;
	for (c = dir->child; c; c = c->next) {
		snprintf(s->lost.name, sizeof(s->lost.name), "%s", c->name);
		snprintf(sub, sizeof(sub), "%s/%s", path, c->name);
		s->rank += c->listed;
		if (c->listed && model.entered[dir->file] &&
		    !model_excludes(sub, c->kind == DIR_KIND) && is_lost(s, c))
			return true;
	}
	for (c = dir->child; c; c = c->next) {
		snprintf(sub, sizeof(sub), "%s/%s", path, c->name);
		if (c->listed && c->kind == DIR_KIND && search_below(s, c, sub))
			return true;
	}
	return false;
}

/* Where the walk knows that @path is not in the point, or is something else
 * there: at the first of its parts of which that is so. */
static struct place place_of(const char *path)
{
	const char *prefix = model.volume ? "/volumes/vda1" : "";
	const struct node *dir = model.source, *c;
	struct place p;
	size_t len, end = strlen(prefix);

	for (;;) {
		snprintf(p.dir, sizeof(p.dir), "%.*s", (int)end, path);
		len = strcspn(path + end + 1, "/");
		snprintf(p.name, sizeof(p.name), "%.*s", (int)len,
			 path + end + 1);
		c = node_find(dir, p.name);
		end += 1 + len;
		if (!c || !c->listed || c->kind != DIR_KIND || !path[end])
			return p;
		dir = c;
	}
}

/* Nothing is deleted at or behind the first place that is lost. */
static void check_order(unsigned int run, const char *start,
			const struct place *lost)
{
	static const char deleted[] = "deleted ";
	const char *line, *end;
	struct place p;
	char path[256];

	buf_put_u8(&model.notes, '\0');
	for (line = (char *)model.notes.data; *line; line = end + 1) {
		end = strchr(line, '\n');
		if (strncmp(line, deleted, strlen(deleted)) != 0)
			continue;
		line += strlen(deleted);
		/* That is where it stands. */
		line += strlen(model.target);
		snprintf(path, sizeof(path), "%s%.*s", start[1] ? start : "",
			 (int)(end - line), line);
		p = place_of(path);
		if (place_compare(&p, lost) >= 0)
			fail_msg("run %u (spare %s): %s was deleted, behind "
				 "%s/%s, which is lost: lines\n%s",
				 run, model.spare ? model.spare : "-", path,
				 lost->dir, lost->name,
				 (char *)model.notes.data);
	}
}

/* ---- what stands there ---- */

/* The line of @path in what was printed, without the path; NULL: there is no
 * such. */
static const char *line_of(const struct buf *lines, const char *path)
{
	const char *line = (char *)lines->data;
	size_t len = strlen(path);

	for (; *line; line = strchr(line, '\n') + 1)
		if (!strncmp(line, path, len) && line[len] == ' ')
			return line + len;
	return NULL;
}

static bool is_same_line(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return !strncmp(a, b, strcspn(a, "\n") + 1);
}

/* All that the restore may have done at @path: nothing; all; or making way for
 * something that could not be read then. */
static bool may_be(const struct buf *before, const struct buf *after,
		   const struct buf *want, const char *path)
{
	const char *a = line_of(before, path), *w = line_of(want, path);
	const char *now = line_of(after, path);

	return is_same_line(now, a) || is_same_line(now, w) ||
	       (!now && a && w && a[1] != w[1]);
}

static void check_lines(unsigned int run, const struct buf *of,
			const struct buf *before, const struct buf *after,
			const struct buf *want)
{
	const char *line = (char *)of->data;
	char path[256];

	for (; *line; line = strchr(line, '\n') + 1) {
		snprintf(path, sizeof(path), "%.*s", (int)strcspn(line, " "),
			 line);
		if (!may_be(before, after, want, path))
			fail_msg("run %u, damaged: %s: before\n%safter\n%s"
				 "wanted\n%slines\n%s",
				 run, path, (char *)before->data,
				 (char *)after->data, (char *)want->data,
				 (char *)model.notes.data);
	}
}

void damage_check(struct vault *v, unsigned int run, const char *path,
		  struct buf *before, struct buf *after, struct buf *want)
{
	struct search s = { .vault = v };
	struct point_list *l;

	buf_put_u8(before, '\0');
	buf_put_u8(after, '\0');
	buf_put_u8(want, '\0');
	assert_ok(vault_points(v, &l));
	s.point = l->points[l->n - 1];
	if (search_below(&s, model.source, model.volume ? "/volumes/vda1" : ""))
		check_order(run, path, &s.lost);
	point_list_put(l);
	check_lines(run, before, before, after, want);
	check_lines(run, after, before, after, want);
}
