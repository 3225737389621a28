/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From mount(2) to umount(2). libfuse mounts (as root itself, else through
 * fusermount3); loop.c serves. The mount is announced only when a name was
 * looked up through the kernel: until then an error can still be told.
 */
#include "config.h"

#include "fs/fuse/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>

#include "fs/fuse/loop.h"
#include "fs/fuse/ops.h"
#include "fs/view.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/vault.h"

struct mount {
	struct ops ops;
	struct fuse_session *se; /* owned */
	struct loop *loop; /* owned */
	char *dir; /* owned */
	bool mounted;
};

/* ---- mountpoints ---- */

bool mount_is_dead(const char *dir)
{
	struct statfs st;

	/* No daemon: ENOTCONN. One that just died: ECONNABORTED, once. Not
	 * stat(2): the kernel may answer that from what it remembers. */
	return statfs(dir, &st) < 0 &&
	       (errno == ENOTCONN || errno == ECONNABORTED);
}

int mount_is_vault(const char *dir)
{
	FILE *f = setmntent("/proc/self/mounts", "re");
	const struct mntent *e;
	bool is = false;

	if (!f)
		return fail(-errno, "/proc/self/mounts: %s", strerror(errno));
	while ((e = getmntent(f)))
		if (strcmp(e->mnt_dir, dir) == 0)
			is = strcmp(e->mnt_type, "fuse.vmbackupfs") == 0;
	endmntent(f);
	return is;
}

static int run_fusermount(const char *dir, bool lazy)
{
	const char *argv[] = { "fusermount3",
			       "-u",
			       "-q",
			       lazy ? "-z" : "--",
			       lazy ? "--" : dir,
			       lazy ? dir : NULL,
			       NULL };
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, (char **)argv, environ) !=
	    0)
		return -ENOENT;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EPERM;
}

int mount_detach(const char *dir, bool lazy)
{
	int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);

	if (umount2(dir, flags) == 0)
		return 0;
	if (errno != EPERM)
		return -errno;
	return run_fusermount(dir, lazy);
}

/* A mountpoint that can be mounted on. */
static int check_dir(const char *dir)
{
	struct stat st;

	if (mount_is_dead(dir)) {
		log_warn("%s: the mount there is dead (its daemon was killed); "
			 "cleaned away",
			 dir);
		if (mount_detach(dir, true) < 0)
			return fail(-ENOTCONN,
				    "%s: a dead mount is in the way "
				    "and is not ours: fusermount3 -uz it as "
				    "its owner, or umount -l as root",
				    dir);
	}
	if (stat(dir, &st) < 0)
		return fail(-errno, "mountpoint %s: %s", dir, strerror(errno));
	if (!S_ISDIR(st.st_mode))
		return fail(-ENOTDIR, "mountpoint %s: not a directory", dir);
	/* A second one would hide the first, which goes on running. */
	if (mount_is_vault(dir) == 1)
		return fail(-EBUSY,
			    "%s: a vault is mounted there already; unmount "
			    "it first",
			    dir);
	return 0;
}

/* ---- the session ---- */

/* A value in a mount option: commas and backslashes are escaped. */
static void put_escaped(struct buf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == ',' || *text == '\\')
			buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)*text);
	}
}

static int new_session(struct mount *m, const struct mount_config *c)
{
	AUTO_BUF struct buf opt = BUF_INIT;
	char name[] = "vmbackupfs", flag[] = "-o";
	char *argv[] = { name, flag, NULL, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);

	buf_printf(&opt, "ro,nosuid,nodev,subtype=vmbackupfs,fsname=");
	put_escaped(&opt, c->fsname);
	if (c->noexec)
		buf_printf(&opt, ",noexec");
	if (m->ops.checked)
		buf_printf(&opt, ",default_permissions");
	if (m->ops.others)
		buf_printf(&opt, ",allow_other");
	buf_put_u8(&opt, 0);
	if (buf_error(&opt) < 0)
		return -ENOMEM;
	argv[2] = (char *)opt.data;
	m->se = fuse_session_new(&args, &ops_table, sizeof(ops_table), &m->ops);
	fuse_opt_free_args(&args);
	return m->se ? 0 : fail(-EINVAL, "the FUSE library refused to start");
}

/* How far the kernel reads ahead of a reader: 128 KiB, unless it is told. Only
 * root can; without, reading is slower, and that is all. */
static void set_readahead(const struct mount *m, uint64_t bytes)
{
	char path[80], text[24];
	struct stat st;
	int fd, n;

	if (stat(m->dir, &st) < 0)
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb",
		 major(st.st_dev), minor(st.st_dev));
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	n = snprintf(text, sizeof(text), "%" PRIu64 "\n",
		     (bytes ? bytes : MOUNT_READAHEAD) / 1024);
	if (write(fd, text, (size_t)n) != n)
		log_info("%s: cannot set it: %s", path, strerror(errno));
	close(fd);
}

