/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/sim/plants.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/mem.h"
#include "tests/sim/sim.h"
#include "tests/sim/spoil.h"
#include "tests/sim/truth.h"

static const struct {
	const char *name, *text;
} plants[] = {
#define PLANT_ROW(name, text) { #name, text },
	PLANTS(PLANT_ROW)
#undef PLANT_ROW
};

const char *plant_name(enum plant p)
{
	return p < PLANT_COUNT ? plants[p].name : NULL;
}

const char *plant_text(enum plant p)
{
	return p < PLANT_COUNT ? plants[p].text : NULL;
}

enum plant plant_find(const char *name)
{
	size_t i;

	for (i = 0; i < PLANT_COUNT && strcmp(plants[i].name, name) != 0; i++)
		;
	return (enum plant)i;
}

/* ---- what is remembered ---- */

static void drop_list(struct plant_state *s, size_t i)
{
	if (s->lists[i].page)
		backend_page_release(s->lists[i].page);
	free(s->lists[i].page);
	s->lists[i].page = NULL;
}

void plant_forget(struct sim_actor *a)
{
	struct plant_state *s = &a->plant;
	size_t i;

	for (i = 0; i < PLANT_HELD; i++) {
		free(s->held[i].data);
		s->held[i].data = NULL;
	}
	for (i = 0; i < PLANT_LISTS; i++)
		drop_list(s, i);
	free(s->ghost_data);
	s->ghost_data = NULL;
	s->ghost[0] = '\0';
	s->has_session = false;
}

static bool begins(const char *name, const char *prefix)
{
	return strncmp(name, prefix, strlen(prefix)) == 0;
}

static struct backend_call straight(void)
{
	return (struct backend_call){ .b = sim.store,
				      .deadline_ns = INT64_MAX };
}

static uint8_t *copy(const void *data, size_t len)
{
	uint8_t *out = malloc(len ? len : 1);

	if (!out)
		abort();
	if (len)
		memcpy(out, data, len);
	return out;
}

/* Let the listing of @prefix be as it is now. */
static void freeze(struct sim_actor *a, const char *prefix)
{
	struct plant_state *s = &a->plant;
	struct backend_call c = straight();
	size_t i;

	for (i = 0; i < PLANT_LISTS; i++)
		if (!s->lists[i].page ||
		    strcmp(s->lists[i].prefix, prefix) == 0)
			break;
	if (i == PLANT_LISTS)
		abort();
	drop_list(s, i);
	snprintf(s->lists[i].prefix, sizeof(s->lists[i].prefix), "%s", prefix);
	s->lists[i].page = calloc(1, sizeof(struct backend_page));
	if (!s->lists[i].page ||
	    sim.store->ops->list(sim.store, &c, prefix, NULL,
				 s->lists[i].page) < 0)
		abort();
}

/* Answer with the frozen listing, once; false where there is none. */
static bool thaw(struct sim_actor *a, const char *prefix, bool keep,
		 struct backend_page *page, int *r)
{
	struct plant_state *s = &a->plant;
	size_t i, k;

	for (i = 0; i < PLANT_LISTS; i++)
		if (s->lists[i].page && strcmp(s->lists[i].prefix, prefix) == 0)
			break;
	if (i == PLANT_LISTS)
		return false;
	*r = 0;
	for (k = 0; k < s->lists[i].page->n && *r == 0; k++) {
		const struct backend_found *f = &s->lists[i].page->found[k];

		*r = backend_page_add(
			page,
			(const char *)s->lists[i].page->text.data + f->name,
			&f->info);
	}
	if (!keep)
		drop_list(s, i);
	return true;
}

/* ---- puts ---- */

static bool hold(struct sim_actor *a, const char *name, const void *data,
		 size_t len)
{
	struct plant_state *s = &a->plant;
	size_t i;

	for (i = 0; i < PLANT_HELD && s->held[i].data; i++)
		;
	if (i == PLANT_HELD)
		return false;
	s->held[i].data = copy(data, len);
	s->held[i].len = len;
	snprintf(s->held[i].name, sizeof(s->held[i].name), "%s", name);
	return true;
}

