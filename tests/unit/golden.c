/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "tests/unit/golden.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "store/backend/mem.h"
#include "store/base/secret.h"
#include "store/content.h"
#include "store/epoch/rotate.h"
#include "store/format.h"
#include "store/index.h"
#include "store/key/key.h"
#include "store/point.h"
#include "store/record/digest.h"
#include "store/tree.h"
#include "store/vault.h"
#include "store/writer/bundle.h"
#include "store/writer/content_build.h"
#include "store/writer/tree_build.h"
#include "store/writer/writer.h"
#include "tests/unit/records.h"
#include "tests/unit/seam_fault.h"
#include "tests/unit/vaults.h"

/* 2026-11-22T10:15:00Z */
#define START_NS (INT64_C(1795342500) * 1000000000)
#define HOUR_NS INT64_C(3600000000000)

struct golden {
	struct vault *vault;
	struct writer *writer;
	struct bundle *bundle;
	struct tree_builder *tree;
	struct content_builder *content;
	struct buf dir; /* the directory key of what is added */
	uint64_t ino;
	uint64_t files, bytes;
};

void golden_text(uint8_t out[GOLDEN_TEXT_LEN])
{
	uint32_t seed = 1;
	size_t n = 0;

	while (n < GOLDEN_TEXT_LEN) {
		char word[16];
		size_t len, i;

		seed = seed * 1103515245 + 12345;
		len = (size_t)snprintf(word, sizeof(word), "%u ",
				       seed >> 16 & 63);
		for (i = 0; i < len && n < GOLDEN_TEXT_LEN; i++)
			out[n++] = (uint8_t)word[i];
	}
}

static struct entry entry(struct golden *g, const char *name, uint32_t mode)
{
	return (struct entry){
		.name = (const uint8_t *)name,
		.name_len = (uint32_t)strlen(name),
		.mode = mode,
		.uid = 1000,
		.gid = 100000,
		.nlink = 1,
		.mtime = { -86401, 999999999 },
		.ctime = { INT64_C(5000000000), 1 },
		.ino = ++g->ino,
	};
}

static void add(struct golden *g, const struct entry *e)
{
	assert_ok(tree_builder_add(g->tree, g->dir.data, g->dir.len, e));
	if (!S_ISREG(e->mode))
		return;
	g->files++;
	g->bytes += e->size;
}

static void add_plain(struct golden *g, const char *name, uint32_t mode)
{
	struct entry e = entry(g, name, mode);

	add(g, &e);
}

static void in_dir(struct golden *g, const char *path)
{
	buf_clear(&g->dir);
	assert_ok(tree_path_key(&g->dir, path));
}

static void extent(struct golden *g, enum extent_type type, uint64_t len,
		   const void *data)
{
	struct extent e = { .type = type, .len = len };

	if (type == EXTENT_DATA && len <= FORMAT_SMALL_CHUNK)
		assert_ok(bundle_add(g->bundle, CHUNK_DATA, data, len, &e.id));
	else if (type == EXTENT_DATA)
		assert_ok(
			writer_chunk(g->writer, CHUNK_DATA, data, len, &e.id));
	assert_ok(content_builder_add(g->content, &e));
}

/* What was built of extents becomes the file. */
static void add_file(struct golden *g, struct entry *e, uint64_t size)
{
	AUTO_BUF struct buf content = BUF_INIT;

	assert_ok(content_builder_finish(g->content, &content));
	e->size = size;
	e->content = content.data;
	e->content_len = (uint32_t)content.len;
	add(g, e);
}

static void add_small(struct golden *g, const char *name, const char *text)
{
	struct entry e = entry(g, name, S_IFREG | 0644);

	if (text[0])
		extent(g, EXTENT_DATA, strlen(text), text);
	add_file(g, &e, strlen(text));
}

/* ---- the entries, in the order of their keys ---- */

static void add_top(struct golden *g)
{
	add_plain(g, "", S_IFDIR | 0755);
	add_plain(g, "srv", S_IFDIR | 0755);
	in_dir(g, "/srv");
}

