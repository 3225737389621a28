/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/noting.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/note.h"

struct args {
	struct string_list texts, tags, untags;
	bool protect, unprotect, verified, drilled, suspicious, trusted;
};

static const struct option_row rows[] = {
	OPT_LIST("text", 0, "TEXT", struct args, texts,
		 "note a text; may be repeated"),
	OPT_LIST("tag", 0, "TAG", struct args, tags,
		 "give the point a tag; may be repeated"),
	OPT_LIST("untag", 0, "TAG", struct args, untags,
		 "take a tag from it; may be repeated"),
	OPT_FLAG("protect", 0, struct args, protect,
		 "let nothing remove the point"),
	OPT_FLAG("unprotect", 0, struct args, unprotect, "end that protection"),
	OPT_FLAG("verified", 0, struct args, verified,
		 "note that all of it was read and is right"),
	OPT_FLAG("drilled", 0, struct args, drilled,
		 "note that it was started or restored as a rehearsal"),
	OPT_FLAG("suspicious", 0, struct args, suspicious,
		 "note that something seems wrong with it"),
	OPT_FLAG("trusted", 0, struct args, trusted,
		 "note that nothing is, after all"),
	OPT_END
};

static size_t add_wishes(struct note_wish *wishes, size_t n,
			 enum note_kind kind, const struct string_list *texts)
{
	size_t i;

	for (i = 0; i < texts->n; i++)
		wishes[n++] = (struct note_wish){ kind, texts->items[i] };
	return n;
}

static int print_noted(struct context *ctx, const struct point *const *points,
		       size_t npoints, size_t n)
{
	json_t *o;
	size_t i;
	int r = 0;

	for (i = 0; ctx->json && i < npoints && r == 0; i++) {
		o = output_message("noted");
		output_set_string(o, "id", points[i]->id);
		output_set_uint(o, "notes", n);
		r = output_json(o);
	}
	return r;
}

static bool has_text(char *const *list, size_t n, const char *text)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

/* A note cannot be taken back, so a slip of the fingers is to leave none. Of several
 * points one has to have the tag. */
static int check_untags(const struct args *a, const struct point *const *points,
			size_t npoints)
{
	size_t i, k;

	for (k = 0; k < a->untags.n; k++) {
		const char *tag = a->untags.items[k];
		bool found = false;

		for (i = 0; i < a->tags.n && !found; i++)
			found = strcmp(a->tags.items[i], tag) == 0;
		for (i = 0; i < npoints && !found; i++)
			found = has_text(points[i]->tags, points[i]->ntags,
					 tag);
		if (!found)
			return fail(-ENOENT,
				    "there is no tag \"%s\" to be taken away",
				    tag);
	}
	return 0;
}

static int note_all(struct context *ctx, struct vault *v,
		    const struct point *const *points, size_t npoints,
		    const struct args *a)
{
	const struct {
		bool wanted;
		enum note_kind kind;
	} flags[] = {
		{ a->protect, NOTE_PROTECT },
		{ a->unprotect, NOTE_UNPROTECT },
		{ a->verified, NOTE_VERIFIED },
		{ a->drilled, NOTE_DRILLED },
		{ a->suspicious, NOTE_SUSPICIOUS },
		{ a->trusted, NOTE_TRUSTED },
	};
	AUTO_FREE struct note_wish *wishes =
		calloc(a->texts.n + a->tags.n + a->untags.n + ARRAY_SIZE(flags),
		       sizeof(*wishes));
	char by[NOTING_BY_MAX];
	size_t i, n;
	int r;

	if (!wishes)
		return -ENOMEM;
	r = check_untags(a, points, npoints);
	if (r < 0)
		return r;
	n = add_wishes(wishes, 0, NOTE_TEXT, &a->texts);
	n = add_wishes(wishes, n, NOTE_TAG, &a->tags);
	n = add_wishes(wishes, n, NOTE_UNTAG, &a->untags);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].wanted)
			wishes[n++].kind = flags[i].kind;
	r = note_points(v, points, npoints, wishes, n, noting_by(by));
	return r < 0 ? r : print_noted(ctx, points, npoints, n);
}

static json_t *note_json(const struct note *n)
{
	json_t *o = json_object();

	output_set_string(o, "kind", n->word);
	if (n->text)
		output_set_string(o, "text", n->text);
	if (n->by)
		output_set_string(o, "by", n->by);
	if (n->time_ns)
		output_set_time(o, "time", n->time_ns);
	return o;
}

