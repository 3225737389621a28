/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Index objects: which packs there are and what is in them. Which of them are
 * imported is refresh.c's business. Plaintext of index/<sid>-<n>:
 *
 *     varint packs; each: varint length, name "<sid>-<n>-<sha256>",
 *                         u64 size, u8 kind, 32 salt (of a pack of an epoch other
 *                         than 0: u8 kind | 128, u32 epoch, 32 salt),
 *                         varint length, the pack's directory in plain
 *     nothing, or
 *     varint superseded; each: varint length, name "<sid>-<n>"
 *
 * They are imported many at once: a store far away answers each after a while,
 * but many at the same time, and a transaction costs the database as much as what
 * a small one of them says.
 */
#include "config.h"

#include "store/index.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/base/stop.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/pack_read.h"
#include "store/vault_internal.h"

bool index_name_ok(const char *name)
{
	size_t len = strnlen(name, INDEX_NAME_MAX), digits;
	uint8_t sid[16];

	if (len >= INDEX_NAME_MAX || len < 34 || name[32] != '-' ||
	    hex_decode(name, sizeof(sid), sid) < 0)
		return false;
	digits = strspn(name + 33, "0123456789");
	name += 33 + digits;
	return digits > 0 && digits <= 10 &&
	       (*name == '\0' || strcmp(name, ".m") == 0);
}

/* In a pack's kind: its epoch follows. */
#define KIND_EPOCH 0x80

void index_put_pack(struct buf *out, const char *name, uint64_t size,
		    uint8_t kind, uint32_t epoch, const uint8_t *salt,
		    const uint8_t *dir, size_t dir_len)
{
	buf_put_bytes(out, name, strlen(name));
	buf_put_le64(out, size);
	buf_put_u8(out, epoch ? kind | KIND_EPOCH : kind);
	if (epoch)
		buf_put_le32(out, epoch);
	buf_put(out, salt, CRYPT_SALT_LEN);
	buf_put_bytes(out, dir, dir_len);
}

/* ---- decoding ---- */

enum { STAGE_NPACKS, STAGE_PACKS, STAGE_NGONE, STAGE_GONE };

/* More than a pack takes beside its directory. */
#define RECORD_MAX (FORMAT_DIR_MAX + 4096)

static int fail_malformed(const struct index_decoder *d)
{
	return fail(-EBADMSG, "%s: authentic, but malformed", d->name);
}

static int decode_pack(struct index_decoder *d, struct reader *r)
{
	char object[OBJECT_NAME_MAX];
	struct index_pack p;
	const uint8_t *s;
	bool has_epoch;
	size_t len;

	s = reader_bytes(r, PACK_NAME_MAX - 1, &len);
	p.size = reader_le64(r);
	p.kind = reader_u8(r);
	p.epoch = p.kind & KIND_EPOCH ? reader_le32(r) : 0;
	has_epoch = p.kind & KIND_EPOCH;
	p.kind &= (uint8_t)~KIND_EPOCH;
	p.salt = reader_get(r, CRYPT_SALT_LEN);
	p.dir = reader_bytes(r, FORMAT_DIR_MAX, &p.dir_len);
	if (r->bad)
		return 0;
	memcpy(p.name, s, len);
	p.name[len] = '\0';
	if (strlen(p.name) != len ||
	    format_pack_object_name(p.name, object) < 0 ||
	    (p.kind != OBJECT_DATA_PACK && p.kind != OBJECT_TREE_PACK) ||
	    p.size > FORMAT_PACK_MAX || has_epoch != (p.epoch != 0))
		return fail_malformed(d);
	return d->visitor.pack(d->visitor.arg, &p);
}

static int decode_gone(struct index_decoder *d, struct reader *r)
{
	char name[INDEX_NAME_MAX];
	const uint8_t *s;
	size_t len;

	s = reader_bytes(r, INDEX_NAME_MAX - 1, &len);
	if (r->bad)
		return 0;
	memcpy(name, s, len);
	name[len] = '\0';
	if (strlen(name) != len || !index_name_ok(name))
		return fail_malformed(d);
	return d->visitor.gone ? d->visitor.gone(d->visitor.arg, name) : 0;
}

