/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Is an image whole? qemu reads zeros where an image refers to what lies behind
 * the end of its file, as after a copy that broke off. Its own check of an image
 * tells, for the formats that have one; a VDI says in its header how long it is.
 */
#include "config.h"

#include "src/disk/nbd_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/disk/chain.h"
#include "src/disk/format.h"
#include "src/disk/qemu.h"
#include "store/base/buf.h"
#include "store/base/log.h"

/* It prints a line for each fault: what has so many needs no more. */
#define OUTPUT_MAX (1u << 20)

/* What qemu-img check exits with. */
enum {
	CHECK_FAILED = 1, /* some formats' way of telling of damage */
	CHECK_CORRUPT = 2,
};

/* Wait for it. Return 1 where the image is damaged, with the reason in @words;
 * 0 or a negative errno. */
static int judge(struct qemu *q, const volatile bool *stop, struct buf *words)
{
	int r = qemu_wait_code(q, stop);

	if (r == -EINTR)
		return r;
	/* Killed: it had too much to say. */
	if (r >= 0 && r != CHECK_FAILED && r != CHECK_CORRUPT)
		return 0;
	(void)qemu_explain(q, words);
	return 1;
}

static int run_check(const struct disk_device_options *o,
		     const struct image_chain *c, const char *image,
		     struct buf *words)
{
	struct confine_file files[IMAGE_CHAIN_MAX + 1];
	char key[64];
	const char *argv[8] = { "qemu-img", "check", "-q" };
	struct qemu_options options = {
		.program = "qemu-img",
		.argv = (char *const *)argv,
		.files = files,
		.nfiles = c->n,
		.listener = -1,
		.output_max = OUTPUT_MAX,
	};
	struct qemu *q;
	size_t i;
	int n = 3, r;

	for (i = 0; i < c->n; i++)
		files[i] = (struct confine_file){ .fd = c->files[i].fd };
	if (c->key >= 0) {
		files[options.nfiles++] = (struct confine_file){ .fd = c->key };
		snprintf(key, sizeof(key),
			 "secret,id=" IMAGE_KEY_OBJECT ",file=/proc/self/fd/%d",
			 c->key);
		argv[n++] = "--object";
		argv[n++] = key;
	}
	argv[n++] = "--";
	argv[n] = image;
	r = qemu_start(&options, &q);
	/* What cannot be started here cannot read the image either. */
	if (r < 0)
		return 0;
	r = judge(q, o->stop, words);
	qemu_end(q, false);
	return r;
}

/* As its header has it. */
static int is_cut(const struct image_file *f, struct buf *words)
{
	AUTO_FREE uint8_t *buffer = malloc(IMAGE_HEAD_LEN + IMAGE_TAIL_LEN);
	struct image_bytes b;
	uint64_t end;
	int r = buffer ? image_bytes_read(f->fd, buffer, &b) : -ENOMEM;

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	end = image_format_end(f->format, &b);
	if (end <= b.size)
		return 0;
	buf_printf(words,
		   "the file has %llu bytes, and by its header at least %llu",
		   (unsigned long long)b.size, (unsigned long long)end);
	return 1;
}

static int check_file(const struct disk_device_options *o,
		      const struct image_chain *c, int i)
{
	AUTO_BUF struct buf image = BUF_INIT, words = BUF_INIT;
	const struct image_file *f = &c->files[i];
	int r = is_cut(f, &words);

	if (r == 0)
		r = image_chain_describe(c, i, o->name, &image);
	if (r == 0)
		r = run_check(o, c, (char *)image.data, &words);
	if (r == 1)
		log_warn("disk %s: %s is damaged, and what is missing of it"
			 " reads as zeros (qemu-img check may know more): %.*s",
			 o->name, f->path, (int)words.len,
			 (const char *)words.data);
	return r;
}

int image_check(const struct disk_device_options *o,
		const struct image_chain *c, bool *damaged_out)
{
	int i, r = 0;

	*damaged_out = false;
	for (i = 0; r >= 0 && i >= 0; i = c->files[i].backing) {
		if (c->files[i].format == image_format_raw())
			continue;
		r = check_file(o, c, i);
		*damaged_out |= r == 1;
	}
	return r < 0 ? r : 0;
}
