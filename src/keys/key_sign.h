/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SRC_KEYS_KEY_SIGN_H
#define SRC_KEYS_KEY_SIGN_H

#include "store/base/attrs.h"

struct context;

/*
 * "key sign-new": make the key with which this machine signs the points that it
 * makes from now on, and print its public half. Return 0, -EEXIST (there is one) or
 * another negative errno, said in words.
 */
MUST_CHECK int key_sign_new(struct context *ctx);

#endif
