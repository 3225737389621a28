/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Keys for encrypted volumes in disks (LUKS), from files, as cryptsetup(8)
 * takes them: a key file's bytes as they are; and the same without a newline
 * at the end, which is what a passphrase in a file is. Both are tried.
 */
#ifndef SRC_CLI_LUKS_KEYS_H
#define SRC_CLI_LUKS_KEYS_H

#include "store/base/attrs.h"

struct view;

#define LUKS_KEY_MAX (8u << 20) /* bytes of a file; cryptsetup's bound */

/*
 * Give the view the keys in the @n files of @paths, and in the one that the
 * environment names (VMBACKUP_LUKS_KEY_FILE). "-" is standard input. Return 0,
 * or a negative errno, said in words: a file that cannot be read, is empty or
 * too long; -ENOMEM.
 */
MUST_CHECK int luks_keys_give(struct view *w, const char *const *paths,
			      size_t n);

#endif
