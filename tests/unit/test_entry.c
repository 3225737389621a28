/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/entry.h"

/* Two attributes, sorted. */
static const uint8_t xattrs[] = "\2\6user.a\1v\6user.b\0";
#define XATTRS_LEN (sizeof(xattrs) - 1)

/* A birth in 1969, the flags of an immutable file, project 1000, and something
 * that a later program knows. */
static const uint8_t extra[] = "\4\1\6\1\xff\x93\xeb\xdc\3\2\1\x10"
			       "\3\2\xe8\7\xc8\2\0\xff";
#define EXTRA_LEN (sizeof(extra) - 1)

static const uint8_t target[] = "../\xff where";
/* Inline: 5 bytes of hole. */
static const uint8_t content[] = { 1, 1, 5, 1 };
static const uint8_t nothing[] = { 0 };

static const struct entry common = {
	.name = (const uint8_t *)"\1name \xff",
	.name_len = 7,
	.uid = 1 << 20,
	.gid = UINT32_MAX,
	.nlink = 3,
	.size = 5,
	.mtime = { -1, 999999999 },
	.ctime = { INT64_C(1) << 40, 1 },
	.ino = UINT64_MAX,
	.dev = 2,
};

static struct entry kind(uint32_t mode)
{
	struct entry e = common;

	e.mode = mode;
	if (S_ISREG(mode)) {
		e.content = content;
		e.content_len = sizeof(content);
	}
	if (S_ISLNK(mode)) {
		e.target = target;
		e.target_len = sizeof(target) - 1;
	}
	if (S_ISCHR(mode) || S_ISBLK(mode)) {
		e.rdev_major = 4095;
		e.rdev_minor = 1048575;
	}
	return e;
}

static void assert_same(const struct entry *a, const struct entry *b)
{
	assert_int_equal(a->name_len, b->name_len);
	if (a->name_len)
		assert_memory_equal(a->name, b->name, a->name_len);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->mode, b->mode);
	assert_int_equal(a->uid, b->uid);
	assert_int_equal(a->gid, b->gid);
	assert_int_equal(a->nlink, b->nlink);
	assert_int_equal(a->size, b->size);
	assert_int_equal(a->mtime.sec, b->mtime.sec);
	assert_int_equal(a->mtime.nsec, b->mtime.nsec);
	assert_int_equal(a->ctime.sec, b->ctime.sec);
	assert_int_equal(a->ctime.nsec, b->ctime.nsec);
	assert_int_equal(a->ino, b->ino);
	assert_int_equal(a->dev, b->dev);
	assert_int_equal(a->rdev_major, b->rdev_major);
	assert_int_equal(a->rdev_minor, b->rdev_minor);
	assert_int_equal(a->target_len, b->target_len);
	if (a->target_len)
		assert_memory_equal(a->target, b->target, a->target_len);
	assert_int_equal(a->xattrs_len, b->xattrs_len);
	if (a->flags & ENTRY_XATTRS)
		assert_memory_equal(a->xattrs, b->xattrs, a->xattrs_len);
	assert_true(id_equal(&a->xattrs_id, &b->xattrs_id));
	assert_int_equal(a->extra_len, b->extra_len);
	if (a->extra_len)
		assert_memory_equal(a->extra, b->extra, a->extra_len);
	assert_int_equal(a->content_len, b->content_len);
	if (a->content_len)
		assert_memory_equal(a->content, b->content, a->content_len);
}

static int decode(const void *data, size_t len, struct entry *out)
{
	struct reader r;
	int err;

	reader_init(&r, data, len);
	err = entry_get(&r, out);
	return err == 0 && !reader_done(&r) ? -E2BIG : err;
}

/* There and back; and no beginning of it is an entry. */
static void assert_round_trip(const struct entry *e)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct entry back;
	size_t len;

	entry_put(&b, e);
	assert_ok(buf_error(&b));
	assert_ok(decode(b.data, b.len, &back));
	assert_same(e, &back);
	assert_int_equal(back.raw_len, b.len);
	assert_ptr_equal(back.raw, b.data);
	for (len = 0; len < b.len; len++) {
		uint8_t *copy = malloc(len + 1);

		memcpy(copy, b.data, len);
		assert_result(decode(copy, len, &back), -EBADMSG);
		/* Nor where the length in front agrees. */
		if (len > 0 && b.data[0] < 0x80) {
			copy[0] = (uint8_t)(len - 1);
			assert_result(decode(copy, len, &back), -EBADMSG);
		}
		free(copy);
	}
}

static void every_kind(void **state)
{
	static const uint32_t modes[] = { S_IFREG | 0644, S_IFDIR | 01777,
					  S_IFLNK | 0777, S_IFIFO | 0600,
					  S_IFSOCK,	  S_IFCHR | 0660,
					  S_IFBLK | 0660, S_IFREG | 07777 };
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		struct entry e = kind(modes[i]);

		assert_round_trip(&e);
		e.flags = ENTRY_XATTRS | ENTRY_ACL | ENTRY_PARTIAL;
		e.xattrs = xattrs;
		e.xattrs_len = XATTRS_LEN;
		assert_round_trip(&e);
		e.flags = ENTRY_XATTRS_CHUNK;
		e.xattrs = NULL;
		e.xattrs_len = 5000;
		memset(e.xattrs_id.b, 7, ID_LEN);
		assert_round_trip(&e);
		e.flags |= ENTRY_EXTRA;
		e.extra = extra;
		e.extra_len = EXTRA_LEN;
		assert_round_trip(&e);
	}
}

