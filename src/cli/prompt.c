/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/prompt.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "src/cli/credentials.h"
#include "src/cli/signals.h"
#include "store/base/log.h"
#include "store/base/secret.h"

static void say(int fd, const char *text)
{
	ssize_t n = write(fd, text, strlen(text));

	(void)n; /* a terminal that takes no prompt still takes the answer */
}

/* Read a line. Signals are let in only while it waits, so that one that asks
 * to stop cannot be missed. Return its length, or a negative errno. */
static ssize_t read_line(int fd, const sigset_t *open_mask, uint8_t *out,
			 size_t max)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;

	for (;;) {
		ssize_t n;

		if (*signals_stop())
			return -EINTR;
		if (ppoll(&p, 1, NULL, open_mask) < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		n = read(fd, out + len, max - len);
		if (n < 0)
			return -errno;
		if (n == 0)
			return (ssize_t)len;
		len += (size_t)n;
		if (out[len - 1] == '\n')
			return (ssize_t)len - 1;
		if (len == max)
			return fail(-EINVAL, "the password is too long");
	}
}

static int ask(int fd, const char *prompt, struct secret **out)
{
	struct secret *line AUTO_SECRET = NULL;
	struct termios before, quiet;
	sigset_t block, mask;
	ssize_t n;
	bool was;

	line = secret_new(CREDENTIALS_PASSWORD_MAX + 1);
	if (!line)
		return -ENOMEM;
	if (tcgetattr(fd, &before) < 0)
		return -ENOTTY;
	sigemptyset(&block);
	sigaddset(&block, SIGINT);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &block, &mask);
	was = signals_watch(true);
	quiet = before;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	tcsetattr(fd, TCSAFLUSH, &quiet);
	say(fd, prompt);
	n = read_line(fd, &mask, line->data, line->len);
	tcsetattr(fd, TCSAFLUSH, &before);
	say(fd, "\n");
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	signals_watch(was); /* ends the program where it was asked to stop */
	if (n < 0)
		return (int)n;
	if (n == 0)
		return fail(-EINVAL, "the password is empty");
	*out = secret_new((size_t)n);
	if (!*out)
		return -ENOMEM;
	memcpy((*out)->data, line->data, (size_t)n);
	return 0;
}

int prompt_secret(const char *prompt, struct secret **out)
{
	int fd AUTO_CLOSE = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);

	*out = NULL;
	if (fd < 0)
		return -ENOTTY;
	return ask(fd, prompt, out);
}
