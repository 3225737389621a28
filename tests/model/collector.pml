/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One cycle of a collection, from the mark to the end of its tomb. vault.pml
 * explains it.
 */

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
		d_step {
			do
			:: b < COLLECTORS ->
				if
				:: seen & BIT(b) -> condemned = condemned | tomb[b]
				:: else
				fi;
				b++
			:: else -> break
			od;
			b = 0
		};
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
	:: atomic { packs & ~BAD; put_pack(NEW_PACK) };
#ifdef INDEX
	   atomic { put_index(REPACK_INDEX(G), NEW_PACK) }
#endif
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

