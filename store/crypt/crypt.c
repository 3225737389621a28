/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashing and sealing. Chunks are named and sealed by the hundred thousand, and
 * most are small. A call of OpenSSL's that allocates, or that looks an
 * algorithm up by name, costs more than hashing a kilobyte. So algorithms are
 * fetched once for the process, and each thread keeps one context of each kind
 * until it ends: no lock is needed, and no call but the first one allocates.
 *
 * The key of an object is made from a base key that is the vault's or a key
 * slot's:
 *
 *     HKDF-Expand(base key, "vmbackupfs/1/object" || type || vault id ||
 *                           salt || name, 76)
 *         = AES key (32) || nonce base (12) || commitment (32)
 *
 * The commitment is stored in clear. AES-GCM alone would let one ciphertext
 * open under two keys; with the commitment compared first, an object opens
 * under the one key it was sealed with, and a wrong key is told from damage.
 */
#include "config.h"

#include "store/crypt/crypt.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "store/base/bytes.h"
#include "store/base/secret.h"
#include "store/crypt/internal.h"

#define GCM_NONCE_LEN 12
#define INFO_OBJECT "vmbackupfs/1/object"

/* ---- algorithms, and contexts of the thread ---- */

static struct {
	pthread_once_t once;
	EVP_MD *sha256;
	EVP_CIPHER *gcm;
	pthread_key_t key; /* struct thread_ctx */
	int error;
} algo = { PTHREAD_ONCE_INIT, NULL, NULL, 0, 0 };

struct thread_ctx {
	EVP_MD_CTX *md;
	EVP_CIPHER_CTX *gcm;
};

static void thread_ctx_free(void *arg)
{
	struct thread_ctx *t = arg;

	EVP_MD_CTX_free(t->md);
	EVP_CIPHER_CTX_free(t->gcm);
	free(t);
}

static void fetch_algorithms(void)
{
	algo.sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	algo.gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (!algo.sha256 || !algo.gcm ||
	    pthread_key_create(&algo.key, thread_ctx_free) != 0)
		algo.error = -EIO;
}

/* The calling thread's contexts; NULL when OpenSSL or memory fails. */
static struct thread_ctx *thread_contexts(void)
{
	struct thread_ctx *t;

	pthread_once(&algo.once, fetch_algorithms);
	if (algo.error)
		return NULL;
	t = pthread_getspecific(algo.key);
	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->md = EVP_MD_CTX_new();
	t->gcm = EVP_CIPHER_CTX_new();
	if (t->md && t->gcm &&
	    EVP_CipherInit_ex(t->gcm, algo.gcm, NULL, NULL, NULL, 1) == 1 &&
	    pthread_setspecific(algo.key, t) == 0)
		return t;
	thread_ctx_free(t);
	return NULL;
}

/* OpenSSL queues its complaints for each thread. An algorithm that it has fails only
 * where memory is out; it mostly does not say so, for want of memory. */
int crypt_failed(void)
{
	unsigned long e;
	int r = algo.error ? algo.error : -ENOMEM;

	while ((e = ERR_get_error()))
		if (ERR_GET_REASON(e) == ERR_R_UNSUPPORTED ||
		    ERR_GET_REASON(e) == EVP_R_UNSUPPORTED_ALGORITHM)
			r = -EIO;
	return r;
}

/* ---- SHA-256 ---- */

int crypt_sha256(const void *data, size_t len, uint8_t *out)
{
	struct thread_ctx *t = thread_contexts();

	if (t && EVP_DigestInit_ex(t->md, algo.sha256, NULL) == 1 &&
	    EVP_DigestUpdate(t->md, data, len) == 1 &&
	    EVP_DigestFinal_ex(t->md, out, NULL) == 1)
		return 0;
	return crypt_failed();
}

struct sha256 {
	EVP_MD_CTX *md; /* owned */
};

