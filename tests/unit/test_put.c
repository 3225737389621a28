/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A key that adds points and reads none: what it does, what it cannot do, and what
 * whoever steals it tries in vain. */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/mem.h"
#include "store/base/bytes.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/catalog/catalog.h"
#include "store/chunk.h"
#include "store/collect/collect.h"
#include "store/crypt/keyring.h"
#include "store/crypt/put_keys.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/pack_prints.h"
#include "store/writer/condemned.h"
#include "store/writer/internal.h"

#define MACHINE "m" /* of vaults_backup() */

struct scene {
	struct backend *b;
	struct secret *key; /* of the slot that adds */
	struct put_keys keys; /* what the slot holds */
	char *cache;
	uint8_t vault_id[VAULT_ID_LEN];
};

static struct vault_options owner_of(const struct scene *s)
{
	return vaults_options(NULL, s->b, NULL, NULL);
}

static struct vault_options adder_of(const struct scene *s)
{
	struct vault_options o = vaults_options(NULL, s->b, NULL, s->cache);

	o.credential.keyfile = s->key;
	o.only_adds = true;
	return o;
}

static struct vault *open_with(struct vault_options o)
{
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	return v;
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct vault_options o;
	struct credential c = { NULL, NULL };
	struct vault *v;
	char id[33], slot[33];

	assert_non_null(s);
	support_log_capture();
	s->b = backend_mem_new();
	assert_non_null(s->b);
	o = owner_of(s);
	assert_ok(vault_create(&o, 0, id));
	s->key = secret_new(40);
	assert_non_null(s->key);
	memset(s->key->data, 'p', s->key->len);
	c.keyfile = s->key;
	v = open_with(o);
	assert_ok(vault_key_add_put(v, &c, 0, NULL, MACHINE, slot));
	assert_ok(keyring_make_put(vault_keyring(v), MACHINE, &s->keys));
	memcpy(s->vault_id, keyring_vault_id(vault_keyring(v)), VAULT_ID_LEN);
	vault_close(v);
	s->cache = strdup(support_path("%s/cache", support_tmpdir_fast()));
	assert_non_null(s->cache);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	support_remove(s->cache);
	free(s->cache);
	secret_free(s->key);
	backend_close(s->b);
	free(s);
	return 0;
}

static size_t count(const struct scene *s, const char *prefix)
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(s->b); i++)
		n += strncmp(backend_mem_name(s->b, i), prefix,
			     strlen(prefix)) == 0;
	return n;
}

static const char *make_dir(const char *name, uint64_t seed)
{
	static uint8_t data[50000];
	const char *dir = support_path("%s/%s", support_tmpdir_fast(), name);

	(void)mkdir(dir, 0755);
	support_fill(seed, data, sizeof(data));
	support_write(support_path("%s/file", dir), data, sizeof(data));
	return dir;
}

/* ---- what a thief does: he has the slot's keys, and seals what he likes ---- */

/* Random bytes that are the public half of a key of his. */
struct thief_seam {
	struct seam seam;
	struct seam_ops ops;
	uint8_t salt[PUT_KEY_LEN];
};

static int his_bytes(struct seam *seam, void *out, size_t len)
{
	struct thief_seam *t = (struct thief_seam *)seam;

	memcpy(out, t->salt, MIN(len, sizeof(t->salt)));
	return 0;
}

static void steal_seal(const struct scene *s, uint8_t type, uint32_t epoch,
		       const char *name, const void *plain, size_t len,
		       struct buf *out)
{
	static uint8_t next = 1;
	uint8_t private_half[PUT_KEY_LEN] = { next++, 77 };
	uint8_t base[CRYPT_KEY_LEN];
	struct thief_seam t = { .ops = *seam_system()->ops };

	t.seam.ops = &t.ops;
	t.ops.random = his_bytes;
	assert_ok(put_public(private_half, t.salt));
	assert_ok(put_base_key(private_half, s->keys.vault_key, t.salt,
			       s->keys.vault_key, s->vault_id, type, base));
	assert_ok(format_seal_box_of(NULL, base, s->vault_id, &t.seam, type,
				     epoch, name, NULL, 0, plain, len, out));
}

static void steal_put(const struct scene *s, uint8_t type, const char *name,
		      const char *plain)
{
	AUTO_BUF struct buf box = BUF_INIT;

	steal_seal(s, type, s->keys.epoch, name, plain, strlen(plain), &box);
	assert_ok(backend_mem_set(s->b, name, box.data, box.len));
}

