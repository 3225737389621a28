/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/record/verified.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/text.h"

#define HEX_LEN (NAME_HEX / 2)
/* The year 9999 is not over then. */
#define TIME_MAX UINT64_C(253402300799)

void verified_put_pack(struct buf *out, const uint8_t key[VERIFIED_KEY_LEN],
		       int64_t time_s, uint64_t who)
{
	buf_put(out, key, VERIFIED_KEY_LEN);
	buf_put_varint(out, (uint64_t)time_s);
	buf_put_varint(out, who);
}

void verified_put_point(struct buf *out, const char *id)
{
	uint8_t raw[HEX_LEN];

	if (hex_decode(id, HEX_LEN, raw) < 0)
		out->failed = true; /* no caller has such an id */
	buf_put(out, raw, sizeof(raw));
}

/* Take the next key, which is greater than @last; NULL: none was before. */
static const uint8_t *next_key(struct reader *r, const uint8_t *last,
			       size_t len)
{
	const uint8_t *key = reader_get(r, len);

	if (key && last && memcmp(last, key, len) >= 0)
		r->bad = true;
	return r->bad ? NULL : key;
}

/* Return 0, what the visitor said, or 1 where the reader went bad. */
static int get_names(struct reader *r, const struct verified_visitor *v,
		     uint64_t *n_out)
{
	uint64_t n = reader_varint_max(r, VERIFIED_NAMES_MAX), i;
	int err = 0;

	for (i = 0; i < n && err == 0; i++) {
		size_t len = 0;
		const uint8_t *name =
			reader_bytes(r, VERIFIED_NAME_LEN_MAX, &len);

		if (!name || !text_is_plain((const char *)name, len))
			return 1;
		if (v->name)
			err = v->name(v->arg, i, (const char *)name, len);
	}
	*n_out = n;
	return err != 0 ? err : r->bad;
}

static int get_packs(struct reader *r, const struct verified_visitor *v,
		     uint64_t nnames)
{
	uint64_t n = reader_varint_max(r, VERIFIED_PACKS_MAX);
	const uint8_t *key = NULL;
	int err = 0;

	for (; n > 0 && err == 0; n--) {
		uint64_t time_s, who;

		key = next_key(r, key, VERIFIED_KEY_LEN);
		time_s = reader_varint_max(r, TIME_MAX);
		who = reader_varint(r);
		if (r->bad || who >= nnames)
			return 1;
		if (v->pack)
			err = v->pack(v->arg, key, (int64_t)time_s, who);
	}
	return err != 0 ? err : r->bad;
}

static int get_points(struct reader *r, const struct verified_visitor *v)
{
	uint64_t n = reader_varint_max(r, VERIFIED_POINTS_MAX + 1);
	const uint8_t *key = NULL;
	char id[NAME_HEX + 1];
	int err = 0;

	if (n > 0 && v->points)
		err = v->points(v->arg);
	for (; n > 1 && err == 0; n--) {
		key = next_key(r, key, HEX_LEN);
		if (!key)
			return 1;
		hex_encode(key, HEX_LEN, id);
		if (v->point)
			err = v->point(v->arg, id);
	}
	return err != 0 ? err : r->bad;
}

static bool get_name(struct reader *r, char out[VERIFIED_OBJECT_MAX])
{
	char object[sizeof("ledger/") + VERIFIED_OBJECT_MAX], sid[NAME_HEX + 1];
	size_t len = 0;
	const uint8_t *name = reader_bytes(r, VERIFIED_OBJECT_MAX - 1, &len);

	if (!name || memchr(name, '\0', len))
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	snprintf(object, sizeof(object), "ledger/%s", out);
	return name_numbered(object, "ledger/", sid, NULL);
}

static int get_gone(struct reader *r, const struct verified_visitor *v)
{
	uint64_t n = reader_varint_max(r, VERIFIED_GONE_MAX);
	char name[VERIFIED_OBJECT_MAX];
	int err = 0;

	for (; n > 0 && err == 0; n--) {
		if (!get_name(r, name))
			return 1;
		if (v->gone)
			err = v->gone(v->arg, name);
	}
	return err != 0 ? err : !reader_done(r);
}

int verified_decode(const void *data, size_t len, const char *name,
		    const struct verified_visitor *v)
{
	struct reader r;
	uint64_t nnames = 0;
	int err;

	reader_init(&r, data, len);
	err = get_names(&r, v, &nnames);
	if (err == 0)
		err = get_packs(&r, v, nnames);
	if (err == 0)
		err = get_points(&r, v);
	if (err == 0)
		err = get_gone(&r, v);
	return err <= 0 ? err
			: fail(-EBADMSG, "%s: authentic, but malformed", name);
}
