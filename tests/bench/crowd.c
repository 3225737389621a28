/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See crowd.h. */
#include "config.h"

#include "tests/bench/crowd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/seam.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/vault.h"
#include "store/writer/pack.h"
#include "store/writer/session.h"

#define CHUNK_LEN 16
#define FRAME_CHUNKS (FORMAT_FRAME_MAX / CHUNK_LEN)

struct maker {
	struct vault *vault;
	const struct crowd *what;
	struct buf index; /* packs of the index object that is being made */
	uint64_t number; /* of the next chunk: its contents */
	char sid[POINT_ID_HEX + 1];
	struct commit_after after; /* of the next commit */
};

static int put_box(struct maker *m, uint8_t type, const char *name,
		   const struct buf *plain, uint8_t *hash)
{
	AUTO_BUF struct buf box = BUF_INIT;
	int r = buf_error(plain);

	if (r == 0)
		r = format_seal_box(vault_keyring(m->vault), NULL, NULL,
				    vault_seam(m->vault), type, name, NULL, 0,
				    plain->data, plain->len, &box);
	if (r == 0 && hash)
		r = crypt_sha256(box.data, box.len, hash);
	if (r == 0)
		r = backend_put(vault_backend(m->vault), name, box.data,
				box.len);
	return r;
}

static int random_id(struct maker *m, char out[POINT_ID_HEX + 1])
{
	struct seam *seam = vault_seam(m->vault);
	uint8_t raw[POINT_ID_HEX / 2];
	int r = seam->ops->random(seam, raw, sizeof(raw));

	hex_encode(raw, sizeof(raw), out);
	return r;
}

/* Chunks of a pack, in one frame. */
static int fill_frame(struct maker *m, struct pack *p, size_t n)
{
	AUTO_FREE struct chunk_ref *chunks = alloc_array(n, sizeof(*chunks));
	AUTO_FREE uint8_t *data = calloc(n, CHUNK_LEN);
	struct packed_frame f = { .codec = CODEC_RAW };
	size_t i;
	int r = chunks && data ? 0 : -ENOMEM;

	for (i = 0; i < n && r == 0; i++) {
		uint8_t *at = data + i * CHUNK_LEN;

		put_le64(at, m->number++);
		chunks[i].len = CHUNK_LEN;
		chunks[i].off = (uint32_t)(i * CHUNK_LEN);
		chunks[i].type = CHUNK_DATA;
		r = keyring_id(vault_keyring(m->vault), CHUNK_DATA, at,
			       CHUNK_LEN, &chunks[i].id);
	}
	f.data = data;
	f.clen = f.plen = (uint32_t)(n * CHUNK_LEN);
	return r == 0 ? pack_append(p, &f, 1, chunks, n) : r;
}

static int fill_pack(struct maker *m, struct pack *p)
{
	size_t left = m->what->chunks, n;
	int r = 0;

	for (; left > 0 && r == 0; left -= n) {
		n = MIN(left, (size_t)FRAME_CHUNKS);
		r = fill_frame(m, p, n);
	}
	return r;
}

/* Make pack @n of the session, and put it where it is to be there. */
static int make_pack(struct maker *m, unsigned int n, bool put)
{
	struct pack *p = pack_new(OBJECT_DATA_PACK);
	char name[OBJECT_NAME_MAX];
	int r = p ? fill_pack(m, p) : -ENOMEM;

	if (r == 0)
		r = pack_seal(p, vault_keyring(m->vault), vault_seam(m->vault),
			      m->sid, n);
	if (r == 0)
		r = format_pack_object_name(p->name, name);
	if (r == 0 && put)
		r = backend_put(vault_backend(m->vault), name, p->bytes.data,
				p->bytes.len);
	if (r == 0)
		index_put_pack(&m->index, p->name, p->bytes.len, p->kind,
			       p->epoch, p->salt, p->plain_dir.data,
			       p->plain_dir.len);
	pack_free(p);
	return r;
}

static int make_index(struct maker *m, unsigned int npacks, bool put)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	unsigned int i;
	int r = 0;

	buf_clear(&m->index);
	for (i = 0; i < npacks && r == 0; i++)
		r = make_pack(m, i, put);
	if (r == 0)
		r = buf_error(&m->index);
	buf_put_varint(&plain, npacks);
	buf_put(&plain, m->index.data, m->index.len);
	snprintf(name, sizeof(name), "index/%s-0", m->sid);
	return r == 0 ? put_box(m, OBJECT_INDEX, name, &plain, NULL) : r;
}