static int print_notes(struct context *ctx, const struct point *p)
{
	char time[POINT_TIME_LEN];
	json_t *o, *list;
	size_t i;

	if (ctx->json) {
		o = output_message("notes");
		list = json_array();
		for (i = 0; i < p->nnotes; i++)
			json_array_append_new(list, note_json(&p->notes[i]));
		output_set_string(o, "id", p->id);
		json_object_set_new(o, "notes", list);
		output_set_bool(o, "protected", p->is_protected);
		return output_json(o);
	}
	for (i = 0; i < p->nnotes; i++) {
		const struct note *n = &p->notes[i];

		point_time_name(n->time_ns, time);
		printf("%s  %s  %s%s%s\n", time, n->by ? n->by : "-", n->word,
		       n->text ? "  " : "", n->text ? n->text : "");
	}
	return 0;
}

static int run_note(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	bool writes = a->texts.n || a->tags.n || a->untags.n || a->protect ||
		      a->unprotect || a->verified || a->drilled ||
		      a->suspicious || a->trusted;
	AUTO_FREE const struct point **points = NULL;
	struct point_list *l = NULL;
	struct vault *v = NULL;
	size_t i, n = 0;
	int r;

	if (argc < 1)
		return context_usage(ctx, "which point?");
	if (a->protect && a->unprotect)
		return context_usage(ctx, "--protect or --unprotect?");
	if (a->suspicious && a->trusted)
		return context_usage(ctx, "--suspicious or --trusted?");
	points = calloc((size_t)argc, sizeof(*points));
	if (!points)
		return -ENOMEM;
	r = context_open_vault_only(ctx, &v);
	if (r == 0)
		r = context_read_error(v, vault_points(v, &l));
	if (r == 0)
		r = filter_find_points(v, l, argc, argv, writes, points, &n);
	if (r == 0 && writes)
		r = note_all(ctx, v, points, n, a);
	for (i = 0; i < n && r == 0 && !writes; i++)
		r = print_notes(ctx, points[i]);
	point_list_put(l);
	vault_close(v);
	return r;
}

const struct command cmd_note = {
	.name = "note",
	.operands = "POINT...",
	.summary = "say something of points, or show what was said",
	.help = "Notes are all of a point that may change after it was made."
		" Nobody can change or remove a note; tags and protection are"
		" as the last notes leave them. Without options the notes are"
		" listed.",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_note,
};

/* ---- what is said often has a verb of its own ---- */

static int run_protect(struct context *ctx, void *args, int argc, char **argv)
{
	struct args *a = args;

	a->protect = true;
	return run_note(ctx, args, argc, argv);
}

static int run_unprotect(struct context *ctx, void *args, int argc, char **argv)
{
	struct args *a = args;

	a->unprotect = true;
	return run_note(ctx, args, argc, argv);
}

static const struct option_row protect_rows[] = {
	OPT_LIST("text", 0, "TEXT", struct args, texts,
		 "note why; may be repeated"),
	OPT_END
};

const struct command cmd_protect = {
	.name = "protect",
	.operands = "POINT...",
	.summary = "let nothing remove points: note --protect",
	.options = protect_rows,
	.args_size = sizeof(struct args),
	.run = run_protect,
};

const struct command cmd_unprotect = {
	.name = "unprotect",
	.operands = "POINT...",
	.summary = "end the protection of points: note --unprotect",
	.options = protect_rows,
	.args_size = sizeof(struct args),
	.run = run_unprotect,
};

static int run_tag(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;

	if (a->tags.n + a->untags.n == 0)
		return context_usage(ctx, "say --add TAG or --remove TAG");
	return run_note(ctx, args, argc, argv);
}

static const struct option_row tag_rows[] = {
	OPT_LIST("add", 0, "TAG", struct args, tags,
		 "give the points a tag; may be repeated"),
	OPT_LIST("remove", 0, "TAG", struct args, untags,
		 "take a tag from them; may be repeated"),
	OPT_END
};

const struct command cmd_tag = {
	.name = "tag",
	.operands = "POINT...",
	.summary = "give points tags, or take some from them",
	.options = tag_rows,
	.args_size = sizeof(struct args),
	.run = run_tag,
};
