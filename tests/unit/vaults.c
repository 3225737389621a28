/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/vaults.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "src/backup/backup.h"
#include "store/base/secret.h"
#include "store/base/task.h"
#include "store/check/check.h"
#include "store/chunk.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/tree.h"

static struct secret *keyfile;

static void free_keyfile(void)
{
	secret_free(keyfile);
}

struct vault_options vaults_options(const char *url, struct backend *b,
				    struct seam *seam, const char *cache_dir)
{
	if (!keyfile) {
		keyfile = secret_new(64);
		assert_non_null(keyfile);
		memset(keyfile->data, 'k', keyfile->len);
		atexit(free_keyfile);
	}
	return (struct vault_options){
		.url = url,
		.backend = b,
		.seam = seam,
		.cache_dir = cache_dir,
		.credential.keyfile = keyfile,
	};
}

/* ---- sources ---- */

/* Text that compresses as texts do. */
static void write_text(const char *path, unsigned int seed, size_t len)
{
	AUTO_FREE char *text = malloc(len + 32);
	size_t n = 0;

	assert_non_null(text);
	while (n < len) {
		seed = seed * 1103515245 + 12345;
		n += (size_t)snprintf(text + n, 32, "%u ", seed >> 16 & 1023);
	}
	support_write(path, text, len);
}

static void write_sparse(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0640);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, "island", 6, 1 << 20), 6);
	assert_int_equal(ftruncate(fd, 3 << 20), 0);
}

void vaults_make_source(const char *dir)
{
	static const char value[3000] = "long";

	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(mkdir(support_path("%s/d", dir), 0700), 0);
	assert_int_equal(mkdir(support_path("%s/d/e", dir), 0711), 0);
	assert_int_equal(mkdir(support_path("%s/gone", dir), 0755), 0);
	support_write(support_path("%s/empty", dir), "", 0);
	support_write(support_path("%s/a", dir), "first", 5);
	support_write(support_path("%s/gone/x", dir), "x", 1);
	support_write(support_path("%s/d/\x01\xff", dir), "odd", 3);
	write_text(support_path("%s/d/text", dir), 1, 100000);
	write_text(support_path("%s/d/e/large", dir), 2, 300000);
	write_sparse(support_path("%s/sparse", dir));
	assert_int_equal(link(support_path("%s/a", dir),
			      support_path("%s/d/same", dir)),
			 0);
	assert_int_equal(symlink("d/nowhere", support_path("%s/link", dir)), 0);
	assert_int_equal(mkfifo(support_path("%s/fifo", dir), 0600), 0);
	/* Where the filesystem has them. */
	(void)!setxattr(support_path("%s/a", dir), "user.one", "1", 1, 0);
	(void)!setxattr(support_path("%s/d/text", dir), "user.long", value,
			sizeof(value), 0);
}

void vaults_change_source(const char *dir)
{
	write_text(support_path("%s/big", dir), 3, 4600000);
	support_write(support_path("%s/a", dir), "second", 6);
	assert_int_equal(unlink(support_path("%s/gone/x", dir)), 0);
	assert_int_equal(rmdir(support_path("%s/gone", dir)), 0);
	assert_int_equal(chmod(support_path("%s/d/e", dir), 0755), 0);
	support_write(support_path("%s/d/e/new", dir), "new", 3);
}

/* ---- disks ---- */

#define CELL (256 << 10)

static const char *disk_of(const char *dir)
{
	return support_path("%s.disk", dir);
}

static void put_disk(const char *dir, const void *data, size_t len, off_t off)
{
	AUTO_CLOSE int fd =
		open(disk_of(dir), O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, off), len);
}

void vaults_make_disk(const char *dir)
{
	static const uint8_t zeros[8192];
	uint8_t noise[8192];

	support_fill(11, noise, sizeof(noise));
	put_disk(dir, noise, 512, 0);
	put_disk(dir, noise, sizeof(noise), 2 * CELL - 4096);
	put_disk(dir, zeros, sizeof(zeros), 2 * CELL + 65536);
	put_disk(dir, noise, 1000, 3 * CELL);
}

void vaults_change_disk(const char *dir)
{
	put_disk(dir, "changed", 7, 100);
	put_disk(dir, "changed", 7, CELL + 5000);
}

/* ---- backups ---- */

int vaults_backup(struct vault *v, const char *dir, char id_out[33])
{
	struct backup_disk disk = { .name = "vda", .source = disk_of(dir) };
	struct backup_options o = {
		.vm = "m",
		.host = "h",
		.sources = &dir,
		.nsources = 1,
		.disks = &disk,
		.ndisks = access(disk.source, F_OK) == 0 ? 1 : 0,
		.level = 1,
		.disk_level = 1,
		.threads = 2,
	};
	struct task task = { .stop = NULL };
	struct backup_result result;
	int r = backup_run(v, &o, &task, &result);

	if (id_out)
		memcpy(id_out, result.point_id, 33);
	return r == 0 && result.progress.errors ? -EUCLEAN : r;
}

int vaults_open_and_backup(const struct vault_options *o, const char *dir,
			   char id_out[33])
{
	struct vault *v;
	int r = vault_open(o, &v);

	if (r < 0)
		return r;
	r = vaults_backup(v, dir, id_out);
	vault_close(v);
	return r;
}

/* ---- reading everything ---- */

static int hash_content(struct vault *v, struct content_ref c, struct sha256 *h)
{
	static uint8_t piece[256 << 10];
	uint64_t off;
	int r = 0;

	for (off = 0; off < c.size && r == 0; off += sizeof(piece)) {
		size_t n = (size_t)MIN(c.size - off, sizeof(piece));

		r = content_read(v, &c, off, piece, n);
		if (r == 0)
			r = sha256_update(h, piece, n);
	}
	return r;
}