/* Decode the next thing; r->bad where not all of it is there. */
static int decode_next(struct index_decoder *d, struct reader *r)
{
	switch (d->stage) {
	case STAGE_NPACKS:
	case STAGE_NGONE:
		d->left = reader_varint_max(r, d->stage == STAGE_NPACKS
						       ? d->len / 100 + 1
						       : INDEX_SUPERSEDED_MAX);
		if (!r->bad)
			d->stage++;
		return 0;
	default:
		if (d->left == 0)
			return fail_malformed(d); /* behind the last name */
		return d->stage == STAGE_PACKS ? decode_pack(d, r)
					       : decode_gone(d, r);
	}
}

/* Decode what is whole in @data; how much that is to *used_out. */
static int decode_whole(struct index_decoder *d, const uint8_t *data,
			size_t len, size_t *used_out)
{
	struct reader r;
	int err = 0;

	*used_out = 0;
	reader_init(&r, data, len);
	while (err == 0 && !reader_done(&r)) {
		unsigned int stage = d->stage;

		err = decode_next(d, &r);
		if (r.bad)
			return 0;
		*used_out = len - reader_left(&r);
		d->left -= stage == STAGE_PACKS || stage == STAGE_GONE;
		if (d->stage == STAGE_PACKS && d->left == 0)
			d->stage = STAGE_NGONE;
	}
	return err;
}

/* May the plaintext end here? */
static bool is_end(const struct index_decoder *d)
{
	return d->held.len == 0 && (d->stage == STAGE_NGONE ||
				    (d->stage == STAGE_GONE && d->left == 0));
}

/* A record that does not end within its bounds never will. */
static int hold(struct index_decoder *d, const uint8_t *data, size_t len)
{
	if (d->held.len + len > 2 * RECORD_MAX)
		return fail_malformed(d);
	buf_put(&d->held, data, len);
	return buf_error(&d->held);
}

/* What is decoded is not held: a piece is copied only where a record goes on in
 * the next. */
static int decode_piece(struct index_decoder *d, const uint8_t *data,
			size_t len)
{
	size_t used;
	int r;

	if (d->held.len == 0) {
		r = decode_whole(d, data, len, &used);
		return r != 0 ? r : hold(d, data + used, len - used);
	}
	r = hold(d, data, len);
	if (r == 0)
		r = decode_whole(d, d->held.data, d->held.len, &used);
	if (r != 0)
		return r;
	d->held.len -= used;
	memmove(d->held.data, d->held.data + used, d->held.len);
	return 0;
}

int index_decode_some(struct index_decoder *d, const void *data, size_t len)
{
	int r = len ? decode_piece(d, data, len) : 0;

	d->seen += len;
	if (r == 0 &&
	    (d->held.len > RECORD_MAX || (d->seen == d->len && !is_end(d))))
		r = fail_malformed(d);
	return r;
}

void index_decoder_release(struct index_decoder *d)
{
	buf_release(&d->held);
}

int index_decode(const void *data, size_t len, const char *name,
		 int (*fn)(void *arg, const struct index_pack *p),
		 int (*gone)(void *arg, const char *name), void *arg)
{
	struct index_decoder d = {
		name, len, { .pack = fn, .gone = gone, .arg = arg }, .seen = 0
	};
	int r = index_decode_some(&d, data, len);

	index_decoder_release(&d);
	return r;
}

/* ---- reading ---- */

static int on_piece(void *arg, const void *data, size_t len)
{
	return index_decode_some(arg, data, len);
}

int index_read_box(struct box_pieces *box, const char *name,
		   const struct index_visitor *visitor)
{
	struct index_decoder d = { .name = name,
				   .len = box_pieces_len(box),
				   .visitor = *visitor };
	/* Where nothing comes, that is malformed. */
	int r = d.len ? box_pieces_read(box, on_piece, &d)
		      : index_decode_some(&d, NULL, 0);

	index_decoder_release(&d);
	return r;
}

static int look_at(void *arg, const struct index_pack *p)
{
	(void)arg;
	return format_check_dir(p->dir, p->dir_len, p->name);
}

static int read_index(struct vault *v, const char *name, bool sure,
		      const struct index_visitor *visitor)
{
	static const struct index_visitor looking = { .pack = look_at };
	struct box_pieces *box;
	int r = box_pieces_open(v, OBJECT_INDEX, name, &box);

	if (r < 0)
		return r;
	if (visitor->begin)
		r = visitor->begin(visitor->arg, box_pieces_len(box));
	if (r == 0 && sure)
		r = index_read_box(box, name, &looking);
	if (r == 0)
		r = index_read_box(box, name, visitor);
	box_pieces_free(box);
	return r;
}

