/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where disks come from: what a text names, what a file looks like, which files
 * an image names, holes, and reads that fail.
 */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/disk/chain.h"
#include "src/disk/format.h"
#include "src/disk/source.h"
#include "store/base/attrs.h"

static const char *dir;

static const char *file(const char *name)
{
	if (!dir)
		dir = support_tmpdir_fast();
	return support_path("%s/%s", dir, name);
}

static int open_disk(const char *source, struct disk_source **out)
{
	struct disk_source_options o = { .name = "vda",
					 .source = source,
					 .threads = 2 };

	support_log_capture();
	return disk_source_open(&o, out);
}

static void put_be(uint8_t *p, uint64_t v, size_t n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

/* What a file of these bytes looks like: the driver's name, with a '+' where it is
 * not safe to take it for that unasked. */
static void assert_seen(const uint8_t *bytes, size_t len, const char *want)
{
	AUTO_FREE uint8_t *buffer = malloc(IMAGE_HEAD_LEN + IMAGE_TAIL_LEN);
	const struct image_format *f;
	struct image_bytes b;
	int fd;

	support_write(file("probe"), bytes, len);
	fd = open(file("probe"), O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_non_null(buffer);
	assert_ok(image_bytes_read(fd, buffer, &b));
	close(fd);
	f = image_format_recognise(&b);
	if (!f) {
		assert_string_equal(want, "raw");
		return;
	}
	assert_int_equal(strncmp(f->driver, want, strlen(f->driver)), 0);
	assert_int_equal(!image_format_is_plain(f, &b),
			 want[strlen(f->driver)] == '+');
}

static void recognised(void **state)
{
	static const struct {
		const char *magic;
		size_t len;
		const char *want;
	} heads[] = {
		{ "KDMV", 4, "vmdk+" },
		{ "COWD", 4, "vmdk+" },
		{ "\xbe\xba\xfe\xca\0\0\0\0", 8, "vmdk+" },
		{ "# Disk DescriptorFile\n", 21, "vmdk+" },
		{ "vhdxfile", 8, "vhdx+" },
		{ "conectix", 8, "vpc+" },
		{ "QED", 4, "qed+" },
		{ "QFI\xfb\0\0\0\1", 8, "qcow+" },
		{ "WithoutFreeSpace", 16, "parallels+" },
		{ "WithouFreSpacExt", 16, "parallels+" },
		{ "#!/bin/sh\n#V2.0 Format\nmodprobe cloop", 37, "cloop+" },
		{ "#!/bin/sh\necho a script is no image", 34, "raw" },
		{ "Bochs Virtual HD Image", 22, "bochs+" },
		{ "LUKS\xba\xbe", 6, "raw" }, /* a disk that a guest encrypts */
	};
	uint8_t b[4096] = { 0 };
	size_t i;

	(void)state;
	assert_seen(b, 0, "raw");
	assert_seen(b, sizeof(b), "raw");
	for (i = 0; i < ARRAY_SIZE(heads); i++) {
		memset(b, 0, sizeof(b));
		memcpy(b, heads[i].magic, heads[i].len);
		assert_seen(b, sizeof(b), heads[i].want);
		assert_seen(b, MIN(heads[i].len, (size_t)4) - 1, "raw");
	}
	memset(b, 0, sizeof(b));
	memcpy(b + 64, "\x7f\x10\xda\xbe", 4);
	assert_seen(b, sizeof(b), "vdi+");
	assert_seen(b, 67, "raw");
}

static void recognised_qcow2(void **state)
{
	uint8_t b[4096] = { 0 };

	(void)state;
	memcpy(b, "QFI\xfb\0\0\0\x03", 8);
	put_be(b + 100, 104, 4);
	assert_seen(b, sizeof(b), "qcow2");
	assert_seen(b, 4, "qcow2+"); /* cut short: not to be trusted */
	assert_seen(b, 104, "qcow2+");
	put_be(b + 8, 512, 8); /* a backing file */
	assert_seen(b, sizeof(b), "qcow2+");
	put_be(b + 8, 0, 8);
	put_be(b + 72, 4, 8); /* the data lie elsewhere */
	assert_seen(b, sizeof(b), "qcow2+");
	b[7] = 2; /* version 2 has no such thing */
	assert_seen(b, sizeof(b), "qcow2");
	b[7] = 4; /* who knows */
	assert_seen(b, sizeof(b), "qcow2+");
}

/* What nobody here can read: it is a raw disk, and that is said. */
static void recognised_as_foreign(void **state)
{
	static const struct {
		size_t off, len;
		const char *magic, *what;
	} marks[] = {
		{ 0, 8, "EVF\x09\x0d\x0a\xff\0", "EWF (E01)" },
		{ 0, 8, "shdw\0\0\0\1\0\0\2\0", "ASIF" },
		{ 0, 8, "MSWIM\0\0\0", "WIM" },
		{ 0, 3, "\x1f\x8b\x08", "gzip" },
		{ 257, 5, "ustar", "tar" },
	};
	struct disk_source *s;
	uint8_t b[4096];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(marks); i++) {
		memset(b, 0, sizeof(b));
		memcpy(b + marks[i].off, marks[i].magic, marks[i].len);
		assert_seen(b, sizeof(b), "raw");
		support_log_clear();
		assert_ok(open_disk(file("probe"), &s));
		assert_string_equal(s->format, "raw");
		disk_source_close(s);
		assert_said(marks[i].what);
		assert_said("it is stored as it is");
		/* The caller knows, or it is too short to tell. */
		support_log_clear();
		assert_ok(open_disk(support_path("raw:%s", file("probe")), &s));
		disk_source_close(s);
		b[marks[i].off + marks[i].len - 1] ^= 1;
		support_write(file("probe"), b, sizeof(b));
		assert_ok(open_disk(file("probe"), &s));
		disk_source_close(s);
		support_write(file("probe"), b, marks[i].off + 1);
		assert_ok(open_disk(file("probe"), &s));
		disk_source_close(s);
		assert_string_equal(support_log_text(), "");
	}
}

/* The marks that lie in the last sector. */
static void recognised_by_its_end(void **state)
{
	uint8_t b[4096] = { 0 }, *end = b + sizeof(b) - 512;

	(void)state;
	memcpy(end, "conectix", 8);
	put_be(end + 60, 2, 4);
	assert_seen(b, sizeof(b), "raw");
	put_be(end + 48, sizeof(b) - 512, 8); /* its size */
	assert_seen(b, sizeof(b), "vpc+");
	memset(b, 0, sizeof(b));
	memcpy(end, "koly", 4);
	assert_seen(b, sizeof(b), "raw");
	put_be(end + 4, 4, 4);
	put_be(end + 8, 512, 4);
	assert_seen(b, sizeof(b), "dmg+");
}

/* ---- what an image names ---- */

static int list_name(void *arg, enum image_role role, const char *name,
		     const char *driver)
{
	static const char roles[] = { 'B', 'D', 'E' };
	char *out = arg;
	size_t len = strlen(out);

	(void)snprintf(out + len, 400 - len, "%c:%s:%s ", roles[role], name,
		       driver);
	return 0;
}

/* The names in @len bytes; NULL: they cannot be followed. */
static void assert_names(const char *word, const void *bytes, size_t len,
			 const char *want)
{
	struct image_bytes b = { .head = bytes, .head_len = len, .size = len };
	char got[400] = "";
	const char *why;
	int r;

	if (len > IMAGE_TAIL_LEN) {
		b.tail = (const uint8_t *)bytes + len - IMAGE_TAIL_LEN;
		b.tail_len = IMAGE_TAIL_LEN;
	}
	r = image_format_names(image_format_find(word, strlen(word)), &b,
			       list_name, got, &why);
	if (want) {
		assert_ok(r);
		assert_string_equal(got, want);
	} else {
		assert_int_equal(r, -EBADMSG);
		assert_int_not_equal(*why, '\0');
	}
}

static void names_in_qcow(void **state)
{
	uint8_t b[2048] = { 0 };

	(void)state;
	assert_names("qcow2", b, sizeof(b), NULL); /* said, but it is none */
	memcpy(b, "QFI\xfb\0\0\0\3", 8);
	put_be(b + 100, 104, 4);
	assert_names("qcow2", b, sizeof(b), "");
	assert_names("qcow", b, sizeof(b), NULL);
	put_be(b + 8, 1024, 8);
	put_be(b + 16, 9, 4);
	memcpy(b + 1024, "/etc/base", 9);
	assert_names("qcow2", b, sizeof(b), "B:/etc/base: ");
	put_be(b + 104, 0xe2792aca, 4);
	put_be(b + 108, 3, 4);
	memcpy(b + 112, "raw", 3);
	assert_names("qcow2", b, sizeof(b), "B:/etc/base:raw ");
	assert_names("qcow2", b, 1030, NULL); /* the name is cut */
	put_be(b + 72, 4, 8);
	assert_names("qcow2", b, sizeof(b), NULL); /* data, but where? */
	put_be(b + 120, 0x44415441, 4);
	put_be(b + 124, 4, 4);
	memcpy(b + 128, "data", 4);
	assert_names("qcow2", b, sizeof(b), "D:data:raw B:/etc/base:raw ");
	b[130] = 0;
	assert_names("qcow2", b, sizeof(b), NULL); /* a zero byte in a name */
	put_be(b + 124, 0xfffffff0, 4);
	assert_names("qcow2", b, sizeof(b), NULL);
	memset(b, 0, sizeof(b));
	memcpy(b, "QFI\xfb\0\0\0\1", 8);
	put_be(b + 8, 200, 8);
	put_be(b + 16, 2, 4);
	memcpy(b + 200, "ab", 2);
	assert_names("qcow", b, sizeof(b), "B:ab: ");
	put_be(b + 8, UINT64_MAX - 1, 8);
	assert_names("qcow", b, sizeof(b), NULL);
	put_be(b + 8, 200, 8);
	put_be(b + 16, 1024, 4); /* longer than any name */
	assert_names("qcow", b, sizeof(b), NULL);
}

static void names_in_others(void **state)
{
	static const char text[] =
		"# Disk DescriptorFile\nversion=1\n"
		"RW 10 FLAT \"a-flat.vmdk\" 0\nRW 5 ZERO\n"
		"RDONLY 10 SPARSE \"/b\"\nparentFileNameHint=\"p.vmdk\"\n";
	static const char bad[] = "# Disk DescriptorFile\nRW 10 FLAT \"a\n\"";
	uint8_t b[2048] = { 0 };

	(void)state;
	assert_names("vmdk", text, sizeof(text) - 1,
		     "E:a-flat.vmdk: E:/b: B:p.vmdk:vmdk ");
	assert_names("vmdk", bad, sizeof(bad) - 1, NULL);
	memcpy(b, "KDMV", 4);
	b[28] = 1; /* its descriptor is in sector 1, and has one sector */
	b[36] = 1;
	memcpy(b + 512, "RW 9 FLAT \"/x\" 0\n", 17);
	assert_names("vmdk", b, sizeof(b), NULL); /* the capacity is 0 */
	b[12] = 1;
	assert_names("vmdk", b, sizeof(b), "");
	memcpy(b + 529, "RW 9 FLAT \"/y\" 0\n", 17);
	assert_names("vmdk", b, sizeof(b), NULL); /* two extents */
	memcpy(b + 529, "parentFileNameHint=\"q\"", 23);
	assert_names("vmdk", b, sizeof(b), "B:q:vmdk ");
	memset(b, 0, sizeof(b));
	memcpy(b, "QED", 3);
	assert_names("qed", b, sizeof(b), "");
	b[16] = 5; /* a backing file, and it is raw */
	b[56] = 100;
	b[60] = 1;
	b[100] = 'z';
	assert_names("qed", b, sizeof(b), "B:z:raw ");
	b[60] = 0;
	assert_names("qed", b, sizeof(b), NULL);
	memset(b, 0, sizeof(b));
	memcpy(b, "conectix", 8);
	put_be(b + 60, 3, 4);
	assert_names("vhd", b, sizeof(b), "");
	put_be(b + 60, 4, 4); /* differencing */
	assert_names("vhd", b, sizeof(b), NULL);
	put_be(b + 60, 3, 4);
	memcpy(b + sizeof(b) - 512, "conectix", 8);
	put_be(b + sizeof(b) - 512 + 60, 4, 4);
	assert_names("vpc", b, sizeof(b), NULL);
	assert_names("vdi", b, sizeof(b), NULL);
	assert_names("raw", b, sizeof(b), "");
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
	disk_source_close(s);
	assert_ok(open_disk(support_path("raw:%s", file("raw:odd")), &s));
	disk_source_close(s);
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
	disk_source_close(NULL);
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
	assert_ok(disk_source_extent(s, 0, &e));
	assert_int_equal(e.state, DISK_HOLE);
	assert_int_equal(e.len, 1 << 20);
	assert_ok(disk_source_extent(s, (1 << 20) + 1, &e));
	assert_int_equal(e.state, DISK_DATA);
	assert_ok(disk_source_extent(s, 3 << 20, &e));
	assert_int_equal(e.state, DISK_HOLE);
	assert_int_equal(e.len, 1 << 20); /* to the end */
	assert_ok(disk_source_read(s, (1 << 20) - 2, out, 8));
	assert_memory_equal(out, "\0\0data\0\0", 8);
	assert_int_equal(disk_source_finish(s), 0);
	/* Written to, and then shorter. */
	assert_int_equal(
		futimens(fd, (struct timespec[2]){ { 1, 0 }, { 1, 0 } }), 0);
	assert_int_equal(disk_source_finish(s), 1);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	assert_result(disk_source_finish(s), -EIO);
	assert_result(disk_source_read(s, (1 << 20) - 2, out, 8), -EIO);
	disk_source_close(s);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recognised),
		cmocka_unit_test(recognised_qcow2),
		cmocka_unit_test(recognised_as_foreign),
		cmocka_unit_test(recognised_by_its_end),
		cmocka_unit_test(names_in_qcow),
		cmocka_unit_test(names_in_others),
		cmocka_unit_test(names),
		cmocka_unit_test(holes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
