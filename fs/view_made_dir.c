/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands in the directories that the view makes.
 *
 * Cookies of directories that grow are serials + 3: a point that appears in
 * the middle of a listing comes behind what was there.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/view_internal.h"
#include "store/base/seam.h"
#include "store/vault.h"

#define COOKIE(serial) ((uint64_t)(serial) + 3)

/* ---- looking up ---- */

static int find_top(const char *name, uint64_t *out)
{
	static const struct {
		const char *name;
		enum node_kind_made kind;
	} rows[] = {
		{ "vms", MADE_VMS },
		{ "ids", MADE_IDS },
		{ "tags", MADE_TAGS },
		{ ".vmbackupfs", MADE_HIDDEN },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(name, rows[i].name) == 0) {
			*out = node_made(rows[i].kind, 0, 0);
			return 0;
		}
	return -ENOENT;
}

static int find_hidden(struct view *w, const char *name, uint64_t *out)
{
	struct seam *seam = vault_seam(w->vault);
	uint64_t ms =
		(uint64_t)((seam->ops->monotonic_ns(seam) - w->started_ns) /
			   1000000);

	if (strcmp(name, "status.json") == 0)
		*out = node_made(MADE_STATUS, 0, node_b(ms));
	else if (strcmp(name, "stats") == 0)
		*out = node_made(MADE_STATS, 0, node_b(ms));
	else if (strcmp(name, "version") == 0)
		*out = node_made(MADE_VERSION, 0, 0);
	else
		return -ENOENT;
	return 0;
}

static int find_in_machine(struct view *w, uint32_t machine, const char *name,
			   uint64_t *out)
{
	uint32_t point;
	int r;

	if (strcmp(name, "latest") == 0) {
		r = roster_latest(w->roster, machine, &point);
		*out = node_made(MADE_LATEST, machine, point);
		return r;
	}
	r = roster_find_point(w->roster, machine, name, &point);
	*out = node_made(MADE_POINT, 0, point);
	return r;
}

static int find_tagged(struct view *w, uint64_t parent, const char *name,
		       uint64_t *out)
{
	uint32_t tag = node_a(parent), machine = (uint32_t)node_b(parent);
	uint32_t found;
	int r;

	if (node_kind(parent) == MADE_TAG) {
		tag = machine;
		r = roster_find_machine(w->roster, name, &machine);
		*out = node_made(MADE_TAG_VM, tag, machine);
		if (r == 0)
			r = roster_next_point(w->roster, tag, machine, 0,
					      &found);
		return r;
	}
	r = roster_find_point(w->roster, machine, name, &found);
	if (r < 0)
		return r;
	*out = node_made(MADE_TAG_POINT, tag, found);
	return roster_has_tag(w->roster, found, tag) ? 0 : -ENOENT;
}

static int find_in_point(struct view *w, uint32_t point, const char *name,
			 struct view_attr *out)
{
	struct roster_point p;
	int r = roster_get_point(w->roster, point, &p);

	if (r < 0)
		return r;
	if (strcmp(name, "point.json") == 0)
		return made_attr(w, node_made(MADE_POINT_JSON, 0, point), out);
	if (strcmp(name, "files") == 0)
		return files_top(w, &p, out);
	if (strcmp(name, "disks") == 0 && p.ndisks > 0)
		return made_attr(w, node_made(MADE_DISKS, 0, point), out);
	if (strcmp(name, "volumes") == 0 && p.ndisks > 0)
		return made_attr(w, node_made(MADE_VOLUMES, 0, point), out);
	if (strcmp(name, "config") == 0 && p.nconfigs > 0)
		return made_attr(w, node_made(MADE_CONFIGS, 0, point), out);
	return -ENOENT;
}

int made_find(struct view *w, uint64_t parent, const char *name,
	      struct view_attr *out)
{
	uint32_t b = (uint32_t)node_b(parent), serial = 0;
	uint64_t node = 0;
	int r;

