/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each option is taken apart here, so that a backup learns of nothing but disks
 * that have a name, a source and their files. */
#include "config.h"

#include "src/cmd/disk_args.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/context.h"
#include "store/point.h"

static bool matches(const struct string_list *patterns, const char *name)
{
	size_t i;

	for (i = 0; i < patterns->n; i++)
		if (fnmatch(patterns->items[i], name, 0) == 0)
			return true;
	return false;
}

static struct backup_disk *find(struct disk_set *s, const char *name,
				size_t len)
{
	size_t i;

	for (i = 0; i < s->ndisks; i++)
		if (strlen(s->disks[i].name) == len &&
		    memcmp(s->disks[i].name, name, len) == 0)
			return &s->disks[i];
	return NULL;
}

static int add_disk(struct context *ctx, struct disk_set *s, const char *text)
{
	const char *eq = strchr(text, '=');
	struct backup_disk *d = &s->disks[s->ndisks];
	char *name;

	if (!eq || eq == text || !eq[1])
		return context_usage(ctx,
				     "--disk \"%s\" is not NAME=SOURCE, as in"
				     " vda=/dev/vg/web1",
				     text);
	if (find(s, text, (size_t)(eq - text)))
		return context_usage(ctx, "--disk: \"%.*s\" is given twice",
				     (int)(eq - text), text);
	name = strndup(text, (size_t)(eq - text));
	if (!name)
		return -ENOMEM;
	d->name = name;
	d->source = eq + 1;
	s->ndisks++;
	if (!backup_member_name_ok(name))
		return context_usage(ctx,
				     "\"%s\" cannot be a disk's name: at most"
				     " 200 bytes, no '.' in front",
				     name);
	return 0;
}

/* Put @file where @option wants it, a member of the disk. */
static int set_file(struct context *ctx, const char *option, const char *text,
		    const struct backup_disk *d, const char *file,
		    const char **slot)
{
	if (*slot)
		return context_usage(ctx, "%s: disk \"%s\" has two", option,
				     d->name);
	if (!*file)
		return context_usage(ctx, "%s \"%s\": no file", option, text);
	*slot = file;
	return 0;
}

/* "NAME=FILE", or FILE alone where there is one disk. */
static int find_disk(struct context *ctx, struct disk_set *s,
		     const char *option, const char *text,
		     struct backup_disk **out, const char **file_out)
{
	const char *eq = strchr(text, '=');

	*out = eq ? find(s, text, (size_t)(eq - text)) : NULL;
	*file_out = *out ? eq + 1 : text;
	if (!*out && s->ndisks == 1)
		*out = &s->disks[0];
	return *out ? 0
		    : context_usage(ctx,
				    "%s \"%s\": for which disk? say NAME=FILE",
				    option, text);
}

static int add_map(struct context *ctx, struct disk_set *s, const char *text)
{
	struct backup_disk *d;
	const char *file;
	int r = find_disk(ctx, s, "--map", text, &d, &file);

	return r < 0 ? r : set_file(ctx, "--map", text, d, file, &d->map);
}

static int add_key(struct context *ctx, struct disk_set *s, const char *text)
{
	struct backup_disk *d;
	const char *file;
	int r = find_disk(ctx, s, "--image-key", text, &d, &file);

	return r < 0 ? r
		     : set_file(ctx, "--image-key", text, d, file,
				&d->image_key);
}

static int add_config(struct context *ctx, struct disk_set *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	size_t i;

	if (!backup_member_name_ok(name))
		return context_usage(ctx,
				     "--config \"%s\": a file's name here has"
				     " at most 200 bytes and no '.' in front",
				     path);
	for (i = 0; i < s->nconfigs; i++)
		if (strcmp(s->configs[i].name, name) == 0)
			return context_usage(ctx,
					     "--config: \"%s\" is given"
					     " twice",
					     name);
	s->configs[s->nconfigs++] = (struct backup_config){ name, path };
	return 0;
}

/* Drop what is not wanted. */
static void choose(struct disk_set *s, const struct disk_args *a)
{
	size_t i, n = 0;

	for (i = 0; i < s->ndisks; i++) {
		struct backup_disk *d = &s->disks[i];

		if ((a->includes.n && !matches(&a->includes, d->name)) ||
		    matches(&a->excludes, d->name))
			free((char *)d->name);
		else
			s->disks[n++] = *d;
	}
	s->ndisks = n;
}

static int check_bitmap(struct context *ctx, const char *option,
			const char *name, const struct disk_args *a)
{
	if (name && (!*name || strlen(name) > 1023))
		return context_usage(ctx, "%s: \"%s\" is no name of one",
				     option, name);
	if (name && a->disks.n == 0)
		return context_usage(ctx, "%s without a --disk", option);
	return 0;
}

int disk_args_parse(struct context *ctx, const struct disk_args *a,
		    struct disk_set *out)
{
	size_t i;
	int r = 0;

	memset(out, 0, sizeof(*out));
	out->disks = alloc_array(a->disks.n, sizeof(*out->disks));
	out->results = alloc_array(a->disks.n, sizeof(*out->results));
	out->configs = alloc_array(a->configs.n, sizeof(*out->configs));
	if (!out->disks || !out->results || !out->configs)
		return -ENOMEM;
	if (a->disks.n > POINT_DISKS_MAX || a->configs.n > POINT_CONFIGS_MAX)
		return context_usage(ctx,
				     "at most 1024 disks and config files");
	for (i = 0; i < a->disks.n && r == 0; i++)
		r = add_disk(ctx, out, a->disks.items[i]);
	for (i = 0; i < a->maps.n && r == 0; i++)
		r = add_map(ctx, out, a->maps.items[i]);
	for (i = 0; i < a->keys.n && r == 0; i++)
		r = add_key(ctx, out, a->keys.items[i]);
	for (i = 0; i < a->configs.n && r == 0; i++)
		r = add_config(ctx, out, a->configs.items[i]);
	if (r < 0)
		return r;
	r = check_bitmap(ctx, "--bitmap", a->bitmap, a);
	if (r == 0)
		r = check_bitmap(ctx, "--next-bitmap", a->next_bitmap, a);
	if (r < 0)
		return r;
	choose(out, a);
	if (a->disks.n > 0 && out->ndisks == 0)
		return context_usage(ctx, "no disk is left to be saved");
	return 0;
}

void disk_set_release(struct disk_set *s)
{
	size_t i;

	for (i = 0; i < s->ndisks; i++)
		free((char *)s->disks[i].name);
	free(s->disks);
	free(s->results);
	free(s->configs);
	memset(s, 0, sizeof(*s));
}
