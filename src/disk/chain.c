/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of a chain are numbered as they are met: the image is the first, what
 * it names comes behind it, and so on until a file names none. Each is followed
 * once, and there is a bound on all, so that a chain that leads to itself ends.
 */
#include "config.h"

#include "src/disk/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "src/disk/option_file.h"
#include "store/base/log.h"

#define FD_MIN 10 /* below, qemu's own and what a service manager hands over */

/* ---- reading the ends of a file ---- */

static int read_at(int fd, uint64_t off, void *out, size_t len, size_t *got)
{
	ssize_t n;

	for (*got = 0; *got < len; *got += (size_t)n) {
		n = pread(fd, (char *)out + *got, len - *got,
			  (off_t)(off + *got));
		if (n < 0 && errno == EINTR)
			n = 0;
		else if (n < 0)
			return -errno;
		else if (n == 0)
			break;
	}
	return 0;
}

int image_bytes_read(int fd, uint8_t *buffer, struct image_bytes *out)
{
	off_t size = lseek(fd, 0, SEEK_END); /* of devices too */
	int r;

	if (size < 0)
		return -errno;
	*out = (struct image_bytes){
		.head = buffer,
		.tail = buffer + IMAGE_HEAD_LEN,
		.size = (uint64_t)size,
	};
	r = read_at(fd, 0, buffer, IMAGE_HEAD_LEN, &out->head_len);
	if (r == 0 && out->size > IMAGE_TAIL_LEN)
		r = read_at(fd, out->size - IMAGE_TAIL_LEN,
			    buffer + IMAGE_HEAD_LEN, IMAGE_TAIL_LEN,
			    &out->tail_len);
	return r;
}

/* ---- which files may be opened ---- */

struct chain_walk {
	const struct image_policy *policy;
	struct image_chain *chain;
	size_t at; /* whose names are being read */
	uint8_t buffer[IMAGE_HEAD_LEN + IMAGE_TAIL_LEN];
	struct image_bytes bytes;
};

static const char *top_path(const struct chain_walk *w)
{
	return w->chain->files[0].path;
}

/* The directory that a path lies in, as it is written; to be freed. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* Is @path @root itself or below it? Both are absolute, without "..". */
static bool is_below(const char *path, const char *root)
{
	size_t n = strlen(root);

	if (n == 1) /* "/" */
		return true;
	return strncmp(path, root, n) == 0 &&
	       (path[n] == '\0' || path[n] == '/');
}

/* The absolute path of a file: its directory without links, and its own name. The
 * file may itself be a link, in a directory that the caller allows. */
static char *place_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir = directory_of(path);
	AUTO_FREE char *real = dir ? realpath(dir, NULL) : NULL;
	char *out;

	if (!real)
		return NULL;
	if (asprintf(&out, "%s/%s", strcmp(real, "/") ? real : "",
		     slash ? slash + 1 : path) < 0)
		return NULL;
	return out;
}

static bool is_allowed(const struct chain_walk *w, const char *path)
{
	AUTO_FREE char *place = place_of(path);
	AUTO_FREE char *real = realpath(path, NULL);
	AUTO_FREE char *top_dir = directory_of(top_path(w));
	AUTO_FREE char *home = top_dir ? realpath(top_dir, NULL) : NULL;
	size_t i;

	if (!place || !real || !home)
		return false;
	/* A link may have been put there by who made the image. */
	if (is_below(real, home))
		return true;
	for (i = 0; i < w->policy->nallowed; i++) {
		AUTO_FREE char *root = realpath(w->policy->allowed[i], NULL);

		if (root && (is_below(real, root) || is_below(place, root)))
			return true;
	}
	return false;
}

/* qemu takes a word and a colon in front of the first slash for a protocol. */
static bool is_protocol(const char *name)
{
	return name[strcspn(name, ":/")] == ':';
}

/* Where a name in the image at @path leads: beside the image, by the path that
 * it was opened by, as qemu has it. */
static char *resolve(const char *path, const char *name)
{
	AUTO_FREE char *dir = NULL;
	char *out;

	if (name[0] == '/')
		return strdup(name);
	dir = directory_of(path);
	if (!dir || asprintf(&out, "%s/%s", dir, name) < 0)
		return NULL;
	return out;
}

/* ---- opening them ---- */

