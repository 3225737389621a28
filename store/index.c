/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The form of index objects: which packs there are and what is in them. Their
 * way into the database is refresh.c. Plaintext of index/<sid>-<n>:
 *
 *     varint packs; each: varint length, name "<sid>-<n>-<sha256>",
 *                         u64 size, u8 kind, 32 salt,
 *                         varint length, the pack's directory in plain
 *     nothing, or
 *     varint superseded; each: varint length, name "<sid>-<n>"
 */
#include "config.h"

#include "store/index.h"

#include <errno.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/log.h"

bool index_name_ok(const char *name)
{
	size_t len = strnlen(name, INDEX_NAME_MAX), digits;
	uint8_t sid[16];

	if (len >= INDEX_NAME_MAX || len < 34 || name[32] != '-' ||
	    hex_decode(name, sizeof(sid), sid) < 0)
		return false;
	digits = strspn(name + 33, "0123456789");
	name += 33 + digits;
	return digits > 0 && digits <= 10 &&
	       (*name == '\0' || strcmp(name, ".m") == 0);
}

void index_put_pack(struct buf *out, const char *name, uint64_t size,
		    uint8_t kind, const uint8_t *salt, const uint8_t *dir,
		    size_t dir_len)
{
	buf_put_bytes(out, name, strlen(name));
	buf_put_le64(out, size);
	buf_put_u8(out, kind);
	buf_put(out, salt, CRYPT_SALT_LEN);
	buf_put_bytes(out, dir, dir_len);
}

static int decode_superseded(struct reader *r,
			     int (*gone)(void *arg, const char *name),
			     void *arg)
{
	uint64_t i, n = reader_varint_max(r, INDEX_SUPERSEDED_MAX);
	int err = 0;

	for (i = 0; i < n && err == 0; i++) {
		char name[INDEX_NAME_MAX];
		const uint8_t *s;
		size_t len;

		s = reader_bytes(r, INDEX_NAME_MAX - 1, &len);
		if (r->bad)
			break;
		memcpy(name, s, len);
		name[len] = '\0';
		if (strlen(name) != len || !index_name_ok(name))
			r->bad = true;
		else if (gone)
			err = gone(arg, name);
	}
	return err;
}

int index_decode(const void *data, size_t len, const char *name,
		 int (*fn)(void *arg, const struct index_pack *p),
		 int (*gone)(void *arg, const char *name), void *arg)
{
	struct reader r;
	uint64_t i, n;
	int err = 0;

	reader_init(&r, data, len);
	n = reader_varint_max(&r, len / 100 + 1);
	for (i = 0; i < n && !r.bad && err == 0; i++) {
		char object[OBJECT_NAME_MAX];
		struct index_pack p;
		const uint8_t *s;
		size_t slen;

		s = reader_bytes(&r, PACK_NAME_MAX - 1, &slen);
		p.size = reader_le64(&r);
		p.kind = reader_u8(&r);
		p.salt = reader_get(&r, CRYPT_SALT_LEN);
		p.dir = reader_bytes(&r, FORMAT_DIR_MAX, &p.dir_len);
		if (r.bad)
			break;
		memcpy(p.name, s, slen);
		p.name[slen] = '\0';
		if (strlen(p.name) != slen ||
		    format_pack_object_name(p.name, object) < 0 ||
		    (p.kind != OBJECT_DATA_PACK &&
		     p.kind != OBJECT_TREE_PACK) ||
		    p.size > FORMAT_PACK_MAX)
			r.bad = true;
		else
			err = fn(arg, &p);
	}
	if (err == 0 && !r.bad && !reader_done(&r))
		err = decode_superseded(&r, gone, arg);
	if (err != 0)
		return err;
	if (!reader_done(&r))
		return fail(-EBADMSG, "%s: authentic, but malformed", name);
	return 0;
}
