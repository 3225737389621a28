/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
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
	bool protect, unprotect, verified, drilled;
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
	OPT_END
};

static int note_each(struct vault *v, const struct point *p,
		     enum note_kind kind, const struct string_list *texts,
		     const char *by)
{
	size_t i;
	int r = 0;

	for (i = 0; i < texts->n && r == 0; i++)
		r = note_point(v, p, kind, texts->items[i], by);
	return r;
}

static int note_all(struct vault *v, const struct point *p,
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
	};
	char by[NOTING_BY_MAX];
	size_t i;
	int r;

	noting_by(by);
	r = note_each(v, p, NOTE_TEXT, &a->texts, by);
	if (r == 0)
		r = note_each(v, p, NOTE_TAG, &a->tags, by);
	if (r == 0)
		r = note_each(v, p, NOTE_UNTAG, &a->untags, by);
	for (i = 0; i < ARRAY_SIZE(flags) && r == 0; i++)
		if (flags[i].wanted)
			r = note_point(v, p, flags[i].kind, NULL, by);
	return r;
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
		      a->unprotect || a->verified || a->drilled;
	struct point_list *l = NULL;
	struct vault *v = NULL;
	size_t at;
	int i, r;

	if (argc < 1)
		return context_usage(ctx, "which point?");
	if (a->protect && a->unprotect)
		return context_usage(ctx, "--protect or --unprotect?");
	r = context_open_vault(ctx, &v);
	if (r == 0)
		r = context_read_error(v, vault_points(v, &l));
	for (i = 0; i < argc && r == 0; i++) {
		r = point_find(l, argv[i], &at);
		if (r == 0 && writes && vault_latest_in_doubt(v))
			r = fail(-EBADMSG,
				 "%s: a note cannot be taken back: name the "
				 "point by its time",
				 argv[i]);
		if (r == 0)
			r = writes ? note_all(v, l->points[at], a)
				   : print_notes(ctx, l->points[at]);
	}
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
