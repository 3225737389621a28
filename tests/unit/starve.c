/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/starve.h"

#include <dirent.h>
#include <errno.h>
#include <execinfo.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include <zstd_errors.h>

static atomic_bool begun;
static atomic_ulong asked, refused;
static unsigned long at;
static bool at_all;

#define DEEP 14
static void *deep[DEEP]; /* of the first that was refused */
static int ndeep;

/* Whether what is asked for now is not given. */
static bool refuse(void)
{
	unsigned long n;

	if (!atomic_load(&begun))
		return false;
	n = atomic_fetch_add(&asked, 1) + 1;
	if (at == 0 || n < at || (n > at && !at_all))
		return false;
	if (atomic_fetch_add(&refused, 1) == 0)
		ndeep = backtrace(deep, DEEP);
	errno = ENOMEM;
	return true;
}

extern const char __executable_start;

unsigned long starve_offset(const void *address)
{
	return (unsigned long)((uintptr_t)address -
			       (uintptr_t)&__executable_start);
}

/* The first two are those of this file. */
const char *starve_where(void)
{
	static char text[DEEP * 20];
	size_t n = 0;
	int i;

	text[0] = '\0';
	for (i = 2; i < ndeep; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s0x%lx",
				      i > 2 ? " " : "",
				      starve_offset(deep[i]) - 1);
	return text;
}

/* ---- what was given, and not yet freed ---- */

#define GIVEN (1u << 17) /* a power of two, more than ever is */

struct given {
	unsigned long run; /* in which the place was used */
	void *p;
	void *at; /* who asked for it; NULL: it is freed */
};

static pthread_mutex_t given_lock = PTHREAD_MUTEX_INITIALIZER;
static struct given given[GIVEN]; /* protected by given_lock, as is the next */
static unsigned long run, nheld;
static bool is_watched;

static size_t place_of(const void *p)
{
	size_t i = ((uintptr_t)p >> 4) * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	for (i &= GIVEN - 1; given[i].run == run && given[i].p != p;
	     i = (i + 1) & (GIVEN - 1))
		;
	return i;
}

static void *give(void *p, void *who)
{
	pthread_mutex_lock(&given_lock);
	if (p && is_watched && atomic_load(&begun)) {
		size_t i = place_of(p);

		given[i] = (struct given){ run, p, who };
		nheld++;
	}
	pthread_mutex_unlock(&given_lock);
	return p;
}

static void take_back(void *p)
{
	pthread_mutex_lock(&given_lock);
	if (p && is_watched) {
		struct given *g = &given[place_of(p)];

		if (g->run == run && g->at) {
			g->at = NULL;
			nheld--;
		}
	}
	pthread_mutex_unlock(&given_lock);
}

unsigned long starve_leaks(void **at_out)
{
	unsigned long n;
	size_t i;

	*at_out = NULL;
	pthread_mutex_lock(&given_lock);
	is_watched = false;
	n = nheld;
	for (i = 0; i < GIVEN && n > 0 && !*at_out; i++)
		if (given[i].run == run)
			*at_out = given[i].at;
	pthread_mutex_unlock(&given_lock);
	return n;
}

void starve_begin(unsigned long n, bool all)
{
	pthread_mutex_lock(&given_lock);
	run++;
	nheld = 0;
	is_watched = true;
	pthread_mutex_unlock(&given_lock);
	atomic_store(&asked, 0);
	atomic_store(&refused, 0);
	at = n;
	at_all = all;
	ndeep = 0;
	atomic_store(&begun, true);
}

unsigned long starve_end(void)
{
	atomic_store(&begun, false);
	return atomic_load(&asked);
}

unsigned long starve_refusals(void)
{
	return atomic_load(&refused);
}

/* ---- the C library ---- */

