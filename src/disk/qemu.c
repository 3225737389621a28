/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Between fork and exec the child may take neither locks nor memory, since we
 * have threads: all that it needs is made before.
 */
#include "config.h"

#include "src/disk/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/text.h"

#define LISTEN_FD 3 /* where systemd's protocol begins */
#define SAID_MAX 1000
#define END_MS 2000
#define STOP_MS 200
#define CLOSE_MS 30000
#define NOT_STARTED 127

struct qemu {
	const char *program; /* borrowed: a literal */
	int said; /* what it prints; owned */
	pid_t pid; /* 0: none, or it was waited for */
	int status; /* how it ended, once it was waited for */
};

struct launch {
	const struct qemu_options *o;
	const struct confinement *confinement;
	const char *path;
	char **env;
	char *pid_text; /* in env: the digits of LISTEN_PID go here */
	int said;
	pid_t parent;
};

/* ---- the child ---- */

static void put_pid(char *out)
{
	unsigned int pid = (unsigned int)getpid(), rest;
	int i;

	for (rest = pid, i = 1; rest >= 10; rest /= 10)
		i++;
	for (out[i] = '\0'; i > 0; pid /= 10)
		out[--i] = (char)('0' + pid % 10);
}

static bool keep_descriptors(const struct launch *l)
{
	int listener = l->o->listener;
	size_t i;

	if (listener == LISTEN_FD && fcntl(LISTEN_FD, F_SETFD, 0) < 0)
		return false;
	if (listener >= 0 && listener != LISTEN_FD &&
	    dup2(listener, LISTEN_FD) < 0)
		return false;
	for (i = 0; i < l->o->nfiles; i++)
		if (fcntl(l->o->files[i].fd, F_SETFD, 0) < 0)
			return false;
	return true;
}

static void child(const struct launch *l)
{
	struct rlimit bound;
	sigset_t none;
	int null;

	/* The terminal's SIGINT is ours to obey, not its. */
	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != l->parent)
		_exit(NOT_STARTED);
	put_pid(l->pid_text);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(l->said, 1) < 0 ||
	    dup2(l->said, 2) < 0 || !keep_descriptors(l))
		_exit(NOT_STARTED);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	bound.rlim_cur = bound.rlim_max = l->o->output_max;
	if (bound.rlim_max && setrlimit(RLIMIT_FSIZE, &bound) < 0)
		_exit(NOT_STARTED);
	if (confinement_enter(l->confinement) < 0)
		_exit(NOT_STARTED);
	execve(l->path, l->o->argv, l->env);
	_exit(NOT_STARTED);
}

/* ---- starting it ---- */

static bool is_listen(const char *variable)
{
	return strncmp(variable, "LISTEN_", 7) == 0;
}

/* The environment with LISTEN_FDS and room for a LISTEN_PID, where it is given a
 * socket. */
static char **make_env(bool listens, char *pid_variable)
{
	static char one[] = "LISTEN_FDS=1";
	size_t n = 0, i;
	char **env;

	while (environ[n])
		n++;
	env = alloc_array(n + 3, sizeof(*env));
	if (!env)
		return NULL;
	for (n = i = 0; environ[i]; i++)
		if (!is_listen(environ[i]))
			env[n++] = environ[i];
	if (listens) {
		env[n++] = one;
		env[n] = pid_variable;
	}
	return env;
}

static int find_program(const char *name, char out[PATH_MAX])
{
	const char *p = getenv("PATH");

	p = p && *p ? p : "/usr/local/bin:/usr/bin:/bin";
	while (*p) {
		size_t len = strcspn(p, ":");

		if (len > 0 && p[0] == '/' &&
		    snprintf(out, PATH_MAX, "%.*s/%s", (int)len, p, name) <
			    PATH_MAX &&
		    access(out, X_OK) == 0)
			return 0;
		p += len;
		p += *p == ':';
	}
	return -ENOENT;
}

static int spawn(struct qemu *q, struct launch *l)
{
	char pid_variable[] = "LISTEN_PID=0000000000";

	l->pid_text = pid_variable + sizeof("LISTEN_PID=") - 1;
	l->env = make_env(l->o->listener >= 0, pid_variable);
	if (!l->env)
		return -ENOMEM;
	q->pid = fork();
	if (q->pid == 0)
		child(l);
	free(l->env);
	if (q->pid > 0)
		return 0;
	q->pid = 0;
	return -errno;
}

