/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cmd/key_export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "src/cmd/guarded.h"
#include "src/cmd/key_copy.h"
#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/key.h"

/* ---- export ---- */

struct export
{
	struct backend *backend;
	json_t *objects;
};

static int export_object(struct export *e, const char *name)
{
	uint8_t *data = NULL;
	json_t *o;
	char *hex;
	size_t len;
	int r;

	if (!name_is_object(name)) {
		log_warn("%s: not a key slot: left out", name);
		return 0;
	}
	r = backend_get_all(e->backend, name, KEY_SLOT_MAX, &data, &len);
	if (r < 0)
		return r == -ENOENT
			       ? fail(r, "%s: there is no such object", name)
			       : r;
	hex = malloc(2 * len + 1);
	o = json_object();
	if (!hex || !o) {
		r = -ENOMEM;
	} else {
		hex_encode(data, len, hex);
		output_set_string(o, "name", name);
		output_set_string(o, "data", hex);
		json_array_append(e->objects, o);
	}
	json_decref(o);
	free(hex);
	free(data);
	return r;
}

/* "-" is standard output. */
static int write_document(const char *path, const json_t *document)
{
	bool standard = !strcmp(path, "-");
	FILE *f = stdout;
	int fd, r;

	if (!standard) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd < 0)
			return fail(-errno, "%s: cannot make it: %s", path,
				    strerror(errno));
		f = fdopen(fd, "w");
		if (!f) {
			close(fd);
			return -ENOMEM;
		}
	}
	r = json_dumpf(document, f, JSON_INDENT(1));
	fputc('\n', f);
	if (standard)
		return output_flush();
	if (r < 0 || fflush(f) || fsync(fileno(f)) < 0)
		r = fail(errno ? -errno : -EIO, "%s: cannot write: %s", path,
			 strerror(errno));
	if (fclose(f) && r == 0)
		r = -errno;
	if (r < 0)
		unlink(path);
	return r;
}

static int export_to(struct context *ctx, const char *path)
{
	AUTO_NAMES struct backend_names slots = { NULL, 0, 0 };
	struct export e = { .objects = json_array() };
	json_t *document = NULL;
	size_t i, n;
	int r;

	if (!e.objects)
		return -ENOMEM;
	r = strcmp(path, "-") ? guarded_check(ctx, path) : 0;
	if (r == 0)
		r = context_open_backend(ctx, &e.backend);
	if (r < 0)
		goto out;
	r = export_object(&e, "config");
	if (r == -ENOENT)
		r = -ENOMEDIUM;
	if (r == 0)
		r = backend_list_names(e.backend, "key/", &slots);
	for (i = 0; r == 0 && i < slots.n; i++)
		r = export_object(&e, slots.list[i]);
	backend_close(e.backend);
	if (r < 0)
		goto out;
	document = json_object();
	json_object_set_new(document, "vmbackup_keys", json_integer(1));
	json_object_set(document, "objects", e.objects);
	r = document ? write_document(path, document) : -ENOMEM;
	n = json_array_size(e.objects);
	if (r == 0 && !ctx->quiet && !ctx->json)
		log_info("%zu objects copied to %s", n, path);
out:
	json_decref(document);
	json_decref(e.objects);
	return r;
}

/* ---- import ---- */

struct import {
	struct backend *backend;
	uint64_t put;
	uint64_t differ; /* the vault has something else by that name */
};

/* Is what the vault has what the copy has? It may be what was to be put back, and
 * is damaged; or the vault is another one, whose slots these are not. */
static int compare_object(struct import *i, const char *name,
			  const uint8_t *data, size_t len)
{
	AUTO_FREE uint8_t *there = NULL;
	size_t there_len = 0;
	int r = backend_get_all(i->backend, name, KEY_SLOT_MAX, &there,
				&there_len);

	if (r < 0 && r != -EFBIG)
		return r;
	if (r == 0 && there_len == len && memcmp(there, data, len) == 0)
		return 0;
	if (strcmp(name, "config") == 0)
		return fail(-EEXIST,
			    "%s: its config is not the one of the copy: the "
			    "copy is of another vault, or the vault's is "
			    "damaged and has to be removed first",
			    backend_url(i->backend));
	i->differ++;
	log_line(LOG_LEVEL_ERROR,
		 "%s: the vault has another object of this name, which is left "
		 "as it is; where it is damaged, remove it first",
		 name);
	return 0;
}

static int import_object(void *arg, const char *name, const uint8_t *data,
			 size_t len)
{
	struct import *i = arg;
	int r = backend_put(i->backend, name, data, len);

	if (r == 0)
		i->put++;
	return r == -EEXIST ? compare_object(i, name, data, len) : r;
}

static int import_from(struct context *ctx, const char *path)
{
	struct import i = { .put = 0 };
	json_t *document;
	json_error_t error;
	int r;

	document = !strcmp(path, "-") ? json_loadf(stdin, 0, &error)
				      : json_load_file(path, 0, &error);
	if (!document)
		return fail(-EINVAL, "%s: %s", path, error.text);
	r = context_open_backend(ctx, &i.backend);
	if (r == 0)
		r = key_copy_read(document, path, import_object, &i);
	backend_close(i.backend);
	if (r < 0)
		goto out;
	if (ctx->json) {
		json_t *o = output_message("summary");

		output_set_string(o, "action", "import");
		output_set_uint(o, "objects_put", i.put);
		r = output_json(o);
	} else {
		printf("%ju objects put back\n", (uintmax_t)i.put);
		r = output_error();
	}
	if (r == 0 && i.differ)
		r = fail(-EEXIST, "%ju objects are not as in the copy",
			 (uintmax_t)i.differ);
out:
	json_decref(document);
	return r;
}

int key_export(struct context *ctx, int argc, char **argv)
{
	if (argc != 2)
		return context_usage(ctx, "key %s takes one file, or -",
				     argv[0]);
	if (!strcmp(argv[0], "export"))
		return export_to(ctx, argv[1]);
	return import_from(ctx, argv[1]);
}
