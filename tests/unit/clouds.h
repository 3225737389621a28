/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What each object store is tried with, against a strict server of the tests' own
 * (tests/servers), in good weather and in bad. */
#ifndef TESTS_UNIT_CLOUDS_H
#define TESTS_UNIT_CLOUDS_H

#include "tests/unit/support.h"

#include "store/backend/backend.h"

struct cloud {
	const char *script; /* "s3.py" */
	/* The second is a secret; it lists three at a time. NULL ends them. */
	const char *arguments[10];
	const char *scheme, *place; /* of the URL, around the server's */
	const char *no_bucket; /* what the store says where there is none */
	size_t requests_to_delete_10;
};

/* Start the server, and make the place. */
void clouds_start(const struct cloud *c);
void clouds_stop(void);
/* Of the place, and how it is opened. */
const char *clouds_url(void);
struct backend_options clouds_options(void);

#define CLOUDS_TESTS 13
extern const struct CMUnitTest clouds_tests[CLOUDS_TESTS];

#endif
