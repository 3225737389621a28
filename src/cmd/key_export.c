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
#include "src/keys/key_copy.h"
#include "store/backend/backend.h"
#include "store/backend/names.h"
#include "store/base/bytes.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/name.h"
#include "store/config/pair.h"
#include "store/format.h"
#include "store/key/key.h"

/* The type of the object of that name. */
static uint8_t type_of(const char *name)
{
	return !strncmp(name, "config", 6) ? OBJECT_CONFIG
	       : !strncmp(name, "key/", 4) ? OBJECT_KEY
					   : OBJECT_EPOCH;
}

/* Is it a key slot or an epoch of this vault, as far as can be told without a
 * password? Of one that a newer program made nothing is asked. Return 0, or
 * -EBADMSG, said in words. */
static int check_slot(const uint8_t *vault_id, const char *name,
		      const uint8_t *data, size_t len)
{
	struct box box;
	int r;

	if (len >= FORMAT_HEADER_LEN &&
	    memcmp(data, FORMAT_MAGIC, strlen(FORMAT_MAGIC)) == 0 &&
	    get_le16(data + 8) > FORMAT_VERSION)
		return 0;
	r = format_parse_box(data, len, type_of(name), name, &box);
	if (r == 0 && memcmp(box.header.vault_id, vault_id, VAULT_ID_LEN) != 0)
		r = fail(-EBADMSG, "%s: %s of another vault", name,
			 type_of(name) == OBJECT_KEY ? "a key slot"
						     : "an epoch of keys");
	return r < 0 ? -EBADMSG : 0;
}

/* ---- export ---- */

struct export
{
	struct backend *backend;
	json_t *objects;
	uint8_t vault_id[VAULT_ID_LEN];
	size_t left_out; /* what stands where key slots do, and is none */
};

static int append_object(struct export *e, const char *name,
			 const uint8_t *data, size_t len)
{
	AUTO_FREE char *hex = malloc(2 * len + 1);
	json_t *o = json_object();

	if (!hex || !o) {
		json_decref(o);
		return -ENOMEM;
	}
	hex_encode(data, len, hex);
	output_set_string(o, "name", name);
	output_set_string(o, "data", hex);
	return json_array_append_new(e->objects, o) < 0 ? -ENOMEM : 0;
}

/* One of the two. Return 0, -ENOENT (silent), or another negative errno, said in words
 * but where it is the store's. */
static int read_config(struct export *e, const char *name, uint8_t **data,
		       size_t *len)
{
	struct box box;
	int r = backend_get_all(e->backend, name, CONFIG_MAX, data, len);

	if (r == -EFBIG)
		r = fail(-EBADMSG, "%s: damaged: far too long", name);
	if (r < 0) {
		*data = NULL;
		return r;
	}
	r = format_parse_box(*data, *len, OBJECT_CONFIG, name, &box);
	if (r == 0)
		memcpy(e->vault_id, box.header.vault_id, VAULT_ID_LEN);
	return r;
}

/* Without it the copy would be none. Where there are two that are not the same, only
 * who has a password can tell which is right. */
static int export_config(struct export *e)
{
	AUTO_FREE uint8_t *first = NULL, *second = NULL;
	size_t len = 0, second_len = 0;
	int two = read_config(e, CONFIG_COPY_NAME, &second, &second_len);
	int r = read_config(e, CONFIG_NAME, &first, &len);

	if (r == -ENOENT && two == -ENOENT)
		return fail(-ENOMEDIUM,
			    "%s: there is no vault here, or it lost its config",
			    backend_url(e->backend));
	if (r == 0 && two == 0 &&
	    (len != second_len || memcmp(first, second, len) != 0))
		return fail(-EBADMSG,
			    "%s: config and its copy are not the same: mend "
			    "them first, with: vmbackup repair keys --apply",
			    backend_url(e->backend));
	if (r == 0)
		return append_object(e, CONFIG_NAME, first, len);
	if (two == 0)
		return append_object(e, CONFIG_NAME, second, second_len);
	return r == -ENOENT ? two : r;
}

