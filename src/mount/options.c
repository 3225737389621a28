/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/mount/options.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "fs/fuse/loop.h"
#include "src/cli/options.h"
#include "store/base/array.h"
#include "store/base/log.h"

#define SECOND INT64_C(1000000000)

/*
 * One row a mount option: the parser's, the help text's, and the manual's (a
 * test compares the two). @set puts @value into @field, which is the member of
 * struct mount_options at @off; it returns 0, -ENOMEM, or -EINVAL where the
 * value makes no sense, for the reason in @wrong.
 */
struct row {
	const char *name;
	const char *arg; /* what stands behind "="; NULL: nothing does */
	const char *help;
	int (*set)(void *field, const char *value);
	size_t off;
	const char *wrong; /* NULL: "not a value it can have" */
};

/* Of fstab(5), mount(8) and FUSE; true here anyway, or without a meaning for
 * a mount that nothing is written to. */
static const char *const passed_over[] = {
	"ro",	       "nosuid",     "suid",	    "nodev",
	"dev",	       "exec",	     "defaults",    "auto",
	"noauto",      "nofail",     "user",	    "nouser",
	"users",       "owner",	     "group",	    "_netdev",
	"atime",       "noatime",    "diratime",    "nodiratime",
	"relatime",    "norelatime", "strictatime", "nostrictatime",
	"lazytime",    "nolazytime", "async",	    "sync",
	"dirsync",     "silent",     "loud",	    "mand",
	"nomand",      "iversion",   "noiversion",  "default_permissions",
	"nosymfollow", "symfollow",  "comment",
};

void mount_options_init(struct mount_options *o)
{
	memset(o, 0, sizeof(*o));
	o->refresh_ns = 1 * SECOND;
	o->deadline_ns = 300 * SECOND;
}

static void release_list(struct mount_list *list)
{
	while (list->n > 0)
		free(list->items[--list->n]);
	free(list->items);
}

void mount_options_release(struct mount_options *o)
{
	free(o->policy.ranges);
	release_list(&o->luks_keys);
	release_list(&o->trusted);
	free(o->keyfile);
	free(o->passwordfile);
	free(o->cachedir);
	free(o->fsname);
	free(o->vm);
	free(o->point);
	memset(o, 0, sizeof(*o));
}

static bool is_passed_over(const char *name)
{
	size_t i;

	if (strncmp(name, "x-", 2) == 0 || strncmp(name, "X-", 2) == 0)
		return true;
	for (i = 0; i < ARRAY_SIZE(passed_over); i++)
		if (strcmp(name, passed_over[i]) == 0)
			return true;
	return false;
}

/* ---- what a value becomes ---- */

static int set_flag(void *field, const char *value)
{
	(void)value;
	*(bool *)field = true;
	return 0;
}

