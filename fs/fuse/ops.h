/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The operations of the mount: each takes a request apart, asks the view, and
 * answers. They keep nothing: a node number says it all. */
#ifndef FS_FUSE_OPS_H
#define FS_FUSE_OPS_H

#include "fs/attr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fuse_in_header;
struct fuse_lowlevel_ops;
struct view;

/* The session's user data. Immutable while it runs, but for the atomics. */
struct ops {
	struct view *view; /* borrowed */
	uint64_t root; /* the node that the mount's top shows */
	struct attr_policy policy; /* borrowed ranges */
	int64_t refresh_ns; /* how old the list of points may be */
	/*
	 * File handles hold node numbers, which mean something for as long as
	 * this mount lasts. This is another number in each mount, not 0, so that
	 * the kernel knows handles of others by it.
	 */
	uint32_t generation;
	bool others; /* processes of other users may come */
	/* The kernel checks permissions (default_permissions). Where it does
	 * not, the user who mounted is alone and reads whatever there is. */
	bool checked;
	/* Nobody but its user, and root, gets past the top directory. */
	bool top_private;
	uid_t uid; /* of who mounts */
	gid_t gid;
	atomic_bool has_acl; /* some point has one */
};

extern const struct fuse_lowlevel_ops ops_table;

/* Can a request be served from memory? @arg is a struct ops. For loop.h. */
bool ops_at_hand(void *arg, const struct fuse_in_header *request, size_t len);

#endif
