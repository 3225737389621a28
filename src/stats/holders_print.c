/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "src/cli/output.h"
#include "src/stats/holders.h"
#include "store/point.h"

static const char *const titles[] = { "Point", "Machine", "Tag" };
static const char *const kinds[] = { "point", "machine", "tag" };

/* Are there points without a tag, or forgotten ones? */
static bool is_shown(const struct holder *g)
{
	return g->points > 0;
}

static void name_cell(struct table *t, const struct holders *h,
		      const struct holder *g)
{
	if (g->point)
		table_cell(t, "%s/%s", g->name, h->list->names[g->index]);
	else
		table_cell(t, "%s",
			   g->name	  ? g->name
			   : g->forgotten ? "(forgotten)"
					  : "(no tag)");
}

static void add_row(struct table *t, const struct holders *h,
		    const struct holder *g)
{
	char size[OUTPUT_SIZE_LEN];

	name_cell(t, h, g);
	table_cell(t, "%zu", g->points);
	table_cell(t, "%s", output_size(g->bytes + g->disk_used, size));
	table_cell(t, "%s", output_size(g->exclusive, size));
	if (h->knows_held)
		table_cell(t, "%s", output_size(g->held - g->exclusive, size));
	else
		table_cell(t, "-");
	table_cell(t, "%s", output_size(g->pack_bytes, size));
}

static int print_text(const struct holders *h)
{
	struct table *t = table_new(6, 0x3e);
	char size[OUTPUT_SIZE_LEN];
	size_t i;
	int r;

	if (!t)
		return -ENOMEM;
	table_cell(t, "%s", titles[h->by]);
	table_cell(t, "Points");
	table_cell(t, "Size");
	table_cell(t, "Exclusive");
	table_cell(t, "Shared");
	table_cell(t, "Whole packs");
	table_line(t);
	for (i = 0; i < h->n; i++)
		if (is_shown(&h->groups[i]))
			add_row(t, h, &h->groups[i]);
	r = table_print(t);
	table_free(t);
	if (r < 0)
		return r;
	printf("\n%s are stored of what points have",
	       output_size(h->live, size));
	printf(", and %s of what none has\n", output_size(h->dead, size));
	return output_error();
}

static json_t *holder_json(const struct holders *h, const struct holder *g)
{
	json_t *o = json_object();

	if (g->point) {
		output_set_string(o, "id", g->point->id);
		output_set_string(o, "vm", g->name);
		output_set_time(o, "time", g->point->time_ns);
	} else if (g->name) {
		output_set_string(o, kinds[h->by], g->name);
	} else {
		json_object_set_new(o, kinds[h->by], json_null());
	}
	output_set_bool(o, "forgotten", g->forgotten);
	output_set_uint(o, "points_count", g->points);
	output_set_uint(o, "total_size", g->bytes);
	output_set_uint(o, "disks_used", g->disk_used);
	output_set_uint(o, "exclusive_size", g->exclusive);
	if (h->knows_held)
		output_set_uint(o, "shared_size", g->held - g->exclusive);
	else
		json_object_set_new(o, "shared_size", json_null());
	output_set_uint(o, "whole_packs_count", g->packs);
	output_set_uint(o, "whole_packs_size", g->pack_bytes);
	return o;
}

static int print_json(const struct holders *h)
{
	json_t *o = output_message("holders"), *all = json_array();
	size_t i;

	output_set_string(o, "by", kinds[h->by]);
	for (i = 0; i < h->n; i++)
		if (is_shown(&h->groups[i]))
			json_array_append_new(all,
					      holder_json(h, &h->groups[i]));
	json_object_set_new(o, "groups", all);
	output_set_uint(o, "live_size", h->live);
	output_set_uint(o, "dead_size", h->dead);
	output_set_uint(o, "unread_size", h->unread);
	return output_json(o);
}

int holders_print(const struct holders *h, bool json)
{
	return json ? print_json(h) : print_text(h);
}
