/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A point from JSON. A point is authentic, but whoever wrote it may have been
 * anybody with the key, so each member is checked before it is believed. The
 * decoder notes the first thing that is wrong and goes on with zeros, which
 * spares every getter its own way out; at the end there is a point that
 * point_check() accepts, or one sentence why there is none.
 *
 * Members that this version does not know are kept as JSON text, so that
 * writing a point again loses nothing of what a later version said.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/json.h"
#include "store/base/log.h"
#include "store/base/text.h"

/* Those at the top; all others are extra. */
static const char *const known[] = {
	"format",
	"id",
	"session",
	"vm",
	"host",
	"user",
	"time",
	"tags",
	"sources",
	"left_out",
	"parent",
	"index",
	"tree",
	"disks",
	"config",
	"incomplete",
	"errors",
	"has_acl",
	"scan_start_ns",
	"data_added",
	"data_added_packed",
	"program",
	"machine",
};

/* Where decoding stands: the first thing that was wrong. */
struct decoder {
	const json_t *o; /* borrowed */
	const char *why; /* NULL: nothing so far */
	bool no_memory;
};

static void wrong(struct decoder *d, const char *why)
{
	if (!d->why)
		d->why = why;
}

/* A copy of a string; NULL where it is missing. */
static char *get_string(struct decoder *d, const json_t *o, const char *key)
{
	json_t *j = json_object_get(o, key);
	char *s;

	if (!j)
		return NULL;
	if (!json_is_string(j)) {
		wrong(d, "a member that should be a string is not");
		return NULL;
	}
	s = strdup(json_string_value(j));
	if (!s)
		d->no_memory = true;
	return s;
}

/* The same of text that may be shown as it is. */
static char *get_line(struct decoder *d, const json_t *o, const char *key)
{
	char *s = get_string(d, o, key);

	if (s && !text_is_plain(s, strlen(s)))
		wrong(d, "a member has control characters");
	return s;
}

static void get_id(struct decoder *d, const char *key, char *out)
{
	json_t *j = json_object_get(d->o, key);

	if (!j)
		return;
	if (json_is_string(j) && json_string_length(j) == POINT_ID_HEX)
		memcpy(out, json_string_value(j), POINT_ID_HEX + 1);
	else
		wrong(d, "an id is not 32 digits");
}

static int64_t get_integer(struct decoder *d, const json_t *o, const char *key)
{
	json_t *j = json_object_get(o, key);

	if (j && !json_is_integer(j))
		wrong(d, "a member that should be a whole number is not");
	return j ? json_integer_value(j) : 0;
}

static uint64_t get_count(struct decoder *d, const json_t *o, const char *key)
{
	int64_t v = get_integer(d, o, key);

	if (v < 0) {
		wrong(d, "a count is negative");
		v = 0;
	}
	return (uint64_t)v;
}

static bool get_bool(struct decoder *d, const json_t *o, const char *key)
{
	json_t *j = json_object_get(o, key);

	if (j && !json_is_boolean(j))
		wrong(d, "a member that should be true or false is not");
	return json_is_true(j);
}

static char *decode_name(struct decoder *d, const json_t *j)
{
	char *s;

	if (!json_is_string(j)) {
		wrong(d, "what should be a name is not a string");
		return NULL;
	}
	s = strdup(json_string_value(j));
	if (!s)
		d->no_memory = true;
	return s;
}

static char *decode_path(struct decoder *d, const json_t *j)
{
	const json_t *b64 = json_object_get(j, "path_b64");
	AUTO_BUF struct buf raw = BUF_INIT;
	char *s = NULL;
	int r = -EINVAL;

	if (json_is_string(j)) {
		s = strdup(json_string_value(j));
		r = s ? 0 : -ENOMEM;
	} else if (json_is_string(b64)) {
		r = text_get_base64(&raw, json_string_value(b64),
				    json_string_length(b64));
		if (r == 0 && raw.len && memchr(raw.data, '\0', raw.len))
			r = -EINVAL;
		buf_put_u8(&raw, '\0');
		if (r == 0)
			r = buf_error(&raw);
		if (r == 0) {
			s = (char *)raw.data;
			raw = (struct buf)BUF_INIT;
		}
	}
	if (r == -EINVAL)
		wrong(d, "what should be a path is not");
	else if (r < 0)
		d->no_memory = true;
	return s;
}

static char **get_list(struct decoder *d, const json_t *o, const char *key,
		       size_t max,
		       char *(*decode)(struct decoder *d, const json_t *j),
		       size_t *n_out)
{
	const json_t *j = json_object_get(o, key);
	char **list;
	size_t i, n;

	*n_out = 0;
	if (!j)
		return NULL;
	n = json_array_size(j);
	if (!json_is_array(j) || n > max) {
		wrong(d, "a list is not one, or too long");
		return NULL;
	}
	if (n == 0)
		return NULL;
	list = alloc_array(n, sizeof(*list));
	if (!list) {
		d->no_memory = true;
		return NULL;
	}
	for (i = 0; i < n; i++) {
		list[i] = decode(d, json_array_get(j, i));
		if (!list[i])
			break;
	}
	*n_out = i;
	return list;
}

