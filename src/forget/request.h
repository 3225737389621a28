/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What forget was asked for: a policy, or what is to become of points that are
 * named, read from the words of the command line. */
#ifndef SRC_FORGET_REQUEST_H
#define SRC_FORGET_REQUEST_H

#include "src/cli/options.h"
#include "src/retain/policy.h"
#include "store/base/attrs.h"
#include "store/writer/forget.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct context;

/* The words; borrowed, NULL where not given. */
struct request_args {
	const char *counts[KEEP_RULES], *within[KEEP_RULES];
	const char *keep, *group_by, *window, *reason;
	struct string_list tags;
	bool remove_all;
	bool always; /* the window is for the vault, for ever */
};

struct request {
	struct keep_policy policy;
	struct keep_tags *tags; /* owned */
	char **words; /* owned, each too: of all tags */
	size_t nwords;
	int64_t keep_ns; /* -1: not given */
	struct forget_wish wish;
};

/*
 * Read them, into @out, which is zeroed; release it in each case. @are_named: points
 * are named one by one; @are_chosen: they are chosen by machine, host or tag. Return
 * 0, or the error of a usage that makes no sense, said in words, or -ENOMEM.
 */
MUST_CHECK int request_parse(struct context *ctx, const struct request_args *a,
			     bool are_named, bool are_chosen,
			     struct request *out);
void request_release(struct request *r);
/* Look whether each tag of an @option has a name. Return 0 or the error of a wrong
 * usage, said in words. */
MUST_CHECK int request_check_tags(struct context *ctx, const char *option,
				  const struct string_list *lists);

#endif
