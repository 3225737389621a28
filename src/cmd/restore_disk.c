/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Finds the disks and config files of a point, restores one after the other, and
 * reports on each. */
#include "config.h"

#include "src/cmd/restore_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs/place.h"
#include "fs/view.h"
#include "src/cli/output.h"
#include "src/cli/progress.h"
#include "src/cli/signals.h"
#include "src/cmd/cmd.h"
#include "src/restore/disk.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/base/task.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"

/* A config file is read whole. */
#define CONFIG_MAX (64u << 20)

struct report {
	struct progress *progress;
	uint64_t before, total; /* of the disks done, and of all */
	const char *name;
};

static void tick(void *arg, const void *progress)
{
	const struct restore_disk_progress *p = progress;
	const struct report *rep = arg;
	struct progress_state s = {
		.bytes_done = rep->before + p->bytes_done,
		.bytes_total = rep->total,
		.current = rep->name,
	};

	progress_update(rep->progress, &s);
}

static int report_json(const struct restore_disk_args *a,
		       const struct point_disk *d, const char *to,
		       const struct restore_disk_progress *p)
{
	json_t *o = output_message("summary");

	if (a->dry_run)
		output_set_bool(o, "dry_run", true);
	output_set_string(o, "disk", d->name);
	output_set_bytes(o, "to", to, strlen(to));
	output_set_uint(o, "size", d->size);
	output_set_uint(o, "bytes_used", d->used);
	output_set_uint(o, "bytes_written", p->bytes_written);
	output_set_uint(o, "bytes_unchanged", p->bytes_same);
	output_set_uint(o, "bytes_zeroed", p->bytes_zeroed);
	if (a->verify)
		output_set_uint(o, "bytes_verified", p->bytes_verified);
	output_set_bool(o, "resumed", p->resumed);
	json_object_set_new(o, "seconds_elapsed", json_real(p->seconds));
	return output_json(o);
}

static int report_text(const struct restore_disk_args *a,
		       const struct point_disk *d, const char *to,
		       const struct restore_disk_progress *p)
{
	char size[OUTPUT_SIZE_LEN], written[OUTPUT_SIZE_LEN];
	char same[OUTPUT_SIZE_LEN], time[OUTPUT_DURATION_LEN];

	printf("%s %s to ", d->name, a->dry_run ? "compared" : "restored");
	output_name(stdout, to, strlen(to));
	printf(": %s of %s %s, %s were there, in %s%s%s\n",
	       output_size(p->bytes_written, written),
	       output_size(d->used, size), a->dry_run ? "differ" : "written",
	       output_size(p->bytes_same, same),
	       output_duration(p->seconds, time),
	       p->resumed ? ", going on with an earlier run" : "",
	       a->verify && !a->dry_run ? "; verified" : "");
	return output_error();
}

/* How often each used byte is gone over. */
static unsigned int passes(const struct restore_disk_args *a)
{
	return a->verify && !a->dry_run ? 2 : 1;
}

static int one_disk(struct context *ctx, const struct restore_disk_args *a,
		    struct vault *v, const struct point_disk *d, const char *to,
		    struct report *rep)
{
	struct restore_disk_options o = {
		.to = to,
		.format = a->format,
		.delta = a->delta,
		.force = a->force,
		.keep_end = a->keep_end,
		.dry_run = a->dry_run,
		.verify = a->verify,
		.threads = a->threads,
	};
	struct task task = { .stop = signals_stop(), .tick = tick, .arg = rep };
	struct restore_disk_progress p;
	int r;

	rep->name = d->name;
	rep->progress = progress_new(ctx, "disks");
	r = restore_disk(v, d, &o, &task, &p);
	progress_free(rep->progress);
	rep->before += d->used * passes(a);
	if (r == -EINTR)
		log_warn("%s: stopped: run it again%s to go on", to,
			 a->delta || !p.bytes_done ? ""
						   : " (with --delta onto"
						     " a device)");
	if (r < 0)
		return r;
	if (ctx->json)
		return report_json(a, d, to, &p);
	return ctx->quiet ? 0 : report_text(a, d, to, &p);
}

