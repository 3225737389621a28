/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The protocol by which writers, collectors and readers share a vault without
 * locks, as a model for spin. tests/model/run.sh explores every interleaving of
 * it, and demands that each rule is needed: with a rule taken out (-DNO_R1, and
 * so on) an assertion must fail.
 *
 * What stands for what
 *
 * Every pack holds the one chunk that every point needs. A point is a set of
 * chunks and each rule speaks of one chunk at a time, so that one is enough as
 * long as a collection may also keep what it could delete, which it may here.
 * A set (of packs, sessions, points, tombs, index objects) is a byte of bits.
 * Point 0 was there before; point 1 + i is that of writer i. The first OLD
 * packs were there before; then follows one a writer and, with REPACK, one a
 * collector.
 *
 * An atomic step is one call of the store (store/backend), or a thought that
 * nobody else can observe. Between any two steps anybody else may do anything,
 * so that a process that is killed is one that is never scheduled again, and
 * one that slept for a year is one that is scheduled late. No step waits for
 * time, and there is no clock. With LISTS a listing is an interval: it begins
 * and ends, and what is created or deleted in between may be in it or not. So
 * it is with object stores, whose listings come in pages, and with readdir(3).
 *
 *   writer     store/writer: a session object, the listings of begin.c and
 *              condemned.c, then a chunk that is in a known pack (chunk.c),
 *              a subtree that is taken over from a parent (stand.c), or a pack
 *              of its own (pack.c, put.c); its index object (index.c); its
 *              register commit/<sid> (register.c).
 *   collector  one cycle of a collection: mark, tomb, sessions, fence, mark
 *              again, sweep, index, deletions.
 *   anybody    what each client may do at any time, and needs no memory for:
 *              purge a point whose removal was wished for, answer a wish
 *              (undelete), take over a tomb whose collector seems dead. And
 *              the store may let a PUT that was sent twice land once more.
 *   reader     a mount that was told of point 0 and reads it (store/chunk.c).
 *
 * The words are those of vmbackup-vault(5): session/, commit/ (COMMIT and
 * FENCED), forget/, purge/ (PURGED and KEPT), tomb/, sweep/, quarantine/ and
 * index/. A register is an object that one client creates and nobody deletes:
 * who comes second reads what the first one said.
 *
 * The rules, and what to say to take each out
 *
 * Writers:
 *   R1   The session object is durable before anything is listed.
 *   R2   What was listed before the session began proves nothing.
 *   R3a  Tombs are listed before packs are.
 *   R3b  Tombs are read, too, before packs are listed.
 *   R4a  What a tomb names is not referred to.
 *   R4b  What a sweep names is not referred to: a PUT that was sent twice may
 *        bring its name back.
 *   R4c  Sweeps are listed after the tombs were read.
 *   R4d  What is in quarantine is not referred to.
 *   R5a  Whether a parent was purged is asked after the session began.
 *   R5b  Nothing is taken over unseen from a purged point.
 *   R6a  commit/<sid> is created where it is absent, and never just written.
 *   R6b  Where it was not created, it is read: it may say FENCED.
 *   R6c  The index object is put before the commit.
 *   R6d  No name is ever put again.
 *   R6e  A session that was fenced takes nothing that it knew into the next.
 *   R6f  commit/<sid> is never deleted.
 * Wishes:
 *   R7   To undelete is to create purge/<point>-<n> that says KEPT.
 *   R8a  A purge answers the wish that it saw, by that wish's number.
 *   R8b  purge/<point>-<n> is never deleted.
 * Collectors:
 *   R9   A point counts as removed when it is PURGED, not when that is wished.
 *   R10  The tomb is known to stand before the collector goes on.
 *   R11a Sessions are listed after the tomb was put.
 *   R11b Each of them is waited for, or fenced.
 *   R12a Points are counted again after that.
 *   R12b They are counted with the purges of the first mark, not newer ones.
 *   R13a Each chunk of theirs keeps a pack that holds it.
 *   R13b That pack is in no other collection's tomb,
 *   R13c which is asked after the own tomb was put,
 *   R13d and before packs are listed.
 *   R13e It was read and is healthy.
 *   R14a Where sweep/<gid> was not created, it is read: it may say ABORT.
 *   R14b Who takes over a tomb without a sweep creates one that says ABORT.
 *   R14c Who takes over a sweep deletes all of it before the tomb goes.
 *   R14d sweep/<gid> is never deleted.
 *   R15  The tomb goes last.
 *   R16a An index object is put before those go that it supersedes.
 *   R16b It leaves out what the sweep names, not what the tomb does,
 *   R16c nor what an earlier listing of packs lacked.
 *   R16d Only index objects that were read are deleted.
 * Readers:
 *   R17a Who finds no pack reads the index again until it stays the same.
 *   R17b Who still finds none asks whether the point was purged.
 *
 * What is promised (see promises())
 *   Each point that was committed and not purged has a healthy pack, and an
 *   index object that names it; and so has each point that a session saw after
 *   it began, until that session is decided. A backup that says success has a
 *   point. A purged point stays purged. Who was told that a point is kept keeps
 *   it, whole. A reader says "damaged" of nothing that is whole.
 *
 * Sizes and parts: WRITERS (0 to 3), COLLECTORS (1 to 3), OLD (packs), PARENT
 * (subtrees are taken over), STANDIN (collections delete copies of what is
 * alive, too), ALL_C (each condemns all that it can, and not any part of it),
 * ALL_D (it deletes as much of it as it may), INDEX, REPACK, LISTS, TAKEOVER,
 * LATE_PUT, UNDELETE, READER, BAD (bits of old packs that are damaged).
 */

