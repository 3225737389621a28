/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Retention by hand: tests/oracle has the histories that nobody thought of. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "src/retain/keep.h"
#include "store/point.h"

#define SECOND INT64_C(1000000000)
#define HOUR (3600 * SECOND)
#define DAY (24 * HOUR)
#define MAX_POINTS 64

/* Points are named by one letter each, in the order in which they are added. */
struct history {
	struct keep_point points[MAX_POINTS];
	struct keep_verdict verdicts[MAX_POINTS];
	char ids[MAX_POINTS][2];
	size_t n;
	struct keep_policy policy;
	int64_t now_ns, vault_ns;
};

static int64_t at(const char *time)
{
	int64_t ns = 0;

	assert_int_equal(point_parse_time(time, &ns), 0);
	return ns;
}

static struct keep_point *add_at(struct history *h, int64_t time_ns)
{
	struct keep_point *p = &h->points[h->n];

	assert_true(h->n < MAX_POINTS);
	h->ids[h->n][0] = (char)('A' + (char)h->n);
	*p = (struct keep_point){ .id = h->ids[h->n],
				  .machine = "m",
				  .host = "h",
				  .time_ns = time_ns,
				  .stored_ns = time_ns + SECOND };
	h->n++;
	h->now_ns = MAX(h->now_ns, p->stored_ns);
	return p;
}

static struct keep_point *add(struct history *h, const char *time)
{
	return add_at(h, at(time));
}

/* The policy keeps just the points whose letters stand in @expected. */
static void keeps(struct history *h, const char *expected)
{
	const struct keep_clock clock = { h->now_ns, h->vault_ns };
	char kept[MAX_POINTS + 1];
	size_t i, n = 0;

	assert_int_equal(keep_apply(&h->policy, h->points, h->n, &clock,
				    h->verdicts, NULL),
			 0);
	for (i = 0; i < h->n; i++)
		if (h->verdicts[i].reasons)
			kept[n++] = h->ids[i][0];
	kept[n] = '\0';
	assert_string_equal(kept, expected);
}

/* Every six hours for ten days. */
static void fill(struct history *h)
{
	int64_t begin = at("2026-03-02T000000Z");
	int i;

	for (i = 0; i < 40; i++)
		add_at(h, begin + i * 6 * HOUR);
}

static void test_counts(void **state)
{
	struct history h = { 0 };

	(void)state;
	fill(&h);
	h.policy.count[KEEP_LAST] = 3;
	keeps(&h, "fgh");
	h.policy.count[KEEP_DAILY] = 3;
	keeps(&h, "`dfgh");
	assert_int_equal(h.verdicts[39].reasons,
			 1 << KEEP_LAST | 1 << KEEP_DAILY | KEEP_FOR_BURST |
				 KEEP_FOR_LAST_GOOD);
	/* Two Mondays have begun a week, and the oldest stands for a third. */
	h.policy.count[KEEP_WEEKLY] = 3;
	keeps(&h, "A\\`dfgh");
	assert_int_equal(h.verdicts[0].oldest, 1 << KEEP_WEEKLY);
}

static void test_calendar(void **state)
{
	static const struct {
		const char *before, *after;
		enum keep_rule rule;
	} borders[] = {
		{ "2026-11-01T005959Z", "2026-11-01T010000Z", KEEP_HOURLY },
		{ "2026-03-28T235959Z", "2026-03-29T000000Z", KEEP_DAILY },
		/* 2026 has 53 weeks: its last day is in the one of 2027-01-01. */
		{ "2026-12-27T235959Z", "2026-12-28T000000Z", KEEP_WEEKLY },
		{ "2027-01-03T235959Z", "2027-01-04T000000Z", KEEP_WEEKLY },
		{ "2024-02-29T235959Z", "2024-03-01T000000Z", KEEP_MONTHLY },
		{ "2100-02-28T235959Z", "2100-03-01T000000Z", KEEP_MONTHLY },
		{ "1969-12-31T235959Z", "1970-01-01T000000Z", KEEP_MONTHLY },
		{ "1999-12-31T235959Z", "2000-01-01T000000Z", KEEP_YEARLY },
		{ "1969-12-31T235959Z", "1970-01-01T000000Z", KEEP_YEARLY },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		struct history h = { 0 };

		add_at(&h, at(borders[i].before) - 2 * SECOND);
		add(&h, borders[i].before);
		add(&h, borders[i].after);
		for (k = 0; k < h.n; k++)
			h.points[k].stored_ns = h.points[k].time_ns;
		h.policy.count[borders[i].rule] = 2;
		keeps(&h, "BC");
	}
}

