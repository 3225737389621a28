/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An entry, wherever it comes from. */
#include "config.h"

#include "src/restore/internal.h"

struct ref ref_get(const struct ref *ref)
{
	struct ref out = *ref;

	if (out.leaf)
		out.leaf = leaf_get(out.leaf);
	else if (out.vent)
		out.vent = vent_get(out.vent);
	return out;
}

void ref_put(struct ref *ref)
{
	if (ref->leaf)
		leaf_put(ref->leaf);
	else
		vent_put(ref->vent);
	ref->leaf = NULL;
	ref->vent = NULL;
}

void ref_entry(const struct ref *ref, struct entry *out)
{
	if (ref->leaf)
		leaf_entry(ref->leaf, ref->slot, out);
	else
		vent_entry(ref->vent, out);
}

int ref_load(struct restore *run, const struct ref *ref, struct buf *mem,
	     struct entry *out)
{
	ref_entry(ref, out);
	return ref->leaf ? 0 : vent_load(run, ref->vent, mem, out);
}
