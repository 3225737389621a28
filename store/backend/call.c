/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How often an operation is tried, and how long.
 *
 * Networks lose requests and answers, and stores ask for patience. All that is
 * asked of a store may be asked twice: reads change nothing, what is to be gone
 * may be gone already, and a second put of a name answers that it is there. So
 * patience is here, once, and neither in each backend nor in each caller. The
 * pauses grow, and chance is in them, so that many clients of a store that was
 * away for a while do not come back all at once.
 */
#include "config.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/backend/internal.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/stop.h"

#define TIMEOUT_NS (600 * INT64_C(1000000000))
#define PAUSE_NS (INT64_C(1000000000) / 10)
#define PAUSE_GROWTH 100 /* at most so many times the first */
/* While nobody can be woken: how soon a demand to end is seen. */
#define LOOK_NS (INT64_C(1000000000) / 20)
/* Whoever watches is told that it takes longer once it does. */
#define WARN_ATTEMPTS 5

int backend_init(struct backend *b, const struct backend_ops *ops,
		 const char *url, const struct backend_options *o)
{
	b->ops = ops;
	if (o)
		b->options = *o;
	if (!b->options.seam)
		b->options.seam = seam_system();
	if (b->options.timeout_ns <= 0)
		b->options.timeout_ns = TIMEOUT_NS;
	if (b->options.pause_ns <= 0)
		b->options.pause_ns = PAUSE_NS;
	b->url = strdup(url);
	return b->url ? 0 : -ENOMEM;
}

void backend_release(struct backend *b)
{
	free(b->url);
	b->url = NULL;
}

static int64_t now_ns(const struct backend *b)
{
	struct seam *s = b->options.seam;

	return s->ops->monotonic_ns(s);
}

bool backend_is_passing(int err)
{
	return err == -EAGAIN || err == -ETIMEDOUT;
}

struct backend_trial backend_begin(struct backend *b, const char *what,
				   const char *name)
{
	assert(!backend_is_listing(b));
	return (struct backend_trial){
		.call = { .b = b,
			  .deadline_ns = now_ns(b) + b->options.timeout_ns,
			  .obeys = stop_of_thread },
		.what = what,
		.name = name,
	};
}

static int asked_to_end(const struct backend_call *c)
{
	const volatile bool *stop = c->b->options.stop;

	if (stop && __atomic_load_n(stop, __ATOMIC_RELAXED))
		return -EINTR;
	return stop_is_asked(c->obeys) ? -ECANCELED : 0;
}

int backend_call_over(const struct backend_call *c)
{
	int r = asked_to_end(c);

	if (r == 0 && now_ns(c->b) >= c->deadline_ns)
		r = -ETIMEDOUT;
	return r;
}

/* Between a half and all of the pause that is due. */
static int64_t pause_of(const struct backend_trial *t)
{
	const struct backend *b = t->call.b;
	struct seam *s = b->options.seam;
	int64_t ns = b->options.pause_ns;
	int64_t most = ns * PAUSE_GROWTH;
	unsigned int i;
	uint8_t dice;

	for (i = 1; i < t->attempts && ns < most; i++)
		ns *= 2;
	if (ns > most)
		ns = most;
	if (s->ops->random(s, &dice, sizeof(dice)) < 0)
		dice = 0;
	return ns / 2 + ns / 2 * dice / 255;
}

static int give_up(const struct backend_trial *t, int r)
{
	const struct backend *b = t->call.b;

	return fail(
		r,
		"vault %s: cannot %s %s: %s; it was tried %u times in %lld seconds: see whether the place can be reached, then run it again",
		b->url, t->what, t->name[0] ? t->name : "it",
		r == -EAGAIN ? "the store is busy" : strerror(-r), t->attempts,
		(long long)(b->options.timeout_ns / 1000000000));
}

bool backend_try_again(struct backend_trial *t, int *r)
{
	struct backend *b = t->call.b;
	struct seam *s = b->options.seam;
	int64_t until, left;
	int end = 0;

	if (!backend_is_passing(*r))
		return false;
	t->attempts++;
	until = now_ns(b) + pause_of(t);
	if (until >= t->call.deadline_ns) {
		*r = give_up(t, *r);
		return false;
	}
	if (t->attempts == WARN_ATTEMPTS)
		log_warn(
			"vault %s: cannot %s %s: %s; it is tried again and again",
			b->url, t->what, t->name[0] ? t->name : "it",
			strerror(-*r));
	while (end == 0 && (left = until - now_ns(b)) > 0) {
		s->ops->sleep_ns(s, MIN(left, LOOK_NS));
		end = asked_to_end(&t->call);
	}
	if (end < 0)
		*r = end;
	return end == 0;
}
