/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The plugin lies beside the program in a build, and in PLUGIN_DIR once it is
 * installed. */
#include "config.h"

#include "src/cmd/nbd_plugin.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/base/log.h"

#define PLUGIN "nbdkit-vmbackup-plugin.so"

int nbd_plugin_path(char **out)
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	*out = NULL;
	exe[n > 0 ? n : 0] = '\0';
	slash = strrchr(exe, '/');
	if (slash) {
		*slash = '\0';
		if (asprintf(out, "%s/" PLUGIN, exe) < 0) {
			*out = NULL;
			return -ENOMEM;
		}
		if (access(*out, R_OK) == 0)
			return 0;
		free(*out);
		*out = NULL;
	}
	if (access(PLUGIN_DIR "/" PLUGIN, R_OK) < 0)
		return fail(-ENOENT,
			    PLUGIN_DIR "/" PLUGIN ": %s: install"
				       " vmbackupfs whole (make install)",
			    strerror(errno));
	*out = strdup(PLUGIN_DIR "/" PLUGIN);
	return *out ? 0 : -ENOMEM;
}
