/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Journals made by hand: what counts, what is void, where a log ends. */
#include "config.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fs/guest/ext/internal.h"
#include "fs/guest/ext/overlay.h"

#define BLOCK 1024u
#define LOG 64u /* blocks of the journal */
#define BASE 200u /* block of the volume where it begins */
#define FS 300u /* blocks of the volume */
#define MAGIC 0xc03b3998u

enum { V1 = 0, V2 = 0x8, V3 = 0x10 }; /* incompat bits of checksums */

struct made {
	uint8_t volume[FS * BLOCK];
	uint32_t incompat, seed, seq, at;
};

static struct made m;
static struct blocks *volume;

static void put32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static uint8_t *log_block(uint32_t n)
{
	return m.volume + (BASE + n) * BLOCK;
}

/* The next of the ring. */
static uint8_t *take(void)
{
	uint8_t *p = log_block(m.at);

	m.at = m.at + 1 == LOG ? 1 : m.at + 1;
	memset(p, 0, BLOCK);
	return p;
}

static uint8_t *take_header(uint32_t type)
{
	uint8_t *p = take();

	put32(p, MAGIC);
	put32(p + 4, type);
	put32(p + 8, m.seq);
	return p;
}

static bool sums(void)
{
	return m.incompat & (V2 | V3);
}

static void seal(uint8_t *p, size_t at)
{
	if (sums())
		put32(p + at, ext_crc32c(m.seed, p, BLOCK));
}

static void begin(uint32_t incompat, uint32_t start)
{
	uint8_t *s = log_block(0);
	size_t i;

	memset(&m, 0, sizeof(m));
	for (i = 0; i < FS; i++)
		memset(m.volume + i * BLOCK, (int)(i & 0x7f), BLOCK);
	memset(log_block(0), 0, LOG * BLOCK);
	m.incompat = incompat;
	m.seq = 7;
	m.at = start;
	put32(s, MAGIC);
	put32(s + 4, 4);
	put32(s + 12, BLOCK);
	put32(s + 16, LOG);
	put32(s + 20, 1);
	put32(s + 24, m.seq);
	put32(s + 28, start);
	put32(s + 40, incompat);
	memset(s + 48, 0x5a, 16);
	m.seed = ext_crc32c(~0u, s + 48, 16);
	if (sums()) {
		s[80] = 4;
		put32(s + 252, ext_crc32c(~0u, s, BLOCK));
	}
}

/* One data block after its descriptor; the content is @fill. */
static uint8_t *data(uint32_t block, int fill, bool escaped)
{
	uint32_t flags = 0x8u | 0x2u | (escaped ? 1u : 0u), sum;
	uint8_t *d = take_header(1), *p = take(), *tag = d + 12, seq[4];

	memset(p, fill, BLOCK);
	if (escaped)
		memset(p, 0, 4);
	put32(seq, m.seq);
	sum = ext_crc32c(ext_crc32c(m.seed, seq, 4), p, BLOCK);
	put32(tag, block);
	if (m.incompat & V3) {
		put32(tag + 4, flags);
		put32(tag + 12, sum);
	} else {
		put16(tag + 4, m.incompat & V2 ? sum & 0xffff : 0);
		put16(tag + 6, flags);
	}
	seal(d, BLOCK - 4);
	return p;
}

static void revoke(uint32_t block)
{
	uint8_t *p = take_header(5);

	if (m.incompat & 0x2) {
		put32(p + 12, 24);
		put32(p + 20, block);
	} else {
		put32(p + 12, 20);
		put32(p + 16, block);
	}
	seal(p, BLOCK - 4);
}

static uint8_t *commit(void)
{
	uint8_t *p = take_header(2);

	seal(p, 16);
	m.seq++;
	return p;
}

/* Read it; the volume as it makes it in @over, NULL where nothing changes. */
static int replay(struct journal_log *log, struct blocks **over)
{
	struct journal_run runs[] = { { 0, LOG, BASE * BLOCK } };
	struct journal_place p = {
		.runs = runs, .nruns = 1, .block_size = BLOCK, .fs_blocks = FS
	};
	struct journal_log moved;
	int r;

	*over = NULL;
	assert_int_equal(blocks_memory(m.volume, sizeof(m.volume),
				       sizeof(m.volume), &volume),
			 0);
	p.b = volume;
	r = journal_read(&p, log);
	if (r == 0 && log->n) {
		moved = *log;
		assert_int_equal(overlay_new(volume, BLOCK, &moved, over), 0);
		log->patches = NULL;
	}
	blocks_put(volume);
	return r;
}

