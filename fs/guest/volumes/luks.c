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

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libcryptsetup.h>

#include "fs/guest/volumes/internal.h"
#include "store/base/secret.h"
#include "store/crypt/xts.h"

/* Both copies of LUKS2's; what the slots keep is read when one is tried. */
#define HEADER_BYTES ((uint64_t)8 << 20)
/* More than a key of 64 bytes in 4000 stripes. */
#define AREA_BYTES ((uint64_t)1 << 20)
/* In LUKS1's header; LUKS1 On-Disk Format Specification, "phdr". */
#define LUKS1_ITERATIONS 164
#define DIGEST_LEN 20
#define SECTOR_MAX 4096

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

/* ---- trying the keys ---- */

struct opening {
	struct blocks *b; /* borrowed, as all of these */
	const struct luks_keys *keys;
	struct luks_tries *tries;
	struct buf *why;
	struct crypt_device *cd;
	int fd; /* what @cd sees */
	uint64_t left; /* work that may go into this header */
	uint64_t digest; /* the part of it that each try takes for itself */
	size_t ntried;
	struct buf refused; /* the first slot that was not tried, and why */
};

/* The library keeps state of its own, and a try takes memory. */
static void enter(const struct opening *o)
{
	if (o->keys->lock)
		pthread_mutex_lock(o->keys->lock);
}

static void leave(const struct opening *o)
{
	if (o->keys->lock)
		pthread_mutex_unlock(o->keys->lock);
}

/* The work of comparing a key with the header's digest of it. */
static int digest_work(struct opening *o)
{
	struct luks_kdf kdf = { .type = "pbkdf2", .key_len = DIGEST_LEN };
	const char *json;
	uint32_t n;
	int r;

	if (strcmp(crypt_get_type(o->cd), CRYPT_LUKS1) == 0) {
		if (pread(o->fd, &n, sizeof(n), LUKS1_ITERATIONS) != sizeof(n))
			return -EIO;
		kdf.iterations = be32toh(n);
	} else {
		r = crypt_dump_json(o->cd, &json, 0);
		if (r < 0)
			return r;
		kdf.iterations = luks_digest_iterations(json);
	}
	buf_printf(o->why, "its digest of the key: ");
	r = luks_work(&kdf, o->why, &o->digest);
	if (r == 0)
		buf_clear(o->why);
	return r;
}

/* The work of a try. Return 0, or what is wrong with it in @why. */
static int slot_work(struct opening *o, int slot, struct buf *why,
		     uint64_t *out)
{
	struct crypt_pbkdf_type pbkdf;
	struct luks_kdf kdf;
	int r;

	memset(&pbkdf, 0, sizeof(pbkdf));
	memset(&kdf, 0, sizeof(kdf));
	if (crypt_keyslot_get_pbkdf(o->cd, slot, &pbkdf) < 0 || !pbkdf.type ||
	    !crypt_keyslot_get_encryption(o->cd, slot, &kdf.key_len)) {
		buf_printf(why, "it is damaged");
		return -EBADMSG;
	}
	kdf.type = pbkdf.type;
	kdf.hash = pbkdf.hash;
	kdf.iterations = pbkdf.iterations;
	kdf.kib = pbkdf.max_memory_kb;
	kdf.threads = pbkdf.parallel_threads;
	r = luks_work(&kdf, why, out);
	*out += o->digest;
	return r;
}

/* What the slot keeps, which may lie anywhere in the header's 128 MiB. */
static int slot_area(struct opening *o, int slot, struct buf *why)
{
	uint64_t off, len;
	int r;

	if (crypt_keyslot_area(o->cd, slot, &off, &len) < 0 ||
	    off > o->b->size || len > o->b->size - off) {
		buf_printf(why, "it lies behind the end of the volume");
		return -EBADMSG;
	}
	r = probe_copy(o->b, o->fd, off, off + MIN(len, AREA_BYTES));
	if (r < 0)
		buf_printf(why, "it cannot be read: %s", strerror(-r));
	return r;
}

/* Each key. Return 0 (@key is it), -EKEYREJECTED, or the reason in @why. */
static int try_keys(struct opening *o, int slot, uint64_t work,
		    struct secret *key, struct buf *why)
{
	size_t i, n = o->keys->n, len;
	int r;

	for (i = 0; i < n; i++) {
		size_t at = (o->tries->first + i) % n;
		const struct secret *s = o->keys->keys[at];

		if (work > o->left || work > o->tries->left) {
			buf_printf(why, "with the tries before, that would be "
					"too much work");
			return -EOPNOTSUPP;
		}
		o->left -= work;
		o->tries->left -= work;
		o->ntried++;
		len = key->len;
		enter(o);
		r = crypt_volume_key_get(o->cd, slot, (char *)key->data, &len,
					 (const char *)s->data, s->len);
		leave(o);
		if (r >= 0 && len == key->len) {
			o->tries->first = at;
			return 0;
		}
		if (r == -ENOMEM)
			return r;
	}
	return -EKEYREJECTED;
}