/* Does it open for who has the master keys? */
static int opens(const struct scene *s, uint8_t type, uint32_t epoch,
		 const char *name)
{
	AUTO_BUF struct buf box = BUF_INIT;
	AUTO_BUF struct buf plain = BUF_INIT;
	struct vault *v = open_with(owner_of(s));
	int r;

	steal_seal(s, type, epoch, name, "{}", 2, &box);
	r = format_read_box(vault_keyring(v), box.data, box.len, type, name,
			    &plain);
	vault_close(v);
	return r;
}

/* ---- the keys ---- */

static void a_slot_says_what_it_holds(void **state)
{
	const struct scene *s = *state;
	struct secret *text = put_keys_encode(&s->keys);
	struct put_keys again;
	size_t i;

	assert_non_null(text);
	assert_int_equal(text->len % 32, 1);
	assert_ok(put_keys_decode(text->data, text->len, &again));
	assert_memory_equal(&again, &s->keys, sizeof(again));
	for (i = 0; i < text->len; i++)
		assert_result(put_keys_decode(text->data, i, &again),
			      -EOPNOTSUPP);
	text->data[text->len - 1] = 1;
	assert_result(put_keys_decode(text->data, text->len, &again),
		      -EOPNOTSUPP);
	secret_free(text);
}

static void its_sessions_have_its_mark(void **state)
{
	const struct scene *s = *state;
	struct vault *owner = open_with(owner_of(s)),
		     *adder = open_with(adder_of(s));
	char sid[33], other[33];

	assert_ok(keyring_new_sid(vault_keyring(adder), seam_system(), sid));
	assert_ok(keyring_new_sid(vault_keyring(owner), seam_system(), other));
	assert_int_equal(keyring_sid_writer(vault_keyring(owner), sid),
			 s->keys.epoch);
	assert_int_equal(keyring_sid_writer(vault_keyring(adder), sid),
			 s->keys.epoch);
	assert_int_equal(keyring_sid_writer(vault_keyring(owner), other), 0);
	assert_true(vault_is_own(adder, sid));
	assert_false(vault_is_own(adder, other));
	assert_true(vault_is_own(owner, other));
	assert_false(vault_is_own(owner, sid));
	sid[31] = sid[31] == '0' ? '1' : '0';
	assert_int_equal(keyring_sid_writer(vault_keyring(owner), sid), 0);
	assert_false(vault_is_own(adder, sid));
	vault_close(owner);
	vault_close(adder);
}

/* Only what makes points, and only in sessions of its own. */
static void it_seals_nothing_else(void **state)
{
	static const uint8_t may[] = { OBJECT_SESSION, OBJECT_INDEX,
				       OBJECT_POINT, OBJECT_COMMIT,
				       OBJECT_HEARTBEAT };
	const struct scene *s = *state;
	struct vault *adder = open_with(adder_of(s));
	char sid[33], name[OBJECT_NAME_MAX];
	uint8_t type;

	assert_ok(keyring_new_sid(vault_keyring(adder), seam_system(), sid));
	for (type = 1; type <= OBJECT_TYPE_MAX; type++) {
		AUTO_BUF struct buf box = BUF_INIT;
		bool good = memchr(may, type, sizeof(may));

		if (type == OBJECT_DATA_PACK || type == OBJECT_TREE_PACK)
			continue; /* no boxes */
		snprintf(name, sizeof(name), "any/%s", sid);
		assert_result(opens(s, type, s->keys.epoch, name),
			      good ? 0 : -EBADMSG);
		/* Of a program of ours that would not even seal it. */
		assert_int_equal(format_seal_box(vault_keyring(adder), NULL,
						 NULL, seam_system(), type,
						 name, NULL, 0, "{}", 2,
						 &box) == 0,
				 good);
		/* In the name of another's session. */
		assert_result(opens(s, type, s->keys.epoch,
				    "any/00112233445566778899aabbccddeeff"),
			      type == OBJECT_POINT ? 0 : -EBADMSG);
		/* With the number of another machine, or that of all. */
		assert_result(opens(s, type, put_epoch(0, 0), name), -EBADMSG);
	}
	snprintf(name, sizeof(name), "commit/%s", sid);
	assert_result(opens(s, OBJECT_COMMIT, put_epoch(1, 5), name),
		      -EOPNOTSUPP);
	vault_close(adder);
}

/* ---- points ---- */

