/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Putting back registers that are gone, of which digests tell. */
#ifndef STORE_REPAIR_REGISTERS_H
#define STORE_REPAIR_REGISTERS_H

#include "store/repair/repair.h"

/*
 * Put, where o->apply, each register that the vault lacks and a digest has, as far as it
 * is proven, say what becomes of each, and add it to @out. It needs no copy of the vault.
 * Return 0 or a negative errno, said in words.
 */
MUST_CHECK int repair_registers(struct vault *v, const struct repair_options *o,
				struct repair_result *out);

#endif
