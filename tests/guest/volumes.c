/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * volumes [--key FILE]... [--raw VOLUME] NAME=IMAGE...: the volumes of a
 * machine with these disks, a line each: name, size, type, label, reason;
 * with --raw the bytes of one.
 */
#include "config.h"

#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs/guest/volumes/discover.h"
#include "store/base/secret.h"

#define DISKS_MAX 16
#define KEYS_MAX 8
#define PIECE ((size_t)1 << 20)

static struct secret *read_key(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct secret *s = NULL;
	uint8_t data[4096];
	ssize_t n;

	if (fd < 0)
		return NULL;
	n = read(fd, data, sizeof(data));
	close(fd);
	if (n >= 0)
		s = secret_new((size_t)n);
	if (s && n > 0)
		memcpy(s->data, data, (size_t)n);
	return s;
}

static int add_disk(const char *arg, struct discover_disk *out)
{
	const char *is = strchr(arg, '=');
	int fd;

	if (!is)
		return -1;
	fd = open(is + 1, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		perror(is + 1);
		return -1;
	}
	if (blocks_file(fd, &out->blocks) < 0) {
		close(fd);
		return -1;
	}
	out->name = strndup(arg, (size_t)(is - arg));
	return out->name ? 0 : -1;
}

static int print_raw(struct blocks *b)
{
	uint8_t *piece = malloc(PIECE);
	uint64_t off = 0;
	int r = piece ? 0 : -1;

	while (r == 0 && off < b->size) {
		size_t n = (size_t)MIN((uint64_t)PIECE, b->size - off);

		r = blocks_read(b, off, piece, n);
		if (r == 0)
			fwrite(piece, 1, n, stdout);
		off += n;
	}
	free(piece);
	return r;
}

static int print(const struct volume_set *set, const char *raw)
{
	size_t i;

	for (i = 0; i < set->n; i++) {
		const struct volume *v = &set->volumes[i];

		if (raw && strcmp(raw, v->name) == 0)
			return print_raw(v->blocks);
		if (!raw)
			printf("%s\t%" PRIu64 "\t%s\t%s\t%s\n", v->name,
			       v->blocks->size, v->type, v->label,
			       v->reason ? v->reason : "");
	}
	return raw ? -1 : 0;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "key", required_argument, NULL, 'k' },
		{ "raw", required_argument, NULL, 'r' },
		{ NULL, 0, NULL, 0 },
	};
	struct discover_disk disks[DISKS_MAX] = { { NULL, NULL, 0 } };
	struct secret *keys[KEYS_MAX];
	struct luks_keys all = { (const struct secret *const *)keys, 0, NULL };
	struct volume_set *set = NULL;
	const char *raw = NULL;
	size_t n = 0, i;
	int c, r = 0;

	while (r == 0 && (c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 'r')
			raw = optarg;
		else if (c != 'k' || all.n == KEYS_MAX ||
			 !(keys[all.n++] = read_key(optarg)))
			r = -1;
	}
	while (r == 0 && optind < argc && n < DISKS_MAX)
		r = add_disk(argv[optind++], &disks[n++]);
	if (r == 0)
		r = discover_volumes(disks, n, &all, &set);
	for (i = 0; i < n && r == 0; i++) {
		blocks_put(disks[i].blocks);
		free((char *)(uintptr_t)disks[i].name);
	}
	if (r == 0)
		r = print(set, raw);
	volume_set_free(set);
	for (i = 0; i < all.n; i++)
		secret_free(keys[i]);
	return r < 0 ? 1 : 0;
}
