/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Image formats, read by a qemu-nbd of our own and spoken to over NBD.
 *
 * The socket is made and listened on here, in a private directory, and handed
 * to qemu-nbd the way systemd does (LISTEN_FDS): connecting to it waits until
 * the image is open, and fails at once where qemu-nbd gives up. qemu-nbd dies
 * with us however we end, and writes what it has to say to a memory file.
 */
#include "config.h"

#include "src/disk/source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/base/text.h"

#define LISTEN_FD 3 /* where systemd's protocol begins */
#define SAID_MAX 1000
#define END_MS 2000
#define CLOSE_MS 30000

struct image {
	struct disk_source s; /* must come first */
	struct disk_source *nbd; /* owned; NULL while it starts */
	char dir[96]; /* private; "" where there is none */
	char socket[104];
	int said; /* what qemu-nbd prints; -1: nothing yet */
	pid_t pid; /* 0: none, or it was waited for */
	bool writable;
	atomic_bool failed; /* a read did */
};

static struct image *image_of(struct disk_source *s)
{
	return container_of(s, struct image, s);
}

/* ---- the child ---- */

struct launch {
	const char *program;
	char *const *argv;
	char **env;
	char *pid_text; /* in env: the digits of LISTEN_PID go here */
	int listener, said;
	pid_t parent;
};

/* Between fork and exec: nothing that takes locks or memory. */
static void child(const struct launch *l)
{
	unsigned int pid = (unsigned int)getpid(), rest;
	sigset_t none;
	int i, null;

	/* The terminal's SIGINT is ours to obey, not its. */
	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != l->parent)
		_exit(127);
	for (rest = pid, i = 1; rest >= 10; rest /= 10)
		i++;
	for (l->pid_text[i] = '\0'; i > 0; pid /= 10)
		l->pid_text[--i] = (char)('0' + pid % 10);
	null = open("/dev/null", O_RDWR);
	if (null < 0 || dup2(null, 0) < 0 || dup2(l->said, 1) < 0 ||
	    dup2(l->said, 2) < 0)
		_exit(127);
	if (l->listener == LISTEN_FD)
		(void)fcntl(LISTEN_FD, F_SETFD, 0);
	else if (dup2(l->listener, LISTEN_FD) < 0)
		_exit(127);
	sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)signal(SIGPIPE, SIG_DFL);
	execve(l->program, l->argv, l->env);
	_exit(127);
}

static bool is_listen(const char *variable)
{
	return strncmp(variable, "LISTEN_", 7) == 0;
}

/* The environment with LISTEN_FDS and room for a LISTEN_PID. */
static char **make_env(char *pid_variable)
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
	env[n++] = one;
	env[n] = pid_variable;
	return env;
}

/* Where qemu-nbd is; -ENOENT where it is not. */
static int find_program(char out[PATH_MAX])
{
	const char *p = getenv("PATH");

	p = p && *p ? p : "/usr/local/bin:/usr/bin:/bin";
	while (*p) {
		size_t len = strcspn(p, ":");

		if (len > 0 && p[0] == '/' &&
		    snprintf(out, PATH_MAX, "%.*s/qemu-nbd", (int)len, p) <
			    PATH_MAX &&
		    access(out, X_OK) == 0)
			return 0;
		p += len;
		p += *p == ':';
	}
	return -ENOENT;
}

static int spawn(struct image *m, const struct disk_open *o, char *const argv[],
		 int listener)
{
	char program[PATH_MAX];
	char pid_variable[] = "LISTEN_PID=0000000000";
	struct launch l = {
		.program = program,
		.argv = argv,
		.pid_text = pid_variable + sizeof("LISTEN_PID=") - 1,
		.listener = listener,
		.said = m->said,
		.parent = getpid(),
	};

	if (find_program(program) < 0)
		return fail(-ENOENT,
			    "disk %s: %s needs qemu-nbd, which is not "
			    "installed (Debian's package is qemu-utils)",
			    o->name, o->source);
	l.env = make_env(pid_variable);
	if (!l.env)
		return -ENOMEM;
	m->pid = fork();
	if (m->pid == 0)
		child(&l);
	free(l.env);
	if (m->pid < 0) {
		m->pid = 0;
		return fail(-errno, "disk %s: cannot start qemu-nbd: %s",
			    o->name, strerror(errno));
	}
	return 0;
}

/* The last line that qemu-nbd printed, without its name in front. */
static void last_words(const struct image *m, struct buf *out)
{
	char text[SAID_MAX + 1], *line, *end;
	struct stat st;
	off_t off = 0;
	ssize_t n;

	if (m->said < 0 || fstat(m->said, &st) < 0)
		return;
	if (st.st_size > SAID_MAX)
		off = st.st_size - SAID_MAX;
	n = pread(m->said, text, SAID_MAX, off);
	while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
		n--;
	if (n <= 0)
		return;
	text[n] = '\0';
	line = strrchr(text, '\n');
	line = line ? line + 1 : text;
	end = strstr(line, "qemu-nbd: ");
	line = end ? end + strlen("qemu-nbd: ") : line;
	buf_put(out, ": ", 2);
	text_put_plain(out, line, strlen(line));
}

