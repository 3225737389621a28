/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What whoever stole a key that adds points does to others who read, collect and go on
 * with the vault; see test_put.c for the key itself. */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "src/backup/backup.h"
#include "store/backend/mem.h"
#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/seam.h"
#include "store/base/secret.h"
#include "store/base/task.h"
#include "store/collect/collect.h"
#include "store/crypt/keyring.h"
#include "store/crypt/put_keys.h"
#include "store/format.h"
#include "store/index.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/pack_prints.h"
#include "store/writer/internal.h"

#define MACHINE "m" /* of vaults_backup() */

struct scene {
	struct backend *b;
	struct secret *key; /* of the slot that adds */
	struct put_keys keys; /* what the slot holds */
	uint8_t vault_id[VAULT_ID_LEN];
};

static struct vault *open_with(const struct vault_options *o)
{
	struct vault *v;

	assert_ok(vault_open(o, &v));
	return v;
}

static struct vault_options owner_of(const struct scene *s)
{
	return vaults_options(NULL, s->b, NULL, NULL);
}

static struct vault *open_adder(const struct scene *s)
{
	struct vault_options o = owner_of(s);

	o.credential.keyfile = s->key;
	o.only_adds = true;
	return open_with(&o);
}

static struct vault *open_owner(const struct scene *s)
{
	struct vault_options o = owner_of(s);

	return open_with(&o);
}

static int setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));
	struct credential c = { NULL, NULL };
	struct vault_options o;
	char id[33], slot[33];
	struct vault *v;

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
	v = open_owner(s);
	assert_ok(vault_key_add_put(v, &c, 0, NULL, MACHINE, slot));
	assert_ok(keyring_make_put(vault_keyring(v), MACHINE, &s->keys));
	memcpy(s->vault_id, keyring_vault_id(vault_keyring(v)), VAULT_ID_LEN);
	vault_close(v);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct scene *s = *state;

	secret_free(s->key);
	backend_close(s->b);
	free(s);
	return 0;
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

/* ---- what a thief seals ---- */

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

static void steal_put(const struct scene *s, uint8_t type, const char *name,
		      const struct buf *plain)
{
	static uint32_t next = 1;
	uint8_t private_half[PUT_KEY_LEN] = { 0 }, base[CRYPT_KEY_LEN];
	struct thief_seam t = { .ops = *seam_system()->ops };
	AUTO_BUF struct buf box = BUF_INIT;

	put_le32(private_half + 4, next++);
	t.seam.ops = &t.ops;
	t.ops.random = his_bytes;
	assert_ok(put_public(private_half, t.salt));
	assert_ok(put_base_key(private_half, s->keys.vault_key, t.salt,
			       s->keys.vault_key, s->vault_id, type, base));
	assert_ok(format_seal_box_of(NULL, base, s->vault_id, &t.seam, type,
				     s->keys.epoch, name, NULL, 0, plain->data,
				     plain->len, &box));
	assert_ok(backend_mem_set(s->b, name, box.data, box.len));
}

static void new_sid(struct vault *adder, char sid[33])
{
	assert_ok(keyring_new_sid(vault_keyring(adder), seam_system(), sid));
}

/* What a commit added to a point on the stack. */
static void free_index(struct point *p)
{
	while (p->nindex > 0)
		free(p->index[--p->nindex]);
	free(p->index);
}

/* A pack of his that has @data under the name of @named, and no point. */
static void store_as(const struct scene *s, const uint8_t *data,
		     const uint8_t *named, size_t len, char sid[33])
{
	struct vault *v = open_adder(s);
	struct point p = { .time_ns = 1 };
	char vm[] = MACHINE, host[] = "host";
	struct id chunk;
	struct writer *w;

	assert_ok(keyring_id(vault_keyring(v), CHUNK_DATA, named, len, &chunk));
	p.vm = vm;
	p.host = p.user = p.program = host;
	assert_ok(point_machine_of(vm, 0, p.machine));
	assert_ok(writer_begin(v, 3, NULL, &w));
	snprintf(sid, 33, "%s", w->sid);
	assert_int_equal(writer_claim(w, CHUNK_DATA, &chunk, (uint32_t)len), 1);
	assert_ok(writer_store(w, CHUNK_DATA, &chunk, data, (uint32_t)len));
	assert_ok(writer_commit(w, &p));
	free_index(&p);
	writer_free(w);
	vault_close(v);
}

/* ---- reading ---- */

