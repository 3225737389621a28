/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A key is in memory until its object is sealed with it, or for ever where nobody
 * keeps it: few are at a time, and the newest are looked for first.
 */
#include "config.h"

#include "store/crypt/put_writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/array.h"
#include "store/base/lock.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/internal.h"

#define TYPE_DATA_PACK 4 /* of enum object_type */

struct made_key {
	uint8_t public_half[PUT_KEY_LEN], private_half[PUT_KEY_LEN];
};

struct put_writer {
	struct secret *memory; /* owned: of the next */
	struct put_keys *keys;
	struct hmac_key hedge;
	struct put_keeper keeper;
	pthread_mutex_t lock; /* protects what follows */
	struct made_key *made; /* owned; those that nobody else keeps */
	size_t n, cap;
};

int put_writer_new(const struct put_keys *keys, struct put_writer **out)
{
	struct put_writer *w = calloc(1, sizeof(*w));
	int r;

	*out = NULL;
	if (!w)
		return -ENOMEM;
	pthread_mutex_init(&w->lock, NULL);
	w->memory = secret_new(sizeof(*w->keys));
	r = w->memory ? 0 : -ENOMEM;
	if (r == 0) {
		w->keys = (void *)w->memory->data;
		*w->keys = *keys;
		r = hmac_key_init(&w->hedge, keys->hedge, CRYPT_KEY_LEN);
	}
	if (r < 0)
		put_writer_free(w);
	else
		*out = w;
	return r;
}

void put_writer_free(struct put_writer *w)
{
	if (!w)
		return;
	if (w->made)
		secret_wipe(w->made, w->cap * sizeof(*w->made));
	free(w->made);
	secret_wipe(&w->hedge, sizeof(w->hedge));
	secret_free(w->memory);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

const struct put_keys *put_writer_keys(const struct put_writer *w)
{
	return w->keys;
}

void put_writer_set_keeper(struct put_writer *w,
			   const struct put_keeper *keeper)
{
	w->keeper = *keeper;
}

/* As array_reserve(), but what the array was leaves no key behind. */
static int reserve(struct put_writer *w)
{
	struct made_key *bigger;
	size_t cap = w->cap ? 2 * w->cap : 16;

	if (w->n < w->cap)
		return 0;
	bigger = alloc_array(cap, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	if (w->n) {
		memcpy(bigger, w->made, w->n * sizeof(*bigger));
		secret_wipe(w->made, w->n * sizeof(*bigger));
	}
	free(w->made);
	w->made = bigger;
	w->cap = cap;
	return 0;
}

int put_writer_salt(struct put_writer *w, struct seam *seam, const char *name,
		    const uint8_t *digest, uint8_t *salt_out)
{
	struct made_key made;
	uint8_t random[32];
	struct crypt_part parts[3] = {
		{ random, sizeof(random) },
		{ name, strlen(name) },
		{ digest, CRYPT_SHA256_LEN },
	};
	int r = seam->ops->random(seam, random, sizeof(random));

	if (r == 0)
		r = hmac_sha256(&w->hedge, parts, ARRAY_SIZE(parts),
				made.private_half);
	if (r == 0)
		r = put_public(made.private_half, made.public_half);
	if (r == 0) {
		SCOPED_LOCK(&w->lock);
		r = reserve(w);
		if (r == 0)
			w->made[w->n++] = made;
	}
	if (r == 0)
		memcpy(salt_out, made.public_half, PUT_KEY_LEN);
	secret_wipe(&made, sizeof(made));
	secret_wipe(random, sizeof(random));
	return r;
}

/* Find it among those that are in memory. @take: and drop it there. */
static bool find_made(struct put_writer *w, const uint8_t *public_half,
		      bool take, uint8_t *private_out)
{
	struct made_key *last;
	size_t i;

	SCOPED_LOCK(&w->lock);
	/* What is looked for was made just now, mostly. */
	for (i = w->n; i > 0; i--)
		if (memcmp(w->made[i - 1].public_half, public_half,
			   PUT_KEY_LEN) == 0)
			break;
	if (i == 0)
		return false;
	memcpy(private_out, w->made[i - 1].private_half, PUT_KEY_LEN);
	if (take) {
		last = &w->made[--w->n];
		w->made[i - 1] = *last;
		secret_wipe(last, sizeof(*last));
	}
	return true;
}

static int find(struct put_writer *w, uint8_t type, const uint8_t *salt,
		uint8_t *private_out)
{
	bool take = type == TYPE_DATA_PACK || w->keeper.keep;
	int r;

	if (find_made(w, salt, take, private_out))
		return type == TYPE_DATA_PACK || !w->keeper.keep
			       ? 0
			       : w->keeper.keep(w->keeper.arg, salt,
						private_out);
	if (type == TYPE_DATA_PACK || !w->keeper.find)
		return -EOPNOTSUPP;
	r = w->keeper.find(w->keeper.arg, salt, private_out);
	return r == -ENOENT ? -EOPNOTSUPP : r;
}

int put_writer_base_key(struct put_writer *w, const uint8_t *vault_id,
			uint8_t type, const uint8_t *salt, uint8_t *out)
{
	uint8_t private_half[PUT_KEY_LEN];
	int r = find(w, type, salt, private_half);

	if (r == 0)
		r = put_base_key(private_half, w->keys->vault_key, salt,
				 w->keys->vault_key, vault_id, type, out);
	secret_wipe(private_half, sizeof(private_half));
	return r;
}
