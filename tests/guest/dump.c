/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * dump [--all] [--time] [--threads N] TYPE IMAGE [OFFSET [SIZE]]: what a
 * reader finds in the filesystem of an image, a line an entry, in the very
 * form of tests/reader/manifest.py, so that the two can be compared.
 *
 * --all      also owner, device, ctime, links and size of every kind, all
 *            attributes, and which ranges of a file are data (as
 *            tests/guest/listing.py)
 * --time     entries and bytes a second, to standard error
 * --ask      the values of these attributes too (NAME,NAME...), which are not
 *            listed
 * --threads  N at once, each all of it; what they found must be the same
 * --find     look up a path instead: its node, and how many bytes of the image
 *            were read to find the last name of it
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fs/guest/guest.h"
#include "fs/guest/lru.h"
#include "store/crypt/crypt.h"

#define PIECE ((size_t)128 << 10)
#define MEMORY ((size_t)24 << 20) /* as a mount has it */
#define DEPTH_MAX 1024
#define ENTRIES_MAX 10000000

struct entry_line {
	char *path; /* owned */
	struct guest_attr attr;
};

/* One walk over all. */
struct walk {
	struct guest *g;
	bool all;
	const char *ask; /* borrowed; NULL: nothing */
	struct entry_line *lines; /* owned */
	size_t n, cap;
	size_t errors;
	uint64_t bytes; /* of content, read */
	struct buf out;
	pthread_t thread;
};

static void complain(struct walk *w, const char *path, const char *what, int r)
{
	fprintf(stderr, "dump: %s: %s: %s\n", path, what, strerror(-r));
	w->errors++;
}

/* ---- ascii() of Python, of bytes as os.fsdecode() makes them text ---- */

/* The length of the UTF-8 sequence at @s, 0 where it is none. */
static size_t utf8(const uint8_t *s, size_t left, uint32_t *out)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n, i;
	uint32_t c;

	if (s[0] < 0x80)
		n = 1, c = s[0];
	else if (s[0] >= 0xc2 && s[0] < 0xe0)
		n = 2, c = s[0] & 0x1f;
	else if (s[0] >= 0xe0 && s[0] < 0xf0)
		n = 3, c = s[0] & 0x0f;
	else if (s[0] >= 0xf0 && s[0] < 0xf5)
		n = 4, c = s[0] & 0x07;
	else
		return 0;
	if (n > left)
		return 0;
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
		return 0;
	*out = c;
	return n;
}

static void put_char(struct buf *out, uint32_t c, char quote)
{
	if (c == '\\' || c == (uint8_t)quote)
		buf_printf(out, "\\%c", (char)c);
	else if (c == '\t')
		buf_printf(out, "\\t");
	else if (c == '\n')
		buf_printf(out, "\\n");
	else if (c == '\r')
		buf_printf(out, "\\r");
	else if (c >= 0x20 && c < 0x7f)
		buf_put_u8(out, (uint8_t)c);
	else if (c < 0x100)
		buf_printf(out, "\\x%02x", c);
	else if (c < 0x10000)
		buf_printf(out, "\\u%04x", c);
	else
		buf_printf(out, "\\U%08x", c);
}

static void put_ascii(struct buf *out, const void *data, size_t len)
{
	const uint8_t *s = data;
	char quote = len && memchr(s, '\'', len) && !memchr(s, '"', len) ? '"'
									 : '\'';
	size_t n;
	uint32_t c;

	buf_put_u8(out, (uint8_t)quote);
	while (len > 0) {
		n = utf8(s, len, &c);
		if (n == 0) {
			buf_printf(out, "\\udc%02x", s[0]);
			n = 1;
		} else {
			put_char(out, c, quote);
		}
		s += n;
		len -= n;
	}
	buf_put_u8(out, (uint8_t)quote);
}

static void put_hex(struct buf *out, const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf_printf(out, "%02x", data[i]);
}

/* ---- one entry ---- */

/* Nanoseconds since 1970, which may need more than 64 bits. */
static void put_time(struct buf *out, const char *what,
		     const struct timestamp *t)
{
	__int128 ns = (__int128)t->sec * 1000000000 + t->nsec;
	unsigned __int128 left =
		ns < 0 ? -(unsigned __int128)ns : (unsigned __int128)ns;
	char text[48], *p = text + sizeof(text);

	*--p = '\0';
	do {
		*--p = (char)('0' + (int)(left % 10));
		left /= 10;
	} while (left > 0);
	buf_printf(out, " %s=%s%s", what, ns < 0 ? "-" : "", p);
}

