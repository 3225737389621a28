/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of a repair; private to store/repair. */
#ifndef STORE_REPAIR_INTERNAL_H
#define STORE_REPAIR_INTERNAL_H

#include "store/repair/repair.h"

#include "store/base/idset.h"
#include "store/check/check.h"
#include "store/record/pack_list.h"
#include "store/writer/condemned.h"
#include "store/writer/packset.h"

struct writer;

/* A pack that is there. */
struct survey_pack {
	char name[PACK_NAME_MAX];
	uint64_t size;
};

/* A chunk that another vault has under another name. */
struct from_chunk {
	struct id ours, theirs;
};

/* What there is, as a check and a listing of packs tell. */
struct survey {
	struct vault *vault; /* borrowed, as the next three */
	const struct repair_options *o;
	struct task *task;
	struct repair_result *out;
	struct check_result check;
	struct condemned condemned; /* as it is after the check */
	struct survey_pack *packs; /* as listed; owned; sorted by name */
	size_t npacks, packs_cap;
	/* Packs that are gone, of another size, or damaged, be it that the check
	 * said so or that they are in quarantine; sorted. */
	struct pack_list sick;
	/* Those that are there and in which a chunk counts as held, by number. */
	struct packset good;
	/* Chunks in no good pack that could be read all the same, and that could
	 * not be. */
	struct idset had, lost;
	uint8_t lost_lengths[8192]; /* a bit for each, modulo 65536 */
	/* What the other vault calls chunks that are lost here; owned; sorted. */
	struct from_chunk *from;
	size_t nfrom, from_cap;
};

/* Check the vault, and look at its packs. Release it also after an error. Return
 * 0 or a negative errno, said in words. */
MUST_CHECK int survey_make(struct survey *s, struct vault *v,
			   const struct repair_options *o, struct task *task,
			   struct repair_result *out);
void survey_release(struct survey *s);

/* Say what became of an object, and count it. */
PRINTF(5, 6)
void repair_say(const struct repair_options *o, struct repair_result *out,
		enum repair_verdict verdict, const char *object,
		const char *fmt, ...);
/* The verdict for what can be done. */
static inline enum repair_verdict survey_done(const struct survey *s)
{
	return s->o->apply ? REPAIR_DONE : REPAIR_WOULD;
}

/*
 * Can the chunk be had? Of @len 0 the length is not known. With a session @w, what
 * this may not refer to, but can be read, is stored anew in it. Return 1, 0 (it is
 * lost) or a negative errno.
 */
MUST_CHECK int survey_chunk(struct survey *s, struct writer *w, uint8_t type,
			    const struct id *id, uint64_t len);
/* Forget which chunks could be had and which are lost, and count anew. */
void survey_forget(struct survey *s);
/* May a chunk of that length be lost? */
static inline bool survey_lost_length(const struct survey *s, uint64_t len)
{
	return s->lost_lengths[len / 8 % sizeof(s->lost_lengths)] >> (len % 8) &
	       1;
}

/* Is the other vault a copy of this one? Then chunks have the same names. */
bool from_is_copy(const struct survey *s);
/* Look what another vault has of the chunks that are lost. Return 0 or a negative
 * errno. */
MUST_CHECK int from_find(struct survey *s);
/* Return what the other vault calls a chunk, or NULL. */
const struct id *from_theirs(const struct survey *s, const struct id *ours);

#endif