static int make_session(struct maker *m, int64_t began_ns)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	int r = random_id(m, m->sid);

	if (r == 0)
		r = session_encode(m->sid, "backup", began_ns, &plain);
	snprintf(name, sizeof(name), "session/%s", m->sid);
	return r == 0 ? put_box(m, OBJECT_SESSION, name, &plain, NULL) : r;
}

/* What a backup of a small tree would say. */
static int describe(struct maker *m, size_t i, struct point *p)
{
	int r = random_id(m, p->id);

	memcpy(p->session, m->sid, sizeof(p->session));
	p->time_ns = (CROWD_EPOCH_S + (int64_t)i * 3600) * 1000000000;
	p->scan_start_ns = p->time_ns;
	p->sources = calloc(1, sizeof(*p->sources));
	p->index = calloc(1, sizeof(*p->index));
	if (!p->sources || !p->index ||
	    asprintf(&p->vm, "machine%02zu", i % CROWD_MACHINES) < 0 ||
	    asprintf(&p->index[0], "%s-0", m->sid) < 0)
		return -ENOMEM;
	p->nindex = p->nsources = 1;
	p->sources[0] = strdup("/srv/data");
	p->host = strdup("backup.example.org");
	p->user = strdup("root");
	p->program = strdup(PACKAGE_STRING);
	if (!p->sources[0] || !p->host || !p->user || !p->program)
		return -ENOMEM;
	p->has_index = p->has_tree = p->left_out.known = true;
	put_le64(p->root.b, i + 1);
	p->entries = 1000 + i;
	p->files = 900 + i;
	p->bytes = (900 + i) << 16;
	p->data_added = m->what->chunks * CHUNK_LEN;
	return r == 0 ? point_machine_of(p->vm, 0, p->machine) : r;
}

/* In place of the tree that is nowhere. */
static int fill_point(struct maker *m, size_t i, struct point *p)
{
	p->has_tree = p->has_index = false;
	free(p->index[0]);
	p->nindex = 0;
	return m->what->fill(m->what->arg, i, p);
}

/* The next one comes after the commit that says @text. */
static int follow(struct maker *m, const struct buf *text)
{
	struct commit_ref *ref = &m->after.refs[0];

	m->after.n = 1;
	ref->has_hash = 1;
	if (hex_decode(m->sid, COMMIT_SID_LEN, ref->sid) < 0)
		return -EINVAL;
	return crypt_sha256(text->data, text->len, ref->hash);
}

static int make_point(struct maker *m, size_t i)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_BUF struct buf text = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	struct point *p = point_new();
	struct commit c = { .point = "" };
	int r = p ? describe(m, i, p) : -ENOMEM;

	if (r == 0 && m->what->fill)
		r = fill_point(m, i, p);
	if (r == 0)
		r = point_encode(p, false, &plain);
	if (r == 0) {
		snprintf(name, sizeof(name), "point/%s", p->id);
		memcpy(c.point, p->id, sizeof(c.point));
		r = put_box(m, OBJECT_POINT, name, &plain, c.hash);
	}
	if (r == 0) {
		commit_encode_after(&c, m->sid, &m->after, NULL, &text);
		r = buf_error(&text);
	}
	if (r == 0)
		r = follow(m, &text);
	if (r == 0) {
		snprintf(name, sizeof(name), "commit/%s", m->sid);
		r = put_box(m, OBJECT_COMMIT, name, &text, NULL);
	}
	point_free(p);
	return r;
}

int crowd_add(struct vault *v, const struct crowd *c)
{
	struct maker m = { .vault = v,
			   .what = c,
			   .after = { .is_told = true } };
	size_t i;
	int r = 0;

	for (i = 0; i < c->points && r == 0; i++) {
		r = make_session(&m, (CROWD_EPOCH_S + (int64_t)i * 3600) *
					     1000000000);
		if (r == 0 && !c->fill)
			r = make_index(&m, 1, true);
		if (r == 0)
			r = make_point(&m, i);
	}
	for (i = 0; i < c->indexes && r == 0; i++) {
		r = random_id(&m, m.sid);
		if (r == 0)
			r = make_index(&m, c->packs, false);
	}
	buf_release(&m.index);
	return r;
}
