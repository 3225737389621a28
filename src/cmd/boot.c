/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A shell script that boots a point: it mounts the vault, lays a qcow2 overlay
 * on each disk, and starts qemu on the overlays. It is printed, or run; there
 * is no other way in which this verb works.
 *
 * qemu runs in the script's background, with the script's input: a shell that
 * waits for a command in front of it hears of a signal only when that ends.
 */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/place.h"
#include "src/cli/credentials.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "src/cmd/guarded.h"
#include "store/backend/backend.h"
#include "store/base/buf.h"
#include "store/base/log.h"
#include "store/point.h"
#include "store/vault.h"

struct args {
	const char *mountpoint, *overlay, *network, *firmware, *bus, *qemu;
	unsigned int memory, cpus;
	bool run, no_kvm;
};

static const struct option_row rows[] = {
	OPT_FLAG("run", 0, struct args, run,
		 "run it; without this the script is printed"),
	OPT_STRING("mountpoint", 0, "DIR", struct args, mountpoint,
		   "the vault, as a whole, is mounted there already (default:"
		   " mount it for as long as the machine runs)"),
	OPT_STRING("overlay", 0, "DIR", struct args, overlay,
		   "keep what the machine writes in DIR, and go on with what"
		   " is there (default: it is thrown away)"),
	OPT_STRING("network", 0, "none|user", struct args, network,
		   "default: none, so that nobody meets the machine twice"),
	OPT_UINT("memory", 0, "MIB", struct args, memory, "default: 2048"),
	OPT_UINT("cpus", 0, "N", struct args, cpus, "default: 2"),
	OPT_FLAG("no-kvm", 0, struct args, no_kvm,
		 "emulate the processor, where KVM is there but of no use"),
	OPT_STRING("bus", 0, "virtio|scsi|ide", struct args, bus,
		   "how the disks are attached (default: virtio)"),
	OPT_STRING("firmware", 0, "FILE", struct args, firmware,
		   "UEFI firmware, for machines that boot so"),
	OPT_STRING("qemu", 0, "PROGRAM", struct args, qemu,
		   "default: qemu-system-x86_64"),
	OPT_END
};

/* What the script is made from. */
struct boot {
	struct context *ctx;
	const struct args *args;
	const char *url;
	const struct point *point;
	size_t first, end; /* which of its disks */
	const char *time; /* the point's name below its machine's */
	char **extra; /* arguments for qemu; ends with NULL */
	/* The script is run: where the vault's key is handed over, once. */
	bool is_key;
	char key[CREDENTIALS_PATH_LEN];
};

/* Append @text as one word of the shell. */
static void word(struct buf *out, const char *text)
{
	buf_put_u8(out, '\'');
	for (; *text; text++) {
		if (*text == '\'')
			buf_printf(out, "'\\''");
		else
			buf_put_u8(out, (uint8_t)*text);
	}
	buf_put_u8(out, '\'');
}

/* The same for a value among those that qemu separates by commas: a comma in it
 * is doubled. */
static void qemu_word(struct buf *out, const char *text)
{
	AUTO_BUF struct buf twice = BUF_INIT;

	for (; *text; text++) {
		if (*text == ',')
			buf_put_u8(&twice, ',');
		buf_put_u8(&twice, (uint8_t)*text);
	}
	buf_put_u8(&twice, 0);
	if (buf_error(&twice) == 0)
		word(out, (char *)twice.data);
}

static void option(struct buf *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buf_printf(out, " %s ", name);
	word(out, value);
}

/* A path as a word that means the same from everywhere. */
static int path_word(struct buf *out, const char *path)
{
	AUTO_FREE char *real = NULL;
	AUTO_FREE char *here = NULL;
	AUTO_FREE char *full = NULL;

	/* As it is: what /dev/fd/3 stands for has no name. */
	if (*path != '/')
		real = realpath(path, NULL);
	if (*path == '/' || real) {
		word(out, real ? real : path);
		return 0;
	}
	here = realpath(".", NULL);
	if (!here)
		return fail(-errno, "this directory: %s", strerror(errno));
	if (asprintf(&full, "%s/%s", here, path) < 0) {
		full = NULL;
		return -ENOMEM;
	}
	word(out, full);
	return 0;
}

/* "-", standard input, stays what it is. */
static int option_path(struct buf *out, const char *name, const char *path)
{
	if (!path || !*path)
		return 0;
	if (!strcmp(path, "-")) {
		option(out, name, path);
		return 0;
	}
	buf_printf(out, " %s ", name);
	return path_word(out, path);
}

static int put_key(const struct boot *b, struct buf *out)
{
	const struct context *ctx = b->ctx;
	int r;

	if (*b->key) {
		option(out, b->is_key ? "--key-file" : "--password-file",
		       b->key);
		return 0;
	}
	r = option_path(out, "--key-file", ctx->key_file);
	if (r == 0)
		r = option_path(out, "--password-file", ctx->password_file);
	option(out, "--password-command", ctx->password_command);
	return r;
}

