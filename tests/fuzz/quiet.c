/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/fuzz/quiet.h"

#include "store/base/log.h"

static void say_nothing(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

void fuzz_quiet(void)
{
	log_set(LOG_LEVEL_ERROR, say_nothing, NULL);
}
