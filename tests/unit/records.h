/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small objects that lie beside points: what is said of them, what a collection
 * leaves, what check found, what later versions demand. */
#ifndef TESTS_UNIT_RECORDS_H
#define TESTS_UNIT_RECORDS_H

#include "tests/unit/support.h"

struct backend;
struct point;
struct vault;

enum record {
	RECORD_NOTE, /* the point is protected */
	RECORD_MACHINE, /* its machine's name, as it was */
	RECORD_FORGET,
	RECORD_PURGE, /* it was kept */
	RECORD_TOMB, /* of @pack, and given up */
	RECORD_SWEEP, /* that of the tomb: nothing was deleted */
	RECORD_QUARANTINE, /* @pack was found damaged */
	RECORD_LIFTED, /* and whole again */
	RECORD_HEARTBEAT, /* of the point's session */
	RECORD_FEATURE, /* nothing is demanded */
	RECORD_LEDGER, /* @pack was verified in 1970 */
	RECORDS,
};

/* Put one of each kind into the vault @v in memory. They leave everything as it
 * was but for the tomb: what is new is not found in @pack. */
void records_plant(struct vault *v, struct backend *b, const struct point *p,
		   const char *pack);
/* "note", ...; static. */
const char *record_label(enum record r);
/* The name of what records_plant() has put. */
void record_name(enum record r, const struct point *p, const char *pack,
		 char *out, size_t len);

#endif
