/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * First the recorder's model itself, on a few plain calls; then what a power
 * cut at any moment leaves of puts into a directory, and that each sync on that
 * path is needed: without it there is a state in which a promise is broken.
 */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/seam.h"
#include "tests/unit/seam_crash.h"
#include "tests/unit/seam_fault.h"

#define SEEDS 40

/* ---- the model ---- */

struct scene {
	const char *root;
	struct seam_crash *c;
	struct seam *s;
};

static int setup(void **state)
{
	struct scene *sc = calloc(1, sizeof(*sc));

	support_log_clear();
	sc->root = support_tmpdir_fast();
	support_write(support_path("%s/base", sc->root), "from before", 11);
	assert_int_equal(mkdir(support_path("%s/d", sc->root), 0700), 0);
	sc->c = seam_crash_new(sc->root, NULL);
	sc->s = seam_crash_seam(sc->c);
	*state = sc;
	return 0;
}

static int teardown(void **state)
{
	struct scene *sc = *state;

	seam_crash_free(sc->c);
	free(sc);
	return 0;
}

/* What a state has under a path. */
struct look {
	const char *path;
	bool found;
	uint8_t data[65536];
	size_t len;
};

static int look_one(void *arg, const char *path, const uint8_t *data,
		    size_t len)
{
	struct look *l = arg;

	if (strcmp(path, l->path) != 0)
		return 0;
	l->found = true;
	l->len = len;
	assert_true(len <= sizeof(l->data));
	if (data)
		memcpy(l->data, data, len);
	return 0;
}

/* Look at the end of what was recorded. */
static bool look(struct scene *sc, struct seam_crash_state state,
		 const char *path, struct look *out)
{
	memset(out, 0, sizeof(*out));
	out->path = path;
	assert_ok(seam_crash_visit(sc->c, seam_crash_length(sc->c), state,
				   look_one, out));
	return out->found;
}

static const struct seam_crash_state drop = { SEAM_CRASH_DROP_ALL, 0 };
static const struct seam_crash_state keep = { SEAM_CRASH_KEEP_ALL, 0 };
static const struct seam_crash_state names = { SEAM_CRASH_KEEP_NAMES, 0 };

static int seam_open(struct scene *sc, const char *path, int flags)
{
	return sc->s->ops->openat(sc->s, AT_FDCWD,
				  support_path("%s/%s", sc->root, path),
				  flags | O_CLOEXEC, 0600);
}