	switch (node_kind(parent)) {
	case MADE_ROOT:
		r = find_top(name, &node);
		break;
	case MADE_HIDDEN:
		r = find_hidden(w, name, &node);
		break;
	case MADE_VMS:
		r = roster_find_machine(w->roster, name, &serial);
		node = node_made(MADE_VM, 0, serial);
		break;
	case MADE_IDS:
		r = roster_find_id(w->roster, name, &serial);
		node = node_made(MADE_ID, 0, serial);
		break;
	case MADE_TAGS:
		r = roster_find_tag(w->roster, name, &serial);
		node = node_made(MADE_TAG, 0, serial);
		break;
	case MADE_VM:
		r = find_in_machine(w, b, name, &node);
		break;
	case MADE_TAG:
	case MADE_TAG_VM:
		r = find_tagged(w, parent, name, &node);
		break;
	case MADE_POINT:
		return find_in_point(w, b, name, out);
	case MADE_VOLUMES:
		return volume_find(w, parent, name, out);
	case MADE_DISKS:
	case MADE_CONFIGS:
		r = saved_find(w, parent, name, &node);
		break;
	case MADE_KINDS:
		return -ESTALE;
	default:
		return -ENOTDIR;
	}
	return r < 0 ? r : made_attr(w, node, out);
}

static int in_point_parent(struct view *w, uint64_t node, uint64_t *out)
{
	enum node_kind_made kind = MADE_POINT;
	struct roster_point p;
	int r = view_node_point(w, node, &p);

	switch (node_kind(node)) {
	case MADE_POINT_JSON:
	case MADE_DISKS:
	case MADE_CONFIGS:
	case MADE_VOLUMES:
		break;
	case MADE_DISK:
		kind = MADE_DISKS;
		break;
	case MADE_CONFIG:
		kind = MADE_CONFIGS;
		break;
	case MADE_VOLUME_RAW:
	case MADE_VOLUME_WHY:
		kind = MADE_VOLUMES;
		break;
	default:
		return -ESTALE;
	}
	*out = node_made(kind, 0, p.serial);
	return r == -ENODATA ? -ESTALE : r;
}

/* The node that @node stands in. */
static int parent_of(struct view *w, uint64_t node, uint64_t *out)
{
	uint32_t a = node_a(node), b = (uint32_t)node_b(node);
	struct roster_point p = { .serial = 0 };
	int r = 0;

	switch (node_kind(node)) {
	case MADE_ROOT:
	case MADE_VMS:
	case MADE_IDS:
	case MADE_TAGS:
	case MADE_HIDDEN:
		*out = VIEW_ROOT;
		break;
	case MADE_VM:
		*out = node_made(MADE_VMS, 0, 0);
		break;
	case MADE_LATEST:
		*out = node_made(MADE_VM, 0, a);
		break;
	case MADE_POINT:
		r = roster_get_point(w->roster, b, &p);
		*out = node_made(MADE_VM, 0, p.machine);
		break;
	case MADE_ID:
		*out = node_made(MADE_IDS, 0, 0);
		break;
	case MADE_TAG:
		*out = node_made(MADE_TAGS, 0, 0);
		break;
	case MADE_TAG_VM:
		*out = node_made(MADE_TAG, 0, a);
		break;
	case MADE_TAG_POINT:
		r = roster_get_point(w->roster, b, &p);
		*out = node_made(MADE_TAG_VM, a, p.machine);
		break;
	case MADE_STATUS:
	case MADE_STATS:
	case MADE_VERSION:
		*out = node_made(MADE_HIDDEN, 0, 0);
		break;
	default:
		return in_point_parent(w, node, out);
	}
	return r;
}

int made_parent(struct view *w, uint64_t node, struct view_attr *out)
{
	uint64_t parent;
	int r = parent_of(w, node, &parent);

	return r < 0 ? r : made_attr(w, parent, out);
}

/* ---- listing ---- */

/* Is this one of the names of a point? */
static bool point_has(const struct roster_point *p, const char *name)
{
	if (strcmp(name, "files") == 0)
		return p->has_tree;
	if (strcmp(name, "config") == 0)
		return p->nconfigs > 0;
	return strcmp(name, "point.json") == 0 || p->ndisks > 0;
}

/* Directories whose names are fixed, in order; cookies are 3, 4... */
static int next_fixed(struct view *w, uint64_t dir, uint64_t *cookie,
		      const char **name)
{
	static const char *const top[] = { "vms", "ids", "tags", NULL };
	static const char *const point[] = { "point.json", "files",  "disks",
					     "volumes",	   "config", NULL };
	static const char *const hidden[] = { "status.json", "stats", "version",
					      NULL };
	const char *const *names = top;
	uint64_t i = *cookie < 3 ? 0 : *cookie - 2;
	struct roster_point p = { .serial = 0 };

	*name = NULL;
	if (node_kind(dir) == MADE_HIDDEN)
		names = hidden;
	if (node_kind(dir) == MADE_POINT) {
		names = point;
		if (roster_get_point(w->roster, (uint32_t)node_b(dir), &p) < 0)
			return -ESTALE;
	}
	if (i >= ARRAY_SIZE(point))
		return -ENOENT;
	while (names[i] && names == point && !point_has(&p, names[i]))
		i++;
	if (!names[i])
		return -ENOENT;
	*name = names[i];
	*cookie = i + 3;
	return 0;
}

