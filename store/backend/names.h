/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names of a listing, collected: whoever wants to read what is listed does
 * it afterwards. */
#ifndef STORE_BACKEND_NAMES_H
#define STORE_BACKEND_NAMES_H

#include "store/base/attrs.h"

struct backend;

/* Zero it. */
struct backend_names {
	char **list; /* owned, and so is each; sorted */
	size_t n, cap;
};

/* Add the names of all objects under @prefix, as backend_list(), and sort. @out
 * is for backend_names_release(), whatever happens. */
MUST_CHECK int backend_list_names(struct backend *b, const char *prefix,
				  struct backend_names *out);
/* Append a name. Return 0 or -ENOMEM. */
MUST_CHECK int backend_names_add(struct backend_names *names, const char *name);
void backend_names_release(struct backend_names *names);
#define AUTO_NAMES CLEANUP(backend_names_release)

#endif