static void get_tree(struct decoder *d, struct point *p)
{
	const json_t *tree = json_object_get(d->o, "tree");
	const json_t *root = json_object_get(tree, "root");

	if (!tree || json_is_null(tree))
		return;
	if (!json_is_string(root) || json_string_length(root) != 2 * ID_LEN ||
	    hex_decode(json_string_value(root), ID_LEN, p->root.b) < 0) {
		wrong(d, "its tree has no root of 64 digits");
		return;
	}
	p->has_tree = true;
	p->entries = get_count(d, tree, "entries");
	p->files = get_count(d, tree, "files");
	p->bytes = get_count(d, tree, "bytes");
}

static void get_content(struct decoder *d, const json_t *o, uint8_t **out,
			size_t *len_out)
{
	const json_t *b64 = json_object_get(o, "content");
	AUTO_BUF struct buf raw = BUF_INIT;
	int r;

	if (!json_is_string(b64)) {
		wrong(d, "a disk or config file has no content");
		return;
	}
	r = text_get_base64(&raw, json_string_value(b64),
			    json_string_length(b64));
	if (r == 0)
		r = buf_error(&raw);
	if (r == -ENOMEM) {
		d->no_memory = true;
	} else if (r < 0) {
		wrong(d, "content is not base64");
	} else {
		*out = raw.data;
		*len_out = raw.len;
		raw = (struct buf)BUF_INIT;
	}
}

static void get_disk(struct decoder *d, const json_t *o, struct point_disk *out)
{
	const json_t *hash = json_object_get(o, "sha256");
	uint64_t sector = get_count(d, o, "sector");

	out->name = get_string(d, o, "name");
	out->size = get_count(d, o, "size");
	out->used = get_count(d, o, "used");
	out->sector = sector > UINT32_MAX ? 0 : (uint32_t)sector;
	out->format = get_line(d, o, "format");
	out->source = get_line(d, o, "source");
	out->bitmap = get_line(d, o, "bitmap");
	get_content(d, o, &out->content, &out->content_len);
	if (!hash)
		return;
	if (json_string_length(hash) != 2 * sizeof(out->sha256) ||
	    hex_decode(json_string_value(hash), sizeof(out->sha256),
		       out->sha256) < 0)
		wrong(d, "a disk's sha256 is not 64 digits");
	out->has_sha256 = true;
}

static void get_config(struct decoder *d, const json_t *o,
		       struct point_config *out)
{
	out->name = get_string(d, o, "name");
	out->size = get_count(d, o, "size");
	get_content(d, o, &out->content, &out->content_len);
}

/* An array of that member's; NULL and 0 where it is empty or missing. */
static void *get_array(struct decoder *d, const json_t *o, const char *key,
		       size_t max, size_t size, const json_t **out,
		       size_t *n_out)
{
	void *list;

	*out = json_object_get(o, key);
	if (!*out)
		return NULL;
	if (!json_is_array(*out) || json_array_size(*out) > max) {
		wrong(d, "a list is not one, or too long");
		return NULL;
	}
	if (json_array_size(*out) == 0)
		return NULL;
	list = alloc_array(json_array_size(*out), size);
	if (list)
		*n_out = json_array_size(*out);
	else
		d->no_memory = true;
	return list;
}

static void get_machine(struct decoder *d, struct point *p)
{
	const json_t *list;
	size_t i;

	p->disks = get_array(d, d->o, "disks", POINT_DISKS_MAX,
			     sizeof(*p->disks), &list, &p->ndisks);
	for (i = 0; i < p->ndisks; i++)
		get_disk(d, json_array_get(list, i), &p->disks[i]);
	p->configs = get_array(d, d->o, "config", POINT_CONFIGS_MAX,
			       sizeof(*p->configs), &list, &p->nconfigs);
	for (i = 0; i < p->nconfigs; i++)
		get_config(d, json_array_get(list, i), &p->configs[i]);
}

static void get_pattern(struct decoder *d, const json_t *j,
			struct point_pattern *out)
{
	const json_t *text = json_object_get(j, "path");

	if (!json_is_object(j) || json_object_get(j, "path_b64"))
		text = j;
	out->text = decode_path(d, text);
	out->ignore_case = get_bool(d, j, "ignore_case");
}

static void get_left_out(struct decoder *d, struct point_left_out *out)
{
	const json_t *o = json_object_get(d->o, "left_out"), *list;
	size_t i;

	if (!o)
		return;
	if (!json_is_object(o)) {
		wrong(d, "what was left out is not an object");
		return;
	}
	out->known = true;
	out->one_file_system = get_bool(d, o, "one_file_system");
	out->caches = get_bool(d, o, "caches");
	out->patterns =
		get_array(d, o, "patterns", POINT_LEFT_OUT_MAX,
			  sizeof(*out->patterns), &list, &out->npatterns);
	for (i = 0; i < out->npatterns; i++)
		get_pattern(d, json_array_get(list, i), &out->patterns[i]);
	out->mounts = get_list(d, o, "mounts", POINT_LEFT_OUT_MAX, decode_path,
			       &out->nmounts);
}

