/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What somebody who has the key, or may put objects, puts into a vault to hurt others.
 * Each attack has the verdict that it must get: what check says and of which object,
 * what can be restored all the same (the points of others, right or not at all), and
 * whether a repair takes nothing away and comes to an end. Attacks that take a vault
 * back in time are elsewhere.
 */
#include "config.h"

#include "tests/unit/golden.h"
#include "tests/unit/repairs.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/catalog/catalog.h"
#include "store/chunk.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/digest.h"
#include "store/record/pack_list.h"
#include "store/vault.h"
#include "store/writer/internal.h"
#include "store/writer/writer.h"

#define EVIL "00000000000000000000000000000000"

static struct backend *base;
static struct idset whole;
static char points[3][POINT_ID_HEX + 1], sessions[3][POINT_ID_HEX + 1];

static bool is_of_base(const char *id)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(points); i++)
		if (strcmp(points[i], id) == 0)
			return true;
	return false;
}

static int setup(void **state)
{
	struct vault_options o;
	struct point_list *l;
	struct vault *v;
	size_t i;

	(void)state;
	support_log_capture();
	base = backend_mem_new();
	assert_non_null(base);
	golden_make(base);
	o = vaults_options(NULL, base, NULL, NULL);
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, ARRAY_SIZE(points));
	for (i = 0; i < l->n; i++) {
		memcpy(points[i], l->points[i]->id, sizeof(points[i]));
		memcpy(sessions[i], l->points[i]->session, sizeof(sessions[i]));
	}
	point_list_put(l);
	vault_close(v);
	restorable(base, is_of_base, &whole);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(base);
	idset_release(&whole);
	return 0;
}

/* ---- the attacker's tools ---- */

/* A vault under attack: the attacker has it open. */
struct scene {
	struct backend *backend;
	struct vault *vault;
	int variant; /* of the attack */
};

static void put(struct scene *s, uint8_t type, const char *name,
		const struct buf *plain)
{
	AUTO_BUF struct buf box = BUF_INIT;

	assert_ok(format_seal_box(vault_keyring(s->vault), NULL, NULL,
				  vault_seam(s->vault), type, name, NULL, 0,
				  plain->data, plain->len, &box));
	assert_ok(backend_mem_set(s->backend, name, box.data, box.len));
}

PRINTF(4, 5)
static void put_text(struct scene *s, uint8_t type, const char *name,
		     const char *fmt, ...)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	buf_put(&plain, text, strlen(text));
	assert_ok(buf_error(&plain));
	put(s, type, name, &plain);
}

/* The plaintext of an object as it stands. */
static void get(struct scene *s, uint8_t type, const char *name,
		struct buf *out)
{
	size_t len;
	const uint8_t *data = backend_mem_data(s->backend, name, &len);

	assert_non_null(data);
	assert_ok(format_read_box(vault_keyring(s->vault), data, len, type,
				  name, out));
}

/* ---- index objects ---- */

enum lie { LIE_HIDES, LIE_SWAPS, LIE_SIZE, LIE_SALT, LIE_KIND, LIE_IDS, LIES };

struct known_pack {
	struct pack_row row;
	struct buf dir;
};

struct known_packs {
	struct catalog *catalog;
	struct known_pack list[16];
	size_t n;
};

static int on_pack(void *arg, const struct pack_row *row)
{
	struct known_packs *k = arg;

	assert_true(k->n < ARRAY_SIZE(k->list));
	k->list[k->n++].row = *row;
	return 0;
}

static void know_packs(struct scene *s, struct known_packs *k)
{
	size_t i;

	memset(k, 0, sizeof(*k));
	assert_ok(vault_refresh(s->vault));
	assert_ok(catalog_packs(vault_catalog(s->vault), on_pack, k));
	assert_true(k->n >= 6);
	for (i = 0; i < k->n; i++)
		assert_ok(catalog_get_pack(vault_catalog(s->vault),
					   k->list[i].row.no, &k->list[i].row,
					   &k->list[i].dir));
}

