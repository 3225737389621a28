/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The register of a session is the one object on which two parties may differ:
 * its writer, who wants to commit a point, and a collector, who takes the
 * writer for dead and wants to fence it off. Both put the same name, and a
 * backend lets the first one win, so the register says who that was, for ever.
 * This is consensus on one decision, without a lock and without a clock.
 *
 * A register that decides COMMIT names the point and the hash of its object.
 * The point was made durable before, so whoever reads the register can have
 * it, and the hash keeps a point of another time from standing under the name.
 *
 * It names the newest commits that its writer saw, each with the hash of what it
 * says. So whoever reads a later one misses one that was removed, though he never
 * saw it, and sees one that was put in its place.
 *
 * It is JSON, as points are, for a later version may want to say more; members
 * that are not known are passed over. A decision that is not known is damage,
 * though: to guess it would be to invent a point or to lose one.
 */
#include "config.h"

#include "store/record/commit.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/json.h"
#include "store/base/log.h"

void commit_encode(const struct commit *c, const char *sid, struct buf *out)
{
	char hex[2 * COMMIT_HASH_LEN + 1];

	hex_encode(c->hash, COMMIT_HASH_LEN, hex);
	buf_printf(out,
		   "{\"decision\":\"COMMIT\",\"session\":\"%s\","
		   "\"point\":\"%s\",\"point_sha256\":\"%s\"}",
		   sid, c->point, hex);
}

static void put_refs(const struct commit_after *after, struct buf *out)
{
	char sid[NAME_HEX + 1], hex[2 * COMMIT_HASH_LEN + 1];
	size_t i;

	buf_printf(out, ",\"after\":[");
	for (i = 0; i < after->n; i++) {
		const struct commit_ref *ref = &after->refs[i];

		hex_encode(ref->sid, COMMIT_SID_LEN, sid);
		hex_encode(ref->hash, COMMIT_HASH_LEN, hex);
		buf_printf(out, "%s{\"session\":\"%s\",\"sha256\":%s%s%s}",
			   i > 0 ? "," : "", sid, ref->has_hash ? "\"" : "",
			   ref->has_hash ? hex : "null",
			   ref->has_hash ? "\"" : "");
	}
	buf_printf(out, "]%s", after->is_cut ? ",\"after_cut\":true" : "");
}

void commit_encode_after(const struct commit *c, const char *sid,
			 const struct commit_after *after, const char *vault,
			 struct buf *out)
{
	commit_encode(c, sid, out);
	if (buf_error(out) < 0)
		return;
	out->len--; /* the brace */
	if (after->is_told)
		put_refs(after, out);
	if (vault)
		buf_printf(out, ",\"vault\":\"%s\"", vault);
	buf_put_u8(out, '}');
}

/* What stands behind the bytes that are signed, without its digits. */
#define SIG_BEGIN ",\"sig\":{\"key\":\""
#define SIG_MIDDLE "\",\"value\":\""
#define SIG_END "\"}}"
#define SIG_TAIL                                                               \
	(strlen(SIG_BEGIN) + 2 * COMMIT_KEY_LEN + strlen(SIG_MIDDLE) +         \
	 2 * COMMIT_SIG_LEN + strlen(SIG_END))

void commit_signed_part(const struct buf *plain, size_t *len_out)
{
	*len_out = plain->len > 0 ? plain->len - 1 : 0;
}

void commit_put_sig(struct buf *plain, const uint8_t *key, const uint8_t *value)
{
	char key_hex[2 * COMMIT_KEY_LEN + 1], hex[2 * COMMIT_SIG_LEN + 1];

	if (buf_error(plain) < 0 || plain->len == 0)
		return;
	plain->len--;
	hex_encode(key, COMMIT_KEY_LEN, key_hex);
	hex_encode(value, COMMIT_SIG_LEN, hex);
	buf_printf(plain, SIG_BEGIN "%s" SIG_MIDDLE "%s" SIG_END, key_hex, hex);
}

void commit_encode_fenced(const char *sid, struct buf *out)
{
	buf_printf(out, "{\"decision\":\"FENCED\",\"session\":\"%s\"}", sid);
}

static bool is_of_session(const char *name, const char *sid)
{
	const char *leaf = strrchr(name, '/');

	return leaf && strcmp(leaf + 1, sid) == 0;
}

static bool decode_decision(const json_t *j, const char *name,
			    struct commit *out)
{
	const char *decision =
		json_string_value(json_object_get(j, "decision"));
	const char *point = json_string_value(json_object_get(j, "point"));
	const char *hash =
		json_string_value(json_object_get(j, "point_sha256"));
	const char *session = json_string_value(json_object_get(j, "session"));
	uint8_t id[NAME_HEX / 2];