static void get_time(struct decoder *d, struct point *p)
{
	const char *text = json_string_value(json_object_get(d->o, "time"));

	if (!text || point_parse_time(text, &p->time_ns) < 0)
		wrong(d, "its time is not as 2026-11-22T10:15:00Z");
}

static void get_extra(struct decoder *d, struct point *p)
{
	json_t *rest = json_copy((json_t *)d->o);
	size_t i;

	if (!rest) {
		d->no_memory = true;
		return;
	}
	for (i = 0; i < ARRAY_SIZE(known); i++)
		(void)json_object_del(rest, known[i]);
	if (json_object_size(rest) > 0) {
		p->extra = json_dumps(rest, JSON_COMPACT);
		if (!p->extra)
			d->no_memory = true;
	}
	json_decref(rest);
}

static void decode_members(struct decoder *d, struct point *p)
{
	get_id(d, "id", p->id);
	get_id(d, "session", p->session);
	get_id(d, "parent", p->parent);
	get_id(d, "machine", p->machine);
	p->vm = get_string(d, d->o, "vm");
	p->host = get_line(d, d->o, "host");
	p->user = get_line(d, d->o, "user");
	p->program = get_line(d, d->o, "program");
	get_time(d, p);
	p->tags = get_list(d, d->o, "tags", POINT_TAGS_MAX, decode_name,
			   &p->ntags);
	p->sources = get_list(d, d->o, "sources", POINT_SOURCES_MAX,
			      decode_path, &p->nsources);
	get_left_out(d, &p->left_out);
	p->has_index = json_object_get(d->o, "index") != NULL;
	p->index = get_list(d, d->o, "index", POINT_INDEX_MAX, decode_name,
			    &p->nindex);
	get_tree(d, p);
	get_machine(d, p);
	p->incomplete = get_bool(d, d->o, "incomplete");
	p->errors = get_count(d, d->o, "errors");
	p->has_acl = get_bool(d, d->o, "has_acl");
	p->scan_start_ns = get_integer(d, d->o, "scan_start_ns");
	p->data_added = get_count(d, d->o, "data_added");
	p->data_added_packed = get_count(d, d->o, "data_added_packed");
	get_extra(d, p);
}

/* Brackets nest at most so deep; jansson goes down by recursion. */
static bool depth_ok(const char *text, size_t len)
{
	bool in_string = false;
	unsigned int depth = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		char c = text[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{' || c == '[') {
			if (++depth > POINT_DEPTH_MAX)
				return false;
		} else if ((c == '}' || c == ']') && depth > 0) {
			depth--;
		}
	}
	return true;
}

static int decode_object(const json_t *o, const char *name, struct point *p)
{
	struct decoder d = { .o = o };
	int64_t format = get_integer(&d, o, "format");

	if (!json_is_object(o))
		return fail(-EBADMSG, "%s: not a point: not a JSON object",
			    name);
	if (!d.why && format > POINT_FORMAT)
		return fail(-EBADMSG,
			    "%s: written by a newer version of vmbackup"
			    " (format %lld): upgrade to read it",
			    name, (long long)format);
	if (format != POINT_FORMAT)
		wrong(&d, "its format is not 1");
	if (!d.why)
		decode_members(&d, p);
	if (d.no_memory)
		return -ENOMEM;
	if (!d.why) {
		point_sort_tags(p);
		d.why = point_check(p);
	}
	if (!d.why && !p->machine[0]) {
		int r = point_machine_of(p->vm, 0, p->machine);

		if (r < 0)
			return r;
	}
	return d.why ? fail(-EBADMSG, "%s: not a point: %s", name, d.why) : 0;
}

int point_decode(const void *data, size_t len, const char *name,
		 struct point **out)
{
	json_error_t error = { .line = 0 };
	struct point *p;
	json_t *o;
	int r;

	*out = NULL;
	if (len > POINT_DOC_MAX)
		return fail(-EBADMSG, "%s: not a point: over 16 MiB", name);
	if (!depth_ok(data, len))
		return fail(-EBADMSG, "%s: not a point: nested too deep", name);
	r = json_text_read(data, len, JSON_REJECT_DUPLICATES, &error, &o);
	if (r == -EBADMSG)
		return fail(r,
			    "%s: not a point: not JSON at line %d,"
			    " column %d",
			    name, error.line, error.column);
	if (r < 0)
		return r;
	p = point_new();
	r = p ? decode_object(o, name, p) : -ENOMEM;
	json_decref(o);
	if (r < 0) {
		point_free(p);
		return r;
	}
	*out = p;
	return 0;
}
