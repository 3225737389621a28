/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Coroutines and who goes on. They share one thread, and so what a thread has for
 * itself has to be changed with them: the program is linked so that
 * pthread_getspecific() and pthread_setspecific() are these.
 */
#include "config.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "store/base/log.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define HAS_FIBERS 1
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define HAS_FIBERS 1
#endif
#ifdef HAS_FIBERS
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_SIZE (1u << 20)
#define GUARD_SIZE (64u << 10)

void *__wrap_pthread_getspecific(pthread_key_t key);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr,
			  void *(*main)(void *arg), void *arg);

static void *main_specific[SIM_KEYS];

static void **specific_of(pthread_key_t key)
{
	if (key >= SIM_KEYS)
		abort();
	return sim.current ? &sim.current->specific[key] : &main_specific[key];
}

void *__wrap_pthread_getspecific(pthread_key_t key)
{
	return *specific_of(key);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	*specific_of(key) = (void *)(uintptr_t)value;
	return 0;
}

/* There are no threads: whoever wants one to help does without. */
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr,
			  void *(*main)(void *arg), void *arg)
{
	(void)out;
	(void)attr;
	(void)main;
	(void)arg;
	return EAGAIN;
}

/* ---- switching ---- */

#ifdef HAS_FIBERS
static const void *main_stack;
static size_t main_size;
#endif

/* Go where somebody was when he left, or begin there. */
static void leave(struct sim_place *to)
{
	if (to->was_left)
		_longjmp(to->buf, 1);
	setcontext(&to->context);
}

/* Two system calls a change, which swapcontext() makes, would take longer than most
 * steps. */
static void change(struct sim_place *from, struct sim_place *to)
{
	from->was_left = true;
	if (!_setjmp(from->buf))
		leave(to);
}

static void arrived(void *fake)
{
#ifdef HAS_FIBERS
	const void *from;
	size_t size;

	__sanitizer_finish_switch_fiber(fake, &from, &size);
	if (sim.current && !main_stack) {
		main_stack = from;
		main_size = size;
	}
#else
	(void)fake;
#endif
}

static void run_main(void)
{
	struct sim_actor *a = sim.current;

	arrived(NULL);
	a->main(a);
	a->running = false;
#ifdef HAS_FIBERS
	__sanitizer_start_switch_fiber(NULL, main_stack, main_size);
#endif
	leave(&sim.scheduler);
}

/* Let @a go on until it gives way. */
static void resume(struct sim_actor *a)
{
	void *fake = NULL;

	sim.current = a;
	log_hush(a->hushed);
#ifdef HAS_FIBERS
	__sanitizer_start_switch_fiber(&fake, (uint8_t *)a->stack + GUARD_SIZE,
				       STACK_SIZE);
#endif
	change(&sim.scheduler, &a->place);
	sim.current = NULL;
	arrived(fake);
	a->hushed = log_hush(false);
}

void sim_yield(void)
{
	struct sim_actor *a = sim.current;
	void *fake = NULL;

	if (!a || a->dead)
		return;
#ifdef HAS_FIBERS
	__sanitizer_start_switch_fiber(&fake, main_stack, main_size);
#endif
	change(&a->place, &sim.scheduler);
	arrived(fake);
}

void sim_start(struct sim_actor *a, void (*main)(struct sim_actor *a))
{
	if (!a->stack) {
		a->stack = mmap(NULL, GUARD_SIZE + STACK_SIZE,
				PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
				0);
		if (a->stack == MAP_FAILED ||
		    mprotect(a->stack, GUARD_SIZE, PROT_NONE) < 0)
			abort();
	}
	getcontext(&a->place.context);
	a->place.context.uc_stack.ss_sp = (uint8_t *)a->stack + GUARD_SIZE;
	a->place.context.uc_stack.ss_size = STACK_SIZE;
	a->place.context.uc_link = NULL;
	makecontext(&a->place.context, run_main, 0);
	a->place.was_left = false;
	a->main = main;
	a->running = true;
	a->hushed = false;
}

void sim_free_stacks(void)
{
	size_t i;

	for (i = 0; i < SIM_ACTORS; i++)
		if (sim.actors[i].stack)
			munmap(sim.actors[i].stack, GUARD_SIZE + STACK_SIZE);
}

/* ---- who goes on ---- */

/* One that is awake; where none is, all wake up. NULL: all have ended. */
static struct sim_actor *choose(void)
{
	struct sim_actor *ready[SIM_ACTORS], *asleep = NULL;
	unsigned int i, n = 0;

	for (i = 0; i < sim.nactors; i++) {
		struct sim_actor *a = &sim.actors[i];

		if (!a->running)
			continue;
		if (a->sleeps_until <= sim.step)
			ready[n++] = a;
		else if (!asleep || a->sleeps_until < asleep->sleeps_until)
			asleep = a;
	}
	return n > 0 ? ready[sim_dice(n)] : asleep;
}

/* Time goes by, mostly a little. */
static void pass_time(void)
{
	sim.now_ns += 1000000 + sim_dice(20000000);
	if (sim_chance(4))
		sim.now_ns += (int64_t)sim_dice(48) * 3600 * SIM_SECOND;
	if (sim_chance(sim.weather.jump))
		sim.store_ns = ((int64_t)sim_dice(21) - 10) * SIM_YEAR;
	if (sim_chance(sim.weather.jump))
		sim.actors[sim_dice(sim.nactors)].clock_ns =
			((int64_t)sim_dice(21) - 10) * SIM_YEAR;
}

/* Some sleep long, as a machine that is suspended or a network that is slow. */
static void fall_asleep(struct sim_actor *a)
{
	static const unsigned int lengths[] = { 10, 30, 100, 300 };

	bool naps = sim_chance(sim.weather.nap) ||
		    (a->is_tired && sim_chance(sim.weather.hot));

	a->is_tired = false;
	if (naps)
		a->sleeps_until = sim.step + sim_dice(lengths[sim_dice(4)]) + 1;
}

void sim_run(void)
{
	struct sim_actor *a;
	unsigned int burst;

	while ((a = choose())) {
		/* Where it takes too long, all are killed. */
		bool over = sim.step > sim.steps_max || sim.violation[0];

		for (burst = 1 + sim_dice(4); burst > 0 && a->running;
		     burst--) {
			sim.step++;
			pass_time();
			sim_deliver(false);
			if (over)
				sim_kill(a);
			resume(a);
			fall_asleep(a);
			if (a->sleeps_until > sim.step)
				break;
		}
	}
}

void sim_kill(struct sim_actor *a)
{
	if (!a->dead)
		sim_trace(a, "is killed");
	a->dead = true;
}

void sim_be_born(struct sim_actor *a)
{
	a->dead = false;
	a->pid = ++sim.next_pid;
	a->cut = 0;
	plant_forget(a);
}
