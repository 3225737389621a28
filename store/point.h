/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A recovery point: the JSON that its object holds, in memory. Immutable once
 * listed; shared and counted.
 */
#ifndef STORE_POINT_H
#define STORE_POINT_H

#include "store/base/attrs.h"
#include "store/base/buf.h"
#include "store/base/id.h"

#include <stdatomic.h>
#include <stdbool.h>

struct arena;
struct commit_after;
struct content_ref;
struct note;
struct vault;

#define POINT_ID_HEX 32
#define POINT_NAME_MAX 255 /* of a machine, a tag */

#define POINT_INDEX_MAX 1000 /* index objects that a point names */
#define POINT_DISKS_MAX 1024
#define POINT_CONFIGS_MAX 1024
#define POINT_CONTENT_MAX 4096 /* encoded content of one of them */
#define POINT_SOURCE_MAX 1000 /* bytes kept of a disk's source */

/* A disk of the machine: content whose data are CHUNK_DISK (content.h). */
struct point_disk {
	char *name; /* a name as vm, without a '.' in front; owned */
	uint64_t size; /* bytes */
	/* bytes that are neither hole nor zeros: what is stored */
	uint64_t used;
	uint32_t sector; /* logical sector: 512 to 65536, a power of two */
	char *format; /* of the source: "raw", "qcow2", ...; owned */
	/* where it was read from, for people, POINT_SOURCE_MAX bytes of it;
	 * owned */
	char *source;
	/* the dirty bitmap that marks what changed since this point; owned,
	 * NULL: none is known */
	char *bitmap;
	uint8_t *content; /* encoded; owned */
	size_t content_len;
	/* SHA-256 of the used bytes as they were read (vmbackup-vault(5)); not
	 * there where a hint let some of them be passed over. */
	bool has_sha256;
	uint8_t sha256[32];
};

/* A file saved with the point: "domain.xml". Content of CHUNK_DATA. */
struct point_config {
	char *name; /* as a disk's; owned */
	uint64_t size;
	uint8_t *content; /* encoded; owned */
	size_t content_len;
};

/* A pattern as it was given to the backup; src/scan/exclude.h says what it
 * matches. */
struct point_pattern {
	char *text; /* owned */
	bool ignore_case;
};

/*
 * What a backup left out although it lies below the sources. What is left out
 * is not known to be gone: whoever makes a tree be as the point says has to
 * spare it.
 */
struct point_left_out {
	/* False in points that were written before this was noted. */
	bool known;
	struct point_pattern *patterns; /* owned; in order, the last decides */
	size_t npatterns;
	bool one_file_system; /* mount points were not entered */
	/* Of directories with a CACHEDIR.TAG only that file was taken. */
	bool caches;
	/* Directories that the backup did not enter or not wholly, for they
	 * are on another filesystem than their source or hold the vault or its
	 * cache; absolute, sorted, each once; owned. A source stands here
	 * itself where there were too many to list. */
	char **mounts;
	size_t nmounts;
};

