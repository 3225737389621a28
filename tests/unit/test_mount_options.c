/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>

#include "src/mount/options.h"
#include "store/base/bytes.h"

static struct mount_options o;

static int setup(void **state)
{
	(void)state;
	support_log_capture();
	support_log_clear();
	mount_options_init(&o);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	mount_options_release(&o);
	return 0;
}

static void parse(const char *text)
{
	assert_ok(mount_options_parse(&o, text, false));
}

static void refuse(const char *text, const char *words)
{
	support_log_clear();
	assert_result(mount_options_parse(&o, text, false), -EINVAL);
	assert_said(words);
}

static void knows_its_own(void **state)
{
	(void)state;
	parse("allow_other,uid=1000,gid=100,umask=027,cachesize=256M,"
	      "readahead=2M,threads=3,noverify,keyfile=/etc/k,passwordfile=/p,"
	      "cachedir=/c,tz=UTC,refresh=7,io_timeout=2m,fsname=n,vm=web1,"
	      "noexec");
	assert_true(o.allow_other);
	assert_true(o.noverify);
	assert_true(o.noexec);
	assert_true(o.policy.set_uid);
	assert_int_equal(o.policy.uid, 1000);
	assert_true(o.policy.set_gid);
	assert_int_equal(o.policy.gid, 100);
	assert_int_equal(o.policy.umask, 027);
	assert_int_equal(o.cache_size, 256 << 20);
	assert_int_equal(o.readahead, 2 << 20);
	assert_int_equal(o.threads, 3);
	assert_string_equal(o.keyfile, "/etc/k");
	assert_string_equal(o.passwordfile, "/p");
	assert_string_equal(o.cachedir, "/c");
	assert_string_equal(o.fsname, "n");
	assert_string_equal(o.vm, "web1");
	assert_null(o.point);
	assert_int_equal(o.refresh_ns, 7000000000);
	assert_int_equal(o.deadline_ns, 120000000000);
}

static void passes_over_what_fstab_has(void **state)
{
	struct mount_options before = o;

	(void)state;
	parse("defaults,ro,nosuid,nodev,noauto,nofail,user,_netdev,noatime,"
	      "x-systemd.automount,x-gvfs-name=a\\,b,comment=abc,relatime");
	assert_memory_equal(&before, &o, sizeof(o));
	parse("");
	parse(",,ro,,");
	assert_memory_equal(&before, &o, sizeof(o));
}

static void refuses_rw(void **state)
{
	(void)state;
	refuse("rw", "rw");
	refuse("ro,rw", "read-only");
	assert_ok(mount_options_parse(&o, "rw", true));
	assert_ok(mount_options_parse(&o, "rw,uid=5", true));
	assert_int_equal(o.policy.uid, 5);
	assert_result(mount_options_parse(&o, "uid=5,rw", true), -EINVAL);
}

static void refuses_what_it_does_not_know(void **state)
{
	(void)state;
	refuse("frobnicate", "frobnicate");
	refuse("ro,frob=1,uid=2", "frob");
	refuse("Verify", "Verify");
	refuse("xattr", "xattr");
	refuse("remount", "unmount it, and mount it anew");
}

static void refuses_values_that_make_no_sense(void **state)
{
	static const char *const bad[] = {
		"uid=",
		"uid=-1",
		"uid=no such user",
		"gid=4294967296",
		"umask=9",
		"umask=1000",
		"umask=",
		"cachesize=abc",
		"cachesize=",
		"threads=65",
		"threads=x",
		"threads=-1",
		"refresh=",
		"refresh=soon",
		"io_timeout=-5",
		"keyfile=",
		"vm=",
		"idmap=",
		"idmap=1",
		"idmap=1:2:0",
		"idmap=1:2:3:4",
		"idmap=x:1:2",
		"idmap=1:2+",
		"tz=local",
		"tz=",
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		char name[32] = "";

		memcpy(name, bad[i],
		       MIN(strcspn(bad[i], "="), sizeof(name) - 1));
		refuse(bad[i], name);
	}
	refuse("noverify=1", "takes no value");
	refuse("uid", "needs a value");
}

static void reads_escaped_commas(void **state)
{
	(void)state;
	parse("keyfile=/a\\,b,cachedir=/x\\\\y,fsname=c\\d");
	assert_string_equal(o.keyfile, "/a,b");
	assert_string_equal(o.cachedir, "/x\\y");
	assert_string_equal(o.fsname, "c\\d");
}

static void the_last_one_counts(void **state)
{
	(void)state;
	parse("keyfile=/a,keyfile=/b,uid=1");
	parse("uid=2");
	assert_string_equal(o.keyfile, "/b");
	assert_int_equal(o.policy.uid, 2);
}

