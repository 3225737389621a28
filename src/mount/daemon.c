/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon is a child from the start, so that it can ask for a password and
 * say on stderr what goes wrong; its parent waits for one number on a pipe: 0
 * when the mount answers, or why there is none.
 */
#include "config.h"

#include "src/mount/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <unistd.h>

#include "fs/fuse/mount.h"
#include "fs/place.h"
#include "fs/view.h"
#include "src/cli/context.h"
#include "src/cli/luks_keys.h"
#include "src/mount/options.h"
#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/vault.h"

/* ---- paths ---- */

int daemon_path(const char *dir, char **out)
{
	AUTO_FREE char *copy = NULL;
	AUTO_FREE char *parent = NULL;
	const char *name;
	char *slash;
	size_t n;

	*out = realpath(dir, NULL);
	if (*out)
		return 0;
	if (errno != ENOTCONN && errno != ECONNABORTED)
		return fail(-errno, "mountpoint %s: %s", dir, strerror(errno));
	/* A dead mount: all but its own name can be resolved. */
	copy = strdup(dir);
	if (!copy)
		return -ENOMEM;
	for (n = strlen(copy); n > 1 && copy[n - 1] == '/'; n--)
		copy[n - 1] = '\0';
	slash = strrchr(copy, '/');
	name = slash ? slash + 1 : copy;
	if (slash)
		*slash = '\0';
	parent = realpath(!slash ? "." : slash == copy ? "/" : copy, NULL);
	if (!parent)
		return fail(-errno, "mountpoint %s: %s", dir, strerror(errno));
	if (asprintf(out, "%s/%s", strcmp(parent, "/") ? parent : "", name) < 0)
		*out = NULL;
	return *out ? 0 : -ENOMEM;
}

static bool is_below(const char *path, const char *top)
{
	size_t n = strlen(top);

	return strcmp(top, "/") == 0 ||
	       (strncmp(path, top, n) == 0 && (!path[n] || path[n] == '/'));
}

/* The vault's place for a daemon that leaves this directory; where it is a
 * local one, it and the mountpoint may not contain one another. */
static int settle_url(struct context *ctx, const char *dir)
{
	const char *url;
	char *path;
	int r = context_vault_url(ctx, &url);

	if (r < 0)
		return r;
	url = backend_path(url);
	path = url ? realpath(url, NULL) : NULL;
	if (!path)
		return 0; /* not a path, or nothing there: opening it tells */
	free(ctx->url);
	ctx->url = path;
	if (is_below(dir, path))
		return fail(-EINVAL,
			    "mountpoint %s is inside the vault %s: "
			    "mount it somewhere else",
			    dir, path);
	if (is_below(path, dir))
		return fail(-EINVAL,
			    "the vault %s is inside the mountpoint "
			    "%s and would be hidden: mount it somewhere else",
			    path, dir);
	return 0;
}

/* ---- signals ---- */

/*
 * A thread of its own waits for them: all others have them blocked, so no
 * system call of theirs is cut short. While the vault is being opened a signal
 * ends the program; afterwards it is written to a descriptor.
 */
struct signals {
	sigset_t set;
	pthread_t thread;
	int fd; /* owned */
	atomic_bool mounted;
};

static void *signals_main(void *arg)
{
	struct signals *s = arg;

	for (;;) {
		uint64_t text;
		ssize_t n;
		int sig;

		if (sigwait(&s->set, &sig) != 0)
			continue;
		if (!s->mounted && sig != SIGUSR1)
			_exit(EXIT_CODE_INTERRUPTED);
		/* SIGUSR1 counts in the low half, the others in the high. */
		text = sig == SIGUSR1 ? 1 : UINT64_C(1) << 32;
		n = write(s->fd, &text, sizeof(text));
		(void)n;
	}
	return NULL;
}

static int start_signals(struct signals *s)
{
	memset(s, 0, sizeof(*s));
	sigemptyset(&s->set);
	sigaddset(&s->set, SIGINT);
	sigaddset(&s->set, SIGTERM);
	sigaddset(&s->set, SIGHUP);
	sigaddset(&s->set, SIGUSR1);
	s->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->fd < 0)
		return -errno;
	pthread_sigmask(SIG_BLOCK, &s->set, NULL);
	return -pthread_create(&s->thread, NULL, signals_main, s);
}

static void stop_signals(struct signals *s)
{
	pthread_cancel(s->thread);
	pthread_join(s->thread, NULL);
	close(s->fd);
}

/* ---- the daemon ---- */

static void to_syslog(void *arg, enum log_level level, const char *text)
{
	static const int priority[] = { LOG_ERR, LOG_WARNING, LOG_INFO,
					LOG_DEBUG };

	(void)arg;
	syslog(priority[level], "%s", text);
}

