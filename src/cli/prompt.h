/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef SRC_CLI_PROMPT_H
#define SRC_CLI_PROMPT_H

#include "store/base/attrs.h"

struct secret;

/*
 * Ask for a password on the controlling terminal, without echo.
 * Return 0, -ENOTTY (there is no terminal; silent), -EINVAL (empty; said),
 * -EINTR (Ctrl-C, or a signal; the terminal is as before), -ENOMEM, or -EIO.
 */
MUST_CHECK int prompt_secret(const char *prompt, struct secret **out);

#endif