static void maps_ids(void **state)
{
	struct stat st = { .st_mode = S_IFREG | 0777,
			   .st_uid = 5,
			   .st_gid = 1005 };

	(void)state;
	parse("idmap=u:0:100000:1000+g:1000:0:10,idmap=b:7:8");
	assert_int_equal(o.policy.nranges, 3);
	attr_apply(&o.policy, true, &st);
	assert_int_equal(st.st_uid, 100005);
	assert_int_equal(st.st_gid, 5);
	st.st_uid = 1000;
	st.st_gid = 7;
	attr_apply(&o.policy, true, &st);
	assert_int_equal(st.st_uid, ATTR_NOBODY);
	assert_int_equal(st.st_gid, 8);
	parse("uid=3,umask=022");
	attr_apply(&o.policy, true, &st);
	assert_int_equal(st.st_uid, 3);
	assert_int_equal(st.st_mode, S_IFREG | 0755);
	st.st_mode = S_IFLNK | 0777;
	attr_apply(&o.policy, true, &st);
	assert_int_equal(st.st_mode, S_IFLNK | 0777);
	/* Owners that are not stored ones stay; permissions are taken away. */
	st = (struct stat){ .st_mode = S_IFREG | 0666, .st_uid = 9 };
	attr_apply(&o.policy, false, &st);
	assert_int_equal(st.st_uid, 9);
	assert_int_equal(st.st_gid, 0);
	assert_int_equal(st.st_mode, S_IFREG | 0644);
}

/* A POSIX ACL of @n entries of tag, permissions, id. */
static size_t make_acl(uint8_t *out, const uint32_t (*entries)[3], size_t n)
{
	size_t i;

	put_le32(out, 2);
	for (i = 0; i < n; i++) {
		put_le16(out + 4 + 8 * i, (uint16_t)entries[i][0]);
		put_le16(out + 6 + 8 * i, (uint16_t)entries[i][1]);
		put_le32(out + 8 + 8 * i, entries[i][2]);
	}
	return 4 + 8 * n;
}

#define NO_ID UINT32_MAX
static const uint32_t whole[][3] = { { 1, 7, NO_ID }, { 2, 7, 5 },
				     { 2, 6, 1005 },  { 4, 5, NO_ID },
				     { 8, 7, 1001 },  { 16, 7, NO_ID },
				     { 32, 5, NO_ID } };

static void uid_and_umask_reach_acls(void **state)
{
	uint8_t acl[4 + 8 * ARRAY_SIZE(whole)];
	size_t len = make_acl(acl, whole, ARRAY_SIZE(whole)), i;
	static const uint8_t perms[] = { 7, 3, 2, 1, 3, 3, 0 };
	struct stat st = { .st_uid = 5 };

	(void)state;
	parse("uid=3,gid=4,umask=045");
	attr_apply_acl(&o.policy, &st, acl, len);
	assert_int_equal(get_le32(acl + 4 + 8 * 1 + 4), 3);
	assert_int_equal(get_le32(acl + 4 + 8 * 2 + 4), 3);
	assert_int_equal(get_le32(acl + 4 + 8 * 4 + 4), 4);
	for (i = 0; i < ARRAY_SIZE(perms); i++)
		assert_int_equal(get_le16(acl + 4 + 8 * i + 2), perms[i]);
}

/* Who is in no range is nobody, which is an account, too: it gets what others
 * get, and so does whoever is in that group. */
static void gives_nobody_nothing(void **state)
{
	uint8_t acl[4 + 8 * ARRAY_SIZE(whole)];
	size_t len = make_acl(acl, whole, ARRAY_SIZE(whole)), i;
	/* Known: user 5, group 1001; not the owner, user 1005, the group. */
	static const uint8_t perms[] = { 5, 7, 5, 5, 7, 7, 5 };
	struct stat st = { .st_uid = 1, .st_gid = 1, .st_mode = 07760 };

	(void)state;
	parse("idmap=u:5:5+g:1001:1001");
	attr_apply_acl(&o.policy, &st, acl, len);
	for (i = 0; i < ARRAY_SIZE(perms); i++)
		assert_int_equal(get_le16(acl + 4 + 8 * i + 2), perms[i]);
	assert_int_equal(get_le32(acl + 4 + 8 * 2 + 4), ATTR_NOBODY);
	attr_apply(&o.policy, true, &st);
	assert_int_equal(st.st_mode, 01000);
	assert_int_equal(st.st_uid, ATTR_NOBODY);
	st = (struct stat){ .st_uid = 5, .st_gid = 1, .st_mode = 0754 };
	attr_apply(&o.policy, true, &st);
	assert_int_equal(st.st_mode, 0744);
	st = (struct stat){ .st_uid = 1, .st_gid = 1001, .st_mode = 0750 };
	attr_apply(&o.policy, true, &st);
	assert_int_equal(st.st_mode, 0050);
	st = (struct stat){ .st_uid = 1, .st_gid = 1, .st_mode = 0777 };
	parse("umask=07");
	attr_apply(&o.policy, true, &st);
	assert_int_equal(st.st_mode, 0);
}

