/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "config.h"

#include "src/scan/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "src/scan/dir_list.h"
#include "src/scan/exclude.h"
#include "store/base/bytes.h"
#include "store/base/log.h"
#include "store/entry.h"
#include "store/tree.h"

#include <cmocka.h> /* behind log.h: both have a fail */

/* ---- a directory of one's own ---- */

static char top[64]; /* absolute, without symbolic links */

static int setup(void **state)
{
	(void)state;
	snprintf(top, sizeof(top), "/var/tmp/test_scan.XXXXXX");
	return mkdtemp(top) ? 0 : -1;
}

static int teardown(void **state)
{
	char cmd[160];

	(void)state;
	snprintf(cmd, sizeof(cmd), "chmod -R u+rwx %s; rm -rf %s", top, top);
	return system(cmd);
}

static const char *in(const char *name)
{
	static char path[64][5000];
	static unsigned int n;

	n = (n + 1) % 64;
	snprintf(path[n], sizeof(path[n]), "%s/%s", top, name);
	return path[n];
}

static void make_dir(const char *name)
{
	assert_int_equal(mkdir(in(name), 0755), 0);
}

static void make_file(const char *name, const char *text)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_EXCL, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* ---- a walk, kept whole ---- */

struct found {
	char **paths;
	int *errors;
	mode_t *modes;
	size_t n, nerrors;
	char *left_out; /* paths, each with a newline */
	int max_fds;
};

static int count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The path that a directory key and a name make, without tree.c's help. */
static char *key_path(const struct scan_item *it)
{
	char *s = malloc(it->dirkey_len + it->name_len + 2), *p = s;
	size_t i;

	*p++ = '/';
	for (i = 0; i < it->dirkey_len; i++) {
		if (it->dirkey[i] == 2)
			*p++ = (char)(it->dirkey[++i] - 1);
		else
			*p++ = it->dirkey[i] == 1 ? '/' : (char)it->dirkey[i];
	}
	memcpy(p, it->name, it->name_len);
	p[it->name_len] = '\0';
	return s;
}

static void take(struct found *f, const struct scan_item *it)
{
	char *path = key_path(it);
	struct stat st;

	assert_string_equal(path, it->path);
	assert_int_equal(strlen(it->name), it->name_len);
	f->paths = reallocarray(f->paths, f->n + 1, sizeof(*f->paths));
	f->errors = reallocarray(f->errors, f->n + 1, sizeof(*f->errors));
	f->modes = reallocarray(f->modes, f->n + 1, sizeof(*f->modes));
	f->paths[f->n] = path;
	f->errors[f->n] = it->error;
	f->modes[f->n] = it->st.st_mode;
	f->n++;
	f->nerrors += it->error != 0;
	if (it->error == 0 && it->dirfd >= 0) {
		assert_int_equal(fstatat(it->dirfd, it->name, &st,
					 AT_SYMLINK_NOFOLLOW),
				 0);
		/* A link above a source is handed out as what it leads to. */
		if (!S_ISLNK(st.st_mode) || S_ISLNK(it->st.st_mode)) {
			assert_int_equal(st.st_ino, it->st.st_ino);
			assert_int_equal(st.st_mode, it->st.st_mode);
		}
	}
}

static void take_left_out(struct found *f, const struct scan *s)
{
	const char *const *paths;
	size_t i, n, len = 0;

	paths = scan_left_out(s, &n);
	for (i = 0; i < n; i++)
		len += strlen(paths[i]) + 1;
	f->left_out = calloc(1, len + 1);
	for (i = 0, len = 0; i < n; i++)
		len += (size_t)(stpcpy(stpcpy(f->left_out + len, paths[i]),
				       "\n") -
				(f->left_out + len));
}

static void walk_with(const struct scan_options *o, struct found *f)
{
	struct scan_item it;
	struct scan *s;
	int r;

	memset(f, 0, sizeof(*f));
	assert_int_equal(scan_open(o, &s), 0);
	while ((r = scan_next(s, &it)) == 1)
		take(f, &it);
	assert_int_equal(r, 0);
	assert_int_equal(scan_next(s, &it), 0);
	take_left_out(f, s);
	scan_close(s);
}

