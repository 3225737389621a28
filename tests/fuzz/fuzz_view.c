/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The view over a reader that answers anything: the input is what it says,
 * byte by byte. What comes out of the view must be what a kernel can take.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fs/guest/guest_internal.h"
#include "fs/guest/volumes/discover.h"
#include "fs/view.h"
#include "store/base/bytes.h"
#include "tests/fuzz/quiet.h"
#include "tests/unit/plant.h"
#include "tests/unit/plant_disk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define NAMES_MAX 300
#define DEPTH_MAX 4
#define STEPS_MAX 400

/* ---- the reader's answers ---- */

static const uint8_t *input;
static size_t left;

static uint64_t take(unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes-- > 0 && left > 0) {
		v = v << 8 | *input++;
		left--;
	}
	return v;
}

/* A number that is small, or just beside a bound, or anything. */
static uint64_t take_number(void)
{
	switch (take(1) % 6) {
	case 0:
		return GUEST_NODE_MAX - 2 + take(1) % 4;
	case 1:
		return GUEST_SIZE_MAX - 1 + take(1) % 3;
	case 2:
		return (uint64_t)INT64_MAX - 1 + take(1) % 3;
	case 3:
		return take(8);
	default:
		return take(1);
	}
}

static int take_error(void)
{
	static const int errors[] = { -ENOENT, -EBADMSG, -EIO,	     -ENOMEM,
				      -EINVAL, -ENOTDIR, -ECANCELED, -EPERM };
	uint8_t v = (uint8_t)take(1);

	return v < 200 ? 0 : errors[v % ARRAY_SIZE(errors)];
}

static int hostile_open(struct guest *g, struct buf *why)
{
	g->root = take_number();
	memset(&g->info, (int)take(1), sizeof(g->info)); /* without ends */
	g->held = (size_t)take(4);
	if (take(1) % 8 == 0)
		buf_printf(why, "as told");
	return take_error();
}

static void hostile_close(struct guest *g)
{
	(void)g;
}

static int hostile_getattr(struct guest *g, uint64_t node,
			   struct guest_attr *out)
{
	static const uint32_t types[] = { S_IFDIR, S_IFDIR, S_IFREG,
					  S_IFLNK, S_IFBLK, 0 };

	(void)g;
	*out = (struct guest_attr){
		.node = take(1) % 4 ? node : take_number(),
		.mode = types[take(1) % ARRAY_SIZE(types)] | (uint32_t)take(2),
		.uid = (uint32_t)take(4),
		.nlink = take_number(),
		.size = take_number(),
		.allocated = take_number(),
		.rdev_major = (uint32_t)take(4),
		.mtime = { (int64_t)take_number(), (uint32_t)take(4) },
		.ctime = { (int64_t)take_number(), (uint32_t)take(4) },
	};
	return take_error();
}

static int hostile_lookup(struct guest *g, uint64_t dir, const char *name,
			  size_t len, uint64_t *node_out)
{
	(void)g, (void)dir, (void)name, (void)len;
	*node_out = take_number();
	return take_error();
}

static int hostile_readdir(struct guest *g, uint64_t dir, uint64_t cookie,
			   guest_dir_fn *fn, void *arg)
{
	char name[NAMES_MAX];
	int r = 0;

	(void)g, (void)dir, (void)cookie;
	while (left > 0 && r == 0) {
		size_t n = take(1), i;

		if (n == 255)
			break;
		n = n % 8 ? n % 8 : n + 30;
		for (i = 0; i < n; i++)
			name[i] = (char)take(1);
		r = fn(arg, name, n, take_number(), (unsigned int)take(1),
		       take_number());
	}
	return r ? r : take_error();
}

static int hostile_readlink(struct guest *g, uint64_t node, struct buf *out)
{
	size_t n = take(1) * 20;

	(void)g, (void)node;
	while (n-- > 0)
		buf_put_u8(out, (uint8_t)take(1));
	return take_error();
}

static int hostile_read(struct guest_file *f, uint64_t off, void *out,
			size_t len)
{
	if (off > f->size || len > f->size - off)
		abort();
	memset(out, 1, len);
	return take_error();
}

static int hostile_seek(struct guest_file *f, uint64_t off, bool hole,
			uint64_t *out)
{
	(void)hole;
	if (off >= f->size)
		abort();
	*out = take_number();
	return take_error();
}

static void hostile_free(struct guest_file *f)
{
	free(f);
}

static const struct guest_file_ops file_ops = { .read = hostile_read,
						.seek = hostile_seek,
						.free = hostile_free };

static int hostile_file(struct guest *g, uint64_t node, struct guest_file **out)
{
	int r = take_error();

	(void)g, (void)node;
	*out = r < 0 ? NULL : malloc(sizeof(**out));
	if (!*out)
		return r < 0 ? r : -ENOMEM;
	guest_file_init(*out, &file_ops, take_number(), sizeof(**out));
	return 0;
}

static int hostile_xattrs(struct guest *g, uint64_t node, guest_xattr_fn *fn,
			  void *arg)
{
	static uint8_t value[GUEST_XATTR_MAX + 2];
	char name[NAMES_MAX];
	int r = 0;

	(void)g, (void)node;
	while (take(1) % 4 && left > 0 && r == 0) {
		size_t n = take(2) % (NAMES_MAX - 1), i;

		for (i = 0; i < n; i++)
			name[i] = (char)('a' + take(1) % 30);
		name[n] = '\0';
		n = take(1) % 4 ? take(1) : GUEST_XATTR_MAX - 1 + take(1) % 3;
		r = fn(arg, name, value, n);
	}
	return r ? r : take_error();
}