static void add_odd(struct golden *g)
{
	static const uint8_t small[] = "\1\nuser.small\5value";
	/* Born in 1969, not to be dumped, of project 1000, and a fact that
	 * no program knows yet. */
	static const uint8_t extra[] =
		"\4\1\6\1\xff\x93\xeb\xdc\3\2\1@\3\2\xe8\7\xc8\2\0\xff";
	AUTO_BUF struct buf list = BUF_INIT;
	char value[3000];
	struct entry e;

	add_small(g, "\x01\x02", "one and two");
	e = entry(g, "attributes", S_IFREG | 04755);
	e.flags = ENTRY_XATTRS;
	e.xattrs = small;
	e.xattrs_len = sizeof(small) - 1;
	e.flags |= ENTRY_EXTRA;
	e.extra = extra;
	e.extra_len = sizeof(extra) - 1;
	extent(g, EXTENT_DATA, 1, "x");
	add_file(g, &e, 1);
	memset(value, 'v', sizeof(value));
	buf_put_varint(&list, 1);
	xattrs_put(&list, "user.long", value, sizeof(value));
	e = entry(g, "attributes-long", S_IFDIR | 01777);
	e.flags = ENTRY_XATTRS_CHUNK;
	e.xattrs_len = (uint32_t)list.len;
	assert_ok(writer_chunk(g->writer, CHUNK_XATTRS, list.data, list.len,
			       &e.xattrs_id));
	add(g, &e);
	e = entry(g, "block", S_IFBLK | 0660);
	e.rdev_major = 8;
	e.rdev_minor = 1048575;
	add(g, &e);
	e = entry(g, "char", S_IFCHR | 0666);
	e.rdev_major = 1;
	e.rdev_minor = 3;
	add(g, &e);
}

static void add_contents(struct golden *g)
{
	AUTO_FREE uint8_t *text = malloc(GOLDEN_TEXT_LEN);
	uint8_t noise[1000];
	struct entry e;
	uint64_t ino;
	int i;

	assert_non_null(text);
	golden_text(text);
	support_fill(1, noise, sizeof(noise));
	add_small(g, "empty", "");
	e = entry(g, "extents", S_IFREG | 0600);
	for (i = 0; i < 20; i++) {
		extent(g, EXTENT_DATA, 100, text + 100 * i);
		extent(g, i % 2 ? EXTENT_HOLE : EXTENT_ZERO, 4096, NULL);
	}
	add_file(g, &e, 20 * 4196);
	add_plain(g, "fifo", S_IFIFO | 0600);
	e = entry(g, "hole", S_IFREG | 0600);
	extent(g, EXTENT_HOLE, UINT64_C(1) << 40, NULL);
	add_file(g, &e, UINT64_C(1) << 40);
	e = entry(g, "link-a", S_IFREG | 0644);
	ino = e.ino;
	e.nlink = 2;
	extent(g, EXTENT_DATA, 6, "linked");
	add_file(g, &e, 6);
	e = entry(g, "link-b", S_IFREG | 0644);
	e.ino = ino;
	e.nlink = 2;
	extent(g, EXTENT_DATA, 6, "linked");
	add_file(g, &e, 6);
	add_plain(g, "many", S_IFDIR | 0755);
	e = entry(g, "noise", S_IFREG | 0644);
	extent(g, EXTENT_DATA, sizeof(noise), noise);
	add_file(g, &e, sizeof(noise));
	add_plain(g, "socket", S_IFSOCK | 0600);
	e = entry(g, "symlink", S_IFLNK | 0777);
	e.target = (const uint8_t *)"nowhere/\xff";
	e.target_len = 9;
	e.size = 9;
	add(g, &e);
	e = entry(g, "text", S_IFREG | 0644);
	extent(g, EXTENT_DATA, GOLDEN_TEXT_LEN, text);
	add_file(g, &e, GOLDEN_TEXT_LEN);
	add_small(g, "\xff\xfe", "no UTF-8");
}

/* Enough for several leaves. */
static void add_many(struct golden *g)
{
	int i;

	in_dir(g, "/srv/many");
	for (i = 0; i < 1200; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%04d", i);
		add_small(g, name, i % 100 ? "" : name);
	}
}

/* ---- points ---- */

static void begin(struct golden *g)
{
	assert_ok(writer_begin(g->vault, 1, NULL, &g->writer));
	g->bundle = bundle_new(g->writer);
	g->tree = tree_builder_new(g->writer);
	g->content = content_builder_new(g->writer);
	assert_true(g->bundle && g->tree && g->content);
	g->dir = (struct buf)BUF_INIT;
	g->ino = g->files = g->bytes = 0;
}

static char **names(const char *only)
{
	char **list = calloc(1, sizeof(*list));

	assert_non_null(list);
	list[0] = strdup(only);
	return list;
}

static void release(struct golden *g)
{
	bundle_free(g->bundle);
	tree_builder_free(g->tree);
	content_builder_free(g->content);
	buf_release(&g->dir);
	writer_free(g->writer);
}

