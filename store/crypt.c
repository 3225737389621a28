/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sealing, keyed names and key derivation.
 *
 *     PRK        = HKDF-Extract(vault id, master key)
 *     K_id       = HKDF-Expand(PRK, "vmbackupfs/1/id", 32)
 *     K_salt     = HKDF-Expand(PRK, "vmbackupfs/1/salt", 32)
 *     gear       = HKDF-Expand(PRK, "vmbackupfs/1/chunker", 2048)
 *     sip key    = HKDF-Expand(PRK, "vmbackupfs/1/sip", 16)
 *     base key t = HKDF-Expand(PRK, "vmbackupfs/1/seal/" || t, 32)
 *     object     = HKDF-Expand(base key, "vmbackupfs/1/object" || t ||
 *                              vault id || salt || name, 76)
 *                = AES key (32) || nonce base (12) || commitment (32)
 *
 * Chunks are named by the hundred thousand, and most are small. A call of
 * OpenSSL's that allocates, or that looks an algorithm up by name, costs more
 * than hashing a kilobyte: algorithms are fetched once, each thread keeps its
 * contexts, and HMAC is done here from two runs of SHA-256 (RFC 2104).
 */
#include "config.h"

#include "store/crypt.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "store/base/bytes.h"
#include "store/base/seam.h"
#include "store/base/secret.h"

#define HMAC_BLOCK 64
#define GCM_NONCE_LEN 12
#define OBJECT_TYPES 8 /* base keys are for types 1..8 */
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
static struct thread_ctx *thread_ctx(void)
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

/* OpenSSL queues its complaints for each thread; nobody here reads them. */
static int openssl_failed(void)
{
	ERR_clear_error();
	return -EIO;
}

/* ---- SHA-256 ---- */

int crypt_sha256(const void *data, size_t len, uint8_t *out)
{
	struct thread_ctx *t = thread_ctx();

	if (t && EVP_DigestInit_ex(t->md, algo.sha256, NULL) == 1 &&
	    EVP_DigestUpdate(t->md, data, len) == 1 &&
	    EVP_DigestFinal_ex(t->md, out, NULL) == 1)
		return 0;
	return openssl_failed();
}

struct sha256 {
	EVP_MD_CTX *md; /* owned */
};

int sha256_new(struct sha256 **out)
{
	struct sha256 *h;

	*out = NULL;
	if (!thread_ctx())
		return openssl_failed();
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->md = EVP_MD_CTX_new();
	if (h->md && EVP_DigestInit_ex(h->md, algo.sha256, NULL) == 1) {
		*out = h;
		return 0;
	}
	sha256_free(h);
	return openssl_failed();
}

int sha256_update(struct sha256 *h, const void *data, size_t len)
{
	return EVP_DigestUpdate(h->md, data, len) == 1 ? 0 : openssl_failed();
}

