/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/lock.h"
#include "store/base/log.h"
#include "store/base/secret.h"
#include "store/vault.h"

#define NOBODY 65534

void support_assert_result(int got, int want, const char *expr,
			   const char *file, int line)
{
	if (got == want)
		return;
	print_error("%s: %d (%s), not %d (%s)\n", expr, got,
		    got < 0 ? strerror(-got) : "no error", want,
		    want < 0 ? strerror(-want) : "no error");
	_fail(file, line);
}

/* ---- files ---- */

/* What lives until the program ends. */
static struct {
	char **text; /* owned, and so is each */
	size_t n;
	pid_t pid; /* whose exit cleans up: not a child's */
	char *dirs[64]; /* borrowed from text */
	size_t ndirs;
} kept;

static void clean_up(void)
{
	size_t i;

	if (kept.pid == getpid())
		for (i = 0; i < kept.ndirs; i++)
			support_remove(kept.dirs[i]);
	for (i = 0; i < kept.n; i++)
		free(kept.text[i]);
	free(kept.text);
	kept.text = NULL;
	kept.n = 0;
}

/* Takes over @text. */
static char *keep(char *text)
{
	char **p = realloc(kept.text, (kept.n + 1) * sizeof(*p));

	if (!p || !text)
		abort();
	if (kept.n == 0) {
		kept.pid = getpid();
		atexit(clean_up);
	}
	kept.text = p;
	p[kept.n++] = text;
	return text;
}

static const char *tmpdir_in(const char *parent)
{
	char *path;

	if (asprintf(&path, "%s/vmbackup-test-XXXXXX", parent) < 0)
		abort();
	if (!mkdtemp(path) || chmod(path, 0755) < 0 ||
	    kept.ndirs == ARRAY_SIZE(kept.dirs)) {
		perror(path);
		abort();
	}
	kept.dirs[kept.ndirs++] = keep(path);
	return path;
}

const char *support_tmpdir(void)
{
	const char *parent = getenv("TMPDIR");

	return tmpdir_in(parent && *parent ? parent : "/tmp");
}

const char *support_tmpdir_fast(void)
{
	return access("/dev/shm", W_OK | X_OK) == 0 ? tmpdir_in("/dev/shm")
						    : support_tmpdir();
}

const char *support_path(const char *fmt, ...)
{
	char *path;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&path, fmt, ap) < 0)
		abort();
	va_end(ap);
	return keep(path);
}

static int remove_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* A test may have taken away its own right to look in. */
static int unlock_one(const char *path, const struct stat *st, int type,
		      struct FTW *ftw)
{
	(void)ftw;
	if ((type == FTW_D || type == FTW_DNR) && !(st->st_mode & S_IRWXU))
		return chmod(path, 0700);
	return 0;
}

void support_remove(const char *path)
{
	nftw(path, unlock_one, 16, FTW_PHYS);
	nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

void support_write(const char *path, const void *data, size_t len)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

uint8_t *support_read(const char *path, size_t *len_out)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	struct stat st;

	if (!f)
		return NULL;
	if (fstat(fileno(f), &st) == 0)
		data = malloc((size_t)st.st_size + 1);
	if (data)
		*len_out = fread(data, 1, (size_t)st.st_size, f);
	fclose(f);
	return data;
}

static size_t count; /* of the one nftw() at work */

static int count_one(const char *path, const struct stat *st, int type,
		     struct FTW *ftw)
{
	(void)path;
	(void)st;
	(void)type;
	count += ftw->level > 0;
	return 0;
}

size_t support_count(const char *path)
{
	count = 0;
	assert_int_equal(nftw(path, count_one, 16, FTW_PHYS), 0);
	return count;
}

/* ---- processes ---- */

static int run_child(int (*fn)(void *arg), void *arg, bool nobody)
{
	pid_t pid;
	int status;

	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (nobody && getuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 ||
		     setuid(NOBODY) < 0))
			_exit(126);
		status = fn(arg);
		_exit(status >= 0 && status <= 125 ? status : 126);
	}
	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

int support_fork(int (*fn)(void *arg), void *arg)
{
	return run_child(fn, arg, false);
}

int support_fork_nobody(int (*fn)(void *arg), void *arg)
{
	return run_child(fn, arg, true);
}

void support_own_namespace(void)
{
	if (unshare(CLONE_NEWNS) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		abort();
}

/* ---- what is said ---- */

static struct {
	pthread_mutex_t lock; /* protects text, len */
	char text[65536];
	size_t len;
} said = { PTHREAD_MUTEX_INITIALIZER, "", 0 };

static void keep_line(void *arg, enum log_level level, const char *text)
{
	size_t len = strlen(text);

	(void)arg;
	(void)level;
	SCOPED_LOCK(&said.lock);
	/* Full: the newest lines are those that a test asks for. */
	if (said.len + len + 2 > sizeof(said.text))
		said.len = 0;
	memcpy(said.text + said.len, text, len);
	said.len += len;
	memcpy(said.text + said.len, "\n", 2);
	said.len++;
}

void support_log_capture(void)
{
	log_set(LOG_LEVEL_WARN, keep_line, NULL);
}

void support_log_clear(void)
{
	SCOPED_LOCK(&said.lock);
	said.len = 0;
	said.text[0] = '\0';
}

const char *support_log_text(void)
{
	return said.text;
}

void support_assert_said(const char *text, const char *file, int line)
{
	if (strstr(said.text, text))
		return;
	print_error("\"%s\" was not said, but: %s\n", text, said.text);
	_fail(file, line);
}

/* ---- vaults ---- */

static struct secret *passphrase;

static void free_passphrase(void)
{
	secret_free(passphrase);
}

struct vault_options support_vault_options(struct backend *b, struct seam *seam)
{
	static const char words[] = "correct horse battery staple";

	if (!passphrase) {
		passphrase = secret_new(strlen(words));
		assert_non_null(passphrase);
		memcpy(passphrase->data, words, passphrase->len);
		atexit(free_passphrase);
	}
	return (struct vault_options){
		.seam = seam,
		.credential.passphrase = passphrase,
		.backend = b,
	};
}

void support_fill(uint64_t seed, void *out, size_t len)
{
	uint8_t *p = out;
	size_t i;

	for (i = 0; i < len; i++) {
		/* splitmix64 */
		uint64_t z = seed + (i / 8 + 1) * 0x9e3779b97f4a7c15u;

		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		z ^= z >> 31;
		p[i] = (uint8_t)(z >> (8 * (i % 8)));
	}
}

/* ---- memory ---- */

/* A line of /proc/self/status. */
static size_t status_kib(const char *what)
{
	FILE *f = fopen("/proc/self/status", "r");
	size_t len = strlen(what), kib = 0;
	char line[256];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, what, len) == 0)
			kib = strtoul(line + len, NULL, 10);
	fclose(f);
	assert_true(kib > 0);
	return kib;
}

size_t support_memory(void)
{
	return status_kib("VmRSS:") << 10;
}

size_t support_memory_peak(void)
{
	return status_kib("VmHWM:") << 10;
}

/* See proc(5). */
void support_memory_reset_peak(void)
{
	FILE *f = fopen("/proc/self/clear_refs", "w");

	if (!f || fputs("5\n", f) < 0 || fclose(f) != 0)
		fail_msg("the peak of memory cannot be reset");
}
