/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "store/base/log.h"
#include "store/base/seam.h"

struct args {
	const char *older;
};

static const struct option_row rows[] = {
	OPT_STRING("older", 0, "AGE", struct args, older,
		   "clear: only what was not used for AGE, as in 30d"),
	OPT_END
};

#define ID_DIGITS 32

/* A vault's folder in the cache: its name is the vault's id, and says where the
 * vault is (store/vault_open.c). Without that, it is of an older program. */
static bool is_vault_folder(const char *name)
{
	static const char digits[] = "0123456789abcdef";
	size_t len = strlen(name);

	return strspn(name, digits) == ID_DIGITS &&
	       (len == ID_DIGITS ||
		(len == ID_DIGITS + 17 && name[ID_DIGITS] == '-' &&
		 strspn(name + ID_DIGITS + 1, digits) == 16));
}

/* Sum up, or remove (@remove), the files of one folder. */
static int visit_folder(int cache_fd, const char *name, bool remove,
			uint64_t *size, int64_t *used)
{
	int fd, r = 0;
	struct dirent *e;
	struct stat st;
	DIR *d;

	fd = openat(cache_fd, name,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (!d) {
		r = -errno;
		if (fd >= 0)
			close(fd);
		return r;
	}
	while ((e = readdir(d)) && r == 0) {
		if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
			continue;
		if (fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (!S_ISREG(st.st_mode))
			continue; /* not ours */
		*size += (uint64_t)st.st_blocks * 512;
		*used = MAX(*used, (int64_t)st.st_mtim.tv_sec);
		*used = MAX(*used, (int64_t)st.st_atim.tv_sec);
		if (remove && unlinkat(fd, e->d_name, 0) < 0)
			r = -errno;
	}
	closedir(d);
	if (r == 0 && remove && unlinkat(cache_fd, name, AT_REMOVEDIR) < 0)
		r = -errno;
	return r;
}

struct cache_dir {
	struct context *ctx;
	const char *dir;
	int fd;
	json_t *array;
	struct table *table;
	bool clear;
	int64_t before; /* clear: what was used before this second */
	uint64_t total, vaults;
};

static int visit(struct cache_dir *c, const char *name)
{
	char size_text[OUTPUT_SIZE_LEN], time[OUTPUT_TIME_LEN];
	char id[ID_DIGITS + 1];
	uint64_t size = 0;
	int64_t used = 0;
	json_t *o;
	int r;

	r = visit_folder(c->fd, name, false, &size, &used);
	if (r == 0 && c->clear) {
		if (used >= c->before)
			return 0;
		size = 0;
		r = visit_folder(c->fd, name, true, &size, &used);
	}
	if (r < 0)
		return fail(r, "%s/%s: %s", c->dir, name, strerror(-r));
	c->total += size;
	c->vaults++;
	if (c->ctx->json) {
		o = json_object();
		snprintf(id, sizeof(id), "%s", name);
		output_set_string(o, "vault_id", id);
		output_set_string(o, "folder", name);
		output_set_uint(o, "size", size);
		output_set_time(o, "last_used", used * 1000000000);
		json_array_append_new(c->array, o);
	} else {
		table_cell(c->table, "%s", name);
		table_cell(c->table, "%s", output_size(size, size_text));
		table_cell(c->table, "%s", output_short_time(used, time));
	}
	return 0;
}

static int visit_all(struct cache_dir *c)
{
	struct dirent *e;
	int r = 0;
	DIR *d;

	d = opendir(c->dir);
	if (!d && errno == ENOENT)
		return 0;
	if (!d)
		return fail(-errno, "%s: %s", c->dir, strerror(errno));
	c->fd = dirfd(d);
	while ((e = readdir(d)) && r == 0)
		if (is_vault_folder(e->d_name))
			r = visit(c, e->d_name);
	closedir(d);
	return r;
}

static int print_json(struct cache_dir *c)
{
	json_t *o = output_message("cache");

	output_set_string(o, "dir", c->dir);
	output_set_uint(o, "size", c->total);
	json_object_set(o, c->clear ? "cleared" : "vaults", c->array);
	return output_json(o);
}

static int print_text(struct cache_dir *c)
{
	char size[OUTPUT_SIZE_LEN];
	int r = 0;

	if (c->clear) {
		printf("%ju vault%s, %s, cleared from %s\n",
		       (uintmax_t)c->vaults, c->vaults == 1 ? "" : "s",
		       output_size(c->total, size), c->dir);
		return output_error();
	}
	if (c->vaults)
		r = table_print(c->table);
	printf("%s in %s\n", output_size(c->total, size), c->dir);
	return r;
}

static int run_cache(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	struct cache_dir c = { .ctx = ctx, .before = INT64_MAX };
	const char *what = argc ? argv[0] : "info";
	int64_t age;
	int r;

	if (argc > 1 ||
	    (strcmp(what, "info") != 0 && strcmp(what, "clear") != 0 &&
	     strcmp(what, "dir") != 0))
		return context_usage(ctx, "say cache info, clear or dir");
	r = context_cache_dir(ctx, &c.dir);
	if (r < 0)
		return r;
	if (!c.dir)
		return fail(-EINVAL, "there is no cache directory: set"
				     " --cache-dir or HOME");
	if (a->older) {
		if (options_duration(a->older, &age) < 0)
			return context_usage(
				ctx, "--older: \"%s\" is not an age", a->older);
		c.before = (ctx->seam->ops->realtime_ns(ctx->seam) - age) /
			   1000000000;
	}
	if (!strcmp(what, "dir") && !ctx->json) {
		printf("%s\n", c.dir);
		return 0;
	}
	c.clear = !strcmp(what, "clear");
	c.array = json_array();
	c.table = table_new(3, 1 << 1);
	if (c.array && c.table)
		r = visit_all(&c);
	else
		r = -ENOMEM;
	if (r == 0)
		r = ctx->json ? print_json(&c) : print_text(&c);
	json_decref(c.array);
	table_free(c.table);
	return r;
}

const struct command cmd_cache = {
	.name = "cache",
	.operands = "[info|clear|dir]",
	.summary = "show or remove what is kept on this machine",
	.help = "The cache holds a database for each vault, made from the"
		" vault: removing it costs time, nothing else. Needs neither"
		" the vault nor a password.",
	.words = "info clear dir",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_cache,
};
