/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chance, clocks and processes. All that the code of store/ asks the world for
 * comes from here: the program is linked so that seam_system(), getpid(), kill()
 * and gethostname() are these.
 */
#include "config.h"

#include "tests/sim/sim.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "store/base/seam.h"

struct seam *__wrap_seam_system(void);
pid_t __wrap_getpid(void);
int __wrap_kill(pid_t pid, int sig);
int __wrap_gethostname(char *name, size_t len);
int __wrap_mlock(const void *addr, size_t len);
int __wrap_munlock(const void *addr, size_t len);

/* splitmix64 (Steele et al., OOPSLA 2014). */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

unsigned int sim_dice(unsigned int n)
{
	return (unsigned int)((next(&sim.dice) >> 32) * n >> 32);
}

bool sim_chance(unsigned int permille)
{
	return permille > 0 && sim_dice(1000) < permille;
}

static int64_t sim_realtime_ns(struct seam *s)
{
	int64_t off = sim.in_store  ? sim.store_ns
		      : sim.current ? sim.current->clock_ns
				    : 0;

	(void)s;
	return sim.now_ns + off;
}

static int64_t sim_monotonic_ns(struct seam *s)
{
	(void)s;
	return sim.now_ns;
}

/* Time passes for all. */
static void sim_sleep_ns(struct seam *s, int64_t ns)
{
	(void)s;
	sim.now_ns += ns;
	sim_yield();
}

static int sim_random(struct seam *s, void *out, size_t len)
{
	uint8_t *p = out;

	(void)s;
	while (len > 0) {
		uint64_t z = next(&sim.bytes);
		size_t n = MIN(len, sizeof(z));

		memcpy(p, &z, n);
		p += n;
		len -= n;
	}
	return 0;
}

/* Nothing here has files. */
struct seam *sim_seam(void)
{
	static const struct seam_ops ops = {
		.realtime_ns = sim_realtime_ns,
		.monotonic_ns = sim_monotonic_ns,
		.sleep_ns = sim_sleep_ns,
		.random = sim_random,
	};
	static struct seam seam = { &ops };

	return &seam;
}

struct seam *__wrap_seam_system(void)
{
	return sim_seam();
}

pid_t __wrap_getpid(void)
{
	return sim.current ? sim.current->pid : 1;
}

/* Is that process alive? */
int __wrap_kill(pid_t pid, int sig)
{
	unsigned int i;

	(void)sig;
	for (i = 0; i < sim.nactors; i++)
		if (sim.actors[i].pid == pid && !sim.actors[i].dead)
			return 0;
	errno = ESRCH;
	return -1;
}

/* Each machine has a name, and who has none is one by himself. */
int __wrap_gethostname(char *name, size_t len)
{
	const struct sim_actor *a = sim.current;

	if (a && a->machine)
		snprintf(name, len, "%s", a->machine);
	else
		snprintf(name, len, "alone%u", a ? a->number : 0);
	return 0;
}

/* The keys of this world are no secrets. */
int __wrap_mlock(const void *addr, size_t len)
{
	(void)addr;
	(void)len;
	return 0;
}

int __wrap_munlock(const void *addr, size_t len)
{
	return __wrap_mlock(addr, len);
}

/* ---- the trace ---- */

static const char *const roles[] = { "writer", "collector", "reader",
				     "operator" };

/* FNV-1a. */
static void hash_text(const char *text)
{
	for (; *text; text++)
		sim.hash = (sim.hash ^ (uint8_t)*text) * 0x100000001b3u;
}

static void hash_number(uint64_t n)
{
	sim.hash = (sim.hash ^ n) * 0x100000001b3u;
	sim.hash ^= sim.hash >> 32;
}

static void hash_who(const struct sim_actor *a)
{
	hash_number(sim.step);
	hash_number(a ? a->number + 1 : 0);
}

static void print_who(const struct sim_actor *a)
{
	printf("%llu %s%u ", (unsigned long long)sim.step,
	       a ? roles[a->role] : "world", a ? a->number : 0);
}

/* Of most runs nobody wants to read more than the hash. */
void sim_trace_call(const struct sim_actor *a, const char *op, const char *name,
		    int r)
{
	hash_who(a);
	hash_text(op);
	hash_text(name);
	hash_number((uint64_t)(int64_t)r);
	if (!sim.trace)
		return;
	print_who(a);
	printf("%s %s: %s\n", op, name, r < 0 ? strerrorname_np(-r) : "ok");
}

void sim_note(const struct sim_actor *a, const char *fmt, ...)
{
	va_list ap;

	if (!sim.trace)
		return;
	print_who(a);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void sim_trace(const struct sim_actor *a, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	hash_who(a);
	hash_text(text);
	if (!sim.trace)
		return;
	print_who(a);
	puts(text);
}

void sim_violated(const char *fmt, ...)
{
	va_list ap;

	if (sim.violation[0])
		return;
	va_start(ap, fmt);
	vsnprintf(sim.violation, sizeof(sim.violation), fmt, ap);
	va_end(ap);
	sim_trace(sim.current, "VIOLATION: %s", sim.violation);
}
