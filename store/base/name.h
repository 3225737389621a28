/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of a vault's objects, taken apart. See vmbackup-vault(5). */
#ifndef STORE_BASE_NAME_H
#define STORE_BASE_NAME_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A session, a point, a machine, a collection and a key slot are each named by 16
 * random bytes, in lower-case hexadecimal digits. */
#define NAME_HEX 32
/* An object's name, and NUL. */
#define OBJECT_NAME_MAX 200
/* A pack's name without its folder, "<sid>-<n>-<sha256>": 32 + 1 + up to 10 +
 * 1 + 64, and NUL. */
#define PACK_NAME_MAX 112

/*
 * Take "<prefix><32 digits>-<n>" apart, where @prefix is a folder with its
 * slash ("note/"): @hex_out gets the digits and a NUL, @n_out the number, which
 * is decimal without leading zeros and at most UINT32_MAX.
 * Return whether @name is such a name; @n_out may be NULL.
 */
MUST_CHECK bool name_numbered(const char *name, const char *prefix,
			      char hex_out[NAME_HEX + 1], uint32_t *n_out);
/* Return whether @text is 32 lower-case hexadecimal digits and nothing else. */
MUST_CHECK bool name_is_hex(const char *text);
/* Return whether @name is a pack's name without its folder; @number_end, where
 * not NULL, gets the offset at which its number ends. */
MUST_CHECK bool name_is_pack(const char *name, size_t *number_end);
/* Take "quarantine/<pack>", of number 0, or "quarantine/<pack>-<n>" apart, with
 * n from 1. Return whether @name is such a name. */
MUST_CHECK bool name_quarantine(const char *name, char pack_out[PACK_NAME_MAX],
				uint32_t *n_out);
/* The same of "parity/<xx>/<pack>" and "parity/<xx>/<pack>-<n>", where xx are the
 * first two digits of the hash in the pack's name. */
MUST_CHECK bool name_parity(const char *name, char pack_out[PACK_NAME_MAX],
			    uint32_t *n_out);

/* Return whether an object of a vault can be called @name, which begins with its
 * folder. */
MUST_CHECK bool name_is_object(const char *name);

#endif