static void walk(const char *source, struct found *f)
{
	const struct scan_options o = { .sources = &source, .nsources = 1 };

	walk_with(&o, f);
}

static void found_free(struct found *f)
{
	while (f->n > 0)
		free(f->paths[--f->n]);
	free(f->left_out);
	free(f->paths);
	free(f->errors);
	free(f->modes);
}

/* How often the path below the test's own directory was found. */
static int count(const struct found *f, const char *name)
{
	const char *path = name[0] == '/' ? name : in(name);
	size_t i;
	int n = 0;

	for (i = 0; i < f->n; i++)
		n += f->errors[i] == 0 && strcmp(f->paths[i], path) == 0;
	return n;
}

/* Is this all that was not entered? NULL: nothing. */
static bool left_out_is(const struct found *f, const char *a, const char *b)
{
	char want[10100];

	snprintf(want, sizeof(want), "%s%s%s%s", a ? in(a) : "", a ? "\n" : "",
		 b ? in(b) : "", b ? "\n" : "");
	return strcmp(f->left_out, want) == 0;
}

static int error_of(const struct found *f, const char *name)
{
	const char *path = in(name);
	size_t i;

	for (i = 0; i < f->n; i++)
		if (f->errors[i] != 0 && strcmp(f->paths[i], path) == 0)
			return f->errors[i];
	return 0;
}

/* ---- order ---- */

/* By directory, then name; directories component by component. An
 * independent statement of what store/tree.h promises. */
static int order(const char *a, const char *b)
{
	const char *end_a = strrchr(a, '/'), *end_b = strrchr(b, '/');
	size_t n, m;
	int c;

	for (a++, b++; a < end_a && b < end_b; a += n + 1, b += m + 1) {
		n = strcspn(a, "/");
		m = strcspn(b, "/");
		c = memcmp(a, b, n < m ? n : m);
		if (c != 0 || n != m)
			return c ? c : n < m ? -1 : 1;
	}
	if (a < end_a || b < end_b)
		return a < end_a ? 1 : -1;
	return strcmp(end_a + 1, end_b + 1);
}

static void assert_order(const struct found *f)
{
	const char *last = NULL;
	size_t i;

	assert_string_equal(f->paths[0], "/");
	for (i = 0; i < f->n; i++) {
		if (f->errors[i] && S_ISDIR(f->modes[i]))
			continue;
		if (last)
			assert_true(order(last, f->paths[i]) < 0);
		last = f->paths[i];
	}
}

static void order_is_that_of_keys(void **state)
{
	static const char *const names[] = {
		"a",
		"a\x01",
		"a\x02",
		"a\x03",
		"a b",
		"a-b",
		"a.b",
		"ab",
		"A",
		"\x01",
		"\x02",
		"\x03",
		"\x02\x02",
		"\x01\x01",
		"\xff",
		"\xff\xff",
		"caf\xc3\xa9",
		"longer than eight bytes 1",
		"longer than eight bytes 2",
		"longer than eight bytes",
		" ",
		"\n",
		"*",
		"\\",
		"~",
	};
	struct found f;
	char name[600];
	size_t i, j;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		make_dir(names[i]);
		for (j = 0; j < ARRAY_SIZE(names); j++) {
			snprintf(name, sizeof(name), "%s/%s", names[i],
				 names[j]);
			if (j % 2)
				make_dir(name);
			else
				make_file(name, "x");
		}
	}
	walk(top, &f);
	assert_int_equal(f.nerrors, 0);
	/* "/", "/var", "/var/tmp", the top. */
	assert_int_equal(f.n, 4 + i + i * i);
	assert_order(&f);
	found_free(&f);
}

static void keys_ascend(void **state)
{
	const char *source = top;
	const struct scan_options o = { .sources = &source, .nsources = 1 };
	AUTO_BUF struct buf key = BUF_INIT, name = BUF_INIT;
	struct scan_item it;
	struct scan *s;
	char text[64];
	int i;

	(void)state;
	for (i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "d%c%d", 1 + i % 3, i);
		make_dir(text);
		snprintf(text, sizeof(text), "d%c%d/f\x02%d", 1 + i % 3, i, i);
		make_file(text, "");
	}
	assert_int_equal(scan_open(&o, &s), 0);
	for (i = 0; scan_next(s, &it) == 1; i++) {
		assert_true(i == 0 ||
			    tree_compare(key.data, key.len, name.data, name.len,
					 it.dirkey, it.dirkey_len,
					 (const uint8_t *)it.name,
					 it.name_len) < 0);
		buf_clear(&key);
		buf_put(&key, it.dirkey, it.dirkey_len);
		buf_clear(&name);
		buf_put(&name, it.name, it.name_len);
	}
	assert_int_equal(i, 84);
	scan_close(s);
}

