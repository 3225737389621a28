/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/disk/option_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* A signal ends poll(), unless it came just before. */
#define LOOK_MS 200

static int await(int fd, const volatile bool *stop)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do {
		if (stop && *stop)
			return -EINTR;
		n = poll(&p, 1, LOOK_MS);
	} while (n == 0 || (n < 0 && errno == EINTR));
	return n < 0 ? -errno : 0;
}

int option_file_open(const char *path, const volatile bool *stop, int *out)
{
	/* Else it is open() that waits for a pipe's writer. */
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r;

	*out = -1;
	if (fd < 0)
		return -errno;
	r = await(fd, stop);
	if (r < 0)
		return r;
	if (fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	*out = fd;
	fd = -1;
	return 0;
}

struct stream {
	int fd; /* owned */
	const volatile bool *stop; /* borrowed */
};

static ssize_t stream_read(void *cookie, char *out, size_t len)
{
	const struct stream *s = cookie;
	int r = await(s->fd, s->stop);

	if (r < 0) {
		errno = -r;
		return -1;
	}
	return read(s->fd, out, len);
}

static int stream_close(void *cookie)
{
	struct stream *s = cookie;

	close(s->fd);
	free(s);
	return 0;
}

int option_file_stream(const char *path, const volatile bool *stop, FILE **out)
{
	struct stream *s = calloc(1, sizeof(*s));
	int r;

	*out = NULL;
	if (!s)
		return -ENOMEM;
	s->stop = stop;
	r = option_file_open(path, stop, &s->fd);
	if (r == 0) {
		*out = fopencookie(
			s, "r",
			(cookie_io_functions_t){ .read = stream_read,
						 .close = stream_close });
		if (*out)
			return 0;
		close(s->fd);
		r = -ENOMEM;
	}
	free(s);
	return r;
}
