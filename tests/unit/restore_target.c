/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/restore_target.h"
#include "tests/unit/support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "src/restore/guard.h"

/* ---- the target ---- */

static struct node *grow(const struct node *like, const char *path,
			 unsigned int depth);

static void add_mount(const char *from, const char *type, const char *path)
{
	assert_ok(mount(from, path, type, type ? 0 : MS_BIND, NULL));
	assert_true(model.nmounts < ARRAY_SIZE(model.mounts));
	snprintf(model.mounts[model.nmounts++], sizeof(model.mounts[0]), "%s",
		 path);
}

static void guard(const char *path)
{
	assert_ok(guard_add(model.guard, path, "the vault"));
}

/* The last plain file that was made. */
static struct {
	struct node *file;
	char path[256];
} named;

static void mark_guarded(struct node *x)
{
	if (x->kind == DIR_KIND)
		x->guarded = true;
	for (x = x->child; x; x = x->next)
		mark_guarded(x);
}

/* A directory that looks like a vault; its name is @x's. It may have lost up
 * to two of its four parts. */
static void make_vault(struct node *x, const char *path)
{
	static const char *const dirs[] = { "commit", "pack", "point" };
	bool all = model_percent(50);
	size_t lost = model_below(4), also = model_below(4);
	struct node *c;
	char sub[300];
	size_t i;

	x->vault = true;
	if (all || (lost != 3 && also != 3)) {
		c = node_new("config", FILE_KIND);
		node_fill(c, 't');
		node_add(x, c);
		snprintf(sub, sizeof(sub), "%s/config", path);
		support_write(sub, c->text, strlen(c->text));
	}
	for (i = 0; i < ARRAY_SIZE(dirs); i++) {
		if (!all && (i == lost || i == also))
			continue;
		node_add(x, node_new(dirs[i], DIR_KIND));
		snprintf(sub, sizeof(sub), "%s/%s", path, dirs[i]);
		assert_ok(mkdir(sub, 0755));
	}
}

static void make_dir(struct node *x, const struct node *like, const char *path,
		     unsigned int depth)
{
	assert_ok(mkdir(path, 0755));
	if (model.can_mount && depth > 0 && model.nmounts < 3 &&
	    model_percent(6)) {
		x->mount = true;
		add_mount("none", "tmpfs", path);
	}
	x->child = grow(like, path, depth + 1)->child;
	if (depth == 0 || !model_percent(10))
		return;
	if (model_percent(60))
		make_vault(x, path);
	if (!x->vault || model_percent(60)) {
		mark_guarded(x);
		guard(path);
	}
}

/* Make it another name of a file that is there, or is outside. False where that
 * is on another filesystem. */
static bool make_name(struct node *x, const char *path)
{
	static struct node out = { .text = "mine", .file = OUTSIDE_FILE };
	bool outside = !named.file || model_percent(30);
	char file[256];

	snprintf(file, sizeof(file), "%s/file", model.outside);
	if (link(outside ? file : named.path, path) < 0) {
		assert_int_equal(errno, EXDEV);
		return false;
	}
	node_share(x, outside ? &out : named.file);
	return true;
}

static void make_other(struct node *x, const char *path)
{
	char other[300];

	node_fill(x, 't');
	if (x->kind == LINK_KIND) {
		assert_ok(symlink(x->text, path));
		return;
	}
	if (!model.damage && model_percent(12) && make_name(x, path))
		return;
	support_write(path, x->text, strlen(x->text));
	if (model.can_mount && model.nmounts < 3 && model_percent(2)) {
		snprintf(other, sizeof(other), "%s/bound%zu", model.outside,
			 model.nmounts);
		support_write(other, x->text, strlen(x->text));
		add_mount(other, NULL, path);
		x->mount = true;
	} else if (model_percent(4)) {
		x->guarded = true;
		guard(path);
	} else {
		named.file = x;
		snprintf(named.path, sizeof(named.path), "%s", path);
	}
}

/* Return a directory whose entries resemble those of @like (may be NULL), and
 * make them in @path. */
static struct node *grow(const struct node *like, const char *path,
			 unsigned int depth)
{
	struct node *dir = node_new("", DIR_KIND);
	char sub[256];
	size_t i;

	for (i = 0; i < MODEL_NAMES; i++) {
		const struct node *was = node_find(like, model_names[i]);
		struct node *x;

		if (!model_percent(was ? 70 : i == 0 ? 5 : depth > 3 ? 10 : 30))
			continue;
		x = node_new(model_names[i], was && model_percent(85)
						     ? was->kind
						     : model_any_kind(depth));
		snprintf(sub, sizeof(sub), "%s/%s", path, x->name);
		if (x->kind == DIR_KIND)
			make_dir(x, was && was->kind == DIR_KIND ? was : NULL,
				 sub, depth);
		else
			make_other(x, sub);
		node_add(dir, x);
	}
	return dir;
}

/* ---- what there is ---- */

static int not_dots(const struct dirent *e)
{
	return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void print_one(const char *full, const char *shown, enum kind *out,
		      struct buf *text)
{
	char line[600], content[TEXT_MAX_LEN] = "";
	const char *same = NULL;
	struct stat st;
	ssize_t n = 0;
	int fd;

	assert_ok(lstat(full, &st));
	*out = S_ISDIR(st.st_mode)   ? DIR_KIND
	       : S_ISLNK(st.st_mode) ? LINK_KIND
				     : FILE_KIND;
	if (*out == LINK_KIND)
		n = readlink(full, content, sizeof(content) - 1);
	if (*out == FILE_KIND) {
		fd = open(full, O_RDONLY | O_CLOEXEC);
		n = read(fd, content, sizeof(content) - 1);
		close(fd);
	}
	content[MAX(n, 0)] = '\0';
	if (*out == FILE_KIND && st.st_nlink > 1)
		same = model_shown(st.st_ino ^ (uint64_t)st.st_dev << 40,
				   shown);
	snprintf(line, sizeof(line), "%s %d %s%s%s\n", shown, *out, content,
		 same ? " is " : "", same ? same : "");
	buf_put(text, line, strlen(line));
}

static void print_disk(const char *top, const char *path, struct buf *out)
{
	char sub[400], full[800];
	struct dirent **list;
	enum kind kind;
	int n, i;

	snprintf(full, sizeof(full), "%s%s", top, path);
	n = scandir(full, &list, not_dots, by_bytes);
	assert_true(n >= 0);
	for (i = 0; i < n; i++) {
		snprintf(sub, sizeof(sub), "%s/%s", path, list[i]->d_name);
		snprintf(full, sizeof(full), "%s%s", top, sub);
		free(list[i]);
		print_one(full, sub, &kind, out);
		if (kind == DIR_KIND)
			print_disk(top, sub, out);
	}
	free(list);
}

/* Where each directory is mounted. */
static void settle(struct node *dir, const struct node *fs)
{
	struct node *c;

	dir->fs = dir->mount ? dir : fs;
	for (c = dir->child; c; c = c->next)
		if (c->kind == DIR_KIND)
			settle(c, dir->fs);
}

struct node *target_grow(const struct node *like, const char *path)
{
	struct node *top;

	named.file = NULL;
	top = grow(like, path, 0);
	settle(top, top);
	return top;
}

void target_remove(void)
{
	while (model.nmounts > 0)
		assert_ok(umount2(model.mounts[--model.nmounts], MNT_DETACH));
	support_remove(model.target);
}

void target_print(const char *top, struct buf *out)
{
	model.nshown = 0;
	print_disk(top, "", out);
}
