/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where a vault in a container is, and who asks there: store/backend/azure.h. */
#ifndef STORE_BACKEND_AZURE_PLACE_H
#define STORE_BACKEND_AZURE_PLACE_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct secret;

struct azure_place {
	char *endpoint; /* "https://host:port[/account]", owned */
	/* What stands there before the container: "" or "/account"; owned. */
	char *base;
	char *account; /* owned; "" while it is not known */
	char *container; /* owned */
	char *prefix; /* with a slash behind it where it is not ""; owned */
	struct secret *key; /* of the account; owned; NULL: there is a token */
	struct secret
		*token; /* "sv=...", with a NUL; owned; NULL: there is a key */
};

/* Take @rest of "azure:REST" apart, and find the keys. Release @out whatever it
 * returns. Return 0, -EINVAL or -ENOKEY, said in words, or -ENOMEM. */
MUST_CHECK int azure_place_find(const char *url, const char *rest,
				struct azure_place *out);
void azure_place_release(struct azure_place *p);

#endif