int sha256_finish(struct sha256 *h, uint8_t *out)
{
	return EVP_DigestFinal_ex(h->md, out, NULL) == 1 ? 0 : openssl_failed();
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

/* ---- HMAC and HKDF ---- */

/* A key, ready to be hashed: padded to a block and xored. */
struct hmac_key {
	uint8_t inner[HMAC_BLOCK];
	uint8_t outer[HMAC_BLOCK];
};

struct part {
	const void *data;
	size_t len;
};

static int hmac_key_init(struct hmac_key *k, const void *key, size_t len)
{
	uint8_t block[HMAC_BLOCK] = { 0 };
	size_t i;
	int r = 0;

	if (len > HMAC_BLOCK)
		r = crypt_sha256(key, len, block);
	else if (len > 0)
		memcpy(block, key, len);
	for (i = 0; i < HMAC_BLOCK; i++) {
		k->inner[i] = block[i] ^ 0x36;
		k->outer[i] = block[i] ^ 0x5c;
	}
	secret_wipe(block, sizeof(block));
	return r;
}

static int hmac(const struct hmac_key *k, const struct part *parts, size_t n,
		uint8_t *out)
{
	struct thread_ctx *t = thread_ctx();
	uint8_t last[HMAC_BLOCK + CRYPT_SHA256_LEN];
	int ok;
	size_t i;

	if (!t)
		return openssl_failed();
	ok = EVP_DigestInit_ex(t->md, algo.sha256, NULL) == 1 &&
	     EVP_DigestUpdate(t->md, k->inner, HMAC_BLOCK) == 1;
	for (i = 0; ok && i < n; i++)
		ok = EVP_DigestUpdate(t->md, parts[i].data, parts[i].len) == 1;
	memcpy(last, k->outer, HMAC_BLOCK);
	ok = ok && EVP_DigestFinal_ex(t->md, last + HMAC_BLOCK, NULL) == 1 &&
	     EVP_DigestInit_ex(t->md, algo.sha256, NULL) == 1 &&
	     EVP_DigestUpdate(t->md, last, sizeof(last)) == 1 &&
	     EVP_DigestFinal_ex(t->md, out, NULL) == 1;
	secret_wipe(last, sizeof(last));
	return ok ? 0 : openssl_failed();
}

int crypt_hkdf_extract(const void *salt, size_t salt_len, const void *ikm,
		       size_t len, uint8_t *prk)
{
	struct part part = { ikm, len };
	struct hmac_key k;
	int r = hmac_key_init(&k, salt, salt_len);

	if (r == 0)
		r = hmac(&k, &part, 1, prk);
	secret_wipe(&k, sizeof(k));
	return r;
}

int crypt_hkdf_expand(const uint8_t *prk, const void *info, size_t info_len,
		      uint8_t *out, size_t len)
{
	uint8_t block[CRYPT_SHA256_LEN];
	uint8_t number = 0;
	struct part parts[3] = {
		{ block, 0 },
		{ info, info_len },
		{ &number, 1 },
	};
	struct hmac_key k;
	int r;

	if (len > 255 * CRYPT_SHA256_LEN)
		return -EINVAL;
	r = hmac_key_init(&k, prk, CRYPT_SHA256_LEN);
	while (r == 0 && len > 0) {
		size_t n = MIN(len, sizeof(block));

		number++;
		r = hmac(&k, parts, ARRAY_SIZE(parts), block);
		if (r < 0)
			break;
		memcpy(out, block, n);
		parts[0].len = sizeof(block);
		out += n;
		len -= n;
	}
	secret_wipe(block, sizeof(block));
	secret_wipe(&k, sizeof(k));
	return r;
}

static int expand_label(const uint8_t *prk, const char *label, uint8_t *out,
			size_t len)
{
	return crypt_hkdf_expand(prk, label, strlen(label), out, len);
}

/* ---- keyring ---- */

/* What must not reach a swap area or a core file. */
struct keyring_secrets {
	struct hmac_key id;
	struct hmac_key salt;
	uint8_t seal[OBJECT_TYPES][CRYPT_KEY_LEN];
	uint64_t gear[256];
	uint8_t sip[16];
};

struct keyring {
	uint8_t vault_id[VAULT_ID_LEN];
	struct secret *master; /* owned */
	struct secret *memory; /* owned: of the next */
	struct keyring_secrets *s;
};

static int derive_hmac_key(const uint8_t *prk, const char *label,
			   struct hmac_key *out)
{
	uint8_t key[CRYPT_KEY_LEN];
	int r = expand_label(prk, label, key, sizeof(key));

	if (r == 0)
		r = hmac_key_init(out, key, sizeof(key));
	secret_wipe(key, sizeof(key));
	return r;
}

static int derive_gear(const uint8_t *prk, uint64_t gear[256])
{
	uint8_t raw[256 * 8];
	int r = expand_label(prk, "vmbackupfs/1/chunker", raw, sizeof(raw));
	int i;

	for (i = 0; i < 256; i++)
		gear[i] = get_le64(raw + 8 * i);
	secret_wipe(raw, sizeof(raw));
	return r;
}

static int derive_all(const uint8_t *prk, struct keyring_secrets *s)
{
	char label[] = "vmbackupfs/1/seal/?";
	uint8_t t;
	int r;

	r = derive_hmac_key(prk, "vmbackupfs/1/id", &s->id);
	if (r == 0)
		r = derive_hmac_key(prk, "vmbackupfs/1/salt", &s->salt);
	if (r == 0)
		r = derive_gear(prk, s->gear);
	if (r == 0)
		r = expand_label(prk, "vmbackupfs/1/sip", s->sip,
				 sizeof(s->sip));
	for (t = 1; r == 0 && t <= OBJECT_TYPES; t++) {
		label[sizeof(label) - 2] = (char)t;
		r = crypt_hkdf_expand(prk, label, sizeof(label) - 1,
				      s->seal[t - 1], CRYPT_KEY_LEN);
	}
	return r;
}

int keyring_new(const struct secret *master, const uint8_t *vault_id,
		struct keyring **out)
{
	uint8_t prk[CRYPT_SHA256_LEN];
	struct keyring *k;
	int r = -ENOMEM;

	*out = NULL;
	if (master->len != CRYPT_KEY_LEN)
		return -EINVAL;
	k = calloc(1, sizeof(*k));
	if (!k)
		return -ENOMEM;
	memcpy(k->vault_id, vault_id, VAULT_ID_LEN);
	k->master = secret_new(CRYPT_KEY_LEN);
	k->memory = secret_new(sizeof(*k->s));
	if (!k->master || !k->memory)
		goto err;
	memcpy(k->master->data, master->data, CRYPT_KEY_LEN);
	k->s = (void *)k->memory->data;
	r = crypt_hkdf_extract(vault_id, VAULT_ID_LEN, master->data,
			       CRYPT_KEY_LEN, prk);
	if (r == 0)
		r = derive_all(prk, k->s);
	secret_wipe(prk, sizeof(prk));
	if (r < 0)
		goto err;
	*out = k;
	return 0;
err:
	keyring_free(k);
	return r;
}

void keyring_free(struct keyring *k)
{
	if (!k)
		return;
	secret_free(k->memory);
	secret_free(k->master);
	free(k);
}

const uint8_t *keyring_vault_id(const struct keyring *k)
{
	return k->vault_id;
}

const struct secret *keyring_master(const struct keyring *k)
{
	return k->master;
}

const uint64_t *keyring_gear(const struct keyring *k)
{
	return k->s->gear;
}

const uint8_t *keyring_sipkey(const struct keyring *k)
{
	return k->s->sip;
}

int keyring_id(const struct keyring *k, uint8_t type, const void *data,
	       size_t len, struct id *out)
{
	uint8_t head[9] = { type };
	struct part parts[2] = { { head, sizeof(head) }, { data, len } };

	put_le64(head + 1, len);
	return hmac(&k->s->id, parts, ARRAY_SIZE(parts), out->b);
}

int keyring_salt(const struct keyring *k, struct seam *seam, const char *name,
		 const uint8_t *digest, uint8_t *salt_out)
{
	uint8_t random[32];
	struct part parts[3] = {
		{ random, sizeof(random) },
		{ name, strlen(name) },
		{ digest, CRYPT_SHA256_LEN },
	};
	int r = seam->ops->random(seam, random, sizeof(random));

	if (r < 0)
		return r;
	return hmac(&k->s->salt, parts, ARRAY_SIZE(parts), salt_out);
}

/* ---- sealing ---- */

int crypt_seal_key(const uint8_t *base, const uint8_t *vault_id, uint8_t type,
		   const char *name, const uint8_t *salt, struct seal_key *out)
{
	uint8_t info[sizeof(INFO_OBJECT) + VAULT_ID_LEN + CRYPT_SALT_LEN +
		     CRYPT_NAME_MAX];
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

int keyring_seal_key(const struct keyring *k, uint8_t type, const char *name,
		     const uint8_t *salt, struct seal_key *out)
{
	if (type < 1 || type > OBJECT_TYPES)
		return -EINVAL;
	return crypt_seal_key(k->s->seal[type - 1], k->vault_id, type, name,
			      salt, out);
}

/* Begin frame @frame, up to and with the associated data. */
static EVP_CIPHER_CTX *begin_frame(const struct seal_key *k, uint32_t frame,
				   int encrypt, const void *aad, size_t aad_len,
				   size_t len)
{
	struct thread_ctx *t = thread_ctx();
	uint8_t nonce[GCM_NONCE_LEN];
	int i, n;

	if (!t || aad_len > INT_MAX || len > INT_MAX)
		return NULL;
	memcpy(nonce, k->nonce, sizeof(nonce));
	for (i = 0; i < 4; i++)
		nonce[8 + i] ^= (uint8_t)(frame >> (24 - 8 * i));
	if (EVP_CipherInit_ex(t->gcm, NULL, NULL, k->key, nonce, encrypt) != 1)
		return NULL;
	if (aad_len > 0 &&
	    EVP_CipherUpdate(t->gcm, NULL, &n, aad, (int)aad_len) != 1)
		return NULL;
	return t->gcm;
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
	return openssl_failed();
}

int crypt_open(const struct seal_key *k, uint32_t frame, const void *aad,
	       size_t aad_len, const void *in, size_t len, void *out)
{
	EVP_CIPHER_CTX *c = begin_frame(k, frame, 0, aad, aad_len, len);
	uint8_t tag[CRYPT_TAG_LEN], none[CRYPT_TAG_LEN];
	int n;

	if (!c)
		return openssl_failed();
	memcpy(tag, (const uint8_t *)in + len, sizeof(tag));
	if (EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, sizeof(tag), tag) !=
	    1)
		return openssl_failed();
	if (len > 0 && EVP_CipherUpdate(c, out, &n, in, (int)len) != 1)
		return openssl_failed();
	if (EVP_CipherFinal_ex(c, none, &n) == 1)
		return 0;
	ERR_clear_error();
	if (len > 0)
		memset(out, 0, len); /* whoever forgets to look gets nothing */
	return -EBADMSG;
}

/* ---- keys of key slots ---- */

static int scrypt_params(EVP_KDF_CTX *ctx, const void *pass, size_t len,
			 const uint8_t *salt, uint64_t n, uint32_t r,
			 uint32_t p, uint8_t *out)
{
	/* What the algorithm needs, and a little for what it counts else. */
	uint64_t max = 128 * (uint64_t)r * (n + p + 2) + (1u << 20);
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_PASSWORD, (void *)pass,
					len),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt,
					CRYPT_SALT_LEN),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_N, &n),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_R, &r),
		OSSL_PARAM_uint32(OSSL_KDF_PARAM_SCRYPT_P, &p),
		OSSL_PARAM_uint64(OSSL_KDF_PARAM_SCRYPT_MAXMEM, &max),
		OSSL_PARAM_END,
	};
	int no_memory;

	if (EVP_KDF_derive(ctx, out, CRYPT_KEY_LEN, params) == 1)
		return 0;
	no_memory = ERR_GET_REASON(ERR_peek_error()) == ERR_R_MALLOC_FAILURE;
	ERR_clear_error();
	return no_memory ? -ENOMEM : -EIO;
}

