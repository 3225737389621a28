/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Places, with machines whose names a vault chose. Every line of the input but
 * the last is a machine's name, the last one is what was typed. What is taken
 * apart must lie in the text, and must mean the same when its parts are put
 * together again.
 */
#include "config.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fs/place.h"
#include "store/point.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define MACHINES 16

struct fixed_list {
	struct point_list l;
	struct point points[MACHINES], *pointers[MACHINES];
	char names[MACHINES][64];
};

static void check(bool good)
{
	if (!good)
		abort();
}

static void add_machine(struct fixed_list *m, char *name)
{
	size_t i = m->l.n;

	if (i == MACHINES || !point_name_ok(name))
		return;
	m->points[i].vm = name;
	snprintf(m->points[i].id, sizeof(m->points[i].id), "%032zx", i);
	snprintf(m->names[i], sizeof(m->names[i]), "1970-01-01T000000Z");
	m->pointers[i] = &m->points[i];
	m->l.n++;
}

static void try_again(struct fixed_list *m, const char *text,
		      const struct place *p)
{
	AUTO_FREE char *again = NULL;
	struct place q;

	check(p->point_len <= strlen(text));
	check(p->index < m->l.n && p->point == &m->points[p->index]);
	check(p->inside >= p->path && p->inside <= p->path + strlen(p->path));
	check(asprintf(&again, "%.*s:%s", (int)p->point_len, text, p->path) >=
	      0);
	/* A machine may be called what the clean text begins with. */
	if (place_parse(&m->l, again, &q) == 0 && q.point_len == p->point_len) {
		check(q.index == p->index && q.kind == p->kind);
		check(strcmp(q.path, p->path) == 0);
	}
	place_release(&q);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	AUTO_FREE char *text = malloc(len + 1);
	struct fixed_list m = { .l = { .refs = 1 } };
	const struct point_disk *d;
	const char *vm, *rest;
	struct place p;
	char *at, *end;

	fuzz_quiet();
	if (!text)
		return 0;
	memcpy(text, data, len);
	text[len] = '\0';
	m.l.points = m.pointers;
	m.l.names = m.names;
	for (at = text; (end = strchr(at, '\n')); at = end + 1) {
		*end = '\0';
		add_machine(&m, at);
	}
	rest = place_machine(&m.l, at, &vm);
	check(!rest || (rest == at + strlen(vm) + 1 && rest[-1] == ':'));
	if (place_parse(&m.l, at, &p) == 0) {
		try_again(&m, at, &p);
		(void)!place_disk(&p, at, "vda", &d);
	}
	place_release(&p);
	check(m.l.refs == 1);
	return 0;
}