static int hash_content(struct walk *w, const struct guest_attr *a,
			uint8_t *digest)
{
	uint8_t *piece = malloc(PIECE);
	struct sha256 *sha = NULL;
	uint64_t off = 0;
	size_t n = 0;
	int r = piece ? sha256_new(&sha) : -ENOMEM;

	while (r == 0) {
		r = guest_read(w->g, a->node, off, piece, PIECE, &n);
		if (r < 0 || n == 0)
			break;
		off += n;
		r = sha256_update(sha, piece, n);
	}
	w->bytes += off;
	if (r == 0 && off != a->size)
		r = -EBADMSG; /* getattr and the file disagree */
	if (r == 0)
		r = sha256_finish(sha, digest);
	sha256_free(sha);
	free(piece);
	return r;
}

static int put_ranges(struct walk *w, const struct guest_attr *a)
{
	uint64_t start, end = 0;
	const char *comma = "";
	int r = 0;

	buf_printf(&w->out, " data=");
	while (end < a->size) {
		r = guest_seek(w->g, a->node, end, false, &start);
		if (r == 0)
			r = guest_seek(w->g, a->node, start, true, &end);
		if (r == 0 && end <= start)
			r = -ELOOP;
		if (r < 0)
			break;
		buf_printf(&w->out, "%s%" PRIu64 "-%" PRIu64, comma, start,
			   end);
		comma = ",";
	}
	return r == -ENXIO ? 0 : r;
}

static void put_file(struct walk *w, const struct entry_line *l)
{
	uint8_t digest[CRYPT_SHA256_LEN];
	uint64_t hole = 0;
	int r;

	r = hash_content(w, &l->attr, digest);
	if (r < 0) {
		complain(w, l->path, "read", r);
		buf_printf(&w->out, " unreadable");
		return;
	}
	buf_printf(&w->out, " size=%" PRIu64 " sha256=", l->attr.size);
	put_hex(&w->out, digest, sizeof(digest));
	if (l->attr.size > 0) {
		r = guest_seek(w->g, l->attr.node, 0, true, &hole);
		if (r < 0)
			complain(w, l->path, "seek", r);
	}
	buf_printf(&w->out, " hole=%" PRIu64, hole);
	if (!w->all)
		return;
	r = put_ranges(w, &l->attr);
	if (r < 0)
		complain(w, l->path, "ranges of data", r);
}

static void put_target(struct walk *w, const struct entry_line *l)
{
	struct buf target = BUF_INIT;
	int r = guest_readlink(w->g, l->attr.node, &target);

	if (r < 0)
		complain(w, l->path, "readlink", r);
	buf_printf(&w->out, " target=");
	put_ascii(&w->out, target.data, target.len);
	buf_release(&target);
}

static void put_xattrs(struct walk *w, const struct entry_line *l)
{
	struct buf list = BUF_INIT;
	struct reader reader;
	struct xattr x;
	uint64_t i, n;
	int r = guest_xattrs(w->g, l->attr.node, &list);

	if (r < 0)
		complain(w, l->path, "attributes", r);
	else if (list.len > 0 && xattrs_check(list.data, list.len) < 0)
		complain(w, l->path, "list of attributes", -EBADMSG);
	if (r < 0 || list.len == 0)
		goto out;
	n = xattrs_begin(&reader, list.data, list.len);
	for (i = 0; i < n && xattrs_next(&reader, &x); i++) {
		if (!w->all &&
		    (x.name_len < 5 || memcmp(x.name, "user.", 5) != 0))
			continue;
		buf_put_u8(&w->out, ' ');
		if (w->all)
			put_ascii(&w->out, x.name, x.name_len);
		else
			buf_put(&w->out, x.name, x.name_len);
		buf_put_u8(&w->out, '=');
		put_hex(&w->out, x.value, x.value_len);
	}
out:
	buf_release(&list);
}

