/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the programs print: JSON lines, sizes, times, tables, and names that
 * cannot drive the terminal. Text goes to stdout, errors to stderr.
 */
#ifndef SRC_CLI_OUTPUT_H
#define SRC_CLI_OUTPUT_H

#include "store/base/attrs.h"
#include "store/base/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>

#include <jansson.h>

/* ---- the log ---- */

/* Send the log to stderr: @program before each line, or as JSON lines with
 * message_type "error". @quiet, @verbose as counted on the command line. */
/*
 * Open what of the descriptors 0, 1 and 2 is closed (daemons and init scripts
 * start programs so), as /dev/null. First of all in a program: a file that it
 * opens would get that number otherwise, and messages would go there.
 */
void output_open_standard(void);
void output_init(const char *program, bool json, unsigned int quiet,
		 unsigned int verbose);
/* Return the last error that was said, or "". */
const char *output_last_error(void);
/* While on, errors are only remembered, unless -v: for a verb that looks for
 * them and will report what they mean. */
void output_hold(bool on);
/* Print {"message_type":"exit_error",...} to stderr. */
void output_exit_error(int code);
/* A progress line stands on the terminal: wipe it before the next message. */
void output_set_live(bool live);

/* ---- stdout ---- */

/* Print @o as one line and free it; NULL is no memory.
 * Return 0, -ENOMEM, or the error that stdout has (-EPIPE is silent). */
MUST_CHECK int output_json(json_t *o);
/* The same, on several lines and indented. */
MUST_CHECK int output_json_pretty(json_t *o);
/* Make an object with message_type and schema_version. NULL: no memory. */
json_t *output_message(const char *type);
/* Write bytes. Return 0, or as output_error(). */
MUST_CHECK int output_write(const void *buf, size_t len);
/* Return 0, or the negative errno of an earlier failed write: -ENOSPC, -EDQUOT,
 * -EPIPE, or -EIO for all others; said in words, but for -EPIPE. Loops ask it
 * now and then. */
MUST_CHECK int output_error(void);
/* Flush, and return as output_error(). */
MUST_CHECK int output_flush(void);
/* Set @key to @bytes; where they are not UTF-8, @key gets a readable form and
 * <key>_b64 the bytes. */
void output_set_bytes(json_t *o, const char *key, const void *bytes,
		      size_t len);
void output_set_time(json_t *o, const char *key, int64_t time_ns);
void output_set_uint(json_t *o, const char *key, uint64_t v);
void output_set_string(json_t *o, const char *key, const char *text);
void output_set_bool(json_t *o, const char *key, bool v);
/* Print a name: as it is to a file or pipe, with \ooo for what is not
 * printable to a terminal. */
void output_name(FILE *f, const void *bytes, size_t len);
/* Append the form for a terminal. */
void output_escape(struct buf *out, const void *bytes, size_t len);

/* ---- human forms (human.c) ---- */

#define OUTPUT_SIZE_LEN 32
/* "1.234 GiB"; VMBACKUP_UNITS: iec (default), si, raw. */
const char *output_size(uint64_t bytes, char out[OUTPUT_SIZE_LEN]);
/* "1234"; @out as for output_size(). */
const char *output_number(uint64_t v, char out[OUTPUT_SIZE_LEN]);
#define OUTPUT_DURATION_LEN 32
/* "0:07", "1:02:03". */
const char *output_duration(double seconds, char out[OUTPUT_DURATION_LEN]);
#define OUTPUT_TIME_LEN 40
/* "2026-11-22T10:15:00Z", with nanoseconds where there are some. */
const char *output_time(int64_t time_ns, char out[OUTPUT_TIME_LEN]);
/* The same for seconds and nanoseconds: not all times fit 64 bits. */
const char *output_timespec(int64_t sec, uint32_t nsec,
			    char out[OUTPUT_TIME_LEN]);
/* "2026-11-22 10:15:00", UTC. */
const char *output_short_time(int64_t sec, char out[OUTPUT_TIME_LEN]);
#define OUTPUT_MODE_LEN 11
/* "-rwxr-xr-x". */
const char *output_mode(mode_t mode, char out[OUTPUT_MODE_LEN]);
/* "file", "dir", "symlink", "dev", "chardev", "fifo", "socket": as restic. */
const char *output_type(mode_t mode);

/* ---- tables (table.c) ---- */

/* Columns are as wide as their widest cell. */
struct table;
/* @right: bit i set: column i is aligned right. */
MUST_CHECK struct table *table_new(size_t ncolumns, unsigned int right);
void table_free(struct table *t);
/* Add a cell; rows fill up from the left. If memory runs out, table_print()
 * says so. */
PRINTF(2, 3) void table_cell(struct table *t, const char *fmt, ...);
/* The same with @len bytes as they are, which is faster. */
void table_text(struct table *t, const char *text, size_t len);
/* Add a line across the table. */
void table_line(struct table *t);
/* On a terminal, let the last column be cut, so that a row fits into a line.
 * Not for what people may want to copy. */
void table_fit(struct table *t);
/* Return 0, -ENOMEM or the error that stdout has. */
MUST_CHECK int table_print(struct table *t);

#endif