static void it_adds_points(void **state)
{
	struct scene *s = *state;
	const char *dir = make_dir("added", 1);
	struct vault_options o = adder_of(s), wrong = adder_of(s);
	uint8_t digest[CRYPT_SHA256_LEN] = { 0 };
	char first[33], second[33], third[33];
	struct vault *v;
	size_t packs;

	o.only_adds = true;
	wrong.only_adds = false;
	assert_result(vault_open(&wrong, &v), -EKEYREJECTED);
	assert_said("adds points and reads none");
	v = open_with(o);
	assert_true(vault_is_put_only(v));
	assert_string_equal(vault_put_machine(v), MACHINE);
	assert_int_equal(vaults_backup(v, dir, first), 0);
	vault_close(v);
	assert_true(vaults_is_whole(s->b, first, dir, digest));
	packs = count(s, "pack/");
	/* What is there is not stored again, by another process. */
	v = open_with(o);
	assert_ok(vaults_backup(v, dir, second));
	vault_close(v);
	assert_int_equal(count(s, "pack/"), packs);
	assert_true(vaults_is_whole(s->b, second, dir, digest));
	/* Without what this machine kept, all is. */
	support_remove(s->cache);
	v = open_with(o);
	assert_ok(vaults_backup(v, dir, third));
	vault_close(v);
	assert_true(count(s, "pack/") > packs);
	assert_true(vaults_is_whole(s->b, third, dir, digest));
	o = owner_of(s);
	assert_ok(vaults_check(&o));
}

/* It cannot read back the bytes that it has stored, nor what others did. */
static void it_reads_no_data(void **state)
{
	struct scene *s = *state;
	const char *dir = make_dir("unread", 2);
	struct vault *owner, *v;
	struct point_list *l;
	char id[33];
	size_t i;

	owner = open_with(owner_of(s));
	assert_ok(vaults_backup(owner, dir, id));
	v = open_with(adder_of(s));
	assert_ok(vaults_backup(v, dir, id));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, 1);
	point_list_put(l);
	for (i = 0; i < backend_mem_nobjects(s->b); i++) {
		const char *name = backend_mem_name(s->b, i);
		struct object_header h;
		struct seal_key key;
		char key_name[OBJECT_NAME_MAX];
		uint8_t *raw;
		size_t len;
		bool own;

		if (strncmp(name, "pack/", 5) != 0)
			continue;
		assert_ok(backend_get_all(s->b, name, FORMAT_PACK_MAX, &raw,
					  &len));
		assert_ok(format_get_header(raw, len, name, &h));
		assert_ok(
			format_pack_key_name(strrchr(name, '/') + 1, key_name));
		own = vault_is_own(v, strrchr(name, '/') + 1);
		assert_result(keyring_seal_key(vault_keyring(v), h.type,
					       h.epoch, key_name, h.salt, &key),
			      own && h.type == OBJECT_TREE_PACK ? 0
								: -EOPNOTSUPP);
		assert_ok(keyring_seal_key(vault_keyring(owner), h.type,
					   h.epoch, key_name, h.salt, &key));
		free(raw);
	}
	vault_close(v);
	vault_close(owner);
}

/* ---- attacks ---- */

static size_t npoints(const struct scene *s, size_t *ndamaged)
{
	struct vault *v = open_with(owner_of(s));
	struct point_list *l;
	size_t n;

	assert_ok(vault_points(v, &l));
	n = l->n;
	*ndamaged = l->ndamaged;
	point_list_put(l);
	vault_close(v);
	return n;
}

/* What a commit added to a point on the stack. */
static void free_index(struct point *p)
{
	while (p->nindex > 0)
		free(p->index[--p->nindex]);
	free(p->index);
}

/* Somebody else's session, which he would end, or decide for his own point. */
static void it_decides_for_nobody_else(void **state)
{
	struct scene *s = *state;
	const char *dir = make_dir("fence", 3);
	struct vault *v = open_with(owner_of(s));
	uint8_t digest[CRYPT_SHA256_LEN] = { 0 };
	AUTO_BUF struct buf fence = BUF_INIT;
	char name[OBJECT_NAME_MAX], id[33];
	struct point p = { .time_ns = 1 };
	struct writer *w;
	size_t ndamaged;

	assert_ok(writer_begin(v, 3, NULL, &w));
	commit_encode_fenced(w->sid, &fence);
	buf_put_u8(&fence, '\0');
	snprintf(name, sizeof(name), "commit/%s", w->sid);
	steal_put(s, OBJECT_COMMIT, name, (const char *)fence.data);
	p.vm = p.host = p.user = p.program = (char *)"other";
	assert_true(writer_commit(w, &p) < 0);
	free_index(&p);
	writer_free(w);
	/* The session is lost, and all others go on. */
	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	assert_true(vaults_is_whole(s->b, id, dir, digest));
	assert_int_equal(npoints(s, &ndamaged), 1);
	assert_int_equal(ndamaged, 1);
}

