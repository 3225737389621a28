/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Disks in points: the grid, zeros and holes, what is taken over from the parent
 * and what not, the digest.
 */
#include "config.h"

#include "tests/unit/seam_fault.h"
#include "tests/unit/vaults.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "src/backup/backup.h"
#include "src/backup/disk_grid.h"
#include "src/backup/disk_hints.h"
#include "src/backup/disk_map.h"
#include "src/disk/source.h"
#include "store/backend/backend.h"
#include "store/backend/mem.h"
#include "store/base/bytes.h"
#include "store/base/task.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"

#define CELL ((uint64_t)GRID_CELL)

/* ---- a source that says what it is told to ---- */

struct fake {
	struct disk_source s;
	struct disk_hints hints;
	const struct disk_extent *list;
	size_t n, asked;
};

static int fake_extent(struct disk_source *s, uint64_t off,
		       struct disk_extent *out)
{
	struct fake *f = container_of(s, struct fake, s);
	size_t i;

	f->asked++;
	for (i = 0; i < f->n; i++) {
		const struct disk_extent *e = &f->list[i];

		if (off >= e->off && off - e->off < e->len) {
			*out = *e;
			out->len -= off - e->off;
			out->off = off;
			return 0;
		}
	}
	return -EIO;
}

static const struct disk_source_ops fake_ops = { .extent = fake_extent };

static void begin(struct grid *g, struct fake *f,
		  const struct disk_extent *list, size_t n)
{
	*f = (struct fake){ .s = { .ops = &fake_ops,
				   .name = "fake",
				   .granule = 512,
				   .has_bitmap = true },
			    .list = list,
			    .n = n };
	f->s.size = list[n - 1].off + list[n - 1].len;
	f->hints = (struct disk_hints){ .bitmap = true };
	grid_begin(g, &f->s, &f->hints);
}

static void assert_run(const struct grid_part *p, unsigned int i, uint32_t off,
		       uint32_t len, enum disk_state state)
{
	assert_true(i < p->nruns);
	assert_int_equal(p->runs[i].off, off);
	assert_int_equal(p->runs[i].len, len);
	assert_int_equal(p->runs[i].state, state);
}

static void grid_of_runs(void **state)
{
	static const struct disk_extent list[] = {
		{ 0, 3 * CELL + 100, DISK_HOLE, false },
		{ 3 * CELL + 100, 8092, DISK_DATA, false },
		{ 3 * CELL + 8192, 8192, DISK_ZERO, false },
		{ 3 * CELL + 16384, CELL - 16384, DISK_HOLE, false },
		{ 4 * CELL, CELL / 2, DISK_ZERO, false },
		{ 4 * CELL + CELL / 2, CELL / 2, DISK_HOLE, false },
		{ 5 * CELL, 2 * CELL, DISK_DATA, true },
		{ 7 * CELL, 1000, DISK_DATA, false },
	};
	struct grid_part p;
	struct grid g;
	struct fake f;

	(void)state;
	begin(&g, &f, list, ARRAY_SIZE(list));
	assert_int_equal(grid_next(&g, &p), 1);
	assert_int_equal(p.state, DISK_HOLE);
	assert_int_equal(p.len, 3 * CELL);
	/* A hole that covers no whole block is none. */
	assert_int_equal(grid_next(&g, &p), 1);
	assert_int_equal(p.state, DISK_DATA);
	assert_int_equal(p.nruns, 3);
	assert_run(&p, 0, 0, 8192, DISK_DATA);
	assert_run(&p, 1, 8192, 8192, DISK_ZERO);
	assert_run(&p, 2, 16384, GRID_CELL - 16384, DISK_HOLE);
	assert_int_equal(grid_next(&g, &p), 1); /* no data, but two states */
	assert_int_equal(p.nruns, 2);
	assert_run(&p, 0, 0, GRID_CELL / 2, DISK_ZERO);
	assert_int_equal(grid_next(&g, &p), 1);
	assert_int_equal(p.len, CELL);
	assert_true(p.same);
	assert_run(&p, 0, 0, GRID_CELL, DISK_DATA);
	assert_int_equal(grid_next(&g, &p), 1);
	assert_true(p.same);
	assert_int_equal(grid_next(&g, &p), 1);
	assert_int_equal(p.len, 1000);
	assert_false(p.same);
	assert_run(&p, 0, 0, 1000, DISK_DATA);
	assert_int_equal(grid_next(&g, &p), 0);
}

