/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the unit tests share. Includes cmocka with all that it wants before it:
 *
 *     #include "config.h"
 *     #include "tests/unit/support.h"
 */
#ifndef TESTS_UNIT_SUPPORT_H
#define TESTS_UNIT_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* cmocka.h needs those before it. */
#include <cmocka.h>

/* fail() is store/base/log.h's here; for cmocka's use fail_msg(). */
#undef fail
#undef fail_msg
#define fail_msg(...)                                                          \
	do {                                                                   \
		print_error(__VA_ARGS__);                                      \
		print_error("\n");                                             \
		_fail(__FILE__, __LINE__);                                     \
	} while (0)

#include "store/backend/backend.h"
#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdio.h>

/* To open a backend with a seam of one's own. */
#define WITH_SEAM(s) (&(struct backend_options){ .seam = (s) })

struct backend;
struct seam;
struct vault_options;

/* @expr is 0 or the negative errno @err; on a mismatch both are named. */
#define assert_result(expr, err)                                               \
	support_assert_result((expr), (err), #expr, __FILE__, __LINE__)
#define assert_ok(expr) assert_result(expr, 0)
void support_assert_result(int got, int want, const char *expr,
			   const char *file, int line);

/* ---- files ---- */

/* A new directory (0755, so that another user can enter it), removed with all
 * that is in it when the program ends. Good until then. */
const char *support_tmpdir(void);
/* The same in memory (/dev/shm), where there is such; else as above. */
const char *support_tmpdir_fast(void);
/* @fmt names a path; the result is good until the program ends. */
PRINTF(1, 2) const char *support_path(const char *fmt, ...);
/* Remove @path and all below it; it may be missing. */
void support_remove(const char *path);
/* Make or replace a file. */
void support_write(const char *path, const void *data, size_t len);
/* A file's bytes (caller frees), or NULL when it cannot be read. */
uint8_t *support_read(const char *path, size_t *len_out);
/* How many names there are below @path, its own not counted. */
size_t support_count(const char *path);

/* ---- processes ---- */

/*
 * Run @fn in a child process. It must not use cmocka's asserts: what it
 * returns (0 to 125) is returned; 126 when it ended otherwise; -SIGKILL and the
 * like when a signal ended it.
 */
int support_fork(int (*fn)(void *arg), void *arg);
/* The same as user nobody where this is root; else as who this is. */
int support_fork_nobody(int (*fn)(void *arg), void *arg);

/*
 * Put this process into a mount namespace of its own, where it may: before it
 * mounts anything and starts threads. A test that makes a namespace meanwhile
 * would otherwise copy the mount and keep it alive.
 */
void support_own_namespace(void);

/* What a sanitizer notes of memory counts as the program's. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SHADOW_MEMORY true
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SHADOW_MEMORY true
#endif
#ifndef HAS_SHADOW_MEMORY
#define HAS_SHADOW_MEMORY false
#endif
/* How much memory this process has, and its peak since the last reset, in
 * bytes. */
size_t support_memory(void);
size_t support_memory_peak(void);
void support_memory_reset_peak(void);

/* ---- what is said ---- */

/* From now on log lines are kept, not printed. */
void support_log_capture(void);
void support_log_clear(void);
/* All lines since the last clear, each with its newline; not to be called while
 * others log. */
const char *support_log_text(void);
/* @text was said since the last clear. */
#define assert_said(text) support_assert_said(text, __FILE__, __LINE__)
void support_assert_said(const char *text, const char *file, int line);

/* ---- vaults ---- */

/* Options for a vault on @b (from backend_mem_new()), with a passphrase and no
 * cache directory. @seam may be NULL. */
struct vault_options support_vault_options(struct backend *b,
					   struct seam *seam);

/* Bytes that depend on @seed alone. */
void support_fill(uint64_t seed, void *out, size_t len);

#endif
