/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Taking apart what people type. The text is cut by the rules of place.h; which
 * point the first part names is decided by point_find(), which has the list of
 * all forms.
 */
#include "config.h"

#include "fs/place.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/view.h"
#include "store/base/log.h"
#include "store/point.h"

/* ---- where POINT ends ---- */

/*
 * The longest name of a machine that @text begins with and that is followed by
 * one of the @nstops bytes @stops; NULL where there is none. The points of
 * one machine follow each other in the list, so each name is compared once.
 */
static const char *longest_machine(const struct point_list *l, const char *text,
				   const char *stops, size_t nstops)
{
	const char *best = NULL;
	size_t best_len = 0, i;

	for (i = 0; i < l->n; i++) {
		const char *vm = l->points[i]->vm;
		size_t len = strlen(vm);

		if (i > 0 && strcmp(vm, l->points[i - 1]->vm) == 0)
			continue;
		if (len <= best_len || strncmp(text, vm, len) != 0)
			continue;
		if (memchr(stops, text[len], nstops)) {
			best = vm;
			best_len = len;
		}
	}
	return best;
}

/* Does @text begin with a time that has colons in it? */
static bool begins_with_time(const char *text)
{
	static const char form[] = "9999-99-99T99:99:99Z";
	size_t i;

	for (i = 0; form[i]; i++)
		if (form[i] == '9' ? text[i] < '0' || text[i] > '9'
				   : text[i] != form[i])
			return false;
	return true;
}

/* The bytes of @text up to the colon that ends a time or "latest~N". */
static size_t moment_len(const char *text)
{
	size_t len =
		begins_with_time(text) ? strlen("9999-99-99T99:99:99Z") : 0;

	return len + strcspn(text + len, ":");
}

/* The bytes of @text that name a point. */
static size_t point_len(const struct point_list *l, const char *text)
{
	/* The third byte is the end of the text. */
	const char *vm = longest_machine(l, text, "/:", 3);
	size_t len = vm ? strlen(vm) : strcspn(text, "/:");

	if (text[len] == '/')
		len += 1 + moment_len(text + len + 1);
	return len;
}

const char *place_machine(const struct point_list *l, const char *text,
			  const char **vm_out)
{
	const char *vm = longest_machine(l, text, ":", 1);

	if (!vm)
		return NULL;
	*vm_out = vm;
	return text + strlen(vm) + 1;
}

/* ---- the path ---- */

char *place_clean_path(const char *text)
{
	char *out = malloc(strlen(text) + 1), *p = out;

	if (!out)
		return NULL;
	while (*text) {
		size_t len = strcspn(text, "/");

		if (len > 0 && !(len == 1 && *text == '.')) {
			if (p > out)
				*p++ = '/';
			memcpy(p, text, len);
			p += len;
		}
		text += len;
		text += *text == '/';
	}
	*p = '\0';
	return out;
}

static void set_kind(struct place *p)
{
	static const struct {
		const char *folder;
		enum place_kind kind;
	} kinds[] = {
		{ "files", PLACE_FILES },
		{ "disks", PLACE_DISKS },
		{ "volumes", PLACE_VOLUMES },
		{ "config", PLACE_CONFIG },
	};
	size_t len = strcspn(p->path, "/"), i;

	p->kind = len ? PLACE_OTHER : PLACE_POINT;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strlen(kinds[i].folder) == len &&
		    memcmp(kinds[i].folder, p->path, len) == 0)
			p->kind = kinds[i].kind;
	p->inside = p->path + len + (p->path[len] == '/');
}

/* ---- places ---- */

