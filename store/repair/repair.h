/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Repairing a vault: what is damaged is stored anew from what there is, beside it.
 *
 * Nothing is deleted, and nothing that is there is changed: new objects are put,
 * damaged packs go into quarantine, and damaged index objects are superseded. So
 * what could be restored before can be restored after, wherever a repair ends; and
 * one that is run again goes on where the last one ended, and finds nothing to do
 * once there is nothing. A dry run does all but the puts.
 *
 * A repair begins with a check, so it takes as long as that.
 */
#ifndef STORE_REPAIR_REPAIR_H
#define STORE_REPAIR_REPAIR_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct backend;
struct task;
struct vault;

/* What became of an object. */
enum repair_verdict {
	REPAIR_NOTED, /* worth knowing, and nothing to do about */
	REPAIR_WOULD, /* a dry run would have repaired it */
	REPAIR_DONE, /* it is repaired, so far as it says */
	REPAIR_LEFT, /* it cannot be repaired, and it says what can be done */
};

struct repair_options {
	bool apply; /* else it is a dry run */
	bool read_data; /* read all packs first, not only what is known */
	int level, disk_level; /* of compression, as writer_begin() */
	/* For repair_parity(): percent; 0: what the vault was made with. */
	unsigned int parity;
	const char *by; /* who repairs, "root@web1"; may be NULL; borrowed */
	/* Another vault to take chunks from that are lost, a copy of this one or
	 * any that has the same files; open, with its index, and told to verify;
	 * NULL: none. Borrowed. */
	struct vault *from;
	/* Called for each thing that is said, on the calling thread. */
	void (*say)(void *arg, enum repair_verdict verdict, const char *object,
		    const char *text);
	void *say_arg;
};

struct repair_result {
	/* what was repaired, or in a dry run would be */
	uint64_t repaired;
	uint64_t left; /* what cannot be */
	/* Chunks stored anew, or that would be, and their bytes; how many of them
	 * came from the other vault; and those that nobody has. */
	uint64_t chunks, bytes, chunks_from, chunks_lost;
};

/*
 * Name packs that no readable index object names in new ones, and supersede index
 * objects that are damaged or gone, where no point has lost anything with them. @v
 * is best opened without a cache directory, so that nothing is believed but the
 * vault. Return 0, whatever was found; -EINTR; or the negative errno that made it
 * impossible, said in words. @out is filled in each case.
 */
MUST_CHECK int repair_index(struct vault *v, const struct repair_options *o,
			    struct task *task, struct repair_result *out);
/*
 * Put packs that are damaged or missing into quarantine, and store anew what can
 * still be read of them, or what the other vault has of it, and what no other pack
 * holds. @v has to be told to verify. The rest is as with repair_index().
 */
MUST_CHECK int repair_packs(struct vault *v, const struct repair_options *o,
			    struct task *task, struct repair_result *out);
/*
 * Beside each point of which something is lost, make one that has all that can be had:
 * incomplete, with the tag "repaired", the old one for its parent, and a note on both.
 * Points that were forgotten are passed over. Before that, registers and objects of
 * points are put back which the other vault still has, that has to be a copy of this
 * one (-EINVAL). The rest is as with repair_packs().
 */
MUST_CHECK int repair_points(struct vault *v, const struct repair_options *o,
			     struct task *task, struct repair_result *out);

/*
 * Make parity for packs that have none and, with read_data, another one where it is
 * damaged. Parity that is there stays as it is, whatever its strength. Return as
 * repair_index(), or -EINVAL (nobody has said how much; said in words).
 */
MUST_CHECK int repair_parity(struct vault *v, const struct repair_options *o,
			     struct task *task, struct repair_result *out);

/*
 * Put back what opens the vault: config from its copy or the copy from it, and the
 * objects of epochs that are lost or damaged, from the keys in use, where it is proven
 * that there was such an epoch; and tell which key slots are damaged, of another vault,
 * or open only what was written before. No slot is removed or changed. The rest is as
 * with repair_index().
 */
MUST_CHECK int repair_keys(struct vault *v, const struct repair_options *o,
			   struct task *task, struct repair_result *out);
/*
 * The same for a vault in @b that may not open, by what @from has, which is open: a
 * copy of it, or of its keys; and put back the slot that opened @from, if it is there
 * and damaged. What was removed does not come back. Return 0; -EINVAL (it is not proven
 * that @from is of this vault) or another negative errno; said in words.
 */
MUST_CHECK int repair_keys_from(struct backend *b, struct vault *from,
				const struct repair_options *o,
				struct repair_result *out);

#endif