static void every_kind(void **state)
{
	struct found f;

	(void)state;
	make_file("file", "1234");
	make_dir("dir");
	assert_int_equal(symlink("nowhere", in("link")), 0);
	assert_int_equal(symlink("dir", in("dirlink")), 0);
	assert_int_equal(mkfifo(in("fifo"), 0600), 0);
	assert_int_equal(link(in("file"), in("dir/hard")), 0);
	walk(top, &f);
	assert_int_equal(f.n, 10);
	assert_int_equal(count(&f, "link"), 1);
	assert_int_equal(count(&f, "dirlink"), 1);
	assert_int_equal(count(&f, "fifo"), 1);
	assert_int_equal(count(&f, "dir/hard"), 1);
	assert_order(&f);
	found_free(&f);
}

/* ---- sources ---- */

static void several_sources(void **state)
{
	char above[80];
	const char *s[] = {
		in("b/c"), in("a"),    in("b/c/"), in("b"),
		in("./a"), in("file"), in("link"), in("b//x/../c")
	};
	const struct scan_options o = { .sources = s,
					.nsources = ARRAY_SIZE(s) };
	struct scan *scan;
	const char *const *clean;
	struct found f;
	size_t n;

	(void)state;
	make_dir("a");
	make_dir("b");
	make_dir("b/c");
	make_dir("b/x");
	make_dir("d");
	make_file("a/1", "");
	make_file("b/c/2", "");
	make_file("b/3", "");
	make_file("file", "");
	assert_int_equal(symlink("d", in("link")), 0);
	walk_with(&o, &f);
	assert_order(&f);
	assert_int_equal(f.nerrors, 0);
	assert_int_equal(count(&f, "/"), 1);
	snprintf(above, sizeof(above), "/var");
	assert_int_equal(count(&f, above), 1);
	assert_int_equal(count(&f, "a/1"), 1);
	assert_int_equal(count(&f, "b/c"), 1);
	assert_int_equal(count(&f, "b/c/2"), 1);
	assert_int_equal(count(&f, "b/3"), 1);
	assert_int_equal(count(&f, "file"), 1);
	assert_int_equal(count(&f, "link"), 1);
	assert_int_equal(count(&f, "d"), 0);
	assert_int_equal(f.n, 4 + 9);
	found_free(&f);

	assert_int_equal(scan_open(&o, &scan), 0);
	clean = scan_sources(scan, &n);
	assert_int_equal(n, 5);
	assert_string_equal(clean[0], in("a"));
	assert_string_equal(clean[2], in("b/c"));
	scan_close(scan);
}

static void relative_source(void **state)
{
	char *cwd = getcwd(NULL, 0);
	struct found f;

	(void)state;
	make_dir("a");
	make_dir("b");
	make_file("b/1", "");
	assert_int_equal(chdir(in("a")), 0);
	walk("../b/", &f);
	assert_int_equal(count(&f, "b/1"), 1);
	assert_int_equal(count(&f, "a"), 0);
	found_free(&f);
	assert_int_equal(chdir(cwd), 0);
	free(cwd);
}

static void bad_sources(void **state)
{
	const char *s[2] = { in("none"), NULL };
	struct scan_options o = { .sources = s, .nsources = 1 };
	struct scan *scan;

	(void)state;
	assert_int_equal(scan_open(&o, &scan), -ENOENT);
	assert_null(scan);
	s[0] = "";
	assert_int_equal(scan_open(&o, &scan), -EINVAL);
	o.nsources = 0;
	assert_int_equal(scan_open(&o, &scan), -EINVAL);
	o.nsources = 1;
	make_file("file", "");
	s[0] = in("file/x");
	assert_int_equal(scan_open(&o, &scan), -ENOTDIR);
	make_dir("dir");
	assert_int_equal(symlink("dir", in("link")), 0);
	s[0] = in("link/../file");
	assert_int_equal(scan_open(&o, &scan), -EINVAL);
	/* The one holds the link as a link, the other goes through it. */
	make_file("dir/file", "");
	s[0] = top;
	s[1] = in("link/file");
	o.nsources = 2;
	assert_int_equal(scan_open(&o, &scan), -EINVAL);
	assert_null(scan);
}

