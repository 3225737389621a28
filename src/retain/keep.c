/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One walk over the points of a group, newest first, applies all rules: a rule
 * looks into which period a point falls, keeps the first that it meets of each,
 * and counts down. The ways of applying a policy differ in which points walk
 * along, and in which of their times is looked at.
 *
 * That a point is kept by one rule never changes what another keeps, and what was
 * not kept never mattered to what was: so the same policy forgets nothing more
 * when it is applied again, and more rules keep more.
 */
#include "config.h"

#include "src/retain/keep.h"

#include <errno.h>
#include <string.h>

#define HOUR (INT64_C(3600) * 1000000000)
#define DAY (24 * HOUR)
/* So much may the clocks of a client and of the store differ. */
#define SKEW HOUR

/* A point on its way. */
struct row {
	const struct keep_point *point;
	struct keep_verdict *verdict;
	unsigned int rank; /* of its doubts */
	/* When the vault received it, as well as that is known; and the time by
	 * which this walk goes. */
	int64_t received, moment;
};

/* @a - @b, or the nearest number. */
static int64_t minus(int64_t a, int64_t b)
{
	int64_t r;

	if (__builtin_sub_overflow(a, b, &r))
		return b < 0 ? INT64_MAX : INT64_MIN;
	return r;
}

static bool is_later_by(int64_t a, int64_t b, int64_t by)
{
	return minus(a, b) > by;
}

/* ---- times ---- */

static unsigned int find_doubts(const struct keep_point *p, int64_t now_ns)
{
	unsigned int doubts = 0;

	if (p->flags & KEEP_IS_INCOMPLETE)
		doubts |= KEEP_DOUBT_INCOMPLETE;
	if (p->flags & KEEP_IS_SUSPICIOUS)
		doubts |= KEEP_DOUBT_SUSPICIOUS;
	if (is_later_by(p->time_ns, now_ns, SKEW) ||
	    (p->stored_ns && is_later_by(p->time_ns, p->stored_ns, SKEW)))
		doubts |= KEEP_DOUBT_FUTURE;
	return doubts;
}

/* A point has the rank of its worst doubt. One that is dated in the future comes last,
 * for only a wrong clock or a lie makes such a point. */
#define RANKS 4

static unsigned int doubts_rank(unsigned int doubts)
{
	if (doubts & KEEP_DOUBT_FUTURE)
		return 3;
	if (doubts & KEEP_DOUBT_SUSPICIOUS)
		return 2;
	return doubts & KEEP_DOUBT_INCOMPLETE ? 1 : 0;
}

static int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/*
 * Months since March of the year 0, from days since 1970: "civil_from_days" of
 * https://howardhinnant.github.io/date_algorithms.html. Its years begin in March,
 * which makes the leap day the last of them.
 */
static int64_t month_of_day(int64_t day)
{
	int64_t z = day + 719468, era = floor_div(z, 146097);
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);

	return (era * 400 + yoe) * 12 + (5 * doy + 2) / 153;
}

/* The number of the period of the kind @rule that a moment is in. */
static int64_t period_of(int64_t moment, enum keep_rule rule)
{
	int64_t day = floor_div(moment, DAY);

	switch (rule) {
	case KEEP_HOURLY:
		return floor_div(moment, HOUR);
	case KEEP_DAILY:
		return day;
	case KEEP_WEEKLY:
		return floor_div(day + 3, 7); /* 1970 began on a Thursday */
	case KEEP_MONTHLY:
		return month_of_day(day);
	case KEEP_YEARLY:
		return floor_div(month_of_day(day) + 2, 12);
	case KEEP_LAST:
	case KEEP_RULES:
		break;
	}
	return 0;
}

/* ---- orders ---- */

static int by_number(int64_t a, int64_t b)
{
	return a < b ? -1 : a > b;
}

/* The vault's own order. */
static int by_receipt(const struct row *a, const struct row *b)
{
	int c = by_number(a->received, b->received);

	if (c == 0)
		c = by_number(a->point->time_ns, b->point->time_ns);
	return c ? c : strcmp(a->point->id, b->point->id);
}

static int by_strings(const char *const *a, size_t na, const char *const *b,
		      size_t nb)
{
	size_t i;
	int c;

	for (i = 0; i < na && i < nb; i++) {
		c = strcmp(a[i], b[i]);
		if (c)
			return c;
	}
	return na < nb ? -1 : na > nb;
}

