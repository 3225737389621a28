/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/forget/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/context.h"
#include "src/retain/keep.h"
#include "store/record/forget.h"

#define DEFAULT_GROUPS "machine,paths"

static int parse_tags(const struct string_list *lists, struct request *r)
{
	const char **all;
	size_t i, n = 0;

	for (i = 0; i < lists->n; i++) {
		const char *p = lists->items[i];

		for (n++; *p; p++)
			n += *p == ',';
	}
	r->tags = alloc_array(lists->n + 1, sizeof(*r->tags));
	r->words = alloc_array(n + 1, sizeof(*r->words));
	if (!r->tags || !r->words)
		return -ENOMEM;
	for (i = 0; i < lists->n; i++) {
		const char *p = lists->items[i];
		size_t first = r->nwords;

		for (;;) {
			size_t len = strcspn(p, ",");

			r->words[r->nwords] = strndup(p, len);
			if (!r->words[r->nwords])
				return -ENOMEM;
			r->nwords++;
			if (!p[len])
				break;
			p += len + 1;
		}
		all = (const char **)&r->words[first];
		r->tags[i] = (struct keep_tags){ all, r->nwords - first };
	}
	r->policy.tags = r->tags;
	r->policy.ntags = lists->n;
	return 0;
}

static int parse_duration(struct context *ctx, const char *text, int64_t *out)
{
	if (keep_parse_duration(text, out) == 0)
		return 0;
	return context_usage(ctx,
			     "\"%s\" is not a time: say 36h, 7d, 2w, 6mo (a "
			     "month) or 1y",
			     text);
}

static int parse_rules(struct context *ctx, const struct request_args *a,
		       struct keep_policy *p)
{
	int i, r = 0;

	for (i = 0; i < KEEP_RULES && r == 0; i++) {
		if (a->counts[i] &&
		    keep_parse_count(a->counts[i], &p->count[i]) < 0)
			r = context_usage(ctx,
					  "\"%s\" is not a number of points, "
					  "nor \"unlimited\"",
					  a->counts[i]);
		if (r == 0 && a->within[i])
			r = parse_duration(ctx, a->within[i], &p->within_ns[i]);
	}
	if (r == 0 &&
	    keep_parse_groups(a->group_by ? a->group_by : DEFAULT_GROUPS,
			      &p->group_by) < 0)
		r = context_usage(
			ctx,
			"--group-by %s: there are machine, host, tags "
			"and paths",
			a->group_by);
	return r;
}

/* A variable that is not set would be a rule that keeps nothing. */
int request_check_tags(struct context *ctx, const char *option,
		       const struct string_list *lists)
{
	size_t i;

	for (i = 0; i < lists->n; i++) {
		const char *p = lists->items[i];
		size_t len = strcspn(p, ",");

		for (; len > 0 && p[len]; len = strcspn(p, ","))
			p += len + 1;
		if (len == 0)
			return context_usage(ctx, "%s \"%s\": a tag has a name",
					     option, lists->items[i]);
	}
	return 0;
}

static int check_always(struct context *ctx, const struct request_args *a,
			bool are_points, const struct request *r)
{
	if (are_points || a->remove_all || a->reason)
		return context_usage(ctx,
				     "--always is for the vault, and "
				     "forgets nothing: it takes "
				     "--undelete-window and no points, and "
				     "nothing that says which to keep");
	if (!a->window || r->wish.window_ns < FORGET_WINDOW_MIN_NS ||
	    r->wish.window_ns > FORGET_WINDOW_MAX_NS ||
	    r->wish.window_ns % FORGET_DAY_NS)
		return context_usage(ctx,
				     "--always takes --undelete-window, of "
				     "14 to 180 whole days");
	return 0;
}

static int check_request(struct context *ctx, const struct request_args *a,
			 bool are_named, bool are_chosen,
			 const struct request *r)
{
	bool is_empty = keep_policy_is_empty(&r->policy);

	if (r->keep_ns >= 0 && (!are_named || !is_empty))
		return context_usage(ctx,
				     "--keep is for POINTs that are named");
	if (r->keep_ns >= 0 && (a->reason || a->window))
		return context_usage(ctx, "--keep forgets nothing: it takes no "
					  "--reason and no --undelete-window");
	if (are_named && a->group_by)
		return context_usage(ctx, "--group-by is for a policy, and not "
					  "for POINTs that are named");
	if (a->reason && !forget_text_ok(a->reason))
		return context_usage(ctx,
				     "--reason is a text of one line and at "
				     "most %d bytes",
				     FORGET_TEXT_MAX);
	if (are_named && (!is_empty || are_chosen))
		return context_usage(ctx, "name points, or say what to keep of "
					  "all: not both");
	if (a->always)
		return check_always(ctx, a,
				    are_named || are_chosen || !is_empty, r);
	if (!are_named && is_empty && !(a->remove_all && are_chosen))
		return context_usage(
			ctx, "say what to keep (--keep-daily 7), or name "
			     "points; to forget all of some machine, say --vm "
			     "and --unsafe-allow-remove-all");
	if (r->wish.window_ns < FORGET_WINDOW_MIN_NS ||
	    r->wish.window_ns > FORGET_WINDOW_MAX_NS)
		return context_usage(ctx, "--undelete-window is 14d to 180d");
	return 0;
}

int request_parse(struct context *ctx, const struct request_args *a,
		  bool are_named, bool are_chosen, struct request *out)
{
	int r = parse_rules(ctx, a, &out->policy);

	out->keep_ns = -1;
	out->wish.window_ns = FORGET_WINDOW_MIN_NS;
	out->wish.reason = a->reason;
	out->policy.remove_all = a->remove_all;
	if (r == 0)
		r = request_check_tags(ctx, "--keep-tag", &a->tags);
	if (r == 0)
		r = parse_tags(&a->tags, out);
	if (r == 0 && a->keep)
		r = parse_duration(ctx, a->keep, &out->keep_ns);
	if (r == 0 && a->window)
		r = parse_duration(ctx, a->window, &out->wish.window_ns);
	return r == 0 ? check_request(ctx, a, are_named, are_chosen, out) : r;
}

void request_release(struct request *r)
{
	while (r->nwords > 0)
		free(r->words[--r->nwords]);
	free(r->words);
	free(r->tags);
}