/* Leave the terminal and tell the parent. */
static void detach(int report_fd)
{
	int zero = 0, fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	ssize_t n;

	if (setsid() < 0 || chdir("/") < 0)
		log_debug("cannot leave the session: %s", strerror(errno));
	openlog("vmbackupfs", LOG_PID, LOG_DAEMON);
	log_set(LOG_LEVEL_WARN, to_syslog, NULL);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
	}
	n = write(report_fd, &zero, sizeof(zero));
	(void)n; /* the parent was killed: the mount stands all the same */
	close(report_fd);
}

static void say_status(struct mount *m)
{
	AUTO_BUF struct buf text = BUF_INIT;

	mount_status(m, &text);
	buf_put_u8(&text, 0);
	if (buf_error(&text) == 0)
		log_line(LOG_LEVEL_WARN, "status: %s", (char *)text.data);
}

/* Until it is unmounted, or a signal asks to. */
static void serve(struct mount *m, const struct signals *s)
{
	struct pollfd p[] = { { .fd = mount_fd(m), .events = POLLIN },
			      { .fd = s->fd, .events = POLLIN } };
	uint64_t text;

	for (;;) {
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return;
		if (p[0].revents)
			return;
		if (!p[1].revents || read(s->fd, &text, sizeof(text)) < 0)
			continue;
		if (text >> 32)
			return;
		say_status(m);
	}
}

/* The node that the mount shows at its top. */
static int choose_root(struct view *w, const struct mount_options *o,
		       uint64_t *out)
{
	struct place place;
	struct view_attr a;
	int r;

	*out = VIEW_ROOT;
	if (o->vm && o->point)
		return fail(-EINVAL, "mount options vm= and point= exclude "
				     "each other");
	if (o->point) {
		r = place_find(w, o->point, &place, &a);
		place_release(&place);
	} else if (o->vm) {
		r = view_lookup(w, VIEW_ROOT, "vms", &a);
		if (r == 0)
			r = view_lookup(w, a.node, o->vm, &a);
		if (r == -ENOENT)
			r = fail(r, "the vault has no points of %s", o->vm);
	} else {
		return 0;
	}
	if (r == 0 && !S_ISDIR(a.st.st_mode))
		r = fail(-ENOTDIR, "mount option point=%s: not a directory",
			 o->point);
	if (r == 0)
		*out = a.node;
	return r;
}

/* Those of -o, and of the command line where it is vmbackup's. */
static int give_luks_keys(const struct mounting *m, struct view *w)
{
	const struct string_list *more = &m->ctx->luks_key_files;
	const struct mount_options *o = m->options;
	const char **paths =
		alloc_array(o->luks_keys.n + more->n + 1, sizeof(*paths));
	size_t i, n = 0;
	int r;

	if (!paths)
		return -ENOMEM;
	for (i = 0; i < o->luks_keys.n; i++)
		paths[n++] = o->luks_keys.items[i];
	for (i = 0; i < more->n; i++)
		paths[n++] = more->items[i];
	r = luks_keys_give(w, paths, n);
	free(paths);
	return r;
}

struct asking {
	struct context *ctx;
	struct signals *signals;
};

/* Signals are ours once nobody types any more: the prompt has its own way with
 * Ctrl-C. */
static int ask(void *arg, struct credential *out)
{
	struct asking *a = arg;
	int r = context_credential(a->ctx, out);

	return r < 0 ? r : start_signals(a->signals);
}

static int open_vault(const struct mounting *m, struct signals *s,
		      struct vault **v, struct view **w)
{
	struct asking asking = { m->ctx, s };
	struct vault_options o = { .cache_size = m->options->cache_size,
				   .ask = ask,
				   .ask_arg = &asking };
	size_t i;
	int r = 0;

	m->ctx->forgotten |= m->options->forgotten;
	m->ctx->no_verify = m->options->noverify;
	m->ctx->untrusted |= m->options->untrusted;
	for (i = 0; i < m->options->trusted.n && r == 0; i++)
		r = string_list_add(&m->ctx->trusted,
				    m->options->trusted.items[i]);
	if (r == 0)
		r = context_open_vault_with(m->ctx, &o, v);

	context_forget_credential(m->ctx);
	if (r == 0)
		r = view_new(*v, w);
	if (r == 0)
		r = give_luks_keys(m, *w);
	return r;
}

static int mount_it(const struct mounting *m, const char *dir, struct view *w,
		    struct mount **out)
{
	const struct mount_options *o = m->options;
	struct mount_config c = {
		.fsname = o->fsname ? o->fsname : vault_url(view_vault(w)),
		.policy = o->policy,
		.allow_other = o->allow_other,
		.allow_root = o->allow_root,
		.noexec = o->noexec,
		.threads = o->threads,
		.stay = o->stay,
		.readahead = o->readahead,
		.deadline_ns = o->deadline_ns,
		.refresh_ns = o->refresh_ns,
	};
	int r = choose_root(w, o, &c.root);

	return r < 0 ? r : mount_start(w, dir, &c, out);
}