struct point {
	char id[POINT_ID_HEX + 1];
	char session[POINT_ID_HEX + 1];
	/* a name: 1..255 bytes, no '/', no control characters, not "." or
	 * ".."; owned */
	char *vm;
	char *host; /* owned */
	char *user; /* owned, may be NULL */
	int64_t time_ns; /* since 1970, UTC; whole seconds */
	char **tags; /* owned, each a name as vm; sorted */
	size_t ntags;
	char **sources; /* owned: paths as given, absolute */
	size_t nsources;
	struct point_left_out left_out; /* below the sources */
	char parent[POINT_ID_HEX + 1]; /* "" where none */
	/*
	 * The point stands on these index objects ("<sid>-<n>"): they, or those
	 * that supersede them, name a pack for each chunk below it. Sorted,
	 * each once; owned.
	 */
	char **index;
	size_t nindex;
	/* False in points that were written before this was noted, or that
	 * stand on too many. */
	bool has_index;
	bool has_tree;
	struct id root; /* of the tree */
	/* in the tree; regular files and their sizes */
	uint64_t entries, files, bytes;
	struct point_disk *disks; /* owned; sorted by name, no name twice */
	size_t ndisks;
	struct point_config *configs; /* owned; the same */
	size_t nconfigs;
	/* something could not be read, or changed while read */
	bool incomplete;
	uint64_t errors; /* how many */
	bool has_acl; /* some entry has a POSIX ACL */
	int64_t scan_start_ns; /* when reading the source began */
	uint64_t data_added; /* bytes of new chunks, plain */
	uint64_t data_added_packed; /* bytes of new objects */
	char *program; /* version that wrote it; owned */
	/*
	 * The machine's id, which stays when its name changes. Points that were
	 * written before there were ids have the one that follows from the
	 * name (point_machine_of()).
	 */
	char machine[POINT_ID_HEX + 1];
	/*
	 * Set by vault_points(), never stored: whether the point was purged
	 * cannot be read. It is shown, but nothing may be taken over from it
	 * without a look at each chunk.
	 */
	bool verdict_unknown;
	/* Set by vault_points(), never stored: the vault demands signatures, and
	 * the point has none of one who may sign for its machine. It counts as
	 * damaged: it is nobody's latest, and nothing is taken over from it. */
	bool is_untrusted;
	/*
	 * Set by vault_points(), never stored: a verdict says that the point was
	 * removed, and no wish is listed that it would answer. It counts for nothing
	 * (vmbackup check names it), but nothing is taken over unseen here, either.
	 */
	bool has_unwished_verdict;
	/* Set by vault_points(), never stored: the notes on the point, in
	 * order; owned. The tags are those that the notes leave. */
	struct note *notes;
	size_t nnotes;
	/* By the notes the point may not be removed; one that cannot be read or
	 * is missing counts as one that says so, at its place. */
	bool is_protected;
	/* Notes are never removed: where the number of one is missing below
	 * that of another, it is lost. Settled: a later one says whether the
	 * point is protected. @missing_note is the first for which none does,
	 * or else the first of all. */
	bool has_missing_note, missing_is_settled;
	uint32_t missing_note;
	uint32_t next_note; /* the number of its next, note/<id>-<next> */
	/* By the notes: all of it was read, and was right; something is wrong
	 * with it, as somebody or something found; it was asked to stay until
	 * then, or 0. */
	bool is_verified, is_suspicious;
	int64_t keep_until_ns;
	/*
	 * Set by vault_points(), never stored: the numbers of the wishes to
	 * remove it, forget/<id>-<n>, that nobody has answered; owned. Where
	 * there is one the point is forgotten, since @forgotten_ns, and may be
	 * gone from @until_ns on: the earliest of them.
	 */
	uint32_t *open_forgets;
	size_t nopen_forgets;
	/* The numbers of wishes that nobody has answered and that cannot be read,
	 * or that are missing below another; owned. They make it no forgotten
	 * point, but one that is forgotten stays while there is one. */
	uint32_t *unread_forgets;
	size_t nunread_forgets;
	int64_t forgotten_ns, until_ns;
	char *forget_reason; /* of that one; owned, may be NULL */
	uint32_t next_forget; /* the number of its next */
	char *named; /* what vm was when the point was made, where another;
			owned */
	int refs;
	size_t block; /* bytes behind this, where parts may lie */
	/* held: this and all its parts lie there, or in its text; NULL: not so */
	struct arena *arena;
	/* other top-level members, as JSON text, for readers of later
	 * versions; owned, may be NULL */
	char *extra;
};

/* Whether a point that is listed is for those who ask for it alone, and nobody's
 * latest. */
static inline bool point_is_aside(const struct point *p)
{
	return p->nopen_forgets > 0 || p->is_untrusted;
}

/* Return a point of zeros for point_free(), or NULL (no memory). */
MUST_CHECK struct point *point_new(void);
/* Add a holder; each calls point_free(), which frees for the last one. */
struct point *point_get(struct point *p);
void point_free(struct point *p);
/*
 * The id of the @n th machine that is called @vm; that of number 0 is also that of
 * points which were written before there were ids. Return 0 or a negative errno.
 */
MUST_CHECK int point_machine_of(const char *vm, uint32_t n,
				char out[POINT_ID_HEX + 1]);
/* Return whether a machine, disk or tag may be called that. */
bool point_name_ok(const char *name);
/* Return whether point_find() takes @name for the latest point of all machines:
 * no new machine should be called so. */
bool point_name_is_latest(const char *name);
/* Return whether @name ends as vault_points() shows a machine whose name is
 * another's, too: "~" and 8 or 32 digits. No new machine should be called so. */
bool point_name_is_parted(const char *name);
/* Return the disk of that name, borrowed, or NULL. */
const struct point_disk *point_find_disk(const struct point *p,
					 const char *name);
/* Return what a disk or a config file holds, as content.h reads it; borrows
 * from it. */
struct content_ref point_disk_content(const struct point_disk *d);
struct content_ref point_config_content(const struct point_config *c);
/* Sort disks and configs by name, as readers expect them. */
void point_sort(struct point *p);
/* Append the point as a JSON document (indented when @pretty, with a final
 * newline). Ask buf_error(). */
MUST_CHECK int point_encode(const struct point *p, bool pretty,
			    struct buf *out);
