/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Notes, wishes, verdicts, quarantines, tombs, sweeps, config, features, digests and ledgers; the first byte
 * says which. What a decoder takes is encoded again, and must read back as the
 * same. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/record/config.h"
#include "store/record/digest.h"
#include "store/record/forget.h"
#include "store/record/note.h"
#include "store/record/pack_list.h"
#include "store/record/purge.h"
#include "store/record/quarantine.h"
#include "store/record/verified.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void one_note(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct note n, again;

	if (note_decode(data, len, "fuzz", &n) < 0)
		return;
	if (n.kind != NOTE_OTHER) {
		if (note_encode(n.kind, n.text, n.by, n.time_ns, &b) < 0 ||
		    note_decode(b.data, b.len, "again", &again) < 0 ||
		    again.kind != n.kind || again.time_ns != n.time_ns ||
		    !again.text != !n.text ||
		    (n.text && strcmp(n.text, again.text) != 0))
			abort();
		note_release(&again);
	}
	note_release(&n);
}

static void one_wish(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct forget f, again;

	if (forget_decode(data, len, "fuzz", &f) < 0)
		return;
	if (forget_encode(&f, &b) < 0 ||
	    forget_decode(b.data, b.len, "again", &again) < 0 ||
	    again.time_ns != f.time_ns || again.until_ns != f.until_ns ||
	    !again.by != !f.by || !again.reason != !f.reason ||
	    (f.by && strcmp(f.by, again.by) != 0) ||
	    (f.reason && strcmp(f.reason, again.reason) != 0))
		abort();
	forget_release(&again);
	forget_release(&f);
}

static void one_verdict(const uint8_t *data, size_t len)
{
	bool purged;

	(void)!purge_decode(data, len, "fuzz", &purged);
}

static void one_config(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct config_doc c, again;

	if (config_decode(data, len, &c) < 0)
		return;
	config_encode(&c, &b);
	if (buf_error(&b) < 0 || config_decode(b.data, b.len, &again) < 0 ||
	    again.created_ns != c.created_ns ||
	    again.has_chunker != c.has_chunker ||
	    memcmp(again.chunker, c.chunker, sizeof(c.chunker)) != 0)
		abort();
}

static void some_features(const uint8_t *data, size_t len)
{
	struct feature_words f = { 0 };
	uint8_t again[FEATURES_LEN];

	if (features_decode(data, len, "fuzz", &f) < 0)
		return;
	features_encode(&f, again);
	if (len != sizeof(again) || memcmp(again, data, len) != 0)
		abort();
}

/* Their form is the only one for what they say. */
static void one_list(bool sweep, const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct pack_list l = { 0 };
	bool aborted = false;
	int r = sweep ? sweep_decode(data, len, "fuzz", &aborted, &l)
		      : tomb_decode(data, len, "fuzz", &l);

	if (r == 0) {
		if (sweep)
			sweep_encode(aborted ? NULL : &l, &b);
		else
			tomb_encode(&l, &b);
		if (buf_error(&b) < 0 || b.len != len ||
		    memcmp(b.data, data, len) != 0)
			abort();
	}
	pack_list_release(&l);
}

struct again {
	struct buf entries, names;
	uint64_t nentries, nnames;
};

static int on_entry(void *arg, const struct digest_entry *e)
{
	struct again *a = arg;

	digest_put(&a->entries, e);
	a->nentries++;
	return 0;
}

static int on_gone(void *arg, const char *name)
{
	struct again *a = arg;

	buf_put_bytes(&a->names, name, strlen(name));
	a->nnames++;
	return 0;
}

static void one_digest(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct again a = { .nentries = 0 };

	if (digest_decode(data, len, "fuzz", on_entry, on_gone, &a) == 0) {
		buf_put_varint(&b, a.nentries);
		buf_put(&b, a.entries.data, a.entries.len);
		buf_put_varint(&b, a.nnames);
		buf_put(&b, a.names.data, a.names.len);
		if (buf_error(&b) < 0 || b.len != len ||
		    memcmp(b.data, data, len) != 0)
			abort();
	}
	buf_release(&a.entries);
	buf_release(&a.names);
}

struct ledger_again {
	struct buf names, packs, points, gone;
	uint64_t nnames, npacks, npoints, ngone;
};

static int on_who(void *arg, uint64_t who, const char *name, size_t len)
{
	struct ledger_again *a = arg;

	if (who != a->nnames++)
		abort();
	buf_put_bytes(&a->names, name, len);
	return 0;
}

static int on_verified(void *arg, const uint8_t key[VERIFIED_KEY_LEN],
		       int64_t time_s, uint64_t who)
{
	struct ledger_again *a = arg;

	verified_put_pack(&a->packs, key, time_s, who);
	a->npacks++;
	return 0;
}

static int on_points(void *arg)
{
	((struct ledger_again *)arg)->npoints++;
	return 0;
}

static int on_point(void *arg, const char id[NAME_HEX + 1])
{
	struct ledger_again *a = arg;

	verified_put_point(&a->points, id);
	a->npoints++;
	return 0;
}

static int on_ledger_gone(void *arg, const char *name)
{
	struct ledger_again *a = arg;

	buf_put_bytes(&a->gone, name, strlen(name));
	a->ngone++;
	return 0;
}

static void put_part(struct buf *out, uint64_t n, const struct buf *part)
{
	buf_put_varint(out, n);
	if (part->len)
		buf_put(out, part->data, part->len);
}

/* Its form is the only one, too. */
static void one_ledger(const uint8_t *data, size_t len)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct ledger_again a = { .nnames = 0 };
	const struct verified_visitor v = { .name = on_who,
					    .pack = on_verified,
					    .points = on_points,
					    .point = on_point,
					    .gone = on_ledger_gone,
					    .arg = &a };

	if (verified_decode(data, len, "fuzz", &v) == 0) {
		put_part(&b, a.nnames, &a.names);
		put_part(&b, a.npacks, &a.packs);
		put_part(&b, a.npoints, &a.points);
		put_part(&b, a.ngone, &a.gone);
		if (buf_error(&b) < 0 || b.len != len ||
		    memcmp(b.data, data, len) != 0)
			abort();
	}
	buf_release(&a.names);
	buf_release(&a.packs);
	buf_release(&a.points);
	buf_release(&a.gone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_quiet();
	if (len == 0)
		return 0;
	if (data[0] == 'n')
		one_note(data + 1, len - 1);
	else if (data[0] == 'w')
		one_wish(data + 1, len - 1);
	else if (data[0] == 'p')
		one_verdict(data + 1, len - 1);
	else if (data[0] == 'q')
		(void)!quarantine_decode(data + 1, len - 1, "fuzz");
	else if (data[0] == 'c')
		one_config(data + 1, len - 1);
	else if (data[0] == 'f')
		some_features(data + 1, len - 1);
	else if (data[0] == 'd')
		one_digest(data + 1, len - 1);
	else if (data[0] == 'l')
		one_ledger(data + 1, len - 1);
	else
		one_list(data[0] == 's', data + 1, len - 1);
	return 0;
}
