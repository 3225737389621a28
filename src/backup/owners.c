/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Most entries have the owner of the one before, so that is asked first. A tree
 * has a few dozen owners, a hostile one has as many as entries: the set is
 * bounded, and so is the text in the point, which must stay readable.
 *
 * Names are members of the point's document that this program only passes on:
 * who maps owners by name reads them there.
 */
#include "config.h"

#include "src/backup/owners.h"

#include <errno.h>
#include <grp.h>
#include <jansson.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/base/bytes.h"
#include "store/entry.h"
#include "store/point.h"

#define NAME_LEN_MAX 255
/* Of names, in all; a point may have 16 MiB, and JSON needs up to six bytes for
 * one. */
#define TEXT_MAX (1u << 20)
#define ANSWER_MAX (1u << 20) /* what the system may say of one id */

/* linux/posix_acl_xattr.h */
#define ACL_VERSION 2
#define ACL_ENTRY_LEN 8
#define ACL_TAG_USER 0x02
#define ACL_TAG_GROUP 0x08

void owners_release(struct owners *o)
{
	free(o->users.ids);
	free(o->groups.ids);
	memset(o, 0, sizeof(*o));
}

static int note_id(struct owner_ids *s, uint32_t id)
{
	size_t a = 0, b = s->n, m;

	if (s->any && s->last == id)
		return 0;
	s->any = true;
	s->last = id;
	while (a < b) {
		m = a + (b - a) / 2;
		if (s->ids[m] == id)
			return 0;
		if (s->ids[m] < id)
			a = m + 1;
		else
			b = m;
	}
	if (s->n == OWNERS_MAX)
		return 0;
	if (array_reserve(&s->ids, &s->cap, s->n + 1) < 0)
		return -ENOMEM;
	memmove(s->ids + a + 1, s->ids + a, (s->n - a) * sizeof(*s->ids));
	s->ids[a] = id;
	s->n++;
	return 0;
}

int owners_note(struct owners *o, uint32_t uid, uint32_t gid)
{
	int r = note_id(&o->users, uid);

	return r < 0 ? r : note_id(&o->groups, gid);
}

static int note_acl(struct owners *o, const uint8_t *value, size_t len)
{
	const uint8_t *at, *end = value + len;
	int r = 0;

	if (len < 4 || get_le32(value) != ACL_VERSION ||
	    (len - 4) % ACL_ENTRY_LEN != 0)
		return 0;
	for (at = value + 4; r == 0 && at < end; at += ACL_ENTRY_LEN) {
		if (get_le16(at) == ACL_TAG_USER)
			r = note_id(&o->users, get_le32(at + 4));
		else if (get_le16(at) == ACL_TAG_GROUP)
			r = note_id(&o->groups, get_le32(at + 4));
	}
	return r;
}

int owners_note_acls(struct owners *o, const uint8_t *list, size_t len)
{
	static const char prefix[] = "system.posix_acl_";
	const size_t n = sizeof(prefix) - 1;
	struct reader r;
	struct xattr x;
	uint64_t left;
	int err = 0;

	for (left = xattrs_begin(&r, list, len); left > 0 && err == 0; left--) {
		if (!xattrs_next(&r, &x))
			break;
		if (x.name_len > n && memcmp(x.name, prefix, n) == 0)
			err = note_acl(o, x.value, x.value_len);
	}
	return err;
}

/* ---- names ---- */

static int ask_user(uint32_t id, struct buf *room, const char **out)
{
	struct passwd pw, *found = NULL;
	int r = getpwuid_r(id, &pw, (char *)room->data, room->cap, &found);

	*out = found ? pw.pw_name : NULL;
	return r;
}

static int ask_group(uint32_t id, struct buf *room, const char **out)
{
	struct group gr, *found = NULL;
	int r = getgrgid_r(id, &gr, (char *)room->data, room->cap, &found);

	*out = found ? gr.gr_name : NULL;
	return r;
}

typedef int ask_fn(uint32_t id, struct buf *room, const char **out);

/* The name of @id, in @room; NULL where there is none, or nobody can tell. */
static int name_of(ask_fn *ask, uint32_t id, struct buf *room, const char **out)
{
	for (;;) {
		if (ask(id, room, out) != ERANGE || room->cap > ANSWER_MAX)
			return 0;
		buf_clear(room);
		if (buf_reserve(room, 2 * room->cap) < 0)
			return -ENOMEM;
	}
}

/* Set @member of @doc to an object of the names. */
static int put_names(const struct owner_ids *s, ask_fn *ask, const char *member,
		     json_t *doc)
{
	AUTO_BUF struct buf room = BUF_INIT;
	json_t *names = json_object();
	const char *name;
	size_t i, all = 0;
	char id[16];
	int r = names ? buf_reserve(&room, 1024) : -ENOMEM;

	for (i = 0; r == 0 && i < s->n && all < TEXT_MAX; i++) {
		r = name_of(ask, s->ids[i], &room, &name);
		if (r < 0 || !name || !*name || strlen(name) > NAME_LEN_MAX)
			continue;
		all += strlen(name);
		snprintf(id, sizeof(id), "%u", s->ids[i]);
		/* Where it is not UTF-8 this sets nothing. */
		(void)!json_object_set_new(names, id, json_string(name));
	}
	if (r == 0 && json_object_size(names) > 0)
		return json_object_set_new(doc, member, names) < 0 ? -ENOMEM
								   : 0;
	json_decref(names);
	return r;
}

int owners_put(const struct owners *o, struct point *p)
{
	json_t *doc = json_object();
	int r = doc ? put_names(&o->users, ask_user, "users", doc) : -ENOMEM;

	if (r == 0)
		r = put_names(&o->groups, ask_group, "groups", doc);
	if (r == 0 && json_object_size(doc) > 0) {
		p->extra = json_dumps(doc, JSON_COMPACT);
		if (!p->extra)
			r = -ENOMEM;
	}
	json_decref(doc);
	return r;
}
