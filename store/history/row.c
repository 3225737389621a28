/* SPDX-License-Identifier: GPL-3.0-or-later */
/* See row.h. */
#include "config.h"

#include "store/history/row.h"

#include <string.h>
#include <time.h>

#include "store/base/log.h"
#include "store/history/seen.h"

void row_put_point(const struct seen_row *row, struct buf *out)
{
	struct tm tm;
	time_t t = (time_t)row->time_s;
	char time[32] = "";

	if (!row->point)
		buf_printf(out, "the session %s", strchr(row->name, '/') + 1);
	else if (row->vm && gmtime_r(&t, &tm) &&
		 strftime(time, sizeof(time), "%Y-%m-%dT%H%M%SZ", &tm))
		buf_printf(out, "the point %s/%s (%.8s)", row->vm, time,
			   row->point);
	else
		buf_printf(out, "the point %.8s", row->point);
}

void row_say(const struct seen_row *row)
{
	AUTO_BUF struct buf text = BUF_INIT;
	const char *id = strchr(row->name, '/') + 1;

	if (strncmp(row->name, "purge/", 6) == 0)
		buf_printf(&text,
			   "what was decided of removing the point %.32s", id);
	else if (strncmp(row->name, "note/", 5) == 0)
		buf_printf(&text,
			   "a note, which may protect it, on the point %.32s",
			   id);
	else if (!row->point)
		buf_printf(&text, "the fate of the session %s", id);
	else
		row_put_point(row, &text);
	if (row->place)
		buf_printf(&text, ", seen at %s", row->place);
	buf_put_u8(&text, 0);
	if (buf_error(&text) == 0)
		log_line(LOG_LEVEL_ERROR, "    gone: %s", (char *)text.data);
}

void row_say_next(void)
{
	log_line(LOG_LEVEL_ERROR,
		 "    next: find out why; what is there can be read, but "
		 "nothing is written to it until you accept that with: "
		 "vmbackup check --accept-rollback");
}