/* Every other block: the smallest gaps are read until 16 runs are left. */
static void grid_of_many_runs(void **state)
{
	struct disk_extent list[64];
	unsigned int i, data = 0;
	struct grid_part p;
	struct grid g;
	struct fake f;

	(void)state;
	for (i = 0; i < 64; i++)
		list[i] = (struct disk_extent){ i * 4096, 4096,
						i & 1 ? DISK_HOLE : DISK_DATA,
						true };
	list[21].state = DISK_HOLE;
	list[20].state = DISK_HOLE; /* a gap of three */
	begin(&g, &f, list, 64);
	assert_int_equal(grid_next(&g, &p), 1);
	assert_true(p.same);
	for (i = 0; i < p.nruns; i++)
		data += p.runs[i].state == DISK_DATA;
	assert_int_equal(data, GRID_DATA_RUNS);
	for (i = 0; i < p.nruns; i++)
		if (p.runs[i].off == 19 * 4096)
			break;
	assert_run(&p, i, 19 * 4096, 3 * 4096, DISK_HOLE);
	/* A source that is read in cells has one run. */
	begin(&g, &f, list, 64);
	f.s.granule = GRID_CELL;
	assert_int_equal(grid_next(&g, &p), 1);
	assert_int_equal(p.nruns, 1);
}

/* Nothing costs anything but data. */
static void grid_of_a_void(void **state)
{
	static const struct disk_extent list[] = {
		{ 0, UINT64_C(1) << 50, DISK_HOLE, false },
		{ UINT64_C(1) << 50, 512, DISK_DATA, false },
		{ (UINT64_C(1) << 50) + 512, UINT64_C(1) << 50, DISK_ZERO,
		  false },
	};
	struct grid_part p;
	unsigned int n = 0;
	struct grid g;
	struct fake f;

	(void)state;
	begin(&g, &f, list, ARRAY_SIZE(list));
	while (grid_next(&g, &p) == 1)
		n++;
	assert_int_equal(n, 3); /* before, around, behind the data */
	assert_true(f.asked < 10);
}

/* ---- whole backups ---- */

static struct backend *backend;
static struct vault_options options;
static struct seam_fault seam;

/* Random bytes are the same in each run, so that which claims of a hint are
 * looked at is not left to chance. */
static void new_vault(void)
{
	char id[33];

	support_log_capture();
	backend = backend_mem_new();
	assert_non_null(backend);
	seam_fault_init(&seam, NULL);
	seam_fault_random(&seam, 1);
	options = vaults_options(NULL, backend, &seam.seam, NULL);
	assert_ok(vault_create(&options, 0, id));
}

static void end_vault(void)
{
	backend_close(backend);
	seam_fault_release(&seam);
}

/* A file of the tests' one directory. */
static const char *file(const char *name)
{
	static const char *dir;

	if (!dir)
		dir = support_tmpdir_fast();
	return support_path("%s/%s", dir, name);
}

static const char *disk_path(void)
{
	return file("disk");
}

