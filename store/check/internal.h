/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a check; private to store/check. */
#ifndef STORE_CHECK_INTERNAL_H
#define STORE_CHECK_INTERNAL_H

#include "store/check/check.h"

#include <pthread.h>
#include <string.h>

#include "store/base/buf.h"
#include "store/base/idset.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/check/memo.h"
#include "store/crypt/crypt.h"
#include "store/format.h"
#include "store/record/pack_list.h"
#include "store/record/quarantine.h"
#include "store/record/verified.h"

struct index_pack;

/* A pack that was listed. */
struct check_pack {
	char name[PACK_NAME_MAX];
	uint64_t size; /* as listed */
	bool indexed;
	bool bad; /* of another size than the index says */
	bool whole; /* all of it was read and found right */
	bool entered; /* and this is in the ledger */
	uint8_t who; /* verified it: index into check_ledger.names */
	int64_t verified_s; /* when it was last whole, since 1970; 0: never */
	int64_t placed_s; /* since when it is there; 0: not known */
	uint16_t parity; /* bit n: it has parity of number n */
};

/* An object of the ledger. */
struct ledger_item {
	char name[VERIFIED_OBJECT_MAX]; /* without its folder */
	int64_t stored_ns;
	enum {
		LEDGER_LISTED,
		LEDGER_IN_USE,
		LEDGER_GONE, /* another supersedes it */
		LEDGER_DAMAGED,
	} state;
};

/* The hash in a pack's name, 64 digits. */
static inline const char *pack_name_hash(const char *name)
{
	return name + strlen(name) - 2 * CRYPT_SHA256_LEN;
}

/* A flipped bit can make a version or an epoch a later one, too. */
#define NEWER_OR_DAMAGED "needs a newer key or vmbackup, or is damaged"

/* What checks verified before, and what this one adds to it (ledger.c,
 * ledger_put.c). */
struct check_ledger {
	struct check_pack **by_hash; /* owned; NULL: it was not read */
	size_t n;
	char *names[VERIFIED_NAMES_MAX]; /* owned; 0: this check's; 1: "" */
	size_t nnames;
	struct ledger_item *items; /* owned; by name */
	size_t nitems, items_cap;
	bool says_points; /* of which something was lost, these: */
	char (*points)[NAME_HEX + 1]; /* owned; sorted */
	size_t npoints, points_cap;
	int64_t now_s; /* when the ledger was read */
	int64_t put_ns; /* when it was put last, on the monotonic clock */
	char sid[NAME_HEX + 1];
	uint32_t next_n;
};

/* A pack that an index object names and that was not listed so. */
struct check_suspect {
	char name[PACK_NAME_MAX];
	uint64_t size; /* as the index has it */
	size_t index; /* where the object's name begins in check.names */
	bool condemned;
};

/* A wish, or the verdict on it: "<point>-<n>". */
struct check_wish {
	char name[NAME_HEX + 12];
	int64_t stored_ns; /* of a wish */
};

/* A chunk that cannot be had though its pack is there, and why. */
struct bad_chunk {
	struct id id;
	size_t finding; /* index into the result's */
};

struct check {
	struct vault *vault; /* NULL: a scrub */
	struct backend *backend;
	struct seam *seam;
	const struct check_options *o;
	struct check_result *out;
	struct task *task; /* borrowed */
	struct check_progress progress; /* of the calling thread */

