/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A view shown at a mountpoint: from mount(2) to umount(2). */
#ifndef FS_FUSE_MOUNT_H
#define FS_FUSE_MOUNT_H

#include "fs/attr.h"
#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct mount;
struct view;

#define MOUNT_READAHEAD (1u << 20)

struct mount_config {
	const char *fsname; /* what /proc/mounts shows as the source */
	uint64_t root; /* the view's node at the mount's top */
	struct attr_policy policy;
	bool allow_other, allow_root, noexec;
	unsigned int threads; /* 0: as many as cores, 2 to 4 */
	bool stay; /* threads do not follow clients from core to core */
	uint64_t readahead; /* bytes; 0: MOUNT_READAHEAD */
	int64_t deadline_ns; /* of a request; 0: none */
	int64_t refresh_ns; /* how old the list of points may be */
};

/*
 * Mount at @dir (absolute) and serve; return when the first lookup through the
 * kernel has succeeded. @w and the pointers in @c are borrowed until
 * mount_free(). A dead mount at @dir is cleaned away before.
 * Return 0, or a negative errno, said in words; -EBUSY where a vault is mounted
 * at @dir already.
 */
MUST_CHECK int mount_start(struct view *w, const char *dir,
			   const struct mount_config *c, struct mount **out);
/* Becomes readable when the mount has ended (umount, an aborted connection). */
int mount_fd(const struct mount *m);
/*
 * Unmount, if that is still to be done, and free. Return true, or false where
 * threads hang in the backend: clients have their errors, but the view and the
 * vault may not be freed. It may be called again later; or the process ends.
 */
MUST_CHECK bool mount_free(struct mount *m);
/* One line of figures, appended. */
void mount_status(struct mount *m, struct buf *out);

/* Is a vault mounted at @dir (absolute), and nothing over it? Return 1, 0, or a
 * negative errno, said in words, where the table of mounts cannot be read. */
MUST_CHECK int mount_is_vault(const char *dir);
/* Is @dir a mountpoint whose daemon is dead? */
bool mount_is_dead(const char *dir);
/* Unmount @dir; @lazy: detach it now, whoever uses it. As root by umount(2),
 * else through fusermount3. Return 0 or a negative errno (silent): -EBUSY,
 * -EINVAL (not mounted), -EPERM. */
MUST_CHECK int mount_detach(const char *dir, bool lazy);

#endif
