/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A point as JSON, and back.
 *
 * JSON holds text, a path any bytes but NUL: a path that is not UTF-8 becomes
 * {"path": what can be shown, "path_b64": the bytes}. Members that this
 * version does not know are kept and written out again. Whatever the encoder
 * lets through the decoder takes: both ask point_check().
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/text.h"
#include "store/crypt/crypt.h"

/* Those at the top; all others are extra. */
static const char *const known[] = {
	"format",     "id",
	"session",    "vm",
	"host",	      "user",
	"time",	      "tags",
	"sources",    "left_out",
	"parent",     "tree",
	"disks",      "config",
	"incomplete", "errors",
	"has_acl",    "scan_start_ns",
	"data_added", "data_added_packed",
	"program",
};

/* ---- encode ---- */

static json_t *string_of(const struct buf *b)
{
	if (buf_error(b) < 0)
		return NULL;
	return json_stringn(b->len ? (const char *)b->data : "", b->len);
}

/* What names a host or a user is for people to read: made text. */
static json_t *encode_line(const char *line)
{
	AUTO_BUF struct buf text = BUF_INIT;

	text_put_plain(&text, line, strlen(line));
	return string_of(&text);
}

static json_t *encode_path(const char *path)
{
	AUTO_BUF struct buf text = BUF_INIT;
	AUTO_BUF struct buf b64 = BUF_INIT;
	size_t len = strlen(path);
	json_t *j;

	if (text_is_utf8(path, len))
		return json_stringn(path, len);
	text_put_plain(&text, path, len);
	text_put_base64(&b64, path, len);
	j = json_object();
	if (json_object_set_new(j, "path", string_of(&text)) < 0 ||
	    json_object_set_new(j, "path_b64", string_of(&b64)) < 0) {
		json_decref(j);
		return NULL;
	}
	return j;
}

static json_t *encode_list(char *const *list, size_t n, bool paths)
{
	json_t *j = json_array();
	size_t i;

	for (i = 0; i < n; i++) {
		if (json_array_append_new(j, paths ? encode_path(list[i])
						   : json_string(list[i])) <
		    0) {
			json_decref(j);
			return NULL;
		}
	}
	return j;
}

/* A pattern is a string where that says all, as a path is. */
static json_t *encode_pattern(const struct point_pattern *p)
{
	json_t *text = encode_path(p->text), *j = text;

	if (!p->ignore_case)
		return text;
	if (json_is_string(text)) {
		j = json_object();
		if (json_object_set_new(j, "path", text) < 0)
			goto err;
	}
	if (json_object_set_new(j, "ignore_case", json_true()) < 0)
		goto err;
	return j;
err:
	json_decref(j);
	return NULL;
}

