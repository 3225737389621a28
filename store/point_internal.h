/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of points share: bounds, and what lists are made of. */
#ifndef STORE_POINT_INTERNAL_H
#define STORE_POINT_INTERNAL_H

#include "store/history/chain.h"
#include "store/kept.h"
#include "store/point.h"
#include "store/record/commit.h"

#define POINT_FORMAT 1
#define POINT_DOC_MAX (16u << 20)
#define POINT_SMALL_MAX (64u << 10) /* a commit, a note and the like */
#define POINT_DEPTH_MAX 32
#define POINT_TAGS_MAX 1000
#define POINT_SOURCES_MAX 100000
/* Of patterns, and of directories that were not entered. */
#define POINT_LEFT_OUT_MAX 100000
#define POINT_PATH_MAX 65535
#define POINT_TEXT_MAX 1024 /* of host, user, program */
/* A disk or config file has a shorter name, for the mount puts ".raw" or a
 * partition behind it. */
#define POINT_MEMBER_NAME_MAX 200

/* "2026-11-22T10:15:00Z" and NUL. */
#define POINT_RFC3339_LEN 21
void point_time_rfc3339(int64_t time_ns, char out[POINT_RFC3339_LEN]);

/* Whether @text begins with @len hexadecimal digits in small letters. */
bool point_hex_ok(const char *text, size_t len);
/* Sort the points of a new list and give them their names. Return 0 or -ENOMEM. */
MUST_CHECK int point_list_finish(struct point_list *l);
/* Sort the tags and drop the second of two alike. */
void point_sort_tags(struct point *p);
/* Return what is wrong with a point, in words; NULL where nothing is. */
const char *point_check(const struct point *p);

/*
 * A point that point_unpack() made has its strings and lists behind it in one
 * piece of memory. Free a part of any point: nothing happens where it lies there.
 */
void point_free_part(const struct point *p, void *part);

/* ---- point_pack.c: what the local database keeps of points ---- */

/*
 * Where another member of a point is kept or another order is taken, this grows:
 * what was kept before is not read then.
 */
#define POINT_PACK_VERSION 3
/* Take a point off @r, as point_copy() packs one. Return 0, -EBADMSG (silent) or
 * -ENOMEM. */
MUST_CHECK int point_unpack(struct reader *r, struct point **out);
/* A copy of a point, for what a list has to say of it. Return 0 or -ENOMEM. */
MUST_CHECK int point_copy(const struct point *p, struct point **out);

/* Of kinds that are listed: commits, verdicts, forgets, notes, machines. */
#define POINT_KINDS 5
extern const struct kept_kind point_kept_commits, point_kept_verdicts,
	point_kept_forgets, point_kept_notes, point_kept_machines,
	point_kept_points;

/* ---- point_notes.c: what was said of a point after it was made ---- */

/* A commit, in memory. Bytes alone. */
struct known_commit {
	struct commit commit;
	uint8_t own[COMMIT_HASH_LEN]; /* of its plaintext */
	/* A digest tells of it, or it is not worth one. */
	bool digested;
	bool in_arena; /* its memory is of many */
	/* What it follows. */
	bool is_told, is_cut;
	/* Who signed it, for which vault; that was verified. */
	bool is_signed;
	uint8_t signer[COMMIT_KEY_LEN];
	char vault[NAME_HEX + 1];
	uint8_t nrefs[2]; /* little-endian */
	struct commit_ref refs[];
};

/* In point_pack.c: decode the register called @name, for free(). Return 0, -EBADMSG,
 * said in words, -ENOMEM or -EIO. */
MUST_CHECK int known_commit_decode(const void *data, size_t len,
				   const char *name, struct known_commit **out);

/* All that points are made of, as read so far; each sorted by name. */
struct point_objects {
	struct kept_set commits; /* struct known_commit */
	struct kept_set verdicts; /* bool: purged */
	struct kept_set forgets; /* struct forget */
	struct kept_set notes; /* struct note */
	struct kept_set machines; /* struct note */
	struct kept_set points; /* struct point */
	bool points_old; /* they do not follow from the commits and verdicts */
};

/* In point_refresh.c: free what was read. */
void point_objects_release(struct point_objects *o);

/* Find the items of @s that are called "<prefix><id>-<n>". Return the index of
 * the first; they follow one another, but not in the order of n. */
size_t point_items_of(const struct kept_set *s, const char *prefix,
		      const char *id, size_t *n_out);

enum point_verdict {
	POINT_NO_VERDICT, /* or it was kept */
	POINT_UNWISHED, /* purged, but nobody wished for that */
	POINT_PURGED,
	POINT_UNKNOWN_VERDICT, /* it cannot be read */
};

/* Whoever may put objects can put a verdict. One that answers no wish hides nothing: a
 * wish is never deleted, and is in the vault for two weeks before it is answered. */
enum point_verdict point_verdict_on(const struct point_objects *o,
				    const char *id);

/* Of a point whose object could not be read: was it removed, though the wish for that is
 * lost? */
bool point_was_removed(const struct point_objects *o, const struct kept *point);

/* An object called "<prefix><id>-<number>". */
struct numbered {
	uint32_t number;
	const struct kept *item; /* borrowed */
};
/* Sort the items of point_items_of() by their numbers: @out, which the caller
 * frees. Return 0 or -ENOMEM. */
MUST_CHECK int point_number_items(const struct kept *items, size_t n,
				  const char *prefix, struct numbered **out);
