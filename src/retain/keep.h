/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which recovery points a retention policy keeps, and why.
 *
 * This is a pure function: it sees the points, the policy and the times that it
 * is given, and nothing else. vmbackup(1), "forget", says in words what is done
 * here; tests/oracle/keep.py was written from those words alone.
 *
 * Doubts have ranks, see enum keep_doubt. For each rank a policy is applied twice
 * to those points of a group that are in no worse doubt: by when the vault received
 * them, and by the times that they bear, as other programs do it. What is kept once
 * is kept. So a point pushes out none that is in less doubt than itself, a client
 * that lies about its time gains nothing, and a history that was brought in at once
 * from elsewhere is thinned as if it had been made here. Above that, some points
 * stay whatever the policy
 * says: see enum keep_reason.
 */
#ifndef SRC_RETAIN_KEEP_H
#define SRC_RETAIN_KEEP_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rules that count: the last one in each of so many hours, days, ... Days begin
 * at midnight UTC, weeks on Monday, as in ISO 8601. */
enum keep_rule {
	KEEP_LAST, /* each point is a period of its own */
	KEEP_HOURLY,
	KEEP_DAILY,
	KEEP_WEEKLY,
	KEEP_MONTHLY,
	KEEP_YEARLY,
	KEEP_RULES
};

#define KEEP_UNLIMITED UINT32_MAX

/* What points of one group have in common. */
enum keep_group {
	KEEP_BY_MACHINE = 1 << 0,
	KEEP_BY_HOST = 1 << 1,
	KEEP_BY_TAGS = 1 << 2,
	KEEP_BY_PATHS = 1 << 3,
};

/* Tags that a point has to have, all of them. */
struct keep_tags {
	const char *const *tags; /* borrowed */
	size_t n;
};

struct keep_policy {
	uint32_t count[KEEP_RULES]; /* 0: no such rule */
	/* The same, for all periods that are not older than the newest point by
	 * more than this; under KEEP_LAST all points that are not. 0: no such
	 * rule. */
	int64_t within_ns[KEEP_RULES];
	const struct keep_tags *tags; /* borrowed; one of them is enough */
	size_t ntags;
	unsigned int group_by; /* enum keep_group */
	/* Let all points of a machine go, where no rule keeps one. */
	bool remove_all;
};

enum keep_flags {
	KEEP_IS_PROTECTED = 1 << 0,
	KEEP_IS_VERIFIED = 1 << 1,
	KEEP_IS_INCOMPLETE = 1 << 2,
	KEEP_IS_SUSPICIOUS = 1 << 3,
};

struct keep_point {
	const char *id; /* of all strings: borrowed, not NULL */
	const char *machine; /* its id */
	const char *host;
	const char *const *tags; /* sorted */
	size_t ntags;
	const char *const *paths; /* sorted */
	size_t npaths;
	int64_t time_ns; /* that it bears */
	int64_t stored_ns; /* when the vault received it; 0: not known */
	int64_t until_ns; /* it was asked to stay until then; 0: it was not */
	unsigned int flags; /* enum keep_flags */
};

/* Why a point stays. The first bits are those of the rules: 1 << KEEP_DAILY, and
 * 1 << (KEEP_RULES + KEEP_DAILY) for what is daily within a time. */
enum keep_reason {
	/* The last one of an hour, among the last such: so that many points made
	 * at once do not use up --keep-last. */
	KEEP_FOR_BURST = 1 << (2 * KEEP_RULES),
	KEEP_FOR_TAG = 1 << (2 * KEEP_RULES + 1),
	KEEP_FOR_TIME = 1 << (2 * KEEP_RULES + 2), /* until_ns is not over */
	KEEP_FOR_PROTECTION = 1 << (2 * KEEP_RULES + 3),
	/* The last of those of its machine that are in the least doubt; where
	 * the verdict tells no doubts, it is beyond doubt. */
	KEEP_FOR_LAST_GOOD = 1 << (2 * KEEP_RULES + 4),
	/* The last of the same that was verified. */
	KEEP_FOR_LAST_VERIFIED = 1 << (2 * KEEP_RULES + 5),
};

/* Why a point pushes none out that is in less doubt, from the least to the worst. Of
 * several doubts the worst gives a point its rank. */
enum keep_doubt {
	KEEP_DOUBT_INCOMPLETE = 1 << 0,
	KEEP_DOUBT_SUSPICIOUS = 1 << 1,
	KEEP_DOUBT_FUTURE = 1 << 2,
};

struct keep_verdict {
	uint32_t reasons; /* 0: the point goes */
	/* Of the rules among them, those that keep it only because it is the
	 * oldest and they have not come to their numbers yet. */
	uint32_t oldest;
	unsigned int doubts;
	size_t group; /* counted from 0 */
};

/* The time, by two clocks that each may be wrong. */
struct keep_clock {
	int64_t now_ns; /* of who asks */
	int64_t vault_ns; /* when the vault received its newest point; 0: not
			     known */
};

/*
 * Judge @n points, in any order. It is at least as late as the vault says; but a time
 * until which a point was asked to stay is over only by a clock that is no more than
 * a day ahead of the vault. @out has room for as many verdicts, each for the
 * point of the same index. @order_out (may be NULL) has room for as many indexes:
 * it tells the points by group, and in it in the order in which the vault received
 * them. The outcome depends on what the points are, and not on their order.
 * Takes memory for three pointers and three numbers a point. Any thread.
 * Return 0 or -ENOMEM.
 */
MUST_CHECK int keep_apply(const struct keep_policy *policy,
			  const struct keep_point *points, size_t n,
			  const struct keep_clock *clock,
			  struct keep_verdict *out, size_t *order_out);
/* Return whether no rule could keep a point. */
bool keep_policy_is_empty(const struct keep_policy *policy);

#endif
