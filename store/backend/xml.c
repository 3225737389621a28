/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/backend/xml.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <expat.h>

#define DEPTH_MAX 8
#define NAME_MAX_LEN 63

struct xml_level {
	char name[NAME_MAX_LEN + 1];
	char text[XML_TEXT_MAX + 1];
	size_t len;
};

struct xml_reading {
	XML_Parser parser;
	xml_element_fn *fn;
	void *arg;
	struct xml_level *levels; /* owned: DEPTH_MAX of them */
	size_t depth;
	int result;
};

static void end(struct xml_reading *x, int r)
{
	if (x->result == 0)
		x->result = r;
	(void)XML_StopParser(x->parser, XML_FALSE);
}

static const char *local_name(const char *name)
{
	const char *colon = strrchr(name, ':');

	return colon ? colon + 1 : name;
}

static void XMLCALL on_begin(void *arg, const char *name, const char **attrs)
{
	struct xml_reading *x = arg;
	struct xml_level *l;

	(void)attrs;
	name = local_name(name);
	if (x->depth == DEPTH_MAX || strlen(name) > NAME_MAX_LEN) {
		end(x, -EBADMSG);
		return;
	}
	l = &x->levels[x->depth++];
	memcpy(l->name, name, strlen(name) + 1);
	l->len = 0;
}

static void XMLCALL on_text(void *arg, const char *text, int len)
{
	struct xml_reading *x = arg;
	struct xml_level *l = x->depth ? &x->levels[x->depth - 1] : NULL;

	if (!l || len < 0)
		return;
	/* A thousand elements in a row have as many line ends between them. */
	while (l->len == 0 && len > 0 && strchr(" \t\r\n", *text)) {
		text++;
		len--;
	}
	if ((size_t)len > XML_TEXT_MAX - l->len) {
		end(x, -EBADMSG);
		return;
	}
	memcpy(l->text + l->len, text, (size_t)len);
	l->len += (size_t)len;
}

static void XMLCALL on_end(void *arg, const char *name)
{
	struct xml_reading *x = arg;
	struct xml_level *l;
	int r;

	(void)name;
	/* After a stop expat may call once more. */
	if (x->result != 0 || x->depth == 0)
		return;
	l = &x->levels[--x->depth];
	l->text[l->len] = '\0';
	r = x->fn(x->arg, x->depth ? x->levels[x->depth - 1].name : "", l->name,
		  l->text);
	if (r != 0)
		end(x, r);
}

static void XMLCALL on_doctype(void *arg, const char *name, const char *system,
			       const char *public_id, int internal)
{
	(void)name;
	(void)system;
	(void)public_id;
	(void)internal;
	end(arg, -EBADMSG);
}

int xml_parse(const void *data, size_t len, xml_element_fn *fn, void *arg)
{
	struct xml_reading x = { .fn = fn, .arg = arg };
	bool whole = false;

	if (len > INT_MAX)
		return -EBADMSG;
	x.levels = calloc(DEPTH_MAX, sizeof(*x.levels));
	x.parser = x.levels ? XML_ParserCreate(NULL) : NULL;
	if (!x.parser) {
		free(x.levels);
		return -ENOMEM;
	}
	XML_SetUserData(x.parser, &x);
	XML_SetElementHandler(x.parser, on_begin, on_end);
	XML_SetCharacterDataHandler(x.parser, on_text);
	XML_SetStartDoctypeDeclHandler(x.parser, on_doctype);
	whole = XML_Parse(x.parser, data, (int)len, XML_TRUE) == XML_STATUS_OK;
	if (!whole && x.result == 0)
		x.result = XML_GetErrorCode(x.parser) == XML_ERROR_NO_MEMORY
				   ? -ENOMEM
				   : -EBADMSG;
	XML_ParserFree(x.parser);
	free(x.levels);
	return x.result;
}
