/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Becomes nbdkit with our plugin (nbdkit_plugin.c): the server is nbdkit's. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/place.h"
#include "src/cli/credentials.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/guarded.h"
#include "src/cmd/nbd_plugin.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/vault.h"

#define ARGS_MAX 32

struct args {
	const char *disk, *socket, *run;
	unsigned int threads;
};

static const struct option_row rows[] = {
	OPT_STRING("disk", 0, "NAME", struct args, disk,
		   "the same as POINT:disks/NAME.raw"),
	OPT_STRING("socket", 0, "PATH", struct args, socket,
		   "the Unix socket to listen on; it must not exist, and is"
		   " removed at the end"),
	OPT_STRING("run", 0, "COMMAND", struct args, run,
		   "serve while the shell's COMMAND runs; it finds the disk at"
		   " $uri"),
	OPT_UINT("threads", 0, "N", struct args, threads,
		 "answer N requests of a connection at a time (default: 1;"
		 " older nbdkits may end where more are answered and a reader"
		 " breaks off)"),
	OPT_END
};

/* An argument vector that grows; strings that it made are its own. */
struct argv {
	char *items[ARGS_MAX + 1];
	size_t n;
	bool no_memory;
};

PRINTF(2, 3) static void add(struct argv *a, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	if (a->n == ARGS_MAX || vasprintf(&text, fmt, ap) < 0)
		a->no_memory = true;
	else
		a->items[a->n++] = text;
	va_end(ap);
}

/* The disk to be served, and the id of its point, so that a "latest" goes on to
 * mean what it means now. */
struct disk_choice {
	char id[POINT_ID_HEX + 1];
	char *disk; /* owned */
};

/* What the plugin is told; the vault's key comes through a pipe. */
static void add_parameters(struct argv *a, struct context *ctx,
			   const struct vault_options *v, const char *key,
			   const struct disk_choice *choice,
			   const struct args *o)
{
	add(a, "vault=%s", v->url);
	add(a, "point=%s", choice->id);
	add(a, "disk=%s", choice->disk);
	if (o->socket && *o->socket)
		add(a, "remove=%s", o->socket);
	add(a, "%s=%s", ctx->credential.keyfile ? "key-file" : "password-file",
	    key);
	if (ctx->forgotten)
		add(a, "forgotten=1");
	if (ctx->no_cache)
		add(a, "no-cache=1");
	else if (v->cache_dir)
		add(a, "cache-dir=%s", v->cache_dir);
}

/* What --run prints is its command's. */
static int report_start(const struct args *o, const struct disk_choice *choice)
{
	json_t *m = output_message("serving");
	int r;

	output_set_string(m, "point", choice->id);
	output_set_string(m, "disk", choice->disk);
	output_set_bytes(m, "socket", o->socket, strlen(o->socket));
	r = output_json(m);
	return r < 0 ? r : output_flush();
}

static int become(struct context *ctx, const struct args *o,
		  const struct vault_options *v,
		  const struct disk_choice *choice)
{
	char key[CREDENTIALS_PATH_LEN];
	AUTO_FREE char *plugin = NULL;
	struct argv a = { .n = 0 };
	size_t i;
	int r = nbd_plugin_path(&plugin);

	if (r == 0)
		r = credentials_hand_over(&ctx->credential, key);
	if (r < 0)
		return r;
	add(&a, "nbdkit");
	add(&a, "--foreground");
	add(&a, "--readonly");
	/*
	 * Of a connection: connections are served at once all the same. With
	 * more, nbdkit 1.32 ends where a reader breaks off while two threads
	 * answer it (raw_send_socket: Assertion `sock >= 0' failed).
	 */
	add(&a, "--threads=%u", o->threads ? o->threads : 1);
	/* "-": a private one, for --run. */
	add(&a, "--unix=%s", o->socket && *o->socket ? o->socket : "-");
	if (o->run)
		add(&a, "--run=%s", o->run);
	if (ctx->verbose > 1)
		add(&a, "--verbose");
	add(&a, "%s", plugin);
	add_parameters(&a, ctx, v, key, choice, o);
	r = a.no_memory ? -ENOMEM : 0;
	if (r == 0 && ctx->json && !o->run)
		r = report_start(o, choice);
	if (r == 0) {
		signal(SIGPIPE, SIG_DFL);
		execvp("nbdkit", a.items);
		r = fail(-errno, "nbdkit cannot be started: %s%s",
			 strerror(errno),
			 errno == ENOENT ? ": install the package nbdkit" : "");
	}
	for (i = 0; i < a.n; i++)
		free(a.items[i]);
	return r;
}

/* Find it before a server is started. */
static int choose_disk(struct vault *v, const char *text, const char *name,
		       struct disk_choice *out)
{
	const struct point_disk *d;
	struct point_list *l;
	struct place place;
	int r = vault_points(v, &l);

	if (r < 0)
		return r;
	r = place_parse(l, text, &place);
	if (r == 0)
		r = place_disk(&place, text, name, &d);
	if (r == 0) {
		memcpy(out->id, place.point->id, sizeof(out->id));
		out->disk = strdup(d->name);
		r = out->disk ? 0 : -ENOMEM;
	}
	place_release(&place);
	point_list_put(l);
	return r;
}

static int serve(struct context *ctx, const struct args *o, const char *text)
{
	struct disk_choice choice = { .disk = NULL };
	struct vault_options vo = { .url = NULL };
	struct vault *v;
	int r = context_open_vault_with(ctx, &vo, &v);

	if (r == 0 && o->socket && *o->socket)
		r = guarded_check(ctx, o->socket);
	if (r == 0)
		r = context_read_error(v,
				       choose_disk(v, text, o->disk, &choice));
	vault_close(v);
	if (r == 0)
		r = become(ctx, o, &vo, &choice);
	free(choice.disk);
	context_forget_credential(ctx);
	return r;
}

static int run_nbd(struct context *ctx, void *args, int argc, char **argv)
{
	struct args *o = args;

	if (argc != 1)
		return context_usage(
			ctx, "nbd takes one disk: POINT:disks/NAME.raw");
	if (o->disk && !*o->disk)
		return context_usage(ctx, "--disk: the name is empty");
	if ((!o->socket || !*o->socket) && !o->run)
		return context_usage(ctx,
				     "where to? say --socket PATH, or --run"
				     " COMMAND");
	return serve(ctx, o, argv[0]);
}

const struct command cmd_nbd = {
	.name = "nbd",
	.operands = "POINT[:disks/NAME.raw]",
	.summary = "serve a disk of a point over NBD, read-only",
	.help = "Runs nbdkit(1) in the foreground until it is stopped. Readers"
		" see which parts are holes and zeros (base:allocation), and"
		" as many as like may read at once."
		"\nTo serve: vmbackup nbd web1/latest:disks/vda.raw --socket"
		" /run/vda.sock; the disk is then nbd+unix:///?socket="
		"/run/vda.sock for qemu, qemu-img, nbdcopy and nbdfuse."
		"\nFor one command: vmbackup nbd web1/latest:disks/vda.raw --run"
		" 'nbdinfo \"$uri\"'; the exit code is the command's.\n",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_nbd,
};
