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
#include "src/cmd/guarded.h"
#include "src/disk/target.h"
#include "src/restore/disk.h"
#include "src/restore/guard.h"
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
	const struct guard *guard; /* borrowed; what is never touched */
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
	char zeroed[OUTPUT_SIZE_LEN];

	printf("%s %s to ", d->name, a->dry_run ? "compared" : "restored");
	output_name(stdout, to, strlen(to));
	printf(": %s of %s %s, %s were there, ",
	       output_size(p->bytes_written, written),
	       output_size(d->used, size), a->dry_run ? "differ" : "written",
	       output_size(p->bytes_same, same));
	if (p->bytes_zeroed)
		printf("%s %s that the disk has as zeros, ",
		       output_size(p->bytes_zeroed, zeroed),
		       a->dry_run ? "hold data" : "were cleared");
	printf("in %s%s%s\n", output_duration(p->seconds, time),
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
		.guard = rep->guard,
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

static int check_guarded(const struct guard *g, const char *path)
{
	const char *what = NULL;
	int r = guard_find_file(g, path, &what);

	if (r == 0 && what)
		r = fail(-EBUSY,
			 "%s: it is, or lies in, %s: restore to another place",
			 path, what);
	return r;
}

/* Make the file @path, which is new, durably. A run that was killed may have
 * left one. Return 0 or a negative errno, silent. */
static int write_new(struct seam *s, const char *path, const uint8_t *data,
		     size_t len)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
	int fd = s->ops->openat(s, AT_FDCWD, path, flags, 0600);
	int r, c;

	if (fd == -EEXIST) {
		r = s->ops->unlinkat(s, AT_FDCWD, path, 0);
		fd = r < 0 ? r : s->ops->openat(s, AT_FDCWD, path, flags, 0600);
	}
	if (fd < 0)
		return fd;
	r = seam_pwrite_all(s, fd, data, len, 0);
	if (r == 0)
		r = s->ops->fsync(s, fd);
	c = s->ops->close(s, fd);
	r = r < 0 ? r : c;
	if (r < 0)
		(void)s->ops->unlinkat(s, AT_FDCWD, path, 0);
	return r;
}

/* Put the file in its place, by a name that is short enough where its own is of
 * full length. What is there is replaced, never written to: it may
 * be a link to something else, or open to others. */
static int write_config(struct seam *s, const struct restore_disk_args *a,
			const struct guard *guard, const char *to,
			const uint8_t *data, size_t len)
{
	AUTO_FREE char *partial = NULL;
	int r;

	if (asprintf(&partial, "%s/config" DISK_TARGET_PARTIAL, a->disks_to) <
	    0) {
		partial = NULL;
		return -ENOMEM;
	}
	r = check_guarded(guard, partial);
	if (r < 0)
		return r;
	r = write_new(s, partial, data, len);
	if (r < 0)
		return fail(r, "%s: cannot be written: %s", partial,
			    strerror(-r));
	r = disk_target_place(s, partial, to, a->force || a->delta);
	if (r == 0)
		return 0;
	(void)s->ops->unlinkat(s, AT_FDCWD, partial, 0);
	return fail(r, "%s: cannot be made: %s%s", to, strerror(-r),
		    r == -EEXIST ? ": say --overwrite=always to replace it"
				 : "");
}

static int one_config(struct vault *v, const struct restore_disk_args *a,
		      const struct guard *guard, const struct point_config *f)
{
	struct content_ref content = point_config_content(f);
	AUTO_FREE uint8_t *data = NULL;
	AUTO_FREE char *to = NULL;
	int r;

	if (f->size > CONFIG_MAX)
		return fail(-EFBIG,
			    "config/%s: over 64 MiB: copy it out of the"
			    " mount",
			    f->name);
	if (asprintf(&to, "%s/%s", a->disks_to, f->name) < 0) {
		to = NULL;
		return -ENOMEM;
	}
	r = check_guarded(guard, to);
	if (r < 0)
		return r;
	data = malloc(f->size ? (size_t)f->size : 1);
	if (!data)
		return -ENOMEM;
	r = content_read(v, &content, 0, data, (size_t)f->size);
	if (r < 0 || a->dry_run)
		return r;
	return write_config(vault_seam(v), a, guard, to, data, (size_t)f->size);
}

static const char *suffix(const struct restore_disk_args *a)
{
	return a->format ? a->format : "raw";
}

static int all_disks(struct context *ctx, const struct restore_disk_args *a,
		     struct vault *v, const struct point *p, struct report *rep)
{
	struct seam *s = vault_seam(v);
	size_t i;
	int dir, r = check_guarded(rep->guard, a->disks_to);

	if (r < 0)
		return r;
	r = s->ops->mkdirat(s, AT_FDCWD, a->disks_to, 0700);
	if (r < 0 && r != -EEXIST)
		return fail(r, "%s: cannot be made: %s", a->disks_to,
			    strerror(-r));
	dir = s->ops->openat(s, AT_FDCWD, a->disks_to,
			     O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
	if (dir < 0)
		return fail(dir, "%s: %s", a->disks_to, strerror(-dir));
	for (i = 0, r = 0; i < p->nconfigs && r == 0; i++)
		r = one_config(v, a, rep->guard, &p->configs[i]);
	for (i = 0; i < p->ndisks; i++)
		rep->total += p->disks[i].used * passes(a);
	for (i = 0; i < p->ndisks && r == 0; i++) {
		AUTO_FREE char *to = NULL;

		if (asprintf(&to, "%s/%s.%s", a->disks_to, p->disks[i].name,
			     suffix(a)) < 0) {
			to = NULL;
			r = -ENOMEM;
			break;
		}
		r = one_disk(ctx, a, v, &p->disks[i], to, rep);
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
			 const char *spec, struct report *rep)
{
	const struct point_disk *d;
	int r;

	if (a->disks_to) {
		if (place->kind != PLACE_POINT)
			return context_usage(ctx,
					     "--disks-to takes a POINT, not"
					     " a place in it");
		if (place->point->ndisks == 0)
			return fail(-ENOENT, "%s: it has no disks", spec);
		return all_disks(ctx, a, v, place->point, rep);
	}
	r = place_disk(place, spec, NULL, &d);
	if (r < 0)
		return r;
	rep->total = d->used * passes(a);
	return one_disk(ctx, a, v, d, a->to, rep);
}

int cmd_restore_disks(struct context *ctx, const struct restore_disk_args *a,
		      const char *spec)
{
	struct report rep = { .progress = NULL };
	struct guard *guard;
	struct place place;
	struct point_list *l;
	struct vault *v;
	struct view *w;
	int r;

	r = context_open_view(ctx, &v, &w);
	if (r < 0)
		return r;
	rep.guard = guard = guard_new();
	l = view_points(w);
	r = place_parse(l, spec, &place);
	if (r == 0)
		place_warn_of_signer(&place);
	if (r == 0)
		r = guard ? guarded_add(ctx, guard) : -ENOMEM;
	if (r == 0)
		r = restore_place(ctx, a, v, &place, spec, &rep);
	r = context_read_error(v, r);
	place_release(&place);
	point_list_put(l);
	guard_free(guard);
	view_free(w);
	vault_close(v);
	return r;
}