	memset(out, 0, sizeof(*out));
	if (!decision || (session && !is_of_session(name, session)))
		return false;
	/* Fenced: there is no point, and what else it says does not matter. */
	if (strcmp(decision, "FENCED") == 0)
		return true;
	if (strcmp(decision, "COMMIT") != 0 || !session || !point || !hash ||
	    strlen(point) != NAME_HEX || strlen(hash) != 2 * COMMIT_HASH_LEN ||
	    hex_decode(point, sizeof(id), id) < 0 ||
	    hex_decode(hash, COMMIT_HASH_LEN, out->hash) < 0)
		return false;
	memcpy(out->point, point, sizeof(out->point));
	return true;
}

/* ---- what it follows, and who made it ---- */

static bool decode_ref(const json_t *j, struct commit_ref *out)
{
	const char *sid = json_string_value(json_object_get(j, "session"));
	const json_t *hash = json_object_get(j, "sha256");
	const char *hex = json_string_value(hash);

	memset(out, 0, sizeof(*out));
	if (!sid || strlen(sid) != NAME_HEX ||
	    hex_decode(sid, COMMIT_SID_LEN, out->sid) < 0)
		return false;
	if (json_is_null(hash))
		return true;
	out->has_hash = 1;
	return hex && strlen(hex) == 2 * COMMIT_HASH_LEN &&
	       hex_decode(hex, COMMIT_HASH_LEN, out->hash) == 0;
}

static bool decode_after(const json_t *j, struct commit_after *out)
{
	const json_t *list = json_object_get(j, "after");
	size_t i;

	out->is_told = list != NULL;
	out->is_cut = json_is_true(json_object_get(j, "after_cut"));
	out->n = 0;
	if (!list)
		return true;
	if (!json_is_array(list) || json_array_size(list) > COMMIT_AFTER_MAX)
		return false;
	for (i = 0; i < json_array_size(list); i++) {
		if (!decode_ref(json_array_get(list, i), &out->refs[i]))
			return false;
		if (i > 0 && memcmp(out->refs[i - 1].sid, out->refs[i].sid,
				    COMMIT_SID_LEN) >= 0)
			return false;
		out->n++;
	}
	return true;
}

/* The bytes that are signed end where the tail begins, so the tail has to be just
 * as it is written. */
static void decode_sig(const json_t *j, const char *data, size_t len,
		       struct commit_sig *out)
{
	const char *vault = json_string_value(json_object_get(j, "vault"));
	char key[2 * COMMIT_KEY_LEN + 1], value[2 * COMMIT_SIG_LEN + 1];
	const char *at;

	memset(out, 0, sizeof(*out));
	out->is_there = json_object_get(j, "sig") != NULL;
	if (!out->is_there || len <= SIG_TAIL || !vault ||
	    strlen(vault) != NAME_HEX)
		return;
	out->signed_len = len - SIG_TAIL;
	at = data + out->signed_len;
	if (memcmp(at, SIG_BEGIN, strlen(SIG_BEGIN)) != 0)
		return;
	at += strlen(SIG_BEGIN);
	memcpy(key, at, sizeof(key) - 1);
	key[sizeof(key) - 1] = '\0';
	at += sizeof(key) - 1;
	if (memcmp(at, SIG_MIDDLE, strlen(SIG_MIDDLE)) != 0)
		return;
	at += strlen(SIG_MIDDLE);
	memcpy(value, at, sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	at += sizeof(value) - 1;
	memcpy(out->vault, vault, sizeof(out->vault));
	out->is_whole = memcmp(at, SIG_END, strlen(SIG_END)) == 0 &&
			hex_decode(key, COMMIT_KEY_LEN, out->key) == 0 &&
			hex_decode(value, COMMIT_SIG_LEN, out->value) == 0;
}

/* ---- all of it ---- */

static int malformed(const char *name)
{
	return fail(-EBADMSG, "%s: authentic, but malformed", name);
}

/* @after and @sig: NULL, or both. */
static int decode(const void *data, size_t len, const char *name,
		  struct commit *out, struct commit_after *after,
		  struct commit_sig *sig)
{
	struct commit c;
	json_t *j;
	bool ok;

	if (json_text_read(data, len, 0, NULL, &j) == -ENOMEM)
		return -ENOMEM;
	ok = decode_decision(j, name, &c);
	if (ok && after && c.point[0]) {
		ok = decode_after(j, after);
		decode_sig(j, data, len, sig);
	}
	json_decref(j);
	if (!ok)
		return malformed(name);
	*out = c;
	return 0;
}

int commit_decode(const void *data, size_t len, const char *name,
		  struct commit *out)
{
	return decode(data, len, name, out, NULL, NULL);
}

int commit_decode_all(const void *data, size_t len, const char *name,
		      struct commit *out, struct commit_after *after,
		      struct commit_sig *sig)
{
	after->is_told = after->is_cut = false;
	after->n = 0;
	memset(sig, 0, sizeof(*sig));
	return decode(data, len, name, out, after, sig);
}