static int byte_of(struct blocks *over, uint32_t block, uint32_t at)
{
	uint8_t c;

	assert_int_equal(blocks_read(over, block * BLOCK + at, &c, 1), 0);
	return c;
}

static const uint32_t kinds[] = { V1, V2, V3, V1 | 2, V2 | 2, V3 | 2 };

static void test_good(void **state)
{
	struct journal_log log;
	struct blocks *over;
	uint8_t all[4 * BLOCK];
	size_t k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		begin(kinds[k], 1);
		data(10, 0xaa, false);
		data(12, 0xab, false);
		commit();
		data(10, 0xac, false);
		commit();
		assert_int_equal(replay(&log, &over), 0);
		assert_null(log.damage);
		assert_int_equal(log.ntransactions, 2);
		assert_int_equal(log.n, 2);
		assert_int_equal(byte_of(over, 10, 0), 0xac);
		assert_int_equal(byte_of(over, 11, 0), 11);
		assert_int_equal(byte_of(over, 12, 1023), 0xab);
		/* Across all of them, from inside one. */
		assert_int_equal(
			blocks_read(over, 10 * BLOCK + 5, all, 3 * BLOCK), 0);
		assert_int_equal(all[0], 0xac);
		assert_int_equal(all[BLOCK - 6], 0xac);
		assert_int_equal(all[BLOCK - 5], 11);
		assert_int_equal(all[2 * BLOCK - 5], 0xab);
		assert_int_equal(all[3 * BLOCK - 1], 13);
		journal_release(&log);
		blocks_put(over);
	}
}

static void test_wraps(void **state)
{
	struct journal_log log;
	struct blocks *over;

	(void)state;
	begin(V3, LOG - 2);
	data(10, 0xaa, false);
	commit();
	data(11, 0xab, false);
	commit();
	assert_int_equal(replay(&log, &over), 0);
	assert_int_equal(log.ntransactions, 2);
	assert_int_equal(byte_of(over, 11, 0), 0xab);
	journal_release(&log);
	blocks_put(over);
}

/* A journal of 2 GiB, as Lustre's servers have them. */
static void test_large(void **state)
{
	struct journal_log log;
	struct blocks *over;

	(void)state;
	begin(V1, 1);
	put32(log_block(0) + 16, 2u << 20);
	data(10, 0xaa, false);
	commit();
	assert_int_equal(replay(&log, &over), 0);
	assert_null(log.damage);
	assert_int_equal(log.ntransactions, 1);
	assert_int_equal(byte_of(over, 10, 0), 0xaa);
	journal_release(&log);
	blocks_put(over);
}

/* Without its commit block, or with a torn one, a transaction is none. */
static void test_torn(void **state)
{
	struct journal_log log;
	struct blocks *over;
	int way;

	(void)state;
	for (way = 0; way < 4; way++) {
		begin(V3, 1);
		data(10, 0xaa, false);
		commit();
		if (way == 0) {
			data(10, 0xab, false);
		} else if (way == 1) {
			data(10, 0xab, false);
			commit()[500] ^= 1;
		} else if (way == 2) {
			data(10, 0xab, false)[3] ^= 1; /* and no commit */
		} else {
			/* A sequence that is not the next. */
			m.seq++;
			data(10, 0xab, false);
			commit();
		}
		assert_int_equal(replay(&log, &over), 0);
		assert_null(log.damage);
		assert_int_equal(log.ntransactions, 1);
		assert_int_equal(byte_of(over, 10, 0), 0xaa);
		journal_release(&log);
		blocks_put(over);
	}
}

static void test_revoke(void **state)
{
	struct journal_log log;
	struct blocks *over;
	size_t k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(kinds); k++) {
		begin(kinds[k] | 1, 1);
		data(10, 0xaa, false);
		data(11, 0xaa, false);
		data(12, 0xaa, false);
		commit();
		revoke(10);
		revoke(11);
		revoke(99);
		commit();
		data(11, 0xab, false); /* in use again */
		commit();
		assert_int_equal(replay(&log, &over), 0);
		assert_int_equal(log.n, 2);
		assert_int_equal(byte_of(over, 10, 0), 10);
		assert_int_equal(byte_of(over, 11, 0), 0xab);
		assert_int_equal(byte_of(over, 12, 0), 0xaa);
		journal_release(&log);
		blocks_put(over);
	}
	/* A revocation that was never committed is none. */
	begin(V1 | 1, 1);
	data(10, 0xaa, false);
	commit();
	revoke(10);
	assert_int_equal(replay(&log, &over), 0);
	assert_int_equal(byte_of(over, 10, 0), 0xaa);
	journal_release(&log);
	blocks_put(over);
}