static int by_group(const struct keep_point *a, const struct keep_point *b,
		    unsigned int group_by)
{
	int c = 0;

	if (group_by & KEEP_BY_MACHINE)
		c = strcmp(a->machine, b->machine);
	if (c == 0 && group_by & KEEP_BY_HOST)
		c = strcmp(a->host, b->host);
	if (c == 0 && group_by & KEEP_BY_TAGS)
		c = by_strings(a->tags, a->ntags, b->tags, b->ntags);
	if (c == 0 && group_by & KEEP_BY_PATHS)
		c = by_strings(a->paths, a->npaths, b->paths, b->npaths);
	return c;
}

static int by_group_and_receipt(const void *a, const void *b, void *arg)
{
	const struct row *x = a, *y = b;
	int c = by_group(x->point, y->point, *(const unsigned int *)arg);

	return c ? c : by_receipt(x, y);
}

static int newest_first(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int c = by_number(y->moment, x->moment);

	return c ? c : by_receipt(y, x);
}

/* ---- one walk ---- */

struct rule {
	enum keep_rule kind;
	uint32_t left; /* so many it may still keep */
	int64_t since; /* nothing older */
	uint32_t reason;
	bool began;
	int64_t period; /* of the last that it met */
};

#define RULES_MAX (2 * KEEP_RULES + 1)

static size_t make_rules(const struct keep_policy *policy, int64_t newest,
			 bool by_vault, struct rule *out)
{
	size_t n = 0;
	int i;

	for (i = 0; i < KEEP_RULES; i++) {
		enum keep_rule kind = (enum keep_rule)i;

		if (policy->count[i])
			out[n++] = (struct rule){ .kind = kind,
						  .left = policy->count[i],
						  .since = INT64_MIN,
						  .reason = 1u << i };
		if (policy->within_ns[i])
			out[n++] = (struct rule){
				.kind = kind,
				.left = KEEP_UNLIMITED,
				.since = minus(newest, policy->within_ns[i]),
				.reason = 1u << (KEEP_RULES + i)
			};
	}
	if (by_vault && policy->count[KEEP_LAST])
		out[n++] = (struct rule){ .kind = KEEP_HOURLY,
					  .left = policy->count[KEEP_LAST],
					  .since = INT64_MIN,
					  .reason = KEEP_FOR_BURST };
	return n;
}

static void meet(struct rule *rule, const struct row *row, bool is_oldest)
{
	int64_t period = period_of(row->moment, rule->kind);
	bool is_new = rule->kind == KEEP_LAST || !rule->began ||
		      period != rule->period;
	struct keep_verdict *v = row->verdict;

	if (rule->left == 0 || row->moment < rule->since)
		return;
	rule->began = true;
	rule->period = period;
	if (!is_new && !is_oldest)
		return;
	/* A burst's rule is there for the sake of others. */
	if (!is_new && rule->reason == KEEP_FOR_BURST)
		return;
	if (!is_new && !(v->reasons & rule->reason))
		v->oldest |= rule->reason;
	if (is_new)
		v->oldest &= ~rule->reason;
	v->reasons |= rule->reason;
	if (rule->left != KEEP_UNLIMITED)
		rule->left--;
}

/* Apply the policy to @n points, whose moments are set. */
static void apply_rules(const struct keep_policy *policy, struct row *rows,
			size_t n, bool by_vault)
{
	struct rule rules[RULES_MAX];
	size_t i, k, nrules;

	if (n == 0)
		return;
	qsort(rows, n, sizeof(*rows), newest_first);
	nrules = make_rules(policy, rows[0].moment, by_vault, rules);
	for (i = 0; i < n; i++)
		for (k = 0; k < nrules; k++)
			meet(&rules[k], &rows[i], i + 1 == n);
}

/* Gather in @out those of a group that are in no more doubt than @rank. */
static size_t select_rows(const struct row *rows, size_t n, unsigned int rank,
			  bool by_vault, struct row *out)
{
	size_t i, count = 0;

	for (i = 0; i < n; i++) {
		if (rows[i].rank > rank)
			continue;
		out[count] = rows[i];
		out[count++].moment =
			by_vault ? rows[i].received : rows[i].point->time_ns;
	}
	return count;
}

static bool has_rank(const struct row *rows, size_t n, unsigned int rank)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (rows[i].rank == rank)
			return true;
	return false;
}

static void apply_group(const struct keep_policy *policy,
			const struct row *rows, size_t n, struct row *scratch)
{
	unsigned int rank;

	for (rank = 0; rank < RANKS; rank++) {
		/* Those that walk would be the same again. */
		if (!has_rank(rows, n, rank))
			continue;
		apply_rules(policy, scratch,
			    select_rows(rows, n, rank, true, scratch), true);
		apply_rules(policy, scratch,
			    select_rows(rows, n, rank, false, scratch), false);
	}
}

