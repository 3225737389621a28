/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A point as JSON. JSON holds text, a path any bytes but NUL: a path that is
 * not UTF-8 becomes {"path": what can be shown, "path_b64": the bytes}. What
 * people call things is made text that a terminal can show as it is. Members
 * that a later version wrote are written out again.
 *
 * Whatever the encoder lets through the decoder takes: both ask point_check(),
 * so that no point is committed that cannot be listed.
 */
#include "config.h"

#include "store/point_internal.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/json.h"
#include "store/base/log.h"
#include "store/base/text.h"
#include "store/crypt/crypt.h"

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
	if (p->machine[0])
		bad |= json_object_set_new(o, "machine",
					   json_string(p->machine));
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
	if (p->has_index)
		bad |= json_object_set_new(
			o, "index", encode_list(p->index, p->nindex, false));
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
	int r;

	if (!p->extra)
		return 0;
	r = json_text_read(p->extra, strlen(p->extra), JSON_REJECT_DUPLICATES,
			   NULL, &extra);
	if (r == -ENOMEM)
		return r;
	r = 0;
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
