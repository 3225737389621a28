/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See records.h. */
#include "config.h"

#include "tests/unit/records.h"

#include <stdio.h>
#include <string.h>

#include "store/backend/mem.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/pack_list.h"
#include "store/record/verified.h"
#include "store/vault.h"

#define GID "00112233445566778899aabbccddeeff"
#define FEATURE_WORDS 16 /* bytes of them, in clear text */

static const struct {
	const char *label;
	uint8_t type;
	const char *text; /* the plaintext; NULL: it is made */
} records[RECORDS] = {
	[RECORD_NOTE] = { "note", OBJECT_NOTE,
			  "{\"kind\":\"protect\",\"by\":\"t\",\"time_ns\":1}" },
	[RECORD_MACHINE] = { "machine", OBJECT_MACHINE, NULL },
	[RECORD_FORGET] = { "forget", OBJECT_FORGET,
			    "{\"by\":\"t\",\"time_ns\":1}" },
	[RECORD_PURGE] = { "purge", OBJECT_PURGE, "{\"verdict\":\"KEPT\"}" },
	[RECORD_TOMB] = { "tomb", OBJECT_TOMB, NULL },
	[RECORD_SWEEP] = { "sweep", OBJECT_SWEEP, NULL },
	[RECORD_QUARANTINE] = { "quarantine", OBJECT_QUARANTINE,
				"{\"what\":\"x\",\"by\":\"t\",\"time_ns\":1}" },
	[RECORD_LIFTED] = { "lifted", OBJECT_QUARANTINE,
			    "{\"what\":\"whole\",\"time_ns\":2}" },
	[RECORD_HEARTBEAT] = { "heartbeat", OBJECT_HEARTBEAT,
			       "{\"time_ns\":1}" },
	[RECORD_FEATURE] = { "feature", OBJECT_FEATURE, "{}" },
	[RECORD_LEDGER] = { "ledger", OBJECT_LEDGER, NULL },
};

const char *record_label(enum record r)
{
	return records[r].label;
}

void record_name(enum record r, const struct point *p, const char *pack,
		 char *out, size_t len)
{
	switch (r) {
	case RECORD_TOMB:
	case RECORD_SWEEP:
		snprintf(out, len, "%s/" GID, records[r].label);
		break;
	case RECORD_QUARANTINE:
		snprintf(out, len, "quarantine/%s", pack);
		break;
	case RECORD_LIFTED:
		snprintf(out, len, "quarantine/%s-1", pack);
		break;
	case RECORD_FEATURE:
		snprintf(out, len, "feature/1");
		break;
	case RECORD_MACHINE:
		snprintf(out, len, "machine/%s-0", p->machine);
		break;
	case RECORD_HEARTBEAT:
		snprintf(out, len, "heartbeat/%s-0", p->session);
		break;
	case RECORD_LEDGER:
		snprintf(out, len, "ledger/%s-0", p->session);
		break;
	default:
		snprintf(out, len, "%s/%s-0", records[r].label, p->id);
	}
}

static void make_ledger(const char *pack, struct buf *out)
{
	uint8_t hash[CRYPT_SHA256_LEN];

	assert_ok(format_pack_hash(pack, hash));
	buf_put_varint(out, 1);
	buf_put_bytes(out, "t", 1);
	buf_put_varint(out, 1);
	verified_put_pack(out, hash, 1, 0);
	buf_put_varint(out, 0); /* says nothing of points */
	buf_put_varint(out, 0);
}

static void make_plain(enum record r, const struct point *p, const char *pack,
		       struct buf *out)
{
	struct pack_list l = { .n = 0 };

	if (r == RECORD_MACHINE) {
		buf_printf(out,
			   "{\"kind\":\"name\",\"text\":\"%s\",\"time_ns\":1}",
			   p->vm);
	} else if (r == RECORD_TOMB) {
		assert_ok(pack_list_add(&l, pack));
		tomb_encode(&l, out);
		pack_list_release(&l);
	} else if (r == RECORD_LEDGER) {
		make_ledger(pack, out);
	} else if (r == RECORD_SWEEP) {
		buf_put_u8(out, 2); /* of no pack */
		buf_put_varint(out, 0);
	} else {
		buf_put(out, records[r].text, strlen(records[r].text));
	}
	assert_ok(buf_error(out));
}

void records_plant(struct vault *v, struct backend *b, const struct point *p,
		   const char *pack)
{
	static const uint8_t words[FEATURE_WORDS];
	size_t r;

	for (r = 0; r < RECORDS; r++) {
		AUTO_BUF struct buf plain = BUF_INIT, box = BUF_INIT;
		char name[OBJECT_NAME_MAX];
		bool clear = r == RECORD_FEATURE;

		make_plain((enum record)r, p, pack, &plain);
		record_name((enum record)r, p, pack, name, sizeof(name));
		assert_ok(format_seal_box(vault_keyring(v), NULL, NULL,
					  vault_seam(v), records[r].type, name,
					  clear ? words : NULL,
					  clear ? sizeof(words) : 0, plain.data,
					  plain.len, &box));
		assert_ok(backend_mem_set(b, name, box.data, box.len));
	}
}