/* What was held back is put. */
static void release(struct sim_actor *a)
{
	struct plant_state *s = &a->plant;
	struct backend_call c = straight();
	size_t i;

	for (i = 0; i < PLANT_HELD; i++) {
		if (!s->held[i].data)
			continue;
		if (sim.store->ops->put(sim.store, &c, s->held[i].name,
					s->held[i].data, s->held[i].len) == 0)
			truth_put(a, s->held[i].name);
		free(s->held[i].data);
		s->held[i].data = NULL;
	}
}

static void remember(struct sim_actor *a, const char *name, const void *data,
		     size_t len)
{
	struct plant_state *s = &a->plant;

	free(s->ghost_data);
	s->ghost_data = copy(data, len);
	s->ghost_len = len;
	snprintf(s->ghost, sizeof(s->ghost), "%s", name);
}

static void replace(struct sim_actor *a, const char *name, const void *data,
		    size_t len)
{
	if (backend_mem_set(sim.store, name, data, len) < 0)
		abort();
	truth_put(a, name);
}

static bool writer_put(struct sim_actor *a, const char *name, const void *data,
		       size_t len)
{
	switch (sim.plant) {
	case PLANT_SESSION_FIRST:
		if (begins(name, "session/"))
			return hold(a, name, data, len);
		release(a);
		return false;
	case PLANT_INDEX_BEFORE_COMMIT:
		return begins(name, "index/") && hold(a, name, data, len);
	case PLANT_PACK_BEFORE_INDEX:
		return begins(name, "pack/") && hold(a, name, data, len);
	case PLANT_REGISTER:
		if (!begins(name, "commit/"))
			return false;
		replace(a, name, data, len);
		return true;
	default:
		return false;
	}
}

static bool is_there(const char *name)
{
	size_t len;

	return backend_mem_data(sim.store, name, &len) != NULL;
}

static bool collector_put(struct sim_actor *a, const char *name,
			  const void *data, size_t len)
{
	switch (sim.plant) {
	case PLANT_PURGE_REGISTER:
		if (!begins(name, "purge/"))
			return false;
		replace(a, name, data, len);
		return true;
	case PLANT_INDEX_NEW_FIRST:
		if (begins(name, "index/"))
			return hold(a, name, data, len);
		release(a);
		return false;
	case PLANT_TAKEOVER_ABORTS:
		/* Before it has a tomb of its own, it gives up others'. */
		if (!begins(name, "sweep/") || spoil_has_tomb(a) ||
		    is_there(name))
			return false;
		remember(a, name, data, len);
		return true;
	default:
		return false;
	}
}

bool plant_put(struct sim_actor *a, const char *name, const void *data,
	       size_t len, int *r)
{
	*r = 0;
	if (a->role == SIM_WRITER)
		return writer_put(a, name, data, len);
	return a->role == SIM_COLLECTOR && sim.current &&
	       collector_put(a, name, data, len);
}

/* What is listed when a session has just begun, in the place of later listings. That a
 * sweep names a pack would tell what the tomb does no more. */
static void list_early(struct sim_actor *a)
{
	if (sim.plant == PLANT_TOMBS_FIRST)
		freeze(a, "pack/");
	if (sim.plant == PLANT_TOMBS_FIRST ||
	    sim.plant == PLANT_SWEEPS_AFTER_TOMBS)
		freeze(a, "sweep/");
}

