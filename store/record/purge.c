/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a point that somebody wished to remove goes or stays is a register,
 * as a commit is: the one who removes and the one who changes his mind put the
 * same name, and the first decides. Registers are never deleted, so PURGED
 * holds for ever, long after the point's objects are gone.
 *
 * A verdict that is not known is damage: to guess it would be to bring a point
 * back whose data may be gone, or to hide one that is there.
 */
#include "config.h"

#include "store/record/purge.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "store/base/json.h"
#include "store/base/log.h"
#include "store/base/text.h"

int purge_encode(bool is_purged, const char *point, const char *by,
		 int64_t time_ns, struct buf *out)
{
	char *json;
	json_t *j;

	if (by && !text_is_plain(by, strlen(by)))
		by = NULL;
	j = json_pack("{s:s, s:s, s:I, s:s*}", "verdict",
		      is_purged ? "PURGED" : "KEPT", "point", point, "time_ns",
		      (json_int_t)time_ns, "by", by);
	json = j ? json_dumps(j, JSON_COMPACT) : NULL;
	json_decref(j);
	if (!json)
		return -ENOMEM;
	buf_put(out, json, strlen(json));
	free(json);
	return buf_error(out);
}

int purge_decode(const void *data, size_t len, const char *name,
		 bool *purged_out)
{
	const char *verdict;
	json_t *j;
	int r = json_text_read(data, len, 0, NULL, &j);

	if (r == -ENOMEM)
		return r;
	r = 0;
	verdict = json_string_value(json_object_get(j, "verdict"));
	if (verdict && strcmp(verdict, "PURGED") == 0)
		*purged_out = true;
	else if (verdict && strcmp(verdict, "KEPT") == 0)
		*purged_out = false;
	else
		r = -EBADMSG;
	json_decref(j);
	if (r < 0)
		return fail(r, "%s: authentic, but malformed", name);
	return 0;
}