static const struct guest_ops hostile[] = {
	{ .name = "hostile",
	  .open = hostile_open,
	  .close = hostile_close,
	  .getattr = hostile_getattr,
	  .lookup = hostile_lookup,
	  .readdir = hostile_readdir,
	  .readlink = hostile_readlink,
	  .file = hostile_file,
	  .xattrs = hostile_xattrs },
	{ .name = "listed",
	  .open = hostile_open,
	  .close = hostile_close,
	  .getattr = hostile_getattr,
	  .readdir = hostile_readdir,
	  .readlink = hostile_readlink,
	  .file = hostile_file },
};

/* In the place of the real readers. */
const struct guest_reader guest_readers[] = { { "hostile", &hostile[0] },
					      { "listed", &hostile[1] },
					      { NULL, NULL } };

/* ---- and volumes that have such a filesystem ---- */

int discover_volumes(const struct discover_disk *disks, size_t n,
		     const struct luks_keys *keys, struct volume_set **out)
{
	static const char *const names[] = { "hostile", "listed" };
	struct volume_set *s = calloc(1, sizeof(*s));
	size_t i;

	(void)n, (void)keys;
	*out = s;
	if (!s)
		return -ENOMEM;
	s->volumes = calloc(ARRAY_SIZE(names), sizeof(*s->volumes));
	for (i = 0; s->volumes && i < ARRAY_SIZE(names); i++) {
		struct volume *v = &s->volumes[s->n++];

		v->name = strdup(names[i]);
		v->blocks = blocks_get(disks[0].blocks);
		snprintf(v->type, sizeof(v->type), "%s", names[i]);
	}
	return 0;
}

void volume_set_free(struct volume_set *s)
{
	size_t i;

	for (i = 0; s && i < s->n; i++) {
		free(s->volumes[i].name);
		blocks_put(s->volumes[i].blocks);
	}
	if (s)
		free(s->volumes);
	free(s);
}

/* ---- the walk ---- */

struct walk {
	struct view *view;
	int depth;
	unsigned int steps;
};

static void check_attr(const struct view_attr *a)
{
	const struct stat *st = &a->st;

	if (st->st_ino == 0 || st->st_size < 0 ||
	    st->st_mtim.tv_nsec >= 1000000000 ||
	    st->st_ctim.tv_nsec >= 1000000000)
		abort();
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) &&
	    !S_ISLNK(st->st_mode) && !S_ISBLK(st->st_mode) &&
	    !S_ISCHR(st->st_mode) && !S_ISFIFO(st->st_mode) &&
	    !S_ISSOCK(st->st_mode))
		abort();
}

static void visit(struct walk *w, uint64_t node);

static int visit_entry(void *arg, const char *name, size_t len,
		       const struct view_attr *a, uint64_t cookie)
{
	struct walk *w = arg;
	struct view_attr found;
	char text[GUEST_NAME_MAX + 1];

	if (len == 0 || len > GUEST_NAME_MAX || memchr(name, '/', len) ||
	    memchr(name, '\0', len) || cookie < 3 || cookie > INT64_MAX)
		abort();
	if ((len == 1 && name[0] == '.') ||
	    (len == 2 && memcmp(name, "..", 2) == 0))
		abort();
	if (!a->damaged)
		check_attr(a);
	memcpy(text, name, len);
	text[len] = '\0';
	(void)!view_lookup(w->view, a->node, text, &found);
	if (w->depth < DEPTH_MAX)
		visit(w, a->node);
	return ++w->steps > STEPS_MAX;
}

static void visit(struct walk *w, uint64_t node)
{
	struct view_attr a;
	struct buf text = BUF_INIT;
	uint8_t out[256];
	uint64_t at = take_number();
	size_t n = 0;

	w->depth++;
	if (view_getattr(w->view, node, &a) == 0)
		check_attr(&a);
	if (view_readlink(w->view, node, &text) == 0 &&
	    (text.len == 0 || text.len > GUEST_TARGET_MAX))
		abort();
	if (view_read(w->view, node, at, out, sizeof(out), &n) == 0 &&
	    n > sizeof(out))
		abort();
	(void)!view_seek(w->view, node, at, take(1) % 2, &at);
	buf_clear(&text);
	(void)!view_listxattr(w->view, node, &text);
	(void)!view_getxattr(w->view, node, "user.vmbackupfs.state", &text);
	(void)!view_readdir(w->view, node, 0, visit_entry, w);
	buf_release(&text);
	w->depth--;
}

/* One vault for all inputs. */
static struct vault *the_vault(void)
{
	static struct plant plant;
	static const uint8_t disk[4096] = { 1 };

	if (!plant.vault) {
		plant_init(&plant, 1 << 20);
		plant_begin(&plant);
		plant_image(&plant, "vda", disk, sizeof(disk));
		plant_commit(&plant, "web1", "2026-11-01T000000Z", NULL);
	}
	return plant.vault;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct walk w = { .depth = 0 };
	struct view_attr a;

	fuzz_quiet();
	if (view_new(the_vault(), &w.view) < 0)
		return 0;
	input = data;
	left = len;
	if (view_lookup_path(w.view, VIEW_ROOT,
			     "vms/web1/2026-11-01T000000Z/volumes", &a) < 0)
		abort();
	visit(&w, a.node);
	view_free(w.view);
	return 0;
}
