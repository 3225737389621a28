/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A backup, from its session object to its register. vault.pml explains it.
 */

#ifdef LATE_PUT
byte in_flight; /* packs whose PUT was sent twice and landed once */
#endif

#define MY_PACK BIT(OLD + _pid)
#define ME BIT(_pid)

/*
 * Writers are alike, so that it does not matter which of them is the first: the
 * next one begins when the one before has begun.
 */
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

#ifdef NO_R5b
#define PARENTS LIVE(0)
#else
#define PARENTS LIVE(purged)
#endif

inline look_for_parent()
{
	atomic {
		if
		:: PARENTS -> parent = 1; pinned = pinned | ME
		:: else
		fi
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

/* The chunk is found in a pack, is in the parent, or goes into a new pack. */
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
#ifndef NO_R1
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

