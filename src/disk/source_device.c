/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sources behind a server of NBD: exports, and images by a qemu-nbd of ours. */
#include "config.h"

#include "src/disk/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "src/disk/chain.h"
#include "src/disk/device.h"
#include "src/disk/format.h"

struct device_source {
	struct disk_source s; /* must come first */
	struct disk_device *device; /* owned */
};

static struct disk_device *device_of(struct disk_source *s)
{
	return container_of(s, struct device_source, s)->device;
}

static int device_extent(struct disk_source *s, uint64_t off,
			 struct disk_extent *out)
{
	return disk_device_extent(device_of(s), off, out);
}

static int device_read(struct disk_source *s, uint64_t off, void *out,
		       size_t len)
{
	return disk_device_read(device_of(s), off, out, len);
}

static int device_finish(struct disk_source *s)
{
	return device_of(s)->damaged;
}

static void device_close(struct disk_source *s)
{
	disk_device_close(device_of(s));
	free(s->source);
	free(container_of(s, struct device_source, s));
}

static const struct disk_source_ops device_ops = {
	.extent = device_extent,
	.read = device_read,
	.finish = device_finish,
	.close = device_close,
};

/* @d is taken over, also where that fails. */
static int wrap(struct disk_device *d, const char *format,
		struct disk_source **out)
{
	struct device_source *f = calloc(1, sizeof(*f));

	if (!f) {
		disk_device_close(d);
		return -ENOMEM;
	}
	f->device = d;
	f->s = (struct disk_source){
		.ops = &device_ops,
		.name = d->name,
		.source = strdup(d->source),
		.format = format,
		.size = d->size,
		.sector = d->sector,
		.granule = d->granule,
		.has_bitmap = d->has_bitmap,
	};
	if (!f->s.source) {
		device_close(&f->s);
		return -ENOMEM;
	}
	*out = &f->s;
	return 0;
}

static struct disk_device_options
device_options(const struct disk_source_options *o, const char *source)
{
	return (struct disk_device_options){
		.name = o->name,
		.source = source,
		.bitmap = o->bitmap,
		.threads = o->threads,
		.stop = o->stop,
	};
}

int disk_source_nbd(const struct disk_source_options *o,
		    struct disk_source **out)
{
	struct disk_device_options options = device_options(o, o->source);
	struct disk_device *d;
	int r = disk_device_open_uri(&options, &d);

	return r < 0 ? r : wrap(d, "nbd", out);
}

int disk_source_image(const struct disk_source_options *o, int fd,
		      const char *path, const struct image_format *format,
		      struct disk_source **out)
{
	struct disk_device_options options = device_options(o, path);
	struct image_policy policy = {
		.disk = o->name,
		.allowed = o->backing,
		.nallowed = o->nbacking,
		.key = o->image_key,
		.stop = o->stop,
	};
	struct disk_device *d;
	int r = disk_device_open_image(&options, fd, format, &policy, false,
				       &d);

	return r < 0 ? r : wrap(d, format->driver, out);
}