/* A parent of a source may be a link: it stands there as a directory. */
static void link_above_source(void **state)
{
	struct found f;

	(void)state;
	make_dir("dir");
	make_file("dir/file", "");
	make_file("dir/other", "");
	assert_int_equal(symlink("dir", in("link")), 0);
	walk(in("link/file"), &f);
	assert_int_equal(f.n, 6);
	assert_string_equal(f.paths[4], in("link"));
	assert_true(S_ISDIR(f.modes[4]));
	assert_string_equal(f.paths[5], in("link/file"));
	found_free(&f);
}

/* ---- what is left out ---- */

static void excluded(void **state)
{
	const char *s[] = { top, in("no/deep/source") };
	struct scan_options o = { .sources = s, .nsources = 2 };
	struct exclude *x = exclude_new();
	struct found f;

	(void)state;
	assert_int_equal(exclude_add(x, "*.o", false), 0);
	assert_int_equal(exclude_add(x, "no", false), 0);
	assert_int_equal(exclude_add(x, in("a/x"), false), 0);
	o.exclude = x;
	make_dir("a");
	make_dir("no");
	make_dir("no/deep");
	make_dir("no/deep/source");
	make_file("no/1", "");
	make_file("no/deep/1", "");
	make_file("no/deep/source/1", "");
	make_file("a/1.o", "");
	make_file("a/1.c", "");
	make_file("a/x", "");
	walk_with(&o, &f);
	assert_order(&f);
	assert_int_equal(count(&f, "a/1.c"), 1);
	assert_int_equal(count(&f, "a/1.o"), 0);
	assert_int_equal(count(&f, "a/x"), 0);
	/* A source that was named is in, whatever a pattern says. */
	assert_int_equal(count(&f, "no"), 1);
	assert_int_equal(count(&f, "no/1"), 0);
	assert_int_equal(count(&f, "no/deep/1"), 0);
	assert_int_equal(count(&f, "no/deep/source/1"), 1);
	found_free(&f);
	exclude_free(x);
}

static void skipped(void **state)
{
	const char *s = top;
	struct stat skip;
	struct scan_options o = {
		.sources = &s, .nsources = 1, .skip = &skip, .nskip = 1
	};
	struct found f;

	(void)state;
	make_dir("a");
	make_dir("a/vault");
	make_file("a/vault/x", "");
	make_file("a/y", "");
	assert_int_equal(stat(in("a/vault"), &skip), 0);
	walk_with(&o, &f);
	assert_int_equal(count(&f, "a/vault"), 1);
	assert_int_equal(count(&f, "a/vault/x"), 0);
	assert_int_equal(count(&f, "a/y"), 1);
	assert_true(left_out_is(&f, "a/vault", NULL));
	found_free(&f);
}

static void caches(void **state)
{
	static const char tag[] =
		"Signature: 8a477f597d28d172789f06886806bc55\n# mine\n";
	const char *s = top;
	struct scan_options o = { .sources = &s,
				  .nsources = 1,
				  .exclude_caches = true };
	struct found f;

	(void)state;
	make_dir("cache");
	make_file("cache/CACHEDIR.TAG", tag);
	make_file("cache/A", "");
	make_file("cache/big", "");
	make_dir("cache/sub");
	make_dir("false");
	make_file("false/CACHEDIR.TAG", "Signature: none");
	make_file("false/big", "");
	make_dir("odd");
	assert_int_equal(mkfifo(in("odd/CACHEDIR.TAG"), 0600), 0);
	make_file("odd/big", "");
	walk_with(&o, &f);
	assert_int_equal(count(&f, "cache"), 1);
	assert_int_equal(count(&f, "cache/CACHEDIR.TAG"), 1);
	assert_int_equal(count(&f, "cache/A"), 0);
	assert_int_equal(count(&f, "cache/big"), 0);
	assert_int_equal(count(&f, "cache/sub"), 0);
	assert_int_equal(count(&f, "false/big"), 1);
	assert_int_equal(count(&f, "odd/big"), 1);
	found_free(&f);
	o.exclude_caches = false;
	walk_with(&o, &f);
	assert_int_equal(count(&f, "cache/big"), 1);
	found_free(&f);
}