/* No day of local time is twice as long, or twice there. */
static void test_time_zone(void **state)
{
	struct history h = { 0 };
	const char *zone = getenv("TZ");
	char old[64] = "";

	(void)state;
	if (zone)
		snprintf(old, sizeof(old), "%s", zone);
	add(&h, "2026-10-24T233000Z"); /* 01:30, for the first time */
	add(&h, "2026-10-25T003000Z"); /* for the second */
	add(&h, "2026-10-25T223000Z");
	add(&h, "2026-10-25T233000Z"); /* the next day there */
	h.policy.count[KEEP_DAILY] = 2;
	keeps(&h, "AD");
	assert_int_equal(setenv("TZ", "Europe/Berlin", 1), 0);
	tzset();
	keeps(&h, "AD");
	if (zone)
		setenv("TZ", old, 1);
	else
		unsetenv("TZ");
	tzset();
}

static void test_within(void **state)
{
	struct history h = { 0 };

	(void)state;
	fill(&h);
	h.policy.within_ns[KEEP_LAST] = 12 * HOUR;
	keeps(&h, "fgh");
	/* The newest point is what it is measured from, not today. */
	h.now_ns += 365 * DAY;
	keeps(&h, "fgh");
	h.policy.within_ns[KEEP_LAST] = 0;
	h.policy.within_ns[KEEP_DAILY] = 2 * DAY;
	keeps(&h, "`dh");
	h.policy.within_ns[KEEP_DAILY] = INT64_MAX;
	keeps(&h, "ADHLPTX\\`dh");
}

static void test_unlimited(void **state)
{
	struct history h = { 0 };

	(void)state;
	fill(&h);
	h.policy.count[KEEP_DAILY] = KEEP_UNLIMITED;
	keeps(&h, "ADHLPTX\\`dh");
}

static void test_tags(void **state)
{
	static const char *const both[] = { "big", "red" }, *const red[] = {
		"red"
	};
	static const struct keep_tags wanted = { both, 2 };
	struct history h = { 0 };
	struct keep_point *p;

	(void)state;
	p = add(&h, "2026-01-01T100000Z");
	p->tags = red;
	p->ntags = 1;
	p = add(&h, "2026-01-02T100000Z");
	p->tags = both;
	p->ntags = 2;
	add(&h, "2026-01-03T100000Z");
	add(&h, "2026-01-04T100000Z");
	h.policy.tags = &wanted;
	h.policy.ntags = 1;
	keeps(&h, "BD");
	h.policy.remove_all = true;
	keeps(&h, "B");
	h.policy.group_by = KEEP_BY_TAGS;
	h.policy.ntags = 0;
	h.policy.count[KEEP_LAST] = 1;
	keeps(&h, "ABD");
}

static void test_groups(void **state)
{
	static const char *const root[] = { "/" }, *const home[] = { "/home" };
	struct history h = { 0 };
	struct keep_point *p;
	int i;

	(void)state;
	for (i = 0; i < 6; i++) {
		p = add_at(&h, at("2026-01-01T100000Z") + i * DAY);
		p->machine = i & 1 ? "a" : "b";
		p->paths = i < 3 ? root : home;
		p->npaths = 1;
	}
	h.policy.count[KEEP_LAST] = 1;
	h.policy.group_by = KEEP_BY_MACHINE;
	keeps(&h, "EF");
	h.policy.group_by |= KEEP_BY_PATHS;
	keeps(&h, "BCEF");
	assert_int_equal(h.verdicts[5].group, h.verdicts[3].group);
	assert_int_not_equal(h.verdicts[5].group, h.verdicts[1].group);
	/* No group is a reason to leave a machine without a point. */
	h.policy.group_by = 0;
	keeps(&h, "EF");
	h.policy.remove_all = true;
	keeps(&h, "F");
}

/* Nothing is known for sure but what the vault says. */
static void test_future(void **state)
{
	struct history h = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		add_at(&h, at("2026-01-01T020000Z") + i * DAY);
	for (i = 0; i < 10; i++)
		add(&h, "2026-01-10T030000Z")->time_ns += (i + 1) * 365 * DAY;
	h.policy.count[KEEP_DAILY] = 5;
	keeps(&h, "FGHIJPQRST");
	assert_int_equal(h.verdicts[19].doubts, KEEP_DOUBT_FUTURE);
	/* Nor if the store tells no times. */
	for (i = 0; i < 20; i++)
		h.points[i].stored_ns = 0;
	keeps(&h, "FGHIJPQRST");
	/* But a clock that is a little fast is no reason for doubt. */
	h.points[9].stored_ns = h.points[9].time_ns - 59 * 60 * SECOND;
	keeps(&h, "FGHIJPQRST");
	assert_int_equal(h.verdicts[9].doubts, 0);
}

/* The clock of the machine was reset: its points are young all the same. */
static void test_clock_back(void **state)
{
	struct history h = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		add_at(&h, at("2026-01-01T020000Z") + i * DAY);
	for (i = 5; i < 10; i++)
		h.points[i].time_ns -= 20 * 365 * DAY;
	h.policy.count[KEEP_DAILY] = 3;
	/* C, D, E are the last three by what they say. */
	keeps(&h, "CDEHIJ");
}