/* A connection failed: what became of qemu-nbd, as far as one knows. */
static void explain(struct image *m, struct buf *out)
{
	struct pollfd pfd = { .fd = -1, .events = POLLIN };
	int status;

	if (!m->pid)
		return;
	/* The kernel closes a process's sockets before it is seen to end. */
	pfd.fd = pidfd_open(m->pid, 0);
	if (pfd.fd >= 0) {
		(void)poll(&pfd, 1, END_MS);
		close(pfd.fd);
	}
	if (waitpid(m->pid, &status, WNOHANG) != m->pid) {
		buf_printf(out, "qemu-nbd does not answer");
	} else {
		m->pid = 0;
		if (WIFSIGNALED(status))
			buf_printf(out, "qemu-nbd was killed by signal %d",
				   WTERMSIG(status));
		else if (WEXITSTATUS(status) == 127)
			buf_printf(out, "qemu-nbd could not be started");
		else
			buf_printf(out, "qemu-nbd gave up");
	}
	last_words(m, out);
}

/* Ask it to close the image, and wait a while. */
static void ask_to_end(struct image *m)
{
	struct pollfd pfd = { .fd = -1, .events = POLLIN };

	if (kill(m->pid, SIGTERM) < 0)
		return;
	pfd.fd = pidfd_open(m->pid, 0);
	if (pfd.fd < 0)
		return;
	(void)poll(&pfd, 1, CLOSE_MS);
	close(pfd.fd);
}

static void end_child(struct image *m)
{
	if (!m->pid)
		return;
	/* What has an image open for reading has nothing to finish. */
	if (m->writable)
		ask_to_end(m);
	(void)kill(m->pid, SIGKILL);
	while (waitpid(m->pid, NULL, 0) < 0 && errno == EINTR)
		;
	m->pid = 0;
}

/* ---- the source ---- */

static int note(struct image *m, int r)
{
	if (r < 0 && r != -EINTR)
		atomic_store(&m->failed, true);
	return r;
}

static int image_extent(struct disk_source *s, uint64_t off,
			struct disk_extent *out)
{
	return note(image_of(s), disk_extent(image_of(s)->nbd, off, out));
}

static int image_read(struct disk_source *s, uint64_t off, void *out,
		      size_t len)
{
	return note(image_of(s), disk_read(image_of(s)->nbd, off, out, len));
}

static int image_data(struct disk_source *s, uint64_t off, uint64_t end,
		      uint64_t *start_out, uint64_t *end_out)
{
	struct disk_source *n = image_of(s)->nbd;

	return note(image_of(s), n->ops->data(n, off, end, start_out, end_out));
}

static int image_write(struct disk_source *s, uint64_t off, const void *data,
		       size_t len)
{
	struct disk_source *n = image_of(s)->nbd;

	return note(image_of(s), n->ops->write(n, off, data, len));
}

static int image_zero(struct disk_source *s, uint64_t off, uint64_t len)
{
	struct disk_source *n = image_of(s)->nbd;

	return note(image_of(s), n->ops->zero(n, off, len));
}

static int image_flush(struct disk_source *s)
{
	struct disk_source *n = image_of(s)->nbd;

	return note(image_of(s), n->ops->flush(n));
}

static void image_close(struct disk_source *s)
{
	struct image *m = image_of(s);

	disk_close(m->nbd);
	if (atomic_load(&m->failed) && m->pid) {
		AUTO_BUF struct buf words = BUF_INIT;

		explain(m, &words);
		if (m->pid == 0) /* else it is well, its image is not */
			(void)fail(-EIO, "disk %s: %.*s", s->name,
				   (int)words.len, (const char *)words.data);
	}
	end_child(m);
	if (m->dir[0]) {
		(void)unlink(m->socket);
		(void)rmdir(m->dir);
	}
	if (m->said >= 0)
		close(m->said);
	free(s->source);
	free(m);
}

static const struct disk_ops image_ops = {
	.extent = image_extent,
	.read = image_read,
	.close = image_close,
	.data = image_data,
	.write = image_write,
	.zero = image_zero,
	.flush = image_flush,
};

/* ---- opening ---- */