int qemu_start(const struct qemu_options *o, struct qemu **out)
{
	struct confinement confinement = { .ruleset = -1 };
	struct qemu *q = calloc(1, sizeof(*q));
	char path[PATH_MAX];
	struct launch l = {
		.o = o,
		.confinement = &confinement,
		.path = path,
		.parent = getpid(),
	};
	int r;

	*out = NULL;
	if (!q)
		return -ENOMEM;
	q->program = o->program;
	q->said = memfd_create("qemu", MFD_CLOEXEC);
	r = q->said < 0 ? -errno : find_program(o->program, path);
	if (r == 0)
		r = confinement_open(path, o->files, o->nfiles, &confinement);
	l.said = q->said;
	if (r == 0)
		r = spawn(q, &l);
	confinement_close(&confinement);
	if (r < 0) {
		qemu_end(q, false);
		return r;
	}
	*out = q;
	return 0;
}

/* ---- its end ---- */

static bool await_end(struct qemu *q, int flags)
{
	pid_t got;

	if (!q->pid)
		return true;
	do
		got = waitpid(q->pid, &q->status, flags);
	while (got < 0 && errno == EINTR);
	if (got == 0)
		return false;
	q->pid = 0;
	return true;
}

int qemu_wait(struct qemu *q)
{
	(void)await_end(q, 0);
	return WIFEXITED(q->status) && WEXITSTATUS(q->status) == 0 ? 0 : -EIO;
}

/* Until it ends, or so many milliseconds. */
static void linger(const struct qemu *q, int ms)
{
	struct pollfd pfd = { .fd = pidfd_open(q->pid, 0), .events = POLLIN };

	if (pfd.fd < 0)
		return;
	(void)poll(&pfd, 1, ms);
	close(pfd.fd);
}

int qemu_wait_code(struct qemu *q, const volatile bool *stop)
{
	while (!await_end(q, WNOHANG)) {
		if (stop && *stop)
			return -EINTR;
		linger(q, STOP_MS);
	}
	return WIFEXITED(q->status) ? WEXITSTATUS(q->status) : -EIO;
}

/* The last line that it printed, without its name in front. */
static void put_last_line(const struct qemu *q, struct buf *out)
{
	char text[SAID_MAX + 1], *line, *colon;
	size_t name = strlen(q->program);
	struct stat st;
	off_t off = 0;
	ssize_t n;

	if (fstat(q->said, &st) < 0)
		return;
	if (st.st_size > SAID_MAX)
		off = st.st_size - SAID_MAX;
	n = pread(q->said, text, SAID_MAX, off);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n <= 0)
		return;
	text[n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	colon = strstr(line, q->program);
	if (colon && strncmp(colon + name, ": ", 2) == 0)
		line = colon + name + 2;
	buf_put(out, ": ", 2);
	text_put_plain(out, line, strlen(line));
}

bool qemu_explain(struct qemu *q, struct buf *out)
{
	/* The kernel closes a process's sockets before it is seen to end. */
	if (q->pid)
		linger(q, END_MS);
	if (!await_end(q, WNOHANG))
		buf_printf(out, "%s does not answer", q->program);
	else if (WIFSIGNALED(q->status))
		buf_printf(out, "%s was killed by signal %d", q->program,
			   WTERMSIG(q->status));
	else if (WEXITSTATUS(q->status) == NOT_STARTED)
		buf_printf(out, "%s could not be started", q->program);
	else
		buf_printf(out, "%s gave up", q->program);
	put_last_line(q, out);
	return q->pid == 0;
}

void qemu_end(struct qemu *q, bool gently)
{
	if (!q)
		return;
	if (q->pid && gently && kill(q->pid, SIGTERM) == 0)
		linger(q, CLOSE_MS);
	if (q->pid) {
		(void)kill(q->pid, SIGKILL);
		(void)await_end(q, 0);
	}
	if (q->said >= 0)
		close(q->said);
	free(q);
}