#define CALLER __builtin_return_address(0)
#define WRAP(type, name, params, args)                                         \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	type __wrap_##name params                                              \
	{                                                                      \
		return refuse() ? NULL : give(__real_##name args, CALLER);     \
	}

WRAP(void *, malloc, (size_t len), (len))
WRAP(void *, calloc, (size_t n, size_t len), (n, len))
WRAP(void *, aligned_alloc, (size_t align, size_t len), (align, len))
WRAP(char *, strdup, (const char *s), (s))
WRAP(char *, strndup, (const char *s, size_t n), (s, n))
/* What these make is not freed by free(). */
#define WRAP_UNSEEN(type, name, params, args)                                  \
	type __real_##name params;                                             \
	type __wrap_##name params;                                             \
	type __wrap_##name params                                              \
	{                                                                      \
		return refuse() ? NULL : __real_##name args;                   \
	}
WRAP_UNSEEN(DIR *, fdopendir, (int fd), (fd))
WRAP_UNSEEN(ZSTD_CCtx *, ZSTD_createCCtx, (void), ())
WRAP_UNSEEN(ZSTD_DCtx *, ZSTD_createDCtx, (void), ())
WRAP_UNSEEN(FILE *, fopen, (const char *path, const char *mode), (path, mode))

void __real_free(void *p);
void __wrap_free(void *p);
void *__real_realloc(void *p, size_t len);
void *__wrap_realloc(void *p, size_t len);
void *__wrap_reallocarray(void *p, size_t n, size_t len);

void __wrap_free(void *p)
{
	take_back(p);
	__real_free(p);
}

static void *resize(void *p, size_t len, void *who)
{
	void *new;

	if (refuse())
		return NULL;
	take_back(p);
	new = __real_realloc(p, len);
	return give(new, who);
}

void *__wrap_realloc(void *p, size_t len)
{
	return resize(p, len, CALLER);
}

void *__wrap_reallocarray(void *p, size_t n, size_t len)
{
	if (!__builtin_mul_overflow(n, len, &len))
		return resize(p, len, CALLER);
	errno = ENOMEM;
	return NULL;
}

int __wrap_vasprintf(char **out, const char *fmt, va_list ap);
int __real_vasprintf(char **out, const char *fmt, va_list ap);
int __wrap_asprintf(char **out, const char *fmt, ...);

/* What *out is behind a failure is not said. */
int __wrap_vasprintf(char **out, const char *fmt, va_list ap)
{
	if (!refuse()) {
		int n = __real_vasprintf(out, fmt, ap);

		if (n >= 0)
			(void)give(*out, CALLER);
		return n;
	}
	*out = (char *)1;
	return -1;
}

int __wrap_asprintf(char **out, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = __wrap_vasprintf(out, fmt, ap);
	va_end(ap);
	return n;
}

int __real_pthread_create(pthread_t *out, const pthread_attr_t *attr,
			  void *(*fn)(void *arg), void *arg);
int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr,
			  void *(*fn)(void *arg), void *arg);

int __wrap_pthread_create(pthread_t *out, const pthread_attr_t *attr,
			  void *(*fn)(void *arg), void *arg)
{
	return refuse() ? EAGAIN : __real_pthread_create(out, attr, fn, arg);
}

size_t __real_ZSTD_compress2(ZSTD_CCtx *c, void *out, size_t cap,
			     const void *in, size_t len);
size_t __wrap_ZSTD_compress2(ZSTD_CCtx *c, void *out, size_t cap,
			     const void *in, size_t len);

/* It makes its tables when it is first used. */
size_t __wrap_ZSTD_compress2(ZSTD_CCtx *c, void *out, size_t cap,
			     const void *in, size_t len)
{
	return refuse() ? (size_t)-ZSTD_error_memory_allocation
			: __real_ZSTD_compress2(c, out, cap, in, len);
}

/* ---- libraries ---- */

static void *crypto_malloc(size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return refuse() ? NULL : __real_malloc(len);
}

static void *crypto_realloc(void *p, size_t len, const char *file, int line)
{
	(void)file;
	(void)line;
	return refuse() ? NULL : __real_realloc(p, len);
}

static void crypto_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	__real_free(p);
}

static void *sql_malloc(int len)
{
	return refuse() ? NULL : __real_malloc((size_t)len);
}

static void *sql_realloc(void *p, int len)
{
	return refuse() ? NULL : __real_realloc(p, (size_t)len);
}

static int sql_size(void *p)
{
	return (int)malloc_usable_size(p);
}

static int sql_roundup(int len)
{
	return (len + 7) & ~7;
}

static int sql_init(void *arg)
{
	(void)arg;
	return SQLITE_OK;
}

static void sql_end(void *arg)
{
	(void)arg;
}

void starve_setup(void)
{
	static const sqlite3_mem_methods methods = {
		.xMalloc = sql_malloc,
		.xFree = __real_free,
		.xRealloc = sql_realloc,
		.xSize = sql_size,
		.xRoundup = sql_roundup,
		.xInit = sql_init,
		.xShutdown = sql_end,
	};

	/* It asks for memory when it is first used. */
	ndeep = backtrace(deep, DEEP);
	json_set_alloc_funcs(malloc, free);
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) != SQLITE_OK ||
	    !CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc,
				      crypto_free))
		abort();
}
