/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Backups of small trees, and whether what came out is whole; for the tests of
 * kills, faults, power cuts and damage. */
#ifndef TESTS_UNIT_VAULTS_H
#define TESTS_UNIT_VAULTS_H

#include "tests/unit/support.h"

#include "store/crypt/crypt.h"
#include "store/vault.h"

struct point;
struct point_list;

/* Options with a key file, which costs no scrypt. One of @url and @b. */
struct vault_options vaults_options(const char *url, struct backend *b,
				    struct seam *seam, const char *cache_dir);

/* A dozen entries of every kind that needs no root, in @dir, a new one. The
 * second version adds, changes and removes some. */
void vaults_make_source(const char *dir);
void vaults_change_source(const char *dir);

/* A disk of three cells and a bit, with a hole, zeros, and data over a border:
 * beside @dir, and from now on in each backup of it. The second version differs
 * in two cells. */
void vaults_make_disk(const char *dir);
void vaults_change_disk(const char *dir);

/* Back up @dir, and the disk beside it, into an open vault, or one that is
 * opened for it. Return what backup_run() (or vault_open()) did. */
int vaults_backup(struct vault *v, const char *dir, char id_out[33]);
int vaults_open_and_backup(const struct vault_options *o, const char *dir,
			   char id_out[33]);

/* Which point of the list has that id; SIZE_MAX: none. */
size_t vaults_find_point(const struct point_list *l, const char *id);
/* Whether the point is there, whole: as @digest says, which is filled in where it is all
 * zeros. @dir: what it was made of. */
bool vaults_is_whole(struct backend *b, const char *id, const char *dir,
		     uint8_t digest[CRYPT_SHA256_LEN]);
/*
 * Read all of a point: every entry, every byte, every attribute, every disk.
 * @out: a hash of the disks and of what lies below @dir (what is above it
 * changes as tests go on). Return 0 or a negative errno.
 */
int vaults_digest(struct vault *v, const struct point *p, const char *dir,
		  uint8_t out[CRYPT_SHA256_LEN]);

/* What every point of a vault must be: its hash, by order of time. */
struct vaults_expected {
	const char *dir;
	uint8_t digest[2][CRYPT_SHA256_LEN];
	bool only_second; /* the first is known to be gone */
};
/*
 * Open the vault and compare: how many points it has (0 to 2), each whole and
 * as expected; or the negative errno of what failed, -EBADMSG for a damaged
 * point, -EILSEQ for wrong data.
 */
int vaults_points(const struct vault_options *o,
		  const struct vaults_expected *e);
/* vmbackup check --read-data: how many damages, or a negative errno. */
int vaults_check(const struct vault_options *o);

/* Copy a vault, but no empty folders of packs: these will have to be made
 * again. */
void vaults_copy(const char *from, const char *to);

#endif
