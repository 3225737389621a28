/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a backup left out, noted in its point.
 *
 * Who restores a point over a directory and deletes what is not in the point
 * has to know which names are missing because they were not looked at.
 */
#ifndef SRC_BACKUP_LEFT_OUT_H
#define SRC_BACKUP_LEFT_OUT_H

#include "src/backup/backup.h"

struct point_left_out;
struct scan;

/*
 * Fill @out, which is zeroed, with what @o told the scan to leave out and what
 * the scan, which has ended, did not enter. point_free() frees it with its
 * point, half filled too.
 * Return 0 or -ENOMEM.
 */
MUST_CHECK int left_out_note(const struct backup_options *o,
			     const struct scan *scan,
			     struct point_left_out *out);

#endif