static void read_point(const struct scene *s, const char *id, const char *dir,
		       bool no_verify, uint8_t out[CRYPT_SHA256_LEN])
{
	struct vault_options o = owner_of(s);
	struct point_list *l;
	struct vault *v;
	size_t i;

	o.no_verify = no_verify;
	v = open_with(&o);
	assert_ok(vault_points(v, &l));
	i = vaults_find_point(l, id);
	assert_true(i < l->n);
	assert_ok(vaults_digest(v, l->points[i], dir, out));
	point_list_put(l);
	vault_close(v);
}

/* Whoever spares comparing chunks with their names trusts who reads the vault, and
 * not who only adds to it. */
static void nobody_reads_a_false_chunk_of_his(void **state)
{
	const struct scene *s = *state;
	static uint8_t right[50000], wrong[50000];
	const char *dir = make_dir("poison", 4);
	uint8_t want[CRYPT_SHA256_LEN], got[CRYPT_SHA256_LEN];
	char id[33], sid[33];
	struct vault *v = open_owner(s);

	support_fill(4, right, sizeof(right));
	support_fill(5, wrong, sizeof(wrong));
	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	read_point(s, id, dir, false, want);
	/* Of several copies whichever was known first is read: in one order or the
	 * other his is that. */
	store_as(s, wrong, right, sizeof(right), sid);
	read_point(s, id, dir, true, got);
	assert_memory_equal(got, want, sizeof(want));
	v = open_owner(s);
	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	read_point(s, id, dir, true, got);
	assert_memory_equal(got, want, sizeof(want));
}

static void nor_was_there_first(void **state)
{
	const struct scene *s = *state;
	static uint8_t right[50000], wrong[50000];
	const char *dir = make_dir("first", 6);
	uint8_t want[CRYPT_SHA256_LEN], got[CRYPT_SHA256_LEN];
	char id[33], sid[33];
	struct vault *v;
	int i;

	support_fill(6, right, sizeof(right));
	support_fill(7, wrong, sizeof(wrong));
	for (i = 0; i < 4; i++)
		store_as(s, wrong, right, sizeof(right), sid);
	v = open_owner(s);
	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	read_point(s, id, dir, false, want);
	read_point(s, id, dir, true, got);
	assert_memory_equal(got, want, sizeof(want));
}

/* ---- history ---- */

/* The session of a point. */
static void session_of(const struct scene *s, const char *id, char sid[33])
{
	struct vault *v = open_owner(s);
	struct point_list *l;
	size_t i;

	assert_ok(vault_points(v, &l));
	i = vaults_find_point(l, id);
	assert_true(i < l->n);
	snprintf(sid, 33, "%s", l->points[i]->session);
	point_list_put(l);
	vault_close(v);
}

/* He commits more than one commit can name, and says of each what it follows: what the
 * others follow they say all the same. */
static void his_commits_push_none_out(void **state)
{
	const struct scene *s = *state;
	const char *dir = make_dir("crowd", 8);
	struct commit_after after = { .is_told = true }, found;
	char id[33], sid[33], own[33], name[OBJECT_NAME_MAX];
	struct commit c = { .point = "" };
	struct vault *v = open_owner(s);
	uint8_t raw[COMMIT_SID_LEN];
	struct point_list *l;
	bool named = false;
	size_t i;

	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	session_of(s, id, own);
	memset(c.point, 'b', 32);
	v = open_adder(s);
	for (i = 0; i < COMMIT_AFTER_MAX + 10; i++) {
		AUTO_BUF struct buf plain = BUF_INIT;

		new_sid(v, sid);
		commit_encode_after(&c, sid, &after, NULL, &plain);
		snprintf(name, sizeof(name), "commit/%s", sid);
		steal_put(s, OBJECT_COMMIT, name, &plain);
	}
	vault_close(v);
	v = open_owner(s);
	assert_ok(vault_points(v, &l));
	point_list_put(l);
	assert_ok(vault_newest_commits(v, &found));
	assert_ok(hex_decode(own, sizeof(raw), raw));
	for (i = 0; i < found.n; i++)
		named |= memcmp(found.refs[i].sid, raw, sizeof(raw)) == 0;
	assert_true(named);
	assert_false(found.is_cut);
	vault_close(v);
}

/* ---- collections ---- */

static int say_yes(void *arg, const struct collect_plan *plan)
{
	((struct collect_options *)arg)->yes_remove = (int64_t)plan->nremoved;
	return 0;
}

/* His index object says of his own pack that nothing is in it, but there is what others
 * need, too. That pack stays, and others go on. */
