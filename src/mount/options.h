/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What stands behind -o of a mount: "keyfile=/etc/vault.key,cachesize=256M".
 * A comma in a value is written "\,". What fstab(5) and mount(8) know and a
 * read-only mount need not is passed over; what nobody knows is refused.
 */
#ifndef SRC_MOUNT_OPTIONS_H
#define SRC_MOUNT_OPTIONS_H

#include "fs/attr.h"
#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What an option that may be repeated was given. */
struct mount_list {
	char **items; /* owned, each too */
	size_t n, cap;
};

struct mount_options {
	bool allow_other, allow_root, noexec, noverify;
	bool stay; /* "nofollow_cpu" */
	bool forgotten; /* show points that were forgotten, too */
	bool untrusted; /* and such as lack a signature that is demanded */
	struct attr_policy policy; /* ranges owned */
	uint64_t cache_size; /* bytes; 0: the default */
	uint64_t readahead; /* bytes; 0: the default */
	unsigned int threads; /* 0: the default */
	int64_t refresh_ns;
	int64_t deadline_ns; /* 0: none */
	struct mount_list luks_keys;
	struct mount_list trusted; /* signing keys */
	/* All owned, NULL where not given. */
	char *keyfile, *passwordfile, *cachedir, *fsname, *vm, *point;
};

/* The defaults: a refresh after 1 s, a deadline of 5 min. */
void mount_options_init(struct mount_options *o);
void mount_options_release(struct mount_options *o);
/*
 * Take in the text behind one -o. Where a word comes twice the last one counts,
 * but for idmap and lukskey, which add. @from_mount says that mount(8) wrote the
 * text: it begins with "rw" where the user said nothing. Return 0, -EINVAL (said
 * in words with the option) or -ENOMEM.
 */
MUST_CHECK int mount_options_parse(struct mount_options *o, const char *text,
				   bool from_mount);
/* Print a line for each option: its name, its value, what it does. */
void mount_options_usage(FILE *f);

#endif
