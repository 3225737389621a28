/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Config is written once, and a vault lives on: what a later version needs of
 * its programs from then on is in an object feature/<n>, which says it in the
 * same four words. A vault's words are all of them together, so that nothing
 * that was demanded once is ever taken back.
 *
 * The secret of the chunker is apart from the master key, so that another vault
 * may share it: files that are copied there are then cut at the same places, and
 * deduplicate with what that vault's own backups find.
 */
#include "config.h"

#include "store/record/config.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/json.h"
#include "store/base/log.h"

#define FORMAT 1

void features_encode(const struct feature_words *f, uint8_t out[FEATURES_LEN])
{
	put_le32(out, f->read);
	put_le32(out + 4, f->write);
	put_le32(out + 8, f->collect);
	put_le32(out + 12, f->repair);
}

int features_decode(const void *clear, size_t len, const char *name,
		    struct feature_words *f)
{
	const uint8_t *p = clear;

	if (len != FEATURES_LEN)
		return fail(-EBADMSG, "%s: damaged", name);
	f->read |= get_le32(p);
	f->write |= get_le32(p + 4);
	f->collect |= get_le32(p + 8);
	f->repair |= get_le32(p + 12);
	return 0;
}

void config_encode(const struct config_doc *c, struct buf *out)
{
	char hex[2 * CHUNKER_LEN + 1];

	buf_printf(out, "{\"format\":%d,\"created_ns\":%lld", FORMAT,
		   (long long)c->created_ns);
	if (c->has_chunker) {
		hex_encode(c->chunker, CHUNKER_LEN, hex);
		buf_printf(out, ",\"chunker\":\"%s\"", hex);
	}
	if (c->parity)
		buf_printf(out, ",\"parity\":%u", c->parity);
	buf_printf(out, "}");
}

/* One that is not understood makes none: the vault can be read without it. */
static unsigned int get_parity(const json_t *j)
{
	json_int_t n = json_integer_value(j);

	return n > 0 && n <= CONFIG_PARITY_MAX ? (unsigned int)n : 0;
}

/* A vault without one has its gear from the master key. One that is there and
 * is not understood would make all files be cut anew. */
static int get_chunker(const json_t *j, struct config_doc *out)
{
	const char *hex = json_string_value(j);

	if (!j)
		return 0;
	if (!hex || strlen(hex) != 2 * CHUNKER_LEN ||
	    hex_decode(hex, CHUNKER_LEN, out->chunker) < 0)
		return -EBADMSG;
	out->has_chunker = true;
	return 0;
}

int config_decode(const void *data, size_t len, struct config_doc *out)
{
	const json_t *format;
	json_t *j;
	int r = json_text_read(data, len, 0, NULL, &j);

	memset(out, 0, sizeof(*out));
	if (r == -ENOMEM)
		return r;
	format = json_object_get(j, "format");
	r = json_is_integer(format) ? 0 : -EBADMSG;
	if (r == 0 && json_integer_value(format) > FORMAT)
		r = -EOPNOTSUPP;
	else if (r == 0 && json_integer_value(format) != FORMAT)
		r = -EBADMSG;
	if (r == 0)
		r = get_chunker(json_object_get(j, "chunker"), out);
	if (r == 0)
		out->parity = get_parity(json_object_get(j, "parity"));
	if (r == 0)
		out->created_ns =
			json_integer_value(json_object_get(j, "created_ns"));
	json_decref(j);
	if (r == -EOPNOTSUPP)
		return fail(r, "config: of a newer format");
	if (r < 0)
		return fail(r, "config: authentic, but malformed");
	return 0;
}
