/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of an open vault; for store/ alone. */
#ifndef STORE_VAULT_INTERNAL_H
#define STORE_VAULT_INTERNAL_H

#include "store/vault.h"

#include <pthread.h>
#include <stdatomic.h>

#include "store/backend/names.h"
#include "store/format.h"
#include "store/history/seen.h"
#include "store/history/trust.h"
#include "store/point_internal.h"
#include "store/record/config.h"

struct cache;
struct history;
struct parity_reader;
struct point_list;

/* What keyring_id() is told where it proves what the local database keeps: no
 * type of a chunk. */
#define LOCAL_PACK 0xf0
#define LOCAL_OBJECT 0xf1

/* How many names, and the sum of their keyed hashes: whoever has not the key
 * cannot make two sets of names whose sums agree. */
struct name_sum {
	uint64_t n, sum;
};

/* The index objects that were listed, and the sources that stand for them. */
struct index_record {
	struct name_sum listed, known;
};

/* What was found whole when it was compared with what was seen; of whoever lists. */
struct point_judged {
	bool was_asked; /* the database was */
	bool is_known; /* the rest is set */
	struct seen_stamp file;
	struct name_sum commits, notes, verdicts, points;
	struct buf trust; /* who may sign, as the file says it */
};

struct vault {
	struct seam *seam; /* borrowed */
	struct backend *backend; /* owned, unless borrowed_backend */
	bool borrowed_backend;
	struct catalog *catalog; /* owned */
	struct keyring *keyring; /* owned */
	struct feature_words features; /* of config and feature/ together */
	uint8_t chunker[CHUNKER_LEN]; /* config's; zeros where it has none */
	bool has_chunker;
	/* An object of feature/ cannot be read: nobody knows what a program that
	 * writes would have to know. */
	bool features_damaged;
	/* The newest epoch of keys that there is, as it was listed; the keyring's
	 * is earlier where the slot that opened the vault is. */
	uint32_t newest_epoch;
	bool epoch_unproven; /* nothing bears out that the keyring's is one */
	uint32_t seen_epoch; /* the newest that this machine has met before */
	char *epoch_file; /* where that is kept; owned, may be NULL */
	/* It was made with a folder for each kind of object of today. */
	bool has_all_folders;
	struct backend_names
		missing; /* folders that were not there at opening */
	struct history *history; /* owned; of whoever lists the points */
	/* Whom this process trusts beside those that are remembered; what it
	 * holds is owned. */
	struct trust trusted_now;
	bool has_own_key; /* the key of this machine was looked for */
	/* Sessions whose keys were revoked after they committed; sorted, owned. */
	uint8_t (*kept)[COMMIT_SID_LEN];
	size_t nkept, kept_cap;
	char id_hex[2 * VAULT_ID_LEN + 1];
	/* of the folder in the cache directory: the id, '-', and 16 hex digits
	 * that follow from where the vault is */
	char cache_name[2 * VAULT_ID_LEN + 18 + sizeof("-put-ffffffff")];
	char slot[33]; /* the key slot that opened it */
	struct buf slot_object; /* that slot, as stored; owned */
	struct buf config; /* the one that was believed, as stored; owned */
	bool config_hurt; /* that is the copy, for config is gone or damaged */
	bool config_newer; /* or, as far as can be told, of a newer program */
	uint8_t sum_key[16]; /* of struct name_sum */
	atomic_bool index_read; /* it was, at least once */
	bool no_verify;
	unsigned int parity; /* percent that writers make */
	struct parity_reader *parity_reader; /* owned */
	struct cache *packs; /* pack number -> struct pack_info */
	struct cache *frames; /* pack number, frame -> plaintext */
	/* chunk, pack number -> that copy was compared with the chunk's id */
	struct cache *proofs;
	struct cache *nodes; /* chunk id -> struct node */
	pthread_cond_t mended; /* vault_mend() was done */
	pthread_cond_t listed; /* is_listing became false */
	pthread_mutex_t lock; /* protects what follows, to nstrays */
	bool mending;
	int64_t mend_ns; /* when that was done last; monotonic; 0: never */
	struct point_list *points; /* the last list; owned */
	/* Some thread lists the points: the next seven are its alone. */
	bool is_listing;
	struct point_objects objects;
	bool no_digests; /* vault_distrust_digests() */
	bool shows_forgotten; /* the same: vault_show_forgotten() */
	bool shows_untrusted; /* the same: vault_show_untrusted() */
	bool is_loaded; /* @objects began with what the database has */
	bool is_list_old; /* @points is not made of @objects */
	size_t trust_rows; /* so much was known of signers then */
	struct point_judged judged;
	bool stamped; /* the stamps are of before the last listing */
	struct backend_stamp stamps[POINT_KINDS]; /* of the folders */
	struct index_record index_record; /* of the last refresh */
	char **said; /* of what it was said already; owned, and so is each */
	size_t nsaid, said_cap;
	size_t nstrays; /* so many of these are of no object */
	atomic_uint_fast64_t gets, get_bytes, damage;
	atomic_uint_fast64_t lists; /* how often the points were listed */
	/* lists, when the index was last read */
	atomic_uint_fast64_t refresh_lists;
	atomic_int_fast64_t refresh_ns; /* when that was; monotonic */
	/* the sum of the names of index objects that could not be read then */
	atomic_uint_fast64_t refresh_bad;
	atomic_uint_fast64_t mends; /* how often vault_mend() was done */
};

