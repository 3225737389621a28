/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/stats/growth.h"
#include "src/stats/holders.h"
#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/catalog/catalog.h"
#include "store/crypt/keyring.h"
#include "store/epoch/epoch.h"
#include "store/point.h"
#include "store/vault.h"

#define KINDS_MAX 24

struct args {
	const char *by, *history;
};

static const struct option_row rows[] = {
	OPT_STRING("by", 0, "point|machine|tag", struct args, by,
		   "show what each of them holds alone, and what it shares"),
	OPT_STRING("history", 0, "point|day|month|year", struct args, history,
		   "show how much was added in each"),
	OPT_END
};

/* Objects by the folder of their names. */
struct kind {
	char name[16];
	uint64_t objects, bytes;
};

struct stats {
	size_t points, machines;
	uint64_t entries, files,
		bytes; /* of all points, as if each were whole */
	uint64_t disks, disk_bytes, disk_used; /* the same of disks */
	struct kind kinds[KINDS_MAX];
	size_t nkinds;
	uint64_t objects, stored;
	uint64_t cache;
	struct epoch_old old;
};

static int count_object(void *arg, const char *name,
			const struct backend_info *info)
{
	struct stats *s = arg;
	size_t len = strcspn(name, "/"), i;

	s->objects++;
	s->stored += info->size;
	for (i = 0; i < s->nkinds; i++)
		if (strlen(s->kinds[i].name) == len &&
		    !memcmp(s->kinds[i].name, name, len))
			break;
	if (i == s->nkinds) {
		if (i == KINDS_MAX || len >= sizeof(s->kinds[i].name))
			return 0; /* not of a vault; counted in the sum */
		memcpy(s->kinds[i].name, name, len);
		s->nkinds++;
	}
	s->kinds[i].objects++;
	s->kinds[i].bytes += info->size;
	return 0;
}

static void count_points(struct stats *s, const struct point_list *l)
{
	size_t i, j;

	for (i = 0; i < l->n; i++) {
		const struct point *p = l->points[i];

		s->points++;
		if (i == 0 || strcmp(p->vm, l->points[i - 1]->vm) != 0)
			s->machines++;
		s->entries += p->entries;
		s->files += p->files;
		s->bytes += p->bytes;
		for (j = 0; j < p->ndisks; j++) {
			s->disks++;
			s->disk_bytes += p->disks[j].size;
			s->disk_used += p->disks[j].used;
		}
	}
}

static double ratio(const struct stats *s)
{
	return s->stored ? (double)(s->bytes + s->disk_used) / (double)s->stored
			 : 0;
}

static int print_json(const struct stats *s, const struct vault *v)
{
	json_t *o = output_message("stats"), *kinds = json_object();
	size_t i;

	output_set_string(o, "vault_id", vault_id_hex(v));
	output_set_uint(o, "snapshots_count", s->points);
	output_set_uint(o, "points_count", s->points);
	output_set_uint(o, "machines_count", s->machines);
	output_set_uint(o, "total_entry_count", s->entries);
	output_set_uint(o, "total_file_count", s->files);
	output_set_uint(o, "total_size", s->bytes);
	output_set_uint(o, "disks_count", s->disks);
	output_set_uint(o, "disks_size", s->disk_bytes);
	output_set_uint(o, "disks_used", s->disk_used);
	output_set_uint(o, "stored_size", s->stored);
	output_set_uint(o, "objects_count", s->objects);
	json_object_set_new(o, "dedup_ratio", json_real(ratio(s)));
	for (i = 0; i < s->nkinds; i++) {
		json_t *one = json_object();

		output_set_uint(one, "count", s->kinds[i].objects);
		output_set_uint(one, "size", s->kinds[i].bytes);
		json_object_set_new(kinds, s->kinds[i].name, one);
	}
	json_object_set_new(o, "objects", kinds);
	output_set_uint(o, "cache_size", s->cache);
	output_set_uint(o, "epoch", keyring_epoch(vault_keyring(v)));
	output_set_uint(o, "packs_of_old_epochs", s->old.packs);
	output_set_uint(o, "bytes_of_old_epochs", s->old.bytes);
	return output_json(o);
}