static void tells_acls_that_the_kernel_takes(void **state)
{
	uint8_t acl[8192];
	size_t len = make_acl(acl, whole, ARRAY_SIZE(whole)), i;
	static const uint32_t plain[][3] = { { 1, 6, NO_ID },
					     { 4, 4, NO_ID },
					     { 32, 0, NO_ID } };
	static const uint32_t no_mask[][3] = {
		{ 1, 6, NO_ID }, { 2, 6, 7 }, { 4, 4, NO_ID }, { 32, 0, NO_ID }
	};
	static const uint32_t order[][3] = { { 1, 6, NO_ID },
					     { 4, 4, NO_ID },
					     { 2, 6, 7 },
					     { 16, 6, NO_ID },
					     { 32, 0, NO_ID } };
	static const uint32_t twice[][3] = { { 1, 6, NO_ID },
					     { 1, 6, NO_ID },
					     { 4, 4, NO_ID },
					     { 32, 0, NO_ID } };

	(void)state;
	assert_true(attr_acl_ok(acl, len));
	assert_true(attr_acl_ok(acl, 4));
	/* Cut, each way; version, permissions, tags and ids that cannot be. */
	for (i = 0; i < len; i++)
		assert_true(i == 4 || !attr_acl_ok(acl, i));
	acl[0] = 1;
	assert_false(attr_acl_ok(acl, len));
	acl[0] = 2;
	acl[6] = 8;
	assert_false(attr_acl_ok(acl, len));
	acl[6] = 7;
	acl[4] = 3;
	assert_false(attr_acl_ok(acl, len));
	acl[4] = 1;
	put_le32(acl + 4 + 8 + 4, NO_ID);
	assert_false(attr_acl_ok(acl, len));
	len = make_acl(acl, plain, ARRAY_SIZE(plain));
	assert_true(attr_acl_ok(acl, len));
	len = make_acl(acl, no_mask, ARRAY_SIZE(no_mask));
	assert_false(attr_acl_ok(acl, len));
	len = make_acl(acl, order, ARRAY_SIZE(order));
	assert_false(attr_acl_ok(acl, len));
	len = make_acl(acl, twice, ARRAY_SIZE(twice));
	assert_false(attr_acl_ok(acl, len));
	/* More than the kernel reads. */
	len = make_acl(acl, whole, ARRAY_SIZE(whole));
	memmove(acl + 4096, acl + 20, len - 20);
	for (i = 12; i < 4096; i += 8) {
		put_le16(acl + i, 2);
		put_le16(acl + i + 2, 7);
		put_le32(acl + i + 4, (uint32_t)i);
	}
	memmove(acl + 4092, acl + 4096, len - 20);
	assert_false(attr_acl_ok(acl, 4092 + len - 20));
}

static void maps_ids_in_acls(void **state)
{
	/* Version 2; user::rw-, user:5:r--, group:1001:r--. */
	uint8_t acl[] = { 2, 0, 0, 0, 1, 0, 6, 0, 255, 255, 255,  255, 2, 0,
			  4, 0, 5, 0, 0, 0, 8, 0, 4,   0,   0xe9, 3,   0, 0 };
	uint8_t same[sizeof(acl)];
	struct stat st = { .st_uid = 5, .st_gid = 1005 };

	(void)state;
	parse("idmap=u:0:10:100+g:1000:0:10");
	memcpy(same, acl, sizeof(acl));
	attr_apply_acl(&o.policy, &st, same, sizeof(same) - 1);
	assert_memory_equal(same, acl, sizeof(acl));
	attr_apply_acl(&o.policy, &st, acl, sizeof(acl));
	assert_int_equal(acl[8], 255);
	assert_int_equal(acl[16], 15);
	assert_int_equal(acl[24], 1);
	assert_int_equal(acl[25], 0);
}

static void gathers_luks_keys(void **state)
{
	(void)state;
	parse("lukskey=/a,lukskey=/b\\,c");
	parse("lukskey=/d");
	assert_int_equal(o.luks_keys.n, 3);
	assert_string_equal(o.luks_keys.items[0], "/a");
	assert_string_equal(o.luks_keys.items[1], "/b,c");
	assert_string_equal(o.luks_keys.items[2], "/d");
	refuse("lukskey=", "lukskey");
	refuse("lukskey", "needs a value");
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(knows_its_own),
		T(passes_over_what_fstab_has),
		T(refuses_rw),
		T(refuses_what_it_does_not_know),
		T(refuses_values_that_make_no_sense),
		T(reads_escaped_commas),
		T(the_last_one_counts),
		T(maps_ids),
		T(maps_ids_in_acls),
		T(uid_and_umask_reach_acls),
		T(gives_nobody_nothing),
		T(tells_acls_that_the_kernel_takes),
		T(gathers_luks_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
