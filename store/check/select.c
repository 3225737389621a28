/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which packs a check reads, and in which order: those in quarantine first, since
 * they say what is lost, and then those that nobody has verified for longest. So
 * many short checks, wherever they run, read all that there is in turn.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <string.h>

#include "store/base/seam.h"
#include "store/crypt/crypt.h"

/* What --read-data-subset leaves. */
static int choose(struct check *c, struct check_pack **order, size_t *n_inout)
{
	const struct check_options *o = c->o;
	uint64_t sum = 0;
	size_t i, n = 0;

	if (c->vault && !o->read_data) {
		for (i = 0; i < *n_inout; i++)
			if (check_in_quarantine(c, order[i]->name))
				order[n++] = order[i];
		*n_inout = n;
		return 0;
	}
	if (o->subset == CHECK_PART) {
		for (i = 0; i < *n_inout; i++) {
			uint8_t hash[CRYPT_SHA256_LEN];

			if (format_pack_hash(order[i]->name, hash) == 0 &&
			    (hash[0] | hash[1] << 8) % o->of == o->n - 1)
				order[n++] = order[i];
		}
		*n_inout = n;
		return 0;
	}
	if (o->subset == CHECK_ALL)
		return 0;
	/* Shuffle (Fisher and Yates), then take from the front. */
	for (i = *n_inout; i > 1; i--) {
		uint64_t random;
		struct check_pack *swap;
		size_t j;
		int r = c->seam->ops->random(c->seam, &random, sizeof(random));

		if (r < 0)
			return r;
		j = random % i;
		swap = order[i - 1];
		order[i - 1] = order[j];
		order[j] = swap;
	}
	if (o->subset == CHECK_PERCENT) {
		n = (size_t)((double)*n_inout * o->percent / 100 + 0.999999);
		*n_inout = MIN(n, *n_inout);
		return 0;
	}
	while (n < *n_inout && sum < o->n)
		sum += order[n++]->size;
	*n_inout = n;
	return 0;
}

/* ---- by the ledger ---- */

static int by_age(const void *a, const void *b, void *arg)
{
	const struct check_pack *p = *(struct check_pack *const *)a;
	const struct check_pack *q = *(struct check_pack *const *)b;
	bool p_in = check_in_quarantine(arg, p->name);
	bool q_in = check_in_quarantine(arg, q->name);

	if (p_in != q_in)
		return p_in ? -1 : 1;
	if (p->verified_s != q->verified_s)
		return p->verified_s < q->verified_s ? -1 : 1;
	return strcmp(pack_name_hash(p->name), pack_name_hash(q->name));
}

/* Leave out what was verified lately. */
static void leave_out_fresh(struct check *c, struct check_pack **order,
			    size_t *n_inout)
{
	int64_t since = c->ledger.now_s - c->o->max_age_s;
	size_t i, n = 0;

	for (i = 0; i < *n_inout; i++)
		if (order[i]->verified_s == 0 || order[i]->verified_s < since ||
		    check_in_quarantine(c, order[i]->name))
			order[n++] = order[i];
	*n_inout = n;
}

/* Leave so many as the budget has bytes, but one at least. */
static void leave_out_much(struct check *c, struct check_pack **order,
			   size_t *n_inout)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < *n_inout; i++) {
		sum += order[i]->size;
		if (i > 0 && sum > c->o->budget_bytes)
			break;
	}
	c->out->left += *n_inout - i;
	*n_inout = i;
}

int check_select(struct check *c, struct check_pack **order, size_t *n_inout)
{
	const struct check_options *o = c->o;
	int r = choose(c, order, n_inout);

	if (r < 0 || !c->vault || !check_is_budgeted(o))
		return r;
	if (o->max_age_s)
		leave_out_fresh(c, order, n_inout);
	if (*n_inout)
		qsort_r(order, *n_inout, sizeof(*order), by_age, c);
	if (o->budget_bytes)
		leave_out_much(c, order, n_inout);
	return 0;
}
