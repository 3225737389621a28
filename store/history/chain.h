/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the commits of a vault say of one another. Each names those that its writer
 * found newest, so that together they are a graph, from which follows, without
 * anything remembered elsewhere, what is not there any more and what was put in
 * another's place.
 *
 * It also shows a fork. A writer lists the commits as it begins, and a store lists
 * all that is in it. So sessions are intervals, from that listing to the commit, and a commit follows all whose interval ended before its own began.
 * Orders that come about so are just those in which no a < b and c < d stand apart,
 * that is with neither a < d nor c < b; then what one commit follows, and all that
 * these follow, is a part of what another one does, or the other way round, for any
 * two (Fishburn, Intransitive indifference with unequal indifference intervals,
 * 1970). However many write at once, and however long it takes them, it is so;
 * where it is not, somebody showed the writers two different vaults.
 */
#ifndef STORE_HISTORY_CHAIN_H
#define STORE_HISTORY_CHAIN_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/record/commit.h"

/* A register. Borrows all. */
struct chain_node {
	const char *sid; /* 32 digits */
	const uint8_t *own; /* the hash of its plaintext; NULL: not read */
	const struct commit_ref *refs;
	size_t nrefs;
	bool is_told; /* it says what it follows */
	bool is_cut; /* and that there is more */
	bool is_fenced;
	/* It was there when somebody accepted what is missing: what it follows is
	 * not asked any more. */
	bool is_settled;
};

enum chain_flaw_kind {
	CHAIN_REMOVED, /* the register is not there */
	CHAIN_REPLACED, /* it says something else than it did */
	CHAIN_FORKED, /* it does not follow what it has to */
};

#define CHAIN_NOWHERE SIZE_MAX

struct chain_flaw {
	enum chain_flaw_kind kind;
	char sid[NAME_HEX + 1];
	size_t at; /* its node; CHAIN_NOWHERE: there is none */
	/* A node that tells of it; of a fork one on the other side. */
	size_t by;
	const char *by_sid; /* borrowed from the nodes */
};

struct chain {
	/* The nodes that no other names, ascending; those that are fenced are not
	 * among them. Owned. */
	size_t *heads;
	size_t nheads;
	/* By kind, then sid, each once; for history_judge(). Owned. */
	struct chain_flaw *flaws;
	size_t nflaws, cap;
};

/*
 * Judge @n nodes, ascending by sid; @forks: look for a fork, too. Of a fork each commit is a flaw that had to
 * follow another. Where something was removed, or cannot be read any more, or a commit
 * names not all that it follows, no fork is looked for, unless it is settled: one that
 * was removed, and what it followed, are no part of what came later. Return 0 or
 * -ENOMEM; @out is to be released either way.
 */
MUST_CHECK int chain_judge(const struct chain_node *nodes, size_t n, bool forks,
			   struct chain *out);
void chain_release(struct chain *c);

#endif