/* In a child, which may make itself a mount namespace. */
static int mounts_child(void)
{
	const char *s[] = { top, in("mnt2/in") };
	struct scan_options o = { .sources = s,
				  .nsources = 1,
				  .one_file_system = true };
	struct found f;
	int bad;

	if (unshare(CLONE_NEWNS) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 77;
	make_dir("mnt");
	make_dir("mnt2");
	if (mount("none", in("mnt"), "tmpfs", 0, NULL) < 0 ||
	    mount("none", in("mnt2"), "tmpfs", 0, NULL) < 0)
		return 77;
	make_file("mnt/x", "");
	make_dir("mnt2/in");
	make_file("mnt2/in/y", "");
	make_file("mnt2/z", "");
	walk_with(&o, &f);
	bad = count(&f, "mnt") != 1 || count(&f, "mnt/x") != 0 ||
	      !left_out_is(&f, "mnt", "mnt2");
	found_free(&f);
	o.nsources = 2;
	walk_with(&o, &f);
	bad = bad || count(&f, "mnt/x") != 0 || count(&f, "mnt2/z") != 0 ||
	      count(&f, "mnt2/in/y") != 1 || !left_out_is(&f, "mnt", "mnt2");
	found_free(&f);
	o.one_file_system = false;
	walk_with(&o, &f);
	bad = bad || count(&f, "mnt/x") != 1 || !left_out_is(&f, NULL, NULL);
	found_free(&f);
	return bad;
}

/* @fn may not use cmocka's assertions: they would run the other tests. */
static int run_child(int (*fn)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(fn());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void one_file_system(void **state)
{
	int r = run_child(mounts_child);

	(void)state;
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

/* ---- trouble ---- */

static int unreadable_child(void)
{
	struct found f;

	if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
		return 77;
	walk(top, &f);
	if (error_of(&f, "closed") != -EACCES ||
	    error_of(&f, "names/x") != -EACCES || f.nerrors != 2 ||
	    count(&f, "closed") != 1 || count(&f, "closed/y") != 0 ||
	    count(&f, "open/z") != 1)
		return 1;
	found_free(&f);
	return 0;
}

static void unreadable(void **state)
{
	int r;

	(void)state;
	assert_int_equal(chmod(top, 0755), 0);
	make_dir("closed");
	make_file("closed/y", "");
	make_dir("names");
	make_file("names/x", "");
	make_dir("open");
	make_file("open/z", "");
	assert_int_equal(chmod(in("closed"), 0), 0);
	assert_int_equal(chmod(in("names"), 0744), 0);
	if (getuid() != 0)
		assert_int_equal(chmod(in("names"), 0444), 0);
	r = run_child(unreadable_child);
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

/* Enough for the reader to wait for room before it comes to what is next. */
#define MANY 12000

static void make_many(const char *dir)
{
	char name[64];
	int i, fd;

	make_dir(dir);
	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "%s/%05d", dir, i);
		fd = open(in(name), O_WRONLY | O_CREAT, 0644);
		assert_true(fd >= 0);
		close(fd);
	}
}

/* Walk to @name, call @then, walk on. */
static void walk_disturbed(const char *name, void (*then)(void),
			   struct found *f)
{
	const char *s = top;
	const struct scan_options o = { .sources = &s, .nsources = 1 };
	struct scan_item it;
	struct scan *scan;

	memset(f, 0, sizeof(*f));
	assert_int_equal(scan_open(&o, &scan), 0);
	while (scan_next(scan, &it) == 1) {
		if (it.error != 0 || !then) {
			f->nerrors += it.error != 0;
			take(f, &it);
			f->nerrors -= it.error != 0;
			continue;
		}
		take(f, &it);
		if (strcmp(it.path, in(name)) == 0) {
			then();
			then = NULL;
		}
	}
	assert_null(then);
	scan_close(scan);
}

static void swap_dir(void)
{
	assert_int_equal(rename(in("b"), in("away")), 0);
	assert_int_equal(symlink(in("outside"), in("b")), 0);
}

static void dir_becomes_link(void **state)
{
	struct found f;

	(void)state;
	make_many("a");
	make_dir("b");
	make_file("b/inside", "");
	make_dir("c");
	make_file("c/after", "");
	make_dir("outside");
	make_file("outside/secret", "");
	walk_disturbed("a/00000", swap_dir, &f);
	assert_true(error_of(&f, "b") == -ELOOP ||
		    error_of(&f, "b") == -ENOTDIR);
	assert_int_equal(count(&f, "b/secret"), 0);
	assert_int_equal(count(&f, "b/inside"), 0);
	assert_int_equal(count(&f, "c/after"), 1);
	assert_int_equal(f.nerrors, 1);
	assert_order(&f);
	found_free(&f);
}

static void remove_files(void)
{
	char name[64];
	int i;

	for (i = 0; i < MANY; i++) {
		snprintf(name, sizeof(name), "a/%05d", i);
		assert_int_equal(unlink(in(name)), 0);
	}
	/* One comes back as something that would have to be walked. */
	snprintf(name, sizeof(name), "a/%05d", MANY - 1);
	make_dir(name);
}

static void walk_vanishing(struct found *f)
{
	const char *s = top;
	const struct scan_options o = { .sources = &s, .nsources = 1 };
	struct scan_item it;
	struct scan *scan;
	size_t i;

	memset(f, 0, sizeof(*f));
	assert_int_equal(scan_open(&o, &scan), 0);
	for (i = 0; scan_next(scan, &it) == 1; i++) {
		if (strcmp(it.path, in("a/00000")) == 0)
			remove_files();
		f->n++;
		f->nerrors += it.error == -ENOENT;
		f->max_fds += it.error == -ESTALE;
	}
	scan_close(scan);
}

static void files_vanish(void **state)
{
	struct found f;

	(void)state;
	make_many("a");
	walk_vanishing(&f);
	/* Every name was reported, as found or as gone. */
	assert_int_equal(f.n, 5 + MANY);
	assert_true(f.nerrors > 1000);
	assert_int_equal(f.max_fds, 1);
}

static void closed_early(void **state)
{
	const char *s = top;
	const struct scan_options o = { .sources = &s, .nsources = 1 };
	int before = count_fds();
	struct scan_item it;
	struct scan *scan;

	(void)state;
	make_many("a");
	assert_int_equal(scan_open(&o, &scan), 0);
	scan_close(scan);
	assert_int_equal(scan_open(&o, &scan), 0);
	assert_int_equal(scan_next(scan, &it), 1);
	scan_close(scan);
	assert_int_equal(count_fds(), before);
}

/* ---- depth ---- */

/* Directories @name below each other, each with a file and a directory that
 * comes behind, so that the walk must come back to every level. */
static void make_deep(const char *name, int levels)
{
	int fd = open(top, O_RDONLY | O_DIRECTORY), i, next;

	assert_true(fd >= 0);
	for (i = 0; i < levels; i++) {
		assert_int_equal(mkdirat(fd, name, 0755), 0);
		assert_int_equal(mkdirat(fd, "z", 0755), 0);
		assert_int_equal(mkdirat(fd, "z/y", 0755), 0);
		next = openat(fd, name, O_RDONLY | O_DIRECTORY);
		assert_true(next >= 0);
		close(fd);
		fd = next;
	}
	close(fd);
}

static void walk_deep(int limit, struct found *f)
{
	const char *s = top;
	const struct scan_options o = { .sources = &s, .nsources = 1 };
	int before = count_fds(), n;
	struct scan_item it;
	struct scan *scan;

	memset(f, 0, sizeof(*f));
	assert_int_equal(scan_open(&o, &scan), 0);
	while (scan_next(scan, &it) == 1) {
		take(f, &it);
		if (f->n % 100 == 0) {
			n = count_fds() - before;
			f->max_fds = n > f->max_fds ? n : f->max_fds;
		}
	}
	scan_close(scan);
	assert_int_equal(count_fds(), before);
	assert_true(f->max_fds <= limit);
}

static void deep(void **state)
{
	struct found f;

	(void)state;
	make_deep("deep-directory", 2000); /* 30,000 bytes of path */
	walk_deep(8 * 32 + 32 + 8, &f);
	assert_int_equal(f.nerrors, 0);
	assert_int_equal(f.n, 4 + 3 * 2000);
	found_free(&f);
}

static int few_fds_child(void)
{
	struct rlimit lim = { 64, 64 };
	struct found f;

	if (setrlimit(RLIMIT_NOFILE, &lim) < 0)
		return 77;
	walk_deep(40, &f);
	if (f.nerrors != 0 || f.n != 4 + 3 * 300)
		return 1;
	found_free(&f);
	return 0;
}

static void few_descriptors(void **state)
{
	int r;

	(void)state;
	make_deep("d", 300);
	r = run_child(few_fds_child);
	if (r == 77)
		skip();
	assert_int_equal(r, 0);
}

/* Deeper than a tree's keys can say. */
static void too_deep(void **state)
{
	char name[251];
	struct found f;

	(void)state;
	memset(name, 'n', 250);
	name[250] = '\0';
	make_deep(name, 280);
	walk_deep(8 * 32 + 32 + 8, &f);
	assert_int_equal(f.nerrors, 1);
	assert_true(f.n > 3 * 250);
	found_free(&f);
}

/* ---- extended attributes ---- */

/* What is attached to @name; the list is checked. */
static int xattrs_of(const char *name, struct buf *out, bool *acl)
{
	const char *s = top;
	const struct scan_options o = { .sources = &s, .nsources = 1 };
	struct scan_xattr_loss loss = { .n = 0 };
	struct scan_item it;
	struct scan *scan;
	int r = -ENOENT;

	assert_int_equal(scan_open(&o, &scan), 0);
	while (scan_next(scan, &it) == 1)
		if (strcmp(it.path, in(name)) == 0)
			r = scan_xattrs(&it, out, acl, &loss);
	scan_close(scan);
	assert_int_equal(loss.n, 0);
	if (r == 0 && out->len)
		assert_int_equal(xattrs_check(out->data, out->len), 0);
	return r;
}

static void xattrs(void **state)
{
	AUTO_BUF struct buf list = BUF_INIT, again = BUF_INIT;
	static char big[3000];
	struct scan_xattr_loss loss;
	struct xattr x;
	struct reader r;
	bool acl = true;
	int fd;

	(void)state;
	make_file("file", "");
	make_file("plain", "");
	assert_int_equal(symlink("file", in("link")), 0);
	if (setxattr(in("file"), "user.b", "2", 1, 0) < 0)
		skip();
	assert_int_equal(setxattr(in("file"), "user.a", big, sizeof(big), 0),
			 0);
	assert_int_equal(setxattr(in("file"), "user.empty", "", 0, 0), 0);
	assert_int_equal(xattrs_of("file", &list, &acl), 0);
	assert_false(acl);
	assert_int_equal(xattrs_begin(&r, list.data, list.len), 3);
	assert_true(xattrs_next(&r, &x));
	assert_memory_equal(x.name, "user.a", x.name_len);
	assert_int_equal(x.value_len, sizeof(big));
	assert_memory_equal(x.value, big, sizeof(big));
	assert_true(xattrs_next(&r, &x));
	assert_memory_equal(x.name, "user.b", x.name_len);
	assert_true(xattrs_next(&r, &x));
	assert_int_equal(x.value_len, 0);
	fd = open(in("file"), O_RDONLY);
	assert_int_equal(scan_fd_xattrs(fd, &again, &acl, &loss), 0);
	close(fd);
	assert_int_equal(again.len, list.len);
	assert_memory_equal(again.data, list.data, list.len);
	buf_clear(&list);
	assert_int_equal(xattrs_of("plain", &list, &acl), 0);
	assert_int_equal(list.len, 0);
	/* The link's own, which are none, not the file's. */
	assert_int_equal(xattrs_of("link", &list, &acl), 0);
	assert_int_equal(list.len, 0);
}

static void xattr_many(void **state)
{
	AUTO_BUF struct buf list = BUF_INIT;
	char name[64];
	struct reader r;
	bool acl;
	int i;

	(void)state;
	make_file("file", "");
	/* Names of over 1024 bytes together: the second, larger try. */
	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "user.attribute-number-%d", i);
		if (setxattr(in("file"), name, "v", 1, 0) < 0)
			break;
	}
	if (i < 60)
		skip();
	assert_int_equal(xattrs_of("file", &list, &acl), 0);
	assert_int_equal(xattrs_begin(&r, list.data, list.len), 60);
}

