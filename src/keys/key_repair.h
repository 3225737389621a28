/* SPDX-License-Identifier: GPL-3.0-or-later */
/* "repair keys --from": the keys of a vault by a copy of it, or of its keys. */
#ifndef SRC_KEYS_KEY_REPAIR_H
#define SRC_KEYS_KEY_REPAIR_H

#include "store/base/attrs.h"

struct context;
struct from_args;
struct repair_options;
struct repair_result;

/*
 * repair_keys_from() for the vault of @ctx. @from: another vault, or a file that
 * "key export" made, which is opened as @a says or, where that says nothing, by what
 * opens the vault itself. Return 0 or a negative errno, said in words.
 */
MUST_CHECK int key_repair_from(struct context *ctx, const char *from,
			       const struct from_args *a,
			       const struct repair_options *o,
			       struct repair_result *out);

#endif
