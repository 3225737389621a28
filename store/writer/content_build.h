/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A builder encodes content from extents that come in order;
 * the nodes of a map go to the writer. For one thread.
 */
#ifndef STORE_WRITER_CONTENT_BUILD_H
#define STORE_WRITER_CONTENT_BUILD_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

struct extent;
struct writer;

#define CONTENT_FANOUT 1024 /* references in a node, as it is written */

struct content_builder;
/* Return a builder for content_builder_free(), or NULL (no memory). It borrows
 * @w. */
MUST_CHECK struct content_builder *content_builder_new(struct writer *w);
void content_builder_free(struct content_builder *b);
/* Add the next extent; its @off is ignored, and neighbouring holes (or zeros)
 * are joined. Return 0 or a negative errno. */
MUST_CHECK int content_builder_add(struct content_builder *b,
				   const struct extent *e);
/* Append the encoded content to @out and begin anew. Return 0 or a negative
 * errno. */
MUST_CHECK int content_builder_finish(struct content_builder *b,
				      struct buf *out);

#endif
