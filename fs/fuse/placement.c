/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "fs/fuse/placement.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WORTH_PER_S 300 /* requests; below that, waking costs little */
#define TICKS_BEFORE 1 /* that a lone client must last */
#define TICKS_TRIED 5
#define BAN_MIN_NS INT64_C(250000000)
#define BAN_MAX_NS INT64_C(16000000000)

/* Where cores are two and a task of ours may be anywhere. */
struct placement {
	cpu_set_t all; /* where our threads may run */
	pid_t worker; /* bound; 0: none is */
	pid_t client;
	int cpu;
	unsigned int ticks; /* lone, or bound, for so many */
	double rate; /* requests a second over those ticks */
	double rate_free; /* before it was bound */
	int64_t ban_ns; /* left, before it is tried again */
	int64_t next_ban_ns;
	atomic_uint_fast64_t moves;
};

static bool set_policy(pid_t tid, int policy)
{
	struct sched_param none = { 0 };

	return sched_setscheduler(tid, policy, &none) == 0;
}

/* Can a thread that became SCHED_IDLE become what it was? To be asked on a
 * thread that ends then. */
static void *try_policy(void *arg)
{
	*(bool *)arg = sched_getscheduler(0) == SCHED_OTHER &&
		       set_policy(0, SCHED_IDLE) && set_policy(0, SCHED_OTHER);
	return NULL;
}

static bool may_set_policy(void)
{
	pthread_t thread;
	bool can = false;

	if (pthread_create(&thread, NULL, try_policy, &can) != 0)
		return false;
	pthread_join(thread, NULL);
	return can;
}

struct placement *placement_new(void)
{
	struct placement *p;
	cpu_set_t all;

	if (sched_getaffinity(0, sizeof(all), &all) < 0 ||
	    CPU_COUNT(&all) < 2 || !may_set_policy())
		return NULL;
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->all = all;
	p->next_ban_ns = BAN_MIN_NS;
	return p;
}

/* The core that a thread ran on last: field 39 of its stat. */
static int core_of(pid_t tid)
{
	char path[40], text[1024], *at;
	ssize_t n;
	int fd, i;

	snprintf(path, sizeof(path), "/proc/%ld/stat", (long)tid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ESRCH;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -ESRCH;
	text[n] = '\0';
	/* The name may hold anything; the third field is behind its ')'. */
	at = strrchr(text, ')');
	for (i = 2; at && i < 39; i++)
		at = strchr(at + 1, ' ');
	return at ? (int)strtol(at, NULL, 10) : -EINVAL;
}

static void let_go(struct placement *p)
{
	if (p->worker == 0)
		return;
	/* The policy first: nothing else is needed to be served again. */
	set_policy(p->worker, SCHED_OTHER);
	sched_setaffinity(p->worker, sizeof(p->all), &p->all);
	p->worker = 0;
	p->ticks = 0;
}

void placement_free(struct placement *p)
{
	if (!p)
		return;
	let_go(p);
	free(p);
}

/* Bind @worker to the core where the client is. */
static bool bind_to_client(struct placement *p, pid_t worker)
{
	int cpu = core_of(p->client);
	cpu_set_t one;

	if (cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &p->all))
		return false;
	if (p->worker == worker && p->cpu == cpu)
		return true;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(worker, sizeof(one), &one) < 0)
		return false;
	p->cpu = cpu;
	p->moves++;
	return true;
}

static void begin(struct placement *p, pid_t worker)
{
	if (!bind_to_client(p, worker))
		return;
	p->worker = worker;
	if (!set_policy(worker, SCHED_IDLE)) {
		let_go(p);
		return;
	}
	p->rate_free = p->rate;
	p->rate = 0;
	p->ticks = 0;
}

/* It did not help: not so soon again. */
static void ban(struct placement *p)
{
	let_go(p);
	p->ban_ns = p->next_ban_ns;
	p->next_ban_ns = MIN(2 * p->next_ban_ns, BAN_MAX_NS);
}

static void tick_bound(struct placement *p, const struct placement_look *look)
{
	if (p->rate < 0.9 * p->rate_free && p->ticks >= TICKS_TRIED) {
		ban(p);
		return;
	}
	if (p->ticks >= TICKS_TRIED && p->rate > 1.2 * p->rate_free)
		p->next_ban_ns = BAN_MIN_NS;
	if (!bind_to_client(p, look->worker))
		let_go(p);
}

void placement_tick(struct placement *p, const struct placement_look *look)
{
	double rate = look->ns > 0
			      ? 1e9 * (double)look->requests / (double)look->ns
			      : 0;

	p->ban_ns -= MIN(p->ban_ns, look->ns);
	if (look->worker == 0 || look->client == 0 || rate < WORTH_PER_S ||
	    (p->worker != 0 && p->worker != look->worker) ||
	    (p->ticks > 0 && p->client != look->client)) {
		/* Starved, perhaps: then it is not to be tried at once. */
		if (p->worker != 0 && look->requests > 0 &&
		    rate < 0.5 * p->rate_free)
			ban(p);
		let_go(p);
		p->ticks = 0;
		return;
	}
	p->client = look->client;
	/* A mean over the last ticks. */
	p->rate = p->ticks == 0 ? rate : 0.7 * p->rate + 0.3 * rate;
	p->ticks++;
	if (p->worker != 0)
		tick_bound(p, look);
	else if (p->ticks >= TICKS_BEFORE && p->ban_ns <= 0)
		begin(p, look->worker);
}

uint64_t placement_moves(const struct placement *p)
{
	return p->moves;
}