int index_read(struct vault *v, const char *name,
	       const struct index_visitor *visitor)
{
	return read_index(v, name, false, visitor);
}

int index_read_sure(struct vault *v, const char *name,
		    const struct index_visitor *visitor)
{
	return read_index(v, name, true, visitor);
}

/* ---- importing ---- */

/* Objects that are fetched at once are together about so long. Of one whose size
 * is not known the last of these is taken, or what merged ones may have. */
#define SLICE 256
#define SLICE_BYTES (8u << 20)
#define SIZE_UNKNOWN (2u << 20)
#define FETCHERS 16
#define ALONE 2 /* so few are not worth the threads */
/* One that is longer, as it is stored or in plain, is not fetched with others. */
#define WITH_OTHERS_MAX (5u << 20)
#define WITH_OTHERS_PLAIN_MAX (8u << 20)

/* An index object on its way into the database. */
struct index_arrival {
	struct vault *vault; /* borrowed */
	struct index_item *item; /* borrowed */
	struct stop *obeys; /* the caller's, for the threads that fetch */
	uint8_t *raw; /* owned; as it was fetched */
	size_t len;
	bool is_long; /* it is not fetched, but imported by itself */
	struct buf plain;
	struct catalog_pack *packs; /* owned; they borrow from plain */
	size_t n, cap;
	/* the index objects that it supersedes, a line each */
	struct buf superseded;
};

static void import_release(struct index_arrival *im)
{
	free(im->raw);
	free(im->packs);
	buf_release(&im->plain);
	buf_release(&im->superseded);
	memset(im, 0, sizeof(*im));
}

int index_may_name(const struct vault *v, const char *index, const char *named,
		   uint32_t epoch)
{
	const char *sid = strrchr(index, '/') + 1;
	uint32_t writer = keyring_sid_writer(v->keyring, sid);

	if (!writer || (keyring_sid_writer(v->keyring, named) == writer &&
			(!epoch || epoch == writer)))
		return 0;
	return fail(-EBADMSG,
		    "%s: says of %s, which is not its writer's, what is in it: "
		    "the object counts for nothing; find out who used that key",
		    index, named);
}

static int import_pack(void *arg, const struct index_pack *p)
{
	struct index_arrival *im = arg;
	struct catalog_pack *c;
	int r = index_may_name(im->vault, im->item->name, p->name, p->epoch);

	if (r < 0)
		return r;
	if (array_reserve(&im->packs, &im->cap, im->n + 1) < 0)
		return -ENOMEM;
	r = format_check_dir(p->dir, p->dir_len, p->name);
	if (r < 0)
		return r;
	c = &im->packs[im->n++];
	memset(c, 0, sizeof(*c));
	memcpy(c->row.name, p->name, sizeof(c->row.name));
	memcpy(c->row.salt, p->salt, CRYPT_SALT_LEN);
	c->row.size = p->size;
	c->row.kind = p->kind;
	c->row.epoch = p->epoch;
	c->dir = p->dir;
	c->dir_len = p->dir_len;
	return pack_row_seal(im->vault, &c->row, c->dir, c->dir_len);
}

static int import_superseded(void *arg, const char *name)
{
	struct index_arrival *im = arg;
	int r = index_may_name(im->vault, im->item->name, name, 0);

	if (r < 0)
		return r;
	buf_printf(&im->superseded, "%s\n", name);
	return buf_error(&im->superseded);
}

static void fetch(void *arg)
{
	struct index_arrival *im = arg;
	struct stop *before = stop_obey(im->obeys);

	if (im->item->size <= WITH_OTHERS_MAX)
		im->item->error =
			vault_get_again(im->vault, im->item->name,
					WITH_OTHERS_MAX, &im->raw, &im->len);
	im->is_long =
		im->item->size > WITH_OTHERS_MAX || im->item->error == -EFBIG;
	(void)stop_obey(before);
}

static int open_box(struct index_arrival *im)
{
	const char *name = im->item->name;
	struct box box;
	int r = format_parse_box(im->raw, im->len, OBJECT_INDEX, name, &box);

	if (r < 0)
		return r;
	im->is_long = box.plain_len > WITH_OTHERS_PLAIN_MAX;
	return im->is_long
		       ? 0
		       : format_read_box(im->vault->keyring, im->raw, im->len,
					 OBJECT_INDEX, name, &im->plain);
}

