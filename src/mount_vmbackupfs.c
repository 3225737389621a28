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
#include "src/cli/options.h"
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
	struct string_list texts; /* of -o, in their order */
	const char *type, *namespace;
	bool foreground, version, write, ignored;
	unsigned int verbose;
};

#define IGNORED "accepted and ignored"

static const struct option_row rows[] = {
	OPT_LIST("options", 'o', "OPTION,...", struct args, texts,
		 "mount options; see below"),
	OPT_FLAG("foreground", 'f', struct args, foreground,
		 "stay in the foreground"),
	OPT_COUNT("verbose", 'v', struct args, verbose, "say more"),
	OPT_FLAG("version", 'V', struct args, version, "print the version"),
	OPT_FLAG("no-mtab", 'n', struct args, ignored, IGNORED),
	OPT_FLAG("sloppy", 's', struct args, ignored, IGNORED),
	OPT_FLAG("read-only", 'r', struct args, ignored, IGNORED),
	OPT_STRING("types", 't', "TYPE", struct args, type, IGNORED),
	OPT_STRING("namespace", 'N', "NAMESPACE", struct args, namespace,
		   IGNORED),
	OPT_FLAG("read-write", 'w', struct args, write,
		 "refused: a vault's points are read-only"),
	OPT_END
};

static void print_usage(void)
{
	printf("usage: mount.vmbackupfs VAULT DIR [-o OPTION,...] [-f]\n\n"
	       "Mount all recovery points of a vault, read-only.\n\n"
	       "Options:\n");
	options_usage(stdout, rows);
	printf("  -h, --help                print this\n\n"
	       "Mount options:\n");
	mount_options_usage(stdout);
	printf("\nSee mount.vmbackupfs(8).\n");
}

/* Return 0 or a negative errno, said in words. */
static int parse_texts(const struct args *a, struct mount_options *o)
{
	bool from_mount = run_by_mount();
	size_t i;
	int r = 0;

	if (a->write)
		return fail(-EINVAL, "-w: a vault's points are "
				     "read-only, always");
	for (i = 0; i < a->texts.n && r == 0; i++)
		r = mount_options_parse(o, a->texts.items[i], from_mount);
	return r;
}

static int mount_vault(const struct args *a, int argc, char **argv)
{
	struct context ctx = { .seam = seam_system() };
	struct mount_options o;
	struct mounting m = { .ctx = &ctx,
			      .options = &o,
			      .foreground = a->foreground };
	int r;

	mount_options_init(&o);
	r = parse_texts(a, &o);
	if (r == 0 && argc != 2)
		r = fail(-EINVAL, "a vault and a directory are needed; see "
				  "mount.vmbackupfs --help");
	if (r == 0) {
		ctx.repository = argv[0];
		m.dir = argv[1];
		r = daemon_run(&m);
	}
	mount_options_release(&o);
	free(ctx.url);
	free(ctx.cache);
	free(ctx.state);
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
	struct args a = { .verbose = 0 };
	struct option_set set = { rows, &a };
	int r, first = 0;

	output_open_standard();
	bound_heap();
	output_init("mount.vmbackupfs", false, 0, 0);
	signals_init();
	signals_watch(true);
	r = options_parse(&set, 1, argc, argv, false, &first);
	if (r > 0) {
		print_usage();
		r = 0;
	} else if (r == 0 && a.version) {
		printf("%s\n", PACKAGE_STRING);
	} else if (r == 0) {
		output_init("mount.vmbackupfs", false, 0, a.verbose);
		r = mount_vault(&a, argc - first, argv + first);
	}
	options_release(&set);
	return exit_code(r);
}