static void he_stops_no_collection(void **state)
{
	const struct scene *s = *state;
	static uint8_t right[50000];
	const char *dir = make_dir("lied", 9);
	struct collect_options o = { .yes_remove = -1,
				     .max_unused = 100,
				     .on_plan = say_yes };
	uint8_t digest[CRYPT_SHA256_LEN] = { 0 }, salt[CRYPT_SALT_LEN] = { 0 };
	struct collect_result result;
	char sid[33], id[33], object[OBJECT_NAME_MAX];
	AUTO_BUF struct buf plain = BUF_INIT;
	AUTO_BUF struct buf d = BUF_INIT;
	struct pack_dir none = { .nchunks = 0 };
	struct backend_info info;
	struct vault *v;
	size_t i;

	o.arg = &o;
	support_fill(9, right, sizeof(right));
	store_as(s, right, right, sizeof(right), sid);
	v = open_owner(s);
	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
	format_put_dir(&d, &none);
	buf_put_varint(&plain, 1);
	for (i = 0; i < backend_mem_nobjects(s->b); i++) {
		const char *name = backend_mem_name(s->b, i);

		if (strncmp(name, "pack/", 5) == 0 &&
		    strncmp(strrchr(name, '/') + 1, sid, 32) == 0) {
			assert_ok(backend_head(s->b, name, &info));
			index_put_pack(&plain, strrchr(name, '/') + 1,
				       info.size, OBJECT_DATA_PACK,
				       s->keys.epoch, salt, d.data, d.len);
			break;
		}
	}
	buf_put_varint(&plain, 0);
	snprintf(object, sizeof(object), "index/%s-0", sid);
	steal_put(s, OBJECT_INDEX, object, &plain);
	/* He gives the session up, so that the pack is nobody's. */
	buf_clear(&plain);
	commit_encode_fenced(sid, &plain);
	snprintf(object, sizeof(object), "commit/%s", sid);
	steal_put(s, OBJECT_COMMIT, object, &plain);
	v = open_owner(s);
	vault_show_forgotten(v);
	assert_ok(collect_run(v, &o, &result));
	vault_close(v);
	assert_true(vaults_is_whole(s->b, id, dir, digest));
}

static size_t count(const struct scene *s, const char *prefix)
{
	size_t i, n = 0;

	for (i = 0; i < backend_mem_nobjects(s->b); i++)
		n += strncmp(backend_mem_name(s->b, i), prefix,
			     strlen(prefix)) == 0;
	return n;
}

static int64_t later_ns(struct seam *seam)
{
	(void)seam;
	return seam_system()->ops->realtime_ns(seam_system()) +
	       INT64_C(60) * 1000000000;
}

/* A minute later than it is, so that no file is too young to be taken for unchanged. */
static void back_up(const struct scene *s, const char *cache, const char *dir,
		    char id[33])
{
	struct seam_ops ops = *seam_system()->ops;
	struct seam seam = { .ops = &ops };
	struct vault_options o = owner_of(s);
	struct vault *v;

	ops.realtime_ns = later_ns;
	o.seam = &seam;
	o.credential.keyfile = s->key;
	o.only_adds = true;
	o.cache_dir = cache;
	v = open_with(&o);
	assert_ok(vaults_backup(v, dir, id));
	vault_close(v);
}

/* The owner removes a point that was forgotten a long time ago, and what it needed. */
static void remove_point(const struct scene *s, const char *id)
{
	static const char text[] = "{\"time_ns\":1}";
	struct collect_options o = { .yes_remove = -1,
				     .max_unused = 0,
				     .on_plan = say_yes };
	struct collect_result result;
	AUTO_BUF struct buf box = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	struct vault *v = open_owner(s);

	o.arg = &o;
	snprintf(name, sizeof(name), "forget/%s-0", id);
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_FORGET, name, NULL, 0, text,
				  strlen(text), &box));
	assert_ok(backend_mem_set(s->b, name, box.data, box.len));
	assert_ok(backend_mem_set_time(s->b, name, 1));
	vault_close(v);
	v = open_owner(s);
	vault_show_forgotten(v);
	assert_ok(collect_run(v, &o, &result));
	assert_int_equal(result.purged, 1);
	vault_close(v);
}

/* He cannot read what was decided on his points: that one is gone he finds out by its
 * packs. */
static void he_relies_on_no_point_that_is_gone(void **state)
{
	const struct scene *s = *state;
	const char *cache = support_path("%s/cache", support_tmpdir_fast());
	const char *dir = make_dir("again", 11);
	uint8_t digest[CRYPT_SHA256_LEN] = { 0 };
	char first[33], second[33];
	size_t packs;

	assert_int_equal(mkdir(support_path("%s/sub", dir), 0755), 0);
	support_write(support_path("%s/sub/file", dir), "text", 4);
	back_up(s, cache, dir, first);
	packs = count(s, "pack/");
	assert_true(packs > 0);
	remove_point(s, first);
	assert_int_equal(count(s, "pack/"), 0);
	back_up(s, cache, dir, second);
	assert_true(vaults_is_whole(s->b, second, dir, digest));
	assert_int_equal(count(s, "pack/"), packs);
	support_remove(cache);
}

