/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Inode flags, as chattr(1) sets them, and projects.
 *
 * They are set when nothing else is left to do, but for two kinds. What says how
 * content is laid out counts for what is written afterwards, so a new file gets
 * it while it is empty. And what is immutable, or may only be appended to, can
 * not even be renamed or get a name: those flags come when the file stands
 * where it belongs (restore_seal()), and where a restore meets its own work
 * again it takes them away for the while. A file that is immutable in the target
 * alone stays so, and cannot be restored over.
 *
 * Filesystems differ in which flags they have. What the target's does not know
 * is counted, and is no error.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/restore/internal.h"
#include "store/base/log.h"

#define FLAGS_EMPTY (FS_NOCOW_FL | FS_COMPR_FL | FS_NOCOMP_FL)
#define FLAGS_SEAL (FS_IMMUTABLE_FL | FS_APPEND_FL)
/* What can be set of a file that is there. Encryption, verity and the folding
 * of case cannot, and DAX is a matter of the machine. */
#define FLAGS_SET                                                              \
	(FS_SECRM_FL | FS_UNRM_FL | FS_SYNC_FL | FS_DIRSYNC_FL |               \
	 FS_NODUMP_FL | FS_NOATIME_FL | FS_JOURNAL_DATA_FL | FS_NOTAIL_FL |    \
	 FS_TOPDIR_FL | FS_PROJINHERIT_FL | FLAGS_EMPTY)

/* A union, as the request's number is one of a long, and its answer an int. */
union flags_word {
	unsigned int flags;
	long room;
};

static int get_flags(int fd, uint32_t *out)
{
	union flags_word u = { .room = 0 };

	if (ioctl(fd, FS_IOC_GETFLAGS, &u) < 0)
		return -errno;
	*out = u.flags;
	return 0;
}

static int put_flags(int fd, uint32_t flags)
{
	union flags_word u = { .room = 0 };

	u.flags = flags;
	return ioctl(fd, FS_IOC_SETFLAGS, &u) < 0 ? -errno : 0;
}

/* Set @want besides what is set. Where the whole is refused, each alone: one
 * that is not known here takes no other with it. */
static int add_flags(int fd, uint32_t want)
{
	uint32_t now = 0, bit;
	int r, first = 0;

	r = get_flags(fd, &now);
	want &= ~now;
	if (r < 0 || want == 0)
		return r;
	if (put_flags(fd, now | want) == 0)
		return 0;
	for (bit = 1; bit; bit <<= 1) {
		if (!(want & bit))
			continue;
		r = put_flags(fd, now | bit);
		if (r == 0)
			now |= bit;
		else if (first == 0)
			first = r;
	}
	return first;
}

static int set_project(int fd, uint32_t project)
{
	struct fsxattr x;

	if (ioctl(fd, FS_IOC_FSGETXATTR, &x) < 0)
		return -errno;
	if (x.fsx_projid == project)
		return 0;
	x.fsx_projid = project;
	return ioctl(fd, FS_IOC_FSSETXATTR, &x) < 0 ? -errno : 0;
}

/* What is no error is counted here; return what is one. */
static int judge(struct restore *run, int r, const char *what)
{
	if (r == -ENOTTY || r == -EOPNOTSUPP || r == -EINVAL || r == -ENOSYS) {
		RESTORE_COUNT(run, flags, 1);
		return 0;
	}
	if (!run->is_root && (r == -EPERM || r == -EACCES)) {
		RESTORE_COUNT(run, attributes, 1);
		return 0;
	}
	if (r < 0)
		log_warn("%s: %s", what, strerror(-r));
	return r;
}

void restore_flags_empty(int fd, const struct entry *e)
{
	struct entry_extra x;

	entry_extra_get(e, &x);
	/* What fails here fails again, and is said, at the end. */
	if (x.inode_flags & FLAGS_EMPTY)
		(void)add_flags(fd, x.inode_flags & FLAGS_EMPTY);
}

int restore_flags(struct restore *run, int fd, const struct entry *e)
{
	struct entry_extra x;
	int r = 0, p = 0;

	entry_extra_get(e, &x);
	if (x.project)
		p = judge(run, set_project(fd, x.project),
			  "setting the project");
	if (x.inode_flags & FLAGS_SET)
		r = judge(run, add_flags(fd, x.inode_flags & FLAGS_SET),
			  "setting flags");
	return r < 0 ? r : p;
}

int restore_seal(struct restore *run, int fd, const struct entry *e)
{
	struct entry_extra x;

	entry_extra_get(e, &x);
	if (!(x.inode_flags & FLAGS_SEAL))
		return 0;
	/* Its other names could not be made any more. */
	if (!S_ISDIR(e->mode) && e->nlink > 1) {
		RESTORE_COUNT(run, flags, 1);
		return 0;
	}
	return judge(run, add_flags(fd, x.inode_flags & FLAGS_SEAL),
		     "setting flags");
}

bool restore_unseal(struct restore *run, int fd, const struct entry *e)
{
	struct entry_extra x;
	uint32_t now = 0;

	entry_extra_get(e, &x);
	if (!run->is_root || !(x.inode_flags & FLAGS_SEAL) ||
	    get_flags(fd, &now) < 0 || !(now & FLAGS_SEAL))
		return false;
	return put_flags(fd, now & ~(uint32_t)FLAGS_SEAL) == 0;
}
