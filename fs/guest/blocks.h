/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A readable range of bytes: a disk of a point, a partition of it, a logical
 * volume, a decrypted or repaired one. Everything in fs/guest/ reads through
 * this one callback, so that a reader is the same over a vault, an image file
 * and a fuzzer's bytes. Immutable; shared and counted; safe from any thread.
 */
#ifndef FS_GUEST_BLOCKS_H
#define FS_GUEST_BLOCKS_H

#include "store/base/attrs.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct blocks;
struct lru;

struct blocks_ops {
	/* Fill @out with @len bytes at @off, all below size. Return 0 or a
	 * negative errno, said in words: then @out holds nothing to be used. */
	int (*read)(struct blocks *b, uint64_t off, void *out, size_t len);
	/* As lseek(2) SEEK_HOLE (@hole) or SEEK_DATA at @off < size. Return 0,
	 * -ENXIO (no data up to the end) or a negative errno. NULL: no holes. */
	int (*seek)(struct blocks *b, uint64_t off, bool hole, uint64_t *out);
	void (*free)(struct blocks *b);
};

/* The head of every kind; what a kind adds stands behind it. */
struct blocks {
	const struct blocks_ops *ops;
	uint64_t size; /* bytes */
	atomic_uint refs;
};

/* For the kinds: begin with one reference. */
void blocks_init(struct blocks *b, const struct blocks_ops *ops, uint64_t size);
struct blocks *blocks_get(struct blocks *b);
void blocks_put(struct blocks *b); /* NULL is fine */

/* Return 0; -ERANGE (not all of it lies below size; silent); or what the
 * kind's read returned; or -ECANCELED (silent) where this thread has been asked
 * to end its request (store/base/stop.h): so every loop that reads can be
 * ended, and needs to do nothing for it but pass the error up. */
MUST_CHECK int blocks_read(struct blocks *b, uint64_t off, void *out,
			   size_t len);
/* As in struct blocks_ops; -ENXIO too where @off is not below size. The end
 * counts as a hole. */
MUST_CHECK int blocks_seek(struct blocks *b, uint64_t off, bool hole,
			   uint64_t *out);

/* Make blocks of the bytes [@off, @off + @len) of @b, which is held. Return 0,
 * -ERANGE (silent) or -ENOMEM. */
MUST_CHECK int blocks_slice(struct blocks *b, uint64_t off, uint64_t len,
			    struct blocks **out);

/* A piece of a joined one: its @len bytes are dealt over the ranges in turn,
 * @stripe bytes at a time, or lie in the one range that there is. */
struct blocks_stripe {
	struct blocks *b;
	uint64_t off;
};
struct blocks_part {
	uint64_t len;
	uint64_t stripe; /* bytes; not used where there is one range */
	const struct blocks_stripe *ranges;
	size_t nranges; /* at least 1 */
};
/* Join the parts, one behind the other. All is copied, all @b are held. Return 0,
 * -ERANGE (a part reaches past its range; silent), -EINVAL or -ENOMEM. */
MUST_CHECK int blocks_join(const struct blocks_part *parts, size_t n,
			   struct blocks **out);

/* Make blocks of a copy of bytes in memory, which read as @size bytes: what is
 * behind @len is zeros and a hole. */
MUST_CHECK int blocks_memory(const void *data, size_t len, uint64_t size,
			     struct blocks **out);
/* Make blocks of a file or block device; @fd is taken over on success. */
MUST_CHECK int blocks_file(int fd, struct blocks **out);

/*
 * Read @b through a cache, in aligned pieces of 16 KiB that are kept in @memory
 * (lru.h; borrowed, lives longer): for the small reads of metadata. Longer
 * reads than that go past it.
 */
MUST_CHECK int blocks_cached(struct blocks *b, struct lru *memory,
			     struct blocks **out);

#endif