/* @more: other members of the point, as JSON text; may be NULL. */
static void end(struct golden *g, int64_t time_ns, const char *tag,
		const char *more)
{
	struct point *p = point_new();

	assert_non_null(p);
	p->vm = strdup("golden");
	p->host = strdup("host");
	p->user = strdup("root");
	p->program = strdup("golden");
	p->sources = names("/srv");
	p->nsources = 1;
	p->tags = names(tag);
	p->ntags = 1;
	p->time_ns = p->scan_start_ns = time_ns;
	assert_ok(bundle_flush(g->bundle));
	assert_ok(tree_builder_finish(g->tree, &p->root, &p->entries));
	p->has_tree = true;
	p->files = g->files;
	p->bytes = g->bytes;
	p->extra = more ? strdup(more) : NULL;
	assert_ok(writer_commit(g->writer, p));
	point_free(p);
	release(g);
}

static struct secret *password(void)
{
	struct secret *s = secret_new(strlen(GOLDEN_PASSWORD));

	assert_non_null(s);
	memcpy(s->data, GOLDEN_PASSWORD, s->len);
	return s;
}

static void add_password(struct vault *v)
{
	struct secret *s = password();
	struct credential c = { .passphrase = s };
	char slot[33];

	assert_ok(vault_key_add(v, &c, CRYPT_SCRYPT_LOG_N_MIN, NULL, slot));
	secret_free(s);
}

/* What comes has keys of another epoch. */
static void rotate(struct golden *g, const struct vault_options *o)
{
	struct secret *s = password();
	struct credential c = { .passphrase = s };
	struct rotate_key keys[] = { { .credential = &o->credential },
				     { .credential = &c } };
	uint32_t epoch;

	assert_ok(rotate_run(g->vault, keys, ARRAY_SIZE(keys),
			     CRYPT_SCRYPT_LOG_N_MIN, &epoch));
	vault_close(g->vault);
	assert_ok(vault_open(o, &g->vault));
	secret_free(s);
}

/* ---- what lies beside points ---- */

/* The plaintext of an object. */
static void read_plain(struct vault *v, struct backend *b, uint8_t type,
		       const char *name, struct buf *out)
{
	size_t len;
	const uint8_t *data = backend_mem_data(b, name, &len);

	assert_non_null(data);
	assert_ok(
		format_read_box(vault_keyring(v), data, len, type, name, out));
}

static void put_entry(struct vault *v, struct backend *b, const char *sid,
		      struct buf *out)
{
	AUTO_BUF struct buf commit = BUF_INIT, point = BUF_INIT;
	struct digest_entry e = { .point_len = 0 };
	char name[OBJECT_NAME_MAX];

	snprintf(e.sid, sizeof(e.sid), "%s", sid);
	snprintf(name, sizeof(name), "commit/%s", sid);
	read_plain(v, b, OBJECT_COMMIT, name, &commit);
	assert_ok(commit_decode(commit.data, commit.len, name, &e.commit));
	if (e.commit.point[0]) {
		e.reg = commit.data;
		e.reg_len = commit.len;
		snprintf(name, sizeof(name), "point/%s", e.commit.point);
		read_plain(v, b, OBJECT_POINT, name, &point);
		e.point = point.data;
		e.point_len = point.len;
	}
	digest_put(out, &e);
}

/* The digest digest/<sid>-<n>, of the first @nsessions sessions; @gone: the
 * name of the one that it supersedes, "" for none. */
static void put_digest(struct vault *v, struct backend *b, const char *sid,
		       unsigned int n, size_t nsessions, const char *gone)
{
	AUTO_BUF struct buf plain = BUF_INIT, box = BUF_INIT;
	char name[OBJECT_NAME_MAX];
	size_t i, put = 0;

	buf_put_varint(&plain, nsessions);
	for (i = 0; put < nsessions; i++) {
		const char *at = backend_mem_name(b, i);

		if (strncmp(at, "commit/", 7) != 0)
			continue;
		put_entry(v, b, at + 7, &plain);
		put++;
	}
	buf_put_varint(&plain, *gone ? 1 : 0);
	if (*gone)
		buf_put_bytes(&plain, gone, strlen(gone));
	snprintf(name, sizeof(name), "digest/%s-%u", sid, n);
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_DIGEST, name, NULL, 0, plain.data,
				  plain.len, &box));
	assert_ok(backend_put(b, name, box.data, box.len));
}

