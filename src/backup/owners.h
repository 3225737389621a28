/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose files were met, noted in the point by name: numbers mean something else
 * on another machine. One thread.
 */
#ifndef SRC_BACKUP_OWNERS_H
#define SRC_BACKUP_OWNERS_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct point;

/* No more ids of either kind are remembered, the first that were met. */
#define OWNERS_MAX 65536

struct owner_ids {
	uint32_t *ids; /* owned; sorted, each once */
	size_t n, cap;
	uint32_t last; /* the one that was noted last */
	bool any;
};

/* Zeroed, it is empty. */
struct owners {
	struct owner_ids users, groups;
};

void owners_release(struct owners *o);
/* Remember the owner and the group of an entry. Return 0 or -ENOMEM. */
MUST_CHECK int owners_note(struct owners *o, uint32_t uid, uint32_t gid);
/* Remember those whom the POSIX ACLs in a list of extended attributes name; an
 * ACL of a form that is not known names nobody. Return 0 or -ENOMEM. */
MUST_CHECK int owners_note_acls(struct owners *o, const uint8_t *list,
				size_t len);
/*
 * Ask the system for the names and put them into @p as its members "users" and
 * "groups" (vmbackup-vault(5)). Who has no name, or one that is longer than 255
 * bytes or not UTF-8, is left out.
 * Return 0 or -ENOMEM.
 */
MUST_CHECK int owners_put(const struct owners *o, struct point *p);

#endif
