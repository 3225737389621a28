/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/credentials.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/prompt.h"
#include "store/base/log.h"
#include "store/base/secret.h"

/* Read to the end, the first newline (@line), or @max bytes.
 * Return the count or a negative errno. */
static ssize_t read_some(int fd, bool line, uint8_t *out, size_t max)
{
	size_t len = 0;

	while (len < max) {
		ssize_t n = read(fd, out + len, max - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		len += (size_t)n;
		if (line && memchr(out + len - n, '\n', (size_t)n))
			break;
	}
	return (ssize_t)len;
}

static int secret_copy(const uint8_t *data, size_t len, struct secret **out)
{
	struct secret *s = secret_new(len);

	if (!s)
		return -ENOMEM;
	memcpy(s->data, data, len);
	*out = s;
	return 0;
}

/* The first line of @len bytes, as a password. @what names where it is from. */
static int take_password(const uint8_t *data, size_t len, const char *what,
			 struct secret **out)
{
	const uint8_t *end = memchr(data, '\n', len);

	if (end)
		len = (size_t)(end - data);
	if (len > 0 && data[len - 1] == '\r')
		len--;
	if (len == 0)
		return fail(-EINVAL, "%s: the password is empty", what);
	if (len > CREDENTIALS_PASSWORD_MAX)
		return fail(-EINVAL, "%s: the password is longer than %d bytes",
			    what, CREDENTIALS_PASSWORD_MAX);
	return secret_copy(data, len, out);
}

/* A password from an open descriptor. */
static int read_password(int fd, const char *what, struct secret **out)
{
	struct secret *buf AUTO_SECRET = NULL;
	ssize_t n;

	/* Room for a CR and a newline behind the longest. */
	buf = secret_new(CREDENTIALS_PASSWORD_MAX + 2);
	if (!buf)
		return -ENOMEM;
	n = read_some(fd, true, buf->data, buf->len);
	if (n < 0)
		return fail((int)n, "%s: cannot read the password: %s", what,
			    strerror((int)-n));
	return take_password(buf->data, (size_t)n, what, out);
}

static void warn_if_open(int fd, const char *path)
{
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (st.st_mode & S_IROTH))
		log_warn("%s can be read by everybody on this machine;"
			 " run: chmod 600 %s",
			 path, path);
}

/* "-" is standard input, which stays open. */
static int open_file(const char *path)
{
	int fd;

	if (!strcmp(path, "-"))
		return STDIN_FILENO;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail(-errno, "%s: cannot open: %s", path,
			    strerror(errno));
	warn_if_open(fd, path);
	return fd;
}

static int password_from_file(const char *path, struct secret **out)
{
	int fd = open_file(path), r;

	if (fd < 0)
		return fd;
	r = read_password(fd, path, out);
	if (fd != STDIN_FILENO)
		close(fd);
	return r;
}

static int password_from_command(const char *command, struct secret **out)
{
	FILE *f = popen(command, "re");
	int r, status;

	if (!f)
		return fail(-errno, "password command: %s", strerror(errno));
	r = read_password(fileno(f), "password command", out);
	status = pclose(f);
	if (status == 0 || status == -1)
		return r;
	/* What it printed before it failed is not to be trusted. */
	if (r == 0)
		secret_free(*out);
	*out = NULL;
	if (WIFEXITED(status))
		return fail(-ENOKEY,
			    "password command \"%s\" failed with"
			    " status %d",
			    command, WEXITSTATUS(status));
	/* It may have been told that nobody reads on: that is our doing. */
	return fail(-ENOKEY, "password command \"%s\" was ended by signal %d",
		    command, WTERMSIG(status));
}

static int password_from_fd(const char *text, struct secret **out)
{
	char *end;
	long fd;
	int r;

	errno = 0;
	fd = strtol(text, &end, 10);
	if (errno || end == text || *end || fd < 0 || fd > INT_MAX)
		return fail(-EINVAL,
			    "VMBACKUP_PASSWORD_FD: \"%s\" is not the"
			    " number of a descriptor",
			    text);
	r = read_password((int)fd, "VMBACKUP_PASSWORD_FD", out);
	if (fd > STDERR_FILENO)
		close((int)fd);
	return r;
}

int credentials_read_file(const char *path, size_t max, struct secret **out)
{
	struct secret *buf AUTO_SECRET = NULL;
	int fd = open_file(path);
	size_t room = max + 1;
	struct stat st;
	ssize_t n;

	*out = NULL;
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		room = (size_t)MIN((uint64_t)st.st_size + 1, (uint64_t)room);
	buf = secret_new(room);
	n = buf ? read_some(fd, false, buf->data, buf->len) : -ENOMEM;
	if (fd != STDIN_FILENO)
		close(fd);
	if (n < 0)
		return fail((int)n, "key file %s: %s", path, strerror((int)-n));
	if ((size_t)n > max)
		return fail(-EFBIG, "key file %s: longer than %zu bytes", path,
			    max);
	return secret_copy(buf->data, (size_t)n, out);
}

