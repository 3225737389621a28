/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LUKS 1 and 2: libcryptsetup, given a copy of the header in memory, turns a
 * passphrase into the volume's key; sectors are decrypted here, without
 * device-mapper. AES-XTS with the IV "plain64" is what cryptsetup has made by
 * default for ten years; nothing else is read.
 *
 * The IV is the number of 512-byte sectors from the begin of the data, also
 * where sectors are larger.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libcryptsetup.h>

#include "fs/guest/volumes_internal.h"
#include "store/base/secret.h"
#include "store/crypt.h"

#define HEADER_BYTES ((uint64_t)32 << 20)
#define SECTOR_MAX 4096
#define KEY_MAX 64
/* An image must not make us use more than this to try a key. */
#define PBKDF_KIB_MAX (2u << 20)

struct luks {
	struct blocks b;
	struct blocks *data; /* held: the part behind the header */
	struct xts *xts; /* owned */
	size_t sector;
	uint64_t iv; /* of the first sector */
};

/* Whole sectors. */
static int read_sectors(struct luks *l, uint64_t off, void *out, size_t len)
{
	int r = blocks_read(l->data, off, out, len);

	if (r < 0)
		return r;
	return xts_decrypt(l->xts, l->iv + off / 512, l->sector, out, len);
}

static int luks_read(struct blocks *b, uint64_t off, void *out, size_t len)
{
	struct luks *l = container_of(b, struct luks, b);
	uint8_t sector[SECTOR_MAX];
	uint8_t *to = out;
	int r = 0;

	while (len > 0 && r == 0) {
		size_t from = (size_t)(off % l->sector), n;

		if (from == 0 && len >= l->sector) {
			n = len - len % l->sector;
			r = read_sectors(l, off, to, n);
		} else {
			n = MIN(len, l->sector - from);
			r = read_sectors(l, off - from, sector, l->sector);
			if (r == 0)
				memcpy(to, sector + from, n);
		}
		to += n;
		off += n;
		len -= n;
	}
	secret_wipe(sector, sizeof(sector));
	return r;
}

static void luks_free(struct blocks *b)
{
	struct luks *l = container_of(b, struct luks, b);

	xts_free(l->xts);
	blocks_put(l->data);
	free(l);
}

static const struct blocks_ops luks_ops = {
	.read = luks_read,
	.free = luks_free,
};

/* Is opening the slot within bounds? */
static bool slot_ok(struct crypt_device *cd, int slot)
{
	struct crypt_pbkdf_type pbkdf;
	crypt_keyslot_info info = crypt_keyslot_status(cd, slot);

	if (info != CRYPT_SLOT_ACTIVE && info != CRYPT_SLOT_ACTIVE_LAST)
		return false;
	memset(&pbkdf, 0, sizeof(pbkdf));
	if (crypt_keyslot_get_pbkdf(cd, slot, &pbkdf) < 0)
		return false;
	return pbkdf.max_memory_kb <= PBKDF_KIB_MAX;
}

/* Try each key on each slot. Return 0, -EKEYREJECTED or another error. */
static int unlock(struct crypt_device *cd, const struct luks_keys *keys,
		  struct secret *key)
{
	int slot, slots = crypt_keyslot_max(crypt_get_type(cd)), r;
	size_t i, len;

	for (slot = 0; slot < slots; slot++) {
		if (!slot_ok(cd, slot))
			continue;
		for (i = 0; i < keys->n; i++) {
			const struct secret *s = keys->keys[i];

			len = key->len;
			r = crypt_volume_key_get(cd, slot, (char *)key->data,
						 &len, (const char *)s->data,
						 s->len);
			if (r >= 0 && len == key->len)
				return 0;
			if (r == -ENOMEM)
				return r;
		}
	}
	return -EKEYREJECTED;
}

/* Is it a cipher that is read here? */
static int check_cipher(struct crypt_device *cd, struct buf *why)
{
	const char *cipher = crypt_get_cipher(cd);
	const char *mode = crypt_get_cipher_mode(cd);
	int key = crypt_get_volume_key_size(cd);
	int sector = crypt_get_sector_size(cd);

	if (!cipher || !mode || strcmp(cipher, "aes") != 0 ||
	    strcmp(mode, "xts-plain64") != 0 || (key != 32 && key != 64)) {
		buf_printf(why,
			   "its cipher is %.40s-%.40s (key of %d bytes): "
			   "only aes-xts-plain64 is read",
			   cipher ? cipher : "?", mode ? mode : "?", key);
		return -EOPNOTSUPP;
	}
	if (sector < 512 || sector > SECTOR_MAX || (sector & (sector - 1))) {
		buf_printf(why, "its sectors of %d bytes cannot be", sector);
		return -EBADMSG;
	}
	return 0;
}

static int make(struct blocks *b, struct crypt_device *cd,
		const struct secret *key, struct buf *why, struct blocks **out)
{
	uint64_t off = crypt_get_data_offset(cd), len;
	struct luks *l;
	int r;

	if (off >= b->size / 512) {
		buf_printf(why, "its data would lie behind its end");
		return -EBADMSG;
	}
	off *= 512;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->sector = (size_t)crypt_get_sector_size(cd);
	l->iv = crypt_get_iv_offset(cd);
	len = b->size - off;
	len -= len % l->sector;
	blocks_init(&l->b, &luks_ops, len);
	r = blocks_slice(b, off, len, &l->data);
	if (r == 0)
		r = xts_new(key->data, key->len, &l->xts);
	if (r < 0) {
		luks_free(&l->b);
		return r;
	}
	*out = &l->b;
	return 0;
}

static void quiet(int level, const char *msg, void *arg)
{
	(void)level;
	(void)msg;
	(void)arg;
}

static int open_header(struct blocks *b, int fd, const struct luks_keys *keys,
		       struct buf *why, struct blocks **out)
{
	struct crypt_device *cd = NULL;
	struct secret *key = NULL;
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = crypt_init(&cd, path);
	if (r == 0) {
		crypt_set_log_callback(cd, quiet, NULL);
		r = crypt_load(cd, CRYPT_LUKS, NULL);
	}
	if (r < 0) {
		buf_printf(why, "its header is damaged");
		r = r == -ENOMEM ? r : -EBADMSG;
		goto out;
	}
	r = check_cipher(cd, why);
	if (r < 0)
		goto out;
	key = secret_new((size_t)crypt_get_volume_key_size(cd));
	r = key ? unlock(cd, keys, key) : -ENOMEM;
	if (r == -EKEYREJECTED)
		buf_printf(why, "none of the keys given opens it");
	if (r == 0)
		r = make(b, cd, key, why, out);
out:
	secret_free(key);
	crypt_free(cd);
	return r;
}

int luks_open(struct blocks *b, const struct luks_keys *keys, struct buf *why,
	      struct blocks **out)
{
	int fd, r;

	*out = NULL;
	r = probe_memfd(b, HEADER_BYTES, 0, &fd);
	if (r < 0)
		return r;
	r = open_header(b, fd, keys, why, out);
	close(fd);
	return r;
}