static void seam_sync(struct scene *sc, const char *path)
{
	int fd = open(support_path("%s/%s", sc->root, path),
		      O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_ok(sc->s->ops->fsync(sc->s, fd));
	close(fd);
}

static void what_was_there_stays(void **state)
{
	struct scene *sc = *state;
	unsigned int i;
	struct look l;

	for (i = 0; i < SEEDS; i++) {
		assert_true(look(sc, seam_crash_nth_state(i), "base", &l));
		assert_int_equal(l.len, 11);
		assert_memory_equal(l.data, "from before", 11);
		assert_true(look(sc, seam_crash_nth_state(i), "d", &l));
	}
}

static void a_name_and_its_bytes(void **state)
{
	struct scene *sc = *state;
	uint8_t data[5000];
	struct look l;
	int fd;

	support_fill(3, data, sizeof(data));
	fd = seam_open(sc, "d/f", O_CREAT | O_EXCL | O_WRONLY);
	assert_true(fd >= 0);
	assert_ok(seam_pwrite_all(sc->s, fd, data, sizeof(data), 0));
	/* Nothing is synced. */
	assert_false(look(sc, drop, "d/f", &l));
	assert_true(look(sc, names, "d/f", &l));
	assert_int_equal(l.len, 0);
	assert_true(look(sc, keep, "d/f", &l));
	assert_int_equal(l.len, sizeof(data));
	assert_memory_equal(l.data, data, sizeof(data));
	/* The name is. */
	seam_sync(sc, "d");
	assert_true(look(sc, drop, "d/f", &l));
	assert_int_equal(l.len, 0);
	/* The bytes are. */
	assert_ok(sc->s->ops->fdatasync(sc->s, fd));
	assert_true(look(sc, drop, "d/f", &l));
	assert_int_equal(l.len, sizeof(data));
	assert_memory_equal(l.data, data, sizeof(data));
	/* As if it was not. */
	seam_crash_ignore(sc->c, SEAM_CRASH_DATA);
	assert_true(look(sc, drop, "d/f", &l));
	assert_int_equal(l.len, 0);
	seam_crash_ignore(sc->c, SEAM_CRASH_FILE_NAMES);
	assert_false(look(sc, drop, "d/f", &l));
	seam_crash_ignore(sc->c, 0);
	assert_int_equal(seam_crash_nsyncs(sc->c), 2);
	seam_crash_ignore_sync(sc->c, 1);
	assert_false(look(sc, drop, "d/f", &l));
	seam_crash_ignore_sync(sc->c, 2);
	assert_true(look(sc, drop, "d/f", &l));
	assert_int_equal(l.len, 0);
	assert_ok(sc->s->ops->close(sc->s, fd));
}

static void a_name_without_the_other(void **state)
{
	struct scene *sc = *state;
	int seen[2][2] = { { 0 } };
	struct look l;
	unsigned int i;
	int a = seam_open(sc, "d/a", O_CREAT | O_WRONLY);
	int b = seam_open(sc, "d/b", O_CREAT | O_WRONLY);

	assert_true(a >= 0 && b >= 0);
	for (i = 3; i < 3 + SEEDS; i++) {
		bool has_a = look(sc, seam_crash_nth_state(i), "d/a", &l);
		bool has_b = look(sc, seam_crash_nth_state(i), "d/b", &l);

		seen[has_a][has_b]++;
	}
	assert_true(seen[0][0] && seen[0][1] && seen[1][0] && seen[1][1]);
	assert_ok(sc->s->ops->close(sc->s, a));
	assert_ok(sc->s->ops->close(sc->s, b));
}

static void bytes_tear(void **state)
{
	struct scene *sc = *state;
	size_t empty = 0, whole = 0, cut = 0, zeros = 0, patched = 0, i, k;
	uint8_t data[20000];
	struct look l;
	int fd = seam_open(sc, "d/f", O_CREAT | O_WRONLY);

	assert_true(fd >= 0);
	seam_sync(sc, "d");
	support_fill(4, data, sizeof(data));
	assert_ok(seam_pwrite_all(sc->s, fd, data, sizeof(data), 0));
	for (i = 3; i < 3 + 5 * SEEDS; i++) {
		assert_true(look(sc, seam_crash_nth_state((unsigned int)i),
				 "d/f", &l));
		assert_true(l.len <= sizeof(data));
		for (k = 0; k < l.len && l.data[k] == 0; k++)
			;
		empty += l.len == 0;
		zeros += l.len == sizeof(data) && k == l.len;
		cut += l.len > 0 && l.len < sizeof(data) &&
		       memcmp(l.data, data, l.len) == 0;
		whole += l.len == sizeof(data) &&
			 memcmp(l.data, data, l.len) == 0;
		patched += l.len == sizeof(data) && k < l.len &&
			   memcmp(l.data, data, l.len) != 0;
	}
	assert_true(empty && whole && cut && zeros && patched);
	assert_ok(sc->s->ops->close(sc->s, fd));
}

static void rewritten_bytes(void **state)
{
	struct scene *sc = *state;
	struct look l;
	int fd = seam_open(sc, "base", O_WRONLY);

	assert_true(fd >= 0);
	assert_ok(seam_pwrite_all(sc->s, fd, "FROM", 4, 0));
	assert_ok(sc->s->ops->ftruncate(sc->s, fd, 6));
	assert_true(look(sc, drop, "base", &l));
	assert_memory_equal(l.data, "from before", 11);
	assert_true(look(sc, keep, "base", &l));
	assert_int_equal(l.len, 6);
	assert_memory_equal(l.data, "FROM b", 6);
	assert_ok(sc->s->ops->fsync(sc->s, fd));
	assert_true(look(sc, drop, "base", &l));
	assert_int_equal(l.len, 6);
	assert_ok(sc->s->ops->close(sc->s, fd));
}

static void rename_is_one(void **state)
{
	struct scene *sc = *state;
	struct look l;
	unsigned int i, moved = 0;
	int root = open(sc->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_ok(sc->s->ops->renameat(sc->s, root, "base", root, "new"));
	assert_true(look(sc, drop, "base", &l));
	assert_false(look(sc, drop, "new", &l));
	assert_false(look(sc, keep, "base", &l));
	assert_true(look(sc, keep, "new", &l));
	for (i = 3; i < 3 + SEEDS; i++) {
		bool old = look(sc, seam_crash_nth_state(i), "base", &l);
		bool new = look(sc, seam_crash_nth_state(i), "new", &l);

		assert_true(old != new);
		moved += new;
	}
	assert_true(moved > 0 && moved < SEEDS);
	close(root);
}

static void removal_lasts_when_synced(void **state)
{
	struct scene *sc = *state;
	int root = open(sc->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct look l;

	assert_ok(sc->s->ops->unlinkat(sc->s, root, "base", 0));
	assert_true(look(sc, drop, "base", &l));
	assert_false(look(sc, keep, "base", &l));
	assert_ok(sc->s->ops->fsync(sc->s, root));
	assert_false(look(sc, drop, "base", &l));
	seam_crash_ignore(sc->c, SEAM_CRASH_REMOVALS);
	assert_true(look(sc, drop, "base", &l));
	close(root);
}

/* A folder's own name is its parent's business. */
static void lost_folder_loses_all(void **state)
{
	struct scene *sc = *state;
	int root = open(sc->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct look l;
	int fd;

	assert_ok(sc->s->ops->mkdirat(sc->s, root, "e", 0700));
	fd = seam_open(sc, "e/f", O_CREAT | O_WRONLY);
	assert_true(fd >= 0);
	assert_ok(sc->s->ops->fsync(sc->s, fd));
	seam_sync(sc, "e");
	assert_false(look(sc, drop, "e/f", &l));
	assert_true(look(sc, names, "e/f", &l));
	assert_ok(sc->s->ops->fsync(sc->s, root));
	assert_true(look(sc, drop, "e/f", &l));
	seam_crash_ignore(sc->c, SEAM_CRASH_DIR_NAMES);
	assert_false(look(sc, drop, "e", &l));
	assert_false(look(sc, drop, "e/f", &l));
	assert_ok(sc->s->ops->close(sc->s, fd));
	close(root);
}

static void states_become_files(void **state)
{
	struct scene *sc = *state;
	const char *out = support_tmpdir_fast();
	struct backend *mem = backend_mem_new();
	AUTO_FREE uint8_t *data = NULL;
	size_t len;
	int fd = seam_open(sc, "d/f", O_CREAT | O_WRONLY);

	assert_true(fd >= 0);
	assert_ok(seam_pwrite_all(sc->s, fd, "1234", 4, 0));
	assert_ok(seam_crash_materialise(sc->c, seam_crash_length(sc->c), keep,
					 out));
	assert_int_equal(support_count(out), 3);
	data = support_read(support_path("%s/d/f", out), &len);
	assert_non_null(data);
	assert_int_equal(len, 4);
	assert_memory_equal(data, "1234", 4);
	assert_ok(seam_crash_to_mem(sc->c, seam_crash_length(sc->c), keep, "d",
				    mem));
	assert_int_equal(backend_mem_nobjects(mem), 1);
	assert_string_equal(backend_mem_name(mem, 0), "f");
	/* The cut before the write, before the name. */
	assert_int_equal(seam_crash_length(sc->c), 3);
	assert_non_null(strstr(seam_crash_describe(sc->c, 1), "add file"));
	backend_close(mem);
	assert_ok(sc->s->ops->close(sc->s, fd));
}

/* ---- puts ---- */

struct object {
	const char *name;
	size_t len;
};

/* Folders that create makes, one that it does not, and none. */
static const struct object objects[] = {
	{ "key/0", 100 },	  { "pack/ab/1", 20000 }, { "later/2", 5000 },
	{ "pack/ab/3", 511 },	  { "config", 1 },	  { "later/4", 513 },
	{ "new/deep/er/5", 700 },
};

#define DELETED 1 /* of these, at the end */
#define MARK_DELETED 100
#define MARK_DELETING 101
#define MARK_CREATED 102

struct check {
	size_t whole, broken, strange;
	bool seen[ARRAY_SIZE(objects)];
};

static int check_one(void *arg, const char *path, const uint8_t *data,
		     size_t len)
{
	static const char vault[] = "vault/";
	struct check *ch = arg;
	const char *slash = strrchr(path, '/');
	uint8_t want[20000];
	size_t i;

	/* What begins with a dot is no object. */
	if (!data || (slash && slash[1] == '.'))
		return 0;
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		if (strncmp(path, vault, strlen(vault)) == 0 &&
		    strcmp(path + strlen(vault), objects[i].name) == 0)
			break;
	if (i == ARRAY_SIZE(objects)) {
		ch->strange++;
		return 0;
	}
	ch->seen[i] = true;
	support_fill(i, want, objects[i].len);
	if (len == objects[i].len && memcmp(data, want, len) == 0)
		ch->whole++;
	else
		ch->broken++;
	return 0;
}

/* How many promises are broken in this state? */
static size_t check_state(struct seam_crash *c, size_t cut,
			  struct seam_crash_state state)
{
	struct check ch = { 0 };
	bool deleting = seam_crash_marked(c, cut, MARK_DELETING);
	bool deleted = seam_crash_marked(c, cut, MARK_DELETED);
	size_t i, bad;

	assert_ok(seam_crash_visit(c, cut, state, check_one, &ch));
	bad = ch.broken + ch.strange;
	for (i = 0; i < ARRAY_SIZE(objects); i++) {
		if (i == DELETED && deleting)
			bad += deleted && ch.seen[i];
		else if (seam_crash_marked(c, cut, (int)i))
			bad += !ch.seen[i];
	}
	return bad;
}

/* All cuts since promises are made, some states of each. With @first, one that
 * breaks a promise is enough. */
static size_t violations(struct seam_crash *c, bool first)
{
	size_t cut = 0, bad = 0;
	unsigned int n;

	while (cut < seam_crash_length(c) &&
	       !seam_crash_marked(c, cut, MARK_CREATED))
		cut++;
	for (; cut <= seam_crash_length(c) && !(first && bad); cut++)
		for (n = 0; n < 3 + 4 && !(first && bad); n++) {
			struct seam_crash_state s = seam_crash_nth_state(n);

			if (n >= 3)
				s.seed += cut * 1000;
			bad += check_state(c, cut, s);
		}
	return bad;
}

static void put_object(struct backend *b, struct seam_crash *c, size_t i)
{
	AUTO_FREE uint8_t *data = malloc(objects[i].len);

	support_fill(i, data, objects[i].len);
	assert_ok(backend_put(b, objects[i].name, data, objects[i].len));
	seam_crash_mark(c, (int)i);
}

/* A vault is made, objects are put, one is deleted. */
static struct seam_crash *record(bool named)
{
	const char *root = support_tmpdir_fast();
	struct seam_crash *c = seam_crash_new(root, NULL);
	struct seam_fault f;
	struct backend *b;
	size_t i;

	seam_fault_init(&f, seam_crash_seam(c));
	if (named) {
		seam_fault_only(&f, 1 << SEAM_FAULT_OPENAT);
		seam_fault_at(&f, 1, SEAM_FAULT_FAIL, -EOPNOTSUPP, false);
	}
	assert_ok(backend_create(support_path("%s/vault", root),
				 WITH_SEAM(&f.seam), &b));
	seam_crash_mark(c, MARK_CREATED);
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		put_object(b, c, i);
	seam_crash_mark(c, MARK_DELETING);
	assert_ok(backend_delete(b, objects[DELETED].name));
	seam_crash_mark(c, MARK_DELETED);
	backend_close(b);
	seam_fault_release(&f);
	return c;
}

static void puts_survive(bool named)
{
	struct seam_crash *c = record(named);

	assert_int_equal(violations(c, false), 0);
	seam_crash_free(c);
}

static void puts_survive_unnamed(void **state)
{
	(void)state;
	puts_survive(false);
}

static void puts_survive_named(void **state)
{
	(void)state;
	puts_survive(true);
}

static void each_kind_of_sync_is_needed(void **state)
{
	static const unsigned int kinds[] = { SEAM_CRASH_DATA,
					      SEAM_CRASH_FILE_NAMES,
					      SEAM_CRASH_DIR_NAMES,
					      SEAM_CRASH_REMOVALS };
	struct seam_crash *c = record(false);
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		seam_crash_ignore(c, kinds[i]);
		if (violations(c, true) == 0)
			fail_msg("nothing goes wrong without syncs of kind %u",
				 kinds[i]);
	}
	seam_crash_free(c);
}

static void each_sync_is_needed(bool named)
{
	struct seam_crash *c = record(named);
	size_t n;

	/* Three of create; of each put two, and one for each new folder. */
	assert_int_equal(seam_crash_nsyncs(c),
			 3 + 2 * ARRAY_SIZE(objects) + 4 + 1);
	for (n = 1; n <= seam_crash_nsyncs(c); n++) {
		seam_crash_ignore_sync(c, n);
		if (violations(c, true) == 0)
			fail_msg("nothing goes wrong without sync %zu: %s", n,
				 seam_crash_describe(
					 c, seam_crash_sync_event(c, n)));
	}
	seam_crash_free(c);
}

static void each_sync_is_needed_unnamed(void **state)
{
	(void)state;
	each_sync_is_needed(false);
}

static void each_sync_is_needed_named(void **state)
{
	(void)state;
	each_sync_is_needed(true);
}

/*
 * One process makes a folder and fails before its name lasts; another finds it
 * there. What the second one puts lasts.
 */
static void folder_of_a_dead_maker(void **state)
{
	const char *root = support_tmpdir_fast();
	const char *dir = support_path("%s/vault", root);
	struct backend *b;
	struct seam_crash *c;
	struct seam_fault f;

	(void)state;
	assert_ok(backend_create(dir, WITH_SEAM(seam_system()), &b));
	backend_close(b);
	c = seam_crash_new(root, NULL);
	seam_crash_mark(c, MARK_CREATED);
	seam_fault_init(&f, seam_crash_seam(c));
	assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &b));
	seam_fault_only(&f, 1 << SEAM_FAULT_FSYNC);
	seam_fault_at(&f, 1, SEAM_FAULT_FAIL, -EIO, false);
	assert_result(backend_put(b, "later/2", "", 0), -EIO);
	backend_close(b);
	seam_fault_at(&f, 0, SEAM_FAULT_NONE, 0, false);
	assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &b));
	put_object(b, c, 2);
	backend_close(b);
	assert_int_equal(violations(c, false), 0);
	seam_crash_ignore(c, SEAM_CRASH_DIR_NAMES);
	assert_true(violations(c, true) > 0);
	seam_fault_release(&f);
	seam_crash_free(c);
}

