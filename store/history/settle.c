/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file that is not read: it is what it was when an earlier process compared all
 * that it says with the vault. Of it only who may sign is needed then, and whoever
 * knows that it was compared has kept this, too.
 */
#include "config.h"

#include "store/history/history.h"

#include <errno.h>
#include <string.h>

#include "store/history/history_internal.h"

void history_stamp(struct history *h, struct seen_stamp *out)
{
	h->has_looked = h->file.path && lstat(h->file.path, &h->looked) == 0;
	seen_stamp_of(h->has_looked ? &h->looked : NULL, out);
	/* Nothing is remembered, which is another thing than nothing yet. */
	if (!h->file.path)
		out->b[0] = 0;
}

bool history_is_settled(const struct history *h, struct seen_stamp *out)
{
	if (h->nlost + h->nflaws > 0)
		return false;
	if (!h->file.path) {
		seen_stamp_of(NULL, out);
		out->b[0] = 0;
		return true;
	}
	if (h->is_settled)
		seen_stamp_of(&h->settled, out);
	return h->is_settled;
}

void history_put_trust(const struct history *h, struct buf *out)
{
	trust_put(&h->seen.trust, out);
}

static bool same_stamp(const struct stat *a, const struct stat *b)
{
	struct seen_stamp x, y;

	seen_stamp_of(a, &x);
	seen_stamp_of(b, &y);
	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* Whether who may sign is known as the file says it that was looked at. */
static bool has_trust(const struct history *h)
{
	const struct seen *s = &h->seen;

	if (h->is_settled && h->has_looked)
		return same_stamp(&h->settled, &h->looked);
	return h->was_read && same_stamp(s->there ? &s->st : NULL,
					 h->has_looked ? &h->looked : NULL);
}

int history_settle(struct history *h, const void *trust, size_t len)
{
	struct seen known = { .there = false };
	int r = 0;

	if (!has_trust(h)) {
		buf_put(&known.text, trust, len);
		r = buf_error(&known.text);
		if (r == 0)
			r = trust_take((const char *)known.text.data, len,
				       &known.trust);
		seen_release(r == 0 ? &h->seen : &known);
		if (r == 0) {
			h->seen = known;
			/* The rest was not. */
			h->was_read = false;
		}
	}
	h->is_settled = r == 0 && h->has_looked;
	h->settled = h->looked;
	return r;
}
