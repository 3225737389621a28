/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mount.vmbackupfs: what mount(8) runs for "mount -t vmbackupfs VAULT DIR",
 * and exits as mount(8) wants it.
 */
#include "config.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "src/cli/context.h"
#include "src/cli/output.h"
#include "src/cli/signals.h"
#include "src/mount/daemon.h"
#include "src/mount/options.h"
#include "store/base/log.h"
#include "store/base/seam.h"

enum mount_code {
	MOUNT_OK = 0,
	MOUNT_USAGE = 1, /* or permissions */
	MOUNT_SYSTEM = 2, /* out of memory, cannot fork */
	MOUNT_USER = 8, /* interrupted */
	MOUNT_FAIL = 32,
};

static const char usage[] =
	"usage: mount.vmbackupfs VAULT DIR [-o OPTION[,OPTION]...] [-f]\n"
	"Mount all recovery points of a vault, read-only.\n"
	"  -o OPTIONS   keyfile=, passwordfile=, cachedir=, cachesize=, vm=,\n"
	"               point=, uid=, gid=, umask=, idmap=, allow_other,\n"
	"               allow_root, threads=, readahead=, refresh=,\n"
	"               io_timeout=, lukskey=, verify,\n"
	"               fsname=; see mount.vmbackupfs(8)\n"
	"  -f           stay in the foreground\n"
	"  -v           say more\n"
	"  -n -s        accepted and ignored, as -t TYPE, -N NAMESPACE and -r\n"
	"  -h           print this; -V the version\n";

static int exit_code(int r)
{
	switch (r) {
	case 0:
		return MOUNT_OK;
	case -EINVAL:
	case -EPERM:
	case -EACCES:
		return MOUNT_USAGE;
	case -ENOMEM:
	case -EAGAIN:
	case -EMFILE:
	case -ENFILE:
		return MOUNT_SYSTEM;
	case -EINTR:
		return MOUNT_USER;
	default:
		return MOUNT_FAIL;
	}
}

/* mount(8) puts "rw" before what the user wrote, always. */
static bool run_by_mount(void)
{
	char path[40], name[16] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%ld/comm", (long)getppid());
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(name, sizeof(name), f))
		name[0] = '\0';
	fclose(f);
	return strcmp(name, "mount\n") == 0;
}

struct args {
	bool foreground, help, version;
	unsigned int verbose;
	struct mount_options options;
};

/* Options may stand anywhere. Return 0 or -EINVAL, said in words. */
static int parse(struct args *a, int argc, char **argv)
{
	bool from_mount = run_by_mount();
	int c, r;

	opterr = 0;
	while ((c = getopt(argc, argv, "o:fnsvrt:N:hVw")) != -1) {
		switch (c) {
		case 'o':
			r = mount_options_parse(&a->options, optarg,
						from_mount);
			if (r < 0)
				return r;
			break;
		case 'f':
			a->foreground = true;
			break;
		case 'v':
			a->verbose++;
			break;
		case 'h':
			a->help = true;
			break;
		case 'V':
			a->version = true;
			break;
		case 'n': /* no mtab */
		case 's': /* sloppy: mount(8) means it for others' options */
		case 'r':
		case 't':
		case 'N':
			break;
		case 'w':
			return fail(-EINVAL, "-w: a vault's points are "
					     "read-only, always");
		default:
			return fail(-EINVAL,
				    "-%c: not known, or its value "
				    "is missing; see mount.vmbackupfs -h",
				    optopt);
		}
	}
	return 0;
}

static int mount_vault(struct args *a, int argc, char **argv)
{
	struct context ctx = { .seam = seam_system() };
	struct mounting m = { .ctx = &ctx,
			      .options = &a->options,
			      .foreground = a->foreground };
	int r;

	if (argc != 2)
		return fail(-EINVAL, "a vault and a directory are needed; see "
				     "mount.vmbackupfs -h");
	ctx.repository = argv[0];
	m.dir = argv[1];
	r = daemon_run(&m);
	free(ctx.url);
	free(ctx.cache);
	return r;
}

/*
 * What is said of memory (vmbackupfs(7)) holds only where what is freed is used
 * again: one heap for all threads, and large pieces back to the kernel, at
 * whatever size (which else grows with the largest one freed).
 */
static void bound_heap(void)
{
	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 1 << 20);
	mallopt(M_TRIM_THRESHOLD, 4 << 20);
}

int main(int argc, char **argv)
{
	struct args a = { 0 };
	int r;

	bound_heap();
	output_init("mount.vmbackupfs", false, 0, 0);
	signals_init();
	signals_watch(true);
	mount_options_init(&a.options);
	r = parse(&a, argc, argv);
	if (r == 0 && (a.help || a.version)) {
		fputs(a.help ? usage : PACKAGE_STRING "\n", stdout);
	} else if (r == 0) {
		output_init("mount.vmbackupfs", false, 0, a.verbose);
		r = mount_vault(&a, argc - optind, argv + optind);
	}
	mount_options_release(&a.options);
	return exit_code(r);
}
