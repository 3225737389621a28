/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What "restore" does with disks: the verb's other half. */
#ifndef SRC_CMD_RESTORE_DISK_H
#define SRC_CMD_RESTORE_DISK_H

#include "store/base/attrs.h"

#include <stdbool.h>

struct context;

struct restore_disk_args {
	const char *to; /* a file or a device, for one disk */
	const char *disks_to; /* a directory, for all and the config files */
	const char *format;
	bool delta, dry_run, verify, force, keep_end;
	unsigned int threads;
};

/* Restore what @spec names: "POINT:disks/NAME.raw" with to, "POINT" with
 * disks_to. Return as a verb does: 0, an exit code or a negative errno. */
MUST_CHECK int cmd_restore_disks(struct context *ctx,
				 const struct restore_disk_args *a,
				 const char *spec);

#endif
