/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The vault of tests/golden, made anew: clock, random bytes and entries are
 * made up, so that it comes out the same, byte for byte. What was written once
 * must be readable for ever; only a new version of the format is a reason to
 * make it again (make_golden.c).
 */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include "tests/unit/support.h"

struct backend;

#define GOLDEN_PASSWORD "golden"
#define GOLDEN_KEYFILE_LEN 64 /* bytes, each 'k' */
#define GOLDEN_TEXT_LEN 300000u

/* Make the vault on @b, which is empty and in memory (mem.h). Ends the test where it cannot. */
void golden_make(struct backend *b);
/* What the file /srv/text holds. */
void golden_text(uint8_t out[GOLDEN_TEXT_LEN]);

#endif
