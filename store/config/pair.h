/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Without its config nobody opens a vault, so there are two: config, and
 * config.copy with the very same bytes. Init puts config first, for whoever creates
 * that has made the vault, and only he puts the copy; where he dies between the two,
 * the vault is whole and has no copy. Neither ever changes.
 *
 * Readers read config, and ask for the copy only where config is gone, damaged, or not
 * what the key that opened a slot has sealed. Anybody who can write to the store can
 * put a copy there, but only who has the vault's key can make one that is believed;
 * and since config never changes, there is no older one to be put back.
 */
#ifndef STORE_CONFIG_PAIR_H
#define STORE_CONFIG_PAIR_H

#include "store/base/attrs.h"
#include "store/format.h"
#include "store/record/config.h"

struct backend;
struct keyring;
struct seam;
struct vault;
struct vault_options;

#define CONFIG_NAME "config"
#define CONFIG_COPY_NAME "config.copy"
#define CONFIG_MAX (64u << 10) /* neither is longer */

/* One of the two. Zero it first. */
struct config_object {
	const char *name; /* static */
	uint8_t *raw; /* owned; NULL: it could not be read */
	size_t len;
	struct box box; /* points into raw; where error is 0 */
	struct feature_words features; /* the same */
	int error; /* as config_load() returned */
};

/*
 * Read the one called @name, and look at its form. Return 0, -ENOENT (silent),
 * -EBADMSG (damaged), -EOPNOTSUPP (of a newer format, or it demands what this program
 * does not know in order to read) or another negative errno; said in words.
 */
MUST_CHECK int config_load(struct vault *v, const char *name,
			   struct config_object *out);
void config_release(struct config_object *c);
/* Whether both were read, and have the same bytes. */
bool config_is_same(const struct config_object *a,
		    const struct config_object *b);

enum config_verdict {
	CONFIG_RIGHT, /* sealed with the vault's key, and understood */
	/* Nobody who has the key made it, or it makes no sense. */
	CONFIG_DAMAGED,
	/* It says that it is of a newer format, and is more than the right one with
	 * that changed: nobody can tell. */
	CONFIG_NEWER,
};

/* What the vault's keys say of the bytes of a config. Silent. */
enum config_verdict config_judge(const struct keyring *k, const void *raw,
				 size_t len);

/* Whether a vault has either of the two. Return 0, -ENOENT or another negative
 * errno. */
MUST_CHECK int config_head(struct backend *b);
/* Make and put both, for a vault that is made with @k as @o says. Return 0, -EEXIST
 * (there is one), or another negative errno, said in words. A copy that could not be put
 * is said, and is no error: the vault is made. */
MUST_CHECK int config_create(struct backend *b, const struct keyring *k,
			     struct seam *seam, const struct vault_options *o);
/*
 * Let the one called @name be @raw, which is proven to be right, in one step where the
 * store can; @is_there: something else stands there, with which nothing is lost: the
 * other of the two is right, and durable. It serves other objects of that kind, too.
 * Return 0 or a negative errno.
 */
MUST_CHECK int config_mend(struct backend *b, const char *name, bool is_there,
			   const void *raw, size_t len);

#endif