/* Make [@off, @off + @len) of the disk @byte; it grows as needed. */
static void put(uint64_t off, size_t len, int byte)
{
	AUTO_CLOSE int fd =
		open(disk_path(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	AUTO_FREE uint8_t *data = malloc(len);

	assert_true(fd >= 0 && data);
	memset(data, byte, len);
	assert_int_equal(pwrite(fd, data, len, (off_t)off), len);
}

static void resize(uint64_t size)
{
	AUTO_CLOSE int fd =
		open(disk_path(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
}

static struct backup_disk_result back_up(const char *map, bool force)
{
	const char *path = file("map");
	struct backup_disk disk = { .name = "vda",
				    .source = disk_path(),
				    .map = map ? path : NULL };
	struct backup_disk_result result = { .size = 0 };
	struct backup_options o = { .vm = "m",
				    .disks = &disk,
				    .ndisks = 1,
				    .disk_results = &result,
				    .level = 1,
				    .disk_level = 1,
				    .threads = 3,
				    .force = force };
	struct task task = { .stop = NULL };
	struct backup_result r;
	struct vault *v;

	if (map)
		support_write(path, map, strlen(map));
	assert_ok(vault_open(&options, &v));
	assert_ok(backup_run(v, &o, &task, &r));
	assert_int_equal(r.progress.errors, 0);
	vault_close(v);
	return result;
}

static void digest_of(const uint8_t *image, uint64_t size,
		      uint8_t out[CRYPT_SHA256_LEN])
{
	static const uint8_t zeros[GRID_CELL];
	struct sha256 *h;
	uint64_t off;

	assert_ok(sha256_new(&h));
	for (off = 0; off < size; off += CELL) {
		uint32_t len = (uint32_t)MIN(CELL, size - off);
		uint8_t head[12];

		if (memcmp(image + off, zeros, len) == 0)
			continue;
		put_le64(head, off);
		put_le32(head + 8, len);
		assert_ok(sha256_update(h, head, sizeof(head)));
		assert_ok(sha256_update(h, image + off, len));
	}
	assert_ok(sha256_finish(h, out));
	sha256_free(h);
}

/* The latest point holds the file @path as it is now, or a copy of it. */
static void assert_holds(const char *path, bool digest)
{
	uint8_t want[CRYPT_SHA256_LEN];
	const struct point_disk *d;
	struct point_list *l;
	struct vault *v;
	size_t len;
	AUTO_FREE uint8_t *image = support_read(path, &len);
	struct content_ref content;
	AUTO_FREE uint8_t *got = NULL;

	assert_non_null(image);
	assert_ok(vault_open(&options, &v));
	assert_ok(vault_points(v, &l));
	d = point_find_disk(l->points[l->n - 1], "vda");
	assert_non_null(d);
	assert_int_equal(d->size, len);
	content = point_disk_content(d);
	got = malloc(len);
	assert_non_null(got);
	assert_ok(content_read(v, &content, 0, got, len));
	assert_memory_equal(got, image, len);
	assert_int_equal(content_allocated(&content), d->used);
	assert_int_equal(d->has_sha256, digest);
	if (digest) {
		digest_of(image, len, want);
		assert_memory_equal(d->sha256, want, sizeof(want));
	}
	point_list_put(l);
	vault_close(v);
}

static void zeros_and_holes(void **state)
{
	struct backup_disk_result r;
	unsigned int i;

	(void)state;
	new_vault();
	unlink(disk_path());
	resize(40 * CELL + 700);
	r = back_up(NULL, false);
	assert_int_equal(r.used, 0);
	assert_int_equal(r.read, 0);
	assert_holds(disk_path(), true);
	put(CELL, 3 * CELL, 0); /* written zeros */
	put(8 * CELL + 8192, 4096, 'x');
	put(20 * CELL - 4096, 8192, 'y'); /* over a border */
	put(40 * CELL + 699, 1, 'z');
	for (i = 0; i < 64; i += 2)
		put(30 * CELL + i * 4096, 4096, 'a' + (int)(i % 26));
	r = back_up(NULL, false);
	assert_true(r.used >= 4096 + 8192 + 700 + 32 * 4096);
	assert_true(r.used <= 4 * 4096 + 700 + 64 * 4096 + 4096);
	assert_holds(disk_path(), true);
	end_vault();
}

/* The same bytes from another allocation have the same digest and chunks. */
static void takes_over(void **state)
{
	static const char all[] = "0 2621440 same\n";
	const char *copy = file("copy");
	struct backup_disk_result r;
	AUTO_FREE uint8_t *image = NULL;
	size_t len;

	(void)state;
	new_vault();
	unlink(disk_path());
	resize(10 * CELL);
	put(0, 4 * CELL, 'a');
	put(6 * CELL, 3 * CELL, 'b');
	r = back_up(all, false); /* there is no parent */
	assert_int_equal(r.reused, 0);
	assert_int_equal(r.used, 7 * CELL);
	assert_holds(disk_path(), true);
	image = support_read(disk_path(), &len);
	support_write(copy, image, len);

	/* A lie is believed: that is what a hint is for. */
	put(CELL + 5, 10, 'c');
	r = back_up(all, false);
	assert_int_equal(r.reused, 7 * CELL);
	assert_int_equal(r.read, 0);
	assert_holds(copy, false);
	/* Not where all is to be read, nor where the map covers less. */
	r = back_up(all, true);
	assert_int_equal(r.reused, 0);
	assert_holds(disk_path(), true);
	put(CELL + 15, 10, 'd');
	r = back_up("0 2621439 same\n", false);
	assert_int_equal(r.reused, 0);
	assert_holds(disk_path(), true);
	/* A cell is taken over as a whole or not at all. */
	put(CELL + 25, 10, 'e');
	r = back_up("0 262144 same\n262144 100 data\n262244 2359196 same\n",
		    false);
	assert_int_equal(r.read, CELL);
	assert_int_equal(r.reused, 6 * CELL);
	assert_holds(disk_path(), false);
	end_vault();
}

static void other_sizes(void **state)
{
	struct backup_disk_result r;

	(void)state;
	new_vault();
	unlink(disk_path());
	put(0, 5 * CELL + 1000, 'a');
	r = back_up(NULL, false);
	put(5 * CELL + 1000, 3 * CELL, 'b'); /* grown: the short cell too */
	r = back_up("0 1311720 same\n1311720 786432 data\n", false);
	assert_int_equal(r.reused, 5 * CELL);
	assert_holds(disk_path(), false);
	resize(3 * CELL + 500); /* shrunk: the last is another cell now */
	r = back_up("0 786932 same\n", false);
	assert_int_equal(r.reused, 3 * CELL);
	assert_int_equal(r.read, 500);
	assert_holds(disk_path(), false);
	r = back_up("0 786932 same\n", false);
	assert_int_equal(r.reused, 3 * CELL + 500);
	assert_holds(disk_path(), false);
	end_vault();
}

/* Zeros that a map tells of are not read, and there is no digest then. */
static void zeros_of_a_map(void **state)
{
	struct backup_disk_result r;

	(void)state;
	new_vault();
	unlink(disk_path());
	put(0, 4 * CELL, 0);
	put(0, CELL, 'a');
	r = back_up(NULL, false);
	r = back_up("0 262144 data\n262144 786432 zero\n", false);
	assert_int_equal(r.read, CELL);
	assert_int_equal(r.used, CELL);
	assert_holds(disk_path(), false);
	end_vault();
}

static void stops(void **state)
{
	struct backup_disk disk = { .name = "vda",
				    .source = disk_path(),
				    .map = NULL };
	struct backup_options o = { .vm = "m", .disks = &disk, .ndisks = 1 };
	static const volatile bool stop = true;
	struct task task = { .stop = &stop };
	struct backup_result r;
	struct point_list *l;
	struct vault *v;

	(void)state;
	new_vault();
	put(0, 8 * CELL, 'a');
	assert_ok(vault_open(&options, &v));
	assert_result(backup_run(v, &o, &task, &r), -EINTR);
	task.stop = NULL;
	disk.source = file("none");
	assert_result(backup_run(v, &o, &task, &r), -ENOENT);
	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, 0);
	point_list_put(l);
	vault_close(v);
	end_vault();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grid_of_runs),
		cmocka_unit_test(grid_of_many_runs),
		cmocka_unit_test(grid_of_a_void),
		cmocka_unit_test(zeros_and_holes),
		cmocka_unit_test(takes_over),
		cmocka_unit_test(other_sizes),
		cmocka_unit_test(zeros_of_a_map),
		cmocka_unit_test(stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
