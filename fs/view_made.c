/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the view makes: the directories above points, links, point.json and
 * the hidden files. A node number says what it is (enum node_kind_made), so
 * everything here is a function of it and of the roster. What stands in
 * directories is found in view_made_dir.c.
 */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/ino.h"
#include "fs/view_internal.h"
#include "fs/volumes.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/vault.h"

#define NSEC 1000000000

/* ---- the kinds ---- */

enum made_time {
	TIME_LIST, /* when the list of points changed */
	TIME_MACHINE, /* when the points of machine b changed */
	TIME_POINT, /* of point b */
	TIME_VOLUME, /* of the point that volume b is in */
};

#define MODE_DIR (S_IFDIR | 0555)
#define MODE_LINK (S_IFLNK | 0777)
#define MODE_TEXT (S_IFREG | 0444)
/* All of a guest's files are in it, whatever their modes, or their paths. */
#define MODE_DATA (S_IFREG | 0400)

/*
 * What there is to know of each kind of node. A path is a template, in which a
 * letter behind '%' stands for what the serials a and b of the node name:
 *
 *     %m machine b    %M machine a    %t tag b    %T tag a
 *     %p "<vm>/<time>" of the point   %x <time>   %i the name in ids/
 *     %n the name in disks/, config/ or volumes/
 */
static const struct made_kind {
	const char *path; /* from the top of the mount; NULL: no such kind */
	const char *target; /* of a link */
	mode_t mode;
	enum made_time time;
	bool immutable;
} made_kinds[MADE_KINDS + 1] = {
	[MADE_ROOT] = { "/", NULL, MODE_DIR, TIME_LIST, true },
	[MADE_VMS] = { "vms", NULL, MODE_DIR, TIME_LIST, false },
	[MADE_IDS] = { "ids", NULL, MODE_DIR, TIME_LIST, false },
	[MADE_TAGS] = { "tags", NULL, MODE_DIR, TIME_LIST, false },
	[MADE_HIDDEN] = { ".vmbackupfs", NULL, MODE_DIR, TIME_LIST, true },
	[MADE_VM] = { "vms/%m", NULL, MODE_DIR, TIME_MACHINE, false },
	[MADE_LATEST] = { "vms/%M/latest", "%x", MODE_LINK, TIME_POINT, false },
	[MADE_POINT] = { "vms/%p", NULL, MODE_DIR, TIME_POINT, false },
	[MADE_POINT_JSON] = { "vms/%p/point.json", NULL, MODE_DATA, TIME_POINT,
			      true },
	[MADE_ID] = { "ids/%i", "../vms/%p", MODE_LINK, TIME_POINT, false },
	[MADE_TAG] = { "tags/%t", NULL, MODE_DIR, TIME_LIST, false },
	[MADE_TAG_VM] = { "tags/%T/%m", NULL, MODE_DIR, TIME_MACHINE, false },
	[MADE_TAG_POINT] = { "tags/%T/%p", "../../../vms/%p", MODE_LINK,
			     TIME_POINT, false },
	[MADE_STATUS] = { ".vmbackupfs/status.json", NULL, MODE_TEXT, TIME_LIST,
			  false },
	[MADE_STATS] = { ".vmbackupfs/stats", NULL, MODE_TEXT, TIME_LIST,
			 false },
	[MADE_VERSION] = { ".vmbackupfs/version", NULL, MODE_TEXT, TIME_LIST,
			   true },
	[MADE_DISKS] = { "vms/%p/disks", NULL, MODE_DIR, TIME_POINT, true },
	[MADE_DISK] = { "vms/%p/disks/%n", NULL, MODE_DATA, TIME_POINT, true },
	[MADE_CONFIGS] = { "vms/%p/config", NULL, MODE_DIR, TIME_POINT, true },
	[MADE_CONFIG] = { "vms/%p/config/%n", NULL, MODE_DATA, TIME_POINT,
			  true },
	[MADE_VOLUMES] = { "vms/%p/volumes", NULL, MODE_DIR, TIME_POINT, true },
	[MADE_VOLUME_RAW] = { "vms/%p/volumes/%n", NULL, MODE_DATA, TIME_VOLUME,
			      true },
	[MADE_VOLUME_WHY] = { "vms/%p/volumes/%n", NULL, MODE_TEXT, TIME_VOLUME,
			      true },
};

/* ---- names and texts ---- */

static int machine_name(struct view *w, uint32_t serial, struct buf *out)
{
	char name[ROSTER_NAME_MAX];
	int64_t changed;
	int r = roster_machine(w->roster, serial, name, &changed);

	if (r == 0)
		buf_put(out, name, strlen(name));
	return r;
}

static int tag_name(struct view *w, uint32_t serial, struct buf *out)
{
	char name[ROSTER_NAME_MAX];
	int r = roster_tag(w->roster, serial, name);

	if (r == 0)
		buf_put(out, name, strlen(name));
	return r;
}

/* The name in disks/, config/ or volumes/. */
static int part_name(struct view *w, uint64_t node, struct buf *out)
{
	uint32_t point;

	switch (node_kind(node)) {
	case MADE_DISK:
	case MADE_CONFIG:
		return saved_name(w, node, out);
	default:
		return volume_name(w, node, &point, out);
	}
}

