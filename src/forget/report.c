/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/forget/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "src/cli/output.h"
#include "src/forget/freed.h"
#include "src/forget/judged.h"
#include "src/retain/policy.h"
#include "store/point.h"

/* ---- the tables ---- */

#define NAME_LEN 512

static void put_name(const struct judged *j, size_t k, char out[NAME_LEN])
{
	size_t i = j->index[k];

	snprintf(out, NAME_LEN, "%s/%s", j->list->points[i]->vm,
		 j->list->names[i]);
}

static void put_strings(const char *const *items, size_t n, struct buf *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		buf_printf(out, "%s%s", i ? "," : "", items[i]);
}

static void add_row(struct table *t, const struct judged *j, size_t k)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const struct keep_verdict *v = &j->verdicts[k];
	char name[NAME_LEN];

	put_name(j, k, name);
	table_cell(t, "%.8s", j->points[k].id);
	keep_put_doubts(v, &text);
	table_cell(t, "%s%s%.*s%s", name, text.len ? " (" : "", (int)text.len,
		   text.len ? (const char *)text.data : "",
		   text.len ? ")" : "");
	buf_clear(&text);
	put_strings(j->points[k].tags, j->points[k].ntags, &text);
	table_cell(t, "%.*s", (int)text.len,
		   text.len ? (const char *)text.data : "");
	if (!v->reasons)
		return;
	buf_clear(&text);
	keep_put_reasons(v, &text);
	table_cell(t, "%.*s", (int)text.len, (const char *)text.data);
}

/* Those of a group, order[first] to order[end - 1], that stay or go. */
static int print_part(const struct judged *j, size_t first, size_t end,
		      bool kept)
{
	static const char *const titles[] = { "Id", "Point", "Tags",
					      "Reasons" };
	size_t ntitles = ARRAY_SIZE(titles) - !kept, i, n = 0;
	struct table *t = table_new(ntitles, 0);
	int r = 0;

	if (!t)
		return -ENOMEM;
	for (i = 0; i < ntitles; i++)
		table_cell(t, "%s", titles[i]);
	table_line(t);
	for (i = first; i < end; i++) {
		if ((j->verdicts[j->order[i]].reasons != 0) != kept)
			continue;
		add_row(t, j, j->order[i]);
		n++;
	}
	if (n > 0) {
		printf("\n%s %zu point%s:\n", kept ? "keep" : "forget", n,
		       n == 1 ? "" : "s");
		r = table_print(t);
	}
	table_free(t);
	return r;
}

static void print_group_name(const struct judged *j, size_t first,
			     unsigned int by)
{
	const struct keep_point *k = &j->points[j->order[first]];
	AUTO_BUF struct buf text = BUF_INIT;

	buf_printf(&text, "points");
	if (by & KEEP_BY_MACHINE)
		buf_printf(&text, " of %s",
			   j->list->points[j->index[j->order[first]]]->vm);
	if (by & KEEP_BY_HOST)
		buf_printf(&text, " made on %s", k->host);
	if (by & KEEP_BY_TAGS && k->ntags) {
		buf_printf(&text, " tagged ");
		put_strings(k->tags, k->ntags, &text);
	}
	if (by & KEEP_BY_PATHS && k->npaths) {
		buf_printf(&text, " with ");
		put_strings(k->paths, k->npaths, &text);
	}
	output_name(stdout, text.data, text.len);
	printf(":\n");
}

/* Call @fn with each group: order[first] to order[end - 1]. */
static int each_group(const struct judged *j,
		      int (*fn)(void *arg, const struct judged *j, size_t first,
				size_t end),
		      void *arg)
{
	size_t first, end;
	int r = 0;

	for (first = 0; first < j->n && r == 0; first = end) {
		for (end = first + 1; end < j->n; end++)
			if (j->verdicts[j->order[end]].group !=
			    j->verdicts[j->order[first]].group)
				break;
		r = fn(arg, j, first, end);
	}
	return r;
}

