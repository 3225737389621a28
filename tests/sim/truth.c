/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/sim/truth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/mem.h"
#include "store/base/array.h"
#include "store/base/buf.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/pack_list.h"
#include "store/record/purge.h"

struct kept_wish_of {
	char id[NAME_HEX + 1];
	uint32_t number;
};

static struct truth {
	struct keyring *keyring; /* borrowed */
	struct id chunks[TRUTH_CHUNKS];
	uint32_t trees[TRUTH_CHUNKS]; /* of a root: its chunks of data */
	unsigned int nchunks;
	struct truth_point points[TRUTH_POINTS];
	size_t npoints;
	struct truth_pack *packs; /* owned */
	size_t npacks, cap;
	struct kept_wish_of kept[TRUTH_POINTS];
	size_t nkept;
} truth;

/* ---- chunks ---- */

unsigned int truth_chunk(const struct id *id)
{
	unsigned int i;

	for (i = 0; i < truth.nchunks; i++)
		if (id_equal(&truth.chunks[i], id))
			return i;
	if (i == TRUTH_CHUNKS)
		abort();
	truth.chunks[i] = *id;
	truth.trees[i] = 0;
	truth.nchunks++;
	return i;
}

void truth_note_tree(const struct id *root, uint32_t files)
{
	truth.trees[truth_chunk(root)] = files;
}

uint32_t truth_tree(const struct id *root)
{
	return truth.trees[truth_chunk(root)];
}

/* ---- packs ---- */

static struct truth_pack *find_pack(const char *name)
{
	size_t i;

	for (i = 0; i < truth.npacks; i++)
		if (strcmp(truth.packs[i].name, name) == 0)
			return &truth.packs[i];
	if (array_reserve(&truth.packs, &truth.cap, truth.npacks + 1) < 0)
		abort();
	memset(&truth.packs[i], 0, sizeof(truth.packs[i]));
	snprintf(truth.packs[i].name, PACK_NAME_MAX, "%s", name);
	truth.npacks++;
	return &truth.packs[i];
}

const struct truth_pack *truth_packs(size_t *n_out)
{
	*n_out = truth.npacks;
	return truth.packs;
}

/* What is there, and named. */
static struct chunk_set held(void)
{
	struct chunk_set all = { { 0 } };
	size_t i, k;

	for (i = 0; i < truth.npacks; i++)
		for (k = 0; truth.packs[i].is_there &&
			    truth.packs[i].is_named && k < 4;
		     k++)
			all.w[k] |= truth.packs[i].has.w[k];
	return all;
}

/* What its directory says, which stands at its end. */
static void read_dir(struct truth_pack *p, const uint8_t *data, size_t len)
{
	const uint8_t *tail = data + len - FORMAT_TRAILER_LEN;
	struct pack_dir dir = { 0 };
	struct object_header h;
	struct pack_trailer t;
	struct seal_key key;
	struct frame f;
	uint8_t *in, *out;
	char name[OBJECT_NAME_MAX];
	size_t i;

	if (format_get_header(data, len, p->name, &h) < 0 ||
	    format_get_trailer(tail, len, p->name, &t) < 0 ||
	    format_pack_key_name(p->name, name) < 0 ||
	    keyring_seal_key(truth.keyring, h.type, h.epoch, name, h.salt,
			     &key) < 0)
		abort();
	f = (struct frame){ t.dir_off, t.dir_clen, t.dir_plen, t.codec };
	in = malloc(f.clen + CRYPT_TAG_LEN);
	out = malloc(f.plen);
	if (!in || !out)
		abort();
	memcpy(in, data + f.off, f.clen + CRYPT_TAG_LEN);
	if (format_open_frame(&key, FORMAT_DIR_FRAME, &f, in, out) < 0 ||
	    format_get_dir(out, f.plen, p->name, false, &dir) < 0)
		abort();
	for (i = 0; i < dir.nchunks; i++)
		chunk_set_add(&p->has, truth_chunk(&dir.chunks[i].id));
	format_release_dir(&dir);
	free(in);
	free(out);
}

static void put_pack(const char *object)
{
	struct truth_pack *p = find_pack(strrchr(object, '/') + 1);
	size_t len;
	const uint8_t *data = backend_mem_data(sim.store, object, &len);

	p->is_there = true;
	read_dir(p, data, len);
}

static int on_index_pack(void *arg, const struct index_pack *p)
{
	sim_note(NULL, "%s names %s", (const char *)arg, p->name);
	find_pack(p->name)->is_named = true;
	return 0;
}

/* ---- objects ---- */

/* The plaintext of an object that is there; false where it is none of ours. */
static bool open_object(const char *name, uint8_t type, struct buf *out)
{
	size_t len;
	const uint8_t *data = backend_mem_data(sim.store, name, &len);

	return data &&
	       format_read_box(truth.keyring, data, len, type, name, out) == 0;
}

static void put_index(const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;

	if (!open_object(name, OBJECT_INDEX, &plain) ||
	    index_decode(plain.data, plain.len, name, on_index_pack, NULL,
			 (void *)(uintptr_t)name) < 0)
		sim_violated("%s cannot be read", name);
}

