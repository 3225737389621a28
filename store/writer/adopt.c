/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Packs of sessions that died before they wrote an index. A pack carries its
 * own directory, sealed under its own name, so it can be believed without one:
 * what a dead session uploaded is not lost, but serves the next.
 *
 * To adopt a pack spares work and nothing else. One that cannot be had, for
 * whatever reason, stops nobody; nor is it tried, and complained about, by each
 * session of this machine.
 */
#include "config.h"

#include "store/writer/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/pack_read.h"
#include "store/vault.h"

/* So long an object that could not be used is let alone. */
#define UNUSABLE_NS (INT64_C(24) * 3600 * 1000000000)

/* ---- what could not be used ---- */

static void unusable_name(char out[OBJECT_NAME_MAX + 16], const char *object)
{
	snprintf(out, OBJECT_NAME_MAX + 16, "unusable/%s", object);
}

bool writer_was_unusable(struct writer *w, const char *object)
{
	struct seam *seam = vault_seam(w->vault);
	AUTO_BUF struct buf when = BUF_INIT;
	char note[OBJECT_NAME_MAX + 16];
	int64_t age;

	unusable_name(note, object);
	if (catalog_get_object(vault_catalog(w->vault), note, &when) < 0 ||
	    when.len != sizeof(age))
		return false;
	age = seam->ops->realtime_ns(seam) - (int64_t)get_le64(when.data);
	return age >= 0 && age < UNUSABLE_NS;
}

int writer_pass_over(struct writer *w, const char *object, int err)
{
	struct seam *seam = vault_seam(w->vault);
	char note[OBJECT_NAME_MAX + 16];
	uint8_t when[8];

	if (err == -ENOMEM)
		return err;
	/* Gone is gone, and a place that did not answer may answer soon. */
	if (err == -ENOENT || err == -ETIMEDOUT || err == -EAGAIN)
		return 0;
	unusable_name(note, object);
	put_le64(when, (uint64_t)seam->ops->realtime_ns(seam));
	(void)!catalog_put_object(vault_catalog(w->vault), note, when,
				  sizeof(when));
	return 0;
}

/* ---- one pack ---- */

/*
 * Being listed proves neither that a pack is whole nor that it is still there
 * after a power cut: its writer may have died before its last fsync. It is
 * never put again: a collector may have deleted it meanwhile, and its name must
 * not come back.
 */
static int settle(struct writer *w, const char *name, uint64_t size)
{
	uint8_t want[CRYPT_SHA256_LEN], hash[CRYPT_SHA256_LEN];
	char object[OBJECT_NAME_MAX];
	uint8_t *data = NULL;
	size_t len = 0;
	int r = format_pack_object_name(name, object);

	if (r == 0 && size > FORMAT_PACK_MAX)
		r = -EBADMSG;
	if (r == 0)
		r = format_pack_hash(name, want);
	if (r == 0)
		r = vault_get_all(w->vault, object, FORMAT_PACK_MAX, &data,
				  &len);
	if (r == 0)
		r = crypt_sha256(data, len, hash);
	if (r == 0 && memcmp(hash, want, sizeof(hash)) != 0)
		r = fail(-EBADMSG,
			 "%s: damaged, and of a backup that was not "
			 "finished: left alone",
			 object);
	free(data);
	return r == 0 ? backend_sync(vault_backend(w->vault), object) : r;
}

static int adopt(struct writer *w, const char *name, uint64_t size)
{
	int64_t no = 0;
	int r = settle(w, name, size);

	if (r == 0)
		r = vault_import_pack(w->vault, name, size);
	if (r == 0)
		r = catalog_pack_no(vault_catalog(w->vault), name, &no);
	if (r == 0)
		r = writer_mark_usable(w, no);
	if (r == 0)
		w->stats.packs_adopted++;
	return r;
}

/* Its session may have died while a disk filled, and the disk may have died
 * since: not ours to judge. */
int writer_adopt_pack(struct writer *w, const char *name, uint64_t size)
{
	char object[OBJECT_NAME_MAX];
	int r = format_pack_object_name(name, object);

	if (r < 0 || writer_was_unusable(w, object))
		return 0;
	r = adopt(w, name, size);
	return r < 0 ? writer_pass_over(w, object, r) : 0;
}

/* ---- naming them ---- */

struct adopted {
	char (*names)[PACK_NAME_MAX]; /* owned */
	size_t n, cap;
};

/* Packs known from their own directories alone must be named by our index. */
static int index_source(void *arg, const char *source)
{
	struct adopted *a = arg;
	const char *name = strrchr(source, '/') + 1;

	if (strncmp(source, "pack/", 5) != 0 || strlen(name) >= PACK_NAME_MAX)
		return 0;
	if (array_reserve(&a->names, &a->cap, a->n + 1) < 0)
		return -ENOMEM;
	memcpy(a->names[a->n++], name, strlen(name) + 1);
	return 0;
}

static int index_one(struct writer *w, const char *name)
{
	AUTO_BUF struct buf dir = BUF_INIT;
	struct catalog *c = vault_catalog(w->vault);
	struct pack_dir decoded = { 0 };
	struct pack_row row;
	int64_t no;
	int r = catalog_pack_no(c, name, &no);

	if (r < 0 || !writer_pack_usable(w, no))
		return r == -ENOENT ? 0 : r;
	r = catalog_get_pack(c, no, &row, &dir);
	if (r == 0)
		r = format_get_dir(dir.data, dir.len, name, false, &decoded);
	if (r == 0)
		r = writer_index_pack(w, row.name, row.size, row.kind,
				      row.epoch, row.salt, &dir,
				      decoded.nchunks);
	format_release_dir(&decoded);
	return r;
}

int writer_index_adopted(struct writer *w)
{
	struct adopted a = { .n = 0 };
	size_t i;
	int r = catalog_sources(vault_catalog(w->vault), index_source, &a);

	for (i = 0; i < a.n && r == 0; i++)
		r = index_one(w, a.names[i]);
	free(a.names);
	return r;
}
