/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/mount/options.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "src/cli/options.h"
#include "store/base/log.h"

#define SECOND INT64_C(1000000000)
#define THREADS_MAX 64

enum kind {
	FLAG, /* bool */
	TEXT, /* char *, owned */
	SIZE, /* uint64_t, bytes */
	SECONDS, /* int64_t ns: "10", "1.5" is not; or a duration "5m" */
	THREADS,
	USER,
	GROUP,
	UMASK,
	IDMAP,
	LUKS_KEY,
	TZ,
};

struct row {
	const char *name;
	enum kind kind;
	size_t off;
};

#define ROW(name, kind, field)                                                 \
	{                                                                      \
		name, kind, offsetof(struct mount_options, field)              \
	}

static const struct row rows[] = {
	ROW("allow_other", FLAG, allow_other),
	ROW("allow_root", FLAG, allow_root),
	ROW("noexec", FLAG, noexec),
	ROW("verify", FLAG, verify),
	ROW("nofollow_cpu", FLAG, stay),
	ROW("keyfile", TEXT, keyfile),
	ROW("passwordfile", TEXT, passwordfile),
	ROW("cachedir", TEXT, cachedir),
	ROW("fsname", TEXT, fsname),
	ROW("vm", TEXT, vm),
	ROW("point", TEXT, point),
	ROW("cachesize", SIZE, cache_size),
	ROW("readahead", SIZE, readahead),
	ROW("refresh", SECONDS, refresh_ns),
	ROW("io_timeout", SECONDS, deadline_ns),
	{ "threads", THREADS, 0 },
	{ "uid", USER, 0 },
	{ "gid", GROUP, 0 },
	{ "umask", UMASK, 0 },
	{ "idmap", IDMAP, 0 },
	{ "lukskey", LUKS_KEY, 0 },
	{ "tz", TZ, 0 },
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
	"nosymfollow", "symfollow",
};

void mount_options_init(struct mount_options *o)
{
	memset(o, 0, sizeof(*o));
	o->refresh_ns = 1 * SECOND;
	o->deadline_ns = 300 * SECOND;
}

void mount_options_release(struct mount_options *o)
{
	free(o->policy.ranges);
	while (o->nluks_keys > 0)
		free(o->luks_keys[--o->nluks_keys]);
	free(o->luks_keys);
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

static int set_text(char **at, const char *value)
{
	char *copy = strdup(value);

	if (!copy)
		return -ENOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static int set_number(const char *value, int base, unsigned long max,
		      unsigned long *out)
{
	char *end;

	if (value[0] < '0' || value[0] > '9')
		return -EINVAL;
	errno = 0;
	*out = strtoul(value, &end, base);
	return errno || *end || *out > max ? -EINVAL : 0;
}

static int set_seconds(int64_t *at, const char *value)
{
	unsigned long n;

	if (set_number(value, 10, 1000000000, &n) == 0) {
		*at = (int64_t)n * SECOND;
		return 0;
	}
	return options_duration(value, at);
}

static int set_user(struct attr_policy *p, const char *value)
{
	unsigned long n;
	struct passwd *pw;

	p->set_uid = true;
	if (set_number(value, 10, UINT32_MAX - 1, &n) == 0) {
		p->uid = (uid_t)n;
		return 0;
	}
	pw = getpwnam(value);
	if (!pw)
		return fail(-EINVAL, "mount option uid=%s: no such user",
			    value);
	p->uid = pw->pw_uid;
	return 0;
}

static int set_group(struct attr_policy *p, const char *value)
{
	unsigned long n;
	struct group *gr;

	p->set_gid = true;
	if (set_number(value, 10, UINT32_MAX - 1, &n) == 0) {
		p->gid = (gid_t)n;
		return 0;
	}
	gr = getgrnam(value);
	if (!gr)
		return fail(-EINVAL, "mount option gid=%s: no such group",
			    value);
	p->gid = gr->gr_gid;
	return 0;
}

/* Ranges, with '+' between them. */
static int add_ranges(struct attr_policy *p, char *value)
{
	char *text;

	while ((text = strsep(&value, "+"))) {
		struct attr_range *ranges, range;
		int r = attr_parse_range(text, &range);

		if (r < 0)
			return r;
		ranges = reallocarray(p->ranges, p->nranges + 1,
				      sizeof(*ranges));
		if (!ranges)
			return -ENOMEM;
		p->ranges = ranges;
		p->ranges[p->nranges++] = range;
	}
	return 0;
}

static int add_luks_key(struct mount_options *o, const char *value)
{
	char **keys =
		reallocarray(o->luks_keys, o->nluks_keys + 1, sizeof(*keys));

	if (!keys)
		return -ENOMEM;
	o->luks_keys = keys;
	keys[o->nluks_keys] = strdup(value);
	if (!keys[o->nluks_keys])
		return -ENOMEM;
	o->nluks_keys++;
	return 0;
}

static int set_row(struct mount_options *o, const struct row *row, char *value)
{
	void *at = (char *)o + row->off;
	unsigned long n = 0;
	int r = 0;

	switch (row->kind) {
	case FLAG:
		*(bool *)at = true;
		break;
	case TEXT:
		return *value ? set_text(at, value) : -EINVAL;
	case SIZE:
		return options_size(value, at);
	case SECONDS:
		return set_seconds(at, value);
	case THREADS:
		r = set_number(value, 10, THREADS_MAX, &n);
		o->threads = (unsigned int)n;
		break;
	case USER:
		return set_user(&o->policy, value);
	case GROUP:
		return set_group(&o->policy, value);
	case UMASK:
		r = set_number(value, 8, 0777, &n);
		o->policy.umask = (mode_t)n;
		break;
	case IDMAP:
		return add_ranges(&o->policy, value);
	case LUKS_KEY:
		return *value ? add_luks_key(o, value) : -EINVAL;
	case TZ:
		if (strcmp(value, "UTC") != 0)
			return fail(-EINVAL,
				    "mount option tz=%s: names of "
				    "points are in UTC",
				    value);
		break;
	}
	return r;
}

static int take_word(struct mount_options *o, char *word)
{
	char *value = strchr(word, '=');
	size_t i;
	int r;

	if (value)
		*value++ = '\0';
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		if (strcmp(rows[i].name, word) == 0)
			break;
	if (i == ARRAY_SIZE(rows)) {
		if (is_passed_over(word) || strcmp(word, "comment") == 0)
			return 0;
		if (strcmp(word, "rw") == 0)
			return fail(-EINVAL, "mount option rw: a vault's "
					     "points are read-only, always");
		return fail(-EINVAL,
			    "mount option %s: not known; see "
			    "mount.vmbackupfs(8)",
			    word);
	}
	if ((rows[i].kind == FLAG) != !value)
		return fail(-EINVAL, "mount option %s: %s", word,
			    value ? "takes no value" : "needs a value");
	r = set_row(o, &rows[i], value);
	if (r == -EINVAL && rows[i].kind != USER && rows[i].kind != GROUP &&
	    rows[i].kind != TZ)
		return fail(r, "mount option %s=%s: not a value it can have",
			    word, value);
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
