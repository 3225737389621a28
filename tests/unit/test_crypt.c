/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Known answers that are not from a standard were computed with Python's hmac,
 * hashlib and cryptography from the derivations in vmbackup-vault(5).
 */
#include "config.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/base/hex.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/crypt/sign.h"

static struct keyring *ring;

static void assert_hex(const void *data, const char *want)
{
	char text[512];

	assert_true(strlen(want) < sizeof(text));
	hex_encode(data, strlen(want) / 2, text);
	assert_string_equal(text, want);
}

static void from_hex(const char *text, uint8_t *out)
{
	assert_int_equal(hex_decode(text, strlen(text) / 2, out), 0);
}

static void fill(uint8_t *p, size_t len, unsigned int from)
{
	while (len--)
		*p++ = (uint8_t)from++;
}

/* A generator that is stuck, or broken. */
static int random_error;

static int stuck_random(struct seam *s, void *out, size_t len)
{
	(void)s;
	memset(out, 0x55, len);
	return random_error;
}

static const struct seam_ops stuck_ops = { .random = stuck_random };
static struct seam stuck = { &stuck_ops };

static struct keyring *make_ring(unsigned int from, unsigned int id_from)
{
	struct secret *master = secret_new(CRYPT_KEY_LEN);
	uint8_t id[VAULT_ID_LEN];
	struct keyring *k;

	fill(master->data, master->len, from);
	fill(id, sizeof(id), id_from);
	assert_int_equal(keyring_new(master, id, &k), 0);
	secret_free(master); /* it was borrowed */
	return k;
}

