/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/restore_model.h"
#include "tests/unit/support.h"

#include <string.h>

struct restore_model model;

static const char tag_text[] = "Signature: 8a477f597d28d172789f06886806bc55";

/* ---- chance ---- */

unsigned int model_below(unsigned int n)
{
	model.random ^= model.random << 13;
	model.random ^= model.random >> 7;
	model.random ^= model.random << 17;
	return (unsigned int)((model.random >> 20) % n);
}

bool model_percent(unsigned int n)
{
	return model_below(100) < n;
}

struct node *node_new(const char *name, enum kind kind)
{
	struct node *x = &model.nodes[model.n++];

	assert_true(model.n < NODES_MAX);
	memset(x, 0, sizeof(*x));
	snprintf(x->name, sizeof(x->name), "%s", name);
	x->kind = kind;
	x->file = (unsigned int)model.n + OUTSIDE_FILE;
	return x;
}

struct node *node_find(const struct node *dir, const char *name)
{
	struct node *x;

	for (x = dir ? dir->child : NULL; x; x = x->next)
		if (!strcmp(x->name, name))
			return x;
	return NULL;
}

void node_add(struct node *dir, struct node *x)
{
	struct node **at = &dir->child;

	while (*at && strcmp((*at)->name, x->name) < 0)
		at = &(*at)->next;
	x->next = *at;
	*at = x;
}

void node_share(struct node *x, struct node *as)
{
	memcpy(x->text, as->text, sizeof(x->text));
	x->file = as->file;
	x->shared = as->shared = true;
}

static void node_drop(struct node *dir, const struct node *x)
{
	struct node **at = &dir->child;

	while (*at != x)
		at = &(*at)->next;
	*at = x->next;
}

/* ---- the source, and what a backup takes of it ---- */

const char *const model_names[MODEL_NAMES] = { "CACHEDIR.TAG", "a",  "b", "c",
					       "d.x",	       "e.x" };

void node_fill(struct node *x, char who)
{
	if (x->kind == FILE_KIND && !strcmp(x->name, model_names[0]) &&
	    model_percent(80))
		snprintf(x->text, sizeof(x->text), "%s", tag_text);
	else if (x->kind == FILE_KIND)
		snprintf(x->text, sizeof(x->text), "%c%u", who, model.serial++);
	else if (x->kind == LINK_KIND)
		snprintf(x->text, sizeof(x->text), "%s/%s", model.outside,
			 model_percent(50) ? "dir" : "file");
}

enum kind model_any_kind(unsigned int depth)
{
	unsigned int dice = model_below(10);

	return dice == 0	       ? LINK_KIND
	       : dice < 5 || depth > 3 ? FILE_KIND
				       : DIR_KIND;
}

void model_source(struct node *dir, unsigned int depth)
{
	size_t i;

	for (i = 0; i < MODEL_NAMES; i++) {
		struct node *x;

		if (!model_percent(i == 0 ? 10 : 45))
			continue;
		x = node_new(model_names[i],
			     i == 0 ? FILE_KIND : model_any_kind(depth));
		node_fill(x, 's');
		node_add(dir, x);
		if (x->kind != DIR_KIND)
			continue;
		x->mount = model.one_fs && model_percent(12);
		model_source(x, depth + 1);
	}
}

void model_share(void)
{
	size_t i;

	for (i = 1; i < model.n; i++) {
		struct node *x = &model.nodes[i];
		struct node *as = &model.nodes[model_below((unsigned int)i)];

		if (x->kind == FILE_KIND && as->kind == FILE_KIND &&
		    model_percent(30))
			node_share(x, as);
	}
}

void model_fill(struct node *dir)
{
	static const char *const before[] = { "A", "aa", "bb", "dd", "f" };
	const char *prefix = before[model_below(ARRAY_SIZE(before))];
	struct node *c;
	char name[16];
	unsigned int i;

	if (model.n > NODES_MAX / 4)
		return;
	if (model_percent(30)) {
		for (i = 0; i < 300; i++) {
			snprintf(name, sizeof(name), "%s%u", prefix, 100 + i);
			c = node_new(name, LINK_KIND);
			snprintf(c->text, sizeof(c->text), "nowhere");
			node_add(dir, c);
		}
	}
	for (c = dir->child; c; c = c->next)
		if (c->kind == DIR_KIND)
			model_fill(c);
}

void model_show(struct node *x)
{
	struct node *c;

	x->listed = true;
	x->walked = x->kind == DIR_KIND;
	x->bad = model.damage && model_percent(10);
	for (c = x->child; c; c = c->next)
		model_show(c);
}

static bool is_cache(const struct node *dir)
{
	const struct node *tag = node_find(dir, model_names[0]);

	return model.caches && !model.volume && tag && tag->kind == FILE_KIND &&
	       !strcmp(tag->text, tag_text);
}

