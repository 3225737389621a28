/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who may sign for which machine: what this machine remembers of it. */
#ifndef SRC_KEYS_KEY_TRUST_H
#define SRC_KEYS_KEY_TRUST_H

#include "store/base/attrs.h"

#include <jansson.h>
#include <stdbool.h>

struct context;
struct vault;

/*
 * "key trust" and "key revoke": remember that @key, 64 digits, may sign for @machine
 * (NULL: for all), or that it may not any more. Return 0 or a negative errno, said in
 * words.
 */
MUST_CHECK int key_trust(struct context *ctx, struct vault *v, const char *key,
			 const char *machine, bool revoke);
/* "key demand": from now on only points count that are signed by one who may. Say
 * which do not. Return 0 or a negative errno, said in words. */
MUST_CHECK int key_demand(struct context *ctx, struct vault *v);
/* Print what is remembered, for people; nothing where it is nothing. Return 0 or a
 * negative errno. */
MUST_CHECK int key_trust_print(struct vault *v);
/* Append an object for each line of it to @array. Return 0 or a negative errno. */
MUST_CHECK int key_trust_json(struct vault *v, json_t *array);

#endif
