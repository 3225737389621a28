/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files of ISO 9660: one record for every 4 GiB, one behind the other. */
#include "config.h"

#include "fs/guest/iso/internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/map.h"
#include "store/base/log.h"

#define SECTIONS_MAX 65536 /* of one file */

typedef int section_fn(void *arg, const struct iso_record *rec);

/* Call @fn with each record of the file whose first one is @first. Return 0,
 * -EBADMSG (the last one is missing; silent), or what reading or @fn
 * returned. */
static int sections(const struct iso *iso, const struct iso_record *first,
		    section_fn *fn, void *arg)
{
	struct iso_record rec = *first;
	unsigned int n;
	uint64_t pos;
	int r;

	for (n = 0; n < SECTIONS_MAX; n++) {
		r = fn(arg, &rec);
		if (r != 0 || !(rec.flags & ISO_MORE))
			return r;
		pos = rec.pos + rec.len;
		if (pos % ISO_SECTOR) {
			r = iso_record_read(iso, pos, &rec);
			if (r < 0)
				return r;
		}
		if (pos % ISO_SECTOR == 0 || !rec.len) {
			/* None, up to the end of this sector. */
			pos = (pos + ISO_SECTOR - 1) / ISO_SECTOR * ISO_SECTOR;
			r = iso_record_read(iso, pos, &rec);
			if (r < 0)
				return r;
		}
		if (!rec.len || rec.name_len != first->name_len ||
		    memcmp(rec.raw + 33, first->raw + 33, rec.name_len) != 0)
			return -EBADMSG;
	}
	return -EBADMSG;
}

static int add_size(void *arg, const struct iso_record *rec)
{
	uint64_t *size = arg;

	*size += rec->size;
	return 0;
}

int iso_file_size(const struct iso *iso, const struct iso_record *rec,
		  uint64_t *out)
{
	int r;

	*out = 0;
	r = sections(iso, rec, add_size, out);
	if (r == -EBADMSG)
		return fail(r,
			    "ISO 9660: file %" PRIu64 ": not all of its "
			    "records are there",
			    ISO_NODE(rec->pos));
	return r;
}

struct mapping {
	struct map *map;
	uint64_t off;
	bool interleaved;
};

static int add_section(void *arg, const struct iso_record *rec)
{
	struct mapping *m = arg;
	int r;

	if (rec->interleaved) {
		m->interleaved = true;
		return -EOPNOTSUPP;
	}
	if (!rec->size)
		return 0;
	r = map_add(m->map, m->off, rec->size, rec->at, false);
	m->off += rec->size;
	return r;
}

/* Why a file cannot be read, or 0. */
static int file_refuse(uint64_t node, const struct rock *rock)
{
	if (rock->compressed)
		return fail(-EOPNOTSUPP,
			    "ISO 9660: file %" PRIu64
			    " is compressed with zisofs, which is "
			    "not decoded",
			    node);
	if (rock->sparse)
		return fail(-EOPNOTSUPP,
			    "ISO 9660: file %" PRIu64
			    " is stored as a sparse file, which "
			    "is not decoded",
			    node);
	return 0;
}

static int walk_sections(const struct iso *iso, const struct iso_record *rec,
			 struct map *map)
{
	struct mapping m = { .map = map };
	int r = sections(iso, rec, add_section, &m);

	if (m.interleaved)
		(void)fail(r,
			   "ISO 9660: file %" PRIu64 " is interleaved, "
			   "which is not decoded",
			   ISO_NODE(rec->pos));
	else if (r == -EBADMSG)
		(void)fail(r,
			   "ISO 9660: file %" PRIu64 " reaches past the end "
			   "of the image",
			   ISO_NODE(rec->pos));
	return r;
}

/* A map_walk_fn. */
static int walk_node(struct guest *g, uint64_t node, struct map *m)
{
	struct iso_record rec;
	int r = iso_node_record(g->state, node, &rec);

	return r < 0 ? r : walk_sections(g->state, &rec, m);
}

static int iso_map(struct guest *g, uint64_t node, const struct iso_record *rec,
		   struct guest_file **out)
{
	const struct iso *iso = g->state;
	uint64_t size;
	struct map *m;
	int r;

	r = iso_file_size(iso, rec, &size);
	if (r < 0)
		return r;
	m = map_new(iso->data, size);
	if (!m)
		return -ENOMEM;
	r = walk_sections(iso, rec, m);
	if (r >= 0)
		r = map_file(m, g, node, 1, walk_node, out);
	if (r < 0)
		map_free(m);
	return r;
}

int iso_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	const struct iso *iso = g->state;
	struct iso_record rec;
	struct rock rock;
	int r;

	*out = NULL;
	r = rock_read_node(iso, node, NULL, &rec, &rock);
	if (r < 0)
		return r;
	if (rec.flags & ISO_DIRECTORY || (rock.attrs && !S_ISREG(rock.mode)))
		return -EINVAL;
	r = file_refuse(node, &rock);
	return r < 0 ? r : iso_map(g, node, &rec, out);
}