static void decode(struct index_arrival *im, bool again)
{
	const char *name = im->item->name;
	bool said = vault_has_said(im->vault, name), before = log_hush(said);

	if (im->item->error == 0 && !im->is_long)
		im->item->error = open_box(im);
	free(im->raw);
	im->raw = NULL;
	if (im->is_long)
		im->item->error = index_import_long(im->vault, name, again);
	else if (im->item->error == 0)
		im->item->error =
			index_decode(im->plain.data, im->plain.len, name,
				     import_pack, import_superseded, im);
	(void)log_hush(before);
	/* A long one was fetched and imported meanwhile. */
	if (said && im->is_long)
		im->item->error =
			vault_say_way(im->vault, name, im->item->error);
}

static int put_note(struct index_arrival *im)
{
	char note[INDEX_NOTE_MAX];

	index_note_name(im->item->name, note);
	/* Before the source: whoever finds it finds this. */
	return im->superseded.len == 0
		       ? 0
		       : catalog_put_object(im->vault->catalog, note,
					    im->superseded.data,
					    im->superseded.len);
}

/* Import objects that were decoded: in one transaction, but where one of them is
 * no good. */
static int import_decoded(struct vault *v, struct index_arrival *im, size_t n,
			  bool again)
{
	struct catalog_source sources[SLICE];
	struct catalog *c = v->catalog;
	size_t i, k = 0;
	int r = 0;

	for (i = 0; i < n && r == 0; i++) {
		if (im[i].item->error < 0 || im[i].is_long)
			continue;
		r = put_note(&im[i]);
		sources[k++] = (struct catalog_source){ im[i].item->name,
							im[i].packs, im[i].n };
	}
	if (r == 0)
		r = catalog_import_many(c, sources, k, again);
	if (!backend_error_is_of_object(r))
		return r;
	for (i = 0; i < n; i++) {
		const struct catalog_source one = { im[i].item->name,
						    im[i].packs, im[i].n };

		if (im[i].item->error < 0 || im[i].is_long)
			continue;
		im[i].item->error = catalog_import_many(c, &one, 1, again);
	}
	return 0;
}

/* Decode and import what was fetched, as much at a time as memory is for. */
static int take_in(struct vault *v, struct index_arrival *im, size_t n,
		   bool again)
{
	size_t i = 0, first, bytes;
	int r = 0;

	while (i < n && r == 0) {
		first = i;
		for (bytes = 0; i < n && bytes < SLICE_BYTES; i++) {
			decode(&im[i], again);
			bytes += im[i].plain.len;
		}
		r = import_decoded(v, im + first, i - first, again);
		for (; first < i; first++)
			import_release(&im[first]);
	}
	return r;
}

/* Fetch and import @n objects. */
static int import_slice(struct vault *v, struct index_arrival *im, size_t n,
			bool again)
{
	struct pool *p = n > ALONE ? pool_new(FETCHERS, SLICE) : NULL;
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		im[i].vault = v;
		im[i].obeys = stop_of_thread;
		if (p)
			pool_run(p, fetch, &im[i]);
		else
			fetch(&im[i]);
	}
	pool_free(p);
	r = take_in(v, im, n, again);
	for (i = 0; i < n; i++)
		import_release(&im[i]);
	return r;
}

static uint64_t size_of(const struct index_item *item)
{
	size_t len = strlen(item->name);

	if (item->size)
		return item->size;
	return len > 2 && strcmp(item->name + len - 2, ".m") == 0
		       ? INDEX_MERGED_MAX
		       : SIZE_UNKNOWN;
}

int index_import(struct vault *v, struct index_item *items, size_t n,
		 bool again)
{
	struct index_arrival *im = alloc_array(SLICE, sizeof(*im));
	size_t i = 0, k;
	int r = im ? 0 : -ENOMEM;

	while (i < n && r == 0) {
		uint64_t bytes = 0;

		for (k = 0; i < n && k < SLICE && bytes < SLICE_BYTES; i++) {
			bytes += size_of(&items[i]);
			im[k++].item = &items[i];
		}
		r = import_slice(v, im, k, again);
	}
	free(im);
	return r == 0 ? vault_settle_disputes(v) : r;
}

void index_note_name(const char *source, char out[INDEX_NOTE_MAX])
{
	snprintf(out, INDEX_NOTE_MAX, "superseded/%s", source);
}