/* Ask by a put of the same name, or by a sync. */
static void ask_put(struct backend *b, const uint8_t *data, size_t len)
{
	assert_result(backend_put(b, "key/0", data, len), -EEXIST);
}

static void ask_sync(struct backend *b, const uint8_t *data, size_t len)
{
	(void)data;
	(void)len;
	assert_ok(backend_sync(b, "key/0"));
}

/* Who is told that an object is there may rely on it, whoever put it. */
static void existing_means_durable(void (*ask)(struct backend *b,
					       const uint8_t *data, size_t len))
{
	const char *root = support_tmpdir_fast();
	const char *dir = support_path("%s/vault", root);
	uint8_t data[100];
	struct backend *b;
	struct seam_crash *c;
	struct seam_fault f;

	assert_ok(backend_create(dir, WITH_SEAM(seam_system()), &b));
	backend_close(b);
	c = seam_crash_new(root, NULL);
	seam_crash_mark(c, MARK_CREATED);
	seam_fault_init(&f, seam_crash_seam(c));
	seam_fault_only(&f, 1 << SEAM_FAULT_FSYNC);
	/* The first fsync is of the folder's own name. */
	seam_fault_at(&f, 2, SEAM_FAULT_FAIL, -EIO, false);
	assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &b));
	support_fill(0, data, sizeof(data));
	assert_result(backend_put(b, "key/0", data, sizeof(data)), -EIO);
	backend_close(b);
	assert_ok(backend_open(dir, WITH_SEAM(&f.seam), &b));
	ask(b, data, sizeof(data));
	seam_crash_mark(c, 0);
	backend_close(b);
	assert_int_equal(violations(c, false), 0);
	seam_crash_ignore(c, SEAM_CRASH_FILE_NAMES);
	assert_true(violations(c, true) > 0);
	seam_fault_release(&f);
	seam_crash_free(c);
}

