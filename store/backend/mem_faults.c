/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes wrong in the backend in memory, and what it counts. */
#include "config.h"

#include "store/backend/mem_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "store/base/lock.h"
#include "store/base/log.h"

struct backend_mem_counts *mem_counts_of(struct backend_mem *m,
					 const char *name)
{
	size_t len = strcspn(name, "/");
	size_t i;

	for (i = 0; i < m->nkinds; i++)
		if (strlen(m->kinds[i].name) == len &&
		    memcmp(m->kinds[i].name, name, len) == 0)
			return &m->kinds[i].counts;
	if (m->nkinds == MEM_KINDS)
		return &m->kinds[MEM_KINDS - 1].counts;
	snprintf(m->kinds[i].name, sizeof(m->kinds[i].name), "%.*s", (int)len,
		 name);
	m->nkinds++;
	return &m->kinds[i].counts;
}

int mem_enter(struct backend_mem *m, enum backend_mem_op op, const char *name,
	      unsigned int *flags_out)
{
	int r = m->watch ? m->watch(m->watch_arg, op, name) : 0;
	size_t i;

	*flags_out = 0;
	SCOPED_LOCK(&m->lock);
	mem_counts_of(m, name)->calls[op]++;
	for (i = 0; r == 0 && i < MEM_FAULTS; i++) {
		struct mem_fault *f = &m->faults[i];

		if (f->left == 0 || f->op != op ||
		    strncmp(name, f->prefix, strlen(f->prefix)) != 0)
			continue;
		if (f->left > 1) {
			f->left--;
			continue;
		}
		if (!(f->flags & BACKEND_MEM_STICKY))
			f->left = 0;
		*flags_out = f->flags;
		m->failures++;
		r = f->err;
	}
	return r;
}

int mem_broken(const struct backend_mem *m, int err, const char *what,
	       const char *name)
{
	if (err == -EEXIST || err == -ENOENT)
		return err;
	return fail(err, "vault %s: cannot %s %s: %s", m->base.url, what, name,
		    strerror(-err));
}

void backend_mem_fail(struct backend *b, enum backend_mem_op op,
		      const char *prefix, unsigned int nth, int err,
		      unsigned int flags)
{
	struct backend_mem *m = mem_of(b);
	size_t i;

	assert(nth > 0 && err <= 0);
	SCOPED_LOCK(&m->lock);
	for (i = 0; i < MEM_FAULTS && m->faults[i].left; i++)
		;
	assert(i < MEM_FAULTS);
	m->faults[i].op = op;
	snprintf(m->faults[i].prefix, sizeof(m->faults[i].prefix), "%s",
		 prefix);
	m->faults[i].left = nth;
	m->faults[i].err = err;
	m->faults[i].flags = flags;
}

void backend_mem_heal(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	memset(m->faults, 0, sizeof(m->faults));
}

unsigned int backend_mem_failures(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	return m->failures;
}

void backend_mem_watch(struct backend *b, backend_mem_watch_fn *fn, void *arg)
{
	struct backend_mem *m = mem_of(b);

	m->watch = fn;
	m->watch_arg = arg;
}

void backend_mem_get_counts(struct backend *b, const char *kind,
			    struct backend_mem_counts *out)
{
	struct backend_mem *m = mem_of(b);
	size_t i, op;

	memset(out, 0, sizeof(*out));
	SCOPED_LOCK(&m->lock);
	for (i = 0; i < m->nkinds; i++) {
		const struct backend_mem_counts *c = &m->kinds[i].counts;

		if (kind && strcmp(kind, m->kinds[i].name) != 0)
			continue;
		for (op = 0; op < BACKEND_MEM_OPS; op++)
			out->calls[op] += c->calls[op];
		out->bytes_put += c->bytes_put;
		out->bytes_got += c->bytes_got;
	}
}

void backend_mem_reset_counts(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	memset(m->kinds, 0, sizeof(m->kinds));
	m->nkinds = 0;
}
