/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/keys/key_copy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/key/key.h"

#define OBJECTS_MAX 1000

static bool name_ok(const char *name)
{
	return !strcmp(name, "config") ||
	       ((!strncmp(name, "key/", 4) || !strncmp(name, "epoch/", 6)) &&
		name_is_object(name));
}

/* Read one object: its name, and its bytes, which the caller frees. */
static int read_object(const json_t *o, const char **name_out,
		       uint8_t **data_out, size_t *len_out)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	const char *hex = json_string_value(json_object_get(o, "data"));
	size_t len = hex ? strlen(hex) : 0;
	uint8_t *data;

	if (!name || !hex || !name_ok(name) || len % 2 ||
	    len > 2 * (size_t)KEY_SLOT_MAX)
		return -EINVAL;
	data = malloc(len / 2 + 1);
	if (!data)
		return -ENOMEM;
	if (hex_decode(hex, len / 2, data) < 0) {
		free(data);
		return -EINVAL;
	}
	*name_out = name;
	*data_out = data;
	*len_out = len / 2;
	return 0;
}

/* @fn NULL: only look at them. */
static int each_object(const json_t *objects, key_copy_fn *fn, void *arg)
{
	size_t n = json_array_size(objects), i;
	int r = 0;

	for (i = 0; i < n && r == 0; i++) {
		uint8_t *data = NULL;
		const char *name;
		size_t len;

		r = read_object(json_array_get(objects, i), &name, &data, &len);
		if (r == 0 && fn)
			r = fn(arg, name, data, len);
		free(data);
	}
	return r;
}

int key_copy_read(const json_t *document, const char *path, key_copy_fn *fn,
		  void *arg)
{
	const json_t *objects = json_object_get(document, "objects");
	int r = -EINVAL;

	if (json_integer_value(json_object_get(document, "vmbackup_keys")) ==
		    1 &&
	    json_array_size(objects) <= OBJECTS_MAX)
		r = each_object(objects, NULL, NULL);
	if (r == -EINVAL)
		return fail(r, "%s: not a copy of key slots", path);
	return r < 0 ? r : each_object(objects, fn, arg);
}
