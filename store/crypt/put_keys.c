/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/crypt/put_keys.h"

#include <errno.h>
#include <string.h>

#include "store/base/bytes.h"
#include "store/base/secret.h"

#define SLOT_VERSION 1
#define NAME_AT 184

static size_t length_of(size_t name_len)
{
	size_t len = NAME_AT + name_len;

	return len + (33 - len % 32) % 32;
}

struct secret *put_keys_encode(const struct put_keys *k)
{
	size_t name_len = strlen(k->machine);
	struct secret *s = secret_new(length_of(name_len));
	uint8_t *p = s ? s->data : NULL;

	if (!s)
		return NULL;
	p[0] = SLOT_VERSION;
	put_le32(p + 1, k->epoch);
	memcpy(p + 5, k->vault_key, sizeof(k->vault_key));
	memcpy(p + 37, k->id, sizeof(k->id));
	memcpy(p + 69, k->sip, sizeof(k->sip));
	memcpy(p + 85, k->sid, sizeof(k->sid));
	memcpy(p + 117, k->hedge, sizeof(k->hedge));
	memcpy(p + 149, k->chunker, sizeof(k->chunker));
	p[181] = (uint8_t)k->parity;
	put_le16(p + 182, (uint16_t)name_len);
	memcpy(p + NAME_AT, k->machine, name_len);
	return s;
}

static bool is_zero(const uint8_t *p, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (p[i])
			return false;
	return true;
}

int put_keys_decode(const void *data, size_t len, struct put_keys *out)
{
	const uint8_t *p = data;
	size_t name_len;

	if (len < NAME_AT || p[0] != SLOT_VERSION)
		return -EOPNOTSUPP;
	name_len = get_le16(p + 182);
	if (name_len > PUT_MACHINE_MAX || len != length_of(name_len) ||
	    !put_is(get_le32(p + 1)) || p[181] > PUT_PARITY_MAX ||
	    memchr(p + NAME_AT, '\0', name_len) ||
	    !is_zero(p + NAME_AT + name_len, len - NAME_AT - name_len))
		return -EOPNOTSUPP;
	memset(out, 0, sizeof(*out));
	out->epoch = get_le32(p + 1);
	memcpy(out->vault_key, p + 5, sizeof(out->vault_key));
	memcpy(out->id, p + 37, sizeof(out->id));
	memcpy(out->sip, p + 69, sizeof(out->sip));
	memcpy(out->sid, p + 85, sizeof(out->sid));
	memcpy(out->hedge, p + 117, sizeof(out->hedge));
	memcpy(out->chunker, p + 149, sizeof(out->chunker));
	out->parity = p[181];
	memcpy(out->machine, p + NAME_AT, name_len);
	return 0;
}
