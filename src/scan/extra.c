/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is known of a file beyond stat(2): when it was born, the flags that
 * chattr(1) sets, and the project that its blocks are counted for.
 *
 * statx(2) tells the first, and some of the flags, of everything. The rest is
 * asked of an open file: that is one which is being read anyway, or a directory,
 * never a device or a pipe. Many filesystems know nothing of it, which is no
 * error: a fact that cannot be had is not known.
 */
#include "config.h"

#include "src/scan/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "src/scan/internal.h"
#include "store/base/attrs.h"
#include "store/entry.h"

/*
 * The flags that somebody sets, or that say how the content is kept. The others
 * (extents, an index, data in the inode) say how a filesystem arranges an inode
 * and mean nothing to another.
 */
#define FLAGS_KEPT                                                             \
	(FS_SECRM_FL | FS_UNRM_FL | FS_COMPR_FL | FS_SYNC_FL |                 \
	 FS_IMMUTABLE_FL | FS_APPEND_FL | FS_NODUMP_FL | FS_NOATIME_FL |       \
	 FS_NOCOMP_FL | FS_ENCRYPT_FL | FS_JOURNAL_DATA_FL | FS_NOTAIL_FL |    \
	 FS_DIRSYNC_FL | FS_TOPDIR_FL | FS_VERITY_FL | FS_NOCOW_FL |           \
	 FS_DAX_FL | FS_CASEFOLD_FL | FS_PROJINHERIT_FL)

/* What statx(2) says of flags, in the words of FS_IOC_GETFLAGS. */
static uint32_t flags_of_attributes(uint64_t attributes)
{
	static const struct {
		uint64_t attribute;
		uint32_t flag;
	} t[] = {
		{ STATX_ATTR_COMPRESSED, FS_COMPR_FL },
		{ STATX_ATTR_IMMUTABLE, FS_IMMUTABLE_FL },
		{ STATX_ATTR_APPEND, FS_APPEND_FL },
		{ STATX_ATTR_NODUMP, FS_NODUMP_FL },
		{ STATX_ATTR_ENCRYPTED, FS_ENCRYPT_FL },
		{ STATX_ATTR_VERITY, FS_VERITY_FL },
		{ STATX_ATTR_DAX, FS_DAX_FL },
	};
	uint32_t flags = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(t); i++)
		if (attributes & t[i].attribute)
			flags |= t[i].flag;
	return flags;
}

static void take_statx(const struct statx *sx, struct entry_extra *x)
{
	if (sx->stx_mask & STATX_BTIME && sx->stx_btime.tv_nsec < 1000000000) {
		x->has_birth = true;
		x->birth.sec = sx->stx_btime.tv_sec;
		x->birth.nsec = sx->stx_btime.tv_nsec;
	}
	x->inode_flags = flags_of_attributes(sx->stx_attributes);
}

static void ask_file(int fd, struct entry_extra *x)
{
	/* By its number the request is for a long; the kernel answers with an
	 * int, but a filesystem in user space may take the number's word. */
	union {
		unsigned int flags;
		long room;
	} u = { .room = 0 };
	struct fsxattr fsx = { 0 };

	if (ioctl(fd, FS_IOC_GETFLAGS, &u) == 0)
		x->inode_flags |= u.flags & FLAGS_KEPT;
	if (ioctl(fd, FS_IOC_FSGETXATTR, &fsx) == 0)
		x->project = fsx.fsx_projid;
}

/* Open the directory @it, where that cannot wait for a server that the scan
 * does not ask: the root of another filesystem may not be entered at all. */
static int open_dir(const struct scan_item *it)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC;
	struct stat above;

	if (it->dirfd < 0)
		return dir_open_quiet(AT_FDCWD, it->path, flags);
	if (fstat(it->dirfd, &above) < 0 || above.st_dev != it->st.st_dev)
		return -1;
	return dir_open_quiet(it->dirfd, it->name,
			      it->followed ? flags : flags | O_NOFOLLOW);
}

int scan_extra(const struct scan_item *it, struct buf *out)
{
	struct entry_extra x = { 0 };
	struct statx sx;
	int r = it->dirfd < 0
			? statx(AT_FDCWD, it->path, AT_NO_AUTOMOUNT,
				STATX_BTIME | STATX_INO, &sx)
			: statx(it->dirfd, it->name,
				AT_NO_AUTOMOUNT |
					(it->followed ? 0
						      : AT_SYMLINK_NOFOLLOW),
				STATX_BTIME | STATX_INO, &sx);

	/* It is another one meanwhile. */
	if (r < 0 || sx.stx_ino != it->st.st_ino ||
	    makedev(sx.stx_dev_major, sx.stx_dev_minor) != it->st.st_dev)
		return 0;
	take_statx(&sx, &x);
	if (S_ISDIR(it->st.st_mode)) {
		AUTO_CLOSE int fd = open_dir(it);
		struct stat st;

		if (fd >= 0 && fstat(fd, &st) == 0 &&
		    st.st_ino == it->st.st_ino && st.st_dev == it->st.st_dev)
			ask_file(fd, &x);
	}
	entry_extra_put(out, &x);
	return buf_error(out);
}

int scan_fd_extra(int fd, struct buf *out)
{
	struct entry_extra x = { 0 };
	struct statx sx;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &sx) == 0)
		take_statx(&sx, &x);
	ask_file(fd, &x);
	entry_extra_put(out, &x);
	return buf_error(out);
}
