/* SPDX-License-Identifier: GPL-3.0-or-later */
/* All of a machine that is no tree: its disks, one after the other, and its config files. */
#include "config.h"

#include "src/backup/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/backup/disk_format.h"
#include "src/disk/source.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/content.h"
#include "store/crypt/crypt.h"
#include "store/crypt/keyring.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/cdc.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"

#define NAME_MAX_LEN 200
#define CONFIG_MAX (64u << 20)

bool backup_member_name_ok(const char *name)
{
	return point_name_ok(name) && name[0] != '.' &&
	       strlen(name) <= NAME_MAX_LEN;
}

/* ---- disks ---- */

int backup_disks_open(struct backup *b, const char *vm, const char *host,
		      struct backup_disks *d)
{
	const struct backup_options *o = b->options;
	struct disk_past was = {
		.points = b->points,
		.vm = vm,
		.host = host,
	};
	size_t i;
	int r = 0;

	d->sources = alloc_array(o->ndisks, sizeof(*d->sources));
	if (!d->sources)
		return -ENOMEM;
	for (i = 0; i < o->ndisks && r == 0; i++) {
		struct disk_source_options open = {
			.name = o->disks[i].name,
			.source = o->disks[i].source,
			.bitmap = o->bitmap,
			.image_key = o->disks[i].image_key,
			.backing = o->backing,
			.nbacking = o->nbacking,
			.threads = b->pool ? pool_threads(b->pool) : 1,
			.stop = b->task->stop,
		};

		r = disk_source_open(&open, &d->sources[i]);
		if (r < 0)
			break;
		d->n++;
		r = disk_format_check(&was, &o->disks[i], d->sources[i]);
		b->progress.total_bytes += d->sources[i]->size;
	}
	return r;
}

void backup_disks_close(struct backup_disks *d)
{
	size_t i;

	for (i = 0; i < d->n; i++)
		disk_source_close(d->sources[i]);
	free(d->sources);
	d->sources = NULL;
	d->n = 0;
}

int backup_disks_read(struct backup *b, struct backup_disks *d,
		      const struct point *parent, struct point *p)
{
	const struct backup_options *o = b->options;
	struct backup_disk_result result;
	size_t i;
	int r = 0;

	p->disks = alloc_array(o->ndisks, sizeof(*p->disks));
	if (!p->disks)
		return -ENOMEM;
	for (i = 0; i < d->n && r == 0; i++) {
		snprintf(b->progress.current, sizeof(b->progress.current),
			 "disk %s", o->disks[i].name);
		p->ndisks = i + 1;
		r = backup_disk_read(b, &o->disks[i], d->sources[i], parent,
				     &p->disks[i], &result);
		if (o->disk_results)
			o->disk_results[i] = result;
		b->progress.disks++;
	}
	return r;
}

/* ---- config files ---- */

/* A whole file in memory: what changes while it is read is no matter of size. */
static int read_whole(const char *path, struct buf *out)
{
	AUTO_CLOSE int fd =
		open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return fail(-EIO, "config file %s: cannot be opened: %s", path,
			    strerror(errno));
	if (!S_ISREG(st.st_mode))
		return fail(-EIO, "config file %s: not a regular file", path);
	do {
		if (buf_reserve(out, 64 << 10) < 0)
			return -ENOMEM;
		n = read(fd, out->data + out->len, out->cap - out->len);
		if (n < 0 && errno != EINTR)
			return fail(-EIO, "config file %s: cannot be read: %s",
				    path, strerror(errno));
		if (n > 0)
			out->len += (size_t)n;
		if (out->len > CONFIG_MAX)
			return fail(-EFBIG,
				    "config file %s: over 64 MiB; is it "
				    "a disk?",
				    path);
	} while (n != 0);
	return 0;
}

static int store_config(struct backup *b, const struct buf *data,
			struct buf *content)
{
	const uint64_t *gear = keyring_gear(vault_keyring(b->vault));
	struct content_builder *builder = content_builder_new(b->writer);
	size_t off = 0;
	int r = builder ? 0 : -ENOMEM;

	while (off < data->len && r == 0) {
		struct extent e = { .type = EXTENT_DATA };

		e.len = cdc_cut(gear, data->data + off, data->len - off);
		r = writer_chunk(b->writer, CHUNK_DATA, data->data + off, e.len,
				 &e.id);
		if (r == 0)
			r = content_builder_add(builder, &e);
		off += e.len;
	}
	if (r == 0)
		r = content_builder_finish(builder, content);
	content_builder_free(builder);
	return r;
}

static int read_config(struct backup *b, const struct backup_config *o,
		       struct point_config *out)
{
	AUTO_BUF struct buf data = BUF_INIT, content = BUF_INIT;
	int r = read_whole(o->path, &data);

	if (r == 0 && b->writer)
		r = store_config(b, &data, &content);
	if (r < 0)
		return r;
	out->name = strdup(o->name);
	out->size = data.len;
	out->content = content.data;
	out->content_len = content.len;
	content = (struct buf)BUF_INIT;
	b->progress.bytes_done += data.len;
	atomic_fetch_add(&b->bytes_read, data.len);
	return out->name ? 0 : -ENOMEM;
}

int backup_configs_read(struct backup *b, struct point *p)
{
	const struct backup_options *o = b->options;
	size_t i;
	int r = 0;

	p->configs = alloc_array(o->nconfigs, sizeof(*p->configs));
	if (!p->configs)
		return -ENOMEM;
	for (i = 0; i < o->nconfigs && r == 0; i++) {
		p->nconfigs = i + 1;
		r = read_config(b, &o->configs[i], &p->configs[i]);
		b->progress.configs++;
	}
	return r;
}

/* ---- comparing ---- */

static bool same_content(const uint8_t *a, size_t alen, const uint8_t *b,
			 size_t blen)
{
	return alen == blen && memcmp(a, b, alen) == 0;
}

bool backup_same_disks(const struct point *a, const struct point *b)
{
	size_t i;

	if (a->ndisks != b->ndisks || a->nconfigs != b->nconfigs)
		return false;
	for (i = 0; i < a->ndisks; i++) {
		const struct point_disk *x = &a->disks[i], *y = &b->disks[i];

		if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
		    !same_content(x->content, x->content_len, y->content,
				  y->content_len))
			return false;
	}
	for (i = 0; i < a->nconfigs; i++) {
		const struct point_config *x = &a->configs[i];
		const struct point_config *y = &b->configs[i];

		if (strcmp(x->name, y->name) != 0 || x->size != y->size ||
		    !same_content(x->content, x->content_len, y->content,
				  y->content_len))
			return false;
	}
	return true;
}