/* Directories that grow: the node behind @cookie. */
static int next_serial(struct view *w, uint64_t dir, uint64_t *cookie,
		       uint64_t *node)
{
	uint32_t a = node_a(dir), b = (uint32_t)node_b(dir), serial = 0;
	uint32_t after = 0;
	struct roster *roster = w->roster;
	int r;

	if (node_kind(dir) == MADE_DISKS || node_kind(dir) == MADE_CONFIGS)
		return saved_next(w, dir, cookie, node);
	if (*cookie >= COOKIE(ROSTER_SERIAL_MAX))
		return -ENOENT;
	if (*cookie > 3)
		after = (uint32_t)(*cookie - 3);
	switch (node_kind(dir)) {
	case MADE_VMS:
		r = roster_next_machine(roster, ROSTER_ALL, after, &serial);
		*node = node_made(MADE_VM, 0, serial);
		break;
	case MADE_IDS:
		r = roster_next_any(roster, after, &serial);
		*node = node_made(MADE_ID, 0, serial);
		break;
	case MADE_TAGS:
		r = roster_next_tag(roster, after, &serial);
		*node = node_made(MADE_TAG, 0, serial);
		break;
	case MADE_TAG:
		r = roster_next_machine(roster, b, after, &serial);
		*node = node_made(MADE_TAG_VM, b, serial);
		break;
	case MADE_TAG_VM:
		r = roster_next_point(roster, a, b, after, &serial);
		*node = node_made(MADE_TAG_POINT, a, serial);
		break;
	case MADE_VM:
		/* "latest" is serial 0. */
		if (*cookie < 3) {
			r = roster_latest(roster, b, &serial);
			*node = node_made(MADE_LATEST, b, serial);
			serial = 0;
			/* Where all were forgotten there is none. */
			if (r != -ENOENT)
				break;
		}
		r = roster_next_point(roster, ROSTER_ALL, b, after, &serial);
		*node = node_made(MADE_POINT, 0, serial);
		break;
	default:
		return -ENOTDIR;
	}
	*cookie = COOKIE(serial);
	return r;
}

static const char *last_part(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int list_fixed(struct view *w, uint64_t node, uint64_t cookie,
		      view_dir_fn *fn, void *arg)
{
	struct view_attr a;
	const char *name;
	int r;

	while ((r = next_fixed(w, node, &cookie, &name)) == 0) {
		r = made_find(w, node, name, &a);
		if (r < 0)
			return r;
		r = fn(arg, name, strlen(name), &a, cookie);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return r == -ENOENT ? 0 : r;
}

static int list_serials(struct view *w, uint64_t node, uint64_t cookie,
			view_dir_fn *fn, void *arg)
{
	AUTO_BUF struct buf path = BUF_INIT;
	struct view_attr a;
	const char *name;
	uint64_t child;
	int r;

	while ((r = next_serial(w, node, &cookie, &child)) == 0) {
		buf_clear(&path);
		r = made_path(w, child, &path);
		buf_put_u8(&path, 0);
		if (r == 0)
			r = buf_error(&path);
		if (r == 0)
			r = made_attr(w, child, &a);
		if (r < 0)
			return r;
		name = last_part((char *)path.data);
		r = fn(arg, name, strlen(name), &a, cookie);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	return r == -ENOENT ? 0 : r;
}

int made_list(struct view *w, uint64_t node, uint64_t cookie, view_dir_fn *fn,
	      void *arg)
{
	switch (node_kind(node)) {
	case MADE_ROOT:
	case MADE_POINT:
	case MADE_HIDDEN:
		return list_fixed(w, node, cookie, fn, arg);
	case MADE_VOLUMES:
		return volume_list(w, node, cookie, fn, arg);
	case MADE_KINDS:
		return -ESTALE;
	default:
		return list_serials(w, node, cookie, fn, arg);
	}
}