int crypt_scrypt(const void *pass, size_t len, const uint8_t *salt,
		 unsigned int log_n, unsigned int r, unsigned int p,
		 uint8_t *out)
{
	EVP_KDF *kdf;
	EVP_KDF_CTX *ctx = NULL;
	int ret = -EIO;

	if (log_n < CRYPT_SCRYPT_LOG_N_MIN || log_n > CRYPT_SCRYPT_LOG_N_MAX ||
	    r != CRYPT_SCRYPT_R || p < 1 || p > CRYPT_SCRYPT_P_MAX)
		return -EINVAL;
	kdf = EVP_KDF_fetch(NULL, "SCRYPT", NULL);
	if (kdf)
		ctx = EVP_KDF_CTX_new(kdf);
	if (ctx)
		ret = scrypt_params(ctx, pass, len, salt, (uint64_t)1 << log_n,
				    r, p, out);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	ERR_clear_error();
	return ret;
}

int crypt_keyfile_kek(const void *data, size_t len, const uint8_t *salt,
		      uint8_t *out)
{
	uint8_t prk[CRYPT_SHA256_LEN];
	int r = crypt_hkdf_extract(salt, CRYPT_SALT_LEN, data, len, prk);

	if (r == 0)
		r = expand_label(prk, "vmbackupfs/1/keyfile", out,
				 CRYPT_KEY_LEN);
	secret_wipe(prk, sizeof(prk));
	return r;
}

