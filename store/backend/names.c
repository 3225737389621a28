/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/backend/names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"

int backend_names_add(struct backend_names *names, const char *name)
{
	if (array_reserve(&names->list, &names->cap, names->n + 1) < 0)
		return -ENOMEM;
	names->list[names->n] = strdup(name);
	if (!names->list[names->n])
		return -ENOMEM;
	names->n++;
	return 0;
}

static int add(void *arg, const char *name, const struct backend_info *info)
{
	(void)info;
	return backend_names_add(arg, name);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

int backend_list_names(struct backend *b, const char *prefix,
		       struct backend_names *out)
{
	int r = backend_list(b, prefix, add, out);

	if (out->n)
		qsort(out->list, out->n, sizeof(*out->list), by_text);
	return r;
}

void backend_names_release(struct backend_names *names)
{
	while (names->n > 0)
		free(names->list[--names->n]);
	free(names->list);
	names->list = NULL;
	names->cap = 0;
}