/*
 * A box of any length, whose plaintext is given in pieces: with at most 17 MiB of
 * memory for an ordinary one and 10 for one that is longer.
 * box_pieces_open() authenticates all of it. Return 0; -ENOENT; -EBADMSG (it is
 * damaged, or compressed with a window that is larger than the format allows) or
 * another negative errno, said in words. @name stays borrowed.
 */
struct box_pieces;
/* How long an object may be that is ordinary, for tests to change: 17 MiB. */
extern size_t box_pieces_kept_max;
MUST_CHECK int box_pieces_open(struct vault *v, uint8_t type, const char *name,
			       struct box_pieces **out);
void box_pieces_free(struct box_pieces *b);
uint64_t box_pieces_len(const struct box_pieces *b);
/* Call @fn with each piece of the plaintext, from the first byte on, until it
 * returns other than 0; any number of times. Return that, 0, or a negative errno,
 * said in words. */
MUST_CHECK int
box_pieces_read(struct box_pieces *b,
		int (*fn)(void *arg, const void *data, size_t len), void *arg);
/*
 * Read the whole index again, and make the local database say what that says.
 * @doubted: it said something else, which is worth a warning. @mends: v->mends,
 * from before it was asked; where others have mended since, or are at it, that
 * serves this caller, too. Return 0; -ENOTRECOVERABLE (it was done just now, and
 * it is wrong again: said); or what vault_refresh() returns.
 */
MUST_CHECK int vault_mend(struct vault *v, uint64_t mends, bool doubted);
/* Note in v->missing which folders are not there, and say so. Return 0 or a
 * negative errno. */
MUST_CHECK int vault_note_missing(struct vault *v);
/* Whether that folder was not there at opening, and has not been made since. */
bool vault_lacks_folder(const struct vault *v, const char *folder);
/* Is every folder there that was when the vault was opened? Return 0, -EIO (one
 * has gone since, and its objects are not to be taken for gone; said in words) or
 * another negative errno. */
MUST_CHECK int vault_still_stands(struct vault *v);
/* ---- vault_put.c ---- */

/* Whether the key that opened the vault can open what is called so: vault_is_put_only().
 * */
bool vault_shows(const struct vault *v, const char *name);
/* Once the local database is open, let it keep the keys of objects. */
void vault_keep_put_keys(struct vault *v);

/* ---- index.c ---- */

struct index_visitor;
/* Decode an index object that was opened as a box. Return as index_read(). */
MUST_CHECK int index_read_box(struct box_pieces *box, const char *name,
			      const struct index_visitor *visitor);
/* A writer that reads nothing speaks for what it stored alone: may the object @index
 * ("index/<sid>-<n>") say something of @named, a pack of @epoch, or, with 0 for that, a
 * further index object? Return 0 or -EBADMSG, said in words. */
MUST_CHECK int index_may_name(const struct vault *v, const char *index,
			      const char *named, uint32_t epoch);
struct index_item {
	const char *name; /* of the object; borrowed */
	uint64_t size; /* as it was listed; 0: not known */
	int error; /* what became of it: 0 or a negative errno, said in words */
};
/*
 * Fetch index objects, many at once, and import them; @again: those that are
 * imported already, too. Return 0, or a negative errno that is not of one of
 * them alone.
 */
MUST_CHECK int index_import(struct vault *v, struct index_item *items, size_t n,
			    bool again);
/* In pack_import.c: the same of one object, in little memory however long it is.
 * Return 0 or a negative errno, said in words. */
MUST_CHECK int index_import_long(struct vault *v, const char *name, bool again);
/*
 * Where index objects that were imported did not say the same of a pack, ask the pack:
 * its own directory, which is sealed under its own name, is what counts. Return 0 or a
 * negative errno; a pack that cannot be asked stays as it was named first.
 */
MUST_CHECK int vault_settle_disputes(struct vault *v);
/* Whether index objects name the pack of the source "pack/..." as well, or nobody
 * knows it. Return 1, 0 or a negative errno. */
MUST_CHECK int pack_told_is_named(struct vault *v, const char *source);
/* What a source supersedes is kept in the database under this name, a line each. */
#define INDEX_NOTE_MAX (OBJECT_NAME_MAX + 16)
void index_note_name(const char *source, char out[INDEX_NOTE_MAX]);

/* ---- vault.c ---- */

/* As vault_get_all(), but -EFBIG where the object is longer than @max; silent. */
MUST_CHECK int vault_get_up_to(struct vault *v, const char *name, size_t max,
			       uint8_t **out, size_t *len_out);

/* Say that an object is longer than @max. Return -EBADMSG. */
int vault_fail_too_long(const char *name, size_t max);

/* Take a name into a sum, or out of it. */
void vault_sum_add(const struct vault *v, struct name_sum *s, const char *name);
void vault_sum_remove(const struct vault *v, struct name_sum *s,
		      const char *name);
/* Whether something was said of @name, so that it is not said again while the vault
 * is open: that it is a stray, or damaged. */
bool vault_has_said(struct vault *v, const char *name);
/* Remember that. Return false where it was known. Where there is no more room to
 * remember it is news each time, for damage is said rather twice than never. */
bool vault_is_news(struct vault *v, const char *name);
/* Say the error @r of what was hushed, unless it is the object's own or somebody
 * asked for an end. Return it. */
int vault_say_way(struct vault *v, const char *name, int r);
/* As vault_get_up_to(), for an object of which something was said: that it is damaged is
 * not said again, but what is wrong on the way to it is. */
MUST_CHECK int vault_get_again(struct vault *v, const char *name, size_t max,
			       uint8_t **out, size_t *len_out);
/* For when the vault is closed. */
void vault_forget_said(struct vault *v);

#endif
