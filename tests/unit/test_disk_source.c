/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where disks come from: what a text names, what a file is taken for, holes, and
 * reads that fail. */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/disk/source.h"

static const char *dir;

static const char *file(const char *name)
{
	if (!dir)
		dir = support_tmpdir_fast();
	return support_path("%s/%s", dir, name);
}

static int open_disk(const char *source, struct disk_source **out)
{
	struct disk_open o = { .name = "vda", .source = source, .threads = 2 };

	support_log_capture();
	return disk_open(&o, out);
}

static void put_be(uint8_t *p, uint64_t v, size_t n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

/* What a file of these bytes is taken for: "qcow2", "qcow2+" where it names others. */
static void assert_probed(const uint8_t *bytes, size_t len, const char *want)
{
	const char *path = file("probe"), *format;
	bool chained;
	int fd;

	support_write(path, bytes, len);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_ok(disk_image_probe(fd, &format, &chained));
	close(fd);
	assert_int_equal(strncmp(format, want, strlen(format)), 0);
	assert_int_equal(chained, want[strlen(format)] == '+');
}

static void probes(void **state)
{
	static const char descriptor[] = "# Disk DescriptorFile\nversion=1\n";
	uint8_t b[4096] = { 0 };

	(void)state;
	assert_probed(b, 0, "raw");
	assert_probed(b, sizeof(b), "raw");
	memcpy(b, "QFI\xfb\0\0\0\x03", 8);
	assert_probed(b, sizeof(b), "qcow2");
	assert_probed(b, 4, "qcow2+"); /* cut short: not to be trusted */
	put_be(b + 8, 512, 8); /* a backing file */
	assert_probed(b, sizeof(b), "qcow2+");
	put_be(b + 8, 0, 8);
	put_be(b + 72, 4, 8); /* the data lie elsewhere */
	assert_probed(b, sizeof(b), "qcow2+");
	b[7] = 2; /* version 2 has no such thing */
	assert_probed(b, sizeof(b), "qcow2");
	memset(b, 0, sizeof(b));
	memcpy(b, "KDMV", 4);
	assert_probed(b, sizeof(b), "vmdk");
	memcpy(b + 600, "parentFileNameHint=", 19);
	assert_probed(b, sizeof(b), "vmdk+");
	assert_probed((const uint8_t *)descriptor, sizeof(descriptor), "vmdk+");
	memset(b, 0, sizeof(b));
	memcpy(b, "vhdxfile", 8);
	assert_probed(b, sizeof(b), "vhdx");
	assert_probed(b, 7, "raw");
	memcpy(b, "conectix", 8);
	put_be(b + 60, 3, 4);
	assert_probed(b, sizeof(b), "vpc");
	put_be(b + 60, 4, 4);
	assert_probed(b, sizeof(b), "vpc+");
	/* A fixed VHD has its mark at its end, and its size in it. */
	memset(b, 0, sizeof(b));
	memcpy(b + sizeof(b) - 512, "conectix", 8);
	put_be(b + sizeof(b) - 512 + 60, 2, 4);
	assert_probed(b, sizeof(b), "raw");
	put_be(b + sizeof(b) - 512 + 48, sizeof(b) - 512, 8);
	assert_probed(b, sizeof(b), "vpc");
}

static void names(void **state)
{
	struct disk_source *s;

	(void)state;
	support_write(file("raw:odd"), "12345", 5);
	assert_ok(open_disk(file("raw:odd"), &s)); /* an absolute path */
	assert_int_equal(s->size, 5);
	assert_int_equal(s->sector, 512);
	assert_string_equal(s->format, "raw");
	disk_close(s);
	assert_ok(open_disk(support_path("raw:%s", file("raw:odd")), &s));
	disk_close(s);
	assert_result(open_disk("", &s), -EINVAL);
	assert_null(s);
	assert_result(open_disk("qcow2:", &s), -EINVAL);
	assert_result(open_disk(file("none"), &s), -ENOENT);
	assert_result(open_disk(support_path("qcow2:%s", file("none")), &s),
		      -ENOENT);
	assert_result(open_disk("/dev/null", &s), -ENOTBLK);
	assert_result(open_disk(file(""), &s), -ENOTBLK);
	assert_result(open_disk(support_path("nbd+unix:///?socket=%s",
					     file("no-socket")),
				&s),
		      -EIO);
	disk_close(NULL);
}

static void holes(void **state)
{
	struct disk_extent e;
	struct disk_source *s;
	uint8_t out[16];
	int fd = open(file("holes"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "data", 4, 1 << 20), 4);
	assert_int_equal(ftruncate(fd, 4 << 20), 0);
	assert_ok(open_disk(file("holes"), &s));
	assert_ok(disk_extent(s, 0, &e));
	assert_int_equal(e.state, DISK_HOLE);
	assert_int_equal(e.len, 1 << 20);
	assert_ok(disk_extent(s, (1 << 20) + 1, &e));
	assert_int_equal(e.state, DISK_DATA);
	assert_ok(disk_extent(s, 3 << 20, &e));
	assert_int_equal(e.state, DISK_HOLE);
	assert_int_equal(e.len, 1 << 20); /* to the end */
	assert_ok(disk_read(s, (1 << 20) - 2, out, 8));
	assert_memory_equal(out, "\0\0data\0\0", 8);
	assert_int_equal(disk_finish(s), 0);
	/* Written to, and then shorter. */
	assert_int_equal(
		futimens(fd, (struct timespec[2]){ { 1, 0 }, { 1, 0 } }), 0);
	assert_int_equal(disk_finish(s), 1);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_result(disk_finish(s), -EIO);
	assert_result(disk_read(s, (1 << 20) - 2, out, 8), -EIO);
	disk_close(s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes),
		cmocka_unit_test(names),
		cmocka_unit_test(holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