static int set_text(void *field, const char *value)
{
	char **at = field, *copy;

	if (!*value)
		return -EINVAL;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static int set_size(void *field, const char *value)
{
	return options_size(value, field);
}

static int parse_number(const char *value, int base, unsigned long max,
			unsigned long *out)
{
	char *end;

	if (value[0] < '0' || value[0] > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoul(value, &end, base);
	return errno || *end || *out > max ? -EINVAL : 0;
}

/* Nanoseconds: a number of seconds, or a duration such as "5m". */
static int set_seconds(void *field, const char *value)
{
	unsigned long n;

	if (parse_number(value, 10, 1000000000, &n) < 0)
		return options_duration(value, field);
	*(int64_t *)field = (int64_t)n * SECOND;
	return 0;
}

static int set_threads(void *field, const char *value)
{
	unsigned long n;
	int r = parse_number(value, 10, LOOP_THREADS_MAX, &n);

	if (r == 0)
		*(unsigned int *)field = (unsigned int)n;
	return r;
}

static int set_user(void *field, const char *value)
{
	struct attr_policy *p = field;
	unsigned long n;
	struct passwd *pw;

	if (parse_number(value, 10, UINT32_MAX - 1, &n) < 0) {
		pw = getpwnam(value);
		if (!pw)
			return -EINVAL;
		n = pw->pw_uid;
	}
	p->set_uid = true;
	p->uid = (uid_t)n;
	return 0;
}

static int set_group(void *field, const char *value)
{
	struct attr_policy *p = field;
	unsigned long n;
	struct group *gr;

	if (parse_number(value, 10, UINT32_MAX - 1, &n) < 0) {
		gr = getgrnam(value);
		if (!gr)
			return -EINVAL;
		n = gr->gr_gid;
	}
	p->set_gid = true;
	p->gid = (gid_t)n;
	return 0;
}

static int set_umask(void *field, const char *value)
{
	unsigned long n;
	int r = parse_number(value, 8, 0777, &n);

	if (r == 0)
		((struct attr_policy *)field)->umask = (mode_t)n;
	return r;
}

/* Ranges with '+' between them, added to those there are. */
static int add_ranges(void *field, const char *value)
{
	struct attr_policy *p = field;
	AUTO_FREE char *copy = strdup(value);
	char *at = copy, *text;

	if (!copy)
		return -ENOMEM;
	while ((text = strsep(&at, "+"))) {
		struct attr_range range;
		int r = attr_parse_range(text, &range);

		if (r == 0)
			r = array_reserve(&p->ranges, &p->ranges_cap,
					  p->nranges + 1);
		if (r < 0)
			return r;
		p->ranges[p->nranges++] = range;
	}
	return 0;
}

static int add_to_list(void *field, const char *value)
{
	struct mount_list *list = field;
	char *copy;

	if (!*value)
		return -EINVAL;
	if (array_reserve(&list->items, &list->cap, list->n + 1) < 0)
		return -ENOMEM;
	copy = strdup(value);
	if (!copy)
		return -ENOMEM;
	list->items[list->n++] = copy;
	return 0;
}

/* There is only one time zone that names of points are in. */
static int check_time_zone(void *field, const char *value)
{
	(void)field;
	return strcmp(value, "UTC") == 0 ? 0 : -EINVAL;
}

/* ---- the table ---- */

#define FIELD(f) offsetof(struct mount_options, f)
#define FLAG(name, field, help)                                                \
	{                                                                      \
		name, NULL, help, set_flag, FIELD(field), NULL                 \
	}
#define VALUE(name, arg, set, field, help)                                     \
	{                                                                      \
		name, arg, help, set, FIELD(field), NULL                       \
	}

static const struct row rows[] = {
	VALUE("keyfile", "FILE", set_text, keyfile,
	      "a key file that opens the vault"),
	VALUE("passwordfile", "FILE", set_text, passwordfile,
	      "a file whose first line is the password"),
	VALUE("lukskey", "FILE", add_to_list, luks_keys,
	      "opens encrypted volumes; may be repeated"),
	VALUE("trust", "KEY", add_to_list, trusted,
	      "a signing key that may sign for all machines; may be repeated"),
	VALUE("cachedir", "DIR", set_text, cachedir,
	      "where local databases are kept"),
	VALUE("cachesize", "SIZE", set_size, cache_size,
	      "memory for what was decoded (64M)"),
	VALUE("vm", "VM", set_text, vm, "show the points of one machine only"),
	VALUE("point", "POINT", set_text, point, "show one point only"),
	FLAG("forgotten", forgotten, "show points that were forgotten, too"),
	FLAG("untrusted", untrusted,
	     "show points without a signature that the vault demands, too"),
	FLAG("allow_other", allow_other,
	     "others may look, as the permissions let them"),
	FLAG("allow_root", allow_root, "root may look, too"),
	{ "uid", "USER", "show stored files as that user's", set_user,
	  FIELD(policy), "no such user" },
	{ "gid", "GROUP", "show stored files as that group's", set_group,
	  FIELD(policy), "no such group" },
	VALUE("umask", "MODE", set_umask, policy,
	      "permissions (octal) to take away from everything"),
	VALUE("idmap", "RANGE[+RANGE]...", add_ranges, policy,
	      "show stored ids FROM:TO[:COUNT] as others"),
	FLAG("noverify", noverify, "do not compare chunks with their names"),
	VALUE("readahead", "SIZE", set_size, readahead,
	      "how far the kernel reads ahead (1M)"),
	VALUE("refresh", "TIME", set_seconds, refresh_ns,
	      "how old the list of points may be (1 s)"),
	VALUE("io_timeout", "TIME", set_seconds, deadline_ns,
	      "then a request fails (300 s; 0: never)"),
	VALUE("threads", "N", set_threads, threads,
	      "threads that serve, at most 64"),
	VALUE("fsname", "NAME", set_text, fsname,
	      "what /proc/mounts shows as the source"),
	FLAG("noexec", noexec, "nothing on the mount can be run"),
	FLAG("nofollow_cpu", stay,
	     "do not serve a lone client on its own core"),
	{ "tz", "UTC", "names of points are in UTC, always", check_time_zone, 0,
	  "names of points are in UTC" },
};

void mount_options_usage(FILE *f)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int at = fprintf(f, "  %s%s%s", rows[i].name,
				 rows[i].arg ? "=" : "",
				 rows[i].arg ? rows[i].arg : "");

		fprintf(f, "%*s%s\n", MAX(26 - at, 2), "", rows[i].help);
	}
}

