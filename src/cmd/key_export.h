/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SRC_CMD_KEY_EXPORT_H
#define SRC_CMD_KEY_EXPORT_H

#include "store/base/attrs.h"

struct context;

/*
 * "key export FILE" and "key import FILE": @argv has the word and the file.
 * The file is a JSON document {"vmbackup_keys":1,"objects":[{"name":...,
 * "data":<hex>}...]} of config and the key slots as they are stored: sealed.
 * Returns as a verb does.
 */
MUST_CHECK int key_export(struct context *ctx, int argc, char **argv);

#endif
