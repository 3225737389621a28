/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/reach.h"

#include <sys/stat.h>

#include "store/content.h"
#include "store/entry.h"
#include "store/format.h"
#include "store/point.h"
#include "store/tree.h"

static int reach_chunk(void *arg, uint8_t type, const struct id *id,
		       uint64_t len)
{
	struct reached *r = arg;

	(void)len;
	r->any_map |= type == CHUNK_EXTENTS;
	assert_true(idset_add(&r->ids, id) >= 0);
	return 0;
}

static int reach_node(void *arg, const struct id *id, struct leaf *leaf,
		      int error)
{
	struct reached *r = arg;
	size_t i;

	assert_ok(error);
	assert_true(idset_add(&r->ids, id) >= 0);
	for (i = 0; leaf && i < leaf_count(leaf); i++) {
		struct content_ref content;
		struct entry e;

		leaf_entry(leaf, i, &e);
		if (e.flags & ENTRY_XATTRS_CHUNK) {
			r->any_xattrs = true;
			assert_true(idset_add(&r->ids, &e.xattrs_id) >= 0);
		}
		content = entry_content(&e);
		if (S_ISREG(e.mode))
			assert_ok(content_chunks(r->vault, &content,
						 reach_chunk, r));
	}
	return 0;
}

void reach_point(struct reached *r, const struct point *p)
{
	struct content_ref content;
	size_t i;

	assert_true(p->has_tree);
	assert_ok(tree_nodes(r->vault, &p->root, reach_node, r));
	for (i = 0; i < p->ndisks; i++) {
		content = point_disk_content(&p->disks[i]);
		assert_ok(content_chunks(r->vault, &content, reach_chunk, r));
	}
	for (i = 0; i < p->nconfigs; i++) {
		content = point_config_content(&p->configs[i]);
		assert_ok(content_chunks(r->vault, &content, reach_chunk, r));
	}
}
