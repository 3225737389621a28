/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which kind of source a text names, and what all kinds have in common. */
#include "config.h"

#include "src/disk/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/base/log.h"
#include "store/content.h"

/* What stands in front of a path, and qemu's name for it. */
static const struct {
	const char *word, *format;
} formats[] = {
	{ "raw", "raw" },   { "qcow2", "qcow2" }, { "vhd", "vpc" },
	{ "vpc", "vpc" },   { "vhdx", "vhdx" },	  { "vmdk", "vmdk" },
	{ "qcow", "qcow" }, { "vdi", "vdi" },	  { "qed", "qed" },
};

/* "qcow2:PATH": the format, and where the path begins. */
static const char *split_format(const char *source, const char **path)
{
	size_t i;

	*path = source;
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		size_t n = strlen(formats[i].word);

		if (strncmp(source, formats[i].word, n) == 0 &&
		    source[n] == ':') {
			*path = source + n + 1;
			return formats[i].format;
		}
	}
	return NULL;
}

/* "nbd://", "nbd+unix://", "nbds://", "nbds+vsock://", ... */
static bool is_nbd(const char *source)
{
	const char *colon = strstr(source, "://");

	return colon && strncmp(source, "nbd", 3) == 0 &&
	       !memchr(source, '/', (size_t)(colon - source));
}

static int probe(const struct disk_open *o, const char *path,
		 const char **format)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool chained = false;
	struct stat st;
	int r = 0;

	*format = "raw";
	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(-errno, "disk %s: cannot open %s: %s", o->name,
			    path, strerror(errno));
	if (S_ISREG(st.st_mode))
		r = disk_image_probe(fd, format, &chained);
	if (r < 0)
		return fail(-EIO, "disk %s: cannot read %s: %s", o->name, path,
			    strerror(-r));
	if (chained)
		return fail(-EPERM,
			    "disk %s: %s looks like a %s image that "
			    "refers to other files; a guest can write that "
			    "into its own disk. Where it is one, say "
			    "--disk %s=%s:%s, where it is a raw disk, "
			    "--disk %s=raw:%s",
			    o->name, path, *format, o->name, *format, path,
			    o->name, path);
	return 0;
}

static int check(const struct disk_open *o, const struct disk_source *s)
{
	if (s->size == 0)
		return fail(-EIO, "disk %s: %s is empty", o->name, o->source);
	if (s->size > CONTENT_SIZE_MAX)
		return fail(-EFBIG, "disk %s: %s is larger than a vault holds",
			    o->name, o->source);
	return 0;
}

int disk_open(const struct disk_open *o, struct disk_source **out)
{
	const char *path, *format = split_format(o->source, &path);
	int r = 0;

	*out = NULL;
	if (is_nbd(o->source)) {
		r = disk_nbd_open(o, out);
	} else {
		if (!*path)
			return fail(-EINVAL, "disk %s: no source", o->name);
		if (!format)
			r = probe(o, path, &format);
		if (r == 0)
			r = strcmp(format, "raw") == 0
				    ? disk_file_open(o, path, out)
				    : disk_image_open(o, path, format, out);
	}
	if (r == 0)
		r = check(o, *out);
	if (r < 0) {
		disk_close(*out);
		*out = NULL;
	}
	return r;
}

void disk_close(struct disk_source *s)
{
	if (s)
		s->ops->close(s);
}

int disk_extent(struct disk_source *s, uint64_t off, struct disk_extent *out)
{
	int r = s->ops->extent(s, off, out);

	if (r < 0)
		return r;
	/* What a server answers is not to be trusted with our loops. */
	if (out->len == 0)
		return fail(-EIO,
			    "disk %s: its source tells nothing about "
			    "byte %llu",
			    s->name, (unsigned long long)off);
	out->off = off;
	out->len = MIN(out->len, s->size - off);
	return 0;
}

int disk_read(struct disk_source *s, uint64_t off, void *out, size_t len)
{
	return s->ops->read(s, off, out, len);
}

void disk_prefetch(struct disk_source *s, uint64_t off, size_t len)
{
	if (s->ops->prefetch)
		s->ops->prefetch(s, off, len);
}

int disk_finish(struct disk_source *s)
{
	return s->ops->finish ? s->ops->finish(s) : 0;
}
