/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/place.h"
#include "fs/view.h"
#include "src/cli/output.h"
#include "src/cmd/cmd.h"
#include "store/base/log.h"
#include "store/vault.h"

#define BUFFER (1u << 20)

static int copy_out(struct view *w, const char *spec,
		    const struct view_attr *attr, void *buf)
{
	uint64_t off = 0;
	size_t n;
	int r;

	do {
		r = view_read(w, attr->node, off, buf, BUFFER, &n);
		if (r < 0)
			return fail(r, "%s: reading stopped at byte %ju: %s",
				    spec, (uintmax_t)off, strerror(-r));
		r = output_write(buf, n);
		off += n;
	} while (r == 0 && n == BUFFER);
	return r;
}

static int cat(struct view *w, const char *spec, void *buf)
{
	struct view_attr attr;
	struct place place;
	int r = place_find(w, spec, &place, &attr);

	place_release(&place);
	if (r < 0)
		return r;
	if (S_ISDIR(attr.st.st_mode))
		return fail(-EISDIR, "%s is a directory; see: vmbackup ls %s",
			    spec, spec);
	if (!S_ISREG(attr.st.st_mode))
		return fail(-EIO,
			    "%s is a %s and holds no bytes; see:"
			    " vmbackup ls -l %s",
			    spec, output_type(attr.st.st_mode), spec);
	return copy_out(w, spec, &attr, buf);
}

static int run_cat(struct context *ctx, void *args, int argc, char **argv)
{
	struct vault *v;
	struct view *w;
	void *buf;
	int r, i;

	(void)args;
	if (argc == 0)
		return context_usage(ctx, "which file? say POINT:PATH");
	buf = malloc(BUFFER);
	if (!buf)
		return -ENOMEM;
	r = context_open_view(ctx, &v, &w);
	if (r < 0)
		goto out;
	for (i = 0; i < argc && r == 0; i++)
		r = cat(w, argv[i], buf);
	r = context_read_error(v, r);
	view_free(w);
	vault_close(v);
out:
	free(buf);
	return r;
}

const struct command cmd_cat = {
	.name = "cat",
	.aliases = "dump",
	.operands = "POINT:PATH...",
	.summary = "write files of a point to standard output",
	.run = run_cat,
};
