/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/fuse/mount.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/mount/daemon.h"
#include "store/base/buf.h"
#include "store/base/log.h"

#define USERS_MAX 10 /* that a message names */

struct args {
	bool lazy;
};

static const struct option_row rows[] = {
	OPT_FLAG("lazy", 'l', struct args, lazy,
		 "detach it now, whoever still uses it"),
	OPT_END
};

/* ---- who uses it ---- */

static bool link_leads_below(int dirfd, const char *name, const char *top)
{
	char target[PATH_MAX];
	size_t len = strlen(top);
	ssize_t n = readlinkat(dirfd, name, target, sizeof(target) - 1);

	if (n < (ssize_t)len)
		return false;
	target[n] = '\0';
	return strncmp(target, top, len) == 0 &&
	       (target[len] == '\0' || target[len] == '/');
}

static bool any_fd_below(int proc, const char *top)
{
	int fd = openat(proc, "fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *e;
	bool any = false;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	while (!any && (e = readdir(d)))
		any = link_leads_below(fd, e->d_name, top);
	closedir(d);
	return any;
}

static bool uses(int proc, const char *top)
{
	return link_leads_below(proc, "cwd", top) ||
	       link_leads_below(proc, "root", top) || any_fd_below(proc, top);
}

static void put_name(int proc, const char *pid, struct buf *out)
{
	char name[32];
	int fd = openat(proc, "comm", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, name, sizeof(name));

	if (fd >= 0)
		close(fd);
	while (n > 0 && !isgraph((unsigned char)name[n - 1]))
		n--;
	buf_printf(out, "%s%s", out->len ? ", " : "", pid);
	if (n > 0)
		buf_printf(out, " (%.*s)", (int)n, name);
}

/* "812 (bash), 940 (tar)": processes that we may look into. */
static void list_users(const char *top, struct buf *out)
{
	DIR *d = opendir("/proc");
	const struct dirent *e;
	int n = 0;

	while (d && (e = readdir(d)) && n < USERS_MAX) {
		int proc;

		if (!isdigit((unsigned char)e->d_name[0]) ||
		    strtol(e->d_name, NULL, 10) == getpid())
			continue;
		proc = openat(dirfd(d), e->d_name,
			      O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (proc < 0)
			continue;
		if (uses(proc, top)) {
			put_name(proc, e->d_name, out);
			n++;
		}
		close(proc);
	}
	if (d)
		closedir(d);
}

/* @r: what unmounting failed with. fusermount3 does not tell why it failed. */
static int say_why(const char *dir, int r)
{
	AUTO_BUF struct buf users = BUF_INIT;

	if (r == -EPERM && access("/etc/mtab", R_OK) < 0)
		return fail(r,
			    "%s: cannot be unmounted: fusermount3 reads "
			    "/etc/mtab, which cannot be read here; make it a "
			    "symbolic link to /proc/self/mounts",
			    dir);
	if (r == -EBUSY || r == -EPERM)
		list_users(dir, &users);
	if (r != -EBUSY && users.len == 0)
		return fail(r, "%s: cannot be unmounted: %s", dir,
			    strerror(-r));
	if (users.len == 0)
		buf_printf(&users, "a process that cannot be seen from here");
	buf_put_u8(&users, 0);
	return fail(-EBUSY,
		    "%s is in use by %s; end that, or detach the "
		    "mount with --lazy",
		    dir, buf_error(&users) < 0 ? "?" : (char *)users.data);
}

static int run_umount(struct context *ctx, void *args, int argc, char **argv)
{
	const struct args *a = args;
	AUTO_FREE char *dir = NULL;
	json_t *o;
	int r;

	if (argc != 1)
		return context_usage(ctx, "umount takes a directory");
	r = daemon_path(argv[0], &dir);
	if (r == 0)
		r = mount_is_vault(dir);
	if (r < 0)
		return r;
	if (r == 0)
		return fail(-ENOENT, "%s: no vault is mounted there", dir);
	/* One whose daemon is dead cannot be in use by anybody in earnest. */
	r = mount_detach(dir, a->lazy || mount_is_dead(dir));
	if (r < 0)
		return say_why(dir, r);
	if (!ctx->json)
		return 0;
	o = output_message("unmounted");
	output_set_bytes(o, "mountpoint", dir, strlen(dir));
	return output_json(o);
}

const struct command cmd_umount = {
	.name = "umount",
	.aliases = "unmount",
	.operands = "DIR",
	.summary = "end a mount",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_umount,
};