/* A point of @vm, with that id of a machine, NULL for the right one. */
static int add_point(const struct scene *s, const char *vm, const char *machine)
{
	struct vault *v = open_with(adder_of(s));
	struct point p = { .time_ns = INT64_C(1700000000) * 1000000000 };
	char names[4][40];
	struct writer *w;
	int r;

	snprintf(names[0], sizeof(names[0]), "%s", vm);
	snprintf(names[1], sizeof(names[1]), "host");
	p.vm = names[0];
	p.host = p.user = p.program = names[1];
	if (machine)
		snprintf(p.machine, sizeof(p.machine), "%s", machine);
	else
		assert_ok(point_machine_of(vm, 0, p.machine));
	assert_ok(writer_begin(v, 3, NULL, &w));
	r = writer_commit(w, &p);
	free_index(&p);
	writer_free(w);
	vault_close(v);
	return r;
}

static void it_makes_points_of_one_machine(void **state)
{
	struct scene *s = *state;
	char other[33];
	size_t ndamaged;

	assert_ok(add_point(s, MACHINE, NULL));
	assert_int_equal(npoints(s, &ndamaged), 1);
	assert_int_equal(ndamaged, 0);
	assert_ok(add_point(s, "db1", NULL));
	support_log_clear();
	assert_int_equal(npoints(s, &ndamaged), 1);
	assert_int_equal(ndamaged, 1);
	assert_said("adds points of another one alone");
	assert_ok(point_machine_of("db1", 0, other));
	assert_ok(add_point(s, MACHINE, other));
	assert_int_equal(npoints(s, &ndamaged), 1);
	assert_int_equal(ndamaged, 2);
}

/* Bytes that are not those of the name under which they are stored: he knows how
 * names are made. Who stores the right ones afterwards does not rely on that. */
static void a_chunk_of_his_stands_for_nothing(void **state)
{
	struct scene *s = *state;
	static uint8_t right[50000], wrong[50000];
	const char *dir = make_dir("poison", 4);
	uint8_t digest[CRYPT_SHA256_LEN] = { 0 };
	struct vault *v = open_with(adder_of(s));
	struct point p = { .time_ns = 1 };
	struct vault_options o = owner_of(s);
	struct point_list *l;
	char id[33], vm[] = MACHINE, host[] = "host";
	struct writer *w;
	struct id chunk;
	size_t i;

	support_fill(4, right, sizeof(right));
	support_fill(5, wrong, sizeof(wrong));
	assert_ok(keyring_id(vault_keyring(v), CHUNK_DATA, right, sizeof(right),
			     &chunk));
	p.vm = vm;
	p.host = p.user = p.program = host;
	assert_ok(point_machine_of(vm, 0, p.machine));
	assert_ok(writer_begin(v, 3, NULL, &w));
	assert_int_equal(writer_claim(w, CHUNK_DATA, &chunk, sizeof(wrong)), 1);
	assert_ok(writer_store(w, CHUNK_DATA, &chunk, wrong, sizeof(wrong)));
	assert_ok(writer_commit(w, &p));
	free_index(&p);
	writer_free(w);
	vault_close(v);
	v = open_with(o);
	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	assert_true(vaults_is_whole(s->b, id, dir, digest));
	v = open_with(o);
	assert_ok(vault_points(v, &l));
	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->id, id) == 0) {
			uint8_t out[CRYPT_SHA256_LEN];

			assert_ok(vaults_digest(v, l->points[i], dir, out));
			assert_memory_equal(out, digest, sizeof(out));
		}
	point_list_put(l);
	vault_close(v);
}

