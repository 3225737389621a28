/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A check, from its beginning to its end: what there is, what points reach,
 * then, when asked for, all bytes of packs and disks. Who uses what was lost is
 * asked last, once, when all that is lost is known.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/crypt/keyring.h"
#include "store/point.h"
#include "store/record/forget.h"
#include "store/vault.h"

static void init(struct check *c, struct seam *seam,
		 const struct check_options *o, struct task *task,
		 struct check_result *out)
{
	memset(c, 0, sizeof(*c));
	memset(out, 0, sizeof(*out));
	pthread_mutex_init(&c->lock, NULL);
	c->names = (struct buf)BUF_INIT;
	c->seam = seam;
	c->parity = (struct buf)BUF_INIT;
	c->o = o;
	c->task = task;
	c->out = out;
}

/* Whoever ends a check early keeps what was done. */
static int end_ledger(struct check *c, int r)
{
	int err = c->o->look_only || (r < 0 && r != -EINTR)
			  ? 0
			  : check_ledger_put(c, r == 0);

	return r < 0 ? r : err;
}

static int finish(struct check *c, int r)
{
	c->out->packs = c->npacks;
	c->out->packs_read = c->packs_read;
	c->out->bytes_read = c->bytes_read;
	check_drop_findings(c);
	memo_release(&c->seen);
	idset_release(&c->bad);
	idset_release(&c->committed);
	idset_release(&c->facts);
	quarantine_list_release(&c->quarantine);
	pack_list_release(&c->disputed);
	pack_list_release(&c->settled);
	buf_release(&c->names);
	buf_release(&c->parity);
	free(c->suspects);
	free(c->packs);
	free(c->by_id);
	free(c->wishes);
	free(c->removals);
	free(c->good);
	free(c->bad_chunks);
	free(c->hurt);
	check_ledger_release(&c->ledger);
	pthread_mutex_destroy(&c->lock);
	return r;
}

/* What needs a newer key cannot be told from what is damaged. */
static int may_judge(const struct vault *v)
{
	if (vault_newest_epoch(v) <= keyring_epoch(vault_keyring(v)))
		return 0;
	return fail(-EKEYREJECTED,
		    "%s: the vault's keys were rotated, to epoch %u, and the "
		    "key in use opens nothing that was written since: nothing "
		    "was checked; use a newer key",
		    vault_url(v), vault_newest_epoch(v));
}

int check_run(struct vault *v, const struct check_options *o, struct task *task,
	      struct check_result *out)
{
	struct check c;
	int r;

	init(&c, vault_seam(v), o, task, out);
	c.vault = v;
	c.backend = vault_backend(v);
	c.window_ns = FORGET_WINDOW_MIN_NS;
	c.begun_ns = c.seam->ops->monotonic_ns(c.seam);
	c.ledger.put_ns = c.begun_ns;
	r = may_judge(v);
	if (r == 0)
		r = c.seam->ops->random(c.seam, c.hash_key, sizeof(c.hash_key));
	if (r == 0)
		r = check_config(&c);
	if (r == 0)
		r = check_epochs(&c);
	if (r == 0)
		r = check_objects(&c);
	if (r == 0)
		r = check_ledger_read(&c);
	if (r == 0)
		r = check_trees(&c);
	/* Without more, those in quarantine. */
	if (r == 0 && (o->read_data || c.quarantine.n > 0))
		r = check_packs(&c);
	if (r == 0 && o->read_data && o->subset == CHECK_ALL &&
	    !check_is_budgeted(o))
		r = check_disks(&c);
	if (r == 0)
		r = check_condemned(&c);
	if (r == 0)
		r = check_users(&c);
	if (r == 0)
		r = check_excuse_known(&c);
	if (r == 0)
		r = check_mendable(&c);
	if (r == 0 && !o->look_only)
		r = check_quarantine(&c);
	if (r == 0)
		r = check_ledger_tell(&c);
	return finish(&c, end_ledger(&c, r));
}

int check_scrub(struct backend *b, struct seam *seam,
		const struct check_options *o, struct task *task,
		struct check_result *out)
{
	struct check c;
	int r;

	init(&c, seam, o, task, out);
	c.backend = b;
	r = check_list_packs(&c);
	if (r == 0)
		r = check_packs(&c);
	if (r == 0)
		r = check_mendable(&c);
	return finish(&c, r);
}

void check_release(struct check_result *out)
{
	size_t i;

	for (i = 0; i < out->nfindings; i++)
		check_finding_free(out->findings[i]);
	free(out->findings);
	free(out->mended);
	free(out->coverage.oldest_by);
	point_list_put(out->points_list);
	memset(out, 0, sizeof(*out));
}