static int print_text(const struct stats *s, const struct vault *v)
{
	char text[OUTPUT_SIZE_LEN];
	size_t i;

	printf("vault %s\n\n", vault_id_hex(v));
	printf("%-18s %12zu of %zu machine%s\n", "points", s->points,
	       s->machines, s->machines == 1 ? "" : "s");
	printf("%-18s %12" PRIu64 " in %" PRIu64 " files of %" PRIu64
	       " entries\n",
	       "bytes in points", s->bytes, s->files, s->entries);
	printf("%-18s %12s\n", "", output_size(s->bytes, text));
	if (s->disks > 0) {
		printf("%-18s %12" PRIu64 " used of %" PRIu64 " in %" PRIu64
		       " disks\n",
		       "bytes in disks", s->disk_used, s->disk_bytes, s->disks);
		printf("%-18s %12s\n", "", output_size(s->disk_used, text));
	}
	printf("%-18s %12s in %" PRIu64 " objects\n", "stored",
	       output_size(s->stored, text), s->objects);
	for (i = 0; i < s->nkinds; i++)
		printf("  %-16s %12s in %" PRIu64 "\n", s->kinds[i].name,
		       output_size(s->kinds[i].bytes, text),
		       s->kinds[i].objects);
	if (s->old.packs)
		printf("%-18s %12s in %" PRIu64 " packs: see prune --reseal\n",
		       "with older keys", output_size(s->old.bytes, text),
		       s->old.packs);
	printf("%-18s %12.2f\n", "ratio", ratio(s));
	printf("%-18s %12s\n", "local database", output_size(s->cache, text));
	return output_error();
}

/* All that is in the vault. */
static int run_totals(struct context *ctx, struct vault *v)
{
	struct stats s = { .points = 0 };
	struct point_list *l = NULL;
	int r = context_read_error(v, vault_points(v, &l));

	if (r == 0) {
		count_points(&s, l);
		r = vault_list(v, "", count_object, &s);
	}
	if (r == 0)
		r = catalog_size(vault_catalog(v), &s.cache);
	if (r == 0)
		r = epoch_count_old(v, &s.old);
	if (r == 0)
		r = ctx->json ? print_json(&s, v) : print_text(&s, v);
	point_list_put(l);
	return r;
}

/* Points that were forgotten take their bytes until they are deleted. */
static int list_all(struct vault *v, struct point_list **out)
{
	int r;

	vault_show_forgotten(v);
	r = context_read_error(v, vault_points(v, out));
	if (r == 0 && (*out)->ndamaged > 0)
		r = fail(-EBADMSG,
			 "%zu point%s cannot be read, so nobody knows what %s;"
			 " see \"vmbackup check\"",
			 (*out)->ndamaged, (*out)->ndamaged == 1 ? "" : "s",
			 (*out)->ndamaged == 1 ? "it has" : "they have");
	return r;
}

static int run_holders(struct context *ctx, struct vault *v, enum holders_by by)
{
	struct holders h = { .n = 0 };
	struct point_list *l = NULL;
	int r = list_all(v, &l);

	if (r == 0)
		r = context_read_error(v, holders_count(ctx, v, l, by, &h));
	if (r == 0)
		r = holders_print(&h, ctx->json);
	holders_release(&h);
	point_list_put(l);
	return r;
}

static int run_growth(struct context *ctx, struct vault *v, const char *period)
{
	struct point_list *l = NULL;
	int r = list_all(v, &l);

	if (r == 0)
		r = growth_print(l, period, ctx->json);
	point_list_put(l);
	return r;
}

static int run_stats(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	enum holders_by by = HOLDERS_BY_POINT;
	struct vault *v;
	int r;

	if (argc > 0)
		return context_usage(ctx, "\"%s\" is too much", argv[0]);
	if (a->by && a->history)
		return context_usage(ctx, "--by or --history: not both");
	if (a->by && holders_parse(a->by, &by) < 0)
		return context_usage(
			ctx, "--by %s: there are point, machine and tag",
			a->by);
	if (a->history && !growth_period_ok(a->history))
		return context_usage(ctx,
				     "--history %s: there are point, day, "
				     "month and year",
				     a->history);
	r = context_open_vault(ctx, &v);
	if (r < 0)
		return r;
	r = a->by	 ? run_holders(ctx, v, by)
	    : a->history ? run_growth(ctx, v, a->history)
			 : run_totals(ctx, v);
	vault_close(v);
	return r;
}

const struct command cmd_stats = {
	.name = "stats",
	.summary = "show how much the points hold and the vault stores",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_stats,
};
