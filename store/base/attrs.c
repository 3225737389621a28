/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/attrs.h"

#include <stdlib.h>
#include <unistd.h>

void attrs_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

void attrs_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

void *alloc_array(size_t n, size_t size)
{
	return calloc(n ? n : 1, size ? size : 1);
}
