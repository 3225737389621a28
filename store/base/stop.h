/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Asking a thread to end the request that it serves, when nobody waits for the
 * answer any more. Whoever serves requests gives each a number, and says in the
 * serving thread whose numbers count there. Another thread asks by naming the
 * number, so that a demand that comes late never ends the next request.
 *
 * What walks over a guest's filesystem looks at the demand in every read of it
 * (fs/guest/blocks.c): a loop that reads ends with -ECANCELED, and needs no
 * argument for that. The demand belongs to the thread, because files and
 * directories that are open are shared by all threads.
 */
#ifndef STORE_BASE_STOP_H
#define STORE_BASE_STOP_H

#include "store/base/attrs.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Zero it. Lives as long as a thread may be told of it. */
struct stop {
	atomic_uint_fast64_t serving; /* the request in hand; 0: none yet */
	atomic_uint_fast64_t asked; /* the request that shall end */
};

/* The thread's own; NULL where its work is never asked to end. */
extern _Thread_local struct stop *stop_of_thread;

/* From now on this thread ends its work when @s asks it to; NULL: never.
 * Return what it obeyed before. */
static inline struct stop *stop_obey(struct stop *s)
{
	struct stop *before = stop_of_thread;

	stop_of_thread = s;
	return before;
}

/* Has the request that @s serves been asked to end? NULL: never. */
static inline bool stop_is_asked(struct stop *s)
{
	return s &&
	       atomic_load_explicit(&s->asked, memory_order_relaxed) != 0 &&
	       atomic_load_explicit(&s->asked, memory_order_relaxed) ==
		       atomic_load_explicit(&s->serving, memory_order_relaxed);
}

/* The same of the request that this thread serves. */
static inline bool stop_asked(void)
{
	return stop_is_asked(stop_of_thread);
}

/*
 * Work whose result others want too, such as opening a filesystem, is done
 * behind a shield: no single request ends it.
 *
 *     STOP_SHIELD;
 */
static inline void stop_unshield(struct stop **before)
{
	stop_of_thread = *before;
}
#define STOP_SHIELD                                                            \
	CLEANUP(stop_unshield)                                                 \
	__attribute__((unused)) struct stop *stop_shielded = stop_obey(NULL)

#endif