/*
 * The number of the next of them: one more than the greatest, so that it is the
 * last word. Garbage under a number over INT32_MAX, which nobody reaches who
 * counts, does not use up the numbers. UINT32_MAX: there is none left.
 */
uint32_t point_next_number(const struct numbered *sorted, size_t n);
/* Give a point its notes and what follows from them; the items are those of
 * point_items_of(). Return 0 or -ENOMEM. */
MUST_CHECK int point_apply_notes(struct point *p, const struct kept *items,
				 size_t n);

/*
 * Give a point the wishes to remove it that nobody has answered: @items are those of
 * point_items_of(). One that cannot be read is noted as such; one whose answer
 * cannot is none.
 * Return 0 or -ENOMEM.
 */
MUST_CHECK int point_apply_forgets(struct point *p,
				   const struct point_objects *o,
				   const struct kept *items, size_t n);

/* ---- point_build.c ---- */

/*
 * Make a list of the points in @o, with those that are forgotten where they are to
 * be shown, and put it into *out, which the caller puts back. Return 0 or a
 * negative errno.
 */
MUST_CHECK int point_list_build(struct vault *v, const struct point_objects *o,
				bool shows_forgotten, struct point_list **out);

/* ---- point_signers.c ---- */

/* Let *@mark_out say, for free(), of each commit whether it was there when what was
 * missing was accepted, and so that is known of it. Return 0 or -ENOMEM. */
MUST_CHECK int point_mark_settled(struct vault *v, bool **mark_out);
/* Before points are judged: find which commits count though their key was revoked
 * later. Return 0 or -ENOMEM. */
MUST_CHECK int point_find_kept(struct vault *v, const struct point_objects *o);
/* Which signature a point has, of a machine that lists call @machine. */
enum point_signature point_judge_signature(const struct vault *v,
					   const struct point_objects *o,
					   const struct point *p,
					   const char *machine);
/* Note in @l, which is in order, who signed its points, remember who signs first for a
 * machine, and say what is wrong with that. Return 0 or a negative errno. */
MUST_CHECK int point_judge_signers(struct vault *v,
				   const struct point_objects *o,
				   struct point_list *l);
/* As vault_demands_signatures(), for the thread that lists. */
bool point_demands_signatures(const struct vault *v);
/* The vault demands signatures: remember it, so that nobody takes that away
 * unnoticed. Return 0 or a negative errno. */
MUST_CHECK int point_remember_demand(struct vault *v);

/* ---- point_history.c ---- */

/* Before the objects are listed: read what was seen of the vault, where it has to be
 * compared. Return as history_read(). */
MUST_CHECK int point_history_begin(struct vault *v);
#define POINT_HISTORY_LATER 1
/*
 * Compare what was read of the vault with that, unless it was, and say what does not
 * fit. Return 0, a negative errno, or POINT_HISTORY_LATER: all objects are to be listed
 * again first, for what was seen has come since.
 */
MUST_CHECK int point_history_compare(struct vault *v);
/* Whether the points are known to be just those that commits and verdicts name. */
bool point_history_knows_points(struct vault *v);
/* This process made the point, and history_note() has noted it. */
void point_history_add(struct vault *v, const struct point *p,
		       const uint8_t *commit_hash);
/* Whether what a commit says that it follows is believed: who reads nothing cannot know
 * what there is, and accuses nobody. One that could not be read says nothing. */
bool point_commit_tells(const struct vault *v, const struct kept *item);
/* As chain_judge(), of the commits that were read. Return 0 or
 * -ENOMEM; @out is to be released either way. */
MUST_CHECK int point_judge_chain(struct vault *v, bool forks,
				 struct chain *out);

/* ---- point_refresh.c ---- */

/* One thread at a time has the objects of an open vault; between these it does. */
void point_listing_begin(struct vault *v);
void point_listing_end(struct vault *v);

/* ---- point_digest.c: what digests say of many of them at once ---- */

/*
 * Add to @o what digests say of those of @wanted, sorted, that it has not, where
 * they are many. What digests do not tell is read otherwise: whatever is wrong with
 * one is said, and no error. For the thread that lists. Return 0, -ENOMEM, or
 * -EINTR.
 */
MUST_CHECK int point_digests_gather(struct vault *v,
				    const struct kept_wish *wanted,
				    struct point_objects *o);

/* ---- point_names.c: what machines are called now ---- */

struct naming_row {
	char id[POINT_ID_HEX + 1];
	const char *name; /* borrowed from the objects */
	int64_t time_ns; /* of its newest point */
	bool has_several; /* its points have several names */
	bool in_doubt; /* as in struct point_machine */
	char *shown; /* owned; NULL: the name as it is */
};

struct naming {
	struct vault *vault; /* borrowed */
	struct naming_row *rows; /* owned; sorted by id */
	size_t n;
};

/* Work out the names of all machines that have points; what is odd about them is
 * said once. Return 0 or a negative errno. */
MUST_CHECK int naming_make(struct vault *v, const struct point_objects *o,
			   struct naming *out);
void naming_release(struct naming *n);
/* What the machine of @p is called now; borrowed. */
const char *naming_find(const struct naming *n, const struct point *p);
/* Note in @l which machines were given names, or have a name in doubt. Return 0
 * or -ENOMEM. */
MUST_CHECK int naming_machines(const struct point_objects *o,
			       const struct naming *naming,
			       struct point_list *l);

#endif
