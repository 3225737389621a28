/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ground that all who read a vault stand on: counted reads from its
 * backend, and what belongs to it. It is made, opened and closed in
 * vault_open.c, which knows all of what stands on this.
 */
#include "config.h"

#include "store/vault_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/cache.h"
#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/crypt/siphash.h"
#include "store/epoch/epoch.h"
#include "store/history/history.h"
#include "store/history/signer.h"
#include "store/kept.h"
#include "store/point.h"

int vault_get(struct vault *v, const char *name, uint64_t off, void *data,
	      size_t len)
{
	atomic_fetch_add(&v->gets, 1);
	atomic_fetch_add(&v->get_bytes, len);
	return backend_get(v->backend, name, off, data, len);
}

int vault_get_up_to(struct vault *v, const char *name, size_t max,
		    uint8_t **out, size_t *len_out)
{
	int r = backend_get_all(v->backend, name, max, out, len_out);

	atomic_fetch_add(&v->gets, 1);
	if (r == 0)
		atomic_fetch_add(&v->get_bytes, *len_out);
	return r;
}

int vault_fail_too_long(const char *name, size_t max)
{
	return fail(-EBADMSG,
		    "%s: damaged: longer than the %zu bytes that make sense",
		    name, max);
}

int vault_get_all(struct vault *v, const char *name, size_t max, uint8_t **out,
		  size_t *len_out)
{
	int r = vault_get_up_to(v, name, max, out, len_out);

	return r == -EFBIG ? vault_fail_too_long(name, max) : r;
}

const char *vault_url(const struct vault *v)
{
	return backend_url(v->backend);
}

const struct buf *vault_config(const struct vault *v)
{
	return &v->config;
}

bool vault_config_is_hurt(const struct vault *v)
{
	return v->config_hurt;
}

const struct buf *vault_slot_object(const struct vault *v)
{
	return &v->slot_object;
}

uint32_t vault_newest_epoch(const struct vault *v)
{
	return v->newest_epoch;
}

bool vault_epoch_is_unproven(const struct vault *v)
{
	return v->epoch_unproven;
}

bool vault_demands_epochs(const struct vault *v)
{
	return v->features.write & FEATURE_EPOCHS;
}

const char *vault_slot(const struct vault *v)
{
	return v->slot;
}

const char *vault_id_hex(const struct vault *v)
{
	return v->id_hex;
}

struct backend *vault_backend(struct vault *v)
{
	return v->backend;
}

struct catalog *vault_catalog(struct vault *v)
{
	return v->catalog;
}

const struct keyring *vault_keyring(const struct vault *v)
{
	return v->keyring;
}

struct seam *vault_seam(struct vault *v)
{
	return v->seam;
}

void vault_get_stats(struct vault *v, struct vault_stats *out)
{
	struct cache_stats frames, nodes, packs, proofs;

	cache_get_stats(v->frames, &frames);
	cache_get_stats(v->nodes, &nodes);
	cache_get_stats(v->packs, &packs);
	cache_get_stats(v->proofs, &proofs);
	out->gets = atomic_load(&v->gets);
	out->get_bytes = atomic_load(&v->get_bytes);
	out->frames_decoded = frames.loads;
	out->frame_hits = frames.hits;
	out->nodes_decoded = nodes.loads;
	out->node_hits = nodes.hits;
	out->cache_bytes =
		frames.bytes + nodes.bytes + packs.bytes + proofs.bytes;
	out->cache_limit =
		frames.limit + nodes.limit + packs.limit + proofs.limit;
	out->damage = atomic_load(&v->damage);
}

/* ---- sets of names ---- */

void vault_sum_add(const struct vault *v, struct name_sum *s, const char *name)
{
	s->n++;
	s->sum += siphash(v->sum_key, name, strlen(name));
}

void vault_sum_remove(const struct vault *v, struct name_sum *s,
		      const char *name)
{
	s->n--;
	s->sum -= siphash(v->sum_key, name, strlen(name));
}

/* ---- what was seen ---- */

uint64_t vault_lost(const struct vault *v)
{
	return history_lost(v->history);
}

int vault_signing_key(const struct vault *v, struct secret **out)
{
	const char *dir = history_dir(v->history);

	*out = NULL;
	return dir ? signer_load(dir, out) : 0;
}