static int setup(void **state)
{
	(void)state;
	ring = make_ring(0, 0xa0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	keyring_free(ring);
	keyring_free(NULL);
	return 0;
}

/* ---- hashes and derivation ---- */

static void test_sha256(void **state)
{
	uint8_t data[1000], out[32], want[32];
	struct sha256 *h;
	size_t cut;

	(void)state;
	assert_int_equal(crypt_sha256("abc", 3, out), 0); /* FIPS 180-2 */
	assert_hex(out, "ba7816bf8f01cfea414140de5dae2223"
			"b00361a396177a9cb410ff61f20015ad");
	assert_int_equal(crypt_sha256("", 0, out), 0);
	assert_hex(out, "e3b0c44298fc1c149afbf4c8996fb924"
			"27ae41e4649b934ca495991b7852b855");
	fill(data, sizeof(data), 0);
	assert_int_equal(crypt_sha256(data, sizeof(data), want), 0);
	for (cut = 0; cut <= sizeof(data); cut += 125) {
		assert_int_equal(sha256_new(&h), 0);
		assert_int_equal(sha256_update(h, data, cut), 0);
		/* others on this thread do not disturb it */
		assert_int_equal(crypt_sha256("abc", 3, out), 0);
		assert_int_equal(
			sha256_update(h, data + cut, sizeof(data) - cut), 0);
		assert_int_equal(sha256_finish(h, out), 0);
		sha256_free(h);
		assert_memory_equal(out, want, 32);
	}
	sha256_free(NULL);
}

static void test_hkdf_rfc5869(void **state)
{
	uint8_t ikm[80], salt[80], info[80], prk[32], okm[82];

	(void)state;
	memset(ikm, 0x0b, 22); /* A.1 */
	fill(salt, 13, 0);
	fill(info, 10, 0xf0);
	assert_int_equal(crypt_hkdf_extract(salt, 13, ikm, 22, prk), 0);
	assert_hex(prk, "077709362c2e32df0ddc3f0dc47bba63"
			"90b6c73bb50f9c3122ec844ad7c2b3e5");
	assert_int_equal(crypt_hkdf_expand(prk, info, 10, okm, 42), 0);
	assert_hex(okm, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db0"
			"2d56ecc4c5bf34007208d5b887185865");

	fill(ikm, 80, 0); /* A.2 */
	fill(salt, 80, 0x60);
	fill(info, 80, 0xb0);
	assert_int_equal(crypt_hkdf_extract(salt, 80, ikm, 80, prk), 0);
	assert_int_equal(crypt_hkdf_expand(prk, info, 80, okm, 82), 0);
	assert_hex(okm, "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050"
			"cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275"
			"600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5"
			"c1f3434f1d87");

	memset(ikm, 0x0b, 22); /* A.3 */
	assert_int_equal(crypt_hkdf_extract(NULL, 0, ikm, 22, prk), 0);
	assert_hex(prk, "19ef24a32c717b167f33a91d6f648bdf"
			"96596776afdb6377ac434c1c293ccb04");
	assert_int_equal(crypt_hkdf_expand(prk, NULL, 0, okm, 42), 0);
	assert_hex(okm, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec345"
			"4e5f3c738d2d9d201395faa4b61a96c8");
}

static void test_hkdf_length(void **state)
{
	uint8_t prk[32] = { 1 }, *okm = malloc(255 * 32 + 1);

	(void)state;
	assert_non_null(okm);
	assert_int_equal(crypt_hkdf_expand(prk, "", 0, okm, 255 * 32), 0);
	assert_int_equal(crypt_hkdf_expand(prk, "", 0, okm, 255 * 32 + 1),
			 -EINVAL);
	okm[0] = 0x77;
	assert_int_equal(crypt_hkdf_expand(prk, "", 0, okm, 0), 0);
	assert_int_equal(okm[0], 0x77);
	free(okm);
}

static void test_equal(void **state)
{
	(void)state;
	assert_true(crypt_equal("same", "same", 4));
	assert_false(crypt_equal("same", "sane", 4));
	assert_true(crypt_equal("a", "b", 0));
}

/* ---- keyring ---- */

static void test_keyring_known_answers(void **state)
{
	uint8_t id[VAULT_ID_LEN], master[32];

	(void)state;
	fill(id, sizeof(id), 0xa0);
	fill(master, sizeof(master), 0);
	assert_memory_equal(keyring_vault_id(ring), id, sizeof(id));
	assert_int_equal(keyring_master(ring)->len, sizeof(master));
	assert_memory_equal(keyring_master(ring)->data, master, sizeof(master));
	assert_true(keyring_gear(ring)[0] == 0xc166d31f99bf0629);
	assert_true(keyring_gear(ring)[255] == 0x6c61b6b890fe28eb);
	assert_hex(keyring_sipkey(ring), "8a4cc1b85f9dcf147bb508f35ddfeb51");
}

static void test_id_known_answers(void **state)
{
	uint8_t *zeros = calloc(1, 65536);
	struct id id;

	(void)state;
	assert_non_null(zeros);
	assert_int_equal(keyring_id(ring, 1, "", 0, &id), 0);
	assert_hex(id.b, "ed9abe9d98b8946cafe67100fd88f7a4"
			 "46f978c3bf842b7f30ef04f06366a3a6");
	assert_int_equal(keyring_id(ring, 1, NULL, 0, &id), 0);
	assert_hex(id.b, "ed9abe9d98b8946cafe67100fd88f7a4"
			 "46f978c3bf842b7f30ef04f06366a3a6");
	assert_int_equal(keyring_id(ring, 3, "hello", 5, &id), 0);
	assert_hex(id.b, "0e84a99f567e6885e4b0bf622e3ae3b1"
			 "d548d83cd242e7861d497c98ece5a576");
	assert_int_equal(keyring_id(ring, 4, zeros, 65536, &id), 0);
	assert_hex(id.b, "23d3c16e0ccfb0b0aa585967a44cf780"
			 "356eec28a4715550ba959209add6f2aa");
	free(zeros);
}

static void test_id_depends_on_all(void **state)
{
	struct keyring *key = make_ring(1, 0xa0), *vault = make_ring(0, 0xa1);
	struct id id, other;

	(void)state;
	assert_int_equal(keyring_id(ring, 1, "hello", 5, &id), 0);
	assert_int_equal(keyring_id(ring, 2, "hello", 5, &other), 0);
	assert_false(id_equal(&id, &other));
	assert_int_equal(keyring_id(ring, 1, "hello", 4, &other), 0);
	assert_false(id_equal(&id, &other));
	assert_int_equal(keyring_id(key, 1, "hello", 5, &other), 0);
	assert_false(id_equal(&id, &other));
	assert_int_equal(keyring_id(vault, 1, "hello", 5, &other), 0);
	assert_false(id_equal(&id, &other));
	keyring_free(key);
	keyring_free(vault);
}

static void test_keyring_wrong_length(void **state)
{
	struct secret *master = secret_new(31);
	uint8_t id[VAULT_ID_LEN] = { 0 };
	struct keyring *k = ring;

	(void)state;
	assert_int_equal(keyring_new(master, id, &k), -EINVAL);
	assert_null(k);
	secret_free(master);
}

static void test_salt(void **state)
{
	uint8_t digest[32], salt[32], other[32];

	(void)state;
	memset(digest, 7, sizeof(digest));
	random_error = 0;
	assert_int_equal(keyring_salt(ring, &stuck, "pack/x", digest, salt), 0);
	assert_hex(salt, "cc928d2dc6fda987dba26b542a1dfc78"
			 "f3e521aca56c495ce3db8377dd42c94b");
	/* the generator stuck, name or content still make another one */
	assert_int_equal(keyring_salt(ring, &stuck, "pack/y", digest, other),
			 0);
	assert_memory_not_equal(salt, other, 32);
	digest[31] ^= 1;
	assert_int_equal(keyring_salt(ring, &stuck, "pack/x", digest, other),
			 0);
	assert_memory_not_equal(salt, other, 32);
	/* and name and content the same, the generator does */
	digest[31] ^= 1;
	assert_int_equal(
		keyring_salt(ring, seam_system(), "pack/x", digest, other), 0);
	assert_memory_not_equal(salt, other, 32);
	random_error = -EAGAIN;
	assert_int_equal(keyring_salt(ring, &stuck, "pack/x", digest, other),
			 -EAGAIN);
}

static void test_seal_key_known_answers(void **state)
{
	uint8_t salt[CRYPT_SALT_LEN];
	struct seal_key k;

	(void)state;
	memset(salt, 9, sizeof(salt));
	assert_int_equal(keyring_seal_key(ring, 4, 0, "pack/x", salt, &k), 0);
	assert_hex(k.key, "72ed77aca2013ff8ec935567c40e5a19"
			  "707ec246bfcac2622cf6959b4c9548b9");
	assert_hex(k.nonce, "6fc9b96c0e5fffe783c971e3");
	assert_hex(k.commit, "6bed82a4412d65063f6757820ed40e7e"
			     "adee0d3af6be9e2c19f040b029324747");
	assert_int_equal(keyring_seal_key(ring, 8, 0, "", salt, &k), 0);
	assert_hex(k.key, "96863163caadd0eb5d96c75c89374eb4"
			  "3aa65e1a36fa3f528ca76907032eb567");
}

static void test_seal_key_depends_on_all(void **state)
{
	struct keyring *vault = make_ring(0, 0xa1);
	uint8_t salt[CRYPT_SALT_LEN] = { 0 };
	struct seal_key k[5];
	size_t i, j;

	(void)state;
	assert_int_equal(keyring_seal_key(ring, 4, 0, "a", salt, &k[0]), 0);
	assert_int_equal(keyring_seal_key(ring, 5, 0, "a", salt, &k[1]), 0);
	assert_int_equal(keyring_seal_key(ring, 4, 0, "b", salt, &k[2]), 0);
	assert_int_equal(keyring_seal_key(vault, 4, 0, "a", salt, &k[3]), 0);
	salt[0] ^= 1;
	assert_int_equal(keyring_seal_key(ring, 4, 0, "a", salt, &k[4]), 0);
	for (i = 0; i < 5; i++)
		for (j = 0; j < i; j++) {
			assert_memory_not_equal(k[i].key, k[j].key, 32);
			assert_memory_not_equal(k[i].nonce, k[j].nonce, 12);
			assert_memory_not_equal(k[i].commit, k[j].commit, 32);
		}
	keyring_free(vault);
}

static void test_seal_key_bounds(void **state)
{
	uint8_t salt[CRYPT_SALT_LEN] = { 0 };
	char name[CRYPT_NAME_MAX + 2];
	struct seal_key k;

	(void)state;
	assert_int_equal(keyring_seal_key(ring, 0, 0, "a", salt, &k), -EINVAL);
	assert_int_equal(keyring_seal_key(ring, 25, 0, "a", salt, &k), -EINVAL);
	memset(name, 'n', sizeof(name));
	name[CRYPT_NAME_MAX + 1] = '\0';
	assert_int_equal(keyring_seal_key(ring, 1, 0, name, salt, &k), -EINVAL);
	name[CRYPT_NAME_MAX] = '\0';
	assert_int_equal(keyring_seal_key(ring, 1, 0, name, salt, &k), 0);
}

/* ---- sealing ---- */

/* McGrew and Viega, The Galois/Counter Mode of Operation, cases 13, 14, 16;
 * they are among NIST's vectors too. */
static void test_gcm_vectors(void **state)
{
	struct seal_key k = { { 0 }, { 0 }, { 0 } };
	uint8_t data[60 + CRYPT_TAG_LEN], aad[20];

	(void)state;
	assert_int_equal(crypt_seal(&k, 0, NULL, 0, data, 0), 0);
	assert_hex(data, "530f8afbc74536b9a963b4f1c4cb738b");
	memset(data, 0, 16);
	assert_int_equal(crypt_seal(&k, 0, NULL, 0, data, 16), 0);
	assert_hex(data, "cea7403d4d606b6e074ec5d3baf39d18"
			 "d0d1c8a799996bf0265b98b5d48ab919");

	from_hex("feffe9928665731c6d6a8f9467308308"
		 "feffe9928665731c6d6a8f9467308308",
		 k.key);
	from_hex("cafebabefacedbaddecaf888", k.nonce);
	from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", aad);
	from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a31"
		 "8a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
		 data);
	assert_int_equal(crypt_seal(&k, 0, aad, 20, data, 60), 0);
	assert_hex(data, "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598"
			 "a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e63"
			 "93ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b");
}