static int put_mount(const struct boot *b, struct buf *out)
{
	const char *path = backend_path(b->url);
	AUTO_FREE char *local = path ? realpath(path, NULL) : NULL;
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	int r;

	exe[n > 0 ? n : 0] = '\0';
	buf_printf(out, "vmbackup=");
	word(out, n > 0 ? exe : "vmbackup");
	buf_printf(out, "\nmnt=$(mktemp -d \"$dir/mnt.XXXXXX\")\nmounted=yes\n"
			"\"$vmbackup\" -q");
	option(out, "-r", local ? local : b->url);
	r = put_key(b, out);
	if (b->ctx->no_cache)
		buf_printf(out, " --no-cache");
	else if (r == 0)
		r = option_path(out, "--cache-dir", b->ctx->cache_dir);
	if (b->ctx->forgotten)
		buf_printf(out, " --forgotten");
	buf_printf(out, " mount \"$mnt\" ||\n"
			"\t{ status=$?; mounted=no; exit $status; }\n");
	return r;
}

/* Whatever ends the script, it leaves nothing behind but the overlays, where
 * those are kept. */
static void put_leave(const struct boot *b, struct buf *out)
{
	size_t i;

	buf_printf(out, "leave()\n{\n\tstatus=$?\n\tset +e\n"
			"\ttrap '' INT TERM HUP\n"
			"\tif [ -n \"$pid\" ]; then\n"
			"\t\tkill \"$pid\" 2>/dev/null\n"
			"\t\twait \"$pid\"\n\tfi\n");
	if (!b->args->mountpoint)
		buf_printf(out, "\tif [ $mounted = yes ]; then\n"
				"\t\t\"$vmbackup\" -q umount \"$mnt\"\n\tfi\n"
				"\t[ -z \"$mnt\" ] || rmdir \"$mnt\"\n");
	if (!b->args->overlay) {
		buf_printf(out, "\tif [ -n \"$dir\" ]; then\n");
		for (i = b->first; i < b->end; i++)
			buf_printf(out,
				   "\t\trm -f \"$dir/disk%zu.qcow2\""
				   " \"$dir/disk%zu.new\"\n",
				   i, i);
		buf_printf(out, "\t\trmdir \"$dir\"\n\tfi\n");
	}
	buf_printf(out, "\texit $status\n}\ntrap leave EXIT\n"
			"trap 'exit 130' INT TERM HUP\n");
}

/* Choose where the overlays are. On another point they would be garbage. */
static int put_dir(const struct boot *b, struct buf *out)
{
	int r;

	if (!b->args->overlay) {
		buf_printf(out, "dir=$(mktemp -d"
				" \"${TMPDIR:-/tmp}/vmbackup-boot.XXXXXX\")\n");
		return 0;
	}
	buf_printf(out, "dir=");
	r = path_word(out, b->args->overlay);
	buf_printf(out,
		   "\nmkdir -p \"$dir\"\nwas=\n"
		   "[ ! -e \"$dir/disk%zu.qcow2\" ] || was=unknown\n"
		   "[ ! -e \"$dir/point\" ] ||"
		   " read -r was <\"$dir/point\"\n"
		   "[ -z \"$was\" ] || [ \"$was\" = %s ] ||\n"
		   "\tdie \"$dir holds what was written on another point"
		   " ($was): take another directory\"\n"
		   "echo %s >\"$dir/point\"\n",
		   b->first, b->point->id, b->point->id);
	return r;
}

static void put_begin(const struct boot *b, struct buf *out)
{
	const char *qemu = b->args->qemu;

	buf_printf(out, "#!/bin/sh\n"
			"# Boots a recovery point on overlays: its disks are"
			" only read.\nset -eu\n"
			"mounted=no dir= mnt= pid=\n"
			"die()\n{\n"
			"\tprintf 'vmbackup boot: %%s\\n' \"$*\" >&2\n"
			"\texit 1\n}\n");
	put_leave(b, out);
	buf_printf(out, "command -v qemu-img >/dev/null ||\n"
			"\tdie 'qemu-img is not installed (Debian: package"
			" qemu-utils)'\nqemu=");
	word(out, qemu ? qemu : "qemu-system-x86_64");
	buf_printf(out,
		   "\ncommand -v \"$qemu\" >/dev/null ||\n"
		   "\tdie \"$qemu is not installed%s\"\n",
		   qemu ? "" : " (Debian: package qemu-system-x86)");
}

/* An overlay on each disk. One that is there is gone on with, wherever the
 * vault is mounted this time. */