static const struct row *find_row(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].name, name) == 0)
			return &rows[i];
	return NULL;
}

/* ---- words ---- */

/* What is no row: return 0 where it may stand here all the same. */
static int take_foreign(const char *name)
{
	if (is_passed_over(name))
		return 0;
	if (strcmp(name, "rw") == 0)
		return fail(-EINVAL, "mount option rw: a vault's "
				     "points are read-only, always");
	if (strcmp(name, "remount") == 0)
		return fail(-EINVAL,
			    "mount option remount: the options of a mounted "
			    "vault cannot be changed; unmount it, and mount "
			    "it anew");
	return fail(-EINVAL,
		    "mount option %s: not known; see "
		    "mount.vmbackupfs --help",
		    name);
}

static int take_word(struct mount_options *o, char *word)
{
	char *value = strchr(word, '=');
	const struct row *row;
	int r;

	if (value)
		*value++ = '\0';
	row = find_row(word);
	if (!row)
		return take_foreign(word);
	if (!row->arg != !value)
		return fail(-EINVAL, "mount option %s: %s", word,
			    value ? "takes no value" : "needs a value");
	r = row->set((char *)o + row->off, value);
	if (r == -EINVAL)
		return fail(r, "mount option %s=%s: %s", word, value,
			    row->wrong ? row->wrong
				       : "not a value it can have");
	return r;
}

/* Cut the next word off, in place; "\," is a comma. NULL at the end. */
static char *next_word(char **at)
{
	char *word = *at, *in = word, *out = word;

	if (!word)
		return NULL;
	while (*in && *in != ',') {
		if (in[0] == '\\' && (in[1] == ',' || in[1] == '\\'))
			in++;
		*out++ = *in++;
	}
	*at = *in ? in + 1 : NULL;
	*out = '\0';
	return word;
}

int mount_options_parse(struct mount_options *o, const char *text,
			bool from_mount)
{
	AUTO_FREE char *copy = strdup(text);
	char *at = copy, *word;
	bool first = true;
	int r;

	if (!copy)
		return -ENOMEM;
	while ((word = next_word(&at))) {
		bool skip = !*word ||
			    (first && from_mount && strcmp(word, "rw") == 0);

		first = false;
		r = skip ? 0 : take_word(o, word);
		if (r < 0)
			return r;
	}
	return 0;
}