/* The owner seals an object that a collection would put. */
static void owner_put(const struct scene *s, uint8_t type, const char *name,
		      const struct buf *clear, const char *text)
{
	AUTO_BUF struct buf box = BUF_INIT;
	struct vault *v = open_owner(s);

	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  type, name, clear->data, clear->len, text,
				  strlen(text), &box));
	assert_ok(backend_mem_set(s->b, name, box.data, box.len));
	vault_close(v);
}

/* A collection has removed it, and condemned what it needed; this session begins after
 * that, so that it is not waited for. */
static void nor_on_one_that_goes(void **state)
{
	const struct scene *s = *state;
	const char *cache = support_path("%s/cache", support_tmpdir_fast());
	const char *dir = make_dir("goes", 12);
	uint8_t digest[CRYPT_SHA256_LEN] = { 0 };
	char first[33], second[33], name[OBJECT_NAME_MAX];
	char(*condemned)[OBJECT_NAME_MAX] = calloc(16, sizeof(*condemned));
	AUTO_BUF struct buf clear = BUF_INIT;
	AUTO_BUF struct buf none = BUF_INIT;
	size_t i, n = 0;

	assert_non_null(condemned);
	assert_int_equal(mkdir(support_path("%s/sub", dir), 0755), 0);
	support_write(support_path("%s/sub/file", dir), "text", 4);
	back_up(s, cache, dir, first);
	for (i = 0; i < backend_mem_nobjects(s->b); i++) {
		const char *object = backend_mem_name(s->b, i);

		if (strncmp(object, "pack/", 5) != 0)
			continue;
		pack_print_encode(strrchr(object, '/') + 1, &clear);
		assert_true(n < 16);
		snprintf(condemned[n++], OBJECT_NAME_MAX, "%s", object);
	}
	snprintf(name, sizeof(name), "purge/%s-0", first);
	owner_put(s, OBJECT_PURGE, name, &none, "{\"verdict\":\"PURGED\"}");
	owner_put(s, OBJECT_TOMB, "tomb/00112233445566778899aabbccddeeff",
		  &clear, "{}");
	back_up(s, cache, dir, second);
	for (i = 0; i < n; i++)
		assert_ok(backend_delete(s->b, condemned[i]));
	free(condemned);
	assert_true(vaults_is_whole(s->b, second, dir, digest));
	support_remove(cache);
}

/* Whether a backup that finds nothing changed makes no point. */
static bool is_skipped(const struct scene *s, const char *cache,
		       const char *dir)
{
	struct vault_options o = owner_of(s);
	struct backup_options backup = {
		.vm = MACHINE,
		.host = "h",
		.sources = &dir,
		.nsources = 1,
		.level = 1,
		.threads = 1,
		.skip_if_unchanged = true,
	};
	struct task task = { .stop = NULL };
	struct backup_result result;
	struct vault *v;

	o.credential.keyfile = s->key;
	o.only_adds = true;
	o.cache_dir = cache;
	v = open_with(&o);
	assert_ok(backup_run(v, &backup, &task, &result));
	vault_close(v);
	return result.skipped;
}

/* The owner forgot the point, which goes sooner or later: another one is needed. */
static void he_skips_nothing_for_one_that_goes(void **state)
{
	const struct scene *s = *state;
	const char *cache = support_path("%s/cache", support_tmpdir_fast());
	const char *dir = make_dir("skip", 14);
	AUTO_BUF struct buf none = BUF_INIT;
	char id[33], name[OBJECT_NAME_MAX];

	back_up(s, cache, dir, id);
	assert_true(is_skipped(s, cache, dir));
	snprintf(name, sizeof(name), "forget/%s-0", id);
	owner_put(s, OBJECT_FORGET, name, &none, "{\"time_ns\":1}");
	assert_false(is_skipped(s, cache, dir));
	assert_true(is_skipped(s, cache, dir));
	support_remove(cache);
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(nobody_reads_a_false_chunk_of_his),
		TEST(nor_was_there_first),
		TEST(his_commits_push_none_out),
		TEST(he_stops_no_collection),
		TEST(he_relies_on_no_point_that_is_gone),
		TEST(nor_on_one_that_goes),
		TEST(he_skips_nothing_for_one_that_goes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