int place_parse(struct point_list *l, const char *text, struct place *out)
{
	size_t len = point_len(l, text);
	AUTO_FREE char *name = strndup(text, len);
	int r;

	memset(out, 0, sizeof(*out));
	if (strchr("/:", *text))
		return fail(-ENOENT,
			    "\"%s\" does not begin with the name of a point:"
			    " say POINT:PATH, as in web1/latest:files/etc",
			    text);
	if (!name)
		return -ENOMEM;
	r = point_find(l, name, &out->index);
	if (r < 0)
		return r;
	out->path = place_clean_path(text[len] ? text + len + 1 : "");
	if (!out->path)
		return -ENOMEM;
	out->list = point_list_get(l);
	out->point = l->points[out->index];
	out->point_len = len;
	set_kind(out);
	return 0;
}

void place_release(struct place *p)
{
	point_list_put(p->list);
	free(p->path);
	memset(p, 0, sizeof(*p));
}

int place_find(struct view *w, const char *text, struct place *out,
	       struct view_attr *attr_out)
{
	struct point_list *l = view_points(w);
	int r = place_parse(l, text, out);

	point_list_put(l);
	if (r < 0)
		return r;
	r = view_lookup_path(w, view_point_node(w, out->point), out->path,
			     attr_out);
	if (r == -ENOENT || r == -ENOTDIR)
		r = fail(-ENOENT, "%s/%s has no %s", out->point->vm,
			 out->list->names[out->index], out->path);
	if (r < 0)
		place_release(out);
	return r;
}

/* Whether any point of its machine is signed; they stand side by side. */
static bool machine_signs(const struct place *p)
{
	const struct point_list *l = p->list;
	size_t i;

	for (i = 0; l->signatures && i < l->n; i++)
		if (l->signatures[i] != POINT_UNSIGNED &&
		    strcmp(l->points[i]->vm, p->point->vm) == 0)
			return true;
	return false;
}

void place_warn_of_signer(const struct place *p)
{
	static const char *const texts[] = {
		[POINT_UNSIGNED] = "is not signed, though others of its "
				   "machine are",
		[POINT_SIGNED] = "is signed with a key that is not known to "
				 "sign for its machine",
		[POINT_SIGNED_BY_ANOTHER] = "is signed with a key that may not "
					    "sign for its machine",
		[POINT_SIGNED_REVOKED] = "is signed with a key that was "
					 "revoked",
		[POINT_SIGNED_ELSEWHERE] = "was signed for another vault, and "
					   "put into this one",
	};
	enum point_signature s = point_list_signature(p->list, p->index);

	if (s != POINT_SIGNED_TRUSTED && machine_signs(p))
		log_warn(
			"the point %s/%s %s: somebody else who has the vault's "
			"key may have made it",
			p->point->vm, p->list->names[p->index], texts[s]);
}

/* The bytes of the disk's name in "vda.raw"; 0 where the place is no disk. */
static size_t disk_name_len(const struct place *p)
{
	size_t len = strlen(p->inside);

	if (p->kind != PLACE_DISKS || strchr(p->inside, '/') || len <= 4 ||
	    strcmp(p->inside + len - 4, ".raw") != 0)
		return 0;
	return len - 4;
}

int place_disk(const struct place *p, const char *text, const char *name,
	       const struct point_disk **out)
{
	AUTO_FREE char *typed = NULL;
	size_t len = disk_name_len(p);

	*out = NULL;
	if (len == 0 && (p->kind != PLACE_POINT || !name))
		return fail(-EINVAL,
			    "%s: this is not a disk: say POINT:disks/NAME.raw",
			    text);
	if (len > 0) {
		typed = strndup(p->inside, len);
		if (!typed)
			return -ENOMEM;
		if (name && strcmp(name, typed) != 0)
			return fail(-EINVAL,
				    "%s: --disk names another disk, \"%s\"",
				    text, name);
		name = typed;
	}
	if (p->point->ndisks == 0)
		return fail(-ENOENT, "%s: the point has no disks", text);
	*out = point_find_disk(p->point, name);
	if (*out)
		return 0;
	return fail(-ENOENT,
		    "%s: the point has no disk \"%s\"; the first that it has is"
		    " \"%s\"",
		    text, name, p->point->disks[0].name);
}
