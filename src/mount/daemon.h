/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The mount program, from vault and directory to the end of the mount: what
 * mount.vmbackupfs and "vmbackup mount" share. */
#ifndef SRC_MOUNT_DAEMON_H
#define SRC_MOUNT_DAEMON_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct context;
struct mount_options;

struct mounting {
	struct context *ctx; /* vault, credentials, cache */
	const char *dir;
	const struct mount_options *options;
	bool foreground;
	/* Called once the mount answers, where stdout still is the user's. */
	void (*ready)(void *arg);
	void *arg;
};

/*
 * Mount. In the background: return when the mount answers; a daemon of its own
 * serves it. In the foreground: return when it has ended.
 * Return 0 or a negative errno said in words, as context_open_vault() and
 * mount_start(); -EINVAL also where vault and mountpoint contain one another.
 */
MUST_CHECK int daemon_run(const struct mounting *m);

/* The absolute path of a mountpoint, even where a dead mount is on it.
 * malloc'd. Return 0 or a negative errno, said in words. */
MUST_CHECK int daemon_path(const char *dir, char **out);

#endif