static void lie(struct known_packs *k, enum lie what)
{
	static const uint8_t none[2];
	size_t i;

	for (i = 0; i < k->n; i++) {
		struct known_pack *p = &k->list[i];

		if (what == LIE_HIDES) {
			buf_clear(&p->dir);
			buf_put(&p->dir, none, sizeof(none));
		} else if (what == LIE_SIZE) {
			p->row.size += 16;
		} else if (what == LIE_SALT) {
			p->row.salt[0] ^= 1;
		} else if (what == LIE_KIND) {
			p->row.kind = p->row.kind == OBJECT_DATA_PACK
					      ? OBJECT_TREE_PACK
					      : OBJECT_DATA_PACK;
		} else if (what == LIE_IDS) {
			/* the last chunk's id lies before its three numbers */
			p->dir.data[p->dir.len - 20] ^= 1;
		} else if (i % 2) {
			struct buf dir = p->dir;

			p->dir = k->list[i - 1].dir;
			k->list[i - 1].dir = dir;
		}
	}
}

/* What every index object of the vault is called, for one that supersedes them. */
static uint64_t name_all(struct scene *s, struct buf *out)
{
	uint64_t n = 0;
	const char *name;
	size_t i;

	for (i = 0; (name = backend_mem_name(s->backend, i)); i++)
		if (strncmp(name, "index/", 6) == 0) {
			buf_put_bytes(out, name + 6, strlen(name + 6));
			n++;
		}
	return n;
}

static void forge_index(struct scene *s, bool supersedes)
{
	AUTO_BUF struct buf plain = BUF_INIT, gone = BUF_INIT;
	struct known_packs k;
	size_t i;

	know_packs(s, &k);
	lie(&k, (enum lie)s->variant);
	buf_put_varint(&plain, k.n);
	for (i = 0; i < k.n; i++) {
		index_put_pack(&plain, k.list[i].row.name, k.list[i].row.size,
			       k.list[i].row.kind, k.list[i].row.epoch,
			       k.list[i].row.salt, k.list[i].dir.data,
			       k.list[i].dir.len);
		buf_release(&k.list[i].dir);
	}
	if (supersedes) {
		buf_put_varint(&plain, name_all(s, &gone));
		buf_put(&plain, gone.data, gone.len);
	}
	assert_ok(buf_error(&plain));
	put(s, OBJECT_INDEX,
	    supersedes ? "index/" EVIL "-0.m" : "index/" EVIL "-0", &plain);
}

static void forged_index(struct scene *s)
{
	forge_index(s, false);
}

static void forged_superseding_index(struct scene *s)
{
	forge_index(s, true);
}

/* The same where nobody else says what is in packs any more. */
static void only_forged_index(struct scene *s)
{
	const char *name;
	size_t i = 0;

	forge_index(s, true);
	while ((name = backend_mem_name(s->backend, i)))
		if (strncmp(name, "index/", 6) == 0 &&
		    strncmp(name + 6, EVIL, 32) != 0)
			assert_ok(backend_mem_remove(s->backend, name));
		else
			i++;
}

/* ---- points ---- */

/* A point like the first one, but that some member of it is another. */
static void put_point(struct scene *s, const char *id, const char *member,
		      const char *value)
{
	AUTO_BUF struct buf plain = BUF_INIT, text = BUF_INIT,
			    commit = BUF_INIT;
	struct commit c = { .point = "" };
	char name[OBJECT_NAME_MAX];
	const uint8_t *data;
	json_t *o, *to;
	char *dumped;
	size_t len;

	snprintf(name, sizeof(name), "point/%s", points[0]);
	get(s, OBJECT_POINT, name, &plain);
	o = json_loadb((const char *)plain.data, plain.len, 0, NULL);
	assert_non_null(o);
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "session", json_string(EVIL));
	if (member && strncmp(member, "tree.", 5) == 0)
		to = json_object_get(o, "tree");
	else
		to = o;
	if (member)
		json_object_set_new(to, to == o ? member : member + 5,
				    json_loads(value, JSON_DECODE_ANY, NULL));
	dumped = json_dumps(o, JSON_COMPACT);
	assert_non_null(dumped);
	buf_put(&text, dumped, strlen(dumped));
	free(dumped);
	json_decref(o);
	snprintf(name, sizeof(name), "point/%s", id);
	put(s, OBJECT_POINT, name, &text);
	data = backend_mem_data(s->backend, name, &len);
	snprintf(c.point, sizeof(c.point), "%s", id);
	assert_ok(crypt_sha256(data, len, c.hash));
	commit_encode(&c, EVIL, &commit);
	put(s, OBJECT_COMMIT, "commit/" EVIL, &commit);
}

