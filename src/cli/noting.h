/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who notes something in a vault. */
#ifndef SRC_CLI_NOTING_H
#define SRC_CLI_NOTING_H

#include "store/base/attrs.h"

#define NOTING_BY_MAX 320

/* Put "user@host" of this process into @out, and return it. */
const char *noting_by(char out[NOTING_BY_MAX]);

#endif