/* Decode the document of the point object called @name. Return 0, -EBADMSG
 * (said in words) or -ENOMEM. */
MUST_CHECK int point_decode(const void *data, size_t len, const char *name,
			    struct point **out);
/* "2026-11-22T101500Z" and NUL: 19 bytes. Years outside 0..9999 are clamped. */
#define POINT_TIME_LEN 19
void point_time_name(int64_t time_ns, char out[POINT_TIME_LEN]);
/* The name of a point in its machine's directory: its time; with @digits not 0,
 * "-" and so many digits of its id behind it. */
#define POINT_NAME_LEN 64
void point_put_name(const struct point *p, int digits,
		    char out[POINT_NAME_LEN]);
/* Return whether the point's time is more than POINT_CLOCKS_NS after @now_ns: some
 * clock was wrong. */
#define POINT_CLOCKS_NS INT64_C(300000000000) /* clocks differ by so much */
bool point_is_to_come(const struct point *p, int64_t now_ns);
/* Read such a time; also "2026-11-22T10:15:00Z". Return 0 or -EINVAL. */
MUST_CHECK int point_parse_time(const char *text, int64_t *out);

/* Who signed a point, as far as this machine knows it. */
enum point_signature {
	POINT_UNSIGNED,
	POINT_SIGNED, /* and nobody is known to sign for its machine */
	POINT_SIGNED_TRUSTED, /* by one who may */
	POINT_SIGNED_BY_ANOTHER, /* by one who may not: others do */
	POINT_SIGNED_REVOKED, /* with a key that was revoked */
	POINT_SIGNED_ELSEWHERE, /* for another vault: it was replayed */
};
/* "unsigned", "unknown", "trusted", "another", "revoked", "elsewhere". */
const char *point_signature_word(enum point_signature s);

/* A machine that was renamed, or that may have been, or that has no point in the list
 * it stands in. */
struct point_machine {
	char id[POINT_ID_HEX + 1];
	uint32_t next; /* the number of its next name, machine/<id>-<next> */
	char *name; /* owned; NULL: none that can be read */
	/* It has points, and what it is called now cannot be read, or the object
	 * that says so is lost. It is shown as @name. */
	bool in_doubt;
};

/*
 * All committed points at one moment, by machine, then time, then id;
 * immutable, counted. A point whose object cannot be read stands in @damaged.
 */
struct point_list {
	struct point **points; /* held */
	/* Of each: its time; where a machine has several of one second, all of
	 * these have "-" and 8 digits of their ids behind it, or all digits where
	 * 8 do not tell them apart. */
	char (*names)[POINT_NAME_LEN];
	size_t n;
	/* Of each, an enum point_signature; owned. NULL: none is signed. */
	uint8_t *signatures;
	/* ids of points that are there but unreadable */
	char (*damaged)[POINT_ID_HEX + 1];
	size_t ndamaged;
	/* Points that were forgotten, where these are not shown: they are in the
	 * vault still, but not among the points; held. */
	struct point **forgotten;
	size_t nforgotten;
	/* The vault demands signatures. Points that have none that is trusted,
	 * where these are not shown; held. */
	bool demands_signatures;
	struct point **untrusted;
	size_t nuntrusted;
	/* The folder that says which points there are is missing: that one is not
	 * in the list does not tell that it is not in the vault. */
	bool lacks_commits;
	/* Machines that were given names, also those without points, those of
	 * which no point is listed, for all are forgotten, and those whose names
	 * are in doubt; owned, sorted by id. */
	struct point_machine *machines;
	size_t nmachines;
	uint64_t generation; /* grows with each change seen by this vault */
	/* point_find() took a latest point while others could not be read, of
	 * which each may be later. */
	atomic_bool in_doubt;
	int refs;
};
/*
 * List the vault's points: commit/ is listed, then forget/, purge/, the notes and
 * the names of machines, and what is new is fetched. Points that were purged are
 * not among them, nor among the damaged; points that were forgotten are, where
 * vault_show_forgotten() said so. A wish to remove a point that cannot be read, or
 * whose answer cannot, forgets none. Cheap when nothing is new. Where two
 * machines have come to one name, "~" and digits of its id stand behind that of
 * the one that was renamed.
 * Return 0 or a negative errno; the list of before is still right then, and
 * never shorter because something could not be reached. Give back with
 * point_list_put().
 */
MUST_CHECK int vault_points(struct vault *v, struct point_list **out);
/*
 * Of those points that were removed for ever, as a verdict on a wish says that
 * vault_points() found: find the one whose id begins with @prefix, and set @id_out, and
 * when that was decided, by the clock of the store, in nanoseconds since 1970, or 0.
 * Return 1, 0 (there is none, or there are several) or a negative errno.
 */
