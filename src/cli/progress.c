/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/cli/progress.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "src/cli/signals.h"
#include "store/base/seam.h"

#define NS 1000000000

struct progress {
	struct seam *seam; /* borrowed */
	const char *items; /* borrowed, a constant */
	int64_t start_ns;
	int64_t next_ns; /* when to show the next */
	int64_t interval_ns; /* 0: never */
	bool json;
	bool terminal;
};

/* Seconds between two lines; 0: none wanted. */
static double interval(const struct context *ctx, bool terminal)
{
	const char *text = getenv("VMBACKUP_PROGRESS_FPS");

	if (ctx->quiet)
		return 0;
	if (text && *text) {
		/* main has refused what is no positive number. */
		double fps = strtod(text, NULL);

		return fps > 0 ? 1 / MIN(fps, 60) : 0;
	}
	if (ctx->json)
		return 1;
	return terminal ? 0.2 : 0;
}

struct progress *progress_new(const struct context *ctx, const char *items)
{
	struct progress *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->seam = ctx->seam;
	p->items = items;
	p->json = ctx->json;
	p->terminal = isatty(STDERR_FILENO);
	p->interval_ns = (int64_t)(interval(ctx, p->terminal) * NS);
	p->start_ns = p->seam->ops->monotonic_ns(p->seam);
	p->next_ns = p->start_ns;
	return p;
}

void progress_free(struct progress *p)
{
	progress_clear(p);
	free(p);
}

double progress_seconds(const struct progress *p)
{
	if (!p)
		return 0;
	return (double)(p->seam->ops->monotonic_ns(p->seam) - p->start_ns) / NS;
}

/* How much is done, 0 to 1; negative where nobody knows. */
static double fraction(const struct progress_state *s)
{
	double f = -1;

	if (s->bytes_total)
		f = (double)s->bytes_done / (double)s->bytes_total;
	else if (s->items_total)
		f = (double)s->items_done / (double)s->items_total;
	return f > 1 ? 1 : f;
}

/* Seconds left at the pace so far; negative where nobody knows. */
static double remaining(double f, double seconds)
{
	if (f <= 0.005 || seconds < 1)
		return -1;
	return seconds * (1 - f) / f;
}

static void show_json(const struct progress *p, const struct progress_state *s)
{
	double seconds = progress_seconds(p), f = fraction(s);
	double left = remaining(f, seconds);
	json_t *o = output_message("status");
	char key[64];
	int ignored;

	if (!o)
		return;
	output_set_uint(o, "seconds_elapsed", (uint64_t)seconds);
	if (left >= 0)
		output_set_uint(o, "seconds_remaining", (uint64_t)left);
	json_object_set_new(o, "percent_done", json_real(f < 0 ? 0 : f));
	snprintf(key, sizeof(key), "total_%s", p->items);
	output_set_uint(o, key, s->items_total);
	snprintf(key, sizeof(key), "%s_done", p->items);
	output_set_uint(o, key, s->items_done);
	output_set_uint(o, "total_bytes", s->bytes_total);
	output_set_uint(o, "bytes_done", s->bytes_done);
	output_set_uint(o, "error_count", s->errors);
	if (s->current && *s->current) {
		json_t *files = json_array(), *one = json_object();

		/* A list of strings, as restic has it. */
		output_set_string(one, "f", s->current);
		json_array_append(files, json_object_get(one, "f"));
		json_decref(one);
		json_object_set_new(o, "current_files", files);
	}
	/* Asked for again when the verb ends. */
	ignored = output_json(o);
	(void)ignored;
	ignored = output_flush();
	(void)ignored;
}

/* The line without its end. */
static void render(const struct progress *p, const struct progress_state *s,
		   struct buf *b)
{
	double seconds = progress_seconds(p), f = fraction(s);
	double left = remaining(f, seconds);
	char text[OUTPUT_SIZE_LEN], total[OUTPUT_SIZE_LEN];
	char time[OUTPUT_DURATION_LEN];

	buf_printf(b, "[%s] ", output_duration(seconds, time));
	if (f >= 0)
		buf_printf(b, "%5.1f%%  ", floor(f * 1000) / 10);
	buf_printf(b, "%" PRIu64, s->items_done);
	if (s->items_total)
		buf_printf(b, "/%" PRIu64, s->items_total);
	buf_printf(b, " %s", p->items);
	if (s->bytes_done || s->bytes_total) {
		buf_printf(b, "  %s", output_size(s->bytes_done, text));
		if (s->bytes_total)
			buf_printf(b, " / %s",
				   output_size(s->bytes_total, total));
		if (seconds > 0.5)
			buf_printf(
				b, "  %s/s",
				output_size((uint64_t)((double)s->bytes_done /
						       seconds),
					    text));
	}
	if (s->errors)
		buf_printf(b, "  %" PRIu64 " errors", s->errors);
	if (left >= 0)
		buf_printf(b, "  %s left", output_duration(left, time));
	if (s->current && *s->current) {
		buf_put(b, "  ", 2);
		output_escape(b, s->current, strlen(s->current));
	}
}

/* @live: it will be rewritten, so it must not wrap. */
static void show_text(const struct progress *p, const struct progress_state *s,
		      bool live)
{
	struct buf b AUTO_BUF = BUF_INIT;
	size_t columns = 0, i;
	struct winsize w;

	render(p, s, &b);
	if (buf_error(&b) < 0)
		return;
	if (!live) {
		fprintf(stderr, "%s%.*s\n", p->terminal ? "\r\033[K" : "",
			(int)b.len, (const char *)b.data);
		return;
	}
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &w) < 0 || w.ws_col < 20)
		w.ws_col = 80;
	for (i = 0; i < b.len; i++) {
		if ((b.data[i] & 0xc0) == 0x80)
			continue;
		if (++columns >= w.ws_col)
			break;
	}
	fprintf(stderr, "\r%.*s\033[K", (int)i, (const char *)b.data);
	fflush(stderr);
}

void progress_update(struct progress *p, const struct progress_state *s)
{
	bool asked = signals_take_status();
	int64_t now;

	if (!p || (!asked && !p->interval_ns))
		return;
	now = p->seam->ops->monotonic_ns(p->seam);
	if (!asked && now < p->next_ns)
		return;
	p->next_ns = now + p->interval_ns;
	if (p->json) {
		show_json(p, s);
		return;
	}
	if (asked || !p->terminal) {
		show_text(p, s, false);
		return;
	}
	output_set_live(true);
	show_text(p, s, true);
}

void progress_clear(struct progress *p)
{
	if (!p || !p->terminal || p->json || !p->interval_ns)
		return;
	fputs("\r\033[K", stderr);
	fflush(stderr);
	output_set_live(false);
}
