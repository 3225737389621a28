/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The run from its beginning to the commit.
 *
 * Whatever can fail before anything is read fails first: sources and disks are
 * opened, the session is begun, the parent is found. Then disks are read, then
 * config files, then trees; nothing of it is visible until the point is
 * committed, and what a run that ended early has uploaded serves the next one.
 */
#include "config.h"

#include "src/backup/backup.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/backup/disk.h"
#include "src/backup/internal.h"
#include "src/backup/left_out.h"
#include "src/backup/mounted.h"
#include "src/backup/take.h"
#include "src/scan/scan.h"
#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/pool.h"
#include "store/base/seam.h"
#include "store/catalog/catalog.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/note.h"
#include "store/writer/writer.h"

/* ---- how far it is ---- */

static void update_progress(struct backup *b)
{
	struct seam *seam = vault_seam(b->vault);
	struct writer_stats stats = { 0 };
	struct backup_progress *p = &b->progress;

	if (b->writer)
		writer_get_stats(b->writer, &stats);
	p->seconds =
		(double)(seam->ops->monotonic_ns(seam) - b->start_ns) / 1e9;
	p->bytes_new = stats.bytes_new;
	p->bytes_packed = stats.bytes_packed;
	p->bytes_read = atomic_load(&b->bytes_read);
	p->bytes_ahead = atomic_load(&b->bytes_ahead);
	p->errors = atomic_load(&b->errors);
}

void backup_tick(struct backup *b)
{
	/* Whoever stores the next chunk learns of an error. */
	if (b->writer)
		(void)writer_tick(b->writer);
	if (!task_is_due(b->task, vault_seam(b->vault)))
		return;
	update_progress(b);
	task_tick_now(b->task, &b->progress);
}

/* ---- the beginning ---- */

#define MOUNTED_MAX 64 /* vaults that are mounted here */

static void skip_stat(const char *path, struct stat *list, size_t *n)
{
	if (path && stat(path, &list[*n]) == 0)
		(*n)++;
}

static int open_scan(struct backup *b)
{
	const struct backup_options *o = b->options;
	const char *place = backend_path(vault_url(b->vault));
	dev_t vaults[MOUNTED_MAX];
	struct stat skip[2];
	struct scan_options so = {
		.sources = o->sources,
		.nsources = (size_t)o->nsources,
		.exclude = o->exclude,
		.exclude_caches = o->exclude_caches,
		.one_file_system = o->one_file_system,
		.skip = skip,
		.apart = vaults,
	};

	if (o->nsources == 0)
		return 0; /* disks alone */
	skip_stat(place, skip, &so.nskip);
	skip_stat(catalog_dir(vault_catalog(b->vault)), skip, &so.nskip);
	so.napart = mounted_vaults(vaults, MOUNTED_MAX);
	return scan_open(&so, &b->scan);
}

static int begin_session(struct backup *b)
{
	const struct backup_options *o = b->options;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned int n = o->threads  ? o->threads
			 : cores > 0 ? (unsigned int)cores
				     : 1;
	int err;

	if (o->dry_run)
		return 0;
	b->pool = pool_new(n, 4 * n);
	if (!b->pool)
		return -ENOMEM;
	err = writer_begin(b->vault, o->level, b->pool, &b->writer);
	if (err == 0)
		err = writer_may_commit(b->writer);
	if (err == 0)
		writer_set_disk_level(b->writer, o->disk_level);
	return err;
}

static int begin(struct backup *b, const char *vm, const char *host,
		 struct backup_disks *disks)
{
	int err = slots_init(&b->slots, b);
	if (err == 0)
		err = open_scan(b);
	if (err == 0)
		err = begin_session(b);
	/* After the session began: whoever purges a parent that is seen then
	 * waits for this session before its packs go. */
	if (err == 0 && b->writer)
		b->points = writer_points(b->writer);
	else if (err == 0)
		err = vault_points(b->vault, &b->points);
	/* Before anything is read for a machine whose name is in doubt. */
	if (err == 0)
		err = note_machine_of(b->points, vm, b->machine);
	if (err == 0)
		err = parent_init(&b->parent, b, vm);
	if (err == 0)
		err = entries_init(&b->entries, b);
	if (err == 0 && b->options->ndisks)
		err = backup_disks_open(b, vm, host, disks);
	return err;
}

