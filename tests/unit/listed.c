/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/listed.h"

#include <stdio.h>
#include <string.h>

int listed_add(void *arg, const char *name, const struct backend_info *info)
{
	struct listed *l = arg;
	size_t len = strlen(l->names);

	snprintf(l->names + len, sizeof(l->names) - len, "%s ", name);
	l->bytes += info->size;
	l->stored_ns = info->stored_ns;
	return ++l->n == l->stop_at ? l->stop_with : 0;
}