/* The first lookup, as a program would do it. */
static int first_lookup(const struct mount *m)
{
	AUTO_FREE char *path = NULL;
	struct stat st;

	if (asprintf(&path, "%s/.vmbackupfs/version", m->dir) < 0) {
		path = NULL;
		return -ENOMEM;
	}
	if (stat(path, &st) == 0)
		return 0;
	return fail(-errno, "%s is mounted, but does not answer: %s", m->dir,
		    strerror(errno));
}

/*
 * The library's allow_root answers for open(2) alone, which the kernel does not
 * ask us about. So it is allow_other here, with a top directory that the kernel
 * lets nobody through but its owner and root.
 *
 * What ACLs forbid others must be forbidden, also in points that are not there
 * yet. Root is checked as well, though it passes: the kernel then asks for the
 * top's attributes at every path, and learns that a daemon is dead.
 */
static int fill_ops(struct mount *m, struct view *w,
		    const struct mount_config *c)
{
	struct ops *o = &m->ops;
	struct seam *seam = vault_seam(view_vault(w));
	int r = seam->ops->random(seam, &o->generation, sizeof(o->generation));

	o->generation |= 1;
	o->view = w;
	o->root = c->root;
	o->policy = c->policy;
	o->refresh_ns = c->refresh_ns;
	o->has_acl = view_has_acl(w);
	o->others = c->allow_other || c->allow_root;
	o->top_private = c->allow_root && !c->allow_other;
	o->uid = geteuid();
	o->gid = getegid();
	o->checked = o->others || o->uid == 0;
	return r;
}

int mount_start(struct view *w, const char *dir, const struct mount_config *c,
		struct mount **out)
{
	struct loop_options o = { .threads = c->threads,
				  .stay = c->stay,
				  .deadline_ns = c->deadline_ns,
				  .at_hand = ops_at_hand };
	struct mount *m;
	int r;

	*out = NULL;
	r = check_dir(dir);
	if (r < 0)
		return r;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -ENOMEM;
	r = fill_ops(m, w, c);
	m->dir = strdup(dir);
	if (r == 0 && !m->dir)
		r = -ENOMEM;
	if (r == 0)
		r = new_session(m, c);
	if (r < 0)
		goto err;
	if (fuse_session_mount(m->se, dir) != 0) {
		r = fail(-EIO, "%s: could not be mounted (see above)", dir);
		goto err;
	}
	m->mounted = true;
	o.arg = &m->ops;
	r = loop_start(m->se, &o, &m->loop);
	if (r < 0)
		goto err;
	r = first_lookup(m);
	if (r < 0)
		goto err;
	set_readahead(m, c->readahead);
	*out = m;
	return 0;
err:
	if (!mount_free(m))
		log_debug("threads are left behind");
	return r;
}

int mount_fd(const struct mount *m)
{
	return loop_fd(m->loop);
}

bool mount_free(struct mount *m)
{
	if (!m)
		return true;
	loop_stop(m->loop);
	/* Closes the device too: every client that waits gets its error. */
	if (m->mounted)
		fuse_session_unmount(m->se);
	if (!loop_free(m->loop))
		return false;
	if (m->se)
		fuse_session_destroy(m->se);
	free(m->dir);
	free(m);
	return true;
}

void mount_status(struct mount *m, struct buf *out)
{
	struct vault_stats v;
	struct loop_stats l;

	loop_get_stats(m->loop, &l);
	vault_get_stats(view_vault(m->ops.view), &v);
	buf_printf(out,
		   "%" PRIu64 " requests (%" PRIu64 " interrupted, %" PRIu64
		   " late), ",
		   l.requests, l.interrupted, l.late);
	buf_printf(out,
		   "%u threads (%u held up; woken %" PRIu64
		   " times, bound %" PRIu64 " times), ",
		   l.threads, l.held_up, l.helped, l.moved);
	buf_printf(out,
		   "%" PRIu64 " reads of the vault, %" PRIu64 " of %" PRIu64
		   " bytes of cache, damage met %" PRIu64 " times",
		   v.gets, v.cache_bytes, v.cache_limit, v.damage);
	if (vault_lost(view_vault(m->ops.view)))
		buf_printf(out, ", %" PRIu64 " records are gone that were seen",
			   vault_lost(view_vault(m->ops.view)));
	buf_printf(out, "; ");
	loop_put_counts(m->loop, out);
}
