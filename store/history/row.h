/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The words for what was seen of a vault. Any thread. */
#ifndef STORE_HISTORY_ROW_H
#define STORE_HISTORY_ROW_H

#include "store/base/buf.h"

struct seen_row;

/* Append "the point web/<time> (<id>)", or what is known of it; ask buf_error(). */
void row_put_point(const struct seen_row *row, struct buf *out);
/* Say that it is gone. */
void row_say(const struct seen_row *row);
/* Say what is to be done about what is gone. */
void row_say_next(void);

#endif