static void existing_by_put(void **state)
{
	(void)state;
	existing_means_durable(ask_put);
}

static void existing_by_sync(void **state)
{
	(void)state;
	existing_means_durable(ask_sync);
}

static size_t broken_at_the_end(struct seam_crash *c)
{
	size_t bad = 0;
	unsigned int n;

	for (n = 0; n < 7; n++)
		bad += check_state(c, seam_crash_length(c),
				   seam_crash_nth_state(n));
	return bad;
}

/*
 * An object whose bytes were never synced, by whoever put it there, lasts when
 * it has been synced, with the names of the folders above it.
 */
static void sync_covers_bytes_and_folders(void **state)
{
	const char *root = support_tmpdir_fast();
	const char *dir = support_path("%s/vault", root);
	struct seam_crash *c;
	struct backend *b;
	uint8_t data[700];
	struct seam *s;
	int fd;

	(void)state;
	assert_ok(backend_create(dir, WITH_SEAM(seam_system()), &b));
	backend_close(b);
	c = seam_crash_new(root, NULL);
	s = seam_crash_seam(c);
	seam_crash_mark(c, MARK_CREATED);
	assert_ok(s->ops->mkdirat(s, AT_FDCWD, support_path("%s/new", dir),
				  0700));
	assert_ok(s->ops->mkdirat(s, AT_FDCWD, support_path("%s/new/deep", dir),
				  0700));
	assert_ok(s->ops->mkdirat(s, AT_FDCWD,
				  support_path("%s/new/deep/er", dir), 0700));
	fd = s->ops->openat(s, AT_FDCWD, support_path("%s/new/deep/er/5", dir),
			    O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	support_fill(6, data, sizeof(data));
	assert_ok(seam_pwrite_all(s, fd, data, sizeof(data), 0));
	assert_ok(s->ops->close(s, fd));
	assert_ok(backend_open(dir, WITH_SEAM(s), &b));
	assert_ok(backend_sync(b, "new/deep/er/5"));
	seam_crash_mark(c, 6);
	backend_close(b);
	/* Before the sync it might be there in part: only the end counts. */
	assert_int_equal(broken_at_the_end(c), 0);
	seam_crash_ignore(c, SEAM_CRASH_DATA);
	assert_true(broken_at_the_end(c) > 0);
	seam_crash_ignore(c, SEAM_CRASH_FILE_NAMES);
	assert_true(broken_at_the_end(c) > 0);
	seam_crash_ignore(c, SEAM_CRASH_DIR_NAMES);
	assert_true(broken_at_the_end(c) > 0);
	seam_crash_free(c);
}

/* A later process on an old vault owes the same, with fewer syncs. */
static void old_vault(void **state)
{
	const char *root = support_tmpdir_fast();
	const char *dir = support_path("%s/vault", root);
	struct backend *b;
	struct seam_crash *c;
	size_t i;

	(void)state;
	assert_ok(backend_create(dir, WITH_SEAM(seam_system()), &b));
	backend_close(b);
	c = seam_crash_new(root, NULL);
	assert_ok(backend_open(dir, WITH_SEAM(seam_crash_seam(c)), &b));
	for (i = 0; i < ARRAY_SIZE(objects); i++)
		put_object(b, c, i);
	backend_close(b);
	assert_int_equal(violations(c, false), 0);
	seam_crash_free(c);
}

#define SCENE(test)                                                            \
	{                                                                      \
#test, test, setup, teardown, NULL                             \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCENE(what_was_there_stays),
		SCENE(a_name_and_its_bytes),
		SCENE(a_name_without_the_other),
		SCENE(bytes_tear),
		SCENE(rewritten_bytes),
		SCENE(rename_is_one),
		SCENE(removal_lasts_when_synced),
		SCENE(lost_folder_loses_all),
		SCENE(states_become_files),
		cmocka_unit_test(puts_survive_unnamed),
		cmocka_unit_test(puts_survive_named),
		cmocka_unit_test(each_kind_of_sync_is_needed),
		cmocka_unit_test(each_sync_is_needed_unnamed),
		cmocka_unit_test(each_sync_is_needed_named),
		cmocka_unit_test(folder_of_a_dead_maker),
		cmocka_unit_test(existing_by_put),
		cmocka_unit_test(existing_by_sync),
		cmocka_unit_test(sync_covers_bytes_and_folders),
		cmocka_unit_test(old_vault),
	};

	support_log_capture();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