static const struct {
	const char *member, *value;
} members[] = {
	{ "vm", "\"../evil\"" },
	{ "vm", "7" },
	{ "session", "\"11111111111111111111111111111111\"" },
	{ "id", "\"11111111111111111111111111111111\"" },
	{ "format", "2" },
	{ "time", "\"2026-13-40T25:61:61Z\"" },
	{ "tree.root", "\"00\"" },
	{ "tree.root", "\"0123456789abcdef0123456789abcdef"
		       "0123456789abcdef0123456789abcdef\"" },
	{ "tree.entries", "18446744073709551615" },
	{ "tree.entries", "-1" },
	{ "tags", "[\"\", \"../x\"]" },
	{ "index", "[\"../../etc/passwd\"]" },
	{ "disks", "[{\"name\": \"../x\", \"size\": -1}]" },
	{ "machine", "\"/\"" },
	{ "time", "\"9999-12-31T23:59:59Z\"" },
	{ "vm", "\"latest\"" },
};

static void forged_point(struct scene *s)
{
	put_point(s, EVIL, members[s->variant].member,
		  members[s->variant].value);
}

/* Who claims the point of another: his name is before or behind the owner's. */
#define LAST "ffffffffffffffffffffffffffffffff"

static void claim(struct scene *s, const char *sid)
{
	AUTO_BUF struct buf commit = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	struct commit c = { .point = "" };
	const uint8_t *data;
	size_t len;

	snprintf(name, sizeof(name), "point/%s", points[0]);
	data = backend_mem_data(s->backend, name, &len);
	assert_non_null(data);
	memcpy(c.point, points[0], sizeof(c.point));
	assert_ok(crypt_sha256(data, len, c.hash));
	if (s->variant & 1)
		c.hash[0] ^= 1;
	commit_encode(&c, sid, &commit);
	snprintf(name, sizeof(name), "commit/%s", sid);
	put(s, OBJECT_COMMIT, name, &commit);
}

static void claimed_point(struct scene *s)
{
	claim(s, EVIL);
	if (s->variant & 2)
		claim(s, LAST);
}

/* ---- what is said of points and packs ---- */

/* Wished away in 1970, for no time. */
static void old_wish(struct scene *s)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "forget/%s-0", points[0]);
	put_text(s, OBJECT_FORGET, name,
		 "{\"by\":\"x\",\"time_ns\":1,\"until_ns\":1}");
}

/* It is said that a point was removed, which nobody wished. */
static void unwished_verdict(struct scene *s)
{
	char name[OBJECT_NAME_MAX];
	size_t i, len;

	for (i = 0; i < ARRAY_SIZE(points); i++) {
		snprintf(name, sizeof(name), "forget/%s-%d", points[i],
			 s->variant);
		if (backend_mem_data(s->backend, name, &len))
			continue;
		snprintf(name, sizeof(name), "purge/%s-%d", points[i],
			 s->variant);
		put_text(s, OBJECT_PURGE, name, "{\"verdict\":\"PURGED\"}");
	}
}

static void missing_note(struct scene *s)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "note/%s-7", points[0]);
	put_text(s, OBJECT_NOTE, name,
		 "{\"kind\":\"unprotect\",\"by\":\"x\",\"time_ns\":1}");
}

static void list_packs(struct scene *s, struct pack_list *out)
{
	const char *name;
	size_t i;

	for (i = 0; (name = backend_mem_name(s->backend, i)); i++)
		if (strncmp(name, "pack/", 5) == 0)
			assert_ok(pack_list_add(out, strrchr(name, '/') + 1));
	pack_list_sort(out);
}

/* All packs of the vault are condemned, or said to be deleted. */
static void condemned_packs(struct scene *s)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct pack_list l = { .n = 0 };

	list_packs(s, &l);
	if (s->variant == OBJECT_TOMB)
		tomb_encode(&l, &plain);
	else
		sweep_encode(&l, &plain);
	pack_list_release(&l);
	put(s, (uint8_t)s->variant,
	    s->variant == OBJECT_TOMB ? "tomb/" EVIL : "sweep/" EVIL, &plain);
}