struct truth_point *truth_find(const char *id)
{
	size_t i;

	for (i = 0; i < truth.npoints; i++)
		if (strcmp(truth.points[i].id, id) == 0)
			return &truth.points[i];
	return NULL;
}

size_t truth_npoints(void)
{
	return truth.npoints;
}

struct truth_point *truth_at(size_t i)
{
	return &truth.points[i];
}

struct truth_point *truth_of_session(const char *sid)
{
	size_t i;

	for (i = 0; i < truth.npoints; i++)
		if (strcmp(truth.points[i].sid, sid) == 0)
			return &truth.points[i];
	return NULL;
}

/* The number of a chunk of data of this world. */
static unsigned int data_chunk(unsigned int i)
{
	uint8_t bytes[SIM_CHUNK_MAX];
	size_t len = sim_chunk_bytes(i, bytes);
	struct id id;

	if (keyring_id(truth.keyring, CHUNK_DATA, bytes, len, &id) < 0)
		abort();
	return truth_chunk(&id);
}

/* Its config file is called by the chunks that it holds. */
static void describe(const struct point *p, struct truth_point *out)
{
	unsigned int i;

	if (p->has_tree) {
		unsigned int root = truth_chunk(&p->root);

		chunk_set_add(&out->needs, root);
		out->files = truth.trees[root];
	}
	if (p->nconfigs > 0)
		out->config = (uint32_t)strtoul(p->configs[0].name, NULL, 16);
	for (i = 0; i < SIM_DATA; i++)
		if ((out->files | out->config) & 1u << i)
			chunk_set_add(&out->needs, data_chunk(i));
}

static void check_whole(const struct truth_point *p, const char *when)
{
	struct chunk_set there = held();
	size_t k;

	for (k = 0; k < 4; k++)
		if (p->needs.w[k] & ~there.w[k])
			sim_violated("point %s lacks a chunk %s", p->id, when);
}

static void put_commit(const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT, document = BUF_INIT;
	struct truth_point *out = &truth.points[truth.npoints];
	char object[OBJECT_NAME_MAX];
	struct point *p;
	struct commit c;

	if (!open_object(name, OBJECT_COMMIT, &plain) ||
	    commit_decode(plain.data, plain.len, name, &c) < 0) {
		sim_violated("%s cannot be read", name);
		return;
	}
	if (!c.point[0] || truth_of_session(name + 7))
		return;
	snprintf(object, sizeof(object), "point/%s", c.point);
	if (!open_object(object, OBJECT_POINT, &document) ||
	    point_decode(document.data, document.len, c.point, &p) < 0) {
		sim_violated("%s cannot be read", object);
		return;
	}
	if (truth.npoints + 1 == TRUTH_POINTS)
		abort();
	memset(out, 0, sizeof(*out));
	memcpy(out->id, c.point, sizeof(out->id));
	snprintf(out->sid, sizeof(out->sid), "%s", name + 7);
	describe(p, out);
	truth.npoints++;
	point_free(p);
	check_whole(out, "as it is committed");
}

/* purge/<point>-<n>, and whether it removes the point. */
static void put_verdict(const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char id[NAME_HEX + 1], wish[OBJECT_NAME_MAX];
	struct truth_point *p;
	bool is_purged;
	size_t i, len;

	if (!open_object(name, OBJECT_PURGE, &plain) ||
	    purge_decode(plain.data, plain.len, name, &is_purged) < 0) {
		sim_violated("%s cannot be read", name);
		return;
	}
	if (!is_purged)
		return;
	sim_note(NULL, "purged %s", name + 6);
	snprintf(id, sizeof(id), "%.32s", name + 6);
	snprintf(wish, sizeof(wish), "forget/%s", name + 6);
	if (!backend_mem_data(sim.store, wish, &len))
		sim_violated("%s: nobody wished it", name);
	for (i = 0; i < truth.nkept; i++)
		if (strcmp(truth.kept[i].id, id) == 0 &&
		    truth.kept[i].number ==
			    strtoul(name + 6 + NAME_HEX + 1, NULL, 10))
			sim_violated("%s: it was said to be kept", name);
	p = truth_find(id);
	if (p && !p->is_purged) {
		p->is_purged = true;
		p->purged_at = sim.step;
	}
}

void truth_was_kept(const char *id, uint32_t number)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	bool is_purged = true;

	snprintf(name, sizeof(name), "purge/%s-%u", id, number);
	if (!open_object(name, OBJECT_PURGE, &plain) ||
	    purge_decode(plain.data, plain.len, name, &is_purged) < 0 ||
	    is_purged)
		sim_violated("%s: is said to be kept, and is not", name);
	if (truth.nkept == TRUTH_POINTS)
		return;
	snprintf(truth.kept[truth.nkept].id, NAME_HEX + 1, "%s", id);
	truth.kept[truth.nkept++].number = number;
}

