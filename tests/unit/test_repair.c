/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Repairs take nothing away. Whatever is damaged, and wherever a repair ends: what
 * could be restored before can be restored after, a dry run puts nothing, and one
 * that is run again finds nothing to do in the end. Three points of files and a disk
 * share a vault. With SOAK=1 more is damaged, and at more places.
 */
#include "config.h"

#include "tests/unit/plant.h"
#include "tests/unit/repairs.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/idset.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/record/commit.h"
#include "store/record/config.h"
#include "store/repair/repair.h"
#include "store/repair/rewrite.h"
#include "store/tree.h"

static struct backend *base;
static char source_dir[256];

static int setup(void **state)
{
	const char *dir = support_path("%s/src", support_tmpdir_fast());
	struct vault_options o;
	uint8_t noise[300000];
	char id[33];

	(void)state;
	support_log_capture();
	snprintf(source_dir, sizeof(source_dir), "%s", dir);
	support_fill(7, noise, sizeof(noise));
	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(support_path("%s/sub", dir), 0755), 0);
	support_write(support_path("%s/noise", dir), noise, sizeof(noise));
	support_write(support_path("%s/sub/small", dir), noise + 5, 3000);
	vaults_make_disk(dir);
	base = backend_mem_new();
	assert_non_null(base);
	o = vaults_options(NULL, base, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	support_write(support_path("%s/more", dir), noise, 700);
	vaults_change_disk(dir);
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	support_write(support_path("%s/sub/last", dir), noise + 9, 800);
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_close(base);
	return 0;
}

/* ---- repairing ---- */

/* Return how much was repaired. */
static uint64_t settle(struct backend *b, const struct idset *before,
		       const char *what, bool thoroughly)
{
	struct backend *damaged = backend_mem_clone(b);
	struct repair_result res, again;

	assert_non_null(damaged);
	if (thoroughly)
		assert_ok(repair_all(b, false, &res));
	if (!backends_are_same(damaged, b))
		fail_msg("%s: a dry run puts something", what);
	assert_ok(repair_all(b, true, &res));
	assert_only_added(damaged, b, what);
	assert_restorable(before, b, what);
	if (thoroughly)
		assert_ok(repair_all(b, true, &again));
	if (thoroughly && again.repaired != 0)
		fail_msg("%s: a second repair finds something to do: %s", what,
			 repair_said);
	assert_ok(repair_all(b, false, &again));
	if (again.repaired != 0)
		fail_msg("%s: a dry run behind it finds something: %s", what,
			 repair_said);
	backend_close(damaged);
	return res.repaired;
}

/* ---- damage ---- */

enum damage { FLIPPED, CUT, GONE, DAMAGES };

static void hurt(struct backend *b, const char *name, enum damage d,
		 uint32_t dice)
{
	size_t len;
	uint8_t *data = backend_mem_data(b, name, &len);

	assert_non_null(data);
	if (d == FLIPPED)
		data[dice % len] ^= (uint8_t)(1 << dice % 8);
	else if (d == CUT)
		assert_ok(backend_mem_resize(b, name, dice % len));
	else
		assert_ok(backend_mem_remove(b, name));
}

static uint32_t dice(void)
{
	static uint64_t state = 11;

	state = state * UINT64_C(6364136223846793005) + 1;
	return (uint32_t)(state >> 33);
}

static void each_object(void **state)
{
	size_t i, k, n = backend_mem_nobjects(base);
	size_t times = getenv("SOAK") ? 60 : 1;
	uint64_t repaired = 0;

	(void)state;
	for (i = 0; i < n * times; i++) {
		const char *name = backend_mem_name(base, i % n);
		struct backend *b = backend_mem_clone(base);
		enum damage d = (i + i / n) % DAMAGES;
		struct idset before = { 0 };
		char what[OBJECT_NAME_MAX + 32];

		assert_non_null(b);
		support_log_clear();
		snprintf(what, sizeof(what), "%s, damage %d", name, (int)d);
		hurt(b, name, d, dice());
		/* Every other time something else is damaged, too. */
		k = dice() % n;
		if (dice() % 2 && k != i % n)
			hurt(b, backend_mem_name(base, k), FLIPPED, dice());
		restorable(b, NULL, &before);
		if (vault_opens(b))
			repaired += settle(b, &before, what, true);
		idset_release(&before);
		backend_close(b);
	}
	assert_true(repaired > n / 3);
}