static void slandered_packs(struct scene *s)
{
	struct pack_list l = { .n = 0 };
	char name[OBJECT_NAME_MAX];
	size_t i;

	list_packs(s, &l);
	for (i = 0; i < l.n; i++) {
		snprintf(name, sizeof(name), "quarantine/%s-8", l.names[i]);
		put_text(s, OBJECT_QUARANTINE, name,
			 "{\"what\":\"x\",\"by\":\"x\",\"time_ns\":1}");
	}
	pack_list_release(&l);
}

/* A digest says of the sessions of others that they made nothing, or something else than
 * they did, be it only by a blank. */
static void forged_digest(struct scene *s)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	size_t i;

	buf_put_varint(&plain, ARRAY_SIZE(sessions));
	for (i = 0; i < ARRAY_SIZE(sessions); i++) {
		AUTO_BUF struct buf reg = BUF_INIT, doc = BUF_INIT;
		struct digest_entry e = { .point_len = 0 };
		char name[OBJECT_NAME_MAX];

		memcpy(e.sid, sessions[i], sizeof(e.sid));
		if (s->variant > 0) {
			snprintf(name, sizeof(name), "commit/%s", e.sid);
			get(s, OBJECT_COMMIT, name, &reg);
			assert_ok(commit_decode(reg.data, reg.len, name,
						&e.commit));
			snprintf(name, sizeof(name), "point/%s",
				 e.commit.point);
			get(s, OBJECT_POINT, name, &doc);
			/* White space, in JSON. */
			buf_put_u8(s->variant == 1 ? &reg : &doc, ' ');
		}
		e.reg = reg.data;
		e.reg_len = reg.len;
		e.point = doc.data;
		e.point_len = doc.len;
		digest_put(&plain, &e);
	}
	buf_put_varint(&plain, 0);
	put(s, OBJECT_DIGEST, "digest/" EVIL "-0", &plain);
}

/* A register is gone, which digests tell of. */
static void lost_register(struct scene *s)
{
	char name[OBJECT_NAME_MAX];

	snprintf(name, sizeof(name), "commit/%s", sessions[s->variant]);
	assert_ok(backend_mem_remove(s->backend, name));
}

/* ---- trees ---- */

/* An entry of a directory or an empty file, as in vmbackup-vault(5). */
static void put_entry(struct buf *out, const char *name, size_t len,
		      unsigned int mode)
{
	static const uint8_t rest[] = { 0, 0, 1, 0, 0, 0, 0, 0, 1, 0 };

	buf_put_bytes(out, name, len);
	buf_put_u8(out, 0); /* flags */
	buf_put_varint(out, mode);
	buf_put(out, rest, sizeof(rest));
	if (S_ISREG(mode))
		buf_put_u8(out, 0);
}

enum tree {
	TREE_DOTS,
	TREE_SLASH,
	TREE_NUL,
	TREE_TWICE,
	TREE_UNSORTED,
	TREE_SHORT,
	TREE_EMPTY,
	TREE_NO_NODE,
	TREE_COUNT,
	TREE_DEEP,
	TREE_LOOP,
	TREE_SPOOFED,
};

static void make_leaf(enum tree what, struct buf *out)
{
	static const char *const names[][2] = {
		[TREE_DOTS] = { "..", "x" }, [TREE_SLASH] = { "a/b", "x" },
		[TREE_TWICE] = { "x", "x" }, [TREE_UNSORTED] = { "x", "a" },
		[TREE_SHORT] = { "a", "b" },
	};

	if (what == TREE_NO_NODE) {
		buf_put_u8(out, 'X');
		return;
	}
	buf_put_u8(out, 'L');
	buf_put_varint(out, 1);
	buf_put_bytes(out, "", 0);
	buf_put_varint(out, what == TREE_EMPTY ? 0 : 3);
	if (what == TREE_EMPTY)
		return;
	put_entry(out, "", 0, S_IFDIR | 0755);
	if (what == TREE_NUL) {
		put_entry(out, "a\0b", 3, S_IFREG | 0644);
		put_entry(out, "x", 1, S_IFREG | 0644);
	} else {
		const char *const *n =
			names[what < TREE_EMPTY ? what : TREE_SHORT];

		put_entry(out, n[0], strlen(n[0]), S_IFREG | 0644);
		put_entry(out, n[1], strlen(n[1]), S_IFREG | 0644);
	}
	if (what == TREE_SHORT)
		out->len -= 3;
}

