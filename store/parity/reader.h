/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading parts of packs that a disk has damaged, by their parity. The first part of a
 * pack that is asked for costs reading all of it; the blocks that were mended are kept
 * then, up to a bound, and so is that nothing can be mended.
 */
#ifndef STORE_PARITY_READER_H
#define STORE_PARITY_READER_H

#include "store/base/attrs.h"

#include <stdint.h>

struct backend;
struct parity_reader;

/* Make one for the vault at @b, borrowed. Free it with parity_reader_free(). NULL where
 * memory is out. */
MUST_CHECK struct parity_reader *parity_reader_new(struct backend *b);
void parity_reader_free(struct parity_reader *p);

/*
 * Read <@off, @len> of pack @pack ("<sid>-<n>-<sha256>") as it is when it is mended.
 * What is read is not proven: the caller's seal tells. Silent. Safe from any thread;
 * only one at a time mends a pack, whose bytes take up to three times its length of
 * memory then, while others wait. Return 0; -EBADMSG (there is no parity that mends
 * anything there) or another negative errno.
 */
MUST_CHECK int parity_read(struct parity_reader *p, const char *pack,
			   uint64_t off, void *data, size_t len);

#endif