/* A pack of session @sid, without the folder that it is in. */
static const char *pack_of(struct backend *b, const char *sid)
{
	size_t i, n = backend_mem_nobjects(b);

	for (i = 0; i < n; i++) {
		const char *name = backend_mem_name(b, i);

		if (strncmp(name, "pack/", 5) == 0 &&
		    strncmp(name + 8, sid, 32) == 0)
			return name + 8;
	}
	fail_msg("no pack of %s", sid);
	return NULL;
}

/* One of each kind, about the last point, and digests of all four sessions. */
static void add_records(struct vault *v, struct backend *b)
{
	char pack[OBJECT_NAME_MAX], gone[OBJECT_NAME_MAX];
	struct point_list *l;
	const struct point *p;

	assert_ok(vault_points(v, &l));
	assert_int_equal(l->n, 3);
	p = l->points[2];
	snprintf(pack, sizeof(pack), "%s", pack_of(b, p->session));
	records_plant(v, b, p, pack);
	put_digest(v, b, p->session, 0, 2, "");
	snprintf(gone, sizeof(gone), "%s-0", p->session);
	put_digest(v, b, p->session, 1, 4, gone);
	point_list_put(l);
}

static int merge_pack(void *arg, const struct index_pack *p)
{
	index_put_pack(arg, p->name, p->size, p->kind, p->epoch, p->salt,
		       p->dir, p->dir_len);
	return buf_error(arg);
}

/* One object in the place of the first two, which are there still. */
static void merge_indexes(struct vault *v, struct backend *b)
{
	AUTO_BUF struct buf plain = BUF_INIT, gone = BUF_INIT, box = BUF_INIT;
	AUTO_BUF struct buf packs = BUF_INIT;
	char name[OBJECT_NAME_MAX] = "";
	uint64_t npacks = 0;
	size_t i, n = 0;

	for (i = 0; n < 2; i++) {
		const char *at = backend_mem_name(b, i);
		AUTO_BUF struct buf one = BUF_INIT;
		struct reader r;

		assert_non_null(at);
		if (strncmp(at, "index/", 6) != 0)
			continue;
		read_plain(v, b, OBJECT_INDEX, at, &one);
		reader_init(&r, one.data, one.len);
		npacks += reader_varint(&r);
		assert_ok(index_decode(one.data, one.len, at, merge_pack, NULL,
				       &packs));
		buf_put_bytes(&gone, at + 6, strlen(at + 6));
		snprintf(name, sizeof(name), "index/%.32s-1.m", at + 6);
		n++;
	}
	buf_put_varint(&plain, npacks);
	buf_put(&plain, packs.data, packs.len);
	buf_put_varint(&plain, n);
	buf_put(&plain, gone.data, gone.len);
	assert_ok(format_seal_box(vault_keyring(v), NULL, NULL, vault_seam(v),
				  OBJECT_INDEX, name, NULL, 0, plain.data,
				  plain.len, &box));
	assert_ok(backend_put(b, name, box.data, box.len));
}

void golden_make(struct backend *b)
{
	struct golden g = { 0 };
	struct seam_fault f;
	struct vault_options o;
	char id[33];

	seam_fault_init(&f, NULL);
	seam_fault_clock(&f, START_NS, 1000000);
	seam_fault_random(&f, 2026);
	o = vaults_options(NULL, b, &f.seam, NULL);
	assert_ok(vault_create(&o, 0, id));
	assert_ok(vault_open(&o, &g.vault));
	add_password(g.vault);
	begin(&g);
	add_top(&g);
	add_odd(&g);
	add_contents(&g);
	add_many(&g);
	end(&g, START_NS, "first", NULL);
	/* The same but for one file, and the many. */
	begin(&g);
	add_top(&g);
	add_odd(&g);
	add_small(&g, "different", "the second point has this");
	end(&g, START_NS + HOUR_NS, "second", NULL);
	/* One whose owners have names, and one that came to nothing. */
	rotate(&g, &o);
	begin(&g);
	add_top(&g);
	add_small(&g, "owned", "by alice, of the staff");
	end(&g, START_NS + 2 * HOUR_NS, "third",
	    "{\"users\":{\"1000\":\"alice\"},"
	    "\"groups\":{\"100000\":\"staff\"}}");
	begin(&g);
	writer_abandon(g.writer);
	release(&g);
	add_records(g.vault, b);
	merge_indexes(g.vault, b);
	vault_close(g.vault);
	seam_fault_release(&f);
}