MUST_CHECK int vault_find_removed(struct vault *v, const char *prefix,
				  char id_out[POINT_ID_HEX + 1],
				  int64_t *decided_ns_out);
/*
 * The same with a listing of purge/ alone, all else being as it was listed last:
 * for a session that has just begun. Registers stay, so the points that were
 * there are there; whether one was purged meanwhile has to be asked again.
 */
MUST_CHECK int vault_points_judged(struct vault *v, struct point_list **out);
/* Whether a point of the last list was signed, and with which key, of 32 bytes. A
 * signature that is wrong makes the point damaged. */
enum point_signature vault_signature(struct vault *v, const struct point *p,
				     uint8_t *key_out);
/*
 * The newest commits of the last list, which a commit that is made now follows.
 * Return 0 or -ENOMEM.
 */
MUST_CHECK int vault_newest_commits(struct vault *v, struct commit_after *out);
/*
 * List commit/ alone: was no session decided since the points were listed but that
 * of @p, which this process has just committed? Return 1, 0, or the negative errno
 * of the listing.
 */
MUST_CHECK int vault_is_last_point(struct vault *v, const struct point *p);
/* Return whether the session @sid made a point, by the last list, be it damaged or
 * forgotten since. */
bool vault_has_committed(struct vault *v, const char *sid);
/*
 * Where many decided sessions are in no digest (store/record/digest.h), make
 * digests of them, as the last list knew them: @put is called with the plaintext of
 * each and stores it. Return 0, what @put returned, or a negative errno.
 */
MUST_CHECK int
vault_digest_points(struct vault *v,
		    int (*put)(void *arg, const struct buf *plain), void *arg);
/* From now on let vault_points() believe of sessions and points only what their own
 * objects say, which were read here or are now, and no digest: for whoever looks
 * whether they are whole, or deletes what none of them needs. */
void vault_distrust_digests(struct vault *v);
/* From now on let vault_points() list points that were forgotten, too. */
void vault_show_forgotten(struct vault *v);
/* The same of points that lack a signature which the vault demands. */
void vault_show_untrusted(struct vault *v);
/* Whether points of the vault have to be signed: it says so, or did before. */
bool vault_demands_signatures(struct vault *v);
/* Let the vault demand that from now on, which cannot be taken back. Return 0 or a
 * negative errno, said in words. */
MUST_CHECK int vault_demand_signatures(struct vault *v);
/* Return whether point_find() took a latest point of this vault while others
 * could not be read. Any thread. */
bool vault_latest_in_doubt(struct vault *v);
/* Which signature the point of that number in a list has. */
static inline enum point_signature
point_list_signature(const struct point_list *l, size_t i)
{
	return l->signatures ? (enum point_signature)l->signatures[i]
			     : POINT_UNSIGNED;
}
/* From now on, and in this process, @key, of 32 bytes, may sign for any machine; to
 * be called before the points are listed. Return 0 or -ENOMEM. */
MUST_CHECK int vault_trust_now(struct vault *v, const uint8_t *key);
/*
 * Remember on this machine that @key may sign for @machine, as lists call it, or for
 * all where that is NULL; or, where @revoke, that it may not sign any more. The points
 * have to be listed before. Return 0, -EEXIST (it was revoked), -ENOENT (nothing is
 * remembered here) or another negative errno, said in words.
 */
MUST_CHECK int vault_trust(struct vault *v, const uint8_t *key,
			   const char *machine, bool revoke);
struct trust;
/* Call @fn with what is remembered of signers, until it returns other than 0; return
 * that. */
MUST_CHECK int vault_each_signer(struct vault *v,
				 int (*fn)(void *arg, const struct trust *t),
				 void *arg);
struct point_list *point_list_get(struct point_list *l);
void point_list_put(struct point_list *l);
/*
 * Find the point that @text names: "<vm>/<time>", "<vm>/<time>-<at least 8
 * digits of its id>", "<vm>/latest", "<vm>/latest~2", "latest", "latest~2" (of
 * all machines), "<vm>" (its latest), or at least 4 digits of an id; @out is its
 * index in @l. A point that was forgotten is nobody's latest: where the list shows
 * such points, its time or its id leads to it. Return 0, -ENOENT, -EEXIST (an id
 * prefix, or a time, of several, or a name that begins an id of another
 * machine's point), or -EBADMSG (no point can be seen, for the folder that says
 * which there are is missing); all said in words. Where a latest point is asked for while others cannot be read, that
 * is said, and @l is in doubt.
 */
MUST_CHECK int point_find(struct point_list *l, const char *text, size_t *out);

#endif
