/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Memory that runs out when a test says so. The program that links this asks here
 * for what it would ask the C library for (starve_LDFLAGS in Makemodule.am), and so
 * do the libraries that it uses: jansson, SQLite, OpenSSL and zstd.
 */
#ifndef TESTS_UNIT_STARVE_H
#define TESTS_UNIT_STARVE_H

#include <stdbool.h>

/* Let the libraries ask here. To be called first of all. */
void starve_setup(void);
/*
 * From now on count what is asked for, by whatever thread, and refuse the @n-th
 * (from 1; 0: none), and all behind it where @all.
 */
void starve_begin(unsigned long n, bool all);
/* All is given again. Return how much was asked for since starve_begin(). */
unsigned long starve_end(void);
/* How often something was refused since starve_begin(). */
unsigned long starve_refusals(void);
/*
 * Of what was given since starve_begin(), how much was not freed: to be called when
 * all that was made since is released. What OpenSSL and SQLite ask for is not counted,
 * for they keep some. @at_out: who asked for the first of it, or NULL.
 */
unsigned long starve_leaks(void **at_out);
/* Who asked for what was refused first since starve_begin(), and who had called him, as
 * addr2line(1) wants it: "0x1234 0x5678"; good until the next call. */
const char *starve_where(void);
/* An address of the program, likewise. */
unsigned long starve_offset(const void *address);

#endif