static const char *biggest_pack(struct backend *b)
{
	const char *found = NULL;
	size_t i, len, most = 0;

	for (i = 0; i < backend_mem_nobjects(b); i++) {
		const char *name = backend_mem_name(b, i);

		assert_non_null(backend_mem_data(b, name, &len));
		if (strncmp(name, "pack/", 5) == 0 && len > most) {
			most = len;
			found = name;
		}
	}
	assert_non_null(found);
	return found;
}

/* A pack of data with a bit flipped, and all index objects but the first gone. */
static struct backend *badly_hurt(void)
{
	struct backend *b = backend_mem_clone(base);
	size_t i, kept = 0;

	assert_non_null(b);
	hurt(b, biggest_pack(base), FLIPPED, 300 * 8);
	for (i = 0; i < backend_mem_nobjects(base); i++)
		if (strncmp(backend_mem_name(base, i), "index/", 6) == 0 &&
		    kept++ > 0)
			hurt(b, backend_mem_name(base, i), i % 2 ? GONE : CUT,
			     200);
	return b;
}

/* Each put fails, or is done and fails (with SOAK=1 both); what was begun then, the
 * next one ends. */
static void interrupted_anywhere(void **state)
{
	struct backend *hurt_one = badly_hurt();
	struct idset before = { 0 };
	bool all = getenv("SOAK") != NULL;
	unsigned int n = 0, flags;

	(void)state;
	restorable(hurt_one, NULL, &before);
	for (flags = 0; flags <= BACKEND_MEM_LOST_REPLY;
	     flags += BACKEND_MEM_LOST_REPLY)
		for (n = flags && !all ? 2 : 1;; n += all ? 1 : 2) {
			struct backend *b = backend_mem_clone(hurt_one);
			struct repair_result res;
			char what[64];
			bool done;

			assert_non_null(b);
			support_log_clear();
			backend_mem_fail(b, BACKEND_MEM_PUT, "", n, -EIO,
					 flags | BACKEND_MEM_STICKY);
			(void)!repair_all(b, true, &res);
			done = backend_mem_failures(b) == 0;
			backend_mem_heal(b);
			snprintf(what, sizeof(what), "put %u fails", n);
			assert_restorable(&before, b, what);
			(void)settle(b, &before, what, all);
			backend_close(b);
			if (done)
				break;
			assert_true(n < 100);
		}
	/* Session, packs, index objects, register, quarantine: twice. */
	assert_true(n > 8);
	idset_release(&before);
	backend_close(hurt_one);
}

/* What no pack has is taken from a copy; then all is as it was. */
static void from_a_copy(void **state)
{
	struct backend *b = backend_mem_clone(base);
	struct repair_result res;
	struct idset whole = { 0 };
	size_t i, n = 0;

	(void)state;
	restorable(base, NULL, &whole);
	for (i = 0; i < backend_mem_nobjects(base); i++)
		if (strncmp(backend_mem_name(base, i), "pack/", 5) == 0)
			hurt(b, backend_mem_name(base, i), n++ % DAMAGES, 2000);
	assert_ok(repair_run(b, repair_packs, true, NULL, &res));
	assert_true(res.chunks_lost > 0);
	assert_ok(repair_run(b, repair_packs, false, base, &res));
	assert_true(res.chunks_from > 0);
	assert_ok(repair_run(b, repair_packs, true, base, &res));
	assert_true(res.chunks_from > 0);
	assert_int_equal(res.left, 0);
	assert_restorable(&whole, b, "from a copy");
	assert_int_equal(settle(b, &whole, "from a copy", true), 0);
	idset_release(&whole);
	backend_close(b);
}

/* The names of the commit and the point of the last session that made one. */
static void name_pair(struct backend *b, char commit[OBJECT_NAME_MAX],
		      char point[OBJECT_NAME_MAX])
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct point_list *l;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, 3);
	snprintf(commit, OBJECT_NAME_MAX, "commit/%s", l->points[2]->session);
	snprintf(point, OBJECT_NAME_MAX, "point/%s", l->points[2]->id);
	point_list_put(l);
	vault_close(v);
}

static void put_record(struct backend *b, uint8_t type, const char *name,
		       const struct buf *plain)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	AUTO_BUF struct buf box = BUF_INIT;
	struct vault *v;

	assert_ok(vault_open(&o, &v));
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  type, name, NULL, 0, plain->data, plain->len,
				  &box));
	assert_ok(backend_mem_set(b, name, box.data, box.len));
	vault_close(v);
}