int plant_put_answer(struct sim_actor *a, const char *name, const void *data,
		     size_t len, int r)
{
	bool believed = false;

	if (a->dead)
		return r;
	if (a->role == SIM_WRITER && begins(name, "session/")) {
		a->plant.has_session = true;
		list_early(a);
	}
	if (a->role == SIM_WRITER && begins(name, "commit/")) {
		a->plant.has_session = false;
		believed = sim.plant == PLANT_COMMIT_READ_BACK && r < 0;
		if (r == 0 && (sim.plant == PLANT_INDEX_BEFORE_COMMIT ||
			       sim.plant == PLANT_PACK_BEFORE_INDEX))
			release(a);
	}
	if (a->role == SIM_WRITER && r < 0 && r != -EEXIST)
		believed |= (sim.plant == PLANT_PACKS_UNSURE &&
			     begins(name, "pack/")) ||
			    (sim.plant == PLANT_SESSION_UNSURE &&
			     begins(name, "session/"));
	if (a->role == SIM_COLLECTOR && r < 0)
		believed = (sim.plant == PLANT_TOMB_UNSURE && r != -EEXIST &&
			    begins(name, "tomb/")) ||
			   (sim.plant == PLANT_FENCE_READ_BACK &&
			    r == -EEXIST && begins(name, "commit/"));
	if (a->role == SIM_OPERATOR && begins(name, "purge/"))
		believed = sim.plant == PLANT_UNDELETE_REGISTER && r == -EEXIST;
	if (!believed)
		return r;
	remember(a, name, data, len);
	return 0;
}

/* ---- gets ---- */

bool plant_get(struct sim_actor *a, const char *name, size_t max, uint8_t **out,
	       size_t *len_out, int *r)
{
	struct plant_state *s = &a->plant;
	size_t i;

	if (s->ghost_data && strcmp(s->ghost, name) == 0 &&
	    s->ghost_len <= max) {
		*out = copy(s->ghost_data, s->ghost_len);
		*len_out = s->ghost_len;
		*r = 0;
		return true;
	}
	for (i = 0; i < PLANT_HELD; i++)
		if (s->held[i].data && strcmp(s->held[i].name, name) == 0) {
			*out = copy(s->held[i].data, s->held[i].len);
			*len_out = s->held[i].len;
			*r = 0;
			return true;
		}
	return false;
}

int plant_get_answer(struct sim_actor *a, const char *name, int r)
{
	if (a->role == SIM_READER && sim.plant == PLANT_READER_ERRORS &&
	    begins(name, "pack/"))
		return -ENOENT;
	return r;
}

bool plant_strikes(const struct sim_actor *a, enum sim_op op, const char *name)
{
	static const struct {
		enum plant plant;
		enum sim_role role;
		enum sim_op op;
		const char *prefix;
	} rows[] = {
		{ PLANT_SESSION_UNSURE, SIM_WRITER, SIM_PUT, "session/" },
		{ PLANT_PACKS_UNSURE, SIM_WRITER, SIM_PUT, "pack/" },
		{ PLANT_LIST_ERRORS, SIM_WRITER, SIM_LIST, "" },
		{ PLANT_READER_ERRORS, SIM_READER, SIM_GET, "pack/" },
		{ PLANT_TOMB_UNSURE, SIM_COLLECTOR, SIM_PUT, "tomb/" },
		{ PLANT_SESSIONS_ERRORS, SIM_COLLECTOR, SIM_LIST, "session/" },
		{ PLANT_UNREAD_POINTS, SIM_COLLECTOR, SIM_GET, "point/" },
	};
	size_t i;

	for (i = 0; sim.current && i < ARRAY_SIZE(rows); i++) {
		if (sim.plant != rows[i].plant || a->role != rows[i].role ||
		    op != rows[i].op || !begins(name, rows[i].prefix))
			continue;
		/* What is damaged stays so. */
		return op == SIM_GET && a->role == SIM_COLLECTOR
			       ? (uint8_t)name[strlen(rows[i].prefix)] % 8 ==
					 sim.seed % 8
			       : sim_dice(8) == 0;
	}
	return false;
}

/* ---- listings ---- */