/* @fd is duplicated; @path becomes the chain's, whatever is returned. */
static int add_file(struct chain_walk *w, int fd, char *path,
		    const struct image_format *format)
{
	struct image_chain *c = w->chain;
	struct image_file *f = &c->files[c->n];
	struct stat st;

	if (c->n == IMAGE_CHAIN_MAX) {
		free(path);
		return fail(-ELOOP, "disk %s: %s needs more than %d files",
			    w->policy->disk, top_path(w), IMAGE_CHAIN_MAX);
	}
	*f = (struct image_file){
		.path = path,
		.format = format,
		.backing = -1,
		.data = -1,
		.fd = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN),
	};
	c->n++;
	if (f->fd < 0 || fstat(f->fd, &st) < 0)
		return fail(-errno, "disk %s: cannot examine %s: %s",
			    w->policy->disk, path, strerror(errno));
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return fail(-ENOTBLK,
			    "disk %s: %s is neither a file nor a block device",
			    w->policy->disk, path);
	f->is_device = S_ISBLK(st.st_mode);
	return 0;
}

/*
 * The format of a file that another one names. Where that does not say it,
 * nothing but a raw disk and a qcow2 by its name, too, is taken for what it
 * looks like.
 */
static int choose_format(struct chain_walk *w, int fd, const char *path,
			 const char *driver, const struct image_format **out)
{
	const struct image_format *seen;
	int r;

	*out = image_format_find(driver, strlen(driver));
	if (*out)
		return 0;
	if (*driver)
		return fail(-EPERM,
			    "disk %s: %s says that %s is of the format \"%s\","
			    " which is not read",
			    w->policy->disk, w->chain->files[w->at].path, path,
			    driver);
	r = image_bytes_read(fd, w->buffer, &w->bytes);
	if (r < 0)
		return fail(r, "disk %s: cannot read %s: %s", w->policy->disk,
			    path, strerror(-r));
	seen = image_format_recognise(&w->bytes);
	*out = seen ? seen : image_format_raw();
	if (!seen || image_format_is_certain(seen, &w->bytes, path))
		return 0;
	return fail(-EPERM,
		    "disk %s: %s does not say what %s is, which looks like %s:"
		    " note it in the image (qemu-img rebase -u -F %s -b FILE)",
		    w->policy->disk, w->chain->files[w->at].path, path,
		    seen->title, seen->driver);
}

static int refuse(const struct chain_walk *w, const char *name)
{
	return fail(-EPERM,
		    "disk %s: %s refers to %s, which lies elsewhere: say"
		    " --allow-backing %s where it belongs to this disk",
		    w->policy->disk, w->chain->files[w->at].path, name, name);
}

