/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The protocol by which writers, collectors and readers share a vault without
 * locks, as a model for spin. tests/model/run.sh explores every interleaving of
 * it, and demands that each rule is needed: with a rule taken out (-DNO_...)
 * an assertion must fail.
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
	:: b < 8 ->
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
inline disappears(what, set)
{
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

/* ---- a backup ---- */

#ifdef LATE_PUT
byte in_flight; /* packs whose PUT was sent twice and landed once */
#endif

#define MY_PACK BIT(OLD + _pid)
#define ME BIT(_pid)

/* Writers are alike: the next one begins when the one before has begun. */
inline begin_session()
{
	atomic {
		_pid == 0 || (opened & BIT(_pid - 1));
		opened = opened | ME;
		appears(LIST_SESSIONS, ME)
	}
}

inline list_tombs()
{
	LIST_BEGIN(LIST_TOMBS, TOMBS)
	atomic { list_end(TOMBS, seen) }
}

inline read_tombs()
{
	atomic {
		do
		:: b < COLLECTORS ->
			if
			:: seen & BIT(b) -> condemned = condemned | tomb[b]
			:: else
			fi;
			b++
		:: else -> break
		od;
		b = 0;
		seen = 0;
#ifdef NO_R4a
		condemned = 0;
#endif
#ifdef NO_R3b
		usable = usable & ~condemned;
#endif
	}
}

inline list_sweeps()
{
	atomic { condemned = condemned | SWEPT }
}

inline list_packs()
{
	LIST_BEGIN(LIST_PACKS, packs)
	atomic {
		list_end(packs, usable);
		usable = usable & ~condemned;
#ifndef NO_R4d
		usable = usable & ~BAD;
#endif
	}
}

inline look_for_parent()
{
	atomic {
#ifdef NO_R5b
		if
		:: LIVE(0) -> parent = 1; pinned = pinned | ME
		:: else
		fi
#else
		if
		:: LIVE(purged) -> parent = 1; pinned = pinned | ME
		:: else
		fi
#endif
	}
}

#ifdef INDEX
inline list_index()
{
	LIST_BEGIN(LIST_INDEX, index)
	atomic { list_end(index, seen); read_index(seen, known); seen = 0 }
}
#define USE(p) \
	:: (p) < PACKS && (usable & BIT(p)) -> mine = BIT(p) & ~known
#else
#define USE(p) :: (p) < PACKS && (usable & BIT(p))
#endif

/* One chunk comes to stand in the vault. */
inline store_chunk()
{
	atomic {
		if
		USE(0)
		USE(1)
		USE(2)
		USE(3)
		USE(4)
		USE(5)
#ifdef PARENT
		:: parent
#endif
#ifdef NO_R6d
		:: put_pack(1)
#else
		:: put_pack(MY_PACK);
#ifdef LATE_PUT
			in_flight = in_flight | MY_PACK;
#endif
#ifdef INDEX
			mine = MY_PACK
#endif
#endif
		fi;
		condemned = 0;
		usable = 0;
		parent = 0;
#ifdef INDEX
		known = 0
#endif
	}
}

inline put_own_index()
{
	atomic {
		if
		:: mine -> put_index(1 + _pid, mine); mine = 0
		:: else
		fi
	}
}

inline commit()
{
	committed = committed | ME;
	said_done = said_done | ME;
	promises()
}

#if WRITERS > 0
active [WRITERS] proctype writer()
{
	byte seen;      /* tombs or index objects that were listed */
	byte condemned; /* packs that are not to be referred to */
	byte usable;    /* packs that may be */
	bit parent;     /* there is a point to take something over from */
#ifdef INDEX
	byte known;     /* packs that some index object names */
	byte mine;      /* packs that the own one has to name */
#endif

#ifdef NO_R5a
	look_for_parent();
#endif
#if !defined(NO_R1)
#ifdef NO_R2
	list_packs();
#endif
	begin_session();
#endif
#ifdef NO_R4c
	list_sweeps();
#endif
#ifdef NO_R3a
	list_packs();
#endif
	list_tombs();
#ifndef NO_R3b
	read_tombs();
#endif
#if defined(LATE_PUT) && !defined(NO_R4b) && !defined(NO_R4c)
	list_sweeps();
#endif
#if defined(NO_R2) || defined(NO_R3a)
	atomic { usable = usable & ~condemned };
#else
	list_packs();
#endif
#ifdef NO_R3b
	read_tombs();
#endif
#ifdef INDEX
	list_index();
#endif
#if defined(PARENT) && !defined(NO_R5a)
	look_for_parent();
#endif
#ifdef NO_R1
	begin_session();
#endif
#ifdef NO_R6e
	atomic { /* another session takes this one's place */
		if
		:: fenced & ME -> fenced = fenced & ~ME
		:: else
		fi
	}
#endif
	store_chunk();
#if defined(INDEX) && !defined(NO_R6c)
	put_own_index();
#endif
#ifdef NO_R6a
	atomic {
		if
		:: fenced & ME -> goto end
		:: else
		fi
	};
#endif
	atomic {
		if
#ifdef NO_R6a
		:: fenced = fenced & ~ME; commit()
#else
		:: !(fenced & ME) -> commit()
#endif
		:: !(fenced & ME) -> fenced = fenced | ME
#ifdef NO_R6b
		:: fenced & ME -> said_done = said_done | ME;
#else
		:: fenced & ME
#endif
		fi;
		pinned = pinned & ~ME;
		assert(!(said_done & ~committed))
	};
#if defined(INDEX) && defined(NO_R6c)
	put_own_index();
#endif
end:
	false
}
#endif

/* ---- a collection ---- */

#define G (_pid - WRITERS)

byte begun; /* collectors that have; they are alike and begin in order */

inline mark()
{
	atomic {
		begun == G;
		begun++;
#ifdef NO_R9
		gone = purged | (wishes > answers);
#else
		gone = purged;
#endif
#ifdef NO_R12a
		counted = LIVE(0);
#endif
#ifdef NO_R16c
		listed = packs;
#endif
	}
}

/* Any packs at all: the second mark alone makes it safe. */
inline entomb()
{
	atomic {
#ifdef ALL_C
		dead = packs;
#else
		pick(packs, dead);
#endif
#ifdef NO_R10
		if
		:: put_tomb(G, dead)
		:: skip
		fi
#else
		put_tomb(G, dead)
#endif
	}
}

inline list_sessions()
{
	LIST_BEGIN(LIST_SESSIONS, opened)
	atomic { list_end(opened, awaited); awaited = awaited & UNDECIDED }
}

#define SPARE(p) \
	:: (p) < PACKS && (heirs & BIT(p)) -> doomed = doomed & ~BIT(p)

#ifdef NO_R12a
#define COUNTED counted
#else
#define COUNTED LIVE(0)
#endif

/* From here on DEAD is not needed: DOOMED is what goes. */
inline mark_again()
{
	doomed = dead;
#ifdef NO_R12b
	gone = purged;
#endif
#ifndef NO_R13a
	heirs = heirs & NAMED;
	if
	:: (COUNTED & ~gone) && !(heirs & ~doomed) ->
		if
		:: !heirs -> doomed = 0
		SPARE(0)
		SPARE(1)
		SPARE(2)
		SPARE(3)
		SPARE(4)
		SPARE(5)
		fi
	:: else
	fi;
#endif
#ifndef ALL_D
	pick(doomed, doomed_part);
	doomed = doomed_part;
	doomed_part = 0;
#endif
#ifndef NO_R16b
	dead = 0;
#endif
	heirs = 0;
	gone = 0
}

#define FENCE(i) \
	:: atomic { \
		awaited & UNDECIDED & BIT(i) -> \
		fenced = fenced | BIT(i); \
		pinned = pinned & ~BIT(i) }

inline fence_sessions()
{
#ifdef NO_R11b
	awaited = 0;
#endif
	do
	FENCE(0)
	FENCE(1)
	FENCE(2)
	:: atomic {
		!(awaited & UNDECIDED) -> awaited = 0;
#ifndef STANDIN
		mark_again();
#endif
		break
	   }
	od
}

/* Which packs may stand in for those that are deleted. */
inline list_other_tombs()
{
	LIST_BEGIN(LIST_TOMBS, TOMBS)
	atomic {
		list_end(TOMBS, seen);
		seen = seen & ~BIT(G);
		do
		:: b < COLLECTORS ->
			if
			:: seen & BIT(b) -> condemned = condemned | tomb[b]
			:: else
			fi;
			b++
		:: else -> break
		od;
		b = 0;
		seen = 0;
#ifdef NO_R13b
		condemned = 0;
#endif
#if defined(LATE_PUT) && !defined(NO_R4b)
		condemned = condemned | SWEPT;
#endif
		heirs = heirs & ~condemned
	}
}

inline list_heirs()
{
	LIST_BEGIN(LIST_PACKS, packs)
	atomic {
		list_end(packs, heirs);
#ifndef NO_R13e
		heirs = heirs & ~BAD;
#endif
		heirs = heirs & ~condemned
	}
}

inline look_for_heirs()
{
#ifdef NO_R13d
	list_heirs();
	list_other_tombs();
#else
	list_other_tombs();
	list_heirs();
#endif
	condemned = 0
}

inline decide()
{
	atomic {
		if
		:: !doomed ->
			if
			:: sweep[G] == 0 -> sweep[G] = ABORT
			:: else
			fi;
			dead = 0;
			delete_tomb(G);
			goto end
		:: else ->
			if
			:: sweep[G] == 0 -> sweep[G] = doomed
			:: else ->
#ifndef NO_R14a
				doomed = 0;
				dead = 0;
				goto end
#endif
			fi
		fi
	}
}

#define DELETE(p) \
	:: atomic { doomed & BIT(p) -> \
		doomed = doomed & ~BIT(p); delete_pack(BIT(p)) }
inline delete_packs()
{
	do
	DELETE(0)
	DELETE(1)
	DELETE(2)
	DELETE(3)
	DELETE(4)
	DELETE(5)
	:: atomic { !doomed -> break }
	od
}

#ifdef REPACK
#define NEW_PACK BIT(OLD + WRITERS + G)
/* Its session refers to nothing, so that nobody has to wait for it. */
inline repack()
{
	if
	:: skip
	:: atomic {
		packs & ~BAD;
		put_pack(NEW_PACK);
#ifdef INDEX
		put_index(REPACK_INDEX(G), NEW_PACK)
#endif
	   }
	fi
}
#endif

#ifdef INDEX
inline merge_index()
{
	do
	:: LIST_BEGIN(LIST_INDEX, index)
	   atomic {
		list_end(index, seen);
		if
		:: seen & ~index -> seen = 0
		:: else ->
			read_index(seen, known);
#ifdef NO_R16b
			known = known & ~dead;
			dead = 0;
#endif
#ifdef NO_R16c
			known = known & listed;
			listed = 0;
#endif
			known = known & ~doomed;
			break
		fi
	   }
	od
}

inline put_new_index()
{
	atomic { put_index(NEW_INDEX(G), known); known = 0 }
}

#define DELETE_INDEX(slot) \
	:: atomic { (slot) < INDEXES && (seen & BIT(slot)) -> \
		seen = seen & ~BIT(slot); delete_index(slot) }

inline delete_old_index()
{
#ifdef NO_R16d
	atomic { seen = index & ~BIT(NEW_INDEX(G)) };
#endif
	do
	DELETE_INDEX(0)
	DELETE_INDEX(1)
	DELETE_INDEX(2)
	DELETE_INDEX(3)
	DELETE_INDEX(4)
	DELETE_INDEX(5)
	DELETE_INDEX(6)
	DELETE_INDEX(7)
	:: atomic { !seen -> break }
	od
}

inline rewrite_index()
{
	merge_index();
#ifdef NO_R16a
	delete_old_index();
	put_new_index();
#else
	put_new_index();
	delete_old_index();
#endif
}
#endif

active [COLLECTORS] proctype collector()
{
	byte dead;      /* packs that the tomb names */
	byte gone;      /* points that were purged when it marked */
	byte awaited;   /* sessions that may not have seen the tomb */
	byte seen;      /* tombs or index objects that were listed */
	byte condemned; /* packs that others condemn */
	byte heirs;     /* packs that may stand in for others */
	byte doomed;    /* packs that it deletes */
#ifndef ALL_D
	byte doomed_part;
#endif
#ifdef INDEX
	byte known;     /* packs that the new index object names */
#endif
#ifdef NO_R12a
	byte counted;   /* points when it marked first */
#endif
#ifdef NO_R16c
	byte listed;    /* packs when it marked first */
#endif

	mark();
#ifdef NO_R11a
	list_sessions();
#endif
#if defined(STANDIN) && defined(NO_R13c)
	look_for_heirs();
#endif
	entomb();
#ifdef REPACK
	repack();
#endif
#ifndef NO_R11a
	list_sessions();
#endif
	fence_sessions();
#if defined(STANDIN) && !defined(NO_R13c)
	look_for_heirs();
#endif
#ifdef STANDIN
	atomic { mark_again() };
#endif
	decide();
#ifdef INDEX
	rewrite_index();
#endif
#ifdef NO_R15
	atomic { delete_tomb(G) };
#endif
	delete_packs();
#ifndef NO_R15
	atomic { delete_tomb(G) };
#endif
end:
	false
}

/* ---- a mount that was told of point 0 ---- */

#ifdef READER
active proctype reader()
{
	byte seen;
	byte known;   /* packs that the index objects name which it read */
	byte before;  /* the index objects of the listing before */

end_of_point:
	atomic { !(purged & 1) -> seen = index };
reading:
	atomic {
		read_index(seen, known);
		if
		:: known & packs -> known = 0; goto end
		:: else
		fi;
		known = 0
	}
#ifdef NO_R17a
	if
	:: before -> goto lost
	:: else
	fi;
	atomic { before = 1 };
	LIST_BEGIN(LIST_INDEX, index)
	atomic { list_end(index, seen); goto reading };
#else
	LIST_BEGIN(LIST_INDEX, index)
	atomic {
		before = seen;
		list_end(index, seen);
		if
		:: before == seen -> goto lost
		:: else -> before = 0; goto reading
		fi
	}
#endif
lost:
#ifdef NO_R17b
	assert(false);
#else
	assert(purged & 1);
#endif
end:
	false
}
#endif

/* ---- what anybody may do ---- */

#define PURGE(point) \
	:: atomic { \
		(point) <= WRITERS && (LIVE(purged) & BIT(point)) -> \
		purge(BIT(point)) }

#ifdef UNDELETE
/* Point 0 is purged where that was wished for, and may be wished for again. */
#if defined(NO_R7) || defined(NO_R8a)
bit wish_seen;
#define PURGE_WISH \
	:: atomic { wishes > answers -> wish_seen = 1 } \
	:: atomic { wish_seen -> wish_seen = 0; answers = wishes; purge(1) }
#else
#define PURGE_WISH \
	:: atomic { wishes > answers -> answers++; purge(1) }
#endif
#define PURGE_OLD \
	:: atomic { \
		wishes < 2 && wishes == answers && !(purged & 1) -> \
		wishes++; told_kept = 0 } \
	:: atomic { \
		wishes > answers -> UNDELETE_WISH; told_kept = 1 } \
	PURGE_WISH
#ifdef NO_R7
#define UNDELETE_WISH wishes--
#else
#define UNDELETE_WISH answers++
#endif
#else
#define PURGE_OLD PURGE(0)
#endif

#ifdef LATE_PUT
#define LATE(p) \
	:: atomic { in_flight & BIT(p) -> \
		in_flight = in_flight & ~BIT(p); put_pack(BIT(p)) }
#endif

#ifdef TAKEOVER
#define TAKE_OVER(g) \
	:: atomic { (g) < COLLECTORS && tomb[g] && sweep[g] == 0 -> \
		ABANDON(g) } \
	:: atomic { (g) < COLLECTORS && tomb[g] && FINISHED(g) -> \
		delete_tomb(g); FORGET(g) } \
	TAKE_OVER_PACK(g, 0) \
	TAKE_OVER_PACK(g, 1) \
	TAKE_OVER_PACK(g, 2) \
	TAKE_OVER_PACK(g, 3) \
	TAKE_OVER_PACK(g, 4) \
	TAKE_OVER_PACK(g, 5)
#define TAKE_OVER_PACK(g, p) \
	:: atomic { \
		(g) < COLLECTORS && tomb[g] && \
		(SWEEP_NAMES(g) & packs & BIT(p)) -> \
		delete_pack(BIT(p)) }
#ifdef NO_R14b
#define ABANDON(g) delete_tomb(g)
#else
#define ABANDON(g) sweep[g] = ABORT
#endif
#ifdef NO_R14c
#define FINISHED(g) sweep[g]
#else
#define FINISHED(g) sweep[g] && !(SWEEP_NAMES(g) & packs)
#endif
#ifdef NO_R14d
#define FORGET(g) sweep[g] = 0
#else
#define FORGET(g) skip
#endif
#endif

active proctype anybody()
{
end:
	do
	PURGE_OLD
	PURGE(1)
	PURGE(2)
	PURGE(3)
#ifdef LATE_PUT
	LATE(0)
	LATE(1)
	LATE(2)
	LATE(3)
	LATE(4)
#endif
#ifdef TAKEOVER
	TAKE_OVER(0)
	TAKE_OVER(1)
	TAKE_OVER(2)
#endif
#ifdef NO_R6f
	:: atomic { fenced -> fenced = 0 }
#endif
#ifdef NO_R8b
	:: atomic { purged -> purged = 0; promises() }
#endif
	od
}
