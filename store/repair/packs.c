/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Packs that are damaged. What can still be read of them, and what no other pack
 * holds, is stored anew by an ordinary session that makes no point: its packs are
 * found by their index objects, as those of any other are. The damaged ones stay, in
 * quarantine: readers ask them last, and only a collection deletes.
 */
#include "config.h"

#include "store/repair/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/format.h"
#include "store/vault.h"
#include "store/writer/writer.h"

/* What became of a pack's chunks. */
struct pack_tally {
	uint64_t anew, lost;
};

static int try_chunks(struct survey *s, struct writer *w,
		      const struct pack_dir *dir, struct pack_tally *t)
{
	size_t i;
	int r = 1;

	for (i = 0; i < dir->nchunks && r >= 0; i++) {
		const struct chunk_ref *c = &dir->chunks[i];
		uint64_t before = s->out->chunks;

		r = survey_chunk(s, w, c->type, &c->id, c->len);
		t->anew += s->out->chunks - before;
		t->lost += r == 0;
	}
	return MIN(r, 0);
}

/* Return 0, -ENOENT (nobody knows what was in it) or another negative errno. */
static int try_pack(struct survey *s, struct writer *w, const char *name,
		    struct pack_tally *t)
{
	AUTO_BUF struct buf plain = BUF_INIT;
	struct catalog *c = vault_catalog(s->vault);
	struct pack_dir dir = { .nchunks = 0 };
	struct pack_row row;
	int64_t no;
	int r = catalog_pack_no(c, name, &no);

	if (r == 0)
		r = catalog_get_pack(c, no, &row, &plain);
	if (r == 0)
		r = format_get_dir(plain.data, plain.len, name, false, &dir);
	if (r == 0)
		r = try_chunks(s, w, &dir, t);
	format_release_dir(&dir);
	return r;
}

static void say_pack(struct survey *s, const char *name, int found,
		     const struct pack_tally *t)
{
	bool is_known = pack_list_has(&s->condemned.quarantined, name);
	char object[OBJECT_NAME_MAX];

	(void)!format_pack_object_name(name, object);
	if (t->anew > 0)
		repair_say(s->o, s->out, survey_done(s), object,
			   "%llu chunks that no other pack holds %s anew",
			   (unsigned long long)t->anew,
			   s->o->apply ? "are stored" : "can be stored");
	if (!is_known && !s->o->apply)
		repair_say(s->o, s->out, survey_done(s), object,
			   "is damaged, and is to be put into quarantine");
	if (found == -ENOENT)
		repair_say(s->o, s->out, REPAIR_LEFT, object,
			   "nobody knows what was in it");
	else if (t->lost > 0)
		repair_say(
			s->o, s->out, REPAIR_LEFT, object,
			"%llu chunks are lost: back up the machines again, or "
			"take them from a copy of the vault (--from)",
			(unsigned long long)t->lost);
	else if (t->anew == 0)
		repair_say(s->o, s->out, REPAIR_NOTED, object,
			   "is damaged, and nothing is lost with it: other "
			   "packs hold all that it held");
}

/* Go through all sick packs: to see what there is, or to store it. */
static int try_packs(struct survey *s, struct writer *w, bool says)
{
	size_t i;
	int r = 0;

	for (i = 0; i < s->sick.n && r == 0; i++) {
		struct pack_tally t = { .anew = 0 };

		r = try_pack(s, w, s->sick.names[i], &t);
		if (says && (r == 0 || r == -ENOENT))
			say_pack(s, s->sick.names[i], r, &t);
		r = r == -ENOENT ? 0 : r;
	}
	return r;
}

/* Store what was found to be there. */
static int store_packs(struct survey *s)
{
	struct writer *w;
	int r = writer_begin(s->vault, s->o->level, NULL, &w);

	if (r < 0)
		return r;
	writer_set_disk_level(w, s->o->disk_level);
	r = try_packs(s, w, true);
	if (r == 0)
		r = writer_finish(w);
	else
		writer_abandon(w);
	writer_free(w);
	return r;
}

int repair_packs(struct vault *v, const struct repair_options *o,
		 struct task *task, struct repair_result *out)
{
	struct survey s;
	bool stores;
	int r = survey_make(&s, v, o, task, out);

	if (r == 0 && s.check.quarantine_error)
		r = fail(s.check.quarantine_error,
			 "vault %s: what was found could not be noted in it",
			 vault_url(v));
	if (r == 0 && s.check.quarantined)
		repair_say(s.o, s.out, REPAIR_DONE, "quarantine/",
			   "packs that were put there: %llu",
			   (unsigned long long)s.check.quarantined);
	/* To see what there is; then the same again, and to say it. */
	if (r == 0)
		r = try_packs(&s, NULL, false);
	if (r == 0 && o->from && out->chunks_lost && !from_is_copy(&s))
		r = from_find(&s);
	if (r == 0 && s.nfrom) {
		survey_forget(&s);
		r = try_packs(&s, NULL, false);
	}
	stores = o->apply && out->chunks > 0;
	survey_forget(&s);
	if (r == 0)
		r = stores ? store_packs(&s) : try_packs(&s, NULL, true);
	survey_release(&s);
	return r;
}