static void put_all(struct buf *out, const struct guest_attr *a)
{
	buf_printf(out, " uid=%u gid=%u", a->uid, a->gid);
	put_time(out, "ctime", &a->ctime);
	buf_printf(out, " links=%" PRIu64, a->nlink);
	if (S_ISCHR(a->mode) || S_ISBLK(a->mode))
		buf_printf(out, " rdev=%u:%u", a->rdev_major, a->rdev_minor);
	else
		buf_printf(out, " length=%" PRIu64, a->size);
}

/* ---- the names that an inode had first ---- */

struct firsts {
	const struct entry_line **slots; /* owned */
	size_t nslots;
};

static const char *first_path(struct firsts *f, const struct entry_line *l)
{
	size_t i = (size_t)(l->attr.node * UINT64_C(0x9e3779b97f4a7c15) >> 20) %
		   f->nslots;

	while (f->slots[i] && f->slots[i]->attr.node != l->attr.node)
		i = (i + 1) % f->nslots;
	if (!f->slots[i])
		f->slots[i] = l;
	return f->slots[i]->path;
}

static void put_asked(struct walk *w, const struct entry_line *l)
{
	char *names = strdup(w->ask ? w->ask : ""), *rest = names, *name;
	struct buf value = BUF_INIT;
	int r;

	while (w->ask && (name = strsep(&rest, ","))) {
		buf_clear(&value);
		r = guest_xattr_unlisted(w->g, l->attr.node, name, &value);
		if (r == 0) {
			buf_printf(&w->out, " %s=", name);
			put_hex(&w->out, value.data, value.len);
		} else if (r != -ENODATA) {
			complain(w, l->path, name, r);
		}
	}
	buf_release(&value);
	free(names);
}

static void put_line(struct walk *w, struct firsts *firsts,
		     const struct entry_line *l)
{
	const char *first;

	put_ascii(&w->out, l->path, strlen(l->path));
	buf_printf(&w->out, " %06o", l->attr.mode);
	put_time(&w->out, "mtime", &l->attr.mtime);
	if (!S_ISDIR(l->attr.mode)) {
		first = first_path(firsts, l);
		buf_printf(&w->out, " nlink=%" PRIu64 " first=", l->attr.nlink);
		put_ascii(&w->out, first, strlen(first));
	}
	if (S_ISREG(l->attr.mode))
		put_file(w, l);
	else if (S_ISLNK(l->attr.mode))
		put_target(w, l);
	if (w->all)
		put_all(&w->out, &l->attr);
	put_xattrs(w, l);
	put_asked(w, l);
	buf_put_u8(&w->out, '\n');
}

/* ---- the walk ---- */

struct name {
	char *name; /* owned */
	uint64_t node;
	unsigned int type;
};

struct names {
	struct walk *w;
	struct name *names; /* owned */
	size_t n, cap;
};