/* Plants that let a listing be empty for who should heed it. */
static bool passes_over(const struct sim_actor *a, const char *prefix)
{
	static const struct {
		enum plant plant;
		enum sim_role role;
		const char *prefix;
	} rows[] = {
		{ PLANT_TOMBS_HONOURED, SIM_WRITER, "tomb/" },
		{ PLANT_SWEPT_UNUSABLE, SIM_WRITER, "sweep/" },
		{ PLANT_PURGE_HONOURED, SIM_WRITER, "purge/" },
		/* What a sweep names is not used, whatever the tomb does. */
		{ PLANT_TAKEOVER_FINISHES, SIM_WRITER, "sweep/" },
		{ PLANT_TOMB_LAST, SIM_WRITER, "sweep/" },
		{ PLANT_READER_PURGES, SIM_READER, "purge/" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (sim.plant == rows[i].plant && a->role == rows[i].role &&
		    strcmp(prefix, rows[i].prefix) == 0)
			return true;
	return false;
}

/* Sessions as they were before its tomb stood. */
static bool collector_list(struct sim_actor *a, const char *prefix,
			   struct backend_page *page, int *r)
{
	if (sim.plant == PLANT_INDEX_NEW_FIRST)
		release(a);
	if (sim.plant != PLANT_TOMB_FIRST || strcmp(prefix, "session/") != 0)
		return false;
	if (spoil_has_tomb(a))
		return thaw(a, prefix, true, page, r);
	freeze(a, prefix);
	return false;
}

bool plant_list(struct sim_actor *a, const char *prefix,
		struct backend_page *page, int *r)
{
	*r = 0;
	if (passes_over(a, prefix))
		return true;
	if (a->role == SIM_READER && sim.plant == PLANT_READER_RELOADS &&
	    strcmp(prefix, "index/") == 0) {
		if (thaw(a, prefix, true, page, r))
			return true;
		freeze(a, prefix);
		return thaw(a, prefix, true, page, r);
	}
	if (a->role == SIM_COLLECTOR && sim.current)
		return collector_list(a, prefix, page, r);
	if (a->role != SIM_WRITER)
		return false;
	/* Those of before the session. */
	if (sim.plant == PLANT_PARENT_AFTER_SESSION &&
	    strcmp(prefix, "purge/") == 0) {
		if (a->plant.has_session)
			return thaw(a, prefix, true, page, r);
		freeze(a, prefix);
		return false;
	}
	if (sim.plant == PLANT_TOMBS_READ_FIRST &&
	    strcmp(prefix, "tomb/") == 0) {
		freeze(a, "sweep/");
		freeze(a, "pack/");
	}
	return thaw(a, prefix, false, page, r);
}

int plant_list_answer(struct sim_actor *a, const char *prefix, int r)
{
	if (a->role == SIM_COLLECTOR && sim.plant == PLANT_SESSIONS_ERRORS &&
	    !a->dead && strcmp(prefix, "session/") == 0)
		return 0;
	if (a->role == SIM_WRITER && sim.plant == PLANT_LIST_ERRORS)
		return 0;
	return r;
}

/* ---- deletions ---- */

void plant_delete(struct sim_actor *a, const char *name)
{
	struct backend_call c = straight();
	const char *gid = spoil_gid(a);
	size_t i = backend_mem_nobjects(sim.store);

	if (sim.plant != PLANT_INDEX_READ_ONLY || !sim.current || !gid ||
	    a->role != SIM_COLLECTOR || !begins(name, "index/"))
		return;
	while (i-- > 0) {
		char other[OBJECT_NAME_MAX];

		snprintf(other, sizeof(other), "%s",
			 backend_mem_name(sim.store, i));
		if (!begins(other, "index/") || strcmp(other, name) == 0 ||
		    begins(other + strlen("index/"), gid))
			continue;
		if (sim.store->ops->delete (sim.store, &c, other) == 0)
			truth_deleted(a, other);
	}
}