static void put_overlays(const struct boot *b, struct buf *out)
{
	size_t i;

	buf_printf(out, "disks=$mnt/vms/");
	word(out, b->point->vm);
	buf_printf(out, "/");
	word(out, b->time);
	buf_printf(out, "/disks\n[ -d \"$disks\" ] ||\n"
			"\tdie \"$disks: no such directory: is this vault"
			" mounted there as a whole?\"\n"
			"overlay()\n{\n"
			"\tif [ -e \"$dir/$1.qcow2\" ]; then\n"
			"\t\tqemu-img rebase -q -u -f qcow2 -F raw -b \"$2\""
			" \"$dir/$1.qcow2\"\n"
			"\telse\n"
			"\t\tqemu-img create -q -f qcow2 -F raw -b \"$2\""
			" \"$dir/$1.new\"\n"
			"\t\tmv \"$dir/$1.new\" \"$dir/$1.qcow2\"\n"
			"\tfi\n}\n");
	for (i = b->first; i < b->end; i++) {
		buf_printf(out, "overlay disk%zu \"$disks/\"", i);
		word(out, b->point->disks[i].name);
		buf_printf(out, ".raw\n");
	}
}

static void put_disk(const struct boot *b, size_t i, const char *bus,
		     struct buf *out)
{
	bool ide = !strcmp(bus, "ide");
	uint32_t sector = b->point->disks[i].sector;

	/* What is thrown away need not reach the host's disk. */
	buf_printf(out,
		   " \\\n\t-drive \"file=$overlays/disk%zu.qcow2,"
		   "format=qcow2,if=none,id=disk%zu,discard=unmap%s\"",
		   i, i, b->args->overlay ? "" : ",cache=unsafe");
	buf_printf(out, " \\\n\t-device %s,drive=disk%zu",
		   ide			  ? "ide-hd"
		   : !strcmp(bus, "scsi") ? "scsi-hd"
					  : "virtio-blk-pci",
		   i);
	/* Partition tables count in sectors. */
	if (sector > 512 && !ide)
		buf_printf(out,
			   ",logical_block_size=%" PRIu32
			   ",physical_block_size=%" PRIu32,
			   sector, sector);
}

static int put_qemu(const struct boot *b, struct buf *out)
{
	const struct args *a = b->args;
	const char *bus = a->bus ? a->bus : "virtio";
	size_t i;
	int r = 0;

	buf_printf(out, "overlays=$(printf %%s \"$dir\" | sed 's/,/,,/g')\n"
			"exec 3<&0\n\"$qemu\" -name guest=");
	qemu_word(out, b->point->vm);
	/* The default is a processor on which some systems do not start; and
	 * where we are a guest ourselves, that MSR often cannot be set. */
	buf_printf(out,
		   " \\\n\t-machine q35%s -accel tcg"
		   " -cpu max,-arch-capabilities -m %u -smp %u",
		   a->no_kvm ? "" : " -accel kvm", a->memory ? a->memory : 2048,
		   a->cpus ? a->cpus : 2);
	buf_printf(out, " \\\n\t-nic %s", a->network ? a->network : "none");
	if (!strcmp(bus, "scsi"))
		buf_printf(out, " \\\n\t-device virtio-scsi-pci");
	for (i = b->first; i < b->end; i++)
		put_disk(b, i, bus, out);
	if (a->firmware) {
		buf_printf(out, " \\\n\t-bios ");
		r = path_word(out, a->firmware);
	}
	for (i = 0; b->extra[i]; i++) {
		buf_printf(out, " \\\n\t");
		word(out, b->extra[i]);
	}
	buf_printf(out, " <&3 3<&- &\npid=$!\nstatus=0\n"
			"wait \"$pid\" || status=$?\npid=\nexit $status\n");
	return r;
}

static int put_script(const struct boot *b, struct buf *out)
{
	int r;

	put_begin(b, out);
	r = put_dir(b, out);
	if (r == 0 && b->args->mountpoint) {
		buf_printf(out, "mnt=");
		r = path_word(out, b->args->mountpoint);
		buf_printf(out, "\n");
	} else if (r == 0) {
		r = put_mount(b, out);
	}
	if (r < 0)
		return r;
	put_overlays(b, out);
	r = put_qemu(b, out);
	buf_put_u8(out, 0);
	return r < 0 ? r : buf_error(out);
}

static int script_json(const char *script)
{
	json_t *o = output_message("script");

	output_set_string(o, "script", script);
	return output_json(o);
}

static int start(const char *script)
{
	signal(SIGPIPE, SIG_DFL);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	return fail(-errno, "/bin/sh: %s", strerror(errno));
}

/* All disks of a point, or the one that the place is. An overlay keeps the
 * number of its disk in the point either way. */