static int take_name(void *arg, const char *name, size_t len, uint64_t node,
		     unsigned int type, uint64_t cookie)
{
	struct names *list = arg;
	struct name *grown;

	(void)cookie;
	if (list->n + list->w->n > ENTRIES_MAX)
		return -EFBIG;
	if (list->n == list->cap) {
		list->cap = list->cap ? list->cap * 2 : 64;
		grown = realloc(list->names, list->cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		list->names = grown;
	}
	list->names[list->n].name = strndup(name, len);
	list->names[list->n].node = node;
	list->names[list->n].type = type;
	if (!list->names[list->n].name)
		return -ENOMEM;
	list->n++;
	return 0;
}

static int add_line(struct walk *w, const char *path,
		    const struct guest_attr *attr)
{
	struct entry_line *grown;

	if (w->n == w->cap) {
		w->cap = w->cap ? w->cap * 2 : 1024;
		grown = realloc(w->lines, w->cap * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		w->lines = grown;
	}
	w->lines[w->n].path = strdup(path);
	w->lines[w->n].attr = *attr;
	return w->lines[w->n++].path ? 0 : -ENOMEM;
}

static void walk_dir(struct walk *w, const char *path, uint64_t dir, int depth);

static void walk_name(struct walk *w, const char *path, uint64_t dir,
		      const struct name *name, int depth)
{
	struct guest_attr attr;
	uint64_t found = 0;
	int r;

	r = guest_getattr(w->g, name->node, &attr);
	if (r < 0) {
		complain(w, path, "getattr", r);
		return;
	}
	r = guest_lookup(w->g, dir, name->name, &found);
	if (r < 0 || found != name->node)
		complain(w, path, "lookup finds another inode",
			 r < 0 ? r : -ESTALE);
	if (name->type != 0 && name->type != (attr.mode & S_IFMT) >> 12)
		complain(w, path, "type in the directory", -ESTALE);
	r = add_line(w, path, &attr);
	if (r < 0)
		complain(w, path, "no memory", r);
	if (S_ISDIR(attr.mode))
		walk_dir(w, path, name->node, depth + 1);
}

static void walk_dir(struct walk *w, const char *path, uint64_t dir, int depth)
{
	struct names list = { .w = w };
	struct buf below = BUF_INIT;
	size_t i;
	int r;

	if (depth > DEPTH_MAX) {
		complain(w, path, "too deep", -ELOOP);
		return;
	}
	r = guest_readdir(w->g, dir, 0, take_name, &list);
	if (r < 0)
		complain(w, path, "readdir", r);
	for (i = 0; i < list.n; i++) {
		buf_clear(&below);
		buf_printf(&below, "%s/%s", path, list.names[i].name);
		if (buf_error(&below) == 0 && w->n < ENTRIES_MAX)
			walk_name(w, (char *)below.data, dir, &list.names[i],
				  depth);
	}
	for (i = 0; i < list.n; i++)
		free(list.names[i].name);
	free(list.names);
	buf_release(&below);
}

static int compare_lines(const void *a, const void *b)
{
	const struct entry_line *x = a, *y = b;

	return strcmp(x->path, y->path);
}

static void *walk_all(void *arg)
{
	struct walk *w = arg;
	struct firsts firsts = { 0 };
	struct guest_attr attr;
	size_t i;
	int r;

	r = guest_getattr(w->g, w->g->root, &attr);
	if (r == 0)
		r = add_line(w, ".", &attr);
	if (r < 0) {
		complain(w, ".", "getattr", r);
		return NULL;
	}
	walk_dir(w, ".", w->g->root, 0);
	qsort(w->lines, w->n, sizeof(*w->lines), compare_lines);
	firsts.nslots = w->n * 2 + 1;
	firsts.slots = alloc_array(firsts.nslots, sizeof(*firsts.slots));
	for (i = 0; i < w->n && firsts.slots; i++)
		put_line(w, &firsts, &w->lines[i]);
	if (!firsts.slots || buf_error(&w->out) < 0)
		complain(w, ".", "no memory", -ENOMEM);
	free(firsts.slots);
	return NULL;
}

static void walk_release(struct walk *w)
{
	size_t i;

	for (i = 0; i < w->n; i++)
		free(w->lines[i].path);
	free(w->lines);
	buf_release(&w->out);
}

/* ---- the program ---- */

struct options {
	bool all, time;
	unsigned int threads;
	const char *type, *image;
	const char *find; /* NULL: dump all */
	const char *ask;
	uint64_t off, size;
	bool has_size;
};

static int usage(void)
{
	fprintf(stderr, "usage: dump [--all] [--time] [--threads N] "
			"[--find PATH] [--ask NAMES] "
			"TYPE IMAGE [OFFSET [SIZE]]\n");
	return 2;
}

static int parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "time", no_argument, NULL, 't' },
		{ "threads", required_argument, NULL, 'n' },
		{ "find", required_argument, NULL, 'f' },
		{ "ask", required_argument, NULL, 'k' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	o->threads = 1;
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'a')
			o->all = true;
		else if (c == 't')
			o->time = true;
		else if (c == 'f')
			o->find = optarg;
		else if (c == 'k')
			o->ask = optarg;
		else if (c == 'n')
			o->threads = (unsigned int)strtoul(optarg, NULL, 10);
		else
			return -EINVAL;
	}
	argc -= optind;
	argv += optind;
	if (argc < 2 || argc > 4 || o->threads < 1 || o->threads > 64)
		return -EINVAL;
	o->type = argv[0];
	o->image = argv[1];
	o->off = argc > 2 ? strtoull(argv[2], NULL, 0) : 0;
	o->has_size = argc > 3;
	o->size = argc > 3 ? strtoull(argv[3], NULL, 0) : 0;
	return 0;
}

