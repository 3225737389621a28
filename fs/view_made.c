/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the view makes: the directories above points, links, point.json and
 * the hidden files. A node number says what it is (enum node_kind_made), so
 * everything here is a function of it and of the roster.
 *
 * Cookies of directories that grow are serials + 3: a point that appears in
 * the middle of a listing comes behind what was there.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/ino.h"
#include "fs/view_internal.h"
#include "store/base/hex.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/vault.h"

#define NSEC 1000000000
#define COOKIE(serial) ((uint64_t)(serial) + 3)

/* ---- names and texts ---- */

static int machine_name(struct view *w, uint32_t serial, struct buf *out)
{
	char name[ROSTER_NAME_MAX];
	int64_t changed;
	int r = roster_machine(w->roster, serial, name, &changed);

	if (r < 0)
		return r;
	buf_put(out, name, strlen(name));
	return buf_error(out);
}

static int tag_name(struct view *w, uint32_t serial, struct buf *out)
{
	char name[ROSTER_NAME_MAX];
	int r = roster_tag(w->roster, serial, name);

	if (r < 0)
		return r;
	buf_put(out, name, strlen(name));
	return buf_error(out);
}

/* "<vm>/<time>", with @before in front. */
static int point_path(struct view *w, const char *before, uint32_t serial,
		      struct buf *out)
{
	struct roster_point p;
	int r = roster_point(w->roster, serial, &p);

	if (r < 0)
		return r;
	buf_put(out, before, strlen(before));
	r = machine_name(w, p.machine, out);
	buf_printf(out, "/%s", p.name);
	return r < 0 ? r : buf_error(out);
}

/* Where it is, from the top of the mount. */
static int path_of(struct view *w, uint64_t node, struct buf *out)
{
	uint32_t a = node_a(node), b = (uint32_t)node_b(node);
	struct roster_point p;
	int r = 0;

	switch (node_kind(node)) {
	case MADE_ROOT:
		buf_put(out, "/", 1);
		break;
	case MADE_VMS:
		buf_printf(out, "vms");
		break;
	case MADE_IDS:
		buf_printf(out, "ids");
		break;
	case MADE_TAGS:
		buf_printf(out, "tags");
		break;
	case MADE_HIDDEN:
		buf_printf(out, ".vmbackupfs");
		break;
	case MADE_VM:
		buf_printf(out, "vms/");
		r = machine_name(w, b, out);
		break;
	case MADE_LATEST:
		buf_printf(out, "vms/");
		r = machine_name(w, a, out);
		buf_printf(out, "/latest");
		break;
	case MADE_POINT:
		r = point_path(w, "vms/", b, out);
		break;
	case MADE_POINT_JSON:
		r = point_path(w, "vms/", b, out);
		buf_printf(out, "/point.json");
		break;
	case MADE_ID:
		r = roster_point(w->roster, b, &p);
		if (r == 0)
			buf_printf(out, "ids/%s", p.link);
		break;
	case MADE_TAG:
		buf_printf(out, "tags/");
		r = tag_name(w, b, out);
		break;
	case MADE_TAG_VM:
	case MADE_TAG_POINT:
		buf_printf(out, "tags/");
		r = tag_name(w, a, out);
		buf_put_u8(out, '/');
		if (r < 0)
			return r;
		r = node_kind(node) == MADE_TAG_VM ? machine_name(w, b, out)
						   : point_path(w, "", b, out);
		break;
	case MADE_STATUS:
		buf_printf(out, ".vmbackupfs/status.json");
		break;
	case MADE_STATS:
		buf_printf(out, ".vmbackupfs/stats");
		break;
	case MADE_VERSION:
		buf_printf(out, ".vmbackupfs/version");
		break;
	case MADE_KINDS:
		return -ESTALE;
	}
	return r < 0 ? r : buf_error(out);
}

void made_describe(struct view *w, uint64_t node, struct buf *out)
{
	if (path_of(w, node, out) < 0)
		buf_printf(out, "node %#llx", (unsigned long long)node);
}

int made_link(struct view *w, uint64_t node, struct buf *out)
{
	uint32_t b = (uint32_t)node_b(node);
	struct roster_point p;
	int r;

	switch (node_kind(node)) {
	case MADE_LATEST:
		r = roster_point(w->roster, b, &p);
		if (r == 0)
			buf_put(out, p.name, strlen(p.name));
		break;
	case MADE_ID:
		r = point_path(w, "../vms/", b, out);
		break;
	case MADE_TAG_POINT:
		r = point_path(w, "../../../vms/", b, out);
		break;
	default:
		return -EINVAL;
	}
	return r < 0 ? r : buf_error(out);
}

int made_text(struct view *w, uint64_t node, struct buf *out)
{
	switch (node_kind(node)) {
	case MADE_POINT_JSON:
		return roster_json(w->roster, (uint32_t)node_b(node), out);
	case MADE_STATUS:
		return status_json(w, out);
	case MADE_STATS:
		return status_stats(w, out);
	case MADE_VERSION:
		buf_printf(out, "%s\n", PACKAGE_STRING);
		return buf_error(out);
	case MADE_LATEST:
	case MADE_ID:
	case MADE_TAG_POINT:
		return -EINVAL;
	case MADE_KINDS:
		return -ESTALE;
	default:
		return -EISDIR;
	}
}

/* ---- attributes ---- */