/* All of it. @report_fd -1: in the foreground. */
static int run(const struct mounting *m, const char *dir, int report_fd)
{
	struct signals s = { .fd = -1 };
	struct mount *mount = NULL;
	struct vault *v = NULL;
	struct view *w = NULL;
	int r;

	r = open_vault(m, &s, &v, &w);
	if (r == 0)
		r = mount_it(m, dir, w, &mount);
	if (r == 0) {
		s.mounted = true;
		/* Keys are in memory from now on: no core dumps, no tracing. */
		prctl(PR_SET_DUMPABLE, 0);
		if (report_fd >= 0)
			detach(report_fd);
		else if (m->ready)
			m->ready(m->arg);
		serve(mount, &s);
	}
	/* Where threads hang in the backend nothing can be freed; the kernel
	 * has its device back, so nobody waits for them. */
	if (!mount_free(mount))
		_exit(EXIT_CODE_OK);
	view_free(w);
	vault_close(v);
	if (s.fd >= 0)
		stop_signals(&s);
	prctl(PR_SET_DUMPABLE, 1);
	return r;
}

/* What the child has to say; its end, where it says nothing. */
static int wait_for_child(pid_t pid, int fd)
{
	int r = 0, status;
	ssize_t n;

	do
		n = read(fd, &r, sizeof(r));
	while (n < 0 && errno == EINTR);
	if (n == sizeof(r) && r == 0)
		return 0;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	if (n == sizeof(r))
		return r;
	if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_CODE_INTERRUPTED)
		return -EINTR;
	return fail(-EIO,
		    "the mount's daemon ended before it was ready "
		    "(status %#x)",
		    (unsigned int)status);
}

static int run_behind(const struct mounting *m, const char *dir)
{
	int fds[2], r;
	ssize_t n;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return fail(-errno, "pipe: %s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		close(fds[1]);
		return fail(r, "fork: %s", strerror(-r));
	}
	if (pid == 0) {
		close(fds[0]);
		r = run(m, dir, fds[1]);
		/* Closed already, where the mount was ready. */
		n = r < 0 ? write(fds[1], &r, sizeof(r)) : 0;
		(void)n;
		exit(r < 0 ? EXIT_CODE_FAILED : EXIT_CODE_OK);
	}
	close(fds[1]);
	r = wait_for_child(pid, fds[0]);
	close(fds[0]);
	if (r == 0 && m->ready)
		m->ready(m->arg);
	return r;
}

/* The resolved path of @path, of which the end may not exist yet. malloc'd. */
static int resolve_missing(const char *path, char **out)
{
	AUTO_FREE char *copy = strdup(path);
	AUTO_FREE char *top = NULL;
	char *slash;
	size_t n;

	if (!copy)
		return -ENOMEM;
	for (;;) {
		top = realpath(*copy ? copy : "/", NULL);
		n = strlen(copy);
		if (top || errno != ENOENT || n == 0)
			break;
		slash = strrchr(copy, '/');
		if (slash)
			*slash = '\0';
		else
			return -ENOENT;
	}
	if (!top)
		return -errno;
	if (asprintf(out, "%s%s", strcmp(top, "/") ? top : "", path + n) < 0)
		*out = NULL;
	return *out ? 0 : -ENOMEM;
}

/* A database below the mountpoint would be looked for in the mount itself. */
static int check_cache(const char *cache, const char *dir)
{
	AUTO_FREE char *path = NULL;
	int r = resolve_missing(cache, &path);

	if (r == -ENOMEM)
		return r;
	if (r == 0 && is_below(path, dir))
		return fail(-EINVAL,
			    "the cache directory %s is inside the mountpoint "
			    "%s: name another one with cachedir=",
			    path, dir);
	return 0;
}

/* The daemon leaves this directory, so the cache needs a whole path. */
static int settle_cache(struct context *ctx)
{
	AUTO_FREE char *here = NULL;
	const char *dir;
	char *path;
	int r = context_cache_dir(ctx, &dir);

	if (r < 0 || !dir || *dir == '/')
		return r;
	here = realpath(".", NULL);
	if (!here)
		return fail(-errno, "this directory: %s", strerror(errno));
	if (asprintf(&path, "%s/%s", here, dir) < 0)
		return -ENOMEM;
	free(ctx->cache);
	ctx->cache = path;
	return 0;
}

int daemon_run(const struct mounting *m)
{
	AUTO_FREE char *dir = NULL;
	const char *cache = NULL;
	int r;

	if (m->options->keyfile)
		m->ctx->key_file = m->options->keyfile;
	if (m->options->passwordfile)
		m->ctx->password_file = m->options->passwordfile;
	if (m->options->cachedir)
		m->ctx->cache_dir = m->options->cachedir;
	r = daemon_path(m->dir, &dir);
	if (r == 0)
		r = settle_url(m->ctx, dir);
	if (r == 0)
		r = settle_cache(m->ctx);
	if (r == 0)
		r = context_cache_dir(m->ctx, &cache);
	if (r == 0 && cache)
		r = check_cache(cache, dir);
	if (r < 0)
		return r;
	return m->foreground ? run(m, dir, -1) : run_behind(m, dir);
}
