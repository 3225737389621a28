/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where our plugin for nbdkit is. */
#ifndef SRC_CMD_NBD_PLUGIN_H
#define SRC_CMD_NBD_PLUGIN_H

#include "store/base/attrs.h"

/* Beside the running program (a build tree), else where it was installed;
 * malloc'd. Return 0, -ENOENT (said in words) or -ENOMEM. */
MUST_CHECK int nbd_plugin_path(char **out);

#endif