static int try_slot(struct opening *o, int slot, struct secret *key)
{
	struct buf why = BUF_INIT;
	uint64_t work = 0;
	int r;

	r = slot_work(o, slot, &why, &work);
	if (r == 0)
		r = slot_area(o, slot, &why);
	if (r == 0)
		r = try_keys(o, slot, work, key, &why);
	buf_put_u8(&why, 0);
	if (buf_error(&why) < 0)
		r = -ENOMEM;
	if (r < 0 && r != -EKEYREJECTED && r != -ENOMEM && o->refused.len == 0)
		buf_printf(&o->refused, "its key slot %d: %s", slot,
			   (const char *)why.data);
	buf_release(&why);
	return r;
}

/* Try each key on each slot. Return 0, or the reason is said. */
static int unlock(struct opening *o, struct secret *key)
{
	int slot, slots = crypt_keyslot_max(crypt_get_type(o->cd)), r;
	crypt_keyslot_info info;

	r = digest_work(o);
	if (r < 0)
		return r;
	for (slot = 0; slot < slots; slot++) {
		info = crypt_keyslot_status(o->cd, slot);
		if (info != CRYPT_SLOT_ACTIVE && info != CRYPT_SLOT_ACTIVE_LAST)
			continue;
		r = try_slot(o, slot, key);
		if (r == 0 || r == -ENOMEM)
			return r;
	}
	if (o->ntried || o->refused.len == 0)
		buf_printf(o->why, "none of the keys given opens it");
	if (o->ntried && o->refused.len)
		buf_printf(o->why, ", and ");
	buf_put(o->why, o->refused.data, o->refused.len);
	return -EKEYREJECTED;
}

/* ---- what was unlocked ---- */

/* Is all of the data encrypted, one sector after the other? */
static int check_layout(struct crypt_device *cd, struct buf *why)
{
	struct crypt_params_integrity with;
	uint32_t flags = 0;

	if (strcmp(crypt_get_type(cd), CRYPT_LUKS1) == 0)
		return 0;
	if (crypt_persistent_flags_get(cd, CRYPT_FLAGS_REQUIREMENTS, &flags) <
		    0 ||
	    flags & CRYPT_REQUIREMENT_UNKNOWN) {
		buf_printf(why, "it has a feature that is not known");
		return -EOPNOTSUPP;
	}
	if (flags) {
		buf_printf(why, "it was being encrypted anew when it was "
				"backed up, and is part one, part the other");
		return -EOPNOTSUPP;
	}
	memset(&with, 0, sizeof(with));
	if (crypt_get_integrity_info(cd, &with) == 0 && with.integrity) {
		buf_printf(why,
			   "it has checksums among its data (%.40s), which "
			   "are not read",
			   with.integrity);
		return -EOPNOTSUPP;
	}
	return 0;
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

static int load_header(struct opening *o)
{
	char path[64];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->fd);
	enter(o);
	r = crypt_init(&o->cd, path);
	if (r == 0) {
		crypt_set_log_callback(o->cd, quiet, NULL);
		r = crypt_load(o->cd, CRYPT_LUKS, NULL);
	}
	leave(o);
	if (r == 0 || r == -ENOMEM)
		return r;
	buf_printf(o->why, "its header is damaged");
	return -EBADMSG;
}

static int open_header(struct opening *o, struct blocks **out)
{
	struct secret *key = NULL;
	int r = load_header(o);

	if (r == 0)
		r = check_layout(o->cd, o->why);
	if (r == 0)
		r = check_cipher(o->cd, o->why);
	if (r < 0)
		return r;
	key = secret_new((size_t)crypt_get_volume_key_size(o->cd));
	r = key ? unlock(o, key) : -ENOMEM;
	if (r == 0)
		r = make(o->b, o->cd, key, o->why, out);
	secret_free(key);
	return r;
}

int luks_open(struct blocks *b, const struct luks_keys *keys,
	      struct luks_tries *tries, struct buf *why, struct blocks **out)
{
	struct opening o = {
		.b = b,
		.keys = keys,
		.tries = tries,
		.why = why,
		.left = LUKS_WORK_MAX + LUKS_WORK_KEY * keys->n,
	};
	int r;

	*out = NULL;
	r = probe_memfd(b, HEADER_BYTES, 0, &o.fd);
	if (r < 0)
		return r;
	r = open_header(&o, out);
	crypt_free(o.cd);
	buf_release(&o.refused);
	close(o.fd);
	return r;
}