static void set_time(struct stat *st, int64_t ns)
{
	st->st_mtim.tv_sec = ns / NSEC;
	st->st_mtim.tv_nsec = ns % NSEC;
	if (st->st_mtim.tv_nsec < 0) {
		st->st_mtim.tv_sec--;
		st->st_mtim.tv_nsec += NSEC;
	}
	st->st_atim = st->st_mtim;
	st->st_ctim = st->st_mtim;
}

/* Time and kind of a node; -ESTALE where there is no such. */
static int made_mode(struct view *w, uint64_t node, struct view_attr *out)
{
	uint32_t a = node_a(node), b = (uint32_t)node_b(node);
	char name[ROSTER_NAME_MAX];
	struct roster_point p = { .time_ns = roster_changed_ns(w->roster) };
	mode_t mode = S_IFDIR | 0555;
	int r = 0;

	switch (node_kind(node)) {
	case MADE_ROOT:
	case MADE_HIDDEN:
		out->immutable = true;
		break;
	case MADE_VMS:
	case MADE_IDS:
	case MADE_TAGS:
		break;
	case MADE_VM:
		r = roster_machine(w->roster, b, name, &p.time_ns);
		break;
	case MADE_TAG_VM:
		r = roster_machine(w->roster, b, name, &p.time_ns);
		__attribute__((fallthrough));
	case MADE_TAG:
		if (r == 0)
			r = roster_tag(w->roster,
				       node_kind(node) == MADE_TAG ? b : a,
				       name);
		break;
	case MADE_POINT:
		r = roster_point(w->roster, b, &p);
		break;
	case MADE_POINT_JSON:
		r = roster_point(w->roster, b, &p);
		mode = S_IFREG | 0444;
		out->immutable = true;
		break;
	case MADE_LATEST:
	case MADE_ID:
	case MADE_TAG_POINT:
		r = roster_point(w->roster, b, &p);
		mode = S_IFLNK | 0777;
		break;
	case MADE_STATUS:
	case MADE_STATS:
		mode = S_IFREG | 0444;
		break;
	case MADE_VERSION:
		mode = S_IFREG | 0444;
		out->immutable = true;
		break;
	case MADE_KINDS:
		r = -ESTALE;
		break;
	}
	out->st.st_mode = mode;
	set_time(&out->st, p.time_ns);
	return r;
}

int made_attr(struct view *w, uint64_t node, struct view_attr *out)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct stat *st = &out->st;
	int r;

	memset(out, 0, sizeof(*out));
	out->node = node;
	r = made_mode(w, node, out);
	if (r < 0)
		return r;
	r = path_of(w, node, &text);
	if (r < 0)
		return r;
	buf_put_u8(&text, 0);
	r = buf_error(&text);
	if (r < 0)
		return r;
	st->st_ino = node == VIEW_ROOT ? VIEW_ROOT
				       : ino_made(w->sipkey,
						  (char *)text.data);
	st->st_nlink = 1;
	st->st_uid = w->uid;
	st->st_gid = w->gid;
	st->st_blksize = 4096;
	if (S_ISDIR(st->st_mode))
		return 0;
	buf_clear(&text);
	if (S_ISLNK(st->st_mode))
		r = made_link(w, node, &text);
	else if (node_kind(node) == MADE_STATUS ||
		 node_kind(node) == MADE_STATS)
		text.len = STATUS_SIZE;
	else
		r = made_text(w, node, &text);
	st->st_size = (off_t)text.len;
	if (S_ISREG(st->st_mode))
		st->st_blocks = (blkcnt_t)(text.len + 511) / 512;
	return r;
}

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
	uint64_t ms = (uint64_t)((seam->ops->monotonic_ns(seam) -
				  w->started_ns) / 1000000);

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
	int r = roster_point(w->roster, point, &p);

	if (r < 0)
		return r;
	if (strcmp(name, "point.json") == 0)
		return made_attr(w, node_made(MADE_POINT_JSON, 0, point), out);
	if (strcmp(name, "files") == 0)
		return tree_top(w, &p, out);
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
	case MADE_KINDS:
		return -ESTALE;
	default:
		return -ENOTDIR;
	}
	return r < 0 ? r : made_attr(w, node, out);
}

/* ---- listing ---- */

/* Directories whose names are fixed, in order; cookies are 3, 4... */
static int next_fixed(struct view *w, uint64_t dir, uint64_t *cookie,
		      const char **name)
{
	static const char *const top[] = { "vms", "ids", "tags" };
	static const char *const point[] = { "point.json", "files" };
	static const char *const hidden[] = { "status.json", "stats",
					      "version" };
	uint64_t i = *cookie < 3 ? 0 : *cookie - 2;
	struct roster_point p;
	size_t n = 3;

	*name = NULL;
	if (node_kind(dir) == MADE_POINT) {
		if (roster_point(w->roster, (uint32_t)node_b(dir), &p) < 0)
			return -ESTALE;
		n = p.has_tree ? 2 : 1;
	}
	if (i >= n)
		return -ENOENT;
	*name = node_kind(dir) == MADE_ROOT  ? top[i]
		: node_kind(dir) == MADE_POINT ? point[i]
					       : hidden[i];
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
		r = path_of(w, child, &path);
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
	case MADE_KINDS:
		return -ESTALE;
	default:
		return list_serials(w, node, cookie, fn, arg);
	}
}
