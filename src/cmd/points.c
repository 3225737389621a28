/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/filter.h"
#include "store/base/hex.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/crypt/sign.h"
#include "store/point.h"
#include "store/vault.h"

struct args {
	struct point_filter filter;
};

static const struct option_row rows[] = {
	POINTS_FILTER_ROWS(struct args, filter), OPT_END
};

static json_t *strings(char *const *items, size_t n)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < n; i++) {
		json_t *one = json_object();

		output_set_string(one, "s", items[i]);
		json_array_append(array, json_object_get(one, "s"));
		json_decref(one);
	}
	return array;
}

static json_t *disks_json(const struct point *p)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < p->ndisks; i++) {
		json_t *o = json_object();

		output_set_string(o, "name", p->disks[i].name);
		output_set_uint(o, "size", p->disks[i].size);
		output_set_uint(o, "used", p->disks[i].used);
		if (p->disks[i].format)
			output_set_string(o, "format", p->disks[i].format);
		if (p->disks[i].source)
			output_set_string(o, "source", p->disks[i].source);
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *configs_json(const struct point *p)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; i < p->nconfigs; i++) {
		json_t *o = json_object();

		output_set_string(o, "name", p->configs[i].name);
		output_set_uint(o, "size", p->configs[i].size);
		json_array_append_new(list, o);
	}
	return list;
}

static void set_signature(json_t *o, struct vault *v, const struct point *p)
{
	uint8_t key[SIGN_KEY_LEN];
	char hex[2 * SIGN_KEY_LEN + 1];
	enum point_signature s = vault_signature(v, p, key);

	output_set_string(o, "signature",
			  s == POINT_UNSIGNED		? "none"
			  : s == POINT_SIGNED_ELSEWHERE ? "of another vault"
							: "valid");
	output_set_string(o, "signer_trust", point_signature_word(s));
	if (s == POINT_UNSIGNED)
		return;
	hex_encode(key, sizeof(key), hex);
	output_set_string(o, "signer", hex);
}

/* The names are restic's where it has the thing. */
static json_t *point_json(struct vault *v, const struct point_list *l, size_t i,
			  int64_t now_ns)
{
	const struct point *p = l->points[i];
	json_t *o = json_object(), *summary = json_object();
	char root[2 * ID_LEN + 1], short_id[9], name[512];

	filter_name(l, i, name, sizeof(name));
	snprintf(short_id, sizeof(short_id), "%.8s", p->id);
	output_set_time(o, "time", p->time_ns);
	if (p->parent[0])
		output_set_string(o, "parent", p->parent);
	if (p->has_tree) {
		filter_root_hex(p, root);
		output_set_string(o, "tree", root);
	}
	json_object_set_new(o, "paths", strings(p->sources, p->nsources));
	if (p->ndisks)
		json_object_set_new(o, "disks", disks_json(p));
	if (p->nconfigs)
		json_object_set_new(o, "config", configs_json(p));
	output_set_string(o, "vm", p->vm);
	output_set_string(o, "hostname", p->host);
	if (p->user)
		output_set_string(o, "username", p->user);
	json_object_set_new(o, "tags", strings(p->tags, p->ntags));
	output_set_string(o, "program_version", p->program);
	output_set_uint(summary, "total_entries", p->entries);
	output_set_uint(summary, "total_files_processed", p->files);
	output_set_uint(summary, "total_bytes_processed", p->bytes);
	output_set_uint(summary, "data_added", p->data_added);
	output_set_uint(summary, "data_added_packed", p->data_added_packed);
	json_object_set_new(o, "summary", summary);
	output_set_string(o, "machine", p->machine);
	set_signature(o, v, p);
	output_set_bool(o, "untrusted", p->is_untrusted);
	output_set_bool(o, "protected", p->is_protected);
	output_set_bool(o, "suspicious", p->is_suspicious);
	output_set_bool(o, "verified", p->is_verified);
	if (p->keep_until_ns > 0)
		output_set_time(o, "keep_until", p->keep_until_ns);
	if (p->nopen_forgets > 0) {
		output_set_bool(o, "forgotten", true);
		output_set_time(o, "forgotten_time", p->forgotten_ns);
		output_set_time(o, "undelete_until", p->until_ns);
		if (p->forget_reason)
			output_set_string(o, "forget_reason", p->forget_reason);
	}
	output_set_bool(o, "incomplete", p->incomplete);
	output_set_bool(o, "in_future", point_is_to_come(p, now_ns));
	output_set_uint(o, "error_count", p->errors);
	output_set_string(o, "id", p->id);
	output_set_string(o, "short_id", short_id);
	output_set_string(o, "point", name);
	return o;
}

static int print_json(struct vault *v, const struct point_list *l,
		      const bool *wanted, int64_t now_ns)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < l->n; i++)
		if (wanted[i])
			json_array_append_new(array,
					      point_json(v, l, i, now_ns));
	return output_json(array);
}

static void put(struct buf *out, const char *text)
{
	buf_put(out, text, strlen(text));
}

static void put_strings(struct buf *out, const char *between,
			char *const *items, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		put(out, i > 0 ? between : "");
		put(out, items[i]);
	}
}

/* Put what was written into the next cell, and empty @text. */
static void end_cell(struct table *t, struct buf *text)
{
	table_text(t, text->len ? (const char *)text->data : "", text->len);
	buf_clear(text);
}

static void put_forgotten(struct buf *out, const struct point *p)
{
	char until[OUTPUT_TIME_LEN];

	buf_printf(out, " (forgotten, until %s)",
		   output_short_time(p->until_ns / 1000000000, until));
}