int credentials_read_key(const char *path, struct secret **out)
{
	struct secret *buf AUTO_SECRET = NULL;
	int fd = open_file(path);
	ssize_t n;

	*out = NULL;
	if (fd < 0)
		return fd;
	buf = secret_new(CREDENTIALS_KEY_MAX + 1);
	n = buf ? read_some(fd, false, buf->data, buf->len) : -ENOMEM;
	if (fd != STDIN_FILENO)
		close(fd);
	if (n < 0)
		return fail((int)n, "key file %s: %s", path, strerror((int)-n));
	if (n < CREDENTIALS_KEY_MIN || n > (ssize_t)CREDENTIALS_KEY_MAX)
		return fail(-EINVAL,
			    "key file %s: a key file has %d to %u"
			    " bytes",
			    path, CREDENTIALS_KEY_MIN, CREDENTIALS_KEY_MAX);
	return secret_copy(buf->data, (size_t)n, out);
}

/* The value of <prefix><name>, or NULL where it is unset or empty. */
static const char *variable(const struct credential_source *s, const char *name)
{
	char full[64];
	const char *v;

	snprintf(full, sizeof(full), "%s%s", s->env ? s->env : "VMBACKUP_",
		 name);
	v = getenv(full);
	return v && *v ? v : NULL;
}

/* A file of systemd's LoadCredential=. Return 0, 1 (there is none), or the
 * error of reading it. */
static int from_systemd(const struct credential_source *s, struct secret **pass,
			struct secret **key)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[PATH_MAX];

	if (s->env || !dir || !*dir)
		return 1;
	snprintf(path, sizeof(path), "%s/vmbackup.key", dir);
	if (access(path, F_OK) == 0)
		return credentials_read_key(path, key);
	snprintf(path, sizeof(path), "%s/vmbackup.password", dir);
	if (access(path, F_OK) == 0)
		return password_from_file(path, pass);
	return 1;
}

static int from_prompt(const struct credential_source *s, struct secret **out)
{
	const char *prompt = s->prompt ? s->prompt : "password for the vault: ";
	struct secret *again AUTO_SECRET = NULL;
	int r = s->no_prompt ? -ENOTTY : prompt_secret(prompt, out);

	if (r == -ENOTTY)
		return fail(-ENOKEY, "no %spassword or key is at hand: %s",
			    s->remedy && s->confirm ? "new " : "",
			    s->remedy ? s->remedy
				      : "give --password-file,"
					" --password-command or --key-file, or"
					" set VMBACKUP_PASSWORD_FILE");
	if (r < 0 || !s->confirm)
		return r;
	r = prompt_secret("the same again: ", &again);
	if (r == 0 && ((*out)->len != again->len ||
		       memcmp((*out)->data, again->data, again->len) != 0))
		r = fail(-EINVAL, "the two passwords differ");
	if (r < 0) {
		secret_free(*out);
		*out = NULL;
	}
	return r;
}

/* As from_systemd(). */
static int from_environment(const struct credential_source *s,
			    struct secret **pass, struct secret **key)
{
	const char *v;

	v = variable(s, "KEY_FILE");
	if (v)
		return credentials_read_key(v, key);
	v = variable(s, "PASSWORD_FD");
	if (v)
		return password_from_fd(v, pass);
	v = variable(s, "PASSWORD_FILE");
	if (v)
		return password_from_file(v, pass);
	v = variable(s, "PASSWORD_COMMAND");
	if (v)
		return password_from_command(v, pass);
	v = variable(s, "PASSWORD");
	if (v)
		return take_password((const uint8_t *)v, strlen(v),
				     "VMBACKUP_PASSWORD", pass);
	return from_systemd(s, pass, key);
}

int credentials_load(const struct credential_source *s, struct credential *out)
{
	struct secret *pass = NULL, *key = NULL;
	int r;

	memset(out, 0, sizeof(*out));
	if (s->key_file) {
		r = credentials_read_key(s->key_file, &key);
	} else if (s->password_file) {
		r = password_from_file(s->password_file, &pass);
	} else if (s->password_command) {
		r = password_from_command(s->password_command, &pass);
	} else {
		r = from_environment(s, &pass, &key);
		if (r == 1)
			r = from_prompt(s, &pass);
	}
	out->passphrase = pass;
	out->keyfile = key;
	return r;
}

void credentials_release(struct credential *c)
{
	/* They are ours: credentials_load() made them. */
	secret_free((struct secret *)c->passphrase);
	secret_free((struct secret *)c->keyfile);
	memset(c, 0, sizeof(*c));
}

int credentials_hand_over(const struct credential *c,
			  char path[CREDENTIALS_PATH_LEN])
{
	const struct secret *s = c->keyfile ? c->keyfile : c->passphrase;
	bool line = !c->keyfile;
	int fds[2], flags, r = 0;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return fail(-errno, "pipe: %s", strerror(errno));
	/* It fits (CREDENTIALS_KEY_MAX), or the kernel gives us no room. */
	if (write(fds[1], s->data, s->len) != (ssize_t)s->len ||
	    (line && write(fds[1], "\n", 1) != 1))
		r = fail(-ENOBUFS, "the key does not fit into a pipe");
	close(fds[1]);
	flags = fcntl(fds[0], F_GETFL);
	if (r == 0 &&
	    (flags < 0 || fcntl(fds[0], F_SETFL, flags & ~O_NONBLOCK) < 0 ||
	     fcntl(fds[0], F_SETFD, 0) < 0))
		r = fail(-errno, "pipe: %s", strerror(errno));
	if (r < 0)
		close(fds[0]);
	else
		snprintf(path, CREDENTIALS_PATH_LEN, "/dev/fd/%d", fds[0]);
	return r;
}
