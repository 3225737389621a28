/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is asked again and again of the same bytes is worked out once: what an
 * object says when it is opened, what a JSON text means, and the keys of the one
 * vault that there is. Each follows from its input alone, so that no run is another
 * one for it. The program is linked so that the functions below are asked in the
 * place of the real ones, and those only of what is new.
 */
#include "config.h"

#include "tests/sim/sim.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/buf.h"
#include "store/base/secret.h"
#include "store/crypt/keyring.h"
#include "store/format.h"

#define SLOTS 16384 /* a power of two */
#define FULL (SLOTS / 2)

int __real_format_read_box(const struct keyring *k, const void *data,
			   size_t len, uint8_t type, const char *name,
			   struct buf *out);
int __wrap_format_read_box(const struct keyring *k, const void *data,
			   size_t len, uint8_t type, const char *name,
			   struct buf *out);
json_t *__real_json_loadb(const char *data, size_t len, size_t flags,
			  json_error_t *error);
json_t *__wrap_json_loadb(const char *data, size_t len, size_t flags,
			  json_error_t *error);
int __real_keyring_new(const struct secret *master, const uint8_t *vault_id,
		       struct keyring **out);
int __wrap_keyring_new(const struct secret *master, const uint8_t *vault_id,
		       struct keyring **out);
int __real_keyring_set_chunker(struct keyring *k, const uint8_t *secret);
int __wrap_keyring_set_chunker(struct keyring *k, const uint8_t *secret);
void __real_keyring_free(struct keyring *k);
void __wrap_keyring_free(struct keyring *k);

/* ---- answers by their questions ---- */

struct answer {
	uint64_t hash;
	uint8_t *question; /* owned; NULL: the place is free */
	size_t question_len;
	struct buf plain; /* of a box */
	json_t *json; /* or of a text */
};

static struct answer answers[SLOTS];
static size_t nanswers;

/* The question that is asked now. */
static struct buf question = BUF_INIT;

static uint64_t hash_of(const struct buf *b)
{
	uint64_t h = 0x9e3779b97f4a7c15u ^ b->len, w;
	size_t i;

	for (i = 0; i + sizeof(w) <= b->len; i += sizeof(w)) {
		memcpy(&w, b->data + i, sizeof(w));
		h = (h ^ w) * 0xbf58476d1ce4e5b9u;
		h ^= h >> 29;
	}
	for (; i < b->len; i++)
		h = (h ^ b->data[i]) * 0x100000001b3u;
	return h ^ h >> 32;
}

static void forget_all(void)
{
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		free(answers[i].question);
		buf_release(&answers[i].plain);
		json_decref(answers[i].json);
		answers[i] = (struct answer){ .hash = 0 };
	}
	nanswers = 0;
}

/* The place of the question that is asked now; it is free where that is new. */
static struct answer *find(void)
{
	uint64_t h = hash_of(&question);
	size_t i = h & (SLOTS - 1);

	while (answers[i].question &&
	       (answers[i].hash != h ||
		answers[i].question_len != question.len ||
		memcmp(answers[i].question, question.data, question.len) != 0))
		i = (i + 1) & (SLOTS - 1);
	answers[i].hash = h;
	return &answers[i];
}

/* Keep the answer that was just put to @a. */
static void keep(struct answer *a)
{
	a->question = malloc(question.len);
	if (!a->question)
		abort();
	memcpy(a->question, question.data, question.len);
	a->question_len = question.len;
	nanswers++;
}

static void ask(uint8_t kind, const void *data, size_t len)
{
	buf_clear(&question);
	buf_put_u8(&question, kind);
	buf_put_bytes(&question, data, len);
}

/* ---- what objects say ---- */

int __wrap_format_read_box(const struct keyring *k, const void *data,
			   size_t len, uint8_t type, const char *name,
			   struct buf *out)
{
	struct answer *a;
	int r;

	ask(type, data, len);
	buf_put(&question, name, strlen(name));
	if (buf_error(&question) < 0)
		abort();
	a = find();
	if (a->question) {
		buf_clear(out);
		if (a->plain.len)
			buf_put(out, a->plain.data, a->plain.len);
		return buf_error(out);
	}
	r = __real_format_read_box(k, data, len, type, name, out);
	if (r < 0)
		return r;
	if (out->len)
		buf_put(&a->plain, out->data, out->len);
	keep(a);
	return 0;
}

/* Whoever reads a text changes nothing in what it means. */
json_t *__wrap_json_loadb(const char *data, size_t len, size_t flags,
			  json_error_t *error)
{
	struct answer *a;
	json_t *j;

	ask(0xff, data, len);
	buf_put_le64(&question, flags);
	if (buf_error(&question) < 0)
		abort();
	a = find();
	if (a->question)
		return json_incref(a->json);
	j = __real_json_loadb(data, len, flags, error);
	if (!j)
		return NULL;
	a->json = json_incref(j);
	keep(a);
	return j;
}

/* ---- keys ---- */

static struct keyring *the_keys;
static bool has_chunker;

int __wrap_keyring_new(const struct secret *master, const uint8_t *vault_id,
		       struct keyring **out)
{
	int r = the_keys ? 0 : __real_keyring_new(master, vault_id, &the_keys);

	if (r == 0 &&
	    (memcmp(keyring_master(the_keys)->data, master->data,
		    master->len) != 0 ||
	     memcmp(keyring_vault_id(the_keys), vault_id, VAULT_ID_LEN) != 0))
		abort();
	*out = the_keys;
	return r;
}

int __wrap_keyring_set_chunker(struct keyring *k, const uint8_t *secret)
{
	int r = has_chunker ? 0 : __real_keyring_set_chunker(k, secret);

	has_chunker = r == 0;
	return r;
}

void __wrap_keyring_free(struct keyring *k)
{
	(void)k;
}

void sim_trim_memo(void)
{
	if (nanswers > FULL)
		forget_all();
}

void sim_free_memo(void)
{
	forget_all();
	buf_release(&question);
	__real_keyring_free(the_keys);
	the_keys = NULL;
}
