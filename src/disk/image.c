/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Images, read and written by a qemu-nbd of our own.
 *
 * The socket is made and listened on here, in a private directory, and handed
 * to qemu-nbd the way systemd does (LISTEN_FDS): connecting to it waits until
 * the image is open, and fails at once where qemu-nbd gives up.
 */
#include "config.h"

#include "src/disk/nbd_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "src/disk/chain.h"
#include "src/disk/qemu.h"
#include "store/base/log.h"

#define CONNECTIONS_MAX 32u

static int make_listener(struct nbd *n, int *out)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const char *base = getenv("TMPDIR");
	int fd;

	/* A socket's name has little room. */
	if (!base || base[0] != '/' || strlen(base) > 70)
		base = "/tmp";
	snprintf(n->dir, sizeof(n->dir), "%s/vmbackup-XXXXXX", base);
	if (!mkdtemp(n->dir)) {
		n->dir[0] = '\0';
		return fail(-errno,
			    "disk %s: cannot make a directory in %s: %s",
			    n->d.name, base, strerror(errno));
	}
	snprintf(n->socket, sizeof(n->socket), "%s/nbd", n->dir);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/nbd", n->dir);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 ||
	    listen(fd, 64) < 0) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return fail(-err, "disk %s: cannot listen in %s: %s", n->d.name,
			    n->dir, strerror(err));
	}
	n->path = n->socket;
	*out = fd;
	return 0;
}

static int start(struct nbd *n, const struct image_chain *c, char *const argv[],
		 int listener)
{
	struct confine_file files[IMAGE_CHAIN_MAX + 1];
	struct qemu_options q = {
		.program = "qemu-nbd",
		.argv = argv,
		.files = files,
		.nfiles = c->n,
		.listener = listener,
	};
	size_t i;
	int r;

	/* What is written to is the image; what it refers to stays as it is. */
	for (i = 0; i < c->n; i++)
		files[i] = (struct confine_file){
			.fd = c->files[i].fd,
			.writable = n->d.writable &&
				    (i == 0 || (int)i == c->files[0].data),
		};
	if (c->key >= 0)
		files[q.nfiles++] = (struct confine_file){ .fd = c->key };
	r = qemu_start(&q, &n->server);
	if (r == -ENOENT)
		return fail(r,
			    "disk %s: %s needs qemu-nbd, which is not installed"
			    " (Debian's package is qemu-utils)",
			    n->d.name, n->d.source);
	return r < 0 ? fail(r, "disk %s: cannot start qemu-nbd: %s", n->d.name,
			    strerror(-r))
		     : 0;
}

static int serve(struct nbd *n, const struct disk_device_options *o,
		 const struct image_chain *c, const char *image)
{
	AUTO_CLOSE int listener = -1;
	char shared[32], key[64];
	const char *argv[16] = { "qemu-nbd", "--persistent", "--shared",
				 shared };
	size_t i = 4;
	int r;

	snprintf(shared, sizeof(shared), "%u",
		 MIN(o->threads + 2, CONNECTIONS_MAX));
	if (n->d.writable) {
		argv[i++] = "--discard=unmap";
		argv[i++] = "--detect-zeroes=off";
	} else {
		argv[i++] = "--read-only";
	}
	if (o->bitmap) {
		argv[i++] = "--bitmap";
		argv[i++] = o->bitmap;
	}
	if (c->key >= 0) {
		snprintf(key, sizeof(key),
			 "secret,id=" IMAGE_KEY_OBJECT ",file=/proc/self/fd/%d",
			 c->key);
		argv[i++] = "--object";
		argv[i++] = key;
	}
	argv[i++] = "--";
	argv[i] = image;
	r = make_listener(n, &listener);
	if (r == 0)
		r = start(n, c, (char *const *)argv, listener);
	/* Ours closed, the socket ends with qemu-nbd. */
	attrs_close_fd(&listener);
	listener = -1;
	return r == 0 ? nbd_connect(n, o) : r;
}

/* @words gets the reason where it is qemu-nbd's: then -ECONNREFUSED. */
static int open_chain(const struct disk_device_options *o,
		      const struct image_chain *c, const char *image,
		      bool writable, struct buf *words,
		      struct disk_device **out)
{
	struct nbd *n = nbd_new(o);
	int r;

	if (!n)
		return -ENOMEM;
	n->d.writable = writable;
	r = serve(n, o, c, image);
	if (r == -ECONNREFUSED)
		(void)qemu_explain(n->server, words);
	if (r < 0)
		disk_device_close(&n->d);
	else
		*out = &n->d;
	return r;
}

/* Without Landlock nothing holds qemu to what it was told. */
static int check_confinement(const struct disk_device_options *o,
			     const struct image_chain *c)
{
	if (confinement_available())
		return 0;
	if (c->by_name)
		return fail(-EPERM,
			    "disk %s: %s lists files by their names, and this"
			    " kernel has no Landlock to hold qemu-nbd to them:"
			    " convert it first (qemu-img convert)",
			    o->name, o->source);
	log_warn("disk %s: this kernel has no Landlock: qemu-nbd is not kept"
		 " from other files than %s and what belongs to it",
		 o->name, o->source);
	return 0;
}

static int open_image(const struct disk_device_options *o,
		      const struct image_chain *c, bool writable,
		      struct disk_device **out)
{
	AUTO_BUF struct buf image = BUF_INIT, words = BUF_INIT;
	struct disk_device_options plain = *o;
	int r = check_confinement(o, c);

	if (r == 0)
		r = image_chain_describe(c, 0, o->name, &image);
	if (r < 0)
		return r;
	r = open_chain(o, c, (char *)image.data, writable, &words, out);
	if (r == -ECONNREFUSED && o->bitmap) {
		log_warn("disk %s: %s cannot be opened with its bitmap \"%s\""
			 " (%.*s): all of it is read",
			 o->name, o->source, o->bitmap, (int)words.len,
			 (const char *)words.data);
		buf_clear(&words);
		plain.bitmap = NULL;
		r = open_chain(&plain, c, (char *)image.data, writable, &words,
			       out);
	}
	if (r == -ECONNREFUSED)
		r = fail(-EIO, "disk %s: cannot %s the image %s: %.*s", o->name,
			 writable ? "open" : "read", o->source, (int)words.len,
			 (const char *)words.data);
	return r;
}

int disk_device_open_image(const struct disk_device_options *o, int fd,
			   const struct image_format *format,
			   const struct image_policy *policy, bool writable,
			   struct disk_device **out)
{
	struct image_chain *c = malloc(sizeof(*c));
	int r;

	*out = NULL;
	if (!c)
		return -ENOMEM;
	r = image_chain_open(policy, fd, o->source, format, c);
	if (r == 0)
		r = open_image(o, c, writable, out);
	if (r == 0 && !writable) {
		r = image_check(o, c, &(*out)->damaged);
		if (r < 0) {
			disk_device_close(*out);
			*out = NULL;
		}
	}
	image_chain_close(c);
	free(c);
	return r;
}
