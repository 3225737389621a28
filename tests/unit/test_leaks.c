/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the store can tell from what it sees, beyond what vmbackupfs(7) says under WHAT
 * THE STORE SEES. Pairs of worlds are backed up into many vaults each: they are alike
 * in all that the manual says that is seen, and differ in one thing that it says is
 * not. A thing leaks where something that the store sees (how many objects of a kind
 * there are, how long, how many requests of a kind reading them takes) is less in each
 * vault of the one world than in any of the other. By chance that is so once in 92378
 * for each thing that is looked at. To see that the test sees, there are pairs of
 * worlds that are told apart, as the manual says.
 */
#include "config.h"

#include "tests/unit/vaults.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/mem.h"
#include "store/point.h"
#include "tests/unit/seam_fault.h"

#define VAULTS 10 /* of each world */
#define FILES 6

static const char *const kinds[] = {
	"config", "key/",    "session/", "pack/",    "index/",
	"point/", "commit/", "note/",	 "machine/", "digest/",
};

/* What the store sees of one vault. */
struct sight {
	uint64_t count[ARRAY_SIZE(kinds)], bytes[ARRAY_SIZE(kinds)];
	uint64_t longest[ARRAY_SIZE(kinds)];
	uint64_t reads[ARRAY_SIZE(kinds)]; /* requests of a restore */
};

static size_t kind_of(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strncmp(name, kinds[i], strlen(kinds[i])) == 0)
			break;
	return i;
}

static int on_request(void *arg, enum backend_mem_op op, const char *name)
{
	struct sight *s = arg;
	size_t kind = kind_of(name);

	if (op == BACKEND_MEM_GET && kind < ARRAY_SIZE(kinds))
		s->reads[kind]++;
	return 0;
}

/* ---- worlds ---- */

/* What is in file @i of the world, in its vault @n. */
typedef void make_fn(const char *dir, unsigned int n, size_t i);

static void put(const char *dir, const char *name, const void *data, size_t len)
{
	support_write(support_path("%s/%s", dir, name), data, len);
}

static uint8_t data[60000];

/* Lengths are the same in all worlds. */
static size_t length_of(size_t i)
{
	return 7000 + 8111 * i;
}

static void with_bytes(const char *dir, unsigned int n, size_t i, uint64_t seed,
		       const char *first)
{
	char name[16];

	support_fill(seed + 100 * n + i, data, length_of(i));
	memcpy(data, first, strlen(first));
	snprintf(name, sizeof(name), "name%zu", i);
	put(dir, name, data, length_of(i));
}

static void plain(const char *dir, unsigned int n, size_t i)
{
	with_bytes(dir, n, i, 1000, "some file");
}

/* Other bytes, and in each the same secret. */
static void secret_bytes(const char *dir, unsigned int n, size_t i)
{
	with_bytes(dir, n, i, 9000, "password");
}

/* Other names, of the same lengths. */
static void other_names(const char *dir, unsigned int n, size_t i)
{
	char name[16];

	support_fill(1000 + 100 * n + i, data, length_of(i));
	snprintf(name, sizeof(name), "memo%zu", i);
	put(dir, name, data, length_of(i));
}

/* Of another year, and no more alike. */
static void other_times(const char *dir, unsigned int n, size_t i)
{
	const char *path = support_path("%s/name%zu", dir, i);
	struct timespec t[2];
	uint32_t noise;

	plain(dir, n, i);
	support_fill(5000 + 100 * n + i, &noise, sizeof(noise));
	t[0].tv_sec = 86400 * 365 * 40 + noise % 5;
	t[0].tv_nsec = noise % 1000000000;
	t[1] = t[0];
	assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
}

/* What compresses: the manual says that this is seen. */
static void text(const char *dir, unsigned int n, size_t i)
{
	char name[16];

	memset(data, 'a' + (int)(n % 20), length_of(i));
	snprintf(name, sizeof(name), "name%zu", i);
	put(dir, name, data, length_of(i));
}

/* ---- looking on ---- */