static bool matches(const char *pattern, const char *path, bool is_dir)
{
	char want[64];
	size_t len = strlen(pattern);

	snprintf(want, sizeof(want), "%s", pattern);
	if (want[len - 1] == '/') {
		if (!is_dir)
			return false;
		want[--len] = '\0';
	}
	if (want[0] == '/')
		return !strcmp(want, path);
	path = strrchr(path, '/') + 1;
	if (want[0] == '*')
		return strlen(path) > len - 1 &&
		       !strcmp(path + strlen(path) - (len - 1), want + 1);
	return !strcmp(want, path);
}

static bool left_out(const char *path, bool is_dir)
{
	bool out = false;
	size_t i;

	for (i = 0; i < model.npatterns; i++) {
		bool negate = model.patterns[i][0] == '!';

		if (matches(model.patterns[i] + negate, path, is_dir))
			out = !negate;
	}
	return out;
}

bool node_leads(const struct node *x)
{
	const struct node *c;

	if (x->source)
		return true;
	for (c = x->child; c; c = c->next)
		if (node_leads(c))
			return true;
	return false;
}

/* A point that does not say what it left out seems to have seen all that is
 * below a source. */
void model_forget(struct node *x, bool inside)
{
	struct node *c;

	x->way = !x->source && !inside;
	x->walked = x->kind == DIR_KIND && !x->way;
	for (c = x->child; c; c = c->next)
		model_forget(c, x->walked);
}

/* @inside: its directory's entries are taken. */
void model_backup(struct node *x, const char *path, bool inside)
{
	bool taken =
		x->source || (inside && !left_out(path, x->kind == DIR_KIND));
	struct node *c;
	char sub[256];

	x->listed = taken || node_leads(x);
	x->way = !taken;
	x->walked = taken && x->kind == DIR_KIND && (x->source || !x->mount);
	for (c = x->child; c; c = c->next) {
		bool in = x->walked &&
			  (!is_cache(x) || !strcmp(c->name, model_names[0]));

		snprintf(sub, sizeof(sub), "%s/%s", path[1] ? path : "",
			 c->name);
		model_backup(c, sub, in);
	}
	x->walked = x->walked && !is_cache(x);
}

void model_pick_sources(struct node *dir, unsigned int chance)
{
	struct node *c;

	for (c = dir->child; c; c = c->next) {
		c->source = model_percent(chance);
		model_pick_sources(c, chance);
	}
}

/* ---- the model ---- */

bool model_excludes(const char *path, bool is_dir)
{
	return model.spare && matches(model.spare, path, is_dir);
}

static bool is_spared(const char *path, bool is_dir)
{
	return (model.known && !model.volume && left_out(path, is_dir)) ||
	       model_excludes(path, is_dir);
}

static bool shaped_as_vault(const struct node *dir)
{
	static const char *const parts[] = { "config", "pack", "point",
					     "commit" };
	const struct node *c;
	size_t i, n = 0;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		c = node_find(dir, parts[i]);
		n += c && c->kind == (i == 0 ? FILE_KIND : DIR_KIND);
	}
	return n >= 2;
}

/* Remove what may go of @x, which stands at @path. Is it gone whole? */
static bool model_remove(struct node *x, const char *path)
{
	struct node *c, *next;
	bool whole = true;
	char sub[256];

	if (is_spared(path, x->kind == DIR_KIND) || x->mount || x->guarded)
		return false;
	if (x->kind != DIR_KIND)
		return true;
	if (shaped_as_vault(x) || (model.known && is_cache(x)))
		return false;
	for (c = x->child; c; c = next) {
		next = c->next;
		snprintf(sub, sizeof(sub), "%s/%s", path, c->name);
		if (model_remove(c, sub))
			node_drop(x, c);
		else
			whole = false;
	}
	return whole;
}

static void model_new(struct node *at, const struct node *s, const char *path)
{
	struct node *x = node_new(s->name, s->kind);

	memcpy(x->text, s->text, sizeof(x->text));
	node_add(at, x);
	x->fs = at->fs;
	if (x->kind == DIR_KIND)
		model_restore(x, s, path, false, true);
	if (!s->shared)
		return;
	/* No link leads from one filesystem to another. */
	if (model.first[s->file] && model.first_dir[s->file]->fs == at->fs) {
		node_share(x, model.first[s->file]);
		return;
	}
	model.first[s->file] = x;
	model.first_dir[s->file] = at;
}