static void test_import(void **state)
{
	struct history h = { 0 };
	int64_t now = at("2026-02-01T120000Z");
	int i;

	(void)state;
	/* Ten days came in within one hour. */
	for (i = 0; i < 10; i++)
		add_at(&h, at("2026-01-01T020000Z") + i * DAY)->stored_ns =
			now + i * SECOND;
	h.now_ns = now + HOUR;
	h.policy.count[KEEP_DAILY] = 4;
	/* By the vault's clock there is one day, which the oldest adds to. */
	keeps(&h, "AGHIJ");
}

static void test_doubts(void **state)
{
	struct history h = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 8; i++)
		add_at(&h, at("2026-01-01T020000Z") + i * DAY);
	h.points[2].flags = h.points[3].flags = KEEP_IS_VERIFIED;
	h.points[3].flags |= KEEP_IS_SUSPICIOUS;
	h.points[6].flags = KEEP_IS_INCOMPLETE;
	h.points[7].flags = KEEP_IS_SUSPICIOUS;
	h.policy.count[KEEP_LAST] = 2;
	keeps(&h, "CEFGH");
	assert_int_equal(h.verdicts[2].reasons, KEEP_FOR_LAST_VERIFIED);
	assert_true(h.verdicts[5].reasons & KEEP_FOR_LAST_GOOD);
	h.points[0].flags = KEEP_IS_PROTECTED;
	h.points[1].until_ns = h.now_ns + 1;
	keeps(&h, "ABCEFGH");
	h.now_ns++;
	keeps(&h, "ACEFGH");
	/* Where all are in doubt, the last one is better than none. */
	for (i = 0; i < 8; i++)
		h.points[i].flags = KEEP_IS_INCOMPLETE;
	h.policy.count[KEEP_LAST] = 0;
	keeps(&h, "H");
}

/* A machine of which no point is beyond doubt, as one file never can be read, loses
 * none of them to points that are in worse doubt. */
static void test_ranks(void **state)
{
	static const unsigned int all[] = { 0, KEEP_IS_INCOMPLETE,
					    KEEP_IS_SUSPICIOUS };
	size_t k;
	int i;

	(void)state;
	for (k = 0; k < ARRAY_SIZE(all); k++) {
		struct history h = { 0 };

		for (i = 0; i < 7; i++)
			add_at(&h, at("2026-01-01T020000Z") + i * DAY)->flags =
				all[k];
		h.points[3].flags |= KEEP_IS_VERIFIED;
		for (i = 0; i < 7; i++)
			add(&h, "2026-01-07T030000Z")->time_ns +=
				(3650 + i) * DAY;
		h.policy.count[KEEP_DAILY] = 7;
		keeps(&h, "ABCDEFGHIJKLMN");
		assert_true(h.verdicts[6].reasons & KEEP_FOR_LAST_GOOD);
		assert_false(h.verdicts[13].reasons & KEEP_FOR_LAST_GOOD);
		h.policy.count[KEEP_DAILY] = 0;
		keeps(&h, "DG");
		/* Incomplete ones fear no suspicious ones, but others do. */
		if (all[k] == KEEP_IS_SUSPICIOUS)
			continue;
		for (i = 7; i < 14; i++) {
			h.points[i].time_ns = h.points[i - 7].time_ns + 7 * DAY;
			h.points[i].stored_ns = h.points[i].time_ns;
			h.points[i].flags = KEEP_IS_SUSPICIOUS;
			h.now_ns = h.points[i].stored_ns;
		}
		h.policy.count[KEEP_DAILY] = 3;
		keeps(&h, "DEFGLMN");
	}
}

/* What is true does not hang upon the clock of who asks. */
static void test_clocks(void **state)
{
	struct history h = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 7; i++)
		add_at(&h, at("2026-01-01T020000Z") + i * DAY);
	h.vault_ns = h.points[6].stored_ns;
	for (i = 0; i < 7; i++) {
		add(&h, "2026-01-07T020000Z")->time_ns += (3650 + i) * DAY;
		h.points[7 + i].stored_ns = 0;
	}
	h.policy.count[KEEP_DAILY] = 7;
	h.now_ns = at("2020-01-01T000000Z");
	keeps(&h, "ABCDEFGHIJKLMN");
	assert_int_equal(h.verdicts[6].doubts, 0);
	assert_int_equal(h.verdicts[7].doubts, KEEP_DOUBT_FUTURE);
	/* A clock that is ahead ends nothing. */
	h.n = 7;
	h.policy.count[KEEP_DAILY] = 1;
	h.points[0].until_ns = h.vault_ns + DAY;
	h.points[1].until_ns = h.vault_ns + DAY + 1;
	h.now_ns = h.vault_ns + DAY - 1;
	keeps(&h, "ABG");
	h.now_ns += 365 * DAY;
	keeps(&h, "BG");
	/* Where the store tells no times there is no other. */
	h.vault_ns = 0;
	keeps(&h, "G");
}