int sha256_new(struct sha256 **out)
{
	struct sha256 *h;

	*out = NULL;
	if (!thread_contexts())
		return crypt_failed();
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->md = EVP_MD_CTX_new();
	if (h->md && EVP_DigestInit_ex(h->md, algo.sha256, NULL) == 1) {
		*out = h;
		return 0;
	}
	sha256_free(h);
	return crypt_failed();
}

int sha256_update(struct sha256 *h, const void *data, size_t len)
{
	return EVP_DigestUpdate(h->md, data, len) == 1 ? 0 : crypt_failed();
}

int sha256_finish(struct sha256 *h, uint8_t *out)
{
	return EVP_DigestFinal_ex(h->md, out, NULL) == 1 ? 0 : crypt_failed();
}

void sha256_free(struct sha256 *h)
{
	if (!h)
		return;
	EVP_MD_CTX_free(h->md);
	free(h);
}

int crypt_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

int crypt_sha256_parts(const struct crypt_part *parts, size_t n, uint8_t *out)
{
	struct thread_ctx *t = thread_contexts();
	bool ok = t && EVP_DigestInit_ex(t->md, algo.sha256, NULL) == 1;
	size_t i;

	for (i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(t->md, parts[i].data, parts[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(t->md, out, NULL) == 1;
	return ok ? 0 : crypt_failed();
}

/* ---- sealing ---- */

/* The epoch stands behind the name, but for 0, which was there before there were
 * others: no name ends so, for there is a NUL in it as long as an epoch is below
 * 2^24, and a base key is of one epoch alone but for that of a key slot. */
int crypt_seal_key(const uint8_t *base, const uint8_t *vault_id, uint8_t type,
		   uint32_t epoch, const char *name, const uint8_t *salt,
		   struct seal_key *out)
{
	uint8_t info[sizeof(INFO_OBJECT) + VAULT_ID_LEN + CRYPT_SALT_LEN +
		     CRYPT_NAME_MAX + sizeof(epoch)];
	uint8_t okm[CRYPT_KEY_LEN + GCM_NONCE_LEN + CRYPT_COMMIT_LEN];
	size_t name_len = strlen(name);
	uint8_t *p = info;
	int r;

	if (name_len > CRYPT_NAME_MAX)
		return -EINVAL;
	p = mempcpy(p, INFO_OBJECT, sizeof(INFO_OBJECT) - 1);
	*p++ = type;
	p = mempcpy(p, vault_id, VAULT_ID_LEN);
	p = mempcpy(p, salt, CRYPT_SALT_LEN);
	p = mempcpy(p, name, name_len);
	if (epoch) {
		put_le32(p, epoch);
		p += sizeof(epoch);
	}
	r = crypt_hkdf_expand(base, info, (size_t)(p - info), okm, sizeof(okm));
	if (r == 0) {
		memcpy(out->key, okm, CRYPT_KEY_LEN);
		memcpy(out->nonce, okm + CRYPT_KEY_LEN, GCM_NONCE_LEN);
		memcpy(out->commit, okm + CRYPT_KEY_LEN + GCM_NONCE_LEN,
		       CRYPT_COMMIT_LEN);
	}
	secret_wipe(okm, sizeof(okm));
	return r;
}

/* Begin frame @frame in @c, up to and with the associated data. */
static bool begin_frame_in(EVP_CIPHER_CTX *c, const struct seal_key *k,
			   uint32_t frame, int encrypt, const void *aad,
			   size_t aad_len)
{
	uint8_t nonce[GCM_NONCE_LEN];
	int i, n;

	memcpy(nonce, k->nonce, sizeof(nonce));
	for (i = 0; i < 4; i++)
		nonce[8 + i] ^= (uint8_t)(frame >> (24 - 8 * i));
	return EVP_CipherInit_ex(c, NULL, NULL, k->key, nonce, encrypt) == 1 &&
	       (aad_len == 0 ||
		EVP_CipherUpdate(c, NULL, &n, aad, (int)aad_len) == 1);
}

/* The same in the thread's context, which is returned; or NULL. */
static EVP_CIPHER_CTX *begin_frame(const struct seal_key *k, uint32_t frame,
				   int encrypt, const void *aad, size_t aad_len,
				   size_t len)
{
	struct thread_ctx *t = thread_contexts();

	if (aad_len > INT_MAX || len > INT_MAX) {
		ERR_raise(ERR_LIB_USER, ERR_R_UNSUPPORTED);
		return NULL;
	}
	if (!t)
		return NULL;
	return begin_frame_in(t->gcm, k, frame, encrypt, aad, aad_len) ? t->gcm
								       : NULL;
}

int crypt_seal(const struct seal_key *k, uint32_t frame, const void *aad,
	       size_t aad_len, void *data, size_t len)
{
	EVP_CIPHER_CTX *c = begin_frame(k, frame, 1, aad, aad_len, len);
	uint8_t *tag = (uint8_t *)data + len;
	int n;

	if (c &&
	    (len == 0 || EVP_CipherUpdate(c, data, &n, data, (int)len) == 1) &&
	    EVP_CipherFinal_ex(c, tag, &n) == 1 &&
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, CRYPT_TAG_LEN, tag) ==
		    1)
		return 0;
	return crypt_failed();
}

/* Compare the tag of all that was decrypted. */
static int end_frame(EVP_CIPHER_CTX *c, const void *expected)
{
	uint8_t tag[CRYPT_TAG_LEN], none[CRYPT_TAG_LEN];
	int n;

	memcpy(tag, expected, sizeof(tag));
	if (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) !=
	    1)
		return crypt_failed();
	if (EVP_CipherFinal_ex(c, none, &n) == 1)
		return 0;
	ERR_clear_error();
	return -EBADMSG;
}

int crypt_open(const struct seal_key *k, uint32_t frame, const void *aad,
	       size_t aad_len, const void *in, size_t len, void *out)
{
	EVP_CIPHER_CTX *c = begin_frame(k, frame, 0, aad, aad_len, len);
	uint8_t tag[CRYPT_TAG_LEN];
	int n, r;

	if (!c)
		return crypt_failed();
	/* @out may be where the tag is. */
	memcpy(tag, (const uint8_t *)in + len, sizeof(tag));
	if (len > 0 && EVP_CipherUpdate(c, out, &n, in, (int)len) != 1)
		return crypt_failed();
	r = end_frame(c, tag);
	if (r < 0 && len > 0)
		memset(out, 0, len); /* whoever forgets to look gets nothing */
	return r;
}

struct crypt_opening {
	EVP_CIPHER_CTX *gcm; /* owned: the thread's is needed meanwhile */
};

int crypt_opening_new(const struct seal_key *k, uint32_t frame, const void *aad,
		      size_t aad_len, struct crypt_opening **out)
{
	struct crypt_opening *o;

	*out = NULL;
	if (!thread_contexts() || aad_len > INT_MAX)
		return crypt_failed();
	o = calloc(1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	o->gcm = EVP_CIPHER_CTX_new();
	if (o->gcm &&
	    EVP_CipherInit_ex(o->gcm, algo.gcm, NULL, NULL, NULL, 0) == 1 &&
	    begin_frame_in(o->gcm, k, frame, 0, aad, aad_len)) {
		*out = o;
		return 0;
	}
	crypt_opening_free(o);
	return crypt_failed();
}

int crypt_opening_some(struct crypt_opening *o, const void *in, size_t len,
		       void *out)
{
	int n;

	if (len == 0)
		return 0;
	if (len <= INT_MAX &&
	    EVP_CipherUpdate(o->gcm, out, &n, in, (int)len) == 1)
		return 0;
	return crypt_failed();
}

int crypt_opening_end(struct crypt_opening *o, const void *tag)
{
	return end_frame(o->gcm, tag);
}

void crypt_opening_free(struct crypt_opening *o)
{
	if (!o)
		return;
	EVP_CIPHER_CTX_free(o->gcm);
	free(o);
}
