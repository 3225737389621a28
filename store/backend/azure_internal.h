/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The inside of the backend of Azure; private to store/backend/azure*.c. */
#ifndef STORE_BACKEND_AZURE_INTERNAL_H
#define STORE_BACKEND_AZURE_INTERNAL_H

#include <stdatomic.h>

#include "store/backend/azure_place.h"
#include "store/backend/http.h"
#include "store/backend/internal.h"

struct backend_azure {
	struct backend b;
	struct http *http; /* owned */
	struct azure_place place; /* owned */
	_Atomic int64_t skew_s; /* what is to be added to the clock here */
};

static inline struct backend_azure *azure_of(struct backend *b)
{
	return (struct backend_azure *)b;
}

/* What is asked. Zero it. */
struct azure_asking {
	const char *method;
	const char *name; /* without the prefix; NULL: the container itself */
	/* Sorted by name: as it is sent, "a=b&c=d", and as it is signed,
	 * "\na:b\nc:d"; NULL: "". */
	const char *query, *signed_query;
	const char *range; /* "x-ms-range:bytes=0-1"; NULL: all */
	bool is_new; /* only where nothing is there */
	const void *body;
	size_t body_len;
	void *into;
	size_t into_len, max;
};

/* Ask; any answer but 2xx is an error, as backend_ops has them. Release @a whatever it
 * returns. */
MUST_CHECK int azure_ask(struct backend_azure *s, const struct backend_call *c,
			 const struct azure_asking *q, struct http_answer *a);
/* In azure_list.c: as backend_ops. */
MUST_CHECK int azure_list(struct backend *b, const struct backend_call *c,
			  const char *prefix, const char *token,
			  struct backend_page *page);

#endif
