/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For `make bench-scale`.
 *
 *     scale make VAULT KEYFILE POINTS CHUNKS INDEXES PACKS
 *                                    a vault in a directory: see crowd.h
 *     scale session VAULT KEYFILE CACHE CHUNKS
 *                                    a session of so many chunks, into a new one
 *     scale reached VAULT KEYFILE CACHE CHUNKS
 *                                    the same, and its point reaches all of them
 *     scale grow VAULT KEYFILE CACHE POINTS CHUNKS
 *                                    CHUNKS in files of one session; each of POINTS
 *                                    points has a new file, and the nine before
 *     scale count POINTS             what a listing asks for
 *
 * What is counted is printed as JSON. The vault that is listed lies in memory
 * and answers each call after 5 ms, so that the time it took says how many
 * round trips stood in line.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/backend/mem.h"
#include "store/base/array.h"
#include "store/base/bytes.h"
#include "store/base/secret.h"
#include "store/content.h"
#include "store/format.h"
#include "store/point.h"
#include "store/vault.h"
#include "store/writer/bundle.h"
#include "store/writer/content_build.h"
#include "store/writer/writer.h"
#include "tests/bench/crowd.h"

#define LATENCY_US 5000

/* A key file's bytes; where there is no file, any. NULL: it cannot be read. */
static struct secret *read_key(const char *path)
{
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct secret *key = NULL;
	struct stat st;

	if (!path)
		return secret_new(32);
	if (fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0)
		key = secret_new((size_t)st.st_size);
	if (key && read(fd, key->data, key->len) != (ssize_t)key->len) {
		secret_free(key);
		key = NULL;
	}
	if (fd >= 0)
		close(fd);
	return key;
}

/* Into a new vault, with a database that vanishes. */
static int make(struct vault_options *o, const struct crowd *c)
{
	struct vault *v = NULL;
	char id[33];
	int r = vault_create(o, 0, id);

	if (r == 0)
		r = vault_open(o, &v);
	if (r == 0)
		r = crowd_add(v, c);
	vault_close(v);
	return r;
}

/* ---- a session ---- */

#define TINY_LEN 32

/* Chunks as the small files of a tree are: several share a frame. They are told
 * apart by numbers from @first on. @c, which may be NULL, gets a file of them. */
static int put_chunks(struct writer *w, uint64_t first, uint64_t n,
		      struct content_builder *c)
{
	struct extent e = { .len = TINY_LEN, .type = EXTENT_DATA };
	struct bundle *b = bundle_new(w);
	uint8_t data[TINY_LEN] = "";
	uint64_t i;
	int r = b ? 0 : -ENOMEM;

	for (i = 0; i < n && r == 0; i++) {
		put_le64(data, first + i);
		r = bundle_add(b, CHUNK_DATA, data, sizeof(data), &e.id);
		if (r == 0 && c)
			r = content_builder_add(c, &e);
	}
	if (r == 0)
		r = bundle_flush(b);
	bundle_free(b);
	return r;
}

static int point_add_file(struct point *p, const char *name, uint64_t n,
			  const struct buf *content)
{
	struct point_config *c =
		realloc(p->configs, (p->nconfigs + 1) * sizeof(*c));

	if (!c)
		return -ENOMEM;
	p->configs = c;
	c = &c[p->nconfigs++];
	*c = (struct point_config){ .name = strdup(name),
				    .size = n * TINY_LEN,
				    .content_len = content->len,
				    .content = malloc(content->len) };
	if (!c->name || !c->content)
		return -ENOMEM;
	memcpy(c->content, content->data, content->len);
	return 0;
}

/* The file of @c, of @n chunks, in a point. */
static int put_file(struct point *p, uint64_t n, struct content_builder *c)
{
	AUTO_BUF struct buf content = BUF_INIT;
	int r = content_builder_finish(c, &content);

	return r == 0 ? point_add_file(p, "all", n, &content) : r;
}

static int put_point(struct writer *w, uint64_t n, struct content_builder *c)
{
	struct point *p = point_new();
	int r = -ENOMEM;

	if (p && (p->vm = strdup("many")) && (p->host = strdup("host")) &&
	    (p->program = strdup(PACKAGE_STRING)))
		r = c ? put_file(p, n, c) : 0;
	if (r == 0)
		r = writer_commit(w, p);
	point_free(p);
	return r;
}

/* Store @n chunks in one session, and say how much memory that took. @reached: its
 * point has a file of them. */
static int session(struct vault_options *o, uint64_t n, bool reached)
{
	struct content_builder *c = NULL;
	struct writer *w = NULL;
	struct vault *v = NULL;
	struct rusage used;
	char id[33];
	int r = vault_create(o, 0, id);

	if (r == 0)
		r = vault_open(o, &v);
	if (r == 0)
		r = writer_begin(v, 1, NULL, &w);
	if (r == 0 && reached)
		c = content_builder_new(w);
	if (r == 0 && reached && !c)
		r = -ENOMEM;
	if (r == 0)
		r = put_chunks(w, 0, n, c);
	if (r == 0)
		r = put_point(w, n, c);
	content_builder_free(c);
	writer_free(w);
	vault_close(v);
	if (r == 0 && getrusage(RUSAGE_SELF, &used) == 0)
		printf("{\"chunks\": %llu, \"peak_kib\": %ld}\n",
		       (unsigned long long)n, used.ru_maxrss);
	return r;
}

/* ---- many points that share files ---- */

#define FILES_SHARED 9

struct files {
	struct buf *contents; /* owned, as the buffers */
	size_t n;
	uint64_t chunks; /* of each */
};