static void longest_and_empty(void **state)
{
	uint8_t name[255], long_target[ENTRY_TARGET_MAX];
	struct entry e = kind(S_IFLNK | 0777);

	(void)state;
	memset(name, 'n', sizeof(name));
	memset(long_target, 't', sizeof(long_target));
	e.name = name;
	e.name_len = sizeof(name);
	e.target = long_target;
	e.target_len = sizeof(long_target);
	assert_round_trip(&e);
	e = kind(S_IFDIR | 0755);
	e.name_len = 0;
	assert_round_trip(&e);
	e = kind(S_IFREG);
	e.size = 0;
	e.content = nothing;
	e.content_len = 1;
	assert_round_trip(&e);
}

static int encoded(const struct entry *e)
{
	AUTO_BUF struct buf b = BUF_INIT;
	struct entry back;

	entry_put(&b, e);
	assert_ok(buf_error(&b));
	return decode(b.data, b.len, &back);
}

static void what_cannot_be(void **state)
{
	static const char zero_in_target[] = "a\0b";
	uint8_t name[256];
	struct entry e;

	(void)state;
	memset(name, 'n', sizeof(name));
	e = kind(0644); /* no kind */
	assert_result(encoded(&e), -EBADMSG);
	e = kind(S_IFREG | 0644 | 1 << 20);
	assert_result(encoded(&e), -EBADMSG);
	e = kind(S_IFDIR | 0755);
	e.flags = 32;
	assert_result(encoded(&e), -EBADMSG);
	e.flags = ENTRY_XATTRS | ENTRY_XATTRS_CHUNK;
	e.xattrs = xattrs;
	e.xattrs_len = XATTRS_LEN;
	assert_result(encoded(&e), -EBADMSG);
	e.flags = ENTRY_XATTRS_CHUNK;
	e.xattrs_len = 0;
	assert_result(encoded(&e), -EBADMSG);
	e.xattrs_len = ENTRY_XATTRS_MAX + 1;
	assert_result(encoded(&e), -EBADMSG);
	e = kind(S_IFDIR | 0755);
	e.mtime.nsec = 1000000000;
	assert_result(encoded(&e), -EBADMSG);
	e = kind(S_IFDIR | 0755);
	e.ctime.nsec = UINT32_MAX;
	assert_result(encoded(&e), -EBADMSG);
	e = kind(S_IFDIR | 0755);
	e.name = name;
	e.name_len = sizeof(name);
	assert_result(encoded(&e), -EBADMSG);
	e = kind(S_IFLNK | 0777);
	e.target_len = 0;
	assert_result(encoded(&e), -EBADMSG);
	e.target = (const uint8_t *)zero_in_target;
	e.target_len = 3;
	assert_result(encoded(&e), -EBADMSG);
	e = kind(S_IFREG | 0644);
	e.size = 6; /* its content has 5 */
	assert_result(encoded(&e), -EBADMSG);
	e.content_len = 0;
	assert_result(encoded(&e), -EBADMSG);
	e = kind(S_IFIFO);
	e.size = (UINT64_C(1) << 62) + 1;
	assert_result(encoded(&e), -EBADMSG);
}

