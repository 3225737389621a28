/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small objects that stand by themselves, as a verdict or a register does. */
#ifndef STORE_WRITER_SEALED_H
#define STORE_WRITER_SEALED_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdint.h>

struct vault;

/*
 * Seal @plain as the object @name of that type, and create it; durable when this returns
 * 0. Return -EEXIST where one of that name stands there, which may have come of an answer
 * that was lost, and need not be durable; or another negative errno.
 */
MUST_CHECK int sealed_put(struct vault *v, uint8_t type, const char *name,
			  const struct buf *plain);
/* The same where it is all one who put it: what stands there is made durable. */
MUST_CHECK int sealed_ensure(struct vault *v, uint8_t type, const char *name,
			     const struct buf *plain);

#endif