/* Entry @s of the point meets @x, which stands there. */
static void model_meet(struct node *at, struct node *x, const struct node *s,
		       const char *path, bool deletes, bool barred)
{
	if (s->kind == DIR_KIND && x->kind == DIR_KIND) {
		if (at->guarded)
			x->guarded = true;
		model_restore(x, s, path, barred || x->mount, false);
		return;
	}
	if (at->guarded || model.never || x->guarded || x->mount)
		return;
	if (s->kind == DIR_KIND &&
	    (s->way || (s->source && x->kind == LINK_KIND)))
		return;
	if (x->kind == DIR_KIND && deletes) {
		if (!model_remove(x, path))
			return;
	} else if (x->kind == DIR_KIND && x->child) {
		return;
	}
	node_drop(at, x);
	model_new(at, s, path);
}

/* The entries of directory @from of the point go into @at. */
void model_restore(struct node *at, const struct node *from, const char *path,
		   bool barred, bool made)
{
	bool keeps = !model.word &&
		     (model.incomplete || (!model.known && !model.volume));
	bool deletes;
	int dirs;
	struct node *x, *next;
	const struct node *s;
	char sub[256];

	model.entered[from->file] = true;
	barred = barred || (!made && (shaped_as_vault(at) ||
				      (model.known && is_cache(at))));
	deletes = model.delete_extra && !keeps && from->walked && !made &&
		  !barred && !at->guarded;
	for (x = at->child; x; x = next) {
		next = x->next;
		s = node_find(from, x->name);
		snprintf(sub, sizeof(sub), "%s/%s", path[1] ? path : "",
			 x->name);
		if (s && s->listed)
			continue;
		if (deletes && model_remove(x, sub))
			node_drop(at, x);
	}
	for (dirs = 0; dirs < 2; dirs++)
		for (s = from->child; s; s = s->next) {
			snprintf(sub, sizeof(sub), "%s/%s", path[1] ? path : "",
				 s->name);
			if (!s->listed || (s->kind == DIR_KIND) != dirs ||
			    model_excludes(sub, dirs))
				continue;
			x = node_find(at, s->name);
			if (x)
				model_meet(at, x, s, sub, deletes, barred);
			else if (!at->guarded)
				model_new(at, s, sub);
		}
}

/* Does @at have the directory @path ("b/c")? */
static bool has_dir(const struct node *at, const char *path)
{
	char name[16];
	size_t len;

	for (; at && at->kind == DIR_KIND && *path; path += len) {
		path += *path == '/';
		len = strcspn(path, "/");
		snprintf(name, sizeof(name), "%.*s", (int)len, path);
		at = node_find(at, name);
	}
	return at && at->kind == DIR_KIND;
}

static bool is_listed(const struct node *from, const char *name, size_t len)
{
	const struct node *s;

	for (s = from->child; s; s = s->next)
		if (s->listed && strlen(s->name) == len &&
		    strncmp(s->name, name, len) == 0)
			return true;
	return false;
}

bool model_refuses(const struct node *at, const struct node *from,
		   const char *path)
{
	bool keeps = !model.word &&
		     (model.incomplete || (!model.known && !model.volume));
	const char *p = path + (model.volume ? strlen("/volumes/vda1") : 0);
	const struct node *x;
	bool some = false;
	char sub[256];

	if (!model.delete_extra || keeps)
		return false;
	for (; *p; p++)
		if (*p == '/' && p[1] && has_dir(at, p) &&
		    !is_listed(from, p + 1, strcspn(p + 1, "/")))
			return true;
	if (!from->walked || shaped_as_vault(at) ||
	    (model.known && is_cache(at)))
		return false;
	for (x = at->child; x; x = x->next) {
		if (is_listed(from, x->name, strlen(x->name)))
			return false;
		snprintf(sub, sizeof(sub), "%s/%s", path[1] ? path : "",
			 x->name);
		some |= !is_spared(sub, x->kind == DIR_KIND);
	}
	return some;
}

const char *model_shown(uint64_t file, const char *path)
{
	struct shown *s;

	for (s = model.shown; s < model.shown + model.nshown; s++)
		if (s->file == file)
			return s->path;
	assert_true(model.nshown++ < NODES_MAX);
	s->file = file;
	snprintf(s->path, sizeof(s->path), "%s", path);
	return NULL;
}

void model_print(const struct node *dir, const char *path, struct buf *out)
{
	const struct node *x;
	char sub[256], line[600];
	const char *same;

	if (!path[0])
		model.nshown = 0;
	for (x = dir->child; x; x = x->next) {
		snprintf(sub, sizeof(sub), "%s/%s", path, x->name);
		same = x->kind == FILE_KIND && x->shared
			       ? model_shown(x->file, sub)
			       : NULL;
		snprintf(line, sizeof(line), "%s %d %s%s%s\n", sub, x->kind,
			 x->text, same ? " is " : "", same ? same : "");
		buf_put(out, line, strlen(line));
		model_print(x, sub, out);
	}
}