/* Points are taken from the copy @from: is all in @b as it was in the base then? */
static void take(struct backend *b, struct backend *from, uint64_t repaired,
		 uint64_t left)
{
	struct backend *before = backend_mem_clone(b);
	struct repair_result res;

	assert_non_null(before);
	repair_said[0] = '\0';
	assert_ok(repair_run(b, repair_points, false, from, &res));
	assert_true(backends_are_same(before, b));
	assert_int_equal(res.repaired, repaired);
	assert_ok(repair_run(b, repair_points, true, from, &res));
	assert_int_equal(res.repaired, repaired);
	assert_int_equal(res.left, left);
	assert_ok(repair_run(b, repair_points, true, from, &res));
	assert_int_equal(res.repaired, 0);
	assert_int_equal(res.left, left);
	backend_close(before);
}

static void assert_as_base(struct backend *b, const char *name)
{
	size_t la, lb;
	const uint8_t *da = backend_mem_data(base, name, &la);
	const uint8_t *db = backend_mem_data(b, name, &lb);

	assert_non_null(db);
	assert_int_equal(la, lb);
	assert_memory_equal(da, db, la);
}

/* The objects of points are put back to the byte, whatever became of them. */
static void points_of_a_copy(void **state)
{
	char commit[OBJECT_NAME_MAX], point[OBJECT_NAME_MAX];
	struct idset whole = { 0 };
	unsigned int i;

	(void)state;
	name_pair(base, commit, point);
	restorable(base, NULL, &whole);
	/* 3: it is as it was. */
	for (i = 1; i < 16; i++) {
		struct backend *b = backend_mem_clone(base);
		enum damage c = i % 4, p = i / 4;

		if ((c == GONE && p == GONE) || (c == 3 && p == 3)) {
			backend_close(b);
			continue;
		}
		if (c < DAMAGES)
			hurt(b, commit, c, 2000);
		if (p < DAMAGES)
			hurt(b, point, p, 2000);
		take(b, base, (uint64_t)(c < DAMAGES) + (p < DAMAGES), 0);
		assert_as_base(b, commit);
		assert_as_base(b, point);
		assert_restorable(&whole, b, "points of a copy");
		backend_close(b);
	}
	idset_release(&whole);
}

/* A copy that has lost it, too, one that has something else there, and one that was
 * another vault all along: nothing of them is taken. */
static void no_point_of_a_copy(void **state)
{
	char commit[OBJECT_NAME_MAX], point[OBJECT_NAME_MAX];
	AUTO_BUF struct buf plain = BUF_INIT;
	struct backend *b = backend_mem_clone(base);
	struct backend *copy = backend_mem_clone(base);
	struct backend *other = backend_mem_new();
	struct vault_options o = vaults_options(NULL, other, NULL, NULL);
	struct repair_result res;
	char id[33];

	(void)state;
	name_pair(base, commit, point);
	hurt(b, point, FLIPPED, 2000);
	assert_ok(vault_create(&o, 0, id));
	assert_result(repair_run(b, repair_points, true, other, &res), -EINVAL);
	/* The point is damaged, there too; authentic, but another. */
	hurt(copy, point, FLIPPED, 2001);
	take(b, copy, 0, 2);
	buf_printf(&plain, "{\"format\":1}");
	put_record(copy, OBJECT_POINT, point, &plain);
	take(b, copy, 0, 2);
	/* It says there that the session was fenced. */
	backend_close(b);
	b = backend_mem_clone(base);
	hurt(b, commit, FLIPPED, 2000);
	buf_clear(&plain);
	commit_encode_fenced(commit + strlen("commit/"), &plain);
	put_record(copy, OBJECT_COMMIT, commit, &plain);
	take(b, copy, 0, 1);
	/* Both are gone: it may never have been here. */
	hurt(b, commit, GONE, 0);
	hurt(b, point, GONE, 0);
	take(b, base, 0, 0);
	/* It was removed here, for ever. */
	backend_close(b);
	b = backend_mem_clone(base);
	buf_clear(&plain);
	buf_printf(&plain, "{\"by\":\"x\",\"time_ns\":1,\"until_ns\":1}");
	snprintf(repair_said, sizeof(repair_said), "forget/%s-0",
		 point + strlen("point/"));
	put_record(b, OBJECT_FORGET, repair_said, &plain);
	buf_clear(&plain);
	buf_printf(&plain, "{\"verdict\":\"PURGED\"}");
	snprintf(repair_said, sizeof(repair_said), "purge/%s-0",
		 point + strlen("point/"));
	put_record(b, OBJECT_PURGE, repair_said, &plain);
	hurt(b, point, GONE, 0);
	take(b, base, 0, 0);
	backend_close(b);
	backend_close(copy);
	backend_close(other);
}