/* Where none is signed nothing is said of it. */
static const char *signature_mark(const struct point_list *l, size_t i)
{
	static const char *const marks[] = {
		[POINT_UNSIGNED] = " (unsigned)",
		[POINT_SIGNED] = " (unknown signer)",
		[POINT_SIGNED_TRUSTED] = " (signed)",
		[POINT_SIGNED_BY_ANOTHER] = " (ANOTHER SIGNER)",
		[POINT_SIGNED_REVOKED] = " (REVOKED SIGNER)",
		[POINT_SIGNED_ELSEWHERE] = " (SIGNED FOR ANOTHER VAULT)",
	};

	return marks[point_list_signature(l, i)];
}

/* There may be ten thousand of them, so nothing here is formatted that need not
 * be. */
static void add_row(struct table *t, const struct point_list *l, size_t i,
		    int64_t now_ns, struct buf *text)
{
	const struct point *p = l->points[i];
	char size[OUTPUT_SIZE_LEN];
	uint64_t used = p->bytes;
	size_t n;

	table_text(t, p->id, 8);
	put(text, p->vm);
	put(text, "/");
	put(text, l->names[i]);
	put(text, p->incomplete ? " (incomplete)" : "");
	put(text, p->is_suspicious ? " (suspicious)" : "");
	put(text, p->is_protected ? " (protected)" : "");
	put(text, point_is_to_come(p, now_ns) ? " (in the future)" : "");
	if (l->signatures)
		put(text, signature_mark(l, i));
	if (p->nopen_forgets)
		put_forgotten(text, p);
	end_cell(t, text);
	table_text(t, p->host, strlen(p->host));
	put_strings(text, ",", p->tags, p->ntags);
	end_cell(t, text);
	output_number(p->entries, size);
	table_text(t, size, strlen(size));
	for (n = 0; n < p->ndisks; n++)
		used += p->disks[n].used;
	output_size(used, size);
	table_text(t, size, strlen(size));
	put_strings(text, " ", p->sources, p->nsources);
	for (n = 0; n < p->ndisks; n++) {
		put(text, text->len ? " disk:" : "disk:");
		put(text, p->disks[n].name);
	}
	end_cell(t, text);
}

static int print_table(const struct point_list *l, const bool *wanted,
		       int64_t now_ns)
{
	static const char *const titles[] = { "Id",   "Point",	 "Host",
					      "Tags", "Entries", "Size",
					      "Paths" };
	struct table *t = table_new(ARRAY_SIZE(titles), 1 << 4 | 1 << 5);
	AUTO_BUF struct buf text = BUF_INIT;
	size_t i, n = 0;
	int r;

	if (!t)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(titles); i++)
		table_cell(t, "%s", titles[i]);
	table_line(t);
	for (i = 0; i < l->n; i++) {
		if (!wanted[i])
			continue;
		add_row(t, l, i, now_ns, &text);
		n++;
	}
	table_fit(t); /* the paths */
	r = table_print(t);
	table_free(t);
	if (r == 0)
		printf("%zu point%s\n", n, n == 1 ? "" : "s");
	return r;
}

int filter_report_names(const struct point_list *l)
{
	size_t i;
	int r = 0;

	for (i = 0; i < l->nmachines; i++)
		if (l->machines[i].in_doubt)
			r = fail(-EBADMSG,
				 "%s: what this machine is called now is lost "
				 "or cannot be read; run: vmbackup rename %s "
				 "NAME",
				 l->machines[i].name, l->machines[i].name);
	return r;
}

static int fail_untrusted(struct vault *v, const struct point *p)
{
	uint8_t key[SIGN_KEY_LEN];
	char name[POINT_NAME_LEN];

	point_put_name(p, 0, name);
	return fail(
		-EBADMSG,
		"the point %s/%s (%.8s) is untrusted: this vault demands a "
		"signature of one who may sign for its machine, and that of "
		"this point is: %s; it is read with --untrusted only",
		p->vm, name, p->id,
		point_signature_word(vault_signature(v, p, key)));
}

int filter_print(struct context *ctx, const struct point_filter *f)
{
	struct point_list *l = NULL;
	struct vault *v = NULL;
	int64_t now_ns = ctx->seam->ops->realtime_ns(ctx->seam);
	bool *wanted = NULL;
	size_t i;
	int r, untrusted = 0;

	r = context_open_vault_only(ctx, &v);
	if (r == 0)
		r = context_read_error(v, vault_points(v, &l));
	if (r == 0)
		r = point_filter_apply(f, l, &wanted);
	if (r == 0)
		r = ctx->json ? print_json(v, l, wanted, now_ns)
			      : print_table(l, wanted, now_ns);
	for (i = 0; r >= 0 && i < l->nuntrusted; i++)
		untrusted = fail_untrusted(v, l->untrusted[i]);
	for (i = 0; r >= 0 && i < l->ndamaged; i++)
		r = fail(-EBADMSG,
			 "point %s cannot be read; run: vmbackup"
			 " check",
			 l->damaged[i]);
	if (r >= 0 && filter_report_names(l) < 0)
		r = -EBADMSG;
	if (r >= 0 && untrusted < 0)
		r = untrusted;
	free(wanted);
	point_list_put(l);
	vault_close(v);
	return r;
}

static int run_points(struct context *ctx, void *args, int argc, char **argv)
{
	struct args *a = args;

	if (argc > 0)
		return context_usage(ctx, "\"%s\" is too much", argv[0]);
	return filter_print(ctx, &a->filter);
}

const struct command cmd_points = {
	.name = "points",
	.aliases = "snapshots list",
	.summary = "list the recovery points",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_points,
};