static int choose_disks(struct boot *b, const struct place *place,
			const char *text)
{
	const struct point_disk *d;
	int r;

	b->point = place->point;
	b->time = place->list->names[place->index];
	b->end = b->point->ndisks;
	if (b->end == 0)
		return fail(-ENOENT, "%s: it has no disks to boot from", text);
	if (place->kind == PLACE_POINT)
		return 0;
	r = place_disk(place, text, NULL, &d);
	if (r < 0)
		return r;
	b->first = (size_t)(d - b->point->disks);
	b->end = b->first + 1;
	return 0;
}

/* The script writes into the overlays' directory. */
static int check_overlay(const struct boot *b)
{
	size_t i;
	int r = guarded_check(b->ctx, b->args->overlay);

	/* disk0.qcow2 and so on, and behind them the file "point". */
	for (i = b->first; r == 0 && i <= b->end; i++) {
		AUTO_FREE char *path = NULL;
		int n = i < b->end
				? asprintf(&path, "%s/disk%zu.qcow2",
					   b->args->overlay, i)
				: asprintf(&path, "%s/point", b->args->overlay);

		if (n < 0) {
			path = NULL;
			return -ENOMEM;
		}
		r = guarded_check(b->ctx, path);
	}
	return r;
}

static int make_script(struct boot *b, struct vault *v, const char *text,
		       struct buf *out)
{
	struct point_list *l;
	struct place place;
	int r = vault_points(v, &l);

	if (r < 0)
		return r;
	r = place_parse(l, text, &place);
	if (r == 0)
		r = choose_disks(b, &place, text);
	if (r == 0 && b->args->overlay)
		r = check_overlay(b);
	if (r == 0)
		r = put_script(b, out);
	place_release(&place);
	point_list_put(l);
	return r;
}

static int start_point(struct context *ctx, const struct args *a, char **argv)
{
	AUTO_BUF struct buf script = BUF_INIT;
	struct boot b = { .ctx = ctx, .args = a, .extra = argv + 1 };
	struct vault_options o = { .url = NULL };
	struct vault *v;
	int r = context_open_vault_with(ctx, &o, &v);

	b.url = o.url;
	b.is_key = ctx->credential.keyfile != NULL;
	/* Nobody is asked twice, and standard input is read once. */
	if (r == 0 && a->run && !a->mountpoint)
		r = credentials_hand_over(&ctx->credential, b.key);
	context_forget_credential(ctx);
	if (r == 0)
		r = context_read_error(v, make_script(&b, v, argv[0], &script));
	vault_close(v);
	if (r < 0)
		return r;
	if (a->run)
		return start((char *)script.data);
	if (ctx->json)
		return script_json((char *)script.data);
	return fputs((char *)script.data, stdout) < 0 ? -EIO : 0;
}

/* Is @text one of @n words? NULL: the default. */
static bool one_of(const char *text, const char *const *words, size_t n)
{
	size_t i;

	for (i = 0; text && i < n; i++)
		if (!strcmp(text, words[i]))
			return true;
	return !text;
}

/* What would be pulled away from under the machine: the script ends when qemu
 * does, and takes the mount and the overlays with it. */
static bool leaves_script(const char *argument)
{
	argument += strspn(argument, "-");
	return !strcmp(argument, "daemonize");
}

static int run_boot(struct context *ctx, void *args, int argc, char **argv)
{
	static const char *const networks[] = { "none", "user" };
	static const char *const buses[] = { "virtio", "scsi", "ide" };
	const struct args *a = args;
	int i;

	if (argc < 1)
		return context_usage(ctx, "boot takes a POINT, and arguments of"
					  " qemu behind --");
	if (!one_of(a->network, networks, 2))
		return context_usage(ctx, "--network is none or user");
	if (!one_of(a->bus, buses, 3))
		return context_usage(ctx, "--bus is virtio, scsi or ide");
	for (i = 1; i < argc; i++)
		if (leaves_script(argv[i]))
			return context_usage(ctx,
					     "%s: the mount and the"
					     " overlays last as long as"
					     " the script, which waits for"
					     " qemu: put that into the"
					     " background instead",
					     argv[i]);
	return start_point(ctx, a, argv);
}

const struct command cmd_boot = {
	.name = "boot",
	.operands = "POINT[:disks/NAME.raw] [-- QEMU-ARGUMENT...]",
	.summary = "start a machine from a point, its disks untouched",
	.help = "Prints a shell script that mounts the vault, makes a qcow2"
		" overlay on each disk and runs qemu, with KVM where there is"
		" KVM; with --run, runs it. What the machine writes goes to"
		" the overlays, never to the point. The network is off: the"
		" machine that was backed up may still be running. With"
		" POINT:disks/NAME.raw the machine has that disk alone."
		"\nWhat stands behind -- is for qemu, as in: vmbackup boot"
		" --run web1/latest -- -nographic"
		"\nNeeds qemu-system-x86_64 and qemu-img.\n",
	.options = rows,
	.args_size = sizeof(struct args),
	.run = run_boot,
};