	struct buf names; /* of objects to open, each with its NUL */
	bool index_gone; /* an index object went before it was read */
	struct buf parity; /* names of parity objects, each with its NUL */
	struct check_pack *packs; /* by name; owned */
	size_t npacks, packs_cap;
	size_t nsorted; /* of them; those behind are to be sorted in */
	struct check_suspect *suspects; /* owned */
	size_t nsuspects, suspects_cap;
	/* Packs of which an index object does not say what the database does, and
	 * those of them that were asked themselves: what they say is in the
	 * database now; sorted. */
	struct pack_list disputed, settled;
	const char *judged; /* an index object that is gone through for that */
	struct quarantine_list quarantine; /* as listed; sorted */
	struct idset committed; /* points that a commit names */
	struct idset facts; /* what registers and points say: digests.c */
	bool has_facts; /* they are complete: digests are opened now */
	struct check_wish *wishes; /* owned; sorted by check_removals() */
	size_t nwishes, wishes_cap;
	struct check_wish *removals; /* owned */
	size_t nremovals, removals_cap;
	int64_t window_ns; /* so old a wish has to be, by window/ */
	/* The points of the list, by id; owned, they are borrowed. */
	const struct point **by_id;
	uint8_t *good; /* a bit for each number of a pack that is there with
			* its size; owned */
	size_t good_len; /* bytes */
	struct memo seen; /* nodes of trees and of extent maps */
	struct check_ledger ledger;
	int64_t begun_ns; /* on the monotonic clock */
	uint8_t *hurt; /* a byte for each point: something of it is lost, and
			* each check will find that; owned */

	pthread_mutex_t lock; /* protects what follows, and out->findings */
	size_t findings_cap; /* of out->findings */
	size_t *slots; /* findings by object: index + 1, 0 is free; owned */
	size_t nslots; /* a power of two, or 0 */
	uint8_t hash_key[16];
	bool any_gone; /* some pack that an index object names is not there */
	struct idset bad; /* ids of bad_chunks */
	struct bad_chunk *bad_chunks; /* owned; sorted by id by check_users() */
	size_t nbad, bad_cap;
	uint64_t packs_read, bytes_read;
	int error; /* of a reading thread */
};

/* ---- findings (report.c) ---- */

/* Return the number of the finding about @object, which is made with that text
 * where there is none yet; or -ENOMEM. It takes the lock. */
PRINTF(4, 5)
int check_found(struct check *c, bool damage, const char *object,
		const char *fmt, ...);
/* Return the finding of damage about @object, or NULL. It takes the lock. */
struct check_finding *check_find(struct check *c, const char *object);
/* Note that a chunk is lost with finding @n; a negative @n is an error, and
 * returned. Return 0 or -ENOMEM. */
MUST_CHECK int check_lost(struct check *c, int n, const struct id *id);
void check_finding_free(struct check_finding *f);
/* Take out the findings that turned out to be none. */
void check_drop_findings(struct check *c);
/* Tell how far the check is, if it is time. Return 0, or -EINTR where it is to
 * stop. */
MUST_CHECK int check_tick(struct check *c);

/* ---- packs that are there (standing.c) ---- */

/* Note a pack that was listed. Return 0 or -ENOMEM. */
MUST_CHECK int check_add_pack(struct check *c, const char *object,
			      uint64_t size);
void check_sort_packs(struct check *c);
/* Return the pack of that name, or NULL. */
struct check_pack *check_find_pack(struct check *c, const char *name);
/* Note that an index object names a pack that was not listed with that size.
 * Return 0 or -ENOMEM. */
MUST_CHECK int check_add_suspect(struct check *c, const char *name,
				 uint64_t size, size_t index);
/* Ask for each suspect itself, and report those that are not there. */
MUST_CHECK int check_suspects(struct check *c);
/* Ask packs of which index objects do not say the same, and report those that
 * lie. */
MUST_CHECK int check_disputes(struct check *c);
/* Does the index say of the pack just that? Return 1, 0 or a negative errno. */
MUST_CHECK int check_is_undisputed(struct check *c, const struct index_pack *p);
/* An index object says of a pack what is not so: report it. */
MUST_CHECK int check_found_lie(struct check *c, const char *index,
			       const char *pack);
/* Fill check.good, once all packs are known. */
MUST_CHECK int check_mark_good(struct check *c);
/* Is the pack of that number in the database there, with its size? */
bool check_pack_good(const struct check *c, int64_t no);
/* The same, but one that was not listed is asked for itself, and reported where
 * it is not there. Return 1, 0 or a negative errno. */
MUST_CHECK int check_pack_stands(struct check *c, int64_t no);
/* Ask for a pack of which something could not be read. As
 * check_pack_stands(); @object_out: the name of its object. */