/* ---- what stays whatever the policy says ---- */

static bool has_tags(const struct keep_point *p, const struct keep_tags *wanted)
{
	size_t i, k;

	for (i = 0; i < wanted->n; i++) {
		for (k = 0; k < p->ntags; k++)
			if (strcmp(p->tags[k], wanted->tags[i]) == 0)
				break;
		if (k == p->ntags)
			return false;
	}
	return true;
}

/* Up to when a clock can be believed that says that some time is over: one that is
 * ahead would end it early. */
static int64_t proven_now(const struct keep_clock *clock)
{
	if (clock->vault_ns && is_later_by(clock->now_ns, clock->vault_ns, DAY))
		return clock->vault_ns + DAY;
	return clock->now_ns;
}

static void keep_single(const struct keep_policy *policy, const struct row *row,
			int64_t now_ns)
{
	const struct keep_point *p = row->point;
	size_t i;

	for (i = 0; i < policy->ntags; i++)
		if (has_tags(p, &policy->tags[i]))
			row->verdict->reasons |= KEEP_FOR_TAG;
	if (p->until_ns > now_ns)
		row->verdict->reasons |= KEEP_FOR_TIME;
	if (p->flags & KEEP_IS_PROTECTED)
		row->verdict->reasons |= KEEP_FOR_PROTECTION;
}

/* Of the points of one machine, in the vault's order. */
static void keep_last_good(const struct row *rows, size_t n)
{
	const struct row *good = NULL, *verified = NULL;
	unsigned int rank = RANKS;
	size_t i;

	for (i = 0; i < n; i++)
		rank = MIN(rank, rows[i].rank);
	for (i = 0; i < n; i++) {
		if (rows[i].rank != rank)
			continue;
		good = &rows[i];
		if (rows[i].point->flags & KEEP_IS_VERIFIED)
			verified = &rows[i];
	}
	if (good)
		good->verdict->reasons |= KEEP_FOR_LAST_GOOD;
	if (verified)
		verified->verdict->reasons |= KEEP_FOR_LAST_VERIFIED;
}

static size_t group_end(const struct row *rows, size_t n, size_t i,
			unsigned int group_by)
{
	size_t end = i + 1;

	while (end < n &&
	       by_group(rows[i].point, rows[end].point, group_by) == 0)
		end++;
	return end;
}

static void keep_machines(struct row *rows, size_t n)
{
	unsigned int group_by = KEEP_BY_MACHINE;
	size_t i, end;

	if (n == 0)
		return;
	qsort_r(rows, n, sizeof(*rows), by_group_and_receipt, &group_by);
	for (i = 0; i < n; i = end) {
		end = group_end(rows, n, i, group_by);
		keep_last_good(&rows[i], end - i);
	}
}

int keep_apply(const struct keep_policy *policy,
	       const struct keep_point *points, size_t n,
	       const struct keep_clock *clock, struct keep_verdict *out,
	       size_t *order_out)
{
	int64_t now_ns = MAX(clock->now_ns, clock->vault_ns);
	unsigned int group_by = policy->group_by;
	struct row *rows, *scratch;
	size_t i, k, end, group = 0;

	if (n == 0)
		return 0;
	rows = alloc_array(n, 2 * sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	scratch = rows + n;
	for (i = 0; i < n; i++) {
		const struct keep_point *p = &points[i];

		out[i] = (struct keep_verdict){ .doubts = find_doubts(p,
								      now_ns) };
		rows[i] = (struct row){ .point = p,
					.verdict = &out[i],
					.rank = doubts_rank(out[i].doubts),
					.received = p->stored_ns ? p->stored_ns
								 : p->time_ns };
		keep_single(policy, &rows[i], proven_now(clock));
	}
	qsort_r(rows, n, sizeof(*rows), by_group_and_receipt, &group_by);
	for (i = 0; i < n; i = end, group++) {
		end = group_end(rows, n, i, group_by);
		apply_group(policy, &rows[i], end - i, scratch);
		for (k = i; k < end; k++)
			rows[k].verdict->group = group;
	}
	for (i = 0; i < n && order_out; i++)
		order_out[i] = (size_t)(rows[i].point - points);
	if (!policy->remove_all)
		keep_machines(rows, n);
	free(rows);
	return 0;
}

bool keep_policy_is_empty(const struct keep_policy *policy)
{
	int i;

	for (i = 0; i < KEEP_RULES; i++)
		if (policy->count[i] || policy->within_ns[i])
			return false;
	return policy->ntags == 0;
}