static int store_files(struct vault *v, struct files *f)
{
	struct content_builder *c = NULL;
	struct writer *w = NULL;
	size_t i;
	int r = writer_begin(v, 1, NULL, &w);

	if (r == 0 && !(c = content_builder_new(w)))
		r = -ENOMEM;
	for (i = 0; i < f->n && r == 0; i++) {
		r = put_chunks(w, i * f->chunks, f->chunks, c);
		if (r == 0)
			r = content_builder_finish(c, &f->contents[i]);
	}
	content_builder_free(c);
	if (r == 0)
		r = put_point(w, 0, NULL);
	writer_free(w);
	return r;
}

/* Point @i has its own file, and those of the points before it. */
static int fill(void *arg, size_t i, struct point *p)
{
	struct files *f = arg;
	size_t k = i > FILES_SHARED ? i - FILES_SHARED : 0;
	char name[32];
	int r = 0;

	for (; k <= i && r == 0; k++) {
		snprintf(name, sizeof(name), "file%08zu", k);
		r = point_add_file(p, name, f->chunks, &f->contents[k]);
	}
	return r;
}

static int grow(struct vault_options *o, size_t points, uint64_t chunks)
{
	struct files f = { .n = points, .chunks = chunks / points };
	const struct crowd c = { .points = points, .fill = fill, .arg = &f };
	struct vault *v = NULL;
	char id[33];
	size_t i;
	int r = vault_create(o, 0, id);

	f.contents = calloc(points, sizeof(*f.contents));
	if (r == 0 && !f.contents)
		r = -ENOMEM;
	if (r == 0)
		r = vault_open(o, &v);
	if (r == 0)
		r = store_files(v, &f);
	if (r == 0)
		r = crowd_add(v, &c);
	vault_close(v);
	for (i = 0; f.contents && i < points; i++)
		buf_release(&f.contents[i]);
	free(f.contents);
	return r;
}

/* ---- counting ---- */

static int delay(void *arg, enum backend_mem_op op, const char *name)
{
	const struct timespec ts = { 0, LATENCY_US * 1000 };

	(void)arg;
	(void)op;
	(void)name;
	nanosleep(&ts, NULL);
	return 0;
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* List the points, and say what that took. */
static int list(struct vault_options *o, const char *what)
{
	static const char *const kinds[] = { "digest", "index", "commit",
					     "point" };
	struct backend *b = o->backend;
	struct backend_mem_counts n;
	struct point_list *l = NULL;
	struct vault *v = NULL;
	double began;
	size_t i;
	int r;

	backend_mem_reset_counts(b);
	backend_mem_watch(b, delay, NULL);
	began = seconds();
	r = vault_open(o, &v);
	if (r == 0)
		r = vault_points(v, &l);
	began = seconds() - began;
	backend_mem_watch(b, NULL, NULL);
	if (r == 0) {
		printf("{\"what\": \"%s\", \"points\": %zu, \"trips\": %.0f",
		       what, l->n, began * 1e6 / LATENCY_US);
		for (i = 0; i < ARRAY_SIZE(kinds); i++) {
			backend_mem_get_counts(b, kinds[i], &n);
			printf(", \"%s\": %llu", kinds[i],
			       (unsigned long long)n.calls[BACKEND_MEM_GET]);
		}
		backend_mem_get_counts(b, NULL, &n);
		printf(", \"lists\": %llu, \"reads\": %llu}\n",
		       (unsigned long long)n.calls[BACKEND_MEM_LIST],
		       (unsigned long long)n.calls[BACKEND_MEM_GET]);
	}
	point_list_put(l);
	vault_close(v);
	return r;
}

static int count(struct vault_options *o, size_t points)
{
	const struct crowd c = { .points = points, .chunks = 2 };
	char cache[] = "/tmp/scale-XXXXXX";
	AUTO_FREE char *clean = NULL;
	int r;

	o->backend = backend_mem_new();
	if (!o->backend || !mkdtemp(cache))
		return -ENOMEM;
	r = make(o, &c);
	o->cache_dir = cache;
	if (r == 0)
		r = list(o, "cold");
	if (r == 0)
		r = list(o, "warm");
	backend_close(o->backend);
	if (asprintf(&clean, "rm -r %s", cache) >= 0 && system(clean) != 0)
		r = -EIO;
	return r;
}

int main(int argc, char **argv)
{
	struct vault_options o = { .url = argc > 2 ? argv[2] : NULL };
	struct secret *key;
	struct crowd c = { 0 };
	int r = -EINVAL;

	key = read_key(argc > 3 ? argv[3] : NULL);
	o.credential.keyfile = key;
	if (key && argc == 8 && strcmp(argv[1], "make") == 0) {
		c.points = strtoul(argv[4], NULL, 10);
		c.chunks = strtoul(argv[5], NULL, 10);
		c.indexes = strtoul(argv[6], NULL, 10);
		c.packs = (unsigned int)strtoul(argv[7], NULL, 10);
		r = make(&o, &c);
	} else if (key && argc == 6 &&
		   (strcmp(argv[1], "session") == 0 ||
		    strcmp(argv[1], "reached") == 0)) {
		o.cache_dir = argv[4];
		r = session(&o, strtoull(argv[5], NULL, 10),
			    strcmp(argv[1], "reached") == 0);
	} else if (key && argc == 7 && strcmp(argv[1], "grow") == 0) {
		o.cache_dir = argv[4];
		c.points = strtoul(argv[5], NULL, 10);
		c.chunks = strtoul(argv[6], NULL, 10);
		if (c.points > 0)
			r = grow(&o, c.points, c.chunks);
	} else if (key && argc == 3 && strcmp(argv[1], "count") == 0) {
		r = count(&o, strtoul(argv[2], NULL, 10));
	}
	secret_free(key);
	if (r < 0)
		fprintf(stderr, "scale: %s\n", strerror(-r));
	return r < 0;
}
