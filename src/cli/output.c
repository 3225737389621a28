/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/context.h"
#include "store/base/log.h"

#define SCHEMA_VERSION 1

/* What the log's sink needs; written by output_init() only, but for
 * last_error (the log calls its sink one line at a time), hold and live. */
static struct {
	const char *program;
	bool json;
	unsigned int verbose;
	atomic_bool hold;
	atomic_bool live;
	char last_error[1024];
} out = { .program = "vmbackup" };

static const char *const level_names[] = { "error", "warning", "info",
					   "debug" };

static void say_json(enum log_level level, const char *text)
{
	json_t *o = output_message(level == LOG_LEVEL_ERROR ? "error" : "log");

	if (!o)
		return;
	output_set_string(o, "level", level_names[level]);
	if (level == LOG_LEVEL_ERROR) {
		/* As restic has it. */
		json_t *error = json_object();

		output_set_bytes(error, "message", text, strlen(text));
		json_object_set_new(o, "error", error);
	} else {
		output_set_bytes(o, "message", text, strlen(text));
	}
	json_dumpf(o, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
}

static void say_text(enum log_level level, const char *text)
{
	/* A name in a message must not drive the terminal either. */
	struct buf line AUTO_BUF = BUF_INIT;

	if (atomic_load(&out.live))
		fputs("\r\033[K", stderr);
	fprintf(stderr, "%s: ", out.program);
	if (level == LOG_LEVEL_WARN)
		fputs("warning: ", stderr);
	output_escape(&line, text, strlen(text));
	buf_put_u8(&line, '\n');
	if (buf_error(&line) == 0)
		fwrite(line.data, 1, line.len, stderr);
}

static void sink(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	if (level == LOG_LEVEL_ERROR)
		snprintf(out.last_error, sizeof(out.last_error), "%s", text);
	if (atomic_load(&out.hold) && !out.verbose)
		return;
	flockfile(stderr);
	if (out.json)
		say_json(level, text);
	else
		say_text(level, text);
	funlockfile(stderr);
}

void output_open_standard(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

void output_init(const char *program, bool json, unsigned int quiet,
		 unsigned int verbose)
{
	enum log_level level = LOG_LEVEL_WARN;

	out.program = program;
	out.json = json;
	out.verbose = verbose;
	if (quiet)
		level = LOG_LEVEL_ERROR;
	else if (verbose)
		level = verbose > 1 ? LOG_LEVEL_DEBUG : LOG_LEVEL_INFO;
	log_set(level, sink, NULL);
}

const char *output_last_error(void)
{
	return out.last_error;
}

void output_hold(bool on)
{
	atomic_store(&out.hold, on);
}

void output_set_live(bool live)
{
	atomic_store(&out.live, live);
}

void output_exit_error(int code)
{
	const char *why = code == EXIT_CODE_INTERRUPTED ? "interrupted"
							: "not all was done";
	json_t *o = output_message("exit_error");

	if (*out.last_error)
		why = out.last_error;
	if (!o)
		return;
	json_object_set_new(o, "code", json_integer(code));
	output_set_bytes(o, "message", why, strlen(why));
	json_dumpf(o, stderr, JSON_COMPACT);
	fputc('\n', stderr);
	json_decref(o);
}

/* ---- JSON ---- */

static int print_json(json_t *o, size_t flags)
{
	int r;

	if (!o)
		return -ENOMEM;
	r = json_dumpf(o, stdout, flags);
	json_decref(o);
	if (r < 0 && !ferror(stdout))
		return -ENOMEM;
	fputc('\n', stdout);
	return output_error();
}

int output_json(json_t *o)
{
	return print_json(o, JSON_COMPACT | JSON_REAL_PRECISION(6));
}

int output_json_pretty(json_t *o)
{
	return print_json(o, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
}

json_t *output_message(const char *type)
{
	json_t *o = json_object();

	output_set_string(o, "message_type", type);
	output_set_uint(o, "schema_version", SCHEMA_VERSION);
	return o;
}

/* Length of the UTF-8 character at @p (at most @left bytes), 0 where there is
 * none: overlong forms, surrogates and what is past U+10FFFF are not. */
static size_t utf8_length(const uint8_t *p, size_t left)
{
	uint32_t c;
	size_t i, n;

	if (p[0] < 0x80)
		return 1;
	n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n > left)
		return 0;
	c = p[0] & (0x7fu >> n);
	for (i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if ((n == 3 && c < 0x800) || (n == 4 && c < 0x10000) || c > 0x10ffff ||
	    (c >= 0xd800 && c < 0xe000))
		return 0;
	return n;
}

static void put_base64(struct buf *b, const uint8_t *p, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";

	for (; len > 0; p += 3) {
		uint32_t v = (uint32_t)p[0] << 16;

		if (len > 1)
			v |= (uint32_t)p[1] << 8;
		if (len > 2)
			v |= p[2];
		buf_put_u8(b, (uint8_t)digits[v >> 18]);
		buf_put_u8(b, (uint8_t)digits[v >> 12 & 63]);
		buf_put_u8(b, len > 1 ? (uint8_t)digits[v >> 6 & 63] : '=');
		buf_put_u8(b, len > 2 ? (uint8_t)digits[v & 63] : '=');
		if (len <= 3)
			break;
		len -= 3;
	}
}

void output_set_bytes(json_t *o, const char *key, const void *bytes, size_t len)
{
	static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
	struct buf text AUTO_BUF = BUF_INIT;
	struct buf base64 AUTO_BUF = BUF_INIT;
	const uint8_t *p = bytes;
	char key_b64[64];
	bool valid = true;
	size_t i, n;

	for (i = 0; i < len; i += n ? n : 1) {
		n = utf8_length(p + i, len - i);
		if (n > 0)
			buf_put(&text, p + i, n);
		else
			buf_put(&text, replacement, 3);
		valid = valid && n > 0;
	}
	if (buf_error(&text) < 0)
		return;
	json_object_set_new(o, key,
			    json_stringn_nocheck(text.len ? (char *)text.data
							  : "",
						 text.len));
	if (valid)
		return;
	put_base64(&base64, p, len);
	if (buf_error(&base64) < 0)
		return;
	snprintf(key_b64, sizeof(key_b64), "%s_b64", key);
	json_object_set_new(o, key_b64,
			    json_stringn_nocheck((char *)base64.data,
						 base64.len));
}

void output_set_time(json_t *o, const char *key, int64_t time_ns)
{
	char text[OUTPUT_TIME_LEN];

	output_set_string(o, key, output_time(time_ns, text));
}

void output_set_uint(json_t *o, const char *key, uint64_t v)
{
	json_object_set_new(o, key,
			    json_integer((json_int_t)MIN(v, INT64_MAX)));
}

void output_set_string(json_t *o, const char *key, const char *text)
{
	if (text)
		output_set_bytes(o, key, text, strlen(text));
	else
		json_object_set_new(o, key, json_null());
}

void output_set_bool(json_t *o, const char *key, bool v)
{
	json_object_set_new(o, key, json_boolean(v));
}

/* ---- names ---- */

void output_escape(struct buf *b, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	size_t i, n;

	for (i = 0; i < len; i += n) {
		n = utf8_length(p + i, len - i);
		/* C0, DEL, and C1 (0xc2 0x80..0x9f). */
		if (n == 0 || p[i] < 0x20 || p[i] == 0x7f ||
		    (n == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0)) {
			n = 1;
			buf_printf(b, "\\%03o", p[i]);
		} else {
			buf_put(b, p + i, n);
		}
	}
}

void output_name(FILE *f, const void *bytes, size_t len)
{
	struct buf text AUTO_BUF = BUF_INIT;

	if (!isatty(fileno(f))) {
		fwrite(bytes, 1, len, f);
		return;
	}
	output_escape(&text, bytes, len);
	if (buf_error(&text) == 0)
		fwrite(text.data, 1, text.len, f);
}

/* ---- the state of stdout ---- */

/* The other end of a pipe is closed. */
static bool reader_is_gone(void)
{
	struct pollfd p = { .fd = STDOUT_FILENO, .events = POLLOUT };

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR);
}

static int stdout_error(int err)
{
	if (err == EPIPE || reader_is_gone())
		return -EPIPE;
	return fail(err == ENOSPC || err == EDQUOT ? -err : -EIO,
		    "standard output: %s", strerror(err));
}

int output_write(const void *buf, size_t len)
{
	/* Large writes pass the stream's buffer by: it would not meet their
	 * error again. */
	errno = EIO;
	if (fwrite(buf, 1, len, stdout) == len)
		return output_error();
	clearerr(stdout);
	return stdout_error(errno);
}

int output_error(void)
{
	if (!ferror(stdout))
		return 0;
	/* The stream does not keep which error it was; it may meet it again. */
	clearerr(stdout);
	return stdout_error(fflush(stdout) ? errno : EIO);
}

int output_flush(void)
{
	if (ferror(stdout))
		return output_error();
	return fflush(stdout) ? stdout_error(errno) : 0;
}
