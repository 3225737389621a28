/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Waiting for sessions that may have begun before a tomb stood: each may use any
 * pack, and make a point of it. One that is dead is fenced off, by the register that
 * its commit would be.
 */
#ifndef STORE_COLLECT_WAIT_H
#define STORE_COLLECT_WAIT_H

#include "store/base/attrs.h"

#include <stdbool.h>

#include <stddef.h>
#include <stdint.h>

struct collect_clock;
struct hex_ids;
struct vault;

/* A session that is waited for. */
struct collect_waiting {
	const char *sid, *host; /* host "": it is not known */
	int64_t pid;
	int64_t since_ns; /* when it began, by the store */
	size_t n; /* how many there are */
};

struct wait_options {
	/* How long sessions are waited for that are alive; -1: until they end. */
	int64_t wait_ns;
	const volatile bool *stop; /* ends it with -EINTR; may be NULL */
	/* Told now and then of each that is waited for; may be NULL. */
	void (*on_wait)(void *arg, const struct collect_waiting *w);
	void *arg;
};

/* Fence off the sessions that are dead, unless it is a dry run, and add them to
 * @out; one that was decided meanwhile is not among them. Return 0 or a negative errno, said in words. */
MUST_CHECK int wait_fence_dead(struct vault *v, const struct collect_clock *c,
			       bool is_dry_run, struct hex_ids *out);
/* Decide the session @sid, so that it makes no point, unless it is decided. Return
 * 0, or a negative errno, said in words, after which nobody knows. */
MUST_CHECK int wait_fence(struct vault *v, const char *sid);
/*
 * List all sessions, into @listed_out, and return when each of them is decided; those
 * that had to be fenced off are added to @fenced_out. Return 0; -EBUSY (some
 * are alive, and the time that @o gives them is over), -EINTR, or another negative
 * errno; said in words.
 */
MUST_CHECK int wait_for_sessions(struct vault *v, struct collect_clock *c,
				 const struct wait_options *o,
				 struct hex_ids *listed_out,
				 struct hex_ids *fenced_out);

#endif