/* The frame's number is xored, big-endian, to the nonce's last four bytes. */
static void test_frame_number_in_nonce(void **state)
{
	struct seal_key k = { { 1 }, { 2 }, { 0 } }, moved = k;
	uint8_t a[32 + CRYPT_TAG_LEN] = { 0 }, b[32 + CRYPT_TAG_LEN] = { 0 };

	(void)state;
	memset(k.nonce, 0xc3, 12);
	memset(moved.nonce, 0xc3, 12);
	moved.nonce[8] ^= 0x01;
	moved.nonce[9] ^= 0x02;
	moved.nonce[10] ^= 0x03;
	moved.nonce[11] ^= 0x04;
	assert_int_equal(crypt_seal(&k, 0x01020304, "x", 1, a, 32), 0);
	assert_int_equal(crypt_seal(&moved, 0, "x", 1, b, 32), 0);
	assert_memory_equal(a, b, sizeof(a));
}

static void test_seal_and_open(void **state)
{
	static const size_t lens[] = { 0, 1, 15, 16, 17, 4096, 131072 };
	uint8_t *plain = malloc(131072), *box = malloc(131072 + CRYPT_TAG_LEN);
	uint8_t *out = malloc(131072);
	uint8_t salt[CRYPT_SALT_LEN] = { 0 };
	struct seal_key k;
	uint32_t i;

	(void)state;
	assert_true(plain && box && out);
	fill(plain, 131072, 3);
	assert_int_equal(keyring_seal_key(ring, 4, 0, "p", salt, &k), 0);
	for (i = 0; i < 7; i++) {
		size_t len = lens[i];

		memcpy(box, plain, len);
		assert_int_equal(crypt_seal(&k, i, "aad", 3, box, len), 0);
		if (len > 8)
			assert_memory_not_equal(box, plain, len);
		memset(out, 0, len);
		assert_int_equal(crypt_open(&k, i, "aad", 3, box, len, out), 0);
		assert_memory_equal(out, plain, len);
		assert_int_equal(crypt_open(&k, i, "aad", 3, box, len, box), 0);
		assert_memory_equal(box, plain, len); /* in place */
	}
	free(plain);
	free(box);
	free(out);
}