/* ---- AES-XTS ---- */

struct xts {
	struct secret *key; /* owned */
	EVP_CIPHER *cipher; /* owned */
};

int xts_new(const void *key, size_t len, struct xts **out)
{
	struct xts *x;

	*out = NULL;
	if (len != 32 && len != 64)
		return -EINVAL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->key = secret_new(len);
	if (!x->key) {
		xts_free(x);
		return -ENOMEM;
	}
	memcpy(x->key->data, key, len);
	x->cipher = EVP_CIPHER_fetch(
		NULL, len == 64 ? "AES-256-XTS" : "AES-128-XTS", NULL);
	if (!x->cipher) {
		xts_free(x);
		return openssl_failed();
	}
	*out = x;
	return 0;
}

void xts_free(struct xts *x)
{
	if (!x)
		return;
	EVP_CIPHER_free(x->cipher);
	secret_free(x->key);
	free(x);
}

int xts_decrypt(const struct xts *x, uint64_t tweak, size_t sector, void *data,
		size_t len)
{
	uint8_t iv[16] = { 0 }, *p = data;
	EVP_CIPHER_CTX *ctx;
	int n, ok;

	if (sector < 512 || sector > INT_MAX || sector % 512 || len % sector)
		return -EINVAL;
	ctx = EVP_CIPHER_CTX_new();
	if (!ctx)
		return -ENOMEM;
	/* The key once, then for each sector its tweak. */
	put_le64(iv, tweak);
	ok = EVP_DecryptInit_ex2(ctx, x->cipher, x->key->data, iv, NULL) == 1;
	for (; ok && len > 0; p += sector, len -= sector) {
		put_le64(iv, tweak);
		ok = EVP_DecryptInit_ex2(ctx, NULL, NULL, iv, NULL) == 1 &&
		     EVP_DecryptUpdate(ctx, p, &n, p, (int)sector) == 1;
		tweak += sector / 512;
	}
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : openssl_failed();
}
