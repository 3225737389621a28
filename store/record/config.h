/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a program must know of a vault before all else: the clear text of the
 * object "config", and of the objects feature/<n> by which later versions add to
 * it. See vmbackup-vault(5).
 */
#ifndef STORE_RECORD_CONFIG_H
#define STORE_RECORD_CONFIG_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

#define FEATURES_LEN 16 /* bytes of clear text */
#define CHUNKER_LEN 32
#define CONFIG_PARITY_MAX 50

/* Bits that a program must know to do that with the vault. */
struct feature_words {
	uint32_t read;
	uint32_t write;
	uint32_t collect;
	uint32_t repair;
};

/* There are keys of later epochs: who knows of none would go on with the old. */
#define FEATURE_EPOCHS 0x2u
/* Points count only where they are signed by who may. */
#define FEATURE_SIGNED 0x4u

/* What this program knows. */
#define FEATURES_READ FEATURE_SIGNED
#define FEATURES_WRITE (FEATURE_EPOCHS | FEATURE_SIGNED)
#define FEATURES_COLLECT (FEATURE_EPOCHS | FEATURE_SIGNED)
#define FEATURES_REPAIR (FEATURE_EPOCHS | FEATURE_SIGNED)

void features_encode(const struct feature_words *f, uint8_t out[FEATURES_LEN]);
/* Add what the clear text of the object @name says to @f. Return 0, or -EBADMSG,
 * said in words. */
MUST_CHECK int features_decode(const void *clear, size_t len, const char *name,
			       struct feature_words *f);

/* The plaintext of config. */
struct config_doc {
	int64_t created_ns; /* since 1970; 0: not said */
	bool has_chunker;
	uint8_t chunker[CHUNKER_LEN]; /* what its gear is made of, else */
	/* Percent of parity that packs get, at most CONFIG_PARITY_MAX; 0: none */
	unsigned int parity;
};

/* Append it. Ask buf_error(); @out holds a secret then. */
void config_encode(const struct config_doc *c, struct buf *out);
/* Decode it. Return 0, -EOPNOTSUPP (a newer format) or -EBADMSG; both said in
 * words. */
MUST_CHECK int config_decode(const void *data, size_t len,
			     struct config_doc *out);

#endif