/* He says of a pack of others that something else is in it. */
static void he_speaks_for_no_other_pack(void **state)
{
	struct scene *s = *state;
	const char *dir = make_dir("index", 6);
	struct vault *v = open_with(owner_of(s));
	uint8_t digest[CRYPT_SHA256_LEN] = { 0 }, salt[CRYPT_SALT_LEN] = { 0 };
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_BUF struct buf packs = BUF_INIT;
	AUTO_BUF struct buf d = BUF_INIT;
	AUTO_BUF struct buf box = BUF_INIT;
	struct pack_dir none = { .nchunks = 0 };
	char id[33], sid[33], name[OBJECT_NAME_MAX], pack[PACK_NAME_MAX] = "";
	struct vault *adder;
	size_t i;

	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	for (i = 0; i < backend_mem_nobjects(s->b); i++)
		if (strncmp(backend_mem_name(s->b, i), "pack/", 5) == 0)
			snprintf(pack, sizeof(pack), "%s",
				 strrchr(backend_mem_name(s->b, i), '/') + 1);
	adder = open_with(adder_of(s));
	assert_ok(keyring_new_sid(vault_keyring(adder), seam_system(), sid));
	vault_close(adder);
	format_put_dir(&d, &none);
	buf_put_varint(&plain, 1);
	index_put_pack(&plain, pack, 5000, OBJECT_TREE_PACK, s->keys.epoch,
		       salt, d.data, d.len);
	buf_put_varint(&plain, 0);
	snprintf(name, sizeof(name), "index/%s-0", sid);
	steal_seal(s, OBJECT_INDEX, s->keys.epoch, name, plain.data, plain.len,
		   &box);
	assert_ok(backend_mem_set(s->b, name, box.data, box.len));
	support_log_clear();
	assert_true(vaults_is_whole(s->b, id, dir, digest));
	v = open_with(owner_of(s));
	assert_ok(vault_refresh(v));
	assert_said("which is not its writer's");
	vault_close(v);
	(void)packs;
}

/* What he says that his commit follows accuses nobody. */
static void he_accuses_nobody(void **state)
{
	struct scene *s = *state;
	struct commit_after after = { .is_told = true, .n = 1 };
	struct commit c = { .point = "" };
	AUTO_BUF struct buf plain = BUF_INIT;
	char sid[33], name[OBJECT_NAME_MAX];
	struct vault *adder = open_with(adder_of(s)), *v;
	struct point_list *l;

	assert_ok(keyring_new_sid(vault_keyring(adder), seam_system(), sid));
	vault_close(adder);
	memset(after.refs[0].sid, 0xaa, COMMIT_SID_LEN);
	after.refs[0].has_hash = 1;
	memset(c.point, 'b', 32);
	commit_encode_after(&c, sid, &after, NULL, &plain);
	buf_put_u8(&plain, '\0');
	snprintf(name, sizeof(name), "commit/%s", sid);
	steal_put(s, OBJECT_COMMIT, name, (const char *)plain.data);
	support_log_clear();
	v = open_with(owner_of(s));
	assert_ok(vault_points(v, &l));
	assert_null(strstr(support_log_text(), "aaaaaaaa"));
	point_list_put(l);
	assert_ok(vault_may_write(v));
	vault_close(v);
}

/* ---- collections ---- */

/* He learns by prints which of his packs are condemned, or were. */
static void he_uses_nothing_that_goes(void **state)
{
	struct scene *s = *state;
	const char *dir = make_dir("tombs", 7);
	uint8_t digest[CRYPT_SHA256_LEN] = { 0 };
	AUTO_BUF struct buf clear = BUF_INIT;
	AUTO_BUF struct buf box = BUF_INIT;
	struct vault *v = open_with(adder_of(s));
	char id[33];
	size_t i, before;

	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	for (i = 0; i < backend_mem_nobjects(s->b); i++)
		if (strncmp(backend_mem_name(s->b, i), "pack/", 5) == 0)
			pack_print_encode(
				strrchr(backend_mem_name(s->b, i), '/') + 1,
				&clear);
	v = open_with(owner_of(s));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, seam_system(),
				  OBJECT_TOMB,
				  "tomb/00112233445566778899aabbccddeeff",
				  clear.data, clear.len, "{}", 2, &box));
	vault_close(v);
	assert_ok(backend_mem_set(s->b, "tomb/00112233445566778899aabbccddeeff",
				  box.data, box.len));
	before = count(s, "pack/");
	v = open_with(adder_of(s));
	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	assert_int_equal(count(s, "pack/"), 2 * before);
	assert_true(vaults_is_whole(s->b, id, dir, digest));
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_slot_says_what_it_holds),
		TEST(its_sessions_have_its_mark),
		TEST(it_seals_nothing_else),
		TEST(it_adds_points),
		TEST(it_reads_no_data),
		TEST(it_decides_for_nobody_else),
		TEST(it_makes_points_of_one_machine),
		TEST(a_chunk_of_his_stands_for_nothing),
		TEST(he_speaks_for_no_other_pack),
		TEST(he_accuses_nobody),
		TEST(he_uses_nothing_that_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