static int hash_disks(struct vault *v, const struct point *p, struct sha256 *h)
{
	size_t i;
	int r = 0;

	for (i = 0; i < p->ndisks && r == 0; i++) {
		const struct point_disk *d = &p->disks[i];

		r = sha256_update(h, d->name, strlen(d->name));
		if (r == 0)
			r = hash_content(v, point_disk_content(d), h);
		if (r == 0 && d->has_sha256)
			r = sha256_update(h, d->sha256, sizeof(d->sha256));
	}
	return r;
}

static int hash_entry(struct vault *v, const struct cursor *c,
		      const struct buf *top, struct sha256 *h)
{
	AUTO_BUF struct buf xattrs = BUF_INIT;
	struct entry e;
	size_t len;
	const uint8_t *key = cursor_dirkey(c, &len);
	int r = 0;

	cursor_entry(c, &e);
	if (len < top->len || memcmp(key, top->data, top->len) != 0)
		return 0;
	r = sha256_update(h, key, len);
	if (r == 0)
		r = sha256_update(h, e.raw, e.raw_len);
	if (r == 0 && (e.flags & ENTRY_XATTRS_CHUNK)) {
		r = chunk_read_all(v, CHUNK_XATTRS, &e.xattrs_id, &xattrs);
		if (r == 0)
			r = sha256_update(h, xattrs.data, xattrs.len);
	}
	if (r == 0 && S_ISREG(e.mode))
		r = hash_content(v, entry_content(&e), h);
	return r;
}

int vaults_digest(struct vault *v, const struct point *p, const char *dir,
		  uint8_t out[CRYPT_SHA256_LEN])
{
	AUTO_BUF struct buf top = BUF_INIT;
	struct cursor c = { 0 };
	struct sha256 *h;
	uint64_t n = 0;
	int r = sha256_new(&h);

	if (r == 0)
		r = hash_disks(v, p, h);
	if (r == 0)
		r = tree_path_key(&top, dir);
	if (r == 0)
		r = tree_at(v, &p->root, 0, &c);
	while (r == 0) {
		n++;
		r = hash_entry(v, &c, &top, h);
		if (r == 0)
			r = cursor_next(&c);
	}
	if (r == -ENOENT)
		r = n == p->entries ? sha256_finish(h, out) : -EILSEQ;
	cursor_release(&c);
	sha256_free(h);
	return r;
}

size_t vaults_find_point(const struct point_list *l, const char *id)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (strcmp(l->points[i]->id, id) == 0)
			return i;
	return SIZE_MAX;
}

bool vaults_is_whole(struct backend *b, const char *id, const char *dir,
		     uint8_t digest[CRYPT_SHA256_LEN])
{
	struct vault_options o = vaults_options(NULL, b, NULL, NULL);
	uint8_t got[CRYPT_SHA256_LEN];
	struct point_list *l;
	struct vault *v;
	size_t at;

	assert_ok(vault_open(&o, &v));
	vault_show_forgotten(v);
	assert_ok(vault_points(v, &l));
	at = vaults_find_point(l, id);
	if (at != SIZE_MAX) {
		assert_ok(vaults_digest(v, l->points[at], dir, got));
		if (digest[0])
			assert_memory_equal(got, digest, sizeof(got));
		memcpy(digest, got, sizeof(got));
	}
	point_list_put(l);
	vault_close(v);
	return at != SIZE_MAX;
}

int vaults_points(const struct vault_options *o,
		  const struct vaults_expected *e)
{
	uint8_t digest[CRYPT_SHA256_LEN];
	struct point_list *l = NULL;
	struct vault *v;
	size_t i;
	int r = vault_open(o, &v);

	if (r < 0)
		return r;
	r = vault_points(v, &l);
	if (r == 0 && l->ndamaged)
		r = -EBADMSG;
	for (i = 0; r == 0 && i < l->n; i++) {
		size_t k = i + (e->only_second ? 1 : 0);

		r = k < 2 ? vaults_digest(v, l->points[i], e->dir, digest)
			  : -EILSEQ;
		if (r == 0 && memcmp(digest, e->digest[k], sizeof(digest)) != 0)
			r = -EILSEQ;
	}
	if (r == 0)
		r = (int)l->n;
	point_list_put(l);
	vault_close(v);
	return r;
}

int vaults_check(const struct vault_options *o)
{
	struct check_options co = { .read_data = true, .threads = 1 };
	struct task task = { .stop = NULL };
	struct check_result result;
	struct vault *v;
	int r = vault_open(o, &v);

	if (r < 0)
		return r;
	r = check_run(v, &co, &task, &result);
	if (r == 0)
		r = (int)result.damages;
	check_release(&result);
	vault_close(v);
	return r;
}

/* ---- files ---- */

void vaults_copy(const char *from, const char *to)
{
	DIR *dir = opendir(from);
	struct dirent *e;
	struct stat st;

	assert_non_null(dir);
	assert_int_equal(fstat(dirfd(dir), &st), 0);
	assert_int_equal(mkdir(to, st.st_mode & 07777), 0);
	while ((e = readdir(dir))) {
		char source[4096], target[4096];
		uint8_t *data;
		size_t len;

		if (e->d_name[0] == '.')
			continue;
		snprintf(source, sizeof(source), "%s/%s", from, e->d_name);
		snprintf(target, sizeof(target), "%s/%s", to, e->d_name);
		if (e->d_type == DT_DIR) {
			vaults_copy(source, target);
			if (strcmp(from + strlen(from) - 5, "/pack") == 0)
				(void)rmdir(target);
			continue;
		}
		data = support_read(source, &len);
		assert_non_null(data);
		support_write(target, data, len);
		free(data);
	}
	closedir(dir);
}