/* Another vault has other names for the same bytes; nodes it has not. */
static void from_another_vault(void **state)
{
	const char *dir = support_path("%s/other", support_tmpdir_fast());
	struct backend *both[2];
	struct idset whole = { 0 };
	struct vault_options o;
	struct repair_result res;
	static uint8_t noise[700000];
	uint8_t chunker[CHUNKER_LEN];
	struct vault *v;
	char id[33];
	size_t i;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	support_fill(3, noise, sizeof(noise));
	support_write(support_path("%s/noise", dir), noise, sizeof(noise));
	for (i = 0; i < 2; i++) {
		both[i] = backend_mem_new();
		assert_non_null(both[i]);
		o = vaults_options(NULL, both[i], NULL, NULL);
		o.chunker = i ? chunker : NULL;
		assert_ok(vault_create(&o, 0, id));
		assert_ok(vaults_open_and_backup(&o, dir, NULL));
		assert_ok(vault_open(&o, &v));
		assert_ok(vault_chunker(v, chunker));
		vault_close(v);
	}
	restorable(both[0], NULL, &whole);
	hurt(both[0], biggest_pack(both[0]), GONE, 0);
	assert_ok(repair_run(both[0], repair_packs, false, NULL, &res));
	assert_int_equal(res.chunks, 0);
	assert_true(res.chunks_lost > 0);
	assert_ok(repair_run(both[0], repair_packs, true, both[1], &res));
	assert_true(res.chunks_from > 0);
	assert_int_equal(res.left, 0);
	assert_restorable(&whole, both[0], "from another vault");
	idset_release(&whole);
	backend_close(both[0]);
	backend_close(both[1]);
}

/* ---- points ---- */

/* A vault of one point with a tree of several leaves, whose files hold nothing:
 * there is no pack but that of the tree. */
static struct backend *many_files(const char *dir)
{
	struct backend *b = backend_mem_new();
	struct vault_options o;
	char id[33];
	int i, k;

	assert_non_null(b);
	assert_int_equal(mkdir(dir, 0755), 0);
	for (i = 0; i < 12; i++) {
		assert_int_equal(mkdir(support_path("%s/%d", dir, i), 0755), 0);
		assert_int_equal(mkdir(support_path("%s/%d/x", dir, i), 0755),
				 0);
		for (k = 0; k < 120; k++)
			support_write(support_path("%s/%d/x/%d", dir, i, k), "",
				      0);
	}
	o = vaults_options(NULL, b, NULL, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vaults_open_and_backup(&o, dir, NULL));
	return b;
}

/* Each entry can be read, and be reached: the directory that it stands in is one of
 * the directory above. */
static void assert_whole(struct vault *v, const struct point *p,
			 const char *dir)
{
	uint8_t digest[CRYPT_SHA256_LEN];
	struct cursor c = { 0 }, above = { 0 };
	int r = tree_at(v, &p->root, 0, &c);

	assert_ok(vaults_digest(v, p, dir, digest));
	for (; r == 0; r = cursor_next(&c)) {
		AUTO_BUF struct buf key = BUF_INIT;
		size_t len, name_at;
		const uint8_t *at = cursor_dirkey(&c, &len);

		if (len == 0)
			continue;
		buf_put(&key, at, len);
		tree_key_pop(&key);
		name_at = key.len;
		/* No name here has bytes that are escaped. */
		assert_ok(tree_lookup(v, &p->root, key.data, key.len,
				      at + name_at, len - name_at - 1, &above));
	}
	assert_result(r, -ENOENT);
	cursor_release(&c);
	cursor_release(&above);
}

