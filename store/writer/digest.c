/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A session that finds many points in no digest makes one, once its own point is
 * there. See store/point_digest.c. */
#include "config.h"

#include "store/vault.h"
#include "store/writer/internal.h"

#include <stdio.h>

#include "store/base/log.h"
#include "store/format.h"
#include "store/point.h"

static int put(void *arg, const struct buf *plain)
{
	struct writer *w = arg;
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "digest/%s-%u", w->sid, w->next_digest++);
	return writer_put_box(w, OBJECT_DIGEST, name, plain, NULL);
}

void writer_put_digests(struct writer *w)
{
	if (vault_is_put_only(w->vault))
		return;
	if (vault_digest_points(w->vault, put, w) < 0)
		log_warn("the point is made, but no digest of many points: the "
			 "next backup tries again");
}