#ifndef BAD
#define BAD 0
#endif
#ifdef REPACK
#define PACKS (OLD + WRITERS + COLLECTORS)
#else
#define PACKS (OLD + WRITERS)
#endif
#define BIT(n) (1 << (n))
#define ALL_OF(n) (BIT(n) - 1)
#define ABORT 128

/* ---- the vault ---- */

byte packs = ALL_OF(OLD);
byte opened;    /* sessions that have a session object */
byte committed; /* those whose register says COMMIT */
byte fenced;    /* those whose register says FENCED */
byte purged;    /* points with a verdict PURGED */
byte tomb[COLLECTORS];  /* the packs that it names; 0: there is none */
byte sweep[COLLECTORS]; /* 0: none; ABORT; or the packs that it names */

#define UNDECIDED (opened & ~committed & ~fenced)
#define LIVE(without) ((1 | (committed << 1)) & ~(without))

#if COLLECTORS == 1
#define EACH(what) (what(0))
#elif COLLECTORS == 2
#define EACH(what) (what(0) | what(1))
#else
#define EACH(what) (what(0) | what(1) | what(2))
#endif
#define SWEEP_NAMES(g) (sweep[g] & (ABORT - 1))
#define SWEPT EACH(SWEEP_NAMES)
#define IS_TOMB(g) ((tomb[g] != 0) << (g))
#define TOMBS EACH(IS_TOMB)

/*
 * Index objects: 0 of the old packs, then one a writer, one a collector's
 * repacking, one a collector's rewriting.
 */
#ifdef INDEX
#define INDEXES (1 + WRITERS + 2 * COLLECTORS)
#define REPACK_INDEX(g) (1 + WRITERS + (g))
#define NEW_INDEX(g) (1 + WRITERS + COLLECTORS + (g))
byte index = 1;
byte names[INDEXES] = ALL_OF(OLD); /* of those that are in index */
#define NAMED named
byte named = ALL_OF(OLD); /* by some index object that is there */
#else
#define NAMED ALL_OF(PACKS)
#endif

/* ---- what was promised to whom ---- */

byte pinned;     /* sessions that saw a point after they began */
byte said_done;  /* backups that said success */
byte was_purged; /* points that ever were */
#ifdef UNDELETE
byte wishes;    /* forget/0-<n>: as many as were put, 0 to 2 */
byte answers;   /* purge/0-<n>: as many as were put */
bit told_kept;  /* the last one says KEPT */
#endif

