/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A builder makes a tree (tree.h) of entries that come in the order of their
 * keys, in bounded memory; its nodes go to the writer. For one thread.
 */
#ifndef STORE_WRITER_TREE_BUILD_H
#define STORE_WRITER_TREE_BUILD_H

#include "store/base/attrs.h"

#include <stddef.h>
#include <stdint.h>

struct entry;
struct id;
struct writer;

struct tree_builder;
/* Return a builder for tree_builder_free(), or NULL (no memory). It borrows
 * @w. */
MUST_CHECK struct tree_builder *tree_builder_new(struct writer *w);
void tree_builder_free(struct tree_builder *b);
/* Add the next entry. Return 0, -EINVAL (it is not behind the last one),
 * -EBADMSG (no reader would take it; silent, and the builder is as before) or
 * another negative errno. */
MUST_CHECK int tree_builder_add(struct tree_builder *b, const uint8_t *dirkey,
				size_t dirkey_len, const struct entry *e);
/* End the tree, and say its root's id and the number of entries. A tree of
 * nothing is a leaf without runs. Return 0 or a negative errno. */
MUST_CHECK int tree_builder_finish(struct tree_builder *b, struct id *root_out,
				   uint64_t *entries_out);

#endif
