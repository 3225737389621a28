/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Attributes that make the compiler check what the headers promise, scoped
 * cleanup, and the functions nobody here may call.
 */
#ifndef STORE_BASE_ATTRS_H
#define STORE_BASE_ATTRS_H

/* The headers of the banned functions come first: some of those are inline. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
/* Run @fn(&variable) when the variable leaves its scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The struct of type @type whose member @member is at @ptr. */
#define container_of(ptr, type, member)                                        \
	((type *)((char *)(ptr)-offsetof(type, member)))

/* An int file descriptor closed at the end of its scope; start it at -1. */
void attrs_close_fd(int *fd);
#define AUTO_CLOSE CLEANUP(attrs_close_fd)

/* A char or byte pointer freed at the end of its scope; start it at NULL. */
void attrs_free(void *pointer_to_pointer);
#define AUTO_FREE CLEANUP(attrs_free)

/*
 * malloc of @n objects of @size bytes, zeroed; NULL where the product
 * overflows or memory is out. The caller frees it with free().
 */
MUST_CHECK void *alloc_array(size_t n, size_t size);

#ifndef __cplusplus
#undef strcpy
#undef strcat
#undef sprintf
#undef vsprintf
#undef strtok
#undef atoi
#undef localtime
#undef gmtime
#define BANNED(fn) banned_function_##fn
#define strcpy(x, y) BANNED(strcpy)
#define strcat(x, y) BANNED(strcat)
#define sprintf(...) BANNED(sprintf)
#define vsprintf(...) BANNED(vsprintf)
#define strtok(x, y) BANNED(strtok)
#define atoi(x) BANNED(atoi)
#define localtime(x) BANNED(localtime)
#define gmtime(x) BANNED(gmtime)
#endif

#endif
