/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way past what cannot be read of a tree. What is lost are neighbours, a
 * leaf or what is below an inner node: steps that grow find something behind
 * them, and halving finds where it begins.
 */
#include "config.h"

#include <errno.h>

#include "src/restore/internal.h"

int restore_skip(struct restore *run, uint64_t rank, uint64_t total,
		 struct cursor *c)
{
	uint64_t bad = rank, good, step = 1;
	int r = -EBADMSG;

	while (r == -EBADMSG || r == -EIO) {
		bad = rank;
		rank += step;
		step *= 2;
		if (rank >= total && bad + 1 >= total)
			return -ENOENT;
		rank = MIN(rank, total - 1);
		r = tree_at(run->vault, &run->root, rank, c);
	}
	for (good = rank; r == 0 && good - bad > 1;) {
		rank = bad + (good - bad) / 2;
		r = tree_at(run->vault, &run->root, rank, c);
		if (r == 0)
			good = rank;
		else
			bad = rank;
		r = r == -EBADMSG || r == -EIO ? 0 : r;
	}
	if (r == 0)
		r = tree_at(run->vault, &run->root, good, c);
	return r;
}