/* A node above @child. */
static void make_inner(unsigned int level, uint64_t count,
		       const struct id *child, struct buf *out)
{
	buf_put_u8(out, 'I');
	buf_put_u8(out, (uint8_t)level);
	buf_put_varint(out, 1);
	buf_put_bytes(out, "\0b", 2);
	buf_put_varint(out, count);
	buf_put(out, child->b, ID_LEN);
}

static void put_node(struct writer *w, const struct buf *node, struct id *out)
{
	assert_ok(buf_error(node));
	assert_ok(writer_chunk(w, CHUNK_NODE, node->data, node->len, out));
}

/* The root of such a tree. */
static void make_tree(struct writer *w, enum tree what, struct id *root)
{
	AUTO_BUF struct buf node = BUF_INIT;
	unsigned int level, levels = what == TREE_DEEP ? 200 : 1;

	make_leaf(what, &node);
	put_node(w, &node, root);
	for (level = 1; level <= levels && what >= TREE_COUNT; level++) {
		struct id child = *root;

		buf_clear(&node);
		if (what == TREE_LOOP || what == TREE_SPOOFED)
			memset(root->b, 0x5a, ID_LEN);
		make_inner(level, what == TREE_COUNT ? 77 : 3,
			   what == TREE_LOOP ? root : &child, &node);
		if (what == TREE_LOOP || what == TREE_SPOOFED)
			assert_ok(writer_store(w, CHUNK_NODE, root, node.data,
					       node.len));
		else
			put_node(w, &node, root);
	}
}

static void forged_tree(struct scene *s)
{
	struct point *p = point_new();
	struct writer *w;

	assert_non_null(p);
	assert_ok(writer_begin(s->vault, 1, NULL, &w));
	make_tree(w, (enum tree)s->variant, &p->root);
	p->vm = strdup("evil");
	p->host = strdup("h");
	p->program = strdup("t");
	p->has_tree = true;
	p->entries = 3;
	p->files = 2;
	assert_ok(writer_commit(w, p));
	point_free(p);
	writer_free(w);
}

/* Bytes of another under the name of a chunk that points need. */
static void spoofed_chunk(struct scene *s)
{
	AUTO_BUF struct buf node = BUF_INIT;
	struct point_list *l;
	struct writer *w;

	assert_ok(vault_points(s->vault, &l));
	assert_ok(writer_begin(s->vault, 1, NULL, &w));
	make_leaf(TREE_COUNT, &node);
	assert_ok(writer_store(w, CHUNK_NODE, &l->points[0]->root, node.data,
			       node.len));
	assert_ok(writer_finish(w));
	writer_free(w);
	point_list_put(l);
}

/* ---- the attacks ---- */

/* What of the points of others cannot be read: nothing; or anything, but only till the
 * index is repaired. */
enum loss { NOTHING, TILL_REPAIR };

