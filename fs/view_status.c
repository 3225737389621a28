/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The texts of .vmbackupfs: status.json for programs, stats for people. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "fs/leaves.h"
#include "fs/view_internal.h"
#include "fs/volumes.h"
#include "store/base/seam.h"
#include "store/point.h"
#include "store/vault.h"

/* Columns of a line, which most terminals have. */
#define LINE 79

/*
 * The kernel is told how long the text is before it reads it, and numbers grow
 * meanwhile. So each line is filled up with spaces, which neither JSON nor
 * people mind: all numbers have room in it. A long name takes several lines'
 * room.
 */
static int put_lines(const char *text, struct buf *out)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		size_t room = (len / LINE + 1) * LINE;

		buf_put(out, text, len);
		buf_printf(out, "%*s\n", (int)(room - len), "");
		text += len + (text[len] == '\n');
	}
	return buf_error(out);
}

/* The newest point's name: "web1/<time>", or "". */
static void newest_name(const struct point_list *l, struct buf *out)
{
	size_t i, best = 0;

	for (i = 1; i < l->n; i++)
		if (l->points[i]->time_ns > l->points[best]->time_ns)
			best = i;
	if (l->n > 0)
		buf_printf(out, "%s/%s", l->points[best]->vm, l->names[best]);
	buf_put_u8(out, 0);
}

/* How many are signed, and not by one who may sign for their machine; or, where that
 * is demanded, not signed by such a one. */
static uint64_t count_untrusted(const struct point_list *l)
{
	uint64_t n = l->nuntrusted;
	size_t i;

	for (i = 0; i < l->n; i++)
		n += l->points[i]->is_untrusted ||
		     point_list_signature(l, i) > POINT_SIGNED_TRUSTED;
	return n;
}

static double uptime(struct view *w)
{
	struct seam *seam = vault_seam(w->vault);

	return (double)(seam->ops->monotonic_ns(seam) - w->started_ns) / 1e9;
}

int status_json(struct view *w, struct buf *out)
{
	AUTO_BUF struct buf newest = BUF_INIT;
	struct point_list *l = roster_list(w->roster);
	struct volumes_stats m;
	struct vault_stats s;
	json_t *j;
	char *text;
	int r;

	volumes_get_stats(w->volumes, &m);
	vault_get_stats(w->vault, &s);
	newest_name(l, &newest);
	/* The URL is cut where it would not leave room for the rest. */
	j = json_pack(
		"{s:i, s:s, s:s%, s:s, s:f, s:I, s:I, s:I, s:I, s:I, s:s%, s:I, s:I, s:I,"
		" s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
		"schema_version", 1, "version", PACKAGE_VERSION, "vault",
		vault_url(w->vault), strnlen(vault_url(w->vault), 1024),
		"vault_id", vault_id_hex(w->vault), "uptime_seconds", uptime(w),
		"points", (json_int_t)l->n, "points_damaged",
		(json_int_t)l->ndamaged, "damage_met", (json_int_t)s.damage,
		"points_untrusted", (json_int_t)count_untrusted(l),
		"records_gone", (json_int_t)vault_lost(w->vault),
		"newest_point", newest.failed ? "" : (char *)newest.data,
		newest.failed ? (size_t)0 : newest.len - 1, "backend_reads",
		(json_int_t)s.gets, "backend_read_bytes",
		(json_int_t)s.get_bytes, "frames_decoded",
		(json_int_t)s.frames_decoded, "frame_hits",
		(json_int_t)s.frame_hits, "nodes_decoded",
		(json_int_t)s.nodes_decoded, "node_hits",
		(json_int_t)s.node_hits, "cache_bytes",
		(json_int_t)s.cache_bytes, "cache_limit",
		(json_int_t)s.cache_limit, "leaves_known",
		(json_int_t)leaves_count(w->leaves), "volumes_known",
		(json_int_t)m.known, "volumes_open", (json_int_t)m.open,
		"volumes_memory", (json_int_t)m.memory, "volumes_unreadable",
		(json_int_t)m.unreadable, "volumes_marked",
		(json_int_t)m.marked);
	point_list_put(l);
	if (!j)
		return -ENOMEM;
	text = json_dumps(j, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	json_decref(j);
	if (!text)
		return -ENOMEM;
	r = put_lines(text, out);
	free(text);
	return r;
}

static double percent(uint64_t hits, uint64_t misses)
{
	return hits + misses ? 100.0 * (double)hits / (double)(hits + misses)
			     : 0;
}

int status_stats(struct view *w, struct buf *out)
{
	AUTO_BUF struct buf text = BUF_INIT;
	struct point_list *l = roster_list(w->roster);
	struct volumes_stats m;
	struct vault_stats s;

	volumes_get_stats(w->volumes, &m);
	vault_get_stats(w->vault, &s);
	buf_printf(&text,
		   "vault            %.1024s\n"
		   "up               %.0f s\n"
		   "points           %zu (%zu damaged, %" PRIu64 " untrusted)\n"
		   "backend reads    %" PRIu64 " (%" PRIu64 " bytes)\n"
		   "frames           %" PRIu64 " decoded, %.1f %% from memory\n"
		   "tree nodes       %" PRIu64 " decoded, %.1f %% from memory\n"
		   "cache            %" PRIu64 " of %" PRIu64 " bytes\n"
		   "leaves known     %" PRIu64 "\n"
		   "volumes          %" PRIu64 " known, %" PRIu64
		   " open, %" PRIu64 " unreadable, %" PRIu64 " marked\n"
		   "damage met       %" PRIu64 "\n"
		   "records gone     %" PRIu64 "\n",
		   vault_url(w->vault), uptime(w), l->n, l->ndamaged,
		   count_untrusted(l), s.gets, s.get_bytes, s.frames_decoded,
		   percent(s.frame_hits, s.frames_decoded), s.nodes_decoded,
		   percent(s.node_hits, s.nodes_decoded), s.cache_bytes,
		   s.cache_limit, leaves_count(w->leaves), m.known, m.open,
		   m.unreadable, m.marked, s.damage, vault_lost(w->vault));
	point_list_put(l);
	buf_put_u8(&text, 0);
	return buf_error(&text) < 0 ? buf_error(&text)
				    : put_lines((char *)text.data, out);
}
