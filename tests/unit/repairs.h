/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be restored from a vault in memory, repairs of it, and what repairs have to
 * leave as it was. */
#ifndef TESTS_UNIT_REPAIRS_H
#define TESTS_UNIT_REPAIRS_H

#include "tests/unit/vaults.h"

#include "store/base/idset.h"
#include "store/repair/repair.h"

struct backend;
struct task;

/* Is the point of that id meant? */
typedef bool point_wanted_fn(const char *id);

/*
 * Add to @out a key for each thing that can be read of each point: of an entry, of
 * what is in a file, a disk, a list of attributes. Points that were forgotten
 * count, too, for they can be restored. @wanted NULL: all points. Nothing where the
 * vault does not open.
 */
void restorable(struct backend *b, point_wanted_fn *wanted, struct idset *out);
/* Whether all of @before can be restored from the vault now, or the test fails. */
void assert_restorable(const struct idset *before, struct backend *b,
		       const char *what);
/* How many members of @a are not in @b. */
size_t idset_lacking(const struct idset *a, const struct idset *b);

typedef int repair_fn(struct vault *v, const struct repair_options *o,
		      struct task *task, struct repair_result *out);

/* What repairs said since repair_all() was called. */
extern char repair_said[8192];

/* A repair by a program that has just begun. @from may be NULL. */
int repair_run(struct backend *b, repair_fn *fn, bool apply,
	       struct backend *from, struct repair_result *out);
/* Keys, packs, index, points: the sums of what was repaired and left to @sum. */
int repair_all(struct backend *b, bool apply, struct repair_result *sum);

/* ---- what check says ---- */

enum verdict {
	WHOLE, /* check finds no damage: exit code 0 */
	NAMED, /* it finds damage, and names the object: 13 */
	TOLD, /* it finds damage, and names what is missed or hit by it: 13 */
	CLOSED, /* the vault does not open, and why is said: not 0 */
};

/* In words; static. */
const char *verdict_name(enum verdict v);
/*
 * What a check that reads all, and puts nothing, says of a vault. @name: the object
 * that is to be named, or the beginning of its name. @first_out (may be NULL): the
 * first that was named, or "".
 */
enum verdict judge(struct backend *b, const char *name, char first_out[256]);

/* Do both hold the same objects? */
bool backends_are_same(struct backend *a, struct backend *b);
/* Nothing was deleted, and nothing that was there was changed, but what opens the vault
 * and was damaged. */
void assert_only_added(struct backend *before, struct backend *b,
		       const char *what);
/* A vault that cannot be opened, or whose history is in doubt, is repaired by
 * nobody. */
bool vault_opens(struct backend *b);

#endif
