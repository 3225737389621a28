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

void commit_encode_fenced(const char *sid, struct buf *out)
{
	buf_printf(out, "{\"decision\":\"FENCED\",\"session\":\"%s\"}", sid);
}

static bool is_of_session(const char *name, const char *sid)
{
	const char *leaf = strrchr(name, '/');

	return leaf && strcmp(leaf + 1, sid) == 0;
}

int commit_decode(const void *data, size_t len, const char *name,
		  struct commit *out)
{
	const char *decision, *point, *hash, *session;
	uint8_t id[NAME_HEX / 2];
	struct commit c = { .point = "" };
	json_t *j;
	int r = -EBADMSG;

	j = json_loadb(data, len, 0, NULL);
	decision = json_string_value(json_object_get(j, "decision"));
	point = json_string_value(json_object_get(j, "point"));
	hash = json_string_value(json_object_get(j, "point_sha256"));
	session = json_string_value(json_object_get(j, "session"));
	if (session && !is_of_session(name, session))
		decision = NULL;
	/* Fenced: there is no point, and what else it says does not matter. */
	if (decision && strcmp(decision, "FENCED") == 0)
		r = 0;
	else if (decision && strcmp(decision, "COMMIT") == 0 && session &&
		 point && hash && strlen(point) == NAME_HEX &&
		 strlen(hash) == 2 * COMMIT_HASH_LEN &&
		 hex_decode(point, sizeof(id), id) == 0 &&
		 hex_decode(hash, COMMIT_HASH_LEN, c.hash) == 0) {
		memcpy(c.point, point, sizeof(c.point));
		r = 0;
	}
	json_decref(j);
	if (r < 0)
		return fail(r, "%s: authentic, but malformed", name);
	*out = c;
	return 0;
}
