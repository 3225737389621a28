/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What checks verified, ledger/<sid>-<n>: which packs were read and found whole,
 * when and by whom, so that another check, on any client, reads first what nobody
 * has read for longest; and of which points something was lost then. See
 * vmbackup-vault(5).
 *
 * They save reading and nothing else. A pack is called by the first half of its
 * SHA-256, for a vault may have a million of them.
 */
#ifndef STORE_RECORD_VERIFIED_H
#define STORE_RECORD_VERIFIED_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/name.h"

#include <stdint.h>

#define VERIFIED_KEY_LEN 16 /* bytes of a pack's SHA-256 */
#define VERIFIED_PACKS_MAX 1000000 /* in one object */
#define VERIFIED_POINTS_MAX 100000
#define VERIFIED_NAMES_MAX 255 /* who verified */
#define VERIFIED_NAME_LEN_MAX 255
#define VERIFIED_GONE_MAX 65536 /* objects that one supersedes */
/* "<sid>-<n>" and NUL. */
#define VERIFIED_OBJECT_MAX (NAME_HEX + 1 + 10 + 1)

/* Who is told what an object says; each may be NULL, and ends it by returning a
 * negative errno instead of 0. */
struct verified_visitor {
	/* The @who-th name, in order from 0, before all that has it. */
	int (*name)(void *arg, uint64_t who, const char *name, size_t len);
	/* A pack that was whole at @time_s, in seconds since 1970. */
	int (*pack)(void *arg, const uint8_t key[VERIFIED_KEY_LEN],
		    int64_t time_s, uint64_t who);
	/* It says of which points something is lost: these follow. */
	int (*points)(void *arg);
	int (*point)(void *arg, const char id[NAME_HEX + 1]);
	/* An object that it supersedes, "<sid>-<n>". */
	int (*gone)(void *arg, const char *name);
	void *arg;
};

/* Append what the object says of a pack. */
void verified_put_pack(struct buf *out, const uint8_t key[VERIFIED_KEY_LEN],
		       int64_t time_s, uint64_t who);
/* Append the id of a point, 32 digits. */
void verified_put_point(struct buf *out, const char *id);
/*
 * Decode the plaintext of the object called @name. Return 0, the negative errno that
 * a function of @v returned, or -EBADMSG (said in words; some of it was told).
 */
MUST_CHECK int verified_decode(const void *data, size_t len, const char *name,
			       const struct verified_visitor *v);

#endif
