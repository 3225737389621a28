/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Local databases, in memory. To make one in files costs more than all the rest of
 * a run, so the program is linked so that catalog_open() and catalog_close() are
 * these: a few databases stay, and are emptied for who opens one. The folder that
 * is asked for is the name of a machine, whose database stays for the whole run.
 */
#include "config.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/catalog/internal.h"

#define MEMORY ":memory:"
#define CLEARINGS 10

struct local {
	struct catalog catalog;
	char machine[256]; /* whose it is; "": whoever has it open */
	bool in_use, is_made;
	sqlite3_stmt *clearing[CLEARINGS]; /* owned; what empties it */
	int nchanges; /* there had been when it was emptied */
};

static struct local locals[SIM_ACTORS + SIM_MACHINES + 2];

int __wrap_catalog_open(const char *dir, const uint8_t *vault_id,
			struct catalog **out);
int __real_catalog_open(const char *dir, const uint8_t *vault_id,
			struct catalog **out);
void __wrap_catalog_close(struct catalog *c);
void __real_catalog_close(struct catalog *c);
int __wrap_catalog_db_connect(struct catalog *c, struct conn **out);
int __wrap_catalog_borrow_write(struct catalog *c, struct conn **out);
int __real_catalog_borrow_write(struct catalog *c, struct conn **out);

static int run_row(void *arg, int n, char **values, char **names)
{
	(void)n;
	(void)names;
	return values[0] && strncmp(values[1], "sqlite_", 7) != 0
		       ? sqlite3_exec(arg, values[0], NULL, NULL, NULL)
		       : 0;
}

/* As the real code makes it, but for the files. */
static void make(struct local *l, const uint8_t *vault_id)
{
	struct catalog *model;
	struct conn *k = calloc(1, sizeof(*k));

	if (!k || __real_catalog_open(NULL, vault_id, &model) < 0 ||
	    sqlite3_open_v2(MEMORY, &k->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
				    SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
			    NULL) != SQLITE_OK ||
	    sqlite3_exec(model->idle->db, "SELECT sql, name FROM sqlite_schema",
			 run_row, k->db, NULL) != SQLITE_OK)
		abort();
	__real_catalog_close(model);
	pthread_mutex_init(&l->catalog.lock, NULL);
	pthread_cond_init(&l->catalog.back, NULL);
	l->catalog.file = strdup(MEMORY);
	l->catalog.temporary = true;
	l->catalog.idle = k;
	l->catalog.nidle = l->catalog.nconns = 1;
	l->is_made = true;
}

static void clear(struct local *l)
{
	static const char *const all[CLEARINGS] = {
		"BEGIN",
		"DELETE FROM runs",
		"INSERT INTO runs VALUES(0, x'')",
		"DELETE FROM slices",
		"DELETE FROM packs",
		"DELETE FROM sources",
		"DELETE FROM source_packs",
		"DELETE FROM objects",
		"DELETE FROM sqlite_sequence",
		"COMMIT"
	};
	size_t i;

	if (sqlite3_total_changes(l->catalog.idle->db) == l->nchanges)
		return;
	for (i = 0; i < CLEARINGS; i++) {
		if (!l->clearing[i] &&
		    sqlite3_prepare_v3(l->catalog.idle->db, all[i], -1,
				       SQLITE_PREPARE_PERSISTENT,
				       &l->clearing[i], NULL) != SQLITE_OK)
			abort();
		if (sqlite3_step(l->clearing[i]) != SQLITE_DONE ||
		    sqlite3_reset(l->clearing[i]) != SQLITE_OK)
			abort();
	}
	l->nchanges = sqlite3_total_changes(l->catalog.idle->db);
}

static struct local *take(const char *machine, const uint8_t *vault_id)
{
	size_t i;

	for (i = 0; *machine && i < ARRAY_SIZE(locals); i++)
		if (strcmp(locals[i].machine, machine) == 0)
			return &locals[i];
	for (i = 0; i < ARRAY_SIZE(locals); i++)
		if (!locals[i].in_use && !locals[i].machine[0])
			break;
	if (i == ARRAY_SIZE(locals))
		abort();
	if (!locals[i].is_made)
		make(&locals[i], vault_id);
	clear(&locals[i]);
	snprintf(locals[i].machine, sizeof(locals[i].machine), "%s", machine);
	return &locals[i];
}

int __wrap_catalog_open(const char *dir, const uint8_t *vault_id,
			struct catalog **out)
{
	const char *machine = dir ? dir : "";
	struct local *l;

	l = take(machine, vault_id);
	memcpy(l->catalog.vault_id, vault_id, VAULT_ID_LEN);
	l->in_use = true;
	*out = &l->catalog;
	return 0;
}

void __wrap_catalog_close(struct catalog *c)
{
	struct local *l = container_of(c, struct local, catalog);

	if (c)
		l->in_use = false;
}

/* The one connection is lent: somebody waits for the store while he has it. */
int __wrap_catalog_db_connect(struct catalog *c, struct conn **out)
{
	(void)c;
	(void)out;
	fputs("a connection of the local database is held across a call\n",
	      stderr);
	abort();
}

/* A process that is dead writes nothing. */
int __wrap_catalog_borrow_write(struct catalog *c, struct conn **out)
{
	*out = NULL;
	if (sim.current && sim.current->dead)
		return -ENOTRECOVERABLE;
	return __real_catalog_borrow_write(c, out);
}

void sim_reset_locals(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(locals); i++)
		locals[i].machine[0] = '\0';
}

void sim_free_locals(void)
{
	size_t i, k;

	for (i = 0; i < ARRAY_SIZE(locals); i++) {
		struct catalog *c = &locals[i].catalog;

		if (!locals[i].is_made)
			continue;
		for (k = 0; k < CLEARINGS; k++)
			sqlite3_finalize(locals[i].clearing[k]);
		catalog_db_close(c->idle);
		free(c->file);
		pthread_cond_destroy(&c->back);
		pthread_mutex_destroy(&c->lock);
	}
}
