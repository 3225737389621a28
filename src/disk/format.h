/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The formats of disk images: the words that name them, how a file of each
 * looks, and which other files an image's header names.
 *
 * Everything here is a pure function of bytes that a guest may have written.
 * What follows from them is the caller's decision: see source.h.
 */
#ifndef SRC_DISK_FORMAT_H
#define SRC_DISK_FORMAT_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

/* How much of a file's beginning and end the functions below want to see. */
#define IMAGE_HEAD_LEN (64u << 10)
#define IMAGE_TAIL_LEN 512u

struct image_format {
	const char *word; /* what users type in front of a path */
	const char *driver; /* what qemu and our points call it */
	const char *title; /* for sentences: "a VHD image" */
};

/* A file's first and last bytes. */
struct image_bytes {
	const uint8_t *head;
	size_t head_len; /* IMAGE_HEAD_LEN, or less where the file is shorter */
	const uint8_t *tail;
	size_t tail_len; /* IMAGE_TAIL_LEN, or 0 where the file is shorter */
	uint64_t size; /* of the file */
};

/* What another file is for. */
enum image_role {
	IMAGE_BACKING, /* what the image itself does not hold */
	IMAGE_DATA, /* the image's clusters: qcow2's external data file */
	IMAGE_EXTENT, /* a piece of the disk: what a VMDK descriptor lists */
};

/* Called for each file that an image names; the strings live until it returns.
 * @driver is what the image says of that file's format, or "". Whatever it
 * returns but 0 ends the search and becomes its result. */
typedef int image_name_fn(void *arg, enum image_role role, const char *name,
			  const char *driver);

/* The raw format. It has no header, so that nothing is recognised as raw. */
const struct image_format *image_format_raw(void);
/* The format that the @len bytes at @word name, or NULL. Aliases count. */
const struct image_format *image_format_find(const char *word, size_t len);
/* What the bytes look like: NULL where they look like no image. */
const struct image_format *image_format_recognise(const struct image_bytes *b);
/* Does it look like something that holds a disk or files in a form that nobody
 * here can read, as forensic images and archives do? Return what, for sentences:
 * "a WIM archive"; or NULL. */
const char *image_format_foreign(const struct image_bytes *b);
/* Is it a whole disk by itself? Only qcow2 without a backing file or an external
 * data file is known to be. */
bool image_format_is_plain(const struct image_format *f,
			   const struct image_bytes *b);
/*
 * Is it safe to take a file for what it looks like, though nobody said its
 * format? A guest may have written all of its bytes, but not its name: it must
 * be plain and end in ".qcow2" or ".qcow".
 */
bool image_format_is_certain(const struct image_format *f,
			     const struct image_bytes *b, const char *path);
/* How long the file must be at least, as far as the header says; 0: it does not
 * say. */
uint64_t image_format_end(const struct image_format *f,
			  const struct image_bytes *b);
/* Is it a text that lists the files which hold the disk? qemu opens those by
 * their names. */
bool image_format_is_descriptor(const struct image_format *f,
				const struct image_bytes *b);
/* Is what it holds encrypted with a key that is not in it? Then what qemu calls
 * the encryption, "luks" or "aes"; else NULL. */
const char *image_format_encryption(const struct image_format *f,
				    const struct image_bytes *b);
/*
 * Call @fn for each file that the image's header names. Return 0, what @fn
 * returned, or -EBADMSG with *@why set to what is wrong, a part of a sentence:
 * it is no such image, its header cannot be followed, or it is of a kind that
 * cannot be read.
 */
MUST_CHECK int image_format_names(const struct image_format *f,
				  const struct image_bytes *b,
				  image_name_fn *fn, void *arg,
				  const char **why);

#endif