#define HOLDERS (packs & NAMED & ~BAD)

inline promises()
{
	assert(!LIVE(purged) || HOLDERS);
	assert(!(pinned & UNDECIDED) || HOLDERS);
	assert(!(was_purged & ~purged));
#ifdef UNDELETE
	assert(!(told_kept && (purged & 1)));
#endif
	skip
}

/* ---- listings ---- */

byte b; /* what counts in a loop within a step; 0 between steps */

/* Choose any part OUT of SET. */
inline pick(set, out)
{
	out = 0;
	do
	:: (set) >> b ->
		if
		:: (set) & BIT(b) -> out = out | BIT(b)
		:: skip
		fi;
		b++
	:: else -> break
	od;
	b = 0
}

#ifdef LISTS
#ifdef READER
#define LISTERS (WRITERS + COLLECTORS + 1)
#else
#define LISTERS (WRITERS + COLLECTORS)
#endif
#define LIST_PACKS 1
#define LIST_TOMBS 2
#define LIST_SESSIONS 3
#define LIST_INDEX 4
byte listing[LISTERS]; /* of what; 0: of nothing */
byte must[LISTERS];    /* was there when it began, and still is */
byte may[LISTERS];     /* was there at any time since it began */

#define LIST_BEGIN(what, set) \
	atomic { listing[_pid] = what; must[_pid] = set; may[_pid] = set };
inline list_end(set, out)
{
	pick(may[_pid] & ~must[_pid], out);
	out = out | must[_pid];
	listing[_pid] = 0;
	must[_pid] = 0;
	may[_pid] = 0
}
inline appears(what, set)
{
	d_step {
		do
		:: b < LISTERS ->
			if
			:: listing[b] == what -> may[b] = may[b] | (set)
			:: else
			fi;
			b++
		:: else -> break
		od;
		b = 0
	}
}
inline disappears(what, set)
{
	d_step {
		do
		:: b < LISTERS ->
			if
			:: listing[b] == what -> must[b] = must[b] & ~(set)
			:: else
			fi;
			b++
		:: else -> break
		od;
		b = 0
	}
}
#else
#define LIST_BEGIN(what, set)
inline list_end(set, out)
{
	out = set
}
#define appears(what, set) skip
#define disappears(what, set) skip
#endif

/* ---- changes of the vault ---- */

inline put_pack(set)
{
	packs = packs | (set);
	appears(LIST_PACKS, set)
}

inline delete_pack(set)
{
	packs = packs & ~(set);
	disappears(LIST_PACKS, set);
	promises()
}

inline put_tomb(g, set)
{
	tomb[g] = set;
	appears(LIST_TOMBS, BIT(g))
}

/* What a sweep says is asked no more once its tomb is gone, but for R4b. */
inline delete_tomb(g)
{
	tomb[g] = 0;
#ifndef LATE_PUT
	sweep[g] = (sweep[g] -> ABORT : 0);
#endif
	disappears(LIST_TOMBS, BIT(g))
}

inline purge(point)
{
	purged = purged | (point);
	was_purged = was_purged | (point);
	promises()
}

#ifdef INDEX
/* What all index objects in SET name together. */
inline read_index(set, out)
{
	out = 0;
	d_step {
		do
		:: b < INDEXES ->
			if
			:: (set) & BIT(b) -> out = out | names[b]
			:: else
			fi;
			b++
		:: else -> break
		od;
		b = 0
	}
}

inline put_index(slot, set)
{
	names[slot] = set;
	index = index | BIT(slot);
	named = named | (set);
	appears(LIST_INDEX, BIT(slot))
}

inline delete_index(slot)
{
	names[slot] = 0;
	index = index & ~BIT(slot);
	read_index(index, named);
	disappears(LIST_INDEX, BIT(slot));
	promises()
}
#endif

/* Processes are numbered in this order. */
#include "writer.pml"
#include "collector.pml"
#include "beside.pml"