static int point_of(struct view *w, uint64_t node, struct roster_point *out)
{
	if (made_kinds[node_kind(node)].time == TIME_VOLUME)
		return view_node_point(w, node, out);
	return roster_get_point(w->roster, (uint32_t)node_b(node), out);
}

/* What the letters say of the point of a node. */
static int put_point(struct view *w, uint64_t node, char what, struct buf *out)
{
	struct roster_point p;
	int r = point_of(w, node, &p);

	if (r == 0 && what == 'p') {
		r = machine_name(w, p.machine, out);
		buf_put_u8(out, '/');
	}
	if (r == 0)
		buf_printf(out, "%s", what == 'i' ? p.link : p.name);
	return r;
}

static int put_named(struct view *w, uint64_t node, char what, struct buf *out)
{
	uint32_t a = node_a(node), b = (uint32_t)node_b(node);

	switch (what) {
	case 'M':
		return machine_name(w, a, out);
	case 'm':
		return machine_name(w, b, out);
	case 'T':
		return tag_name(w, a, out);
	case 't':
		return tag_name(w, b, out);
	case 'n':
		return part_name(w, node, out);
	default:
		return put_point(w, node, what, out);
	}
}

/* Append @template with what it names. */
static int put_template(struct view *w, uint64_t node, const char *template,
			struct buf *out)
{
	int r = 0;

	while (r == 0 && *template) {
		size_t len = strcspn(template, "%");

		buf_put(out, template, len);
		template += len;
		if (*template) {
			r = put_named(w, node, template[1], out);
			template += 2;
		}
	}
	return r < 0 ? r : buf_error(out);
}

int made_path(struct view *w, uint64_t node, struct buf *out)
{
	const char *path = made_kinds[node_kind(node)].path;

	return path ? put_template(w, node, path, out) : -ESTALE;
}

void made_describe(struct view *w, uint64_t node, struct buf *out)
{
	if (made_path(w, node, out) < 0)
		buf_printf(out, "node %#llx", (unsigned long long)node);
}

int made_link(struct view *w, uint64_t node, struct buf *out)
{
	const char *target = made_kinds[node_kind(node)].target;

	return target ? put_template(w, node, target, out) : -EINVAL;
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
	case MADE_VOLUME_WHY:
		return volume_why(w, node, out);
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

static int made_time_ns(struct view *w, uint64_t node, int64_t *out)
{
	char name[ROSTER_NAME_MAX];
	struct roster_point p;
	int r;

	switch (made_kinds[node_kind(node)].time) {
	case TIME_LIST:
		*out = roster_changed_ns(w->roster);
		return 0;
	case TIME_MACHINE:
		return roster_machine(w->roster, (uint32_t)node_b(node), name,
				      out);
	default:
		r = point_of(w, node, &p);
		if (r == 0)
			*out = p.time_ns;
		return r;
	}
}

/*
 * What is in volumes/ may be cached for ever once every volume of the point was
 * found; until then a listing that was cached ends with a change of its time.
 */
static void set_settled(struct view *w, uint64_t node, struct view_attr *out,
			int64_t *time_ns)
{
	uint32_t b = (uint32_t)node_b(node);
	int64_t changed_ns;

	if (node_kind(node) == MADE_VOLUMES) {
		out->immutable = volumes_settled(w->volumes, b, &changed_ns);
		*time_ns = MAX(*time_ns, changed_ns);
	} else if (node_kind(node) == MADE_VOLUME_RAW) {
		out->immutable = volumes_is_sure(w->volumes, b);
	}
}

/* Size and blocks of what is not a directory. */
static int made_size(struct view *w, uint64_t node, struct stat *st)
{
	AUTO_BUF struct buf text = BUF_INIT;
	int r = 0;

	switch (node_kind(node)) {
	case MADE_DISK:
	case MADE_CONFIG:
		return saved_size(w, node, st);
	case MADE_VOLUME_RAW:
		return volume_raw_size(w, node, st);
	default:
		r = S_ISLNK(st->st_mode) ? made_link(w, node, &text)
					 : made_text(w, node, &text);
		break;
	}
	st->st_size = (off_t)text.len;
	if (S_ISREG(st->st_mode))
		st->st_blocks = (blkcnt_t)(text.len + 511) / 512;
	return r;
}

int made_attr(struct view *w, uint64_t node, struct view_attr *out)
{
	const struct made_kind *kind = &made_kinds[node_kind(node)];
	AUTO_BUF struct buf text = BUF_INIT;
	struct stat *st = &out->st;
	int64_t time_ns = 0;
	int r;

	memset(out, 0, sizeof(*out));
	out->node = node;
	out->immutable = kind->immutable;
	st->st_mode = kind->mode;
	r = made_path(w, node, &text);
	if (r == 0)
		r = made_time_ns(w, node, &time_ns);
	if (r < 0)
		return r;
	set_settled(w, node, out, &time_ns);
	set_time(st, time_ns);
	buf_put_u8(&text, 0);
	r = buf_error(&text);
	if (r < 0)
		return r;
	st->st_ino = node == VIEW_ROOT ? VIEW_ROOT
				       : ino_made(w->sipkey, (char *)text.data);
	st->st_nlink = 1;
	st->st_uid = w->uid;
	st->st_gid = w->gid;
	st->st_blksize = 4096;
	return S_ISDIR(st->st_mode) ? 0 : made_size(w, node, st);
}