/* Points are made at once, and dated as backups could be that took a day. */
static void test_dated_back(void **state)
{
	struct history h = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 6; i++)
		add_at(&h, at("2026-01-01T060000Z") + i * HOUR);
	for (i = 0; i < 12; i++)
		add(&h, "2026-01-01T120000Z")->time_ns -= i * HOUR;
	h.policy.count[KEEP_LAST] = 3;
	h.policy.count[KEEP_HOURLY] = 6;
	keeps(&h, "BCDEFGHIJKL");
	/* One hour has come, and one has gone. */
	for (i = 1; i < 6; i++)
		assert_true(h.verdicts[i].reasons & 1 << KEEP_HOURLY);
}

static void test_burst(void **state)
{
	struct history h = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 10; i++)
		add_at(&h, at("2026-01-01T020000Z") + i * DAY);
	for (i = 0; i < 30; i++)
		add_at(&h, at("2026-01-11T020000Z") + i * SECOND);
	h.policy.count[KEEP_LAST] = 4;
	keeps(&h, "HIJefgh");
	assert_int_equal(h.verdicts[8].reasons, KEEP_FOR_BURST);
}

static void test_empty(void **state)
{
	struct history h = { 0 };

	(void)state;
	keeps(&h, "");
	assert_true(keep_policy_is_empty(&h.policy));
	h.policy.within_ns[KEEP_YEARLY] = 1;
	assert_false(keep_policy_is_empty(&h.policy));
}

static uint32_t next_random(uint32_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 17;
	*x ^= *x << 5;
	return *x;
}

/* 100,000 points, half an hour apart, and in no order: by machine, the hours of two
 * days, a month of days, and months. */
static void test_many(void **state)
{
	enum { N = 100000, MACHINES = 4 };
	static const char *const machines[MACHINES] = { "a", "b", "c", "d" };
	struct keep_point *points = calloc(N, sizeof(*points));
	struct keep_verdict *v = calloc(N, sizeof(*v));
	size_t *order = calloc(N, sizeof(*order)), kept[MACHINES] = { 0 }, i;
	char(*ids)[16] = calloc(N, sizeof(*ids));
	struct keep_policy policy = { .group_by = KEEP_BY_MACHINE };
	int64_t begin = at("2020-01-01T000000Z");
	struct keep_clock clock = { begin + N * INT64_C(1000) * SECOND, 0 };
	uint32_t x = 1;

	(void)state;
	assert_true(points && v && order && ids);
	for (i = 0; i < N; i++) {
		snprintf(ids[i], sizeof(ids[i]), "%zu", i);
		points[i] = (struct keep_point){
			.id = ids[i],
			.machine = machines[i % MACHINES],
			.host = "h",
			.time_ns = begin + (int64_t)(i / MACHINES) * HOUR / 2
		};
		points[i].stored_ns = points[i].time_ns + 1;
	}
	for (i = N - 1; i > 0; i--) {
		size_t k = next_random(&x) % (i + 1);
		struct keep_point p = points[i];

		points[i] = points[k];
		points[k] = p;
	}
	policy.count[KEEP_HOURLY] = 48;
	policy.count[KEEP_DAILY] = 30;
	policy.count[KEEP_MONTHLY] = KEEP_UNLIMITED;
	assert_int_equal(keep_apply(&policy, points, N, &clock, v, order), 0);
	for (i = 0; i < N; i++) {
		const struct keep_point *p = &points[order[i]];

		kept[p->machine[0] - 'a'] += v[order[i]].reasons != 0;
		assert_int_equal(v[order[i]].group, i / (N / MACHINES));
		assert_int_equal(p->time_ns,
				 begin + (int64_t)(i % (N / MACHINES)) * HOUR /
						 2);
	}
	/* They end at 19:30 of 2021-06-04: 48 hours, 27 more days of which one
	 * ends a month, 16 other months, and the oldest. */
	for (i = 0; i < MACHINES; i++)
		assert_int_equal(kept[i], 48 + 27 + 16 + 1);
	free(points);
	free(v);
	free(order);
	free(ids);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_calendar),
		cmocka_unit_test(test_time_zone),
		cmocka_unit_test(test_within),
		cmocka_unit_test(test_unlimited),
		cmocka_unit_test(test_tags),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_future),
		cmocka_unit_test(test_clock_back),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_doubts),
		cmocka_unit_test(test_ranks),
		cmocka_unit_test(test_clocks),
		cmocka_unit_test(test_dated_back),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