static void test_escape(void **state)
{
	struct journal_log log;
	struct blocks *over;

	(void)state;
	begin(V3, 1);
	data(10, 0xaa, true);
	commit();
	assert_int_equal(replay(&log, &over), 0);
	assert_int_equal(byte_of(over, 10, 0), 0xc0);
	assert_int_equal(byte_of(over, 10, 3), 0x98);
	assert_int_equal(byte_of(over, 10, 4), 0xaa);
	journal_release(&log);
	blocks_put(over);
}

/* Wrong bytes before a good commit block: the log counts up to there. */
static void test_damage(void **state)
{
	struct journal_log log;
	struct blocks *over;
	int way;

	(void)state;
	for (way = 0; way < 3; way++) {
		begin((way == 2 ? V2 : V3) | 1, 1);
		data(10, 0xaa, false);
		commit();
		if (way == 1)
			revoke(10);
		else
			data(10, 0xab, false)[way ? 3 : 0] ^= 1;
		if (way == 1)
			log_block(m.at - 1)[18] ^= 1;
		commit();
		data(12, 0xac, false);
		commit();
		assert_int_equal(replay(&log, &over), 0);
		assert_non_null(log.damage);
		assert_int_equal(log.ntransactions, 1);
		assert_int_equal(byte_of(over, 10, 0), 0xaa);
		assert_int_equal(byte_of(over, 12, 0), 12);
		journal_release(&log);
		blocks_put(over);
	}
}

static void test_superblock(void **state)
{
	struct journal_log log;
	struct blocks *over;
	struct {
		uint32_t at, value;
		int want;
	} bad[] = {
		{ 0, 1, -EBADMSG },	    { 12, 4096, -EBADMSG },
		{ 16, 0x7fffffff, -EFBIG }, { 20, 0, -EBADMSG },
		{ 20, LOG, -EBADMSG },	    { 28, LOG, -EBADMSG },
		{ 40, 0x40, -EOPNOTSUPP },  { 28, 0, 0 },
	};
	size_t k;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(bad); k++) {
		begin(V1, 1);
		data(10, 0xaa, false);
		commit();
		put32(log_block(0) + bad[k].at, bad[k].value);
		assert_int_equal(replay(&log, &over), bad[k].want);
		assert_int_equal(log.n, 0);
		assert_true(bad[k].want == 0 || log.damage);
		journal_release(&log);
	}
	begin(V3, 1);
	log_block(0)[100] ^= 1;
	assert_int_equal(replay(&log, &over), -EBADMSG);
	journal_release(&log);
}

/* The journal's file is shorter than its superblock says. */
static void test_truncated(void **state)
{
	struct journal_run runs[] = { { 0, 5, BASE * BLOCK } };
	struct journal_place p = {
		.runs = runs, .nruns = 1, .block_size = BLOCK, .fs_blocks = FS
	};
	struct journal_log log;
	size_t n;

	(void)state;
	begin(V3, 1);
	data(10, 0xaa, false);
	commit();
	data(11, 0xab, false);
	commit();
	assert_int_equal(blocks_memory(m.volume, sizeof(m.volume),
				       sizeof(m.volume), &p.b),
			 0);
	for (n = 0; n <= 6; n++) {
		runs[0].n = n;
		assert_int_equal(journal_read(&p, &log), n ? 0 : -EBADMSG);
		assert_non_null(log.damage);
		assert_int_equal(log.n, n >= 4 ? 1 : 0);
		journal_release(&log);
	}
	blocks_put(p.b);
}

/* A tag for a block that the filesystem has not. */
static void test_outside(void **state)
{
	struct journal_log log;
	struct blocks *over;

	(void)state;
	begin(V1, 1);
	data(FS, 0xaa, false);
	commit();
	assert_int_equal(replay(&log, &over), 0);
	assert_non_null(log.damage);
	assert_int_equal(log.n, 0);
	journal_release(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_wraps),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_revoke),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_superblock),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_outside),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
