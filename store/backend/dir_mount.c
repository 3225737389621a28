/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether the filesystem that a vault lies on shows at once what other machines put
 * there. Nothing that one machine can try tells: a folder that is answered from a cache
 * looks as it should to whoever changes it himself. What is known is what kind of
 * filesystem it is, and how it is mounted.
 *
 * NFS with its usual options asks the server anew for each folder that is opened, which
 * each listing does (close-to-open consistency, nfs(5)); with nocto it does not. What is
 * behind FUSE is any program, most of which keep what they know of a folder for some
 * seconds (sshfs: dcache_timeout, 20; s3fs: stat_cache_expire; rclone: --dir-cache-time,
 * 300); so does the client of SMB (actimeo, and leases on folders). Filesystems of this
 * kernel alone, and those of clusters that lock (CephFS, GFS2, Lustre, OCFS2), do not.
 */
#include "config.h"

#include "store/backend/dir_internal.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "store/base/buf.h"

/* ---- which mount it is ---- */

/* The number of the mount that @fd is on, as /proc knows it. */
static int mount_number(int fd, long *out)
{
	char path[64], line[128];
	FILE *f;
	int r = -ENOENT;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	while (r < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "mnt_id: %ld", out) == 1)
			r = 0;
	fclose(f);
	return r;
}

/* A line of /proc/self/mountinfo (proc(5)): number, parent, device, root, place,
 * options, fields that are left out or repeated, "-", type, source, options. */
static int parse_line(char *line, struct dir_mount *out)
{
	const char *field[3] = { "", "", "" };
	char *rest = strstr(line, " - "), *save = NULL, *word;
	const char *own = "";
	size_t i;

	if (!rest)
		return -EBADMSG;
	*rest = '\0';
	rest += strlen(" - ");
	for (i = 0; i < 3 && (word = strtok_r(i ? NULL : rest, " \n", &save));
	     i++)
		field[i] = word;
	word = strtok_r(line, " ", &save);
	for (i = 0; i < 5 && word; i++)
		word = strtok_r(NULL, " ", &save);
	own = word ? word : "";
	snprintf(out->type, sizeof(out->type), "%s", field[0]);
	if (asprintf(&out->options, "%s,%s", own, field[2]) >= 0)
		return 0;
	out->options = NULL;
	return -ENOMEM;
}

static int read_mounts(long number, struct dir_mount *out)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;
	int r = -ENOENT;

	if (!f)
		return -errno;
	while (r == -ENOENT && getline(&line, &cap, f) > 0)
		if (strtol(line, NULL, 10) == number)
			r = parse_line(line, out);
	free(line);
	fclose(f);
	return r;
}

/* Where there is no /proc: the kind alone. */
static int ask_kind(int fd, struct dir_mount *out)
{
	static const struct {
		unsigned long magic;
		const char *type;
	} kinds[] = {
		{ FUSE_SUPER_MAGIC, "fuse" }, { CIFS_SUPER_MAGIC, "cifs" },
		{ SMB2_SUPER_MAGIC, "cifs" }, { SMB_SUPER_MAGIC, "cifs" },
		{ NFS_SUPER_MAGIC, "nfs" },
	};
	struct statfs fs;
	size_t i;

	if (fstatfs(fd, &fs) < 0)
		return -errno;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if ((unsigned long)fs.f_type == kinds[i].magic) {
			snprintf(out->type, sizeof(out->type), "%s",
				 kinds[i].type);
			out->options = strdup("");
			return out->options ? 0 : -ENOMEM;
		}
	return -ENOENT;
}

int dir_mount_of(int fd, struct dir_mount *out)
{
	long number;
	int r = mount_number(fd, &number);

	if (r == 0)
		r = read_mounts(number, out);
	return r == 0 ? 0 : ask_kind(fd, out);
}

/* ---- what to think of it ---- */

/* The value of an option of a list, "" for one without; NULL: it is not there. */
static const char *find_option(const char *options, const char *name)
{
	size_t n = strlen(name);
	const char *p = options;

	while (p) {
		if (strncmp(p, name, n) == 0 && p[n] == '=')
			return p + n + 1;
		if (strncmp(p, name, n) == 0 && (p[n] == ',' || !p[n]))
			return "";
		p = strchr(p, ',');
		p = p ? p + 1 : NULL;
	}
	return NULL;
}

static bool is_over(const char *options, const char *name, long max)
{
	const char *value = find_option(options, name);

	return value && strtol(value, NULL, 10) > max;
}

/* The times for folders, in seconds, that are not mentioned are these. */
#define NFS_DIR_MIN 30
#define NFS_DIR_MAX 60

static const char *nfs_lag(const char *options)
{
	if (find_option(options, "nocto"))
		return "with nocto does not ask the server when a folder is opened";
	if (is_over(options, "acdirmin", NFS_DIR_MIN) ||
	    is_over(options, "acdirmax", NFS_DIR_MAX))
		return "is told to keep what it knows of folders for long (actimeo, acdirmin or acdirmax)";
	return NULL;
}

static bool is_one_of(const char *type, const char *const *types)
{
	while (*types && strcmp(*types, type) != 0)
		types++;
	return *types != NULL;
}

const char *dir_mount_lag(const char *type, const char *options)
{
	static const char *const nfs[] = { "nfs", "nfs4", NULL };
	/* fuseblk is a disk of this machine. */
	static const char *const programs[] = { "fuse", "virtiofs", NULL };
	static const char *const shares[] = { "cifs", "smb3", "smbfs", "vboxsf",
					      NULL };
	const char *cache;

	if (is_one_of(type, nfs))
		return nfs_lag(options);
	if (is_one_of(type, programs) || strncmp(type, "fuse.", 5) == 0)
		return "may answer for seconds or minutes with what it knew of a folder";
	if (is_one_of(type, shares))
		return "answers for some time with what it knew of a folder";
	cache = strcmp(type, "9p") == 0 ? find_option(options, "cache") : NULL;
	if (cache && strncmp(cache, "none", 4) != 0 && *cache != '0')
		return "with that kind of cache does not ask again what is in a folder";
	return NULL;
}

static bool judge(int fd, char why[BACKEND_LAG_MAX])
{
	struct dir_mount mount = { .options = NULL };
	const char *lag = dir_mount_of(fd, &mount) == 0
				  ? dir_mount_lag(mount.type, mount.options)
				  : NULL;

	if (lag)
		snprintf(why, BACKEND_LAG_MAX, "it is mounted by %s, which %s",
			 mount.type, lag);
	free(mount.options);
	return lag != NULL;
}

/* A folder may be a mount of its own. */
bool dir_may_lag(struct backend *b, char why[BACKEND_LAG_MAX])
{
	struct backend_dir *d = dir_of(b);
	bool may = judge(d->root, why);
	size_t i;

	for (i = 0; dir_folders[i] && !may; i++) {
		AUTO_CLOSE int fd =
			openat(d->root, dir_folders[i], O_PATH | DIR_FOLDER);

		may = fd >= 0 && judge(fd, why);
	}
	return may;
}
