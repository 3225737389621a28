/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What keys of LUKS headers may cost. Whole headers: tests/guest/luks.sh. */
#include "config.h"
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>

#include "fs/guest/volumes/internal.h"

static int ask(struct luks_kdf kdf, const char *words)
{
	struct buf why = BUF_INIT;
	uint64_t work = 0;
	int r = luks_work(&kdf, &why, &work);

	buf_put_u8(&why, 0);
	assert_int_equal(buf_error(&why), 0);
	assert_non_null(strstr((const char *)why.data, words));
	assert_true(r < 0 ? work == 0 : work <= LUKS_WORK_MAX);
	assert_true((r == 0) == (why.len == 1));
	buf_release(&why);
	return r;
}

static struct luks_kdf pbkdf2(const char *hash, uint64_t iterations, size_t len)
{
	return (struct luks_kdf){ "pbkdf2", hash, iterations, 0, 0, len };
}

static struct luks_kdf argon2(uint64_t passes, uint32_t kib, uint32_t threads)
{
	return (struct luks_kdf){ "argon2id", NULL, passes, kib, threads, 64 };
}

/* What cryptsetup chooses on a fast machine, and some more. */
static void opens_common(void **state)
{
	(void)state;
	assert_result(ask(pbkdf2("sha256", 10000000, 64), ""), 0);
	assert_result(ask(pbkdf2("sha256", 25000000, 32), ""), 0);
	assert_result(ask(pbkdf2("sha512", 10000000, 64), ""), 0);
	assert_result(ask(pbkdf2("sha1", 10000000, 64), ""), 0);
	assert_result(ask(pbkdf2("whirlpool", 2000000, 64), ""), 0);
	assert_result(ask(pbkdf2(NULL, 2000000, 20), ""), 0);
	assert_result(ask(argon2(4, 1048576, 4), ""), 0);
	assert_result(ask(argon2(14, 1048576, 4), ""), 0);
	assert_result(ask(argon2(4, 2097152, 4), ""), 0);
	assert_result(ask(argon2(200, 65536, 1), ""), 0);
}

static void refuses_hostile(void **state)
{
	int e = -EOPNOTSUPP;

	(void)state;
	assert_result(ask(pbkdf2("sha256", UINT32_MAX, 64), "4294967295"), e);
	assert_result(ask(pbkdf2("sha256", 40000000, 64), "PBKDF2"), e);
	assert_result(ask(pbkdf2("x", 20000000, 20), "with x"), e);
	assert_result(ask(pbkdf2("sha256", 1, SIZE_MAX), "too long"), e);
	assert_result(ask(pbkdf2("sha256", 1, 65), "65 bytes"), e);
	assert_result(ask(argon2(UINT32_MAX, 8, 1), "passes"), e);
	assert_result(ask(argon2(UINT32_MAX, 2097152, 1), "passes"), e);
	assert_result(ask(argon2(20, 1048576, 1), "20 passes"), e);
	assert_result(ask(argon2(1, 2097153, 1), "memory"), e);
	assert_result(ask(argon2(1, UINT32_MAX, 1), "memory"), e);
	assert_result(ask(argon2(1, 65536, 65), "threads"), e);
}

static void finds_digests(void **state)
{
	static const struct {
		const char *json;
		uint64_t want;
	} cases[] = {
		{ "{\n  \"keyslots\":{\n    \"iterations\":7\n  },\n"
		  "  \"digests\":{\n    \"0\":{\n      \"iterations\":5\n"
		  "    },\n    \"1\":{\n      \"iterations\" : 6,\n"
		  "      \"type\":\"iterations\"\n    }\n  },\n"
		  "  \"tokens\":{\n    \"iterations\":8\n  }\n}",
		  6 },
		{ "{\"keyslots\":{\"iterations\":7},"
		  "\"digests\":{\"iterations\":5}}",
		  7 },
		{ "{\n  \"digests\":{\n  }\n}", 0 },
		{ "{\"\\\"iterations\\\":9\":1}", 0 },
		{ "{\"iterations\":\"5\"}", UINT32_MAX },
		{ "{\"iterations\":-1}", UINT32_MAX },
		{ "{\"iterations\":1e9}", UINT32_MAX },
		{ "{\"iterations\":4294967296}", UINT32_MAX },
		{ "{\"iterations\":18446744073709551617}", UINT32_MAX },
		{ "{\"iterations\":", UINT32_MAX },
		{ "{\"iterations\"", 0 },
		{ "", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(luks_digest_iterations(cases[i].json),
				 cases[i].want);
}

int main(void)
{
	const struct CMUnitTest cases[] = {
		cmocka_unit_test(opens_common),
		cmocka_unit_test(refuses_hostile),
		cmocka_unit_test(finds_digests),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
