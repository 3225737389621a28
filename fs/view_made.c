/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the view makes: the directories above points, links, point.json and
 * the hidden files. A node number says what it is (enum node_kind_made), so
 * everything here is a function of it and of the roster. What stands in
 * directories is found in view_made_dir.c.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/attr.h"
#include "fs/ino.h"
#include "fs/view_internal.h"
#include "fs/volumes.h"
#include "store/base/hex.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/vault.h"

#define NSEC 1000000000

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
	int r = roster_get_point(w->roster, serial, &p);

	if (r < 0)
		return r;
	buf_put(out, before, strlen(before));
	r = machine_name(w, p.machine, out);
	buf_printf(out, "/%s", p.name);
	return r < 0 ? r : buf_error(out);
}

/* "vms/<vm>/<time>/<folder>/" and what it is called there. */
static int path_in_point(struct view *w, uint64_t node, struct buf *out)
{
	AUTO_BUF struct buf name = BUF_INIT;
	uint32_t point = (uint32_t)node_b(node);
	const char *folder = "volumes";
	int r;

	switch (node_kind(node)) {
	case MADE_DISKS:
	case MADE_DISK:
		folder = "disks";
		break;
	case MADE_CONFIGS:
	case MADE_CONFIG:
		folder = "config";
		break;
	default:
		break;
	}
	switch (node_kind(node)) {
	case MADE_DISK:
	case MADE_CONFIG:
		r = saved_name(w, node, &name);
		break;
	case MADE_VOLUME_RAW:
	case MADE_VOLUME_WHY:
		r = volume_name(w, node, &point, &name);
		break;
	default:
		r = 0;
	}
	if (r == 0)
		r = point_path(w, "vms/", point, out);
	buf_printf(out, "/%s%s", folder, name.len ? "/" : "");
	buf_put(out, name.data, name.len);
	return r < 0 ? r : buf_error(out);
}

int made_path(struct view *w, uint64_t node, struct buf *out)
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
		r = roster_get_point(w->roster, b, &p);
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
	case MADE_DISKS:
	case MADE_DISK:
	case MADE_CONFIGS:
	case MADE_CONFIG:
	case MADE_VOLUMES:
	case MADE_VOLUME_RAW:
	case MADE_VOLUME_WHY:
		return path_in_point(w, node, out);
	case MADE_KINDS:
		return -ESTALE;
	}
	return r < 0 ? r : buf_error(out);
}

void made_describe(struct view *w, uint64_t node, struct buf *out)
{
	if (made_path(w, node, out) < 0)
		buf_printf(out, "node %#llx", (unsigned long long)node);
}

int made_link(struct view *w, uint64_t node, struct buf *out)
{
	uint32_t b = (uint32_t)node_b(node);
	struct roster_point p;
	int r;

	switch (node_kind(node)) {
	case MADE_LATEST:
		r = roster_get_point(w->roster, b, &p);
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

/* What is in disks/, config/ and volumes/ of a point; its time is theirs. */
static mode_t mode_in_point(uint64_t node)
{
	switch (node_kind(node)) {
	case MADE_DISK:
	case MADE_CONFIG:
	case MADE_VOLUME_RAW:
		/* All of a guest's files are in it, whatever their modes. */
		return S_IFREG | 0400;
	case MADE_VOLUME_WHY:
		return S_IFREG | 0444;
	default:
		return S_IFDIR | 0555;
	}
}

/* Time and kind of a node; -ESTALE where there is no such. */
static int made_mode(struct view *w, uint64_t node, struct view_attr *out)
{
	uint32_t a = node_a(node), b = (uint32_t)node_b(node);
	char name[ROSTER_NAME_MAX];
	struct roster_point p = { .time_ns = roster_changed_ns(w->roster) };
	int64_t changed_ns;
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
		r = roster_get_point(w->roster, b, &p);
		break;
	case MADE_POINT_JSON:
		r = roster_get_point(w->roster, b, &p);
		mode = S_IFREG | 0444;
		out->immutable = true;
		break;
	case MADE_VOLUMES:
		/* A listing that was cached ends with a change of the time. */
		r = view_node_point(w, node, &p);
		out->immutable = volumes_settled(w->volumes, b, &changed_ns);
		p.time_ns = MAX(p.time_ns, changed_ns);
		break;
	case MADE_VOLUME_RAW:
		r = view_node_point(w, node, &p);
		mode = mode_in_point(node);
		out->immutable = volumes_is_sure(w->volumes, b);
		break;
	case MADE_DISKS:
	case MADE_DISK:
	case MADE_CONFIGS:
	case MADE_CONFIG:
	case MADE_VOLUME_WHY:
		r = view_node_point(w, node, &p);
		mode = mode_in_point(node);
		out->immutable = true;
		break;
	case MADE_LATEST:
	case MADE_ID:
	case MADE_TAG_POINT:
		r = roster_get_point(w->roster, b, &p);
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
	case MADE_STATUS:
	case MADE_STATS:
		text.len = STATUS_SIZE;
		break;
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
	AUTO_BUF struct buf text = BUF_INIT;
	struct stat *st = &out->st;
	int r;

	memset(out, 0, sizeof(*out));
	out->node = node;
	r = made_mode(w, node, out);
	if (r < 0)
		return r;
	r = made_path(w, node, &text);
	if (r < 0)
		return r;
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