static void names(void **state)
{
	static const struct {
		const char *name;
		size_t len;
		bool ok;
	} t[] = {
		{ "", 0, false },   { ".", 1, false },
		{ "..", 2, false }, { "...", 3, true },
		{ ".a", 2, true },  { "a/b", 3, false },
		{ "/", 1, false },  { "a\0b", 3, false },
		{ "\n", 1, true },  { "\1\2\377", 3, true },
		{ " ", 1, true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++) {
		struct entry e = kind(S_IFIFO);

		assert_true(entry_name_ok(t[i].name, t[i].len) == t[i].ok);
		e.name = (const uint8_t *)t[i].name;
		e.name_len = (uint32_t)t[i].len;
		/* Whether the nameless one stands at the top, the tree says. */
		assert_result(encoded(&e),
			      t[i].ok || t[i].len == 0 ? 0 : -EBADMSG);
	}
}

static void lists_of_attributes(void **state)
{
	static const struct {
		const char *what, *b;
		size_t len;
		int r;
	} t[] = {
		{ "two", (const char *)xattrs, XATTRS_LEN, 0 },
		{ "nothing", "", 0, -EBADMSG },
		{ "none", "\0", 1, -EBADMSG },
		{ "one missing", "\2\1a\0", 4, -EBADMSG },
		{ "bytes behind", "\1\1a\0\0", 5, -EBADMSG },
		{ "a name of nothing", "\1\0\0", 3, -EBADMSG },
		{ "NUL in a name", "\1\2a\0\0", 5, -EBADMSG },
		{ "twice", "\2\1a\0\1a\0", 7, -EBADMSG },
		{ "unsorted", "\2\1b\0\1a\0", 7, -EBADMSG },
		{ "the shorter first", "\2\1a\0\2ab\0", 8, 0 },
		{ "the longer first", "\2\2ab\0\1a\0", 8, -EBADMSG },
	};
	AUTO_BUF struct buf b = BUF_INIT;
	struct reader r;
	struct xattr x;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++)
		if (xattrs_check((const uint8_t *)t[i].b, t[i].len) != t[i].r)
			fail_msg("a list of %s", t[i].what);
	for (i = 0; i < XATTRS_LEN; i++)
		assert_result(xattrs_check(xattrs, i), -EBADMSG);
	assert_int_equal(xattrs_begin(&r, xattrs, XATTRS_LEN), 2);
	assert_true(xattrs_next(&r, &x));
	assert_int_equal(x.name_len, 6);
	assert_memory_equal(x.name, "user.a", 6);
	assert_int_equal(x.value_len, 1);
	assert_true(xattrs_next(&r, &x));
	assert_int_equal(x.value_len, 0);
	assert_false(xattrs_next(&r, &x));
	buf_put_varint(&b, 2);
	xattrs_put(&b, "user.a", "v", 1);
	xattrs_put(&b, "user.b", NULL, 0);
	assert_int_equal(b.len, XATTRS_LEN);
	assert_memory_equal(b.data, xattrs, b.len);
}

static int with_extra(const void *data, size_t len)
{
	struct entry e = kind(S_IFREG | 0644);

	e.flags = ENTRY_EXTRA;
	e.extra = data;
	e.extra_len = (uint32_t)len;
	return encoded(&e);
}

static void what_is_known_beyond_stat(void **state)
{
	static const struct {
		const char *what, *b;
		size_t len;
		int r;
	} t[] = {
		{ "nothing", "\0", 1, -EBADMSG },
		{ "a tag of 0", "\1\0\0", 3, -EBADMSG },
		{ "one tag twice", "\2\2\1\1\2\1\1", 7, -EBADMSG },
		{ "tags that descend", "\2\3\1\1\2\1\1", 7, -EBADMSG },
		{ "flags of no bytes", "\1\2\0", 3, -EBADMSG },
		{ "flags of two numbers", "\1\2\2\1\1", 5, -EBADMSG },
		{ "flags of 33 bits", "\1\2\5\x80\x80\x80\x80\x10", 8,
		  -EBADMSG },
		{ "a project of 33 bits", "\1\3\5\x80\x80\x80\x80\x10", 8,
		  -EBADMSG },
		{ "a birth of seconds alone", "\1\1\1\2", 4, -EBADMSG },
		{ "a birth of 10^9 ns", "\1\1\6\2\x80\x94\xeb\xdc\3", 9,
		  -EBADMSG },
		{ "flags", "\1\2\1\1", 4, 0 },
		{ "what is not known yet", "\2\2\1\1\xff\0", 6, 0 },
	};
	struct entry_extra known, x = { .has_birth = true,
					.birth = { -1, 999999999 },
					.inode_flags = 16,
					.project = 1000 };
	struct entry e = { .flags = ENTRY_EXTRA };
	uint8_t large[ENTRY_EXTRA_MAX + 1];
	AUTO_BUF struct buf b = BUF_INIT;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(t); i++)
		if (with_extra(t[i].b, t[i].len) != t[i].r)
			fail_msg("an extra of %s", t[i].what);
	/* One unknown fact, as long as it may be, and longer by one. */
	memset(large, 0, sizeof(large));
	memcpy(large, "\1\xc8\xfc\7", 4);
	assert_ok(with_extra(large, ENTRY_EXTRA_MAX));
	large[2]++;
	assert_result(with_extra(large, ENTRY_EXTRA_MAX + 1), -EBADMSG);
	/* What was written is what is read, but for the unknown. */
	entry_extra_put(&b, &x);
	assert_int_equal(b.data[0], 3);
	assert_int_equal(b.len, EXTRA_LEN - 4);
	assert_memory_equal(b.data + 1, extra + 1, b.len - 1);
	e.extra = extra;
	e.extra_len = EXTRA_LEN;
	entry_extra_get(&e, &known);
	assert_true(known.has_birth);
	assert_int_equal(known.birth.sec, -1);
	assert_int_equal(known.birth.nsec, 999999999);
	assert_int_equal(known.inode_flags, 16);
	assert_int_equal(known.project, 1000);
	e.flags = 0;
	entry_extra_get(&e, &known);
	assert_false(known.has_birth || known.inode_flags || known.project);
	buf_clear(&b);
	entry_extra_put(&b, &known);
	assert_int_equal(b.len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind),
		cmocka_unit_test(longest_and_empty),
		cmocka_unit_test(what_cannot_be),
		cmocka_unit_test(names),
		cmocka_unit_test(lists_of_attributes),
		cmocka_unit_test(what_is_known_beyond_stat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