/* One that cannot be copied keeps no other from being copied. */
static int export_slot(struct export *e, const char *name)
{
	AUTO_FREE uint8_t *data = NULL;
	size_t len;
	int r;

	if (!name_is_object(name)) {
		log_warn("%s: not a key slot: left out", name);
		return 0;
	}
	r = backend_get_all(e->backend, name, KEY_SLOT_MAX, &data, &len);
	if (r == -ENOENT)
		return 0; /* it was removed meanwhile */
	if (r == -EFBIG)
		r = fail(-EBADMSG, "%s: too long for a key slot", name);
	if (r == 0)
		r = check_slot(e->vault_id, name, data, len);
	if (r < 0 && backend_error_is_of_object(r)) {
		e->left_out++;
		return 0;
	}
	return r < 0 ? r : append_object(e, name, data, len);
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
	r = export_config(&e);
	if (r == 0)
		r = backend_list_names(e.backend, "key/", &slots);
	/* Without these the slots of later epochs open nothing. */
	if (r == 0)
		r = backend_list_names(e.backend, "epoch/", &slots);
	for (i = 0; r == 0 && i < slots.n; i++)
		r = export_slot(&e, slots.list[i]);
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
	if (r == 0 && e.left_out)
		r = fail(-EBADMSG,
			 "%zu objects that stand where key slots do cannot be "
			 "read or are none, and are not in the copy",
			 e.left_out);
out:
	json_decref(document);
	json_decref(e.objects);
	return r;
}

/* ---- import ---- */

struct import {
	struct backend *backend;
	uint8_t vault_id[VAULT_ID_LEN]; /* the copy's, as its config says */
	size_t configs, slots; /* that the copy has */
	uint64_t put, same;
	uint64_t differ; /* the vault has something else by that name */
	uint64_t bad; /* no key slots of this vault, and left out */
};

/* Look at an object of the copy before any is put. */
static int look_at(void *arg, const char *name, const uint8_t *data, size_t len)
{
	struct import *i = arg;
	struct box box;
	int r;

	if (strcmp(name, "config") != 0) {
		i->slots++;
		return 0;
	}
	r = format_parse_box(data, len, OBJECT_CONFIG, name, &box);
	if (r < 0)
		return fail(r, "the config in the copy is damaged");
	memcpy(i->vault_id, box.header.vault_id, VAULT_ID_LEN);
	i->configs++;
	return 0;
}

enum whose { NOBODYS, OURS, OTHERS };

/* The first objects below @prefix say whose vault it is. */
static int ask_folder(struct import *i, const char *prefix, enum whose *out)
{
	AUTO_NAMES struct backend_names names = { NULL, 0, 0 };
	uint8_t header[FORMAT_HEADER_LEN];
	size_t n;
	int r = backend_list_names(i->backend, prefix, &names);

	for (n = 0; n < names.n && n < 16 && r == 0 && *out != OURS; n++) {
		if (!name_is_object(names.list[n]))
			continue;
		r = backend_get(i->backend, names.list[n], 0, header,
				sizeof(header));
		if (r == 0 &&
		    memcmp(header, FORMAT_MAGIC, strlen(FORMAT_MAGIC)) == 0)
			*out = memcmp(header + 16, i->vault_id, VAULT_ID_LEN)
				       ? OTHERS
				       : OURS;
		if (r == -ENOENT || backend_error_is_of_object(r))
			r = 0;
	}
	return r;
}

/* Is the vault the one that the copy is of? Its config says so, unless it is what
 * has to be put back: then the objects beside it do. */
static int check_vault(struct import *i, const char *path)
{
	static const char *const folders[] = { "commit/", "index/", "key/" };
	AUTO_FREE uint8_t *config = NULL;
	enum whose whose = NOBODYS;
	bool told = false;
	struct box box;
	size_t len, n;
	int r = backend_get_all(i->backend, "config", KEY_SLOT_MAX, &config,
				&len);

	if (r == 0 &&
	    format_parse_box(config, len, OBJECT_CONFIG, "config", &box) == 0)
		whose = memcmp(box.header.vault_id, i->vault_id, VAULT_ID_LEN)
				? OTHERS
				: OURS;
	if (r == -ENOENT || r == -EFBIG || backend_error_is_of_object(r))
		r = 0;
	/* A config of another vault may be ours, with a wrong bit in the id. A
	 * foreign key slot is put easily, so that it is asked last. */
	for (n = 0; n < 3 && r == 0 && whose != OURS && !told; n++) {
		enum whose said = NOBODYS;

		r = ask_folder(i, folders[n], &said);
		told = said != NOBODYS;
		whose = told ? said : whose;
	}
	if (r == 0 && whose == OTHERS)
		r = fail(-EINVAL,
			 "%s is a copy of another vault, not of %s: nothing "
			 "was put back",
			 path, backend_url(i->backend));
	return r;
}