static void xattr_acl(void **state)
{
	/* user::rw-, user:5:r--, group::r--, mask::r--, other::--- */
	static const uint16_t acl[5][2] = {
		{ 1, 6 }, { 2, 4 }, { 4, 4 }, { 16, 4 }, { 32, 0 },
	};
	AUTO_BUF struct buf list = BUF_INIT;
	uint8_t value[4 + 5 * 8];
	bool has = false;
	size_t i;

	(void)state;
	put_le32(value, 2);
	for (i = 0; i < 5; i++) {
		put_le16(value + 4 + i * 8, acl[i][0]);
		put_le16(value + 6 + i * 8, acl[i][1]);
		put_le32(value + 8 + i * 8, i == 1 ? 5 : UINT32_MAX);
	}
	make_file("file", "");
	if (setxattr(in("file"), "system.posix_acl_access", value,
		     sizeof(value), 0) < 0)
		skip();
	assert_int_equal(xattrs_of("file", &list, &has), 0);
	assert_true(has);
}

/* ---- large directories ---- */

#define NAMES 400000

static size_t peak_kib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (size_t)u.ru_maxrss;
}

/* What a sanitizer notes of memory counts as the program's. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SHADOW_MEMORY true
#endif
#endif
#ifndef HAS_SHADOW_MEMORY
#define HAS_SHADOW_MEMORY false
#endif

/* Where name @i of an order stands in the sorted list. */
static unsigned int place_in(int order, unsigned int i)
{
	switch (order) {
	case 0:
		return (unsigned int)(i * UINT64_C(7919) % NAMES);
	case 1:
		return i;
	case 2:
		return NAMES - 1 - i;
	default: /* up and down again */
		return i % 2 ? NAMES - 1 - i / 2 : i / 2;
	}
}