static int open_image(const struct options *o, struct lru *memory,
		      struct guest **out)
{
	struct blocks *file = NULL, *slice = NULL;
	struct buf why = BUF_INIT;
	int fd, r;

	*out = NULL;
	fd = open(o->image, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(o->image);
		return -errno;
	}
	r = blocks_file(fd, &file);
	if (r < 0)
		close(fd);
	if (r == 0)
		r = blocks_slice(file, o->off,
				 o->has_size
					 ? o->size
					 : file->size - MIN(o->off, file->size),
				 &slice);
	if (r == 0)
		r = guest_open(o->type, slice, memory, &why, out);
	if (r < 0)
		fprintf(stderr, "dump: %s: %s: %.*s\n", o->image, strerror(-r),
			(int)why.len, why.data ? (char *)why.data : "");
	blocks_put(slice);
	blocks_put(file);
	buf_release(&why);
	return r;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* All walks at once; return how many things went wrong. */
static size_t run(struct walk *walks, const struct options *o)
{
	double begin = now(), took;
	uint64_t n = 0, bytes = 0;
	size_t i, errors = 0;

	for (i = 1; i < o->threads; i++)
		if (pthread_create(&walks[i].thread, NULL, walk_all,
				   &walks[i]) != 0)
			abort();
	walk_all(&walks[0]);
	for (i = 1; i < o->threads; i++)
		pthread_join(walks[i].thread, NULL);
	took = now() - begin;
	for (i = 0; i < o->threads; i++) {
		n += walks[i].n;
		bytes += walks[i].bytes;
		errors += walks[i].errors;
		if (walks[i].out.len == walks[0].out.len &&
		    (walks[i].out.len == 0 ||
		     memcmp(walks[i].out.data, walks[0].out.data,
			    walks[0].out.len) == 0))
			continue;
		fprintf(stderr, "dump: thread %zu found something else\n", i);
		errors++;
	}
	if (o->time)
		fprintf(stderr,
			"%" PRIu64 " entries, %" PRIu64 " bytes in %.3f s: "
			"%.0f entries/s, %.1f MB/s\n",
			n, bytes, took, (double)n / took,
			(double)bytes / took / 1e6);
	return errors;
}

/* Return how many bytes this process has read from files. */
static unsigned long long bytes_read(void)
{
	unsigned long long n = 0;
	FILE *f = fopen("/proc/self/io", "re");

	if (!f || fscanf(f, "rchar: %llu", &n) != 1)
		abort();
	fclose(f);
	return n;
}

static int find_path(struct guest *g, const char *path)
{
	unsigned long long before = 0;
	uint64_t node = g->root;
	char *copy = strdup(path), *rest = copy, *name;
	int r = 0;

	while (r == 0 && (name = strsep(&rest, "/"))) {
		before = bytes_read();
		r = guest_lookup(g, node, name, &node);
	}
	if (r == 0)
		printf("%s: node %" PRIu64 "\n", path, node);
	else
		printf("%s: %s\n", path, strerror(-r));
	printf("%llu bytes read\n", bytes_read() - before);
	free(copy);
	return r < 0;
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	struct lru *memory;
	struct walk *walks;
	struct guest *g;
	size_t i, errors;

	if (parse(argc, argv, &o) < 0)
		return usage();
	memory = lru_new(MEMORY);
	if (!memory || open_image(&o, memory, &g) < 0) {
		lru_free(memory);
		return 1;
	}
	if (o.find) {
		int failed = find_path(g, o.find);

		guest_close(g);
		lru_free(memory);
		return failed;
	}
	walks = alloc_array(o.threads, sizeof(*walks));
	if (!walks)
		return 1;
	for (i = 0; i < o.threads; i++) {
		walks[i].g = g;
		walks[i].all = o.all;
		walks[i].ask = o.ask;
	}
	errors = run(walks, &o);
	if (g->info.state[0])
		fprintf(stderr, "dump: %s: %s\n", g->info.state, g->info.note);
	fwrite(walks[0].out.data, 1, walks[0].out.len, stdout);
	if (fflush(stdout) != 0)
		errors++;
	for (i = 0; i < o.threads; i++)
		walk_release(&walks[i]);
	free(walks);
	guest_close(g);
	lru_free(memory);
	if (errors)
		fprintf(stderr, "dump: %zu things could not be read\n", errors);
	return errors ? 1 : 0;
}
