/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a listing of a backend came to, for tests of backends. */
#ifndef TESTS_UNIT_LISTED_H
#define TESTS_UNIT_LISTED_H

#include "store/backend/backend.h"

struct listed {
	size_t n;
	uint64_t bytes;
	int64_t stored_ns; /* of the last */
	char names[4096]; /* each with a space behind it */
	size_t stop_at; /* 0: never */
	int stop_with;
};

/* For backend_list(): add an object to the struct listed @arg. Return 0, or its
 * stop_with for the object of number stop_at. */
int listed_add(void *arg, const char *name, const struct backend_info *info);

#endif