static int print_group(void *arg, const struct judged *j, size_t first,
		       size_t end)
{
	const struct keep_policy *policy = arg;
	int r;

	if (first > 0)
		printf("\n");
	print_group_name(j, first, policy->group_by);
	r = print_part(j, first, end, true);
	return r < 0 ? r : print_part(j, first, end, false);
}

/* ---- the same as JSON, with the names of restic ---- */

static json_t *strings_json(const char *const *items, size_t n)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < n; i++) {
		json_t *one = json_object();

		output_set_string(one, "s", items[i]);
		json_array_append(array, json_object_get(one, "s"));
		json_decref(one);
	}
	return array;
}

static json_t *point_json(const struct judged *j, size_t k)
{
	json_t *o = json_object();
	char name[NAME_LEN];

	put_name(j, k, name);
	output_set_string(o, "id", j->points[k].id);
	output_set_string(o, "point", name);
	output_set_time(o, "time", j->points[k].time_ns);
	output_set_string(o, "machine", j->points[k].machine);
	return o;
}

static void add_match(void *arg, const char *reason)
{
	json_array_append_new(arg, json_string(reason));
}

struct groups {
	json_t *array; /* owned */
	unsigned int by; /* enum keep_group */
	const struct freed *freed; /* borrowed; NULL: nobody asked */
};

/* What all points of the group have in common; null for what does not part them. */
static json_t *group_json(const struct judged *j, size_t first, unsigned int by)
{
	static const char *const members[] = { "vm", "host", "tags", "paths" };
	const struct keep_point *k = &j->points[j->order[first]];
	json_t *group = json_object();
	size_t i;

	for (i = 0; i < ARRAY_SIZE(members); i++)
		json_object_set_new(group, members[i], json_null());
	if (by & KEEP_BY_MACHINE)
		output_set_string(
			group, "vm",
			j->list->points[j->index[j->order[first]]]->vm);
	if (by & KEEP_BY_HOST)
		output_set_string(group, "host", k->host);
	if (by & KEEP_BY_TAGS)
		json_object_set_new(group, "tags",
				    strings_json(k->tags, k->ntags));
	if (by & KEEP_BY_PATHS)
		json_object_set_new(group, "paths",
				    strings_json(k->paths, k->npaths));
	return group;
}

static int add_group(void *arg, const struct judged *j, size_t first,
		     size_t end)
{
	struct groups *groups = arg;
	json_t *group = group_json(j, first, groups->by), *keep = json_array();
	json_t *remove = json_array(), *reasons = json_array();
	size_t i;

	for (i = first; i < end; i++) {
		const struct keep_verdict *v = &j->verdicts[j->order[i]];
		json_t *one = json_object(), *matches = json_array();

		if (!v->reasons) {
			json_array_append_new(remove,
					      point_json(j, j->order[i]));
			json_decref(one);
			json_decref(matches);
			continue;
		}
		json_array_append_new(keep, point_json(j, j->order[i]));
		keep_each_reason(v, add_match, matches);
		json_object_set_new(one, "snapshot",
				    point_json(j, j->order[i]));
		json_object_set_new(one, "matches", matches);
		json_array_append_new(reasons, one);
	}
	json_object_set_new(group, "keep", keep);
	json_object_set_new(group, "remove", remove);
	json_object_set_new(group, "reasons", reasons);
	if (groups->freed)
		json_object_set_new(group, "freed", freed_json(groups->freed));
	return json_array_append_new(groups->array, group) < 0 ? -ENOMEM : 0;
}

int report_print(const struct judged *j, const struct keep_policy *policy)
{
	return each_group(j, print_group, (void *)policy);
}

int report_print_json(const struct judged *j, const struct keep_policy *policy,
		      const struct freed *freed)
{
	struct groups groups = { json_array(), policy->group_by, freed };
	int r = each_group(j, add_group, &groups);

	if (r == 0)
		return output_json(groups.array);
	json_decref(groups.array);
	return r;
}