static int open_named(struct chain_walk *w, const char *name,
		      const char *driver)
{
	const char *from = w->chain->files[w->at].path;
	const struct image_format *format = image_format_raw();
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -1;
	char *kept;
	int r = 0;

	if (is_protocol(name))
		return fail(-EPERM,
			    "disk %s: %s refers to %s, which is no file:"
			    " only files are read",
			    w->policy->disk, from, name);
	path = resolve(from, name);
	if (!path)
		return -ENOMEM;
	if (access(path, F_OK) < 0)
		return fail(-errno, "disk %s: %s refers to %s: %s",
			    w->policy->disk, from, path, strerror(errno));
	if (!is_allowed(w, path))
		return refuse(w, path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail(-errno, "disk %s: cannot open %s: %s",
			    w->policy->disk, path, strerror(errno));
	if (driver)
		r = choose_format(w, fd, path, driver, &format);
	if (r < 0)
		return r;
	kept = strdup(path);
	return kept ? add_file(w, fd, kept, format) : -ENOMEM;
}

static int on_name(void *arg, enum image_role role, const char *name,
		   const char *driver)
{
	struct chain_walk *w = arg;
	struct image_file *f = &w->chain->files[w->at];
	int *link = role == IMAGE_BACKING ? &f->backing
		    : role == IMAGE_DATA  ? &f->data
					  : NULL;
	AUTO_FREE char *copy = strdup(name); /* lies in what is read anew */
	int r;

	if (!copy)
		return -ENOMEM;
	if (link && *link >= 0)
		return fail(-EIO, "disk %s: %s names two files for one",
			    w->policy->disk, f->path);
	r = open_named(w, copy, role == IMAGE_BACKING ? driver : NULL);
	if (r == 0 && link)
		*link = (int)w->chain->n - 1;
	return r;
}

static int follow(struct chain_walk *w)
{
	struct image_file *f = &w->chain->files[w->at];
	const char *why;
	int r;

	if (f->format == image_format_raw())
		return 0;
	r = image_bytes_read(f->fd, w->buffer, &w->bytes);
	if (r < 0)
		return fail(r, "disk %s: cannot read %s: %s", w->policy->disk,
			    f->path, strerror(-r));
	f->encryption = image_format_encryption(f->format, &w->bytes);
	if (f->encryption && !w->policy->key)
		return fail(-EPERM,
			    "disk %s: %s is encrypted: say --image-key FILE,"
			    " a file with its password",
			    w->policy->disk, f->path);
	f->by_name = image_format_is_descriptor(f->format, &w->bytes);
	w->chain->by_name |= f->by_name;
	r = image_format_names(f->format, &w->bytes, on_name, w, &why);
	/* EBADMSG is for damage of a vault. */
	if (r == -EBADMSG && *why)
		return fail(-EIO, "disk %s: %s cannot be read as %s: %s",
			    w->policy->disk, f->path, f->format->title, why);
	return r;
}

static int open_key(const struct image_policy *policy, struct image_chain *c)
{
	AUTO_CLOSE int fd = -1;
	int r;

	if (!policy->key)
		return 0;
	r = option_file_open(policy->key, policy->stop, &fd);
	if (r == -EINTR)
		return r;
	if (r == 0) {
		c->key = fcntl(fd, F_DUPFD_CLOEXEC, FD_MIN);
		r = c->key < 0 ? -errno : 0;
	}
	return r < 0 ? fail(r, "disk %s: cannot open the key %s: %s",
			    policy->disk, policy->key, strerror(-r))
		     : 0;
}

int image_chain_open(const struct image_policy *policy, int fd,
		     const char *path, const struct image_format *format,
		     struct image_chain *out)
{
	struct chain_walk *w = calloc(1, sizeof(*w));
	char *kept = NULL;
	int r = -ENOMEM;

	out->n = 0;
	out->key = -1;
	out->by_name = false;
	if (w)
		kept = strdup(path);
	if (kept) {
		w->policy = policy;
		w->chain = out;
		r = add_file(w, fd, kept, format);
	}
	/* Each file is followed once; those it names come behind it. */
	for (; r == 0 && w->at < out->n; w->at++)
		r = follow(w);
	if (r == 0)
		r = open_key(policy, out);
	free(w);
	return r;
}

void image_chain_close(struct image_chain *c)
{
	for (; c->n > 0; c->n--) {
		struct image_file *f = &c->files[c->n - 1];

		if (f->fd >= 0)
			close(f->fd);
		free(f->path);
	}
	if (c->key >= 0)
		close(c->key);
	c->key = -1;
}

/* ---- telling qemu ---- */

static json_t *describe_file(const struct image_file *f)
{
	const char *driver = f->is_device ? "host_device" : "file";

	if (f->by_name)
		return json_pack("{s:s, s:o}", "driver", driver, "filename",
				 json_string(f->path));
	return json_pack("{s:s, s:o}", "driver", driver, "filename",
			 json_sprintf("/proc/self/fd/%d", f->fd));
}

/* Describe the file with that number, and all that it refers to. */
static json_t *describe(const struct image_chain *c, int i)
{
	const struct image_file *f = &c->files[i];
	json_t *o = json_pack("{s:s, s:o}", "driver", f->format->driver, "file",
			      describe_file(f));

	if (!o || f->format == image_format_raw())
		return o;
	/* null: it looks for none, whatever the image says. */
	if (json_object_set_new(o, "backing",
				f->backing < 0 ? json_null()
					       : describe(c, f->backing)) < 0)
		goto err;
	if (f->data >= 0 &&
	    json_object_set_new(o, "data-file",
				describe_file(&c->files[f->data])) < 0)
		goto err;
	if (f->encryption &&
	    json_object_set_new(o, "encrypt",
				json_pack("{s:s, s:s}", "format", f->encryption,
					  "key-secret", IMAGE_KEY_OBJECT)) < 0)
		goto err;
	return o;
err:
	json_decref(o);
	return NULL;
}

int image_chain_describe(const struct image_chain *c, int i, const char *disk,
			 struct buf *out)
{
	json_t *o = describe(c, i);
	char *text;

	if (!o)
		return c->by_name ? fail(-EILSEQ,
					 "disk %s: the path of %s is not UTF-8,"
					 " which such images must have",
					 disk, c->files[i].path)
				  : -ENOMEM;
	text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (!text)
		return -ENOMEM;
	buf_printf(out, "json:%s", text);
	buf_put_u8(out, 0);
	free(text);
	return buf_error(out);
}