static int one_config(struct vault *v, const struct restore_disk_args *a,
		      int dir, const struct point_config *f)
{
	struct content_ref content = point_config_content(f);
	struct seam *s = vault_seam(v);
	AUTO_FREE uint8_t *data = NULL;
	int fd, r, c;

	if (f->size > CONFIG_MAX)
		return fail(-EFBIG,
			    "config/%s: over 64 MiB: copy it out of the"
			    " mount",
			    f->name);
	data = malloc(f->size ? (size_t)f->size : 1);
	if (!data)
		return -ENOMEM;
	r = content_read(v, &content, 0, data, (size_t)f->size);
	if (r < 0 || a->dry_run)
		return r;
	fd = s->ops->openat(s, dir, f->name,
			    O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC |
				    (a->force || a->delta ? O_TRUNC : O_EXCL),
			    0600);
	if (fd < 0)
		return fail(fd, "%s/%s: cannot be made: %s%s", a->disks_to,
			    f->name, strerror(-fd),
			    fd == -EEXIST
				    ? ": say --overwrite=always to replace it"
				    : "");
	r = seam_pwrite_all(s, fd, data, (size_t)f->size, 0);
	if (r == 0)
		r = s->ops->fsync(s, fd);
	c = s->ops->close(s, fd);
	r = r < 0 ? r : c;
	return r < 0 ? fail(r, "%s/%s: cannot be written: %s", a->disks_to,
			    f->name, strerror(-r))
		     : 0;
}

static const char *suffix(const struct restore_disk_args *a)
{
	return a->format ? a->format : "raw";
}

static int all_disks(struct context *ctx, const struct restore_disk_args *a,
		     struct vault *v, const struct point *p)
{
	struct report rep = { .progress = NULL };
	struct seam *s = vault_seam(v);
	size_t i;
	int dir, r;

	r = s->ops->mkdirat(s, AT_FDCWD, a->disks_to, 0700);
	if (r < 0 && r != -EEXIST)
		return fail(r, "%s: cannot be made: %s", a->disks_to,
			    strerror(-r));
	dir = s->ops->openat(s, AT_FDCWD, a->disks_to,
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0)
		return fail(dir, "%s: %s", a->disks_to, strerror(-dir));
	for (i = 0, r = 0; i < p->nconfigs && r == 0; i++)
		r = one_config(v, a, dir, &p->configs[i]);
	for (i = 0; i < p->ndisks; i++)
		rep.total += p->disks[i].used * passes(a);
	for (i = 0; i < p->ndisks && r == 0; i++) {
		AUTO_FREE char *to = NULL;

		if (asprintf(&to, "%s/%s.%s", a->disks_to, p->disks[i].name,
			     suffix(a)) < 0) {
			to = NULL;
			r = -ENOMEM;
			break;
		}
		r = one_disk(ctx, a, v, &p->disks[i], to, &rep);
	}
	if (r == 0 && !a->dry_run) {
		r = s->ops->fsync(s, dir);
		if (r < 0)
			r = fail(r, "%s: cannot be synced: %s", a->disks_to,
				 strerror(-r));
	}
	(void)s->ops->close(s, dir);
	return r;
}

static int restore_place(struct context *ctx, const struct restore_disk_args *a,
			 struct vault *v, const struct place *place,
			 const char *spec)
{
	struct report rep = { .progress = NULL };
	const struct point_disk *d;
	int r;

	if (a->disks_to) {
		if (place->kind != PLACE_POINT)
			return context_usage(ctx,
					     "--disks-to takes a POINT, not"
					     " a place in it");
		if (place->point->ndisks == 0)
			return fail(-ENOENT, "%s: it has no disks", spec);
		return all_disks(ctx, a, v, place->point);
	}
	r = place_disk(place, spec, NULL, &d);
	if (r < 0)
		return r;
	rep.total = d->used * passes(a);
	return one_disk(ctx, a, v, d, a->to, &rep);
}

int cmd_restore_disks(struct context *ctx, const struct restore_disk_args *a,
		      const char *spec)
{
	struct place place;
	struct point_list *l;
	struct vault *v;
	struct view *w;
	int r;

	r = context_open_view(ctx, &v, &w);
	if (r < 0)
		return r;
	l = view_points(w);
	r = place_parse(l, spec, &place);
	if (r == 0)
		r = restore_place(ctx, a, v, &place, spec);
	r = context_read_error(v, r);
	place_release(&place);
	point_list_put(l);
	view_free(w);
	vault_close(v);
	return r;
}
