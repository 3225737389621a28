/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories of ISO 9660. A cookie is a place in the directory. */
#include "config.h"

#include "fs/guest/iso/internal.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "store/base/log.h"

struct walk {
	struct guest *g;
	uint64_t dir; /* node */
	uint64_t cookie; /* what ends up to here was given */
	const struct iso *iso;
	uint64_t start, size, off; /* of the directory; in it */
	guest_dir_fn *fn;
	void *arg;
	uint64_t first; /* node of the file whose records are passed; or 0 */
	unsigned int type; /* and the rest of it */
	unsigned int raw_len;
	uint8_t raw[222]; /* its name, as in the records */
	size_t len;
	char name[GUEST_NAME_MAX + 1];
};

/* The name, node and type of what begins with @rec. Return 1; 0: it is not
 * shown; or a negative errno. */
static int walk_describe(struct walk *w, const struct iso_record *rec)
{
	struct rock rock;
	int r;

	if (iso_record_is_dot(rec) || rec->flags & ISO_ASSOCIATED)
		return 0;
	r = rock_read(w->iso, rec, NULL, &rock);
	if (r < 0 && r != -EBADMSG)
		return r;
	/* Its name may be another than it would be. */
	if (r < 0)
		guest_dir_spoil(w->g, w->dir,
				"the record at byte %" PRIu64
				" has malformed Rock Ridge fields",
				rec->pos);
	if (rock.relocated)
		return 0;
	w->first = ISO_NODE(rec->flags & ISO_DIRECTORY ? rec->at : rec->pos);
	w->type = rec->flags & ISO_DIRECTORY ? DT_DIR : DT_REG;
	if (rock.attrs && w->type == DT_REG)
		w->type = IFTODT(rock.mode);
	if (rock.child) {
		w->first = rock.child;
		w->type = DT_DIR;
	}
	w->raw_len = rec->name_len;
	memcpy(w->raw, rec->raw + 33, rec->name_len);
	w->len = rock.named ? rock.name_len : 0;
	if (w->len)
		memcpy(w->name, rock.name, w->len + 1);
	else
		w->len = iso_record_name(w->iso, rec, w->name);
	return 1;
}

/* One record; w->off stands behind it. */
static int walk_record(struct walk *w, const struct iso_record *rec)
{
	uint64_t first = w->first;
	int r;

	/* The rest of a file is missing: asking for it will tell. */
	if (first && (rec->name_len != w->raw_len ||
		      memcmp(rec->raw + 33, w->raw, w->raw_len) != 0)) {
		w->first = 0;
		r = w->fn(w->arg, w->name, w->len, first, w->type,
			  w->off - rec->len);
		if (r != 0)
			return r;
	}
	if (!w->first) {
		r = walk_describe(w, rec);
		if (r <= 0)
			return r;
	}
	/* A file is given with its last record, so that the cookie is behind
	 * all of them. */
	if (rec->flags & ISO_MORE && !(rec->flags & ISO_DIRECTORY))
		return 0;
	first = w->first;
	w->first = 0;
	return w->fn(w->arg, w->name, w->len, first, w->type, w->off);
}

/* Behind the last record of a sector there are zeros. */
static void check_rest(const struct walk *w, const uint8_t *sector, size_t at,
		       size_t len)
{
	for (; at < len; at++)
		if (sector[at]) {
			guest_dir_spoil(w->g, w->dir,
					"a record behind the last one of a "
					"sector, at byte %" PRIu64 " of it",
					w->off + at);
			return;
		}
}

/* The records of one sector, which begins at w->off. */
static int walk_sector(struct walk *w, const uint8_t *sector, size_t len)
{
	uint64_t start = w->off;
	struct iso_record rec;
	size_t at;
	int r;

	for (at = 0; at < len; at += rec.len) {
		w->off = start + at;
		r = iso_record_get(w->iso, w->start + w->off, sector + at,
				   len - at, &rec);
		if (r < 0)
			return fail(r,
				    "ISO 9660: the directory at byte "
				    "%" PRIu64 " has a malformed record at "
				    "byte %" PRIu64 " of it",
				    w->start, w->off);
		if (!rec.len)
			break;
		w->off += rec.len;
		r = w->off > w->cookie ? walk_record(w, &rec) : 0;
		if (r != 0)
			return r;
	}
	w->off = start;
	check_rest(w, sector, at, len);
	w->off = start + ISO_SECTOR;
	return 0;
}

static int walk_dir(struct walk *w)
{
	uint8_t sector[ISO_SECTOR];
	uint64_t len;
	int r = 0;

	w->off = w->cookie / ISO_SECTOR * ISO_SECTOR;
	while (r == 0 && w->off < w->size) {
		len = MIN(w->size - w->off, ISO_SECTOR);
		r = blocks_read(w->iso->meta, w->start + w->off, sector,
				(size_t)len);
		if (r < 0)
			return fail(r == -ERANGE ? -EBADMSG : r,
				    "ISO 9660: the directory at byte %" PRIu64
				    " cannot be read at byte %" PRIu64 " of it",
				    w->start, w->off);
		r = walk_sector(w, sector, (size_t)len);
	}
	/* The rest of its records is missing: asking for it will tell. */
	if (r == 0 && w->first)
		r = w->fn(w->arg, w->name, w->len, w->first, w->type, w->off);
	return r;
}

int iso_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
		guest_dir_fn *fn, void *arg)
{
	struct walk w = { .g = g,
			  .dir = dir,
			  .cookie = cookie,
			  .iso = g->state,
			  .fn = fn,
			  .arg = arg };
	struct iso_record rec;
	int r;

	r = iso_node_record(w.iso, dir, &rec);
	if (r < 0)
		return r;
	if (!(rec.flags & ISO_DIRECTORY))
		return -ENOTDIR;
	w.start = rec.at;
	w.size = rec.size;
	return walk_dir(&w);
}
