/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory for many small things that are made at once and are freed together: a
 * buffer that they point into, and zeroed pieces. It is counted, for some of the
 * things may stay in use for longer than others.
 *
 * One thread at a time takes pieces; any thread holds it and lets it go.
 */
#ifndef STORE_BASE_ARENA_H
#define STORE_BASE_ARENA_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

struct arena;

/* Take over the bytes of @text, which is empty then; they do not move any more.
 * Return an arena with one holder, or NULL: no memory, and @text is as it was. */
MUST_CHECK struct arena *arena_new(struct buf *text);
/* Those bytes, which may be written to. */
const struct buf *arena_text(const struct arena *a);
/* Add a holder; each calls arena_put(), which frees all for the last one. */
struct arena *arena_get(struct arena *a);
/* NULL is fine. */
void arena_put(struct arena *a);
/* Return @len zeroed bytes that any type may lie in, or NULL: no memory. */
MUST_CHECK void *arena_alloc(struct arena *a, size_t len);

#endif