static int make_listener(struct image *m, const struct disk_open *o, int *out)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *base = getenv("TMPDIR");
	int fd;

	/* A socket's name has little room. */
	if (!base || base[0] != '/' || strlen(base) > 70)
		base = "/tmp";
	snprintf(m->dir, sizeof(m->dir), "%s/vmbackup-XXXXXX", base);
	if (!mkdtemp(m->dir)) {
		m->dir[0] = '\0';
		return fail(-errno,
			    "disk %s: cannot make a directory in %s: "
			    "%s",
			    o->name, base, strerror(errno));
	}
	snprintf(m->socket, sizeof(m->socket), "%s/nbd", m->dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/nbd", m->dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 64) < 0) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return fail(-err, "disk %s: cannot listen in %s: %s", o->name,
			    m->dir, strerror(err));
	}
	*out = fd;
	return 0;
}

/* qemu's own syntax: a comma in a name is written twice. */
static int image_opts(const char *path, const char *format, struct buf *out)
{
	AUTO_FREE char *whole = realpath(path, NULL);
	struct stat st;
	const char *p;

	if (!whole || stat(whole, &st) < 0)
		return -errno;
	buf_printf(out, "driver=%s,file.driver=%s,file.filename=", format,
		   S_ISBLK(st.st_mode) ? "host_device" : "file");
	for (p = whole; *p; p++) {
		if (*p == ',')
			buf_put_u8(out, ',');
		buf_put_u8(out, (uint8_t)*p);
	}
	buf_put_u8(out, 0);
	return buf_error(out);
}

static int serve(struct image *m, const struct disk_open *o, const char *opts,
		 const char *format)
{
	AUTO_CLOSE int listener = -1;
	char shared[32];
	const char *argv[16] = { "qemu-nbd", "--persistent", "--shared",
				 shared };
	size_t n = 4;
	int r;

	snprintf(shared, sizeof(shared), "%u", MIN(o->threads + 2, 32u));
	if (o->writable) {
		argv[n++] = "--discard=unmap";
		argv[n++] = "--detect-zeroes=off";
	} else {
		argv[n++] = "--read-only";
	}
	if (o->bitmap) {
		argv[n++] = "--bitmap";
		argv[n++] = o->bitmap;
	}
	argv[n++] = "--image-opts";
	argv[n++] = "--";
	argv[n] = opts;
	m->said = memfd_create("qemu-nbd", MFD_CLOEXEC);
	if (m->said < 0)
		return fail(-errno, "disk %s: memfd_create: %s", o->name,
			    strerror(errno));
	r = make_listener(m, o, &listener);
	if (r == 0)
		r = spawn(m, o, (char *const *)argv, listener);
	/* Ours closed, the socket ends with qemu-nbd. */
	attrs_close_fd(&listener);
	listener = -1;
	if (r == 0)
		r = disk_nbd_open_unix(o, m->socket, format, &m->nbd);
	return r;
}

/* @words gets the reason where it is qemu-nbd's: then -ECONNREFUSED. */
static int open_image(const struct disk_open *o, const char *opts,
		      const char *format, struct buf *words,
		      struct disk_source **out)
{
	struct image *m = calloc(1, sizeof(*m));
	int r;

	*out = NULL;
	if (!m)
		return -ENOMEM;
	m->s.ops = &image_ops;
	m->s.name = o->name;
	m->said = -1;
	m->writable = o->writable;
	r = serve(m, o, opts, format);
	if (r == -ECONNREFUSED)
		explain(m, words);
	if (r < 0) {
		image_close(&m->s);
		return r;
	}
	m->s.source = strdup(m->nbd->source);
	m->s.format = m->nbd->format;
	m->s.size = m->nbd->size;
	m->s.sector = m->nbd->sector;
	m->s.granule = m->nbd->granule;
	m->s.has_bitmap = m->nbd->has_bitmap;
	if (!m->s.source) {
		image_close(&m->s);
		return -ENOMEM;
	}
	*out = &m->s;
	return 0;
}

int disk_image_open(const struct disk_open *o, const char *path,
		    const char *format, struct disk_source **out)
{
	AUTO_BUF struct buf opts = BUF_INIT, words = BUF_INIT;
	struct disk_open plain = *o;
	int r = image_opts(path, format, &opts);

	*out = NULL;
	if (r < 0)
		return fail(r, "disk %s: cannot open %s: %s", o->name, path,
			    strerror(-r));
	plain.source = path;
	r = open_image(&plain, (char *)opts.data, format, &words, out);
	if (r == -ECONNREFUSED && o->bitmap) {
		log_warn("disk %s: %s cannot be opened with its bitmap \"%s\""
			 " (%.*s): all of it is read",
			 o->name, path, o->bitmap, (int)words.len,
			 (const char *)words.data);
		buf_clear(&words);
		plain.bitmap = NULL;
		r = open_image(&plain, (char *)opts.data, format, &words, out);
	}
	if (r == -ECONNREFUSED)
		r = fail(-EIO, "disk %s: cannot %s the image %s: %.*s", o->name,
			 o->writable ? "open" : "read", path, (int)words.len,
			 (const char *)words.data);
	return r;
}