/* What the vault has cannot be what was put once, so that nothing is lost with
 * it. */
static int replace_object(struct import *i, const char *name,
			  const uint8_t *data, size_t len)
{
	int r = backend_delete(i->backend, name);

	if (r == 0 || r == -ENOENT)
		r = backend_put(i->backend, name, data, len);
	if (r < 0)
		return fail(r,
			    "%s: was damaged, and is not put back: run key "
			    "import again",
			    name);
	i->put++;
	return 0;
}

/*
 * Is what the vault has what the copy has? What does not even have the form of
 * such an object is replaced. Of two that have it one is damaged, and without a
 * password nobody knows which one.
 */
static int compare_object(struct import *i, const char *name,
			  const uint8_t *data, size_t len)
{
	uint8_t type = type_of(name);
	AUTO_FREE uint8_t *there = NULL;
	size_t there_len = 0;
	struct box box;
	int r = backend_get_all(i->backend, name, KEY_SLOT_MAX, &there,
				&there_len);

	if (r < 0 && r != -EFBIG && !backend_error_is_of_object(r))
		return r;
	if (r == 0 && there_len == len && memcmp(there, data, len) == 0) {
		i->same++;
		return 0;
	}
	if (r == -EFBIG || (r == 0 && format_parse_box(there, there_len, type,
						       name, &box) == -EBADMSG))
		return replace_object(i, name, data, len);
	i->differ++;
	log_line(LOG_LEVEL_ERROR,
		 "%s: the vault has another object of this name, which is left "
		 "as it is. If the vault does not open, \"repair keys --from\" "
		 "this copy tells which is right; or move the object out of "
		 "%s, keep it, and run key import again",
		 name, backend_url(i->backend));
	return 0;
}

static int put_object(struct import *i, const char *name, const uint8_t *data,
		      size_t len)
{
	int r = backend_put(i->backend, name, data, len);

	if (r == 0)
		i->put++;
	return r == -EEXIST ? compare_object(i, name, data, len) : r;
}

static int import_object(void *arg, const char *name, const uint8_t *data,
			 size_t len)
{
	struct import *i = arg;
	int r = 0;

	if (strcmp(name, "config") != 0)
		r = check_slot(i->vault_id, name, data, len);
	if (r < 0) {
		i->bad++;
		return 0;
	}
	r = put_object(i, name, data, len);
	/* Of the vault's two. */
	if (r == 0 && strcmp(name, CONFIG_NAME) == 0)
		r = put_object(i, CONFIG_COPY_NAME, data, len);
	return r;
}

static int import_document(struct import *i, const json_t *document,
			   const char *path)
{
	int r = key_copy_read(document, path, look_at, i);

	if (r == 0 && (i->configs != 1 || i->slots == 0))
		r = fail(-EINVAL,
			 "%s: not a copy of key slots: it has %zu configs and "
			 "%zu slots",
			 path, i->configs, i->slots);
	if (r == 0)
		r = check_vault(i, path);
	return r < 0 ? r : key_copy_read(document, path, import_object, i);
}

static int report_import(struct context *ctx, const struct import *i)
{
	json_t *o;
	int r;

	if (ctx->json) {
		o = output_message("summary");
		output_set_string(o, "action", "import");
		output_set_uint(o, "objects_put", i->put);
		output_set_uint(o, "objects_same", i->same);
		output_set_uint(o, "objects_differ", i->differ);
		output_set_uint(o, "objects_bad", i->bad);
		r = output_json(o);
	} else {
		printf("%ju objects put back, %ju were there already\n",
		       (uintmax_t)i->put, (uintmax_t)i->same);
		r = output_error();
	}
	if (r == 0 && i->bad)
		r = fail(-EBADMSG,
			 "%ju key slots of the copy are damaged or of another "
			 "vault, and are not put back",
			 (uintmax_t)i->bad);
	if (r == 0 && i->differ)
		r = fail(-EBADMSG, "%ju objects are not as in the copy",
			 (uintmax_t)i->differ);
	return r;
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
		r = import_document(&i, document, path);
	backend_close(i.backend);
	if (r == 0)
		r = report_import(ctx, &i);
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
