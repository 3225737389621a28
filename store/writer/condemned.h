/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Packs that a session may not store by reference to: what collections condemned
 * or swept away, and what was found damaged. */
#ifndef STORE_WRITER_CONDEMNED_H
#define STORE_WRITER_CONDEMNED_H

#include "store/base/attrs.h"
#include "store/record/pack_list.h"
#include "store/record/pack_prints.h"

#include <stdbool.h>

struct vault;

struct condemned {
	/* A tomb or sweep could not be read: it may name any pack. */
	bool all;
	/* Packs about to be deleted; damaged. Owned. */
	struct pack_list tombs, quarantined;
	/* Those that collections have deleted, ever. Owned. */
	struct pack_prints swept;
};

/* Read what stands, in the order in which a collector needs it to be read, and
 * before packs are listed. Return 0 or a negative errno; release it then, too. */
MUST_CHECK int condemned_read(struct vault *v, struct condemned *out);
/* Read the sweeps again, since a collection may have gone on meanwhile. Return 0 or
 * a negative errno. */
MUST_CHECK int condemned_read_sweeps(struct vault *v, struct condemned *c);
/* In condemned_put.c: the same for a writer that reads nothing: of packs that such
 * writers stored; those of tombs are among the swept. */
MUST_CHECK int condemned_read_put(struct vault *v, struct condemned *c);
void condemned_release(struct condemned *c);
/* Whether nothing new may refer to pack @name. */
bool condemned_has(const struct condemned *c, const char *name);

#endif
