/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An image and every file that it needs, opened and checked before qemu is
 * started.
 *
 * What an image says of other files was written by somebody: by the host's
 * administrator, or by a guest that was once given the image as a raw disk. So
 * a file that is named is only opened where it lies in the image's own
 * directory or in a place that the caller allows. qemu gets descriptors, not
 * names: the whole chain is spelt out for it, and it looks for nothing itself.
 */
#ifndef SRC_DISK_CHAIN_H
#define SRC_DISK_CHAIN_H

#include "src/disk/format.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define IMAGE_CHAIN_MAX 64 /* files, all in all */
#define IMAGE_KEY_OBJECT                                                       \
	"key0" /* what qemu is told that the secret is called */

/* One file of it. */
struct image_file {
	int fd; /* owned; above the numbers that qemu uses for itself */
	char *path; /* as the caller or an image named it; owned */
	const struct image_format *format;
	const char *encryption; /* "luks" or "aes"; NULL: none */
	bool is_device;
	bool by_name; /* qemu opens this file's extents by their names */
	int backing, data; /* which of the files; -1: none */
};

/* What the caller lets an image refer to. */
struct image_policy {
	const char *disk; /* the disk's name, for messages */
	const char *const *allowed; /* files and directories; --allow-backing */
	size_t nallowed;
	const char
		*key; /* a file with the secret of encrypted images, or NULL */
	const volatile bool *stop; /* ends the wait for that; may be NULL */
};

struct image_chain {
	struct image_file files[IMAGE_CHAIN_MAX]; /* the image is the first */
	size_t n;
	int key; /* an open file, owned; -1: none */
	bool by_name; /* of one of the files */
};

/* The first and last bytes of a file. Return 0 or a negative errno, silent.
 * @buffer has IMAGE_HEAD_LEN + IMAGE_TAIL_LEN bytes, which @out points into. */
MUST_CHECK int image_bytes_read(int fd, uint8_t *buffer,
				struct image_bytes *out);

/*
 * Open what the image at @path needs. @fd is a descriptor of it, which is
 * duplicated. Return 0; -EPERM: a file is named that is not allowed, or a key is
 * needed; -EIO: it is no image of that format; or another negative
 * errno; all said in words. @out is to be closed whatever is returned.
 */
MUST_CHECK int image_chain_open(const struct image_policy *policy, int fd,
				const char *path,
				const struct image_format *format,
				struct image_chain *out);
void image_chain_close(struct image_chain *c);
/*
 * Put what qemu takes instead of the name of file @i of it, with what that lies
 * on, "json:{...}", at the end of @out, with a zero byte. Return 0, -ENOMEM, or -EILSEQ (a name that must be
 * passed on is not UTF-8), said in words.
 */
MUST_CHECK int image_chain_describe(const struct image_chain *c, int i,
				    const char *disk, struct buf *out);

#endif