/* ---- what the point says of itself ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **copy_list(const char *const *list, size_t n)
{
	char **copy = alloc_array(n, sizeof(*copy));
	size_t i;

	for (i = 0; copy && i < n; i++) {
		copy[i] = strdup(list[i]);
		if (!copy[i]) {
			while (i > 0)
				free(copy[--i]);
			free(copy);
			return NULL;
		}
	}
	return copy;
}

/* A second that no point of the machine has: names stay as they are given. */
static int64_t free_second(const struct backup *b, const char *vm,
			   int64_t time_ns)
{
	size_t i;

	time_ns -= time_ns % 1000000000;
	for (i = 0; i < b->points->n; i++) {
		const struct point *p = b->points->points[i];

		if (strcmp(p->vm, vm) == 0 && p->time_ns == time_ns)
			time_ns += 1000000000;
	}
	return time_ns;
}

static int describe(struct backup *b, const char *vm, const char *host,
		    struct point *p)
{
	const struct backup_options *o = b->options;
	struct passwd *pw = getpwuid(geteuid());
	const struct point *parent = b->parent.tree;
	const char *const *sources = NULL;
	size_t nsources = 0;

	if (b->scan)
		sources = scan_sources(b->scan, &nsources);
	if (!parent && !b->scan)
		parent = b->parent.machine;
	p->vm = strdup(vm);
	p->host = strdup(host);
	p->user = strdup(pw ? pw->pw_name : "");
	p->program = strdup(PACKAGE_STRING);
	p->sources = copy_list(sources, nsources);
	p->nsources = p->sources ? nsources : 0;
	p->tags = copy_list(o->tags, (size_t)o->ntags);
	p->ntags = p->tags ? (size_t)o->ntags : 0;
	if (!p->vm || !p->host || !p->user || !p->program || !p->sources ||
	    !p->tags)
		return -ENOMEM;
	if (p->ntags)
		qsort(p->tags, p->ntags, sizeof(*p->tags), by_text);
	p->time_ns =
		free_second(b, vm, o->time_ns ? o->time_ns : p->scan_start_ns);
	if (parent)
		memcpy(p->parent, parent->id, sizeof(p->parent));
	memcpy(p->machine, b->machine, sizeof(p->machine));
	return 0;
}

/* ---- reading, and the end ---- */

static int end_readers(struct backup *b)
{
	if (b->writer) {
		slots_submit(&b->slots);
		pool_wait(b->pool);
	}
	return backup_end_readers(b);
}

/* Disks first: they are the machine at one moment, as near as can be. */
static int read_all(struct backup *b, struct backup_disks *disks,
		    struct point *p)
{
	const struct backup_options *o = b->options;
	int err = 0;

	if (o->ndisks)
		err = backup_disks_read(b, disks, b->parent.machine, p);
	if (err == 0 && o->nconfigs)
		err = backup_configs_read(b, p);
	if (err == 0 && b->scan)
		err = take_all(b);
	if (err == 0)
		err = end_readers(b);
	if (err == 0 && task_stopped(b->task))
		err = -EINTR;
	return err;
}

/* Whether all that the parent refers to is there, and none of it had to be
 * stored again. */
static bool is_parent_whole(const struct backup *b)
{
	struct writer_stats stats;

	if (b->scan ? b->parent.trust_tree : b->parent.trust_machine)
		return true;
	writer_get_stats(b->writer, &stats);
	return stats.chunks_new == 0;
}

/* What the point is called now that it is there: another one of the same second
 * may be, too, if it has come since a second was chosen that was free. Where that
 * cannot be known, a name that finds it all the same. */
static void name_point(struct backup *b, const struct point *p,
		       struct backup_result *out)
{
	char name[POINT_NAME_LEN];
	struct point_list *l;
	size_t i;
	int last = vault_is_last_point(b->vault, p);

	point_put_name(p, last > 0 ? 0 : 8, name);
	if (last == 0 && vault_points(b->vault, &l) == 0) {
		for (i = 0; i < l->n; i++)
			if (strcmp(l->points[i]->id, p->id) == 0)
				memcpy(name, l->names[i], sizeof(name));
		point_list_put(l);
	}
	snprintf(out->point_name, sizeof(out->point_name), "%s/%s", p->vm,
		 name);
}

/* Whoever asks for the latest point gets the one whose time is the latest. */
static void warn_of_later(struct backup *b, const struct point *p)
{
	struct seam *s = vault_seam(b->vault);
	int64_t now_ns = s->ops->realtime_ns(s);
	const struct point_list *l = b->points;
	size_t i, last = l->n;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->vm, p->vm) == 0 &&
		    l->points[i]->time_ns > p->time_ns &&
		    point_is_to_come(l->points[i], now_ns))
			last = i;
	if (last < l->n)
		log_warn("%s/%s is dated in the future: until then %s/latest "
			 "is that point, and none that is made now",
			 p->vm, l->names[last], p->vm);
}