/* For who replays the trace. */
static void tell_packs(const char *name, const struct pack_list *l,
		       const char *what)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		sim_note(NULL, "%s %s %s", name, what, l->names[i]);
}

static void tell_condemned(const char *name)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_list l = { .n = 0 };
	bool aborted;

	if (strncmp(name, "tomb/", 5) == 0 &&
	    open_object(name, OBJECT_TOMB, &plain) &&
	    tomb_decode(plain.data, plain.len, name, &l) == 0)
		tell_packs(name, &l, "condemns");
	else if (strncmp(name, "sweep/", 6) == 0 &&
		 open_object(name, OBJECT_SWEEP, &plain) &&
		 sweep_decode(plain.data, plain.len, name, &aborted, &l) == 0)
		tell_packs(name, &l, "deletes");
	pack_list_release(&l);
}

void truth_put(const struct sim_actor *a, const char *name)
{
	sim_note(a, "+ %s", name);
	if (sim.trace)
		tell_condemned(name);
	if (strncmp(name, "pack/", 5) == 0)
		put_pack(name);
	else if (strncmp(name, "index/", 6) == 0)
		put_index(name);
	else if (strncmp(name, "commit/", 7) == 0)
		put_commit(name);
	else if (strncmp(name, "purge/", 6) == 0)
		put_verdict(name);
}

/* ---- what goes ---- */

static void take_all(const char *prefix)
{
	size_t i, len = strlen(prefix);

	for (i = 0; i < backend_mem_nobjects(sim.store); i++)
		if (strncmp(backend_mem_name(sim.store, i), prefix, len) == 0)
			truth_put(NULL, backend_mem_name(sim.store, i));
}

static bool is_live_session(const char *sid)
{
	char name[OBJECT_NAME_MAX];
	size_t len;

	snprintf(name, sizeof(name), "session/%.32s", sid);
	if (!backend_mem_data(sim.store, name, &len))
		return false;
	snprintf(name, sizeof(name), "commit/%.32s", sid);
	return !backend_mem_data(sim.store, name, &len);
}

static void pack_deleted(const char *name)
{
	size_t i;

	find_pack(name)->is_there = false;
	if (is_live_session(name))
		sim_violated("pack %s goes, of a session that lives", name);
	for (i = 0; i < truth.npoints; i++)
		if (!truth.points[i].is_purged)
			check_whole(&truth.points[i], "as a pack goes");
}

/* Whether packs are named is found out anew. */
static void index_deleted(void)
{
	size_t i;

	for (i = 0; i < truth.npacks; i++)
		truth.packs[i].is_named = false;
	for (i = 0; i < backend_mem_nobjects(sim.store); i++)
		if (strncmp(backend_mem_name(sim.store, i), "index/", 6) == 0)
			put_index(backend_mem_name(sim.store, i));
	for (i = 0; i < truth.npoints; i++)
		if (!truth.points[i].is_purged)
			check_whole(&truth.points[i], "as an index goes");
}

void truth_deleted(const struct sim_actor *a, const char *name)
{
	static const char *const for_ever[] = { "commit/", "purge/", "sweep/",
						"forget/", "note/",  "key/",
						"config" };
	size_t i;

	sim_note(a, "- %s", name);
	if (strncmp(name, "pack/", 5) == 0)
		pack_deleted(strrchr(name, '/') + 1);
	if (strncmp(name, "index/", 6) == 0)
		index_deleted();
	for (i = 0; i < ARRAY_SIZE(for_ever); i++)
		if (strncmp(name, for_ever[i], strlen(for_ever[i])) == 0)
			sim_violated("%s is deleted", name);
	if (strncmp(name, "session/", 8) == 0 && is_live_session(name + 8))
		sim_violated("%s is deleted, and lives", name);
	if (strncmp(name, "point/", 6) == 0) {
		const struct truth_point *p = truth_find(name + 6);

		if (p && !p->is_purged)
			sim_violated("%s is deleted, and was not purged", name);
	}
	if (a && a->role != SIM_COLLECTOR && strncmp(name, "probe/", 6) != 0)
		sim_violated("%s is deleted by who is no collector", name);
}

struct chunk_set truth_needs(void)
{
	struct chunk_set all = { { 0 } };
	size_t i, k;

	for (i = 0; i < truth.npoints; i++)
		for (k = 0; !truth.points[i].is_purged && k < 4; k++)
			all.w[k] |= truth.points[i].needs.w[k];
	return all;
}

/* ---- the beginning ---- */

void truth_begin(struct keyring *k)
{
	static const char *const kinds[] = { "pack/", "index/", "commit/",
					     "purge/" };
	static const char *const others[] = { "session/", "point/", "forget/",
					      "tomb/", "sweep/" };
	size_t i;

	truth.keyring = k;
	truth.npoints = truth.npacks = truth.nkept = 0;
	for (i = 0; sim.trace && i < ARRAY_SIZE(others); i++)
		take_all(others[i]);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		take_all(kinds[i]);
}

void truth_release(void)
{
	free(truth.packs);
	truth.packs = NULL;
	truth.npacks = truth.cap = 0;
}
