/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A kind that this program does not know is no damage: a later version may
 * have more to say, and what an old one does not understand of a note it can
 * still show. A kind that it knows has to have what makes it mean something.
 */
#include "config.h"

#include "store/record/note.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "store/base/json.h"
#include "store/base/log.h"
#include "store/base/text.h"

#define WORD_MAX 32

static const struct {
	const char *word;
	bool has_text; /* it means nothing without one */
} kinds[] = {
	[NOTE_TEXT] = { "text", true },
	[NOTE_TAG] = { "tag", true },
	[NOTE_UNTAG] = { "untag", true },
	[NOTE_PROTECT] = { "protect", false },
	[NOTE_UNPROTECT] = { "unprotect", false },
	[NOTE_VERIFIED] = { "verified", false },
	[NOTE_DRILLED] = { "drilled", false },
	[NOTE_NAME] = { "name", true },
	[NOTE_KEEP] = { "keep", true },
	[NOTE_SUSPICIOUS] = { "suspicious", false },
	[NOTE_TRUSTED] = { "trusted", false },
};

void note_release(struct note *n)
{
	free(n->word);
	free(n->text);
	free(n->by);
	memset(n, 0, sizeof(*n));
}

const char *note_word(enum note_kind kind)
{
	return kinds[kind].word;
}

static enum note_kind find_kind(const char *word)
{
	size_t i;

	for (i = NOTE_OTHER + 1; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].word, word) == 0)
			return (enum note_kind)i;
	return NOTE_OTHER;
}

/* Text that can be shown as it is. */
static bool text_ok(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1);

	return len <= max && text_is_plain(text, len);
}

int note_encode(enum note_kind kind, const char *text, const char *by,
		int64_t time_ns, struct buf *out)
{
	char *json;
	json_t *j;

	if (!note_word(kind) || (kinds[kind].has_text && (!text || !*text)) ||
	    (text && !text_ok(text, NOTE_TEXT_MAX)))
		return -EINVAL;
	if (by && !text_ok(by, NOTE_TEXT_MAX))
		by = NULL;
	j = json_pack("{s:s, s:s*, s:s*, s:I}", "kind", note_word(kind), "text",
		      text, "by", by, "time_ns", (json_int_t)time_ns);
	json = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (!json)
		return -ENOMEM;
	buf_put(out, json, strlen(json));
	free(json);
	return buf_error(out);
}

/* A member that is a text, or not there. */
static int get_text(const json_t *doc, const char *key, size_t max, char **out)
{
	const json_t *j = json_object_get(doc, key);
	const char *text = json_string_value(j);

	*out = NULL;
	if (!j)
		return 0;
	if (!text || json_string_length(j) != strlen(text) ||
	    !text_ok(text, max))
		return -EBADMSG;
	*out = strdup(text);
	return *out ? 0 : -ENOMEM;
}

static int get_members(const json_t *doc, struct note *n)
{
	const json_t *time = json_object_get(doc, "time_ns");
	int r = get_text(doc, "kind", WORD_MAX, &n->word);

	if (r == 0)
		r = get_text(doc, "text", NOTE_TEXT_MAX, &n->text);
	if (r == 0)
		r = get_text(doc, "by", NOTE_TEXT_MAX, &n->by);
	if (r < 0)
		return r;
	if (!n->word || !*n->word || (time && !json_is_integer(time)))
		return -EBADMSG;
	n->time_ns = json_integer_value(time);
	n->kind = find_kind(n->word);
	return kinds[n->kind].has_text && (!n->text || !*n->text) ? -EBADMSG
								  : 0;
}

int note_decode(const void *data, size_t len, const char *name,
		struct note *out)
{
	struct note n = { .kind = NOTE_OTHER };
	json_t *doc;
	int r = json_text_read(data, len, 0, NULL, &doc);

	if (r == 0)
		r = get_members(doc, &n);

	json_decref(doc);
	if (r < 0)
		note_release(&n);
	*out = n;
	if (r == -EBADMSG)
		(void)fail(r, "%s: authentic, but malformed", name);
	return r;
}
