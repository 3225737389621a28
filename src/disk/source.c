/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which kind of source a text names, and what all kinds have in common. */
#include "config.h"

#include "src/disk/source.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/disk/chain.h"
#include "src/disk/format.h"
#include "store/base/log.h"
#include "store/content.h"

/* "qcow2:PATH": the format, and where the path begins; NULL where none is said. */
static const struct image_format *split_format(const char *source,
					       const char **path)
{
	size_t len = strcspn(source, ":/");
	const struct image_format *f = NULL;

	if (source[len] == ':')
		f = image_format_find(source, len);
	*path = f ? source + len + 1 : source;
	return f;
}

/* "nbd://", "nbd+unix://", "nbds://", "nbds+vsock://", ... */
static bool is_nbd(const char *source)
{
	const char *colon = strstr(source, "://");

	return colon && strncmp(source, "nbd", 3) == 0 &&
	       !memchr(source, '/', (size_t)(colon - source));
}

const char *disk_source_path(const char *source)
{
	const char *path;

	(void)split_format(source, &path);
	return path;
}

static int ask(const struct disk_source_options *o, const char *path,
	       const struct image_format *seen, const struct image_bytes *b)
{
	bool chained = strcmp(seen->driver, "qcow2") == 0 &&
		       !image_format_is_plain(seen, b);

	return fail(-EPERM,
		    "disk %s: %s looks like %s%s; a guest can write that into"
		    " its own disk. Where it is one, say --disk %s=%s:%s,"
		    " where it is a raw disk, --disk %s=raw:%s",
		    o->name, path, seen->title,
		    chained ? " that refers to other files" : "", o->name,
		    seen->word, path, o->name, path);
}

/* Nobody said what the regular file is. */
static int recognise(const struct disk_source_options *o, int fd,
		     const char *path, const struct image_format **out)
{
	AUTO_FREE uint8_t *buffer = malloc(IMAGE_HEAD_LEN + IMAGE_TAIL_LEN);
	const struct image_format *seen;
	const char *foreign;
	struct image_bytes b;
	int r = buffer ? image_bytes_read(fd, buffer, &b) : -ENOMEM;

	if (r < 0)
		return fail(r, "disk %s: cannot read %s: %s", o->name, path,
			    strerror(-r));
	seen = image_format_recognise(&b);
	*out = seen ? seen : image_format_raw();
	foreign = seen ? NULL : image_format_foreign(&b);
	if (foreign)
		log_warn("disk %s: %s looks like %s, which cannot be read as"
			 " a disk: it is stored as it is. Where it is a raw"
			 " disk, --disk %s=raw:%s says so",
			 o->name, path, foreign, o->name, path);
	if (!seen || image_format_is_certain(seen, &b, path))
		return 0;
	return ask(o, path, seen, &b);
}

/* O_NONBLOCK: a FIFO shall be refused, not waited for. */
static int open_path(const struct disk_source_options *o, const char *path,
		     struct stat *st, int *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOATIME);

	if (fd < 0 && errno == EPERM)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(-errno, "disk %s: cannot open %s: %s", o->name,
			    path, strerror(errno));
	*out = fd;
	if (fstat(fd, st) < 0)
		return fail(-errno, "disk %s: cannot examine %s: %s", o->name,
			    path, strerror(errno));
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return fail(-ENOTBLK,
			    "disk %s: %s is neither a file nor a block device",
			    o->name, path);
	return 0;
}

/* What is looked at is what is read: the path is opened once. */
static int open_file(const struct disk_source_options *o,
		     struct disk_source **out)
{
	const char *path;
	const struct image_format *said = split_format(o->source, &path);
	const struct image_format *format = said ? said : image_format_raw();
	AUTO_CLOSE int fd = -1;
	struct stat st;
	int r, taken;

	if (!*path)
		return fail(-EINVAL, "disk %s: no source", o->name);
	r = open_path(o, path, &st, &fd);
	if (r == 0 && !said && S_ISREG(st.st_mode))
		r = recognise(o, fd, path, &format);
	if (r < 0)
		return r;
	if (format == image_format_raw()) {
		taken = fd;
		fd = -1;
		r = disk_source_file(o, taken, path, out);
	} else {
		r = disk_source_image(o, fd, path, format, out);
	}
	if (r == 0)
		(*out)->recognised = !said && S_ISREG(st.st_mode);
	return r;
}

static int check_format(const struct disk_source_options *o,
			const struct disk_source *s)
{
	if (s->size == 0)
		return fail(-EIO, "disk %s: %s is empty", o->name, o->source);
	if (s->size > CONTENT_SIZE_MAX)
		return fail(-EFBIG, "disk %s: %s is larger than a vault holds",
			    o->name, o->source);
	return 0;
}

int disk_source_open(const struct disk_source_options *o,
		     struct disk_source **out)
{
	int r;

	*out = NULL;
	r = is_nbd(o->source) ? disk_source_nbd(o, out) : open_file(o, out);
	if (r == 0)
		r = check_format(o, *out);
	if (r < 0) {
		disk_source_close(*out);
		*out = NULL;
	}
	return r;
}

void disk_source_close(struct disk_source *s)
{
	if (s)
		s->ops->close(s);
}

int disk_source_extent(struct disk_source *s, uint64_t off,
		       struct disk_extent *out)
{
	int r;

	assert(off < s->size);
	r = s->ops->extent(s, off, out);
	if (r < 0)
		return r;
	/* What a server answers is not to be trusted with our loops. */
	if (out->len == 0)
		return fail(-EIO,
			    "disk %s: its source tells nothing about byte %llu",
			    s->name, (unsigned long long)off);
	out->off = off;
	out->len = MIN(out->len, s->size - off);
	return 0;
}

int disk_source_read(struct disk_source *s, uint64_t off, void *out, size_t len)
{
	assert(off <= s->size && len <= s->size - off);
	return s->ops->read(s, off, out, len);
}

void disk_source_prefetch(struct disk_source *s, uint64_t off, size_t len)
{
	if (s->ops->prefetch)
		s->ops->prefetch(s, off, len);
}

int disk_source_finish(struct disk_source *s)
{
	return s->ops->finish ? s->ops->finish(s) : 0;
}