MUST_CHECK int check_pack_asked(struct check *c, int64_t no,
				char object_out[OBJECT_NAME_MAX]);
/* Nothing that this pack holds can be read. It takes the lock. Return 0 or a
 * negative errno. */
MUST_CHECK int check_pack_gone(struct check *c, const char *name);
/* Of packs that are gone, tell those that a collection condemned: that is no
 * damage but where a point uses them. */
MUST_CHECK int check_condemned(struct check *c);

/* ---- index objects (indexes.c) ---- */

/* Read the index object whose name begins at @at in check.names, and compare what
 * it says of packs with what was listed. As index_read(). */
MUST_CHECK int check_read_index(struct check *c, size_t at);
/* Does another index object say that nobody needs the one called @name? */
bool check_index_superseded(struct check *c, const char *name);
/* List index/ and add the names that are not in check.names. Return 0 or a negative
 * errno. */
MUST_CHECK int check_list_new_indexes(struct check *c);
/*
 * An index object that is gone is missed by nobody but the points that stand on
 * it. Packs are asked for what it said, as readers do, and the next backup names
 * them again, under another name.
 */
MUST_CHECK int check_make_up_for_indexes(struct check *c);
/* The same where a pack is not there, once they were listed: another one may hold what
 * it did, and no index object name that, as in a copy that was made while a collection
 * rewrote packs. */
MUST_CHECK int check_make_up_for_packs(struct check *c);
/*
 * Count the packs that no index object names, and report those of sessions that
 * made a point. There can be very many of sessions that died or are at work. What a
 * session has that made a point was named before the point was made.
 */
MUST_CHECK int check_unindexed(struct check *c);

/* ---- what registers claim (claims.c) ---- */

/* Sort the points that were listed. Return 0 or -ENOMEM. */
MUST_CHECK int check_sort_points(struct check *c);
/* Note a wish that was listed, or a verdict that says that a point was removed. Return 0
 * or -ENOMEM. */
MUST_CHECK int check_add_wish(struct check *c, const char *name,
			      int64_t stored_ns);
MUST_CHECK int check_add_removal(struct check *c, const char *name);
/* Report verdicts that answer no wish. Return 0 or a negative errno. */
MUST_CHECK int check_removals(struct check *c);
/* A register, by the name of its object, names that point: report it where the point is
 * that of another session. Return 0 or -ENOMEM. */
MUST_CHECK int check_claim(struct check *c, const char *commit,
			   const char *point);

/* ---- digests (digests.c) ---- */

/* Keep what a register or a point says, to compare digests with it; other types say
 * nothing here. Return 0 or a negative errno. */
MUST_CHECK int check_note_fact(struct check *c, uint8_t type, const void *data,
			       size_t len, const char *name);
/* Open a digest, once all else was opened, and report where it says something else, and
 * registers that it has and the vault has not. As check_open(). */
MUST_CHECK int check_digest(struct check *c, const char *name);

/* ---- parts of a check ---- */

/* Note an object to be opened. Return 0 or -ENOMEM. */
MUST_CHECK int check_add_name(struct check *c, const char *name);
/* Return a point's or session's id as a key of a set. */
struct id check_key_of(const char *hex);

/* Compare config with its copy. Return 0 or a negative errno. */
MUST_CHECK int check_config(struct check *c);
/* Look whether each epoch's object is right, and count packs with older keys. Return 0 or a negative errno. */
MUST_CHECK int check_epochs(struct check *c);
/* List and open objects; fill packs, good and points. */
MUST_CHECK int check_objects(struct check *c);
/* Open an object that is a box into @out. Return 0, -ENOENT, -EBADMSG or another
 * negative errno; all but -ENOENT said in words. */
MUST_CHECK int check_open(struct check *c, uint8_t type, const char *name,
			  struct buf *out);
/* Look whether the plaintext of an object of that type means something, where
 * this version knows of it. Return 0, -EBADMSG (said in words) or -ENOMEM. */
