/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a session object says of who writes. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/base/log.h"
#include "store/writer/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void quiet(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct session_info s;

	log_set(LOG_LEVEL_ERROR, quiet, NULL);
	if (session_decode(data, len, "fuzz", &s) == 0 &&
	    !memchr(s.host, '\0', sizeof(s.host)))
		abort();
	return 0;
}
