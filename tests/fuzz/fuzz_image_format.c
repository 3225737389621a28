/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an image file looks like, and which files its header names. */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "src/disk/format.h"
#include "store/base/attrs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static int check_name(void *arg, enum image_role role, const char *name,
		      const char *driver)
{
	unsigned int *n = arg;

	/* Each byte of a name is looked at. */
	if (strlen(name) == 0 || strlen(name) > 1023 || strlen(driver) > 15 ||
	    role > IMAGE_EXTENT)
		abort();
	return ++*n > 100 ? 1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const char *const words[] = { "raw", "qcow2", "qcow", "qed",
					     "vhd", "vhdx",  "vmdk", "vdi" };
	struct image_bytes b = {
		.head = data,
		.head_len = MIN(len, (size_t)IMAGE_HEAD_LEN),
		.size = len,
	};
	const struct image_format *seen;
	size_t i;

	if (len > IMAGE_TAIL_LEN) {
		b.tail = data + len - IMAGE_TAIL_LEN;
		b.tail_len = IMAGE_TAIL_LEN;
	}
	seen = image_format_recognise(&b);
	(void)image_format_foreign(&b);
	for (i = 0; i < ARRAY_SIZE(words); i++) {
		const struct image_format *f =
			image_format_find(words[i], strlen(words[i]));
		const char *why = "";
		unsigned int n = 0;
		int r = image_format_names(f, &b, check_name, &n, &why);

		(void)image_format_encryption(f, &b);
		(void)image_format_end(f, &b);
		(void)image_format_is_descriptor(f, &b);
		/* What is taken for an image unasked names no file. */
		if (image_format_is_plain(f, &b) && (seen != f || n > 0))
			abort();
		if (r < 0 && !*why)
			abort();
	}
	return 0;
}
