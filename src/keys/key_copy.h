/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Reads the document that "key export" writes. It may come from anywhere. */
#ifndef SRC_KEYS_KEY_COPY_H
#define SRC_KEYS_KEY_COPY_H

#include "store/base/attrs.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

typedef int key_copy_fn(void *arg, const char *name, const uint8_t *data,
			size_t len);

/*
 * Call @fn with the name and bytes of each object, once all are known to be
 * such as export writes: the vault's config, a key slot, or epoch/<n>, of at most
 * KEY_SLOT_MAX bytes. A negative return of @fn ends it, and is returned.
 * Return 0, -ENOMEM, or -EINVAL, said in words with @path.
 */
MUST_CHECK int key_copy_read(const json_t *document, const char *path,
			     key_copy_fn *fn, void *arg);

#endif
