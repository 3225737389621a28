/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An entry of a tree as struct stat; and owners as a mount shows them. */
#ifndef FS_ATTR_H
#define FS_ATTR_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct entry;
struct timestamp;

/* Fill all of @st but st_ino and st_dev. */
void attr_from_entry(const struct entry *e, struct stat *st);
#define ATTR_FILE_BLOCK (1u << 20) /* to read a file with */
/* Return @bytes in the unit of st_blocks, rounded up. */
uint64_t attr_sectors(uint64_t bytes);
/* Return the block size to read a directory of @size bytes with: the C library
 * takes it for the buffer of readdir(3), and the kernel asks for as much. */
uint32_t attr_dir_block(uint64_t size);

/* Append inode flags (store/entry.h) as lsattr(1) names them: a letter each,
 * those that are set. One that has no letter is left out. Ask buf_error(). */
void attr_put_flags(struct buf *out, uint32_t flags);
/* Append a time as a decimal number of seconds since 1970, with all nine digits
 * behind the point. Ask buf_error(). */
void attr_put_time(struct buf *out, const struct timestamp *t);

/* Ids @from .. @from + @count - 1 of the source are shown as @to .. */
struct attr_range {
	uint32_t from, to, count;
	bool users, groups;
};

/*
 * What a mount does to owners and modes. Zeroed, it does nothing. Owners are
 * changed where they are stored ones (struct view_attr); what the view makes,
 * disks and configuration files among it, stays its user's, whatever the policy
 * says.
 */
struct attr_policy {
	bool set_uid, set_gid;
	uid_t uid;
	gid_t gid;
	mode_t umask; /* bits taken away from everything but links */
	struct attr_range *ranges; /* owned by whoever filled it; where there
				    * are any for users (or groups), an id in
				    * none of them is shown as ATTR_NOBODY,
				    * and gets what others get */
	size_t nranges, ranges_cap;
};

#define ATTR_NOBODY 65534

/* Apply @p to @st, whose owner and group are stored ones where @stored. */
void attr_apply(const struct attr_policy *p, bool stored, struct stat *st);
/* The same for the ids and permissions in a POSIX ACL as system.posix_acl_*
 * holds it, of an inode whose stored owner and group are those of @st; a value
 * that is not of that form is left alone. */
void attr_apply_acl(const struct attr_policy *p, const struct stat *st,
		    void *value, size_t len);
/*
 * Is this a POSIX ACL that Linux accepts (posix_acl_valid() of its fs/posix_acl.c)
 * and has room for? To a kernel that enforces ACLs any other value is an error,
 * for root too.
 */
bool attr_acl_ok(const void *value, size_t len);
/* Read "[u:|g:|b:]FROM:TO[:COUNT]". Return 0 or -EINVAL. */
MUST_CHECK int attr_parse_range(const char *text, struct attr_range *out);

#endif
