/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What goes wrong in the backend in memory, and what it counts. */
#include "config.h"

#include "store/backend/mem_internal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/seam.h"

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

/* The fault that is due for this call, if one is. The caller holds the lock. */
static int take_fault(struct backend_mem *m, enum backend_mem_op op,
		      const char *name, unsigned int *flags_out)
{
	size_t i;
	int r = 0;

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

/* Knuth's MMIX generator; its high half is good enough. */
static unsigned int throw_dice(struct backend_mem *m, unsigned int sides)
{
	m->dice = m->dice * 6364136223846793005u + 1442695040888963407u;
	return (unsigned int)((m->dice >> 33) % sides);
}

/* What the weather makes of this call. The caller holds the lock. */
static int take_weather(struct backend_mem *m, unsigned int *flags_out,
			int64_t *delay_ns_out)
{
	const struct backend_mem_weather *w = &m->weather;
	unsigned int dice = throw_dice(m, 1000);
	int r = 0;

	if (dice < w->throttled) {
		r = -EAGAIN;
	} else if (dice < w->throttled + w->lost) {
		*flags_out = BACKEND_MEM_LOST_REPLY;
		r = -ETIMEDOUT;
	}
	m->failures += r < 0;
	if (w->delay_us)
		*delay_ns_out = (int64_t)throw_dice(m, w->delay_us) * 1000;
	return r;
}

/* Until it is released, or the call's own end. */
static int hang(struct backend_mem *m, const struct backend_call *c)
{
	int r = 0;

	SCOPED_LOCK(&m->lock);
	m->hanging++;
	while (!m->open && (r = backend_call_over(c)) == 0) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 5000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		(void)pthread_cond_timedwait(&m->released, &m->lock, &until);
	}
	m->hanging--;
	return r;
}

int mem_enter(struct backend_mem *m, const struct backend_call *c,
	      enum backend_mem_op op, const char *name, unsigned int *flags_out)
{
	struct seam *s = m->base.options.seam;
	int64_t delay_ns = 0;
	int r = m->watch ? m->watch(m->watch_arg, op, name) : 0;

	*flags_out = 0;
	{
		SCOPED_LOCK(&m->lock);
		mem_counts_of(m, name)->calls[op]++;
		if (r == 0)
			r = take_fault(m, op, name, flags_out);
		if (r == 0 && *flags_out == 0)
			r = take_weather(m, flags_out, &delay_ns);
	}
	if (delay_ns > 0)
		s->ops->sleep_ns(s, delay_ns);
	return *flags_out & BACKEND_MEM_HANGS ? hang(m, c) : r;
}

void mem_shuffle(struct backend_mem *m, struct backend_page *page)
{
	size_t i;

	for (i = page->n; m->weather.shuffle && i > 1; i--) {
		size_t k = throw_dice(m, (unsigned int)i);
		struct backend_found other = page->found[k];

		page->found[k] = page->found[i - 1];
		page->found[i - 1] = other;
	}
}

void backend_mem_set_weather(struct backend *b,
			     const struct backend_mem_weather *w)
{
	struct backend_mem *m = mem_of(b);
	size_t page = m->weather.page_names;

	SCOPED_LOCK(&m->lock);
	m->weather = *w;
	m->base.list_threads = w->list_threads;
	m->dice = w->seed;
	if (m->weather.page_names == 0)
		m->weather.page_names = page;
}

void backend_mem_release_hanging(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	m->open = true;
	pthread_cond_broadcast(&m->released);
}

unsigned int backend_mem_hanging(struct backend *b)
{
	struct backend_mem *m = mem_of(b);

	SCOPED_LOCK(&m->lock);
	return m->hanging;
}

void backend_mem_set_patience(struct backend *b, int64_t timeout_ns,
			      const volatile bool *stop)
{
	b->options.timeout_ns = timeout_ns;
	b->options.stop = stop;
}

int mem_broken(const struct backend_mem *m, int err, const char *what,
	       const char *name)
{
	if (err == -EEXIST || err == -ENOENT || err == -EINTR ||
	    err == -ECANCELED || backend_is_passing(err))
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
	m->weather.lost = m->weather.throttled = m->weather.delay_us = 0;
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