MUST_CHECK int check_record(uint8_t type, const void *data, size_t len,
			    const char *name);
/* What it means that an object of that type is damaged, from "; " on, or "". */
const char *check_what_is_lost(uint8_t type);
/* Report the folders that are missing. Return 0 or -ENOMEM. */
MUST_CHECK int check_folders(struct check *c);
/* List packs alone, for a scrub. */
MUST_CHECK int check_list_packs(struct check *c);
/* Walk all trees. */
MUST_CHECK int check_trees(struct check *c);
/* Find the points and paths that use the chunks that are lost. */
MUST_CHECK int check_users(struct check *c);
/* Add a point and path that a finding shows at. Return 0 or -ENOMEM. */
MUST_CHECK int check_add_place(struct check *c, struct check_finding *f,
			       size_t point, const char *path);
/* Read disks and compare them with their digests. */
MUST_CHECK int check_disks(struct check *c);
/* Read packs, and compare them with their names, the index and their seals. */
MUST_CHECK int check_packs(struct check *c);
/* Leave the packs that are to be read, in the order in which that is to be done, at
 * the front of @order, which holds @n_inout (select.c). Return 0 or a negative
 * errno. */
MUST_CHECK int check_select(struct check *c, struct check_pack **order,
			    size_t *n_inout);
/* Does the check read only what the ledger or the budget tells it to? */
static inline bool check_is_budgeted(const struct check_options *o)
{
	return o->max_age_s || o->budget_ns || o->budget_bytes;
}
/* Put packs that are proven to be damaged into quarantine, and let out those
 * that were read and found whole. */
MUST_CHECK int check_quarantine(struct check *c);
/* Note a parity object that was listed. Return 0 or -ENOMEM. */
MUST_CHECK int check_add_parity(struct check *c, const char *name,
				uint64_t size);
/* Once packs are sorted, note which of them have parity. Return 0. */
MUST_CHECK int check_match_parity(struct check *c);
/* Read the parity of a pack, and report it where none of it is as it was made of
 * <@data, @len>, the pack's bytes, which are those of its name; NULL: they are not
 * known. It takes the lock. Return 0 or a negative errno. */
MUST_CHECK int check_parity_of(struct check *c, const struct check_pack *p,
			       const void *data, size_t len);
/* Of damaged packs that are there, tell those that parity mends. Return 0 or a negative
 * errno. */
MUST_CHECK int check_mendable(struct check *c);
/* Is the pack of that name in quarantine, by what was listed? */
bool check_in_quarantine(struct check *c, const char *pack);
/* Of damaged packs, tell those that were known to be, and of which nothing is needed.
 * Return 0 or -ENOMEM. */
MUST_CHECK int check_excuse_known(struct check *c);

/* ---- the ledger (ledger.c) ---- */

#define CHECK_LEDGER "ledger/"
/* Read what was verified before, once all packs are known. Return 0 or a negative
 * errno; what is damaged is reported. */
MUST_CHECK int check_ledger_read(struct check *c);
/* Of the packs by their hashes, is there another that is called like number @i? Two
 * that cannot be told apart are never verified. */
bool check_ledger_is_twin(const struct check_ledger *l, size_t i);
/* Note an object; check_ledger_sort() once they are all there. Return 0 or
 * -ENOMEM. */
MUST_CHECK int check_ledger_add(struct check_ledger *l, const char *name,
				int64_t stored_ns);
void check_ledger_sort(struct check_ledger *l);
/* Put what was verified since. @is_end: the check came to its end, so that it is known
 * which points are hurt. What fails is noted in the result. Return 0 or -ENOMEM. */
MUST_CHECK int check_ledger_put(struct check *c, bool is_end);
/* The same, where the last time is ten minutes ago. */
MUST_CHECK int check_ledger_tick(struct check *c);
/* Find the points that are whole again, and say how much is verified. Return 0 or
 * -ENOMEM. */
MUST_CHECK int check_ledger_tell(struct check *c);
void check_ledger_release(struct check_ledger *l);

#endif