static void look(struct backend *b, struct sight *out)
{
	struct backend_info info;
	size_t i, kind;

	for (i = 0; i < backend_mem_nobjects(b); i++) {
		kind = kind_of(backend_mem_name(b, i));
		if (kind == ARRAY_SIZE(kinds))
			continue;
		assert_ok(backend_head(b, backend_mem_name(b, i), &info));
		out->count[kind]++;
		out->bytes[kind] += info.size;
		out->longest[kind] = MAX(out->longest[kind], info.size);
	}
}

/* A backup, a second one of the same, and all of it read again by somebody else. */
static void see(make_fn *make, uint64_t seed, unsigned int n, struct sight *out)
{
	struct backend *b = backend_mem_new();
	struct seam_fault f;
	struct vault_options o;
	uint8_t digest[CRYPT_SHA256_LEN];
	static const char *dir;
	struct point_list *l;
	struct vault *v;
	char id[33];
	size_t i;

	if (!dir)
		dir = support_path("%s/world", support_tmpdir_fast());
	memset(out, 0, sizeof(*out));
	assert_non_null(b);
	seam_fault_init(&f, seam_system());
	seam_fault_random(&f, seed);
	o = vaults_options(NULL, b, &f.seam, NULL);
	support_remove(dir);
	assert_int_equal(mkdir(dir, 0755), 0);
	for (i = 0; i < FILES; i++)
		make(dir, n, i);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vaults_open_and_backup(&o, dir, id));
	assert_ok(vaults_open_and_backup(&o, dir, id));
	look(b, out);
	backend_mem_watch(b, on_request, out);
	assert_ok(vault_open(&o, &v));
	assert_ok(vault_points(v, &l));
	assert_ok(vaults_digest(v, l->points[vaults_find_point(l, id)], dir,
				digest));
	point_list_put(l);
	vault_close(v);
	backend_mem_watch(b, NULL, NULL);
	backend_close(b);
}

/* Whether each of the ones is less than any of the others, or the other way. */
static bool is_apart(const struct sight *a, const struct sight *b, size_t off)
{
	uint64_t least[2] = { UINT64_MAX, UINT64_MAX }, most[2] = { 0, 0 };
	size_t i, w;

	for (w = 0; w < 2; w++)
		for (i = 0; i < VAULTS; i++) {
			uint64_t x = *(const uint64_t *)((const char *)&(
								 w ? b : a)[i] +
							 off);

			least[w] = MIN(least[w], x);
			most[w] = MAX(most[w], x);
		}
	return most[0] < least[1] || most[1] < least[0];
}

/* In how many things that the store sees the two worlds are apart. */
static size_t tell_apart(make_fn *one, make_fn *other)
{
	static struct sight a[VAULTS], b[VAULTS];
	unsigned int n;
	size_t off, apart = 0;

	/* In turns, for what lies above the files changes as time goes on. */
	for (n = 0; n < VAULTS; n++) {
		see(one, 100 + 2 * n, n, &a[n]);
		see(other, 101 + 2 * n, n, &b[n]);
	}
	for (off = 0; off < sizeof(struct sight); off += sizeof(uint64_t))
		if (is_apart(a, b, off))
			apart++;
	return apart;
}

static void what_is_in_files_is_not_seen(void **state)
{
	(void)state;
	assert_int_equal(tell_apart(plain, secret_bytes), 0);
}

static void what_they_are_called_is_not_seen(void **state)
{
	(void)state;
	assert_int_equal(tell_apart(plain, other_names), 0);
}

/* A change long before the file came to its place takes more bytes in the tree, as the
 * manual says. */
static void how_far_times_lie_apart_is_seen(void **state)
{
	(void)state;
	assert_true(tell_apart(plain, other_times) > 0);
}

/* This the manual says, too. */
static void how_well_they_compress_is_seen(void **state)
{
	(void)state;
	assert_true(tell_apart(plain, text) > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_files_is_not_seen),
		cmocka_unit_test(what_they_are_called_is_not_seen),
		cmocka_unit_test(how_far_times_lie_apart_is_seen),
		cmocka_unit_test(how_well_they_compress_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
