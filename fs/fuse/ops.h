/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The operations of the mount: each takes a request apart, asks the view, and
 * answers. They keep nothing: a node number says it all. */
#ifndef FS_FUSE_OPS_H
#define FS_FUSE_OPS_H

#include "fs/attr.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct fuse_lowlevel_ops;
struct view;

/* The session's user data. Immutable while it runs, but for the atomics. */
struct ops {
	struct view *view; /* borrowed */
	uint64_t root; /* the node that the mount's top shows */
	struct attr_policy policy; /* borrowed ranges */
	int64_t refresh_ns; /* how old the list of points may be */
	bool check_acl; /* the kernel shall enforce POSIX ACLs */
	atomic_bool has_acl; /* some point has one */
};

extern const struct fuse_lowlevel_ops ops_table;

#endif