/* Whether the parent says all that the point would. Return 1, 0 or a negative
 * errno. */
static int is_unchanged(const struct backup *b, const struct point *p)
{
	return b->options->skip_if_unchanged && parent_equals(&b->parent, p) &&
			       is_parent_whole(b)
		       ? parent_still_stands(&b->parent)
		       : 0;
}

static int commit_point(struct backup *b, struct point *p,
			struct backup_result *out)
{
	int err;

	err = entries_finish(&b->entries, p);
	if (err == 0 && b->scan)
		err = left_out_note(b->options, b->scan, &p->left_out);
	if (err < 0)
		return err;
	point_sort(p);
	p->errors = atomic_load(&b->errors);
	p->incomplete = p->errors > 0;
	err = is_unchanged(b, p);
	if (err != 0) {
		out->skipped = err > 0;
		return MIN(err, 0);
	}
	err = writer_commit(b->writer, p);
	if (err < 0)
		return err;
	memcpy(out->point_id, p->id, sizeof(out->point_id));
	name_point(b, p, out);
	warn_of_later(b, p);
	return 0;
}

/* ---- the run ---- */

static void release(struct backup *b)
{
	(void)!end_readers(b);
	entries_release(&b->entries);
	writer_free(b->writer);
	pool_free(b->pool);
	parent_release(&b->parent);
	point_list_put(b->points);
	scan_close(b->scan);
	slots_release(&b->slots);
	pthread_cond_destroy(&b->ready);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

/* The machine that the key is for, or else @host. */
static const char *machine_of_key(const struct vault *v, const char *host)
{
	return vault_is_put_only(v) && vault_put_machine(v)[0]
		       ? vault_put_machine(v)
		       : host;
}

/* A key that adds points may be for those of one machine. */
static int may_make(const struct vault *v, const char *vm)
{
	if (strcmp(machine_of_key(v, vm), vm) == 0)
		return 0;
	return fail(-EPERM,
		    "%s: this key adds points of machine %s alone; leave out "
		    "--vm, or use another key",
		    vm, vault_put_machine(v));
}

static int make_point(struct backup *b, struct point *p,
		      struct backup_result *out)
{
	const struct backup_options *o = b->options;
	struct backup_disks disks = { .n = 0 };
	char hostname[256] = "localhost";
	const char *vm, *host;
	int err;

	(void)gethostname(hostname, sizeof(hostname) - 1);
	host = o->host ? o->host : hostname;
	vm = o->vm ? o->vm : machine_of_key(b->vault, host);
	if (!point_name_ok(vm))
		return fail(-EINVAL,
			    "\"%s\" cannot name a machine: 1 to 255 bytes "
			    "without '/'",
			    vm);
	if (point_name_is_latest(vm))
		return fail(-EINVAL,
			    "no machine can be called \"%s\", which names the"
			    " latest point of all; give another name with --vm",
			    vm);
	err = may_make(b->vault, vm);
	if (err < 0)
		return err;
	err = begin(b, vm, host, &disks);
	if (err == 0)
		err = describe(b, vm, host, p);
	if (err == 0)
		err = read_all(b, &disks, p);
	if (err == 0 && b->writer)
		err = commit_point(b, p, out);
	backup_disks_close(&disks);
	return err;
}

int backup_run(struct vault *v, const struct backup_options *o,
	       struct task *task, struct backup_result *out)
{
	struct seam *seam = vault_seam(v);
	struct writer_stats stats = { 0 };
	struct point *p = point_new();
	struct backup *b = calloc(1, sizeof(*b));
	int err;

	memset(out, 0, sizeof(*out));
	if (!p || !b) {
		point_free(p);
		free(b);
		return -ENOMEM;
	}
	p->scan_start_ns = seam->ops->realtime_ns(seam);
	b->options = o;
	b->vault = v;
	b->task = task;
	b->start_ns = seam->ops->monotonic_ns(seam);
	pthread_mutex_init(&b->lock, NULL);
	pthread_cond_init(&b->ready, NULL);
	err = make_point(b, p, out);
	if (b->writer && (err < 0 || out->skipped)) {
		(void)!end_readers(b);
		writer_abandon(b->writer);
	}
	update_progress(b);
	task_tick_now(task, &b->progress);
	if (b->writer)
		writer_get_stats(b->writer, &stats);
	out->packs_adopted = stats.packs_adopted;
	out->progress = b->progress;
	release(b);
	point_free(p);
	return err;
}
