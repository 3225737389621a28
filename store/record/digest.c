/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/record/digest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/log.h"

#define HEX_LEN (NAME_HEX / 2)
#define DIGEST_REGISTER_MAX (64u << 10)

enum decision { DECISION_COMMIT = 1, DECISION_FENCED = 2, DECISION_TOLD = 3 };

static void put_hex(struct buf *out, const char *hex)
{
	uint8_t raw[HEX_LEN];

	if (hex_decode(hex, HEX_LEN, raw) < 0)
		out->failed = true; /* no caller has such an id */
	buf_put(out, raw, sizeof(raw));
}

void digest_put(struct buf *out, const struct digest_entry *e)
{
	put_hex(out, e->sid);
	if (e->reg) {
		buf_put_u8(out, DECISION_TOLD);
		buf_put_bytes(out, e->reg, e->reg_len);
	} else if (!e->commit.point[0]) {
		buf_put_u8(out, DECISION_FENCED);
		return;
	} else {
		buf_put_u8(out, DECISION_COMMIT);
		put_hex(out, e->commit.point);
		buf_put(out, e->commit.hash, sizeof(e->commit.hash));
	}
	buf_put_bytes(out, e->point, e->point_len);
}

static void get_hex(struct reader *r, char out[NAME_HEX + 1])
{
	const uint8_t *raw = reader_get(r, HEX_LEN);

	if (raw)
		hex_encode(raw, HEX_LEN, out);
}

static bool get_entry(struct reader *r, struct digest_entry *e)
{
	const uint8_t *hash;
	uint8_t decision;

	memset(e, 0, sizeof(*e));
	get_hex(r, e->sid);
	decision = reader_u8(r);
	if (decision == DECISION_FENCED)
		return !r->bad;
	if (decision == DECISION_TOLD) {
		e->reg = reader_bytes(r, DIGEST_REGISTER_MAX, &e->reg_len);
		e->point = reader_bytes(r, DIGEST_MAX, &e->point_len);
		return !r->bad;
	}
	get_hex(r, e->commit.point);
	hash = reader_get(r, sizeof(e->commit.hash));
	if (hash)
		memcpy(e->commit.hash, hash, sizeof(e->commit.hash));
	e->point = reader_bytes(r, DIGEST_MAX, &e->point_len);
	return decision == DECISION_COMMIT && !r->bad;
}

static bool get_name(struct reader *r, char out[DIGEST_NAME_MAX])
{
	char object[sizeof("digest/") + DIGEST_NAME_MAX], sid[NAME_HEX + 1];
	size_t len = 0;
	const uint8_t *name = reader_bytes(r, DIGEST_NAME_MAX - 1, &len);

	if (!name || memchr(name, '\0', len))
		return false;
	memcpy(out, name, len);
	out[len] = '\0';
	snprintf(object, sizeof(object), "digest/%s", out);
	return name_numbered(object, "digest/", sid, NULL);
}

static int malformed(const char *name)
{
	return fail(-EBADMSG, "%s: authentic, but malformed", name);
}

int digest_entry_decode(struct digest_entry *e)
{
	char name[OBJECT_NAME_MAX];
	int r;

	if (!e->reg)
		return 0;
	snprintf(name, sizeof(name), "commit/%s", e->sid);
	r = commit_decode(e->reg, e->reg_len, name, &e->commit);
	return r == 0 && !e->commit.point[0] ? malformed(name) : r;
}

int digest_decode(const void *data, size_t len, const char *name,
		  int (*entry)(void *arg, const struct digest_entry *e),
		  int (*gone)(void *arg, const char *name), void *arg)
{
	char digest[DIGEST_NAME_MAX];
	struct digest_entry e;
	struct reader r;
	uint64_t n;
	int err = 0;

	reader_init(&r, data, len);
	if (len > DIGEST_MAX)
		return malformed(name);
	for (n = reader_varint(&r); n > 0 && err == 0; n--) {
		if (!get_entry(&r, &e))
			return malformed(name);
		err = entry ? entry(arg, &e) : 0;
	}
	if (err != 0)
		return err;
	n = reader_varint_max(&r, DIGEST_GONE_MAX);
	for (; n > 0 && err == 0; n--) {
		if (!get_name(&r, digest))
			return malformed(name);
		err = gone ? gone(arg, digest) : 0;
	}
	if (err == 0 && !reader_done(&r))
		return malformed(name);
	return err;
}