/* In child processes: each has a peak of its own. */
static void sort_names(int order)
{
	struct dir_list l = { .n = 0 };
	char name[32];
	unsigned int i;
	size_t before;

	for (i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "a name that is long %06u",
			 place_in(order, i));
		if (dir_list_add(&l, name, strlen(name), DT_REG) < 0)
			_exit(2);
	}
	before = peak_kib();
	dir_list_sort(&l);
	/* qsort_r(3) would take 6,250 KiB. */
	if (!HAS_SHADOW_MEMORY && peak_kib() - before > 2048)
		_exit(3);
	for (i = 0; i < NAMES; i++) {
		snprintf(name, sizeof(name), "a name that is long %06u", i);
		if (strcmp(l.text + l.names[i].off, name) != 0)
			_exit(4);
	}
	_exit(0);
}

static void large_directories_are_sorted_in_place(void **state)
{
	int order, status;
	pid_t pid;

	(void)state;
	for (order = 0; order < 4; order++) {
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			sort_names(order);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

static void silent(void *arg, enum log_level level, const char *text)
{
	(void)arg;
	(void)level;
	(void)text;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(large_directories_are_sorted_in_place),
		T(order_is_that_of_keys),
		T(keys_ascend),
		T(every_kind),
		T(several_sources),
		T(relative_source),
		T(bad_sources),
		T(link_above_source),
		T(excluded),
		T(skipped),
		T(caches),
		T(one_file_system),
		T(unreadable),
		T(dir_becomes_link),
		T(files_vanish),
		T(closed_early),
		T(deep),
		T(few_descriptors),
		T(too_deep),
		T(xattrs),
		T(xattr_many),
		T(xattr_acl),
	};

	log_set(LOG_LEVEL_ERROR, silent, NULL);
	return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