static const struct attack {
	const char *name;
	void (*run)(struct scene *s);
	int variant;
	enum verdict verdict;
	const char *object; /* that is named, or how its name begins */
	enum loss loss;
} attacks[] = {
	{ "an index object hides what is in packs", forged_index, LIE_HIDES,
	  NAMED, "index/" EVIL, NOTHING },
	{ "an index object exchanges directories", forged_index, LIE_SWAPS,
	  NAMED, "index/" EVIL, NOTHING },
	{ "an index object lies about sizes", forged_index, LIE_SIZE, NAMED,
	  "index/" EVIL, NOTHING },
	{ "an index object lies about salts", forged_index, LIE_SALT, NAMED,
	  "index/" EVIL, NOTHING },
	{ "an index object lies about kinds", forged_index, LIE_KIND, NAMED,
	  "index/" EVIL, NOTHING },
	{ "an index object lies about ids", forged_index, LIE_IDS, NAMED,
	  "index/" EVIL, NOTHING },
	{ "one that supersedes all others hides what is in packs",
	  forged_superseding_index, LIE_HIDES, NAMED, "index/" EVIL,
	  TILL_REPAIR },
	{ "one that supersedes all others exchanges directories",
	  forged_superseding_index, LIE_SWAPS, NAMED, "index/" EVIL,
	  TILL_REPAIR },
	{ "one that supersedes all others lies about sizes",
	  forged_superseding_index, LIE_SIZE, NAMED, "index/" EVIL,
	  TILL_REPAIR },
	{ "one that supersedes all others lies about salts",
	  forged_superseding_index, LIE_SALT, NAMED, "index/" EVIL,
	  TILL_REPAIR },
	{ "one that supersedes all others lies about kinds",
	  forged_superseding_index, LIE_KIND, NAMED, "index/" EVIL,
	  TILL_REPAIR },
	{ "one that supersedes all others lies about ids",
	  forged_superseding_index, LIE_IDS, NAMED, "index/" EVIL,
	  TILL_REPAIR },
	{ "the only index object hides what is in packs", only_forged_index,
	  LIE_HIDES, NAMED, "index/" EVIL, TILL_REPAIR },
	{ "the only index object exchanges directories", only_forged_index,
	  LIE_SWAPS, NAMED, "index/" EVIL, TILL_REPAIR },
	{ "the only index object lies about sizes", only_forged_index, LIE_SIZE,
	  NAMED, "index/" EVIL, TILL_REPAIR },
	{ "the only index object lies about salts", only_forged_index, LIE_SALT,
	  NAMED, "index/" EVIL, TILL_REPAIR },
	{ "the only index object lies about kinds", only_forged_index, LIE_KIND,
	  NAMED, "index/" EVIL, TILL_REPAIR },
	{ "the only index object lies about ids", only_forged_index, LIE_IDS,
	  NAMED, "index/" EVIL, TILL_REPAIR },
	{ "a point with another member", forged_point, 0, NAMED, "commit/" EVIL,
	  NOTHING },
	{ "a point with another member", forged_point, 1, NAMED, "commit/" EVIL,
	  NOTHING },
	{ "a point with another member", forged_point, 2, NAMED, "commit/" EVIL,
	  NOTHING },
	{ "a point with another member", forged_point, 3, NAMED, "commit/" EVIL,
	  NOTHING },
	{ "a point with another member", forged_point, 4, NAMED, "commit/" EVIL,
	  NOTHING },
	{ "a point with another member", forged_point, 5, NAMED, "commit/" EVIL,
	  NOTHING },
	{ "a point with another member", forged_point, 6, NAMED, "commit/" EVIL,
	  NOTHING },
	{ "a point with another member", forged_point, 7, TOLD, "-", NOTHING },
	{ "a point with another member", forged_point, 8, WHOLE, "", NOTHING },
	{ "a point with another member", forged_point, 9, NAMED, "commit/" EVIL,
	  NOTHING },
	{ "a point with another member", forged_point, 10, NAMED,
	  "commit/" EVIL, NOTHING },
	{ "a point with another member", forged_point, 11, NAMED,
	  "commit/" EVIL, NOTHING },
	{ "a point with another member", forged_point, 12, NAMED,
	  "commit/" EVIL, NOTHING },
	{ "a point with another member", forged_point, 13, NAMED,
	  "commit/" EVIL, NOTHING },
	{ "a point with another member", forged_point, 14, NAMED,
	  "commit/" EVIL, NOTHING },
	{ "a point with another member", forged_point, 15, WHOLE, "", NOTHING },
	{ "a session claims the point of another", claimed_point, 0, NAMED,
	  "commit/" EVIL, NOTHING },
	{ "a session claims the point of another, with a wrong hash",
	  claimed_point, 1, NAMED, "commit/" EVIL, NOTHING },
	{ "several sessions claim the point of another", claimed_point, 2,
	  NAMED, "commit/" LAST, NOTHING },
	{ "several claim it with a wrong hash", claimed_point, 3, NAMED,
	  "commit/" LAST, NOTHING },
	{ "a wish of 1970", old_wish, 0, WHOLE, "", NOTHING },
	{ "a verdict on no wish", unwished_verdict, 0, NAMED, "purge/",
	  NOTHING },
	{ "a verdict on no wish", unwished_verdict, 7, NAMED, "purge/",
	  NOTHING },
	{ "a note of which earlier ones are missing", missing_note, 0, WHOLE,
	  "", NOTHING },
	{ "a tomb of all packs", condemned_packs, OBJECT_TOMB, WHOLE, "",
	  NOTHING },
	{ "a sweep of all packs", condemned_packs, OBJECT_SWEEP, WHOLE, "",
	  NOTHING },
	{ "good packs in quarantine", slandered_packs, 0, WHOLE, "", NOTHING },
	{ "a digest that denies points", forged_digest, 0, NAMED,
	  "digest/" EVIL, NOTHING },
	{ "a digest that tells of other points", forged_digest, 1, NAMED,
	  "digest/" EVIL, NOTHING },
	{ "a digest that has other words of the points", forged_digest, 2,
	  NAMED, "digest/" EVIL, NOTHING },
	{ "a register that is gone", lost_register, 0, NAMED, "commit/",
	  TILL_REPAIR },
	{ "a register that is gone", lost_register, 1, NAMED, "commit/",
	  TILL_REPAIR },
	{ "a register that is gone", lost_register, 2, NAMED, "commit/",
	  TILL_REPAIR },
	{ "a tree with a name of two dots", forged_tree, TREE_DOTS, NAMED,
	  "pack/", NOTHING },
	{ "a tree with a slash in a name", forged_tree, TREE_SLASH, NAMED,
	  "pack/", NOTHING },
	{ "a tree with a NUL in a name", forged_tree, TREE_NUL, NAMED, "pack/",
	  NOTHING },
	{ "a tree with a name twice", forged_tree, TREE_TWICE, NAMED, "pack/",
	  NOTHING },
	{ "a tree with names out of order", forged_tree, TREE_UNSORTED, NAMED,
	  "pack/", NOTHING },
	{ "a tree with a leaf that is cut", forged_tree, TREE_SHORT, NAMED,
	  "pack/", NOTHING },
	{ "a tree with an empty run", forged_tree, TREE_EMPTY, NAMED, "pack/",
	  NOTHING },
	{ "a tree with no node at all", forged_tree, TREE_NO_NODE, NAMED,
	  "pack/", NOTHING },
	{ "a tree with a wrong count", forged_tree, TREE_COUNT, NAMED, "pack/",
	  NOTHING },
	{ "a tree with 200 levels", forged_tree, TREE_DEEP, NAMED, "pack/",
	  NOTHING },
	{ "a tree with a node that is its own child", forged_tree, TREE_LOOP,
	  NAMED, "pack/", NOTHING },
	{ "a tree with a node under another's name", forged_tree, TREE_SPOOFED,
	  NAMED, "pack/", NOTHING },
	{ "a chunk of others with other bytes", spoofed_chunk, 0, NAMED,
	  "pack/", NOTHING },
};

