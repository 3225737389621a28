/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An index object's plaintext, and the directories in it. */
#include "config.h"

#include <stdlib.h>

#include "store/index.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int on_pack(void *arg, const struct index_pack *p)
{
	struct pack_dir dir;

	(void)arg;
	if (format_get_dir(p->dir, p->dir_len, p->name, false, &dir) == 0)
		format_release_dir(&dir);
	return 0;
}

static int on_gone(void *arg, const char *name)
{
	(void)arg;
	if (!index_name_ok(name))
		abort();
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	fuzz_quiet();
	(void)!index_decode(data, len, "index/fuzz", on_pack, on_gone, NULL);
	return 0;
}