/* What is there now is as it is: forks are looked for in what comes later. */
static int accept_history(struct vault *v)
{
	const struct point_objects *o = &v->objects;
	AUTO_FREE const char **newest = NULL;
	struct chain chain;
	size_t i;
	int r;

	if (vault_lost(v) == 0)
		return 0;
	r = point_judge_chain(v, false, &chain);
	newest = r == 0 ? alloc_array(chain.nheads + 1, sizeof(*newest)) : NULL;
	for (i = 0; newest && i < chain.nheads; i++)
		newest[i] = o->commits.items[chain.heads[i]].name +
			    strlen(point_kept_commits.prefix);
	if (r == 0)
		r = newest ? history_accept(v->history, newest, chain.nheads)
			   : -ENOMEM;
	chain_release(&chain);
	return r;
}

int vault_accept_rollback(struct vault *v)
{
	struct point_objects *o = &v->objects;
	int r = accept_history(v);

	/* What was kept of another past is not what is there under the same names. */
	if (r == 0)
		r = catalog_drop_objects(v->catalog);
	if (r < 0)
		return r;
	if (v->seen_epoch > v->newest_epoch) {
		epoch_file_write(v->epoch_file, v->newest_epoch);
		v->seen_epoch = v->newest_epoch;
	}
	point_listing_begin(v);
	point_objects_release(o);
	o->points_old = v->is_list_old = true;
	v->is_loaded = v->stamped = v->judged.is_known = false;
	point_listing_end(v);
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void vault_remember(struct vault *v, const struct point *p,
		    const uint8_t *commit_hash)
{
	char name[OBJECT_NAME_MAX];
	struct seen_row row = { .name = name,
				.point = p->id,
				.vm = p->vm,
				.time_s = p->time_ns / 1000000000 };

	snprintf(name, sizeof(name), "%s%s", point_kept_commits.prefix,
		 p->session);
	point_listing_begin(v);
	history_note(v->history, &row);
	point_history_add(v, p, commit_hash);
	point_listing_end(v);
}

void vault_remember_note(struct vault *v, const char *name)
{
	const struct seen_row row = { .name = name };

	point_listing_begin(v);
	history_note(v->history, &row);
	v->judged.is_known = false;
	point_listing_end(v);
}

/* Notes are not listed for this. */
static bool is_no_note(void *arg, const char *name)
{
	(void)arg;
	return strncmp(name, "note/", 5) != 0;
}

int vault_look_back(struct vault *v)
{
	struct kept_wish listed = { 0 };
	char **names = NULL;
	size_t i;
	int r = history_read(v->history);

	if (!history_is_kept(v->history))
		return 0;
	if (r >= 0)
		r = kept_list(v, &point_kept_commits, &listed);
	if (r == 0)
		r = kept_list(v, &point_kept_verdicts, &listed);
	if (r == 0) {
		names = alloc_array(listed.n, sizeof(*names));
		r = names ? 0 : -ENOMEM;
	}
	for (i = 0; r == 0 && i < listed.n; i++)
		names[i] = listed.items[i].name;
	if (r == 0 && listed.n)
		qsort(names, listed.n, sizeof(*names), by_text);
	if (r == 0)
		r = history_compare(v->history, names, listed.n, is_no_note,
				    NULL, NULL);
	free(names);
	kept_release_wish(&listed);
	return r;
}

/* ---- folders ---- */

/*
 * What vaults have had from the first on, and then what those have had that were
 * made with a secret for the chunker. A folder that a later program adds is not
 * demanded of vaults that were made before it, so these lists do not grow.
 */
static bool is_demanded(const struct vault *v, const char *folder)
{
	static const char *const folders[] = {
		"commit", "index",	"key",	   "pack",
		"point",  "session",	"digest",  "feature",
		"forget", "heartbeat",	"machine", "note",
		"purge",  "quarantine", "sweep",   "tomb",
	};
	size_t i, n = v->has_all_folders ? ARRAY_SIZE(folders) : 6;

	for (i = 0; i < n; i++)
		if (strcmp(folders[i], folder) == 0)
			return true;
	return false;
}

static int on_missing(void *arg, const char *folder)
{
	struct vault *v = arg;

	return is_demanded(v, folder) ? backend_names_add(&v->missing, folder)
				      : 0;
}

int vault_note_missing(struct vault *v)
{
	size_t i;
	int r = backend_missing_folders(v->backend, on_missing, v);

	/* Errors, and not warnings: --quiet does not hide them. */
	for (i = 0; r == 0 && i < v->missing.n; i++)
		log_line(LOG_LEVEL_ERROR,
			 "vault %s: the folder %s is missing, and with it all "
			 "that was in it",
			 vault_url(v), v->missing.list[i]);
	if (r == 0 && v->missing.n > 0)
		log_line(LOG_LEVEL_ERROR,
			 "    next: put it back with all that was in it; if "
			 "this is a copy that lacks it because it was empty, "
			 "say: vmbackup check --make-folders; or accept the "
			 "loss, with: vmbackup check --accept-rollback");
	return r;
}

static int on_vanished(void *arg, const char *folder)
{
	const struct vault *v = arg;

	if (vault_lacks_folder(v, folder) || !is_demanded(v, folder))
		return 0;
	return fail(-EIO,
		    "vault %s: the folder %s was there, and is not any more: "
		    "what was in it is not taken for removed",
		    vault_url(v), folder);
}

int vault_still_stands(struct vault *v)
{
	return backend_missing_folders(v->backend, on_vanished, v);
}

bool vault_lacks_folder(const struct vault *v, const char *folder)
{
	size_t i;

	for (i = 0; i < v->missing.n; i++)
		if (strcmp(v->missing.list[i], folder) == 0)
			return true;
	return false;
}

size_t vault_missing_folders(const struct vault *v, char *const **out)
{
	*out = v->missing.list;
	return v->missing.n;
}

int vault_make_folders(struct vault *v)
{
	int r = v->missing.n ? backend_make_folders(v->backend) : 0;

	if (r == 0)
		backend_names_release(&v->missing);
	return r;
}

/* Whether what is sealed now is sealed with the newest keys. */
static int check_epoch(const struct vault *v)
{
	uint32_t mine = keyring_vault_epoch(v->keyring);

	if (v->epoch_unproven)
		return fail(-EBADMSG,
			    "%s: epoch/%u, which bears out the key in use, is "
			    "lost or damaged: nothing is written; put it back "
			    "from a copy that \"key export\" made: vmbackup "
			    "key import FILE",
			    vault_url(v), mine);
	if (v->seen_epoch > v->newest_epoch)
		return fail(-EREMCHG,
			    "%s: this vault had keys of epoch %u, and epoch/%u "
			    "is not there: nothing is written with keys that "
			    "were given up; put it back from a copy that \"key "
			    "export\" made: vmbackup key import FILE; or "
			    "accept the loss with: vmbackup check "
			    "--accept-rollback",
			    vault_url(v), v->seen_epoch, v->seen_epoch);
	if (v->newest_epoch > mine)
		return fail(-EKEYREJECTED,
			    "%s: the vault's keys were rotated, to epoch %u, "
			    "and the key in use opens only what was written "
			    "before: nothing is written with it; whoever has a "
			    "newer key can add yours: vmbackup key add; where "
			    "nobody rotated, somebody put epoch/%u: remove it",
			    vault_url(v), v->newest_epoch, v->newest_epoch);
	return 0;
}

int vault_may_mend_keys(const struct vault *v)
{
	if (v->features_damaged)
		return fail(-EBADMSG,
			    "%s: an object of feature/ cannot be read, and it "
			    "may say what this vmbackup does not know: nothing "
			    "is written to the vault; \"vmbackup check\" names "
			    "it",
			    vault_url(v));
	if (v->config_newer)
		return fail(
			-EBADMSG,
			"%s: its config is damaged, or of a newer vmbackup, "
			"and the vault was opened by the second copy: "
			"nothing is written to it; put config back from a "
			"copy that \"key export\" made",
			vault_url(v));
	if (v->features.write & ~FEATURES_WRITE)
		return fail(-EOPNOTSUPP,
			    "%s: this vault needs a newer vmbackup to be "
			    "written to; this one can read it",
			    vault_url(v));
	return 0;
}

int vault_may_write(const struct vault *v)
{
	uint64_t lost = vault_lost(v);
	int r = check_epoch(v);

	if (r < 0)
		return r;
	if (v->missing.n > 0)
		return fail(-EREMCHG,
			    "%s: nothing is written to a vault that lacks the "
			    "folder %s: put it back, or accept the loss with: "
			    "vmbackup check --accept-rollback",
			    vault_url(v), v->missing.list[0]);
	r = vault_may_mend_keys(v);
	if (r < 0)
		return r;
	/* What cannot be accepted, for nothing is remembered, was said. */
	if (lost == 0 || !history_is_kept(v->history))
		return 0;
	return fail(-EREMCHG,
		    "%s: nothing is written to a vault that has lost what it "
		    "had (%llu records): find out why, and accept it with: "
		    "vmbackup check --accept-rollback",
		    vault_url(v), (unsigned long long)lost);
}

int vault_may_collect(const struct vault *v)
{
	if (v->features.collect & ~FEATURES_COLLECT)
		return fail(-EOPNOTSUPP,
			    "%s: this vault needs a newer vmbackup to be "
			    "collected",
			    vault_url(v));
	return vault_may_write(v);
}

/* ---- what was said ---- */

#define SAID_MAX 1000
/* Anybody who can write to the store can leave any number of strays: they take no
 * room from what is said of objects. */
#define STRAYS_MAX 500

static bool has_said(const struct vault *v, const char *name)
{
	size_t i;

	for (i = 0; i < v->nsaid; i++)
		if (strcmp(v->said[i], name) == 0)
			return true;
	return false;
}

bool vault_has_said(struct vault *v, const char *name)
{
	SCOPED_LOCK(&v->lock);
	return has_said(v, name);
}

static void note_said(struct vault *v, const char *name)
{
	if (v->nsaid == SAID_MAX ||
	    array_reserve(&v->said, &v->said_cap, v->nsaid + 1) < 0)
		return;
	v->said[v->nsaid] = strdup(name);
	v->nsaid += v->said[v->nsaid] != NULL;
}

bool vault_is_news(struct vault *v, const char *name)
{
	SCOPED_LOCK(&v->lock);
	if (has_said(v, name))
		return false;
	note_said(v, name);
	return true;
}

static bool is_new_stray(struct vault *v, const char *name)
{
	SCOPED_LOCK(&v->lock);
	if (v->nstrays == STRAYS_MAX || has_said(v, name))
		return false;
	note_said(v, name);
	v->nstrays++;
	return true;
}

int vault_say_way(struct vault *v, const char *name, int r)
{
	return r >= 0 || backend_error_is_of_object(r) || r == -ENOENT ||
			       r == -EFBIG || r == -EOPNOTSUPP || r == -EINTR ||
			       r == -ECANCELED
		       ? r
		       : fail(r, "vault %s: cannot read %s: %s", vault_url(v),
			      name, strerror(-r));
}

int vault_get_again(struct vault *v, const char *name, size_t max,
		    uint8_t **out, size_t *len_out)
{
	bool said = vault_has_said(v, name), before = log_hush(said);
	int r = vault_get_up_to(v, name, max, out, len_out);

	(void)log_hush(before);
	return said ? vault_say_way(v, name, r) : r;
}

void vault_forget_said(struct vault *v)
{
	while (v->nsaid > 0)
		free(v->said[--v->nsaid]);
	free(v->said);
}

/* ---- listing ---- */

/*
 * People, their programs and filesystems leave other things in directories
 * (desktop.ini, a fifo of a test, lost+found): none of them is an object, and none
 * keeps anybody from reading those that are.
 */

struct object_filter {
	struct vault *vault;
	backend_list_fn *fn;
	void *arg;
};

static int pass_object(void *arg, const char *name,
		       const struct backend_info *info)
{
	struct object_filter *f = arg;

	if (name_is_object(name) && vault_shows(f->vault, name))
		return f->fn(f->arg, name, info);
	if (!name_is_object(name) && is_new_stray(f->vault, name))
		log_warn("vault %s: %s is no object of a vault: it is left "
			 "alone; find out who put it there",
			 vault_url(f->vault), name);
	return 0;
}

int vault_list(struct vault *v, const char *prefix, backend_list_fn *fn,
	       void *arg)
{
	struct object_filter f = { v, fn, arg };

	return backend_list(v->backend, prefix, pass_object, &f);
}

int vault_list_plain(struct vault *v, const char *prefix, backend_list_fn *fn,
		     void *arg)
{
	struct object_filter f = { v, fn, arg };

	return backend_list_plain(v->backend, prefix, pass_object, &f);
}
