/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How far a long command is: one line that is rewritten on a terminal
 * (stderr), JSON lines of message_type "status" on stdout with --json, and one
 * line whenever SIGUSR1 comes. Silent where stderr is no terminal, unless
 * VMBACKUP_PROGRESS_FPS asks. One thread.
 */
#ifndef SRC_CLI_PROGRESS_H
#define SRC_CLI_PROGRESS_H

#include "store/base/attrs.h"

#include <stdbool.h>
#include <stdint.h>

struct context;
struct progress;

struct progress_state {
	uint64_t bytes_done, bytes_total; /* total 0: unknown */
	uint64_t items_done, items_total;
	uint64_t errors;
	const char *current; /* a path; may be NULL */
};

/* @items names what is counted: "files" gives files_done, total_files.
 * Return NULL when memory is out (which all calls here take). */
struct progress *progress_new(const struct context *ctx, const char *items);
/* Wipe the line, and free. */
void progress_free(struct progress *p);
/* Show it if it is time to. Cheap: call it as often as you like. */
void progress_update(struct progress *p, const struct progress_state *s);
/* Wipe the line, so that something else can be printed. */
void progress_clear(struct progress *p);
/* Return the seconds since progress_new(). */
/* Return the seconds since progress_new(). */
double progress_seconds(const struct progress *p);

#endif