static void assert_read(struct backend *b, enum loss loss, const char *what)
{
	struct idset now = { 0 };
	size_t wrong, lost;

	restorable(b, is_of_base, &now);
	wrong = idset_lacking(&now, &whole);
	lost = idset_lacking(&whole, &now);
	idset_release(&now);
	if (wrong)
		fail_msg("%s: %zu things are read that were not backed up",
			 what, wrong);
	if (lost && loss == NOTHING)
		fail_msg("%s: %zu things cannot be read", what, lost);
}

/* Repairs take nothing away, and one run does all: a second one finds nothing to do. */
static void repair_to_end(struct scene *s, const char *what)
{
	struct backend *attacked = backend_mem_clone(s->backend);
	struct repair_result res = { .repaired = 1 };
	int i;

	assert_non_null(attacked);
	for (i = 0; i < 2 && res.repaired; i++)
		assert_ok(repair_all(s->backend, true, &res));
	if (res.repaired)
		fail_msg("%s: repairs do not end: %s", what, repair_said);
	assert_only_added(attacked, s->backend, what);
	backend_close(attacked);
}

static void run_attack(const struct attack *a)
{
	struct scene s = { .backend = backend_mem_clone(base),
			   .variant = a->variant };
	struct vault_options o = vaults_options(NULL, s.backend, NULL, NULL);
	char what[128], named[256];
	enum verdict v;

	snprintf(what, sizeof(what), "%s (%d)", a->name, a->variant);
	assert_ok(vault_open(&o, &s.vault));
	a->run(&s);
	vault_close(s.vault);
	v = judge(s.backend, a->object, named);
	if (v != a->verdict)
		fail_msg("%s: check: %s, and not: %s; first: %s", what,
			 verdict_name(v), verdict_name(a->verdict), named);
	assert_read(s.backend, a->loss, what);
	repair_to_end(&s, what);
	assert_read(s.backend, NOTHING, what);
	/* The index is as good as new. */
	if (a->run == forged_index || a->run == forged_superseding_index ||
	    a->run == only_forged_index)
		assert_int_equal(judge(s.backend, "-", named), WHOLE);
	backend_close(s.backend);
}

