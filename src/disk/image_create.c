/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * New image files: the file is made here, qemu-img makes an image of it. It gets
 * its name when it is one, so that what has the name can be gone on with.
 */
#include "config.h"

#include "src/disk/target.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/disk/format.h"
#include "src/disk/qemu.h"
#include "store/base/log.h"
#include "store/base/seam.h"

static int run_qemu_img(int fd, const struct image_format *format,
			uint64_t size, struct buf *words)
{
	/* The size as it is, not as the geometry of a VHD would have it. */
	const char *opts = strcmp(format->driver, "vpc") == 0
				   ? "subformat=dynamic,force_size=on"
				   : "compat=1.1";
	char bytes[24], name[32];
	const char *argv[] = { "qemu-img",     "create", "-q", "-f",
			       format->driver, "-o",	 opts, "--",
			       name,	       bytes,	 NULL };
	struct confine_file file = { .fd = fd, .writable = true };
	struct qemu_options o = {
		.program = "qemu-img",
		.argv = (char *const *)argv,
		.files = &file,
		.nfiles = 1,
		.listener = -1,
	};
	struct qemu *q;
	int r;

	snprintf(bytes, sizeof(bytes), "%" PRIu64, size);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	r = qemu_start(&o, &q);
	if (r < 0)
		return r;
	r = qemu_wait(q);
	if (r < 0)
		(void)qemu_explain(q, words);
	qemu_end(q, false);
	return r;
}

/* What a run that was killed has left goes, unless that run still goes on. It is
 * not written to: it may be somebody else's, or another name of something. */
static int remove_draft(struct seam *s, const char *draft)
{
	AUTO_CLOSE int fd =
		open(draft, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return fail(-EEXIST, "%s: it is no file: remove it", draft);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return fail(-EBUSY, "%s: another restore is writing it", draft);
	r = s->ops->unlinkat(s, AT_FDCWD, draft, 0);
	return r < 0 ? fail(r, "%s: cannot be removed: %s", draft, strerror(-r))
		     : 0;
}

/* A file for qemu-img to work in. */
static int open_draft(struct seam *s, const char *draft, int *out)
{
	int flags = O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC;
	int r, fd = s->ops->openat(s, AT_FDCWD, draft, flags, 0600);

	if (fd == -EEXIST) {
		r = remove_draft(s, draft);
		if (r < 0)
			return r;
		fd = s->ops->openat(s, AT_FDCWD, draft, flags, 0600);
	}
	if (fd < 0)
		return fail(fd, "%s: cannot be made: %s", draft, strerror(-fd));
	*out = fd;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return fail(-EBUSY, "%s: another restore is writing it", draft);
	return 0;
}

static int create(struct seam *s, const char *draft, const char *path,
		  const struct image_format *format, uint64_t size)
{
	AUTO_BUF struct buf words = BUF_INIT;
	int fd = -1, r = open_draft(s, draft, &fd);

	if (r < 0)
		goto out;
	r = run_qemu_img(fd, format, size, &words);
	if (r == -ENOENT)
		r = fail(r,
			 "%s: images need qemu-img and qemu-nbd, which are not"
			 " installed (Debian's package is qemu-utils)",
			 path);
	else if (r < 0)
		r = fail(r, "%s: the image cannot be made: %s%.*s", path,
			 words.len ? "" : strerror(-r), (int)words.len,
			 (const char *)words.data);
	if (r == 0)
		r = s->ops->renameat(s, AT_FDCWD, draft, AT_FDCWD, path);
	if (r < 0)
		(void)s->ops->unlinkat(s, AT_FDCWD, draft, 0);
out:
	if (fd >= 0)
		(void)s->ops->close(s, fd);
	return r;
}

int disk_image_create(struct seam *s, const char *path,
		      const struct image_format *format, uint64_t size)
{
	AUTO_FREE char *draft = NULL;

	if (asprintf(&draft, "%s" DISK_TARGET_DRAFT, path) < 0) {
		draft = NULL;
		return -ENOMEM;
	}
	return create(s, draft, path, format, size);
}
