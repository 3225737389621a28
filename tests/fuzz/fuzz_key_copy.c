/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What "key import" takes: no name leads out of the vault, no object is too
 * large, and none is handed out of a document that is refused. */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "src/keys/key_copy.h"
#include "store/key/key.h"
#include "tests/fuzz/quiet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(bool good)
{
	if (!good)
		abort();
}

static int on_object(void *arg, const char *name, const uint8_t *data,
		     size_t len)
{
	unsigned int *sum = arg;
	size_t i;

	check(strcmp(name, "config") == 0 ||
	      (strncmp(name, "key/", 4) == 0 && strlen(name) == 36 &&
	       !strchr(name + 4, '/') && !strchr(name, '.')));
	check(len <= KEY_SLOT_MAX);
	/* Every byte is there to be read. */
	for (i = 0; i < len; i++)
		*sum += data[i];
	*sum |= 1;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	json_t *document = json_loadb((const char *)data, len, 0, NULL);
	unsigned int sum = 0;

	fuzz_quiet();
	if (key_copy_read(document, "fuzz", on_object, &sum) < 0)
		check(sum == 0);
	json_decref(document);
	return 0;
}
