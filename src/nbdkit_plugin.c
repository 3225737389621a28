/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk of a point, for nbdkit(1): the NBD protocol is nbdkit's, so that
 * whatever speaks it (qemu, nbdcopy, nbd-client) reads the disk. Parameters:
 *
 *     vault=URL point=POINT disk=NAME
 *     key-file=FILE password-file=FILE password-command=COMMAND
 *     cache-dir=DIR no-cache=1
 *     remove=SOCKET    at the end: what nbdkit listens on, it leaves behind
 *
 * Without them the vault and its key are found as vmbackup finds them. Run
 * nbdkit in its foreground (-f) where paths are relative.
 *
 * The key is asked for before nbdkit forks (with --run it does), the vault is
 * opened behind that: SQLite's connections must not be carried over.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define NBDKIT_API_VERSION 2
#include <nbdkit-plugin.h>

#include "src/cli/context.h"
#include "store/backend/backend.h"
#include "store/base/log.h"
#include "store/base/seam.h"
#include "store/config/pair.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"

#define THREAD_MODEL NBDKIT_THREAD_MODEL_PARALLEL

/* nbdkit has one plugin and one set of parameters a process. */
static struct {
	struct context ctx;
	const char *point, *disk;
	char *socket; /* to be removed at the end; owned */
	bool bound; /* it is ours */
	struct backend *backend; /* owned; the vault stands on it */
	struct vault *vault; /* owned */
	struct point_list *points; /* held */
	const struct point_disk *d; /* in points */
} served;

static void sink(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	if (level <= LOG_LEVEL_WARN)
		nbdkit_error("%s", text);
	else
		nbdkit_debug("%s", text);
}

static void plugin_load(void)
{
	log_set(LOG_LEVEL_INFO, sink, NULL);
	served.ctx.seam = seam_system();
}

static void plugin_unload(void)
{
	point_list_put(served.points);
	vault_close(served.vault);
	backend_close(served.backend);
	context_forget_credential(&served.ctx);
	if (served.bound && served.socket)
		unlink(served.socket);
	free(served.socket);
	free(served.ctx.url);
	free(served.ctx.cache);
	free(served.ctx.state);
}

static int plugin_config(const char *key, const char *value)
{
	const struct {
		const char *key;
		const char **out;
	} keys[] = {
		{ "vault", &served.ctx.repository },
		{ "point", &served.point },
		{ "disk", &served.disk },
		{ "key-file", &served.ctx.key_file },
		{ "password-file", &served.ctx.password_file },
		{ "password-command", &served.ctx.password_command },
		{ "cache-dir", &served.ctx.cache_dir },
	};
	size_t i;
	int r;

	/* nbdkit keeps the values as long as the plugin lives. */
	for (i = 0; i < ARRAY_SIZE(keys); i++) {
		if (strcmp(key, keys[i].key) == 0) {
			*keys[i].out = value;
			return 0;
		}
	}
	if (strcmp(key, "no-cache") == 0) {
		r = nbdkit_parse_bool(value);
		served.ctx.no_cache = r > 0;
		return r < 0 ? -1 : 0;
	}
	if (strcmp(key, "forgotten") == 0) {
		r = nbdkit_parse_bool(value);
		served.ctx.forgotten = r > 0;
		return r < 0 ? -1 : 0;
	}
	if (strcmp(key, "remove") == 0) {
		free(served.socket);
		served.socket = nbdkit_absolute_path(value);
		return served.socket ? 0 : -1;
	}
	nbdkit_error("unknown parameter '%s'", key);
	return -1;
}

static int plugin_config_complete(void)
{
	if (served.point && served.disk)
		return 0;
	nbdkit_error("say point=POINT and disk=NAME");
	return -1;
}

/*
 * Before nbdkit forks a password can still be asked for, and whoever started it
 * still sees what is wrong. The vault cannot be opened yet, for its database
 * must not be carried over a fork. So look whether there is one, then ask.
 */
static int plugin_get_ready(void)
{
	struct credential unused;
	const char *url;
	int r = context_open_backend(&served.ctx, &served.backend);

	if (r < 0)
		return -1;
	url = backend_url(served.backend);
	r = config_head(served.backend);
	if (r == -ENOENT)
		r = fail(r,
			 "%s: there is no vault here; make one with: "
			 "vmbackup init %s",
			 url, url);
	if (r == 0)
		r = context_credential(&served.ctx, &unused);
	return r < 0 ? -1 : 0;
}

