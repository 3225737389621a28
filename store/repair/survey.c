/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a repair goes by. What is damaged the check says, and what is in quarantine;
 * a chunk counts as held where a pack that is neither has it. Any other is read: of a
 * damaged pack most can still be had.
 */
#include "config.h"

#include "store/repair/internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/backend.h"
#include "store/base/array.h"
#include "store/base/log.h"
#include "store/base/task.h"
#include "store/catalog/catalog.h"
#include "store/chunk.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/writer.h"

/* ---- packs ---- */

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct survey_pack *)a)->name,
		      ((const struct survey_pack *)b)->name);
}

static int on_pack(void *arg, const char *object,
		   const struct backend_info *info)
{
	const char *name = strrchr(object, '/') + 1;
	struct survey *s = arg;
	struct survey_pack *p;

	if (array_reserve(&s->packs, &s->packs_cap, s->npacks + 1) < 0)
		return -ENOMEM;
	p = &s->packs[s->npacks++];
	memcpy(p->name, name, strlen(name) + 1);
	p->size = info->size;
	return 0;
}

static const struct survey_pack *find_pack(const struct survey *s,
					   const char *name)
{
	struct survey_pack key;

	if (s->npacks == 0)
		return NULL;
	snprintf(key.name, sizeof(key.name), "%s", name);
	return bsearch(&key, s->packs, s->npacks, sizeof(key), by_name);
}

static int find_sick(struct survey *s)
{
	size_t i;
	int r = 0;

	for (i = 0; i < s->check.nfindings && r == 0; i++) {
		const struct check_finding *f = s->check.findings[i];

		if (!f->damage || strncmp(f->object, "pack/", 5) != 0)
			continue;
		r = pack_list_add(&s->sick, strrchr(f->object, '/') + 1);
		/* The folder itself, where it is gone. */
		r = r == -EINVAL ? 0 : r;
	}
	for (i = 0; i < s->condemned.quarantined.n && r == 0; i++)
		r = pack_list_add(&s->sick, s->condemned.quarantined.names[i]);
	pack_list_sort(&s->sick);
	return r;
}

static int on_row(void *arg, const struct pack_row *row)
{
	struct survey *s = arg;
	const struct survey_pack *p = find_pack(s, row->name);

	if (!p || p->size != row->size || pack_list_has(&s->sick, row->name) ||
	    condemned_has(&s->condemned, row->name))
		return 0;
	return packset_add(&s->good, row->no);
}

static int list_packs(struct survey *s)
{
	/* What no index object names says itself what is in it. */
	size_t asked;
	int r = vault_import_packs(s->vault, &asked);

	if (r == 0)
		r = condemned_read(s->vault, &s->condemned);
	if (r == 0)
		r = vault_list(s->vault, "pack/", on_pack, s);
	if (r == 0 && s->npacks)
		qsort(s->packs, s->npacks, sizeof(*s->packs), by_name);
	if (r == 0)
		r = find_sick(s);
	return r == 0 ? catalog_packs(vault_catalog(s->vault), on_row, s) : r;
}

int survey_make(struct survey *s, struct vault *v,
		const struct repair_options *o, struct task *task,
		struct repair_result *out)
{
	struct check_options co = { .read_data = o->read_data,
				    .by = o->by,
				    .look_only = !o->apply };
	struct point_list *points = NULL;
	int r;

	*s = (struct survey){ .vault = v, .o = o, .task = task, .out = out };
	*out = (struct repair_result){ .repaired = 0 };
	/* Nothing is written to a vault that went back, which a list tells. */
	r = vault_points(v, &points);
	point_list_put(points);
	if (r == 0 && o->apply)
		r = vault_may_write(v);
	if (r == 0)
		r = check_run(v, &co, task, &s->check);
	if (r == 0)
		r = list_packs(s);
	return r;
}

void survey_release(struct survey *s)
{
	check_release(&s->check);
	condemned_release(&s->condemned);
	pack_list_release(&s->sick);
	packset_release(&s->good);
	idset_release(&s->had);
	idset_release(&s->lost);
	free(s->packs);
	free(s->from);
}

void survey_forget(struct survey *s)
{
	idset_release(&s->had);
	idset_release(&s->lost);
	s->out->chunks = s->out->bytes = 0;
	s->out->chunks_from = s->out->chunks_lost = 0;
}

/* ---- chunks ---- */

static int is_held(struct survey *s, uint8_t type, const struct id *id,
		   uint64_t len)
{
	struct chunk_loc loc = { .pack = 0 };

	for (;;) {
		int r = catalog_find_chunk(vault_catalog(s->vault), id,
					   loc.pack, &loc);

		if (r < 0)
			return r == -ENOENT ? 0 : r;
		if (loc.type == type && (len == 0 || loc.len == len) &&
		    packset_has(&s->good, loc.pack))
			return 1;
	}
}

/* Read all of it from wherever it can be had. Return 1, 0 or a negative errno. */
static int read_from(struct vault *v, uint8_t type, const struct id *id,
		     uint64_t len, struct buf *out)
{
	bool before = log_hush(true);
	int r = chunk_read_all(v, type, id, out);

	(void)log_hush(before);
	if (r == 0)
		return len == 0 || out->len == len;
	buf_clear(out);
	/* A disk that cannot read it has lost it, as far as is known. */
	return backend_error_is_of_object(r) || r == -ENOENT ? 0 : r;
}

static int fetch(struct survey *s, uint8_t type, const struct id *id,
		 uint64_t len, struct buf *out, bool *is_from_out)
{
	const struct id *theirs;
	int r = read_from(s->vault, type, id, len, out);

	theirs = r == 0 && s->o->from ? from_theirs(s, id) : NULL;
	*is_from_out = theirs != NULL;
	return theirs ? read_from(s->o->from, type, theirs, len, out) : r;
}

static int store(struct writer *w, uint8_t type, const struct id *id,
		 const struct buf *data)
{
	struct id real;
	int r = writer_chunk(w, type, data->data, data->len, &real);

	/* It was compared with its name as it was read. */
	return r == 0 && !id_equal(&real, id) ? -EBADMSG : r;
}

int survey_chunk(struct survey *s, struct writer *w, uint8_t type,
		 const struct id *id, uint64_t len)
{
	AUTO_BUF struct buf data = BUF_INIT;
	bool is_from = false;
	int r = w ? writer_has_chunk(w, type, id, len)
		  : is_held(s, type, id, len);

	if (r != 0)
		return r;
	if (idset_has(&s->lost, id))
		return 0;
	if (!w && idset_has(&s->had, id))
		return 1;
	if (task_stopped(s->task))
		return -EINTR;
	r = fetch(s, type, id, len, &data, &is_from);
	if (r == 0) {
		s->out->chunks_lost++;
		s->lost_lengths[len / 8 % sizeof(s->lost_lengths)] |=
			(uint8_t)(1 << (len % 8));
		return MIN(idset_add(&s->lost, id), 0);
	}
	if (r == 1 && w)
		r = store(w, type, id, &data);
	else if (r == 1)
		r = MIN(idset_add(&s->had, id), 0);
	if (r < 0)
		return r;
	s->out->chunks++;
	s->out->bytes += data.len;
	s->out->chunks_from += is_from;
	return 1;
}