static void points_of_what_is_left(void **state)
{
	const char *dir = support_path("%s/many", support_tmpdir_fast());
	struct backend *good = many_files(dir);
	const char *pack = biggest_pack(good);
	size_t len, at, made = 0;

	(void)state;
	assert_non_null(backend_mem_data(good, pack, &len));
	for (at = 200; at < len; at += len / 6) {
		struct backend *b = backend_mem_clone(good);
		struct vault_options o = vaults_options(NULL, b, NULL, NULL);
		struct repair_result res;
		struct point_list *l;
		struct vault *v;
		size_t i;

		hurt(b, pack, FLIPPED, (uint32_t)at);
		assert_ok(repair_all(b, true, &res));
		assert_ok(vault_open(&o, &v));
		assert_ok(vault_points(v, &l));
		for (i = 0; i < l->n; i++) {
			const struct point *p = l->points[i];

			if (!p->parent[0])
				continue;
			made++;
			assert_true(p->incomplete);
			assert_int_equal(p->ntags, 1);
			assert_string_equal(p->tags[0], "repaired");
			assert_int_equal(p->nnotes, 1);
			assert_whole(v, p, dir);
		}
		point_list_put(l);
		vault_close(v);
		backend_close(b);
	}
	assert_true(made >= 3);
	backend_close(good);
}

static bool is_data_pack(struct backend *b, const char *name)
{
	size_t len;

	return strncmp(name, "pack/", 5) == 0 &&
	       backend_mem_data(b, name, &len)[10] == OBJECT_DATA_PACK;
}

/* A point that was made of what could be had is not the last word: where more can be
 * had later, another one has that, too. */
static void what_comes_back(void **state)
{
	struct backend *b = backend_mem_clone(base);
	const char *name, *packs[8];
	struct repair_result res;
	size_t i, n = 0, len, more = 0;

	(void)state;
	for (i = 0; (name = backend_mem_name(base, i)); i++)
		if (is_data_pack(base, name)) {
			assert_true(n < ARRAY_SIZE(packs));
			packs[n++] = name;
			hurt(b, name, GONE, 0);
		}
	assert_true(n >= 3);
	assert_ok(repair_run(b, repair_points, true, NULL, &res));
	assert_true(res.repaired > 0);
	for (i = 0; i < n - 1; i++) {
		const uint8_t *data = backend_mem_data(base, packs[i], &len);

		assert_ok(repair_run(b, repair_points, true, NULL, &res));
		assert_int_equal(res.repaired, 0);
		assert_ok(backend_mem_set(b, packs[i], data, len));
		assert_ok(repair_run(b, repair_points, true, NULL, &res));
		more += res.repaired;
	}
	assert_true(more > 0);
	backend_close(b);
}

/* ---- rewriting ---- */

static bool is_secret(void *arg, const char *path, bool is_dir)
{
	(void)arg;
	return !is_dir && strcmp(path, "/secret") == 0;
}

/* Two points of one tree but for a file; the second one follows on the first. */
static void plant_both(struct plant *p)
{
	struct point_list *l;

	plant_begin(p);
	plant_file(p, "", "kept", "kept");
	plant_file(p, "", "secret", "secret");
	plant_commit(p, "m", "2026-11-01T100000Z", NULL);
	assert_ok(vault_points(p->vault, &l));
	plant_begin(p);
	plant_file(p, "", "kept", "kept");
	memcpy(p->point->parent, l->points[0]->id, sizeof(p->point->parent));
	point_list_put(l);
	plant_commit(p, "m", "2026-11-02T100000Z", NULL);
}

/* The backup that came next and left out what is unwanted now is not what the point
 * was rewritten as: its time is another one. What an earlier run made is. */
static void a_later_backup_is_no_rewritten_point(void **state)
{
	const struct rewrite_options o = { .apply = true,
					   .level = 1,
					   .disk_level = 1,
					   .by = "t",
					   .excludes = is_secret };
	struct task task = { .stop = NULL };
	struct rewrite_result res, again;
	struct point_list *l;
	struct plant p;

	(void)state;
	plant_init(&p, 0);
	plant_both(&p);
	assert_ok(vault_points(p.vault, &l));
	assert_int_equal(l->n, 2);
	assert_ok(rewrite_point(p.vault, l->points[0], &o, &task, &res));
	assert_false(res.was_made);
	assert_string_not_equal(res.id, l->points[1]->id);
	assert_ok(rewrite_point(p.vault, l->points[0], &o, &task, &again));
	assert_true(again.was_made);
	assert_string_equal(again.id, res.id);
	point_list_put(l);
	plant_release(&p);
}

/* ---- healing ---- */

/* A file of 20 islands: its extents go to a map. */
static void write_islands(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640);
	int i;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 40 * 65536), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(pwrite(fd, &i, sizeof(i), i * 2 * 65536), 4);
}

struct spot {
	struct vault *vault;
	int64_t no; /* of a pack */
	bool found;
};

static int first_pack(void *arg, const struct pack_row *row)
{
	struct spot *s = arg;

	if (row->no <= s->no)
		return 0;
	s->no = row->no;
	s->found = true;
	return 1;
}

