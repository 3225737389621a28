/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Landlock is spoken to by its system calls: there is no library for it in
 * Debian 12, and glibc has no wrappers. See landlock(7).
 *
 * The seccomp filter is written out because libseccomp cannot load one between
 * fork and exec. It looks at the numbers of system calls only, not at the
 * architecture: it is there against a qemu that an image talks into opening a
 * connection, not against one that runs code of an attacker's.
 */
#include "config.h"

#include "src/disk/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>

/* Headers of before Linux 6.2 have it not. */
#define ACCESS_TRUNCATE (UINT64_C(1) << 14)
#define ABI_TRUNCATE 3
/* All of the first version: each of the bits up to MAKE_SYM. */
#define ACCESS_ALL ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define ACCESS_READ                                                            \
	(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE |           \
	 LANDLOCK_ACCESS_FS_READ_DIR)

static int landlock_abi(void)
{
	long r = syscall(SYS_landlock_create_ruleset, NULL, 0,
			 LANDLOCK_CREATE_RULESET_VERSION);

	return r < 0 ? 0 : (int)r;
}

bool confinement_available(void)
{
	return landlock_abi() > 0;
}

static int allow(const struct confinement *c, int fd, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {
		.allowed_access = access,
		.parent_fd = fd,
	};

	return syscall(SYS_landlock_add_rule, c->ruleset,
		       LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
		       ? -errno
		       : 0;
}

/* A place of the host's; one that is not there needs no rule. */
static int allow_path(const struct confinement *c, const char *path,
		      uint64_t access)
{
	AUTO_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT || errno == EACCES ? 0 : -errno;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISDIR(st.st_mode))
		access &= ~(uint64_t)LANDLOCK_ACCESS_FS_READ_DIR;
	return allow(c, fd, access);
}

/* Programs, libraries, and what those look at when they start. */
static int allow_system(const struct confinement *c, const char *program)
{
	static const char *const paths[] = { "/usr",
					     "/lib",
					     "/lib32",
					     "/lib64",
					     "/nix/store",
					     "/gnu/store",
					     "/bin",
					     "/etc/ld.so.cache",
					     "/etc/ld.so.preload",
					     "/dev/random",
					     "/dev/urandom",
					     "/sys/dev/block",
					     "/sys/devices" };
	size_t i;
	int r = allow_path(c, program, ACCESS_READ);

	for (i = 0; i < ARRAY_SIZE(paths) && r == 0; i++)
		r = allow_path(c, paths[i], ACCESS_READ);
	if (r == 0)
		r = allow_path(c, "/dev/null",
			       LANDLOCK_ACCESS_FS_READ_FILE |
				       LANDLOCK_ACCESS_FS_WRITE_FILE);
	return r;
}

static int allow_files(const struct confinement *c, int abi,
		       const struct confine_file *files, size_t nfiles)
{
	uint64_t write = LANDLOCK_ACCESS_FS_WRITE_FILE |
			 (abi >= ABI_TRUNCATE ? ACCESS_TRUNCATE : 0);
	size_t i;
	int r = 0;

	for (i = 0; i < nfiles && r == 0; i++)
		r = allow(c, files[i].fd,
			  LANDLOCK_ACCESS_FS_READ_FILE |
				  (files[i].writable ? write : 0));
	return r;
}

int confinement_open(const char *program, const struct confine_file *files,
		     size_t nfiles, struct confinement *out)
{
	int abi = landlock_abi(), r;
	struct landlock_ruleset_attr attr = {
		.handled_access_fs =
			ACCESS_ALL |
			(abi >= ABI_TRUNCATE ? ACCESS_TRUNCATE : 0),
	};

	out->ruleset = -1;
	if (abi == 0)
		return 0;
	/* Where the headers are newer than the kernel, what follows the first
	 * member is zero, which every kernel takes. */
	out->ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr,
				    sizeof(attr), 0);
	if (out->ruleset < 0)
		return -errno;
	r = allow_system(out, program);
	return r < 0 ? r : allow_files(out, abi, files, nfiles);
}

void confinement_close(struct confinement *c)
{
	if (c->ruleset >= 0)
		close(c->ruleset);
	c->ruleset = -1;
}

/* No new socket, nor a connection of one that it has. */
static int deny_network(void)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_connect, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EACCES),
	};
	struct sock_fprog filter = { ARRAY_SIZE(code), code };

	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0 ? -errno
								       : 0;
}

int confinement_enter(const struct confinement *c)
{
	int r;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	/* A kernel that has no seccomp has none to offer. */
	r = deny_network();
	if (r < 0 && r != -EINVAL && r != -ENOSYS)
		return r;
	if (c->ruleset < 0)
		return 0;
	return syscall(SYS_landlock_restrict_self, c->ruleset, 0) < 0 ? -errno
								      : 0;
}
