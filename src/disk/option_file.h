/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files that options name and that may be pipes, whose writer may never come:
 * whoever asks the work to stop ends the wait for him.
 */
#ifndef SRC_DISK_OPTION_FILE_H
#define SRC_DISK_OPTION_FILE_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdio.h>

/* Open @path to read, and wait until something can be read of it. @stop may be
 * NULL. Return 0, -EINTR (it became true) or another negative errno, silently.
 * The caller closes *out. */
MUST_CHECK int option_file_open(const char *path, const volatile bool *stop,
				int *out);
/* The same as a stream, each read of which fails with EINTR once @stop is true.
 * The caller closes it with fclose(). */
MUST_CHECK int option_file_stream(const char *path, const volatile bool *stop,
				  FILE **out);

#endif