/* Flip a bit in the frame of the first chunk of that type. */
static void hurt_chunk(struct backend *b, uint8_t type)
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	struct spot s = { .no = 0, .found = true };
	bool done = false;

	assert_ok(vault_open(&o, &s.vault));
	while (s.found && !done) {
		AUTO_BUF struct buf plain = BUF_INIT;
		struct catalog *c = vault_catalog(s.vault);
		char object[OBJECT_NAME_MAX];
		struct pack_row row;
		struct pack_dir dir;
		size_t i, len;

		s.found = false;
		assert_true(catalog_packs(c, first_pack, &s) >= 0);
		if (!s.found)
			break;
		assert_ok(catalog_get_pack(c, s.no, &row, &plain));
		assert_ok(format_get_dir(plain.data, plain.len, row.name, false,
					 &dir));
		assert_ok(format_pack_object_name(row.name, object));
		for (i = 0; i < dir.nchunks && !done; i++) {
			if (dir.chunks[i].type != type)
				continue;
			backend_mem_data(
				b, object,
				&len)[dir.frames[dir.chunks[i].frame].off +
				      3] ^= 4;
			done = true;
		}
		format_release_dir(&dir);
	}
	vault_close(s.vault);
	assert_true(done);
}

/* When somebody else last changed the directory that all tests are in. */
static int64_t changed_ns(void)
{
	struct stat st;

	assert_int_equal(
		stat(support_path("%s/..", support_tmpdir_fast()), &st), 0);
	return st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
}

/* What the source still has is stored anew by the next backup, whatever it was of,
 * and the older point is whole again, for good. */
static void a_backup_heals(void **state)
{
	static const uint8_t types[] = { CHUNK_DATA, CHUNK_NODE, CHUNK_EXTENTS,
					 CHUNK_DISK, CHUNK_XATTRS };
	const char *dir = support_path("%s/heal", support_tmpdir_fast());
	struct vaults_expected expected = { .dir = dir };
	static uint8_t value[3000];
	bool has_xattrs;
	size_t i;

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	memset(value, 'x', sizeof(value));
	support_write(support_path("%s/file", dir), value, sizeof(value));
	has_xattrs = setxattr(support_path("%s/file", dir), "user.long", value,
			      sizeof(value), 0) == 0;
	write_islands(support_path("%s/islands", dir));
	vaults_make_disk(dir);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		struct backend *b = backend_mem_new();
		struct vault_options o = vaults_options(NULL, b, NULL, NULL);
		struct repair_result res;
		struct point_list *l;
		struct vault *v;
		int64_t before = changed_ns();
		char id[33];

		if (types[i] == CHUNK_XATTRS && !has_xattrs)
			continue;
		assert_non_null(b);
		assert_ok(vault_create(&o, 0, id));
		assert_ok(vaults_open_and_backup(&o, dir, NULL));
		assert_ok(vault_open(&o, &v));
		assert_ok(vault_points(v, &l));
		assert_ok(vaults_digest(v, l->points[0], dir,
					expected.digest[0]));
		memcpy(expected.digest[1], expected.digest[0],
		       sizeof(expected.digest[0]));
		point_list_put(l);
		vault_close(v);
		hurt_chunk(b, types[i]);
		assert_result(vaults_points(&o, &expected), -EBADMSG);
		assert_true(vaults_check(&o) > 0);
		assert_ok(vaults_open_and_backup(&o, dir, NULL));
		/* What is damaged is of no use to anybody, and known. Where a
		 * directory above the source changed meanwhile, the older point
		 * has a node of its own, which is stored anew. */
		if (changed_ns() == before) {
			assert_int_equal(vaults_points(&o, &expected), 2);
			assert_int_equal(vaults_check(&o), 0);
		}
		assert_ok(repair_all(b, true, &res));
		assert_int_equal(res.left, 0);
		assert_int_equal(vaults_points(&o, &expected), 2);
		backend_close(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_object),
		cmocka_unit_test(interrupted_anywhere),
		cmocka_unit_test(from_a_copy),
		cmocka_unit_test(points_of_a_copy),
		cmocka_unit_test(no_point_of_a_copy),
		cmocka_unit_test(from_another_vault),
		cmocka_unit_test(points_of_what_is_left),
		cmocka_unit_test(what_comes_back),
		cmocka_unit_test(a_later_backup_is_no_rewritten_point),
		cmocka_unit_test(a_backup_heals),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
