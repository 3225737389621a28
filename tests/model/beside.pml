/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What happens beside backups and collections: a mount reads the point that it
 * was told of, and there is what anybody may do. vault.pml explains it.
 */

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
