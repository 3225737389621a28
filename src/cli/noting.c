/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/noting.h"

#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <unistd.h>

const char *noting_by(char out[NOTING_BY_MAX])
{
	struct passwd *pw = getpwuid(geteuid());
	char host[HOST_NAME_MAX + 1];

	if (gethostname(host, sizeof(host)) < 0)
		host[0] = '\0';
	host[sizeof(host) - 1] = '\0';
	snprintf(out, NOTING_BY_MAX, "%.200s@%s", pw ? pw->pw_name : "", host);
	return out;
}
