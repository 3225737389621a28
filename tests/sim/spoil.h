/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rules that are left out of the real collector, for the plants that cannot be
 * planted on its way to the store: the program is linked so that some of its parts
 * are asked for here, and one of them does not do what it should.
 */
#ifndef TESTS_SIM_SPOIL_H
#define TESTS_SIM_SPOIL_H

#include "tests/sim/sim.h"

/* A collection of the current actor begins. */
void spoil_begin(struct sim_actor *a);
/* Whether the actor's collection has put its tomb. */
bool spoil_has_tomb(const struct sim_actor *a);
/* Its name, once it waited for sessions; or NULL. */
const char *spoil_gid(const struct sim_actor *a);
void spoil_release(void);

#endif