static void test_every_bit_counts(void **state)
{
	uint8_t box[24 + CRYPT_TAG_LEN], aad[21], out[24];
	uint8_t zeros[24] = { 0 };
	struct seal_key k = { { 1 }, { 2 }, { 3 } };
	size_t i;

	(void)state;
	fill(box, 24, 0);
	fill(aad, sizeof(aad), 0);
	assert_int_equal(crypt_seal(&k, 5, aad, sizeof(aad), box, 24), 0);
	for (i = 0; i < 8 * sizeof(box); i++) {
		box[i / 8] ^= (uint8_t)(1 << i % 8);
		memset(out, 0xee, sizeof(out));
		assert_int_equal(crypt_open(&k, 5, aad, sizeof(aad), box, 24,
					    out),
				 -EBADMSG);
		/* what is not authentic is not shown */
		assert_memory_equal(out, zeros, sizeof(out));
		box[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (i = 0; i < 8 * sizeof(aad); i++) {
		aad[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(crypt_open(&k, 5, aad, sizeof(aad), box, 24,
					    out),
				 -EBADMSG);
		aad[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(crypt_open(&k, 4, aad, sizeof(aad), box, 24, out),
			 -EBADMSG);
	assert_int_equal(crypt_open(&k, 5, aad, sizeof(aad) - 1, box, 24, out),
			 -EBADMSG);
	assert_int_equal(crypt_open(&k, 5, aad, sizeof(aad), box, 23, out),
			 -EBADMSG);
	assert_int_equal(crypt_open(&k, 5, aad, sizeof(aad), box, 24, out), 0);
}

static void test_too_long(void **state)
{
	struct seal_key k = { { 1 }, { 2 }, { 3 } };
	uint8_t data[CRYPT_TAG_LEN] = { 0 };

	(void)state;
	/* refused before a byte is read */
	assert_int_equal(
		crypt_open(&k, 0, NULL, 0, data, (size_t)1 << 31, data), -EIO);
	assert_int_equal(
		crypt_open(&k, 0, data, (size_t)1 << 31, data, 0, data), -EIO);
}

/* ---- passphrases and key files ---- */

static void test_scrypt(void **state)
{
	uint8_t salt[CRYPT_SALT_LEN], out[CRYPT_KEY_LEN];

	(void)state;
	memset(salt, 9, sizeof(salt));
	assert_int_equal(crypt_scrypt("correct horse", 13, salt, 14, 8, 1, out),
			 0);
	assert_hex(out, "b56d44672aac5b188404b8eafcf99451"
			"ae81fc1a204bcff8b3b8458ff5b87a94");
	assert_int_equal(crypt_scrypt("", 0, salt, 14, 8, 4, out), 0);
	assert_hex(out, "ed0bd1e89b31792e5f192e6a28e1b2fc"
			"6db0bf05371f580f93c2d2abf4ff7f48");
}

static void test_scrypt_bounds(void **state)
{
	static const unsigned int bad[][3] = {
		{ 13, 8, 1 },		{ 22, 8, 1 }, { 0, 8, 1 },
		{ 78, 8, 1 },		{ 14, 7, 1 }, { 14, 9, 1 },
		{ 14, 8, 0 },		{ 14, 8, 5 }, { 14, 0, 1 },
		{ 14, 8, 0x80000000u },
	};
	uint8_t salt[CRYPT_SALT_LEN] = { 0 }, out[CRYPT_KEY_LEN];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(crypt_scrypt("x", 1, salt, bad[i][0],
					      bad[i][1], bad[i][2], out),
				 -EINVAL);
}

static void test_keyfile(void **state)
{
	uint8_t salt[CRYPT_SALT_LEN], out[CRYPT_KEY_LEN];

	(void)state;
	memset(salt, 9, sizeof(salt));
	assert_int_equal(crypt_keyfile_kek("key file\n", 9, salt, out), 0);
	assert_hex(out, "88afa7bd780bbd250588b498e2e566c7"
			"e5f7b736a4cf2b585084177f16c6bd82");
}

/* ---- threads ---- */

struct worker {
	pthread_t thread;
	uint8_t number;
	int errors;
};

/* All share one keyring; each has a key and plaintexts of its own. */
static void *work(void *arg)
{
	struct worker *w = arg;
	uint8_t salt[CRYPT_SALT_LEN] = { w->number };
	uint8_t plain[3000], box[3000 + CRYPT_TAG_LEN], out[3000];
	struct seal_key k;
	struct id id, first;
	uint32_t i;

	memset(plain, w->number, sizeof(plain));
	w->errors += keyring_seal_key(ring, 4, 0, "p", salt, &k) != 0;
	w->errors += keyring_id(ring, 1, plain, sizeof(plain), &first) != 0;
	for (i = 0; i < 500; i++) {
		memcpy(box, plain, sizeof(plain));
		w->errors += crypt_seal(&k, i, "a", 1, box, 3000) != 0;
		w->errors += crypt_open(&k, i, "a", 1, box, 3000, out) != 0;
		w->errors += memcmp(out, plain, sizeof(out)) != 0;
		w->errors += keyring_id(ring, 1, out, 3000, &id) != 0;
		w->errors += !id_equal(&id, &first);
	}
	return NULL;
}

/* RFC 8032, 7.1, the second test. */
static void test_signatures(void **state)
{
	uint8_t seed[SIGN_SEED_LEN], key[SIGN_KEY_LEN], sig[SIGN_LEN];
	const uint8_t text[1] = { 0x72 }, other[1] = { 0x73 };

	(void)state;
	from_hex(
		"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		seed);
	assert_int_equal(sign_public(seed, key), 0);
	assert_hex(key,
		   "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f1"
		   "2af4660c");
	assert_int_equal(sign_make(seed, text, sizeof(text), sig), 0);
	assert_hex(sig,
		   "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223"
		   "ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aee"
		   "b00d291612bb0c00");
	assert_int_equal(sign_verify(key, text, sizeof(text), sig), 0);
	assert_int_equal(sign_verify(key, other, sizeof(other), sig), -EBADMSG);
	sig[40] ^= 1;
	assert_int_equal(sign_verify(key, text, sizeof(text), sig), -EBADMSG);
	/* No point of the curve. */
	sig[40] ^= 1;
	memset(key, 0xff, sizeof(key));
	assert_int_equal(sign_verify(key, text, sizeof(text), sig), -EBADMSG);
}

static void test_threads(void **state)
{
	struct worker w[4];
	uint8_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		w[i].number = i;
		w[i].errors = 0;
		assert_int_equal(
			pthread_create(&w[i].thread, NULL, work, &w[i]), 0);
	}
	for (i = 0; i < 4; i++) {
		pthread_join(w[i].thread, NULL);
		assert_int_equal(w[i].errors, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sha256),
		cmocka_unit_test(test_hkdf_rfc5869),
		cmocka_unit_test(test_hkdf_length),
		cmocka_unit_test(test_equal),
		cmocka_unit_test(test_keyring_known_answers),
		cmocka_unit_test(test_id_known_answers),
		cmocka_unit_test(test_id_depends_on_all),
		cmocka_unit_test(test_keyring_wrong_length),
		cmocka_unit_test(test_salt),
		cmocka_unit_test(test_seal_key_known_answers),
		cmocka_unit_test(test_seal_key_depends_on_all),
		cmocka_unit_test(test_seal_key_bounds),
		cmocka_unit_test(test_gcm_vectors),
		cmocka_unit_test(test_frame_number_in_nonce),
		cmocka_unit_test(test_seal_and_open),
		cmocka_unit_test(test_every_bit_counts),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_scrypt),
		cmocka_unit_test(test_scrypt_bounds),
		cmocka_unit_test(test_keyfile),
		cmocka_unit_test(test_signatures),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
