/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The configuration text of LVM2:
 *
 *     name { ... }    key = "string"    key = 12    key = [ "a", 1 ]
 *
 * with comments from '#' to the end of the line. Parsed without recursion,
 * into nodes whose strings stay in the text.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fs/guest/volumes/lvm_internal.h"
#include "store/base/array.h"

struct parser {
	struct lvm_text *t;
	char *p, *end; /* *end is 0 */
	uint32_t stack[LVM_DEPTH_MAX]; /* open sections */
	uint32_t last[LVM_DEPTH_MAX]; /* the last child of each */
	int depth;
};

void lvm_text_release(struct lvm_text *t)
{
	free(t->bytes);
	free(t->nodes);
	memset(t, 0, sizeof(*t));
}

static int new_node(struct lvm_text *t, enum lvm_kind kind, const char *key,
		    uint32_t *out)
{
	if (t->n == LVM_NODES_MAX)
		return -EBADMSG;
	if (array_reserve(&t->nodes, &t->cap, (size_t)t->n + 1) < 0)
		return -ENOMEM;
	memset(&t->nodes[t->n], 0, sizeof(t->nodes[t->n]));
	t->nodes[t->n].kind = kind;
	t->nodes[t->n].key = key;
	t->nodes[t->n].text = "";
	*out = t->n++;
	return 0;
}

/* A node behind the last one of @parent; @last is that one, 0 for none. */
static int append(struct lvm_text *t, uint32_t parent, uint32_t *last,
		  enum lvm_kind kind, const char *key, uint32_t *out)
{
	int r = new_node(t, kind, key, out);

	if (r < 0)
		return r;
	if (*last)
		t->nodes[*last].next = *out;
	else
		t->nodes[parent].child = *out;
	*last = *out;
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.' ||
	       c == '+' || c == '/' || c == '@' || c == '#';
}

static void skip_space(struct parser *s)
{
	while (s->p < s->end) {
		if (*s->p == '#') {
			while (s->p < s->end && *s->p != '\n')
				s->p++;
		} else if (is_space(*s->p)) {
			s->p++;
		} else {
			return;
		}
	}
}

/* A string in quotes; '\' takes away the meaning of what follows. */
static int get_string(struct parser *s, const char **out)
{
	char *to = ++s->p;

	*out = to;
	while (s->p < s->end && *s->p != '"') {
		if (*s->p == '\\' && s->p + 1 < s->end)
			s->p++;
		*to++ = *s->p++;
	}
	if (s->p == s->end)
		return -EBADMSG;
	s->p++; /* the quote, which may now be overwritten */
	*to = '\0';
	return 0;
}

static int get_number(struct parser *s, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(s->p, &end, 10);
	if (end == s->p || errno)
		return -EBADMSG;
	s->p = end;
	if (*end == '.') /* a fraction, which nothing here needs */
		for (s->p++; *s->p >= '0' && *s->p <= '9';)
			s->p++;
	return 0;
}

/* A string or a number, as a child of @parent. */
static int get_scalar(struct parser *s, uint32_t parent, uint32_t *last,
		      const char *key)
{
	bool string = *s->p == '"';
	const char *text = "";
	int64_t number = 0;
	uint32_t node;
	int r;

	r = string ? get_string(s, &text) : get_number(s, &number);
	if (r == 0)
		r = append(s->t, parent, last, string ? LVM_STRING : LVM_NUMBER,
			   key, &node);
	if (r < 0)
		return r;
	s->t->nodes[node].text = text;
	s->t->nodes[node].number = number;
	return 0;
}

static int get_array(struct parser *s, uint32_t node)
{
	uint32_t last = 0;
	int r;

	s->p++;
	for (;;) {
		skip_space(s);
		if (*s->p == ']') {
			s->p++;
			return 0;
		}
		if (*s->p == ',') {
			s->p++;
			continue;
		}
		if (s->p >= s->end)
			return -EBADMSG;
		r = get_scalar(s, node, &last, "");
		if (r < 0)
			return r;
	}
}

static int get_value(struct parser *s, const char *key)
{
	uint32_t parent = s->stack[s->depth], node;
	int r;

	skip_space(s);
	if (s->p >= s->end)
		return -EBADMSG;
	if (*s->p != '[')
		return get_scalar(s, parent, &s->last[s->depth], key);
	r = append(s->t, parent, &s->last[s->depth], LVM_ARRAY, key, &node);
	return r < 0 ? r : get_array(s, node);
}

/* A key and what it is of; the '}' of a section. */
static int get_item(struct parser *s)
{
	char *key = s->p, *end, what;
	uint32_t node;
	int r;

	if (*s->p == '}') {
		s->p++;
		return s->depth-- > 0 ? 0 : -EBADMSG;
	}
	while (s->p < s->end && is_word(*s->p))
		s->p++;
	end = s->p;
	skip_space(s);
	what = *s->p;
	if (end == key || s->p >= s->end || (what != '{' && what != '='))
		return -EBADMSG;
	s->p++;
	*end = '\0';
	if (what == '=')
		return get_value(s, key);
	if (s->depth + 1 == LVM_DEPTH_MAX)
		return -EBADMSG;
	r = append(s->t, s->stack[s->depth], &s->last[s->depth], LVM_SECTION,
		   key, &node);
	if (r < 0)
		return r;
	s->stack[++s->depth] = node;
	s->last[s->depth] = 0;
	return 0;
}

int lvm_text_parse(char *bytes, size_t len, struct lvm_text *out)
{
	struct parser s = { .t = out };
	uint32_t root;
	int r;

	memset(out, 0, sizeof(*out));
	out->bytes = bytes;
	if (len > LVM_TEXT_MAX)
		return -EBADMSG;
	bytes[len] = '\0';
	len = strlen(bytes); /* it ends with a NUL of its own */
	s.p = bytes;
	s.end = bytes + len;
	r = new_node(out, LVM_SECTION, "", &root);
	while (r == 0) {
		skip_space(&s);
		if (s.p >= s.end)
			return s.depth == 0 ? 0 : -EBADMSG;
		r = get_item(&s);
	}
	return r;
}

uint32_t lvm_text_find(const struct lvm_text *t, uint32_t parent,
		       const char *key, enum lvm_kind kind)
{
	uint32_t i;

	for (i = t->nodes[parent].child; i; i = t->nodes[i].next)
		if (t->nodes[i].kind == kind &&
		    strcmp(t->nodes[i].key, key) == 0)
			return i;
	return 0;
}

bool lvm_text_number(const struct lvm_text *t, uint32_t parent, const char *key,
		     uint64_t min, uint64_t max, uint64_t *out)
{
	uint32_t i = lvm_text_find(t, parent, key, LVM_NUMBER);

	if (!i || t->nodes[i].number < 0 ||
	    (uint64_t)t->nodes[i].number < min ||
	    (uint64_t)t->nodes[i].number > max)
		return false;
	*out = (uint64_t)t->nodes[i].number;
	return true;
}

const char *lvm_text_string(const struct lvm_text *t, uint32_t parent,
			    const char *key)
{
	uint32_t i = lvm_text_find(t, parent, key, LVM_STRING);

	return i ? t->nodes[i].text : "";
}

bool lvm_text_has(const struct lvm_text *t, uint32_t parent, const char *key,
		  const char *word)
{
	uint32_t i = lvm_text_find(t, parent, key, LVM_ARRAY);

	for (i = i ? t->nodes[i].child : 0; i; i = t->nodes[i].next)
		if (t->nodes[i].kind == LVM_STRING &&
		    strcmp(t->nodes[i].text, word) == 0)
			return true;
	return false;
}
