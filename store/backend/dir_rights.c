/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may do what with a vault in a directory. The kernel decides; here stands what
 * is said where it refuses, what is found out before something is begun that it would
 * refuse in the middle, and who may read what is new.
 */
#include "config.h"

#include "store/backend/dir_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "store/base/log.h"

/* ---- what is said ---- */

/* The right that an operation takes, in the words of vmbackupfs(7). */
static const char *right_to(const char *what)
{
	static const struct {
		const char *what, *right;
	} rights[] = {
		{ "store", "create objects" },	  { "make", "create folders" },
		{ "delete", "delete objects" },	  { "list", "list objects" },
		{ "replace", "replace objects" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rights); i++)
		if (strcmp(rights[i].what, what) == 0)
			return rights[i].right;
	return "read objects";
}

bool dir_is_refusal(int err)
{
	return err == -EACCES || err == -EPERM || err == -EROFS;
}

static int refuse(const struct backend_dir *d, int err, const char *what,
		  const char *name, const char *advice)
{
	/* Of which kind, where it is an object of a kind. */
	const char *slash = strchr(name, '/');
	int len = slash ? (int)(slash + 1 - name) : 0;

	return fail(
		err,
		"vault %s: cannot %s %s: %s; it takes the right to %s%s%.*s%s, "
		"see ROLES in vmbackupfs(7): %s",
		d->base.url, what, name, strerror(-err), right_to(what),
		len ? " (" : "", len, name, len ? ")" : "", advice);
}

int dir_refused(const struct backend_dir *d, int err, const char *what,
		const char *name)
{
	return refuse(d, err, what, name, dir_advice(err));
}

/* ---- what would be refused ---- */

/* In a folder with the sticky bit only the folder's owner may delete what another
 * one put. CAP_FOWNER is taken for root's: without it the kernel refuses later. */
static int judge_folder(const struct backend_dir *d, const char *folder,
			const char *what, const char *name)
{
	struct statx st;
	int r = 0;

	/* One that is not there has nothing to be deleted. */
	if (statx(d->root, folder, AT_SYMLINK_NOFOLLOW, STATX_UID | STATX_MODE,
		  &st) < 0)
		return 0;
	/* That is so for root and for the vault's owner, too. */
	if (st.stx_attributes & (STATX_ATTR_APPEND | STATX_ATTR_IMMUTABLE))
		return refuse(d, -EPERM, what, name,
			      "take append-only and immutable from the folders "
			      "first, with chattr -ai");
	if ((st.stx_mode & S_ISVTX) && st.stx_uid != geteuid() &&
	    geteuid() != 0)
		r = -EPERM;
	else if (faccessat(d->root, folder, W_OK | X_OK, AT_EACCESS) < 0)
		r = -errno;
	return dir_is_refusal(r) ? dir_refused(d, r, what, name) : 0;
}

int dir_may_delete(struct backend *b, const char *prefix)
{
	struct backend_dir *d = dir_of(b);
	int r = judge_folder(d, prefix, "delete", prefix);
	size_t i;

	/* Packs lie one deeper, and who sets rights may have set them there. */
	for (i = 0; i < 256 && r == 0 && strcmp(prefix, "pack/") == 0; i++) {
		char name[sizeof("pack/00/")];

		snprintf(name, sizeof(name), "pack/%02x/", (unsigned int)i);
		r = judge_folder(d, name, "delete", name);
	}
	return r;
}

int dir_may_replace(struct backend_dir *d, const char *name)
{
	const char *slash = strrchr(name, '/');
	char folder[BACKEND_NAME_MAX + 2] = ".";

	if (slash)
		snprintf(folder, sizeof(folder), "%.*s",
			 (int)(slash + 1 - name), name);
	return judge_folder(d, folder, "replace", name);
}

/* ---- who may read what is new ---- */

/*
 * What root puts into somebody's vault, that somebody shall be able to read: all
 * of it is his, as the folder is. Where root may not (a server of files that takes
 * him for nobody), he has to see to it himself; the verbs tell what he cannot read.
 */
static void give_to_owner(const struct stat *folder, int fd)
{
	if (geteuid() == 0 && folder->st_uid != 0)
		(void)!fchown(fd, folder->st_uid, folder->st_gid);
}

void dir_share_file(int folder, int fd)
{
	struct stat st;

	if (fstat(folder, &st) < 0)
		return;
	give_to_owner(&st, fd);
	/* Under an ACL the group's bits are its mask, so that this is for those
	 * whom a default ACL names, too. */
	if (st.st_mode & (S_IRGRP | S_IROTH))
		(void)!fchmod(fd, S_IRUSR | S_IWUSR |
					  (st.st_mode & (S_IRGRP | S_IROTH)));
}

void dir_share_folder(struct backend_dir *d, int folder, int fd)
{
	struct stat st, model;

	if (fstat(folder, &st) < 0)
		return;
	give_to_owner(&st, fd);
	/* The vault's own directory may be open to more users than what is in it. */
	if (fstatat(d->root, "pack", &model, AT_SYMLINK_NOFOLLOW) == 0 &&
	    S_ISDIR(model.st_mode) && (model.st_mode & 07077))
		(void)!fchmod(fd, model.st_mode & 07777);
}
