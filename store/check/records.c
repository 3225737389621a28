/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What seals cannot tell: whether an object means something. One that its
 * writer sealed with nonsense in it is authentic, and as lost as a damaged one.
 */
#include "config.h"

#include "store/check/internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "store/base/json.h"
#include "store/base/log.h"
#include "store/record/commit.h"
#include "store/record/forget.h"
#include "store/record/note.h"
#include "store/record/pack_list.h"
#include "store/record/purge.h"
#include "store/record/quarantine.h"
#include "store/vault.h"

static int decode_note(const void *data, size_t len, const char *name)
{
	struct note n;
	int r = note_decode(data, len, name, &n);

	if (r == 0)
		note_release(&n);
	return r;
}

static int decode_packs(uint8_t type, const void *data, size_t len,
			const char *name)
{
	struct pack_list l = { .n = 0 };
	bool aborted;
	int r = type == OBJECT_TOMB
			? tomb_decode(data, len, name, &l)
			: sweep_decode(data, len, name, &aborted, &l);

	pack_list_release(&l);
	return r;
}

static int decode_forget(const void *data, size_t len, const char *name)
{
	struct forget f;
	int r = forget_decode(data, len, name, &f);

	if (r == 0)
		forget_release(&f);
	return r;
}

/* What is JSON, and says when. */
static int decode_time(const void *data, size_t len, const char *name)
{
	json_t *doc;
	bool ok;

	if (json_text_read(data, len, 0, NULL, &doc) == -ENOMEM)
		return -ENOMEM;
	ok = json_is_integer(json_object_get(doc, "time_ns"));
	json_decref(doc);
	return ok ? 0 : fail(-EBADMSG, "%s: authentic, but malformed", name);
}

int check_record(uint8_t type, const void *data, size_t len, const char *name)
{
	struct commit commit;
	bool purged;

	switch (type) {
	case OBJECT_COMMIT:
		return commit_decode(data, len, name, &commit);
	case OBJECT_PURGE:
		return purge_decode(data, len, name, &purged);
	case OBJECT_NOTE:
	case OBJECT_MACHINE:
		return decode_note(data, len, name);
	case OBJECT_TOMB:
	case OBJECT_SWEEP:
		return decode_packs(type, data, len, name);
	case OBJECT_QUARANTINE:
		return quarantine_decode(data, len, name);
	case OBJECT_FORGET:
		return decode_forget(data, len, name);
	case OBJECT_HEARTBEAT:
		return decode_time(data, len, name);
	default:
		return 0;
	}
}

/* What is lost with a folder. */
static const char *kept_in(const char *folder)
{
	static const struct {
		const char *folder, *text;
	} kinds[] = {
		{ "commit", "which points there are" },
		{ "feature", "what programs must know" },
		{ "key", "the keys that open the vault" },
		{ "machine", "what machines were renamed to" },
		{ "note", "what was noted of points, and which are protected" },
		{ "pack", "all data" },
		{ "point", "what is in the points" },
		{ "purge", "which points were removed" },
		{ "quarantine", "which packs were found damaged" },
		{ "sweep", "which packs were deleted" },
		{ "tomb", "which packs are about to be deleted" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (strcmp(kinds[i].folder, folder) == 0)
			return kinds[i].text;
	return "nothing that a restore needs";
}

int check_folders(struct check *c)
{
	char object[OBJECT_NAME_MAX];
	char *const *folders;
	size_t i, n = vault_missing_folders(c->vault, &folders);
	int r = 0;

	for (i = 0; i < n && r >= 0; i++) {
		snprintf(object, sizeof(object), "%s/", folders[i]);
		r = check_found(c, true, object,
				"the folder is missing; in it was %s; put it "
				"back, or accept the loss: vmbackup check "
				"--accept-rollback",
				kept_in(folders[i]));
	}
	return MIN(r, 0);
}

const char *check_what_is_lost(uint8_t type)
{
	switch (type) {
	case OBJECT_INDEX:
		return "; the packs that only it names are unknown, until the"
		       " next backup adopts them";
	case OBJECT_PURGE:
		return "; nobody knows whether the point that it names was"
		       " removed";
	case OBJECT_TOMB:
	case OBJECT_SWEEP:
		return "; nobody knows which packs it condemns, so backups"
		       " store everything anew";
	case OBJECT_DIGEST:
		return "; nothing is lost: what it says is read from many"
		       " objects instead";
	case OBJECT_NOTE:
		return "; the point that it names counts as protected";
	case OBJECT_FORGET:
		return "; the point that it names is not forgotten by it";
	case OBJECT_LEDGER:
		return "; nothing is lost: what it says was verified is read"
		       " once more";
	case OBJECT_QUARANTINE:
		return "; it says nothing about the pack that it names";
	case OBJECT_FEATURE:
		return "; nobody knows what it asks of programs";
	default:
		return "";
	}
}
