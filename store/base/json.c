/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "store/base/json.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Thread_local bool is_out_of_memory;

static void *allocate(size_t len)
{
	void *p = malloc(len);

	is_out_of_memory |= !p;
	return p;
}

/* What others made with malloc(), which jansson asks else, is freed alike. */
static void set_allocator(void)
{
	json_set_alloc_funcs(allocate, free);
}

int json_text_read(const void *data, size_t len, size_t flags,
		   json_error_t *error, json_t **out)
{
	pthread_once(&once, set_allocator);
	is_out_of_memory = false;
	*out = json_loadb(data, len, flags, error);
	if (!is_out_of_memory)
		return *out ? 0 : -EBADMSG;
	json_decref(*out);
	*out = NULL;
	return -ENOMEM;
}