static json_t *encode_left_out(const struct point_left_out *l)
{
	json_t *o = json_object(), *patterns = json_array();
	int bad = 0;
	size_t i;

	for (i = 0; i < l->npatterns; i++)
		bad |= json_array_append_new(patterns,
					     encode_pattern(&l->patterns[i]));
	bad |= json_object_set_new(o, "patterns", patterns);
	bad |= json_object_set_new(o, "one_file_system",
				   json_boolean(l->one_file_system));
	bad |= json_object_set_new(o, "caches", json_boolean(l->caches));
	bad |= json_object_set_new(o, "mounts",
				   encode_list(l->mounts, l->nmounts, true));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *encode_tree(const struct point *p)
{
	char root[2 * ID_LEN + 1];

	hex_encode(p->root.b, ID_LEN, root);
	return json_pack("{s:s, s:I, s:I, s:I}", "root", root, "entries",
			 (json_int_t)p->entries, "files", (json_int_t)p->files,
			 "bytes", (json_int_t)p->bytes);
}

static json_t *encode_base64(const void *data, size_t len)
{
	AUTO_BUF struct buf b64 = BUF_INIT;

	text_put_base64(&b64, data, len);
	return string_of(&b64);
}

static json_t *encode_disk(const struct point_disk *d)
{
	json_t *o = json_object();
	char hex[2 * CRYPT_SHA256_LEN + 1];
	int bad = 0;

	bad |= json_object_set_new(o, "name", json_string(d->name));
	bad |= json_object_set_new(o, "size",
				   json_integer((json_int_t)d->size));
	bad |= json_object_set_new(o, "used",
				   json_integer((json_int_t)d->used));
	bad |= json_object_set_new(o, "sector", json_integer(d->sector));
	if (d->format)
		bad |= json_object_set_new(o, "format", encode_line(d->format));
	if (d->source)
		bad |= json_object_set_new(o, "source", encode_line(d->source));
	if (d->bitmap)
		bad |= json_object_set_new(o, "bitmap", encode_line(d->bitmap));
	bad |= json_object_set_new(o, "content",
				   encode_base64(d->content, d->content_len));
	if (d->has_sha256) {
		hex_encode(d->sha256, sizeof(d->sha256), hex);
		bad |= json_object_set_new(o, "sha256", json_string(hex));
	}
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static json_t *encode_config(const struct point_config *f)
{
	json_t *o = json_object();
	int bad = 0;

	bad |= json_object_set_new(o, "name", json_string(f->name));
	bad |= json_object_set_new(o, "size",
				   json_integer((json_int_t)f->size));
	bad |= json_object_set_new(o, "content",
				   encode_base64(f->content, f->content_len));
	if (bad) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int encode_machine(const struct point *p, json_t *o)
{
	json_t *list;
	size_t i;
	int bad = 0;

	if (p->ndisks) {
		list = json_array();
		for (i = 0; i < p->ndisks; i++)
			bad |= json_array_append_new(list,
						     encode_disk(&p->disks[i]));
		bad |= json_object_set_new(o, "disks", list);
	}
	if (p->nconfigs) {
		list = json_array();
		for (i = 0; i < p->nconfigs; i++)
			bad |= json_array_append_new(
				list, encode_config(&p->configs[i]));
		bad |= json_object_set_new(o, "config", list);
	}
	return bad;
}

/* Members in the order in which they are shown. */
static int encode_members(const struct point *p, json_t *o)
{
	char time[POINT_RFC3339_LEN];
	int bad = 0;

	point_time_rfc3339(p->time_ns, time);
	bad |= json_object_set_new(o, "format", json_integer(POINT_FORMAT));
	bad |= json_object_set_new(o, "id", json_string(p->id));
	bad |= json_object_set_new(o, "session", json_string(p->session));
	bad |= json_object_set_new(o, "vm", json_string(p->vm));
	bad |= json_object_set_new(o, "host", encode_line(p->host));
	if (p->user)
		bad |= json_object_set_new(o, "user", encode_line(p->user));
	bad |= json_object_set_new(o, "time", json_string(time));
	bad |= json_object_set_new(o, "tags",
				   encode_list(p->tags, p->ntags, false));
	bad |= json_object_set_new(o, "sources",
				   encode_list(p->sources, p->nsources, true));
	if (p->left_out.known)
		bad |= json_object_set_new(o, "left_out",
					   encode_left_out(&p->left_out));
	if (p->parent[0])
		bad |= json_object_set_new(o, "parent", json_string(p->parent));
	if (p->has_tree)
		bad |= json_object_set_new(o, "tree", encode_tree(p));
	bad |= encode_machine(p, o);
	bad |= json_object_set_new(o, "incomplete",
				   json_boolean(p->incomplete));
	bad |= json_object_set_new(o, "errors",
				   json_integer((json_int_t)p->errors));
	bad |= json_object_set_new(o, "has_acl", json_boolean(p->has_acl));
	bad |= json_object_set_new(o, "scan_start_ns",
				   json_integer(p->scan_start_ns));
	bad |= json_object_set_new(o, "data_added",
				   json_integer((json_int_t)p->data_added));
	bad |= json_object_set_new(
		o, "data_added_packed",
		json_integer((json_int_t)p->data_added_packed));
	if (p->program)
		bad |= json_object_set_new(o, "program",
					   encode_line(p->program));
	return bad ? -ENOMEM : 0;
}

/* What a later version wrote. */
static int encode_extra(const struct point *p, json_t *o)
{
	json_t *extra;
	int r = 0;

	if (!p->extra)
		return 0;
	extra = json_loads(p->extra, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(extra))
		r = -EINVAL;
	else if (json_object_update_missing(o, extra) < 0)
		r = -ENOMEM;
	json_decref(extra);
	return r;
}

static int put_text(const char *text, size_t len, void *arg)
{
	struct buf *out = arg;

	buf_put(out, text, len);
	return buf_error(out);
}

int point_encode(const struct point *p, bool pretty, struct buf *out)
{
	const char *why = point_check(p);
	size_t start = out->len;
	json_t *o;
	int r;

	if (why)
		return fail(-EINVAL, "point %s: cannot be written: %s", p->id,
			    why);
	o = json_object();
	r = o ? encode_members(p, o) : -ENOMEM;
	if (r == 0)
		r = encode_extra(p, o);
	if (r == 0 &&
	    json_dump_callback(o, put_text, out,
			       pretty ? JSON_INDENT(2) : JSON_COMPACT) < 0)
		r = -ENOMEM;
	json_decref(o);
	if (r == 0 && pretty)
		buf_put_u8(out, '\n');
	if (r == 0)
		r = buf_error(out);
	if (r == 0 && out->len - start > POINT_DOC_MAX)
		r = -EMSGSIZE;
	if (r == -EINVAL || r == -EMSGSIZE)
		return fail(r, "point %s: cannot be written: %s", p->id,
			    r == -EINVAL ? "its extra members are not JSON"
					 : "it is over 16 MiB");
	return r;
}

/* ---- decode ---- */

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

static char *decode_tag(struct decoder *d, const json_t *j)
{
	char *s;

	if (!json_is_string(j)) {
		wrong(d, "a tag is not a string");
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
	p->vm = get_string(d, d->o, "vm");
	p->host = get_line(d, d->o, "host");
	p->user = get_line(d, d->o, "user");
	p->program = get_line(d, d->o, "program");
	get_time(d, p);
	p->tags = get_list(d, d->o, "tags", POINT_TAGS_MAX, decode_tag,
			   &p->ntags);
	p->sources = get_list(d, d->o, "sources", POINT_SOURCES_MAX,
			      decode_path, &p->nsources);
	get_left_out(d, &p->left_out);
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
	o = json_loadb(data, len, JSON_REJECT_DUPLICATES, &error);
	if (!o) {
		if (json_error_code(&error) == json_error_out_of_memory)
			return -ENOMEM;
		return fail(-EBADMSG,
			    "%s: not a point: not JSON at line %d,"
			    " column %d",
			    name, error.line, error.column);
	}
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