static int plugin_after_fork(void)
{
	struct vault_options o = { .backend = served.backend };
	size_t i;
	int r;

	served.bound = true; /* it listens already */
	/* Keys are in memory: no core dumps, no tracing. */
	prctl(PR_SET_DUMPABLE, 0);
	r = context_open_vault_with(&served.ctx, &o, &served.vault);
	context_forget_credential(&served.ctx);
	if (r == 0)
		r = vault_points(served.vault, &served.points);
	if (r == 0)
		r = point_find(served.points, served.point, &i);
	if (r < 0)
		return -1;
	served.d = point_find_disk(served.points->points[i], served.disk);
	if (served.d)
		return 0;
	nbdkit_error("%s: the point has no disk \"%s\"", served.point,
		     served.disk);
	return -1;
}

static void *plugin_open(int readonly)
{
	(void)readonly;
	return NBDKIT_HANDLE_NOT_NEEDED;
}

static int64_t plugin_get_size(void *handle)
{
	(void)handle;
	return (int64_t)served.d->size;
}

static int plugin_can_multi_conn(void *handle)
{
	(void)handle;
	return 1; /* nothing ever changes */
}

static int plugin_block_size(void *handle, uint32_t *minimum,
			     uint32_t *preferred, uint32_t *maximum)
{
	(void)handle;
	*minimum = 1;
	*preferred = 64u << 10; /* a frame */
	*maximum = 0xffffffff;
	return 0;
}

static int plugin_pread(void *handle, void *out, uint32_t len, uint64_t off,
			uint32_t flags)
{
	struct content_ref content = point_disk_content(served.d);
	int r;

	(void)handle;
	(void)flags;
	r = content_read(served.vault, &content, off, out, len);
	if (r == 0)
		return 0;
	nbdkit_set_error(r == -ENOMEM ? ENOMEM : EIO);
	return -1;
}

static int plugin_can_extents(void *handle)
{
	(void)handle;
	return 1;
}

static int plugin_extents(void *handle, uint32_t len, uint64_t off,
			  uint32_t flags, struct nbdkit_extents *out)
{
	static const uint32_t types[] = {
		[EXTENT_DATA] = 0,
		[EXTENT_HOLE] = NBDKIT_EXTENT_HOLE | NBDKIT_EXTENT_ZERO,
		[EXTENT_ZERO] = NBDKIT_EXTENT_ZERO,
	};
	struct content_ref content = point_disk_content(served.d);
	uint64_t begin = off, end = off + len;
	struct extent e;
	int first = -1;

	(void)handle;
	for (; off < end; off = e.off + e.len) {
		if (content_find(served.vault, &content, off, &e) < 0) {
			nbdkit_set_error(EIO);
			return -1;
		}
		if (first < 0)
			first = (int)e.type;
		/* Neighbours of one type are one extent: that is all of it. */
		if ((flags & NBDKIT_FLAG_REQ_ONE) && (int)e.type != first)
			break;
		/* Cut to what was asked for: an answer holds 32 bits of length. */
		if (nbdkit_add_extent(out, MAX(e.off, begin),
				      MIN(e.off + e.len, end) -
					      MAX(e.off, begin),
				      types[e.type]) < 0)
			return -1;
	}
	return 0;
}

static struct nbdkit_plugin plugin = {
	.name = "vmbackup",
	.longname = "a disk of a recovery point",
	.version = PACKAGE_VERSION,
	.description = "Serves disks of vmbackupfs vaults, read-only",
	.load = plugin_load,
	.unload = plugin_unload,
	.config = plugin_config,
	.config_complete = plugin_config_complete,
	.config_help = "vault=URL point=POINT disk=NAME [key-file=FILE]"
		       " [password-file=FILE]\n[password-command=COMMAND]"
		       " [cache-dir=DIR] [no-cache=1]\n[remove=SOCKET]",
	.get_ready = plugin_get_ready,
	.after_fork = plugin_after_fork,
	.open = plugin_open,
	.get_size = plugin_get_size,
	.can_multi_conn = plugin_can_multi_conn,
	.block_size = plugin_block_size,
	.pread = plugin_pread,
	.can_extents = plugin_can_extents,
	.extents = plugin_extents,
};

struct nbdkit_plugin *plugin_init(void);

NBDKIT_REGISTER_PLUGIN(plugin)