static void each_attack(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(attacks); i++)
		run_attack(&attacks[i]);
}

/* ---- chunks are compared with their names ---- */

#define CHUNK_LEN 300000u

static void store_chunk(struct vault *v, const struct id *id,
			const uint8_t *data)
{
	struct writer *w;

	assert_ok(vault_refresh(v));
	assert_ok(writer_begin(v, 1, NULL, &w));
	assert_ok(writer_store(w, CHUNK_DATA, id, data, CHUNK_LEN));
	assert_ok(writer_finish(w));
	writer_free(w);
	assert_ok(vault_refresh(v));
}

/* Read a bit in the middle, and then all, of a chunk whose first byte alone may be
 * wrong. */
static int read_parts(struct vault *v, const struct id *id, uint8_t *out)
{
	uint8_t part[1000];
	int r = chunk_read(v, CHUNK_DATA, id, CHUNK_LEN, 150000, sizeof(part),
			   part);

	if (r == 0)
		r = chunk_read(v, CHUNK_DATA, id, CHUNK_LEN, 0, CHUNK_LEN, out);
	if (r == 0)
		assert_memory_equal(part, out + 150000, sizeof(part));
	return r;
}

static void each_read_is_compared(void **state)
{
	struct backend *b = backend_mem_clone(base);
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_FREE uint8_t *good = malloc(CHUNK_LEN), *bad = malloc(CHUNK_LEN),
			  *got = malloc(CHUNK_LEN);
	struct vault_stats stats;
	struct vault *v, *open;
	struct id id;
	size_t i;

	(void)state;
	assert_non_null(good);
	assert_non_null(bad);
	assert_non_null(got);
	for (i = 0; i < CHUNK_LEN; i++)
		good[i] = (uint8_t)(i * i >> 7);
	memcpy(bad, good, CHUNK_LEN);
	bad[0] ^= 1;
	assert_ok(vault_open(&o, &v));
	assert_ok(
		keyring_id(vault_keyring(v), CHUNK_DATA, good, CHUNK_LEN, &id));
	store_chunk(v, &id, bad);
	support_log_clear();
	assert_result(read_parts(v, &id, got), -EBADMSG);
	assert_said("in pack/");
	assert_said("wrote something else");
	assert_said("vmbackup check");
	/* Who wants that can have it. */
	o.no_verify = true;
	assert_ok(vault_open(&o, &open));
	assert_ok(read_parts(open, &id, got));
	assert_memory_equal(got, bad, CHUNK_LEN);
	vault_close(open);
	o.no_verify = false;
	/* Another pack has it as it should be. */
	store_chunk(v, &id, good);
	vault_close(v);
	assert_ok(vault_open(&o, &v));
	for (i = 0; i < 2; i++) {
		memset(got, 0, CHUNK_LEN);
		assert_ok(read_parts(v, &id, got));
		assert_memory_equal(got, good, CHUNK_LEN);
	}
	/* Who reads a chunk bit by bit does not have it decoded each time. */
	vault_get_stats(v, &stats);
	i = stats.frames_decoded;
	for (uint32_t off = 0; off + 1000 <= CHUNK_LEN; off += 1000)
		assert_ok(chunk_read(v, CHUNK_DATA, &id, CHUNK_LEN, off, 1000,
				     got));
	vault_get_stats(v, &stats);
	assert_true(stats.frames_decoded <= i + 3);
	vault_close(v);
	backend_close(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_attack),
		cmocka_unit_test(each_read_is_compared),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
